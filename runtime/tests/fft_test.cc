// Fourier transforms against the defining sums in double: every kind of length, in rows, columns and broadcasts; lines
// that are transformed alone go there and back; NaN stays in its line; shapes that do not fit are refused.
#include <math.h>

#include "tests/arrays.h"

using namespace denim;
using namespace denim::testing;

namespace {

const float* parts(const Nd& x, int64_t i) { return reinterpret_cast<const float*>(x.at(i)); }

/// Entry k of the transform along `axis` of the line that element `i` of y lies in.
void check_sums(const Nd& x, int axis) {
  const int64_t n = x.shape[axis];
  Nd y(DType::complex64, 2, x.shape);
  CHECK(run_kernel(Op::fft, x, y, FftParams{axis, 0, 1}) == nullptr);
  double worst = 0, size = 0;
  for (int64_t i = 0; i < y.a.size; i++) {
    const int64_t row = i / y.shape[1], column = i % y.shape[1], k = axis == 0 ? row : column;
    double re = 0, im = 0;
    for (int64_t j = 0; j < n; j++) {
      const float* p = parts(x, axis == 0 ? j * x.shape[1] + column : row * x.shape[1] + j);
      const double angle = -6.283185307179586 * static_cast<double>(j * k % n) / static_cast<double>(n);
      const double re_x = static_cast<double>(p[0]), im_x = static_cast<double>(p[1]);
      re += re_x * cos(angle) - im_x * sin(angle);
      im += re_x * sin(angle) + im_x * cos(angle);
    }
    const float* got = parts(y, i);
    worst = fmax(worst, hypot(static_cast<double>(got[0]) - re, static_cast<double>(got[1]) - im));
    size = fmax(size, hypot(re, im));
  }
  CHECK(worst <= 1e-6 * size);
}
TEST(fft_sums) {
  const int64_t lengths[] = {1, 2, 3, 5, 8, 11, 13, 16, 17, 23, 30, 64, 77, 97, 143, 210, 256};
  for (int64_t n : lengths) {
    for (int axis = 0; axis < 2; axis++) {
      int64_t shape[] = {19, 19};
      shape[axis] = n;
      const int64_t layouts[][2] = {{shape[1], 1}, {1, shape[0]}, {-shape[1], -1}, {0, 1}, {1, 0}};
      for (const auto& layout : layouts) check_sums(Nd(DType::complex64, 2, shape, layout).fill(-1, 1), axis);
    }
  }
}
/// There and back, scaled by 1 / n in between.
void check_return(int64_t rows, int64_t n, bool real) {
  const int64_t whole[] = {rows, n}, half[] = {rows, n / 2 + 1};
  const DType dtype = real ? DType::float32 : DType::complex64;
  Nd x(dtype, 2, whole), y(DType::complex64, 2, real ? half : whole), z(dtype, 2, whole);
  x.fill(-1, 1);
  const double scale = 1.0 / static_cast<double>(n);
  if (real) {
    CHECK(run_kernel(Op::rfft, x, y, RfftParams{1, scale}) == nullptr);
    CHECK(run_kernel(Op::irfft, y, z, IrfftParams{1, n, 1}) == nullptr);
  } else {
    CHECK(run_kernel(Op::fft, x, y, FftParams{1, 0, scale}) == nullptr);
    CHECK(run_kernel(Op::fft, y, z, FftParams{1, 1, 1}) == nullptr);
  }
  double worst = 0;
  for (int64_t i = 0; i < x.a.size; i++) worst = fmax(worst, fabs(x.get(i) - z.get(i)));
  CHECK(worst < 2e-6);
}
TEST(fft_there_and_back) {
  const int64_t lengths[] = {1, 2, 7, 12, 101, 1000, 1024, 1031, 2058, 2062, 8190, 20000, 20011, 20014};
  for (int64_t n : lengths) {
    for (int real = 0; real < 2; real++) {
      check_return(1, n, real != 0);
      check_return(n < 2000 ? 37 : 2, n, real != 0);
    }
  }
}
TEST(fft_lines_are_apart) {
  const int64_t shape[] = {40, 12}, half[] = {40, 7};
  Nd x(DType::float32, 2, shape), y(DType::complex64, 2, half);
  x.fill(-1, 1);
  x.set(5 * 12 + 3, NAN);
  CHECK(run_kernel(Op::rfft, x, y, RfftParams{1, 1}) == nullptr);
  for (int64_t i = 0; i < y.a.size; i++) CHECK(isnan(y.get(i)) == (i / 7 == 5));
}
TEST(fft_refuses) {
  const int64_t shape[] = {4, 6}, half[] = {4, 4}, empty[] = {4, 0};
  Nd x(DType::float32, 2, shape), z(DType::complex64, 2, shape), h(DType::complex64, 2, half);
  Nd none(DType::complex64, 2, empty);
  CHECK(run_kernel(Op::fft, x, z, FftParams{1, 0, 1}) != nullptr);
  CHECK(run_kernel(Op::fft, z, x, FftParams{1, 0, 1}) != nullptr);
  CHECK(run_kernel(Op::fft, z, h, FftParams{1, 0, 1}) != nullptr);
  CHECK(run_kernel(Op::fft, z, z, FftParams{2, 0, 1}) != nullptr);
  CHECK(run_kernel(Op::fft, z, z, FftParams{-1, 0, 1}) != nullptr);
  CHECK(run_kernel(Op::fft, none, none, FftParams{1, 0, 1}) != nullptr);
  CHECK(run_kernel(Op::rfft, x, z, RfftParams{1, 1}) != nullptr);
  CHECK(run_kernel(Op::irfft, h, x, IrfftParams{1, 7, 1}) != nullptr);
  CHECK(run_kernel(Op::irfft, h, x, IrfftParams{1, 0, 1}) != nullptr);
  CHECK(run_kernel(Op::irfft, h, x, IrfftParams{1, int64_t{1} << 60, 1}) != nullptr);
}

}  // namespace
