/**
 * Linear regression from nothing but arrays and `mx.grad`: finds the weights that made noisy data.
 *
 *     deno run -A examples/linear_regression.ts [--steps 1000] [--small]
 *
 * Expected: the loss falls to half of the noise's variance (5e-5), and the error of the weights is below 0.01.
 * @module
 */
import * as mx from "@denim/ml";
import { loop, type Settings, settings } from "./shared/loop.ts";

/** Fits y = X w; returns the losses. */
export function train(run: Settings): number[] {
  const [features, examples, rate] = run.small ? [10, 200, 0.1] : [100, 1000, 0.1];
  mx.random.seed(0);
  const truth = mx.random.normal([features]), x = mx.random.normal([examples, features]);
  const y = x.matmul(truth).add(mx.random.normal([examples], { scale: 0.01 }));

  const loss = (w: mx.NDArray): mx.NDArray => x.matmul(w).sub(y).square().mean().mul(0.5);
  const gradient = mx.grad(loss);
  let w = mx.random.normal([features], { scale: 0.01 });
  mx.eval(x, y, w);

  const losses = loop("linear regression", run, () => {
    w = w.sub(gradient(w).mul(rate));
    const value = loss(w);
    mx.eval(w, value);
    return value;
  });
  const error = w.sub(truth).square().sum().sqrt().item();
  if (!run.onStep) console.log(`|w - w*| = ${Number(error).toFixed(5)}`);
  return losses;
}

if (import.meta.main) train(settings(1000, 100));
