// What moves values into and out of tiles: strided, transposed and converting loads and stores, casts, rounding,
// arange.
#include "cpu/fused_ops.h"

namespace denim::DENIM_ISA {
namespace {

/// ---- loads
/// -------------------------------------------------------------------------------------------------------------- An 8
/// x 8 block in registers: interleaving the upper with the lower half three times transposes it.
template <class T>
inline void transpose_block(T* to, int64_t ld_to, const T* from, int64_t ld_from) {
  using V = Vec<T, 8>;
  V v[8], w[8];
  for (int i = 0; i < 8; i++) v[i] = load<V>(from + i * ld_from);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 4; i++) {
      w[2 * i] = __builtin_shufflevector(v[i], v[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
      w[2 * i + 1] = __builtin_shufflevector(v[i], v[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
    }
    for (int i = 0; i < 8; i++) v[i] = w[i];
  }
  for (int i = 0; i < 8; i++) store(to + i * ld_to, v[i]);
}
/// Columns of the tile are contiguous in the array.
template <class T>
void load_transposed(T* tile, const T* x, int64_t rows, int64_t columns, int64_t ld) {
  const int64_t whole_rows = rows & ~7, whole_columns = columns & ~7;
  for (int64_t c = 0; c < whole_columns; c += 8) {
    for (int64_t r = 0; r < whole_rows; r += 8) transpose_block(tile + r * columns + c, columns, x + c * ld + r, ld);
    for (int64_t r = whole_rows; r < rows; r++) {
      for (int64_t k = c; k < c + 8; k++) tile[r * columns + k] = x[k * ld + r];
    }
  }
  for (int64_t c = whole_columns; c < columns; c++) {
    for (int64_t r = 0; r < rows; r++) tile[r * columns + c] = x[c * ld + r];
  }
}
template <class T>
void load_row(T* tile, const T* x, int64_t n, int64_t step) {
  if (step == 1) {
    memcpy(tile, x, static_cast<size_t>(n) * sizeof(T));
  } else if (step == 0) {
    const T value = *x;
    DENIM_EACH(i, n) tile[i] = value;
  } else {
    for (int64_t i = 0; i < n; i++) tile[i] = x[i * step];
  }
}
template <class T>
void load_plain(void* tile, const void* array, int64_t rows, int64_t columns, Steps steps) {
  auto* y = static_cast<T*>(tile);
  const auto* x = static_cast<const T*>(array);
  const bool across = steps.column != 1 && steps.column != 0;
  if (rows > 1 && steps.row == 1 && across) return load_transposed(y, x, rows, columns, steps.column);
  for (int64_t r = 0; r < rows; r++) load_row(y + r * columns, x + r * steps.row, columns, steps.column);
}
template <F32 (*kConvert)(U16)>
DENIM_WIDE void widen_halves(float* y, const uint16_t* x, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, kConvert(load<U16>(x + i)));
  if (i < n) store_part(y + i, kConvert(load_part<U16>(x + i, n - i)), n - i);
}
/// Scattered halves are collected in the upper half of the tile first; widening them from there never overtakes its
/// source.
template <F32 (*kConvert)(U16)>
void load_half(void* tile, const void* array, int64_t rows, int64_t columns, Steps steps) {
  auto* y = static_cast<float*>(tile);
  const auto* x = static_cast<const uint16_t*>(array);
  if (steps.column == 1) {
    for (int64_t r = 0; r < rows; r++) widen_halves<kConvert>(y + r * columns, x + r * steps.row, columns);
    return;
  }
  uint16_t* raw_halves = static_cast<uint16_t*>(tile) + rows * columns;
  load_plain<uint16_t>(raw_halves, x, rows, columns, steps);
  widen_halves<kConvert>(y, raw_halves, rows * columns);
}

/// ---- stores --------------------------------------------------------------------------------------------------------
template <class T>
void store_plain(void* array, const void* tile, int64_t rows, int64_t columns, Steps steps) {
  for (int64_t r = 0; r < rows; r++) {
    T* y = static_cast<T*>(array) + r * steps.row;
    const T* x = static_cast<const T*>(tile) + r * columns;
    if (steps.column == 1) {
      memcpy(y, x, static_cast<size_t>(columns) * sizeof(T));
    } else {
      for (int64_t c = 0; c < columns; c++) y[c * steps.column] = x[c];
    }
  }
}
template <U16 (*kConvert)(F32)>
DENIM_WIDE void store_half(void* array, const void* tile, int64_t rows, int64_t columns, Steps steps) {
  for (int64_t r = 0; r < rows; r++) {
    uint16_t* y = static_cast<uint16_t*>(array) + r * steps.row;
    const float* x = static_cast<const float*>(tile) + r * columns;
    for (int64_t c = 0; c < columns; c += kLanes) {
      const int64_t n = columns - c < kLanes ? columns - c : kLanes;
      const U16 h = kConvert(n == kLanes ? load<F32>(x + c) : load_part<F32>(x + c, n));
      if (steps.column == 1 && n == kLanes) {
        store(y + c, h);
      } else {
        for (int64_t i = 0; i < n; i++) y[(c + i) * steps.column] = h[static_cast<int>(i)];
      }
    }
  }
}
template <F32 (*kRound)(F32)>
struct Rounded {
  F32 operator()(F32 x) const { return kRound(x); }
};

/// ---- casts ---------------------------------------------------------------------------------------------------------
/// Floats to integers: towards zero, NaN to 0, and the ends where they do not fit (see Cast for the narrow types).
template <class F>
int32_t to_int32(F x) {
  const F t = x == x ? x : F(0);
  return t >= F(0x1p31) ? INT32_MAX : t < F(-0x1p31) ? INT32_MIN : static_cast<int32_t>(t);
}
template <class F>
int64_t to_int64(F x) {
  const F t = x == x ? x : F(0);
  return t >= F(0x1p63) ? INT64_MAX : t < F(-0x1p63) ? INT64_MIN : static_cast<int64_t>(t);
}
template <class F>
uint64_t to_uint64(F x) {
  if (!(x >= F(0x1p63))) return static_cast<uint64_t>(to_int64(x));
  return x >= F(0x1p64) ? UINT64_MAX : static_cast<uint64_t>(x - F(0x1p63)) + (uint64_t{1} << 63);
}
/// Half types are reached through float32. Narrow integers are the low bits of int32 (uint32: of int64), so that small
/// negative numbers wrap as in C on integers.
template <class To>
struct Cast {
  template <class From>
  To operator()(From x) const {
    if constexpr (is_complex<From> && is_complex<To>) {
      return x;
    } else if constexpr (is_complex<From>) {
      return Cast<To>{}(x.re);
    } else if constexpr (is_complex<To>) {
      return {static_cast<float>(x), 0.0f};
    } else if constexpr (is_float<From> && !is_float<To>) {
      if constexpr (__is_same(To, uint64_t)) return to_uint64(x);
      else if constexpr (sizeof(To) == 8 || __is_same(To, uint32_t)) return static_cast<To>(to_int64(x));
      else return static_cast<To>(to_int32(x));
    } else {
      return static_cast<To>(x);
    }
  }
};
template <class From, class To>
void cast_tile(void* out, const void* a, const void*, const void*, int64_t n) {
  const auto* x = static_cast<const From*>(a);
  auto* y = static_cast<To*>(out);
  DENIM_EACH(i, n) {
    if constexpr (!__is_same(To, Bool)) y[i] = Cast<To>{}(argument(x[i]));
    else if constexpr (is_complex<From>) y[i].byte = x[i].re != 0 || x[i].im != 0;
    else y[i].byte = argument(x[i]) != 0;
  }
}
template <class From>
StepFn cast_from(Type to) {
  switch (to) {
#define X(name, T, group) \
  case Type::name: return cast_tile<From, T>;
    DENIM_TYPES(X)
#undef X
  }
  return nullptr;
}

template <class T>
void arange_tile(T* y, const ArangeParams& p, int64_t first, int64_t rows, int64_t columns, Steps s) {
  const uint64_t start = static_cast<uint64_t>(to_int64(p.start)),
                 step = static_cast<uint64_t>(to_int64(p.start + p.step)) - start;
  for (int64_t r = 0; r < rows; r++, y += columns) {
    const int64_t base = first + r * s.row;
    if constexpr (is_float<T>) {
      DENIM_EACH(c, columns) y[c] = static_cast<T>(p.start + p.step * static_cast<double>(base + c * s.column));
    } else {
      DENIM_EACH(c, columns) y[c] = static_cast<T>(start + step * static_cast<uint64_t>(base + c * s.column));
    }
  }
}

}  // namespace

LoadFn load_kernel(DType dtype) {
  if (dtype == DType::float16) return load_half<f16_to_f32>;
  if (dtype == DType::bfloat16) return load_half<bf16_to_f32>;
  switch (item_size(dtype)) {
    case 1: return load_plain<uint8_t>;
    case 2: return load_plain<uint16_t>;
    case 4: return load_plain<uint32_t>;
    default: return load_plain<uint64_t>;
  }
}
StoreFn store_kernel(DType dtype) {
  if (dtype == DType::float16) return store_half<f32_to_f16>;
  if (dtype == DType::bfloat16) return store_half<f32_to_bf16>;
  switch (item_size(dtype)) {
    case 1: return store_plain<uint8_t>;
    case 2: return store_plain<uint16_t>;
    case 4: return store_plain<uint32_t>;
    default: return store_plain<uint64_t>;
  }
}
StepFn round_kernel(DType half) {
  return half == DType::float16 ? map1_vector<Rounded<round_f16>> : map1_vector<Rounded<round_bf16>>;
}
StepFn cast_kernel(Type from, Type to) {
  switch (from) {
#define X(name, T, group) \
  case Type::name: return cast_from<T>(to);
    DENIM_TYPES(X)
#undef X
  }
  return nullptr;
}
void fill_arange(void* tile, Type type, const ArangeParams& params, int64_t first, int64_t rows, int64_t columns,
                 Steps steps) {
  switch (type) {
#define X(name, T, group)                                                                                          \
  case Type::name:                                                                                                 \
    if constexpr ((kReal & (group)) != 0) arange_tile(static_cast<T*>(tile), params, first, rows, columns, steps); \
    return;
    DENIM_TYPES(X)
#undef X
  }
}

}  // namespace denim::DENIM_ISA
