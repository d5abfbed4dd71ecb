// Gathers, scatters, slice updates, slices at data and concatenation on the GPU (kernels/index.metal). Updates that may
// meet are sorted by their target first, so that results are the CPU's: in order, and the same at each run.
#include "metal/grid.h"
#include "metal/sort.h"

namespace denim::metal {
namespace {

constexpr int kMostIndices = 16;

/// As `Index` and `Move` of the kernels.
struct Index {
  uint64_t elements, slice, units;
  int32_t ndim, n_indices, item, mode, dtype, exploded, wide, padding;
};
struct Move {
  uint64_t elements;
  int64_t origin;
  int32_t ndim, item, mode, dtype, n_starts, start_dtype, to_start, padding;
};
static_assert(sizeof(Index) == 56 && sizeof(Move) == 48);

void dense_strides(const Array& x, int64_t* strides) {
  int64_t step = 1;
  for (int32_t a = x.ndim - 1; a >= 0; a--) {
    strides[a] = step;
    step *= x.shape[a];
  }
}

/// Axes with the strides of two arrays; those that continue one another are merged.
struct Axes {
  int n = 0;
  int64_t shape[2 * kMaxDims], first[2 * kMaxDims], second[2 * kMaxDims];
  void add(int64_t length, int64_t a, int64_t b) {
    if (length == 1) return;
    if (n > 0 && first[n - 1] == length * a && second[n - 1] == length * b) {
      shape[n - 1] *= length, first[n - 1] = a, second[n - 1] = b;
      return;
    }
    shape[n] = length, first[n] = a, second[n++] = b;
  }
  int write(int64_t* to) const {
    for (int i = 0; i < n; i++) to[i] = shape[i], to[n + i] = first[i], to[2 * n + i] = second[i];
    return 3 * n;
  }
  /// Whether elements can be moved by twos: pairs of neighbours in both arrays.
  bool halves(int64_t a_address, int64_t b_address, int64_t item) const {
    if (n == 0 || shape[n - 1] % 2 != 0 || first[n - 1] != 1 || second[n - 1] != 1) return false;
    for (int i = 0; i + 1 < n; i++) {
      if (first[i] % 2 != 0 || second[i] % 2 != 0) return false;
    }
    return a_address % (2 * item) == 0 && b_address % (2 * item) == 0;
  }
  void halve() {
    shape[n - 1] /= 2;
    for (int i = 0; i + 1 < n; i++) first[i] /= 2, second[i] /= 2;
  }
};
int64_t address(const void* p) { return static_cast<int64_t>(reinterpret_cast<intptr_t>(p)); }

// ---- moves ----------------------------------------------------------------------------------------------------------
/// A slice's start that is data: an element for each of `axes`.
struct Start {
  const Array* data = nullptr;
  bool moves_output = false;
  int n = 0;
  int64_t facts[3 * kMaxDims];
  void add(int64_t length, int64_t slice, int64_t stride) {
    facts[3 * n] = length, facts[3 * n + 1] = slice, facts[3 * n++ + 2] = stride;
  }
};
/// y (op)= x over `axes` (first: y's strides, which may be negative), from element `at` of y on.
void encode_move(const Array& x, const Array& y, int64_t at, Axes axes, int64_t mode, const Start& start, Encoder& e) {
  int64_t elements = 1, item = item_size(y.dtype), reach = 0, low = 0;
  for (int i = 0; i < axes.n; i++) {
    elements *= axes.shape[i];
    (axes.first[i] < 0 ? low : reach) += (axes.shape[i] - 1) * axes.first[i];
  }
  if (elements == 0) return;
  uint8_t* to = y.data + at * item;
  const int64_t bytes = (reach - low + 1) * item, origin_bytes = low * item;
  while (mode == 0 && item < 8 && start.n == 0 && axes.halves(address(to), address(x.data), item)) {
    axes.halve();
    elements /= 2;
    item *= 2;
  }
  int64_t dims[9 * kMaxDims];
  int n = axes.write(dims);
  for (int i = 0; i < 3 * start.n; i++) dims[n++] = start.facts[i];
  const DType start_dtype = start.n > 0 ? start.data->dtype : DType::int32;
  const Move s{static_cast<uint64_t>(elements), -origin_bytes / item,
               axes.n,                          static_cast<int32_t>(item),
               static_cast<int32_t>(mode),      static_cast<int32_t>(y.dtype),
               start.n,                         static_cast<int32_t>(start_dtype),
               start.moves_output ? 1 : 0,      0};
  e.kernel("index", "index_move");
  e.value(0, s);
  e.list(1, dims, n);
  e.array(2, x, kRead);
  const Access access = mode == 0 ? kWrite : kReadWrite;
  if (start.n > 0) e.array(3, y, access);  // it may be anywhere
  else e.memory(3, to + origin_bytes, bytes, access);
  e.bad_index(4);
  e.array(5, start.n > 0 ? *start.data : x, kRead);
  run_threads(e, elements);
}
/// Makes the output a copy of the first input, unless it lies in its place.
void copy_input(const Call& c, Encoder& e) {
  const Array &x = c.in[0], &y = c.out[0];
  if (y.size == 0 || x.data == y.data) return;
  int64_t strides[kMaxDims];
  dense_strides(y, strides);
  Axes axes;
  for (int32_t a = 0; a < y.ndim; a++) axes.add(y.shape[a], strides[a], x.strides[a]);
  encode_move(x, y, 0, axes, 0, Start(), e);
}
void encode_concatenate(const Call& c, Encoder& e) {
  const Array& y = c.out[0];
  const int64_t axis = c.as<ConcatenateParams>().axis;
  int64_t strides[kMaxDims], at = 0;
  if (y.size == 0) return;
  dense_strides(y, strides);
  for (int32_t i = 0; i < c.n_in; i++) {
    const Array& x = c.in[i];
    Axes axes;
    for (int32_t a = 0; a < y.ndim; a++) axes.add(x.shape[a], strides[a], x.strides[a]);
    encode_move(x, y, at * strides[axis], axes, 0, Start(), e);
    at += x.shape[axis];
  }
}
void encode_slice_update(const Call& c, Encoder& e) {
  const auto& p = c.as<SliceUpdateParams>();
  const Array &updates = c.in[1], &y = c.out[0];
  copy_input(c, e);
  if (updates.size == 0) return;
  int64_t strides[kMaxDims], at = 0;
  dense_strides(y, strides);
  Axes axes;
  for (int32_t a = 0; a < y.ndim; a++) {
    at += p.starts[a] * strides[a];
    axes.add(updates.shape[a], p.steps[a] * strides[a], updates.strides[a]);
  }
  encode_move(updates, y, at, axes, p.mode, Start(), e);
}
void encode_dynamic_slice(const Call& c, Encoder& e) {
  const auto& p = c.as<DynamicSliceParams>();
  const Array &x = c.in[0], &y = c.out[0];
  int64_t strides[kMaxDims];
  dense_strides(y, strides);
  Axes axes;
  for (int32_t a = 0; a < y.ndim; a++) axes.add(y.shape[a], strides[a], x.strides[a]);
  Start start{&c.in[1], false};
  for (int64_t k = 0; k < p.axes.size; k++) start.add(x.shape[p.axes[k]], y.shape[p.axes[k]], x.strides[p.axes[k]]);
  encode_move(x, y, 0, axes, 0, start, e);
}
void encode_dynamic_slice_update(const Call& c, Encoder& e) {
  const auto& p = c.as<DynamicSliceUpdateParams>();
  const Array &updates = c.in[1], &y = c.out[0];
  copy_input(c, e);
  int64_t strides[kMaxDims];
  dense_strides(y, strides);
  Axes axes;
  for (int32_t a = 0; a < y.ndim; a++) axes.add(updates.shape[a], strides[a], updates.strides[a]);
  Start start{&c.in[2], true};
  for (int64_t k = 0; k < p.axes.size; k++) start.add(y.shape[p.axes[k]], updates.shape[p.axes[k]], strides[p.axes[k]]);
  encode_move(updates, y, 0, axes, 0, start, e);
}

// ---- gathers and scatters -------------------------------------------------------------------------------------------
/// A gather's result or a scatter's updates (`other`) against the indexed array.
struct Plan {
  Axes axes;  // first: of the indexed array, second: of the updates
  Index index{};
  int64_t facts[4 * kMostIndices];
  const Array* indices[kMostIndices];
  bool distinct;  // no two numbers meet

  void add_index(const Array& data, int64_t length, int64_t slice, int64_t stride) {
    const int k = index.n_indices++;
    indices[k] = &data;
    facts[4 * k] = length, facts[4 * k + 1] = slice, facts[4 * k + 2] = stride;
    facts[4 * k + 3] = static_cast<int64_t>(data.dtype);
  }
  void bind(Encoder& e) const {
    int64_t dims[6 * kMaxDims + 4 * kMostIndices];
    int n = axes.write(dims);
    for (int i = 0; i < 4 * index.n_indices; i++) dims[n++] = facts[i];
    e.value(0, index);
    e.list(1, dims, n);
    e.bad_index(4);
  }
  /// Last, because what is left of the arguments gets some array again.
  void bind_indices(const Array& any, Encoder& e) const {
    for (int k = 0; k < kMostIndices; k++) e.array(8 + k, k < index.n_indices ? *indices[k] : any, kRead);
  }
};
void set_sizes(Plan* p, const Array& other, int64_t slice, DType dtype, int64_t mode) {
  p->index.elements = static_cast<uint64_t>(other.size);
  p->index.slice = static_cast<uint64_t>(slice);
  p->index.ndim = p->axes.n;
  p->index.item = static_cast<int32_t>(item_size(dtype));
  p->index.dtype = static_cast<int32_t>(dtype);
  p->index.mode = static_cast<int32_t>(mode);
}
/// `strides` are those of the indexed array x; `other` has the shape index shape ++ slices.
Plan plan_slices(const Array& x, const int64_t* strides, const Array& other, const Array* indices, const Ints& axes,
                 int64_t mode) {
  Plan p;
  const int32_t lead = other.ndim - x.ndim;
  int64_t slice = 1, numbers = 1;
  for (int32_t a = 0; a < lead; a++) {
    p.axes.add(other.shape[a], 0, other.strides[a]);
    numbers *= other.shape[a];
  }
  for (int32_t a = 0; a < x.ndim; a++) {
    p.axes.add(other.shape[lead + a], strides[a], other.strides[lead + a]);
    slice *= other.shape[lead + a];
  }
  set_sizes(&p, other, slice, x.dtype, mode);
  for (int64_t k = 0; k < axes.size; k++) {
    const int64_t a = axes[k], length = other.shape[lead + a];
    p.add_index(indices[k], x.shape[a], length, strides[a]);
    if (length > 1) p.index.exploded = 1;
  }
  p.index.units = static_cast<uint64_t>(p.index.exploded != 0 ? other.size : numbers);
  p.distinct = numbers <= 1;
  return p;
}
Plan plan_axis(const Array& x, const int64_t* strides, const Array& other, const Array& indices, int64_t axis,
               int64_t mode) {
  Plan p;
  for (int32_t a = 0; a < x.ndim; a++) p.axes.add(other.shape[a], a == axis ? 0 : strides[a], other.strides[a]);
  set_sizes(&p, other, 1, x.dtype, mode);
  p.add_index(indices, x.shape[axis], 1, strides[axis]);
  p.index.units = p.index.elements;
  p.distinct = other.shape[axis] <= 1;
  return p;
}

/// Slices whose ends lie together move by twos, fours, eights of elements.
void widen(Plan* p, const Array& x, const Array& y) {
  Index& s = p->index;
  while (s.item < 8 && s.slice % 2 == 0 && p->axes.halves(address(x.data), address(y.data), s.item)) {
    for (int k = 0; k < s.n_indices; k++) {
      if (p->facts[4 * k + 2] % 2 != 0) return;
    }
    p->axes.halve();
    for (int k = 0; k < s.n_indices; k++) p->facts[4 * k + 2] /= 2;
    s.elements /= 2, s.slice /= 2, s.item *= 2;
  }
}
void encode_gather_plan(Plan p, const Call& c, Encoder& e) {
  widen(&p, c.in[0], c.out[0]);
  e.kernel("index", "index_gather");
  p.bind(e);
  e.array(2, c.in[0], kRead);
  e.array(3, c.out[0], kWrite);
  p.bind_indices(c.in[0], e);
  run_threads(e, static_cast<int64_t>(p.index.elements));
}
void encode_gather(const Call& c, Encoder& e) {
  const auto& p = c.as<GatherParams>();
  if (c.out[0].size > 0)
    encode_gather_plan(plan_slices(c.in[0], c.in[0].strides, c.out[0], c.in + 1, p.axes, 0), c, e);
}
void encode_gather_axis(const Call& c, Encoder& e) {
  const Array &x = c.in[0], &y = c.out[0];
  if (y.size > 0) encode_gather_plan(plan_axis(x, x.strides, y, c.in[1], c.as<GatherAxisParams>().axis, 0), c, e);
}

bool is_wide(const Call& c) { return c.out[0].size > UINT32_MAX; }
int64_t key_bytes(const Plan& p, bool wide) {
  return (static_cast<int64_t>(p.index.units) * (wide ? 8 : 4) + 255) / 256 * 256;
}
size_t scatter_bytes(const Plan& p, const Call& c) {
  if (p.distinct || p.index.elements == 0) return 0;
  const int64_t n = static_cast<int64_t>(p.index.units);
  return static_cast<size_t>(key_bytes(p, is_wide(c)) + sort_keys_bytes(n, is_wide(c)));
}
void encode_scatter_plan(Plan p, const Array& updates, const Call& c, Encoder& e) {
  copy_input(c, e);
  if (updates.size == 0) return;
  const Array& y = c.out[0];
  const Access access = p.index.mode == 0 ? kWrite : kReadWrite;
  if (p.distinct) {
    if (p.index.mode == 0) widen(&p, y, updates);
    e.kernel("index", "index_scatter");
    p.bind(e);
    e.array(2, updates, kRead);
    e.array(3, y, access);
    p.bind_indices(updates, e);
    return run_threads(e, static_cast<int64_t>(p.index.elements));
  }
  const bool wide = is_wide(c);
  const int64_t units = static_cast<int64_t>(p.index.units);
  p.index.wide = wide ? 1 : 0;
  e.kernel("index", "index_keys");
  p.bind(e);
  e.memory(2, c.scratch, units * (wide ? 8 : 4), kWrite);
  p.bind_indices(updates, e);
  run_threads(e, units);
  const uint8_t* entries = sort_keys(c.scratch, units, wide, c.scratch + key_bytes(p, wide), e);
  e.kernel("index", "index_sorted");
  p.bind(e);
  e.array(2, updates, kRead);
  e.array(3, y, kReadWrite);
  e.memory(5, entries, units * (wide ? 16 : 8), kRead);
  p.bind_indices(updates, e);
  run_threads(e, static_cast<int64_t>(p.index.elements));
}
Plan plan_scatter(const Call& c, const int64_t* strides) {
  const auto& p = c.as<ScatterParams>();
  return plan_slices(c.out[0], strides, c.in[1], c.in + 2, p.axes, p.mode);
}
Plan plan_scatter_axis(const Call& c, const int64_t* strides) {
  const auto& p = c.as<ScatterAxisParams>();
  return plan_axis(c.out[0], strides, c.in[2], c.in[1], p.axis, p.mode);
}
template <Plan (*plan)(const Call&, const int64_t*)>
size_t scratch_scatter(const Call& c) {
  int64_t strides[kMaxDims];
  dense_strides(c.out[0], strides);
  return scatter_bytes(plan(c, strides), c);
}
template <Plan (*plan)(const Call&, const int64_t*), int updates>
void encode_scatter(const Call& c, Encoder& e) {
  int64_t strides[kMaxDims];
  dense_strides(c.out[0], strides);
  encode_scatter_plan(plan(c, strides), c.in[updates], c, e);
}
bool always(const Call&) { return true; }

}  // namespace

extern const GpuKernel gpu_gather, gpu_gatherAxis, gpu_scatter, gpu_scatterAxis, gpu_sliceUpdate, gpu_dynamicSlice,
    gpu_dynamicSliceUpdate, gpu_concatenate;
constexpr GpuKernel gpu_gather = {always, nullptr, encode_gather};
constexpr GpuKernel gpu_gatherAxis = {always, nullptr, encode_gather_axis};
constexpr GpuKernel gpu_scatter = {always, scratch_scatter<plan_scatter>, encode_scatter<plan_scatter, 1>};
constexpr GpuKernel gpu_scatterAxis = {always, scratch_scatter<plan_scatter_axis>,
                                       encode_scatter<plan_scatter_axis, 2>};
constexpr GpuKernel gpu_sliceUpdate = {always, nullptr, encode_slice_update};
constexpr GpuKernel gpu_dynamicSlice = {always, nullptr, encode_dynamic_slice};
constexpr GpuKernel gpu_dynamicSliceUpdate = {always, nullptr, encode_dynamic_slice_update};
constexpr GpuKernel gpu_concatenate = {always, nullptr, encode_concatenate};

}  // namespace denim::metal
