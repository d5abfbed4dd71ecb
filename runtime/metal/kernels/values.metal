// Values of any dtype in 64 bits, for kernels that learn the dtype at run time: integers extended, floats as float32,
// complex numbers as they are. Loads and stores, and accumulators of reductions and scans.
#include "elementwise.metal"

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

/// ---- accumulators --------------------------------------------------------------------------------------------------
enum Reduce { kNone, kSum, kProd, kMax, kMin, kLogsumexp };
inline ulong reduce_start(int reduce, int dtype) {
  int kind = class_of(dtype);
  float low = reduce == kMax ? -INFINITY : INFINITY;
  if (reduce == kSum) return 0;
  if (reduce == kLogsumexp) return bits_of(float2(-INFINITY, 0.0f));
  if (kind == kComplexClass) return bits_of(reduce == kProd ? float2(1.0f, 0.0f) : float2(low, low));
  if (kind == kFloatClass) return bits_of(reduce == kProd ? 1.0f : low);  // as a pair, too: its low part is 0
  if (reduce == kProd) return 1;
  ulong lowest = kind == kSignedClass ? (ulong)1 << 63 : 0;
  return reduce == kMax ? lowest : ~lowest;
}
template <class T> inline T merged(int reduce, T a, T x) {
  switch (reduce) {
    case kSum: return op_add(a, x);
    case kProd: return op_multiply(a, x);
    case kMax: return max_merge(a, x);
    default: return min_merge(a, x);
  }
}
/// (m, s) stands for m + ln s.
inline float2 logsumexp_merge(float2 a, float2 b) {
  float high = is_nan(a.x) || a.x > b.x ? a.x : b.x;
  if (is_nan(high) || isinf(high)) return float2(high, high == -INFINITY ? 0.0f : 1.0f);
  return float2(high, a.y * precise::exp(a.x - high) + b.y * precise::exp(b.x - high));
}
inline float2 complex_logsumexp(float2 a, float2 b) {
  if (a.x == -INFINITY) return b;
  return b.x == -INFINITY ? a : op_logaddexp(a, b);
}
/// Sums and products of floats are pairs, logsumexp of floats too; `fresh`: x is an element, no accumulator yet.
inline ulong reduce_merge(int reduce, int dtype, ulong a, ulong x, bool fresh) {
  float2 pair;
  switch (class_of(dtype)) {
    case kFloatClass:
      if (reduce == kLogsumexp)
        return bits_of(logsumexp_merge(complex_of(a), fresh ? float2(float_of(x), 1.0f) : complex_of(x)));
      if (reduce != kSum && reduce != kProd) return bits_of(merged(reduce, float_of(a), float_of(x)));
      pair = fresh ? float2(float_of(x), 0.0f) : complex_of(x);
      return bits_of(reduce == kSum ? pair_add(complex_of(a), pair) : pair_multiply(complex_of(a), pair));
    case kComplexClass:
      if (reduce == kLogsumexp) return bits_of(complex_logsumexp(complex_of(a), complex_of(x)));
      return bits_of(merged(reduce, complex_of(a), complex_of(x)));
    case kSignedClass: return (ulong)merged(reduce, (long)a, (long)x);
    default: return merged(reduce, a, x);
  }
}
/// An empty reduction of a narrow signed type leaves that type's lowest or highest, not those of 64 bits.
inline ulong reduce_end(int reduce, int dtype, ulong a) {
  switch (class_of(dtype)) {
    case kFloatClass:
      if (reduce == kLogsumexp) return bits_of(float_of(a) + precise::log(complex_of(a).y));
      return reduce == kSum || reduce == kProd ? bits_of(pair_value(complex_of(a))) : a;
    case kComplexClass: return a;
    default: break;
  }
  bool extreme = (reduce == kMax || reduce == kMin) && class_of(dtype) == kSignedClass;
  bool unchanged = extreme && a == reduce_start(reduce, dtype);
  ulong top = (ulong)1 << (width_of(dtype) - 1);
  return unchanged ? (reduce == kMax ? narrow(top, dtype) : top - 1) : narrow(a, dtype);
}
