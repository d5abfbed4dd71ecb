// Memory for decompositions: blocks of the C library in a list per decomposition.
#include "linalg/memory.h"

#include <pthread.h>
#include <stdlib.h>

namespace denim::linalg {

struct alignas(16) Block {
  Block *before, *after;
};

thread_local int64_t requests_granted = INT64_MAX;

namespace {

thread_local Guard* t_guard = nullptr;

[[noreturn]] void give_up() {
  Guard* guard = t_guard;
  t_guard = nullptr;
  for (Block *b = guard->held, *next; b != nullptr; b = next) {
    next = b->after;
    free(b);
  }
  longjmp(guard->out, 1);
}

}  // namespace

extern "C" void* denim_linalg_too_large(size_t) { give_up(); }

void enter(Guard* guard) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, prepare);
  guard->held = nullptr;
  t_guard = guard;
}
void leave() { t_guard = nullptr; }

void* take(size_t bytes) {
  Guard* guard = t_guard;
  const bool granted = requests_granted-- > 0 && bytes <= PTRDIFF_MAX - sizeof(Block);
  auto* block = granted ? static_cast<Block*>(malloc(sizeof(Block) + bytes)) : nullptr;
  if (block == nullptr) give_up();
  *block = {nullptr, guard->held};
  if (guard->held != nullptr) guard->held->before = block;
  guard->held = block;
  return block + 1;
}
void give_back(void* at) {
  if (at == nullptr) return;
  Block* block = static_cast<Block*>(at) - 1;
  if (block->after != nullptr) block->after->before = block->before;
  if (block->before != nullptr) block->before->after = block->after;
  else t_guard->held = block->after;
  free(block);
}

}  // namespace denim::linalg
