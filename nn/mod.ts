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
export * from "./embedding.ts";
export * from "./linear.ts";
export * from "./module.ts";
export * from "./normalization.ts";
export * from "./positional_encoding.ts";
export * from "./quantized.ts";
