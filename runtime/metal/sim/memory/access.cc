// Every load and store of a kernel: inside the bytes of an argument, as its declared use allows, not colliding with a
// dispatch that it is not ordered after. Counts bytes, unique ones on demand.
#include <string.h>
#include <sys/mman.h>

#include "memory/memory.h"

namespace dsim {

typedef unsigned long long ull;

/// The memory of one argument, and what this dispatch has touched of it.
struct Range {
  uintptr_t from;
  uint64_t size;
  uint8_t access;
  bool watched;
  uint32_t counted;  // all ones; 0 for bytes in the command, which do not come from memory
  uint32_t param;
  uintptr_t read_from, read_to, write_from, write_to;
  std::vector<uint64_t> read_bits, written_bits;
  std::vector<const Touched*> others;  // touches of other dispatches that are not ordered before this one
};
static Range ranges[kMaxBindings];
static uint32_t range_count, last_range;
static char* forbidden;

void* forbidden_page() { return forbidden; }
bool is_forbidden(uintptr_t at) { return at - reinterpret_cast<uintptr_t>(forbidden) < 1 << 20; }

void start_memory() {
  // Readable poison where dead reads are accepted; else no access at all.
  forbidden = static_cast<char*>(map_memory(1 << 20, true));
  memset(forbidden, 0xff, 4096);
  start_local();
}

void* bytes_argument(uint32_t slot, const void* bytes, uint64_t n) {
  static char* pages[kMaxBindings];
  char*& page = pages[slot];
  if (!page) {
    page = static_cast<char*>(map_memory(3 * 4096, false)) + 4096;
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
  }
  char* at = page + 4096 - (n + 15) / 16 * 16;
  memcpy(at, bytes, n);
  return at;
}

static void add_range(const Dispatch& d, uint32_t param) {
  const ParamAttr& a = d.kernel->params[param].attr;
  const Binding& b = d.buffers[a.index];
  Range& r = ranges[range_count++];
  r.from = reinterpret_cast<uintptr_t>(b.from);
  r.size = b.size;
  r.access = b.access;
  r.counted = b.is_bytes ? 0 : UINT32_MAX;
  r.param = param;
  r.read_from = r.write_from = UINTPTR_MAX;
  r.read_to = r.write_to = 0;
  r.others.clear();
  if (!b.is_bytes && (m.active_checks & kHazard)) r.others = unordered(*d.order, r.from, r.from + r.size, b.buffer);
  r.watched = !r.others.empty();
  r.read_bits.clear();
  r.written_bits.clear();
  if (m.measure && !b.is_bytes) {
    r.read_bits.assign(r.size / 64 + 1, 0);
    r.written_bits.assign(r.size / 64 + 1, 0);
  }
}

bool begin_dispatch_memory(const Dispatch& d) {
  range_count = last_range = 0;
  for (uint32_t i = 0; i < d.kernel->param_count; i++) {
    const ParamAttr& a = d.kernel->params[i].attr;
    bool off = a.enabled && !*a.enabled;
    if (a.kind == Kind::buffer && !off && d.buffers[a.index].bound) add_range(d, i);
  }
  mprotect(forbidden, 1 << 20, m.active_checks & kDeadRead ? PROT_NONE : PROT_READ);
  begin_race_dispatch();
  return begin_local(d);
}

void begin_group_memory() {
  begin_local_group();
  if (m.active_checks & kRace) begin_race_group();
}
void order_group_memory(uint32_t flags) {
  if (m.active_checks & kRace) order_race(flags);
}

static uint64_t count_bits(const std::vector<uint64_t>& bits) {
  uint64_t n = 0;
  for (uint64_t w : bits) n += static_cast<uint64_t>(__builtin_popcountll(w));
  return n;
}

void end_dispatch_memory(const Dispatch& d) {
  for (uint32_t i = 0; i < range_count; i++) {
    const Range& r = ranges[i];
    const Binding& b = d.buffers[d.kernel->params[r.param].attr.index];
    if (b.is_bytes) continue;
    m.stats.unique_read += count_bits(r.read_bits);
    m.stats.unique_written += count_bits(r.written_bits);
    Touched t{0, 0, false, is_tracked(b.buffer), d.order->queue, d.order->time, d.order->encoder, b.buffer, d.number,
              d.kernel->name};
    if (r.read_to) t.from = r.read_from, t.to = r.read_to, log_touch(t, *d.order);
    if (r.write_to) t.from = r.write_from, t.to = r.write_to, t.write = true, log_touch(t, *d.order);
  }
}

static std::string describe_range(const Range& r) {
  const ParamAttr& a = m.kernel->params[r.param].attr;
  const std::string& label = m.dispatch->buffers[a.index].label;
  return "buffer " + std::to_string(a.index) + " ('" + a.name + "'" + (label.empty() ? "" : ", " + label) + ")";
}

std::string describe_place(uintptr_t at) {
  for (uint32_t i = 0; i < range_count; i++)
    if (at - ranges[i].from < ranges[i].size)
      return "byte " + std::to_string(at - ranges[i].from) + " of " + describe_range(ranges[i]);
  return "an address that belongs to no argument";
}

/// What an address outside all arguments is: the nearest argument is most likely what was meant.
std::string describe_address(uintptr_t at) {
  if (is_forbidden(at)) return "access through an argument that its function constant switches off";
  if (in_local(at)) return describe_local(at);
  const Range* near = nullptr;
  int64_t best = INT64_MAX;
  for (uint32_t i = 0; i < range_count; i++) {
    int64_t past = static_cast<int64_t>(at - (ranges[i].from + ranges[i].size - 1));
    int64_t before = static_cast<int64_t>(ranges[i].from - at);
    int64_t distance = past > 0 ? past : before > 0 ? before : 0;
    if (distance < best) best = distance, near = &ranges[i];
  }
  char text[400];
  if (!near || best > 1 << 30) {
    snprintf(text, sizeof text, "access to address %#llx, which belongs to no argument", static_cast<ull>(at));
    return text;
  }
  snprintf(text, sizeof text, "out of bounds: byte %lld of %s, which has %llu bytes",
           static_cast<long long>(at - near->from), describe_range(*near).c_str(), static_cast<ull>(near->size));
  return text;
}

/// An access outside the argument that was last hit: another argument, threadgroup memory, a lane's own stack, a table
/// of constants; else a mistake.
static Range* find_range(uintptr_t at, uint32_t n, uint8_t use) {
  Range* inside = nullptr;
  for (uint32_t i = 0; i < range_count; i++) {
    Range& r = ranges[i];
    if (at < r.from || at - r.from + n > r.size) continue;
    inside = &r;
    if ((r.access & use) == use) {
      last_range = i;
      return &r;
    }
  }
  return inside;
}

static void bad_access(uintptr_t at, uint32_t n, bool write, void* pc) {
  if (!(m.active_checks & kBounds)) return;
  uintptr_t first = at;
  for (uint32_t i = 0; i < range_count; i++)
    if (at - ranges[i].from < ranges[i].size) first = ranges[i].from + ranges[i].size;
  fail_at(pc, "%s (%s of %u bytes)", describe_address(first).c_str(), write ? "write" : "read", n);
}

static void check_others(const Range& r, uintptr_t at, uint32_t n, bool write, void* pc) {
  for (const Touched* t : r.others) {
    if (!(write || t->write) || at >= t->to || t->from >= at + n) continue;
    fail_at(pc, "hazard: %s of byte %llu of %s, %s by dispatch %llu (kernel '%s') with no barrier in between",
            write ? "write" : "read", static_cast<ull>(at - r.from), describe_range(r).c_str(),
            t->write ? "written" : "read", static_cast<ull>(t->number), t->kernel.c_str());
  }
}

static void mark_bits(std::vector<uint64_t>& bits, uint64_t at, uint32_t n) {
  while (n) {
    const uint32_t first = static_cast<uint32_t>(at % 64), count = n < 64 - first ? n : 64 - first;
    bits[at / 64] |= (count == 64 ? UINT64_MAX : (uint64_t{1} << count) - 1) << first;
    at += count;
    n -= count;
  }
}

static void slow_checks(Range& r, uintptr_t at, uint32_t n, bool write, bool atomic, void* pc) {
  if (r.watched) check_others(r, at, n, write, pc);
  if (!r.read_bits.empty()) {
    if (!write || atomic) mark_bits(r.read_bits, at - r.from, n);
    if (write) mark_bits(r.written_bits, at - r.from, n);
  }
  if (m.active_checks & kRace) race_access(false, at, n, write, atomic, pc);
}

static inline void access(const void* p, uint32_t n, bool write, bool atomic, void* pc) {
  uintptr_t at = reinterpret_cast<uintptr_t>(p);
  if (!m.current || !n) return;
  uint8_t use = write ? 2 : 1;
  Range* r = &ranges[last_range];
  if (__builtin_expect(at - r->from >= r->size || at - r->from + n > r->size || !(r->access & use), 0)) {
    if (in_local(at)) {
      (write ? m.stats.stores : m.stats.loads)++;
      return local_access(at, n, write, atomic, pc);
    }
    if (in_stacks(at)) return;
    if (is_forbidden(at) && !write && !(m.active_checks & kDeadRead)) return;
    r = find_range(at, n, use);
    const Image* image = m.dispatch->image;
    if (!r && !write && image && at >= image->from && at < image->to) return;
    if (!r || !(r->access & use)) {
      if (r && (m.active_checks & kBounds))
        fail_at(pc, "%s of byte %llu of %s, which the host declares as %s", write ? "write" : "read",
                static_cast<ull>(at - r->from), describe_range(*r).c_str(), write ? "read only" : "written only");
      bad_access(at, n, write, pc);
      return;
    }
  }
  if (write) {
    m.stats.stores++, m.stats.bytes_written += n & r->counted;
    if (at < r->write_from) r->write_from = at;
    if (at + n > r->write_to) r->write_to = at + n;
  } else {
    m.stats.loads++, m.stats.bytes_read += n & r->counted;
    if (at < r->read_from) r->read_from = at;
    if (at + n > r->read_to) r->read_to = at + n;
  }
  if (__builtin_expect(r->watched || m.measure || (m.active_checks & kRace), 0))
    slow_checks(*r, at, n, write, atomic, pc);
}

static void misaligned(uintptr_t at, uint32_t n, bool write, void* pc) {
  if (!m.current || !(m.active_checks & kAlignment) || in_stacks(at)) return;
  fail_at(pc, "misaligned: %s of %u bytes at an address that is no multiple of %u, %s", write ? "write" : "read", n, n,
          in_local(at) ? describe_local(at).c_str() : describe_place(at).c_str());
}
/// An access by a type that has to lie at multiples of its size; a GPU does not look, and takes other bytes.
static inline void access_aligned(const void* p, uint32_t n, bool write, void* pc) {
  access(p, n, write, false, pc);
  const uintptr_t at = reinterpret_cast<uintptr_t>(p);
  if (__builtin_expect(at % n != 0, 0)) misaligned(at, n, write, pc);
}

}  // namespace dsim

using namespace dsim;

extern "C" {

void dsim_atomic_access(const void* p, unsigned long n, bool write) {
  access(p, static_cast<uint32_t>(n), write, true, __builtin_return_address(0));
}

void __tsan_init() {}
#define DSIM_ACCESS(n)                                                                                          \
  void __tsan_read##n(void* p) { access_aligned(p, n, false, __builtin_return_address(0)); }                    \
  void __tsan_write##n(void* p) { access_aligned(p, n, true, __builtin_return_address(0)); }                    \
  void __tsan_unaligned_read##n(void* p) { access(p, n, false, false, __builtin_return_address(0)); }           \
  void __tsan_unaligned_write##n(void* p) { access(p, n, true, false, __builtin_return_address(0)); }           \
  void __tsan_read_write##n(void* p) {                                                                          \
    access_aligned(p, n, false, __builtin_return_address(0));                                                   \
    access_aligned(p, n, true, __builtin_return_address(0));                                                    \
  }                                                                                                             \
  void __tsan_unaligned_read_write##n(void* p) {                                                                \
    access(p, n, false, false, __builtin_return_address(0));                                                    \
    access(p, n, true, false, __builtin_return_address(0));                                                     \
  }
DSIM_ACCESS(1)
DSIM_ACCESS(2)
DSIM_ACCESS(4)
DSIM_ACCESS(8)
DSIM_ACCESS(16)
void __tsan_read_range(void* p, size_t n) {
  access(p, static_cast<uint32_t>(n), false, false, __builtin_return_address(0));
}
void __tsan_write_range(void* p, size_t n) {
  access(p, static_cast<uint32_t>(n), true, false, __builtin_return_address(0));
}
void* __tsan_memcpy(void* to, const void* from, size_t n) {
  access(from, static_cast<uint32_t>(n), false, false, __builtin_return_address(0));
  access(to, static_cast<uint32_t>(n), true, false, __builtin_return_address(0));
  return memmove(to, from, n);
}
void* __tsan_memmove(void* to, const void* from, size_t n) { return __tsan_memcpy(to, from, n); }
void* __tsan_memset(void* to, int v, size_t n) {
  access(to, static_cast<uint32_t>(n), true, false, __builtin_return_address(0));
  return memset(to, v, n);
}

}
