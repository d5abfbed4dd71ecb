/**
 * Sizes, steps and paddings along spatial axes, and the kernels that they describe: for convolutions and pooling.
 * @module
 */
import { fail, type NDArray, random, ValueError } from "../core/mod.ts";

/** One integer for all spatial axes, or one for each. */
export type Extent = number | readonly number[];
/** One integer for each of `count` spatial axes. */
export function extents(op: string, name: string, value: Extent, count: number): number[] {
  const list = typeof value === "number" ? new Array<number>(count).fill(value) : [...value];
  if (list.length === count && list.every(Number.isInteger)) return list;
  return fail(ValueError, op, {
    cannot: `use ${name} ${JSON.stringify(value)}`,
    expected: count === 1 ? "one integer" : `one integer, or ${count} of them`,
    got: JSON.stringify(value),
    fix: `correct ${name}`,
  });
}
/** A weight [out, kernel..., own channels], drawn uniformly from ±1/√(entries that make one output). */
export function drawKernel(out: number, kernel: readonly number[], channels: number): NDArray {
  const scale = Math.sqrt(1 / kernel.reduce((n, k) => n * k, channels));
  return random.uniform([out, ...kernel, channels], { low: -scale, high: scale });
}
