// Gathers, scatters and slices: every kernel against plain loops over indices, with strided operands, negative indices,
// duplicates, updates in place, and indices out of range.
#include "kernel_case.h"

namespace denim::testing {
namespace {

constexpr DType kIndexTypes[] = {DType::int32, DType::uint32, DType::int64, DType::uint64};

void number(Tensor& t) {
  for (int64_t i = 0; i < t.size; i++) t.put(i, static_cast<double>(i % 97));
}
void set_all(Tensor& t, const List& values) {
  for (int64_t i = 0; i < t.size; i++) t.put(i, static_cast<double>(values.at[i]));
}
double combine(int64_t mode, double y, double x) {
  return mode == 0 ? x : mode == 1 ? y + x : mode == 2 ? y * x : mode == 3 ? (y > x ? y : x) : y < x ? y : x;
}

/// x [5, 7, 3] gathered along axes 0 and 2 with slices [2, 7, 1].
void check_gather(DType dtype, DType index, const List& order) {
  Tensor x(dtype, {5, 7, 3}, order), i0(index, {4}), i2(index, {4}), y(dtype, {4, 2, 7, 1});
  number(x);
  List first{0, 3, 2, 1}, second{2, 0, 1, 2}, axes{0, 2}, sizes{2, 7, 1};
  set_all(i0, first);
  set_all(i2, second);
  if (index == DType::int32 || index == DType::int64) i2.put(0, -1);
  GatherParams params{axes.ints(), sizes.ints()};
  CHECK(run_kernel(Op::gather, {x, i0, i2}, y, &params) == nullptr);
  for (int64_t k = 0; k < 4; k++) {
    for (int64_t a = 0; a < 2; a++) {
      for (int64_t b = 0; b < 7; b++) CHECK_NEAR(y.get({k, a, b, 0}), x.get({first.at[k] + a, b, second.at[k]}), 0);
    }
  }
}

/// Rows of x [6, 40] updated by [3, 5] slices [1, 40], with duplicates.
void check_scatter(DType dtype, int64_t mode, int64_t columns, bool in_place) {
  Tensor x(dtype, {6, columns}), updates(dtype, {15, 1, columns}, {2, 0, 1}), rows(DType::int32, {15}),
      y(dtype, {6, columns});
  Tensor want(DType::float64, {6, columns});
  for (int64_t i = 0; i < x.size; i++) x.put(i, static_cast<double>(i % 3));
  for (int64_t i = 0; i < updates.size; i++) updates.put(i, static_cast<double>(i % 2 + 1));
  for (int64_t i = 0; i < 15; i++) rows.put(i, static_cast<double>((i * 7 + 3) % 6 - (i % 2 ? 6 : 0)));
  for (int64_t i = 0; i < x.size; i++) want.put(i, x.at(i));
  for (int64_t i = 0; i < 15; i++) {
    int64_t row = (i * 7 + 3) % 6;
    for (int64_t j = 0; j < columns; j++) want.set({row, j}, combine(mode, want.get({row, j}), updates.get({i, 0, j})));
  }
  List axes{0};
  ScatterParams params{axes.ints(), mode};
  CHECK(run_kernel(Op::scatter, {x, updates, rows}, in_place ? x : y, &params) == nullptr);
  for (int64_t i = 0; i < x.size; i++)
    CHECK_NEAR((in_place ? x : y).at(i), dtype == DType::bool_ ? want.at(i) != 0 : want.at(i), 0);
}

}  // namespace

TEST(gather_takes_slices) {
  for (DType index : kIndexTypes) {
    check_gather(DType::float32, index, {});
    check_gather(DType::bfloat16, index, {2, 0, 1});
  }
  check_gather(DType::uint8, DType::int32, {1, 2, 0});
  check_gather(DType::complex64, DType::int64, {});
}
TEST(gather_rows_in_parallel) {
  Tensor x(DType::float32, {500, 300}), rows(DType::uint32, {900}), y(DType::float32, {900, 1, 300});
  number(x);
  for (int64_t i = 0; i < 900; i++) rows.put(i, static_cast<double>(i * 31 % 500));
  List axes{0}, sizes{1, 300};
  GatherParams params{axes.ints(), sizes.ints()};
  CHECK(run_kernel(Op::gather, {x, rows}, y, &params) == nullptr);
  int64_t bad = 0;
  for (int64_t i = 0; i < 900; i++) {
    for (int64_t j = 0; j < 300; j++) bad += y.get({i, 0, j}) != x.get({i * 31 % 500, j});
  }
  CHECK(bad == 0);
}
TEST(index_out_of_range_is_named) {
  Tensor x(DType::float32, {5}), at(DType::int32, {2}), y(DType::float32, {2, 1});
  List axes{0}, sizes{1};
  GatherParams params{axes.ints(), sizes.ints()};
  at.put(1, 7);
  const char* error = run_kernel(Op::gather, {x, at}, y, &params);
  CHECK(error && !strcmp(error, "index 7 is out of range for axis 0 of length 5"));
  at.put(1, -6);
  CHECK(run_kernel(Op::gather, {x, at}, y, &params) != nullptr);
  at.put(1, -5);
  CHECK(run_kernel(Op::gather, {x, at}, y, &params) == nullptr);
  Tensor big(DType::uint64, {2});
  memset(big.data, 0xff, 16);
  CHECK(run_kernel(Op::gather, {x, big}, y, &params) != nullptr);
}
TEST(scatter_applies_updates_in_order) {
  const DType dtypes[] = {DType::float32, DType::float16, DType::bfloat16, DType::float64,
                          DType::int32,   DType::uint8,   DType::int64,    DType::complex64};
  for (DType t : dtypes) {
    for (int64_t mode = 0; mode < 5; mode++) {
      check_scatter(t, mode, 40, false);
      check_scatter(t, mode, 3, true);
    }
  }
  check_scatter(DType::bool_, 1, 5, false);
  check_scatter(DType::float32, 1, 20000, false);
}
TEST(along_one_axis) {
  for (int64_t axis = 0; axis < 3; axis++) {
    List shape{4, 5, 6};
    List picked = shape;
    picked.at[axis] = 3;
    Tensor x(DType::float32, shape, {1, 2, 0}), at(DType::int64, picked), y(DType::float32, picked),
        updates(DType::float32, picked, {2, 1, 0});
    Tensor z(DType::float32, shape), want(DType::float64, shape);
    number(x);
    updates.random();
    for (int64_t i = 0; i < at.size; i++) at.put(i, static_cast<double>(i * 5 % 4) - (i % 3 == 0 ? 4 : 0));
    GatherAxisParams gather{axis};
    ScatterAxisParams scatter{axis, 1};
    CHECK(run_kernel(Op::gatherAxis, {x, at}, y, &gather) == nullptr);
    CHECK(run_kernel(Op::scatterAxis, {x, at, updates}, z, &scatter) == nullptr);
    auto each = [](const List& n, auto f) {
      for (int64_t i = 0; i < n.at[0]; i++) {
        for (int64_t j = 0; j < n.at[1]; j++) {
          for (int64_t k = 0; k < n.at[2]; k++) f(List{i, j, k});
        }
      }
    };
    each(shape, [&](List i) { want.set(i, x.get(i)); });
    each(picked, [&](List i) {
      List from = i;
      int64_t v = static_cast<int64_t>(at.get(i));
      from.at[axis] = v < 0 ? v + shape.at[axis] : v;
      CHECK_NEAR(y.get(i), x.get(from), 0);
      want.set(from, static_cast<float>(want.get(from) + updates.get(i)));
    });
    each(shape, [&](List i) { CHECK_NEAR(z.get(i), want.get(i), 1e-5); });
  }
}
TEST(slice_update_with_steps) {
  Tensor x(DType::int32, {8, 9}, {1, 0}), updates(DType::int32, {3, 4}, {1, 0}), y(DType::int32, {8, 9}),
      want(DType::float64, {8, 9});
  number(x);
  number(updates);
  List starts{7, 1}, steps{-3, 2};
  for (int64_t mode = 0; mode < 5; mode++) {
    SliceUpdateParams params{starts.ints(), steps.ints(), mode};
    for (int64_t i = 0; i < 72; i++) want.set({i / 9, i % 9}, x.get({i / 9, i % 9}));
    for (int64_t i = 0; i < 12; i++) {
      List to{7 - 3 * (i / 4), 1 + 2 * (i % 4)};
      want.set(to, combine(mode, want.get(to), updates.get({i / 4, i % 4})));
    }
    CHECK(run_kernel(Op::sliceUpdate, {x, updates}, y, &params) == nullptr);
    for (int64_t i = 0; i < 72; i++) CHECK_NEAR(y.at(i), want.at(i), 0);
  }
  List beyond{8, 1};
  SliceUpdateParams bad{beyond.ints(), steps.ints(), 0};
  CHECK(run_kernel(Op::sliceUpdate, {x, updates}, y, &bad) != nullptr);
}
TEST(slices_that_start_at_data) {
  Tensor x(DType::float16, {6, 5}, {1, 0}), start(DType::int32, {1}), y(DType::float16, {2, 5}),
      updates(DType::float16, {2, 5}), z(DType::float16, {6, 5});
  number(x);
  updates.random();
  start.put(0, 3);
  List axes{0}, sizes{2, 5};
  DynamicSliceParams slice{axes.ints(), sizes.ints()};
  DynamicSliceUpdateParams update{axes.ints()};
  CHECK(run_kernel(Op::dynamicSlice, {x, start}, y, &slice) == nullptr);
  CHECK(run_kernel(Op::dynamicSliceUpdate, {x, updates, start}, z, &update) == nullptr);
  for (int64_t i = 0; i < 30; i++) {
    int64_t r = i / 5, j = i % 5;
    if (r < 2) CHECK_NEAR(y.get({r, j}), x.get({r + 3, j}), 0);
    CHECK_NEAR(z.get({r, j}), r >= 3 && r < 5 ? updates.get({r - 3, j}) : x.get({r, j}), 0);
  }
  start.put(0, 5);
  CHECK(run_kernel(Op::dynamicSlice, {x, start}, y, &slice) != nullptr);
}
TEST(concatenate_along_each_axis) {
  for (int64_t axis = 0; axis < 2; axis++) {
    List first{3, 4}, second{3, 4}, all{3, 4};
    second.at[axis] = 5;
    all.at[axis] += 5;
    Tensor a(DType::int16, first, {1, 0}), b(DType::int16, second), y(DType::int16, all);
    number(a);
    number(b);
    ConcatenateParams params{axis};
    CHECK(run_kernel(Op::concatenate, {a, b}, y, &params) == nullptr);
    for (int64_t i = 0; i < all.at[0]; i++) {
      for (int64_t j = 0; j < all.at[1]; j++) {
        List at{i, j};
        bool in_first = at.at[axis] < first.at[axis];
        if (!in_first) at.at[axis] -= first.at[axis];
        CHECK_NEAR(y.get({i, j}), in_first ? a.get(at) : b.get(at), 0);
      }
    }
  }
}

}  // namespace denim::testing
