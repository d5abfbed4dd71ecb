// A fused instruction as GPU kernels see it (fused.cc): its loop with axes merged, kept ones first, its arrays, and the
// choice of threads. The interpreter's program and the text of generated kernels are both made from this.
#pragma once
#include "metal/kernel.h"

namespace denim::metal {

constexpr int kSlots = 64, kFusedArrays = 25, kFusedGroup = 256;

/// As `Micro`, `MicroKind` and `Head` of kernels/fused.metal.
enum MicroKind : uint8_t { kCompute, kPredicate, kPart, kCast, kSelect, kLoad, kArange, kStore };
struct Micro {
  uint8_t kind, op, from, to;
  int16_t out, a, b, c;
};
struct Head {
  uint64_t elements, units, results, reduced, part;
  int32_t n_micros, n_kept, n_reduced, lanes;
  int32_t reduce, reduce_slot, reduce_dtype, reduce_array;
  int32_t splits, padding;
};
static_assert(sizeof(Micro) == 12 && sizeof(Head) == 80);
enum Reduce : int32_t { kNone, kSum, kProd, kMax, kMin };

/// The loop: `n_kept` axes in the order of the outputs, then `n_reduced`. Operand `n_arrays` counts the elements of the
/// original loop in order (for arange).
struct Loop {
  int n_arrays = 0, n_kept = 0, n_reduced = 0;
  const Array* arrays[kFusedArrays];  // inputs, outputs, the reduction's result (which needs no strides)
  int64_t shape[kMaxDims], strides[kFusedArrays + 1][kMaxDims];
  uint64_t elements = 1, results = 1, reduced = 1;
  bool by_rows = false;  // the innermost axis is reduced
};
Loop loop_of(const Fused& f);

/// How units of work and threads are laid out: from the sizes alone, so that results are the same everywhere.
struct Layout {
  uint64_t units, part;
  int lanes, splits;
};
Layout layout_of(const Fused& f, const Loop& loop);

/// The interpreter's program.
struct Code {
  Micro micros[192];
  uint64_t imm[448];
  int n_micros = 0, n_imm = 0, reduce_slot = 0;
  DType reduce_dtype = DType::bool_;
  bool fits = true;
};
void make_code(const Fused& f, const Loop& loop, Code* code);
Reduce reduce_of(const Fused& f);

/// Immediates as kernels take them: 64 bits, integers extended, halves as the float32 that they are; and what an arange
/// adds to itself (pairs of floats, or integers).
uint64_t immediate_bits(const Immediate& imm);
void arange_bits(const FusedStep& s, uint64_t* start, uint64_t* step);

/// Encodes the instruction by a kernel that was written for its pattern, if that is compiled (fused_source.cc).
bool encode_generated(const Fused& f, const Loop& loop, const Layout& at, uint8_t* scratch, Encoder& e);

}  // namespace denim::metal
