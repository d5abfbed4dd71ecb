// Eigenvalues and singular values in double precision: a reduction by Householder reflections to two diagonals (or to
// Hessenberg form), then rotations until nothing is left beside the diagonal. Vectors are kept as rows, so that
// rotations run along memory. Every vector is turned so that its leading entry, the first of at least half of the
// largest size, is real and positive: then the result does not depend on how it was found.
#pragma once
#include "cpu/linalg_factor.h"

namespace denim::DENIM_ISA {

constexpr double kEpsilon = 2.220446049250313e-16;
/// Rotations per value before it is given up: about 2 are usual.
constexpr int kPatience = 80;

/// (x, y) <- (c x + s y, c y - s x)
template <class S>
DENIM_WIDE inline void rotate(S* __restrict x, S* __restrict y, double c, double s, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const S a = x[i], b = y[i];
    x[i] = c * a + s * b;
    y[i] = c * b - s * a;
  }
}
/// Place of the first entry of at least half of the largest size.
template <class S>
int64_t leading(const S* x, int64_t n) {
  double most = 0;
  for (int64_t i = 0; i < n; i++) most = ::fmax(most, size(x[i]));
  int64_t i = 0;
  while (i < n - 1 && !(size(x[i]) >= 0.5 * most)) i++;
  return i;
}
/// x times the phase that makes its leading entry real and positive; returns that phase.
template <class S>
S turn(S* x, int64_t n) {
  if (n == 0) return from_real<S>(1);
  const int64_t at = leading(x, n);
  const S f = conjugate(phase(x[at]));
  for (int64_t i = 0; i < n; i++) x[i] = x[i] * f;
  x[at] = from_real<S>(real_part(x[at]));
  return f;
}
template <class S>
bool all_finite(View<S> a) {
  for (int64_t i = 0; i < a.rows; i++) {
    for (int64_t j = 0; j < a.columns; j++) {
      if (!__builtin_isfinite(square_size(a[i][j]) * 0)) return false;
    }
  }
  return true;
}

// ---- Hermitian matrices ---------------------------------------------------------------------------------------------

/// a = Q T Q^H with T real and tridiagonal: `d` its diagonal, e[i] between d[i] and d[i + 1]. The rows of z become the
/// columns of Q, unless it is empty. `v`: room for all reflections and two rows more.
template <class S>
void tridiagonalize(View<S> a, View<S> z, View<S> v, double* d, double* e) {
  const int64_t n = a.rows;
  S *p = v[n], *turns = v[n + 1];
  auto* taus = e;  // of the reflections, until e is known
  for (int64_t k = 0; k + 1 < n; k++) {
    const int64_t m = n - k - 1;
    const View<S> rest = a.part(k + 1, k + 1, m, m);
    const Reflection<S> r = reflection(v[k], a[k + 1] + k, a.step, m);
    taus[k] = r.tau, turns[k] = r.beta;
    if (r.tau == 0) continue;
    // p = tau A v, w = p - tau/2 (p^H v) v, A -= v w^H + w v^H
    for (int64_t i = 0; i < m; i++) {
      S sum = from_real<S>(0);
      for (int64_t j = 0; j < m; j++) sum = sum + rest[i][j] * v[k][j];
      p[i] = r.tau * sum;
    }
    const S half = (0.5 * r.tau) * inner(p, v[k], m);
    for (int64_t i = 0; i < m; i++) p[i] = p[i] - conjugate(half) * v[k][i];
    for (int64_t i = 0; i < m; i++) {
      const S f = v[k][i], g = p[i];
      for (int64_t j = 0; j < m; j++) rest[i][j] = rest[i][j] - (f * conjugate(p[j]) + g * conjugate(v[k][j]));
    }
  }
  for (int64_t k = 0; k < n; k++) d[k] = real_part(a[k][k]);
  if (z.rows > 0) {  // z = Q^T: the reflections from the last to the first, as columns are rows here
    fill_identity(z);
    for (int64_t k = n - 2; k >= 0; k--) {
      for (int64_t i = 0; i < n - k - 1; i++) p[i] = conjugate(v[k][i]);
      reflect_right(z.part(k + 1, k + 1, n - k - 1, n - k - 1), p, taus[k]);
    }
  }
  S f = from_real<S>(1);  // T = D (real) D^H with phases D, which go to Q
  for (int64_t k = 0; k + 1 < n; k++) {
    f = f * phase(turns[k]);
    e[k] = size(turns[k]);
    for (int64_t j = 0; j < z.columns; j++) z[k + 1][j] = z[k + 1][j] * f;
  }
}
/// Eigenvalues of the tridiagonal matrix (d, e) into d, by implicit QL; the rows of z are rotated along. False if it
/// does not end.
template <class S>
bool diagonalize(double* d, double* e, int64_t n, View<S> z) {
  if (n > 0) e[n - 1] = 0;
  for (int64_t l = 0; l < n; l++) {
    for (int tries = 0;; tries++) {
      int64_t m = l;
      while (m < n - 1 && ::fabs(e[m]) > kEpsilon * (::fabs(d[m]) + ::fabs(d[m + 1]))) m++;
      if (m == l) break;
      if (tries == kPatience) return false;
      double g = (d[l + 1] - d[l]) / (2 * e[l]), r = ::hypot(g, 1.0);
      g = d[m] - d[l] + e[l] / (g + ::copysign(r, g));
      double s = 1, c = 1, p = 0;
      int64_t i = m - 1;
      for (; i >= l; i--) {
        const double f = s * e[i], b = c * e[i];
        r = ::hypot(f, g);
        e[i + 1] = r;
        if (r == 0) {
          d[i + 1] -= p;
          e[m] = 0;
          break;
        }
        s = f / r, c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        if (z.rows > 0) rotate(z[i + 1], z[i], c, s, z.columns);
      }
      if (r == 0 && i >= l) continue;
      d[l] -= p;
      e[l] = g;
      e[m] = 0;
    }
  }
  return true;
}
/// Eigenvalues w, rising, and as rows of z the eigenvectors (none if z is empty) of a Hermitian matrix, whose lower
/// triangle is read. `v`: room for n + 2 rows; `e`: for n numbers.
template <class S>
bool eigh(View<S> a, double* w, View<S> z, View<S> v, double* e) {
  const int64_t n = a.rows;
  for (int64_t i = 0; i < n; i++) {
    a[i][i] = from_real<S>(real_part(a[i][i]));
    for (int64_t j = 0; j < i; j++) a[j][i] = conjugate(a[i][j]);
  }
  tridiagonalize(a, z, v, w, e);
  if (!diagonalize(w, e, n, z)) return false;
  for (int64_t i = 0; i < n; i++) {
    int64_t least = i;
    for (int64_t j = i + 1; j < n; j++) least = w[j] < w[least] ? j : least;
    swap(w[i], w[least]);
    if (z.rows > 0) swap_rows(z, i, least);
  }
  for (int64_t i = 0; i < z.rows; i++) turn(z[i], n);
  return true;
}

// ---- singular values ------------------------------------------------------------------------------------------------

/// a (at least as many rows as columns) = U B V^H with B real, upper bidiagonal: `s` its diagonal, `e` beside it. The
/// rows of u and v become the columns of U and the rows of V^H turned to columns of V, unless they are empty.
template <class S>
void bidiagonalize(View<S> a, View<S> u, View<S> v, View<S> left, View<S> right, double* s, double* e) {
  const int64_t m = a.rows, n = a.columns;
  S *w = left[n], *heads = right[n], *seconds = right[n + 1];
  auto *taus = reinterpret_cast<double*>(left[n + 1]), *right_taus = reinterpret_cast<double*>(left[n + 2]);
  for (int64_t k = 0; k < n; k++) {
    Reflection<S> r = reflection(left[k], a[k] + k, a.step, m - k);
    taus[k] = r.tau, heads[k] = r.beta;
    reflect(a.part(k, k + 1, m - k, n - k - 1), left[k], r.tau, w);
    right_taus[k] = 0, seconds[k] = from_real<S>(0);
    if (k + 1 >= n) continue;
    // the row right of the diagonal, x^T: its conjugate is reflected to the left
    for (int64_t j = k + 1; j < n; j++) w[j] = conjugate(a[k][j]);
    r = reflection(right[k], w + k + 1, 1, n - k - 1);
    right_taus[k] = r.tau, seconds[k] = conjugate(r.beta);
    reflect_right(a.part(k + 1, k + 1, m - k - 1, n - k - 1), right[k], r.tau);
  }
  const auto gather = [&](View<S> z, View<S> from, const double* t, int64_t count, int64_t shift) {
    if (z.rows == 0) return;
    fill_identity(z);
    for (int64_t k = count - 1; k >= 0; k--) {
      const int64_t at = k + shift, length = z.rows - at;
      for (int64_t i = 0; i < length; i++) w[i] = conjugate(from[k][i]);
      reflect_right(z.part(at, at, length, length), w, t[k]);
    }
  };
  gather(u, left, taus, n, 0);
  gather(v, right, right_taus, n - 1, 1);
  // Phases: B = P (real) Q^H. p_k and q_k make row k real, then the entry beside it.
  S p = from_real<S>(1), q = from_real<S>(1);
  for (int64_t k = 0; k < n; k++) {
    p = phase(heads[k]) * q;
    s[k] = size(heads[k]), e[k] = size(seconds[k]);
    for (int64_t j = 0; j < u.columns; j++) u[k][j] = u[k][j] * p;
    for (int64_t j = 0; j < v.columns; j++) v[k][j] = v[k][j] * q;
    if (k + 1 < n) q = conjugate(phase(seconds[k])) * p;
  }
}
/// The two diagonals of a real bidiagonal matrix, with the vectors that are rotated along.
template <class S>
struct Bidiagonal {
  double *s, *e;
  View<S> u, v;

  void rotate_u(int64_t i, int64_t j, double c, double t) const {
    if (u.rows > 0) rotate(u[i], u[j], c, t, u.columns);
  }
  void rotate_v(int64_t i, int64_t j, double c, double t) const {
    if (v.rows > 0) rotate(v[i], v[j], c, t, v.columns);
  }
  /// A step of implicit QR on [k, p), shifted by the eigenvalue of the last two rows that is nearer to the last.
  void step(int64_t k, int64_t p) const {
    const double big = ::fmax(::fmax(::fmax(::fabs(s[p - 1]), ::fabs(s[p - 2])), ::fabs(e[p - 2])),
                              ::fmax(::fabs(s[k]), ::fabs(e[k])));
    const double last = s[p - 1] / big, before = s[p - 2] / big, beside = e[p - 2] / big, sk = s[k] / big;
    const double b = ((before + last) * (before - last) + beside * beside) / 2, c = last * beside * (last * beside);
    const double shift = b == 0 && c == 0 ? 0 : c / (b + ::copysign(::sqrt(b * b + c), b));
    double f = (sk + last) * (sk - last) + shift, g = sk * (e[k] / big);
    for (int64_t j = k; j < p - 1; j++) {
      double t = ::hypot(f, g), cs = t == 0 ? 1 : f / t, sn = t == 0 ? 0 : g / t;
      if (j != k) e[j - 1] = t;
      f = cs * s[j] + sn * e[j];
      e[j] = cs * e[j] - sn * s[j];
      g = sn * s[j + 1];
      s[j + 1] = cs * s[j + 1];
      rotate_v(j, j + 1, cs, sn);
      t = ::hypot(f, g), cs = t == 0 ? 1 : f / t, sn = t == 0 ? 0 : g / t;
      s[j] = t;
      f = cs * e[j] + sn * s[j + 1];
      s[j + 1] = cs * s[j + 1] - sn * e[j];
      g = sn * e[j + 1];
      e[j + 1] = cs * e[j + 1];
      rotate_u(j, j + 1, cs, sn);
    }
    e[p - 2] = f;
  }
  /// s[p - 1] is 0: the entry above it goes, upwards.
  void clear_column(int64_t k, int64_t p) const {
    double f = e[p - 2];
    e[p - 2] = 0;
    for (int64_t j = p - 2; j >= k; j--) {
      const double t = ::hypot(s[j], f), cs = t == 0 ? 1 : s[j] / t, sn = t == 0 ? 0 : f / t;
      s[j] = t;
      if (j > k) f = -sn * e[j - 1], e[j - 1] = cs * e[j - 1];
      rotate_v(j, p - 1, cs, sn);
    }
  }
  /// s[k - 1] is 0: the entry beside it goes, to the right.
  void clear_row(int64_t k, int64_t p) const {
    double f = e[k - 1];
    e[k - 1] = 0;
    for (int64_t j = k; j < p; j++) {
      const double t = ::hypot(s[j], f), cs = t == 0 ? 1 : s[j] / t, sn = t == 0 ? 0 : f / t;
      s[j] = t;
      f = -sn * e[j];
      e[j] = cs * e[j];
      rotate_u(j, k - 1, cs, sn);
    }
  }
  bool diagonalize(int64_t n) const {
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = ::fmax(most, ::fmax(::fabs(s[i]), ::fabs(e[i])));
    const double tiny = most * 1e-300;
    int tries = 0;
    for (int64_t p = n; p > 0;) {
      int64_t k = p - 2;
      while (k >= 0 && ::fabs(e[k]) > tiny + kEpsilon * (::fabs(s[k]) + ::fabs(s[k + 1]))) k--;
      if (k >= 0) e[k] = 0;
      if (k == p - 2) {
        p--;
        tries = 0;
        continue;
      }
      if (tries++ == kPatience) return false;
      int64_t zero = p - 1;
      for (; zero > k; zero--) {
        const double beside = (zero < p - 1 ? ::fabs(e[zero]) : 0) + (zero > k + 1 ? ::fabs(e[zero - 1]) : 0);
        if (::fabs(s[zero]) <= tiny + kEpsilon * beside) break;
      }
      if (zero > k) s[zero] = 0;
      if (zero == k) step(k + 1, p);
      else if (zero == p - 1) clear_column(k + 1, p);
      else clear_row(zero + 1, p);
    }
    return true;
  }
};
/// Singular values s, falling, of a matrix with at least as many rows as columns; the rows of u [m, m] and v [n, n] are
/// the singular vectors (none if these are empty). `left`, `right`: room for n + 3 and n + 2 rows; `e`: for n numbers.
template <class S>
bool svd(View<S> a, double* s, View<S> u, View<S> v, View<S> left, View<S> right, double* e) {
  const int64_t n = a.columns;
  bidiagonalize(a, u, v, left, right, s, e);
  if (n > 0) e[n - 1] = 0;
  if (!Bidiagonal<S>{s, e, u, v}.diagonalize(n)) return false;
  for (int64_t i = 0; i < n; i++) {
    if (s[i] < 0 || (s[i] == 0 && __builtin_signbit(s[i]))) {
      s[i] = -s[i];
      for (int64_t j = 0; j < v.columns; j++) v[i][j] = -1.0 * v[i][j];
    }
  }
  for (int64_t i = 0; i < n; i++) {
    int64_t most = i;
    for (int64_t j = i + 1; j < n; j++) most = s[j] > s[most] ? j : most;
    swap(s[i], s[most]);
    if (u.rows > 0) swap_rows(u, i, most), swap_rows(v, i, most);
  }
  return true;
}
/// Turns the rows of u, and with them those of v that belong to the same value; the others of v by themselves.
template <class S>
void turn_pairs(View<S> u, View<S> v) {
  for (int64_t i = 0; i < u.rows; i++) {
    const S f = turn(u[i], u.columns);
    for (int64_t j = 0; i < v.rows && j < v.columns; j++) v[i][j] = v[i][j] * f;
  }
  for (int64_t i = u.rows; i < v.rows; i++) turn(v[i], v.columns);
}

// ---- general matrices -----------------------------------------------------------------------------------------------

/// h <- Q^H h Q in Hessenberg form (zero below the first subdiagonal); the rows of q become the conjugated columns of
/// Q.
inline void to_hessenberg(View<Z> h, View<Z> q, View<Z> v, Z* w) {
  const int64_t n = h.rows;
  if (q.rows > 0) fill_identity(q);
  for (int64_t k = 0; k + 2 < n; k++) {
    const Reflection<Z> r = reflection(v[0], h[k + 1] + k, h.step, n - k - 1);
    reflect(h.part(k + 1, k, n - k - 1, n - k), v[0], r.tau, w);
    for (int64_t i = k + 2; i < n; i++) h[i][k] = {0, 0};
    reflect_right(h.part(0, k + 1, n, n - k - 1), v[0], r.tau);
    if (q.rows > 0) reflect(q.part(k + 1, 0, n - k - 1, n), v[0], r.tau, w);
  }
}
/// The unitary rotation [c, s; -conj(s), c] that takes (x, y) to (r, 0).
struct Givens {
  double c;
  Z s;
};
inline Givens givens(Z x, Z y) {
  const double a = modulus(x), b = modulus(y), r = ::hypot(a, b);
  if (r == 0) return {1, {0, 0}};
  return {a / r, (1 / r) * (phase(x) * conjugate(y))};
}
/// Rows x, y <- c x + s y, c y - conj(s) x.
DENIM_WIDE inline void rotate(Z* __restrict x, Z* __restrict y, Givens g, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const Z a = x[i], b = y[i];
    x[i] = g.c * a + g.s * b;
    y[i] = g.c * b - conjugate(g.s) * a;
  }
}
/// A Hessenberg matrix becomes upper triangular by QR steps with Wilkinson's shift; the rows of q follow.
inline bool to_schur(View<Z> h, View<Z> q, Givens* turns) {
  const int64_t n = h.rows;
  int tries = 0;
  for (int64_t p = n; p > 1;) {
    int64_t l = p - 1;
    for (; l > 0; l--) {
      const double beside = size(h[l - 1][l - 1]) + size(h[l][l]);
      if (size(h[l][l - 1]) <= kEpsilon * (beside > 0 ? beside : 1e-300)) break;
    }
    if (l > 0) h[l][l - 1] = {0, 0};
    if (l == p - 1) {
      p--;
      tries = 0;
      continue;
    }
    if (tries++ == kPatience) return false;
    const Z a = h[p - 2][p - 2], b = h[p - 2][p - 1], c = h[p - 1][p - 2], d = h[p - 1][p - 1];
    const Z half = 0.5 * (a - d), root = zsqrt(half * half + b * c);
    const Z plus = half + root, minus = half - root, far = square_size(plus) > square_size(minus) ? plus : minus;
    Z shift = square_size(far) == 0 ? d : d - b * c / far;
    if (tries % 10 == 0) shift = d + from_real<Z>(size(c));  // out of a cycle
    for (int64_t i = l; i < p; i++) h[i][i] = h[i][i] - shift;
    for (int64_t k = l; k + 1 < p; k++) {
      turns[k] = givens(h[k][k], h[k + 1][k]);
      rotate(h[k] + k, h[k + 1] + k, turns[k], n - k);
      h[k + 1][k] = {0, 0};
      if (q.rows > 0) rotate(q[k], q[k + 1], turns[k], n);
    }
    for (int64_t i = 0; i < p; i++) {  // from the right by the adjoint rotations, row by row
      for (int64_t k = i > l + 1 ? i - 1 : l; k + 1 < p; k++) {
        const Z x = h[i][k], y = h[i][k + 1];
        h[i][k] = turns[k].c * x + conjugate(turns[k].s) * y;
        h[i][k + 1] = turns[k].c * y - turns[k].s * x;
      }
    }
    for (int64_t i = l; i < p; i++) h[i][i] = h[i][i] + shift;
  }
  return true;
}
/// By real part, then imaginary part; real parts that differ by rounding only are equal.
inline bool comes_before(Z a, Z b, double rounding) {
  return ::fabs(a.re - b.re) > rounding ? a.re < b.re : a.im < b.im;
}
/// Eigenvalues w, in that order, and, as rows of z, the eigenvectors of length 1 (none if z is empty) of any matrix,
/// which is overwritten. `q`: room for a matrix, `v`: for two rows, `turns`: for n rotations. `real`: the matrix was
/// real.
inline bool eig(View<Z> h, Z* w, View<Z> z, View<Z> q, View<Z> v, Givens* turns, bool real) {
  const int64_t n = h.rows;
  const View<Z> vectors = z.rows > 0 ? q : z;
  double norm = 0;
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < n; j++) norm = ::fmax(norm, size(h[i][j]));
  }
  to_hessenberg(h, vectors, v, v[1]);
  if (!to_schur(h, vectors, turns)) return false;
  for (int64_t i = 0; i < n; i++) {
    w[i] = h[i][i];
    if (real && ::fabs(w[i].im) <= 10 * kEpsilon * norm * static_cast<double>(n)) w[i].im = 0;
  }
  const double least = norm == 0 ? 1 : kEpsilon * norm;
  for (int64_t k = 0; k < z.rows; k++) {
    // x solves (T - t_kk) x = 0 with x_k = 1; the vector is Q x
    Z* x = v[0];
    x[k] = {1, 0};
    for (int64_t i = k - 1; i >= 0; i--) {
      Z sum{0, 0}, gap = h[i][i] - h[k][k];
      for (int64_t j = i + 1; j <= k; j++) sum = sum + h[i][j] * x[j];
      if (size(gap) < least) gap = from_real<Z>(least);
      x[i] = Z{0, 0} - sum / gap;
      const double large = size(x[i]);  // equal values without vectors of their own: it may grow at each step
      for (int64_t j = i; j <= k && large > 1e100; j++) x[j] = (1 / large) * x[j];
    }
    double length = 0;
    for (int64_t i = 0; i < n; i++) z[k][i] = {0, 0};
    for (int64_t j = 0; j <= k; j++) {
      for (int64_t i = 0; i < n; i++) z[k][i] = z[k][i] + x[j] * conjugate(q[j][i]);
    }
    for (int64_t i = 0; i < n; i++) length += square_size(z[k][i]);
    for (int64_t i = 0; i < n; i++) z[k][i] = (1 / ::sqrt(length)) * z[k][i];
    turn(z[k], n);
  }
  for (int64_t i = 1; i < n; i++) {
    for (int64_t j = i; j > 0 && comes_before(w[j], w[j - 1], 1e-12 * norm * static_cast<double>(n)); j--) {
      swap(w[j], w[j - 1]);
      if (z.rows > 0) swap_rows(z, j, j - 1);
    }
  }
  return true;
}

}  // namespace denim::DENIM_ISA
