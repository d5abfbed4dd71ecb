/**
 * Affine layers.
 * @module
 */
import { addmm, matmul, type NDArray, random } from "../core/mod.ts";
import { Module } from "./module.ts";
import { QuantizedLinear, type QuantizeOptions } from "./quantized.ts";
import { QQLinear } from "./quantized_input.ts";

/** Options of {@linkcode Linear}. */
export interface LinearOptions {
  /** Add a bias. Default true. */
  readonly bias?: boolean;
}
/**
 * Returns its input (`mlx.nn.Identity`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const norm = (on: boolean): nn.Layer => on ? new nn.RMSNorm(2) : new nn.Identity(2);
 * new nn.Sequential(norm(false)).forward(mx.array([[3, 4]])).tolist(); // [[3, 4]]
 * ```
 */
export class Identity extends Module {
  /** Takes and ignores any arguments. */
  constructor(..._ignored: readonly unknown[]) {
    super();
  }
  /** x. */
  forward(x: NDArray): NDArray {
    return x;
  }
}
/**
 * `y = x Wᵀ + b` (`mlx.nn.Linear`), W [outputDims, inputDims]; both drawn uniformly from ±1/√inputDims.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.Linear(4, 2).forward(mx.ones([3, 4])).shape; // [3, 2]
 * ```
 */
export class Linear extends Module {
  /** W, [outputDims, inputDims]. */
  weight: NDArray;
  /** b, [outputDims], if there is one. */
  bias?: NDArray;
  /** Draws the weights. */
  constructor(inputDims: number, outputDims: number, options: LinearOptions = {}) {
    super();
    const scale = Math.sqrt(1 / inputDims);
    this.weight = random.uniform([outputDims, inputDims], { low: -scale, high: scale });
    if (options.bias ?? true) this.bias = random.uniform([outputDims], { low: -scale, high: scale });
  }
  /** x [..., inputDims] -> [..., outputDims]. */
  forward(x: NDArray): NDArray {
    return this.bias ? addmm(this.bias, x, this.weight.T) : matmul(x, this.weight.T);
  }
  /** The same layer with quantized weights. */
  toQuantized(options?: QuantizeOptions): QuantizedLinear;
  /** The same layer with quantized weights, which quantizes its input too. */
  toQuantized(options: QuantizeOptions & { readonly quantizeInput: true }): QQLinear;
  toQuantized(options: QuantizeOptions & { readonly quantizeInput?: boolean } = {}): QuantizedLinear | QQLinear {
    return (options.quantizeInput ? QQLinear : QuantizedLinear).fromLinear(this, options);
  }
}
/** Options of {@linkcode Bilinear}. */
export type BilinearOptions = LinearOptions;
/**
 * `y_o = x₁ W_o x₂ᵀ + b_o` (`mlx.nn.Bilinear`), W [outputDims, input2Dims, input1Dims].
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.Bilinear(2, 3, 4).forward(mx.ones([5, 2]), mx.ones([5, 3])).shape; // [5, 4]
 * ```
 */
export class Bilinear extends Module {
  /** W, [outputDims, input2Dims, input1Dims]. */
  weight: NDArray;
  /** b, [outputDims], if there is one. */
  bias?: NDArray;
  /** Draws the weights uniformly from ±1/√input1Dims. */
  constructor(input1Dims: number, input2Dims: number, outputDims: number, options: BilinearOptions = {}) {
    super();
    const scale = Math.sqrt(1 / input1Dims);
    this.weight = random.uniform([outputDims, input2Dims, input1Dims], { low: -scale, high: scale });
    if (options.bias ?? true) this.bias = random.uniform([outputDims], { low: -scale, high: scale });
  }
  /** x1 [..., input1Dims], x2 [..., input2Dims] -> [..., outputDims]. */
  forward(x1: NDArray, x2: NDArray): NDArray {
    const [out, in2, in1] = this.weight.shape, w = this.weight.reshape([out! * in2!, in1!]);
    const left = matmul(x1.reshape([-1, in1!]), w.T).reshape([-1, out!, in2!]);
    const y = matmul(left, x2.reshape([-1, in2!, 1])).reshape([...x1.shape.slice(0, -1), out!]);
    return this.bias ? y.add(this.bias) : y;
  }
}
