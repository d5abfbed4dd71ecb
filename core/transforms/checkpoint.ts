/**
 * Gradient checkpointing: the backward pass computes a function again instead of keeping what it computed inside.
 * @module
 */
import type { NDArray } from "../array.ts";
import { afterAll, type CallRules, withRules } from "./call.ts";
import { batchedRules } from "./custom.ts";
import { pullback } from "./grad.ts";
import { capturedBy, flatten, outputArrays, rebuild, type Trace, traceAt } from "./trace.ts";

/**
 * Cotangents from a second run of the trace, which waits until the cotangents are there: that is what saves the memory.
 */
function recomputing(t: Trace): CallRules {
  const vjp: CallRules["vjp"] = (args, _results, cotangents) => {
    const waited = cotangents.filter((c) => c !== null);
    return pullback(t, args.map((x) => afterAll(x, waited)), cotangents).grads;
  };
  return { vjp, batched: (mapped, size) => batchedRules({ vjp }, mapped, size) };
}

/**
 * A function that computes the same, and whose gradients are those of `f`, but that keeps only its arguments and
 * results for the backward pass and computes the rest again there (`mlx.core.checkpoint`). Arrays that `f` captures are
 * differentiated too.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const f = mx.checkpoint((x: mx.NDArray) => x.exp().sin());
 * mx.grad((x: mx.NDArray) => f(x).sum())(mx.array(0)).item(); // 0.5403
 * ```
 */
export function checkpoint<A extends readonly unknown[], R>(f: (...args: A) => R): (...args: A) => R {
  return (...args) => {
    const flat = flatten(args);
    let result: ReturnType<typeof outputArrays<R>> | undefined;
    const f1 = (xs: readonly NDArray[]) => (result = outputArrays("checkpoint", f(...flat.restore(xs)))).arrays;
    return traceAt(flat.arrays, f1, (inner) => {
      const captured = capturedBy(inner), t: Trace = { inputs: [...inner.inputs, ...captured], outputs: inner.outputs };
      const operands = [...flat.arrays, ...captured];
      return result!.restore(withRules(recomputing(t), operands, rebuild(t, operands)));
    });
  };
}
