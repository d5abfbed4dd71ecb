/**
 * A layer with a derivative of its own: hidden units that fire or do not, which has no useful derivative. The backward
 * pass takes that of a smooth step instead (a surrogate gradient), by `mx.customFunction`.
 *
 *     deno run -A examples/custom_function.ts [--steps 1000] [--small]
 *
 * Expected: a network of units that are all 0 or 1 learns a ring; with the true derivative, zero, its first layer would
 * never move.
 * @module
 */
import * as mx from "@denim/ml";
import * as nn from "@denim/ml/nn";
import * as optim from "@denim/ml/optimizers";
import { loop, percent, type Settings, settings } from "./shared/loop.ts";

/** 1 where x > 0, else 0; for the backward pass its slope is 1 / (1 + |4 x|)². */
const fire = mx.customFunction((x: mx.NDArray) => x.greater(0).astype(x.dtype)).vjp((x, cotangent) =>
  cotangent.div(mx.abs(x.mul(4)).add(1).square())
);

/** Two layers of units that fire. */
class Spiking extends nn.Module {
  inner: nn.Linear;
  middle: nn.Linear;
  outer: nn.Linear;
  constructor(width: number) {
    super();
    [this.inner, this.middle, this.outer] = [
      new nn.Linear(2, width),
      new nn.Linear(width, width),
      new nn.Linear(width, 1),
    ];
  }
  forward(x: mx.NDArray): mx.NDArray {
    return this.outer.forward(fire(this.middle.forward(fire(this.inner.forward(x))))).squeeze(-1);
  }
}

/** Learns which points lie in a ring; returns the losses. */
export function train(run: Settings): number[] {
  mx.random.seed(0);
  const x = mx.random.uniform([run.small ? 256 : 2048, 2], { low: -1, high: 1 }), radius = x.square().sum(-1).sqrt();
  const y = mx.logicalAnd(radius.greater(0.4), radius.less(0.8)).astype(mx.float32);
  const model = new Spiking(run.small ? 32 : 128), optimizer = new optim.Adam(optim.cosineDecay(1e-2, run.steps));
  const lossAndGrad = nn.valueAndGrad(model, () => nn.losses.binaryCrossEntropy(model.forward(x), y));
  optimizer.init(model.trainableParameters());
  mx.eval(x, y, model.parameters(), optimizer.state);

  const state = [model, optimizer];
  const step = mx.compile(() => {
    const [loss, grads] = lossAndGrad();
    optimizer.update(model, grads);
    return loss;
  }, { inputs: state, outputs: state });

  const losses = loop("ring", run, () => step());
  const right = model.forward(x).greater(0).eq(y).astype(mx.float32).mean().item();
  if (!run.onStep) console.log(`right: ${percent(Number(right))}`);
  return losses;
}

if (import.meta.main) train(settings(1000, 200));
