// Complex numbers in double: the elementary functions of complex64 are computed here and rounded once.
#pragma once
#include <math.h>

#include "cpu/fused.h"

namespace denim::DENIM_ISA {

struct Z {
  double re, im;
};
inline Z widen(Complex x) { return {static_cast<double>(x.re), static_cast<double>(x.im)}; }
inline Complex narrow(Z z) { return {static_cast<float>(z.re), static_cast<float>(z.im)}; }
inline Z operator+(Z a, Z b) { return {a.re + b.re, a.im + b.im}; }
inline Z operator-(Z a, Z b) { return {a.re - b.re, a.im - b.im}; }
inline Z operator-(Z a) { return {-a.re, -a.im}; }
inline Z operator*(Z a, Z b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }
inline Z operator*(double s, Z a) { return {s * a.re, s * a.im}; }
inline bool is_infinite(Z z) { return __builtin_isinf(z.re) || __builtin_isinf(z.im); }
/// +-1 for infinities, else +-0: what is left of a number beside an infinite one.
inline double at_infinity(double x) { return ::copysign(__builtin_isinf(x) ? 1.0 : 0.0, x); }
/// The quotient where the plain formula is NaN in both parts: x / 0 and inf / x are infinite, x / inf is 0 (C99, G.5).
inline Z quotient_at_the_edge(Z a, Z b) {
  if (b.re == 0 && b.im == 0) {
    const double s = ::copysign(__builtin_inf(), b.re);
    return {s * a.re, s * a.im};
  }
  if (is_infinite(a) && __builtin_isfinite(b.re) && __builtin_isfinite(b.im)) {
    const double re = at_infinity(a.re), im = at_infinity(a.im);
    return {__builtin_inf() * (re * b.re + im * b.im), __builtin_inf() * (im * b.re - re * b.im)};
  }
  if (is_infinite(b) && __builtin_isfinite(a.re) && __builtin_isfinite(a.im)) {
    const double re = at_infinity(b.re), im = at_infinity(b.im);
    return {0 * (a.re * re + a.im * im), 0 * (a.im * re - a.re * im)};
  }
  return {__builtin_nan(""), __builtin_nan("")};
}
inline Z operator/(Z a, Z b) {
  const double d = b.re * b.re + b.im * b.im;
  const Z q{(a.re * b.re + a.im * b.im) / d, (a.im * b.re - a.re * b.im) / d};
  return q.re != q.re && q.im != q.im ? quotient_at_the_edge(a, b) : q;
}
constexpr Z kOne{1, 0};
/// i z
inline Z rotated(Z z) { return {-z.im, z.re}; }
inline double modulus(Z z) { return ::hypot(z.re, z.im); }
/// Infinities, NaN and the signs of zeros are those of C99 (annex G): on a branch cut the sign of a zero names the
/// side. So 1 is added to the real part alone.
inline Z plus_one(Z z) { return {z.re + 1, z.im}; }
inline Z one_minus(Z z) { return {1 - z.re, -z.im}; }
inline Z zexp(Z z) {
  const double e = ::exp(z.re);
  if (z.im == 0) return {e, z.im};
  if (z.re == -__builtin_inf()) return {0, 0};
  if (e == __builtin_inf() && !__builtin_isfinite(z.im)) return {e, __builtin_nan("")};
  return {e * ::cos(z.im), e * ::sin(z.im)};
}
inline Z zlog(Z z) { return {::log(modulus(z)), ::atan2(z.im, z.re)}; }
/// ln |1 + z| = ln(1 + (2 x + x^2 + y^2)) / 2, which keeps small numbers.
inline Z zlog1p(Z z) {
  const Z w = plus_one(z);
  const double re = modulus(z) < 0.5 ? 0.5 * ::log1p(z.re * (2 + z.re) + z.im * z.im) : ::log(modulus(w));
  return {re, ::atan2(w.im, w.re)};
}
/// sqrt(|z|) by half the angle: the larger part from |z| + |re|, the other by im / (2 larger).
inline Z zsqrt(Z z) {
  if (__builtin_isinf(z.im)) return {__builtin_inf(), z.im};
  if (__builtin_isinf(z.re)) {
    const double other = z.im == z.im ? 0 : z.im;
    return z.re > 0 ? Z{z.re, ::copysign(other, z.im)} : Z{other, ::copysign(__builtin_inf(), z.im)};
  }
  const double t = ::sqrt(0.5 * (modulus(z) + ::fabs(z.re)));
  if (t == 0) return {0, z.im};
  const double other = 0.5 * z.im / t;
  return z.re >= 0 ? Z{t, other} : Z{::fabs(other), ::copysign(t, z.im)};
}
inline Z zsinh(Z z) {
  if (z.im == 0) return {::sinh(z.re), z.im};
  if (z.re == 0) return {z.re, ::sin(z.im)};
  if (__builtin_isinf(z.re) && !__builtin_isfinite(z.im)) return {z.re, __builtin_nan("")};
  return {::sinh(z.re) * ::cos(z.im), ::cosh(z.re) * ::sin(z.im)};
}
inline Z zcosh(Z z) {
  if (z.im == 0 || z.re == 0) return {::cosh(z.re) * ::cos(z.im), ::copysign(0.0, z.re) * ::copysign(1.0, z.im)};
  if (__builtin_isinf(z.re) && !__builtin_isfinite(z.im)) return {__builtin_inf(), __builtin_nan("")};
  return {::cosh(z.re) * ::cos(z.im), ::sinh(z.re) * ::sin(z.im)};
}
/// (sinh 2a + i sin 2b) / (cosh 2a + cos 2b); far out it is +-1.
inline Z ztanh(Z z) {
  if (::fabs(z.re) > 30) return {::copysign(1.0, z.re), ::copysign(0.0, z.im)};
  const double d = ::cosh(2 * z.re) + ::cos(2 * z.im);
  return {z.re == 0 ? z.re : ::sinh(2 * z.re) / d, z.im == 0 ? z.im : ::sin(2 * z.im) / d};
}
/// -i f(i z)
inline Z turned_back(Z z) { return {z.im, -z.re}; }
inline Z zsin(Z z) { return turned_back(zsinh(rotated(z))); }
inline Z zcos(Z z) { return zcosh(rotated(z)); }
inline Z ztan(Z z) { return turned_back(ztanh(rotated(z))); }
/// Re conj(a) b and Im conj(a) b
inline double dot(Z a, Z b) { return a.re * b.re + a.im * b.im; }
inline double cross(Z a, Z b) { return a.re * b.im - a.im * b.re; }
/// The same where NaN stays NaN.
inline double direction(double x) { return x == x ? at_infinity(x) : x; }
/// By the roots of 1 + z and 1 - z, so that nothing cancels (W. Kahan, Branch Cuts for Complex Elementary Functions).
inline Z zasin(Z z) {
  if (is_infinite(z))
    return {::atan2(direction(z.re), ::fabs(direction(z.im))), ::copysign(__builtin_inf(), z.im)};
  const Z low = zsqrt(one_minus(z)), high = zsqrt(plus_one(z));
  return {::atan2(z.re, low.re * high.re - low.im * high.im), ::asinh(cross(low, high))};
}
inline Z zacos(Z z) {
  if (is_infinite(z))
    return {::atan2(::fabs(direction(z.im)), direction(z.re)), -::copysign(__builtin_inf(), z.im)};
  const Z low = zsqrt(one_minus(z)), high = zsqrt(plus_one(z));
  return {2 * ::atan2(low.re, high.re), ::asinh(cross(high, low))};
}
inline Z zacosh(Z z) {
  if (is_infinite(z)) return {__builtin_inf(), ::atan2(direction(z.im), direction(z.re))};
  const Z low = zsqrt({z.re - 1, z.im}), high = zsqrt(plus_one(z));
  return {::asinh(dot(low, high)), 2 * ::atan2(low.im, high.re)};
}
inline Z zasinh(Z z) { return turned_back(zasin(rotated(z))); }
inline Z zatanh(Z z) {
  if (is_infinite(z)) return {::copysign(0.0, z.re), ::copysign(1.5707963267948966, z.im)};
  const double x = ::fabs(z.re), y2 = z.im * z.im;
  return {::copysign(0.25, z.re) * ::log1p(4 * x / ((1 - x) * (1 - x) + y2)),
          0.5 * ::atan2(2 * z.im, (1 - x) * (1 + x) - y2)};
}
inline Z zatan(Z z) { return turned_back(zatanh(rotated(z))); }
inline Z zsigmoid(Z z) { return kOne / (kOne + zexp(-z)); }
/// a^b = e^(b ln a); 0^b is 1 for b = 0, else 0 where Re b > 0.
inline Z zpower(Z a, Z b) {
  if (b.re == 0 && b.im == 0) return kOne;
  if (a.re == 0 && a.im == 0 && b.re > 0 && b.im == b.im) return {0, 0};
  return zexp(b * zlog(a));
}

}  // namespace denim::DENIM_ISA
