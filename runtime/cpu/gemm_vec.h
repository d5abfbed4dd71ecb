// Vectors of the matrix kernels: full-width loads and stores with conversion between stored elements (float, double,
// half, bfloat16) and the type of accumulation, partial loads for edges, transposition in registers, sums.
#pragma once
#include <string.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "../kernel.h"

#define DENIM_INLINE inline __attribute__((always_inline))

namespace denim::DENIM_ISA {

#if defined(__AVX512F__)
constexpr int kVecBytes = 64;
constexpr int kMaxRows = 14;  // rows of the largest micro-kernel: kMaxRows * 2 accumulators + 3 fit the register file
#elif defined(__AVX2__)
constexpr int kVecBytes = 32;
constexpr int kMaxRows = 6;
#elif defined(__aarch64__)
constexpr int kVecBytes = 16;
constexpr int kMaxRows = 12;
#else
constexpr int kVecBytes = 16;
constexpr int kMaxRows = 6;
#endif

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }
inline int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t max_of(int64_t a, int64_t b) { return a > b ? a : b; }

struct Half {
  uint16_t bits;
};
struct BFloat {
  uint16_t bits;
};

template <class T, int N>
using VecOf = T __attribute__((ext_vector_type(N)));
template <class T>
constexpr int kLanes = kVecBytes / static_cast<int>(sizeof(T));
/// A register full of T.
template <class T>
using Vec = VecOf<T, kLanes<T>>;
constexpr int kF32Lanes = kLanes<float>;
using VecF = Vec<float>;
using VecU = Vec<uint32_t>;
using VecI = Vec<int32_t>;
using VecH = VecOf<uint16_t, kF32Lanes>;  // as many halves as a VecF has floats

/// The type that products of stored elements E are summed in.
template <class E>
struct AccOf {
  using type = float;
};
template <>
struct AccOf<double> {
  using type = double;
};
template <class E>
using Acc = typename AccOf<E>::type;

template <class V>
DENIM_INLINE V load_raw(const void* p) {
  V v;
  memcpy(&v, p, sizeof v);
  return v;
}
template <class V>
DENIM_INLINE void store_raw(void* p, V v) {
  memcpy(p, &v, sizeof v);
}
template <class To, class From>
DENIM_INLINE To bit_cast(From v) {
  static_assert(sizeof(To) == sizeof(From));
  return __builtin_bit_cast(To, v);
}

DENIM_INLINE VecF widen_bfloat(VecH h) { return bit_cast<VecF>(__builtin_convertvector(h, VecU) << 16); }

DENIM_INLINE VecF widen_half(VecH h) {
#if defined(__F16C__) || defined(__aarch64__)
  return __builtin_convertvector(bit_cast<VecOf<_Float16, kF32Lanes>>(h), VecF);
#else
  // Exponent and mantissa move up by 13 bits, the exponent's bias grows by 112; subnormals lose their wrong leading one
  // by a subtraction, infinities and NaN get the largest exponent.
  const VecU wide = __builtin_convertvector(h, VecU);
  const VecU magnitude = (wide & 0x7fff) << 13, exponent = magnitude & 0x0f800000u;
  const VecU normal = magnitude + (112u << 23), special = magnitude + (224u << 23);
  const VecU subnormal = bit_cast<VecU>(bit_cast<VecF>(magnitude + (113u << 23)) - bit_cast<float>(113u << 23));
  const VecU is_special = bit_cast<VecU>(exponent == 0x0f800000u), is_small = bit_cast<VecU>(exponent == 0u);
  const VecU bits = (special & is_special) | (subnormal & is_small) | (normal & ~(is_special | is_small));
  return bit_cast<VecF>(bits | (wide & 0x8000) << 16);
#endif
}

DENIM_INLINE VecH narrow_bfloat(VecF v) {
  const VecU bits = bit_cast<VecU>(v);
  const VecU rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16, nan = (bits >> 16) | 0x40;
  const VecU is_nan = bit_cast<VecU>(v != v);
  return __builtin_convertvector((nan & is_nan) | (rounded & ~is_nan), VecH);
}

DENIM_INLINE VecH narrow_half(VecF v) { return bit_cast<VecH>(__builtin_convertvector(v, VecOf<_Float16, kF32Lanes>)); }

/// a * b + c, fused where the instruction set can.
template <class V>
DENIM_INLINE V mul_add(V a, V b, V c) {
#pragma clang fp contract(fast)
  return a * b + c;
}

/// A vector of elements, widened to the type of accumulation.
DENIM_INLINE VecF load(const float* p) { return load_raw<VecF>(p); }
DENIM_INLINE Vec<double> load(const double* p) { return load_raw<Vec<double>>(p); }
DENIM_INLINE VecF load(const Half* p) { return widen_half(load_raw<VecH>(p)); }
DENIM_INLINE VecF load(const BFloat* p) { return widen_bfloat(load_raw<VecH>(p)); }
DENIM_INLINE void store(float* p, VecF v) { store_raw(p, v); }
DENIM_INLINE void store(double* p, Vec<double> v) { store_raw(p, v); }
DENIM_INLINE void store(Half* p, VecF v) { store_raw(p, narrow_half(v)); }
DENIM_INLINE void store(BFloat* p, VecF v) { store_raw(p, narrow_bfloat(v)); }

/// Copies n < 64 bytes' worth of elements (n < lanes of the caller's vector) without a call.
template <class E>
DENIM_INLINE void copy_few(E* to, const E* from, int n) {
  int at = 0;
  if (n & 8) memcpy(to, from, 8 * sizeof(E)), at = 8;
  if (n & 4) memcpy(to + at, from + at, 4 * sizeof(E)), at += 4;
  if (n & 2) memcpy(to + at, from + at, 2 * sizeof(E)), at += 2;
  if (n & 1) memcpy(to + at, from + at, sizeof(E));
}
/// The first n < lanes elements, then zeros.
#if defined(__AVX512F__)
DENIM_INLINE VecF load_few(const float* p, int n) {
  return bit_cast<VecF>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1 << n) - 1), p));
}
DENIM_INLINE Vec<double> load_few(const double* p, int n) {
  return bit_cast<Vec<double>>(_mm512_maskz_loadu_pd(static_cast<__mmask8>((1 << n) - 1), p));
}
DENIM_INLINE VecH load_few_bits(const void* p, int n) {
  return bit_cast<VecH>(_mm256_maskz_loadu_epi16(static_cast<__mmask16>((1 << n) - 1), p));
}
DENIM_INLINE VecF load_few(const Half* p, int n) { return widen_half(load_few_bits(p, n)); }
DENIM_INLINE VecF load_few(const BFloat* p, int n) { return widen_bfloat(load_few_bits(p, n)); }
#else
template <class E>
DENIM_INLINE Vec<Acc<E>> load_few(const E* p, int n) {
  E few[kLanes<Acc<E>>] = {};
  copy_few(few, p, n);
  return load(few);
}
#endif
template <class E>
DENIM_INLINE void store_few(E* p, Vec<Acc<E>> v, int n) {
  E few[kLanes<Acc<E>>];
  store(few, v);
  copy_few(p, few, n);
}
#if defined(__AVX512F__)
DENIM_INLINE void store_few(float* p, VecF v, int n) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1 << n) - 1), bit_cast<__m512>(v));
}
DENIM_INLINE void store_few(double* p, Vec<double> v, int n) {
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1 << n) - 1), bit_cast<__m512d>(v));
}
#endif

DENIM_INLINE float load_one(const float* p) { return *p; }
DENIM_INLINE double load_one(const double* p) { return *p; }
DENIM_INLINE float load_one(const Half* p) { return widen_half(VecH(p->bits))[0]; }
DENIM_INLINE float load_one(const BFloat* p) { return bit_cast<float>(static_cast<uint32_t>(p->bits) << 16); }
DENIM_INLINE void store_one(float* p, float v) { *p = v; }
DENIM_INLINE void store_one(double* p, double v) { *p = v; }
DENIM_INLINE void store_one(Half* p, float v) { p->bits = narrow_half(VecF(v))[0]; }
DENIM_INLINE void store_one(BFloat* p, float v) { p->bits = narrow_bfloat(VecF(v))[0]; }

/// The sum of the lanes, in a fixed order (halves onto halves).
DENIM_INLINE float sum_lanes(float v) { return v; }
DENIM_INLINE double sum_lanes(double v) { return v; }
template <class T, int N>
DENIM_INLINE T sum_lanes(VecOf<T, N> v) {
  if constexpr (N == 2) {
    return v[0] + v[1];
  } else {
    return sum_lanes<T, N / 2>(v.lo + v.hi);
  }
}

/// The numbers 0 ... N-1 as template arguments, for shuffles.
template <int... I>
struct Sequence {};
template <class T, T... I>
struct SequenceMaker {
  using type = Sequence<static_cast<int>(I)...>;
};
template <int N>
using Iota = typename __make_integer_seq<SequenceMaker, int, N>::type;

template <int Bit, int N, class V, int... I>
DENIM_INLINE void swap_bit(V& a, V& b, Sequence<I...>) {
  const V low = __builtin_shufflevector(a, b, ((I & Bit) ? (I ^ Bit) + N : I)...);
  b = __builtin_shufflevector(a, b, ((I & Bit) ? I + N : (I | Bit))...);
  a = low;
}
/// Transposes a square of lanes x lanes elements held in registers: each of log2(lanes) rounds swaps, between rows that
/// differ in one bit of their number, the elements that differ in the same bit of theirs.
template <class T>
DENIM_INLINE void transpose_square(Vec<T>* rows) {
  constexpr int n = kLanes<T>;
  const auto round = [&]<int Bit>() __attribute__((always_inline)) {
    if constexpr (Bit < n) {
#pragma clang loop unroll(full)
      for (int i = 0; i < n; i++) {
        if (!(i & Bit)) swap_bit<Bit, n>(rows[i], rows[i | Bit], Iota<n>());
      }
    }
  };
  round.template operator()<1>();
  round.template operator()<2>();
  round.template operator()<4>();
  round.template operator()<8>();
}

}  // namespace denim::DENIM_ISA
