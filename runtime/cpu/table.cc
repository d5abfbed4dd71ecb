// Collects one instruction set's kernels under their ops. A kernel that is missing is an error of the linker.
#include "cpu/dispatch.h"
#include "cpu/fused.h"

namespace denim::DENIM_ISA {

#define X(name, arity, in_place) extern const Kernel kernel_##name;
DENIM_KERNEL_OPS(X)
#undef X

static constexpr KernelTable collect() {
  KernelTable t{};
#define X(name, arity, in_place) t.kernels[static_cast<int>(Op::name)] = &kernel_##name;
  DENIM_KERNEL_OPS(X)
#undef X
  t.fused = {fused_plan, fused_plan_bytes, fused_scratch, fused_run};
  return t;
}
extern const KernelTable table;
constexpr KernelTable table = collect();

}  // namespace denim::DENIM_ISA
