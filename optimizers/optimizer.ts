/**
 * The base of all optimizers: state as a tree beside the parameters, learning rates that may follow a schedule, and the
 * walk that applies an update to every parameter.
 * @module
 */
import {
  array,
  type DType,
  fail,
  Holder,
  NDArray,
  type Tree,
  treeFlatten,
  treeMap,
  uint64,
  ValueError,
} from "../core/mod.ts";

/** A tree of arrays: parameters, or gradients in the same places. */
export type Parameters = Tree<NDArray>;
/** The state of one parameter: arrays by name. */
export type ParameterState = { [name: string]: NDArray };
/**
 * The state of an optimizer: `step`, scheduled values, and a {@linkcode ParameterState} in the place of each parameter.
 */
export type OptimizerState = { [key: string]: StateTree };
/** A part of the state. */
export type StateTree = NDArray | { [key: string]: StateTree } | StateTree[];
/** A value for each step; steps are counted from 0 by a uint64 array. */
export type Schedule = (step: NDArray) => NDArray;
/** A learning rate: a number, an array, or a schedule. */
export type Rate = number | NDArray | Schedule;
/** A model, as optimizers see it. */
export interface Trainable<P> {
  /** All parameters. */
  parameters(): Parameters;
  /** Replaces parameters. */
  update(parameters: P): unknown;
}
/** Options of {@linkcode Optimizer}. */
export interface OptimizerOptions {
  /** Schedules of values in the state, by name. */
  readonly schedulers?: Readonly<Record<string, Schedule>> | null;
}

/** Is it a list of trees, and not an array? */
function isList(x: Parameters): x is readonly Parameters[] {
  return Array.isArray(x);
}
/** Is it an object of states, and neither a list nor an array? */
function isObject(x: Tree<NDArray> | StateTree | undefined): x is { [key: string]: StateTree } {
  return typeof x === "object" && !Array.isArray(x) && !(x instanceof NDArray);
}
/** Is it the state of one parameter? */
function isSingle(x: Tree<NDArray> | undefined): x is ParameterState {
  return isObject(x) && Object.values(x).every((v) => v instanceof NDArray);
}
/** Refuses a setting that is out of range. */
export function check(op: string, name: string, value: number, holds: boolean, expected: string): void {
  if (!holds) {
    fail(ValueError, `optimizers.${op}`, {
      cannot: `use ${name} ${value}`,
      expected,
      got: String(value),
      fix: `change ${name}`,
    });
  }
}
/** Refuses betas outside of [0, 1). */
export function requireBetas(op: string, betas: readonly [number, number]): void {
  betas.forEach((beta, i) => check(op, `betas[${i}]`, beta, beta >= 0 && beta < 1, "a number in [0, 1)"));
}

/**
 * The base of the optimizers (`mlx.optimizers.Optimizer`). A subclass says what state a parameter has (`initSingle`)
 * and how it is updated (`applySingle`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as optim from "@denim/ml/optimizers";
 * const optimizer = new optim.SGD(0.5);
 * optimizer.applyGradients({ w: mx.array([2]) }, { w: mx.array([1]) }); // { w: array([0]) }
 * optimizer.step.item(); // 1n
 * ```
 */
export abstract class Optimizer {
  /** `step`, scheduled values, and the state of each parameter in its place; may be saved, loaded and compiled. */
  state: OptimizerState = { step: array(0, uint64) };
  readonly #schedulers: Map<string, Schedule>;
  readonly #holder: Holder = new Holder();

  /** Takes schedules of values in the state. */
  constructor(options: OptimizerOptions = {}) {
    this.#schedulers = new Map(Object.entries(options.schedulers ?? {}));
  }

  /** The state that a parameter starts with. */
  abstract initSingle(parameter: NDArray): ParameterState;
  /** The updated parameter; new arrays go into the state. */
  abstract applySingle(gradient: NDArray, parameter: NDArray, state: ParameterState): NDArray;

  /** How many updates were made, a uint64. */
  get step(): NDArray {
    return this.value("step");
  }
  /** The learning rate of the last update, or of the next one if it follows no schedule. */
  get learningRate(): NDArray {
    return this.value("learning_rate");
  }
  set learningRate(rate: number | NDArray) {
    this.state.learning_rate = rate instanceof NDArray ? rate : array(rate);
  }
  /** An array in the state. */
  protected value(name: string): NDArray {
    const value = this.state[name];
    if (value instanceof NDArray) return value;
    return fail(ValueError, "optimizers", {
      cannot: `read ${name} of ${this.constructor.name}`,
      expected: "an array in its state",
      got: value === undefined ? "nothing" : "a tree",
      fix: "set it, or load a state that has it",
    });
  }
  /** Sets a value in the state; a schedule will set it at each update. */
  protected schedule(name: string, value: Rate): void {
    if (typeof value === "function") this.#schedulers.set(name, value);
    this.state[name] = typeof value === "function" ? value(this.step) : value instanceof NDArray ? value : array(value);
  }
  /** The learning rate in the dtype of the gradient. */
  protected rateFor(dtype: DType): NDArray {
    return this.learningRate.astype(dtype);
  }

  /** Updates the model's parameters by their gradients; the model may have more parameters than there are gradients. */
  update<P extends Parameters>(model: Trainable<P>, gradients: P): void {
    model.update(this.applyGradients(gradients, model.parameters()));
  }
  /**
   * Makes the state of parameters that have none. `applyGradients` does so too; before compiling it saves a second
   * trace.
   */
  init(parameters: Parameters): void {
    this.#grow(parameters, this.state);
  }
  /** The updated parameters, in the places of the gradients. */
  applyGradients<P extends Parameters>(gradients: P, parameters: Parameters): P;
  applyGradients(gradients: Parameters, parameters: Parameters): Parameters {
    this.init(gradients);
    for (const [name, schedule] of this.#schedulers) this.state[name] = schedule(this.step);
    this.state.step = this.step.add(1);
    const updated = treeMap(
      (g: NDArray, p, s) => p instanceof NDArray && isSingle(s) ? this.applySingle(g, p, s) : g,
      gradients,
      parameters,
      this.state,
    );
    for (const [path, x] of treeFlatten<NDArray>(this.state)) this.#holder.hold(path, x);
    return updated;
  }
  /** The state of a tree of parameters: what is there stays. */
  #grow(tree: Parameters, state: StateTree | undefined): StateTree {
    if (tree instanceof NDArray) return isObject(state) && Object.keys(state).length ? state : this.initSingle(tree);
    if (isList(tree)) {
      const list = Array.isArray(state) ? state : [];
      tree.forEach((t, i) => list[i] = this.#grow(t, list[i]));
      return list;
    }
    const object = isObject(state) ? state : {};
    for (const [key, t] of Object.entries(tree)) object[key] = this.#grow(t, object[key]);
    return object;
  }
}
