// Scans against plain loops in double: every op, direction, axis, layout and dtype.
#include "tests/arrays.h"

using namespace denim;
using namespace denim::testing;

namespace {

double join(Op op, double a, double x) {
  switch (op) {
    case Op::cumsum: return a + x;
    case Op::cumprod: return a * x;
    case Op::cummax: return x > a || isnan(x) ? x : a;
    case Op::cummin: return x < a || isnan(x) ? x : a;
    default: return a == -INFINITY ? x : x == -INFINITY ? a : fmax(a, x) + log1p(exp(-fabs(a - x)));
  }
}
double start(Op op, DType d) {
  const bool floating = is_floating(d);
  switch (op) {
    case Op::cumsum: return 0;
    case Op::cumprod: return 1;
    case Op::cummax: return floating ? -INFINITY : d == DType::int32 ? -2147483648.0 : 0;
    case Op::cummin: return floating ? INFINITY : d == DType::int32 ? 2147483647.0 : 255;
    default: return -INFINITY;
  }
}
void check_scan(Op op, const Nd& x, int64_t axis, bool reverse, bool inclusive) {
  const DType d = x.a.dtype;
  Nd y(d, x.a.ndim, x.shape);
  const CumsumParams params{axis, reverse, inclusive};
  CHECK(run_kernel(op, x, y, params) == nullptr);
  int64_t inner = 1, n = x.shape[axis];
  for (int64_t i = axis + 1; i < x.a.ndim; i++) inner *= x.shape[i];
  bool right = true;
  for (int64_t line = 0; line < x.a.size / n; line++) {
    const int64_t base = line / inner * inner * n + line % inner;
    double a = start(op, d), size = 1;
    for (int64_t i = 0; i < n; i++) {
      const int64_t at = base + (reverse ? n - 1 - i : i) * inner;
      const double before = a;
      a = join(op, a, x.get(at));
      size = fmax(size, fabs(a));
      const double want = inclusive ? a : before, got = y.get(at);
      right = right && (got == want || (isnan(got) && isnan(want)) ||
                        fabs(got - want) <= tolerance(d, size, 4) + (d == DType::float16 ? size * 1e-3 : 0));
    }
  }
  CHECK(right);
}

TEST(scan_every_op) {
  const int64_t shape[] = {3, 50, 300}, layouts[][3] = {{15000, 300, 1}, {1, 3, 150}, {-15000, -300, -1}, {0, 1, 0}};
  const Op some[] = {Op::cumsum, Op::cumprod, Op::cummax, Op::cummin, Op::logcumsumexp};
  for (Op op : some) {
    const DType dtypes[] = {DType::float16, DType::float32, DType::float64, DType::int32, DType::uint8};
    for (DType d : dtypes) {
      if (op == Op::logcumsumexp && !is_floating(d)) continue;
      for (const auto& layout : layouts) {
        Nd x(d, 3, shape, layout);
        if (op == Op::cumprod) x.fill(is_floating(d) ? 0.97 : 1, is_floating(d) ? 1.02 : 1.5);
        else x.fill(d == DType::uint8 || op == Op::cumsum ? 0 : -5, d == DType::uint8 && op == Op::cumsum ? 1 : 5);
        for (int axis = 0; axis < 3; axis++) {
          for (int mode = 0; mode < 4; mode++) check_scan(op, x, axis, (mode & 1) != 0, (mode & 2) != 0);
        }
      }
    }
  }
}
TEST(scan_nan_and_wrapping) {
  const int64_t n = 9;
  Nd x(DType::float32, 1, &n), b(DType::int8, 1, &n), y(DType::int8, 1, &n);
  x.fill(-1, 1).set(4, NAN);
  check_scan(Op::cummax, x, 0, false, true);
  check_scan(Op::cummin, x, 0, true, true);
  for (int64_t i = 0; i < n; i++) b.set(i, 100);
  CHECK(run_kernel(Op::cumsum, b, y, CumsumParams{0, 0, 1}) == nullptr);
  CHECK_NEAR(y.get(1), -56, 0);
  CHECK(run_kernel(Op::cumsum, b, y, CumsumParams{1, 0, 1}) != nullptr);
  CHECK(run_kernel(Op::logcumsumexp, b, y, CumsumParams{0, 0, 1}) != nullptr);
}

}  // namespace
