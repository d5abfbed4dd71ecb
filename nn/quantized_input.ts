/**
 * A linear layer whose input is quantized too.
 * @module
 */
import {
  dequantize,
  type DType,
  fail,
  float32,
  type NDArray,
  qqmm,
  quantize as quantizeArray,
  random,
  ValueError,
} from "../core/mod.ts";
import type { Linear } from "./linear.ts";
import { Module } from "./module.ts";
import { type QuantizationMode, quantizationOf, type QuantizeOptions } from "./quantized.ts";

/**
 * `y = q(x) q(W)ᵀ`, q rounding to a quantized format (`mlx.nn.QQLinear`). In training the weight is a matrix of floats
 * that has gradients and is quantized at each call; outside training it is stored quantized, with its scales. There is
 * no bias.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.QQLinear(32, 4, { mode: "mxfp8" }).forward(mx.ones([2, 32])).shape; // [2, 4]
 * ```
 */
export class QQLinear extends Module {
  /** W, [outputDims, inputDims], or outside training its packed words, [outputDims, inputDims bits / 32]. */
  weight: NDArray;
  /** Outside training: the scales of the groups. */
  scales?: NDArray;
  /** Elements that share a scale. */
  readonly groupSize: number;
  /** Bits of an element. */
  readonly bits: number;
  /** `nvfp4` or `mxfp8`. */
  readonly mode: QuantizationMode;
  /** What the floats are. */
  #dtype: DType = float32;
  /** Draws the weights uniformly from ±1/√inputDims. The mode is nvfp4 by default. */
  constructor(inputDims: number, outputDims: number, options: QuantizeOptions = {}) {
    super();
    const { groupSize, bits, mode } = quantizationOf({ mode: "nvfp4", ...options });
    const scale = Math.sqrt(1 / inputDims);
    this.groupSize = groupSize;
    this.bits = bits;
    this.mode = mode;
    this.weight = random.uniform([outputDims, inputDims], { low: -scale, high: scale });
  }
  /** Takes the weights of a linear layer without bias, and its mode. */
  static fromLinear(layer: Linear, options: QuantizeOptions = {}): QQLinear {
    if (layer.bias) {
      fail(ValueError, "nn.QQLinear", {
        cannot: "take the weights of a linear layer",
        expected: "no bias",
        got: "a bias",
        fix: "make the layer with { bias: false }",
      });
    }
    const [outputDims, inputDims] = layer.weight.shape, made = new QQLinear(inputDims!, outputDims!, options);
    made.weight = layer.weight;
    return made.train(layer.training);
  }
  /** Stores the weight quantized. */
  quantize(): void {
    if (this.scales) return;
    const { groupSize, bits, mode } = this, [weight, scales] = quantizeArray(this.weight, { groupSize, bits, mode });
    this.#dtype = this.weight.dtype;
    this.weight = weight!;
    this.scales = scales!;
  }
  /** Stores the weight as floats again. */
  dequantize(): void {
    const { scales, groupSize, bits, mode } = this;
    if (!scales) return;
    this.weight = dequantize(this.weight, scales, { groupSize, bits, mode, dtype: this.#dtype });
    this.scales = undefined;
  }
  /** Training needs floats. */
  protected override modeChanged(): void {
    if (this.training) this.dequantize();
    else this.quantize();
  }
  /** x [..., inputDims] -> [..., outputDims]. */
  forward(x: NDArray): NDArray {
    const { scales, groupSize, bits, mode } = this;
    return qqmm(x, this.weight, { scales, groupSize, bits, mode });
  }
}
