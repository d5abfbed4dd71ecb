// The GPU: a thread that runs what queues have committed, a step at a time, now of this queue, now of that, in an order
// that a seed decides; and a thread that calls the handlers of finished command buffers. So the host meets Metal's
// asynchrony: nothing is done when commit returns, and handlers run beside the threads that wait.
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "framework/objects.h"

namespace dsim {

struct Waiter {
  uint64_t value;
  const void* block;
  Event* event;
};
struct Gpu {
  std::mutex guard;
  std::condition_variable work, done, handlers;
  std::vector<Queue*> queues;
  std::deque<Commands*> finished;
  std::deque<Waiter> waiters;
  std::deque<Waiter> due;
  Clock seen;  // what the CPU has seen finished
  uint32_t queue_count = 0;
  size_t last_queue = 0;
  bool started = false;
};
static Gpu& gpu() {
  static auto* g = new Gpu;
  return *g;
}

static double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}
static double patience() {
  static const double seconds = setting("DENIM_METAL_SIM_PATIENCE") ? atof(setting("DENIM_METAL_SIM_PATIENCE")) : 20;
  return seconds;
}

void call_block(const void* block, void* argument) {
  using Invoke = void (*)(const void*, void*);
  Invoke invoke;
  memcpy(&invoke, static_cast<const char*>(block) + 16, sizeof invoke);
  invoke(block, argument);
}

// ---- running
// ----------------------------------------------------------------------------------------------------------

Order& order_of(EncoderRun& run, Commands& c) {
  if (!run.begun) {
    run.begun = true;
    run.order.queue = c.queue->number;
    run.order.encoder = run.serial;
    run.order.clock = c.clock;
    run.order.upto = 0;
  }
  return run.order;
}

static bool is_blocked(const Commands& c) {
  const Step* s = c.next_step < c.steps.size() ? &c.steps[c.next_step] : nullptr;
  return s && s->event && s->event->value < s->value;
}

/// A queue whose first command buffer can go on: mostly the one that ran last, else any.
static Queue* pick_queue(Gpu& g) {
  std::vector<size_t> can;
  for (size_t i = 0; i < g.queues.size(); i++)
    if (!g.queues[i]->committed.empty() && !is_blocked(*g.queues[i]->committed.front())) can.push_back(i);
  if (can.empty()) return nullptr;
  static uint64_t random = 0x9e3779b97f4a7c15ull;
  random = random * 6364136223846793005ull + 1442695040888963407ull;
  for (size_t i : can)
    if (i == g.last_queue && (random >> 60) > 3) return g.queues[i];
  g.last_queue = can[(random >> 33) % can.size()];
  return g.queues[g.last_queue];
}

/// Forgets touches that every dispatch to come is ordered after: those that no queue can still be before.
static void forget_old(Gpu& g) {
  if (log_size() < 256) return;
  Clock floor;
  for (uint32_t p = 1; p <= g.queue_count; p++) {
    uint64_t least = UINT64_MAX;
    for (const Queue* q : g.queues) {
      uint64_t of = std::max(q->clock.of(p), q->committed.empty() ? g.seen.of(p) : q->committed.front()->base.of(p));
      least = std::min(least, of);
    }
    floor.advance(p, least == UINT64_MAX ? 0 : least);
  }
  forget_before(floor);
}

static void trace(const Commands& c) {
  if (setting("DENIM_METAL_SIM_TRACE")) fprintf(stderr, "metal simulator: %s\n", c.error.c_str());
}

static void finish(Gpu& g, Queue* q, Commands* c) {
  c->ended = now();
  c->end_time = q->time;
  q->clock.join(c->clock);
  q->committed.erase(q->committed.begin());
  c->status = c->error.empty() ? kCompleted : kError;
  if (!c->error.empty()) trace(*c);
  m.stats.command_buffers++;
  g.finished.push_back(c);
  forget_old(g);
  g.done.notify_all();
  g.handlers.notify_one();
}

/// One step of the command buffer; the lock is not held while it runs.
static void run_step(Gpu& g, Queue* q, Commands* c, std::unique_lock<std::mutex>& lock) {
  if (c->status == kCommitted) {
    c->status = kScheduled;
    c->began = now();
    c->clock = q->clock;
    c->clock.join(c->base);
    c->error = take_reports();
  }
  if (c->next_step == c->steps.size()) return finish(g, q, c);
  Step& s = c->steps[c->next_step++];
  if (s.event) {
    for (const auto& [value, clock] : s.event->clocks)
      if (value <= s.event->value) c->clock.join(clock);
    return;
  }
  if (!c->error.empty() && !s.always) return;
  lock.unlock();
  std::string error;
  bool ok = s.run(*c, error);
  lock.lock();
  if (!ok && c->error.empty()) c->error = error;
}

/// Nothing can go on: a command buffer that waits for an event which nobody signals fails after a while.
static void give_up(Gpu& g) {
  for (Queue* q : g.queues) {
    if (q->committed.empty()) continue;
    Commands* c = q->committed.front();
    if (c->error.empty())
      c->error = "a command buffer waits for the value " + std::to_string(c->steps[c->next_step].value) +
                 " of an event (now " + std::to_string(c->steps[c->next_step].event->value) + ") that nothing signals";
    finish(g, q, c);
    return;
  }
}

static void run_gpu() {
  Gpu& g = gpu();
  std::unique_lock<std::mutex> lock(g.guard);
  for (;;) {
    if (Queue* q = pick_queue(g)) {
      run_step(g, q, q->committed.front(), lock);
      continue;
    }
    bool blocked = false;
    for (Queue* q : g.queues) blocked |= !q->committed.empty();
    if (!blocked)
      g.work.wait(lock);
    else if (g.work.wait_for(lock, std::chrono::duration<double>(patience())) == std::cv_status::timeout)
      give_up(g);
  }
}

static void call_handlers(Commands* c) {
  for (const auto* all : {&c->scheduled_handlers, &c->completed_handlers})
    for (const void* block : *all) call_block(block, c);
}

static void run_handlers() {
  Gpu& g = gpu();
  std::unique_lock<std::mutex> lock(g.guard);
  for (;;) {
    while (g.finished.empty() && g.due.empty()) g.handlers.wait(lock);
    if (!g.due.empty()) {
      Waiter w = g.due.front();
      g.due.pop_front();
      lock.unlock();
      using Invoke = void (*)(const void*, Event*, uint64_t);
      Invoke invoke;
      memcpy(&invoke, static_cast<const char*>(w.block) + 16, sizeof invoke);
      invoke(w.block, w.event, w.value);
      _Block_release(w.block);
      release(w.event);
      lock.lock();
      continue;
    }
    Commands* c = g.finished.front();
    g.finished.pop_front();
    // Without a handler the CPU has not been told.
    if (!c->completed_handlers.empty()) g.seen.advance(c->queue->number, c->end_time);
    lock.unlock();
    Object* pool = push_pool();
    call_handlers(c);
    pop_pool(pool);
    lock.lock();
    if (c->status == kError && !c->error_seen) c->queue->unseen_error = true;
    lock.unlock();
    release(c);
    lock.lock();
  }
}

// ---- what the CPU does
// ------------------------------------------------------------------------------------------------

static void start(Gpu& g) {
  if (g.started) return;
  g.started = true;
  std::thread(run_gpu).detach();
  std::thread(run_handlers).detach();
}

void open_queue(Queue* q) {
  Gpu& g = gpu();
  std::lock_guard<std::mutex> lock(g.guard);
  q->number = ++g.queue_count;
  g.queues.push_back(q);
}
void close_queue(Queue* q) {
  Gpu& g = gpu();
  std::lock_guard<std::mutex> lock(g.guard);
  for (size_t i = 0; i < g.queues.size(); i++)
    if (g.queues[i] == q) g.queues.erase(g.queues.begin() + static_cast<ptrdiff_t>(i));
}

void commit(Commands* c) {
  if (c->open_encoder) report("commit: an encoder of the command buffer has not ended");
  Gpu& g = gpu();
  std::unique_lock<std::mutex> lock(g.guard);
  if (c->status > kEnqueued) {
    lock.unlock();
    return report("commit: the command buffer has been committed before");
  }
  if (c->queue->unseen_error) {
    c->queue->unseen_error = false;
    lock.unlock();
    report("work is committed after an error that nobody has looked at");
    lock.lock();
  }
  start(g);
  retain(c);
  c->status = kCommitted;
  c->base = g.seen;
  c->queue->committed.push_back(c);
  g.work.notify_one();
}

uint64_t status_of(Commands* c) {
  Gpu& g = gpu();
  std::lock_guard<std::mutex> lock(g.guard);
  if (c->status >= kCompleted) {
    g.seen.advance(c->queue->number, c->end_time);
    c->error_seen = true;
    if (c->status == kError) c->queue->unseen_error = false;
  }
  return c->status;
}

void wait_until_completed(Commands* c) {
  Gpu& g = gpu();
  std::unique_lock<std::mutex> lock(g.guard);
  if (c->status < kCommitted) {
    lock.unlock();
    return report("waitUntilCompleted: the command buffer has not been committed");
  }
  while (c->status < kCompleted) g.done.wait(lock);
  g.seen.advance(c->queue->number, c->end_time);
}

// ---- events
// -----------------------------------------------------------------------------------------------------------

static void set_value(Gpu& g, Event* e, uint64_t value, const Clock& clock) {
  e->value = std::max(e->value, value);
  e->clocks[value].join(clock);
  while (e->clocks.size() > 64) {  // an old value's clock is part of what comes after it
    auto first = e->clocks.begin(), second = std::next(first);
    second->second.join(first->second);
    e->clocks.erase(first);
  }
  for (size_t i = 0; i < g.waiters.size();) {
    if (g.waiters[i].event == e && g.waiters[i].value <= e->value) {
      g.due.push_back(g.waiters[i]);
      g.waiters.erase(g.waiters.begin() + static_cast<ptrdiff_t>(i));
    } else {
      i++;
    }
  }
  g.work.notify_one();
  g.done.notify_all();
  g.handlers.notify_one();
}
void signal_event(Event* e, uint64_t value, const Clock& clock) {
  Gpu& g = gpu();
  std::lock_guard<std::mutex> lock(g.guard);
  set_value(g, e, value, clock);
}
static void see(Gpu& g, Event* e) {
  for (const auto& [value, clock] : e->clocks)
    if (value <= e->value) g.seen.join(clock);
}
uint64_t value_of(Event* e) {
  Gpu& g = gpu();
  std::lock_guard<std::mutex> lock(g.guard);
  see(g, e);
  return e->value;
}
bool wait_for_event(Event* e, uint64_t value, uint64_t timeout_ms) {
  Gpu& g = gpu();
  std::unique_lock<std::mutex> lock(g.guard);
  const double until = now() + static_cast<double>(timeout_ms) / 1000;
  while (e->value < value) {
    const double left = std::min(until - now(), 3600.0);
    if (left <= 0) return false;
    g.done.wait_for(lock, std::chrono::duration<double>(left));
  }
  see(g, e);
  return true;
}
void notify_at(Event* e, uint64_t value, const void* block) {
  Gpu& g = gpu();
  std::lock_guard<std::mutex> lock(g.guard);
  start(g);
  g.waiters.push_back({value, _Block_copy(block), retain(e)});
  set_value(g, e, e->value, Clock());
}
/// The CPU sets a value: what it has seen is ordered before.
static void set_from_cpu(Event* e, uint64_t value) {
  Gpu& g = gpu();
  std::lock_guard<std::mutex> lock(g.guard);
  set_value(g, e, value, g.seen);
}

void link_event() {}

METHOD("MTLDevice", "newFence", Object*, Device*, Sel) { return make<Fence>("MTLFence"); }
METHOD("MTLDevice", "newEvent", Object*, Device*, Sel) { return make<Event>("MTLEvent"); }
METHOD("MTLDevice", "newSharedEvent", Object*, Device*, Sel) { return make<Event>("MTLSharedEvent"); }
METHOD("MTLSharedEvent", "signaledValue", uint64_t, Event* e, Sel) { return value_of(e); }
METHOD("MTLSharedEvent", "setSignaledValue:", void, Event* e, Sel, uint64_t v) { set_from_cpu(e, v); }
METHOD("MTLSharedEvent", "waitUntilSignaledValue:timeoutMS:", bool, Event* e, Sel, uint64_t v, uint64_t ms) {
  return wait_for_event(e, v, ms);
}
METHOD("MTLSharedEvent", "notifyListener:atValue:block:", void, Event* e, Sel, Object*, uint64_t v, const void* block) {
  notify_at(e, v, block);
}
METHOD("+MTLSharedEventListener", "alloc", Object*, Object*, Sel) { return make<Object>("MTLSharedEventListener"); }

}  // namespace dsim
