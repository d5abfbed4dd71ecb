/**
 * Functions with rules of their own, checkpoints and dependencies, alone and inside every other transform.
 * @module
 */
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as mx from "../../core/mod.ts";

type NDArray = mx.NDArray;
type Unary = (x: NDArray) => NDArray;
const gradOfSum = (f: Unary): Unary => mx.grad((x: NDArray) => f(x).sum());
const at = mx.array([0.3, 0.7]);
function assertClose(actual: NDArray, expected: NDArray): void {
  assert(mx.allclose(actual, expected).item(), `${actual} is not ${expected}`);
}

/** exp, whose derivative claims to be exp + 5. */
const odd = mx.customFunction((x: NDArray) => x.exp()).vjp((_x, ct, y) => ct.mul(y.add(5)));
const oddSlope = at.exp().add(5);

Deno.test("a reverse rule replaces the derivative, in any nesting", () => {
  assertClose(odd(at), at.exp());
  assertClose(gradOfSum(odd)(at), oddSlope);
  assertClose(gradOfSum(gradOfSum(odd))(at), oddSlope); // the rule's own result is differentiated by the rule again
  assertClose(mx.vmap(mx.grad(odd))(at), oddSlope);
  assertClose(gradOfSum((x) => mx.vmap(odd)(x))(at), oddSlope);
  assertClose(mx.compile(gradOfSum(odd))(at), oddSlope);
  const compiled = mx.compile((x: NDArray) => odd(x).mul(3));
  assertClose(compiled(at), at.exp().mul(3));
  assertClose(gradOfSum(compiled)(at), oddSlope.mul(3));
  assertClose(mx.compile(gradOfSum(compiled))(at), oddSlope.mul(3));
  assertClose(mx.vmap(mx.compile(mx.grad(odd)))(at), oddSlope);
});

Deno.test("rules see arguments and results in their trees", () => {
  type Pair = { a: NDArray; b: NDArray };
  const f = mx.customFunction((p: Pair, k: NDArray): [NDArray, NDArray] => [p.a.mul(k), p.b.add(k)])
    .vjp((_primals, [c0, c1]) => [{ a: c0.mul(7), b: c1.mul(9) }, null]);
  const pair = { a: mx.ones([2]), b: mx.ones([2]) }, two = mx.array(2);
  const both = mx.grad((p: Pair) => {
    const [u, v] = f(p, two);
    return u.add(v).sum();
  })(pair);
  assertEquals([both.a.tolist(), both.b.tolist()], [[7, 7], [9, 9]]);
  const first = mx.grad((p: Pair) => f(p, two)[0].sum())(pair);
  assertEquals([first.a.tolist(), first.b.tolist()], [[7, 7], [0, 0]]);
});

Deno.test("cotangents of arguments that are not mapped add up", () => {
  const f = mx.customFunction((x: NDArray, w: NDArray) => x.mul(w))
    .vjp(([x, w], ct) => [ct.mul(w).mul(10), ct.mul(x).mul(10)]);
  const batched = mx.vmap((x: NDArray, w: NDArray) => f(x, w), { inAxes: [0, null] });
  assertAlmostEquals(
    Number(mx.grad((w: NDArray) => batched(mx.array([1, 2, 3]), w).sum())(mx.array(4)).item()),
    60,
    1e-4,
  );
});

Deno.test("forward and batching rules", () => {
  const f = mx.customFunction((x: NDArray) => x.sin()).jvp((_x, t) => t.mul(100));
  assertEquals(mx.jvp((x) => f(x), [at], [mx.ones([2])])[1][0]?.tolist(), [100, 100]);
  assertEquals(mx.jvp((x) => mx.vmap(f)(x), [at], [mx.ones([2])])[1][0]?.tolist(), [100, 100]);
  assertClose(gradOfSum(f)(at), at.cos());
  const g = mx.customFunction((x: NDArray, y: NDArray) => x.add(y)).vmap(([x, y], axes) => {
    assertEquals([...axes], [0, null]);
    return [x.subtract(y), 0];
  });
  const batched = mx.vmap((x: NDArray, y: NDArray) => g(x, y), { inAxes: [0, null] });
  assertEquals(batched(mx.array([5, 6]), mx.array(1)).tolist(), [4, 5]);
});

Deno.test("a rule that returns something else is refused", () => {
  const few = mx.customFunction((x: NDArray, y: NDArray) => x.mul(y)).vjp((_primals, ct) => [ct]);
  const two = mx.array(2);
  assertThrows(
    () => mx.grad((x: NDArray) => few(x, two))(two),
    mx.TransformError,
    "[customFunction] cannot use what the vjp rule returned: expected 2 arrays or nulls, got 1",
  );
  const wrong = mx.customFunction((x: NDArray) => x.mul(2)).vjp((_x, ct) => ct.reshape([1, 2]));
  assertThrows(() => gradOfSum(wrong)(at), mx.TransformError, "expected the shape of float32[2], got float32[1,2]");
});

const plain: Unary = (x) => x.exp().sin().mul(x);
const chain = (f: Unary): Unary => (x) => f(f(f(x)));
Deno.test("a checkpoint changes no value and no derivative, in any nesting", () => {
  const f = mx.checkpoint(plain), slope = gradOfSum(plain)(at);
  assertClose(f(at), plain(at));
  assertClose(gradOfSum(f)(at), slope);
  assertClose(gradOfSum((x) => gradOfSum(f)(x))(at), gradOfSum((x) => gradOfSum(plain)(x))(at));
  assertClose(mx.compile(gradOfSum(f))(at), slope);
  assertClose(mx.vmap(mx.grad(f))(at), slope);
  assertClose(gradOfSum((x) => mx.vmap(f)(x))(at), slope);
  const along = (g: Unary) => mx.jvp((x) => gradOfSum(g)(x), [at], [mx.ones([2])])[1][0] ?? at;
  assertClose(along(f), along(plain));
  const chained = gradOfSum(chain(plain))(at);
  for (const g of [chain(f), mx.checkpoint(chain(plain)), mx.checkpoint(chain(f))]) {
    assertClose(gradOfSum(g)(at), chained);
    assertClose(mx.compile(gradOfSum(g))(at), chained);
    assertClose(mx.vmap(mx.compile(mx.grad(g)))(at), chained);
  }
});

Deno.test("a checkpoint differentiates what it captures", () => {
  const loss = (f: (g: Unary) => Unary) => mx.grad((w: NDArray) => f((x) => x.mul(w).exp())(at).sum())(mx.array(2));
  assertClose(loss((g) => mx.checkpoint(g)), loss((g) => g));
});

Deno.test("a checkpoint needs less memory for a compiled gradient", () => {
  const deep = (f: Unary): Unary => (x) => Array.from({ length: 24 }).reduce((y: NDArray) => f(y), x);
  const block: Unary = (x) => x.sin().cumsum(0).mul(0.01).sin().cumsum(0).mul(0.01).sin().cumsum(0).mul(0.01);
  const x = mx.ones([64, 1024]);
  const peakOf = (f: Unary): number => {
    const compiled = mx.compile(gradOfSum(deep(f)));
    mx.eval(x);
    mx.clearCache();
    mx.resetPeakMemory();
    const before = mx.getActiveMemory();
    mx.eval(compiled(x));
    return mx.getPeakMemory() - before;
  };
  const whole = peakOf(block), recomputed = peakOf(mx.checkpoint(block));
  assert(recomputed < 0.6 * whole, `${recomputed} bytes with checkpoints, ${whole} without`);
});

Deno.test("depends returns its inputs and is transparent to transforms", () => {
  assertEquals(mx.depends([mx.ones([2])], mx.zeros([3])).map((x) => x.tolist()), [[1, 1]]);
  const f: Unary = (x) => mx.depends(x, x.mul(2)).mul(3);
  assertEquals(f(mx.ones([2])).tolist(), [3, 3]);
  assertEquals(gradOfSum(f)(mx.ones([2])).tolist(), [3, 3]);
  assertEquals(mx.vmap(f)(mx.ones([2])).tolist(), [3, 3]);
  assertEquals(mx.compile(f)(mx.ones([2])).tolist(), [3, 3]);
});
