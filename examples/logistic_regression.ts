/**
 * Logistic regression on two classes that a hyperplane separates: value and gradient from one call.
 *
 *     deno run -A examples/logistic_regression.ts [--steps 2000] [--small]
 *
 * Expected: more than 99 % of the examples on the right side.
 * @module
 */
import * as mx from "@denim/ml";
import { loop, percent, type Settings, settings } from "./shared/loop.ts";

/** Finds the hyperplane; returns the losses. */
export function train(run: Settings): number[] {
  const [features, examples, rate] = run.small ? [10, 200, 1] : [100, 5000, 1];
  mx.random.seed(0);
  const truth = mx.random.normal([features]), x = mx.random.normal([examples, features]);
  const y = x.matmul(truth).greater(0).astype(mx.float32);

  // The mean of log(1 + exp(z)) - y z, which is -log of the probability of the right class.
  const loss = (w: mx.NDArray): mx.NDArray => {
    const z = x.matmul(w);
    return mx.logaddexp(0, z).sub(y.mul(z)).mean();
  };
  const lossAndGradient = mx.valueAndGrad(loss);
  let w = mx.zeros([features]);
  mx.eval(x, y, w);

  const losses = loop("logistic regression", run, () => {
    const [value, gradient] = lossAndGradient(w);
    w = w.sub(gradient.mul(rate));
    mx.eval(w, value);
    return value;
  });
  const right = x.matmul(w).greater(0).eq(y).astype(mx.float32).mean().item();
  if (!run.onStep) console.log(`right: ${percent(Number(right))}`);
  return losses;
}

if (import.meta.main) train(settings(2000, 100));
