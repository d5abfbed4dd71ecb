// Decompositions by what defines them, in every dtype, shape and layout, with guards behind all memory; matrices that
// are hard on the iterations; shapes that do not fit are refused.
#include <math.h>

#include "linalg/seam.h"
#include "tests/arrays.h"

using namespace denim;
using namespace denim::testing;

namespace {

/// A matrix of doubles out of an array: entry (i, j) of the real part, from row and column on.
double entry(const Nd& x, int64_t matrix, int64_t i, int64_t j) {
  const int64_t m = x.shape[x.a.ndim - 2], n = x.shape[x.a.ndim - 1];
  return x.get((matrix * m + i) * n + j);
}
void check_svd(const Nd& x, double limit) {
  const int64_t m = x.shape[1], n = x.shape[2], k = m < n ? m : n, wide[] = {x.shape[0], m + n + 1, m > n ? m : n};
  Nd y(x.a.dtype, 3, wide);
  CHECK(run_kernel(Op::svd, x, y, SvdParams{1}) == nullptr);
  double worst = 0, apart = 0;
  for (int64_t s = 0; s < x.shape[0]; s++) {
    for (int64_t i = 0; i < m; i++) {
      for (int64_t j = 0; j < n; j++) {
        double sum = 0;
        for (int64_t l = 0; l < k; l++) sum += entry(y, s, i, l) * entry(y, s, m, l) * entry(y, s, m + 1 + l, j);
        worst = fmax(worst, fabs(sum - entry(x, s, i, j)));
      }
    }
    for (int64_t i = 0; i < m; i++) {
      for (int64_t j = 0; j < m; j++) {
        double sum = i == j ? -1 : 0;
        for (int64_t l = 0; l < m; l++) sum += entry(y, s, l, i) * entry(y, s, l, j);
        apart = fmax(apart, fabs(sum));
      }
    }
    for (int64_t i = 0; i + 1 < k; i++) CHECK(entry(y, s, m, i) >= entry(y, s, m, i + 1));
  }
  CHECK(worst <= limit);
  CHECK(apart <= limit);
}
void check_eigh(const Nd& x, double limit) {
  const int64_t n = x.shape[1], tall[] = {x.shape[0], n + 1, n};
  Nd y(x.a.dtype, 3, tall);
  CHECK(run_kernel(Op::eigh, x, y, EighParams{1, 1}) == nullptr);
  double worst = 0;
  for (int64_t s = 0; s < x.shape[0]; s++) {
    for (int64_t i = 0; i < n; i++) {
      for (int64_t j = 0; j < n; j++) {
        double sum = -entry(y, s, 0, j) * entry(y, s, 1 + i, j);
        for (int64_t l = 0; l < n; l++) sum += entry(x, s, i > l ? i : l, i > l ? l : i) * entry(y, s, 1 + l, j);
        worst = fmax(worst, fabs(sum));
      }
    }
  }
  CHECK(worst <= limit);
}
TEST(linalg_vectors) {
  const int64_t sizes[][2] = {{1, 1}, {2, 2}, {5, 5}, {33, 33}, {7, 3}, {3, 7}, {40, 1}, {1, 40}};
  const DType dtypes[] = {DType::float32, DType::float64};
  for (const auto& size : sizes) {
    const int64_t m = size[0], n = size[1], shape[] = {3, m, n};
    const int64_t layouts[][3] = {{m * n, n, 1}, {m * n, 1, m}, {-m * n, -n, -1}, {0, n, 1}};
    for (DType d : dtypes) {
      for (const auto& layout : layouts) {
        Nd x(d, 3, shape, layout);
        x.fill(-1, 1);
        const double limit = d == DType::float32 ? 1e-5 : 1e-13;
        check_svd(x, limit * 10);
        if (m == n) check_eigh(x, limit * 10);
      }
    }
  }
}
/// Equal values, zeros beside and on the diagonal, large and small at once.
TEST(linalg_hard_matrices) {
  const int64_t n = 12, shape[] = {6, n, n};
  Nd x(DType::float64, 3, shape);
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < n; j++) {
      const int64_t at = i * n + j, all = n * n;
      x.set(at, 0);
      x.set(all + at, i == j ? 2 : 0);
      x.set(2 * all + at, 1);
      x.set(3 * all + at, i == j + 1 || j == i + 1 ? 1 : 0);
      x.set(4 * all + at, ldexp(i == j ? 1.0 : 1e-3, static_cast<int>(i + j)));
      x.set(5 * all + at, j == i + 1 ? 1 : 0);
    }
  }
  check_svd(x, 1e-8);
  check_eigh(x, 1e-8);
  const int64_t tall[] = {6, n + 1, n};
  Nd values(DType::complex64, 3, tall);
  CHECK(run_kernel(Op::eig, x, values, EigParams{1}) == nullptr);
  for (int64_t i = 0; i < values.a.size; i++) CHECK(isfinite(values.get(i)));
}
TEST(linalg_not_finite) {
  const int64_t shape[] = {1, 3, 3}, tall[] = {1, 4, 3}, wide[] = {1, 7, 3};
  Nd x(DType::float32, 3, shape), y(DType::float32, 3, tall), z(DType::complex64, 3, tall), u(DType::float32, 3, wide);
  const double bad[] = {NAN, INFINITY, -INFINITY};
  for (double b : bad) {
    x.fill(-1, 1);
    x.set(3, b);
    CHECK(run_kernel(Op::eigh, x, y, EighParams{1, 1}) == nullptr);
    CHECK(run_kernel(Op::eig, x, z, EigParams{1}) == nullptr);
    CHECK(run_kernel(Op::svd, x, u, SvdParams{1}) == nullptr);
    for (int64_t i = 0; i < 12; i++) CHECK(isnan(y.get(i)) && isnan(z.get(i)) && isnan(u.get(i)));
    CHECK(run_kernel(Op::expm, x, x, CholeskyParams{0}) == nullptr);
    CHECK(isnan(x.get(0)));
  }
}
TEST(linalg_not_finite_factors) {
  const int64_t shape[] = {1, 60, 60}, two[] = {1, 60, 62}, wide[] = {1, 60, 120};
  Nd x(DType::float64, 3, shape), lu(DType::float64, 3, two), qr(DType::float64, 3, wide), y(DType::float64, 3, shape);
  const double bad[] = {NAN, INFINITY, -INFINITY};
  for (double b : bad) {
    x.fill(-1, 1);
    x.set(3, b), x.set(60 * 31 + 31, b);
    CHECK(run_kernel(Op::lu, x, lu, EigParams{0}) == nullptr);
    for (int64_t i = 0; i < 60; i++) CHECK(lu.get(i * 62 + 60) >= 0 && lu.get(i * 62 + 60) < 60);
    CHECK(run_kernel(Op::qr, x, qr, EigParams{0}) == nullptr);
    CHECK(run_kernel(Op::cholesky, x, y, CholeskyParams{0}) == nullptr);
    CHECK(isnan(y.get(60 * 59 + 59)));
  }
}
/// Grants one request for memory, then two, and so on until the kernel has what it needs: it ends well or says why.
template <class P>
void check_memory(Op op, const Nd& x, const Nd& y, const P& params, bool needs) {
  int64_t granted = 0;
  const char* message;
  do {
    linalg::requests_granted = granted++;
    message = run_kernel(op, x, y, params);
    CHECK(message == nullptr || strstr(message, "not enough memory") != nullptr);
  } while (message != nullptr && granted < 100000);
  linalg::requests_granted = INT64_MAX;
  CHECK(message == nullptr);
  CHECK(!needs || granted > 1);
}
TEST(linalg_memory) {
  const int64_t n = 70, shape[] = {1, n, n}, tall[] = {1, n + 1, n}, double_tall[] = {1, 2 * n + 1, n};
  const int64_t lu_shape[] = {1, n, n + 2}, qr_shape[] = {1, n, 2 * n};
  const DType dtypes[] = {DType::float64, DType::complex64};
  for (DType d : dtypes) {
    Nd x(d, 3, shape), y(d, 3, shape), vectors(d, 3, tall), svd(d, 3, double_tall);
    Nd lu(d, 3, lu_shape), qr(d, 3, qr_shape), eig(DType::complex64, 3, tall);
    x.fill(-1, 1);
    check_memory(Op::cholesky, x, y, CholeskyParams{0}, false);
    check_memory(Op::lu, x, lu, EigParams{0}, true);
    check_memory(Op::qr, x, qr, EigParams{0}, true);
    check_memory(Op::eigh, x, vectors, EighParams{1, 1}, true);
    check_memory(Op::svd, x, svd, SvdParams{1}, true);
    check_memory(Op::eig, x, eig, EigParams{1}, true);
    check_memory(Op::expm, x, y, EigParams{0}, true);
  }
}
TEST(linalg_refuses) {
  const int64_t square[] = {2, 3, 3}, broad[] = {2, 3, 4}, four[] = {2, 4, 3}, one[] = {3}, more[] = {1, 4, 3};
  Nd a(DType::float32, 3, square), b(DType::float32, 3, broad), h(DType::float16, 3, square), v(DType::float32, 1, one);
  Nd y(DType::float32, 3, four), z(DType::float32, 3, more), d(DType::float64, 3, square), e(DType::float64, 3, four);
  const EighParams p{1, 1};
  CHECK(run_kernel(Op::eigh, a, y, p) == nullptr);
  CHECK(run_kernel(Op::eigh, b, y, p) != nullptr);
  CHECK(run_kernel(Op::eigh, h, y, p) != nullptr);
  CHECK(run_kernel(Op::eigh, v, y, p) != nullptr);
  CHECK(run_kernel(Op::eigh, a, z, p) != nullptr);
  CHECK(run_kernel(Op::eigh, a, a, p) != nullptr);
  CHECK(run_kernel(Op::eigh, d, y, p) != nullptr);
  CHECK(run_kernel(Op::eigh, a, e, p) != nullptr);
  CHECK(run_kernel(Op::eig, a, y, EigParams{1}) != nullptr);
  CHECK(run_kernel(Op::solve, a, a, p) != nullptr);
  CHECK(run_kernel(Op::cholesky, a, b, CholeskyParams{0}) != nullptr);
  CHECK(run_kernel(Op::svd, b, y, SvdParams{1}) != nullptr);
  CHECK(run_kernel(Op::det, a, v, p) != nullptr);
  const int64_t huge[] = {int64_t{1} << 40, int64_t{1} << 40}, still[] = {0, 0};
  Array x{nullptr, DType::float32, 2, huge, still, int64_t{1} << 62};
  const Call c{Op::cholesky, 1, 1, &x, &x, &p, nullptr};
  CHECK(kernel_of(Op::cholesky)->check(c) != nullptr);
}

}  // namespace
