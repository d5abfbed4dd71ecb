/**
 * The caches of a layer that has several, such as attention beside a recurrence.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import type { BatchCache } from "./batch_cache.ts";
import type { Cache, CacheState, Clock, Fetched, MaskOptions } from "./cache.ts";
import type { Mask } from "./mask.ts";

const isBatch = (c: Cache): c is BatchCache => "filter" in c && "extend" in c;
function refuse(cannot: string, expected: string): never {
  return mx.fail(mx.ValueError, "CacheList", {
    cannot,
    expected,
    got: "a list of caches",
    fix: "take one of its caches",
  });
}
/**
 * Several caches as one (`CacheList` of mlx-lm).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { ArraysCache, CacheList, KVCache } from "@denim/ml/lm";
 * const attention = new KVCache(), list = new CacheList([new ArraysCache(2), attention]);
 * attention.updateAndFetch(mx.ones([1, 2, 3, 8]), mx.ones([1, 2, 3, 8]));
 * [list.offset, list.kind]; // [3, "CacheList (ArraysCache 2, KVCache)"]
 * list.isTrimmable(); // false
 * ```
 */
export class CacheList implements BatchCache {
  /** Around caches of one layer. */
  constructor(
    /** Which of them is for what, the layer knows. */
    readonly caches: readonly Cache[],
  ) {}
  /** Tokens seen so far. */
  get offset(): number {
    return Math.max(...this.caches.map((c) => c.offset));
  }
  /** Where the next token stands, as the last cache has it. */
  position(): number | NDArray {
    return this.caches.at(-1)?.position() ?? 0;
  }
  /** Throws: the layer asks one of the caches. */
  updateAndFetch(_keys: NDArray, _values: NDArray): Fetched {
    return refuse("add keys and values", "one cache");
  }
  /** The mask of the cache that needs one. */
  makeMask(n: number, options?: MaskOptions): Mask {
    return this.caches.map((c) => c.makeMask(n, options)).find((mask) => mask !== null) ?? null;
  }
  /** Can all take tokens back? */
  isTrimmable(): boolean {
    return this.caches.every((c) => c.isTrimmable());
  }
  /** Takes back up to n tokens. */
  trim(n: number): number {
    return Math.max(...this.caches.map((c) => c.trim(n)));
  }
  /** The arrays of all. */
  get state(): readonly NDArray[] {
    return this.caches.flatMap((c) => c.state);
  }
  /** For each its state and its class. */
  snapshot(): CacheState {
    return this.caches.map((c) => [c.snapshot(), c.constructor.name]);
  }
  /** What they all are. */
  get kind(): string {
    return `CacheList (${this.caches.map((c) => c.kind).join(", ")})`;
  }
  /** As many as the most limited one. */
  get compiledSteps(): number {
    return Math.min(...this.caches.map((c) => c.compiledSteps ?? Infinity));
  }
  /** Room in all. */
  follow(clock: Clock, room: number): boolean {
    return this.caches.every((c) => c.follow(clock, room));
  }
  /** Tokens were added by a compiled step. */
  advanced(tokens: number): void {
    for (const c of this.caches) c.advanced(tokens);
  }
  /** Back to numbers. */
  unfollow(): void {
    for (const c of this.caches) c.unfollow();
  }
  /** Keeps these rows only. */
  filter(rows: readonly number[]): void {
    for (const c of this.caches) {
      if (isBatch(c)) c.filter(rows);
      else refuse("keep some texts", "caches of several texts");
    }
  }
  /** Adds the rows of another list of the same kinds. */
  extend(other: CacheList): void {
    this.caches.forEach((c, i) => {
      const more = other.caches[i];
      if (more && isBatch(c) && isBatch(more)) c.extend(more);
      else refuse("add texts", "caches of several texts");
    });
  }
}
/** The caches of a layer with several; nulls where there is none. */
export function cachesOf(cache: Cache | null): readonly (Cache | null)[] {
  return cache instanceof CacheList ? cache.caches : [];
}
