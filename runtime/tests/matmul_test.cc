// matmul, addmm and gatherMm against plain loops in double: every dtype, odd sizes, strides of all kinds, batches; and
// what their checks refuse.
#include "matrix_test.h"

namespace denim {
namespace {

const DType kFloats[] = {DType::float32, DType::float64, DType::float16, DType::bfloat16};

// How an operand lies in memory.
enum class Lie { rows, columns, every_second, negative };
const Lie kLies[] = {Lie::rows, Lie::columns, Lie::every_second, Lie::negative};

Matrix lying(DType dtype, const int64_t* shape, int ndim, Lie lie) {
  Matrix x(dtype, shape, ndim, lie == Lie::every_second ? 2 : 1);
  const int r = ndim - 2, c = ndim - 1;
  if (lie == Lie::columns) {
    x.strides[r] = 1;
    x.strides[c] = shape[r];
  }
  if (lie == Lie::negative) {
    for (int d = r; d <= c; d++) {
      x.first += x.strides[d] * (shape[d] > 0 ? shape[d] - 1 : 0);
      x.strides[d] = -x.strides[d];
    }
  }
  return x;
}

// The largest error of out against alpha a b + beta c, relative to what one rounding of the dtype allows.
double worst_error(Matrix& a, Matrix& b, Matrix* c, Matrix& out, double alpha, double beta) {
  const int nd = out.ndim;
  const int64_t m = out.shape[nd - 2], n = out.shape[nd - 1], k = a.shape[nd - 1];
  const bool complex = out.dtype == DType::complex64;
  double worst = 0;
  for (int64_t e = 0; e < out.leading(); e++) {
    for (int64_t i = 0; i < m; i++) {
      for (int64_t j = 0; j < n; j++) {
        double re = 0, im = 0, size = 1e-30;
        for (int64_t t = 0; t < k; t++) {
          const double ar = a.get(e, i, t), br = b.get(e, t, j), ai = complex ? a.get(e, i, t, 1) : 0,
                       bi = complex ? b.get(e, t, j, 1) : 0;
          re += ar * br - ai * bi;
          im += ar * bi + ai * br;
          size += fabs(ar * br) + fabs(ai * bi) + fabs(ar * bi) + fabs(ai * br);
        }
        re = alpha * re + (c ? beta * c->get(e, i, j) : 0);
        im = alpha * im + (c && complex ? beta * c->get(e, i, j, 1) : 0);
        const double allowed =
            4 * epsilon(out.dtype) * (fabs(re) + fabs(im) + 1e-3) + 4 * accumulation(out.dtype) * size;
        worst = fmax(worst, fabs(out.get(e, i, j) - re) / allowed);
        if (complex) worst = fmax(worst, fabs(out.get(e, i, j, 1) - im) / allowed);
      }
    }
  }
  return worst;
}

void check_case(DType dtype, int64_t m, int64_t n, int64_t k, Lie a_lie, Lie b_lie, bool add) {
  const int64_t a_shape[] = {m, k}, b_shape[] = {k, n}, out_shape[] = {m, n};
  Matrix a = lying(dtype, a_shape, 2, a_lie), b = lying(dtype, b_shape, 2, b_lie);
  Matrix c = lying(dtype, out_shape, 2, b_lie), out(dtype, out_shape, 2);
  a.fill(1);
  b.fill(2);
  c.fill(3);
  const AddmmParams params{0.5, -2};
  const Array plain[] = {a.array(), b.array()}, added[] = {c.array(), a.array(), b.array()};
  const char* bad =
      add ? run_kernel(Op::addmm, added, 3, out, &params) : run_kernel(Op::matmul, plain, 2, out, nullptr);
  CHECK(bad == nullptr);
  const double worst = add ? worst_error(a, b, &c, out, 0.5, -2) : worst_error(a, b, nullptr, out, 1, 0);
  if (worst > 1) {
    printf("dtype %d [%d,%d,%d] lies %d %d add %d: %g\n", (int)dtype, (int)m, (int)n, (int)k, (int)a_lie, (int)b_lie,
           add, worst);
  }
  CHECK(worst <= 1);
}

TEST(matmul_sizes) {
  const int64_t sizes[][3] = {{1, 1, 1},     {3, 5, 7},     {1, 100, 70}, {2, 33, 65},  {4, 513, 19}, {100, 1, 70},
                              {70, 3, 90},   {5, 17, 31},   {16, 16, 16}, {15, 33, 17}, {29, 65, 40}, {130, 40, 9},
                              {64, 10, 100}, {33, 70, 800}, {7, 300, 2},  {0, 3, 4},    {3, 4, 0}};
  for (const auto& s : sizes) {
    for (const DType t : kFloats) check_case(t, s[0], s[1], s[2], Lie::rows, Lie::rows, false);
    check_case(DType::complex64, s[0], s[1], s[2], Lie::rows, Lie::columns, false);
  }
}

TEST(matmul_strides) {
  const int64_t sizes[][3] = {{3, 5, 7}, {1, 100, 70}, {3, 40, 33}, {70, 2, 45}, {29, 65, 40}, {40, 12, 30}};
  for (const auto& s : sizes) {
    for (const Lie a : kLies) {
      for (const Lie b : kLies) {
        check_case(DType::float32, s[0], s[1], s[2], a, b, false);
        check_case(DType::bfloat16, s[0], s[1], s[2], a, b, true);
      }
    }
    check_case(DType::complex64, s[0], s[1], s[2], Lie::negative, Lie::every_second, true);
    check_case(DType::float16, s[0], s[1], s[2], Lie::columns, Lie::columns, true);
    check_case(DType::float64, s[0], s[1], s[2], Lie::columns, Lie::rows, true);
  }
}

TEST(matmul_large_blocks) {
  check_case(DType::float32, 300, 290, 900, Lie::rows, Lie::columns, false);
  check_case(DType::float16, 150, 2100, 400, Lie::rows, Lie::rows, true);
  check_case(DType::bfloat16, 2100, 40, 390, Lie::rows, Lie::rows, false);
  check_case(DType::float32, 1, 5000, 500, Lie::rows, Lie::columns, false);
  check_case(DType::float32, 1, 5000, 500, Lie::rows, Lie::rows, false);
  check_case(DType::complex64, 60, 70, 300, Lie::rows, Lie::rows, true);
  check_case(DType::float32, 17, 2100, 500, Lie::rows, Lie::rows, false);  // several blocks of columns and of k
}

// Batches: strides 0 on either side, on all, and entries large or small.
TEST(matmul_batches) {
  const int64_t shapes[][5] = {
      {2, 3, 4, 5, 6}, {3, 5, 1, 40, 64}, {2, 2, 33, 50, 40}, {40, 5, 3, 3, 3}, {1, 6, 20, 20, 20}};
  for (const auto& s : shapes) {
    for (int same = 0; same < 16; same++) {
      const int64_t a_shape[] = {s[0], s[1], s[2], s[4]}, b_shape[] = {s[0], s[1], s[4], s[3]},
                    o_shape[] = {s[0], s[1], s[2], s[3]};
      Matrix a(DType::float32, a_shape, 4), b(DType::float32, b_shape, 4), out(DType::float32, o_shape, 4);
      if (same & 1) a.strides[0] = 0;
      if (same & 2) a.strides[1] = 0;
      if (same & 4) b.strides[0] = 0;
      if (same & 8) b.strides[1] = 0;
      a.fill(4);
      b.fill(5);
      const Array in[] = {a.array(), b.array()};
      CHECK(run_kernel(Op::matmul, in, 2, out, nullptr) == nullptr);
      CHECK(worst_error(a, b, nullptr, out, 1, 0) <= 1);
    }
  }
}

TEST(matmul_of_nan_and_infinity) {
  const int64_t a_shape[] = {2, 19}, b_shape[] = {19, 40}, o_shape[] = {2, 40};
  Matrix a(DType::float16, a_shape, 2), b(DType::float16, b_shape, 2), out(DType::float16, o_shape, 2);
  a.fill(1);
  b.fill(2);
  a.set(0, 0, 18, NAN);
  b.set(0, 18, 39, INFINITY);
  const Array in[] = {a.array(), b.array()};
  CHECK(run_kernel(Op::matmul, in, 2, out, nullptr) == nullptr);
  for (int64_t j = 0; j < 40; j++) CHECK(isnan(out.get(0, 0, j)));
  for (int64_t j = 0; j < 39; j++) CHECK(isfinite(out.get(0, 1, j)));
  CHECK(isinf(out.get(0, 1, 39)));
}

TEST(gather_mm) {
  const int64_t sizes[][3] = {{1, 40, 70}, {5, 6, 7}, {20, 40, 30}};
  for (const auto& s : sizes) {
    const int64_t a_shape[] = {2, 2, s[0], s[2]}, b_shape[] = {3, s[2], s[1]}, i_shape[] = {5},
                  o_shape[] = {5, s[0], s[1]};
    Matrix a(DType::float32, a_shape, 4), b(DType::float32, b_shape, 3), out(DType::float32, o_shape, 3);
    Matrix lhs(DType::int32, i_shape, 1), rhs(DType::int64, i_shape, 1);
    a.fill(1);
    b.fill(2);
    const int64_t left[] = {3, 0, -1, 2, -4}, right[] = {0, 2, 2, -3, 1};
    for (int64_t i = 0; i < 5; i++) {
      lhs.as<int32_t>()[i] = static_cast<int32_t>(left[i]);
      rhs.as<int64_t>()[i] = right[i];
    }
    const Array in[] = {a.array(), b.array(), lhs.array(), rhs.array()};
    CHECK(run_kernel(Op::gatherMm, in, 4, out, nullptr) == nullptr);
    double worst = 0;
    for (int64_t e = 0; e < 5; e++) {
      for (int64_t i = 0; i < s[0]; i++) {
        for (int64_t j = 0; j < s[1]; j++) {
          double sum = 0;
          for (int64_t k = 0; k < s[2]; k++) sum += a.get((left[e] + 4) % 4, i, k) * b.get((right[e] + 3) % 3, k, j);
          worst = fmax(worst, fabs(sum - out.get(e, i, j)));
        }
      }
    }
    CHECK(worst < 1e-4);
    lhs.as<int32_t>()[4] = 4;
    CHECK(run_kernel(Op::gatherMm, in, 4, out, nullptr) != nullptr);
    lhs.as<int32_t>()[4] = -5;
    CHECK(run_kernel(Op::gatherMm, in, 4, out, nullptr) != nullptr);
  }
}

TEST(matmul_refuses) {
  const int64_t s23[] = {2, 3}, s34[] = {3, 4}, s24[] = {2, 4}, s234[] = {2, 3, 4}, s4[] = {4};
  Matrix a(DType::float32, s23, 2), b(DType::float32, s34, 2), out(DType::float32, s24, 2),
      deep(DType::float32, s234, 3);
  Matrix whole(DType::int32, s23, 2), line(DType::float32, s4, 1);
  const Array good[] = {a.array(), b.array()}, wrong_k[] = {a.array(), a.array()},
              wrong_dtype[] = {whole.array(), b.array()};
  const Array wrong_rank[] = {a.array(), deep.array()}, wrong_line[] = {a.array(), line.array()};
  CHECK(run_kernel(Op::matmul, good, 2, out, nullptr) == nullptr);
  CHECK(run_kernel(Op::matmul, good, 1, out, nullptr) != nullptr);
  CHECK(run_kernel(Op::matmul, wrong_k, 2, out, nullptr) != nullptr);
  CHECK(run_kernel(Op::matmul, wrong_dtype, 2, out, nullptr) != nullptr);
  CHECK(run_kernel(Op::matmul, wrong_rank, 2, out, nullptr) != nullptr);
  CHECK(run_kernel(Op::matmul, wrong_line, 2, out, nullptr) != nullptr);
  CHECK(run_kernel(Op::matmul, good, 2, a, nullptr) != nullptr);
}

}  // namespace
}  // namespace denim
