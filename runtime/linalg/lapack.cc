// Decompositions by LAPACK, where the system has one: on a Mac Accelerate's. The Fortran interface with 32-bit
// integers, which every LAPACK has: all arguments are pointers, a name ends in _.
#include <limits.h>
#include <stdlib.h>

#include "linalg/seam.h"

using denim::linalg::Pair;

extern "C" {
void dgetrf_(const int* m, const int* n, double* a, const int* lda, int* pivots, int* info);
void zgetrf_(const int* m, const int* n, Pair* a, const int* lda, int* pivots, int* info);
void dgetrs_(const char* trans, const int* n, const int* k, const double* a, const int* lda, const int* pivots,
             double* b, const int* ldb, int* info);
void zgetrs_(const char* trans, const int* n, const int* k, const Pair* a, const int* lda, const int* pivots, Pair* b,
             const int* ldb, int* info);
void dpotrf_(const char* uplo, const int* n, double* a, const int* lda, int* info);
void zpotrf_(const char* uplo, const int* n, Pair* a, const int* lda, int* info);
void dtrtrs_(const char* uplo, const char* trans, const char* diag, const int* n, const int* k, const double* a,
             const int* lda, double* b, const int* ldb, int* info);
void ztrtrs_(const char* uplo, const char* trans, const char* diag, const int* n, const int* k, const Pair* a,
             const int* lda, Pair* b, const int* ldb, int* info);
void dgeqrf_(const int* m, const int* n, double* a, const int* lda, double* taus, double* work, const int* size,
             int* info);
void zgeqrf_(const int* m, const int* n, Pair* a, const int* lda, Pair* taus, Pair* work, const int* size, int* info);
void dorgqr_(const int* m, const int* n, const int* k, double* a, const int* lda, const double* taus, double* work,
             const int* size, int* info);
void zungqr_(const int* m, const int* n, const int* k, Pair* a, const int* lda, const Pair* taus, Pair* work,
             const int* size, int* info);
void dsyevd_(const char* jobz, const char* uplo, const int* n, double* a, const int* lda, double* w, double* work,
             const int* size, int* iwork, const int* isize, int* info);
void zheevd_(const char* jobz, const char* uplo, const int* n, Pair* a, const int* lda, double* w, Pair* work,
             const int* size, double* rwork, const int* rsize, int* iwork, const int* isize, int* info);
void dgesdd_(const char* jobz, const int* m, const int* n, double* a, const int* lda, double* s, double* u,
             const int* ldu, double* vt, const int* ldvt, double* work, const int* size, int* iwork, int* info);
void zgesdd_(const char* jobz, const int* m, const int* n, Pair* a, const int* lda, double* s, Pair* u, const int* ldu,
             Pair* vt, const int* ldvt, Pair* work, const int* size, double* rwork, int* iwork, int* info);
void zgeev_(const char* jobvl, const char* jobvr, const int* n, Pair* a, const int* lda, Pair* w, Pair* vl,
            const int* ldvl, Pair* vr, const int* ldvr, Pair* work, const int* size, double* rwork, int* info);
}

namespace denim::linalg {

thread_local int64_t requests_granted = INT64_MAX;

namespace {

// One name for both scalars.
#define DENIM_BOTH(name, real, complex)                                       \
  template <class... Args>                                                    \
  void name(double*, Args... args) {                                          \
    real(args...);                                                            \
  }                                                                           \
  template <class... Args>                                                    \
  void name(Pair*, Args... args) {                                            \
    complex(args...);                                                         \
  }
DENIM_BOTH(getrf, dgetrf_, zgetrf_)
DENIM_BOTH(getrs, dgetrs_, zgetrs_)
DENIM_BOTH(potrf, dpotrf_, zpotrf_)
DENIM_BOTH(trtrs, dtrtrs_, ztrtrs_)
DENIM_BOTH(geqrf, dgeqrf_, zgeqrf_)
DENIM_BOTH(orgqr, dorgqr_, zungqr_)
#undef DENIM_BOTH

/// A number of entries as LAPACK counts them; -1 if it cannot.
int count_of(double x) { return x < INT_MAX ? static_cast<int>(x) : -1; }
/// Room that lasts as long as the call; null where there is none.
template <class T>
struct Room {
  T* data;
  explicit Room(int64_t n)
      : data(requests_granted-- > 0 && n >= 0 ? static_cast<T*>(malloc(static_cast<size_t>(n > 0 ? n : 1) * sizeof(T)))
                                    : nullptr) {}
  ~Room() { free(data); }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;
};
double real_part(double x) { return x; }
double real_part(Pair x) { return x.re; }
Pair conjugate(Pair x) { return {x.re, -x.im}; }
double conjugate(double x) { return x; }

template <class S>
Fate lu_by(S* a, int64_t m64, int64_t n64, int64_t* pivots) {
  const int m = static_cast<int>(m64), n = static_cast<int>(n64), least = m < n ? m : n;
  if (least == 0) return Fate::done;
  Room<int> found(least);
  if (found.data == nullptr) return Fate::no_memory;
  int info = 0;
  getrf(a, &m, &n, a, &m, found.data, &info);
  for (int k = 0; k < least; k++) pivots[k] = found.data[k] - 1;
  return Fate::done;
}
template <class S>
Fate cholesky_by(S* a, int64_t n64, int64_t* rank) {
  const int n = static_cast<int>(n64);
  int info = 0;
  potrf(a, "L", &n, a, &n, &info);
  *rank = info > 0 ? info - 1 : n;
  return Fate::done;
}
template <class S>
Fate solve_by(S* a, S* b, int64_t n64, int64_t k64) {
  const int n = static_cast<int>(n64), k = static_cast<int>(k64);
  Room<int> pivots(n);
  if (pivots.data == nullptr) return Fate::no_memory;
  int info = 0;
  getrf(a, &n, &n, a, &n, pivots.data, &info);
  if (info > 0) return Fate::failed;
  getrs(a, "N", &n, &k, a, &n, pivots.data, b, &n, &info);
  return Fate::done;
}
template <class S>
Fate triangle_by(const S* a, S* b, int64_t n64, int64_t k64, bool upper) {
  const int n = static_cast<int>(n64), k = static_cast<int>(k64);
  int info = 0;
  trtrs(b, upper ? "U" : "L", "N", "N", &n, &k, a, &n, b, &n, &info);
  return info > 0 ? Fate::failed : Fate::done;
}
template <class S>
Fate qr_by(S* a, S* q, int64_t m64, int64_t n64) {
  const int m = static_cast<int>(m64), n = static_cast<int>(n64), k = m < n ? m : n, ask = -1;
  if (k == 0) return Fate::done;
  S one, other;
  int info = 0;
  geqrf(a, &m, &n, a, &m, a, &one, &ask, &info);
  orgqr(a, &m, &k, &k, q, &m, a, &other, &ask, &info);
  const double most = real_part(one) > real_part(other) ? real_part(one) : real_part(other);
  const int size = count_of(most);
  Room<S> work(size), taus(k);
  if (work.data == nullptr || taus.data == nullptr) return Fate::no_memory;
  geqrf(a, &m, &n, a, &m, taus.data, work.data, &size, &info);
  for (int64_t i = 0; i < int64_t{m} * k; i++) q[i] = a[i];
  orgqr(a, &m, &k, &k, q, &m, taus.data, work.data, &size, &info);
  return Fate::done;
}

}  // namespace

Fate eigh(double* a, double* values, int64_t n64, bool vectors) {
  const int n = static_cast<int>(n64), ask = -1;
  const char* job = vectors ? "V" : "N";
  double size;
  int isize, info = 0;
  dsyevd_(job, "L", &n, a, &n, values, &size, &ask, &isize, &ask, &info);
  const int count = count_of(size);
  Room<double> work(count);
  Room<int> iwork(isize);
  if (work.data == nullptr || iwork.data == nullptr) return Fate::no_memory;
  dsyevd_(job, "L", &n, a, &n, values, work.data, &count, iwork.data, &isize, &info);
  return info == 0 ? Fate::done : Fate::failed;
}
Fate eigh(Pair* a, double* values, int64_t n64, bool vectors) {
  const int n = static_cast<int>(n64), ask = -1;
  const char* job = vectors ? "V" : "N";
  Pair size;
  double rsize;
  int isize, info = 0;
  zheevd_(job, "L", &n, a, &n, values, &size, &ask, &rsize, &ask, &isize, &ask, &info);
  const int count = count_of(size.re), rcount = count_of(rsize);
  Room<Pair> work(count);
  Room<double> rwork(rcount);
  Room<int> iwork(isize);
  if (work.data == nullptr || rwork.data == nullptr || iwork.data == nullptr) return Fate::no_memory;
  zheevd_(job, "L", &n, a, &n, values, work.data, &count, rwork.data, &rcount, iwork.data, &isize, &info);
  return info == 0 ? Fate::done : Fate::failed;
}

namespace {

void gesdd(const char* job, int m, int n, double* a, double* s, double* u, double* vt, double* work, int size, double*,
           int* iwork, int* info) {
  dgesdd_(job, &m, &n, a, &m, s, u, &m, vt, &n, work, &size, iwork, info);
}
void gesdd(const char* job, int m, int n, Pair* a, double* s, Pair* u, Pair* vt, Pair* work, int size, double* rwork,
           int* iwork, int* info) {
  zgesdd_(job, &m, &n, a, &m, s, u, &m, vt, &n, work, &size, rwork, iwork, info);
}
/// V^H becomes V.
template <class S>
void adjoin(S* v, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j <= i; j++) {
      const S x = v[i * n + j];
      v[i * n + j] = conjugate(v[j * n + i]);
      v[j * n + i] = conjugate(x);
    }
  }
}
template <class S>
Fate svd_by(S* a, double* values, S* u, S* v, int64_t m64, int64_t n64) {
  const int m = static_cast<int>(m64), n = static_cast<int>(n64);
  const char* job = u == nullptr ? "N" : "A";
  S ask;
  int info = 0;
  gesdd(job, m, n, a, values, u, v, &ask, -1, nullptr, nullptr, &info);
  const int size = count_of(real_part(ask));
  // What LAPACK 3.2 asks for complex matrices: 5 n^2 + 7 n; later ones 2 m n + 2 n^2 + n if that is more.
  const int64_t square = 5 * n64 * n64 + 7 * n64, long_one = 2 * m64 * n64 + 2 * n64 * n64 + n64;
  Room<S> work(size);
  Room<double> rwork(square > long_one ? square : long_one);
  Room<int> iwork(8 * n64);
  if (work.data == nullptr || rwork.data == nullptr || iwork.data == nullptr) return Fate::no_memory;
  gesdd(job, m, n, a, values, u, v, work.data, size, rwork.data, iwork.data, &info);
  if (info != 0) return Fate::failed;
  if (u != nullptr) adjoin(v, n);
  return Fate::done;
}

}  // namespace

Fate eig(Pair* a, Pair* values, Pair* vectors, int64_t n64) {
  const int n = static_cast<int>(n64), ask = -1, one = 1;
  const char* job = vectors == nullptr ? "N" : "V";
  Pair size, none;
  int info = 0;
  Room<double> rwork(2 * n64);
  if (rwork.data == nullptr) return Fate::no_memory;
  zgeev_("N", job, &n, a, &n, values, &none, &one, vectors, &n, &size, &ask, rwork.data, &info);
  const int count = count_of(size.re);
  Room<Pair> work(count);
  if (work.data == nullptr) return Fate::no_memory;
  zgeev_("N", job, &n, a, &n, values, &none, &one, vectors, &n, work.data, &count, rwork.data, &info);
  return info == 0 ? Fate::done : Fate::failed;
}
#define DENIM_SEAM(S)                                                                                              \
  Fate lu(S* a, int64_t m, int64_t n, int64_t* pivots) { return lu_by(a, m, n, pivots); }                          \
  Fate cholesky(S* a, int64_t n, int64_t* rank) { return cholesky_by(a, n, rank); }                                \
  Fate solve(S* a, S* b, int64_t n, int64_t k, int64_t*) { return solve_by(a, b, n, k); }                          \
  Fate solve_triangle(const S* a, S* b, int64_t n, int64_t k, bool up) { return triangle_by(a, b, n, k, up); }     \
  Fate qr(S* a, S* q, int64_t m, int64_t n) { return qr_by(a, q, m, n); }                                          \
  Fate svd(S* a, double* s, S* u, S* v, int64_t m, int64_t n) { return svd_by(a, s, u, v, m, n); }
DENIM_SEAM(double)
DENIM_SEAM(Pair)

}  // namespace denim::linalg
