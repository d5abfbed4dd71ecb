/** Functions that are composed of others: covariance, the gated delta rule, cross entropy; against NumPy and loops. */
import assert from "node:assert/strict";
import * as mx from "../../core/mod.ts";

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
  assert.throws(() => mx.fast.crossEntropy(logits, logits), mx.ShapeError);
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
  const half = mx.fast.gatedDeltaUpdate(q.astype(mx.bfloat16), k, v, gamma, beta);
  assert.deepEqual(half.map((x) => x.dtype), [mx.bfloat16, mx.float32]);
  assert.throws(() => mx.fast.gatedDeltaUpdate(q, k, v, gamma.T, beta), mx.ShapeError);
});

Deno.test("complex powers of zero are zero, one, or NaN like their exponents", () => {
  const zero = mx.zeros([3], mx.complex64), exponents = mx.array([2, 0, NaN]).astype(mx.complex64);
  assert.deepEqual(mx.power(zero, exponents).real.tolist(), [0, 1, NaN]);
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
