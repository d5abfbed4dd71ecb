/**
 * Profiles: what they say of each kernel, the trace that they write, and that nothing is noted outside of them.
 * @module
 */
import { assert, assertAlmostEquals, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { allPrimitives, bindRecord } from "../core/graph.ts";
import { knownRoofs, leastSeconds } from "../core/roofs.ts";
import * as mx from "../mod.ts";
import { allCases } from "./cases/mod.ts";

const quiet = { print: false } as const;
const kernel = (p: mx.Profile, operations: string) => {
  const found = p.kernels.find((k) => k.operations.join(" ") === operations);
  assert(found, `no kernel ${operations} among ${p.kernels.map((k) => k.label)}`);
  return found;
};

Deno.test("a profile has the calls, bytes and operations of each kernel", () => {
  const a = mx.random.normal([64, 32]), b = mx.random.normal([32, 8]), row = mx.random.normal([8]);
  mx.eval(a, b, row);
  const p = mx.profile(() => {
    for (let i = 0; i < 3; i++) mx.eval(a.matmul(b).add(row).exp());
    return "result";
  }, quiet);
  assertEquals(p.result, "result");
  assertEquals([p.programs, p.gpu], [3, null]);
  const product = kernel(p, "matmul");
  assertEquals(product.label, "matmul float32[64,32] float32[32,8]");
  assertEquals([product.calls, product.flops, product.device], [3, 3 * 2 * 64 * 32 * 8, "cpu"]);
  assertEquals(product.bytes, 3 * 4 * (64 * 32 + 32 * 8 + 64 * 8));
  // The row is read once, however often it is used; an addition counts one and an exponential eight.
  const fused = kernel(p, "add exp");
  assertEquals([fused.label, fused.bytes], ["add exp float32[64,8]", 3 * 4 * (2 * 64 * 8 + 8)]);
  assertEquals(fused.flops, 3 * 9 * 64 * 8);
  const total = p.kernels.reduce((sum, k) => sum + k.seconds, 0);
  assert(total > 0 && total < p.seconds);
  assert(p.peakBytes >= 4 * (64 * 32 + 32 * 8));
});
Deno.test("a kernel that reads or writes a part of an array counts that part alone", () => {
  const x = mx.zeros([1000, 8]), index = mx.array([1, 2], mx.int32);
  mx.eval(x, index);
  const p = mx.profile(() => mx.eval(mx.take(x, index, 0), x.at(0).set(1)), quiet);
  assertEquals(kernel(p, "gather").bytes, 2 * 4 + 2 * (2 * 8 * 4));
  const state = { x };
  const step = mx.compile(() => void (state.x = state.x.at(mx.slice(0, 2)).set(1)), { inputs: state, outputs: state });
  step();
  const again = mx.profile(() => (step(), mx.eval(state.x)), quiet), [only] = again.kernels;
  assertEquals([only?.operations.at(-1), again.kernels.length], ["sliceUpdate", 1]);
  assert(only!.bytes < 1000, `${only!.bytes} bytes for two rows, in place`);
});
Deno.test("programs that were compiled before a profile are in it", () => {
  const f = mx.compile((x: mx.NDArray) => mx.softmax(x.mul(2), -1)), x = mx.ones([4, 16]);
  mx.eval(f(x));
  const p = mx.profile(() => f(x), quiet);
  assertEquals(p.kernels.map((k) => k.operations.join(" ")).sort(), ["multiply", "softmax"]);
  assertEquals(p.result.shape, [4, 16]);
});
Deno.test("an asynchronous function is profiled to its end, and nothing is noted after it", async () => {
  const p = await mx.profile(async () => {
    const x = mx.ones([10]).cos();
    await mx.asyncEval(x);
    return x;
  }, quiet);
  assertEquals([kernel(p, "cos").calls, p.result.size], [1, 10]);
  mx.eval(mx.ones([10]).sin());
  const next = mx.profile(() => mx.ones([10]).tan(), quiet);
  assertEquals(next.kernels.map((k) => k.operations.join(" ")), ["tan"]);
  assertThrows(() => mx.profile(() => assert(false, "thrown inside"), quiet), Error, "thrown inside");
  assertEquals(mx.profile(() => 1, quiet).kernels, []);
});
Deno.test("a profile inside another has what runs in it, the outer one the rest", () => {
  let inner: mx.Profile | undefined;
  const outer = mx.profile(() => {
    mx.eval(mx.ones([9]).sin());
    inner = mx.profile(() => mx.ones([9]).cos(), quiet);
    mx.eval(mx.ones([9]).tan());
  }, quiet);
  assertEquals(outer.kernels.map((k) => k.operations.join(" ")).sort(), ["sin", "tan"]);
  assertEquals(inner?.kernels.map((k) => k.operations.join(" ")), ["cos"]);
});
Deno.test("with debugging on, a kernel names the lines that made it", () => {
  const before = mx.debug(true);
  const p = mx.profile(() => mx.ones([9]).sin(), quiet);
  mx.debug(before);
  assertMatch(kernel(p, "sin").madeAt, /profile_test\.ts:\d+:\d+/);
  assertMatch(p.table(), /profile_test\.ts/);
  const [event] = p.trace().traceEvents.filter((e) => e.cat === "kernel");
  assertMatch(String(event?.args?.["made at"]), /profile_test\.ts/);
});

/** One step of a small classifier: forward, backward and an update, compiled. */
function trainingStep(): () => mx.NDArray {
  const state = { w: mx.random.normal([16, 4]), b: mx.zeros([4]) }, x = mx.random.normal([32, 16]);
  const loss = (w: mx.NDArray, b: mx.NDArray) => mx.logsumexp(x.matmul(w).add(b), -1).mean();
  return mx.compile(() => {
    const [value, [dw, db]] = mx.valueAndGrad(loss, { argnums: [0, 1] })(state.w, state.b);
    [state.w, state.b] = [state.w.sub(dw.mul(0.1)), state.b.sub(db.mul(0.1))];
    return value;
  }, { inputs: state, outputs: state });
}
Deno.test("the trace keeps to the trace-event format, and what lasts is nested on its track", () => {
  const step = trainingStep(), file = Deno.makeTempFileSync({ suffix: ".json" });
  const second = mx.newStream(mx.cpu), started = performance.now();
  const p = mx.profile(() => {
    for (let i = 0; i < 3; i++) step().item();
    mx.eval(mx.stream(second, () => mx.ones([100]).log()));
  }, { ...quiet, out: file });
  const trace: mx.Trace = JSON.parse(Deno.readTextFileSync(file)), { traceEvents: events } = trace;
  Deno.removeSync(file);
  for (const e of events) {
    assert(typeof e.name === "string" && e.name.length > 0);
    assert(["X", "C", "M"].includes(e.ph), e.ph);
    for (const n of [e.ts, e.dur, e.pid, e.tid]) assert(Number.isFinite(n) && n >= 0, JSON.stringify(e));
    if (e.ph !== "M") assert(e.ts + e.dur <= (performance.now() - started) * 1e3 + 1, JSON.stringify(e));
  }
  const tracks = Map.groupBy(events.filter((e) => e.ph === "X"), (e) => e.tid);
  assertEquals([...tracks.keys()].sort(), [0, 1, 1 + second.index]);
  for (const track of tracks.values()) {
    const open: mx.TraceEvent[] = [];
    for (const e of track) {
      while (open.length && open.at(-1)!.ts + open.at(-1)!.dur <= e.ts + 1e-3) open.pop();
      const outer = open.at(-1);
      if (outer) assert(e.ts + e.dur <= outer.ts + outer.dur + 1e-3, `${e.name} ends after ${outer.name}`);
      if (e.cat === "kernel") assertEquals(outer?.cat, "program");
      open.push(e);
    }
  }
  const kernels = events.filter((e) => e.cat === "kernel");
  assertEquals(kernels.length, p.kernels.reduce((n, k) => n + k.calls, 0));
  for (const { args } of kernels) {
    assert(args && Array.isArray(args.operations) && "bytes read" in args && "thread" in args);
  }
  assert(events.filter((e) => e.name === "memory in use" && Number(e.args?.bytes) > 0).length >= 2 * p.programs);
  for (const name of ["compile", "submit", "wait"]) assert(tracks.get(0)!.some((e) => e.name === name), name);
});
Deno.test("operations by the records are those that the case table counts", () => {
  const records = new Map(allPrimitives().map((p) => [p.name, p]));
  let compared = 0;
  for (const [name, { perf }] of allCases) {
    const prim = records.get(name);
    if (!prim?.flops) continue;
    for (const { dtype, params, inputs, flops, label } of perf) {
      // Those of moves and of single elements say nothing; a real transform is half of what benches count.
      if (flops <= 1 || prim.family === "fft") continue;
      const xs = inputs.map(({ shape, dtype: own = dtype }) => mx.zeros(shape, own));
      const y = bindRecord(prim, xs, params);
      const hidden = params.causal ? 0.5 : 1; // benches count keys that are hidden, too
      assertAlmostEquals(prim.flops(xs, y, params) / flops, hidden, 0.01, `${name} ${label}`);
      compared++;
    }
  }
  assert(compared >= 8, `${compared} compared`);
});

const ROOFS = {
  threads: 1,
  fma: 100e9,
  bfloat16: 200e9,
  memory: [{ footprint: 2 ** 20, read: 100e9, copy: 50e9 }],
};
Deno.test("DENIM_PROFILE profiles a process, and kept roofs give shares", async () => {
  const folder = await Deno.makeTempDir({ prefix: "denim-profile-" }), path = `${folder}/trace.json`;
  const profiled = new URL("../core/profile.ts", import.meta.url).href,
    mod = new URL("../mod.ts", import.meta.url).href;
  await Deno.writeTextFile(
    `${folder}/main.ts`,
    `import * as mx from "${mod}";
     import { machineFacts } from "${profiled}";
     Deno.mkdirSync("${folder}/bench");
     Deno.writeTextFileSync("${folder}/bench/roofs.json",
       JSON.stringify({ facts: machineFacts(), roofs: [${JSON.stringify(ROOFS)}] }));
     console.log(mx.ones([2000]).sin().sum().item() > 0);`,
  );
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `--config=${new URL("../deno.json", import.meta.url).pathname}`, `${folder}/main.ts`],
    env: {
      DENIM_PROFILE: path,
      DENIM_CACHE: folder,
      DENIM_THREADS: "1",
      DENIM_LIBRARY: String(mx.deviceInfo().library),
      NO_COLOR: "1",
    },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assertEquals([code, out], [0, "true\n"], err);
  assertMatch(
    err!,
    /1 program, .*\n +time +share +calls .* roof +kernel\n.* [\d.]+ % {2}sin sum float32\[2000\]\nthe trace is in/,
  );
  const { traceEvents }: mx.Trace = JSON.parse(await Deno.readTextFile(path));
  assertEquals(traceEvents.filter((e) => e.cat === "kernel").map((e) => e.name), ["sin sum float32[2000]"]);
  await Deno.remove(folder, { recursive: true });
  assertEquals(knownRoofs("another machine", 1), null);
  assertEquals(leastSeconds({ ...ROOFS }, { flops: 200e9, read: 1, written: 1, dtype: "float32" }), 2);
});
