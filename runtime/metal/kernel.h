// What a family of GPU kernels sees, and what the host (program.cc of this folder) asks of each family. No metal-cpp
// here: families describe dispatches, the encoder turns them into Metal calls. C++20 without the C++ standard library.
#pragma once
#include "../kernel.h"

namespace denim::metal {

struct Size {
  uint32_t x, y, z;
};

/// How an argument's memory is used: the hazard tracker puts barriers between dispatches by it.
enum Access : uint8_t { kRead = 1, kWrite = 2, kReadWrite = 3 };

/// Takes one dispatch after another: `kernel`, its arguments, then `threads` or `groups`, which forget the arguments.
/// Dispatches run concurrently save where the byte ranges of their arguments collide, and there in order.
class Encoder {
 public:
  /// The kernel `function` of `kernels/<source>.metal`. `defines` are "NAME=text" parts divided by ';', put before the
  /// source (for types: each set of defines is compiled by itself, about half a second, so keep them few); `constants`
  /// are the values of function constants 0 .. n-1 (int; for sizes and switches: cheap).
  void kernel(const char* source, const char* function, const char* defines = "", const int32_t* constants = nullptr,
              int n_constants = 0);
  /// A kernel whose source was made at run time; `common.metal` goes before it, as before those of kernels/, and
  /// `#include "<name>.metal"` of kernels/ works in both. `name` is for reports. Where `wait` is false and it has not
  /// been compiled yet, that begins in the background and the answer is false: encode something else. Nothing fails
  /// here: a source that the compiler refuses is an error of the program.
  bool generated(const char* name, const char* text, const char* function, bool wait,
                 const int32_t* constants = nullptr, int n_constants = 0);
  /// Does this run belong to a program that is kept to run often (`compile`)? To wait for the compiler pays then.
  bool kept() const;
  /// Binds the memory of an array; the address is that of its element [0, 0, ...], whatever the strides' signs.
  void array(int index, const Array& a, Access access);
  /// Binds `nbytes` bytes from an address inside an array of this call or its scratch.
  void memory(int index, const void* at, int64_t nbytes, Access access);
  /// Copies up to 4096 bytes into the command.
  void bytes(int index, const void* data, size_t nbytes);
  template <class T>
  void value(int index, const T& v) {
    bytes(index, &v, sizeof v);
  }
  /// A list of integers (shapes, strides) as `constant int64_t*` (one 0 if it is empty).
  void list(int index, const int64_t* data, int n);
  /// The word of this instruction that a kernel sets (`device atomic_uint*`) when an index in its data is out of range:
  /// the program then fails as on the CPU. Kernels clamp such an index and go on.
  /// Of several instructions in one dispatch `part` says whose word it is, counted from the first.
  void bad_index(int index, int part = 0);
  /// Threadgroup memory as an argument.
  void local(int index, size_t nbytes);
  /// `grid` threads in all, in threadgroups of `group` (those at the edge are smaller).
  void threads(Size grid, Size group);
  /// `groups` whole threadgroups of `group` threads.
  void groups(Size groups, Size group);
  /// Facts of the device.
  int max_threads() const;  // per threadgroup: 1024
  int cores() const;        // of the GPU, to choose a split
  /// DENIM_METAL_JIT as the process began: "always" waits for every kernel, "never" writes none.
  const char* jit() const;

  struct State;
  explicit Encoder(State* s) : state(s) {}

 private:
  State* state;
};

/// A GPU kernel. The CPU kernel's `check` of the same op has passed already: shapes, dtypes and parameters are right.
/// `can` says whether this family takes the call; where it does not the instruction runs on the CPU between two command
/// buffers, which is right but slow: only decompositions may say so. No float64 ever arrives here.
struct GpuKernel {
  bool (*can)(const Call&);
  size_t (*scratch)(const Call&);  // bytes of call.scratch (256-byte aligned)
  void (*encode)(const Call&, Encoder&);
};

/// Fused elementwise instructions, with a reduction at their end or without (fused.cc).
/// `fused_can` is false where there are more arrays than a dispatch has arguments (the planner makes none of those):
/// the instruction runs on the CPU then.
bool fused_can(const Fused& f);
size_t fused_scratch(const Fused& f);
void fused_encode(const Fused& f, uint8_t* scratch, Encoder& e);

/// The kernel of an op of kind `kernel`, or null: `gpu_<op>`, collected by table.cc. A family defines it as
/// `extern const GpuKernel gpu_<op>; constexpr GpuKernel gpu_<op> = {...};`, written out, as scripts/gen_metal.ts looks
/// for these names (`deno task gen` after adding one or a file of kernels/).
const GpuKernel* gpu_kernel(Op op);

/// Encodes a copy of bytes between places of 16-byte alignment.
void copy_bytes(Encoder& e, const void* from, void* to, int64_t nbytes);

/// The name of a dtype in Metal's language; null for float64.
const char* type_name(DType t);

}  // namespace denim::metal
