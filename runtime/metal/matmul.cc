// matmul, addmm and gatherMm on the GPU: one description of a product for all of them, the choice between tiles,
// tiles split along K, and the kernels for up to four vectors.
#include "metal/family.h"

namespace denim::metal {
namespace {

constexpr int64_t kTileK = 16;
constexpr int64_t kMostVectors = 4;
constexpr int64_t kManyTiles = 64;  // threadgroups that keep a GPU busy
constexpr int64_t kMostParts = 16;   // along K
constexpr int64_t kPartLength = 256;  // at least

/// Mirrors `Product` of kernels/matmul.metal.
struct Product {
  int64_t a_row, a_k, b_k, b_col, c_row, c_col, out_row, out_col;
  int32_t m, n, k, split_k;
  int32_t ndim, a_ndim, b_ndim;
  float alpha, beta;
  int32_t has_c;
  int32_t lhs_width, rhs_width;
  int32_t a_count, b_count;
};

/// A call: arrays with the leading axes that are left, sizes, and how many products there are.
struct Work {
  Product p;
  Array a, b, c;
  const Array *lhs, *rhs;
  const Array& out;
  int64_t count;
  const int64_t* shape;  // of the batch, p.ndim axes
};

/// Innermost leading axes over which b stays the same and a's (and c's) rows go on evenly become rows of a.
void merge_rows(Work& w) {
  const auto merges = [&](const Array& x, int64_t row, int32_t d) {
    return w.shape[d] == 1 || w.p.m == 1 || x.strides[d] == row * w.p.m;
  };
  while (w.p.ndim > 0) {
    const int32_t d = w.p.ndim - 1;
    const int64_t length = w.shape[d];
    if (length != 1 && w.b.strides[d] != 0) return;
    if (!merges(w.a, w.p.a_row, d) || (w.p.has_c && !merges(w.c, w.p.c_row, d))) return;
    if (w.p.m * length > INT32_MAX) return;
    if (w.p.m == 1 && length > 1) {
      w.p.a_row = w.a.strides[d];
      w.p.c_row = w.p.has_c ? w.c.strides[d] : 0;
    }
    w.p.m *= static_cast<int32_t>(length);
    w.count /= length;
    w.p.ndim--;
  }
}

Work work_of(const Call& call) {
  const bool has_c = call.op == Op::addmm;
  Work w{{}, call.in[has_c ? 1 : 0], call.in[has_c ? 2 : 1], {}, nullptr, nullptr, call.out[0], 0, call.out[0].shape};
  Product& p = w.p;
  const int32_t ad = w.a.ndim, bd = w.b.ndim;
  p.m = static_cast<int32_t>(w.a.shape[ad - 2]);
  p.k = static_cast<int32_t>(w.a.shape[ad - 1]);
  p.n = static_cast<int32_t>(w.b.shape[bd - 1]);
  p.a_row = w.a.strides[ad - 2];
  p.a_k = w.a.strides[ad - 1];
  p.b_k = w.b.strides[bd - 2];
  p.b_col = w.b.strides[bd - 1];
  p.ndim = w.out.ndim - 2;
  p.alpha = 1;
  p.has_c = has_c;
  w.count = leading_size(w.out);
  if (has_c) {
    w.c = call.in[0];
    p.c_row = w.c.strides[ad - 2];
    p.c_col = w.c.strides[ad - 1];
    p.alpha = static_cast<float>(call.as<AddmmParams>().alpha);
    p.beta = static_cast<float>(call.as<AddmmParams>().beta);
  }
  if (call.op == Op::gatherMm) {
    w.lhs = &call.in[2];
    w.rhs = &call.in[3];
    p.lhs_width = static_cast<int32_t>(item_size(w.lhs->dtype));
    p.rhs_width = static_cast<int32_t>(item_size(w.rhs->dtype));
    p.a_ndim = ad - 2;
    p.b_ndim = bd - 2;
    p.a_count = static_cast<int32_t>(leading_size(w.a));
    p.b_count = static_cast<int32_t>(leading_size(w.b));
  } else if (w.out.size > 0) {
    merge_rows(w);
  }
  p.out_row = p.n;
  p.out_col = 1;
  return w;
}

/// The product of the transposed matrices, which has the same result in memory.
void transpose_product(Work& w) {
  const auto swap = [](auto& x, auto& y) {
    const auto z = x;
    x = y;
    y = z;
  };
  Product& p = w.p;
  swap(w.a, w.b);
  swap(w.lhs, w.rhs);
  swap(p.lhs_width, p.rhs_width);
  swap(p.a_ndim, p.b_ndim);
  swap(p.a_count, p.b_count);
  swap(p.m, p.n);
  swap(p.a_row, p.b_col);
  swap(p.a_k, p.b_k);
  swap(p.c_row, p.c_col);
  swap(p.out_row, p.out_col);
}

/// Four neighbours along an axis of x are always aligned; the merged axis of rows has its own stride.
bool quads(const Array& x, int64_t along, int64_t across) {
  const int64_t item = item_size(x.dtype);
  bool aligned = along == 1 && is_quad(reinterpret_cast<intptr_t>(x.data), x.dtype) && is_quad(across * item, x.dtype);
  for (int32_t d = 0; d + 2 < x.ndim; d++) {
    aligned = aligned && (x.shape[d] == 1 || is_quad(x.strides[d] * item, x.dtype));
  }
  return aligned;
}

void bind(const Work& w, Encoder& e) {
  const Product& p = w.p;
  e.array(0, w.a, kRead);
  e.array(1, w.b, kRead);
  array_or_nothing(e, 2, p.has_c ? &w.c : nullptr);
  e.array(3, w.out, kWrite);
  e.value(5, p);
  Lists lists;
  lists.add(w.shape, p.ndim);
  lists.add(w.lhs ? w.lhs->strides : w.a.strides, p.ndim);
  lists.add(w.rhs ? w.rhs->strides : w.b.strides, p.ndim);
  if (w.lhs) {
    lists.add(w.a.shape, p.a_ndim);
    lists.add(w.a.strides, p.a_ndim);
    lists.add(w.b.shape, p.b_ndim);
    lists.add(w.b.strides, p.b_ndim);
  } else if (p.has_c) {
    lists.add(w.c.strides, p.ndim);
  }
  e.list(6, lists.data, lists.n);
  array_or_nothing(e, 7, w.lhs);
  array_or_nothing(e, 8, w.rhs);
  e.bad_index(9);
}

struct Tiling {
  int64_t rows, cols;   // of a threadgroup
  int64_t parts;        // along K
  int64_t part_length;  // a multiple of kTileK
};
Tiling tiling_of(const Product& p, int64_t count) {
  const auto tiles = [&](int64_t rows, int64_t cols) { return ceil_div(p.m, rows) * ceil_div(p.n, cols) * count; };
  Tiling t{32, 32, 1, 0};
  if (p.m > 32 && p.n > 32 && tiles(64, 64) >= kManyTiles) t.rows = t.cols = 64;
  if (p.m <= 16 && p.n > 16) t = {16, 64, 1, 0};
  if (p.n <= 16 && p.m > 16) t = {64, 16, 1, 0};
  // A deep product with few tiles leaves cores idle: its parts along K are summed afterwards.
  const int64_t wanted = kManyTiles / tiles(t.rows, t.cols);
  if (count == 1 && wanted > 1) t.parts = max_of(1, min_of(min_of(kMostParts, wanted), p.k / kPartLength));
  t.part_length = ceil_div(ceil_div(p.k, t.parts), kTileK) * kTileK;
  t.parts = max_of(1, ceil_div(p.k, max_of(t.part_length, 1)));
  return t;
}
bool is_vectors(const Product& p) { return p.m <= kMostVectors || p.n <= kMostVectors; }

size_t scratch_of(const Call& call) {
  if (call.out[0].size == 0 || call.out[0].dtype == DType::complex64) return 0;
  const Work w = work_of(call);
  if (is_vectors(w.p)) return 0;
  const Tiling t = tiling_of(w.p, w.count);
  return t.parts > 1 ? static_cast<size_t>(t.parts * w.p.m * w.p.n) * sizeof(float) : 0;
}

void encode_gemm(Work& w, uint8_t* scratch, Encoder& e) {
  Product& p = w.p;
  const Tiling t = tiling_of(p, w.count);
  const bool split = t.parts > 1;
  const bool along_k = p.a_k == 1 || p.a_row != 1, along_cols = p.b_col == 1 || p.b_k != 1;
  const bool quads_a = along_k ? quads(w.a, p.a_k, p.a_row) : quads(w.a, p.a_row, p.a_k);
  const bool quads_b = along_cols ? quads(w.b, p.b_col, p.b_k) : quads(w.b, p.b_k, p.b_col);
  p.split_k = static_cast<int32_t>(t.part_length);
  const int32_t constants[] = {static_cast<int32_t>(t.rows / 16),
                               static_cast<int32_t>(t.cols / 16),
                               along_k,
                               along_cols,
                               quads_a,
                               quads_b,
                               split,
                               1,
                               1};
  e.kernel("matmul", "gemm", element_define(w.out.dtype), constants, 9);
  bind(w, e);
  const int64_t item = item_size(w.out.dtype), pad = 16 / item;
  const int64_t a_tile = along_k ? t.rows * (kTileK + pad) : kTileK * (t.rows + pad);
  const int64_t b_tile = along_cols ? kTileK * (t.cols + pad) : t.cols * (kTileK + pad);
  e.local(0, static_cast<size_t>((a_tile + b_tile) * item));
  const int64_t partial_bytes = t.parts * p.m * p.n * static_cast<int64_t>(sizeof(float));
  if (split) {
    e.memory(4, scratch, partial_bytes, kWrite);
  } else {
    array_or_nothing(e, 4, nullptr);
  }
  e.groups({grid_size(ceil_div(p.n, t.cols)), grid_size(ceil_div(p.m, t.rows)), grid_size(split ? t.parts : w.count)},
           {128, 1, 1});
  if (!split) return;
  e.kernel("matmul", "gemm_sum", element_define(w.out.dtype), constants, 9);
  e.memory(0, scratch, partial_bytes, kRead);
  array_or_nothing(e, 1, p.has_c ? &w.c : nullptr);
  e.array(2, w.out, kWrite);
  e.value(3, p);
  e.value(4, static_cast<int32_t>(t.parts));
  e.threads({grid_size(p.n), grid_size(p.m), 1}, {32, 8, 1});
}

/// Up to four vectors, the rows of a, against b.
void encode_gemv(const Work& w, Encoder& e) {
  const Product& p = w.p;
  const bool dots = p.b_k == 1 || p.b_col != 1;
  const int64_t parts = !dots || ceil_div(p.n, 32) * w.count >= kManyTiles || p.k < 1024 ? 1 : 8;
  const int32_t constants[] = {1, 1, 1, 1, quads(w.a, p.a_k, p.a_row),
                               dots ? quads(w.b, p.b_k, p.b_col) : quads(w.b, p.b_col, p.b_k), 0, p.m,
                               static_cast<int32_t>(parts)};
  e.kernel("matmul", dots ? "gemv_dot" : "gemv_sum", element_define(w.out.dtype), constants, 9);
  bind(w, e);
  const int64_t columns = dots ? 4 * (8 / parts) : 128;
  e.groups({grid_size(ceil_div(p.n, columns)), 1, grid_size(w.count)}, {256, 1, 1});
}

void encode(const Call& call, Encoder& e) {
  Work w = work_of(call);
  if (w.out.size == 0) return;
  if (w.out.dtype == DType::complex64) {
    e.kernel("matmul", "gemm_complex", "COMPLEX=1");
    bind(w, e);
    e.groups({grid_size(ceil_div(w.p.n, 16)), grid_size(ceil_div(w.p.m, 16)), grid_size(w.count)}, {16, 16, 1});
    return;
  }
  if (!is_vectors(w.p)) return encode_gemm(w, call.scratch, e);
  if (w.p.m > w.p.n) transpose_product(w);
  encode_gemv(w, e);
}

bool can(const Call& call) { return call.out[0].dtype == DType::complex64 || is_gpu_float(call.out[0].dtype); }

}  // namespace

extern const GpuKernel gpu_matmul = {can, scratch_of, encode};
extern const GpuKernel gpu_addmm = {can, scratch_of, encode};
extern const GpuKernel gpu_gatherMm = {can, scratch_of, encode};

}  // namespace denim::metal
