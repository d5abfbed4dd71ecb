// Scans on the GPU: which kernel of kernels/scan.metal, and how long lines are cut.
#include "metal/grid.h"

namespace denim::metal {
namespace {

/// As `Scan` and `Reduce` of the kernels.
struct Scan {
  uint64_t length, lines, part;
  int64_t x_step, y_step;
  int32_t ndim, parts;
};
static_assert(sizeof(Scan) == 48);
enum Reduce : int32_t { kSum = 1, kProd, kMax, kMin, kLogsumexp };

constexpr int64_t kLong = 16384, kMostParts = 256;

struct Plan {
  int64_t n, lines, part, parts;
  bool by_line;
};
Plan plan_of(const Array& x, int64_t axis) {
  const int64_t n = x.shape[axis], lines = n > 0 ? x.size / n : 0;
  // Neighbouring lines are read in order by neighbouring threads; a short line is not worth a group.
  const bool across = axis != x.ndim - 1 && lines >= 256, tiny = n <= 16;
  if (across || tiny) return {n, lines, n, 1, true};
  if (n <= kLong || lines >= 64) return {n, lines, n, 1, false};
  const int64_t least = kLong / 4, even = (n + kMostParts - 1) / kMostParts, part = even > least ? even : least;
  return {n, lines, part, (n + part - 1) / part, false};
}
template <class P>
size_t scratch_bytes(const Call& c) {
  const Plan p = plan_of(c.in[0], c.as<P>().axis);
  return p.parts > 1 ? static_cast<size_t>(8 * p.lines * p.parts) : 0;
}

void encode_scan(const Call& c, Reduce op, int64_t axis, bool reverse, bool inclusive, Encoder& e) {
  const Array &x = c.in[0], &y = c.out[0];
  if (x.size == 0) return;
  const Plan p = plan_of(x, axis);
  const OtherAxes others(x, y, axis);
  const Scan s{static_cast<uint64_t>(p.n), static_cast<uint64_t>(p.lines), static_cast<uint64_t>(p.part),
               x.strides[axis],            y.strides[axis],                others.ndim,
               static_cast<int32_t>(p.parts)};
  const int32_t constants[] = {op, static_cast<int32_t>(x.dtype), reverse ? 1 : 0, inclusive ? 1 : 0};
  auto begin = [&](const char* function) {
    e.kernel("scan", function, "", constants, 4);
    e.value(0, s);
    others.bind(e, 1);
    e.array(2, x, kRead);
  };
  if (p.by_line) {
    begin("scan_lines");
    e.array(3, y, kWrite);
    return run_threads(e, p.lines);
  }
  const Size group = {p.part <= 128 ? 32u : p.part <= 512 ? 128u : 256u, 1, 1};
  const int64_t parts = p.lines * p.parts;
  if (p.parts > 1) {
    begin("scan_totals");
    e.memory(3, c.scratch, 8 * parts, kWrite);
    e.groups(folded(parts), group);
    e.kernel("scan", "scan_carries", "", constants, 4);
    e.value(0, s);
    e.memory(1, c.scratch, 8 * parts, kReadWrite);
    run_threads(e, p.lines);
  }
  begin("scan_parts");
  if (p.parts > 1) e.memory(3, c.scratch, 8 * parts, kRead);
  else e.array(3, x, kRead);
  e.array(4, y, kWrite);
  e.groups(folded(parts), group);
}
template <class P, Reduce op>
void encode(const Call& c, Encoder& e) {
  const P& p = c.as<P>();
  encode_scan(c, op, p.axis, p.reverse != 0, p.inclusive != 0, e);
}
bool always(const Call&) { return true; }

}  // namespace

extern const GpuKernel gpu_cumsum, gpu_cumprod, gpu_cummax, gpu_cummin, gpu_logcumsumexp;
constexpr GpuKernel gpu_cumsum = {always, scratch_bytes<CumsumParams>, encode<CumsumParams, kSum>};
constexpr GpuKernel gpu_cumprod = {always, scratch_bytes<CumprodParams>, encode<CumprodParams, kProd>};
constexpr GpuKernel gpu_cummax = {always, scratch_bytes<CummaxParams>, encode<CummaxParams, kMax>};
constexpr GpuKernel gpu_cummin = {always, scratch_bytes<CumminParams>, encode<CumminParams, kMin>};
constexpr GpuKernel gpu_logcumsumexp = {always, scratch_bytes<LogcumsumexpParams>,
                                        encode<LogcumsumexpParams, kLogsumexp>};

}  // namespace denim::metal
