// One dispatch: its limits and arguments are checked, then its threadgroups run one after another in scattered order.
#include <stdarg.h>
#include <string.h>
#include <xmmintrin.h>

#include "exec/machine.h"
#include "memory/memory.h"

namespace dsim {

typedef unsigned long long ull;

static std::string where_am_i() {
  std::string out = "kernel '" + std::string(m.kernel->name) + "'";
  if (!m.current) return out + ": ";
  char text[160];
  uint32_t t = m.current->tid, x = t % m.group[0], y = t / m.group[0] % m.group[1], z = t / m.group[0] / m.group[1];
  snprintf(text, sizeof text, ", threadgroup (%u,%u,%u), thread (%u,%u,%u) = simdgroup %u lane %u: ", m.group_at[0],
           m.group_at[1], m.group_at[2], x, y, z, t / 32, t % 32);
  return out + text;
}

void fail_at(void* pc, const char* format, ...) {
  char text[3000];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  std::string line = pc && m.dispatch->image ? source_line(*m.dispatch->image, pc) : "";
  m.error = where_am_i() + text + (line.empty() ? "" : " at " + line);
  m.failed = true;
  m.stats.errors++;
  if (m.current) leave_lane();
}

/// Which checks a list of names switches off for one kernel: "exit,race@softmax".
struct Relaxation {
  uint32_t checks;
  std::string kernel;
};
static std::vector<Relaxation>& relaxations() {
  static auto* all = new std::vector<Relaxation>;
  return *all;
}
static uint32_t check_named(const std::string& name) {
  if (name == "bounds") return kBounds;
  if (name == "hazard") return kHazard;
  if (name == "uninitialised") return kUninitialised;
  if (name == "exit") return kExit;
  if (name == "race") return kRace;
  if (name == "deadread") return kDeadRead;
  if (name == "alignment") return kAlignment;
  return 0;
}
void configure_checks(const char* text) {
  std::string s(text), part;
  for (size_t i = 0; i <= s.size(); i++) {
    if (i < s.size() && s[i] != ',') {
      part += s[i];
      continue;
    }
    bool off = !part.empty() && part[0] == '-';
    if (off || (!part.empty() && part[0] == '+')) part = part.substr(1);
    size_t at = part.find('@');
    uint32_t check = check_named(part.substr(0, at));
    if (at != std::string::npos)
      relaxations().push_back({check, part.substr(at + 1)});
    else if (off)
      m.checks &= ~check;
    else
      m.checks |= check;
    part.clear();
  }
}
uint32_t checks_of(const char* kernel) {
  uint32_t on = m.checks;
  for (const Relaxation& r : relaxations())
    if (strstr(kernel, r.kernel.c_str())) on &= ~r.checks;
  return on;
}

static bool refuse(const std::string& what) {
  fail_at(nullptr, "%s", what.c_str());
  return false;
}

static bool check_argument(const Param& p, const Dispatch& d) {
  if (p.attr.kind == Kind::builtin || (p.attr.enabled && !*p.attr.enabled)) return true;
  std::string name = std::to_string(p.attr.index) + " ('" + p.attr.name + "')";
  if (p.attr.kind == Kind::local)
    return d.local[p.attr.index] ? true : refuse("threadgroup memory " + name + " has no length");
  const Binding& b = d.buffers[p.attr.index];
  if (!b.bound) return refuse("buffer " + name + " is not bound");
  uint64_t reach = b.at < b.from ? 0 : b.from + b.size - b.at;
  if (p.reference && reach < p.size)
    return refuse("buffer " + name + " has " + std::to_string(reach) + " bytes, the parameter needs " +
                  std::to_string(p.size));
  if (b.is_bytes && !p.reference && b.size % p.size)
    return refuse("buffer " + name + " has " + std::to_string(b.size) +
                  " bytes, no multiple of its elements of " + std::to_string(p.size));
  if (reinterpret_cast<uintptr_t>(b.at) % p.align)
    return refuse("buffer " + name + " is bound at an address that is not aligned to " + std::to_string(p.align));
  if (b.is_bytes && !p.read_only) return refuse("buffer " + name + " is written by the kernel but holds setBytes");
  return true;
}

static bool check_arguments(const Dispatch& d) {
  for (uint32_t i = 0; i < d.kernel->param_count; i++)
    if (!check_argument(d.kernel->params[i], d)) return false;
  return true;
}

static bool begin(const Dispatch& d) {
  m.dispatch = &d;
  m.kernel = d.kernel;
  m.active_checks = checks_of(d.kernel->name);
  m.failed = false;
  m.current = nullptr;
  m.error.clear();
  uint64_t threads = 1;
  for (int i = 0; i < 3; i++) {
    if (!d.group[i] || !d.grid[i]) return refuse("empty grid or threadgroup");
    m.full_group[i] = d.group[i];
    m.groups[i] = d.grid_is_threads ? (d.grid[i] - 1) / d.group[i] + 1 : d.grid[i];
    uint64_t all = d.grid_is_threads ? d.grid[i] : uint64_t{d.grid[i]} * d.group[i];
    if (all > UINT32_MAX) return refuse("more than 2^32 threads along one axis of the grid");
    m.grid[i] = static_cast<uint32_t>(all);
    threads *= d.group[i];
    m.ids[threads_per_grid][i] = m.grid[i];
    m.ids[threadgroups_per_grid][i] = m.groups[i];
    m.ids[dispatch_threads_per_threadgroup][i] = d.group[i];
  }
  m.ids[threads_per_simdgroup][0] = 32;
  uint32_t limit = d.kernel->max_threads < kMaxThreads ? d.kernel->max_threads : kMaxThreads;
  if (threads > limit)
    return refuse(std::to_string(threads) + " threads per threadgroup, the limit is " + std::to_string(limit));
  if (!begin_dispatch_memory(d)) return false;
  return check_arguments(d);
}

static uint64_t coprime_step(uint64_t n) {
  for (;;) {
    uint64_t a = random_below(n - 1) + 1, b = n, s = a;
    while (b) {
      uint64_t t = a % b;
      a = b, b = t;
    }
    if (a == 1) return s;
  }
}

static void run_groups() {
  uint64_t total = uint64_t{m.groups[0]} * m.groups[1] * m.groups[2];
  uint64_t step = total > 2 ? coprime_step(total) : 1, at = total > 2 ? random_below(total) : 0;
  for (uint64_t n = 0; n < total && !m.failed; n++, at = (at + step) % total) {
    m.group_at[0] = static_cast<uint32_t>(at % m.groups[0]);
    m.group_at[1] = static_cast<uint32_t>(at / m.groups[0] % m.groups[1]);
    m.group_at[2] = static_cast<uint32_t>(at / m.groups[0] / m.groups[1]);
    for (int i = 0; i < 3; i++) {
      uint32_t left = m.grid[i] - m.group_at[i] * m.full_group[i];
      m.group[i] = left < m.full_group[i] ? left : m.full_group[i];
    }
    run_group();
  }
}

std::mutex& machine_guard() {
  static auto* g = new std::mutex;
  return *g;
}

bool run_dispatch(const Dispatch& d) {
  std::lock_guard<std::mutex> lock(machine_guard());
  start_machine();
  // The GPU flushes denormal floats to zero; so does this processor while it stands in for it (FTZ and DAZ).
  unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040);
  if (begin(d)) {
    m.stats.dispatches++;
    if (m.capturing) m.captured.push_back(d.kernel->name);
    run_groups();
    if (!m.failed) end_dispatch_memory(d);
  }
  _mm_setcsr(before);
  m.current = nullptr;
  return !m.failed;
}

}  // namespace dsim

using namespace dsim;

extern "C" {

void* dsim_param(unsigned i) {
  const ParamAttr& a = m.kernel->params[i].attr;
  if (a.enabled && !*a.enabled) return forbidden_page();
  return a.kind == Kind::buffer ? m.dispatch->buffers[a.index].at : local_argument(a.index);
}
const unsigned* dsim_builtin(unsigned which) { return m.ids[which]; }

// float -> bfloat, to nearest even: Clang calls these by name.
__bf16 __truncsfbf2(float x) {
  uint32_t bits = __builtin_bit_cast(uint32_t, x), top = bits >> 16;
  if (x != x)
    top |= 0x40;
  else
    top = (bits + 0x7fff + (top & 1)) >> 16;
  return __builtin_bit_cast(__bf16, static_cast<uint16_t>(top));
}
__bf16 __truncdfbf2(double x) { return __truncsfbf2(static_cast<float>(x)); }

}
