// MTLBuffer: memory of its own between guard pages, or pages of the host. Residency sets.
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mutex>

#include "framework/objects.h"

namespace dsim {

void link_buffer() {}

Buffer::~Buffer() {
  set_tracked(serial, false);
  if (mapping) munmap(mapping, mapped);
  if (deallocator) {
    reinterpret_cast<void (*)(const void*, void*, uint64_t)>(*reinterpret_cast<void* const*>(
        static_cast<const char*>(deallocator) + 16))(deallocator, at, length);
    _Block_release(deallocator);
  }
}

/// Bits 8 and 9 of the options are the hazard tracking mode: 1 is untracked, 0 and 2 are tracked.
static void take_options(Buffer* b, uint64_t options) {
  b->options = options;
  b->tracked = (options >> 8 & 3) != 1;
  set_tracked(b->serial, b->tracked);
}

static bool may_be(uint64_t length) {
  if (length && length <= longest_buffer()) return true;
  report("a buffer of " + std::to_string(length) + " bytes: the device makes 1 to " + std::to_string(longest_buffer()));
  return false;
}
static Buffer* new_buffer(uint64_t length, uint64_t options) {
  if (!may_be(length)) return nullptr;
  Buffer* b = make<Buffer>("MTLBuffer");
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), pages = (length + page - 1) / page * page;
  b->mapped = pages + 2 * page;
  b->mapping = static_cast<char*>(map_memory(b->mapped, false));
  mprotect(b->mapping + page, pages, PROT_READ | PROT_WRITE);
  b->at = b->mapping + page;
  b->length = length;
  take_options(b, options);
  return b;
}
METHOD("MTLDevice", "newBufferWithLength:options:", Buffer*, Device*, Sel, uint64_t length, uint64_t options) {
  return new_buffer(length, options);
}
METHOD("MTLDevice", "newBufferWithBytes:length:options:", Buffer*, Device*, Sel, const void* bytes, uint64_t length,
       uint64_t options) {
  Buffer* b = new_buffer(length, options);
  if (b) memcpy(b->at, bytes, length);
  return b;
}
METHOD("MTLDevice", "newBufferWithBytesNoCopy:length:options:deallocator:", Buffer*, Device*, Sel, void* at,
       uint64_t length, uint64_t options, const void* deallocator) {
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  if (reinterpret_cast<uintptr_t>(at) % page || length % page) {
    report("newBufferWithBytesNoCopy: of memory that does not begin and end with a page");
    return nullptr;
  }
  if (!may_be(length)) return nullptr;
  Buffer* b = make<Buffer>("MTLBuffer");
  b->at = static_cast<char*>(at);
  b->length = length;
  b->deallocator = _Block_copy(deallocator);
  take_options(b, options);
  return b;
}
METHOD("MTLBuffer", "contents", void*, Buffer* b, Sel) { return b->at; }
METHOD("MTLBuffer", "length", uint64_t, Buffer* b, Sel) { return b->length; }
METHOD("MTLBuffer", "allocatedSize", uint64_t, Buffer* b, Sel) { return b->length; }
METHOD("MTLBuffer", "gpuAddress", uint64_t, Buffer* b, Sel) { return reinterpret_cast<uint64_t>(b->at); }
METHOD("MTLBuffer", "storageMode", uint64_t, Buffer*, Sel) { return 0; }
METHOD("MTLBuffer", "resourceOptions", uint64_t, Buffer* b, Sel) { return b->options; }
METHOD("MTLBuffer", "hazardTrackingMode", uint64_t, Buffer* b, Sel) { return b->tracked ? 2 : 1; }
METHOD("MTLBuffer", "didModifyRange:", void, Buffer*, Sel, Range2) {}
METHOD("MTLBuffer", "addDebugMarker:range:", void, Buffer*, Sel, Object*, Range2) {}
METHOD("MTLBuffer", "removeAllDebugMarkers", void, Buffer*, Sel) {}
METHOD("MTLBuffer", "setPurgeableState:", uint64_t, Buffer*, Sel, uint64_t state) { return state; }

METHOD("+MTLResidencySetDescriptor", "alloc", Object*, Object*, Sel) {
  return make<Object>("MTLResidencySetDescriptor");
}
METHOD("MTLResidencySetDescriptor", "setInitialCapacity:", void, Object*, Sel, uint64_t) {}
METHOD("MTLDevice", "newResidencySetWithDescriptor:error:", Object*, Device*, Sel, Object*, Error**) {
  if (!has_metal3()) report("newResidencySetWithDescriptor: this device has no residency sets");
  return make<ResidencySet>("MTLResidencySet");
}
METHOD("MTLResidencySet", "addAllocation:", void, ResidencySet* s, Sel, Object* o) { s->all.push_back(Ref<Object>(o)); }
METHOD("MTLResidencySet", "removeAllocation:", void, ResidencySet* s, Sel, Object* o) {
  for (size_t i = 0; i < s->all.size(); i++) {
    if (s->all[i].get() != o) continue;
    s->all[i] = s->all.back();
    s->all.pop_back();
    return;
  }
  report("removeAllocation: of what the residency set does not have");
}
METHOD("MTLResidencySet", "removeAllAllocations", void, ResidencySet* s, Sel) { s->all.clear(); }
METHOD("MTLResidencySet", "containsAllocation:", bool, ResidencySet* s, Sel, Object* o) {
  for (const auto& a : s->all)
    if (a.get() == o) return true;
  return false;
}
static std::mutex& residency_guard() {
  static auto* g = new std::mutex;
  return *g;
}
static uint64_t resident;
static uint64_t bytes_of(const std::vector<Ref<Object>>& all) {
  uint64_t bytes = 0;
  for (const auto& o : all) bytes += static_cast<const Buffer*>(o.get())->length;  // the host adds buffers only
  return bytes;
}
uint64_t resident_bytes() {
  std::lock_guard<std::mutex> lock(residency_guard());
  return resident;
}
METHOD("MTLResidencySet", "commit", void, ResidencySet* s, Sel) {
  std::lock_guard<std::mutex> lock(residency_guard());
  resident += bytes_of(s->all) - bytes_of(s->committed);
  s->committed = s->all;
}
METHOD("MTLResidencySet", "requestResidency", void, ResidencySet*, Sel) {}
METHOD("MTLResidencySet", "endResidency", void, ResidencySet*, Sel) {}
METHOD("MTLResidencySet", "allocationCount", uint64_t, ResidencySet* s, Sel) { return s->all.size(); }

}  // namespace dsim
