// Thread pool: one job at a time, tasks claimed one by one from an atomic word, the caller takes part.
// Workers spin for some tens of microseconds after a job (a decode step makes hundreds of calls), then sleep in the
// kernel. A second thread that calls `parallel` meanwhile, and a call inside a task, run inline.
#include "threads.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#endif

namespace denim {
namespace {

constexpr int kMaxThreads = 256;
constexpr int64_t kMaxTasks = 0x7fffffff;
constexpr int64_t kSpinNs = 40 * 1000;

// The job. `ticket` is (number of the job << 32 | tasks not yet claimed): a claim is a compare-exchange, so a worker
// that comes late cannot take a task of another job, and fn, ctx and n stand still while a claimed task is unfinished.
struct Pool {
  alignas(64) uint64_t ticket;
  alignas(64) uint32_t epoch;  // grows with each job: what sleeping workers watch
  uint32_t sleepers;
  alignas(64) uint32_t unfinished;  // tasks of the job
  uint32_t caller_sleeps;
  alignas(64) void (*fn)(void* ctx, int64_t i, int worker);
  void* ctx;
  int64_t n;
  alignas(64) uint32_t busy;  // some thread owns the pool
  uint32_t stop;
  int started;   // workers that run
  bool refused;  // the system gave no more threads
  int threads;   // the caller included; 0: not yet counted; then it never changes
  pthread_t ids[kMaxThreads];
};
Pool g_pool;
__thread bool t_inside;  // this thread runs a task

int64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec;
}

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  __asm__ volatile("isb");  // the nearest thing to x86's pause: it waits some cycles, where `yield` is a no-op
#endif
}

// Sleep while *word == value; wake `count` sleepers on it.
#if defined(__linux__)
void sleep_on(uint32_t* word, uint32_t value) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}
void wake_on(uint32_t* word, int count) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0); }
#else
pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
void sleep_on(uint32_t* word, uint32_t value) {
  pthread_mutex_lock(&g_mutex);
  while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value) pthread_cond_wait(&g_cond, &g_mutex);
  pthread_mutex_unlock(&g_mutex);
}
void wake_on(uint32_t*, int) {
  pthread_mutex_lock(&g_mutex);  // so that no one is between his look at the word and his wait
  pthread_cond_broadcast(&g_cond);
  pthread_mutex_unlock(&g_mutex);
}
#endif

// Spins until *word != value or the time is over; true if it changed.
bool spin_on(const uint32_t* word, uint32_t value) {
  int64_t end = 0;
  for (;;) {
    for (int i = 0; i < 64; i++) {
      if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value) return true;
      relax();
    }
    const int64_t now = now_ns();
    if (end == 0) end = now + kSpinNs;
    if (now >= end) return false;
  }
}

void finish_task(Pool& p) {
  if (__atomic_sub_fetch(&p.unfinished, 1, __ATOMIC_SEQ_CST) == 0 &&
      __atomic_load_n(&p.caller_sleeps, __ATOMIC_SEQ_CST)) {
    wake_on(&p.unfinished, 1);
  }
}

// Claims and runs tasks until none is left.
void run_tasks(Pool& p, int worker) {
  uint64_t ticket = __atomic_load_n(&p.ticket, __ATOMIC_ACQUIRE);
  for (;;) {
    const uint32_t left = static_cast<uint32_t>(ticket);
    if (left == 0) return;
    if (!__atomic_compare_exchange_n(&p.ticket, &ticket, ticket - 1, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
      continue;
    p.fn(p.ctx, p.n - left, worker);
    finish_task(p);
    ticket = __atomic_load_n(&p.ticket, __ATOMIC_ACQUIRE);
  }
}

void* worker_main(void* arg) {
  Pool& p = g_pool;
  const int worker = static_cast<int>(reinterpret_cast<intptr_t>(arg));
  t_inside = true;
  uint32_t seen = 0;
  for (;;) {
    if (!spin_on(&p.epoch, seen)) {
      // Order matters: the caller grows epoch, then reads sleepers; sleep_on looks at epoch again.
      __atomic_add_fetch(&p.sleepers, 1, __ATOMIC_SEQ_CST);
      while (__atomic_load_n(&p.epoch, __ATOMIC_SEQ_CST) == seen) sleep_on(&p.epoch, seen);
      __atomic_sub_fetch(&p.sleepers, 1, __ATOMIC_SEQ_CST);
    }
    seen = __atomic_load_n(&p.epoch, __ATOMIC_ACQUIRE);
    if (__atomic_load_n(&p.stop, __ATOMIC_ACQUIRE)) return nullptr;
    run_tasks(p, worker);
  }
}

#if defined(__linux__)
// The first line of a file into `line`; false if it cannot be read.
bool read_line(const char* path, char* line, int size) {
  FILE* f = fopen(path, "re");
  if (!f) return false;
  const bool ok = fgets(line, size, f) != nullptr;
  fclose(f);
  return ok;
}

int quota_cores(double quota, double period) {
  if (!(quota > 0) || !(period > 0)) return kMaxThreads;
  const double cores = quota / period;
  return cores >= kMaxThreads ? kMaxThreads : static_cast<int>(cores + 0.999);
}

int min_int(int a, int b) { return a < b ? a : b; }

// The tightest quota on the way from this process's cgroup up to the root, under one of the two hierarchies.
int hierarchy_cores(const char* root, const char* group, bool v2) {
  char path[PATH_MAX], line[128], period[128], dir[PATH_MAX];
  int cores = kMaxThreads;
  snprintf(dir, sizeof dir, "%s", group);
  for (;;) {
    double quota = -1, unit = 100000;
    snprintf(path, sizeof path, "%s%s/%s", root, dir, v2 ? "cpu.max" : "cpu.cfs_quota_us");
    if (read_line(path, line, sizeof line)) {
      if (v2) {
        sscanf(line, "%lf %lf", &quota, &unit);  // "max 100000" leaves quota at -1
      } else {
        sscanf(line, "%lf", &quota);
        snprintf(path, sizeof path, "%s%s/cpu.cfs_period_us", root, dir);
        if (read_line(path, period, sizeof period)) sscanf(period, "%lf", &unit);
      }
      cores = min_int(cores, quota_cores(quota, unit));
    }
    char* slash = strrchr(dir, '/');
    if (!slash) return cores;
    *slash = 0;
  }
}

int cgroup_cores() {
  FILE* f = fopen("/proc/self/cgroup", "re");
  int cores = min_int(hierarchy_cores("/sys/fs/cgroup", "", true), hierarchy_cores("/sys/fs/cgroup/cpu", "", false));
  if (!f) return cores;
  char line[PATH_MAX];
  while (fgets(line, sizeof line, f)) {  // "0::/path" (v2) or "4:cpu,cpuacct:/path" (v1)
    line[strcspn(line, "\n")] = 0;
    char* names = strchr(line, ':');
    char* group = names ? strchr(names + 1, ':') : nullptr;
    if (!group) continue;
    *group++ = 0;
    names++;
    if (*names == 0) cores = min_int(cores, hierarchy_cores("/sys/fs/cgroup", group, true));
    if (strncmp(names, "cpu", 3) == 0 && (names[3] == 0 || names[3] == ',')) {
      cores = min_int(cores, hierarchy_cores("/sys/fs/cgroup/cpu", group, false));
    }
  }
  fclose(f);
  return cores;
}
#endif

// In the child of a fork only the forking thread lives on: forget the workers, they start again when needed.
void forget_workers() {
  const int threads = g_pool.threads;
  memset(&g_pool, 0, sizeof g_pool);
  g_pool.threads = threads;
  t_inside = false;
}

pthread_once_t g_once = PTHREAD_ONCE_INIT;
void count_threads() {
  const char* wish = getenv("DENIM_THREADS");
  const long n = wish ? strtol(wish, nullptr, 10) : 0;
  const int threads = n > 0 ? (n < kMaxThreads ? static_cast<int>(n) : kMaxThreads) : usable_cores();
  pthread_atfork(nullptr, nullptr, forget_workers);
  __atomic_store_n(&g_pool.threads, threads, __ATOMIC_RELEASE);
}

// Called by the pool's owner. If the system refuses threads, the pool stays as small as it is.
void start_workers(Pool& p) {
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, 1 << 20);
  while (p.started < p.threads - 1) {
    void* worker = reinterpret_cast<void*>(static_cast<intptr_t>(p.started + 1));
    if (pthread_create(&p.ids[p.started], &attr, worker_main, worker) != 0) break;
    p.started++;
  }
  p.refused = p.started < p.threads - 1;
  pthread_attr_destroy(&attr);
}

void run_inline(int64_t n, void (*fn)(void*, int64_t, int), void* ctx) {
  for (int64_t i = 0; i < n; i++) fn(ctx, i, 0);
}

// Publishes a job, takes part in it and waits for its end.
void run_job(Pool& p, int64_t n, void (*fn)(void*, int64_t, int), void* ctx) {
  p.fn = fn;
  p.ctx = ctx;
  p.n = n;
  // The last worker of the job before may still be about to look: whatever it sees, at most it wakes nobody.
  __atomic_store_n(&p.caller_sleeps, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&p.unfinished, static_cast<uint32_t>(n), __ATOMIC_RELAXED);
  const uint32_t job = p.epoch + 1;
  __atomic_store_n(&p.ticket, static_cast<uint64_t>(job) << 32 | static_cast<uint64_t>(n), __ATOMIC_RELEASE);
  __atomic_store_n(&p.epoch, job, __ATOMIC_SEQ_CST);
  const uint32_t sleepers = __atomic_load_n(&p.sleepers, __ATOMIC_SEQ_CST);
  if (sleepers)
    wake_on(&p.epoch, n - 1 < static_cast<int64_t>(sleepers) ? static_cast<int>(n - 1) : static_cast<int>(sleepers));
  t_inside = true;
  run_tasks(p, 0);
  t_inside = false;
  for (uint32_t left; (left = __atomic_load_n(&p.unfinished, __ATOMIC_SEQ_CST)) != 0;) {
    if (spin_on(&p.unfinished, left)) continue;
    __atomic_store_n(&p.caller_sleeps, 1, __ATOMIC_SEQ_CST);
    left = __atomic_load_n(&p.unfinished, __ATOMIC_SEQ_CST);
    if (left != 0) sleep_on(&p.unfinished, left);
  }
}

}  // namespace

int usable_cores() {
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores =
      sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  cores = min_int(cores, cgroup_cores());
#else
  int cores = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
#endif
  return cores < 1 ? 1 : cores > kMaxThreads ? kMaxThreads : cores;
}

int worker_count() {
  const int threads = __atomic_load_n(&g_pool.threads, __ATOMIC_ACQUIRE);
  if (threads) return threads;
  pthread_once(&g_once, count_threads);
  return g_pool.threads;
}

void parallel(int64_t n, void (*fn)(void* ctx, int64_t i, int worker), void* ctx) {
  Pool& p = g_pool;
  uint32_t idle = 0;
  if (n <= 1 || n > kMaxTasks || t_inside || worker_count() == 1 ||
      !__atomic_compare_exchange_n(&p.busy, &idle, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
    return run_inline(n, fn, ctx);
  }
  if (p.started < p.threads - 1 && !p.refused) start_workers(p);
  run_job(p, n, fn, ctx);
  __atomic_store_n(&p.busy, 0, __ATOMIC_RELEASE);
}

void threads_shutdown() {
  Pool& p = g_pool;
  uint32_t idle = 0;
  if (!__atomic_compare_exchange_n(&p.busy, &idle, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
  __atomic_store_n(&p.stop, 1, __ATOMIC_RELEASE);
  __atomic_add_fetch(&p.epoch, 1, __ATOMIC_SEQ_CST);
  wake_on(&p.epoch, kMaxThreads);
  for (int i = 0; i < p.started; i++) pthread_join(p.ids[i], nullptr);
  p.started = 0;
  p.stop = 0;
  __atomic_store_n(&p.busy, 0, __ATOMIC_RELEASE);
}

}  // namespace denim
