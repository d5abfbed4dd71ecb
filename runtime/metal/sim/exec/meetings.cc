// Collectives and barriers: lanes meet, the last to arrive works for all. All must be at the same place of the source,
// else the report lists who waits where; so does it when no lane can go on. Never a deadlock.
#include <string.h>

#include "exec/machine.h"
#include "memory/memory.h"

namespace dsim {

static bool same_site(const Lane& a, const Lane& b) {
  return a.line == b.line && (a.file == b.file || !strcmp(a.file, b.file));
}
static bool same_state(const Lane& a, const Lane& b) {
  return a.wait == b.wait && (a.wait == Wait::done || (same_site(a, b) && !strcmp(a.what, b.what)));
}
static const char* short_name(const char* path) {
  const char* slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/// Who waits where, one line per run of lanes in the same state.
std::string describe_waiters(uint32_t from, uint32_t to) {
  std::string out;
  for (uint32_t t = from, last; t < to && out.size() < 1500; t = last + 1) {
    const Lane& lane = m.lanes[t];
    for (last = t; last + 1 < to && (last + 1) % 32 && same_state(lane, m.lanes[last + 1]);) last++;
    out += "\n    simdgroup " + std::to_string(t / 32) + " lanes " + std::to_string(t % 32) + "-" +
           std::to_string(last % 32) + ": ";
    if (lane.wait == Wait::done)
      out += "returned";
    else if (lane.wait == Wait::none)
      out += "runs";
    else
      out += std::string("wait at ") + lane.what + " (" + short_name(lane.file) + ":" + std::to_string(lane.line) + ")";
  }
  return out;
}

static void complete(Meeting& meeting, Lane* first, uint32_t width) {
  void* operands[32] = {};
  uint32_t active = 0, end = m.group_threads - first->tid < width ? m.group_threads - first->tid : width;
  Lane* leader = nullptr;
  Wait kind = width == 4 ? Wait::quad : Wait::simd;
  for (uint32_t i = 0; i < end; i++) {
    Lane& lane = first[i];
    if (lane.wait != kind) continue;
    if (leader && (!same_site(*leader, lane) || leader->op != lane.op))
      fail_at(nullptr, "lanes of one simdgroup meet at different collectives (divergent control flow):%s",
              describe_waiters(first->tid, first->tid + end).c_str());
    if (!leader) leader = &lane;
    operands[i] = lane.operands;
    active |= 1u << i;
  }
  if (meeting.live < end && (m.active_checks & kExit))
    fail_at(nullptr, "%s by some lanes only, the others have returned:%s", leader->what,
            describe_waiters(first->tid, first->tid + end).c_str());
  if (leader->op) leader->op(operands, active);
  m.stats.collectives++;
  meeting.arrived = 0;
  for (uint32_t i = 0; i < end; i++) {
    if (!(active >> i & 1)) continue;
    Lane& lane = first[i];
    lane.wait = Wait::none;
    if (lane.flags) lane.simd_epoch++;  // a simdgroup_barrier with flags orders memory between its lanes
    if (&lane != m.current) make_ready(&lane);
  }
}

static void release_barrier() {
  const Lane* leader = nullptr;
  for (uint32_t t = 0; t < m.group_threads; t++) {
    const Lane& lane = m.lanes[t];
    bool bad = lane.wait == Wait::done ? (m.active_checks & kExit) != 0 : leader && !same_site(*leader, lane);
    if (bad)
      fail_at(nullptr, "threadgroup_barrier not reached by all threads at the same place:%s",
              describe_waiters(0, m.group_threads).c_str());
    if (lane.wait == Wait::group && !leader) leader = &lane;
  }
  m.stats.barriers++;
  m.arrived = 0;
  order_group_memory(m.barrier_flags);
  for (uint32_t t = 0; t < m.group_threads; t++) {
    Lane& lane = m.lanes[t];
    if (lane.wait != Wait::group) continue;
    lane.wait = Wait::none;
    if (&lane != m.current) make_ready(&lane);
  }
}

/// A lane has returned: those still at work may all be waiting for it.
void lane_ended(Lane& lane) {
  lane.wait = Wait::done;
  m.live--;
  Meeting &simd = m.simds[lane.tid / 32], &quad = m.quads[lane.tid / 4];
  simd.live--;
  quad.live--;
  if (simd.arrived && simd.arrived == simd.live) complete(simd, &m.lanes[lane.tid & ~31u], 32);
  if (quad.arrived && quad.arrived == quad.live) complete(quad, &m.lanes[lane.tid & ~3u], 4);
  if (m.arrived && m.arrived == m.live) release_barrier();
}

}  // namespace dsim

using namespace dsim;

extern "C" {

void dsim_threadgroup_barrier(unsigned flags, const char* file, int line) {
  Lane& lane = *m.current;
  m.barrier_flags = m.arrived ? m.barrier_flags & flags : flags;
  lane.wait = Wait::group, lane.what = "threadgroup_barrier", lane.file = file, lane.line = line;
  if (++m.arrived == m.live)
    release_barrier();
  else
    wait_for_others(lane);
}

void dsim_collective(LaneOp op, void* operands, unsigned width, unsigned flags, const char* what, const char* file,
                     int line) {
  Lane& lane = *m.current;
  lane.op = op, lane.operands = operands, lane.flags = flags;
  lane.wait = width == 4 ? Wait::quad : Wait::simd;
  lane.what = what, lane.file = file, lane.line = line;
  Meeting& meeting = width == 4 ? m.quads[lane.tid / 4] : m.simds[lane.tid / 32];
  if (++meeting.arrived == meeting.live)
    complete(meeting, &m.lanes[lane.tid & ~(width - 1)], width);
  else
    wait_for_others(lane);
}

void dsim_trap(const char* what) { fail_at(nullptr, "%s", what); }
unsigned dsim_lane() { return m.current->tid % 32; }

}
