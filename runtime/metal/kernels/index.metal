// Gathers, scatters, slice updates, slices at data, concatenation. An element of a gather's result (of a scatter's
// updates) has a number i = number * slice + place in the slice; its partner in the indexed array lies at
// place_of(i) + sum over k of index_k[number] * stride_k. Where several updates meet, they were sorted by target first
// (sort.metal, stable), so that one thread applies them in their order.
#include "values.metal"

/// Of the lists: lengths of the `ndim` axes of i, strides of the indexed array, strides of the updates, then length of
/// the axis, length of the slices, stride and dtype for each of `n_indices` index arrays.
struct Index {
  ulong elements, slice, units;
  int ndim, n_indices, item, mode, dtype, exploded, wide, padding;
};
enum Mode { kSet, kAdd, kMultiply, kMaximum, kMinimum };

#define INDEX(n) device const uchar* i##n [[buffer(n + 8)]],
#define INDICES                                                                                                       \
  INDEX(0) INDEX(1) INDEX(2) INDEX(3) INDEX(4) INDEX(5) INDEX(6) INDEX(7) INDEX(8) INDEX(9) INDEX(10) INDEX(11)       \
  INDEX(12) INDEX(13) INDEX(14) INDEX(15)
#define LIST_OF_INDICES {i0, i1, i2, i3, i4, i5, i6, i7, i8, i9, i10, i11, i12, i13, i14, i15}

/// Element `i` of index data as the start of `slice` elements of an axis of `length`; negative ones count from the end.
/// One that is out of range sets `bad` and becomes 0.
inline long resolve(device const uchar* data, ulong i, long length, long slice, int dtype, device atomic_uint* bad) {
  long v = dtype == kInt32    ? (long)((device const int*)data)[i]
           : dtype == kUint32 ? (long)((device const uint*)data)[i]
                              : ((device const long*)data)[i];
  if (v < 0 && dtype != kUint64) v += length;
  if (v >= 0 && v <= length - slice) return v;
  atomic_store_explicit(bad, 1u, memory_order_relaxed);
  return 0;
}
inline long target(constant const Index& s, constant const long* dims, device const uchar* thread* indices, ulong i,
                   device atomic_uint* bad) {
  long at = place_of(i, dims, dims + s.ndim, s.ndim);
  constant const long* facts = dims + 3 * s.ndim;
  ulong number = i / s.slice;
  for (int k = 0; k < s.n_indices; ++k, facts += 4)
    at += resolve(indices[k], number, facts[0], facts[1], (int)facts[3], bad) * facts[2];
  return at;
}
/// y (op)= x as MLX does it: maximum and minimum keep y only where it wins the comparison.
template <class T> inline T combined(int mode, T y, T x) {
  switch (mode) {
    case kAdd: return op_add(y, x);
    case kMultiply: return op_multiply(y, x);
    case kMaximum: return before(x, y) ? y : x;
    default: return before(y, x) ? y : x;
  }
}
inline ulong combine(int mode, int dtype, ulong y, ulong x) {
  switch (class_of(dtype)) {
    case kFloatClass: return rounded(combined(mode, float_of(y), float_of(x)), dtype);
    case kComplexClass: return bits_of(combined(mode, complex_of(y), complex_of(x)));
    case kSignedClass: return narrow((ulong)combined(mode, (long)y, (long)x), dtype);
    default: return narrow(combined(mode, y, x), dtype);
  }
}
inline void update(device uchar* y, long to, device const uchar* x, long from, int mode, int dtype, int item) {
  if (mode == kSet) store_raw(y, to, item, load_raw(x, from, item));
  else store_bits(y, to, dtype, combine(mode, dtype, load_bits(y, to, dtype), load_bits(x, from, dtype)));
}

kernel void index_gather(constant const Index& s [[buffer(0)]], constant const long* dims [[buffer(1)]],
                   device const uchar* x [[buffer(2)]], device uchar* y [[buffer(3)]],
                   device atomic_uint* bad [[buffer(4)]], INDICES uint3 at [[thread_position_in_grid]],
                   uint3 grid [[threads_per_grid]]) {
  device const uchar* indices[16] = LIST_OF_INDICES;
  ulong i = number_of(at, grid);
  if (i < s.elements) store_raw(y, (long)i, s.item, load_raw(x, target(s, dims, indices, i, bad), s.item));
}
/// Where no two updates meet.
kernel void index_scatter(constant const Index& s [[buffer(0)]], constant const long* dims [[buffer(1)]],
                    device const uchar* x [[buffer(2)]], device uchar* y [[buffer(3)]],
                    device atomic_uint* bad [[buffer(4)]], INDICES uint3 at [[thread_position_in_grid]],
                    uint3 grid [[threads_per_grid]]) {
  device const uchar* indices[16] = LIST_OF_INDICES;
  ulong i = number_of(at, grid);
  if (i >= s.elements) return;
  long from = place_of(i, dims, dims + 2 * s.ndim, s.ndim);
  update(y, target(s, dims, indices, i, bad), x, from, s.mode, s.dtype, s.item);
}
/// A unit is a slice (slices are equal or disjoint) or, `exploded`, an element: its key is where it goes.
kernel void index_keys(constant const Index& s [[buffer(0)]], constant const long* dims [[buffer(1)]],
                         device uchar* keys [[buffer(2)]], device atomic_uint* bad [[buffer(4)]],
                         INDICES uint3 at [[thread_position_in_grid]], uint3 grid [[threads_per_grid]]) {
  device const uchar* indices[16] = LIST_OF_INDICES;
  ulong u = number_of(at, grid);
  if (u >= s.units) return;
  long to = target(s, dims, indices, s.exploded != 0 ? u : u * s.slice, bad);
  if (s.wide != 0) ((device ulong*)keys)[u] = (ulong)to;
  else ((device uint*)keys)[u] = (uint)to;
}
inline ulong sorted_key(device const uchar* entries, ulong p, int wide) {
  return wide != 0 ? ((device const ulong*)entries)[2 * p] : ((device const ulong*)entries)[p] >> 32;
}
inline ulong sorted_unit(device const uchar* entries, ulong p, int wide) {
  return ((device const uint*)entries)[wide != 0 ? 4 * p + 2 : 2 * p];
}
/// One thread per sorted unit and element of it; the first unit of those that meet does the work of all, or, where only
/// the last counts, that one.
kernel void index_sorted(constant const Index& s [[buffer(0)]], constant const long* dims [[buffer(1)]],
                           device const uchar* x [[buffer(2)]], device uchar* y [[buffer(3)]],
                           device atomic_uint* bad [[buffer(4)]], device const uchar* entries [[buffer(5)]],
                           INDICES uint3 at [[thread_position_in_grid]], uint3 grid [[threads_per_grid]]) {
  device const uchar* indices[16] = LIST_OF_INDICES;
  ulong each = s.exploded != 0 ? 1 : s.slice, number = number_of(at, grid), p = number / each, inner = number % each;
  if (p >= s.units) return;
  ulong key = sorted_key(entries, p, s.wide);
  bool set = s.mode == kSet;
  if (set && p + 1 < s.units && sorted_key(entries, p + 1, s.wide) == key) return;
  if (!set && p > 0 && sorted_key(entries, p - 1, s.wide) == key) return;
  long to = target(s, dims, indices, sorted_unit(entries, p, s.wide) * each + inner, bad);
  for (; p < s.units && sorted_key(entries, p, s.wide) == key; ++p) {
    ulong i = sorted_unit(entries, p, s.wide) * each + inner;
    update(y, to, x, place_of(i, dims, dims + 2 * s.ndim, s.ndim), s.mode, s.dtype, s.item);
  }
}

/// y[place] (op)= x[place]. Lists: lengths, y's strides, x's strides, then, as above but without a dtype, the axes
/// whose start is data: it moves y (`to_start`) or x.
struct Move {
  ulong elements;
  long origin;  // of y
  int ndim, item, mode, dtype, n_starts, start_dtype, to_start, padding;
};
kernel void index_move(constant const Move& s [[buffer(0)]], constant const long* dims [[buffer(1)]],
                 device const uchar* x [[buffer(2)]], device uchar* y [[buffer(3)]],
                 device atomic_uint* bad [[buffer(4)]], device const uchar* starts [[buffer(5)]],
                 uint3 at [[thread_position_in_grid]], uint3 grid [[threads_per_grid]]) {
  ulong i = number_of(at, grid);
  if (i >= s.elements) return;
  long to = s.origin + place_of(i, dims, dims + s.ndim, s.ndim);
  long from = place_of(i, dims, dims + 2 * s.ndim, s.ndim), offset = 0;
  constant const long* facts = dims + 3 * s.ndim;
  for (int k = 0; k < s.n_starts; ++k, facts += 3)
    offset += resolve(starts, (ulong)k, facts[0], facts[1], s.start_dtype, bad) * facts[2];
  if (s.to_start != 0) to += offset;
  else from += offset;
  update(y, to, x, from, s.mode, s.dtype, s.item);
}
