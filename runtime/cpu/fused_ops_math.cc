// Transcendental ops: float32 by the vectors of math.h, float64 by libm, complex64 by complex.h.
#include "cpu/math.h"

#include "cpu/complex.h"
#include "cpu/fused_ops.h"

namespace denim::DENIM_ISA {
namespace {

double sigmoid64(double x) {
  const double e = ::exp(-::fabs(x));
  return (x < 0 ? e : 1.0) / (1.0 + e);
}
/// erf y = x by Newton's method, from the float32 result: each step doubles the digits. erfc keeps them close to 1.
double erfinv64(double x) {
  const double a = ::fabs(x);
  if (!(a < 1)) return a == 1 ? x * kInf : kNan;
  const double w = -::log((1 - a) * (1 + a));
  double y = a * 0.886226925452758;
  if (w > 0.1) {
    // Winitzki's formula as the start: within 0.2 %.
    constexpr double k = 0.147, t = 2 / (3.141592653589793 * k);
    const double h = t - 0.5 * w;
    y = ::sqrt(::sqrt(h * h + w / k) - h);
  }
  for (int i = 0; i < 4; i++) {
    const double error = y < 0.5 ? ::erf(y) - a : (1 - a) - ::erfc(y);
    const double step = error * 0.886226925452758 * ::exp(y * y);
    y -= step / (1 + y * step);  // Halley
  }
  return ::copysign(y, x);
}
Z zerror(Z) { return {kNan, kNan}; }

// X(op, on vectors of float32, on double, on complex)
#define DENIM_MATH_OPS(X)                                                    \
  X(exp, exp, ::exp, zexp)                                                   \
  X(log, log, ::log, zlog)                                                   \
  X(sin, sin, ::sin, zsin)                                                   \
  X(cos, cos, ::cos, zcos)                                                   \
  X(tan, tan, ::tan, ztan)                                                   \
  X(arcsin, arcsin, ::asin, zasin)                                           \
  X(arccos, arccos, ::acos, zacos)                                           \
  X(arctan, arctan, ::atan, zatan)                                           \
  X(sinh, sinh, ::sinh, zsinh)                                               \
  X(cosh, cosh, ::cosh, zcosh)                                               \
  X(tanh, tanh, ::tanh, ztanh)                                               \
  X(arcsinh, arcsinh, ::asinh, zasinh)                                       \
  X(arccosh, arccosh, ::acosh, zacosh)                                       \
  X(arctanh, arctanh, ::atanh, zatanh)                                       \
  X(sigmoid, sigmoid, sigmoid64, zsigmoid)                                   \
  X(expm1, expm1, ::expm1, [](Z z) { return zexp(z) - kOne; })               \
  X(log1p, log1p, ::log1p, zlog1p)                                           \
  X(log2, log2, ::log2, [](Z z) { return 1.4426950408889634 * zlog(z); })    \
  X(log10, log10, ::log10, [](Z z) { return 0.4342944819032518 * zlog(z); }) \
  X(erf, erf, ::erf, zerror)                                                 \
  X(erfinv, erfinv, erfinv64, zerror)

#define X(name, vector, scalar, complex)                                        \
  struct Math_##name {                                                          \
    F32 operator()(F32 x) const { return DENIM_ISA::vector(x); }                \
    double operator()(double x) const { return scalar(x); }                     \
    Complex operator()(Complex x) const { return narrow((complex)(widen(x))); } \
  };
DENIM_MATH_OPS(X)
#undef X

template <class F>
StepFn pick_math(Type type, bool complex) {
  if (type == Type::f32) return map1_vector<F>;
  if (type == Type::f64) return map1<F, double>;
  return type == Type::c64 && complex ? map1<F, Complex> : nullptr;
}

}  // namespace

StepFn math_kernel(Op op, Type type) {
  const bool complex = op != Op::erf && op != Op::erfinv;
  switch (op) {
#define X(name, vector, scalar, z) \
  case Op::name: return pick_math<Math_##name>(type, complex);
    DENIM_MATH_OPS(X)
#undef X
    default: return nullptr;
  }
}

}  // namespace denim::DENIM_ISA
