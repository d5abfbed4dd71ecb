/**
 * A step of training as one compiled program: loss, gradients, their norm, clipping and the update, with accumulation
 * over several batches, half-precision arithmetic on float32 parameters, and a guard against values that are no numbers.
 * @module
 */
import {
  all,
  compile,
  DenimError,
  depends,
  type DType,
  float32,
  isfinite,
  nanGuard,
  NDArray,
  NonFiniteError,
  random,
  stack,
  type Tree,
  treeFlatten,
  treeMap,
  where,
} from "../core/mod.ts";
import { type Module, type Parameters, valueAndGrad } from "../nn/mod.ts";
import { clipGradNorm, type Optimizer, type StateTree } from "../optimizers/mod.ts";

/** Scalars by name. */
export type Scalars = { readonly [name: string]: NDArray };
/** A loss, a scalar, and other scalars to show, if there are any. */
export type LossResult = NDArray | readonly [loss: NDArray, metrics: Scalars];
/** What a step reports. */
export interface StepResult {
  /** `loss` and what else there is. */
  readonly scalars: Scalars;
  /** With the guard one array: are the loss and the gradient of each trainable parameter finite? */
  readonly finite: readonly NDArray[];
}
/** How steps are made. */
export interface StepOptions {
  /** The largest norm of the gradients. Default: as it is. */
  readonly clipNorm?: number | null;
  /** The dtype of the arithmetic; parameters and the optimizer's state stay float32. Default: that of the parameters. */
  readonly compute?: DType | null;
  /** Are parameters kept as they were where the loss or a gradient is not finite? Default false. */
  readonly nanGuard?: boolean;
}

const parts = (result: LossResult): readonly [NDArray, Scalars] => result instanceof NDArray ? [result, {}] : result;
function mapBatch<B extends Tree<NDArray>>(f: (x: NDArray) => NDArray, batch: B): B;
function mapBatch(f: (x: NDArray) => NDArray, batch: Tree<NDArray>): Tree<NDArray> {
  return treeMap(f, batch);
}
const put = (model: Module, leaves: readonly (readonly [string, NDArray])[]): void =>
  void model.loadWeights(leaves, { strict: false });

/**
 * The loss computed in another dtype: the trainable parameters are cast within, so gradients come back as float32. What
 * the model replaces itself meanwhile (running statistics, say) stays.
 */
function inDtype<B extends Tree<NDArray>>(
  model: Module,
  loss: (batch: B) => LossResult,
  dtype: DType,
): (batch: B) => readonly [NDArray, Scalars] {
  const castDown = (x: NDArray): NDArray => x.dtype === float32 ? x.astype(dtype) : x;
  return (batch) => {
    const own = treeFlatten<NDArray>(model.trainableParameters());
    const cast = new Map(own.map(([path, x]) => [path, castDown(x)]));
    put(model, [...cast]);
    try {
      const [value, metrics] = parts(loss(mapBatch(castDown, batch)));
      return [value.astype(float32), metrics];
    } finally {
      const now = new Map(treeFlatten<NDArray>(model.parameters()));
      put(model, own.filter(([path]) => now.get(path) === cast.get(path)));
    }
  };
}
/** Puts `choose(new, old)` in the place of every array of a state. */
function choose(
  state: StateTree,
  old: ReadonlyMap<string, NDArray>,
  pick: (x: NDArray, old: NDArray) => NDArray,
): void {
  const walk = (node: { [key: string]: StateTree } | StateTree[], path: string): void => {
    for (const [key, value] of Object.entries(node)) {
      const at = path ? `${path}.${key}` : key, before = old.get(at);
      if (!(value instanceof NDArray)) walk(value, at);
      else if (before) Reflect.set(node, key, pick(value, before));
    }
  };
  if (!(state instanceof NDArray)) walk(state, "");
}

/** Arrays as they were before a step. */
interface Before {
  readonly parameters: ReadonlyMap<string, NDArray>;
  readonly state: ReadonlyMap<string, NDArray>;
}
function snapshot(model: Module, optimizer: Optimizer): Before {
  return {
    parameters: new Map(treeFlatten<NDArray>(model.parameters())),
    state: new Map(treeFlatten<NDArray>(optimizer.state)),
  };
}
/** Puts the old arrays back where `ok` is false. */
function undoUnless(ok: NDArray, model: Module, optimizer: Optimizer, before: Before): void {
  const pick = (x: NDArray, old: NDArray): NDArray => where(ok, x, old);
  const now = treeFlatten<NDArray>(model.parameters());
  put(model, now.map(([path, x]) => [path, pick(x, before.parameters.get(path) ?? x)]));
  choose(optimizer.state, before.state, pick);
}
/** The batch, computed only once `first` is: so the activations of one batch are gone before the next begins. */
function after<B extends Tree<NDArray>>(batch: B, first: readonly NDArray[]): B {
  return mapBatch((x) => depends(x, first), batch);
}
/** Mean loss, metrics and gradients over batches, one after the other. */
function accumulated<B extends Tree<NDArray>>(
  batches: readonly B[],
  lossAndGrad: (batch: B) => [readonly [NDArray, Scalars], Parameters],
): { scalars: Scalars; grads: Parameters } {
  const totals = new Map<string, NDArray>();
  let grads: Parameters | null = null;
  for (const batch of batches) {
    const waited = grads ? after(batch, treeFlatten<NDArray>(grads).map(([, g]) => g)) : batch;
    const [[loss, metrics], own] = lossAndGrad(waited);
    for (const [name, x] of Object.entries({ loss, ...metrics })) totals.set(name, totals.get(name)?.add(x) ?? x);
    grads = grads ? combined((a, b) => a.add(b), grads, own) : own;
  }
  const count = batches.length, mean = (x: NDArray): NDArray => count === 1 ? x : x.mul(1 / count);
  return {
    scalars: Object.fromEntries([...totals].map(([name, x]) => [name, mean(x)])),
    grads: grads ? combined(mean, grads) : {},
  };
}
function combined(f: (x: NDArray, ...more: NDArray[]) => NDArray, ...trees: readonly Parameters[]): Parameters;
function combined(
  f: (x: NDArray, ...more: NDArray[]) => NDArray,
  tree: Tree<NDArray>,
  ...more: readonly Tree<NDArray>[]
): Tree<NDArray> {
  return treeMap(
    (x: NDArray, ...rest: Tree<NDArray>[]) => f(x, ...rest.filter((r) => r instanceof NDArray)),
    tree,
    ...more,
  );
}

/** Why a step was not finite: the first operation that made a NaN or an infinity, if a second run finds it. */
export function firstNonFinite(step: () => StepResult): NonFiniteError | null {
  try {
    nanGuard(step);
  } catch (error) {
    if (error instanceof NonFiniteError) return error;
    if (!(error instanceof DenimError)) throw error; // too little memory for each operation on its own, say
  }
  return null;
}

/** Compiles the step of a model, its optimizer and a loss: one update by the mean gradient over all batches of the list. */
export function makeStep<B extends Tree<NDArray>>(
  model: Module,
  optimizer: Optimizer,
  loss: (batch: B) => LossResult,
  options: StepOptions,
): (...batches: readonly B[]) => StepResult {
  const { clipNorm = null, compute = null, nanGuard = false } = options;
  const lossAndGrad = valueAndGrad(model, compute ? inDtype(model, loss, compute) : (batch: B) => parts(loss(batch)));
  const state = [model, optimizer, random.state];
  return compile((...batches: readonly B[]): StepResult => {
    const before = nanGuard ? snapshot(model, optimizer) : null;
    const { scalars, grads } = accumulated(batches, lossAndGrad);
    const [clipped, gradNorm] = clipGradNorm(grads, clipNorm ?? 1);
    optimizer.update(model, clipNorm === null ? grads : clipped);
    if (!before) return { scalars: { ...scalars, gradNorm }, finite: [] };
    const leaves = [scalars.loss!, ...treeFlatten<NDArray>(grads).map(([, g]) => g)];
    const finite = stack(leaves.map((x) => all(isfinite(x))));
    undoUnless(all(finite), model, optimizer, before);
    return { scalars: { ...scalars, gradNorm }, finite: [finite] };
  }, { inputs: state, outputs: state });
}
