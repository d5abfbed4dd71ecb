// MTLCommandQueue and MTLCommandBuffer.
#include "framework/objects.h"

namespace dsim {

void link_commands() {}

Queue::~Queue() { close_queue(this); }
Commands::~Commands() {
  for (auto* all : {&scheduled_handlers, &completed_handlers})
    for (const void* block : *all) _Block_release(block);
  if (status < kCommitted && !steps.empty())
    report("a command buffer with work in it was released and never committed");
}

Held hold(Commands* c, Object* o) {
  Held h;
  h.at = o;
  h.serial = o ? o->serial : 0;
  if (c->retains) h.kept = Ref<Object>(o);
  return h;
}
bool still_there(const Held& h, std::string& error) {
  if (is_alive(h.at, h.serial)) return true;
  error = "a " + h.at->isa->name + (h.at->label.empty() ? "" : " '" + h.at->label + "'") +
          " was released while a command buffer that uses it, and does not retain it, was in flight";
  return false;
}

METHOD("MTLDevice", "newCommandQueue", Object*, Device*, Sel) {
  Queue* q = make<Queue>("MTLCommandQueue");
  open_queue(q);
  return q;
}
METHOD("MTLDevice", "newCommandQueueWithMaxCommandBufferCount:", Object*, Device*, Sel, uint64_t) {
  Queue* q = make<Queue>("MTLCommandQueue");
  open_queue(q);
  return q;
}
METHOD("MTLCommandQueue", "addResidencySet:", void, Queue*, Sel, Object*) {}
METHOD("MTLCommandQueue", "removeResidencySet:", void, Queue*, Sel, Object*) {}
METHOD("MTLCommandQueue", "insertDebugCaptureBoundary", void, Queue*, Sel) {}
METHOD("MTLCommandQueue", "device", Object*, Queue*, Sel) { return the_device(); }

static Commands* new_commands(Queue* q, bool retains) {
  Commands* c = make<Commands>("MTLCommandBuffer");
  c->queue = Ref<Queue>(q);
  c->retains = retains;
  return autoreleased(c);
}
METHOD("MTLCommandQueue", "commandBuffer", Object*, Queue* q, Sel) { return new_commands(q, true); }
METHOD("MTLCommandQueue", "commandBufferWithUnretainedReferences", Object*, Queue* q, Sel) {
  return new_commands(q, false);
}

METHOD("MTLCommandBuffer", "enqueue", void, Commands*, Sel) {}
METHOD("MTLCommandBuffer", "commit", void, Commands* c, Sel) { commit(c); }
METHOD("MTLCommandBuffer", "waitUntilCompleted", void, Commands* c, Sel) { wait_until_completed(c); }
METHOD("MTLCommandBuffer", "waitUntilScheduled", void, Commands*, Sel) {}
METHOD("MTLCommandBuffer", "status", uint64_t, Commands* c, Sel) { return status_of(c); }
METHOD("MTLCommandBuffer", "error", Object*, Commands* c, Sel) {
  Error* e = nullptr;
  if (status_of(c) == kError) give_error(&e, c->error);
  return e;
}
METHOD("MTLCommandBuffer", "retainedReferences", bool, Commands* c, Sel) { return c->retains; }
METHOD("MTLCommandBuffer", "commandQueue", Object*, Commands* c, Sel) { return c->queue.get(); }
METHOD("MTLCommandBuffer", "GPUStartTime", double, Commands* c, Sel) { return c->began; }
METHOD("MTLCommandBuffer", "GPUEndTime", double, Commands* c, Sel) { return c->ended; }
METHOD("MTLCommandBuffer", "kernelStartTime", double, Commands* c, Sel) { return c->began; }
METHOD("MTLCommandBuffer", "kernelEndTime", double, Commands* c, Sel) { return c->ended; }
METHOD("MTLCommandBuffer", "useResidencySet:", void, Commands*, Sel, Object*) {}
METHOD("MTLCommandBuffer", "pushDebugGroup:", void, Commands*, Sel, Object*) {}
METHOD("MTLCommandBuffer", "popDebugGroup", void, Commands*, Sel) {}

static void add_handler(Commands* c, std::vector<const void*>& to, const void* block) {
  if (c->status >= kCommitted) return report("a handler is added to a command buffer that has been committed");
  to.push_back(_Block_copy(block));
}
METHOD("MTLCommandBuffer", "addCompletedHandler:", void, Commands* c, Sel, const void* block) {
  add_handler(c, c->completed_handlers, block);
}
METHOD("MTLCommandBuffer", "addScheduledHandler:", void, Commands* c, Sel, const void* block) {
  add_handler(c, c->scheduled_handlers, block);
}

static bool may_encode(const Commands* c) {
  if (c->open_encoder) return report("an encoder of this command buffer has not ended"), false;
  if (c->status >= kCommitted) return report("a command buffer is added to after its commit"), false;
  return true;
}
METHOD("MTLCommandBuffer", "computeCommandEncoder", Object*, Commands* c, Sel) {
  return may_encode(c) ? new_encoder(c, false, "MTLComputeCommandEncoder") : nullptr;
}
METHOD("MTLCommandBuffer", "computeCommandEncoderWithDispatchType:", Object*, Commands* c, Sel, uint64_t type) {
  return may_encode(c) ? new_encoder(c, type == 1, "MTLComputeCommandEncoder") : nullptr;
}
METHOD("MTLCommandBuffer", "blitCommandEncoder", Object*, Commands* c, Sel) {
  return may_encode(c) ? new_encoder(c, false, "MTLBlitCommandEncoder") : nullptr;
}
METHOD("MTLCommandBuffer", "encodeSignalEvent:value:", void, Commands* c, Sel, Event* e, uint64_t value) {
  if (!may_encode(c)) return;
  Ref<Event> event(e);
  Step s;
  s.always = true;
  s.run = [event, value](Commands& commands, std::string&) {
    Clock clock = commands.clock;
    clock.advance(commands.queue->number, commands.queue->time);
    signal_event(event.get(), value, clock);
    return true;
  };
  c->steps.push_back(s);
}
METHOD("MTLCommandBuffer", "encodeWaitForEvent:value:", void, Commands* c, Sel, Event* e, uint64_t value) {
  if (!may_encode(c)) return;
  Step s;
  s.event = Ref<Event>(e);
  s.value = value;
  c->steps.push_back(s);
}

}  // namespace dsim
