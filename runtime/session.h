// Sessions (one per isolate): handle tables, prepared programs, streams and their queues. All under `lock()`.
#pragma once
#include <pthread.h>

#include "memory.h"
#include "profile.h"
#include "program.h"

namespace denim {

constexpr int kMaxStreams = 64, kMaxSessions = 256;

enum Device : int32_t { kCpu = 0, kGpu = 1 };

/// A program on its way: what it uses is busy until it has run.
struct Job {
  Job* next;
  Program* program;
  Buffer** places;  // inputs (or their copies), then fresh buffers
  int32_t n_places;
  Buffer *arena, *scratch;
  Buffer** copy_from;  // per input: copied at entry, or null
  Ticket* waits;
  int32_t n_waits;
  uint64_t seq;
  int32_t stream;
  Spans* spans;  // where to note when it ran, or null
  Buffer** outputs;
  void* gpu;  // what metal/ knows of it
};
/// Runs programs in order, each on the submitting thread (where it waits and nothing is queued) or on its worker. That
/// of a GPU encodes programs and commits several at once, so who waits for one has to say so: `wanted`.
struct Stream {
  Device device;
  pthread_t worker;
  bool started;
  bool closing;  // its session ends: jobs that have not begun are dropped
  pthread_cond_t work;
  Job *head, *tail;
  uint64_t submitted, completed, wanted;
  void* gpu;  // metal/'s queue
};
struct Slot {
  uint32_t generation;
  Buffer* buffer;
  Program* program;
  int32_t next_free;
};
struct Session {
  uint32_t id;
  pthread_t thread;
  Slot* slots;
  int32_t n_slots, capacity, free_slot;
  Stream* streams[kMaxStreams];
  int32_t n_streams;
  int32_t waiting;  // calls that wait inside, on this thread or others
  Failure* last;
  bool profiled;
  bool closing;
  bool left;  // its isolate ends; the next session closes it
  Spans spans;
};

Session* open_session();
/// Waits for what has begun on its streams, drops the rest, then frees all it has.
void close_session(Session* s);
/// The session of that number, or null.
Session* find_session(double id);

/// Handles. A program's handle and a buffer's live in the same table.
double new_handle(Session* s, Buffer* b, Program* p);
Slot* find_slot(Session* s, double handle);
Buffer* find_buffer(Session* s, double handle);
Program* find_program(Session* s, double handle);
void drop_handle(Session* s, Slot* slot);
/// Remembers it as the session's last failure; returns its status.
int32_t fail(Session* s, Failure* f);

int32_t open_stream(Session* s, Device device);
/// Has what the ticket stands for happened?
bool reached(const Ticket& t);
/// Asks a stream to get on with it.
void want(const Ticket& t);
/// Takes note of the failures of a job's outputs (the caller's references), and lets go of all it used. Frees it.
void finish(Stream* stream, Job* job, Failure** results);
/// The failure of the content of input i.
Failure* entry_failure(const Job* job, int i);
/// The failure of a job that was dropped because its session ends.
Failure* dropped_failure();
void wait_for(const Ticket& t);
void wait_stream(Session* s, int32_t stream);

/// Reserves all memory, takes what is given away, runs or queues the program. outputs: triples.
int32_t submit(Session* s, int32_t stream, Program* p, const double* inputs, uint32_t n_inputs, double* outputs,
               uint32_t n_outputs, bool wait);

extern int64_t g_programs;

}  // namespace denim
