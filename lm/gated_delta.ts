/**
 * The gated delta rule (https://arxiv.org/abs/2412.06464): a recurrence whose state maps keys to values. Each token lets it
 * fade, and then corrects what it says for the token's key.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { softplus } from "../nn/mod.ts";

/** Inputs of the rule for T tokens, and its state. */
export interface GatedDelta {
  /** [B, T, key heads, K]. */
  readonly q: NDArray;
  /** [B, T, key heads, K]. */
  readonly k: NDArray;
  /** [B, T, value heads, V]. */
  readonly v: NDArray;
  /** How much of the state stays, [B, T, value heads]. */
  readonly decay: NDArray;
  /** How much is corrected, [B, T, value heads]. */
  readonly beta: NDArray;
  /** [B, value heads, V, K]; null: zeros. */
  readonly state: NDArray | null;
}
/** `exp(-exp(A_log) softplus(a + bias))`, in float32. */
export function deltaDecay(A_log: NDArray, a: NDArray, bias: NDArray): NDArray {
  return A_log.astype(mx.float32).exp().multiply(softplus(a.add(bias))).negative().exp();
}
/** `S = decay S; S = S + beta (v - S k) kᵀ; y = S q`, token by token: y [B, T, value heads, V] and the last S. */
export function gatedDelta({ q, k, v, decay, beta, state }: GatedDelta): [y: NDArray, state: NDArray] {
  const [B = 1, T = 1, heads = 1, V = 1] = v.shape, [, , keyHeads = 1, K = 1] = q.shape, repeats = heads / keyHeads;
  const wide = (x: NDArray) => repeats === 1 ? x : mx.repeat(x, repeats, 2), queries = wide(q), keys = wide(k);
  const ys: NDArray[] = [];
  let S = state ?? mx.zeros([B, heads, V, K]);
  for (let t = 0; t < T; t++) {
    const at = (x: NDArray) => x.index(mx.slice(null), t), key = at(keys).expandDims(-2);
    S = S.multiply(at(decay).expandDims([-1, -2]));
    const correction = at(v).subtract(S.multiply(key).sum(-1)).multiply(at(beta).expandDims(-1));
    S = S.add(correction.expandDims(-1).multiply(key));
    ys.push(S.multiply(at(queries).expandDims(-2)).sum(-1).astype(q.dtype));
  }
  return [mx.stack(ys, 1), S];
}
