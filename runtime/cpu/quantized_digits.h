// The decode path in integers, for processors with dot products of bytes (AVX-512 VNNI). The numbers of x within a
// group become integers of 23 bits, x = step * n, and n becomes three signed digits of a byte,
// n = (d2 * 256 + d1) * 256 + d0. The dot product of four codes and four digits is one instruction, exact in 32 bits,
// so a group's sum (q - h) n has no error at all but for what n leaves of x: half a step, 2^-23 of the largest |x| of
// the group at most, as small as the rounding of a sum in floats. Codes of 3, 5 and 6 bits need VBMI to be spread into
// bytes.
#pragma once
#include "dispatch.h"
#include "quantized_few.h"

namespace denim::DENIM_ISA {

/// What a kind of codes needs: its blocks, how to write x, and floats per row of that.
struct DigitPath {
  const FewBlocks* blocks;
  bool (*prepare)(const Weights& w, const float* x, float* out);
  int64_t stride;
};

#if defined(__AVX512VNNI__)
using Bytes = VecOf<uint8_t, 64>;
using Digits = VecOf<int8_t, 16>;

constexpr int kDigits = 3;
constexpr float kLargestNumber = 127 * 65536 + 127 * 256 + 127;

/// Codes of fp4 doubled and moved by 12: 0 .. 24.
alignas(64) constexpr uint8_t kMovedE2m1[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

// Byte b of each eighth of a vector is byte `bits` * eighth + b of the codes; then each byte takes 8 bits of its
// eighth.
template <int Bits>
struct Spread {
  Bytes from, shift;
  constexpr Spread() : from(0), shift(0) {
    for (int i = 0; i < 64; i++) {
      from[i] = static_cast<uint8_t>(i / 8 * Bits + (i % 8 < Bits ? i % 8 : 0));
      shift[i] = static_cast<uint8_t>(i % 8 * Bits);
    }
  }
};
// By hand, as the file may be compiled for processors without VBMI, which are not sent here.
DENIM_INLINE Bytes permute_bytes(Bytes v, Bytes from) {
  Bytes result;
  __asm__("vpermb %2, %1, %0" : "=v"(result) : "v"(from), "v"(v));
  return result;
}
DENIM_INLINE Bytes shift_bytes(Bytes v, Bytes shift) {
  Bytes result;
  __asm__("vpmultishiftqb %2, %1, %0" : "=v"(result) : "v"(shift), "v"(v));
  return result;
}

/// A chunk of codes as vectors of bytes: byte i of vector s is code i * parts + s, so a lane has codes that follow one
/// another. Its x: digits (the high ones first, a vector per part), what makes q to q - h per lane, steps per lane.
template <Code Q>
struct InDigits {
  static constexpr int bits = kCodeBits[static_cast<int>(Q)];
  static constexpr bool spread = Q == Code::int3 || Q == Code::int5 || Q == Code::int6;
  static constexpr int parts = spread ? 1 : 8 / bits;
  static constexpr int codes = 64 * parts, bytes = codes * bits / 8, per_lane = 4 * parts;
  static constexpr bool two_sums = Q == Code::int8;  // 8-bit codes times 24-bit numbers need more than 32 bits
  static constexpr int x_floats = 16 * (kDigits * parts + (two_sums ? 2 : 1) + 1);
  static constexpr float half = Q == Code::fp4 ? 0 : 1 << (bits - 1);  // of the scales' share: fp codes have none
  static constexpr int moved = Q == Code::fp4 ? 12 : 1 << (bits - 1);

  static DENIM_INLINE void expand(Bytes raw, Bytes (&to)[parts]) {
    using Shorts = VecOf<uint16_t, 32>;
    if constexpr (spread) {
      constexpr Spread<bits> order;
      to[0] = shift_bytes(permute_bytes(raw, order.from), order.shift) & static_cast<uint8_t>((1 << bits) - 1);
    } else if constexpr (parts == 1) {
      to[0] = raw;
    } else {
#pragma clang loop unroll(full)
      for (int s = 0; s < parts; s++) {
        const Bytes moved_down = s ? bit_cast<Bytes>(bit_cast<Shorts>(raw) >> static_cast<uint16_t>(bits * s)) : raw;
        to[s] = moved_down & static_cast<uint8_t>((1 << bits) - 1);
        if constexpr (Q == Code::fp4) {
          const __m512i table = _mm512_broadcast_i32x4(load_raw<__m128i>(kMovedE2m1));
          to[s] = bit_cast<Bytes>(_mm512_shuffle_epi8(table, bit_cast<__m512i>(to[s])));
        }
      }
    }
  }
  template <bool Full>
  static DENIM_INLINE Bytes read(const uint8_t* p, int count) {
    if (Full && bytes == 64) return load_raw<Bytes>(p);
    const int n = Full ? bytes : count * bits / 8;
    return bit_cast<Bytes>(_mm512_maskz_loadu_epi8(n == 64 ? ~0ull : (1ull << n) - 1, p));
  }
  /// Sum of codes times numbers, q - h for q, per lane.
  static DENIM_INLINE VecF dot(const Bytes (&q)[parts], const float* x) {
    const auto add = [&](VecI sum, int digit) __attribute__((always_inline)) {
#pragma clang loop unroll(full)
      for (int s = 0; s < parts; s++) {
        const auto d = load_raw<__m512i>(x + 16 * ((2 - digit) * parts + s));
        sum = bit_cast<VecI>(_mm512_dpbusd_epi32(bit_cast<__m512i>(sum), bit_cast<__m512i>(q[s]), d));
      }
      return sum;
    };
    const float* moves = x + 16 * kDigits * parts;
    if constexpr (two_sums) {
      const VecI high = add((add(VecI(0), 2) << 8) + load_raw<VecI>(moves), 1);
      const VecI low = add(load_raw<VecI>(moves + 16), 0);
      return mul_add(__builtin_convertvector(high, VecF), VecF(256.0f), __builtin_convertvector(low, VecF));
    } else {
      const VecI sum = add(add(add(VecI(0), 2) << 8, 1) << 8, 0) + load_raw<VecI>(moves);
      return __builtin_convertvector(sum, VecF);
    }
  }
  template <int G, int R, int C, bool Full>
  static DENIM_INLINE void chunk(const ChunkAt& at, int count, VecF (&acc)[C][R]) {
#pragma clang loop unroll(full)
    for (int c = 0; c < C; c++) {
      const uint8_t* p = at.codes + c * at.code_stride;
      __builtin_prefetch(p + C * at.code_stride, 0, 2);  // into L2: the block after this one
      Bytes q[parts];
      expand(read<Full>(p, count), q);
      const VecF scale = spread_scales<G>(at.scales + c * kScaleRow, Iota<kF32Lanes>());
#pragma clang loop unroll(full)
      for (int r = 0; r < R; r++) {
        const float* x = at.x + r * at.x_stride;
        acc[c][r] = mul_add(dot(q, x), scale * load(x + x_floats - 16), acc[c][r]);
      }
    }
  }
};

// ---- x --------------------------------------------------------------------------------------------------------------

/// The step of n numbers: the least power of two by which all of them are at most kLargestNumber; 0 if they are 0 or
/// some are not finite (then `*finite` is cleared).
inline float step_of(const float* x, int n, bool* finite) {
  VecU most = 0u;
  for (int i = 0; i < n; i += kF32Lanes) most = __builtin_elementwise_max(most, load_raw<VecU>(x + i) & 0x7fffffffu);
  const uint32_t largest = __builtin_reduce_max(most);  // as an integer: infinity and NaN are above all numbers
  if (largest >= 0x7f800000u) *finite = false;
  if (largest == 0 || largest >= 0x7f800000u) return 0;
  const uint32_t exponent = largest >> 23, least = exponent > 23 ? exponent - 22 : 1;
  const float step = bit_cast<float>(least << 23);
  return bit_cast<float>(largest) > kLargestNumber * step ? 2 * step : step;
}

/// Numbers of a chunk to its digits and moves.
template <Code Q>
inline void write_digits(const int32_t* numbers, float* out) {
  using K = InDigits<Q>;
  auto* digits = reinterpret_cast<int8_t*>(out);
  for (int i = 0; i < 4; i++) {
    VecF v[K::parts];
    for (int s = 0; s < K::parts; s++) v[s] = load_raw<VecF>(numbers + (i * K::parts + s) * kF32Lanes);
    deinterleave<K::parts>(v);
    for (int s = 0; s < K::parts; s++) {
      VecI n = bit_cast<VecI>(v[s]);
      for (int digit = 0; digit < kDigits; digit++) {
        const VecI low = n << 24 >> 24;
        store_raw(digits + 64 * ((2 - digit) * K::parts + s) + 16 * i, __builtin_convertvector(low, Digits));
        n = (n - low) >> 8;
      }
    }
  }
  auto* moves = reinterpret_cast<int32_t*>(out + 16 * kDigits * K::parts);
  for (int l = 0; l < kF32Lanes; l++) {
    int32_t sum = 0, low = 0;
    for (int i = 0; i < K::per_lane; i++) {
      const int32_t n = numbers[l * K::per_lane + i];
      sum += n;
      low += static_cast<int8_t>(n);
    }
    moves[l] = -K::moved * (K::two_sums ? (sum - low) >> 8 : sum);
    if (K::two_sums) moves[kF32Lanes + l] = -K::moved * low;
  }
}

/// All chunks of a row, then the sum of x over each group, padded with zeros to a whole vector. False if some x are not
/// finite: they have no integers.
template <Code Q>
bool prepare_in_digits(const Weights& w, const float* x, float* out) {
  using K = InDigits<Q>;
  const int run = static_cast<int>(min_of(w.group, K::codes));  // codes of a chunk that share a step
  const float factor = Q == Code::fp4 ? 0.5f : 1.0f;
  bool finite = true;
  for (int64_t k = 0; k < w.cols; k += K::codes, out += K::x_floats) {
    alignas(64) int32_t numbers[K::codes] = {};
    float* steps = out + K::x_floats - kF32Lanes;
    memset(steps, 0, sizeof(float) * kF32Lanes);
    const int count = static_cast<int>(min_of(K::codes, w.cols - k));
    for (int i = 0; i < count; i += run) {
      const float step = step_of(x + (k + i) / w.group * w.group, w.group, &finite);
      const float inverse = step > 0 ? 1 / step : 0;
      for (int n = 0; n < run; n += kF32Lanes) {
        const VecF scaled = __builtin_elementwise_roundeven(load(x + k + i + n) * inverse);
        store_raw(numbers + i + n, __builtin_convertvector(scaled, VecI));
      }
      for (int l = i / K::per_lane; l < (i + run) / K::per_lane; l++) steps[l] = step * factor;
    }
    if (!finite) return false;
    write_digits<Q>(numbers, out);
  }
  const int64_t groups = w.cols / w.group;
  memset(out, 0, sizeof(float) * static_cast<size_t>(round_up(groups, kF32Lanes)));
  for (int64_t g = 0; g < groups; g++) {
    VecF sum = 0.0f;
    for (int64_t i = g * w.group; i < (g + 1) * w.group; i += kF32Lanes) sum += load(x + i);
    out[g] = sum_lanes<float, kF32Lanes>(sum);
  }
  return true;
}

// ---- choosing -------------------------------------------------------------------------------------------------------

template <Code Q, int G>
constexpr FewBlocks kDigitBlocks = {
    {chunks_block<InDigits<Q>, G, 1, 4>, chunks_block<InDigits<Q>, G, 2, 4>, chunks_block<InDigits<Q>, G, 4, 4>},
    chunks_block<InDigits<Q>, G, 1, 1>,
    {4, 4, 4},
};
/// Groups have 32, 64 or 128 integers, and 16 or 32 codes of fp4.
template <Code Q>
constexpr int kLeastGroup = Q == Code::fp4 ? 16 : 32;
template <Code Q>
constexpr int kLargestGroup = Q == Code::fp4 ? 32 : 128;
template <Code Q, int G = InDigits<Q>::codes / kLeastGroup<Q>>
DigitPath digit_path_of(const Weights& w) {
  using K = InDigits<Q>;
  if constexpr (G > 1 && G > K::codes / kLargestGroup<Q>) {
    if (w.group * G > K::codes) return digit_path_of<Q, G / 2>(w);
  }
  const int64_t stride = ceil_div(w.cols, K::codes) * K::x_floats + round_up(w.cols / w.group, kF32Lanes);
  return {&kDigitBlocks<Q, G>, prepare_in_digits<Q>, stride};
}
/// The path of these weights; no blocks where there is none on this machine.
inline DigitPath digit_path(const Weights& w) {
  const bool can_spread = cpu().avx512_vbmi;
  switch (w.code) {
    case Code::int2: return digit_path_of<Code::int2>(w);
    case Code::int3: return can_spread ? digit_path_of<Code::int3>(w) : DigitPath{};
    case Code::int4: return digit_path_of<Code::int4>(w);
    case Code::int5: return can_spread ? digit_path_of<Code::int5>(w) : DigitPath{};
    case Code::int6: return can_spread ? digit_path_of<Code::int6>(w) : DigitPath{};
    case Code::int8: return digit_path_of<Code::int8>(w);
    case Code::fp4: return digit_path_of<Code::fp4>(w);
    default: return {};
  }
}
#else
inline DigitPath digit_path(const Weights&) { return {}; }
#endif

}  // namespace denim::DENIM_ISA
