// The blocks runtime: a handler outlives the frame that made it, so it and its __block variables move to the heap,
// where they are counted.
#include <stdlib.h>
#include <string.h>

#include <atomic>

#include "objc/runtime.h"

namespace dsim {
struct Descriptor {
  unsigned long reserved, size;
  void (*copy)(void*, const void*);
  void (*dispose)(const void*);
};
struct Block {
  void* isa;
  int flags, reserved;  // on the heap `reserved` counts references
  void (*invoke)();
  Descriptor* info;
};
struct ByRef {
  void* isa;
  ByRef* forwarding;
  int flags, size;
  void (*copy)(void*, void*);
  void (*dispose)(void*);
};
enum : int { kOnHeap = 1 << 24, kHasHelpers = 1 << 25, kGlobal = 1 << 28 };
enum : int { kIsObject = 3, kIsBlock = 7, kIsByRef = 8 };
/// __block variables count in the lower bits of their flags, in steps of 2 as Apple's runtime does.
static std::atomic_ref<int> count_of(int& where) { return std::atomic_ref<int>(where); }
}  // namespace dsim

using namespace dsim;

extern "C" {
DSIM_EXPORT void* _NSConcreteStackBlock[32];
DSIM_EXPORT void* _NSConcreteGlobalBlock[32];
void* _NSConcreteMallocBlock[32];

DSIM_EXPORT void* _Block_copy(const void* p) {
  if (!p) return nullptr;
  Block* b = static_cast<Block*>(const_cast<void*>(p));
  if (b->flags & kGlobal) return b;
  if (b->flags & kOnHeap) return count_of(b->reserved).fetch_add(1), b;
  Block* heap = static_cast<Block*>(memcpy(malloc(b->info->size), b, b->info->size));
  heap->isa = _NSConcreteMallocBlock;
  heap->flags |= kOnHeap;
  heap->reserved = 1;
  if (b->flags & kHasHelpers) b->info->copy(heap, b);
  return heap;
}

DSIM_EXPORT void _Block_release(const void* p) {
  Block* b = static_cast<Block*>(const_cast<void*>(p));
  if (!b || !(b->flags & kOnHeap)) return;
  if (count_of(b->reserved).fetch_sub(1) > 1) return;
  if (b->flags & kHasHelpers) b->info->dispose(b);
  free(b);
}

DSIM_EXPORT void _Block_object_assign(void* to, const void* p, int kind) {
  void*& out = *static_cast<void**>(to);
  if ((kind & 15) == kIsObject) {
    out = retain(static_cast<Object*>(const_cast<void*>(p)));
  } else if ((kind & 15) == kIsBlock) {
    out = _Block_copy(p);
  } else if (kind & kIsByRef) {
    ByRef* ref = static_cast<ByRef*>(const_cast<void*>(p))->forwarding;
    if (ref->flags & kOnHeap) {
      count_of(ref->flags).fetch_add(2);
    } else {
      const size_t bytes = static_cast<size_t>(ref->size);
      ByRef* heap = static_cast<ByRef*>(memcpy(malloc(bytes), ref, bytes));
      heap->flags = (ref->flags & ~0xffff) | kOnHeap | 4;  // one reference of the frame, one of the block
      heap->forwarding = ref->forwarding = heap;
      if (ref->flags & kHasHelpers) ref->copy(heap, ref);
      ref = heap;
    }
    out = ref;
  } else {
    out = const_cast<void*>(p);
  }
}

DSIM_EXPORT void _Block_object_dispose(const void* p, int kind) {
  if (!p) return;
  if ((kind & 15) == kIsObject) return release(static_cast<Object*>(const_cast<void*>(p)));
  if ((kind & 15) == kIsBlock) return _Block_release(p);
  if (!(kind & kIsByRef)) return;
  ByRef* ref = static_cast<ByRef*>(const_cast<void*>(p))->forwarding;
  if (!(ref->flags & kOnHeap)) return;
  if ((count_of(ref->flags).fetch_sub(2) & 0xfffe) > 2) return;
  if (ref->flags & kHasHelpers) ref->dispose(ref);
  free(ref);
}
}
