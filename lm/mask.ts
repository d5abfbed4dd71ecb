/**
 * Attention masks.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { Cache } from "./cache.ts";

/** None, the name of the causal mask, or an array: true where a query may look. */
export type Mask = "causal" | mx.NDArray | null;

/**
 * [n, offset + n]: query i (at offset + i) sees keys up to itself, and no more than `windowSize` of them
 * (`create_causal_mask` of mlx-lm).
 *
 * @example
 * ```ts
 * import { causalMask } from "@denim/ml/lm";
 * causalMask(2, 1, null).tolist(); // [[true, true, false], [true, true, true]]
 * causalMask(2, 1, 2).tolist(); // [[true, true, false], [false, true, true]]
 * ```
 */
export function causalMask(n: number, offset: number, windowSize: number | null): mx.NDArray {
  const keys = mx.arange(offset + n).reshape([1, offset + n]), queries = mx.arange(offset, offset + n).reshape([n, 1]);
  const mask = queries.greaterEqual(keys);
  return windowSize === null ? mask : mask.logicalAnd(queries.less(keys.add(windowSize)));
}
/** [n, size]: the same for queries at an array `position` and following ones, over a buffer of `size` keys. */
export function causalMaskAt(n: number, position: mx.NDArray, size: number, windowSize: number | null): mx.NDArray {
  const keys = mx.arange(size).reshape([1, size]), queries = mx.arange(n).add(position.reshape([])).reshape([n, 1]);
  const mask = queries.greaterEqual(keys);
  return windowSize === null ? mask : mask.logicalAnd(queries.less(keys.add(windowSize)));
}
/**
 * The mask for the tokens of h [B, L, ...]: the cache's, or a causal one (`create_attention_mask` of mlx-lm).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { attentionMask } from "@denim/ml/lm";
 * const h = mx.zeros([1, 3, 64]);
 * attentionMask(h, null); // "causal"
 * const window = attentionMask(h, null, 2) as mx.NDArray;
 * window.tolist(); // [[true, false, false], [true, true, false], [false, true, true]]
 * attentionMask(mx.zeros([1, 1, 64]), null); // null
 * ```
 */
export function attentionMask(h: mx.NDArray, cache: Cache | null, windowSize: number | null = null): Mask {
  const n = h.shape[1]!;
  if (cache) return cache.makeMask(n, { windowSize });
  if (n === 1) return null;
  return windowSize !== null && n > windowSize ? causalMask(n, 0, windowSize) : "causal";
}
