// Matrix products C = alpha A B + beta C0 of strided operands, batched or gathered. T is the element type; sums are
// float32. `gemm` multiplies tiles by simdgroup matrices, `gemv_dot` and `gemv_sum` take up to four vectors at once,
// `gemm_sum` adds the parts of a product that was split along K. With COMPLEX there is `gemm_complex` only.

/// One product; strides in elements. Mirrored in matmul.cc.
struct Product {
  long a_row, a_k, b_k, b_col, c_row, c_col, out_row, out_col;
  int m, n, k, split_k;  // split_k: the length of a part, a multiple of the tile's K
  int ndim, a_ndim, b_ndim;
  float alpha, beta;
  int has_c;
  int lhs_width, rhs_width;  // bytes of an index; 0: not gathered
  int a_count, b_count;      // matrices that an index may name
};

/// Where the matrices of one entry of the batch start.
struct Places {
  long a, b, c;
};

/// `lists`: the batch's shape, then one list of strides for each of A, B and C. Gathered: the strides of both arrays of
/// indices, then shape and strides of the leading axes of A, and of B.
inline Places locate(uint entry, constant Product& p, constant long* lists, device const int* lhs,
                     device const int* rhs, device atomic_uint* bad) {
  int n = p.ndim;
  constant long* shape = lists;
  Places at;
  at.c = 0;
  if (p.lhs_width == 0) {
    at.a = place_of(entry, shape, lists + n, n);
    at.b = place_of(entry, shape, lists + 2 * n, n);
    if (p.has_c) at.c = place_of(entry, shape, lists + 3 * n, n);
    return at;
  }
  constant long* a_shape = lists + 3 * n;
  constant long* b_shape = a_shape + 2 * p.a_ndim;
  long i = matrix_index(lhs, p.lhs_width, place_of(entry, shape, lists + n, n), p.a_count, bad);
  long j = matrix_index(rhs, p.rhs_width, place_of(entry, shape, lists + 2 * n, n), p.b_count, bad);
  at.a = place_of(i, a_shape, a_shape + p.a_ndim, p.a_ndim);
  at.b = place_of(j, b_shape, b_shape + p.b_ndim, p.b_ndim);
  return at;
}

#ifndef COMPLEX

// A simdgroup computes kTileRows x kTileCols fragments of 8x8, a threadgroup of four of them twice as many each way.
constant int kTileRows [[function_constant(0)]];
constant int kTileCols [[function_constant(1)]];
constant int kAlongK [[function_constant(2)]];     // neighbours in memory of A are neighbours along K (else along rows)
constant int kAlongCols [[function_constant(3)]];  // those of B along columns (else along K)
constant int kVectorA [[function_constant(4)]];    // every four neighbours of A are aligned
constant int kVectorB [[function_constant(5)]];
constant int kSplit [[function_constant(6)]];      // gemm: the parts along K go to `partial`
constant int kVectors [[function_constant(7)]];    // gemv: number of vectors
constant int kParts [[function_constant(8)]];      // gemv_dot: simdgroups that share a row

constant constexpr int kTileK = 16;
constant constexpr int kThreads = 128;
constant constexpr int kPad = 16 / sizeof(T);  // between rows of a tile, against bank conflicts

typedef vec<T, 4> T4;

/// Copies a tile of `rows` x `cols` elements, rounded up with zeros to tile_rows x tile_cols.
inline void load_tile(device const T* from, long row_stride, long col_stride, int rows, int cols, threadgroup T* to,
                      int tile_rows, int tile_cols, bool vectors, uint thread_index) {
  int quads = tile_cols / 4;
  for (int i = thread_index; i < tile_rows * quads; i += kThreads) {
    int r = i / quads, c = i % quads * 4;
    T4 v = T4(T(0));
    if (r < rows) {
      device const T* at = from + r * row_stride + c * col_stride;
      if (vectors && c + 4 <= cols) {
        v = *(device const T4*)at;
      } else {
        for (int e = 0; e < 4; ++e) {
          if (c + e < cols) v[e] = at[e * col_stride];
        }
      }
    }
    *(threadgroup T4*)(to + r * (tile_cols + kPad) + c) = v;
  }
}

inline void store_result(device T* out, device const T* c, constant Product& p, long place, int i, int j, float sum) {
  float y = p.alpha * sum;
  if (p.has_c) y += p.beta * (float)c[place + i * p.c_row + j * p.c_col];
  out[i * p.out_row + j * p.out_col] = (T)y;
}

/// The tiles of both operands from term k0 on; m x n results are wanted.
inline void load_tiles(device const T* a, device const T* b, constant Product& p, int k0, int terms, int m, int n,
                       threadgroup T* a_tile, threadgroup T* b_tile, uint thread_index) {
  const int rows = 16 * kTileRows, cols = 16 * kTileCols;
  a += k0 * p.a_k;
  b += k0 * p.b_k;
  if (kAlongK) {
    load_tile(a, p.a_row, p.a_k, m, terms, a_tile, rows, kTileK, kVectorA, thread_index);
  } else {
    load_tile(a, p.a_k, p.a_row, terms, m, a_tile, kTileK, rows, kVectorA, thread_index);
  }
  if (kAlongCols) {
    load_tile(b, p.b_k, p.b_col, terms, n, b_tile, kTileK, cols, kVectorB, thread_index);
  } else {
    load_tile(b, p.b_col, p.b_k, n, terms, b_tile, cols, kTileK, kVectorB, thread_index);
  }
}

/// Adds the products of one tile along K to a simdgroup's fragments, which start at (row, col).
inline void multiply_tiles(threadgroup const T* a_tile, threadgroup const T* b_tile, int row, int col,
                           thread simdgroup_float8x8 (&sums)[4][4]) {
  const int a_stride = (kAlongK ? kTileK : 16 * kTileRows) + kPad;
  const int b_stride = (kAlongCols ? 16 * kTileCols : kTileK) + kPad;
  for (int k = 0; k < kTileK; k += 8) {
    simdgroup_matrix<T, 8, 8> left[4], right[4];
    for (int i = 0; i < kTileRows; ++i) {
      const int r = row + 8 * i;
      simdgroup_load(left[i], a_tile + (kAlongK ? r * a_stride + k : k * a_stride + r), a_stride, ulong2(0, 0),
                     !kAlongK);
    }
    for (int j = 0; j < kTileCols; ++j) {
      const int c = col + 8 * j;
      simdgroup_load(right[j], b_tile + (kAlongCols ? k * b_stride + c : c * b_stride + k), b_stride, ulong2(0, 0),
                     !kAlongCols);
    }
    for (int i = 0; i < kTileRows; ++i) {
      for (int j = 0; j < kTileCols; ++j) simdgroup_multiply_accumulate(sums[i][j], left[i], right[j], sums[i][j]);
    }
  }
}

kernel void gemm(device const T* a [[buffer(0)]], device const T* b [[buffer(1)]], device const T* c [[buffer(2)]],
                 device T* out [[buffer(3)]], device float* partial [[buffer(4)]], constant Product& p [[buffer(5)]],
                 constant long* lists [[buffer(6)]], device const int* lhs [[buffer(7)]],
                 device const int* rhs [[buffer(8)]], device atomic_uint* bad [[buffer(9)]],
                 threadgroup T* tiles [[threadgroup(0)]], uint3 group [[threadgroup_position_in_grid]],
                 uint thread_index [[thread_index_in_threadgroup]],
                 uint simdgroup [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
  const int i0 = group.y * 16 * kTileRows, j0 = group.x * 16 * kTileCols;
  const int m = min(16 * kTileRows, p.m - i0), n = min(16 * kTileCols, p.n - j0);
  const int k_begin = kSplit ? (int)group.z * p.split_k : 0, k_end = kSplit ? min(p.k, k_begin + p.split_k) : p.k;
  const Places at = locate(kSplit ? 0 : group.z, p, lists, lhs, rhs, bad);
  a += at.a + i0 * p.a_row;
  b += at.b + j0 * p.b_col;
  threadgroup T* b_tile = tiles + (kAlongK ? 16 * kTileRows * (kTileK + kPad) : kTileK * (16 * kTileRows + kPad));
  const int row = simdgroup / 2 * 8 * kTileRows, col = simdgroup % 2 * 8 * kTileCols;  // of this simdgroup in the tile

  simdgroup_float8x8 sums[4][4];
  for (int i = 0; i < kTileRows; ++i) {
    for (int j = 0; j < kTileCols; ++j) sums[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  }
  for (int k0 = k_begin; k0 < k_end; k0 += kTileK) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    load_tiles(a, b, p, k0, min(kTileK, k_end - k0), m, n, tiles, b_tile, thread_index);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    multiply_tiles(tiles, b_tile, row, col, sums);
  }
  out += (long)(kSplit ? 0 : group.z) * p.m * p.n;
  for (int i = 0; i < kTileRows; ++i) {
    for (int j = 0; j < kTileCols; ++j) {
      for (int e = 0; e < 2; ++e) {
        const int r = row + 8 * i + fragment_row(lane), q = col + 8 * j + fragment_col(lane) + e;
        if (r >= m || q >= n) continue;
        const float sum = sums[i][j].thread_elements()[e];
        if (kSplit) {
          partial[((long)group.z * p.m + i0 + r) * p.n + j0 + q] = sum;
        } else {
          store_result(out, c, p, at.c, i0 + r, j0 + q, sum);
        }
      }
    }
  }
}

/// Adds `parts` partial products.
kernel void gemm_sum(device const float* partial [[buffer(0)]], device const T* c [[buffer(1)]],
                     device T* out [[buffer(2)]], constant Product& p [[buffer(3)]], constant int& parts [[buffer(4)]],
                     uint2 at [[thread_position_in_grid]]) {
  float sum = 0;
  for (int i = 0; i < parts; ++i) sum += partial[((long)i * p.m + at.y) * p.n + at.x];
  store_result(out, c, p, 0, at.y, at.x, sum);
}

/// Vectors (rows of A) against a matrix (B) whose columns lie along K in memory: a simdgroup has four columns, or shares
/// them with kParts - 1 others.
kernel void gemv_dot(device const T* a [[buffer(0)]], device const T* b [[buffer(1)]], device const T* c [[buffer(2)]],
                     device T* out [[buffer(3)]], constant Product& p [[buffer(5)]],
                     constant long* lists [[buffer(6)]], device const int* lhs [[buffer(7)]],
                     device const int* rhs [[buffer(8)]], device atomic_uint* bad [[buffer(9)]],
                     uint3 group [[threadgroup_position_in_grid]], uint simdgroup [[simdgroup_index_in_threadgroup]],
                     uint lane [[thread_index_in_simdgroup]]) {
  threadgroup float shared_sums[8][16];
  Places at = locate(group.z, p, lists, lhs, rhs, bad);
  a += at.a;
  b += at.b;
  out += (long)group.z * p.m * p.n;
  const int part = simdgroup % kParts, j0 = (group.x * (8 / kParts) + simdgroup / kParts) * 4;
  const int columns = clamp(p.n - j0, 0, 4);
  float sums[4][4] = {};
  for (int k = (part * 32 + lane) * 4; k < p.k; k += kParts * 128) {
    const int terms = min(4, p.k - k);
    float4 x[4];
    for (int v = 0; v < kVectors; ++v) {
      x[v] = float4(0);
      if (kVectorA && terms == 4) {
        x[v] = float4(*(device const T4*)(a + v * p.a_row + k));
      } else {
        for (int e = 0; e < terms; ++e) x[v][e] = (float)a[v * p.a_row + (k + e) * p.a_k];
      }
    }
    for (int j = 0; j < columns; ++j) {
      float4 w = float4(0);
      device const T* from = b + (j0 + j) * p.b_col;
      if (kVectorB && terms == 4) {
        w = float4(*(device const T4*)(from + k));
      } else {
        for (int e = 0; e < terms; ++e) w[e] = (float)from[(k + e) * p.b_k];
      }
      for (int v = 0; v < kVectors; ++v) sums[v][j] += dot(x[v], w);
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    for (int j = 0; j < 4; ++j) {
      const float sum = simd_sum(sums[v][j]);
      if (lane == 0) shared_sums[simdgroup][v * 4 + j] = sum;
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (part != 0 || (int)lane >= kVectors * 4) return;
  const int v = lane / 4, j = lane % 4;
  if (j >= columns) return;
  float sum = 0;
  for (int i = 0; i < kParts; ++i) sum += shared_sums[simdgroup + i][lane];
  store_result(out, c, p, at.c, v, j0 + j, sum);
}

/// The same for a matrix whose neighbours along columns are neighbours in memory: a lane has four columns, the eight
/// simdgroups share K.
kernel void gemv_sum(device const T* a [[buffer(0)]], device const T* b [[buffer(1)]], device const T* c [[buffer(2)]],
                     device T* out [[buffer(3)]], constant Product& p [[buffer(5)]],
                     constant long* lists [[buffer(6)]], device const int* lhs [[buffer(7)]],
                     device const int* rhs [[buffer(8)]], device atomic_uint* bad [[buffer(9)]],
                     uint3 group [[threadgroup_position_in_grid]], uint simdgroup [[simdgroup_index_in_threadgroup]],
                     uint lane [[thread_index_in_simdgroup]]) {
  threadgroup float4 shared_sums[8][32];
  Places at = locate(group.z, p, lists, lhs, rhs, bad);
  a += at.a;
  out += (long)group.z * p.m * p.n;
  const int j0 = (group.x * 32 + lane) * 4, columns = clamp(p.n - j0, 0, 4);
  b += at.b + j0 * p.b_col;
  float4 sums[4] = {};
  for (int k = simdgroup; k < p.k; k += 8) {
    float4 w = float4(0);
    device const T* from = b + k * p.b_k;
    if (kVectorB && columns == 4) {
      w = float4(*(device const T4*)from);
    } else {
      for (int e = 0; e < columns; ++e) w[e] = (float)from[e * p.b_col];
    }
    for (int v = 0; v < kVectors; ++v) sums[v] += (float)a[v * p.a_row + k * p.a_k] * w;
  }
  for (int v = 0; v < kVectors; ++v) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    shared_sums[simdgroup][lane] = sums[v];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (simdgroup != 0) continue;
    float4 sum = float4(0);
    for (int i = 0; i < 8; ++i) sum += shared_sums[i][lane];
    for (int e = 0; e < columns; ++e) store_result(out, c, p, at.c, v, j0 + e, sum[e]);
  }
}

#else

/// A thread per result, operands by tiles of 16 x 16.
kernel void gemm_complex(device const float2* a [[buffer(0)]], device const float2* b [[buffer(1)]],
                         device const float2* c [[buffer(2)]], device float2* out [[buffer(3)]],
                         constant Product& p [[buffer(5)]], constant long* lists [[buffer(6)]],
                         device const int* lhs [[buffer(7)]], device const int* rhs [[buffer(8)]],
                         device atomic_uint* bad [[buffer(9)]], uint3 group [[threadgroup_position_in_grid]],
                         uint2 local [[thread_position_in_threadgroup]]) {
  threadgroup float2 a_tile[16][16];
  threadgroup float2 b_tile[16][16];
  Places at = locate(group.z, p, lists, lhs, rhs, bad);
  const int i = group.y * 16 + local.y, j = group.x * 16 + local.x;
  float2 sum = float2(0);
  for (int k0 = 0; k0 < p.k; k0 += 16) {
    const int ka = k0 + local.x, kb = k0 + local.y;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    a_tile[local.y][local.x] = i < p.m && ka < p.k ? a[at.a + i * p.a_row + ka * p.a_k] : float2(0);
    b_tile[local.y][local.x] = j < p.n && kb < p.k ? b[at.b + kb * p.b_k + j * p.b_col] : float2(0);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (int k = 0; k < 16; ++k) {
      const float2 x = a_tile[local.y][k], y = b_tile[k][local.x];
      sum += float2(x.x * y.x - x.y * y.y, x.x * y.y + x.y * y.x);
    }
  }
  if (i >= p.m || j >= p.n) return;
  sum *= p.alpha;
  if (p.has_c) sum += p.beta * c[at.c + i * p.c_row + j * p.c_col];
  out[((long)group.z * p.m + i) * p.n + j] = sum;
}

#endif
