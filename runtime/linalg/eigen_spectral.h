// QR, Hermitian eigenvalues and singular values by Eigen, for real and for complex matrices: the scalar is a parameter,
// so that the two are compiled side by side. Eigen's classes instantiate the same products for many types of operands;
// here its functions are called on one type each, which takes a third of the time to compile.
#pragma once
#include "linalg/eigen.h"

#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <Eigen/SVD>

namespace denim::linalg {

/// A matrix or a part of one.
template <class S>
using Part = Eigen::Ref<Matrix<S>>;

/// The factor, a power of two, that brings the largest entry near 1, so that squares of entries exist.
template <class S>
double scale_of(const View<S>& a) {
  double most = 0;
  for (Index i = 0; i < a.size(); i++) most = std::max(most, std::abs(a.data()[i]));
  return (most > 1e-100 && most < 1e100) || !(most > 0) || most > 1e308 ? 1 : std::exp2(-std::ilogb(most));
}

constexpr Index kBlock = 48;  // reflections that are applied at once

/// x <- H_0 H_1 ... x, H_i = I - taus[i] v_i v_i^H, where v_i is a 1 on the diagonal of column i of `v` and what is
/// below it. `triangular`: column j of x is zero above row j, as an identity is.
template <class S>
void apply_reflections(Part<S> v, Vector<S> taus, Part<S> x, bool triangular) {
  const Index count = taus.size();
  for (Index k = (count - 1) / kBlock * kBlock; k >= 0 && count > 0; k -= kBlock) {
    const Index size = std::min(kBlock, count - k), rows = v.rows() - k, from = triangular ? k : 0;
    Eigen::Block<Part<S>, Dynamic, Dynamic> part(x, k, from, rows, x.cols() - from), vectors(v, k, k, rows, size);
    Eigen::Block<Vector<S>, Dynamic, 1> coefficients(taus, k, 0, size, 1);
    Eigen::internal::apply_block_householder_on_the_left(part, vectors, coefficients, true);
  }
}

template <class S>
Fate qr_by(S* matrix, S* orthogonal, Index m, Index n) {
  const Index k = std::min(m, n);
  View<S> a(matrix, m, n), q(orthogonal, m, k);
  Vector<S> taus(k), row(n);
  const double scale = scale_of(a);
  if (scale != 1) a *= scale;
  Part<S> whole(a);
  Eigen::internal::householder_qr_inplace_blocked<Part<S>, Vector<S>>::run(whole, taus, kBlock, row.data());
  q.setIdentity();
  apply_reflections<S>(whole, taus.conjugate(), q, true);
  if (scale != 1) a *= 1 / scale;
  return Fate::done;
}

template <class S>
Fate eigh_by(S* matrix, double* values, Index n, bool vectors) {
  View<S> a(matrix, n, n);
  Vector<S> taus(n - 1);
  Vector<double> beside(n - 1), w(n);
  const double scale = scale_of(a);
  if (scale != 1) a *= scale;
  Eigen::internal::tridiagonalization_inplace(a, taus);
  for (Index i = 0; i < n; i++) w[i] = std::real(a(i, i));
  for (Index i = 0; i + 1 < n; i++) beside[i] = std::real(a(i + 1, i));
  Matrix<S> z;
  if (vectors) {
    z.setIdentity(n, n);
    apply_reflections<S>(a.block(1, 0, n - 1, n - 1), taus.conjugate(), z.bottomRightCorner(n - 1, n - 1), true);
  }
  const auto end = Eigen::internal::computeFromTridiagonal_impl(w, beside, 30, vectors, z);
  if (vectors) a = z;
  for (Index i = 0; i < n; i++) values[i] = w[i] / scale;
  return end == Eigen::Success ? Fate::done : Fate::failed;
}

/// Of the upper bidiagonal matrix with the diagonals `s` and `e`: the singular values into s and, where `vectors`, the
/// vectors as the columns of u and v.
Fate svd_of_bidiagonal(Vector<double>& s, const Vector<double>& e, bool vectors, Matrix<double>& u, Matrix<double>& v);

template <class S>
Fate svd_by(S* matrix, double* values, S* left, S* right, Index m, Index n) {
  View<S> a(matrix, m, n);
  Vector<double> s(n), e(n);
  Vector<S> room(m);
  const double scale = scale_of(a);
  if (scale != 1) a *= scale;
  Eigen::internal::upperbidiagonalization_inplace_unblocked(a, s.data(), e.data(), room.data());
  Matrix<double> p, q;
  const Fate fate = svd_of_bidiagonal(s, e, left != nullptr, p, q);
  for (Index i = 0; i < n; i++) values[i] = s[i] / scale;
  if (fate != Fate::done || left == nullptr) return fate;
  View<S> u(left, m, m), v(right, n, n);
  u.setIdentity();
  u.topLeftCorner(n, n) = p.template cast<S>();
  apply_reflections<S>(a, a.diagonal().conjugate(), u, false);
  v = q.template cast<S>();
  if (n > 1) {
    Matrix<S> rows = a.block(0, 1, n - 1, n - 1).adjoint();
    apply_reflections<S>(rows, a.template diagonal<1>().head(n - 1), v.bottomRows(n - 1), false);
  }
  return Fate::done;
}

}  // namespace denim::linalg
