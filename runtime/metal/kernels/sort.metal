// sort and argsort along one axis, of any length: blocks by a bitonic network in threadgroup memory, then merges of
// runs, each thread finding its part by binary search. What moves is (key, index): that order is total, so it is stable.
#include "keys.metal"

constant constexpr uint kBlock = 1024, kRun = 8;

/// Keys of up to 32 bits and their indices are one number; others keep them apart.
typedef ulong Narrow;
struct Wide {
  ulong key;
  uint index, padding;
};
inline bool precedes(Narrow a, Narrow b) { return a < b; }
inline bool precedes(Wide a, Wide b) { return a.key < b.key || (a.key == b.key && a.index < b.index); }
inline uint index_of(Narrow e) { return (uint)e; }
inline uint index_of(Wide e) { return e.index; }
template <class E> struct Make;
template <> struct Make<Narrow> {
  static Narrow of(ulong key, uint index) { return (key << 32) | index; }
};
template <> struct Make<Wide> {
  static Wide of(ulong key, uint index) {
    Wide e;
    e.key = key;
    e.index = index;
    e.padding = 0;
    return e;
  }
};

/// Lines of `length` elements; `dims` has the lengths of the other axes, then x's strides of them, then the output's.
struct Sort {
  ulong length, lines;
  long x_step, y_step;
  int ndim, dtype, item, indices;  // indices: the result is that of argsort
  uint block, keep;                // elements of a threadgroup, a power of two; whether entries stay in `runs`
};

template <class E>
inline void write_result(constant const Sort& s, constant const long* dims, ulong line, ulong i, E e,
                         device const uchar* x, device uchar* y) {
  long to = place_of(line, dims, dims + 2 * s.ndim, s.ndim) + (long)i * s.y_step;
  if (s.indices != 0) {
    ((device uint*)y)[to] = index_of(e);
  } else {
    long from = place_of(line, dims, dims + s.ndim, s.ndim) + (long)index_of(e) * s.x_step;
    store_raw(y, to, s.item, load_raw(x, from, s.item));
  }
}

/// Sorts blocks of lines: to `runs`, or to y.
template <class E>
inline void sort_blocks(constant const Sort& s, constant const long* dims, device const uchar* x, device uchar* y,
                        device E* runs, threadgroup E* part, ulong group, uint lane, uint size) {
  ulong blocks = (s.length + s.block - 1) / s.block, line = group / blocks, first = group % blocks * s.block;
  bool real = line < s.lines;
  long at = real ? place_of(line, dims, dims + s.ndim, s.ndim) : 0;
  for (uint i = lane; i < s.block; i += size) {
    bool inside = real && first + i < s.length;
    ulong key = ~(ulong)0;
    if (inside) key = key_of(load_raw(x, at + (long)(first + i) * s.x_step, s.item), s.dtype, false, s.indices != 0);
    part[i] = Make<E>::of(key, inside ? (uint)(first + i) : 0xffffffff);
  }
  for (uint width = 2; width <= s.block; width *= 2) {
    for (uint step = width / 2; step > 0; step /= 2) {
      threadgroup_barrier(mem_flags::mem_threadgroup);
      for (uint k = lane; k < s.block / 2; k += size) {
        uint i = 2 * step * (k / step) + k % step, j = i + step;
        E a = part[i], b = part[j];
        if (precedes(b, a) == ((i & width) == 0)) {
          part[i] = b;
          part[j] = a;
        }
      }
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint i = lane; i < s.block; i += size) {
    if (!real || first + i >= s.length) continue;
    if (s.keep == 0) write_result(s, dims, line, i, part[i], x, y);
    else runs[line * s.length + first + i] = part[i];
  }
}

/// Merges pairs of runs of `width` elements: a thread makes kRun elements of the result.
template <class E>
inline void merge_runs(constant const Sort& s, ulong width, device const E* from, device E* to, ulong number) {
  ulong pieces = (s.length + kRun - 1) / kRun, line = number / pieces, at = number % pieces * kRun;
  if (line >= s.lines) return;
  device const E* x = from + line * s.length;
  device E* y = to + line * s.length;
  ulong begin = at / (2 * width) * 2 * width, middle = min(begin + width, s.length);
  ulong end = min(begin + 2 * width, s.length), n = at - begin, left = middle - begin, right = end - middle;
  // How many of the first n elements of the result come from the left run.
  ulong low = n > right ? n - right : 0, high = min(n, left);
  while (low < high) {
    ulong half_way = (low + high) / 2;
    if (precedes(x[middle + n - 1 - half_way], x[begin + half_way])) high = half_way;
    else low = half_way + 1;
  }
  ulong i = begin + low, j = middle + n - low, stop = min(at + kRun, end);
  for (ulong k = at; k < stop; ++k) {
    bool take_left = i < middle && (j >= end || !precedes(x[j], x[i]));
    y[k] = take_left ? x[i] : x[j];
    if (take_left) ++i;
    else ++j;
  }
}

kernel void sort_blocks_narrow(constant const Sort& s [[buffer(0)]], constant const long* dims [[buffer(1)]],
                               device const uchar* x [[buffer(2)]], device uchar* y [[buffer(3)]],
                               device uchar* runs [[buffer(4)]], uint3 group [[threadgroup_position_in_grid]],
                               uint3 groups [[threadgroups_per_grid]], uint lane [[thread_index_in_threadgroup]],
                               uint3 size [[threads_per_threadgroup]]) {
  threadgroup Narrow part[kBlock];
  sort_blocks<Narrow>(s, dims, x, y, (device Narrow*)runs, part, number_of(group, groups), lane, size.x);
}
kernel void sort_blocks_wide(constant const Sort& s [[buffer(0)]], constant const long* dims [[buffer(1)]],
                             device const uchar* x [[buffer(2)]], device uchar* y [[buffer(3)]],
                             device uchar* runs [[buffer(4)]], uint3 group [[threadgroup_position_in_grid]],
                             uint3 groups [[threadgroups_per_grid]], uint lane [[thread_index_in_threadgroup]],
                             uint3 size [[threads_per_threadgroup]]) {
  threadgroup Wide part[kBlock];
  sort_blocks<Wide>(s, dims, x, y, (device Wide*)runs, part, number_of(group, groups), lane, size.x);
}
kernel void sort_merge_narrow(constant const Sort& s [[buffer(0)]], constant const ulong& width [[buffer(1)]],
                              device const Narrow* from [[buffer(2)]], device Narrow* to [[buffer(3)]],
                              uint3 at [[thread_position_in_grid]], uint3 grid [[threads_per_grid]]) {
  merge_runs<Narrow>(s, width, from, to, number_of(at, grid));
}
kernel void sort_merge_wide(constant const Sort& s [[buffer(0)]], constant const ulong& width [[buffer(1)]],
                            device const Wide* from [[buffer(2)]], device Wide* to [[buffer(3)]],
                            uint3 at [[thread_position_in_grid]], uint3 grid [[threads_per_grid]]) {
  merge_runs<Wide>(s, width, from, to, number_of(at, grid));
}
kernel void sort_write_narrow(constant const Sort& s [[buffer(0)]], constant const long* dims [[buffer(1)]],
                              device const uchar* x [[buffer(2)]], device uchar* y [[buffer(3)]],
                              device const Narrow* runs [[buffer(4)]], uint3 at [[thread_position_in_grid]],
                              uint3 grid [[threads_per_grid]]) {
  ulong i = number_of(at, grid);
  if (i < s.lines * s.length) write_result(s, dims, i / s.length, i % s.length, runs[i], x, y);
}
kernel void sort_write_wide(constant const Sort& s [[buffer(0)]], constant const long* dims [[buffer(1)]],
                            device const uchar* x [[buffer(2)]], device uchar* y [[buffer(3)]],
                            device const Wide* runs [[buffer(4)]], uint3 at [[thread_position_in_grid]],
                            uint3 grid [[threads_per_grid]]) {
  ulong i = number_of(at, grid);
  if (i < s.lines * s.length) write_result(s, dims, i / s.length, i % s.length, runs[i], x, y);
}
