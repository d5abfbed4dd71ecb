/**
 * Attention over what a cache gives.
 * @module
 */
import { fast, type NDArray } from "../core/mod.ts";
import type { Cache, Fetched } from "./cache.ts";
import type { Mask } from "./mask.ts";

/** Options of {@linkcode scaledDotProductAttention}. */
export interface CachedAttentionOptions {
  /** Factor of the scores, mostly `1 / √D`. */
  readonly scale: number;
  /** Which keys a query sees. */
  readonly mask: Mask;
  /** One score per head that takes part in the softmax and has no value. */
  readonly sinks?: NDArray | null;
}
/** Keys and values with those of the tokens before, or by themselves. */
export function fetched(keys: NDArray, values: NDArray, cache: Cache | null): Fetched {
  return cache ? cache.updateAndFetch(keys, values) : { keys, values, length: null };
}
/** Attention of queries [B, H, L, D] to what was fetched; of a buffer with room left only the part that exists is seen. */
export function scaledDotProductAttention(
  queries: NDArray,
  { keys, values, length }: Fetched,
  { scale, mask, sinks = null }: CachedAttentionOptions,
): NDArray {
  return fast.scaledDotProductAttention(queries, keys, values, { scale, mask, sinks, length });
}
