// The fused interpreter against plain loops in double: every op, dtype and layout, sharing of memory, and what it
// refuses.
#include "tests/arrays.h"

using namespace denim;
using namespace denim::testing;

namespace {

constexpr DType kEvery[] = {DType::bool_,   DType::uint8,   DType::uint16,   DType::uint32,   DType::uint64,
                            DType::int8,    DType::int16,   DType::int32,    DType::int64,    DType::float16,
                            DType::float32, DType::float64, DType::bfloat16, DType::complex64};
constexpr DType kFloats[] = {DType::float16, DType::float32, DType::float64, DType::bfloat16};

double sigmoid(double x) { return 1 / (1 + exp(-x)); }
double rsqrt(double x) { return 1 / sqrt(x); }
double square(double x) { return x * x; }
double sign(double x) { return (x > 0) - (x < 0); }
double negative(double x) { return -x; }
/// The x with erf(x) = y, by halving.
double erfinv(double y) {
  double low = -7, high = 7;
  if (y == 0) return y;
  if (!(fabs(y) < 1)) return fabs(y) == 1 ? y * INFINITY : NAN;
  for (int i = 0; i < 200; i++) {
    const double x = 0.5 * (low + high);
    (erf(x) < y ? low : high) = x;
  }
  return low;
}
struct Unary {
  Op op;
  double (*f)(double);
  double low, high, ulps;
};
const Unary kUnary[] = {
    {Op::exp, exp, -80, 80, 3},         {Op::log, log, 0, 50, 3},       {Op::sin, sin, -50, 50, 4},
    {Op::cos, cos, -50, 50, 4},         {Op::tan, tan, -20, 20, 3},     {Op::tanh, tanh, -10, 10, 3},
    {Op::sigmoid, sigmoid, -20, 20, 4}, {Op::erf, erf, -4, 4, 3},       {Op::erfinv, erfinv, -0.99, 0.99, 6},
    {Op::expm1, expm1, -5, 5, 3},       {Op::log1p, log1p, -0.9, 9, 3}, {Op::log2, log2, 0, 90, 3},
    {Op::log10, log10, 0, 90, 3},       {Op::sinh, sinh, -9, 9, 3},     {Op::cosh, cosh, -9, 9, 3},
    {Op::arcsin, asin, -1, 1, 3},       {Op::arccos, acos, -1, 1, 3},   {Op::arctan, atan, -9, 9, 3},
    {Op::arcsinh, asinh, -9, 9, 3},     {Op::arccosh, acosh, 1, 90, 3}, {Op::arctanh, atanh, -0.99, 0.99, 3},
    {Op::sqrt, sqrt, 0, 90, 2},         {Op::rsqrt, rsqrt, 0.1, 90, 3}, {Op::square, square, -9, 9, 2},
    {Op::abs, fabs, -9, 9, 0},          {Op::sign, sign, -9, 9, 0},     {Op::negative, negative, -9, 9, 0},
    {Op::floor, floor, -9, 9, 0},       {Op::ceil, ceil, -9, 9, 0},     {Op::round, nearbyint, -9, 9, 0},
};
/// sin and the like are compared by absolute error near their zeros: there half a unit of the argument is what counts.
void compare(const Nd& y, int64_t i, double want, double ulps) {
  if (y.a.dtype == DType::float16 && fabs(want) > 65000) want = fabs(y.get(i)) > 64000 ? y.get(i) : want;
  CHECK_NEAR(y.get(i), want, tolerance(y.a.dtype, want, ulps + 1) + (ulps > 0 ? tolerance(y.a.dtype, 1e-3, 1) : 0));
}

TEST(fused_unary) {
  for (const Unary& u : kUnary) {
    for (DType d : kFloats) {
      const int64_t sizes[] = {1, 37, 4500};
      for (int64_t n : sizes) {
        Nd x(d, 1, &n), y(d, 1, &n);
        Fusion f(x.fill(u.low, u.high));
        f.output(f.step(u.op, d, f.input(x)), y);
        CHECK(f.run() == nullptr);
        for (int64_t i = 0; i < n; i++) compare(y, i, u.f(x.get(i)), u.ulps);
      }
    }
  }
}
TEST(fused_unary_special_values) {
  const double values[] = {0.0, -0.0, 1, -1, INFINITY, -INFINITY, NAN, 1e-40, 3e38, 1e6, -1e10, 1e30, 0.5, 2, 8};
  const int64_t n = sizeof(values) / sizeof(values[0]);
  for (const Unary& u : kUnary) {
    Nd x(DType::float32, 1, &n), y(DType::float32, 1, &n);
    for (int64_t i = 0; i < n; i++) x.set(i, values[i]);
    Fusion f(x);
    f.output(f.step(u.op, DType::float32, f.input(x)), y);
    CHECK(f.run() == nullptr);
    for (int64_t i = 0; i < n; i++) {
      const double want =
          static_cast<double>(static_cast<float>(u.op == Op::sign && isnan(x.get(i)) ? 0 : u.f(x.get(i))));
      CHECK_NEAR(y.get(i), want, tolerance(DType::float32, want, u.ulps));
      CHECK(y.get(i) != 0 || want != 0 || u.op == Op::sign || signbit(y.get(i)) == signbit(want));
    }
  }
}

/// What an integer dtype keeps of an exact result.
double wrapped(DType d, double x) {
  if (is_floating(d))
    return d == DType::float16    ? as_half(x)
           : d == DType::bfloat16 ? as_bfloat(x)
           : d == DType::float64  ? x
                                  : static_cast<double>(static_cast<float>(x));
  if (d == DType::bool_) return x != 0;
  uint8_t cell[8];
  write(cell, d, x);
  return read(cell, d);
}
double maximum(double a, double b) { return a > b || isnan(a) ? a : b; }
double minimum(double a, double b) { return a < b || isnan(a) ? a : b; }
double floor_remainder(double a, double b) { return b == 0 ? 0 : a - floor(a / b) * b; }
double floor_quotient(double a, double b) { return b == 0 ? 0 : floor(a / b); }
TEST(fused_arithmetic_of_every_dtype) {
  struct {
    Op op;
    double (*f)(double, double);
  } const ops[] = {{Op::add, [](double a, double b) { return a + b; }},
                   {Op::subtract, [](double a, double b) { return a - b; }},
                   {Op::multiply, [](double a, double b) { return a * b; }},
                   {Op::maximum, maximum},
                   {Op::minimum, minimum}};
  for (const auto& o : ops) {
    for (DType d : kEvery) {
      if (d == DType::complex64) continue;
      const int64_t sizes[] = {0, 1, 63, 5001};
      for (int64_t n : sizes) {
        const bool narrow = item_size(d) < 4, is_signed = d >= DType::int8;
        Nd x(d, 1, &n), z(d, 1, &n), y(d, 1, &n);
        x.fill(is_signed ? -100 : 0, narrow ? 120 : 30000);
        Fusion f(z.fill(is_signed ? -90 : 0, narrow ? 100 : 20000));
        const int a = f.input(x), b = f.input(z);
        f.output(f.step(o.op, d, a, b), y);
        CHECK(f.run() == nullptr);
        for (int64_t i = 0; i < n; i++) CHECK_NEAR(y.get(i), wrapped(d, o.f(x.get(i), z.get(i))), 0);
      }
    }
  }
}
TEST(fused_integer_division_and_powers) {
  const DType dtypes[] = {DType::int8,  DType::uint8,  DType::int16,   DType::int32,
                          DType::int64, DType::uint32, DType::float32, DType::float64};
  for (DType d : dtypes) {
    const int64_t n = 700;
    Nd x(d, 1, &n), z(d, 1, &n), q(d, 1, &n), r(d, 1, &n);
    const bool is_unsigned = d < DType::int8;
    x.fill(is_unsigned ? 0 : -100, 100);
    z.fill(is_unsigned ? 0 : -7, 7);
    if (is_floating(d)) z.fill(1, 7);
    Fusion f(x);
    const int a = f.input(x), b = f.input(z);
    f.output(f.step(Op::floorDivide, d, a, b), q);
    f.output(f.step(Op::remainder, d, a, b), r);
    CHECK(f.run() == nullptr);
    for (int64_t i = 0; i < n; i++) {
      CHECK_NEAR(q.get(i), floor_quotient(x.get(i), z.get(i)), 0);
      CHECK_NEAR(r.get(i), floor_remainder(x.get(i), z.get(i)), is_floating(d) ? 1e-5 : 0);
    }
  }
  const double cases[][4] = {{-2147483648.0, -1, -2147483648.0, 0}, {5, 0, 0, 0}, {-7, 2, -4, 1}, {2, -1, -2, 0}};
  for (const auto& c : cases) {
    const int64_t n = 1;
    Nd x(DType::int32, 1, &n), z(DType::int32, 1, &n), q(DType::int32, 1, &n), r(DType::int32, 1, &n);
    x.set(0, c[0]);
    z.set(0, c[1]);
    Fusion f(x);
    const int a = f.input(x), b = f.input(z);
    f.output(f.step(Op::floorDivide, DType::int32, a, b), q);
    f.output(f.step(Op::remainder, DType::int32, a, b), r);
    CHECK(f.run() == nullptr);
    CHECK_NEAR(q.get(0), c[2], 0);
    CHECK_NEAR(r.get(0), c[3], 0);
  }
}
/// One int32 pair through an op.
double of_ints(Op op, double a, double b) {
  const int64_t n = 1;
  Nd x(DType::int32, 1, &n), z(DType::int32, 1, &n), y(DType::int32, 1, &n);
  x.set(0, a);
  z.set(0, b);
  Fusion f(x);
  const int l = f.input(x), r = f.input(z);
  f.output(f.step(op, DType::int32, l, r), y);
  CHECK(f.run() == nullptr);
  return y.get(0);
}
TEST(fused_shifts_and_integer_powers) {
  CHECK_NEAR(of_ints(Op::leftShift, 3, 4), 48, 0);
  CHECK_NEAR(of_ints(Op::leftShift, 3, 32), 0, 0);
  CHECK_NEAR(of_ints(Op::leftShift, 3, -1), 0, 0);
  CHECK_NEAR(of_ints(Op::rightShift, -8, 1), -4, 0);
  CHECK_NEAR(of_ints(Op::rightShift, -8, 40), 0, 0);
  CHECK_NEAR(of_ints(Op::power, 3, 5), 243, 0);
  CHECK_NEAR(of_ints(Op::power, 2, -1), 0, 0);
  CHECK_NEAR(of_ints(Op::power, -1, -3), 0, 0);
  CHECK_NEAR(of_ints(Op::power, 2, 33), 0, 0);
  CHECK_NEAR(of_ints(Op::bitwiseXor, 12, 10), 6, 0);
}
TEST(fused_power_arctan2_logaddexp) {
  struct {
    Op op;
    double (*f)(double, double);
  } const ops[] = {{Op::power, pow}, {Op::arctan2, atan2}, {Op::logaddexp, [](double a, double b) {
                                                              const double m = fmax(a, b);
                                                              return isnan(a + b) ? (isinf(a) || isinf(b) ? m : a + b)
                                                                     : isinf(m)   ? m
                                                                                  : m + log1p(exp(-fabs(a - b)));
                                                            }}};
  const double values[] = {0.0, -0.0, 1, -1, 2, -2, 3, 0.5, -1.5, INFINITY, -INFINITY, 1e20, 1e-20, 17.25};
  const int64_t n = sizeof(values) / sizeof(values[0]), shape[] = {n, n}, down[] = {1, 0}, across[] = {0, 1};
  for (const auto& o : ops) {
    const DType dtypes[] = {DType::float32, DType::float64};
    for (DType d : dtypes) {
      Nd x(d, 2, shape, down), z(d, 2, shape, across), y(d, 2, shape);
      for (int64_t i = 0; i < n; i++) {
        x.set(i * n, values[i]);
        z.set(i, values[i]);
      }
      Fusion f(x);
      const int a = f.input(x), b = f.input(z);
      f.output(f.step(o.op, d, a, b), y);
      CHECK(f.run() == nullptr);
      for (int64_t i = 0; i < n * n; i++) {
        const double exact = o.f(x.get(i), z.get(i)),
                     want = d == DType::float32 ? static_cast<double>(static_cast<float>(exact)) : exact;
        CHECK_NEAR(y.get(i), want, tolerance(d, want, 3));
      }
    }
  }
}
TEST(fused_comparisons_and_select) {
  const int64_t n = 301;
  Nd x(DType::int16, 1, &n), z(DType::int16, 1, &n), y(DType::int16, 1, &n), m(DType::bool_, 1, &n);
  x.fill(-5, 5);
  z.fill(-5, 5);
  Fusion f(x);
  const int a = f.input(x), b = f.input(z), less = f.step(Op::less, DType::bool_, a, b);
  const int equal = f.step(Op::equal, DType::bool_, a, b), either = f.step(Op::logicalOr, DType::bool_, less, equal);
  f.output(either, m);
  f.output(f.step(Op::select, DType::int16, either, b, a), y);
  CHECK(f.run() == nullptr);
  for (int64_t i = 0; i < n; i++) {
    CHECK(m.get(i) == (x.get(i) <= z.get(i)));
    CHECK(y.get(i) == fmax(x.get(i), z.get(i)));
  }
}
TEST(fused_casts) {
  const double values[] = {0, 1.7, -1.7, 300.5, -300.5, 3e9, -3e9, 1e20, -1e20, NAN, INFINITY, -INFINITY};
  const double i32[] = {
      0, 1, -1, 300, -300, 2147483647.0, -2147483648.0, 2147483647.0, -2147483648.0, 0, 2147483647.0, -2147483648.0};
  const double u8[] = {0, 1, 255, 44, 212, 255, 0, 255, 0, 0, 255, 0};
  const int64_t n = 12;
  const DType sources[] = {DType::float32, DType::float64};
  for (DType from : sources) {
    Nd x(from, 1, &n), y(DType::int32, 1, &n), b(DType::uint8, 1, &n), t(DType::bool_, 1, &n);
    for (int64_t i = 0; i < n; i++) x.set(i, values[i]);
    Fusion f(x);
    const AstypeParams to_int{static_cast<int64_t>(DType::int32)}, to_byte{static_cast<int64_t>(DType::uint8)},
        to_bool{0};
    f.input(x);
    f.output(f.step(Op::astype, DType::int32, 0, 0, 0, &to_int), y);
    f.output(f.step(Op::astype, DType::uint8, 0, 0, 0, &to_byte), b);
    f.output(f.step(Op::astype, DType::bool_, 0, 0, 0, &to_bool), t);
    CHECK(f.run() == nullptr);
    for (int64_t i = 0; i < n; i++) {
      CHECK_NEAR(y.get(i), i32[i], 0);
      CHECK_NEAR(b.get(i), u8[i], 0);
      CHECK(t.get(i) == (i != 0));
    }
  }
  for (DType from : kEvery) {
    for (DType to : kEvery) {
      const int64_t many = 533;
      Nd x(from, 1, &many), y(to, 1, &many);
      Fusion f(x.fill(0, 100));
      const AstypeParams params{static_cast<int64_t>(to)};
      f.output(f.step(Op::astype, to, f.input(x), 0, 0, &params), y);
      CHECK(f.run() == nullptr);
      for (int64_t i = 0; i < many; i++) {
        double v = is_floating(to) || to == DType::bool_ ? x.get(i) : trunc(x.get(i));
        if (item_size(to) == 2 && is_floating(to)) v = wrapped(DType::float32, v);  // the way to the half types
        CHECK_NEAR(y.get(i), wrapped(to, v), 0);
      }
    }
  }
}
TEST(fused_half_types_round_after_each_step) {
  const DType dtypes[] = {DType::float16, DType::bfloat16};
  for (DType d : dtypes) {
    const int64_t n = 2000;
    Nd x(d, 1, &n), z(d, 1, &n), y(d, 1, &n);
    x.fill(-3, 3);
    Fusion f(z.fill(-3, 3));
    const int a = f.input(x), b = f.input(z), product = f.step(Op::multiply, d, a, b);
    f.output(f.step(Op::add, d, product, b), y);
    CHECK(f.run() == nullptr);
    for (int64_t i = 0; i < n; i++) CHECK_NEAR(y.get(i), wrapped(d, wrapped(d, x.get(i) * z.get(i)) + z.get(i)), 0);
  }
}

TEST(fused_layouts) {
  const int64_t shapes[][3] = {{3, 5, 7}, {2, 33, 70}, {1, 100, 9}, {65, 1, 130}, {17, 40, 40}, {0, 3, 2}, {200, 3, 2}};
  for (const auto& s : shapes) {
    const int64_t layouts[][3] = {{s[1] * s[2], s[2], 1},
                                  {1, s[0], s[0] * s[1]},
                                  {s[2], s[0] * s[2], 1},
                                  {s[1], 1, s[0] * s[1]},
                                  {0, 0, 1},
                                  {0, 1, 0},
                                  {1, 0, 0},
                                  {0, 0, 0},
                                  {-s[1] * s[2], s[2], -1},
                                  {2 * s[1] * s[2], 2 * s[2], 2},
                                  {-1, -s[0], s[0] * s[1]},
                                  {s[1] * s[2], 1, s[1]}};
    const DType dtypes[] = {DType::uint8, DType::float16, DType::float32, DType::complex64};
    for (DType d : dtypes) {
      for (const auto& left : layouts) {
        for (const auto& right : layouts) {
          Nd x(d, 3, s, left), z(d, 3, s, right), y(d, 3, s), w(d, 3, s);
          x.fill(0, 50);
          Fusion f(z.fill(0, 50));
          const int a = f.input(x), b = f.input(z);
          f.output(f.step(Op::add, d, a, b), y);
          f.output(a, w);
          CHECK(f.run() == nullptr);
          bool same = true;
          for (int64_t i = 0; i < y.a.size; i++)
            same = same && y.get(i) == wrapped(d, x.get(i) + z.get(i)) && w.get(i) == x.get(i);
          CHECK(same);
        }
      }
    }
  }
}
TEST(fused_large_transpose) {
  const int64_t shape[] = {301, 517}, columns[] = {1, 301};
  const DType dtypes[] = {DType::int8, DType::bfloat16, DType::int32, DType::int64};
  for (DType d : dtypes) {
    Nd x(d, 2, shape, columns), y(d, 2, shape);
    Fusion f(x.fill(-90, 90));
    f.output(f.input(x), y);
    CHECK(f.run() == nullptr);
    bool same = true;
    for (int64_t i = 0; i < x.a.size; i++) same = same && x.get(i) == y.get(i);
    CHECK(same);
  }
}
TEST(fused_in_place) {
  const int64_t n = 10007;
  Nd x(DType::float32, 1, &n), z(DType::float32, 1, &n), x0(DType::float32, 1, &n), z0(DType::float32, 1, &n);
  x.fill(-1, 1);
  z.fill(-1, 1);
  for (int64_t i = 0; i < n; i++) x0.set(i, x.get(i)), z0.set(i, z.get(i));
  Fusion f(x);  // x <- x + z, then the old x is read again: z <- (x + z) * x
  const int a = f.input(x), b = f.input(z), sum = f.step(Op::add, DType::float32, a, b);
  f.output(sum, x);
  f.output(f.step(Op::multiply, DType::float32, sum, a), z);
  CHECK(f.run() == nullptr);
  for (int64_t i = 0; i < n; i++) {
    const double s = wrapped(DType::float32, x0.get(i) + z0.get(i));
    CHECK_NEAR(x.get(i), s, 0);
    CHECK_NEAR(z.get(i), wrapped(DType::float32, s * x0.get(i)), 0);
  }
  Fusion swap(x);
  for (int64_t i = 0; i < n; i++) x0.set(i, x.get(i)), z0.set(i, z.get(i));
  swap.input(x);
  swap.input(z);
  swap.output(1, x);
  swap.output(0, z);
  CHECK(swap.run() == nullptr);
  for (int64_t i = 0; i < n; i++) CHECK(x.get(i) == z0.get(i) && z.get(i) == x0.get(i));
}
/// Random graphs of steps over random layouts, some outputs in the memory of an input, against one element at a time.
int below(int n) { return static_cast<int>(uniform() * n); }
struct RandomProgram {
  static constexpr int kInputs = 3, kSteps = 14;
  static constexpr DType kTypes[] = {DType::float32, DType::float16, DType::int32, DType::bool_};
  struct Node {
    Op op;
    DType dtype;
    int args[3];
  };
  Node nodes[kInputs + kSteps];
  const AstypeParams params[4] = {{10}, {9}, {7}, {0}};
  int n = 0;

  int pick(DType d) const {
    const int start = below(n);
    for (int i = 0; i < n; i++) {
      if (nodes[(start + i) % n].dtype == d) return (start + i) % n;
    }
    return -1;
  }
  void add_step() {
    const Op ops[] = {Op::add, Op::subtract, Op::multiply, Op::maximum, Op::less, Op::negative, Op::astype, Op::select};
    const Op op = ops[below(8)];
    const int a = below(n), b = pick(nodes[a].dtype), truth = pick(DType::bool_);
    const DType d = nodes[a].dtype;
    if (op == Op::astype) nodes[n++] = {op, kTypes[below(3)], {a, 0, 0}};
    else if (d == DType::bool_) nodes[n++] = {Op::logicalNot, d, {a, 0, 0}};
    else if (op == Op::negative) nodes[n++] = {op, d, {a, 0, 0}};
    else if (op == Op::select && truth >= 0) nodes[n++] = {op, d, {truth, a, b}};
    else if (op == Op::select || op == Op::less) nodes[n++] = {Op::less, DType::bool_, {a, b, 0}};
    else nodes[n++] = {op, d, {a, b, 0}};
  }
  /// Values of all nodes for one element whose inputs stand in v.
  void evaluate(double* v) const {
    for (int i = kInputs; i < n; i++) {
      const Node& s = nodes[i];
      const double a = v[s.args[0]], b = v[s.args[1]];
      double y = a;
      if (s.op == Op::add) y = a + b;
      else if (s.op == Op::subtract) y = a - b;
      else if (s.op == Op::multiply) y = a * b;
      else if (s.op == Op::maximum) y = maximum(a, b);
      else if (s.op == Op::less) y = a < b;
      else if (s.op == Op::negative) y = -a;
      else if (s.op == Op::logicalNot) y = a == 0;
      else if (s.op == Op::select) y = a != 0 ? b : v[s.args[2]];
      v[i] = wrapped(s.dtype, s.op == Op::astype && s.dtype == DType::int32 ? trunc(a) : y);
    }
  }
  const AstypeParams* params_of(DType d) const {
    for (int i = 0; i < 4; i++) {
      if (kTypes[i] == d) return &params[i];
    }
    return nullptr;
  }
};
void run_random_program() {
  RandomProgram p;
  const int64_t shape[] = {1 + below(60), 1 + below(3) * 100 + below(90)};
  const int64_t dense[] = {shape[1], 1}, turned[] = {1, shape[0]}, row[] = {0, 1}, column[] = {1, 0};
  const int64_t* layouts[] = {dense, dense, turned, row, column};
  const int64_t *first = layouts[below(2)], *second = layouts[below(5)], *third = layouts[below(5)];
  const DType types[] = {RandomProgram::kTypes[below(3)], RandomProgram::kTypes[below(3)],
                         RandomProgram::kTypes[below(3)]};
  Nd a(types[0], 2, shape, first), b(types[1], 2, shape, second), c(types[2], 2, shape, third);
  const Nd* inputs[] = {&a.fill(-4, 4), &b.fill(-4, 4), &c.fill(-4, 4)};
  for (int i = 0; i < 3; i++) p.nodes[p.n++] = {Op::copy, types[i], {0, 0, 0}};
  for (int i = 0; i < RandomProgram::kSteps; i++) p.add_step();
  auto* want = static_cast<double*>(malloc(static_cast<size_t>(a.a.size * p.n) * sizeof(double)));
  for (int64_t i = 0; i < a.a.size; i++) {
    for (int k = 0; k < 3; k++) want[i * p.n + k] = inputs[k]->get(i);
    p.evaluate(want + i * p.n);
  }
  Fusion f(a);
  for (const Nd* x : inputs) f.input(*x);
  for (int i = 3; i < p.n; i++) {
    const auto& s = p.nodes[i];
    f.step(s.op, s.dtype, s.args[0], s.args[1], s.args[2], p.params_of(s.dtype));
  }
  int values[3] = {p.n - 1, 3 + below(p.n - 3), p.pick(types[0])};  // the last goes into the first input's memory
  Nd y(p.nodes[values[0]].dtype, 2, shape), z(p.nodes[values[1]].dtype, 2, shape);
  const Nd* outputs[] = {&y, &z, &a};
  for (int i = 0; i < 3; i++) f.output(values[i], *outputs[i]);
  CHECK(f.run() == nullptr);
  bool same = true;
  for (int64_t i = 0; i < a.a.size; i++) {
    for (int k = 0; k < 3; k++) {
      const double got = outputs[k]->get(i), w = want[i * p.n + values[k]];
      same = same && (got == w || (isnan(got) && isnan(w)));
    }
  }
  CHECK(same);
  free(want);
}
TEST(fused_random_programs) {
  for (int i = 0; i < 600; i++) run_random_program();
}
TEST(fused_immediates_and_arange) {
  const int64_t shape[] = {50, 70};
  const DType dtypes[] = {DType::int16, DType::float32, DType::int64, DType::bfloat16};
  for (DType d : dtypes) {
    Nd x(d, 2, shape), y(d, 2, shape);
    Fusion f(x.fill(-9, 9));
    const ArangeParams params{2, 3, 3500, static_cast<int64_t>(d)};
    const int a = f.input(x), three = f.number(d, 3), count = f.step(Op::arange, d, 0, 0, 0, &params);
    f.output(f.step(Op::add, d, f.step(Op::multiply, d, a, three), count), y);
    CHECK(f.run() == nullptr);
    for (int64_t i = 0; i < y.a.size; i++) {
      CHECK_NEAR(y.get(i), wrapped(d, wrapped(d, x.get(i) * 3) + wrapped(d, 2 + 3.0 * static_cast<double>(i))), 0);
    }
  }
}
TEST(fused_complex) {
  const int64_t n = 5;
  Nd x(DType::complex64, 1, &n), y(DType::complex64, 1, &n), m(DType::float32, 1, &n);
  Fusion f(x.fill(0.5, 2));  // z = a - i a / 2
  const int a = f.input(x), root = f.step(Op::sqrt, DType::complex64, a),
            back = f.step(Op::square, DType::complex64, root);
  f.output(f.step(Op::exp, DType::complex64, f.step(Op::log, DType::complex64, back)), y);
  f.output(f.step(Op::abs, DType::float32, a), m);
  CHECK(f.run() == nullptr);
  for (int64_t i = 0; i < n; i++) {
    const double re = x.get(i);
    CHECK_NEAR(y.get(i), re, 1e-6);
    CHECK_NEAR(static_cast<double>(reinterpret_cast<float*>(y.at(i))[1]), -0.5 * re, 1e-6);
    CHECK_NEAR(m.get(i), re * sqrt(1.25), 1e-6);
  }
}
TEST(fused_refuses) {
  const int64_t n = 8;
  Nd x(DType::float32, 1, &n), b(DType::int32, 1, &n), y(DType::float32, 1, &n);
  auto refused = [&](auto build) {
    Fusion f(x);
    f.input(x);
    f.input(b);
    build(f);
    CHECK(f.run() != nullptr);
  };
  refused([&](Fusion& f) { f.output(f.step(Op::add, DType::float32, 0, 1), y); });
  refused([&](Fusion& f) { f.output(f.step(Op::add, DType::int32, 0, 0), y); });
  refused([&](Fusion& f) { f.output(f.step(Op::exp, DType::int32, 1), y); });
  refused([&](Fusion& f) { f.output(f.step(Op::exp, DType::float32, 2), y); });
  refused([&](Fusion& f) { f.output(f.step(Op::exp, DType::float32, -1), y); });
  refused([&](Fusion& f) { f.output(f.step(Op::matmul, DType::float32, 0, 0), y); });
  refused([&](Fusion& f) { f.output(f.step(Op::astype, DType::float32, 0), y); });
  refused([&](Fusion& f) { f.output(f.step(Op::select, DType::float32, 0, 0, 0), y); });
  refused([&](Fusion& f) { f.output(f.step(static_cast<Op>(60000), DType::float32, 0), y); });
  refused([&](Fusion& f) { f.output(f.step(Op::exp, static_cast<DType>(77), 0), y); });
  refused([&](Fusion& f) { f.output(9, y); });
  refused([&](Fusion& f) { f.output(1, y); });
  refused([&](Fusion& f) { f.reduce(Op::sum, 0, 1, y); });
  refused([&](Fusion& f) { f.reduce(Op::sum, 0, 2, y); });
}

}  // namespace
