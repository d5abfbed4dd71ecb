/**
 * `mx.eval` and `mx.asyncEval`, on trees of arrays.
 * @module
 */
import type { NDArray } from "./array.ts";
import { awaitArrays } from "./async.ts";
import { evaluate, submit } from "./eval.ts";
import { isArray } from "./graph.ts";

/** What {@linkcode asyncEval} returns: work that has been queued. Awaiting it waits; ignoring it is fine. */
export interface Pending extends PromiseLike<void> {}

/** The arrays in trees: lists, objects, and the fields of modules, optimizers and caches. */
function arraysIn(trees: readonly unknown[]): NDArray[] {
  const found = new Set<NDArray>(), seen = new Set<object>();
  const walk = (x: unknown): void => {
    if (isArray(x)) found.add(x);
    else if (typeof x === "object" && x !== null && !ArrayBuffer.isView(x) && !seen.has(x)) {
      seen.add(x);
      for (const v of Object.values(x)) walk(v);
    }
  };
  trees.forEach(walk);
  return [...found];
}
/**
 * Evaluates all arrays of the trees and waits (`mlx.core.eval`). The first error is thrown; the other arrays are
 * computed all the same.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.ones([2]), y = x.add(1);
 * mx.eval(x, { y });
 * ```
 */
export function evaluateTree(...trees: readonly unknown[]): void {
  evaluate(arraysIn(trees));
}
/**
 * Queues the work and returns at once (`mlx.core.async_eval`). The result can be awaited, or ignored: then an error is
 * met by whoever reads one of the arrays.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.ones([2]).add(1);
 * await mx.asyncEval(x);
 * x.tolist(); // [2, 2]
 * ```
 */
export function asyncEval(...trees: readonly unknown[]): Pending {
  const arrays = arraysIn(trees);
  submit(arrays);
  return { then: (done, failed) => awaitArrays(arrays).then(done, failed) };
}
