// rope on the GPU. The frequencies are computed here, as for the CPU, and go along with the command.
#include "metal/rope.h"

#include "../rope.h"

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

void bind_frequencies(int index, const RopeParams& p, Encoder& e) {
  const int64_t half = p.has_freqs ? 1 : p.dims / 2;
  float inverse[kMostPairs] = {};
  for (int64_t i = 0; i < half && !p.has_freqs; i++) inverse[i] = rope_inverse_frequency(p.base, i, half);
  e.bytes(index, inverse, sizeof(float) * static_cast<size_t>(max_of(half, 1)));
}

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
  array_or_nothing(e, 2, p.has_freqs ? &call.in[2] : nullptr);
  bind_frequencies(3, p, e);
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

/// Mirrors `Move` and `Moves` of kernels/rope.metal.
struct Move {
  int64_t from_batch, from_head, from_position, to_batch, to_head, to_position;
  int32_t heads, width, rotated, offset_stride;
  int32_t room;
};
struct Moves {
  Move move[3];
  int32_t heads, positions, half_dims;
  float scale;
};

Move move_of(const RopeMove& m) {
  const Array& x = m.rotation ? m.rotation->in[0] : m.write->in[1];
  const Array& y = m.write ? m.write->out[0] : m.rotation->out[0];
  const int32_t length = static_cast<int32_t>(x.shape[2]);
  return {x.strides[0],
          x.strides[1],
          x.strides[2],
          y.shape[1] * y.shape[2] * y.shape[3],
          y.shape[2] * y.shape[3],
          y.shape[3],
          static_cast<int32_t>(x.shape[1]),
          static_cast<int32_t>(x.shape[3]),
          m.rotation != nullptr,
          static_cast<int32_t>(m.rotation && m.rotation->in[1].size > 1 ? m.rotation->in[1].strides[0] : 0),
          m.write ? static_cast<int32_t>(y.shape[2]) - length : -1};
}

}  // namespace

void encode_rope_moves(const RopeMove* moves, int32_t n, Encoder& e) {
  const Call* rotation = nullptr;
  for (int32_t i = 0; i < n && !rotation; i++) rotation = moves[i].rotation;
  const RopeParams none{};
  const RopeParams& p = rotation ? rotation->as<RopeParams>() : none;
  const Array& x = moves[0].rotation ? moves[0].rotation->in[0] : moves[0].write->in[1];
  const int32_t constants[] = {p.traditional != 0, p.has_freqs != 0};
  e.kernel("rope", "rope_moves", element_define(x.dtype), constants, 2);
  Moves m{};
  int64_t columns = 1;
  for (int32_t i = 0; i < 3; i++) {
    const RopeMove& own = moves[i < n ? i : 0];
    const Array& from = own.rotation ? own.rotation->in[0] : own.write->in[1];
    const bool there = i < n;
    const Array& to = own.write ? own.write->out[0] : own.rotation->out[0];
    array_or_nothing(e, i, there ? &from : nullptr);
    array_or_nothing(e, 3 + i, there ? &to : nullptr, kWrite);
    array_or_nothing(e, 6 + i, there && own.write ? &own.write->in[2] : nullptr);
    e.bad_index(9 + i, own.instruction);
    array_or_nothing(e, 12 + i, there && own.rotation ? &own.rotation->in[1] : nullptr);
    if (!there) continue;
    m.move[i] = move_of(own);
    m.heads += m.move[i].heads;
    columns = max_of(columns, m.move[i].width);
  }
  m.positions = static_cast<int32_t>(x.shape[2]);
  m.half_dims = static_cast<int32_t>(p.dims / 2);
  m.scale = static_cast<float>(p.scale);
  array_or_nothing(e, 15, p.has_freqs ? &rotation->in[2] : nullptr);
  bind_frequencies(16, p, e);
  e.value(17, m);
  e.threads({grid_size(columns), grid_size(m.positions), grid_size(x.shape[0] * m.heads)},
            {grid_size(min_of(columns, 64)), 1, 1});
}

extern const GpuKernel gpu_rope = {can, no_scratch, encode};

}  // namespace denim::metal
