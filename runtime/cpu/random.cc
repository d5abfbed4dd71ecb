// Counter-based random bits: threefry-2x32 with 20 rounds, word for word in MLX's order, many counters per vector.
// A key's output is a list of n 32-bit words (the last may be cut): word i < n/2 and word i + ceil(n/2) are the two
// halves of the hash of (i, i + ceil(n/2)); for odd n the middle word is the first half of the hash of (n/2, 0).
#include "fast_vec.h"

namespace denim::DENIM_ISA {
namespace {
using namespace wide;

using Words = Vec<uint32_t>;
constexpr int kWords = kLanes<uint32_t>;
constexpr int64_t kGrain = 8192;  // words worth a task

template <class U>
struct Pair {
  U first, second;
};

/// Threefry-2x32: 5 groups of 4 rounds, a key word added after each.
template <class U>
DENIM_INLINE Pair<U> threefry(uint32_t key0, uint32_t key1, U x, U y) {
  constexpr int rotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  const uint32_t keys[3] = {key0, key1, key0 ^ key1 ^ 0x1BD11BDAu};
  x += keys[0];
  y += keys[1];
  DENIM_UNROLL
  for (int group = 0; group < 5; group++) {
    DENIM_UNROLL
    for (int round = 0; round < 4; round++) {
      int r = rotations[group % 2][round];
      x += y;
      y = ((y << r) | (y >> (32 - r))) ^ x;
    }
    x += keys[(group + 1) % 3];
    y += keys[(group + 2) % 3] + static_cast<uint32_t>(group + 1);
  }
  return {x, y};
}

/// Writes word `i` of a key's `bytes` bytes, or what of it fits.
DENIM_INLINE void put_word(uint8_t* out, int64_t bytes, int64_t i, uint32_t word) {
  int64_t left = bytes - 4 * i;
  memcpy(out + 4 * i, &word, left < 4 ? left : 4);
}

/// Pairs [begin, end) of one key's words, of `half` pairs in all.
DENIM_WIDE void fill_pairs(uint32_t key0, uint32_t key1, uint8_t* out, int64_t bytes, int64_t upper, int64_t begin,
                           int64_t end) {
  Words lanes;
  for (int i = 0; i < kWords; i++) lanes[i] = i;
  int64_t i = begin;
  for (; i + kWords < end; i += kWords) {
    Words x = lanes + static_cast<uint32_t>(i);
    auto hash = threefry<Words>(key0, key1, x, x + static_cast<uint32_t>(upper));
    memcpy(out + 4 * i, &hash.first, sizeof(Words));
    memcpy(out + 4 * (i + upper), &hash.second, sizeof(Words));
  }
  for (; i < end; i++) {
    auto hash = threefry<uint32_t>(key0, key1, static_cast<uint32_t>(i), static_cast<uint32_t>(i + upper));
    put_word(out, bytes, i, hash.first);
    put_word(out, bytes, i + upper, hash.second);
  }
}

const char* check_random_bits(const Call& c) {
  const auto& p = c.as<RandomBitsParams>();
  if (c.n_in != 1 || c.n_out != 1) return "wrong number of operands";
  const Array &key = c.in[0], &out = c.out[0];
  if (key.dtype != DType::uint32 || key.ndim < 1 || key.shape[key.ndim - 1] != 2)
    return "expected keys uint32 [..., 2]";
  DType want = p.width == 1 ? DType::uint8 : p.width == 2 ? DType::uint16 : DType::uint32;
  if ((p.width != 1 && p.width != 2 && p.width != 4) || out.dtype != want) return "expected a width of 1, 2 or 4 bytes";
  if (out.ndim != key.ndim - 1 + p.shape.size) return "expected the keys' leading axes and the shape in the result";
  for (int32_t a = 0; a < out.ndim; a++) {
    if (out.shape[a] != (a < key.ndim - 1 ? key.shape[a] : p.shape[a - (key.ndim - 1)])) {
      return "expected the keys' leading axes and the shape in the result";
    }
  }
  return nullptr;
}
size_t no_scratch(const Call&) { return 0; }

const char* run_random_bits(const Call& c) {
  const Array &key = c.in[0], &out = c.out[0];
  if (out.size == 0) return nullptr;
  int64_t n_keys = key.size / 2, width = c.as<RandomBitsParams>().width;
  int64_t bytes = out.size / n_keys * width, words = (bytes + 3) / 4, pairs = words / 2, upper = words - pairs;
  int64_t step = key.strides[key.ndim - 1];
  auto fill_key = [&](int64_t k, int64_t begin, int64_t end) {
    const uint32_t* key_words = key.as<uint32_t>() + row_offset(key, k, 1);
    uint32_t key0 = key_words[0], key1 = key_words[step];
    uint8_t* to = out.data + k * bytes;
    fill_pairs(key0, key1, to, bytes, upper, begin, end);
    if (words % 2 && begin == 0) {
      put_word(to, bytes, pairs, threefry<uint32_t>(key0, key1, static_cast<uint32_t>(pairs), 0).first);
    }
  };
  if (n_keys == 1) {
    each_range(pairs, kGrain / 2, [&](int64_t begin, int64_t end) { fill_key(0, begin, end); });
    if (pairs == 0) fill_key(0, 0, 0);
  } else {
    each_range(n_keys, kGrain / words + 1, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; k++) fill_key(k, 0, pairs);
    });
  }
  return nullptr;
}

}  // namespace

extern const Kernel kernel_randomBits = {check_random_bits, no_scratch, run_random_bits};

}  // namespace denim::DENIM_ISA
