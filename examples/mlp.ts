/**
 * A multi-layer perceptron tells two spirals apart. The step is compiled: the model and the optimizer are its state, so
 * a step is one call of one program, which updates the weights in place.
 *
 *     deno run -A examples/mlp.ts [--steps 3000] [--small]
 *
 * Expected: all points on the right side, and a map of the plane with both spirals.
 * @module
 */
import * as mx from "@denim/ml";
import * as nn from "@denim/ml/nn";
import * as optim from "@denim/ml/optimizers";
import { loop, percent, type Settings, settings } from "./shared/loop.ts";

/** Linear layers with tanh between them. */
class MLP extends nn.Module {
  layers: nn.Linear[];
  constructor(sizes: readonly number[]) {
    super();
    this.layers = sizes.slice(1).map((size, i) => new nn.Linear(sizes[i]!, size));
  }
  forward(x: mx.NDArray): mx.NDArray {
    const [last, ...before] = this.layers.toReversed();
    return last!.forward(before.reduceRight((h, layer) => mx.tanh(layer.forward(h)), x)).squeeze(-1);
  }
}

/** Points [2 n, 2] on two spirals of one and a half turns, and which one they are on, [2 n]. */
function spirals(n: number): [mx.NDArray, mx.NDArray] {
  const t = mx.random.uniform([2, n]), angle = t.mul(3 * Math.PI).add(mx.array([[0], [Math.PI]]));
  const points = mx.stack([mx.cos(angle), mx.sin(angle)], -1).mul(t.mul(0.9).add(0.1).expandDims(-1));
  return [points.reshape([2 * n, 2]), mx.repeat(mx.array([0, 1]), n)];
}
/** The plane from -1 to 1 as the model sees it. */
function drawn(model: MLP, width: number, height: number): string {
  const x = mx.linspace(-1, 1, width), y = mx.linspace(1, -1, height);
  const points = mx.stack(mx.meshgrid(x, y), -1).reshape([-1, 2]);
  const marks = Array.from<number | bigint, string>(model.forward(points).dataSync(), (z) => z > 0 ? "#" : ".");
  return Array.from({ length: height }, (_, r) => marks.slice(r * width, (r + 1) * width).join("")).join("\n");
}

/** Learns the spirals; returns the losses. */
export function train(run: Settings): number[] {
  mx.random.seed(0);
  const [x, y] = spirals(run.small ? 100 : 500), model = new MLP(run.small ? [2, 16, 16, 1] : [2, 64, 64, 1]);
  const optimizer = new optim.Adam(0.01);
  const lossAndGrad = nn.valueAndGrad(
    model,
    () => nn.losses.binaryCrossEntropy(model.forward(x), y, { reduction: "mean" }),
  );
  optimizer.init(model.trainableParameters());
  mx.eval(x, y, model.parameters(), optimizer.state);

  const state = [model, optimizer];
  const step = mx.compile(() => {
    const [loss, grads] = lossAndGrad();
    optimizer.update(model, grads);
    return loss;
  }, { inputs: state, outputs: state });

  const losses = loop("spirals", run, () => step());
  const right = model.forward(x).greater(0).eq(y).astype(mx.float32).mean().item();
  if (!run.onStep) console.log(`${drawn(model, 60, 24)}\nright: ${percent(Number(right))}`);
  return losses;
}

if (import.meta.main) train(settings(3000, 200));
