// argmax and argmin on the GPU; the other reductions end fused instructions (fused.cc).
#include "metal/grid.h"

namespace denim::metal {
namespace {

/// As `Arg` of kernels/reduce.metal.
struct Arg {
  uint64_t length, lines;
  int64_t step;
  int32_t ndim, dtype, item, smallest, lanes, padding;
};
static_assert(sizeof(Arg) == 48);

void encode_arg(const Call& c, int64_t axis, bool smallest, Encoder& e) {
  const Array &x = c.in[0], &y = c.out[0];
  if (y.size == 0) return;
  const int64_t n = x.shape[axis];
  const OtherAxes others(x, x, axis);
  // Many lines side by side are read in order by a thread each.
  const bool across = x.strides[axis] != 1 && y.size >= 1024;
  const int lanes = across || n < 48 ? 1 : n < 2048 ? 32 : 256;
  const Arg s{static_cast<uint64_t>(n),
              static_cast<uint64_t>(y.size),
              x.strides[axis],
              others.ndim,
              static_cast<int32_t>(x.dtype),
              static_cast<int32_t>(item_size(x.dtype)),
              smallest ? 1 : 0,
              lanes,
              0};
  e.kernel("reduce", "arg_reduce");
  e.value(0, s);
  others.bind(e, 1);
  e.array(2, x, kRead);
  e.array(3, y, kWrite);
  const int64_t per_group = 256 / lanes;
  e.groups(folded((y.size + per_group - 1) / per_group), {256, 1, 1});
}
bool always(const Call&) { return true; }

}  // namespace

extern const GpuKernel gpu_argmax, gpu_argmin;
constexpr GpuKernel gpu_argmax = {always, nullptr, [](const Call& c, Encoder& e) {
                                    encode_arg(c, c.as<ArgmaxParams>().axis, false, e);
                                  }};
constexpr GpuKernel gpu_argmin = {always, nullptr, [](const Call& c, Encoder& e) {
                                    encode_arg(c, c.as<ArgminParams>().axis, true, e);
                                  }};

}  // namespace denim::metal
