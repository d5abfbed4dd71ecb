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

/// Up to three arrays [B, heads, T, D], rotated or not, to where they go: mirrored in rope.cc.
struct Move {
  long from_batch, from_head, from_position, to_batch, to_head, to_position;  // strides
  int heads, width, rotated, offset_stride;
  int room;  // the largest start along the positions; -1: there is no start
};
struct Moves {
  Move move[3];
  int heads, positions, half_dims;  // heads of all
  float scale;
};

inline int start_of(device const int* start, Move m, device atomic_uint* bad) {
  if (m.room < 0) return 0;
  const int at = start[0];
  if (at >= 0 && at <= m.room) return at;
  atomic_store_explicit(bad, 1u, memory_order_relaxed);
  return 0;
}

/// A thread has one pair, or one element, of one position and head.
kernel void rope_moves(device const T* x0 [[buffer(0)]], device const T* x1 [[buffer(1)]],
                       device const T* x2 [[buffer(2)]], device T* out0 [[buffer(3)]], device T* out1 [[buffer(4)]],
                       device T* out2 [[buffer(5)]], device const int* start0 [[buffer(6)]],
                       device const int* start1 [[buffer(7)]], device const int* start2 [[buffer(8)]],
                       device atomic_uint* bad0 [[buffer(9)]], device atomic_uint* bad1 [[buffer(10)]],
                       device atomic_uint* bad2 [[buffer(11)]], device const int* offset0 [[buffer(12)]],
                       device const int* offset1 [[buffer(13)]], device const int* offset2 [[buffer(14)]],
                       device const float* freqs [[buffer(15)]], constant float* inverse [[buffer(16)]],
                       constant Moves& p [[buffer(17)]], uint3 at [[thread_position_in_grid]]) {
  const int i = at.x, t = at.y, batch = at.z / p.heads;
  int head = at.z % p.heads, part = 0;
  while (head >= p.move[part].heads) head -= p.move[part++].heads;
  const Move m = p.move[part];
  if (i >= m.width - (m.rotated ? p.half_dims : 0)) return;
  device const int* start = part == 0 ? start0 : part == 1 ? start1 : start2;
  device atomic_uint* bad = part == 0 ? bad0 : part == 1 ? bad1 : bad2;
  device const T* from = (part == 0 ? x0 : part == 1 ? x1 : x2) + batch * m.from_batch + head * m.from_head +
                         t * m.from_position;
  device T* to = (part == 0 ? out0 : part == 1 ? out1 : out2) + batch * m.to_batch + head * m.to_head +
                 (t + start_of(start, m, bad)) * m.to_position;
  if (!m.rotated || i >= p.half_dims) {
    const int column = m.rotated ? i + p.half_dims : i;
    to[column] = from[column];
    return;
  }
  device const int* offset = part == 0 ? offset0 : part == 1 ? offset1 : offset2;
  const float position = ((float)t + (float)offset[(long)batch * m.offset_stride]) * p.scale;
  const float angle = position * (kHasFreqs ? 1 / freqs[i] : inverse[i]);
  const float cosine = precise::cos(angle), sine = precise::sin(angle);
  const int first = kTraditional ? 2 * i : i, second = kTraditional ? first + 1 : first + p.half_dims;
  const float a = (float)from[first], b = (float)from[second];
  to[first] = (T)(a * cosine - b * sine);
  to[second] = (T)(a * sine + b * cosine);
}
