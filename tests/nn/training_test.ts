/**
 * Training: gradients of models, compiled and eager steps, saved and resumed runs.
 * @module
 */
import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import * as mx from "../../core/mod.ts";
import { runtime } from "../../ffi/runtime.ts";
import * as nn from "../../nn/mod.ts";
import * as optim from "../../optimizers/mod.ts";

type NDArray = mx.NDArray;
type Step = (x: NDArray, y: NDArray) => NDArray;
/** A model of images, with everything that has state in training. */
class Network extends nn.Module {
  conv = new nn.Conv2d(1, 4, 3, { padding: 1 });
  norm = new nn.BatchNorm(4);
  pool = new nn.MaxPool2d(2);
  drop = new nn.Dropout(0.1);
  layers = [new nn.Linear(4 * 4 * 4, 16), new nn.Linear(16, 3)];
  forward(x: NDArray): NDArray {
    const seen = this.pool.forward(nn.relu(this.norm.forward(this.conv.forward(x))));
    const [first, last] = this.layers;
    return last!.forward(this.drop.forward(nn.relu(first!.forward(seen.reshape([x.shape[0]!, -1])))));
  }
}
function setUp(makeOptimizer: () => optim.Optimizer) {
  mx.random.seed(7);
  const model = new Network(), optimizer = makeOptimizer();
  const x = mx.random.normal([24, 8, 8, 1]), y = mx.random.randint(0, 3, [24]);
  const lossAndGrad = nn.valueAndGrad(
    model,
    (x: NDArray, y: NDArray) => nn.losses.crossEntropy(model.forward(x), y, { reduction: "mean" }),
  );
  const step: Step = (x, y) => {
    const [loss, grads] = lossAndGrad(x, y);
    optimizer.update(model, grads);
    return loss;
  };
  mx.eval(model.parameters(), x, y);
  return { model, optimizer, step, x, y, state: [model, optimizer, mx.random.state] };
}
const optimizers: readonly [string, () => optim.Optimizer][] = [
  ["SGD", () => new optim.SGD(0.1, { momentum: 0.9, nesterov: true })],
  ["Adam with a schedule", () => new optim.Adam(optim.cosineDecay(0.02, 100), { biasCorrection: true })],
  ["AdamW", () => new optim.AdamW(0.01)],
  [
    "Muon and Lion",
    () => new optim.MultiOptimizer([new optim.Muon(0.02), new optim.Lion(2e-3)], [(_path, g) => g.ndim > 1]),
  ],
];

for (const [name, make] of optimizers) {
  Deno.test(`${name}: compiled and eager training agree and converge`, () => {
    const runs = [false, true].map((compiled) => {
      const { model, optimizer, step, x, y, state } = setUp(make);
      const run = compiled ? mx.compile(step, { inputs: state, outputs: state }) : step;
      const losses = Array.from({ length: 40 }, () => {
        const loss = run(x, y);
        mx.eval(model.parameters(), optimizer.state, loss);
        return Number(loss.item());
      });
      assertEquals(Number(optimizer.step.item()), 40);
      return losses;
    });
    const [eager, compiled] = runs;
    compiled!.slice(0, 8).forEach((loss, i) => assertLess(Math.abs(loss - eager![i]!), 1e-3, `step ${i}`));
    for (const losses of runs) assertLess(losses.at(-1)!, 0.5 * losses[0]!);
  });
}

Deno.test("a compiled step is one native call, and its memory is flat", () => {
  const { optimizer, model, step, x, y, state } = setUp(() => new optim.Adam(1e-3));
  optimizer.init(model.trainableParameters());
  const run = mx.compile(step, { inputs: state, outputs: state });
  for (let i = 0; i < 3; i++) run(x, y).item();
  const before = { ...runtime().stats() };
  for (let i = 0; i < 50; i++) run(x, y).item();
  const after = runtime().stats(), arrays = nn.flattenParameters(model.parameters()).length;
  assertEquals(after.programs - before.programs, 50);
  // The loss, the step and what else is no array of the model; its parameters and their moments are written in place.
  assertLess((after.allocations - before.allocations) / 50, arrays);
  assertLess(mx.compileStatistics(run).traces, 3);
});

Deno.test("a saved run resumes exactly", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const make = () => new optim.AdamW(optim.linearSchedule(0.01, 0, 50));
    const first = setUp(make),
      losses = (n: number, s: ReturnType<typeof setUp>) =>
        Array.from({ length: n }, () => Number(s.step(s.x, s.y).item()));
    first.model.drop = new nn.Dropout(0);
    losses(5, first);
    await first.model.saveWeights(`${folder}/model.safetensors`);
    const saved = Object.fromEntries(mx.treeFlatten<NDArray>(first.optimizer.state));
    await mx.saveSafetensors(`${folder}/optimizer.safetensors`, saved);
    const expected = losses(5, first);
    const second = setUp(make);
    second.model.drop = new nn.Dropout(0);
    second.model.loadWeights(`${folder}/model.safetensors`);
    for (const [path, value] of Object.entries(mx.load(`${folder}/optimizer.safetensors`))) {
      put(second.optimizer, path, value);
    }
    assertEquals(losses(5, second), expected);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
/** Puts one array of a saved state back. */
function put(optimizer: optim.Optimizer, path: string, value: NDArray): void {
  const keys = path.split("."), last = keys.pop()!;
  let at: object = optimizer.state;
  for (const [i, key] of keys.entries()) {
    const next: unknown = Reflect.get(at, key);
    const made: object = typeof next === "object" && next !== null ? next : /^\d+$/.test(keys[i + 1] ?? "") ? [] : {};
    Reflect.set(at, key, made);
    at = made;
  }
  Reflect.set(at, last, value);
}

Deno.test("gradients of a model have its trainable parameters, and state moves although it was traced", () => {
  const { model, x, y } = setUp(() => new optim.SGD(0.1));
  model.conv.freeze();
  const old = model.norm.running_mean!;
  const lossAndGrad = nn.valueAndGrad(model, (x: NDArray, y: NDArray): [NDArray, NDArray] => {
    const logits = model.forward(x);
    return [nn.losses.crossEntropy(logits, y, { reduction: "mean" }), logits];
  });
  const [[loss, logits], grads] = lossAndGrad(x, y);
  assertEquals([[...loss.shape], [...logits.shape]], [[], [24, 3]]);
  assertEquals(nn.flattenParameters(grads).map(([path]) => path).sort(), [
    "layers.0.bias",
    "layers.0.weight",
    "layers.1.bias",
    "layers.1.weight",
    "norm.bias",
    "norm.weight",
  ]);
  assert(!mx.arrayEqual(model.norm.running_mean!, old).item());
  assert(nn.flattenParameters(model.parameters()).every(([, p]) => !p.traced));
});

Deno.test("a function that fails leaves the model as it was", () => {
  const model = new nn.Linear(2, 2), before = model.weight;
  const broken = nn.valueAndGrad(model, (): NDArray => {
    throw new Error("no");
  });
  assertThrows(() => broken(), Error, "no");
  assert(model.weight === before);
});

Deno.test("gradients are averaged over a group, small ones together", () => {
  const sent: number[] = [];
  const group = {
    size: 2,
    allSum: (x: NDArray) => {
      sent.push(x.size);
      return x.mul(4);
    },
  };
  const gradients = { a: mx.ones([2, 2]), list: [mx.ones([3]), mx.ones([5])] };
  const averaged = nn.averageGradients(gradients, { group });
  assertEquals(mx.treeFlatten(averaged).map(([path, x]) => [path, x.tolist()]), [
    ["a", [[2, 2], [2, 2]]],
    ["list.0", [2, 2, 2]],
    ["list.1", [2, 2, 2, 2, 2]],
  ]);
  assertEquals(sent, [12]);
  nn.averageGradients(gradients, { group, allReduceSize: 0 });
  assertEquals(sent, [12, 4, 3, 5]);
  assert(nn.averageGradients(gradients) === gradients);
});
