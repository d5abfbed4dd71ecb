// Large products of float32 and float64 by a BLAS, where the build says that there is one (DENIM_CBLAS): on a Mac that
// is Accelerate, which alone reaches Apple's matrix units.
#pragma once
#include <limits.h>

#include "matmul.h"

#ifdef DENIM_CBLAS
extern "C" {
void cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float* a, int lda,
                 const float* b, int ldb, float beta, float* c, int ldc);
void cblas_dgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, double alpha, const double* a,
                 int lda, const double* b, int ldb, double beta, double* c, int ldc);
}
#endif

namespace denim::DENIM_ISA {

#ifdef DENIM_CBLAS
/// A matrix as BLAS wants it: rows, or columns, that follow one another `step` elements apart.
struct BlasMatrix {
  bool transposed;
  int64_t step;
};
/// False if neither rows nor columns are contiguous and apart.
inline bool blas_matrix(int64_t rows, int64_t cols, int64_t row_stride, int64_t col_stride, BlasMatrix* out) {
  if (col_stride == 1 && row_stride >= cols && row_stride <= INT_MAX) *out = {false, row_stride};
  else if (row_stride == 1 && col_stride >= rows && col_stride <= INT_MAX) *out = {true, col_stride};
  else return false;
  return true;
}
template <class T, class Product>
void copy_c(const Product& p) {
  const T* c = reinterpret_cast<const T*>(p.c);
  T* out = reinterpret_cast<T*>(p.out);
  if (c == out && p.c_row == p.n && p.c_col == 1) return;
  for (int64_t i = 0; i < p.m; i++)
    for (int64_t j = 0; j < p.n; j++) out[i * p.n + j] = c[i * p.c_row + j * p.c_col];
}
/// Computes the product; false if it is not for a BLAS.
template <class T, class Product>
bool run_cblas(const Product& p) {
  BlasMatrix a, b;
  if (p.m > INT_MAX || p.n > INT_MAX || p.k > INT_MAX || !blas_matrix(p.m, p.k, p.a_row, p.a_k, &a) ||
      !blas_matrix(p.k, p.n, p.b_k, p.b_col, &b))
    return false;
  if (p.c) copy_c<T>(p);
  constexpr int kRowMajor = 101, kPlain = 111, kTransposed = 112;
  const int ta = a.transposed ? kTransposed : kPlain, tb = b.transposed ? kTransposed : kPlain;
  const int m = static_cast<int>(p.m), n = static_cast<int>(p.n), k = static_cast<int>(p.k);
  const int lda = static_cast<int>(a.step), ldb = static_cast<int>(b.step);
  const T alpha = static_cast<T>(p.alpha), beta = p.c ? static_cast<T>(p.beta) : T(0);
  const T *x = reinterpret_cast<const T*>(p.a), *y = reinterpret_cast<const T*>(p.b);
  T* out = reinterpret_cast<T*>(p.out);
  if constexpr (sizeof(T) == 8) cblas_dgemm(kRowMajor, ta, tb, m, n, k, alpha, x, lda, y, ldb, beta, out, n);
  else cblas_sgemm(kRowMajor, ta, tb, m, n, k, alpha, x, lda, y, ldb, beta, out, n);
  return true;
}
#endif

}  // namespace denim::DENIM_ISA
