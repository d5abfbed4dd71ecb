// What compiled kernels and the executor share: the table of a kernel's parameters, and the calls that a kernel makes.
// Read by the shim (msl/) and by the executor (exec/, memory/); no header of the standard library, kernels have none.
#pragma once

namespace dsim {
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

enum class Kind : u8 { buffer, local, builtin };  // local: threadgroup memory (that word is a macro in the shim)

enum Builtin : u16 {
  thread_position_in_grid,
  threads_per_grid,
  threadgroup_position_in_grid,
  threadgroups_per_grid,
  thread_position_in_threadgroup,
  threads_per_threadgroup,
  dispatch_threads_per_threadgroup,
  thread_index_in_threadgroup,
  thread_index_in_simdgroup,
  simdgroup_index_in_threadgroup,
  simdgroups_per_threadgroup,
  threads_per_simdgroup,
  thread_index_in_quadgroup,
  quadgroup_index_in_threadgroup,
};

/// Written by the translator, one row per parameter of a kernel; types come from the C++ signature itself.
struct ParamAttr {
  Kind kind;
  u16 index;            // buffer slot, threadgroup slot or Builtin
  const char* name;
  const bool* enabled;  // the function constant that switches the argument on, or null
};

/// ParamAttr and what the compiler knows of the type.
struct Param {
  ParamAttr attr;
  u32 size, align;  // of the pointee
  bool reference, read_only;
};

struct Kernel {
  const char* name;
  void (*thunk)();
  const Param* params;
  u32 param_count;
  u32 max_threads;  // [[max_total_threads_per_threadgroup]], else 1024
  Kernel* next;
};

/// Work done once by the last lane to arrive: lanes[i] is lane i's operand block, null where the lane is not active.
using LaneOp = void (*)(void* const lanes[32], u32 active);
}  // namespace dsim

extern "C" {
void dsim_register(dsim::Kernel*);
bool dsim_function_constant(unsigned index, const char* name, void* out, unsigned long size);
void* dsim_param(unsigned index);
const unsigned* dsim_builtin(unsigned which);
unsigned dsim_lane();
void* dsim_local(const void* key, unsigned long size, unsigned long align, const char* name);
void dsim_threadgroup_barrier(unsigned flags, const char* file, int line);
void dsim_collective(dsim::LaneOp op, void* operands, unsigned width, unsigned flags, const char* what,
                     const char* file, int line);
void dsim_atomic_access(const void* p, unsigned long size, bool write);
void dsim_trap(const char* what);
}
