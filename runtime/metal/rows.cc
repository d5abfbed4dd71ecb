// softmax, logsumexp, rmsNorm and layerNorm on the GPU: a threadgroup per row.
#include "metal/family.h"

namespace denim::metal {
namespace {

constexpr int64_t kPerStep = 4;    // elements of a thread and step
constexpr int64_t kMostSteps = 4;  // whose elements stay in registers

/// Rows of x through a kernel whose first arguments are x, the result, the length of a row and where rows are.
struct Rows {
  int64_t n, count, threads;
};
Rows rows_of(const Array& x) {
  Rows r{x.shape[x.ndim - 1], leading_size(x, 1), 0};
  // Half of the steps that fit in registers: rows are short, and more threads hide more of the memory's time.
  r.threads = max_of(32, min_of(1024, ceil_div(ceil_div(r.n, kPerStep * kMostSteps / 2), 32) * 32));
  return r;
}
void begin(const char* function, const Call& call, bool weight, bool bias, Encoder& e) {
  const Array &x = call.in[0], &out = call.out[0];
  const Rows r = rows_of(x);
  const int64_t steps = ceil_div(r.n, kPerStep * r.threads);
  const bool vector = has_aligned_quads(x, x.ndim - 1) && r.n % kPerStep == 0;
  const int32_t constants[] = {static_cast<int32_t>(steps <= kMostSteps ? steps : 0), vector, weight, bias};
  e.kernel("rows", function, element_define(x.dtype), constants, 4);
  e.array(0, x, kRead);
  e.array(1, out, kWrite);
  e.value(2, static_cast<int32_t>(r.n));
  e.value(3, x.ndim - 1);
  Lists lists;
  lists.add(x.shape, x.ndim - 1);
  lists.add(x.strides, x.ndim - 1);
  e.list(4, lists.data, lists.n);
}
void finish(const Array& x, Encoder& e) {
  const Rows r = rows_of(x);
  e.groups({grid_size(r.count), 1, 1}, {grid_size(r.threads), 1, 1});
}

void encode_softmax(const Call& call, Encoder& e) {
  if (call.out[0].size == 0) return;
  begin("softmax", call, false, false, e);
  finish(call.in[0], e);
}
void encode_logsumexp(const Call& call, Encoder& e) {
  if (call.out[0].size == 0) return;
  begin("logsumexp", call, false, false, e);
  finish(call.in[0], e);
}
void encode_norm(const char* function, const Call& call, const Array* weight, const Array* bias, double eps,
                 Encoder& e) {
  if (call.out[0].size == 0) return;
  begin(function, call, weight, bias, e);
  array_or_nothing(e, 5, weight);
  array_or_nothing(e, 6, bias);
  e.value(7, static_cast<float>(eps));
  finish(call.in[0], e);
}
void encode_rms_norm(const Call& call, Encoder& e) {
  encode_norm("rms_norm", call, call.n_in == 2 ? &call.in[1] : nullptr, nullptr, call.as<RmsNormParams>().eps, e);
}
void encode_layer_norm(const Call& call, Encoder& e) {
  const auto& p = call.as<LayerNormParams>();
  const Array* next = call.in + 1;
  const Array* weight = p.has_weight ? next++ : nullptr;
  const Array* bias = p.has_bias ? next : nullptr;
  encode_norm("layer_norm", call, weight, bias, p.eps, e);
}

bool can(const Call& call) { return is_gpu_float(call.in[0].dtype); }
size_t no_scratch(const Call&) { return 0; }

}  // namespace

extern const GpuKernel gpu_softmax = {can, no_scratch, encode_softmax};
extern const GpuKernel gpu_logsumexp = {can, no_scratch, encode_logsumexp};
extern const GpuKernel gpu_rmsNorm = {can, no_scratch, encode_rms_norm};
extern const GpuKernel gpu_layerNorm = {can, no_scratch, encode_layer_norm};

}  // namespace denim::metal
