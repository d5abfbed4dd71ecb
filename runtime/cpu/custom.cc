// A kernel of the user's own in Metal's language: the CPU checks the call, and cannot run it.
#include "kernel.h"

namespace denim::DENIM_ISA {
namespace {

constexpr int kMaxBuffers = 31;
enum Binding : int64_t { kData = 0, kShape = 1, kStrides = 2, kNdim = 3, kOutput = 4 };

bool is_size(const Ints& list) {
  if (list.size != 3) return false;
  for (int64_t i = 0; i < 3; i++) if (list[i] < 1 || list[i] > int64_t(1) << 31) return false;
  return true;
}
const char* check(const Call& call) {
  const auto& p = call.as<MetalKernelParams>();
  const Array& out = call.out[0];
  if (call.n_out != 1 || out.dtype != DType::uint8 || out.ndim != 1 || out.size != p.bytes)
    return "expected a result of bytes";
  if (!is_size(p.grid) || !is_size(p.threadgroup)) return "expected grid and threadgroup of three positive lengths";
  if (p.bindings.size % 3 || p.bindings.size > 3 * kMaxBuffers) return "expected at most 31 buffers";
  const int64_t inputs = call.n_in - (p.init ? 1 : 0);
  if (p.init && (inputs < 0 || call.in[inputs].dtype != DType::uint8 || call.in[inputs].size != p.bytes ||
                 call.in[inputs].ndim != 1 || (p.bytes > 1 && call.in[inputs].strides[0] != 1)))
    return "expected initial bytes as an input";
  for (int64_t i = 0; i < p.bindings.size; i += 3) {
    const int64_t kind = p.bindings[i], at = p.bindings[i + 1], bytes = p.bindings[i + 2];
    if (kind < kData || kind > kOutput) return "expected buffers of known kinds";
    if (kind != kOutput && (at < 0 || at >= inputs)) return "expected buffers of inputs that there are";
    if (kind == kOutput && (at < 0 || bytes < 0 || at > p.bytes || bytes > p.bytes - at || at % 16))
      return "expected outputs inside of the result";
  }
  for (int64_t i = 0; i < p.source.size; i++)
    if (p.source[i] < 0 || p.source[i] >= int64_t(1) << 48) return "expected a packed text";
  return nullptr;
}
size_t scratch(const Call&) { return 0; }
const char* run(const Call&) { return "a kernel in Metal's language on a stream of the CPU"; }

}  // namespace
extern const Kernel kernel_metalKernel;
constexpr Kernel kernel_metalKernel = {check, scratch, run};

}  // namespace denim::DENIM_ISA
