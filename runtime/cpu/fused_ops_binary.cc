// Elementwise ops of two arguments, and select. Whatever the data, they are defined: integers wrap, division by zero
// gives 0, shifts by the width or more (or by a negative number) give 0.
#include "cpu/complex.h"
#include "cpu/fused_ops.h"
#include "cpu/math.h"

namespace denim::DENIM_ISA {
namespace {

struct Add {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (is_complex<T>) return {a.re + b.re, a.im + b.im};
    else if constexpr (is_float<T>) return a + b;
    else return static_cast<T>(raw(a) + raw(b));
  }
};
struct Subtract {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (is_complex<T>) return {a.re - b.re, a.im - b.im};
    else if constexpr (is_float<T>) return a - b;
    else return static_cast<T>(raw(a) - raw(b));
  }
};
struct Multiply {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (is_complex<T>) return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
    else if constexpr (is_float<T>) return a * b;
    else return static_cast<T>(raw(a) * raw(b));
  }
};
struct Divide {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (is_complex<T>) return narrow(widen(a) / widen(b));
    else return a / b;
  }
};
/// Of equal or unordered pairs the first NaN, else the second.
template <class T>
bool before(T a, T b) {
  if constexpr (is_complex<T>) return a.re < b.re || (a.re == b.re && a.im < b.im);
  else return a < b;
}
template <class T>
bool is_nan(T x) {
  if constexpr (is_complex<T>) return x.re != x.re || x.im != x.im;
  else return x != x;
}
struct Maximum {
  template <class T>
  T operator()(T a, T b) const {
    return is_nan(a) || before(b, a) ? a : b;
  }
};
struct Minimum {
  template <class T>
  T operator()(T a, T b) const {
    return is_nan(a) || before(a, b) ? a : b;
  }
};
/// Truncated quotient and rest; dividing by 0 gives 0 and 0, the lowest integer by -1 wraps.
template <class T>
T quotient(T a, T b) {
  if (b == 0) return 0;
  if constexpr (__is_signed(T)) {
    if (b == T(-1)) return static_cast<T>(0 - raw(a));
  }
  return static_cast<T>(a / b);
}
struct Remainder {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (is_float<T>) {
      const T r = sizeof(T) == 4 ? static_cast<T>(::fmodf(static_cast<float>(a), static_cast<float>(b)))
                                 : static_cast<T>(::fmod(a, b));
      return r != 0 && (r < 0) != (b < 0) ? r + b : r;
    } else {
      if (b == 0) return 0;
      const T r = static_cast<T>(raw(a) - raw(quotient(a, b)) * raw(b));
      return r != 0 && (r < T(0)) != (b < T(0)) ? static_cast<T>(r + b) : r;
    }
  }
};
/// Complex quotients have no floor: they stay as they are.
struct FloorDivide {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (is_complex<T>) return Divide{}(a, b);
    else if constexpr (__is_same(T, float)) return __builtin_floorf(a / b);
    else if constexpr (__is_same(T, double)) return __builtin_floor(a / b);
    else {
      const T q = quotient(a, b);
      const bool inexact = b != 0 && raw(q) * raw(b) != raw(a);
      return inexact && (a < T(0)) != (b < T(0)) ? static_cast<T>(q - 1) : q;
    }
  }
};
/// Integers by squaring, modulo 2^width; a negative exponent gives 0.
struct Power {
  template <class T>
  T operator()(T a, T b) const {
    uint64_t base = raw(a), y = 1, n = raw(b);
    if (b < T(0)) return 0;
    for (; n != 0; n >>= 1) {
      if ((n & 1) != 0) y *= base;
      base *= base;
    }
    return static_cast<T>(y);
  }
  F32 operator()(F32 a, F32 b) const { return power(a, b); }
  double operator()(double a, double b) const { return ::pow(a, b); }
  Complex operator()(Complex a, Complex b) const { return narrow(zpower(widen(a), widen(b))); }
};
struct Logaddexp {
  F32 operator()(F32 a, F32 b) const { return logaddexp(a, b); }
  double operator()(double a, double b) const {
    if (a != a || b != b) return a + b;
    const double high = a > b ? a : b, low = a > b ? b : a;
    return high == low ? high + 0.6931471805599453 : high + ::log1p(::exp(low - high));
  }
  Complex operator()(Complex a, Complex b) const {
    const bool first = before(b, a);
    const Z high = widen(first ? a : b), low = widen(first ? b : a);
    return narrow(high + zlog(kOne + zexp(low - high)));
  }
};
struct Arctan2 {
  F32 operator()(F32 y, F32 x) const { return arctan2(y, x); }
  double operator()(double y, double x) const { return ::atan2(y, x); }
};
struct Equal {
  template <class T>
  bool operator()(T a, T b) const {
    if constexpr (is_complex<T>) return a.re == b.re && a.im == b.im;
    else return a == b;
  }
};
struct NotEqual {
  template <class T>
  bool operator()(T a, T b) const {
    return !Equal{}(a, b);
  }
};
struct Less {
  template <class T>
  bool operator()(T a, T b) const {
    return before(a, b);
  }
};
struct LessEqual {
  template <class T>
  bool operator()(T a, T b) const {
    if constexpr (is_complex<T>) return before(a, b) || Equal{}(a, b);
    else return a <= b;
  }
};
struct Greater {
  template <class T>
  bool operator()(T a, T b) const {
    return before(b, a);
  }
};
struct GreaterEqual {
  template <class T>
  bool operator()(T a, T b) const {
    return LessEqual{}(b, a);
  }
};
template <class T>
bool truth(T x) {
  if constexpr (is_complex<T>) return x.re != 0 || x.im != 0;
  else return x != 0;
}
struct LogicalAnd {
  template <class T>
  bool operator()(T a, T b) const {
    return truth(a) && truth(b);
  }
};
struct LogicalOr {
  template <class T>
  bool operator()(T a, T b) const {
    return truth(a) || truth(b);
  }
};
struct BitwiseAnd {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a & b);
  }
};
struct BitwiseOr {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a | b);
  }
};
struct BitwiseXor {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a ^ b);
  }
};
template <class T>
constexpr int width = static_cast<int>(sizeof(T)) * 8;
struct LeftShift {
  template <class T>
  T operator()(T a, T b) const {
    return raw(b) < width<T> ? static_cast<T>(raw(a) << (raw(b) & 63)) : T(0);
  }
};
struct RightShift {
  template <class T>
  T operator()(T a, T b) const {
    return raw(b) < width<T> ? static_cast<T>(a >> (raw(b) & (width<T> - 1))) : T(0);
  }
};

/// Defined by vectors of float32, double and complex; integers where the functor has them.
template <class F, unsigned kGroups>
StepFn pick_math2(Type type) {
  if (type == Type::f32) return map2_vector<F>;
  if (type == Type::f64) return map2<F, double>;
  return pick2<F, kGroups>(type);
}
template <class T>
void select_tile(void* out, const void* condition, const void* a, const void* b, int64_t n) {
  const auto* c = static_cast<const Bool*>(condition);
  const auto *x = static_cast<const T*>(a), *z = static_cast<const T*>(b);
  auto* y = static_cast<T*>(out);
  DENIM_EACH(i, n) y[i] = c[i].byte != 0 ? x[i] : z[i];
}

}  // namespace

StepFn binary_kernel(Op op, Type type) {
  switch (op) {
    case Op::add: return pick2<Add, kAll>(type);
    case Op::subtract: return pick2<Subtract, kAll>(type);
    case Op::multiply: return pick2<Multiply, kAll>(type);
    case Op::divide: return pick2<Divide, kFloat | kComplex>(type);
    case Op::power: return pick_math2<Power, kInts | kBool | kComplex>(type);
    case Op::maximum: return pick2<Maximum, kAll>(type);
    case Op::minimum: return pick2<Minimum, kAll>(type);
    case Op::remainder: return pick2<Remainder, kReal | kBool>(type);
    case Op::floorDivide: return pick2<FloorDivide, kAll>(type);
    case Op::logaddexp: return pick_math2<Logaddexp, kComplex>(type);
    case Op::arctan2: return pick_math2<Arctan2, 0>(type);
    case Op::equal: return pick2<Equal, kAll>(type);
    case Op::notEqual: return pick2<NotEqual, kAll>(type);
    case Op::greater: return pick2<Greater, kAll>(type);
    case Op::greaterEqual: return pick2<GreaterEqual, kAll>(type);
    case Op::less: return pick2<Less, kAll>(type);
    case Op::lessEqual: return pick2<LessEqual, kAll>(type);
    case Op::logicalAnd: return pick2<LogicalAnd, kAll>(type);
    case Op::logicalOr: return pick2<LogicalOr, kAll>(type);
    case Op::bitwiseAnd: return pick2<BitwiseAnd, kInts | kBool>(type);
    case Op::bitwiseOr: return pick2<BitwiseOr, kInts | kBool>(type);
    case Op::bitwiseXor: return pick2<BitwiseXor, kInts | kBool>(type);
    case Op::leftShift: return pick2<LeftShift, kInts>(type);
    case Op::rightShift: return pick2<RightShift, kInts>(type);
    default: return nullptr;
  }
}

StepFn select_kernel(Type type) {
  switch (size_of(type)) {
    case 1: return select_tile<uint8_t>;
    case 2: return select_tile<uint16_t>;
    case 4: return select_tile<uint32_t>;
    default: return select_tile<uint64_t>;
  }
}

}  // namespace denim::DENIM_ISA
