// Convolution over 1 to 3 spatial axes as an implicit matrix product: output channels lie across the lanes, pixels are
// the rows. x is copied into a zero-padded image of its accumulation type, so that every tap of the kernel is a
// constant offset from a pixel's corner and neighbouring taps form runs; w is packed into panels of lanes. Nothing like
// a full im2col is made. Input dilation splits the output into phases: pixels of one phase meet the same taps, and the
// zeros between are never read.
#include "fast_vec.h"

namespace denim::DENIM_ISA {
namespace {
using namespace wide;

constexpr int kSpatial = 3;
constexpr int64_t kChunkBytes = 4 << 20;  // of padded images: they stay in the outer caches between the two steps
constexpr int64_t kRunLength = 512;       // of taps times channels at most, so that a panel's part stays in L1 or L2
constexpr int64_t kBlockLength = 32;      // of the runs whose sums are added up apart: short sums keep their digits
constexpr int64_t kNear = 16;             // channels or images that are copied together
constexpr int64_t kTaskPixels = 252;      // whose sums a task keeps
constexpr int64_t kMostElements = 1ll << 40;  // of an image or of w, which may be broadcast: sizes in bytes fit 64 bits

/// All that shapes and parameters say. Missing spatial axes are of length 1, in front.
struct Plan {
  int64_t batch, channels, outputs, groups, group_channels, group_outputs;
  int64_t in[kSpatial], kernel[kSpatial], out[kSpatial], stride[kSpatial], low[kSpatial], dilation[kSpatial],
      spread[kSpatial];
  int64_t first[kSpatial], padded[kSpatial];  // the region of x that the taps reach: it starts at `first`, may exceed x
  int64_t phases[kSpatial];                   // along each axis, output o belongs to phase o mod phases
  bool flip;

  explicit Plan(const Call& c);
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t image() const { return padded[0] * padded[1] * padded[2] * channels; }
  /// The input position of output o and tap t along an axis, or false where it falls between elements spread apart.
  bool reach(int axis, int64_t o, int64_t t, int64_t* position) const {
    int64_t at = o * stride[axis] + t * dilation[axis] - low[axis];
    *position = at / spread[axis];
    return at % spread[axis] == 0;
  }
};

int64_t gcd(int64_t a, int64_t b) { return b == 0 ? a : gcd(b, a % b); }

Plan::Plan(const Call& c) {
  const auto& p = c.as<ConvParams>();
  const Array &x = c.in[0], &w = c.in[1], &y = c.out[0];
  int n = x.ndim - 2;
  batch = x.shape[0];
  channels = x.shape[n + 1];
  outputs = w.shape[0];
  groups = p.groups;
  group_channels = channels / groups;
  group_outputs = outputs / groups;
  flip = p.flip;
  for (int i = 0; i < kSpatial; i++) {
    int a = i - (kSpatial - n);
    in[i] = a < 0 ? 1 : x.shape[a + 1];
    kernel[i] = a < 0 ? 1 : w.shape[a + 1];
    out[i] = a < 0 ? 1 : y.shape[a + 1];
    stride[i] = a < 0 ? 1 : p.stride[a];
    low[i] = a < 0 ? 0 : p.padding_low[a];
    dilation[i] = a < 0 ? 1 : p.kernel_dilation[a];
    spread[i] = a < 0 ? 1 : p.input_dilation[a];
    phases[i] = spread[i] / gcd(spread[i], stride[i]);
    if (phases[i] > out[i]) phases[i] = out[i] > 0 ? out[i] : 1;
    // Positions grow with o and t: the ends are at the corners, rounded outwards.
    int64_t begin = -low[i], end = (out[i] - 1) * stride[i] + (kernel[i] - 1) * dilation[i] - low[i];
    first[i] = begin < 0 ? -((-begin + spread[i] - 1) / spread[i]) : begin / spread[i];
    padded[i] = (end < 0 ? -(-end / spread[i]) : end / spread[i]) - first[i] + 1;
  }
}

const char* check_shapes(const Call& c, int n) {
  const auto& p = c.as<ConvParams>();
  const Array &x = c.in[0], &w = c.in[1], &y = c.out[0];
  int64_t most = 1ll << 31;
  for (int a = 0; a < n; a++) {
    int64_t sizes[] = {x.shape[a + 1], w.shape[a + 1], p.stride[a], p.kernel_dilation[a], p.input_dilation[a]};
    for (int64_t s : sizes) {
      if (s < 1 || s > most) return "expected spatial lengths, strides and dilations of at least 1";
    }
    if (p.padding_low[a] < -most || p.padding_low[a] > most || p.padding_high[a] < -most || p.padding_high[a] > most)
      return "expected less padding";
    __int128 spread =
        static_cast<__int128>(x.shape[a + 1] - 1) * p.input_dilation[a] + 1 + p.padding_low[a] + p.padding_high[a];
    __int128 reach = static_cast<__int128>(w.shape[a + 1] - 1) * p.kernel_dilation[a] + 1;
    __int128 want = spread < reach ? 0 : (spread - reach) / p.stride[a] + 1;
    if (y.shape[a + 1] != want) return "expected a result of the convolution's spatial lengths";
  }
  return nullptr;
}
const char* check_conv(const Call& c) {
  const auto& p = c.as<ConvParams>();
  if (c.n_in != 2 || c.n_out != 1) return "wrong number of operands";
  const Array &x = c.in[0], &w = c.in[1], &y = c.out[0];
  int n = x.ndim - 2;
  if (n < 1 || n > kSpatial || w.ndim != x.ndim || y.ndim != x.ndim)
    return "expected x [N, spatial..., C] and w [O, spatial..., C / groups]";
  if (!is_float(x.dtype) || w.dtype != x.dtype || y.dtype != x.dtype) return "expected one float dtype";
  if (p.stride.size != n || p.padding_low.size != n || p.padding_high.size != n || p.kernel_dilation.size != n ||
      p.input_dilation.size != n) {
    return "expected one parameter per spatial axis";
  }
  if (p.groups < 1 || x.shape[n + 1] % p.groups || w.shape[0] % p.groups ||
      w.shape[n + 1] != x.shape[n + 1] / p.groups) {
    return "expected channels and outputs that divide into the groups";
  }
  if (y.shape[0] != x.shape[0] || y.shape[n + 1] != w.shape[0]) return "expected a result [N, spatial..., O]";
  if (y.size == 0) return nullptr;
  if (const char* error = check_shapes(c, n)) return error;
  Plan plan(c);
  __int128 image = plan.channels;
  for (int64_t length : plan.padded) image = image > kMostElements ? image : image * length;
  return image > kMostElements || w.size > kMostElements ? "expected smaller images and weights" : nullptr;
}

/// Taps that follow each other both in the image and in the panel.
struct TapRun {
  int64_t image, panel, length;
};

/// Where the parts of the scratch start, in bytes.
struct Layout {
  int64_t lanes, panels, chunk, runs_at, images_at, panels_at, sums_at, total;
  template <class A>
  static Layout make(const Plan& p) {
    constexpr int64_t W = kLanes<A>;
    Layout l;
    l.lanes = p.groups > 1 && p.group_channels == 1 && p.group_outputs == 1 ? 1 : p.group_outputs <= W ? W : 2 * W;
    l.panels = (p.group_outputs + l.lanes - 1) / l.lanes;
    int64_t bytes = p.image() * static_cast<int64_t>(sizeof(A));
    l.chunk = bytes > 0 ? kChunkBytes / bytes : p.batch;
    l.chunk = l.chunk < 1 ? 1 : l.chunk > p.batch ? p.batch : l.chunk;
    auto place = [at = int64_t{0}](int64_t size) mutable {
      int64_t start = at;
      at += (size + 63) / 64 * 64;
      return start;
    };
    l.runs_at = place((p.taps() + p.taps() * p.group_channels / kRunLength + 1) * static_cast<int64_t>(sizeof(TapRun)));
    l.images_at = place(l.chunk * bytes);
    l.panels_at = place(p.groups * l.panels * p.taps() * p.group_channels * l.lanes * static_cast<int64_t>(sizeof(A)));
    l.sums_at = place(worker_count() * (kTaskPixels + 12) * 2 * W * static_cast<int64_t>(sizeof(A)));
    l.total = place(0);
    return l;
  }
};

size_t scratch_conv(const Call& c) {
  if (c.out[0].size == 0) return 0;
  Plan p(c);
  if (p.image() == 0) return 0;
  return static_cast<size_t>(c.in[0].dtype == DType::float64 ? Layout::make<double>(p).total
                                                             : Layout::make<float>(p).total);
}

/// One call at work: T is the storage type.
template <class T>
struct Conv {
  using A = Acc<T>;
  static constexpr int W = kLanes<A>, M = kManyRegisters ? 12 : 6;

  const Call& c;
  Plan p;
  Layout l;
  TapRun* runs;
  A *images, *panels, *sums;
  int64_t n_runs = 0, x_stride[kSpatial], w_stride[kSpatial], pixel_row[kSpatial];

  explicit Conv(const Call& c) : c(c), p(c), l(Layout::make<A>(p)) {
    runs = reinterpret_cast<TapRun*>(c.scratch + l.runs_at);
    images = reinterpret_cast<A*>(c.scratch + l.images_at);
    panels = reinterpret_cast<A*>(c.scratch + l.panels_at);
    sums = reinterpret_cast<A*>(c.scratch + l.sums_at);
    int n = c.in[0].ndim - 2;
    for (int i = 0; i < kSpatial; i++) {
      int a = i - (kSpatial - n);
      x_stride[i] = a < 0 ? 0 : c.in[0].strides[a + 1];
      w_stride[i] = a < 0 ? 0 : c.in[1].strides[a + 1];
    }
    pixel_row[2] = p.channels;
    pixel_row[1] = pixel_row[2] * p.padded[2];
    pixel_row[0] = pixel_row[1] * p.padded[1];
  }

  /// Packs channels [begin, end) of w as [group, panel, tap, channel, lane]; lanes past the last output hold zeros.
  void pack_tap(int64_t group, int64_t panel, int64_t tap, int64_t begin, int64_t end) {
    const Array& w = c.in[1];
    int64_t channel_step = w.strides[w.ndim - 1], rest = tap, at = 0;
    for (int i = kSpatial - 1; i >= 0; i--) {
      int64_t t = rest % p.kernel[i];
      rest /= p.kernel[i];
      at += (p.flip ? p.kernel[i] - 1 - t : t) * w_stride[i];
    }
    int64_t output = panel * l.lanes, count = p.group_outputs - output < l.lanes ? p.group_outputs - output : l.lanes;
    const T* from = w.as<T>() + at + (group * p.group_outputs + output) * w.strides[0];
    A* to = panels + ((group * l.panels + panel) * p.taps() + tap) * p.group_channels * l.lanes;
    for (int64_t k = begin; k < end; k++) {
      if (w.strides[0] == 1 && count == l.lanes) {
        for (int64_t o = 0; o < count; o += W) store(to + k * count + o, load(from + k * channel_step + o));
        continue;
      }
      for (int64_t o = 0; o < l.lanes; o++)
        to[k * l.lanes + o] = o < count ? to_acc(from[o * w.strides[0] + k * channel_step]) : 0;
    }
  }
  void pack() {
    int64_t taps = p.taps();
    each_range(p.groups * l.panels * taps, 16384 / (p.group_channels * l.lanes) + 1, [&](int64_t begin, int64_t end) {
      // A few channels of all taps, then the next: where channels are far apart in w (it may be a batch of images that
      // the weight's gradient sees as a kernel), taps are near, and lines are read in streams.
      for (int64_t k = 0; k < p.group_channels; k += kNear) {
        int64_t k_end = k + kNear < p.group_channels ? k + kNear : p.group_channels;
        for (int64_t i = begin; i < end; i++) pack_tap(i / taps / l.panels, i / taps % l.panels, i % taps, k, k_end);
      }
    });
  }

  /// What of a padded row lies inside of x: its pixels [begin, end), the first of them at `from` in image 0.
  struct Inside {
    int64_t begin, end, from;
  };
  /// Rows are numbered inside of their image.
  Inside inside(int64_t row) const {
    int64_t h = row % p.padded[1] + p.first[1], d = row / p.padded[1] + p.first[0];
    int64_t begin = p.first[2] < 0 ? -p.first[2] : 0, end = p.in[2] - p.first[2];
    end = end > p.padded[2] ? p.padded[2] : end;
    if (h < 0 || h >= p.in[1] || d < 0 || d >= p.in[0] || end <= begin) return {0, 0, 0};
    return {begin, end, d * x_stride[0] + h * x_stride[1] + (begin + p.first[2]) * x_stride[2]};
  }
  void clear_around(A* to, const Inside& s) const {
    memset(static_cast<void*>(to), 0, sizeof(A) * s.begin * p.channels);
    memset(static_cast<void*>(to + s.end * p.channels), 0, sizeof(A) * (p.padded[2] - s.end) * p.channels);
  }
  /// The rows of that number of `many` images, from `first` on, of a chunk that starts at image n0. Elements of the
  /// images are neighbours in x: squares are read along the images and written along the channels.
  void pad_across(int64_t n0, int64_t first, int64_t many, int64_t row) {
    const Array& x = c.in[0];
    const Inside s = inside(row);
    int64_t step = x.strides[x.ndim - 1], image = p.image();
    A* to = images + first * image + row * pixel_row[1];
    for (int64_t i = 0; i < many; i++) clear_around(to + i * image, s);
    for (int64_t w = s.begin; w < s.end; w++) {
      const T* from = x.as<T>() + n0 + first + s.from + (w - s.begin) * x_stride[2];
      for (int64_t k0 = 0; k0 < p.channels; k0 += kNear) {
        int64_t count = p.channels - k0 < kNear ? p.channels - k0 : kNear;
        A square[kNear][kNear];
        for (int64_t k = 0; k < count; k++) {
          for (int64_t i = 0; i < many; i++) square[k][i] = to_acc(from[(k0 + k) * step + i]);
        }
        for (int64_t i = 0; i < many; i++) {
          for (int64_t k = 0; k < count; k++) to[i * image + w * p.channels + k0 + k] = square[k][i];
        }
      }
    }
  }
  /// Row `row` of the padded images (all of its pixels along the last axis) of a chunk that starts at image n0.
  DENIM_WIDE void pad_row(int64_t n0, int64_t row) {
    const Array& x = c.in[0];
    int64_t rows = p.padded[0] * p.padded[1], step = x.strides[x.ndim - 1];
    const Inside s = inside(row % rows);
    const int64_t begin = s.begin, end = s.end;
    A* to = images + row * pixel_row[1];
    clear_around(to, s);
    const T* from = x.as<T>() + (n0 + row / rows) * x.strides[0] + s.from;
    to += begin * p.channels;
    if (step == 1 && x_stride[2] == p.channels) {
      each_vector<A>((end - begin) * p.channels,
                     [&](int64_t i, int64_t k) { store_n(to + i, load_n(from + i, k), k); });
      return;
    }
    for (int64_t w = begin; w < end; w++, from += x_stride[2], to += p.channels) {
      for (int64_t k = 0; k < p.channels; k++) to[k] = to_acc(from[k * step]);
    }
  }

  /// The runs of taps that pixels of a phase meet, as offsets from where place() puts them.
  void find_runs(const int64_t* phase) {
    n_runs = 0;
    int64_t position[kSpatial];
    for (int64_t tap = 0; tap < p.taps(); tap++) {
      int64_t t[kSpatial] = {tap / p.kernel[2] / p.kernel[1], tap / p.kernel[2] % p.kernel[1], tap % p.kernel[2]},
              image = 0;
      bool meets = true;
      for (int i = 0; i < kSpatial; i++) {
        meets = p.reach(i, phase[i], t[i], &position[i]) && meets;
        image += (position[i] - p.first[i]) * pixel_row[i];
      }
      if (meets) add_run(image, tap * p.group_channels);
    }
  }
  void add_run(int64_t image, int64_t panel) {
    TapRun* last = n_runs > 0 ? &runs[n_runs - 1] : nullptr;
    int64_t length = p.group_channels;
    if (last && last->image + last->length == image && last->panel + last->length == panel &&
        last->length + length <= kRunLength) {
      last->length += length;
      return;
    }
    for (int64_t done = 0; done < length; done += kRunLength) {
      runs[n_runs++] = {image + done, panel + done, length - done < kRunLength ? length - done : kRunLength};
    }
  }

  /// sums[m, lanes] += the runs [begin, end) for R pixels. Each block's sum starts at 0, which keeps long sums exact
  /// longer.
  template <int R, int NV>
  static DENIM_INLINE void multiply(const TapRun* begin, const TapRun* end, const A* const* pixels, const A* panel,
                                    A* to, bool fresh) {
    Vec<A> sum[R][NV];
    DENIM_UNROLL
    for (int m = 0; m < R; m++) {
      DENIM_UNROLL
      for (int v = 0; v < NV; v++) sum[m][v] = 0;
    }
    for (const TapRun* run = begin; run < end; run++) {
      const A* w = panel + run->panel * NV * W;
      for (int64_t k = 0; k < run->length; k++, w += NV * W) {
        Vec<A> ws[NV];
        DENIM_UNROLL
        for (int v = 0; v < NV; v++) ws[v] = load(w + v * W);
        DENIM_UNROLL
        for (int m = 0; m < R; m++) {
          Vec<A> s = pixels[m][run->image + k];
          DENIM_UNROLL
          for (int v = 0; v < NV; v++) sum[m][v] = mul_add<A>(s, ws[v], sum[m][v]);
        }
      }
    }
    DENIM_UNROLL
    for (int m = 0; m < R; m++) {
      DENIM_UNROLL
      for (int v = 0; v < NV; v++) {
        A* at = to + (m * NV + v) * W;
        store(at, fresh ? sum[m][v] : load(at) + sum[m][v]);
      }
    }
  }
  /// All runs for `count` pixels, in blocks of runs whose part of the panel stays near.
  template <int NV>
  DENIM_WIDE void multiply_pixels(const A* const* pixels, int64_t count, const A* panel, A* to) const {
    constexpr int64_t C = NV * W;
    int64_t begin = 0;
    do {
      int64_t end = begin, length = 0, m = 0;
      while (end < n_runs && (end == begin || length + runs[end].length <= kBlockLength)) length += runs[end++].length;
      for (; m + M <= count; m += M)
        multiply<M, NV>(runs + begin, runs + end, pixels + m, panel, to + m * C, begin == 0);
      for (; m < count; m += M / 3)
        multiply<M / 3, NV>(runs + begin, runs + end, pixels + m, panel, to + m * C, begin == 0);
      begin = end;
    } while (begin < n_runs);
  }

  /// Pixels of one phase in the images of a chunk: outputs phase + j * phases, j < count, along each axis.
  struct Phase {
    int64_t n0, images, start[kSpatial], count[kSpatial], step[kSpatial];
    int64_t pixels() const { return images * count[0] * count[1] * count[2]; }
  };
  /// Where pixels [begin, begin + n) of a phase start in the padded images, and where they go. Entries up to the next
  /// whole block repeat the last pixel.
  void place(const Phase& f, int64_t begin, int64_t n, int64_t channel, const A** from, int64_t* to) const {
    for (int64_t i = 0; i < n; i++) {
      int64_t j = begin + i, x[kSpatial];
      x[2] = j % f.count[2];
      x[1] = j / f.count[2] % f.count[1];
      x[0] = j / f.count[2] / f.count[1] % f.count[0];
      int64_t image = j / f.count[2] / f.count[1] / f.count[0], at = image * p.image() + channel, out = f.n0 + image;
      for (int a = 0; a < kSpatial; a++) {
        at += x[a] * f.step[a] * pixel_row[a];
        out = out * p.out[a] + f.start[a] + x[a] * p.phases[a];
      }
      from[i] = images + at;
      to[i] = out * p.outputs;
    }
    for (int64_t i = n; i < n + M; i++) from[i] = from[n - 1];
  }

  void run_task(const Phase& f, int64_t begin, int64_t n, int64_t panel, int64_t group, int worker) const {
    const A* from[kTaskPixels + 12];
    int64_t to[kTaskPixels];
    place(f, begin, n, group * p.group_channels, from, to);
    A* own = sums + worker * (kTaskPixels + 12) * 2 * W;
    const A* weights = panels + (group * l.panels + panel) * p.taps() * p.group_channels * l.lanes;
    l.lanes == W ? multiply_pixels<1>(from, n, weights, own) : multiply_pixels<2>(from, n, weights, own);
    int64_t output = panel * l.lanes, count = p.group_outputs - output < l.lanes ? p.group_outputs - output : l.lanes;
    for (int64_t i = 0; i < n; i++) {
      T* y = c.out[0].as<T>() + to[i] + group * p.group_outputs + output;
      each_vector<A>(count, [&](int64_t k, int64_t lanes) { store_n(y + k, load(own + i * l.lanes + k), lanes); });
    }
  }

  /// One channel per group: channels lie across the lanes, and every tap is one multiplication.
  DENIM_WIDE void depthwise(const Phase& f, int64_t begin, int64_t end) const {
    const A* from[1 + M];
    for (int64_t i = begin; i < end; i++) {
      int64_t to;
      place(f, i, 1, 0, from, &to);
      T* y = c.out[0].as<T>() + to;
      each_vector<A>(p.channels, [&](int64_t k, int64_t lanes) {
        Vec<A> sum = 0;
        for (const TapRun* run = runs; run < runs + n_runs; run++) {
          sum = mul_add<A>(load_n(from[0] + run->image + k, lanes), load_n(panels + run->panel * p.channels + k, lanes),
                           sum);
        }
        store_n(y + k, sum, lanes);
      });
    }
  }
  /// Depthwise panels are [tap, channel].
  void pack_depthwise() {
    const Array& w = c.in[1];
    for (int64_t tap = 0; tap < p.taps(); tap++) {
      int64_t rest = tap, at = 0;
      for (int i = kSpatial - 1; i >= 0; i--) {
        int64_t t = rest % p.kernel[i];
        rest /= p.kernel[i];
        at += (p.flip ? p.kernel[i] - 1 - t : t) * w_stride[i];
      }
      for (int64_t o = 0; o < p.outputs; o++) panels[tap * p.outputs + o] = to_acc(w.as<T>()[at + o * w.strides[0]]);
    }
  }

  void run_phase(int64_t n0, int64_t count, const int64_t* phase) {
    Phase f{n0, count, {}, {}, {}};
    for (int i = 0; i < kSpatial; i++) {
      f.start[i] = phase[i];
      f.count[i] = (p.out[i] - phase[i] + p.phases[i] - 1) / p.phases[i];
      f.step[i] = p.phases[i] * p.stride[i] / p.spread[i];
    }
    find_runs(phase);
    int64_t work = n_runs > 0 ? n_runs * runs[0].length : 1;
    if (l.lanes == 1) {
      return each_range(f.pixels(), 65536 / (work * p.channels) + 1,
                        [&](int64_t begin, int64_t end) { depthwise(f, begin, end); });
    }
    int64_t pixels = f.pixels(), size = kTaskPixels, columns = l.panels * p.groups, pieces = (pixels + size - 1) / size;
    while (pieces * columns < 2 * worker_count() && size > 4 * M) {
      size = size / 2 / M * M;
      pieces = (pixels + size - 1) / size;
    }
    each_task(pieces * columns, [&](int64_t i, int worker) {
      int64_t begin = i % pieces * size, n = pixels - begin < size ? pixels - begin : size;
      run_task(f, begin, n, i / pieces % l.panels, i / pieces / l.panels, worker);
    });
  }

  void run() {
    l.lanes == 1 ? pack_depthwise() : pack();
    for (int64_t n0 = 0; n0 < p.batch; n0 += l.chunk) {
      int64_t count = p.batch - n0 < l.chunk ? p.batch - n0 : l.chunk, row_size = pixel_row[1];
      int64_t rows = p.padded[0] * p.padded[1];
      const bool across = count > 1 && p.channels > 1 && c.in[0].strides[0] == 1;
      const int64_t width = across ? kNear : 1, blocks = (count + width - 1) / width;
      each_range(blocks * rows, 32768 / (row_size * width + 1) + 1, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; r++) {
          int64_t image = r / rows * width;
          across ? pad_across(n0, image, count - image < width ? count - image : width, r % rows) : pad_row(n0, r);
        }
      });
      for (int64_t i = 0; i < p.phases[0] * p.phases[1] * p.phases[2]; i++) {
        int64_t phase[kSpatial] = {i / p.phases[2] / p.phases[1], i / p.phases[2] % p.phases[1], i % p.phases[2]};
        run_phase(n0, count, phase);
      }
    }
  }
};

const char* run_conv(const Call& c) {
  if (c.out[0].size == 0) return nullptr;
  if (c.in[0].shape[c.in[0].ndim - 1] == 0) {
    memset(c.out[0].data, 0, c.out[0].size * item_size(c.out[0].dtype));
    return nullptr;
  }
  with_float(c.in[0].dtype, [&]<class T>(Tag<T>) { Conv<T>(c).run(); });
  return nullptr;
}

}  // namespace

extern const Kernel kernel_conv = {check_conv, scratch_conv, run_conv};

}  // namespace denim::DENIM_ISA
