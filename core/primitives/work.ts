/**
 * How much work a call of a primitive is, as far as several records say the same: what a profile holds its time against.
 * @module
 */
import type { Aval } from "../primitive.ts";
import { sizeOf } from "../shape.ts";

/** Bytes of the elements. */
export function bytesOf(x: Aval): number {
  return sizeOf(x.shape) * x.dtype.size;
}
/** Operations of products: for each element of the result a sum of `terms` products; a multiply-add is two. */
export function productFlops(y: Aval, terms: number): number {
  return 2 * sizeOf(y.shape) * terms * (y.dtype.kind === "complex" ? 4 : 1);
}
/** Operations of so many for each element of an array. */
export function perElement(n: number): (x: readonly Aval[]) => number {
  return ([x]) => x ? n * sizeOf(x.shape) : 0;
}
/** Operations of transforms of n elements each: 5 n log2 n, as is usual. */
export function fourierFlops(x: Aval, n: number, axis: number): number {
  return 5 * sizeOf(x.shape) / (x.shape[axis] || 1) * n * Math.log2(Math.max(n, 2));
}
/** Bytes of the matrices that so many indices can name at most, out of all in `x`. */
export function namedMatrices(x: Aval, indices: Aval): number {
  const matrices = sizeOf(x.shape.slice(0, -2));
  return matrices === 0 ? 0 : bytesOf(x) / matrices * Math.min(matrices, sizeOf(indices.shape));
}
/** Bytes of an update of a part of `x`: in place the part alone is read and written, else all is copied before. */
export function updateBytes(x: Aval, updates: Aval, indices: readonly Aval[], inPlace: boolean): number {
  const part = 2 * bytesOf(updates) + indices.reduce((sum, i) => sum + bytesOf(i), 0);
  return inPlace ? part : 2 * bytesOf(x) + part;
}
