// Loops over two strided arrays of one shape, for the kernels of the family index: axes that lie together are merged,
// and the innermost loop moves or updates a run of elements. Updates exist for every dtype and mode.
#pragma once
#include <string.h>

#include "../kernel.h"

namespace denim::DENIM_ISA::nest {

/// `ndim` loops, outermost first, over a destination and a source with strides in elements. At least one loop.
struct Nest {
  int ndim = 0;
  int64_t size = 1, shape[2 * kMaxDims], to[2 * kMaxDims], from[2 * kMaxDims];

  /// Adds an inner loop. Length 1 needs none; one that continues the last loop is merged with it.
  void add(int64_t n, int64_t to_stride, int64_t from_stride) {
    size *= n;
    if (n == 1) return;
    if (ndim > 0 && to[ndim - 1] == n * to_stride && from[ndim - 1] == n * from_stride) {
      shape[ndim - 1] *= n;
      to[ndim - 1] = to_stride;
      from[ndim - 1] = from_stride;
      return;
    }
    shape[ndim] = n;
    to[ndim] = to_stride;
    from[ndim++] = from_stride;
  }
  int64_t inner() const { return ndim > 0 ? shape[ndim - 1] : 1; }
  int64_t inner_to() const { return ndim > 0 ? to[ndim - 1] : 1; }
  int64_t inner_from() const { return ndim > 0 ? from[ndim - 1] : 1; }
  int64_t runs() const { return size == 0 ? 0 : size / inner(); }

  /// f(to offset, from offset) for runs [begin, end) of the innermost loop.
  template <class F>
  void each_run(int64_t begin, int64_t end, F f) const {
    int64_t index[2 * kMaxDims], at_to = 0, at_from = 0, rest = begin;
    for (int a = ndim - 2; a >= 0; a--) {
      index[a] = rest % shape[a];
      rest /= shape[a];
      at_to += index[a] * to[a];
      at_from += index[a] * from[a];
    }
    for (int64_t r = begin; r < end; r++) {
      f(at_to, at_from);
      for (int a = ndim - 2; a >= 0; a--) {
        at_to += to[a];
        at_from += from[a];
        if (++index[a] < shape[a]) break;
        at_to -= shape[a] * to[a];
        at_from -= shape[a] * from[a];
        index[a] = 0;
      }
    }
  }
};

/// What a run of n elements does to the destination; strides are in elements.
using Run = void (*)(uint8_t* to, int64_t to_stride, const uint8_t* from, int64_t from_stride, int64_t n);

template <class U>
void copy_run(uint8_t* to, int64_t to_stride, const uint8_t* from, int64_t from_stride, int64_t n) {
  if (to_stride == 1 && from_stride == 1 && n > 1) {
    memcpy(to, from, sizeof(U) * n);
    return;
  }
  auto* t = reinterpret_cast<U*>(to);
  auto* f = reinterpret_cast<const U*>(from);
  for (int64_t i = 0; i < n; i++) t[i * to_stride] = f[i * from_stride];
}
inline Run copy_of(int64_t item) {
  return item == 1   ? copy_run<uint8_t>
         : item == 2 ? copy_run<uint16_t>
         : item == 4 ? copy_run<uint32_t>
                     : copy_run<uint64_t>;
}

struct Bf16 {
  uint16_t bits;
};
struct Complex {
  float re, im;
};
struct Bool {
  uint8_t byte;
};

enum Mode { kSet, kAdd, kMultiply, kMaximum, kMinimum };

/// y (op)= x as MLX does it: maximum and minimum keep y only where it wins the comparison, so a NaN gives way to what
/// follows. Integers wrap; complex numbers are ordered by (re, im).
template <int M, class T>
inline T combine(T y, T x) {
  if constexpr (M == kMaximum) {
    return y > x ? y : x;
  } else if constexpr (M == kMinimum) {
    return y < x ? y : x;
  } else if constexpr (static_cast<T>(0.5f) != 0) {  // a float
    return M == kAdd ? static_cast<T>(y + x) : static_cast<T>(y * x);
  } else {
    uint64_t a = static_cast<uint64_t>(y), b = static_cast<uint64_t>(x);
    return static_cast<T>(M == kAdd ? a + b : a * b);
  }
}
template <int M>
inline Bool combine(Bool y, Bool x) {
  bool either = M == kAdd || M == kMaximum, a = y.byte != 0, b = x.byte != 0;
  return {static_cast<uint8_t>(either ? a || b : a && b)};
}
template <int M>
inline _Float16 combine(_Float16 y, _Float16 x) {
  return static_cast<_Float16>(combine<M>(static_cast<float>(y), static_cast<float>(x)));
}
template <int M>
inline Bf16 combine(Bf16 y, Bf16 x) {
  float a = __builtin_bit_cast(float, static_cast<uint32_t>(y.bits) << 16),
        b = __builtin_bit_cast(float, static_cast<uint32_t>(x.bits) << 16);
  float r = combine<M>(a, b);
  uint32_t u = __builtin_bit_cast(uint32_t, r);
  return {static_cast<uint16_t>(r != r ? 0x7fc0 : (u + 0x7fff + ((u >> 16) & 1)) >> 16)};
}
template <int M>
inline Complex combine(Complex y, Complex x) {
  bool greater = y.re > x.re || (y.re == x.re && y.im > x.im), less = y.re < x.re || (y.re == x.re && y.im < x.im);
  if (M == kAdd) return {y.re + x.re, y.im + x.im};
  if (M == kMultiply) return {y.re * x.re - y.im * x.im, y.re * x.im + y.im * x.re};
  return (M == kMaximum ? greater : less) ? y : x;
}

template <class T, int M>
void update_run(uint8_t* to, int64_t to_stride, const uint8_t* from, int64_t from_stride, int64_t n) {
  auto* t = reinterpret_cast<T*>(to);
  auto* f = reinterpret_cast<const T*>(from);
  for (int64_t i = 0; i < n; i++) t[i * to_stride] = combine<M>(t[i * to_stride], f[i * from_stride]);
}
template <class T>
Run update_in(int64_t mode) {
  return mode == kAdd        ? update_run<T, kAdd>
         : mode == kMultiply ? update_run<T, kMultiply>
         : mode == kMaximum  ? update_run<T, kMaximum>
                             : update_run<T, kMinimum>;
}
inline Run update_of(DType t, int64_t mode) {
  if (mode == kSet) return copy_of(item_size(t));
  switch (t) {
    case DType::bool_: return update_in<Bool>(mode);
    case DType::uint8: return update_in<uint8_t>(mode);
    case DType::uint16: return update_in<uint16_t>(mode);
    case DType::uint32: return update_in<uint32_t>(mode);
    case DType::uint64: return update_in<uint64_t>(mode);
    case DType::int8: return update_in<int8_t>(mode);
    case DType::int16: return update_in<int16_t>(mode);
    case DType::int32: return update_in<int32_t>(mode);
    case DType::int64: return update_in<int64_t>(mode);
    case DType::float16: return update_in<_Float16>(mode);
    case DType::float32: return update_in<float>(mode);
    case DType::float64: return update_in<double>(mode);
    case DType::bfloat16: return update_in<Bf16>(mode);
    case DType::complex64: return update_in<Complex>(mode);
  }
  return nullptr;
}

/// f(begin, end) for pieces of [0, n), in parallel where there is work for it: `item` is the bytes that one unit moves.
template <class F>
void each_piece(int64_t n, int64_t item, F f) {
  constexpr int64_t kGrain = 256 * 1024;
  int64_t tasks = n * (item > 0 ? item : 1) / kGrain, most = 2 * static_cast<int64_t>(worker_count());
  tasks = tasks > most ? most : tasks > n ? n : tasks;
  if (tasks <= 1) {
    if (n > 0) f(static_cast<int64_t>(0), n);
    return;
  }
  struct Job {
    F* f;
    int64_t n, tasks;
  } job{&f, n, tasks};
  parallel(
      tasks,
      [](void* context, int64_t i, int) {
        auto* j = static_cast<Job*>(context);
        (*j->f)(j->n* i / j->tasks, j->n * (i + 1) / j->tasks);
      },
      &job);
}

/// Runs a whole nest whose destinations do not overlap. Long runs are cut, so that a contiguous copy is parallel too.
inline void run_nest(const Nest& nest, uint8_t* to, const uint8_t* from, int64_t item, Run run) {
  constexpr int64_t kCut = 32768;
  int64_t inner = nest.inner(), cuts = (inner + kCut - 1) / kCut, ts = nest.inner_to(), fs = nest.inner_from();
  if (cuts <= 1) {
    each_piece(nest.runs(), inner * item, [&](int64_t begin, int64_t end) {
      nest.each_run(begin, end, [&](int64_t t, int64_t f) { run(to + t * item, ts, from + f * item, fs, inner); });
    });
    return;
  }
  each_piece(nest.runs() * cuts, kCut * item, [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; u++) {
      int64_t at = u % cuts * kCut, n = inner - at < kCut ? inner - at : kCut;
      nest.each_run(u / cuts, u / cuts + 1, [&](int64_t t, int64_t f) {
        run(to + (t + at * ts) * item, ts, from + (f + at * fs) * item, fs, n);
      });
    }
  });
}

}  // namespace denim::DENIM_ISA::nest
