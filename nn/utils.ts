/**
 * What `mlx.nn.utils` holds.
 * @module
 */
export { averageGradients, checkpoint, valueAndGrad } from "./value_and_grad.ts";
