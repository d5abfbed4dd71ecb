/**
 * Gated activations of language models.
 * @module
 */
import type { NDArray } from "../core/mod.ts";
import { silu } from "../nn/mod.ts";

/** `silu(gate) x`, elementwise: one fused kernel. */
export function swiglu(gate: NDArray, x: NDArray): NDArray {
  return silu(gate).multiply(x);
}
