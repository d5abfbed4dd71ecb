// Quantized weights as MLX stores them: each row is a little-endian string of bits (integers of 2 to 8 bits, or fp4
// e2m1, fp8 e4m3), cut into groups with one scale (and one bias) each: weight = scale * code + bias. Here: reading
// scales and turning 16 codes at a time, in their order, into floats. The decode path for 4 and 8 bits has its own
// order of lanes.
#pragma once
#include "matmul.h"

namespace denim::DENIM_ISA {

enum class Code : uint8_t { int2, int3, int4, int5, int6, int8, fp4, fp8 };
constexpr int kCodes = 8;
constexpr int kCodeBits[kCodes] = {2, 3, 4, 5, 6, 8, 4, 8};
enum class ScaleType : uint8_t { f32, f16, bf16, e8m0, e4m3 };

/// A matrix as it is stored: `rows` rows of `cols` weights; its last axis is the one that is quantized.
struct Weights {
  const uint8_t *codes, *scales, *biases;  // biases: null for the fp codes
  int64_t code_stride;                     // bytes between rows
  int64_t scale_stride, bias_stride;       // elements between rows
  int64_t rows, cols;
  int group;
  Code code;
  ScaleType scale_type;
};

/// 2^(s - 127); 255 is infinity, as in MLX.
DENIM_INLINE float read_e8m0(uint8_t s) {
  return bit_cast<float>(s == 0 ? 0x00400000u : static_cast<uint32_t>(s) << 23);
}

/// fp8 e4m3 in the low byte of each lane; S is an integer vector of unsigned lanes or a uint32_t, F the same of floats.
/// Exponent and mantissa move to their places in a float with the bias corrected; codes without an exponent got a
/// leading one by that, worth 2^-7, and half their step. 127 is NaN.
template <class F, class S>
DENIM_INLINE F decode_e4m3(S code) {
  const F size = bit_cast<F>(((code & 0x7f) << 20) + (120u << 23));
  const F small = (size - bit_cast<float>(120u << 23)) * 2.0f;
  F value;
  if constexpr (sizeof(S) == 4) {
    value = (code & 0x7f) == 0x7f ? __builtin_nanf("") : (code & 0x78) ? size : small;
  } else {
    const S is_small = bit_cast<S>((code & 0x78) == 0u), is_nan = bit_cast<S>((code & 0x7f) == 0x7fu);
    value = bit_cast<F>((bit_cast<S>(small) & is_small) | (bit_cast<S>(size) & ~is_small) | (is_nan & 0x7fc00000u));
  }
  return bit_cast<F>(bit_cast<S>(value) | (code & 0x80) << 24);
}

/// fp4 e2m1: sign and one of 0, 0.5, 1, 1.5, 2, 3, 4, 6, whose doubles are the digits of a constant.
DENIM_INLINE VecF decode_e2m1(VecU code) {
  const VecU twice = (VecU(0xC8643210u) >> ((code & 7) << 2)) & 15;
  const VecF size = __builtin_convertvector(bit_cast<VecI>(twice), VecF) * 0.5f;
  return bit_cast<VecF>(bit_cast<VecU>(size) | (code & 8) << 28);
}

/// The i-th scale (or bias) from `base`.
DENIM_INLINE float read_scale(ScaleType type, const uint8_t* base, int64_t i) {
  switch (type) {
    case ScaleType::f32: return load_raw<float>(base + 4 * i);
    case ScaleType::f16: return load_one(reinterpret_cast<const Half*>(base) + i);
    case ScaleType::bf16: return load_one(reinterpret_cast<const BFloat*>(base) + i);
    case ScaleType::e8m0: return read_e8m0(base[i]);
    case ScaleType::e4m3: return decode_e4m3<float, uint32_t>(base[i]);
  }
}
constexpr int scale_size(ScaleType type) {
  return type == ScaleType::f32 ? 4 : type == ScaleType::f16 || type == ScaleType::bf16 ? 2 : 1;
}

using Bytes16 = VecOf<uint8_t, 16>;
constexpr int kUnit = 16;  // codes that are unpacked together: 2 * bits bytes
constexpr int kUnitVecs = kUnit / kF32Lanes;

// The byte of a unit that goes to byte j of vector `vec`: a code lies in at most two bytes; 16 is a byte of zeros.
template <int Bits, int Vec>
constexpr int source_byte(int j) {
  const int bit = (Vec * kF32Lanes + j / 4) * Bits, byte = j % 4;
  return byte < (bit % 8 + Bits + 7) / 8 ? bit / 8 + byte : 16;
}
template <int Bits, int Vec, int... J, int... L>
DENIM_INLINE VecU spread_codes(Bytes16 unit, Sequence<J...>, Sequence<L...>) {
  const VecU wide = bit_cast<VecU>(__builtin_shufflevector(unit, Bytes16(0), source_byte<Bits, Vec>(J)...));
  constexpr VecU shifts = {static_cast<uint32_t>((Vec * kF32Lanes + L) * Bits % 8)...};
  return wide >> shifts & ((1u << Bits) - 1);
}
template <Code C, int Vec>
DENIM_INLINE VecF unpack_vec(Bytes16 unit) {
  constexpr int bits = kCodeBits[static_cast<int>(C)];
  const VecU codes = spread_codes<bits, Vec>(unit, Iota<kVecBytes>(), Iota<kF32Lanes>());
  if constexpr (C == Code::fp4) {
    return decode_e2m1(codes);
  } else if constexpr (C == Code::fp8) {
    return decode_e4m3<VecF, VecU>(codes);
  } else {
    return __builtin_convertvector(bit_cast<VecI>(codes), VecF);
  }
}
/// 16 codes as floats, in order: kUnitVecs vectors.
template <Code C>
DENIM_INLINE void unpack_unit(const uint8_t* p, VecF* out) {
  Bytes16 unit = {};
  memcpy(&unit, p, 2 * kCodeBits[static_cast<int>(C)]);
  out[0] = unpack_vec<C, 0>(unit);
  if constexpr (kUnitVecs > 1) out[1] = unpack_vec<C, 1>(unit);
  if constexpr (kUnitVecs > 2) {
    out[2] = unpack_vec<C, 2>(unit);
    out[3] = unpack_vec<C, 3>(unit);
  }
}

/// Weights [first, first + n) of a row as floats; first and n are multiples of 16.
template <Code C>
void dequantize_row(const Weights& w, int64_t row, int64_t first, int64_t n, float* out) {
  constexpr int bits = kCodeBits[static_cast<int>(C)];
  const uint8_t* codes = w.codes + row * w.code_stride + first / 8 * bits;
  const int size = scale_size(w.scale_type);
  const uint8_t* scales = w.scales + row * w.scale_stride * size;
  const uint8_t* biases = w.biases ? w.biases + row * w.bias_stride * size : nullptr;
  int64_t group = first / w.group, left = w.group - first % w.group;
  for (int64_t i = 0; i < n; group++, left = w.group) {
    const VecF scale = read_scale(w.scale_type, scales, group);
    const VecF bias = biases ? read_scale(w.scale_type, biases, group) : 0.0f;
    for (const int64_t end = min_of(n, i + left); i < end; i += kUnit, codes += 2 * bits, out += kUnit) {
      VecF v[kUnitVecs];
      unpack_unit<C>(codes, v);
      for (int s = 0; s < kUnitVecs; s++) store(out + s * kF32Lanes, v[s] * scale + bias);  // rounded twice, as in MLX
    }
  }
}

using DequantizeRow = void (*)(const Weights&, int64_t row, int64_t first, int64_t n, float* out);
constexpr DequantizeRow kDequantizeRow[kCodes] = {
    dequantize_row<Code::int2>, dequantize_row<Code::int3>, dequantize_row<Code::int4>, dequantize_row<Code::int5>,
    dequantize_row<Code::int6>, dequantize_row<Code::int8>, dequantize_row<Code::fp4>,  dequantize_row<Code::fp8>,
};

}  // namespace denim::DENIM_ISA
