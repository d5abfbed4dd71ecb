// Fuzzer of the program decoder and the kernels: takes recorded programs and the seeds of seeds.h, changes them, and
// runs what the decoder lets through. Built with sanitizers by scripts/sanitize.ts; a crash, a leak or a hang is a
// defect, an error status is fine.
//
//   programs CORPUS ROUNDS [SEED [ONLY]]   CORPUS: for each program its number of words, then the words, as float64
//
// ONLY runs that round alone: rounds depend on their number and the seed, not on each other.
#include <stdio.h>

#include "../program.h"
#include "driver.h"
#include "seeds.h"

namespace {
using namespace denim::fuzz;

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

/// A recorded program or a seed.
void pick(Random& r, const Corpus& c, Tree* t) {
  if (c.n && r.below(2)) {
    const uint32_t i = r.below(c.n);
    if (!read_tree(c.programs[i], c.lengths[i], t)) exit(2);
    return;
  }
  while (!make_seed(r.below(r.below(2) ? kKernelSeeds : kKernelSeeds + kFusedSeeds), t)) {}
}
/// Elements that a loop may have: kernels like products do their square in work, fused loops only what they say.
constexpr int64_t kMost = 1 << 14, kMostFused = 1 << 20;
bool all_fused(Tree& t) {
  for (const Instruction& ins : t.instructions) {
    if (!ins.fused()) return false;
  }
  return true;
}
void round(Driver& driver, Random& r, Pool& pool, const Corpus& c) {
  pool.used = 0;
  Tree tree{&pool, 0, {}, {}, {}, {}, {}, {}}, other = tree;
  pick(r, c, &tree);
  pick(r, c, &other);
  const List<double> words = mutate(r, tree, other);
  double* exact =
      static_cast<double*>(malloc(sizeof(double) * (words.n ? words.n : 1)));  // reading past the end is seen
  memcpy(exact, words.at, sizeof(double) * words.n);
  denim::g_max_elements = all_fused(tree) ? kMostFused : kMost;
  if (r.one_in(3)) driver.decode(exact, words.n);
  const double slowest = driver.slowest;
  if (driver.run(exact, words.n) == 0) driver.count(tree);
  if (driver.slowest > slowest && driver.slowest > 1) fprintf(stderr, "%.3f s for %u words\n", driver.slowest, words.n);
  free(exact);
}
void print_ops(const Driver& d) {
  for (int i = 0; i < denim::kOps; i++) {
    const bool runs = denim::kOpFacts[i].kind != denim::Kind::view && denim::kOpFacts[i].kind != denim::Kind::constant;
    if (runs) printf("%s %ld, ", denim::kOpFacts[i].name, d.ran_op[i]);
  }
  printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: %s CORPUS ROUNDS [SEED [ONLY]]\n", argv[0]);
    return 2;
  }
  Corpus c = read_corpus(argv[1]);
  const long rounds = atol(argv[2]), only = argc > 4 ? atol(argv[4]) : -1;
  const uint64_t seed = argc > 3 ? static_cast<uint64_t>(atoll(argv[3])) : 1;
  rt_set(kSetMemoryLimit, 256.0 * 1024 * 1024);
  {
    Random r{seed};
    Driver driver(r);
    Pool pool;
    for (long k = only < 0 ? 0 : only; k < (only < 0 ? rounds : only + 1); k++) {
      r.state = seed * 0x9e3779b97f4a7c15u + static_cast<uint64_t>(k) * 0xd1342543de82ef95u;
      if (getenv("DENIM_FUZZ_TRACE")) fprintf(stderr, "round %ld\n", k);
      round(driver, r, pool, c);
      if ((k + 1) % 50000 == 0) {
        fprintf(stderr, "%ld programs: %ld ran, %ld failed, %ld refused, slowest %.3f s\n", k + 1, driver.ran,
                driver.failed, driver.refused, driver.slowest);
      }
    }
    print_ops(driver);
    printf("%ld programs: %ld ran, %ld failed, %ld refused, slowest %.3f s\n", rounds, driver.ran, driver.failed,
           driver.refused, driver.slowest);
  }
  for (uint32_t i = 0; i < c.n; i++) free(c.programs[i]);
  free(c.programs);
  free(c.lengths);
  rt_set(kSetClearCache, 0);
  double stats[kStatCount];
  rt_stats(stats, kStatCount);
  printf("%.0f buffers left\n", stats[kStatBuffers]);
  return stats[kStatBuffers] == 0 ? 0 : 1;
}
