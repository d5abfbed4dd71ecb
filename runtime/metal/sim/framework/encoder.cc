// MTLComputeCommandEncoder and MTLBlitCommandEncoder: what they are told becomes steps of the command buffer.
#include <stdio.h>
#include <string.h>

#include "framework/objects.h"
#include "memory/memory.h"

namespace dsim {

void link_encoder() {}

static uint64_t dispatch_count;

Encoder* new_encoder(Commands* c, bool concurrent, const char* cls) {
  Encoder* e = make<Encoder>(cls);
  e->commands = Ref<Commands>(c);
  e->concurrent = concurrent;
  e->run = std::make_shared<EncoderRun>();
  e->run->serial = e->serial;
  c->open_encoder = true;
  return autoreleased(e);
}

static bool is_open(Encoder* e, const char* what) {
  if (!e->ended) return true;
  report(std::string(what) + ": the encoder has ended");
  return false;
}
static void add_step(Encoder* e, std::function<bool(Commands&, std::string&)> run) {
  Step s;
  s.run = std::move(run);
  e->commands->steps.push_back(std::move(s));
}

/// Everything of this encoder so far is ordered before what follows.
static void full_barrier(EncoderRun& run, Commands& c) { order_of(run, c).upto = c.queue->time; }

static bool bind_slot(Dispatch& d, uint32_t i, const Slot& s, std::string& error) {
  Binding& b = d.buffers[i];
  b.bound = true;
  if (!s.buffer.at) {
    b.is_bytes = true;
    b.size = s.bytes.size();
    b.at = b.from = static_cast<char*>(bytes_argument(i, s.bytes.data(), s.bytes.size()));
    b.access = 1;
    return true;
  }
  if (!still_there(s.buffer, error)) return false;
  const Buffer* buffer = static_cast<const Buffer*>(s.buffer.at);
  b.at = buffer->at + s.offset;
  b.buffer = buffer->serial;
  b.label = buffer->label;
  b.access = s.access;
  b.from = s.marked ? b.at - s.before : b.at;
  b.size = s.marked ? s.before + s.behind : s.offset < buffer->length ? buffer->length - s.offset : 0;
  return true;
}

struct Planned {
  Held pipeline;
  Slot slots[kMaxBindings];
  uint64_t local[kMaxBindings];
  Size3 grid, group;
  bool grid_is_threads, serial;
  std::shared_ptr<EncoderRun> run;
};

static bool run_planned(const Planned& p, Commands& c, std::string& error) {
  if (!still_there(p.pipeline, error)) return false;
  const Pipeline* pipeline = static_cast<const Pipeline*>(p.pipeline.at);
  auto d = std::make_unique<Dispatch>();
  d->kernel = pipeline->kernel;
  d->image = &pipeline->library->image;
  start_machine();
  for (uint32_t i = 0; i < kMaxBindings; i++) {
    d->local[i] = p.local[i];
    if (p.slots[i].bound && !bind_slot(*d, i, p.slots[i], error)) return false;
  }
  const uint64_t sizes[2][3] = {{p.grid.x, p.grid.y, p.grid.z}, {p.group.x, p.group.y, p.group.z}};
  for (int i = 0; i < 3; i++) {
    d->grid[i] = static_cast<uint32_t>(sizes[0][i]);
    d->group[i] = static_cast<uint32_t>(sizes[1][i]);
  }
  d->grid_is_threads = p.grid_is_threads;
  Order& order = order_of(*p.run, c);
  if (p.serial) full_barrier(*p.run, c);
  order.time = ++c.queue->time;
  d->order = &order;
  d->number = ++dispatch_count;
  if (run_dispatch(*d)) return true;
  error = m.error;
  return false;
}

static void encode_dispatch(Encoder* e, Size3 grid, Size3 group, bool threads) {
  if (!is_open(e, "dispatch")) return;
  if (!e->pipeline.at) return report("dispatch: no pipeline is set");
  auto p = std::make_shared<Planned>();
  p->pipeline = e->pipeline;
  for (uint32_t i = 0; i < kMaxBindings; i++) {
    p->slots[i] = e->slots[i];
    p->local[i] = e->local[i];
    e->slots[i].marked = false;
    e->slots[i].access = 3;
  }
  p->grid = grid, p->group = group, p->grid_is_threads = threads;
  p->serial = !e->concurrent;
  p->run = e->run;
  add_step(e, [p](Commands& c, std::string& error) { return run_planned(*p, c, error); });
}

METHOD("MTLComputeCommandEncoder", "setComputePipelineState:", void, Encoder* e, Sel, Pipeline* p) {
  if (is_open(e, "setComputePipelineState:")) e->pipeline = hold(e->commands.get(), p);
}
static void set_buffer(Encoder* e, Buffer* b, uint64_t offset, uint64_t i) {
  if (!is_open(e, "setBuffer:")) return;
  if (i >= kMaxBindings) return report("setBuffer: index " + std::to_string(i) + ", the largest is 30");
  Slot s;
  if (b) {
    if (offset >= b->length) report("setBuffer: offset " + std::to_string(offset) + " of a buffer of " +
                                    std::to_string(b->length) + " bytes");
    s.buffer = hold(e->commands.get(), b);
    s.offset = offset;
    s.bound = true;
  }
  e->slots[i] = s;
}
METHOD("MTLComputeCommandEncoder", "setBuffer:offset:atIndex:", void, Encoder* e, Sel, Buffer* b, uint64_t offset,
       uint64_t i) {
  set_buffer(e, b, offset, i);
}
METHOD("MTLComputeCommandEncoder", "setBuffers:offsets:withRange:", void, Encoder* e, Sel, Buffer* const* b,
       const uint64_t* offsets, Range2 r) {
  for (uint64_t i = 0; i < r.length; i++) set_buffer(e, b[i], offsets[i], r.location + i);
}
METHOD("MTLComputeCommandEncoder", "setBufferOffset:atIndex:", void, Encoder* e, Sel, uint64_t offset, uint64_t i) {
  if (!is_open(e, "setBufferOffset:")) return;
  if (i >= kMaxBindings || !e->slots[i].buffer.at) return report("setBufferOffset: no buffer is set there");
  e->slots[i].offset = offset;
}
METHOD("MTLComputeCommandEncoder", "setBytes:length:atIndex:", void, Encoder* e, Sel, const char* p, uint64_t n,
       uint64_t i) {
  if (!is_open(e, "setBytes:")) return;
  if (n > 4096) return report("setBytes: of " + std::to_string(n) + " bytes, the limit is 4096");
  if (i >= kMaxBindings) return report("setBytes: index " + std::to_string(i) + ", the largest is 30");
  Slot s;
  s.bytes.assign(p, n);
  s.bound = true;
  e->slots[i] = s;
}
METHOD("MTLComputeCommandEncoder", "setThreadgroupMemoryLength:atIndex:", void, Encoder* e, Sel, uint64_t n,
       uint64_t i) {
  if (is_open(e, "setThreadgroupMemoryLength:") && i < kMaxBindings) e->local[i] = n;
}
METHOD("MTLComputeCommandEncoder", "dispatchThreads:threadsPerThreadgroup:", void, Encoder* e, Sel, Size3 grid,
       Size3 group) {
  encode_dispatch(e, grid, group, true);
}
METHOD("MTLComputeCommandEncoder", "dispatchThreadgroups:threadsPerThreadgroup:", void, Encoder* e, Sel, Size3 grid,
       Size3 group) {
  encode_dispatch(e, grid, group, false);
}
METHOD("MTLComputeCommandEncoder", "useResource:usage:", void, Encoder*, Sel, Object*, uint64_t) {}
METHOD("MTLComputeCommandEncoder", "useResources:count:usage:", void, Encoder*, Sel, Object* const*, uint64_t,
       uint64_t) {}
METHOD("MTLComputeCommandEncoder", "memoryBarrierWithScope:", void, Encoder* e, Sel, uint64_t) {
  if (!is_open(e, "memoryBarrierWithScope:")) return;
  add_step(e, [run = e->run](Commands& c, std::string&) {
    full_barrier(*run, c);
    return true;
  });
}
METHOD("MTLComputeCommandEncoder", "memoryBarrierWithResources:count:", void, Encoder* e, Sel, Buffer* const* all,
       uint64_t n) {
  if (!is_open(e, "memoryBarrierWithResources:")) return;
  std::vector<PartialBarrier> barriers;
  for (uint64_t i = 0; i < n; i++) {
    uintptr_t from = reinterpret_cast<uintptr_t>(all[i]->at);
    barriers.push_back({from, from + all[i]->length, 0});
  }
  add_step(e, [run = e->run, barriers](Commands& c, std::string&) {
    for (PartialBarrier b : barriers) {
      b.upto = c.queue->time;
      order_of(*run, c).partial.push_back(b);
    }
    return true;
  });
}
static void update_fence(Encoder* e, Fence* f) {
  if (!is_open(e, "updateFence:")) return;
  Held fence = hold(e->commands.get(), f);
  add_step(e, [run = e->run, fence](Commands& c, std::string& error) {
    if (!still_there(fence, error)) return false;
    Clock& clock = static_cast<Fence*>(fence.at)->clock;
    clock.join(order_of(*run, c).clock);
    clock.advance(c.queue->number, c.queue->time);
    return true;
  });
}
static void wait_for_fence(Encoder* e, Fence* f) {
  if (!is_open(e, "waitForFence:")) return;
  Held fence = hold(e->commands.get(), f);
  add_step(e, [run = e->run, fence](Commands& c, std::string& error) {
    if (!still_there(fence, error)) return false;
    order_of(*run, c).clock.join(static_cast<Fence*>(fence.at)->clock);
    return true;
  });
}
METHOD("MTLComputeCommandEncoder", "updateFence:", void, Encoder* e, Sel, Fence* f) { update_fence(e, f); }
METHOD("MTLComputeCommandEncoder", "waitForFence:", void, Encoder* e, Sel, Fence* f) { wait_for_fence(e, f); }
static void end_encoding(Encoder* e) {
  if (!is_open(e, "endEncoding")) return;
  e->ended = true;
  e->commands->open_encoder = false;
}
METHOD("MTLComputeCommandEncoder", "endEncoding", void, Encoder* e, Sel) { end_encoding(e); }
METHOD("MTLComputeCommandEncoder", "dispatchType", uint64_t, Encoder* e, Sel) { return e->concurrent; }

/// "0:r-64+256 1:w-0+1024": of arguments by index, their use, and their bytes before and from the bound address on.
static void take_marks(Encoder* e, const char* text) {
  while (*text) {
    unsigned index;
    unsigned long long before, behind;
    char use[3];
    int read = 0;
    if (sscanf(text, "%u:%2[rw]-%llu+%llu%n", &index, use, &before, &behind, &read) != 4 || index >= kMaxBindings)
      return;
    Slot& s = e->slots[index];
    s.marked = true;
    s.before = before;
    s.behind = behind;
    s.access = static_cast<uint8_t>((strchr(use, 'r') ? 1 : 0) | (strchr(use, 'w') ? 2 : 0));
    text += read;
    while (*text == ' ') text++;
  }
}
METHOD("MTLComputeCommandEncoder", "insertDebugSignpost:", void, Encoder* e, Sel, String* s) {
  take_marks(e, s->text.c_str());
}
METHOD("MTLComputeCommandEncoder", "pushDebugGroup:", void, Encoder*, Sel, Object*) {}
METHOD("MTLComputeCommandEncoder", "popDebugGroup", void, Encoder*, Sel) {}

// ---- blit
// -------------------------------------------------------------------------------------------------------------

/// A copy or a fill counts as a dispatch for what is ordered: its ranges are logged and compared.
static bool touch(EncoderRun& run, Commands& c, const Buffer* b, uint64_t from, uint64_t n, bool write,
                  std::string& error) {
  Order& order = order_of(run, c);
  uintptr_t at = reinterpret_cast<uintptr_t>(b->at) + from;
  if (from + n > b->length) return error = "a blit goes beyond the end of a buffer", false;
  for (const Touched* t : unordered(order, at, at + n, b->serial)) {
    if (!write && !t->write) continue;
    error = "hazard: a blit meets bytes touched by dispatch " + std::to_string(t->number) + " (kernel '" + t->kernel +
            "') with no barrier in between";
    return false;
  }
  const uint64_t number = dispatch_count;
  log_touch({at, at + n, write, b->tracked, order.queue, order.time, order.encoder, b->serial, number, "blit"}, order);
  return true;
}
METHOD("MTLBlitCommandEncoder", "fillBuffer:range:value:", void, Encoder* e, Sel, Buffer* b, Range2 r, uint8_t value) {
  if (!is_open(e, "fillBuffer:")) return;
  Held held = hold(e->commands.get(), b);
  add_step(e, [run = e->run, held, r, value](Commands& c, std::string& error) {
    if (!still_there(held, error)) return false;
    const Buffer* buffer = static_cast<const Buffer*>(held.at);
    full_barrier(*run, c);
    order_of(*run, c).time = ++c.queue->time;
    if (!touch(*run, c, buffer, r.location, r.length, true, error)) return false;
    memset(buffer->at + r.location, value, r.length);
    return true;
  });
}
METHOD("MTLBlitCommandEncoder", "copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:", void, Encoder* e, Sel,
       Buffer* from, uint64_t from_offset, Buffer* to, uint64_t to_offset, uint64_t n) {
  if (!is_open(e, "copyFromBuffer:")) return;
  Held a = hold(e->commands.get(), from), b = hold(e->commands.get(), to);
  add_step(e, [run = e->run, a, b, from_offset, to_offset, n](Commands& c, std::string& error) {
    if (!still_there(a, error) || !still_there(b, error)) return false;
    full_barrier(*run, c);
    order_of(*run, c).time = ++c.queue->time;
    const Buffer *source = static_cast<const Buffer*>(a.at), *target = static_cast<const Buffer*>(b.at);
    if (!touch(*run, c, source, from_offset, n, false, error)) return false;
    if (!touch(*run, c, target, to_offset, n, true, error)) return false;
    memmove(target->at + to_offset, source->at + from_offset, n);
    return true;
  });
}
METHOD("MTLBlitCommandEncoder", "updateFence:", void, Encoder* e, Sel, Fence* f) { update_fence(e, f); }
METHOD("MTLBlitCommandEncoder", "waitForFence:", void, Encoder* e, Sel, Fence* f) { wait_for_fence(e, f); }
METHOD("MTLBlitCommandEncoder", "endEncoding", void, Encoder* e, Sel) { end_encoding(e); }

}  // namespace dsim
