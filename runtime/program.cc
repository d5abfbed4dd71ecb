// Decoding, checking and running programs. See program.h, and ffi/program.ts for the format.
#include "program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/dispatch.h"
#include "gpu.h"
#include "profile.h"

namespace denim {

int64_t g_max_elements = int64_t(1) << 44;
int64_t g_kernels = 0, g_copies = 0, g_fail_kernel = -1;

constexpr uint32_t kMagic = 0xde21, kVersion = 2, kFused = 65535;
constexpr int64_t kMaxCount = 1 << 20, kMaxBytes = int64_t(1) << 48, kMaxDim = int64_t(1) << 40;
constexpr int kMaxList = 16384, kMaxOperands = 4096;

// ---- memory of a decoded program: blocks that are freed together ----------------------------------------------------
struct Block {
  Block* next;
  size_t used, size;
};
// Each evaluation that is not compiled decodes a program. Were its aligned blocks given to malloc and asked for again,
// what lies between them would be cut up more with each (glibc finds no aligned piece among freed ones).
constexpr size_t kBlock = 16384;
static struct {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  Block* first;
  int n;
} g_spare;
static Block* block_take(size_t size) {
  Block* b = nullptr;
  if (size == kBlock) {
    pthread_mutex_lock(&g_spare.mutex);
    b = g_spare.first;
    if (b) {
      g_spare.first = b->next;
      g_spare.n--;
    }
    pthread_mutex_unlock(&g_spare.mutex);
  }
  void* memory = b;
  if (!b && posix_memalign(&memory, 64, 64 + size)) abort();
  return static_cast<Block*>(memory);
}
static void block_give(Block* b) {
  constexpr int kMost = 256;
  if (b->size == kBlock) {
    pthread_mutex_lock(&g_spare.mutex);
    if (g_spare.n < kMost) {
      b->next = g_spare.first;
      g_spare.first = b;
      g_spare.n++;
      b = nullptr;
    }
    pthread_mutex_unlock(&g_spare.mutex);
  }
  free(b);
}
static void* take(Program* p, size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  Block* b = p->blocks;
  if (!b || b->used + bytes > b->size) {
    const size_t size = bytes > kBlock ? bytes : kBlock;
    b = block_take(size);
    *b = {p->blocks, 0, size};
    p->blocks = b;
  }
  uint8_t* at = reinterpret_cast<uint8_t*>(b) + 64 + b->used;
  b->used += bytes;
  memset(at, 0, bytes);
  return at;
}
template <class T>
static T* take_list(Program* p, int64_t n) {
  return static_cast<T*>(take(p, sizeof(T) * static_cast<size_t>(n > 0 ? n : 1)));
}

/// The one thing that users can cause: shapes that nobody can compute.
static const char* const kTooMany = "an array with too many elements";

// ---- reading words --------------------------------------------------------------------------------------------------
struct Reader {
  const double* words;
  int64_t n, at;
  const char* bad;  // the first thing that was wrong
  double word() {
    if (at >= n) {
      refuse("more words than there are");
      return 0;
    }
    return words[at++];
  }
  int64_t integer(int64_t low, int64_t high, const char* what) {
    double w = word();
    if (!(w >= static_cast<double>(low) && w <= static_cast<double>(high)) || w != floor(w)) {
      refuse(what);
      return low;
    }
    return static_cast<int64_t>(w);
  }
  void refuse(const char* what) {
    if (!bad) bad = what;
  }
};

/// Bytes [low, high) of the value that the array touches; false if that overflows or an axis is empty (then touches
/// nothing).
static bool extent(const Array& a, int64_t offset, int64_t* low, int64_t* high, bool* overflow) {
  int64_t first = 0, last = 0;
  bool bad = false, empty = false;
  for (int i = 0; i < a.ndim; i++) {
    if (a.shape[i] == 0) empty = true;
    int64_t reach;
    bad |= __builtin_mul_overflow(a.shape[i] ? a.shape[i] - 1 : 0, a.strides[i], &reach);
    bad |= __builtin_add_overflow(reach < 0 ? first : last, reach, reach < 0 ? &first : &last);
  }
  int64_t size = item_size(a.dtype);
  bad |= __builtin_mul_overflow(first, size, &first);
  bad |= __builtin_mul_overflow(last, size, &last);
  bad |= __builtin_add_overflow(first, offset, low);
  bad |= __builtin_add_overflow(last, offset + size, high);
  *overflow = bad;
  return !empty;
}

struct Decoder {
  Reader r;
  Program* p;
  int64_t data_start = 0;

  DType dtype() { return static_cast<DType>(r.integer(0, kDTypes - 1, "a dtype that does not exist")); }
  /// Product of the axes, refused above what a loop may have. The other axes of an empty array are held to the same
  /// limit, so that no product of some axes overflows anywhere.
  int64_t count(const int64_t* shape, int ndim) {
    int64_t n = 1;
    bool empty = false;
    for (int i = 0; i < ndim; i++) {
      empty |= shape[i] == 0;
      if (__builtin_mul_overflow(n, shape[i] ? shape[i] : 1, &n) || n > g_max_elements) {
        r.refuse(kTooMany);
        return 0;
      }
    }
    return empty ? 0 : n;
  }
  void shape(int64_t* out, int ndim) {
    for (int i = 0; i < ndim; i++) out[i] = r.integer(0, kMaxDim, "a length out of range");
  }
  void strides(int64_t* out, int ndim) {
    for (int i = 0; i < ndim; i++) out[i] = r.integer(-kMaxDim, kMaxDim, "a stride out of range");
  }
  static void row_major(const int64_t* shape, int64_t* strides, int ndim) {
    int64_t step = 1;
    for (int i = ndim - 1; i >= 0; i--) {
      strides[i] = step;
      step *= shape[i] ? shape[i] : 1;
    }
  }
  /// Does every element lie in its value?
  void check_inside(const Operand& o, const Array& a) {
    const ValueSpec& v = p->values[o.value];
    int64_t low, high;
    bool overflow;
    bool some = extent(a, o.offset, &low, &high, &overflow);
    if (overflow || o.offset % item_size(a.dtype)) return r.refuse("an operand at an impossible offset");
    if (some && (low < 0 || high > v.nbytes)) r.refuse("an operand outside its value");
  }
  int32_t value() { return static_cast<int32_t>(r.integer(0, p->n_values - 1, "a value that does not exist")); }

  /// A kernel's operand.
  void operand(Operand* o, Array* a) {
    o->value = value();
    a->dtype = dtype();
    o->offset = r.integer(0, kMaxBytes, "an offset out of range");
    a->ndim = static_cast<int32_t>(r.integer(0, kMaxDims, "too many axes"));
    int64_t* dims = take_list<int64_t>(p, 2 * a->ndim);
    shape(dims, a->ndim);
    strides(dims + a->ndim, a->ndim);
    a->shape = dims;
    a->strides = dims + a->ndim;
    a->size = count(dims, a->ndim);
    if (!r.bad) check_inside(*o, *a);
  }
  /// An output is contiguous, and it lies on no input but, exactly, on the one that the op may overwrite.
  void check_output(const Instruction& ins, int out, int in_place) {
    const Operand& o = ins.operands[ins.n_in + out];
    const Array& a = ins.arrays[ins.n_in + out];
    const ValueSpec& v = p->values[o.value];
    if (v.place >= 0 && v.place < p->n_inputs && !p->input_written[v.place])
      return r.refuse("an output in an input that is only read");
    int64_t dense[kMaxDims];
    row_major(a.shape, dense, a.ndim);
    for (int i = 0; i < a.ndim; i++)
      if (a.shape[i] > 1 && a.strides[i] != dense[i]) return r.refuse("an output that is not contiguous");
    if (!a.size) return;
    int64_t low = v.offset + o.offset, high = low + a.size * item_size(a.dtype);
    for (int k = 0; k < ins.n_in + ins.n_out; k++) {
      if (k == ins.n_in + out) continue;
      const Array& b = ins.arrays[k];
      const ValueSpec& w = p->values[ins.operands[k].value];
      int64_t first, last;
      bool overflow;
      if (w.place != v.place || !extent(b, ins.operands[k].offset + w.offset, &first, &last, &overflow) ||
          last <= low || first >= high)
        continue;
      bool allowed = k < ins.n_in && (ins.fused || k == in_place) && first == low && last == high &&
                     item_size(b.dtype) == item_size(a.dtype) && same_layout(a, b, dense, ins.fused);
      if (!allowed) return r.refuse("an output that overlaps an operand");
    }
  }
  static bool same_layout(const Array& a, const Array& b, const int64_t* dense, bool same_shape) {
    if (b.size != a.size) return false;
    if (!same_shape) {
      int64_t own[kMaxDims];
      row_major(b.shape, own, b.ndim);
      for (int i = 0; i < b.ndim; i++) if (b.shape[i] > 1 && b.strides[i] != own[i]) return false;
      return true;
    }
    if (a.ndim != b.ndim) return false;
    for (int i = 0; i < a.ndim; i++) if (a.shape[i] > 1 && b.strides[i] != dense[i]) return false;
    return true;
  }

  const void* params(Op op) {
    const OpFacts& facts = kOpFacts[static_cast<int>(op)];
    uint8_t* out = static_cast<uint8_t*>(take(p, 16 * 12));
    uint8_t* at = out;
    for (int i = 0; i < facts.n_params; i++) {
      switch (facts.params[i]) {
        case ParamKind::float_: {
          double v = r.word();
          memcpy(at, &v, 8);
          at += 8;
          break;
        }
        case ParamKind::ints: {
          int64_t n = r.integer(0, kMaxList, "a list that is too long");
          int64_t* list = take_list<int64_t>(p, n);
          for (int64_t k = 0; k < n; k++)
            list[k] = r.integer(-(int64_t(1) << 52), int64_t(1) << 52, "a parameter out of range");
          Ints ints = {list, n};
          memcpy(at, &ints, sizeof ints);
          at += sizeof ints;
          break;
        }
        default: {
          ParamKind k = facts.params[i];
          bool small = k == ParamKind::bool_, code = k == ParamKind::dtype;
          int64_t limit = int64_t(1) << 52;
          int64_t most = small ? 1 : code ? kDTypes - 1 : limit;
          int64_t v = r.integer(small || code ? 0 : -limit, most, "a parameter out of range");
          memcpy(at, &v, 8);
          at += 8;
        }
      }
    }
    return out;
  }

  void need_scratch(size_t bytes) {
    if (bytes > static_cast<size_t>(kMaxBytes)) return r.refuse("a kernel that needs too much memory");
    if (static_cast<int64_t>(bytes) > p->scratch_bytes) p->scratch_bytes = static_cast<int64_t>(bytes);
  }
  void kernel(Instruction* ins, int64_t op) {
    const OpFacts& facts = kOpFacts[op];
    ins->op = static_cast<Op>(op);
    ins->kernel = facts.kind == Kind::kernel ? kernel_of(ins->op) : nullptr;
    if (!ins->kernel) return r.refuse("an op without a kernel");
    ins->n_in = static_cast<int32_t>(r.integer(0, kMaxOperands, "too many inputs"));
    ins->n_out = static_cast<int32_t>(r.integer(1, 16, "too many outputs"));
    if (r.bad || (facts.arity >= 0 && ins->n_in != facts.arity)) return r.refuse("a wrong number of inputs");
    int n = ins->n_in + ins->n_out;
    ins->operands = take_list<Operand>(p, n);
    ins->arrays = take_list<Array>(p, n);
    for (int i = 0; i < n && !r.bad; i++) operand(&ins->operands[i], &ins->arrays[i]);
    for (int i = 0; i < ins->n_out && !r.bad; i++) check_output(*ins, i, facts.in_place);
    const void* params = this->params(ins->op);
    ins->call = {ins->op, ins->n_in, ins->n_out, ins->arrays, ins->arrays + ins->n_in, params, nullptr};
    if (r.bad) return;
    p->work += kKernelWork;
    if (const char* message = ins->kernel->check(ins->call)) return r.refuse(message);
    if (ins->kernel->scratch) need_scratch(ins->kernel->scratch(ins->call));
  }

  void fused(Instruction* ins) {
    ins->fused = true;
    Fused* f = ins->body = take_list<Fused>(p, 1);
    f->ndim = static_cast<int32_t>(r.integer(0, kMaxDims, "too many axes"));
    int64_t* loop = take_list<int64_t>(p, f->ndim);
    shape(loop, f->ndim);
    f->shape = loop;
    int64_t size = count(loop, f->ndim);
    f->n_in = static_cast<int32_t>(r.integer(0, kMaxOperands, "too many inputs"));
    if (r.bad) return;
    ins->n_in = f->n_in;
    ins->operands = take_list<Operand>(p, f->n_in + 128);
    ins->arrays = take_list<Array>(p, f->n_in + 128);
    for (int i = 0; i < f->n_in && !r.bad; i++) loop_operand(&ins->operands[i], &ins->arrays[i], *f, size);
    immediates(f);
    steps(f);
    fused_outputs(ins, f, size);
    if (r.bad) return;
    f->in = ins->arrays;
    f->out = ins->arrays + ins->n_in;
    for (int i = 0; i < ins->n_out; i++) check_output(*ins, i, -1);
    if (r.bad) return;
    p->work += size < kKernelWork ? size * (f->n_steps + 1) : kKernelWork;
    const FusedApi& api = fused_api();
    size_t bytes = api.plan_bytes(*f), used = 0;
    ins->plan = take(p, bytes);
    if (const char* message = api.plan(*f, ins->plan, bytes, &used)) return r.refuse(message);
    need_scratch(api.scratch(*f, ins->plan));
  }
  void loop_operand(Operand* o, Array* a, const Fused& f, int64_t size) {
    o->value = value();
    a->dtype = dtype();
    o->offset = r.integer(0, kMaxBytes, "an offset out of range");
    a->ndim = f.ndim;
    a->shape = f.shape;
    int64_t* steps = take_list<int64_t>(p, f.ndim);
    strides(steps, f.ndim);
    a->strides = steps;
    a->size = size;
    if (!r.bad) check_inside(*o, *a);
  }
  void immediates(Fused* f) {
    f->n_imm = static_cast<int32_t>(r.integer(0, kMaxOperands, "too many immediates"));
    Immediate* list = take_list<Immediate>(p, r.bad ? 0 : f->n_imm);
    for (int i = 0; i < f->n_imm && !r.bad; i++) {
      list[i].dtype = dtype();
      double a = r.word(), b = r.word();
      if (list[i].dtype == DType::complex64) {
        list[i].c[0] = static_cast<float>(a);
        list[i].c[1] = static_cast<float>(b);
      } else if (list[i].dtype >= DType::float16) list[i].f = a;
      else if (!(fabs(a) <= 4294967296.0) || !(b >= 0 && b < 4294967296.0)) r.refuse("an immediate out of range");
      else
        list[i].i =
            static_cast<int64_t>((static_cast<uint64_t>(static_cast<int64_t>(a)) << 32) | static_cast<uint64_t>(b));
    }
    f->imm = list;
  }
  void steps(Fused* f) {
    f->n_steps = static_cast<int32_t>(r.integer(0, 64, "too many steps"));
    FusedStep* list = take_list<FusedStep>(p, r.bad ? 0 : f->n_steps);
    for (int i = 0; i < f->n_steps && !r.bad; i++) {
      FusedStep& s = list[i];
      s.op = static_cast<Op>(r.integer(0, kOps - 1, "an op that does not exist"));
      const OpFacts& facts = kOpFacts[static_cast<int>(s.op)];
      s.dtype = dtype();
      s.n_args = static_cast<int32_t>(r.integer(0, 3, "too many arguments"));
      if (r.bad || facts.kind != Kind::elementwise || facts.arity != s.n_args)
        return r.refuse("a step that is not elementwise");
      for (int k = 0; k < s.n_args; k++)
        s.args[k] = static_cast<int32_t>(r.integer(0, f->n_in + f->n_imm + i - 1, "an argument that comes later"));
      s.params = params(s.op);
    }
    f->steps = list;
  }
  void fused_outputs(Instruction* ins, Fused* f, int64_t size) {
    f->n_out = static_cast<int32_t>(r.integer(0, 64, "too many outputs"));
    int32_t last = f->n_in + f->n_imm + f->n_steps - 1;
    int32_t* numbers = take_list<int32_t>(p, r.bad ? 0 : f->n_out);
    f->out_values = numbers;
    ins->n_out = 0;
    for (int i = 0; i < f->n_out && !r.bad; i++) {
      numbers[i] = static_cast<int32_t>(r.integer(0, last, "an output that is not computed"));
      dense_output(ins, f->shape, f->ndim, size);
    }
    f->n_reduce = static_cast<int32_t>(r.integer(0, 1, "too many reductions"));
    if (r.bad || !f->n_reduce) return;
    int64_t op = r.integer(0, kOps - 1, "an op that does not exist");
    f->reduce_op = static_cast<Op>(op);
    f->reduce_value = static_cast<int32_t>(r.integer(0, last, "a reduction of what is not computed"));
    f->reduced =
        static_cast<uint32_t>(r.integer(0, (int64_t(1) << f->ndim) - 1, "a reduction of axes that do not exist"));
    if (r.bad || kOpFacts[op].kind != Kind::reduce) return r.refuse("a reduction by an op that does not reduce");
    int64_t* kept = take_list<int64_t>(p, f->ndim);
    int ndim = 0;
    for (int i = 0; i < f->ndim; i++) if (!(f->reduced >> i & 1)) kept[ndim++] = f->shape[i];
    dense_output(ins, kept, ndim, count(kept, ndim));
    f->reduce_out = ins->arrays[ins->n_in + ins->n_out - 1];
  }
  void dense_output(Instruction* ins, const int64_t* shape, int ndim, int64_t size) {
    int k = ins->n_in + ins->n_out++;
    Operand* o = &ins->operands[k];
    Array* a = &ins->arrays[k];
    o->value = value();
    o->offset = 0;
    a->dtype = dtype();
    a->ndim = ndim;
    a->shape = shape;
    int64_t* steps = take_list<int64_t>(p, ndim);
    a->strides = steps;
    a->size = size;
    if (r.bad) return;
    row_major(shape, steps, ndim);
    check_inside(*o, *a);
  }

  int64_t counted(const char* what) { return r.integer(0, kMaxCount, what); }
  void header() {
    if (r.integer(0, 1 << 30, "no program") != kMagic || r.integer(0, 1 << 30, "no program") != kVersion)
      return r.refuse("no program of this version");
    if (r.word() != static_cast<double>(kOpTableHash)) return r.refuse("a program for another op table");
    if (r.integer(0, r.n, "a wrong length") != r.n) return r.refuse("a wrong length");
    p->n_inputs = static_cast<int32_t>(counted("too many inputs"));
    p->n_places = static_cast<int32_t>(counted("too many places"));
    p->arena_bytes = r.integer(0, kMaxBytes, "an arena out of range");
    p->n_values = static_cast<int32_t>(counted("too many values"));
    p->n_constants = static_cast<int32_t>(counted("too many constants"));
    p->n_instructions = static_cast<int32_t>(counted("too many instructions"));
    p->n_outputs = static_cast<int32_t>(counted("too many outputs"));
    p->tag = r.integer(0, kMaxBytes, "a tag out of range");
    int64_t least = 2 * int64_t(p->n_inputs) + p->n_places + 3 * int64_t(p->n_values) + 3 * int64_t(p->n_constants) +
                    p->n_outputs + 2 * int64_t(p->n_instructions);
    if (least > r.n - r.at) r.refuse("more entries than words");
  }
  void tables() {
    p->input_bytes = take_list<int64_t>(p, p->n_inputs);
    p->input_written = take_list<bool>(p, p->n_inputs);
    for (int i = 0; i < p->n_inputs; i++) {
      p->input_bytes[i] = r.integer(0, kMaxBytes, "an input out of range");
      p->input_written[i] = r.integer(0, 1, "a flag that is none");
    }
    p->place_bytes = take_list<int64_t>(p, p->n_places);
    for (int i = 0; i < p->n_places; i++) p->place_bytes[i] = r.integer(0, kMaxBytes, "a place out of range");
    p->values = take_list<ValueSpec>(p, p->n_values);
    for (int i = 0; i < p->n_values && !r.bad; i++) {
      ValueSpec& v = p->values[i];
      v.place = static_cast<int32_t>(r.integer(-1, p->n_inputs + p->n_places - 1, "a place that does not exist"));
      v.offset = r.integer(0, kMaxBytes, "an offset out of range");
      v.nbytes = r.integer(0, kMaxBytes, "a value out of range");
      if (!r.bad && (v.offset % 16 || v.offset + v.nbytes > bytes_of(v.place))) r.refuse("a value outside its place");
    }
    p->constants = take_list<ConstantSpec>(p, p->n_constants);
    for (int i = 0; i < p->n_constants && !r.bad; i++) constant(&p->constants[i]);
    p->outputs = take_list<int32_t>(p, p->n_outputs);
    for (int i = 0; i < p->n_outputs && !r.bad; i++) {
      p->outputs[i] = value();
      const ValueSpec& v = p->values[p->outputs[i]];
      if (v.place < 0 || v.offset) r.refuse("an output without a buffer of its own");
    }
  }
  int64_t bytes_of(int32_t place) const {
    if (place < 0) return p->arena_bytes;
    return place < p->n_inputs ? p->input_bytes[place] : p->place_bytes[place - p->n_inputs];
  }
  void constant(ConstantSpec* c) {
    c->place = static_cast<int32_t>(
        r.integer(p->n_inputs, p->n_inputs + p->n_places - 1, "a constant in no place of its own"));
    int64_t at = r.integer(0, r.n, "a constant outside the program");
    c->nbytes = r.integer(0, (r.n - at) * 8, "a constant outside the program");
    if (r.bad || c->nbytes > bytes_of(c->place)) return r.refuse("a constant larger than its place");
    uint8_t* copy = take_list<uint8_t>(p, c->nbytes);
    memcpy(copy, r.words + at, static_cast<size_t>(c->nbytes));
    c->bytes = copy;
  }
  void instructions() {
    p->instructions = take_list<Instruction>(p, p->n_instructions);
    for (int i = 0; i < p->n_instructions && !r.bad; i++) {
      int64_t start = r.at, op = r.integer(0, kFused, "an op that does not exist"),
              length = r.integer(2, r.n, "an instruction out of range");
      if (r.bad) return;
      if (op == kFused) fused(&p->instructions[i]);
      else if (op < kOps) kernel(&p->instructions[i], op);
      else r.refuse("an op that does not exist");
      if (!r.bad && r.at != start + length) r.refuse("an instruction of another length");
    }
  }
};

Program* decode(const double* words, uint32_t n, Failure** failure) {
  Program* p = static_cast<Program*>(calloc(1, sizeof(Program)));
  if (!p) abort();
  p->refs = 1;
  pthread_mutex_init(&p->running, nullptr);
  Decoder d = {{words, n, 0, nullptr}, p};
  d.header();
  if (!d.r.bad) d.tables();
  if (!d.r.bad) d.instructions();
  if (!d.r.bad) return p;
  if (d.r.bad == kTooMany) {
    *failure = make_failure(kMemoryLimit,
                            "compute this\nat most %lld elements in an array\nmore\nwork on less at once\neval",
                            static_cast<long long>(g_max_elements));
  } else {
    *failure = make_failure(
        kBadProgram,
        "run this program\na program as the encoder writes it\n%s (word %lld)\nreport this as a bug\nprogram", d.r.bad,
        static_cast<long long>(d.r.at));
  }
  free_program(p);
  return nullptr;
}
void free_program(Program* p) {
  gpu::forget(p);
  for (Block* b = p->blocks; b;) {
    Block* next = b->next;
    block_give(b);
    b = next;
  }
  pthread_mutex_destroy(&p->running);
  free(p);
}

// ---- running --------------------------------------------------------------------------------------------------------
static uint8_t* address(const Program* p, const Run& run, const Operand& o) {
  const ValueSpec& v = p->values[o.value];
  return (v.place < 0 ? run.arena : run.places[v.place]) + v.offset + o.offset;
}
Failure* failed_kernel(const Program* p, const Instruction* ins, const char* message) {
  const char* name = ins->fused ? "fused" : kOpFacts[static_cast<int>(ins->op)].name;
  bool index = strncmp(message, "index", 5) == 0;
  return make_failure(index ? kBadIndex : kKernelFailed, "finish\n%s\n%s\ncheck the values that go in\n%s\n%lld %d",
                      index ? "indices in range" : "valid data", message, name, static_cast<long long>(p->tag),
                      static_cast<int>(ins - p->instructions));
}
bool told_to_fail() {
  return __atomic_load_n(&g_fail_kernel, __ATOMIC_RELAXED) >= 0 &&
         __atomic_fetch_sub(&g_fail_kernel, 1, __ATOMIC_RELAXED) == 0;
}
void set_addresses(const Program* p, Instruction* ins, const Run& run) {
  for (int i = 0; i < ins->n_in + ins->n_out; i++) ins->arrays[i].data = address(p, run, ins->operands[i]);
  if (ins->fused && ins->body->n_reduce)
    ins->body->reduce_out.data = ins->arrays[ins->n_in + ins->n_out - 1].data;
}
const char* run_instruction(const Program* p, Instruction* ins, const Run& run) {
  if (told_to_fail()) return "a failure asked for by a test";
  set_addresses(p, ins, run);
  if (ins->fused) return fused_api().run(*ins->body, ins->plan, run.scratch);
  int at = kOpFacts[static_cast<int>(ins->op)].in_place;
  if (at >= 0 && ins->call.in[at].data != ins->call.out[0].data) __atomic_fetch_add(&g_copies, 1, __ATOMIC_RELAXED);
  ins->call.scratch = run.scratch;
  return ins->kernel->run(ins->call);
}
void run_program(Program* p, const Run& run) {
  pthread_mutex_lock(&p->running);
  Failure** poison = static_cast<Failure**>(calloc(static_cast<size_t>(p->n_values) + 1, sizeof(Failure*)));
  Failure** made = static_cast<Failure**>(calloc(static_cast<size_t>(p->n_instructions) + 1, sizeof(Failure*)));
  if (!poison || !made) abort();
  for (int i = 0; i < p->n_values; i++)
    if (p->values[i].place >= 0 && p->values[i].place < p->n_inputs) poison[i] = run.entry_poison[p->values[i].place];
  for (int k = 0; k < p->n_instructions; k++) {
    Instruction* ins = &p->instructions[k];
    Failure* f = nullptr;
    for (int i = 0; i < ins->n_in && !f; i++) f = poison[ins->operands[i].value];
    if (!f) {
      __atomic_fetch_add(&g_kernels, 1, __ATOMIC_RELAXED);
      if (run.times) run.times[2 * k] = clock_ns();
      if (const char* message = run_instruction(p, ins, run)) f = made[k] = failed_kernel(p, ins, message);
      if (run.times) run.times[2 * k + 1] = clock_ns();
    }
    for (int i = 0; i < ins->n_out; i++) poison[ins->operands[ins->n_in + i].value] = f;
  }
  lock();
  for (int i = 0; i < p->n_outputs; i++) run.output_poison[i] = share(poison[p->outputs[i]]);
  unlock();
  for (int k = 0; k < p->n_instructions; k++) if (made[k]) { lock(); unshare(made[k]); unlock(); }
  free(poison);
  free(made);
  pthread_mutex_unlock(&p->running);
}
void spread_failures(const Program* p, Failure* const* entry, Failure* const* made, Failure** outputs) {
  Failure** of = static_cast<Failure**>(calloc(static_cast<size_t>(p->n_values) + 1, sizeof(Failure*)));
  if (!of) abort();
  for (int i = 0; i < p->n_values; i++)
    if (p->values[i].place >= 0 && p->values[i].place < p->n_inputs) of[i] = entry[p->values[i].place];
  for (int k = 0; k < p->n_instructions; k++) {
    const Instruction& ins = p->instructions[k];
    Failure* f = nullptr;
    for (int i = 0; i < ins.n_in && !f; i++) f = of[ins.operands[i].value];
    if (!f) f = made[k];
    for (int i = 0; i < ins.n_out; i++) of[ins.operands[ins.n_in + i].value] = f;
  }
  for (int i = 0; i < p->n_outputs; i++) outputs[i] = share(of[p->outputs[i]]);
  free(of);
}

}  // namespace denim
