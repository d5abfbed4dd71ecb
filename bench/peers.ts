/**
 * Does the same works with other libraries, in turn with ours, and prints how their times compare:
 *
 *     deno run -A bench/peers.ts --python PATH [--libraries numpy,torch,mlx] [--filter TEXT] [--quick] [--json FILE]
 *     deno run -A bench/peers.ts --node-llama-cpp FOLDER --model FILE.gguf
 *
 * A ratio above 1 says that Denim is faster. Absolute times of one machine say little; ratios of times that were taken
 * in turn say more. `--python` is a Python that has the libraries, `--node-llama-cpp` a folder where that npm package
 * is installed (its works are those of a language model, so they need `--model`).
 * @module
 */
import { parseArgs } from "node:util";
import * as mx from "../mod.ts";
import { run } from "../ffi/zig.ts";
import { isNoise } from "./compare.ts";
import { machine } from "./machine.ts";
import { selected } from "./main.ts";
import { Python } from "./python.ts";
import { columns, describeMachine, duration } from "./report.ts";
import { summary, type Task, Timer, type Times, type Work } from "./work.ts";
import { languageWorks, NEW_TOKENS, PROMPT_TOKENS } from "./works/language.ts";
import { allWorks } from "./works/mod.ts";

/** One work's times with each library that can do it. */
export interface Row {
  readonly work: string;
  readonly denim: Times;
  readonly peers: Readonly<Record<string, Times>>;
}
const ROUNDS = 3;
/** Their threads spin for a while after work; ours shall not run beside them. */
const PAUSE_MS = 300;
const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));

/** Takes the times of one work: a round with ours, a round with each peer, and again. */
export async function inTurn(work: Work, peers: readonly Python[], seconds: number): Promise<Row> {
  const task: Task = await work.prepare(false), of = task.count?.of;
  // The peers' figures are for a call, but for tokens and for products that are done one after another.
  const timer = new Timer(of === "token" || of === "product" ? task : { ...task, count: { n: 1, of: "call" } });
  const able: [Python, number[]][] = [];
  for (const peer of peers) if (await peer.prepare(work.name)) able.push([peer, []]);
  for (let round = 0; round < ROUNDS && able.length > 0; round++) {
    await timer.run(seconds / ROUNDS);
    for (const [peer, samples] of able) {
      samples.push(...await peer.measure(seconds / ROUNDS));
      await pause();
    }
  }
  const times = able.map(([peer, samples]): [string, Times] => [peer.library, summary(samples, 1)]);
  return { work: work.name, denim: timer.times(), peers: Object.fromEntries(times) };
}

/** The works of language models with llama.cpp, which loads the model for itself: all of its turn, then ours. */
async function withLlama(folder: string, model: string, threads: number, seconds: number): Promise<readonly Row[]> {
  const program = new URL("llama_cpp.mjs", import.meta.url).pathname;
  const args = [program, model, threads, PROMPT_TOKENS, NEW_TOKENS, seconds].map(String);
  const { code, stdout, stderr } = await run({ command: "node" }, args, folder);
  if (code !== 0) throw new Error(`llama_cpp.mjs ended with ${code}: ${stderr}`);
  const theirs: Readonly<Record<"prefill" | "decode", readonly number[]>> = JSON.parse(stdout);
  const rows: Row[] = [];
  for (const work of languageWorks(model)) {
    const timer = new Timer(await work.prepare(false));
    await timer.run(seconds, 3);
    const samples = work.name.startsWith("prefill") ? theirs.prefill : theirs.decode;
    rows.push({ work: work.name, denim: timer.times(), peers: { "llama.cpp": summary(samples, 1) } });
  }
  return rows;
}

const NAME_WIDTH = 32, TIME_WIDTH = 10;
function header(libraries: readonly string[]): string {
  const cells = ["", "denim", ...libraries.flatMap((library) => [library, "ratio"])];
  return columns(cells, [NAME_WIDTH, ...cells.slice(1).map(() => TIME_WIDTH)]);
}
/** A work's line: our time, then for each library its time and how many times ours that is, `~` where that is noise. */
function line({ work, denim, peers }: Row, libraries: readonly string[]): string {
  const cells = libraries.flatMap((library) => {
    const times = peers[library];
    if (!times) return ["", ""];
    const ratio = times.median / denim.median;
    return [duration(times.median), `${isNoise(ratio, denim, times) ? "~" : ""}${ratio.toFixed(2)}`];
  });
  return columns([work, duration(denim.median), ...cells], [NAME_WIDTH, TIME_WIDTH, ...cells.map(() => TIME_WIDTH)]);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      filter: { type: "string", default: "" },
      json: { type: "string" },
      libraries: { type: "string", default: "numpy,torch,mlx" },
      model: { type: "string" },
      "node-llama-cpp": { type: "string" },
      python: { type: "string" },
      quick: { type: "boolean", default: false },
    },
  });
  const about = await machine(), seconds = values.quick ? 0.3 : 3, rows: Row[] = [];
  console.log(describeMachine(about));
  const { python, model, "node-llama-cpp": llama } = values;
  if (python !== undefined) {
    const libraries = values.libraries.split(",");
    const peers = libraries.map((library) => new Python(python, library, about.threads));
    console.log(header(libraries));
    for (const work of selected(allWorks(null), values.filter)) {
      const row = await inTurn(work, peers, seconds);
      mx.clearCache();
      if (Object.keys(row.peers).length === 0) continue;
      rows.push(row);
      console.log(line(row, libraries));
    }
    await Promise.all(peers.map((peer) => peer.close()));
  }
  if (llama !== undefined && model !== undefined) {
    console.log(`\nseconds per token\n${header(["llama.cpp"])}`);
    for (const row of await withLlama(llama, model, about.threads, seconds)) {
      rows.push(row);
      console.log(line(row, ["llama.cpp"]));
    }
  }
  if (values.json === undefined) return;
  await Deno.writeTextFile(
    values.json,
    `${JSON.stringify({ format: 1, machine: about, flags: Deno.args, rows }, null, 1)}\n`,
  );
}
if (import.meta.main) await main();
