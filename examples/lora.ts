/**
 * LoRA by hand: a network that knows one function learns another by low-rank changes of its frozen weights.
 *
 *     deno run -A examples/lora.ts [--steps 1000] [--small]
 *
 * Expected: after the first half of the steps the network fits sin(3x); after the second half it fits sin(3x) + x/2,
 * although only a few percent of its numbers were trained.
 * @module
 */
import * as mx from "@denim/ml";
import * as nn from "@denim/ml/nn";
import * as optim from "@denim/ml/optimizers";
import { loop, percent, type Settings, settings } from "./shared/loop.ts";

/** `y = linear(x) + scale (x A) B`: A and B have a small rank, and B starts at zero, so that nothing changes at first. */
class LoRA extends nn.Module {
  linear: nn.Linear;
  lora_a: mx.NDArray;
  lora_b: mx.NDArray;
  constructor(linear: nn.Linear, rank: number, readonly scale: number) {
    super();
    const [outputs, inputs] = [linear.weight.shape[0]!, linear.weight.shape[1]!], bound = 1 / Math.sqrt(inputs);
    this.linear = linear;
    this.lora_a = mx.random.uniform([inputs, rank], { low: -bound, high: bound });
    this.lora_b = mx.zeros([rank, outputs]);
  }
  forward(x: mx.NDArray): mx.NDArray {
    return this.linear.forward(x).add(x.matmul(this.lora_a).matmul(this.lora_b).mul(this.scale));
  }
  /** One linear layer that does the same. */
  fused(): nn.Linear {
    this.linear.update({ weight: this.linear.weight.add(this.lora_a.matmul(this.lora_b).mul(this.scale).T) });
    return this.linear;
  }
}

/** Layers with gelu between them. */
class MLP extends nn.Module {
  layers: (nn.Linear | LoRA)[];
  constructor(width: number) {
    super();
    const sizes = [1, width, width, width, 1];
    this.layers = sizes.slice(1).map((size, i) => new nn.Linear(sizes[i]!, size));
  }
  forward(x: mx.NDArray): mx.NDArray {
    return this.layers.reduce((h, layer, i) => layer.forward(i === 0 ? h : nn.gelu(h)), x);
  }
}
/** How many numbers are in a tree. */
const count = (tree: nn.Parameters): number => nn.flattenParameters(tree).reduce((total, [, x]) => total + x.size, 0);

/** Trains what is not frozen; returns the losses. */
function fit(label: string, model: MLP, target: (x: mx.NDArray) => mx.NDArray, run: Settings): number[] {
  const optimizer = new optim.Adam(optim.cosineDecay(5e-3, run.steps));
  const lossAndGrad = nn.valueAndGrad(model, (x: mx.NDArray) => nn.losses.mseLoss(model.forward(x), target(x)));
  optimizer.init(model.trainableParameters());
  const state = [model, optimizer, mx.random.state];
  const step = mx.compile(() => {
    const [loss, grads] = lossAndGrad(mx.random.uniform([128, 1], { low: -2, high: 2 }));
    optimizer.update(model, grads);
    return loss;
  }, { inputs: state, outputs: state });
  return loop(label, run, () => step());
}

/** Learns one function, then another; returns the losses of the second. */
export function train(run: Settings): number[] {
  mx.random.seed(0);
  const model = new MLP(run.small ? 32 : 128), half: Settings = { ...run, steps: Math.ceil(run.steps / 2) };
  fit("first task", model, (x) => x.mul(3).sin(), half);

  model.freeze();
  model.layers = model.layers.map((layer) => layer instanceof nn.Linear ? new LoRA(layer, 4, 2) : layer);
  const share = count(model.trainableParameters()) / count(model.parameters());
  const losses = fit("low-rank changes", model, (x) => x.mul(3).sin().add(x.div(2)), half);

  const x = mx.linspace(-2, 2, 9).expandDims(-1), before = model.forward(x);
  model.layers = model.layers.map((layer) => layer instanceof LoRA ? layer.fused() : layer);
  const apart = mx.abs(model.forward(x).sub(before)).max().item();
  if (!run.onStep) console.log(`trained ${percent(share)} of the numbers; fused, results move by ${apart}`);
  return losses;
}

if (import.meta.main) train(settings(1000, 300));
