// The thread pool: every task runs once, nested and concurrent calls work, and it survives fork and shutdown.
#include "../threads.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

namespace denim {
namespace {

struct Counts {
  int32_t runs[1000];
  int32_t bad_workers;
};

void count_task(void* ctx, int64_t i, int worker) {
  auto* c = static_cast<Counts*>(ctx);
  __atomic_add_fetch(&c->runs[i], 1, __ATOMIC_RELAXED);
  if (worker < 0 || worker >= worker_count()) __atomic_add_fetch(&c->bad_workers, 1, __ATOMIC_RELAXED);
}

bool each_runs_once(int64_t n) {
  Counts c{};
  parallel(n, count_task, &c);
  for (int64_t i = 0; i < 1000; i++) {
    if (c.runs[i] != (i < n ? 1 : 0)) return false;
  }
  return c.bad_workers == 0;
}

void nested_task(void* ctx, int64_t, int) {
  if (!each_runs_once(17)) __atomic_add_fetch(static_cast<int*>(ctx), 1, __ATOMIC_RELAXED);
}

void* many_calls(void* ctx) {
  for (int i = 0; i < 300; i++) nested_task(ctx, 0, 0);
  return nullptr;
}

TEST(threads_each_task_runs_once) {
  const int64_t sizes[] = {0, 1, 2, 3, 7, 64, 1000};
  for (int64_t n : sizes) CHECK(each_runs_once(n));
  int failures = 0;
  many_calls(&failures);
  CHECK(failures == 0);
}

TEST(threads_sleeping_workers_wake) {
  for (int i = 0; i < 20; i++) {
    usleep(1000);
    CHECK(each_runs_once(50));
  }
}

TEST(threads_nested_calls_run_inline) {
  int failures = 0;
  parallel(40, nested_task, &failures);
  CHECK(failures == 0);
}

TEST(threads_concurrent_callers) {
  int failures = 0;
  pthread_t ids[4];
  for (auto& id : ids) pthread_create(&id, nullptr, many_calls, &failures);
  for (auto& id : ids) pthread_join(id, nullptr);
  CHECK(failures == 0);
}

TEST(threads_shutdown_and_restart) {
  for (int i = 0; i < 5; i++) {
    CHECK(each_runs_once(100));
    threads_shutdown();
  }
  CHECK(each_runs_once(100));
}

TEST(threads_survive_fork) {
  CHECK(each_runs_once(100));
  const pid_t child = fork();
  if (child == 0) {
    const bool ok = each_runs_once(100);
    threads_shutdown();
    _exit(ok ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK(each_runs_once(100));
}

TEST(threads_core_count) {
  CHECK(usable_cores() >= 1);
  CHECK(worker_count() >= 1);
}

}  // namespace
}  // namespace denim
