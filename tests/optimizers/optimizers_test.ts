/**
 * Optimizers, schedules and clipping: first steps by hand, state, refusals. What many steps give is among the recorded
 * cases.
 * @module
 */
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as mx from "../../core/mod.ts";
import * as nn from "../../nn/mod.ts";
import * as optim from "../../optimizers/mod.ts";

type NDArray = mx.NDArray;
function assertClose(actual: NDArray | undefined, expected: readonly number[]): void {
  assert(
    actual && mx.allclose(actual, mx.array([...expected]), { rtol: 1e-5, atol: 1e-6 }).item(),
    `${actual} is not ${expected}`,
  );
}
/** The parameter [1, -2] after one step with the gradient [0.5, 3]. */
function firstStep(o: optim.Optimizer): NDArray {
  return o.applyGradients({ w: mx.array([0.5, 3]) }, { w: mx.array([1, -2]) }).w;
}

Deno.test("first steps", () => {
  assertClose(firstStep(new optim.SGD(0.1)), [0.95, -2.3]);
  assertClose(firstStep(new optim.SGD(0.1, { momentum: 0.9, nesterov: true })), [1 - 0.1 * 0.95, -2 - 0.1 * 5.7]);
  assertClose(firstStep(new optim.SGD(0.1, { weightDecay: 0.5 })), [0.9, -2.2]);
  assertClose(firstStep(new optim.Adam(0.1, { biasCorrection: true })), [0.9, -2.1]);
  assertClose(firstStep(new optim.AdamW(0.1, { biasCorrection: true, weightDecay: 1 })), [0.8, -1.9]);
  assertClose(firstStep(new optim.Adamax(0.1)), [0.99, -2.01]);
  assertClose(firstStep(new optim.Lion(0.1)), [0.9, -2.1]);
  assertClose(firstStep(new optim.Adagrad(0.1)), [0.9, -2.1]);
  assertClose(firstStep(new optim.RMSprop(0.1, { alpha: 0.75 })), [0.8, -2.2]);
});

Deno.test("state has the places of the parameters, and saves and loads as a tree", () => {
  const o = new optim.Adam(0.1), model = new nn.Sequential(new nn.Linear(2, 2), nn.relu, new nn.Linear(2, 1));
  o.init(model.trainableParameters());
  const paths = mx.treeFlatten<NDArray>(o.state).map(([path]) => path);
  assertEquals(paths.filter((p) => p.startsWith("layers.2.weight")), ["layers.2.weight.m", "layers.2.weight.v"]);
  assert(paths.includes("step") && paths.includes("learning_rate"));
  o.state = { step: mx.array(3, mx.uint64), learning_rate: mx.array(0.5) };
  assertClose(firstStep(o), [1 - 0.5 * 0.05 / (0.5 * Math.sqrt(1e-3)), -2 - 0.5 * 0.3 / (3 * Math.sqrt(1e-3))]);
  assertEquals(o.step.item(), 4n);
});

Deno.test("a model may have more parameters than gradients", () => {
  const model = new nn.Linear(2, 1), bias = model.bias, o = new optim.SGD(1);
  o.update(model, { weight: mx.onesLike(model.weight) });
  assert(model.bias === bias);
  assertEquals(o.step.item(), 1n);
});

Deno.test("the dtype of a parameter stays", () => {
  const half = (o: optim.Optimizer) =>
    o.applyGradients({ w: mx.ones([2, 2], mx.bfloat16) }, { w: mx.ones([2, 2], mx.bfloat16) }).w.dtype;
  const all = [
    new optim.SGD(0.1, { momentum: 0.9 }),
    new optim.Adam(0.1, { biasCorrection: true }),
    new optim.AdamW(optim.cosineDecay(0.1, 10)),
    new optim.Adafactor(),
    new optim.Muon(0.1),
    new optim.AdaDelta(0.1),
  ];
  for (const o of all) assertEquals(half(o), mx.bfloat16, o.constructor.name);
});

Deno.test("a learning rate can be set, and a schedule sees steps from 0", () => {
  const o = new optim.SGD(0.1);
  o.learningRate = 0.5;
  assertClose(firstStep(o), [0.75, -3.5]);
  const seen: number[] = [];
  const scheduled = new optim.SGD((step) => {
    seen.push(Number(step.item()));
    return mx.array(1);
  });
  firstStep(scheduled);
  firstStep(scheduled);
  assertEquals(seen, [0, 0, 1]);
});

Deno.test("schedules", () => {
  const at = (schedule: optim.Schedule, step: number): number => Number(schedule(mx.array(step, mx.uint64)).item());
  assertAlmostEquals(at(optim.exponentialDecay(0.1, 0.9), 5), 0.1 * 0.9 ** 5, 1e-6);
  assertAlmostEquals(at(optim.stepDecay(0.1, 0.9, 10), 21), 0.081, 1e-6);
  assertAlmostEquals(at(optim.cosineDecay(0.1, 1000), 5), 0.0999938, 1e-6);
  assertAlmostEquals(at(optim.cosineDecay(0.1, 10, { end: 0.01 }), 50), 0.01, 1e-6);
  assertAlmostEquals(at(optim.linearSchedule(0, 0.1, 100), 101), 0.1, 1e-6);
  const joined = optim.joinSchedules([optim.linearSchedule(0, 0.1, 10), optim.cosineDecay(0.1, 200)], [10]);
  assertAlmostEquals(at(joined, 5), 0.05, 1e-6);
  assertAlmostEquals(at(joined, 12), 0.1 * 0.5 * (1 + Math.cos(Math.PI / 100)), 1e-6);
});

Deno.test("several optimizers share the parameters by filters", () => {
  const o = new optim.MultiOptimizer([new optim.SGD(1), new optim.SGD(0.1)], {
    filters: [(path) => path.startsWith("a")],
  });
  const w = { a: mx.array([1]), b: { c: mx.array([1]) } };
  const { a, b } = o.applyGradients(w, w);
  assertClose(a, [0]);
  assertClose(b.c, [0.9]);
  assertEquals([o.step.item(), o.learningRate.item()], [1n, 1]);
  o.learningRate = 0.5;
  assertClose(o.applyGradients(w, w).b.c, [0.5]);
  o.state = { states: [] };
  assertThrows(() => o.applyGradients(w, w), mx.ValueError, "expected { states } with 2 states, got 0");
});

Deno.test("a rate is rounded to the dtype of the gradient that it multiplies: float32 where decay makes it so", () => {
  const w = mx.array([0]), g = mx.array([1], mx.bfloat16), rounded = 0.10009765625; // 0.1 in bfloat16
  assertEquals(new optim.SGD(0.1).applyGradients({ w: g }, { w }).w.item(), -rounded);
  for (const o of [new optim.SGD(0.1, { weightDecay: 1 }), new optim.Muon(0.1, { momentum: 0 })]) {
    assertEquals(o.applyGradients({ w: g }, { w }).w.item(), -Math.fround(0.1));
  }
});

Deno.test("clipping keeps small gradients and dtypes", () => {
  const [clipped, norm] = optim.clipGradNorm({ w: mx.array([3, 0]), list: [mx.array([4], mx.float16)] }, 1);
  assertClose(clipped.w, [0.6, 0]);
  assertEquals([clipped.list[0]!.dtype, norm.item()], [mx.float16, 5]);
  assertClose(optim.clipGradNorm({ w: mx.array([3, 4]) }, 10)[0].w, [3, 4]);
  const half = mx.array([3, 4], mx.bfloat16);
  assertEquals(optim.clipGradNorm({ half }, 1)[1].dtype, mx.bfloat16);
  assertEquals(optim.clipGradNorm({ half, w: mx.array([0]) }, 1)[1].dtype, mx.float32);
  assertEquals(optim.clipGradNorm({}, 1)[1].item(), 0);
});

Deno.test("settings out of range are refused", () => {
  const refusals: [() => unknown, string][] = [
    [() => new optim.SGD(1, { nesterov: true }), "[optimizers.SGD] cannot use Nesterov momentum"],
    [
      () => new optim.AdamW(1, { betas: [0.9, 1] }),
      "[optimizers.AdamW] cannot use betas[1] 1: expected a number in [0, 1)",
    ],
    [() => new optim.RMSprop(1, { eps: 0 }), "[optimizers.RMSprop] cannot use eps 0: expected a positive number"],
    [
      () => new optim.MultiOptimizer([new optim.SGD(1)], [() => true]),
      "expected 0 filters, one for each but the last, got 1",
    ],
    [() => optim.stepDecay(1, 0.9, 0), "[optimizers.stepDecay] cannot use stepSize 0: expected at least 1"],
    [() => optim.joinSchedules([], []), "cannot join 0 schedules"],
    [() => optim.clipGradNorm({}, -1), "[optimizers.clipGradNorm] cannot clip to a norm of -1"],
  ];
  for (const [f, message] of refusals) assertThrows(f, mx.ValueError, message);
});
