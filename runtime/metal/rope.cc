// rope on the GPU. The frequencies are computed here, as for the CPU, and go along with the command.
#include "metal/family.h"
#include "rope.h"

namespace denim::metal {
namespace {

constexpr int64_t kHeads = 4;      // per thread
constexpr int64_t kMostPairs = 1024;  // whose frequencies fit into a command

/// Mirrors `Rope` of kernels/rope.metal.
struct Rope {
  int64_t x_batch, x_position;
  int32_t heads, positions, width, half_dims;
  int32_t offset_stride, head_axes;
  float scale;
};

void encode(const Call& call, Encoder& e) {
  const Array &x = call.in[0], &offset = call.in[1], &out = call.out[0];
  if (out.size == 0) return;
  const auto& p = call.as<RopeParams>();
  const int64_t positions = x.shape[x.ndim - 2], width = x.shape[x.ndim - 1], half = p.dims / 2;
  const int64_t heads = x.size / (x.shape[0] * positions * width);
  const Rope r{x.strides[0],
               x.strides[x.ndim - 2],
               static_cast<int32_t>(heads),
               static_cast<int32_t>(positions),
               static_cast<int32_t>(width),
               static_cast<int32_t>(half),
               static_cast<int32_t>(offset.size > 1 ? offset.strides[0] : 0),
               x.ndim - 3,
               static_cast<float>(p.scale)};
  const int32_t constants[] = {p.traditional != 0, p.has_freqs != 0};
  e.kernel("rope", "rope", element_define(x.dtype), constants, 2);
  e.array(0, x, kRead);
  e.array(1, offset, kRead);
  e.array(2, p.has_freqs ? call.in[2] : offset, kRead);
  float inverse[kMostPairs] = {};
  for (int64_t i = 0; i < half && !p.has_freqs; i++) inverse[i] = rope_inverse_frequency(p.base, i, half);
  e.bytes(3, inverse, sizeof(float) * static_cast<size_t>(p.has_freqs ? 1 : half));
  e.array(4, out, kWrite);
  e.value(5, r);
  Lists lists;
  lists.add(x.shape + 1, r.head_axes);
  lists.add(x.strides + 1, r.head_axes);
  e.list(6, lists.data, lists.n);
  const int64_t columns = width - half;
  e.threads({grid_size(columns), grid_size(positions), grid_size(x.shape[0] * ceil_div(heads, kHeads))},
            {grid_size(min_of(columns, 64)), 1, 1});
}

bool can(const Call& call) {
  return is_gpu_float(call.in[0].dtype) && (call.n_in < 3 || is_contiguous(call.in[2])) &&
         call.as<RopeParams>().dims <= 2 * kMostPairs;
}
size_t no_scratch(const Call&) { return 0; }

}  // namespace

extern const GpuKernel gpu_rope = {can, no_scratch, encode};

}  // namespace denim::metal
