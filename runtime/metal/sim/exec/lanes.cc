// Lanes as fibers. A worker is a stack that runs lanes one after another; it is held by a lane only while that lane
// waits for others, so that kernels without barriers and collectives run all lanes on one stack.
#include <string.h>
#include <sys/mman.h>

#include "exec/machine.h"
#include "memory/memory.h"

// void dsim_switch(void** save_sp, void* load_sp): callee-saved registers of x86-64 System V, and the stack.
asm(R"(
.text
.globl dsim_switch
.type dsim_switch,@function
dsim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size dsim_switch, .-dsim_switch
)");

namespace dsim {

Machine m;

struct Worker {
  void* sp;
};

constexpr size_t kStack = 256 << 10, kGuard = 4096;
static Worker workers[kMaxThreads];
static Worker* idle[kMaxThreads];
static uint32_t idle_count, made_count;
static char* stacks;

bool in_stacks(uintptr_t at) { return at - reinterpret_cast<uintptr_t>(stacks) < kStack * (kMaxThreads + 1); }
void* spare_stack() { return stacks + kStack * (kMaxThreads + 1) - 256; }

void* map_memory(size_t bytes, bool accessible) {
  void* p = mmap(nullptr, bytes, accessible ? PROT_READ | PROT_WRITE : PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) abort();
  return p;
}

void start_machine() {
  if (stacks) return;
  stacks = static_cast<char*>(map_memory(kStack * (kMaxThreads + 1), true));
  for (uint32_t t = 0; t <= kMaxThreads; t++) mprotect(stacks + t * kStack, kGuard, PROT_NONE);
  start_memory();
  install_fault_handler();
}

/// After a failure workers hang in the middle of a kernel: all begin anew.
void reset_workers() { made_count = idle_count = 0; }

void make_ready(Lane* lane) {
  // At a random place among the last 32: lanes of one simdgroup stay near one another but run in no fixed order.
  uint32_t n = m.ready_count++, window = n < 31 ? n + 1 : 32;
  uint32_t at = n - static_cast<uint32_t>(random_below(window));
  m.ready[n] = m.ready[at];
  m.ready[at] = lane;
}

static void set_ids(uint32_t tid) {
  uint32_t x = tid % m.group[0], yz = tid / m.group[0], y = yz % m.group[1], z = yz / m.group[1];
  uint32_t in[3] = {x, y, z};
  for (int i = 0; i < 3; i++) {
    m.ids[thread_position_in_threadgroup][i] = in[i];
    m.ids[thread_position_in_grid][i] = m.group_at[i] * m.full_group[i] + in[i];
  }
  m.ids[thread_index_in_threadgroup][0] = tid;
  m.ids[thread_index_in_simdgroup][0] = tid % 32;
  m.ids[simdgroup_index_in_threadgroup][0] = tid / 32;
  m.ids[thread_index_in_quadgroup][0] = tid % 4;
  m.ids[quadgroup_index_in_threadgroup][0] = tid / 4;
}

/// Runs lanes that have not begun, until lanes that can go on are there too and chance lets these.
static void run_lanes(Worker* self) {
  while (m.next_start < m.group_threads) {
    uint32_t tid = m.start_order[m.next_start++];
    Lane& lane = m.lanes[tid];
    lane.worker = self;
    m.current = &lane;
    set_ids(tid);
    m.kernel->thunk();
    lane_ended(*m.current);
    if (m.ready_count && random_below(4)) return;
  }
}

[[noreturn]] static void worker_main() {
  Worker* self = m.current->worker;  // it learns who it is from the lane that it begins with
  for (;;) {
    run_lanes(self);
    idle[idle_count++] = self;
    run_next(&self->sp);
  }
}

static Worker* take_worker() {
  if (idle_count) return idle[--idle_count];
  Worker* w = &workers[made_count++];
  char* top = stacks + made_count * kStack - 64;
  void** sp = reinterpret_cast<void**>(top);
  *--sp = nullptr;  // the entry sees rsp = 16 n + 8, as after a call
  *--sp = reinterpret_cast<void*>(&worker_main);
  for (int i = 0; i < 6; i++) *--sp = nullptr;
  w->sp = sp;
  return w;
}

/// Leaves the running fiber for another: a lane that can go on, or one that has not begun; else back to the scheduler.
void run_next(void** save_sp) {
  m.stats.switches++;
  bool more = m.next_start < m.group_threads;
  if (m.ready_count && !(more && random_below(4) == 0)) {
    m.current = m.ready[--m.ready_count];
    dsim_switch(save_sp, m.current->worker->sp);
  } else if (more) {
    Worker* w = take_worker();
    m.current = &m.lanes[m.start_order[m.next_start]];
    m.current->worker = w;
    if (&w->sp != save_sp) dsim_switch(save_sp, w->sp);
  } else {
    dsim_switch(save_sp, m.scheduler_sp);
  }
}

void wait_for_others(Lane& lane) { run_next(&lane.worker->sp); }

void leave_lane() {
  void* unused;
  dsim_switch(&unused, m.scheduler_sp);
}

/// Simdgroups in random order, lanes of one in random order, near one another.
static void shuffle_starts() {
  uint32_t n = m.group_threads, simds = (n + 31) / 32, k = 0;
  uint16_t order[kMaxThreads / 32];
  for (uint32_t s = 0; s < simds; s++) order[s] = static_cast<uint16_t>(s);
  for (uint32_t s = simds; s > 1; s--) {
    uint32_t other = static_cast<uint32_t>(random_below(s));
    uint16_t t = order[s - 1];
    order[s - 1] = order[other], order[other] = t;
  }
  for (uint32_t s = 0; s < simds; s++) {
    uint32_t first = order[s] * 32u, lanes = n - first < 32 ? n - first : 32;
    uint32_t start = static_cast<uint32_t>(random_below(lanes)), step = 1;
    if (lanes == 32) step = 1 + 2 * static_cast<uint32_t>(random_below(16));
    for (uint32_t l = 0; l < lanes; l++) m.start_order[k++] = static_cast<uint16_t>(first + (start + l * step) % lanes);
  }
}

void run_group() {
  uint32_t n = m.group_threads = m.group[0] * m.group[1] * m.group[2];
  m.live = n;
  m.arrived = m.ready_count = m.next_start = 0;
  for (int i = 0; i < 3; i++) {
    m.ids[threadgroup_position_in_grid][i] = m.group_at[i];
    m.ids[threads_per_threadgroup][i] = m.group[i];
  }
  m.ids[simdgroups_per_threadgroup][0] = (n + 31) / 32;
  for (uint32_t s = 0; s * 4 < n; s++) {
    uint32_t left = n - s * 4;
    m.quads[s] = {0, left < 4 ? left : 4};
    if (s % 8 == 0) m.simds[s / 8] = {0, left < 32 ? left : 32};
  }
  for (uint32_t t = 0; t < n; t++) {
    m.lanes[t].tid = t;
    m.lanes[t].simd_epoch = 0;
    m.lanes[t].wait = Wait::none;
  }
  shuffle_starts();
  begin_group_memory();
  run_next(&m.scheduler_sp);
  m.current = nullptr;
  m.stats.threadgroups++;
  m.stats.threads += n;
  if (m.failed) return reset_workers();
  if (!m.live) return;
  fail_at(nullptr, "some threads never arrived (divergent control flow):%s", describe_waiters(0, n).c_str());
  reset_workers();
}

}  // namespace dsim
