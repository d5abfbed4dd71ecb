// Dense matrices in double precision, real (double) or complex (Z), row by row: what linalg.cc does to them itself. The
// decompositions are linalg/seam.h's, which sees the rows of a View as columns.
#pragma once
#include "cpu/complex.h"
#include "cpu/simd.h"
#include "linalg/seam.h"

namespace denim::DENIM_ISA {

using linalg::Fate;
inline double* native(double* x) { return x; }
inline linalg::Pair* native(Z* x) { return reinterpret_cast<linalg::Pair*>(x); }
template <class V>
auto native(const V& view) {
  return native(view.data);
}

inline double conjugate(double x) { return x; }
inline Z conjugate(Z z) { return {z.re, -z.im}; }
inline double square_size(double x) { return x * x; }
inline double square_size(Z z) { return z.re * z.re + z.im * z.im; }
inline double size(double x) { return ::fabs(x); }
inline double size(Z z) { return modulus(z); }
inline double real_part(double x) { return x; }
inline double real_part(Z z) { return z.re; }
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
// ---- vectors --------------------------------------------------------------------------------------------------------
// Every vector is turned so that its leading entry, the first of at least half of the largest size, is real and
// positive: then the result does not depend on how it was found.

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

/// Turns the rows of u, and with them those of v that belong to the same value; the others of v by themselves.
template <class S>
void turn_pairs(View<S> u, View<S> v) {
  for (int64_t i = 0; i < u.rows; i++) {
    const S f = turn(u[i], u.columns);
    for (int64_t j = 0; i < v.rows && j < v.columns; j++) v[i][j] = v[i][j] * f;
  }
  for (int64_t i = u.rows; i < v.rows; i++) turn(v[i], v.columns);
}

// ---- the exponential -----------------------------------------------------------------------------------------------

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
Fate exponential(View<S> a, S* room, int64_t* pivots) {
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
    return Fate::done;
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
  // v^-1 a = a v^-1, as both are sums of powers of one matrix: so their transposes, which the library sees, will do.
  // Never singular: the norm is at most 5.37.
  const Fate fate = linalg::solve(native(v), native(a), n, n, pivots);
  for (int i = 0; i < squarings; i++) {
    product(u, a, a);
    copy(a, u);
  }
  return fate;
}

}  // namespace denim::DENIM_ISA
