// Attention of a few queries over many keys: K and V are streamed once, each row used for all queries that share it.
// The keys are cut into splits whose number depends on shapes alone, so the result does not depend on threads or
// timing; every split leaves a maximum, a sum and a row of values per query, and a second step adds them up.
#pragma once
#include "fast_attention.h"

namespace denim::DENIM_ISA::wide {

constexpr int64_t kSplitKeys = 256, kMostSplits = 64;
constexpr int64_t kSerialWork = 100000;  // multiplications that threads would not make faster

/// a0 b0 a1 b1 ... of the lower and of the upper halves, added: one level of a transposed sum.
template <class V>
DENIM_INLINE V add_zipped(V a, V b) {
  constexpr int n = sizeof(V) / sizeof(a[0]);
  if constexpr (n == 16) {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23) +
           __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  } else if constexpr (n == 8) {
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11) +
           __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
  } else if constexpr (n == 4) {
    return __builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7);
  } else {
    return __builtin_shufflevector(a, b, 0, 2) + __builtin_shufflevector(a, b, 1, 3);
  }
}
/// Lane i of the result is the sum of all lanes of v[i * stride], for as many vectors as there are lanes.
template <class A, int N = kLanes<A>>
DENIM_INLINE Vec<A> sums_across(const Vec<A>* v, int stride = 1) {
  if constexpr (N == 1) {
    return v[0];
  } else {
    return add_zipped(sums_across<A, N / 2>(v, 2 * stride), sums_across<A, N / 2>(v + stride, 2 * stride));
  }
}

/// How the scratch of one call is laid out, in elements of the accumulation type.
template <class T>
struct DecodePlan {
  int64_t splits, q_row, value_row, queries, partial;
  explicit DecodePlan(const Attention& a) {
    constexpr int64_t W = kLanes<Acc<T>>;
    splits = (a.keys + kSplitKeys - 1) / kSplitKeys;
    splits = splits < 1 ? 1 : splits > kMostSplits ? kMostSplits : splits;
    q_row = (a.width + W - 1) / W * W;
    value_row = (a.out_width + W - 1) / W * W;
    queries = a.batch * a.groups * a.rows * q_row;  // all queries, scaled and padded with zeros
    partial = value_row + W;                        // per query and split: values, then maximum and sum
  }
  int64_t size(const Attention& a) const { return queries + a.batch * a.groups * splits * a.rows * partial; }
};

/// scores[r, j] = q[r] . k[j] for NR queries and W keys; keys past the last read the last again.
template <class T, int NR>
DENIM_INLINE void dot_keys(const Acc<T>* q, int64_t q_row, const T* k, int64_t row, int64_t n, int64_t width,
                           Acc<T>* scores) {
  using A = Acc<T>;
  constexpr int W = kLanes<A>, K = W < 4 ? W : 4;
  Vec<A> parts[NR][W];
  DENIM_UNROLL
  for (int j = 0; j < W; j += K) {
    const T* key[K];
    DENIM_UNROLL
    for (int u = 0; u < K; u++) key[u] = k + (j + u < n ? j + u : n - 1) * row;
    Vec<A> sum[NR][K] = {};
    each_vector<A>(width, [&](int64_t d, int64_t lanes) {
      Vec<A> x[K];
      DENIM_UNROLL
      for (int u = 0; u < K; u++) x[u] = load_n(key[u] + d, lanes);
      DENIM_UNROLL
      for (int r = 0; r < NR; r++) {
        Vec<A> y = load(q + r * q_row + d);
        DENIM_UNROLL
        for (int u = 0; u < K; u++) sum[r][u] = mul_add<A>(y, x[u], sum[r][u]);
      }
    });
    DENIM_UNROLL
    for (int r = 0; r < NR; r++) {
      DENIM_UNROLL
      for (int u = 0; u < K; u++) parts[r][j + u] = sum[r][u];
    }
  }
  DENIM_UNROLL
  for (int r = 0; r < NR; r++) store(scores + r * kKeyBlock, sums_across<A>(parts[r]));
}

/// values[r] = values[r] * decay[r] + sum_j scores[r, j] v[j] for NV vectors of NR queries.
template <class T, int NR, int NV>
DENIM_INLINE void add_values(const Acc<T>* scores, const T* v, int64_t row, int64_t n, int64_t lanes, Acc<T>* values,
                             int64_t value_row, const Acc<T>* decay) {
  using A = Acc<T>;
  constexpr int W = kLanes<A>;
  Vec<A> sum[NR][NV];
  DENIM_UNROLL
  for (int r = 0; r < NR; r++) {
    DENIM_UNROLL
    for (int i = 0; i < NV; i++) sum[r][i] = load(values + r * value_row + i * W) * decay[r];
  }
  for (int64_t j = 0; j < n; j++) {
    Vec<A> x[NV];
    DENIM_UNROLL
    for (int i = 0; i < NV; i++) x[i] = load_n(v + j * row + i * W, lanes);
    DENIM_UNROLL
    for (int r = 0; r < NR; r++) {
      Vec<A> s = scores[r * kKeyBlock + j];
      DENIM_UNROLL
      for (int i = 0; i < NV; i++) sum[r][i] = mul_add<A>(s, x[i], sum[r][i]);
    }
  }
  DENIM_UNROLL
  for (int r = 0; r < NR; r++) {
    DENIM_UNROLL
    for (int i = 0; i < NV; i++) store(values + r * value_row + i * W, sum[r][i]);
  }
}

/// Keys [begin, end) of one split for NR queries, the first of which is number `row0` of its key head.
template <class T, int NR>
struct DecodeRows {
  using A = Acc<T>;
  static constexpr A kLeast = -static_cast<A>(__builtin_inff());
  const Attention& a;
  const DecodePlan<T>& plan;
  int64_t b, g, row0;
  const A* q;
  A* partial;
  A scores[NR * kKeyBlock], decay[NR];

  int64_t token(int r) const { return (row0 + r) / a.group; }
  int64_t head(int r) const { return g * a.group + (row0 + r) % a.group; }
  A* max_of_row(int r) const { return partial + r * plan.partial + plan.value_row; }

  /// Scores of row r become e^(score - max); older sums of the row shrink by decay[r].
  DENIM_WIDE void exponentials(int r, int64_t key, int64_t n) {
    A *s = scores + r * kKeyBlock, *max = max_of_row(r);
    Span span = a.span(token(r), a.keys_of(b));
    for (int64_t j = 0; j < n && key + j < span.first; j++) s[j] = kLeast;
    for (int64_t j = span.end > key ? span.end - key : 0; j < n; j++) s[j] = kLeast;
    if (a.mask) apply_mask(a, a.mask_at(b, head(r), token(r)), key, s, 1, n);
    Vec<A> m = max[0], total = 0;
    each_vector<A>(n, [&](int64_t i, int64_t lanes) { m = max_of<A>(load_n(s + i, lanes, kLeast), m); });
    A top = lane_max(m), from = top == kLeast ? 0 : top;
    each_vector<A>(n, [&](int64_t i, int64_t lanes) {
      Vec<A> e = exp_nonpositive<A>(load_n(s + i, lanes, kLeast) - from);
      store(s + i, e);
      total += e;
    });
    decay[r] = exp_nonpositive_scalar<A>(max[0] - from);
    max[1] = max[1] * decay[r] + lane_sum(total);
    max[0] = top;
  }

  DENIM_WIDE void run(int64_t begin, int64_t end) {
    constexpr int W = kLanes<A>, NV = kManyRegisters ? 4 : 2;
    const T *k = a.k.x->as<T>() + a.k.at(b, g), *v = a.v.x->as<T>() + a.v.at(b, g);
    int64_t k_row = a.k.row(), v_row = a.v.row();
    DENIM_UNROLL
    for (int r = 0; r < NR; r++) {
      memset(static_cast<void*>(partial + r * plan.partial), 0, sizeof(A) * plan.partial);
      max_of_row(r)[0] = kLeast;
    }
    for (int64_t key = begin; key < end; key += kKeyBlock) {
      int64_t n = end - key < kKeyBlock ? end - key : kKeyBlock, e = 0;
      for (int64_t j = 0; j < n; j += W)
        dot_keys<T, NR>(q, plan.q_row, k + (key + j) * k_row, k_row, n - j, a.width, scores + j);
      DENIM_UNROLL
      for (int r = 0; r < NR; r++) exponentials(r, key, n);
      const T* rows = v + key * v_row;
      for (; e + NV * W <= a.out_width; e += NV * W)
        add_values<T, NR, NV>(scores, rows + e, v_row, n, W, partial + e, plan.partial, decay);
      for (; e + W <= a.out_width; e += W)
        add_values<T, NR, 1>(scores, rows + e, v_row, n, W, partial + e, plan.partial, decay);
      if (e < a.out_width)
        add_values<T, NR, 1>(scores, rows + e, v_row, n, a.out_width - e, partial + e, plan.partial, decay);
    }
  }
};

/// One split of one batch row and key head: its queries in blocks of up to four.
template <class T>
void run_split(const Attention& a, const DecodePlan<T>& plan, int64_t bg, int64_t split, const Acc<T>* q,
               Acc<T>* partials) {
  int64_t b = bg / a.groups, g = bg % a.groups, n = a.keys_of(b);
  Span all = {n, 0};
  for (int64_t t = 0; t < a.queries; t++) {
    Span s = a.span(t, n);
    if (s.first < all.first) all.first = s.first;
    if (s.end > all.end) all.end = s.end;
  }
  int64_t seen = all.end > all.first ? all.end - all.first : 0;
  int64_t begin = all.first + seen * split / plan.splits, end = all.first + seen * (split + 1) / plan.splits;
  for (int64_t row = 0; row < a.rows; row += 4) {
    const Acc<T>* rows = q + (bg * a.rows + row) * plan.q_row;
    Acc<T>* partial = partials + ((bg * plan.splits + split) * a.rows + row) * plan.partial;
    switch (a.rows - row) {
      case 1: DecodeRows<T, 1>{a, plan, b, g, row, rows, partial, {}, {}}.run(begin, end); break;
      case 2: DecodeRows<T, 2>{a, plan, b, g, row, rows, partial, {}, {}}.run(begin, end); break;
      case 3: DecodeRows<T, 3>{a, plan, b, g, row, rows, partial, {}, {}}.run(begin, end); break;
      default: DecodeRows<T, 4>{a, plan, b, g, row, rows, partial, {}, {}}.run(begin, end);
    }
  }
}

/// Adds up the splits of one query, in order, into the first split's values.
template <class T>
DENIM_WIDE void combine_splits(const Attention& a, const DecodePlan<T>& plan, int64_t bg, int64_t row,
                               Acc<T>* partials) {
  using A = Acc<T>;
  int64_t b = bg / a.groups, h = bg % a.groups * a.group + row % a.group, step = a.rows * plan.partial;
  A* first = partials + (bg * plan.splits * a.rows + row) * plan.partial;
  A max = a.sinks ? sink_of<T>(a, h) : -static_cast<A>(__builtin_inff());
  for (int64_t s = 0; s < plan.splits; s++) {
    A m = first[s * step + plan.value_row];
    max = m > max ? m : max;
  }
  A from = max == -static_cast<A>(__builtin_inff()) ? 0 : max;
  A sum = a.sinks ? exp_nonpositive_scalar<A>(sink_of<T>(a, h) - from) : 0;
  for (int64_t s = 0; s < plan.splits; s++) {
    A* values = first + s * step;
    A weight = exp_nonpositive_scalar<A>(values[plan.value_row] - from);
    sum += values[plan.value_row + 1] * weight;
    for (int64_t e = 0; e < plan.value_row; e += kLanes<A>) {
      Vec<A> v = load(values + e) * weight;
      store(first + e, s == 0 ? v : load(first + e) + v);
    }
  }
  write_row<T>(a, b, h, row / a.group, max, sum, first, 1);
}

template <class T>
void run_decode(const Attention& a, Acc<T>* scratch) {
  DecodePlan<T> plan(a);
  Acc<T>*q = scratch, *partials = scratch + plan.queries;
  memset(static_cast<void*>(q), 0, sizeof(Acc<T>) * plan.queries);
  int64_t all_rows = a.batch * a.groups * a.rows;
  for (int64_t i = 0; i < all_rows; i++) {
    int64_t b = i / (a.groups * a.rows), g = i / a.rows % a.groups, row = i % a.rows;
    const T* from = a.q.x->as<T>() + a.q.at(b, g * a.group + row % a.group) + row / a.group * a.q.row();
    for (int64_t d = 0; d < a.width; d++) q[i * plan.q_row + d] = to_acc(from[d]) * static_cast<Acc<T>>(a.p.scale);
  }
  int64_t tasks = a.batch * a.groups * plan.splits, work = all_rows * a.keys * (a.width + a.out_width);
  auto split = [&](int64_t i, int) { run_split<T>(a, plan, i / plan.splits, i % plan.splits, q, partials); };
  if (work < kSerialWork) {
    for (int64_t i = 0; i < tasks; i++) split(i, 0);
  } else {
    each_task(tasks, split);
  }
  each_range(all_rows, 65536 / (plan.splits * plan.partial) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) combine_splits<T>(a, plan, i / a.rows, i % a.rows, partials);
  });
}

}  // namespace denim::DENIM_ISA::wide
