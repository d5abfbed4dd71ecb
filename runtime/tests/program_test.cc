// The program decoder: every seed of the fuzzer is a program that runs, and what a program must not say is refused. A
// short run of the fuzzer itself ends the file; runtime/fuzz/programs.cc is the long one.
#include "program.h"

#include "fuzz/driver.h"
#include "fuzz/seeds.h"
#include "test.h"

namespace denim::fuzz {
namespace {

/// A driver on small loops and little memory; what was set before comes back at the end.
struct Bounded {
  Random r{1};
  Driver driver{r};
  Pool pool;
  int64_t most = g_max_elements;
  double limit = rt_set(kSetMemoryLimit, 256.0 * 1024 * 1024);
  Bounded() { g_max_elements = 1 << 14; }
  ~Bounded() {
    g_max_elements = most;
    rt_set(kSetMemoryLimit, limit);
  }
  Tree tree() {
    pool.used = 0;
    return {&pool, 0, {}, {}, {}, {}, {}, {}};
  }
  int32_t run(Tree& t) {
    List<double> words = write_tree(t);
    return driver.run(words.at, words.n);
  }
};
/// A program of one kernel, and its operands to be changed.
struct OneCall {
  Bounded b;
  Tree t;
  OneCall(Op op, const char* operands, const char* params) : t(b.tree()) { kernel_seed({op, operands, params}, &t); }
  Instruction& ins() { return t.instructions[0]; }
  Operand& operand(uint32_t i) { return ins().operands[i]; }
  int32_t run() { return b.run(t); }
};

/// Whether it runs on some data: indices are random, and so is what they may be.
bool runs(Bounded& b, uint32_t seed) {
  for (int tries = 0; tries < 60; tries++) {
    Tree t = b.tree();
    if (!make_seed(seed, &t)) return false;
    const int32_t status = b.run(t);
    if (status == kOk) return true;
    if (status == kBadProgram) return false;
  }
  return false;
}

TEST(program_every_kernel_has_a_seed_that_runs) {
  Bounded b;
  bool seen[kOps] = {};
  for (uint32_t i = 0; i < kKernelSeeds; i++) {
    seen[static_cast<int>(kSeeds[i].op)] = true;
    const bool ran = runs(b, i);
    if (!ran) printf("%s: %s\n", kOpFacts[static_cast<int>(kSeeds[i].op)].name, kSeeds[i].operands);
    CHECK(ran);
  }
  seen[static_cast<int>(Op::metalKernel)] = true;  // on a CPU it does nothing but refuse
  for (int op = 0; op < kOps; op++) CHECK(seen[op] || kOpFacts[op].kind != Kind::kernel);
}
TEST(program_every_elementwise_op_runs_in_some_dtype) {
  Bounded b;
  for (uint32_t op = 0; op < kOps; op++) {
    if (kOpFacts[op].kind != Kind::elementwise && kOpFacts[op].kind != Kind::reduce) continue;
    int dtypes = 0;
    for (uint32_t d = 0; d < kDTypes; d++) dtypes += runs(b, kKernelSeeds + op * kDTypes + d);
    if (!dtypes) printf("%s\n", kOpFacts[op].name);
    CHECK(dtypes > 0);
  }
}
TEST(program_is_the_same_after_reading_and_writing) {
  Bounded b;
  for (uint32_t i = 0; i < kKernelSeeds + kFusedSeeds; i += i < kKernelSeeds ? 1 : 37) {
    Tree t = b.tree(), again{&b.pool, 0, {}, {}, {}, {}, {}, {}};
    if (!make_seed(i, &t)) continue;
    List<double> words = write_tree(t);
    CHECK(read_tree(words.at, words.n, &again));
    List<double> second = write_tree(again);
    CHECK(words.n == second.n && memcmp(words.at, second.at, sizeof(double) * words.n) == 0);
  }
}
TEST(program_cut_short_is_refused) {
  OneCall c(Op::addmm, "f32[4,5] f32[4,6] f32[6,5] -> f32[4,5]", "1 1");
  List<double> words = write_tree(c.t);
  for (uint32_t n = 0; n < words.n; n++) {
    double* cut = static_cast<double*>(malloc(sizeof(double) * (n + 1)));
    memcpy(cut, words.at, sizeof(double) * n);
    if (n > 3) cut[3] = n;
    CHECK(c.b.driver.run(cut, n) != kOk);
    free(cut);
  }
}
TEST(program_words_that_are_no_integers_are_refused) {
  OneCall c(Op::cumsum, "f32[3,5] -> f32[3,5]", "1 0 1");
  const double odd[] = {
      0.5, -1.5, 1e300, -1e300, __builtin_nan(""), __builtin_inf(), -__builtin_inf(), 9007199254740993.0};
  List<double> words = write_tree(c.t);
  for (uint32_t at = 0; at < words.n; at++) {
    const double kept = words[at];
    for (double w : odd) {
      words[at] = w;
      CHECK(c.b.driver.run(words.at, words.n) != kOk);
    }
    words[at] = kept;
  }
}

TEST(program_operands_lie_in_their_values) {
  OneCall c(Op::softmax, "f32[3,5] -> f32[3,5]", "1");
  Operand& x = c.operand(0);
  CHECK(c.run() == kOk);
  x.offset = 4;
  CHECK(c.run() == kBadProgram);
  x.offset = 2;
  CHECK(c.run() == kBadProgram);
  x.offset = 0;
  x.strides[0] = -5;
  CHECK(c.run() == kBadProgram);
  x.offset = 40;  // the same rows from the last one up
  CHECK(c.run() == kOk);
  x.offset = 0;
  x.strides[0] = 1099511627776.0;
  CHECK(c.run() == kBadProgram);
}
TEST(program_a_stride_of_one_element_may_be_anything) {
  OneCall c(Op::softmax, "f32[1,5] -> f32[1,5]", "1");
  c.operand(0).strides[0] = -1099511627776.0;
  CHECK(c.run() == kOk);
}
TEST(program_empty_arrays_end_at_once) {
  const char* operands[] = {"f32[0,5] -> f32[0,5]", "f32[5,0] -> f32[5,0]",
                            "f32[1099511627776,0] -> f32[1099511627776,0]",
                            "f32[0,1099511627776] -> f32[0,1099511627776]",
                            "f32[1099511627776,1099511627776,0,3] -> f32[1099511627776,1099511627776,0,3]"};
  const Op ops[] = {Op::softmax, Op::cumsum, Op::sort, Op::rmsNorm};
  const char* params[] = {"1", "1 0 1", "1", "1e-5"};
  for (int i = 0; i < 4; i++) {
    for (const char* o : operands) {
      OneCall c(ops[i], o, params[i]);
      c.run();
      CHECK(c.b.driver.slowest < 1);
    }
  }
}
TEST(program_empty_arrays_have_bounded_axes) {
  OneCall c(Op::softmax, "f32[1099511627776,0,1099511627776] -> f32[1099511627776,0,1099511627776]", "1");
  CHECK(c.run() == kMemoryLimit);
}
TEST(program_sums_over_nothing) {
  Bounded b;
  Tree t = b.tree();
  fused_seed(static_cast<uint32_t>(Op::sum), static_cast<double>(static_cast<int>(DType::float32)), &t);
  t.instructions[0].loop[0] = 0;
  CHECK(b.run(t) == kOk);
}
TEST(program_without_arrays_runs) {
  Bounded b;
  Tree t = b.tree();
  Instruction ins{};
  ins.op = kFusedOp;
  ins.scalars.push(b.pool, {10, 1, 0});
  t.instructions.push(b.pool, ins);
  CHECK(b.run(t) == kOk);
}
TEST(program_scatters_without_updates) {
  OneCall c(Op::scatter, "f32[6,8] f32[3,1,0] i32[3] -> f32[6,8]", "1 0 1");
  CHECK(c.run() == kOk);
}
TEST(program_outputs_overlap_nothing) {
  OneCall c(Op::softmax, "f32[3,5] -> f32[3,5]", "1");
  c.operand(1).value = c.operand(0).value;
  CHECK(c.run() == kBadProgram);  // an input that is only read
  c.t.inputs[0].written = 1;
  CHECK(c.run() == kBadProgram);  // softmax does not work in place
  OneCall u(Op::sliceUpdate, "f32[6,8] f32[2,3] -> f32[6,8]", "2 1 7 2 2 -3 0");
  u.operand(2).value = u.operand(0).value;
  u.t.inputs[0].written = 1;
  CHECK(u.run() == kOk);  // an update does
  u.operand(1).value = u.operand(0).value;
  CHECK(u.run() == kBadProgram);
}
TEST(program_constants_end_inside_the_program) {
  Bounded b;
  Tree t = b.tree();
  kernel_seed({Op::argmax, "f32[3,5] -> u32[3]", "1"}, &t);
  double value = add_place(t, 64);
  Constant c{t.values[static_cast<uint32_t>(value)].place, 16, {}};
  c.data.push(b.pool, 1);
  c.data.push(b.pool, 2);
  t.constants.push(b.pool, c);
  CHECK(b.run(t) == kOk);
  t.constants[0].bytes = 17;
  CHECK(b.run(t) == kBadProgram);
  t.constants[0].bytes = 16;
  t.constants[0].place = 0;  // an input
  CHECK(b.run(t) == kBadProgram);
}

TEST(program_profile_has_each_instruction_inside_its_program) {
  double out[1 + 64 * kSpanWords];
  OneCall c(Op::matmul, "f32[4,6] f32[6,5] -> f32[4,5]", "");
  Bounded& b = c.b;
  CHECK(rt_profile(b.driver.session, 2, out, 1) > 0 && out[0] == 0);
  CHECK(c.run() == kOk);
  rt_synchronize(b.driver.session, -1);
  CHECK(rt_profile(b.driver.session, 0, out, 1 + 2 * kSpanWords) > 0 && out[0] == 2);  // as many as there is room for
  const double first[] = {out[1 + kSpanInstruction], out[1 + kSpanWords + kSpanInstruction]};
  CHECK(first[0] == -2 && first[1] == 0);
  CHECK(rt_profile(b.driver.session, 0, out, 1 + 64 * kSpanWords) > 0);
  const double* last = out + 1 + (static_cast<int>(out[0]) - 1) * kSpanWords;
  CHECK(out[0] == c.t.instructions.n && last[kSpanInstruction] == -1);  // the rest of the instructions, and the program
  for (const double* s = out + 1; s < last; s += kSpanWords)
    CHECK(s[kSpanBegin] >= last[kSpanBegin] && s[kSpanEnd] >= s[kSpanBegin] && s[kSpanEnd] <= last[kSpanEnd]);
  CHECK(c.run() == kOk);
  CHECK(rt_profile(b.driver.session, 0, out, 64) > 0 && out[0] == 0);
  CHECK(rt_profile(b.driver.session, 2, out, 0) == 0 && rt_profile(-1, 2, out, 64) == 0);
}

TEST(program_survives_mutation) {
  Bounded b;
  for (int round = 0; round < 4000; round++) {
    Tree t = b.tree(), other = {&b.pool, 0, {}, {}, {}, {}, {}, {}};
    while (!make_seed(b.r.below(b.r.one_in(2) ? kKernelSeeds : kKernelSeeds + kFusedSeeds), &t)) {
    }
    while (!make_seed(b.r.below(kKernelSeeds), &other)) {
    }
    List<double> words = mutate(b.r, t, other);
    if (b.r.one_in(3)) b.driver.decode(words.at, words.n);
    b.driver.run(words.at, words.n);
  }
  CHECK(b.driver.ran > 400);
  CHECK(b.driver.slowest < 20);
}

}  // namespace
}  // namespace denim::fuzz
