// Which ops have a kernel for the GPU, and the names of dtypes in Metal's language.
#include "generated/metal.h"
#include "metal/kernel.h"

namespace denim::metal {

#define X(op) extern const GpuKernel gpu_##op;
DENIM_GPU_OPS(X)
#undef X

struct Table {
  const GpuKernel* kernels[kOps];
};
static constexpr Table collect() {
  Table t{};
#define X(op) t.kernels[static_cast<int>(Op::op)] = &gpu_##op;
  DENIM_GPU_OPS(X)
#undef X
  return t;
}
static constexpr Table kTable = collect();

const GpuKernel* gpu_kernel(Op op) { return kTable.kernels[static_cast<int>(op)]; }

const char* type_name(DType t) {
  constexpr const char* names[] = {"bool", "uchar", "ushort", "uint",  "ulong",  "char",   "short",
                                   "int",  "long",  "half",   "float", nullptr, "bfloat", "complex64"};
  return names[static_cast<int>(t)];
}

}  // namespace denim::metal
