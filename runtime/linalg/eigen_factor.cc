// Elimination by Eigen: LU, Cholesky, systems of equations.
#include "linalg/eigen.h"

#include <Eigen/Cholesky>
#include <Eigen/LU>

namespace denim::linalg {
namespace {

/// Exchanges the rows of x as they were in the matrix with these factors.
template <class X>
void exchange(X&& x, int64_t count, const int64_t* pivots) {
  for (int64_t i = 0; i < count; i++) {
    if (pivots[i] != i) x.row(i).swap(x.row(pivots[i]));
  }
}
template <class S>
Fate factor(S* matrix, int64_t m, int64_t n, int64_t* pivots) {
  const Index size = std::min(m, n);
  if (size == 0) return Fate::done;
  View<S> left(matrix, m, size);  // Eigen leaves columns beyond a square alone
  Eigen::Transpositions<Dynamic, Dynamic, int64_t> exchanged(size);
  int64_t count;
  Eigen::internal::partial_lu_inplace(left, exchanged, count);
  for (Index k = 0; k < size; k++) pivots[k] = exchanged.coeff(k);
  View<S> beside(matrix + m * size, m, n - size);
  exchange(beside, size, pivots);
  if (n > size) left.template triangularView<Eigen::UnitLower>().solveInPlace(beside);
  return Fate::done;
}
template <class S>
Fate cholesky_of(S* a, int64_t n, int64_t* rank) {
  View<S> view(a, n, n);
  const Index stopped = Eigen::internal::llt_inplace<S, Eigen::Lower>::blocked(view);
  *rank = stopped < 0 ? n : stopped;
  return Fate::done;
}
template <class S>
Fate triangle(const S* a, S* b, int64_t n, int64_t k, bool upper) {
  const Eigen::Map<const Matrix<S>> t(a, n, n);
  View<S> x(b, n, k);
  if ((t.diagonal().array() == S(0)).any()) return Fate::failed;
  if (upper) t.template triangularView<Eigen::Upper>().solveInPlace(x);
  else t.template triangularView<Eigen::Lower>().solveInPlace(x);
  return Fate::done;
}
template <class S>
Fate solve_by(S* a, S* b, int64_t n, int64_t k, int64_t* pivots) {
  View<S> factors(a, n, n), x(b, n, k);
  factor(a, n, n, pivots);
  exchange(x, n, pivots);
  factors.template triangularView<Eigen::UnitLower>().solveInPlace(x);
  return triangle(a, b, n, k, true);
}

}  // namespace

// Blocks by sizes that suit most processors: Eigen would ask each, without a lock, and results would depend on it.
void prepare() { Eigen::setCpuCacheSizes(32 << 10, 512 << 10, 4 << 20); }

#define DENIM_FACTOR(S)                                                           \
  Fate lu(S* a, int64_t m, int64_t n, int64_t* pivots) {                          \
    return guarded([=] { return factor(native(a), m, n, pivots); });              \
  }                                                                               \
  Fate cholesky(S* a, int64_t n, int64_t* rank) {                                 \
    return guarded([=] { return cholesky_of(native(a), n, rank); });              \
  }                                                                               \
  Fate solve(S* a, S* b, int64_t n, int64_t k, int64_t* pivots) {                 \
    return guarded([=] { return solve_by(native(a), native(b), n, k, pivots); }); \
  }                                                                               \
  Fate solve_triangle(const S* a, S* b, int64_t n, int64_t k, bool upper) {       \
    return guarded([=] { return triangle(native(a), native(b), n, k, upper); });  \
  }
DENIM_FACTOR(double)
DENIM_FACTOR(Pair)

}  // namespace denim::linalg
