/**
 * Replays recorded MLX cases on the library: `deno task reference DIR [--filter TEXT] [--device cpu|gpu] [--quiet]
 * [--perturb N]`. DIR holds `cases.json` and `arrays.safetensors`. The last line is `N passed, N failed`, which add up
 * to the cases chosen; nothing is skipped.
 * @module
 */
import { SignatureError } from "./calls.ts";
import { type Case, Engine, hasOutput, isCase, postsOf } from "./cases.ts";
import { mismatch, perturbed, show, type Value } from "./compare.ts";
import { type Library, loadLibrary, setDevice } from "./library.ts";
import { commandLine, isExpected, type Outcome, outcomeOf, passed, Report } from "./report.ts";
import { readTensors } from "./safetensors_reader.ts";

const USAGE = "usage: deno task reference DIR [--filter TEXT] [--device cpu|gpu] [--quiet] [--perturb N]";
/** The rooms whose modules the cases call. */
export const ROOMS: Readonly<Record<string, string>> = { mx: "core", nn: "nn", optim: "optimizers" };

/** The cases of a directory. */
export function readCases(folder: string): Case[] {
  const list: unknown[] = JSON.parse(Deno.readTextFileSync(`${folder}/cases.json`));
  return list.map((x) => {
    if (!isCase(x)) throw new Error(`${folder}/cases.json holds something that is no case`);
    return x;
  });
}

/** Calls that have to throw, and must not fail inside the engine instead. */
async function checkThrows(engine: Engine, c: Case): Promise<Outcome> {
  try {
    const got = await engine.run(c);
    return {
      kind: "no error",
      why: `${c.error_type ?? "an error"} expected (${c.message ?? ""}), got ${got.map(show).join(", ")}`,
    };
  } catch (e) {
    if (e instanceof SignatureError) return passed;
    return isExpected(e) ? passed : outcomeOf(e);
  }
}

/** What a GPU's order of summing may change of results that cancel, where the record forgives anything at all. */
const OTHER_ORDER = 2 ** -20;
function compared(c: Case, got: readonly Value[], want: readonly Value[], onGpu: boolean): Outcome {
  const { rtol, atol } = c, ofLargest = onGpu && rtol > 0 ? OTHER_ORDER : 0;
  const why = mismatch(got, want, { rtol, atol, ofLargest }, postsOf(c));
  return why === null ? passed : { kind: "value", why: `${why} (want ${want.map(show).join(", ").slice(0, 200)})` };
}

/** How a case is run. */
export interface CheckOptions {
  /** Alters what is expected. */
  readonly change?: boolean;
  /** The default device is a GPU. */
  readonly onGpu?: boolean;
}
/** Runs a case. */
export async function checkCase(
  engine: Engine,
  c: Case,
  { change = false, onGpu = false }: CheckOptions = {},
): Promise<Outcome> {
  if (c.transform === "error") return await checkThrows(engine, c);
  try {
    const got = await engine.run(c), want = engine.wanted(c), [first = null, ...others] = want;
    return compared(c, got, change ? [perturbed(first, c, postsOf(c)[0] ?? null), ...others] : want, onGpu);
  } catch (e) {
    return outcomeOf(e);
  }
}

/** `n` of the cases, evenly spread. */
function spread(cases: readonly Case[], n: number): Set<Case> {
  const count = Math.min(n, cases.length), chosen = new Set<Case>();
  for (let i = 0; i < count; i++) {
    const c = cases[Math.floor((i * cases.length) / count)];
    if (c !== undefined) chosen.add(c);
  }
  return chosen;
}

/** Those `n` cases that pass as recorded and will be asked for something else. */
async function perturbedCases(engine: Engine, cases: readonly Case[], n: number, onGpu: boolean): Promise<Set<Case>> {
  if (n === 0) return new Set();
  const good: Case[] = [];
  for (const c of cases.filter(hasOutput)) if ((await checkCase(engine, c, { onGpu })).kind === "passed") good.push(c);
  return spread(good, n);
}

/** What a replay is told. */
export interface ReplayOptions {
  /** Only cases whose id or function contains this. */
  readonly filter?: string;
  /** How many expected outputs to change. */
  readonly perturb?: number;
  /** Print the last line alone. */
  readonly quiet?: boolean;
  /** The default device from here on; that of the process if it is not given. */
  readonly device?: string;
}
/** Replays the cases of a directory and prints what failed; the exit code. */
export async function replay(
  lib: Library,
  folder: string,
  { filter = "", perturb = 0, quiet = false, device }: ReplayOptions,
): Promise<number> {
  const onGpu = device === "gpu";
  setDevice(lib, device);
  const cases = readCases(folder).filter((c) => c.id.includes(filter) || c.fn.includes(filter));
  const engine = new Engine(lib, readTensors(`${folder}/arrays.safetensors`));
  const changed = await perturbedCases(engine, cases, perturb, onGpu);
  const report = new Report(cases.length, quiet);
  for (const c of cases) report.add(c.id, c.fn, await checkCase(engine, c, { change: changed.has(c), onGpu }));
  return report.finish();
}

/** Runs the command line; the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const line = commandLine(args, USAGE, { options: ["filter", "device", "perturb"], flags: ["quiet"] });
  const [folder] = line.folders, perturb = Number(line.options.get("perturb") ?? 0);
  if (folder === undefined || line.folders.length > 1 || !Number.isInteger(perturb) || perturb < 0) {
    console.error(USAGE);
    return 2;
  }
  const device = line.options.get("device");
  if (device !== undefined && device !== "cpu" && device !== "gpu") {
    console.error(USAGE);
    return 2;
  }
  const quiet = line.flags.has("quiet"), filter = line.options.get("filter");
  return await replay(await loadLibrary(ROOMS), folder, { filter, perturb, quiet, device });
}
