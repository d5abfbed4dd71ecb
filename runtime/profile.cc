// Spans of a profile. See profile.h.
#include "profile.h"

#include <stdlib.h>
#include <time.h>

#include "session.h"

namespace denim {

/// More than this are not kept: 56 MB. Who profiles for long fetches them meanwhile.
constexpr int64_t kMostSpans = int64_t(1) << 20;

int64_t clock_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec;
}
static void add(const Job* job, int32_t instruction, int64_t begin, int64_t end, bool worker) {
  Spans* s = job->spans;
  if (s->n == kMostSpans) return;
  if (s->n == s->capacity) {
    s->capacity = s->capacity ? 2 * s->capacity : 1024;
    s->list = static_cast<Span*>(realloc(s->list, sizeof(Span) * static_cast<size_t>(s->capacity)));
    if (!s->list) abort();
  }
  s->list[s->n++] = {job->stream, instruction, job->seq, begin, end, g_memory.active, worker};
}
void note_submitted(Job* job) {
  if (!job->spans) return;
  const int64_t now = clock_ns();
  add(job, kSubmitted, now, now, false);
}
int64_t* new_times(const Job* job) {
  if (!job->spans || !job->spans->kernels) return nullptr;
  const size_t n = static_cast<size_t>(job->program->n_instructions);
  int64_t* times = static_cast<int64_t*>(calloc(2 * n + 1, sizeof(int64_t)));
  if (!times) abort();
  return times;
}
void note_run(const Job* job, int64_t begin, int64_t* times, bool worker) {
  if (job->spans) {
    for (int32_t k = 0; times && k < job->program->n_instructions; k++)
      if (times[2 * k]) add(job, k, times[2 * k], times[2 * k + 1], worker);
    add(job, kRan, begin, clock_ns(), worker);
  }
  free(times);
}

}  // namespace denim
