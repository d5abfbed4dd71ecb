// Memory of the pool as Metal buffers, without a copy: CPU and GPU see the same bytes. memory.cc tells which pages
// there are; a range of pages is wrapped when the GPU first works on it, and unwrapped before it goes.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "metal/host.h"

namespace denim::metal {

/// Pages in one piece. `buffer` wraps all of them; where they are more than a Metal buffer may have, there are several
/// buffers, each around the bytes that were asked for (`parts`).
struct Pages {
  const uint8_t *begin, *end;
  MTL::Buffer* buffer;
  struct Part* parts;
  bool resident;
};
struct Part {
  Part* next;
  const uint8_t *begin, *end;
  MTL::Buffer* buffer;
};

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static Pages* g_pages;  // by address
static int g_n, g_capacity;
static int64_t g_wired_limit, g_wired;

/// The first entry that ends behind the address.
static int find(const uint8_t* at) {
  int low = 0, high = g_n;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (g_pages[middle].end <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}
static MTL::Buffer* wrap(const uint8_t* begin, const uint8_t* end) {
  const MTL::ResourceOptions options = MTL::ResourceStorageModeShared | MTL::ResourceHazardTrackingModeUntracked;
  return hardware().device->newBuffer(begin, static_cast<NS::UInteger>(end - begin), options, nullptr);
}
static void keep_resident(Pages* p) {
  MTL::ResidencySet* set = hardware().resident;
  const int64_t bytes = p->end - p->begin;
  if (!set || !p->buffer || p->resident || g_wired + bytes > g_wired_limit) return;
  set->addAllocation(p->buffer);
  set->commit();
  set->requestResidency();
  p->resident = true;
  g_wired += bytes;
}
static void release_residency(Pages* p) {
  if (!p->resident) return;
  hardware().resident->removeAllocation(p->buffer);
  hardware().resident->commit();
  p->resident = false;
  g_wired -= p->end - p->begin;
}
/// Around the bytes, from page to page. Null if they are more than a Metal buffer may have.
static Part* new_part(const Pages& pages, const uint8_t* begin, const uint8_t* end) {
  const intptr_t page = sysconf(_SC_PAGESIZE);
  const uint8_t* first = pages.begin + (begin - pages.begin) / page * page;
  const uint8_t* last = pages.begin + (end - pages.begin + page - 1) / page * page;
  if (static_cast<uint64_t>(last - first) > hardware().device->maxBufferLength()) return nullptr;
  Part* part = static_cast<Part*>(calloc(1, sizeof(Part)));
  if (!part) abort();
  *part = {nullptr, first, last, wrap(first, last)};
  return part;
}
Place place_of(const void* memory, int64_t nbytes) {
  const uint8_t* at = static_cast<const uint8_t*>(memory);
  pthread_mutex_lock(&g_mutex);
  Place place = {nullptr, 0};
  const int i = find(at);
  if (i < g_n && g_pages[i].begin <= at && at + nbytes <= g_pages[i].end) {
    Pages& pages = g_pages[i];
    if (static_cast<uint64_t>(pages.end - pages.begin) <= hardware().device->maxBufferLength()) {
      if (!pages.buffer) pages.buffer = wrap(pages.begin, pages.end);
      keep_resident(&pages);
      place = {pages.buffer, static_cast<uint64_t>(at - pages.begin)};
    } else {
      Part* part = pages.parts;
      while (part && (at < part->begin || at + nbytes > part->end)) part = part->next;
      if (!part && (part = new_part(pages, at, at + nbytes))) {
        part->next = pages.parts;
        pages.parts = part;
      }
      if (part) place = {part->buffer, static_cast<uint64_t>(at - part->begin)};
    }
  }
  pthread_mutex_unlock(&g_mutex);
  return place;
}
}  // namespace denim::metal

namespace denim::gpu {
using namespace metal;

void mapped(const void* memory, int64_t bytes) {
  const uint8_t* at = static_cast<const uint8_t*>(memory);
  const int64_t page = sysconf(_SC_PAGESIZE);
  pthread_mutex_lock(&g_mutex);
  if (g_n == g_capacity) {
    g_capacity = g_capacity ? 2 * g_capacity : 256;
    g_pages = static_cast<Pages*>(realloc(g_pages, sizeof(Pages) * static_cast<size_t>(g_capacity)));
    if (!g_pages) abort();
  }
  const int i = find(at);
  memmove(g_pages + i + 1, g_pages + i, sizeof(Pages) * static_cast<size_t>(g_n - i));
  g_pages[i] = {at, at + (bytes + page - 1) / page * page, nullptr, nullptr, false};
  g_n++;
  pthread_mutex_unlock(&g_mutex);
}
void unmapping(const void* at) {
  pthread_mutex_lock(&g_mutex);
  const int i = find(static_cast<const uint8_t*>(at));
  Pages& pages = g_pages[i];
  release_residency(&pages);
  if (pages.buffer) pages.buffer->release();
  for (Part* part = pages.parts; part;) {
    Part* next = part->next;
    part->buffer->release();
    free(part);
    part = next;
  }
  memmove(g_pages + i, g_pages + i + 1, sizeof(Pages) * static_cast<size_t>(--g_n - i));
  pthread_mutex_unlock(&g_mutex);
}
double set_wired_limit(double bytes) {
  if (!available()) return 0;
  AutoreleasePool pool;
  pthread_mutex_lock(&g_mutex);
  const int64_t before = g_wired_limit;
  g_wired_limit = bytes > 9e15 ? int64_t(9e15) : bytes > 0 ? static_cast<int64_t>(bytes) : 0;
  for (int i = 0; i < g_n && g_wired > g_wired_limit; i++) release_residency(&g_pages[i]);
  for (int i = 0; i < g_n; i++) keep_resident(&g_pages[i]);
  pthread_mutex_unlock(&g_mutex);
  return static_cast<double>(before);
}

}  // namespace denim::gpu
