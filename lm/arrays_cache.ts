/**
 * The cache of layers whose memory has a fixed size: the last inputs of a convolution, the state of a recurrence.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import type { BatchCache } from "./batch_cache.ts";
import { type Cache, type CacheState, type Clock, type Fetched, refuseState } from "./cache.ts";
import type { Mask } from "./mask.ts";

/**
 * Some arrays [B, ...], which a layer reads and replaces (`ArraysCache` of mlx-lm); of one text, or of several.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { ArraysCache } from "@denim/ml/lm";
 * const cache = new ArraysCache(2); // say, a convolution's last inputs and a recurrence's state
 * cache.set(1, mx.zeros([1, 4, 16]));
 * cache.advance(5);
 * [cache.offset, cache.get(0), cache.get(1)?.shape]; // [5, null, [1, 4, 16]]
 * cache.isTrimmable(); // false
 * ```
 */
export class ArraysCache implements BatchCache {
  /** The arrays; null before the first token. */
  readonly arrays: (NDArray | null)[];
  /** Tokens seen so far. */
  offset = 0;
  /** Set while compiled programs write. */
  clock: Clock | null = null;
  readonly #holder = new mx.Holder();
  /** A cache of so many arrays. */
  constructor(size: number) {
    this.arrays = new Array<null>(size).fill(null);
  }
  /** A cache with the rows of single ones, none of which is empty. */
  static merge(caches: readonly ArraysCache[]): ArraysCache {
    const merged = new ArraysCache(caches[0]?.arrays.length ?? 0);
    merged.offset = Math.max(...caches.map((c) => c.offset));
    merged.arrays.forEach((_, i) => merged.set(i, mx.concatenate(caches.flatMap((c) => c.arrays[i] ?? []), 0)));
    return merged;
  }
  /** An array. */
  get(i: number): NDArray | null {
    return this.arrays[i] ?? null;
  }
  /** Replaces an array. */
  set(i: number, x: NDArray): void {
    this.arrays[i] = this.clock ? x : this.#holder.hold(`${i}`, x);
  }
  /** A layer has seen so many tokens. */
  advance(tokens: number): void {
    if (!this.clock) this.offset += tokens;
  }
  /** Where the next token stands. */
  position(): number | NDArray {
    return this.clock?.position ?? this.offset;
  }
  /** Throws: there are no keys and values. */
  updateAndFetch(): Fetched {
    return mx.fail(mx.ValueError, "ArraysCache", {
      cannot: "add keys and values",
      expected: "a cache of attention",
      got: "ArraysCache",
      fix: "make the caches with makePromptCache(model)",
    });
  }
  /** None is needed. */
  makeMask(): Mask {
    return null;
  }
  /** Never: what was forgotten cannot come back. */
  isTrimmable(): boolean {
    return false;
  }
  /** Takes nothing back. */
  trim(): number {
    return 0;
  }
  /** The arrays. */
  get state(): readonly NDArray[] {
    return this.arrays.filter((x) => x !== null);
  }
  /** [arrays, padding, lengths]; the last two are for batches, and null here. */
  snapshot(): CacheState {
    return [[...this.arrays], null, null];
  }
  /** A cache with a saved state. */
  static fromState(state: CacheState): ArraysCache {
    const [arrays = null] = Array.isArray(state) ? state : [];
    if (!Array.isArray(arrays)) return refuseState("ArraysCache", "a list of arrays");
    const cache = new ArraysCache(arrays.length);
    arrays.forEach((x, i) => x instanceof mx.NDArray && cache.set(i, x));
    return cache;
  }
  /** How many arrays. */
  get kind(): string {
    return `ArraysCache ${this.arrays.length}`;
  }
  /** Nothing has to grow. */
  follow(clock: Clock): boolean {
    if (this.arrays.includes(null)) return false;
    this.clock = clock;
    return true;
  }
  /** Tokens were added by a compiled step. */
  advanced(tokens: number): void {
    this.offset += tokens;
    this.arrays.forEach((x, i) => x && this.#holder.hold(`${i}`, x));
  }
  /** Back to numbers. */
  unfollow(): void {
    this.clock = null;
  }
  /** Keeps these rows only. */
  filter(rows: readonly number[]): void {
    const indices = mx.array(Int32Array.from(rows));
    this.arrays.forEach((x, i) => x && this.set(i, x.index(indices)));
  }
  /** Adds the rows of another cache. */
  extend(other: ArraysCache): void {
    this.arrays.forEach((x, i) => this.set(i, mx.concatenate([x ?? [], other.arrays[i] ?? []].flat(), 0)));
    this.offset = Math.max(this.offset, other.offset);
  }
}
/** The cache of a layer with such a memory; null where there is none. */
export function arraysOf(cache: Cache | null): ArraysCache | null {
  return cache instanceof ArraysCache ? cache : null;
}
/**
 * x [B, T, C] after the last `kernel - 1` inputs (zeros at the start of a text), as a causal convolution needs it;
 * array `slot` of the cache keeps these.
 */
export function withHistory(x: NDArray, kernel: number, cache: ArraysCache | null, slot = 0): NDArray {
  const [B = 1, , C = 1] = x.shape, past = cache?.get(slot) ?? mx.zeros([B, kernel - 1, C], x.dtype);
  const all = mx.concatenate([past, x], 1);
  cache?.set(slot, all.index(mx.slice(null), mx.slice(all.shape[1]! - kernel + 1, null)));
  return all;
}
