// Plans a fused instruction: checks it, picks the kernels, arranges the loop, and gives values places by liveness.
#include "cpu/fused_plan.h"

#include <string.h>

namespace denim::DENIM_ISA {
namespace {

constexpr int64_t kTileBytes = 32 * 1024;  // what one tile of every operand and slot may take of the L1 cache
constexpr int64_t kSmallTile = 256, kLargeTile = 4096;

/// ---- ops: which kernel, which dtype --------------------------------------------------------------------------------
bool is_bool_result(Op op) {
  return op == Op::logicalNot || op == Op::logicalAnd || op == Op::logicalOr ||
         (op >= Op::equal && op <= Op::lessEqual);
}
/// Results that a half type always holds exactly.
bool is_exact(Op op) {
  switch (op) {
    case Op::negative:
    case Op::abs:
    case Op::sign:
    case Op::floor:
    case Op::ceil:
    case Op::round:
    case Op::real:
    case Op::imag:
    case Op::conjugate:
    case Op::copy:
    case Op::maximum:
    case Op::minimum:
    case Op::select: return true;
    default: return false;
  }
}
DType result_dtype(Op op, DType argument) {
  if (is_bool_result(op)) return DType::bool_;
  const bool part = op == Op::abs || op == Op::real || op == Op::imag;
  return part && argument == DType::complex64 ? DType::float32 : argument;
}
bool is_valid(DType d) { return static_cast<int>(d) < kDTypes; }

struct Planner {
  const Fused& f;
  Plan* p;
  Operand* operands;
  Value* values;
  Inst* insts;
  Output* outputs;
  const char* message = nullptr;
  int32_t n_operands = 0, units_of_slots = 0, n_axes = 0;
  int64_t shape[kMaxDims] = {};  // of the loop, merged, outermost first
  bool reduced[kMaxDims] = {};
  uint8_t group[kMaxDims] = {};
  double cost = 0;  // nanoseconds per element, roughly

  bool refuse(const char* why) {
    if (message == nullptr) message = why;
    return false;
  }

  /// ---- operands ----------------------------------------------------------------------------------------------------
  bool array_operand(const Array& a) {
    if (!is_valid(a.dtype) || a.ndim != f.ndim) return refuse("an array does not have the loop's axes");
    Operand& o = operands[n_operands++];
    for (int i = 0; i < f.ndim; i++) o.axes[i] = {f.shape[i], f.shape[i] == 1 ? 0 : a.strides[i]};
    o.native = !is_half(a.dtype);
    o.item = static_cast<int32_t>(item_size(a.dtype));
    o.load = load_kernel(a.dtype);
    o.store = store_kernel(a.dtype);
    return true;
  }
  /// Strides of the loop in order: an arange counts by them. Of the reduction's result: of the kept axes alone.
  void counting_operand(DType dtype, uint32_t skipped) {
    Operand& o = operands[n_operands++];
    int64_t stride = 1;
    for (int i = f.ndim - 1; i >= 0; i--) {
      const bool skip = (skipped >> i & 1) != 0;
      o.axes[i] = {f.shape[i], skip || f.shape[i] == 1 ? 0 : stride};
      if (!skip) stride *= f.shape[i];
    }
    o.native = !is_half(dtype);
    o.item = static_cast<int32_t>(item_size(dtype));
    o.load = nullptr;
    o.store = store_kernel(dtype);
  }
  void add_value(DType dtype, int32_t operand, bool once) {
    values[p->n_values++] = {dtype, type_of(dtype), once, operand, -1, -1};
  }
  bool is_uniform(const Operand& o) const {
    for (int i = 0; i < f.ndim; i++) {
      if (o.axes[i].stride != 0) return false;
    }
    return true;
  }

  /// ---- values and instructions -------------------------------------------------------------------------------------
  void use(int32_t value) {
    Value& v = values[value];
    if (v.operand >= 0 && !v.once && v.last_use < 0) {
      const bool array = operands[v.operand].load != nullptr;
      if (array) insts[p->n_insts++] = {Inst::load, nullptr, value, {0, 0, 0}, 0};
    }
    v.last_use = p->n_insts;
  }
  void emit(StepFn fn, int32_t out, const int32_t* args, int n) {
    Inst inst{Inst::call, fn, out, {args[0], args[n > 1 ? 1 : 0], args[n > 2 ? 2 : 0]}, 0};
    for (int i = 0; i < n; i++) use(args[i]);
    for (int i = 0; i < n; i++) values[args[i]].last_use = p->n_insts;
    insts[p->n_insts++] = inst;
  }
  void round_if(bool wanted, int32_t value) {
    if (!wanted) return;
    insts[p->n_insts++] = {Inst::call, round_kernel(values[value].dtype), value, {value, value, value}, 0};
    values[value].last_use = p->n_insts - 1;
    cost += 0.1;
  }
  StepFn kernel_of(const FusedStep& s, DType last) {
    const Type type = type_of(last);
    if (s.op == Op::astype) {
      if (static_cast<const AstypeParams*>(s.params)->dtype != static_cast<int64_t>(s.dtype)) return nullptr;
      return cast_kernel(type, type_of(s.dtype));
    }
    if (s.dtype != result_dtype(s.op, last)) return nullptr;
    if (s.op == Op::select)
      return values[s.args[0]].dtype == DType::bool_ && values[s.args[1]].dtype == last ? select_kernel(type) : nullptr;
    if (s.n_args == 2) return values[s.args[0]].dtype == last ? binary_kernel(s.op, type) : nullptr;
    const StepFn simple = unary_kernel(s.op, type);
    return simple != nullptr ? simple : math_kernel(s.op, type);
  }
  bool step(const FusedStep& s, int32_t index) {
    const int32_t value = p->n_values;
    const char* wrong = "a step is not an elementwise op with its arguments";
    if (static_cast<int>(s.op) >= kOps || !is_valid(s.dtype)) return refuse(wrong);
    const OpFacts& facts = kOpFacts[static_cast<int>(s.op)];
    if (facts.kind != Kind::elementwise || s.n_args != facts.arity) return refuse(wrong);
    for (int i = 0; i < s.n_args; i++) {
      if (s.args[i] < 0 || s.args[i] >= value) return refuse("a step reads a value that does not exist yet");
    }
    if (facts.n_params > 0 && s.params == nullptr) return refuse("a step lacks its parameters");
    if (s.op == Op::arange) {
      const bool real = s.dtype != DType::bool_ && s.dtype != DType::complex64;
      if (!real || static_cast<const ArangeParams*>(s.params)->dtype != static_cast<int64_t>(s.dtype))
        return refuse("arange is of a real dtype");
      add_value(s.dtype, n_operands, false);
      counting_operand(s.dtype, 0);
      insts[p->n_insts++] = {Inst::arange, nullptr, value, {0, 0, 0}, index};
    } else {
      const StepFn fn = kernel_of(s, values[s.args[s.n_args - 1]].dtype);
      if (fn == nullptr) return refuse("a step has no kernel for its dtypes");
      add_value(s.dtype, -1, false);
      emit(fn, value, s.args, s.n_args);
    }
    cost += math_kernel(s.op, Type::f64) != nullptr || s.op == Op::power ? 1.0 : 0.15;
    round_if(is_half(s.dtype) && !is_exact(s.op), value);
    return true;
  }
  bool inputs_and_steps() {
    for (int i = 0; i < f.n_in; i++) {
      if (!array_operand(f.in[i])) return false;
      add_value(f.in[i].dtype, i, is_uniform(operands[i]));
    }
    for (int i = 0; i < f.n_imm; i++) {
      if (!is_valid(f.imm[i].dtype)) return refuse("an immediate has no dtype");
      add_value(f.imm[i].dtype, -1, true);
    }
    for (int i = 0; i < f.n_steps; i++) {
      if (!step(f.steps[i], i)) return false;
    }
    return true;
  }
  /// Values that are inputs come first among the outputs, so that they are stored before an output overwrites an input.
  bool results() {
    for (int pass = 0; pass < 2; pass++) {
      for (int i = 0; i < f.n_out; i++) {
        const int32_t value = f.out_values[i];
        if (value < 0 || value >= p->n_values) return refuse("an output is a value that does not exist");
        if (values[value].dtype != f.out[i].dtype) return refuse("an output has another dtype than its value");
        if ((value < f.n_in) != (pass == 0)) continue;
        use(value);
        values[value].last_use = kAtEnd;
        outputs[p->n_outputs++] = {value, n_operands, i, 0};
        if (!array_operand(f.out[i])) return false;
      }
    }
    return f.n_reduce == 0 || reduction();
  }
  bool reduction() {
    const Array& y = f.reduce_out;
    int32_t value = f.reduce_value;
    if (value < 0 || value >= f.n_in + f.n_imm + f.n_steps)
      return refuse("the reduction is of a value that does not exist");
    const bool logical = f.reduce_op == Op::all || f.reduce_op == Op::any;
    p->loose = value < f.n_in && values[value].last_use < 0 && !values[value].once &&
               operands[values[value].operand].native && !logical;
    if (logical && values[value].dtype != DType::bool_) {
      const int32_t truth = p->n_values;
      add_value(DType::bool_, -1, false);
      emit(cast_kernel(values[value].type, Type::bool_), truth, &value, 1);
      value = truth;
    }
    p->reducer = reducer_of(f.reduce_op, values[value].type);
    if (p->reducer == nullptr) return refuse("the reduction is not defined for its dtype");
    if (y.dtype != values[value].dtype) return refuse("the reduction's result has another dtype");
    int64_t kept = 1;
    for (int i = 0; i < f.ndim; i++) kept *= (f.reduced >> i & 1) != 0 ? 1 : f.shape[i];
    if (y.size != kept) return refuse("the reduction's result has another size");
    use(value);
    values[value].last_use = kAtEnd;
    p->reduce_value = value;
    p->reduce_operand = n_operands;
    counting_operand(y.dtype, f.reduced);
    return true;
  }
  void find_makers() {
    for (int k = 0; k < p->n_outputs; k++) {
      for (int i = 0; i < p->n_insts; i++) {
        if (insts[i].out == outputs[k].value) outputs[k].made_at = i;
      }
    }
  }

  /// ---- loops -------------------------------------------------------------------------------------------------------
  void swap_axes(int a, int b) {
    const int64_t size = shape[a];
    const bool flag = reduced[a];
    shape[a] = shape[b], reduced[a] = reduced[b];
    shape[b] = size, reduced[b] = flag;
    for (int k = 0; k < n_operands; k++) {
      const Axis axis = operands[k].axes[a];
      operands[k].axes[a] = operands[k].axes[b];
      operands[k].axes[b] = axis;
    }
  }
  void drop_axis(int a) {
    n_axes--;
    for (int i = a; i < n_axes; i++) shape[i] = shape[i + 1], reduced[i] = reduced[i + 1];
    for (int k = 0; k < n_operands; k++) {
      for (int i = a; i < n_axes; i++) operands[k].axes[i] = operands[k].axes[i + 1];
    }
  }
  uint64_t reach(int axis) const {
    uint64_t sum = 0;
    for (int k = 0; k < f.n_in; k++)
      sum += static_cast<uint64_t>(__builtin_llabs(operands[k].axes[axis].stride)) *
             static_cast<uint64_t>(operands[k].item);
    return sum;
  }
  bool mergeable(int a) const {
    if (reduced[a] != reduced[a + 1]) return false;
    for (int k = 0; k < n_operands; k++) {
      const Axis *x = &operands[k].axes[a], *y = x + 1;
      if (x->stride != y->stride * y->size) return false;
    }
    return true;
  }
  /// Outputs are dense, so the loop runs in their order; a reduction alone runs in the order of its inputs' memory.
  void order_axes() {
    n_axes = f.ndim;
    for (int i = 0; i < n_axes; i++) {
      shape[i] = f.shape[i];
      reduced[i] = f.n_reduce != 0 && (f.reduced >> i & 1) != 0;
    }
    for (int i = n_axes - 1; i >= 0; i--) {
      if (shape[i] == 1) drop_axis(i);
    }
    for (int i = 1; f.n_out == 0 && i < n_axes; i++) {
      for (int j = i; j > 0 && reach(j - 1) < reach(j); j--) swap_axes(j - 1, j);
    }
    for (int i = n_axes - 2; i >= 0; i--) {
      if (!mergeable(i)) continue;
      shape[i] *= shape[i + 1];
      for (int k = 0; k < n_operands; k++) operands[k].axes[i] = {shape[i], operands[k].axes[i + 1].stride};
      drop_axis(i + 1);
    }
  }
  /// The axis along which an input is nearly contiguous while it is far from that along the last one; -1 if there is
  /// none.
  int transposed_axis() const {
    const int last = n_axes - 1;
    for (int k = 0; k < f.n_in; k++) {
      const int64_t far = __builtin_llabs(operands[k].axes[last].stride);
      for (int i = 0; i < last; i++) {
        const int64_t near = __builtin_llabs(operands[k].axes[i].stride);
        if (near != 0 && near * 8 <= far && (shape[i] >= 8 || shape[i] >= shape[last])) return i;
      }
    }
    return -1;
  }
  void group_axes() {
    const int last = n_axes - 1;
    p->by_rows = p->reducer != nullptr && (n_axes == 0 || reduced[last]);
    const int rows = p->reducer == nullptr && n_axes > 1 ? transposed_axis() : -1;
    for (int i = 0; i < n_axes; i++) {
      if (p->by_rows) group[i] = reduced[i] ? kColumns : kRows;
      else if (p->reducer != nullptr) group[i] = i == last ? kColumns : reduced[i] ? kRows : kGrid;
      else group[i] = rows < 0 || i == last ? kColumns : i == rows ? kRows : kGrid;
    }
    for (int g = 0; g < kGroups; g++) {
      p->sizes[g] = 1;
      for (int i = 0; i < n_axes; i++) p->sizes[g] *= group[i] == g ? shape[i] : 1;
    }
    for (int k = 0; k < n_operands; k++) split_groups(&operands[k]);
  }
  void split_groups(Operand* o) const {
    Axis raw[kMaxDims];
    memcpy(raw, o->axes, sizeof(raw));
    uint8_t n = 0;
    for (int g = 0; g < kGroups; g++) {
      o->begin[g] = n;
      for (int i = 0; i < n_axes; i++) {
        if (group[i] != g) continue;
        const Axis axis{shape[i] > 0 ? shape[i] : 1, raw[i].stride};
        Axis* before = n > o->begin[g] ? &o->axes[n - 1] : nullptr;
        if (before != nullptr && before->stride == axis.stride * axis.size)
          *before = {before->size * axis.size, axis.stride};
        else o->axes[n++] = axis;
      }
      if (n == o->begin[g]) o->axes[n++] = {1, 0};
    }
    o->begin[kGroups] = n;
  }

  /// ---- places and tiles
  /// --------------------------------------------------------------------------------------------------- Linear scan: a
  /// value takes the place of one of its size that nothing reads any more.
  void assign_slots() {
    int16_t free_slots[4][kMaxValues];
    int n_free[4] = {0, 0, 0, 0};
    auto kind = [&](const Value& v) { return __builtin_ctz(static_cast<unsigned>(size_of(v.type))); };
    auto take = [&](Value* v) {
      const int k = kind(*v);
      if (n_free[k] > 0) v->slot = free_slots[k][--n_free[k]];
      else v->slot = units_of_slots, units_of_slots += size_of(v->type);
    };
    for (int i = 0; i < p->n_values; i++) {
      if (values[i].once) take(&values[i]);
    }
    for (int i = 0; i < p->n_insts; i++) {
      const Inst& inst = insts[i];
      for (int k = 0; inst.kind == Inst::call && k < 3; k++) {
        Value& v = values[inst.args[k]];
        const bool repeated = (k > 0 && inst.args[k] == inst.args[0]) || (k > 1 && inst.args[k] == inst.args[1]);
        if (v.last_use != i || v.once || repeated || inst.args[k] == inst.out) continue;
        free_slots[kind(v)][n_free[kind(v)]++] = static_cast<int16_t>(v.slot);
      }
      if (values[inst.out].slot < 0) take(&values[inst.out]);
    }
  }
  int64_t tile_elements() const {
    int64_t bytes = units_of_slots;
    for (int k = 0; k < n_operands; k++) bytes += operands[k].item;
    const int64_t n = kTileBytes / at_least_one(bytes);
    return n < kSmallTile ? kSmallTile : n > kLargeTile ? kLargeTile : n & ~int64_t{63};
  }
  static int64_t at_least_one(int64_t n) { return n > 0 ? n : 1; }
  static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
  void choose_tiles() {
    const int64_t n = tile_elements(), rows = p->sizes[kRows], columns = p->sizes[kColumns];
    if (p->reducer == nullptr && rows == 1) {
      p->tile_columns = smaller(at_least_one(columns), n);
      // Tiles that are whole lines of a broadcast or strided operand find it where it is.
      for (int k = 0; k < n_operands; k++) {
        const int64_t line = operands[k].axes[operands[k].begin[kGroups] - 1].size;
        if (line >= kSmallTile && line <= 2 * n && line < columns) p->tile_columns = line;
      }
      p->tile_rows = 1;
    } else {
      const int64_t widest = p->reducer == nullptr ? 64 : p->by_rows ? n : 512;
      p->tile_columns = smaller(at_least_one(columns), widest);
      p->tile_rows = smaller(at_least_one(rows), at_least_one(n / p->tile_columns));
    }
    p->slot_elements = (p->tile_rows * p->tile_columns + 63) & ~int64_t{63};
    p->slot_bytes = p->slot_elements * units_of_slots;
    const double per_element = cost + 0.1 * n_operands;  // 0 where immediates are the only values
    const int64_t per_task = static_cast<int64_t>(per_element > 0 ? 30000 / per_element : 30000);
    p->tiles_per_task = at_least_one(per_task / (p->tile_rows * p->tile_columns));
  }
  /// Units of work depend on sizes only, never on the number of threads, so neither do results.
  void choose_units() {
    p->splits = 1;
    if (p->reducer == nullptr) return;
    const int64_t rows = p->sizes[kRows], columns = p->sizes[kColumns];
    if (p->by_rows) {
      p->range = p->tile_rows, p->split = at_least_one(columns);
      if (columns > (1 << 17) && rows < 32)
        p->split = round_up(columns / 256 > 65536 ? columns / 256 : 65536, p->tile_columns);
      p->splits = at_least_one((columns + p->split - 1) / p->split);
    } else {
      p->range = smaller(columns, 4096), p->split = at_least_one(rows);
      const int64_t range = at_least_one(p->range), units = p->sizes[kGrid] * ((columns + range - 1) / range);
      p->range = range;
      if (units < 32 && rows * range > (1 << 17))
        p->split = round_up(rows / 32 > 65536 / range ? rows / 32 : 65536 / range, p->tile_rows);
      p->splits = at_least_one((rows + p->split - 1) / p->split);
    }
  }
  static int64_t round_up(int64_t n, int64_t to) { return at_least_one((n + to - 1) / to) * to; }

  const char* make() {
    if (!inputs_and_steps() || !results()) return message;
    find_makers();
    order_axes();
    group_axes();
    p->loose = p->loose && !p->by_rows && f.n_out == 0;
    assign_slots();
    choose_tiles();
    choose_units();
    return nullptr;
  }
};

struct Sizes {
  size_t operands, values, insts, outputs, total;
};
Sizes sizes_of(const Fused& f) {
  const size_t in = static_cast<size_t>(f.n_in), imm = static_cast<size_t>(f.n_imm),
               steps = static_cast<size_t>(f.n_steps), out = static_cast<size_t>(f.n_out);
  auto block = [](size_t n, size_t item) { return (n * item + 63) & ~size_t{63}; };
  Sizes s;
  s.operands = block(1, sizeof(Plan));
  s.values = s.operands + block(in + steps + out + 1, sizeof(Operand));
  s.insts = s.values + block(in + imm + steps + 1, sizeof(Value));
  s.outputs = s.insts + block(in + 2 * steps + 1, sizeof(Inst));
  s.total = s.outputs + block(out, sizeof(Output));
  return s;
}
/// What must hold before anything is counted.
const char* check_counts(const Fused& f) {
  if (f.ndim < 0 || f.ndim > kMaxDims) return "the loop has too many axes";
  if (f.n_in < 0 || f.n_imm < 0 || f.n_steps < 0 || f.n_out < 0 || f.n_reduce < 0 || f.n_reduce > 1)
    return "a count is negative";
  if (static_cast<int64_t>(f.n_in) + f.n_imm + f.n_steps + f.n_out >= kMaxValues)
    return "the kernel has too many values";
  int64_t size = 1;
  for (int i = 0; i < f.ndim; i++) {
    if (f.shape[i] < 0 || __builtin_mul_overflow(size, f.shape[i] > 0 ? f.shape[i] : 1, &size) ||
        size > (int64_t{1} << 53))
      return "the loop is too large";
  }
  if (f.n_reduce != 0 && f.ndim < 32 && (f.reduced >> f.ndim) != 0)
    return "the reduction is over an axis that does not exist";
  return nullptr;
}

}  // namespace

size_t fused_plan_bytes(const Fused& f) { return check_counts(f) != nullptr ? sizeof(Plan) : sizes_of(f).total; }

const char* fused_plan(const Fused& f, void* memory, size_t capacity, size_t* used) {
  if (const char* message = check_counts(f)) return message;
  const Sizes s = sizes_of(f);
  if (capacity < s.total) return "the plan does not fit";
  *used = s.total;
  auto* bytes = static_cast<uint8_t*>(memory);
  memset(bytes, 0, s.total);
  auto* p = static_cast<Plan*>(memory);
  p->operands_at = static_cast<uint32_t>(s.operands), p->values_at = static_cast<uint32_t>(s.values);
  p->insts_at = static_cast<uint32_t>(s.insts), p->outputs_at = static_cast<uint32_t>(s.outputs);
  Planner planner{f,
                  p,
                  reinterpret_cast<Operand*>(bytes + s.operands),
                  reinterpret_cast<Value*>(bytes + s.values),
                  reinterpret_cast<Inst*>(bytes + s.insts),
                  reinterpret_cast<Output*>(bytes + s.outputs)};
  return planner.make();
}

}  // namespace denim::DENIM_ISA
