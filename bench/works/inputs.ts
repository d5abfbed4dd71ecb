/**
 * Inputs of the works: arrays that exist before the clock starts, and tiny sizes in place of full ones.
 * @module
 */
import * as mx from "../../mod.ts";

/** Normal numbers, computed. */
export function normal(shape: readonly number[], seed: number, dtype: mx.DType = mx.float32): mx.NDArray {
  const x = mx.random.normal([...shape], { key: mx.random.key(seed) }).astype(dtype);
  mx.eval(x);
  return x;
}
/** A size, or where only the code is tried, one of at most 64. */
export function size(full: number, tiny: boolean): number {
  return tiny ? Math.min(full, 64) : full;
}
/** Number of elements. */
export function count(shape: readonly number[]): number {
  return shape.reduce((n, d) => n * d, 1);
}
