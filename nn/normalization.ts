/**
 * Normalizations over the last axis.
 * @module
 */
import { fast, type NDArray, ones, zeros } from "../core/mod.ts";
import { Module } from "./module.ts";

/** Options of {@linkcode RMSNorm}. */
export interface RMSNormOptions {
  /** Added to the mean square. Default 1e-5. */
  readonly eps?: number;
}
/** `x / √(mean(x²) + eps) · weight` over the last axis (`mlx.nn.RMSNorm`; https://arxiv.org/abs/1910.07467). */
export class RMSNorm extends Module {
  /** A factor for each feature, [dims]. */
  weight: NDArray;
  /** Added to the mean square. */
  readonly eps: number;
  /** Factors of one. */
  constructor(dims: number, options: number | RMSNormOptions = {}) {
    super();
    this.weight = ones([dims]);
    this.eps = (typeof options === "number" ? options : options.eps) ?? 1e-5;
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
/** `(x - mean) / √(var + eps) · weight + bias` over the last axis (`mlx.nn.LayerNorm`; https://arxiv.org/abs/1607.06450). */
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
    this.eps = o.eps ?? 1e-5;
  }
  /** x [..., dims] -> [..., dims]. */
  forward(x: NDArray): NDArray {
    return fast.layerNorm(x, this.weight ?? null, this.bias ?? null, this.eps);
  }
}
