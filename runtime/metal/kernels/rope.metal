// Rotary position embedding: for position p = (offset + t) * scale and pair i the angle is p * inverse[i]; (a, b)
// becomes (a cos - b sin, a sin + b cos). A thread has one pair of one position, for up to four heads.

constant int kTraditional [[function_constant(0)]];  // pairs (2i, 2i + 1), else (i, i + half)
constant int kHasFreqs [[function_constant(1)]];     // `inverse` holds the frequencies themselves

constant constexpr int kHeads = 4;

/// x [batch, heads..., positions, width]. Mirrored in rope.cc.
struct Rope {
  long x_batch, x_position;  // strides
  int heads, positions, width, half_dims;
  int offset_stride, head_axes;
  float scale;
};

kernel void rope(device const T* x [[buffer(0)]], device const int* offset [[buffer(1)]],
                 device const float* freqs [[buffer(2)]], constant float* inverse [[buffer(3)]],
                 device T* out [[buffer(4)]], constant Rope& r [[buffer(5)]], constant long* lists [[buffer(6)]],
                 uint3 at [[thread_position_in_grid]]) {
  const int i = at.x, t = at.y, blocks = (r.heads + kHeads - 1) / kHeads;
  const int batch = at.z / blocks, head0 = at.z % blocks * kHeads, heads = min(kHeads, r.heads - head0);
  const bool rotated = i < r.half_dims;
  // Past the rotated pairs a thread copies one element.
  const int first = rotated ? (kTraditional ? 2 * i : i) : i + r.half_dims;
  const int second = kTraditional ? first + 1 : first + r.half_dims;
  float cosine = 1, sine = 0;
  if (rotated) {
    const float position = ((float)t + (float)offset[(long)batch * r.offset_stride]) * r.scale;
    const float angle = position * (kHasFreqs ? 1 / freqs[i] : inverse[i]);
    cosine = precise::cos(angle);
    sine = precise::sin(angle);
  }
  for (int h = head0; h < head0 + heads; ++h) {
    device const T* from =
        x + batch * r.x_batch + t * r.x_position + place_of(h, lists, lists + r.head_axes, r.head_axes);
    device T* to = out + (((long)batch * r.heads + h) * r.positions + t) * r.width;
    if (!rotated) {
      to[first] = from[first];
      continue;
    }
    const float a = (float)from[first], b = (float)from[second];
    to[first] = (T)(a * cosine - b * sine);
    to[second] = (T)(a * sine + b * cosine);
  }
}
