/**
 * The cache of quantized keys and values, and attention over it. The plain cache is in `cache.ts`.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import {
  type Cache,
  type CacheState,
  type Clock,
  type MaskOptions,
  type QuantizedFetched,
  refuseState,
} from "./cache.ts";
import { emptyLike, grown, positions, roundUp, STEP, written } from "./cache_buffers.ts";
import { causalMask, causalMaskAt, type Mask } from "./mask.ts";

/** How keys and values are quantized: affinely, by groups of the last axis. */
export interface QuantizedCacheOptions {
  /** Numbers that share a scale. Default 64. */
  readonly groupSize?: number;
  /** Bits of a number. Default 8. */
  readonly bits?: number;
}

/**
 * Quantized keys and values of all tokens (`QuantizedKVCache` of mlx-lm): buffers grow by steps of 256.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { QuantizedKVCache } from "@denim/ml/lm";
 * const cache = new QuantizedKVCache({ groupSize: 32, bits: 4 }), x = mx.random.normal([1, 2, 3, 64]);
 * cache.updateAndFetch(x, x).keys.map((part) => part.shape); // [[1, 2, 3, 8], [1, 2, 3, 2], [1, 2, 3, 2]]
 * [cache.offset, cache.kind]; // [3, "QuantizedKVCache 32 4"]
 * ```
 */
export class QuantizedKVCache implements Cache {
  /** Words, scales and biases [B, heads, capacity, ...], or null before the first token. */
  keys: NDArray[] | null = null;
  /** As keys. */
  values: NDArray[] | null = null;
  /** Tokens seen so far. */
  offset = 0;
  /** Set while compiled programs write. */
  clock: Clock | null = null;
  /** Numbers that share a scale. */
  readonly groupSize: number;
  /** Bits of a number. */
  readonly bits: number;
  readonly #holder = new mx.Holder();
  /** An empty cache. */
  constructor({ groupSize = 64, bits = 8 }: QuantizedCacheOptions = {}) {
    [this.groupSize, this.bits] = [groupSize, bits];
  }
  /** A cache with the content of a plain one. */
  static of(
    keys: NDArray | null,
    values: NDArray | null,
    offset: number,
    options: QuantizedCacheOptions,
  ): QuantizedKVCache {
    const cache = new QuantizedKVCache(options);
    if (keys && values) cache.#set(cache.#quantized(keys), cache.#quantized(values));
    cache.offset = offset;
    return cache;
  }

  #quantized(x: NDArray): NDArray[] {
    return mx.quantize(x, { groupSize: this.groupSize, bits: this.bits });
  }
  #set(keys: NDArray[], values: NDArray[]): void {
    this.keys = keys.map((x, i) => this.#holder.hold(`keys ${i}`, x));
    this.values = values.map((x, i) => this.#holder.hold(`values ${i}`, x));
  }
  /** Where the next token stands. */
  position(): number | NDArray {
    return this.clock?.position ?? this.offset;
  }
  /** Quantizes and adds keys and values [B, heads, L, D]. */
  updateAndFetch(keys: NDArray, values: NDArray): QuantizedFetched {
    const tokens = keys.shape[2]!, { groupSize, bits, clock } = this;
    const k = this.#quantized(keys), v = this.#quantized(values);
    const put = (buffers: readonly NDArray[], updates: readonly NDArray[], at: number | NDArray): NDArray[] =>
      buffers.map((x, i) => written(x, updates[i]!, at));
    if (clock && this.keys && this.values) {
      this.keys = put(this.keys, k, clock.position);
      this.values = put(this.values, v, clock.position);
      return { keys: this.keys, values: this.values, length: clock.after(tokens), groupSize, bits };
    }
    const capacity = roundUp(this.offset + tokens);
    const room = (buffers: readonly NDArray[] | null, like: readonly NDArray[]): readonly NDArray[] =>
      buffers ? buffers.map((x) => grown(x, capacity)) : like.map((x) => emptyLike(x, capacity));
    this.#set(put(room(this.keys, k), k, this.offset), put(room(this.values, v), v, this.offset));
    this.offset += tokens;
    const used = (buffers: readonly NDArray[]) => buffers.map((x) => positions(x, 0, this.offset));
    return { keys: used(this.keys!), values: used(this.values!), length: null, groupSize, bits };
  }
  /** The mask for n new tokens. */
  makeMask(n: number, { windowSize = null, returnArray = false }: MaskOptions = {}): Mask {
    if (windowSize === null && (n === 1 || !returnArray)) return n === 1 ? null : "causal";
    if (!this.clock || !this.keys) return causalMask(n, this.offset, windowSize);
    return causalMaskAt(n, this.clock.position, this.keys[0]!.shape[2]!, windowSize);
  }
  /** Always. */
  isTrimmable(): boolean {
    return true;
  }
  /** Takes back up to n tokens. */
  trim(n: number): number {
    const taken = Math.min(this.offset, n);
    this.offset -= taken;
    return taken;
  }
  /** Buffers with their unused rest. */
  get state(): readonly NDArray[] {
    return [...this.keys ?? [], ...this.values ?? []];
  }
  /** [keys, values, offset, groupSize, bits]; of the buffers all whole steps that hold tokens. */
  snapshot(): CacheState {
    const used = (buffers: readonly NDArray[] | null) =>
      buffers && buffers.map((x) => positions(x, 0, Math.min(x.shape[2]!, roundUp(this.offset))));
    return [used(this.keys), used(this.values), this.offset, this.groupSize, this.bits];
  }
  /** A cache with a saved state. */
  static fromState(state: CacheState): QuantizedKVCache {
    const [keys = null, values = null, ...numbers] = Array.isArray(state) ? state : [];
    const [offset, groupSize, bits] = numbers.map(Number);
    const arrays = (x: CacheState) => Array.isArray(x) ? x.filter((item) => item instanceof mx.NDArray) : [];
    if (offset === undefined || groupSize === undefined || bits === undefined) {
      return refuseState("QuantizedKVCache", "keys, values, offset, group size and bits");
    }
    const cache = new QuantizedKVCache({ groupSize, bits }), k = arrays(keys), v = arrays(values);
    if (k.length > 0 && v.length > 0) cache.#set(k, v);
    cache.offset = offset;
    return cache;
  }
  /** How it quantizes. */
  get kind(): string {
    return `QuantizedKVCache ${this.groupSize} ${this.bits}`;
  }
  /** Up to the end of a step of the buffers: products go over all of them. */
  get compiledSteps(): number {
    return STEP - this.offset % STEP;
  }
  /** Room for compiled steps. */
  follow(clock: Clock, room: number): boolean {
    if (!this.keys || !this.values) return false;
    const capacity = roundUp(this.offset + room);
    this.#set(this.keys.map((x) => grown(x, capacity)), this.values.map((x) => grown(x, capacity)));
    this.clock = clock;
    return true;
  }
  /** Tokens were added by a compiled step. */
  advanced(tokens: number): void {
    this.offset += tokens;
    this.#set(this.keys!, this.values!);
  }
  /** Back to numbers. */
  unfollow(): void {
    this.clock = null;
  }
}

/**
 * Attention of queries [B, H, L, D] to quantized keys and values [B, G, S, ...]: `softmax(scale q kᵀ + mask) v` by
 * products with quantized matrices (`quantized_scaled_dot_product_attention` of mlx-lm). Heads that share a key head
 * are rows of one product.
 */
export function quantizedAttention(queries: NDArray, seen: QuantizedFetched, scale: number, mask: Mask): NDArray {
  const [B = 1, H = 1, L = 1, D = 1] = queries.shape, [words, scales, biases] = seen.keys, { groupSize, bits } = seen;
  const [, G = 1, S = 1] = words!.shape, R = H / G;
  const rows = queries.multiply(mx.float(scale)).reshape([B, G, R * L, D]);
  const how = { groupSize, bits };
  const products = mx.quantizedMatmul(rows, words!, scales!, { biases: biases ?? null, ...how });
  let scores = products.reshape([B, G, R, L, S]);
  const lowest = mx.finfo(scores.dtype).min, allowed = mask === "causal" ? causalOver(S, L, seen.length) : mask;
  const shown = allowed && (allowed.ndim > 3 ? allowed.expandDims(-3) : allowed);
  if (shown) scores = shown.dtype === mx.bool_ ? mx.where(shown, scores, mx.float(lowest)) : scores.add(shown);
  if (seen.length) scores = mx.where(mx.arange(S).less(seen.length), scores, mx.float(lowest));
  const weights = mx.softmax(scores, -1, { precise: true }).reshape([B, G, R * L, S]);
  const [valueWords, valueScales, valueBiases] = seen.values;
  return mx.quantizedMatmul(weights, valueWords!, valueScales!, {
    biases: valueBiases ?? null,
    transpose: false,
    ...how,
  })
    .reshape([B, H, L, -1]);
}
/** The causal mask of the last L of the keys that exist. */
function causalOver(size: number, L: number, length: NDArray | null): NDArray {
  return length ? causalMaskAt(L, length.subtract(L), size, null) : causalMask(L, size - L, null);
}
