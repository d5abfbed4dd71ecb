// Buffers, the caching pool they come from, and what is remembered of failures. Everything here is used under `lock()`,
// the one mutex of the runtime, which is never held while a kernel runs.
#pragma once
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "rt.h"

namespace denim {

struct Stream;

/// A failure, shared by all buffers that it poisoned.
struct Failure {
  int32_t refs;
  int32_t status;
  char text[1000];  // lines: cannot, expected, got, fix, where, the program's tag and instruction
};
/// Makes a failure from printf-style text.
Failure* make_failure(int32_t status, const char* format, ...) __attribute__((format(printf, 2, 3)));
Failure* share(Failure* f);
void unshare(Failure* f);

/// A moment in a stream: its `seq`-th program has run.
struct Ticket {
  Stream* stream;
  uint64_t seq;
};
constexpr int kReaders = 4;

/// A piece of memory. It lives while it has handles or programs in flight use it.
struct Buffer {
  uint8_t* data;
  int64_t nbytes;    // as asked for
  int64_t capacity;  // as taken from the pool; 0 for a mapped file
  int32_t refs;      // handles
  int32_t busy;      // programs in flight
  Failure* poison;   // of its content
  Ticket written;    // the program that writes it
  Ticket read[kReaders];
  bool mapped;
};

void lock();
void unlock();
/// Waits for `signal_done` with the lock released.
void wait_done();
void signal_done();
/// Waits for a condition of the caller's, with the lock released.
void wait_on(pthread_cond_t* condition);

/// A buffer without handles, or null: then `*failure` says how many bytes were asked for, live and allowed.
Buffer* allocate(int64_t nbytes, Failure** failure);
/// Maps a file read-only.
Buffer* map_file(const char* path, Failure** failure);
/// Frees it if nothing needs it any more.
void reclaim(Buffer* b);

/// Counters and limits.
struct MemoryState {
  int64_t active, peak, cached, mapped, buffers, peak_buffers, allocations;
  int64_t limit, cache_limit;  // cache_limit < 0: the pool decides, by what is and was active
  int64_t fail_allocation;     // counts down; allocations that find 0 fail, until it is set again
};
extern MemoryState g_memory;
/// Gives cached buffers back to the system until at most `bytes` are cached.
void trim_cache(int64_t bytes);
/// Bytes of memory that this process may use.
int64_t total_memory();

}  // namespace denim
