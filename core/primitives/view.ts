/**
 * Records of the views: they compute nothing, `layout` says where the same bytes are read. A null layout means that no
 * strides can express the view, and the planner copies first. The ops are in `core/ops/view.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { int32 } from "../dtype.ts";
import { bind } from "../graph.ts";
import { type Layout, primitives, type Shape, spec } from "../primitive.ts";
import { rowMajorStrides, sizeOf } from "../shape.ts";
import { add } from "../ops/binary.ts";
import { zeros, zerosLike } from "../ops/create.ts";
import { scatterAxis, updateSlice } from "../ops/moves.ts";
import { sum } from "../ops/reduce.ts";
import { asStrided, broadcastTo, reshape, sliceOf, stopGradient, transpose, view } from "../ops/view.ts";

/**
 * Strides of a reshaped layout, or null. Axes of length 1 carry no stride; what remains of both shapes is cut into runs
 * of equal size, and a run can be relabelled where its old axes step like one long axis.
 */
function reshapedStrides(from: Shape, strides: readonly number[], to: Shape): number[] | null {
  const size = sizeOf(to);
  if (size === 0) return to.map(() => 0);
  const old = from.flatMap((n, i) => n === 1 ? [] : [[n, strides[i]!] as const]);
  const result: number[] = new Array(to.length).fill(0);
  let [i, j] = [0, 0];
  while (i < old.length) {
    const first = i;
    let [n, m] = [old[i++]![0], 1];
    const start = j;
    while (m !== n) {
      if (m < n) m *= to[j++]!;
      else n *= old[i++]![0];
    }
    for (let k = first; k + 1 < i; k++) if (old[k]![1] !== old[k + 1]![0] * old[k + 1]![1]) return null;
    let step = old[i - 1]![1];
    for (let k = j - 1; k >= start; k--) {
      result[k] = step;
      step *= to[k]!;
    }
  }
  return result;
}
/** Whether a layout is row-major, looking at axes longer than 1 only. */
function isRowMajor({ strides }: Layout, shape: Shape): boolean {
  const wanted = rowMajorStrides(shape);
  return sizeOf(shape) < 2 || shape.every((n, i) => n === 1 || strides[i] === wanted[i]);
}
/** The permutation that undoes another one. */
function inverse(axes: readonly number[]): number[] {
  const back = new Array<number>(axes.length);
  axes.forEach((axis, i) => back[axis] = i);
  return back;
}
/** Length of the slice [start, stop) with a step: ceil((stop - start) / step), at least 0. */
function sliceLength(start: number, stop: number, step: number): number {
  return Math.max(0, Math.ceil((stop - start) / step));
}
/** Positions, in elements of the row-major input, that a strided view reads; shaped as the view. */
function stridedPositions(shape: Shape, strides: readonly number[], offset: number): NDArray {
  const steps = (start: number, step: number, size: number): NDArray =>
    bind("arange", [], { start, step, size, dtype: int32 });
  const first = reshape(steps(offset, 0, 1), shape.map(() => 1));
  return shape.reduce(
    (sum, n, i) => add(sum, reshape(steps(0, strides[i]!, n), shape.map((_, k) => k === i ? n : 1))),
    first,
  );
}
/** Sum over the axes that a broadcast from `shape` added or stretched: the transpose of `broadcastTo`. */
function sumTo(ct: NDArray, shape: Shape): NDArray {
  const added = ct.shape.length - shape.length;
  const axes = ct.shape.flatMap((n, i) => i < added || (shape[i - added] === 1 && n !== 1) ? [i] : []);
  return reshape(sum(ct, { axis: axes }), shape);
}

/** Records of the family `view`, in opcode order. */
export const viewPrimitives = primitives({
  reshape: spec({
    family: "view",
    kind: "view",
    params: { shape: "ints" },
    arity: 1,
    infer: ([x], { shape }) => ({ shape, dtype: x.dtype }),
    valid: ([x], { shape }) => shape.every((n) => n >= 0) && sizeOf(shape) === sizeOf(x.shape),
    layout: (from, x, _to, { shape }) => {
      const strides = reshapedStrides(x.shape, from.strides, shape);
      return strides && { offset: from.offset, strides };
    },
    vjp: ([x], _y, ct) => [reshape(ct, x.shape)],
    jvp: (_x, _y, [t], { shape }) => t && reshape(t, shape),
    vmap: ([x], _m, { shape }, size) => reshape(x, [size, ...shape]),
  }),
  transpose: spec({
    family: "view",
    kind: "view",
    params: { axes: "ints" },
    arity: 1,
    infer: ([x], { axes }) => ({ shape: axes.map((axis) => x.shape[axis]!), dtype: x.dtype }),
    valid: ([x], { axes }) => axes.length === x.shape.length && [...x.shape.keys()].every((a) => axes.includes(a)),
    layout: (from, _x, _to, { axes }) => ({ offset: from.offset, strides: axes.map((axis) => from.strides[axis]!) }),
    vjp: (_x, _y, ct, { axes }) => [transpose(ct, inverse(axes))],
    jvp: (_x, _y, [t], { axes }) => t && transpose(t, axes),
    vmap: ([x], _m, { axes }) => transpose(x, [0, ...axes.map((axis) => axis + 1)]),
  }),
  broadcastTo: spec({
    family: "view",
    kind: "view",
    params: { shape: "ints" },
    arity: 1,
    infer: ([x], { shape }) => ({ shape, dtype: x.dtype }),
    valid: ([x], { shape }) => {
      const added = shape.length - x.shape.length;
      return added >= 0 && x.shape.every((n, i) => n === 1 || n === shape[i + added]);
    },
    layout: (from, x, to) => {
      const added = to.shape.length - x.shape.length;
      const strides = to.shape.map((n, i) => i < added || x.shape[i - added] !== n ? 0 : from.strides[i - added]!);
      return { offset: from.offset, strides };
    },
    vjp: ([x], _y, ct) => [sumTo(ct, x.shape)],
    jvp: (_x, _y, [t], { shape }) => t && broadcastTo(t, shape),
    vmap: ([x], _m, { shape }, size) => {
      const ones = new Array<number>(shape.length + 1 - x.shape.length).fill(1);
      return broadcastTo(reshape(x, [size, ...ones, ...x.shape.slice(1)]), [size, ...shape]);
    },
  }),
  // Starts and stops count from the front and lie in the axis; with a negative step a stop of -1 is "before index 0".
  slice: spec({
    family: "view",
    kind: "view",
    params: { starts: "ints", stops: "ints", steps: "ints" },
    arity: 1,
    infer: ([x], { starts, stops, steps }) => ({
      shape: starts.map((start, i) => sliceLength(start, stops[i]!, steps[i]!)),
      dtype: x.dtype,
    }),
    valid: ([x], { starts, stops, steps }) =>
      [starts, stops, steps].every((list) => list.length === x.shape.length) &&
      x.shape.every((n, i) => {
        const length = sliceLength(starts[i]!, stops[i]!, steps[i]!), last = starts[i]! + (length - 1) * steps[i]!;
        return steps[i] !== 0 && (length === 0 || (starts[i]! >= 0 && starts[i]! < n && last >= 0 && last < n));
      }),
    layout: (from, _x, to, { starts, steps }) => ({
      // An empty view must not point outside the buffer.
      offset: sizeOf(to.shape) === 0
        ? from.offset
        : starts.reduce((at, s, i) => at + s * from.strides[i]!, from.offset),
      strides: from.strides.map((stride, i) => stride * steps[i]!),
    }),
    vjp: ([x], _y, ct, { starts, steps }) => [updateSlice(zerosLike(x), ct, starts, steps, "set")],
    // Of many slices of one array, as the steps of a loop take them, each writes its part only.
    vjpOnto: (sum, ct, { starts, steps }) => updateSlice(sum, ct, starts, steps, "add"),
    jvp: (_x, _y, [t], { starts, stops, steps }) => t && sliceOf(t, starts, stops, steps),
    vmap: ([x], _m, { starts, stops, steps }, size) => sliceOf(x, [0, ...starts], [size, ...stops], [1, ...steps]),
  }),
  // Strides and offset speak of the input as if it were row-major, so that the view does not depend on its layout.
  asStrided: spec({
    family: "view",
    kind: "view",
    params: { shape: "ints", strides: "ints", offset: "int" },
    arity: 1,
    infer: ([x], { shape }) => ({ shape, dtype: x.dtype }),
    valid: ([x], { shape, strides, offset }) => {
      const ends = shape.map((n, i) => (n - 1) * strides[i]!),
        reach = (f: (end: number) => number): number => ends.reduce((sum, end) => sum + f(end), offset);
      if (strides.length !== shape.length || shape.some((n) => n < 0)) return false;
      return sizeOf(shape) === 0 ||
        (reach((e) => Math.min(e, 0)) >= 0 && reach((e) => Math.max(e, 0)) < sizeOf(x.shape));
    },
    layout: (from, x, _to, { strides, offset }) =>
      isRowMajor(from, x.shape) ? { offset: from.offset + offset, strides } : null,
    vjp: ([x], _y, ct, { shape, strides, offset }) => {
      const at = reshape(stridedPositions(shape, strides, offset), [sizeOf(shape)]);
      const flat = scatterAxis(zeros([sizeOf(x.shape)], x.dtype), at, reshape(ct, [sizeOf(shape)]), 0, "add");
      return [reshape(flat, x.shape)];
    },
    jvp: (_x, _y, [t], p) => t && asStrided(t, p),
    vmap: ([x], _m, { shape, strides, offset }, size) =>
      asStrided(x, { shape: [size, ...shape], strides: [sizeOf(x.shape.slice(1)), ...strides], offset }),
  }),
  // The bytes read as another dtype; where the sizes differ the last axis shrinks or grows.
  viewAs: spec({
    family: "view",
    kind: "view",
    params: { dtype: "dtype" },
    arity: 1,
    infer: ([x], { dtype }) => {
      if (x.dtype.size === dtype.size) return { shape: x.shape, dtype };
      return { shape: [...x.shape.slice(0, -1), x.shape.at(-1)! * x.dtype.size / dtype.size], dtype };
    },
    valid: ([x], { dtype }) =>
      x.dtype.size === dtype.size || (x.shape.length > 0 && (x.shape.at(-1)! * x.dtype.size) % dtype.size === 0),
    layout: ({ offset, strides }, x, to) => {
      const ratio = x.dtype.size / to.dtype.size;
      if (ratio === 1) return { offset, strides };
      const moved = strides.slice(0, -1).map((stride, i) => x.shape[i] === 1 ? 0 : stride * ratio);
      if (x.shape.at(-1) !== 1 && strides.at(-1) !== 1) return null;
      if (![offset * ratio, ...moved].every(Number.isInteger)) return null;
      return { offset: offset * ratio, strides: [...moved, 1] };
    },
    vjp: ([x], _y, ct) => [view(ct, x.dtype)],
    jvp: (_x, _y, [t], { dtype }) => t && view(t, dtype),
    vmap: ([x], _m, { dtype }) => view(x, dtype),
  }),
  stopGradient: spec({
    family: "view",
    kind: "view",
    params: {},
    arity: 1,
    infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
    layout: (from) => from,
    vjp: () => [null],
    jvp: () => null,
    vmap: ([x]) => stopGradient(x),
  }),
});
