// Finds instructions that one dispatch can compute. All parts of a dispatch run at once, so none may write what another
// touches; a value in between that nobody reads later is not written at all. Roundings are those of the single
// instructions, so results are the same bits.
#include "metal/join.h"

#include "metal/quantized.h"
#include "metal/rope.h"

namespace denim::metal {
namespace {

constexpr int32_t kMostParts = 3;

// ---- memory ---------------------------------------------------------------------------------------------------------
const Operand& output(const Instruction& ins) { return ins.operands[ins.n_in]; }
const Array& output_array(const Instruction& ins) { return ins.arrays[ins.n_in]; }
/// Values that take one another's place have numbers of their own.
bool same_memory(const Program& p, const Operand& a, const Operand& b) {
  const ValueSpec &x = p.values[a.value], &y = p.values[b.value];
  return x.place == y.place && x.offset + a.offset == y.offset + b.offset;
}

bool overlap(const Program& p, int32_t a, int32_t b) {
  const ValueSpec &x = p.values[a], &y = p.values[b];
  return x.place == y.place && x.offset < y.offset + y.nbytes && y.offset < x.offset + x.nbytes;
}
bool covers(const Program& p, int32_t outer, int32_t inner) {
  const ValueSpec &x = p.values[outer], &y = p.values[inner];
  return x.place == y.place && x.offset <= y.offset && y.offset + y.nbytes <= x.offset + x.nbytes;
}
/// Is the memory of a value written again, or forgotten, before any instruction from `from` on reads it?
bool is_dead(const Program& p, int32_t value, int32_t from) {
  for (int32_t k = from; k < p.n_instructions; k++) {
    const Instruction& ins = p.instructions[k];
    for (int32_t i = 0; i < ins.n_in; i++)
      if (overlap(p, ins.operands[i].value, value)) return false;
    for (int32_t i = 0; i < ins.n_out; i++)
      if (covers(p, ins.operands[ins.n_in + i].value, value)) return true;
  }
  for (int32_t i = 0; i < p.n_outputs; i++)
    if (overlap(p, p.outputs[i], value)) return false;
  return p.values[value].place < 0 || p.values[value].place >= p.n_inputs;
}
/// The same once instruction `last`, which reads the value, is done: its result may lie in that place.
bool is_dead_after(const Program& p, int32_t value, int32_t last) {
  return covers(p, output(p.instructions[last]).value, value) || is_dead(p, value, last + 1);
}
/// Does `value` touch nothing that the instruction reads? Its own place in memory, if it works in place, is `except`.
bool apart(const Program& p, int32_t value, const Instruction& ins, int32_t except = -1) {
  for (int32_t i = 0; i < ins.n_in; i++)
    if (i != except && overlap(p, value, ins.operands[i].value)) return false;
  return true;
}

// ---- products -------------------------------------------------------------------------------------------------------
bool is_product(const Instruction& ins) {
  return !ins.fused && ins.op == Op::quantizedMatmul && joins_products(ins.call);
}

/// The same rows, and weights of the same format.
bool same_rows(const Program& p, const Instruction& a, const Instruction& b) {
  const auto &f = a.call.as<QuantizedMatmulParams>(), &g = b.call.as<QuantizedMatmulParams>();
  return same_memory(p, a.operands[0], b.operands[0]) && a.arrays[0].dtype == b.arrays[0].dtype &&
         a.arrays[0].size == b.arrays[0].size && a.arrays[2].dtype == b.arrays[2].dtype &&
         f.group_size == g.group_size && f.bits == g.bits && f.mode == g.mode;
}
/// Products [first, first + n) and one more may run at once.
bool joins(const Program& p, int32_t first, int32_t n) {
  const Instruction& more = p.instructions[first + n];
  if (!is_product(more) || !same_rows(p, p.instructions[first], more)) return false;
  for (int32_t k = first; k < first + n; k++) {
    const Instruction& ins = p.instructions[k];
    const int32_t own = output(ins).value, next = output(more).value;
    if (overlap(p, own, next) || !apart(p, own, more) || !apart(p, next, ins)) return false;
  }
  return true;
}

/// A fused instruction of two arrays of one dtype and shape, without anything else.
bool is_plain(const Instruction& ins, int32_t steps, const Array& like) {
  if (!ins.fused) return false;
  const Fused& f = *ins.body;
  return f.n_in == 2 && f.n_imm == 0 && f.n_steps == steps && f.n_out == 1 && f.n_reduce == 0 &&
         f.out_values[0] == 1 + steps && f.in[0].dtype == like.dtype && f.in[1].dtype == like.dtype &&
         f.out[0].dtype == like.dtype && f.out[0].size == like.size && is_contiguous(f.in[0]) &&
         is_contiguous(f.in[1]) && is_contiguous(f.out[0]);
}
bool takes(const FusedStep& s, Op op, DType t, int32_t a, int32_t b) {
  return s.op == op && s.dtype == t && s.n_args == 2 &&
         ((s.args[0] == a && s.args[1] == b) || (s.args[0] == b && s.args[1] == a));
}
/// Which input is the product's result, or -1.
int32_t input_of(const Program& p, const Instruction& ins, const Operand& value) {
  for (int32_t i = 0; i < ins.n_in; i++)
    if (same_memory(p, ins.operands[i], value)) return i;
  return -1;
}
bool is_added(const Program& p, int32_t first) {
  const Instruction &product = p.instructions[first], &sum = p.instructions[first + 1];
  const Array& y = output_array(product);
  if (!is_plain(sum, 1, y) || !takes(sum.body->steps[0], Op::add, y.dtype, 0, 1)) return false;
  const int32_t at = input_of(p, sum, output(product));
  if (at < 0) return false;
  const Operand &other = sum.operands[1 - at], &result = output(sum);
  return !overlap(p, other.value, output(product).value) && apart(p, result.value, product) &&
         (same_memory(p, other, result) || !overlap(p, other.value, result.value)) &&
         is_dead_after(p, output(product).value, first + 1);
}
/// Steps: sigmoid(a), a * that, that * b.
bool is_gated(const Program& p, int32_t first) {
  const Instruction &one = p.instructions[first], &two = p.instructions[first + 1], &gate = p.instructions[first + 2];
  const Array& y = output_array(one);
  if (output_array(two).size != y.size || !is_plain(gate, 3, y)) return false;
  const FusedStep* s = gate.body->steps;
  const int32_t a = s[0].args[0];
  if (s[0].op != Op::sigmoid || s[0].dtype != y.dtype || a > 1 || !takes(s[1], Op::multiply, y.dtype, a, 2) ||
      !takes(s[2], Op::multiply, y.dtype, 3, 1 - a))
    return false;
  // Which of the two products is passed through the sigmoid is found out again when it is encoded.
  const bool reads_both = input_of(p, gate, output(one)) >= 0 && input_of(p, gate, output(two)) >= 0;
  const int32_t result = output(gate).value;
  return reads_both && apart(p, result, one) && apart(p, result, two) &&
         is_dead_after(p, output(one).value, first + 2) && is_dead_after(p, output(two).value, first + 2);
}
Join products_at(const Program& p, int32_t first) {
  if (!is_product(p.instructions[first])) return {Joint::none, 1};
  int32_t n = 1;
  while (n < kMostParts && first + n < p.n_instructions && joins(p, first, n)) n++;
  const bool more = first + n < p.n_instructions;
  if (n == 2 && more && is_gated(p, first)) return {Joint::gated, 3};
  if (n == 1 && more && is_added(p, first)) return {Joint::added, 2};
  return n > 1 ? Join{Joint::products, n} : Join{Joint::none, 1};
}

// ---- rotations and writes into caches -------------------------------------------------------------------------------
/// Writes [B, heads, T, D] along the third axis of what lies in place.
bool is_write(const Program& p, const Instruction& ins) {
  if (ins.fused || ins.op != Op::dynamicSliceUpdate) return false;
  const Ints& axes = ins.call.as<DynamicSliceUpdateParams>().axes;
  return ins.arrays[0].ndim == 4 && axes.size == 1 && axes[0] == 2 && same_memory(p, ins.operands[0], output(ins)) &&
         ins.arrays[2].dtype == DType::int32 && is_gpu_float(ins.arrays[0].dtype) && ins.arrays[1].size > 0 &&
         (ins.arrays[1].strides[3] == 1 || ins.arrays[1].shape[3] == 1);
}
bool is_rotation(const Instruction& ins) {
  return !ins.fused && ins.op == Op::rope && ins.arrays[0].ndim == 4 && ins.arrays[0].size > 0 &&
         gpu_kernel(Op::rope)->can(ins.call);
}
/// But for the offset: each part has its own.
bool same_angles(const Program& p, const Instruction& a, const Instruction& b) {
  const auto &f = a.call.as<RopeParams>(), &g = b.call.as<RopeParams>();
  return f.dims == g.dims && f.traditional == g.traditional && f.base == g.base && f.scale == g.scale &&
         f.has_freqs == g.has_freqs && (!f.has_freqs || same_memory(p, a.operands[2], b.operands[2]));
}
/// One part: a rotation, a write, or a rotation whose result is only written.
struct Part {
  int32_t rotation, write;  // instructions, or -1
};
struct Parts {
  Part part[kMostParts];
  int32_t n, count;
};
int32_t source(const Part& part) { return part.rotation >= 0 ? part.rotation : part.write; }
int32_t target(const Part& part) { return part.write >= 0 ? part.write : part.rotation; }

bool at_once(const Program& p, const Part& a, const Part& b) {
  const int32_t one = output(p.instructions[target(a)]).value, two = output(p.instructions[target(b)]).value;
  const auto reads = [&](int32_t value, const Part& part) {
    const bool write = part.write >= 0;
    return !apart(p, value, p.instructions[source(part)], part.rotation < 0 ? 0 : -1) ||
           (write && !apart(p, value, p.instructions[part.write], 0));
  };
  return !overlap(p, one, two) && !reads(one, b) && !reads(two, a);
}
bool fits(const Program& p, const Parts& parts, const Part& more) {
  const Array& x = p.instructions[source(more)].arrays[more.rotation >= 0 ? 0 : 1];
  for (int32_t i = 0; i < parts.n; i++) {
    const Part& part = parts.part[i];
    const Array& y = p.instructions[source(part)].arrays[part.rotation >= 0 ? 0 : 1];
    if (y.dtype != x.dtype || y.shape[0] != x.shape[0] || y.shape[2] != x.shape[2] || !at_once(p, part, more))
      return false;
    if (part.rotation >= 0 && more.rotation >= 0 &&
        !same_angles(p, p.instructions[part.rotation], p.instructions[more.rotation]))
      return false;
  }
  return true;
}
Parts parts_at(const Program& p, int32_t first) {
  Parts parts{};
  for (int32_t k = first; k < p.n_instructions && parts.n < kMostParts;) {
    const Instruction& ins = p.instructions[k];
    Part part{-1, -1};
    int32_t next = k + 1;
    if (is_rotation(ins)) {
      part.rotation = k;
      const bool goes_on = next < p.n_instructions && is_write(p, p.instructions[next]) &&
                           same_memory(p, p.instructions[next].operands[1], output(ins)) &&
                           is_contiguous(p.instructions[next].arrays[1]);
      if (goes_on && is_dead_after(p, output(ins).value, next)) part.write = next++;
    } else if (is_write(p, ins)) {
      part.write = k;
    }
    if (source(part) < 0 || !fits(p, parts, part)) break;
    parts.part[parts.n++] = part;
    parts.count = next - first;
    k = next;
  }
  return parts;
}

void encode_moves(const Program& p, int32_t first, Encoder& e) {
  const Parts parts = parts_at(p, first);
  RopeMove moves[kMostParts];
  for (int32_t i = 0; i < parts.n; i++) {
    const Part& part = parts.part[i];
    moves[i].rotation = part.rotation >= 0 ? &p.instructions[part.rotation].call : nullptr;
    moves[i].write = part.write >= 0 ? &p.instructions[part.write].call : nullptr;
    moves[i].instruction = part.write >= 0 ? part.write - first : 0;
  }
  encode_rope_moves(moves, parts.n, e);
}

void encode_products(const Program& p, int32_t first, Join join, Encoder& e) {
  ProductJoin j{};
  const Instruction* ins = p.instructions + first;
  j.n = join.joint == Joint::products ? join.count : join.count - 1;
  for (int32_t i = 0; i < j.n; i++) j.products[i] = &ins[i].call;
  if (join.joint == Joint::products) return encode_product_join(j, e);
  const Instruction& last = ins[j.n];
  j.result = &output_array(last);
  if (join.joint == Joint::added) {
    j.added = &last.arrays[1 - input_of(p, last, output(ins[0]))];
  } else if (input_of(p, last, output(ins[0])) != last.body->steps[0].args[0]) {
    j.products[0] = &ins[1].call;
    j.products[1] = &ins[0].call;
  }
  encode_product_join(j, e);
}

}  // namespace

Join join_at(const Program& p, int32_t first) {
  const Join products = products_at(p, first);
  if (products.joint != Joint::none) return products;
  const Parts parts = parts_at(p, first);
  return parts.count > 1 ? Join{Joint::moves, parts.count} : Join{Joint::none, 1};
}

void encode_join(const Program& p, int32_t first, Join join, Encoder& e) {
  if (join.joint == Joint::moves) return encode_moves(p, first, e);
  encode_products(p, first, join, e);
}

}  // namespace denim::metal
