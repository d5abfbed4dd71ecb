// sort and argsort along one axis: radix sort of ordered keys (keys.h), eight bits at a time from the lowest, so it is
// stable; passes in which all keys agree are skipped, and short lines go by insertion. Lines run in parallel.
#include "cpu/keys.h"
#include "cpu/rows.h"

namespace denim::DENIM_ISA {
namespace {

constexpr int64_t kShort = 48;

/// A key with where it came from.
template <class K>
struct Entry {
  K key;
  uint32_t index;
};
template <class K>
inline K key_of(K key) {
  return key;
}
template <class K>
inline K key_of(const Entry<K>& e) {
  return e.key;
}

template <class T>
void insertion_sort(T* x, int64_t n) {
  for (int64_t i = 1; i < n; i++) {
    const T moved = x[i];
    int64_t j = i;
    for (; j > 0 && key_of(x[j - 1]) > key_of(moved); j--) x[j] = x[j - 1];
    x[j] = moved;
  }
}
/// Sorts x[0, n) with as much room in `spare`; returns which of the two holds the result.
template <class K, class T>
T* radix_sort(T* x, T* spare, int64_t n) {
  if (n <= kShort) {
    insertion_sort(x, n);
    return x;
  }
  constexpr int kPasses = static_cast<int>(sizeof(K));
  uint32_t counts[kPasses][256] = {};
  for (int64_t i = 0; i < n; i++) {
    const K key = key_of(x[i]);
    for (int p = 0; p < kPasses; p++) counts[p][(key >> (8 * p)) & 0xff]++;
  }
  for (int p = 0; p < kPasses; p++) {
    uint32_t* starts = counts[p];
    if (starts[(key_of(x[0]) >> (8 * p)) & 0xff] == n) continue;
    uint32_t sum = 0;
    for (int d = 0; d < 256; d++) {
      const uint32_t count = starts[d];
      starts[d] = sum;
      sum += count;
    }
    for (int64_t i = 0; i < n; i++) spare[starts[(key_of(x[i]) >> (8 * p)) & 0xff]++] = x[i];
    T* sorted = spare;
    spare = x;
    x = sorted;
  }
  return x;
}

/// Three parts per worker: the line's keys, the entries, and as many again.
template <class K>
int64_t bytes_per_worker(int64_t n) {
  return (n * static_cast<int64_t>(sizeof(K) + 2 * sizeof(Entry<K>)) + 191) & ~int64_t{63};
}
template <class K>
void sort_line(K* y, int64_t y_step, const K* x, int64_t x_step, int64_t n, DType dtype, uint8_t* room) {
  K* keys = reinterpret_cast<K*>(room);
  load_keys(keys, x, dtype, n, x_step, {false, false});
  store_keys(y, radix_sort<K>(keys, keys + n, n), dtype, n, y_step);
}
template <class K>
const Entry<K>* sorted_entries(const K* x, int64_t x_step, int64_t n, DType dtype, uint8_t* room) {
  auto* entries = reinterpret_cast<Entry<K>*>(room);
  K* keys = reinterpret_cast<K*>(entries + 2 * n);
  load_keys(keys, x, dtype, n, x_step, {false, true});
  for (int64_t i = 0; i < n; i++) entries[i] = {keys[i], static_cast<uint32_t>(i)};
  return radix_sort<K>(entries, entries + n, n);
}
template <class K>
void sort_lines(const Call& c, int64_t axis, bool indices) {
  const Array &x = c.in[0], &y = c.out[0];
  const int64_t n = x.shape[axis], x_step = x.strides[axis], y_step = y.strides[axis];
  in_pieces(x.size / n, n * 8, [&](int64_t from, int64_t to, int worker) {
    uint8_t* room = c.scratch + worker * bytes_per_worker<K>(n);
    for (int64_t line = from; line < to; line++) {
      const K* from_x = x.as<K>() + line_offset(x, axis, line);
      const int64_t at = line_offset(y, axis, line);
      if (indices) {
        const Entry<K>* e = sorted_entries(from_x, x_step, n, x.dtype, room);
        for (int64_t i = 0; i < n; i++) y.as<uint32_t>()[at + i * y_step] = e[i].index;
      } else if (x.dtype == DType::complex64) {  // its keys do not keep NaN's parts
        const Entry<K>* e = sorted_entries(from_x, x_step, n, x.dtype, room);
        for (int64_t i = 0; i < n; i++) y.as<K>()[at + i * y_step] = from_x[e[i].index * x_step];
      } else {
        sort_line(y.as<K>() + at, y_step, from_x, x_step, n, x.dtype, room);
      }
    }
  });
}
const char* run_sort(const Call& c, int64_t axis, bool indices) {
  if (c.in[0].size == 0) return nullptr;
  switch (key_size(c.in[0].dtype)) {
    case 1: sort_lines<uint8_t>(c, axis, indices); break;
    case 2: sort_lines<uint16_t>(c, axis, indices); break;
    case 4: sort_lines<uint32_t>(c, axis, indices); break;
    default: sort_lines<uint64_t>(c, axis, indices); break;
  }
  return nullptr;
}
size_t scratch_bytes(const Call& c, int64_t axis) {
  const int64_t n = c.in[0].shape[axis];
  int64_t bytes = bytes_per_worker<uint64_t>(n);
  if (key_size(c.in[0].dtype) == 4) bytes = bytes_per_worker<uint32_t>(n);
  if (key_size(c.in[0].dtype) == 2) bytes = bytes_per_worker<uint16_t>(n);
  if (key_size(c.in[0].dtype) == 1) bytes = bytes_per_worker<uint8_t>(n);
  return static_cast<size_t>(bytes * worker_count());
}
const char* check_sort(const Call& c, int64_t axis, bool indices) {
  if (const char* message = check_axis(c, axis)) return message;
  if (!same_shape(c.in[0], c.out[0])) return "the result must have the input's shape";
  if (c.in[0].shape[axis] > UINT32_MAX) return "the axis must have less than 2^32 elements";
  return c.out[0].dtype == (indices ? DType::uint32 : c.in[0].dtype) ? nullptr : "the result has the wrong dtype";
}

}  // namespace

extern const Kernel kernel_sort, kernel_argsort;
const Kernel kernel_sort{[](const Call& c) { return check_sort(c, c.as<SortParams>().axis, false); },
                         [](const Call& c) { return scratch_bytes(c, c.as<SortParams>().axis); },
                         [](const Call& c) { return run_sort(c, c.as<SortParams>().axis, false); }};
const Kernel kernel_argsort{[](const Call& c) { return check_sort(c, c.as<ArgsortParams>().axis, true); },
                            [](const Call& c) { return scratch_bytes(c, c.as<ArgsortParams>().axis); },
                            [](const Call& c) { return run_sort(c, c.as<ArgsortParams>().axis, true); }};

}  // namespace denim::DENIM_ISA
