// What a call of quantizedMatmul, gatherQmm or dequantize says, for the kernels of the CPU and of the GPU alike.
// Functions are static: files that are compiled once per instruction set include this.
#pragma once
#include "kernel.h"

namespace denim {

constexpr int64_t kAffine = 0, kMxfp4 = 1, kMxfp8 = 2, kNvfp4 = 3;  // modes
struct QuantizedFormat {
  int64_t group, bits, mode;
  bool transpose;
};
static inline QuantizedFormat quantized_format(const Call& call) {
  if (call.op == Op::dequantize) {
    const auto& p = call.as<DequantizeParams>();
    return {p.group_size, p.bits, p.mode, true};
  }
  if (call.op == Op::gatherQmm) {
    const auto& p = call.as<GatherQmmParams>();
    return {p.group_size, p.bits, p.mode, p.transpose != 0};
  }
  const auto& p = call.as<QuantizedMatmulParams>();
  return {p.group_size, p.bits, p.mode, p.transpose != 0};
}

/// The arrays of a call. dequantize has no x; gatherQmm ends with the indices.
struct QuantizedOperands {
  const Array *x, *w, *scales, *biases, *lhs, *rhs;
};
static inline QuantizedOperands quantized_operands(const Call& call) {
  const bool affine = quantized_format(call).mode == kAffine;
  const Array* next = call.in;
  QuantizedOperands o{};
  if (call.op != Op::dequantize) o.x = next++;
  o.w = next++;
  o.scales = next++;
  if (affine) o.biases = next++;
  if (call.op == Op::gatherQmm) {
    o.lhs = next++;
    o.rhs = next++;
  }
  return o;
}

}  // namespace denim
