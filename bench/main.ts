/**
 * Measures the machine's roofs, then the works, and prints a table:
 *
 *     deno task bench [--filter TEXT] [--quick] [--json FILE] [--model PATH]
 *
 * `--filter` takes the works whose name or group holds the text; several texts are separated by commas. `--quick`
 * spends a tenth of the time on each. `--json` writes the report that `compare.ts` reads. `--model` is the folder or
 * .gguf file of a language model, or `default` for the one that `generate` uses.
 * @module
 */
import { parseArgs } from "node:util";
import * as mx from "../mod.ts";
import { defaultModel } from "../lm/mod.ts";
import { machine } from "./machine.ts";
import { describeMachine, describeRoofs, HEADING, line, type Report, type Result, result } from "./report.ts";
import { keepRoofs, measureRoofs, type Roofs } from "./roofs.ts";
import { Timer, type Work } from "./work.ts";
import { allWorks } from "./works/mod.ts";

const SECONDS = 1, QUICK_SECONDS = 0.1;

/** Works whose name or group holds one of the texts that are separated by commas. */
export function selected(works: readonly Work[], filter: string): readonly Work[] {
  const texts = filter.split(",");
  return works.filter(({ name, group }) => texts.some((text) => name.includes(text) || group.includes(text)));
}
/** Measures one work at full size. */
export async function measure(work: Work, seconds: number, roofs: Roofs): Promise<Result> {
  const task = await work.prepare(false), timer = new Timer(task);
  await timer.run(seconds);
  return result(work, task, timer.times(), roofs);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      filter: { type: "string", default: "" },
      json: { type: "string" },
      model: { type: "string" },
      quick: { type: "boolean", default: false },
    },
  });
  const about = await machine(), roofs = await measureRoofs(about.threads), most = roofs.at(-1);
  if (!most) throw new Error("no roofs were measured");
  await keepRoofs(roofs);
  console.log(`${describeMachine(about)}\n${describeRoofs(roofs)}`);
  const model = values.model === "default" ? await defaultModel() : values.model ?? null;
  const results: Result[] = [];
  let group = "";
  for (const work of selected(allWorks(model), values.filter)) {
    if (work.group !== group) {
      console.log(`\n${HEADING.replace(/^ {1,32}/, (blank) => work.group.padEnd(blank.length))}`);
    }
    group = work.group;
    const measured = await measure(work, values.quick ? QUICK_SECONDS : SECONDS, most);
    results.push(measured);
    console.log(line(measured));
    mx.clearCache(); // the next work starts with the memory that it asks for
  }
  if (values.json === undefined) return;
  const report: Report = { format: 1, machine: about, flags: Deno.args, roofs, results };
  await Deno.writeTextFile(values.json, `${JSON.stringify(report, null, 1)}\n`);
}
if (import.meta.main) await main();
