/**
 * Norms whose stored weight is the distance from one.
 * @module
 */
import { fast, type NDArray, zeros } from "../core/mod.ts";
import { LayerNorm, Module } from "../nn/mod.ts";

/** `x / √(mean(x²) + eps) (1 + w)`, as the Gemma family has it. */
export class OffsetRMSNorm extends Module {
  weight: NDArray;
  constructor(dims: number, readonly eps: number) {
    super();
    this.weight = zeros([dims]);
  }
  forward(x: NDArray): NDArray {
    return fast.rmsNorm(x, this.weight.add(1), this.eps);
  }
}
/** `(x - mean) / √(var + eps) (1 + w) + b`. */
export class OffsetLayerNorm extends LayerNorm {
  override forward(x: NDArray): NDArray {
    return fast.layerNorm(x, this.weight?.add(1) ?? null, this.bias ?? null, this.eps);
  }
}
/** `(x - mean) / √(var + eps) w_h` over the features of each head h. */
export class PerHeadNorm extends Module {
  weight: NDArray;
  constructor(heads: number, dims: number, readonly eps: number) {
    super();
    this.weight = zeros([heads, dims]);
  }
  /** x [B, heads, L, D]. */
  forward(x: NDArray): NDArray {
    return fast.layerNorm(x, null, null, this.eps).multiply(this.weight.expandDims(1));
  }
}
