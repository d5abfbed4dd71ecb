/**
 * The benches run, at tiny sizes, and their figures say what they should.
 * @module
 */
import { assert, assertAlmostEquals, assertEquals, assertGreater, assertThrows } from "@std/assert";
import { compare, geometricMean, isNoise, mismatch } from "../bench/compare.ts";
import { TextLineStream } from "../bench/lines.ts";
import { machine } from "../bench/machine.ts";
import { selected } from "../bench/main.ts";
import { describeMachine, describeRoofs, duration, line, type Report, result } from "../bench/report.ts";
import { higher, leastSeconds, measureRoofs, memoryRoof, type Roofs } from "../bench/roofs.ts";
import { summary, Timer, type Work } from "../bench/work.ts";
import { promptTokens } from "../bench/works/language.ts";
import { allWorks } from "../bench/works/mod.ts";

const ROOFS: Roofs = {
  threads: 2,
  fma: 100e9,
  bfloat16: 200e9,
  memory: [{ footprint: 2 ** 20, read: 100e9, copy: 80e9 }, { footprint: 2 ** 28, read: 20e9, copy: 10e9 }],
};
const WORK: Work = { name: "nothing", group: "none", prepare: () => ({ run() {} }) };

for (const work of allWorks("tiny")) {
  Deno.test(`bench: ${work.name} runs at a tiny size`, async () => {
    const task = await work.prepare(true);
    await task.run();
    await task.run();
    if (task.seconds) assertGreater(task.seconds(), 0);
    if (task.cost) assertGreater(task.cost.read + task.cost.written, 0);
  });
}

Deno.test("bench: no two works have one name", () => {
  const names = allWorks("tiny").map((work) => work.name);
  assertEquals(names.length, new Set(names).size);
});
Deno.test("bench: a filter takes names and groups", () => {
  const names = selected(allWorks(null), "gemm_f32,sorting").map((work) => work.name);
  assert(names.includes("gemm_f32_256") && names.includes("sort_1M") && !names.includes("exp_16M"));
  assertEquals(selected(allWorks(null), "").length, allWorks(null).length);
});
Deno.test("bench: figures of samples", () => {
  const samples = Array.from({ length: 100 }, (_, i) => (i + 1) / 10);
  assertEquals(summary(samples, 10), { runs: 100, min: 0.01, median: 0.51, p95: 0.96, spread: 0.5 / 0.51 });
});
Deno.test("bench: a timer counts things, and asks the work for its own seconds", async () => {
  const timer = new Timer({ run() {}, count: { n: 4, of: "token" }, seconds: () => 2 });
  await timer.run(0.001, 3);
  await timer.run(0.001, 3);
  const { runs, median } = timer.times();
  assertEquals(median, 0.5);
  assertGreater(runs, 3);
});
Deno.test("bench: the least time is that of the arithmetic or of the memory", () => {
  assertEquals(leastSeconds(ROOFS, { flops: 100e9, read: 1, written: 0 }), 1);
  assertEquals(leastSeconds(ROOFS, { flops: 100e9, read: 1, written: 0, dtype: "bfloat16" }), 0.5);
  assertEquals(leastSeconds(ROOFS, { flops: 0, read: 20e9, written: 1 }), 20e9 / 20e9 + 1 / 20e9);
  assertEquals(leastSeconds(ROOFS, { flops: 0, read: 5e9, written: 5e9 }), 1);
  assertEquals(leastSeconds(ROOFS, { flops: 0, read: 2 ** 22, written: 0 }), 2 ** 22 / 100e9);
  assertEquals(leastSeconds(ROOFS, { flops: 0, read: 2 ** 22, written: 0, footprint: 2 ** 28 }), 2 ** 22 / 20e9);
});
Deno.test("bench: a memory roof is that of the next smaller footprint", () => {
  assertEquals(memoryRoof(ROOFS, 1).footprint, 2 ** 20);
  assertEquals(memoryRoof(ROOFS, 2 ** 28 - 1).footprint, 2 ** 20);
  assertEquals(memoryRoof(ROOFS, 2 ** 30).footprint, 2 ** 28);
  assertThrows(() => memoryRoof({ ...ROOFS, memory: [] }, 1), Error, "without memory");
});
Deno.test("bench: of two measurements of the roofs the higher one is kept, roof by roof", () => {
  const [first, ...rest] = ROOFS.memory, busy = { ...ROOFS, fma: 1, memory: [{ ...first!, read: 1e12 }, ...rest] };
  assertEquals(higher(busy, ROOFS), { ...ROOFS, memory: [{ ...first!, read: 1e12 }, ...rest] });
});
Deno.test("bench: a result has rates and its share of the roof", () => {
  const times = summary([2], 1), task = { run() {}, cost: { flops: 100e9, read: 4e9, written: 0 } };
  const r = result(WORK, task, times, ROOFS);
  assertEquals([r.gflops, r.gbytes, r.share], [50, 2, 0.5]);
  assertEquals(line(r).split(/\s+/), ["nothing", "2.00", "s", "2.00", "s", "2.00", "s", "0%", "50.0", "2.00", "50%"]);
  assertEquals(result(WORK, { run() {} }, times, ROOFS).share, undefined);
});
Deno.test("bench: times have three digits and a unit", () => {
  assertEquals([2e-9, 2.5e-5, 0.123, 12.34].map(duration), ["2.00 ns", "25.0 µs", "123 ms", "12.3 s"]);
});
Deno.test("bench: the machine's roofs are measured", async () => {
  const [one, two] = await measureRoofs(2, 1);
  assert(one && two);
  assertEquals([one.threads, two.threads], [1, 2]);
  for (const { fma, memory } of [one, two]) {
    assertGreater(fma, 1e8);
    assertEquals(memory.map((m) => m.footprint), [20, 22, 24, 26, 28].map((power) => 2 ** power));
    for (const { read, copy } of memory) assert(read > 1e7 && copy > 1e7);
  }
  assert(describeRoofs([one, two]).includes("GFLOP/s"));
});

async function report(median: number, spread: number): Promise<Report> {
  const times = { runs: 9, min: median, median, p95: median, spread };
  const results = [result(WORK, { run() {} }, times, ROOFS)];
  return { format: 1, machine: await machine(), flags: [], roofs: [ROOFS], results };
}
Deno.test("bench: two reports compare by name, and small differences are noise", async () => {
  const before = await report(2, 0.01), faster = compare(before, await report(1, 0.01));
  assertEquals(faster, [{ name: "nothing", before: 2, after: 1, ratio: 2, noise: false }]);
  assertEquals(compare(before, await report(1.95, 0.01))[0]?.noise, true);
  assertEquals(compare(before, { ...before, results: [] }), []);
  assertEquals(mismatch(before, before), null);
  assert(mismatch(before, { ...before, machine: { ...before.machine, isa: "other" } })?.includes("isa"));
  assert(describeMachine(before.machine).includes("Deno"));
});
Deno.test("bench: noise is symmetric, and at least three percent", () => {
  const still = { spread: 0 }, wide = { spread: 0.2 };
  assertEquals([1.02, 1 / 1.02, 1.05, 1 / 1.05].map((r) => isNoise(r, still, still)), [true, true, false, false]);
  assertEquals([1.3, 1 / 1.3].map((r) => isNoise(r, wide, wide)), [true, true]);
  assertAlmostEquals(geometricMean([2, 0.5, 1]), 1);
});
Deno.test("bench: lines come whole from pieces", async () => {
  const lines = ReadableStream.from(["a", "b\nc", "\n\nd"]).pipeThrough(new TextLineStream());
  assertEquals(await Array.fromAsync(lines), ["ab", "c", "", "d"]);
});
Deno.test("bench: the prompt stays inside the vocabulary", () => {
  assert(promptTokens(256, 32000).every((id) => id >= 300 && id < 30300));
  assert(promptTokens(64, 64).every((id) => id >= 0 && id < 64));
});
