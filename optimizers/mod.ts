/**
 * Optimizers (`mlx.optimizers`), schedules of learning rates, and clipping of gradients.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * import * as optim from "@denim/ml/optimizers";
 * const model = new nn.Linear(2, 1), optimizer = new optim.Adam(0.01);
 * const lossAndGrad = nn.valueAndGrad(model, (x: mx.NDArray, y: mx.NDArray) => nn.losses.mseLoss(model.forward(x), y));
 * const [loss, grads] = lossAndGrad(mx.ones([4, 2]), mx.zeros([4, 1]));
 * optimizer.update(model, grads);
 * mx.eval(model.parameters(), optimizer.state, loss);
 * ```
 * @module
 */
export * from "./adafactor.ts";
export * from "./adam.ts";
export * from "./adaptive.ts";
export * from "./clip.ts";
export * from "./multi.ts";
export * from "./muon.ts";
export {
  Optimizer,
  type OptimizerOptions,
  type OptimizerState,
  type Parameters,
  type ParameterState,
  type Rate,
  type Schedule,
  type StateTree,
  type Trainable,
} from "./optimizer.ts";
export * from "./schedulers.ts";
export * from "./sgd.ts";
