/**
 * Values that are read while a function is differentiated: control flow on them, evaluation inside, nesting, what is
 * left over afterwards; and where there are none.
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import * as mx from "../../mod.ts";

type NDArray = mx.NDArray;
const number = (x: NDArray): number => Number(x.item());

Deno.test("grad: an if on a value takes the branch of that value", () => {
  const f = (x: NDArray) => number(x.sum()) > 0 ? x.mul(3).sum() : x.square().sum();
  assertEquals(mx.grad(f)(mx.array([1, 2])).tolist(), [3, 3]);
  assertEquals(mx.grad(f)(mx.array([-1, -2])).tolist(), [-2, -4]);
  assertEquals(mx.vjp(f, [mx.array([-1, -2])], [mx.array(2)])[1][0]!.tolist(), [-4, -8]);
  assertEquals(mx.jvp(f, [mx.array([-1, -2])], [mx.array([1, 0])])[1][0]!.item(), -2);
  assertEquals(mx.hessian(f)(mx.array([-1, -2])).tolist(), [[2, 0], [0, 2]]);
  assertEquals(mx.jacrev((x: NDArray) => number(x) > 0 ? x.mul(5) : x)(mx.array(1)).item(), 5);
});
Deno.test("grad: every way to read gives the value", async () => {
  const seen: unknown[] = [], waiting: Promise<unknown>[] = [];
  mx.grad((x: NDArray) => {
    const y = x.mul(2);
    mx.eval(y, { x });
    waiting.push(y.data(), Promise.resolve(mx.asyncEval(y.add(1))));
    seen.push(y.tolist(), x.dataSync(), String(y), mx.nonzero(y)[0]!.tolist());
    return y.sum();
  })(mx.array([1, 0, 3]));
  assertEquals(seen, [[2, 0, 6], new Float32Array([1, 0, 3]), "array([2, 0, 6], dtype=float32)", [0, 2]]);
  assertEquals((await Promise.all(waiting))[0], new Float32Array([2, 0, 6]));
});
Deno.test("grad: what was evaluated inside is not computed again, and stays differentiable", () => {
  let h = mx.array(0);
  const f = (x: NDArray): [NDArray, NDArray] => {
    h = x.exp();
    mx.eval(h);
    return [h.mul(h).sum(), h];
  };
  const [[, same], g] = mx.valueAndGrad(f)(mx.zeros([2]));
  assertEquals(same.state, "evaluated");
  assertEquals(g.tolist(), [2, 2]);
});
Deno.test("grad of grad: an inner value depends on outer ones, and its derivative still does", () => {
  const seen: number[] = [];
  const inner = (x: NDArray) => (y: NDArray) => {
    seen.push(number(y.mul(x)));
    mx.eval(y.square());
    return y.square().mul(x);
  };
  const f = (x: NDArray) => mx.grad(inner(x))(x.mul(2)); // d/dy (y² x) at y = 2x: 4x²
  assertEquals([number(f(mx.array(3))), number(mx.grad(f)(mx.array(3)))], [36, 24]);
  assertEquals(seen, [18, 18]);
});
Deno.test("grad: values are there inside checkpoint, customFunction and a mask", () => {
  const f = (y: NDArray) => number(y) > 0 ? y.square() : y;
  assertEquals(number(mx.grad(mx.checkpoint(f))(mx.array(3))), 6);
  assertEquals(number(mx.grad(mx.customFunction(f).vjp((x, ct) => ct.mul(number(x) + 1)))(mx.array(3))), 4);
  assertEquals(mx.grad((x: NDArray) => x.index(x.greater(0)).square().sum())(mx.array([1, -2, 3])).tolist(), [2, 0, 6]);
});
Deno.test("grad: reading an array that is to be overwritten gives nothing away", () => {
  const f = (x: NDArray) => {
    const y = x.mul(1), z = y.at(0).set(5);
    return number(z.sum()) > 0 ? z.mul(y).sum() : z;
  };
  assertEquals(mx.grad(f)(mx.array([1, 2])).tolist(), [5, 4]);
});
Deno.test("arrays left over from a gradient have values, and do not keep every step's history", () => {
  let state = mx.zeros([2]);
  const f = mx.valueAndGrad((x: NDArray) => {
    state = state.add(x);
    return state.sum();
  });
  for (let i = 1; i <= 3; i++) {
    const [y, g] = f(mx.ones([2]));
    mx.eval(state);
    assertEquals([state.tolist(), y.item(), g.tolist()], [[i, i], 2 * i, [1, 1]]);
    assert(!y.traced && !g.traced && !state.add(1).traced);
    assertEquals(state.inputs, []);
  }
});
Deno.test("a tracer left over stands for what it stood for, also inside compile", () => {
  const model = { w: mx.array([1, 2]) };
  const step = mx.compile((w: NDArray) => {
    const g = mx.grad((v: NDArray) => (model.w = v).square().sum())(w);
    return model.w.sub(g.mul(0.5));
  });
  assertEquals(step(mx.array([3, 4])).tolist(), [0, 0]);
  mx.grad((v: NDArray) => (model.w = v).sum())(mx.array([5, 6]));
  assertEquals(mx.compile(() => model.w.add(1))().tolist(), [6, 7]);
});
Deno.test("grad takes 0-d results only, as a cotangent of 1 fits nothing else", () => {
  const f = (x: NDArray) => x.sum({ keepdims: true });
  assertThrows(() => mx.grad(f)(mx.ones([2, 2])), mx.ShapeError, "a scalar as the first result");
});
Deno.test("vmap and compile have no values, also where a gradient is outside or between", () => {
  const f = (x: NDArray) => x.mul(number(x.sum())).sum(), x = mx.ones([2, 2]);
  const transformed = [
    mx.vmap(f),
    mx.compile(f),
    mx.vmap(mx.grad(f)),
    mx.compile(mx.grad(f)),
    mx.grad((x: NDArray) => mx.vmap(f)(x).sum()),
    mx.grad(mx.compile(f)),
    mx.vmap(mx.grad((x: NDArray) => mx.grad(f)(x).sum())),
  ];
  for (const g of transformed) assertThrows(() => g(x), mx.TraceError, "one that vmap or compile is tracing");
});
