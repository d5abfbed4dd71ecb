/**
 * The primitives that move elements, one unchecked function each, and what all index arguments have in common. The
 * operations are in `index.ts` and `indexing.ts`; rules of records use these.
 * @module
 */
import type { NDArray } from "../array.ts";
import { bool_, int32, int64, uint32 } from "../dtype.ts";
import { DTypeError, fail, IndexError } from "../errors.ts";
import { bind } from "../graph.ts";
import type { Shape } from "../primitive.ts";
import { commonShape, describe, sizeOf } from "../shape.ts";
import { arange, array } from "./create.ts";
import { cast, isArray } from "./operand.ts";
import { broadcastTo, reshape, transpose } from "./view.ts";

/** What an update does to an element; its place in the list is the kernel's `mode`. */
export const UPDATE_MODES = ["set", "add", "multiply", "maximum", "minimum"] as const;
/** One of {@linkcode UPDATE_MODES}. */
export type UpdateMode = typeof UPDATE_MODES[number];
/** Indices as users give them: an array, one number, or lists of numbers. */
export type IndexList = readonly (number | IndexList)[];
/** Indices: an integer array, a number, or lists of numbers (int32). */
export type Indices = NDArray | number | IndexList;

const modeCode = (mode: UpdateMode): number => UPDATE_MODES.indexOf(mode);

/** Indices as an array of a dtype that kernels take: int32, uint32 or int64. */
export function toIndices(op: string, indices: Indices): NDArray {
  if (!isArray(indices)) return array(indices, int32);
  const { kind, size } = indices.dtype;
  if (kind !== "int" && kind !== "uint") {
    fail(DTypeError, op, {
      cannot: `index with ${describe(indices)}`,
      expected: "integers",
      got: indices.dtype.name,
      fix: indices.dtype === bool_ ? "select with mx.where(mask, a, b)" : "cast the indices with astype(mx.int32)",
    });
  }
  if (size < 4) return cast(indices, int32);
  return indices.dtype.name === "uint64" ? cast(indices, int64) : indices;
}

/** Refuses indices into an axis without entries. */
export function checkEntries(op: string, x: NDArray, axis: number, indices: NDArray): void {
  if (x.shape[axis] !== 0 || sizeOf(indices.shape) === 0) return;
  fail(IndexError, op, {
    cannot: `take from axis ${axis} of ${describe(x)}`,
    expected: "an axis with entries",
    got: "length 0",
    fix: "check the array",
  });
}
/** `y[i..., s...] = x[start(i) + s]`, where `start(i)` has `indices[k][i]` in axis `axes[k]` and 0 elsewhere. */
export function gather(x: NDArray, indices: readonly NDArray[], axes: readonly number[], sliceSizes: Shape): NDArray {
  return bind("gather", [x, ...indices], { axes, sliceSizes });
}
/** The transpose of {@linkcode gather}: updates (shape of the indices ++ a slice per index) go into a copy of x. */
export function scatter(
  x: NDArray,
  updates: NDArray,
  indices: readonly NDArray[],
  axes: readonly number[],
  mode: UpdateMode,
): NDArray {
  return bind("scatter", [x, updates, ...indices], { axes, mode: modeCode(mode) });
}
/** `y[..., i, ...] = x[..., indices[..., i, ...], ...]` along one axis; the other axes are equal. */
export function gatherAxis(x: NDArray, indices: NDArray, axis: number): NDArray {
  return bind("gatherAxis", [x, indices], { axis });
}
/** `y[..., indices[..., i, ...], ...] = updates[..., i, ...]`, or `+=`. */
export function scatterAxis(
  x: NDArray,
  indices: NDArray,
  updates: NDArray,
  axis: number,
  mode: "set" | "add",
): NDArray {
  return bind("scatterAxis", [x, indices, updates], { axis, mode: modeCode(mode) });
}
/**
 * x with `x[starts + i * steps] (op)= updates[i]`, with fixed starts and steps; the shape of the updates is the region.
 */
export function updateSlice(x: NDArray, updates: NDArray, starts: Shape, steps: Shape, mode: UpdateMode): NDArray {
  return bind("sliceUpdate", [x, updates], { starts, steps, mode: modeCode(mode) });
}
/** The slice of the given sizes that begins at `start` (one entry per axis of `axes`), which may be computed. */
export function dynamicSlice(x: NDArray, start: NDArray, axes: readonly number[], sizes: Shape): NDArray {
  return bind("dynamicSlice", [x, start], { axes, sizes });
}
/** x with the slice that begins at `start` replaced. */
export function dynamicSliceUpdate(x: NDArray, updates: NDArray, start: NDArray, axes: readonly number[]): NDArray {
  return bind("dynamicSliceUpdate", [x, updates, start], { axes });
}

/** An index of an axis, counted from the front; an `IndexError` where it is out of range. */
export function checkedIndex(op: string, index: number, x: NDArray, axis: number): number {
  const length = x.shape[axis]!;
  if (!Number.isInteger(index) || index < -length || index >= length) {
    fail(IndexError, op, {
      cannot: `take entry ${index} of axis ${axis} of ${describe(x)}`,
      expected: length === 0 ? "an axis with entries" : `an integer in [${-length}, ${length - 1}]`,
      got: String(index),
      fix: "give an index that the axis has",
    });
  }
  return index < 0 ? index + length : index;
}
/** Moves the leading `count` axes (those of the indices) behind the `axis` axes that follow them. */
export function placeIndexAxes(y: NDArray, count: number, axis: number): NDArray {
  if (count === 0 || axis === 0) return y;
  return transpose(y, y.shape.map((_, i) => i < axis ? count + i : i < axis + count ? i - axis : i));
}
/** Indices of all matrices of x in order, or the given ones, as int32 or another index dtype. */
export function matrixIndices(op: string, given: Indices | null | undefined, x: NDArray): NDArray {
  if (given !== null && given !== undefined) return toIndices(op, given);
  const leading = x.shape.slice(0, -2);
  return reshape(arange(0, sizeOf(leading), { dtype: uint32 }), leading);
}
/** Both index arrays broadcast to each other. */
export function pairedIndices(op: string, lhs: NDArray, rhs: NDArray): [NDArray, NDArray] {
  const shape = commonShape(op, [lhs.shape, rhs.shape]);
  return [broadcastTo(lhs, shape), broadcastTo(rhs, shape)];
}
