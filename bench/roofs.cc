// Measures what this machine can do at most, and prints it as JSON: reading and copying memory at several footprints,
// and multiply-adds, with one thread and with as many as the first argument says; the second one is the time for each
// measurement in milliseconds. Compiled for the very processor that it runs on (-mcpu=native) by bench/roofs.ts. A roof
// is the best of many rounds: whatever disturbs makes it lower.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__AVX512BF16__)
#include <immintrin.h>
#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#include <arm_neon.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16, kAccumulators = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8, kAccumulators = 12;
#elif defined(__aarch64__)
constexpr int kLanes = 4, kAccumulators = 24;
#else
constexpr int kLanes = 4, kAccumulators = 12;
#endif
constexpr int kMaxThreads = 256;
constexpr int kSteps = 1 << 14;                // multiply-adds of one accumulator in a round
constexpr size_t kLargest = size_t{256} << 20;  // far beyond any cache

typedef float Floats __attribute__((ext_vector_type(kLanes)));
typedef uint64_t Words __attribute__((ext_vector_type(8)));

/// What one thread does in a round, `repeats` times: it reads `bytes` from `from`, or copies them to `to`.
struct Part {
  const uint8_t* from;
  uint8_t* to;
  size_t bytes;
  int repeats;
};
typedef void (*Kernel)(const Part&);

double g_seconds = 0.1;  // for each measurement
volatile uint64_t g_sink;
volatile float g_one = 1.0f, g_tiny = 1e-30f;

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

void read_memory(const Part& p) {
  Words sums[4] = {};
  for (int r = 0; r < p.repeats; r++) {
    const Words* x = reinterpret_cast<const Words*>(p.from);
    for (size_t i = 0, n = p.bytes / sizeof(Words); i + 4 <= n; i += 4) {
      for (int k = 0; k < 4; k++) sums[k] ^= x[i + static_cast<size_t>(k)];
    }
    __asm__ volatile("" ::: "memory");  // or the second pass would be known from the first
  }
  const Words all = sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
  g_sink = all[0] ^ all[1] ^ all[2] ^ all[3] ^ all[4] ^ all[5] ^ all[6] ^ all[7];
}
void copy_memory(const Part& p) {
  for (int r = 0; r < p.repeats; r++) {
    memcpy(p.to, p.from, p.bytes);
    __asm__ volatile("" ::: "memory");
  }
}

/// acc = acc * 1 + tiny, in enough independent chains to hide the latency.
void multiply_add(const Part& p) {
  const Floats factor = g_one, term = g_tiny;
  Floats acc[kAccumulators];
  for (int k = 0; k < kAccumulators; k++) acc[k] = factor;
  for (int i = 0; i < p.repeats * kSteps; i++) {
#pragma clang loop unroll(full)
    for (int k = 0; k < kAccumulators; k++) acc[k] = acc[k] * factor + term;
    __asm__ volatile("");
  }
  Floats sum = acc[0];
  for (int k = 1; k < kAccumulators; k++) sum += acc[k];
  g_sink = static_cast<uint64_t>(sum[0]);
}
constexpr double kFlops = 2.0 * kLanes * kAccumulators * kSteps;

#if defined(__AVX512BF16__)
void dot_bfloat16(const Part& p) {
  const __m512bh a = reinterpret_cast<__m512bh>(_mm512_set1_epi32(0x3f803f80)), b = a;
  __m512 acc[kAccumulators];
  for (int k = 0; k < kAccumulators; k++) acc[k] = _mm512_setzero_ps();
  for (int i = 0; i < p.repeats * kSteps; i++) {
#pragma clang loop unroll(full)
    for (int k = 0; k < kAccumulators; k++) acc[k] = _mm512_dpbf16_ps(acc[k], a, b);
    __asm__ volatile("");
  }
  __m512 sum = acc[0];
  for (int k = 1; k < kAccumulators; k++) sum = _mm512_add_ps(sum, acc[k]);
  g_sink = static_cast<uint64_t>(_mm512_cvtss_f32(sum));
}
constexpr double kDotFlops = 4.0 * 16 * kAccumulators * kSteps;
constexpr bool kHasDot = true;
#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
void dot_bfloat16(const Part& p) {
  const bfloat16x8_t a = vreinterpretq_bf16_u16(vdupq_n_u16(0x3f80)), b = a;
  float32x4_t acc[kAccumulators];
  for (int k = 0; k < kAccumulators; k++) acc[k] = vdupq_n_f32(0);
  for (int i = 0; i < p.repeats * kSteps; i++) {
#pragma clang loop unroll(full)
    for (int k = 0; k < kAccumulators; k++) acc[k] = vbfmmlaq_f32(acc[k], a, b);
    __asm__ volatile("");
  }
  float32x4_t sum = acc[0];
  for (int k = 1; k < kAccumulators; k++) sum = vaddq_f32(sum, acc[k]);
  g_sink = static_cast<uint64_t>(vgetq_lane_f32(sum, 0));
}
constexpr double kDotFlops = 32.0 * kAccumulators * kSteps;
constexpr bool kHasDot = true;
#else
constexpr Kernel dot_bfloat16 = nullptr;
constexpr double kDotFlops = 0;
constexpr bool kHasDot = false;
#endif

/// The threads of a round wait for `go`, work, and count themselves in `done`.
struct Team {
  Kernel kernel;
  const Part* parts;
  int go, done, ready;
};
struct Member {
  Team* team;
  int index;
};
void* work(void* argument) {
  const Member& m = *static_cast<Member*>(argument);
  __atomic_fetch_add(&m.team->ready, 1, __ATOMIC_SEQ_CST);
  while (!__atomic_load_n(&m.team->go, __ATOMIC_ACQUIRE)) {
  }
  m.team->kernel(m.team->parts[m.index]);
  __atomic_fetch_add(&m.team->done, 1, __ATOMIC_SEQ_CST);
  return nullptr;
}
/// Seconds of one round with these threads.
double round_of(Kernel kernel, const Part* parts, int threads) {
  Team team = {kernel, parts, 0, 0, 0};
  Member members[kMaxThreads];
  pthread_t ids[kMaxThreads];
  for (int i = 1; i < threads; i++) {
    members[i] = {&team, i};
    if (pthread_create(&ids[i], nullptr, work, &members[i]) != 0) exit(1);
  }
  while (__atomic_load_n(&team.ready, __ATOMIC_ACQUIRE) < threads - 1) {
  }
  const double start = now();
  __atomic_store_n(&team.go, 1, __ATOMIC_RELEASE);
  kernel(parts[0]);
  while (__atomic_load_n(&team.done, __ATOMIC_ACQUIRE) < threads - 1) {
  }
  const double seconds = now() - start;
  for (int i = 1; i < threads; i++) pthread_join(ids[i], nullptr);
  return seconds;
}
/// The shortest of at most 100 rounds that fit into about so long a time, at least three.
double best_of(Kernel kernel, const Part* parts, int threads) {
  double best = 1e9, spent = 0;
  for (int i = 0; i < 3 || (spent < g_seconds && i < 100); i++) {
    const double seconds = round_of(kernel, parts, threads);
    spent += seconds;
    if (seconds < best) best = seconds;
  }
  return best;
}

/// Bytes per second for a footprint that the threads share; a copy's source and target make half of it each.
double bytes_per_second(uint8_t* memory, size_t footprint, bool copy, int threads) {
  Part parts[kMaxThreads];
  const size_t each = footprint / static_cast<size_t>(threads) / 512 * 512, half = each / 2 / 256 * 256;
  const int repeats = static_cast<int>(1 + (size_t{8} << 20) / footprint);
  for (int i = 0; i < threads; i++) {
    uint8_t* own = memory + static_cast<size_t>(i) * each;
    parts[i] = {own, own + half, copy ? half : each, repeats};
  }
  const double moved = static_cast<double>(copy ? 2 * half : each) * threads * repeats;
  return moved / best_of(copy ? copy_memory : read_memory, parts, threads);
}
double flops_per_second(Kernel kernel, double flops, int threads) {
  Part parts[kMaxThreads];
  for (int i = 0; i < threads; i++) parts[i] = {nullptr, nullptr, 0, 4};
  return 4 * flops * threads / best_of(kernel, parts, threads);
}

void print_roofs(uint8_t* memory, int threads) {
  printf("{\"threads\":%d,\"fma\":%.4g,", threads, flops_per_second(multiply_add, kFlops, threads));
  printf("\"bfloat16\":%.4g,", kHasDot ? flops_per_second(dot_bfloat16, kDotFlops, threads) : 0.0);
  printf("\"memory\":[");
  for (size_t footprint = size_t{1} << 20; footprint <= kLargest; footprint *= 4) {
    const double read = bytes_per_second(memory, footprint, false, threads);
    const double copy = bytes_per_second(memory, footprint, true, threads);
    const char* comma = footprint < kLargest ? "," : "";
    printf("{\"footprint\":%zu,\"read\":%.4g,\"copy\":%.4g}%s", footprint, read, copy, comma);
  }
  printf("]}");
}

}  // namespace

int main(int argc, char** argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 1;
  if (argc > 2) g_seconds = 1e-3 * atoi(argv[2]);
  if (threads < 1) threads = 1;
  if (threads > kMaxThreads) threads = kMaxThreads;
  void* memory = nullptr;
  if (posix_memalign(&memory, 4096, kLargest) != 0) return 1;
  memset(memory, 1, kLargest);
  printf("[");
  print_roofs(static_cast<uint8_t*>(memory), 1);
  if (threads > 1) {
    printf(",");
    print_roofs(static_cast<uint8_t*>(memory), threads);
  }
  printf("]\n");
  return 0;
}
