// The mutator: changes that keep a program's form (a length everywhere it stands, a dtype, a rank, strides, parameters,
// another op, operands of another program), then a repair that gives values the memory which the changed operands need,
// so that most mutants reach the kernels' checks. Some are left unrepaired, and some have their words changed blindly.
#pragma once
#include "tree.h"

namespace denim::fuzz {

struct Random {
  uint64_t state;
  uint64_t next() {
    state += 0x9e3779b97f4a7c15u;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint32_t below(uint32_t n) { return n ? static_cast<uint32_t>(next() % n) : 0; }
  bool one_in(uint32_t n) { return below(n) == 0; }
  template <class T, size_t N>
  T of(const T (&list)[N]) {
    return list[below(N)];
  }
  template <class T>
  T& of(List<T>& list) {
    return list[below(list.n)];
  }
};

inline double odd_number(Random& r) {
  static const double odd[] = {
      0, 1, 2, 3, -1, -2, 7, 15, 16, 17, 31, 63, 64, 65, 127, 255, 256, 1024, 4096, 65535, 65536, 1048576, 2147483647,
      2147483648.0, -2147483648.0, 4294967296.0, 1099511627776.0, 4503599627370496.0, -4503599627370496.0,
      9007199254740992.0, -9007199254740992.0, 1e300, -1e300, 0.5, -0.5, 1e-300};
  if (!r.one_in(10)) return r.of(odd);
  const uint64_t bits = r.one_in(3) ? 0x7ff8000000000000u : r.one_in(2) ? 0x7ff0000000000000u : r.next();
  return __builtin_bit_cast(double, bits);
}
/// Lengths at which loops change: of vectors, of tiles, of blocks.
inline double length(Random& r) {
  static const double lengths[] = {0,  0,   1,   1,   1,   2,   2,   3,   4,   5,    7,   8,  9,
                                   12, 15,  16,  17,  31,  32,  33,  40,  48,  63,   64,  65, 96,
                                   97, 100, 127, 128, 129, 255, 257, 512, 600, 1025, 2000};
  if (r.one_in(200)) return 131000 + r.below(1000);  // long enough for sums in parts
  return r.one_in(40) ? odd_number(r) : r.of(lengths);
}

struct Mutator {
  Random& r;
  Tree& t;
  Pool& pool = *t.pool;

  // ---- shapes -------------------------------------------------------------------------------------------------------
  /// All operands that were dense are dense again after the change.
  template <class F>
  void reshape(Instruction& ins, F&& change) {
    bool* dense = static_cast<bool*>(pool.take(ins.operands.n + 1));
    for (uint32_t i = 0; i < ins.operands.n; i++) dense[i] = is_dense(ins.operands[i]);
    change();
    for (uint32_t i = 0; i < ins.operands.n; i++) {
      Operand& o = ins.operands[i];
      if (ins.fused()) o.rank = ins.rank, memcpy(o.shape, ins.loop, sizeof o.shape);
      if (dense[i]) make_dense(o);
    }
  }
  void one_length(Instruction& ins) {
    reshape(ins, [&] {
      if (ins.fused()) {
        if (ins.rank) ins.loop[r.below(ins.rank)] = length(r);
      } else if (Operand* o = any_operand(ins)) {
        if (o->rank) o->shape[r.below(o->rank)] = length(r);
      }
    });
  }
  /// Replaces a length wherever the instruction has it: its operands agree as before.
  void length_everywhere(Instruction& ins) {
    if (ins.fused()) return one_length(ins);
    Operand* some = any_operand(ins);
    if (!some || !some->rank) return;
    const double from = some->shape[r.below(some->rank)], to = length(r);
    const bool everywhere = r.one_in(2);
    reshape(ins, [&] {
      for (Operand& o : ins.operands) {
        for (uint32_t k = 0; k < o.rank; k++) if (o.shape[k] == from) o.shape[k] = to;
      }
    });
    for (double& p : ins.params) if (everywhere && p == from && r.one_in(2)) p = to;
  }
  static void insert_axis(double* list, uint32_t rank, uint32_t at, double n) {
    for (uint32_t k = rank; k > at; k--) list[k] = list[k - 1];
    list[at] = n;
  }
  static void remove_axis(double* list, uint32_t rank, uint32_t at) {
    for (uint32_t k = at; k + 1 < rank; k++) list[k] = list[k + 1];
  }
  void change_rank(Operand& o, bool more, double n) {
    const uint32_t at = r.below(o.rank + more);
    if (more && o.rank < kMaxDims) {
      insert_axis(o.shape, o.rank, at, n);
      insert_axis(o.strides, o.rank++, at, r.one_in(2) ? 0 : odd_number(r));
    } else if (!more && o.rank > 0) {
      remove_axis(o.shape, o.rank, at);
      remove_axis(o.strides, o.rank--, at);
    }
  }
  void change_ranks(Instruction& ins) {
    const bool more = r.one_in(2), all = !r.one_in(3);
    const double n = r.one_in(2) ? 1 : length(r);
    reshape(ins, [&] {
      if (ins.fused()) {
        const uint32_t at = r.below(ins.rank + more);
        if (more ? ins.rank == kMaxDims : ins.rank == 0) return;
        for (Operand& o : ins.operands)
          more ? insert_axis(o.strides, o.rank, at, 0) : remove_axis(o.strides, o.rank, at);
        more ? insert_axis(ins.loop, ins.rank, at, n) : remove_axis(ins.loop, ins.rank, at);
        ins.rank = more ? ins.rank + 1 : ins.rank - 1;
      } else {
        const uint32_t chosen = r.below(ins.operands.n);
        for (uint32_t i = 0; i < ins.operands.n; i++) if (all || i == chosen) change_rank(ins.operands[i], more, n);
      }
    });
  }
  void change_stride(Instruction& ins) {
    Operand* o = ins.n_in && !r.one_in(8) ? &ins.operands[r.below(ins.n_in)] : any_operand(ins);
    if (!o || !o->rank) return;
    double& s = o->strides[r.below(o->rank)];
    switch (r.below(5)) {
      case 0: s = 0; break;
      case 1: s = -s; break;
      case 2: s *= 1 + r.below(4); break;
      case 3: s = odd_number(r); break;
      default: {
        double& other = o->strides[r.below(o->rank)];
        const double kept = s;
        s = other;
        other = kept;
      }
    }
  }

  // ---- what operands are --------------------------------------------------------------------------------------------
  static Operand* any_of(Random& r, List<Operand>& list) { return list.n ? &r.of(list) : nullptr; }
  Operand* any_operand(Instruction& ins) { return any_of(r, ins.operands); }
  double some_dtype() { return r.one_in(30) ? odd_number(r) : r.below(kDTypes); }
  /// Replaces a dtype wherever the instruction has it, or once.
  void change_dtype(Instruction& ins) {
    const bool everywhere = !r.one_in(4);
    const double to = some_dtype();
    Operand* some = any_operand(ins);
    const double from = some ? some->dtype : some_dtype();
    if (!everywhere) {
      if (some) some->dtype = to;
      return;
    }
    for (Operand& o : ins.operands) if (o.dtype == from) o.dtype = to;
    for (Scalar& s : ins.scalars) if (s.dtype == from) s.dtype = to;
    for (Step& s : ins.steps) if (s.dtype == from) s.dtype = to;
    for (FusedOut& o : ins.outs) if (o.dtype == from) o.dtype = to;
    for (Reduction& o : ins.reductions) if (o.dtype == from) o.dtype = to;
    if (static_cast<Op>(ins.op) == Op::dequantize && ins.params.n) ins.params[ins.params.n - 1] = to;
  }
  void rewire(Instruction& ins) {
    Operand* o = any_operand(ins);
    if (!o) return;
    if (r.one_in(3)) o->offset += static_cast<double>(size_of(o->dtype)) * (r.one_in(4) ? odd_number(r) : r.below(9));
    else o->value = r.one_in(20) ? odd_number(r) : r.below(t.values.n);
  }
  void change_operands(Instruction& ins) {
    if (!ins.operands.n) return;
    const uint32_t a = r.below(ins.operands.n), b = r.below(ins.operands.n);
    const Operand kept = ins.operands[a];
    switch (r.below(3)) {
      case 0: ins.operands[a] = ins.operands[b], ins.operands[b] = kept; break;
      case 1: ins.operands.insert(pool, b, kept), ins.n_in++; break;
      default:
        ins.operands.remove(a);
        if (ins.n_in > 0) ins.n_in--;
    }
  }

  // ---- what is done -------------------------------------------------------------------------------------------------
  void change_param(Instruction& ins) {
    if (!ins.params.n) return;
    const uint32_t at = r.below(ins.params.n);
    double& p = ins.params[at];
    switch (r.below(6)) {
      case 0: p += r.one_in(2) ? 1 : -1; break;
      case 1: p = r.below(9); break;
      case 2: p = -p; break;
      case 3: p = length(r); break;
      case 4: p = r.one_in(2) ? 1 - p : r.of(ins.params); break;
      default: p = odd_number(r);
    }
  }
  /// Another op that takes as many operands and the same parameters.
  void change_op(Instruction& ins) {
    if (ins.fused()) return change_step(ins);
    const OpFacts& old = kOpFacts[ins.op];
    for (int tries = 0; tries < 60; tries++) {
      const uint32_t op = r.below(kOps);
      const OpFacts& facts = kOpFacts[op];
      if (facts.kind != Kind::kernel || facts.arity != old.arity || facts.n_params != old.n_params) continue;
      if (memcmp(facts.params, old.params, sizeof old.params)) continue;
      ins.op = op;
      return;
    }
  }
  uint32_t values_before(Instruction& ins, uint32_t step) { return ins.operands.n + ins.scalars.n + step; }
  void change_step(Instruction& ins) {
    if (!ins.steps.n) return add_step(ins);
    const uint32_t at = r.below(ins.steps.n);
    Step& s = ins.steps[at];
    switch (r.below(4)) {
      case 0: s.dtype = some_dtype(); break;
      case 1: s.args[r.below(3)] = r.one_in(20) ? odd_number(r) : r.below(values_before(ins, at)); break;
      case 2: s.params[r.below(4)] = r.one_in(2) ? r.below(kDTypes) : odd_number(r); break;
      default: s.op = elementwise(s.n_args, s.op);
    }
  }
  uint32_t elementwise(uint32_t n_args, uint32_t otherwise) {
    for (int tries = 0; tries < 40; tries++) {
      const uint32_t op = r.below(kOps);
      if (kOpFacts[op].kind == Kind::elementwise && static_cast<uint32_t>(kOpFacts[op].arity) == n_args) return op;
    }
    return otherwise;
  }
  /// One more step at the end, and with it, now and then, an output or a reduction.
  void add_step(Instruction& ins) {
    Step s{};
    s.n_args = r.below(4);
    s.op = elementwise(s.n_args, static_cast<uint32_t>(Op::arange));
    s.n_args = static_cast<uint32_t>(kOpFacts[s.op].arity);
    for (double& a : s.args) a = r.below(values_before(ins, ins.steps.n));
    s.dtype = ins.operands.n && !r.one_in(3) ? r.of(ins.operands).dtype : some_dtype();
    for (double& p : s.params) p = r.one_in(3) ? odd_number(r) : s.dtype;
    ins.steps.push(pool, s);
    const double number = values_before(ins, ins.steps.n) - 1;
    if (r.one_in(2)) return;
    if (r.one_in(2)) ins.outs.push(pool, {number, add_place(t, 0), s.dtype});
    else if (!ins.reductions.n)
      ins.reductions.push(pool, {double(static_cast<int>(Op::sum)), number, 0, add_place(t, 0), s.dtype});
    else ins.reductions[0].number = number, ins.reductions[0].dtype = s.dtype;
  }
  void change_fused(Instruction& ins) {
    if (!ins.fused()) return change_param(ins);
    switch (r.below(7)) {
      case 0: return add_step(ins);
      case 1: return change_step(ins);
      case 2: ins.scalars.push(pool, {some_dtype(), odd_number(r), odd_number(r)}); return;
      case 3:
        if (ins.outs.n) r.of(ins.outs).number = r.below(values_before(ins, ins.steps.n) + 1);
        return;
      case 4:
        if (ins.outs.n) ins.outs.remove(r.below(ins.outs.n));
        return;
      default:
        if (!ins.reductions.n) return add_step(ins);
        ins.reductions[0].op = static_cast<int>(Op::sum) + static_cast<int>(r.below(6));
        ins.reductions[0].mask = r.below(1u << (ins.rank < 8 ? ins.rank : 8));
    }
  }

  // ---- whole instructions and tables --------------------------------------------------------------------------------
  /// An instruction of another program, on new values.
  void graft(Tree& from) {
    if (!from.instructions.n || t.inputs.n > 48) return;
    Instruction ins = r.of(from.instructions);
    for (uint32_t i = 0; i < ins.operands.n; i++) {
      const bool known = t.values.n && r.one_in(3), in = ins.fused() || i < ins.n_in;
      ins.operands[i].value = known ? r.below(t.values.n) : in ? add_input(t, 0) : add_place(t, 0);
    }
    for (FusedOut& o : ins.outs) o.value = add_place(t, 0);
    for (Reduction& o : ins.reductions) o.value = add_place(t, 0);
    t.instructions.insert(pool, r.below(t.instructions.n + 1), ins);
  }
  void change_tables() {
    switch (r.below(7)) {
      case 0:
        if (t.instructions.n) t.instructions.insert(pool, r.below(t.instructions.n), Instruction(r.of(t.instructions)));
        return;
      case 1: if (t.instructions.n) t.instructions.remove(r.below(t.instructions.n)); return;
      case 2:
        if (t.values.n)
          r.of(t.values).place = r.one_in(8) ? odd_number(r) : double(r.below(t.inputs.n + t.places.n + 1)) - 1;
        return;
      case 3: if (t.values.n) r.of(t.values).offset = r.one_in(8) ? odd_number(r) : 16 * r.below(64); return;
      case 4: if (t.inputs.n) r.of(t.inputs).written = r.one_in(8) ? odd_number(r) : r.below(2); return;
      case 5: if (t.outputs.n) r.of(t.outputs) = r.one_in(8) ? odd_number(r) : r.below(t.values.n); return;
      default: if (t.constants.n && r.of(t.constants).data.n) r.of(r.of(t.constants).data) = odd_number(r);
    }
  }

  // ---- repair -------------------------------------------------------------------------------------------------------
  static constexpr double kMostBytes = 1 << 19;
  /// Makes room for all that the operand touches, if that is not absurd.
  void make_room(Operand& o) {
    if (!(o.value >= 0 && o.value < t.values.n)) return;
    const double item = static_cast<double>(size_of(o.dtype));
    double low = 0, high = 1;
    for (uint32_t k = 0; k < o.rank; k++) {
      if (o.shape[k] == 0) return;
      (o.strides[k] < 0 ? low : high) += (o.shape[k] - 1) * o.strides[k];
    }
    if (!((high - low) * item < kMostBytes) || !(low <= 0) || !(o.offset >= 0 && o.offset < kMostBytes)) return;
    if (o.offset + low * item < 0) o.offset = -low * item;
    Value& v = t.values[static_cast<uint32_t>(o.value)];
    const double needed = o.offset + high * item;
    if (needed <= v.bytes) return;
    v.bytes = needed;
    if (v.place == -1) v.offset = t.arena;
    grow_place(v.place, v.offset + v.bytes);
  }
  void grow_place(double place, double bytes) {
    const double n = t.inputs.n;
    if (place == -1 && t.arena < bytes) t.arena = __builtin_ceil(bytes / 64) * 64;
    if (place >= 0 && place < n) {
      double& have = t.inputs[static_cast<uint32_t>(place)].bytes;
      have = have < bytes ? bytes : have;
    } else if (place >= n && place < n + t.places.n) {
      double& have = t.places[static_cast<uint32_t>(place - n)];
      have = have < bytes ? bytes : have;
    }
  }
  /// The arena's values in buffers of their own, so that a read past an end is seen.
  void scatter_values() {
    for (Value& v : t.values) {
      if (v.place != -1) continue;
      t.places.push(pool, v.bytes);
      v = {double(t.inputs.n + t.places.n - 1), 0, v.bytes};
    }
    t.arena = 0;
  }
  void repair() {
    if (r.one_in(2)) scatter_values();
    for (Instruction& ins : t.instructions) {
      for (uint32_t i = 0; i < ins.operands.n; i++) {
        if (i >= ins.n_in && !ins.fused()) make_dense(ins.operands[i]);
        make_room(ins.operands[i]);
      }
      Operand whole{};
      whole.rank = ins.rank;
      memcpy(whole.shape, ins.loop, sizeof whole.shape);
      for (FusedOut& o : ins.outs) {
        whole.value = o.value, whole.dtype = o.dtype, whole.offset = 0;
        make_dense(whole);
        make_room(whole);
      }
      for (Reduction& o : ins.reductions) {
        Operand kept{};
        kept.value = o.value, kept.dtype = o.dtype;
        for (uint32_t k = 0; k < ins.rank; k++) {
          if (!(o.mask >= 0 && o.mask < 65536) || !(static_cast<uint32_t>(o.mask) >> k & 1))
            kept.shape[kept.rank++] = ins.loop[k];
        }
        make_dense(kept);
        make_room(kept);
      }
    }
  }

  void change(Tree& other) {
    if (!t.instructions.n || r.one_in(16)) return r.one_in(2) ? graft(other) : change_tables();
    Instruction& ins = r.of(t.instructions);
    switch (r.below(16)) {
      case 0: case 1: case 2: return length_everywhere(ins);
      case 3: return one_length(ins);
      case 4: case 5: return change_dtype(ins);
      case 6: return change_ranks(ins);
      case 7: case 8: return change_stride(ins);
      case 9: case 10: return change_param(ins);
      case 11: return change_op(ins);
      case 12: return change_operands(ins);
      case 13: return rewire(ins);
      default: return change_fused(ins);
    }
  }
};

/// Words changed without looking at what they mean; pieces cut out or doubled.
inline void blunt(Random& r, Pool& pool, List<double>* w) {
  for (uint32_t k = 1 + r.below(3); k > 0 && w->n > kHeaderWords; k--) {
    const uint32_t at = 3 + r.below(w->n - 3);
    switch (r.below(6)) {
      case 0: case 1: (*w)[at] = odd_number(r); break;
      case 2: (*w)[at] += r.one_in(2) ? 1 : -1; break;
      case 3: (*w)[at] = r.of(*w); break;
      case 4: for (uint32_t n = 1 + r.below(6); n > 0 && at < w->n; n--) w->remove(at); break;
      default: for (uint32_t n = 1 + r.below(6); n > 0; n--) w->insert(pool, at, (*w)[at]);
    }
  }
  if (!r.one_in(8) && w->n > 3) (*w)[3] = w->n;  // else the length is wrong, which ends the story early
}

/// Changes a tree (with pieces of the other) and writes it.
inline List<double> mutate(Random& r, Tree& t, Tree& other) {
  Mutator m{r, t};
  for (uint32_t k = 1 + r.below(r.one_in(3) ? 8 : 2); k > 0; k--) m.change(other);
  if (!r.one_in(16)) m.repair();
  List<double> words = write_tree(t);
  if (r.one_in(12)) blunt(r, *t.pool, &words);
  return words;
}

}  // namespace denim::fuzz
