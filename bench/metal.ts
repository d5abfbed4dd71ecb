/**
 * What the GPU is given for each work, and on a real device how long it takes:
 *
 *     deno task bench:metal [--filter TEXT] [--full] [--json FILE]
 *
 * Dispatches, barriers, command buffers and bytes are the same wherever it runs, so they can be compared without a Mac:
 * bytes are those that the arguments of the dispatches name, beside those that the work has to read and write. On the
 * simulated device (`DENIM_METAL=sim`) the works are tiny, but for `--full`, and times are left out. A few works are
 * counted in the run whose results are compared with the CPU's (`counted.ts`); it ends with 1 if one is not as it
 * should be. `--filter counted` takes these alone.
 * @module
 */
import { parseArgs } from "node:util";
import * as mx from "../mod.ts";
import { type Count, count, countedWorks } from "./counted.ts";
import { selected } from "./main.ts";
import { Timer, type Work } from "./work.ts";
import { layerWorks } from "./works/layer.ts";
import { allWorks } from "./works/mod.ts";

const SECONDS = 1;

/** One work's figures. */
interface Line {
  readonly name: string;
  readonly counters: mx.metal.Counters;
  /** Bytes that it has to read and write; 0 where nobody knows. */
  readonly ideal: number;
  readonly milliseconds: number | null;
}
function difference(after: mx.metal.Counters, before: mx.metal.Counters): mx.metal.Counters {
  return {
    dispatches: after.dispatches - before.dispatches,
    barriers: after.barriers - before.barriers,
    commandBuffers: after.commandBuffers - before.commandBuffers,
    pipelines: after.pipelines - before.pipelines,
    bytes: after.bytes - before.bytes,
    fallbacks: after.fallbacks - before.fallbacks,
  };
}
/** Counts one call, when its kernels have been compiled. */
async function measure(work: Work, tiny: boolean, timed: boolean): Promise<Line> {
  const task = await work.prepare(tiny);
  await task.run();
  await task.run();
  const before = mx.metal.counters();
  await task.run();
  const counters = difference(mx.metal.counters(), before);
  const ideal = task.cost ? task.cost.read + task.cost.written : 0;
  if (!timed) return { name: work.name, counters, ideal, milliseconds: null };
  const timer = new Timer(task);
  await timer.run(SECONDS);
  return { name: work.name, counters, ideal, milliseconds: timer.times().median * 1e3 };
}
const megabytes = (bytes: number) =>
  (Number.isNaN(bytes) ? "" : (bytes / 1e6).toFixed(bytes < 1e7 ? 3 : 0)).padStart(10);

function show({ name, counters: c, ideal, milliseconds }: Line): string {
  const counts = [c.dispatches, c.barriers, c.commandBuffers, c.fallbacks].map((n) => `${n}`.padStart(10)).join("");
  const share = ideal ? `${(c.bytes / ideal).toFixed(2)}x`.padStart(8) : "".padStart(8);
  const time = milliseconds === null ? "" : `${milliseconds.toFixed(3)} ms`.padStart(14);
  return name.padEnd(34) + counts + megabytes(c.bytes) + megabytes(ideal) + share + time;
}
/** The counted works: figures beside a check. */
function showCount({ name, took, alone, ideal, share, difference, faults }: Count): string {
  const counts = [took.dispatches, took.barriers].map((n) => `${n}`.padStart(10)).join("");
  const bytes = [took.named, took.touched ?? NaN, took.moved ?? NaN, ideal].map(megabytes).join("");
  const times = (share === null ? "" : `${share.toFixed(3)}x`).padStart(9);
  const other = alone && [
    "    one operation after another".padEnd(38) + `${alone.dispatches}`.padStart(10) + "".padStart(10) +
    [alone.named, alone.touched ?? NaN, alone.moved ?? NaN].map(megabytes).join(""),
  ];
  const first = name.padEnd(38) + counts + bytes + times + difference.toExponential(1).padStart(10);
  return [first, ...other ?? [], ...faults.map((fault) => `    FAULT: ${fault}`)].join("\n");
}
function countAll(filter: string, full: boolean): Count[] {
  const wanted = countedWorks.filter(({ name }) => `counted ${name}`.includes(filter)), counts: Count[] = [];
  if (wanted.length === 0) return counts;
  const titles = ["dispatches", "barriers", "MB named", "touched", "moved", "ideal"];
  const heading = "counted, and compared with the CPU".padEnd(38) + titles.map((title) => title.padStart(10)).join("");
  console.log(`${heading}    share  differs`);
  for (const work of wanted) {
    const made = count(work, full);
    counts.push(made);
    console.log(showCount(made));
    mx.clearCache();
  }
  return counts;
}
async function measureAll(filter: string, tiny: boolean, timed: boolean): Promise<Line[]> {
  const lines: Line[] = [], works = selected([...layerWorks, ...allWorks(null)], filter);
  if (works.length === 0) return lines;
  const titles = ["dispatches", "barriers", "buffers", "on CPU", "MB named", "MB ideal"];
  console.log("".padEnd(34) + titles.map((title) => title.padStart(10)).join(""));
  for (const work of works) {
    try {
      const line = await measure(work, tiny, timed);
      lines.push(line);
      console.log(show(line));
    } catch (error) {
      if (!(error instanceof mx.DenimError)) throw error;
      console.log(`${work.name.padEnd(34)} ${error.message}`);
    }
    mx.clearCache();
  }
  return lines;
}
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      filter: { type: "string", default: "" },
      full: { type: "boolean", default: false },
      json: { type: "string" },
    },
  });
  mx.setDefaultDevice(mx.gpu);
  const facts = mx.deviceInfo(mx.gpu), simulated = `${facts.deviceName}`.startsWith("Simulated");
  console.log(`${facts.deviceName}, system ${facts.system}`);
  const full = values.full || !simulated, counts = countAll(values.filter, full);
  const lines = await measureAll(values.filter, !full, !simulated);
  if (values.json) await Deno.writeTextFile(values.json, `${JSON.stringify({ facts, counts, lines }, null, 1)}\n`);
  if (counts.some(({ faults }) => faults.length > 0)) Deno.exit(1);
}
if (import.meta.main) await main();
