// Programs as trees: read from words, written back, and put together by hand. The mutator (mutate.h) changes trees, so
// that a change of one part leaves the rest as the decoder wants it. Nothing here checks anything: that is the
// decoder's work.
#pragma once
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../kernel.h"

namespace denim::fuzz {

constexpr int kFusedOp = 65535, kHeaderWords = 12;

/// Memory of one tree at a time: taken piece by piece, given back at once.
struct Pool {
  static constexpr size_t kBytes = size_t(64) << 20;
  uint8_t* data = static_cast<uint8_t*>(malloc(kBytes));
  size_t used = 0;
  Pool() = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() { free(data); }
  void* take(size_t bytes) {
    bytes = (bytes + 15) / 16 * 16;
    if (!data || used + bytes > kBytes) abort();
    used += bytes;
    return data + used - bytes;
  }
};

/// A list in a pool; what it holds is copied by memcpy.
template <class T>
struct List {
  T* at = nullptr;
  uint32_t n = 0, capacity = 0;
  T& operator[](uint32_t i) { return at[i]; }
  const T& operator[](uint32_t i) const { return at[i]; }
  T* begin() { return at; }
  T* end() { return at + n; }
  void insert(Pool& pool, uint32_t i, const T& item) {
    if (n == capacity) {
      capacity = capacity ? 2 * capacity : 8;
      T* grown = static_cast<T*>(pool.take(sizeof(T) * capacity));
      if (n) memcpy(static_cast<void*>(grown), at, sizeof(T) * n);
      at = grown;
    }
    memmove(static_cast<void*>(at + i + 1), at + i, sizeof(T) * (n - i));
    at[i] = item;
    n++;
  }
  void push(Pool& pool, const T& item) { insert(pool, n, item); }
  void remove(uint32_t i) {
    n--;
    memmove(static_cast<void*>(at + i), at + i + 1, sizeof(T) * (n - i));
  }
};

/// Numbers stay as they were written, however odd; only what says how many words follow is an integer.
struct Operand {
  double value, dtype, offset;
  uint32_t rank;
  double shape[kMaxDims], strides[kMaxDims];
};
struct Scalar {
  double dtype, a, b;
};
struct Step {
  uint32_t op, n_args;
  double dtype, args[3], params[4];
};
struct FusedOut {
  double number, value, dtype;
};
struct Reduction {
  double op, number, mask, value, dtype;
};
struct Instruction {
  uint32_t op;              // of the table, or kFusedOp
  uint32_t n_in;            // operands: inputs, then outputs; of a fused one inputs only, whose shape is the loop's
  List<Operand> operands;
  List<double> params;      // as written: lists with their lengths
  uint32_t rank;            // of the loop
  double loop[kMaxDims];
  List<Scalar> scalars;
  List<Step> steps;
  List<FusedOut> outs;
  List<Reduction> reductions;
  bool fused() const { return op == kFusedOp; }
};
struct Input {
  double bytes, written;
};
struct Value {
  double place, offset, bytes;
};
struct Constant {
  double place, bytes;
  List<double> data;
};
struct Tree {
  Pool* pool;
  double arena;
  List<Input> inputs;
  List<double> places;
  List<Value> values;
  List<Constant> constants;
  List<double> outputs;
  List<Instruction> instructions;
};

inline int64_t size_of(double dtype) {
  return dtype >= 0 && dtype < kDTypes ? item_size(static_cast<DType>(dtype)) : 8;
}
inline void make_dense(Operand& o) {
  double step = 1;
  for (uint32_t i = o.rank; i-- > 0;) {
    o.strides[i] = step;
    step *= o.shape[i] > 0 ? o.shape[i] : 1;
  }
}
inline bool is_dense(const Operand& o) {
  double step = 1;
  for (uint32_t i = o.rank; i-- > 0;) {
    if (o.shape[i] != 1 && o.strides[i] != step) return false;
    step *= o.shape[i] > 0 ? o.shape[i] : 1;
  }
  return true;
}

// ---- reading --------------------------------------------------------------------------------------------------------
struct Cursor {
  const double* words;
  uint32_t n, at = 0;
  bool ok = true;
  double next() {
    if (at < n) return words[at++];
    ok = false;
    return 0;
  }
  uint32_t count(uint32_t most) {
    double w = next();
    if (w >= 0 && w <= most) return static_cast<uint32_t>(w);
    ok = false;
    return 0;
  }
  void fill(double* out, uint32_t k) {
    for (uint32_t i = 0; i < k; i++) out[i] = next();
  }
};
/// The parameters of an op as they are written: how many words they are is told by the table and by the lists' lengths.
inline void read_params(Cursor& c, Pool& pool, uint32_t op, List<double>* out) {
  const OpFacts& facts = kOpFacts[op];
  for (int i = 0; i < facts.n_params; i++) {
    out->push(pool, c.next());
    if (facts.params[i] != ParamKind::ints) continue;
    double n = (*out)[out->n - 1];
    if (!(n >= 0 && n <= 1024)) c.ok = false;
    for (uint32_t k = 0; c.ok && k < static_cast<uint32_t>(n); k++) out->push(pool, c.next());
  }
}
inline void read_kernel(Cursor& c, Pool& pool, Instruction* ins) {
  ins->n_in = c.count(4096);
  uint32_t n = ins->n_in + c.count(16);
  for (uint32_t i = 0; i < n && c.ok; i++) {
    Operand o{};
    o.value = c.next();
    o.dtype = c.next();
    o.offset = c.next();
    o.rank = c.count(kMaxDims);
    c.fill(o.shape, o.rank);
    c.fill(o.strides, o.rank);
    ins->operands.push(pool, o);
  }
  if (c.ok) read_params(c, pool, ins->op, &ins->params);
}
inline void read_fused(Cursor& c, Pool& pool, Instruction* ins) {
  ins->rank = c.count(kMaxDims);
  c.fill(ins->loop, ins->rank);
  ins->n_in = c.count(4096);
  for (uint32_t i = 0; i < ins->n_in && c.ok; i++) {
    Operand o{};
    o.value = c.next();
    o.dtype = c.next();
    o.offset = c.next();
    o.rank = ins->rank;
    memcpy(o.shape, ins->loop, sizeof o.shape);
    c.fill(o.strides, o.rank);
    ins->operands.push(pool, o);
  }
  for (uint32_t i = c.count(4096); i > 0 && c.ok; i--) {
    double s[3];
    c.fill(s, 3);
    ins->scalars.push(pool, {s[0], s[1], s[2]});
  }
  for (uint32_t i = c.count(64); i > 0 && c.ok; i--) {
    Step s{};
    s.op = c.count(kOps - 1);
    s.dtype = c.next();
    s.n_args = c.count(3);
    c.fill(s.args, s.n_args);
    if (kOpFacts[s.op].n_params > 4) c.ok = false;
    if (c.ok) c.fill(s.params, kOpFacts[s.op].n_params);
    ins->steps.push(pool, s);
  }
  for (uint32_t i = c.count(64); i > 0 && c.ok; i--) {
    double s[3];
    c.fill(s, 3);
    ins->outs.push(pool, {s[0], s[1], s[2]});
  }
  for (uint32_t i = c.count(1); i > 0 && c.ok; i--) {
    double s[5];
    c.fill(s, 5);
    ins->reductions.push(pool, {s[0], s[1], s[2], s[3], s[4]});
  }
}
/// A program whose counts are in order; false for any other.
inline bool read_tree(const double* words, uint32_t n, Tree* t) {
  Cursor c{words, n};
  Pool& pool = *t->pool;
  c.at = 4;
  uint32_t inputs = c.count(n), places = c.count(n);
  t->arena = c.next();
  uint32_t values = c.count(n), constants = c.count(n), instructions = c.count(n), outputs = c.count(n);
  c.at = kHeaderWords;  // the tag is the writer's own
  for (uint32_t i = 0; i < inputs && c.ok; i++) {
    double bytes = c.next();
    t->inputs.push(pool, {bytes, c.next()});
  }
  for (uint32_t i = 0; i < places && c.ok; i++) t->places.push(pool, c.next());
  for (uint32_t i = 0; i < values && c.ok; i++) {
    double v[3];
    c.fill(v, 3);
    t->values.push(pool, {v[0], v[1], v[2]});
  }
  for (uint32_t i = 0; i < constants && c.ok; i++) {
    double v[3];
    c.fill(v, 3);
    Constant k{v[0], v[2], {}};
    const double n_words = __builtin_ceil(v[2] / 8);
    if (!(v[1] >= 0 && v[2] >= 0 && v[1] + n_words <= n)) return false;
    for (uint32_t w = 0; w < n_words; w++) k.data.push(pool, words[static_cast<uint32_t>(v[1]) + w]);
    t->constants.push(pool, k);
  }
  for (uint32_t i = 0; i < outputs && c.ok; i++) t->outputs.push(pool, c.next());
  for (uint32_t i = 0; i < instructions && c.ok; i++) {
    Instruction ins{};
    double op = c.next();
    c.next();  // its length follows from what it holds
    if (!(op == kFusedOp || (op >= 0 && op < kOps))) return false;
    ins.op = static_cast<uint32_t>(op);
    if (ins.fused()) read_fused(c, pool, &ins);
    else read_kernel(c, pool, &ins);
    t->instructions.push(pool, ins);
  }
  return c.ok;
}

// ---- writing --------------------------------------------------------------------------------------------------------
struct Writer {
  Pool& pool;
  List<double> words;
  void put(double w) { words.push(pool, w); }
  void put_all(const double* w, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) put(w[i]);
  }
  void operand(const Operand& o, bool shape) {
    put(o.value), put(o.dtype), put(o.offset);
    if (shape) put(o.rank), put_all(o.shape, o.rank);
    put_all(o.strides, o.rank);
  }
  void kernel(Instruction& ins) {
    put(ins.n_in), put(ins.operands.n - ins.n_in);
    for (const Operand& o : ins.operands) operand(o, true);
    put_all(ins.params.at, ins.params.n);
  }
  void fused(Instruction& ins) {
    put(ins.rank), put_all(ins.loop, ins.rank);
    put(ins.operands.n);
    for (const Operand& o : ins.operands) operand(o, false);
    put(ins.scalars.n);
    for (const Scalar& s : ins.scalars) put(s.dtype), put(s.a), put(s.b);
    put(ins.steps.n);
    for (const Step& s : ins.steps) {
      put(s.op), put(s.dtype), put(s.n_args);
      put_all(s.args, s.n_args);
      put_all(s.params, kOpFacts[s.op].n_params);
    }
    put(ins.outs.n);
    for (const FusedOut& o : ins.outs) put(o.number), put(o.value), put(o.dtype);
    put(ins.reductions.n);
    for (const Reduction& o : ins.reductions) put(o.op), put(o.number), put(o.mask), put(o.value), put(o.dtype);
  }
};
/// The words, in the tree's pool.
inline List<double> write_tree(Tree& t) {
  Writer w{*t.pool, {}};
  const double header[kHeaderWords] = {
      0xde21, 2, static_cast<double>(kOpTableHash), 0, double(t.inputs.n), double(t.places.n), t.arena,
      double(t.values.n), double(t.constants.n), double(t.instructions.n), double(t.outputs.n), 0};
  w.put_all(header, kHeaderWords);
  for (const Input& i : t.inputs) w.put(i.bytes), w.put(i.written);
  w.put_all(t.places.at, t.places.n);
  for (const Value& v : t.values) w.put(v.place), w.put(v.offset), w.put(v.bytes);
  uint32_t constants = w.words.n;
  for (const Constant& c : t.constants) w.put(c.place), w.put(0), w.put(c.bytes);
  w.put_all(t.outputs.at, t.outputs.n);
  for (Instruction& ins : t.instructions) {
    uint32_t start = w.words.n;
    w.put(ins.op), w.put(0);
    if (ins.fused()) w.fused(ins);
    else w.kernel(ins);
    w.words[start + 1] = w.words.n - start;
  }
  for (uint32_t i = 0; i < t.constants.n; i++) {
    w.words[constants + 3 * i + 1] = w.words.n;
    w.put_all(t.constants[i].data.at, t.constants[i].data.n);
  }
  w.words[3] = w.words.n;
  return w.words;
}

// ---- putting together -----------------------------------------------------------------------------------------------
/// A new input with a value on all of it; returns the value.
inline double add_input(Tree& t, double bytes) {
  for (Value& v : t.values) v.place += v.place >= t.inputs.n;
  for (Constant& c : t.constants) c.place += c.place >= t.inputs.n;
  t.inputs.push(*t.pool, {bytes, 0});
  t.values.push(*t.pool, {double(t.inputs.n - 1), 0, bytes});
  return t.values.n - 1;
}
/// A new buffer with a value on all of it; returns the value.
inline double add_place(Tree& t, double bytes) {
  t.places.push(*t.pool, bytes);
  t.values.push(*t.pool, {double(t.inputs.n + t.places.n - 1), 0, bytes});
  return t.values.n - 1;
}

}  // namespace denim::fuzz
