// Discrete Fourier transforms along one axis, of any length: fft (complex to complex, either direction), rfft (real to
// the half of its spectrum) and irfft (back). Lines are transformed in tiles, one line per lane; a long line alone is a
// matrix whose columns and then rows are such lines. Lengths with a prime factor above 13 go through a convolution
// (Bluestein). An even real length takes a complex transform of half of it; the inverse transform is the forward one
// with real and imaginary parts exchanged on both sides.
#include "cpu/fft_tiles.h"
#include "cpu/rows.h"

namespace denim::DENIM_ISA {
namespace {

enum class Kind { complex, forward, backward };
struct Transform {
  Kind kind;
  int64_t axis, n;  // n: length of the signal
  bool inverse;
  float scale;
};

/// Hands out memory; without memory it only counts.
struct Memory {
  uint8_t* at;
  size_t used = 0;
  template <class T>
  T* take(int64_t n) {
    const size_t from = used;
    used = (used + static_cast<size_t>(n) * sizeof(T) + 63) & ~size_t{63};
    return at == nullptr ? nullptr : reinterpret_cast<T*>(at + from);
  }
};
/// Everything that follows from the shapes: lengths, tables, room.
struct Job {
  Transform f;
  int64_t lines;
  int64_t h;         // length of the complex transform: n, or n / 2 if folded
  int64_t size;      // length of the passes: h, or that of the convolution if chirped
  int64_t spectrum;  // entries of the complex side
  bool folded, chirped, alone;
  int64_t rows, columns;         // of a line alone
  Passes whole, first, second;   // of tiles; of the columns and rows of a line alone
  Roots exact;                   // of order `size`
  Lanes* steps;                  // [k] e^(-2 pi i k l / size) for each lane l, k < rows
  Single *chirp, *filter, *turn;  // e^(-pi i j^2 / h); the transform of its conjugate, over `size`; e^(-2 pi i k / n)
  Single* line[3];                // room of a line alone
  Lanes* tiles;
  int64_t tile;  // length of the tiles, of which each worker has two
};

constexpr int64_t kLongest = 8192;  // elements of a tile's line: longer ones leave the cache
constexpr int64_t kSplit = 1024;    // shortest line that is worth being split where there are few

/// Largest divisor up to the root of n.
int64_t divisor_near_root(int64_t n) {
  int64_t d = static_cast<int64_t>(::sqrt(static_cast<double>(n)));
  while (d > 1 && n % d != 0) d--;
  return d > 0 ? d : 1;
}
/// The next length with factors 2, 3 and 5 only.
int64_t smooth_from(int64_t n) {
  int64_t best = 1;
  while (best < n) best *= 2;
  for (int64_t five = 1; five < best; five *= 5) {
    for (int64_t three = five; three < best; three *= 3) {
      int64_t m = three;
      while (m < n) m *= 2;
      if (m < best) best = m;
    }
  }
  return best;
}
Passes passes_of(int64_t n, Memory& memory) { return {n, radices_of(n), memory.take<Single>(n)}; }

Job plan(const Call& c, const Transform& f, Memory& memory) {
  Job j{};
  j.f = f;
  j.folded = f.kind != Kind::complex && f.n % 2 == 0;
  j.h = j.folded ? f.n / 2 : f.n;
  j.spectrum = f.kind == Kind::complex ? f.n : f.n / 2 + 1;
  j.lines = c.out[0].size / c.out[0].shape[f.axis];
  j.chirped = !is_smooth(j.h);
  j.size = j.chirped ? smooth_from(2 * j.h - 1) : j.h;
  j.alone = j.size > kLongest || (j.size >= kSplit && j.lines < kLanes / 2);
  const int64_t most = 2 * (f.n > j.size ? f.n : j.size), block = Roots::block_of(most);
  j.exact = {j.size, Roots::block_of(j.size), memory.take<Z>(block), memory.take<Z>(block + 2)};
  const int64_t room = j.size > j.spectrum ? j.size : j.spectrum;
  if (j.chirped) j.chirp = memory.take<Single>(j.h), j.filter = memory.take<Single>(j.size);
  if (j.folded) j.turn = memory.take<Single>(j.h + 1);
  if (j.alone || j.chirped)
    for (Single*& line : j.line) line = memory.take<Single>(room);
  j.tile = room;
  if (j.alone) {
    j.rows = divisor_near_root(j.size), j.columns = j.size / j.rows;
    j.first = passes_of(j.rows, memory), j.second = passes_of(j.columns, memory);
    j.steps = memory.take<Lanes>(j.rows);
    j.tile = j.columns;
  } else {
    j.whole = passes_of(j.size, memory);
  }
  j.tiles = memory.take<Lanes>(2 * j.tile * worker_count());
  return j;
}

void fill_passes(const Job& j, const Passes& p) {
  const Roots r{p.n, Roots::block_of(p.n), j.exact.low, j.exact.high};
  r.fill();
  for (int64_t i = 0; i < p.n; i++) p.roots[i] = r.single(i);
}
Lines lines_of(Single* x) { return {&x->re, 2, 1, false, false}; }

/// The line x as a matrix, row by row: its columns are transformed and turned, then its rows, and the result is the
/// transpose. y may be x; `middle` is room for as many numbers.
void split(const Job& j, Lines x, Lines y, Single* middle, float scale) {
  const int64_t across = (j.columns + kLanes - 1) / kLanes, down = (j.rows + kLanes - 1) / kLanes;
  in_pieces(across, 8 * kLanes * j.rows, [&](int64_t from, int64_t to, int worker) {
    Lanes *tile = j.tiles + 2 * worker * j.tile, *spare = tile + j.tile;
    for (int64_t column = from * kLanes; column < to * kLanes && column < j.columns; column += kLanes) {
      Group in{}, out{};
      in.count = out.count = static_cast<int>(j.columns - column < kLanes ? j.columns - column : kLanes);
      for (int l = 0; l < in.count; l++) in.line[l] = (column + l) * x.step, out.line[l] = 2 * (column + l);
      in.measure();
      out.measure();
      load_tile(tile, j.rows, {x.at, x.step * j.columns, x.im, x.swap, x.real}, in);
      Lanes* t = run_passes(j.first, tile, spare);
      for (int64_t k = 0; k < j.rows; k++) t[k] = times(times(t[k], j.steps[k]), j.exact.single(column * k));
      store_tile(t, j.rows, {&middle->re, 2 * j.columns, 1, false, false}, out, 1);
    }
  });
  in_pieces(down, 8 * kLanes * j.columns, [&](int64_t from, int64_t to, int worker) {
    Lanes *tile = j.tiles + 2 * worker * j.tile, *spare = tile + j.tile;
    for (int64_t row = from * kLanes; row < to * kLanes && row < j.rows; row += kLanes) {
      Group in{}, out{};
      in.count = out.count = static_cast<int>(j.rows - row < kLanes ? j.rows - row : kLanes);
      for (int l = 0; l < in.count; l++) in.line[l] = 2 * (row + l) * j.columns, out.line[l] = (row + l) * y.step;
      in.measure();
      out.measure();
      load_tile(tile, j.columns, lines_of(middle), in);
      Lanes* t = run_passes(j.second, tile, spare);
      store_tile(t, j.columns, {y.at, y.step * j.rows, y.im, y.swap, y.real}, out, scale);
    }
  });
}

/// A convolution with the conjugate chirp, between two multiplications with the chirp, is the transform:
/// j k = (j^2 + k^2 - (k - j)^2) / 2. `core` transforms x of length `size` and returns where the result is.
template <class T, class Core>
DENIM_WIDE Cx<T>* chirped(const Job& f, Cx<T>* x, Core&& core) {
  for (int64_t j = 0; j < f.h; j++) x[j] = times(x[j], f.chirp[j]);
  for (int64_t j = f.h; j < f.size; j++) x[j] = {T(0), T(0)};
  x = core(x);
  for (int64_t j = 0; j < f.size; j++) x[j] = swapped(times(x[j], f.filter[j]));
  x = core(x);
  for (int64_t j = 0; j < f.h; j++) x[j] = times(swapped(x[j]), f.chirp[j]);
  return x;
}
/// From the transform z of x[2j] + i x[2j+1] to that of x: even and odd elements apart, then together.
template <class T>
DENIM_WIDE void unfold(const Job& f, Cx<T>* y, const Cx<T>* z) {
  for (int64_t k = 0; k <= f.h; k++) {
    const Cx<T> a = z[k == f.h ? 0 : k], b = conjugated(z[k == 0 ? 0 : f.h - k]);
    const Cx<T> s = a + b, t = times(a - b, f.turn[k]);
    y[k] = {(s.re + t.im) * 0.5f, (s.im - t.re) * 0.5f};
  }
}
/// The way back, for the inverse transform: parts exchanged. The first entry is taken as real, as the last of an even
/// length.
template <class T>
DENIM_WIDE void fold(const Job& f, Cx<T>* z, Cx<T>* x) {
  x[0].im = T(0);
  if (!f.folded) {
    for (int64_t k = 0; k < f.spectrum; k++) {
      z[k] = swapped(x[k]);
      if (k > 0) z[f.h - k] = swapped(conjugated(x[k]));
    }
    return;
  }
  x[f.h].im = T(0);
  for (int64_t k = 0; k < f.h; k++) {
    const Cx<T> a = x[k], b = conjugated(x[f.h - k]);
    const Cx<T> s = a + b, t = times(a - b, conjugated(f.turn[k]));
    z[k] = {s.im + t.re, s.re - t.im};
  }
}

void run_tile(const Job& f, const Lines& x, const Group& in, const Lines& y, const Group& out, int worker) {
  Lanes *tile = f.tiles + 2 * worker * f.tile, *other = tile + f.tile;
  const auto spare = [&](Lanes* t) { return t == tile ? other : tile; };
  const auto core = [&](Lanes* t) { return run_passes(f.whole, t, spare(t)); };
  Lanes* t = tile;
  load_tile(t, f.f.kind == Kind::backward ? f.spectrum : f.h, x, in);
  if (f.f.kind == Kind::backward) {
    fold(f, spare(t), t);
    t = spare(t);
  }
  t = f.chirped ? chirped(f, t, core) : core(t);
  if (f.f.kind == Kind::forward && f.folded) {
    unfold(f, spare(t), t);
    t = spare(t);
  }
  store_tile(t, f.f.kind == Kind::backward ? f.h : f.spectrum, y, out, f.f.scale);
}
void load_line(Single* to, int64_t n, const Lines& x) {
  for (int64_t j = 0; j < n; j++) {
    const Single v{x.at[j * x.step], x.real ? 0.0f : x.at[j * x.step + x.im]};
    to[j] = x.swap ? swapped(v) : v;
  }
}
void store_line(const Single* from, int64_t n, const Lines& y, float scale) {
  for (int64_t j = 0; j < n; j++) {
    const Single v = y.swap ? swapped(from[j]) : from[j];
    y.at[j * y.step] = v.re * scale;
    if (!y.real) y.at[j * y.step + y.im] = v.im * scale;
  }
}
/// A long line: only what has to be done between memory and the transform takes a copy.
void run_line(const Job& f, const Lines& x, const Lines& y) {
  Single *t = f.line[0], *other = f.line[1];
  const bool back = f.f.kind == Kind::backward, open = f.f.kind == Kind::forward && f.folded;
  const bool direct_in = !back && !f.chirped, direct_out = !f.chirped && f.f.kind != Kind::forward;
  if (!direct_in) load_line(t, back ? f.spectrum : f.h, x);
  if (back) {
    fold(f, other, t);
    t = other, other = f.line[0];
  }
  if (direct_out) return split(f, direct_in ? x : lines_of(t), y, f.line[2], f.f.scale);
  const auto core = [&](Single* from) {
    split(f, lines_of(from), lines_of(from), f.line[2], 1);
    return from;
  };
  if (f.chirped) chirped(f, t, core);
  else split(f, x, lines_of(t), f.line[2], 1);
  if (open) unfold(f, other, t), t = other;
  store_line(t, back ? f.h : f.spectrum, y, f.f.scale);
}

/// Tables, rounded once from double.
void fill(Job& j) {
  Roots r = j.exact;
  if (j.folded) {
    r.n = j.f.n, r.block = Roots::block_of(r.n);
    r.fill();
    for (int64_t k = 0; k <= j.h; k++) j.turn[k] = r.single(k);
  }
  if (j.chirped) {
    r.n = 2 * j.h, r.block = Roots::block_of(r.n);
    r.fill();
    for (int64_t k = 0, square = 0; k < j.h; k++) {
      j.chirp[k] = r.single(square);
      square = (square + 2 * k + 1) % r.n;  // (k + 1)^2
    }
  }
  if (j.alone) {
    fill_passes(j, j.first);
    fill_passes(j, j.second);
    j.exact.fill();
    for (int64_t k = 0; k < j.rows; k++) {
      for (int64_t l = 0; l < kLanes; l++) {
        const Single w = j.exact.single(l * k % j.size);
        j.steps[k].re[l] = w.re, j.steps[k].im[l] = w.im;
      }
    }
  } else {
    fill_passes(j, j.whole);
  }
  if (!j.chirped) return;
  Single* g = j.line[0];
  for (int64_t k = 0; k < j.size; k++) g[k] = {0, 0};
  const float over = 1.0f / static_cast<float>(j.size);
  for (int64_t k = 0; k < j.h; k++) {
    const Single w = conjugated(j.chirp[k]);
    g[k] = {w.re * over, w.im * over};
    if (k > 0) g[j.size - k] = g[k];
  }
  if (j.alone) split(j, lines_of(g), lines_of(g), j.line[2], 1);
  else g = run_passes(j.whole, g, j.line[1]);
  for (int64_t k = 0; k < j.size; k++) j.filter[k] = g[k];
}

/// One side of the transform: the real one has pairs of elements as complex numbers if the length is even.
Lines side(const Array& a, int64_t axis, bool real, const Job& j) {
  const int64_t step = a.strides[axis];
  float* at = a.as<float>();
  if (!real) return {at, 2 * step, 1, j.f.inverse, false};
  const bool swap = j.f.kind == Kind::backward;
  return j.folded ? Lines{at, 2 * step, step, swap, false} : Lines{at, step, 0, swap, true};
}
void run(const Call& c, const Transform& f) {
  Memory memory{c.scratch};
  Job j = plan(c, f, memory);
  fill(j);
  const Array &a = c.in[0], &b = c.out[0];
  const bool from_real = f.kind == Kind::forward, to_real = f.kind == Kind::backward;
  const Lines x = side(a, f.axis, from_real, j), y = side(b, f.axis, to_real, j);
  const int64_t wide_x = from_real ? 1 : 2, wide_y = to_real ? 1 : 2;
  if (j.alone) {
    for (int64_t i = 0; i < j.lines; i++) {
      Lines from = x, to = y;
      from.at += wide_x * line_offset(a, f.axis, i), to.at += wide_y * line_offset(b, f.axis, i);
      run_line(j, from, to);
    }
    return;
  }
  in_pieces((j.lines + kLanes - 1) / kLanes, 8 * kLanes * j.size, [&](int64_t from, int64_t to, int worker) {
    for (int64_t i = from * kLanes; i < to * kLanes && i < j.lines; i += kLanes) {
      Group in{}, out{};
      in.count = out.count = static_cast<int>(j.lines - i < kLanes ? j.lines - i : kLanes);
      for (int l = 0; l < in.count; l++) {
        in.line[l] = wide_x * line_offset(a, f.axis, i + l);
        out.line[l] = wide_y * line_offset(b, f.axis, i + l);
      }
      in.measure();
      out.measure();
      run_tile(j, x, in, y, out, worker);
    }
  });
}

Transform read(const Call& c) {
  if (c.op == Op::fft) {
    const auto& p = c.as<FftParams>();
    return {Kind::complex, p.axis, c.in[0].shape[p.axis], p.inverse != 0, static_cast<float>(p.scale)};
  }
  if (c.op == Op::rfft) {
    const auto& p = c.as<RfftParams>();
    return {Kind::forward, p.axis, c.in[0].shape[p.axis], false, static_cast<float>(p.scale)};
  }
  const auto& p = c.as<IrfftParams>();
  return {Kind::backward, p.axis, p.n, false, static_cast<float>(p.scale)};
}
const char* check(const Call& c) {
  const int64_t axis = c.op == Op::fft ? c.as<FftParams>().axis
                       : c.op == Op::rfft ? c.as<RfftParams>().axis
                                          : c.as<IrfftParams>().axis;
  if (const char* message = check_axis(c, axis)) return message;
  const Array &x = c.in[0], &y = c.out[0];
  if (x.ndim != y.ndim) return "the result must have the input's axes";
  for (int64_t i = 0; i < x.ndim; i++) {
    if (i != axis && x.shape[i] != y.shape[i]) return "the result must have the input's other axes";
  }
  const Transform f = read(c);
  const int64_t longest = int64_t{1} << 40;
  if (f.n < 1 || f.n > longest) return "the length must be at least 1";
  const bool from_real = f.kind == Kind::forward, to_real = f.kind == Kind::backward;
  if (x.dtype != (from_real ? DType::float32 : DType::complex64)) return "the input has the wrong dtype";
  if (y.dtype != (to_real ? DType::float32 : DType::complex64)) return "the result has the wrong dtype";
  if (x.shape[axis] != (to_real ? f.n / 2 + 1 : f.n)) return "the input has the wrong length";
  if (y.shape[axis] != (from_real ? f.n / 2 + 1 : f.n)) return "the result has the wrong length";
  return nullptr;
}
size_t scratch(const Call& c) {
  if (c.out[0].size == 0) return 0;
  Memory memory{nullptr};
  plan(c, read(c), memory);
  return memory.used;
}
const char* run_fft(const Call& c) {
  if (c.out[0].size > 0) run(c, read(c));
  return nullptr;
}

}  // namespace

extern const Kernel kernel_fft, kernel_rfft, kernel_irfft;
const Kernel kernel_fft{check, scratch, run_fft};
const Kernel kernel_rfft{check, scratch, run_fft};
const Kernel kernel_irfft{check, scratch, run_fft};

}  // namespace denim::DENIM_ISA
