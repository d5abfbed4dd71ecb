/**
 * Reductions over axes, and what is composed of them: means, variances, medians, softmax. `axis` is one axis, several,
 * or all (null, the default); `keepdims` leaves them with length 1. The derivatives are in `core/primitives/reduce.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import {
  atLeastFloat,
  bool_,
  complex64,
  type DType,
  float,
  float32,
  int32,
  int64,
  issubdtype,
  uint32,
  uint64,
} from "../dtype.ts";
import { fail, ShapeError } from "../errors.ts";
import { bind, recorder } from "../graph.ts";
import { describe, keptAxes, normalizeAxes, normalizeAxis, sameShape, sizeOf, withoutAxes } from "../shape.ts";
import { add, divide, multiply, notEqual, subtract } from "./binary.ts";
import { type Axes, axisArg, cast, oneAxisArg, type Operand, scalar, toArray } from "./operand.ts";
import * as own from "./reduce.ts";
import { sort } from "./sort.ts";
import { where } from "./ternary.ts";
import { conjugate, exp, isinf, isnan, log, real, sqrt, square } from "./unary.ts";
import { moveaxis, reshape, sliceOf, stopGradient, transpose } from "./view.ts";

export type { Axes };
/** Options of the reductions. */
export interface ReduceOptions {
  /** The axis or axes to reduce; all of them if null. Default null. */
  readonly axis?: Axes;
  /** Whether the reduced axes stay, with length 1. Default false. */
  readonly keepdims?: boolean;
}

/** Binds a reduction primitive over checked axes. */
function bindReduce(
  name: "sum" | "prod" | "max" | "min" | "all" | "any",
  x: NDArray,
  axes: readonly number[],
  keepdims: boolean,
): NDArray {
  if (axes.length === 0) return x;
  const y = bind(name, [x], { axes });
  return keepdims ? reshape(y, keptAxes(x.shape, axes)) : y;
}
/** The dtype of sums and products: small integers and booleans need room. */
function sumType(dtype: DType): DType {
  if (dtype.kind === "bool") return int32;
  if (dtype.kind === "int") return dtype === int64 ? int64 : int32;
  if (dtype.kind === "uint") return dtype === uint64 ? uint64 : uint32;
  return dtype;
}

/**
 * Sum (`mlx.core.sum`). Booleans and integers of 8 and 16 bits are summed as int32 or uint32.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.sum(mx.array([[1, 2], [3, 4]]), 0); // array([4, 6], dtype=float32)
 * ```
 */
export function sum(a: Operand, axis?: Axes | ReduceOptions, options?: ReduceOptions): NDArray {
  if (recorder) return recorder.call(sum, [a, axis, options]);
  const [which, o] = axisArg(axis, options);
  const x = toArray("sum", a);
  const axes = normalizeAxes("sum", which, x.shape.length);
  return axes.length === 0 ? x : bindReduce("sum", cast(x, sumType(x.dtype)), axes, o?.keepdims ?? false);
}
/**
 * Product (`mlx.core.prod`), in the dtype of {@linkcode sum}.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.prod(mx.array([2, 3, 4])).item(); // 24
 * ```
 */
export function prod(a: Operand, axis?: Axes | ReduceOptions, options?: ReduceOptions): NDArray {
  if (recorder) return recorder.call(prod, [a, axis, options]);
  const [which, o] = axisArg(axis, options);
  const x = toArray("prod", a);
  const axes = normalizeAxes("prod", which, x.shape.length);
  return axes.length === 0 ? x : bindReduce("prod", cast(x, sumType(x.dtype)), axes, o?.keepdims ?? false);
}
function extremum(
  name: "max" | "min",
  a: Operand,
  axis: Axes | ReduceOptions | undefined,
  options: ReduceOptions | undefined,
): NDArray {
  const [which, o] = axisArg(axis, options);
  const x = toArray(name, a);
  const axes = normalizeAxes(name, which, x.shape.length);
  refuseEmpty(name, x, axes);
  return bindReduce(name, x, axes, o?.keepdims ?? false);
}
function refuseEmpty(op: string, x: NDArray, axes: readonly number[]): void {
  if (axes.every((axis) => x.shape[axis] !== 0)) return;
  fail(ShapeError, op, {
    cannot: `reduce ${describe(x)} over an empty axis`,
    expected: "at least one element",
    got: "none",
    fix: "skip empty arrays",
  });
}
/**
 * Greatest element; NaN if there is one (`mlx.core.max`). Empty axes are an error.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.max(mx.array([[1, 5], [4, 2]]), 1).tolist(); // [5, 4]
 * ```
 */
export function max(a: Operand, axis?: Axes | ReduceOptions, options?: ReduceOptions): NDArray {
  if (recorder) return recorder.call(max, [a, axis, options]);
  return extremum("max", a, axis, options);
}
/**
 * Least element; NaN if there is one (`mlx.core.min`). Empty axes are an error.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.min(mx.array([[1, 5], [4, 2]]), 0).tolist(); // [1, 2]
 * ```
 */
export function min(a: Operand, axis?: Axes | ReduceOptions, options?: ReduceOptions): NDArray {
  if (recorder) return recorder.call(min, [a, axis, options]);
  return extremum("min", a, axis, options);
}
/**
 * `[min(a), max(a)]` (`mlx.core.minmax`). Empty axes are an error.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const [low, high] = mx.minmax(mx.array([[1, 5], [4, 2]]), 1);
 * low.tolist(); // [1, 2]
 * high.tolist(); // [5, 4]
 * ```
 */
export function minmax(a: Operand, axis?: Axes | ReduceOptions, options?: ReduceOptions): [NDArray, NDArray] {
  return [min(a, axis, options), max(a, axis, options)];
}
/**
 * Whether no element is 0; true for none (`mlx.core.all`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.all(mx.array([true, false])).item(); // false
 * ```
 */
export function all(a: Operand, axis?: Axes | ReduceOptions, options?: ReduceOptions): NDArray {
  if (recorder) return recorder.call(all, [a, axis, options]);
  const [which, o] = axisArg(axis, options);
  const x = cast(toArray("all", a), bool_);
  return bindReduce("all", x, normalizeAxes("all", which, x.shape.length), o?.keepdims ?? false);
}
/**
 * Whether some element is not 0; false for none (`mlx.core.any`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.any(mx.array([true, false])).item(); // true
 * ```
 */
export function any(a: Operand, axis?: Axes | ReduceOptions, options?: ReduceOptions): NDArray {
  if (recorder) return recorder.call(own.any, [a, axis, options]);
  const [which, o] = axisArg(axis, options);
  const x = cast(toArray("any", a), bool_);
  return bindReduce("any", x, normalizeAxes("any", which, x.shape.length), o?.keepdims ?? false);
}
/**
 * How many elements are not 0, as int32 (`mlx.core.count_nonzero`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.countNonzero(mx.array([0, 2, 3])).item(); // 2
 * ```
 */
export function countNonzero(a: Operand, axis?: Axes | ReduceOptions, options?: ReduceOptions): NDArray {
  if (recorder) return recorder.call(countNonzero, [a, axis, options]);
  return sum(cast(notEqual(toArray("countNonzero", a), scalar("countNonzero", 0, int32)), int32), axis, options);
}
/** Number of elements along the axes. */
function countAlong(x: NDArray, axes: readonly number[]): number {
  return sizeOf(axes.map((axis) => x.shape[axis]!));
}
/**
 * Arithmetic mean; integers are summed as integers and divided as float32 (`mlx.core.mean`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.mean(mx.array([[1, 2], [3, 6]]), 0, { keepdims: true }).tolist(); // [[2, 4]]
 * ```
 */
export function mean(a: Operand, axis?: Axes | ReduceOptions, options?: ReduceOptions): NDArray {
  if (recorder) return recorder.call(mean, [a, axis, options]);
  const [which, o] = axisArg(axis, options);
  const x = toArray("mean", a);
  const axes = normalizeAxes("mean", which, x.shape.length);
  return multiply(sum(x, axes, { keepdims: o?.keepdims }), float(1 / countAlong(x, axes)));
}
/** Options of {@linkcode variance} and {@linkcode std}. */
export interface VarOptions extends ReduceOptions {
  /** The sum of squares is divided by N - ddof. Default 0. */
  readonly ddof?: number;
}
/**
 * Variance `Σ |a - mean|² / (N - ddof)` (`mlx.core.var`). Where `N - ddof` is not positive it is infinite, or NaN for
 * constants.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.variance(mx.array([1, 2, 3, 4]), { ddof: 1 }).item(); // 1.6666666269302368
 * ```
 */
export function variance(a: Operand, axis?: Axes | VarOptions, options?: VarOptions): NDArray {
  if (recorder) return recorder.call(variance, [a, axis, options]);
  const [which, o] = axisArg(axis, options);
  const x = toArray("var", a);
  const axes = normalizeAxes("var", which, x.shape.length);
  const d = subtract(x, mean(x, axes, { keepdims: true }));
  const squared = d.dtype === complex64 ? real(multiply(d, conjugate(d))) : square(d);
  const total = sum(squared, axes, { keepdims: o?.keepdims });
  const n = countAlong(x, axes), ddof = o?.ddof ?? 0;
  return ddof === 0 ? multiply(total, float(1 / n)) : divide(total, Math.max(n - ddof, 0));
}
export { variance as var };
/**
 * Standard deviation, the square root of {@linkcode variance} (`mlx.core.std`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.std(mx.array([1, 3])).item(); // 1
 * ```
 */
export function std(a: Operand, axis?: Axes | VarOptions, options?: VarOptions): NDArray {
  if (recorder) return recorder.call(std, [a, axis, options]);
  return sqrt(variance(a, axis, options));
}

/** The axes moved behind the others, in order. */
function axesLast(x: NDArray, axes: readonly number[]): NDArray {
  const order = [...x.shape.keys()].filter((i) => !axes.includes(i)).concat(axes);
  return order.every((axis, i) => axis === i) ? x : transpose(x, { axes: order });
}
/**
 * Median: the middle of the sorted elements, the mean of the two middle ones; NaN if there is one (`mlx.core.median`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.median(mx.array([3, 1, 2, 10])).item(); // 2.5
 * ```
 */
export function median(a: Operand, axis?: Axes | ReduceOptions, options?: ReduceOptions): NDArray {
  if (recorder) return recorder.call(median, [a, axis, options]);
  const [which, o] = axisArg(axis, options);
  const x = toArray("median", a);
  const axes = normalizeAxes("median", which, x.shape.length);
  refuseEmpty("median", x, axes);
  const outer = withoutAxes(x.shape, axes), n = countAlong(x, axes);
  const flat = reshape(axesLast(x, axes), [...outer, n]);
  const sorted = sort(flat, -1);
  const dtype = atLeastFloat(x.dtype);
  const at = (i: number): NDArray => {
    const starts = outer.map(() => 0).concat(i), stops = outer.concat(i + 1);
    return cast(reshape(sliceOf(sorted, starts, stops), outer), dtype);
  };
  const half = Math.floor(n / 2);
  let middle = n % 2 ? at(half) : multiply(add(at(half), at(half - 1)), 0.5);
  if (issubdtype(x.dtype, "inexact")) middle = where(any(isnan(flat), -1), float(NaN), middle);
  return o?.keepdims ? reshape(middle, keptAxes(x.shape, axes)) : middle;
}

/** Options of {@linkcode argmax} and {@linkcode argmin}. */
export interface ArgReduceOptions {
  /** The axis; all elements, flattened, if null. Default null. */
  readonly axis?: number | null;
  /** Whether the reduced axes stay, with length 1. Default false. */
  readonly keepdims?: boolean;
}
function argReduce(
  name: "argmax" | "argmin",
  a: Operand,
  axis: number | null | ArgReduceOptions | undefined,
  options: ArgReduceOptions | undefined,
): NDArray {
  const [which, o] = oneAxisArg(axis, options);
  const x = toArray(name, a);
  const over = which ?? null;
  const at = over === null ? 0 : normalizeAxis(name, over, x.shape.length);
  refuseEmpty(name, x, over === null ? [...x.shape.keys()] : [at]);
  const y = bind(name, [over === null ? reshape(x, [sizeOf(x.shape)]) : x], { axis: at });
  if (!o?.keepdims) return y;
  return reshape(y, over === null ? x.shape.map(() => 1) : keptAxes(x.shape, [at]));
}
/**
 * Index of the greatest element, as uint32: the first of several, the first NaN before all (`mlx.core.argmax`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.argmax(mx.array([[1, 5], [4, 2]]), 1).tolist(); // [1, 0]
 * ```
 */
export function argmax(a: Operand, axis?: number | null | ArgReduceOptions, options?: ArgReduceOptions): NDArray {
  if (recorder) return recorder.call(argmax, [a, axis, options]);
  return argReduce("argmax", a, axis, options);
}
/**
 * Index of the least element, as uint32: the first of several, the first NaN before all (`mlx.core.argmin`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.argmin(mx.array([3, 1, 2])).item(); // 1
 * ```
 */
export function argmin(a: Operand, axis?: number | null | ArgReduceOptions, options?: ArgReduceOptions): NDArray {
  if (recorder) return recorder.call(argmin, [a, axis, options]);
  return argReduce("argmin", a, axis, options);
}

/** The one axis that is not of length 1, or the last of them: reducing the others changes nothing. */
function onlyAxis(x: NDArray, axes: readonly number[]): number | null {
  const long = axes.filter((axis) => x.shape[axis] !== 1);
  return long.length > 1 ? null : long[0] ?? axes.at(-1) ?? null;
}
/**
 * `log Σ e^a` without overflow (`mlx.core.logsumexp`). Empty arrays are an error.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.logsumexp(mx.array([0, 0])).item(); // 0.6931471824645996
 * ```
 */
export function logsumexp(a: Operand, axis?: Axes | ReduceOptions, options?: ReduceOptions): NDArray {
  if (recorder) return recorder.call(logsumexp, [a, axis, options]);
  const [which, o] = axisArg(axis, options);
  const given = toArray("logsumexp", a);
  const axes = normalizeAxes("logsumexp", which, given.shape.length);
  refuseEmpty("logsumexp", given, [...given.shape.keys()]);
  const shape = o?.keepdims ? keptAxes(given.shape, axes) : withoutAxes(given.shape, axes);
  const only = given.dtype === complex64 ? null : onlyAxis(given, axes);
  const last = only === given.shape.length - 1;
  // MLX subtracts the maximum from unsigned integers as such, which wraps, except over the last axis.
  const wraps = given.dtype.kind === "uint" && !last;
  const x = wraps ? given : cast(given, atLeastFloat(given.dtype));
  if (only !== null && !wraps) {
    const y = bind("logsumexp", [last ? x : moveaxis(x, only, -1)], {});
    return sameShape(y.shape, shape) ? y : reshape(y, shape);
  }
  // e^-∞ = 0 and log 0 = -∞ are right; where the maximum is infinite itself, the result is that maximum.
  const top = stopGradient(max(x, axes, { keepdims: true }));
  const y = add(reshape(log(sum(exp(subtract(x, top)), axes)), shape), reshape(top, shape));
  return where(isinf(reshape(top, shape)), reshape(top, shape), y);
}
/** Options of {@linkcode softmax}. */
export interface SoftmaxOptions {
  /** The axis or axes over which the result sums to 1; all of them if null. Default null. */
  readonly axis?: Axes;
  /** Whether float16 and bfloat16 are summed in float32. The kernels always do. Default false. */
  readonly precise?: boolean;
}
/**
 * `e^a / Σ e^a` without overflow (`mlx.core.softmax`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.softmax(mx.array([[0, 0], [1, 1]]), -1); // array([[0.5, 0.5], [0.5, 0.5]], dtype=float32)
 * ```
 */
export function softmax(a: Operand, axis?: Axes | SoftmaxOptions, options?: SoftmaxOptions): NDArray {
  if (recorder) return recorder.call(softmax, [a, axis, options]);
  const [which, o] = axisArg(axis, options);
  const given = toArray("softmax", a);
  const axes = normalizeAxes("softmax", which, given.shape.length);
  if (sizeOf(given.shape) === 0) return given;
  const x = cast(given, atLeastFloat(given.dtype));
  const precise = o?.precise ?? false;
  const only = x.dtype === complex64 ? null : onlyAxis(x, axes);
  if (only !== null) {
    if (only === x.shape.length - 1) return bind("softmax", [x], { precise });
    return moveaxis(bind("softmax", [moveaxis(x, only, -1)], { precise }), -1, only);
  }
  const wide = precise && x.dtype !== complex64 ? cast(x, float32) : x;
  const e = exp(subtract(wide, stopGradient(max(wide, axes, { keepdims: true }))));
  return cast(divide(e, sum(e, axes, { keepdims: true })), x.dtype);
}
