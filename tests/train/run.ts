/**
 * A small run that is killed and resumed by tests: `run.ts FOLDER STEPS MILLISECONDS [WIDTH]`. It has all that a run
 * remembers: dropout and batch normalization, a shuffled order with a short last batch, two optimizers with a schedule,
 * validation. Prints the SHA-256 of what it ends with.
 * @module
 */
import { createHash } from "node:crypto";
import * as mx from "../../mod.ts";
import * as nn from "../../nn/mod.ts";
import * as optim from "../../optimizers/mod.ts";
import { batches, fromArrays } from "../../data/mod.ts";
import { Trainer } from "../../train/mod.ts";

const [folder = "", steps = "30", milliseconds = "0", width = "16"] = Deno.args;
mx.random.seed(5);
const x = mx.random.normal([61, 8]), y = x.sum(1, { keepdims: true });
mx.eval(x, y);
const model = new nn.Sequential(
  new nn.Linear(8, Number(width)),
  new nn.BatchNorm(Number(width)),
  new nn.Dropout(0.2),
  new nn.Linear(Number(width), 1),
);
const optimizer = new optim.MultiOptimizer([
  new optim.AdamW(optim.cosineDecay(0.01, 40)),
  new optim.SGD(0.01, { momentum: 0.9 }),
], [(path) => path.endsWith("weight")]);
const rows = fromArrays({ x, y }), data = batches(rows, { batchSize: 8, shuffle: true, seed: 2 });
const trainer = new Trainer(
  { model, optimizer, loss: ({ x, y }) => nn.losses.mseLoss(model.forward(x), y) },
  data,
  {
    steps: Number(steps),
    folder,
    checkpointEvery: 2,
    every: 5,
    validation: { data: batches(rows, { batchSize: 20 }) },
    accumulate: 2,
    clipNorm: 1,
    report: false,
    onLog: () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(milliseconds)),
  },
);
const { step, best, rows: log } = await trainer.run();
const hash = createHash("sha256");
for (const [path, array] of mx.treeFlatten<mx.NDArray>([model.parameters(), optimizer.state, mx.random.state.key])) {
  const { buffer, byteOffset, byteLength } = array.dataSync();
  hash.update(path).update(new Uint8Array(buffer, byteOffset, byteLength));
}
for (const { itemsPerSecond: _, seconds: __, ...row } of log) hash.update(JSON.stringify(row));
hash.update(JSON.stringify([step, best, data.state()]));
console.log(hash.digest("hex"));
