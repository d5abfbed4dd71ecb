// Counter-based random bits: threefry-2x32 with 20 rounds, in MLX's order. Of a key's n words, word i < n/2 and word
// i + ceil(n/2) are the halves of the hash of (i, i + ceil(n/2)); for odd n the middle word is the first half of the
// hash of (n/2, 0).

struct Random {
  ulong keys, bytes, words;  // of one key's output
  long step;                 // between the two words of a key
  int ndim, padding;
};

inline uint2 threefry(uint key0, uint key1, uint x, uint y) {
  uint keys[3] = {key0, key1, key0 ^ key1 ^ 0x1BD11BDAu};
  uint rotations[8] = {13, 15, 26, 6, 17, 29, 16, 24};
  x += keys[0];
  y += keys[1];
  for (uint group = 0; group < 5; ++group) {
    for (uint round = 0; round < 4; ++round) {
      uint r = rotations[4 * (group % 2) + round];
      x += y;
      y = ((y << r) | (y >> (32 - r))) ^ x;
    }
    x += keys[(group + 1) % 3];
    y += keys[(group + 2) % 3] + group + 1;
  }
  return uint2(x, y);
}
/// Word `i` of `bytes` bytes, or what of it fits. `out` may be at any byte.
inline void put_word(device uchar* out, ulong bytes, ulong i, uint word) {
  for (ulong k = 4 * i; k < 4 * i + 4 && k < bytes; ++k) {
    out[k] = (uchar)word;
    word >>= 8;
  }
}

/// A thread makes a pair of words, or the middle one. `dims`: lengths of the keys' axes, their strides.
kernel void random_bits(constant const Random& s [[buffer(0)]], constant const long* dims [[buffer(1)]],
                        device const uint* keys [[buffer(2)]], device uchar* y [[buffer(3)]],
                        uint3 at [[thread_position_in_grid]], uint3 grid [[threads_per_grid]]) {
  ulong number = number_of(at, grid), upper = s.words - s.words / 2, key = number / upper, i = number % upper;
  if (key >= s.keys) return;
  long from = place_of(key, dims, dims + s.ndim, s.ndim);
  device uchar* out = y + key * s.bytes;
  bool middle = i == s.words / 2;  // odd n
  uint2 hash = threefry(keys[from], keys[from + s.step], (uint)i, middle ? 0u : (uint)(i + upper));
  bool aligned = s.bytes % 4 == 0;
  if (aligned) {
    ((device uint*)out)[i] = hash.x;
    if (!middle) ((device uint*)out)[i + upper] = hash.y;
  } else {
    put_word(out, s.bytes, i, hash.x);
    if (!middle) put_word(out, s.bytes, i + upper, hash.y);
  }
}
