// softmax, logsumexp, rmsNorm and layerNorm over the last axis: a threadgroup per row, four neighbours per thread and
// step, sums in float32. A row of up to 16 elements per thread is read once and stays in registers.

constant int kSteps [[function_constant(0)]];   // a row's steps if they stay in registers, else 0
constant int kVector [[function_constant(1)]];  // every four neighbours of x and of the result are aligned
constant int kWeight [[function_constant(2)]];
constant int kBias [[function_constant(3)]];

typedef vec<T, 4> T4;

/// The part of a row that a thread has: elements at(step) .. at(step) + 3.
struct Part {
  device const T* from;
  int n, threads, index;
  int at(int step) const thread { return (step * threads + index) * 4; }
  int steps() const thread { return kSteps ? kSteps : (n + 4 * threads - 1) / (4 * threads); }
  float4 load(int step, float fill) const thread {
    const int i = at(step);
    if (kVector && i + 4 <= n) return float4(*(device const T4*)(from + i));
    float4 v = float4(fill);
    for (int e = 0; e < 4; ++e) {
      if (i + e < n) v[e] = (float)from[i + e];
    }
    return v;
  }
  void store(device T* to, int step, float4 v) const thread {
    const int i = at(step);
    if (kVector && i + 4 <= n) {
      *(device T4*)(to + i) = T4(v);
      return;
    }
    for (int e = 0; e < 4; ++e) {
      if (i + e < n) to[i + e] = (T)v[e];
    }
  }
  /// A weight or bias, whose alignment nobody promises.
  float4 vector(device const T* weights, int step) const thread {
    const int i = at(step);
    float4 v = float4(0);
    for (int e = 0; e < 4; ++e) {
      if (i + e < n) v[e] = (float)weights[i + e];
    }
    return v;
  }
  /// 1 where there is an element.
  float4 inside(int step) const thread {
    const int i = at(step);
    return float4(i < n, i + 1 < n, i + 2 < n, i + 3 < n);
  }
};

inline float sum_of(float4 v) { return (v.x + v.y) + (v.z + v.w); }
inline float max_of(float4 v) { return max(max(v.x, v.y), max(v.z, v.w)); }

/// Sum, and maximum, over the threadgroup.
inline float group_sum(float x, threadgroup float* parts, uint simdgroup, uint simdgroups, uint lane) {
  x = simd_sum(x);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (lane == 0) parts[simdgroup] = x;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return simd_sum(lane < simdgroups ? parts[lane] : 0.0f);
}
inline float group_max(float x, threadgroup float* parts, uint simdgroup, uint simdgroups, uint lane) {
  x = simd_max(x);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (lane == 0) parts[simdgroup] = x;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return simd_max(lane < simdgroups ? parts[lane] : -INFINITY);
}

kernel void softmax(device const T* x [[buffer(0)]], device T* out [[buffer(1)]], constant int& n [[buffer(2)]],
                    constant int& ndim [[buffer(3)]], constant long* lists [[buffer(4)]],
                    uint row [[threadgroup_position_in_grid]], uint index [[thread_index_in_threadgroup]],
                    uint threads [[threads_per_threadgroup]], uint simdgroup [[simdgroup_index_in_threadgroup]],
                    uint simdgroups [[simdgroups_per_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
  threadgroup float parts[32];
  Part part = {x + place_of(row, lists, lists + ndim, ndim), n, (int)threads, (int)index};
  float4 kept[4];
  float most = -INFINITY;
  for (int s = 0; s < part.steps(); ++s) {
    const float4 v = part.load(s, -INFINITY);
    if (kSteps) kept[s] = v;
    most = max(most, max_of(v));
  }
  most = group_max(most, parts, simdgroup, simdgroups, lane);
  float sum = 0;
  for (int s = 0; s < part.steps(); ++s) {
    const float4 v = exp((kSteps ? kept[s] : part.load(s, -INFINITY)) - most);
    if (kSteps) kept[s] = v;
    sum += sum_of(select(v, float4(0), part.inside(s) == 0));
  }
  const float scale = 1 / group_sum(sum, parts, simdgroup, simdgroups, lane);
  for (int s = 0; s < part.steps(); ++s) {
    const float4 v = kSteps ? kept[s] : exp(part.load(s, -INFINITY) - most);
    part.store(out + (long)row * n, s, v * scale);
  }
}

/// log sum e^x = m + log sum e^(x - m) with the maximum m. An infinite m is the result, unless there is a NaN.
kernel void logsumexp(device const T* x [[buffer(0)]], device T* out [[buffer(1)]], constant int& n [[buffer(2)]],
                      constant int& ndim [[buffer(3)]], constant long* lists [[buffer(4)]],
                      uint row [[threadgroup_position_in_grid]], uint index [[thread_index_in_threadgroup]],
                      uint threads [[threads_per_threadgroup]], uint simdgroup [[simdgroup_index_in_threadgroup]],
                      uint simdgroups [[simdgroups_per_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
  threadgroup float parts[32];
  Part part = {x + place_of(row, lists, lists + ndim, ndim), n, (int)threads, (int)index};
  float4 kept[4];
  float most = -INFINITY, strange = 0;
  for (int s = 0; s < part.steps(); ++s) {
    const float4 v = part.load(s, -INFINITY);
    if (kSteps) kept[s] = v;
    most = max(most, max_of(v));
    if (any(isnan(v))) strange = 1;
  }
  most = group_max(most, parts, simdgroup, simdgroups, lane);
  strange = group_max(strange, parts, simdgroup, simdgroups, lane);
  float sum = 0;
  for (int s = 0; s < part.steps(); ++s) {
    const float4 v = exp((kSteps ? kept[s] : part.load(s, -INFINITY)) - most);
    sum += sum_of(select(v, float4(0), part.inside(s) == 0));
  }
  sum = group_sum(sum, parts, simdgroup, simdgroups, lane);
  if (index == 0) out[row] = (T)(strange != 0 ? NAN : isinf(most) ? most : most + log(sum));
}

/// y = (x - m) / sqrt(mean((x - m)^2) + eps) * weight + bias, where m is 0, or the mean for a layer norm.
inline void normalize(Part part, device const T* weight, device const T* bias, device T* out, float eps, bool centred,
                      threadgroup float* parts, uint simdgroup, uint simdgroups, uint lane) {
  float4 kept[4];
  float mean = 0, squares = 0;
  if (kSteps) {
    for (int s = 0; s < kSteps; ++s) kept[s] = part.load(s, 0);
  }
  if (centred) {
    for (int s = 0; s < part.steps(); ++s) mean += sum_of(kSteps ? kept[s] : part.load(s, 0));
    mean = group_sum(mean, parts, simdgroup, simdgroups, lane) / part.n;
  }
  for (int s = 0; s < part.steps(); ++s) {
    const float4 v = ((kSteps ? kept[s] : part.load(s, 0)) - mean) * part.inside(s);
    squares += dot(v, v);
  }
  squares = group_sum(squares, parts, simdgroup, simdgroups, lane);
  const float scale = 1 / sqrt(squares / part.n + eps);
  for (int s = 0; s < part.steps(); ++s) {
    float4 v = ((kSteps ? kept[s] : part.load(s, 0)) - mean) * scale;
    if (kWeight) v *= part.vector(weight, s);
    if (kBias) v += part.vector(bias, s);
    part.store(out, s, v);
  }
}

kernel void rms_norm(device const T* x [[buffer(0)]], device T* out [[buffer(1)]], constant int& n [[buffer(2)]],
                     constant int& ndim [[buffer(3)]], constant long* lists [[buffer(4)]],
                     device const T* weight [[buffer(5)]], device const T* bias [[buffer(6)]],
                     constant float& eps [[buffer(7)]], uint row [[threadgroup_position_in_grid]],
                     uint index [[thread_index_in_threadgroup]], uint threads [[threads_per_threadgroup]],
                     uint simdgroup [[simdgroup_index_in_threadgroup]],
                     uint simdgroups [[simdgroups_per_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
  threadgroup float parts[32];
  Part part = {x + place_of(row, lists, lists + ndim, ndim), n, (int)threads, (int)index};
  normalize(part, weight, bias, out + (long)row * n, eps, false, parts, simdgroup, simdgroups, lane);
}
kernel void layer_norm(device const T* x [[buffer(0)]], device T* out [[buffer(1)]], constant int& n [[buffer(2)]],
                       constant int& ndim [[buffer(3)]], constant long* lists [[buffer(4)]],
                       device const T* weight [[buffer(5)]], device const T* bias [[buffer(6)]],
                       constant float& eps [[buffer(7)]], uint row [[threadgroup_position_in_grid]],
                       uint index [[thread_index_in_threadgroup]], uint threads [[threads_per_threadgroup]],
                       uint simdgroup [[simdgroup_index_in_threadgroup]],
                       uint simdgroups [[simdgroups_per_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
  threadgroup float parts[32];
  Part part = {x + place_of(row, lists, lists + ndim, ndim), n, (int)threads, (int)index};
  normalize(part, weight, bias, out + (long)row * n, eps, true, parts, simdgroup, simdgroups, lane);
}
