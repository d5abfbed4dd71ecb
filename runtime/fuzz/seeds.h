// Small programs to start from: each kernel of the table at work once or more, and each elementwise op and reduction in
// each dtype (most are refused, which is a test as well).
#pragma once
#include "tree.h"

namespace denim::fuzz {

/// A call of a kernel: operands as dtype[shape], outputs after "->", then the parameters as words, lists with their
/// length.
struct Seed {
  Op op;
  const char *operands, *params;
};
constexpr Seed kSeeds[] = {
    {Op::argmax, "f32[3,5] -> u32[3]", "1"},
    {Op::argmin, "i8[4,3,5] -> u32[3,5]", "0"},
    {Op::cumsum, "f32[3,5] -> f32[3,5]", "1 0 1"},
    {Op::cumprod, "i16[3,5] -> i16[3,5]", "0 1 1"},
    {Op::cummax, "f16[70,3] -> f16[70,3]", "0 0 0"},
    {Op::cummin, "bf16[3,300] -> bf16[3,300]", "1 1 0"},
    {Op::logcumsumexp, "f32[3,5] -> f32[3,5]", "1 0 1"},
    {Op::sort, "f32[3,50] -> f32[3,50]", "1"},
    {Op::sort, "c64[5,3] -> c64[5,3]", "0"},
    {Op::argsort, "u8[2,70] -> u32[2,70]", "1"},
    {Op::gather, "f32[6,8] i32[3] -> f32[3,1,8]", "1 0 2 1 8"},
    {Op::gather, "f16[6,8,2] i64[2,3] i64[2,3] -> f16[2,3,2,1,2]", "2 0 1 3 2 1 2"},
    {Op::gather, "f32[6,8] -> f32[2,8]", "0 2 2 8"},
    {Op::scatter, "f32[6,8] f32[3,1,8] i32[3] -> f32[6,8]", "1 0 1"},
    {Op::scatter, "bf16[6,40] bf16[3,1,40] u32[3] -> bf16[6,40]", "1 0 2"},
    {Op::scatter, "c64[6,8] c64[2,2,2,3] i64[2,2] i64[2,2] -> c64[6,8]", "2 1 0 3"},
    {Op::gatherAxis, "f32[4,6] i32[4,3] -> f32[4,3]", "1"},
    {Op::gatherAxis, "u8[4,6,2] i64[3,6,2] -> u8[3,6,2]", "0"},
    {Op::scatterAxis, "f32[4,6] i32[4,3] f32[4,3] -> f32[4,6]", "1 1"},
    {Op::scatterAxis, "i16[4,6] u32[2,6] i16[2,6] -> i16[4,6]", "0 0"},
    {Op::sliceUpdate, "f32[6,8] f32[2,3] -> f32[6,8]", "2 1 7 2 2 -3 0"},
    {Op::sliceUpdate, "u16[6,8] u16[6,8] -> u16[6,8]", "2 0 0 2 1 1 4"},
    {Op::dynamicSlice, "f32[6,8] i32[2] -> f32[3,4]", "2 0 1 2 3 4"},
    {Op::dynamicSliceUpdate, "f32[6,8] f32[3,8] i64[1] -> f32[6,8]", "1 0"},
    {Op::concatenate, "f32[2,3] f32[4,3] f32[1,3] -> f32[7,3]", "0"},
    {Op::concatenate, "u8[2,3] u8[2,1] -> u8[2,4]", "1"},
    {Op::matmul, "f32[4,6] f32[6,5] -> f32[4,5]", ""},
    {Op::matmul, "f32[33,40] f32[40,65] -> f32[33,65]", ""},
    {Op::matmul, "f16[2,3,4,6] f16[2,3,6,5] -> f16[2,3,4,5]", ""},
    {Op::matmul, "bf16[1,64] bf16[64,40] -> bf16[1,40]", ""},
    {Op::matmul, "f64[17,9] f64[9,33] -> f64[17,33]", ""},
    {Op::matmul, "c64[7,5] c64[5,9] -> c64[7,9]", ""},
    {Op::addmm, "f32[20,33] f32[20,40] f32[40,33] -> f32[20,33]", "0.5 2"},
    {Op::addmm, "c64[3,3] c64[3,4] c64[4,3] -> c64[3,3]", "1 1"},
    {Op::gatherMm, "f32[3,4,6] f32[2,6,5] i32[7] u32[7] -> f32[7,4,5]", ""},
    {Op::quantizedMatmul, "f32[3,64] u32[16,8] f32[16,2] f32[16,2] -> f32[3,16]", "1 32 4 0"},
    {Op::quantizedMatmul, "f16[20,64] u32[64,12] f16[64,1] f16[64,1] -> f16[20,64]", "0 64 6 0"},
    {Op::quantizedMatmul, "f32[2,3,64] u32[2,16,8] u8[2,16,2] -> f32[2,3,16]", "1 32 4 1"},
    {Op::quantizedMatmul, "bf16[1,64] u32[16,16] u8[16,2] -> bf16[1,16]", "1 32 8 2"},
    {Op::quantizedMatmul, "f32[40,64] u32[16,8] u8[16,4] -> f32[40,16]", "1 16 4 3"},
    {Op::gatherQmm, "f32[4,3,64] u32[2,16,8] f32[2,16,2] f32[2,16,2] i32[5] i32[5] -> f32[5,3,16]", "1 32 4 0"},
    {Op::gatherQmm, "f32[4,3,64] u32[2,16,8] u8[2,16,2] u32[5] u32[5] -> f32[5,3,16]", "1 32 4 1"},
    {Op::dequantize, "u32[16,8] f32[16,2] f32[16,2] -> f32[16,64]", "32 4 0 10"},
    {Op::dequantize, "u32[2,5,6] bf16[2,5,2] bf16[2,5,2] -> bf16[2,5,64]", "32 3 0 12"},
    {Op::dequantize, "u32[16,8] u8[16,4] -> f32[16,64]", "16 4 3 10"},
    {Op::softmax, "f32[3,37] -> f32[3,37]", "1"},
    {Op::logsumexp, "bf16[3,37] -> bf16[3]", ""},
    {Op::rmsNorm, "f32[3,37] f32[37] -> f32[3,37]", "1e-5"},
    {Op::rmsNorm, "f16[3,37] -> f16[3,37]", "1e-5"},
    {Op::layerNorm, "f32[3,37] f32[37] f32[37] -> f32[3,37]", "1e-5 1 1"},
    {Op::layerNorm, "f64[3,37] f64[37] -> f64[3,37]", "1e-5 0 1"},
    {Op::rope, "f32[2,3,5,8] i32[] -> f32[2,3,5,8]", "8 0 10000 1 0"},
    {Op::rope, "f16[2,3,5,12] i32[2] f32[4] -> f16[2,3,5,12]", "8 1 10000 1 1"},
    {Op::attention, "f32[1,4,3,8] f32[1,2,5,8] f32[1,2,5,9] -> f32[1,4,3,9]", "0.5 1 0 0 0 0"},
    {Op::attention, "f16[2,2,40,16] f16[2,1,50,16] f16[2,1,50,16] bool[2,2,40,50] -> f16[2,2,40,16]", "0.5 0 0 1 0 0"},
    {Op::attention, "f32[2,4,1,16] f32[2,2,200,16] f32[2,2,200,16] f32[4] i32[2] -> f32[2,4,1,16]", "0.5 0 7 0 1 1"},
    {Op::attention, "bf16[1,2,1,8] bf16[1,2,5,8] bf16[1,2,5,8] bf16[1,2,1,5] i32[] -> bf16[1,2,1,8]", "0.5 1 3 1 0 1"},
    {Op::conv, "f32[2,9,2] f32[3,3,2] -> f32[2,9,3]", "1 1 1 1 1 1 1 1 1 1 1 0"},
    {Op::conv, "f16[1,5,6,4] f16[6,3,3,2] -> f16[1,5,6,6]", "2 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1"},
    {Op::conv, "f32[1,4,5,6,3] f32[2,2,2,2,3] -> f32[1,2,2,3,2]", "3 2 2 2 3 0 0 0 3 0 0 0 3 1 1 1 3 1 1 1 1 0"},
    {Op::conv, "f32[1,5,5,2] f32[3,2,3,2] -> f32[1,11,10,3]", "2 1 1 2 2 1 2 1 2 2 1 1 2 2 2 1 1"},
    {Op::randomBits, "u32[2] -> u32[7]", "1 7 4"},
    {Op::randomBits, "u32[3,2] -> u8[3,2,5]", "2 2 5 1"},
    {Op::fft, "c64[3,12] -> c64[3,12]", "1 0 1"},
    {Op::fft, "c64[17,5,2] -> c64[17,5,2]", "0 1 0.5"},
    {Op::fft, "c64[2,1200] -> c64[2,1200]", "1 0 1"},
    {Op::rfft, "f32[3,10] -> c64[3,6]", "1 1"},
    {Op::rfft, "f32[1031,2] -> c64[516,2]", "0 1"},
    {Op::irfft, "c64[3,6] -> f32[3,10]", "1 10 1"},
    {Op::irfft, "c64[2,3,4] -> f32[2,5,4]", "1 5 0.2"},
    {Op::cholesky, "f32[2,3,3] -> f32[2,3,3]", "0"},
    {Op::cholesky, "c64[4,4] -> c64[4,4]", "1"},
    {Op::lu, "f64[5,3] -> f64[5,5]", ""},
    {Op::lu, "c64[2,3,40] -> c64[2,3,42]", ""},
    {Op::qr, "f32[5,3] -> f32[5,6]", ""},
    {Op::qr, "c64[2,3,4] -> c64[2,3,7]", ""},
    {Op::eigh, "f32[2,4,4] -> f32[2,5,4]", "1 1"},
    {Op::eigh, "c64[3,3] -> c64[1,3]", "0 0"},
    {Op::svd, "f32[5,3] -> f32[9,5]", "1"},
    {Op::svd, "f64[2,3,4] -> f64[2,1,3]", "0"},
    {Op::svd, "c64[3,4] -> c64[8,4]", "1"},
    {Op::pinv, "f32[2,3,5] -> f32[2,5,3]", "1e-5"},
    {Op::eig, "f32[2,4,4] -> c64[2,5,4]", "1"},
    {Op::eig, "c64[3,3] -> c64[1,3]", "0"},
    {Op::solve, "f32[2,3,3] f32[2,3,5] -> f32[2,3,5]", ""},
    {Op::solve, "c64[40,40] c64[40,1] -> c64[40,1]", ""},
    {Op::solveTriangular, "f64[3,3] f64[3,2] -> f64[3,2]", "1"},
    {Op::slogdet, "f32[2,3,3] -> f32[2,2]", ""},
    {Op::det, "c64[2,3,3] -> c64[2]", ""},
    {Op::expm, "f32[2,3,3] -> f32[2,3,3]", ""},
};
constexpr uint32_t kKernelSeeds = sizeof kSeeds / sizeof kSeeds[0];

inline double dtype_named(const char* name, size_t n) {
  constexpr const char* names[kDTypes] = {"bool", "u8",  "u16", "u32", "u64", "i8",   "i16",
                                          "i32",  "i64", "f16", "f32", "f64", "bf16", "c64"};
  for (int i = 0; i < kDTypes; i++) if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0) return i;
  abort();
}
/// Reads dtype[shape] at `text`; returns what follows.
inline const char* read_operand(const char* text, Operand* o) {
  const char* open = strchr(text, '[');
  o->dtype = dtype_named(text, static_cast<size_t>(open - text));
  for (text = open + 1; *text != ']'; text += *text == ',')
    o->shape[o->rank++] = static_cast<double>(strtol(text, const_cast<char**>(&text), 10));
  make_dense(*o);
  return text + 1;
}
inline double bytes_of(const Operand& o) {
  double n = static_cast<double>(size_of(o.dtype));
  for (uint32_t i = 0; i < o.rank; i++) n *= o.shape[i];
  return n;
}
inline void kernel_seed(const Seed& seed, Tree* t) {
  Instruction ins{};
  ins.op = static_cast<uint32_t>(seed.op);
  bool out = false;
  for (const char* text = seed.operands; *text;) {
    if (*text == ' ') {
      text++;
    } else if (*text == '-') {
      out = true;
      text += 2;
    } else {
      Operand o{};
      text = read_operand(text, &o);
      o.value = out ? add_place(*t, bytes_of(o)) : add_input(*t, bytes_of(o));
      if (out) t->outputs.push(*t->pool, o.value);
      else ins.n_in++;
      ins.operands.push(*t->pool, o);
    }
  }
  for (const char* text = seed.params; *text; text += *text == ' ')
    ins.params.push(*t->pool, strtod(text, const_cast<char**>(&text)));
  t->instructions.push(*t->pool, ins);
}

/// One elementwise op, or a reduction, of one dtype over a loop of three axes.
inline void fused_seed(uint32_t op, double dtype, Tree* t) {
  const OpFacts& facts = kOpFacts[op];
  const Op name = static_cast<Op>(op);
  Instruction ins{};
  ins.op = kFusedOp;
  ins.rank = 3;
  const double loop[3] = {5, 4, 7}, complex = static_cast<double>(static_cast<int>(DType::complex64)),
               bytes = 140 * static_cast<double>(size_of(dtype));
  memcpy(ins.loop, loop, sizeof loop);
  bool truth = name == Op::logicalNot || name == Op::logicalAnd || name == Op::logicalOr ||
               (name >= Op::equal && name <= Op::lessEqual);
  bool part = dtype == complex && (name == Op::real || name == Op::imag || name == Op::abs);
  double result = part ? static_cast<double>(static_cast<int>(DType::float32)) : dtype;
  if (truth || name == Op::all || name == Op::any) result = 0;
  Step step{};
  for (int i = 0; i < facts.arity; i++) {
    Operand o{};
    o.rank = 3;
    o.dtype = name == Op::select && i == 0 ? 0 : dtype;
    memcpy(o.shape, loop, sizeof loop);
    make_dense(o);
    o.value = add_input(*t, bytes);
    ins.operands.push(*t->pool, o);
    step.args[i] = i;
  }
  ins.n_in = static_cast<uint32_t>(facts.arity);
  if (facts.kind == Kind::reduce) {
    double out = add_place(*t, 4 * static_cast<double>(size_of(result)));
    ins.reductions.push(*t->pool, {double(op), 0, 5, out, result});
    t->outputs.push(*t->pool, out);
  } else {
    step.op = op;
    step.n_args = static_cast<uint32_t>(facts.arity);
    step.dtype = result;
    if (name == Op::astype) step.params[0] = result;
    if (name == Op::arange) step.params[0] = 2, step.params[1] = 3, step.params[2] = 140, step.params[3] = result;
    ins.steps.push(*t->pool, step);
    double out = add_place(*t, 140 * static_cast<double>(size_of(result)));
    ins.outs.push(*t->pool, {double(ins.n_in), out, result});
    t->outputs.push(*t->pool, out);
  }
  t->instructions.push(*t->pool, ins);
}

constexpr uint32_t kFusedSeeds = kOps * kDTypes;
/// Seed number i < kKernelSeeds + kFusedSeeds; false where there is none of that number.
inline bool make_seed(uint32_t i, Tree* t) {
  if (i < kKernelSeeds) {
    kernel_seed(kSeeds[i], t);
    return true;
  }
  uint32_t op = (i - kKernelSeeds) / kDTypes;
  if (kOpFacts[op].kind != Kind::elementwise && kOpFacts[op].kind != Kind::reduce) return false;
  fused_seed(op, (i - kKernelSeeds) % kDTypes, t);
  return true;
}

}  // namespace denim::fuzz
