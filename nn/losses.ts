/**
 * Losses (`mlx.nn.losses`). Reduction defaults follow MLX: `none` for cross entropy, nll, kl, triplet, hinge, Huber,
 * log-cosh, cosine and margin losses; `mean` for the others. Predictions and targets of unlike
 * shapes are a `ShapeError`; hinge, Huber, log-cosh, kl, triplet and cosine losses broadcast them.
 * @module
 */
import {
  abs,
  clip,
  exp,
  expandDims,
  fail,
  float,
  log,
  logaddexp,
  logsumexp,
  max,
  maximum,
  mean,
  minimum,
  multiply,
  type NDArray,
  power,
  ShapeError,
  sqrt,
  square,
  stopGradient,
  subtract,
  sum,
  takeAlongAxis,
  ValueError,
  where,
} from "../core/mod.ts";

/** What becomes of the losses of all elements. */
export type Reduction = "none" | "mean" | "sum";
/** Options that every loss has. */
export interface LossOptions {
  /** Their mean, their sum, or all of them. */
  readonly reduction?: Reduction;
}
/** Options of losses along an axis. */
export interface AxisLossOptions extends LossOptions {
  /** The axis of the classes or features. Default -1. */
  readonly axis?: number;
}

function reduce(loss: NDArray, reduction: Reduction): NDArray {
  if (reduction === "none") return loss;
  if (reduction === "mean") return mean(loss);
  if (reduction === "sum") return sum(loss);
  return fail(ValueError, "losses", {
    cannot: `reduce by ${String(reduction)}`,
    expected: "none, mean or sum",
    got: String(reduction),
    fix: "use one of them",
  });
}
const shown = (x: NDArray): string => `${x.dtype}[${x.shape.join(",")}]`;
/** Refuses operands of different shapes. */
function checkShapes(op: string, first: NDArray, ...others: readonly NDArray[]): void {
  const odd = others.find((x) => x.shape.join() !== first.shape.join());
  if (odd) {
    fail(ShapeError, `losses.${op}`, {
      cannot: `compare ${shown(first)} with ${shown(odd)}`,
      expected: "equal shapes",
      got: shown(odd),
      fix: "reshape or broadcast one of them",
    });
  }
}
/** The loss times its weights, which have its shape. */
function weighted(op: string, loss: NDArray, weights: NDArray | null | undefined): NDArray {
  if (!weights) return loss;
  checkShapes(op, loss, weights);
  return loss.mul(weights);
}
/** A bare number as the option that it stands for. */
function optionsOf<O>(options: number | O, named: (value: number) => O): O {
  return typeof options === "number" ? named(options) : options;
}

/** Options of {@linkcode crossEntropy}. */
export interface CrossEntropyOptions extends AxisLossOptions {
  /** A factor for each loss. */
  readonly weights?: NDArray | null;
  /** Share of the probability that goes to all classes evenly, in [0, 1). Default 0. */
  readonly labelSmoothing?: number;
}
/** The score of the target: its logit, or the mean of the logits where targets are probabilities. */
function targetScore(logits: NDArray, targets: NDArray, axis: number): NDArray {
  if (targets.ndim === logits.ndim) return sum(logits.mul(targets), axis);
  return takeAlongAxis(logits, expandDims(targets, axis), axis).squeeze(axis);
}
/**
 * `-log softmax(logits)[target]` (`mlx.nn.losses.cross_entropy`). Targets are classes (the shape of the logits without
 * the axis) or probabilities (the same shape).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const logits = mx.array([[2, -1], [-1, 2]]);
 * nn.losses.crossEntropy(logits, mx.array([0, 1], mx.int32)); // array([0.0485873, 0.0485873], dtype=float32)
 * ```
 */
export function crossEntropy(logits: NDArray, targets: NDArray, options: CrossEntropyOptions = {}): NDArray {
  const { weights = null, axis = -1, labelSmoothing = 0, reduction = "none" } = options;
  if (!(labelSmoothing >= 0 && labelSmoothing < 1)) {
    fail(ValueError, "losses.crossEntropy", {
      cannot: `smooth labels by ${labelSmoothing}`,
      expected: "0 <= labelSmoothing < 1",
      got: String(labelSmoothing),
      fix: "change labelSmoothing",
    });
  }
  const wanted = targets.ndim === logits.ndim ? logits.shape : logits.shape.toSpliced(axis, 1);
  if (targets.shape.join() !== wanted.join()) {
    fail(ShapeError, "losses.crossEntropy", {
      cannot: `compare logits ${shown(logits)} with targets ${shown(targets)}`,
      expected: `targets [${wanted.join(",")}]`,
      got: shown(targets),
      fix: "give one class, or one probability for each class",
    });
  }
  const shifted = logits.subtract(stopGradient(max(logits, { axis, keepdims: true })));
  const score = targetScore(shifted, targets, axis), normalizer = logsumexp(shifted, axis);
  const loss = labelSmoothing > 0
    ? normalizer.subtract(score.mul(1 - labelSmoothing)).add(mean(shifted, axis).neg().mul(labelSmoothing))
    : normalizer.subtract(score);
  return reduce(weighted("crossEntropy", loss, weights), reduction);
}

/** Options of {@linkcode binaryCrossEntropy}. */
export interface BinaryCrossEntropyOptions extends LossOptions {
  /** A factor for each loss. */
  readonly weights?: NDArray | null;
  /** Inputs are logits, not probabilities. Default true. */
  readonly withLogits?: boolean;
}
/**
 * `-(t log p + (1 - t) log(1 - p))`, p = σ(input) or the input itself (`mlx.nn.losses.binary_cross_entropy`).
 * Logarithms of probabilities are at least -100.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const targets = mx.array([1, 0]);
 * nn.losses.binaryCrossEntropy(mx.array([0, 0]), targets).item(); // 0.6931471824645996, ln 2
 * const p = mx.array([0.5, 0]); // probabilities
 * nn.losses.binaryCrossEntropy(p, targets, { withLogits: false, reduction: "none" }); // array([0.693147, -0], dtype=float32)
 * ```
 */
export function binaryCrossEntropy(
  inputs: NDArray,
  targets: NDArray,
  options: BinaryCrossEntropyOptions = {},
): NDArray {
  const { weights = null, withLogits = true, reduction = "mean" } = options;
  checkShapes("binaryCrossEntropy", inputs, targets);
  const bounded = (x: NDArray): NDArray => clip(log(x), -100, null);
  const loss = withLogits
    ? logaddexp(float(0), inputs).subtract(inputs.mul(targets))
    : targets.mul(bounded(inputs)).add(subtract(1, targets).mul(bounded(subtract(1, inputs)))).neg();
  return reduce(weighted("binaryCrossEntropy", loss, weights), reduction);
}
/**
 * `|prediction - target|` (`mlx.nn.losses.l1_loss`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const predicted = mx.array([1, 2]), targets = mx.array([1, 5]);
 * nn.losses.l1Loss(predicted, targets).item(); // 1.5
 * nn.losses.l1Loss(predicted, targets, { reduction: "none" }).tolist(); // [0, 3]
 * ```
 */
export function l1Loss(predictions: NDArray, targets: NDArray, options: LossOptions = {}): NDArray {
  checkShapes("l1Loss", predictions, targets);
  return reduce(abs(predictions.subtract(targets)), options.reduction ?? "mean");
}
/**
 * `(prediction - target)²` (`mlx.nn.losses.mse_loss`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.losses.mseLoss(mx.array([1, 2]), mx.array([1, 4])).item(); // 2
 * ```
 */
export function mseLoss(predictions: NDArray, targets: NDArray, options: LossOptions = {}): NDArray {
  checkShapes("mseLoss", predictions, targets);
  return reduce(square(predictions.subtract(targets)), options.reduction ?? "mean");
}
/**
 * `-inputs[target]`, inputs being logarithms of probabilities (`mlx.nn.losses.nll_loss`). Targets are classes: integers
 * of the shape of the inputs without the axis.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const logProbabilities = mx.log(mx.array([[0.75, 0.25], [0.5, 0.5]]));
 * nn.losses.nllLoss(logProbabilities, mx.array([0, 1], mx.int32)); // array([0.287682, 0.693147], dtype=float32)
 * ```
 */
export function nllLoss(inputs: NDArray, targets: NDArray, options: number | AxisLossOptions = {}): NDArray {
  const { axis = -1, reduction = "none" } = optionsOf<AxisLossOptions>(options, (axis) => ({ axis }));
  return reduce(takeAlongAxis(inputs, expandDims(targets, axis), axis).squeeze(axis).neg(), reduction);
}
/** Options of {@linkcode gaussianNllLoss}. */
export interface GaussianNllOptions extends LossOptions {
  /** Include the constant ½ log 2π. Default false. */
  readonly full?: boolean;
  /** The least variance. Default 1e-6. */
  readonly eps?: number;
}
/**
 * `½ (log v + (target - input)² / v)` with v = max(vars, eps) (`mlx.nn.losses.gaussian_nll_loss`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const means = mx.array([0, 2]), targets = mx.array([0, 4]), vars = mx.array([1, 4]);
 * nn.losses.gaussianNllLoss(means, targets, vars, { reduction: "none" }); // array([0, 1.19315], dtype=float32)
 * nn.losses.gaussianNllLoss(means, targets, vars, { full: true }); // array(1.51551, dtype=float32)
 * ```
 */
export function gaussianNllLoss(
  inputs: NDArray,
  targets: NDArray,
  vars: NDArray,
  options: GaussianNllOptions = {},
): NDArray {
  const { full = false, eps = 1e-6, reduction = "mean" } = options;
  checkShapes("gaussianNllLoss", inputs, targets, vars);
  const v = maximum(vars, eps), loss = log(v).add(square(targets.subtract(inputs)).div(v)).mul(0.5);
  return reduce(full ? loss.add(0.5 * Math.log(2 * Math.PI)) : loss, reduction);
}
/**
 * `Σ exp(target) (target - input)` along an axis, of logarithms of probabilities (`mlx.nn.losses.kl_div_loss`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const p = mx.array([[0.5, 0.5]]), q = mx.array([[0.25, 0.75]]);
 * nn.losses.klDivLoss(mx.log(q), mx.log(p)); // array([0.143841], dtype=float32)
 * nn.losses.klDivLoss(mx.log(p), mx.log(p), { reduction: "sum" }).item(); // 0
 * ```
 */
export function klDivLoss(inputs: NDArray, targets: NDArray, options: number | AxisLossOptions = {}): NDArray {
  const { axis = -1, reduction = "none" } = optionsOf<AxisLossOptions>(options, (axis) => ({ axis }));
  return reduce(sum(exp(targets).mul(targets.subtract(inputs)), axis), reduction);
}
/** Options of {@linkcode smoothL1Loss}. */
export interface SmoothL1Options extends LossOptions {
  /** Where the square ends. Default 1. */
  readonly beta?: number;
}
/**
 * `½ d² / beta` where d = |prediction - target| < beta, else `d - ½ beta` (`mlx.nn.losses.smooth_l1_loss`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const x = mx.array([0.5, 3]), zeros = mx.zeros([2]);
 * nn.losses.smoothL1Loss(x, zeros, { reduction: "none" }).tolist(); // [0.125, 2.5]
 * nn.losses.smoothL1Loss(x, zeros, { beta: 2, reduction: "none" }).tolist(); // [0.0625, 2]
 * ```
 */
export function smoothL1Loss(predictions: NDArray, targets: NDArray, options: number | SmoothL1Options = {}): NDArray {
  const { beta = 1, reduction = "mean" } = optionsOf<SmoothL1Options>(options, (beta) => ({ beta }));
  checkShapes("smoothL1Loss", predictions, targets);
  const d = abs(predictions.subtract(targets));
  return reduce(where(d.lt(beta), square(d).mul(0.5).div(float(beta)), d.subtract(float(0.5 * beta))), reduction);
}
/** Options of {@linkcode tripletLoss}. */
export interface TripletOptions extends AxisLossOptions {
  /** Degree of the norm. Default 2. */
  readonly p?: number;
  /** How much farther the negatives should be. Default 1. */
  readonly margin?: number;
  /** Added under the root. Default 1e-6. */
  readonly eps?: number;
}
/**
 * `max(‖anchor - positive‖ₚ - ‖anchor - negative‖ₚ + margin, 0)` (`mlx.nn.losses.triplet_loss`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const anchor = mx.array([[0, 0]]), near = mx.array([[0, 1]]), far = mx.array([[3, 4]]);
 * nn.losses.tripletLoss(anchor, near, far).tolist(); // [0]: far enough
 * nn.losses.tripletLoss(anchor, near, far, { margin: 5 }); // array([1], dtype=float32)
 * ```
 */
export function tripletLoss(
  anchors: NDArray,
  positives: NDArray,
  negatives: NDArray,
  options: number | TripletOptions = {},
): NDArray {
  const { axis = -1, p = 2, margin = 1, eps = 1e-6, reduction = "none" } = optionsOf<TripletOptions>(
    options,
    (axis) => ({ axis }),
  );
  const distance = (x: NDArray): NDArray =>
    power(sum(power(abs(anchors.subtract(x)), p), axis).add(float(eps)), float(1 / p));
  return reduce(maximum(distance(positives).subtract(distance(negatives)).add(float(margin)), 0), reduction);
}
/**
 * `max(1 - input target, 0)`, targets being ±1 (`mlx.nn.losses.hinge_loss`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.losses.hingeLoss(mx.array([2, 0.5, -1]), mx.array([1, 1, 1])).tolist(); // [0, 0.5, 2]
 * ```
 */
export function hingeLoss(inputs: NDArray, targets: NDArray, options: LossOptions = {}): NDArray {
  return reduce(maximum(subtract(1, inputs.mul(targets)), 0), options.reduction ?? "none");
}
/** Options of {@linkcode huberLoss}. */
export interface HuberOptions extends LossOptions {
  /** Where the square ends. Default 1. */
  readonly delta?: number;
}
/**
 * `½ d²` where d = |input - target| <= delta, else `delta (d - ½ delta)` (`mlx.nn.losses.huber_loss`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const x = mx.array([0.5, 3]), zeros = mx.zeros([2]);
 * nn.losses.huberLoss(x, zeros).tolist(); // [0.125, 2.5]
 * nn.losses.huberLoss(x, zeros, { delta: 2 }).tolist(); // [0.125, 4]
 * ```
 */
export function huberLoss(inputs: NDArray, targets: NDArray, options: number | HuberOptions = {}): NDArray {
  const { delta = 1, reduction = "none" } = optionsOf<HuberOptions>(options, (delta) => ({ delta }));
  const d = abs(inputs.subtract(targets)), quadratic = minimum(d, float(delta));
  return reduce(square(quadratic).mul(0.5).add(d.subtract(quadratic).mul(float(delta))), reduction);
}
/**
 * `log cosh(input - target)` (`mlx.nn.losses.log_cosh_loss`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.losses.logCoshLoss(mx.array([0, 100]), mx.zeros([2])); // array([0, 99.3069], dtype=float32)
 * ```
 */
export function logCoshLoss(inputs: NDArray, targets: NDArray, options: LossOptions = {}): NDArray {
  const errors = inputs.subtract(targets);
  return reduce(logaddexp(errors, errors.neg()).subtract(Math.LN2), options.reduction ?? "none");
}
/** Options of {@linkcode cosineSimilarityLoss}. */
export interface CosineSimilarityOptions extends AxisLossOptions {
  /** The least denominator. Default 1e-8. */
  readonly eps?: number;
}
/**
 * `x₁ · x₂ / max(‖x₁‖ ‖x₂‖, eps)` along an axis, 1 by default (`mlx.nn.losses.cosine_similarity_loss`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const a = mx.array([[1, 0], [1, 1]]), b = mx.array([[2, 0], [1, -1]]);
 * nn.losses.cosineSimilarityLoss(a, b).tolist(); // [1, 0]: rows of one direction, and at a right angle
 * ```
 */
export function cosineSimilarityLoss(
  x1: NDArray,
  x2: NDArray,
  options: number | CosineSimilarityOptions = {},
): NDArray {
  const { axis = 1, eps = 1e-8, reduction = "none" } = optionsOf<CosineSimilarityOptions>(
    options,
    (axis) => ({ axis }),
  );
  const length = (x: NDArray): NDArray => sqrt(sum(square(x), axis));
  return reduce(sum(multiply(x1, x2), axis).div(maximum(length(x1).mul(length(x2)), float(eps))), reduction);
}
/** Options of {@linkcode marginRankingLoss}. */
export interface MarginRankingOptions extends LossOptions {
  /** By how much the scores should differ. Default 0. */
  readonly margin?: number;
}
/**
 * `max(-target (input₁ - input₂) + margin, 0)`, targets being ±1 (`mlx.nn.losses.margin_ranking_loss`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const a = mx.array([2, 2]), b = mx.array([1, 3]), first = mx.array([1, 1]); // a should be the larger
 * nn.losses.marginRankingLoss(a, b, first).tolist(); // [0, 1]
 * nn.losses.marginRankingLoss(a, b, first, { margin: 2 }).tolist(); // [1, 3]
 * ```
 */
export function marginRankingLoss(
  inputs1: NDArray,
  inputs2: NDArray,
  targets: NDArray,
  options: number | MarginRankingOptions = {},
): NDArray {
  const { margin = 0, reduction = "none" } = optionsOf<MarginRankingOptions>(options, (margin) => ({ margin }));
  checkShapes("marginRankingLoss", inputs1, inputs2, targets);
  return reduce(maximum(0, targets.neg().mul(inputs1.subtract(inputs2)).add(float(margin))), reduction);
}
