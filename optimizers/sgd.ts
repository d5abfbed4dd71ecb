/**
 * Stochastic gradient descent.
 * @module
 */
import { fail, float, type NDArray, ValueError, zerosLike } from "../core/mod.ts";
import { Optimizer, type ParameterState, type Rate } from "./optimizer.ts";

/** Options of {@linkcode SGD}. */
export interface SGDOptions {
  /** Share of the last update in the next one, μ. Default 0. */
  readonly momentum?: number;
  /** L2 penalty, added to the gradient. Default 0. */
  readonly weightDecay?: number;
  /** What the gradient loses beside the momentum, τ. Default 0. */
  readonly dampening?: number;
  /** Look ahead by one update; needs momentum and no dampening. Default false. */
  readonly nesterov?: boolean;
}
/**
 * `v ← μ v + (1 - τ) g`, `w ← w - λ v` (`mlx.optimizers.SGD`). Without momentum there is no state.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as optim from "@denim/ml/optimizers";
 * const optimizer = new optim.SGD(0.1, { momentum: 0.9 });
 * optimizer.applyGradients({ w: mx.array([1]) }, { w: mx.array([1]) }); // { w: array([0.9]) }
 * ```
 */
export class SGD extends Optimizer {
  /** μ. */
  readonly momentum: number;
  /** L2 penalty. */
  readonly weightDecay: number;
  /** τ. */
  readonly dampening: number;
  /** Does it look ahead? */
  readonly nesterov: boolean;
  /** Takes the learning rate λ. */
  constructor(learningRate: Rate, options: number | SGDOptions = {}) {
    super();
    const { momentum = 0, weightDecay = 0, dampening = 0, nesterov = false } = typeof options === "number"
      ? { momentum: options }
      : options;
    if (nesterov && (momentum <= 0 || dampening !== 0)) {
      fail(ValueError, "optimizers.SGD", {
        cannot: "use Nesterov momentum",
        expected: "a positive momentum and no dampening",
        got: `momentum ${momentum} and dampening ${dampening}`,
        fix: "change them, or drop nesterov",
      });
    }
    this.schedule("learning_rate", learningRate);
    this.momentum = momentum;
    this.weightDecay = weightDecay;
    this.dampening = dampening;
    this.nesterov = nesterov;
  }
  /** `v`, if there is momentum. */
  initSingle(parameter: NDArray): ParameterState {
    return this.momentum > 0 ? { v: zerosLike(parameter) } : {};
  }
  /** One update. */
  applySingle(gradient: NDArray, parameter: NDArray, state: ParameterState): NDArray {
    const g = this.weightDecay === 0 ? gradient : gradient.add(parameter.mul(float(this.weightDecay)));
    const rate = this.rateFor(g.dtype), mu = float(this.momentum);
    if (this.momentum <= 0) return parameter.subtract(rate.mul(g));
    const v = state.v!.mul(mu).add(this.dampening > 0 ? g.mul(float(1 - this.dampening)) : g);
    state.v = v;
    return parameter.subtract(rate.mul(this.nesterov ? g.add(v.mul(mu)) : v));
  }
}
