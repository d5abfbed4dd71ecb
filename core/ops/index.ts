/**
 * Operations that move elements by index: take, gather, scatter, slices with computed starts, concatenation, padding.
 * What `x.index(...)` and `x.at(...)` mean is in `indexing.ts`; the records are in `core/primitives/index.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { type DType, int32, uint32 } from "../dtype.ts";
import { fail, ShapeError, ValueError } from "../errors.ts";
import { bind, recorder } from "../graph.ts";
import type { Shape } from "../primitive.ts";
import { commonShape, describe, describeShape, normalizeAxis, sameShape, sizeOf } from "../shape.ts";
import { equal, multiply, subtract } from "./binary.ts";
import { arange, zeros } from "./create.ts";
import {
  checkedIndex,
  checkEntries,
  dynamicSlice,
  gather,
  gatherAxis,
  type Indices,
  placeIndexAxes,
  scatterAxis,
  toIndices,
  updateSlice,
} from "./moves.ts";
import { type Axis, cast, commonType, oneAxisArg, type Operand, requireList, toArray } from "./operand.ts";
import { sum } from "./reduce.ts";
import { where } from "./ternary.ts";
import {
  type AxisArgument,
  broadcastTo,
  diagonal,
  type DiagonalAxes,
  expandDims,
  flatten,
  reshape,
  sliceAxis,
} from "./view.ts";
export type { IndexList, Indices } from "./moves.ts";

// ---- reading ----

/**
 * Entries of one axis: `y[..., i..., ...] = x[..., indices[i...], ...]`; of the flattened array, if the axis is null or
 * absent (`mlx.core.take`). A number as index drops the axis. Negative indices count from the end.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.take(mx.arange(6).reshape([2, 3]), [0, 2], 1).tolist(); // [[0, 2], [3, 5]]
 * ```
 */
export function take(x: Operand, indices: Indices, options: Axis | { readonly axis?: Axis } = {}): NDArray {
  if (recorder) return recorder.call(take, [x, indices, options]);
  const given = oneAxisArg(options, undefined)[0] ?? null;
  const source = toArray("take", x);
  const a = given === null ? flatten(source) : source;
  const axis = normalizeAxis("take", given ?? 0, a.shape.length);
  if (typeof indices === "number") return takeOne(a, indices, axis);
  const at = toIndices("take", indices);
  checkEntries("take", a, axis, at);
  const rest = a.shape.toSpliced(axis, 1);
  const y = reshape(gather(a, [at], [axis], a.shape.with(axis, 1)), [...at.shape, ...rest]);
  return placeIndexAxes(y, at.shape.length, axis);
}
function takeOne(a: NDArray, index: number, axis: number): NDArray {
  const i = checkedIndex("take", index, a, axis);
  return reshape(sliceAxis(a, axis, i, i + 1), a.shape.toSpliced(axis, 1));
}
/** Indices along one axis have the axes of the array. */
function checkAxes(op: string, a: NDArray, indices: NDArray): void {
  if (a.shape.length !== indices.shape.length) {
    fail(ShapeError, op, {
      cannot: `index ${describe(a)} with ${describe(indices)}`,
      expected: `indices with ${a.shape.length} axes`,
      got: `${indices.shape.length} axes`,
      fix: "reshape the indices, or use take",
    });
  }
}
/** Both arrays broadcast to each other in all axes but one. */
function alignedBut(op: string, a: NDArray, indices: NDArray, axis: number): [NDArray, NDArray] {
  checkAxes(op, a, indices);
  const shape = commonShape(op, [a.shape.with(axis, 1), indices.shape.with(axis, 1)]);
  return [
    broadcastTo(a, shape.with(axis, a.shape[axis]!)),
    broadcastTo(indices, shape.with(axis, indices.shape[axis]!)),
  ];
}
/**
 * `y[..., i, ...] = x[..., indices[..., i, ...], ...]`: the indices have as many axes as x and broadcast with it in the
 * other axes (`mlx.core.take_along_axis`). Axis -1 if absent; of both flattened arrays if null.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.array([[3, 1], [2, 4]]);
 * mx.takeAlongAxis(x, mx.argsort(x, 1), 1).tolist(); // [[1, 3], [2, 4]]
 * ```
 */
export function takeAlongAxis(x: Operand, indices: Indices, options: Axis | { readonly axis?: Axis } = {}): NDArray {
  if (recorder) return recorder.call(takeAlongAxis, [x, indices, options]);
  const axis = oneAxisArg(options, undefined)[0];
  const [a, at] = [toArray("takeAlongAxis", x), toIndices("takeAlongAxis", indices)];
  if (axis === null) return gatherAxis(reshape(a, [-1]), reshape(at, [-1]), 0);
  const i = normalizeAxis("takeAlongAxis", axis ?? -1, a.shape.length);
  return gatherAxis(...alignedBut("takeAlongAxis", a, at, i), i);
}
/**
 * x with `x[..., indices[..., i, ...], ...] = values[..., i, ...]`; the values broadcast to the indices
 * (`mlx.core.put_along_axis`). Of the flattened array if the axis is null or absent.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.zeros([2, 3]), best = mx.array([[2], [0]], mx.int32);
 * mx.putAlongAxis(x, best, mx.array(1), 1).tolist(); // [[0, 0, 1], [1, 0, 0]]
 * mx.putAlongAxis(x, [4], mx.array(5)).tolist(); // [[0, 0, 0], [0, 5, 0]]
 * ```
 */
export function putAlongAxis(
  x: Operand,
  indices: Indices,
  values: Operand,
  options: Axis | { readonly axis?: Axis } = {},
): NDArray {
  const axis = oneAxisArg(options, undefined)[0] ?? null;
  const [a, at] = [toArray("putAlongAxis", x), toIndices("putAlongAxis", indices)];
  const v = cast(toArray("putAlongAxis", values, a.dtype), a.dtype);
  if (axis === null) {
    const flat = reshape(at, [-1]);
    const updates = reshape(broadcastTo(v, at.shape), flat.shape);
    return reshape(scatterAxis(reshape(a, [-1]), flat, updates, 0, "set"), a.shape);
  }
  const i = normalizeAxis("putAlongAxis", axis, a.shape.length);
  checkAxes("putAlongAxis", a, at);
  const shape = a.shape.with(i, at.shape[i]!);
  const wide = broadcastTo(at, shape);
  return scatterAxis(a, wide, broadcastTo(v, shape), i, "set");
}

// ---- slices whose start is computed ----

/** The start of a computed slice as the kernels take it, and its axes in ascending order. */
function sliceStart(op: string, x: NDArray, start: Indices, axes: readonly number[]): [NDArray, number[]] {
  let at = toIndices(op, start);
  if (at.dtype === uint32) at = cast(at, int32);
  const list = axes.map((axis) => normalizeAxis(op, axis, x.shape.length));
  if (at.shape.length > 1 || sizeOf(at.shape) !== list.length || new Set(list).size !== list.length) {
    fail(ShapeError, op, {
      cannot: `slice ${describe(x)} from ${describe(at)}`,
      expected: "one start for each of different axes",
      got: `${sizeOf(at.shape)} starts for axes ${describeShape(axes)}`,
      fix: "give as many starts as axes",
    });
  }
  at = reshape(at, [list.length]);
  const order = list.map((_, i) => i).sort((i, j) => list[i]! - list[j]!);
  const sorted = order.every((k, i) => k === i);
  return [sorted ? at : take(at, order, 0), order.map((i) => list[i]!)];
}
/**
 * The sub-array of the given sizes that begins at `start`, one index for each of `axes`, 0 in the others
 * (`mlx.core.slice`). `slice` in `indexing.ts` is the same, and also makes slices of index expressions.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.arange(12).reshape([3, 4]);
 * const row = mx.argmax(mx.array([1, 5, 2])); // where to start may be computed
 * mx.sliceFrom(x, row, [0], [1, 4]).tolist(); // [[4, 5, 6, 7]]
 * mx.sliceFrom(x, [1, 2], [0, 1], [2, 2]).tolist(); // [[6, 7], [10, 11]]
 * ```
 */
export function sliceFrom(x: Operand, start: Indices, axes: readonly number[], sliceSize: Shape): NDArray {
  const a = toArray("slice", x);
  const [at, sorted] = sliceStart("slice", a, start, axes);
  if (sliceSize.length !== a.shape.length || sliceSize.some((n, i) => n < 0 || n > a.shape[i]!)) {
    fail(ShapeError, "slice", {
      cannot: `take a slice of ${describe(a)}`,
      expected: "one size per axis, at most its length",
      got: describeShape(sliceSize),
      fix: "correct the sizes",
    });
  }
  return dynamicSlice(a, at, sorted, sliceSize);
}
/**
 * x with the slice that begins at `start` (one index for each of `axes`, 0 in the others) replaced by the update
 * (`mlx.core.slice_update`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.zeros([3, 2]);
 * mx.sliceUpdate(x, mx.array([[1, 2]]), mx.array(1, mx.int32), [0]).tolist(); // [[0, 0], [1, 2], [0, 0]]
 * mx.sliceUpdate(x, mx.ones([2, 1]), [0, 1], [0, 1]).tolist(); // [[0, 1], [0, 1], [0, 0]]
 * ```
 */
export function sliceUpdate(x: Operand, update: Operand, start: Indices, axes: readonly number[]): NDArray {
  return writeAt(toArray("sliceUpdate", x), update, start, axes);
}
/**
 * {@linkcode sliceUpdate}; with `donate` it may take the buffer of x, which is unusable then: how caches grow in place.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * let cache = mx.zeros([4]);
 * for (let i = 0; i < 3; i++) {
 *   cache = mx.writeAt(cache, mx.array([i + 1]), [i], [0], { donate: true });
 * }
 * cache.tolist(); // [1, 2, 3, 0]
 * ```
 */
export function writeAt(
  x: NDArray,
  update: Operand,
  start: Indices,
  axes: readonly number[],
  options: { readonly donate?: boolean } = {},
): NDArray {
  const [at, sorted] = sliceStart("sliceUpdate", x, start, axes);
  const value = cast(toArray("sliceUpdate", update, x.dtype), x.dtype);
  const missing = x.shape.length - value.shape.length;
  const shape = [...new Array<number>(Math.max(0, missing)).fill(1), ...value.shape];
  if (missing < 0 || shape.some((n, i) => n > x.shape[i]!)) {
    fail(ShapeError, "sliceUpdate", {
      cannot: `write ${describe(value)} into ${describe(x)}`,
      expected: "an update that is nowhere longer than the array",
      got: describeShape(value.shape),
      fix: "reshape or slice the update",
    });
  }
  return bind("dynamicSliceUpdate", [x, reshape(value, shape), at], { axes: sorted }, options);
}

// ---- joining, repeating, padding ----

/**
 * The arrays one after the other along an axis, or all flattened if it is null (`mlx.core.concatenate`). Dtypes
 * promote; a `ShapeError` where the other axes differ.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.concatenate([mx.zeros([2, 1]), mx.ones([2, 2])], 1).shape; // [2, 3]
 * ```
 */
export function concatenate(arrays: readonly Operand[], options: Axis | { readonly axis?: Axis } = {}): NDArray {
  if (recorder) return recorder.call(concatenate, [arrays, options]);
  const given = oneAxisArg(options, undefined)[0];
  const list = requireList("concatenate", arrays).map((x) => toArray("concatenate", x)).map((a) =>
    given === null ? reshape(a, [-1]) : a
  );
  const first = list[0] ??
    fail(ValueError, "concatenate", {
      cannot: "join nothing",
      expected: "at least one array",
      got: "none",
      fix: "give an array",
    });
  const axis = normalizeAxis("concatenate", given ?? 0, first.shape.length);
  const odd = list.find((a) =>
    a.shape.length !== first.shape.length || a.shape.some((n, i) => i !== axis && n !== first.shape[i])
  );
  if (odd) {
    fail(ShapeError, "concatenate", {
      cannot: `join ${describe(first)} and ${describe(odd)} along axis ${axis}`,
      expected: "equal lengths in the other axes",
      got: `${describeShape(first.shape)} and ${describeShape(odd.shape)}`,
      fix: "reshape, pad or slice one of them",
    });
  }
  const dtype = commonType(list);
  const parts = list.map((a) => cast(a, dtype));
  return parts.length === 1 ? parts[0]! : bind("concatenate", parts, { axis });
}
export { concatenate as concat };
/**
 * The arrays, all of one shape, along a new axis (`mlx.core.stack`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.stack([mx.array([1, 2]), mx.array([3, 4])]).tolist(); // [[1, 2], [3, 4]]
 * ```
 */
export function stack(arrays: readonly Operand[], options: AxisArgument = 0): NDArray {
  if (recorder) return recorder.call(stack, [arrays, options]);
  const axis = oneAxisArg(options, undefined)[0] ?? 0;
  const list = requireList("stack", arrays).map((x) => toArray("stack", x));
  const odd = list.find((a) => !sameShape(a.shape, list[0]!.shape));
  if (odd || list.length === 0) {
    fail(ShapeError, "stack", {
      cannot: "stack arrays",
      expected: "at least one array, and equal shapes",
      got: odd ? `${describe(list[0]!)} and ${describe(odd)}` : "none",
      fix: "use concatenate, or reshape them",
    });
  }
  const at = normalizeAxis("stack", axis, list[0]!.shape.length + 1);
  return concatenate(list.map((a) => expandDims(a, at)), at);
}
/**
 * Each entry of an axis `repeats` times in a row; of the flattened array, if the axis is absent (`mlx.core.repeat`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.repeat(mx.array([1, 2]), 2).tolist(); // [1, 1, 2, 2]
 * ```
 */
export function repeat(x: Operand, repeats: number, options: Axis | { readonly axis?: Axis } = {}): NDArray {
  if (recorder) return recorder.call(repeat, [x, repeats, options]);
  const given = oneAxisArg(options, undefined)[0] ?? null;
  const source = toArray("repeat", x);
  const a = given === null ? flatten(source) : source;
  const axis = normalizeAxis("repeat", given ?? 0, a.shape.length);
  checkCount("repeat", repeats);
  const wide = broadcastTo(expandDims(a, axis + 1), a.shape.toSpliced(axis + 1, 0, repeats));
  return reshape(wide, a.shape.with(axis, a.shape[axis]! * repeats));
}
function checkCount(op: string, n: number): void {
  if (Number.isInteger(n) && n >= 0) return;
  fail(ValueError, op, {
    cannot: `repeat ${n} times`,
    expected: "integers of at least 0",
    got: String(n),
    fix: "correct the count",
  });
}
/**
 * The array, repeated `reps[i]` times along axis i, counted from the last one (`mlx.core.tile`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.tile(mx.array([1, 2]), 2).tolist(); // [1, 2, 1, 2]
 * ```
 */
export function tile(x: Operand, reps: number | readonly number[]): NDArray {
  if (recorder) return recorder.call(tile, [x, reps]);
  const a = toArray("tile", x);
  const list = typeof reps === "number" ? [reps] : reps;
  list.forEach((n) => checkCount("tile", n));
  const ndim = Math.max(list.length, a.shape.length);
  const counts = [...new Array<number>(ndim - list.length).fill(1), ...list];
  const shape = [...new Array<number>(ndim - a.shape.length).fill(1), ...a.shape];
  const wide = broadcastTo(reshape(a, shape.flatMap((n) => [1, n])), shape.flatMap((n, i) => [counts[i]!, n]));
  return reshape(wide, shape.map((n, i) => n * counts[i]!));
}
/** How many entries to add: for all axes, for all axes [before, after], or per axis (the rest gets none). */
export type PadWidth = number | readonly number[] | readonly (readonly number[])[];
/** How {@linkcode pad} fills. */
export interface PadOptions {
  /**
   * `"constant"` (the default), the nearest entry (`"edge"`), or mirrored without (`"reflect"`) or with (`"symmetric"`)
   * the edge.
   */
  readonly mode?: "constant" | "edge" | "reflect" | "symmetric";
  /** What `"constant"` fills with, 0 if absent; broadcasts to the result. */
  readonly constantValues?: Operand;
}
/** Widths [before, after] of each axis. */
function padWidths(a: NDArray, width: PadWidth): [number, number][] {
  const pair = (w: number | readonly number[]): [number, number] =>
    typeof w === "number" ? [w, w] : [w[0] ?? 0, w[1] ?? w[0] ?? 0];
  const nested = (w: PadWidth): w is readonly (readonly number[])[] =>
    typeof w !== "number" && typeof w[0] === "object";
  const ndim = a.shape.length;
  const widths = nested(width) && width.length > 1
    ? width.map(pair)
    : a.shape.map(() => pair(nested(width) ? width[0]! : width));
  const negative = widths.findIndex(([low, high]) => !(low >= 0 && high >= 0));
  if (negative >= 0 || widths.length !== ndim) {
    fail(ValueError, "pad", {
      cannot: `pad ${describe(a)}`,
      expected: "one pair of widths, or one for each axis, of at least 0",
      got: JSON.stringify(width),
      fix: negative >= 0 ? "slice the array to make it shorter" : "write [0, 0] for the other axes",
    });
  }
  return widths;
}
/** Which entry of an axis of length n stands at place i of the padded axis. */
function mirrored(n: number, i: number, mode: "edge" | "reflect" | "symmetric"): number {
  if (mode === "edge" || n === 1) return Math.min(Math.max(i, 0), n - 1);
  const period = mode === "reflect" ? 2 * (n - 1) : 2 * n;
  const k = ((i % period) + period) % period;
  return k < n ? k : mode === "reflect" ? period - k : period - 1 - k;
}
/**
 * More entries before and after each axis: constants, the edge, or mirrored entries (`mlx.core.pad`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.pad(mx.ones([2]), [1, 2]).tolist(); // [0, 1, 1, 0, 0]
 * ```
 */
export function pad(x: Operand, padWidth: PadWidth, options: PadOptions = {}): NDArray {
  if (recorder) return recorder.call(pad, [x, padWidth, options]);
  const a = toArray("pad", x);
  const { mode = "constant", constantValues = 0 } = options;
  const widths = padWidths(a, padWidth);
  if (mode === "constant") {
    const shape = a.shape.map((n, i) => n + widths[i]![0] + widths[i]![1]);
    const value = cast(toArray("pad", constantValues, a.dtype), a.dtype);
    if (sameShape(shape, a.shape)) return a;
    return updateSlice(broadcastTo(value, shape), a, widths.map(([low]) => low), shape.map(() => 1), "set");
  }
  if (mode !== "edge" && mode !== "reflect" && mode !== "symmetric") {
    fail(ValueError, "pad", {
      cannot: `pad in mode ${String(mode)}`,
      expected: "constant, edge, reflect or symmetric",
      got: String(mode),
      fix: "use one of them",
    });
  }
  return widths.reduce((y, [low, high], axis) => {
    if (low === 0 && high === 0) return y;
    const n = y.shape[axis]!;
    if (n === 0) {
      fail(ValueError, "pad", {
        cannot: `pad axis ${axis} of ${describe(y)} in mode ${mode}`,
        expected: "an axis with entries",
        got: "length 0",
        fix: `use mode "constant"`,
      });
    }
    return take(y, Array.from({ length: low + n + high }, (_, i) => mirrored(n, i - low, mode)), axis);
  }, a);
}
/**
 * Entries moved `shift` places along the axes, around the end; in the flattened array, if no axis is given
 * (`mlx.core.roll`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.roll(mx.array([1, 2, 3]), 1).tolist(); // [3, 1, 2]
 * ```
 */
export function roll(
  x: Operand,
  shift: number | readonly number[],
  options: number | readonly number[] | null | { readonly axis?: number | readonly number[] | null } = {},
): NDArray {
  if (recorder) return recorder.call(roll, [x, shift, options]);
  const a = toArray("roll", x);
  const given = options !== null && typeof options === "object" && "axis" in options ? options.axis : options;
  if (given === null || given === undefined || (typeof given === "object" && !("length" in given))) {
    const total = typeof shift === "number" ? shift : shift.reduce((sum, n) => sum + n, 0);
    return reshape(rolled(flatten(a), total, 0), a.shape);
  }
  const axes = typeof given === "number" ? [given] : given;
  if (typeof shift !== "number" && shift.length < axes.length) {
    fail(ValueError, "roll", {
      cannot: "roll",
      expected: `a shift for each of ${axes.length} axes`,
      got: `${shift.length} shifts`,
      fix: "give one per axis",
    });
  }
  // One axis takes all shifts, as in NumPy.
  const total = (list: readonly number[]): number => list.reduce((sum, n) => sum + n, 0);
  const shifts = axes.map((_, i) => typeof shift === "number" ? shift : axes.length === 1 ? total(shift) : shift[i]!);
  return axes.reduce<NDArray>((y, axis, i) => rolled(y, shifts[i]!, normalizeAxis("roll", axis, y.shape.length)), a);
}
function rolled(a: NDArray, shift: number, axis: number): NDArray {
  const n = a.shape[axis]!;
  const cut = n === 0 ? 0 : (((-shift) % n) + n) % n;
  return cut === 0 ? a : concatenate([sliceAxis(a, axis, cut, n), sliceAxis(a, axis, 0, cut)], axis);
}
/**
 * The Kronecker product: blocks `a[i, j] * b` (`mlx.core.kron`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.kron(mx.array([1, 2]), mx.array([1, 10])).tolist(); // [1, 10, 2, 20]
 * ```
 */
export function kron(a: Operand, b: Operand): NDArray {
  if (recorder) return recorder.call(kron, [a, b]);
  const [x, y] = [toArray("kron", a), toArray("kron", b)];
  const ndim = Math.max(x.shape.length, y.shape.length);
  const full = (shape: Shape) => [...new Array<number>(ndim - shape.length).fill(1), ...shape];
  const [m, n] = [full(x.shape), full(y.shape)];
  const product = multiply(reshape(x, m.flatMap((k) => [k, 1])), reshape(y, n.flatMap((k) => [1, k])));
  return reshape(product, m.map((k, i) => k * n[i]!));
}
/**
 * The diagonal of a matrix, or the matrix with a 1-d array on its diagonal `k` (`mlx.core.diag`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.diag(mx.array([1, 2])).tolist(); // [[1, 0], [0, 2]]
 * ```
 */
export function diag(x: Operand, options: number | { readonly k?: number } = {}): NDArray {
  if (recorder) return recorder.call(diag, [x, options]);
  const a = toArray("diag", x);
  const { k = 0 } = typeof options === "number" ? { k: options } : options;
  if (a.shape.length === 2) return diagonal(a, { offset: k });
  if (a.shape.length !== 1) {
    fail(ShapeError, "diag", {
      cannot: `use ${describe(a)}`,
      expected: "1 or 2 axes",
      got: describe(a),
      fix: "use diagonal",
    });
  }
  const n = a.shape[0]! + Math.abs(k);
  const rows = reshape(arange(0, n), [n, 1]);
  const columns = reshape(arange(0, n), [1, n]);
  // Above the main diagonal the row tells which entry it is, below it the column.
  const filled = reshape(pad(a, [0, Math.abs(k)]), k >= 0 ? [n, 1] : [1, n]);
  return where(equal(subtract(columns, rows), k), filled, zeros([], a.dtype));
}
/**
 * The sum of a diagonal of two axes (`mlx.core.trace`), in `dtype` if it is given.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.trace(mx.array([[1, 2], [3, 4]])).item(); // 5
 * ```
 */
export function trace(x: Operand, options: DiagonalAxes & { readonly dtype?: DType | null } = {}): NDArray {
  const a = toArray("trace", x);
  return sum(cast(diagonal(a, options), options.dtype ?? a.dtype), { axis: -1 });
}
