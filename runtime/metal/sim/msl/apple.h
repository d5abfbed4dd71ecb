// Names of Apple's own compiler that MLX's headers call directly: here only so that MLX's sources run unchanged, as an
// outside check of this library (DSIM_FOREIGN). Denim's kernels do not see them.
#pragma once
#ifdef DSIM_FOREIGN
#define __METAL_MAYBE_FAST_MATH__ 0
#define __METAL_FAST_MATH__ 0
#define __METAL_PRECISE_MATH__ 0
#define MSL_APPLE1(f) \
  MSL_FUNC float __metal_##f(float x, int) { return metal::f(x); }
#define MSL_APPLE2(f) \
  MSL_FUNC float __metal_##f(float x, float y, int = 0) { return metal::f(x, y); }
MSL_APPLE1(fabs) MSL_APPLE1(acos) MSL_APPLE1(acosh) MSL_APPLE1(asin) MSL_APPLE1(asinh) MSL_APPLE1(atan)
MSL_APPLE1(atanh) MSL_APPLE1(ceil) MSL_APPLE1(cos) MSL_APPLE1(cosh) MSL_APPLE1(exp) MSL_APPLE1(exp2)
MSL_APPLE1(exp10) MSL_APPLE1(floor) MSL_APPLE1(fract) MSL_APPLE1(log) MSL_APPLE1(log2) MSL_APPLE1(log10)
MSL_APPLE1(rint) MSL_APPLE1(round) MSL_APPLE1(rsqrt) MSL_APPLE1(sin) MSL_APPLE1(sinh) MSL_APPLE1(sqrt)
MSL_APPLE1(tan) MSL_APPLE1(tanh) MSL_APPLE1(trunc) MSL_APPLE1(sinpi) MSL_APPLE1(cospi)
MSL_APPLE2(atan2) MSL_APPLE2(fmod) MSL_APPLE2(pow) MSL_APPLE2(powr) MSL_APPLE2(fmin) MSL_APPLE2(fmax)
MSL_APPLE2(divide) MSL_APPLE2(nextafter) MSL_APPLE2(fdim)
MSL_FUNC float __metal_tanpi(float x, int) { return metal::tan(x * M_PI_F); }
MSL_FUNC float __metal_fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
MSL_FUNC float __metal_ldexp(float x, int e, int = 0) { return metal::ldexp(x, e); }
MSL_FUNC float __metal_frexp(float x, int* e) { return __builtin_frexpf(x, e); }
MSL_FUNC float __metal_fmin3(float a, float b, float c, int) { return metal::min3(a, b, c); }
MSL_FUNC float __metal_fmax3(float a, float b, float c, int) { return metal::max3(a, b, c); }
MSL_FUNC float __metal_fmedian3(float a, float b, float c, int) { return metal::median3(a, b, c); }
MSL_FUNC ushort __metal_get_thread_index_in_simdgroup(ushort) { return ushort(metal::detail::my_lane()); }
MSL_FUNC ushort __metal_get_simdgroup_size(ushort) { return 32; }
#define MSL_APPLE_SIMD(f)                    \
  template <class T>                         \
  MSL_FUNC T __metal_simd_##f(T x) {         \
    return metal::simd_##f(x);               \
  }
MSL_APPLE_SIMD(sum) MSL_APPLE_SIMD(product) MSL_APPLE_SIMD(min) MSL_APPLE_SIMD(max)
MSL_APPLE_SIMD(prefix_inclusive_sum) MSL_APPLE_SIMD(prefix_exclusive_sum)
MSL_APPLE_SIMD(prefix_inclusive_product) MSL_APPLE_SIMD(prefix_exclusive_product)
// Apple's internal names take every type.
template <class T>
MSL_FUNC T __metal_simd_xor(T x) {
  return metal::as_type<T>(metal::simd_xor(metal::as_type<uint>(x)));
}
#define MSL_APPLE_MOVE(f)                       \
  template <class T>                            \
  MSL_FUNC T __metal_simd_##f(T x, ushort n) {  \
    return metal::simd_##f(x, n);               \
  }
MSL_APPLE_MOVE(broadcast) MSL_APPLE_MOVE(shuffle) MSL_APPLE_MOVE(shuffle_xor) MSL_APPLE_MOVE(shuffle_up)
MSL_APPLE_MOVE(shuffle_down) MSL_APPLE_MOVE(shuffle_rotate_up) MSL_APPLE_MOVE(shuffle_rotate_down)
template <class T>
MSL_FUNC T __metal_simd_shuffle_and_fill_up(T x, T fill, ushort n, ushort) {
  return metal::simd_shuffle_and_fill_up(x, fill, n);
}
template <class T>
MSL_FUNC T __metal_simd_shuffle_and_fill_down(T x, T fill, ushort n, ushort) {
  return metal::simd_shuffle_and_fill_down(x, fill, n);
}
#endif
