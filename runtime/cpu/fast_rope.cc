// Rotary position embedding. For position p = (offset + t) * scale and pair i the angle is p / f_i with f_i =
// base^(2i/dims) or freqs[i]; (a, b) becomes (a cos - b sin, a sin + b cos). Sines and cosines are computed once per
// offset, position and pair, and all heads read that table. As in MLX the angle is a float32 product whose factors are
// rounded to float32.
#include "fast_vec.h"
#include "rope.h"

namespace denim::DENIM_ISA {
namespace {
using namespace wide;

constexpr int64_t kGrain = 8192;

/// Sizes of x [B, ..., T, D] and of the table [offsets, T, half] of cosines, then of sines.
struct RopeShape {
  int64_t batch, positions, width, half, offsets;
  explicit RopeShape(const Call& c) {
    const Array &x = c.in[0], &offset = c.in[1];
    batch = x.shape[0];
    positions = x.shape[x.ndim - 2];
    width = x.shape[x.ndim - 1];
    half = c.as<RopeParams>().dims / 2;
    offsets = offset.size;
  }
  int64_t table() const { return offsets * positions * half; }
};

const char* check_rope(const Call& c) {
  const auto& p = c.as<RopeParams>();
  if (c.n_in != 2 + (p.has_freqs != 0) || c.n_out != 1) return "wrong number of operands";
  const Array &x = c.in[0], &offset = c.in[1];
  if (!is_float(x.dtype) || c.out[0].dtype != x.dtype || !same_shape(x, c.out[0]))
    return "expected a float dtype and a result like x";
  if (x.ndim < 3 || !unit_last(x)) return "expected x [B, ..., T, D] with unit stride in the last axis";
  if (p.dims <= 0 || p.dims % 2 || p.dims > x.shape[x.ndim - 1]) return "expected an even dims, at most the last axis";
  if (offset.dtype != DType::int32 || offset.ndim > 1 || (offset.size != 1 && offset.size != x.shape[0])) {
    return "expected an int32 offset, 0-d or one per row of the batch";
  }
  if (p.has_freqs) {
    const Array& f = c.in[2];
    if (f.dtype != DType::float32 || f.ndim != 1 || f.shape[0] != p.dims / 2)
      return "expected freqs float32 [dims / 2]";
  }
  return nullptr;
}

size_t scratch_rope(const Call& c) {
  if (c.out[0].size == 0) return 0;
  RopeShape s(c);
  return static_cast<size_t>(2 * s.table() + s.half) * static_cast<size_t>(c.in[0].dtype == DType::float64 ? 8 : 4);
}

/// 1 / f_i, rounded to A.
template <class A>
void inverse_freqs(const Call& c, const RopeShape& s, A* inverse) {
  const auto& p = c.as<RopeParams>();
  for (int64_t i = 0; i < s.half; i++) {
    if (p.has_freqs) {
      inverse[i] = 1 / static_cast<A>(c.in[2].as<float>()[i * c.in[2].strides[0]]);
    } else {
      if constexpr (sizeof(A) == 4) {
        inverse[i] = rope_inverse_frequency(p.base, i, s.half);
      } else {
        inverse[i] = exp(static_cast<A>(-i) * (log(p.base) / static_cast<A>(s.half)));
      }
    }
  }
}

template <class A>
void fill_table(const Call& c, const RopeShape& s, const A* inverse, A* cosines, A* sines) {
  const Array& offset = c.in[1];
  A scale = static_cast<A>(c.as<RopeParams>().scale);
  each_range(s.offsets * s.positions, 512 / s.half + 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      int64_t at = offset.ndim == 0 ? 0 : r / s.positions * offset.strides[0];
      A position = (static_cast<A>(r % s.positions) + static_cast<A>(offset.as<int32_t>()[at])) * scale;
      for (int64_t i = 0; i < s.half; i++) {
        A angle = position * inverse[i];
        if constexpr (sizeof(A) == 4) {
          cosines[r * s.half + i] = cosf(angle);
          sines[r * s.half + i] = sinf(angle);
        } else {
          cosines[r * s.half + i] = cos(angle);
          sines[r * s.half + i] = sin(angle);
        }
      }
    }
  });
}

template <class T>
DENIM_WIDE void rotate_halves(const T* x, T* y, const Acc<T>* cosines, const Acc<T>* sines, int64_t half) {
  using A = Acc<T>;
  each_vector<A>(half, [&](int64_t i, int64_t n) {
    Vec<A> a = load_n(x + i, n), b = load_n(x + half + i, n), co = load_n(cosines + i, n), si = load_n(sines + i, n);
    store_n(y + i, mul_add<A>(a, co, -b * si), n);
    store_n(y + half + i, mul_add<A>(a, si, b * co), n);
  });
}
template <class T>
void rotate_pairs(const T* x, T* y, const Acc<T>* cosines, const Acc<T>* sines, int64_t half) {
  for (int64_t i = 0; i < half; i++) {
    Acc<T> a = to_acc(x[2 * i]), b = to_acc(x[2 * i + 1]);
    y[2 * i] = from_acc<T>(a * cosines[i] - b * sines[i]);
    y[2 * i + 1] = from_acc<T>(a * sines[i] + b * cosines[i]);
  }
}

const char* run_rope(const Call& c) {
  const Array &x = c.in[0], &y = c.out[0];
  if (y.size == 0) return nullptr;
  const auto& p = c.as<RopeParams>();
  RopeShape s(c);
  with_float(x.dtype, [&]<class T>(Tag<T>) {
    using A = Acc<T>;
    A *cosines = reinterpret_cast<A*>(c.scratch), *sines = cosines + s.table(), *inverse = sines + s.table();
    inverse_freqs(c, s, inverse);
    fill_table(c, s, inverse, cosines, sines);
    int64_t rows = x.size / s.width, rows_per_batch = rows / s.batch;
    each_range(rows, kGrain / s.width + 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        const T* from = x.as<T>() + row_offset(x, r, 1);
        T* to = y.as<T>() + r * s.width;
        int64_t at = ((s.offsets > 1 ? r / rows_per_batch : 0) * s.positions + r % s.positions) * s.half;
        p.traditional ? rotate_pairs(from, to, cosines + at, sines + at, s.half)
                      : rotate_halves(from, to, cosines + at, sines + at, s.half);
        if (2 * s.half < s.width) memcpy(to + 2 * s.half, from + 2 * s.half, sizeof(T) * (s.width - 2 * s.half));
      }
    });
  });
  return nullptr;
}

}  // namespace

extern const Kernel kernel_rope = {check_rope, scratch_rope, run_rope};

}  // namespace denim::DENIM_ISA
