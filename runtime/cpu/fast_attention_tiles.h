// Attention of many queries: a tile of queries lies across the lanes of one or two vectors, so that scores and values
// are two small matrix products with the same micro-kernel, and the online softmax has no sums across lanes. Scores
// live for one block of keys: O(block) memory. Tiles are independent.
#pragma once
#include "fast_attention.h"

namespace denim::DENIM_ISA::wide {

constexpr int kTileRows = kManyRegisters ? 12 : 6;  // with two vectors of lanes: 24 sums in 32 registers, or 12 in 16

/// c[m, lanes] = c * decay + sum_k a[m, k] x[k, lanes], M rows of it. `decay` null: c starts at 0.
template <class A, int M, int NV>
DENIM_INLINE void multiply_rows(const A* a, int64_t a_row, int64_t a_step, const A* x, int64_t n, A* c,
                                const Vec<A>* decay) {
  constexpr int W = kLanes<A>;
  Vec<A> sum[M][NV];
  DENIM_UNROLL
  for (int m = 0; m < M; m++) {
    DENIM_UNROLL
    for (int v = 0; v < NV; v++) sum[m][v] = decay ? load(c + (m * NV + v) * W) * decay[v] : Vec<A>(0);
  }
  for (int64_t k = 0; k < n; k++) {
    Vec<A> xs[NV];
    DENIM_UNROLL
    for (int v = 0; v < NV; v++) xs[v] = load(x + (k * NV + v) * W);
    DENIM_UNROLL
    for (int m = 0; m < M; m++) {
      Vec<A> s = a[m * a_row + k * a_step];
      DENIM_UNROLL
      for (int v = 0; v < NV; v++) sum[m][v] = mul_add<A>(s, xs[v], sum[m][v]);
    }
  }
  DENIM_UNROLL
  for (int m = 0; m < M; m++) {
    DENIM_UNROLL
    for (int v = 0; v < NV; v++) store(c + (m * NV + v) * W, sum[m][v]);
  }
}
/// The same for any number of rows.
template <class A, int NV>
DENIM_INLINE void multiply(const A* a, int64_t rows, int64_t a_row, int64_t a_step, const A* x, int64_t n, A* c,
                           const Vec<A>* decay) {
  constexpr int M = kTileRows, C = NV * kLanes<A>;
  int64_t m = 0;
  for (; m + M <= rows; m += M) multiply_rows<A, M, NV>(a + m * a_row, a_row, a_step, x, n, c + m * C, decay);
  for (; m + M / 3 <= rows; m += M / 3)
    multiply_rows<A, M / 3, NV>(a + m * a_row, a_row, a_step, x, n, c + m * C, decay);
  for (; m < rows; m++) multiply_rows<A, 1, NV>(a + m * a_row, a_row, a_step, x, n, c + m * C, decay);
}
// Two entries, so that one of the steps is the constant 1 in each.
template <class A, int NV>
DENIM_WIDE __attribute__((noinline)) void multiply_scores(const A* k, int64_t rows, int64_t row, const A* q, int64_t n,
                                                          A* c) {
  multiply<A, NV>(k, rows, row, 1, q, n, c, nullptr);
}
template <class A, int NV>
DENIM_WIDE __attribute__((noinline)) void multiply_values(const A* v, int64_t rows, int64_t step, const A* p, int64_t n,
                                                          A* c, const Vec<A>* decay) {
  multiply<A, NV>(v, rows, 1, step, p, n, c, decay);
}

/// Rows of T as rows of its accumulation type: converted into `buffer` only where the types differ.
template <class T>
DENIM_INLINE const Acc<T>* as_acc_rows(const T* x, int64_t row, int64_t rows, int64_t width, Acc<T>* buffer,
                                       int64_t* new_row) {
  if constexpr (__is_same(T, Acc<T>)) {
    *new_row = row;
    return x;
  } else {
    for (int64_t r = 0; r < rows; r++) {
      each_vector<Acc<T>>(
          width, [&](int64_t i, int64_t n) { store_n(buffer + r * width + i, load_n(x + r * row + i, n), n); });
    }
    *new_row = width;
    return buffer;
  }
}

/// Elements of scratch that one worker needs for tiles of `lanes` queries.
template <class T>
int64_t tile_scratch(const Attention& a, int64_t lanes) {
  int64_t wider = a.width > a.out_width ? a.width : a.out_width;  // K and V use one buffer in turn
  return (a.width + a.out_width + kKeyBlock) * lanes + (__is_same(T, Acc<T>) ? 0 : kKeyBlock * wider);
}

/// One tile: queries [row0, row0 + lanes) of batch b and key head g.
template <class T, int NV>
struct Tile {
  using A = Acc<T>;
  static constexpr int W = kLanes<A>, C = NV * W;
  static constexpr A kLeast = -static_cast<A>(__builtin_inff());

  const Attention& a;
  int64_t b, g, row0, count, n_keys;
  A *q, *scores, *values, *converted;
  IntVec<A> first[NV], end[NV];
  Vec<A> max[NV], sum[NV];

  Tile(const Attention& a, int64_t b, int64_t g, int64_t row0, A* scratch)
      : a(a), b(b), g(g), row0(row0), n_keys(a.keys_of(b)) {
    count = a.rows - row0 < C ? a.rows - row0 : C;
    q = scratch;
    scores = q + a.width * C;
    values = scores + kKeyBlock * C;
    converted = values + a.out_width * C;
  }
  int64_t token(int64_t lane) const { return (row0 + lane) / a.group; }
  int64_t head(int64_t lane) const { return g * a.group + (row0 + lane) % a.group; }

  /// Queries across lanes, scaled; lanes past the last query repeat its positions and hold zeros.
  DENIM_WIDE Span start() {
    Span all = {n_keys, 0};
    memset(static_cast<void*>(q), 0, sizeof(A) * a.width * C);
    memset(static_cast<void*>(values), 0, sizeof(A) * a.out_width * C);
    for (int lane = 0; lane < C; lane++) {
      int64_t l = lane < count ? lane : count - 1, v = lane / W, i = lane % W;
      Span s = a.span(token(l), n_keys);
      first[v][i] = static_cast<typename IntOf<A>::type>(s.first);
      end[v][i] = static_cast<typename IntOf<A>::type>(s.end);
      if (s.first < all.first) all.first = s.first;
      if (s.end > all.end) all.end = s.end;
      max[v][i] = a.sinks ? sink_of<T>(a, head(l)) : kLeast;
      sum[v][i] = a.sinks ? 1 : 0;
      if (lane >= count) continue;
      const T* from = a.q.x->as<T>() + a.q.at(b, head(l)) + token(l) * a.q.row();
      for (int64_t d = 0; d < a.width; d++) q[d * C + lane] = to_acc(from[d]) * static_cast<A>(a.p.scale);
    }
    return all;
  }

  /// Hides from each lane what lies outside its keys, and applies the mask.
  DENIM_WIDE void hide(int64_t key, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
      DENIM_UNROLL
      for (int v = 0; v < NV; v++) {
        IntVec<A> at = static_cast<typename IntOf<A>::type>(key + j);
        A* s = scores + j * C + v * W;
        store(s, ((at >= first[v]) & (at < end[v])) ? load(s) : Vec<A>(kLeast));
      }
    }
    if (!a.mask) return;
    for (int lane = 0; lane < count; lane++)
      apply_mask(a, a.mask_at(b, head(lane), token(lane)), key, scores + lane, C, n);
  }

  /// Scores become e^(score - max) with the maximum so far; returns how much older sums shrink.
  DENIM_WIDE void exponentials(int64_t n, Vec<A>* decay) {
    DENIM_UNROLL
    for (int v = 0; v < NV; v++) {
      A* s = scores + v * W;
      Vec<A> m = max[v], total = 0;
      for (int64_t j = 0; j < n; j++) m = max_of<A>(load(s + j * C), m);
      Vec<A> from = m == kLeast ? Vec<A>(0) : m;  // all scores -inf: their powers are 0, not NaN
      for (int64_t j = 0; j < n; j++) {
        Vec<A> e = exp_nonpositive<A>(load(s + j * C) - from);
        store(s + j * C, e);
        total += e;
      }
      decay[v] = exp_nonpositive<A>(max[v] - from);
      sum[v] = mul_add<A>(sum[v], decay[v], total);
      max[v] = m;
    }
  }

  DENIM_WIDE void run() {
    Span all = start();
    const T* k = a.k.x->as<T>() + a.k.at(b, g);
    const T* v = a.v.x->as<T>() + a.v.at(b, g);
    for (int64_t key = all.first; key < all.end; key += kKeyBlock) {
      int64_t n = all.end - key < kKeyBlock ? all.end - key : kKeyBlock, row;
      const A* rows = as_acc_rows(k + key * a.k.row(), a.k.row(), n, a.width, converted, &row);
      multiply_scores<A, NV>(rows, n, row, q, a.width, scores);
      bool inside = !a.mask;
      for (int lane = 0; lane < C && inside; lane++)
        inside = first[lane / W][lane % W] <= key && end[lane / W][lane % W] >= key + n;
      if (!inside) hide(key, n);
      Vec<A> decay[NV];
      exponentials(n, decay);
      rows = as_acc_rows(v + key * a.v.row(), a.v.row(), n, a.out_width, converted, &row);
      multiply_values<A, NV>(rows, a.out_width, row, scores, n, values, decay);
    }
    for (int lane = 0; lane < count; lane++) {
      write_row<T>(a, b, head(lane), token(lane), max[lane / W][lane % W], sum[lane / W][lane % W], values + lane, C);
    }
  }
};

template <class T, int NV>
DENIM_WIDE __attribute__((noinline)) void run_tile(const Attention& a, int64_t b, int64_t g, int64_t row0,
                                                   Acc<T>* scratch) {
  Tile<T, NV>(a, b, g, row0, scratch).run();
}

template <class T, int NV>
void run_tiles(const Attention& a, Acc<T>* scratch) {
  constexpr int C = NV * kLanes<Acc<T>>;
  int64_t tiles = (a.rows + C - 1) / C, own = tile_scratch<T>(a, C);
  each_task(a.batch * a.groups * tiles, [&](int64_t i, int worker) {
    // Later tiles see more keys: they go first, so that the short ones fill the end.
    int64_t tile = tiles - 1 - i / (a.batch * a.groups), bg = i % (a.batch * a.groups);
    run_tile<T, NV>(a, bg / a.groups, bg % a.groups, tile * C, scratch + worker * own);
  });
}

}  // namespace denim::DENIM_ISA::wide
