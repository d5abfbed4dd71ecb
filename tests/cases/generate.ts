/**
 * Seeded numbers for tests, and the domains that inputs of the cases are drawn from. A domain knows the dtype: integers
 * stay whole and unsigned ones positive.
 * @module
 */
import type { DType } from "../../core/dtype.ts";

/** A stream of numbers in [0, 1), the same for the same seed (mulberry32). */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  /** The next number. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  /** An integer in [0, n). */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }
  /** One of the entries. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
  /** The entries in another order. */
  shuffled<T>(list: readonly T[]): T[] {
    const out = [...list];
    for (let i = out.length - 1; i > 0; i--) {
      const k = this.below(i + 1);
      [out[i], out[k]] = [out[k]!, out[i]!];
    }
    return out;
  }
}
/** Draws n numbers for an array of a dtype. */
export type Domain = (r: Random, n: number, dtype: DType) => number[];

const isFloat = (dtype: DType): boolean => dtype.kind === "float" || dtype.kind === "complex";
function draw(n: number, one: () => number): number[] {
  return Array.from({ length: n }, one);
}
/** Integers of [low, high]. */
export function integers(low: number, high: number): Domain {
  return (r, n) => draw(n, () => low + r.below(high - low + 1));
}
/** Numbers of [low, high]; integer dtypes take its integers, unsigned ones those from 0. */
export function between(low: number, high: number): Domain {
  return (r, n, dtype) => {
    if (isFloat(dtype)) return draw(n, () => low + (high - low) * r.next());
    if (dtype.kind === "bool") return draw(n, () => r.below(2));
    const first = Math.max(Math.ceil(low), dtype.kind === "uint" ? 0 : -Infinity);
    return draw(n, () => first + r.below(Math.floor(high) - first + 1));
  };
}
/** Numbers of (low, high) of either sign: away from 0. */
export function awayFromZero(low: number, high: number): Domain {
  return (r, n, dtype) => {
    const sizes = between(low, high)(r, n, dtype);
    return dtype.kind === "uint" ? sizes.map((x) => Math.max(x, 1)) : sizes.map((x) => r.next() < 0.5 ? -x : x);
  };
}
/** Factors of modulus near one: products of hundreds stay within the range of the dtype. */
export const aboutOne: Domain = (r, n, dtype) =>
  (dtype.kind === "complex" ? awayFromZero(0.64, 0.78) : awayFromZero(0.9, 1.1))(r, n, dtype);
/**
 * Numbers of [low, high] that differ by at least half of (high - low) / n, so that order does not change under small
 * steps.
 */
export function distinct(low: number, high: number): Domain {
  return (r, n, dtype) => {
    if (!isFloat(dtype)) return between(low, high)(r, n, dtype);
    const step = (high - low) / Math.max(1, n);
    return r.shuffled(Array.from({ length: n }, (_, i) => low + (i + 0.25 + 0.5 * r.next()) * step));
  };
}
/** Numbers of a domain, some of them 0. */
export function withZeros(domain: Domain): Domain {
  return (r, n, dtype) => domain(r, n, dtype).map((x) => r.next() < 0.2 ? 0 : x);
}
/** These numbers in turn. */
export function listed(...values: readonly number[]): Domain {
  return (_r, n) => Array.from({ length: n }, (_, i) => values[i % values.length]!);
}
/** Each of 0 to n - 1 once, in any order. */
export const permutation: Domain = (r, n) => r.shuffled(Array.from({ length: n }, (_, i) => i));
