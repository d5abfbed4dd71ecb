// sort and argsort: in order, a permutation, stable, NaN last; any axis and layout.
#include "tests/arrays.h"

using namespace denim;
using namespace denim::testing;

namespace {

/// a <= b, NaN last.
bool in_order(double a, double b) { return isnan(b) || a <= b; }

void check_sort(const Nd& x, int64_t axis) {
  Nd y(x.a.dtype, x.a.ndim, x.shape), p(DType::uint32, x.a.ndim, x.shape);
  const SortParams params{axis};
  CHECK(run_kernel(Op::sort, x, y, params) == nullptr);
  CHECK(run_kernel(Op::argsort, x, p, params) == nullptr);
  int64_t inner = 1, n = x.shape[axis];
  for (int64_t i = axis + 1; i < x.a.ndim; i++) inner *= x.shape[i];
  auto* seen = static_cast<uint8_t*>(malloc(static_cast<size_t>(n)));
  bool sorted = true, permuted = true, stable = true, same = true;
  for (int64_t line = 0; line < x.a.size / n; line++) {
    const int64_t base = line / inner * inner * n + line % inner;
    memset(seen, 0, static_cast<size_t>(n));
    for (int64_t i = 0; i < n; i++) {
      const int64_t at = base + i * inner, from = static_cast<int64_t>(p.get(at));
      permuted = permuted && from < n && seen[from] == 0;
      if (from >= n) break;
      seen[from] = 1;
      const double v = x.get(base + from * inner), got = y.get(at);
      same = same && (v == got || (isnan(v) && isnan(got)));
      if (i == 0) continue;
      const int64_t last = static_cast<int64_t>(p.get(at - inner));
      const double u = x.get(base + last * inner);
      sorted = sorted && in_order(u, v);
      stable = stable && !((u == v || (isnan(u) && isnan(v))) && last > from);
    }
  }
  CHECK(sorted);
  CHECK(permuted);
  CHECK(stable);
  CHECK(same);
  free(seen);
}

TEST(sort_every_dtype) {
  for (int code = 0; code < kDTypes - 1; code++) {
    const DType d = static_cast<DType>(code);
    const int64_t sizes[] = {1, 2, 48, 49, 3000};
    for (int64_t n : sizes) {
      const int64_t shape[] = {3, n};
      Nd x(d, 2, shape);
      x.fill(d >= DType::int8 ? -100 : 0, 100);
      if (is_floating(d) && n > 2)
        x.set(1, NAN), x.set(0, -0.0), x.set(n - 1, 0.0), x.set(n, INFINITY), x.set(n + 1, -INFINITY);
      check_sort(x, 1);
    }
  }
}
TEST(sort_any_axis_and_layout) {
  const int64_t shape[] = {60, 7, 90}, layouts[][3] = {{630, 90, 1}, {1, 60, 420}, {-630, -90, -1}, {0, 1, 7}};
  for (const auto& layout : layouts) {
    Nd x(DType::float32, 3, shape, layout), i(DType::int64, 3, shape, layout);
    for (int axis = 0; axis < 3; axis++) {
      check_sort(x.fill(-1, 1), axis);
      check_sort(i.fill(-9, 9), axis);
    }
  }
}
TEST(sort_complex_by_parts) {
  const int64_t n = 4;
  Nd x(DType::complex64, 1, &n), y(DType::complex64, 1, &n);
  const float parts[] = {1, 2, NAN, 0, 1, -2, -3, 5}, want[] = {-3, 5, 1, -2, 1, 2};
  memcpy(x.a.data, parts, sizeof(parts));
  CHECK(run_kernel(Op::sort, x, y, SortParams{0}) == nullptr);
  CHECK(memcmp(y.a.data, want, sizeof(want)) == 0);
  CHECK(isnan(y.get(3)));
}

}  // namespace
