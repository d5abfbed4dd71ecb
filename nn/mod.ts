/**
 * Neural networks (`mlx.nn`): modules and layers, activation functions, quantized layers.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const model = new nn.Sequential(new nn.Linear(4, 8), nn.relu, new nn.Linear(8, 2));
 * model.forward(mx.ones([3, 4])).shape; // [3, 2]
 * ```
 * @module
 */
export * from "./activations.ts";
export * from "./containers.ts";
export * from "./convolution.ts";
export * from "./convolution_transpose.ts";
export * from "./dropout.ts";
export * from "./embedding.ts";
export type { Extent } from "./extents.ts";
export * as init from "./init.ts";
export * from "./linear.ts";
export * as losses from "./losses.ts";
export * from "./module.ts";
export * from "./normalization.ts";
export * from "./pooling.ts";
export * from "./positional_encoding.ts";
export * from "./quantized.ts";
export * from "./quantized_input.ts";
export * from "./recurrent.ts";
export * from "./transformer.ts";
export * from "./upsample.ts";
export * as utils from "./utils.ts";
export * from "./value_and_grad.ts";
