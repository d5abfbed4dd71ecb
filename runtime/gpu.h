// What the common part of the runtime asks of a GPU. `metal/` answers in the variants that are built with it
// (DENIM_METAL); in the others there is none, and all of this vanishes.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace denim {
struct Failure;
struct Job;
struct Program;
struct Stream;
}  // namespace denim

namespace denim::gpu {

/// Figures since the start, see RtStat.
struct Counters {
  int64_t dispatches, barriers, command_buffers, pipelines, bytes, fallbacks;
};

#ifdef DENIM_METAL
constexpr bool kBuilt = true;
/// Is there a device? The first call looks for it.
bool available();
/// Pages that a GPU may be asked to work on, and their end. Under the lock.
void mapped(const void* at, int64_t bytes);
void unmapping(const void* at);

/// Gets a stream and a program ready for one another, once; null, or why it cannot be. Under the lock.
Failure* ready(Stream* stream, Program* p);
/// Bytes of scratch memory that a run of the program takes.
int64_t scratch_bytes(const Program* p);
/// The thread of a stream: encodes jobs, commits, and finishes them when the GPU has.
void* work(void* stream);
/// Gives back what `ready` made of the stream; its thread has ended.
void close(Stream* stream);
/// Gives back what `ready` made of the program.
void forget(Program* p);

Counters counters();
/// Bytes of memory that are kept resident for the GPU; returns the limit before.
double set_wired_limit(double bytes);
/// Lines of facts as in rt_info, each with "gpu " before it. Returns the bytes written.
size_t info(char* text, size_t capacity);
/// Starts to record the GPU's work into a file, or (null) ends that. Null, or why it cannot be.
Failure* capture(const char* path);
#else
constexpr bool kBuilt = false;
inline bool available() { return false; }
inline void mapped(const void*, int64_t) {}
inline void unmapping(const void*) {}
inline Failure* ready(Stream*, Program*) { return nullptr; }
inline int64_t scratch_bytes(const Program*) { return 0; }
inline void* work(void*) { return nullptr; }
inline void close(Stream*) {}
inline void forget(Program*) {}
inline Counters counters() { return {}; }
inline double set_wired_limit(double) { return 0; }
inline size_t info(char*, size_t) { return 0; }
inline Failure* capture(const char*) { return nullptr; }
#endif

}  // namespace denim::gpu
