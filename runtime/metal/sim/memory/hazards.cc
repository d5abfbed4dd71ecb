// Clocks, and the log of touched ranges.
#include "memory/hazards.h"

#include <algorithm>
#include <unordered_set>

namespace dsim {

void Clock::advance(uint32_t queue, uint64_t to) {
  if (queue >= upto.size()) upto.resize(queue + 1);
  upto[queue] = std::max(upto[queue], to);
}
void Clock::join(const Clock& other) {
  for (uint32_t q = 0; q < other.upto.size(); q++) advance(q, other.upto[q]);
}

static std::vector<Touched>& touches() {
  static auto* all = new std::vector<Touched>;
  return *all;
}
static std::unordered_set<uint64_t>& tracked_buffers() {
  static auto* all = new std::unordered_set<uint64_t>;
  return *all;
}

static bool ordered(const Touched& t, const Order& o, uint64_t buffer) {
  if (t.time <= o.clock.of(t.queue)) return true;
  if (t.queue != o.queue) return false;
  if (t.encoder != o.encoder) return t.tracked && t.buffer == buffer;  // Metal orders encoders by tracked resources
  if (t.time <= o.upto) return true;
  for (const PartialBarrier& p : o.partial)
    if (t.time <= p.upto && p.from <= t.from && t.to <= p.to) return true;
  return false;
}

std::vector<const Touched*> unordered(const Order& order, uintptr_t from, uintptr_t to, uint64_t buffer) {
  std::vector<const Touched*> out;
  for (const Touched& t : touches())
    if (t.from < to && from < t.to && !ordered(t, order, buffer)) out.push_back(&t);
  return out;
}

/// What this touch covers need not be kept where it was ordered before: it is, then, before all that is ordered after
/// this one.
void log_touch(const Touched& now, const Order& order) {
  auto& all = touches();
  auto covered = [&](const Touched& t) {
    return now.from <= t.from && t.to <= now.to && (now.write || !t.write) && ordered(t, order, now.buffer);
  };
  all.erase(std::remove_if(all.begin(), all.end(), covered), all.end());
  all.push_back(now);
}
size_t log_size() { return touches().size(); }

void forget_before(const Clock& floor) {
  auto& all = touches();
  all.erase(std::remove_if(all.begin(), all.end(), [&](const Touched& t) { return t.time <= floor.of(t.queue); }),
            all.end());
}
void forget_memory(uintptr_t from, uintptr_t to) {
  auto& all = touches();
  all.erase(std::remove_if(all.begin(), all.end(), [&](const Touched& t) { return t.from < to && from < t.to; }),
            all.end());
}
bool is_tracked(uint64_t buffer) { return tracked_buffers().count(buffer) > 0; }
void set_tracked(uint64_t buffer, bool tracked) {
  if (tracked)
    tracked_buffers().insert(buffer);
  else
    tracked_buffers().erase(buffer);
}

}  // namespace dsim
