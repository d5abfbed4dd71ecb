// The C ABI of rt.h: checks what comes in, takes the lock, calls the parts.
#include "rt.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/dispatch.h"
#include "gpu.h"
#include "session.h"
#include "threads.h"

using namespace denim;

namespace {
struct Lock {
  Lock() { lock(); }
  ~Lock() { unlock(); }
};
Failure* stale(const char* what) {
  return make_failure(
      kBadArgument, "use this %s\na live handle of this session\na stale or foreign one\nreport this as a bug\nruntime",
      what);
}
void describe(double* out, double handle, const Buffer* b) {
  out[0] = handle;
  out[1] = static_cast<double>(reinterpret_cast<uintptr_t>(b->data));
  out[2] = static_cast<double>(b->nbytes);
}
/// Waits for all that writes the buffer, then, without the lock, copies bytes out of it if `to` is given. Buffer and
/// session stay alive meanwhile.
int32_t settle(Session* s, Buffer* b, uint8_t* to, int64_t offset, int64_t nbytes) {
  b->busy++;
  s->waiting++;
  wait_for(b->written);
  int32_t status = b->poison ? b->poison->status : kOk;
  if (to && !status) {
    unlock();
    memcpy(to, b->data + offset, static_cast<size_t>(nbytes));
    lock();
  }
  b->busy--;
  reclaim(b);
  s->waiting--;
  signal_done();
  return status;
}
}  // namespace

double rt_table_hash(void) { return static_cast<double>(kOpTableHash); }

double rt_session_open(void) {
  Lock hold;
  // A file beyond the system's limit is an error of the write then, as a full disk is, and does not end the process.
  struct sigaction limit;
  if (sigaction(SIGXFSZ, nullptr, &limit) == 0 && limit.sa_handler == SIG_DFL) {
    limit.sa_handler = SIG_IGN;
    sigaction(SIGXFSZ, &limit, nullptr);
  }
  Session* s = open_session();
  return s ? s->id : 0;
}
void rt_session_leave(double session) {
  Lock hold;
  if (Session* s = find_session(session)) s->left = true;
}
void rt_session_close(double session) {
  Lock hold;
  if (Session* s = find_session(session)) close_session(s);
}

int32_t rt_eval(double session, int32_t stream, const double* words, uint32_t n_words, const double* inputs,
                uint32_t n_inputs, double* outputs, uint32_t n_outputs, int32_t wait) {
  Failure* failure = nullptr;
  Program* p = decode(words, n_words, &failure);
  Lock hold;
  Session* s = find_session(session);
  if (!s || !p) {
    if (p) free_program(p);
    if (!s) unshare(failure);
    return s ? fail(s, failure) : kBadArgument;
  }
  int32_t status = submit(s, stream, p, inputs, n_inputs, outputs, n_outputs, wait != 0);
  if (--p->refs == 0) free_program(p);
  return status;
}
int32_t rt_prepare(double session, const double* words, uint32_t n_words, double* out) {
  Failure* failure = nullptr;
  Program* p = decode(words, n_words, &failure);
  Lock hold;
  Session* s = find_session(session);
  if (!s || !p) {
    if (p) free_program(p);
    if (!s) unshare(failure);
    return s ? fail(s, failure) : kBadArgument;
  }
  p->kept = true;
  *out = new_handle(s, nullptr, p);
  return kOk;
}
int32_t rt_run(double session, int32_t stream, double program, const double* inputs, uint32_t n_inputs, double* outputs,
               uint32_t n_outputs, int32_t wait) {
  Lock hold;
  Session* s = find_session(session);
  if (!s) return kBadArgument;
  Program* p = find_program(s, program);
  return p ? submit(s, stream, p, inputs, n_inputs, outputs, n_outputs, wait != 0) : fail(s, stale("program"));
}
void rt_drop(double session, double program) {
  Lock hold;
  Session* s = find_session(session);
  if (s && find_program(s, program)) drop_handle(s, find_slot(s, program));
}

int32_t rt_upload(double session, const uint8_t* bytes, double nbytes, double* out) {
  Buffer* b;
  {
    Lock hold;
    Session* s = find_session(session);
    if (!s) return kBadArgument;
    Failure* failure = nullptr;
    b = allocate(nbytes >= 0 && nbytes < 9e15 ? static_cast<int64_t>(nbytes) : -1, &failure);
    if (!b) return fail(s, failure);
    describe(out, new_handle(s, b, nullptr), b);
  }
  memcpy(b->data, bytes, static_cast<size_t>(b->nbytes));  // nobody else knows the handle yet
  return kOk;
}
int32_t rt_map(double session, const uint8_t* path, uint32_t n, double* out) {
  char name[4096];
  Lock hold;
  Session* s = find_session(session);
  if (!s) return kBadArgument;
  if (n >= sizeof name)
    return fail(s, make_failure(kBadFile, "map a file\na path of at most 4095 bytes\n%u\nuse a shorter path\nload", n));
  memcpy(name, path, n);
  name[n] = 0;
  Failure* failure = nullptr;
  Buffer* b = map_file(name, &failure);
  if (!b) return fail(s, failure);
  describe(out, new_handle(s, b, nullptr), b);
  return kOk;
}
int32_t rt_read(double session, double handle, double offset, uint8_t* to, double nbytes) {
  Lock hold;
  Session* s = find_session(session);
  if (!s) return kBadArgument;
  Buffer* b = find_buffer(s, handle);
  if (!b) return fail(s, stale("array"));
  if (!(offset >= 0) || !(nbytes >= 0) || offset + nbytes > static_cast<double>(b->nbytes)) {
    return fail(
        s, make_failure(kBadArgument,
                        "read %.0f bytes at %.0f\na range inside the buffer\n%lld bytes\nreport this as a bug\nruntime",
                        nbytes, offset, static_cast<long long>(b->nbytes)));
  }
  return settle(s, b, to, static_cast<int64_t>(offset), static_cast<int64_t>(nbytes));
}
int32_t rt_retain(double session, double handle, double* out) {
  Lock hold;
  Session* s = find_session(session);
  if (!s) return kBadArgument;
  Buffer* b = find_buffer(s, handle);
  if (!b) return fail(s, stale("array"));
  describe(out, new_handle(s, b, nullptr), b);
  return kOk;
}
void rt_release(double session, const double* handles, uint32_t n) {
  Lock hold;
  Session* s = find_session(session);
  if (!s) return;
  for (uint32_t i = 0; i < n; i++) if (find_buffer(s, handles[i])) drop_handle(s, find_slot(s, handles[i]));
}
int32_t rt_refs(double session, double handle) {
  Lock hold;
  Session* s = find_session(session);
  Buffer* b = s ? find_buffer(s, handle) : nullptr;
  return b ? (b->mapped ? b->refs + 1 : b->refs) : -1;  // a mapped file has the disk as one more owner
}
int32_t rt_wait(double session, double handle) {
  Lock hold;
  Session* s = find_session(session);
  if (!s) return kBadArgument;
  Buffer* b = find_buffer(s, handle);
  return b ? settle(s, b, nullptr, 0, 0) : fail(s, stale("array"));
}
uint32_t rt_failure(double session, double handle, uint8_t* text, uint32_t capacity) {
  Lock hold;
  Session* s = find_session(session);
  const char* message = "use the runtime\nan open session\na closed one\nreport this as a bug\nruntime";
  if (s && s->last) message = s->last->text;
  Buffer* b = s && handle != 0 ? find_buffer(s, handle) : nullptr;
  if (b && b->poison) message = b->poison->text;
  uint32_t n = static_cast<uint32_t>(strlen(message));
  if (n > capacity) n = capacity;
  memcpy(text, message, n);
  return n;
}

int32_t rt_stream_open(double session, int32_t device) {
  Lock hold;
  Session* s = find_session(session);
  return s && (device == kCpu || device == kGpu) ? open_stream(s, static_cast<Device>(device)) : -1;
}
int32_t rt_synchronize(double session, int32_t stream) {
  Lock hold;
  Session* s = find_session(session);
  if (!s || stream >= s->n_streams) return kBadArgument;
  wait_stream(s, stream);
  return kOk;
}

uint32_t rt_stats(double* out, uint32_t capacity) {
  Lock hold;
  const gpu::Counters gpu = gpu::counters();
  const int64_t stats[kStatCount] = {
      g_memory.active, g_memory.peak, g_memory.cached, g_memory.mapped, g_memory.buffers, g_memory.peak_buffers,
      g_memory.allocations, g_programs, __atomic_load_n(&g_kernels, __ATOMIC_RELAXED),
      __atomic_load_n(&g_copies, __ATOMIC_RELAXED), gpu.dispatches, gpu.barriers, gpu.command_buffers, gpu.pipelines,
      gpu.bytes, gpu.fallbacks};
  for (uint32_t i = 0; i < capacity && i < kStatCount; i++) out[i] = static_cast<double>(stats[i]);
  return kStatCount;
}
double rt_set(int32_t setting, double value) {
  Lock hold;
  int64_t v = value > 9e15 ? int64_t(9e15) : value < -1 || !(value == value) ? -1 : static_cast<int64_t>(value);
  auto exchange = [&](int64_t* slot) {
    int64_t before = *slot;
    *slot = v;
    return static_cast<double>(before);
  };
  switch (setting) {
    case kSetMemoryLimit:
      if (!g_memory.limit) g_memory.limit = total_memory() / 10 * 9;
      return exchange(&g_memory.limit);
    case kSetCacheLimit: {
      double before = exchange(&g_memory.cache_limit);
      if (v >= 0) trim_cache(v);
      return before;
    }
    case kSetPeak:
      g_memory.peak_buffers = g_memory.buffers;
      v = g_memory.active;
      return exchange(&g_memory.peak);
    case kSetClearCache: trim_cache(0); return 0;
    case kSetFailAllocation: return exchange(&g_memory.fail_allocation);
    case kSetFailKernel: return exchange(&g_fail_kernel);
    case kSetWiredLimit: return gpu::set_wired_limit(value);
    default: return 0;
  }
}
uint32_t rt_info(uint8_t* text, uint32_t capacity) {
  int n = snprintf(reinterpret_cast<char*>(text), capacity, "isa %s\nthreads %d\nmemory %lld\n", isa_name(isa()),
                   worker_count(), static_cast<long long>(total_memory()));
  if (n < 0 || static_cast<uint32_t>(n) >= capacity) return 0;
  const uint32_t used = static_cast<uint32_t>(n);
  return used + static_cast<uint32_t>(gpu::info(reinterpret_cast<char*>(text) + used, capacity - used));
}
double rt_profile(double session, int32_t what, double* out, uint32_t capacity) {
  Lock hold;
  Session* s = find_session(session);
  if (!s || capacity < 1) return 0;
  s->profiled = what > 0;
  s->spans.kernels = what > 1;
  Spans& spans = s->spans;
  const int64_t room = (capacity - 1) / kSpanWords, n = spans.n < room ? spans.n : room;
  out[0] = static_cast<double>(n);
  for (int64_t i = 0; i < n; i++) {
    const Span& span = spans.list[i];
    double* w = out + 1 + i * kSpanWords;
    w[kSpanStream] = span.stream;
    w[kSpanProgram] = static_cast<double>(span.seq);
    w[kSpanInstruction] = span.instruction;
    w[kSpanBegin] = static_cast<double>(span.begin);
    w[kSpanEnd] = static_cast<double>(span.end);
    w[kSpanActive] = static_cast<double>(span.active);
    w[kSpanWorker] = span.worker;
  }
  spans.n -= n;
  if (spans.n) memmove(spans.list, spans.list + n, sizeof(Span) * static_cast<size_t>(spans.n));
  return static_cast<double>(clock_ns());
}
int32_t rt_capture(double session, const uint8_t* path, uint32_t n) {
  char name[1024];
  Lock hold;
  Session* s = find_session(session);
  if (!s || n >= sizeof name) return kBadArgument;
  memcpy(name, path, n);
  name[n] = 0;
  Failure* failure = gpu::capture(n ? name : nullptr);
  return failure ? fail(s, failure) : kOk;
}
