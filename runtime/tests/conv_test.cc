// Convolution against the sum over taps and channels in double, over parameters, ranks, dtypes and layouts.
#include "kernel_case.h"

namespace denim::testing {
namespace {

struct Case {
  int64_t batch, channels, outputs, groups;
  List in, kernel, stride, low, high, dilation, spread;
  bool flip;
  DType dtype = DType::float32;
  bool strided = false;
};

int64_t out_length(const Case& c, int64_t a) {
  int64_t spread = (c.in.at[a] - 1) * c.spread.at[a] + 1 + c.low.at[a] + c.high.at[a],
          reach = (c.kernel.at[a] - 1) * c.dilation.at[a] + 1;
  return spread < reach ? 0 : (spread - reach) / c.stride.at[a] + 1;
}
/// One output element: position `o` in 3 axes, missing axes in front of length 1.
double reference(const Case& c, const Tensor& x, const Tensor& w, int64_t n, const int64_t* o, int64_t output) {
  int64_t rank = c.in.n, taps = 1, group_channels = c.channels / c.groups, group = output / (c.outputs / c.groups);
  for (int64_t a = 0; a < rank; a++) taps *= c.kernel.at[a];
  double sum = 0;
  for (int64_t tap = 0; tap < taps; tap++) {
    List at_x, at_w;
    at_x.n = at_w.n = rank + 2;
    at_x.at[0] = n;
    at_w.at[0] = output;
    int64_t rest = tap;
    bool inside = true;
    for (int64_t a = rank - 1; a >= 0; a--) {
      int64_t t = rest % c.kernel.at[a], p = o[a] * c.stride.at[a] + t * c.dilation.at[a] - c.low.at[a];
      rest /= c.kernel.at[a];
      inside = inside && p >= 0 && p % c.spread.at[a] == 0 && p / c.spread.at[a] < c.in.at[a];
      at_x.at[a + 1] = p / c.spread.at[a];
      at_w.at[a + 1] = c.flip ? c.kernel.at[a] - 1 - t : t;
    }
    for (int64_t k = 0; inside && k < group_channels; k++) {
      at_x.at[rank + 1] = group * group_channels + k;
      at_w.at[rank + 1] = k;
      sum += x.get(at_x) * w.get(at_w);
    }
  }
  return sum;
}
void check_conv(const Case& c) {
  int64_t rank = c.in.n;
  List xs, ws, ys, order;
  xs.n = ws.n = ys.n = rank + 2;
  xs.at[0] = ys.at[0] = c.batch;
  ws.at[0] = ys.at[rank + 1] = c.outputs;
  xs.at[rank + 1] = c.channels;
  ws.at[rank + 1] = c.channels / c.groups;
  for (int64_t a = 0; a < rank; a++) {
    xs.at[a + 1] = c.in.at[a];
    ws.at[a + 1] = c.kernel.at[a];
    ys.at[a + 1] = out_length(c, a);
  }
  if (c.strided) {
    order.n = rank + 2;
    for (int64_t a = 0; a < order.n; a++) order.at[a] = (a + 1) % order.n;  // the first axis is innermost
  }
  Tensor x(c.dtype, xs, order), w(c.dtype, ws, order), y(c.dtype, ys);
  x.random();
  w.random();
  ConvParams params{c.stride.ints(), c.low.ints(), c.high.ints(), c.dilation.ints(), c.spread.ints(), c.groups, c.flip};
  CHECK(run_kernel(Op::conv, {x, w}, y, &params) == nullptr);
  for (int64_t i = 0; i < y.size; i++) {
    int64_t o[3], rest = i / c.outputs;
    for (int64_t a = rank - 1; a >= 0; a--) {
      o[a] = rest % ys.at[a + 1];
      rest /= ys.at[a + 1];
    }
    double want = reference(c, x, w, rest, o, i % c.outputs);
    double terms = static_cast<double>(w.size) / static_cast<double>(c.outputs);
    CHECK_NEAR(y.at(i), want, tolerance(c.dtype) * (1 + fabs(want) + sqrt(terms) / 16));
  }
}

}  // namespace

TEST(conv_2d) {
  check_conv({2, 3, 5, 1, {7, 9}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, false});
  check_conv({1, 1, 32, 1, {12, 11}, {5, 5}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, {1, 1}, false});
  check_conv({2, 17, 40, 1, {6, 5}, {3, 2}, {2, 1}, {2, 0}, {0, 1}, {1, 2}, {1, 1}, false});
  check_conv({1, 64, 64, 1, {9, 9}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, true});
  check_conv({3, 600, 8, 1, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, {1, 1}, false});
  check_conv({1, 2, 3, 1, {20, 20}, {2, 2}, {1, 1}, {-3, 0}, {-2, 0}, {1, 1}, {1, 1}, false});
}
TEST(conv_other_ranks) {
  check_conv({2, 4, 6, 1, {19}, {4}, {3}, {2}, {3}, {2}, {1}, false});
  check_conv({1, 3, 4, 1, {4, 5, 6}, {2, 3, 2}, {1, 2, 1}, {1, 1, 0}, {0, 1, 1}, {1, 1, 2}, {1, 1, 1}, true});
}
TEST(conv_groups_and_depthwise) {
  check_conv({2, 8, 12, 4, {6, 6}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, false});
  check_conv({2, 37, 37, 37, {6, 7}, {3, 3}, {1, 2}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, false});
  check_conv({1, 20, 20, 20, {30}, {4}, {1}, {3}, {0}, {1}, {1}, true});
  check_conv({1, 6, 12, 6, {5, 5}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, {1, 1}, false});
}
TEST(conv_input_dilation) {
  check_conv({2, 5, 6, 1, {5, 4}, {3, 3}, {1, 1}, {1, 2}, {2, 1}, {1, 1}, {2, 3}, true});
  check_conv({1, 3, 4, 1, {7}, {4}, {2}, {1}, {0}, {1}, {3}, false});
  check_conv({1, 3, 4, 1, {7}, {2}, {3}, {1}, {5}, {2}, {2}, false});
  check_conv({1, 4, 4, 4, {6}, {3}, {1}, {2}, {2}, {1}, {2}, true});
  check_conv({1, 2, 2, 1, {3}, {1}, {1}, {0}, {0}, {1}, {4}, false});
}
TEST(conv_dtypes_and_strides) {
  for (DType t : kFloats) check_conv({2, 6, 33, 1, {6, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, false, t});
  for (DType t : kFloats)
    check_conv({2, 6, 32, 1, {6, 7}, {5, 6}, {1, 1}, {1, 0}, {1, 0}, {1, 1}, {1, 1}, false, t, true});
  // As the gradient of weights calls it: a kernel of the size of an image, the batch as channels.
  check_conv({18, 37, 40, 1, {5, 6}, {5, 6}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, false, DType::float32, true});
}
TEST(conv_weight_gradient_shape) {
  check_conv({3, 70, 32, 1, {16, 16}, {14, 14}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, {1, 1}, false, DType::float32, true});
}
TEST(conv_without_input) {
  check_conv({2, 0, 3, 1, {4}, {2}, {1}, {0}, {0}, {1}, {1}, false});
  check_conv({0, 2, 3, 1, {4}, {2}, {1}, {0}, {0}, {1}, {1}, false});
}
TEST(conv_refuses_wrong_shapes) {
  Tensor x(DType::float32, {1, 5, 2}), w(DType::float32, {3, 2, 2}), y(DType::float32, {1, 5, 3});
  List one{1}, zero{0};
  ConvParams params{one.ints(), zero.ints(), zero.ints(), one.ints(), one.ints(), 1, 0};
  CHECK(run_kernel(Op::conv, {x, w}, y, &params) != nullptr);
  params.groups = 0;
  CHECK(run_kernel(Op::conv, {x, w}, y, &params) != nullptr);
}

}  // namespace denim::testing
