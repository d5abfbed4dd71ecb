// softmax(scale q k^T + mask) v without the matrix of scores: checks, choice of the method, and the validation of
// lengths.
#include <stdio.h>

#include "fast_attention_decode.h"
#include "fast_attention_tiles.h"

namespace denim::DENIM_ISA {
namespace {
using namespace wide;

constexpr int64_t kDecodeRows = 8;            // queries per key head up to which the streaming way is the faster
constexpr int64_t kMostKeys = 1ll << 30;      // positions are 32-bit lanes
constexpr int64_t kMostElements = 1ll << 40;  // of q, which may be broadcast: sizes in bytes fit 64 bits

const char* check_optional(const Call& c, const Attention& a) {
  if (a.mask) {
    bool fits = a.mask->ndim == 4 && a.mask->shape[0] == a.batch && a.mask->shape[1] == a.heads &&
                a.mask->shape[2] == a.queries && a.mask->shape[3] == a.keys;
    if (!fits || (a.mask->dtype != DType::bool_ && !is_float(a.mask->dtype)))
      return "expected a bool or float mask [B, H, L, S]";
  }
  if (a.sinks && (a.sinks->ndim != 1 || a.sinks->shape[0] != a.heads || a.sinks->dtype != c.in[0].dtype)) {
    return "expected one sink per head, of the dtype of q";
  }
  if (a.length && (a.length->dtype != DType::int32 || a.length->ndim > 1 ||
                   (a.length->ndim == 1 && a.length->shape[0] != a.batch))) {
    return "expected an int32 length, 0-d or one per row of the batch";
  }
  return nullptr;
}

const char* check_attention(const Call& c) {
  const auto& p = c.as<AttentionParams>();
  if (c.n_in != 3 + (p.has_mask != 0) + (p.has_sinks != 0) + (p.has_length != 0) || c.n_out != 1)
    return "wrong number of operands";
  for (int i = 0; i < 3; i++) {
    if (c.in[i].ndim != 4 || !unit_last(c.in[i])) return "expected q, k and v of 4 axes with unit stride in the last";
    if (!is_float(c.in[i].dtype) || c.in[i].dtype != c.out[0].dtype)
      return "expected q, k, v and the result of one float dtype";
  }
  Attention a(c);
  const int64_t *k = a.k.x->shape, *v = a.v.x->shape, *out = c.out[0].shape;
  if (k[0] != a.batch || v[0] != a.batch || k[3] != a.width || v[1] != k[1] || v[2] != k[2])
    return "expected k [B, G, S, D] and v [B, G, S, E]";
  if (c.out[0].ndim != 4 || out[0] != a.batch || out[1] != a.heads || out[2] != a.queries || out[3] != a.out_width) {
    return "expected a result [B, H, L, E]";
  }
  if (a.heads > 0 && (a.groups == 0 || a.heads % a.groups))
    return "expected as many heads as a multiple of the key heads";
  if (a.keys > kMostKeys || a.queries > kMostKeys || a.q.x->size > kMostElements || p.window < 0)
    return "expected fewer keys and queries, and a window of at least 0";
  return check_optional(c, a);
}

/// Vectors of queries per tile, or 0 for the streaming way. One query over many keys is cut by keys, as there are few
/// tiles.
template <class T>
int tile_vectors(const Attention& a) {
  int64_t lanes = kLanes<Acc<T>>;
  if (a.rows <= kDecodeRows || (a.queries == 1 && a.rows <= 4 * kDecodeRows)) return 0;
  return a.rows <= lanes ? 1 : 2;
}

size_t scratch_attention(const Call& c) {
  if (c.out[0].size == 0) return 0;
  Attention a(c);
  return with_float(c.out[0].dtype, [&]<class T>(Tag<T>) {
    int vectors = tile_vectors<T>(a);
    int64_t n = vectors ? tile_scratch<T>(a, vectors * kLanes<Acc<T>>) * worker_count() : DecodePlan<T>(a).size(a);
    return static_cast<size_t>(n) * sizeof(Acc<T>);
  });
}

const char* run_attention(const Call& c) {
  if (c.out[0].size == 0) return nullptr;
  Attention a(c);
  for (int64_t b = 0; b < a.batch && a.length; b++) {
    int64_t n = a.keys_of(b);
    if (n < 0 || n > a.keys) {
      static thread_local char text[96];
      snprintf(text, sizeof text, "length %lld is out of range for %lld keys", static_cast<long long>(n),
               static_cast<long long>(a.keys));
      return text;
    }
  }
  with_float(c.out[0].dtype, [&]<class T>(Tag<T>) {
    auto* scratch = reinterpret_cast<Acc<T>*>(c.scratch);
    switch (tile_vectors<T>(a)) {
      case 0: return run_decode<T>(a, scratch);
      case 1: return run_tiles<T, 1>(a, scratch);
      default: return run_tiles<T, 2>(a, scratch);
    }
  });
  return nullptr;
}

}  // namespace

extern const Kernel kernel_attention = {check_attention, scratch_attention, run_attention};

}  // namespace denim::DENIM_ISA
