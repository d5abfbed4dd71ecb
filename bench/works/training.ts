/**
 * Steps of training, written with arrays and transforms only: a classifier, and a small transformer language model.
 * @module
 */
import * as mx from "../../mod.ts";
import * as nn from "../../nn/mod.ts";
import type { Work } from "../work.ts";
import { normal } from "./inputs.ts";

type Parameters = mx.NDArray[];
/** Weights, and the loss that they give. */
interface Model {
  readonly weights: Parameters;
  readonly loss: (w: Parameters) => mx.NDArray;
}
/** Adam's two moments of each parameter, and how many steps were taken. */
interface State {
  weights: Parameters;
  first: Parameters;
  second: Parameters;
  step: mx.NDArray;
}
function fresh(weights: Parameters): State {
  const zeros = () => weights.map((w) => mx.zerosLike(w));
  const state = { weights, first: zeros(), second: zeros(), step: mx.array(0, mx.float32) };
  mx.eval(state);
  return state;
}
/**
 * One step of AdamW: m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g², w = (1 - rate decay) w - rate m' / (sqrt(v') +
 * eps).
 */
function adam(state: State, gradients: readonly mx.NDArray[], decay: number): void {
  const [rate, b1, b2, eps] = [1e-3, 0.9, 0.999, 1e-8];
  state.step = state.step.add(1);
  const correction = (b: number) => mx.subtract(1, mx.power(b, state.step));
  const [c1, c2] = [correction(b1), correction(b2)];
  gradients.forEach((g, i) => {
    const m = state.first[i]!.mul(b1).add(g.mul(1 - b1)), v = state.second[i]!.mul(b2).add(g.square().mul(1 - b2));
    const change = m.divide(c1).divide(v.divide(c2).sqrt().add(eps)).mul(rate);
    state.weights[i] = state.weights[i]!.mul(1 - rate * decay).sub(change);
    [state.first[i], state.second[i]] = [m, v];
  });
}
/** Mean of -log softmax(logits)[label]. */
function crossEntropy(logits: mx.NDArray, labels: mx.NDArray): mx.NDArray {
  const chosen = mx.takeAlongAxis(logits, labels.expandDims(-1), -1).squeeze(-1);
  return mx.logsumexp(logits, -1).sub(chosen).mean();
}
const linear = (x: mx.NDArray, w: mx.NDArray, b: mx.NDArray) => mx.addmm(b, x, w.transpose());
const matrix = (rows: number, columns: number, seed: number) => normal([rows, columns], seed).mul(columns ** -0.5);

/** A task that takes one step after another: each call computes the loss and all of the new state. */
function training(name: string, make: (tiny: boolean) => Model) {
  const build = (compiled: boolean): Work => ({
    name: compiled ? `${name}_compiled` : name,
    group: "training",
    prepare(tiny) {
      const { step, state } = trainer(make(tiny));
      const once = compiled ? mx.compile(step, { inputs: state, outputs: state }) : step;
      return { run: () => mx.eval(once(), state) };
    },
  });
  return [build(false), build(true)];
}
/** A step of training as it is written, and what it changes. */
function trainer({ weights, loss }: Model): { step: () => mx.NDArray; state: State } {
  const state = fresh(weights), gradient = mx.valueAndGrad(loss);
  const step = () => {
    const [value, gradients] = gradient(state.weights);
    adam(state, gradients, 0.01);
    return value;
  };
  return { step, state };
}

/** 784-256-256-10 with relu, batch 256. */
function classifier(tiny: boolean): Model {
  const sizes = tiny ? [16, 8, 8, 4] : [784, 256, 256, 10], batch = tiny ? 4 : 256;
  const x = normal([batch, sizes[0]!], 1), labels = mx.arange(batch).remainder(sizes.at(-1)!);
  const weights = sizes.slice(1).flatMap((n, i) => [matrix(n, sizes[i]!, i), mx.zeros([n])]);
  const loss = (w: Parameters) => {
    let y = linear(x, w[0]!, w[1]!);
    for (let i = 2; i < w.length; i += 2) y = linear(mx.maximum(y, 0), w[i]!, w[i + 1]!);
    return crossEntropy(y, labels);
  };
  return { weights, loss };
}

const PER_BLOCK = 12;
/** Pre-norm block: x + attention(norm x), then x + gelu network(norm x). Twelve parameters. */
function block(x: mx.NDArray, w: readonly mx.NDArray[], heads: number): mx.NDArray {
  const [batch, length, width] = [x.shape[0]!, x.shape[1]!, x.shape[2]!];
  const norm = mx.fast.layerNorm(x, w[0]!, w[1]!, 1e-5);
  const qkv = linear(norm, w[2]!, w[3]!).reshape([batch, length, 3, heads, width / heads]).transpose([2, 0, 3, 1, 4]);
  const [q, k, v] = [qkv.index(0), qkv.index(1), qkv.index(2)];
  const seen = mx.fast.scaledDotProductAttention(q, k, v, { scale: (width / heads) ** -0.5, mask: "causal" });
  const y = x.add(linear(seen.transpose([0, 2, 1, 3]).reshape([batch, length, width]), w[4]!, w[5]!));
  const inner = nn.gelu(linear(mx.fast.layerNorm(y, w[6]!, w[7]!, 1e-5), w[8]!, w[9]!));
  return y.add(linear(inner, w[10]!, w[11]!));
}
function blockWeights(d: number, seed: number): Parameters {
  const layer = (rows: number, columns: number, s: number) => [matrix(rows, columns, seed + s), mx.zeros([rows])];
  const norm = () => [mx.ones([d]), mx.zeros([d])];
  return [...norm(), ...layer(3 * d, d, 1), ...layer(d, d, 2), ...norm(), ...layer(4 * d, d, 3), ...layer(d, 4 * d, 4)];
}
/** Vocabulary, width, layers of 4 heads, and the batch's shape. */
type Sizes = readonly [vocabulary: number, width: number, layers: number, batch: number, length: number];
const FULL: Sizes = [1024, 256, 4, 8, 128], TINY: Sizes = [16, 16, 1, 2, 4];
function transformer([vocabulary, d, layers, batch, length]: Sizes): Model {
  const tokens = (seed: number) => mx.random.randint(0, vocabulary, [batch, length], { key: mx.random.key(seed) });
  const inputs = tokens(1), labels = tokens(2);
  mx.eval(inputs, labels);
  const body = Array.from({ length: layers }, (_, i) => blockWeights(d, 10 * i)).flat();
  const ends = [
    matrix(vocabulary, d, 100),
    mx.ones([d]),
    mx.zeros([d]),
    matrix(vocabulary, d, 101),
    mx.zeros([vocabulary]),
  ];
  const loss = (w: Parameters) => {
    const [embedding, scale, shift, head, bias] = w.slice(-ends.length);
    let x = mx.take(embedding!, inputs, 0);
    for (let i = 0; i < layers; i++) x = block(x, w.slice(i * PER_BLOCK, (i + 1) * PER_BLOCK), 4);
    return crossEntropy(linear(mx.fast.layerNorm(x, scale!, shift!, 1e-5), head!, bias!), labels);
  };
  return { weights: [...body, ...ends], loss };
}

/** The works of this file. */
export const trainingWorks: readonly Work[] = [
  ...training("train_mlp_step", classifier),
  ...training("train_lm_step", (tiny) => transformer(tiny ? TINY : FULL)),
];
/** A step of the transformer's training with sizes of one's own, as it is written, and what it changes. */
export const transformerStep = (sizes: Sizes) => trainer(transformer(sizes));
