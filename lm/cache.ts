/**
 * Caches of keys and values, with mlx-lm's names and semantics.
 *
 * A cache works in two ways. While a prompt is read, positions are numbers and the buffers grow in steps. While tokens are generated
 * by a compiled program, positions are arrays (the *clock* that all caches of a model share), the buffers have room for what
 * comes, and a token is written in place, so that one program serves all positions.
 * @module
 */
import * as mx from "../core/mod.ts";
import { causalMask, type Mask } from "./mask.ts";

type NDArray = mx.NDArray;

/** The position of the next token, as an array that compiled programs read and move on. */
export class Clock {
  /** int32, 0-d. */
  position: NDArray;
  #after: { readonly of: NDArray; readonly tokens: number; readonly value: NDArray } | null = null;
  /** Starts at a position. */
  constructor(start: number) {
    this.position = mx.array(start, mx.int32);
  }
  /** The position after `tokens` more, made once per position. */
  after(tokens: number): NDArray {
    const known = this.#after;
    if (known && known.of === this.position && known.tokens === tokens) return known.value;
    const value = this.position.add(tokens);
    this.#after = { of: this.position, tokens, value };
    return value;
  }
  /** Moves on: called once per step, after the model. */
  advance(tokens: number): void {
    this.position = this.after(tokens);
  }
}
/** What attention gets from a cache: keys and values, and how many of them exist if not all. */
export interface Fetched {
  readonly keys: NDArray;
  readonly values: NDArray;
  readonly length: NDArray | null;
}
/** What models ask of a cache of one layer. */
export interface Cache {
  /** Tokens seen so far. */
  offset: number;
  /** Where the next token stands: a number, or in a compiled program an array. */
  position(): number | NDArray;
  /** Adds keys and values [B, heads, L, D] and returns all that attention sees. */
  updateAndFetch(keys: NDArray, values: NDArray): Fetched;
  /** The mask for `n` new tokens. */
  makeMask(n: number, options?: MaskOptions): Mask;
  /** Can the last tokens be taken back? */
  isTrimmable(): boolean;
  /** Takes back up to n tokens; returns how many. */
  trim(n: number): number;
  /** The arrays that hold the state. */
  readonly state: readonly NDArray[];
  /** Prepares for compiled steps up to `room` tokens; false if this cache cannot. */
  follow(clock: Clock, room: number): boolean;
  /** Tokens were added by a compiled step. */
  advanced(tokens: number): void;
  /** Back to numbers. */
  unfollow(): void;
}
/** Options of `makeMask`. */
export interface MaskOptions {
  /** A query sees this many keys, itself included. */
  readonly windowSize?: number | null;
  /** An array is needed, not a name. */
  readonly returnArray?: boolean;
}

function roundUp(n: number, step: number): number {
  return Math.ceil(n / step) * step;
}
/** `x` with room for `length` positions on axis 2; the new ones are zeros. */
function grown(x: NDArray, length: number): NDArray {
  const missing = length - x.shape[2]!;
  if (missing <= 0) return x;
  return mx.concatenate([x, mx.zeros([...x.shape.slice(0, 2), missing, x.shape[3]!], x.dtype)], 2);
}
function firstPositions(x: NDArray, n: number): NDArray {
  return n === x.shape[2] ? x : x.index("...", mx.slice(0, n), mx.slice(null));
}
/** Writes at a position of axis 2, in place where nobody else needs the old buffer. */
function written(x: NDArray, update: NDArray, at: number | NDArray): NDArray {
  const start = typeof at === "number" ? mx.array([at], mx.int32) : at.reshape([1]);
  return mx.writeAt(x, update, start, [2], { donate: typeof at === "number" });
}

/** Keys and values of all tokens (`KVCache` of mlx-lm): buffers grow by steps of 256 and are written in place. */
export class KVCache implements Cache {
  /** How buffers grow. */
  static readonly step = 256;
  /** [B, heads, capacity, D], or null before the first token. */
  keys: NDArray | null = null;
  /** [B, heads, capacity, E]. */
  values: NDArray | null = null;
  /** Tokens seen so far. */
  offset = 0;
  /** Set while compiled programs write. */
  clock: Clock | null = null;
  readonly #holder = new mx.Holder();

  /** Where the next token stands. */
  position(): number | NDArray {
    return this.clock?.position ?? this.offset;
  }
  /** Adds keys and values [B, heads, L, D]. */
  updateAndFetch(keys: NDArray, values: NDArray): Fetched {
    const tokens = keys.shape[2]!;
    if (this.clock && this.keys && this.values) {
      this.keys = written(this.keys, keys, this.clock.position);
      this.values = written(this.values, values, this.clock.position);
      return { keys: this.keys, values: this.values, length: this.clock.after(tokens) };
    }
    this.#reserve(this.offset + tokens, keys, values);
    this.#set(written(this.keys!, keys, this.offset), written(this.values!, values, this.offset));
    this.offset += tokens;
    return { keys: firstPositions(this.keys!, this.offset), values: firstPositions(this.values!, this.offset), length: null };
  }
  #set(keys: NDArray, values: NDArray): void {
    this.keys = this.#holder.hold("keys", keys);
    this.values = this.#holder.hold("values", values);
  }
  /** Room for `length` positions, in steps. */
  #reserve(length: number, keys: NDArray, values: NDArray): void {
    const capacity = roundUp(length, KVCache.step);
    if (!this.keys || !this.values) {
      const empty = (x: NDArray) => mx.zeros([x.shape[0]!, x.shape[1]!, capacity, x.shape[3]!], x.dtype);
      this.#set(empty(keys), empty(values));
    } else if (length > this.keys.shape[2]!) this.#set(grown(this.keys, capacity), grown(this.values, capacity));
  }
  /** The mask for n new tokens. */
  makeMask(n: number, { windowSize = null, returnArray = false }: MaskOptions = {}): Mask {
    if (windowSize !== null) return causalMask(n, this.offset, windowSize);
    if (n === 1) return null;
    return returnArray ? causalMask(n, this.offset, null) : "causal";
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
    return this.keys && this.values ? [this.keys, this.values] : [];
  }
  /** Room for compiled steps. */
  follow(clock: Clock, room: number): boolean {
    if (!this.keys || !this.values) return false;
    const capacity = roundUp(this.offset + room, KVCache.step);
    this.#set(grown(this.keys, capacity), grown(this.values, capacity));
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
 * Keys and values of the last `maxSize` tokens, of which the first `keep` stay for ever (`RotatingKVCache` of mlx-lm). Single tokens
 * overwrite the oldest in place, so the order of positions in the buffer is that of a ring.
 */
export class RotatingKVCache implements Cache {
  /** How buffers grow until they are full. */
  static readonly step = 256;
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
  /** Several tokens: the buffer in temporal order, cut so that the first new token still sees maxSize positions, then extended. */
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
  /** In the order of time: the kept ones, the older part of the ring, the newer one. */
  #ordered(x: NDArray): NDArray {
    const length = x.shape[2]!, part = (from: number, to: number) => x.index("...", mx.slice(from, to), mx.slice(null));
    if (this.ring === length) return x;
    if (this.ring < this.offset) return mx.concatenate([part(0, this.keep), part(this.ring, length), part(this.keep, this.ring)], 2);
    return part(0, this.ring);
  }
  /** Without the oldest `excess` positions after the kept ones. */
  #trimmed(x: NDArray, excess: number): NDArray[] {
    if (excess <= 0) return [x];
    const part = (from: number, to: number) => x.index("...", mx.slice(from, to), mx.slice(null));
    const rest = part(this.keep + excess, x.shape[2]!);
    return this.keep ? [part(0, this.keep), rest] : [rest];
  }
  /** One token: into the buffer while it grows, then over the oldest. */
  #writeOne(keys: NDArray, values: NDArray): Fetched {
    const length = this.keys?.shape[2] ?? 0;
    if (this.offset >= length && length < this.maxSize) {
      const more = Math.min(RotatingKVCache.step, this.maxSize - length);
      const extended = (x: NDArray | null, like: NDArray) => x ? grown(x, length + more) : mx.zeros([like.shape[0]!, like.shape[1]!, more, like.shape[3]!], like.dtype);
      this.#set(extended(this.keys, keys), extended(this.values, values));
      this.ring = this.offset;
    }
    this.#cutToSize();
    if (this.ring === this.maxSize) this.ring = this.keep;
    this.#set(written(this.keys!, keys, this.ring), written(this.values!, values, this.ring));
    this.offset++;
    this.ring++;
    if (this.offset < this.maxSize) return { keys: firstPositions(this.keys!, this.offset), values: firstPositions(this.values!, this.offset), length: null };
    return { keys: this.keys!, values: this.values!, length: null };
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
    return { keys: this.keys, values: this.values, length: mx.minimum(this.clock!.after(1), mx.array(this.maxSize, mx.int32)) };
  }
  /** The mask for n new tokens. */
  makeMask(n: number, { windowSize = null, returnArray = false }: MaskOptions = {}): Mask {
    if (n > 1) {
      const window = windowSize ?? this.maxSize, offset = Math.min(this.maxSize - 1, this.offset);
      return offset + n > window || returnArray ? causalMask(n, offset, window) : "causal";
    }
    if (windowSize === null || this.offset < windowSize || this.maxSize <= windowSize) return null;
    const at = this.ring >= this.maxSize ? 0 : this.ring, size = this.offset < this.maxSize ? this.offset + 1 : this.maxSize;
    return mx.roll(mx.arange(size).greaterEqual(size - windowSize), at + 1);
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

/** What a model offers to make caches. */
export interface CacheMaker {
  readonly layers: readonly unknown[];
  makeCache?(): Cache[];
}
/** One cache per layer: the model's own kind, else rotating ones of `maxKvSize` (keep 4), else plain ones. */
export function makePromptCache(model: CacheMaker, options: { readonly maxKvSize?: number | null } = {}): Cache[] {
  if (model.makeCache) return model.makeCache();
  const { maxKvSize = null } = options;
  return model.layers.map(() => maxKvSize === null ? new KVCache() : new RotatingKVCache(maxKvSize, { keep: 4 }));
}
/** Can all caches take tokens back? */
export function canTrimPromptCache(cache: readonly Cache[]): boolean {
  return cache.every((c) => c.isTrimmable());
}
/** Takes back the last n tokens of all caches, if they can; returns how many. */
export function trimPromptCache(cache: readonly Cache[], n: number): number {
  if (!cache.length || !canTrimPromptCache(cache)) return 0;
  return cache.map((c) => c.trim(n))[0]!;
}
