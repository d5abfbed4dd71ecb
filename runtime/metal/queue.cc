// A stream of a GPU: its thread encodes one job after another into the open command buffer. That is committed when it
// holds enough, when somebody waits for it, or when the GPU has nothing to do; so encoding overlaps with the GPU's
// work. Metal's completion handler finishes the jobs.
#include <stdlib.h>
#include <string.h>

#include "metal/host.h"

namespace denim::metal {

/// A command buffer holds at most about this many dispatches, or dispatches that name this many bytes.
constexpr int kMostDispatches = 48;
constexpr int64_t kMostBytes = int64_t(128) << 20;
constexpr int kWords = 1024;

/// Words for bad indices; used up one by one, and zeroed when all jobs that had some are done.
struct WordBlock {
  WordBlock* next;
  MTL::Buffer* buffer;
  int used, busy;
};
/// A command buffer.
struct Batch {
  Batch* next;
  Queue* queue;
  uint64_t number;
  uint64_t first, last;  // jobs that have work in it
  MTL::CommandBuffer* commands;
  bool done;
};
struct Queue {
  Queue* next;
  Stream* stream;
  MTL::CommandQueue* commands;
  MTL::Fence* fence;         // each encoder waits for the one before it
  MTL::SharedEvent* event;   // its value: jobs of this stream that are done
  // Of the stream's thread:
  Batch* open;
  MTL::ComputeCommandEncoder* encoder;
  Hazards side_by_side;
  int dispatches;
  int64_t bytes;
  uint64_t encoding;  // the job at hand
  WordBlock* words;
  // Under the lock:
  uint64_t batches, finished;  // command buffers begun; finished in order
  Batch *first, *last;         // committed ones that have not finished
  Flight *head, *tail;         // jobs that have not
  uint64_t encoded, committed, signalled;  // jobs
  WordBlock* spare;
};
static Queue* g_queues;
static int g_n_queues;

// ---- words ----------------------------------------------------------------------------------------------------------
static WordBlock* new_block(Queue* q) {
  lock();
  WordBlock* block = q->spare;
  if (block) q->spare = block->next;
  unlock();
  if (!block) {
    block = static_cast<WordBlock*>(calloc(1, sizeof(WordBlock)));
    if (!block) abort();
    block->buffer = hardware().device->newBuffer(
        kWords * sizeof(uint32_t), MTL::ResourceStorageModeShared | MTL::ResourceHazardTrackingModeUntracked);
  }
  memset(block->buffer->contents(), 0, kWords * sizeof(uint32_t));
  block->used = 0;
  return block;
}
Word* new_word(Queue* q, Flight* f, int32_t instruction) {
  if (!q->words || q->words->used == kWords) {
    WordBlock* full = q->words;
    q->words = new_block(q);
    lock();
    if (full && !full->busy) {
      full->next = q->spare;
      q->spare = full;
    }
    unlock();
  }
  if (f->n_words == f->words_capacity) {
    f->words_capacity = f->words_capacity ? 2 * f->words_capacity : 16;
    f->words = static_cast<Word*>(realloc(f->words, sizeof(Word) * static_cast<size_t>(f->words_capacity)));
    if (!f->words) abort();
  }
  lock();
  q->words->busy++;
  unlock();
  uint32_t* at = static_cast<uint32_t*>(q->words->buffer->contents()) + q->words->used++;
  f->words[f->n_words] = {at, q->words, instruction};
  return &f->words[f->n_words++];
}
Place place_of(const Word* word) {
  MTL::Buffer* buffer = word->block->buffer;
  return {buffer, static_cast<uint64_t>(reinterpret_cast<uint8_t*>(word->at) -
                                        static_cast<uint8_t*>(buffer->contents()))};
}
static void give_words(Queue* q, Flight* f) {
  for (int i = 0; i < f->n_words; i++) {
    WordBlock* block = f->words[i].block;
    if (--block->busy || block == q->words || block->used < kWords) continue;
    block->next = q->spare;
    q->spare = block;
  }
}

// ---- finishing ------------------------------------------------------------------------------------------------------
static Failure* failure_of(MTL::CommandBuffer* commands) {
  if (commands->status() != MTL::CommandBufferStatusError) return nullptr;
  char text[700];
  describe(commands->error(), text, sizeof text);
  return make_failure(kKernelFailed, "finish on the GPU\nno error of a command buffer\n%s\nfree memory or work on less "
                                     "at once; if it stays so, report it\ngpu", text);
}
/// All results fail by what broke a command buffer, or each by what it was made from.
static void results_of(const Flight* f, Failure** results) {
  const Job* job = f->job;
  const Program* p = job->program;
  for (int i = 0; i < f->n_words; i++) {
    Failure*& made = f->made[f->words[i].instruction];
    const Instruction* ins = &p->instructions[f->words[i].instruction];
    if (*f->words[i].at && !made) made = failed_kernel(p, ins, "index out of range");
  }
  Failure** entry = static_cast<Failure**>(calloc(static_cast<size_t>(p->n_inputs) + 1, sizeof(Failure*)));
  if (!entry) abort();
  for (int i = 0; i < p->n_inputs; i++) entry[i] = entry_failure(job, i);
  spread_failures(p, entry, f->made, results);
  for (int i = 0; i < p->n_outputs && f->broken; i++) {
    if (results[i]) continue;
    results[i] = share(f->broken);
  }
  free(entry);
}
static void finish_flight(Queue* q, Flight* f) {
  const Program* p = f->job->program;
  Failure** results = static_cast<Failure**>(calloc(static_cast<size_t>(p->n_outputs) + 1, sizeof(Failure*)));
  if (!results) abort();
  results_of(f, results);
  for (int k = 0; k < p->n_instructions; k++) unshare(f->made[k]);
  unshare(f->broken);
  give_words(q, f);
  note_run(f->job, f->begin, f->times, true);
  finish(q->stream, f->job, results);
  free(results);
  free(f->made);
  free(f->words);
  free(f);
}
static bool all_reached(const Job* job) {
  for (int i = 0; i < job->n_waits; i++) if (!reached(job->waits[i])) return false;
  return true;
}
/// Finishes the jobs that can be; one that waited for another stream comes after that one's.
static void settle() {
  for (bool again = true; again;) {
    again = false;
    for (Queue* q = g_queues; q; q = q->next) {
      while (Flight* f = q->head) {
        if (!f->encoded || f->batch > q->finished || !all_reached(f->job)) break;
        q->head = f->next;
        if (!q->head) q->tail = nullptr;
        finish_flight(q, f);
        again = true;
      }
    }
  }
}
static void completed(Batch* batch) {
  AutoreleasePool pool;
  lock();
  Queue* q = batch->queue;
  Failure* failure = failure_of(batch->commands);
  for (Flight* f = q->head; f && failure; f = f->next)
    if (f->job->seq >= batch->first && f->job->seq <= batch->last && !f->broken) f->broken = share(failure);
  unshare(failure);
  batch->done = true;
  while (q->first && q->first->done) {
    Batch* next = q->first->next;
    q->finished = q->first->number;
    q->first->commands->release();
    free(q->first);
    q->first = next;
  }
  if (!q->first) q->last = nullptr;
  settle();
  signal_done();
  pthread_cond_signal(&q->stream->work);  // the GPU may be idle now
  unlock();
}

// ---- encoding -------------------------------------------------------------------------------------------------------
static void open_batch(Queue* q) {
  Batch* batch = static_cast<Batch*>(calloc(1, sizeof(Batch)));
  if (!batch) abort();
  batch->queue = q;
  batch->first = batch->last = q->encoding;
  batch->commands = q->commands->commandBufferWithUnretainedReferences()->retain();
  lock();
  batch->number = ++q->batches;
  unlock();
  q->open = batch;
  q->dispatches = 0;
  q->bytes = 0;
}
static Batch* batch_of(Queue* q) {
  if (!q->open) open_batch(q);
  q->open->last = q->encoding;
  return q->open;
}
MTL::ComputeCommandEncoder* open_encoder(Queue* q) {
  Batch* batch = batch_of(q);
  if (!q->encoder) {
    q->encoder = batch->commands->computeCommandEncoder(MTL::DispatchTypeConcurrent)->retain();
    q->encoder->waitForFence(q->fence);
    q->side_by_side.n = 0;
  }
  return q->encoder;
}
Hazards& hazards(Queue* q) { return q->side_by_side; }

static void end_encoder(Queue* q) {
  if (!q->encoder) return;
  q->encoder->updateFence(q->fence);
  q->encoder->endEncoding();
  q->encoder->release();
  q->encoder = nullptr;
}
static void commit(Queue* q) {
  Batch* batch = q->open;
  if (!batch) return;
  end_encoder(q);
  lock();
  const bool several = g_n_queues > 1;
  const uint64_t encoded = q->encoded;
  if (q->last) q->last->next = batch;
  else q->first = batch;
  q->last = batch;
  unlock();
  if (several) batch->commands->encodeSignalEvent(q->event, encoded);
  batch->commands->addCompletedHandler(^(MTL::CommandBuffer*) {
    completed(batch);
  });
  q->open = nullptr;
  count(&g_counters.command_buffers);
  MTL::CommandBuffer* commands = batch->commands->retain();
  commands->commit();  // the handler may run from here on, and free the batch
  commands->release();
  lock();
  q->committed = encoded;
  if (several) q->signalled = encoded;
  signal_done();
  unlock();
}
void dispatched(Queue* q, int64_t bytes) {
  count(&g_counters.dispatches);
  count(&g_counters.bytes, bytes);
  q->dispatches++;
  q->bytes += bytes;
  if (q->dispatches >= kMostDispatches || q->bytes >= kMostBytes) commit(q);
}
void drain(Queue* q) {
  AutoreleasePool pool;
  commit(q);
  lock();
  while (q->first) wait_done();
  unlock();
}

/// Work of other streams that this job needs: the GPU waits for a GPU, this thread for a CPU. Under the lock.
static void wait_for_others(Queue* q, Job* job) {
  if (all_reached(job)) return;
  unlock();
  commit(q);  // they may wait for what is in it
  lock();
  for (int i = 0; i < job->n_waits; i++) {
    const Ticket t = job->waits[i];
    if (reached(t)) continue;
    Queue* other = t.stream->device == kGpu ? static_cast<Queue*>(t.stream->gpu) : nullptr;
    if (!other) {
      wait_for(t);
      continue;
    }
    want(t);
    while (!reached(t) && other->committed < t.seq) wait_done();
    if (reached(t)) continue;
    if (other->signalled < t.seq) {
      wait_for(t);
      continue;
    }
    MTL::SharedEvent* event = other->event;
    unlock();
    end_encoder(q);
    batch_of(q)->commands->encodeWait(event, t.seq);
    lock();
  }
}
static void write_constants(const Program* p, uint8_t* const* places) {
  for (int i = 0; i < p->n_constants; i++) {
    const ConstantSpec& c = p->constants[i];
    memcpy(places[c.place], c.bytes, static_cast<size_t>(c.nbytes));
  }
}
static Flight* new_flight(Queue* q, Job* job) {
  Flight* f = static_cast<Flight*>(calloc(1, sizeof(Flight)));
  if (!f) abort();
  f->job = job;
  f->begin = job->spans ? clock_ns() : 0;
  f->times = new_times(job);
  f->made = static_cast<Failure**>(calloc(static_cast<size_t>(job->program->n_instructions) + 1, sizeof(Failure*)));
  if (!f->made) abort();
  if (q->tail) q->tail->next = f;
  else q->head = f;
  q->tail = f;
  return f;
}
/// Encodes what a job computes. Under the lock, which is not held meanwhile.
static void encode_work(Queue* q, Flight* f, Job* job) {
  const size_t n = static_cast<size_t>(job->n_places);
  uint8_t** places = static_cast<uint8_t**>(calloc(n + 1, sizeof(uint8_t*)));
  if (!places) abort();
  for (size_t i = 0; i < n; i++) places[i] = job->places[i]->data;
  unlock();
  write_constants(job->program, places);
  encode_program(q, f, job->program,
                 {places, job->arena ? job->arena->data : nullptr, job->scratch ? job->scratch->data : nullptr, nullptr,
                  nullptr, f->times});
  free(places);
  lock();
}
/// Encodes a job, or drops it if its session ends. Under the lock.
static void encode_job(Queue* q, Job* job) {
  AutoreleasePool pool;
  q->encoding = job->seq;
  Flight* f = new_flight(q, job);
  wait_for_others(q, job);
  if (q->stream->closing) f->broken = dropped_failure();
  else encode_work(q, f, job);
  f->batch = q->batches;
  f->encoded = true;
  q->encoded = job->seq;
  if (!q->open) q->committed = job->seq;  // all of it has been committed on the way
  settle();
  signal_done();
}
/// Is there something to commit that somebody waits for, or that an idle GPU could do?
static bool should_commit(const Queue* q) {
  if (!q->open) return false;
  return q->stream->wanted > q->committed ? q->encoded >= q->stream->wanted || !q->stream->head
                                          : !q->stream->head && !q->first;
}
}  // namespace denim::metal

namespace denim::gpu {
using namespace metal;

Failure* ready_program(Program* p);

static Queue* open_queue(Stream* stream) {
  AutoreleasePool pool;
  Queue* q = static_cast<Queue*>(calloc(1, sizeof(Queue)));
  if (!q) abort();
  const Hardware& h = hardware();
  q->stream = stream;
  q->commands = h.device->newCommandQueue();
  q->fence = h.device->newFence();
  q->event = h.device->newSharedEvent();
  if (h.resident) q->commands->addResidencySet(h.resident);
  q->next = g_queues;
  g_queues = q;
  g_n_queues++;
  return q;
}
Failure* ready(Stream* stream, Program* p) {
  if (!stream->gpu) stream->gpu = open_queue(stream);
  return ready_program(p);
}
void* work(void* argument) {
  Stream* s = static_cast<Stream*>(argument);
  Queue* q = static_cast<Queue*>(s->gpu);
  lock();
  for (;;) {
    while (!s->head && !s->closing && !should_commit(q)) wait_on(&s->work);
    if (should_commit(q)) {
      unlock();
      {
        AutoreleasePool pool;
        commit(q);
      }
      lock();
      continue;
    }
    Job* job = s->head;
    if (!job) break;
    s->head = job->next;
    if (!s->head) s->tail = nullptr;
    encode_job(q, job);
  }
  unlock();
  return nullptr;
}
void close(Stream* stream) {
  Queue* q = static_cast<Queue*>(stream->gpu);
  if (!q) return;
  AutoreleasePool pool;
  for (Queue** at = &g_queues; *at; at = &(*at)->next) if (*at == q) { *at = q->next; break; }
  g_n_queues--;
  if (q->words) {
    q->words->next = q->spare;
    q->spare = q->words;
  }
  while (WordBlock* block = q->spare) {
    q->spare = block->next;
    block->buffer->release();
    free(block);
  }
  free(q->side_by_side.ranges);
  q->event->release();
  q->fence->release();
  q->commands->release();
  free(q);
}

}  // namespace denim::gpu
