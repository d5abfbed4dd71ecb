/**
 * Buffers of keys and values [B, heads, capacity, D]: growing along the positions, and writing at one of them.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";

/** How buffers grow. */
export const STEP = 256;

/** The next multiple of {@linkcode STEP}. */
export function roundUp(n: number): number {
  return Math.ceil(n / STEP) * STEP;
}
/** A buffer for positions like those of x, all zeros. */
export function emptyLike(x: NDArray, capacity: number): NDArray {
  return mx.zeros([...x.shape.slice(0, 2), capacity, x.shape[3]!], x.dtype);
}
/** `x` with room for `length` positions; the new ones are zeros. */
export function grown(x: NDArray, length: number): NDArray {
  const missing = length - x.shape[2]!;
  return missing <= 0 ? x : mx.concatenate([x, emptyLike(x, missing)], 2);
}
/** The positions from `from` to before `to`. */
export function positions(x: NDArray, from: number, to: number): NDArray {
  return from === 0 && to === x.shape[2] ? x : x.index("...", mx.slice(from, to), mx.slice(null));
}
/** Writes at a position, in place where nobody else needs the old buffer. */
export function written(x: NDArray, update: NDArray, at: number | NDArray): NDArray {
  const start = typeof at === "number" ? mx.array([at], mx.int32) : at.reshape([1]);
  return mx.writeAt(x, update, start, [2], { donate: typeof at === "number" });
}
