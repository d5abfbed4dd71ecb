/**
 * How fast the state of a gated delta rule fades: see `mx.fast.gatedDeltaUpdate`.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { softplus } from "../nn/mod.ts";

/** `exp(-exp(A_log) softplus(a + bias))`, in float32: how much of the state stays, for each token and head. */
export function deltaDecay(A_log: NDArray, a: NDArray, bias: NDArray): NDArray {
  return A_log.astype(mx.float32).exp().multiply(softplus(a.add(bias))).negative().exp();
}
