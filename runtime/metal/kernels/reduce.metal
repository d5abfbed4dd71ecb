// argmax and argmin: the first of the largest keys of each line. `lanes` threads of a group share a line.
#include "keys.metal"

constant constexpr uint kGroup = 256;

struct Arg {
  ulong length, lines;
  long step;
  int ndim, dtype, item, smallest, lanes, padding;
};

kernel void arg_reduce(constant const Arg& s [[buffer(0)]], constant const long* dims [[buffer(1)]],
                       device const uchar* x [[buffer(2)]], device uint* y [[buffer(3)]],
                       uint3 group [[threadgroup_position_in_grid]], uint3 groups [[threadgroups_per_grid]],
                       uint lane [[thread_index_in_threadgroup]], uint3 size [[threads_per_threadgroup]]) {
  threadgroup ulong keys[kGroup];
  threadgroup uint places[kGroup];
  uint lanes = (uint)s.lanes, mine = lane % lanes;
  ulong line = number_of(group, groups) * (size.x / lanes) + lane / lanes, best = 0;
  uint place = 0xffffffff;  // none yet
  if (line < s.lines) {
    long at = place_of(line, dims, dims + s.ndim, s.ndim);
    for (ulong i = mine; i < s.length; i += lanes) {
      ulong key = key_of(load_raw(x, at + (long)i * s.step, s.item), s.dtype, s.smallest != 0, true);
      if (place != 0xffffffff && key <= best) continue;
      best = key;
      place = (uint)i;
    }
  }
  keys[lane] = best;
  places[lane] = place;
  for (uint step = lanes / 2; step > 0; step /= 2) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (mine >= step) continue;
    ulong other = keys[lane + step];
    uint there = places[lane + step];
    bool higher = there != 0xffffffff && (places[lane] == 0xffffffff || other > keys[lane] ||
                                          (other == keys[lane] && there < places[lane]));
    if (!higher) continue;
    keys[lane] = other;
    places[lane] = there;
  }
  if (mine == 0 && line < s.lines) y[line] = places[lane];
}
