// Stress of the scheduler: recorded programs on eight streams, results of one stream as inputs of another, handles
// released while work is in flight, several sessions at once. Built with TSan by scripts/sanitize.ts, which must have
// nothing to report.
//
//   streams CORPUS SECONDS [SEED]
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../rt.h"

namespace {

constexpr int kStreams = 8, kKept = 48, kSessions = 2, kMaxPrograms = 256;
constexpr int kHeaderWords = 12;  // of a program: ffi/program.ts

struct Loaded {
  double* words;
  uint32_t n;
};
Loaded g_programs[kMaxPrograms];
int g_count = 0;
double g_seconds = 20;

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct Kept {
  double handle, bytes;
};
struct Driver {
  double session;
  uint64_t random;
  int streams[kStreams];
  double programs[kMaxPrograms];
  Kept kept[kKept];
  long runs, refused;

  uint32_t below(uint32_t n) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(random >> 33) % n;
  }
  void keep(double handle, double bytes) {
    Kept& k = kept[below(kKept)];
    if (k.handle != 0) rt_release(session, &k.handle, 1);
    k = {handle, bytes};
  }
  /// A buffer of at least that many bytes: a result of any stream, or zeros.
  double input(double bytes) {
    for (int tries = 0; tries < 6; tries++) {
      const Kept& k = kept[below(kKept)];
      if (k.handle != 0 && k.bytes >= bytes) return k.handle;
    }
    void* zeros = calloc(1, static_cast<size_t>(bytes) + 1);
    double out[3];
    if (!zeros || rt_upload(session, static_cast<uint8_t*>(zeros), bytes, out)) exit(2);
    free(zeros);
    keep(out[0], out[2]);
    return out[0];
  }
  void step() {
    int pick = static_cast<int>(below(static_cast<uint32_t>(g_count)));
    const double* words = g_programs[pick].words;
    uint32_t n_in = static_cast<uint32_t>(words[4]), n_out = static_cast<uint32_t>(words[10]);
    double inputs[128], outputs[192], fresh[64];
    if (n_in > 64 || n_out > 64) return;
    for (uint32_t i = 0; i < n_in; i++) {
      double out[3];  // a handle of our own, so that a result may be dropped meanwhile
      if (rt_retain(session, input(words[kHeaderWords + 2 * i]), out)) exit(2);
      fresh[i] = inputs[2 * i] = out[0];
      inputs[2 * i + 1] = 0;
    }
    int stream = streams[below(kStreams)];
    int status = below(2)
                     ? rt_run(session, stream, programs[pick], inputs, n_in, outputs, n_out, below(8) == 0)
                     : rt_eval(session, stream, words, g_programs[pick].n, inputs, n_in, outputs, n_out, below(8) == 0);
    rt_release(session, fresh, n_in);
    (status ? refused : runs)++;
    if (status) return;
    for (uint32_t i = 0; i < n_out; i++) keep(outputs[3 * i], outputs[3 * i + 2]);
    if (below(16) == 0) rt_synchronize(session, streams[below(kStreams)]);
    if (below(16) == 0) {
      double spans[1 + 8 * kSpanWords];
      rt_profile(session, static_cast<int32_t>(below(3)), spans, 1 + below(8 * kSpanWords + 1));
    }
    if (below(16) == 0) {
      const Kept& k = kept[below(kKept)];
      uint8_t byte;
      if (k.handle != 0 && k.bytes > 0) rt_read(session, k.handle, 0, &byte, 1);
    }
  }
};

void* drive(void* seed) {
  Driver* d = static_cast<Driver*>(calloc(1, sizeof(Driver)));
  if (!d) abort();
  d->session = rt_session_open();
  d->random = reinterpret_cast<uintptr_t>(seed);
  for (int i = 0; i < kStreams; i++) d->streams[i] = i == 0 ? 0 : rt_stream_open(d->session, 0);
  for (int i = 0; i < g_count; i++) {
    if (rt_prepare(d->session, g_programs[i].words, g_programs[i].n, &d->programs[i])) exit(2);
  }
  for (double end = now() + g_seconds; now() < end;) d->step();
  rt_synchronize(d->session, -1);
  printf("%ld programs ran, %ld refused\n", d->runs, d->refused);
  rt_session_close(d->session);
  free(d);
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: %s CORPUS SECONDS [SEED]\n", argv[0]);
    return 2;
  }
  g_seconds = atof(argv[2]);
  uintptr_t seed = argc > 3 ? static_cast<uintptr_t>(atoll(argv[3])) : 1;
  FILE* f = fopen(argv[1], "rb");
  double count;
  while (f && g_count < kMaxPrograms && fread(&count, sizeof count, 1, f) == 1) {
    Loaded& p = g_programs[g_count++];
    p.n = static_cast<uint32_t>(count);
    p.words = static_cast<double*>(malloc(sizeof(double) * p.n));
    if (fread(p.words, sizeof(double), p.n, f) != p.n) return 2;
  }
  if (!f || !g_count) {
    fprintf(stderr, "no programs in %s\n", argv[1]);
    return 2;
  }
  fclose(f);
  pthread_t threads[kSessions];
  for (int i = 0; i < kSessions; i++)
    pthread_create(&threads[i], nullptr, drive, reinterpret_cast<void*>(seed + static_cast<uintptr_t>(i)));
  for (pthread_t t : threads) pthread_join(t, nullptr);
  for (int i = 0; i < g_count; i++) free(g_programs[i].words);
  double stats[kStatCount];
  rt_stats(stats, kStatCount);
  rt_set(kSetClearCache, 0);
  printf("%.0f buffers left\n", stats[kStatBuffers]);
  return stats[kStatBuffers] == 0 ? 0 : 1;
}
