// Runs a planned fused instruction: tile by tile, every value of a tile in the worker's scratch or, where it lies there
// as tiles need it, in the array itself. The plan is fused_plan.h.
#include <string.h>

#include "cpu/fused_plan.h"
#include "cpu/simd.h"

namespace denim::DENIM_ISA {
namespace {

struct Tile {
  int64_t grid, row, rows, column, columns;
};
int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/// Offset of an element of one group, in elements.
int64_t offset_of(const Operand& o, Group g, int64_t index) {
  int64_t offset = 0;
  int i = o.begin[g + 1] - 1;
  for (; i > o.begin[g]; i--) {
    offset += index % o.axes[i].size * o.axes[i].stride;
    index /= o.axes[i].size;
  }
  return offset + index * o.axes[i].stride;
}
/// How many elements from `index` on are one stride apart.
int64_t run_left(const Operand& o, Group g, int64_t index) {
  const int64_t line = o.axes[o.begin[g + 1] - 1].size;
  return o.begin[g + 1] - o.begin[g] == 1 ? INT64_MAX : line - index % line;
}
int64_t stride_of(const Operand& o, Group g) { return o.axes[o.begin[g + 1] - 1].stride; }
int64_t offset_of(const Operand& o, const Tile& t) {
  return offset_of(o, kGrid, t.grid) + offset_of(o, kRows, t.row) + offset_of(o, kColumns, t.column);
}
/// Whether the tile is a strided rectangle of the array.
bool is_rectangle(const Operand& o, const Tile& t) {
  return t.columns <= run_left(o, kColumns, t.column) && (t.rows == 1 || t.rows <= run_left(o, kRows, t.row));
}
/// Whether the array holds the tile as a dense tile of its own.
bool is_dense(const Operand& o, const Tile& t) {
  return o.native && is_rectangle(o, t) && (stride_of(o, kColumns) == 1 || t.columns == 1) &&
         (t.rows == 1 || stride_of(o, kRows) == t.columns);
}
/// A place in one group of axes that moves on, as an odometer does: a division for each step would cost more than the
/// work on a short line.
struct Walk {
  const Axis* axes;
  int last;
  int64_t offset;
  int64_t at[kMaxDims];

  Walk(const Operand& o, Group g, int64_t index)
      : axes(o.axes + o.begin[g]), last(o.begin[g + 1] - o.begin[g] - 1), offset(offset_of(o, g, index)) {
    for (int i = last; i > 0; index /= axes[i].size, i--) at[i] = index % axes[i].size;
    at[0] = index;
  }
  int64_t left(int axis) const { return axes[axis].size - at[axis]; }
  /// Moves n <= left(axis) steps along an axis.
  void move(int axis, int64_t n) {
    at[axis] += n;
    offset += n * axes[axis].stride;
    for (; axis > 0 && at[axis] == axes[axis].size; axis--) {
      at[axis] = 0;
      at[axis - 1]++;
      offset += axes[axis - 1].stride - axes[axis].size * axes[axis].stride;
    }
  }
};
/// Cuts a tile into strided rectangles: f(offset in the array, first element in the tile, rows, columns, steps).
template <class F>
void pieces(const Operand& o, const Tile& t, F&& f) {
  const Steps steps{stride_of(o, kRows), stride_of(o, kColumns)};
  if (is_rectangle(o, t)) return f(offset_of(o, t), int64_t{0}, t.rows, t.columns, steps);
  const int64_t grid = offset_of(o, kGrid, t.grid);
  const Walk first(o, kColumns, t.column);
  const int line = first.last;
  Walk row(o, kRows, t.row);
  if (t.columns <= first.left(line)) {
    for (int64_t r = 0; r < t.rows;) {
      const int64_t n = smaller(t.rows - r, row.left(row.last));
      f(grid + row.offset + first.offset, r * t.columns, n, t.columns, steps);
      row.move(row.last, n);
      r += n;
    }
    return;
  }
  for (int64_t r = 0; r < t.rows; r++, row.move(row.last, 1)) {
    Walk column = first;
    for (int64_t c = 0; c < t.columns;) {
      const int64_t at = r * t.columns + c, from = grid + row.offset + column.offset, size = column.axes[line].size;
      const int64_t lines = column.at[line] != 0 ? 0 : smaller((t.columns - c) / size, column.left(line - 1));
      if (lines > 1) {
        f(from, at, lines, size, Steps{column.axes[line - 1].stride, steps.column});
        column.move(line - 1, lines);
        c += lines * size;
      } else {
        const int64_t n = smaller(t.columns - c, column.left(line));
        f(from, at, int64_t{1}, n, steps);
        column.move(line, n);
        c += n;
      }
    }
  }
}
void store_tile(const Operand& o, uint8_t* data, const Tile& t, const uint8_t* tile, int size) {
  pieces(o, t, [&](int64_t offset, int64_t at, int64_t rows, int64_t columns, Steps steps) {
    o.store(data + offset * o.item, tile + at * size, rows, columns, steps);
  });
}

/// What holds for a whole run, beyond the plan: the arrays, and which of them share memory.
struct Run {
  const Fused& f;
  const Plan& p;
  uint8_t* scratch;
  bool may_stay[kMaxValues];  // an input may be read where it is
  bool in_place[kMaxValues];  // an output may be written before the tile is done
};
/// An output that has an input's memory is written at the tile's end unless nothing reads the input after the output is
/// made; an input that is itself an output is copied out of its memory before that happens.
void find_aliases(Run* run) {
  const Plan& p = run->p;
  memset(run->may_stay, 1, sizeof(run->may_stay));
  for (int k = 0; k < p.n_outputs; k++) {
    const Output& out = p.outputs()[k];
    run->in_place[k] = true;
    for (int i = 0; i < run->f.n_in; i++) {
      if (run->f.in[i].data != run->f.out[out.number].data) continue;
      const int32_t last = p.values()[i].last_use;
      if (last > out.made_at || p.values()[i].once) run->in_place[k] = false;
      if (last == kAtEnd) run->may_stay[i] = false;
    }
  }
}

/// One worker at one piece of work: where each value is at the moment.
struct Worker {
  const Run& run;
  const Plan& p;
  uint8_t* slots;
  uint8_t* accumulators;
  int64_t ld = 0;  // elements between rows of the reduced value
  uint8_t* where[kMaxValues];

  Worker(const Run& r, int worker) : run(r), p(r.p), slots(r.scratch + p.partial_bytes() + worker * p.worker_bytes()) {
    accumulators = slots + p.slot_bytes;
    for (int i = 0; i < p.n_values; i++) {
      where[i] = p.values()[i].slot < 0 ? nullptr : slot(i);  // values that nothing reads have none
      if (p.values()[i].once) fill_once(i);
    }
  }
  uint8_t* slot(int32_t value) const { return slots + p.values()[value].slot * p.slot_elements; }
  const Operand& operand(int32_t value) const { return p.operands()[p.values()[value].operand]; }

  void fill_once(int32_t value) {
    const Value& v = p.values()[value];
    if (value < run.f.n_in) return operand(value).load(slot(value), run.f.in[value].data, 1, p.slot_elements, {0, 0});
    const Immediate& imm = run.f.imm[value - run.f.n_in];
    uint64_t cell = 0;
    float f = static_cast<float>(imm.f);
    if (is_half(v.dtype)) round_kernel(v.dtype)(&f, &f, nullptr, nullptr, 1);
    if (v.type == Type::f32) memcpy(&cell, &f, 4);
    else memcpy(&cell, &imm.i, 8);  // integers by their low bytes; the union's start is float64 and complex64 too
    load_kernel(v.type == Type::f32 ? DType::float32 : v.dtype)(slot(value), &cell, 1, p.slot_elements, {0, 0});
  }
  void load(int32_t value, const Tile& t) {
    const Operand& o = operand(value);
    const uint8_t* data = run.f.in[value].data;
    if (run.may_stay[value]) {
      const bool rows_apart = p.loose && value == p.reduce_value && stride_of(o, kColumns) == 1 && is_rectangle(o, t);
      if (rows_apart || is_dense(o, t)) {
        where[value] = const_cast<uint8_t*>(data) + offset_of(o, t) * o.item;
        if (rows_apart) ld = stride_of(o, kRows);
        return;
      }
    }
    uint8_t* tile = where[value] = slot(value);
    const int size = size_of(p.values()[value].type);
    pieces(o, t, [&](int64_t offset, int64_t at, int64_t rows, int64_t columns, Steps steps) {
      o.load(tile + at * size, data + offset * o.item, rows, columns, steps);
    });
  }
  void arange(const Inst& inst, const Tile& t) {
    const Value& v = p.values()[inst.out];
    const auto& params = *static_cast<const ArangeParams*>(run.f.steps[inst.step].params);
    pieces(operand(inst.out), t, [&](int64_t first, int64_t at, int64_t rows, int64_t columns, Steps steps) {
      fill_arange(where[inst.out] + at * size_of(v.type), v.type, params, first, rows, columns, steps);
    });
  }
  /// Steps whose result is an output write into the output where they can.
  void place_outputs(const Tile& t) {
    for (int k = 0; k < p.n_outputs; k++) {
      const Output& out = p.outputs()[k];
      const Operand& o = p.operands()[out.operand];
      const bool made_here = out.value >= run.f.n_in + run.f.n_imm;
      if (!made_here) continue;
      const bool direct = run.in_place[k] && is_dense(o, t);
      where[out.value] = direct ? run.f.out[out.number].data + offset_of(o, t) * o.item : slot(out.value);
    }
  }
  void compute(const Tile& t) {
    const int64_t n = t.rows * t.columns;
    ld = t.columns;
    place_outputs(t);
    for (int i = 0; i < p.n_insts; i++) {
      const Inst& inst = p.insts()[i];
      if (inst.kind == Inst::load) load(inst.out, t);
      else if (inst.kind == Inst::arange) arange(inst, t);
      else inst.fn(where[inst.out], where[inst.args[0]], where[inst.args[1]], where[inst.args[2]], n);
    }
  }
  void store(const Tile& t) {
    for (int k = 0; k < p.n_outputs; k++) {
      const Output& out = p.outputs()[k];
      const Operand& o = p.operands()[out.operand];
      uint8_t* data = run.f.out[out.number].data;
      if (where[out.value] == data + offset_of(o, t) * o.item && is_dense(o, t)) continue;
      store_tile(o, data, t, where[out.value], size_of(p.values()[out.value].type));
    }
  }

  /// ---- reductions --------------------------------------------------------------------------------------------------
  void reduce_tile(const Tile& t, uint8_t* acc) {
    compute(t);
    const uint8_t* x = where[p.reduce_value];
    if (p.by_rows) p.reducer->rows(acc, x, t.rows, t.columns);
    else p.reducer->columns(acc, x, t.rows, t.columns, ld);
    store(t);
  }
  /// The results that a unit computes, as a tile of the result's array.
  Tile results_of(int64_t unit) const {
    const int64_t across = p.units_across(), first = unit % across * p.range;
    const int64_t n = smaller(p.range, p.sizes[p.by_rows ? kRows : kColumns] - first);
    return p.by_rows ? Tile{unit / across, first, n, 0, 1} : Tile{unit / across, 0, 1, first, n};
  }
  void finish(int64_t unit, const uint8_t* acc) {
    const Tile t = results_of(unit);
    const Value& v = p.values()[p.reduce_value];
    uint8_t* results = accumulators + p.range * p.reducer->acc_size;
    p.reducer->finish(results, acc, t.rows * t.columns);
    store_tile(p.operands()[p.reduce_operand], run.f.reduce_out.data, t, results, size_of(v.type));
  }
  /// Unit u * splits + s: part s of the reduction of the results of unit u.
  void reduce_unit(int64_t number) {
    const int64_t unit = number / p.splits, from = number % p.splits * p.split;
    const int64_t to = smaller(from + p.split, p.sizes[p.by_rows ? kColumns : kRows]);
    uint8_t* acc = p.splits > 1 ? run.scratch + number * p.range * p.reducer->acc_size : accumulators;
    const Tile r = results_of(unit);
    p.reducer->init(acc, r.rows * r.columns);
    if (p.by_rows) {
      for (int64_t c = from; c < to; c += p.tile_columns)
        reduce_tile({r.grid, r.row, r.rows, c, smaller(p.tile_columns, to - c)}, acc);
    } else {
      for (int64_t row = from; row < to; row += p.tile_rows) {
        for (int64_t c = 0; c < r.columns; c += p.tile_columns) {
          const Tile t{r.grid, row, smaller(p.tile_rows, to - row), r.column + c,
                       smaller(p.tile_columns, r.columns - c)};
          reduce_tile(t, acc + c * p.reducer->acc_size);
        }
      }
    }
    if (p.splits == 1) finish(unit, acc);
  }
};

/// Items of work [0, n), `per_task` at a time, on all threads.
template <class F>
void each_task(const Run& run, int64_t n, int64_t per_task, F&& fn) {
  struct Context {
    const Run& run;
    F& fn;
    int64_t n, per_task;
  } context{run, fn, n, per_task};
  parallel((n + per_task - 1) / per_task,
           [](void* ctx, int64_t i, int number) {
             const auto& c = *static_cast<Context*>(ctx);
             Worker worker(c.run, number);
             for (int64_t k = i * c.per_task, end = smaller(k + c.per_task, c.n); k < end; k++) c.fn(worker, k);
           },
           &context);
}
void run_elementwise(const Run& run) {
  const Plan& p = run.p;
  const int64_t down = (p.sizes[kRows] + p.tile_rows - 1) / p.tile_rows,
                across = (p.sizes[kColumns] + p.tile_columns - 1) / p.tile_columns;
  each_task(run, p.sizes[kGrid] * down * across, p.tiles_per_task, [&](Worker& worker, int64_t k) {
    const int64_t row = k / across % down * p.tile_rows, column = k % across * p.tile_columns;
    const Tile t{k / across / down, row, smaller(p.tile_rows, p.sizes[kRows] - row), column,
                 smaller(p.tile_columns, p.sizes[kColumns] - column)};
    worker.compute(t);
    worker.store(t);
  });
}
void run_reduction(const Run& run) {
  const Plan& p = run.p;
  const int64_t work = p.by_rows ? p.range * p.split : p.range * smaller(p.split, p.sizes[kRows]);
  const int64_t per_task =
      work > 0 && work < p.tiles_per_task * p.slot_elements ? p.tiles_per_task * p.slot_elements / work : 1;
  each_task(run, p.units(), per_task, [](Worker& worker, int64_t k) { worker.reduce_unit(k); });
  if (p.splits == 1) return;
  each_task(run, p.units() / p.splits, p.units(), [&](Worker& worker, int64_t unit) {
    const Tile r = worker.results_of(unit);
    const int64_t bytes = p.range * p.reducer->acc_size;
    uint8_t* acc = run.scratch + unit * p.splits * bytes;
    for (int64_t s = 1; s < p.splits; s++) p.reducer->merge(acc, acc + s * bytes, r.rows * r.columns);
    worker.finish(unit, acc);
  });
}

}  // namespace

size_t fused_scratch(const Fused&, const void* plan) {
  const auto& p = *static_cast<const Plan*>(plan);
  return static_cast<size_t>(p.partial_bytes() + worker_count() * p.worker_bytes());
}
const char* fused_run(const Fused& f, const void* plan, uint8_t* scratch) {
  Run run{f, *static_cast<const Plan*>(plan), scratch, {}, {}};
  find_aliases(&run);
  if (run.p.reducer == nullptr) run_elementwise(run);
  else run_reduction(run);
  return nullptr;
}

}  // namespace denim::DENIM_ISA
