// Elementwise ops of one argument that are a few instructions each. The transcendental ones are in fused_ops_math.cc.
#include "cpu/complex.h"
#include "cpu/fused_ops.h"

namespace denim::DENIM_ISA {
namespace {

struct Negative {
  template <class T>
  T operator()(T x) const {
    if constexpr (is_complex<T>) return {-x.re, -x.im};
    else if constexpr (is_float<T>) return -x;
    else return static_cast<T>(0 - raw(x));
  }
};
struct Abs {
  template <class T>
  T operator()(T x) const {
    if constexpr (is_float<T>) return x < 0 ? -x : x + 0;  // -0 + 0 is 0
    else return x < T(0) ? Negative{}(x) : x;
  }
  float operator()(Complex x) const { return static_cast<float>(modulus(widen(x))); }
};
/// -1, 0 or 1, and 0 for NaN; z / |z| of complex numbers.
struct Sign {
  template <class T>
  T operator()(T x) const {
    return static_cast<T>((x > T(0)) - (x < T(0)));
  }
  Complex operator()(Complex x) const {
    const float m = static_cast<float>(modulus(widen(x)));
    return m == 0 ? x : Complex{x.re / m, x.im / m};
  }
};
struct Sqrt {
  float operator()(float x) const { return __builtin_sqrtf(x); }
  double operator()(double x) const { return __builtin_sqrt(x); }
  Complex operator()(Complex x) const { return narrow(zsqrt(widen(x))); }
};
struct Rsqrt {
  float operator()(float x) const { return 1.0f / __builtin_sqrtf(x); }
  double operator()(double x) const { return 1.0 / __builtin_sqrt(x); }
  Complex operator()(Complex x) const { return narrow(kOne / zsqrt(widen(x))); }
};
struct Square {
  template <class T>
  T operator()(T x) const {
    if constexpr (is_complex<T>) return {x.re * x.re - x.im * x.im, 2 * x.re * x.im};
    else if constexpr (is_float<T>) return x * x;
    else return static_cast<T>(raw(x) * raw(x));
  }
};
struct Copy {
  template <class T>
  T operator()(T x) const {
    return x;
  }
};
/// Integers are what they are; halves go to the even neighbour.
template <class Rounding>
struct ToIntegral {
  template <class T>
  T operator()(T x) const {
    if constexpr (is_complex<T>) return {Rounding{}(x.re), Rounding{}(x.im)};
    else if constexpr (is_float<T>) return Rounding{}(x);
    else return x;
  }
};
struct FloorOf {
  float operator()(float x) const { return __builtin_floorf(x); }
  double operator()(double x) const { return __builtin_floor(x); }
};
struct CeilOf {
  float operator()(float x) const { return __builtin_ceilf(x); }
  double operator()(double x) const { return __builtin_ceil(x); }
};
struct RoundOf {
  float operator()(float x) const { return __builtin_elementwise_roundeven(x); }
  double operator()(double x) const { return __builtin_elementwise_roundeven(x); }
};
struct LogicalNot {
  template <class T>
  bool operator()(T x) const {
    if constexpr (is_complex<T>) return x.re == 0 && x.im == 0;
    else return x == 0;
  }
};
struct BitwiseInvert {
  template <class T>
  T operator()(T x) const {
    return static_cast<T>(~x);
  }
};
struct Real {
  template <class T>
  T operator()(T x) const {
    return x;
  }
  float operator()(Complex x) const { return x.re; }
};
struct Imag {
  template <class T>
  T operator()(T) const {
    return T(0);
  }
  float operator()(Complex x) const { return x.im; }
};
struct Conjugate {
  template <class T>
  T operator()(T x) const {
    if constexpr (is_complex<T>) return {x.re, -x.im};
    else return x;
  }
};

}  // namespace

StepFn unary_kernel(Op op, Type type) {
  switch (op) {
    case Op::negative: return pick1<Negative, kNumbers>(type);
    case Op::abs: return pick1<Abs, kAll>(type);
    case Op::sign: return pick1<Sign, kAll>(type);
    case Op::sqrt: return pick1<Sqrt, kFloat | kComplex>(type);
    case Op::rsqrt: return pick1<Rsqrt, kFloat | kComplex>(type);
    case Op::square: return pick1<Square, kAll>(type);
    case Op::floor: return pick1<ToIntegral<FloorOf>, kReal | kBool>(type);
    case Op::ceil: return pick1<ToIntegral<CeilOf>, kReal | kBool>(type);
    case Op::round: return pick1<ToIntegral<RoundOf>, kAll>(type);
    case Op::logicalNot: return pick1<LogicalNot, kAll>(type);
    case Op::bitwiseInvert:
      return type == Type::bool_ ? pick1<LogicalNot, kBool>(type) : pick1<BitwiseInvert, kInts>(type);
    case Op::real: return pick1<Real, kAll>(type);
    case Op::imag: return pick1<Imag, kAll>(type);
    case Op::conjugate: return pick1<Conjugate, kAll>(type);
    case Op::copy: return pick1<Copy, kAll>(type);
    default: return nullptr;
  }
}

}  // namespace denim::DENIM_ISA
