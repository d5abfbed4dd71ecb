// Products with few rows (matrix times vector and its kin), bound by reading the matrix once. Two orientations: the
// matrix's columns are contiguous along k (dot products, several columns at a time) or along n (sums of scaled rows).
// How the work is cut does not depend on the number of threads, so the last digits do not either.
#pragma once
#include "matmul.h"

namespace denim::DENIM_ISA {

// Sums of R rows of x with C columns, each contiguous along k.
template <class E, int R, int C>
DENIM_INLINE void dot_columns(const FewRows<Acc<E>>& p, int64_t j, Acc<E>* tile) {
  using T = Acc<E>;
  constexpr int n = kLanes<T>;
  const E* column[C];
  for (int c = 0; c < C; c++) column[c] = reinterpret_cast<const E*>(p.matrix.data) + (j + c) * p.matrix.lane_stride;
  Vec<T> acc[R][C] = {};
  int64_t k = 0;
  for (; k + n <= p.k; k += n) {
    Vec<T> x[R];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) x[r] = load(p.x + r * p.x_stride + k);
#pragma clang loop unroll(full)
    for (int c = 0; c < C; c++) {
      __builtin_prefetch(column[c] + k + C * p.matrix.lane_stride, 0, 2);  // into L2: the next block of columns
      const Vec<T> w = load(column[c] + k);
#pragma clang loop unroll(full)
      for (int r = 0; r < R; r++) acc[r][c] = mul_add(w, x[r], acc[r][c]);
    }
  }
  const int tail = static_cast<int>(p.k - k);
  for (int c = 0; c < C; c++) {
    const Vec<T> w = tail ? load_few(column[c] + k, tail) : Vec<T>(0);
    for (int r = 0; r < R; r++) {
      if (tail) acc[r][c] = mul_add(w, load_few(p.x + r * p.x_stride + k, tail), acc[r][c]);
      tile[r * kTileCols<T> + c] = sum_lanes<T, n>(acc[r][c]);
    }
  }
}

// Columns [j0, j1), j1 - j0 <= kTileCols: a tile.
template <class E, int R>
void dot_tile(const FewRows<Acc<E>>& p, int64_t j0, int64_t j1) {
  using T = Acc<E>;
  constexpr int block = kVecBytes == 64 || R <= 2 ? 4 : 2;
  alignas(64) T tile[R * kTileCols<T>];
  int64_t j = j0;
  for (; j + block <= j1; j += block) dot_columns<E, R, block>(p, j, tile + (j - j0));
  for (; j < j1; j++) dot_columns<E, R, 1>(p, j, tile + (j - j0));
  p.finish(p.out, tile, 0, j0, R, static_cast<int>(j1 - j0));
}

// sums[r][j] += sum over S values of k of x[r][k] m[k][j], j in [0, cols); rows of m are contiguous along j.
template <class E, int R, int S>
DENIM_INLINE void add_scaled_rows(const FewRows<Acc<E>>& p, int64_t k, const E* row, int cols, Acc<E>* sums,
                                  int stride) {
  using T = Acc<E>;
  constexpr int n = kLanes<T>;
  const int64_t step = p.matrix.k_stride;
  for (int j = 0; j < cols; j += n) {
    const bool full = j + n <= cols;
    Vec<T> m[S];
#pragma clang loop unroll(full)
    for (int s = 0; s < S; s++) {
      __builtin_prefetch(row + (s + S) * step + j, 0, 2);  // into L2: the rows after these
      m[s] = full ? load(row + s * step + j) : load_few(row + s * step + j, cols - j);
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
      Vec<T> sum = load(sums + r * stride + j);
#pragma clang loop unroll(full)
      for (int s = 0; s < S; s++) sum = mul_add(m[s], Vec<T>(p.x[r * p.x_stride + k + s]), sum);
      store(sums + r * stride + j, sum);
    }
  }
}

/// Columns whose sums (of R rows) rest in L1 while the rows of the matrix pass by: many, or reading jumps between
/// pages.
constexpr int row_sums(int r) { return r == 1 ? 4096 : r == 2 ? 2048 : 1024; }

// Rows [k0, k1) of the matrix, columns [j0, j0 + cols): sums[r][j], which are zero before.
template <class E, int R>
void sum_rows(const FewRows<Acc<E>>& p, int64_t k0, int64_t k1, int64_t j0, int cols, Acc<E>* sums) {
  constexpr int stride = row_sums(R), steps = R == 1 ? 8 : 4;
  const E* row = reinterpret_cast<const E*>(p.matrix.data) + j0;
  int64_t k = k0;
  for (; k + steps <= k1; k += steps) {
    add_scaled_rows<E, R, steps>(p, k, row + k * p.matrix.k_stride, cols, sums, stride);
  }
  for (; k < k1; k++) add_scaled_rows<E, R, 1>(p, k, row + k * p.matrix.k_stride, cols, sums, stride);
}

template <class E, int R>
void scaled_rows_tile(const FewRows<Acc<E>>& p, int64_t j0, int64_t j1) {
  using T = Acc<E>;
  constexpr int stride = row_sums(R), nr = kTileCols<T>;
  alignas(64) T sums[R * stride] = {};
  const int cols = static_cast<int>(j1 - j0);
  sum_rows<E, R>(p, 0, p.k, j0, cols, sums);
  for (int j = 0; j < cols; j += nr) {
    alignas(64) T tile[R * nr];
    for (int r = 0; r < R; r++) memcpy(tile + r * nr, sums + r * stride + j, sizeof(T) * nr);
    p.finish(p.out, tile, 0, j0 + j, R, static_cast<int>(min_of(nr, cols - j)));
  }
}

/// Where a row of the matrix is short, tasks are not ranges of columns (each would read a little here and there, page
/// by page) but kParts ranges of rows, which are contiguous in memory. Each task has sums of its own.
constexpr int kParts = 8;
constexpr int64_t kShortRow = 16384;
inline bool in_parts(int64_t n, int64_t k, int64_t k_stride) {
  return k_stride != 1 && n <= kShortRow && k >= 16 * kParts && n * k >= (1 << 18);
}
inline int64_t part_sums(int64_t n, int rows) { return rows * round_up(n, 64); }

template <class E, int R>
void part_task(void* ctx, int64_t part, int) {
  using T = Acc<E>;
  const auto& p = *static_cast<const FewRows<T>*>(ctx);
  constexpr int stride = row_sums(R);
  const int64_t share = round_up(ceil_div(p.k, kParts), 8);
  const int64_t k0 = min_of(p.k, part * share), k1 = min_of(p.k, k0 + share);
  T* to = p.partial + part * part_sums(p.n, R);
  for (int64_t j = 0; j < p.n; j += stride) {
    alignas(64) T sums[R * stride] = {};
    const int cols = static_cast<int>(min_of(stride, p.n - j));
    sum_rows<E, R>(p, k0, k1, j, cols, sums);
    for (int r = 0; r < R; r++)
      memcpy(to + r * round_up(p.n, 64) + j, sums + r * stride, sizeof(T) * static_cast<size_t>(cols));
  }
}
template <class E, int R>
void few_rows_in_parts(const FewRows<Acc<E>>& p) {
  using T = Acc<E>;
  constexpr int nr = kTileCols<T>, n = kLanes<T>;
  FewRows<T> shared = p;
  parallel(kParts, part_task<E, R>, &shared);
  for (int64_t j = 0; j < p.n; j += nr) {
    alignas(64) T tile[R * nr] = {};
    for (int part = 0; part < kParts; part++) {
      for (int r = 0; r < R; r++) {
        const T* from = p.partial + part * part_sums(p.n, R) + r * round_up(p.n, 64) + j;
        for (int i = 0; i < nr; i += n) store(tile + r * nr + i, load(tile + r * nr + i) + load(from + i));
      }
    }
    p.finish(p.out, tile, 0, j, R, static_cast<int>(min_of(nr, p.n - j)));
  }
}

template <class T>
struct FewTasks {
  const FewRows<T>* p;
  void (*tile)(const FewRows<T>&, int64_t j0, int64_t j1);
  int64_t tile_cols, task_cols;
};
template <class T>
void few_task(void* ctx, int64_t task, int) {
  const auto& t = *static_cast<const FewTasks<T>*>(ctx);
  const int64_t end = min_of((task + 1) * t.task_cols, t.p->n);
  for (int64_t j = task * t.task_cols; j < end; j += t.tile_cols) t.tile(*t.p, j, min_of(j + t.tile_cols, end));
}

constexpr int64_t kSerialBytes = 96 * 1024;  // of the matrix: under this, threads do not pay

/// Runs tiles of columns, in parallel if the matrix has many bytes.
template <class T>
void run_few(const FewRows<T>& p, void (*tile)(const FewRows<T>&, int64_t, int64_t), int64_t tile_cols, int64_t bytes) {
  FewTasks<T> t{&p, tile, tile_cols, p.n};
  if (bytes < kSerialBytes) return few_task<T>(&t, 0, 0);
  const int64_t share = ceil_div(p.n, 4 * worker_count());
  t.task_cols = round_up(share, kTileCols<T>);
  t.tile_cols = min_of(tile_cols, t.task_cols);
  parallel(ceil_div(p.n, t.task_cols), few_task<T>, &t);
}

/// A product of 1 to kFewRows rows; the matrix is contiguous along one of its axes.
template <class E>
void few_rows(const FewRows<Acc<E>>& p) {
  using T = Acc<E>;
  using Tile = void (*)(const FewRows<T>&, int64_t, int64_t);
  constexpr Tile dots[] = {dot_tile<E, 1>, dot_tile<E, 2>, dot_tile<E, 3>, dot_tile<E, 4>};
  constexpr Tile rows[] = {scaled_rows_tile<E, 1>, scaled_rows_tile<E, 2>, scaled_rows_tile<E, 3>,
                           scaled_rows_tile<E, 4>};
  constexpr void (*parts[])(const FewRows<T>&) = {few_rows_in_parts<E, 1>, few_rows_in_parts<E, 2>,
                                                  few_rows_in_parts<E, 3>, few_rows_in_parts<E, 4>};
  if (in_parts(p.n, p.k, p.matrix.k_stride)) return parts[p.rows - 1](p);
  const bool dot = p.matrix.k_stride == 1;
  const int64_t bytes = static_cast<int64_t>(sizeof(E)) * p.n * p.k;
  run_few<T>(p, (dot ? dots : rows)[p.rows - 1], dot ? kTileCols<T> : row_sums(p.rows), bytes);
}

}  // namespace denim::DENIM_ISA
