/**
 * Runs MLX's own Python tests on this project: `deno task suite <folder> <repository>`.
 *
 * The folder holds a runner, `run.py`, whose Python package `mlx` hands every call on to a host program; that imports
 * this project, and `tests/mlx_bridge.ts` for what no rule of names gives. The tests are taken from the repository, a git
 * directory or a checkout of MLX. What comes out is compared with `tests/mlx_suite_known.ts`: a failure that is not
 * listed there ends the program with 1, and so does an entry that is not needed any more. Options: `--python` (needs
 * NumPy), `--filter` (a regular expression on names), `--work` (a folder), `--jobs`, `--timeout` (seconds per test).
 * @module
 */
import { known, type KnownFailures } from "../tests/mlx_suite_known.ts";
import { ROOT } from "./published.ts";

/** What became of one test. */
export interface Outcome {
  readonly id: string;
  readonly status: "pass" | "fail" | "timeout" | "crash" | "skip" | "excluded";
  readonly msg?: string;
}
/** The results beside the list. */
export interface Comparison {
  readonly passed: number;
  /** Tests that apply: what is neither skipped nor excluded. */
  readonly applying: number;
  /** Failures that are listed, under their reasons. */
  readonly explained: ReadonlyMap<string, readonly Outcome[]>;
  readonly unexpected: readonly Outcome[];
  /** Names in the list that passed, or that no test has. */
  readonly stale: readonly string[];
}
/** Compares results with the list; `all` says whether every test has run. */
export function compare(outcomes: readonly Outcome[], list: readonly KnownFailures[], all: boolean): Comparison {
  const applying = outcomes.filter(({ status }) => status !== "skip" && status !== "excluded");
  const passed = new Set(applying.filter(({ status }) => status === "pass").map(({ id }) => id));
  const ran = new Set(applying.map(({ id }) => id)), listed = new Set(list.flatMap(({ tests }) => tests));
  const failed = applying.filter(({ id }) => !passed.has(id));
  const stale = list.flatMap(({ tests, mayPass }) =>
    tests.filter((id) => passed.has(id) ? !mayPass : all && !ran.has(id))
  );
  return {
    passed: passed.size,
    applying: applying.length,
    explained: new Map(list.map(({ reason, tests }) => [reason, failed.filter(({ id }) => tests.includes(id))])),
    unexpected: failed.filter(({ id }) => !listed.has(id)),
    stale,
  };
}
/** The comparison as lines. */
export function report({ passed, applying, explained, unexpected, stale }: Comparison): string[] {
  const lines: string[] = [];
  for (const [reason, tests] of explained) {
    if (tests.length) lines.push(`${tests.length} known: ${reason}`, ...tests.map(({ id }) => `    ${id}`));
  }
  for (const { id, status, msg = "" } of unexpected) lines.push(`UNEXPECTED ${id} [${status}] ${msg.slice(0, 300)}`);
  for (const id of stale) lines.push(`STALE ${id} passes, or is no test`);
  const share = applying ? (100 * passed / applying).toFixed(1) : "0";
  const rest = `${applying - passed - unexpected.length} known failures, ${unexpected.length} unexpected`;
  return [...lines, `${passed} of ${applying} tests that apply pass (${share} %), ${rest}, ${stale.length} stale`];
}

function option(name: string): string | undefined {
  const at = Deno.args.indexOf(`--${name}`);
  return at < 0 ? undefined : Deno.args[at + 1];
}
/** Runs the tests, and reads what became of them. */
async function run(folder: string, repository: string): Promise<Outcome[]> {
  const work = option("work") ?? await Deno.makeTempDir({ prefix: "mlx-suite-" }), filter = option("filter");
  const options = {
    "host": "denim",
    "project": ROOT,
    "mlx-repo": repository,
    "work": work,
    "json": `${work}/outcomes.json`,
    "timeout": option("timeout") ?? "60",
    ...filter && { filter },
  };
  const args = [`${folder}/run.py`, ...Object.entries(options).flatMap(([k, v]) => [`--${k}`, v])];
  args.push("-j", option("jobs") ?? String(navigator.hardwareConcurrency));
  await new Deno.Command(option("python") ?? "python3", { args, env: { DENO: Deno.execPath() } }).spawn().status;
  return JSON.parse(Deno.readTextFileSync(options.json)).tests;
}

if (import.meta.main) {
  const [folder, repository] = Deno.args;
  if (folder === undefined || repository === undefined) {
    console.error(
      "usage: deno task suite <folder with run.py> <repository of MLX> [--python PYTHON] [--filter REGEXP]",
    );
    Deno.exit(2);
  }
  const comparison = compare(await run(folder, repository), known, option("filter") === undefined);
  console.log(report(comparison).join("\n"));
  Deno.exit(comparison.unexpected.length + comparison.stale.length ? 1 : 0);
}
