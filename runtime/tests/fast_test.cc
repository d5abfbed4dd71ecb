// Softmax, norms, rope and attention against their formulas in double: all float dtypes, layouts, masks and edge cases.
#include "kernel_case.h"

namespace denim::testing {
namespace {

constexpr int64_t kLengths[] = {1, 3, 16, 37, 128};

void check_softmax(DType t, int64_t n) {
  Tensor x(t, {3, 5, n}, {1, 0, 2}), y(t, {3, 5, n}), l(t, {3, 5});
  x.random(6);
  SoftmaxParams params{0};
  CHECK(run_kernel(Op::softmax, {x}, y, &params) == nullptr);
  CHECK(run_kernel(Op::logsumexp, {x}, l, nullptr) == nullptr);
  for (int64_t r = 0; r < 15; r++) {
    double max = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++) max = fmax(max, x.get({r / 5, r % 5, j}));
    for (int64_t j = 0; j < n; j++) sum += exp(x.get({r / 5, r % 5, j}) - max);
    for (int64_t j = 0; j < n; j++)
      CHECK_NEAR(y.get({r / 5, r % 5, j}), exp(x.get({r / 5, r % 5, j}) - max) / sum, tolerance(t));
    CHECK_NEAR(l.at(r), max + log(sum), tolerance(t) * (1 + fabs(max + log(sum))));
  }
}
void check_norms(DType t, int64_t n) {
  Tensor x(t, {4, n}), w(t, {n}), b(t, {n}), rms(t, {4, n}), layer(t, {4, n}), plain(t, {4, n});
  x.random(3);
  w.random();
  b.random();
  RmsNormParams rms_params{1e-5};
  LayerNormParams layer_params{1e-5, 1, 1}, plain_params{1e-5, 0, 0};
  CHECK(run_kernel(Op::rmsNorm, {x, w}, rms, &rms_params) == nullptr);
  CHECK(run_kernel(Op::layerNorm, {x, w, b}, layer, &layer_params) == nullptr);
  CHECK(run_kernel(Op::layerNorm, {x}, plain, &plain_params) == nullptr);
  for (int64_t r = 0; r < 4; r++) {
    double squares = 0, sum = 0, variance = 0;
    for (int64_t j = 0; j < n; j++) squares += x.get({r, j}) * x.get({r, j});
    for (int64_t j = 0; j < n; j++) sum += x.get({r, j});
    double mean = sum / static_cast<double>(n);
    for (int64_t j = 0; j < n; j++) variance += pow(x.get({r, j}) - mean, 2) / static_cast<double>(n);
    for (int64_t j = 0; j < n; j++) {
      double v = x.get({r, j}), normal = (v - mean) / sqrt(variance + 1e-5), limit = 4 * tolerance(t);
      CHECK_NEAR(rms.get({r, j}), v / sqrt(squares / static_cast<double>(n) + 1e-5) * w.at(j), limit);
      CHECK_NEAR(layer.get({r, j}), normal * w.at(j) + b.at(j), limit);
      CHECK_NEAR(plain.get({r, j}), normal, limit);
    }
  }
}
/// x [2, 3, 4, 12] of strided layout, dims of 12 rotated, positions from a vector of offsets.
void check_rope(DType t, int64_t dims, bool traditional, bool freqs) {
  Tensor x(t, {2, 3, 4, 12}, {0, 2, 1, 3}), y(t, {2, 3, 4, 12}), offset(DType::int32, {2}),
      f(DType::float32, {dims / 2});
  x.random();
  offset.put(0, 5);
  offset.put(1, 90);
  for (int64_t i = 0; i < f.size; i++) f.put(i, 1.0 + static_cast<double>(i));
  RopeParams params{dims, traditional, 10000, 0.5, freqs};
  CHECK((freqs ? run_kernel(Op::rope, {x, offset, f}, y, &params) : run_kernel(Op::rope, {x, offset}, y, &params)) ==
        nullptr);
  for (int64_t r = 0; r < 24; r++) {
    int64_t b = r / 12, h = r / 4 % 3, p = r % 4, half = dims / 2;
    for (int64_t i = 0; i < half; i++) {
      double freq = freqs ? f.at(i) : pow(10000, 2.0 * static_cast<double>(i) / static_cast<double>(dims));
      double angle = (offset.at(b) + static_cast<double>(p)) * 0.5 / freq;
      int64_t i0 = traditional ? 2 * i : i, i1 = traditional ? 2 * i + 1 : i + half;
      double v0 = x.get({b, h, p, i0}), v1 = x.get({b, h, p, i1});
      CHECK_NEAR(y.get({b, h, p, i0}), v0 * cos(angle) - v1 * sin(angle),
                 2 * tolerance(t) + (t == DType::float64 ? 0 : 1e-5));
      CHECK_NEAR(y.get({b, h, p, i1}), v0 * sin(angle) + v1 * cos(angle),
                 2 * tolerance(t) + (t == DType::float64 ? 0 : 1e-5));
    }
    for (int64_t i = dims; i < 12; i++) CHECK_NEAR(y.get({b, h, p, i}), x.get({b, h, p, i}), 0);
  }
}

enum MaskKind { kNoMask, kBoolMask, kFloatMask, kHidingMask };
struct Case {
  int64_t batch, heads, groups, queries, keys, width, out_width;
  bool causal = false;
  int64_t window = 0;
  MaskKind mask = kNoMask;
  bool sinks = false, length = false, strided = false;
  DType dtype = DType::float32;
};
/// One row of the result in double. A row that sees nothing has equal weights for all keys, or 0 beside a sink.
void reference_row(const Case& c, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                   const Tensor& sinks, int64_t n, const List& at, double* out) {
  int64_t b = at.at[0], h = at.at[1], t = at.at[2], g = h / (c.heads / c.groups), position = n - c.queries + t;
  auto* weights = static_cast<double*>(calloc(static_cast<size_t>(c.keys) + 1, sizeof(double)));
  double max = c.sinks ? sinks.at(h) : -INFINITY, sum = 0;
  bool sees = false;
  for (int64_t j = 0; j < n; j++) {
    bool hidden = (c.causal && j > position) || (c.window && j <= position - c.window);
    double s = 0;
    for (int64_t d = 0; d < c.width; d++) s += q.get({b, h, t, d}) * k.get({b, g, j, d});
    s *= 0.3;
    if (c.mask == kBoolMask) hidden = hidden || mask.get({b, h, t, j}) == 0;
    if (c.mask == kFloatMask || c.mask == kHidingMask) s += mask.get({b, h, t, j});
    weights[j] = hidden ? -INFINITY : s;
    sees = sees || !hidden;
    max = fmax(max, weights[j]);
  }
  for (int64_t j = 0; j < n; j++) sum += weights[j] = sees ? exp(weights[j] - max) : c.sinks ? 0 : 1;
  if (c.sinks) sum += exp(sinks.at(h) - max);
  for (int64_t e = 0; e < c.out_width; e++) {
    out[e] = 0;
    for (int64_t j = 0; j < n; j++) out[e] += weights[j] / sum * v.get({b, g, j, e});
  }
  free(weights);
}
void fill_mask(const Case& c, Tensor& mask) {
  for (int64_t i = 0; i < mask.size; i++) {
    double r = next_random();
    mask.put(i, c.mask == kBoolMask ? r > -0.2 : c.mask == kHidingMask && r < 0 ? -INFINITY : r);
  }
  if (c.mask == kBoolMask) {
    for (int64_t j = 0; j < c.keys; j++) mask.set({0, 0, 0, j}, 0);
  }
}
void check_attention(const Case& c) {
  List order = c.strided ? List{0, 2, 1, 3} : List{};
  Tensor q(c.dtype, {c.batch, c.heads, c.queries, c.width}, order),
      k(c.dtype, {c.batch, c.groups, c.keys, c.width}, order);
  Tensor v(c.dtype, {c.batch, c.groups, c.keys, c.out_width}, order),
      y(c.dtype, {c.batch, c.heads, c.queries, c.out_width});
  Tensor mask(c.mask == kBoolMask ? DType::bool_ : c.dtype, {c.batch, c.heads, c.queries, c.keys}),
      sinks(c.dtype, {c.heads}), length(DType::int32, {c.batch});
  if (c.strided) mask.strides[1] = 0;  // one mask for all heads
  q.random(2);
  k.random(2);
  v.random();
  sinks.random();
  fill_mask(c, mask);
  for (int64_t b = 0; b < c.batch; b++) length.put(b, static_cast<double>(c.keys - (b + 1) * c.keys / 4));
  Inputs in(q, k, v);
  if (c.mask != kNoMask) in.at[in.n++] = mask.array();
  if (c.sinks) in.at[in.n++] = sinks.array();
  if (c.length) in.at[in.n++] = length.array();
  AttentionParams params{0.3, c.causal, c.window, c.mask != kNoMask, c.sinks, c.length};
  CHECK(run_kernel(Op::attention, in, y, &params) == nullptr);
  Tensor want(DType::float64, {c.out_width});
  for (int64_t r = 0; r < c.batch * c.heads * c.queries; r++) {
    List at{r / c.queries / c.heads, r / c.queries % c.heads, r % c.queries};
    int64_t n = c.length ? static_cast<int64_t>(length.at(at.at[0])) : c.keys;
    reference_row(c, q, k, v, mask, sinks, n, at, reinterpret_cast<double*>(want.data));
    for (int64_t e = 0; e < c.out_width; e++)
      CHECK_NEAR(y.get({at.at[0], at.at[1], at.at[2], e}), want.at(e), tolerance(c.dtype));
  }
}

}  // namespace

TEST(softmax_and_logsumexp) {
  for (DType t : kFloats) {
    for (int64_t n : kLengths) check_softmax(t, n);
  }
}
TEST(softmax_of_infinities) {
  Tensor x(DType::float32, {2, 3}), y(DType::float32, {2, 3}), l(DType::float32, {2});
  for (int64_t i = 0; i < 6; i++) x.put(i, i == 4 ? 1 : -INFINITY);
  SoftmaxParams params{1};
  CHECK(run_kernel(Op::softmax, {x}, y, &params) == nullptr);
  CHECK(run_kernel(Op::logsumexp, {x}, l, nullptr) == nullptr);
  CHECK(isnan(y.at(0)));
  CHECK(y.at(3) == 0 && y.at(4) == 1);
  CHECK(l.at(0) == -INFINITY && l.at(1) == 1);
}
TEST(norms) {
  for (DType t : kFloats) {
    for (int64_t n : kLengths) check_norms(t, n);
  }
}
TEST(rope) {
  for (DType t : kFloats) {
    for (int i = 0; i < 4; i++) check_rope(t, i < 2 ? 12 : 8, i % 2, i == 3);
  }
}
TEST(attention_of_few_queries) {
  check_attention({.batch = 1, .heads = 9, .groups = 3, .queries = 1, .keys = 500, .width = 64, .out_width = 64});
  check_attention(
      {.batch = 2, .heads = 4, .groups = 4, .queries = 2, .keys = 700, .width = 80, .out_width = 96, .causal = true});
  check_attention({.batch = 1,
                   .heads = 7,
                   .groups = 1,
                   .queries = 1,
                   .keys = 97,
                   .width = 13,
                   .out_width = 19,
                   .mask = kFloatMask,
                   .strided = true});
  check_attention({.batch = 2,
                   .heads = 2,
                   .groups = 1,
                   .queries = 3,
                   .keys = 300,
                   .width = 32,
                   .out_width = 16,
                   .causal = true,
                   .window = 40,
                   .sinks = true,
                   .length = true});
  check_attention({.batch = 1,
                   .heads = 20,
                   .groups = 1,
                   .queries = 1,
                   .keys = 33,
                   .width = 128,
                   .out_width = 8,
                   .mask = kBoolMask});
  check_attention(
      {.batch = 1, .heads = 2, .groups = 2, .queries = 3, .keys = 2, .width = 8, .out_width = 8, .causal = true});
  check_attention({.batch = 1,
                   .heads = 2,
                   .groups = 2,
                   .queries = 1,
                   .keys = 20000,
                   .width = 8,
                   .out_width = 8,
                   .mask = kHidingMask});
}
TEST(attention_in_tiles) {
  check_attention(
      {.batch = 1, .heads = 6, .groups = 2, .queries = 50, .keys = 50, .width = 64, .out_width = 64, .causal = true});
  check_attention({.batch = 2,
                   .heads = 3,
                   .groups = 3,
                   .queries = 40,
                   .keys = 211,
                   .width = 80,
                   .out_width = 33,
                   .causal = true,
                   .window = 60,
                   .strided = true});
  check_attention({.batch = 2,
                   .heads = 4,
                   .groups = 2,
                   .queries = 21,
                   .keys = 130,
                   .width = 17,
                   .out_width = 5,
                   .mask = kBoolMask,
                   .sinks = true,
                   .length = true});
  check_attention({.batch = 1,
                   .heads = 2,
                   .groups = 1,
                   .queries = 30,
                   .keys = 100,
                   .width = 32,
                   .out_width = 32,
                   .mask = kBoolMask,
                   .strided = true});
  check_attention({.batch = 1,
                   .heads = 1,
                   .groups = 1,
                   .queries = 30,
                   .keys = 200,
                   .width = 256,
                   .out_width = 128,
                   .mask = kHidingMask});
  check_attention(
      {.batch = 1, .heads = 2, .groups = 2, .queries = 40, .keys = 10, .width = 8, .out_width = 8, .causal = true});
  check_attention({.batch = 1,
                   .heads = 2,
                   .groups = 2,
                   .queries = 13,
                   .keys = 10,
                   .width = 8,
                   .out_width = 8,
                   .causal = true,
                   .sinks = true});
}
TEST(attention_dtypes) {
  for (DType t : kFloats) {
    check_attention(
        {.batch = 1, .heads = 6, .groups = 2, .queries = 1, .keys = 130, .width = 64, .out_width = 64, .dtype = t});
    check_attention({.batch = 1,
                     .heads = 6,
                     .groups = 2,
                     .queries = 35,
                     .keys = 120,
                     .width = 72,
                     .out_width = 40,
                     .causal = true,
                     .mask = kFloatMask,
                     .dtype = t});
  }
}
TEST(attention_refuses_lengths_out_of_range) {
  Tensor q(DType::float32, {1, 1, 1, 4}), k(DType::float32, {1, 1, 5, 4}), v(DType::float32, {1, 1, 5, 4}),
      y(DType::float32, {1, 1, 1, 4}), n(DType::int32, {1});
  n.put(0, 6);
  AttentionParams params{1, 0, 0, 0, 0, 1};
  const char* error = run_kernel(Op::attention, {q, k, v, n}, y, &params);
  CHECK(error && !strcmp(error, "length 6 is out of range for 5 keys"));
  n.put(0, 0);
  CHECK(run_kernel(Op::attention, {q, k, v, n}, y, &params) == nullptr);
  CHECK(y.at(0) == 0);
}

}  // namespace denim::testing
