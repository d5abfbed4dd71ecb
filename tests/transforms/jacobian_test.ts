/**
 * Jacobians, Hessians and their products against formulas, in trees, for several arguments, and inside other transforms;
 * negative axes and trees in grad and vmap; mixed rules of custom functions.
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";
import * as mx from "../../mod.ts";
import { assertNear } from "../eval/util.ts";

type NDArray = mx.NDArray;
const A = mx.array([[1, 2, 3], [4, 5, 6]]), at = mx.array([1, -2, 0.5]);
const forms = [["jacfwd", mx.jacfwd], ["jacrev", mx.jacrev]] as const;

for (const [name, jacobian] of forms) {
  Deno.test(`${name}: d(A x)/dx = A, and shapes are those of the result and the argument`, () => {
    assertEquals(jacobian((x: NDArray) => mx.matmul(A, x))(at).tolist(), A.tolist());
    const j = jacobian((x: NDArray) => x.exp().reshape([3, 1]).add(mx.zeros([3, 2])))(at);
    assertEquals([...j.shape], [3, 2, 3]);
    assertNear(j.index(1), [0, Math.exp(-2), 0, 0, Math.exp(-2), 0]);
    assertEquals([...jacobian((x: NDArray) => x.sum())(mx.ones([2, 2])).shape], [2, 2]);
  });
  Deno.test(`${name}: trees of results and arguments, positions from the end, names`, () => {
    const f = (p: { w: NDArray; b: NDArray }, x: NDArray) => ({ y: p.w.mul(x), z: [p.b.mul(2)] });
    const p = { w: mx.array([1, 2]), b: mx.array(3) }, x = mx.array([4, 5]);
    const { y, z } = jacobian(f)(p, x);
    assertEquals([y.w.tolist(), y.b.tolist(), z[0]!.w.tolist(), z[0]!.b.tolist()], [
      [[4, 0], [0, 5]],
      [0, 0],
      [0, 0],
      2,
    ]);
    assertEquals(jacobian(f, -1)(p, x).y.tolist(), [[1, 0], [0, 2]]);
    const [dp, dx] = jacobian(f, [0, 1])(p, x).y;
    assertEquals([dp.w.tolist(), dx.tolist()], [[[4, 0], [0, 5]], [[1, 0], [0, 2]]]);
    const g = (x: NDArray, o: { scale: NDArray }) => x.mul(o.scale);
    const [first, named] = jacobian(g, { argnums: 0, argnames: "scale" })(x, { scale: mx.array(3) });
    assertEquals([first.tolist(), named.scale.tolist()], [[[3, 0], [0, 3]], [4, 5]]);
  });
  Deno.test(`${name}: integers are refused, and it goes through grad, vmap and compile`, () => {
    assertThrows(() => jacobian((x: NDArray) => x.mul(2))(mx.array([1], mx.int32)), mx.DTypeError, "[" + name + "]");
    const cube = (x: NDArray) => x.mul(x).mul(x), j = jacobian(cube);
    assertNear(mx.grad((x: NDArray) => j(x).sum())(at), [6, -12, 3]);
    const rows = mx.stack([at, at.mul(2)]), diagonal = (x: NDArray) => mx.diag(j(x));
    assertNear(mx.vmap(diagonal)(rows), [3, 12, 0.75, 12, 48, 3]);
    assertNear(mx.compile(diagonal)(at), [3, 12, 0.75]);
  });
}
Deno.test("hessian: of a quadratic form and of a product, in blocks", () => {
  const m = mx.array([[2, 1, 0], [0, 3, -1], [4, 0, 1]]), form = (x: NDArray) => mx.matmul(x, mx.matmul(m, x));
  assertEquals(mx.hessian(form)(at).tolist(), m.add(m.T).tolist());
  const [[xx, xy], [yx, yy]] = mx.hessian((x: NDArray, y: NDArray) => x.square().mul(y).sum(), [0, 1])(
    mx.array([1, 2]),
    mx.array([3, 4]),
  );
  assertEquals([xx.tolist(), xy.tolist(), yx.tolist(), yy.tolist()], [
    [[6, 0], [0, 8]],
    [[2, 0], [0, 4]],
    [[2, 0], [0, 4]],
    [[0, 0], [0, 0]],
  ]);
  assertEquals([...mx.hessian((x: NDArray) => x.mul(x))(at).shape], [3, 3, 3]);
});
Deno.test("hvp: the Hessian times a vector, for trees and chosen arguments", () => {
  const f = (p: { w: NDArray }, x: NDArray) => p.w.mul(p.w).mul(x).sin().sum();
  const p = { w: mx.array([0.5, 1]) }, x = mx.array([1, 2]), v = mx.array([1, -1]);
  const h = mx.hessian((w: NDArray) => f({ w }, x))(p.w);
  assertNear(mx.hvp(f, [p, x], { w: v }).w, mx.matmul(h, v).tolist() as number[]);
  const [one, both] = [mx.hvp(f, [p, x], v, 1), mx.hvp(f, [p, x], [{ w: v.mul(0) }, v], [0, 1])];
  assertNear(both[1], one.tolist() as number[]);
  assertThrows(() => mx.hvp(f, [p, x], { w: mx.ones([3]) }), mx.ShapeError, "float32[2]");
});

Deno.test("grad counts arguments from the end, and trees may hold what is no array", () => {
  const f = (x: NDArray, o: { rate: number; w: NDArray[] }) =>
    o.w.reduce((a, w) => a.add(w.mul(x).sum()), mx.array(0)).mul(o.rate);
  const args: Parameters<typeof f> = [mx.array([1, 2]), { rate: 3, w: [mx.array([1, 1]), mx.array([2, 0])] }];
  const g = mx.grad(f, -1)(...args);
  assertEquals([g.rate, g.w.map((w) => w.tolist())], [3, [[3, 6], [3, 6]]]);
  assertEquals(mx.grad(f, [-2])(...args).tolist(), [9, 3]);
  assertThrows(() => mx.grad(f, -3)(...args), mx.TransformError, "argument -3");
});
Deno.test("vmap takes negative axes and trees of axes on both sides", () => {
  const x = mx.arange(6).reshape([2, 3]), double = (x: NDArray) => x.mul(2);
  assertEquals(mx.vmap(double, { inAxes: -1, outAxes: -1 })(x).tolist(), [[0, 2, 4], [6, 8, 10]]);
  assertEquals(mx.vmap(double, { inAxes: -1 })(x).tolist(), [[0, 6], [2, 8], [4, 10]]);
  const f = (p: { a: NDArray; b: NDArray[] }) => ({ sum: p.a.add(p.b[0]!), rest: [p.b[1]!] });
  const out = mx.vmap(f, { inAxes: [{ a: -1, b: [0, null] }], outAxes: { sum: -1, rest: null } })({
    a: x,
    b: [mx.array([10, 20, 30]), mx.array(5)],
  });
  assertEquals([out.sum.tolist(), out.rest[0]!.tolist()], [[[10, 21, 32], [13, 24, 35]], 5]);
  assertThrows(() => mx.vmap(double, { inAxes: -3 })(x), mx.ShapeError, "axis -3");
});
Deno.test("custom rules mix: each transform takes its own rule, and goes through the function where there is none", () => {
  const calls: string[] = [];
  const f = mx.customFunction((x: NDArray) => x.mul(3)).vjp((_x, ct) => (calls.push("vjp"), ct.mul(10)));
  assertEquals([mx.jvp(f, [at], [mx.ones([3])])[1][0].tolist(), calls], [[3, 3, 3], []]);
  f.vmap((x, axis) => (calls.push("vmap"), [x.mul(3), axis]));
  const rows = mx.stack([at, at]), total = (x: NDArray) => f(x).sum();
  assertEquals(mx.vmap(mx.grad(total))(rows).tolist(), mx.full([2, 3], 10).tolist());
  assertEquals(mx.grad((x: NDArray) => mx.vmap(f)(x).sum())(rows).tolist(), mx.full([2, 3], 3).tolist());
  assertEquals(calls, ["vjp", "vmap"]);
  assertEquals(mx.jacrev(f)(at).tolist(), mx.eye(3).mul(10).tolist());
  assertEquals(mx.jacfwd(f)(at).tolist(), mx.eye(3).mul(3).tolist());
});
Deno.test("depends: derivatives and batches go to the array alone, and it is computed after the others", () => {
  const f = (x: NDArray, y: NDArray) => mx.depends(x.mul(2), [y.exp()]);
  const [, [dx, dy]] = mx.vjp(f, [at, at], [mx.ones([3])]);
  assertEquals([dx.tolist(), dy.tolist()], [[2, 2, 2], [0, 0, 0]]);
  const rows = mx.stack([at, at.mul(2)]);
  assertEquals(mx.vmap(f, { inAxes: [null, 0], outAxes: 0 })(at, rows).tolist(), mx.stack([at, at]).mul(2).tolist());
  assertEquals(mx.compile(f)(at, at).tolist(), at.mul(2).tolist());
});

Deno.test("vmap: batch axes of one argument may stand alone, and have to fit", () => {
  const f = (t: { a: NDArray; b: NDArray[] }) => t.a.add(t.b[0]!).mul(t.b[1]!);
  const a = mx.array([[1, 2], [3, 4], [5, 6]]), t = { a, b: [a.T, a.T] };
  for (const inAxes of [{ a: 0, b: 1 }, { a: 0, b: [1, 1] }, [{ a: 0, b: [1, [1]] }]]) {
    assertEquals(mx.vmap(f, { inAxes })(t).tolist(), [[2, 8], [18, 32], [50, 72]]);
  }
  const odd: mx.BatchAxes[] = [{ a: 0, b: [[1, 1], 1] }, { a: 0 }, { a: 0, b: 1, c: 0 }, [0, 1]];
  for (const inAxes of odd) {
    assertThrows(() => mx.vmap(f, { inAxes })(t), mx.ShapeError, "cannot match the batch axes");
  }
  assertThrows(() => mx.vmap(f, { inAxes: null })(t), mx.ShapeError, "at least one mapped array");
  const add = (p: NDArray[]) => p[0]!.add(p[1]!);
  assertEquals([...mx.vmap(add, { inAxes: [1, null], outAxes: [1] })([a, mx.zeros([3])]).shape], [3, 2]);
});
Deno.test("jvp: what does not move has zeros as its tangent, of a float dtype", () => {
  const [values, tangents] = mx.jvp((x) => [x.greater(0), x.astype(mx.int32)], [mx.array([1])], [mx.array([1])]);
  assertEquals(values.map((v) => v.dtype), [mx.bool_, mx.int32]);
  assertEquals(tangents.map((t) => [t.dtype, t.tolist()]), [[mx.float32, [0]], [mx.float32, [0]]]);
});
