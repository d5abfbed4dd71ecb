/**
 * Attention over what a cache gives.
 * @module
 */
import { fail, fast, type NDArray, ValueError } from "../core/mod.ts";
import type { Cache, Fetched, QuantizedFetched } from "./cache.ts";
import type { Mask } from "./mask.ts";
import { quantizedAttention } from "./quantized_cache.ts";

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
export function fetched(keys: NDArray, values: NDArray, cache: Cache | null): Fetched | QuantizedFetched {
  return cache ? cache.updateAndFetch(keys, values) : { keys, values, length: null };
}
function refuse(cannot: string, expected: string): never {
  return fail(ValueError, "attention", { cannot, expected, got: "a quantized one", fix: "leave out kvBits" });
}
/** {@linkcode fetched}, for attention that needs the numbers themselves. */
export function fetchedPlain(keys: NDArray, values: NDArray, cache: Cache | null): Fetched {
  const seen = fetched(keys, values, cache);
  return "bits" in seen ? refuse("compute this model's attention", "a plain cache") : seen;
}
/**
 * Attention of queries [B, H, L, D] to what was fetched, plain or quantized; of a buffer with room left only the part
 * that exists is seen (`scaled_dot_product_attention` of mlx-lm): [B, H, L, E].
 * @throws ValueError for sinks with a quantized cache.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { KVCache, QuantizedKVCache, scaledDotProductAttention } from "@denim/ml/lm";
 * const q = mx.random.normal([1, 4, 3, 32]), kv = mx.random.normal([1, 2, 3, 32]);
 * const how = { scale: 1 / Math.sqrt(32), mask: "causal" } as const;
 * const plain = scaledDotProductAttention(q, new KVCache().updateAndFetch(kv, kv), how);
 * const packed = scaledDotProductAttention(q, new QuantizedKVCache({ groupSize: 32 }).updateAndFetch(kv, kv), how);
 * [plain.shape, mx.allclose(plain, packed, 0, { atol: 0.1 }).item()]; // [[1, 4, 3, 32], true]
 * ```
 */
export function scaledDotProductAttention(
  queries: NDArray,
  seen: Fetched | QuantizedFetched,
  { scale, mask, sinks = null }: CachedAttentionOptions,
): NDArray {
  if (!("bits" in seen)) {
    const { keys, values, length } = seen;
    return fast.scaledDotProductAttention(queries, keys, values, { scale, mask, sinks, length });
  }
  return sinks ? refuse("use sinks", "a plain cache") : quantizedAttention(queries, seen, scale, mask);
}
