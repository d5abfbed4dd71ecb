/**
 * Gradients of models: functions of a module's parameters, although the parameters are no arguments. What a function
 * changes in the module while it is traced (running statistics, say) comes out with its result.
 * @module
 */
import {
  checkpoint as checkpointed,
  concatenate,
  type NDArray,
  split,
  type Tree,
  treeFlatten,
  treeMapWithPath,
  valueAndGrad as valueAndGradOf,
} from "../core/mod.ts";
import { flattenParameters, type Module, type Parameters } from "./module.ts";

/**
 * Runs `f`; the module's arrays are afterwards those from before `f` put others there, and these are returned by path.
 */
function tracked<R>(module: Module, f: () => R): [R, Record<string, NDArray>] {
  const before = module.parameters(), old = new Map(flattenParameters(before));
  try {
    const result = f(), after = flattenParameters(module.parameters());
    return [result, Object.fromEntries(after.filter(([path, x]) => old.get(path) !== x))];
  } finally {
    module.update(before);
  }
}
function put(module: Module, changed: Readonly<Record<string, NDArray>>): void {
  const entries = Object.entries(changed);
  if (entries.length) module.loadWeights(entries, { strict: false });
}

/**
 * A function that returns `[f(...args), gradients]`, the gradients being those of the first result, a scalar, with
 * respect to the model's trainable parameters, as a tree of their names (`mlx.nn.value_and_grad`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const model = new nn.Linear(2, 1);
 * const lossAndGrad = nn.valueAndGrad(model, (x: mx.NDArray) => model.forward(x).square().mean());
 * const [loss, grads] = lossAndGrad(mx.ones([4, 2]));
 * loss.shape; // []
 * Object.keys(grads); // ["weight", "bias"]
 * ```
 */
export function valueAndGrad<A extends readonly unknown[], R>(
  model: Module,
  f: (...args: A) => R,
): (...args: A) => [R, Parameters] {
  return (...args) => {
    const own = model.parameters();
    const inner = (parameters: Parameters): [R, Record<string, NDArray>] => {
      model.update(parameters);
      return tracked(model, () => f(...args));
    };
    try {
      const [[value, changed], grads] = valueAndGradOf(inner)(model.trainableParameters());
      model.update(own);
      put(model, changed);
      return [value, grads];
    } catch (error) {
      model.update(own);
      throw error;
    }
  };
}

/** A module that can be called. */
export interface Callable<A extends readonly unknown[], R> extends Module {
  /** The call. */
  forward(...args: A): R;
}
/**
 * The module's `forward` with gradient checkpointing (`mlx.nn.checkpoint`): the backward pass computes what is inside
 * again. The parameters and the arguments are differentiated.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const layer = new nn.Linear(2, 3);
 * nn.checkpoint(layer)(mx.ones([4, 2])).shape; // [4, 3]
 * ```
 */
export function checkpoint<A extends readonly unknown[], R>(module: Callable<A, R>): (...args: A) => R;
/** As above, for a function that uses the module. */
export function checkpoint<A extends readonly unknown[], R>(module: Module, f: (...args: A) => R): (...args: A) => R;
export function checkpoint(
  module: Module & { forward?(...args: never[]): unknown },
  f: (...args: never[]) => unknown = (...args) => module.forward?.(...args),
): (...args: never[]) => unknown {
  const run = checkpointed((...args: never[]) => tracked(module, () => f(...args)));
  return (...args) => {
    const [result, changed] = run(...args);
    put(module, changed);
    return result;
  };
}

/** Processes that train together. */
export interface GradientGroup {
  /** How many there are. */
  readonly size: number;
  /** The sum of the array over all of them. */
  allSum(x: NDArray): NDArray;
}
/** Options of {@linkcode averageGradients}. */
export interface AverageOptions {
  /** Who takes part. Default: this process alone. */
  readonly group?: GradientGroup | null;
  /** Small arrays travel together until they have this many bytes; 0 sends each alone. Default 32 MiB. */
  readonly allReduceSize?: number;
}
/** Neighbours in the list, together at least `bytes` long and of one dtype. */
function bundles(leaves: readonly (readonly [string, NDArray])[], bytes: number): [string, NDArray][][] {
  const all: [string, NDArray][][] = [];
  let room = 0;
  for (const [path, x] of leaves) {
    const last = all.at(-1);
    if (last && room > 0 && last[0]![1].dtype === x.dtype) last.push([path, x]);
    else {
      all.push([[path, x]]);
      room = bytes;
    }
    room -= x.nbytes;
  }
  return all;
}
/**
 * The mean of the gradients over a group of processes (`mlx.nn.average_gradients`); alone, the gradients themselves.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const other = mx.array([3, 5]); // what a second process has
 * const group = { size: 2, allSum: (x: mx.NDArray) => x.add(other) };
 * nn.averageGradients({ weight: mx.array([1, 1]) }, { group }); // { weight: array([2, 3], dtype=float32) }
 * ```
 */
export function averageGradients(gradients: Tree<NDArray>, options: AverageOptions = {}): Tree<NDArray> {
  const { group = null, allReduceSize = 32 * 2 ** 20 } = options;
  if (!group || group.size === 1) return gradients;
  const average = (x: NDArray): NDArray => group.allSum(x).div(group.size);
  const averaged = bundles(treeFlatten(gradients), allReduceSize).flatMap((bundle): [string, NDArray][] => {
    if (bundle.length === 1) return [[bundle[0]![0], average(bundle[0]![1])]];
    let end = 0;
    const ends = bundle.map(([, x]) => end += x.size);
    const parts = split(average(concatenate(bundle.map(([, x]) => x.reshape(-1)))), ends.slice(0, -1));
    return bundle.map(([path, x], i) => [path, parts[i]!.reshape(x.shape)]);
  });
  const found = new Map(averaged);
  return treeMapWithPath<NDArray, NDArray>((path, x) => found.get(path) ?? x, gradients);
}
