// The fused interpreter seen from inside: the types that values have in tiles, and the tables of kernels that work on
// tiles. fused.cc plans and runs; fused_ops_*.cc hold the elementwise kernels, reduce.cc those of the reductions.
#pragma once
#include "kernel.h"

namespace denim::DENIM_ISA {

/// What a value is inside a tile: its own type, but the half types are float32, rounded after each step.
enum class Type : uint8_t { bool_, u8, u16, u32, u64, i8, i16, i32, i64, f32, f64, c64 };
constexpr int kTypes = 12;
struct Bool {
  uint8_t byte;
};
struct Complex {
  float re, im;
};

constexpr Type type_of(DType d) {
  constexpr Type types[] = {Type::bool_, Type::u8,  Type::u16, Type::u32, Type::u64, Type::i8,  Type::i16,
                            Type::i32,   Type::i64, Type::f32, Type::f32, Type::f64, Type::f32, Type::c64};
  return types[static_cast<int>(d)];
}
constexpr int size_of(Type t) {
  constexpr int8_t sizes[] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 8};
  return sizes[static_cast<int>(t)];
}
constexpr bool is_half(DType d) { return d == DType::float16 || d == DType::bfloat16; }

/// out[i] = f(a[i], b[i], c[i]). `out` may be one of the arguments if their elements have one size.
using StepFn = void (*)(void* out, const void* a, const void* b, const void* c, int64_t n);
/// The kernel of an op by the type of its last argument, or null where it has none.
StepFn unary_kernel(Op op, Type type);
StepFn math_kernel(Op op, Type type);
StepFn binary_kernel(Op op, Type type);
StepFn select_kernel(Type type);
StepFn cast_kernel(Type from, Type to);
/// Rounds float32 to a half type, in place.
StepFn round_kernel(DType half);

/// Strides of a two-dimensional piece of an array, in elements.
struct Steps {
  int64_t row, column;
};
/// Array -> dense tile of rows x columns, converted to the tile's type; and back.
using LoadFn = void (*)(void* tile, const void* array, int64_t rows, int64_t columns, Steps steps);
using StoreFn = void (*)(void* array, const void* tile, int64_t rows, int64_t columns, Steps steps);
LoadFn load_kernel(DType dtype);
StoreFn store_kernel(DType dtype);
/// tile[r, c] = start + step * (first + r * steps.row + c * steps.column), by the rules of `arange`.
void fill_arange(void* tile, Type type, const ArangeParams& params, int64_t first, int64_t rows, int64_t columns,
                 Steps steps);

/// A reduction over tiles: accumulators of `acc_size` bytes, each of one result.
struct Reducer {
  int32_t acc_size;
  void (*init)(void* acc, int64_t n);
  /// acc[r] takes the `columns` elements of row r.
  void (*rows)(void* acc, const void* x, int64_t rows, int64_t columns);
  /// acc[c] takes the `rows` elements of column c; `ld` elements lie between rows.
  void (*columns)(void* acc, const void* x, int64_t rows, int64_t columns, int64_t ld);
  void (*merge)(void* acc, const void* other, int64_t n);
  /// To the tile type of the result.
  void (*finish)(void* out, const void* acc, int64_t n);
};
/// The reduction's functions, or null where the type has none. `all` and `any` take bool.
const Reducer* reducer_of(Op op, Type type);

const char* fused_plan(const Fused& f, void* memory, size_t capacity, size_t* used);
size_t fused_plan_bytes(const Fused& f);
size_t fused_scratch(const Fused& f, const void* plan);
const char* fused_run(const Fused& f, const void* plan, uint8_t* scratch);

}  // namespace denim::DENIM_ISA
