/**
 * Normalizations: over the last axis (RMSNorm, LayerNorm), over spatial axes (InstanceNorm, GroupNorm), and over the
 * batch (BatchNorm, which keeps running statistics). Channels are last.
 * @module
 */
import {
  fail,
  fast,
  mean,
  type NDArray,
  ones,
  rsqrt,
  ShapeError,
  ValueError,
  var as variance,
  zeros,
} from "../core/mod.ts";
import { type FreezeOptions, Module } from "./module.ts";

/** The term added to a variance, which has to be positive. */
function checkedEps(op: string, eps = 1e-5): number {
  if (eps > 0) return eps;
  return fail(ValueError, op, {
    cannot: `use eps ${eps}`,
    expected: "a positive number",
    got: String(eps),
    fix: "use 1e-5",
  });
}
/** Refuses an input with too few or too many axes. */
function checkNdim(op: string, x: NDArray, least: number, most: number): void {
  if (x.ndim >= least && x.ndim <= most) return;
  fail(ShapeError, op, {
    cannot: `normalize ${x.dtype}[${x.shape.join(",")}]`,
    expected: most === Infinity ? `at least ${least} axes [N, ..., C]` : `${least} to ${most} axes [N, ..., C]`,
    got: `${x.ndim} axes`,
    fix: "reshape the input",
  });
}

/** Options of {@linkcode RMSNorm}. */
export interface RMSNormOptions {
  /** Added to the mean square. Default 1e-5. */
  readonly eps?: number;
}
/**
 * `x / √(mean(x²) + eps) · weight` over the last axis (`mlx.nn.RMSNorm`; https://arxiv.org/abs/1910.07467).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.RMSNorm(4).forward(mx.ones([2, 4])).shape; // [2, 4]
 * ```
 */
export class RMSNorm extends Module {
  /** A factor for each feature, [dims]. */
  weight: NDArray;
  /** Added to the mean square. */
  readonly eps: number;
  /** Factors of one. */
  constructor(dims: number, options: number | RMSNormOptions = {}) {
    super();
    this.weight = ones([dims]);
    this.eps = checkedEps("nn.RMSNorm", typeof options === "number" ? options : options.eps);
  }
  /** x [..., dims] -> [..., dims]. */
  forward(x: NDArray): NDArray {
    return fast.rmsNorm(x, this.weight, this.eps);
  }
}
/** Options of {@linkcode LayerNorm}. */
export interface LayerNormOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Learn a factor and an offset. Default true. */
  readonly affine?: boolean;
  /** Learn the offset too. Default true. */
  readonly bias?: boolean;
}
/**
 * `(x - mean) / √(var + eps) · weight + bias` over the last axis (`mlx.nn.LayerNorm`;
 * https://arxiv.org/abs/1607.06450).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.LayerNorm(2).forward(mx.array([[1, 3]])).shape; // [1, 2]
 * ```
 */
export class LayerNorm extends Module {
  /** A factor for each feature, [dims]. */
  weight?: NDArray;
  /** An offset for each feature, [dims]. */
  bias?: NDArray;
  /** Added to the variance. */
  readonly eps: number;
  /** Factors of one, offsets of zero. */
  constructor(dims: number, options: number | LayerNormOptions = {}, more: LayerNormOptions = {}) {
    super();
    const o = typeof options === "number" ? { ...more, eps: options } : options;
    if (o.affine ?? true) {
      this.weight = ones([dims]);
      if (o.bias ?? true) this.bias = zeros([dims]);
    }
    this.eps = checkedEps("nn.LayerNorm", o.eps);
  }
  /** x [..., dims] -> [..., dims]. */
  forward(x: NDArray): NDArray {
    return fast.layerNorm(x, this.weight ?? null, this.bias ?? null, this.eps);
  }
}

/** Options of {@linkcode InstanceNorm}. */
export interface InstanceNormOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Learn a factor and an offset. Default false. */
  readonly affine?: boolean;
}
/**
 * What the layers with a factor and an offset per feature share.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const model = new nn.Sequential(new nn.Conv2d(3, 8, 3), new nn.BatchNorm(8), new nn.GroupNorm(2, 8));
 * for (const m of model.modules()) if (m instanceof nn.AffineBase) m.freeze(); // as for fine-tuning
 * mx.treeFlatten(model.trainableParameters()).map(([path]) => path); // ["layers.0.weight", "layers.0.bias"]
 * ```
 */
export abstract class AffineBase extends Module {
  /** A factor for each feature, [dims]. */
  weight?: NDArray;
  /** An offset for each feature, [dims]. */
  bias?: NDArray;
  /** Added to the variance. */
  readonly eps: number;
  /** Factors of one, offsets of zero. */
  constructor(op: string, dims: number, affine: boolean, eps: number | undefined) {
    super();
    this.eps = checkedEps(op, eps);
    if (affine) [this.weight, this.bias] = [ones([dims]), zeros([dims])];
  }
  /** `weight y + bias`, as far as they exist. */
  protected affine(y: NDArray): NDArray {
    return this.weight && this.bias ? this.weight.mul(y).add(this.bias) : y;
  }
  /** `(x - mean) / √(var + eps)`. */
  protected standardized(x: NDArray, mean: NDArray, variance: NDArray): NDArray {
    return x.subtract(mean).mul(rsqrt(variance.add(this.eps)));
  }
}
/**
 * `(x - mean) / √(var + eps) · weight + bias`, each channel of each example over its own spatial axes
 * (`mlx.nn.InstanceNorm`; https://arxiv.org/abs/1607.08022).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.InstanceNorm(3).forward(mx.ones([2, 4, 4, 3])).shape; // [2, 4, 4, 3]
 * ```
 */
export class InstanceNorm extends AffineBase {
  /** Features of the input. */
  readonly dims: number;
  /** Takes `dims` features. */
  constructor(dims: number, options: number | InstanceNormOptions = {}) {
    const o = typeof options === "number" ? { eps: options } : options;
    super("nn.InstanceNorm", dims, o.affine ?? false, o.eps);
    this.dims = dims;
  }
  /** x [N, spatial..., dims] -> the same shape. */
  forward(x: NDArray): NDArray {
    checkNdim("nn.InstanceNorm", x, 3, Infinity);
    const [batch, ...rest] = x.shape, flat = x.reshape([batch!, -1, rest.at(-1)!]).swapaxes(1, 2);
    return this.affine(fast.layerNorm(flat, null, null, this.eps).swapaxes(1, 2).reshape(x.shape));
  }
}

/** Options of {@linkcode GroupNorm}. */
export interface GroupNormOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Learn a factor and an offset. Default true. */
  readonly affine?: boolean;
  /** Neighbouring features make a group, as in PyTorch; else features i, i + numGroups, ... Default false. */
  readonly pytorchCompatible?: boolean;
}
/**
 * `(x - mean) / √(var + eps) · weight + bias`, each example over its spatial axes and each of `numGroups` groups of
 * features (`mlx.nn.GroupNorm`; https://arxiv.org/abs/1803.08494).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.GroupNorm(2, 4).forward(mx.ones([1, 3, 4])).shape; // [1, 3, 4]
 * ```
 */
export class GroupNorm extends AffineBase {
  /** Into how many groups the features fall. */
  readonly numGroups: number;
  /** Features of the input. */
  readonly dims: number;
  /** Do neighbouring features make a group? */
  readonly pytorchCompatible: boolean;
  /** Takes `dims` features. */
  constructor(numGroups: number, dims: number, options: number | GroupNormOptions = {}) {
    const o = typeof options === "number" ? { eps: options } : options;
    if (!(numGroups > 0 && dims > 0 && dims % numGroups === 0)) {
      fail(ValueError, "nn.GroupNorm", {
        cannot: `divide ${dims} features into ${numGroups} groups`,
        expected: "positive numbers, the features a multiple of the groups",
        got: `${dims} and ${numGroups}`,
        fix: "change dims or numGroups",
      });
    }
    super("nn.GroupNorm", dims, o.affine ?? true, o.eps);
    this.numGroups = numGroups;
    this.dims = dims;
    this.pytorchCompatible = o.pytorchCompatible ?? false;
  }
  /** x [N, spatial..., dims] -> the same shape. */
  forward(x: NDArray): NDArray {
    const { numGroups } = this, batch = x.shape[0]!;
    if (this.pytorchCompatible) {
      const size = x.shape.at(-1)! / numGroups, groups = x.reshape([batch, -1, numGroups, size]).swapaxes(1, 2);
      const y = fast.layerNorm(groups.reshape([batch, numGroups, -1]), null, null, this.eps);
      return this.affine(y.reshape([batch, numGroups, -1, size]).swapaxes(1, 2).reshape(x.shape));
    }
    const groups = x.reshape([batch, -1, numGroups]), over = { axis: 1, keepdims: true };
    return this.affine(this.standardized(groups, mean(groups, over), variance(groups, over)).reshape(x.shape));
  }
}

/** Options of {@linkcode BatchNorm}. */
export interface BatchNormOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Share of the new statistics in the running ones. Default 0.1. */
  readonly momentum?: number;
  /** Learn a factor and an offset. Default true. */
  readonly affine?: boolean;
  /** Keep running statistics, which replace those of the batch outside training. Default true. */
  readonly trackRunningStats?: boolean;
}
/**
 * `(x - mean) / √(var + eps) · weight + bias`, each feature over the batch and all spatial axes (`mlx.nn.BatchNorm`;
 * https://arxiv.org/abs/1502.03167). Training moves the running statistics (with the unbiased variance); outside
 * training they are used. They are parameters that stay frozen.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.BatchNorm(3).eval().forward(mx.ones([2, 3])).shape; // [2, 3]
 * ```
 */
export class BatchNorm extends AffineBase {
  /** Mean of each feature so far, [numFeatures]. */
  running_mean?: NDArray;
  /** Unbiased variance of each feature so far, [numFeatures]. */
  running_var?: NDArray;
  /** Features of the input. */
  readonly numFeatures: number;
  /** Share of the new statistics in the running ones. */
  readonly momentum: number;
  /** Are there running statistics? */
  readonly trackRunningStats: boolean;
  /** Takes `numFeatures` features. */
  constructor(numFeatures: number, options: number | BatchNormOptions = {}) {
    const o = typeof options === "number" ? { eps: options } : options;
    super("nn.BatchNorm", numFeatures, o.affine ?? true, o.eps);
    this.numFeatures = numFeatures;
    this.momentum = o.momentum ?? 0.1;
    this.trackRunningStats = o.trackRunningStats ?? true;
    if (!this.trackRunningStats) return;
    [this.running_mean, this.running_var] = [zeros([numFeatures]), ones([numFeatures])];
    this.#freezeStatistics();
  }
  #freezeStatistics(): void {
    this.freeze({ keys: ["running_mean", "running_var"], recurse: false });
  }
  /** Includes parameters again, but for the running statistics. */
  override unfreeze(options: FreezeOptions = {}): this {
    super.unfreeze(options);
    this.#freezeStatistics();
    return this;
  }
  /** x [N, C], [N, L, C] or [N, H, W, C] -> the same shape. */
  forward(x: NDArray): NDArray {
    checkNdim("nn.BatchNorm", x, 2, 4);
    const axes = x.shape.slice(0, -1).map((_, i) => i), { running_mean, running_var } = this;
    if (!this.training && running_mean && running_var) {
      return this.affine(this.standardized(x, running_mean, running_var));
    }
    const mu = mean(x, axes), count = x.size / x.shape.at(-1)!;
    if (this.training && count === 1) {
      fail(ShapeError, "nn.BatchNorm", {
        cannot: `train on ${x.dtype}[${x.shape.join(",")}]`,
        expected: "more than one value per feature",
        got: "one",
        fix: "use a larger batch, or eval()",
      });
    }
    if (this.training && running_mean && running_var) {
      const m = this.momentum, keep = 1 - m;
      this.running_mean = running_mean.mul(keep).add(mu.mul(m));
      this.running_var = running_var.mul(keep).add(variance(x, { axis: axes, ddof: 1 }).mul(m));
    }
    return this.affine(this.standardized(x, mu, variance(x, axes)));
  }
}
