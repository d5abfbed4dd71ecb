// Which instruction set this process runs, and the kernels compiled for it. The only way from the common part of the
// runtime into cpu/: program.cc asks kernel_of() and fused_api(); kernels ask cpu() before they use what their
// instruction set lacks.
#pragma once
#include "kernel.h"

namespace denim {

/// In rising order on x86-64; `neon` is all there is on aarch64.
enum class Isa : uint8_t { baseline, avx2, avx512, neon };

/// What the processor and the operating system offer beyond the instruction set chosen.
struct Cpu {
  Isa isa;           // chosen: the best there is, or DENIM_ISA from the environment if the machine has it
  bool avx512_bf16;  // x86-64, only together with Isa::avx512
  bool avx512_fp16;
  bool avx512_vbmi;
  bool dotprod;  // aarch64
  bool i8mm;
  bool bf16;
};
const Cpu& cpu();
__attribute__((always_inline)) inline Isa isa() { return cpu().isa; }
/// The name as DENIM_ISA spells it.
const char* isa_name(Isa isa);

/// The fused elementwise interpreter. `plan` refuses (returns a message) what `run` would not survive and writes at
/// most plan_bytes() bytes to `memory` (64-byte aligned), which may be moved afterwards; it does not look at data, nor
/// keep pointers. `run` takes the same instruction, whose arrays may lie elsewhere by then, and 64-byte aligned
/// scratch.
struct FusedApi {
  const char* (*plan)(const Fused&, void* memory, size_t capacity, size_t* used);
  size_t (*plan_bytes)(const Fused&);
  size_t (*scratch)(const Fused&, const void* plan);
  const char* (*run)(const Fused&, const void* plan, uint8_t* scratch);
};
const FusedApi& fused_api();

/// The kernel of an op, or null where it has none.
const Kernel* kernel_of(Op op);

/// What cpu/table.cc makes of each instruction set.
struct KernelTable {
  const Kernel* kernels[kOps];
  FusedApi fused;
};

}  // namespace denim
