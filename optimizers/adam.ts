/**
 * Adam and its relatives: AdamW, Adamax, Lion.
 * @module
 */
import { abs, float, maximum, type NDArray, power, rsqrt, sign, sqrt, square, zerosLike } from "../core/mod.ts";
import { check, Optimizer, type ParameterState, type Rate, requireBetas } from "./optimizer.ts";

/** Options of {@linkcode Adamax}. */
export interface AdamaxOptions {
  /** Smoothing of the gradient and of its size, β₁ and β₂. Default 0.9 and 0.999. */
  readonly betas?: readonly [number, number];
  /** Added to the denominator, ε. Default 1e-8. */
  readonly eps?: number;
}
/** Options of {@linkcode Adam}. */
export interface AdamOptions extends AdamaxOptions {
  /** Divide the averages by what they lack at first. Default false. */
  readonly biasCorrection?: boolean;
}
/** Options of {@linkcode AdamW}. */
export interface AdamWOptions extends AdamOptions {
  /** Share that each parameter loses, times the learning rate. Default 0.01. */
  readonly weightDecay?: number;
}
/**
 * `m ← β₁ m + (1 - β₁) g`, `v ← β₂ v + (1 - β₂) g²`, `w ← w - λ m / (√v + ε)` (`mlx.optimizers.Adam`;
 * https://arxiv.org/abs/1412.6980). With bias correction m and v are first divided by `1 - βᵗ`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as optim from "@denim/ml/optimizers";
 * const optimizer = new optim.Adam(0.1, { biasCorrection: true });
 * optimizer.applyGradients({ w: mx.array([5]) }, { w: mx.array([1]) }); // { w: array([0.9]) }
 * ```
 */
export class Adam extends Optimizer {
  /** β₁ and β₂. */
  readonly betas: readonly [number, number];
  /** ε. */
  readonly eps: number;
  /** Are the averages corrected? */
  readonly biasCorrection: boolean;
  /** Takes the learning rate λ. */
  constructor(learningRate: Rate, options: AdamOptions = {}) {
    super();
    const { betas = [0.9, 0.999], eps = 1e-8, biasCorrection = false } = options;
    requireBetas(this.constructor.name, betas);
    check(this.constructor.name, "eps", eps, eps >= 0, "a number of at least 0");
    this.schedule("learning_rate", learningRate);
    this.betas = betas;
    this.eps = eps;
    this.biasCorrection = biasCorrection;
  }
  /** `m` and `v`. */
  initSingle(parameter: NDArray): ParameterState {
    return { m: zerosLike(parameter), v: zerosLike(parameter) };
  }
  /** One update. */
  applySingle(gradient: NDArray, parameter: NDArray, state: ParameterState): NDArray {
    const [b1, b2] = this.betas, { dtype } = gradient, eps = float(this.eps);
    const m = state.m!.mul(float(b1)).add(gradient.mul(float(1 - b1)));
    const v = state.v!.mul(float(b2)).add(square(gradient).mul(float(1 - b2)));
    state.m = m;
    state.v = v;
    const rate = this.rateFor(dtype);
    if (!this.biasCorrection) return parameter.subtract(rate.mul(m).div(sqrt(v).add(eps)));
    const lacking = (beta: number) => power(float(beta), this.step).neg().add(1);
    const c1 = rate.div(lacking(b1)).astype(dtype), c2 = rsqrt(lacking(b2)).astype(dtype);
    return parameter.subtract(c1.mul(m).div(sqrt(v).mul(c2).add(eps)));
  }
}
/**
 * Adam with decoupled weight decay: `w ← (1 - λ decay) w - λ m / (√v + ε)` (`mlx.optimizers.AdamW`;
 * https://arxiv.org/abs/1711.05101).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * import * as optim from "@denim/ml/optimizers";
 * const model = new nn.Linear(2, 1), optimizer = new optim.AdamW(1e-3, { weightDecay: 0.1 });
 * const step = nn.valueAndGrad(model, (x: mx.NDArray) => model.forward(x).square().mean());
 * optimizer.update(model, step(mx.ones([4, 2]))[1]);
 * optimizer.step.item(); // 1n
 * ```
 */
export class AdamW extends Adam {
  /** Share that each parameter loses, times the learning rate. */
  readonly weightDecay: number;
  /** Takes the learning rate λ. */
  constructor(learningRate: Rate, options: AdamWOptions = {}) {
    super(learningRate, options);
    this.weightDecay = options.weightDecay ?? 0.01;
  }
  /** One update. */
  override applySingle(gradient: NDArray, parameter: NDArray, state: ParameterState): NDArray {
    const kept = this.rateFor(gradient.dtype).mul(float(this.weightDecay)).neg().add(1);
    return super.applySingle(gradient, parameter.mul(kept), state);
  }
}
/**
 * Adam with the infinity norm: `v ← max(β₂ v, |g|)`, `w ← w - λ m / (v + ε)` (`mlx.optimizers.Adamax`;
 * https://arxiv.org/abs/1412.6980).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as optim from "@denim/ml/optimizers";
 * const optimizer = new optim.Adamax(0.1, { betas: [0.5, 0.999] });
 * const w = { w: mx.array([1, 1]) }, next = optimizer.applyGradients({ w: mx.array([5, -0.01]) }, w);
 * next.w; // array([0.95, 1.05], dtype=float32): λ (1 - β₁), whatever the size of the gradient
 * ```
 */
export class Adamax extends Adam {
  /** Takes the learning rate λ. */
  constructor(learningRate: Rate, options: AdamaxOptions = {}) {
    super(learningRate, { betas: options.betas, eps: options.eps });
  }
  /** One update. */
  override applySingle(gradient: NDArray, parameter: NDArray, state: ParameterState): NDArray {
    const [b1, b2] = this.betas;
    const m = state.m!.mul(float(b1)).add(gradient.mul(float(1 - b1)));
    const v = maximum(state.v!.mul(float(b2)), abs(gradient));
    state.m = m;
    state.v = v;
    return parameter.subtract(this.rateFor(gradient.dtype).mul(m).div(v.add(float(this.eps))));
  }
}

/** Options of {@linkcode Lion}. */
export interface LionOptions {
  /** Smoothing of the direction and of the momentum, β₁ and β₂. Default 0.9 and 0.99. */
  readonly betas?: readonly [number, number];
  /** Share that each parameter loses, times the learning rate. Default 0. */
  readonly weightDecay?: number;
}
/**
 * `c = β₁ m + (1 - β₁) g`, `m ← β₂ m + (1 - β₂) g`, `w ← (1 - λ decay) w - λ sign(c)` (`mlx.optimizers.Lion`;
 * https://arxiv.org/abs/2302.06675). Use a learning rate 3 to 10 times below that of AdamW.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * import * as optim from "@denim/ml/optimizers";
 * const model = new nn.Linear(2, 1), optimizer = new optim.Lion(1e-4);
 * const step = nn.valueAndGrad(model, (x: mx.NDArray) => model.forward(x).square().mean());
 * optimizer.update(model, step(mx.ones([4, 2]))[1]);
 * model.weight.shape; // [1, 2]
 * ```
 */
export class Lion extends Optimizer {
  /** β₁ and β₂. */
  readonly betas: readonly [number, number];
  /** Share that each parameter loses, times the learning rate. */
  readonly weightDecay: number;
  /** Takes the learning rate λ. */
  constructor(learningRate: Rate, options: LionOptions = {}) {
    super();
    const { betas = [0.9, 0.99], weightDecay = 0 } = options;
    requireBetas("Lion", betas);
    this.schedule("learning_rate", learningRate);
    this.betas = betas;
    this.weightDecay = weightDecay;
  }
  /** `m`. */
  initSingle(parameter: NDArray): ParameterState {
    return { m: zerosLike(parameter) };
  }
  /** One update. */
  applySingle(gradient: NDArray, parameter: NDArray, state: ParameterState): NDArray {
    const [b1, b2] = this.betas, m = state.m!, rate = this.rateFor(gradient.dtype);
    const mixed = (beta: number) => m.mul(float(beta)).add(gradient.mul(float(1 - beta)));
    state.m = mixed(b2);
    const kept = this.weightDecay > 0 ? parameter.mul(rate.mul(float(this.weightDecay)).neg().add(1)) : parameter;
    return kept.subtract(rate.mul(sign(mixed(b1))));
  }
}
