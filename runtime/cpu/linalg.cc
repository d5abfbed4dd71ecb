// Linear algebra on stacks of matrices: what linalg/seam.h computes, between arrays of float32, float64 and complex64
// in any layout and matrices in double. Matrices of a stack run in parallel. A result of several parts is one array:
// docs/architecture.md says where they lie. Signs, phases and orders that a decomposition leaves open are settled here.
#include "cpu/linalg_matrix.h"
#include "cpu/rows.h"

namespace denim::DENIM_ISA {
namespace {

constexpr int64_t kLargest = int64_t{1} << 22;  // so that no count of numbers overflows

int64_t rows_of(const Array& a) { return a.shape[a.ndim - 2]; }
int64_t columns_of(const Array& a) { return a.shape[a.ndim - 1]; }
int64_t least_of(const Array& a) { return rows_of(a) < columns_of(a) ? rows_of(a) : columns_of(a); }
int64_t most_of(const Array& a) { return rows_of(a) > columns_of(a) ? rows_of(a) : columns_of(a); }

/// Offset, in elements, of matrix number `index`.
int64_t matrix_offset(const Array& a, int64_t index) {
  int64_t offset = 0;
  for (int i = a.ndim - 3; i >= 0; i--) {
    offset += index % a.shape[i] * a.strides[i];
    index /= a.shape[i];
  }
  return offset;
}
template <class S>
S read(const Array& a, int64_t at) {
  if constexpr (__is_same(S, Z)) {
    if (a.dtype == DType::complex64) return widen(a.as<Complex>()[at]);
    return {a.dtype == DType::float32 ? static_cast<double>(a.as<float>()[at]) : a.as<double>()[at], 0};
  } else {
    return a.dtype == DType::float32 ? static_cast<double>(a.as<float>()[at]) : a.as<double>()[at];
  }
}
template <class S>
void write(const Array& a, int64_t at, S x) {
  if (a.dtype == DType::float32) a.as<float>()[at] = static_cast<float>(real_part(x));
  else if (a.dtype == DType::float64) a.as<double>()[at] = real_part(x);
  else if constexpr (__is_same(S, Z)) a.as<Complex>()[at] = narrow(x);
  else a.as<Complex>()[at] = {static_cast<float>(x), 0};
}
/// How a matrix lies in a view: row by row, column by column, or as the conjugate of one of these.
enum class As { itself, transpose, adjoint, conjugate };
template <class S>
S maybe_conjugate(S x, As as) {
  return as == As::adjoint || as == As::conjugate ? conjugate(x) : x;
}
bool is_turned(As as) { return as == As::transpose || as == As::adjoint; }
/// Matrix `index` of a.
template <class S>
void load_matrix(View<S> to, const Array& a, int64_t index, As as) {
  const int64_t base = matrix_offset(a, index), down = a.strides[a.ndim - 2], right = a.strides[a.ndim - 1];
  const int64_t row = is_turned(as) ? right : down, column = is_turned(as) ? down : right;
  for (int64_t i = 0; i < to.rows; i++) {
    for (int64_t j = 0; j < to.columns; j++)
      to[i][j] = maybe_conjugate(read<S>(a, base + i * row + j * column), as);
  }
}
/// A matrix from row and column on in the result's matrix `index`.
template <class S>
void store_matrix(const Array& y, int64_t index, int64_t row, int64_t column, View<S> from, As as = As::itself) {
  const int64_t width = columns_of(y), base = (index * rows_of(y) + row) * width + column;
  const int64_t down = is_turned(as) ? 1 : width, right = is_turned(as) ? width : 1;
  for (int64_t i = 0; i < from.rows; i++) {
    for (int64_t j = 0; j < from.columns; j++) write(y, base + i * down + j * right, maybe_conjugate(from[i][j], as));
  }
}
template <class S>
void clear(const Array& y, int64_t index, S value) {
  const int64_t n = rows_of(y) * columns_of(y);
  for (int64_t i = 0; i < n; i++) write(y, index * n + i, value);
}

/// Room of one worker, handed out in numbers.
template <class S>
struct Room {
  S* at;
  View<S> matrix(int64_t rows, int64_t columns, int64_t step = 0) {
    const View<S> v{at, rows, columns, step > columns ? step : columns};
    at += v.rows * v.step;
    return v;
  }
  double* numbers(int64_t n) { return reinterpret_cast<double*>(matrix(1, n).data); }
  int64_t* integers(int64_t n) { return reinterpret_cast<int64_t*>(matrix(1, n).data); }
};
constexpr const char* kSingular = "the matrix is singular";
constexpr const char* kEndless = "the iteration did not converge";
/// What became of a decomposition, as a message, or null.
const char* message_of(Fate fate, const char* failed) {
  if (fate == Fate::done) return nullptr;
  return fate == Fate::failed ? failed : "there is not enough memory to decompose a matrix";
}

// Each op: how many numbers of room a matrix takes, and what is done to one. `run` returns null or a message. Matrices
// lie column by column: the rows of a view are columns.

struct Cholesky {
  static int64_t room(const Call& c) { return rows_of(c.in[0]) * rows_of(c.in[0]); }
  template <class S>
  static const char* run(const Call& c, int64_t index, Room<S> room) {
    const bool upper = c.as<CholeskyParams>().upper != 0;
    const int64_t n = rows_of(c.in[0]);
    const View<S> a = room.matrix(n, n);
    load_matrix(a, c.in[0], index, upper ? As::conjugate : As::transpose);
    int64_t rank = 0;
    if (const char* message = message_of(linalg::cholesky(native(a), n, &rank), nullptr)) return message;
    for (int64_t j = 0; j < n; j++) {  // NaN from the first row on that is not positive
      for (int64_t i = 0; i < n; i++) {
        if (i < j) a[j][i] = from_real<S>(0);
        else if (i >= rank) a[j][i] = from_real<S>(__builtin_nan(""));
      }
    }
    store_matrix(c.out[0], index, 0, 0, a, upper ? As::conjugate : As::transpose);
    return nullptr;
  }
};
/// The factors in place of a; the sign of the exchanges into *sign.
template <class S>
const char* factor(View<S> a, int64_t* pivots, int* sign) {
  const int64_t least = a.rows < a.columns ? a.rows : a.columns;
  const char* message = message_of(linalg::lu(native(a), a.columns, a.rows, pivots), nullptr);
  *sign = 1;
  for (int64_t i = 0; i < least; i++) *sign = pivots[i] == i ? *sign : -*sign;
  return message;
}
struct Lu {
  static int64_t room(const Call& c) { return rows_of(c.in[0]) * (columns_of(c.in[0]) + 4); }
  template <class S>
  static const char* run(const Call& c, int64_t index, Room<S> room) {
    const int64_t m = rows_of(c.in[0]), n = columns_of(c.in[0]);
    const View<S> a = room.matrix(n, m), more = room.matrix(m, 2);
    int64_t *pivots = room.integers(m), *order = room.integers(m);
    int sign;
    load_matrix(a, c.in[0], index, As::transpose);
    if (const char* message = factor(a, pivots, &sign)) return message;
    for (int64_t i = 0; i < m; i++) order[i] = i;
    for (int64_t i = 0; i < least_of(c.in[0]); i++) swap(order[i], order[pivots[i]]);
    for (int64_t i = 0; i < m; i++) {
      more[i][0] = from_real<S>(static_cast<double>(i < n ? pivots[i] : 0));
      more[i][1] = from_real<S>(static_cast<double>(order[i]));
    }
    store_matrix(c.out[0], index, 0, 0, a, As::transpose);
    store_matrix(c.out[0], index, 0, n, more);
    return nullptr;
  }
};
struct Qr {
  static int64_t room(const Call& c) { return rows_of(c.in[0]) * (columns_of(c.in[0]) + least_of(c.in[0])); }
  template <class S>
  static const char* run(const Call& c, int64_t index, Room<S> room) {
    const int64_t m = rows_of(c.in[0]), n = columns_of(c.in[0]), k = least_of(c.in[0]);
    const View<S> a = room.matrix(n, m), q = room.matrix(k, m);
    load_matrix(a, c.in[0], index, As::transpose);
    if (const char* message = message_of(linalg::qr(native(a), native(q), m, n), nullptr)) return message;
    for (int64_t j = 0; j < n; j++) {
      for (int64_t i = j + 1; i < m; i++) a[j][i] = from_real<S>(0);
    }
    store_matrix(c.out[0], index, 0, 0, q, As::transpose);
    store_matrix(c.out[0], index, 0, k, a, As::transpose);
    return nullptr;
  }
};
struct Eigh {
  static int64_t room(const Call& c) { return rows_of(c.in[0]) * (rows_of(c.in[0]) + 1); }
  template <class S>
  static const char* run(const Call& c, int64_t index, Room<S> room) {
    const auto& p = c.as<EighParams>();
    const int64_t n = rows_of(c.in[0]);
    const View<S> a = room.matrix(n, n);
    double* w = room.numbers(n);
    load_matrix(a, c.in[0], index, p.lower != 0 ? As::transpose : As::conjugate);
    for (int64_t j = 0; j < n; j++) {  // the other triangle is not of the matrix
      a[j][j] = from_real<S>(real_part(a[j][j]));
      for (int64_t i = j + 1; i < n; i++) a[i][j] = conjugate(a[j][i]);
    }
    if (!all_finite(a)) return clear(c.out[0], index, from_real<S>(__builtin_nan(""))), nullptr;
    if (const char* message = message_of(linalg::eigh(native(a), w, n, p.vectors != 0), kEndless)) return message;
    for (int64_t i = 0; i < n; i++) write(c.out[0], index * rows_of(c.out[0]) * n + i, from_real<S>(w[i]));
    if (p.vectors == 0) return nullptr;
    for (int64_t i = 0; i < n; i++) turn(a[i], n);
    store_matrix(c.out[0], index, 1, 0, a, As::transpose);
    return nullptr;
  }
};
/// Room of a singular value decomposition, and the decomposition of the matrix or, if that is broad, of its adjoint.
template <class S>
struct Svd {
  View<S> u, v;  // the vectors as rows
  double* s;

  static int64_t numbers(const Array& a) {
    const int64_t m = most_of(a), n = least_of(a);
    return m * n + m * m + n * n + n;
  }
  const char* compute(const Array& x, int64_t index, Room<S>& room, bool vectors) {
    const int64_t m = most_of(x), n = least_of(x);
    const bool broad = columns_of(x) > rows_of(x);
    const View<S> a = room.matrix(n, m);
    u = room.matrix(vectors ? m : 0, vectors ? m : 0), v = room.matrix(vectors ? n : 0, vectors ? n : 0);
    s = room.numbers(n);
    load_matrix(a, x, index, broad ? As::conjugate : As::transpose);
    if (!all_finite(a)) {
      s = nullptr;
      return nullptr;
    }
    if (n == 0) {
      fill_identity(u);
    } else {
      const Fate fate = linalg::svd(native(a), s, vectors ? native(u) : nullptr, native(v), m, n);
      if (const char* message = message_of(fate, kEndless)) return message;
    }
    if (broad) swap(u, v);
    turn_pairs(u, v);
    return nullptr;
  }
};
struct SvdOp {
  static int64_t room(const Call& c) { return Svd<double>::numbers(c.in[0]); }
  template <class S>
  static const char* run(const Call& c, int64_t index, Room<S> room) {
    Svd<S> d;
    const Array &x = c.in[0], &y = c.out[0];
    const bool vectors = c.as<SvdParams>().vectors != 0;
    if (const char* message = d.compute(x, index, room, vectors)) return message;
    if (d.s == nullptr) return clear(y, index, from_real<S>(__builtin_nan(""))), nullptr;
    const int64_t m = rows_of(x), width = columns_of(y), row = vectors ? m : 0;
    clear(y, index, from_real<S>(0));
    for (int64_t i = 0; i < least_of(x); i++)
      write(y, (index * rows_of(y) + row) * width + i, from_real<S>(d.s[i]));
    if (vectors) {
      store_matrix(y, index, 0, 0, d.u, As::transpose);
      for (int64_t i = 0; i < d.v.rows; i++) {
        for (int64_t j = 0; j < d.v.columns; j++) d.v[i][j] = conjugate(d.v[i][j]);
      }
      store_matrix(y, index, m + 1, 0, d.v);
    }
    return nullptr;
  }
};
struct Pinv {
  static int64_t room(const Call& c) { return Svd<double>::numbers(c.in[0]) + rows_of(c.in[0]) * columns_of(c.in[0]); }
  template <class S>
  static const char* run(const Call& c, int64_t index, Room<S> room) {
    Svd<S> d;
    const Array& x = c.in[0];
    if (const char* message = d.compute(x, index, room, true)) return message;
    if (d.s == nullptr) return clear(c.out[0], index, from_real<S>(__builtin_nan(""))), nullptr;
    const int64_t m = rows_of(x), n = columns_of(x);
    const View<S> y = room.matrix(n, m);
    for (int64_t i = 0; i < n * m; i++) y.data[i] = from_real<S>(0);
    for (int64_t k = 0; k < least_of(x) && d.s[k] > c.as<PinvParams>().rcond * d.s[0]; k++) {
      for (int64_t i = 0; i < m; i++) d.u[k][i] = conjugate(d.u[k][i]);
      for (int64_t i = 0; i < n; i++) add_multiple(y[i], (1 / d.s[k]) * d.v[k][i], d.u[k], m);
    }
    store_matrix(c.out[0], index, 0, 0, y);
    return nullptr;
  }
};
/// By real part, then imaginary part; real parts that differ by rounding only are equal.
bool comes_before(Z a, Z b, double rounding) {
  return ::fabs(a.re - b.re) > rounding ? a.re < b.re : a.im < b.im;
}
struct Eig {
  static int64_t room(const Call& c) { return rows_of(c.in[0]) * (2 * rows_of(c.in[0]) + 1); }
  static const char* run(const Call& c, int64_t index, Room<Z> room) {
    const int64_t n = rows_of(c.in[0]), wanted = c.as<EigParams>().vectors != 0 ? n : 0;
    const View<Z> a = room.matrix(n, n), z = room.matrix(wanted, wanted), w = room.matrix(1, n);
    load_matrix(a, c.in[0], index, As::transpose);
    if (!all_finite(a)) return clear(c.out[0], index, Z{__builtin_nan(""), __builtin_nan("")}), nullptr;
    double norm = 0;
    for (int64_t i = 0; i < n * n; i++) norm = ::fmax(norm, size(a.data[i]));
    const Fate fate = linalg::eig(native(a), native(w), wanted > 0 ? native(z) : nullptr, n);
    if (const char* message = message_of(fate, kEndless)) return message;
    settle(w[0], z, n, norm * static_cast<double>(n), c.in[0].dtype != DType::complex64);
    store_matrix(c.out[0], index, 0, 0, w);
    if (wanted > 0) store_matrix(c.out[0], index, 1, 0, z, As::transpose);
    return nullptr;
  }
  /// Real values of real matrices become real; all are put in order, and the vectors turned.
  static void settle(Z* w, View<Z> z, int64_t n, double norm, bool real) {
    for (int64_t i = 0; i < n; i++) {
      if (real && ::fabs(w[i].im) <= 2e-15 * norm) w[i].im = 0;
      if (z.rows > 0) turn(z[i], n);
    }
    for (int64_t i = 1; i < n; i++) {
      for (int64_t j = i; j > 0 && comes_before(w[j], w[j - 1], 1e-12 * norm); j--) {
        swap(w[j], w[j - 1]);
        if (z.rows > 0) swap_rows(z, j, j - 1);
      }
    }
  }
};
struct Solve {
  static int64_t room(const Call& c) {
    const int64_t n = rows_of(c.in[0]);
    return n * n + n * columns_of(c.in[1]) + n;
  }
  template <class S>
  static const char* run(const Call& c, int64_t index, Room<S> room) {
    const int64_t n = rows_of(c.in[0]), k = columns_of(c.in[1]);
    const View<S> a = room.matrix(n, n), b = room.matrix(k, n);
    load_matrix(a, c.in[0], index, As::transpose);
    load_matrix(b, c.in[1], index, As::transpose);
    const Fate fate = linalg::solve(native(a), native(b), n, k, room.integers(n));
    if (const char* message = message_of(fate, kSingular)) return message;
    store_matrix(c.out[0], index, 0, 0, b, As::transpose);
    return nullptr;
  }
};
struct SolveTriangular {
  static int64_t room(const Call& c) { return Solve::room(c); }
  template <class S>
  static const char* run(const Call& c, int64_t index, Room<S> room) {
    const int64_t n = rows_of(c.in[0]), k = columns_of(c.in[1]);
    const View<S> a = room.matrix(n, n), b = room.matrix(k, n);
    load_matrix(a, c.in[0], index, As::transpose);
    load_matrix(b, c.in[1], index, As::transpose);
    const bool upper = c.as<SolveTriangularParams>().upper != 0;
    const Fate fate = linalg::solve_triangle(native(a), native(b), n, k, upper);
    if (const char* message = message_of(fate, kSingular)) return message;
    store_matrix(c.out[0], index, 0, 0, b, As::transpose);
    return nullptr;
  }
};
/// The determinant by its phase and the logarithm of its size, from the diagonal of the factors.
struct Slogdet {
  static int64_t room(const Call& c) { return (rows_of(c.in[0]) + 1) * rows_of(c.in[0]); }
  template <class S>
  static const char* run(const Call& c, int64_t index, Room<S> room) {
    const int64_t n = rows_of(c.in[0]);
    const View<S> a = room.matrix(n, n);
    int exchanges;
    load_matrix(a, c.in[0], index, As::transpose);
    if (const char* message = factor(a, room.integers(n), &exchanges)) return message;
    S sign = from_real<S>(exchanges);
    double log_size = 0;
    for (int64_t i = 0; i < n; i++) {
      log_size += ::log(size(a[i][i]));
      sign = square_size(a[i][i]) == 0 ? from_real<S>(0) : sign * phase(a[i][i]);
    }
    write(c.out[0], 2 * index, sign);
    write(c.out[0], 2 * index + 1, from_real<S>(log_size));
    return nullptr;
  }
};
struct Det {
  static int64_t room(const Call& c) { return Slogdet::room(c); }
  template <class S>
  static const char* run(const Call& c, int64_t index, Room<S> room) {
    const int64_t n = rows_of(c.in[0]);
    const View<S> a = room.matrix(n, n);
    int sign;
    load_matrix(a, c.in[0], index, As::transpose);
    if (const char* message = factor(a, room.integers(n), &sign)) return message;
    S product = from_real<S>(sign);
    for (int64_t i = 0; i < n; i++) product = product * a[i][i];
    write(c.out[0], index, product);
    return nullptr;
  }
};
struct Expm {
  static int64_t room(const Call& c) {
    const int64_t n = rows_of(c.in[0]);
    return 6 * n * n + n;
  }
  template <class S>
  static const char* run(const Call& c, int64_t index, Room<S> room) {
    const int64_t n = rows_of(c.in[0]);
    const View<S> a = room.matrix(n, n), more = room.matrix(5 * n, n);
    load_matrix(a, c.in[0], index, As::itself);
    const Fate fate = exponential(a, more.data, room.integers(n));
    if (const char* message = message_of(fate, kSingular)) return message;
    store_matrix(c.out[0], index, 0, 0, a);
    return nullptr;
  }
};

// ---- what they share ------------------------------------------------------------------------------------------------

int64_t stack_of(const Array& a) {
  int64_t n = 1;
  for (int i = 0; i < a.ndim - 2; i++) n *= a.shape[i];
  return n;
}
template <class Op>
size_t bytes_per_worker(const Call& c) {
  return (static_cast<size_t>(Op::room(c)) * sizeof(Z) + 127) & ~size_t{63};
}
template <class Op>
size_t scratch(const Call& c) {
  return c.out[0].size == 0 ? 0 : bytes_per_worker<Op>(c) * static_cast<size_t>(worker_count());
}
template <class Op, class S>
const char* run_all(const Call& c) {
  const char* message = nullptr;
  const int64_t n = most_of(c.in[0]);
  const double cost = static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n) * 4 + 64;
  in_pieces(stack_of(c.in[0]), cost < 1e6 ? static_cast<int64_t>(cost) : 1000000, [&](int64_t from, int64_t to, int w) {
    for (int64_t i = from; i < to; i++) {
      auto* room = reinterpret_cast<S*>(c.scratch + static_cast<size_t>(w) * bytes_per_worker<Op>(c));
      if (const char* failed = Op::run(c, i, Room<S>{room})) __atomic_store_n(&message, failed, __ATOMIC_RELAXED);
    }
  });
  return message;
}
template <class Op>
const char* run(const Call& c) {
  if (c.out[0].size == 0) return nullptr;
  if constexpr (__is_same(Op, Eig)) return run_all<Op, Z>(c);
  else return c.in[0].dtype == DType::complex64 ? run_all<Op, Z>(c) : run_all<Op, double>(c);
}

/// Inputs that are matrices of one dtype with equal leading axes; a result whose last axes are as given (negative: it
/// lacks that axis) behind the same leading axes.
const char* check_matrices(const Call& c, int inputs, bool square, int64_t rows, int64_t columns) {
  if (c.n_in != inputs || c.n_out != 1) return "the number of inputs is wrong";
  const Array &a = c.in[0], &y = c.out[0];
  if (a.dtype != DType::float32 && a.dtype != DType::float64 && a.dtype != DType::complex64)
    return "the dtype must be float32, float64 or complex64";
  for (int i = 0; i < inputs; i++) {
    const Array& x = c.in[i];
    if (x.ndim < 2 || x.ndim != a.ndim || x.dtype != a.dtype) return "the inputs must be matrices of one dtype";
    if (rows_of(x) > kLargest || columns_of(x) > kLargest) return "the matrices are too large";
    for (int k = 0; k < a.ndim - 2; k++) {
      if (x.shape[k] != a.shape[k]) return "the leading axes must be equal";
    }
  }
  if (square && rows_of(a) != columns_of(a)) return "the matrices must be square";
  const int lead = a.ndim - 2, last = lead + (rows >= 0) + (columns >= 0);
  if (y.ndim != last) return "the result has the wrong number of axes";
  for (int k = 0; k < lead; k++) {
    if (y.shape[k] != a.shape[k]) return "the result must have the leading axes of the input";
  }
  if (rows >= 0 && y.shape[lead] != rows) return "the result has the wrong number of rows";
  if (columns >= 0 && y.shape[last - 1] != columns) return "the result has the wrong number of columns";
  return nullptr;
}
const char* same_dtype(const Call& c) {
  return c.in[0].dtype == c.out[0].dtype ? nullptr : "the result must have the dtype of the input";
}
bool has_matrix(const Call& c, int i) { return c.n_in > i && c.in[i].ndim >= 2; }

const char* check_square(const Call& c) {
  if (!has_matrix(c, 0)) return "a matrix is needed";
  const int64_t n = rows_of(c.in[0]);
  const char* message = check_matrices(c, 1, true, n, n);
  return message != nullptr ? message : same_dtype(c);
}
const char* check_lu(const Call& c) {
  if (!has_matrix(c, 0)) return "a matrix is needed";
  const char* message = check_matrices(c, 1, false, rows_of(c.in[0]), columns_of(c.in[0]) + 2);
  return message != nullptr ? message : same_dtype(c);
}
const char* check_qr(const Call& c) {
  if (!has_matrix(c, 0)) return "a matrix is needed";
  const Array& a = c.in[0];
  const char* message = check_matrices(c, 1, false, rows_of(a), least_of(a) + columns_of(a));
  return message != nullptr ? message : same_dtype(c);
}
const char* check_eigh(const Call& c) {
  if (!has_matrix(c, 0)) return "a matrix is needed";
  const int64_t n = rows_of(c.in[0]);
  const char* message = check_matrices(c, 1, true, c.as<EighParams>().vectors != 0 ? n + 1 : 1, n);
  return message != nullptr ? message : same_dtype(c);
}
const char* check_eig(const Call& c) {
  if (!has_matrix(c, 0)) return "a matrix is needed";
  const int64_t n = rows_of(c.in[0]);
  const char* message = check_matrices(c, 1, true, c.as<EigParams>().vectors != 0 ? n + 1 : 1, n);
  return message != nullptr ? message : c.out[0].dtype != DType::complex64 ? "the result must be complex" : nullptr;
}
const char* check_svd(const Call& c) {
  if (!has_matrix(c, 0)) return "a matrix is needed";
  const Array& a = c.in[0];
  const bool vectors = c.as<SvdParams>().vectors != 0;
  const int64_t rows = vectors ? rows_of(a) + columns_of(a) + 1 : 1;
  const char* message = check_matrices(c, 1, false, rows, vectors ? most_of(a) : least_of(a));
  return message != nullptr ? message : same_dtype(c);
}
const char* check_pinv(const Call& c) {
  if (!has_matrix(c, 0)) return "a matrix is needed";
  const char* message = check_matrices(c, 1, false, columns_of(c.in[0]), rows_of(c.in[0]));
  return message != nullptr ? message : same_dtype(c);
}
const char* check_solve(const Call& c) {
  if (!has_matrix(c, 0) || !has_matrix(c, 1)) return "two matrices are needed";
  const char* message = check_matrices(c, 2, true, rows_of(c.in[0]), columns_of(c.in[1]));
  if (message != nullptr) return message;
  return rows_of(c.in[0]) != rows_of(c.in[1]) ? "the matrices do not fit" : same_dtype(c);
}
const char* check_slogdet(const Call& c) {
  if (!has_matrix(c, 0)) return "a matrix is needed";
  const char* message = check_matrices(c, 1, true, -1, 2);
  return message != nullptr ? message : same_dtype(c);
}
const char* check_det(const Call& c) {
  if (!has_matrix(c, 0)) return "a matrix is needed";
  const char* message = check_matrices(c, 1, true, -1, -1);
  return message != nullptr ? message : same_dtype(c);
}
template <class Op>
constexpr Kernel kernel(const char* (*check)(const Call&)) {
  return {check, scratch<Op>, run<Op>};
}

}  // namespace

extern const Kernel kernel_cholesky, kernel_lu, kernel_qr, kernel_eigh, kernel_svd, kernel_pinv, kernel_eig,
    kernel_solve, kernel_solveTriangular, kernel_slogdet, kernel_det, kernel_expm;
const Kernel kernel_cholesky = kernel<Cholesky>(check_square);
const Kernel kernel_lu = kernel<Lu>(check_lu);
const Kernel kernel_qr = kernel<Qr>(check_qr);
const Kernel kernel_eigh = kernel<Eigh>(check_eigh);
const Kernel kernel_svd = kernel<SvdOp>(check_svd);
const Kernel kernel_pinv = kernel<Pinv>(check_pinv);
const Kernel kernel_eig = kernel<Eig>(check_eig);
const Kernel kernel_solve = kernel<Solve>(check_solve);
const Kernel kernel_solveTriangular = kernel<SolveTriangular>(check_solve);
const Kernel kernel_slogdet = kernel<Slogdet>(check_slogdet);
const Kernel kernel_det = kernel<Det>(check_det);
const Kernel kernel_expm = kernel<Expm>(check_square);

}  // namespace denim::DENIM_ISA
