/**
 * Functions with derivatives and batching rules of their own, and dependencies that no value shows.
 * @module
 */
import type { NDArray } from "../array.ts";
import { fail, TransformError } from "../errors.ts";
import { Node } from "../graph.ts";
import { zerosLike } from "../ops/create.ts";
import { sum } from "../ops/reduce.ts";
import { broadcastTo } from "../ops/view.ts";
import { isPlainObject } from "../tree.ts";
import { afterAll, type Batched, type CallRules, type Slots, withRules } from "./call.ts";
import { type Flat, flatten, outputArrays, trace } from "./trace.ts";
import { axesOf, type BatchAxes, batched } from "./vmap.ts";
import { describe } from "../shape.ts";

/** The arguments as the rules of {@linkcode customFunction} see them: the only one bare, several as a list. */
export type Primals<A extends readonly unknown[]> = A extends readonly [infer Only] ? Only : A;
/** Batch axes in the form of a tree: null for none. */
export type AxesOf<T> = T extends NDArray ? number | null
  : T extends object ? { readonly [K in keyof T]: AxesOf<T[K]> }
  : null;
/** Arrays by their places, as a rule returns them: in trees of the same form, with null where there is none. */
export type RuleResult = NDArray | null | readonly RuleResult[] | { readonly [key: string]: RuleResult };
/** Rules of {@linkcode customFunction}. */
export interface CustomRules<A extends readonly unknown[], R> {
  /**
   * The cotangents of the arguments (null: none), from the arguments, the cotangents of the results and the results.
   */
  readonly vjp?: (primals: Primals<A>, cotangents: R, outputs: R) => RuleResult;
  /** The tangents of the results (null: zero), from the arguments and their tangents. */
  readonly jvp?: (primals: Primals<A>, tangents: Primals<A>) => RuleResult;
  /** The batched results and their batch axes (null: none), from the arguments and their batch axes. */
  readonly vmap?: (inputs: Primals<A>, axes: AxesOf<Primals<A>>) => readonly [R, BatchAxes];
}
/** A function with rules: a call is `f(...)`, and each of the methods sets one rule and returns the function itself. */
export interface CustomFunction<A extends readonly unknown[], R> {
  (...args: A): R;
  /** Sets the reverse rule. */
  vjp(rule: NonNullable<CustomRules<A, R>["vjp"]>): CustomFunction<A, R>;
  /** Sets the forward rule. */
  jvp(rule: NonNullable<CustomRules<A, R>["jvp"]>): CustomFunction<A, R>;
  /** Sets the batching rule. */
  vmap(rule: NonNullable<CustomRules<A, R>["vmap"]>): CustomFunction<A, R>;
}

function primalsOf<A extends readonly unknown[]>(args: A): Primals<A>;
function primalsOf(args: readonly unknown[]): unknown {
  return args.length === 1 ? args[0] : args;
}
function slotsOf(x: RuleResult): Slots {
  if (x === null || x instanceof Node) return [x];
  return Object.values(x).flatMap(slotsOf);
}
/** A rule's arrays, whose number and shapes have to be those of what they belong to. */
function checkedSlots(rule: "vjp" | "jvp", made: RuleResult, like: readonly NDArray[]): Slots {
  const list = slotsOf(made), odd = list.findIndex((x, i) => x && like[i] && x.shape.join() !== like[i].shape.join());
  if (list.length === like.length && odd < 0) return list;
  return fail(TransformError, "customFunction", {
    cannot: `use what the ${rule} rule returned`,
    expected: odd < 0 ? `${like.length} arrays or nulls` : `the shape of ${describe(like[odd]!)}`,
    got: odd < 0 ? String(list.length) : describe(list[odd]!),
    fix: `return one array for each ${rule === "vjp" ? "argument" : "result"}`,
  });
}
/** Slots without gaps. */
function filled(slots: Slots, like: readonly NDArray[]): NDArray[] {
  return slots.map((x, i) => x ?? zerosLike(like[i]!));
}
/** The user's rules as transforms call them: lists instead of trees. */
function callRules<A extends readonly unknown[], R>(
  { vjp, jvp, vmap }: CustomRules<A, R>,
  flat: Flat<A>,
  result: Flat<R>,
): CallRules {
  const primals = (xs: readonly NDArray[]): Primals<A> => primalsOf(flat.restore(xs));
  const rules: Omit<CallRules, "batched"> = {
    ...vjp && {
      vjp: (args, ys, cts) =>
        checkedSlots("vjp", vjp(primals(args), result.restore(filled(cts, ys)), result.restore(ys)), args),
    },
    ...jvp && { jvp: (args, ys, ts) => checkedSlots("jvp", jvp(primals(args), primals(filled(ts, args))), ys) },
    ...vmap && { vmap: (args, mapped, size) => userBatch(vmap, primals(args), axesTree(flat, mapped), size) },
  };
  return { ...rules, batched: (mapped, size) => batchedRules(rules, mapped, size) };
}
/** Batch axes in the form of the arguments; what is no array has none. */
function axesTree<A extends readonly unknown[]>(flat: Flat<A>, mapped: readonly boolean[]): AxesOf<Primals<A>>;
function axesTree(flat: Flat<readonly unknown[]>, mapped: readonly boolean[]): BatchAxes {
  let next = 0;
  const walk = (x: unknown): BatchAxes => {
    if (x instanceof Node) return mapped[next++] ? 0 : null;
    if (Array.isArray(x)) return x.map(walk);
    return isPlainObject(x) ? Object.fromEntries(Object.entries(x).map(([k, v]) => [k, walk(v)])) : null;
  };
  return walk(primalsOf(flat.restore(flat.arrays)));
}
function userBatch<A extends readonly unknown[], R>(
  rule: NonNullable<CustomRules<A, R>["vmap"]>,
  inputs: Primals<A>,
  axes: AxesOf<Primals<A>>,
  size: number,
): Batched {
  const [made, out] = rule(inputs, axes), { arrays } = flatten(made), where = axesOf(made, out);
  const front = arrays.map((y, i) => {
    const axis = where[i] ?? null;
    if (axis === null) return y;
    if (y.shape.at(axis) === size) return y.moveaxis(axis, 0);
    return fail(TransformError, "customFunction", {
      cannot: "use what the vmap rule returned",
      expected: `a batch of ${size} on axis ${axis}`,
      got: describe(y),
      fix: "return the batched results and their axes",
    });
  });
  return { outputs: front, mapped: arrays.map((_, i) => (where[i] ?? null) !== null) };
}

/**
 * The rules of a batched call: the rules of one example, batched. Cotangents of arguments that are not mapped add up.
 */
export function batchedRules(one: Omit<CallRules, "batched">, mapped: readonly boolean[], size: number): CallRules {
  const { vjp, jvp } = one;
  const rules: Omit<CallRules, "batched"> = {
    ...vjp && {
      vjp: (args, results, cts) =>
        overBatch((xs, ys, slots) => vjp(xs, ys, slots), args, results, cts, { mapped, slots: null, size }).map(
          (g, i) => {
            if (!g) return null;
            if (g.mapped) return mapped[i] ? g.array : sum(g.array, 0);
            return mapped[i] ? broadcastTo(g.array, [size, ...g.array.shape]) : g.array.mul(size);
          },
        ),
    },
    ...jvp && {
      jvp: (args, results, tangents) =>
        overBatch((xs, ys, slots) => jvp(xs, ys, slots), args, results, tangents, { mapped, slots: mapped, size })
          .map((t) => t && (t.mapped ? t.array : broadcastTo(t.array, [size, ...t.array.shape]))),
    },
  };
  return { ...rules, batched: (outer, n) => batchedRules(rules, outer, n) };
}
/** What has a batch: of the arguments, and of the slots (null: all). Results always have one. */
interface Batch {
  readonly mapped: readonly boolean[];
  readonly slots: readonly boolean[] | null;
  readonly size: number;
}
type Rule = (args: readonly NDArray[], results: readonly NDArray[], slots: Slots) => Slots;
function overBatch(
  rule: Rule,
  args: readonly NDArray[],
  results: readonly NDArray[],
  slots: Slots,
  { mapped, slots: mappedSlots, size }: Batch,
): readonly ({ readonly array: NDArray; readonly mapped: boolean } | null)[] {
  const given = slots.flatMap((s, i) => s ? [{ s, batch: mappedSlots?.[i] ?? true }] : []);
  const inputs = [...args, ...results, ...given.map((g) => g.s)];
  const flags = [...mapped, ...results.map(() => true), ...given.map((g) => g.batch)];
  let made: Slots = [];
  const t = trace((xs) => {
    const rest = xs.slice(args.length + results.length);
    let next = 0;
    made = rule(
      xs.slice(0, args.length),
      xs.slice(args.length, args.length + results.length),
      slots.map((s) => s && rest[next++]!),
    );
    return made.filter((m) => m !== null);
  }, inputs.map((x, i) => flags[i] ? { shape: x.shape.slice(1), dtype: x.dtype } : x));
  const out = batched(t, inputs, flags, size);
  let k = 0;
  return made.map((m) => m && { array: out.outputs[k]!, mapped: out.mapped[k++]! });
}

/**
 * A function that computes what `f` does, and that transforms treat by rules of its own (`mlx.core.custom_function`):
 * the reverse rule `vjp`, the forward rule `jvp`, the batching rule `vmap`. Where a rule is absent, transforms go
 * through `f`. Rules see the arguments in their trees, one argument bare and several as a list; what `f` captures has
 * no derivative by a rule.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const clipped = mx.customFunction((x: mx.NDArray) => x.mul(2)).vjp((_x, ct) => mx.clip(ct, -1, 1));
 * mx.grad((x: mx.NDArray) => clipped(x).mul(10).sum())(mx.array(3)).item(); // 1
 * ```
 */
export function customFunction<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  rules: CustomRules<A, R> = {},
): CustomFunction<A, R> {
  let current = rules;
  const call = (...args: A): R => {
    const flat = flatten(args);
    if (!flat.arrays.some((x) => x.traced)) return f(...args);
    const result = outputArrays("customFunction", f(...args));
    return result.restore(withRules(callRules(current, flat, result), flat.arrays, result.arrays));
  };
  const set = (more: CustomRules<A, R>): CustomFunction<A, R> => {
    current = { ...current, ...more };
    return made;
  };
  const made: CustomFunction<A, R> = Object.assign(call, {
    vjp: (vjp: NonNullable<CustomRules<A, R>["vjp"]>) => set({ vjp }),
    jvp: (jvp: NonNullable<CustomRules<A, R>["jvp"]>) => set({ jvp }),
    vmap: (vmap: NonNullable<CustomRules<A, R>["vmap"]>) => set({ vmap }),
  });
  return made;
}

/**
 * The same arrays, but computed after the dependencies (`mlx.core.depends`): for orders that no value shows.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const a = mx.ones([2]), b = mx.zeros([3]);
 * mx.depends(a, b).tolist(); // [1, 1]
 * ```
 */
export function depends(inputs: NDArray, dependencies: NDArray | readonly NDArray[]): NDArray;
/** As above, for a list. */
export function depends(inputs: readonly NDArray[], dependencies: NDArray | readonly NDArray[]): NDArray[];
export function depends(
  inputs: NDArray | readonly NDArray[],
  dependencies: NDArray | readonly NDArray[],
): NDArray | NDArray[] {
  const first = dependencies instanceof Node ? [dependencies] : dependencies;
  return inputs instanceof Node ? afterAll(inputs, first) : inputs.map((x) => afterAll(x, first));
}
