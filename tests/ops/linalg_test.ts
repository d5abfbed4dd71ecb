/**
 * The functions of `mx.linalg` by what defines them: factors multiply to the matrix, vectors are orthonormal, in all
 * shapes and dtypes; special matrices, large ones, what is refused, and gradients that do not depend on the choice of
 * vectors. The primitives themselves are in the generic suites.
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import * as mx from "../../mod.ts";
import { ON_GPU } from "./harness.ts";

const { linalg } = mx;
const key = mx.random.key(11);
function draw(dtype: mx.DType, ...shape: number[]): mx.NDArray {
  const x = mx.random.normal(shape, { key });
  return dtype === mx.complex64
    ? x.add(x.flatten().index("::-1").reshape(shape).mul(mx.complex(0, 1)))
    : x.astype(dtype);
}
const adjoint = (x: mx.NDArray): mx.NDArray => mx.conjugate(mx.swapaxes(x, -1, -2));
const WIDE = ON_GPU ? mx.float32 : mx.float64;
const wide = (x: mx.NDArray): mx.NDArray => x.dtype === mx.complex64 ? x : x.astype(WIDE);
function same(a: mx.NDArray, b: mx.NDArray, atol = 1e-4): void {
  assertEquals(a.shape, b.shape);
  assert(mx.allclose(wide(a), wide(b), { atol, rtol: 1e-4 }).item() === true, `${a}\nis not\n${b}`);
}
const identity = (n: number): mx.NDArray => mx.eye(n);
const SHAPES = [[3, 3], [5, 2], [2, 5], [4, 1], [1, 4], [2, 3, 4, 4], [40, 33], [33, 40], [0, 3], [3, 0], [0, 2, 2]];
const DTYPES = [mx.float32, ...ON_GPU ? [] : [mx.float64], mx.complex64];
const each = (title: string, run: (a: mx.NDArray, m: number, n: number) => void, square = false): void =>
  Deno.test(`linalg: ${title}`, () => {
    for (const shape of SHAPES) {
      const [m, n] = [shape.at(-2)!, shape.at(-1)!];
      if (square && m !== n) continue;
      for (const dtype of DTYPES) run(draw(dtype, ...shape), m, n);
    }
  });
const broadcast = (x: mx.NDArray, a: mx.NDArray): mx.NDArray =>
  mx.broadcastTo(x, [...a.shape.slice(0, -2), ...x.shape]);

each("lu", (a, m, n) => {
  const [p, l, u] = linalg.lu(a), k = Math.min(m, n);
  assertEquals([p.dtype, l.shape.at(-1), u.shape.at(-2)], [mx.uint32, k, k]);
  const rows = mx.broadcastTo(mx.expandDims(p, -1), l.shape);
  same(mx.matmul(mx.takeAlongAxis(l, rows, -2), u), a);
  assertEquals(linalg.luFactor(a)[1].shape, [...a.shape.slice(0, -2), k]);
});
each("qr", (a, m, n) => {
  const [q, r] = linalg.qr(a);
  same(mx.matmul(q, r), a);
  same(mx.matmul(adjoint(q), q), broadcast(identity(Math.min(m, n)), a));
  same(r, mx.triu(r));
});
each("svd", (a, m, n) => {
  const [u, s, vt] = linalg.svd(a), k = Math.min(m, n);
  assertEquals(s.dtype, a.dtype === mx.complex64 ? mx.float32 : a.dtype);
  same(mx.matmul(mx.multiply(u.index("...", `:${k}`), mx.expandDims(s, -2)), vt.index("...", `:${k}`, ":")), a);
  same(mx.matmul(adjoint(u), u), broadcast(identity(m), a));
  same(mx.matmul(vt, adjoint(vt)), broadcast(identity(n), a));
  same(linalg.svd(a, { computeUv: false }), s);
  if (k > 1) assert(mx.all(s.index("...", "1:").le(s.index("...", ":-1"))).item() === true);
});
each("pinv and lstsq", (a, m) => {
  const p = linalg.pinv(a);
  same(mx.matmul(mx.matmul(a, p), a), a);
  same(adjoint(mx.matmul(p, a)), mx.matmul(p, a));
  same(linalg.lstsq(a, broadcast(identity(m).astype(a.dtype), a)), p);
});
each("eigh", (a, _m, n) => {
  const h = a.add(adjoint(a)), [w, v] = linalg.eigh(h);
  same(mx.matmul(h, v), mx.multiply(v, mx.expandDims(w, -2)), 1e-3);
  same(mx.matmul(adjoint(v), v), broadcast(identity(n), a));
  same(linalg.eigvalsh(mx.tril(h)), w);
  same(linalg.eigvalsh(mx.triu(h), "U"), w);
}, true);
each("eig", (a) => {
  const [w, v] = linalg.eig(a);
  assertEquals([w.dtype, v.dtype], [mx.complex64, mx.complex64]);
  same(mx.matmul(a.astype(mx.complex64), v), mx.multiply(v, mx.expandDims(w, -2)), 1e-3);
  same(linalg.eigvals(a), w);
}, true);
each("cholesky, inverses and determinants", (a, _m, n) => {
  const one = broadcast(identity(n).astype(a.dtype), a), h = mx.matmul(a, adjoint(a)).add(one);
  for (const upper of [false, true]) {
    const l = linalg.cholesky(h, { upper });
    same(upper ? mx.matmul(adjoint(l), l) : mx.matmul(l, adjoint(l)), h, 1e-3);
    same(mx.matmul(linalg.choleskyInv(l, { upper }), h), one, 1e-3);
    same(mx.matmul(linalg.triInv(l, { upper }), l), one);
    same(mx.matmul(l, linalg.solveTriangular(l, a, { upper })), a);
  }
  same(mx.matmul(linalg.inv(h), h), one, 1e-3);
  same(mx.matmul(h, linalg.solve(h, a)), a, 1e-3);
  same(linalg.matrixPower(h, -2), linalg.inv(mx.matmul(h, h)));
  const [sign, log] = linalg.slogdet(h);
  same(log, mx.log(linalg.eigvalsh(h)).sum(-1), 1e-3);
  same(sign, mx.onesLike(sign));
}, true);

Deno.test("linalg: special matrices", () => {
  const zero = mx.zeros([3, 3]);
  assertEquals(linalg.svd(zero, { computeUv: false }).tolist(), [0, 0, 0]);
  assertEquals(linalg.eigvalsh(zero).tolist(), [0, 0, 0]);
  assertEquals(linalg.pinv(zero).tolist(), zero.tolist());
  assertEquals(linalg.det(zero).item(), 0);
  assertEquals(linalg.slogdet(zero).map((x) => x.item()), [0, -Infinity]);
  assertEquals(linalg.det(mx.zeros([0, 0])).item(), 1);
  same(linalg.qr(mx.eye(3))[0], mx.eye(3));
  same(linalg.eigvals(mx.array([[0, 1], [-1, 0]])), mx.array([mx.complex(0, -1), mx.complex(0, 1)]));
  same(linalg.eigvals(mx.array([[1, 1], [0, 1]])), mx.array([1, 1]).astype(mx.complex64));
  same(linalg.pinv(mx.array([[1, 2], [2, 4]])), mx.array([[0.04, 0.08], [0.08, 0.16]]));
  assertEquals(linalg.matrixRank(mx.array([[1, 2], [2, 4]])).item(), 1);
  assertEquals(mx.all(mx.isnan(linalg.cholesky(mx.eye(2).neg()).index(0, 0))).item(), true);
  for (const f of [linalg.eigvalsh, linalg.eigvals, linalg.pinv]) {
    assertEquals(mx.all(mx.isnan(f(mx.array([[NaN, 1], [1, 1]])))).item(), true);
  }
  same(linalg.expm(mx.array([[0, 30], [-30, 0]])), mx.array([[0.15425, -0.98803], [0.98803, 0.15425]]));
});
Deno.test("linalg: dtypes of determinants, vectors on the right, broadcasting", () => {
  assertEquals(linalg.det(mx.array([[1, 2], [3, 4]], mx.int8)).dtype, mx.float32);
  assertEquals(linalg.det(mx.eye(2).astype(mx.float16)).dtype, mx.float16);
  const a = draw(mx.float32, 3, 3);
  same(mx.matmul(a, linalg.solve(a, mx.array([1, 2, 3]))), mx.array([1, 2, 3]), 1e-3);
  assertEquals(linalg.solve(a, mx.ones([2, 3, 1])).shape, [2, 3, 1]);
  assertEquals(linalg.solveTriangular(mx.broadcastTo(a, [4, 3, 3]), mx.ones([3, 2])).shape, [4, 3, 2]);
});
Deno.test("linalg: what it refuses", () => {
  const a = mx.ones([2, 3]);
  assertThrows(() => linalg.inv(a), mx.ShapeError, "[inv] cannot use float32[2,3]: expected square matrices");
  assertThrows(() => linalg.qr(mx.ones([3])), mx.ShapeError, "at least two axes");
  assertThrows(() => linalg.svd(a.astype(mx.float16)), mx.DTypeError, "float32, float64 or complex64");
  assertThrows(() => linalg.solve(mx.eye(2), mx.ones([3])), mx.ShapeError, "2 rows on the right");
  assertThrows(() => linalg.solve(mx.eye(2).astype(mx.float16), mx.ones([2])), mx.DTypeError, "float32, float64");
  assertThrows(() => linalg.inv(mx.zeros([2, 2])).dataSync(), mx.KernelError, "the matrix is singular");
  assertThrows(() => linalg.triInv(mx.zeros([2, 2])).dataSync(), mx.KernelError, "the matrix is singular");
  assertThrows(() => linalg.matrixPower(mx.eye(2), 0.5), mx.ValueError, "an integer");
  // @ts-expect-error: no such triangle
  assertThrows(() => linalg.eigh(mx.eye(2), "X"), mx.ValueError, `"L" or "U"`);
});
Deno.test("linalg: norms by singular values", () => {
  const a = draw(mx.float32, 2, 3, 4), s = linalg.svd(a, { computeUv: false });
  same(linalg.norm(a, { ord: "nuc", axis: [1, 2] }), s.sum(-1));
  same(linalg.norm(a, { ord: 2, axis: [-2, -1] }), s.max(-1));
  same(linalg.norm(a, { ord: -2, axis: [2, 1], keepdims: true }), s.min(-1).reshape([2, 1, 1]));
  same(mx.matrixNorm(mx.swapaxes(a, 0, 1), { ord: "nuc", axis: [0, 2] }), s.sum(-1));
  assertEquals(linalg.norm(mx.eye(3).astype(mx.float16), "nuc").dtype, mx.float16);
  // U V^H, and only where the value is
  const square = draw(mx.float32, 3, 3), [u, , vt] = linalg.svd(square);
  same(mx.grad((x: mx.NDArray) => linalg.norm(x, "nuc"))(square), mx.matmul(u, vt));
  const rank = mx.matmul(u.index(":", ":1"), vt.index(":1"));
  same(mx.grad((x: mx.NDArray) => linalg.norm(x, 2))(square), rank);
  same(mx.grad((x: mx.NDArray) => linalg.norm(x, "nuc"))(mx.eye(3)), mx.eye(3));
});
Deno.test("linalg: gradients that do not depend on the choice of vectors", () => {
  const near = ON_GPU ? 1e-2 : 1e-4;
  for (const shape of [[4, 2], [2, 4], [5, 3]]) {
    const a = draw(WIDE, ...shape);
    // the sum of squares of a, through its vectors and through what has no value
    const back = (x: mx.NDArray) => {
      const [u, s, vt] = linalg.svd(x), k = s.shape[0]!;
      const y = mx.matmul(mx.multiply(u.index(":", `:${k}`), s), vt.index(`:${k}`));
      return y.square().sum();
    };
    same(mx.grad(back)(a), a.mul(2), near);
    const projector = (x: mx.NDArray) => {
      const [u] = linalg.svd(x), k = Math.min(...shape), rest = u.index(":", `${k}:`);
      return mx.matmul(rest, adjoint(rest)).mul(mx.arange(shape[0]! ** 2).reshape([shape[0]!, shape[0]!])).sum();
    };
    const byPinv = (x: mx.NDArray) =>
      mx.subtract(mx.eye(shape[0]!, { dtype: WIDE }), mx.matmul(x, linalg.pinv(x)))
        .mul(mx.arange(shape[0]! ** 2).reshape([shape[0]!, shape[0]!])).sum();
    same(mx.grad(projector)(a), mx.grad(byPinv)(a), near);
  }
  const det = (x: mx.NDArray) => linalg.det(x);
  same(mx.grad(det)(mx.array([[1, 2, 0], [2, 4, 0], [0, 0, 1]])), mx.array([[4, -2, 0], [-2, 1, 0], [0, 0, 0]]), near);
  same(mx.grad(det)(mx.array([[1, 1, 1], [2, 2, 2], [3, 3, 3]])), mx.zeros([3, 3]), near);
  // d2 det / da_ij da_kl at the unit matrix is [i = j and k = l] - [i = l and k = j]
  const e = mx.eye(2).reshape([4, 1]),
    crossed = e.reshape([2, 2]).reshape([2, 1, 1, 2]).mul(mx.eye(2).reshape([1, 2, 2, 1]));
  const second = mx.hessian((x: mx.NDArray) => det(x.reshape([2, 2])))(mx.eye(2).reshape([4]));
  same(second, e.matmul(e.T).sub(crossed.reshape([4, 4])), near);
  const h = draw(WIDE, 4, 4);
  same(mx.grad((x: mx.NDArray) => linalg.slogdet(x)[1]!)(h), linalg.inv(h).T, near);
  same(mx.grad((x: mx.NDArray) => linalg.eigvals(x).sum().abs())(h).abs(), mx.eye(4, { dtype: WIDE }), near);
});
Deno.test("linalg: of size 300", () => {
  const a = draw(mx.float32, 300, 300), h = a.add(a.T), one = mx.eye(300);
  const [w, v] = linalg.eigh(h), [u, s, vt] = linalg.svd(a);
  same(mx.matmul(mx.multiply(v, w), v.T), h, 1e-3);
  same(mx.matmul(mx.multiply(u, s), vt), a, 1e-3);
  same(mx.matmul(linalg.inv(a), a), one, 1e-2);
  const [values, vectors] = linalg.eig(a);
  same(mx.matmul(a.astype(mx.complex64), vectors), mx.multiply(vectors, values), 1e-2);
});
Deno.test("random: multivariateNormal has the mean and covariance", () => {
  const mean = mx.array([1, -2]), cov = mx.array([[2, 0.5], [0.5, 1]]);
  const x = mx.random.multivariateNormal(mean, cov, { shape: [20000], key });
  assertEquals([x.shape, x.dtype], [[20000, 2], mx.float32]);
  const rest = x.sub(mean);
  same(x.mean(0), mean, 0.05);
  same(mx.matmul(rest.T, rest).divide(20000), cov, 0.06);
  assertEquals(mx.random.multivariateNormal(mx.zeros([5, 2]), cov).shape, [5, 2]);
  assertEquals(mx.random.multivariateNormal(mx.zeros([5, 2]), cov, [3, 5]).shape, [3, 5, 2]);
  assertThrows(() => mx.random.multivariateNormal(mx.zeros([3]), cov), mx.ShapeError, "a mean [..., n]");
});
