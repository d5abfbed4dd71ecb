/**
 * Clipping of gradients by their norm.
 * @module
 */
import {
  array,
  divide,
  fail,
  float,
  float16,
  float32,
  issubdtype,
  minimum,
  type NDArray,
  sqrt,
  square,
  sum,
  treeMap,
  treeReduce,
  ValueError,
} from "../core/mod.ts";
import type { Parameters } from "./optimizer.ts";

/** Sum of squares; those of float16 add up in float32, where they cannot overflow. */
function squares(g: NDArray): NDArray {
  return sum(square(g.dtype === float16 ? g.astype(float32) : g));
}
/**
 * Gradients whose norm over all of them is at most `maxNorm`, and the norm before: `g · min(maxNorm / (norm + 1e-6),
 * 1)` (`mlx.optimizers.clip_grad_norm`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as optim from "@denim/ml/optimizers";
 * const [clipped, norm] = optim.clipGradNorm({ w: mx.array([3, 4]) }, 1);
 * norm.item(); // 5
 * clipped; // { w: array([0.6, 0.8]) }
 * ```
 */
export function clipGradNorm<P extends Parameters>(grads: P, maxNorm: number): [P, NDArray];
export function clipGradNorm(grads: Parameters, maxNorm: number): [Parameters, NDArray] {
  if (!(maxNorm >= 0)) {
    fail(ValueError, "optimizers.clipGradNorm", {
      cannot: `clip to a norm of ${maxNorm}`,
      expected: "a number of at least 0",
      got: String(maxNorm),
      fix: "change maxNorm",
    });
  }
  const none: NDArray | null = null;
  const total = treeReduce((s: NDArray | null, g: NDArray) => s?.add(squares(g)) ?? squares(g), grads, {
    initializer: none,
  });
  const norm = sqrt(total ?? array(0)), normalizer = minimum(divide(float(maxNorm), norm.add(float(1e-6))), float(1));
  const scaled = (g: NDArray): NDArray => {
    const y = g.mul(normalizer);
    return issubdtype(g.dtype, "floating") ? y.astype(g.dtype) : y;
  };
  return [treeMap(scaled, grads), norm];
}
