// softmax(scale q k^T + mask) v without the matrix of scores. Queries of the heads that share keys are numbered
// t * group + r (token t, head r of the group), so that keys and values are read once for all of them. `attend_tiles`
// takes 32 of these rows at a time by simdgroup matrices; `attend_keys` a few rows over a part of the keys, whose
// results `attend_parts` joins. A row that sees no key gets the mean of the values, as in MLX.

constant int kD [[function_constant(0)]];     // width of q and k
constant int kE [[function_constant(1)]];     // width of v and of the result
constant int kMask [[function_constant(2)]];  // 0 none, 1 bool, 2 float32, 3 float16, 4 bfloat16
constant int kSinks [[function_constant(3)]];
constant int kLength [[function_constant(4)]];
constant int kVectorK [[function_constant(5)]];  // every four neighbours along the width are aligned
constant int kVectorV [[function_constant(6)]];
constant int kRows [[function_constant(7)]];   // attend_keys: rows of a threadgroup
constant int kKeys [[function_constant(8)]];   // attend_tiles: keys of a tile, 16 or 32
constant int kParts [[function_constant(9)]];  // attend_keys: the results go to `partial`

constant constexpr int kThreads = 128;
constant constexpr int kTileRows = 32;
constant constexpr int kPad = 16 / sizeof(T);  // between rows of a tile, against bank conflicts
constant constexpr int kSimdgroups = 8;        // of attend_keys
constant constexpr int kSlots = 64;            // rows times elements per lane, at most

typedef vec<T, 4> T4;

/// Mirrored in attention.cc. Strides in elements; rows of q, k and v have unit stride.
struct Attention {
  long q_batch, q_head, q_row, k_batch, k_head, k_row, v_batch, v_head, v_row;
  long mask_batch, mask_head, mask_row, mask_key;
  int heads, key_heads, queries, keys, group, rows;  // rows = queries * group
  int causal, window, length_stride, sink_stride;
  int part_length, parts;
  float scale;
};
/// One batch entry and key head: its keys, and where its operands start.
struct Scene {
  int batch, key_head, keys;
};

inline Scene scene_of(uint entry, constant Attention& a, device const int* length, device atomic_uint* bad) {
  Scene s = {(int)entry / a.key_heads, (int)entry % a.key_heads, a.keys};
  if (kLength) {
    s.keys = length[(long)s.batch * a.length_stride];
    if (s.keys < 0 || s.keys > a.keys) {
      atomic_store_explicit(bad, 1u, memory_order_relaxed);
      s.keys = clamp(s.keys, 0, a.keys);
    }
  }
  return s;
}
/// Where row r of the scene lies in q, and in the result.
inline long q_place(Scene s, constant Attention& a, int r) {
  return s.batch * a.q_batch + (s.key_head * a.group + r % a.group) * a.q_head + r / a.group * a.q_row;
}
inline long out_place(Scene s, constant Attention& a, int r) {
  return (((long)s.batch * a.heads + s.key_head * a.group + r % a.group) * a.queries + r / a.group) * kE;
}
/// The score of a row and a key after masks. `seen` becomes true unless position or a bool mask hides the key.
inline float masked(float score, Scene s, constant Attention& a, int r, int key, device const uchar* mask,
                    thread bool& seen) {
  const int t = r / a.group, position = s.keys - a.queries + t;
  if (key >= s.keys || (a.causal && key > position) || (a.window > 0 && key <= position - a.window)) return -INFINITY;
  if (kMask) {
    const long at = s.batch * a.mask_batch + (s.key_head * a.group + r % a.group) * a.mask_head + t * a.mask_row +
                    key * a.mask_key;
    if (kMask == 1 && !mask[at]) return -INFINITY;
    if (kMask == 2) score += ((device const float*)mask)[at];
    if (kMask == 3) score += (float)((device const half*)mask)[at];
    if (kMask == 4) score += as_type<float>((uint)((device const ushort*)mask)[at] << 16);
  }
  seen = true;
  return score;
}
inline float sink_of(device const T* sinks, Scene s, constant Attention& a, int r) {
  return (float)sinks[(long)(s.key_head * a.group + r % a.group) * a.sink_stride];
}
/// The mean of column e over all keys.
inline float mean_value(device const T* v, Scene s, constant Attention& a, int e) {
  float sum = 0;
  for (int key = 0; key < s.keys; ++key) sum += (float)v[key * a.v_row + e];
  return s.keys > 0 ? sum / s.keys : 0.0f;
}

// ---- many rows ------------------------------------------------------------------------------------------------------

/// Rows [key, key + kKeys) of k or v, rounded up with zeros to kKeys x 8 * ceil(width / 8).
inline void load_rows(device const T* from, long stride, int rows, int width, bool vectors, threadgroup T* to,
                      uint thread_index) {
  const int padded = (width + 7) / 8 * 8, quads = padded / 4;
  for (int i = thread_index; i < kKeys * quads; i += kThreads) {
    const int r = i / quads, c = i % quads * 4;
    T4 x = T4(T(0));
    if (r < rows) {
      device const T* at = from + r * stride + c;
      if (vectors && c + 4 <= width) {
        x = *(device const T4*)at;
      } else {
        for (int e = 0; e < 4; ++e) {
          if (c + e < width) x[e] = at[e];
        }
      }
    }
    *(threadgroup T4*)(to + r * (padded + kPad) + c) = x;
  }
}

/// Sum and maximum over the four lanes that share a row of a fragment.
inline float row_sum(float x) {
  x += simd_shuffle_xor(x, 1);
  return x + simd_shuffle_xor(x, 8);
}
inline float row_max(float x) {
  x = max(x, simd_shuffle_xor(x, 1));
  return max(x, simd_shuffle_xor(x, 8));
}

/// What a lane knows of its row: the largest score, the sum of powers (its own columns only), whether a key was seen.
struct RowState {
  float most, sum;
  bool seen;
};

/// Masks a simdgroup's scores, turns them into powers, and returns the factor for what was summed before.
inline float soften(thread simdgroup_float8x8 (&scores)[4], thread RowState& state, Scene s, constant Attention& a,
                    int r, int key0, device const uchar* mask, uint lane) {
  float most = state.most;
  for (int j = 0; j < kKeys / 8; ++j) {
    for (int e = 0; e < 2; ++e) {
      const int key = key0 + 8 * j + fragment_col(lane) + e;
      const float score = scores[j].thread_elements()[e] * a.scale;
      scores[j].thread_elements()[e] = r < a.rows ? masked(score, s, a, r, key, mask, state.seen) : -INFINITY;
      most = max(most, scores[j].thread_elements()[e]);
    }
  }
  most = row_max(most);
  const float base = most == -INFINITY ? 0.0f : most;
  const float factor = exp(state.most - base);
  state.sum *= factor;
  for (int j = 0; j < kKeys / 8; ++j) {
    for (int e = 0; e < 2; ++e) {
      const float power = exp(scores[j].thread_elements()[e] - base);
      scores[j].thread_elements()[e] = power;
      state.sum += power;
    }
  }
  state.most = most;
  return factor;
}

/// scores = q k^T for the keys of a tile.
inline void score_tile(thread simdgroup_matrix<T, 8, 8> (&q)[32], threadgroup const T* tile,
                       thread simdgroup_float8x8 (&scores)[4]) {
  const int stride = (kD + 7) / 8 * 8 + kPad;
  for (int j = 0; j < kKeys / 8; ++j) {
    scores[j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    for (int i = 0; i < (kD + 7) / 8; ++i) {
      simdgroup_matrix<T, 8, 8> k;
      simdgroup_load(k, tile + 8 * j * stride + 8 * i, stride, ulong2(0, 0), true);
      simdgroup_multiply_accumulate(scores[j], q[i], k, scores[j]);
    }
  }
}
/// sums = factor sums + powers v. Powers are not rounded to T: of bfloat16 that would be seen.
inline void add_values(thread simdgroup_float8x8 (&powers)[4], threadgroup const T* tile, float factor,
                       thread simdgroup_float8x8 (&sums)[32]) {
  const int stride = (kE + 7) / 8 * 8 + kPad;
  for (int i = 0; i < (kE + 7) / 8; ++i) {
    for (int e = 0; e < 2; ++e) sums[i].thread_elements()[e] *= factor;
    for (int j = 0; j < kKeys / 8; ++j) {
      simdgroup_matrix<T, 8, 8> stored;
      simdgroup_float8x8 v;
      simdgroup_load(stored, tile + 8 * j * stride + 8 * i, stride);
      for (int e = 0; e < 2; ++e) v.thread_elements()[e] = (float)stored.thread_elements()[e];
      simdgroup_multiply_accumulate(sums[i], powers[j], v, sums[i]);
    }
  }
}

/// Writes a lane's columns of its row.
inline void store_rows(thread simdgroup_float8x8 (&sums)[32], RowState state, device const T* v, device const T* sinks,
                       device T* out, Scene s, constant Attention& a, int r, int col) {
  float sum = row_sum(state.sum), scale = 1;
  const bool seen = row_max(state.seen ? 1.0f : 0.0f) > 0;
  if (r >= a.rows) return;
  if (kSinks) {
    const float sink = sink_of(sinks, s, a, r), most = max(state.most, sink);
    scale = exp(state.most - most);
    sum = sum * scale + exp(sink - most);
  }
  scale /= sum;
  out += out_place(s, a, r);
  for (int i = 0; i < (kE + 7) / 8; ++i) {
    for (int e = 0; e < 2; ++e) {
      const int column = 8 * i + col + e;
      if (column >= kE) continue;
      const bool mean = !seen && !kSinks;
      out[column] = (T)(mean ? mean_value(v, s, a, column) : sums[i].thread_elements()[e] * scale);
    }
  }
}

/// A simdgroup has eight rows; keys and values come through one tile in threadgroup memory, in turns.
kernel void attend_tiles(device const T* q [[buffer(0)]], device const T* k [[buffer(1)]],
                         device const T* v [[buffer(2)]], device const uchar* mask [[buffer(3)]],
                         device const T* sinks [[buffer(4)]], device const int* length [[buffer(5)]],
                         device T* out [[buffer(6)]], constant Attention& a [[buffer(7)]],
                         device atomic_uint* bad [[buffer(8)]], threadgroup T* tile [[threadgroup(0)]],
                         uint2 group [[threadgroup_position_in_grid]],
                         uint thread_index [[thread_index_in_threadgroup]],
                         uint simdgroup [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
  const Scene s = scene_of(group.y, a, length, bad);
  const int r0 = group.x * kTileRows, r = r0 + simdgroup * 8 + fragment_row(lane), col = fragment_col(lane);
  k += s.batch * a.k_batch + s.key_head * a.k_head;
  v += s.batch * a.v_batch + s.key_head * a.v_head;
  simdgroup_matrix<T, 8, 8> queries[32];
  for (int i = 0; i < (kD + 7) / 8; ++i) {
    for (int e = 0; e < 2; ++e) {
      const int d = 8 * i + col + e;
      queries[i].thread_elements()[e] = r < a.rows && d < kD ? q[q_place(s, a, r) + d] : T(0);
    }
  }
  simdgroup_float8x8 sums[32], scores[4];
  for (int i = 0; i < (kE + 7) / 8; ++i) sums[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  RowState state = {-INFINITY, 0.0f, false};

  // Keys that any row of the tile sees by position.
  const int past = s.keys - a.queries, last = past + (min(r0 + kTileRows, a.rows) - 1) / a.group;
  const int first = a.window > 0 ? max(0, past + r0 / a.group - a.window + 1) : 0;
  const int end = a.causal ? min(s.keys, last + 1) : s.keys;
  for (int key0 = first / kKeys * kKeys; key0 < end; key0 += kKeys) {
    const int keys = min(kKeys, s.keys - key0);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    load_rows(k + key0 * a.k_row, a.k_row, keys, kD, kVectorK, tile, thread_index);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    score_tile(queries, tile, scores);
    const float factor = soften(scores, state, s, a, r, key0, mask, lane);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    load_rows(v + key0 * a.v_row, a.v_row, keys, kE, kVectorV, tile, thread_index);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    add_values(scores, tile, factor, sums);
  }
  store_rows(sums, state, v, sinks, out, s, a, r, col);
}

// ---- few rows -------------------------------------------------------------------------------------------------------

/// A lane's `n` neighbours of a vector of `width` elements.
inline void load_lane(device const T* from, int n, int width, bool vectors, uint lane, thread float* to) {
  const int at = lane * n;
  for (int i = 0; i < n; i += 4) {
    if (vectors && n % 4 == 0 && at + i + 4 <= width) {
      const float4 x = float4(*(device const T4*)(from + at + i));
      for (int e = 0; e < 4; ++e) to[i + e] = x[e];
    } else {
      for (int e = i; e < min(i + 4, n); ++e) to[e] = at + e < width ? (float)from[at + e] : 0.0f;
    }
  }
}

/// Joins what the simdgroups know of a row: sums[i] of all of them, by threadgroup memory; returns the state.
inline RowState join(RowState own, thread float* values, int n, threadgroup float* states, threadgroup float* joined,
                     uint simdgroup, uint lane) {
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (lane == 0) {
    states[simdgroup * 3] = own.most;
    states[simdgroup * 3 + 1] = own.sum;
    states[simdgroup * 3 + 2] = own.seen ? 1.0f : 0.0f;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  RowState all = {-INFINITY, 0.0f, false};
  for (int i = 0; i < kSimdgroups; ++i) {
    all.most = max(all.most, states[i * 3]);
    all.seen = all.seen || states[i * 3 + 2] != 0;
  }
  const float base = all.most == -INFINITY ? 0.0f : all.most;
  for (int i = 0; i < kSimdgroups; ++i) all.sum += states[i * 3 + 1] * exp(states[i * 3] - base);
  const float factor = exp(own.most - base);
  for (int i = 0; i < n; ++i) joined[(simdgroup * 32 + lane) * n + i] = values[i] * factor;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (int i = 0; i < n; ++i) {
    float sum = 0;
    for (int g = 0; g < kSimdgroups; ++g) sum += joined[(g * 32 + lane) * n + i];
    values[i] = sum;
  }
  return all;
}

/// Adds one key to what a simdgroup knows of a row: x and y are the lane's part of the key and of its value.
inline void add_key(thread RowState& state, float score, thread const float* y, int slots, thread float* values) {
  if (score == -INFINITY) return;
  const float most = max(state.most, score), factor = exp(state.most - most), power = exp(score - most);
  state.most = most;
  state.sum = state.sum * factor + power;
  for (int i = 0; i < slots; ++i) values[i] = values[i] * factor + power * y[i];
}
/// The result of a row from all of its keys.
inline void finish_row(RowState all, thread const float* values, int slots, device const T* v, device const T* sinks,
                       device T* out, Scene s, constant Attention& a, int row, uint lane) {
  float scale = 1;
  if (kSinks) {
    const float sink = sink_of(sinks, s, a, row), most = max(all.most, sink);
    scale = exp(all.most - most);
    all.sum = all.sum * scale + exp(sink - most);
  }
  const bool mean = !all.seen && !kSinks;
  for (int i = 0; i < slots; ++i) {
    const int e = lane * slots + i;
    if (e < kE) out[out_place(s, a, row) + e] = (T)(mean ? mean_value(v, s, a, e) : values[i] * scale / all.sum);
  }
}
inline void store_part(RowState all, thread const float* values, int slots, device float* record, uint lane) {
  if (lane == 0) {
    record[0] = all.most;
    record[1] = all.sum;
    record[2] = all.seen ? 1.0f : 0.0f;
  }
  for (int i = 0; i < slots; ++i) {
    const int e = lane * slots + i;
    if (e < kE) record[3 + e] = values[i];
  }
}

/// Simdgroups take every eighth key of a part; lanes share the width. `partial` has for each part and row the largest
/// score, the sum of powers, whether a key was seen, and the unnormalised result.
kernel void attend_keys(device const T* q [[buffer(0)]], device const T* k [[buffer(1)]],
                        device const T* v [[buffer(2)]], device const uchar* mask [[buffer(3)]],
                        device const T* sinks [[buffer(4)]], device const int* length [[buffer(5)]],
                        device T* out [[buffer(6)]], constant Attention& a [[buffer(7)]],
                        device atomic_uint* bad [[buffer(8)]], device float* partial [[buffer(9)]],
                        threadgroup float* joined [[threadgroup(0)]], uint3 group [[threadgroup_position_in_grid]],
                        uint simdgroup [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
  threadgroup float states[kSimdgroups * 3];
  const int d_slots = (kD + 31) / 32, e_slots = (kE + 31) / 32;
  const Scene s = scene_of(group.z, a, length, bad);
  const int r0 = group.y * kRows, rows = min(kRows, a.rows - r0);
  k += s.batch * a.k_batch + s.key_head * a.k_head;
  v += s.batch * a.v_batch + s.key_head * a.v_head;
  float queries[kSlots], values[kSlots] = {};
  RowState state[8];
  for (int r = 0; r < kRows; ++r) {
    state[r] = {-INFINITY, 0.0f, false};
    if (r < rows) load_lane(q + q_place(s, a, r0 + r), d_slots, kD, false, lane, queries + r * d_slots);
  }
  const int end = min(s.keys, (int)(group.x + 1) * a.part_length);
  for (int key = group.x * a.part_length + simdgroup; key < end; key += kSimdgroups) {
    float x[32], y[32];
    load_lane(k + key * a.k_row, d_slots, kD, kVectorK, lane, x);
    load_lane(v + key * a.v_row, e_slots, kE, kVectorV, lane, y);
    for (int r = 0; r < rows; ++r) {
      float score = 0;
      for (int i = 0; i < d_slots; ++i) score += queries[r * d_slots + i] * x[i];
      score = masked(simd_sum(score) * a.scale, s, a, r0 + r, key, mask, state[r].seen);
      add_key(state[r], score, y, e_slots, values + r * e_slots);
    }
  }
  for (int r = 0; r < rows; ++r) {
    const RowState all = join(state[r], values + r * e_slots, e_slots, states, joined, simdgroup, lane);
    if (simdgroup != 0) continue;
    if (kParts) {
      device float* record = partial + (((long)group.z * a.rows + r0 + r) * a.parts + group.x) * (kE + 3);
      store_part(all, values + r * e_slots, e_slots, record, lane);
    } else {
      finish_row(all, values + r * e_slots, e_slots, v, sinks, out, s, a, r0 + r, lane);
    }
  }
}

/// Joins the parts of a row: a simdgroup per row.
kernel void attend_parts(device const T* v [[buffer(2)]], device const T* sinks [[buffer(4)]],
                         device const int* length [[buffer(5)]], device T* out [[buffer(6)]],
                         constant Attention& a [[buffer(7)]], device atomic_uint* bad [[buffer(8)]],
                         device const float* partial [[buffer(9)]], uint2 group [[threadgroup_position_in_grid]],
                         uint lane [[thread_index_in_simdgroup]]) {
  const Scene s = scene_of(group.y, a, length, bad);
  const int row = group.x;
  partial += ((long)group.y * a.rows + row) * a.parts * (kE + 3);
  v += s.batch * a.v_batch + s.key_head * a.v_head;
  float most = kSinks ? sink_of(sinks, s, a, row) : -INFINITY, sum = kSinks ? 1.0f : 0.0f;
  bool seen = kSinks != 0;
  for (int i = 0; i < a.parts; ++i) {
    const float next = max(most, partial[i * (kE + 3)]), base = next == -INFINITY ? 0.0f : next;
    sum = sum * exp(most - base) + partial[i * (kE + 3) + 1] * exp(partial[i * (kE + 3)] - base);
    seen = seen || partial[i * (kE + 3) + 2] != 0;
    most = next;
  }
  const float base = most == -INFINITY ? 0.0f : most;
  for (int e = lane; e < kE; e += 32) {
    float value = 0;
    for (int i = 0; i < a.parts; ++i) value += partial[i * (kE + 3) + 3 + e] * exp(partial[i * (kE + 3)] - base);
    out[out_place(s, a, row) + e] = (T)(seen ? value / sum : mean_value(v, s, a, e));
  }
}
