/**
 * The part of `mx.linalg` that needs no decomposition of its own: vector and matrix norms, and the cross product.
 * @module
 */
import type { NDArray } from "../array.ts";
import { atLeastFloat, bfloat16, float16, float32 } from "../dtype.ts";
import { fail, ShapeError, ValueError } from "../errors.ts";
import { commonShape, describe, normalizeAxis } from "../shape.ts";
import { add, multiply, notEqual, power, subtract } from "./binary.ts";
import { zerosLike } from "./create.ts";
import { stack } from "./index.ts";
import { svdOf } from "./linalg_rules.ts";
import { type Axes, cast, oneAxisArg, type Operand, promoted, toArray } from "./operand.ts";
import { max, min, sum } from "./reduce.ts";
import { abs, imag, real, sqrt, square } from "./unary.ts";
import { type AxisArgument, broadcastTo, reshape, squeeze, transpose, unstack } from "./view.ts";

/**
 * Order of a norm: a number; for matrices also `"fro"` (`"f"`), the root of the sum of squares, and `"nuc"`, the sum of
 * the singular values.
 */
export type NormOrder = number | "fro" | "f" | "nuc";
/** Options of {@linkcode norm}. */
export interface NormOptions {
  /** Which norm; null for the root of the sum of squares. */
  readonly ord?: NormOrder | null;
  /** One axis for vectors, two for matrices (rows, columns); null for all. */
  readonly axis?: Axes;
  /** Whether these axes stay, with length 1. */
  readonly keepdims?: boolean;
}
/** `sqrt(sum |a|^2)`. */
function euclidean(a: NDArray, axis: readonly number[], keepdims: boolean): NDArray {
  const squares = a.dtype.kind === "complex" ? add(square(real(a)), square(imag(a))) : square(a);
  return sqrt(sum(squares, { axis, keepdims }));
}
/**
 * `(sum |a|^p)^(1/p)`, with its limits: the number of non-zero entries for 0, the largest and smallest |a| for
 * ±Infinity.
 */
function vectorNorm(a: NDArray, ord: number, axis: readonly number[], keepdims: boolean): NDArray {
  const dtype = atLeastFloat(a.dtype);
  const over = { axis, keepdims };
  if (ord === 2) return euclidean(a, axis, keepdims);
  if (ord === 0) return cast(sum(notEqual(a, 0), over), dtype);
  if (ord === 1) return cast(sum(abs(a), over), dtype);
  if (ord === Infinity) return cast(max(abs(a), over), dtype);
  if (ord === -Infinity) return cast(min(abs(a), over), dtype);
  return power(sum(power(cast(abs(a), dtype), ord), over), 1 / ord);
}
/** Largest (or, for negative orders, smallest) sum of |a| over the columns (1) or the rows (Infinity) of a matrix. */
function sumsNorm(a: NDArray, ord: number, [rows, columns]: readonly number[]): NDArray {
  const [inner, outer] = Math.abs(ord) === 1 ? [rows!, columns!] : [columns!, rows!];
  return (ord > 0 ? max : min)(sum(abs(a), { axis: inner, keepdims: true }), { axis: outer, keepdims: true });
}
/** Largest (2), smallest (-2) or sum (`"nuc"`) of the singular values of a matrix. */
function spectralNorm(a: NDArray, ord: number | "nuc", [rows, columns]: readonly number[]): NDArray {
  const dtype = atLeastFloat(a.dtype), half = dtype === float16 || dtype === bfloat16;
  const others = a.shape.map((_, i) => i).filter((i) => i !== rows && i !== columns);
  const s = svdOf(transpose(cast(a, half ? float32 : dtype), [...others, rows!, columns!]), false);
  const values = s.dtype.kind === "complex" ? real(s) : s;
  const y = (ord === "nuc" ? sum : ord === 2 ? max : min)(values, { axis: -1 });
  return reshape(y, a.shape.map((n, i) => others.includes(i) ? n : 1));
}
function matrixNorm(a: NDArray, ord: number | "nuc", axes: readonly number[], keepdims: boolean): NDArray {
  const order = typeof ord === "number" ? Math.abs(ord) : 2;
  if (order !== 1 && order !== 2 && order !== Infinity) {
    fail(ValueError, "norm", {
      cannot: `take the norm of order ${ord} of ${describe(a)}`,
      expected: `an order of ±1, ±2, ±Infinity, "fro" or "nuc"`,
      got: String(ord),
      fix: "give one axis for a vector norm",
    });
  }
  const y = order === 2 ? spectralNorm(a, ord, axes) : sumsNorm(a, Number(ord), axes);
  return cast(keepdims ? y : squeeze(y, axes), atLeastFloat(a.dtype));
}
/**
 * Norm of vectors (one axis) or matrices (two axes) (`mlx.core.linalg.norm`, `mlx.core.matrix_norm`). Without an order the root of the sum of
 * squares over the axes, or over all of them.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.linalg.norm(mx.array([3, 4])).item(); // 5
 * ```
 */
export function norm(a: Operand, options: NormOrder | NormOptions | null = {}): NDArray {
  const { ord = null, axis = null, keepdims = false } = typeof options === "object" ? options ?? {} : { ord: options };
  const x = toArray("norm", a);
  const ndim = x.shape.length;
  const axes = (axis === null ? x.shape.map((_, i) => i) : [axis].flat()).map((i) => normalizeAxis("norm", i, ndim));
  const tooMany = (expected: string) =>
    fail(ValueError, "norm", {
      cannot: `take this norm of ${describe(x)}`,
      expected,
      got: `${axes.length} axes`,
      fix: "give an axis",
    });
  if (ord === null) {
    if (axis !== null && axes.length > 2) tooMany("one or two axes");
    return euclidean(x, axes, keepdims);
  }
  if (typeof ord === "string") {
    if (ord !== "fro" && ord !== "f" && ord !== "nuc") {
      fail(ValueError, "norm", {
        cannot: `take the norm ${String(ord)}`,
        expected: `a number, "fro" or "nuc"`,
        got: String(ord),
        fix: "use one of them",
      });
    }
    if (axes.length !== 2) tooMany("two axes");
    return ord === "nuc" ? matrixNorm(x, ord, axes, keepdims) : euclidean(x, axes, keepdims);
  }
  if (axes.length === 1) return vectorNorm(x, ord, axes, keepdims);
  if (axes.length !== 2) tooMany("one or two axes");
  return matrixNorm(x, ord, axes, keepdims);
}
/** The entries of vectors of length 2 or 3 along an axis. */
function components(x: NDArray, axis: number): NDArray[] {
  const n = x.shape[axis]!;
  if (n !== 2 && n !== 3) {
    fail(ShapeError, "cross", {
      cannot: `take a cross product of ${describe(x)}`,
      expected: "2 or 3 entries",
      got: String(n),
      fix: "give another axis",
    });
  }
  return unstack(x, axis);
}
/**
 * The cross product of vectors of length 2 (in the plane) or 3 along an axis, -1 if absent (`mlx.core.linalg.cross`).
 */
export function cross(a: Operand, b: Operand, axis: AxisArgument = -1): NDArray {
  const [x, y] = promoted([toArray("cross", a), toArray("cross", b)]);
  const place = oneAxisArg(axis, undefined)[0] ?? -1;
  const [i, j] = [normalizeAxis("cross", place, x.shape.length), normalizeAxis("cross", place, y.shape.length)];
  const [u, v] = [components(x, i), components(y, j)];
  const shape = commonShape("cross", [x.shape.with(i, 3), y.shape.with(j, 3)]);
  const at = normalizeAxis("cross", place, shape.length);
  const third = (z: NDArray[]) => z[2] ?? zerosLike(z[0]!);
  const minor = (p: NDArray, q: NDArray, r: NDArray, s: NDArray) => subtract(multiply(p, s), multiply(q, r));
  const [[u0, u1], [v0, v1], u2, v2] = [u, v, third(u), third(v)];
  const parts = [minor(u1!, u2, v1!, v2), minor(u2, u0!, v2, v0!), minor(u0!, u1!, v0!, v1!)];
  return stack(parts.map((part) => broadcastTo(part, shape.toSpliced(at, 1))), at);
}
