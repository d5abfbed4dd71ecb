/**
 * Caches of keys and values, with mlx-lm's names and semantics.
 *
 * A cache works in two ways. While a prompt is read, positions are numbers and the buffers grow in steps. While tokens are generated
 * by a compiled program, positions are arrays (the *clock* that all caches of a model share), the buffers have room for what
 * comes, and a token is written in place, so that one program serves all positions.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { emptyLike, grown, positions, roundUp, STEP, written } from "./cache_buffers.ts";
import { causalMask, causalMaskAt, type Mask } from "./mask.ts";
import { type QuantizedCacheOptions, QuantizedKVCache } from "./quantized_cache.ts";
import { RotatingKVCache } from "./rotating_cache.ts";

export { type QuantizedCacheOptions, QuantizedKVCache } from "./quantized_cache.ts";
export { RotatingKVCache } from "./rotating_cache.ts";

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
  /** [B, heads, S, D]. */
  readonly keys: NDArray;
  /** [B, heads, S, E]. */
  readonly values: NDArray;
  /** How many of the S positions exist, int32; null: all. */
  readonly length: NDArray | null;
}
/** The same of a quantized cache: words, scales and biases, each [B, heads, S, ...]. */
export interface QuantizedFetched {
  /** What quantize made of the keys. */
  readonly keys: readonly NDArray[];
  /** What quantize made of the values. */
  readonly values: readonly NDArray[];
  /** How many of the S positions exist, int32; null: all. */
  readonly length: NDArray | null;
  /** Numbers that share a scale. */
  readonly groupSize: number;
  /** Bits of a number. */
  readonly bits: number;
}
/** The state of a cache as prompt-cache files hold it: arrays and numbers in lists. */
export type CacheState = NDArray | number | null | readonly CacheState[];
/** What models ask of a cache of one layer. */
export interface Cache {
  /** Tokens seen so far. */
  offset: number;
  /** Where the next token stands: a number, or in a compiled program an array. */
  position(): number | NDArray;
  /** Adds keys and values [B, heads, L, D] and returns all that attention sees. */
  updateAndFetch(keys: NDArray, values: NDArray): Fetched | QuantizedFetched;
  /** The mask for `n` new tokens. */
  makeMask(n: number, options?: MaskOptions): Mask;
  /** Can the last tokens be taken back? */
  isTrimmable(): boolean;
  /** Takes back up to n tokens; returns how many. */
  trim(n: number): number;
  /** The arrays that hold the state. */
  readonly state: readonly NDArray[];
  /** The whole state, to be saved; the class's `fromState` takes it. */
  snapshot(): CacheState;
  /** Names all that a trace depends on besides the shapes of the arrays. */
  readonly kind: string;
  /** Steps that a compiled program should serve at most, where each costs as much as the whole buffer. */
  readonly compiledSteps?: number;
  /** The same content quantized. A cache that cannot lacks it or throws. */
  toQuantized?(options: QuantizedCacheOptions): Cache;
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

const isArray = (x: CacheState | undefined): x is NDArray => x instanceof mx.NDArray;
/** Throws: a saved state is not that of such a cache. */
export function refuseState(name: string, expected: string): never {
  return mx.fail(mx.CheckpointError, "loadPromptCache", {
    cannot: `restore a ${name}`,
    expected,
    got: "something else",
    fix: "save the cache again",
  });
}

/** Keys and values of all tokens (`KVCache` of mlx-lm): buffers grow by steps of 256 and are written in place. */
export class KVCache implements Cache {
  /** How buffers grow. */
  static readonly step: number = STEP;
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
    return {
      keys: positions(this.keys!, 0, this.offset),
      values: positions(this.values!, 0, this.offset),
      length: null,
    };
  }
  #set(keys: NDArray, values: NDArray): void {
    this.keys = this.#holder.hold("keys", keys);
    this.values = this.#holder.hold("values", values);
  }
  /** Room for `length` positions, in steps. */
  #reserve(length: number, keys: NDArray, values: NDArray): void {
    const capacity = roundUp(length);
    if (!this.keys || !this.values) this.#set(emptyLike(keys, capacity), emptyLike(values, capacity));
    else if (length > this.keys.shape[2]!) this.#set(grown(this.keys, capacity), grown(this.values, capacity));
  }
  /** The mask for n new tokens. */
  makeMask(n: number, { windowSize = null, returnArray = false }: MaskOptions = {}): Mask {
    if (windowSize === null && (n === 1 || !returnArray)) return n === 1 ? null : "causal";
    if (!this.clock || !this.keys) return causalMask(n, this.offset, windowSize);
    return causalMaskAt(n, this.clock.position, this.keys.shape[2]!, windowSize);
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
  /** [keys, values, offset]; of the buffers all whole steps that hold tokens. */
  snapshot(): CacheState {
    const used = (x: NDArray | null) => x && positions(x, 0, Math.min(x.shape[2]!, roundUp(this.offset)));
    return [used(this.keys), used(this.values), this.offset];
  }
  /** A cache with a saved state. */
  static fromState(state: CacheState): KVCache {
    const [keys = null, values = null, offset = null] = Array.isArray(state) ? state : [], cache = new KVCache();
    if (typeof offset !== "number") refuseState("KVCache", "keys, values and an offset");
    if (isArray(keys) && isArray(values)) cache.#set(keys, values);
    cache.offset = offset;
    return cache;
  }
  /** All plain caches are alike. */
  get kind(): string {
    return "KVCache";
  }
  /** A cache that holds the same in fewer bits. */
  toQuantized(options: QuantizedCacheOptions): QuantizedKVCache {
    return QuantizedKVCache.of(this.keys, this.values, this.offset, options);
  }
  /** Room for compiled steps. */
  follow(clock: Clock, room: number): boolean {
    if (!this.keys || !this.values) return false;
    const capacity = roundUp(this.offset + room);
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

/** What a model offers to make caches. */
export interface CacheMaker {
  /** Its layers, each of which gets a cache. */
  readonly layers: readonly unknown[];
  /** One cache per layer, where plain ones would not do. */
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
