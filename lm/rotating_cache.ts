/**
 * The cache of the last tokens: a ring of keys and values. The plain cache, and what caches have in common, is in
 * `cache.ts`.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { type Cache, type CacheState, type Clock, type Fetched, type MaskOptions, refuseState } from "./cache.ts";
import { emptyLike, grown, positions, STEP, written } from "./cache_buffers.ts";
import { causalMask, type Mask } from "./mask.ts";

/**
 * Keys and values of the last `maxSize` tokens, of which the first `keep` stay for ever (`RotatingKVCache` of mlx-lm).
 * Single tokens overwrite the oldest in place, so the order of positions in the buffer is that of a ring.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { RotatingKVCache } from "@denim/ml/lm";
 * const cache = new RotatingKVCache(4, { keep: 1 });
 * for (let i = 0; i < 6; i++) cache.updateAndFetch(mx.full([1, 1, 1, 1], i), mx.full([1, 1, 1, 1], i));
 * cache.keys?.flatten().tolist(); // [0, 4, 5, 3]
 * cache.inOrder()?.[0].flatten().tolist(); // [0, 3, 4, 5]
 * ```
 */
export class RotatingKVCache implements Cache {
  /** How buffers grow until they are full. */
  static readonly step: number = STEP;
  /** [B, heads, at most maxSize (more while a prompt is read), D]. */
  keys: NDArray | null = null;
  /** As keys. */
  values: NDArray | null = null;
  /** Tokens seen so far. */
  offset = 0;
  /** Where the next single token goes. */
  ring = 0;
  /** The same as an array, while compiled programs write. */
  index: NDArray | null = null;
  /** Set while compiled programs write. */
  clock: Clock | null = null;
  readonly #holder = new mx.Holder();
  /** Positions that are kept. */
  readonly maxSize: number;
  /** Positions at the start that are never overwritten. */
  readonly keep: number;
  /** A cache of `maxSize` tokens, the first `keep` (default 0) of which stay. */
  constructor(maxSize: number, options: number | { readonly keep?: number } = {}) {
    this.maxSize = maxSize;
    this.keep = (typeof options === "number" ? options : options.keep) ?? 0;
  }

  /** Where the next token stands. */
  position(): number | NDArray {
    return this.clock?.position ?? this.offset;
  }
  /** Adds keys and values [B, heads, L, D]. */
  updateAndFetch(keys: NDArray, values: NDArray): Fetched {
    if (this.clock && this.index) return this.#writeCompiled(keys, values);
    return keys.shape[2] === 1 ? this.#writeOne(keys, values) : this.#append(keys, values);
  }
  #set(keys: NDArray, values: NDArray): void {
    this.keys = this.#holder.hold("keys", keys);
    this.values = this.#holder.hold("values", values);
  }
  /**
   * Several tokens: the buffer in temporal order, cut so that the first new token still sees maxSize positions, then
   * extended.
   */
  #append(keys: NDArray, values: NDArray): Fetched {
    if (!this.keys || !this.values) this.#set(keys, values);
    else {
      const excess = this.#filled() - this.maxSize + 1;
      const cut = (x: NDArray, more: NDArray) => mx.concatenate([...this.#trimmed(this.#ordered(x), excess), more], 2);
      this.#set(cut(this.keys, keys), cut(this.values, values));
    }
    this.offset += keys.shape[2]!;
    this.ring = this.keys!.shape[2]!;
    return { keys: this.keys!, values: this.values!, length: null };
  }
  #filled(): number {
    return Math.min(this.offset, this.keys!.shape[2]!);
  }
  /** Keys and values of the last `maxSize` tokens in the order of time; null before the first. */
  inOrder(): [keys: NDArray, values: NDArray] | null {
    const last = (x: NDArray) => positions(x, Math.max(x.shape[2]! - this.maxSize, 0), x.shape[2]!);
    return this.keys && this.values ? [last(this.#ordered(this.keys)), last(this.#ordered(this.values))] : null;
  }
  /** In the order of time: the kept ones, the older part of the ring, the newer one. */
  #ordered(x: NDArray): NDArray {
    const length = x.shape[2]!;
    if (this.ring === length) return x;
    if (this.ring >= this.offset) return positions(x, 0, this.ring);
    const kept = positions(x, 0, this.keep);
    return mx.concatenate([kept, positions(x, this.ring, length), positions(x, this.keep, this.ring)], 2);
  }
  /** Without the oldest `excess` positions after the kept ones. */
  #trimmed(x: NDArray, excess: number): NDArray[] {
    if (excess <= 0) return [x];
    const rest = positions(x, this.keep + excess, x.shape[2]!);
    return this.keep ? [positions(x, 0, this.keep), rest] : [rest];
  }
  /** One token: into the buffer while it grows, then over the oldest. */
  #writeOne(keys: NDArray, values: NDArray): Fetched {
    const length = this.keys?.shape[2] ?? 0;
    if (this.offset >= length && length < this.maxSize) {
      const more = Math.min(STEP, this.maxSize - length);
      const extended = (x: NDArray | null, like: NDArray) => x ? grown(x, length + more) : emptyLike(like, more);
      this.#set(extended(this.keys, keys), extended(this.values, values));
      this.ring = this.offset;
    }
    this.#cutToSize();
    if (this.ring === this.maxSize) this.ring = this.keep;
    this.#set(written(this.keys!, keys, this.ring), written(this.values!, values, this.ring));
    this.offset++;
    this.ring++;
    const filled = (x: NDArray) => this.offset < this.maxSize ? positions(x, 0, this.offset) : x;
    return { keys: filled(this.keys!), values: filled(this.values!), length: null };
  }
  /** After a long prompt the buffer has more than maxSize positions: the oldest go. */
  #cutToSize(): void {
    const excess = this.keys!.shape[2]! - this.maxSize;
    if (excess <= 0) return;
    const cut = (x: NDArray) => mx.concatenate(this.#trimmed(x, excess), 2);
    this.#set(cut(this.keys!), cut(this.values!));
    this.ring = this.maxSize;
  }
  #writeCompiled(keys: NDArray, values: NDArray): Fetched {
    const at = mx.where(this.index!.equal(this.maxSize), mx.array(this.keep, mx.int32), this.index!);
    this.keys = written(this.keys!, keys, at);
    this.values = written(this.values!, values, at);
    this.index = at.add(1);
    return { keys: this.keys, values: this.values, length: this.#lengthAfterOne(this.clock!) };
  }
  #lengthAfterOne(clock: Clock): NDArray {
    return mx.minimum(clock.after(1), mx.array(this.maxSize, mx.int32));
  }
  /** The mask for n new tokens. */
  makeMask(n: number, { windowSize = null, returnArray = false }: MaskOptions = {}): Mask {
    if (n > 1) {
      const window = windowSize ?? this.maxSize, offset = Math.min(this.maxSize - 1, this.offset);
      return offset + n > window || returnArray ? causalMask(n, offset, window) : "causal";
    }
    if (windowSize === null || this.maxSize <= windowSize) return null;
    if (this.clock && this.index) return this.#ringMask(this.clock, this.index, windowSize);
    if (this.offset < windowSize) return null;
    const at = this.ring >= this.maxSize ? 0 : this.ring,
      size = this.offset < this.maxSize ? this.offset + 1 : this.maxSize;
    return mx.roll(mx.arange(size).greaterEqual(size - windowSize), at + 1);
  }
  /** In a compiled step: place j of the ring is `(j - ring - 1) mod size` tokens younger than the oldest. */
  #ringMask(clock: Clock, index: NDArray, windowSize: number): NDArray {
    const size = this.#lengthAfterOne(clock), at = mx.where(index.greaterEqual(this.maxSize), 0, index);
    const age = mx.arange(this.maxSize).subtract(at.add(1)).remainder(size);
    return age.greaterEqual(size.subtract(windowSize));
  }
  /** Only before the ring is full. */
  isTrimmable(): boolean {
    return this.offset < this.maxSize;
  }
  /** Takes back up to n tokens. */
  trim(n: number): number {
    const taken = Math.min(this.offset, n);
    this.offset -= taken;
    this.ring -= taken;
    return taken;
  }
  /** Buffers. */
  get state(): readonly NDArray[] {
    return this.keys && this.values ? [this.keys, this.values] : [];
  }
  /** [keys, values, offset, keep, maxSize, ring]. */
  snapshot(): CacheState {
    return [this.keys, this.values, this.offset, this.keep, this.maxSize, this.ring];
  }
  /** A cache with a saved state. */
  static fromState(state: CacheState): RotatingKVCache {
    const [keys = null, values = null, ...numbers] = Array.isArray(state) ? state : [];
    const [offset, keep, maxSize, ring] = numbers.map(Number);
    if (offset === undefined || keep === undefined || maxSize === undefined || ring === undefined) {
      return refuseState("RotatingKVCache", "keys, values, offset, keep, maxSize and ring");
    }
    const cache = new RotatingKVCache(maxSize, { keep });
    if (keys instanceof mx.NDArray && values instanceof mx.NDArray) cache.#set(keys, values);
    [cache.offset, cache.ring] = [offset, ring];
    return cache;
  }
  /** Its sizes. */
  get kind(): string {
    return `RotatingKVCache ${this.maxSize} ${this.keep}`;
  }
  /** Throws, as in mlx-lm: positions would have to move with their scales. */
  toQuantized(): never {
    return mx.fail(mx.ValueError, "toQuantized", {
      cannot: "quantize a rotating cache",
      expected: "a cache of all tokens",
      got: `one of ${this.maxSize} tokens`,
      fix: "leave out maxKvSize or kvBits",
    });
  }
  /** The whole ring at once, for compiled steps. */
  follow(clock: Clock, _room: number): boolean {
    if (!this.keys || !this.values) return false;
    this.#cutToSize();
    if (this.ring !== this.keys.shape[2] || this.ring < this.maxSize) {
      this.ring = Math.min(this.ring, this.maxSize);
      this.#set(grown(this.keys, this.maxSize), grown(this.values, this.maxSize));
    }
    this.index = mx.array(this.ring, mx.int32);
    this.clock = clock;
    return true;
  }
  /** Tokens were added by a compiled step. */
  advanced(tokens: number): void {
    for (let i = 0; i < tokens; i++) this.ring = (this.ring === this.maxSize ? this.keep : this.ring) + 1;
    this.offset += tokens;
    this.#set(this.keys!, this.values!);
  }
  /** Back to numbers. */
  unfollow(): void {
    this.clock = null;
    this.index = null;
  }
}
