/**
 * Optimizers that divide by a root of squared gradients: RMSprop, Adagrad, AdaDelta.
 * @module
 */
import { float, type NDArray, sqrt, square, zerosLike } from "../core/mod.ts";
import { check, Optimizer, type ParameterState, type Rate } from "./optimizer.ts";

/** Options of {@linkcode RMSprop}. */
export interface RMSpropOptions {
  /** Smoothing of the squares, α. Default 0.99. */
  readonly alpha?: number;
  /** Added to the denominator, ε. Default 1e-8. */
  readonly eps?: number;
}
/**
 * `v ← α v + (1 - α) g²`, `w ← w - λ g / (√v + ε)` (`mlx.optimizers.RMSprop`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * import * as optim from "@denim/ml/optimizers";
 * const model = new nn.Linear(2, 1), optimizer = new optim.RMSprop(0.01);
 * const step = nn.valueAndGrad(model, (x: mx.NDArray) => model.forward(x).square().mean());
 * optimizer.update(model, step(mx.ones([4, 2]))[1]);
 * model.weight.shape; // [1, 2]
 * ```
 */
export class RMSprop extends Optimizer {
  /** α. */
  readonly alpha: number;
  /** ε. */
  readonly eps: number;
  /** Takes the learning rate λ. */
  constructor(learningRate: Rate, options: number | RMSpropOptions = {}) {
    super();
    const { alpha = 0.99, eps = 1e-8 } = typeof options === "number" ? { alpha: options } : options;
    check("RMSprop", "alpha", alpha, alpha >= 0, "a number of at least 0");
    check("RMSprop", "eps", eps, eps > 0, "a positive number");
    this.schedule("learning_rate", learningRate);
    this.alpha = alpha;
    this.eps = eps;
  }
  /** `v`. */
  initSingle(parameter: NDArray): ParameterState {
    return { v: zerosLike(parameter) };
  }
  /** One update. */
  applySingle(gradient: NDArray, parameter: NDArray, state: ParameterState): NDArray {
    const v = state.v!.mul(float(this.alpha)).add(square(gradient).mul(float(1 - this.alpha)));
    state.v = v;
    return parameter.subtract(this.rateFor(gradient.dtype).mul(gradient).div(sqrt(v).add(float(this.eps))));
  }
}

/** Options of {@linkcode Adagrad}. */
export interface AdagradOptions {
  /** Added to the denominator, ε. Default 1e-8. */
  readonly eps?: number;
}
/**
 * `v ← v + g²`, `w ← w - λ g / (√v + ε)` (`mlx.optimizers.Adagrad`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as optim from "@denim/ml/optimizers";
 * const optimizer = new optim.Adagrad(0.1), gradients = { w: mx.array([4]) };
 * let weights = optimizer.applyGradients(gradients, { w: mx.array([1]) }); // a step of 0.1
 * weights = optimizer.applyGradients(gradients, weights); // of 0.1 / √2
 * weights.w; // array([0.829289], dtype=float32)
 * ```
 */
export class Adagrad extends Optimizer {
  /** ε. */
  readonly eps: number;
  /** Takes the learning rate λ. */
  constructor(learningRate: Rate, options: number | AdagradOptions = {}) {
    super();
    const { eps = 1e-8 } = typeof options === "number" ? { eps: options } : options;
    check("Adagrad", "eps", eps, eps > 0, "a positive number");
    this.schedule("learning_rate", learningRate);
    this.eps = eps;
  }
  /** `v`. */
  initSingle(parameter: NDArray): ParameterState {
    return { v: zerosLike(parameter) };
  }
  /** One update. */
  applySingle(gradient: NDArray, parameter: NDArray, state: ParameterState): NDArray {
    const v = state.v!.add(square(gradient));
    state.v = v;
    return parameter.subtract(this.rateFor(gradient.dtype).mul(gradient).div(sqrt(v).add(float(this.eps))));
  }
}

/** Options of {@linkcode AdaDelta}. */
export interface AdaDeltaOptions {
  /** Smoothing of the squares, ρ. Default 0.9. */
  readonly rho?: number;
  /** Added under the roots, ε. Default 1e-6. */
  readonly eps?: number;
}
/**
 * `v ← ρ v + (1 - ρ) g²`, `d = g √(u + ε) / √(v + ε)`, `u ← ρ u + (1 - ρ) d²`, `w ← w - λ d`
 * (`mlx.optimizers.AdaDelta`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as optim from "@denim/ml/optimizers";
 * const optimizer = new optim.AdaDelta(1, { rho: 0.5 }), gradients = { w: mx.array([4]) };
 * let weights = optimizer.applyGradients(gradients, { w: mx.array([1]) });
 * weights = optimizer.applyGradients(gradients, weights);
 * weights.w; // array([0.996953], dtype=float32): the first steps are small
 * ```
 */
export class AdaDelta extends Optimizer {
  /** ρ. */
  readonly rho: number;
  /** ε. */
  readonly eps: number;
  /** Takes the learning rate λ. */
  constructor(learningRate: Rate, options: number | AdaDeltaOptions = {}) {
    super();
    const { rho = 0.9, eps = 1e-6 } = typeof options === "number" ? { rho: options } : options;
    check("AdaDelta", "rho", rho, rho >= 0, "a number of at least 0");
    check("AdaDelta", "eps", eps, eps > 0, "a positive number");
    this.schedule("learning_rate", learningRate);
    this.rho = rho;
    this.eps = eps;
  }
  /** `v` and `u`. */
  initSingle(parameter: NDArray): ParameterState {
    return { v: zerosLike(parameter), u: zerosLike(parameter) };
  }
  /** One update. */
  applySingle(gradient: NDArray, parameter: NDArray, state: ParameterState): NDArray {
    const eps = float(this.eps);
    const smoothed = (old: NDArray, x: NDArray) => old.mul(float(this.rho)).add(square(x).mul(float(1 - this.rho)));
    const v = smoothed(state.v!, gradient), u = state.u!;
    const d = sqrt(u.add(eps)).div(sqrt(v.add(eps))).mul(gradient);
    state.v = v;
    state.u = smoothed(u, d);
    return parameter.subtract(this.rateFor(gradient.dtype).mul(d));
  }
}
