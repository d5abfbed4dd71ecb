// Fuzzer of the program decoder: takes recorded programs, changes their words, and runs what the decoder lets through. Built with
// sanitizers by scripts/sanitize.ts; a crash, a leak or a hang is a defect, an error status is fine.
//
//   program CORPUS ROUNDS [SEED]        CORPUS: for each program its number of words, then the words, as float64
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../program.h"
#include "../rt.h"

namespace {

struct Random {
  uint64_t state;
  uint64_t next() {
    state += 0x9e3779b97f4a7c15u;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(next() % n); }
};

struct Corpus {
  double** programs = nullptr;
  uint32_t* lengths = nullptr;
  uint32_t n = 0;
};

Corpus read_corpus(const char* path) {
  Corpus c;
  FILE* f = fopen(path, "rb");
  if (!f) {
    fprintf(stderr, "cannot open %s\n", path);
    exit(2);
  }
  double count;
  while (fread(&count, sizeof count, 1, f) == 1) {
    uint32_t n = static_cast<uint32_t>(count);
    c.programs = static_cast<double**>(realloc(c.programs, sizeof(double*) * (c.n + 1)));
    c.lengths = static_cast<uint32_t*>(realloc(c.lengths, sizeof(uint32_t) * (c.n + 1)));
    double* words = static_cast<double*>(malloc(sizeof(double) * n));
    if (fread(words, sizeof(double), n, f) != n) {
      fprintf(stderr, "%s is cut short\n", path);
      exit(2);
    }
    c.programs[c.n] = words;
    c.lengths[c.n++] = n;
  }
  fclose(f);
  return c;
}

double odd_number(Random& r) {
  static const double odd[] = {0, 1, 2, 3, -1, -2, 7, 15, 16, 17, 31, 63, 64, 65, 127, 255, 256, 1024, 4096, 65535, 65536, 1048576,
                               2147483647, 2147483648.0, -2147483648.0, 4294967296.0, 1099511627776.0, 9007199254740992.0, -9007199254740992.0,
                               1e300, -1e300, 0.5, -0.5};
  uint32_t k = r.below(sizeof odd / sizeof odd[0] + 3);
  if (k < sizeof odd / sizeof odd[0]) return odd[k];
  double special;
  uint64_t bits = k % 3 == 0 ? 0x7ff8000000000000u : k % 3 == 1 ? 0x7ff0000000000000u : r.next();
  memcpy(&special, &bits, sizeof special);
  return special;
}

/// A few changes of words; now and then a piece is cut out, doubled, or taken from another program.
uint32_t mutate(Random& r, const Corpus& c, double* out, uint32_t n, uint32_t capacity) {
  uint32_t changes = 1 + r.below(r.below(4) ? 2 : 8);
  for (uint32_t k = 0; k < changes; k++) {
    uint32_t at = n > 3 ? 3 + r.below(n - 3) : 0;
    switch (r.below(10)) {
      case 0: case 1: case 2: out[at] = odd_number(r); break;
      case 3: case 4: out[at] += r.below(2) ? 1 : -1; break;
      case 5: out[at] = r.below(64); break;
      case 6: out[at] = out[r.below(n)]; break;
      case 7: {
        uint32_t length = 1 + r.below(8);
        if (at + length >= n) break;
        memmove(out + at, out + at + length, sizeof(double) * (n - at - length));
        n -= length;
        break;
      }
      case 8: {
        uint32_t length = 1 + r.below(8);
        if (n + length > capacity || at + length > n) break;
        memmove(out + at + length, out + at, sizeof(double) * (n - at));
        n += length;
        break;
      }
      default: {
        uint32_t other = r.below(c.n), from = r.below(c.lengths[other]), length = 1 + r.below(12);
        for (uint32_t i = 0; i < length && at + i < n && from + i < c.lengths[other]; i++) out[at + i] = c.programs[other][from + i];
      }
    }
  }
  if (r.below(8)) out[3] = n;  // else the length is wrong, which ends the story early
  return n;
}

/// Inputs of any program: buffers with small integers, so that indices are mostly in range.
struct Inputs {
  double session;
  double handles[8];
};
Inputs make_inputs(double session, Random& r) {
  Inputs in = {session, {}};
  static const int64_t sizes[] = {64, 256, 1024, 4096, 16384, 65536, 65536, 262144};
  for (int i = 0; i < 8; i++) {
    int32_t* data = static_cast<int32_t*>(malloc(static_cast<size_t>(sizes[i])));
    for (int64_t k = 0; k < sizes[i] / 4; k++) data[k] = i % 2 ? static_cast<int32_t>(r.below(4)) : 0x3f800000;
    double out[3];
    if (rt_upload(session, reinterpret_cast<uint8_t*>(data), static_cast<double>(sizes[i]), out)) exit(2);
    in.handles[i] = out[0];
    free(data);
  }
  return in;
}

int run_one(const Inputs& in, Random& r, const double* words, uint32_t n) {
  double n_inputs = n > 4 ? words[4] : 0, n_outputs = n > 10 ? words[10] : 0;
  if (!(n_inputs >= 0 && n_inputs <= 64)) n_inputs = 1;
  if (!(n_outputs >= 0 && n_outputs <= 64)) n_outputs = 1;
  uint32_t ni = static_cast<uint32_t>(n_inputs), no = static_cast<uint32_t>(n_outputs);
  double inputs[128], outputs[192];
  for (uint32_t i = 0; i < ni; i++) {
    uint32_t pick = r.below(9);
    inputs[2 * i] = pick < 8 ? in.handles[pick] : odd_number(r);
    inputs[2 * i + 1] = 0;
  }
  int status = rt_eval(in.session, 0, words, n, inputs, ni, outputs, no, static_cast<int>(r.below(4) != 0));
  if (status) return status;
  for (uint32_t i = 0; i < no; i++) {
    rt_wait(in.session, outputs[3 * i]);
    rt_release(in.session, &outputs[3 * i], 1);
  }
  return 0;
}

double seconds() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: %s CORPUS ROUNDS [SEED]\n", argv[0]);
    return 2;
  }
  Corpus c = read_corpus(argv[1]);
  long rounds = atol(argv[2]);
  Random r = {argc > 3 ? static_cast<uint64_t>(atoll(argv[3])) : 1};
  denim::g_max_elements = 1 << 15;
  rt_set(kSetMemoryLimit, 256.0 * 1024 * 1024);
  double session = rt_session_open();
  Inputs in = make_inputs(session, r);
  long ran = 0, refused = 0;
  double slowest = 0;
  for (uint32_t i = 0; i < c.n; i++) c.programs[i][2] = rt_table_hash();
  for (long k = 0; k < rounds; k++) {
    uint32_t pick = r.below(c.n), n = c.lengths[pick], capacity = n + 64;
    double* words = static_cast<double*>(malloc(sizeof(double) * capacity));  // exact size: reading past the end is seen
    memcpy(words, c.programs[pick], sizeof(double) * n);
    n = mutate(r, c, words, n, capacity);
    double* exact = static_cast<double*>(malloc(sizeof(double) * (n ? n : 1)));
    memcpy(exact, words, sizeof(double) * n);
    free(words);
    double start = seconds();
    (run_one(in, r, exact, n) == 0 ? ran : refused)++;
    double took = seconds() - start;
    if (took > slowest) slowest = took;
    free(exact);
    if ((k + 1) % 100000 == 0) fprintf(stderr, "%ld programs, %ld ran, %ld refused, slowest %.3f s\n", k + 1, ran, refused, slowest);
  }
  rt_session_close(session);
  double stats[kStatCount];
  rt_stats(stats, kStatCount);
  for (uint32_t i = 0; i < c.n; i++) free(c.programs[i]);
  free(c.programs);
  free(c.lengths);
  rt_set(kSetClearCache, 0);
  printf("%ld programs: %ld ran, %ld refused, slowest %.3f s, %.0f buffers left\n", rounds, ran, refused, slowest, stats[kStatBuffers]);
  return stats[kStatBuffers] == 0 ? 0 : 1;
}
