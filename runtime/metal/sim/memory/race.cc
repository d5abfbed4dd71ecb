// Races inside a dispatch, byte by byte: two lanes touch a byte, one writes, and no barrier stands between. Each byte
// knows who wrote and who read it last, and when: `interval` grows with every dispatch, threadgroup and barrier, so
// comparing it with two thresholds tells "since the last barrier", "by another threadgroup", "before this dispatch".
#include <string.h>
#include <sys/mman.h>

#include "memory/memory.h"

namespace dsim {

struct Mark {
  uint64_t interval : 32, thread : 10, simd_epoch : 18, atomic : 1, many : 1, cross : 1, unused : 1;
};
struct Cell {
  Mark write, read;
};

// Cells of device memory stand in chunks, found by the upper bits of the address.
constexpr uint32_t kChunkBits = 12;
constexpr uint64_t kAddresses = uint64_t{1} << 47;
static Cell** chunks;
static Cell local_cells[kLocalArena * 4];
static uint32_t device_now = 1, device_group_first, device_dispatch_first, local_now = 1;

void begin_race_dispatch() {
  if (!(m.active_checks & kRace)) return;
  if (!chunks) chunks = static_cast<Cell**>(map_memory((kAddresses >> kChunkBits) * sizeof(Cell*), true));
  device_dispatch_first = ++device_now;
}
void begin_race_group() {
  device_group_first = ++device_now;
  ++local_now;
}
void order_race(uint32_t flags) {
  if (flags & 1) device_now++;
  if (flags & 2) local_now++;
}

static Cell* cell_of(bool local, uintptr_t at) {
  if (local) return &local_cells[at % (kLocalArena * 4)];
  Cell*& chunk = chunks[at >> kChunkBits];
  if (!chunk) chunk = static_cast<Cell*>(calloc(size_t{1} << kChunkBits, sizeof(Cell)));
  return chunk + (at & ((1u << kChunkBits) - 1));
}

/// Both touched the byte in one barrier interval of one threadgroup: may they have run at the same time?
static bool concurrent(const Mark& before, const Mark& now) {
  if (before.atomic && now.atomic) return false;
  if (!before.many && before.thread == now.thread) return false;
  bool same_simd = !before.cross && before.thread / 32 == now.thread / 32;
  return !(same_simd && before.simd_epoch != now.simd_epoch);
}

static void remember_read(Mark& r, const Mark& now) {
  if (r.interval == now.interval && r.thread != now.thread) {
    bool cross = r.cross || r.thread / 32 != now.thread / 32;
    r = now;
    r.many = 1, r.cross = cross;
  } else if (r.interval != now.interval || !r.many) {
    r = now;
  }
}

static void check(bool local, uintptr_t at, const Mark& before, const Mark& now, bool was_write, bool write, void* pc) {
  uint32_t first = local ? local_now : device_dispatch_first;
  if (before.interval < first) return;
  bool other_group = !local && before.interval < device_group_first && !(before.atomic && now.atomic);
  bool same_interval = before.interval == (local ? local_now : device_now);
  if (!other_group && (!same_interval || !concurrent(before, now))) return;
  fail_at(pc, "race: %s of %s, %s by thread %u%s%s", write ? "write" : "read",
          local ? describe_local(at).c_str() : describe_place(at).c_str(), was_write ? "written" : "read",
          static_cast<unsigned>(before.thread), before.many ? " and others" : "",
          other_group ? " of another threadgroup of this dispatch" : " since the last barrier");
}

void race_access(bool local, uintptr_t at, uint32_t n, bool write, bool atomic, void* pc) {
  Mark now{};
  now.interval = local ? local_now : device_now;
  now.thread = m.current->tid;
  now.simd_epoch = m.current->simd_epoch;
  now.atomic = atomic;
  for (uint32_t i = 0; i < n; i++) {
    Cell& c = *cell_of(local, at + i);
    check(local, at + i, c.write, now, true, write, pc);
    if (write) check(local, at + i, c.read, now, false, true, pc);
    if (write)
      c.write = now;
    else
      remember_read(c.read, now);
  }
}

}  // namespace dsim
