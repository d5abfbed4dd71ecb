// matmul, addmm and gatherMm: checks, batches, and the choice between the blocked product, products with few rows or
// columns, and plain loops for tiny ones. Complex products are real ones of twice the rows and twice the k.
#include "matmul.h"

#include "matmul_cblas.h"
#include "matmul_few.h"

namespace denim::DENIM_ISA {
namespace {

constexpr int64_t kTinyWork = 2048;  // multiply-adds under which packing does not pay
constexpr double kBatchWork = 4e6;   // multiply-adds under which a whole batch entry goes to one thread
constexpr size_t kBatchScratch = size_t(64) << 20;

// Two complex numbers' product as a real matrix: [re im] times [[re, im], [-im, re]].
struct Complex {
  float re, im;
};

// One entry of a batch: shapes and strides are shared by all entries, pointers are its own.
struct Product {
  DType dtype;
  int64_t m, n, k;
  int64_t a_row, a_k, b_k, b_col;  // strides in elements
  int64_t c_row, c_col;
  double alpha, beta;
  const uint8_t *a, *b, *c;
  uint8_t* out;
};

enum class Way : uint8_t { tiny, few_rows, few_cols, blocked };

Way choose_way(const Product& p) {
  if (p.dtype == DType::complex64) return Way::blocked;
  if (static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k) <= kTinyWork) return Way::tiny;
  if (p.m <= kFewRows && (p.b_k == 1 || p.b_col == 1)) return Way::few_rows;
  if (p.n <= kFewRows && (p.a_k == 1 || p.a_row == 1)) return Way::few_cols;
  return Way::blocked;
}

// The blocked product computes the transposed one where that fills its tiles (wide, low) better.
bool is_swapped(const Product& p) { return p.n < p.m && p.n <= kTileCols<float> / 2; }

// A Lanes operand of complex numbers as rows of A: lane 2i is row i's real part, k runs over (re, -im); lane 2i + 1 is
// its imaginary part, k runs over (im, re).
void pack_complex_rows(const void* operand, int64_t first, int used, int width, int64_t k0, int64_t kc, float* panel) {
  const auto& o = *static_cast<const Lanes*>(operand);
  const auto* p = reinterpret_cast<const Complex*>(o.data) + first / 2 * o.lane_stride + k0 / 2 * o.k_stride;
  for (int64_t k = 0; k < kc; k += 2, p += o.k_stride, panel += 2 * width) {
    for (int l = 0; l < width; l += 2) {
      const Complex z = l < used ? p[l / 2 * o.lane_stride] : Complex{0, 0};
      panel[l] = z.re;
      panel[l + 1] = z.im;
      panel[width + l] = -z.im;
      panel[width + l + 1] = z.re;
    }
  }
}
// As columns of B: k runs over (re, im).
void pack_complex_cols(const void* operand, int64_t first, int used, int width, int64_t k0, int64_t kc, float* panel) {
  const auto& o = *static_cast<const Lanes*>(operand);
  const auto* p = reinterpret_cast<const Complex*>(o.data) + first * o.lane_stride + k0 / 2 * o.k_stride;
  for (int64_t k = 0; k < kc; k += 2, p += o.k_stride, panel += 2 * width) {
    for (int l = 0; l < width; l++) {
      const Complex z = l < used ? p[l * o.lane_stride] : Complex{0, 0};
      panel[l] = z.re;
      panel[width + l] = z.im;
    }
  }
}
void finish_complex(const void* out, const float* tile, int64_t i0, int64_t j0, int rows, int cols) {
  const auto& o = *static_cast<const OutMatrix*>(out);
  const float alpha = static_cast<float>(o.alpha), beta = static_cast<float>(o.beta);
  for (int r = 0; r < rows; r += 2, tile += 2 * kTileCols<float>) {
    const int64_t i = (i0 + r) / 2;
    auto* to = reinterpret_cast<Complex*>(o.data) + i * o.row_stride + j0 * o.col_stride;
    const auto* c = reinterpret_cast<const Complex*>(o.c) + i * o.c_row_stride + j0 * o.c_col_stride;
    for (int j = 0; j < cols; j++) {
      Complex y{alpha * tile[j], alpha * tile[kTileCols<float> + j]};
      if (o.c) y = {y.re + beta * c[j * o.c_col_stride].re, y.im + beta * c[j * o.c_col_stride].im};
      to[j * o.col_stride] = y;
    }
  }
}

OutMatrix output(const Product& p, bool swapped) {
  if (swapped) return {p.out, 1, p.n, p.alpha, p.beta, p.c, p.c_col, p.c_row};
  return {p.out, p.n, 1, p.alpha, p.beta, p.c, p.c_row, p.c_col};
}

// The blocked product's description but for the pointers to operands and output.
template <class T>
Gemm<T> gemm_of(const Product& p) {
  Gemm<T> g{};
  const bool complex = p.dtype == DType::complex64, swapped = is_swapped(p);
  g.m = swapped ? p.n : p.m;
  g.n = swapped ? p.m : p.n;
  g.k = p.k;
  g.k_align = 1;
  if (complex) g.m *= 2, g.k *= 2, g.k_align = 2;
  const bool same_type = p.dtype == DType::float32 || p.dtype == DType::float64;
  if (same_type && !swapped) {
    g.partial = reinterpret_cast<T*>(p.out);
    g.partial_stride = p.n;
  }
  return g;
}

/// E: what the operands are of.
template <class T, class E>
void run_blocked(const Product& p, PackFn<T> pack_rows, PackFn<T> pack_cols, FinishFn<T> finish, uint8_t* scratch) {
  Gemm<T> g = gemm_of<T>(p);
  const bool swapped = is_swapped(p);
  const Lanes a{p.a, p.a_row, p.a_k}, b{p.b, p.b_col, p.b_k};
  const OutMatrix o = output(p, swapped);
  g.a = swapped ? &b : &a;
  g.b = swapped ? &a : &b;
  g.pack_a = pack_rows;
  g.pack_b = pack_cols;
  g.out = &o;
  g.finish = finish;
  const Lanes& columns = swapped ? a : b;
  if (__is_same(E, T) && columns.lane_stride == 1) {
    g.b_rows = reinterpret_cast<const T*>(columns.data);
    g.b_row_stride = columns.k_stride;
  }
  gemm(g, scratch);
}

template <class E>
void run_tiny(const Product& p) {
  using T = Acc<E>;
  constexpr int nr = kTileCols<T>;
  const OutMatrix o = output(p, false);
  const auto* a = reinterpret_cast<const E*>(p.a);
  const auto* b = reinterpret_cast<const E*>(p.b);
  for (int64_t i = 0; i < p.m; i++) {
    for (int64_t j0 = 0; j0 < p.n; j0 += nr) {
      alignas(64) T tile[nr] = {};
      const int cols = static_cast<int>(min_of(nr, p.n - j0));
      for (int64_t k = 0; k < p.k; k++) {
        const T x = load_one(a + i * p.a_row + k * p.a_k);
        const E* row = b + k * p.b_k + j0 * p.b_col;
        if (p.b_col == 1) {
          for (int j = 0; j < cols; j++) tile[j] += x * load_one(row + j);
        } else {
          for (int j = 0; j < cols; j++) tile[j] += x * load_one(row + j * p.b_col);
        }
      }
      finish_matrix<E>(&o, tile, i, j0, 1, cols);
    }
  }
}

template <class E>
void run_few(const Product& p, bool cols, uint8_t* scratch) {
  using T = Acc<E>;
  const OutMatrix o = output(p, cols);
  T* x = reinterpret_cast<T*>(scratch);
  const int rows = static_cast<int>(cols ? p.n : p.m);
  const auto* from = reinterpret_cast<const E*>(cols ? p.b : p.a);
  const int64_t row_stride = cols ? p.b_col : p.a_row, k_stride = cols ? p.b_k : p.a_k;
  for (int r = 0; r < rows; r++) {
    for (int64_t k = 0; k < p.k; k++) x[r * p.k + k] = load_one(from + r * row_stride + k * k_stride);
  }
  const Lanes matrix = cols ? Lanes{p.a, p.a_row, p.a_k} : Lanes{p.b, p.b_col, p.b_k};
  T* partial = x + round_up(kFewRows * p.k, 64);
  few_rows<E>({x, p.k, rows, cols ? p.m : p.n, p.k, matrix, &o, finish_matrix<E>, partial});
}

// k = 0: every sum is zero.
template <class E>
void run_empty(const Product& p) {
  alignas(64) static constexpr Acc<E> zeros[kTileCols<Acc<E>>] = {};
  const OutMatrix o = output(p, false);
  for (int64_t i = 0; i < p.m; i++) {
    for (int64_t j = 0; j < p.n; j += kTileCols<Acc<E>>) {
      finish_matrix<E>(&o, zeros, i, j, 1, static_cast<int>(min_of(kTileCols<Acc<E>>, p.n - j)));
    }
  }
}

template <class E>
void run_product_of(const Product& p, uint8_t* scratch) {
  if (p.k == 0) return run_empty<E>(p);
#ifdef DENIM_CBLAS
  if constexpr (__is_same(E, Acc<E>)) {
    if (choose_way(p) == Way::blocked && run_cblas<E>(p)) return;
  }
#endif
  switch (choose_way(p)) {
    case Way::tiny: return run_tiny<E>(p);
    case Way::few_rows: return run_few<E>(p, false, scratch);
    case Way::few_cols: return run_few<E>(p, true, scratch);
    case Way::blocked: return run_blocked<Acc<E>, E>(p, pack_lanes<E>, pack_lanes<E>, finish_matrix<E>, scratch);
  }
}

void run_complex(const Product& p, uint8_t* scratch) {
  if (p.k > 0) return run_blocked<float, Complex>(p, pack_complex_rows, pack_complex_cols, finish_complex, scratch);
  alignas(64) static constexpr float zeros[2 * kTileCols<float>] = {};
  const OutMatrix o = output(p, false);
  for (int64_t i = 0; i < p.m; i++) {
    for (int64_t j = 0; j < p.n; j++) finish_complex(&o, zeros, 2 * i, j, 2, 1);
  }
}

void run_product(const Product& p, uint8_t* scratch) {
  switch (p.dtype) {
    case DType::float16: return run_product_of<Half>(p, scratch);
    case DType::bfloat16: return run_product_of<BFloat>(p, scratch);
    case DType::float32: return run_product_of<float>(p, scratch);
    case DType::float64: return run_product_of<double>(p, scratch);
    default: return run_complex(p, scratch);
  }
}

size_t product_scratch(const Product& p) {
  const bool is_double = p.dtype == DType::float64;
  const Way way = choose_way(p);
  if (way == Way::tiny) return 0;
  if (way == Way::blocked) return is_double ? gemm_scratch(gemm_of<double>(p)) : gemm_scratch(gemm_of<float>(p));
  const bool cols = way == Way::few_cols;
  const int64_t n = cols ? p.m : p.n;
  const bool parts = in_parts(n, p.k, cols ? p.a_k : p.b_k);
  const int64_t sums = parts ? kParts * part_sums(n, static_cast<int>(cols ? p.n : p.m)) : 0;
  return static_cast<size_t>((round_up(kFewRows * p.k, 64) + sums) * (is_double ? 8 : 4));
}

// ---- batches --------------------------------------------------------------------------------------------------------

// The leading axes of a call's operands. Gathers take them from index arrays instead.
struct Batch {
  Product p;
  int64_t count;
  int32_t ndim;  // leading axes that are left after merging
  const int64_t* shape;
  Array a, b, c;
  const Array *lhs, *rhs;  // gatherMm
  size_t scratch;          // bytes of one product
  bool spread;             // whole products go to threads
};

// Innermost leading axes over which b stays the same and a's (and c's) rows go on evenly become rows of a.
void merge_rows(Batch& s) {
  const auto merges = [&](const Array& x, int64_t row, int32_t d) {
    return s.shape[d] == 1 || s.p.m == 1 || x.strides[d] == row * s.p.m;
  };
  while (s.ndim > 0) {
    const int32_t d = s.ndim - 1;
    if (s.shape[d] != 1 && s.b.strides[d] != 0) return;
    if (!merges(s.a, s.p.a_row, d) || (s.c.data && !merges(s.c, s.p.c_row, d))) return;
    if (s.p.m == 1 && s.shape[d] > 1) {
      s.p.a_row = s.a.strides[d];
      if (s.c.data) s.p.c_row = s.c.strides[d];
    }
    s.p.m *= s.shape[d];
    s.count = s.shape[d] ? s.count / s.shape[d] : 0;
    s.ndim--;
  }
}

Batch batch_of(const Call& call) {
  Batch s{};
  const bool has_c = call.op == Op::addmm;
  s.a = call.in[has_c ? 1 : 0];
  s.b = call.in[has_c ? 2 : 1];
  const int32_t ad = s.a.ndim, bd = s.b.ndim;
  Product& p = s.p;
  p.dtype = s.a.dtype;
  p.m = s.a.shape[ad - 2];
  p.k = s.a.shape[ad - 1];
  p.n = s.b.shape[bd - 1];
  p.a_row = s.a.strides[ad - 2];
  p.a_k = s.a.strides[ad - 1];
  p.b_k = s.b.strides[bd - 2];
  p.b_col = s.b.strides[bd - 1];
  p.alpha = 1;
  p.out = call.out[0].data;
  s.shape = call.out[0].shape;
  s.ndim = call.out[0].ndim - 2;
  s.count = leading_size(call.out[0]);
  if (has_c) {
    s.c = call.in[0];
    p.c_row = s.c.strides[ad - 2];
    p.c_col = s.c.strides[ad - 1];
    p.alpha = call.as<AddmmParams>().alpha;
    p.beta = call.as<AddmmParams>().beta;
  }
  if (call.op == Op::gatherMm) {
    s.lhs = &call.in[2];
    s.rhs = &call.in[3];
  } else {
    merge_rows(s);
  }
  s.scratch = product_scratch(p);
  const double work = static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  s.spread = s.count > 1 && (work < kBatchWork || s.count >= 4 * worker_count()) &&
             s.scratch <= kBatchScratch / static_cast<size_t>(worker_count());
  return s;
}

struct Running {
  const Batch* batch;
  uint8_t* scratch;
  int64_t per_task;
};

void run_entry(const Batch& s, int64_t i, uint8_t* scratch) {
  Product p = s.p;
  const int64_t item = item_size(p.dtype);
  int64_t a_at, b_at;
  if (s.lhs) {
    const int64_t a_size = leading_size(s.a), b_size = leading_size(s.b);
    const int64_t l = read_index(*s.lhs, i), r = read_index(*s.rhs, i);
    a_at = entry_offset(wrap_index(l, a_size), s.a.ndim - 2, s.a.shape, s.a.strides);
    b_at = entry_offset(wrap_index(r, b_size), s.b.ndim - 2, s.b.shape, s.b.strides);
  } else {
    a_at = entry_offset(i, s.ndim, s.shape, s.a.strides);
    b_at = entry_offset(i, s.ndim, s.shape, s.b.strides);
    if (s.c.data) p.c = s.c.data + item * entry_offset(i, s.ndim, s.shape, s.c.strides);
  }
  p.a = s.a.data + item * a_at;
  p.b = s.b.data + item * b_at;
  p.out += item * i * p.m * p.n;
  run_product(p, scratch);
}

void batch_task(void* ctx, int64_t task, int worker) {
  const auto& r = *static_cast<const Running*>(ctx);
  const int64_t end = min_of((task + 1) * r.per_task, r.batch->count);
  for (int64_t i = task * r.per_task; i < end; i++) {
    run_entry(*r.batch, i, r.scratch + static_cast<size_t>(worker) * r.batch->scratch);
  }
}

const char* run_matmul(const Call& call) {
  if (call.out[0].size == 0) return nullptr;
  const Batch s = batch_of(call);
  if (s.spread) {
    const double work = static_cast<double>(s.p.m * s.p.n) * static_cast<double>(s.p.k + 8);
    const int64_t worth = static_cast<int64_t>(2e5 / work) + 1;  // entries that make a task of some 10 us
    Running r{&s, call.scratch, max_of(worth, s.count / (8 * worker_count()))};
    parallel(ceil_div(s.count, r.per_task), batch_task, &r);
    return nullptr;
  }
  for (int64_t i = 0; i < s.count; i++) run_entry(s, i, call.scratch);
  return nullptr;
}

size_t scratch_matmul(const Call& call) {
  if (call.out[0].size == 0) return 0;
  const Batch s = batch_of(call);
  return s.spread ? s.scratch * static_cast<size_t>(worker_count()) : s.scratch;
}

// ---- checks ---------------------------------------------------------------------------------------------------------

bool is_float(DType t) {
  return t == DType::float16 || t == DType::bfloat16 || t == DType::float32 || t == DType::float64 ||
         t == DType::complex64;
}

// What all three ask: dtypes, [.., m, k] x [.., k, n] -> [.., m, n].
const char* check_operands(const Array& a, const Array& b, const Array& out) {
  if (a.ndim < 2 || b.ndim < 2 || out.ndim < 2) return "matmul: operands need 2 axes";
  if (!is_float(a.dtype) || b.dtype != a.dtype || out.dtype != a.dtype) return "matmul: dtypes";
  const int64_t m = a.shape[a.ndim - 2], k = a.shape[a.ndim - 1], n = b.shape[b.ndim - 1];
  if (b.shape[b.ndim - 2] != k || out.shape[out.ndim - 2] != m || out.shape[out.ndim - 1] != n) return "matmul: shapes";
  return nullptr;
}

const char* check_matmul(const Call& call) {
  if (call.n_in != 2 || call.n_out != 1) return "matmul: number of arrays";
  const Array &a = call.in[0], &b = call.in[1], &out = call.out[0];
  if (const char* bad = check_operands(a, b, out)) return bad;
  if (a.ndim != out.ndim || b.ndim != out.ndim) return "matmul: ranks";
  if (!same_leading(a, out, out.ndim - 2) || !same_leading(b, out, out.ndim - 2)) return "matmul: leading axes";
  return nullptr;
}

const char* check_addmm(const Call& call) {
  if (call.n_in != 3 || call.n_out != 1) return "addmm: number of arrays";
  const Array &c = call.in[0], &a = call.in[1], &b = call.in[2], &out = call.out[0];
  if (const char* bad = check_operands(a, b, out)) return bad;
  if (a.ndim != out.ndim || b.ndim != out.ndim || c.ndim != out.ndim) return "addmm: ranks";
  if (c.dtype != out.dtype || !same_leading(c, out, out.ndim)) return "addmm: c must be like the result";
  if (!same_leading(a, out, out.ndim - 2) || !same_leading(b, out, out.ndim - 2)) return "addmm: leading axes";
  return nullptr;
}

const char* check_gather_mm(const Call& call) {
  if (call.n_in != 4 || call.n_out != 1) return "gatherMm: number of arrays";
  const Array &lhs = call.in[2], &rhs = call.in[3], &out = call.out[0];
  if (const char* bad = check_operands(call.in[0], call.in[1], out)) return bad;
  if (!is_index(lhs.dtype) || !is_index(rhs.dtype)) return "gatherMm: dtype of indices";
  if (lhs.ndim != out.ndim - 2 || rhs.ndim != out.ndim - 2) return "gatherMm: rank of indices";
  if (!same_leading(lhs, out, lhs.ndim) || !same_leading(rhs, out, rhs.ndim)) return "gatherMm: shape of indices";
  return nullptr;
}

const char* run_gather_mm(const Call& call) {
  if (const char* bad = check_indices(call.in[2], leading_size(call.in[0]))) return bad;
  if (const char* bad = check_indices(call.in[3], leading_size(call.in[1]))) return bad;
  return run_matmul(call);
}

}  // namespace

extern const Kernel kernel_matmul = {check_matmul, scratch_matmul, run_matmul};
extern const Kernel kernel_addmm = {check_addmm, scratch_matmul, run_matmul};
extern const Kernel kernel_gatherMm = {check_gather_mm, scratch_matmul, run_gather_mm};

}  // namespace denim::DENIM_ISA
