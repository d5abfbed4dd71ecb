// Memory for a library that asks the C library for it and cannot say that there is none: a request that fails leaves
// the decomposition by a jump, and what the thread holds then is freed. No destructor is missed that does more.
#pragma once
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include "linalg/seam.h"

namespace denim::linalg {

/// In place of malloc and free, inside of `guarded`.
void* take(size_t bytes) __attribute__((returns_nonnull, malloc));
void give_back(void* block);

/// What a decomposition holds, and where it leaves to when there is no more.
struct Guard {
  jmp_buf out;
  struct Block* held;
};
void enter(Guard* guard);
void leave();

/// Runs a decomposition.
template <class Work>
Fate guarded(Work work) {
  Guard guard;
  if (setjmp(guard.out) != 0) return Fate::no_memory;
  enter(&guard);
  const Fate fate = work();
  leave();
  return fate;
}

/// Settles once what the library keeps for all threads. Written beside the library.
void prepare();

}  // namespace denim::linalg
