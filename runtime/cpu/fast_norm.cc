// softmax, logsumexp, rmsNorm and layerNorm over the last axis. Rows are independent: each is read two or three times
// while it is in cache, with sums in float32 (float64 for float64).
#include "fast_vec.h"

namespace denim::DENIM_ISA {
namespace {
using namespace wide;

constexpr int64_t kGrain = 16384;  // elements that are worth a task

/// f(begin, end) over the rows of x (all axes but the last).
template <class F>
void each_rows(const Array& x, F f) {
  int64_t n = x.shape[x.ndim - 1];
  each_range(n > 0 ? x.size / n : 0, kGrain / (n > 0 ? n : 1) + 1, f);
}

template <class T>
DENIM_INLINE Acc<T> row_max(const T* x, int64_t n) {
  using A = Acc<T>;
  constexpr A least = -static_cast<A>(__builtin_inff());
  Vec<A> m = least;
  each_vector<A>(n, [&](int64_t i, int64_t k) { m = max_of<A>(load_n(x + i, k, least), m); });
  return lane_max(m);
}

/// The sum of e^(x - m). Lanes past the end hold -inf, whose power is 0.
template <class T>
DENIM_INLINE Acc<T> row_exp_sum(const T* x, int64_t n, Acc<T> m) {
  using A = Acc<T>;
  Vec<A> sum = 0;
  each_vector<A>(n, [&](int64_t i, int64_t k) {
    Vec<A> e = exp_nonpositive<A>(load_n(x + i, k, m) - m);
    if (k < kLanes<A>) {
      for (int64_t lane = k; lane < kLanes<A>; lane++) e[lane] = 0;
    }
    sum += e;
  });
  return lane_sum(sum);
}

template <class T>
DENIM_WIDE void softmax_row(const T* x, T* y, int64_t n) {
  using A = Acc<T>;
  A m = row_max(x, n);
  if constexpr (__is_same(T, A)) {
    Vec<A> sum = 0;
    each_vector<A>(n, [&](int64_t i, int64_t k) {
      Vec<A> e = exp_nonpositive<A>(load_n(x + i, k, m) - m);
      store_n(y + i, e, k);
      if (k < kLanes<A>) {
        for (int64_t lane = k; lane < kLanes<A>; lane++) e[lane] = 0;
      }
      sum += e;
    });
    A scale = 1 / lane_sum(sum);
    each_vector<A>(n, [&](int64_t i, int64_t k) { store_n(y + i, load_n(y + i, k) * scale, k); });
  } else {
    A scale = 1 / row_exp_sum(x, n, m);
    each_vector<A>(
        n, [&](int64_t i, int64_t k) { store_n(y + i, exp_nonpositive<A>(load_n(x + i, k, m) - m) * scale, k); });
  }
}

/// log sum e^x = m + log sum e^(x - m); an infinite maximum is the result.
template <class T>
DENIM_WIDE T logsumexp_row(const T* x, int64_t n) {
  using A = Acc<T>;
  A m = row_max(x, n), sum = 0;
  if (__builtin_isinf(m)) {
    // The maximum passes over NaN, which must still reach the result.
    for (int64_t i = 0; i < n; i++) {
      if (to_acc(x[i]) != to_acc(x[i])) return x[i];
    }
    return from_acc<T>(m);
  }
  sum = row_exp_sum(x, n, m);
  return from_acc<T>(m + static_cast<A>(log(static_cast<double>(sum))));
}

template <class T>
DENIM_WIDE void rms_norm_row(const T* x, const T* weight, T* y, int64_t n, Acc<T> eps) {
  using A = Acc<T>;
  Vec<A> squares = 0;
  each_vector<A>(n, [&](int64_t i, int64_t k) {
    Vec<A> v = load_n(x + i, k);
    squares = mul_add<A>(v, v, squares);
  });
  A scale = 1 / static_cast<A>(sqrt(lane_sum(squares) / static_cast<A>(n) + eps));
  each_vector<A>(n, [&](int64_t i, int64_t k) {
    Vec<A> v = load_n(x + i, k) * scale;
    store_n(y + i, weight ? v * load_n(weight + i, k) : v, k);
  });
}

template <class T>
DENIM_WIDE void layer_norm_row(const T* x, const T* weight, const T* bias, T* y, int64_t n, Acc<T> eps) {
  using A = Acc<T>;
  Vec<A> sum = 0, squares = 0;
  each_vector<A>(n, [&](int64_t i, int64_t k) { sum += load_n(x + i, k); });
  A mean = lane_sum(sum) / static_cast<A>(n);
  each_vector<A>(n, [&](int64_t i, int64_t k) {
    Vec<A> v = load_n(x + i, k, mean) - mean;
    squares = mul_add<A>(v, v, squares);
  });
  A scale = 1 / static_cast<A>(sqrt(lane_sum(squares) / static_cast<A>(n) + eps));
  each_vector<A>(n, [&](int64_t i, int64_t k) {
    Vec<A> v = (load_n(x + i, k) - mean) * scale;
    if (weight) v *= load_n(weight + i, k);
    if (bias) v += load_n(bias + i, k);
    store_n(y + i, v, k);
  });
}

const char* check_rows(const Call& c, int32_t inputs) {
  if (c.n_in != inputs || c.n_out != 1) return "wrong number of operands";
  if (!is_float(c.in[0].dtype) || c.out[0].dtype != c.in[0].dtype)
    return "expected a float dtype, the same in the result";
  if (!unit_last(c.in[0])) return "expected unit stride in the last axis";
  for (int32_t i = 1; i < inputs; i++) {
    const Array& w = c.in[i];
    if (w.dtype != c.in[0].dtype || w.ndim != 1 || w.shape[0] != c.in[0].shape[c.in[0].ndim - 1] || !unit_last(w)) {
      return "expected weights of the dtype and length of the last axis";
    }
  }
  return nullptr;
}
const char* check_same(const Call& c, int32_t inputs) {
  if (const char* error = check_rows(c, inputs)) return error;
  return same_shape(c.in[0], c.out[0]) ? nullptr : "expected a result of the shape of the input";
}
size_t no_scratch(const Call&) { return 0; }

const char* check_softmax(const Call& c) { return check_same(c, 1); }
const char* run_softmax(const Call& c) {
  const Array &x = c.in[0], &y = c.out[0];
  int64_t n = x.shape[x.ndim - 1];
  with_float(x.dtype, [&]<class T>(Tag<T>) {
    each_rows(x, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) softmax_row(x.as<T>() + row_offset(x, r, 1), y.as<T>() + r * n, n);
    });
  });
  return nullptr;
}

const char* check_logsumexp(const Call& c) {
  if (const char* error = check_rows(c, 1)) return error;
  const Array &x = c.in[0], &y = c.out[0];
  bool fits = y.ndim == x.ndim - 1 && memcmp(x.shape, y.shape, sizeof(int64_t) * y.ndim) == 0;
  return fits ? nullptr : "expected a result without the last axis";
}
const char* run_logsumexp(const Call& c) {
  const Array &x = c.in[0], &y = c.out[0];
  int64_t n = x.shape[x.ndim - 1];
  with_float(x.dtype, [&]<class T>(Tag<T>) {
    each_range(y.size, kGrain / (n > 0 ? n : 1) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) y.as<T>()[r] = logsumexp_row(x.as<T>() + row_offset(x, r, 1), n);
    });
  });
  return nullptr;
}

const char* check_rms_norm(const Call& c) { return check_same(c, c.n_in == 2 ? 2 : 1); }
const char* run_rms_norm(const Call& c) {
  const Array &x = c.in[0], &y = c.out[0];
  int64_t n = x.shape[x.ndim - 1];
  double eps = c.as<RmsNormParams>().eps;
  with_float(x.dtype, [&]<class T>(Tag<T>) {
    const T* weight = c.n_in == 2 ? c.in[1].as<T>() : nullptr;
    each_rows(x, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        rms_norm_row(x.as<T>() + row_offset(x, r, 1), weight, y.as<T>() + r * n, n, static_cast<Acc<T>>(eps));
      }
    });
  });
  return nullptr;
}

const char* check_layer_norm(const Call& c) {
  const auto& p = c.as<LayerNormParams>();
  return check_same(c, 1 + (p.has_weight != 0) + (p.has_bias != 0));
}
const char* run_layer_norm(const Call& c) {
  const Array &x = c.in[0], &y = c.out[0];
  const auto& p = c.as<LayerNormParams>();
  int64_t n = x.shape[x.ndim - 1];
  with_float(x.dtype, [&]<class T>(Tag<T>) {
    const T* weight = p.has_weight ? c.in[1].as<T>() : nullptr;
    const T* bias = p.has_bias ? c.in[p.has_weight ? 2 : 1].as<T>() : nullptr;
    each_rows(x, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        layer_norm_row(x.as<T>() + row_offset(x, r, 1), weight, bias, y.as<T>() + r * n, n, static_cast<Acc<T>>(p.eps));
      }
    });
  });
  return nullptr;
}

}  // namespace

extern const Kernel kernel_softmax = {check_softmax, no_scratch, run_softmax};
extern const Kernel kernel_logsumexp = {check_logsumexp, no_scratch, run_logsumexp};
extern const Kernel kernel_rmsNorm = {check_rms_norm, no_scratch, run_rms_norm};
extern const Kernel kernel_layerNorm = {check_layer_norm, no_scratch, run_layer_norm};

}  // namespace denim::DENIM_ISA
