// What tests of single kernels share: arrays of any dtype and layout that are filled and read as doubles, and a runner
// that does what the decoder does (check, scratch, run).
#pragma once
#include "cpu/dispatch.h"
#include "test.h"

namespace denim::testing {

inline uint64_t g_random = 1;
/// Uniform in [-1, 1), the same on every machine.
inline double next_random() {
  g_random = g_random * 6364136223846793005u + 1442695040888963407u;
  return static_cast<double>(static_cast<int32_t>(g_random >> 32)) / 2147483648.0;
}

inline double read_half(uint16_t h) {
  int exponent = h >> 10 & 31, fraction = h & 1023;
  double v = exponent == 31 ? (fraction ? NAN : INFINITY)
             : exponent     ? ldexp(1024 + fraction, exponent - 25)
                            : ldexp(fraction, -24);
  return h >> 15 ? -v : v;
}
inline double read_element(DType t, const void* p) {
  switch (t) {
    case DType::bool_:
    case DType::uint8: return *static_cast<const uint8_t*>(p);
    case DType::int8: return *static_cast<const int8_t*>(p);
    case DType::uint16: return *static_cast<const uint16_t*>(p);
    case DType::int16: return *static_cast<const int16_t*>(p);
    case DType::uint32: return *static_cast<const uint32_t*>(p);
    case DType::int32: return *static_cast<const int32_t*>(p);
    case DType::uint64: return static_cast<double>(*static_cast<const uint64_t*>(p));
    case DType::int64: return static_cast<double>(*static_cast<const int64_t*>(p));
    case DType::float16: return read_half(*static_cast<const uint16_t*>(p));
    case DType::float32:
    case DType::complex64: return *static_cast<const float*>(p);
    case DType::float64: return *static_cast<const double*>(p);
    case DType::bfloat16:
      return __builtin_bit_cast(float, static_cast<uint32_t>(*static_cast<const uint16_t*>(p)) << 16);
  }
  return 0;
}
/// Half types are cut, not rounded: what is read back is what the reference works on.
inline uint16_t cut_to_half(double v) {
  uint16_t sign = v < 0 ? 0x8000 : 0;
  if (isinf(v)) return sign | 0x7c00;
  int exponent = 0;
  double m = frexp(fabs(v), &exponent);
  if (v == 0 || exponent < -13) return sign;
  return static_cast<uint16_t>(sign | ((exponent + 14) << 10) | (static_cast<int>(m * 2048) & 1023));
}
inline void write_element(DType t, void* p, double v) {
  switch (t) {
    case DType::bool_: *static_cast<uint8_t*>(p) = v != 0; break;
    case DType::uint8: *static_cast<uint8_t*>(p) = static_cast<uint8_t>(v); break;
    case DType::int8: *static_cast<int8_t*>(p) = static_cast<int8_t>(v); break;
    case DType::uint16: *static_cast<uint16_t*>(p) = static_cast<uint16_t>(v); break;
    case DType::int16: *static_cast<int16_t*>(p) = static_cast<int16_t>(v); break;
    case DType::uint32: *static_cast<uint32_t*>(p) = static_cast<uint32_t>(v); break;
    case DType::int32: *static_cast<int32_t*>(p) = static_cast<int32_t>(v); break;
    case DType::uint64: *static_cast<uint64_t*>(p) = static_cast<uint64_t>(v); break;
    case DType::int64: *static_cast<int64_t*>(p) = static_cast<int64_t>(v); break;
    case DType::float16: *static_cast<uint16_t*>(p) = cut_to_half(v); break;
    case DType::float32: *static_cast<float*>(p) = static_cast<float>(v); break;
    case DType::float64: *static_cast<double*>(p) = v; break;
    case DType::bfloat16:
      *static_cast<uint16_t*>(p) = static_cast<uint16_t>(__builtin_bit_cast(uint32_t, static_cast<float>(v)) >> 16);
      break;
    case DType::complex64: {
      float pair[2] = {static_cast<float>(v), 0};
      memcpy(p, pair, sizeof pair);
    }
  }
}

/// A list of lengths or indices.
struct List {
  int64_t n = 0, at[8] = {};
  template <class... I>
  List(I... i) : n(sizeof...(I)), at{static_cast<int64_t>(i)...} {}
  Ints ints() const { return {at, n}; }
};

/// An array that owns its memory. `order` names the axes from the outermost in memory to the innermost: strides of any
/// kind.
struct Tensor {
  DType dtype;
  int32_t ndim;
  int64_t shape[8] = {}, strides[8] = {}, size = 1;
  uint8_t* data;

  Tensor(DType t, List lengths, List order = {}) : dtype(t), ndim(static_cast<int32_t>(lengths.n)) {
    for (int a = 0; a < ndim; a++) size *= shape[a] = lengths.at[a];
    int64_t step = 1;
    for (int a = ndim - 1; a >= 0; a--) {
      int64_t axis = order.n ? order.at[a] : a;
      strides[axis] = step;
      step *= shape[axis];
    }
    data = static_cast<uint8_t*>(calloc(static_cast<size_t>(size) + 1, static_cast<size_t>(item_size(t))));
  }
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;
  ~Tensor() { free(data); }

  Array array() const { return {data, dtype, ndim, shape, strides, size}; }
  int64_t offset(const List& i) const {
    int64_t at = 0;
    for (int a = 0; a < ndim; a++) at += i.at[a] * strides[a];
    return at;
  }
  /// The element at an index; `i` may leave out axes of broadcast strides' value 0.
  double get(const List& i) const { return read_element(dtype, data + offset(i) * item_size(dtype)); }
  void set(const List& i, double v) { write_element(dtype, data + offset(i) * item_size(dtype), v); }
  double at(int64_t i) const { return read_element(dtype, data + i * item_size(dtype)); }
  void put(int64_t i, double v) { write_element(dtype, data + i * item_size(dtype), v); }
  Tensor& random(double scale = 1) {
    for (int64_t i = 0; i < size; i++) put(i, next_random() * scale);
    return *this;
  }
};

/// Arrays of a call, then what the kernel says: null or a message.
struct Inputs {
  int32_t n = 0;
  Array at[8];
  template <class... T>
  Inputs(const T&... t) : n(sizeof...(T)), at{t.array()...} {}
};
inline const char* run_kernel(Op op, const Inputs& in, const Tensor& out, const void* params) {
  Array result = out.array();
  Call call{op, in.n, 1, in.at, &result, params, nullptr};
  const Kernel* kernel = kernel_of(op);
  Inputs blind = in;  // as the decoder asks: before there are data
  for (Array& a : blind.at) a.data = nullptr;
  Array blind_result = result;
  blind_result.data = nullptr;
  const Call decoded{op, in.n, 1, blind.at, &blind_result, params, nullptr};
  if (const char* error = kernel->check(decoded)) return error;
  size_t bytes = kernel->scratch(decoded);
  void* memory = nullptr;
  if (bytes > 0 && posix_memalign(&memory, 64, bytes)) return "no memory";
  call.scratch = static_cast<uint8_t*>(memory);
  const char* error = kernel->run(call);
  free(memory);
  return error;
}
/// Tolerance of a result that was rounded once to the dtype.
inline double tolerance(DType t) {
  return t == DType::float64 ? 1e-12 : t == DType::float32 ? 2e-5 : t == DType::float16 ? 2e-3 : 1.6e-2;
}
constexpr DType kFloats[] = {DType::float32, DType::float16, DType::bfloat16, DType::float64};

}  // namespace denim::testing
