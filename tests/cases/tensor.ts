/**
 * Arrays of the tests: numbers of the host in row-major order, what a dtype can store of them, and the way to the
 * library's arrays and back. References and generators of the cases work on these alone.
 * @module
 */
import type { NDArray } from "../../core/array.ts";
import { Complex, complex64, type DType } from "../../core/dtype.ts";
import { bind } from "../../core/graph.ts";
import { allocate, write } from "../../core/host.ts";
import type { Aval, Shape } from "../../core/primitive.ts";

/** An array of numbers; `im` is null where the dtype is real. */
export interface Tensor extends Aval {
  readonly re: Float64Array;
  readonly im: Float64Array | null;
}
/** Real numbers, or real and imaginary parts. */
export type Values = Float64Array | { readonly re: Float64Array; readonly im: Float64Array };

/** Number of elements. */
export function count(shape: Shape): number {
  return shape.reduce((n, d) => n * d, 1);
}
/** Steps of the axes in row-major order. */
export function stepsOf(shape: Shape): number[] {
  const steps = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) steps[i] = steps[i + 1]! * shape[i + 1]!;
  return steps;
}
/** All indices of a shape, in row-major order. */
export function* indicesOf(shape: Shape): Generator<number[]> {
  const steps = stepsOf(shape);
  for (let i = 0, n = count(shape); i < n; i++) yield shape.map((d, axis) => Math.floor(i / steps[axis]!) % d);
}
/** Place of an index in row-major order. */
export function placeOf(shape: Shape, index: readonly number[]): number {
  let at = 0;
  for (let axis = 0; axis < shape.length; axis++) at = at * shape[axis]! + index[axis]!;
  return at;
}

const word = new Float32Array(1);
const bits = new Uint32Array(word.buffer);
/** Half of the bits of a float32, rounded to even. */
function roundBfloat16(x: number): number {
  word[0] = x;
  if (Number.isNaN(x) || !Number.isFinite(word[0])) return x;
  bits[0] = (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) & 0xffff0000;
  return word[0];
}
const halves = new Float16Array(1);
function roundFloat16(x: number): number {
  halves[0] = x;
  return halves[0];
}
/**
 * The number that a real dtype stores for `x`: floats round, integers truncate and wrap, booleans say whether it is not
 * 0.
 */
export function stored(dtype: DType, x: number): number {
  if (dtype.kind === "bool") return x === 0 ? 0 : 1;
  if (dtype.kind === "float" || dtype.kind === "complex") {
    if (dtype.size === 8 && dtype.kind === "float") return x;
    return dtype.name === "float16" ? roundFloat16(x) : dtype.name === "bfloat16" ? roundBfloat16(x) : Math.fround(x);
  }
  const range = 2 ** (8 * dtype.size), low = Math.trunc(x) % range, first = dtype.kind === "int" ? -range / 2 : 0;
  return low < first ? low + range : low >= first + range ? low - range : low;
}
/** A tensor of values as its dtype stores them. */
export function tensor(shape: Shape, dtype: DType, values: Values): Tensor {
  const keep = (x: Float64Array) => x.map((v) => stored(dtype, v));
  if (values instanceof Float64Array) {
    return { shape, dtype, re: keep(values), im: dtype.kind === "complex" ? new Float64Array(values.length) : null };
  }
  return { shape, dtype, re: keep(values.re), im: keep(values.im) };
}
/** The elements at these places of another tensor, in a new shape. */
export function taken(x: Tensor, shape: Shape, places: readonly number[]): Tensor {
  const pick = (v: Float64Array) => Float64Array.from(places, (at) => v[at]!);
  return { shape, dtype: x.dtype, re: pick(x.re), im: x.im && pick(x.im) };
}
/** The parts of a tensor as values. */
export function valuesOf({ re, im }: Tensor): Values {
  return im ? { re, im } : re;
}
/** A row-major array of the library that has not been computed: a constant. */
export function toArray(x: Tensor): NDArray {
  const data = allocate(x.dtype, x.re.length);
  for (let i = 0; i < x.re.length; i++) {
    write(data, i, x.dtype === complex64 ? new Complex(x.re[i]!, x.im![i]!) : x.re[i]!, x.dtype);
  }
  return bind("constant", [], { data, shape: x.shape, dtype: x.dtype });
}
/** The values of an array of the library. */
export function fromArray(x: NDArray): Tensor {
  const data = x.dataSync();
  const values = Float64Array.from({ length: data.length }, (_, i) => Number(data[i]));
  if (x.dtype !== complex64) return { shape: x.shape, dtype: x.dtype, re: values, im: null };
  const n = values.length / 2;
  const part = (k: number) => Float64Array.from({ length: n }, (_, i) => values[2 * i + k]!);
  return { shape: x.shape, dtype: x.dtype, re: part(0), im: part(1) };
}
