// <metal_type_traits>, <metal_limits>, and the constants of <metal_math>. Traits that Metal lacks are not in namespace
// metal: kernels define them themselves.
#pragma once

namespace metal {
template <class T, T v>
struct integral_constant {
  static constexpr T value = v;
  typedef T value_type;
  typedef integral_constant type;
  constexpr operator T() const { return v; }
};
template <bool b>
using bool_constant = integral_constant<bool, b>;
typedef bool_constant<true> true_type;
typedef bool_constant<false> false_type;

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
using remove_cv_t = __remove_cv(T);
template <class T>
using remove_const_t = __remove_const(T);
template <class T>
using remove_reference_t = __remove_reference_t(T);
template <class T>
struct remove_reference {
  typedef __remove_reference_t(T) type;
};
template <class T>
using remove_pointer_t = __remove_pointer(T);
template <class T>
using decay_t = __decay(T);
template <class T>
using make_unsigned_t = __make_unsigned(T);
template <class T>
using make_signed_t = __make_signed(T);
template <class T>
struct make_unsigned {
  typedef __make_unsigned(T) type;
};
template <class T>
struct make_signed {
  typedef __make_signed(T) type;
};
template <class T>
using add_const_t = const T;
template <class T>
using remove_addrspace_t = T;

#define MSL_TRAIT(name, expression)                    \
  template <class T>                                   \
  struct name : bool_constant<(expression)> {};        \
  template <class T>                                   \
  inline constexpr bool name##_v = (expression);
template <class A, class B>
struct is_same : bool_constant<__is_same(A, B)> {};
template <class A, class B>
inline constexpr bool is_same_v = __is_same(A, B);
template <class A, class B>
struct is_convertible : bool_constant<__is_convertible_to(A, B)> {};
template <class A, class B>
inline constexpr bool is_convertible_v = __is_convertible_to(A, B);
MSL_TRAIT(is_integral, __is_integral(T))
MSL_TRAIT(is_floating_point, (is_same_v<T, float> || is_same_v<T, half> || is_same_v<T, bfloat>))
MSL_TRAIT(is_arithmetic, (__is_integral(T) || is_floating_point_v<T>))
MSL_TRAIT(is_signed, __is_signed(T))
MSL_TRAIT(is_unsigned, __is_unsigned(T))
MSL_TRAIT(is_enum, __is_enum(T))
MSL_TRAIT(is_class, __is_class(T))
MSL_TRAIT(is_pointer, __is_pointer(T))
MSL_TRAIT(is_reference, __is_reference(T))
MSL_TRAIT(is_const, __is_const(T))
MSL_TRAIT(is_void, __is_void(T))
MSL_TRAIT(is_trivially_copyable, __is_trivially_copyable(T))
template <class... B>
struct _disjunction : bool_constant<(B::value || ...)> {};
template <class T>
using uniform = T;
template <class T>
MSL_FUNC constexpr T make_uniform(T x) {
  return x;
}

/// Clang has no conversion between __bf16 and _Float16; Metal has. The translator sends static_cast through here.
template <class T>
inline constexpr bool is_short_float = is_same_v<remove_cv_t<remove_reference_t<T>>, half> ||
                                       is_same_v<remove_cv_t<remove_reference_t<T>>, bfloat>;
template <class To, class From>
MSL_FUNC constexpr To msl_cast(From x) {
  if constexpr (is_short_float<To> && is_short_float<From>)
    return static_cast<To>(static_cast<float>(x));
  else
    return static_cast<To>(x);
}

template <class T>
struct numeric_limits {
  static constexpr bool is_signed = __is_signed(T);
  static constexpr int digits = int(sizeof(T) * 8) - is_signed;
  static constexpr T max() {
    if constexpr (is_same_v<T, bool>)
      return true;
    else
      return static_cast<T>(is_signed ? static_cast<make_unsigned_t<T>>(-1) >> 1 : static_cast<make_unsigned_t<T>>(-1));
  }
  static constexpr T min() { return static_cast<T>(is_signed ? static_cast<T>(~max()) : T(0)); }
  static constexpr T lowest() { return min(); }
  static constexpr T infinity() { return T{}; }
};
template <class T, class Bits, Bits max_bits, Bits min_bits, Bits inf_bits, Bits nan_bits, Bits eps_bits>
struct float_limits {
  static constexpr bool is_signed = true;
  static constexpr T max() { return __builtin_bit_cast(T, max_bits); }
  static constexpr T min() { return __builtin_bit_cast(T, min_bits); }
  static constexpr T lowest() { return -max(); }
  static constexpr T infinity() { return __builtin_bit_cast(T, inf_bits); }
  static constexpr T quiet_NaN() { return __builtin_bit_cast(T, nan_bits); }
  static constexpr T epsilon() { return __builtin_bit_cast(T, eps_bits); }
};
template <>
struct numeric_limits<float>
    : float_limits<float, uint32_t, 0x7f7fffff, 0x00800000, 0x7f800000, 0x7fc00000, 0x34000000> {};
template <>
struct numeric_limits<half> : float_limits<half, uint16_t, 0x7bff, 0x0400, 0x7c00, 0x7e00, 0x1400> {};
#if __METAL_VERSION__ >= 310
template <>
struct numeric_limits<bfloat> : float_limits<bfloat, uint16_t, 0x7f7f, 0x0080, 0x7f80, 0x7fc0, 0x3c00> {};
#endif
}  // namespace metal

#define M_E_F 2.71828174591064453125f
#define M_LOG2E_F 1.44269502162933349609f
#define M_LOG10E_F 0.434294492006301879883f
#define M_LN2_F 0.69314718246459960938f
#define M_LN10_F 2.30258509299404568402f
#define M_PI_F 3.14159274101257324219f
#define M_PI_2_F 1.57079637050628662109f
#define M_PI_4_F 0.785398185253143310547f
#define M_1_PI_F 0.318309873342514038086f
#define M_2_PI_F 0.636619746685028076172f
#define M_2_SQRTPI_F 1.12837922573089599609f
#define M_SQRT2_F 1.41421353816986083984f
#define M_SQRT1_2_F 0.707106769084930419922f
#define M_PI_H half(3.140625f)
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define HUGE_VALF __builtin_huge_valf()
#define FLT_MAX 3.40282346638528859812e+38f
#define FLT_MIN 1.17549435082228750797e-38f
#define FLT_EPSILON 1.1920928955078125e-07f
#define HALF_MAX half(65504.0f)
#define CHAR_BIT 8
#define CHAR_MAX 127
#define CHAR_MIN (-128)
#define UCHAR_MAX 255
#define SHRT_MAX 32767
#define SHRT_MIN (-32768)
#define USHRT_MAX 65535
#define INT_MAX 2147483647
#define INT_MIN (-INT_MAX - 1)
#define UINT_MAX 4294967295u
#define LONG_MAX 9223372036854775807L
#define LONG_MIN (-LONG_MAX - 1)
#define ULONG_MAX 18446744073709551615ul
