// Reductions: the functions that end fused kernels (sum prod max min all any), and the kernels argmax and argmin.
// Sums and products of floats accumulate in float64 across vectors; max and min hand NaN on.
#include "cpu/complex.h"
#include "cpu/keys.h"
#include "cpu/rows.h"

namespace denim::DENIM_ISA {
namespace {

/// ---- what a reduction is: T in tiles, W in vectors, A in accumulators ----------------------------------------------
template <class T>
struct Sum {
  using W = T;
  using A = T;
  static constexpr W start() { return 0; }
  template <class V>
  static V step(V a, V x) {
    return a + x;
  }
  static A merge(A a, A x) { return static_cast<A>(a + x); }
};
template <>
struct Sum<float> : Sum<double> {
  using W = float;
};
template <class T>
struct Prod {
  using W = T;
  using A = T;
  static constexpr W start() { return 1; }
  template <class V>
  static V step(V a, V x) {
    return a * x;
  }
  static A merge(A a, A x) { return static_cast<A>(a * x); }
};
template <>
struct Prod<float> : Prod<double> {};
template <>
struct Prod<uint16_t> {  // int times int overflows where uint16 wraps
  using W = uint16_t;
  using A = uint16_t;
  static constexpr W start() { return 1; }
  template <class V>
  static V step(V a, V x) {
    return a * x;
  }
  static A merge(A a, A x) { return static_cast<A>(static_cast<uint32_t>(a) * x); }
};
template <class T>
constexpr T lowest() {
  if constexpr (__is_floating_point(T)) return static_cast<T>(-__builtin_inff());
  else return __is_signed(T) ? static_cast<T>(uint64_t{1} << (sizeof(T) * 8 - 1)) : T(0);
}
template <class T>
constexpr T highest() {
  if constexpr (__is_floating_point(T)) return static_cast<T>(__builtin_inff());
  else return static_cast<T>(~lowest<T>());
}
template <class T>
struct Max {
  using W = T;
  using A = T;
  static constexpr W start() { return lowest<T>(); }
  template <class V>
  static V step(V a, V x) {
    if constexpr (__is_floating_point(T))
      return ((x > a) | (x != x)) ? x : a;  // a NaN in `a` stays: nothing is above it
    else return __builtin_elementwise_max(a, x);
  }
  static A merge(A a, A x) { return x > a || x != x ? x : a; }
};
template <class T>
struct Min {
  using W = T;
  using A = T;
  static constexpr W start() { return highest<T>(); }
  template <class V>
  static V step(V a, V x) {
    if constexpr (__is_floating_point(T)) return ((x < a) | (x != x)) ? x : a;
    else return __builtin_elementwise_min(a, x);
  }
  static A merge(A a, A x) { return x < a || x != x ? x : a; }
};

/// ---- the functions of a Reducer, for real types --------------------------------------------------------------------
template <class T, class P>
struct Real {
  using W = typename P::W;
  using A = typename P::A;
  static constexpr int kWide =
      4 * kVecBytes / static_cast<int>(sizeof(W));  // four registers: enough additions in flight
  using V = Vec<W, kWide>;
  using Accumulators = Vec<A, kWide>;

  static V fetch(const T* x) {
    if constexpr (sizeof(T) == sizeof(W)) return load<V>(x);
    else return __builtin_convertvector((load<Vec<T, kWide>>(x)), V);
  }
  static void init(void* acc, int64_t n) {
    for (int64_t i = 0; i < n; i++) static_cast<A*>(acc)[i] = static_cast<A>(P::start());
  }
  /// One of all lanes, by halves.
  template <int N>
  static A folded(const A* lanes) {
    if constexpr (N <= 4) {
      A a = lanes[0];
      for (int k = 1; k < N; k++) a = P::merge(a, lanes[k]);
      return a;
    } else {
      A half[N / 2];
      store(half, P::step(load<Vec<A, N / 2>>(lanes), load<Vec<A, N / 2>>(lanes + N / 2)));
      return folded<N / 2>(half);
    }
  }
  /// At most kRun vectors add up in W before the accumulators take them.
  static constexpr int64_t kRun = 16;
  DENIM_WIDE static A row(const T* x, int64_t n, A a) {
    int64_t i = 0;
    if (n >= kWide) {
      Accumulators total = static_cast<A>(P::start());
      while (i + kWide <= n) {
        V v = fetch(x + i);
        const int64_t stop = i + kRun * kWide;
        for (i += kWide; i + kWide <= n && i < stop; i += kWide) v = P::step(v, fetch(x + i));
        total = P::step(total, __builtin_convertvector(v, Accumulators));
      }
      A lanes[kWide];
      store(lanes, total);
      a = P::merge(a, folded<kWide>(lanes));
    }
    for (; i < n; i++) a = P::merge(a, static_cast<A>(x[i]));
    return a;
  }
  static void rows(void* acc, const void* data, int64_t rows, int64_t columns) {
    A* a = static_cast<A*>(acc);
    for (int64_t r = 0; r < rows; r++) a[r] = row(static_cast<const T*>(data) + r * columns, columns, a[r]);
  }
  DENIM_WIDE static void columns(void* acc, const void* data, int64_t rows, int64_t columns, int64_t ld) {
    A* a = static_cast<A*>(acc);
    for (int64_t top = 0; top < rows; top += kRun) {
      const int64_t n = rows - top < kRun ? rows - top : kRun;
      const T* x = static_cast<const T*>(data) + top * ld;
      int64_t c = 0;
      for (; c + kWide <= columns; c += kWide) {
        V v = fetch(x + c);
        for (int64_t r = 1; r < n; r++) v = P::step(v, fetch(x + r * ld + c));
        store(a + c, P::step(load<Accumulators>(a + c), __builtin_convertvector(v, Accumulators)));
      }
      for (int64_t r = 0; c < columns && r < n; r++) {
        for (int64_t k = c; k < columns; k++) a[k] = P::merge(a[k], static_cast<A>(x[r * ld + k]));
      }
    }
  }
  static void merge(void* acc, const void* other, int64_t n) {
    A* a = static_cast<A*>(acc);
    for (int64_t i = 0; i < n; i++) a[i] = P::merge(a[i], static_cast<const A*>(other)[i]);
  }
  static void finish(void* out, const void* acc, int64_t n) {
    for (int64_t i = 0; i < n; i++) static_cast<T*>(out)[i] = static_cast<T>(static_cast<const A*>(acc)[i]);
  }
  static constexpr Reducer table{sizeof(A), init, rows, columns, merge, finish};
};
/// bool: the tile's bytes may be anything but 0 for true.
template <class P>
struct Boolean : Real<uint8_t, P> {
  static void finish(void* out, const void* acc, int64_t n) {
    for (int64_t i = 0; i < n; i++) static_cast<uint8_t*>(out)[i] = static_cast<const uint8_t*>(acc)[i] != 0;
  }
  using Base = Real<uint8_t, P>;
  static constexpr Reducer table{1, Base::init, Base::rows, Base::columns, Base::merge, finish};
};

/// ---- complex: one at a time, in double -----------------------------------------------------------------------------
struct ComplexSum {
  static Z start() { return {0, 0}; }
  static Z merge(Z a, Z x) { return a + x; }
};
struct ComplexProd {
  static Z start() { return kOne; }
  static Z merge(Z a, Z x) { return a * x; }
};
bool is_nan(Z a) { return a.re != a.re || a.im != a.im; }
bool before(Z a, Z b) { return a.re < b.re || (a.re == b.re && a.im < b.im); }
struct ComplexMax {
  static Z start() { return {lowest<double>(), lowest<double>()}; }
  static Z merge(Z a, Z x) { return is_nan(a) || (!is_nan(x) && !before(a, x)) ? a : x; }
};
struct ComplexMin {
  static Z start() { return {highest<double>(), highest<double>()}; }
  static Z merge(Z a, Z x) { return is_nan(a) || (!is_nan(x) && !before(x, a)) ? a : x; }
};
template <class P>
struct OfComplex {
  static void init(void* acc, int64_t n) {
    for (int64_t i = 0; i < n; i++) static_cast<Z*>(acc)[i] = P::start();
  }
  static void rows(void* acc, const void* data, int64_t rows, int64_t columns) {
    const auto* x = static_cast<const Complex*>(data);
    for (int64_t r = 0; r < rows; r++) {
      Z a = static_cast<Z*>(acc)[r];
      for (int64_t c = 0; c < columns; c++) a = P::merge(a, widen(x[r * columns + c]));
      static_cast<Z*>(acc)[r] = a;
    }
  }
  static void columns(void* acc, const void* data, int64_t rows, int64_t columns, int64_t ld) {
    const auto* x = static_cast<const Complex*>(data);
    Z* a = static_cast<Z*>(acc);
    for (int64_t r = 0; r < rows; r++) {
      for (int64_t c = 0; c < columns; c++) a[c] = P::merge(a[c], widen(x[r * ld + c]));
    }
  }
  static void merge(void* acc, const void* other, int64_t n) {
    for (int64_t i = 0; i < n; i++)
      static_cast<Z*>(acc)[i] = P::merge(static_cast<Z*>(acc)[i], static_cast<const Z*>(other)[i]);
  }
  static void finish(void* out, const void* acc, int64_t n) {
    for (int64_t i = 0; i < n; i++) static_cast<Complex*>(out)[i] = narrow(static_cast<const Z*>(acc)[i]);
  }
  static constexpr Reducer table{sizeof(Z), init, rows, columns, merge, finish};
};

/// Sums and products of signed integers are those of unsigned ones: both wrap.
template <template <class> class P>
const Reducer* wrapping(Type type) {
  switch (type) {
    case Type::u8:
    case Type::i8: return &Real<uint8_t, P<uint8_t>>::table;
    case Type::u16:
    case Type::i16: return &Real<uint16_t, P<uint16_t>>::table;
    case Type::u32:
    case Type::i32: return &Real<uint32_t, P<uint32_t>>::table;
    case Type::u64:
    case Type::i64: return &Real<uint64_t, P<uint64_t>>::table;
    case Type::f32: return &Real<float, P<float>>::table;
    case Type::f64: return &Real<double, P<double>>::table;
    default: return nullptr;
  }
}
template <template <class> class P>
const Reducer* ordered(Type type) {
  switch (type) {
    case Type::bool_: return &Boolean<P<uint8_t>>::table;
    case Type::u8: return &Real<uint8_t, P<uint8_t>>::table;
    case Type::u16: return &Real<uint16_t, P<uint16_t>>::table;
    case Type::u32: return &Real<uint32_t, P<uint32_t>>::table;
    case Type::u64: return &Real<uint64_t, P<uint64_t>>::table;
    case Type::i8: return &Real<int8_t, P<int8_t>>::table;
    case Type::i16: return &Real<int16_t, P<int16_t>>::table;
    case Type::i32: return &Real<int32_t, P<int32_t>>::table;
    case Type::i64: return &Real<int64_t, P<int64_t>>::table;
    case Type::f32: return &Real<float, P<float>>::table;
    case Type::f64: return &Real<double, P<double>>::table;
    default: return nullptr;
  }
}

}  // namespace

const Reducer* reducer_of(Op op, Type type) {
  const bool complex = type == Type::c64;
  switch (op) {
    case Op::sum: return complex ? &OfComplex<ComplexSum>::table : wrapping<Sum>(type);
    case Op::prod: return complex ? &OfComplex<ComplexProd>::table : wrapping<Prod>(type);
    case Op::max: return complex ? &OfComplex<ComplexMax>::table : ordered<Max>(type);
    case Op::min: return complex ? &OfComplex<ComplexMin>::table : ordered<Min>(type);
    case Op::all: return type == Type::bool_ ? ordered<Min>(type) : nullptr;
    case Op::any: return type == Type::bool_ ? ordered<Max>(type) : nullptr;
    default: return nullptr;
  }
}

/// ---- argmax, argmin: the first of the largest keys -----------------------------------------------------------------
namespace {

constexpr int64_t kChunk = 512;

template <class K>
uint32_t first_largest(const K* x, DType dtype, int64_t n, int64_t step, KeyOrder order) {
  K keys[kChunk];
  K best = 0;
  int64_t where = 0;
  for (int64_t at = 0; at < n; at += kChunk) {
    const int64_t count = n - at < kChunk ? n - at : kChunk;
    load_keys(keys, x + at * step, dtype, count, step, order);
    K top = keys[0];
    for (int64_t i = 1; i < count; i++) top = keys[i] > top ? keys[i] : top;
    if (at != 0 && top <= best) continue;
    best = top;
    int64_t i = 0;
    while (keys[i] != top) i++;
    where = at + i;
  }
  return static_cast<uint32_t>(where);
}
/// Up to kChunk lines side by side, `across` elements apart.
template <class K>
void first_largest_across(uint32_t* out, const K* x, DType dtype, int64_t lines, int64_t across, int64_t n,
                          int64_t step, KeyOrder order) {
  K keys[kChunk], best[kChunk];
  load_keys(best, x, dtype, lines, across, order);
  for (int64_t i = 0; i < lines; i++) out[i] = 0;
  for (int64_t r = 1; r < n; r++) {
    load_keys(keys, x + r * step, dtype, lines, across, order);
    for (int64_t i = 0; i < lines; i++) {
      const bool higher = keys[i] > best[i];
      best[i] = higher ? keys[i] : best[i];
      out[i] = higher ? static_cast<uint32_t>(r) : out[i];
    }
  }
}
template <class K>
void arg_reduce(const Call& c, int64_t axis, KeyOrder order) {
  const Array& x = c.in[0];
  uint32_t* out = c.out[0].as<uint32_t>();
  const int64_t n = x.shape[axis], step = x.strides[axis], lines = c.out[0].size;
  if (!across_is_nearer(x, axis)) {
    in_pieces(lines, n, [&](int64_t from, int64_t to, int) {
      for (int64_t i = from; i < to; i++)
        out[i] = first_largest(x.as<K>() + line_offset(x, axis, i), x.dtype, n, step, order);
    });
    return;
  }
  const int64_t other = neighbour_axis(x, axis), width = x.shape[other], across = x.strides[other];
  const int64_t blocks = (width + kChunk - 1) / kChunk;
  in_pieces(lines / width * blocks, n * (width < kChunk ? width : kChunk), [&](int64_t from, int64_t to, int) {
    for (int64_t i = from; i < to; i++) {
      const int64_t line = i / blocks * width + i % blocks * kChunk, left = width - i % blocks * kChunk;
      first_largest_across(out + line, x.as<K>() + line_offset(x, axis, line), x.dtype, left < kChunk ? left : kChunk,
                           across, n, step, order);
    }
  });
}
const char* run_arg(const Call& c, int64_t axis, bool smallest) {
  const KeyOrder order{smallest, true};
  if (c.out[0].size == 0) return nullptr;
  switch (key_size(c.in[0].dtype)) {
    case 1: arg_reduce<uint8_t>(c, axis, order); break;
    case 2: arg_reduce<uint16_t>(c, axis, order); break;
    case 4: arg_reduce<uint32_t>(c, axis, order); break;
    default: arg_reduce<uint64_t>(c, axis, order); break;
  }
  return nullptr;
}
const char* check_arg(const Call& c, int64_t axis) {
  if (const char* message = check_axis(c, axis)) return message;
  const Array &x = c.in[0], &y = c.out[0];
  if (y.dtype != DType::uint32) return "the result must be uint32";
  if (x.shape[axis] < 1 || x.shape[axis] > UINT32_MAX) return "the axis must have 1 to 2^32 - 1 elements";
  if (y.ndim != x.ndim - 1) return "the result must lack the axis";
  for (int i = 0; i < y.ndim; i++) {
    if (y.shape[i] != x.shape[i < axis ? i : i + 1]) return "the result must have the other axes";
  }
  return nullptr;
}
size_t no_scratch(const Call&) { return 0; }

}  // namespace

extern const Kernel kernel_argmax, kernel_argmin;
const Kernel kernel_argmax{[](const Call& c) { return check_arg(c, c.as<ArgmaxParams>().axis); }, no_scratch,
                           [](const Call& c) { return run_arg(c, c.as<ArgmaxParams>().axis, false); }};
const Kernel kernel_argmin{[](const Call& c) { return check_arg(c, c.as<ArgminParams>().axis); }, no_scratch,
                           [](const Call& c) { return run_arg(c, c.as<ArgminParams>().axis, true); }};

}  // namespace denim::DENIM_ISA
