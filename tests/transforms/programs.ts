/**
 * Programs that people compile, at sizes of tests: steps of training, a language model's prefill and decoding, and
 * graphs that were drawn. Each is a compiled function and a call of it.
 * @module
 */
import * as mx from "../../mod.ts";
import * as nn from "../../nn/mod.ts";
import { Clock, makePromptCache } from "../../lm/mod.ts";
import * as optim from "../../optimizers/mod.ts";
import { tinyConfig, tinyModel } from "../lm/tiny.ts";
import { run } from "../random_graphs/program.ts";
import { programOf } from "../random_graphs/generate.ts";
import { toArray } from "../cases/tensor.ts";

type NDArray = mx.NDArray;
type Layer = nn.Module & { forward(x: NDArray): NDArray };
/** A compiled function, and a call of it. */
export interface Compiled {
  readonly name: string;
  readonly f: (...args: never[]) => unknown;
  readonly call: () => void;
}
/** A classifier of rows or images. */
class Classifier extends nn.Module {
  constructor(readonly layers: readonly Layer[]) {
    super();
  }
  forward(x: NDArray): NDArray {
    return this.layers.reduce((y, layer) => layer.forward(y), x);
  }
}
class Flatten extends nn.Module {
  forward(x: NDArray): NDArray {
    return x.reshape([x.shape[0]!, -1]);
  }
}
/** Tokens to logits through an encoder. */
class Language extends nn.Module {
  embedding = new nn.Embedding(64, 64);
  body = new nn.TransformerEncoder(3, 64, 4, { mlpDims: 256 });
  head = new nn.Linear(64, 64);
  forward(x: NDArray): NDArray {
    const mask = nn.MultiHeadAttention.createAdditiveCausalMask(x.shape[1]!);
    return this.head.forward(this.body.forward(this.embedding.forward(x), mask));
  }
}
/** A step of training with AdamW, compiled with its state. */
export function trainStep(name: string, model: Layer, x: NDArray, y: NDArray) {
  const optimizer = new optim.AdamW(1e-3);
  optimizer.init(model.trainableParameters());
  const loss = nn.valueAndGrad(
    model,
    (x: NDArray, y: NDArray) => nn.losses.crossEntropy(model.forward(x), y, { reduction: "mean" }),
  );
  const state = [model, optimizer, mx.random.state];
  const f = mx.compile((x: NDArray, y: NDArray) => {
    const [value, gradients] = loss(x, y);
    optimizer.update(model, gradients);
    return value;
  }, { inputs: state, outputs: state });
  mx.eval(model.parameters(), optimizer.state, x, y);
  return { name, model, optimizer, f, call: () => void f(x, y).item() };
}
const labels = (shape: readonly number[]): NDArray => mx.random.randint(0, 10, shape);
/** Linear layers with relu and dropout. */
export const mlp = () =>
  trainStep(
    "MLP step",
    new Classifier([
      new nn.Linear(64, 128),
      new nn.ReLU(),
      new nn.Dropout(0.1),
      new nn.Linear(128, 96),
      new nn.ReLU(),
      new nn.Linear(96, 10),
    ]),
    mx.random.normal([64, 64]),
    labels([64]),
  );
/** Convolutions with batch norm and pooling. */
export const cnn = () =>
  trainStep(
    "CNN step",
    new Classifier([
      new nn.Conv2d(3, 16, 3, { padding: 1 }),
      new nn.BatchNorm(16),
      new nn.ReLU(),
      new nn.MaxPool2d(2),
      new nn.Conv2d(16, 32, 3, { padding: 1 }),
      new nn.ReLU(),
      new nn.MaxPool2d(2),
      new Flatten(),
      new nn.Linear(512, 10),
    ]),
    mx.random.normal([16, 16, 16, 3]),
    labels([16]),
  );
/** An encoder as a language model. */
export const transformer = () => trainStep("transformer step", new Language(), labels([4, 32]), labels([4, 32]));

/** A prompt at once, and one token with caches that the program updates. */
export function llama(): Compiled[] {
  const model = tinyModel(tinyConfig("llama", { num_hidden_layers: 4 })), tokens = labels([1, 96]);
  const state = { caches: makePromptCache(model), clock: new Clock(96) }, one = labels([1, 1]);
  mx.eval(tokens, one);
  mx.eval(model.forward(tokens, { cache: state.caches }));
  for (const cache of state.caches) cache.follow(state.clock, 8);
  const prefill = mx.compile((x: NDArray) => model.forward(x));
  const decode = mx.compile((x: NDArray) => {
    const logits = model.forward(x, { cache: state.caches });
    state.clock.advance(1);
    return logits;
  }, { inputs: state, outputs: state });
  return [
    { name: "llama prefill", f: prefill, call: () => mx.eval(prefill(tokens)) },
    { name: "llama decode", f: decode, call: () => mx.eval(decode(one)) },
  ];
}
/** Random graphs, and their gradients. */
export function drawn(seeds: number): Compiled[] {
  return Array.from({ length: seeds }, (_, seed) => {
    const p = programOf(seed), xs = p.inputs.map(toArray), f = mx.compile((...ys: NDArray[]) => run(p, ys));
    return { name: `random graph ${seed}`, f, call: () => mx.eval(f(...xs)) };
  });
}
