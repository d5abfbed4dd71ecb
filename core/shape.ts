/**
 * Shapes and axes: broadcasting, normalised axes, sizes, strides, and how an array is named in messages. Everything
 * works on plain lists of numbers; no array is needed.
 * @module
 */
import { fail, IndexError, ShapeError, ValueError } from "./errors.ts";
import type { Aval, Shape } from "./primitive.ts";

/** Number of elements of a shape. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const n of shape) size *= n;
  return size;
}
/** Whether two shapes are equal. */
export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
/** Steps, in elements, from one index to the next of each axis of a row-major array. */
export function rowMajorStrides(shape: Shape): number[] {
  const strides: number[] = new Array(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i]!;
  }
  return strides;
}
/** An array in messages: `float32[2,3]`. */
export function describe(x: Aval): string {
  return `${x.dtype.name}${describeShape(x.shape)}`;
}
/** A shape in messages: `[2,3]`. */
export function describeShape(shape: Shape): string {
  return `[${shape.join(",")}]`;
}

/**
 * The shape that all shapes broadcast to, for the operation `op`: aligned at the last axis, equal lengths stay, and a
 * length of 1 takes the other one.
 */
export function commonShape(op: string, shapes: readonly Shape[]): Shape {
  let out: Shape = shapes[0] ?? [];
  for (let i = 1; i < shapes.length; i++) out = commonOfTwo(op, out, shapes[i]!);
  return out;
}
function commonOfTwo(op: string, a: Shape, b: Shape): Shape {
  if (sameShape(a, b)) return a;
  const [long, short] = a.length >= b.length ? [a, b] : [b, a];
  const shift = long.length - short.length;
  return long.map((n, i) => {
    const m = i < shift ? 1 : short[i - shift]!;
    if (n === m || m === 1) return n;
    if (n === 1) return m;
    return fail(ShapeError, op, {
      cannot: `broadcast ${describeShape(a)} with ${describeShape(b)}`,
      expected: "axes, aligned at the last one, of equal length or of length 1",
      got: `${n} and ${m}`,
      fix: "reshape or expandDims one of the arrays",
    });
  });
}
/**
 * The shape that all given shapes broadcast to (`mlx.core.broadcast_shapes`); a `ShapeError` where there is none.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.broadcastShapes([2, 1], [3]); // [2, 3]
 * ```
 */
export function broadcastShapes(...shapes: readonly Shape[]): number[] {
  if (shapes.length === 0) {
    fail(ValueError, "broadcastShapes", {
      cannot: "broadcast",
      expected: "at least one shape",
      got: "none",
      fix: "give the shapes as arguments",
    });
  }
  return [...commonShape("broadcastShapes", shapes)];
}

/** The axis counted from the front; an `IndexError` where it is out of range. */
export function normalizeAxis(op: string, axis: number, ndim: number): number {
  if (!Number.isInteger(axis) || axis < -ndim || axis >= ndim) {
    fail(IndexError, op, {
      cannot: `use axis ${axis}`,
      expected: ndim === 0 ? "no axis: the array has none" : `an axis in [${-ndim}, ${ndim - 1}]`,
      got: String(axis),
      fix: "give an axis that the array has",
    });
  }
  return axis < 0 ? axis + ndim : axis;
}
/** Axes counted from the front, ascending; all of them for null. A `ValueError` where one is given twice. */
export function normalizeAxes(op: string, axes: number | readonly number[] | null | undefined, ndim: number): number[] {
  if (axes === null || axes === undefined) return Array.from({ length: ndim }, (_, i) => i);
  const list = (typeof axes === "number" ? [axes] : axes).map((axis) => normalizeAxis(op, axis, ndim));
  list.sort((a, b) => a - b);
  const twice = list.find((axis, i) => axis === list[i - 1]);
  if (twice !== undefined) {
    fail(ValueError, op, {
      cannot: `use axis ${twice} twice`,
      expected: "each axis once",
      got: String(axes),
      fix: "drop the repeated axis",
    });
  }
  return list;
}
/** A shape given as a list or as one length; a `ShapeError` where a length is no natural number. */
export function checkedShape(op: string, shape: number | Shape): Shape {
  const list = typeof shape === "number" ? [shape] : shape;
  for (const n of list) {
    if (!Number.isSafeInteger(n) || n < 0) {
      fail(ShapeError, op, {
        cannot: `make an array of shape ${describeShape(list)}`,
        expected: "lengths that are integers of at least 0",
        got: String(n),
        fix: "correct that length",
      });
    }
  }
  return list;
}
/** The shape without the given axes (ascending, from the front). */
export function withoutAxes(shape: Shape, axes: readonly number[]): number[] {
  return shape.filter((_, i) => !axes.includes(i));
}
/** The shape with the given axes of length 1: what `keepdims` leaves. */
export function keptAxes(shape: Shape, axes: readonly number[]): number[] {
  return shape.map((n, i) => axes.includes(i) ? 1 : n);
}
