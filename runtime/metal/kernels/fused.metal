// The interpreter of fused instructions: takes any pattern. Values are 64 bits (values.metal), rounded to the half types
// after each step. fused.cc writes the program; OPS are the elementwise ops, in the op table's order.
#include "values.metal"

enum Op { OPS };
enum MicroKind { kCompute, kPredicate, kPart, kCast, kSelect, kLoad, kArange, kStore };
constant constexpr int kSlots = 64, kArrays = 25, kGroup = 256;

struct Micro {
  uchar kind, op, from, to;
  short out, a, b, c;  // slots, then (from kSlots) immediates; of a load or store `a` is the array
};
inline Micro micro_at(constant const Micro* code, int k) {
  Micro m;
  m.kind = code[k].kind, m.op = code[k].op, m.from = code[k].from, m.to = code[k].to;
  m.out = code[k].out, m.a = code[k].a, m.b = code[k].b, m.c = code[k].c;
  return m;
}
/// Unit u computes result u % results from part u / results of the reduced elements. Without a reduction, a unit is
/// every `units`-th element of the loop.
struct Head {
  ulong elements, units, results, reduced, part;
  int n_micros, n_kept, n_reduced, lanes;
  int reduce, reduce_slot, reduce_dtype, reduce_array;  // `reduce` is a Reduce
  int splits, padding;
};

#define UNARY(name) case OP_##name: return op_##name(a);
#define BINARY(name) case OP_##name: return op_##name(a, b);
template <class T> inline T integer_op(int op, T a, T b, int width) {
  switch (op) {
    UNARY(negative) UNARY(abs) UNARY(sign) UNARY(square) UNARY(bitwiseInvert) UNARY(imag)
    BINARY(add) BINARY(subtract) BINARY(multiply) BINARY(power) BINARY(maximum) BINARY(minimum) BINARY(remainder)
    BINARY(floorDivide) BINARY(bitwiseAnd) BINARY(bitwiseOr) BINARY(bitwiseXor)
    case OP_leftShift: return op_leftShift(a, b, width);
    case OP_rightShift: return op_rightShift(a, b, width);
    default: return a;  // floor, ceil, round, real, conjugate, copy
  }
}
inline float float_op(int op, float a, float b) {
  switch (op) {
    UNARY(negative) UNARY(abs) UNARY(sign) UNARY(sqrt) UNARY(rsqrt) UNARY(square) UNARY(exp) UNARY(expm1) UNARY(log)
    UNARY(log1p) UNARY(log2) UNARY(log10) UNARY(sin) UNARY(cos) UNARY(tan) UNARY(arcsin) UNARY(arccos) UNARY(arctan)
    UNARY(sinh) UNARY(cosh) UNARY(tanh) UNARY(arcsinh) UNARY(arccosh) UNARY(arctanh) UNARY(erf) UNARY(erfinv)
    UNARY(sigmoid) UNARY(floor) UNARY(ceil) UNARY(round) UNARY(imag)
    BINARY(add) BINARY(subtract) BINARY(multiply) BINARY(divide) BINARY(power) BINARY(maximum) BINARY(minimum)
    BINARY(remainder) BINARY(floorDivide) BINARY(logaddexp) BINARY(arctan2)
    default: return a;
  }
}
inline float2 complex_op(int op, float2 a, float2 b) {
  switch (op) {
    UNARY(negative) UNARY(sign) UNARY(sqrt) UNARY(rsqrt) UNARY(square) UNARY(exp) UNARY(expm1) UNARY(log) UNARY(log1p)
    UNARY(log2) UNARY(log10) UNARY(sin) UNARY(cos) UNARY(tan) UNARY(arcsin) UNARY(arccos) UNARY(arctan) UNARY(sinh)
    UNARY(cosh) UNARY(tanh) UNARY(arcsinh) UNARY(arccosh) UNARY(arctanh) UNARY(sigmoid) UNARY(round) UNARY(conjugate)
    BINARY(add) BINARY(subtract) BINARY(multiply) BINARY(divide) BINARY(power) BINARY(maximum) BINARY(minimum)
    BINARY(floorDivide) BINARY(logaddexp)
    default: return a;
  }
}
template <class T> inline bool predicate(int op, T a, T b) {
  switch (op) {
    UNARY(logicalNot) BINARY(equal) BINARY(notEqual) BINARY(greater) BINARY(greaterEqual) BINARY(less)
    BINARY(lessEqual) BINARY(logicalAnd)
    default: return op_logicalOr(a, b);
  }
}
#undef UNARY
#undef BINARY

inline ulong compute(Micro m, ulong a, ulong b) {
  switch (class_of(m.from)) {
    case kFloatClass: return rounded(float_op(m.op, float_of(a), float_of(b)), m.to);
    case kComplexClass: return bits_of(complex_op(m.op, complex_of(a), complex_of(b)));
    case kSignedClass: return narrow((ulong)integer_op<long>(m.op, (long)a, (long)b, width_of(m.from)), m.to);
    default:
      if (m.from == kBool && m.op == OP_bitwiseInvert) return a ^ 1;
      return narrow(integer_op<ulong>(m.op, a, b, width_of(m.from)), m.to);
  }
}
inline bool test(Micro m, ulong a, ulong b) {
  switch (class_of(m.from)) {
    case kFloatClass: return predicate(m.op, float_of(a), float_of(b));
    case kComplexClass: return predicate(m.op, complex_of(a), complex_of(b));
    case kSignedClass: return predicate(m.op, (long)a, (long)b);
    default: return predicate(m.op, a, b);
  }
}
/// abs, real and imag of complex numbers.
inline ulong part(Micro m, float2 z) { return bits_of(m.op == OP_abs ? op_abs(z) : m.op == OP_real ? z.x : z.y); }
inline ulong float_to_integer(float x, int to) {
  if (to == kUint64) return float_to_ulong(x);
  bool wide = to == kInt64 || to == kUint32;
  return narrow(wide ? (ulong)float_to_long(x) : (ulong)(long)float_to_int(x), to);
}
inline ulong cast(ulong v, int from, int to) {
  int kind = class_of(from), target = class_of(to);
  bool floating = kind == kFloatClass || kind == kComplexClass;
  float x = floating ? float_of(v) : kind == kSignedClass ? (float)(long)v : (float)v;
  if (target == kComplexClass) return kind == kComplexClass ? v : bits_of(float2(x, 0.0f));
  if (target == kFloatClass) return rounded(x, to);
  if (!floating) return narrow(v, to);
  if (to == kBool) return (kind == kComplexClass ? truth(complex_of(v)) : truth(x)) ? 1 : 0;
  return float_to_integer(x, to);
}
/// Immediates `at` to at + 3 hold start and step: pairs of floats, or integers.
inline ulong arange(Micro m, constant const ulong* imm, ulong i) {
  if (class_of(m.to) != kFloatClass) return narrow(imm[m.a] + imm[m.a + 1] * i, m.to);
  return rounded(arange_float(complex_of(imm[m.a]), complex_of(imm[m.a + 1]), i), m.to);
}

#define ARRAY(n) device uchar* a##n [[buffer(n + 5)]],
#define ARRAYS                                                                                                       \
  ARRAY(0) ARRAY(1) ARRAY(2) ARRAY(3) ARRAY(4) ARRAY(5) ARRAY(6) ARRAY(7) ARRAY(8) ARRAY(9) ARRAY(10) ARRAY(11)      \
  ARRAY(12) ARRAY(13) ARRAY(14) ARRAY(15) ARRAY(16) ARRAY(17) ARRAY(18) ARRAY(19) ARRAY(20) ARRAY(21) ARRAY(22)      \
  ARRAY(23) ARRAY(24)

/// `dims`: the lengths of the kept axes, then of the reduced ones; then the strides of each array likewise.
kernel void fused_run(constant const Micro* code [[buffer(0)]], constant const Head& head [[buffer(1)]],
                      constant const long* dims [[buffer(2)]], constant const ulong* imm [[buffer(3)]],
                      device uchar* partials [[buffer(4)]], ARRAYS uint3 group [[threadgroup_position_in_grid]],
                      uint3 groups [[threadgroups_per_grid]], uint lane [[thread_index_in_threadgroup]],
                      uint3 size [[threads_per_threadgroup]]) {
  device uchar* arrays[kArrays] = {a0,  a1,  a2,  a3,  a4,  a5,  a6,  a7,  a8,  a9,  a10, a11, a12,
                                   a13, a14, a15, a16, a17, a18, a19, a20, a21, a22, a23, a24};
  threadgroup ulong shared[kGroup];
  ulong v[kSlots];
  int axes = head.n_kept + head.n_reduced;
  uint lanes = (uint)head.lanes, mine = lane % lanes;
  ulong unit = number_of(group, groups) * (size.x / lanes) + lane / lanes, result = unit, from = 0, to = 0;
  if (unit < head.units) {
    result = unit % head.results;
    from = unit / head.results * head.part;
    to = min(from + head.part, head.reduced);
  }
  ulong total = head.reduce != 0 ? reduce_start(head.reduce, head.reduce_dtype) : 0;
  for (ulong r = from + mine; r < to; r += lanes) {
    ulong i = head.reduce != 0 ? result : result + r * head.units;
    if (i >= head.elements) break;
    for (int k = 0; k < head.n_micros; ++k) {
      Micro m = micro_at(code, k);
      if (m.kind == kLoad || m.kind == kStore) {
        constant const long* strides = dims + axes * (1 + m.a);
        long at = place_of(i, dims, strides, head.n_kept);
        if (head.n_reduced > 0) at += place_of(r, dims + head.n_kept, strides + head.n_kept, head.n_reduced);
        if (m.kind == kLoad) v[m.out] = load_bits(arrays[m.a], at, m.from);
        else store_bits(arrays[m.a], at, m.from, m.b < kSlots ? v[m.b] : imm[m.b - kSlots]);
        continue;
      }
      if (m.kind == kArange) {
        constant const long* strides = dims + axes * (1 + m.b);
        long at = place_of(i, dims, strides, head.n_kept);
        if (head.n_reduced > 0) at += place_of(r, dims + head.n_kept, strides + head.n_kept, head.n_reduced);
        v[m.out] = arange(m, imm, (ulong)at);
        continue;
      }
      ulong x = m.a < kSlots ? v[m.a] : imm[m.a - kSlots], y = m.b < kSlots ? v[m.b] : imm[m.b - kSlots];
      switch (m.kind) {
        case kCompute: v[m.out] = compute(m, x, y); break;
        case kPredicate: v[m.out] = test(m, x, y) ? 1 : 0; break;
        case kPart: v[m.out] = part(m, complex_of(x)); break;
        case kCast: v[m.out] = cast(x, m.from, m.to); break;
        default: v[m.out] = x != 0 ? y : m.c < kSlots ? v[m.c] : imm[m.c - kSlots];
      }
    }
    if (head.reduce != 0) {
      int slot = head.reduce_slot;
      ulong x = slot < kSlots ? v[slot] : imm[slot - kSlots];
      total = reduce_merge(head.reduce, head.reduce_dtype, total, x, true);
    }
  }
  if (head.reduce == 0) return;
  shared[lane] = total;
  for (uint step = lanes / 2; step > 0; step /= 2) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (mine < step)
      shared[lane] = reduce_merge(head.reduce, head.reduce_dtype, shared[lane], shared[lane + step], false);
  }
  if (mine != 0 || unit >= head.units) return;
  if (head.splits > 1) ((device ulong*)partials)[unit] = shared[lane];
  else store_bits(arrays[head.reduce_array], (long)unit, head.reduce_dtype,
                  reduce_end(head.reduce, head.reduce_dtype, shared[lane]));
}

/// Merges the parts of each result: 32 lanes for one.
kernel void fused_finish(constant const Head& head [[buffer(0)]], device const ulong* partials [[buffer(1)]],
                         device uchar* out [[buffer(2)]], uint3 group [[threadgroup_position_in_grid]],
                         uint3 groups [[threadgroups_per_grid]], uint lane [[thread_index_in_threadgroup]]) {
  threadgroup ulong shared[32];
  ulong result = number_of(group, groups);
  ulong total = reduce_start(head.reduce, head.reduce_dtype);
  if (result < head.results) {
    for (ulong s = lane; s < (ulong)head.splits; s += 32)
      total = reduce_merge(head.reduce, head.reduce_dtype, total, partials[s * head.results + result], false);
  }
  shared[lane] = total;
  for (uint step = 16; step > 0; step /= 2) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (lane < step)
      shared[lane] = reduce_merge(head.reduce, head.reduce_dtype, shared[lane], shared[lane + step], false);
  }
  if (lane == 0 && result < head.results)
    store_bits(out, (long)result, head.reduce_dtype, reduce_end(head.reduce, head.reduce_dtype, shared[0]));
}
