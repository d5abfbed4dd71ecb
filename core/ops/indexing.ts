/**
 * Index expressions: what `x.index(...)` reads and `x.at(...)` writes, with numbers, slices, new axes, an ellipsis,
 * integer arrays and boolean masks, and the NumPy spelling of all that in a string. The moves are done by `index.ts`.
 *
 * An expression is first cut down to the region that its numbers and slices select, a view; integer arrays then gather
 * from the region or scatter into it.
 * @module
 */
import type { NDArray } from "../array.ts";
import { bool_, int32 } from "../dtype.ts";
import { DTypeError, fail, IndexError, ShapeError, ValueError } from "../errors.ts";
import { recorder } from "../graph.ts";
import type { Shape } from "../primitive.ts";
import { commonShape, describe, describeShape, sameShape } from "../shape.ts";
import { add, maximum, minimum, multiply, subtract } from "./binary.ts";
import { array } from "./create.ts";
import { sliceFrom, take } from "./index.ts";
import {
  checkedIndex,
  checkEntries,
  gather,
  type IndexList,
  type Indices,
  placeIndexAxes,
  scatter,
  toIndices,
  type UpdateMode,
  updateSlice,
} from "./moves.ts";
import { placesOf } from "./nonzero.ts";
import { cast, isArray, type Operand, toArray } from "./operand.ts";
import { cumsum } from "./scan.ts";
import { where } from "./ternary.ts";
import { negative, reciprocal } from "./unary.ts";
import { broadcastTo, reshape, sliceOf, transpose } from "./view.ts";

/**
 * A slice `start:stop:step` of one axis: see {@linkcode slice}.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const every2 = new mx.Slice(null, null, 2);
 * mx.arange(5).index(every2).tolist(); // [0, 2, 4]
 * every2.toString(); // "::2"
 * ```
 */
export class Slice {
  /** See {@linkcode slice}. */
  constructor(
    /** First index; the axis' begin (or end, for a negative step) if null. */
    readonly start: number | null,
    /** The index behind the last one; the axis' end (or begin) if null. */
    readonly stop: number | null,
    /** From one index to the next; 1 if null. */
    readonly step: number | null,
  ) {}
  /** As in the string spelling: `1:3` or `::-1`. */
  toString(): string {
    return `${this.start ?? ""}:${this.stop ?? ""}${this.step === null ? "" : `:${this.step}`}`;
  }
}
/** Nested lists of booleans: a mask. */
export type MaskList = readonly (boolean | MaskList)[];
/**
 * One entry of an index expression: a number (drops the axis), a slice, null (a new axis), `"..."` (all axes not
 * named), an integer array or list (gathers), a boolean array or list (a mask, which is evaluated: see `mx.nonzero`), or
 * entries spelled in a string (`"1:3, None"`).
 */
export type IndexItem = number | null | string | Slice | NDArray | IndexList | MaskList | boolean;

/**
 * A slice for an index expression, with the arguments of Python's `slice`: `slice(stop)`, `slice(start, stop)` or
 * `slice(start, stop, step)`; null leaves an end open. With an array in front: the sub-array of the given sizes that
 * begins at `start`, one index (which may be computed) for each of `axes` and 0 in the others (`mlx.core.slice`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.arange(10);
 * x.index(mx.slice(1, 8, 3)).tolist(); // [1, 4, 7]
 * mx.slice(x, [4], [0], [2]).tolist(); // [4, 5]
 * ```
 */
export function slice(stop: number | null): Slice;
/** The slice `start:stop:step`. */
export function slice(start: number | null, stop: number | null, step?: number | null): Slice;
/** The sub-array of the given sizes that begins at `start`, one index for each of `axes` (`mlx.core.slice`). */
export function slice(x: NDArray, start: Indices, axes: readonly number[], sliceSize: Shape): NDArray;
export function slice(
  first: number | null | NDArray,
  second?: Indices | null,
  third?: number | readonly number[] | null,
  sizes?: Shape,
): Slice | NDArray {
  if (isArray(first)) {
    return sliceFrom(first, second ?? 0, typeof third === "object" && third ? third : [], sizes ?? first.shape);
  }
  if (second === undefined) return new Slice(null, first, null);
  if ((typeof second === "object" && second) || (typeof third === "object" && third)) {
    return fail(ValueError, "slice", {
      cannot: "make a slice",
      expected: "numbers or null",
      got: "a list",
      fix: "use mx.take",
    });
  }
  return new Slice(first, second, third ?? null);
}

/** Entries once they are checked: each but `none` stands for one axis. */
type Entry =
  | { readonly kind: "none" }
  | { readonly kind: "number"; readonly start: number }
  | { readonly kind: "slice"; readonly start: number; readonly step: number; readonly length: number }
  | { readonly kind: "array"; readonly index: NDArray };

/** The entries that a string spells. */
function spelled(op: string, text: string): (number | null | "..." | Slice)[] {
  const whole = (s: string) => {
    if (!/^[+-]?\d+$/.test(s)) {
      fail(ValueError, op, {
        cannot: `read the index "${text}"`,
        expected: `integers, slices like 1:3, "..." and None`,
        got: `"${s}"`,
        fix: "give arrays as arguments, not in the string",
      });
    }
    return Number(s);
  };
  const parts = text.split(",").map((s) => s.trim());
  if (parts.length > 1 && parts.at(-1) === "") parts.pop();
  return parts.map((s) => {
    if (s === "...") return "...";
    if (s === "None" || s === "null" || s === "newaxis") return null;
    if (!s.includes(":")) return whole(s);
    const ends = s.split(":").map((end) => end.trim() === "" ? null : whole(end.trim()));
    if (ends.length > 3) whole(s);
    return new Slice(ends[0] ?? null, ends[1] ?? null, ends[2] ?? null);
  });
}
/** A slice of an axis of length n as first index, step and length, by Python's rules. */
function resolveSlice(op: string, { start, stop, step }: Slice, n: number): Entry {
  const by = step ?? 1;
  const ends = [start, stop, by].filter((k) => k !== null);
  if (by === 0 || !ends.every(Number.isInteger)) {
    fail(ValueError, op, {
      cannot: `use the slice ${new Slice(start, stop, step)}`,
      expected: "integers, and a step that is not 0",
      got: `${start}, ${stop}, ${step}`,
      fix: "correct the slice",
    });
  }
  const [low, high] = by > 0 ? [0, n] : [-1, n - 1];
  const clamp = (k: number) => Math.min(Math.max(k < 0 ? k + n : k, low), high);
  const first = start === null ? (by > 0 ? low : high) : clamp(start);
  const last = stop === null ? (by > 0 ? high : low) : clamp(stop);
  const length = Math.max(0, Math.ceil((last - first) / by));
  return length === 0
    ? { kind: "slice", start: 0, step: 1, length }
    : { kind: "slice", start: first, step: by, length };
}
/** The boolean mask that an entry is, or null. */
function maskOf(item: IndexItem | undefined): NDArray | null {
  if (typeof item === "boolean") return array(item);
  if (isArray(item)) return item.dtype === bool_ ? item : null;
  if (!Array.isArray(item)) return null;
  let inner: unknown = item;
  while (Array.isArray(inner)) inner = inner[0];
  return typeof inner === "boolean" ? array(masks(item)) : null;
}
/** A list known to hold booleans. */
function masks(list: readonly unknown[]): MaskList {
  return list.map((x) => Array.isArray(x) ? masks(x) : x === true);
}
/** Lists known to hold numbers. */
function numbers(list: readonly unknown[]): IndexList {
  return list.map((x) => Array.isArray(x) ? numbers(x) : Number(x));
}
function isList(x: IndexItem): x is IndexList | MaskList {
  return Array.isArray(x);
}
/** The entry that stands for one axis of x. */
function entryOf(op: string, x: NDArray, axis: number, item: Exclude<IndexItem, null | string>): Entry {
  if (item instanceof Slice) return resolveSlice(op, item, x.shape[axis]!);
  if (typeof item === "number") return { kind: "number", start: checkedIndex(op, item, x, axis) };
  if (!isArray(item) && !isList(item)) {
    fail(ValueError, op, {
      cannot: `index ${describe(x)}`,
      expected: 'numbers, slices, null, "...", integer arrays or lists',
      got: String(item),
      fix: "convert it",
    });
  }
  return { kind: "array", index: toIndices(op, isArray(item) ? item : numbers(item)) };
}
/** A mask as the integer arrays that it stands for, one per axis that it covers; evaluates the mask. */
function unmasked(op: string, x: NDArray, items: readonly IndexItem[]): readonly IndexItem[] {
  const masked = items.map(maskOf), covers = (i: number) => masked[i]?.ndim ?? (items[i] === null ? 0 : 1);
  if (!masked.some((mask) => mask)) return items;
  const dots = items.indexOf("..."),
    axesOf = (from: number, to: number) => {
      let axes = 0;
      for (let i = from; i < to; i++) axes += covers(i);
      return axes;
    };
  return items.flatMap((item, i) => {
    const mask = masked[i];
    if (!mask) return [item];
    const axis = dots >= 0 && i > dots ? x.ndim - axesOf(i, items.length) : axesOf(0, i);
    if (mask.ndim === 0 || !sameShape(mask.shape, x.shape.slice(axis, axis + mask.ndim))) {
      fail(ShapeError, op, {
        cannot: `index ${describe(x)} with the mask ${describe(mask)}`,
        expected: `a mask shaped as the array from axis ${axis} on`,
        got: describeShape(mask.shape),
        fix: "broadcast the mask first",
      });
    }
    return placesOf(op, mask);
  });
}
/** All entries of an expression; axes that it does not name are whole slices. */
function entriesOf(op: string, x: NDArray, items: readonly IndexItem[]): Entry[] {
  const spelt = items.flatMap<IndexItem>((item) => typeof item === "string" ? spelled(op, item) : [item]);
  const list = unmasked(op, x, spelt);
  const named = list.filter((item) => item !== null && item !== "...").length;
  const dots = list.filter((item) => item === "...").length;
  if (named > x.shape.length || dots > 1) {
    fail(IndexError, op, {
      cannot: `index ${describe(x)}`,
      expected: `at most ${x.shape.length} axes and one "..."`,
      got: dots > 1 ? `${dots} times "..."` : `${named} axes`,
      fix: "drop entries",
    });
  }
  const all = new Slice(null, null, null);
  const rest = new Array<Slice>(x.shape.length - named).fill(all);
  const full = dots === 0 ? [...list, ...rest] : list.flatMap((item) => item === "..." ? rest : [item]);
  let axis = 0;
  return full.map((item) => {
    if (item === null) return { kind: "none" };
    return typeof item === "string" ? resolveSlice(op, all, x.shape[axis++]!) : entryOf(op, x, axis++, item);
  });
}

/** The part of an array that numbers and slices select: one start, step and length per axis. */
interface Region {
  readonly starts: number[];
  readonly steps: number[];
  readonly shape: number[];
}
function regionOf(x: NDArray, entries: readonly Entry[]): Region {
  const axes = entries.filter((e) => e.kind !== "none");
  return {
    starts: axes.map((e) => e.kind === "array" ? 0 : e.start),
    steps: axes.map((e) => e.kind === "slice" ? e.step : 1),
    shape: axes.map((e, i) => e.kind === "slice" ? e.length : e.kind === "number" ? 1 : x.shape[i]!),
  };
}
function readRegion(x: NDArray, { starts, steps, shape }: Region): NDArray {
  return sliceOf(x, starts, starts.map((start, i) => start + shape[i]! * steps[i]!), steps);
}
function isWhole(x: NDArray, { starts, steps, shape }: Region): boolean {
  return sameShape(x.shape, shape) && starts.every((start) => start === 0) && steps.every((step) => step === 1);
}
/** The integer arrays of an expression, broadcast to one shape, and the axes that they index. */
function arraysOf(
  op: string,
  entries: readonly Entry[],
): { readonly indices: NDArray[]; readonly axes: number[]; readonly shape: Shape } {
  const axes = entries.filter((e) => e.kind !== "none");
  const found = axes.flatMap((e, axis) => e.kind === "array" ? [{ index: e.index, axis }] : []);
  const shape = commonShape(op, found.map(({ index }) => index.shape));
  return { indices: found.map(({ index }) => broadcastTo(index, shape)), axes: found.map(({ axis }) => axis), shape };
}
/** Lengths of the axes that slices and new axes leave. */
function plainShape(entries: readonly Entry[]): number[] {
  return entries.flatMap((e) => e.kind === "slice" ? [e.length] : e.kind === "none" ? [1] : []);
}
/**
 * How many axes of the result come before those of the integer arrays: where the arrays stand if nothing but arrays
 * stands between them, else 0.
 */
function placeOfArrays(entries: readonly Entry[], isIndex: (e: Entry) => boolean): number {
  const first = entries.findIndex(isIndex);
  const last = entries.findLastIndex(isIndex);
  const together = plainShape(entries.slice(first, last + 1)).length === 0;
  return together ? plainShape(entries.slice(0, first)).length : 0;
}

/**
 * `x[items]`: numbers drop their axis, slices keep it, null makes one of length 1, `"..."` stands for the axes that are
 * not named, integer arrays (broadcast together) gather; a boolean mask stands for the indices of its true entries, and
 * is evaluated. Where arrays are separated by a slice, their axes come first, as in NumPy. A view unless there are
 * arrays.
 */
export function getItem(x: NDArray, items: readonly IndexItem[]): NDArray {
  if (recorder) return recorder.call(getItem, [x, items]);
  const [only] = items;
  if (items.length === 1 && (isArray(only) || Array.isArray(only)) && !maskOf(only) && x.shape.length > 0) {
    return take(x, isArray(only) ? only : numbers(only), 0);
  }
  const entries = entriesOf("index", x, items);
  const region = regionOf(x, entries);
  const source = readRegion(x, region);
  if (!entries.some((e) => e.kind === "array")) return reshape(source, plainShape(entries));
  const { indices, axes, shape } = arraysOf("index", entries);
  indices.forEach((at, i) => checkEntries("index", source, axes[i]!, at));
  const y = gather(source, indices, axes, region.shape.map((n, i) => axes.includes(i) ? 1 : n));
  const place = placeOfArrays(entries, (e) => e.kind === "array" || e.kind === "number");
  return placeIndexAxes(reshape(y, [...shape, ...plainShape(entries)]), shape.length, place);
}

/** An update in the given shape: leading axes of length 1 do not count, the rest broadcasts. */
function spread(op: string, value: NDArray, shape: Shape): NDArray {
  const first = value.shape.findIndex((n) => n !== 1);
  const lean = reshape(value, first < 0 ? [] : value.shape.slice(first));
  const fits = lean.shape.length <= shape.length &&
    lean.shape.every((n, i) => n === 1 || n === shape[shape.length - lean.shape.length + i]);
  if (!fits) {
    fail(ShapeError, op, {
      cannot: `write ${describe(value)} there`,
      expected: `what broadcasts to ${describeShape(shape)}`,
      got: describeShape(value.shape),
      fix: "reshape the value, or index less",
    });
  }
  return broadcastTo(lean, shape);
}
/** x with the entries that an expression selects replaced by, or combined with, the value. */
export function updateItem(x: NDArray, items: readonly IndexItem[], value: NDArray, mode: UpdateMode): NDArray {
  if (recorder) return recorder.call(updateItem, [x, items, value, mode]);
  const entries = entriesOf("at", x, items);
  const region = regionOf(x, entries);
  if (!entries.some((e) => e.kind === "array")) {
    const updates = reshape(spread("at", value, plainShape(entries)), region.shape);
    return mode === "set" && isWhole(x, region) ? updates : updateSlice(x, updates, region.starts, region.steps, mode);
  }
  const { indices, axes, shape } = arraysOf("at", entries);
  const place = placeOfArrays(entries, (e) => e.kind === "array");
  const plain = plainShape(entries);
  const updates = spread("at", value, [...plain.slice(0, place), ...shape, ...plain.slice(place)]);
  // The kernel wants the axes of the indices first.
  const n = shape.length;
  const order = updates.shape.map((_, i) => i < n ? place + i : i < n + place ? i - n : i);
  const slices = region.shape.map((length, i) => axes.includes(i) ? 1 : length);
  const ordered = reshape(transpose(updates, order), [...shape, ...slices]);
  if (isWhole(x, region)) return scatter(x, ordered, indices, axes, mode);
  return updateSlice(
    x,
    scatter(readRegion(x, region), ordered, indices, axes, mode),
    region.starts,
    region.steps,
    "set",
  );
}
/** The mask, which covers the leading axes of x, with axes of length 1 for the rest. */
function wideMask(x: NDArray, mask: NDArray): NDArray {
  if (!sameShape(mask.shape, x.shape.slice(0, mask.shape.length))) {
    fail(ShapeError, "at", {
      cannot: `use a mask ${describe(mask)} on ${describe(x)}`,
      expected: "a mask shaped as the first axes of the array",
      got: describeShape(mask.shape),
      fix: "broadcast the mask first",
    });
  }
  return reshape(mask, x.shape.map((n, i) => i < mask.shape.length ? n : 1));
}
/**
 * x with the entries that are true in the mask replaced: by one value for all of them (what broadcasts to the axes that
 * the mask does not cover), or by the rows of the value, in order.
 */
function setMasked(x: NDArray, mask: NDArray, value: NDArray): NDArray {
  const wide = wideMask(x, mask);
  const rest = x.shape.slice(mask.shape.length);
  if (value.shape.length <= rest.length || value.shape[0] === 1) return where(wide, spread("at", value, rest), x);
  if (value.shape[0] === 0) return x;
  const rows = spread("at", value, [value.shape[0]!, ...rest]);
  // The k-th true entry takes row k - 1; entries before the first true one take none, so any row serves.
  const row = maximum(subtract(cumsum(cast(reshape(mask, [-1]), int32), 0), 1), 0);
  return where(wide, reshape(take(rows, row, 0), x.shape), x);
}

/**
 * The array and the index expression of `x.at(...)`; its methods return a new array.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.array([1, 2, 3]).at(mx.slice(0, 2)).add(10).tolist(); // [11, 12, 3]
 * ```
 */
export class ArrayAt {
  /** Made by `x.at(...)`. */
  constructor(
    /** The array. */
    private readonly x: NDArray,
    /** The index expression. */
    private readonly items: readonly IndexItem[],
  ) {}
  /** With the selected entries replaced. The value broadcasts to them and takes the array's dtype. */
  set(value: Operand): NDArray {
    return this.#update(value, "set");
  }
  /** With the value added; an entry selected several times gets every addition. */
  add(value: Operand): NDArray {
    return this.#update(value, "add");
  }
  /** With the value subtracted. */
  subtract(value: Operand): NDArray {
    return this.#update(negative(this.#value(value)), "add");
  }
  /** Multiplied by the value. */
  multiply(value: Operand): NDArray {
    return this.#update(value, "multiply");
  }
  /** Divided by the value; a `DTypeError` for integers. */
  divide(value: Operand): NDArray {
    const { kind } = this.x.dtype;
    if (kind !== "float" && kind !== "complex") {
      fail(DTypeError, "at", {
        cannot: `divide entries of ${describe(this.x)}`,
        expected: "a float array: quotients are no integers",
        got: this.x.dtype.name,
        fix: "cast with astype(mx.float32) first",
      });
    }
    return this.#update(reciprocal(this.#value(value)), "multiply");
  }
  /** The larger of the entry and the value. */
  maximum(value: Operand): NDArray {
    return this.#update(value, "maximum");
  }
  /** The smaller of the entry and the value. */
  minimum(value: Operand): NDArray {
    return this.#update(value, "minimum");
  }
  #value(value: Operand): NDArray {
    return cast(toArray("at", value, this.x.dtype), this.x.dtype);
  }
  #update(value: Operand, mode: UpdateMode): NDArray {
    const [only] = this.items;
    const mask = this.items.length === 1 ? maskOf(only) : null;
    const v = this.#value(value);
    if (!mask) return updateItem(this.x, this.items, v, mode);
    return mode === "set"
      ? setMasked(this.x, mask, v)
      : where(wideMask(this.x, mask), COMBINE[mode](this.x, v), this.x);
  }
}
const COMBINE: Readonly<Record<Exclude<UpdateMode, "set">, (a: NDArray, b: NDArray) => NDArray>> = {
  add,
  multiply,
  maximum,
  minimum,
};
/** `x.at(...items)`: see {@linkcode ArrayAt}. */
export function at(x: NDArray, items: readonly IndexItem[]): ArrayAt {
  return new ArrayAt(x, items);
}
