// Scans along one axis: cumsum, cumprod, cummax, cummin, logcumsumexp; forward or reverse, inclusive or exclusive.
// Half types and float32 accumulate wider and are rounded once per element; integers wrap; max and min hand NaN on.
#include <math.h>

#include "cpu/complex.h"
#include "cpu/rows.h"
#include "cpu/simd.h"

namespace denim::DENIM_ISA {
namespace {

/// How an element is read into an accumulator and written back.
template <class T, class Acc>
struct Plain {
  using Stored = T;
  using A = Acc;
  static A get(T x) { return static_cast<A>(x); }
  static T put(A a) { return static_cast<T>(a); }
};
struct Half {
  using Stored = uint16_t;
  using A = float;
  static A get(uint16_t x) { return half_to_float(x); }
  static uint16_t put(A a) { return float_to_half(a); }
};
struct Bfloat {
  using Stored = uint16_t;
  using A = float;
  static A get(uint16_t x) { return bfloat_to_float(x); }
  static uint16_t put(A a) { return float_to_bfloat(a); }
};
struct OfBool {
  using Stored = uint8_t;
  using A = uint8_t;
  static A get(uint8_t x) { return x != 0; }
  static uint8_t put(A a) { return a != 0; }
};
struct OfComplex {
  using Stored = Complex;
  using A = Z;
  static A get(Complex x) { return widen(x); }
  static Complex put(A a) { return narrow(a); }
};

struct Sum {
  template <class A>
  static A start() {
    return A{};
  }
  template <class A>
  static A join(A a, A x) {
    if constexpr (__is_integral(A)) return static_cast<A>(static_cast<uint64_t>(a) + static_cast<uint64_t>(x));
    else return a + x;
  }
};
struct Prod {
  template <class A>
  static A start() {
    if constexpr (__is_same(A, Z)) return kOne;
    else return A(1);
  }
  template <class A>
  static A join(A a, A x) {
    if constexpr (__is_integral(A)) return static_cast<A>(static_cast<uint64_t>(a) * static_cast<uint64_t>(x));
    else return static_cast<A>(a * x);
  }
};
template <class A>
constexpr A lowest() {
  if constexpr (__is_floating_point(A)) return static_cast<A>(-__builtin_inff());
  else return __is_signed(A) ? static_cast<A>(uint64_t{1} << (sizeof(A) * 8 - 1)) : A(0);
}
/// Complex numbers by (re, im).
inline bool before(Z a, Z b) { return a.re < b.re || (a.re == b.re && a.im < b.im); }
inline bool is_nan(Z a) { return a.re != a.re || a.im != a.im; }
template <class A>
bool before(A a, A b) {
  return a < b;
}
template <class A>
bool is_nan(A a) {
  return a != a;
}
struct Max {
  template <class A>
  static A start() {
    if constexpr (__is_same(A, Z)) return {lowest<double>(), lowest<double>()};
    else return lowest<A>();
  }
  template <class A>
  static A join(A a, A x) {
    return !is_nan(a) && (before(a, x) || is_nan(x)) ? x : a;
  }
};
struct Min {
  template <class A>
  static A start() {
    if constexpr (__is_same(A, Z)) return {-lowest<double>(), -lowest<double>()};
    else if constexpr (__is_floating_point(A)) return -lowest<A>();
    else return static_cast<A>(~lowest<A>());
  }
  template <class A>
  static A join(A a, A x) {
    return !is_nan(a) && (before(x, a) || is_nan(x)) ? x : a;
  }
};
struct Logsumexp {
  template <class A>
  static A start() {
    if constexpr (__is_same(A, Z)) return {lowest<double>(), 0};
    else return lowest<A>();
  }
  static Z join(Z a, Z x) {
    const Z high = before(a, x) ? x : a, low = before(a, x) ? a : x;
    return low.re == lowest<double>() ? high : high + zlog(kOne + zexp(low - high));
  }
  template <class A>
  static A join(A a, A x) {
    if (is_nan(a) || is_nan(x)) return a + x;
    const double high = a > x ? a : x, low = a > x ? x : a;
    if (high == static_cast<double>(__builtin_inff()) || low == static_cast<double>(-__builtin_inff()))
      return static_cast<A>(high);
    return static_cast<A>(high + ::log1p(::exp(low - high)));
  }
};

struct Scan {
  int64_t axis;
  bool reverse, inclusive;
};
/// Lines side by side are scanned together, so that memory is walked in order.
constexpr int64_t kBlock = 256;

template <class E, class P>
void scan_line(typename E::Stored* y, int64_t y_step, const typename E::Stored* x, int64_t x_step, int64_t n,
               bool inclusive) {
  auto a = P::template start<typename E::A>();
  for (int64_t i = 0; i < n; i++) {
    const auto next = P::join(a, E::get(x[i * x_step]));
    y[i * y_step] = E::put(inclusive ? next : a);
    a = next;
  }
}
template <class E, class P>
void scan_block(typename E::Stored* y, int64_t y_step, const typename E::Stored* x, int64_t x_step, int64_t across,
                int64_t lines, int64_t n, bool inclusive) {
  typename E::A a[kBlock];
  for (int64_t k = 0; k < lines; k++) a[k] = P::template start<typename E::A>();
  for (int64_t i = 0; i < n; i++, x += x_step, y += y_step) {
    for (int64_t k = 0; k < lines; k++) {
      const auto next = P::join(a[k], E::get(x[k * across]));
      y[k] = E::put(inclusive ? next : a[k]);
      a[k] = next;
    }
  }
}
template <class E, class P>
void scan(const Call& c, Scan s) {
  using T = typename E::Stored;
  const Array &x = c.in[0], &y = c.out[0];
  const int64_t n = x.shape[s.axis], lines = x.size / n, sign = s.reverse ? -1 : 1, last = s.reverse ? n - 1 : 0;
  const int64_t x_step = x.strides[s.axis], y_step = y.strides[s.axis];
  const int64_t other = neighbour_axis(x, s.axis), width = s.axis == x.ndim - 1 || other < 0 ? 1 : x.shape[other];
  const int64_t blocks = (width + kBlock - 1) / kBlock;
  in_pieces(lines / width * blocks, n * (width < kBlock ? width : kBlock), [&](int64_t from, int64_t to, int) {
    for (int64_t i = from; i < to; i++) {
      const int64_t line = i / blocks * width + i % blocks * kBlock, left = width - i % blocks * kBlock;
      const T* from_x = x.as<T>() + line_offset(x, s.axis, line) + last * x_step;
      T* to_y = y.as<T>() + line_offset(y, s.axis, line) + last * y_step;
      if (width == 1) scan_line<E, P>(to_y, sign * y_step, from_x, sign * x_step, n, s.inclusive);
      else
        scan_block<E, P>(to_y, sign * y_step, from_x, sign * x_step, x.strides[other], left < kBlock ? left : kBlock, n,
                         s.inclusive);
    }
  });
}
using Scanner = void (*)(const Call&, Scan);

template <class P>
Scanner scanner_of(DType d) {
  constexpr bool logarithmic = __is_same(P, Logsumexp);
  switch (d) {
    case DType::float16: return scan<Half, P>;
    case DType::bfloat16: return scan<Bfloat, P>;
    case DType::float32: return scan<Plain<float, double>, P>;
    case DType::float64: return scan<Plain<double, double>, P>;
    case DType::complex64: return scan<OfComplex, P>;
    default: break;
  }
  if constexpr (!logarithmic) {
    switch (d) {
      case DType::bool_: return scan<OfBool, P>;
      case DType::uint8: return scan<Plain<uint8_t, uint8_t>, P>;
      case DType::uint16: return scan<Plain<uint16_t, uint16_t>, P>;
      case DType::uint32: return scan<Plain<uint32_t, uint32_t>, P>;
      case DType::uint64: return scan<Plain<uint64_t, uint64_t>, P>;
      case DType::int8: return scan<Plain<int8_t, int8_t>, P>;
      case DType::int16: return scan<Plain<int16_t, int16_t>, P>;
      case DType::int32: return scan<Plain<int32_t, int32_t>, P>;
      case DType::int64: return scan<Plain<int64_t, int64_t>, P>;
      default: break;
    }
  }
  return nullptr;
}
template <class Params>
Scan scan_of(const Call& c) {
  const auto& p = c.as<Params>();
  return {p.axis, p.reverse != 0, p.inclusive != 0};
}
template <class P, class Params>
const char* check_scan(const Call& c) {
  if (const char* message = check_axis(c, c.as<Params>().axis)) return message;
  if (!same_shape(c.in[0], c.out[0]) || c.in[0].dtype != c.out[0].dtype) return "the result must be like the input";
  return scanner_of<P>(c.in[0].dtype) == nullptr ? "the dtype must be a float" : nullptr;
}
template <class P, class Params>
const char* run_scan(const Call& c) {
  if (c.in[0].size > 0) scanner_of<P>(c.in[0].dtype)(c, scan_of<Params>(c));
  return nullptr;
}
size_t no_scratch(const Call&) { return 0; }

}  // namespace

extern const Kernel kernel_cumsum, kernel_cumprod, kernel_cummax, kernel_cummin, kernel_logcumsumexp;
const Kernel kernel_cumsum{check_scan<Sum, CumsumParams>, no_scratch, run_scan<Sum, CumsumParams>};
const Kernel kernel_cumprod{check_scan<Prod, CumprodParams>, no_scratch, run_scan<Prod, CumprodParams>};
const Kernel kernel_cummax{check_scan<Max, CummaxParams>, no_scratch, run_scan<Max, CummaxParams>};
const Kernel kernel_cummin{check_scan<Min, CumminParams>, no_scratch, run_scan<Min, CumminParams>};
const Kernel kernel_logcumsumexp{check_scan<Logsumexp, LogcumsumexpParams>, no_scratch,
                                 run_scan<Logsumexp, LogcumsumexpParams>};

}  // namespace denim::DENIM_ISA
