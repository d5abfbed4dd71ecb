// quantizedMatmul, gatherQmm and dequantize: checks, rows of x collected per matrix of weights, and the choice between
// the decode path (few rows, straight from the packed words) and the blocked product with weights dequantized into its
// panels.
#include "../quantized_call.h"
#include "matmul_few.h"
#include "quantized_digits.h"

namespace denim::DENIM_ISA {
namespace {

constexpr int64_t kRowBlock = 1024;  // rows of x that are converted and multiplied at a time
constexpr int64_t kTinyWeights = 8192;

// ---- what a call says -----------------------------------------------------------------------------------------------

Code code_of(const QuantizedFormat& f) {
  if (f.mode == kMxfp8) return Code::fp8;
  if (f.mode != kAffine) return Code::fp4;
  return f.bits == 8 ? Code::int8 : static_cast<Code>(f.bits - 2);
}
ScaleType scale_type_of(const QuantizedFormat& f, DType t) {
  if (f.mode != kAffine) return f.mode == kNvfp4 ? ScaleType::e4m3 : ScaleType::e8m0;
  return t == DType::float32 ? ScaleType::f32 : t == DType::float16 ? ScaleType::f16 : ScaleType::bf16;
}

// The weights at index [0, 0, ...] of the leading axes.
Weights weights_of(const QuantizedFormat& f, const QuantizedOperands& o) {
  Weights w{};
  const int32_t d = o.w->ndim;
  w.codes = o.w->data;
  w.scales = o.scales->data;
  w.code_stride = 4 * o.w->strides[d - 2];
  w.scale_stride = o.scales->strides[d - 2];
  if (o.biases) {
    w.biases = o.biases->data;
    w.bias_stride = o.biases->strides[d - 2];
  }
  w.rows = o.w->shape[d - 2];
  w.cols = o.w->shape[d - 1] * 32 / f.bits;
  w.group = static_cast<int>(f.group);
  w.code = code_of(f);
  w.scale_type = scale_type_of(f, o.scales->dtype);
  return w;
}
// The i-th matrix of weights.
Weights weights_at(const Weights& base, const QuantizedOperands& o, int64_t i) {
  Weights w = base;
  const int32_t d = o.w->ndim - 2;
  const int64_t size = scale_size(w.scale_type);
  w.codes += 4 * entry_offset(i, d, o.w->shape, o.w->strides);
  w.scales += size * entry_offset(i, d, o.scales->shape, o.scales->strides);
  if (w.biases) w.biases += size * entry_offset(i, d, o.biases->shape, o.biases->strides);
  return w;
}

// ---- products -------------------------------------------------------------------------------------------------------

/// Results of rows that lie apart: row i of the product is row rows[i] of the output [.., n].
struct OutRows {
  uint8_t* data;
  int64_t n;
  const int64_t* rows;
};
template <class E>
void finish_rows(const void* out, const float* tile, int64_t i0, int64_t j0, int rows, int cols) {
  const auto& o = *static_cast<const OutRows*>(out);
  for (int r = 0; r < rows; r++) {
    const OutMatrix row{o.data + o.rows[i0 + r] * o.n * static_cast<int64_t>(sizeof(E)), o.n, 1, 1, 0, nullptr, 0, 0};
    finish_matrix<E>(&row, tile + r * kTileCols<float>, 0, j0, 1, cols);
  }
}
FinishFn<float> finish_of(DType t) {
  return t == DType::float32 ? finish_rows<float> : t == DType::float16 ? finish_rows<Half> : finish_rows<BFloat>;
}

// Panels of B from weights: as columns (transpose) in pieces of kPiece weights, or as rows.
constexpr int64_t kPiece = 128;
void pack_weight_columns(const void* operand, int64_t first, int used, int width, int64_t k0, int64_t kc,
                         float* panel) {
  const auto& w = *static_cast<const Weights*>(operand);
  const DequantizeRow dequantize = kDequantizeRow[static_cast<int>(w.code)];
  alignas(64) float piece[kTileCols<float> * kPiece];
  const Lanes lanes{reinterpret_cast<const uint8_t*>(piece), kPiece, 1};
  for (int64_t k = 0; k < kc; k += kPiece) {
    const int64_t n = min_of(kPiece, kc - k);
    for (int l = 0; l < used; l++) dequantize(w, first + l, k0 + k, n, piece + l * kPiece);
    pack_lanes<float>(&lanes, 0, used, width, 0, n, panel + k * width);
  }
}
void pack_weight_rows(const void* operand, int64_t first, int used, int width, int64_t k0, int64_t kc, float* panel) {
  const auto& w = *static_cast<const Weights*>(operand);
  const DequantizeRow dequantize = kDequantizeRow[static_cast<int>(w.code)];
  const int64_t begin = first / kUnit * kUnit, skipped = first - begin;
  for (int64_t k = 0; k < kc; k++, panel += width) {
    alignas(64) float row[kTileCols<float> + 2 * kUnit];
    dequantize(w, k0 + k, begin, round_up(skipped + used, kUnit), row);
    memcpy(panel, row + skipped, sizeof(float) * static_cast<size_t>(used));
    for (int l = used; l < width; l++) panel[l] = 0;
  }
}

// The shape of one product: rows of x, results per row, terms per result.
struct Shape {
  int64_t n, k;
  bool transpose;
};
// A tiny product is summed in order, as MLX does: there the last digits are compared and speed is none.
bool is_few(const Shape& s, int64_t rows) {
  return s.transpose && rows <= kFewQuantized && s.n * s.k > kTinyWeights;
}

Gemm<float> gemm_of(const Shape& s, int64_t rows, const Weights& w) {
  Gemm<float> g{};
  g.m = rows;
  g.n = s.n;
  g.k = s.k;
  g.k_align = s.transpose ? max_of(w.group, kUnit) : 1;
  g.pack_a = pack_lanes<float>;
  g.pack_b = s.transpose ? pack_weight_columns : pack_weight_rows;
  return g;
}

// A tile of up to kTileCols columns for all rows, in passes of 4, 2 and 1 rows while the weights are in the cache.
struct FewCall {
  const FewQuantized* f;
  const FewBlocks* blocks;
  int64_t task_cols;
};
void few_tile(const FewCall& call, int64_t j0, int64_t j1) {
  constexpr int nr = kTileCols<float>;
  const FewQuantized& f = *call.f;
  alignas(64) float tile[kFewQuantized * nr];
  for (int row = 0; row < f.rows;) {
    const int size = f.rows - row >= 4 ? 2 : f.rows - row >= 2 ? 1 : 0;
    const int cols = call.blocks->cols[size];
    int64_t j = j0;
    for (; j + cols <= j1; j += cols) call.blocks->many[size](f, j, row, tile + row * nr + (j - j0));
    for (; j < j1; j++) {
      for (int r = row; r < row + (1 << size); r++) call.blocks->one(f, j, r, tile + r * nr + (j - j0));
    }
    row += 1 << size;
  }
  f.finish(f.out, tile, 0, j0, f.rows, static_cast<int>(j1 - j0));
}
void few_quantized_task(void* ctx, int64_t task, int) {
  const auto& call = *static_cast<const FewCall*>(ctx);
  const int64_t end = min_of((task + 1) * call.task_cols, call.f->w->rows);
  for (int64_t j = task * call.task_cols; j < end; j += kTileCols<float>)
    few_tile(call, j, min_of(j + kTileCols<float>, end));
}
void run_few_quantized(const FewQuantized& f) {
  const Weights& w = *f.w;
  FewCall call{&f, f.blocks, w.rows};
  const int64_t bytes = w.rows * (w.cols / 8 * kCodeBits[static_cast<int>(w.code)]) * f.rows;
  if (bytes < kSerialBytes / 2) return few_quantized_task(&call, 0, 0);
  call.task_cols = round_up(ceil_div(w.rows, 4 * worker_count()), kTileCols<float>);
  parallel(ceil_div(w.rows, call.task_cols), few_quantized_task, &call);
}

// ---- rows of x ------------------------------------------------------------------------------------------------------

template <class E>
void convert_row(const uint8_t* from, int64_t stride, int64_t k, float* to) {
  const auto* p = reinterpret_cast<const E*>(from);
  if (stride != 1) {
    for (int64_t i = 0; i < k; i++) to[i] = load_one(p + i * stride);
    return;
  }
  int64_t i = 0;
  for (; i + kF32Lanes <= k; i += kF32Lanes) store(to + i, load(p + i));
  for (; i < k; i++) to[i] = load_one(p + i);
}

// A call at work. Row r of the product (0 <= r < rows of the output) comes from a row of x, and from the r / m-th
// entry.
struct Work {
  QuantizedOperands o;
  Weights base;
  Shape shape;
  int64_t m, rows, entries;  // rows per entry; m * entries = rows
  int64_t matrices;          // of weights
  const Array* out;
  int64_t block;                           // rows converted at a time
  size_t x_bytes, few_bytes, order_bytes;  // parts of the scratch: rows, x, then what the product needs
};

const uint8_t* x_row(const Work& s, int64_t r) {
  const Array& x = *s.o.x;
  int64_t offset;
  if (s.o.lhs) {
    const int64_t matrix = wrap_index(read_index(*s.o.lhs, r / s.m), leading_size(x));
    offset = entry_offset(matrix, x.ndim - 2, x.shape, x.strides) + r % s.m * x.strides[x.ndim - 2];
  } else {
    offset = entry_offset(r, x.ndim - 1, x.shape, x.strides);
  }
  return x.data + offset * item_size(x.dtype);
}
void convert_rows(const Work& s, const int64_t* rows, int64_t n, float* to) {
  const Array& x = *s.o.x;
  const int64_t stride = x.strides[x.ndim - 1];
  const auto convert = x.dtype == DType::float32   ? convert_row<float>
                       : x.dtype == DType::float16 ? convert_row<Half>
                                                   : convert_row<BFloat>;
  for (int64_t i = 0; i < n; i++) convert(x_row(s, rows[i]), stride, s.shape.k, to + i * s.shape.k);
}

// One matrix of weights times the given rows of x (at most s.block).
void multiply_rows(const Work& s, const Weights& w, const int64_t* rows, int64_t n, uint8_t* scratch) {
  auto* x = reinterpret_cast<float*>(scratch);
  uint8_t* rest = scratch + s.x_bytes;
  convert_rows(s, rows, n, x);
  const OutRows out{s.out->data, s.shape.n, rows};
  const FinishFn<float> finish = finish_of(s.out->dtype);
  if (is_few(s.shape, n)) {
    auto* prepared = reinterpret_cast<float*>(rest);
    const DigitPath digits = digit_path(w);
    bool in_digits = digits.blocks != nullptr;
    for (int64_t i = 0; i < n && in_digits; i++)
      in_digits = digits.prepare(w, x + i * s.shape.k, prepared + i * digits.stride);
    const int64_t stride = in_digits ? digits.stride : few_stride(w.code, w.cols, w.group);
    for (int64_t i = 0; i < n && !in_digits; i++) prepare_few(w, x + i * s.shape.k, prepared + i * stride);
    const FewBlocks* blocks = in_digits ? digits.blocks : &few_blocks(w);
    return run_few_quantized({&w, blocks, prepared, stride, static_cast<int>(n), &out, finish});
  }
  Gemm<float> g = gemm_of(s.shape, n, w);
  const Lanes a{scratch, s.shape.k, 1};
  g.a = &a;
  g.b = &w;
  g.out = &out;
  g.finish = finish;
  gemm(g, rest);
}

Work work_of(const Call& call) {
  Work s{};
  const QuantizedFormat f = quantized_format(call);
  s.o = quantized_operands(call);
  s.base = weights_of(f, s.o);
  s.out = &call.out[0];
  const Array& x = *s.o.x;
  s.shape = {f.transpose ? s.base.rows : s.base.cols, f.transpose ? s.base.cols : s.base.rows, f.transpose};
  s.matrices = leading_size(*s.o.w);
  s.rows = s.shape.n ? s.out->size / s.shape.n : 0;
  s.entries = s.o.lhs ? s.o.lhs->size : s.matrices;
  s.m = s.o.lhs ? x.shape[x.ndim - 2] : s.entries ? s.rows / s.entries : 0;
  s.block = min_of(s.rows, kRowBlock);
  const int64_t few = min_of(s.block, kFewQuantized);
  s.x_bytes = static_cast<size_t>(round_up(s.block * s.shape.k * 4, 64));
  if (is_few(s.shape, few)) {
    const int64_t stride = max_of(few_stride(s.base.code, s.base.cols, s.base.group), digit_path(s.base).stride);
    s.few_bytes = static_cast<size_t>(round_up(few * stride * 4, 64));
  }
  s.order_bytes = static_cast<size_t>(round_up(8 * (s.o.lhs ? s.rows + s.matrices + 1 : s.block), 64));
  return s;
}

// Rows of the output in order, m at a time with each matrix of weights.
void run_in_order(const Work& s, uint8_t* scratch) {
  auto* rows = reinterpret_cast<int64_t*>(scratch);
  for (int64_t e = 0; e < s.entries; e++) {
    const Weights w = weights_at(s.base, s.o, e);
    for (int64_t first = e * s.m; first < (e + 1) * s.m; first += s.block) {
      const int64_t n = min_of(s.block, (e + 1) * s.m - first);
      for (int64_t i = 0; i < n; i++) rows[i] = first + i;
      multiply_rows(s, w, rows, n, scratch + s.order_bytes);
    }
  }
}

// Rows of the output sorted by their matrix of weights, so that many tokens of one expert are one product.
void run_gathered(const Work& s, uint8_t* scratch) {
  auto* rows = reinterpret_cast<int64_t*>(scratch);
  int64_t* ends = rows + s.rows;
  memset(ends, 0, sizeof(int64_t) * static_cast<size_t>(s.matrices + 1));
  for (int64_t e = 0; e < s.entries; e++) ends[wrap_index(read_index(*s.o.rhs, e), s.matrices) + 1] += s.m;
  for (int64_t i = 0; i < s.matrices; i++) ends[i + 1] += ends[i];
  for (int64_t e = 0; e < s.entries; e++) {  // ends[i] grows from the begin of matrix i to its end
    int64_t& at = ends[wrap_index(read_index(*s.o.rhs, e), s.matrices)];
    for (int64_t i = 0; i < s.m; i++) rows[at++] = e * s.m + i;
  }
  for (int64_t i = 0, first = 0; i < s.matrices; first = ends[i++]) {
    const Weights w = weights_at(s.base, s.o, i);
    for (int64_t at = first; at < ends[i]; at += s.block) {
      multiply_rows(s, w, rows + at, min_of(s.block, ends[i] - at), scratch + s.order_bytes);
    }
  }
}

size_t scratch_quantized(const Call& call) {
  if (call.out[0].size == 0) return 0;
  const Work s = work_of(call);
  const size_t gemm_bytes = is_few(s.shape, s.block) ? 0 : gemm_scratch(gemm_of(s.shape, s.block, s.base));
  return s.order_bytes + s.x_bytes + (gemm_bytes > s.few_bytes ? gemm_bytes : s.few_bytes);
}

const char* run_quantized(const Call& call) {
  const QuantizedOperands o = quantized_operands(call);
  if (o.lhs) {
    if (const char* bad = check_indices(*o.lhs, leading_size(*o.x))) return bad;
    if (const char* bad = check_indices(*o.rhs, leading_size(*o.w))) return bad;
  }
  const Array& out = call.out[0];
  if (out.size == 0) return nullptr;
  const Work s = work_of(call);
  if (s.shape.k == 0) {
    memset(out.data, 0, static_cast<size_t>(out.size * item_size(out.dtype)));
  } else if (o.lhs) {
    run_gathered(s, call.scratch);
  } else {
    run_in_order(s, call.scratch);
  }
  return nullptr;
}

// ---- dequantize -----------------------------------------------------------------------------------------------------

struct Dequantizing {
  QuantizedOperands o;
  Weights base;
  uint8_t* out;
  int64_t rows, per_task;
};
template <class E>
void dequantize_task(void* ctx, int64_t task, int) {
  const auto& s = *static_cast<const Dequantizing*>(ctx);
  const DequantizeRow dequantize = kDequantizeRow[static_cast<int>(s.base.code)];
  const int64_t end = min_of((task + 1) * s.per_task, s.rows);
  for (int64_t row = task * s.per_task; row < end; row++) {
    const Weights w = weights_at(s.base, s.o, row / s.base.rows);
    E* to = reinterpret_cast<E*>(s.out) + row * w.cols;
    for (int64_t k = 0; k < w.cols; k += kPiece) {
      alignas(64) float piece[kPiece];
      const int64_t n = min_of(kPiece, w.cols - k);
      dequantize(w, row % w.rows, k, n, piece);
      for (int64_t i = 0; i < n; i += kF32Lanes) store(to + k + i, load(piece + i));
    }
  }
}
const char* run_dequantize(const Call& call) {
  const Array& out = call.out[0];
  if (out.size == 0) return nullptr;
  Dequantizing s{};
  s.o = quantized_operands(call);
  s.base = weights_of(quantized_format(call), s.o);
  s.out = out.data;
  s.rows = out.size / s.base.cols;
  s.per_task = max_of(1, 32 * 1024 / s.base.cols);
  const auto task = out.dtype == DType::float32   ? dequantize_task<float>
                    : out.dtype == DType::float16 ? dequantize_task<Half>
                                                  : dequantize_task<BFloat>;
  parallel(ceil_div(s.rows, s.per_task), task, &s);
  return nullptr;
}

// ---- checks ---------------------------------------------------------------------------------------------------------

bool is_real(DType t) { return t == DType::float32 || t == DType::float16 || t == DType::bfloat16; }
bool is_row_major_inside(const Array& x) { return x.shape[x.ndim - 1] <= 1 || x.strides[x.ndim - 1] == 1; }

const char* check_format(const QuantizedFormat& f) {
  if (f.mode == kAffine) {
    if (f.bits != 2 && f.bits != 3 && f.bits != 4 && f.bits != 5 && f.bits != 6 && f.bits != 8)
      return "quantized: bits";
    return f.group == 32 || f.group == 64 || f.group == 128 ? nullptr : "quantized: group size";
  }
  const bool known = (f.mode == kMxfp4 && f.bits == 4 && f.group == 32) ||
                     (f.mode == kMxfp8 && f.bits == 8 && f.group == 32) ||
                     (f.mode == kNvfp4 && f.bits == 4 && f.group == 16);
  return known ? nullptr : "quantized: mode, bits and group size";
}

constexpr int64_t kMaxLength = int64_t(1) << 40;  // of an axis, so that sizes of scratch do not overflow

// Weights, scales and biases fit together.
const char* check_weights(const QuantizedFormat& f, const QuantizedOperands& o) {
  const Array &w = *o.w, &scales = *o.scales;
  if (w.ndim < 2 || w.dtype != DType::uint32) return "quantized: weights are uint32 with 2 axes or more";
  const int64_t words = w.shape[w.ndim - 1];
  if (words > kMaxLength || w.shape[w.ndim - 2] > kMaxLength) return "quantized: weights are too large";
  if (words * 32 % f.bits || words * 32 / f.bits % f.group) return "quantized: words per row";
  const auto fits = [&](const Array& s) {
    return s.ndim == w.ndim && same_leading(s, w, w.ndim - 1) && s.shape[s.ndim - 1] == words * 32 / f.bits / f.group &&
           is_row_major_inside(s);
  };
  if (!is_row_major_inside(w)) return "quantized: words of a row must be contiguous";
  if (!fits(scales)) return "quantized: scales";
  if (f.mode != kAffine) return scales.dtype == DType::uint8 ? nullptr : "quantized: dtype of scales";
  if (!is_real(scales.dtype) || o.biases->dtype != scales.dtype || !fits(*o.biases))
    return "quantized: scales and biases";
  return nullptr;
}

int32_t inputs_wanted(const Call& call, const QuantizedFormat& f) {
  const int32_t weights = f.mode == kAffine ? 3 : 2;
  return weights + (call.op == Op::dequantize ? 0 : call.op == Op::quantizedMatmul ? 1 : 3);
}

// x [.., k], out [.., n] of x's dtype.
const char* check_product(const QuantizedFormat& f, const QuantizedOperands& o, const Array& out) {
  const Array &x = *o.x, &w = *o.w;
  const int64_t cols = w.shape[w.ndim - 1] * 32 / f.bits, rows = w.shape[w.ndim - 2];
  if (!is_real(x.dtype) || out.dtype != x.dtype) return "quantized: dtype of x";
  if (x.ndim < 1 || out.ndim < 1 || x.shape[x.ndim - 1] != (f.transpose ? cols : rows))
    return "quantized: last axis of x";
  if (out.shape[out.ndim - 1] != (f.transpose ? rows : cols)) return "quantized: last axis of the result";
  return nullptr;
}

const char* check_quantized_matmul(const Call& call) {
  const QuantizedFormat f = quantized_format(call);
  if (const char* bad = check_format(f)) return bad;
  if (call.n_in != inputs_wanted(call, f) || call.n_out != 1) return "quantizedMatmul: number of arrays";
  const QuantizedOperands o = quantized_operands(call);
  const Array &x = *o.x, &w = *o.w, &out = call.out[0];
  if (const char* bad = check_weights(f, o)) return bad;
  if (const char* bad = check_product(f, o, out)) return bad;
  if (x.ndim != out.ndim || !same_leading(x, out, x.ndim - 1)) return "quantizedMatmul: shape of the result";
  if (w.ndim != 2 && (w.ndim != x.ndim || !same_leading(w, x, w.ndim - 2))) return "quantizedMatmul: leading axes";
  return nullptr;
}

const char* check_gather_qmm(const Call& call) {
  const QuantizedFormat f = quantized_format(call);
  if (const char* bad = check_format(f)) return bad;
  if (call.n_in != inputs_wanted(call, f) || call.n_out != 1) return "gatherQmm: number of arrays";
  const QuantizedOperands o = quantized_operands(call);
  const Array &x = *o.x, &lhs = *o.lhs, &rhs = *o.rhs, &out = call.out[0];
  if (const char* bad = check_weights(f, o)) return bad;
  if (const char* bad = check_product(f, o, out)) return bad;
  if (x.ndim < 2 || out.ndim < 2 || out.shape[out.ndim - 2] != x.shape[x.ndim - 2]) return "gatherQmm: rows";
  if (!is_index(lhs.dtype) || !is_index(rhs.dtype)) return "gatherQmm: dtype of indices";
  if (lhs.ndim != out.ndim - 2 || rhs.ndim != out.ndim - 2) return "gatherQmm: rank of indices";
  if (!same_leading(lhs, out, lhs.ndim) || !same_leading(rhs, out, rhs.ndim)) return "gatherQmm: shape of indices";
  return nullptr;
}

const char* check_dequantize(const Call& call) {
  const QuantizedFormat f = quantized_format(call);
  if (const char* bad = check_format(f)) return bad;
  if (call.n_in != inputs_wanted(call, f) || call.n_out != 1) return "dequantize: number of arrays";
  const QuantizedOperands o = quantized_operands(call);
  const Array &w = *o.w, &out = call.out[0];
  if (const char* bad = check_weights(f, o)) return bad;
  if (!is_real(out.dtype) || call.as<DequantizeParams>().dtype != static_cast<int64_t>(out.dtype))
    return "dequantize: dtype";
  if (out.ndim != w.ndim || !same_leading(out, w, w.ndim - 1)) return "dequantize: shape";
  return out.shape[out.ndim - 1] == w.shape[w.ndim - 1] * 32 / f.bits ? nullptr : "dequantize: last axis";
}

size_t no_scratch(const Call&) { return 0; }

}  // namespace

extern const Kernel kernel_quantizedMatmul = {check_quantized_matmul, scratch_quantized, run_quantized};
extern const Kernel kernel_gatherQmm = {check_gather_qmm, scratch_quantized, run_quantized};
extern const Kernel kernel_dequantize = {check_dequantize, no_scratch, run_dequantize};

}  // namespace denim::DENIM_ISA
