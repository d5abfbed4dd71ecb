// Dense matrices in double precision, real (double) or complex (Z), row by row: elimination (LU, triangular systems,
// Cholesky), Householder reflections (QR) and the exponential. Inner loops run along rows, several rows at a time, so
// that a matrix is read as seldom as possible. linalg_spectral.h builds on this; linalg.cc moves data in and out.
#pragma once
#include "cpu/complex.h"
#include "cpu/simd.h"

namespace denim::DENIM_ISA {

inline double conjugate(double x) { return x; }
inline Z conjugate(Z z) { return {z.re, -z.im}; }
inline double square_size(double x) { return x * x; }
inline double square_size(Z z) { return z.re * z.re + z.im * z.im; }
inline double size(double x) { return ::fabs(x); }
inline double size(Z z) { return modulus(z); }
inline double real_part(double x) { return x; }
inline double real_part(Z z) { return z.re; }
inline bool is_real(double) { return true; }
inline bool is_real(Z z) { return z.im == 0; }
template <class S>
inline S from_real(double x) {
  if constexpr (__is_same(S, Z)) return {x, 0};
  else return x;
}
/// x / |x|, 1 for 0.
template <class S>
inline S phase(S x) {
  const double s = size(x);
  return s == 0 ? from_real<S>(1) : (1 / s) * x;
}
template <class S>
inline void swap(S& a, S& b) {
  const S t = a;
  a = b;
  b = t;
}

/// A matrix in memory: rows of `columns` numbers, `step` apart.
template <class S>
struct View {
  S* data;
  int64_t rows, columns, step;
  S* operator[](int64_t i) const { return data + i * step; }
  View part(int64_t row, int64_t column, int64_t n, int64_t m) const { return {(*this)[row] + column, n, m, step}; }
};
template <class S>
void fill_identity(View<S> a) {
  for (int64_t i = 0; i < a.rows; i++) {
    for (int64_t j = 0; j < a.columns; j++) a[i][j] = from_real<S>(i == j ? 1 : 0);
  }
}
template <class S>
void copy(View<S> to, View<S> from) {
  for (int64_t i = 0; i < to.rows; i++) memcpy(to[i], from[i], static_cast<size_t>(to.columns) * sizeof(S));
}
template <class S>
void swap_rows(View<S> a, int64_t i, int64_t j) {
  for (int64_t k = 0; k < a.columns && i != j; k++) swap(a[i][k], a[j][k]);
}

/// y += a x
template <class S>
DENIM_WIDE inline void add_multiple(S* __restrict y, S a, const S* __restrict x, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = y[i] + a * x[i];
}
/// sum conj(x) y, in any order.
template <class S>
DENIM_WIDE inline S inner(const S* x, const S* y, int64_t n) {
#pragma clang fp reassociate(on)
  S sum = from_real<S>(0);
  for (int64_t i = 0; i < n; i++) sum = sum + conjugate(x[i]) * y[i];
  return sum;
}
/// c -= a b, four rows of b at a time.
template <class S>
DENIM_WIDE void subtract_product(View<S> c, View<S> a, View<S> b) {
  const int64_t n = c.columns;
  for (int64_t i = 0; i < c.rows; i++) {
    S* __restrict to = c[i];
    const S* f = a[i];
    int64_t k = 0;
    for (; k + 4 <= a.columns; k += 4) {
      const S *p = b[k], *q = b[k + 1], *r = b[k + 2], *s = b[k + 3];
      const S fp = f[k], fq = f[k + 1], fr = f[k + 2], fs = f[k + 3];
      for (int64_t j = 0; j < n; j++) to[j] = to[j] - (fp * p[j] + fq * q[j] + fr * r[j] + fs * s[j]);
    }
    for (; k < a.columns; k++) add_multiple(to, from_real<S>(0) - f[k], b[k], n);
  }
}

constexpr int64_t kPanel = 32;

/// P A = L U in place, L with a unit diagonal. `pivots[k]` is the row that row k was exchanged with; returns the sign
/// of the permutation. Panels of columns are eliminated one by one, then the rest follows in one product.
template <class S>
int factor(View<S> a, int64_t* pivots) {
  const int64_t least = a.rows < a.columns ? a.rows : a.columns;
  int sign = 1;
  for (int64_t first = 0; first < least; first += kPanel) {
    const int64_t end = first + kPanel < least ? first + kPanel : least;
    for (int64_t k = first; k < end; k++) {
      int64_t p = k;
      for (int64_t i = k + 1; i < a.rows; i++) {
        if (square_size(a[i][k]) > square_size(a[p][k])) p = i;
      }
      pivots[k] = p;
      if (p != k) sign = -sign;
      swap_rows(a, k, p);
      if (square_size(a[k][k]) == 0) continue;
      for (int64_t i = k + 1; i < a.rows; i++) {
        a[i][k] = a[i][k] / a[k][k];
        add_multiple(a[i] + k + 1, from_real<S>(0) - a[i][k], a[k] + k + 1, end - k - 1);
      }
    }
    const int64_t right = a.columns - end;
    for (int64_t k = first + 1; k < end; k++)
      subtract_product(a.part(k, end, 1, right), a.part(k, first, 1, k - first), a.part(first, end, k - first, right));
    if (end < a.rows)
      subtract_product(a.part(end, end, a.rows - end, right), a.part(end, first, a.rows - end, end - first),
                       a.part(first, end, end - first, right));
  }
  return sign;
}
/// b <- T^-1 b for a triangle T of a; false if its diagonal has a zero.
template <class S>
bool solve_triangle(View<S> a, View<S> b, bool upper, bool unit) {
  const int64_t n = a.rows;
  for (int64_t i = 0; i < n && !unit; i++) {
    if (square_size(a[i][i]) == 0) return false;
  }
  for (int64_t k = 0; k < n; k++) {
    const int64_t i = upper ? n - 1 - k : k, from = upper ? i + 1 : 0;
    subtract_product(b.part(i, 0, 1, b.columns), a.part(i, from, 1, k), b.part(from, 0, k, b.columns));
    if (unit) continue;
    const S over = from_real<S>(1) / a[i][i];
    for (int64_t j = 0; j < b.columns; j++) b[i][j] = b[i][j] * over;
  }
  return true;
}
/// b <- a^-1 b; a is overwritten by its factors. False if a is singular.
template <class S>
bool solve(View<S> a, View<S> b, int64_t* pivots) {
  factor(a, pivots);
  for (int64_t k = 0; k < a.rows; k++) swap_rows(b, k, pivots[k]);
  return solve_triangle(a, b, false, true) && solve_triangle(a, b, true, false);
}
/// The lower triangle of a becomes L, a = L L^H; NaN from the first row on that is not positive. Only it is read.
template <class S>
void cholesky(View<S> a) {
  for (int64_t i = 0; i < a.rows; i++) {
    for (int64_t j = 0; j < i; j++) a[i][j] = (1 / real_part(a[j][j])) * (a[i][j] - conjugate(inner(a[i], a[j], j)));
    a[i][i] = from_real<S>(::sqrt(real_part(a[i][i]) - real_part(inner(a[i], a[i], i))));
    for (int64_t j = i + 1; j < a.columns; j++) a[i][j] = from_real<S>(0);
  }
}

/// The reflection I - tau v v^H that maps x to beta e_0, x with `step` numbers between its entries.
template <class S>
struct Reflection {
  double tau;
  S beta;
};
template <class S>
Reflection<S> reflection(S* v, const S* x, int64_t step, int64_t n) {
  double tail = 0, largest = 0;
  for (int64_t i = 0; i < n; i++) largest = ::fmax(largest, size(x[i * step]));
  if (largest == 0) return {0, x[0]};
  for (int64_t i = 0; i < n; i++) {
    v[i] = (1 / largest) * x[i * step];
    if (i > 0) tail += square_size(v[i]);
  }
  if (tail == 0) return {0, x[0]};
  const double head = size(v[0]), norm = ::sqrt(head * head + tail);
  v[0] = v[0] + norm * phase(x[0]);
  return {1 / (norm * (norm + head)), (-norm * largest) * phase(x[0])};
}
/// a <- (I - tau v v^H) a; `w` is room for a row.
template <class S>
void reflect(View<S> a, const S* v, double tau, S* w) {
  if (tau == 0) return;
  for (int64_t j = 0; j < a.columns; j++) w[j] = from_real<S>(0);
  for (int64_t i = 0; i < a.rows; i++) add_multiple(w, conjugate(v[i]), a[i], a.columns);
  for (int64_t i = 0; i < a.rows; i++) add_multiple(a[i], -tau * v[i], w, a.columns);
}
/// a <- a (I - tau v v^H)
template <class S>
void reflect_right(View<S> a, const S* v, double tau) {
  for (int64_t i = 0; i < a.rows && tau != 0; i++) {
    S sum = from_real<S>(0);
    for (int64_t j = 0; j < a.columns; j++) sum = sum + a[i][j] * v[j];
    const S f = -tau * sum;
    for (int64_t j = 0; j < a.columns; j++) a[i][j] = a[i][j] + f * conjugate(v[j]);
  }
}
/// a = Q R, R in place of a, Q [rows, min(rows, columns)]. The diagonal of R is real, and where something was below it,
/// of the other sign than the entry that stood there: LAPACK's convention. `v` is room for all reflections, `w` for a
/// row.
template <class S>
void orthogonalize(View<S> a, View<S> q, View<S> v, S* w) {
  const int64_t n = q.columns;
  fill_identity(q);
  auto* taus = reinterpret_cast<double*>(v[n]);
  for (int64_t k = 0; k < n; k++) {
    const S head = a[k][k];
    const Reflection<S> r = reflection(v[k], a[k] + k, a.step, a.rows - k);
    taus[k] = r.tau;
    reflect(a.part(k, k, a.rows - k, a.columns - k), v[k], r.tau, w);
    // a row of R times a phase, whose conjugate goes to Q
    const double sign = real_part(head) < 0 ? 1 : -1;
    v[n + 1][k] = r.tau == 0 && is_real(head) ? from_real<S>(1) : sign * phase(r.beta);
    a[k][k] = r.beta;
    for (int64_t i = k + 1; i < a.rows; i++) a[i][k] = from_real<S>(0);
    const S d = conjugate(v[n + 1][k]);
    for (int64_t j = k; j < a.columns; j++) a[k][j] = a[k][j] * d;
    q[k][k] = v[n + 1][k];
  }
  for (int64_t k = n - 1; k >= 0; k--) reflect(q.part(k, k, q.rows - k, n - k), v[k], taus[k], w);
}

/// c = a b
template <class S>
void product(View<S> c, View<S> a, View<S> b) {
  for (int64_t i = 0; i < c.rows; i++) {
    for (int64_t j = 0; j < c.columns; j++) c[i][j] = from_real<S>(0);
  }
  subtract_product(c, a, b);
  for (int64_t i = 0; i < c.rows; i++) {
    for (int64_t j = 0; j < c.columns; j++) c[i][j] = from_real<S>(0) - c[i][j];
  }
}
/// e^a in place: the Padé approximant of degree 13 of e^(a / 2^s), squared s times. `room` is five matrices.
/// NaN if the norm is not finite.
template <class S>
void exponential(View<S> a, S* room, int64_t* pivots) {
  constexpr double b[] = {64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000,
                          10559470521600,    670442572800,      33522128640,      1323241920,       40840800,
                          960960,            16380,             182,              1};
  const int64_t n = a.rows, all = n * n;
  double norm = 0;
  for (int64_t i = 0; i < n; i++) {
    double row = 0;
    for (int64_t j = 0; j < n; j++) row += size(a[i][j]);
    norm = ::fmax(norm, row);
  }
  if (!(norm < 1e300)) {
    for (int64_t i = 0; i < all; i++) a.data[i] = from_real<S>(__builtin_nan(""));
    return;
  }
  int squarings = 0;
  for (double left = norm; left > 5.37; left /= 2) squarings++;
  const double scale = ::ldexp(1, -squarings);
  const auto at = [&](int i) { return View<S>{room + i * all, n, n, n}; };
  const View<S> a2 = at(0), a4 = at(1), a6 = at(2), u = at(3), v = at(4);
  for (int64_t i = 0; i < all; i++) a.data[i] = scale * a.data[i];
  product(a2, a, a);
  product(a4, a2, a2);
  product(a6, a4, a2);
  const auto combine = [&](View<S> to, double c6, double c4, double c2, double c0) {
    for (int64_t i = 0; i < all; i++) {
      to.data[i] = to.data[i] + c6 * a6.data[i] + c4 * a4.data[i] + c2 * a2.data[i];
      if (i % (n + 1) == 0) to.data[i] = to.data[i] + from_real<S>(c0);
    }
  };
  const auto clear = [&](View<S> to) { memset(static_cast<void*>(to.data), 0, static_cast<size_t>(all) * sizeof(S)); };
  // u = a (a6 (b13 a6 + b11 a4 + b9 a2) + b7 a6 + b5 a4 + b3 a2 + b1), v likewise with the even ones
  clear(v);
  combine(v, b[13], b[11], b[9], 0);
  product(u, a6, v);
  combine(u, b[7], b[5], b[3], b[1]);
  product(v, a, u);
  copy(u, v);
  clear(a);
  combine(a, b[12], b[10], b[8], 0);
  product(v, a6, a);
  combine(v, b[6], b[4], b[2], b[0]);
  for (int64_t i = 0; i < all; i++) a.data[i] = v.data[i] + u.data[i], v.data[i] = v.data[i] - u.data[i];
  solve(v, a, pivots);  // never singular: the norm is at most 5.37
  for (int i = 0; i < squarings; i++) {
    product(u, a, a);
    copy(a, u);
  }
}

}  // namespace denim::DENIM_ISA
