/**
 * Adafactor: second moments of matrices as an outer product of a row and a column.
 * @module
 */
import {
  float,
  maximum,
  mean,
  minimum,
  type NDArray,
  power,
  rsqrt,
  sqrt,
  square,
  zeros,
  zerosLike,
} from "../core/mod.ts";
import { Optimizer, type ParameterState, type Rate } from "./optimizer.ts";

/** Options of {@linkcode Adafactor}. */
export interface AdafactorOptions {
  /** Used where there is no relative step. Default null. */
  readonly learningRate?: Rate | null;
  /** Added to the squares; the least scale of a parameter. Default 1e-30 and 1e-3. */
  readonly eps?: readonly [number, number];
  /** The greatest root mean square of an update. Default 1. */
  readonly clipThreshold?: number;
  /** Exponent of the smoothing `1 - stepᵈ`. Default -0.8. */
  readonly decayRate?: number;
  /** Smoothing of the update; none if null. Default null. */
  readonly beta1?: number | null;
  /** Share that each parameter loses, times the step. Default 0. */
  readonly weightDecay?: number;
  /** Steps are in proportion to the root mean square of the parameter. Default true. */
  readonly scaleParameter?: boolean;
  /** The step size is `min(0.01, 1 / √step)`; the learning rate is ignored. Default true. */
  readonly relativeStep?: boolean;
  /** The relative step is at most `1e-6 step`. Default false. */
  readonly warmupInit?: boolean;
}
/** Root of the mean square. */
function rms(x: NDArray): NDArray {
  return sqrt(mean(square(x)));
}
/**
 * `g / √(r cᵀ / mean(r))`, with r and c the running means of the rows and columns of g² (`mlx.optimizers.Adafactor`;
 * https://arxiv.org/abs/1804.04235), clipped and scaled. Parameters with fewer than 2 axes keep the full second moment.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * import * as optim from "@denim/ml/optimizers";
 * const model = new nn.Linear(2, 1), optimizer = new optim.Adafactor();
 * const step = nn.valueAndGrad(model, (x: mx.NDArray) => model.forward(x).square().mean());
 * optimizer.update(model, step(mx.ones([4, 2]))[1]);
 * model.weight.shape; // [1, 2]
 * ```
 */
export class Adafactor extends Optimizer {
  /** Added to the squares; the least scale of a parameter. */
  readonly eps: readonly [number, number];
  /** The greatest root mean square of an update. */
  readonly clipThreshold: number;
  /** Exponent of the smoothing. */
  readonly decayRate: number;
  /** Smoothing of the update. */
  readonly beta1: number | null;
  /** Share that each parameter loses, times the step. */
  readonly weightDecay: number;
  /** Are steps in proportion to the parameter? */
  readonly scaleParameter: boolean;
  /** Does the step size follow the number of steps? */
  readonly relativeStep: boolean;
  /** Does it begin small? */
  readonly warmupInit: boolean;
  /** Takes no required argument; a bare one is the learning rate. */
  constructor(options: number | AdafactorOptions = {}) {
    super();
    const o = typeof options === "number" ? { learningRate: options } : options, rate = o.learningRate ?? null;
    if (rate !== null) this.schedule("learning_rate", rate);
    this.eps = o.eps ?? [1e-30, 1e-3];
    this.clipThreshold = o.clipThreshold ?? 1;
    this.decayRate = o.decayRate ?? -0.8;
    this.beta1 = o.beta1 ?? null;
    this.weightDecay = o.weightDecay ?? 0;
    this.scaleParameter = o.scaleParameter ?? true;
    this.relativeStep = o.relativeStep ?? true;
    this.warmupInit = o.warmupInit ?? false;
  }
  /** `exp_avg_sq_row` and `exp_avg_sq_col`, or `exp_avg_sq`; `exp_avg` where updates are smoothed. */
  initSingle(parameter: NDArray): ParameterState {
    const { shape, dtype } = parameter;
    const squares: ParameterState = shape.length >= 2
      ? {
        exp_avg_sq_row: zeros(shape.slice(0, -1), dtype),
        exp_avg_sq_col: zeros([...shape.slice(0, -2), ...shape.slice(-1)], dtype),
      }
      : { exp_avg_sq: zerosLike(parameter) };
    return this.beta1 === null ? squares : { ...squares, exp_avg: zerosLike(parameter) };
  }
  #stepSize(parameterRms: NDArray): NDArray {
    const least = this.warmupInit ? this.step.mul(float(1e-6)) : float(1e-2);
    const relative = this.relativeStep ? minimum(least, rsqrt(this.step)) : this.learningRate;
    const size = relative.astype(parameterRms.dtype);
    return this.scaleParameter ? maximum(float(this.eps[1]), parameterRms).mul(size) : size;
  }
  /** The gradient over the root of its second moment, which goes into the state. */
  #normalized(gradient: NDArray, beta2: NDArray, state: ParameterState): NDArray {
    const squares = square(gradient).add(float(this.eps[0])), rest = beta2.neg().add(1);
    const smoothed = (name: string, x: NDArray) => state[name] = beta2.mul(state[name]!).add(rest.mul(x));
    if (gradient.ndim < 2) return rsqrt(smoothed("exp_avg_sq", squares)).mul(gradient);
    const row = smoothed("exp_avg_sq_row", mean(squares, -1)), column = smoothed("exp_avg_sq_col", mean(squares, -2));
    const rows = rsqrt(row.div(mean(row, { axis: -1, keepdims: true }))).expandDims(-1);
    return rows.mul(rsqrt(column).expandDims(-2)).mul(gradient);
  }
  /** One update. */
  applySingle(gradient: NDArray, parameter: NDArray, state: ParameterState): NDArray {
    const parameterRms = rms(parameter), size = this.#stepSize(parameterRms);
    const beta2 = power(this.step, float(this.decayRate)).astype(parameterRms.dtype).neg().add(1);
    const normalized = this.#normalized(gradient, beta2, state);
    let update = size.mul(normalized.div(maximum(float(1), rms(normalized).div(float(this.clipThreshold)))));
    if (this.beta1 !== null) {
      update = state.exp_avg!.mul(float(this.beta1)).add(update.mul(float(1 - this.beta1)));
      state.exp_avg = update;
    }
    const kept = this.weightDecay === 0 ? parameter : parameter.add(parameter.mul(size.mul(float(-this.weightDecay))));
    return kept.subtract(update);
  }
}
