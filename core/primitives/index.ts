/**
 * Records of gather, scatter, slice updates and concatenation: everything that moves elements by index. What the
 * kernels compute is in `docs/architecture.md`; the ops are in `core/ops/index.ts` and `core/ops/indexing.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { float32 } from "../dtype.ts";
import { type Aval, primitives, type Shape, spec } from "../primitive.ts";
import { add, divide, equal, multiply } from "../ops/binary.ts";
import { arange, ones, zeros, zerosLike } from "../ops/create.ts";
import { concatenate } from "../ops/index.ts";
import {
  dynamicSlice,
  dynamicSliceUpdate,
  gather,
  gatherAxis,
  scatter,
  scatterAxis,
  UPDATE_MODES,
  type UpdateMode,
  updateSlice,
} from "../ops/moves.ts";
import { where } from "../ops/ternary.ts";
import { astype, conjugate } from "../ops/unary.ts";
import { broadcastTo, reshape, sliceOf } from "../ops/view.ts";
import { bytesOf, updateBytes } from "./work.ts";

const modeOf = (mode: number): UpdateMode => UPDATE_MODES[mode]!;
const plus = (axes: readonly number[]): number[] => axes.map((axis) => axis + 1);

/** The batch axis in front, where the array has none yet. */
function batched(x: NDArray, mapped: boolean | undefined, size: number): NDArray {
  return mapped ? x : broadcastTo(x, [size, ...x.shape]);
}
/** 0, 1, ..., size - 1 along the first axis of `shape`, in the dtype of the other indices. */
function batchIndex(size: number, shape: Shape, like: NDArray): NDArray {
  const rows = reshape(arange(0, size, { dtype: like.dtype }), [size, ...shape.slice(1).map(() => 1)]);
  return broadcastTo(rows, shape);
}
/** Length of each axis of the slice that one index moves: the trailing axes of the updates. */
function sliceSizesOf(x: Aval, updates: Aval): number[] {
  return updates.shape.slice(updates.shape.length - x.shape.length);
}
const zeroOf = (x: NDArray): NDArray => zeros([], x.dtype);

/**
 * For each update u_i the product of the other updates of the same element: with p the product of the non-zero updates
 * there and z the number of zeros, p / u_i where z = 0, p for the only zero, else 0.
 */
function productOfOthers(x: NDArray, updates: NDArray, indices: readonly NDArray[], axes: readonly number[]): NDArray {
  const isZero = equal(updates, 0);
  const safe = where(isZero, ones([], updates.dtype), updates);
  const sizes = sliceSizesOf(x, updates);
  const product = gather(scatter(ones(x.shape, x.dtype), safe, indices, axes, "multiply"), indices, axes, sizes);
  const count = scatter(zeros(x.shape, float32), astype(isZero, float32), indices, axes, "add");
  const zerosHere = gather(count, indices, axes, sizes);
  const others = where(equal(zerosHere, 0), divide(product, safe), zeroOf(updates));
  return where(isZero, where(equal(zerosHere, 1), product, zeroOf(updates)), others);
}
/** Cotangents of `scatter`: set and add move ct; a maximum gives all of it to each of the equal ones. */
function scatterVjp(
  x: NDArray,
  updates: NDArray,
  indices: readonly NDArray[],
  y: NDArray,
  ct: NDArray,
  axes: readonly number[],
  mode: UpdateMode,
): [NDArray, NDArray] {
  const at = (a: NDArray) => gather(a, indices, axes, sliceSizesOf(x, updates));
  if (mode === "set") return [scatter(ct, zerosLike(updates), indices, axes, "set"), at(ct)];
  if (mode === "add") return [ct, at(ct)];
  if (mode === "multiply") {
    const others = conjugate(productOfOthers(x, updates, indices, axes));
    return [
      scatter(ct, conjugate(updates), indices, axes, "multiply"),
      multiply(at(multiply(ct, conjugate(x))), others),
    ];
  }
  return [where(equal(x, y), ct, zeroOf(ct)), where(equal(updates, at(y)), at(ct), zeroOf(ct))];
}
/** Tangent of `scatter`, the transpose of the above. */
function scatterJvp(
  x: NDArray,
  updates: NDArray,
  indices: readonly NDArray[],
  y: NDArray,
  tx: NDArray | null,
  tu: NDArray | null,
  axes: readonly number[],
  mode: UpdateMode,
): NDArray {
  const tangent = tx ?? zerosLike(x);
  const moved = tu ?? zerosLike(updates);
  if (mode === "set" || mode === "add") return scatter(tangent, moved, indices, axes, mode);
  if (mode === "multiply") {
    const scaled = scatter(tangent, updates, indices, axes, "multiply");
    const change = multiply(moved, productOfOthers(x, updates, indices, axes));
    return add(scaled, multiply(x, scatter(zerosLike(x), change, indices, axes, "add")));
  }
  const here = gather(y, indices, axes, sliceSizesOf(x, updates));
  const kept = where(equal(x, y), tangent, zeroOf(tangent));
  return scatter(kept, where(equal(updates, here), moved, zeroOf(moved)), indices, axes, "add");
}
/** Batched gather: a mapped x gives one more index (its row), so that each row is read at its own indices. */
function gatherVmap(
  inputs: readonly NDArray[],
  mapped: readonly boolean[],
  axes: readonly number[],
  sliceSizes: Shape,
  size: number,
): NDArray {
  const x = inputs[0]!;
  const indices = inputs.slice(1).map((index, i) => batched(index, mapped[i + 1], size));
  if (!mapped[0]) return gather(x, indices, axes, sliceSizes);
  if (indices.length === 0) return gather(x, [], [], [size, ...sliceSizes]);
  const shape = indices[0]!.shape;
  const rows = batchIndex(size, shape, indices[0]!);
  const y = gather(x, [rows, ...indices], [0, ...plus(axes)], [1, ...sliceSizes]);
  return reshape(y, [...shape, ...sliceSizes]);
}
/** Batched scatter: everything gets the batch axis, and the row is one more index. */
function scatterVmap(
  inputs: readonly NDArray[],
  mapped: readonly boolean[],
  axes: readonly number[],
  mode: UpdateMode,
  size: number,
): NDArray {
  const all = inputs.map((x, i) => batched(x, mapped[i], size));
  const [x, updates, ...indices] = all;
  if (indices.length === 0) return scatter(x!, reshape(updates!, x!.shape), [], [], mode);
  const shape = indices[0]!.shape;
  const rows = batchIndex(size, shape, indices[0]!);
  const slices = reshape(updates!, [...shape, 1, ...updates!.shape.slice(shape.length)]);
  return scatter(x!, slices, [rows, ...indices], [0, ...plus(axes)], mode);
}
/** A start per batch row as one index array per axis: start[b, i] for axis i. */
function startColumns(start: NDArray): NDArray[] {
  const [size, n] = [start.shape[0]!, start.shape[1]!];
  return Array.from({ length: n }, (_, i) => reshape(sliceOf(start, [0, i], [size, i + 1]), [size]));
}
function dynamicSliceVmap(
  [x, start]: readonly [NDArray, NDArray],
  mapped: readonly boolean[],
  axes: readonly number[],
  sizes: Shape,
  size: number,
): NDArray {
  if (axes.length === 0) return batched(x, mapped[0], size);
  if (!mapped[1]) return dynamicSlice(x, start, plus(axes), [size, ...sizes]);
  const columns = startColumns(start);
  if (!mapped[0]) return gather(x, columns, axes, sizes);
  const rows = batchIndex(size, [size], start);
  return reshape(gather(x, [rows, ...columns], [0, ...plus(axes)], [1, ...sizes]), [size, ...sizes]);
}
function dynamicSliceUpdateVmap(
  [x, updates, start]: readonly [NDArray, NDArray, NDArray],
  mapped: readonly boolean[],
  axes: readonly number[],
  size: number,
): NDArray {
  const [all, slices] = [batched(x, mapped[0], size), batched(updates, mapped[1], size)];
  if (axes.length === 0) return slices;
  if (!mapped[2]) return dynamicSliceUpdate(all, slices, start, plus(axes));
  const indices = [batchIndex(size, [size], start), ...startColumns(start)];
  return scatter(all, reshape(slices, [size, 1, ...slices.shape.slice(1)]), indices, [0, ...plus(axes)], "set");
}
/** The region of x that a slice update writes. */
function regionOf(x: NDArray, updates: Aval, starts: readonly number[], steps: readonly number[]): NDArray {
  return sliceOf(x, starts, starts.map((start, i) => start + updates.shape[i]! * steps[i]!), steps);
}
function sliceUpdateVjp(
  x: NDArray,
  updates: NDArray,
  y: NDArray,
  ct: NDArray,
  starts: readonly number[],
  steps: readonly number[],
  mode: UpdateMode,
): [NDArray, NDArray] {
  const at = (a: NDArray) => regionOf(a, updates, starts, steps);
  if (mode === "set") return [updateSlice(ct, zerosLike(updates), starts, steps, "set"), at(ct)];
  if (mode === "add") return [ct, at(ct)];
  if (mode === "multiply") {
    return [updateSlice(ct, conjugate(updates), starts, steps, mode), multiply(at(ct), conjugate(at(x)))];
  }
  return [where(equal(x, y), ct, zeroOf(ct)), where(equal(updates, at(y)), at(ct), zeroOf(ct))];
}
function sliceUpdateJvp(
  x: NDArray,
  updates: NDArray,
  y: NDArray,
  tx: NDArray | null,
  tu: NDArray | null,
  starts: readonly number[],
  steps: readonly number[],
  mode: UpdateMode,
): NDArray {
  const tangent = tx ?? zerosLike(x);
  const moved = tu ?? zerosLike(updates);
  if (mode === "set" || mode === "add") return updateSlice(tangent, moved, starts, steps, mode);
  if (mode === "multiply") {
    const scaled = updateSlice(tangent, updates, starts, steps, mode);
    return updateSlice(scaled, multiply(moved, regionOf(x, updates, starts, steps)), starts, steps, "add");
  }
  const kept = where(equal(x, y), tangent, zeroOf(tangent));
  const won = where(equal(updates, regionOf(y, updates, starts, steps)), moved, zeroOf(moved));
  return updateSlice(kept, won, starts, steps, "add");
}
/** The pieces of a concatenation's cotangent. */
function pieces(x: readonly Aval[], ct: NDArray, axis: number): NDArray[] {
  let start = 0;
  return x.map((piece) => {
    const stop = start + piece.shape[axis]!;
    const starts = ct.shape.map((_, i) => i === axis ? start : 0);
    start = stop;
    return sliceOf(ct, starts, ct.shape.map((n, i) => i === axis ? stop : n));
  });
}
/** No cotangent for indices. */
const nothing = (n: number): null[] => new Array<null>(Math.max(0, n)).fill(null);

/** Records of the family `index`, in opcode order. */
export const indexPrimitives = primitives({
  gather: spec({
    family: "index",
    kind: "kernel",
    params: { axes: "ints", sliceSizes: "ints" },
    arity: Infinity,
    needs: ["any", "contiguous"],
    traffic: ([, ...indices], y) => indices.reduce((sum, i) => sum + bytesOf(i), 2 * bytesOf(y)),
    infer: ([x, index], { sliceSizes }) => ({ shape: [...index?.shape ?? [], ...sliceSizes], dtype: x!.dtype }),
    vjp: ([x, ...indices], _y, ct, { axes }) => [
      scatter(zerosLike(x!), ct, indices, axes, "add"),
      ...nothing(indices.length),
    ],
    jvp: ([, ...indices], _y, [t], { axes, sliceSizes }) => t ? gather(t, indices, axes, sliceSizes) : null,
    vmap: (x, mapped, { axes, sliceSizes }, size) => gatherVmap(x, mapped, axes, sliceSizes, size),
  }),
  scatter: spec({
    family: "index",
    kind: "kernel",
    params: { axes: "ints", mode: "int" },
    arity: Infinity,
    needs: ["any", "any", "contiguous"],
    inPlace: 0,
    traffic: ([x, updates, ...indices], _y, _p, inPlace) => updateBytes(x!, updates!, indices, inPlace),
    infer: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
    vjp: ([x, updates, ...indices], y, ct, { axes, mode }) => [
      ...scatterVjp(x!, updates!, indices, y, ct, axes, modeOf(mode)),
      ...nothing(indices.length),
    ],
    jvp: ([x, updates, ...indices], y, [tx, tu], { axes, mode }) =>
      scatterJvp(x!, updates!, indices, y, tx ?? null, tu ?? null, axes, modeOf(mode)),
    vmap: (x, mapped, { axes, mode }, size) => scatterVmap(x, mapped, axes, modeOf(mode), size),
  }),
  gatherAxis: spec({
    family: "index",
    kind: "kernel",
    params: { axis: "int" },
    arity: 2,
    needs: ["any", "contiguous"],
    traffic: ([, indices], y) => bytesOf(indices) + 2 * bytesOf(y),
    infer: ([x, indices]) => ({ shape: indices.shape, dtype: x.dtype }),
    vjp: ([x, indices], _y, ct, { axis }) => [scatterAxis(zerosLike(x), indices, ct, axis, "add"), null],
    jvp: ([, indices], _y, [t], { axis }) => t && gatherAxis(t, indices, axis),
    vmap: ([x, indices], [mx, mi], { axis }, size) =>
      gatherAxis(batched(x, mx, size), batched(indices, mi, size), axis + 1),
  }),
  scatterAxis: spec({
    family: "index",
    kind: "kernel",
    params: { axis: "int", mode: "int" },
    arity: 3,
    needs: ["any", "contiguous", "any"],
    inPlace: 0,
    traffic: ([x, indices, updates], _y, _p, inPlace) => updateBytes(x, updates, [indices], inPlace),
    infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
    vjp: ([, indices, updates], _y, ct, { axis, mode }) => [
      mode === 0 ? scatterAxis(ct, indices, zerosLike(updates), axis, "set") : ct,
      null,
      gatherAxis(ct, indices, axis),
    ],
    jvp: ([x, indices, updates], _y, [tx, , tu], { axis, mode }) =>
      scatterAxis(tx ?? zerosLike(x), indices, tu ?? zerosLike(updates), axis, mode === 0 ? "set" : "add"),
    vmap: ([x, indices, updates], [mx, mi, mu], { axis, mode }, size) =>
      scatterAxis(
        batched(x, mx, size),
        batched(indices, mi, size),
        batched(updates, mu, size),
        axis + 1,
        mode === 0 ? "set" : "add",
      ),
  }),
  sliceUpdate: spec({
    family: "index",
    kind: "kernel",
    params: { starts: "ints", steps: "ints", mode: "int" },
    arity: 2,
    needs: ["any"],
    inPlace: 0,
    traffic: ([x, updates], _y, _p, inPlace) => updateBytes(x, updates, [], inPlace),
    infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
    vjp: ([x, updates], y, ct, { starts, steps, mode }) =>
      sliceUpdateVjp(x, updates, y, ct, starts, steps, modeOf(mode)),
    jvp: ([x, updates], y, [tx, tu], { starts, steps, mode }) =>
      sliceUpdateJvp(x, updates, y, tx, tu, starts, steps, modeOf(mode)),
    vmap: ([x, updates], [mx, mu], { starts, steps, mode }, size) =>
      updateSlice(batched(x, mx, size), batched(updates, mu, size), [0, ...starts], [1, ...steps], modeOf(mode)),
  }),
  dynamicSlice: spec({
    family: "index",
    kind: "kernel",
    params: { axes: "ints", sizes: "ints" },
    arity: 2,
    needs: ["any", "contiguous"],
    traffic: ([, start], y) => bytesOf(start) + 2 * bytesOf(y),
    infer: ([x], { sizes }) => ({ shape: sizes, dtype: x.dtype }),
    vjp: ([x, start], _y, ct, { axes }) => [dynamicSliceUpdate(zerosLike(x), ct, start, axes), null],
    jvp: ([, start], _y, [t], { axes, sizes }) => t && dynamicSlice(t, start, axes, sizes),
    vmap: (x, mapped, { axes, sizes }, size) => dynamicSliceVmap(x, mapped, axes, sizes, size),
  }),
  dynamicSliceUpdate: spec({
    family: "index",
    kind: "kernel",
    params: { axes: "ints" },
    arity: 3,
    needs: ["any", "any", "contiguous"],
    inPlace: 0,
    traffic: ([x, updates, start], _y, _p, inPlace) => updateBytes(x, updates, [start], inPlace),
    infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
    vjp: ([, updates, start], _y, ct, { axes }) => [
      dynamicSliceUpdate(ct, zerosLike(updates), start, axes),
      dynamicSlice(ct, start, axes, updates.shape),
      null,
    ],
    jvp: ([x, updates, start], _y, [tx, tu], { axes }) =>
      dynamicSliceUpdate(tx ?? zerosLike(x), tu ?? zerosLike(updates), start, axes),
    vmap: (x, mapped, { axes }, size) => dynamicSliceUpdateVmap(x, mapped, axes, size),
  }),
  concatenate: spec({
    family: "index",
    kind: "kernel",
    params: { axis: "int" },
    arity: Infinity,
    needs: ["any"],
    infer: (x, { axis }) => {
      const length = x.reduce((sum, piece) => sum + piece.shape[axis]!, 0);
      return { shape: x[0]!.shape.with(axis, length), dtype: x[0]!.dtype };
    },
    vjp: (x, _y, ct, { axis }) => pieces(x, ct, axis),
    jvp: (x, _y, t, { axis }) => concatenate(x.map((piece, i) => t[i] ?? zerosLike(piece)), { axis }),
    vmap: (x, mapped, { axis }, size) =>
      concatenate(x.map((piece, i) => batched(piece, mapped[i], size)), { axis: axis + 1 }),
  }),
});
