// Arrays for tests: memory with any layout, filled with repeatable numbers, read and written as double one element at a
// time; and fused instructions and kernels built and run in a few words. Independent of the code in cpu/.
#pragma once
#include <stdlib.h>
#include <string.h>

#include "cpu/dispatch.h"
#include "tests/test.h"

namespace denim::testing {

inline uint32_t g_seed = 1;
/// Uniform in [0, 1), the same numbers in every run.
inline double uniform() {
  g_seed = g_seed * 1664525u + 1013904223u;
  return static_cast<double>(g_seed >> 8) / 16777216.0;
}
inline double half_value(uint16_t h) {
  const int e = h >> 10 & 31, m = h & 1023;
  const double v = e == 31 ? (m != 0 ? NAN : INFINITY) : e == 0 ? ldexp(m, -24) : ldexp(1024 + m, e - 25);
  return (h & 0x8000) != 0 ? -v : v;
}
/// Rounds to `bits` significant bits with the least exponent `low`, to even: what a float type of that kind holds.
inline double rounded(double x, int bits, int low, double limit) {
  if (x == 0 || !isfinite(x)) return x;
  int e;
  frexp(x, &e);
  const double unit = ldexp(1.0, (e < low ? low : e) - bits);
  const double y = nearbyint(x / unit) * unit;
  return fabs(y) >= limit ? copysign(INFINITY, x) : y;
}
inline double as_half(double x) { return rounded(x, 11, -13, 65536); }
inline double as_bfloat(double x) { return rounded(x, 8, -125, ldexp(1, 128)); }

inline double read(const uint8_t* p, DType d) {
  switch (d) {
    case DType::bool_: return *p != 0;
    case DType::uint8: return *p;
    case DType::int8: return static_cast<int8_t>(*p);
    case DType::float16: return half_value(*reinterpret_cast<const uint16_t*>(p));
    case DType::bfloat16: {
      const uint32_t u = static_cast<uint32_t>(*reinterpret_cast<const uint16_t*>(p)) << 16;
      return static_cast<double>(__builtin_bit_cast(float, u));
    }
    case DType::uint16: return *reinterpret_cast<const uint16_t*>(p);
    case DType::int16: return *reinterpret_cast<const int16_t*>(p);
    case DType::uint32: return *reinterpret_cast<const uint32_t*>(p);
    case DType::int32: return *reinterpret_cast<const int32_t*>(p);
    case DType::uint64: return static_cast<double>(*reinterpret_cast<const uint64_t*>(p));
    case DType::int64: return static_cast<double>(*reinterpret_cast<const int64_t*>(p));
    case DType::float64: return *reinterpret_cast<const double*>(p);
    default: return static_cast<double>(*reinterpret_cast<const float*>(p));  // complex64: its real part
  }
}
inline void write(uint8_t* p, DType d, double x) {
  switch (d) {
    case DType::bool_: *p = x != 0; break;
    case DType::float64: *reinterpret_cast<double*>(p) = x; break;
    case DType::float32: *reinterpret_cast<float*>(p) = static_cast<float>(x); break;
    case DType::complex64:
      reinterpret_cast<float*>(p)[0] = static_cast<float>(x);
      reinterpret_cast<float*>(p)[1] = static_cast<float>(-0.5 * x);
      break;
    case DType::bfloat16: {
      const uint32_t u = __builtin_bit_cast(uint32_t, static_cast<float>(as_bfloat(x)));
      *reinterpret_cast<uint16_t*>(p) = static_cast<uint16_t>(u >> 16);
      break;
    }
    case DType::float16: {
      uint16_t best = 0;  // by search: slow and plain
      const double want = as_half(fabs(x));
      if (isnan(x)) best = 0x7e00;
      for (int bit = 14; bit >= 0 && !isnan(x); bit--) {
        const uint16_t next = static_cast<uint16_t>(best | 1 << bit);
        if (next <= 0x7c00 && half_value(next) <= want) best = next;
      }
      *reinterpret_cast<uint16_t*>(p) = static_cast<uint16_t>(best | (signbit(x) ? 0x8000 : 0));
      break;
    }
    default: {
      const int64_t i = static_cast<int64_t>(x);
      memcpy(p, &i, static_cast<size_t>(item_size(d)));
    }
  }
}
inline bool is_floating(DType d) { return d >= DType::float16; }
/// How far a result of about `size` may be from the true one.
inline double tolerance(DType d, double size, double ulps) {
  const double unit = d == DType::float16    ? 0x1p-11
                      : d == DType::bfloat16 ? 0x1p-8
                      : d == DType::float64  ? 0x1p-52
                                             : 0x1p-24;
  return is_floating(d) ? ulps * unit * fabs(size) + (d == DType::float16 ? 0x1p-24 : 1e-42) : 0;
}

constexpr size_t kGuard = 64;  // bytes behind all memory that nothing may write
inline void set_guard(uint8_t* p) { memset(p, 0xa5, kGuard); }
inline void check_guard(const uint8_t* p) {
  for (size_t i = 0; i < kGuard; i++) CHECK(p[i] == 0xa5);
}
/// Memory and layout of one array.
struct Nd {
  int64_t shape[kMaxDims], strides[kMaxDims];
  uint8_t* memory = nullptr;
  size_t bytes;
  Array a;

  Nd(DType dtype, int ndim, const int64_t* dims, const int64_t* steps = nullptr) {
    a = {nullptr, dtype, ndim, shape, strides, 1};
    int64_t low = 0, high = 0, dense = 1;
    for (int i = ndim - 1; i >= 0; i--) {
      shape[i] = dims[i];
      strides[i] = steps != nullptr ? steps[i] : dense;
      dense *= dims[i];
      a.size *= dims[i];
      const int64_t reach = strides[i] * (dims[i] > 0 ? dims[i] - 1 : 0);
      (reach < 0 ? low : high) += reach;
    }
    bytes = static_cast<size_t>((high - low + 1) * item_size(dtype));
    memory = static_cast<uint8_t*>(calloc(bytes + kGuard, 1));
    set_guard(memory + bytes);
    a.data = memory - low * item_size(dtype);
  }
  ~Nd() {
    check_guard(memory + bytes);
    free(memory);
  }
  Nd(const Nd&) = delete;
  /// The element with that number in the order of the shape.
  uint8_t* at(int64_t index) const {
    int64_t offset = 0;
    for (int i = a.ndim - 1; i >= 0; i--) {
      offset += index % shape[i] * strides[i];
      index /= shape[i];
    }
    return a.data + offset * item_size(a.dtype);
  }
  double get(int64_t index) const { return read(at(index), a.dtype); }
  void set(int64_t index, double x) const { write(at(index), a.dtype, x); }
  /// Numbers in [low, high): integral ones for integer dtypes.
  const Nd& fill(double low, double high) const {
    for (int64_t i = 0; i < a.size; i++) {
      const double x = low + (high - low) * uniform();
      set(i, is_floating(a.dtype) ? x : floor(x));
    }
    return *this;
  }
};

/// A fused instruction under construction.
struct Fusion {
  Fused f{};
  Array in[8], out[4];
  int32_t out_values[4];
  Immediate imm[4];
  FusedStep steps[16];

  explicit Fusion(const Nd& loop) {
    f.ndim = loop.a.ndim;
    f.shape = loop.shape;
    f.in = in, f.out = out, f.imm = imm, f.steps = steps, f.out_values = out_values;
  }
  /// Inputs, then immediates, then steps: each gives the number of its value.
  int input(const Nd& x) {
    in[f.n_in] = x.a;
    return f.n_in++;
  }
  int number(DType d, double x) {
    Immediate& i = imm[f.n_imm];
    i.dtype = d;
    if (d == DType::complex64) i.c[0] = static_cast<float>(x), i.c[1] = 0;
    else if (is_floating(d)) i.f = x;
    else i.i = static_cast<int64_t>(x);
    return f.n_in + f.n_imm++;
  }
  int step(Op op, DType d, int a = 0, int b = 0, int c = 0, const void* params = nullptr) {
    const int n = static_cast<int>(op) < kOps ? kOpFacts[static_cast<int>(op)].arity : 1;
    steps[f.n_steps] = {op, d, n, {a, b, c}, params};
    return f.n_in + f.n_imm + f.n_steps++;
  }
  void output(int value, const Nd& y) {
    out_values[f.n_out] = value;
    out[f.n_out++] = y.a;
  }
  void reduce(Op op, int value, uint32_t axes, const Nd& y) {
    f.n_reduce = 1, f.reduce_op = op, f.reduce_value = value, f.reduced = axes, f.reduce_out = y.a;
  }
  /// Plans (into memory that moves afterwards) and runs; returns the refusal.
  const char* run() const {
    const FusedApi& api = fused_api();
    const size_t bytes = (api.plan_bytes(f) + 63) & ~size_t{63};
    auto* first = static_cast<uint8_t*>(aligned_alloc(64, bytes));
    auto* plan = static_cast<uint8_t*>(aligned_alloc(64, bytes));
    size_t used = 0;
    const char* message = api.plan(f, first, bytes, &used);
    if (message == nullptr) {
      CHECK(used <= bytes);
      memcpy(plan, first, bytes);
      memset(first, 0xff, bytes);
      const size_t size = api.scratch(f, plan);
      auto* scratch = static_cast<uint8_t*>(aligned_alloc(64, (size + kGuard + 63) & ~size_t{63}));
      set_guard(scratch + size);
      message = api.run(f, plan, scratch);
      check_guard(scratch + size);
      free(scratch);
    }
    free(first);
    free(plan);
    return message;
  }
};

/// Runs a native kernel with one input and one output; returns the refusal.
template <class P>
const char* run_kernel(Op op, const Nd& x, const Nd& y, const P& params) {
  Call c{op, 1, 1, &x.a, &y.a, &params, nullptr};
  const Kernel* k = kernel_of(op);
  if (const char* message = k->check(c)) return message;
  const size_t size = k->scratch(c);
  c.scratch = static_cast<uint8_t*>(aligned_alloc(64, (size + kGuard + 63) & ~size_t{63}));
  set_guard(c.scratch + size);
  const char* message = k->run(c);
  check_guard(c.scratch + size);
  free(c.scratch);
  return message;
}

}  // namespace denim::testing
