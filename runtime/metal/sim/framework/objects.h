// The simulated classes of Foundation and Metal: what each object holds. One file per class has the methods; gpu.cc
// runs what is committed.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "exec/library.h"
#include "exec/machine.h"
#include "memory/hazards.h"
#include "objc/runtime.h"

namespace dsim {

using Sel = const Selector*;
struct Size3 {
  uint64_t x, y, z;
};
struct Range2 {
  uint64_t location, length;
};

struct String : Object {
  std::string text;
};
struct Array : Object {
  std::vector<Ref<Object>> items;
};
struct Dictionary : Object {
  std::vector<std::pair<Ref<Object>, Ref<Object>>> items;
};
struct Number : Object {
  double value = 0;
  int64_t integer = 0;
};
struct Error : Object {
  std::string text;
  int64_t code = 0;
};

String* string_of(const std::string& text);  // autoreleased
/// Fills *out, if the caller wants it, with an autoreleased error.
void give_error(Error** out, const std::string& text);

struct Device : Object {};
Device* the_device();

struct Buffer : Object {
  char* at = nullptr;
  uint64_t length = 0, options = 0;
  size_t mapped = 0;            // bytes of its own mapping, guard pages included; 0: memory of the host
  char* mapping = nullptr;
  const void* deallocator = nullptr;
  bool tracked = true, resident = false;
  ~Buffer() override;
};

struct CompileOptionsObject : Object {
  CompileOptions options;
};
struct Library : Object {
  std::string path;
};
struct ConstantValues : Object {
  Constants values;
};
struct Function : Object {
  std::shared_ptr<const Loaded> library;
  const Kernel* kernel = nullptr;
};
struct Pipeline : Object {
  std::shared_ptr<const Loaded> library;
  const Kernel* kernel = nullptr;
};
struct PipelineDescriptor : Object {
  Ref<Function> function;
};

struct Fence : Object {
  Clock clock;
};
struct Event : Object {
  uint64_t value = 0;
  std::map<uint64_t, Clock> clocks;  // what is ordered before a value
};
struct ResidencySet : Object {
  std::vector<Ref<Object>> all, committed;
};
/// Bytes that committed residency sets hold.
uint64_t resident_bytes();
/// The longest buffer that the device makes.
uint64_t longest_buffer();
/// Does the device belong to the family Metal 3?
bool has_metal3();

struct Commands;
struct Queue : Object {
  uint32_t number = 0;
  uint64_t time = 0;                  // dispatches so far
  Clock clock;                        // of its last command buffer
  std::vector<Commands*> committed;   // not finished, in order
  bool unseen_error = false;
  ~Queue() override;
};

/// A reference that the command buffer counts, or does not: then the host has to keep the object.
struct Held {
  Object* at = nullptr;
  uint64_t serial = 0;
  Ref<Object> kept;
};

struct Slot {
  Held buffer;
  uint64_t offset = 0;
  std::string bytes;
  bool bound = false;
  // What the host says of it for the next dispatch ("marks"): bytes before and from the address on, and the use.
  bool marked = false;
  uint64_t before = 0, behind = 0;
  uint8_t access = 3;
};

/// What is ordered before the next dispatch of an encoder, while its command buffer runs.
struct EncoderRun {
  uint64_t serial;
  bool begun = false;
  Order order;
};
/// A part of a command buffer; false: it failed.
struct Step {
  std::function<bool(Commands&, std::string&)> run;
  Ref<Event> event;  // not null: wait until it has the value
  uint64_t value = 0;
  bool always = false;  // also after an error: signals, on which others wait
};

enum : uint64_t { kNotEnqueued, kEnqueued, kCommitted, kScheduled, kCompleted, kError };
struct Commands : Object {
  Ref<Queue> queue;
  bool retains = true, open_encoder = false;
  std::vector<Step> steps;
  size_t next_step = 0;
  std::vector<const void*> scheduled_handlers, completed_handlers;
  uint64_t status = kNotEnqueued;
  std::string error;
  Clock base;            // what the CPU had seen when it was committed
  Clock clock;           // what is ordered before its next encoder
  uint64_t end_time = 0;
  double began = 0, ended = 0;
  bool error_seen = false;
  ~Commands() override;
};

struct Encoder : Object {
  Ref<Commands> commands;
  Held pipeline;
  Slot slots[kMaxBindings];
  uint64_t local[kMaxBindings] = {};
  bool concurrent = false, ended = false, used = false;
  std::shared_ptr<EncoderRun> run;
};

Held hold(Commands* c, Object* o);
bool still_there(const Held& h, std::string& error);

// gpu.cc: the GPU's own thread, and the thread that calls handlers.
void commit(Commands* c);
void wait_until_completed(Commands* c);
uint64_t status_of(Commands* c);
void signal_event(Event* e, uint64_t value, const Clock& clock);
uint64_t value_of(Event* e);
bool wait_for_event(Event* e, uint64_t value, uint64_t timeout_ms);
void notify_at(Event* e, uint64_t value, const void* block);
void open_queue(Queue* q);
void close_queue(Queue* q);
/// What is ordered before an encoder that begins: what is before its command buffer.
Order& order_of(EncoderRun& run, Commands& c);

// encoder.cc
Encoder* new_encoder(Commands* c, bool concurrent, const char* cls);

/// Calls a block with one argument.
void call_block(const void* block, void* argument);

}  // namespace dsim
