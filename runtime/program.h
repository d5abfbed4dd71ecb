// Programs: decoded, checked, and run. The words come from `ffi/program.ts`, which describes the format; they are
// treated as hostile: every number is checked, so a bad program is an error and never undefined behaviour.
#pragma once
#include <pthread.h>

#include "kernel.h"
#include "memory.h"

namespace denim {

/// Where a value is while the program runs: in place `place` (inputs first, then fresh buffers) or, for -1, in the
/// arena.
struct ValueSpec {
  int32_t place;
  int64_t offset, nbytes;
};
struct ConstantSpec {
  int32_t place;
  const uint8_t* bytes;
  int64_t nbytes;
};
/// One operand: `array->data` is set before each run.
struct Operand {
  int32_t value;
  int64_t offset;  // of its element [0, 0, ...] in the value, in bytes
};
struct Instruction {
  Op op;
  bool fused;
  int32_t n_in, n_out;
  const Kernel* kernel;
  Operand* operands;  // inputs, then outputs
  Array* arrays;      // likewise
  Call call;          // of a kernel
  Fused* body;        // of a fused instruction
  void* plan;
};
struct Block;  // memory of the decoded form
constexpr int64_t kKernelWork = 1 << 20;

struct Program {
  int32_t refs;
  int32_t n_inputs, n_places, n_values, n_constants, n_instructions, n_outputs;
  int64_t* input_bytes;
  bool* input_written;
  int64_t* place_bytes;  // of fresh places
  int64_t arena_bytes, scratch_bytes;
  int64_t tag;   // of who wrote it; its failures name it and their instruction
  int64_t work;  // rough number of elementwise operations; kKernelWork and more if there are other kernels
  ValueSpec* values;
  ConstantSpec* constants;
  int32_t* outputs;
  Instruction* instructions;
  bool kept;  // decoded to run often
  void* gpu;  // what metal/ made of it
  Block* blocks;
  pthread_mutex_t running;  // the arrays' addresses belong to one run at a time
};

/// Elements that a loop may have; smaller in fuzzers, so that no program runs for long.
extern int64_t g_max_elements;

/// Decodes; on failure returns null and sets `*failure`.
Program* decode(const double* words, uint32_t n, Failure** failure);
void free_program(Program* p);

/// Runs it. `places` has the address of every place, `poison_of` the failure of each place's content on entry; on
/// return `output_poison[i]` is the failure of output i, or null. The first failure made here is owned by the caller
/// through `made`.
struct Run {
  uint8_t** places;
  uint8_t* arena;
  uint8_t* scratch;
  Failure** entry_poison;  // per input
  Failure** output_poison;
  int64_t* times;  // begin and end of each instruction are noted here, if it is given
};
void run_program(Program* p, const Run& run);

// The steps of `run_program`, for metal/program.cc.
/// Sets the addresses of an instruction's arrays.
void set_addresses(const Program* p, Instruction* ins, const Run& run);
/// Runs an instruction on the CPU; null, or what is wrong with its data.
const char* run_instruction(const Program* p, Instruction* ins, const Run& run);
/// Has a test asked that this instruction fails?
bool told_to_fail();
Failure* failed_kernel(const Program* p, const Instruction* ins, const char* message);
/// `made[k]` is the failure of instruction k, if it failed itself: each output's failure follows, as the program passes
/// them on.
void spread_failures(const Program* p, Failure* const* entry, Failure* const* made, Failure** outputs);

/// Counters (atomic adds).
extern int64_t g_kernels, g_copies, g_fail_kernel;

}  // namespace denim
