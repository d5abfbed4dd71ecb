// <metal_math> and <metal_common>. Functions take float and half, and vectors of these element by element; half goes
// through float and is rounded once. What Metal does not have or finds ambiguous (bfloat, integers, two different
// types) is refused. fast:: adds an error of the size that the specification allows, so that results do not only hold
// because this processor is exact; without a namespace functions are fast if the library was compiled so.
#pragma once

namespace metal {
namespace detail {
template <class T>
constexpr bool real() {
  return is_same_v<element_t<T>, float> || is_same_v<element_t<T>, half>;
}
#define MSL_REAL(T) \
  static_assert(metal::detail::real<T>(), "Metal has this function for float and half only: cast first")
#define MSL_NO_BFLOAT(T) \
  static_assert(!is_same_v<element_t<T>, bfloat>, "Metal has this function not for bfloat: cast to float")

template <class F, class V, class... X>
MSL_FUNC constexpr auto map_lanes(F f, V v, X... x) {
  if constexpr (vec_traits<V>::is_vec) {
    vec<decltype(f(v[0], x[0]...)), size_of_v<V>> r;
    for (int i = 0; i < size_of_v<V>; i++) r[i] = f(v[i], x[i]...);
    return r;
  } else {
    return f(v, x...);
  }
}

/// A result up to `ulps` units away, the same for the same result: at random over results.
__attribute__((nodebug)) inline float nudge(float r, float ulps) {
  unsigned bits = __builtin_bit_cast(unsigned, r), exponent = bits >> 23 & 255;
  if (exponent == 0 || exponent >= 254) return r;
  unsigned h = bits * 2654435761u;
  h ^= h >> 15;
  float share = float(int(h & 0xffff) - 0x8000) / 32768.0f;
  int moved = int(bits) + int(share * ulps);
  return __builtin_bit_cast(float, moved);
}
}  // namespace detail

#define MSL_MATH1(name, expression, ulps)                                                  \
  template <class V>                                                                       \
  MSL_FUNC V name(V v) {                                                                   \
    MSL_REAL(V);                                                                           \
    auto f = [](auto e) __attribute__((always_inline, nodebug)) {                          \
      float x = float(e);                                                                  \
      return static_cast<decltype(e)>(MSL_ERROR(expression, ulps));                        \
    };                                                                                     \
    return metal::detail::map_lanes(f, v);                                                 \
  }
// An integer beside a float becomes a float; float and half side by side are ambiguous.
#define MSL_MATH2(name, expression, ulps)                                                  \
  template <class V, class W>                                                              \
  MSL_FUNC auto name(V a, W b) {                                                           \
    if constexpr (__is_integral(V) && !__is_integral(W)) {                                 \
      return name<W, W>(W(a), b);                                                          \
    } else if constexpr (__is_integral(W) && !__is_integral(V)) {                          \
      return name<V, V>(a, V(b));                                                          \
    } else {                                                                               \
      MSL_REAL(V);                                                                         \
      static_assert(is_same_v<V, W>, #name " of two types is ambiguous in Metal");         \
      auto f = [](auto d, auto e) __attribute__((always_inline, nodebug)) {                \
        float x = float(d), y = float(e);                                                  \
        return static_cast<decltype(d)>(MSL_ERROR(expression, ulps));                      \
      };                                                                                   \
      return metal::detail::map_lanes(f, a, b);                                            \
    }                                                                                      \
  }
#define MSL_ALL_MATH                                                                                        \
  MSL_MATH1(acos, __builtin_acosf(x), 5) MSL_MATH1(acosh, __builtin_acoshf(x), 4)                            \
  MSL_MATH1(asin, __builtin_asinf(x), 5) MSL_MATH1(asinh, __builtin_asinhf(x), 4)                            \
  MSL_MATH1(atan, __builtin_atanf(x), 5) MSL_MATH1(atanh, __builtin_atanhf(x), 5)                            \
  MSL_MATH1(ceil, __builtin_ceilf(x), 0) MSL_MATH1(floor, __builtin_floorf(x), 0)                            \
  MSL_MATH1(trunc, __builtin_truncf(x), 0) MSL_MATH1(round, __builtin_roundf(x), 0)                          \
  MSL_MATH1(rint, __builtin_rintf(x), 0) MSL_MATH1(fabs, __builtin_fabsf(x), 0)                              \
  MSL_MATH1(fract, __builtin_fminf(x - __builtin_floorf(x), 0x1.fffffep-1f), 0)                              \
  MSL_MATH1(cos, __builtin_cosf(x), 4) MSL_MATH1(sin, __builtin_sinf(x), 4) MSL_MATH1(tan, __builtin_tanf(x), 6) \
  MSL_MATH1(cosh, __builtin_coshf(x), 5) MSL_MATH1(sinh, __builtin_sinhf(x), 5)                              \
  MSL_MATH1(tanh, __builtin_tanhf(x), 5) MSL_MATH1(exp, __builtin_expf(x), 3 + 2 * __builtin_fabsf(x))       \
  MSL_MATH1(exp2, __builtin_exp2f(x), 3 + 2 * __builtin_fabsf(x))                                            \
  MSL_MATH1(exp10, __builtin_powf(10.0f, x), 3 + 2 * __builtin_fabsf(x))                                     \
  MSL_MATH1(log, __builtin_logf(x), 3) MSL_MATH1(log2, __builtin_log2f(x), 3)                                \
  MSL_MATH1(log10, __builtin_log10f(x), 3) MSL_MATH1(sqrt, __builtin_sqrtf(x), 3)                            \
  MSL_MATH1(rsqrt, 1.0f / __builtin_sqrtf(x), 2)                                                             \
  MSL_MATH1(sinpi, __builtin_sinf(3.14159274101257324219f * x), 4)                                           \
  MSL_MATH1(cospi, __builtin_cosf(3.14159274101257324219f * x), 4)                                           \
  MSL_MATH2(atan2, __builtin_atan2f(x, y), 6) MSL_MATH2(fmod, __builtin_fmodf(x, y), 0)                      \
  MSL_MATH2(pow, __builtin_powf(x, y), 16) MSL_MATH2(powr, x < 0 ? __builtin_nanf("") : __builtin_powf(x, y), 16) \
  MSL_MATH2(fmin, __builtin_fminf(x, y), 0) MSL_MATH2(fmax, __builtin_fmaxf(x, y), 0)                        \
  MSL_MATH2(copysign, __builtin_copysignf(x, y), 0) MSL_MATH2(divide, x / y, 3)                              \
  MSL_MATH2(fdim, __builtin_fdimf(x, y), 0) MSL_MATH2(nextafter, __builtin_nextafterf(x, y), 0)
namespace precise {
#define MSL_ERROR(r, ulps) (r)
MSL_ALL_MATH
#undef MSL_ERROR
}  // namespace precise
namespace fast {
#define MSL_ERROR(r, ulps) metal::detail::nudge(r, ulps)
MSL_ALL_MATH
#undef MSL_ERROR
}  // namespace fast
#ifdef MSL_FAST_MATH
#define MSL_ERROR(r, ulps) metal::detail::nudge(r, ulps)
#else
#define MSL_ERROR(r, ulps) (r)
#endif
MSL_ALL_MATH

#define MSL_TEST1(name, expression)                                              \
  template <class V>                                                             \
  MSL_FUNC auto name(V v) {                                                      \
    return detail::map_lanes([](auto e) __attribute__((always_inline, nodebug)) { \
      float x = float(e);                                                        \
      return static_cast<bool>(expression);                                      \
    }, v);                                                                       \
  }
MSL_TEST1(isnan, __builtin_isnan(x))
MSL_TEST1(isinf, __builtin_isinf(x))
MSL_TEST1(isfinite, __builtin_isfinite(x))
MSL_TEST1(isnormal, __builtin_isnormal(x))
MSL_TEST1(signbit, __builtin_signbit(x))

template <class A, class B, class C>
MSL_FUNC A fma(A a, B b, C c) {
  MSL_REAL(A);
  static_assert(is_same_v<A, B> && is_same_v<A, C>, "fma of different types is ambiguous in Metal");
  return detail::map_lanes([](auto x, auto y, auto z) __attribute__((always_inline, nodebug)) {
    return static_cast<decltype(x)>(__builtin_fmaf(float(x), float(y), float(z)));
  }, a, b, c);
}
template <class V>
MSL_FUNC V abs(V v) {
  MSL_NO_BFLOAT(V);
  return detail::map_lanes([](auto x) __attribute__((always_inline, nodebug)) {
    using T = decltype(x);
    if constexpr (is_floating_point_v<T>)
      return T(__builtin_fabsf(float(x)));
    else
      return T(x < 0 ? T(-x) : x);
  }, v);
}
template <class V>
MSL_FUNC V sign(V v) {
  MSL_REAL(V);
  return detail::map_lanes([](auto x) __attribute__((always_inline, nodebug)) {
    using T = decltype(x);
    return T(x > T(0) ? T(1) : x < T(0) ? T(-1) : x == x ? x : T(0));
  }, v);
}
// A NaN loses against a number, as with fmin and fmax: kernels that want it must ask for it.
template <class A, class B>
MSL_FUNC constexpr A min(A a, B b) {
  MSL_NO_BFLOAT(A);
  static_assert(is_same_v<A, B>, "min of two types is ambiguous in Metal");
  return detail::map_lanes([](auto x, auto y) __attribute__((always_inline, nodebug)) {
    return x != x ? y : y < x ? y : x;
  }, a, b);
}
template <class A, class B>
MSL_FUNC constexpr A max(A a, B b) {
  MSL_NO_BFLOAT(A);
  static_assert(is_same_v<A, B>, "max of two types is ambiguous in Metal");
  return detail::map_lanes([](auto x, auto y) __attribute__((always_inline, nodebug)) {
    return x != x ? y : x < y ? y : x;
  }, a, b);
}
template <class T>
MSL_FUNC constexpr T min3(T a, T b, T c) {
  return min(a, min(b, c));
}
template <class T>
MSL_FUNC constexpr T max3(T a, T b, T c) {
  return max(a, max(b, c));
}
template <class T>
MSL_FUNC constexpr T median3(T a, T b, T c) {
  return max(min(a, b), min(max(a, b), c));
}
template <class V>
MSL_FUNC constexpr V clamp(V x, V low, V high) {
  return min(max(x, low), high);
}
template <class V>
MSL_FUNC V saturate(V x) {
  return clamp(x, V(0), V(1));
}
template <class V>
MSL_FUNC V mix(V x, V y, V a) {
  return x + (y - x) * a;
}
template <class V>
MSL_FUNC V step(V edge, V x) {
  return detail::map_lanes([](auto e, auto y) { return decltype(y)(y < e ? 0 : 1); }, edge, x);
}
template <class T, class C>
MSL_FUNC T select(T a, T b, C c) {
  if constexpr (vec_traits<T>::is_vec) {
    T r;
    for (int i = 0; i < size_of_v<T>; i++) r[i] = c[i] ? b[i] : a[i];
    return r;
  } else {
    return c ? b : a;
  }
}
template <class V>
MSL_FUNC bool all(V v) {
  bool r = true;
  for (int i = 0; i < size_of_v<V>; i++) r = r && v[i];
  return r;
}
template <class V>
MSL_FUNC bool any(V v) {
  bool r = false;
  for (int i = 0; i < size_of_v<V>; i++) r = r || v[i];
  return r;
}
MSL_FUNC bool all(bool b) { return b; }
MSL_FUNC bool any(bool b) { return b; }
template <class V>
MSL_FUNC element_t<V> dot(V a, V b) {
  element_t<V> r = 0;
  for (int i = 0; i < size_of_v<V>; i++) r += a[i] * b[i];
  return r;
}
template <class V>
MSL_FUNC element_t<V> length(V a) {
  return sqrt(dot(a, a));
}
template <class T>
MSL_FUNC T ldexp(T x, int e) {
  return T(__builtin_ldexpf(float(x), e));
}
template <class T>
MSL_FUNC T frexp(T x, int& e) {
  return T(__builtin_frexpf(float(x), &e));
}
template <class T>
MSL_FUNC T modf(T x, T& whole) {
  whole = trunc(x);
  return x - whole;
}
template <class T>
MSL_FUNC T sincos(T x, T& c) {
  c = cos(x);
  return sin(x);
}
template <class T>
MSL_FUNC int ilogb(T x) {
  return __builtin_ilogbf(float(x));
}
}  // namespace metal
