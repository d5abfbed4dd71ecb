// Prelude of the lint: Metal's names on top of Clang's "C++ for OpenCL", where address spaces are part of the type as
// in Apple's compiler. Declarations only; nothing of it ever runs. Used with -x clcpp -include lint.h.
#pragma once
#define device __global
#define constant __constant
#define threadgroup __local
#define thread __private
#undef kernel
// OpenCL's own names, which Clang brings by itself.
#define atomic_int msl_atomic_int
#define atomic_uint msl_atomic_uint
#define atomic_float msl_atomic_float
#define atomic_ulong msl_atomic_ulong
#define memory_order msl_memory_order
#define memory_order_relaxed msl_memory_order_relaxed
#define atomic_load_explicit msl_atomic_load_explicit
#define atomic_store_explicit msl_atomic_store_explicit
#define atomic_exchange_explicit msl_atomic_exchange_explicit
#define atomic_fetch_add_explicit msl_atomic_fetch_add_explicit
#define atomic_fetch_sub_explicit msl_atomic_fetch_sub_explicit
#define atomic_fetch_or_explicit msl_atomic_fetch_or_explicit
#define atomic_fetch_and_explicit msl_atomic_fetch_and_explicit
#define atomic_fetch_xor_explicit msl_atomic_fetch_xor_explicit
#define atomic_fetch_min_explicit msl_atomic_fetch_min_explicit
#define atomic_fetch_max_explicit msl_atomic_fetch_max_explicit
#define atomic_compare_exchange_weak_explicit msl_atomic_compare_exchange_weak_explicit
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
#pragma OPENCL EXTENSION __cl_clang_function_pointers : enable
#pragma OPENCL EXTENSION __cl_clang_variadic_functions : enable

typedef __SIZE_TYPE__ size_t;
typedef __PTRDIFF_TYPE__ ptrdiff_t;
typedef unsigned char uint8_t, uchar;
typedef signed char int8_t;
typedef unsigned short uint16_t, ushort;
typedef short int16_t;
typedef unsigned int uint32_t, uint;
typedef int int32_t;
typedef unsigned long uint64_t, ulong;
typedef long int64_t;
typedef __bf16 bfloat;

namespace lint {
template <class T>
__local T& variable();  // what a threadgroup declaration becomes
template <class T>
T copy(const __global T&);  // what `Struct a = b;` becomes
template <class T>
T copy(const __constant T&);
template <class T>
T copy(const __local T&);
template <class T>
T copy(const __private T&);
template <class T>
T copy(T&&);
}

namespace metal {
template <class T, int N>
using vec = T __attribute__((ext_vector_type(N)));

template <class A, class B>
constexpr __constant bool is_same_v = __is_same(A, B);
template <class A, class B>
constexpr __constant bool is_convertible_v = __is_convertible(A, B);
template <bool, class T = void>
struct enable_if {};
template <class T>
struct enable_if<true, T> {
  typedef T type;
};
template <bool b, class T = void>
using enable_if_t = typename enable_if<b, T>::type;
template <bool, class A, class B>
struct conditional {
  typedef A type;
};
template <class A, class B>
struct conditional<false, A, B> {
  typedef B type;
};
template <bool b, class A, class B>
using conditional_t = typename conditional<b, A, B>::type;
template <class T>
using make_unsigned_t = __make_unsigned(T);
template <class T>
using make_signed_t = __make_signed(T);
template <class T>
constexpr __constant bool is_integral_v = __is_integral(T);
template <class T>
constexpr __constant bool is_floating_point_v = __is_same(T, float) || __is_same(T, half) || __is_same(T, bfloat);
template <class T>
constexpr __constant bool is_signed_v = __is_signed(T);
template <class T>
constexpr __constant bool is_unsigned_v = __is_unsigned(T);

template <class T>
struct numeric_limits {
  static constexpr T max() { return T(1); }
  static constexpr T min() { return T(1); }
  static constexpr T lowest() { return T(1); }
  static constexpr T infinity() { return T(1); }
  static constexpr T quiet_NaN() { return T(1); }
};
template <class V, class... X>
V make(X...);
template <class To, class From>
constexpr To msl_cast(From x) {
  return static_cast<To>(x);
}
template <class To, class From>
To as_type(From);

#define LINT_SAME(f)      \
  template <class T>      \
  T f(T);                 \
  template <class T>      \
  T f(T, T);              \
  template <class T>      \
  T f(T, T, T);
#define LINT_MATH                                                                                                    \
  LINT_SAME(acos) LINT_SAME(acosh) LINT_SAME(asin) LINT_SAME(asinh) LINT_SAME(atan) LINT_SAME(atanh) LINT_SAME(atan2) \
  LINT_SAME(ceil) LINT_SAME(cos) LINT_SAME(cosh) LINT_SAME(exp) LINT_SAME(exp2) LINT_SAME(exp10) LINT_SAME(fabs)      \
  LINT_SAME(floor) LINT_SAME(fmod) LINT_SAME(log) LINT_SAME(log2) LINT_SAME(log10) LINT_SAME(pow) LINT_SAME(powr)     \
  LINT_SAME(rint) LINT_SAME(round) LINT_SAME(rsqrt) LINT_SAME(sin) LINT_SAME(sinh) LINT_SAME(sqrt) LINT_SAME(tan)     \
  LINT_SAME(tanh) LINT_SAME(trunc) LINT_SAME(copysign) LINT_SAME(fmin) LINT_SAME(fmax) LINT_SAME(fract)               \
  LINT_SAME(divide) LINT_SAME(sinpi) LINT_SAME(cospi) LINT_SAME(fdim) LINT_SAME(nextafter)
LINT_MATH
LINT_SAME(abs) LINT_SAME(clamp) LINT_SAME(fma) LINT_SAME(popcount) LINT_SAME(clz) LINT_SAME(ctz) LINT_SAME(rotate)
LINT_SAME(mix) LINT_SAME(sign) LINT_SAME(min) LINT_SAME(max) LINT_SAME(mulhi) LINT_SAME(addsat) LINT_SAME(subsat)
LINT_SAME(reverse_bits) LINT_SAME(saturate) LINT_SAME(min3) LINT_SAME(max3) LINT_SAME(median3)
namespace fast {
LINT_MATH
}
namespace precise {
LINT_MATH
}
template <class T, class C>
T select(T, T, C);
template <class T>
T ldexp(T, int);
template <class V>
float dot(V, V);
#define LINT_TEST(f) \
  template <class T> \
  bool f(T);
LINT_TEST(isnan) LINT_TEST(isinf) LINT_TEST(isfinite) LINT_TEST(signbit) LINT_TEST(all) LINT_TEST(any)

enum class mem_flags { mem_none, mem_device, mem_threadgroup, mem_texture };
mem_flags operator|(mem_flags, mem_flags);
void threadgroup_barrier(mem_flags);
void simdgroup_barrier(mem_flags);
LINT_SAME(simd_sum) LINT_SAME(simd_product) LINT_SAME(simd_min) LINT_SAME(simd_max) LINT_SAME(simd_or)
LINT_SAME(simd_and) LINT_SAME(simd_xor) LINT_SAME(quad_sum) LINT_SAME(quad_max) LINT_SAME(quad_min)
LINT_SAME(simd_prefix_inclusive_sum) LINT_SAME(simd_prefix_exclusive_sum) LINT_SAME(simd_broadcast_first)
LINT_SAME(simd_prefix_inclusive_product) LINT_SAME(simd_prefix_exclusive_product)
bool simd_all(bool);
bool simd_any(bool);
struct simd_vote {
  typedef ulong vote_t;
  explicit operator vote_t() const;
};
simd_vote simd_ballot(bool);
bool simd_is_first();
#define LINT_MOVE(f)     \
  template <class T>     \
  T f(T, ushort);
LINT_MOVE(simd_shuffle) LINT_MOVE(simd_shuffle_xor) LINT_MOVE(simd_shuffle_up) LINT_MOVE(simd_shuffle_down)
LINT_MOVE(simd_broadcast) LINT_MOVE(simd_shuffle_rotate_up) LINT_MOVE(simd_shuffle_rotate_down)
LINT_MOVE(quad_shuffle_xor) LINT_MOVE(quad_broadcast) LINT_MOVE(quad_shuffle)
template <class T>
T simd_shuffle_and_fill_up(T, T, ushort);
template <class T>
T simd_shuffle_and_fill_down(T, T, ushort);

template <class T, int R, int C>
struct simdgroup_matrix {
  simdgroup_matrix() __private = default;
  explicit simdgroup_matrix(T) __private;
  __private vec<T, 2>& thread_elements() __private;
  const __private vec<T, 2>& thread_elements() const __private;
};
typedef simdgroup_matrix<float, 8, 8> simdgroup_float8x8;
typedef simdgroup_matrix<half, 8, 8> simdgroup_half8x8;
typedef simdgroup_matrix<bfloat, 8, 8> simdgroup_bfloat8x8;
template <class T, int R, int C>
simdgroup_matrix<T, R, C> make_filled_simdgroup_matrix(T);
template <class D, class A, class B, class C>
void simdgroup_multiply_accumulate(__private D&, __private A&, __private B&, __private C&);
template <class D, class A, class B>
void simdgroup_multiply(__private D&, __private A&, __private B&);
#define LINT_LOAD(space)                                                                             \
  template <class M, class T>                                                                        \
  void simdgroup_load(__private M&, const space T*, ulong = 8, vec<ulong, 2> = 0, bool = false);     \
  template <class M, class T>                                                                        \
  void simdgroup_store(__private M&, space T*, ulong = 8, vec<ulong, 2> = 0, bool = false);
LINT_LOAD(__global) LINT_LOAD(__local)

enum memory_order { memory_order_relaxed };
template <class T>
struct atomic {
  T value;
};
typedef atomic<int> atomic_int;
typedef atomic<uint> atomic_uint;
typedef atomic<float> atomic_float;
typedef atomic<ulong> atomic_ulong;
#define LINT_FETCH(space, f) \
  template <class T>         \
  T f(volatile space atomic<T>*, T, memory_order);
// Metal adds floats atomically in device memory only.
template <class T>
constexpr __constant bool in_threadgroup = !__is_same(T, float);
#define LINT_ATOMIC(space)                                                                            \
  template <class T>                                                                                  \
  T atomic_load_explicit(const volatile space atomic<T>*, memory_order);                              \
  template <class T>                                                                                  \
  void atomic_store_explicit(volatile space atomic<T>*, T, memory_order);                             \
  LINT_FETCH(space, atomic_exchange_explicit) LINT_FETCH(space, atomic_fetch_or_explicit)             \
  LINT_FETCH(space, atomic_fetch_and_explicit) LINT_FETCH(space, atomic_fetch_xor_explicit)           \
  LINT_FETCH(space, atomic_fetch_min_explicit) LINT_FETCH(space, atomic_fetch_max_explicit)           \
  template <class T>                                                                                  \
  bool atomic_compare_exchange_weak_explicit(volatile space atomic<T>*, __private T*, T, memory_order, memory_order);
LINT_ATOMIC(__global) LINT_ATOMIC(__local)
LINT_FETCH(__global, atomic_fetch_add_explicit) LINT_FETCH(__global, atomic_fetch_sub_explicit)
template <class T>
enable_if_t<in_threadgroup<T>, T> atomic_fetch_add_explicit(volatile __local atomic<T>*, T, memory_order);
template <class T>
enable_if_t<in_threadgroup<T>, T> atomic_fetch_sub_explicit(volatile __local atomic<T>*, T, memory_order);
}  // namespace metal
using metal::as_type;
using metal::vec;
#define LINT_VECTORS(T)          \
  typedef metal::vec<T, 2> T##2; \
  typedef metal::vec<T, 3> T##3; \
  typedef metal::vec<T, 4> T##4;
LINT_VECTORS(float) LINT_VECTORS(half) LINT_VECTORS(char) LINT_VECTORS(uchar) LINT_VECTORS(short) LINT_VECTORS(ushort)
LINT_VECTORS(int) LINT_VECTORS(uint) LINT_VECTORS(long) LINT_VECTORS(ulong) LINT_VECTORS(bfloat)
#define is_function_constant_defined(x) true
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define FLT_MAX 3.40282346638528859812e+38f
#define FLT_MIN 1.17549435082228750797e-38f
#define FLT_EPSILON 1.1920928955078125e-07f
#define INT_MAX 2147483647
#define UINT_MAX 4294967295u
#define M_PI_F 3.14159274f
#define M_PI_2_F 1.5707964f
#define M_LN2_F 0.693147f
#define M_LOG2E_F 1.442695f
#define M_SQRT1_2_F 0.70710678f
#define M_2_SQRTPI_F 1.1283792f
// Words that mean something in OpenCL and nothing in Metal.
#define local local_name
#define global global_name
#define private private_name
#define generic generic_name
