// Vectors for the kernels of the families fast, conv and random: one template per accumulation type (float or double),
// loads and stores that convert the half types, exp for arguments <= 0, and loops over ranges. Widths follow the
// instruction set.
#pragma once
#include <math.h>
#include <string.h>

#include "../kernel.h"

#if defined(__AVX512F__)
#define DENIM_VECTOR_BYTES 64
#elif defined(__AVX__)
#define DENIM_VECTOR_BYTES 32
#else
#define DENIM_VECTOR_BYTES 16
#endif
// Compilers prefer 256-bit registers on x86-64-v4; the micro-kernels are laid out for the full width.
#if defined(__AVX512F__)
#define DENIM_WIDE __attribute__((min_vector_width(512)))
#else
#define DENIM_WIDE
#endif
#define DENIM_INLINE inline __attribute__((always_inline))
// Loops over sums that must be registers: left to itself the compiler keeps the larger ones in memory.
#define DENIM_UNROLL _Pragma("clang loop unroll(full)")

// A namespace of its own: inline functions of other headers may bear the same names.
namespace denim::DENIM_ISA::wide {

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr bool kManyRegisters = true;  // 32 vectors, else 16
#else
constexpr bool kManyRegisters = false;
#endif

struct Bf16 {
  uint16_t bits;
};
using F16 = _Float16;

/// The type that arithmetic on a storage type happens in.
template <class T>
struct AccOf {
  using type = float;
};
template <>
struct AccOf<double> {
  using type = double;
};
template <class T>
using Acc = typename AccOf<T>::type;

template <class A>
constexpr int kLanes = DENIM_VECTOR_BYTES / sizeof(A);
template <class A>
using Vec = A __attribute__((ext_vector_type(DENIM_VECTOR_BYTES / sizeof(A))));
template <class A>
struct IntOf {
  using type = int32_t;
};
template <>
struct IntOf<double> {
  using type = int64_t;
};
/// Integers of the width of `A`: lane numbers, masks and bit patterns.
template <class A>
using IntVec = Vec<typename IntOf<A>::type>;

template <class To, class From>
DENIM_INLINE To bits_as(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  return __builtin_bit_cast(To, from);
}

DENIM_INLINE float to_acc(float x) { return x; }
DENIM_INLINE double to_acc(double x) { return x; }
DENIM_INLINE float to_acc(F16 x) { return static_cast<float>(x); }
DENIM_INLINE float to_acc(Bf16 x) { return bits_as<float>(static_cast<uint32_t>(x.bits) << 16); }

template <class T>
DENIM_INLINE T from_acc(Acc<T> x) {
  return static_cast<T>(x);
}
/// Rounds to nearest, ties to even; a NaN stays one.
template <>
DENIM_INLINE Bf16 from_acc<Bf16>(float x) {
  uint32_t u = bits_as<uint32_t>(x);
  return {static_cast<uint16_t>(x != x ? 0x7fc0 : (u + 0x7fff + ((u >> 16) & 1)) >> 16)};
}

template <class T>
DENIM_INLINE Vec<Acc<T>> load(const T* p) {
  constexpr int n = kLanes<Acc<T>>;
  if constexpr (__is_same(T, Bf16)) {
    typedef uint16_t Half __attribute__((ext_vector_type(n)));
    Half h;
    memcpy(&h, p, sizeof h);
    return bits_as<Vec<float>>(__builtin_convertvector(h, Vec<uint32_t>) << 16);
  } else if constexpr (__is_same(T, F16)) {
    typedef F16 Half __attribute__((ext_vector_type(n)));
    Half h;
    memcpy(&h, p, sizeof h);
    return __builtin_convertvector(h, Vec<float>);
  } else {
    Vec<T> v;
    memcpy(&v, p, sizeof v);
    return v;
  }
}
template <class T>
DENIM_INLINE void store(T* p, Vec<Acc<T>> v) {
  constexpr int n = kLanes<Acc<T>>;
  if constexpr (__is_same(T, Bf16)) {
    auto u = bits_as<Vec<uint32_t>>(v);
    auto rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    auto nan = bits_as<Vec<uint32_t>>(v != v);
    rounded = (rounded & ~nan) | (nan & 0x7fc0);
    typedef uint16_t Half __attribute__((ext_vector_type(n)));
    Half h = __builtin_convertvector(rounded, Half);
    memcpy(p, &h, sizeof h);
  } else if constexpr (__is_same(T, F16)) {
    typedef F16 Half __attribute__((ext_vector_type(n)));
    Half h = __builtin_convertvector(v, Half);
    memcpy(p, &h, sizeof h);
  } else {
    memcpy(p, &v, sizeof v);
  }
}
/// The first `n` elements; the other lanes hold `fill`.
template <class T>
DENIM_INLINE Vec<Acc<T>> load_n(const T* p, int64_t n, Acc<T> fill = 0) {
  if (n >= kLanes<Acc<T>>) return load(p);
  Vec<Acc<T>> v = fill;
  for (int64_t i = 0; i < n; i++) v[i] = to_acc(p[i]);
  return v;
}
template <class T>
DENIM_INLINE void store_n(T* p, Vec<Acc<T>> v, int64_t n) {
  if (n >= kLanes<Acc<T>>) return store(p, v);
  for (int64_t i = 0; i < n; i++) p[i] = from_acc<T>(v[i]);
}

/// a * b + c, in one rounding where the processor has it: the compiler is told not to contract on its own.
template <class A>
DENIM_INLINE Vec<A> mul_add(Vec<A> a, Vec<A> b, Vec<A> c) {
#if defined(__FMA__) || defined(__aarch64__)
  return __builtin_elementwise_fma(a, b, c);
#else
  return a * b + c;
#endif
}
template <class A>
DENIM_INLINE Vec<A> max_of(Vec<A> a, Vec<A> b) {
  return a > b ? a : b;
}
template <class V>
DENIM_INLINE auto lane_sum(V v) {
  constexpr int n = sizeof(v) / sizeof(v[0]);
  if constexpr (n == 2) {
    return v[0] + v[1];
  } else {
    return lane_sum(v.lo + v.hi);
  }
}
template <class V>
DENIM_INLINE auto lane_max(V v) {
  auto m = v[0];
  for (unsigned i = 1; i < sizeof(v) / sizeof(v[0]); i++) m = v[i] > m ? v[i] : m;
  return m;
}

/// e^x for x <= 0 (or NaN, which stays): e^x = 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2, e^r by its Taylor
/// series. Adding 1.5 * 2^mantissa rounds x / ln 2 to an integer whose low bits, shifted into the exponent, are 2^n.
/// What would be subnormal is 0.
template <class A>
DENIM_INLINE Vec<A> exp_nonpositive(Vec<A> x) {
  constexpr bool wide = sizeof(A) == 8;
  constexpr A magic = wide ? 0x1.8p52 : 0x1.8p23;
  constexpr A smallest = wide ? -708.3964185322641 : -87.33654475;
  constexpr A ln2_high = wide ? 0x1.62e42fee00000p-1 : 0x1.62e4p-1,
              ln2_low = wide ? 0x1.a39ef35793c76p-33 : 0x1.7f7d1cp-20;
  constexpr double series[] = {
      1,          1,           1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,       1.0 / 720,
      1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
  constexpr int degree = wide ? 13 : 7;
  Vec<A> shifted = mul_add<A>(x, static_cast<A>(1.4426950408889634), magic);
  Vec<A> n = shifted - magic;
  Vec<A> r = mul_add<A>(n, -ln2_low, mul_add<A>(n, -ln2_high, x));
  Vec<A> y = static_cast<A>(series[degree]);
  DENIM_UNROLL
  for (int k = degree - 1; k >= 0; k--) y = mul_add<A>(y, r, static_cast<A>(series[k]));
  auto exponent = bits_as<IntVec<A>>(shifted) << (wide ? 52 : 23);
  y = bits_as<Vec<A>>(bits_as<IntVec<A>>(y) + exponent);
  return x < smallest ? Vec<A>(0) : y;
}
template <class A>
DENIM_INLINE A exp_nonpositive_scalar(A x) {
  return exp_nonpositive<A>(Vec<A>(x))[0];
}

/// f(i, n) for each vector of a row: n lanes from element i on.
template <class A, class F>
DENIM_INLINE void each_vector(int64_t size, F f) {
  int64_t i = 0;
  for (; i + kLanes<A> <= size; i += kLanes<A>) [[clang::always_inline]]
    f(i, kLanes<A>);
  if (i < size) [[clang::always_inline]]
    f(i, size - i);
}

/// f(i, worker) for i in [0, n) on the worker threads.
template <class F>
void each_task(int64_t n, F f) {
  parallel(n, [](void* context, int64_t i, int worker) { (*static_cast<F*>(context))(i, worker); }, &f);
}
/// f(begin, end) for pieces of [0, n), each of at least `grain` items.
template <class F>
void each_range(int64_t n, int64_t grain, F f) {
  int64_t tasks = n / (grain > 0 ? grain : 1), most = 4 * static_cast<int64_t>(worker_count());
  if (tasks > most) tasks = most;
  if (tasks <= 1) {
    if (n > 0) f(static_cast<int64_t>(0), n);
    return;
  }
  each_task(tasks, [&](int64_t i, int) { f(n * i / tasks, n * (i + 1) / tasks); });
}

/// Where row `row` of x starts, in elements: all axes but the last `inner` count the rows.
inline int64_t row_offset(const Array& x, int64_t row, int inner) {
  int64_t offset = 0;
  for (int a = x.ndim - 1 - inner; a >= 0 && row > 0; a--) {
    offset += row % x.shape[a] * x.strides[a];
    row /= x.shape[a];
  }
  return offset;
}
inline bool is_float(DType t) {
  return t == DType::float32 || t == DType::float16 || t == DType::bfloat16 || t == DType::float64;
}
inline bool same_shape(const Array& a, const Array& b) {
  return a.ndim == b.ndim && memcmp(a.shape, b.shape, sizeof(int64_t) * a.ndim) == 0;
}
inline bool unit_last(const Array& x) { return x.ndim > 0 && (x.strides[x.ndim - 1] == 1 || x.shape[x.ndim - 1] <= 1); }

template <class T>
struct Tag {
  using type = T;
};
/// f(Tag<T>) for the storage type of a float dtype; `check` has refused all others.
template <class F>
auto with_float(DType t, F f) {
  switch (t) {
    case DType::float16: return f(Tag<F16>{});
    case DType::bfloat16: return f(Tag<Bf16>{});
    case DType::float64: return f(Tag<double>{});
    default: return f(Tag<float>{});
  }
}

}  // namespace denim::DENIM_ISA::wide
