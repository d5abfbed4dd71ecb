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
inline Z operator/(Z a, Z b) {
  const double d = b.re * b.re + b.im * b.im;
  return {(a.re * b.re + a.im * b.im) / d, (a.im * b.re - a.re * b.im) / d};
}
constexpr Z kOne{1, 0};
/// i z
inline Z rotated(Z z) { return {-z.im, z.re}; }
inline double modulus(Z z) { return ::hypot(z.re, z.im); }
inline Z zexp(Z z) {
  const double e = ::exp(z.re);
  return z.im == 0 ? Z{e, z.im} : Z{e * ::cos(z.im), e * ::sin(z.im)};
}
inline Z zlog(Z z) { return {::log(modulus(z)), ::atan2(z.im, z.re)}; }
/// sqrt(|z|) by half the angle: the larger part from |z| + |re|, the other by im / (2 larger).
inline Z zsqrt(Z z) {
  const double t = ::sqrt(0.5 * (modulus(z) + ::fabs(z.re)));
  if (t == 0) return {0, z.im};
  const double other = 0.5 * z.im / t;
  return z.re >= 0 ? Z{t, other} : Z{::fabs(other), ::copysign(t, z.im)};
}
inline Z zsinh(Z z) { return {::sinh(z.re) * ::cos(z.im), ::cosh(z.re) * ::sin(z.im)}; }
inline Z zcosh(Z z) { return {::cosh(z.re) * ::cos(z.im), ::sinh(z.re) * ::sin(z.im)}; }
/// (sinh 2a + i sin 2b) / (cosh 2a + cos 2b); far out it is +-1.
inline Z ztanh(Z z) {
  if (::fabs(z.re) > 30) return {::copysign(1.0, z.re), ::copysign(0.0, z.im)};
  const double d = ::cosh(2 * z.re) + ::cos(2 * z.im);
  return {::sinh(2 * z.re) / d, ::sin(2 * z.im) / d};
}
/// -i f(i z)
inline Z turned_back(Z z) { return {z.im, -z.re}; }
inline Z zsin(Z z) { return turned_back(zsinh(rotated(z))); }
inline Z zcos(Z z) { return zcosh(rotated(z)); }
inline Z ztan(Z z) { return turned_back(ztanh(rotated(z))); }
/// asinh z = ln(z + sqrt(z^2 + 1)), on the side where nothing cancels
inline Z zasinh(Z z) {
  const bool left = z.re < 0;
  const Z w = left ? -z : z, r = zlog(w + zsqrt(w * w + kOne));
  return left ? -r : r;
}
inline Z zasin(Z z) { return turned_back(zasinh(rotated(z))); }
inline Z zacos(Z z) {
  const Z s = zasin(z);
  return {1.5707963267948966 - s.re, -s.im};
}
inline Z zacosh(Z z) { return zlog(z + zsqrt(z + kOne) * zsqrt(z - kOne)); }
inline Z zatanh(Z z) { return 0.5 * (zlog(kOne + z) - zlog(kOne - z)); }
inline Z zatan(Z z) { return turned_back(zatanh(rotated(z))); }
inline Z zsigmoid(Z z) { return kOne / (kOne + zexp(-z)); }
/// a^b = e^(b ln a); 0^b is 0, but 1 for b = 0, and NaN stays NaN.
inline Z zpower(Z a, Z b) {
  if (b.re == 0 && b.im == 0) return kOne;
  if (a.re == 0 && a.im == 0 && b.re == b.re && b.im == b.im) return {0, 0};
  return zexp(b * zlog(a));
}

}  // namespace denim::DENIM_ISA
