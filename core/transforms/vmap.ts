/**
 * vmap: a function of single examples becomes one of batches. The function is traced on the shapes of one example and
 * built again by the records' batching rules; inside, every mapped array has its batch on axis 0.
 * @module
 */
import type { NDArray } from "../array.ts";
import { fail, ShapeError } from "../errors.ts";
import { bindAgain, isArray } from "../graph.ts";
import { broadcastTo, moveaxis, reshape } from "../ops/view.ts";
import { type Batched, type Call, callOf, withRules } from "./call.ts";
import { rule } from "./grad.ts";
import { dependents, flatten, isBranch, outputArrays, rebuildInto, type Trace, trace } from "./trace.ts";
import { describe } from "../shape.ts";
import { forEachAt } from "../sites.ts";

/** Which axis of an array is the batch: null for none; a list or object where arguments are trees. */
export type BatchAxes = number | null | readonly BatchAxes[] | { readonly [key: string]: BatchAxes };
/** Options of {@linkcode vmap}. */
export interface VmapOptions {
  /** Batch axis of each argument: a number for all, a list, or for one argument what has its form. Default 0. */
  readonly inAxes?: BatchAxes;
  /** Batch axis of each result. Default 0. */
  readonly outAxes?: BatchAxes;
}

/**
 * The batch axis of each array in a tree, where `axes` may stop above the leaves; a list of one is good for one array,
 * too.
 */
export function axesOf(tree: unknown, axes: BatchAxes): (number | null)[] {
  if (axes === null || typeof axes === "number") {
    return new Array<number | null>(flatten(tree).arrays.length).fill(axes);
  }
  if (isList(axes)) {
    if (Array.isArray(tree) && axes.length === tree.length) return tree.flatMap((t, i) => axesOf(t, axes[i]!));
    if (isArray(tree) && axes.length === 1) return axesOf(tree, axes[0]!);
  } else if (isBranch(tree) && !Array.isArray(tree) && sameKeys(tree, axes)) {
    return Object.entries(tree).flatMap(([k, t]) => axesOf(t, axes[k] ?? null));
  }
  if (flatten(tree).arrays.length === 0) return [];
  return fail(ShapeError, "vmap", {
    cannot: "match the batch axes with the arrays",
    expected: "a number or null, or a list or object like that of the arrays",
    got: JSON.stringify(axes),
    fix: "give one entry per argument, and in it one per array, or a number for all",
  });
}
/** Every array has an entry, and every entry a place. */
function sameKeys(tree: Readonly<Record<string, unknown>>, axes: Readonly<Record<string, BatchAxes>>): boolean {
  return Object.keys(axes).every((k) => k in tree) &&
    Object.entries(tree).every(([k, t]) => k in axes || flatten(t).arrays.length === 0);
}
/** The batch axes of arguments. Those of a single argument may stand alone. */
function argumentAxes(args: readonly unknown[], axes: BatchAxes): (number | null)[] {
  const alone = args.length === 1 && typeof axes === "object" && axes !== null && !(isList(axes) && axes.length === 1);
  return alone ? axesOf(args[0], axes) : axesOf(args, axes);
}
function isList(axes: BatchAxes): axes is readonly BatchAxes[] {
  return Array.isArray(axes);
}
function checkedAxis(axis: number, x: NDArray): number {
  const at = axis < 0 ? axis + x.shape.length : axis;
  if (at < 0 || at >= x.shape.length) {
    fail(ShapeError, "vmap", {
      cannot: `map axis ${axis} of ${describe(x)}`,
      expected: `an axis of ${x.shape.length}`,
      got: String(axis),
      fix: "change inAxes",
    });
  }
  return at;
}
function batchSize(xs: readonly NDArray[], axes: readonly (number | null)[]): number {
  let size = -1;
  xs.forEach((x, i) => {
    const axis = axes[i];
    if (axis === null || axis === undefined) return;
    const n = x.shape[checkedAxis(axis, x)]!;
    if (size >= 0 && n !== size) {
      fail(ShapeError, "vmap", {
        cannot: "map over these arrays",
        expected: `batches of ${size}`,
        got: `${n} in ${describe(x)}`,
        fix: "make the batch axes equally long",
      });
    }
    size = n;
  });
  if (size < 0) {
    fail(ShapeError, "vmap", {
      cannot: "map",
      expected: "at least one mapped array",
      got: "none",
      fix: "give an axis in inAxes",
    });
  }
  return size;
}

/** The trace built again on batches: results, and which of them have a batch (on axis 0). */
export function batched(
  t: Trace,
  inputs: readonly NDArray[],
  mappedInputs: readonly boolean[],
  size: number,
): { outputs: NDArray[]; mapped: boolean[] } {
  const made = new Map<NDArray, NDArray>(), mapped = new Set<NDArray>();
  t.inputs.forEach((x, i) => {
    made.set(x, inputs[i]!);
    if (mappedInputs[i]) mapped.add(x);
  });
  const through = (call: Call) => {
    const { outputs, mapped: flags } = batchedCall(call, (x) => made.get(x) ?? x, mapped, size);
    call.results.forEach((y, i) => {
      made.set(y, outputs[i]!);
      if (flags[i]) mapped.add(y);
    });
  };
  forEachAt(dependents(t), (n) => {
    const call = callOf(n);
    if (call) {
      if (!made.has(n)) through(call);
      return;
    }
    const flags = n.inputs.map((i) => mapped.has(i));
    if (!flags.includes(true)) return rebuildInto([n], made);
    const xs = n.inputs.map((i) => made.get(i) ?? i), r = n.prim.vmap;
    made.set(
      n,
      r === "elementwise"
        ? bindAgain(n, aligned(xs, flags, n, size), false)
        : rule("vmap", n, r)(xs, flags, n.params, size),
    );
    mapped.add(n);
  });
  return { outputs: t.outputs.map((o) => made.get(o) ?? o), mapped: t.outputs.map((o) => mapped.has(o)) };
}
/** A call by its batching rule; without one, its results with a batch each, and the other rules batched. */
function batchedCall(
  { rules, args, computed }: Call,
  now: (x: NDArray) => NDArray,
  mapped: ReadonlySet<NDArray>,
  size: number,
): Batched {
  const flags = args.map((x) => mapped.has(x)), inputs = args.map(now);
  if (rules.vmap && flags.includes(true)) return rules.vmap(inputs, flags, size);
  if (!flags.includes(true) && !computed.some((y) => mapped.has(y))) {
    return { outputs: withRules(rules, inputs, computed.map(now)), mapped: computed.map(() => false) };
  }
  const outputs = computed.map((y) => mapped.has(y) ? now(y) : broadcastTo(now(y), [size, ...y.shape]));
  return { outputs: withRules(rules.batched(flags, size), inputs, outputs), mapped: computed.map(() => true) };
}
/** Inputs of an elementwise node with a batch: all of one shape, or 0-d. */
function aligned(xs: readonly NDArray[], flags: readonly boolean[], n: NDArray, size: number): NDArray[] {
  const shape = [size, ...n.shape];
  return xs.map((x, i) => {
    if (flags[i]) {
      if (x.shape.length === shape.length) return x;
      return broadcastTo(reshape(x, [size, ...n.shape.map(() => 1)]), shape); // a 0-d input, mapped
    }
    return x.shape.length === 0 ? x : broadcastTo(x, shape);
  });
}

/**
 * A function that applies `f` to each example of a batch, without a loop (`mlx.core.vmap`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const dot = (a: mx.NDArray, b: mx.NDArray) => a.mul(b).sum();
 * mx.vmap(dot)(mx.ones([4, 3]), mx.ones([4, 3])).tolist(); // [3, 3, 3, 3]
 * ```
 */
export function vmap<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  { inAxes = 0, outAxes = 0 }: VmapOptions = {},
): (...args: A) => R {
  return (...args) => {
    const flat = flatten(args), axes = argumentAxes(args, inAxes), size = batchSize(flat.arrays, axes);
    const front = flat.arrays.map((x, i) => axes[i] === null ? x : moveaxis(x, checkedAxis(axes[i]!, x), 0));
    const single = front.map((x, i) => axes[i] === null ? x : { shape: x.shape.slice(1), dtype: x.dtype });
    let result: ReturnType<typeof outputArrays<R>> | undefined;
    const t = trace((xs) => {
      result = outputArrays("vmap", f(...flat.restore(xs)));
      return result.arrays;
    }, single);
    const { outputs, mapped } = batched(t, front, axes.map((a) => a !== null), size);
    const out = axesOf(result!.restore(outputs), outAxes);
    return result!.restore(outputs.map((y, i) => {
      const axis = out[i]!;
      if (axis === null) return y;
      const b = mapped[i] ? y : broadcastTo(y, [size, ...y.shape]);
      return axis === 0 ? b : moveaxis(b, 0, axis < 0 ? axis + b.shape.length : axis);
    }));
  };
}
