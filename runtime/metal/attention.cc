// attention on the GPU: tiles for many queries, or a few rows over parts of the keys and a second pass that joins them.
#include "metal/family.h"

namespace denim::metal {
namespace {

constexpr int64_t kSlots = 64;       // rows times elements per lane of attend_keys
constexpr int64_t kMostRows = 8;     // of its threadgroups
constexpr int64_t kTileWidth = 256;  // widths up to which tiles fit
constexpr int64_t kMostWidth = 1024;
constexpr int64_t kPartLength = 128;  // keys of a part, at least
constexpr int64_t kMostGroups = 256;  // threadgroups that a split aims at

/// Mirrors `Attention` of kernels/attention.metal.
struct Attention {
  int64_t q_batch, q_head, q_row, k_batch, k_head, k_row, v_batch, v_head, v_row;
  int64_t mask_batch, mask_head, mask_row, mask_key;
  int32_t heads, key_heads, queries, keys, group, rows;
  int32_t causal, window, length_stride, sink_stride;
  int32_t part_length, parts;
  float scale;
};

struct Operands {
  const Array *q, *k, *v, *mask, *sinks, *length;
};
Operands operands_of(const Call& call) {
  const auto& p = call.as<AttentionParams>();
  const Array* next = call.in + 3;
  Operands o{&call.in[0], &call.in[1], &call.in[2], nullptr, nullptr, nullptr};
  if (p.has_mask) o.mask = next++;
  if (p.has_sinks) o.sinks = next++;
  if (p.has_length) o.length = next;
  return o;
}

Attention attention_of(const Call& call, const Operands& o) {
  const auto& p = call.as<AttentionParams>();
  Attention a{};
  const int64_t *q = o.q->strides, *k = o.k->strides, *v = o.v->strides;
  a.q_batch = q[0], a.q_head = q[1], a.q_row = q[2];
  a.k_batch = k[0], a.k_head = k[1], a.k_row = k[2];
  a.v_batch = v[0], a.v_head = v[1], a.v_row = v[2];
  if (o.mask) {
    const int64_t* m = o.mask->strides;
    a.mask_batch = m[0], a.mask_head = m[1], a.mask_row = m[2], a.mask_key = m[3];
  }
  a.heads = static_cast<int32_t>(o.q->shape[1]);
  a.key_heads = static_cast<int32_t>(o.k->shape[1]);
  a.queries = static_cast<int32_t>(o.q->shape[2]);
  a.keys = static_cast<int32_t>(o.k->shape[2]);
  a.group = a.heads / a.key_heads;
  a.rows = a.queries * a.group;
  a.causal = p.causal != 0;
  a.window = static_cast<int32_t>(min_of(p.window, INT32_MAX));
  a.length_stride = static_cast<int32_t>(o.length && o.length->ndim ? o.length->strides[0] : 0);
  a.sink_stride = static_cast<int32_t>(o.sinks ? o.sinks->strides[0] : 0);
  a.scale = static_cast<float>(p.scale);
  return a;
}

/// How rows are cut into threadgroups, and keys into parts; tiles if `rows` is 0.
struct Plan {
  int64_t rows, parts, part_length, entries;
};
Plan plan_of(const Operands& o, const Attention& a) {
  const int64_t width = max_of(o.q->shape[3], o.v->shape[3]), entries = o.q->shape[0] * a.key_heads;
  Plan p{0, 1, a.keys, entries};
  if (width <= kTileWidth && a.rows > kMostRows && a.queries > 1) return p;
  p.rows = max_of(1, min_of(min_of(a.rows, kMostRows), kSlots / max_of(1, ceil_div(width, 32))));
  const int64_t blocks = ceil_div(a.rows, p.rows) * entries;
  const int64_t parts = max_of(1, min_of(ceil_div(a.keys, kPartLength), kMostGroups / max_of(1, blocks)));
  p.part_length = max_of(1, ceil_div(a.keys, parts));
  p.parts = max_of(1, ceil_div(a.keys, p.part_length));
  return p;
}

size_t scratch_of(const Call& call) {
  if (call.out[0].size == 0) return 0;
  const Operands o = operands_of(call);
  const Attention a = attention_of(call, o);
  const Plan p = plan_of(o, a);
  if (p.parts == 1) return 0;
  return static_cast<size_t>(p.entries * a.rows * p.parts * (o.v->shape[3] + 3)) * sizeof(float);
}

int32_t mask_kind(const Array* mask) {
  if (!mask) return 0;
  switch (mask->dtype) {
    case DType::bool_: return 1;
    case DType::float32: return 2;
    case DType::float16: return 3;
    default: return 4;
  }
}

void bind(const Operands& o, const Attention& a, const Array& out, Encoder& e) {
  array_or_nothing(e, 0, o.q);
  array_or_nothing(e, 1, o.k);
  array_or_nothing(e, 2, o.v);
  array_or_nothing(e, 3, o.mask);
  array_or_nothing(e, 4, o.sinks);
  array_or_nothing(e, 5, o.length);
  e.array(6, out, kWrite);
  e.value(7, a);
  e.bad_index(8);
}

void encode(const Call& call, Encoder& e) {
  const Array& out = call.out[0];
  if (out.size == 0) return;
  const Operands o = operands_of(call);
  Attention a = attention_of(call, o);
  const Plan p = plan_of(o, a);
  a.parts = static_cast<int32_t>(p.parts);
  a.part_length = static_cast<int32_t>(p.part_length);
  const int64_t item = item_size(out.dtype), width = max_of(o.q->shape[3], o.v->shape[3]);
  const int64_t stride = ceil_div(width, 8) * 8 + 16 / item, tile_keys = 32 * stride * item <= 20 * 1024 ? 32 : 16;
  const int32_t constants[] = {static_cast<int32_t>(o.q->shape[3]), static_cast<int32_t>(o.v->shape[3]),
                               mask_kind(o.mask), o.sinks != nullptr, o.length != nullptr,
                               has_aligned_quads(*o.k, 3), has_aligned_quads(*o.v, 3), static_cast<int32_t>(p.rows),
                               static_cast<int32_t>(tile_keys), p.parts > 1};
  const char* define = element_define(out.dtype);
  if (p.rows == 0) {
    e.kernel("attention", "attend_tiles", define, constants, 10);
    bind(o, a, out, e);
    e.local(0, static_cast<size_t>(tile_keys * stride * item));
    return e.groups({grid_size(ceil_div(a.rows, 32)), grid_size(p.entries), 1}, {128, 1, 1});
  }
  const int64_t partial_bytes = static_cast<int64_t>(scratch_of(call));
  e.kernel("attention", "attend_keys", define, constants, 10);
  bind(o, a, out, e);
  if (p.parts > 1) {
    e.memory(9, call.scratch, partial_bytes, kWrite);
  } else {
    array_or_nothing(e, 9, nullptr);
  }
  e.local(0, static_cast<size_t>(8 * 32 * ceil_div(o.v->shape[3], 32)) * sizeof(float));
  e.groups({grid_size(p.parts), grid_size(ceil_div(a.rows, p.rows)), grid_size(p.entries)}, {256, 1, 1});
  if (p.parts == 1) return;
  e.kernel("attention", "attend_parts", define, constants, 10);
  array_or_nothing(e, 2, o.v);
  array_or_nothing(e, 4, o.sinks);
  array_or_nothing(e, 5, o.length);
  e.array(6, out, kWrite);
  e.value(7, a);
  e.bad_index(8);
  e.memory(9, call.scratch, partial_bytes, kRead);
  e.groups({grid_size(a.rows), grid_size(p.entries), 1}, {32, 1, 1});
}

bool can(const Call& call) {
  const Operands o = operands_of(call);
  const bool masked = !o.mask || o.mask->dtype == DType::bool_ || is_gpu_float(o.mask->dtype);
  return is_gpu_float(o.q->dtype) && masked && max_of(o.q->shape[3], o.v->shape[3]) <= kMostWidth;
}

}  // namespace

extern const GpuKernel gpu_attention = {can, scratch_of, encode};

}  // namespace denim::metal
