/**
 * Functions of `mx.fast` that are composed of others.
 * @module
 */
import type { NDArray } from "../array.ts";
import { atLeastFloat, float32, issubdtype, promoteTypes } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import { describe, sameShape } from "../shape.ts";
import { add, multiply, subtract } from "./binary.ts";
import { repeat, stack, takeAlongAxis } from "./index.ts";
import { cast } from "./operand.ts";
import { logsumexp, sum } from "./reduce.ts";
import { where } from "./ternary.ts";
import { zeros } from "./create.ts";
import { expandDims, sliceOf, squeeze } from "./view.ts";

/**
 * `logsumexp(logits) - logits[target]` over the last axis (`mlx.core.fast.cross_entropy`): logits [..., C] and integer
 * targets [...] in [0, C) -> float32 [...]. Computed in float32.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const loss = mx.fast.crossEntropy(mx.zeros([3, 4]), mx.array([0, 1, 3], mx.int32));
 * loss.shape; // [3], each log(4)
 * ```
 */
export function crossEntropy(logits: NDArray, targets: NDArray): NDArray {
  if (logits.dtype.kind !== "float" || !issubdtype(targets.dtype, "integer")) {
    fail(DTypeError, "crossEntropy", {
      cannot: `compare ${describe(logits)} with the targets ${describe(targets)}`,
      expected: "float logits and integer targets",
      got: `${logits.dtype} and ${targets.dtype}`,
      fix: "give classes, not probabilities, or use nn.losses.crossEntropy",
    });
  }
  if (logits.ndim === 0 || !sameShape(logits.shape.slice(0, -1), targets.shape)) {
    fail(ShapeError, "crossEntropy", {
      cannot: `compare ${describe(logits)} with the targets ${describe(targets)}`,
      expected: "one target for each row of logits",
      got: describe(targets),
      fix: "give classes, not probabilities, or use nn.losses.crossEntropy",
    });
  }
  const scores = cast(logits, float32);
  return subtract(logsumexp(scores, -1), squeeze(takeAlongAxis(scores, expandDims(targets, -1), -1), -1));
}

/** Options of {@linkcode gatedDeltaUpdate}. */
export interface GatedDeltaOptions {
  /** The state to begin with, [B, Hv, Dv, Dk]. Default: zeros. */
  readonly initialState?: NDArray | null;
  /** Which tokens exist, bool [B, T]. The others give zeros and leave the state as it is. Default: all. */
  readonly mask?: NDArray | null;
}
/** Queries and keys are [B, T, Hk, Dk], values [B, T, Hv, Dv], rates [B, T, Hv], and Hk divides Hv. */
function checkGatedDelta(q: NDArray, k: NDArray, v: NDArray, gamma: NDArray, beta: NDArray): void {
  const fits = q.ndim === 4 && v.ndim === 4 && sameShape(q.shape, k.shape) && q.shape[0] === v.shape[0] &&
    q.shape[1] === v.shape[1] && v.shape[2]! % q.shape[2]! === 0 &&
    [gamma, beta].every((rate) => sameShape(rate.shape, v.shape.slice(0, 3)));
  if (fits) return;
  fail(ShapeError, "gatedDeltaUpdate", {
    cannot: `combine ${[q, k, v, gamma, beta].map(describe).join(", ")}`,
    expected: "q and k [B, T, Hk, Dk], v [B, T, Hv, Dv], gamma and beta [B, T, Hv], Hk dividing Hv",
    got: "other shapes",
    fix: "reshape or transpose them",
  });
}
/**
 * The gated delta rule (`mlx.core.fast.gated_delta_update`, https://arxiv.org/abs/2412.06464): a recurrence whose state
 * maps keys to values. Token by token `S = gamma S`, `S = S + beta (v - S k) kᵀ`, `y = S q`, for queries and keys [B,
 * T, Hk, Dk], values [B, T, Hv, Dv], gamma and beta [B, T, Hv]. Returns y [B, T, Hv, Dv] in the dtype of q and k (float32
 * where they are integers), and the last S [B, Hv, Dv, Dk], at least float32.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const q = mx.random.normal([1, 5, 2, 8]), v = mx.random.normal([1, 5, 4, 3]), rate = mx.full([1, 5, 4], 0.5);
 * const [y, state] = mx.fast.gatedDeltaUpdate(q, q, v, rate, rate);
 * y.shape; // [1, 5, 4, 3]
 * state.shape; // [1, 4, 3, 8]
 * ```
 */
export function gatedDeltaUpdate(
  q: NDArray,
  k: NDArray,
  v: NDArray,
  gamma: NDArray,
  beta: NDArray,
  options: GatedDeltaOptions = {},
): [y: NDArray, state: NDArray] {
  checkGatedDelta(q, k, v, gamma, beta);
  const { initialState = null, mask = null } = options;
  const [B = 0, T = 0, heads = 0, values = 0] = v.shape, keys = q.shape[3] ?? 0, repeats = heads / (q.shape[2] ?? 1);
  const dtype = atLeastFloat(promoteTypes(q.dtype, k.dtype)), work = promoteTypes(dtype, float32);
  const wide = (x: NDArray) => cast(repeats === 1 ? x : repeat(x, repeats, 2), work);
  const [queries, wideKeys, wideValues, fade, rate] = [
    wide(q),
    wide(k),
    cast(v, work),
    cast(gamma, work),
    cast(beta, work),
  ];
  const at = (x: NDArray, t: number) =>
    squeeze(sliceOf(x, x.shape.map((_, i) => i === 1 ? t : 0), x.shape.map((n, i) => i === 1 ? t + 1 : n)), 1);
  let S = cast(initialState ?? zeros([B, heads, values, keys]), work);
  const ys: NDArray[] = [];
  for (let t = 0; t < T; t++) {
    const key = expandDims(at(wideKeys, t), -2), faded = multiply(S, expandDims(at(fade, t), [-1, -2]));
    const error = subtract(at(wideValues, t), sum(multiply(faded, key), -1));
    const correction = multiply(expandDims(multiply(error, expandDims(at(rate, t), -1)), -1), key);
    const next = add(faded, correction), y = sum(multiply(next, expandDims(at(queries, t), -2)), -1);
    const exists = mask && at(mask, t);
    S = exists ? where(expandDims(exists, [1, 2, 3]), next, S) : next;
    ys.push(cast(exists ? where(expandDims(exists, [1, 2]), y, 0) : y, dtype));
  }
  return [T === 0 ? zeros(v.shape, dtype) : stack(ys, 1), S];
}
