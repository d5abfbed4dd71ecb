// Fused elementwise instructions with a reduction at their end, on the GPU: the loop, the choice of threads, and the
// interpreter kernel, which takes any pattern (kernels/fused.metal).
#include "metal/fused_code.h"

#include <string.h>

#include "metal/grid.h"

namespace denim::metal {
namespace {

static_assert(static_cast<int>(DType::float16) == 9 && static_cast<int>(DType::complex64) == 13,
              "kernels/common.metal numbers the dtypes");

// Elementwise ops are consecutive in the op table: the kernel numbers them from 0.
#define X(name, arity, in_place) "OP_" #name ","
const char kOpsDefine[] = "OPS=" DENIM_ELEMENTWISE_OPS(X) "OP_count";
#undef X
#define X(name, arity, in_place) static_cast<int>(Op::name),
constexpr int kOpOrder[] = {DENIM_ELEMENTWISE_OPS(X)};
#undef X
constexpr int kFirstOp = kOpOrder[0], kElementwiseOps = sizeof kOpOrder / sizeof kOpOrder[0];
static_assert(kOpOrder[kElementwiseOps - 1] == kFirstOp + kElementwiseOps - 1);

uint64_t at_least_one(uint64_t n) { return n > 0 ? n : 1; }

bool is_predicate(Op op) {
  return op == Op::logicalNot || op == Op::logicalAnd || op == Op::logicalOr ||
         (op >= Op::equal && op <= Op::lessEqual);
}

/// An axis that does not continue the one before it for some operand starts a new one; length 1 needs none.
void add_axis(Loop* l, int begin, int* end, int64_t size, const int64_t* strides, int operands) {
  if (size == 1) return;
  bool joins = *end > begin;
  for (int k = 0; joins && k < operands; k++) joins = l->strides[k][*end - 1] == strides[k] * size;
  const int at = joins ? *end - 1 : (*end)++;
  l->shape[at] = joins ? l->shape[at] * size : size;
  for (int k = 0; k < operands; k++) l->strides[k][at] = strides[k];
}

}  // namespace

Reduce reduce_of(const Fused& f) {
  if (f.n_reduce == 0) return kNone;
  switch (f.reduce_op) {
    case Op::sum: return kSum;
    case Op::prod: return kProd;
    case Op::max:
    case Op::any: return kMax;
    default: return kMin;
  }
}

Loop loop_of(const Fused& f) {
  Loop l;
  for (int i = 0; i < f.n_in; i++) l.arrays[l.n_arrays++] = &f.in[i];
  for (int i = 0; i < f.n_out; i++) l.arrays[l.n_arrays++] = &f.out[i];
  const int operands = l.n_arrays + 1;
  int64_t counting[kMaxDims], step = 1;
  for (int a = f.ndim - 1; a >= 0; a--) {
    counting[a] = step;
    step *= f.shape[a];
    l.elements *= static_cast<uint64_t>(f.shape[a]);
  }
  int n = 0;
  for (int part = 0; part < 2; part++) {
    const int begin = n;
    for (int a = 0; a < f.ndim; a++) {
      const bool reduced = f.n_reduce != 0 && (f.reduced >> a & 1) != 0;
      if (reduced != (part == 1)) continue;
      int64_t strides[kFusedArrays + 1];
      for (int k = 0; k < l.n_arrays; k++) strides[k] = l.arrays[k]->strides[a];
      strides[l.n_arrays] = counting[a];
      add_axis(&l, begin, &n, f.shape[a], strides, operands);
      (reduced ? l.reduced : l.results) *= static_cast<uint64_t>(f.shape[a]);
    }
    (part == 0 ? l.n_kept : l.n_reduced) = n - begin;
  }
  for (int a = f.ndim - 1; a >= 0; a--) {
    if (f.shape[a] == 1) continue;
    l.by_rows = f.n_reduce != 0 && (f.reduced >> a & 1) != 0;
    break;
  }
  // The counting operand keeps its place behind the inputs and outputs.
  if (f.n_reduce != 0) {
    memcpy(l.strides[l.n_arrays + 1], l.strides[l.n_arrays], sizeof l.strides[0]);
    l.arrays[l.n_arrays++] = &f.reduce_out;
  }
  return l;
}

Layout layout_of(const Fused& f, const Loop& l) {
  if (f.n_reduce == 0) {
    const uint64_t each = l.elements >= uint64_t{1} << 20 ? 8 : l.elements >= 4096 ? 4 : 1;
    return {(l.elements + each - 1) / each, each, 1, 1};
  }
  uint64_t splits = 1;
  int lanes = 1;
  if (l.by_rows || l.results < 32) {
    lanes = l.reduced >= 2048 ? 256 : l.reduced >= 48 ? 32 : l.reduced >= 12 ? 8 : 1;
    if (l.results < 64 && l.reduced > 16384) splits = l.reduced / 4096 < 256 ? l.reduced / 4096 : 256;
  } else if (l.results < 16384 && l.reduced > 256) {
    const uint64_t wanted = 16384 / l.results + 1, most = l.reduced / 64;
    splits = wanted < most ? wanted : most;
  }
  const uint64_t part = at_least_one((l.reduced + splits - 1) / splits);
  splits = at_least_one((l.reduced + part - 1) / part);
  return {l.results * splits, part, lanes, static_cast<int>(splits)};
}

namespace {

uint64_t bits_of(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  return u;
}
uint64_t bits_of(float x, float y) { return bits_of(x) | bits_of(y) << 32; }
uint64_t pair_of(double x) {
  const float high = static_cast<float>(x);
  return bits_of(high, static_cast<float>(x - static_cast<double>(high)));
}
float round_bfloat(float x) {
  uint32_t u = static_cast<uint32_t>(bits_of(x));
  if ((u & 0x7fffffffu) > 0x7f800000u) return x;
  u = (u + 0x7fffu + (u >> 16 & 1)) & 0xffff0000u;
  memcpy(&x, &u, 4);
  return x;
}
uint64_t to_integer(double x) {
  if (x != x) return 0;
  if (x >= 0x1p63) return INT64_MAX;
  return static_cast<uint64_t>(x < -0x1p63 ? INT64_MIN : static_cast<int64_t>(x));
}

}  // namespace

uint64_t immediate_bits(const Immediate& imm) {
  const float x = static_cast<float>(imm.f);
  switch (imm.dtype) {
    case DType::complex64: return bits_of(imm.c[0], imm.c[1]);
    case DType::float32: return bits_of(x);
    case DType::float16: return bits_of(static_cast<float>(static_cast<_Float16>(x)));
    case DType::bfloat16: return bits_of(round_bfloat(x));
    case DType::bool_: return imm.i != 0 ? 1 : 0;
    default: break;
  }
  const int spare = 64 - 8 * static_cast<int>(item_size(imm.dtype));
  const uint64_t high = static_cast<uint64_t>(imm.i) << spare;
  return imm.dtype >= DType::int8 ? static_cast<uint64_t>(static_cast<int64_t>(high) >> spare) : high >> spare;
}
void arange_bits(const FusedStep& s, uint64_t* start, uint64_t* step) {
  const auto& p = *static_cast<const ArangeParams*>(s.params);
  const bool floating = s.dtype >= DType::float16;
  *start = floating ? pair_of(p.start) : to_integer(p.start);
  *step = floating ? pair_of(p.step) : to_integer(p.start + p.step) - *start;
}

namespace {

/// Numbers values and gives them slots by liveness: a value's slot is free after its last reader.
struct Coder {
  const Fused& f;
  const Loop& loop;
  Code* code;
  int last_use[kSlots * 8], slot[kSlots * 8], first_imm[kSlots * 8];
  bool taken[kSlots] = {};

  int values() const { return f.n_in + f.n_imm + f.n_steps; }
  DType dtype_of(int v) const {
    if (v < f.n_in) return f.in[v].dtype;
    return v < f.n_in + f.n_imm ? f.imm[v - f.n_in].dtype : f.steps[v - f.n_in - f.n_imm].dtype;
  }
  bool is_immediate(int v) const { return v >= f.n_in && v < f.n_in + f.n_imm; }

  int push_imm(uint64_t bits) {
    if (code->n_imm == static_cast<int>(sizeof code->imm / sizeof code->imm[0])) code->fits = false, code->n_imm = 0;
    code->imm[code->n_imm] = bits;
    return code->n_imm++;
  }
  void push(const Micro& m) {
    if (code->n_micros == static_cast<int>(sizeof code->micros / sizeof code->micros[0]))
      code->fits = false, code->n_micros = 0;
    code->micros[code->n_micros++] = m;
  }
  int16_t take() {
    for (int s = 0; s < kSlots; s++) {
      if (taken[s]) continue;
      taken[s] = true;
      return static_cast<int16_t>(s);
    }
    code->fits = false;
    return 0;
  }
  /// Where the value is; an input is loaded when it is first asked for.
  int16_t use(int v) {
    if (is_immediate(v)) return static_cast<int16_t>(kSlots + first_imm[v - f.n_in]);
    if (slot[v] < 0) {
      slot[v] = take();
      const uint8_t d = static_cast<uint8_t>(dtype_of(v));
      push({kLoad, 0, d, d, static_cast<int16_t>(slot[v]), static_cast<int16_t>(v), 0, 0});
    }
    return static_cast<int16_t>(slot[v]);
  }
  void release(int v, int now) {
    if (!is_immediate(v) && last_use[v] == now && slot[v] >= 0) taken[slot[v]] = false;
  }
  static MicroKind kind_of(const FusedStep& s, DType from) {
    if (s.op == Op::astype) return kCast;
    if (s.op == Op::select) return kSelect;
    if (s.op == Op::arange) return kArange;
    if (is_predicate(s.op)) return kPredicate;
    return from == DType::complex64 && s.dtype != from ? kPart : kCompute;
  }
  void arange(const FusedStep& s, Micro* m) {
    uint64_t start, step;
    arange_bits(s, &start, &step);
    m->a = static_cast<int16_t>(push_imm(start));
    push_imm(step);
    m->b = static_cast<int16_t>(loop.n_arrays);
  }
  void step(int number) {
    const FusedStep& s = f.steps[number];
    const int v = f.n_in + f.n_imm + number;
    const DType from = s.n_args > 0 ? dtype_of(s.args[s.n_args - 1]) : s.dtype;
    Micro m{kind_of(s, from), static_cast<uint8_t>(static_cast<int>(s.op) - kFirstOp), static_cast<uint8_t>(from),
            static_cast<uint8_t>(s.dtype), 0, 0, 0, 0};
    int16_t* const args[] = {&m.a, &m.b, &m.c};
    for (int k = 0; k < s.n_args; k++) *args[k] = use(s.args[k]);
    if (s.op == Op::arange) arange(s, &m);
    for (int k = 0; k < s.n_args; k++) release(s.args[k], v);
    slot[v] = m.out = take();
    if (last_use[v] < 0) taken[m.out] = false;
    push(m);
  }
  /// Outputs are stored at the end: they may lie on inputs of the same element.
  void results() {
    for (int k = 0; k < f.n_out; k++) use(f.out_values[k]);
    if (f.n_reduce != 0) {
      code->reduce_slot = use(f.reduce_value);
      code->reduce_dtype = dtype_of(f.reduce_value);
      const bool logical = f.reduce_op == Op::all || f.reduce_op == Op::any;
      if (logical && code->reduce_dtype != DType::bool_) {
        const uint8_t from = static_cast<uint8_t>(code->reduce_dtype), to = static_cast<uint8_t>(DType::bool_);
        const Micro m{kCast, 0, from, to, take(), static_cast<int16_t>(code->reduce_slot), 0, 0};
        push(m);
        code->reduce_slot = m.out;
        code->reduce_dtype = DType::bool_;
      }
    }
    for (int k = 0; k < f.n_out; k++) {
      const uint8_t d = static_cast<uint8_t>(f.out[k].dtype);
      push({kStore, 0, d, d, 0, static_cast<int16_t>(f.n_in + k), use(f.out_values[k]), 0});
    }
  }
  void make() {
    for (int v = 0; v < values(); v++) last_use[v] = slot[v] = -1;
    for (int i = 0; i < f.n_steps; i++) {
      for (int k = 0; k < f.steps[i].n_args; k++) last_use[f.steps[i].args[k]] = f.n_in + f.n_imm + i;
    }
    for (int k = 0; k < f.n_out; k++) last_use[f.out_values[k]] = INT32_MAX;
    if (f.n_reduce != 0) last_use[f.reduce_value] = INT32_MAX;
    for (int i = 0; i < f.n_imm; i++) first_imm[i] = push_imm(immediate_bits(f.imm[i]));
    for (int i = 0; i < f.n_steps && code->fits; i++) step(i);
    if (code->fits) results();
  }
};

int arrays_of(const Fused& f) { return f.n_in + f.n_out + (f.n_reduce != 0 ? 1 : 0); }

/// The arguments from 5 on: the arrays, and one of them again where the kernel has more arguments.
void bind_arrays(const Loop& loop, const Fused& f, int first, Encoder& e) {
  for (int k = 0; k < kFusedArrays; k++) {
    const bool written = k >= f.n_in && k < loop.n_arrays;
    e.array(first + k, *loop.arrays[k < loop.n_arrays ? k : 0], written ? kWrite : kRead);
  }
}
void interpret(const Fused& f, const Loop& loop, const Layout& at, uint8_t* scratch, Encoder& e) {
  Code code;
  make_code(f, loop, &code);
  const bool reduces = f.n_reduce != 0;
  const Head head{loop.elements,   at.units,
                  reduces ? loop.results : at.units,
                  reduces ? loop.reduced : at.part,
                  at.part,         code.n_micros,
                  loop.n_kept,     loop.n_reduced,
                  at.lanes,        reduce_of(f),
                  code.reduce_slot, static_cast<int32_t>(code.reduce_dtype),
                  loop.n_arrays - 1, at.splits,
                  0};
  const int axes = loop.n_kept + loop.n_reduced;
  int64_t dims[(kFusedArrays + 2) * kMaxDims];
  int n = 0;
  for (int a = 0; a < axes; a++) dims[n++] = loop.shape[a];
  for (int k = 0; k <= loop.n_arrays; k++) {
    for (int a = 0; a < axes; a++) dims[n++] = loop.strides[k][a];
  }
  const uint64_t per_group = kFusedGroup / static_cast<unsigned>(at.lanes);
  e.kernel("fused", "fused_run", kOpsDefine);
  e.bytes(0, code.micros, sizeof(Micro) * static_cast<size_t>(code.n_micros > 0 ? code.n_micros : 1));
  e.value(1, head);
  e.list(2, dims, n);
  e.bytes(3, code.imm, 8 * static_cast<size_t>(code.n_imm > 0 ? code.n_imm : 1));
  if (at.splits > 1) e.memory(4, scratch, static_cast<int64_t>(8 * at.units), kWrite);
  else e.array(4, *loop.arrays[0], kRead);
  bind_arrays(loop, f, 5, e);
  e.groups(folded(static_cast<int64_t>((at.units + per_group - 1) / per_group)), {kFusedGroup, 1, 1});
}
/// Merges the parts of each result, from whichever kernel they are.
void finish(const Fused& f, const Loop& loop, const Layout& at, uint8_t* scratch, Encoder& e) {
  Head head{};
  head.results = loop.results;
  head.reduce = reduce_of(f);
  head.reduce_dtype = static_cast<int32_t>(f.reduce_out.dtype);
  head.splits = at.splits;
  e.kernel("fused", "fused_finish", kOpsDefine);
  e.value(0, head);
  e.memory(1, scratch, static_cast<int64_t>(8 * at.units), kRead);
  e.array(2, f.reduce_out, kWrite);
  e.groups(folded(static_cast<int64_t>(loop.results)), {32, 1, 1});
}

}  // namespace

void make_code(const Fused& f, const Loop& loop, Code* code) {
  Coder coder{f, loop, code, {}, {}, {}};
  coder.make();
}

bool fused_can(const Fused& f) {
  if (arrays_of(f) > kFusedArrays || f.n_imm > 256) return false;
  Code code;
  make_code(f, loop_of(f), &code);
  return code.fits;
}
size_t fused_scratch(const Fused& f) {
  if (f.n_reduce == 0 || !fused_can(f)) return 0;
  const Layout at = layout_of(f, loop_of(f));
  return at.splits > 1 ? static_cast<size_t>(8 * at.units) : 0;
}
void fused_encode(const Fused& f, uint8_t* scratch, Encoder& e) {
  const Loop loop = loop_of(f);
  if (loop.results == 0 || (f.n_reduce == 0 && loop.elements == 0)) return;
  const Layout at = layout_of(f, loop);
  if (!encode_generated(f, loop, at, scratch, e)) interpret(f, loop, at, scratch, e);
  if (at.splits > 1) finish(f, loop, at, scratch, e);
}

}  // namespace denim::metal
