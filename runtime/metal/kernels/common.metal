// Put before every kernel source: the library, dtypes and their stored forms, places of elements. Plain dialect:
// simdgroups of 32, threadgroup memory, no textures, no argument buffers, every pointer with its address space.
#include <metal_stdlib>
#include <metal_simdgroup>
#include <metal_simdgroup_matrix>
#include <metal_atomic>
using namespace metal;

typedef float2 complex64;  // (re, im)

/// dtypes by their numbers in generated/ops.h; float64 does not exist here.
enum DType {
  kBool = 0,
  kUint8 = 1,
  kUint16 = 2,
  kUint32 = 3,
  kUint64 = 4,
  kInt8 = 5,
  kInt16 = 6,
  kInt32 = 7,
  kInt64 = 8,
  kFloat16 = 9,
  kFloat32 = 10,
  kBfloat16 = 12,
  kComplex64 = 13
};

/// bfloat16 by its bits, so that no newer language version is needed; rounded to even, NaN stays NaN.
inline float bfloat_to_float(ushort x) { return as_type<float>((uint)x << 16); }
inline ushort float_to_bfloat(float x) {
  uint u = as_type<uint>(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return (ushort)((u >> 16) | 0x40u);
  return (ushort)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}
inline float round_bfloat(float x) { return bfloat_to_float(float_to_bfloat(x)); }
inline float round_half(float x) { return (float)(half)x; }

/// Place of element `i` (row-major number) of an array, in elements. Division of 64 bits is slow: rarely needed.
inline long place_of(ulong i, constant const long* shape, constant const long* strides, int ndim) {
  long at = 0;
  int d = ndim - 1;
  for (; d > 0 && i >= 0x7fffffff; --d) {
    ulong n = (ulong)shape[d];
    at += (long)(i % n) * strides[d];
    i /= n;
  }
  uint j = (uint)i;
  for (; d > 0; --d) {
    uint n = (uint)min(shape[d], (long)0x7fffffff);
    at += (long)(j % n) * strides[d];
    j /= n;
  }
  return d < 0 ? 0 : at + (i >= 0x7fffffff ? (long)i : (long)j) * strides[0];
}

/// The number of a thread (or threadgroup) of a grid that was folded because one row of it would be too long.
inline ulong number_of(uint3 at, uint3 size) { return (ulong)at.y * size.x + at.x; }

/// Where lane `lane` of a simdgroup keeps its two elements of an 8x8 matrix: (row, col) and (row, col + 1).
inline int fragment_row(uint lane) { return (lane / 4 & 4) + lane / 2 % 4; }
inline int fragment_col(uint lane) { return (lane / 4 & 2) * 2 + lane % 2 * 2; }

/// One of `count` matrices by an index that may count from the end; `width` is that of an index in bytes. What is out
/// of range sets `bad` and becomes 0.
inline long matrix_index(device const int* indices, int width, long at, int count, device atomic_uint* bad) {
  long i = width == 8 ? ((device const long*)indices)[at] : (long)indices[at];
  if (i < 0) i += count;
  if (i >= 0 && i < count) return i;
  atomic_store_explicit(bad, 1u, memory_order_relaxed);
  return 0;
}

/// An element's bits, whatever its dtype, by its size in bytes.
inline ulong load_raw(device const uchar* x, long i, int size) {
  switch (size) {
    case 1: return x[i];
    case 2: return ((device const ushort*)x)[i];
    case 4: return ((device const uint*)x)[i];
    default: return ((device const ulong*)x)[i];
  }
}
inline void store_raw(device uchar* x, long i, int size, ulong bits) {
  switch (size) {
    case 1: x[i] = (uchar)bits; break;
    case 2: ((device ushort*)x)[i] = (ushort)bits; break;
    case 4: ((device uint*)x)[i] = (uint)bits; break;
    default: ((device ulong*)x)[i] = bits;
  }
}
