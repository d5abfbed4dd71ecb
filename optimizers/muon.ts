/**
 * Muon: momentum whose matrices are made orthogonal.
 * @module
 */
import { addmm, float, matmul, type NDArray, sqrt, square, sum, zerosLike } from "../core/mod.ts";
import { Optimizer, type ParameterState, type Rate } from "./optimizer.ts";

/** Options of {@linkcode Muon}. */
export interface MuonOptions {
  /** Smoothing of the gradient, μ. Default 0.95. */
  readonly momentum?: number;
  /** L2 penalty, added to the gradient. Default 0.01. */
  readonly weightDecay?: number;
  /** Look ahead by one update. Default true. */
  readonly nesterov?: boolean;
  /** Iterations that make the update orthogonal. Default 5. */
  readonly nsSteps?: number;
}
/** Coefficients of the quintic `a x + b x³ + c x⁵`, whose iteration brings singular values near 1 fast. */
const [A, B, C] = [3.4445, -4.7750, 2.0315];
/** A matrix with the singular vectors of x and singular values near 1, by Newton and Schulz. */
function orthogonalized(x: NDArray, steps: number): NDArray {
  const tall = x.shape.at(-2)! > x.shape.at(-1)!, norm = sqrt(sum(square(x), { keepdims: true }));
  let y = (tall ? x.T : x).div(norm.add(float(1e-7)));
  for (let i = 0; i < steps; i++) {
    const a = matmul(y, y.T), b = addmm(a.mul(B), a, a, { alpha: C });
    y = addmm(y.mul(A), b, y);
  }
  return tall ? y.T : y;
}
/**
 * `v ← μ v + (1 - μ) g`, `w ← w - λ √max(1, rows / columns) · orthogonal(v)` (`mlx.optimizers.Muon`;
 * https://kellerjordan.github.io/posts/muon/). The last axes of convolution kernels act as one; vectors are not made
 * orthogonal. Embeddings, output layers and vectors do better with another optimizer: see {@linkcode MultiOptimizer}.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * import * as optim from "@denim/ml/optimizers";
 * const model = new nn.Linear(2, 1), optimizer = new optim.Muon(0.02);
 * const step = nn.valueAndGrad(model, (x: mx.NDArray) => model.forward(x).square().mean());
 * optimizer.update(model, step(mx.ones([4, 2]))[1]);
 * model.weight.shape; // [1, 2]
 * ```
 */
export class Muon extends Optimizer {
  /** μ. */
  readonly momentum: number;
  /** L2 penalty. */
  readonly weightDecay: number;
  /** Does it look ahead? */
  readonly nesterov: boolean;
  /** Iterations. */
  readonly nsSteps: number;
  /** Takes the learning rate λ. */
  constructor(learningRate: Rate, options: number | MuonOptions = {}) {
    super();
    const { momentum = 0.95, weightDecay = 0.01, nesterov = true, nsSteps = 5 } = typeof options === "number"
      ? { momentum: options }
      : options;
    this.schedule("learning_rate", learningRate);
    this.momentum = momentum;
    this.weightDecay = weightDecay;
    this.nesterov = nesterov;
    this.nsSteps = nsSteps;
  }
  /** `v`. */
  initSingle(parameter: NDArray): ParameterState {
    return { v: zerosLike(parameter) };
  }
  /** One update. */
  applySingle(gradient: NDArray, parameter: NDArray, state: ParameterState): NDArray {
    const g = this.weightDecay === 0 ? gradient : gradient.add(parameter.mul(float(this.weightDecay)));
    const mu = float(this.momentum), rest = float(1 - this.momentum), rate = this.rateFor(g.dtype);
    const v = state.v!.mul(mu).add(g.mul(rest)), update = this.nesterov ? g.mul(rest).add(v.mul(mu)) : v;
    state.v = v;
    if (update.ndim < 2) return parameter.subtract(rate.mul(update));
    const y = orthogonalized(update.reshape([update.shape[0]!, -1]), this.nsSteps).reshape(update.shape);
    const scale = Math.sqrt(Math.max(1, update.shape.at(-2)! / update.shape.at(-1)!));
    return parameter.subtract(rate.mul(float(scale)).mul(y));
  }
}
