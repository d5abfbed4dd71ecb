// Ordered keys: unsigned integers that compare as the elements do, so that sort, argsort, argmax and argmin know four
// key types instead of fourteen dtypes. NaN has the largest key; complex numbers are ordered by (re, im).
#pragma once
#include "cpu/simd.h"
#include "kernel.h"

namespace denim::DENIM_ISA {

/// How elements become keys: `descending` turns the order (NaN stays last); `merge_zeros` gives -0 the key of 0.
struct KeyOrder {
  bool descending, merge_zeros;
};

/// Bytes of a dtype's keys.
constexpr int64_t key_size(DType d) { return item_size(d); }

template <class K>
constexpr K kTop = static_cast<K>(K(1) << (sizeof(K) * 8 - 1));

/// Of the bits of a float whose infinity has the bits `infinity`: the sign bit turned, all others too if it was set.
template <class K>
inline K float_key(K u, K infinity, KeyOrder order) {
  const K absolute = static_cast<K>(u & static_cast<K>(~kTop<K>));
  if (order.merge_zeros && absolute == 0) u = 0;
  const K key = (u & kTop<K>) != 0 ? static_cast<K>(~u) : static_cast<K>(u | kTop<K>);
  const K turned = order.descending ? static_cast<K>(~key) : key;
  return absolute > infinity ? static_cast<K>(~K(0)) : turned;
}
template <class K>
inline K float_from_key(K key) {
  return (key & kTop<K>) != 0 ? static_cast<K>(key & static_cast<K>(~kTop<K>)) : static_cast<K>(~key);
}
inline uint64_t complex_key(uint64_t u, KeyOrder order) {
  const uint32_t re = static_cast<uint32_t>(u), im = static_cast<uint32_t>(u >> 32);
  if ((re & 0x7fffffffu) > 0x7f800000u || (im & 0x7fffffffu) > 0x7f800000u) return ~uint64_t{0};
  return (static_cast<uint64_t>(float_key(re, 0x7f800000u, order)) << 32) | float_key(im, 0x7f800000u, order);
}
/// The bits of the dtype's infinity, or 0 where it is no float.
constexpr uint64_t infinity_bits(DType d) {
  return d == DType::float16    ? 0x7c00
         : d == DType::bfloat16 ? 0x7f80
         : d == DType::float32  ? 0x7f800000
         : d == DType::float64  ? 0x7ff0000000000000
                                : 0;
}
constexpr bool is_signed_int(DType d) { return d >= DType::int8 && d <= DType::int64; }

/// The keys of n elements, `step` elements apart. K has the dtype's size.
template <class K>
void load_keys(K* keys, const K* x, DType dtype, int64_t n, int64_t step, KeyOrder order) {
  const K infinity = static_cast<K>(infinity_bits(dtype)), turn = order.descending ? static_cast<K>(~K(0)) : K(0);
  if (infinity != 0) {
    if (step == 1) {
      for (int64_t i = 0; i < n; i++) keys[i] = float_key(x[i], infinity, order);
    } else {
      for (int64_t i = 0; i < n; i++) keys[i] = float_key(x[i * step], infinity, order);
    }
  } else if (dtype == DType::complex64) {
    for (int64_t i = 0; i < n; i++) keys[i] = static_cast<K>(complex_key(static_cast<uint64_t>(x[i * step]), order));
  } else {
    const K flip = static_cast<K>(turn ^ (is_signed_int(dtype) ? kTop<K> : K(0)));
    for (int64_t i = 0; i < n; i++) keys[i] = static_cast<K>(x[i * step] ^ flip);
  }
}
/// Back from ascending keys that kept their zeros apart; NaN comes back as one NaN. Not for complex64.
template <class K>
void store_keys(K* x, const K* keys, DType dtype, int64_t n, int64_t step) {
  const bool floating = infinity_bits(dtype) != 0;
  const K flip = is_signed_int(dtype) ? kTop<K> : K(0);
  for (int64_t i = 0; i < n; i++) x[i * step] = floating ? float_from_key(keys[i]) : static_cast<K>(keys[i] ^ flip);
}

}  // namespace denim::DENIM_ISA
