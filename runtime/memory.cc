// The caching pool (size classes an eighth apart; page-aligned from 4 KiB on, so that a GPU can wrap them) and buffers.
#include "memory.h"

#include "gpu.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace denim {

MemoryState g_memory = {0, 0, 0, 0, 0, 0, 0, 0, -1, -1};

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_done = PTHREAD_COND_INITIALIZER;
static int g_waiters = 0;

void lock() { pthread_mutex_lock(&g_mutex); }
void unlock() { pthread_mutex_unlock(&g_mutex); }
void wait_done() {
  g_waiters++;
  pthread_cond_wait(&g_done, &g_mutex);
  g_waiters--;
}
void signal_done() {
  if (g_waiters) pthread_cond_broadcast(&g_done);
}

void wait_on(pthread_cond_t* condition) { pthread_cond_wait(condition, &g_mutex); }

Failure* make_failure(int32_t status, const char* format, ...) {
  Failure* f = static_cast<Failure*>(malloc(sizeof(Failure)));
  if (!f) abort();
  f->refs = 1;
  f->status = status;
  va_list args;
  va_start(args, format);
  vsnprintf(f->text, sizeof f->text, format, args);
  va_end(args);
  return f;
}
Failure* share(Failure* f) {
  if (f) f->refs++;
  return f;
}
void unshare(Failure* f) {
  if (f && --f->refs == 0) free(f);
}

// ---- size classes: up to 1 KiB in steps of 64, then eight per doubling ----------------------------------------------
constexpr int kSmallClasses = 16, kClasses = kSmallClasses + 8 * 40;
#ifdef DENIM_METAL
constexpr int64_t kPage = 16384, kLeastOfSlab = 1;  // a GPU wraps whole pages: small buffers lie in slabs, too
#else
constexpr int64_t kPage = 4096, kLeastOfSlab = kPage;
#endif
constexpr int64_t kMapped = 1 << 18, kLargest = int64_t(1) << 48;

static int class_of(int64_t n) {
  if (n <= 1024) return n <= 64 ? 0 : static_cast<int>((n - 1) / 64);
  int log = 63 - __builtin_clzll(static_cast<uint64_t>(n - 1));  // 2^log < n <= 2^(log+1)
  int64_t step = int64_t(1) << (log - 3);
  return kSmallClasses + (log - 10) * 8 + static_cast<int>((n - 1 - (int64_t(1) << log)) / step);
}
static int64_t class_bytes(int c) {
  if (c < kSmallClasses) return 64 * (c + 1);
  int log = 10 + (c - kSmallClasses) / 8, eighth = (c - kSmallClasses) % 8;
  return (int64_t(1) << log) + (eighth + 1) * (int64_t(1) << (log - 3));
}
static int64_t round_class(int64_t n) {
  int64_t bytes = class_bytes(class_of(n));
  return bytes >= kPage ? (bytes + kPage - 1) / kPage * kPage : bytes;
}

/// What a buffer counts for, whichever piece of memory it was lent.
static int64_t class_size(int64_t nbytes) { return round_class(nbytes ? nbytes : 1); }

struct FreeBlock {
  FreeBlock* next;
};
static FreeBlock* g_free[kClasses];
static int64_t g_free_bytes[kClasses];
static int64_t g_asked[kClasses];  // the allocation that asked for the class last

// Under AddressSanitizer, what lies behind a buffer's bytes and what is cached may not be touched.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define DENIM_FORBID(from, bytes) ASAN_POISON_MEMORY_REGION(from, static_cast<size_t>(bytes))
#define DENIM_ALLOW(from, bytes) ASAN_UNPOISON_MEMORY_REGION(from, static_cast<size_t>(bytes))
#endif
#endif
#ifndef DENIM_FORBID
#define DENIM_FORBID(from, bytes) static_cast<void>(0)
#define DENIM_ALLOW(from, bytes) static_cast<void>(0)
#endif

// Buffers of pages, too small for a mapping each, are cut from slabs. Given back, their pages go to the system and
// their addresses wait here for a buffer of the same class: so nothing is fragmented, and what is resident is what is
// used.
struct Cold {
  uint8_t** at;
  int64_t n, capacity;
};
static Cold g_cold[kClasses];
static struct Slab {
  uint8_t* at;
  int64_t left;
} g_slabs[2];  // of pieces smaller than a page, of whole pages

static uint8_t* map_pages(int64_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  gpu::mapped(p, bytes);
  return static_cast<uint8_t*>(p);
}
static uint8_t* slab_take(int64_t capacity) {
  Cold& cold = g_cold[class_of(capacity)];
  if (cold.n) return cold.at[--cold.n];
  Slab& piece = g_slabs[capacity >= kPage];
  if (piece.left < capacity) {
    constexpr int64_t kSlab = 8 << 20;
    uint8_t* slab = map_pages(kSlab);
    if (!slab) return nullptr;
#ifdef MADV_NOHUGEPAGE
    madvise(slab, kSlab, MADV_NOHUGEPAGE);  // a huge page would bring back what was given back
#endif
    piece = {slab, kSlab};
  }
  uint8_t* p = piece.at;
  piece.at += capacity;
  piece.left -= capacity;
  return p;
}
static void slab_give(uint8_t* p, int64_t capacity) {
#ifdef __APPLE__
  if (capacity >= kPage) madvise(p, capacity, MADV_FREE);
#else
  if (capacity >= kPage) madvise(p, capacity, MADV_DONTNEED);
#endif
  Cold& cold = g_cold[class_of(capacity)];
  if (cold.n == cold.capacity) {
    cold.capacity = cold.capacity ? 2 * cold.capacity : 64;
    cold.at = static_cast<uint8_t**>(realloc(cold.at, sizeof(uint8_t*) * static_cast<size_t>(cold.capacity)));
    if (!cold.at) abort();
  }
  cold.at[cold.n++] = p;
}

static uint8_t* system_take(int64_t capacity) {
  if (capacity >= kMapped) {
    uint8_t* p = map_pages(capacity);
#ifdef MADV_HUGEPAGE
    constexpr int64_t huge = 8 << 20;
    if (p && capacity >= huge) madvise(p, capacity, MADV_HUGEPAGE);
#endif
    return p;
  }
  if (capacity >= kLeastOfSlab) return slab_take(capacity);
  void* p = nullptr;
  return posix_memalign(&p, 64, capacity) ? nullptr : static_cast<uint8_t*>(p);
}
static void system_give(uint8_t* p, int64_t capacity) {
  DENIM_ALLOW(p, capacity);
  if (capacity >= kMapped) {
    gpu::unmapping(p);
    munmap(p, capacity);
  } else if (capacity >= kLeastOfSlab) {
    slab_give(p, capacity);
  } else {
    free(p);
  }
}
/// A cached buffer of that class or, an eighth larger, of the next; `*capacity` is what it has. Work whose sizes
/// vary would otherwise fill the cache with a buffer of every class.
static uint8_t* pool_take(int64_t* capacity) {
  const int wanted = class_of(*capacity), last = wanted < kSmallClasses ? wanted : wanted + 1;
  g_asked[wanted] = g_memory.allocations;
  for (int c = wanted; c <= last && c < kClasses; c++) {
    FreeBlock* f = g_free[c];
    const int64_t bytes = round_class(class_bytes(c));
    if (!f || g_memory.active + bytes > g_memory.limit) continue;
    *capacity = bytes;
    g_asked[c] = g_memory.allocations;
    g_free[c] = f->next;
    g_free_bytes[c] -= *capacity;
    g_memory.cached -= *capacity;
    DENIM_ALLOW(f, *capacity);
    return reinterpret_cast<uint8_t*>(f);
  }
  return system_take(*capacity);
}
// The most that was active, over the present window of allocations and the one before.
constexpr int64_t kWindow = 4096;
static int64_t g_recent[2], g_window_end = kWindow;
static void note_active() {
  if (g_memory.allocations >= g_window_end) {
    g_window_end = g_memory.allocations + kWindow;
    g_recent[1] = g_recent[0];
    g_recent[0] = 0;
  }
  if (g_memory.active > g_recent[0]) g_recent[0] = g_memory.active;
}
/// As much as is active; or, where more was active a moment ago, that together with what is: a loop whose turns need
/// far more for their temporaries than they keep finds them again. Lent pieces may be an eighth larger than asked for.
static int64_t cache_limit() {
  if (g_memory.cache_limit >= 0) return g_memory.cache_limit;
  constexpr int64_t kLeast = int64_t(32) << 20;
  const int64_t recent = g_recent[0] > g_recent[1] ? g_recent[0] : g_recent[1];
  const int64_t gone = (recent - g_memory.active) / 8 * 9, most = gone > g_memory.active ? gone : g_memory.active;
  return most > kLeast ? most : kLeast;
}
static void pool_give(uint8_t* p, int64_t capacity) {
  if (capacity > cache_limit()) return system_give(p, capacity);
  DENIM_ALLOW(p, capacity);
  int c = class_of(capacity);
  FreeBlock* f = reinterpret_cast<FreeBlock*>(p);
  f->next = g_free[c];
  g_free[c] = f;
  DENIM_FORBID(f + 1, capacity - static_cast<int64_t>(sizeof(FreeBlock)));
  g_free_bytes[c] += capacity;
  g_memory.cached += capacity;
  if (g_memory.cached > cache_limit()) trim_cache(cache_limit() - cache_limit() / 4);
}
/// The class that nobody asked for longest goes first, of equals the largest: what a loop needs in each turn stays.
static int least_wanted() {
  int found = -1;
  for (int c = kClasses - 1; c >= 0; c--) {
    if (g_free[c] && (found < 0 || g_asked[c] < g_asked[found])) found = c;
  }
  return found;
}
void trim_cache(int64_t bytes) {
  for (int c = least_wanted(); c >= 0 && g_memory.cached > bytes; c = least_wanted()) {
    int64_t capacity = round_class(class_bytes(c));
    while (g_free[c] && g_memory.cached > bytes) {
      FreeBlock* f = g_free[c];
      g_free[c] = f->next;
      g_free_bytes[c] -= capacity;
      g_memory.cached -= capacity;
      system_give(reinterpret_cast<uint8_t*>(f), capacity);
    }
  }
}

static int64_t read_number(const char* path) {
  FILE* f = fopen(path, "r");
  if (!f) return -1;
  long long v = -1;
  if (fscanf(f, "%lld", &v) != 1) v = -1;
  fclose(f);
  return v;
}
int64_t total_memory() {
  int64_t total = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  const char* groups[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
  for (const char* path : groups) {
    int64_t v = read_number(path);
    if (v > 0 && v < total) total = v;
  }
  return total;
}

static Buffer* new_buffer(uint8_t* data, int64_t nbytes, int64_t capacity) {
  Buffer* b = static_cast<Buffer*>(calloc(1, sizeof(Buffer)));
  if (!b) abort();
  b->data = data;
  b->nbytes = nbytes;
  b->capacity = capacity;
  if (++g_memory.buffers > g_memory.peak_buffers) g_memory.peak_buffers = g_memory.buffers;
  return b;
}
Buffer* allocate(int64_t nbytes, Failure** failure) {
  if (!g_memory.limit) g_memory.limit = total_memory() / 10 * 9;
  bool told = g_memory.fail_allocation == 0;
  if (g_memory.fail_allocation > 0) g_memory.fail_allocation--;
  if (nbytes >= 0 && nbytes < kLargest && !told) {
    int64_t capacity = class_size(nbytes);
    if (g_memory.active + capacity <= g_memory.limit) {
      if (g_memory.active + g_memory.cached + capacity > g_memory.limit)
        trim_cache(g_memory.limit - g_memory.active - capacity);
      uint8_t* data = pool_take(&capacity);
      if (!data) {
        trim_cache(0);
        data = pool_take(&capacity);
      }
      if (data) {
        g_memory.allocations++;
        g_memory.active += class_size(nbytes);
        if (g_memory.active > g_memory.peak) g_memory.peak = g_memory.active;
        note_active();
        DENIM_FORBID(data + nbytes, capacity - nbytes);
        return new_buffer(data, nbytes, capacity);
      }
    }
  }
  *failure = make_failure(kMemoryLimit,
                          "reserve %lld bytes\nat most %lld bytes in all\n%lld bytes live already\nfree arrays, work "
                          "on less at once, or raise "
                          "the limit with setMemoryLimit\nmemory",
                          static_cast<long long>(nbytes), static_cast<long long>(g_memory.limit),
                          static_cast<long long>(g_memory.active));
  return nullptr;
}
static Failure* file_failure(const char* path, const char* got) {
  return make_failure(kBadFile, "map %s\na readable file\n%s\ncheck the path and its permissions\nload", path, got);
}
Buffer* map_file(const char* path, Failure** failure) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    *failure = file_failure(path, strerror(errno));
    return nullptr;
  }
  struct stat info;
  if (fstat(fd, &info) || !S_ISREG(info.st_mode) || info.st_size <= 0) {
    *failure = file_failure(path, "no regular file with content");
    close(fd);
    return nullptr;
  }
  void* p = mmap(nullptr, info.st_size, PROT_READ, MAP_SHARED, fd, 0);
  int error = errno;
  close(fd);
  if (p == MAP_FAILED) {
    *failure = file_failure(path, strerror(error));
    return nullptr;
  }
  gpu::mapped(p, info.st_size);
  Buffer* b = new_buffer(static_cast<uint8_t*>(p), info.st_size, 0);
  b->mapped = true;
  g_memory.mapped += info.st_size;
  return b;
}
void reclaim(Buffer* b) {
  if (b->refs || b->busy) return;
  g_memory.buffers--;
  if (b->mapped) {
    gpu::unmapping(b->data);
    munmap(b->data, b->nbytes);
    g_memory.mapped -= b->nbytes;
  } else {
    g_memory.active -= class_size(b->nbytes);
    pool_give(b->data, b->capacity);
  }
  unshare(b->poison);
  free(b);
}

}  // namespace denim
