// Runs programs of any bytes as the host would, on buffers that are as small as the program allows, and counts which
// ops ran.
#pragma once
#include <time.h>

#include "../memory.h"
#include "../program.h"
#include "../rt.h"
#include "mutate.h"

namespace denim::fuzz {

constexpr int64_t kSourceBytes = int64_t(1) << 20;
/// What inputs are filled with: small integers (indices that are mostly in range), small numbers, special ones,
/// anything.
enum Filling { kSmall32, kSmall64, kOnes, kZeros, kSpecial, kNoise, kFillings };

struct Driver {
  Random& r;
  double session = rt_session_open();
  uint8_t* sources[kFillings];
  long ran = 0, failed = 0, refused = 0, ran_op[kOps] = {};
  double slowest = 0;

  explicit Driver(Random& random) : r(random) {
    for (int i = 0; i < kFillings; i++) {
      sources[i] = static_cast<uint8_t*>(malloc(kSourceBytes));
      if (!sources[i]) abort();
      fill(static_cast<Filling>(i), sources[i]);
    }
  }
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  ~Driver() {
    rt_session_close(session);
    for (uint8_t* s : sources) free(s);
  }
  void fill(Filling kind, uint8_t* out) {
    static const float special[] = {
        0.0f, -0.0f, 1.0f, -1.5f, 1e-40f, 3e38f, -3e38f, __builtin_inff(), -__builtin_inff(), __builtin_nanf("")};
    for (int64_t i = 0; i < kSourceBytes; i += 8) {
      uint64_t small = r.below(2), word = 0;
      const float pair[2] = {kind == kOnes ? 1.0f : r.of(special), kind == kOnes ? 0.5f : r.of(special)};
      switch (kind) {
        case kSmall32: word = small | static_cast<uint64_t>(r.below(r.one_in(16) ? 5 : 2)) << 32; break;
        case kSmall64: word = small; break;
        case kZeros: break;
        case kNoise: word = r.next(); break;
        default: memcpy(&word, pair, 8);
      }
      memcpy(out + i, &word, 8);
    }
  }
  /// Decodes only, with loops of any length: sizes that overflow show in the checks.
  void decode(const double* words, uint32_t n) {
    const int64_t most = g_max_elements;
    double program;
    g_max_elements = int64_t(1) << 44;
    if (rt_prepare(session, words, n, &program) == 0) rt_drop(session, program);
    g_max_elements = most;
  }
  /// Runs the words; returns the status, or that of the first output that failed later.
  int32_t run(const double* words, uint32_t n) {
    const double start = seconds();
    const double counts[2] = {n > 4 ? words[4] : 0, n > 10 ? words[10] : 0};
    const uint32_t n_in = counts[0] >= 0 && counts[0] <= 64 ? static_cast<uint32_t>(counts[0]) : 1;
    const uint32_t n_out = counts[1] >= 0 && counts[1] <= 64 ? static_cast<uint32_t>(counts[1]) : 1;
    double inputs[128], outputs[192];
    const uint32_t filling = r.below(kFillings);
    for (uint32_t i = 0; i < n_in; i++) {
      const double bytes = kHeaderWords + 2 * i < n ? words[kHeaderWords + 2 * i] : 0;
      inputs[2 * i] =
          upload(bytes >= 0 && bytes <= kSourceBytes ? bytes : 64, r.one_in(4) ? r.below(kFillings) : filling);
      inputs[2 * i + 1] = r.below(2);
    }
    int32_t status = rt_eval(session, 0, words, n, inputs, n_in, outputs, n_out, r.below(8) != 0);
    const bool accepted = status == 0;
    for (uint32_t i = 0; accepted && i < n_out; i++) {
      const int32_t later = rt_wait(session, outputs[3 * i]);
      status = status ? status : later;
      rt_release(session, &outputs[3 * i], 1);
    }
    for (uint32_t i = 0; i < n_in; i++)
      rt_release(session, &inputs[2 * i], 1);  // a given one is stale by now, which is fine
    (accepted ? status ? failed : ran : refused)++;
    const double took = seconds() - start;
    slowest = took > slowest ? took : slowest;
    return status;
  }
  void count(Tree& t) {
    for (Instruction& ins : t.instructions) {
      if (!ins.fused()) ran_op[ins.op]++;
      for (const Step& s : ins.steps) ran_op[s.op]++;
      for (const Reduction& o : ins.reductions) if (o.op >= 0 && o.op < kOps) ran_op[static_cast<int>(o.op)]++;
    }
  }

 private:
  double upload(double bytes, uint32_t filling) {
    double out[3] = {0, 0, 0};
    rt_upload(session, sources[filling], bytes, out);
    return out[0];
  }
  static double seconds() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  }
};

}  // namespace denim::fuzz
