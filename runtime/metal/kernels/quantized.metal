// Products with quantized matrices, straight from the packed words. T is the type of x and of the results; sums are
// float32. A row of weights is a little-endian string of codes with one scale (and bias) per group: weight = scale *
// code + bias. 16 codes are `kBits` 16-bit words, which is what a lane takes at a time. `qmv` is for few rows of x and
// weights [N, K], `qvm` for a row and weights [K, N], `qmm` multiplies tiles for many rows.

constant int kBits [[function_constant(0)]];
constant int kGroup [[function_constant(1)]];       // weights per scale
constant int kScaleType [[function_constant(2)]];   // 0 float32, 1 float16, 2 bfloat16, 3 e8m0, 4 e4m3
constant int kCodeType [[function_constant(3)]];    // 0 integer, 1 fp4 e2m1, 2 fp8 e4m3
constant int kVectors [[function_constant(4)]];     // qmv: rows of x at once, up to 8
constant int kVectorX [[function_constant(5)]];     // every four elements of x along K are aligned
constant int kTransposed [[function_constant(6)]];  // qmm: weights are [N, K]
constant int kTileRows [[function_constant(7)]];    // qmm: a threadgroup computes 16 * kTileRows rows, 64 columns

constant int kEnding [[function_constant(8)]];      // qmv_joined: 0 none, 1 plus an array, 2 silu(first) * second

constant constexpr int kUnit = 16;
constant constexpr int kTileK = 32;
constant constexpr int kTileN = 64;
constant constexpr int kThreads = 128;
constant constexpr int kPad = 16 / sizeof(T);  // between rows of a tile, against bank conflicts

typedef vec<T, 4> T4;

/// Mirrored in quantized.cc. All arrays are contiguous.
struct Product {
  int m, n, k;               // rows of x per entry, results per row, terms per result
  int rows, cols;            // of a matrix of weights
  int one_matrix;            // all entries use the same weights
  int lhs_width, rhs_width;  // bytes of an index; 0: not gathered
  int x_count, w_count;
};

inline float e4m3_to_float(uint code) {
  const uint size = code & 0x7f;
  if (size == 0x7f) return NAN;
  const float scaled = as_type<float>(((size << 20) + (120u << 23)));
  const float value = (code & 0x78) ? scaled : (scaled - as_type<float>(120u << 23)) * 2.0f;
  return (code & 0x80) ? -value : value;
}
inline float scale_at(device const uchar* scales, long i) {
  switch (kScaleType) {
    case 0: return ((device const float*)scales)[i];
    case 1: return (float)((device const half*)scales)[i];
    case 2: return as_type<float>((uint)((device const ushort*)scales)[i] << 16);
    case 3: return as_type<float>(scales[i] == 0 ? 0x00400000u : (uint)scales[i] << 23);
    default: return e4m3_to_float(scales[i]);
  }
}
inline float bias_at(device const uchar* biases, long i) { return kCodeType == 0 ? scale_at(biases, i) : 0.0f; }

inline float code_value(uint code) {
  if (kCodeType == 0) return (float)code;
  if (kCodeType == 2) return e4m3_to_float(code);
  const float size = (float)((0xC8643210u >> ((code & 7) * 4)) & 15) * 0.5f;
  return (code & 8) ? -size : size;
}

/// The words of 16 codes.
struct Unit {
  ushort words[8];
};
/// Unit `i` from the start of a row. A row's bytes are a multiple of four, and so are a unit's if its bits are even.
inline Unit load_unit(device const uchar* row, int i) {
  Unit unit;
  device const uchar* at = row + i * 2 * kBits;
  if (kBits % 2 == 0) {
    for (int w = 0; w < kBits; w += 2) {
      const uint pair = *(device const uint*)(at + 2 * w);
      unit.words[w] = (ushort)pair;
      unit.words[w + 1] = (ushort)(pair >> 16);
    }
  } else {
    for (int w = 0; w < kBits; ++w) unit.words[w] = ((device const ushort*)at)[w];
  }
  return unit;
}
inline float unit_value(thread const Unit& unit, int i) {
  const int bit = i * kBits, word = bit / 16, shift = bit % 16;
  uint code = (uint)unit.words[word] >> shift;
  if (shift + kBits > 16) code |= (uint)unit.words[word + 1] << (16 - shift);
  return code_value(code & ((1u << kBits) - 1));
}

/// 16 elements of x from `at`; those past `count` are 0.
inline void load_x(device const T* at, int count, thread float* x) {
  if (kVectorX && count >= kUnit) {
    for (int i = 0; i < kUnit; i += 4) {
      const float4 v = float4(*(device const T4*)(at + i));
      for (int e = 0; e < 4; ++e) x[i + e] = v[e];
    }
  } else {
    for (int i = 0; i < kUnit; ++i) x[i] = i < count ? (float)at[i] : 0.0f;
  }
}

/// Where the operands of an entry start, in matrices.
struct Entry {
  long x, w;
};
inline Entry entry_of(uint i, constant Product& p, device const int* lhs, device const int* rhs,
                      device atomic_uint* bad) {
  Entry e;
  e.x = p.lhs_width ? matrix_index(lhs, p.lhs_width, i, p.x_count, bad) : (long)i;
  e.w = p.rhs_width ? matrix_index(rhs, p.rhs_width, i, p.w_count, bad) : p.one_matrix ? 0 : (long)i;
  return e;
}

/// Matrices of weights as they are stored; strides are those of rows.
struct Weights {
  device const uchar* codes;
  device const uchar* scales;
  device const uchar* biases;
  long code_stride, scale_stride;
  long first_scale;  // of the matrix
};
inline Weights weights_of(device const uchar* codes, device const uchar* scales, device const uchar* biases,
                          constant Product& p, long matrix) {
  Weights w;
  w.code_stride = (long)p.cols * kBits / 8;
  w.scale_stride = p.cols / kGroup;
  w.codes = codes + matrix * p.rows * w.code_stride;
  w.scales = scales;
  w.biases = biases;
  w.first_scale = matrix * p.rows * w.scale_stride;
  return w;
}

/// sums[v][j] += this lane's part of row j0 + j of the weights times row v of x.
inline void add_products(device const T* x, int vectors, thread const Weights& w, int j0, int columns, int k_length,
                         uint lane, thread float* sums) {
  for (int k = lane * kUnit; k < k_length; k += 32 * kUnit) {
    Unit units[4];
    float scales[4], biases[4];
    for (int j = 0; j < columns; ++j) {
      const long group = w.first_scale + (j0 + j) * w.scale_stride + k / kGroup;
      units[j] = load_unit(w.codes + (j0 + j) * w.code_stride, k / kUnit);
      scales[j] = scale_at(w.scales, group);
      biases[j] = bias_at(w.biases, group);
    }
    for (int v = 0; v < kVectors; ++v) {
      if (v >= vectors) continue;
      float terms[kUnit];
      load_x(x + (long)v * k_length + k, kUnit, terms);
      float total = 0;
      for (int i = 0; i < kUnit; ++i) total += terms[i];
      for (int j = 0; j < columns; ++j) {
        float sum = 0;
        for (int i = 0; i < kUnit; ++i) sum += unit_value(units[j], i) * terms[i];
        sums[v * 4 + j] += scales[j] * sum + biases[j] * total;
      }
    }
  }
}

/// A simdgroup has four rows of the weights and kVectors rows of x.
kernel void qmv(device const T* x [[buffer(0)]], device const uchar* codes [[buffer(1)]],
                device const uchar* scales [[buffer(2)]], device const uchar* biases [[buffer(3)]],
                device T* out [[buffer(4)]], constant Product& p [[buffer(5)]], device const int* lhs [[buffer(6)]],
                device const int* rhs [[buffer(7)]], device atomic_uint* bad [[buffer(8)]],
                uint3 group [[threadgroup_position_in_grid]], uint simdgroup [[simdgroup_index_in_threadgroup]],
                uint lane [[thread_index_in_simdgroup]]) {
  const Entry entry = entry_of(group.z, p, lhs, rhs, bad);
  const Weights w = weights_of(codes, scales, biases, p, entry.w);
  const int j0 = (group.x * 2 + simdgroup) * 4, columns = clamp(p.n - j0, 0, 4);
  const int i0 = group.y * kVectors, vectors = min(kVectors, p.m - i0);
  float sums[8 * 4] = {};
  add_products(x + (entry.x * p.m + i0) * p.k, vectors, w, j0, columns, p.k, lane, sums);
  out += ((long)group.z * p.m + i0) * p.n + j0;
  for (int v = 0; v < kVectors; ++v) {
    for (int j = 0; j < 4; ++j) {
      const float sum = simd_sum(sums[v * 4 + j]);
      if (lane == 0 && v < vectors && j < columns) out[(long)v * p.n + j] = (T)sum;
    }
  }
}

/// Several products of the same rows. Mirrored in quantized.cc.
struct Joined {
  int m, k;
  int n[3];
  int first_group[3];  // whose threadgroups begin a product
};
/// sums[v][j] of a product, in all lanes.
inline void product_sums(device const T* x, device const uchar* codes, device const uchar* scales,
                         device const uchar* biases, int vectors, int k, int j0, int columns, uint lane,
                         thread float* sums) {
  const Weights w = {codes, scales, biases, (long)k * kBits / 8, k / kGroup, 0};
  for (int i = 0; i < 8 * 4; ++i) sums[i] = 0;
  add_products(x, vectors, w, j0, columns, k, lane, sums);
  for (int v = 0; v < kVectors; ++v) {
    for (int j = 0; j < 4; ++j) sums[v * 4 + j] = simd_sum(sums[v * 4 + j]);
  }
}

kernel void qmv_joined(
    device const T* x [[buffer(0)]], device const uchar* codes0 [[buffer(1)]], device const uchar* codes1 [[buffer(2)]],
    device const uchar* codes2 [[buffer(3)]], device const uchar* scales0 [[buffer(4)]],
    device const uchar* scales1 [[buffer(5)]], device const uchar* scales2 [[buffer(6)]],
    device const uchar* biases0 [[buffer(7)]], device const uchar* biases1 [[buffer(8)]],
    device const uchar* biases2 [[buffer(9)]], device T* out0 [[buffer(10)]], device T* out1 [[buffer(11)]],
    device T* out2 [[buffer(12)]], constant Joined& p [[buffer(13)]], device const T* added [[buffer(14)]],
    uint group [[threadgroup_position_in_grid]], uint simdgroup [[simdgroup_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]]) {
  const int part = kEnding == 2 || (int)group < p.first_group[1] ? 0 : (int)group < p.first_group[2] ? 1 : 2;
  device const uchar* codes = part == 0 ? codes0 : part == 1 ? codes1 : codes2;
  device const uchar* scales = part == 0 ? scales0 : part == 1 ? scales1 : scales2;
  device const uchar* biases = part == 0 ? biases0 : part == 1 ? biases1 : biases2;
  device T* out = part == 0 ? out0 : part == 1 ? out1 : out2;
  const int n = p.n[part], j0 = (((int)group - p.first_group[part]) * 2 + simdgroup) * 4, columns = clamp(n - j0, 0, 4);
  float sums[8 * 4], others[8 * 4];
  product_sums(x, codes, scales, biases, p.m, p.k, j0, columns, lane, sums);
  if (kEnding == 2) product_sums(x, codes1, scales1, biases1, p.m, p.k, j0, columns, lane, others);
  if (lane != 0) return;
  for (int v = 0; v < kVectors; ++v) {
    for (int j = 0; j < columns; ++j) {
      const long at = (long)v * n + j0 + j;
      // Each step is rounded as the single instructions round theirs.
      T y = (T)sums[v * 4 + j];
      if (kEnding == 1) y = (T)((float)y + (float)added[at]);
      if (kEnding == 2) {
        const T gate = (T)(1 / (1 + exp(-(float)y)));
        y = (T)((float)y * (float)gate);
        y = (T)((float)y * (float)(T)others[v * 4 + j]);
      }
      out[at] = y;
    }
  }
}

/// One row of x times weights [K, N]: a lane has 16 columns, the eight simdgroups share K.
kernel void qvm(device const T* x [[buffer(0)]], device const uchar* codes [[buffer(1)]],
                device const uchar* scales [[buffer(2)]], device const uchar* biases [[buffer(3)]],
                device T* out [[buffer(4)]], constant Product& p [[buffer(5)]], device const int* lhs [[buffer(6)]],
                device const int* rhs [[buffer(7)]], device atomic_uint* bad [[buffer(8)]],
                uint3 group [[threadgroup_position_in_grid]], uint simdgroup [[simdgroup_index_in_threadgroup]],
                uint lane [[thread_index_in_simdgroup]]) {
  threadgroup float shared_sums[8][32];
  const Entry entry = entry_of(group.z, p, lhs, rhs, bad);
  const Weights w = weights_of(codes, scales, biases, p, entry.w);
  x += (entry.x * p.m + group.y) * p.k;
  out += ((long)group.z * p.m + group.y) * p.n;
  const int j0 = (group.x * 32 + lane) * kUnit;
  float sums[kUnit] = {};
  if (j0 < p.n) {
    for (int k = simdgroup; k < p.k; k += 8) {
      const Unit unit = load_unit(w.codes + k * w.code_stride, j0 / kUnit);
      const long at = w.first_scale + k * w.scale_stride + j0 / kGroup;
      const float term = (float)x[k], scale = scale_at(w.scales, at) * term, bias = bias_at(w.biases, at) * term;
      for (int i = 0; i < kUnit; ++i) sums[i] += scale * unit_value(unit, i) + bias;
    }
  }
  for (int i = 0; i < kUnit; ++i) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    shared_sums[simdgroup][lane] = sums[i];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (simdgroup != 0 || j0 >= p.n) continue;
    float sum = 0;
    for (int part = 0; part < 8; ++part) sum += shared_sums[part][lane];
    out[j0 + i] = (T)sum;
  }
}

/// A tile of x [rows][kTileK], rounded up with zeros.
inline void load_x_tile(device const T* x, int rows, int terms, long stride, threadgroup T* to, uint thread_index) {
  for (int i = thread_index; i < 16 * kTileRows * (kTileK / 4); i += kThreads) {
    const int r = i / (kTileK / 4), k = i % (kTileK / 4) * 4;
    T4 v = T4(T(0));
    if (r < rows) {
      device const T* at = x + r * stride + k;
      if (kVectorX && k + 4 <= terms) {
        v = *(device const T4*)at;
      } else {
        for (int e = 0; e < 4; ++e) {
          if (k + e < terms) v[e] = at[e];
        }
      }
    }
    *(threadgroup T4*)(to + r * (kTileK + kPad) + k) = v;
  }
}
/// A tile of weights: 64 rows of 32 codes if transposed, else 32 rows of 64. Each thread unpacks one unit.
inline void load_w_tile(thread const Weights& w, int row0, int col0, int rows, int cols, threadgroup T* to,
                        uint thread_index) {
  const int units = (kTransposed ? kTileK : kTileN) / kUnit, stride = (kTransposed ? kTileK : kTileN) + kPad;
  const int r = thread_index / units, c = thread_index % units * kUnit;
  threadgroup T* at = to + r * stride + c;
  if (row0 + r >= rows || col0 + c >= cols) {
    for (int i = 0; i < kUnit; ++i) at[i] = T(0);
    return;
  }
  const Unit unit = load_unit(w.codes + (row0 + r) * w.code_stride, (col0 + c) / kUnit);
  const long group = w.first_scale + (row0 + r) * w.scale_stride + (col0 + c) / kGroup;
  const float scale = scale_at(w.scales, group), bias = bias_at(w.biases, group);
  for (int i = 0; i < kUnit; ++i) at[i] = (T)(scale * unit_value(unit, i) + bias);
}

/// The sums of a simdgroup's fragments over one tile along K.
inline void multiply_tiles(threadgroup const T* x_tile, threadgroup const T* w_tile,
                           thread simdgroup_float8x8 (&sums)[4][4]) {
  const int x_stride = kTileK + kPad, w_stride = (kTransposed ? kTileK : kTileN) + kPad;
  for (int kk = 0; kk < kTileK; kk += 8) {
    simdgroup_matrix<T, 8, 8> left[4], right[4];
    for (int i = 0; i < kTileRows; ++i) simdgroup_load(left[i], x_tile + 8 * i * x_stride + kk, x_stride);
    for (int j = 0; j < 4; ++j) {
      simdgroup_load(right[j], w_tile + (kTransposed ? 8 * j * w_stride + kk : kk * w_stride + 8 * j), w_stride,
                     ulong2(0, 0), kTransposed != 0);
    }
    for (int i = 0; i < kTileRows; ++i) {
      for (int j = 0; j < 4; ++j) simdgroup_multiply_accumulate(sums[i][j], left[i], right[j], sums[i][j]);
    }
  }
}

kernel void qmm(device const T* x [[buffer(0)]], device const uchar* codes [[buffer(1)]],
                device const uchar* scales [[buffer(2)]], device const uchar* biases [[buffer(3)]],
                device T* out [[buffer(4)]], constant Product& p [[buffer(5)]], device const int* lhs [[buffer(6)]],
                device const int* rhs [[buffer(7)]], device atomic_uint* bad [[buffer(8)]],
                threadgroup T* tiles [[threadgroup(0)]], uint3 group [[threadgroup_position_in_grid]],
                uint thread_index [[thread_index_in_threadgroup]], uint simdgroup [[simdgroup_index_in_threadgroup]],
                uint lane [[thread_index_in_simdgroup]]) {
  const Entry entry = entry_of(group.z, p, lhs, rhs, bad);
  const Weights w = weights_of(codes, scales, biases, p, entry.w);
  const int i0 = group.y * 16 * kTileRows, j0 = group.x * kTileN, rows = min(16 * kTileRows, p.m - i0);
  const int row = simdgroup / 2 * 8 * kTileRows, col = simdgroup % 2 * 32;  // of this simdgroup in the tile
  x += (entry.x * p.m + i0) * p.k;
  threadgroup T* w_tile = tiles + 16 * kTileRows * (kTileK + kPad);
  simdgroup_float8x8 sums[4][4];
  for (int i = 0; i < kTileRows; ++i) {
    for (int j = 0; j < 4; ++j) sums[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  }
  for (int k = 0; k < p.k; k += kTileK) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    load_x_tile(x + k, rows, p.k - k, p.k, tiles, thread_index);
    load_w_tile(w, kTransposed ? j0 : k, kTransposed ? k : j0, p.rows, p.cols, w_tile, thread_index);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    multiply_tiles(tiles + row * (kTileK + kPad), w_tile + col * (kTransposed ? kTileK + kPad : 1), sums);
  }
  out += ((long)group.z * p.m + i0) * p.n + j0;
  for (int i = 0; i < kTileRows; ++i) {
    for (int j = 0; j < 4; ++j) {
      for (int e = 0; e < 2; ++e) {
        const int r = row + 8 * i + fragment_row(lane), c = col + 8 * j + fragment_col(lane) + e;
        if (r < rows && j0 + c < p.n) out[(long)r * p.n + c] = (T)sums[i][j].thread_elements()[e];
      }
    }
  }
}

/// A unit per thread; `units` is their number in a row.
kernel void dequantize(device const uchar* codes [[buffer(0)]], device const uchar* scales [[buffer(1)]],
                       device const uchar* biases [[buffer(2)]], device T* out [[buffer(3)]],
                       constant int& units [[buffer(4)]], uint2 at [[thread_position_in_grid]]) {
  const Unit unit = load_unit(codes + (long)at.y * units * 2 * kBits, at.x);
  const long group = ((long)at.y * units + at.x) * kUnit / kGroup;
  const float scale = scale_at(scales, group), bias = bias_at(biases, group);
  out += ((long)at.y * units + at.x) * kUnit;
  for (int i = 0; i < kUnit; ++i) out[i] = (T)(scale * unit_value(unit, i) + bias);
}
