/**
 * An LSTM foretells a wave: from sums of two sines with random phases it learns the next value.
 *
 *     deno run -A examples/lstm.ts [--steps 600] [--small]
 *
 * Expected: the mean squared error falls from about 0.5 to less than 0.001. At the end a wave is continued from its own
 * foretold values, and drawn.
 * @module
 */
import * as mx from "@denim/ml";
import * as nn from "@denim/ml/nn";
import * as optim from "@denim/ml/optimizers";
import { loop, type Settings, settings } from "./shared/loop.ts";

/** A recurrent layer, and a linear one that reads the next value off its state. */
class Forecaster extends nn.Module {
  lstm: nn.LSTM;
  head: nn.Linear;
  constructor(size: number) {
    super();
    this.lstm = new nn.LSTM(1, size);
    this.head = new nn.Linear(size, 1);
  }
  /** x [N, L, 1] -> the values after each step [N, L, 1]. */
  forward(x: mx.NDArray): mx.NDArray {
    return this.head.forward(this.lstm.forward(x)[0]);
  }
}

/** Waves [n, length, 1]: (sin(0.25 t + a) + sin(0.4 t + b)) / 2. */
function waves(n: number, length: number): mx.NDArray {
  const t = mx.arange(length), phase = mx.random.uniform([2, n, 1], { high: 2 * Math.PI });
  return mx.sin(t.mul(0.25).add(phase.index(0))).add(mx.sin(t.mul(0.4).add(phase.index(1)))).div(2).expandDims(-1);
}
/** Values from -1 to 1 as a line of marks. */
const drawn = (x: mx.NDArray): string =>
  Array.from<number | bigint, string>(x.dataSync(), (v) => " .:-=+*#%@"[Math.round((Number(v) + 1) / 2 * 9)] ?? "?")
    .join("");

/** Learns waves; returns the losses. */
export function train(run: Settings): number[] {
  mx.random.seed(0);
  const [size, batch, length] = run.small ? [16, 8, 20] : [64, 32, 50];
  const model = new Forecaster(size), optimizer = new optim.Adam(optim.cosineDecay(1e-2, run.steps));
  const lossAndGrad = nn.valueAndGrad(
    model,
    (x: mx.NDArray) => nn.losses.mseLoss(model.forward(x.index(":, :-1")), x.index(":, 1:")),
  );
  optimizer.init(model.trainableParameters());
  mx.eval(model.parameters(), optimizer.state);

  const state = [model, optimizer, mx.random.state];
  const step = mx.compile(() => {
    const [loss, grads] = lossAndGrad(waves(batch, length + 1));
    optimizer.update(model, grads);
    return loss;
  }, { inputs: state, outputs: state });

  const losses = loop("waves", run, () => step());
  if (run.onStep) return losses;
  const truth = waves(1, 2 * length);
  let foretold = truth.index(`:, :${length}`);
  for (let i = 0; i < length; i++) {
    foretold = mx.concatenate([foretold, model.forward(foretold).index(":, -1:")], 1);
    mx.eval(foretold);
  }
  console.log(`the wave     ${drawn(truth)}\nits forecast ${drawn(foretold)} (from the middle on)`);
  return losses;
}

if (import.meta.main) train(settings(600, 100));
