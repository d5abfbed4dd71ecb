// What several families of GPU kernels ask of arrays: how they lie in memory, how many there are in a batch, alignment.
#pragma once
#include "metal/kernel.h"

namespace denim::metal {

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t max_of(int64_t a, int64_t b) { return a > b ? a : b; }

/// Elements follow one another in row-major order.
inline bool is_contiguous(const Array& x) {
  if (x.size == 0) return true;
  int64_t step = 1;
  for (int32_t d = x.ndim - 1; d >= 0; d--) {
    if (x.shape[d] != 1 && x.strides[d] != step) return false;
    step *= x.shape[d];
  }
  return true;
}

/// The product of all axes but the last `n`.
inline int64_t leading_size(const Array& x, int32_t n = 2) {
  int64_t size = 1;
  for (int32_t d = 0; d + n < x.ndim; d++) size *= x.shape[d];
  return size;
}

/// The dtypes that have GPU kernels of their own as element types of products, norms, attention.
inline bool is_gpu_float(DType t) { return t == DType::float32 || t == DType::float16 || t == DType::bfloat16; }

/// `value` is a multiple of four elements' bytes.
inline bool is_quad(int64_t value, DType t) { return value % (4 * item_size(t)) == 0; }
/// Every four neighbours (stride 1) of x are aligned, if they start at a multiple of four: its address, and all strides
/// but the one of the neighbours' axis.
inline bool has_aligned_quads(const Array& x, int32_t along) {
  const int64_t item = item_size(x.dtype);
  if (x.strides[along] != 1 || !is_quad(reinterpret_cast<intptr_t>(x.data), x.dtype)) return false;
  for (int32_t d = 0; d < x.ndim; d++) {
    if (d != along && x.shape[d] != 1 && !is_quad(x.strides[d] * item, x.dtype)) return false;
  }
  return true;
}

/// "T=float" and its like: the define that makes a kernel for elements of a dtype.
inline const char* element_define(DType t) {
  switch (t) {
    case DType::float16: return "T=half";
    case DType::bfloat16: return "T=bfloat";
    default: return "T=float";
  }
}

/// Lists that go to a kernel as one argument.
struct Lists {
  int64_t data[8 * kMaxDims];
  int n = 0;
  void add(const int64_t* from, int32_t count) {
    for (int32_t i = 0; i < count; i++) data[n++] = from[i];
  }
};

/// An argument that this call has, or nothing where no thread looks.
inline void array_or_nothing(Encoder& e, int index, const Array* x, Access access = kRead) {
  if (x && x->size > 0) return e.array(index, *x, access);
  e.memory(index, nullptr, 0, access);
}

inline uint32_t grid_size(int64_t n) { return static_cast<uint32_t>(n); }

}  // namespace denim::metal
