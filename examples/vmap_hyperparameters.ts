/**
 * Many models at once: `mx.vmap` turns one step of training into a step of a whole population that differs in learning
 * rates and in starting points.
 *
 *     deno run -A examples/vmap_hyperparameters.ts [--steps 500] [--small]
 *
 * Expected: a table of final losses by learning rate; the best one is neither the smallest nor the largest rate.
 * @module
 */
import * as mx from "@denim/ml";
import { loop, type Settings, settings } from "./shared/loop.ts";

/** Weights and biases of two layers. */
type Weights = [mx.NDArray, mx.NDArray, mx.NDArray, mx.NDArray];

/** Trains the population; returns the losses of its best member at each step. */
export function train(run: Settings): number[] {
  mx.random.seed(0);
  const [rates, seeds, width] = run.small ? [6, 2, 16] : [12, 4, 64], members = rates * seeds;
  const x = mx.random.uniform([256, 1], { low: -2, high: 2 }), y = mx.sin(x.mul(3));
  // One model: its loss, and one step of it at its own rate.
  const loss = ([w1, b1, w2, b2]: Weights): mx.NDArray =>
    mx.tanh(x.matmul(w1).add(b1)).matmul(w2).add(b2).sub(y).square().mean();
  const lossAndGradients = mx.valueAndGrad(loss);
  const one = (weights: Weights, rate: mx.NDArray): [mx.NDArray, ...Weights] => {
    const [value, gradients] = lossAndGradients(weights);
    const [w1, b1, w2, b2] = weights.map((w, i) => w.sub(gradients[i]!.mul(rate)));
    return [value, w1!, b1!, w2!, b2!];
  };
  const all = mx.compile(mx.vmap(one));

  // Rates from 0.001 to 1, each with several starting points.
  const rate = mx.repeat(mx.power(10, mx.linspace(-3, 0, rates)), seeds);
  let weights: Weights = [
    mx.random.normal([members, 1, width], { scale: 2 }),
    mx.random.normal([members, 1, width]),
    mx.random.normal([members, width, 1], { scale: width ** -0.5 }),
    mx.zeros([members, 1, 1]),
  ];
  let values = mx.zeros([members]);
  mx.eval(x, y, rate, weights);
  const losses = loop(`${members} models`, run, () => {
    [values, ...weights] = all(weights, rate);
    mx.eval(values, weights);
    return mx.where(mx.isfinite(values), values, Infinity).min();
  });

  if (run.onStep) return losses;
  const shown = Array.from<number | bigint, string>(values.dataSync(), (v) => Number(v).toFixed(4).padStart(8));
  for (let i = 0; i < rates; i++) {
    const name = Number(rate.index(i * seeds).item()).toFixed(4);
    console.log(`rate ${name}: losses ${shown.slice(i * seeds, (i + 1) * seeds).join(" ")}`);
  }
  return losses;
}

if (import.meta.main) train(settings(500, 100));
