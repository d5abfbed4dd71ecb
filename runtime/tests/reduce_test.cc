// Reductions at the end of fused kernels, argmax and argmin, against plain loops in double.
#include "tests/arrays.h"

using namespace denim;
using namespace denim::testing;

namespace {

/// The reduction of x over the axes in `mask`, one element after the other.
void plain_reduce(Op op, const Nd& x, uint32_t mask, double* out) {
  int64_t index[kMaxDims] = {};
  for (int64_t i = 0, n = 1; i < x.a.ndim; i++) {
    n *= (mask >> i & 1) != 0 ? 1 : x.shape[i];
    for (int64_t k = 0; i == x.a.ndim - 1 && k < n; k++) {
      const double start[] = {0, 1, -INFINITY, INFINITY, 1, 0};
      out[k] = start[static_cast<int>(op) - static_cast<int>(Op::sum)];
    }
  }
  for (int64_t i = 0; i < x.a.size; i++) {
    int64_t k = 0, rest = i;
    for (int a = x.a.ndim - 1; a >= 0; a--) index[a] = rest % x.shape[a], rest /= x.shape[a];
    for (int a = 0; a < x.a.ndim; a++) k = (mask >> a & 1) != 0 ? k : k * x.shape[a] + index[a];
    const double v = x.get(i);
    switch (op) {
      case Op::sum: out[k] += v; break;
      case Op::prod: out[k] *= v; break;
      case Op::max: out[k] = v > out[k] || isnan(v) ? v : out[k]; break;
      case Op::min: out[k] = v < out[k] || isnan(v) ? v : out[k]; break;
      case Op::all: out[k] = out[k] != 0 && v != 0; break;
      default: out[k] = out[k] != 0 || v != 0; break;
    }
  }
}
/// Reduces and compares; `squared` puts a step before the reduction.
void check_reduce(Op op, const Nd& x, uint32_t mask, bool squared) {
  int64_t kept[kMaxDims];
  int ndim = 0;
  for (int i = 0; i < x.a.ndim; i++) {
    if ((mask >> i & 1) == 0) kept[ndim++] = x.shape[i];
  }
  const DType d = x.a.dtype;
  Nd y(d, ndim, kept), z(d, x.a.ndim, x.shape);
  for (int64_t i = 0; i < x.a.size; i++) z.set(i, squared ? x.get(i) * x.get(i) : x.get(i));
  auto* want = static_cast<double*>(malloc(static_cast<size_t>(y.a.size + 1) * sizeof(double)));
  plain_reduce(op, z, mask, want);
  Fusion f(x);
  const int a = f.input(x), value = squared ? f.step(Op::multiply, d, a, a) : a;
  f.reduce(op, value, mask, y);
  CHECK(f.run() == nullptr);
  bool right = true;
  for (int64_t i = 0; i < y.a.size; i++) {
    const double w = want[i],
                 size = fabs(w) + (op == Op::sum && is_floating(d)
                                       ? static_cast<double>(x.a.size) / static_cast<double>(y.a.size) * 0.2
                                       : 0);
    const bool ok = fabs(y.get(i) - w) <= tolerance(d, size, op == Op::prod ? 40 : 4) ||
                    (isnan(w) && isnan(y.get(i))) || w == y.get(i);
    if (right && !ok)
      printf("%s %d mask %u: [%lld] is %g, not %g\n", kOpFacts[static_cast<int>(op)].name, static_cast<int>(d), mask,
             static_cast<long long>(i), y.get(i), w);
    right = right && ok;
  }
  CHECK(right);
  free(want);
}

TEST(reduce_every_mask_and_layout) {
  const int64_t shapes[][3] = {{3, 5, 70}, {1, 9, 300}, {130, 3, 2}, {7, 1, 1}, {40, 33, 5}};
  for (const auto& s : shapes) {
    const int64_t layouts[][3] = {{s[1] * s[2], s[2], 1}, {1, s[0], s[0] * s[1]},    {s[2], s[0] * s[2], 1},
                                  {0, 1, s[1]},           {-s[1] * s[2], -s[2], -1}, {0, 0, 0}};
    for (const auto& layout : layouts) {
      Nd x(DType::float32, 3, s, layout), h(DType::bfloat16, 3, s, layout), i(DType::int32, 3, s, layout);
      x.fill(-1, 1);
      h.fill(-1, 1);
      i.fill(-50, 50);
      for (uint32_t mask = 0; mask < 8; mask++) {
        const Op some[] = {Op::sum, Op::max};
        for (Op op : some) {
          check_reduce(op, x, mask, false);
          check_reduce(op, x, mask, true);
          check_reduce(op, i, mask, false);
        }
        check_reduce(Op::min, h, mask, false);
        check_reduce(Op::sum, h, mask, false);
      }
    }
  }
}
TEST(reduce_every_dtype_and_op) {
  const int64_t shape[] = {37, 41};
  for (int code = 0; code < kDTypes - 1; code++) {
    const DType d = static_cast<DType>(code);
    Nd x(d, 2, shape);
    x.fill(d >= DType::int8 ? -3 : 0, 2.99);
    const Op some[] = {Op::sum, Op::max, Op::min};
    for (Op op : some) {
      if (op == Op::sum && item_size(d) == 1) continue;  // would wrap
      for (uint32_t mask = 0; mask < 4; mask++) check_reduce(op, x, mask, false);
    }
    x.fill(1, d == DType::bool_ ? 1.5 : 1.01);
    if (d != DType::bool_) check_reduce(Op::prod, x, 1, false);
  }
  Nd t(DType::bool_, 2, shape);
  t.fill(0, 1.03);
  for (int64_t i = 0; i < t.a.size; i++) t.set(i, uniform() < 0.97);
  for (uint32_t mask = 1; mask < 4; mask++) {
    check_reduce(Op::all, t, mask, false);
    check_reduce(Op::any, t, mask, false);
  }
}
TEST(reduce_large_splits) {
  const int64_t all[] = {700001}, tall[] = {90001, 5}, wide[] = {3, 200003}, middle[] = {2, 70001, 3};
  const Op some[] = {Op::sum, Op::min};
  for (Op op : some) {
    Nd a(DType::float32, 1, all), b(DType::float32, 2, tall), c(DType::float32, 2, wide), d(DType::float16, 3, middle);
    check_reduce(op, a.fill(-1, 1), 1, false);
    check_reduce(op, b.fill(-1, 1), 1, false);
    check_reduce(op, b, 2, true);
    check_reduce(op, c.fill(-1, 1), 2, false);
    check_reduce(op, c, 3, true);
    check_reduce(op, d.fill(-1, 1), 2, false);
  }
}
TEST(reduce_nan_and_empty) {
  const int64_t n = 1000, none[] = {0, 4};
  Nd x(DType::float32, 1, &n);
  x.fill(-1, 1);
  const int64_t places[] = {0, 17, 999};
  for (int64_t at : places) {
    const double before = x.get(at);
    x.set(at, NAN);
    check_reduce(Op::max, x, 1, false);
    check_reduce(Op::min, x, 1, false);
    x.set(at, before);
  }
  Nd e(DType::float32, 2, none);
  for (uint32_t mask = 1; mask < 4; mask++) check_reduce(Op::sum, e, mask, false);
}
/// A value may be an output and be reduced in one kernel.
TEST(reduce_with_outputs) {
  const int64_t shape[] = {61, 90};
  Nd x(DType::float32, 2, shape), y(DType::float32, 2, shape), s(DType::float32, 1, shape),
      c(DType::float32, 1, shape + 1);
  x.fill(0, 1);
  for (int axis = 0; axis < 2; axis++) {
    Fusion f(x);
    const int v = f.step(Op::square, DType::float32, f.input(x));
    f.output(v, y);
    f.reduce(Op::sum, v, 1u << axis, axis == 1 ? s : c);
    CHECK(f.run() == nullptr);
    for (int64_t i = 0; i < shape[0]; i++) {
      double sum = 0;
      for (int64_t j = 0; j < shape[1]; j++) {
        CHECK_NEAR(y.get(i * 90 + j), x.get(i * 90 + j) * x.get(i * 90 + j), 1e-6);
        sum += y.get(i * 90 + j);
      }
      if (axis == 1) CHECK_NEAR(s.get(i), sum, 1e-5);
    }
  }
}

TEST(argmax_argmin) {
  const int64_t shape[] = {13, 700, 9};
  const int64_t layouts[][3] = {{6300, 9, 1}, {1, 13, 9100}, {9, 117, 1}, {-6300, -9, -1}};
  const DType dtypes[] = {DType::bool_, DType::uint8,   DType::int16,   DType::float16, DType::bfloat16,
                          DType::int32, DType::float32, DType::float64, DType::int64};
  for (DType d : dtypes) {
    for (const auto& layout : layouts) {
      Nd x(d, 3, shape, layout);
      x.fill(d >= DType::int8 ? -40 : 0, 40);
      if (is_floating(d)) x.set(77, NAN), x.set(3, -0.0), x.set(5000, NAN);
      for (int axis = 0; axis < 3; axis++) {
        int64_t kept[2], n = shape[axis], inner = 1;
        for (int i = 0, k = 0; i < 3; i++) {
          if (i != axis) kept[k++] = shape[i];
          inner *= i > axis ? shape[i] : 1;
        }
        for (int least = 0; least < 2; least++) {
          Nd y(DType::uint32, 2, kept);
          const ArgmaxParams params{axis};
          CHECK(run_kernel(least != 0 ? Op::argmin : Op::argmax, x, y, params) == nullptr);
          bool right = true;
          for (int64_t k = 0; k < y.a.size; k++) {
            const int64_t base = k / inner * inner * n + k % inner;
            int64_t best = 0;
            for (int64_t i = 1; i < n; i++) {
              const double a = x.get(base + best * inner), b = x.get(base + i * inner);
              if (!isnan(a) && (isnan(b) || (least != 0 ? b < a : b > a))) best = i;
            }
            right = right && y.get(k) == static_cast<double>(best);
          }
          CHECK(right);
        }
      }
    }
  }
}

}  // namespace
