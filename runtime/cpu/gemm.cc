// The blocked matrix product: micro-kernels of up to kMaxRows x 2 vectors whose sums stay in registers, panels packed
// so that a strip of A (rows x kc) stays in L1 and a group of strips of B in L2, tasks over groups of rows and columns.
// Every sum runs over k in the same order whatever the number of threads.
#include "gemm.h"

namespace denim::DENIM_ISA {
namespace {

constexpr int64_t kBlockK = 384;
constexpr int64_t kBlockRows = 2048, kBlockCols = 2048;  // what is packed at a time, up to half as many rows more
constexpr int64_t kGroupRows = 128, kGroupCols = 256;    // what a task computes at most
constexpr int64_t kUnpackedStrips = 2;                   // of rows at most that read B where it is
constexpr int64_t kSerialWork = 400 * 1000;              // multiply-adds under which threads do not pay

// tile[r][j] = sum over k of a[k][r] * b[k][j]; rows of b are b_step apart.
template <class T, int R>
void micro(int64_t kc, const T* a, const T* b, int64_t b_step, T* tile) {
  constexpr int n = kLanes<T>;
  Vec<T> acc[R][2] = {};
  for (int64_t k = 0; k < kc; k++, a += R, b += b_step) {
    const Vec<T> b0 = load(b), b1 = load(b + n);
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
      const Vec<T> x = a[r];
      acc[r][0] = mul_add(b0, x, acc[r][0]);
      acc[r][1] = mul_add(b1, x, acc[r][1]);
    }
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < R; r++) {
    store(tile + r * 2 * n, acc[r][0]);
    store(tile + r * 2 * n + n, acc[r][1]);
  }
}

template <class T>
using Micro = void (*)(int64_t, const T*, const T*, int64_t, T*);
// Micro-kernels of 2, 4, ... rows.
template <class T>
constexpr Micro<T> kMicro[] = {
    micro<T, 2>,  micro<T, 4>,  micro<T, 6>,
#if defined(__AVX512F__) || defined(__aarch64__)
    micro<T, 8>,  micro<T, 10>, micro<T, 12>,
#endif
#if defined(__AVX512F__)
    micro<T, 14>,
#endif
};
static_assert(sizeof(kMicro<float>) / sizeof(Micro<float>) == kMaxRows / 2);

// Sizes of one problem: rows of a strip (even, balanced, so that 16 rows are 2 x 8 and not 14 + 2) and the blocks.
struct Plan {
  int64_t mr, mc, nc, kc;
};
template <class T>
Plan plan(const Gemm<T>& g) {
  Plan p;
  p.mr = round_up(ceil_div(g.m, ceil_div(g.m, kMaxRows)), 2);
  const int64_t row_blocks = max_of(1, (g.m + kBlockRows / 2) / kBlockRows);
  p.mc = round_up(ceil_div(g.m, row_blocks), p.mr);
  p.nc = min_of(round_up(g.n, kTileCols<T>), g.partial_stride || g.k <= kBlockK ? kBlockCols : kBlockCols / 2);
  const int64_t blocks = ceil_div(g.k, kBlockK);
  p.kc = round_up(ceil_div(g.k, blocks), g.k_align);
  return p;
}

// One block of A times one block of B, as the tasks see it.
template <class T>
struct Block {
  const Gemm<T>* g;
  Plan p;
  int64_t i0, j0, k0, mc, nc, kc;  // where the block is and what of it exists
  T *a, *b, *partial;
  int64_t partial_stride;
  int64_t group_rows, group_cols, col_groups;  // strips of A and of B per task; tasks per row of tasks
  bool pack_b_late;                            // only one group of rows: each task packs its own strips of B
};

// Rows that the strip of A from `row` on has in its panel: the last one only what it needs.
template <class T>
int64_t strip_rows(const Block<T>& s, int64_t row) {
  return min_of(s.p.mr, round_up(s.mc - row, 2));
}
template <class T>
void pack_a_strip(const Block<T>& s, int64_t strip) {
  const int64_t first = strip * s.p.mr, width = strip_rows(s, first);
  s.g->pack_a(s.g->a, s.i0 + first, static_cast<int>(min_of(width, s.mc - first)), static_cast<int>(width), s.k0, s.kc,
              s.a + first * s.kc);
}
template <class T>
void pack_b_strip(const Block<T>& s, int64_t strip) {
  constexpr int nr = kTileCols<T>;
  const int64_t first = strip * nr;
  s.g->pack_b(s.g->b, s.j0 + first, static_cast<int>(min_of(nr, s.nc - first)), nr, s.k0, s.kc, s.b + first * s.kc);
}

// Packs four strips of A or of B; those of A come first.
template <class T>
void pack_task(void* ctx, int64_t task, int) {
  const auto& s = *static_cast<const Block<T>*>(ctx);
  const int64_t a_strips = ceil_div(s.mc, s.p.mr), a_tasks = ceil_div(a_strips, 4);
  const int64_t b_strips = ceil_div(s.nc, kTileCols<T>);
  const bool is_a = task < a_tasks;
  const int64_t first = (is_a ? task : task - a_tasks) * 4, end = min_of(first + 4, is_a ? a_strips : b_strips);
  for (int64_t i = first; i < end; i++) is_a ? pack_a_strip(s, i) : pack_b_strip(s, i);
}

// One micro-tile: sums of this block of k, plus those of the blocks before, then on to the output or back to rest. `b`
// is its strip of B.
template <class T>
void compute_tile(const Block<T>& s, int64_t row, int64_t col, const T* b, int64_t b_step) {
  constexpr int nr = kTileCols<T>;
  alignas(64) T tile[kMaxRows * nr];
  kMicro<T>[strip_rows(s, row) / 2 - 1](s.kc, s.a + row * s.kc, b, b_step, tile);
  const int rows = static_cast<int>(min_of(s.p.mr, s.mc - row)), cols = static_cast<int>(min_of(nr, s.nc - col));
  const bool first = s.k0 == 0, last = s.k0 + s.kc == s.g->k;
  T* partial = s.partial + row * s.partial_stride + col;
  if (!first) {
    for (int r = 0; r < rows; r++) {
      for (int j = 0; j < cols; j++) tile[r * nr + j] += partial[r * s.partial_stride + j];
    }
  }
  if (last) return s.g->finish(s.g->out, tile, s.i0 + row, s.j0 + col, rows, cols);
  for (int r = 0; r < rows; r++) memcpy(partial + r * s.partial_stride, tile + r * nr, sizeof(T) * cols);
}

template <class T>
void compute_task(void* ctx, int64_t task, int) {
  constexpr int64_t nr = kTileCols<T>;
  const auto& s = *static_cast<const Block<T>*>(ctx);
  const int64_t row0 = task / s.col_groups * s.group_rows * s.p.mr, row1 = min_of(row0 + s.group_rows * s.p.mr, s.mc);
  const int64_t col0 = task % s.col_groups * s.group_cols * nr, col1 = min_of(col0 + s.group_cols * nr, s.nc);
  if (s.pack_b_late) {
    const bool few_rows = s.g->b_rows && row1 - row0 <= kUnpackedStrips * s.p.mr;
    for (int64_t col = col0; col < col1; col += nr) {
      const bool as_is = few_rows && col + nr <= s.nc;
      if (!as_is) pack_b_strip(s, col / nr);
      const T* b = as_is ? s.g->b_rows + s.k0 * s.g->b_row_stride + s.j0 + col : s.b + col * s.kc;
      const int64_t b_step = as_is ? s.g->b_row_stride : nr;
      for (int64_t row = row0; row < row1; row += s.p.mr) compute_tile(s, row, col, b, b_step);
    }
    return;
  }
  for (int64_t row = row0; row < row1; row += s.p.mr) {
    for (int64_t col = col0; col < col1; col += nr) compute_tile(s, row, col, s.b + col * s.kc, nr);
  }
}

void run_tasks(int64_t n, bool serial, void (*fn)(void*, int64_t, int), void* ctx) {
  if (!serial) return parallel(n, fn, ctx);
  for (int64_t i = 0; i < n; i++) fn(ctx, i, 0);
}

template <class T>
void run_block(Block<T>& s) {
  const int64_t a_strips = ceil_div(s.mc, s.p.mr), b_strips = ceil_div(s.nc, kTileCols<T>);
  s.group_rows = min_of(a_strips, ceil_div(kGroupRows, s.p.mr));
  s.group_cols = min_of(b_strips, kGroupCols / kTileCols<T>);
  const int64_t wish = 4 * worker_count();
  while (s.group_cols > 1 && ceil_div(a_strips, s.group_rows) * ceil_div(b_strips, s.group_cols) < wish) s.group_cols--;
  const int64_t row_groups = ceil_div(a_strips, s.group_rows);
  s.col_groups = ceil_div(b_strips, s.group_cols);
  s.pack_b_late = row_groups == 1;
  const bool serial = s.mc * s.nc * s.kc < kSerialWork;
  const int64_t pack_tasks = ceil_div(a_strips, 4) + (s.pack_b_late ? 0 : ceil_div(b_strips, 4));
  run_tasks(pack_tasks, serial, pack_task<T>, &s);
  run_tasks(row_groups * s.col_groups, serial, compute_task<T>, &s);
}

size_t bytes64(int64_t bytes) { return static_cast<size_t>(round_up(bytes, 64)); }

}  // namespace

template <class T>
size_t gemm_scratch(const Gemm<T>& g) {
  if (g.m == 0 || g.n == 0 || g.k == 0) return 0;
  const Plan p = plan(g);
  const int64_t item = sizeof(T), mc = min_of(g.m, kBlockRows * 3 / 2) + kMaxRows;  // not below p.mc; grows with m
  const size_t partial = g.partial_stride || p.kc >= g.k ? 0 : bytes64(mc * p.nc * item);
  return bytes64(mc * p.kc * item) + bytes64(p.nc * p.kc * item) + partial;
}

template <class T>
void gemm(const Gemm<T>& g, uint8_t* scratch) {
  const Plan p = plan(g);
  const int64_t item = sizeof(T);
  Block<T> s{};
  s.g = &g;
  s.p = p;
  s.a = reinterpret_cast<T*>(scratch);
  s.b = reinterpret_cast<T*>(scratch + bytes64(p.mc * p.kc * item));
  T* rest = reinterpret_cast<T*>(scratch + bytes64(p.mc * p.kc * item) + bytes64(p.nc * p.kc * item));
  s.partial_stride = g.partial_stride ? g.partial_stride : p.nc;
  for (s.j0 = 0; s.j0 < g.n; s.j0 += p.nc) {
    for (s.i0 = 0; s.i0 < g.m; s.i0 += p.mc) {
      s.partial = g.partial_stride ? g.partial + s.i0 * g.partial_stride + s.j0 : rest;
      s.mc = min_of(p.mc, g.m - s.i0);
      s.nc = min_of(p.nc, g.n - s.j0);
      for (s.k0 = 0; s.k0 < g.k; s.k0 += p.kc) {
        s.kc = min_of(p.kc, g.k - s.k0);
        run_block(s);
      }
    }
  }
}

template size_t gemm_scratch<float>(const Gemm<float>&);
template size_t gemm_scratch<double>(const Gemm<double>&);
template void gemm<float>(const Gemm<float>&, uint8_t*);
template void gemm<double>(const Gemm<double>&, uint8_t*);

}  // namespace denim::DENIM_ISA
