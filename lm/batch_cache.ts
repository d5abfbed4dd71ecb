/**
 * Caches of several texts at once. Texts of different lengths end together: a row's tokens are the last ones of the
 * buffer, and what lies before them is not seen. The caches of single texts are in `cache.ts`.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { ArraysCache } from "./arrays_cache.ts";
import { type Cache, type CacheState, type Fetched, KVCache, type MaskOptions, RotatingKVCache } from "./cache.ts";
import { CacheList } from "./cache_list.ts";
import { emptyLike, grown, positions, roundUp, written } from "./cache_buffers.ts";
import type { Mask } from "./mask.ts";

/** A cache of several texts. */
export interface BatchCache extends Cache {
  /** Keeps these rows only. */
  filter(rows: readonly number[]): void;
  /** Adds the rows of another cache of the same kind. */
  extend(other: this): void;
}
function refuse(cannot: string, expected: string, got: string): never {
  return mx.fail(mx.ValueError, "batch", { cannot, expected, got, fix: "run the texts one by one" });
}
/** The last `length` positions, with zeros before them where there are fewer. */
function endingAt(x: NDArray, length: number): NDArray {
  const missing = length - x.shape[2]!;
  return missing > 0 ? mx.concatenate([emptyLike(x, missing), x], 2) : positions(x, -missing, x.shape[2]!);
}
/** Rows of buffers, right-justified. */
function stackedRows(parts: readonly NDArray[]): NDArray {
  const length = Math.max(...parts.map((x) => x.shape[2]!));
  return mx.concatenate(parts.map((x) => endingAt(x, length)), 0);
}
/**
 * true where a row's query sees a key: [rows, 1, n, keys] of the keys' ages [n, keys] and the rows' numbers of tokens.
 */
function seenRows(ages: NDArray, counts: readonly number[]): NDArray {
  const tokens = mx.array(Int32Array.from(counts)).reshape([counts.length, 1, 1, 1]);
  return ages.greaterEqual(0).logicalAnd(ages.less(tokens));
}

/**
 * What the caches of several texts have in common.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { BatchKVCache, KVCache, RowsCache } from "@denim/ml/lm";
 * const read = (n: number) => KVCache.fromState([mx.ones([1, 2, n, 4]), mx.ones([1, 2, n, 4]), n]);
 * const batch: RowsCache = BatchKVCache.merge([read(3), read(7), read(5)]);
 * batch.offset; // 7
 * batch.filter([0, 2]); // the text of row 1 has ended
 * batch.position().tolist(); // [3, 5]
 * ```
 */
export abstract class RowsCache {
  /** [rows, heads, capacity, D]. */
  protected keys: NDArray;
  /** As keys. */
  protected values: NDArray;
  /** Positions of the buffer that are in use. */
  protected filled: number;
  /** Tokens of each row. */
  protected counts: number[];
  readonly #holder = new mx.Holder();
  /** Around buffers, and the numbers of tokens of their rows. */
  constructor(keys: NDArray, values: NDArray, counts: readonly number[]) {
    [this.keys, this.values] = [this.#holder.hold("keys", keys), this.#holder.hold("values", values)];
    [this.filled, this.counts] = [keys.shape[2]!, [...counts]];
  }
  /** Puts buffers in the place of the old ones. */
  protected set(keys: NDArray, values: NDArray): void {
    this.keys = this.#holder.hold("keys", keys);
    this.values = this.#holder.hold("values", values);
  }
  /** Tokens of the longest row. */
  get offset(): number {
    return Math.max(...this.counts);
  }
  /** Where the next token of each row stands, [rows]. */
  position(): NDArray {
    return mx.array(Int32Array.from(this.counts));
  }
  /** Buffers. */
  get state(): readonly NDArray[] {
    return [this.keys, this.values];
  }
  /** Keeps these rows only. */
  filter(rows: readonly number[]): void {
    const indices = mx.array(Int32Array.from(rows));
    this.set(this.keys.index(indices), this.values.index(indices));
    this.counts = rows.map((i) => this.counts[i]!);
  }
  /** Batches are not saved: their rows are. */
  snapshot(): CacheState {
    return refuse("save a batch", "caches of one text", this.constructor.name);
  }
  /** Batches are not trimmed: their rows end at different tokens. */
  isTrimmable(): boolean {
    return false;
  }
  /** Takes nothing back. */
  trim(): number {
    return 0;
  }
  /** Steps of batches are not compiled. */
  follow(): boolean {
    return false;
  }
  /** Nothing is compiled. */
  advanced(): void {}
  /** Nothing is compiled. */
  unfollow(): void {}
}

/**
 * Keys and values of all tokens of several texts (`BatchKVCache` of mlx-lm).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { BatchKVCache, KVCache } from "@denim/ml/lm";
 * const read = (n: number) => KVCache.fromState([mx.ones([1, 2, n, 4]), mx.ones([1, 2, n, 4]), n]);
 * const batch = BatchKVCache.merge([read(1), read(3)]);
 * const mask = batch.makeMask(1) as mx.NDArray; // the shorter text begins later
 * mask.squeeze().tolist(); // [[false, false, true, true], [true, true, true, true]]
 * batch.updateAndFetch(mx.ones([2, 2, 1, 4]), mx.ones([2, 2, 1, 4])).keys.shape; // [2, 2, 4, 4]
 * ```
 */
export class BatchKVCache extends RowsCache implements BatchCache {
  /** A cache with the rows of single ones, none of which is empty. */
  static merge(caches: readonly KVCache[]): BatchKVCache {
    const used = (x: NDArray | null, c: KVCache) => x ? [positions(x, 0, c.offset)] : [];
    const keys = caches.flatMap((c) => used(c.keys, c)), values = caches.flatMap((c) => used(c.values, c));
    return new BatchKVCache(stackedRows(keys), stackedRows(values), caches.map((c) => c.offset));
  }
  /** Adds keys and values [rows, heads, L, D]. */
  updateAndFetch(keys: NDArray, values: NDArray): Fetched {
    const tokens = keys.shape[2]!, at = this.filled, capacity = roundUp(at + tokens);
    this.set(written(grown(this.keys, capacity), keys, at), written(grown(this.values, capacity), values, at));
    this.filled += tokens;
    this.counts = this.counts.map((n) => n + tokens);
    return { keys: positions(this.keys, 0, this.filled), values: positions(this.values, 0, this.filled), length: null };
  }
  /** The mask for n new tokens of each row, [rows, 1, n, keys]. */
  makeMask(n: number, { windowSize = null }: MaskOptions = {}): Mask {
    const queries = mx.arange(this.filled, this.filled + n).reshape([n, 1]);
    const ages = queries.subtract(mx.arange(this.filled + n)), first = mx.arange(n).reshape([n, 1]);
    // Query i of a row sees i new tokens and itself besides the old ones.
    const seen = seenRows(ages.subtract(first).maximum(0), this.counts.map((c) => c + 1)).logicalAnd(
      ages.greaterEqual(0),
    );
    return windowSize === null ? seen : seen.logicalAnd(ages.less(windowSize));
  }
  /** Adds the rows of another cache. */
  extend(other: BatchKVCache): void {
    const used = (x: NDArray, length: number) => positions(x, 0, length);
    this.set(
      stackedRows([used(this.keys, this.filled), used(other.keys, other.filled)]),
      stackedRows([used(this.values, this.filled), used(other.values, other.filled)]),
    );
    this.filled = Math.max(this.filled, other.filled);
    this.counts = [...this.counts, ...other.counts];
  }
  /** Keeps these rows only, without the padding that no row needs any more. */
  override filter(rows: readonly number[]): void {
    super.filter(rows);
    const unused = this.filled - this.offset;
    if (unused === 0) return;
    this.set(positions(this.keys, unused, this.filled), positions(this.values, unused, this.filled));
    this.filled -= unused;
  }
  /** All are alike. */
  get kind(): string {
    return "BatchKVCache";
  }
}

/**
 * Keys and values of the last `maxSize` tokens of several texts (`BatchRotatingKVCache` of mlx-lm): a ring, token by
 * token.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { BatchRotatingKVCache, RotatingKVCache } from "@denim/ml/lm";
 * const rows = [new RotatingKVCache(4), new RotatingKVCache(4)];
 * rows.forEach((c, i) => c.updateAndFetch(mx.ones([1, 2, 3 + 3 * i, 8]), mx.ones([1, 2, 3 + 3 * i, 8])));
 * const batch = BatchRotatingKVCache.merge(rows), one = mx.ones([2, 2, 1, 8]);
 * batch.position().tolist(); // [3, 6]
 * batch.updateAndFetch(one, one).keys.shape; // [2, 2, 4, 8]
 * ```
 */
export class BatchRotatingKVCache extends RowsCache implements BatchCache {
  /** Where the next token goes. */
  #ring: number;
  private constructor(keys: NDArray, values: NDArray, counts: readonly number[], readonly maxSize: number) {
    super(keys, values, counts);
    this.#ring = this.filled;
  }
  /** A cache with the rows of single ones of one size, none of which is empty. */
  static merge(caches: readonly RotatingKVCache[]): BatchRotatingKVCache {
    const size = caches[0]?.maxSize ?? 0, other = caches.find((c) => c.maxSize !== size);
    if (other) refuse("merge caches", `caches of ${size} tokens`, `one of ${other.maxSize}`);
    const parts = caches.map((c) => c.inOrder()).filter((x) => x !== null);
    const keys = stackedRows(parts.map(([k]) => k)), values = stackedRows(parts.map(([, v]) => v));
    return new BatchRotatingKVCache(keys, values, caches.map((c) => c.offset), size);
  }
  /** Adds one token to each row. */
  updateAndFetch(keys: NDArray, values: NDArray): Fetched {
    const tokens = keys.shape[2]!;
    if (tokens !== 1) refuse("add tokens to a batch", "one per row", `${tokens}`);
    const at = this.#ring === this.maxSize ? 0 : this.#ring, capacity = Math.min(roundUp(at + 1), this.maxSize);
    this.set(written(grown(this.keys, capacity), keys, at), written(grown(this.values, capacity), values, at));
    this.#ring = at + 1;
    this.filled = Math.max(this.filled, this.#ring);
    this.counts = this.counts.map((n) => n + 1);
    return { keys: positions(this.keys, 0, this.filled), values: positions(this.values, 0, this.filled), length: null };
  }
  /** The mask for one new token of each row, [rows, 1, 1, keys]. */
  makeMask(n: number, { windowSize = null }: MaskOptions = {}): Mask {
    if (n !== 1) refuse("make the mask of a batch", "one token per row", `${n}`);
    const at = this.#ring === this.maxSize ? 0 : this.#ring, size = Math.max(this.filled, at + 1);
    const ages = mx.arange(size).multiply(-1).add(at + size).remainder(size), window = windowSize ?? this.maxSize;
    return seenRows(ages, this.counts.map((c) => Math.min(c + 1, window)));
  }
  #inOrder(x: NDArray): NDArray {
    const at = this.#ring;
    return at === this.filled
      ? positions(x, 0, at)
      : mx.concatenate([positions(x, at, this.filled), positions(x, 0, at)], 2);
  }
  /** Adds the rows of another cache. */
  extend(other: BatchRotatingKVCache): void {
    this.set(
      stackedRows([this.#inOrder(this.keys), other.#inOrder(other.keys)]),
      stackedRows([this.#inOrder(this.values), other.#inOrder(other.values)]),
    );
    this.#ring = this.filled = Math.max(this.filled, other.filled);
    this.counts = [...this.counts, ...other.counts];
  }
  /** Its size. */
  get kind(): string {
    return `BatchRotatingKVCache ${this.maxSize}`;
  }
}

/**
 * Caches of single texts, for each layer one, as caches of all of them.
 * @throws ValueError for quantized caches, or for different kinds in a layer.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { load, makePromptCache, mergeCaches } from "@denim/ml/lm";
 * const { model } = await load("models/storyteller"), rows = [makePromptCache(model), makePromptCache(model)];
 * rows.forEach((cache, i) => model.forward(mx.ones([1, 2 + i], mx.int32), { cache }));
 * const caches = mergeCaches(rows); // one per layer, of both texts
 * model.forward(mx.array([[7], [8]], mx.int32), { cache: caches }).shape; // [2, 1, 4096]
 * ```
 */
export function mergeCaches(rows: readonly (readonly Cache[])[]): BatchCache[] {
  return (rows[0] ?? []).map((first, i) => {
    const layer = rows.map((caches) => caches[i]!);
    const plain = layer.filter((c) => c instanceof KVCache), rings = layer.filter((c) => c instanceof RotatingKVCache);
    if (plain.length === layer.length) return BatchKVCache.merge(plain);
    if (rings.length === layer.length) return BatchRotatingKVCache.merge(rings);
    const arrays = layer.filter((c) => c instanceof ArraysCache);
    if (arrays.length === layer.length) return ArraysCache.merge(arrays);
    const lists = layer.filter((c) => c instanceof CacheList);
    if (lists.length === layer.length) return new CacheList(mergeCaches(lists.map((c) => c.caches)));
    return refuse("run texts together", "plain or rotating caches", first.constructor.name);
  });
}
