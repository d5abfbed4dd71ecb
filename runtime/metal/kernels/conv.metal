// Convolution over three spatial axes (missing ones have length 1) as an implicit matrix product: pixels are rows,
// output channels columns, taps times channels the terms. x [N, spatial..., C] and w [O, taps..., C / groups] are
// contiguous. `conv_tiles` multiplies tiles by simdgroup matrices, `conv_direct` has a thread per result, for groups of
// few channels, `conv_sum` adds the parts of a product that was split along its terms.

// A simdgroup computes kTileRows x kTileCols fragments of 8x8, a threadgroup of four of them twice as many each way.
constant int kTileRows [[function_constant(0)]];
constant int kTileCols [[function_constant(1)]];
constant int kFlat [[function_constant(2)]];     // a tile's terms run over taps (few channels), else within one tap
constant int kVector [[function_constant(3)]];   // every four channels are aligned in x and w
constant int kSplit [[function_constant(4)]];    // the results go to `partial`

constant constexpr int kTileK = 16;
constant constexpr int kThreads = 128;
constant constexpr int kPad = 16 / sizeof(T);  // between rows of a tile, against bank conflicts
constant constexpr int kStride = kTileK + kPad;

typedef vec<T, 4> T4;

/// Mirrored in conv.cc. Output o of phase p along an axis is p + j * phases: pixels of one phase meet the same taps
/// where the input is spread by zeros.
struct Conv {
  int batch, channels, outputs, group_channels, group_outputs;
  int in[3], kernel_size[3], out[3], stride[3], low[3], dilation[3], spread[3], phases[3];
  int flip, taps;
  int parts, steps, part_steps;  // a step is one tile along the terms
};
/// An output and where its window starts in the (spread) input; `image` is -1 past the last one.
struct Pixel {
  int image;
  int at[3], out[3];
};

inline int phase_count(constant Conv& c, int axis, int phase) {
  return (c.out[axis] - phase + c.phases[axis] - 1) / c.phases[axis];
}
inline Pixel pixel_of(constant Conv& c, int i, int phase) {
  Pixel p;
  for (int axis = 2; axis >= 0; --axis) {
    const int own = phase % c.phases[axis], count = phase_count(c, axis, own);
    phase /= c.phases[axis];
    p.out[axis] = own + i % count * c.phases[axis];
    p.at[axis] = p.out[axis] * c.stride[axis] - c.low[axis];
    i /= count;
  }
  p.image = i < c.batch ? i : -1;
  return p;
}
/// The input pixel that a tap meets, as a number of pixels, or -1.
inline long meet(constant Conv& c, Pixel p, int tap) {
  if (p.image < 0) return -1;
  int t[3] = {0, 0, tap};
  for (int axis = 2; axis > 0; --axis) {
    t[axis - 1] = t[axis] / c.kernel_size[axis];
    t[axis] %= c.kernel_size[axis];
  }
  long place = p.image;
  for (int axis = 0; axis < 3; ++axis) {
    const int at = p.at[axis] + t[axis] * c.dilation[axis], position = at / c.spread[axis];
    if (at < 0 || at % c.spread[axis] != 0 || position >= c.in[axis]) return -1;
    place = place * c.in[axis] + position;
  }
  return place;
}
/// Does a tap fall between the elements of a spread input for all pixels of this phase?
inline bool misses(constant Conv& c, Pixel p, int tap) {
  for (int axis = 2; axis >= 0; --axis) {
    if ((p.at[axis] + tap % c.kernel_size[axis] * c.dilation[axis]) % c.spread[axis] != 0) return true;
    tap /= c.kernel_size[axis];
  }
  return false;
}
inline long result_place(constant Conv& c, Pixel p) {
  return (((long)p.image * c.out[0] + p.out[0]) * c.out[1] + p.out[1]) * c.out[2] + p.out[2];
}
/// Where the weights of a tap start, in taps.
inline int weight_tap(constant Conv& c, int tap) { return c.flip ? c.taps - 1 - tap : tap; }

/// Four terms from term `k` of a tile: neighbouring channels of one tap, or anything if kFlat. `from` is null for none.
inline T4 load_terms(device const T* from, constant Conv& c, int k, int count) {
  T4 v = T4(T(0));
  if (kVector && count >= 4) return *(device const T4*)(from + k);
  for (int e = 0; e < min(4, count); ++e) v[e] = from[k + e];
  return v;
}
inline T4 load_image(device const T* x, constant Conv& c, Pixel p, int tap, int k, int group) {
  if (!kFlat) {
    const long place = meet(c, p, tap);
    if (place < 0) return T4(T(0));
    return load_terms(x + place * c.channels + group * c.group_channels, c, k, c.group_channels - k);
  }
  T4 v = T4(T(0));
  for (int e = 0; e < 4; ++e) {
    const int own = (k + e) / c.group_channels;
    const long place = own < c.taps ? meet(c, p, own) : -1;
    if (place >= 0) v[e] = x[place * c.channels + group * c.group_channels + (k + e) % c.group_channels];
  }
  return v;
}
inline T4 load_weights(device const T* w, constant Conv& c, int output, int tap, int k) {
  w += (long)output * c.taps * c.group_channels;
  if (!kFlat) return load_terms(w + (long)weight_tap(c, tap) * c.group_channels, c, k, c.group_channels - k);
  T4 v = T4(T(0));
  for (int e = 0; e < 4; ++e) {
    const int own = (k + e) / c.group_channels;
    if (own < c.taps) v[e] = w[(long)weight_tap(c, own) * c.group_channels + (k + e) % c.group_channels];
  }
  return v;
}

/// Adds one tile's products to a simdgroup's fragments.
inline void multiply_tiles(threadgroup const T* left, threadgroup const T* right,
                           thread simdgroup_float8x8 (&sums)[4][4]) {
  for (int kk = 0; kk < kTileK; kk += 8) {
    simdgroup_matrix<T, 8, 8> a[4], b[4];
    for (int i = 0; i < kTileRows; ++i) simdgroup_load(a[i], left + 8 * i * kStride + kk, kStride);
    for (int j = 0; j < kTileCols; ++j) {
      simdgroup_load(b[j], right + 8 * j * kStride + kk, kStride, ulong2(0, 0), true);
    }
    for (int i = 0; i < kTileRows; ++i) {
      for (int j = 0; j < kTileCols; ++j) simdgroup_multiply_accumulate(sums[i][j], a[i], b[j], sums[i][j]);
    }
  }
}

/// group.x is a tile of columns of one of the groups, group.y one of pixels, group.z a part of the terms and a phase.
kernel void conv_tiles(device const T* x [[buffer(0)]], device const T* w [[buffer(1)]], device T* out [[buffer(2)]],
                       device float* partial [[buffer(3)]], constant Conv& c [[buffer(4)]],
                       threadgroup T* tiles [[threadgroup(0)]], uint3 group [[threadgroup_position_in_grid]],
                       uint thread_index [[thread_index_in_threadgroup]],
                       uint simdgroup [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
  const int tile_rows = 16 * kTileRows, tile_cols = 16 * kTileCols;
  const int column_tiles = (c.group_outputs + tile_cols - 1) / tile_cols, own = group.x / column_tiles;
  const int i0 = group.y * tile_rows, j0 = group.x % column_tiles * tile_cols;
  const int part = group.z % c.parts, phase = group.z / c.parts;
  const int row = simdgroup / 2 * 8 * kTileRows, col = simdgroup % 2 * 8 * kTileCols;
  // The rows and the four terms that this thread loads in each step.
  const int load_row = thread_index / 4, load_k = thread_index % 4 * 4;
  Pixel pixels[2];
  for (int s = 0; s < 2; ++s) pixels[s] = pixel_of(c, i0 + load_row + 32 * s, phase);
  const Pixel first = pixel_of(c, 0, phase);
  threadgroup T* w_tile = tiles + tile_rows * kStride;
  simdgroup_float8x8 sums[4][4];
  for (int i = 0; i < kTileRows; ++i) {
    for (int j = 0; j < kTileCols; ++j) sums[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  }
  const int tap_steps = kFlat ? c.steps : (c.group_channels + kTileK - 1) / kTileK;
  const int end = min(c.steps, (part + 1) * c.part_steps);
  for (int step = part * c.part_steps; step < end; ++step) {
    const int tap = step / tap_steps, k = step % tap_steps * kTileK + load_k;
    if (!kFlat && misses(c, first, tap)) continue;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (int s = 0; s < 2; ++s) {
      const int r = load_row + 32 * s;
      if (r < tile_rows) *(threadgroup T4*)(tiles + r * kStride + load_k) = load_image(x, c, pixels[s], tap, k, own);
      if (r >= tile_cols) continue;
      const bool inside = j0 + r < c.group_outputs;
      *(threadgroup T4*)(w_tile + r * kStride + load_k) =
          inside ? load_weights(w, c, own * c.group_outputs + j0 + r, tap, k) : T4(T(0));
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    multiply_tiles(tiles + row * kStride, w_tile + col * kStride, sums);
  }
  for (int i = 0; i < kTileRows; ++i) {
    const Pixel p = pixel_of(c, i0 + row + 8 * i + fragment_row(lane), phase);
    if (p.image < 0) continue;
    const long place = result_place(c, p) * c.outputs + own * c.group_outputs;
    for (int j = 0; j < kTileCols; ++j) {
      for (int e = 0; e < 2; ++e) {
        const int q = j0 + col + 8 * j + fragment_col(lane) + e;
        if (q >= c.group_outputs) continue;
        const float sum = sums[i][j].thread_elements()[e];
        if (kSplit) {
          const long size = (long)c.batch * c.out[0] * c.out[1] * c.out[2] * c.outputs;
          partial[part * size + place + q] = sum;
        } else {
          out[place + q] = (T)sum;
        }
      }
    }
  }
}

kernel void conv_sum(device const float* partial [[buffer(0)]], device T* out [[buffer(1)]],
                     constant int& parts [[buffer(2)]], uint i [[thread_position_in_grid]],
                     uint size [[threads_per_grid]]) {
  float sum = 0;
  for (int p = 0; p < parts; ++p) sum += partial[(long)p * size + i];
  out[i] = (T)sum;
}

kernel void conv_direct(device const T* x [[buffer(0)]], device const T* w [[buffer(1)]], device T* out [[buffer(2)]],
                        constant Conv& c [[buffer(4)]], uint3 at [[thread_position_in_grid]]) {
  const int output = at.x, group = output / c.group_outputs;
  Pixel p;
  p.image = at.z;
  int rest = at.y;
  for (int axis = 2; axis >= 0; --axis) {
    p.out[axis] = rest % c.out[axis];
    p.at[axis] = p.out[axis] * c.stride[axis] - c.low[axis];
    rest /= c.out[axis];
  }
  w += (long)output * c.taps * c.group_channels;
  float sum = 0;
  for (int tap = 0; tap < c.taps; ++tap) {
    const long place = meet(c, p, tap);
    if (place < 0) continue;
    device const T* from = x + place * c.channels + group * c.group_channels;
    device const T* weights = w + (long)weight_tap(c, tap) * c.group_channels;
    for (int k = 0; k < c.group_channels; ++k) sum += (float)from[k] * (float)weights[k];
  }
  out[result_place(c, p) * c.outputs + output] = (T)sum;
}
