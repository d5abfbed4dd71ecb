// Arrays for the tests of matrix kernels: owned memory with strides, elements read and written as doubles, and a call
// of a kernel the way the program decoder makes it.
#pragma once
#include "../cpu/dispatch.h"
#include "test.h"

namespace denim {

/// The distance of 1 to the next number of the dtype.
inline double epsilon(DType t) {
  return t == DType::float16 ? 9.8e-4 : t == DType::bfloat16 ? 7.9e-3 : t == DType::float64 ? 2.3e-16 : 1.2e-7;
}
/// The same for what sums are accumulated in.
inline double accumulation(DType t) { return t == DType::float64 ? 2.3e-16 : 1.2e-7; }

inline double read_element(DType t, const uint8_t* p) {
  float f;
  double d;
  uint16_t h;
  switch (t) {
    case DType::float64: memcpy(&d, p, 8); return d;
    case DType::float32: memcpy(&f, p, 4); return f;
    case DType::bfloat16: {
      memcpy(&h, p, 2);
      return __builtin_bit_cast(float, static_cast<uint32_t>(h) << 16);
    }
    default: memcpy(&h, p, 2); return static_cast<double>(__builtin_bit_cast(_Float16, h));
  }
}
/// Writes a number that the dtype represents (bfloat16 is cut, not rounded).
inline void write_element(DType t, uint8_t* p, double x) {
  const float f = static_cast<float>(x);
  const uint16_t cut = static_cast<uint16_t>(__builtin_bit_cast(uint32_t, f) >> 16);
  const uint16_t half = __builtin_bit_cast(uint16_t, static_cast<_Float16>(f));
  switch (t) {
    case DType::float64: memcpy(p, &x, 8); break;
    case DType::float32: memcpy(p, &f, 4); break;
    case DType::bfloat16: memcpy(p, &cut, 2); break;
    default: memcpy(p, &half, 2); break;
  }
}

/// An array with its memory. `spread` > 1 leaves gaps between elements.
struct Matrix {
  DType dtype;
  int ndim;
  int64_t shape[kMaxDims], strides[kMaxDims], first = 0, capacity = 1;
  uint8_t* data;

  Matrix(DType t, const int64_t* s, int n, int64_t spread = 1) : dtype(t), ndim(n) {
    capacity = spread;
    for (int d = n - 1; d >= 0; d--) {
      shape[d] = s[d];
      strides[d] = capacity;
      capacity *= s[d];
    }
    data = static_cast<uint8_t*>(calloc(static_cast<size_t>(capacity) + 1, static_cast<size_t>(item_size(t))));
  }
  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;
  Matrix(Matrix&& o) : Matrix(o.dtype, o.shape, o.ndim, 1) {
    free(data);
    memcpy(strides, o.strides, sizeof strides);
    first = o.first;
    capacity = o.capacity;
    data = o.data;
    o.data = nullptr;
  }
  ~Matrix() { free(data); }

  template <class T>
  T* as() {
    return reinterpret_cast<T*>(data);
  }
  int64_t leading() const {
    int64_t n = 1;
    for (int d = 0; d + 2 < ndim; d++) n *= shape[d];
    return n;
  }
  DType part() const { return dtype == DType::complex64 ? DType::float32 : dtype; }
  uint8_t* at(int64_t entry, int64_t i, int64_t j, int im) {
    int64_t offset = first + i * strides[ndim - 2] + j * strides[ndim - 1];
    for (int d = ndim - 3; d >= 0; d--) {
      offset += entry % shape[d] * strides[d];
      entry /= shape[d];
    }
    return data + offset * item_size(dtype) + 4 * im;
  }
  double get(int64_t entry, int64_t i, int64_t j, int im = 0) { return read_element(part(), at(entry, i, j, im)); }
  void set(int64_t entry, int64_t i, int64_t j, double x, int im = 0) { write_element(part(), at(entry, i, j, im), x); }
  /// Numbers in [-1, 1] that every dtype represents, by a generator started at `seed`.
  void fill(uint32_t seed) {
    const int64_t item = item_size(part());
    for (int64_t i = 0; i < capacity * item_size(dtype) / item; i++) {
      seed = seed * 1664525u + 1013904223u;
      write_element(part(), data + i * item, (static_cast<int>(seed >> 24) - 128) / 128.0);
    }
  }
  Array array() {
    Array a{data + first * item_size(dtype), dtype, ndim, shape, strides, 1};
    for (int d = 0; d < ndim; d++) a.size *= shape[d];
    return a;
  }
};

/// Checks and runs a kernel; the output is surrounded by canaries, so that a stray write shows.
inline const char* run_kernel(Op op, const Array* in, int n_in, Matrix& out, const void* params) {
  const Kernel* kernel = kernel_of(op);
  if (!kernel) return "no kernel";
  Array o = out.array();
  const size_t bytes = static_cast<size_t>(o.size * item_size(o.dtype)), margin = 64;
  auto* guarded = static_cast<uint8_t*>(aligned_alloc(64, (bytes + 2 * margin + 63) / 64 * 64));
  memset(guarded, 0xAB, bytes + 2 * margin);
  o.data = guarded + margin;
  Call call{op, n_in, 1, in, &o, params, nullptr};
  Array blind[8], blind_out = o;  // as the decoder asks: before there are data
  for (int i = 0; i < n_in; i++) blind[i] = in[i], blind[i].data = nullptr;
  blind_out.data = nullptr;
  const Call decoded{op, n_in, 1, blind, &blind_out, params, nullptr};
  const char* bad = kernel->check(decoded);
  if (!bad) {
    const size_t scratch = kernel->scratch(decoded);
    call.scratch = static_cast<uint8_t*>(aligned_alloc(64, (scratch + 191) / 64 * 64));
    memset(call.scratch, 0xCD, scratch + 128);
    bad = kernel->run(call);
    for (size_t i = 0; i < 64; i++) {
      CHECK(call.scratch[scratch + i] == 0xCD);
      CHECK(guarded[i] == 0xAB && guarded[margin + bytes + i] == 0xAB);
    }
    free(call.scratch);
    memcpy(out.data, o.data, bytes);
  }
  free(guarded);
  return bad;
}

}  // namespace denim
