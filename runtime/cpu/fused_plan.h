// What the planner (fused_plan.cc) leaves for the runner (fused.cc): loops, operands, values, instructions. A plan
// holds no pointers into itself nor to arrays, so it may be moved, and the arrays may lie elsewhere at each run.
//
// The loop's axes fall into three groups. A tile has one index of the grid, a range of rows and a range of columns, and
// is dense (rows x columns) in the worker's scratch:
//   elementwise    columns = everything, in order
//   transposed     columns = the last axis, rows = the axis in which some input is nearly contiguous, grid = the others
//   reduce rows    columns = the reduced axes, rows = the kept ones
//   reduce columns columns = the innermost kept axis, rows = the reduced axes, grid = the other kept ones
#pragma once
#include "cpu/fused.h"

namespace denim::DENIM_ISA {

constexpr int kMaxValues = 1024;
enum Group { kGrid, kRows, kColumns, kGroups };

struct Axis {
  int64_t size, stride;
};
/// An array of the instruction, or an arange (whose "address" is the index itself).
struct Operand {
  Axis axes[kMaxDims + kGroups];  // of the three groups, each merged as far as these strides allow, none empty
  uint8_t begin[kGroups + 1];     // group g has axes[begin[g]] .. axes[begin[g + 1] - 1]
  bool native;                    // stored as tiles hold it
  int32_t item;                   // bytes of an element
  LoadFn load;
  StoreFn store;
};
struct Value {
  DType dtype;
  Type type;
  bool once;         // the same number everywhere: the tile is filled once per task
  int32_t operand;   // of inputs and aranges, else -1
  int32_t slot;      // its place in the scratch: bytes per element of a tile that lie before it
  int32_t last_use;  // number of the last instruction that reads it; outputs: kAtEnd
};
constexpr int32_t kAtEnd = INT32_MAX;
struct Inst {
  enum Kind : uint8_t { load, arange, call } kind;
  StepFn fn;
  int32_t out, args[3];
  int32_t step;  // of arange: where its parameters are
};
struct Output {
  int32_t value, operand, number;  // `number` among the instruction's outputs
  int32_t made_at;                 // number of the instruction that makes the value
};
struct Plan {
  int64_t sizes[kGroups];
  int64_t tile_rows, tile_columns;
  int64_t slot_elements;   // of a full tile, a multiple of 64
  int64_t slot_bytes;      // per worker
  int64_t tiles_per_task;  // elementwise
  const Reducer* reducer;  // null: elementwise
  bool by_rows;            // reduce rows, else columns
  bool loose;              // the reduced value is an input that may stay where it is, its rows apart
  int32_t reduce_value, reduce_operand;
  int64_t range;          // results of one unit of work
  int64_t splits, split;  // parts of the reduced group, and the length of one
  int32_t n_values, n_insts, n_outputs;
  uint32_t operands_at, values_at, insts_at, outputs_at;  // bytes from the plan's start

  template <class T>
  const T* at(uint32_t offset) const {
    return reinterpret_cast<const T*>(reinterpret_cast<const uint8_t*>(this) + offset);
  }
  const Operand* operands() const { return at<Operand>(operands_at); }
  const Value* values() const { return at<Value>(values_at); }
  const Inst* insts() const { return at<Inst>(insts_at); }
  const Output* outputs() const { return at<Output>(outputs_at); }
  /// Accumulators and finished results of one unit, per worker.
  int64_t accumulator_bytes() const {
    return reducer == nullptr ? 0 : (range * (reducer->acc_size + 8) + 127) & ~int64_t{63};
  }
  int64_t worker_bytes() const { return slot_bytes + accumulator_bytes(); }
  int64_t units_across() const {
    return by_rows ? (sizes[kRows] + range - 1) / range : (sizes[kColumns] + range - 1) / range;
  }
  int64_t units() const { return sizes[kGrid] * units_across() * splits; }
  int64_t partial_bytes() const { return splits > 1 ? (units() * range * reducer->acc_size + 63) & ~int64_t{63} : 0; }
};

}  // namespace denim::DENIM_ISA
