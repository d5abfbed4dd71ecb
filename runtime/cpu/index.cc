// Gathers, scatters, slice updates and concatenation. Indices are resolved first, into offsets of the indexed array: a
// negative one counts from the end, one out of range ends the call with a message before anything is written. After
// that everything is a nest of strided runs.
#include <stdio.h>

#include "index_nest.h"

namespace denim::DENIM_ISA {
namespace {
using namespace nest;

constexpr int64_t kBlock = 256;  // indices resolved at a time

bool same_shape(const Array& a, const Array& b) {
  return a.ndim == b.ndim && memcmp(a.shape, b.shape, sizeof(int64_t) * a.ndim) == 0;
}
bool is_index(DType t) { return t == DType::int32 || t == DType::uint32 || t == DType::int64 || t == DType::uint64; }
bool is_contiguous(const Array& x) {
  int64_t step = 1;
  for (int a = x.ndim - 1; a >= 0; a--) {
    if (x.shape[a] != 1 && x.strides[a] != step) return x.size == 0;
    step *= x.shape[a];
  }
  return true;
}
size_t no_scratch(const Call&) { return 0; }

const char* out_of_range(DType dtype, int64_t index, int64_t axis, int64_t length, int64_t slice) {
  static thread_local char text[128];
  const char* format = dtype == DType::uint64 ? "index %llu is out of range for axis %lld of length %lld"
                                              : "index %lld is out of range for axis %lld of length %lld";
  int n = snprintf(text, sizeof text, format, static_cast<long long>(index), static_cast<long long>(axis),
                   static_cast<long long>(length));
  if (slice > 1) snprintf(text + n, sizeof text - n, " and slices of %lld", static_cast<long long>(slice));
  return text;
}
template <class I>
int64_t resolve_as(const uint8_t* indices, int64_t n, int64_t length, int64_t slice, int64_t* out) {
  auto* from = reinterpret_cast<const I*>(indices);
  for (int64_t i = 0; i < n; i++) {
    int64_t v = static_cast<int64_t>(from[i]);
    if (v < 0) v = static_cast<I>(-1) < 0 ? v + length : -1;  // an unsigned one this large is never an index
    if (v < 0 || v > length - slice) return i;
    out[i] = v;
  }
  return n;
}
int64_t read_index(const Array& x, int64_t i) {
  switch (x.dtype) {
    case DType::int32: return x.as<int32_t>()[i];
    case DType::uint32: return x.as<uint32_t>()[i];
    default: return x.as<int64_t>()[i];
  }
}
/// Indices [begin, begin + n) of a contiguous array, each the start of `slice` elements of an axis of `length`.
const char* resolve(const Array& x, int64_t begin, int64_t n, int64_t axis, int64_t length, int64_t slice,
                    int64_t* out) {
  const uint8_t* from = x.data + begin * item_size(x.dtype);
  int64_t good = x.dtype == DType::int32    ? resolve_as<int32_t>(from, n, length, slice, out)
                 : x.dtype == DType::uint32 ? resolve_as<uint32_t>(from, n, length, slice, out)
                 : x.dtype == DType::uint64 ? resolve_as<uint64_t>(from, n, length, slice, out)
                                            : resolve_as<int64_t>(from, n, length, slice, out);
  return good == n ? nullptr : out_of_range(x.dtype, read_index(x, begin + good), axis, length, slice);
}

/// Where each of n slices of x starts, from one index array per entry of `axes`; `slices` has one length per axis of x.
const char* resolve_starts(const Array& x, const Array* indices, const Ints& axes, const int64_t* slices,
                           const int64_t* strides, int64_t n, int64_t* starts) {
  memset(starts, 0, sizeof(int64_t) * n);
  for (int64_t k = 0; k < axes.size; k++) {
    int64_t a = axes[k], block[kBlock];
    for (int64_t i = 0; i < n; i += kBlock) {
      int64_t count = n - i < kBlock ? n - i : kBlock;
      if (const char* error = resolve(indices[k], i, count, a, x.shape[a], slices[a], block)) return error;
      for (int64_t j = 0; j < count; j++) starts[i + j] += block[j] * strides[a];
    }
  }
  return nullptr;
}
void contiguous_strides(const Array& x, int64_t* strides) {
  int64_t step = 1;
  for (int a = x.ndim - 1; a >= 0; a--) {
    strides[a] = step;
    step *= x.shape[a];
  }
}

/// The index arrays of a gather or scatter: contiguous, of one shape, for different axes of x.
const char* check_indices(const Array& x, const Array* indices, const Ints& axes) {
  uint32_t seen = 0;
  for (int64_t k = 0; k < axes.size; k++) {
    if (axes[k] < 0 || axes[k] >= x.ndim || (seen >> axes[k] & 1)) return "expected different axes of x";
    seen |= 1u << axes[k];
    if (!is_index(indices[k].dtype) || !is_contiguous(indices[k]) || !same_shape(indices[k], indices[0]))
      return "expected contiguous index arrays of one shape";
  }
  return nullptr;
}

// ---- gather ---------------------------------------------------------------------------------------------------------
const char* check_gather(const Call& c) {
  const auto& p = c.as<GatherParams>();
  if (c.n_in < 1 || c.n_in != 1 + p.axes.size || c.n_out != 1) return "wrong number of operands";
  const Array &x = c.in[0], &y = c.out[0];
  if (const char* error = check_indices(x, c.in + 1, p.axes)) return error;
  int32_t lead = p.axes.size ? c.in[1].ndim : 0;
  if (p.slice_sizes.size != x.ndim || y.ndim != lead + x.ndim || y.dtype != x.dtype)
    return "expected a result of index shape ++ slice sizes";
  for (int32_t a = 0; a < y.ndim; a++) {
    if (y.shape[a] != (a < lead ? c.in[1].shape[a] : p.slice_sizes[a - lead]))
      return "expected a result of index shape ++ slice sizes";
  }
  for (int32_t a = 0; a < x.ndim; a++) {
    if (p.slice_sizes[a] < 0 || p.slice_sizes[a] > x.shape[a]) return "expected slices no longer than the axes";
  }
  return nullptr;
}
int64_t index_count(const Call& c, int first, int64_t axes) { return axes > 0 ? c.in[first].size : 1; }
size_t scratch_gather(const Call& c) {
  return c.out[0].size == 0 ? 0 : sizeof(int64_t) * index_count(c, 1, c.as<GatherParams>().axes.size);
}
const char* run_gather(const Call& c) {
  const auto& p = c.as<GatherParams>();
  const Array &x = c.in[0], &y = c.out[0];
  if (y.size == 0) return nullptr;
  int64_t n = index_count(c, 1, p.axes.size), item = item_size(x.dtype), slice = y.size / n;
  auto* starts = reinterpret_cast<int64_t*>(c.scratch);
  if (const char* error = resolve_starts(x, c.in + 1, p.axes, p.slice_sizes.data, x.strides, n, starts)) return error;
  Nest nest;
  int64_t step = slice;
  for (int32_t a = 0; a < x.ndim; a++) {
    step /= p.slice_sizes[a];
    nest.add(p.slice_sizes[a], step, x.strides[a]);
  }
  Run copy = copy_of(item);
  int64_t runs = nest.runs(), inner = nest.inner(), ts = nest.inner_to(), fs = nest.inner_from();
  if (n == 1) {
    run_nest(nest, y.data, x.data + starts[0] * item, item, copy);
    return nullptr;
  }
  each_piece(n, slice * item, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      uint8_t* to = y.data + i * slice * item;
      const uint8_t* from = x.data + starts[i] * item;
      nest.each_run(0, runs, [&](int64_t t, int64_t f) { copy(to + t * item, ts, from + f * item, fs, inner); });
    }
  });
  return nullptr;
}

// ---- updates of a copy of x -----------------------------------------------------------------------------------------
/// Makes out a copy of x, unless it already lies in x's place.
const char* copy_input(const Call& c) {
  const Array &x = c.in[0], &y = c.out[0];
  if (y.size == 0) return nullptr;
  if (x.data == y.data) return is_contiguous(x) ? nullptr : "cannot update in place what is not contiguous";
  int64_t strides[kMaxDims];
  contiguous_strides(y, strides);
  Nest nest;
  for (int32_t a = 0; a < y.ndim; a++) nest.add(y.shape[a], strides[a], x.strides[a]);
  run_nest(nest, y.data, x.data, item_size(x.dtype), copy_of(item_size(x.dtype)));
  return nullptr;
}
const char* check_like_input(const Call& c) {
  return c.out[0].dtype == c.in[0].dtype && same_shape(c.in[0], c.out[0]) ? nullptr : "expected a result like x";
}

const char* check_scatter(const Call& c) {
  const auto& p = c.as<ScatterParams>();
  if (c.n_in < 2 || c.n_in != 2 + p.axes.size || c.n_out != 1) return "wrong number of operands";
  if (const char* error = check_like_input(c)) return error;
  const Array &x = c.in[0], &updates = c.in[1];
  if (const char* error = check_indices(x, c.in + 2, p.axes)) return error;
  int32_t lead = p.axes.size ? c.in[2].ndim : 0;
  if (updates.dtype != x.dtype || updates.ndim != lead + x.ndim || p.mode < 0 || p.mode > 4)
    return "expected updates of index shape ++ slice sizes";
  for (int32_t a = 0; a < updates.ndim; a++) {
    if (a < lead ? updates.shape[a] != c.in[2].shape[a] : updates.shape[a] > x.shape[a - lead])
      return "expected updates of index shape ++ slice sizes";
  }
  return nullptr;
}
size_t scratch_scatter(const Call& c) {
  return c.in[1].size == 0 ? 0 : 2 * sizeof(int64_t) * index_count(c, 2, c.as<ScatterParams>().axes.size);
}
/// Whether starts are multiples of `step`: then slices of that length are equal or disjoint.
bool starts_apart(const int64_t* starts, int64_t n, int64_t step) {
  for (int64_t i = 0; i < n; i++) {
    if (starts[i] % step) return false;
  }
  return true;
}
/// Slices are applied in the order of the indices. Threads share the work by cutting the slices, never the order.
const char* run_scatter(const Call& c) {
  const auto& p = c.as<ScatterParams>();
  const Array &x = c.in[0], &updates = c.in[1], &y = c.out[0];
  int64_t n = index_count(c, 2, p.axes.size), item = item_size(x.dtype), strides[kMaxDims];
  contiguous_strides(y, strides);
  auto* starts = reinterpret_cast<int64_t*>(c.scratch);
  int32_t lead = updates.ndim - x.ndim;
  if (updates.size > 0) {
    if (const char* error = resolve_starts(x, c.in + 2, p.axes, updates.shape + lead, strides, n, starts)) return error;
  }
  if (const char* error = copy_input(c)) return error;
  if (updates.size == 0) return nullptr;
  int64_t* froms = starts + n;
  Nest order, slice;
  for (int32_t a = 0; a < lead; a++) order.add(updates.shape[a], 1, updates.strides[a]);
  int64_t at = 0;
  order.each_run(0, order.runs(), [&](int64_t, int64_t from) {
    for (int64_t i = 0; i < order.inner(); i++) froms[at++] = from + i * order.inner_from();
  });
  for (int32_t a = 0; a < x.ndim; a++) slice.add(updates.shape[lead + a], strides[a], updates.strides[lead + a]);
  Run update = update_of(x.dtype, p.mode);
  int64_t runs = slice.runs(), inner = slice.inner(), ts = slice.inner_to(), fs = slice.inner_from();
  // Where slices are whole rows, equal or disjoint, a thread takes some columns of all of them.
  bool rows = runs == 1 && ts == 1 && inner >= 32 && starts_apart(starts, n, inner);
  auto apply = [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < n; i++) {
      slice.each_run(0, runs, [&](int64_t t, int64_t f) {
        update(y.data + (starts[i] + t + begin * ts) * item, ts, updates.data + (froms[i] + f + begin * fs) * item, fs,
               end - begin);
      });
    }
  };
  if (rows) {
    each_piece(inner / 16, 16 * n * item,
               [&](int64_t begin, int64_t end) { apply(begin * 16, end == inner / 16 ? inner : end * 16); });
  } else {
    apply(0, inner);
  }
  return nullptr;
}

const char* check_slice_update(const Call& c) {
  const auto& p = c.as<SliceUpdateParams>();
  if (c.n_in != 2 || c.n_out != 1) return "wrong number of operands";
  if (const char* error = check_like_input(c)) return error;
  const Array &x = c.in[0], &updates = c.in[1];
  if (updates.dtype != x.dtype || updates.ndim != x.ndim || p.starts.size != x.ndim || p.steps.size != x.ndim ||
      p.mode < 0 || p.mode > 4) {
    return "expected updates with the axes of x, and a start and a step for each";
  }
  for (int32_t a = 0; a < x.ndim; a++) {
    int64_t n = updates.shape[a], start = p.starts[a], step = p.steps[a], last;
    if (n == 0) continue;
    bool overflow = __builtin_mul_overflow(n - 1, step, &last) || __builtin_add_overflow(start, last, &last);
    if (overflow || start < 0 || start >= x.shape[a] || last < 0 || last >= x.shape[a] || (n > 1 && step == 0))
      return "expected a slice inside x";
  }
  return nullptr;
}
const char* run_slice_update(const Call& c) {
  const auto& p = c.as<SliceUpdateParams>();
  const Array &x = c.in[0], &updates = c.in[1], &y = c.out[0];
  if (const char* error = copy_input(c)) return error;
  if (updates.size == 0) return nullptr;
  int64_t strides[kMaxDims], item = item_size(x.dtype), at = 0;
  contiguous_strides(y, strides);
  Nest nest;
  for (int32_t a = 0; a < x.ndim; a++) {
    at += p.starts[a] * strides[a];
    nest.add(updates.shape[a], p.steps[a] * strides[a], updates.strides[a]);
  }
  run_nest(nest, y.data + at * item, updates.data, item, update_of(x.dtype, p.mode));
  return nullptr;
}

// ---- along one axis -------------------------------------------------------------------------------------------------
/// f(row, base) for each row of indices (all axes but the last), where `base` is the offset into an array of `strides`
/// of the row's first element, the indexed axis left out.
template <class F>
void each_index_row(const Array& indices, const int64_t* strides, int64_t axis, int64_t begin, int64_t end, F f) {
  Nest rows;
  for (int32_t a = 0; a < indices.ndim - 1; a++) rows.add(indices.shape[a], 0, a == axis ? 0 : strides[a]);
  rows.add(1, 0, 0);
  int64_t inner = rows.inner();
  for (int64_t r = begin; r < end; r++) {
    rows.each_run(r / inner, r / inner + 1, [&](int64_t, int64_t base) { f(r, base + r % inner * rows.inner_from()); });
  }
}
/// Checks all indices, so that nothing is written where one is out of range.
const char* resolve_all(const Array& indices, int64_t axis, int64_t length) {
  int64_t block[kBlock];
  for (int64_t i = 0; i < indices.size; i += kBlock) {
    int64_t n = indices.size - i < kBlock ? indices.size - i : kBlock;
    if (const char* error = resolve(indices, i, n, axis, length, 1, block)) return error;
  }
  return nullptr;
}
const char* check_along(const Array& x, const Array& indices, int64_t axis) {
  if (!is_index(indices.dtype) || !is_contiguous(indices)) return "expected contiguous indices";
  if (indices.ndim != x.ndim || axis < 0 || axis >= x.ndim)
    return "expected indices with the axes of x, and one of them";
  for (int32_t a = 0; a < x.ndim; a++) {
    if (a != axis && indices.shape[a] != x.shape[a]) return "expected indices with the axes of x, and one of them";
  }
  return nullptr;
}
const char* check_gather_axis(const Call& c) {
  if (c.n_in != 2 || c.n_out != 1) return "wrong number of operands";
  if (c.out[0].dtype != c.in[0].dtype || !same_shape(c.out[0], c.in[1]))
    return "expected a result of the shape of the indices";
  return check_along(c.in[0], c.in[1], c.as<GatherAxisParams>().axis);
}
template <class U>
void gather_axis(const Array& x, const Array& indices, const Array& y, int64_t axis) {
  int32_t last = x.ndim - 1;
  int64_t n = indices.shape[last], along = x.strides[axis], step = last == axis ? 0 : x.strides[last];
  each_piece(y.size / n, n * static_cast<int64_t>(sizeof(U)) * 4, [&](int64_t begin, int64_t end) {
    each_index_row(indices, x.strides, axis, begin, end, [&](int64_t r, int64_t base) {
      int64_t block[kBlock];
      for (int64_t i = 0; i < n; i += kBlock) {
        int64_t count = n - i < kBlock ? n - i : kBlock;
        resolve(indices, r * n + i, count, axis, x.shape[axis], 1, block);
        const U* from = x.as<U>() + base + i * step;
        U* to = y.as<U>() + r * n + i;
        for (int64_t j = 0; j < count; j++) to[j] = from[j * step + block[j] * along];
      }
    });
  });
}
const char* run_gather_axis(const Call& c) {
  const Array &x = c.in[0], &indices = c.in[1], &y = c.out[0];
  int64_t axis = c.as<GatherAxisParams>().axis;
  if (y.size == 0) return nullptr;
  if (const char* error = resolve_all(indices, axis, x.shape[axis])) return error;
  switch (item_size(x.dtype)) {
    case 1: gather_axis<uint8_t>(x, indices, y, axis); break;
    case 2: gather_axis<uint16_t>(x, indices, y, axis); break;
    case 4: gather_axis<uint32_t>(x, indices, y, axis); break;
    default: gather_axis<uint64_t>(x, indices, y, axis);
  }
  return nullptr;
}

const char* check_scatter_axis(const Call& c) {
  const auto& p = c.as<ScatterAxisParams>();
  if (c.n_in != 3 || c.n_out != 1) return "wrong number of operands";
  if (const char* error = check_like_input(c)) return error;
  if (p.mode != kSet && p.mode != kAdd) return "expected mode 0 or 1";
  if (c.in[2].dtype != c.in[0].dtype || !same_shape(c.in[1], c.in[2]))
    return "expected updates of the shape of the indices";
  return check_along(c.in[0], c.in[1], p.axis);
}
const char* run_scatter_axis(const Call& c) {
  const auto& p = c.as<ScatterAxisParams>();
  const Array &x = c.in[0], &indices = c.in[1], &updates = c.in[2], &y = c.out[0];
  if (indices.size > 0) {
    if (const char* error = resolve_all(indices, p.axis, x.shape[p.axis])) return error;
  }
  if (const char* error = copy_input(c)) return error;
  if (indices.size == 0) return nullptr;
  int32_t last = x.ndim - 1;
  int64_t strides[kMaxDims], item = item_size(x.dtype), n = indices.shape[last], from_step = updates.strides[last];
  contiguous_strides(y, strides);
  int64_t along = strides[p.axis], step = last == p.axis ? 0 : 1;
  Run update = update_of(x.dtype, p.mode);
  Nest sources;
  for (int32_t a = 0; a < last; a++) sources.add(updates.shape[a], 0, updates.strides[a]);
  sources.add(1, 0, 0);
  int64_t inner = sources.inner();
  each_index_row(indices, strides, p.axis, 0, indices.size / n, [&](int64_t r, int64_t base) {
    int64_t block[kBlock], from = 0;
    sources.each_run(r / inner, r / inner + 1,
                     [&](int64_t, int64_t f) { from = f + r % inner * sources.inner_from(); });
    for (int64_t i = 0; i < n; i += kBlock) {
      int64_t count = n - i < kBlock ? n - i : kBlock;
      resolve(indices, r * n + i, count, p.axis, x.shape[p.axis], 1, block);
      for (int64_t j = 0; j < count; j++) {
        update(y.data + (base + (i + j) * step + block[j] * along) * item, 1,
               updates.data + (from + (i + j) * from_step) * item, 1, 1);
      }
    }
  });
  return nullptr;
}

// ---- slices whose start is data -------------------------------------------------------------------------------------
const char* check_starts(const Array& x, const Array& start, const Ints& axes) {
  uint32_t seen = 0;
  if ((start.dtype != DType::int32 && start.dtype != DType::int64) || start.ndim != 1 || start.shape[0] != axes.size ||
      !is_contiguous(start)) {
    return "expected an int32 or int64 start for each axis";
  }
  for (int64_t k = 0; k < axes.size; k++) {
    if (axes[k] < 0 || axes[k] >= x.ndim || (seen >> axes[k] & 1)) return "expected different axes of x";
    seen |= 1u << axes[k];
  }
  return nullptr;
}
/// The offset of a slice of the given lengths, from its start along `axes`.
const char* resolve_start(const Array& x, const Array& start, const Ints& axes, const int64_t* lengths,
                          const int64_t* strides, int64_t* offset) {
  *offset = 0;
  for (int64_t k = 0; k < axes.size; k++) {
    int64_t a = axes[k], at;
    if (const char* error = resolve(start, k, 1, a, x.shape[a], lengths[a], &at)) return error;
    *offset += at * strides[a];
  }
  return nullptr;
}
const char* check_dynamic_slice(const Call& c) {
  const auto& p = c.as<DynamicSliceParams>();
  if (c.n_in != 2 || c.n_out != 1) return "wrong number of operands";
  const Array &x = c.in[0], &y = c.out[0];
  if (p.sizes.size != x.ndim || y.ndim != x.ndim || y.dtype != x.dtype)
    return "expected a result of the slice's lengths";
  for (int32_t a = 0; a < x.ndim; a++) {
    if (y.shape[a] != p.sizes[a] || p.sizes[a] > x.shape[a]) return "expected a result of the slice's lengths";
  }
  return check_starts(x, c.in[1], p.axes);
}
const char* run_dynamic_slice(const Call& c) {
  const auto& p = c.as<DynamicSliceParams>();
  const Array &x = c.in[0], &y = c.out[0];
  int64_t at, strides[kMaxDims], item = item_size(x.dtype);
  if (const char* error = resolve_start(x, c.in[1], p.axes, y.shape, x.strides, &at)) return error;
  if (y.size == 0) return nullptr;
  contiguous_strides(y, strides);
  Nest nest;
  for (int32_t a = 0; a < x.ndim; a++) nest.add(y.shape[a], strides[a], x.strides[a]);
  run_nest(nest, y.data, x.data + at * item, item, copy_of(item));
  return nullptr;
}
const char* check_dynamic_slice_update(const Call& c) {
  if (c.n_in != 3 || c.n_out != 1) return "wrong number of operands";
  if (const char* error = check_like_input(c)) return error;
  const Array &x = c.in[0], &updates = c.in[1];
  if (updates.dtype != x.dtype || updates.ndim != x.ndim) return "expected updates with the axes of x";
  for (int32_t a = 0; a < x.ndim; a++) {
    if (updates.shape[a] > x.shape[a]) return "expected updates no longer than x";
  }
  return check_starts(x, c.in[2], c.as<DynamicSliceUpdateParams>().axes);
}
const char* run_dynamic_slice_update(const Call& c) {
  const Array &x = c.in[0], &updates = c.in[1], &y = c.out[0];
  int64_t at, strides[kMaxDims], item = item_size(x.dtype);
  contiguous_strides(y, strides);
  if (const char* error = resolve_start(x, c.in[2], c.as<DynamicSliceUpdateParams>().axes, updates.shape, strides, &at))
    return error;
  if (const char* error = copy_input(c)) return error;
  if (updates.size == 0) return nullptr;
  Nest nest;
  for (int32_t a = 0; a < x.ndim; a++) nest.add(updates.shape[a], strides[a], updates.strides[a]);
  run_nest(nest, y.data + at * item, updates.data, item, copy_of(item));
  return nullptr;
}

// ---- concatenate ----------------------------------------------------------------------------------------------------
const char* check_concatenate(const Call& c) {
  if (c.n_in < 1 || c.n_out != 1) return "wrong number of operands";
  const Array& y = c.out[0];
  int64_t axis = c.as<ConcatenateParams>().axis, total = 0;
  if (axis < 0 || axis >= y.ndim) return "expected one of the axes";
  for (int32_t i = 0; i < c.n_in; i++) {
    const Array& x = c.in[i];
    if (x.dtype != y.dtype || x.ndim != y.ndim) return "expected arrays of one dtype and rank";
    for (int32_t a = 0; a < y.ndim; a++) {
      if (a != axis && x.shape[a] != y.shape[a]) return "expected arrays that differ in one axis only";
    }
    if (__builtin_add_overflow(total, x.shape[axis], &total)) return "expected a result as long as the parts";
  }
  return total == y.shape[axis] ? nullptr : "expected a result as long as the parts";
}
const char* run_concatenate(const Call& c) {
  const Array& y = c.out[0];
  int64_t axis = c.as<ConcatenateParams>().axis, strides[kMaxDims], item = item_size(y.dtype), at = 0;
  if (y.size == 0) return nullptr;
  contiguous_strides(y, strides);
  for (int32_t i = 0; i < c.n_in; i++) {
    const Array& x = c.in[i];
    Nest nest;
    for (int32_t a = 0; a < y.ndim; a++) nest.add(x.shape[a], strides[a], x.strides[a]);
    run_nest(nest, y.data + at * strides[axis] * item, x.data, item, copy_of(item));
    at += x.shape[axis];
  }
  return nullptr;
}

}  // namespace

extern const Kernel kernel_gather = {check_gather, scratch_gather, run_gather};
extern const Kernel kernel_scatter = {check_scatter, scratch_scatter, run_scatter};
extern const Kernel kernel_sliceUpdate = {check_slice_update, no_scratch, run_slice_update};
extern const Kernel kernel_gatherAxis = {check_gather_axis, no_scratch, run_gather_axis};
extern const Kernel kernel_scatterAxis = {check_scatter_axis, no_scratch, run_scatter_axis};
extern const Kernel kernel_dynamicSlice = {check_dynamic_slice, no_scratch, run_dynamic_slice};
extern const Kernel kernel_dynamicSliceUpdate = {check_dynamic_slice_update, no_scratch, run_dynamic_slice_update};
extern const Kernel kernel_concatenate = {check_concatenate, no_scratch, run_concatenate};

}  // namespace denim::DENIM_ISA
