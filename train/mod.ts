/**
 * The training loop: progress, validation, early stopping, checkpoints to go on from, metrics as JSON lines and CSV, and
 * a report with pictures.
 *
 * @example
 * ```ts ignore
 * import * as nn from "@denim/ml/nn";
 * import * as optim from "@denim/ml/optimizers";
 * import { batches, fromArrays } from "@denim/ml/data";
 * import { Trainer } from "@denim/ml/train";
 * const model = new nn.Sequential(new nn.Linear(784, 128), nn.relu, new nn.Linear(128, 10));
 * const optimizer = new optim.Adam(optim.cosineDecay(1e-3, 2000));
 * const loss = ({ x, y }: { x: mx.NDArray; y: mx.NDArray }) =>
 *   nn.losses.crossEntropy(model.forward(x), y, { reduction: "mean" });
 * const data = batches(fromArrays({ x, y }), { batchSize: 64, shuffle: true });
 * await new Trainer({ model, optimizer, loss }, data, { steps: 2000, folder: "runs/digits" }).run();
 * ```
 * @module
 */
export { type Checkpoint, readCheckpoint, type RunState } from "./checkpoint.ts";
export type { MetricsRow } from "./metrics.ts";
export type { ProgressOutput } from "./progress.ts";
export type { LossResult, Scalars, StepOptions } from "./step.ts";
export {
  type CustomObjective,
  type Objective,
  Trainer,
  type TrainerOptions,
  type TrainResult,
  type Validation,
} from "./trainer.ts";
