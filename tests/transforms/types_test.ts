/**
 * Types of transforms: what a typed function becomes keeps its arguments, its result and the names of both. `deno check`
 * is the test; each line below an `expect-error` has to be an error.
 * @module
 */
import { assertEquals } from "@std/assert";
import * as mx from "../../mod.ts";

type NDArray = mx.NDArray;
/** Are both types the same, in both directions? */
type Same<X, Y> = (<T>() => T extends X ? 1 : 2) extends (<T>() => T extends Y ? 1 : 2) ? true : false;
/** Compiles where the value's type is exactly `Expected`. */
function typed<Expected>() {
  return <Actual>(_value: () => Actual, ..._same: Same<Actual, Expected> extends true ? [] : [never]): void => {};
}
interface Model {
  w: NDArray;
  layers: NDArray[];
}
interface Options {
  scale: NDArray;
  mode: "a" | "b";
}
declare const m: Model, x: NDArray, o: Options;
const loss = (m: Model, x: NDArray, o: Options): [NDArray, { logits: NDArray }] => [
  m.w.mul(x).mul(o.scale).sum(),
  { logits: x },
];
type Result = [NDArray, { logits: NDArray }];

Deno.test("gradients have the form of the arguments that were asked for", () => {
  typed<Model>()(() => mx.grad(loss)(m, x, o));
  typed<NDArray>()(() => mx.grad(loss, 1)(m, x, o));
  typed<Options>()(() => mx.grad(loss, -1)(m, x, o));
  typed<[NDArray, Model]>()(() => mx.grad(loss, [-2, -3])(m, x, o));
  typed<NDArray>()(() => mx.grad(loss, [1])(m, x, o));
  typed<[Model, Options]>()(() => mx.grad(loss, [0, 2])(m, x, o));
  typed<[Result, Model]>()(() => mx.valueAndGrad(loss)(m, x, o));
  typed<[Result, [NDArray, Model]]>()(() => mx.valueAndGrad(loss, [1, 0])(m, x, o));
  typed<NDArray>()(() => mx.grad(loss, { argnums: 1 })(m, x, o));
  typed<[null, { scale: NDArray }]>()(() => mx.grad(loss, { argnames: "scale" })(m, x, o));
  typed<[Model, { scale: NDArray }]>()(() => mx.grad(loss, { argnums: 0, argnames: ["scale"] })(m, x, o));
  typed<(m: Model, x: NDArray, o: Options) => Model>()(() => mx.grad(loss));
  assertEquals(mx.grad((a: NDArray, b: NDArray) => a.mul(b), [0, 1])(mx.array(2), mx.array(3)).length, 2);
});
Deno.test("compiled, mapped and checkpointed functions have the type of the function", () => {
  typed<(m: Model, x: NDArray, o: Options) => Result>()(() => mx.compile(loss));
  typed<(m: Model, x: NDArray, o: Options) => Result>()(() => mx.vmap(loss));
  typed<(m: Model, x: NDArray, o: Options) => Result>()(() => mx.checkpoint(loss));
  typed<(x: NDArray, n?: number) => NDArray>()(() => mx.compile((x: NDArray, n?: number) => x.mul(n ?? 2)));
  typed<mx.CustomFunction<[NDArray], NDArray>>()(() => mx.customFunction((x: NDArray) => x));
  assertEquals(mx.compile((x: NDArray, n?: number) => x.mul(n ?? 2))(mx.array(3)).item(), 6);
});
Deno.test("vjp and jvp keep the lengths of lists", () => {
  const pair = (a: NDArray, b: NDArray): [NDArray, NDArray] => [a.mul(b), a];
  typed<[[NDArray], [NDArray]]>()(() => mx.vjp((a) => a.square(), [x], [x]));
  typed<[[NDArray, NDArray], [NDArray, NDArray]]>()(() => mx.vjp(pair, [x, x], [x, x]));
  typed<[[NDArray, NDArray], [NDArray, NDArray]]>()(() => mx.jvp(pair, [x, x], [x, x]));
  typed<[NDArray[], NDArray[]]>()(() => mx.vjp((...xs: NDArray[]) => xs, [x, x].slice(), [x]));
  assertEquals(mx.jvp(pair, [mx.array(2), mx.array(3)], [mx.array(1), mx.array(0)])[1].map((t) => t.item()), [3, 1]);
});
Deno.test("Jacobians are trees of results with trees of arguments in their places", () => {
  type Blocks = { w: NDArray; layers: NDArray[] };
  typed<NDArray>()(() => mx.jacrev((x: NDArray) => x)(x));
  typed<{ y: Model }>()(() => mx.jacfwd((m: Model) => ({ y: m.w }))(m));
  typed<[NDArray, NDArray]>()(() => mx.jacfwd((a: NDArray, b: NDArray) => a.mul(b), [0, 1])(x, x));
  typed<{ w: Blocks; layers: Blocks[] }>()(() => mx.hessian((m: Model) => m.w)(m));
  typed<Model>()(() => mx.hvp(loss, [m, x, o], m));
  assertEquals(mx.jacrev((x: NDArray) => ({ y: x.mul(2) }))(mx.array(1)).y.item(), 2);
});
Deno.test("what must not compile", () => {
  const wrong = (): void => {
    // @ts-expect-error: the test itself sees a difference
    typed<Model>()(() => mx.grad(loss, 1)(m, x, o));
    // @ts-expect-error: the arguments are those of the function
    mx.grad(loss)(x, x, o);
    // @ts-expect-error: one argument is missing
    mx.compile(loss)(m, x);
    // @ts-expect-error: the gradient of a model is no array
    mx.grad(loss)(m, x, o).item();
    // @ts-expect-error: there are two gradients
    mx.grad(loss, [0, 1])(m, x, o)[2];
    // @ts-expect-error: a name that is not among the options
    mx.grad(loss, { argnames: "scale" })(m, x, o)[1].mode;
    // @ts-expect-error: a mapped function takes the same trees
    mx.vmap(loss)(m, x, { scale: x });
    // @ts-expect-error: three gradients of two arguments
    const [, [, , c]] = mx.vjp((a: NDArray, b: NDArray) => a.mul(b), [x, x], [x]);
    // @ts-expect-error: the vector has the form of the argument
    mx.hvp(loss, [m, x, o], x);
    // @ts-expect-error: strings are no positions
    mx.grad(loss, "w");
    console.log(c);
  };
  assertEquals(typeof wrong, "function");
});
