// Long because every activation is here twice, as a function and as a layer, each with an example.
/**
 * Activation functions, and the layers that apply them. Options stand in one object; the first of them may stand bare.
 * Ties and kinks have MLX's derivatives, because each function is composed of the same operations.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { Module } from "./module.ts";

/** Options of activations along an axis. */
export interface ActivationAxisOptions {
  /** The axis. Default -1. */
  readonly axis?: number;
}
/** Options of {@linkcode leakyRelu}. */
export interface LeakyReLUOptions {
  /** Slope below zero. Default 0.01. */
  readonly negativeSlope?: number;
}
/** Options of {@linkcode elu} and {@linkcode celu}. */
export interface ELUOptions {
  /** Minus the limit for very negative numbers. Default 1. */
  readonly alpha?: number;
}
/** Options of {@linkcode softshrink} and {@linkcode hardShrink}. */
export interface ShrinkOptions {
  /** Where the function leaves zero. Default 0.5. */
  readonly lambd?: number;
}
/** Options of {@linkcode step}. */
export interface StepOptions {
  /** The least number that gives 1. Default 0. */
  readonly threshold?: number;
}
/** Options of {@linkcode hardTanh}. */
export interface HardTanhOptions {
  /** The least result. Default -1. */
  readonly minVal?: number;
  /** The greatest result. Default 1. */
  readonly maxVal?: number;
}
/** Options of {@linkcode PReLU}. */
export interface PReLUOptions {
  /** How many slopes are learned: one, or one per feature. Default 1. */
  readonly numParameters?: number;
  /** Their first value. Default 0.25. */
  readonly init?: number;
}
/**
 * How {@linkcode GELU} is computed: exactly, by {@linkcode geluApprox} (`precise`, `tanh`) or by {@linkcode
 * geluFastApprox}.
 */
export type GELUApproximation = "none" | "precise" | "tanh" | "fast";
/** Options of {@linkcode GELU}. */
export interface GELUOptions {
  /** Which approximation, if one. Default `none`. */
  readonly approx?: GELUApproximation;
}

/** A bare number is the first option. */
function option<K extends string>(options: number | { readonly [k in K]?: number }, key: K, otherwise: number): number {
  return typeof options === "number" ? options : options[key] ?? otherwise;
}

/**
 * `1 / (1 + e⁻ˣ)` (`mlx.nn.sigmoid`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.sigmoid(mx.array([-1000, 0, 1000])).tolist(); // [0, 0.5, 1]
 * ```
 */
export function sigmoid(x: NDArray): NDArray {
  return x.sigmoid();
}
/**
 * `max(x, 0)` (`mlx.nn.relu`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.relu(mx.array([-1, 2])).tolist(); // [0, 2]
 * ```
 */
export function relu(x: NDArray): NDArray {
  return mx.maximum(x, 0);
}
/**
 * `max(x, 0)²` (`mlx.nn.relu2`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.relu2(mx.array([-2, 0.5, 3])).tolist(); // [0, 0.25, 9]
 * ```
 */
export function relu2(x: NDArray): NDArray {
  return mx.maximum(x, 0).square();
}
/**
 * `min(max(x, 0), 6)` (`mlx.nn.relu6`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.relu6(mx.array([-1, 8])).tolist(); // [0, 6]
 * ```
 */
export function relu6(x: NDArray): NDArray {
  return mx.minimum(mx.maximum(x, 0), mx.float(6));
}
/**
 * `max(slope x, x)` (`mlx.nn.leaky_relu`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.leakyRelu(mx.array([-1, 2])).tolist(); // [-0.009999999776482582, 2]
 * ```
 */
export function leakyRelu(x: NDArray, options: number | LeakyReLUOptions = {}): NDArray {
  return mx.maximum(mx.multiply(mx.float(option(options, "negativeSlope", 0.01)), x), x);
}
/**
 * `x - log Σ eˣ` along an axis (`mlx.nn.log_softmax`). The maximum goes first, or the sum would be rounded away beside
 * it.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.logSoftmax(mx.array([1000, 1000])).tolist(); // [-0.6931471824645996, -0.6931471824645996]
 * nn.logSoftmax(mx.array([[7, 0], [7, 1000]]), 0).tolist(); // [[-0.6931471824645996, -1000], [-0.6931471824645996, 0]]
 * ```
 */
export function logSoftmax(x: NDArray, options: number | ActivationAxisOptions = {}): NDArray {
  const axis = option(options, "axis", -1), shifted = x.subtract(mx.stopGradient(x.max(axis, { keepdims: true })));
  return shifted.subtract(mx.logsumexp(shifted, axis, { keepdims: true }));
}
/**
 * `x` above zero, else `α (eˣ - 1)` (`mlx.nn.elu`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.elu(mx.array([-100, 2])).tolist(); // [-1, 2]
 * nn.elu(mx.array([-100, 2]), 0.5).tolist(); // [-0.5, 2]
 * ```
 */
export function elu(x: NDArray, options: number | ELUOptions = {}): NDArray {
  return mx.where(x.greater(0), x, x.exp().subtract(1).multiply(mx.float(option(options, "alpha", 1))));
}
/**
 * `eˣ / Σ eˣ` along an axis (`mlx.nn.softmax`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.softmax(mx.array([0, 0])).tolist(); // [0.5, 0.5]
 * ```
 */
export function softmax(x: NDArray, options: number | ActivationAxisOptions = {}): NDArray {
  return mx.softmax(x, option(options, "axis", -1));
}
/**
 * `log(1 + eˣ)` (`mlx.nn.softplus`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.softplus(mx.array([-1000, 0, 1000])).tolist(); // [0, 0.6931471824645996, 1000]
 * ```
 */
export function softplus(x: NDArray): NDArray {
  return mx.logaddexp(x, 0);
}
/**
 * `x / (1 + |x|)` (`mlx.nn.softsign`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.softsign(mx.array([-3, 0, 1])).tolist(); // [-0.75, 0, 0.5]
 * ```
 */
export function softsign(x: NDArray): NDArray {
  return x.divide(x.abs().add(1));
}
/**
 * `x - sign(x) λ` where `|x| > λ`, else 0 (`mlx.nn.softshrink`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.softshrink(mx.array([-2, 0.25, 1])).tolist(); // [-1.5, 0, 0.5]
 * nn.softshrink(mx.array([-2, 0.25, 1]), { lambd: 1 }).tolist(); // [-1, 0, 0]
 * ```
 */
export function softshrink(x: NDArray, options: number | ShrinkOptions = {}): NDArray {
  const lambd = mx.float(option(options, "lambd", 0.5));
  return mx.where(x.abs().greater(lambd), x.subtract(x.sign().multiply(lambd)), 0);
}
/**
 * `max(0, x) + α (e^(min(0, x) / α) - 1)` (`mlx.nn.celu`). Its slope is continuous at zero for every α, unlike that of
 * {@linkcode elu}.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.celu(mx.array([-1000, 3]), { alpha: 2 }).tolist(); // [-2, 3]
 * mx.grad((x: mx.NDArray) => nn.celu(x, 2).sum())(mx.array([-1e-6, 1])).tolist(); // [0.9999995231628418, 1]
 * ```
 */
export function celu(x: NDArray, options: number | ELUOptions = {}): NDArray {
  const alpha = mx.float(option(options, "alpha", 1)), negative = mx.minimum(x, mx.float(0));
  return mx.maximum(x, mx.float(0)).add(negative.divide(alpha).exp().subtract(1).multiply(alpha));
}
/**
 * `x σ(x)`, also known as Swish (`mlx.nn.silu`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.silu(mx.array([0])).item(); // 0
 * ```
 */
export function silu(x: NDArray): NDArray {
  return x.multiply(x.sigmoid());
}
/**
 * `log σ(x)` (`mlx.nn.log_sigmoid`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.logSigmoid(mx.array([-1000, 0])).tolist(); // [-1000, -0.6931471824645996]
 * ```
 */
export function logSigmoid(x: NDArray): NDArray {
  return softplus(x.negative()).negative();
}
/**
 * `x Φ(x)`, Φ being the distribution function of N(0, 1) (`mlx.nn.gelu`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.gelu(mx.array([0])).item(); // 0
 * ```
 */
export function gelu(x: NDArray): NDArray {
  return x.multiply(x.divide(Math.SQRT2).erf().add(1)).divide(2);
}
/**
 * {@linkcode gelu} to 0.0005: `x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))` (`mlx.nn.gelu_approx`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const x = mx.linspace(-5, 5, { num: 101 });
 * nn.geluApprox(x).subtract(nn.gelu(x)).abs().max().less(5e-4).item(); // true
 * ```
 */
export function geluApprox(x: NDArray): NDArray {
  const inner = x.add(x.power(3).multiply(0.044715)).multiply(Math.sqrt(2 / Math.PI));
  return x.multiply(0.5).multiply(inner.tanh().add(1));
}
/**
 * {@linkcode gelu} to 0.021: `x σ(1.702 x)` (`mlx.nn.gelu_fast_approx`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const x = mx.linspace(-5, 5, { num: 101 });
 * const error = nn.geluFastApprox(x).subtract(nn.gelu(x)).abs().max();
 * error.item(); // 0.020318806171417236
 * ```
 */
export function geluFastApprox(x: NDArray): NDArray {
  return x.multiply(x.multiply(1.702).sigmoid());
}
/**
 * `a σ(b)` of the halves a and b along an axis (`mlx.nn.glu`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.glu(mx.array([2, 0])).tolist(); // [1]
 * ```
 */
export function glu(x: NDArray, options: number | ActivationAxisOptions = {}): NDArray {
  const [a = x, b = x] = mx.split(x, 2, option(options, "axis", -1));
  return a.multiply(b.sigmoid());
}
/**
 * 1 from the threshold on, else 0, as int32 (`mlx.nn.step`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.step(mx.array([-1, 2])).tolist(); // [0, 1]
 * ```
 */
export function step(x: NDArray, options: number | StepOptions = {}): NDArray {
  return mx.where(x.greaterEqual(mx.float(option(options, "threshold", 0))), 1, 0);
}
/**
 * {@linkcode elu} with α = 1.67326, times 1.0507 (`mlx.nn.selu`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.selu(mx.array([-1000, 0, 1])).tolist(); // [-1.7580941915512085, 0, 1.0506999492645264]
 * ```
 */
export function selu(x: NDArray): NDArray {
  return elu(x, 1.67326).multiply(1.0507);
}
/**
 * `max(0, x) + α min(0, x)`, α an array (`mlx.nn.prelu`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const slopes = mx.array([0.5, 0.25]); // one per feature
 * nn.prelu(mx.array([[-4, -4], [1, -2]]), slopes).tolist(); // [[-2, -1], [1, -0.5]]
 * ```
 */
export function prelu(x: NDArray, alpha: NDArray): NDArray {
  return mx.maximum(0, x).add(alpha.multiply(mx.minimum(0, x)));
}
/**
 * `x tanh(log(1 + eˣ))` (`mlx.nn.mish`; https://arxiv.org/abs/1908.08681).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.mish(mx.array([0, 20])).tolist(); // [0, 20]
 * ```
 */
export function mish(x: NDArray): NDArray {
  return x.multiply(softplus(x).tanh());
}
/**
 * `x min(max(x + 3, 0), 6) / 6` (`mlx.nn.hardswish`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.hardswish(mx.array([-4, -1.5, 0, 3, 5])).tolist(); // [-0, -0.375, 0, 3, 5]
 * ```
 */
export function hardswish(x: NDArray): NDArray {
  return x.multiply(mx.minimum(mx.maximum(x.add(3), 0), 6)).divide(6);
}
/**
 * `min(max(x, minVal), maxVal)` (`mlx.nn.hard_tanh`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.hardTanh(mx.array([-3, 0.5, 3])).tolist(); // [-1, 0.5, 1]
 * nn.hardTanh(mx.array([-3, 0.5, 3]), { minVal: 0, maxVal: 2 }).tolist(); // [0, 0.5, 2]
 * ```
 */
export function hardTanh(x: NDArray, options: number | HardTanhOptions = {}): NDArray {
  const maxVal = typeof options === "number" ? 1 : options.maxVal ?? 1;
  return mx.minimum(mx.maximum(x, mx.float(option(options, "minVal", -1))), mx.float(maxVal));
}
/**
 * `x` where `|x| > λ`, else 0 (`mlx.nn.hard_shrink`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.hardShrink(mx.array([-2, 0.5, 0.75])).tolist(); // [-2, 0, 0.75]
 * ```
 */
export function hardShrink(x: NDArray, options: number | ShrinkOptions = {}): NDArray {
  return mx.where(x.abs().greater(mx.float(option(options, "lambd", 0.5))), x, 0);
}
/**
 * `e⁻ˣ / Σ e⁻ˣ` along an axis (`mlx.nn.softmin`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.softmin(mx.array([5, 5, 1000])).tolist(); // [0.5, 0.5, 0]
 * nn.softmin(mx.array([[1, 1], [1, 1000]]), { axis: 0 }).tolist(); // [[0.5, 1], [0.5, 0]]
 * ```
 */
export function softmin(x: NDArray, options: number | ActivationAxisOptions = {}): NDArray {
  return mx.softmax(x.negative(), option(options, "axis", -1));
}
/**
 * The hyperbolic tangent (`mlx.nn.tanh`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.tanh(mx.array([-1000, 0, 1000])).tolist(); // [-1, 0, 1]
 * ```
 */
export function tanh(x: NDArray): NDArray {
  return x.tanh();
}

// ---- layers ----

/**
 * {@linkcode sigmoid} as a layer (`mlx.nn.Sigmoid`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const classifier = new nn.Sequential(new nn.Linear(8, 1, { bias: false }), new nn.Sigmoid());
 * classifier.forward(mx.zeros([2, 8])).tolist(); // [[0.5], [0.5]]
 * ```
 */
export class Sigmoid extends Module {
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return sigmoid(x);
  }
}
/**
 * {@linkcode mish} as a layer (`mlx.nn.Mish`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const mlp = new nn.Sequential(new nn.Linear(3, 8), new nn.Mish(), new nn.Linear(8, 2));
 * mlp.forward(mx.ones([5, 3])).shape; // [5, 2]
 * ```
 */
export class Mish extends Module {
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return mish(x);
  }
}
/**
 * {@linkcode relu} as a layer (`mlx.nn.ReLU`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const model = new nn.Sequential(new nn.Linear(2, 4), new nn.ReLU());
 * model.forward(mx.array([[1, -1]])).min().greaterEqual(0).item(); // true
 * ```
 */
export class ReLU extends Module {
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return relu(x);
  }
}
/**
 * {@linkcode relu2} as a layer (`mlx.nn.ReLU2`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.ReLU2().forward(mx.array([[-3, 3]])).tolist(); // [[0, 9]]
 * ```
 */
export class ReLU2 extends Module {
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return relu2(x);
  }
}
/**
 * {@linkcode relu6} as a layer (`mlx.nn.ReLU6`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.ReLU6().forward(mx.array([[-1, 5], [7, 9]])).tolist(); // [[0, 5], [6, 6]]
 * ```
 */
export class ReLU6 extends Module {
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return relu6(x);
  }
}
/**
 * {@linkcode softmax} as a layer along the last axis (`mlx.nn.Softmax`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.Softmax().forward(mx.array([[1, 1], [-1000, 1000]])).tolist(); // [[0.5, 0.5], [0, 1]]
 * ```
 */
export class Softmax extends Module {
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return softmax(x);
  }
}
/**
 * {@linkcode softplus} as a layer (`mlx.nn.Softplus`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const positive = new nn.Sequential(new nn.Linear(4, 3), new nn.Softplus()); // say, standard deviations
 * positive.forward(mx.ones([2, 4])).min().greater(0).item(); // true
 * ```
 */
export class Softplus extends Module {
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return softplus(x);
  }
}
/**
 * {@linkcode softsign} as a layer (`mlx.nn.Softsign`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.Softsign().forward(mx.array([[-1, 3]])).tolist(); // [[-0.5, 0.75]]
 * ```
 */
export class Softsign extends Module {
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return softsign(x);
  }
}
/**
 * {@linkcode silu} as a layer (`mlx.nn.SiLU`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.SiLU().forward(mx.array([-1000, 0, 1000])).tolist(); // [-0, 0, 1000]
 * ```
 */
export class SiLU extends Module {
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return silu(x);
  }
}
/**
 * {@linkcode logSoftmax} as a layer along the last axis (`mlx.nn.LogSoftmax`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const logits = mx.array([[0, 0], [3, 3]]), targets = mx.array([[0], [1]], mx.int32);
 * const logp = new nn.LogSoftmax().forward(logits);
 * mx.takeAlongAxis(logp, targets, -1).negative().mean().item(); // 0.6931471824645996
 * ```
 */
export class LogSoftmax extends Module {
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return logSoftmax(x);
  }
}
/**
 * {@linkcode logSigmoid} as a layer (`mlx.nn.LogSigmoid`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const margin = mx.array([0, 1000]); // how much the better answer leads
 * new nn.LogSigmoid().forward(margin).negative().tolist(); // [0.6931471824645996, 0]
 * ```
 */
export class LogSigmoid extends Module {
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return logSigmoid(x);
  }
}
/**
 * {@linkcode tanh} as a layer (`mlx.nn.Tanh`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const actor = new nn.Sequential(new nn.Linear(4, 2), new nn.Tanh());
 * actor.forward(mx.full([1, 4], 100)).abs().max().lessEqual(1).item(); // true
 * ```
 */
export class Tanh extends Module {
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return tanh(x);
  }
}
/**
 * {@linkcode hardswish} as a layer (`mlx.nn.Hardswish`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.Hardswish().forward(mx.array([[-3, 1.5], [3, 4]])).tolist(); // [[-0, 1.125], [3, 4]]
 * ```
 */
export class Hardswish extends Module {
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return hardswish(x);
  }
}
/**
 * {@linkcode selu} as a layer (`mlx.nn.SELU`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * mx.random.seed(0);
 * const x = mx.random.normal([100_000]), y = new nn.SELU().forward(x);
 * mx.stack([y.mean(), y.std()]).round(1).tolist(); // [0, 1]
 * ```
 */
export class SELU extends Module {
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return selu(x);
  }
}
/**
 * {@linkcode hardTanh} as a layer, always between -1 and 1 (`mlx.nn.HardTanh`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.HardTanh().forward(mx.array([[-2, -0.5], [0.5, 2]])).tolist(); // [[-1, -0.5], [0.5, 1]]
 * ```
 */
export class HardTanh extends Module {
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return hardTanh(x);
  }
}
/**
 * {@linkcode softmin} as a layer along the last axis (`mlx.nn.Softmin`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.Softmin().forward(mx.array([[0, 0], [0, 1000]])).tolist(); // [[0.5, 0.5], [1, 0]]
 * ```
 */
export class Softmin extends Module {
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return softmin(x);
  }
}
/**
 * {@linkcode glu} as a layer (`mlx.nn.GLU`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.GLU().forward(mx.ones([2, 6, 8])).shape; // [2, 6, 4]
 * new nn.GLU({ axis: 1 }).forward(mx.ones([2, 6, 8])).shape; // [2, 3, 8]
 * ```
 */
export class GLU extends Module {
  /** The axis that is halved. */
  readonly axis: number;
  /** Takes the function's options. */
  constructor(options: number | ActivationAxisOptions = {}) {
    super();
    this.axis = option(options, "axis", -1);
  }
  /** With half of x along the axis. */
  forward(x: NDArray): NDArray {
    return glu(x, this.axis);
  }
}
/**
 * {@linkcode leakyRelu} as a layer (`mlx.nn.LeakyReLU`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.LeakyReLU(0.25).forward(mx.array([-2, 2])).tolist(); // [-0.5, 2]
 * ```
 */
export class LeakyReLU extends Module {
  /** Slope below zero. */
  readonly negativeSlope: number;
  /** Takes the function's options. */
  constructor(options: number | LeakyReLUOptions = {}) {
    super();
    this.negativeSlope = option(options, "negativeSlope", 0.01);
  }
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return leakyRelu(x, this.negativeSlope);
  }
}
/**
 * {@linkcode elu} as a layer (`mlx.nn.ELU`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const layer = new nn.ELU({ alpha: 2 });
 * layer.forward(mx.array([-1000, 0, 3])).tolist(); // [-2, 0, 3]
 * ```
 */
export class ELU extends Module {
  /** Minus the limit for very negative numbers. */
  readonly alpha: number;
  /** Takes the function's options. */
  constructor(options: number | ELUOptions = {}) {
    super();
    this.alpha = option(options, "alpha", 1);
  }
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return elu(x, this.alpha);
  }
}
/**
 * {@linkcode celu} as a layer (`mlx.nn.CELU`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.CELU(0.5).forward(mx.array([-1000, 0, 3])).tolist(); // [-0.5, 0, 3]
 * ```
 */
export class CELU extends Module {
  /** Minus the limit for very negative numbers. */
  readonly alpha: number;
  /** Takes the function's options. */
  constructor(options: number | ELUOptions = {}) {
    super();
    this.alpha = option(options, "alpha", 1);
  }
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return celu(x, this.alpha);
  }
}
/**
 * {@linkcode softshrink} as a layer (`mlx.nn.Softshrink`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.Softshrink(1).forward(mx.array([-4, 1, 1.5])).tolist(); // [-3, 0, 0.5]
 * ```
 */
export class Softshrink extends Module {
  /** Where the function leaves zero. */
  readonly lambd: number;
  /** Takes the function's options. */
  constructor(options: number | ShrinkOptions = {}) {
    super();
    this.lambd = option(options, "lambd", 0.5);
  }
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return softshrink(x, this.lambd);
  }
}
/**
 * {@linkcode hardShrink} as a layer (`mlx.nn.HardShrink`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.HardShrink({ lambd: 1 }).forward(mx.array([-4, 1, 1.5])).tolist(); // [-4, 0, 1.5]
 * ```
 */
export class HardShrink extends Module {
  /** Where the function leaves zero. */
  readonly lambd: number;
  /** Takes the function's options. */
  constructor(options: number | ShrinkOptions = {}) {
    super();
    this.lambd = option(options, "lambd", 0.5);
  }
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return hardShrink(x, this.lambd);
  }
}
/**
 * {@linkcode step} as a layer (`mlx.nn.Step`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const fires = new nn.Step({ threshold: 0.5 }).forward(mx.array([0.25, 0.5, 2]));
 * [fires.tolist(), fires.dtype.name]; // [[0, 1, 1], "int32"]
 * ```
 */
export class Step extends Module {
  /** The least number that gives 1. */
  readonly threshold: number;
  /** Takes the function's options. */
  constructor(options: number | StepOptions = {}) {
    super();
    this.threshold = option(options, "threshold", 0);
  }
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return step(x, this.threshold);
  }
}
/**
 * {@linkcode prelu} with learned slopes (`mlx.nn.PReLU`; https://arxiv.org/abs/1502.01852).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.PReLU().forward(mx.array([-2, 2])).tolist(); // [-0.5, 2]
 * ```
 */
export class PReLU extends Module {
  /** Slopes below zero, [numParameters]. */
  weight: NDArray;
  /** Slopes of `init`. */
  constructor(options: number | PReLUOptions = {}) {
    super();
    const init = typeof options === "number" ? 0.25 : options.init ?? 0.25;
    this.weight = mx.full([option(options, "numParameters", 1)], mx.float(init));
  }
  /** x [..., numParameters], or any shape if there is one slope. */
  forward(x: NDArray): NDArray {
    return prelu(x, this.weight);
  }
}
const GELUS: Readonly<Record<GELUApproximation, (x: NDArray) => NDArray>> = {
  none: gelu,
  precise: geluApprox,
  tanh: geluApprox,
  fast: geluFastApprox,
};
/**
 * {@linkcode gelu} as a layer (`mlx.nn.GELU`). A `ValueError` for an unknown approximation.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const x = mx.array([0, 1, 100]);
 * new nn.GELU().forward(x).tolist(); // [0, 0.8413447141647339, 100]
 * new nn.GELU({ approx: "fast" }).forward(x).tolist(); // [0, 0.8457958102226257, 100]
 * ```
 */
export class GELU extends Module {
  /** Which approximation, if one. */
  readonly approx: GELUApproximation;
  /** Takes the approximation. */
  constructor(options: GELUOptions = {}) {
    super();
    this.approx = options.approx ?? "none";
    if (Object.hasOwn(GELUS, this.approx)) return;
    mx.fail(mx.ValueError, "GELU", {
      cannot: `approximate by ${this.approx}`,
      expected: Object.keys(GELUS).join(", "),
      got: this.approx,
      fix: "use one of these names",
    });
  }
  /** The result has the shape of x. */
  forward(x: NDArray): NDArray {
    return GELUS[this.approx](x);
  }
}
