// randomBits on the GPU: the bits are the CPU's (kernels/random.metal).
#include "metal/grid.h"

namespace denim::metal {
namespace {

/// As `Random` of the kernel.
struct Random {
  uint64_t keys, bytes, words;
  int64_t step;
  int32_t ndim, padding;
};
static_assert(sizeof(Random) == 40);

void encode_random(const Call& c, Encoder& e) {
  const Array &key = c.in[0], &y = c.out[0];
  if (y.size == 0) return;
  const int32_t last = key.ndim - 1;
  const int64_t keys = key.size / 2, bytes = y.size / keys * item_size(y.dtype), words = (bytes + 3) / 4;
  int64_t dims[2 * kMaxDims];
  for (int32_t a = 0; a < last; a++) dims[a] = key.shape[a], dims[last + a] = key.strides[a];
  const Random s{static_cast<uint64_t>(keys), static_cast<uint64_t>(bytes), static_cast<uint64_t>(words),
                 key.strides[last],           last,                         0};
  e.kernel("random", "random_bits");
  e.value(0, s);
  e.list(1, dims, 2 * last);
  e.array(2, key, kRead);
  e.array(3, y, kWrite);
  run_threads(e, keys * (words - words / 2));
}

}  // namespace

extern const GpuKernel gpu_randomBits;
constexpr GpuKernel gpu_randomBits = {[](const Call&) { return true; }, nullptr, encode_random};

}  // namespace denim::metal
