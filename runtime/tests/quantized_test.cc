// quantizedMatmul, gatherQmm and dequantize against plain loops in double over codes taken bit by bit from the words:
// every width, mode, group size, dtype of x and of the scales, both orientations, few and many rows; and what the
// checks refuse.
#include "matrix_test.h"

namespace denim {
namespace {

struct Kind {
  int64_t bits, group, mode;
};
const Kind kKinds[] = {{2, 32, 0},  {2, 128, 0}, {3, 32, 0},  {3, 64, 0}, {4, 32, 0}, {4, 64, 0},
                       {4, 128, 0}, {5, 32, 0},  {5, 128, 0}, {6, 64, 0}, {8, 32, 0}, {8, 64, 0},
                       {8, 128, 0}, {4, 32, 1},  {8, 32, 2},  {4, 16, 3}};
const DType kReal[] = {DType::float32, DType::float16, DType::bfloat16};

double e4m3(uint32_t code) {
  const int exponent = static_cast<int>(code >> 3 & 15), fraction = static_cast<int>(code & 7);
  if ((code & 127) == 127) return NAN;
  const double size = exponent == 0 ? fraction / 8.0 * pow(2, -6) : (1 + fraction / 8.0) * pow(2, exponent - 7);
  return code & 128 ? -size : size;
}

// Weights [leading.., rows, cols] with random codes and scales.
struct Quantized {
  Kind kind;
  int64_t rows, cols;
  Matrix w, scales, biases;

  static Matrix make(DType t, const int64_t* leading, int n, int64_t rows, int64_t cols) {
    int64_t shape[kMaxDims];
    for (int i = 0; i < n; i++) shape[i] = leading[i];
    shape[n] = rows;
    shape[n + 1] = cols;
    return Matrix(t, shape, n + 2);
  }
  Quantized(Kind k, DType scale_type, const int64_t* leading, int n, int64_t r, int64_t c)
      : kind(k),
        rows(r),
        cols(c),
        w(make(DType::uint32, leading, n, r, c * k.bits / 32)),
        scales(make(k.mode ? DType::uint8 : scale_type, leading, n, r, c / k.group)),
        biases(make(k.mode ? DType::uint8 : scale_type, leading, n, r, c / k.group)) {
    uint32_t seed = 7;
    for (int64_t i = 0; i < w.capacity; i++) {
      seed = seed * 1664525u + 1013904223u;
      w.as<uint32_t>()[i] = seed ^ seed >> 15;
    }
    // No NaN among fp8 codes here: 0x7f and 0xff become something else.
    for (int64_t i = 0; k.mode == 2 && i < 4 * w.capacity; i++) {
      if ((w.data[i] & 0x7f) == 0x7f) w.data[i] ^= 1;
    }
    if (k.mode) {
      for (int64_t i = 0; i < scales.capacity; i++)
        scales.data[i] = static_cast<uint8_t>(k.mode == 3 ? 40 + i % 9 : 124 + i % 5);
    } else {
      scales.fill(11);
      biases.fill(12);
    }
  }
  double weight(int64_t entry, int64_t i, int64_t j) {
    uint32_t code = 0;
    const int64_t row = (entry * rows + i) * (cols * kind.bits / 8);
    for (int64_t b = 0; b < kind.bits; b++) {
      const int64_t bit = j * kind.bits + b;
      code |= static_cast<uint32_t>(w.data[row + bit / 8] >> (bit % 8) & 1) << b;
    }
    const int64_t g = j / kind.group;
    if (kind.mode == 0) return code * scales.get(entry, i, g) + biases.get(entry, i, g);
    const uint8_t s = scales.data[(entry * rows + i) * (cols / kind.group) + g];
    const double digits[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    const double value = kind.bits == 8 ? e4m3(code) : (code & 8 ? -1 : 1) * digits[code & 7];
    return value * (kind.mode == 3 ? e4m3(s) : pow(2, s - 127.0));
  }
  // The arrays of a call after x: weights, scales and, if affine, biases; returns how many.
  int inputs(Array* to) {
    to[0] = w.array();
    to[1] = scales.array();
    to[2] = biases.array();
    return kind.mode ? 2 : 3;
  }
};

// The largest error of a result against x times weights, relative to what is allowed; x_entry and w_entry name
// matrices.
double worst_row_error(Matrix& x, Quantized& q, Matrix& out, bool transpose, int64_t e, int64_t x_entry,
                       int64_t w_entry) {
  const int64_t m = out.shape[out.ndim - 2], n = out.shape[out.ndim - 1], k = x.shape[x.ndim - 1];
  double worst = 0;
  for (int64_t j = 0; j < n; j++) {
    for (int64_t i = 0; i < m; i++) {
      double sum = 0, size = 1e-30;
      for (int64_t t = 0; t < k; t++) {
        const double term = x.get(x_entry, i, t) * (transpose ? q.weight(w_entry, j, t) : q.weight(w_entry, t, j));
        sum += term;
        size += fabs(term);
      }
      const double allowed = 2 * epsilon(out.dtype) * fabs(sum) + 2e-6 * size;
      worst = fmax(worst, fabs(out.get(e, i, j) - sum) / allowed);
    }
  }
  return worst;
}

void check_product(Kind kind, DType x_type, DType scale_type, int64_t m, int64_t n, int64_t k, bool transpose) {
  Quantized q(kind, scale_type, nullptr, 0, transpose ? n : k, transpose ? k : n);
  const int64_t x_shape[] = {m, k}, out_shape[] = {m, n};
  Matrix x(x_type, x_shape, 2), out(x_type, out_shape, 2);
  x.fill(21);
  Array in[4] = {x.array()};
  const int n_in = 1 + q.inputs(in + 1);
  const QuantizedMatmulParams params{transpose, kind.group, kind.bits, kind.mode};
  CHECK(run_kernel(Op::quantizedMatmul, in, n_in, out, &params) == nullptr);
  const double worst = worst_row_error(x, q, out, transpose, 0, 0, 0);
  if (worst > 1)
    printf("bits %d group %d mode %d m %d transpose %d: %g\n", (int)kind.bits, (int)kind.group, (int)kind.mode, (int)m,
           transpose, worst);
  CHECK(worst <= 1);
}

TEST(quantized_matmul_kinds) {
  const int64_t rows[] = {1, 2, 3, 7, 9, 33};
  for (const Kind& kind : kKinds) {
    for (const int64_t m : rows) {
      check_product(kind, DType::float32, DType::float16, m, 37, 384, true);
      check_product(kind, DType::float32, DType::float32, m, 256, 45, false);
    }
  }
}

TEST(quantized_matmul_dtypes) {
  const Kind kinds[] = {{4, 32, 0}, {4, 64, 0}, {8, 64, 0}, {8, 128, 0}, {6, 32, 0}};
  for (const Kind& kind : kinds) {
    for (const DType x : kReal) {
      for (const DType scale : kReal) {
        check_product(kind, x, scale, 1, 70, 640, true);
        check_product(kind, x, scale, 5, 70, 128, true);
        check_product(kind, x, scale, 20, 35, 640, true);
      }
    }
  }
}

TEST(quantized_matmul_layers) {
  check_product({4, 32, 0}, DType::float32, DType::bfloat16, 1, 576, 576, true);
  check_product({4, 32, 0}, DType::bfloat16, DType::bfloat16, 1, 192, 576, true);
  check_product({4, 32, 0}, DType::float16, DType::float16, 4, 1536, 96, true);
  check_product({8, 64, 0}, DType::bfloat16, DType::bfloat16, 1, 3000, 576, true);
  check_product({4, 64, 0}, DType::bfloat16, DType::bfloat16, 70, 300, 1152, true);
  check_product({8, 32, 0}, DType::float32, DType::bfloat16, 1100, 33, 64, true);
  const int64_t widths[] = {2, 4, 8};
  for (const int64_t bits : widths) check_product({bits, 32, 0}, DType::float32, DType::float16, 3, 7, 4512, true);
  for (const int64_t bits : widths) check_product({bits, 64, 0}, DType::float32, DType::float32, 1, 6, 9024, true);
}

// Numbers of x that lie far apart, and some that are not finite: those rows are, the others are what they would be.
TEST(quantized_matmul_ranges) {
  const int64_t widths[] = {2, 3, 4, 5, 6, 8};
  for (const int64_t bits : widths) {
    const int64_t m = 3, n = 40, k = 320, x_shape[] = {m, k}, out_shape[] = {m, n};
    Quantized q({bits, 32, 0}, DType::float32, nullptr, 0, n, k);
    Matrix x(DType::float32, x_shape, 2), out(DType::float32, out_shape, 2);
    x.fill(3);
    for (int64_t i = 0; i < m * k; i++) x.as<float>()[i] *= powf(10, static_cast<float>(i / 32 % 9 * 8 - 36));
    Array in[4] = {x.array()};
    const int n_in = 1 + q.inputs(in + 1);
    const QuantizedMatmulParams params{1, 32, bits, 0};
    CHECK(run_kernel(Op::quantizedMatmul, in, n_in, out, &params) == nullptr);
    CHECK(worst_row_error(x, q, out, true, 0, 0, 0) <= 1);
    x.as<float>()[k + 7] = INFINITY;
    x.as<float>()[2 * k + 9] = NAN;
    CHECK(run_kernel(Op::quantizedMatmul, in, n_in, out, &params) == nullptr);
    for (int64_t j = 0; j < n; j++) {
      CHECK(isfinite(out.get(0, 0, j)) && !isfinite(out.get(0, 1, j)) && isnan(out.get(0, 2, j)));
    }
  }
}

TEST(quantized_matmul_batches) {
  const int64_t leading[] = {2, 3}, x_shape[] = {2, 3, 4, 64}, out_shape[] = {2, 3, 4, 40};
  for (int shared = 0; shared < 2; shared++) {
    const Kind kind{4, 32, 0};
    Quantized q(kind, DType::float32, leading, shared ? 0 : 2, 40, 64);
    Matrix x(DType::float32, x_shape, 4), out(DType::float32, out_shape, 4);
    x.strides[0] = 4 * 64;  // the leading axes are exchanged in memory
    x.strides[1] = 2 * 4 * 64;
    x.fill(5);
    Array in[4] = {x.array()};
    q.inputs(in + 1);
    const QuantizedMatmulParams params{1, kind.group, kind.bits, kind.mode};
    CHECK(run_kernel(Op::quantizedMatmul, in, 4, out, &params) == nullptr);
    for (int64_t e = 0; e < 6; e++) CHECK(worst_row_error(x, q, out, true, e, e, shared ? 0 : e) <= 1);
  }
}

TEST(gather_qmm) {
  const Kind kinds[] = {{4, 32, 0}, {6, 64, 0}, {4, 32, 1}};
  for (const Kind& kind : kinds) {
    for (int64_t m = 1; m <= 4; m += 3) {
      for (int transpose = 0; transpose < 2; transpose++) {
        const int64_t experts[] = {5}, n = transpose ? 40 : 64, k = 64, entries = 24;
        const int64_t x_shape[] = {3, m, k}, i_shape[] = {entries}, out_shape[] = {entries, m, n};
        Quantized q(kind, DType::bfloat16, experts, 1, transpose ? n : k, 64);
        Matrix x(DType::float32, x_shape, 3), lhs(DType::uint32, i_shape, 1), rhs(DType::int32, i_shape, 1);
        Matrix out(DType::float32, out_shape, 3);
        x.fill(31);
        for (int64_t e = 0; e < entries; e++) {
          lhs.as<uint32_t>()[e] = static_cast<uint32_t>(e % 3);
          rhs.as<int32_t>()[e] = static_cast<int32_t>(e < 14 ? 2 : e * 7 % 5 - 5);
        }
        Array in[6] = {x.array()};
        int n_in = 1 + q.inputs(in + 1);
        in[n_in++] = lhs.array();
        in[n_in++] = rhs.array();
        const GatherQmmParams params{transpose, kind.group, kind.bits, kind.mode};
        CHECK(run_kernel(Op::gatherQmm, in, n_in, out, &params) == nullptr);
        for (int64_t e = 0; e < entries; e++) {
          const int64_t expert = (rhs.as<int32_t>()[e] + 5) % 5;
          CHECK(worst_row_error(x, q, out, transpose, e, e % 3, expert) <= 1);
        }
        rhs.as<int32_t>()[3] = 5;
        CHECK(run_kernel(Op::gatherQmm, in, n_in, out, &params) != nullptr);
        rhs.as<int32_t>()[3] = 0;
        lhs.as<uint32_t>()[23] = 3;
        CHECK(run_kernel(Op::gatherQmm, in, n_in, out, &params) != nullptr);
      }
    }
  }
}

TEST(dequantize) {
  const int64_t leading[] = {2};
  for (const Kind& kind : kKinds) {
    for (const DType t : kReal) {
      Quantized q(kind, DType::float32, leading, 1, 5, 384);
      const int64_t out_shape[] = {2, 5, 384};
      Matrix out(t, out_shape, 3);
      Array in[3];
      const int n_in = q.inputs(in);
      const DequantizeParams params{kind.group, kind.bits, kind.mode, static_cast<int64_t>(t)};
      CHECK(run_kernel(Op::dequantize, in, n_in, out, &params) == nullptr);
      for (int64_t i = 0; i < 2 * 5 * 384; i++) {
        const double want = q.weight(i / 1920, i / 384 % 5, i % 384);
        CHECK_NEAR(out.get(i / 1920, i / 384 % 5, i % 384), want, fabs(want) * epsilon(t) + 1e-4 * epsilon(t) + 2e-5);
      }
    }
  }
}

TEST(dequantize_every_fp8_code) {
  Quantized q({8, 32, 2}, DType::uint8, nullptr, 0, 1, 256);
  const int64_t out_shape[] = {1, 256};
  Matrix out(DType::float32, out_shape, 2);
  for (int i = 0; i < 256; i++) q.w.data[i] = static_cast<uint8_t>(i);
  memset(q.scales.data, 127, 8);
  Array in[3];
  q.inputs(in);
  const DequantizeParams params{32, 8, 2, static_cast<int64_t>(DType::float32)};
  CHECK(run_kernel(Op::dequantize, in, 2, out, &params) == nullptr);
  for (uint32_t i = 0; i < 256; i++) CHECK_NEAR(out.get(0, 0, i), e4m3(i), 0);
}

TEST(quantized_refuses) {
  const Kind kind{4, 32, 0};
  Quantized q(kind, DType::float32, nullptr, 0, 8, 64), other(kind, DType::float16, nullptr, 0, 8, 64),
      wide(kind, DType::float32, nullptr, 0, 8, 96);
  const int64_t x_shape[] = {3, 64}, out_shape[] = {3, 8};
  Matrix x(DType::float32, x_shape, 2), out(DType::float32, out_shape, 2), half(DType::float16, out_shape, 2);
  const QuantizedMatmulParams good{1, 32, 4, 0};
  const auto refused = [&](const Array& a, const Array& w, const Array& s, const Array& b,
                           const QuantizedMatmulParams& p, Matrix& o) {
    const Array in[] = {a, w, s, b};
    return run_kernel(Op::quantizedMatmul, in, 4, o, &p) != nullptr;
  };
  const Array w = q.w.array(), s = q.scales.array(), b = q.biases.array(), xs = x.array();
  CHECK(!refused(xs, w, s, b, good, out));
  CHECK(refused(xs, w, s, b, {0, 32, 4, 0}, out));
  CHECK(refused(xs, w, s, b, {1, 64, 4, 0}, out));
  CHECK(refused(xs, w, s, b, {1, 32, 8, 0}, out));
  CHECK(refused(xs, w, s, b, {1, 32, 7, 0}, out));
  CHECK(refused(xs, w, s, b, {1, 32, 4, 4}, out));
  CHECK(refused(xs, w, s, b, {1, 32, 4, 1}, out));
  CHECK(refused(xs, w, s, b, {1, 0, 0, 0}, out));
  CHECK(refused(xs, w, s, b, good, half));
  CHECK(refused(xs, w, s, other.biases.array(), good, out));
  CHECK(refused(xs, wide.w.array(), s, b, good, out));
  CHECK(refused(xs, w, wide.scales.array(), b, good, out));
  CHECK(refused(w, w, s, b, good, out));
  q.w.strides[1] = 2;
  CHECK(refused(xs, w, s, b, good, out));
}

}  // namespace
}  // namespace denim
