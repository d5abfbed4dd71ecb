// Discrete Fourier transforms of one length whose prime factors are at most 13: roots of unity, butterflies, and the
// passes (Stockham's order, which needs no bit reversal). A number is a pair of vectors, so as many lines as a vector
// has lanes are transformed side by side; the same code on single floats serves tables. fft.cc moves data in and out.
#pragma once
#include "cpu/complex.h"
#include "cpu/simd.h"

namespace denim::DENIM_ISA {

/// A complex number, or a vector of them, in parts.
template <class T>
struct Cx {
  T re, im;
};
using Lanes = Cx<F32>;
using Single = Cx<float>;

template <class T>
inline Cx<T> operator+(Cx<T> a, Cx<T> b) {
  return {a.re + b.re, a.im + b.im};
}
template <class T>
inline Cx<T> operator-(Cx<T> a, Cx<T> b) {
  return {a.re - b.re, a.im - b.im};
}
/// a w; w may be a number beside vectors.
template <class T, class W>
inline Cx<T> times(Cx<T> a, Cx<W> w) {
  const T re = T(w.re), im = T(w.im);
  return {fma(a.re, re, -(a.im * im)), fma(a.re, im, a.im * re)};
}
template <class T>
inline Cx<T> conjugated(Cx<T> a) {
  return {a.re, -a.im};
}
template <class T>
inline Cx<T> swapped(Cx<T> a) {
  return {a.im, a.re};
}

/// e^(-2 pi i e / n) for 0 <= e < n, good to double: the product of an entry of each of two tables of about sqrt(n).
struct Roots {
  int64_t n, block;
  Z *low, *high;

  static int64_t block_of(int64_t n) {
    int64_t b = 1;
    while (b * b < n) b *= 2;
    return b;
  }
  void fill() const {
    const double turn = -6.283185307179586476925286766559 / static_cast<double>(n);
    for (int64_t i = 0; i < block; i++) low[i] = {::cos(turn * i), ::sin(turn * i)};
    for (int64_t i = 0; i * block <= n; i++) high[i] = {::cos(turn * (i * block)), ::sin(turn * (i * block))};
  }
  Z at(int64_t e) const { return high[e / block] * low[e % block]; }
  Single single(int64_t e) const {
    const Z z = at(e);
    return {static_cast<float>(z.re), static_cast<float>(z.im)};
  }
};

/// n as a product of radices; count is 0 if a prime factor is above 13.
struct Radices {
  int8_t at[64];
  int count;
};
inline Radices radices_of(int64_t n) {
  Radices r{};
  int twos = 0;
  for (; n % 2 == 0; n /= 2) twos++;
  if (twos == 1) r.at[r.count++] = 2;
  else
    for (; twos > 0; twos -= twos % 3 == 0 ? 3 : 2) r.at[r.count++] = twos % 3 == 0 ? 8 : 4;
  constexpr int8_t odd[] = {3, 5, 7, 11, 13};
  for (const int8_t p : odd) {
    for (; n % p == 0; n /= p) r.at[r.count++] = p;
  }
  if (n > 1) r.count = 0;
  return r;
}
inline bool is_smooth(int64_t n) { return n == 1 || radices_of(n).count > 0; }

/// What the passes need: the length, its radices, and the n-th roots.
struct Passes {
  int64_t n;
  Radices radices;
  Single* roots;
};

template <class T>
inline void butterfly4(Cx<T>& a, Cx<T>& b, Cx<T>& c, Cx<T>& d) {
  const Cx<T> s = a + c, t = a - c, u = b + d, v = b - d;
  a = s + u;
  b = {t.re + v.im, t.im - v.re};
  c = s - u;
  d = {t.re - v.im, t.im + v.re};
}
/// v <- its discrete Fourier transform; `roots` are the R-th roots, for odd R.
template <int R, class T>
inline void butterfly(Cx<T>* v, const Single* roots) {
  if constexpr (R == 2) {
    const Cx<T> a = v[0];
    v[0] = a + v[1];
    v[1] = a - v[1];
  } else if constexpr (R == 4) {
    butterfly4(v[0], v[1], v[2], v[3]);
  } else if constexpr (R == 8) {
    constexpr float h = 0.70710678118654752f;
    butterfly4(v[0], v[2], v[4], v[6]);
    butterfly4(v[1], v[3], v[5], v[7]);
    const Cx<T> e[] = {v[0], v[2], v[4], v[6]};
    const Cx<T> o[] = {v[1],
                       {(v[3].re + v[3].im) * h, (v[3].im - v[3].re) * h},
                       {v[5].im, -v[5].re},
                       {(v[7].im - v[7].re) * h, (v[7].re + v[7].im) * -h}};
    for (int k = 0; k < 4; k++) v[k] = e[k] + o[k], v[k + 4] = e[k] - o[k];
  } else {
    // v_j w^jk + v_(R-j) w^-jk = Re(w^jk) (v_j + v_(R-j)) + i Im(w^jk) (v_j - v_(R-j))
    Cx<T> s[R / 2 + 1], d[R / 2 + 1], total = v[0];
    for (int j = 1; j <= R / 2; j++) s[j] = v[j] + v[R - j], d[j] = v[j] - v[R - j], total = total + s[j];
    const Cx<T> first = v[0];
    for (int k = 1; k <= R / 2; k++) {
      Cx<T> even = first, odd{T(0), T(0)};
      for (int j = 1; j <= R / 2; j++) {
        const T c = T(roots[j * k % R].re), q = T(roots[j * k % R].im);
        even = {fma(s[j].re, c, even.re), fma(s[j].im, c, even.im)};
        odd = {fma(d[j].im, -q, odd.re), fma(d[j].re, q, odd.im)};
      }
      v[k] = even + odd;
      v[R - k] = even - odd;
    }
    v[0] = total;
  }
}
/// One pass: y[q + s (R p + k)] = w^(p k) sum_j x[q + s (p + m j)] w_R^(j k), for p < m and q < s; w has order R m.
template <int R, class T>
DENIM_WIDE void pass(const Passes& f, Cx<T>* y, const Cx<T>* x, int64_t m, int64_t s) {
  Single roots[R], w[R];
  for (int k = 0; k < R; k++) roots[k] = f.roots[k * (f.n / R)];
  for (int64_t p = 0; p < m; p++) {
    for (int k = 1; k < R; k++) w[k] = f.roots[p * k * s];
    for (int64_t q = 0; q < s; q++) {
      Cx<T> v[R];
      for (int k = 0; k < R; k++) v[k] = x[q + s * (p + m * k)];
      butterfly<R>(v, roots);
      Cx<T>* to = y + q + s * R * p;
      to[0] = v[0];
      if (p == 0)
        for (int k = 1; k < R; k++) to[s * k] = v[k];
      else
        for (int k = 1; k < R; k++) to[s * k] = times(v[k], w[k]);
    }
  }
}
/// Transforms x, with as much room in `spare`; returns which of the two holds the result.
template <class T>
Cx<T>* run_passes(const Passes& f, Cx<T>* x, Cx<T>* spare) {
  int64_t left = f.n, s = 1;
  for (int i = 0; i < f.radices.count; i++) {
    const int radix = f.radices.at[i];
    left /= radix;
    switch (radix) {
      case 2: pass<2>(f, spare, x, left, s); break;
      case 3: pass<3>(f, spare, x, left, s); break;
      case 4: pass<4>(f, spare, x, left, s); break;
      case 5: pass<5>(f, spare, x, left, s); break;
      case 7: pass<7>(f, spare, x, left, s); break;
      case 8: pass<8>(f, spare, x, left, s); break;
      case 11: pass<11>(f, spare, x, left, s); break;
      default: pass<13>(f, spare, x, left, s); break;
    }
    s *= radix;
    Cx<T>* done = spare;
    spare = x;
    x = done;
  }
  return x;
}

}  // namespace denim::DENIM_ISA
