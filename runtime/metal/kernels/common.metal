// Put before every kernel source: the library, names of types, places of elements. Plain dialect: simdgroups of 32,
// threadgroup memory, no textures, no argument buffers, every pointer with its address space.
#include <metal_stdlib>
#include <metal_simdgroup>
#include <metal_simdgroup_matrix>
#include <metal_atomic>
using namespace metal;

typedef float2 complex64;  // (re, im)

/// Place of element `i` (row-major number) of an array, in elements.
inline long place_of(ulong i, constant const long* shape, constant const long* strides, int ndim) {
  long at = 0;
  for (int d = ndim - 1; d >= 0; --d) {
    ulong n = (ulong)shape[d];
    at += (long)(i % n) * strides[d];
    i /= n;
  }
  return at;
}

/// Where lane `lane` of a simdgroup keeps its two elements of an 8x8 matrix: (row, col) and (row, col + 1).
inline int fragment_row(uint lane) { return (lane / 4 & 4) + lane / 2 % 4; }
inline int fragment_col(uint lane) { return (lane / 4 & 2) * 2 + lane % 2 * 2; }

/// One of `count` matrices by an index that may count from the end; `width` is that of an index in bytes. What is out of
/// range sets `bad` and becomes 0.
inline long matrix_index(device const int* indices, int width, long at, int count, device atomic_uint* bad) {
  long i = width == 8 ? ((device const long*)indices)[at] : (long)indices[at];
  if (i < 0) i += count;
  if (i >= 0 && i < count) return i;
  atomic_store_explicit(bad, 1u, memory_order_relaxed);
  return 0;
}
