// Long because views are many small functions, each with an example.
/**
 * Operations that only look at an array in another way: no element is computed, and where strides can express the
 * result, none is copied. The records (layouts, derivatives) are in `core/primitives/view.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import type { DType } from "../dtype.ts";
import { fail, IndexError, ShapeError, ValueError } from "../errors.ts";
import { bind, recorder } from "../graph.ts";
import type { Shape } from "../primitive.ts";
import {
  commonShape,
  describe,
  describeShape,
  normalizeAxes,
  normalizeAxis,
  rowMajorStrides,
  sameShape,
  sizeOf,
} from "../shape.ts";
import { type Axes, axisArg, isArray, oneAxisArg, type Operand, toArray } from "./operand.ts";
import { copy } from "./unary.ts";

/** One axis, several, or all of them (null): bare or in an options object. */
export type AxesArgument = Axes | { readonly axis?: Axes };
/** One axis, bare or in an options object. */
export type AxisArgument = number | { readonly axis?: number };

/** A shape in which one length may be -1: the rest of `size`. */
function resolved(op: string, x: NDArray, shape: Shape, size: number): number[] {
  const bad = () =>
    fail(ShapeError, op, {
      cannot: `reshape ${describe(x)} into ${describeShape(shape)}`,
      expected: `lengths whose product is ${size}, one of which may be -1`,
      got: describeShape(shape),
      fix: "give a shape with as many elements",
    });
  const known = shape.reduce((product, n) => n === -1 ? product : product * n, 1);
  const open = shape.filter((n) => n === -1).length;
  if (shape.some((n) => !Number.isInteger(n) || n < -1) || open > 1) bad();
  if (open === 1 && (known === 0 ? size !== 0 : size % known !== 0)) bad();
  if (open === 0 && known !== size) bad();
  return shape.map((n) => n === -1 ? (known === 0 ? 0 : size / known) : n);
}
/**
 * The same elements, in row-major order, under another shape; one length may be -1 (`mlx.core.reshape`).
 * A `ShapeError` where the number of elements differs.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.reshape(mx.arange(6), [2, -1]).shape; // [2, 3]
 * ```
 */
export function reshape(x: Operand, shape: number | Shape): NDArray {
  if (recorder) return recorder.call(reshape, [x, shape]);
  const a = toArray("reshape", x);
  const to = resolved("reshape", a, typeof shape === "number" ? [shape] : shape, sizeOf(a.shape));
  return sameShape(a.shape, to) ? a : bind("reshape", [a], { shape: to });
}
/**
 * The axes `startAxis` to `endAxis` (all, if absent) as one (`mlx.core.flatten`). A 0-d array becomes `[1]`; axes out
 * of range act as the nearest one.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.flatten(mx.zeros([2, 3])).shape; // [6]
 * ```
 */
export function flatten(
  x: Operand,
  options: number | { readonly startAxis?: number; readonly endAxis?: number } = {},
): NDArray {
  if (recorder) return recorder.call(flatten, [x, options]);
  const a = toArray("flatten", x);
  const ndim = a.shape.length;
  const { startAxis = 0, endAxis = -1 } = typeof options === "number" ? { startAxis: options } : options;
  if (ndim === 0) return reshape(a, [1]);
  const first = Math.max(0, startAxis < 0 ? startAxis + ndim : startAxis);
  const last = Math.min(ndim - 1, endAxis < 0 ? endAxis + ndim : endAxis);
  if (first > last) {
    fail(ValueError, "flatten", {
      cannot: `flatten ${describe(a)}`,
      expected: "a start axis that is not behind the end axis",
      got: `startAxis ${startAxis} and endAxis ${endAxis}`,
      fix: "exchange them",
    });
  }
  return reshape(a, [...a.shape.slice(0, first), sizeOf(a.shape.slice(first, last + 1)), ...a.shape.slice(last + 1)]);
}
/**
 * One axis split into several, one of which may be -1 (`mlx.core.unflatten`). A `ShapeError` where they do not fit.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.unflatten(mx.zeros([6]), 0, [2, -1]).shape; // [2, 3]
 * ```
 */
export function unflatten(x: Operand, axis: number, shape: Shape): NDArray {
  if (recorder) return recorder.call(unflatten, [x, axis, shape]);
  const a = toArray("unflatten", x);
  const at = normalizeAxis("unflatten", axis, a.shape.length);
  return reshape(a, a.shape.toSpliced(at, 1, ...resolved("unflatten", a, shape, a.shape[at]!)));
}
/**
 * Without the axes of length 1, or without the given ones (`mlx.core.squeeze`). A `ValueError` where one is longer.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.squeeze(mx.zeros([1, 3, 1])).shape; // [3]
 * ```
 */
export function squeeze(x: Operand, axis?: AxesArgument): NDArray {
  if (recorder) return recorder.call(squeeze, [x, axis]);
  const a = toArray("squeeze", x);
  const given = axisArg(axis, undefined)[0] ?? a.shape.flatMap((n, i) => n === 1 ? [i] : []);
  const axes = normalizeAxes("squeeze", given, a.shape.length);
  const long = axes.find((i) => a.shape[i] !== 1);
  if (long !== undefined) {
    fail(ValueError, "squeeze", {
      cannot: `drop axis ${long} of ${describe(a)}`,
      expected: "an axis of length 1",
      got: `length ${a.shape[long]}`,
      fix: "index the axis instead",
    });
  }
  return reshape(a, a.shape.filter((_, i) => !axes.includes(i)));
}
/**
 * With new axes of length 1 at these places of the result (`mlx.core.expand_dims`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.expandDims(mx.zeros([3]), 0).shape; // [1, 3]
 * ```
 */
export function expandDims(x: Operand, axis: number | readonly number[]): NDArray {
  if (recorder) return recorder.call(expandDims, [x, axis]);
  const a = toArray("expandDims", x);
  const list = typeof axis === "number" ? [axis] : axis;
  const axes = normalizeAxes("expandDims", list, a.shape.length + list.length);
  let next = 0;
  const shape = Array.from({ length: a.shape.length + axes.length }, (_, i) => axes.includes(i) ? 1 : a.shape[next++]!);
  return reshape(a, shape);
}
/**
 * The axes in another order; reversed, if none is given (`mlx.core.transpose`). A `ValueError` where `axes` is no
 * permutation.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.transpose(mx.zeros([2, 3, 4]), [2, 0, 1]).shape; // [4, 2, 3]
 * ```
 */
export function transpose(
  x: Operand,
  options: readonly number[] | null | { readonly axes?: readonly number[] | null } = {},
): NDArray {
  if (recorder) return recorder.call(transpose, [x, options]);
  const a = toArray("transpose", x);
  const ndim = a.shape.length;
  const given = options !== null && "axes" in options ? options.axes : options;
  if (!given || !("length" in given)) {
    return ndim < 2 ? a : bind("transpose", [a], { axes: a.shape.map((_, i) => ndim - 1 - i) });
  }
  const axes = given.map((axis) => normalizeAxis("transpose", axis, ndim));
  if (axes.length !== ndim || new Set(axes).size !== ndim) {
    fail(ValueError, "transpose", {
      cannot: `transpose ${describe(a)} by ${describeShape(given)}`,
      expected: `each of its ${ndim} axes once`,
      got: describeShape(given),
      fix: "list every axis once",
    });
  }
  return axes.every((axis, i) => axis === i) ? a : bind("transpose", [a], { axes });
}
/**
 * The same as {@linkcode transpose} (`mlx.core.permute_dims`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.permuteDims(mx.zeros([2, 3, 4]), [2, 0, 1]).shape; // [4, 2, 3]
 * ```
 */
export function permuteDims(
  x: Operand,
  options: readonly number[] | { readonly axes?: readonly number[] | null } = {},
): NDArray {
  return transpose(x, options);
}
/**
 * The last two axes exchanged (`mlx.core.matrix_transpose`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.matrixTranspose(mx.array([[1, 2], [3, 4]])).tolist(); // [[1, 3], [2, 4]]
 * mx.matrixTranspose(mx.zeros([5, 2, 3])).shape; // [5, 3, 2]
 * ```
 */
export function matrixTranspose(x: Operand): NDArray {
  if (recorder) return recorder.call(matrixTranspose, [x]);
  const a = toArray("matrixTranspose", x);
  if (a.shape.length < 2) {
    fail(ShapeError, "matrixTranspose", {
      cannot: `transpose ${describe(a)}`,
      expected: "at least two axes",
      got: describe(a),
      fix: "expandDims it first",
    });
  }
  return swapaxes(a, -1, -2);
}
/**
 * Two axes exchanged (`mlx.core.swapaxes`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.swapaxes(mx.zeros([2, 3, 4]), 0, 2).shape; // [4, 3, 2]
 * ```
 */
export function swapaxes(x: Operand, axis1: number, axis2: number): NDArray {
  if (recorder) return recorder.call(swapaxes, [x, axis1, axis2]);
  const a = toArray("swapaxes", x);
  const [i, j] = [axis1, axis2].map((axis) => normalizeAxis("swapaxes", axis, a.shape.length));
  return transpose(a, a.shape.map((_, k) => k === i ? j! : k === j ? i! : k));
}
/**
 * One axis moved to another place (`mlx.core.moveaxis`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.moveaxis(mx.zeros([2, 3, 4]), 0, -1).shape; // [3, 4, 2]
 * ```
 */
export function moveaxis(x: Operand, source: number, destination: number): NDArray {
  if (recorder) return recorder.call(moveaxis, [x, source, destination]);
  const a = toArray("moveaxis", x);
  const from = normalizeAxis("moveaxis", source, a.shape.length);
  const to = normalizeAxis("moveaxis", destination, a.shape.length);
  return transpose(a, a.shape.map((_, i) => i).toSpliced(from, 1).toSpliced(to, 0, from));
}
/**
 * Repeated, without a copy, along axes of length 1 and new leading axes (`mlx.core.broadcast_to`). A `ShapeError` where
 * it does not fit.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.broadcastTo(mx.array([1, 2]), [2, 2]).tolist(); // [[1, 2], [1, 2]]
 * ```
 */
export function broadcastTo(x: Operand, shape: number | Shape): NDArray {
  if (recorder) return recorder.call(broadcastTo, [x, shape]);
  const a = toArray("broadcastTo", x);
  const to = typeof shape === "number" ? [shape] : shape;
  if (sameShape(a.shape, to)) return a;
  const added = to.length - a.shape.length;
  if (added < 0 || to.some((n) => n < 0) || a.shape.some((n, i) => n !== 1 && n !== to[i + added])) {
    fail(ShapeError, "broadcastTo", {
      cannot: `broadcast ${describe(a)} to ${describeShape(to)}`,
      expected: "axes, aligned at the last one, of equal length or of length 1",
      got: describeShape(a.shape),
      fix: "reshape or expandDims the array",
    });
  }
  return bind("broadcastTo", [a], { shape: to });
}
/**
 * All arrays broadcast to their common shape (`mlx.core.broadcast_arrays`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const [x, y] = mx.broadcastArrays(mx.array([1, 2]), mx.array([[10], [20]]));
 * x!.tolist(); // [[1, 2], [1, 2]]
 * y!.tolist(); // [[10, 10], [20, 20]]
 * ```
 */
export function broadcastArrays(...xs: readonly Operand[]): NDArray[] {
  const arrays = xs.map((x) => toArray("broadcastArrays", x));
  const shape = commonShape("broadcastArrays", arrays.map((a) => a.shape));
  return arrays.map((a) => broadcastTo(a, shape));
}
/** Where a strided view reads: see {@linkcode asStrided}. */
export interface StridedOptions {
  /** Lengths of the view's axes; those of the array if absent. */
  readonly shape?: Shape;
  /** Steps of the view's axes, in elements; row-major if absent. */
  readonly strides?: readonly number[];
  /** Element that the view begins at. */
  readonly offset?: number;
}
/**
 * A view with any strides: `y[i, j] = flat(x)[offset + i strides[0] + j strides[1]]`, where `flat(x)` is x in row-major
 * order (`mlx.core.as_strided`). An `IndexError` where it would leave the array.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.asStrided(mx.arange(4), { shape: [3, 2], strides: [1, 1] }).tolist(); // [[0, 1], [1, 2], [2, 3]]
 * ```
 */
export function asStrided(x: Operand, options: Shape | StridedOptions = {}, more: StridedOptions = {}): NDArray {
  const a = toArray("asStrided", x);
  const { shape = a.shape, strides = rowMajorStrides(shape), offset = 0 } = "length" in options
    ? { ...more, shape: options }
    : options;
  const ends = shape.map((n, i) => (n - 1) * (strides[i] ?? 0));
  const low = ends.reduce((sum, end) => sum + Math.min(end, 0), offset);
  const high = ends.reduce((sum, end) => sum + Math.max(end, 0), offset);
  if (
    strides.length !== shape.length || shape.some((n) => n < 0) ||
    (sizeOf(shape) > 0 && (low < 0 || high >= sizeOf(a.shape)))
  ) {
    fail(IndexError, "asStrided", {
      cannot: `view ${describe(a)} as ${describeShape(shape)}`,
      expected: `one stride per axis, and elements in [0, ${sizeOf(a.shape) - 1}]`,
      got: `strides ${describeShape(strides)} and offset ${offset}: elements ${low} to ${high}`,
      fix: "make the view smaller",
    });
  }
  return bind("asStrided", [a], { shape, strides, offset });
}
/**
 * The same bytes as another dtype (`mlx.core.view`). Where the sizes differ, the last axis grows or shrinks; a
 * `ShapeError` where it cannot.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.view(mx.array([1]), mx.int32).item(); // 1065353216
 * ```
 */
export function view(x: Operand, dtype: DType): NDArray {
  const a = toArray("view", x);
  if (a.dtype === dtype) return a;
  if (a.dtype.size !== dtype.size) {
    const bytes = (a.shape.at(-1) ?? 0) * a.dtype.size;
    if (a.shape.length === 0 || bytes % dtype.size !== 0) {
      fail(ShapeError, "view", {
        cannot: `view ${describe(a)} as ${dtype}`,
        expected: `a last axis whose bytes divide by ${dtype.size}`,
        got: a.shape.length === 0 ? "a 0-d array" : `${bytes} bytes`,
        fix: "take a dtype of the same size",
      });
    }
  }
  return bind("viewAs", [a], { dtype });
}
/**
 * A row-major copy, or the array itself where it lies so already (`mlx.core.contiguous`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.arange(4).reshape([2, 2]).T;
 * mx.view(mx.contiguous(x), mx.uint8).shape; // [2, 8]
 * ```
 */
export function contiguous(x: Operand, _options: { readonly allowColMajor?: boolean } = {}): NDArray {
  return copy(toArray("contiguous", x));
}
/**
 * The same values, through which no gradient flows (`mlx.core.stop_gradient`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.grad((x: mx.NDArray) => x.mul(mx.stopGradient(x)))(mx.array(3)).item(); // 3
 * ```
 */
export function stopGradient(x: Operand): NDArray {
  return bind("stopGradient", [toArray("stopGradient", x)], {});
}
function atLeast(op: string, xs: readonly Operand[], shaped: (shape: Shape) => Shape): NDArray | NDArray[] {
  const arrays = xs.map((x) => toArray(op, x)).map((a) => reshape(a, shaped(a.shape)));
  return arrays.length === 1 ? arrays[0]! : arrays;
}
/**
 * The array with at least one axis (`mlx.core.atleast_1d`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.atleast1d(3).tolist(); // [3]
 * mx.atleast1d(mx.array(3), mx.zeros([2, 2])).map((x) => x.shape); // [[1], [2, 2]]
 * ```
 */
export function atleast1d(x: Operand): NDArray;
/** Several arrays, each with at least one axis. */
export function atleast1d(...xs: readonly Operand[]): NDArray[];
export function atleast1d(...xs: readonly Operand[]): NDArray | NDArray[] {
  return atLeast("atleast1d", xs, (shape) => shape.length === 0 ? [1] : shape);
}
/**
 * The array with at least two axes (`mlx.core.atleast_2d`): `[n]` becomes `[1, n]`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.atleast2d(mx.array([1, 2])).tolist(); // [[1, 2]]
 * mx.atleast2d(mx.array(3), mx.zeros([4])).map((x) => x.shape); // [[1, 1], [1, 4]]
 * ```
 */
export function atleast2d(x: Operand): NDArray;
/** Several arrays, each with at least two axes. */
export function atleast2d(...xs: readonly Operand[]): NDArray[];
export function atleast2d(...xs: readonly Operand[]): NDArray | NDArray[] {
  return atLeast("atleast2d", xs, (shape) => shape.length < 2 ? [1, shape[0] ?? 1] : shape);
}
/**
 * The array with at least three axes (`mlx.core.atleast_3d`): `[n]` becomes `[1, n, 1]`, `[m, n]` becomes `[m, n, 1]`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.atleast3d(mx.zeros([4])).shape; // [1, 4, 1]
 * mx.atleast3d(mx.zeros([2, 5]), mx.array(3)).map((x) => x.shape); // [[2, 5, 1], [1, 1, 1]]
 * ```
 */
export function atleast3d(x: Operand): NDArray;
/** Several arrays, each with at least three axes. */
export function atleast3d(...xs: readonly Operand[]): NDArray[];
export function atleast3d(...xs: readonly Operand[]): NDArray | NDArray[] {
  return atLeast(
    "atleast3d",
    xs,
    (shape) => shape.length < 2 ? [1, shape[0] ?? 1, 1] : shape.length === 2 ? [...shape, 1] : shape,
  );
}
/**
 * `x[starts:stops:steps]` for every axis, with fixed numbers. They count from the front and lie inside the axes; with a
 * negative step a stop of -1 means "to index 0". No MLX function: `x.index` ends here.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.arange(12).reshape([3, 4]);
 * mx.sliceOf(x, [0, 1], [2, 3]).tolist(); // [[1, 2], [5, 6]]
 * mx.sliceOf(x, [2, 0], [-1, 1], [-1, 1]).tolist(); // [[8], [4], [0]]
 * ```
 */
export function sliceOf(x: NDArray, starts: Shape, stops: Shape, steps: Shape = starts.map(() => 1)): NDArray {
  const whole = starts.every((start, i) => start === 0 && steps[i] === 1 && stops[i] === x.shape[i]);
  return whole ? x : bind("slice", [x], { starts, stops, steps });
}
/**
 * `x[..., start:stop, ...]` along one axis, with numbers from 0 to its length. No MLX function.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.arange(6).reshape([2, 3]);
 * mx.sliceAxis(x, 1, 0, 2).tolist(); // [[0, 1], [3, 4]]
 * ```
 */
export function sliceAxis(x: NDArray, axis: number, start: number, stop: number): NDArray {
  if (recorder) return recorder.call(sliceAxis, [x, axis, start, stop]);
  return sliceOf(x, x.shape.map((_, i) => i === axis ? start : 0), x.shape.map((n, i) => i === axis ? stop : n));
}
/**
 * An axis cut into `indicesOrSections` equal parts, or before each of the given indices (`mlx.core.split`). A
 * `ValueError` where equal parts do not exist.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.split(mx.arange(6), 3).length; // 3
 * ```
 */
export function split(x: Operand, indicesOrSections: number | readonly number[], axis: AxisArgument = 0): NDArray[] {
  if (recorder) return recorder.call(split, [x, indicesOrSections, axis]);
  const a = toArray("split", x);
  const at = normalizeAxis("split", oneAxisArg(axis, undefined)[0] ?? 0, a.shape.length);
  const length = a.shape[at]!;
  if (typeof indicesOrSections === "number") {
    const size = length / indicesOrSections;
    if (!Number.isInteger(size) || indicesOrSections <= 0) {
      fail(ValueError, "split", {
        cannot: `split axis ${at} of ${describe(a)} into ${indicesOrSections} equal parts`,
        expected: `a positive divisor of ${length}`,
        got: String(indicesOrSections),
        fix: "give the indices to cut at",
      });
    }
    return Array.from({ length: indicesOrSections }, (_, i) => sliceAxis(a, at, i * size, (i + 1) * size));
  }
  const clamp = (i: number) => Math.min(Math.max(i < 0 ? i + length : i, 0), length);
  const cuts = [0, ...indicesOrSections.map(clamp), length];
  return cuts.slice(1).map((stop, i) => sliceAxis(a, at, Math.min(cuts[i]!, stop), stop));
}
/**
 * The entries along one axis, without that axis (`mlx.core.unstack`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.unstack(mx.array([[1, 2], [3, 4]])).map((row) => row.tolist()); // [[1, 2], [3, 4]]
 * ```
 */
export function unstack(x: Operand, axis: AxisArgument = 0): NDArray[] {
  const a = toArray("unstack", x);
  const at = normalizeAxis("unstack", oneAxisArg(axis, undefined)[0] ?? 0, a.shape.length);
  const shape = a.shape.toSpliced(at, 1);
  return Array.from({ length: a.shape[at]! }, (_, i) => reshape(sliceAxis(a, at, i, i + 1), shape));
}
/**
 * The elements in reverse order along the given axes, or along all (`mlx.core.flip`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.flip(mx.array([1, 2, 3])).tolist(); // [3, 2, 1]
 * ```
 */
export function flip(x: Operand, axis?: AxesArgument): NDArray {
  if (recorder) return recorder.call(flip, [x, axis]);
  const a = toArray("flip", x);
  const axes = normalizeAxes("flip", axisArg(axis, undefined)[0], a.shape.length);
  const turned = (i: number) => axes.includes(i);
  return sliceOf(
    a,
    a.shape.map((n, i) => turned(i) ? n - 1 : 0),
    a.shape.map((n, i) => turned(i) ? -1 : n),
    a.shape.map((_, i) => turned(i) ? -1 : 1),
  );
}
/** Two axes' diagonal: see {@linkcode diagonal}. */
export interface DiagonalAxes {
  /** Which diagonal: above the main one if positive. */
  readonly offset?: number;
  /** Axis of the rows, 0 if absent. */
  readonly axis1?: number;
  /** Axis of the columns, 1 if absent. */
  readonly axis2?: number;
}
/**
 * The diagonal of two axes, as a new last axis (`mlx.core.diagonal`): a view.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.diagonal(mx.array([[1, 2], [3, 4]])).tolist(); // [1, 4]
 * ```
 */
export function diagonal(x: Operand, options: number | DiagonalAxes = {}): NDArray {
  if (recorder) return recorder.call(diagonal, [x, options]);
  const a = toArray("diagonal", x);
  const ndim = a.shape.length;
  const { offset = 0, axis1 = 0, axis2 = 1 } = typeof options === "number" ? { offset: options } : options;
  if (ndim < 2) {
    fail(ShapeError, "diagonal", {
      cannot: `take a diagonal of ${describe(a)}`,
      expected: "at least two axes",
      got: describe(a),
      fix: "reshape it",
    });
  }
  const [row, column] = [normalizeAxis("diagonal", axis1, ndim), normalizeAxis("diagonal", axis2, ndim)];
  if (row === column) {
    fail(ValueError, "diagonal", {
      cannot: "take a diagonal of one axis",
      expected: "two axes",
      got: `${axis1} and ${axis2}`,
      fix: "give two axes",
    });
  }
  const rest = a.shape.map((_, i) => i).filter((i) => i !== row && i !== column);
  const moved = transpose(a, [...rest, row, column]);
  const [rows, columns] = [a.shape[row]!, a.shape[column]!];
  const length = Math.max(0, Math.min(rows - Math.max(-offset, 0), columns - Math.max(offset, 0)));
  const first = length === 0 ? 0 : Math.max(-offset, 0) * columns + Math.max(offset, 0);
  const shape = rest.map((i) => a.shape[i]!);
  const strides = rowMajorStrides([...shape, rows, columns]).slice(0, shape.length);
  return bind("asStrided", [moved], { shape: [...shape, length], strides: [...strides, columns + 1], offset: first });
}
/** Grids: see {@linkcode meshgrid}. */
export interface MeshgridOptions {
  /** Axes of length 1 instead of repeated values. */
  readonly sparse?: boolean;
  /** `"xy"` (the default) exchanges the first two axes, `"ij"` keeps the order of the arrays. */
  readonly indexing?: "xy" | "ij";
}
/**
 * Coordinate grids of arrays, flattened: for n arrays (and options, if any, behind them) n arrays of n axes
 * (`mlx.core.meshgrid`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.meshgrid(mx.arange(2), mx.arange(3)).map((x) => x.shape); // [[3, 2], [3, 2]]
 * ```
 */
export function meshgrid(...args: readonly (Operand | MeshgridOptions)[]): NDArray[] {
  const { sparse = false, indexing = "xy" } = args.find(isMeshgridOptions) ?? {};
  if (indexing !== "xy" && indexing !== "ij") {
    fail(ValueError, "meshgrid", {
      cannot: "make grids",
      expected: `indexing "xy" or "ij"`,
      got: indexing,
      fix: "use one of them",
    });
  }
  const arrays = args.flatMap((x) => isMeshgridOptions(x) ? [] : [toArray("meshgrid", x)]);
  const place = (i: number) => indexing === "xy" && i < 2 && arrays.length > 1 ? 1 - i : i;
  const grids = arrays.map((a, i) => reshape(a, arrays.map((_, k) => k === place(i) ? sizeOf(a.shape) : 1)));
  return sparse ? grids : broadcastArrays(...grids);
}
function isMeshgridOptions(x: Operand | MeshgridOptions): x is MeshgridOptions {
  return typeof x === "object" && !isArray(x) && ("sparse" in x || "indexing" in x || Object.keys(x).length === 0);
}
