// Kernels of the user's own: the source comes as a parameter, the buffers as a list of what each one is.
#include <stdlib.h>

#include "metal/family.h"

namespace denim::metal {
namespace {

constexpr int kPacked = 6;  // bytes of the source per number
enum Binding : int64_t { kData = 0, kShape = 1, kStrides = 2, kNdim = 3, kOutput = 4 };

/// The text that the numbers hold, to be freed; 0 bytes at its end are padding.
char* unpack(const Ints& words) {
  char* text = static_cast<char*>(calloc(static_cast<size_t>(words.size * kPacked + 1), 1));
  if (!text) abort();
  for (int64_t i = 0; i < words.size; i++)
    for (int k = 0; k < kPacked; k++) text[i * kPacked + k] = static_cast<char>(words[i] >> (8 * k));
  return text;
}
/// What the first line, a comment, calls the kernel.
void name_of(const char* text, char* name, int capacity) {
  int n = 0;
  for (const char* at = text + 3; text[0] == '/' && *at && *at != '\n' && n + 1 < capacity; at++) name[n++] = *at;
  name[n] = 0;
}
void bind(const Call& call, const MetalKernelParams& p, int index, Encoder& e) {
  const int64_t kind = p.bindings[3 * index], at = p.bindings[3 * index + 1], bytes = p.bindings[3 * index + 2];
  if (kind == kOutput) return e.memory(index, call.out[0].data + at, bytes, kReadWrite);
  const Array& x = call.in[at];
  int32_t shape[kMaxDims + 1] = {};
  for (int d = 0; d < x.ndim; d++) shape[d] = static_cast<int32_t>(x.shape[d]);
  if (kind == kData) e.array(index, x, kRead);
  else if (kind == kShape) e.bytes(index, shape, sizeof(int32_t) * static_cast<size_t>(max_of(x.ndim, 1)));
  else if (kind == kStrides) e.list(index, x.strides, x.ndim);
  else e.value(index, x.ndim);
}
uint32_t group_size(const MetalKernelParams& p, int axis) {
  return grid_size(min_of(p.threadgroup[axis], p.grid[axis]));
}
void encode(const Call& call, Encoder& e) {
  const auto& p = call.as<MetalKernelParams>();
  char* text = unpack(p.source);
  char name[64];
  name_of(text, name, sizeof name);
  if (p.init) copy_bytes(e, call.in[call.n_in - 1].data, call.out[0].data, p.bytes);
  e.generated(name, text, "custom_kernel", true);
  for (int i = 0; i < p.bindings.size / 3; i++) bind(call, p, i, e);
  const Size grid = {grid_size(p.grid[0]), grid_size(p.grid[1]), grid_size(p.grid[2])};
  e.threads(grid, {group_size(p, 0), group_size(p, 1), group_size(p, 2)});
  free(text);
}

}  // namespace
extern const GpuKernel gpu_metalKernel;
constexpr GpuKernel gpu_metalKernel = {nullptr, nullptr, encode};

}  // namespace denim::metal
