/**
 * Derivatives: vjp, jvp, grad, valueAndGrad. A function is traced, built again on its arguments, and each record's rule
 * says how cotangents go back or tangents go forward; all of it is arrays again, so transforms nest in any order.
 * @module
 */
import type { NDArray } from "../array.ts";
import { float32 } from "../dtype.ts";
import { DTypeError, fail, ShapeError, TransformError } from "../errors.ts";
import { isArray, type Node } from "../graph.ts";
import { add } from "../ops/binary.ts";
import { onesLike, zeros, zerosLike } from "../ops/create.ts";
import type { None } from "../primitive.ts";
import { type Call, callOf, firstResults } from "./call.ts";
import { type Argnums, type Gradient, selected, type Selection, selection } from "./arguments.ts";
import { dependents, isBranch, outputArrays, rebuildInto, type Trace, traceAt } from "./trace.ts";
import { describe } from "../shape.ts";
import { forEachAt } from "../sites.ts";

function isNone(r: object): r is None {
  return "none" in r;
}
/** A rule that is there. */
export function rule<F extends object>(op: string, n: Node, r: F | None): F {
  if (!isNone(r)) return r;
  return fail(TransformError, op, {
    cannot: `go through ${n.prim.name}`,
    expected: "a function whose operations all have this rule",
    got: r.none,
    fix: "use stopGradient around it, or customFunction with a rule of your own",
  });
}

/** The primal values and the cotangents of the trace's inputs (null: none). */
export function pullback(
  t: Trace,
  primals: readonly NDArray[],
  cotangents: readonly (NDArray | null)[],
): { values: NDArray[]; grads: (NDArray | null)[] } {
  const made = new Map<NDArray, NDArray>(), order = dependents(t);
  t.inputs.forEach((x, i) => made.set(x, primals[i]!));
  rebuildInto(order, made);
  const values = t.outputs.map((o) => made.get(o) ?? o), cts = new Map<NDArray, NDArray>();
  const own = new Set<NDArray>([...t.inputs, ...order]);
  const accumulate = (x: NDArray, ct: NDArray) => {
    if (!own.has(x)) return;
    const sum = cts.get(x);
    cts.set(x, sum ? add(sum, ct) : ct);
  };
  t.outputs.forEach((o, i) => {
    const ct = cotangents[i];
    if (ct) accumulate(o, ct);
  });
  const first = firstResults(order), now = (x: NDArray): NDArray => made.get(x) ?? x;
  const backThrough = ({ rules, args, computed, results }: Call) => {
    const given = results.map((y) => cts.get(y) ?? null);
    for (const y of results) cts.delete(y);
    if (given.every((c) => c === null)) return;
    const grads = rules.vjp ? rules.vjp(args.map(now), results.map(now), given) : given;
    (rules.vjp ? args : computed).forEach((x, i) => grads[i] && accumulate(x, grads[i]));
  };
  forEachAt(order.toReversed(), (n) => {
    const call = callOf(n);
    if (call) {
      if (first.get(call) === n) backThrough(call);
      return;
    }
    const ct = cts.get(n);
    if (!ct) return;
    cts.delete(n);
    const onto = n.prim.vjpOnto && cts.get(n.inputs[0]!);
    if (onto) {
      cts.set(n.inputs[0]!, n.prim.vjpOnto!(onto, ct, n.params));
      return;
    }
    const xs = n.inputs.map((i) => made.get(i) ?? i);
    const grads = rule("vjp", n, n.prim.vjp)(xs, made.get(n)!, ct, n.params);
    n.inputs.forEach((i, at) => {
      const g = grads[at];
      if (g) accumulate(i, g);
    });
  }, "the gradient of");
  return { values, grads: t.inputs.map((x) => cts.get(x) ?? null) };
}
/** The primal values and the tangents of the trace's outputs (null: zero). */
export function pushforward(
  t: Trace,
  primals: readonly NDArray[],
  tangents: readonly (NDArray | null)[],
): { values: NDArray[]; tangents: (NDArray | null)[] } {
  const made = new Map<NDArray, NDArray>(), moved = new Map<NDArray, NDArray>();
  t.inputs.forEach((x, i) => {
    made.set(x, primals[i]!);
    const tangent = tangents[i];
    if (tangent) moved.set(x, tangent);
  });
  const order = dependents(t), first = firstResults(order), now = (x: NDArray): NDArray => made.get(x) ?? x;
  const forwardThrough = ({ rules, args, computed, results }: Call) => {
    const ts = (rules.jvp ? args : computed).map((x) => moved.get(x) ?? null);
    const out = rules.jvp && ts.some((x) => x !== null)
      ? rules.jvp(args.map(now), results.map(now), ts)
      : rules.jvp
      ? []
      : ts;
    results.forEach((y, i) => out[i] && moved.set(y, out[i]));
  };
  forEachAt(order, (n) => {
    rebuildInto([n], made);
    const call = callOf(n);
    if (call) {
      if (first.get(call) === n) forwardThrough(call);
      return;
    }
    const ts = n.inputs.map((i) => moved.get(i) ?? null);
    if (ts.every((x) => x === null)) return;
    const out = rule("jvp", n, n.prim.jvp)(n.inputs.map((i) => made.get(i) ?? i), made.get(n)!, ts, n.params);
    if (out) moved.set(n, out);
  }, "the tangent of");
  return { values: t.outputs.map((o) => made.get(o) ?? o), tangents: t.outputs.map((o) => moved.get(o) ?? null) };
}

function checkMatch(op: string, what: string, xs: readonly NDArray[], ys: readonly NDArray[]): void {
  if (xs.length !== ys.length) {
    fail(ShapeError, op, {
      cannot: `use ${ys.length} ${what}s`,
      expected: `${xs.length}, one per array`,
      got: String(ys.length),
      fix: `give a ${what} for each`,
    });
  }
  xs.forEach((x, i) => {
    if (x.shape.join() !== ys[i]!.shape.join()) {
      fail(ShapeError, op, {
        cannot: `use ${what} ${i}`,
        expected: `the shape of ${describe(x)}`,
        got: describe(ys[i]!),
        fix: `give it the shape [${x.shape.join(",")}]`,
      });
    }
  });
}
/** A function of arrays that returns an array or a list of them. */
export type ArrayFunction<
  A extends readonly NDArray[] = NDArray[],
  R extends NDArray | readonly NDArray[] = NDArray | readonly NDArray[],
> = (...xs: A) => R;
/** An array for each in a list of arrays, or for the only one. */
export type ArraysLike<T> = T extends NDArray ? [NDArray]
  : T extends readonly unknown[] ? { -readonly [K in keyof T]: NDArray }
  : never;
function listOf(result: NDArray | readonly NDArray[]): readonly NDArray[] {
  return isArray(result) ? [result] : result;
}
/** The same list, seen as one that is like `T`. */
function like<T>(list: readonly NDArray[]): ArraysLike<T>;
function like(list: readonly NDArray[]): unknown {
  return list;
}
/** The trace of a function of arrays, used. */
function traced<A extends readonly NDArray[], R>(
  f: (...xs: A) => NDArray | readonly NDArray[],
  primals: readonly [...A],
  use: (t: Trace) => R,
): R {
  return traceAt(primals, (xs) => listOf(f(...restored(xs, primals))), use);
}
/** Tracers in the places of the primals. */
function restored<A extends readonly NDArray[]>(xs: readonly NDArray[], as: readonly [...A]): A;
function restored(xs: readonly NDArray[]): readonly NDArray[] {
  return xs;
}

/**
 * Values and vector-Jacobian products: `[f(primals), cotangents · J]` (`mlx.core.vjp`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const [, [g]] = mx.vjp((x) => x.square(), [mx.array(3)], [mx.array(1)]);
 * g!.item(); // 6
 * ```
 */
export function vjp<A extends readonly NDArray[], R extends NDArray | readonly NDArray[]>(
  f: ArrayFunction<A, R>,
  primals: readonly [...A],
  cotangents: readonly NDArray[],
): [ArraysLike<R>, ArraysLike<A>] {
  return traced(f, primals, (t) => {
    checkMatch("vjp", "cotangent", t.outputs, cotangents);
    const { values, grads } = pullback(t, primals, cotangents);
    return [like<R>(values), like<A>(grads.map((g, i) => g ?? zerosLike(primals[i]!)))];
  });
}
/**
 * Values and Jacobian-vector products: `[f(primals), J · tangents]` (`mlx.core.jvp`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const [, [t]] = mx.jvp((x) => x.exp(), [mx.array(0)], [mx.array(2)]);
 * t!.item(); // 2
 * ```
 */
export function jvp<A extends readonly NDArray[], R extends NDArray | readonly NDArray[]>(
  f: ArrayFunction<A, R>,
  primals: readonly [...A],
  tangents: readonly NDArray[],
): [ArraysLike<R>, ArraysLike<R>] {
  checkMatch("jvp", "tangent", primals, tangents);
  return traced(f, primals, (t) => {
    const { values, tangents: out } = pushforward(t, primals, tangents);
    return [like<R>(values), like<R>(out.map((d, i) => d ?? noTangent(values[i]!)))];
  });
}

/** The tangent of what does not move: zeros, of floats also where the value has none, like that of a comparison. */
function noTangent(y: NDArray): NDArray {
  const isInexact = y.dtype.kind === "float" || y.dtype.kind === "complex";
  return isInexact ? zerosLike(y) : zeros(y.shape, { dtype: float32 });
}

/** The value and the gradients, from one run. */
function run<A extends readonly unknown[], R>(
  op: string,
  f: (...args: A) => R,
  s: Selection,
  args: A,
): { value: R; grads: unknown } {
  const { flat, replaced, result: resultOf } = selected(op, s, args);
  let result: ReturnType<typeof outputArrays<R>> | undefined;
  const f1 = (xs: readonly NDArray[]) => (result = outputArrays(op, f(...replaced(xs)))).arrays;
  return traceAt(flat.arrays, f1, (t) => {
    checkScalar(op, t.outputs[0]!);
    const { values, grads } = pullback(t, flat.arrays, t.outputs.map((o, i) => i === 0 ? onesLike(o) : null));
    const filled = grads.map((g, i) => g ?? zerosLike(flat.arrays[i]!));
    return { value: result!.restore(values), grads: resultOf(flat.restore(filled)) };
  });
}
/** Only a float scalar has a gradient. */
function checkScalar(op: string, y: NDArray): void {
  if (y.shape.length !== 0) {
    fail(ShapeError, op, {
      cannot: "differentiate the result",
      expected: "a scalar as the first result",
      got: describe(y),
      fix: "reduce it, for example with sum() or mean()",
    });
  }
  if (y.dtype.kind !== "float" && y.dtype.kind !== "complex") {
    fail(DTypeError, op, {
      cannot: "differentiate the result",
      expected: "a float result",
      got: describe(y),
      fix: "cast it with astype(mx.float32)",
    });
  }
}

/**
 * A function that returns `[f(...args), gradients]` (`mlx.core.value_and_grad`): the gradients of the first result,
 * which must be a scalar, with respect to the chosen arguments (trees of arrays), in containers of the same kind.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const [value, grad] = mx.valueAndGrad((x: mx.NDArray) => x.square().sum())(mx.array([1, 2]));
 * value.item(); // 5
 * grad.tolist(); // [2, 4]
 * ```
 */
export function valueAndGrad<A extends readonly unknown[], R, const S extends Argnums = 0>(
  f: (...args: A) => R,
  argnums?: S,
): (...args: A) => [R, Gradient<A, S>];
export function valueAndGrad(
  f: (...args: unknown[]) => unknown,
  argnums: Argnums = 0,
): (...args: unknown[]) => unknown {
  const s = selection(argnums);
  return (...args) => {
    const { value, grads } = run("valueAndGrad", f, s, args);
    return [value, grads];
  };
}
/**
 * A function that returns the gradients of `f` (`mlx.core.grad`): see {@linkcode valueAndGrad}.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const d = mx.grad((x: mx.NDArray) => x.sin());
 * d(mx.array(0)).item(); // 1
 * ```
 */
export function grad<A extends readonly unknown[], const S extends Argnums = 0>(
  f: (...args: A) => unknown,
  argnums?: S,
): (...args: A) => Gradient<A, S>;
export function grad(f: (...args: unknown[]) => unknown, argnums: Argnums = 0): (...args: unknown[]) => unknown {
  const s = selection(argnums);
  const single = (...args: unknown[]): unknown => {
    const result = f(...args);
    if (isArray(result)) return result;
    return fail(TransformError, "grad", {
      cannot: "differentiate the result",
      expected: "one scalar",
      got: isBranch(result) ? "a tree" : String(result),
      fix: "use valueAndGrad: it returns the other results too",
    });
  };
  return (...args) => run("grad", single, s, args).grads;
}
