/**
 * Permutations that are computed by index: which row stands at place i is found without the places before it, so a run
 * that is resumed knows its order at once, and an order of a billion rows takes no memory.
 *
 * A Feistel network is a permutation of the numbers of 2h bits whatever its round function is: each round maps (l, r)
 * to (r, l xor f(r)). Numbers that leave the range are mapped again until they are back (cycle walking); there are less
 * than four times as many numbers as rows, so that takes few rounds.
 * @module
 */
import { fail, ValueError } from "../core/mod.ts";

const ROUNDS = 6;
/** Fewer bits than this mix too little; the longer walks of short ranges cost nothing. */
const MIN_HALF_BITS = 4;
const MAX_HALF_BITS = 26;

/** All bits of the result depend on all of `x` (the finalizer of MurmurHash3). */
function mix(x: number): number {
  let h = x | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * An order of the numbers from 0 to `length - 1`, one of its own for each list of seeds.
 *
 * @example
 * ```ts
 * import { Permutation } from "@denim/ml/data";
 * const order = new Permutation(5, 7);
 * Array.from({ length: 5 }, (_, i) => order.at(i)).sort(); // [0, 1, 2, 3, 4]
 * ```
 */
export class Permutation {
  readonly #half: number;
  readonly #keys: readonly number[];

  /** The order that `seeds` (integers) stand for. */
  constructor(
    /** How many numbers. */
    readonly length: number,
    ...seeds: readonly number[]
  ) {
    if (!Number.isSafeInteger(length) || length < 0 || length > 2 ** 52) {
      fail(ValueError, "Permutation", {
        cannot: `order ${length} numbers`,
        expected: "an integer from 0 to 2^52",
        got: String(length),
        fix: "change the length",
      });
    }
    const bits = Math.ceil(Math.log2(Math.max(length, 2)) / 2);
    this.#half = 2 ** Math.min(Math.max(bits, MIN_HALF_BITS), MAX_HALF_BITS);
    const seed = seeds.reduce((h, s) => mix(mix(h ^ s) + Math.floor(s / 2 ** 32)), 0x9e3779b9);
    this.#keys = Array.from({ length: ROUNDS }, (_, round) => mix(seed + Math.imul(round + 1, 0x9e3779b9)));
  }

  /** The number at place `index`. */
  at(index: number): number {
    if (!Number.isInteger(index) || index < 0 || index >= this.length) {
      fail(ValueError, "Permutation", {
        cannot: `say what stands at ${index}`,
        expected: `an integer from 0 to ${this.length - 1}`,
        got: String(index),
        fix: "change the index",
      });
    }
    let x = index;
    do x = this.#encrypt(x); while (x >= this.length);
    return x;
  }
  #encrypt(x: number): number {
    const half = this.#half;
    let left = Math.floor(x / half), right = x % half;
    for (const key of this.#keys) [left, right] = [right, (left ^ (mix(right ^ key) % half)) >>> 0];
    return left * half + right;
  }
}
