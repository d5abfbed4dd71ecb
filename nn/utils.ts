/**
 * What `mlx.nn.utils` holds.
 * @module
 */
export { checkpoint, valueAndGrad } from "./value_and_grad.ts";
