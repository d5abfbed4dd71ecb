/**
 * Functions that are composed of others: covariance, the gated delta rule, cross entropy, against NumPy and loops; and
 * complex functions where C99 says more than the mathematics.
 */
import assert from "node:assert/strict";
import * as mx from "../../core/mod.ts";
import { ON_GPU } from "./harness.ts";

const near = (got: mx.NDArray, expected: unknown, tolerance = 1e-5) => {
  const want = expected instanceof mx.NDArray ? expected : mx.array(expected as mx.ArrayLike);
  assert.deepEqual(got.shape, want.shape);
  assert.ok(mx.allclose(got, want, { rtol: tolerance, atol: tolerance }).item(), `${got} instead of ${want}`);
};

Deno.test("cov and corrcoef are NumPy's", () => {
  const x = mx.array([[1, 2, 4], [6, 4, 5]]);
  near(mx.cov(x), [[2.33333, -0.5], [-0.5, 1]]);
  near(mx.cov(x, { ddof: 0 }), [[1.55556, -0.333333], [-0.333333, 0.666667]]);
  near(mx.cov(x.T, { rowvar: false }), mx.cov(x));
  near(mx.cov(mx.array([1, 2, 4])), 2.33333);
  near(mx.corrcoef(x), [[1, -0.327327], [-0.327327, 1]]);
  near(mx.corrcoef(mx.array([1, 2, 4])), 1);
  near(mx.cov(mx.array([[1, 2], [3, 5]], mx.int32)), [[0.5, 1], [1, 2]]);
  const z = mx.array([[mx.complex(1, 2), mx.complex(0, -1)], [mx.complex(2, 0), mx.complex(1, 1)]]);
  const c = mx.cov(z);
  near(c.real, [[5, -1], [-1, 1]]);
  near(c.imag, [[0, 2], [-2, 0]]);
  near(mx.corrcoef(z).real, [[1, -0.447214], [-0.447214, 1]]);
  assert.throws(() => mx.cov(mx.zeros([2, 2, 2])), mx.ShapeError);
});

Deno.test("fast.crossEntropy is in float32 and refuses targets of another shape", () => {
  const logits = mx.array([[1, 2, 3], [0, 0, 0]]), targets = mx.array([2, 0], mx.int32);
  near(mx.fast.crossEntropy(logits, targets), [0.407606, Math.log(3)]);
  assert.equal(mx.fast.crossEntropy(logits.astype(mx.float16), targets).dtype, mx.float32);
  assert.throws(() => mx.fast.crossEntropy(logits, targets.reshape([2, 1])), mx.ShapeError);
  assert.throws(() => mx.fast.crossEntropy(logits, targets.astype(mx.float32)), mx.DTypeError);
  assert.throws(() => mx.fast.crossEntropy(logits.astype(mx.int32), targets), mx.DTypeError);
});

Deno.test("fast.gatedDeltaUpdate is the recurrence, with heads that share keys, a state and a mask", () => {
  const [T, dk, dv] = [4, 3, 2], draw = (...shape: number[]) => mx.random.normal(shape);
  const q = draw(1, T, 1, dk), k = draw(1, T, 1, dk), v = draw(1, T, 2, dv);
  const gamma = mx.random.uniform([1, T, 2]), beta = mx.random.uniform([1, T, 2]), initialState = draw(1, 2, dv, dk);
  const mask = mx.array([[true, false, true, true]]);
  const [y, state] = mx.fast.gatedDeltaUpdate(q, k, v, gamma, beta, { initialState, mask });
  for (const head of [0, 1]) {
    let S = initialState.index(0, head);
    for (let t = 0; t < T; t++) {
      const key = k.index(0, t, 0).reshape([dk, 1]);
      const faded = S.mul(gamma.index(0, t, head));
      const wrong = v.index(0, t, head).reshape([dv, 1]).sub(faded.matmul(key)).mul(beta.index(0, t, head));
      if (t !== 1) S = faded.add(wrong.matmul(key.T));
      near(y.index(0, t, head), t === 1 ? [0, 0] : S.matmul(q.index(0, t, 0).reshape([dk, 1])).reshape([dv]), 1e-4);
    }
    near(state.index(0, head), S, 1e-4);
  }
  const dtypes = (of: mx.DType, ofKeys = of) =>
    mx.fast.gatedDeltaUpdate(q.astype(of), k.astype(ofKeys), v, gamma.astype(mx.float64), beta).map((x) => x.dtype);
  assert.deepEqual(dtypes(mx.bfloat16), [mx.bfloat16, mx.float32]);
  assert.deepEqual(dtypes(mx.bfloat16, mx.float16), [mx.float32, mx.float32]);
  assert.deepEqual(dtypes(mx.int32), [mx.float32, mx.float32]);
  assert.deepEqual(dtypes(mx.float32, mx.float64), [mx.float64, mx.float64]);
  assert.throws(() => mx.fast.gatedDeltaUpdate(q, k, v, gamma.T, beta), mx.ShapeError);
});

/** Complex numbers from pairs, which keep the sign of a zero. */
const complexes = (pairs: readonly (readonly [number, number])[]) =>
  mx.array(Float32Array.from(pairs.flat())).view(mx.complex64);
Deno.test("complex powers of zero are zero, one, infinite, or NaN like their exponents", () => {
  const zero = mx.zeros([5], mx.complex64), exponents = complexes([[2, 0], [0, 0], [NaN, 0], [-1, 0], [0, 1]]);
  assert.deepEqual(mx.power(zero, exponents).real.tolist(), [0, 1, NaN, Infinity, NaN]);
});
Deno.test("complex functions continue their branch cuts from the side that the sign of zero names", () => {
  const half = Math.PI / 2, [s, t, a] = [Math.acosh(2), Math.asinh(2), Math.atanh(0.5)];
  const ends = complexes([[2, 0], [2, -0], [-2, 0], [-2, -0], [0, 2], [-0, 2], [0, -2], [-0, -2]]);
  const expected: readonly [(x: mx.NDArray) => mx.NDArray, real: number[], imaginary: number[]][] = [
    [mx.arcsin, [half, half, -half, -half, 0, 0, 0, 0], [s, -s, s, -s, t, t, -t, -t]],
    [mx.arccos, [0, 0, 2 * half, 2 * half, half, half, half, half], [-s, s, -s, s, -t, -t, t, t]],
    [mx.arcsinh, [t, t, -t, -t, s, -s, s, -s], [0, 0, 0, 0, half, half, -half, -half]],
    [mx.arccosh, [s, s, s, s, t, t, t, t], [0, 0, 2 * half, -2 * half, half, half, -half, -half]],
    [mx.arctanh, [a, a, -a, -a, 0, 0, 0, 0], [
      half,
      -half,
      half,
      -half,
      ...[1, 1, -1, -1].map((x) => x * Math.atan(2)),
    ]],
    [mx.arctan, [...[1, 1, -1, -1].map((x) => x * Math.atan(2)), half, -half, half, -half], [0, 0, 0, 0, a, a, -a, -a]],
  ];
  for (const [f, re, im] of expected) {
    near(f(ends).real, re);
    near(f(ends).imag, im);
  }
  near(mx.log1p(complexes([[-2, 0], [-2, -0]])).imag, [Math.PI, -Math.PI]);
  near(mx.arctanh(complexes([[-1, 1e-20], [1, 1e-20]])).real, [-23.372423, 23.372423]);
  near(mx.arcsin(complexes([[1e-30, -2e-30]])).real.mul(1e30), [1]);
  near(mx.log1p(complexes([[1e-30, 0], [-2e-20, 1e-30]])).real.mul(1e20), [1e-10, -2]);
  near(mx.arctanh(complexes([[1e30, 2], [-1e30, 1e30]])).real.mul(1e30), [1, -0.5]);
});
Deno.test("complex functions at infinity and at their poles are C99's", () => {
  const at = complexes([[Infinity, 0], [-Infinity, 0], [1, -Infinity], [0, 0]]);
  assert.deepEqual(mx.sqrt(at).real.tolist(), [Infinity, 0, Infinity, 0]);
  assert.deepEqual(mx.sqrt(at).imag.tolist(), [0, Infinity, -Infinity, 0]);
  assert.deepEqual(mx.reciprocal(at).real.tolist(), [0, -0, 0, Infinity]);
  assert.deepEqual(mx.divide(complexes([[2, -3]]), mx.zeros([1], mx.complex64)).tolist(), [
    mx.complex(Infinity, -Infinity),
  ]);
  assert.deepEqual(mx.exp(complexes([[-Infinity, Infinity], [Infinity, 0]])).real.tolist(), [0, Infinity]);
  assert.deepEqual(mx.sinh(at).real.tolist(), [Infinity, -Infinity, NaN, 0]);
  assert.deepEqual(mx.cosh(complexes([[-1e5, 0]])).tolist(), [mx.complex(Infinity, -0)]);
  near(mx.arccos(at).real, [0, Math.PI, Math.PI / 2, Math.PI / 2]);
  near(mx.arcsin(at).real, [Math.PI / 2, -Math.PI / 2, 0, 0]);
  near(mx.arccosh(at).imag, [0, Math.PI, -Math.PI / 2, Math.PI / 2]);
  near(mx.arctanh(at).real, [0, 0, 0, 0]);
  assert.deepEqual(mx.arcsin(complexes([[Infinity, NaN]])).tolist(), [mx.complex(NaN, Infinity)]);
});
Deno.test("arccosh has its derivative left of the imaginary axis", () => {
  const z = complexes([[-2, 1]]), [, [slope]] = mx.jvp(mx.arccosh, [z], [mx.ones([1]).astype(mx.complex64)]);
  near(slope!.real, [-0.4018], 1e-3);
  near(slope!.imag, [-0.2488], 1e-3);
});
Deno.test("complex logcumsumexp: any range, nothing at all, and its derivatives", () => {
  const x = complexes([[-200, 1], [0, 2], [300, -1], [5, 0.5]]);
  near(mx.logcumsumexp(x).real, [-200, 0, 300, 300]);
  near(mx.logcumsumexp(x).imag, [1, 2, -1, -1]);
  assert.deepEqual(mx.logcumsumexp(mx.zeros([2, 0], mx.complex64), 1).shape, [2, 0]);
  const z = complexes([[0.5, 1], [0, 2], [1, -1]]), t = complexes([[1, 0.5], [-1, 2], [0.3, -1]]);
  // by the formula: the last result depends on x_j as e^(x_j - y)
  const weights = mx.exp(mx.subtract(z, mx.logcumsumexp(z).index(2))),
    last = (x: mx.NDArray) => mx.logcumsumexp(x).index(2);
  const [, [slope]] = mx.jvp(last, [z], [t]), [, [back]] = mx.vjp(last, [z], [mx.ones([]).astype(mx.complex64)]);
  const wanted = mx.multiply(weights, t).sum();
  near(slope!.real, wanted.real);
  near(slope!.imag, wanted.imag);
  near(back!.real, weights.real);
  near(back!.imag, mx.negative(weights.imag));
});
Deno.test("meshgrid flattens", () => {
  const grids = mx.meshgrid(mx.array([[1], [2]]), mx.array(3));
  assert.deepEqual(grids.map((x) => x.tolist()), [[[1, 2]], [[3, 3]]]);
});
Deno.test("what MLX refuses: some widths of pad, few axes of indices, integers to convolve", () => {
  const x = mx.ones([2, 3, 4]);
  assert.throws(() => mx.pad(x, [[1, 1], [0, 2]]), /one pair of widths, or one for each axis/);
  assert.deepEqual(mx.pad(x, [[1, 2]]).shape, [5, 6, 7]);
  assert.throws(() => mx.putAlongAxis(x, mx.zeros([3, 4], mx.int32), x, 0), /indices with 3 axes, got 2 axes/);
  assert.throws(() => mx.conv1d(x.astype(mx.int32), mx.ones([1, 2, 4])), mx.DTypeError);
  assert.equal(mx.conv1d(x, mx.ones([1, 2, 4], mx.int32)).dtype, mx.float32);
});
const weights = () => mx.random.normal([4, 64], { key: mx.random.key(0) });
Deno.test("quantized matrices whose scales and biases have other dtypes", () => {
  const [words, scales, biases] = mx.quantize(weights()), whole = mx.dequantize(words!, scales!, { biases });
  const mixed = mx.dequantize(words!, scales!.astype(mx.float16), { biases: biases!.astype(mx.bfloat16) });
  assert.equal(mixed.dtype, mx.float32);
  near(mixed, whole, 2e-2);
});
Deno.test({ name: "quantized matrices of float64 (not on a GPU, which has none)", ignore: ON_GPU }, () => {
  const w = weights(), x = mx.random.normal([3, 64], { key: mx.random.key(1) });
  const [words, scales, biases] = mx.quantize(w), whole = mx.dequantize(words!, scales!, { biases });
  const wide = x.astype(mx.float64), options = { biases, rhsIndices: mx.array([0, 0], mx.int32) };
  const y = mx.quantizedMatmul(wide, words!, scales!, { biases });
  assert.equal(y.dtype, mx.float64);
  near(y.astype(mx.float32), x.matmul(whole.T), 1e-4);
  const stacked = [words!, scales!, biases!].map((m) => m.expandDims(0)), [a, b, c] = stacked;
  const gathered = mx.gatherQmm(mx.stack([wide, wide]), a!, b!, { ...options, biases: c! });
  near(gathered, mx.stack([y, y]));
  const [codes, factors] = mx.quantize(w, { mode: "mxfp4" });
  assert.equal(mx.dequantize(codes!, factors!, { mode: "mxfp4", dtype: mx.float64 }).dtype, mx.float64);
  assert.throws(() => mx.quantizedMatmul(wide, codes!, factors!, { mode: "mxfp4" }), mx.DTypeError);
});
Deno.test("arange counts in int64 where bounds or step do not fit in int32", () => {
  const dtypes = [
    mx.arange(2 ** 31 - 3, 2 ** 31 - 1),
    mx.arange({ stop: 2, step: 2 ** 40 }),
    mx.arange(2 ** 40, 2 ** 40 + 2),
  ];
  assert.deepEqual(dtypes.map((x) => x.dtype), [mx.int32, mx.int64, mx.int64]);
});
Deno.test("einsumPath is NumPy's, also where a label stands twice", () => {
  const a = mx.zeros([5, 5]), b = mx.zeros([3, 3]), c = mx.zeros([3, 4]), d = mx.zeros([2, 5, 3]);
  assert.deepEqual(mx.einsumPath("dd,fb,be,cdb->cef", a, b, c, d)[0], [[0, 3], [0, 2], [0, 1]]);
});

Deno.test("gatherQqmm is qqmm of the chosen matrices", () => {
  const x = mx.random.normal([3, 2, 64]), w = mx.random.normal([4, 8, 64]);
  const lhs = [0, 2, 1], rhs = [3, 1, 1];
  const [lhsIndices, rhsIndices] = [mx.array(lhs, mx.int32), mx.array(rhs, mx.int32)];
  for (const mode of ["nvfp4", "mxfp8"] as const) {
    const each = lhs.map((l, i) => mx.qqmm(x.index(l), w.index(rhs[i]!), { mode }));
    const got = mx.gatherQqmm(x, w, { lhsIndices, rhsIndices, mode });
    near(got, mx.stack(each));
    const [words, scales] = mx.quantize(w, { mode });
    near(mx.gatherQqmm(x, words!, { scales, lhsIndices, rhsIndices, mode }), got);
  }
  assert.throws(() => mx.gatherQqmm(x.astype(mx.int32), w), /\[gatherQqmm\]/);
});
