// Sessions, handles, streams, and the submission of programs. See session.h.
#include "session.h"

#include "gpu.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

namespace denim {

int64_t g_programs = 0;
static Session* g_sessions[kMaxSessions];
static uint32_t g_next_session = 1;
static pthread_key_t g_thread_end;
static pthread_once_t g_once = PTHREAD_ONCE_INIT;

static void thread_ended(void*) {
  lock();
  for (Session*& s : g_sessions) if (s && pthread_equal(s->thread, pthread_self())) close_session(s);
  unlock();
}
/// The library stays in memory: threads that end later still run `thread_ended`, and the pool's threads never end.
static void make_key() {
  pthread_key_create(&g_thread_end, thread_ended);
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(make_key), &self)) dlopen(self.dli_fname, RTLD_NOW | RTLD_NODELETE);
}

// ---- sessions and handles -------------------------------------------------------------------------------------------
Session* open_session() {
  pthread_once(&g_once, make_key);
  for (Session*& s : g_sessions) if (s && s->left) close_session(s);
  int at = -1;
  for (int i = 0; i < kMaxSessions; i++) if (!g_sessions[i] && at < 0) at = i;
  if (at < 0) return nullptr;
  Session* s = static_cast<Session*>(calloc(1, sizeof(Session)));
  if (!s) abort();
  s->id = g_next_session++ * kMaxSessions + static_cast<uint32_t>(at);
  s->thread = pthread_self();
  s->free_slot = -1;
  g_sessions[at] = s;
  open_stream(s, kCpu);  // 0 and 1: the streams of the devices by default
  open_stream(s, kGpu);
  pthread_setspecific(g_thread_end, &g_once);  // whatever is not null: this thread has sessions
  return s;
}
Session* find_session(double id) {
  if (!(id >= 0 && id < 4294967296.0)) return nullptr;
  uint32_t n = static_cast<uint32_t>(id);
  Session* s = g_sessions[n % kMaxSessions];
  return s && s->id == n && !s->closing ? s : nullptr;
}
constexpr double kSlots = 16777216.0;  // 2^24 slots, 2^29 generations

double new_handle(Session* s, Buffer* b, Program* p) {
  int32_t at = s->free_slot;
  if (at < 0) {
    if (s->n_slots == s->capacity) {
      int32_t grown = s->capacity ? s->capacity * 2 : 1024;
      Slot* slots = static_cast<Slot*>(realloc(s->slots, sizeof(Slot) * static_cast<size_t>(grown)));
      if (!slots || grown > kSlots) abort();
      s->slots = slots;
      s->capacity = grown;
    }
    at = s->n_slots++;
    s->slots[at] = {1, nullptr, nullptr, -1};
  } else {
    s->free_slot = s->slots[at].next_free;
  }
  Slot* slot = &s->slots[at];
  slot->buffer = b;
  slot->program = p;
  if (b) b->refs++;
  return slot->generation * kSlots + at;
}
Slot* find_slot(Session* s, double handle) {
  if (!(handle >= kSlots && handle < 9007199254740992.0)) return nullptr;
  uint64_t h = static_cast<uint64_t>(handle);
  uint64_t at = h & ((1u << 24) - 1), generation = h >> 24;
  if (at >= static_cast<uint64_t>(s->n_slots)) return nullptr;
  Slot* slot = &s->slots[at];
  return slot->generation == generation && (slot->buffer || slot->program) ? slot : nullptr;
}
Buffer* find_buffer(Session* s, double handle) {
  Slot* slot = find_slot(s, handle);
  return slot ? slot->buffer : nullptr;
}
Program* find_program(Session* s, double handle) {
  Slot* slot = find_slot(s, handle);
  return slot ? slot->program : nullptr;
}
static void drop_program(Program* p) {
  if (--p->refs == 0) free_program(p);
}
void drop_handle(Session* s, Slot* slot) {
  if (Buffer* b = slot->buffer) {
    b->refs--;
    reclaim(b);
  }
  if (slot->program) drop_program(slot->program);
  slot->buffer = nullptr;
  slot->program = nullptr;
  slot->generation = (slot->generation + 1) & ((1u << 29) - 1);
  if (!slot->generation) slot->generation = 1;
  slot->next_free = s->free_slot;
  s->free_slot = static_cast<int32_t>(slot - s->slots);
}
int32_t fail(Session* s, Failure* f) {
  unshare(s->last);
  s->last = f;
  return f->status;
}

// ---- streams --------------------------------------------------------------------------------------------------------
bool reached(const Ticket& t) { return !t.stream || t.stream->completed >= t.seq; }
void want(const Ticket& t) {
  if (t.stream->device != kGpu || t.stream->wanted >= t.seq) return;
  t.stream->wanted = t.seq;
  pthread_cond_signal(&t.stream->work);
}
void wait_for(const Ticket& t) {
  if (!reached(t)) want(t);
  while (!reached(t)) wait_done();
}
void wait_stream(Session* s, int32_t stream) {
  for (int i = 0; i < s->n_streams; i++)
    if (stream < 0 || i == stream) wait_for({s->streams[i], s->streams[i]->submitted});
}
static void execute(Stream* stream, Job* job, bool worker);

static void* work(void* argument) {
  Stream* s = static_cast<Stream*>(argument);
  lock();
  for (;;) {
    while (!s->head && !s->closing) wait_on(&s->work);
    Job* job = s->head;
    if (!job) break;
    s->head = job->next;
    if (!s->head) s->tail = nullptr;
    execute(s, job, true);
  }
  unlock();
  return nullptr;
}
int32_t open_stream(Session* s, Device device) {
  if (s->n_streams == kMaxStreams) return -1;
  Stream* stream = static_cast<Stream*>(calloc(1, sizeof(Stream)));
  if (!stream) abort();
  stream->device = device;
  pthread_cond_init(&stream->work, nullptr);
  s->streams[s->n_streams] = stream;
  return s->n_streams++;
}
void close_session(Session* s) {
  if (s->closing) return;  // by another thread, which lets go of the lock while it waits
  s->closing = true;
  // Nobody can ask for results any more: the isolate is gone. All streams hear of it before one is waited for.
  for (int i = 0; i < s->n_streams; i++) {
    s->streams[i]->closing = true;
    want({s->streams[i], s->streams[i]->submitted});
  }
  wait_stream(s, -1);
  while (s->waiting) wait_done();
  for (int i = 0; i < s->n_streams; i++) {
    Stream* stream = s->streams[i];
    pthread_cond_signal(&stream->work);
    if (stream->started) {
      unlock();
      pthread_join(stream->worker, nullptr);
      lock();
    }
  }
  for (int i = 0; i < s->n_slots; i++) if (s->slots[i].buffer || s->slots[i].program) drop_handle(s, &s->slots[i]);
  for (int i = 0; i < s->n_streams; i++) {
    gpu::close(s->streams[i]);
    pthread_cond_destroy(&s->streams[i]->work);
    free(s->streams[i]);
  }
  unshare(s->last);
  free(s->spans.list);
  free(s->slots);
  g_sessions[s->id % kMaxSessions] = nullptr;
  free(s);
}

// ---- jobs -----------------------------------------------------------------------------------------------------------
static void release_buffer(Buffer* b) {
  if (!b) return;
  b->busy--;
  reclaim(b);
}
/// A job and its lists in one piece of memory, zeroed.
static Job* new_job(Program* p) {
  size_t n_in = static_cast<size_t>(p->n_inputs), n = n_in + static_cast<size_t>(p->n_places),
         n_out = static_cast<size_t>(p->n_outputs);
  size_t waits = (kReaders + 1) * n * sizeof(Ticket);
  Job* job = static_cast<Job*>(calloc(1, sizeof(Job) + waits + (n + n_in + n_out) * sizeof(Buffer*)));
  if (!job) abort();
  job->program = p;
  job->n_places = static_cast<int32_t>(n);
  job->waits = reinterpret_cast<Ticket*>(job + 1);
  job->places = reinterpret_cast<Buffer**>(job->waits + (kReaders + 1) * n);
  job->copy_from = job->places + n;
  job->outputs = job->copy_from + n_in;
  return job;
}
static void copy_entries(const Job* job) {
  for (int i = 0; i < job->program->n_inputs; i++) {
    Buffer* from = job->copy_from[i];
    if (!from) continue;
    memcpy(job->places[i]->data, from->data, static_cast<size_t>(job->program->input_bytes[i]));
    __atomic_fetch_add(&g_copies, 1, __ATOMIC_RELAXED);
  }
}
Failure* entry_failure(const Job* job, int i) {
  return (job->copy_from[i] ? job->copy_from[i] : job->places[i])->poison;
}
Failure* dropped_failure() {
  return make_failure(kKernelFailed,
                      "finish\na session that stays open\none that was closed before\nend a worker when its results "
                      "have come\nruntime");
}
static void run(const Job* job, uint8_t** places, Failure** entry, Failure** results, int64_t* times) {
  const Program* p = job->program;
  copy_entries(job);
  for (int i = 0; i < p->n_constants; i++) {
    const ConstantSpec& c = p->constants[i];
    memcpy(places[c.place], c.bytes, static_cast<size_t>(c.nbytes));
  }
  run_program(job->program, {places, job->arena ? job->arena->data : nullptr,
                             job->scratch ? job->scratch->data : nullptr, entry, results, times});
}
/// Runs a job whose turn it is, or drops it if the session ends. The lock is held on entry and on return, not while
/// kernels run.
static void execute(Stream* stream, Job* job, bool worker) {
  Program* p = job->program;
  for (int i = 0; i < job->n_waits; i++) wait_for(job->waits[i]);
  size_t n_in = static_cast<size_t>(p->n_inputs), n = static_cast<size_t>(job->n_places),
         n_out = static_cast<size_t>(p->n_outputs);
  void* memory = calloc(n + n_in + n_out + 1, sizeof(void*));
  if (!memory) abort();
  uint8_t** places = static_cast<uint8_t**>(memory);
  Failure** entry = reinterpret_cast<Failure**>(places + n);
  Failure** results = entry + n_in;
  for (size_t i = 0; i < n; i++) places[i] = job->places[i]->data;
  for (size_t i = 0; i < n_in; i++) entry[i] = entry_failure(job, static_cast<int>(i));
  int64_t* times = new_times(job);
  const bool dropped = stream->closing;
  unlock();
  const int64_t begin = job->spans ? clock_ns() : 0;
  if (!dropped) run(job, places, entry, results, times);
  lock();
  for (size_t i = 0; dropped && i < n_out; i++) results[i] = dropped_failure();
  note_run(job, begin, times, worker);
  finish(stream, job, results);
  free(memory);
}
void finish(Stream* stream, Job* job, Failure** results) {
  Program* p = job->program;
  for (int i = 0; i < p->n_outputs; i++) {
    Buffer* b = job->outputs[i];
    if (results[i] == b->poison) {
      unshare(results[i]);
      continue;
    }
    unshare(b->poison);
    b->poison = results[i];
  }
  stream->completed = job->seq;
  for (int i = 0; i < job->n_places; i++) release_buffer(job->places[i]);
  for (int i = 0; i < p->n_inputs; i++) release_buffer(job->copy_from[i]);
  release_buffer(job->arena);
  release_buffer(job->scratch);
  if (--p->refs == 0) free_program(p);
  free(job);
  signal_done();
}

/// Remembers that the program of ticket `t` reads `b`; of more streams than fit, the oldest is waited for.
static void note_read(Buffer* b, const Ticket& t) {
  int at = -1;
  for (int i = 0; i < kReaders; i++) {
    if (b->read[i].stream == t.stream || reached(b->read[i])) at = i;
    if (b->read[i].stream == t.stream) break;
  }
  if (at < 0) {
    wait_for(b->read[0]);
    at = 0;
  }
  b->read[at] = t;
}
static void add_wait(Job* job, const Stream* own, const Ticket& t) {
  if (!reached(t) && t.stream != own) job->waits[job->n_waits++] = t;
}

/// Is there nothing on other streams to wait for?
static bool all_reached(const Job* job) {
  for (int i = 0; i < job->n_waits; i++) if (!reached(job->waits[i])) return false;
  return true;
}
/// Less elementwise work than this is done at once: to wake the worker takes longer.
constexpr int64_t kWorkToQueue = 16384;

struct Submission {
  Session* s;
  Stream* stream;
  Program* p;
  Job* job;
  Failure* failure;
  const double* inputs;

  Buffer* reserve(int64_t nbytes) {
    Buffer* b = allocate(nbytes, &failure);
    if (b) b->busy = 1;
    return b;
  }
  bool give(uint32_t i) const { return inputs[2 * i + 1] != 0; }
  bool reserve_all(uint32_t n_inputs) {
    for (uint32_t i = 0; i < n_inputs; i++) {
      Buffer* b = find_buffer(s, inputs[2 * i]);
      if (!b || b->nbytes < p->input_bytes[i]) {
        failure =
            make_failure(kBadArgument,
                         "run this program\na live buffer of %lld bytes as input %u\n%s\nreport this as a bug\nprogram",
                         static_cast<long long>(p->input_bytes[i]), i, b ? "a smaller one" : "a stale handle");
        return false;
      }
      bool taken = p->input_written[i] && give(i) && b->refs == 1 && !b->mapped && !repeated(i, n_inputs);
      b->busy++;
      if (p->input_written[i] && !taken) {
        job->copy_from[i] = b;
        job->places[i] = reserve(p->input_bytes[i]);
        if (!job->places[i]) return false;
      } else {
        job->places[i] = b;
      }
    }
    for (int i = 0; i < p->n_places; i++) {
      job->places[p->n_inputs + i] = reserve(p->place_bytes[i]);
      if (!job->places[p->n_inputs + i]) return false;
    }
    if (p->arena_bytes && !(job->arena = reserve(p->arena_bytes))) return false;
    const int64_t scratch = stream->device == kGpu ? gpu::scratch_bytes(p) : p->scratch_bytes;
    return !scratch || (job->scratch = reserve(scratch)) != nullptr;
  }
  /// Is the handle of input i given at another place too? Then nobody may write over it.
  bool repeated(uint32_t i, uint32_t n) const {
    for (uint32_t k = 0; k < n; k++) if (k != i && inputs[2 * k] == inputs[2 * i]) return true;
    return false;
  }
  void undo() {
    for (int i = 0; i < job->n_places; i++) release_buffer(job->places[i]);
    for (int i = 0; i < p->n_inputs; i++) release_buffer(job->copy_from[i]);
    release_buffer(job->arena);
    release_buffer(job->scratch);
    free(job);
  }
  void order() {
    Ticket now = {stream, stream->submitted + 1};
    for (int i = 0; i < job->n_places; i++) {
      Buffer* b = i < p->n_inputs && job->copy_from[i] ? job->copy_from[i] : job->places[i];
      add_wait(job, stream, b->written);
      bool writes = b == job->places[i] && (i >= p->n_inputs || p->input_written[i]);
      if (writes) for (const Ticket& t : b->read) add_wait(job, stream, t);
      else note_read(b, now);
      if (i >= p->n_inputs || p->input_written[i]) job->places[i]->written = now;
    }
  }
};

static Failure* no_gpu() {
  return make_failure(kBadDevice,
                      "use mx.gpu\na Metal device, and a runtime built with Metal\n%s\nuse mx.cpu (on Linux, "
                      "DENIM_METAL=sim simulates a device)\ndevice",
                      gpu::kBuilt ? "no device" : "a runtime without Metal");
}

int32_t submit(Session* s, int32_t stream_id, Program* p, const double* inputs, uint32_t n_inputs, double* outputs,
               uint32_t n_outputs, bool wait) {
  if (stream_id < 0 || stream_id >= s->n_streams || n_inputs != static_cast<uint32_t>(p->n_inputs) ||
      n_outputs != static_cast<uint32_t>(p->n_outputs)) {
    return fail(s, make_failure(kBadArgument,
                                "run this program\na stream of this session, %d inputs and %d outputs\nstream %d, %u "
                                "inputs, %u outputs\nreport this as a bug\nprogram",
                                p->n_inputs, p->n_outputs, stream_id, n_inputs, n_outputs));
  }
  Stream* stream = s->streams[stream_id];
  if (stream->device == kGpu) {
    if (Failure* failure = gpu::available() ? gpu::ready(stream, p) : no_gpu()) return fail(s, failure);
  }
  Job* job = new_job(p);
  Submission submission = {s, stream, p, job, nullptr, inputs};
  if (!submission.reserve_all(n_inputs)) {
    submission.undo();
    return fail(s, submission.failure);
  }
  // Nothing below can fail.
  submission.order();
  job->seq = ++stream->submitted;
  job->stream = stream_id;
  job->spans = s->profiled ? &s->spans : nullptr;
  note_submitted(job);
  p->refs++;
  g_programs++;
  for (uint32_t i = 0; i < n_outputs; i++) {
    Buffer* b = job->outputs[i] = job->places[p->values[p->outputs[i]].place];
    outputs[3 * i] = new_handle(s, b, nullptr);
    outputs[3 * i + 1] = static_cast<double>(reinterpret_cast<uintptr_t>(b->data));
    outputs[3 * i + 2] = static_cast<double>(b->nbytes);
  }
  for (uint32_t i = 0; i < n_inputs; i++) {
    if (p->input_written[i] && submission.give(i)) if (Slot* slot = find_slot(s, inputs[2 * i])) drop_handle(s, slot);
  }
  if (stream->device == kCpu && (wait || p->work <= kWorkToQueue) && stream->completed + 1 == job->seq &&
      all_reached(job)) {
    execute(stream, job, false);
    return kOk;
  }
  Ticket mine = {stream, job->seq};
  if (stream->tail) stream->tail->next = job;
  else stream->head = job;
  stream->tail = job;
  if (!stream->started) {
    stream->started = true;
    pthread_create(&stream->worker, nullptr, stream->device == kGpu ? gpu::work : work, stream);
  }
  pthread_cond_signal(&stream->work);
  if (wait) wait_for(mine);
  return kOk;
}

}  // namespace denim
