// Grids of any number of threads or threadgroups: rows of at most 2^20, as `number_of` of kernels/common.metal counts.
// And what kernels along one axis are told about the other axes.
#pragma once
#include "metal/kernel.h"

namespace denim::metal {

constexpr int64_t kRowOfGrid = int64_t{1} << 20;

inline Size folded(int64_t n) {
  const int64_t rows = (n + kRowOfGrid - 1) / kRowOfGrid;
  return {static_cast<uint32_t>(n < kRowOfGrid ? n : kRowOfGrid), static_cast<uint32_t>(rows), 1};
}
/// `n` threads at least (the kernel leaves out those beyond), 256 to a group.
inline void run_threads(Encoder& e, int64_t n) {
  const uint32_t group = n < 256 ? static_cast<uint32_t>((n + 31) / 32 * 32) : 256;
  e.threads(folded(n), {group, 1, 1});
}

/// The axes of x but `axis`: lengths, strides of x, strides of y.
struct OtherAxes {
  int64_t dims[3 * kMaxDims];
  int ndim = 0;
  OtherAxes(const Array& x, const Array& y, int64_t axis) {
    for (int32_t part = 0; part < 3; part++) {
      for (int32_t a = 0; a < x.ndim; a++) {
        if (a == axis) continue;
        dims[ndim++] = part == 0 ? x.shape[a] : part == 1 ? x.strides[a] : y.strides[a];
      }
    }
    ndim /= 3;
  }
  void bind(Encoder& e, int index) const { e.list(index, dims, 3 * ndim); }
};

}  // namespace denim::metal
