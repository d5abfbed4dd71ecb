// The simulated machine: it runs one dispatch at a time, on one thread, so its state is one struct. exec/ has lanes,
// meetings, dispatches and failures; memory/ has what is checked at each load and store.
#pragma once
#include <stdint.h>

#include <mutex>
#include <string>
#include <vector>

#include "abi.h"
#include "memory/hazards.h"

namespace dsim {

constexpr uint32_t kMaxThreads = 1024, kMaxBindings = 31, kLocalLimit = 32768, kLocalArena = 65536;

/// Checks that can be switched off by name, for all kernels or for one ("exit", "race@softmax").
enum Check : uint32_t {
  kBounds = 1,         // accesses outside of what is bound, or against its declared use
  kHazard = 2,         // dispatches that need a barrier and have none
  kUninitialised = 4,  // threadgroup memory that was never written
  kExit = 8,           // collectives and barriers that some lanes have left out by returning
  kRace = 16,          // two lanes, one place, no barrier; costs time: off unless asked for
  kDeadRead = 32,      // reads through arguments that a function constant switches off
  kAlignment = 64,     // accesses at addresses that are no multiple of their size
};

/// A library that is loaded: where its code and constants lie, and the file with its lines.
struct Image {
  uintptr_t from, to, base;
  std::string path;
};

/// An argument in a buffer slot. `at` is what the kernel gets; [from, from + size) is what it may touch.
struct Binding {
  char *at, *from;
  uint64_t size;
  uint8_t access;  // 1 read, 2 write
  bool bound, is_bytes;
  uint64_t buffer;    // serial number of the MTLBuffer, 0 for bytes
  std::string label;  // for reports
};

struct Dispatch {
  const Kernel* kernel;
  const Image* image;
  Binding buffers[kMaxBindings];
  uint64_t local[kMaxBindings];
  uint32_t grid[3], group[3];
  bool grid_is_threads;
  const Order* order;  // what is ordered before it
  uint64_t number;
};

/// Counters since the last reset; `dsim_stats` gives them to the host (sim.h).
struct Stats {
  uint64_t dispatches, threadgroups, threads, barriers, command_buffers, pipelines, libraries, compiled;
  uint64_t loads, stores, bytes_read, bytes_written, unique_read, unique_written;
  uint64_t collectives, switches, local_bytes, objects, errors;
};

enum class Wait : uint8_t { none, simd, quad, group, done };

struct Worker;
struct Lane {
  Worker* worker;
  uint32_t tid, simd_epoch;
  Wait wait;
  LaneOp op;
  void* operands;
  uint32_t flags;
  const char *what, *file;
  int line;
};
struct Meeting {
  uint32_t arrived, live;
};

struct Machine {
  const Dispatch* dispatch;
  const Kernel* kernel;
  uint32_t checks = kBounds | kHazard | kUninitialised | kExit | kDeadRead | kAlignment;
  uint32_t active_checks;  // for this kernel
  bool measure;            // unique bytes
  uint64_t random = 88172645463325252ull;
  // Lanes of the threadgroup at work.
  Lane lanes[kMaxThreads];
  Meeting simds[kMaxThreads / 32], quads[kMaxThreads / 4];
  Lane* ready[kMaxThreads];
  uint32_t ready_count, live, arrived, barrier_flags, next_start;
  uint16_t start_order[kMaxThreads];
  Lane* current;
  void* scheduler_sp;
  uint32_t groups[3], grid[3], full_group[3], group[3], group_at[3], group_threads;
  uint32_t ids[14][3];  // built-in values of the lane that starts, by Builtin
  // Failure of the dispatch at work.
  bool failed;
  std::string error;
  const char* fault_text;
  void* fault_pc;
  Stats stats;
  // Names of the kernels since a capture began.
  bool capturing;
  std::vector<std::string> captured;
};
extern Machine m;

/// Held while a dispatch runs, and while a library is loaded: its initialisers are instrumented as kernels are, and
/// must not be taken for the kernel at work.
std::mutex& machine_guard();
/// Runs a dispatch; false: it failed, and `m.error` says how.
bool run_dispatch(const Dispatch& d);
/// Ends the dispatch at work with a report; inside a kernel it does not return.
void fail_at(void* pc, const char* format, ...) __attribute__((format(printf, 2, 3)));
/// Changes what is checked: "race" or "+race" switches on, "-exit" off, "-race@softmax" off for one kernel; commas.
void configure_checks(const char* text);
uint32_t checks_of(const char* kernel);

// Inside exec/.
extern "C" void dsim_switch(void** save_sp, void* load_sp);
void start_machine();
void run_group();
void leave_lane();
void reset_workers();
void make_ready(Lane* lane);
void run_next(void** save_sp);
void lane_ended(Lane& lane);
void wait_for_others(Lane& lane);
std::string describe_waiters(uint32_t from, uint32_t to);
bool in_stacks(uintptr_t at);
void* spare_stack();
void install_fault_handler();
std::string source_line(const Image& image, void* pc);

inline uint64_t random_below(uint64_t n) {
  m.random ^= m.random << 13, m.random ^= m.random >> 7, m.random ^= m.random << 17;
  return static_cast<uint64_t>(static_cast<unsigned __int128>(m.random) * n >> 64);
}
void* map_memory(size_t bytes, bool accessible);

}  // namespace dsim
