// Blocked matrix product on packed panels, C = A B, in float or double. What A and B are is the packers' business
// (strided arrays, halves, complex numbers, quantized weights), what becomes of a finished tile is the `finish`
// function's (conversion, scaling, adding, activation). gemm.cc has the blocking and the micro-kernels.
#pragma once
#include "gemm_vec.h"

namespace denim::DENIM_ISA {

/// Columns of a micro-tile: two vectors.
template <class T>
constexpr int kTileCols = 2 * kLanes<T>;

/// Writes the panel [kc][width] of an operand: panel[k * width + l] = element (first + l, k0 + k) for l < used, else 0.
/// "Lanes" are the rows of A or the columns of B.
template <class T>
using PackFn = void (*)(const void* operand, int64_t first, int used, int width, int64_t k0, int64_t kc, T* panel);

/// Takes the sums of rows [i0, i0 + rows) and columns [j0, j0 + cols); tile has kTileCols<T> columns.
template <class T>
using FinishFn = void (*)(const void* out, const T* tile, int64_t i0, int64_t j0, int rows, int cols);

template <class T>
struct Gemm {
  int64_t m, n, k;
  int64_t k_align;  // blocks of k begin at multiples of this (a group of quantized weights)
  const void* a;
  PackFn<T> pack_a;
  const void* b;
  PackFn<T> pack_b;
  const void* out;
  FinishFn<T> finish;
  const T* b_rows;         // B itself, if it is of type T and its columns are neighbours in memory: then elements
  int64_t b_row_stride;    // between its rows. A product of few rows reads it where it is
  T* partial;              // where sums of the first blocks of k may rest: an output of type T
  int64_t partial_stride;  // elements between its rows; 0: they rest in scratch
};

/// Bytes of scratch that `gemm` needs for this problem or one of fewer rows (looks at m, n, k, k_align and
/// partial_stride, which are known before there are data).
template <class T>
size_t gemm_scratch(const Gemm<T>& g);
/// Computes it, in parallel if it is large; the sums are the same for any number of threads.
template <class T>
void gemm(const Gemm<T>& g, uint8_t* scratch);

extern template size_t gemm_scratch<float>(const Gemm<float>&);
extern template size_t gemm_scratch<double>(const Gemm<double>&);
extern template void gemm<float>(const Gemm<float>&, uint8_t*);
extern template void gemm<double>(const Gemm<double>&, uint8_t*);

/// A matrix operand in memory, seen with lanes (rows of A, columns of B) and k.
struct Lanes {
  const uint8_t* data;
  int64_t lane_stride, k_stride;  // in elements
};

// Packs `lanes` <= n lanes by n steps of k, all of which exist and are contiguous along k.
template <class E>
DENIM_INLINE void pack_square(const E* p, int64_t lane_stride, int lanes, int width, Acc<E>* to) {
  using T = Acc<E>;
  constexpr int n = kLanes<T>;
  Vec<T> v[n];
#pragma clang loop unroll(full)
  for (int l = 0; l < n; l++) v[l] = load(p + (l < lanes ? l : 0) * lane_stride);
  transpose_square<T>(v);
#pragma clang loop unroll(full)
  for (int s = 0; s < n; s++) {
    if (lanes == n) store(to + s * width, v[s]);
    else store_few(to + s * width, v[s], lanes);
  }
}

// The same at the edges, or with a stride along k: `filled` lanes exist, `lanes` have a place in the panel.
template <class E>
void pack_part(const E* p, int64_t ls, int64_t ks, int filled, int lanes, int steps, int width, Acc<E>* to) {
  using T = Acc<E>;
  constexpr int n = kLanes<T>;
  Vec<T> v[n];
  for (int l = 0; l < n; l++, p += ls) {
    if (l >= filled) {
      v[l] = Vec<T>(0);
    } else if (ks == 1) {
      v[l] = steps == n ? load(p) : load_few(p, steps);
    } else {
      T one[n] = {};
      for (int s = 0; s < steps; s++) one[s] = load_one(p + s * ks);
      v[l] = load(one);
    }
  }
  transpose_square<T>(v);
  for (int s = 0; s < steps; s++) {
    if (lanes == n) {
      store(to + s * width, v[s]);
    } else {
      store_few(to + s * width, v[s], lanes);
    }
  }
}

// Lanes that are neighbours in memory.
template <class E>
void pack_neighbours(const E* p, int64_t ks, int used, int width, int64_t kc, Acc<E>* panel) {
  constexpr int n = kLanes<Acc<E>>;
  for (int64_t k = 0; k < kc; k++, p += ks, panel += width) {
    int l = 0;
    for (; l + n <= used; l += n) store(panel + l, load(p + l));
    if (l < used) store_few(panel + l, load_few(p + l, used - l), used - l);
    for (l = used; l < width; l++) panel[l] = 0;
  }
}

// One panel of lanes that lie apart.
template <class E>
void pack_strided(const E* p, int64_t ls, int64_t ks, int used, int width, int64_t kc, Acc<E>* panel) {
  constexpr int n = kLanes<Acc<E>>;
  for (int l0 = 0; l0 < width; l0 += n) {
    const int lanes = width - l0 < n ? width - l0 : n;
    const int filled = used - l0 < lanes ? (used > l0 ? used - l0 : 0) : lanes;
    int64_t k = 0;
    if (filled == lanes && ks == 1) {
      for (; k + n <= kc; k += n) pack_square(p + l0 * ls + k, ls, lanes, width, panel + k * width + l0);
    }
    for (; k < kc; k += n) {
      const int steps = kc - k < n ? static_cast<int>(kc - k) : n;
      pack_part(p + l0 * ls + k * ks, ls, ks, filled, lanes, steps, width, panel + k * width + l0);
    }
  }
}

/// Packs a strided array of E (the PackFn of plain operands; `operand` is a Lanes).
template <class E>
void pack_lanes(const void* operand, int64_t first, int used, int width, int64_t k0, int64_t kc, Acc<E>* panel) {
  const auto& o = *static_cast<const Lanes*>(operand);
  const int64_t ls = o.lane_stride, ks = o.k_stride;
  const E* p = reinterpret_cast<const E*>(o.data) + first * ls + k0 * ks;
  if (ls == 1) return pack_neighbours(p, ks, used, width, kc, panel);
  pack_strided(p, ls, ks, used, width, kc, panel);
}

}  // namespace denim::DENIM_ISA
