/**
 * Replays recorded cases of mlx-lm on the library: `deno task reference:lm DIR... [--filter TEXT] [--kind logits,...]
 * [--device cpu|gpu] [--quiet]`. Every `reference.json` below a DIR is one folder of cases. The last line is
 * `N passed, N failed`.
 * @module
 */
import { type Library, loadLibrary, setDevice } from "../reference/library.ts";
import { perturbCount } from "../reference/perturb.ts";
import { type Check, commandLine, isExpected, Report, runChecks } from "../reference/report.ts";
import { hostArray, readTensors } from "../reference/safetensors_reader.ts";
import { isReference, type LmCase, type LmReference, type LmResult } from "./cases.ts";
import { comparable, jsonMismatch, numbersMismatch } from "./compare.ts";
import { Groups } from "./groups.ts";
import { Models } from "./models.ts";
import { Tokenizers } from "./tokenizers.ts";

const USAGE = "usage: deno task reference:lm DIR... [--filter TEXT] [--kind KIND,...] [--device cpu|gpu] [--quiet] " +
  "[--perturb N]";
const ROOMS: Readonly<Record<string, string>> = { mx: "core", nn: "nn", optim: "optimizers", lm: "lm" };

/** A check and its kind. */
interface LmCheck extends Check {
  readonly kind: string;
}

/** All folders with a `reference.json` at or below a path, in order. */
function foldersBelow(path: string): string[] {
  const entries = [...Deno.readDirSync(path)].sort((a, b) => a.name < b.name ? -1 : 1);
  const own = entries.some((e) => e.name === "reference.json") ? [path] : [];
  return [...own, ...entries.filter((e) => e.isDirectory).flatMap((e) => foldersBelow(`${path}/${e.name}`))];
}

/** Computes a case. */
function compute(c: LmCase, models: Models, groups: Groups): Promise<LmResult> {
  switch (c.kind) {
    case "logits":
      return models.logits(c);
    case "generate":
      return models.generate(c);
    case "batch":
      return models.batch(c);
    case "speculative":
      return models.speculative(c);
    case "stream":
      return models.stream(c);
    case "perplexity":
      return models.perplexity(c);
    case "evaluate":
      return models.evaluate(c);
    case "train":
      return models.train(c);
    case "sampling":
      return groups.sampling(c);
    case "random":
      return groups.random(c);
    case "quantize":
      return groups.quantize(c);
  }
  throw new Error(`unknown kind ${c.kind}`);
}

/** Why loading did not fail as recorded, or null. */
async function checkLoadError(c: LmCase, models: Models): Promise<string | null> {
  try {
    await models.loadError(c);
  } catch (e) {
    if (!isExpected(e)) throw e;
    return null;
  }
  return `${c.expect.error} expected: ${c.expect.message}`;
}

const numbers = (x: unknown): number[] => Array.isArray(x) ? x.map(Number) : [];
/** The first `n` items of every list. */
const cut = (o: Readonly<Record<string, unknown>>, n: number): Record<string, unknown> =>
  Object.fromEntries(Object.entries(o).map(([k, v]) => [k, Array.isArray(v) ? v.slice(0, n) : v]));

/** Why a result is not as recorded, or null. */
function compared(c: LmCase, got: LmResult, dtype: string, recorded: ReturnType<typeof readTensors>): string | null {
  let [want, json] = [c.expect, got.json];
  if (c.kind === "generate") {
    const n = comparable(numbers(want.margins), dtype, c.kwargs?.kv_bits !== undefined);
    [want, json] = [cut(want, n), cut(json, n)];
  }
  const why = jsonMismatch(json, want, c.tol);
  if (why !== null) return why;
  for (const [name, key] of Object.entries(c.arrays ?? {})) {
    const raw = recorded.get(key), mine = got.arrays[name];
    if (raw === undefined) throw new Error(`reference.safetensors has no ${key}`);
    if (mine === undefined) return `no ${name}`;
    const theirs = hostArray(raw), exact = !/float/.test(mine.dtype) && !/float/.test(theirs.dtype);
    if (mine.shape.join() !== theirs.shape.join()) return `${name}: shape [${mine.shape}] instead of [${theirs.shape}]`;
    const off = numbersMismatch(mine.data, theirs.data, exact ? { atol: 0, rtol: 0 } : c.tol);
    if (off !== null) return `${name}: ${off}`;
  }
  return null;
}

/** The cases of a folder; its files are read when the first of them runs. */
function checksOf(lib: Library, folder: string, reference: LmReference): LmCheck[] {
  const name = folder.split("/").at(-1) ?? folder;
  if (reference.cases !== undefined) {
    const models = new Models(lib, folder), groups = new Groups(lib, folder);
    let file: ReturnType<typeof readTensors> | undefined;
    const recorded = (): ReturnType<typeof readTensors> => file ??= readTensors(`${folder}/reference.safetensors`);
    return reference.cases.map((c) => ({
      id: `${name} ${c.id}`,
      group: `${c.kind} ${name}`,
      kind: c.kind,
      run: async () =>
        c.kind === "load_error"
          ? await checkLoadError(c, models)
          : compared(c, await compute(c, models, groups), reference.dtype ?? "", recorded()),
    }));
  }
  let loading: Promise<Tokenizers> | undefined;
  const tokenizer = (): Promise<Tokenizers> => loading ??= Tokenizers.load(lib, folder);
  const item = <T>(group: string, i: number, c: T, check: (t: Tokenizers, c: T) => string | null): LmCheck => ({
    id: `${name} ${group}[${i}]`,
    group: `tokenizers ${name}`,
    kind: "tokenizers",
    run: async () => check(await tokenizer(), c),
  });
  return [
    ...(reference.texts ?? []).map((c, i) => item("texts", i, c, (t, x) => t.text(x))),
    ...(reference.id_sequences ?? []).map((c, i) => item("id_sequences", i, c, (t, x) => t.text(x))),
    ...(reference.chats ?? []).map((c, i) => item("chats", i, c, (t, x) => t.chat(x))),
  ];
}

/** What a replay is told. */
export interface ReplayOptions {
  /** Only cases whose folder and id contain this. */
  readonly filter: string;
  /** Only these kinds. */
  readonly kinds: readonly string[] | undefined;
  /** Print the last line alone. */
  readonly quiet: boolean;
  /** Change what so many cases expect. */
  readonly perturb?: number;
}
/** Replays all records below some folders and prints what failed; the exit code. */
export async function replay(
  lib: Library,
  folders: readonly string[],
  { filter, kinds, quiet, perturb = 0 }: ReplayOptions,
): Promise<number> {
  const wanted = (x: LmCheck): boolean => x.id.includes(filter) && (kinds?.includes(x.kind) ?? true),
    queue: LmCheck[][] = [];
  for (const folder of folders.flatMap((f) => foldersBelow(f.replace(/\/+$/, "")))) {
    const json: unknown = JSON.parse(Deno.readTextFileSync(`${folder}/reference.json`));
    if (!isReference(json)) throw new Error(`${folder}/reference.json is no record`);
    queue.push(checksOf(lib, folder, json).filter(wanted));
  }
  const report = new Report(queue.reduce((n, checks) => n + checks.length, 0), quiet);
  const change = { left: perturb };
  // A folder's models go with its cases.
  for (let checks = queue.shift(); checks !== undefined; checks = queue.shift()) {
    await runChecks(checks, report, change);
  }
  return report.finish();
}

/** Runs the command line; the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const { folders, options, flags } = commandLine(args, USAGE, {
    options: ["filter", "kind", "device", "perturb"],
    flags: ["quiet"],
  });
  const perturb = perturbCount(options.get("perturb"));
  if (folders.length === 0 || perturb === null) {
    console.error(USAGE);
    return 2;
  }
  const lib = await loadLibrary(ROOMS);
  setDevice(lib, options.get("device"));
  return await replay(lib, folders, {
    filter: options.get("filter") ?? "",
    kinds: options.get("kind")?.split(","),
    quiet: flags.has("quiet"),
    perturb,
  });
}
