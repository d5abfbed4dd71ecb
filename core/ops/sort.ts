/**
 * Sorting and what is composed of it: partitions, the greatest elements, searching in sorted arrays, unique elements.
 * NaN sorts last; sorting is stable. The derivatives are in `core/primitives/sort.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { int32, issubdtype, uint32 } from "../dtype.ts";
import { fail, IndexError, ShapeError, ValueError } from "../errors.ts";
import { bind, recorder } from "../graph.ts";
import { describe, normalizeAxis, sizeOf } from "../shape.ts";
import { add, less, logicalAnd, logicalOr, minimum, notEqual, rightShift, subtract } from "./binary.ts";
import { arange, full, ones, zeros } from "./create.ts";
import { concatenate, take } from "./index.ts";
import { cast, oneAxisArg, type Operand, promoted, toArray } from "./operand.ts";
import { cumsum } from "./scan.ts";
import { where } from "./ternary.ts";
import { isnan, logicalNot } from "./unary.ts";
import { broadcastTo, reshape, sliceOf } from "./view.ts";

/** Options of functions that work along one axis. */
export interface SortOptions {
  /** The axis; the flattened array if null. Default -1. */
  readonly axis?: number | null;
}
/** The array to sort, flattened where the axis is null, and the axis. */
function along(op: string, a: Operand, axis: number | null | SortOptions | undefined): [NDArray, number] {
  const [which = -1] = oneAxisArg(axis, undefined);
  const x = toArray(op, a);
  if (which === null) return [reshape(x, [sizeOf(x.shape)]), 0];
  return [x, normalizeAxis(op, which, x.shape.length)];
}
/**
 * The elements in ascending order along an axis (`mlx.core.sort`). NaN comes last; complex numbers are ordered by real,
 * then by imaginary part.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.sort(mx.array([3, 1, 2])); // array([1, 2, 3], dtype=float32)
 * ```
 */
export function sort(a: Operand, axis?: number | null | SortOptions): NDArray {
  if (recorder) return recorder.call(sort, [a, axis]);
  const [x, at] = along("sort", a, axis);
  return bind("sort", [x], { axis: at });
}
/**
 * The indices that sort along an axis, as uint32; equal elements keep their order (`mlx.core.argsort`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.argsort(mx.array([3, 1, 2])).tolist(); // [1, 2, 0]
 * ```
 */
export function argsort(a: Operand, axis?: number | null | SortOptions): NDArray {
  if (recorder) return recorder.call(argsort, [a, axis]);
  const [x, at] = along("argsort", a, axis);
  return bind("argsort", [x], { axis: at });
}
function checkKth(op: string, x: NDArray, kth: number, axis: number): void {
  const n = x.shape[axis]!;
  if (Number.isInteger(kth) && kth >= -n && kth < n) return;
  fail(IndexError, op, {
    cannot: `split ${describe(x)} at element ${kth} of axis ${axis}`,
    expected: `an index in [${-n}, ${n - 1}]`,
    got: String(kth),
    fix: "give an index within the axis",
  });
}
/**
 * The elements with the `kth` smallest in its sorted place, none greater before it and none smaller after it
 * (`mlx.core.partition`). Here they are sorted throughout.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.partition(mx.array([3, 1, 2]), 1).tolist(); // [1, 2, 3]
 * ```
 */
export function partition(a: Operand, kth: number, axis?: number | null | SortOptions): NDArray {
  const [x, at] = along("partition", a, axis);
  checkKth("partition", x, kth, at);
  return bind("sort", [x], { axis: at });
}
/**
 * The indices that {@linkcode partition} an axis, as uint32 (`mlx.core.argpartition`): those of a whole sort.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.array([7, 1, 5, 3]);
 * const least = mx.argpartition(x, 1).index(":2"); // where the two least elements are
 * mx.sort(mx.take(x, least)).tolist(); // [1, 3]
 * ```
 */
export function argpartition(a: Operand, kth: number, axis?: number | null | SortOptions): NDArray {
  const [x, at] = along("argpartition", a, axis);
  checkKth("argpartition", x, kth, at);
  return bind("argsort", [x], { axis: at });
}
/**
 * The `k` greatest elements along an axis, in ascending order (`mlx.core.topk`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.topk(mx.array([5, 3, 1, 4]), 2).tolist(); // [4, 5]
 * ```
 */
export function topk(a: Operand, k: number, axis?: number | null | SortOptions): NDArray {
  if (recorder) return recorder.call(topk, [a, k, axis]);
  const [x, at] = along("topk", a, axis);
  const n = x.shape[at]!;
  if (!Number.isInteger(k) || k < 0 || k > n) {
    fail(ValueError, "topk", {
      cannot: `take the ${k} greatest of axis ${at} of ${describe(x)}`,
      expected: `a number in [0, ${n}]`,
      got: String(k),
      fix: "give a smaller k",
    });
  }
  return sliceOf(sort(x, at), x.shape.map((_, i) => i === at ? n - k : 0), x.shape);
}

/** Options of {@linkcode searchsorted}. */
export interface SearchSortedOptions {
  /** Whether equal elements stay behind the found place (`left`) or before it (`right`). Default `left`. */
  readonly side?: "left" | "right";
}
/**
 * For each value, how many elements of a sorted array are smaller (`left`) or not greater (`right`), as uint32: where
 * to insert it (`mlx.core.searchsorted`). NaN counts as greatest. The steps of a binary search are unrolled in the
 * graph.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.searchsorted(mx.array([1, 2, 4]), mx.array([2, 3])); // array([1, 2], dtype=uint32)
 * ```
 */
export function searchsorted(sortedSequence: NDArray, values: Operand, options: SearchSortedOptions = {}): NDArray {
  const side: string = options.side ?? "left";
  if (side !== "left" && side !== "right") {
    fail(ValueError, "searchsorted", {
      cannot: "search",
      expected: "side left or right",
      got: side,
      fix: "use one of these",
    });
  }
  if (sortedSequence.shape.length !== 1) {
    fail(ShapeError, "searchsorted", {
      cannot: `search in ${describe(sortedSequence)}`,
      expected: "one axis",
      got: String(sortedSequence.shape.length),
      fix: "flatten it, or search row by row",
    });
  }
  const [sequence, v] = promoted([sortedSequence, toArray("searchsorted", values, sortedSequence.dtype)]);
  const goesOn = side === "left" ? before : (x: NDArray, y: NDArray): NDArray => logicalNot(before(y, x));
  const n = sequence.shape[0]!;
  let low = zeros(v.shape, int32), high = full(v.shape, n, int32);
  for (let width = n; width > 0; width >>= 1) {
    const middle = rightShift(add(low, high), 1);
    const above = logicalAnd(less(low, high), goesOn(take(sequence, minimum(middle, n - 1), { axis: 0 }), v));
    high = where(above, high, middle);
    low = where(above, add(middle, 1), low);
  }
  return cast(low, uint32);
}
/** The order of sorting: `x < y`, and every number before NaN. */
function before(x: NDArray, y: NDArray): NDArray {
  return issubdtype(x.dtype, "inexact")
    ? logicalOr(less(x, y), logicalAnd(isnan(y), logicalNot(isnan(x))))
    : less(x, y);
}

/** Options of {@linkcode unique}. */
export interface UniqueOptions {
  /** Whether to return where each element occurs first. Default false. */
  readonly returnIndex?: boolean;
  /** Whether to return, for each element of `a`, its place among the unique ones. Default false. */
  readonly returnInverse?: boolean;
  /** Whether to return how often each element occurs. Default false. */
  readonly returnCounts?: boolean;
  /** The value of the places behind the last unique element. Default: the least element. */
  readonly fillValue?: Operand | null;
}
/**
 * The sorted unique elements of the flattened array (`mlx.core.unique`): the `size` smallest of them, filled up where
 * there are fewer. If asked for, also the uint32 index of their first occurrence, the uint32 inverse (in the shape of
 * `a`) and the int32 counts, in a list. Every NaN is unique.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.unique(mx.array([2, 1, 2]), 2); // array([1, 2], dtype=float32)
 * ```
 */
export function unique(a: NDArray, size: number, options?: UniqueOptions): NDArray | NDArray[] {
  const o = options ?? {};
  const n = sizeOf(a.shape), flat = reshape(a, [n]);
  if (n === 0) return uniqueOfNone(a, size, o);
  const order = argsort(flat), sorted = take(flat, order, { axis: 0 });
  const starts = n < 2 ? ones([n], int32) : cast(
    concatenate([ones([1]), notEqual(sliceOf(sorted, [1], [n]), sliceOf(sorted, [0], [n - 1]))], { axis: 0 }),
    int32,
  );
  const groups = subtract(cumsum(starts), 1);
  // Where each group begins in sorted order; n for groups that do not exist.
  const edges = cast(searchsorted(groups, arange(size + 1)), int32);
  const begin = sliceOf(edges, [0], [size]);
  const exists = less(begin, n), place = where(exists, begin, 0);
  const fill = cast(toArray("unique", o.fillValue ?? sliceOf(sorted, [0], [1]), a.dtype), a.dtype);
  const result = [where(exists, take(sorted, place, { axis: 0 }), fill)];
  if (o.returnIndex) result.push(take(order, place, { axis: 0 }));
  if (o.returnInverse) {
    const inverse = minimum(take(groups, argsort(order), { axis: 0 }), Math.max(size - 1, 0));
    result.push(reshape(cast(inverse, uint32), a.shape));
  }
  if (o.returnCounts) result.push(subtract(sliceOf(edges, [1], [size + 1]), begin));
  return result.length === 1 ? result[0]! : result;
}
/** Nothing is unique in an empty array: all places are filled. */
function uniqueOfNone(a: NDArray, size: number, o: UniqueOptions): NDArray | NDArray[] {
  const fill = o.fillValue ?? null;
  if (fill === null && size > 0) {
    fail(ShapeError, "unique", {
      cannot: `find ${size} elements in ${describe(a)}`,
      expected: "a fillValue, as the array is empty",
      got: "none",
      fix: "give one, or use size 0",
    });
  }
  const result = [fill === null ? a : broadcastTo(cast(toArray("unique", fill, a.dtype), a.dtype), [size])];
  if (o.returnIndex) result.push(zeros([size], uint32));
  if (o.returnInverse) result.push(zeros(a.shape, uint32));
  if (o.returnCounts) result.push(zeros([size], int32));
  return result.length === 1 ? result[0]! : result;
}
