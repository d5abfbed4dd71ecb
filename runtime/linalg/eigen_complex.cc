// Complex matrices: QR, eigenvalues, singular values.
#include "linalg/eigen_spectral.h"

namespace denim::linalg {

Fate qr(Pair* a, Pair* q, int64_t m, int64_t n) {
  return guarded([=] { return qr_by(native(a), native(q), m, n); });
}
Fate eigh(Pair* a, double* values, int64_t n, bool vectors) {
  return guarded([=] { return eigh_by(native(a), values, n, vectors); });
}
Fate svd(Pair* a, double* values, Pair* u, Pair* v, int64_t m, int64_t n) {
  return guarded([=] { return svd_by(native(a), values, native(u), native(v), m, n); });
}
Fate eig(Pair* a, Pair* values, Pair* vectors, int64_t n) {
  return guarded([=] {
    const double scale = scale_of(View<C>(native(a), n, n));
    Matrix<C> matrix = View<C>(native(a), n, n) * scale;
    const Eigen::ComplexEigenSolver<Matrix<C>> found(matrix, vectors != nullptr);
    if (found.info() != Eigen::Success) return Fate::failed;
    View<C>(native(values), n, 1) = found.eigenvalues() / scale;
    if (vectors != nullptr) View<C>(native(vectors), n, n) = found.eigenvectors();
    return Fate::done;
  });
}

}  // namespace denim::linalg
