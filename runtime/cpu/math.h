// Elementary functions on vectors of float32, without branches on the data: exp, log, sin, cos, tanh, sigmoid, erf work
// in float32; the rest by definition on float64 lanes (exp64, log64, atan64, sin64), where nothing cancels before the
// final rounding. Within 2 ulp; infinities, NaN, signed zeros and subnormal results as in C. Also usable by other
// kernels (softmax, attention).
#pragma once
#include <math.h>

#include "cpu/simd.h"

namespace denim::DENIM_ISA {

constexpr float kInf = __builtin_inff();
constexpr float kNan = __builtin_nanf("");

/// c[0] x^(n-1) + ... + c[n-1]
template <class V, class T, int N>
inline V polynomial(V x, const T (&c)[N]) {
  V y = V(c[0]);
  for (int i = 1; i < N; i++) y = fma(y, x, V(c[i]));
  return y;
}
inline F32 magnitude(F32 x) { return bits<F32>(bits<U32>(x) & 0x7fffffffu); }
inline F64 magnitude(F64 x) { return __builtin_elementwise_abs(x); }
inline U32 sign_bits(F32 x) { return bits<U32>(x) & 0x80000000u; }
/// |x| with the sign of s.
inline F32 with_sign(F32 x, F32 s) { return bits<F32>((bits<U32>(x) & 0x7fffffffu) | sign_bits(s)); }
inline F64 with_sign(F64 x, F64 s) { return __builtin_elementwise_copysign(x, s); }
/// An integral value as int32, for exponents and quadrants.
inline I32 to_int(F32 x) { return __builtin_convertvector(x, I32); }
inline I64 to_int(F64 x) {
  // 1.5 * 2^52 puts the integer into the low bits; plain conversion to int64 needs AVX-512.
  return bits<I64>(x + 0x1.8p52) - bits<I64>(F64(0x1.8p52));
}
/// 2^n, -126 <= n <= 127 (float), -1022 <= n <= 1023 (double).
inline F32 power_of_two(I32 n) { return bits<F32>((n + 127) << 23); }
inline F64 power_of_two(I64 n) { return bits<F64>((n + 1023) << 52); }

/// e^x: x = n ln 2 + r, |r| <= ln 2 / 2. The scale goes in two steps, so that results may be subnormal or overflow to
/// infinity.
inline F32 exp(F32 x) {
  constexpr float c[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                         4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
  const F32 t = x > 89.0f ? F32(89.0f) : x < -104.0f ? F32(-104.0f) : x;
  const F32 n = __builtin_elementwise_roundeven(t * 1.44269504088896341f);
  F32 r = fma(n, F32(-0.693359375f), t);
  r = fma(n, F32(2.12194440e-4f), r);
  const F32 y = fma(polynomial(r, c), r * r, r) + 1.0f;
  const I32 k = to_int(x == x ? n : F32(0.0f)), half = k >> 1;
  return y * power_of_two(half) * power_of_two(k - half);
}

/// ln x = e ln 2 + ln m, sqrt(1/2) <= m < sqrt(2).
inline F32 log(F32 x) {
  constexpr float c[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,  -1.2420140846e-1f, 1.4249322787e-1f,
                         -1.6668057665e-1f, 2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
  const I32 tiny = x < 0x1p-126f;
  const U32 u = bits<U32>(tiny ? x * 0x1p23f : x);
  // Subtracting the bits of sqrt(1/2) makes the exponent field that of m's interval.
  const U32 shifted = u - 0x3f3504f3u;
  const I32 k = (bits<I32>(shifted) >> 23) - (tiny ? I32(23) : I32(0));
  const F32 f = bits<F32>((shifted & 0x007fffffu) + 0x3f3504f3u) - 1.0f, e = __builtin_convertvector(k, F32), z = f * f;
  F32 y = polynomial(f, c) * f * z;
  y = fma(e, F32(-2.12194440e-4f), y);
  y = fma(z, F32(-0.5f), y);
  const F32 r = fma(e, F32(0.693359375f), f + y);
  return x == 0.0f ? F32(-kInf) : x < 0.0f ? F32(kNan) : x < kInf ? r : x;  // infinity and NaN are their own logarithms
}

/// e^x in double, relative error about 1e-16 (the Taylor series has that much left at ln 2 / 2).
inline F64 exp64(F64 x) {
  constexpr double c[] = {
      1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
      1.0 / 720,        1.0 / 120,       1.0 / 24,       1.0 / 6,       0.5,          1.0,         1.0};
  const F64 t = x > 720.0 ? F64(720.0) : x < -760.0 ? F64(-760.0) : x;
  const F64 n = __builtin_elementwise_roundeven(t * 1.4426950408889634);
  F64 r = fma(n, F64(-0x1.62e42fee00000p-1), t);
  r = fma(n, F64(-0x1.a39ef35793c76p-33), r);
  const I64 k = to_int(x == x ? n : F64(0.0)), half = k >> 1;
  return polynomial(r, c) * power_of_two(half) * power_of_two(k - half);
}

/// ln x in double for normal x: ln m = 2 atanh((m - 1) / (m + 1)).
inline F64 log64(F64 x) {
  constexpr double c[] = {2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15, 2.0 / 13,
                          2.0 / 11, 2.0 / 9,  2.0 / 7,  2.0 / 5,  2.0 / 3};
  const I64 shifted = bits<I64>(x) - 0x3fe6a09e667f3bcd;
  const I64 k = shifted >> 52;
  const F64 m = bits<F64>((shifted & 0x000fffffffffffff) + 0x3fe6a09e667f3bcd);
  const F64 e = bits<F64>(k + bits<I64>(F64(0x1.8p52))) - 0x1.8p52;
  const F64 s = (m - 1.0) / (m + 1.0), z = s * s;
  const F64 y = fma(e, F64(0x1.62e42fefa39efp-1), fma(polynomial(z, c) * z, s, s + s));
  return x == 0.0 ? F64(-kInf) : x < 0.0 ? F64(kNan) : x < kInf ? y : x;
}

/// arctan of 0 <= x <= 1: about tan(pi/8) the argument goes to (x - 1) / (x + 1), pi/4 further down.
inline F64 atan64_unit(F64 x) {
  constexpr double c[] = {1.0 / 25, -1.0 / 23, 1.0 / 21, -1.0 / 19, 1.0 / 17, -1.0 / 15,
                          1.0 / 13, -1.0 / 11, 1.0 / 9,  -1.0 / 7,  1.0 / 5,  -1.0 / 3};
  const I64 upper = x > 0.41421356237309503;
  const F64 s = upper ? (x - 1.0) / (x + 1.0) : x, z = s * s;
  const F64 y = fma(polynomial(z, c) * z, s, s);
  return upper ? y + 0.7853981633974483 : y;
}

inline F64 arctan2_64(F64 y, F64 x) {
  const F64 a = magnitude(y), b = magnitude(x);
  const I64 steep = a > b;
  const F64 low = steep ? b : a, high = steep ? a : b;
  const F64 ratio = high == 0.0 ? F64(0.0) : low == high ? F64(1.0) : low / high;
  F64 r = atan64_unit(ratio);
  r = steep ? 1.5707963267948966 - r : r;
  r = bits<I64>(x) < 0 ? 3.141592653589793 - r : r;
  r = with_sign(r, y);
  return x != x ? x : y != y ? y : r;
}

/// The quadrant and the rest of x / (pi/2), reduced in double; right for |x| <= 1e5.
struct Reduced {
  F64 r;
  I64 quadrant;
};
inline Reduced reduce_angle(F32 x) {
  const F64 d = widen(x), n = __builtin_elementwise_roundeven(d * 0.6366197723675814);
  // pi/2 in two parts, the first with 33 bits: its product with n is exact.
  F64 r = fma(n, F64(-0x1.921fb544p0), d);
  r = fma(n, F64(-0x1.0b4611a626331p-34), r);
  return {r, to_int(n)};
}
template <double (*Libm)(double)>
inline F32 by_lane(F32 x) {
  F32 y;
  for (int i = 0; i < kLanes; i++) y[i] = static_cast<float>(Libm(static_cast<double>(x[i])));
  return y;
}
template <class V>
inline bool any_lane(V mask) {
  return __builtin_reduce_or(mask) != 0;
}
/// Angles beyond the reduction's reach (NaN and infinities too) make the whole vector take libm's way: rare and slow,
/// but right.
inline bool huge_angle(F32 x) { return any_lane(~(magnitude(x) <= 1e5f)); }

/// sin(x + quarter * pi / 2)
inline F32 sin_shifted(F32 x, int quarter) {
  constexpr float s[] = {-1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f};
  constexpr float c[] = {2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f};
  const Reduced a = reduce_angle(x);
  const U32 q = __builtin_convertvector(a.quadrant + quarter, U32);
  const F32 r = narrow(a.r), z = r * r;
  const F32 sine = fma(polynomial(z, s) * z, r, r);
  const F32 cosine = fma(polynomial(z, c), z * z, fma(z, F32(-0.5f), F32(1.0f)));
  const F32 y = (q & 1u) != 0u ? cosine : sine;
  return bits<F32>(bits<U32>(y) ^ ((q & 2u) << 30u));
}
inline F32 sin(F32 x) {
  if (huge_angle(x)) return by_lane<::sin>(x);
  return x == 0.0f ? x : sin_shifted(x, 0);
}
inline F32 cos(F32 x) {
  if (huge_angle(x)) return by_lane<::cos>(x);
  return sin_shifted(x, 1);
}
inline F32 tan(F32 x) {
  constexpr double s[] = {1.0 / 6227020800, -1.0 / 39916800, 1.0 / 362880, -1.0 / 5040, 1.0 / 120, -1.0 / 6, 1.0};
  constexpr double c[] = {-1.0 / 87178291200, 1.0 / 479001600, -1.0 / 3628800, 1.0 / 40320,
                          -1.0 / 720,         1.0 / 24,        -0.5,           1.0};
  if (huge_angle(x)) return by_lane<::tan>(x);
  const Reduced a = reduce_angle(x);
  const F64 z = a.r * a.r, sine = polynomial(z, s) * a.r, cosine = polynomial(z, c);
  const I64 odd = (a.quadrant & 1) != 0;
  return x == 0.0f ? x : narrow((odd ? -cosine : sine) / (odd ? sine : cosine));
}

/// 1 / (1 + e^-x), by e^-|x| so that nothing overflows.
inline F32 sigmoid(F32 x) {
  const F32 e = exp(-magnitude(x));
  return (x < 0.0f ? e : F32(1.0f)) / (e + 1.0f);
}

inline F32 tanh(F32 x) {
  constexpr float c[] = {-5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f,
                         -3.33332819422e-1f};
  const F32 a = magnitude(x), z = x * x;
  const F32 small = fma(polynomial(z, c) * z, x, x);
  const F32 large = 1.0f - 2.0f / (exp(a > 10.0f ? F32(20.0f) : a + a) + 1.0f);
  return x == 0.0f ? x : a < 0.625f ? small : x != x ? x : with_sign(large, x);
}

inline F32 erf(F32 x) {
  constexpr float inner[] = {-5.96761703e-4f, 4.99119423e-3f,  -2.67681349e-2f,
                             1.12819925e-1f,  -3.76125336e-1f, 1.28379166e-1f};
  constexpr float outer[] = {-1.72853470e-5f, 3.83197126e-4f,  -3.88396438e-3f, 2.42546219e-2f,
                             -1.06777877e-1f, -6.34846687e-1f, -1.28717512e-1f};
  const F32 a = magnitude(x), z = x * x;
  const F32 small = fma(polynomial(z, inner), x, x);
  // 1 - e^p(a); beyond 4 the result is 1.
  const F32 t = a > 4.0f ? F32(4.0f) : a;
  const F32 large = with_sign(1.0f - exp(fma(polynomial(t, outer), t, -t)), x);
  return x == 0.0f ? x : a < 0.927734375f ? small : x != x ? x : large;
}

/// erf^-1(x) = x p(w), w = -ln(1 - x^2); one polynomial below w = 5, one in sqrt(w) above.
inline F32 erfinv(F32 x) {
  constexpr double low[] = {2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
                            -0.00125372503, -0.00417768164, 0.246640727,    1.50140941};
  constexpr double high[] = {-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
                             -0.0076224613,   0.00943887047,  1.00167406,    2.83297682};
  const F64 d = widen(x), w = -log64((1.0 - d) * (1.0 + d));
  const F64 root = __builtin_elementwise_sqrt(w) - 3.0;
  const F64 y = w < 5.0 ? polynomial(w - 2.5, low) : polynomial(root, high);
  const F32 a = magnitude(x);
  return x == 0.0f ? x : a == 1.0f ? with_sign(F32(kInf), x) : a > 1.0f ? F32(kNan) : narrow(y * d);
}

inline F32 expm1(F32 x) {
  const F64 d = widen(x);
  const F64 small = fma(d * d, fma(d, F64(1.0 / 6), F64(0.5)), d);
  return x == 0.0f ? x : narrow(magnitude(d) < 1e-4 ? small : exp64(d) - 1.0);
}
inline F32 log1p(F32 x) {
  const F64 d = widen(x);
  const F64 small = fma(d * d, fma(d, F64(1.0 / 3), F64(-0.5)), d);
  return x == 0.0f ? x : narrow(magnitude(d) < 1e-4 ? small : log64(d + 1.0));
}
inline F32 log2(F32 x) { return narrow(log64(widen(x)) * 1.4426950408889634); }
inline F32 log10(F32 x) { return narrow(log64(widen(x)) * 0.4342944819032518); }
inline F32 sinh(F32 x) {
  const F64 d = widen(x), z = d * d;
  const F64 small = fma(d * z, fma(z, F64(1.0 / 120), F64(1.0 / 6)), d);
  return x == 0.0f ? x : narrow(magnitude(d) < 1e-2 ? small : 0.5 * (exp64(d) - exp64(-d)));
}
inline F32 cosh(F32 x) {
  const F64 d = widen(x);
  return narrow(0.5 * (exp64(d) + exp64(-d)));
}
inline F32 arctan2(F32 y, F32 x) { return narrow(arctan2_64(widen(y), widen(x))); }
inline F32 arctan(F32 x) { return narrow(arctan2_64(widen(x), F64(1.0))); }
inline F32 arcsin(F32 x) {
  const F64 d = widen(x);
  return narrow(arctan2_64(d, __builtin_elementwise_sqrt((1.0 - d) * (1.0 + d))));
}
inline F32 arccos(F32 x) {
  const F64 d = widen(x);
  return narrow(arctan2_64(__builtin_elementwise_sqrt((1.0 - d) * (1.0 + d)), d));
}
/// sign(x) ln(|x| + sqrt(x^2 + 1))
inline F32 arcsinh(F32 x) {
  const F64 d = widen(x), a = magnitude(d), z = d * d;
  const F64 small = fma(d * z, fma(z, F64(3.0 / 40), F64(-1.0 / 6)), d);
  const F64 large = with_sign(log64(a + __builtin_elementwise_sqrt(z + 1.0)), d);
  return x == 0.0f ? x : narrow(a < 1e-2 ? small : large);
}
inline F32 arccosh(F32 x) {
  const F64 d = widen(x);
  return x < 1.0f ? F32(kNan) : narrow(log64(d + __builtin_elementwise_sqrt((d - 1.0) * (d + 1.0))));
}
inline F32 arctanh(F32 x) {
  const F64 d = widen(x), z = d * d;
  const F64 small = fma(d * z, fma(z, F64(1.0 / 5), F64(1.0 / 3)), d);
  return x == 0.0f ? x : narrow(magnitude(d) < 1e-2 ? small : 0.5 * log64((1.0 + d) / (1.0 - d)));
}
/// ln(e^a + e^b) = max + ln(1 + e^(min - max))
inline F32 logaddexp(F32 a, F32 b) {
  const F64 x = widen(a), y = widen(b), high = x > y ? x : y, low = x > y ? y : x, e = exp64(low - high);
  const F64 tail = e < 1e-5 ? e : log64(e + 1.0);
  const F64 sum = low == high ? high + 0.6931471805599453 : high + tail;
  return a != a ? a : b != b ? b : narrow(sum);
}
/// a^b as in C: e^(b ln |a|), then the sign and the special values.
inline F32 power(F32 a, F32 b) {
  const F64 x = widen(a), y = widen(b);
  const F64 r = exp64(y * log64(magnitude(x)));
  const F64 half = y * 0.5;
  const I64 integral = __builtin_elementwise_floor(y) == y;
  const I64 odd = integral & (__builtin_elementwise_floor(half) != half);
  const I64 flip = (bits<I64>(x) < 0) & odd;
  F64 p = flip ? -r : r;
  const I64 undefined = (x < 0.0) & ~integral & (x > -static_cast<double>(kInf));
  const I64 one = (y == 0.0) | (x == 1.0) | ((x == -1.0) & (magnitude(y) == static_cast<double>(kInf)));
  p = undefined ? F64(kNan) : p;
  return narrow(one ? F64(1.0) : p);
}

}  // namespace denim::DENIM_ISA
