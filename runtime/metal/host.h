// The host's own parts, behind gpu.h and metal/kernel.h: the device, memory that it wraps, pipelines, queues. metal-cpp
// is included here and nowhere else.
#pragma once
#include <math.h>  // metal-cpp takes INFINITY for granted
#include <pthread.h>
#include <stdint.h>

#include <functional>

#include <Metal/Metal.hpp>

#include "gpu.h"
#include "memory.h"
#include "metal/kernel.h"
#include "program.h"
#include "session.h"

namespace denim::metal {

// ---- device.cc ------------------------------------------------------------------------------------------------------
struct Hardware {
  MTL::Device* device;          // null: there is none
  MTL::ResidencySet* resident;  // null: the system has no such sets
  MTL::Buffer* nothing;         // bound for arrays without elements
  MTL::LanguageVersion language;
  NS::OperatingSystemVersion system;
  int cores;
  // From the environment, read once: threads of the host must not, while the program may change it.
  bool marks;  // say in the command stream which bytes each dispatch may touch: for captures and the simulator
  bool joins;  // neighbouring instructions that one dispatch can compute
  char jit[8];
};
/// Looked for by the first call.
const Hardware& hardware();
NS::String* string(const char* text);
/// The text of an error, cut to the buffer; lines become one.
void describe(const NS::Error* error, char* text, size_t capacity);

/// Objects that Metal hands out for a while live until the end of a block.
struct AutoreleasePool {
  NS::AutoreleasePool* pool = NS::AutoreleasePool::alloc()->init();
  ~AutoreleasePool() { pool->release(); }
};
extern gpu::Counters g_counters;
inline void count(int64_t* counter, int64_t n = 1) { __atomic_fetch_add(counter, n, __ATOMIC_RELAXED); }

// ---- buffers.cc -----------------------------------------------------------------------------------------------------
struct Place {
  MTL::Buffer* buffer;  // null: not in memory of the pool
  uint64_t offset;
};
/// The Metal buffer that has these bytes. They are wrapped, once, without a copy.
Place place_of(const void* at, int64_t nbytes);

// ---- sources.cc -----------------------------------------------------------------------------------------------------
/// The text of kernels/<name>.metal, or null.
const char* source_text(const char* name, size_t* bytes);

// ---- pipelines.cc ---------------------------------------------------------------------------------------------------
/// What to compile: a file of kernels/ with defines, or (text) a source made at run time.
struct Wanted {
  const char* source;
  const char* text;
  const char* function;
  const char* defines;
  const int32_t* constants;
  int n_constants;
};
struct Pipeline {
  MTL::ComputePipelineState* state;  // null: it could not be compiled
  int max_threads;
  const char* error;
};
/// The pipeline, compiled where it has not been. Null if `wait` is false and it is not ready yet: it will be.
const Pipeline* pipeline(const Wanted& wanted, bool wait);

// ---- queue.cc -------------------------------------------------------------------------------------------------------
struct Queue;

/// A word that a kernel sets when an index is out of range.
struct Word {
  uint32_t* at;
  struct WordBlock* block;
  int32_t instruction;
};
/// What happens to a job on the GPU.
struct Flight {
  Flight* next;
  Job* job;
  uint64_t batch;   // the last command buffer that holds work of it
  bool encoded;
  Failure** made;   // per instruction
  Failure* broken;  // of a command buffer
  Word* words;
  int32_t n_words, words_capacity;
  int64_t begin, *times;  // for a profile
};

// ---- encoder.cc -----------------------------------------------------------------------------------------------------
struct Range {
  const uint8_t *begin, *end;
  Access access;
};
constexpr int kMaxArguments = 31;
}  // namespace denim::metal

/// One job's way into the command buffers of its queue.
struct denim::metal::Encoder::State {
  Queue* queue;
  Flight* flight;
  const Program* program;
  int32_t instruction;
  Failure* failure;  // of the instruction that is being encoded; what it still asks for is ignored
  const Pipeline* pipeline;
  const char* name;
  Range arguments[kMaxArguments];
  const uint8_t* bound[kMaxArguments];  // where element [0, 0, ...] is
  int indices[kMaxArguments];
  int n_arguments;
};

namespace denim::metal {
/// Dispatches since the last barrier run side by side: what they touch.
struct Hazards {
  Range* ranges;
  int n, capacity;
  bool collides(const Range* more, int n_more) const;
  void add(const Range* more, int n_more);
};

// ---- queue.cc, for encoder.cc and program.cc ------------------------------------------------------------------------
/// The encoder of the open command buffer; one begins where none is open.
MTL::ComputeCommandEncoder* open_encoder(Queue* q);
Hazards& hazards(Queue* q);
/// Takes note of a dispatch; commits when there have been enough.
void dispatched(Queue* q, int64_t bytes);
/// A word for the instruction.
Word* new_word(Queue* q, Flight* f, int32_t instruction);
Place place_of(const Word* word);
/// Commits what is open, and waits until the GPU has done all of this queue's work.
void drain(Queue* q);

// ---- program.cc -----------------------------------------------------------------------------------------------------
/// Encodes a program; what the GPU cannot do is done on the CPU in between.
void encode_program(Queue* q, Flight* f, Program* p, const Run& run);

}  // namespace denim::metal
