// The C ABI: everything that crosses between TypeScript and the runtime. `ffi/symbols.ts` is its twin.
//
// Numbers are doubles where they may exceed 32 bits (all integers up to 2^53 are exact). A session belongs to one
// isolate (thread); handles are generational ids inside a session, so a stale or forged one is an error. A call that
// returns int32_t returns 0 or a status; `rt_failure` then gives the text: lines of cannot, expected, got, fix.
#pragma once
#include <stdint.h>

#define RT_API extern "C" __attribute__((visibility("default")))

enum RtStatus : int32_t {
  kOk = 0,
  kBadProgram = 1,
  kBadArgument = 2,
  kMemoryLimit = 3,
  kKernelFailed = 4,
  kBadIndex = 5,
  kBadFile = 6,
  kBadDevice = 7,
};

/// Hash of the op table that the library was built with.
RT_API double rt_table_hash(void);
/// A session of the calling thread; it is closed when the thread ends, at the latest.
RT_API double rt_session_open(void);
RT_API void rt_session_close(double session);
/// Its isolate is ending, and its thread may live on: the next session that is opened closes this one.
RT_API void rt_session_leave(double session);

/// Decodes and runs a program. inputs: pairs (handle, given away). outputs: triples (handle, address, bytes), written
/// on success. wait = 0 queues it and returns at once; wait = 1 returns when it has run.
RT_API int32_t rt_eval(double session, int32_t stream, const double* words, uint32_t n_words, const double* inputs,
                       uint32_t n_inputs, double* outputs, uint32_t n_outputs, int32_t wait);
/// Decodes a program once, to be run many times. out: its handle.
RT_API int32_t rt_prepare(double session, const double* words, uint32_t n_words, double* out);
RT_API int32_t rt_run(double session, int32_t stream, double program, const double* inputs, uint32_t n_inputs,
                      double* outputs, uint32_t n_outputs, int32_t wait);
RT_API void rt_drop(double session, double program);

/// Copies bytes into a new buffer. out: (handle, address, bytes).
RT_API int32_t rt_upload(double session, const uint8_t* bytes, double nbytes, double* out);
/// Maps a file, read-only; the path is UTF-8 of n bytes. out: (handle, address, bytes).
RT_API int32_t rt_map(double session, const uint8_t* path, uint32_t n, double* out);
/// Copies bytes out of a buffer, after the programs that write it.
RT_API int32_t rt_read(double session, double handle, double offset, uint8_t* to, double nbytes);
/// A second handle of the same buffer; 0 if there is no such handle. out: as rt_upload.
RT_API int32_t rt_retain(double session, double handle, double* out);
RT_API void rt_release(double session, const double* handles, uint32_t n);
/// Handles of the buffer, or -1.
RT_API int32_t rt_refs(double session, double handle);
/// Waits until the buffer has been written; the status of what failed, if anything did.
RT_API int32_t rt_wait(double session, double handle);
/// Text of the failure of a handle's content, or of the session's last call (handle 0). Returns the bytes written.
RT_API uint32_t rt_failure(double session, double handle, uint8_t* text, uint32_t capacity);

/// A new stream on a device (0 the CPU, 1 the GPU); a negative number where there are too many. Streams 0 and 1 are
/// there from the start: one of the CPU, one of the GPU, if there is one.
RT_API int32_t rt_stream_open(double session, int32_t device);
/// Waits for all that was queued on the stream (-1: on all).
RT_API int32_t rt_synchronize(double session, int32_t stream);

/// Figures, see enum RtStat; returns how many there are.
RT_API uint32_t rt_stats(double* out, uint32_t capacity);
/// Sets a limit or resets a counter, see enum RtSetting; returns the value before.
RT_API double rt_set(int32_t setting, double value);
/// One line per fact: instruction set, threads, memory; with "gpu " before them, those of the GPU, if there is one.
RT_API uint32_t rt_info(uint8_t* text, uint32_t capacity);
/// Records the GPU's work into a file for Xcode; n = 0 ends that.
RT_API int32_t rt_capture(double session, const uint8_t* path, uint32_t n);
/// From now on notes when the session's programs run (1), and also when each of their instructions does (2), for which
/// a GPU gets command buffers of their own; or no more (0). out: how many spans follow, and kSpanWords of each; they
/// are forgotten then, and others wait for the next call. Returns the clock's time in nanoseconds.
RT_API double rt_profile(double session, int32_t what, double* out, uint32_t capacity);

enum RtSpan : uint32_t {
  kSpanStream = 0,
  kSpanProgram = 1,      // its number among those that the stream was given, from 1 on
  kSpanInstruction = 2,  // or -1: the whole program, -2: its submission
  kSpanBegin = 3,        // nanoseconds
  kSpanEnd = 4,
  kSpanActive = 5,  // bytes of buffers in use when that was noted
  kSpanWorker = 6,  // 1: on the stream's thread, 0: on that of who submitted it
  kSpanWords = 7,
};
enum RtStat : uint32_t {
  kStatActive = 0,      // bytes of buffers in use
  kStatPeak = 1,        // their maximum
  kStatCached = 2,      // bytes of buffers kept for reuse
  kStatMapped = 3,      // bytes of mapped files
  kStatBuffers = 4,     // buffers in use
  kStatPeakBuffers = 5,
  kStatAllocations = 6,
  kStatPrograms = 7,    // programs run
  kStatKernels = 8,     // instructions run
  kStatCopies = 9,      // donations refused: copies at entry or by a kernel that could not work in place
  kStatDispatches = 10,  // kernels that a GPU was given
  kStatBarriers = 11,
  kStatCommandBuffers = 12,
  kStatPipelines = 13,  // kernels compiled for a GPU
  kStatGpuBytes = 14,   // bytes that the arguments of dispatches name
  kStatFallbacks = 15,  // instructions on a stream of a GPU that the CPU ran
  kStatCount = 16,
};
enum RtSetting : int32_t {
  kSetMemoryLimit = 0,
  kSetCacheLimit = 1,
  kSetPeak = 2,
  kSetClearCache = 3,
  kSetFailAllocation = 4,  // for tests: the n-th allocation from now fails, and all after it; -1 ends that
  kSetFailKernel = 5,      // for tests: the n-th instruction from now fails
  kSetWiredLimit = 6,      // bytes kept resident for the GPU
};
