// conv on the GPU: tiles of an implicit matrix product, split along its terms where there are few tiles (gradients of
// weights), or a thread per result for groups of few channels.
#include "metal/family.h"

namespace denim::metal {
namespace {

constexpr int kSpatial = 3;
constexpr int64_t kTileK = 16;
constexpr int64_t kFewOutputs = 8;      // and channels of a group, under which tiles would be mostly empty
constexpr int64_t kFewChannels = 16;
constexpr int64_t kWantedGroups = 128;  // threadgroups that a split aims at
constexpr int64_t kMostParts = 16;
constexpr int64_t kPartSteps = 16;  // of a part, at least

/// Mirrors `Conv` of kernels/conv.metal.
struct Conv {
  int32_t batch, channels, outputs, group_channels, group_outputs;
  int32_t in[kSpatial], kernel[kSpatial], out[kSpatial], stride[kSpatial], low[kSpatial], dilation[kSpatial],
      spread[kSpatial], phases[kSpatial];
  int32_t flip, taps;
  int32_t parts, steps, part_steps;
};

int32_t narrow(int64_t x) { return static_cast<int32_t>(x); }
int64_t gcd(int64_t a, int64_t b) { return b == 0 ? a : gcd(b, a % b); }

Conv conv_of(const Call& call) {
  const auto& p = call.as<ConvParams>();
  const Array &x = call.in[0], &w = call.in[1], &y = call.out[0];
  const int n = x.ndim - 2;
  Conv c{};
  c.batch = narrow(x.shape[0]);
  c.channels = narrow(x.shape[n + 1]);
  c.outputs = narrow(w.shape[0]);
  c.group_channels = narrow(c.channels / p.groups);
  c.group_outputs = narrow(c.outputs / p.groups);
  c.flip = p.flip != 0;
  c.taps = 1;
  for (int i = 0; i < kSpatial; i++) {
    const int a = i - (kSpatial - n);
    c.in[i] = narrow(a < 0 ? 1 : x.shape[a + 1]);
    c.kernel[i] = narrow(a < 0 ? 1 : w.shape[a + 1]);
    c.out[i] = narrow(a < 0 ? 1 : y.shape[a + 1]);
    c.stride[i] = narrow(a < 0 ? 1 : p.stride[a]);
    c.low[i] = narrow(a < 0 ? 0 : p.padding_low[a]);
    c.dilation[i] = narrow(a < 0 ? 1 : p.kernel_dilation[a]);
    c.spread[i] = narrow(a < 0 ? 1 : p.input_dilation[a]);
    c.phases[i] = narrow(min_of(c.spread[i] / gcd(c.spread[i], c.stride[i]), max_of(1, c.out[i])));
    c.taps *= c.kernel[i];
  }
  return c;
}

/// Sizes of a threadgroup's tile, and how many there are.
struct Tiling {
  int64_t rows, cols, row_tiles, col_tiles, phases;
  bool flat;
};
Tiling tiling_of(Conv& c) {
  Tiling t{};
  t.flat = c.group_channels < kTileK / 2;
  // With terms over several taps pixels of all phases go together.
  for (int i = 0; i < kSpatial && t.flat; i++) c.phases[i] = 1;
  int64_t pixels = c.batch;
  t.phases = 1;
  for (int i = 0; i < kSpatial; i++) {
    pixels *= ceil_div(c.out[i], c.phases[i]);
    t.phases *= c.phases[i];
  }
  t.rows = pixels > 32 ? 64 : 32;
  t.cols = c.group_outputs > 32 ? 64 : c.group_outputs > 16 ? 32 : 16;
  t.row_tiles = ceil_div(pixels, t.rows);
  t.col_tiles = ceil_div(c.group_outputs, t.cols) * (c.outputs / c.group_outputs);
  const int64_t steps = t.flat ? ceil_div(static_cast<int64_t>(c.taps) * c.group_channels, kTileK)
                               : c.taps * ceil_div(c.group_channels, kTileK);
  const int64_t groups = t.row_tiles * t.col_tiles * t.phases;
  const int64_t parts = max_of(1, min_of(min_of(kMostParts, kWantedGroups / groups), steps / kPartSteps));
  c.steps = narrow(steps);
  c.part_steps = narrow(ceil_div(steps, parts));
  c.parts = narrow(ceil_div(steps, c.part_steps));
  return t;
}

bool is_direct(const Conv& c) { return c.group_outputs < kFewOutputs && c.group_channels < kFewChannels; }

size_t scratch_of(const Call& call) {
  if (call.out[0].size == 0 || call.in[0].size == 0) return 0;
  Conv c = conv_of(call);
  if (is_direct(c)) return 0;
  tiling_of(c);
  return c.parts > 1 ? static_cast<size_t>(c.parts * call.out[0].size) * sizeof(float) : 0;
}

void encode_direct(const Call& call, const Conv& c, Encoder& e) {
  const Array& out = call.out[0];
  const int32_t constants[] = {1, 1, 0, 0, 0};
  e.kernel("conv", "conv_direct", element_define(out.dtype), constants, 5);
  e.array(0, call.in[0], kRead);
  e.array(1, call.in[1], kRead);
  e.array(2, out, kWrite);
  e.value(4, c);
  const int64_t pixels = static_cast<int64_t>(c.out[0]) * c.out[1] * c.out[2];
  e.threads({grid_size(c.outputs), grid_size(pixels), grid_size(c.batch)},
            {grid_size(min_of(c.outputs, 32)), grid_size(min_of(pixels, 8)), 1});
}

void encode(const Call& call, Encoder& e) {
  const Array &x = call.in[0], &w = call.in[1], &out = call.out[0];
  if (out.size == 0) return;
  Conv c = conv_of(call);
  // Without channels all sums are empty, which the direct kernel writes as well as any.
  if (is_direct(c) || c.group_channels == 0) return encode_direct(call, c, e);
  const Tiling t = tiling_of(c);
  const bool vector = c.channels % 4 == 0 && c.group_channels % 4 == 0 &&
                      is_quad(reinterpret_cast<intptr_t>(x.data), x.dtype) &&
                      is_quad(reinterpret_cast<intptr_t>(w.data), w.dtype);
  const int32_t constants[] = {narrow(t.rows / 16), narrow(t.cols / 16), t.flat, vector, c.parts > 1};
  const int64_t item = item_size(out.dtype), partial_bytes = c.parts * out.size * static_cast<int64_t>(sizeof(float));
  e.kernel("conv", "conv_tiles", element_define(out.dtype), constants, 5);
  e.array(0, x, kRead);
  e.array(1, w, kRead);
  e.array(2, out, kWrite);
  if (c.parts > 1) {
    e.memory(3, call.scratch, partial_bytes, kWrite);
  } else {
    array_or_nothing(e, 3, nullptr);
  }
  e.value(4, c);
  e.local(0, static_cast<size_t>((t.rows + t.cols) * (kTileK + 16 / item) * item));
  e.groups({grid_size(t.col_tiles), grid_size(t.row_tiles), grid_size(t.phases * c.parts)}, {128, 1, 1});
  if (c.parts == 1) return;
  e.kernel("conv", "conv_sum", element_define(out.dtype), constants, 5);
  e.memory(0, call.scratch, partial_bytes, kRead);
  e.array(1, out, kWrite);
  e.value(2, c.parts);
  e.threads({grid_size(out.size), 1, 1}, {256, 1, 1});
}

/// Convolutions that are built for the GPU have contiguous inputs; numbers of pixels are 32 bits in the kernel.
bool can(const Call& call) {
  const Array &x = call.in[0], &w = call.in[1], &out = call.out[0];
  return is_gpu_float(x.dtype) && is_contiguous(x) && is_contiguous(w) && out.size <= INT32_MAX &&
         w.size <= INT32_MAX;
}

}  // namespace

extern const GpuKernel gpu_conv = {can, scratch_of, encode};

}  // namespace denim::metal
