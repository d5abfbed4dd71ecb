// Threadgroup memory: one arena, its variables apart by bytes that belong to none. Each byte knows whether this
// threadgroup has written it.
#include <string.h>
#include <sys/mman.h>

#include "memory/memory.h"

namespace dsim {

struct Variable {
  const void* key;
  uint32_t at, size;
  const char* name;
};
enum : uint8_t { kNobody = 0, kFresh = 1, kWritten = 2 };

constexpr uint32_t kApart = 64, kPadding = 1 << 16;
static char* arena;
static uint8_t state[kLocalArena];  // what is known of each byte
static Variable variables[256];
static uint32_t variable_count, used, argument_at[kMaxBindings];
static uint64_t local_bytes;

void start_local() {
  arena = static_cast<char*>(map_memory(kLocalArena + 2 * kPadding, false)) + kPadding;
  mprotect(arena, kLocalArena, PROT_READ | PROT_WRITE);
}
bool in_local(uintptr_t at) {
  return at - (reinterpret_cast<uintptr_t>(arena) - kPadding) < kLocalArena + 2 * kPadding;
}
void* local_argument(uint32_t index) { return arena + argument_at[index]; }

static bool add_variable(const void* key, uint64_t size, uint64_t align, const char* name) {
  local_bytes += size;
  if (local_bytes > kLocalLimit || variable_count == 256) {
    fail_at(nullptr, "%llu bytes of threadgroup memory ('%s' is the last), the limit is %u",
            static_cast<unsigned long long>(local_bytes), name, kLocalLimit);
    return false;
  }
  uint32_t at = static_cast<uint32_t>((used + kApart + align - 1) & ~(align - 1));
  if (at + size + kApart > kLocalArena) {
    fail_at(nullptr, "too many threadgroup variables");
    return false;
  }
  variables[variable_count++] = {key, at, static_cast<uint32_t>(size), name};
  used = at + static_cast<uint32_t>(size);
  memset(state + at, kFresh, size);
  memset(arena + at, 0xff, size);  // NaN in every float format, -1 in every integer
  if (local_bytes > m.stats.local_bytes) m.stats.local_bytes = local_bytes;
  return true;
}

bool begin_local(const Dispatch& d) {
  memset(state, kNobody, used);
  used = variable_count = 0;
  local_bytes = 0;
  for (uint32_t i = 0; i < d.kernel->param_count; i++) {
    const ParamAttr& a = d.kernel->params[i].attr;
    if (a.kind != Kind::local || !d.local[a.index]) continue;
    if (d.local[a.index] % 16) {
      fail_at(nullptr, "threadgroup memory %u has a length that is no multiple of 16", a.index);
      return false;
    }
    if (!add_variable(&a, d.local[a.index], 16, a.name)) return false;
    argument_at[a.index] = variables[variable_count - 1].at;
  }
  return true;
}

void begin_local_group() {
  for (uint32_t i = 0; i < variable_count; i++) {
    memset(state + variables[i].at, kFresh, variables[i].size);
    memset(arena + variables[i].at, 0xff, variables[i].size);
  }
}

static const Variable* variable_at(uintptr_t off) {
  const Variable* best = nullptr;
  for (uint32_t i = 0; i < variable_count; i++)
    if (variables[i].at <= off) best = &variables[i];
  return best;
}

std::string describe_local(uintptr_t at) {
  uintptr_t off = at - reinterpret_cast<uintptr_t>(arena);
  const Variable* v = off < kLocalArena ? variable_at(off) : nullptr;
  if (!v) return "out of bounds: threadgroup memory that belongs to no array";
  return "byte " + std::to_string(off - v->at) + " of threadgroup array '" + v->name + "', which has " +
         std::to_string(v->size) + " bytes";
}

void local_access(uintptr_t at, uint32_t n, bool write, bool atomic, void* pc) {
  uintptr_t off = at - reinterpret_cast<uintptr_t>(arena);
  for (uint32_t i = 0; i < n; i++) {
    uint8_t s = off + i < kLocalArena ? state[off + i] : kNobody;
    if (s == kNobody) {
      if (m.active_checks & kBounds)
        fail_at(pc, "out of bounds: %s (%s of %u bytes)", describe_local(at + i).c_str(), write ? "write" : "read", n);
      return;
    }
    if (s == kFresh && (!write || atomic) && (m.active_checks & kUninitialised)) {
      bool store = atomic && write;  // an atomic store initialises; a read-modify-write reads first
      if (!store)
        fail_at(pc, "uninitialised: read of %s, which this threadgroup has not written",
                describe_local(at + i).c_str());
    }
  }
  if (write) memset(state + off, kWritten, n);
  if (m.active_checks & kRace) race_access(true, at, n, write, atomic, pc);
}

}  // namespace dsim

/// A `threadgroup` variable of a kernel's body: the same address for every thread, known by its declaration.
extern "C" void* dsim_local(const void* key, unsigned long size, unsigned long align, const char* name) {
  using namespace dsim;
  for (uint32_t i = 0; i < variable_count; i++)
    if (variables[i].key == key) return arena + variables[i].at;
  if (!add_variable(key, size, align < 16 ? 16 : align, name)) return arena;
  return arena + variables[variable_count - 1].at;
}
