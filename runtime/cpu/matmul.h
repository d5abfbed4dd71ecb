// One matrix product C = alpha A B + beta C0 of strided operands in memory: which way it is computed (few rows, few
// columns, tiny, blocked) and how results are stored. Shared by matmul, addmm, gatherMm and the quantized products.
#pragma once
#include "gemm.h"

namespace denim::DENIM_ISA {

/// The sum of index * stride over the first ndim axes, for the i-th entry in row-major order.
inline int64_t entry_offset(int64_t i, int32_t ndim, const int64_t* shape, const int64_t* strides) {
  int64_t offset = 0;
  for (int32_t d = ndim - 1; d >= 0; d--) {
    offset += i % shape[d] * strides[d];
    i /= shape[d];
  }
  return offset;
}
/// Matrices in an array: the product of all axes but the last two.
inline int64_t leading_size(const Array& x) {
  int64_t n = 1;
  for (int32_t d = 0; d + 2 < x.ndim; d++) n *= x.shape[d];
  return n;
}
inline bool same_leading(const Array& x, const Array& y, int32_t ndim) {
  for (int32_t d = 0; d < ndim; d++) {
    if (x.shape[d] != y.shape[d]) return false;
  }
  return true;
}

inline bool is_index(DType t) { return t == DType::int32 || t == DType::uint32 || t == DType::int64; }
/// The i-th index of an array, in row-major order.
inline int64_t read_index(const Array& x, int64_t i) {
  const int64_t at = entry_offset(i, x.ndim, x.shape, x.strides);
  switch (x.dtype) {
    case DType::int32: return x.as<int32_t>()[at];
    case DType::uint32: return x.as<uint32_t>()[at];
    default: return x.as<int64_t>()[at];
  }
}
/// An index that may count from the end, among n.
inline int64_t wrap_index(int64_t i, int64_t n) { return i < 0 ? i + n : i; }
inline const char* check_indices(const Array& x, int64_t n) {
  for (int64_t i = 0; i < x.size; i++) {
    const int64_t at = read_index(x, i);
    if (at < -n || at >= n) return "an index of a matrix is out of range";
  }
  return nullptr;
}

/// Where results go: row and column strides in elements; result = alpha sum + beta c if there is a c.
struct OutMatrix {
  uint8_t* data;
  int64_t row_stride, col_stride;
  double alpha, beta;
  const uint8_t* c;
  int64_t c_row_stride, c_col_stride;

  bool plain() const { return !c && alpha == 1; }
};

/// FinishFn of a result of type E.
template <class E>
void finish_matrix(const void* out, const Acc<E>* tile, int64_t i0, int64_t j0, int rows, int cols) {
  using T = Acc<E>;
  constexpr int n = kLanes<T>;
  const auto& o = *static_cast<const OutMatrix*>(out);
  const T alpha = static_cast<T>(o.alpha), beta = static_cast<T>(o.beta);
  for (int r = 0; r < rows; r++, tile += kTileCols<T>) {
    E* to = reinterpret_cast<E*>(o.data) + (i0 + r) * o.row_stride + j0 * o.col_stride;
    const E* c = reinterpret_cast<const E*>(o.c) + (i0 + r) * o.c_row_stride + j0 * o.c_col_stride;
    if (o.plain() && o.col_stride == 1) {
      int j = 0;
      for (; j + n <= cols; j += n) store(to + j, load(tile + j));
      if (j < cols) store_few(to + j, load(tile + j), cols - j);
      continue;
    }
    int j = 0;
    if (o.col_stride == 1 && (!o.c || o.c_col_stride == 1)) {
      for (; j + n <= cols; j += n) {
        Vec<T> y = load(tile + j) * Vec<T>(alpha);
        if (o.c) y = mul_add(Vec<T>(beta), load(c + j), y);
        store(to + j, y);
      }
    }
    for (; j < cols; j++) {
      T y = tile[j] * alpha;
      if (o.c) y += beta * load_one(c + j * o.c_col_stride);
      store_one(to + j * o.col_stride, y);
    }
  }
}

/// A product of at most kFewRows packed rows x and a matrix whose lanes are its columns.
constexpr int kFewRows = 4;
template <class T>
struct FewRows {
  const T* x;  // [rows][x_stride]
  int64_t x_stride;
  int rows;
  int64_t n, k;
  Lanes matrix;
  const void* out;
  FinishFn<T> finish;
  T* partial;  // sums of parts, where `in_parts`
};

}  // namespace denim::DENIM_ISA
