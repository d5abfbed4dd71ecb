// Kernels written for one pattern of a fused instruction: its steps in Metal's language, with the functions of
// kernels/elementwise.metal. Sizes, strides and immediates are arguments, so that a pattern is compiled once.
#include <stdlib.h>
#include <string.h>

#include "metal/fused_code.h"
#include "metal/grid.h"
#include "metal/text.h"

namespace denim::metal {
namespace {

/// How elements lie in memory, and what they are in computations: bool is 0 or 1 as uchar, halves are floats.
const char* stored_name(DType d) {
  switch (d) {
    case DType::uint16:
    case DType::bfloat16: return "ushort";
    case DType::uint32: return "uint";
    case DType::uint64: return "ulong";
    case DType::int8: return "char";
    case DType::int16: return "short";
    case DType::int32: return "int";
    case DType::int64: return "long";
    case DType::float16: return "half";
    case DType::float32: return "float";
    case DType::complex64: return "float2";
    default: return "uchar";
  }
}
bool is_half(DType d) { return d == DType::float16 || d == DType::bfloat16; }
bool is_real_float(DType d) { return is_half(d) || d == DType::float32; }
const char* value_name(DType d) { return is_half(d) ? "float" : stored_name(d); }

/// Where an operand's elements are: at the number of the result's element, all at one place, or by strides.
enum Place { kLinear, kScalar, kStrided };

struct Writer {
  const Fused& f;
  const Loop& loop;
  Text text{};
  uint64_t imm[512];
  int n_imm = 0;
  Place place[kFusedArrays + 1];

  int axes() const { return loop.n_kept + loop.n_reduced; }
  int counting() const { return loop.n_arrays; }
  bool reduces() const { return f.n_reduce != 0; }
  bool used(int operand) const { return operand < f.n_in + f.n_out || operand == counting(); }
  DType dtype_of(int v) const {
    if (v < f.n_in) return f.in[v].dtype;
    return v < f.n_in + f.n_imm ? f.imm[v - f.n_in].dtype : f.steps[v - f.n_in - f.n_imm].dtype;
  }
  void find_places() {
    for (int k = 0; k <= loop.n_arrays; k++) {
      bool scalar = true, linear = !reduces();
      for (int a = 0; a < axes(); a++) {
        scalar = scalar && loop.strides[k][a] == 0;
        linear = linear && loop.strides[k][a] == loop.strides[counting()][a];
      }
      place[k] = linear ? kLinear : scalar ? kScalar : kStrided;
    }
  }

  // ---- places -------------------------------------------------------------------------------------------------------
  // dims: `first` numbers, then the lengths of all axes, then the strides of each operand.
  static constexpr int kFirst = 6;
  void dim(int axis) { text << "dims[" << kFirst + axis << "]"; }
  void stride(int operand, int axis) { text << "dims[" << kFirst + (1 + operand) * axes() + axis << "]"; }
  /// Adds the axes [begin, end) of the number `from` to `<to>k` of every strided operand.
  void add_axes(const char* from, const char* to, int begin, int end) {
    const char* number = loop.elements < uint64_t{1} << 31 ? "uint" : "ulong";  // division of 64 bits is slow
    text << "  " << number << " rest_" << to << " = (" << number << ")" << from << ";\n";
    for (int a = end - 1; a >= begin; a--) {
      text << "  { " << number << " c = rest_" << to;
      if (a > begin) {
        text << " % (" << number << ")";
        dim(a);
        text << "; rest_" << to << " /= (" << number << ")";
        dim(a);
      }
      text << ";";
      for (int k = 0; k <= loop.n_arrays; k++) {
        if (place[k] != kStrided || !used(k)) continue;
        text << " " << to << k << " += (long)c * ";
        stride(k, a);
        text << ";";
      }
      text << " }\n";
    }
  }
  void declare(const char* name, const char* value) {
    for (int k = 0; k <= loop.n_arrays; k++) {
      if (place[k] != kStrided || !used(k)) continue;
      text << "  long " << name << k << " = " << value;
      if (value[0] != '0') text << k;
      text << ";\n";
    }
  }
  void element(const char* array, int operand) {
    text << array << operand << "[";
    if (place[operand] == kLinear) text << "i";
    else if (place[operand] == kScalar) text << "0";
    else text << "p" << operand;
    text << "]";
  }

  // ---- the body -----------------------------------------------------------------------------------------------------
  void begin_value(int v) { text << "    " << value_name(dtype_of(v)) << " v" << v << " = "; }
  void load(int v) {
    begin_value(v);
    const DType d = dtype_of(v);
    if (d == DType::bool_) text << "(uchar)(";
    if (d == DType::float16) text << "(float)";
    if (d == DType::bfloat16) text << "bfloat_to_float(";
    element("a", v);
    text << (d == DType::bool_ ? " != 0);\n" : d == DType::bfloat16 ? ");\n" : ";\n");
  }
  int push_imm(uint64_t bits) {
    imm[n_imm] = bits;
    return n_imm++;
  }
  void pair_immediate(int at) {
    text << "float2(as_type<float>((uint)imm[" << at << "]), as_type<float>((uint)(imm[" << at << "] >> 32)))";
  }
  void immediate(int v) {
    const DType d = dtype_of(v);
    const int at = push_imm(immediate_bits(f.imm[v - f.n_in]));
    begin_value(v);
    if (d == DType::complex64) {
      pair_immediate(at);
      text << ";\n";
    } else if (is_real_float(d)) {
      text << "as_type<float>((uint)imm[" << at << "]);\n";
    } else {
      text << "(" << value_name(d) << ")imm[" << at << "];\n";
    }
  }
  /// Halves are rounded after each step.
  void begin_rounded(DType d) {
    if (d == DType::float16) text << "round_half(";
    if (d == DType::bfloat16) text << "round_bfloat(";
  }
  void end_rounded(DType d) { text << (is_half(d) ? ");\n" : ";\n"); }
  void cast(const FusedStep& s, DType from) {
    if (s.dtype == DType::bool_) text << "(uchar)truth(v" << s.args[0] << ");\n";
    else if (s.dtype == DType::complex64) text << "to_complex(v" << s.args[0] << ");\n";
    else if (is_real_float(s.dtype)) {
      begin_rounded(s.dtype);
      text << "to_float(v" << s.args[0] << ")";
      end_rounded(s.dtype);
    } else {
      const bool same = from == s.dtype;
      if (same) text << "v" << s.args[0] << ";\n";
      else text << "to_integer<" << value_name(s.dtype) << ">(v" << s.args[0] << ");\n";
    }
  }
  void arange(const FusedStep& s) {
    uint64_t start, step;
    arange_bits(s, &start, &step);
    const int at = push_imm(start);
    push_imm(step);
    const char* number = reduces() ? "(ulong)p" : "i";
    if (is_real_float(s.dtype)) {
      begin_rounded(s.dtype);
      text << "arange_float(";
      pair_immediate(at);
      text << ", ";
      pair_immediate(at + 1);
      text << ", " << number;
    } else {
      text << "(" << value_name(s.dtype) << ")(imm[" << at << "] + imm[" << at + 1 << "] * " << number;
    }
    if (reduces()) text << counting();
    text << ")";
    end_rounded(s.dtype);
  }
  void step(int number) {
    const FusedStep& s = f.steps[number];
    const DType from = s.n_args > 0 ? dtype_of(s.args[s.n_args - 1]) : s.dtype;
    begin_value(f.n_in + f.n_imm + number);
    if (s.op == Op::arange) return arange(s);
    if (s.op == Op::astype) return cast(s, from);
    if (s.op == Op::select) {
      text << "v" << s.args[0] << " != 0 ? v" << s.args[1] << " : v" << s.args[2] << ";\n";
      return;
    }
    const bool truth = s.dtype == DType::bool_, invert = s.op == Op::bitwiseInvert && from == DType::bool_;
    if (truth) text << "(uchar)(";
    begin_rounded(s.dtype);
    text << "op_" << (invert ? "logicalNot" : kOpFacts[static_cast<int>(s.op)].name) << "(v" << s.args[0];
    for (int k = 1; k < s.n_args; k++) text << ", v" << s.args[k];
    text << ")" << (truth ? " != 0)" : "");
    end_rounded(s.dtype);
  }
  void store(int k) {
    const DType d = f.out[k].dtype;
    text << "    ";
    element("y", f.n_in + k);
    text << (d == DType::float16 ? " = (half)v" : d == DType::bfloat16 ? " = float_to_bfloat(v" : " = v")
         << f.out_values[k] << (d == DType::bfloat16 ? ");\n" : ";\n");
  }
  void body() {
    for (int v = 0; v < f.n_in; v++) load(v);
    for (int v = f.n_in; v < f.n_in + f.n_imm; v++) immediate(v);
    for (int i = 0; i < f.n_steps; i++) step(i);
    for (int k = 0; k < f.n_out; k++) store(k);
  }

  // ---- kernels ------------------------------------------------------------------------------------------------------
  void arguments() {
    text << "#include \"elementwise.metal\"\nkernel void fused(";
    for (int k = 0; k < f.n_in; k++)
      text << "device const " << stored_name(f.in[k].dtype) << "* a" << k << " [[buffer(" << k << ")]],\n";
    for (int k = f.n_in; k < f.n_in + f.n_out; k++)
      text << "device " << stored_name(f.out[k - f.n_in].dtype) << "* y" << k << " [[buffer(" << k << ")]],\n";
    const int next = f.n_in + f.n_out;
    text << "constant const long* dims [[buffer(" << next << ")]], constant const ulong* imm [[buffer(" << next + 1
         << ")]],\n";
  }
  /// A row of threads walks the last axis, each line of the others is a row.
  void write_map() {
    arguments();
    text << "uint3 at [[thread_position_in_grid]], uint3 grid [[threads_per_grid]]) {\n"
            "  ulong lines = (ulong)dims[0], inner = (ulong)dims[1], line = ((ulong)at.z << 20) + at.y;\n"
            "  if (line >= lines) return;\n";
    declare("b", "0");
    const int last = loop.n_kept - 1;
    if (last > 0) add_axes("line", "b", 0, last);
    text << "  for (ulong x = at.x; x < inner; x += grid.x) {\n    ulong i = line * inner + x;\n";
    for (int k = 0; k <= loop.n_arrays; k++) {
      if (place[k] != kStrided || !used(k)) continue;
      text << "    long p" << k << " = b" << k << " + (long)x * ";
      stride(k, last);
      text << ";\n";
    }
    body();
    text << "  }\n}\n";
  }

  /// What accumulates: sums and products of floats by pairs, else the type itself.
  bool pairs() const {
    const Reduce r = reduce_of(f);
    return is_real_float(f.reduce_out.dtype) && (r == kSum || r == kProd);
  }
  void start() {
    const DType d = f.reduce_out.dtype;
    const Reduce r = reduce_of(f);
    const char* type = value_name(d);
    const char* infinity = r == kMax ? "-INFINITY" : "INFINITY";
    if (pairs() || (d == DType::complex64 && r <= kProd)) text << "float2(" << (r == kProd ? 1 : 0) << ", 0)";
    else if (d == DType::complex64) text << "float2(" << infinity << ", " << infinity << ")";
    else if (is_real_float(d)) text << infinity;
    else if (r <= kProd) text << (r == kProd ? 1 : 0);
    else if (d == DType::bool_) text << (r == kMin ? 1 : 0);
    else {
      const bool has_sign = d >= DType::int8;
      text << "(" << type << ")" << (r == kMin ? "~" : "");
      if (has_sign) text << "((ulong)1 << " << static_cast<int>(8 * item_size(d) - 1) << ")";
      else text << "(ulong)0";
    }
  }
  void merge(const char* a, const char* b, bool fresh) {
    const Reduce r = reduce_of(f);
    const char* function = r == kMax ? "max_merge" : r == kMin ? "min_merge" : r == kSum ? "op_add" : "op_multiply";
    if (pairs()) function = r == kSum ? "pair_add" : "pair_multiply";
    text << function << "(" << a << ", ";
    if (pairs() && fresh && r == kProd) text << "float2(" << b << ", 0)";
    else text << b;
    text << ")";
  }
  /// As the interpreter, with types: `lanes` threads share a part of a result.
  void write_reduction() {
    const DType d = f.reduce_out.dtype;
    const char* type = pairs() ? "float2" : value_name(d);
    const int next = f.n_in + f.n_out + 2;
    arguments();
    text << "device " << stored_name(d) << "* out [[buffer(" << next << ")]], device uchar* partials [[buffer("
         << next + 1
         << ")]],\n"
            "uint3 group [[threadgroup_position_in_grid]], uint3 groups [[threadgroups_per_grid]],\n"
            "uint lane [[thread_index_in_threadgroup]], uint3 size [[threads_per_threadgroup]]) {\n"
            "  threadgroup "
         << type
         << " shared[256];\n"
            "  ulong units = (ulong)dims[0], results = (ulong)dims[1];\n"
            "  ulong reduced = (ulong)dims[2], part = (ulong)dims[3];\n"
            "  uint lanes = (uint)dims[4], mine = lane % lanes;\n"
            "  ulong unit = number_of(group, groups) * (size.x / lanes) + lane / lanes, result = 0, from = 0, to = 0;\n"
            "  if (unit < units) {\n    result = unit % results;\n    from = unit / results * part;\n"
            "    to = min(from + part, reduced);\n  }\n";
    declare("b", "0");
    if (loop.n_kept > 0) add_axes("result", "b", 0, loop.n_kept);
    text << "  " << type << " total = ";
    start();
    text << ";\n  for (ulong r = from + mine; r < to; r += lanes) {\n";
    declare("p", "b");
    if (loop.n_reduced > 0) add_axes("r", "p", loop.n_kept, axes());
    body();
    Text value;
    const bool logical = (f.reduce_op == Op::all || f.reduce_op == Op::any) && dtype_of(f.reduce_value) != DType::bool_;
    value << (logical ? "(uchar)truth(v" : "v") << f.reduce_value << (logical ? ")" : "");
    text << "    total = ";
    merge("total", value.text(), true);
    text << ";\n  }\n  shared[lane] = total;\n"
            "  for (uint step = lanes / 2; step > 0; step /= 2) {\n"
            "    threadgroup_barrier(mem_flags::mem_threadgroup);\n    if (mine < step) shared[lane] = ";
    merge("shared[lane]", "shared[lane + step]", false);
    text << ";\n  }\n  if (mine != 0 || unit >= units) return;\n  if (dims[5] > 1) {\n    ";
    // As the interpreter's accumulators: 64 bits, integers extended.
    if (pairs() || d == DType::complex64) text << "((device float2*)partials)[unit] = shared[lane];\n";
    else if (is_real_float(d)) text << "((device ulong*)partials)[unit] = (ulong)as_type<uint>(shared[lane]);\n";
    else if (d >= DType::int8) text << "((device ulong*)partials)[unit] = (ulong)(long)shared[lane];\n";
    else text << "((device ulong*)partials)[unit] = (ulong)shared[lane];\n";
    text << "  } else {\n    " << value_name(d) << " y = " << (pairs() ? "pair_value(shared[lane])" : "shared[lane]")
         << ";\n    out[unit] = "
         << (d == DType::float16    ? "(half)y"
             : d == DType::bfloat16 ? "float_to_bfloat(y)"
             : d == DType::bool_    ? "(uchar)(y != 0)"
                                    : "y")
         << ";\n  }\n}\n";
  }
  int write_dims(const int64_t* first, int64_t* dims) const {
    int n = 0;
    for (int i = 0; i < kFirst; i++) dims[n++] = first[i];
    for (int a = 0; a < axes(); a++) dims[n++] = loop.shape[a];
    for (int k = 0; k <= loop.n_arrays; k++) {
      for (int a = 0; a < axes(); a++) dims[n++] = loop.strides[k][a];
    }
    return n;
  }
};

uint32_t power_up_to(int64_t n, uint32_t most) {
  uint32_t p = 1;
  while (p < n && p < most) p *= 2;
  return p;
}
void bind(const Writer& w, const int64_t* first, Encoder& e) {
  int64_t dims[Writer::kFirst + (kFusedArrays + 2) * kMaxDims];
  const int n = w.write_dims(first, dims), next = w.f.n_in + w.f.n_out;
  for (int k = 0; k < next; k++) e.array(k, *w.loop.arrays[k], k < w.f.n_in ? kRead : kWrite);
  e.list(next, dims, n);
  e.bytes(next + 1, w.imm, 8 * static_cast<size_t>(w.n_imm > 0 ? w.n_imm : 1));
}

}  // namespace

bool encode_generated(const Fused& f, const Loop& loop, const Layout& at, uint8_t* scratch, Encoder& e) {
  const char* mode = e.jit();
  if (f.n_in + f.n_out + 4 > 31 || strcmp(mode, "never") == 0) return false;
  Writer w{f, loop};
  w.find_places();
  if (f.n_reduce == 0) w.write_map();
  else w.write_reduction();
  if (!e.generated("fused", w.text.text(), "fused", e.kept() || strcmp(mode, "always") == 0)) return false;
  if (f.n_reduce == 0) {
    const int64_t inner = loop.n_kept > 0 ? loop.shape[loop.n_kept - 1] : 1;
    const int64_t lines = static_cast<int64_t>(loop.elements) / inner, across = inner < 1024 ? inner : (inner + 3) / 4;
    const int64_t first[Writer::kFirst] = {lines, inner, 0, 0, 0, 0};
    bind(w, first, e);
    const uint32_t x = power_up_to(across, 256), y = power_up_to(lines, 256 / x);
    const Size rows = folded(lines);
    e.threads({static_cast<uint32_t>(across), rows.x, rows.y}, {x, y, 1});
    return true;
  }
  const int64_t first[Writer::kFirst] = {static_cast<int64_t>(at.units), static_cast<int64_t>(loop.results),
                                         static_cast<int64_t>(loop.reduced), static_cast<int64_t>(at.part), at.lanes,
                                         at.splits};
  bind(w, first, e);
  const int next = f.n_in + f.n_out + 2;
  e.array(next, f.reduce_out, kWrite);
  if (at.splits > 1) e.memory(next + 1, scratch, static_cast<int64_t>(8 * at.units), kWrite);
  else e.array(next + 1, f.reduce_out, kWrite);
  const int64_t per_group = kFusedGroup / at.lanes, units = static_cast<int64_t>(at.units);
  e.groups(folded((units + per_group - 1) / per_group), {kFusedGroup, 1, 1});
  return true;
}

}  // namespace denim::metal
