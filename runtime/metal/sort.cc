// sort and argsort on the GPU: blocks, then merges of runs between two halves of the scratch (kernels/sort.metal).
#include "metal/sort.h"

#include "metal/grid.h"

namespace denim::metal {
namespace {

constexpr int64_t kBlock = 1024, kRun = 8;

/// As `Sort` of the kernels.
struct Sort {
  uint64_t length, lines;
  int64_t x_step, y_step;
  int32_t ndim, dtype, item, indices;
  uint32_t block, keep;
};
static_assert(sizeof(Sort) == 56);

bool is_wide(DType d) { return item_size(d) == 8; }
int64_t entry_bytes(bool wide) { return wide ? 16 : 8; }
uint32_t block_of(int64_t length) {
  int64_t block = 64;
  while (block < length && block < kBlock) block *= 2;
  return static_cast<uint32_t>(block);
}
void run_blocks(const Sort& s, const Array& x, uint8_t* runs, bool wide, Encoder& e) {
  const int64_t length = static_cast<int64_t>(s.length), lines = static_cast<int64_t>(s.lines);
  if (runs == nullptr) e.array(4, x, kRead);
  else e.memory(4, runs, lines * length * entry_bytes(wide), kWrite);
  e.groups(folded(lines * ((length + s.block - 1) / s.block)), {s.block > 512 ? 256 : s.block / 2, 1, 1});
}
/// Merges runs of a block each; returns where the result lies.
uint8_t* run_merges(const Sort& s, uint8_t* from, uint8_t* to, bool wide, Encoder& e) {
  const int64_t length = static_cast<int64_t>(s.length), lines = static_cast<int64_t>(s.lines);
  const int64_t bytes = lines * length * entry_bytes(wide);
  for (uint64_t width = s.block; width < s.length; width *= 2) {
    e.kernel("sort", wide ? "sort_merge_wide" : "sort_merge_narrow");
    e.value(0, s);
    e.value(1, width);
    e.memory(2, from, bytes, kRead);
    e.memory(3, to, bytes, kWrite);
    run_threads(e, lines * ((length + kRun - 1) / kRun));
    uint8_t* result = to;
    to = from;
    from = result;
  }
  return from;
}

int64_t run_bytes(int64_t elements, bool wide) { return (elements * entry_bytes(wide) + 255) / 256 * 256; }
size_t scratch_bytes(const Call& c, int64_t axis) {
  const Array& x = c.in[0];
  if (x.shape[axis] <= kBlock) return 0;
  return static_cast<size_t>(2 * run_bytes(x.size, is_wide(x.dtype)));
}
void encode_sort(const Call& c, int64_t axis, bool indices, Encoder& e) {
  const Array &x = c.in[0], &y = c.out[0];
  if (x.size == 0) return;
  const int64_t n = x.shape[axis], lines = x.size / n;
  const bool wide = is_wide(x.dtype), one_block = n <= kBlock;
  const OtherAxes others(x, y, axis);
  const Sort s{static_cast<uint64_t>(n),         static_cast<uint64_t>(lines),
               x.strides[axis],                  y.strides[axis],
               others.ndim,                      static_cast<int32_t>(x.dtype),
               static_cast<int32_t>(item_size(x.dtype)), indices ? 1 : 0,
               block_of(n),                      one_block ? 0u : 1u};
  e.kernel("sort", wide ? "sort_blocks_wide" : "sort_blocks_narrow");
  e.value(0, s);
  others.bind(e, 1);
  e.array(2, x, kRead);
  if (one_block) e.array(3, y, kWrite);
  else e.memory(3, c.scratch, 8, kWrite);
  run_blocks(s, x, one_block ? nullptr : c.scratch, wide, e);
  if (one_block) return;
  const uint8_t* sorted = run_merges(s, c.scratch, c.scratch + run_bytes(x.size, wide), wide, e);
  e.kernel("sort", wide ? "sort_write_wide" : "sort_write_narrow");
  e.value(0, s);
  others.bind(e, 1);
  e.array(2, x, kRead);
  e.array(3, y, kWrite);
  e.memory(4, sorted, x.size * entry_bytes(wide), kRead);
  run_threads(e, x.size);
}
bool always(const Call&) { return true; }

}  // namespace

int64_t sort_keys_bytes(int64_t n, bool wide) { return 2 * run_bytes(n, wide); }
const uint8_t* sort_keys(const uint8_t* keys, int64_t n, bool wide, uint8_t* room, Encoder& e) {
  const int64_t one = 1;
  const Array x{const_cast<uint8_t*>(keys), wide ? DType::uint64 : DType::uint32, 1, &n, &one, n};
  const Sort s{static_cast<uint64_t>(n), 1, 1, 1, 0, static_cast<int32_t>(x.dtype), wide ? 8 : 4, 1, block_of(n), 1};
  e.kernel("sort", wide ? "sort_blocks_wide" : "sort_blocks_narrow");
  e.value(0, s);
  e.list(1, nullptr, 0);
  e.array(2, x, kRead);
  e.memory(3, room, 8, kWrite);
  run_blocks(s, x, room, wide, e);
  return run_merges(s, room, room + run_bytes(n, wide), wide, e);
}

extern const GpuKernel gpu_sort, gpu_argsort;
constexpr GpuKernel gpu_sort = {always, [](const Call& c) { return scratch_bytes(c, c.as<SortParams>().axis); },
                                [](const Call& c, Encoder& e) { encode_sort(c, c.as<SortParams>().axis, false, e); }};
constexpr GpuKernel gpu_argsort = {always, [](const Call& c) { return scratch_bytes(c, c.as<ArgsortParams>().axis); },
                                   [](const Call& c, Encoder& e) {
                                     encode_sort(c, c.as<ArgsortParams>().axis, true, e);
                                   }};

}  // namespace denim::metal
