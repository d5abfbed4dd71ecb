// The interpreter of fused instructions: takes any pattern. Values are 64 bits: integers extended to them, floats as
// float32 (rounded to the half types after each step), complex numbers as they are. fused.cc writes the program; OPS are
// the elementwise ops, in the op table's order.
#include "elementwise.metal"

enum Op { OPS };
enum MicroKind { kCompute, kPredicate, kPart, kCast, kSelect, kLoad, kArange, kStore };
constant constexpr const int kSlots = 64, kArrays = 25, kGroup = 256;

struct Micro {
  uchar kind, op, from, to;
  short out, a, b, c;  // slots, then (from kSlots) immediates; of a load or store `a` is the array
};
/// Unit u computes result u % results from part u / results of the reduced elements. Without a reduction, a unit is
/// every `units`-th element of the loop.
struct Head {
  ulong elements, units, results, reduced, part;
  int n_micros, n_kept, n_reduced, lanes;
  int reduce, reduce_slot, reduce_dtype, reduce_array;  // reduce: 0 none, 1 sum, 2 prod, 3 max, 4 min
  int splits, padding;
};

enum Class { kUnsignedClass, kSignedClass, kFloatClass, kComplexClass };
inline int class_of(int dtype) {
  if (dtype == kComplex64) return kComplexClass;
  return dtype >= kFloat16 ? kFloatClass : dtype >= kInt8 ? kSignedClass : kUnsignedClass;
}
inline float float_of(ulong v) { return as_type<float>((uint)v); }
inline float2 complex_of(ulong v) { return float2(as_type<float>((uint)v), as_type<float>((uint)(v >> 32))); }
inline ulong bits_of(float x) { return (ulong)as_type<uint>(x); }
inline ulong bits_of(float2 z) { return (ulong)as_type<uint>(z.x) | ((ulong)as_type<uint>(z.y) << 32); }
/// What an integer dtype keeps of 64 bits, extended again.
inline ulong narrow(ulong v, int dtype) {
  switch (dtype) {
    case kBool: return v != 0 ? 1 : 0;
    case kUint8: return v & 0xff;
    case kUint16: return v & 0xffff;
    case kUint32: return v & 0xffffffff;
    case kInt8: return (ulong)(long)(char)v;
    case kInt16: return (ulong)(long)(short)v;
    case kInt32: return (ulong)(long)(int)v;
    default: return v;
  }
}
inline ulong rounded(float x, int dtype) {
  return bits_of(dtype == kFloat16 ? round_half(x) : dtype == kBfloat16 ? round_bfloat(x) : x);
}
inline int width_of(int dtype) {
  return dtype == kInt8 || dtype == kUint8     ? 8
         : dtype == kInt16 || dtype == kUint16 ? 16
         : dtype == kInt32 || dtype == kUint32 ? 32
                                               : 64;
}
inline ulong load_bits(device const uchar* x, long i, int dtype) {
  switch (dtype) {
    case kBool: return x[i] != 0 ? 1 : 0;
    case kUint8: return x[i];
    case kUint16: return ((device const ushort*)x)[i];
    case kUint32: return ((device const uint*)x)[i];
    case kInt8: return (ulong)(long)((device const char*)x)[i];
    case kInt16: return (ulong)(long)((device const short*)x)[i];
    case kInt32: return (ulong)(long)((device const int*)x)[i];
    case kFloat16: return bits_of((float)((device const half*)x)[i]);
    case kBfloat16: return bits_of(bfloat_to_float(((device const ushort*)x)[i]));
    case kFloat32: return bits_of(((device const float*)x)[i]);
    default: return ((device const ulong*)x)[i];
  }
}
inline void store_bits(device uchar* x, long i, int dtype, ulong v) {
  switch (dtype) {
    case kBool:
    case kUint8:
    case kInt8: x[i] = (uchar)v; break;
    case kUint16:
    case kInt16: ((device ushort*)x)[i] = (ushort)v; break;
    case kUint32:
    case kInt32: ((device uint*)x)[i] = (uint)v; break;
    case kFloat16: ((device half*)x)[i] = (half)float_of(v); break;
    case kBfloat16: ((device ushort*)x)[i] = float_to_bfloat(float_of(v)); break;
    case kFloat32: ((device float*)x)[i] = float_of(v); break;
    default: ((device ulong*)x)[i] = v;
  }
}

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

inline ulong reduce_start(int reduce, int dtype) {
  int kind = class_of(dtype);
  float low = reduce == 3 ? -INFINITY : INFINITY;
  if (reduce == 1) return 0;
  if (kind == kComplexClass) return bits_of(reduce == 2 ? float2(1.0f, 0.0f) : float2(low, low));
  if (kind == kFloatClass) return bits_of(reduce == 2 ? 1.0f : low);
  if (reduce == 2) return 1;
  ulong lowest = kind == kSignedClass ? (ulong)1 << 63 : 0;
  return reduce == 3 ? lowest : ~lowest;
}
template <class T> inline T merged(int reduce, T a, T x) {
  switch (reduce) {
    case 1: return op_add(a, x);
    case 2: return op_multiply(a, x);
    case 3: return max_merge(a, x);
    default: return min_merge(a, x);
  }
}
/// Sums of floats are pairs; `fresh`: x is an element, no accumulator yet.
inline ulong reduce_merge(int reduce, int dtype, ulong a, ulong x, bool fresh) {
  switch (class_of(dtype)) {
    case kFloatClass:
      if (reduce != 1) return bits_of(merged(reduce, float_of(a), float_of(x)));
      return bits_of(fresh ? pair_add(complex_of(a), float_of(x)) : pair_add(complex_of(a), complex_of(x)));
    case kComplexClass: return bits_of(merged(reduce, complex_of(a), complex_of(x)));
    case kSignedClass: return (ulong)merged(reduce, (long)a, (long)x);
    default: return merged(reduce, a, x);
  }
}
/// An empty reduction of a narrow signed type leaves that type's lowest or highest, not those of 64 bits.
inline ulong reduce_end(int reduce, int dtype, ulong a) {
  switch (class_of(dtype)) {
    case kFloatClass: return reduce == 1 ? bits_of(pair_value(complex_of(a))) : a;
    case kComplexClass: return a;
    default: break;
  }
  bool unchanged = reduce > 2 && class_of(dtype) == kSignedClass && a == reduce_start(reduce, dtype);
  ulong top = (ulong)1 << (width_of(dtype) - 1);
  return unchanged ? (reduce == 3 ? narrow(top, dtype) : top - 1) : narrow(a, dtype);
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
      Micro m = code[k];
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
    if (mine < step) shared[lane] = reduce_merge(head.reduce, head.reduce_dtype, shared[lane], shared[lane + step], false);
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
