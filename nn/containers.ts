/**
 * Modules of modules.
 * @module
 */
import type { NDArray } from "../core/mod.ts";
import { Module } from "./module.ts";

/** What can stand in a sequence: a module with `forward`, or a function. */
export type Layer = { forward(x: NDArray): NDArray } | ((x: NDArray) => NDArray);
/**
 * Applies its layers one after the other (`mlx.nn.Sequential`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const model = new nn.Sequential(new nn.Linear(4, 8), nn.relu, new nn.Linear(8, 2));
 * model.forward(mx.ones([3, 4])).shape; // [3, 2]
 * ```
 */
export class Sequential extends Module {
  /** In order. */
  layers: Layer[];
  /** Takes modules and functions. */
  constructor(...layers: Layer[]) {
    super();
    this.layers = layers;
  }
  /** The last layer's result. */
  forward(x: NDArray): NDArray {
    return this.layers.reduce((y, layer) => typeof layer === "function" ? layer(y) : layer.forward(y), x);
  }
}
