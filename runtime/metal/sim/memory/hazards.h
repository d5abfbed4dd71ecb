// Which dispatch must come after which. Each queue counts its dispatches; a clock says, per queue, up to which count
// all is ordered before. Barriers, fences, events and what the CPU has seen move clocks. A log of the byte ranges that
// dispatches touched shows which of them a new dispatch has to wait for and does not.
#pragma once
#include <stdint.h>

#include <string>
#include <vector>

namespace dsim {

/// By number of the queue: dispatches up to this count are ordered before.
struct Clock {
  std::vector<uint64_t> upto;
  uint64_t of(uint32_t queue) const { return queue < upto.size() ? upto[queue] : 0; }
  void advance(uint32_t queue, uint64_t to);
  void join(const Clock& other);
};

/// A barrier for some resources only.
struct PartialBarrier {
  uintptr_t from, to;
  uint64_t upto;
};

/// What is ordered before a dispatch.
struct Order {
  uint32_t queue;
  uint64_t time;     // its count in the queue
  uint64_t encoder;  // serial number of the encoder
  Clock clock;       // from before the encoder
  uint64_t upto;     // dispatches of this encoder up to this count are ordered by barriers
  std::vector<PartialBarrier> partial;
};

/// Bytes that a dispatch has touched.
struct Touched {
  uintptr_t from, to;
  bool write, tracked;
  uint32_t queue;
  uint64_t time, encoder, buffer, number;
  std::string kernel;
};

/// Touches that are not ordered before `order` and overlap [from, to): what the dispatch must not collide with.
std::vector<const Touched*> unordered(const Order& order, uintptr_t from, uintptr_t to, uint64_t buffer);
void log_touch(const Touched& now, const Order& order);
/// Forgets touches that every dispatch to come is ordered after.
void forget_before(const Clock& floor);
size_t log_size();
/// Memory that the CPU gives away or frees: a new use of the addresses has nothing to do with the old one.
void forget_memory(uintptr_t from, uintptr_t to);
bool is_tracked(uint64_t buffer);
void set_tracked(uint64_t buffer, bool tracked);

}  // namespace dsim
