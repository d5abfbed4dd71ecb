// Vectors of one instruction set: types, unaligned loads and stores, and the half types' conversions, written once with
// clang's ext_vector_type. A vector of floats fills one register (kLanes); the matching doubles and integers have as
// many lanes. The mathematics on them is math.h.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef DENIM_ISA
#error "compile with -DDENIM_ISA=<name>"
#endif

// Vectors wider than a register never cross a call: every function on them is inlined.
#pragma clang diagnostic ignored "-Wpsabi"

/// Lets clang use whole registers in a function, whatever width the processor model prefers.
#if defined(__AVX512F__)
#define DENIM_WIDE __attribute__((min_vector_width(512)))
#else
#define DENIM_WIDE
#endif

namespace denim::DENIM_ISA {

#if defined(__AVX512F__)
constexpr int kVecBytes = 64;
#elif defined(__AVX2__)
constexpr int kVecBytes = 32;
#else
constexpr int kVecBytes = 16;
#endif
constexpr int kLanes = kVecBytes / 4;

template <class T, int N>
using Vec = T __attribute__((ext_vector_type(N)));
using F32 = Vec<float, kLanes>;
using F64 = Vec<double, kLanes>;
using I32 = Vec<int32_t, kLanes>;
using U32 = Vec<uint32_t, kLanes>;
using I64 = decltype(F64{} < F64{});  // of `long` everywhere, where int64_t may be `long long`
using U16 = Vec<uint16_t, kLanes>;

template <class V>
inline V load(const void* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof(V));
  return v;
}
template <class V>
inline void store(void* p, V v) {
  __builtin_memcpy(p, &v, sizeof(V));
}
/// The first `n` lanes; the others are 0.
template <class V>
inline V load_part(const void* p, int64_t n) {
  V v = 0;
  memcpy(&v, p, static_cast<size_t>(n) * (sizeof(V) / kLanes));
  return v;
}
template <class V>
inline void store_part(void* p, V v, int64_t n) {
  memcpy(p, &v, static_cast<size_t>(n) * (sizeof(V) / kLanes));
}
/// The same bits as another type.
template <class To, class From>
inline To bits(From v) {
  static_assert(sizeof(To) == sizeof(From));
  return __builtin_bit_cast(To, v);
}
inline F64 widen(F32 v) { return __builtin_convertvector(v, F64); }
inline F32 narrow(F64 v) { return __builtin_convertvector(v, F32); }

/// a * b + c, rounded once where the machine can.
template <class V>
inline V fma(V a, V b, V c) {
#if defined(__FMA__) || defined(__aarch64__)
  return __builtin_elementwise_fma(a, b, c);
#else
  return a * b + c;
#endif
}

/// ---- bfloat16: the upper half of a float, rounded to nearest even --------------------------------------------------
inline F32 bf16_to_f32(U16 h) { return bits<F32>(__builtin_convertvector(h, U32) << 16u); }
inline U16 f32_to_bf16(F32 x) {
  const U32 u = bits<U32>(x);
  const U32 rounded = (u + 0x7fffu + ((u >> 16u) & 1u)) >> 16u;
  const U32 quiet = (u >> 16u) | 0x40u;
  return __builtin_convertvector(x != x ? quiet : rounded, U16);
}
inline F32 round_bf16(F32 x) {
  const U32 u = bits<U32>(x);
  const U32 rounded = (u + 0x7fffu + ((u >> 16u) & 1u)) & 0xffff0000u;
  return x != x ? x : bits<F32>(rounded);
}

/// ---- float16 -------------------------------------------------------------------------------------------------------
#if defined(__F16C__) || defined(__aarch64__)
using F16 = Vec<_Float16, kLanes>;
inline F32 f16_to_f32(U16 h) { return __builtin_convertvector(bits<F16>(h), F32); }
inline U16 f32_to_f16(F32 x) { return bits<U16>(__builtin_convertvector(x, F16)); }
#else
inline F32 f16_to_f32(U16 h) {
  const U32 w = __builtin_convertvector(h, U32);
  const U32 magnitude = (w & 0x7fffu) << 13u;
  // 2^112 moves the exponent from bias 15 to 127 and makes subnormals normal; infinities and NaN keep their exponent.
  const F32 finite = bits<F32>(magnitude) * 0x1p112f;
  const U32 special = magnitude | 0x7f800000u;
  const U32 u = (w & 0x7fffu) >= 0x7c00u ? special : bits<U32>(finite);
  return bits<F32>(u | ((w & 0x8000u) << 16u));
}
inline U16 f32_to_f16(F32 x) {
  const U32 u = bits<U32>(x), a = u & 0x7fffffffu, sign = (u >> 16u) & 0x8000u;
  const U32 normal = (a + 0xfffu + ((a >> 13u) & 1u) - (112u << 23u)) >> 13u;
  // The last place of 0.5 is 2^-24, that of the subnormals: the addition rounds them.
  const U32 subnormal = bits<U32>(bits<F32>(a) + 0.5f) - 0x3f000000u;
  U32 h = a < 0x38800000u ? subnormal : normal;
  h = a >= 0x477ff000u ? U32(0x7c00u) : h;  // 65520 and above
  h = a > 0x7f800000u ? U32(0x7e00u) : h;
  return __builtin_convertvector(h | sign, U16);
}
#endif
inline F32 round_f16(F32 x) { return f16_to_f32(f32_to_f16(x)); }

/// One number at a time, for loops that are not worth vectors.
inline float half_to_float(uint16_t h) {
  U16 v = 0;
  v[0] = h;
  return f16_to_f32(v)[0];
}
inline uint16_t float_to_half(float x) { return f32_to_f16(F32(x))[0]; }
inline float bfloat_to_float(uint16_t h) { return __builtin_bit_cast(float, static_cast<uint32_t>(h) << 16); }
inline uint16_t float_to_bfloat(float x) {
  const uint32_t u = __builtin_bit_cast(uint32_t, x);
  if (x != x) return static_cast<uint16_t>((u >> 16) | 0x40u);
  return static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

}  // namespace denim::DENIM_ISA
