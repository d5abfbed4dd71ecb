/**
 * Operands: how numbers beside arrays become arrays, how arrays meet in one dtype and one shape, and how options are
 * read. Every op begins here; what an op computes is in its family's file.
 * @module
 */
import type { NDArray } from "../array.ts";
import {
  bool_,
  Complex,
  complex,
  DType,
  float,
  iinfo,
  isScalar,
  promoteTypes,
  type Scalar,
  scalarType,
  WeakFloat,
} from "../dtype.ts";
import { DTypeError, fail, ValueError } from "../errors.ts";
import { bind, isArray } from "../graph.ts";
import { allocate, write } from "../host.ts";
import type { HostData, Shape } from "../primitive.ts";
import { commonShape, sameShape } from "../shape.ts";
import { broadcastTo } from "./view.ts";

export { Complex, complex, float, isArray, type Scalar, WeakFloat };
/** What an op takes: an array, or a weak scalar. */
export type Operand = NDArray | Scalar;

/** An array of host data, row-major; the data are not copied, so they must not change. */
export function constant(data: HostData, shape: Shape, dtype: DType): NDArray {
  return bind("constant", [], { data, shape, dtype });
}
/** A 0-d array of a weak scalar; an integer that its integer dtype cannot hold is an error of `op`. */
export function scalar(op: string, value: Scalar, dtype: DType): NDArray {
  if (dtype.kind !== "float" && dtype.size < 8) checkRange(op, value, dtype);
  const data = allocate(dtype, 1);
  write(data, 0, value, dtype);
  return constant(data, [], dtype);
}
function checkRange(op: string, value: Scalar, dtype: DType): void {
  if (dtype === bool_ || (typeof value !== "number" && typeof value !== "bigint")) return;
  const { min, max } = iinfo(dtype);
  if (value >= min && value <= max) return;
  fail(ValueError, op, {
    cannot: `use ${value} as ${dtype}`,
    expected: `an integer in [${min}, ${max}], as it stands beside an array of ${dtype}`,
    got: String(value),
    fix: "cast the array to a wider dtype first, or write mx.float(...)",
  });
}
/** The array itself, or a 0-d array of a scalar in the dtype that it takes beside `beside`. */
export function toArray(op: string, x: Operand, beside?: DType): NDArray {
  if (isArray(x)) return x;
  if (!isScalar(x)) {
    fail(DTypeError, op, {
      cannot: `use ${typeof x === "object" ? "this object" : typeof x} as an operand`,
      expected: "an array or a number",
      got: String(x),
      fix: "make an array of it with mx.array",
    });
  }
  return scalar(op, x, scalarType(x, beside));
}
/** Two operands as arrays: a scalar is weak beside an array; two scalars keep their own dtypes. */
export function operands(op: string, a: Operand, b: Operand): [NDArray, NDArray] {
  if (isArray(a)) return [a, toArray(op, b, a.dtype)];
  if (isArray(b)) return [toArray(op, a, b.dtype), b];
  return [toArray(op, a), toArray(op, b)];
}
/** The list if it is one; types are not always checked before. */
export function requireList<T>(op: string, x: readonly T[]): readonly T[] {
  if (Array.isArray(x)) return x;
  return fail(ValueError, op, {
    cannot: `take ${isArray(x) ? "one array" : typeof x}`,
    expected: "a list of arrays",
    got: isArray(x) ? "an array" : typeof x,
    fix: `write mx.${op}([a, b])`,
  });
}
/** The array in another dtype; itself if it has it. */
export function cast(x: NDArray, dtype: DType): NDArray {
  return x.dtype === dtype ? x : bind("astype", [toArray("astype", x)], { dtype }); // options are not always checked before
}
/** The dtype in which all arrays meet. */
export function commonType(arrays: readonly NDArray[]): DType {
  let dtype = arrays[0]?.dtype ?? bool_;
  for (let i = 1; i < arrays.length; i++) dtype = promoteTypes(dtype, arrays[i]!.dtype);
  return dtype;
}
/** The arrays cast to the dtype in which they meet. */
export function promoted<const T extends readonly NDArray[]>(arrays: T): { -readonly [K in keyof T]: NDArray };
export function promoted(arrays: readonly NDArray[]): NDArray[] {
  const dtype = commonType(arrays);
  return arrays.map((x) => cast(x, dtype));
}
/**
 * The arrays broadcast to their common shape, except that 0-d arrays stay 0-d: elementwise primitives take them so, and
 * a 0-d constant costs nothing.
 */
export function broadcasted<const T extends readonly NDArray[]>(
  op: string,
  arrays: T,
): { -readonly [K in keyof T]: NDArray };
export function broadcasted(op: string, arrays: readonly NDArray[]): NDArray[] {
  let first: Shape | null = null, alike = true;
  for (const { shape } of arrays) {
    if (shape.length === 0) continue;
    first ??= shape;
    alike &&= sameShape(shape, first);
  }
  if (alike) return [...arrays];
  const shape = commonShape(op, arrays.map((x) => x.shape));
  return arrays.map((x) => x.shape.length === 0 || sameShape(x.shape, shape) ? x : broadcastTo(x, shape));
}

/** Other libraries' names of options, which would be passed over without a word, by ours. */
const FOREIGN: Readonly<Record<string, string>> = { dim: "axis", keepdim: "keepdims" };
function refuseForeign(options: object | undefined): void {
  for (const name in FOREIGN) {
    if (options === undefined || !(name in options)) continue;
    fail(ValueError, "options", {
      cannot: `use the option ${name}`,
      expected: FOREIGN[name]!,
      got: name,
      fix: `call it ${FOREIGN[name]}, as MLX and NumPy do`,
    });
  }
}
/** Axes in options: one, several, or all of them (null). */
export type Axes = number | readonly number[] | null;
const isAxes = (x: unknown): x is Axes => x === null || typeof x === "number" || Array.isArray(x);
/** Reads `(axis?, options?)`: the axis, bare or in the options, and the options. */
export function axisArg<O extends { readonly axis?: Axes }>(
  bare: Axes | O | undefined,
  options: O | undefined,
): [Axes | undefined, O | undefined] {
  refuseForeign(options);
  if (isAxes(bare)) return [bare, options];
  const o = bare ?? options;
  refuseForeign(o);
  return [o?.axis, o];
}
/** One axis in options, or null for the flattened array. */
export type Axis = number | null;
const isAxis = (x: unknown): x is Axis => x === null || typeof x === "number";
/** Reads `(axis?, options?)` where only one axis can be given. */
export function oneAxisArg<O extends { readonly axis?: Axis }>(
  bare: Axis | O | undefined,
  options: O | undefined,
): [Axis | undefined, O | undefined] {
  refuseForeign(options);
  if (isAxis(bare)) return [bare, options];
  const o = bare ?? options;
  refuseForeign(o);
  return [o?.axis, o];
}
/** Reads `(dtype?, options?)`: the dtype, bare or in the options. */
export function dtypeArg(bare: DType | { readonly dtype?: DType | null } | null | undefined): DType | undefined {
  if (bare === undefined || bare === null) return undefined;
  if (bare instanceof DType) return bare;
  const dtype = typeof bare === "object" ? bare.dtype ?? undefined : bare;
  return dtype === undefined ? dtype : requireDType("dtype", dtype);
}
/** The value if it is a dtype; types are not always checked before. */
export function requireDType(op: string, x: unknown): DType {
  if (x instanceof DType) return x;
  return fail(DTypeError, op, {
    cannot: `use ${typeof x === "string" ? `"${x}"` : String(x)} as a dtype`,
    expected: "a dtype such as mx.float32",
    got: typeof x,
    fix: typeof x === "number" ? "give a shape as one list: mx.zeros([2, 3])" : "write mx.float32, without quotes",
  });
}
const isNumber = (x: unknown): x is number => typeof x === "number";
/** Reads `(number?, options?)`, for options whose first one may stand bare. */
export function numberArg<O extends object>(
  bare: number | O | undefined,
  options: O | undefined,
): [number | undefined, O | undefined] {
  return isNumber(bare) ? [bare, options] : [undefined, bare ?? options];
}
