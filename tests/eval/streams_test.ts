/**
 * Streams beside one another, isolates beside one another, and what crosses between them.
 * @module
 */
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import type { NDArray } from "../../core/array.ts";
import { collectGarbage } from "../../core/memory.ts";
import { runtime } from "../../ffi/runtime.ts";
import * as mx from "../../mod.ts";
import { Random } from "../cases/generate.ts";
import type { Work } from "./isolate.ts";
import { cell, dot, first, full, N, ON_GPU, test, values } from "./util.ts";

test("streams: data that crosses is waited for, in both directions", () => {
  const a = mx.newStream(), b = mx.newStream();
  let x = full(N, 1);
  for (let i = 0; i < 50; i++) x = mx.stream(i % 2 ? a : b, () => cell(x, x).add(x).mul(0.5));
  const expected: number[] = [1];
  for (let i = 0; i < 50; i++) expected.push((expected[i]! ** 2 / Math.sqrt(expected[i]! ** 2 + 3) + expected[i]!) / 2);
  assert(Math.abs(first(x) - expected[50]!) < 1e-5, `${first(x)} instead of ${expected[50]}`);
});
test("streams: one array read by many streams and written by one", () => {
  const all = Array.from({ length: 6 }, () => mx.newStream());
  const k = full(N, 1);
  mx.eval(k);
  const sums = all.map((s) => mx.stream(s, () => dot(k, k)));
  sums.forEach((s) => mx.asyncEval(s));
  const k2 = mx.stream(all[0]!, () => mx.writeAt(k, mx.array([9]), [0], [0], { donate: true }));
  mx.asyncEval(k2);
  assertEquals([...sums.map((s) => s.item()), values(k2)[0], k.state], [...sums.map(() => N), 9, "donated"]);
});
test("streams: roots of several streams in one eval", () => {
  const s = mx.newStream(),
    x = full(N, 2),
    y = mx.stream(s, () => x.add(1)),
    z = x.mul(y),
    w = mx.stream(s, () => z.sum());
  mx.eval(y, z, w);
  assertEquals([first(y), first(z), w.item()], [3, 6, 6 * N]);
});
test("streams: synchronize waits for one stream, and setDefaultStream moves new work", () => {
  const s = mx.newStream(), before = mx.defaultStream(), x = full(N, 1);
  mx.setDefaultStream(s);
  const y = cell(x, x);
  mx.setDefaultStream(before);
  assertEquals([y.stream, x.stream], [s.index, before.index]);
  mx.asyncEval(y);
  mx.synchronize(s);
  assertEquals(first(y), 0.5);
});

test("streams: the default is one for each device, and scopes change it", () => {
  const before = mx.defaultStream(), s = mx.newStream(), t = mx.newStream();
  mx.setDefaultStream(s);
  assertEquals([mx.defaultStream().index, mx.ones([2]).add(1).stream], [s.index, s.index]);
  mx.stream(t, () => {
    assertEquals([mx.defaultStream().index, mx.zeros([2]).stream], [t.index, t.index]);
    mx.stream(t.device, () => assertEquals(mx.zeros([2]).stream, t.index));
  });
  assertThrows(() => mx.stream(t, () => mx.ones([2]).reshape([3])));
  assertEquals(mx.defaultStream(), s);
  mx.setDefaultDevice(mx.defaultDevice());
  assertEquals(mx.zeros([2]).stream, s.index);
  mx.setDefaultStream(before);
  assertEquals([mx.defaultStream(), mx.zeros([2]).stream], [before, before.index]);
});
test("streams: an error reaches the call that waits, whatever stream that is on, and the stream lives on", async () => {
  const s = mx.newStream(), other = mx.newStream(), x = full(N, 1), at = (i: number) => mx.array([i], mx.int32);
  const bad = mx.stream(s, () => mx.take(cell(x, x), at(N + 3), 0)), good = mx.stream(s, () => cell(x, x).sum());
  const reader = mx.stream(other, () => bad.add(1).sum());
  mx.asyncEval(bad, reader);
  mx.asyncEval(good);
  mx.synchronize(s);
  mx.synchronize(other);
  assertThrows(() => bad.item(), mx.IndexError, "out of range");
  assertThrows(() => reader.item(), mx.IndexError, "out of range");
  await assertRejects(async () => await mx.asyncEval(mx.stream(other, () => reader.mul(2))), mx.IndexError);
  assertEquals(good.item(), N / 2);
  assertEquals(mx.stream(s, () => mx.take(x, at(3), 0)).item(), 1);
  assertEquals(mx.stream(other, () => x.sum()).item(), N);
});
test("streams: a random graph over eight streams gives what one stream gives", () => {
  const r = new Random(3), all = Array.from({ length: 8 }, () => mx.newStream());
  const steps = Array.from(
    { length: 200 },
    (_, i) => [r.below(3), r.below(i + 2), r.below(i + 2), r.below(8)] as const,
  );
  const results = (on: (stream: number, f: () => NDArray) => NDArray): NDArray[] => {
    const made = [full(N, 1), full(N, 2)];
    for (const [kind, a, b, s] of steps) {
      const x = made[a]!, y = made[b]!;
      made.push(on(s, () => kind === 0 ? cell(x, y) : kind === 1 ? x.add(y).mul(0.5) : mx.sort(x).sub(y.mean())));
    }
    return made.slice(-40);
  };
  const expected = results((_, f) => f()), got = results((s, f) => mx.stream(all[s]!, f));
  for (const y of got) mx.asyncEval(y);
  got.forEach((y, i) => assertEquals(values(y), values(expected[i]!), `result ${i}`));
});

const url = import.meta.resolve("./isolate.ts");
function start(message: Work): { worker: Worker; result: Promise<number> } {
  const worker = new Worker(url, { type: "module" });
  const result = new Promise<number>((resolve, reject) => {
    worker.onmessage = (e: MessageEvent<number>) => resolve(e.data);
    worker.onerror = (e) => {
      e.preventDefault();
      reject(new Error(e.message));
    };
  });
  worker.postMessage(message);
  return { worker, result };
}
const pause = (milliseconds: number) => new Promise((r) => setTimeout(r, milliseconds));
/** The memory in use, once that of isolates which have ended is gone. */
async function settled(): Promise<number> {
  collectGarbage();
  let now = runtime().stats().active;
  for (let before = -1; before !== now; now = runtime().stats().active) {
    before = now;
    await pause(200);
  }
  return now;
}
/** Waits until the memory in use is at most `bytes`: a terminated worker's thread ends on its own time. */
async function until(bytes: number): Promise<number> {
  for (let i = 0; i < 2400 && runtime().stats().active > bytes; i++) await pause(25);
  return runtime().stats().active;
}
test("workers: several isolates use the library at once, and a terminated one frees its memory", async () => {
  const before = await settled(), steps = ON_GPU ? 3 : 20; // it may be a simulated one
  const workers = Array.from({ length: 3 }, () => start({ steps, queue: 0 }));
  const results = await Promise.all(workers.map((w) => w.result));
  assert(results.every((r) => r === results[0] && Math.abs(r) <= 1));
  assert(runtime().stats().active >= before + 3 * (steps - 1) * 256 * 256 * 4);
  workers.forEach((w) => w.worker.terminate());
  assert(await until(before) <= before);
  assertEquals(mx.ones([3]).sum().item(), 3);
});
test("workers: one that is terminated with work in flight frees its memory, too", async () => {
  const before = await settled(), { worker, result } = start({ steps: 2, queue: ON_GPU ? 4 : 200 });
  await result;
  worker.terminate();
  assert(await until(before) <= before);
});
test("workers: an array cannot be posted, and the error says what can", () => {
  const x = full(N, 1, "x"), lazy = x.add(1);
  mx.eval(x);
  for (const y of [x, lazy]) {
    const e = assertThrows(() => structuredClone(y), mx.ValueError);
    assertMatch(e.message, /cannot post an array: .*Fix: post await x\.data\(\)/);
  }
  assertEquals(structuredClone({ data: (x as NDArray).dataSync() }).data.length, N);
});
