/**
 * Denim: lazy arrays, composable transforms and neural networks for Deno, after MLX.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.array([1, 2, 3]);
 * console.log(x.mul(x).sum().item()); // 14
 * ```
 * @module
 */
export * from "./core/mod.ts";
