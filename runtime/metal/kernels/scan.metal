// Scans along one axis: cumsum, cumprod, cummax, cummin, logcumsumexp; forward or reverse, inclusive or exclusive. A
// line is scanned by a threadgroup, kEach elements of each thread at a time; long lines are cut into parts that are
// first totalled, then scanned from what lies before them. Lines side by side in memory are walked by a thread each.
#include "values.metal"

constant int kOp [[function_constant(0)]];         // a Reduce
constant int kType [[function_constant(1)]];       // a DType
constant int kReverse [[function_constant(2)]];
constant int kInclusive [[function_constant(3)]];

constant constexpr uint kEach = 4, kGroup = 256;

/// Lines of `length` elements in `parts` parts of `part` elements each.
struct Scan {
  ulong length, lines, part;
  long x_step, y_step;
  int ndim, parts;
};

inline ulong element(constant const Scan& s, device const uchar* x, long line, ulong i) {
  return load_bits(x, line + (long)(kReverse != 0 ? s.length - 1 - i : i) * s.x_step, kType);
}
inline void put(constant const Scan& s, device uchar* y, long line, ulong i, ulong total) {
  store_bits(y, line + (long)(kReverse != 0 ? s.length - 1 - i : i) * s.y_step, kType, reduce_end(kOp, kType, total));
}

/// A thread per line.
kernel void scan_lines(constant const Scan& s [[buffer(0)]], constant const long* dims [[buffer(1)]],
                       device const uchar* x [[buffer(2)]], device uchar* y [[buffer(3)]],
                       uint3 at [[thread_position_in_grid]], uint3 grid [[threads_per_grid]]) {
  ulong line = number_of(at, grid), total = reduce_start(kOp, kType);
  if (line >= s.lines) return;
  long from = place_of(line, dims, dims + s.ndim, s.ndim), to = place_of(line, dims, dims + 2 * s.ndim, s.ndim);
  for (ulong i = 0; i < s.length; ++i) {
    ulong next = reduce_merge(kOp, kType, total, element(s, x, from, i), true);
    put(s, y, to, i, kInclusive != 0 ? next : total);
    total = next;
  }
}

/// Exclusive scan of one value per thread; `*all` is the total. `room` has place for two of each thread.
inline ulong scan_threads(ulong mine, threadgroup ulong* room, uint lane, uint size, thread ulong* all) {
  uint now = 0;
  room[lane] = mine;
  for (uint step = 1; step < size; step *= 2) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    ulong v = room[now + lane];
    if (lane >= step) v = reduce_merge(kOp, kType, room[now + lane - step], v, false);
    now = kGroup - now;
    room[now + lane] = v;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  *all = room[now + size - 1];
  ulong before = lane > 0 ? room[now + lane - 1] : reduce_start(kOp, kType);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return before;
}

/// A threadgroup per part: its total to `totals`.
kernel void scan_totals(constant const Scan& s [[buffer(0)]], constant const long* dims [[buffer(1)]],
                        device const uchar* x [[buffer(2)]], device ulong* totals [[buffer(3)]],
                        uint3 group [[threadgroup_position_in_grid]], uint3 groups [[threadgroups_per_grid]],
                        uint lane [[thread_index_in_threadgroup]], uint3 size [[threads_per_threadgroup]]) {
  threadgroup ulong room[2 * kGroup];
  ulong number = number_of(group, groups), line = number / s.parts, total = reduce_start(kOp, kType), all;
  bool real = line < s.lines;
  ulong from = number % s.parts * s.part, to = real ? min(from + s.part, s.length) : from;
  long at = real ? place_of(line, dims, dims + s.ndim, s.ndim) : 0;
  // In order: a thread takes neighbours.
  ulong each = (s.part + size.x - 1) / size.x, first = from + lane * each, last = min(first + each, to);
  for (ulong i = first; i < last; ++i) total = reduce_merge(kOp, kType, total, element(s, x, at, i), true);
  scan_threads(total, room, lane, size.x, &all);
  if (lane == 0 && real) totals[number] = all;
}
/// Totals of a line become what lies before each part.
kernel void scan_carries(constant const Scan& s [[buffer(0)]], device ulong* totals [[buffer(1)]],
                         uint3 at [[thread_position_in_grid]], uint3 grid [[threads_per_grid]]) {
  ulong line = number_of(at, grid), total = reduce_start(kOp, kType);
  if (line >= s.lines) return;
  for (ulong k = line * s.parts; k < (line + 1) * s.parts; ++k) {
    ulong next = reduce_merge(kOp, kType, total, totals[k], false);
    totals[k] = total;
    total = next;
  }
}
/// A threadgroup per part, from what lies before it.
kernel void scan_parts(constant const Scan& s [[buffer(0)]], constant const long* dims [[buffer(1)]],
                       device const uchar* x [[buffer(2)]], device const uchar* carries [[buffer(3)]],
                       device uchar* y [[buffer(4)]], uint3 group [[threadgroup_position_in_grid]],
                       uint3 groups [[threadgroups_per_grid]], uint lane [[thread_index_in_threadgroup]],
                       uint3 size [[threads_per_threadgroup]]) {
  threadgroup ulong room[2 * kGroup];
  ulong number = number_of(group, groups), line = number / s.parts, carry = reduce_start(kOp, kType);
  bool real = line < s.lines;
  ulong begin = number % s.parts * s.part, end = real ? min(begin + s.part, s.length) : begin;
  if (real && s.parts > 1) carry = ((device const ulong*)carries)[number];
  long from = real ? place_of(line, dims, dims + s.ndim, s.ndim) : 0;
  long to = real ? place_of(line, dims, dims + 2 * s.ndim, s.ndim) : 0;
  for (ulong at = begin; at < begin + s.part; at += size.x * kEach) {
    ulong first = at + lane * kEach, mine = reduce_start(kOp, kType), all;
    ulong x_values[kEach];
    for (uint k = 0; k < kEach && first + k < end; ++k) {
      x_values[k] = element(s, x, from, first + k);
      mine = reduce_merge(kOp, kType, mine, x_values[k], true);
    }
    ulong before = scan_threads(mine, room, lane, size.x, &all), total = reduce_merge(kOp, kType, carry, before, false);
    for (uint k = 0; k < kEach && first + k < end; ++k) {
      ulong next = reduce_merge(kOp, kType, total, x_values[k], true);
      put(s, y, to, first + k, kInclusive != 0 ? next : total);
      total = next;
    }
    carry = reduce_merge(kOp, kType, carry, all, false);
  }
}
