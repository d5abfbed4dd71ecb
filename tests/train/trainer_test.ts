/**
 * The trainer: what a run computes, how it goes on after it was killed or its files were damaged, what it shows and
 * writes. Runs that end with their process are programs of their own (`run.ts`).
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import * as mx from "../../mod.ts";
import * as nn from "../../nn/mod.ts";
import * as optim from "../../optimizers/mod.ts";
import { batches, fromArrays, fromStream } from "../../data/mod.ts";
import { type MetricsRow, readCheckpoint, Trainer, type TrainerOptions } from "../../train/mod.ts";

type Pair = { x: mx.NDArray; y: mx.NDArray };
/** A small regression, whose data and parameters are the same each time. */
function regression(rate: optim.Rate = 0.05) {
  mx.random.seed(1);
  const x = mx.random.normal([24, 4]), y = x.sum(1, { keepdims: true });
  mx.eval(x, y);
  const model = new nn.Linear(4, 1), optimizer = new optim.Adam(rate);
  const loss = ({ x, y }: Pair) => nn.losses.mseLoss(model.forward(x), y);
  const data = (batchSize = 8) => batches(fromArrays({ x, y }), { batchSize, shuffle: true, seed: 4 });
  const train = (options: TrainerOptions<Pair>, source = data()) =>
    new Trainer({ model, optimizer, loss }, source, { progress: null, ...options });
  return { x, y, model, optimizer, loss, data, train };
}
const weights = (model: nn.Module): unknown =>
  mx.treeFlatten<mx.NDArray>(model.parameters()).map(([, x]) => x.tolist());
const names = async (folder: string): Promise<string[]> => {
  const found: string[] = [];
  for await (const { name } of Deno.readDir(folder)) found.push(name);
  return found.sort();
};
const PROGRAM = new URL("./run.ts", import.meta.url).pathname;
/** Runs the program; kills it once it printed so many lines, if that is given. */
async function run(args: readonly string[], options: { killAfter?: number; shell?: string } = {}) {
  const deno = ["run", "-A", "--no-check", PROGRAM, ...args];
  const command = options.shell
    ? new Deno.Command("bash", {
      args: ["-c", `${options.shell}; exec "$0" "$@"`, Deno.execPath(), ...deno],
      stdout: "piped",
      stderr: "piped",
    })
    : new Deno.Command(Deno.execPath(), { args: deno, stdout: "piped", stderr: "piped" });
  const child = command.spawn();
  const out = new Response(child.stdout).text();
  let err = "";
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    err += text;
    if (options.killAfter !== undefined && err.split("\n").length > options.killAfter) child.kill("SIGKILL");
  }
  const { code, signal } = await child.status;
  return { out: (await out).trim(), err, code, signal };
}

Deno.test("Trainer does what a plain loop does, and logs it", async () => {
  const plain = regression(), lossAndGrad = nn.valueAndGrad(plain.model, plain.loss), losses: number[] = [];
  const data = plain.data();
  for (let epoch = 0; epoch < 3; epoch++) {
    for await (const batch of data) {
      const [loss, grads] = lossAndGrad(batch);
      plain.optimizer.update(plain.model, grads);
      losses.push(Number(loss.item()));
    }
  }
  const { model, train } = regression(), { step, stopped, rows } = await train({ epochs: 3 }).run();
  assertEquals([step, stopped, weights(model)], [9, "end", weights(plain.model)]);
  assertEquals(rows.map((row) => row.loss), losses);
  assertEquals(rows.map((row) => [row.step, row.epoch]).at(-1), [9, 2]);
  assert(
    rows.every((row) => row.gradNorm! > 0 && row.itemsPerSecond! > 0 && Math.abs(row.learningRate! - 0.05) < 1e-8),
  );
});

Deno.test("accumulated batches update as one batch of all; clipping holds", async () => {
  const whole = regression(), parts = regression();
  await whole.train({ steps: 4 }, whole.data(24)).run();
  await parts.train({ steps: 4, accumulate: 3 }).run();
  const near = (a: mx.NDArray, b: mx.NDArray) => assert(mx.allclose(a, b, { rtol: 1e-4 }).item());
  near(whole.model.weight, parts.model.weight);
  const clipped = regression(), before = clipped.model.weight.tolist();
  const sgd = new optim.SGD(1), { model, loss, data } = clipped;
  await new Trainer({ model, optimizer: sgd, loss }, data(), { steps: 1, clipNorm: 1e-3, progress: null }).run();
  const moved = mx.sqrt(model.weight.sub(mx.array(before)).square().sum()).item();
  assert(Number(moved) <= 1.001e-3 && Number(moved) > 1e-4, String(moved));
});

Deno.test("compute in bfloat16 keeps parameters, gradients and moments in float32", async () => {
  const { model, optimizer, data } = regression(), seen: string[] = [];
  const loss = ({ x, y }: Pair) => {
    seen.push(`${x.dtype} ${model.weight.dtype}`);
    return nn.losses.mseLoss(model.forward(x), y);
  };
  const half = new Trainer({ model, optimizer, loss }, data(), { steps: 90, compute: mx.bfloat16, progress: null });
  const { rows } = await half.run();
  assertEquals(seen[0], "bfloat16 bfloat16");
  for (const [path, x] of mx.treeFlatten<mx.NDArray>([model.parameters(), optimizer.state])) {
    if (!path.endsWith("step")) assertEquals(x.dtype, mx.float32, path);
  }
  assert(rows.at(-1)!.loss! < 0.1 * rows[0]!.loss!);
  // Steps smaller than bfloat16 resolves still add up.
  assert(
    weights(model) !== undefined && mx.any(model.weight.ne(model.weight.astype(mx.bfloat16).astype(mx.float32))).item(),
  );
});

Deno.test("the guard keeps the parameters from before a step that is not finite, and names what is not", async () => {
  const { model, optimizer, x, y } = regression();
  const data = fromStream(() => [1, 1, Infinity, 1], ([scale]) => ({ x: x.mul(scale!), y }), { batchSize: 1 });
  const loss = ({ x, y }: Pair) => nn.losses.mseLoss(model.forward(x), y);
  const states: unknown[] = [];
  const trainer = new Trainer({ model, optimizer, loss }, data, {
    steps: 4,
    nanGuard: true,
    progress: null,
    onLog: () => states.push([weights(model), optimizer.step.item()]),
  });
  const text = "[train] cannot take step 3: expected finite numbers, got none in the loss and the gradients of weight";
  await assertRejects(() => trainer.run(), mx.ValueError, text);
  assertEquals([weights(model), optimizer.step.item()], states.at(-1));
  assertEquals(optimizer.step.item(), 2n);
});
Deno.test("the guard tells which operation made the first value that is not finite, and its line", async () => {
  const { model, optimizer, x } = regression();
  const data = fromStream(() => [1, 0], ([scale]) => ({ x: x.mul(scale!) }), { batchSize: 1 });
  const loss = ({ x }: { x: mx.NDArray }) => mx.log(x.abs()).mean().add(model.forward(x).sum());
  const trainer = new Trainer({ model, optimizer, loss }, data, { steps: 2, nanGuard: true, progress: null });
  const error = await assertRejects(() => trainer.run(), mx.ValueError, "got none in the loss after log: float32[");
  assert(error.madeAt.includes("trainer_test.ts"), error.madeAt);
});

Deno.test("validation, the best round, patience, and a step of one's own", async () => {
  const { model, optimizer, data, x, y, loss } = regression(1), folder = await Deno.makeTempDir();
  const lossAndGrad = nn.valueAndGrad(model, loss);
  const step = (batch: Pair) => {
    const [value, grads] = lossAndGrad(batch);
    optimizer.update(model, grads);
    return [value, { twice: value.mul(2) }] as const;
  };
  let modes = "";
  const measure = ({ x }: Pair) => {
    modes += model.training ? "t" : "e";
    return model.forward(x).abs().mean();
  };
  const held = batches(fromArrays({ x, y }), { batchSize: 10, last: "pad" });
  const options = {
    steps: 500,
    every: 2,
    folder,
    validation: { data: held, measure },
    patience: 3,
    mode: "max",
    report: false,
  } as const;
  const { step: steps, best, stopped, rows } = await new Trainer({ model, optimizer, step }, data(), {
    ...options,
    progress: null,
  }).run();
  const rounds = rows.filter((row) => row["validation.loss"] !== undefined);
  assertEquals([stopped, steps, modes.replaceAll("e", "")], ["patience", best!.step + 6, ""]);
  assertEquals(best!.value, Math.max(...rounds.map((row) => row["validation.loss"]!)));
  assertEquals(rows.every((row) => row.twice === 2 * row.loss!), true);
  assert(model.training);
  const files = [
    "best.safetensors",
    ...[steps - 2, steps].map((n) => `step-${String(n).padStart(8, "0")}.safetensors`),
  ];
  assertEquals(await names(`${folder}/checkpoints`), files);
  assertEquals(readCheckpoint(`${folder}/checkpoints/best.safetensors`).state.step, best!.step);
  // The mean over rows leaves padding out.
  const expected = Number(mx.mean(model.forward(x).abs()).item());
  assert(Math.abs(rounds.at(-1)!["validation.loss"]! - expected) < 0.2 * expected);
  assertEquals(
    (await new Trainer({ model, optimizer, step }, data(), { ...options, progress: null }).run()).stopped,
    "patience",
  );
});

Deno.test("metrics are the same rows as JSON lines and as CSV", async () => {
  const { train, data } = regression(), folder = await Deno.makeTempDir();
  const { rows } = await train({ steps: 5, every: 2, logEvery: 2, folder, report: false, validation: { data: data() } })
    .run();
  assertEquals(rows.map((row) => row.step), [2, 4, 5]);
  const jsonl = (await Deno.readTextFile(`${folder}/metrics.jsonl`)).trim().split("\n").map((line): MetricsRow =>
    JSON.parse(line)
  );
  assertEquals(jsonl, [...rows]);
  const [head = "", ...table] = (await Deno.readTextFile(`${folder}/metrics.csv`)).trim().split("\n");
  assertEquals(head, "step,epoch,loss,gradNorm,learningRate,itemsPerSecond,seconds,validation.loss");
  assertEquals(table.map((line) => line.split(",").map(Number)[2]), rows.map((row) => row.loss));
});

Deno.test("a stream of unknown length ends after its epochs, with its last step saved", async () => {
  const { model, optimizer, loss, x, y } = regression(), folder = await Deno.makeTempDir();
  const data = fromStream(() => [0, 1, 2], () => ({ x, y }), { batchSize: 1 });
  const { step, rows } = await new Trainer({ model, optimizer, loss }, data, {
    epochs: 2,
    folder,
    report: false,
    progress: null,
  }).run();
  assertEquals([step, rows.length], [6, 6]);
  assertEquals((await names(`${folder}/checkpoints`)).at(-1), "step-00000006.safetensors");
});

Deno.test("what cannot be is refused", async () => {
  const { train, data, model, optimizer } = regression(), folder = await Deno.makeTempDir();
  assertThrows(() => train({}), mx.ValueError, "steps or epochs");
  assertThrows(() => train({ steps: 0 }), mx.ValueError, "use steps 0");
  const same = data();
  assertThrows(() => train({ steps: 1, validation: { data: same } }, same), mx.ValueError, "batches of their own");
  const step = () => mx.array(0);
  assertThrows(
    () => new Trainer({ model, optimizer, step }, data(), { steps: 1, accumulate: 2 }),
    mx.ValueError,
    "accumulate",
  );
  await assertRejects(
    () => train({ steps: 2, every: 1, monitor: "accuracy" }).run(),
    mx.ValueError,
    "monitor accuracy",
  );
  await train({ steps: 2, folder, report: false }).run();
  const wider = new nn.Linear(4, 2),
    other = new Trainer({ model: wider, optimizer: new optim.Adam(1), step }, data(), {
      steps: 4,
      folder,
      progress: null,
    });
  await assertRejects(() => other.run(), mx.CheckpointError, "float32[2,4] as model.weight");
  const empty = fromStream((): Pair[] => [], ([pair]) => pair!, { batchSize: 1 });
  await assertRejects(() => train({ steps: 1 }, empty).run(), mx.ValueError, "an epoch without any");
});

Deno.test("a run that is killed at any time ends with the bits of one that is not", async () => {
  const folder = await Deno.makeTempDir(), whole = await run([`${folder}/whole`]);
  assertEquals(whole.code, 0, whole.err);
  for (const killAfter of [2, 5, 8]) {
    const { signal } = await run([`${folder}/killed`, "30", "60"], { killAfter });
    assertEquals(signal, "SIGKILL");
  }
  const resumed = await run([`${folder}/killed`]);
  assertEquals(resumed.out, whole.out);
  assert(/^Going on from step [1-9]/.test(resumed.err), resumed.err);
});

// A simulated GPU writes its kernels to files, too.
const ignore = Deno.env.get("DENIM_METAL") === "sim";
Deno.test("a full disk and a damaged checkpoint cost steps, and the run says which", { ignore }, async () => {
  const folder = await Deno.makeTempDir(),
    checkpoints = `${folder}/run/checkpoints`,
    args = (n: string) => [`${folder}/run`, n, "0", "400"];
  const whole = await run([`${folder}/whole`, "20", "0", "400"]);
  assertEquals((await run(args("10"))).code, 0);
  // A file may have 16 blocks of 1024 bytes; the signal that says so otherwise ends the process.
  const full = await run(args("20"), { shell: "trap '' XFSZ; ulimit -f 16" });
  assertEquals(full.code, 1);
  assert(full.err.includes("expected room on the disk"), full.err);
  assert(full.err.includes("The run goes on; the last checkpoint is that of step 10."), full.err);
  assertEquals((await names(checkpoints)).filter((name) => name.startsWith("step")), [
    "step-00000008.safetensors",
    "step-00000010.safetensors",
  ]);

  const last = `${checkpoints}/step-00000010.safetensors`, bytes = await Deno.readFile(last);
  bytes[bytes.length - 1000]! ^= 1;
  await Deno.writeFile(last, bytes);
  await Deno.writeTextFile(`${checkpoints}/step-00000012.safetensors.0a1b2c3d.tmp`, "half a checkp");
  const resumed = await run(args("20"));
  assert(/The checkpoint of step 10 is damaged .*SHA-256.*goes on from step 8/.test(resumed.err), resumed.err);
  assertEquals(resumed.out, whole.out);
  assertEquals((await names(checkpoints)).filter((name) => /tmp|damaged/.test(name)), [
    "step-00000010.safetensors.damaged",
  ]);
});

Deno.test("Ctrl-C saves the step and says how to go on", async () => {
  if (Deno.build.os === "windows") return;
  const folder = await Deno.makeTempDir(), whole = await run([`${folder}/whole`]);
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", PROGRAM, `${folder}/run`, "30", "60"],
    stderr: "piped",
    stdout: "null",
  });
  const child = command.spawn();
  let err = "";
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    if (err === "") child.kill("SIGINT");
    err += text;
  }
  assertEquals((await child.status).code, 130);
  const [, step, again] = /Interrupted\. Step (\d+) is saved in .*\. To go on:\n {2}(deno run -A .*)\n/.exec(err) ?? [];
  assert(step !== undefined && again?.endsWith(`run.ts ${folder}/run 30 60`), err);
  const resumed = await run([`${folder}/run`]);
  assert(resumed.err.startsWith(`Going on from step ${step} `), resumed.err);
  assertEquals(resumed.out, whole.out);
});
