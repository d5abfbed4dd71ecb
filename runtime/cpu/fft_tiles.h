// Between lines anywhere in memory and tiles, which hold as many lines as a vector has lanes: tile[j] is element j of
// each of them. Lines that run along memory, and lines that lie side by side, are moved by whole vectors.
#pragma once
#include "cpu/fft_core.h"

namespace denim::DENIM_ISA {

template <int... I>
struct Sequence {};
template <class T, T... I>
struct SequenceOf {
  using type = Sequence<static_cast<int>(I)...>;
};
using Places = typename __make_integer_seq<SequenceOf, int, kLanes>::type;

template <int... I>
inline F32 zip_low(F32 a, F32 b, Sequence<I...>) {
  return __builtin_shufflevector(a, b, ((I & 1) * kLanes + I / 2)...);
}
template <int... I>
inline F32 zip_high(F32 a, F32 b, Sequence<I...>) {
  return __builtin_shufflevector(a, b, ((I & 1) * kLanes + (I + kLanes) / 2)...);
}
template <int... I>
inline F32 evens(F32 a, F32 b, Sequence<I...>) {
  return __builtin_shufflevector(a, b, (2 * I)...);
}
template <int... I>
inline F32 odds(F32 a, F32 b, Sequence<I...>) {
  return __builtin_shufflevector(a, b, (2 * I + 1)...);
}
/// Pairs (re, im) that follow each other in memory.
inline Lanes load_pairs(const float* p) {
  const F32 a = load<F32>(p), b = load<F32>(p + kLanes);
  return {evens(a, b, Places{}), odds(a, b, Places{})};
}
inline void store_pairs(float* p, Lanes v) {
  store(p, zip_low(v.re, v.im, Places{}));
  store(p + kLanes, zip_high(v.re, v.im, Places{}));
}
/// Rows become columns: as many perfect shuffles as kLanes has bits.
inline void transpose(F32* r) {
  F32 other[kLanes];
  for (int bit = 1; bit < kLanes; bit *= 2) {
    for (int i = 0; i < kLanes / 2; i++) {
      other[2 * i] = zip_low(r[i], r[i + kLanes / 2], Places{});
      other[2 * i + 1] = zip_high(r[i], r[i + kLanes / 2], Places{});
    }
    for (int i = 0; i < kLanes; i++) r[i] = other[i];
  }
}

/// Lines in memory, in floats: element j of the line at `line` has its real part at line + j * step, its imaginary part
/// `im` further unless it is real. `swap` exchanges the parts, which turns a transform into the inverse one.
struct Lines {
  float* at;
  int64_t step, im;
  bool swap, real;
};
/// Which of them go into one tile: up to kLanes. `apart` is the distance of neighbours where it is always the same.
struct Group {
  int64_t line[kLanes];
  int count;
  int64_t apart;

  void measure() {
    apart = count == kLanes ? line[1] - line[0] : 0;
    for (int i = 2; i < count; i++) {
      if (line[i] - line[i - 1] != apart) apart = 0;
    }
  }
};

/// Elements [from, n) one by one; lanes without a line are 0.
inline void load_slowly(Lanes* tile, int64_t from, int64_t n, const Lines& x, const Group& g) {
  for (int64_t j = from; j < n; j++) tile[j] = {F32(0), F32(0)};
  for (int l = 0; l < g.count; l++) {
    const float* p = x.at + g.line[l];
    for (int64_t j = from; j < n; j++) {
      tile[j].re[l] = p[j * x.step];
      if (!x.real) tile[j].im[l] = p[j * x.step + x.im];
    }
  }
}
inline void store_slowly(const Lanes* tile, int64_t from, int64_t n, const Lines& y, const Group& g, float scale) {
  for (int l = 0; l < g.count; l++) {
    float* p = y.at + g.line[l];
    for (int64_t j = from; j < n; j++) {
      p[j * y.step] = tile[j].re[l] * scale;
      if (!y.real) p[j * y.step + y.im] = tile[j].im[l] * scale;
    }
  }
}
DENIM_WIDE inline void load_tile(Lanes* tile, int64_t n, const Lines& x, const Group& g) {
  int64_t j = 0;
  if (g.count == kLanes && !x.real && x.step == 2 && x.im == 1) {  // lines of pairs
    for (; j + kLanes <= n; j += kLanes) {
      F32 re[kLanes], im[kLanes];
      for (int l = 0; l < kLanes; l++) {
        const Lanes v = load_pairs(x.at + g.line[l] + 2 * j);
        re[l] = v.re, im[l] = v.im;
      }
      transpose(re);
      transpose(im);
      for (int l = 0; l < kLanes; l++) tile[j + l] = {re[l], im[l]};
    }
  } else if (g.apart == 2 && !x.real && x.im == 1) {  // pairs side by side
    for (; j < n; j++) tile[j] = load_pairs(x.at + g.line[0] + j * x.step);
  } else if (g.apart == 1) {
    for (; j < n; j++) {
      const float* p = x.at + g.line[0] + j * x.step;
      tile[j] = {load<F32>(p), x.real ? F32(0) : load<F32>(p + x.im)};
    }
  }
  load_slowly(tile, j, n, x, g);
  if (x.swap)
    for (j = 0; j < n; j++) tile[j] = swapped(tile[j]);
}
/// Writes scale times the tile; the tile may be changed.
DENIM_WIDE inline void store_tile(Lanes* tile, int64_t n, const Lines& y, const Group& g, float scale) {
  int64_t j = 0;
  if (y.swap)
    for (j = 0; j < n; j++) tile[j] = swapped(tile[j]);
  j = 0;
  if (g.count == kLanes && !y.real && y.step == 2 && y.im == 1) {
    for (; j + kLanes <= n; j += kLanes) {
      F32 re[kLanes], im[kLanes];
      for (int l = 0; l < kLanes; l++) re[l] = tile[j + l].re * scale, im[l] = tile[j + l].im * scale;
      transpose(re);
      transpose(im);
      for (int l = 0; l < kLanes; l++) store_pairs(y.at + g.line[l] + 2 * j, {re[l], im[l]});
    }
  } else if (g.apart == 2 && !y.real && y.im == 1) {
    for (; j < n; j++) store_pairs(y.at + g.line[0] + j * y.step, {tile[j].re * scale, tile[j].im * scale});
  } else if (g.apart == 1) {
    for (; j < n; j++) {
      float* p = y.at + g.line[0] + j * y.step;
      store(p, tile[j].re * scale);
      if (!y.real) store(p + y.im, tile[j].im * scale);
    }
  }
  store_slowly(tile, j, n, y, g, scale);
}

}  // namespace denim::DENIM_ISA
