// What a kernel sees, and what the decoder (program.cc) asks of each kernel; no kernel code here. The runtime is C++20
// without the C++ standard library: C headers, compiler builtins, pthread, no exceptions, no RTTI.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace denim {

constexpr int kMaxDims = 16;

/// A list of integers inside a program (decoded, checked against the program's end).
struct Ints {
  const int64_t* data;
  int64_t size;
  int64_t operator[](int64_t i) const { return data[i]; }
};
}  // namespace denim

#include "generated/ops.h"  // enum class DType, enum class Op, one params struct per op, kOpTableHash

namespace denim {

/// One array as a kernel sees it: `data` points at element [0, 0, ...]; strides are in elements, may be 0 or negative.
/// The decoder has checked that every element lies inside the buffer and that shape and strides have `ndim` entries.
struct Array {
  uint8_t* data;
  DType dtype;
  int32_t ndim;
  const int64_t* shape;
  const int64_t* strides;
  int64_t size;  // product of shape
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data);
  }
};

/// One instruction at work. Outputs are row-contiguous (the planner says so and the decoder checks it).
/// An output may share its buffer with input `inPlace` of the op's record, never with another input.
struct Call {
  Op op;
  int32_t n_in, n_out;
  const Array* in;
  const Array* out;
  const void* params;
  uint8_t* scratch;  // as many bytes as `scratch()` asked for, 64-byte aligned
  template <class P>
  const P& as() const {
    return *static_cast<const P*>(params);
  }
};

/// A native kernel. `check` runs once per decoded program: it must refuse (return a message) whatever `run` would not
/// survive, as it is all that stands between hostile bytes and the loops: number of inputs, ranks, shapes, dtypes,
/// parameters. It may not look at data. `scratch` says how many bytes `run` needs. `run` returns null, or the message
/// of an error that depends on data (an index out of range): it must never read or write outside its arrays whatever
/// the data are.
struct Kernel {
  const char* (*check)(const Call&);
  size_t (*scratch)(const Call&);
  const char* (*run)(const Call&);
};

/// Threads (threads.cc): fn(ctx, i, worker) for i in [0, n), worker in [0, worker_count()). Returns when all are done.
/// n <= 1 runs on the caller. A call costs about a microsecond: do not split work under ~20 us.
void parallel(int64_t n, void (*fn)(void* ctx, int64_t i, int worker), void* ctx);
int worker_count();

// Inlined everywhere: the linker must not keep one instruction set's copy for all.
__attribute__((always_inline)) constexpr int64_t item_size(DType t) {
  constexpr int8_t sizes[] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8, 2, 8};
  return sizes[static_cast<int>(t)];
}

// ---- fused elementwise kernels (cpu/fused.cc) -----------------------------------------------------------------------
/// Values are numbered: inputs first, then immediates, then steps (static single assignment; args refer to smaller
/// numbers).
struct FusedStep {
  Op op;          // an elementwise op of the table
  DType dtype;    // of the result
  int32_t n_args;
  int32_t args[3];
  const void* params;  // of ops that have some (astype, arange)
};
struct Immediate {
  DType dtype;
  union {
    double f;    // float dtypes
    int64_t i;   // bool and integers (uint64 by its bits)
    float c[2];  // complex64
  };
};
struct Fused {
  int32_t ndim;  // of the loop
  const int64_t* shape;
  int32_t n_in;
  const Array* in;  // shape = the loop's shape, one stride per loop axis (0 = broadcast)
  int32_t n_imm;
  const Immediate* imm;
  int32_t n_steps;
  const FusedStep* steps;
  int32_t n_out;           // arrays of the loop's shape, any strides that do not overlap
  const int32_t* out_values;
  const Array* out;
  int32_t n_reduce;        // 0 or 1: a reduction at the end
  Op reduce_op;            // sum prod max min all any
  int32_t reduce_value;
  uint32_t reduced;        // bit i: loop axis i is reduced
  Array reduce_out;        // shape = the kept axes; contiguous; dtype = that of the reduced value
};

}  // namespace denim
