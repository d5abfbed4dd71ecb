// Few rows x times quantized weights, y[r][j] = sum over k of x[r][k] w[j][k], straight from the packed words: the
// decode path, bound by reading the weights. Codes of 2, 4 and 8 bits are taken word by word ("words"): the lanes of a
// vector are words, code s of each word meets x in a permuted copy. All other codes are unpacked in their order
// ("units"). With h = half the number of codes, sum(x (s q + b)) = s sum(x (q - h)) + (b + h s) sum(x) within a group:
// centered, the two terms do not cancel each other.
#pragma once
#include "quantized_format.h"

namespace denim::DENIM_ISA {

struct FewBlocks;
constexpr int kFewQuantized = 16;  // rows of x up to which this beats dequantizing into panels

/// A call of the decode path. `x` is what prepare_few wrote.
struct FewQuantized {
  const Weights* w;
  const FewBlocks* blocks;
  const float* x;
  int64_t x_stride;  // floats per row of x
  int rows;          // 1 to kFewQuantized
  const void* out;
  FinishFn<float> finish;
};

// ---- words ----------------------------------------------------------------------------------------------------------

template <int Bits>
constexpr int kPerWord = 32 / Bits;
template <int Bits>
constexpr int kChunk = kF32Lanes * kPerWord<Bits>;  // codes of a vector of words
/// Floats of x per chunk: its permuted copy, then -h times the sum of each lane's x.
template <int Bits>
constexpr int kChunkX = kChunk<Bits> + kF32Lanes;
template <int Bits>
constexpr float kHalfCodes = 1 << (Bits - 1);
/// What `chunks_block` needs to know of this order, in which a chunk is a vector of words.
template <int Bits>
struct Words {
  static constexpr int codes = kChunk<Bits>, bytes = kVecBytes, x_floats = kChunkX<Bits>;
  static constexpr float half = kHalfCodes<Bits>;
  template <int G, int R, int C, bool Full>
  static DENIM_INLINE void chunk(const struct ChunkAt& at, int count, VecF (&acc)[C][R]);
};

template <int... I>
DENIM_INLINE void split_pair(VecF& a, VecF& b, Sequence<I...>) {
  const VecF even = __builtin_shufflevector(a, b, 2 * I...);
  b = __builtin_shufflevector(a, b, 2 * I + 1 ...);
  a = even;
}
/// N vectors of consecutive numbers, N a power of two, become those of every N-th number: v[s] has the numbers N l + s.
template <int N>
DENIM_INLINE void deinterleave(VecF* v) {
  if constexpr (N > 1) {
    VecF halves[N];
#pragma clang loop unroll(full)
    for (int i = 0; i < N / 2; i++) {
      split_pair(v[2 * i], v[2 * i + 1], Iota<kF32Lanes>());
      halves[i] = v[2 * i];
      halves[N / 2 + i] = v[2 * i + 1];
    }
    deinterleave<N / 2>(halves);
    deinterleave<N / 2>(halves + N / 2);
#pragma clang loop unroll(full)
    for (int i = 0; i < N / 2; i++) {
      v[2 * i] = halves[i];
      v[2 * i + 1] = halves[N / 2 + i];
    }
  }
}

/// x of one chunk in the order of the codes: slot s of lane l is x[l * per_word + s] / 2^(bits * s), because a code is
/// taken where it stands in its word (an integer with 8 significant bits is exact as a float wherever they are); the
/// last one is shifted down, it would be negative. Returns the sum of each lane.
template <int Bits>
DENIM_INLINE VecF prepare_chunk(const float* x, float* out) {
  constexpr int per_word = kPerWord<Bits>;
  VecF v[per_word], sum = 0.0f;
  for (int s = 0; s < per_word; s++) v[s] = load(x + s * kF32Lanes);
  deinterleave<per_word>(v);
  float factor = 1;
  for (int s = 0; s < per_word; s++, factor *= 1.0f / static_cast<float>(1 << Bits)) {
    sum += v[s];
    store(out + s * kF32Lanes, s == per_word - 1 ? v[s] : v[s] * factor);
  }
  store(out + kChunk<Bits>, sum * -kHalfCodes<Bits>);
  return sum;
}

/// All chunks of a row, then the sum of x over each group, padded with zeros to a whole vector.
template <int Bits>
void prepare_words(const Weights& w, const float* x, float* out) {
  constexpr int chunk = kChunk<Bits>;
  const int group_bits = __builtin_ctz(static_cast<unsigned>(w.group));
  const int step = static_cast<int>(min_of(w.group / kPerWord<Bits>, kF32Lanes));
  float* sums = out + ceil_div(w.cols, chunk) * kChunkX<Bits>;
  memset(sums, 0, sizeof(float) * static_cast<size_t>(round_up(w.cols >> group_bits, kF32Lanes)));
  for (int64_t k = 0; k < w.cols; k += chunk, out += kChunkX<Bits>) {
    alignas(64) float edge[chunk], lanes[kF32Lanes];
    const int64_t count = min_of(chunk, w.cols - k);
    if (count < chunk) {
      memset(edge, 0, sizeof edge);
      memcpy(edge, x + k, sizeof(float) * static_cast<size_t>(count));
    }
    store(lanes, prepare_chunk<Bits>(count < chunk ? edge : x + k, out));
    for (int l = 0; l * kPerWord<Bits> < count; l += step) {
      float sum = 0;
      for (int i = 0; i < step; i++) sum += lanes[l + i];
      sums[(k + l * kPerWord<Bits>) >> group_bits] += sum;
    }
  }
}

/// Groups whose scales are turned into floats at a time, and floats that a row of them takes.
constexpr int kPieceGroups = 128, kScaleRow = kPieceGroups + 16;

// Zeros, then ones, a vector of each: from kKeep + lanes - n on, a mask that clears the first n lanes.
alignas(64) constexpr VecU kKeep[2] = {VecU(0u), VecU(~0u)};

/// The scales of groups [first, first + count) of row j as floats, followed by zeros, and their share
/// (b + h s) sum(x) of the results of R rows of x. The last vector overlaps the one before where it would not be full.
template <class E, int R>
DENIM_INLINE void read_scales(const Weights& w, int64_t j, int64_t first, int64_t count, float half,
                              const float* x_sums, int64_t x_stride, float* to, VecF* results) {
  const E* scales = reinterpret_cast<const E*>(w.scales) + j * w.scale_stride + first;
  const E* biases = reinterpret_cast<const E*>(w.biases) + j * w.bias_stride + first;
  store(to + count, VecF(0.0f));
  for (int64_t i = 0; i < count; i += kF32Lanes) {
    const int64_t at = max_of(0, min_of(i, count - kF32Lanes));
    const int few = static_cast<int>(count);
    const VecF scale = few < kF32Lanes ? load_few(scales, few) : load(scales + at);
    const VecF bias = few < kF32Lanes ? load_few(biases, few) : load(biases + at);
    const VecU keep = load_raw<VecU>(reinterpret_cast<const float*>(kKeep) + kF32Lanes - (i - at));
    const VecF shifted = bit_cast<VecF>(bit_cast<VecU>(mul_add(scale, VecF(half), bias)) & keep);
    store(to + at, scale);
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) results[r] = mul_add(shifted, load(x_sums + r * x_stride + first + at), results[r]);
  }
}
/// The same of the fp codes, whose scales are bytes and whose zero is in the middle.
DENIM_INLINE void read_byte_scales(const Weights& w, int64_t j, int64_t first, int64_t count, float* to) {
  const uint8_t* scales = w.scales + j * w.scale_stride + first;
  int64_t i = 0;
  for (; i + kF32Lanes <= count; i += kF32Lanes) {
    const VecU s = __builtin_convertvector(load_raw<VecOf<uint8_t, kF32Lanes>>(scales + i), VecU);
    const VecU tiny = bit_cast<VecU>(s == 0u) & 0x00400000u;
    store(to + i, w.scale_type == ScaleType::e8m0 ? bit_cast<VecF>(s << 23 | tiny) : decode_e4m3<VecF, VecU>(s));
  }
  for (; i < count; i++) to[i] = read_scale(w.scale_type, scales, i);
  store(to + count, VecF(0.0f));
}
template <int R>
DENIM_INLINE void read_scales(const Weights& w, int64_t j, int64_t first, int64_t count, float half,
                              const float* x_sums, int64_t x_stride, float* to, VecF* results) {
  switch (w.scale_type) {
    case ScaleType::f32: return read_scales<float, R>(w, j, first, count, half, x_sums, x_stride, to, results);
    case ScaleType::f16: return read_scales<Half, R>(w, j, first, count, half, x_sums, x_stride, to, results);
    case ScaleType::bf16: return read_scales<BFloat, R>(w, j, first, count, half, x_sums, x_stride, to, results);
    default: return read_byte_scales(w, j, first, count, to);
  }
}

template <int Bits, int S>
DENIM_INLINE VecF take_code(VecU words) {
  constexpr uint32_t mask = ((1u << Bits) - 1) << (Bits * S);
  const VecU code = S == kPerWord<Bits> - 1 ? words >> (32 - Bits) : words & mask;
  return __builtin_convertvector(bit_cast<VecI>(code), VecF);
}

// G scales, each for its share of the lanes.
template <int G, int... L>
DENIM_INLINE VecF spread_scales(const float* p, Sequence<L...>) {
  if constexpr (G == 1) {
    return *p;
  } else {
    const auto v = load_raw<VecOf<float, G>>(p);
    return __builtin_shufflevector(v, v, (L * G / kF32Lanes)...);
  }
}

/// Where a block of C rows of weights and R rows of x stands.
struct ChunkAt {
  const uint8_t* codes;
  int64_t code_stride;
  const float* x;
  int64_t x_stride;
  const float* scales;  // of the first row; those of the next are kScaleRow further
};
// One vector of words per row of weights; `count` codes exist if it is the last one of a row and not full.
template <int Bits, int G, int R, int C, bool Full, int... S>
DENIM_INLINE void words_chunk(const ChunkAt& at, int count, VecF (&acc)[C][R], Sequence<S...>) {
  VecU words[C];
  VecF sums[C][R];
#pragma clang loop unroll(full)
  for (int c = 0; c < C; c++) {
    const auto* p = reinterpret_cast<const float*>(at.codes + c * at.code_stride);  // bits are all that is read
    __builtin_prefetch(p + 4 * C * (at.code_stride / 4), 0, 2);  // into L2: the fourth block after this one
    words[c] = Full ? load_raw<VecU>(p) : bit_cast<VecU>(load_few(p, count / kPerWord<Bits>));
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) sums[c][r] = load(at.x + r * at.x_stride + kChunk<Bits>);
  }
  const auto slot = [&]<int I>() __attribute__((always_inline)) {
    VecF x[R];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) x[r] = load(at.x + r * at.x_stride + I * kF32Lanes);
#pragma clang loop unroll(full)
    for (int c = 0; c < C; c++) {
      const VecF code = take_code<Bits, I>(words[c]);
#pragma clang loop unroll(full)
      for (int r = 0; r < R; r++) sums[c][r] = mul_add(code, x[r], sums[c][r]);
    }
  };
  (slot.template operator()<S>(), ...);
#pragma clang loop unroll(full)
  for (int c = 0; c < C; c++) {
    const VecF scale = spread_scales<G>(at.scales + c * kScaleRow, Iota<kF32Lanes>());
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) acc[c][r] = mul_add(scale, sums[c][r], acc[c][r]);
  }
}

template <int Bits>
template <int G, int R, int C, bool Full>
DENIM_INLINE void Words<Bits>::chunk(const ChunkAt& at, int count, VecF (&acc)[C][R]) {
  words_chunk<Bits, G, R, C, Full>(at, count, acc, Iota<kPerWord<Bits>>());
}

// C rows of weights times R rows of x, chunk by chunk. G: groups per chunk (1: a group has one or more chunks).
template <class K, int G, int R, int C>
DENIM_INLINE void chunks_block(const FewQuantized& f, int64_t j, int row0, float* tile) {
  const Weights& w = *f.w;
  const int group_bits = __builtin_ctz(static_cast<unsigned>(w.group));
  alignas(64) float scales[C * kScaleRow];
  ChunkAt at{w.codes + j * w.code_stride, w.code_stride, f.x + row0 * f.x_stride, f.x_stride, scales};
  const float* x_sums = at.x + ceil_div(w.cols, K::codes) * K::x_floats;
  VecF acc[C][R] = {};
  for (int64_t k = 0; k < w.cols;) {
    const int64_t piece = k, groups = min_of(kPieceGroups, (w.cols - k) >> group_bits);
    const int64_t end = k + (groups << group_bits);
    for (int c = 0; c < C; c++) {
      read_scales<R>(w, j + c, k >> group_bits, groups, K::half, x_sums, f.x_stride, scales + c * kScaleRow, acc[c]);
    }
    for (; k + K::codes <= end; k += K::codes, at.codes += K::bytes, at.x += K::x_floats) {
      at.scales = scales + ((k - piece) >> group_bits);
      K::template chunk<G, R, C, true>(at, K::codes, acc);
    }
    if (k == end) continue;
    at.scales = scales + ((k - piece) >> group_bits);
    K::template chunk<G, R, C, false>(at, static_cast<int>(end - k), acc);
    k = end;
  }
  for (int c = 0; c < C; c++) {
    for (int r = 0; r < R; r++) tile[r * kTileCols<float> + c] = sum_lanes<float, kF32Lanes>(acc[c][r]);
  }
}

// ---- units ----------------------------------------------------------------------------------------------------------

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

// ---- choosing -------------------------------------------------------------------------------------------------------

/// One to four rows of weights (from j) times R rows of x (from row0).
using FewBlock = void (*)(const FewQuantized&, int64_t j, int row0, float* tile);
/// The blocks of a kind of weights: for R = 1, 2, 4 rows of x, of `cols` rows of weights; and for one of each.
struct FewBlocks {
  FewBlock many[3], one;
  int cols[3];
};

constexpr int kBlockCols[3] = {4, kVecBytes == 64 ? 4 : 2, 2};  // by R: as many as the register file holds

template <int Bits, int G>
constexpr FewBlocks kWordBlocks = {
    {chunks_block<Words<Bits>, G, 1, kBlockCols[0]>, chunks_block<Words<Bits>, G, 2, kBlockCols[1]>,
     chunks_block<Words<Bits>, G, 4, kBlockCols[2]>},
    chunks_block<Words<Bits>, G, 1, 1>,
    {kBlockCols[0], kBlockCols[1], kBlockCols[2]},
};
template <Code Q>
constexpr FewBlocks kUnitBlocks = {
    {units_block<Q, 1, 2>, units_block<Q, 2, 2>, units_block<Q, 4, 2>},
    units_block<Q, 1, 1>,
    {2, 2, 2},
};

/// Groups have 32, 64 or 128 codes.
template <int Bits, int G = kChunk<Bits> / 32>
const FewBlocks& word_blocks(int group) {
  if constexpr (G > 1 && G > kChunk<Bits> / 128) {
    if (group * G > kChunk<Bits>) return word_blocks<Bits, G / 2>(group);
  }
  return kWordBlocks<Bits, G >= 1 ? G : 1>;
}
/// Integers have a better path still where bytes can be multiplied (quantized_digits.h): this one is for x that are not
/// finite then, and needs no speed.
#if defined(__AVX512VNNI__)
constexpr bool kByWords = false;
#else
constexpr bool kByWords = true;
#endif
template <Code Q>
const FewBlocks& blocks_of(int group) {
  constexpr int bits = kCodeBits[static_cast<int>(Q)];
  if constexpr (kByWords && (Q == Code::int2 || Q == Code::int4 || Q == Code::int8)) return word_blocks<bits>(group);
  else return kUnitBlocks<Q>;
}
inline const FewBlocks& few_blocks(const Weights& w) {
  switch (w.code) {
    case Code::int2: return blocks_of<Code::int2>(w.group);
    case Code::int3: return blocks_of<Code::int3>(w.group);
    case Code::int4: return blocks_of<Code::int4>(w.group);
    case Code::int5: return blocks_of<Code::int5>(w.group);
    case Code::int6: return blocks_of<Code::int6>(w.group);
    case Code::int8: return blocks_of<Code::int8>(w.group);
    case Code::fp4: return blocks_of<Code::fp4>(w.group);
    case Code::fp8: return blocks_of<Code::fp8>(w.group);
  }
}
inline bool by_words(Code code) {
  return kByWords && (code == Code::int2 || code == Code::int4 || code == Code::int8);
}

/// Floats per row that prepare_few writes for these weights.
inline int64_t few_stride(Code code, int64_t cols, int group) {
  const int64_t sums = round_up(cols / group, 16);
  if (!by_words(code)) return cols + sums;
  switch (code) {
    case Code::int2: return ceil_div(cols, kChunk<2>) * kChunkX<2> + sums;
    case Code::int4: return ceil_div(cols, kChunk<4>) * kChunkX<4> + sums;
    default: return ceil_div(cols, kChunk<8>) * kChunkX<8> + sums;
  }
}

/// Turns a row of x into what the blocks of these weights read: permuted chunks or x itself, then its sums per group.
inline void prepare_few(const Weights& w, const float* x, float* out) {
  if (by_words(w.code)) {
    switch (w.code) {
      case Code::int2: return prepare_words<2>(w, x, out);
      case Code::int4: return prepare_words<4>(w, x, out);
      default: return prepare_words<8>(w, x, out);
    }
  }
  memcpy(out, x, sizeof(float) * static_cast<size_t>(w.cols));
  for (int64_t g = 0; g < w.cols / w.group; g++) {
    float sum = 0;
    for (int64_t k = g * w.group; k < (g + 1) * w.group; k++) sum += x[k];
    out[w.cols + g] = sum;
  }
}

}  // namespace denim::DENIM_ISA
