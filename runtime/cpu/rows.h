// Kernels that work along one axis (argmax, scan, sort): the lines of an array in that axis, numbered in the order of
// the other axes.
#pragma once
#include "kernel.h"

namespace denim::DENIM_ISA {

/// Offset, in elements, of line number `line` of `a`, which runs along `axis`.
inline int64_t line_offset(const Array& a, int64_t axis, int64_t line) {
  int64_t offset = 0;
  for (int64_t i = a.ndim - 1; i >= 0; i--) {
    if (i == axis) continue;
    offset += (line % a.shape[i]) * a.strides[i];
    line /= a.shape[i];
  }
  return offset;
}
/// The last axis but `axis`: neighbours along it are neighbouring lines. -1 if there is no other.
inline int64_t neighbour_axis(const Array& a, int64_t axis) {
  const int64_t last = a.ndim - 1;
  return last != axis ? last : last - 1;
}
/// Whether walking across lines touches memory in smaller steps than walking along them.
inline bool across_is_nearer(const Array& a, int64_t axis) {
  const int64_t other = neighbour_axis(a, axis);
  if (other < 0 || a.shape[other] == 1) return false;
  return __builtin_llabs(a.strides[other]) < __builtin_llabs(a.strides[axis]);
}
inline bool same_shape(const Array& a, const Array& b) {
  if (a.ndim != b.ndim) return false;
  for (int i = 0; i < a.ndim; i++) {
    if (a.shape[i] != b.shape[i]) return false;
  }
  return true;
}
/// One input, one output and an axis of the input: what `check` of these kernels asks first.
inline const char* check_axis(const Call& c, int64_t axis) {
  if (c.n_in != 1 || c.n_out != 1) return "one input and one output are needed";
  if (axis < 0 || axis >= c.in[0].ndim) return "the axis is out of range";
  return nullptr;
}
/// Runs fn on [0, n) in pieces that are worth a thread each; `work` is what one item costs, in elements.
template <class F>
void in_pieces(int64_t n, int64_t work, F&& fn) {
  const int64_t per_piece = work >= 65536 ? 1 : 65536 / (work > 0 ? work : 1);
  struct Context {
    F& fn;
    int64_t n, per_piece;
  } context{fn, n, per_piece};
  parallel((n + per_piece - 1) / per_piece,
           [](void* ctx, int64_t i, int worker) {
             auto& c = *static_cast<Context*>(ctx);
             const int64_t end = (i + 1) * c.per_piece;
             c.fn(i * c.per_piece, end < c.n ? end : c.n, worker);
           },
           &context);
}

}  // namespace denim::DENIM_ISA
