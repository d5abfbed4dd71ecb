// quantizedMatmul, gatherQmm and dequantize on the GPU: which kernel for how many rows, all formats by function
// constants.
#include "quantized_call.h"

#include "metal/quantized.h"

namespace denim::metal {
namespace {

constexpr int64_t kUnit = 16;        // weights that a lane takes at a time
constexpr int64_t kMostVectors = 8;  // rows of x per simdgroup of `qmv`
constexpr int64_t kFewRows = 12;     // up to which rows go to `qmv`, though that may read the weights twice

/// The first function constants of all kernels.
struct Constants {
  int32_t values[9];
};
Constants constants_of(const QuantizedFormat& f, const QuantizedOperands& o) {
  const DType t = o.scales->dtype;
  const int32_t affine_scale = t == DType::float32 ? 0 : t == DType::float16 ? 1 : 2;
  const int32_t scale = f.mode == kAffine ? affine_scale : f.mode == kNvfp4 ? 4 : 3;
  const int32_t code = f.mode == kAffine ? 0 : f.mode == kMxfp8 ? 2 : 1;
  return {{static_cast<int32_t>(f.bits), static_cast<int32_t>(f.group), scale, code, 1, 0, f.transpose, 1, 0}};
}

/// Mirrors `Product` of kernels/quantized.metal.
struct Product {
  int32_t m, n, k;
  int32_t rows, cols;
  int32_t one_matrix;
  int32_t lhs_width, rhs_width;
  int32_t x_count, w_count;
};

Product product_of(const Call& call, const QuantizedFormat& f, const QuantizedOperands& o) {
  const Array &x = *o.x, &w = *o.w, &out = call.out[0];
  Product p{};
  p.rows = static_cast<int32_t>(w.shape[w.ndim - 2]);
  p.cols = static_cast<int32_t>(w.shape[w.ndim - 1] * 32 / f.bits);
  p.n = f.transpose ? p.rows : p.cols;
  p.k = f.transpose ? p.cols : p.rows;
  p.one_matrix = w.ndim == 2;
  p.m = static_cast<int32_t>(o.lhs || !p.one_matrix ? out.shape[out.ndim - 2] : out.size / max_of(p.n, 1));
  if (o.lhs) {
    p.lhs_width = static_cast<int32_t>(item_size(o.lhs->dtype));
    p.rhs_width = static_cast<int32_t>(item_size(o.rhs->dtype));
    p.x_count = static_cast<int32_t>(leading_size(x));
    p.w_count = static_cast<int32_t>(leading_size(w));
  }
  return p;
}

void encode_product(const Call& call, Encoder& e) {
  const Array& out = call.out[0];
  if (out.size == 0) return;
  const QuantizedFormat f = quantized_format(call);
  const QuantizedOperands o = quantized_operands(call);
  const Product p = product_of(call, f, o);
  const int64_t entries = out.size / (static_cast<int64_t>(p.m) * p.n);
  Constants c = constants_of(f, o);
  const bool vectors = f.transpose ? p.m <= kFewRows : p.m == 1;
  const int64_t tile_rows = p.m > 32 ? 64 : p.m > 16 ? 32 : 16;
  c.values[4] = static_cast<int32_t>(min_of(p.m, p.m <= kMostVectors ? kMostVectors : ceil_div(p.m, 2)));
  c.values[5] = is_quad(reinterpret_cast<intptr_t>(o.x->data), out.dtype) && p.k % 4 == 0;
  c.values[7] = static_cast<int32_t>(tile_rows / 16);
  e.kernel("quantized", !vectors ? "qmm" : f.transpose ? "qmv" : "qvm", element_define(out.dtype), c.values, 9);
  array_or_nothing(e, 0, o.x);
  array_or_nothing(e, 1, o.w);
  array_or_nothing(e, 2, o.scales);
  array_or_nothing(e, 3, o.biases);
  e.array(4, out, kWrite);
  e.value(5, p);
  array_or_nothing(e, 6, o.lhs);
  array_or_nothing(e, 7, o.rhs);
  e.bad_index(8);
  if (!vectors) {
    const int64_t item = item_size(out.dtype), pad = 16 / item, tile_k = 32, tile_n = 64;
    const int64_t w_tile = f.transpose ? tile_n * (tile_k + pad) : tile_k * (tile_n + pad);
    e.local(0, static_cast<size_t>((tile_rows * (tile_k + pad) + w_tile) * item));
    e.groups({grid_size(ceil_div(p.n, tile_n)), grid_size(ceil_div(p.m, tile_rows)), grid_size(entries)}, {128, 1, 1});
  } else if (f.transpose) {
    e.groups({grid_size(ceil_div(p.n, 8)), grid_size(ceil_div(p.m, c.values[4])), grid_size(entries)}, {64, 1, 1});
  } else {
    e.groups({grid_size(ceil_div(p.n, 32 * kUnit)), grid_size(p.m), grid_size(entries)}, {256, 1, 1});
  }
}

void encode_dequantize(const Call& call, Encoder& e) {
  const Array& out = call.out[0];
  if (out.size == 0) return;
  const QuantizedFormat f = quantized_format(call);
  const QuantizedOperands o = quantized_operands(call);
  const int64_t units = out.shape[out.ndim - 1] / kUnit;
  e.kernel("quantized", "dequantize", element_define(out.dtype), constants_of(f, o).values, 9);
  e.array(0, *o.w, kRead);
  e.array(1, *o.scales, kRead);
  array_or_nothing(e, 2, o.biases);
  e.array(3, out, kWrite);
  e.value(4, static_cast<int32_t>(units));
  const int64_t rows = out.size / out.shape[out.ndim - 1];
  e.threads({grid_size(units), grid_size(rows), 1}, {grid_size(min_of(units, 256)), 1, 1});
}

/// The planner makes all inputs contiguous.
bool can(const Call& call) {
  bool contiguous = true;
  for (int32_t i = 0; i < call.n_in; i++) contiguous = contiguous && is_contiguous(call.in[i]);
  return contiguous;
}
size_t no_scratch(const Call&) { return 0; }

/// Mirrors `Joined` of kernels/quantized.metal.
struct Joined {
  int32_t m, k;
  int32_t n[3];
  int32_t first_group[3];
};

}  // namespace

bool joins_products(const Call& call) {
  const QuantizedFormat f = quantized_format(call);
  const QuantizedOperands o = quantized_operands(call);
  if (!f.transpose || o.w->ndim != 2 || call.out[0].size == 0 || o.w->size == 0 || !can(call)) return false;
  return product_of(call, f, o).m <= kMostVectors;
}

void encode_product_join(const ProductJoin& j, Encoder& e) {
  const Call& first = *j.products[0];
  const QuantizedFormat f = quantized_format(first);
  const QuantizedOperands o = quantized_operands(first);
  const Product p = product_of(first, f, o);
  const bool gated = j.result && !j.added;
  Constants c = constants_of(f, o);
  c.values[4] = p.m;
  c.values[5] = is_quad(reinterpret_cast<intptr_t>(o.x->data), o.x->dtype);
  c.values[8] = gated ? 2 : j.added ? 1 : 0;
  e.kernel("quantized", "qmv_joined", element_define(o.x->dtype), c.values, 9);
  Joined shape{p.m, p.k, {}, {}};
  int64_t groups = 0;
  e.array(0, *o.x, kRead);
  for (int i = 0; i < 3; i++) {
    const Call& call = *j.products[i < j.n ? i : 0];
    const QuantizedOperands own = quantized_operands(call);
    const bool there = i < j.n, writes = j.result ? i == 0 : there;
    array_or_nothing(e, 1 + i, there ? own.w : nullptr);
    array_or_nothing(e, 4 + i, there ? own.scales : nullptr);
    array_or_nothing(e, 7 + i, there ? own.biases : nullptr);
    array_or_nothing(e, 10 + i, !writes ? nullptr : j.result ? j.result : &call.out[0], kWrite);
    shape.n[i] = static_cast<int32_t>(own.w->shape[0]);
    shape.first_group[i] = i < j.n ? static_cast<int32_t>(groups) : INT32_MAX;
    if (i < j.n && !(gated && i == 1)) groups += ceil_div(shape.n[i], 8);
  }
  e.value(13, shape);
  array_or_nothing(e, 14, j.added);
  e.groups({grid_size(groups), 1, 1}, {64, 1, 1});
}

extern const GpuKernel gpu_quantizedMatmul = {can, no_scratch, encode_product};
extern const GpuKernel gpu_gatherQmm = {can, no_scratch, encode_product};
extern const GpuKernel gpu_dequantize = {can, no_scratch, encode_dequantize};

}  // namespace denim::metal
