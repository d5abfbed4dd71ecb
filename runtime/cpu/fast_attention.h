// What both ways of computing attention share: the problem (sizes, strides, which keys a query sees), masks, and rows
// that see nothing. fast_attention_tiles.h computes many queries at once, fast_attention_decode.h a few queries over
// many keys.
#pragma once
#include "fast_vec.h"

namespace denim::DENIM_ISA::wide {

constexpr int64_t kKeyBlock =
    96;  // keys whose scores are computed before they are used: K and V of a block stay in L1 or L2

/// Batch and heads of an operand [B, heads, rows, width]: where a head's rows start, and how far apart rows are.
struct Heads {
  const Array* x;
  int64_t at(int64_t b, int64_t h) const { return b * x->strides[0] + h * x->strides[1]; }
  int64_t row() const { return x->strides[2]; }
};

/// Keys [first, end) that a query may see by position.
struct Span {
  int64_t first, end;
};

/// The operands of one call. Queries of the heads that share keys are numbered t * group + r: token t, head r of the
/// group.
struct Attention {
  Heads q, k, v;
  const Array *mask, *sinks, *length;
  const Array& out;
  const AttentionParams& p;
  int64_t batch, heads, groups, queries, keys, width, out_width, group, rows;

  explicit Attention(const Call& c) : q{&c.in[0]}, k{&c.in[1]}, v{&c.in[2]}, out(c.out[0]), p(c.as<AttentionParams>()) {
    const Array* next = c.in + 3;
    mask = p.has_mask ? next++ : nullptr;
    sinks = p.has_sinks ? next++ : nullptr;
    length = p.has_length ? next : nullptr;
    batch = q.x->shape[0];
    heads = q.x->shape[1];
    queries = q.x->shape[2];
    width = q.x->shape[3];
    groups = k.x->shape[1];
    keys = k.x->shape[2];
    out_width = v.x->shape[3];
    group = groups > 0 ? heads / groups : 0;
    rows = queries * group;
  }
  int64_t keys_of(int64_t b) const {
    return length ? length->as<int32_t>()[length->ndim == 0 ? 0 : b * length->strides[0]] : keys;
  }
  /// What query t sees of n keys: the last query stands at the last key.
  Span span(int64_t t, int64_t n) const {
    int64_t position = n - queries + t;
    int64_t first = p.window > 0 ? position - p.window + 1 : 0, end = p.causal ? position + 1 : n;
    return {first < 0 ? 0 : first, end < 0 ? 0 : end};
  }
  int64_t mask_at(int64_t b, int64_t h, int64_t t) const {
    return b * mask->strides[0] + h * mask->strides[1] + t * mask->strides[2];
  }
  int64_t out_at(int64_t b, int64_t h, int64_t t) const { return ((b * heads + h) * queries + t) * out_width; }
};

/// Applies a mask row to `n` scores that are `step` apart: a bool hides where false, a float is added.
template <class A, class M>
void apply_mask_row(const M* mask, int64_t mask_step, A* scores, int64_t step, int64_t n) {
  for (int64_t j = 0; j < n; j++) {
    if constexpr (__is_same(M, uint8_t)) {
      if (!mask[j * mask_step]) scores[j * step] = -static_cast<A>(__builtin_inff());
    } else {
      scores[j * step] += static_cast<A>(to_acc(mask[j * mask_step]));
    }
  }
}
/// `at` is where the row starts, `key` the first key.
template <class A>
void apply_mask(const Attention& a, int64_t at, int64_t key, A* scores, int64_t step, int64_t n) {
  int64_t mask_step = a.mask->strides[3];
  at += key * mask_step;
  if (a.mask->dtype == DType::bool_) return apply_mask_row(a.mask->as<uint8_t>() + at, mask_step, scores, step, n);
  with_float(a.mask->dtype, [&]<class M>(Tag<M>) { apply_mask_row(a.mask->as<M>() + at, mask_step, scores, step, n); });
}

/// Whether positions and a bool mask hide every key from a query. (Scores of -inf alone make NaN, as softmax says.)
inline bool sees_nothing(const Attention& a, int64_t b, int64_t h, int64_t t) {
  Span s = a.span(t, a.keys_of(b));
  if (s.first >= s.end) return true;
  if (!a.mask || a.mask->dtype != DType::bool_) return false;
  const uint8_t* row = a.mask->as<uint8_t>() + a.mask_at(b, h, t);
  for (int64_t j = s.first; j < s.end; j++) {
    if (row[j * a.mask->strides[3]]) return false;
  }
  return true;
}

/// The result of a query that sees nothing: MLX hides with the least finite number, so all keys get the same weight.
template <class T>
void write_mean(const Attention& a, int64_t b, int64_t h, T* out) {
  int64_t n = a.keys_of(b);
  const T* v = a.v.x->as<T>() + a.v.at(b, h / a.group);
  for (int64_t e = 0; e < a.out_width; e++) {
    Acc<T> sum = 0;
    for (int64_t j = 0; j < n; j++) sum += to_acc(v[j * a.v.row() + e]);
    out[e] = from_acc<T>(n > 0 ? sum / static_cast<Acc<T>>(n) : 0);
  }
}
/// Writes e^(scores - max) / sum * V of one query, given the unnormalised `values`, `step` apart.
template <class T>
DENIM_INLINE void write_row(const Attention& a, int64_t b, int64_t h, int64_t t, Acc<T> max, Acc<T> sum,
                            const Acc<T>* values, int64_t step) {
  T* out = a.out.as<T>() + a.out_at(b, h, t);
  if (max == -static_cast<Acc<T>>(__builtin_inff()) && !a.sinks && sees_nothing(a, b, h, t))
    return write_mean(a, b, h, out);
  Acc<T> scale = 1 / sum;
  for (int64_t e = 0; e < a.out_width; e++) out[e] = from_acc<T>(values[e * step] * scale);
}

template <class T>
Acc<T> sink_of(const Attention& a, int64_t h) {
  return to_acc(a.sinks->as<T>()[h * a.sinks->strides[0]]);
}

}  // namespace denim::DENIM_ISA::wide
