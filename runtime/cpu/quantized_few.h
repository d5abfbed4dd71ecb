// Few rows x times quantized weights, y[r][j] = sum over k of x[r][k] w[j][k], straight from the packed words: the
// decode path, bound by reading the weights. Within a group sum(x (s q + b)) = s sum(x q) + b sum(x). Codes of 4 and 8
// bits are taken word by word ("words"): the lanes of a vector are words, code s of each word meets x in a permuted
// copy. All other codes are unpacked in their order ("units").
#pragma once
#include "quantized_format.h"

namespace denim::DENIM_ISA {

constexpr int kFewQuantized = 32;  // rows of x up to which this beats dequantizing into panels

/// A call of the decode path. `x` is what prepare_few wrote.
struct FewQuantized {
  const Weights* w;
  const float* x;
  int64_t x_stride;  // floats per row of x
  int rows;          // 1 to kFewQuantized
  const void* out;
  FinishFn<float> finish;
};

// ---- words
// --------------------------------------------------------------------------------------------------------------

template <int Bits>
constexpr int kPerWord = 32 / Bits;
template <int Bits>
constexpr int kChunk = kF32Lanes * kPerWord<Bits>;  // codes of a vector of words
/// Floats of x per chunk: its permuted copy, then the sum of each lane's x, which meets the biases.
template <int Bits>
constexpr int kChunkX = kChunk<Bits> + kF32Lanes;

/// x of one chunk in the order of the codes: slot s of lane l is x[l * per_word + s] / 2^(bits * s), because a code is
/// taken where it stands in its word (an integer with 8 significant bits is exact as a float wherever they are); the
/// last one is shifted down, it would be negative.
template <int Bits>
void prepare_chunk(const float* x, int64_t count, float* out) {
  constexpr int per_word = kPerWord<Bits>;
  float* sums = out + kChunk<Bits>;
  for (int l = 0; l < kF32Lanes; l++) {
    float sum = 0, factor = 1;
    for (int s = 0; s < per_word; s++) {
      const int64_t at = static_cast<int64_t>(l) * per_word + s;
      const float value = at < count ? x[at] : 0;
      sum += value;
      out[s * kF32Lanes + l] = s == per_word - 1 ? value : value * factor;
      factor *= 1.0f / static_cast<float>(1 << Bits);
    }
    sums[l] = sum;
  }
}

template <int Bits, int S>
DENIM_INLINE VecF take_code(VecU words) {
  constexpr uint32_t mask = ((1u << Bits) - 1) << (Bits * S);
  const VecU code = S == kPerWord<Bits> - 1 ? words >> (32 - Bits) : words & mask;
  return __builtin_convertvector(bit_cast<VecI>(code), VecF);
}

// Sums of x times code for R rows of x, over all slots of a vector of words.
template <int Bits, int R, int... S>
DENIM_INLINE void multiply_words(VecU words, const float* x, int64_t x_stride, VecF* sums, Sequence<S...>) {
  const auto slot = [&]<int I>() __attribute__((always_inline)) {
    const VecF code = take_code<Bits, I>(words);
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
      const VecF xs = load(x + r * x_stride + I * kF32Lanes);
      sums[r] = I == 0 ? code * xs : mul_add(code, xs, sums[r]);
    }
  };
  (slot.template operator()<S>(), ...);
}

template <class E>
struct BitsOf {
  using type = uint16_t;
};
template <>
struct BitsOf<float> {
  using type = float;
};
DENIM_INLINE VecF widen(VecF v, const float*) { return v; }
DENIM_INLINE VecF widen(VecH v, const Half*) { return widen_half(v); }
DENIM_INLINE VecF widen(VecH v, const BFloat*) { return widen_bfloat(v); }
template <class E, int G, class V, int... L>
DENIM_INLINE VecF repeat_scales(V v, Sequence<L...>) {
  return widen(__builtin_shufflevector(v, v, (L * G / kF32Lanes)...), static_cast<const E*>(nullptr));
}
// G scales, of which `count` exist, each for its lanes.
template <class E, int G>
DENIM_INLINE VecF load_scales(const E* p, int64_t count) {
  if constexpr (G == 1) {
    return load_one(p);
  } else {
    using V = VecOf<typename BitsOf<E>::type, G>;
    if (count >= G) [[likely]]
      return repeat_scales<E, G>(load_raw<V>(p), Iota<kF32Lanes>());
    E few[G] = {};
    copy_few(few, p, static_cast<int>(count));
    return repeat_scales<E, G>(load_raw<V>(few), Iota<kF32Lanes>());
  }
}

// C rows of weights times R rows of x. E: type of scales and biases; G: groups per chunk (1: a group has one or more
// chunks).
template <int Bits, class E, int G, int R, int C>
DENIM_INLINE void words_block(const FewQuantized& f, int64_t j, int row0, float* tile) {
  constexpr int chunk = kChunk<Bits>;
  const Weights& w = *f.w;
  const int64_t words = w.cols / kPerWord<Bits>, groups = w.cols / w.group;
  const uint8_t* codes[C];
  const E *scales[C], *biases[C];
  for (int c = 0; c < C; c++) {
    codes[c] = w.codes + (j + c) * w.code_stride;
    scales[c] = reinterpret_cast<const E*>(w.scales) + (j + c) * w.scale_stride;
    biases[c] = reinterpret_cast<const E*>(w.biases) + (j + c) * w.bias_stride;
  }
  const int group_bits = __builtin_ctz(static_cast<unsigned>(w.group));
  VecF acc[C][R] = {};
  const float* x = f.x + row0 * f.x_stride;
  for (int64_t k = 0, word = 0; word < words; k += chunk, word += kF32Lanes, x += kChunkX<Bits>) {
    const int64_t group = k >> group_bits;
    const bool full = word + kF32Lanes <= words;
#pragma clang loop unroll(full)
    for (int c = 0; c < C; c++) {
      const auto* p = reinterpret_cast<const float*>(codes[c]) + word;  // lanes of 32 bits; bits are all that is read
      __builtin_prefetch(p + C * (w.code_stride / 4));  // rows are short: the next block's would be found too late
      const VecU v = full ? load_raw<VecU>(p) : bit_cast<VecU>(load_few(p, static_cast<int>(words - word)));
      VecF sums[R];
      multiply_words<Bits, R>(v, x, f.x_stride, sums, Iota<kPerWord<Bits>>());
      const VecF scale = load_scales<E, G>(scales[c] + group, groups - group);
      const VecF bias = load_scales<E, G>(biases[c] + group, groups - group);
#pragma clang loop unroll(full)
      for (int r = 0; r < R; r++) {
        acc[c][r] = mul_add(scale, sums[r], acc[c][r]);
        acc[c][r] = mul_add(bias, load(x + r * f.x_stride + chunk), acc[c][r]);
      }
    }
  }
  for (int c = 0; c < C; c++) {
    for (int r = 0; r < R; r++) tile[r * kTileCols<float> + c] = sum_lanes<float, kF32Lanes>(acc[c][r]);
  }
}

// ---- units
// --------------------------------------------------------------------------------------------------------------

template <Code Q, int R, int C>
DENIM_INLINE void units_block(const FewQuantized& f, int64_t j, int row0, float* tile) {
  constexpr int bytes = 2 * kCodeBits[static_cast<int>(Q)];
  const Weights& w = *f.w;
  const int64_t groups = w.cols / w.group, size = scale_size(w.scale_type);
  const float* x = f.x + row0 * f.x_stride;
  const float* x_sums = x + w.cols;  // one per group
  VecF acc[C][R] = {};
  float offset[C][R] = {};
  for (int64_t g = 0; g < groups; g++) {
#pragma clang loop unroll(full)
    for (int c = 0; c < C; c++) {
      const uint8_t* codes = w.codes + (j + c) * w.code_stride + g * w.group / kUnit * bytes;
      VecF sums[R] = {};
      for (int64_t k = g * w.group; k < (g + 1) * w.group; k += kUnit, codes += bytes) {
        VecF v[kUnitVecs];
        unpack_unit<Q>(codes, v);
        for (int s = 0; s < kUnitVecs; s++) {
          for (int r = 0; r < R; r++) sums[r] = mul_add(v[s], load(x + r * f.x_stride + k + s * kF32Lanes), sums[r]);
        }
      }
      const VecF scale = read_scale(w.scale_type, w.scales + (j + c) * w.scale_stride * size, g);
      for (int r = 0; r < R; r++) acc[c][r] = mul_add(scale, sums[r], acc[c][r]);
      if (w.biases) {
        const float bias = read_scale(w.scale_type, w.biases + (j + c) * w.bias_stride * size, g);
        for (int r = 0; r < R; r++) offset[c][r] += bias * x_sums[r * f.x_stride + g];
      }
    }
  }
  for (int c = 0; c < C; c++) {
    for (int r = 0; r < R; r++) tile[r * kTileCols<float> + c] = sum_lanes<float, kF32Lanes>(acc[c][r]) + offset[c][r];
  }
}

// ---- choosing
// -----------------------------------------------------------------------------------------------------------

/// One to four rows of weights (from j) times R rows of x (from row0).
using FewBlock = void (*)(const FewQuantized&, int64_t j, int row0, float* tile);
/// The blocks of a kind of weights: for R = 1, 2, 4 rows of x, of `cols` rows of weights and of a single one.
struct FewBlocks {
  FewBlock many[3], one[3];
  int cols[3];
};

constexpr int kBlockCols[3] = {4, kVecBytes == 64 ? 4 : 2, 2};  // by R: as many as the register file holds

template <int Bits, class E, int G>
constexpr FewBlocks kWordBlocks = {
    {words_block<Bits, E, G, 1, kBlockCols[0]>, words_block<Bits, E, G, 2, kBlockCols[1]>,
     words_block<Bits, E, G, 4, kBlockCols[2]>},
    {words_block<Bits, E, G, 1, 1>, words_block<Bits, E, G, 2, 1>, words_block<Bits, E, G, 4, 1>},
    {kBlockCols[0], kBlockCols[1], kBlockCols[2]},
};
template <Code Q>
constexpr FewBlocks kUnitBlocks = {
    {units_block<Q, 1, 2>, units_block<Q, 2, 2>, units_block<Q, 4, 2>},
    {units_block<Q, 1, 1>, units_block<Q, 2, 1>, units_block<Q, 4, 1>},
    {2, 2, 2},
};

template <int Bits, class E>
const FewBlocks& word_blocks(int group) {
  constexpr int chunk = kChunk<Bits>;
  const int groups = group >= chunk ? 1 : chunk / group;
  if constexpr (chunk / 32 >= 4) {
    if (groups == 4) return kWordBlocks<Bits, E, 4>;
  }
  if constexpr (chunk / 32 >= 2) {
    if (groups == 2) return kWordBlocks<Bits, E, 2>;
  }
  return kWordBlocks<Bits, E, 1>;
}
template <int Bits>
const FewBlocks& word_blocks(const Weights& w) {
  switch (w.scale_type) {
    case ScaleType::f32: return word_blocks<Bits, float>(w.group);
    case ScaleType::f16: return word_blocks<Bits, Half>(w.group);
    default: return word_blocks<Bits, BFloat>(w.group);
  }
}
inline const FewBlocks& few_blocks(const Weights& w) {
  switch (w.code) {
    case Code::int2: return kUnitBlocks<Code::int2>;
    case Code::int3: return kUnitBlocks<Code::int3>;
    case Code::int4: return word_blocks<4>(w);
    case Code::int5: return kUnitBlocks<Code::int5>;
    case Code::int6: return kUnitBlocks<Code::int6>;
    case Code::int8: return word_blocks<8>(w);
    case Code::fp4: return kUnitBlocks<Code::fp4>;
    case Code::fp8: return kUnitBlocks<Code::fp8>;
  }
}

/// Floats per row that prepare_few writes for these weights.
inline int64_t few_stride(Code code, int64_t cols, int group) {
  if (code == Code::int4) return ceil_div(cols, kChunk<4>) * kChunkX<4>;
  if (code == Code::int8) return ceil_div(cols, kChunk<8>) * kChunkX<8>;
  return round_up(cols + cols / group, 16);
}

/// Turns a row of x into what the blocks of these weights read: permuted chunks, or x followed by its sums per group.
inline void prepare_few(const Weights& w, const float* x, float* out) {
  if (w.code == Code::int4) {
    for (int64_t k = 0; k < w.cols; k += kChunk<4>, out += kChunkX<4>) prepare_chunk<4>(x + k, w.cols - k, out);
  } else if (w.code == Code::int8) {
    for (int64_t k = 0; k < w.cols; k += kChunk<8>, out += kChunkX<8>) prepare_chunk<8>(x + k, w.cols - k, out);
  } else {
    memcpy(out, x, sizeof(float) * static_cast<size_t>(w.cols));
    for (int64_t g = 0; g < w.cols / w.group; g++) {
      float sum = 0;
      for (int64_t k = g * w.group; k < (g + 1) * w.group; k++) sum += x[k];
      out[w.cols + g] = sum;
    }
  }
}

}  // namespace denim::DENIM_ISA
