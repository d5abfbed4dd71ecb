/**
 * Several optimizers for different parameters.
 * @module
 */
import { fail, type NDArray, treeFlatten, treeMerge, treeUnflatten, ValueError } from "../core/mod.ts";
import { Optimizer, type Parameters, type ParameterState, type StateTree } from "./optimizer.ts";

/** Decides by a parameter's path and gradient. */
export type ParameterFilter = (path: string, gradient: NDArray) => boolean;
/** Options of {@linkcode MultiOptimizer}. */
export interface MultiOptimizerOptions {
  /** One filter less than there are optimizers: the last one takes the rest. Default none. */
  readonly filters?: readonly ParameterFilter[];
}
/**
 * Gives each parameter to the first optimizer whose filter accepts it, or else to the last one
 * (`mlx.optimizers.MultiOptimizer`).
 *
 * @example
 * ```ts
 * import * as optim from "@denim/ml/optimizers";
 * new optim.MultiOptimizer([new optim.Muon(0.02), new optim.AdamW(1e-3)], [(_path, g) => g.ndim >= 2]);
 * ```
 */
export class MultiOptimizer extends Optimizer {
  /** In order. */
  readonly optimizers: readonly Optimizer[];
  /** Who takes what. */
  readonly filters: readonly ParameterFilter[];
  /** Takes the optimizers and the filters. */
  constructor(optimizers: readonly Optimizer[], options: readonly ParameterFilter[] | MultiOptimizerOptions = {}) {
    super();
    const filters = "length" in options ? options : options.filters ?? [];
    if (filters.length !== optimizers.length - 1) {
      fail(ValueError, "optimizers.MultiOptimizer", {
        cannot: `choose among ${optimizers.length} optimizers`,
        expected: `${optimizers.length - 1} filters, one for each but the last`,
        got: String(filters.length),
        fix: "change the filters",
      });
    }
    this.optimizers = optimizers;
    this.filters = filters;
    this.state = { states: optimizers.map((o): StateTree => o.state) };
  }
  /** The learning rate of the first optimizer. */
  override get learningRate(): NDArray {
    return this.optimizers[0]!.learningRate;
  }
  override set learningRate(rate: number | NDArray) {
    for (const o of this.optimizers) o.learningRate = rate;
  }
  /** How many updates the first optimizer made. */
  override get step(): NDArray {
    return this.optimizers[0]!.step;
  }
  /** Makes the state of parameters that have none. */
  override init(parameters: Parameters): void {
    this.#split(parameters, (o, part) => o.init(part));
  }
  /** The updated parameters, in the places of the gradients. */
  override applyGradients<P extends Parameters>(gradients: P, parameters: Parameters): P;
  override applyGradients(gradients: Parameters, parameters: Parameters): Parameters {
    let all: Parameters = {};
    this.#split(gradients, (o, part) => all = treeMerge(all, o.applyGradients(part, parameters)));
    return all;
  }
  /** Calls `f` with each optimizer, in its own state, and its part of a tree. */
  #split(tree: Parameters, f: (o: Optimizer, part: Parameters) => void): void {
    const { states } = this.state;
    if (!Array.isArray(states) || states.length !== this.optimizers.length) {
      fail(ValueError, "optimizers.MultiOptimizer", {
        cannot: "use this state",
        expected: `{ states } with ${this.optimizers.length} states`,
        got: Array.isArray(states) ? String(states.length) : "something else",
        fix: "load the state of an equal optimizer",
      });
    }
    const parts: [string, NDArray][][] = this.optimizers.map(() => []);
    for (const [path, x] of treeFlatten<NDArray>(tree)) {
      const at = this.filters.findIndex((accepts) => accepts(path, x));
      parts[at < 0 ? parts.length - 1 : at]!.push([path, x]);
    }
    this.optimizers.forEach((o, i) => {
      const state = states[i];
      if (isState(state)) o.state = state;
      f(o, parts[i]!.length ? treeUnflatten(parts[i]!) : {});
    });
  }
  /** Parameters belong to the other optimizers. */
  initSingle(): ParameterState {
    return {};
  }
  /** Parameters belong to the other optimizers. */
  applySingle(_gradient: NDArray, parameter: NDArray): NDArray {
    return parameter;
  }
}
function isState(x: StateTree | undefined): x is { [key: string]: StateTree } {
  return typeof x === "object" && !Array.isArray(x) && !("dtype" in x);
}
