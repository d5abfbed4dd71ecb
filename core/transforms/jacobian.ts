/**
 * Whole Jacobians and Hessians: the rules of `grad.ts`, batched over the unit vectors of the results (`jacrev`) or of
 * the arguments (`jacfwd`). JAX has them, MLX has not; `argnums` mean what they mean in `grad`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import { eye, zerosLike } from "../ops/create.ts";
import { moveaxis, reshape } from "../ops/view.ts";
import { describe, sameShape, sizeOf } from "../shape.ts";
import { type Argnums, type Gradient, type Selected, selected, type Selection, selection } from "./arguments.ts";
import { grad, pullback, pushforward } from "./grad.ts";
import { type Flat, flatten, outputArrays, type Trace, traceAt } from "./trace.ts";
import { vmap } from "./vmap.ts";

/** The tree of results `R` with the derivatives `G` in the place of each array. */
export type Jacobian<R, G> = R extends NDArray ? G : { -readonly [K in keyof R]: Jacobian<R[K], G> };
/** Second derivatives: the tree of results, in each place the tree of arguments, and in each place of that one more. */
export type Hessian<A extends readonly unknown[], R, S extends Argnums = 0> = Jacobian<
  Jacobian<R, Gradient<A, S>>,
  Gradient<A, S>
>;

/** A traced function, what was asked of its arguments, and its results. */
interface Traced<A extends readonly unknown[], R> {
  readonly t: Trace;
  readonly arguments: Selected<A>;
  readonly results: Flat<R>;
}
function traced<A extends readonly unknown[], R, T>(
  op: string,
  f: (...args: A) => R,
  s: Selection,
  args: A,
  use: (traced: Traced<A, R>) => T,
): T {
  const picked = selected(op, s, args);
  for (const x of picked.flat.arrays) requireFloat(op, x);
  let results: Flat<R> | undefined;
  return traceAt(
    picked.flat.arrays,
    (xs) => (results = outputArrays(op, f(...picked.replaced(xs)))).arrays,
    (t) => use({ t, arguments: picked, results: results! }),
  );
}
function requireFloat(op: string, x: NDArray): void {
  if (x.dtype.kind === "float") return;
  fail(DTypeError, op, {
    cannot: `differentiate with respect to ${describe(x)}`,
    expected: "real floats",
    got: x.dtype.name,
    fix: "cast it with astype(mx.float32), or change argnums",
  });
}
/** All unit vectors in the shape of `x`, one after the other: [size, ...shape]. */
function units(x: NDArray): NDArray {
  const n = sizeOf(x.shape);
  return reshape(eye(n, { dtype: x.dtype }), [n, ...x.shape]);
}
/** The blocks of a Jacobian (by result, then by argument) in their trees. */
function inTrees<A extends readonly unknown[], R>(
  { arguments: picked, results }: Traced<A, R>,
  blocks: readonly (readonly NDArray[])[],
): unknown {
  return results.fill(blocks.map((row) => picked.result(picked.flat.restore(row))));
}

/**
 * A function that returns the Jacobian of `f`, computed row by row (reverse mode): good where there are fewer results
 * than arguments. Each array of the result, of shape S, is replaced by derivatives of shape S ++ T with respect to each
 * argument of shape T (`jax.jacrev`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const j = mx.jacrev((x: mx.NDArray) => x.square())(mx.array([1, 2]));
 * j.tolist(); // [[2, 0], [0, 4]]
 * ```
 */
export function jacrev<A extends readonly unknown[], R, const S extends Argnums = 0>(
  f: (...args: A) => R,
  argnums?: S,
): (...args: A) => Jacobian<R, Gradient<A, S>>;
export function jacrev(f: (...args: unknown[]) => unknown, argnums: Argnums = 0): (...args: unknown[]) => unknown {
  const s = selection(argnums);
  return (...args) =>
    traced("jacrev", f, s, args, (all) => {
      const { t, arguments: { flat: { arrays } } } = all;
      const blocks = t.outputs.map((y, i) => {
        requireFloat("jacrev", y);
        const row = (ct: NDArray): NDArray[] =>
          pullback(t, arrays, t.outputs.map((_, k) => k === i ? ct : null)).grads.map((g, k) =>
            g ?? zerosLike(arrays[k]!)
          );
        return vmap(row)(units(y)).map((g, k) => reshape(g, [...y.shape, ...arrays[k]!.shape]));
      });
      return inTrees(all, blocks);
    });
}
/**
 * A function that returns the Jacobian of `f`, computed column by column (forward mode): good where there are fewer
 * arguments than results (`jax.jacfwd`). What it returns is what {@linkcode jacrev} returns.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const j = mx.jacfwd((x: mx.NDArray) => x.index(0).mul(x))(mx.array([1, 2]));
 * j.tolist(); // [[2, 0], [2, 1]]
 * ```
 */
export function jacfwd<A extends readonly unknown[], R, const S extends Argnums = 0>(
  f: (...args: A) => R,
  argnums?: S,
): (...args: A) => Jacobian<R, Gradient<A, S>>;
export function jacfwd(f: (...args: unknown[]) => unknown, argnums: Argnums = 0): (...args: unknown[]) => unknown {
  const s = selection(argnums);
  return (...args) =>
    traced("jacfwd", f, s, args, (all) => {
      const { t, arguments: { flat: { arrays } } } = all;
      const columns = arrays.map((x, i) => {
        const column = (tangent: NDArray): NDArray[] => {
          const { tangents, values } = pushforward(t, arrays, arrays.map((_, k) => k === i ? tangent : null));
          return tangents.map((d, k) => d ?? zerosLike(values[k]!));
        };
        return vmap(column)(units(x)).map((d, k) => reshape(moveaxis(d, 0, -1), [...t.outputs[k]!.shape, ...x.shape]));
      });
      return inTrees(all, t.outputs.map((_, k) => columns.map((c) => c[k]!)));
    });
}
/**
 * A function that returns the second derivatives of `f`: of each result, for each pair of arguments (`jax.hessian`).
 * It is the forward Jacobian of the reverse one.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const h = mx.hessian((x: mx.NDArray) => x.prod())(mx.array([2, 3]));
 * h.tolist(); // [[0, 1], [1, 0]]
 * ```
 */
export function hessian<A extends readonly unknown[], R, const S extends Argnums = 0>(
  f: (...args: A) => R,
  argnums?: S,
): (...args: A) => Hessian<A, R, S> {
  return jacfwd(jacrev(f, argnums), argnums);
}
/**
 * The Hessian of `f` times a vector, without the Hessian: the directional derivative of the gradient. `vector` has the
 * form of the gradients that `grad(f, argnums)` returns, and so has the result.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.array([1, 2, 3]);
 * mx.hvp((y: mx.NDArray) => y.power(3).sum(), [x], mx.ones([3])).tolist(); // [6, 12, 18]
 * ```
 */
export function hvp<A extends readonly unknown[], const S extends Argnums = 0>(
  f: (...args: A) => unknown,
  args: readonly [...A],
  vector: Gradient<A, S>,
  argnums?: S,
): Gradient<A, S>;
export function hvp(
  f: (...args: unknown[]) => unknown,
  args: readonly unknown[],
  vector: unknown,
  argnums: Argnums = 0,
): unknown {
  return traced("hvp", grad(f, argnums), selection(argnums), [...args], (all) => {
    const { arrays } = all.arguments.flat, along = flatten(vector).arrays;
    if (along.length !== arrays.length || along.some((v, i) => !sameShape(v.shape, arrays[i]!.shape))) {
      fail(ShapeError, "hvp", {
        cannot: "multiply by this vector",
        expected: `arrays like the arguments: ${arrays.map(describe).join(", ")}`,
        got: along.map(describe).join(", ") || "none",
        fix: "give it the form of grad(f, argnums)(...args)",
      });
    }
    const { tangents, values } = pushforward(all.t, arrays, along);
    return all.results.restore(tangents.map((d, i) => d ?? zerosLike(values[i]!)));
  });
}
