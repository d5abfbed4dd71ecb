// Elementwise ops on the GPU: one function `op_<name>` per op and kind of number, casts and reductions, for the
// interpreter (fused.metal) and the kernels that fused_source.cc writes. What an op means is what cpu/fused_ops*.cc do;
// there is no float64 here, so where that computes in double this avoids cancellation by other formulas.

/// ---- predicates ----------------------------------------------------------------------------------------------------
template <class T> inline bool is_nan(T) { return false; }
inline bool is_nan(float x) { return x != x; }
inline bool is_nan(float2 z) { return z.x != z.x || z.y != z.y; }
template <class T> inline bool truth(T x) { return x != 0; }
inline bool truth(float2 z) { return z.x != 0 || z.y != 0; }
/// Complex numbers by (re, im).
template <class T> inline bool before(T a, T b) { return a < b; }
inline bool before(float2 a, float2 b) { return a.x < b.x || (a.x == b.x && a.y < b.y); }
template <class T> inline bool op_equal(T a, T b) { return a == b; }
inline bool op_equal(float2 a, float2 b) { return a.x == b.x && a.y == b.y; }
template <class T> inline bool op_notEqual(T a, T b) { return !op_equal(a, b); }
template <class T> inline bool op_less(T a, T b) { return before(a, b); }
template <class T> inline bool op_lessEqual(T a, T b) { return before(a, b) || op_equal(a, b); }
template <class T> inline bool op_greater(T a, T b) { return before(b, a); }
template <class T> inline bool op_greaterEqual(T a, T b) { return before(b, a) || op_equal(a, b); }
template <class T> inline bool op_logicalAnd(T a, T b) { return truth(a) && truth(b); }
template <class T> inline bool op_logicalOr(T a, T b) { return truth(a) || truth(b); }
template <class T> inline bool op_logicalNot(T a) { return !truth(a); }

/// ---- arithmetic of all numbers -------------------------------------------------------------------------------------
/// Integers wrap: computed as unsigned, where nothing is undefined.
template <class T> inline T op_add(T a, T b) { return (T)((ulong)a + (ulong)b); }
inline float op_add(float a, float b) { return a + b; }
inline float2 op_add(float2 a, float2 b) { return a + b; }
template <class T> inline T op_subtract(T a, T b) { return (T)((ulong)a - (ulong)b); }
inline float op_subtract(float a, float b) { return a - b; }
inline float2 op_subtract(float2 a, float2 b) { return a - b; }
template <class T> inline T op_multiply(T a, T b) { return (T)((ulong)a * (ulong)b); }
inline float op_multiply(float a, float b) { return a * b; }
inline float2 op_multiply(float2 a, float2 b) { return float2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }
/// Of equal or unordered pairs the first NaN, else the second.
template <class T> inline T op_maximum(T a, T b) { return is_nan(a) || before(b, a) ? a : b; }
template <class T> inline T op_minimum(T a, T b) { return is_nan(a) || before(a, b) ? a : b; }
template <class T> inline T op_square(T a) { return op_multiply(a, a); }
template <class T> inline T op_negative(T a) { return (T)(0 - (ulong)a); }
inline float op_negative(float a) { return -a; }
inline float2 op_negative(float2 a) { return -a; }
template <class T> inline T op_abs(T a) { return a < (T)0 ? op_negative(a) : a; }
inline float op_abs(float a) { return fabs(a); }
template <class T> inline T op_sign(T a) { return (T)((int)(a > (T)0) - (int)(a < (T)0)); }
template <class T> inline T op_copy(T a) { return a; }
template <class T> inline T op_conjugate(T a) { return a; }
inline float2 op_conjugate(float2 a) { return float2(a.x, -a.y); }
template <class T> inline T op_real(T a) { return a; }
inline float op_real(float2 a) { return a.x; }
template <class T> inline T op_imag(T) { return (T)0; }
inline float op_imag(float2 a) { return a.y; }
template <class T> inline T op_floor(T a) { return a; }
inline float op_floor(float a) { return floor(a); }
template <class T> inline T op_ceil(T a) { return a; }
inline float op_ceil(float a) { return ceil(a); }
template <class T> inline T op_round(T a) { return a; }
inline float op_round(float a) { return rint(a); }
inline float2 op_round(float2 a) { return float2(rint(a.x), rint(a.y)); }

/// ---- integers ------------------------------------------------------------------------------------------------------
/// Dividing by 0 gives 0; the lowest integer by -1 wraps.
template <class T> inline T quotient(T a, T b) {
  if (b == 0) return 0;
  if ((T)-1 < (T)0 && b == (T)-1) return op_negative(a);
  return a / b;
}
template <class T> inline T op_remainder(T a, T b) {
  if (b == 0) return 0;
  T r = op_subtract(a, op_multiply(quotient(a, b), b));
  return r != 0 && (r < (T)0) != (b < (T)0) ? (T)(r + b) : r;
}
template <class T> inline T op_floorDivide(T a, T b) {
  T q = quotient(a, b);
  bool inexact = b != 0 && op_multiply(q, b) != a;
  return inexact && (a < (T)0) != (b < (T)0) ? (T)(q - 1) : q;
}
/// By squaring, modulo 2^width; a negative exponent gives 0.
template <class T> inline T op_power(T a, T b) {
  if (b < (T)0) return 0;
  ulong base = (ulong)a, y = 1;
  for (ulong n = (ulong)b; n != 0; n >>= 1) {
    if ((n & 1) != 0) y *= base;
    base *= base;
  }
  return (T)y;
}
template <class T> inline T op_bitwiseAnd(T a, T b) { return (T)(a & b); }
template <class T> inline T op_bitwiseOr(T a, T b) { return (T)(a | b); }
template <class T> inline T op_bitwiseXor(T a, T b) { return (T)(a ^ b); }
template <class T> inline T op_bitwiseInvert(T a) { return (T)(~a); }
/// Shifts by the width or more, or by a negative number, give 0.
template <class T> inline T op_leftShift(T a, T b, int width = 8 * (int)sizeof(T)) {
  return (ulong)b < (ulong)width ? (T)((ulong)a << ((ulong)b & 63)) : (T)0;
}
template <class T> inline T op_rightShift(T a, T b, int width = 8 * (int)sizeof(T)) {
  return (ulong)b < (ulong)width ? (T)(a >> (b & (T)(width - 1))) : (T)0;
}

/// ---- real functions ------------------------------------------------------------------------------------------------
inline float op_divide(float a, float b) { return a / b; }
inline float op_sqrt(float x) { return precise::sqrt(x); }
inline float op_rsqrt(float x) { return precise::rsqrt(x); }
inline float op_exp(float x) { return precise::exp(x); }
inline float op_log(float x) { return precise::log(x); }
inline float op_log2(float x) { return precise::log2(x); }
inline float op_log10(float x) { return precise::log10(x); }
/// Kahan: the rounding of u = 1 + x (of u = e^x) is made good by what it does to u - 1 (to ln u).
inline float op_log1p(float x) {
  float u = 1.0f + x;
  if (u == 1.0f || u == INFINITY) return x;
  return precise::log(u) * (x / (u - 1.0f));
}
inline float op_expm1(float x) {
  float u = precise::exp(x), d = u - 1.0f;
  if (u == 1.0f) return x;
  if (fabs(x) > 1.0f || d == -1.0f) return d;
  return d * (x / precise::log(u));
}
inline float op_sin(float x) { return precise::sin(x); }
inline float op_cos(float x) { return precise::cos(x); }
inline float op_tan(float x) { return precise::tan(x); }
inline float op_arcsin(float x) { return precise::asin(x); }
inline float op_arccos(float x) { return precise::acos(x); }
inline float op_arctan(float x) { return precise::atan(x); }
inline float op_sinh(float x) { return precise::sinh(x); }
inline float op_cosh(float x) { return precise::cosh(x); }
inline float op_tanh(float x) { return precise::tanh(x); }
inline float op_arcsinh(float x) { return precise::asinh(x); }
inline float op_arccosh(float x) { return precise::acosh(x); }
inline float op_arctanh(float x) { return precise::atanh(x); }
inline float op_arctan2(float y, float x) { return precise::atan2(y, x); }
/// 1 / (1 + e^-x), by e^-|x| so that nothing overflows.
inline float op_sigmoid(float x) {
  float e = precise::exp(-fabs(x));
  return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}
inline float op_erf(float x) {
  float a = fabs(x), z = x * x;
  if (a < 0.927734375f) {
    float p = fma(-5.96761703e-4f, z, 4.99119423e-3f);
    p = fma(fma(p, z, -2.67681349e-2f), z, 1.12819925e-1f);
    return fma(fma(fma(p, z, -3.76125336e-1f), z, 1.28379166e-1f), x, x);
  }
  // 1 - e^p(a); beyond 4 the result is 1.
  float t = a > 4.0f ? 4.0f : a;
  float p = fma(fma(-1.72853470e-5f, t, 3.83197126e-4f), t, -3.88396438e-3f);
  p = fma(fma(p, t, 2.42546219e-2f), t, -1.06777877e-1f);
  p = fma(fma(p, t, -6.34846687e-1f), t, -1.28717512e-1f);
  return x != x ? x : copysign(1.0f - precise::exp(fma(p, t, -t)), x);
}
/// x p(w), w = -ln(1 - x^2); one polynomial below w = 5, one in sqrt(w) above.
inline float op_erfinv(float x) {
  if (fabs(x) >= 1.0f) return fabs(x) == 1.0f ? x * INFINITY : NAN;
  float w = -precise::log(fma(-x, x, 1.0f)), p;
  if (w < 5.0f) {
    w -= 2.5f;
    p = fma(fma(2.81022636e-08f, w, 3.43273939e-07f), w, -3.5233877e-06f);
    p = fma(fma(fma(p, w, -4.39150654e-06f), w, 0.00021858087f), w, -0.00125372503f);
    p = fma(fma(fma(p, w, -0.00417768164f), w, 0.246640727f), w, 1.50140941f);
  } else {
    w = precise::sqrt(w) - 3.0f;
    p = fma(fma(-0.000200214257f, w, 0.000100950558f), w, 0.00134934322f);
    p = fma(fma(fma(p, w, -0.00367342844f), w, 0.00573950773f), w, -0.0076224613f);
    p = fma(fma(fma(p, w, 0.00943887047f), w, 1.00167406f), w, 2.83297682f);
  }
  return p * x;
}
/// a - trunc(a / b) b, exactly: 22 bits of the quotient at a time.
inline float exact_fmod(float x, float y) {
  float a = fabs(x), b = fabs(y);
  if (!(b > 0.0f) || !(a < INFINITY)) return NAN;
  if (!(a >= b)) return x;
  while (a >= b) {
    int k = (int)(as_type<uint>(a) >> 23) - (int)(as_type<uint>(b) >> 23) - 22;
    float t = k > 0 ? ldexp(b, k) : b;
    a = fma(-trunc(a / t), t, a);
    if (a < 0.0f) a += t;
  }
  return copysign(a, x);
}
inline float op_remainder(float a, float b) {
  float r = exact_fmod(a, b);
  return r != 0.0f && (r < 0.0f) != (b < 0.0f) ? r + b : r;
}
inline float op_floorDivide(float a, float b) { return floor(a / b); }
inline float op_power(float a, float b) {
  if (b == 0.0f || a == 1.0f) return 1.0f;
  return precise::pow(a, b);
}
/// ln(e^a + e^b) = max + ln(1 + e^(min - max))
inline float op_logaddexp(float a, float b) {
  if (a != a || b != b) return a + b;
  float high = a > b ? a : b, low = a > b ? b : a;
  return high == low ? high + 0.693147180559945f : high + op_log1p(precise::exp(low - high));
}

/// ---- sums of two floats --------------------------------------------------------------------------------------------
/// hi + lo stands for about 48 bits: sums, products and aranges are computed in these, as there is no float64.
inline float2 pair_add(float2 a, float b) {
  float s = a.x + b, t = s - a.x;
  return float2(s, a.y + ((a.x - (s - t)) + (b - t)));
}
inline float2 pair_add(float2 a, float2 b) { return pair_add(float2(a.x, a.y + b.y), b.x); }
inline float2 pair_multiply(float2 a, float2 b) {
  float p = a.x * b.x;
  return float2(p, fma(a.x, b.x, -p) + fma(a.x, b.y, a.y * b.x));
}
inline float pair_value(float2 a) { return isfinite(a.y) ? a.x + a.y : a.x; }
inline float2 pair_times(float2 a, float b) {
  float p = a.x * b;
  return float2(p, fma(a.x, b, -p) + a.y * b);
}
/// ---- complex functions ---------------------------------------------------------------------------------------------
/// Infinities, NaN and the signs of zeros are those of C99 (annex G), as in cpu/complex.h: a branch cut is continued to
/// from the side that the sign of a zero names.
inline bool is_infinite(float2 z) { return isinf(z.x) || isinf(z.y); }
inline bool is_finite(float2 z) { return isfinite(z.x) && isfinite(z.y); }
/// +-1 for infinities, else +-0: what is left of a number beside an infinite one.
inline float at_infinity(float x) { return copysign(isinf(x) ? 1.0f : 0.0f, x); }
/// The same where NaN stays NaN.
inline float direction(float x) { return isnan(x) ? x : at_infinity(x); }
/// The exponent that brings x near 1.
inline int exponent_of(float x) { return clamp((int)(as_type<uint>(x) >> 23 & 255u), 1, 253) - 127; }
inline float2 scaled(float2 z, int exponent) { return float2(ldexp(z.x, exponent), ldexp(z.y, exponent)); }
/// a b + c d
inline float2 pair_products(float a, float b, float c, float d) {
  float p = a * b, q = c * d;
  return pair_add(float2(p, fma(a, b, -p) + fma(c, d, -q)), q);
}
inline float pair_ratio(float2 a, float2 b) {
  float q = a.x / b.x;
  return q + (fma(-q, b.x, a.x) + fma(-q, b.y, a.y)) / b.x;
}
inline float modulus(float2 z) {
  float x = fabs(z.x), y = fabs(z.y), a = max(x, y);
  if (isinf(x) || isinf(y)) return INFINITY;
  if (is_nan(z)) return NAN;
  if (a == 0.0f) return 0.0f;
  float2 w = scaled(z, -exponent_of(a)), s = pair_products(w.x, w.x, w.y, w.y);
  float r = precise::sqrt(s.x);
  return ldexp(r + (fma(-r, r, s.x) + s.y) / (2.0f * r), exponent_of(a));
}
inline float op_abs(float2 z) { return modulus(z); }
inline float2 op_sign(float2 z) {
  float m = modulus(z);
  return m == 0.0f ? z : float2(z.x / m, z.y / m);
}
/// Where a or b is 0, infinite or NaN: x / 0 and inf / x are infinite, x / inf is 0.
inline float2 divide_extremes(float2 a, float2 b) {
  if (truth(b) && is_finite(b)) b = scaled(b, -exponent_of(max(fabs(b.x), fabs(b.y))));
  float d = b.x * b.x + b.y * b.y;
  float2 q = float2((a.x * b.x + a.y * b.y) / d, (a.y * b.x - a.x * b.y) / d);
  if (!isnan(q.x) || !isnan(q.y)) return q;
  if (!truth(b)) return copysign(INFINITY, b.x) * a;
  if (is_infinite(a) && is_finite(b)) {
    float re = at_infinity(a.x), im = at_infinity(a.y);
    return INFINITY * float2(re * b.x + im * b.y, im * b.x - re * b.y);
  }
  if (is_infinite(b) && is_finite(a)) {
    float re = at_infinity(b.x), im = at_infinity(b.y);
    return 0.0f * float2(a.x * re + a.y * im, a.y * re - a.x * im);
  }
  return float2(NAN, NAN);
}
/// a conj(b) / |b|^2 in pairs, of numbers scaled so that nothing overflows in between.
inline float2 op_divide(float2 a, float2 b) {
  if (!truth(a) || !truth(b) || !is_finite(a) || !is_finite(b)) return divide_extremes(a, b);
  int up = exponent_of(max(fabs(a.x), fabs(a.y))), down = exponent_of(max(fabs(b.x), fabs(b.y)));
  float2 p = scaled(a, -up), q = scaled(b, -down), d = pair_products(q.x, q.x, q.y, q.y);
  float re = pair_ratio(pair_products(p.x, q.x, p.y, q.y), d);
  float im = pair_ratio(pair_products(p.y, q.x, -p.x, q.y), d);
  return scaled(float2(re, im), up - down);
}
inline float2 op_floorDivide(float2 a, float2 b) { return op_divide(a, b); }
/// ln |z|; near the unit circle by |z|^2 - 1 = (a - 1)(a + 1) + b^2.
inline float log_modulus(float2 z) {
  float x = fabs(z.x), y = fabs(z.y), a = max(x, y), b = min(x, y);
  if (isinf(x) || isinf(y)) return INFINITY;
  if (is_nan(z)) return NAN;
  if (a > 0.5f && a < 2.0f) return 0.5f * op_log1p(fma(b, b, (a - 1.0f) * (a + 1.0f)));
  return a == 0.0f ? -INFINITY : precise::log(a) + 0.5f * op_log1p((b / a) * (b / a));
}
inline float2 op_log(float2 z) { return float2(log_modulus(z), precise::atan2(z.y, z.x)); }
inline float2 op_log2(float2 z) { return op_log(z) * 1.44269504088896f; }
inline float2 op_log10(float2 z) { return op_log(z) * 0.434294481903252f; }
inline float2 op_log1p(float2 z) {
  float re = fabs(z.x) < 0.5f && fabs(z.y) < 0.5f ? 0.5f * op_log1p(fma(z.y, z.y, z.x * (2.0f + z.x)))
                                                   : log_modulus(float2(1.0f + z.x, z.y));
  return float2(re, precise::atan2(z.y, 1.0f + z.x));
}
inline float2 op_exp(float2 z) {
  float e = precise::exp(z.x);
  if (z.y == 0.0f) return float2(e, z.y);
  if (z.x == -INFINITY) return float2(0.0f, 0.0f);
  if (z.x == INFINITY && !isfinite(z.y)) return float2(e, NAN);
  return float2(e * precise::cos(z.y), e * precise::sin(z.y));
}
/// e^x cos y - 1 = (e^x - 1) cos y - 2 sin^2(y / 2)
inline float2 op_expm1(float2 z) {
  float s = precise::sin(0.5f * z.y);
  float re = op_expm1(z.x) * precise::cos(z.y) - 2.0f * s * s;
  return z.y == 0.0f ? float2(op_expm1(z.x), z.y) : float2(re, precise::exp(z.x) * precise::sin(z.y));
}
/// By half the angle: the larger part is sqrt((|z| + |re|) / 2), the other im / (2 larger).
inline float2 op_sqrt(float2 z) {
  if (isinf(z.y)) return float2(INFINITY, z.y);
  if (isinf(z.x)) {
    float rest = isnan(z.y) ? z.y : 0.0f;
    return z.x > 0.0f ? float2(z.x, copysign(rest, z.y)) : float2(rest, copysign(INFINITY, z.y));
  }
  float t = precise::sqrt(fma(0.5f, modulus(z), 0.5f * fabs(z.x)));
  if (t == 0.0f) return float2(0.0f, z.y);
  float other = 0.5f * z.y / t;
  return z.x >= 0.0f ? float2(t, other) : float2(fabs(other), copysign(t, z.y));
}
inline float2 op_rsqrt(float2 z) { return op_divide(float2(1.0f, 0.0f), op_sqrt(z)); }
inline float2 rotated(float2 z) { return float2(-z.y, z.x); }      // i z
inline float2 turned_back(float2 z) { return float2(z.y, -z.x); }  // -i z
inline float2 op_sinh(float2 z) {
  if (z.y == 0.0f) return float2(precise::sinh(z.x), z.y);
  if (z.x == 0.0f) return float2(z.x, precise::sin(z.y));
  if (isinf(z.x) && !isfinite(z.y)) return float2(z.x, NAN);
  return float2(precise::sinh(z.x) * precise::cos(z.y), precise::cosh(z.x) * precise::sin(z.y));
}
inline float2 op_cosh(float2 z) {
  if (z.x == 0.0f || z.y == 0.0f)
    return float2(precise::cosh(z.x) * precise::cos(z.y), copysign(0.0f, z.x) * copysign(1.0f, z.y));
  if (isinf(z.x) && !isfinite(z.y)) return float2(INFINITY, NAN);
  return float2(precise::cosh(z.x) * precise::cos(z.y), precise::sinh(z.x) * precise::sin(z.y));
}
/// (sinh 2a + i sin 2b) / (cosh 2a + cos 2b); far out it is +-1.
inline float2 op_tanh(float2 z) {
  if (fabs(z.x) > 30.0f) return float2(copysign(1.0f, z.x), copysign(0.0f, z.y));
  float s = precise::sinh(z.x), c = precise::cos(z.y), d = fma(s, s, c * c);  // half the denominator
  return float2(z.x == 0.0f ? z.x : s * precise::cosh(z.x) / d, z.y == 0.0f ? z.y : precise::sin(z.y) * c / d);
}
inline float2 op_sin(float2 z) { return turned_back(op_sinh(rotated(z))); }
inline float2 op_cos(float2 z) { return op_cosh(rotated(z)); }
inline float2 op_tan(float2 z) { return turned_back(op_tanh(rotated(z))); }
/// The inverse functions from the square roots of 1 - z and 1 + z, where nothing cancels (Kahan).
inline float2 op_arcsin(float2 z) {
  if (is_infinite(z))
    return float2(precise::atan2(direction(z.x), fabs(direction(z.y))), copysign(INFINITY, z.y));
  float2 s = op_sqrt(float2(1.0f - z.x, -z.y)), p = op_sqrt(float2(1.0f + z.x, z.y));
  return float2(precise::atan2(z.x, s.x * p.x - s.y * p.y), precise::asinh(s.x * p.y - s.y * p.x));
}
inline float2 op_arccos(float2 z) {
  if (is_infinite(z))
    return float2(precise::atan2(fabs(direction(z.y)), direction(z.x)), -copysign(INFINITY, z.y));
  float2 s = op_sqrt(float2(1.0f - z.x, -z.y)), p = op_sqrt(float2(1.0f + z.x, z.y));
  return float2(2.0f * precise::atan2(s.x, p.x), precise::asinh(p.x * s.y - p.y * s.x));
}
inline float2 op_arcsinh(float2 z) { return turned_back(op_arcsin(rotated(z))); }
inline float2 op_arccosh(float2 z) {
  if (is_infinite(z)) return float2(INFINITY, precise::atan2(direction(z.y), direction(z.x)));
  float2 s = op_sqrt(float2(z.x - 1.0f, z.y)), p = op_sqrt(float2(z.x + 1.0f, z.y));
  return float2(precise::asinh(s.x * p.x + s.y * p.y), 2.0f * precise::atan2(s.y, p.x));
}
/// ln(1 + 4 x / m^2) / 4, m = |1 - x + i y|; next to the poles, where the square of y is lost, ln(2 / y) / 2.
inline float2 op_arctanh(float2 z) {
  if (is_infinite(z)) return float2(copysign(0.0f, z.x), copysign(1.57079632679490f, z.y));
  float x = fabs(z.x), far = 1.0f - x, m = modulus(float2(far, z.y));
  float re = far == 0.0f && fabs(z.y) < 1e-10f ? 0.5f * (0.693147180559945f - precise::log(fabs(z.y)))
                                               : 0.25f * op_log1p(4.0f * (x / m) / m);
  return float2(copysign(re, z.x), 0.5f * precise::atan2(2.0f * z.y, fma(-z.y, z.y, far * (1.0f + x))));
}
inline float2 op_arctan(float2 z) { return turned_back(op_arctanh(rotated(z))); }
inline float2 op_sigmoid(float2 z) {
  float2 e = op_exp(-z);
  return op_divide(float2(1.0f, 0.0f), float2(1.0f + e.x, e.y));
}
/// a^b = e^(b ln a); 0^b is 1 for b = 0, else 0 where Re b > 0.
inline float2 op_power(float2 a, float2 b) {
  if (!truth(b)) return float2(1.0f, 0.0f);
  if (!truth(a) && b.x > 0.0f && !isnan(b.y)) return float2(0.0f, 0.0f);
  return op_exp(op_multiply(b, op_log(a)));
}
inline float2 op_logaddexp(float2 a, float2 b) {
  bool first = before(b, a);
  float2 high = first ? a : b, low = first ? b : a;
  return high + op_log1p(op_exp(low - high));
}

/// ---- casts ---------------------------------------------------------------------------------------------------------
/// Floats to integers: towards zero, NaN to 0, and the ends where they do not fit; narrow integers are the low bits of
/// int32 (uint32: of int64), so that small negative numbers wrap.
inline int float_to_int(float x) {
  if (x != x) return 0;
  return x >= 2147483648.0f ? INT_MAX : x < -2147483648.0f ? INT_MIN : (int)x;
}
inline long float_to_long(float x) {
  if (x != x) return 0;
  if (x >= 9223372036854775808.0f) return (long)0x7fffffffffffffff;
  return x < -9223372036854775808.0f ? (long)((ulong)1 << 63) : (long)x;
}
inline ulong float_to_ulong(float x) {
  if (!(x >= 9223372036854775808.0f)) return (ulong)float_to_long(x);
  return x >= 18446744073709551616.0f ? ~(ulong)0 : (ulong)(x - 9223372036854775808.0f) + ((ulong)1 << 63);
}
template <class To, class From> inline To to_integer(From x) { return (To)x; }
template <class To> inline To to_integer(float x) {
  bool is_unsigned = (To)-1 > (To)0;
  if (sizeof(To) == 8) return is_unsigned ? (To)float_to_ulong(x) : (To)float_to_long(x);
  return sizeof(To) == 4 && is_unsigned ? (To)float_to_long(x) : (To)float_to_int(x);
}
template <class To> inline To to_integer(float2 z) { return to_integer<To>(z.x); }
template <class From> inline float to_float(From x) { return (float)x; }
inline float to_float(float2 z) { return z.x; }
template <class From> inline float2 to_complex(From x) { return float2((float)x, 0.0f); }
inline float2 to_complex(float2 z) { return z; }

/// start + step i, each of the two given as a pair.
inline float arange_float(float2 start, float2 step, ulong i) {
  float low = (float)(i & 0xffffff), high = (float)(i >> 24) * 16777216.0f;
  float2 y = pair_add(start, pair_times(step, low));
  if (high != 0.0f) y = pair_add(y, pair_times(step, high));
  return pair_value(y);
}

/// ---- reductions ----------------------------------------------------------------------------------------------------
/// A NaN stays.
template <class T> inline T max_merge(T a, T x) { return !is_nan(a) && (before(a, x) || is_nan(x)) ? x : a; }
template <class T> inline T min_merge(T a, T x) { return !is_nan(a) && (before(x, a) || is_nan(x)) ? x : a; }
