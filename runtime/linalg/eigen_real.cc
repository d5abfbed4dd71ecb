// Real matrices: QR, eigenvalues, singular values.
#include "linalg/eigen_spectral.h"

// Divide and conquer gets a matrix that is bidiagonal already, so that one class serves real and complex matrices: its
// own reduction is none.
namespace Eigen::internal {
template <>
class UpperBidiagonalization<denim::linalg::Matrix<double>> {
 public:
  explicit UpperBidiagonalization(const denim::linalg::Matrix<double>& a) : a_(a) {}
  struct Diagonals {
    const denim::linalg::Matrix<double>& a;
    denim::linalg::Matrix<double> toDenseMatrix() const { return a; }
  };
  struct NoReflections {
    Index size;
    Index cols() const { return size; }
    void applyThisOnTheLeft(denim::linalg::Matrix<double>&) const {}
  };
  Diagonals bidiagonal() const { return {a_}; }
  NoReflections householderU() const { return {a_.rows()}; }
  NoReflections householderV() const { return {a_.cols()}; }

 private:
  const denim::linalg::Matrix<double>& a_;
};

// The small problems that it ends with have one row more than columns, and are reduced to squares by our QR.
using Small = JacobiSVD<denim::linalg::Matrix<double>>;
template <>
class qr_preconditioner_impl<denim::linalg::Matrix<double>, ColPivHouseholderQRPreconditioner,
                             PreconditionIfMoreRowsThanCols, true> {
 public:
  void allocate(const Small&) {}
  bool run(Small& svd, const denim::linalg::Matrix<double>& matrix);
};
template <>
class qr_preconditioner_impl<denim::linalg::Matrix<double>, ColPivHouseholderQRPreconditioner,
                             PreconditionIfMoreColsThanRows, true> {
 public:
  void allocate(const Small&) {}
  bool run(Small&, const denim::linalg::Matrix<double>&) { return false; }
};
bool qr_preconditioner_impl<denim::linalg::Matrix<double>, ColPivHouseholderQRPreconditioner,
                            PreconditionIfMoreRowsThanCols, true>::run(Small& svd,
                                                                       const denim::linalg::Matrix<double>& matrix) {
  const Index m = matrix.rows(), n = matrix.cols();
  if (m <= n) return false;
  denim::linalg::Matrix<double> a = denim::linalg::Matrix<double>::Zero(m, m), q(m, m);
  a.leftCols(n) = matrix;
  denim::linalg::qr_by(a.data(), q.data(), m, m);
  svd.m_workMatrix.setZero();
  for (Index j = 0; j < n; j++) svd.m_workMatrix.col(j).head(j + 1) = a.col(j).head(j + 1);
  if (svd.m_computeFullU) svd.m_matrixU = q;
  if (svd.computeV()) svd.m_matrixV.setIdentity(n, n);
  return true;
}
}  // namespace Eigen::internal

namespace denim::linalg {

Fate svd_of_bidiagonal(Vector<double>& s, const Vector<double>& e, bool vectors, Matrix<double>& u, Matrix<double>& v) {
  const Index n = s.size();
  Matrix<double> b = Matrix<double>::Zero(n, n);
  for (Index i = 0; i < n; i++) b(i, i) = s[i];
  for (Index i = 0; i + 1 < n; i++) b(i, i + 1) = e[i];
  const Eigen::BDCSVD<Matrix<double>> found(b, vectors ? Eigen::ComputeFullU | Eigen::ComputeFullV : 0);
  if (found.info() != Eigen::Success) return Fate::failed;
  s = found.singularValues();
  if (vectors) u = found.matrixU(), v = found.matrixV();
  return Fate::done;
}

Fate qr(double* a, double* q, int64_t m, int64_t n) {
  return guarded([=] { return qr_by(a, q, m, n); });
}
Fate eigh(double* a, double* values, int64_t n, bool vectors) {
  return guarded([=] { return eigh_by(a, values, n, vectors); });
}
Fate svd(double* a, double* values, double* u, double* v, int64_t m, int64_t n) {
  return guarded([=] { return svd_by(a, values, u, v, m, n); });
}

}  // namespace denim::linalg
