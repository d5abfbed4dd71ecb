/**
 * Embeddings.
 * @module
 */
import { matmul, type NDArray, random } from "../core/mod.ts";
import { Module } from "./module.ts";
import { QuantizedEmbedding, type QuantizeOptions } from "./quantized.ts";

/**
 * A vector for each index (`mlx.nn.Embedding`): weight [numEmbeddings, dims], drawn from N(0, 1/dims).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.Embedding(10, 4).forward(mx.array([[1, 2, 3]], mx.int32)).shape; // [1, 3, 4]
 * ```
 */
export class Embedding extends Module {
  /** The vectors, [numEmbeddings, dims]. */
  weight: NDArray;
  /** Draws the vectors. */
  constructor(numEmbeddings: number, dims: number) {
    super();
    this.weight = random.normal([numEmbeddings, dims], { scale: Math.sqrt(1 / dims) });
  }
  /** Indices of any shape -> that shape ++ [dims]. */
  forward(x: NDArray): NDArray {
    return this.weight.index(x);
  }
  /** The transpose as a linear layer: x [..., dims] -> [..., numEmbeddings]; the head of models with tied weights. */
  asLinear(x: NDArray): NDArray {
    return matmul(x, this.weight.T);
  }
  /** The same layer with quantized vectors. */
  toQuantized(options: QuantizeOptions = {}): QuantizedEmbedding {
    return QuantizedEmbedding.fromEmbedding(this, options);
  }
}
