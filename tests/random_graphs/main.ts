/**
 * Random programs by the thousand: `SEEDS=10000 deno run -A tests/random_graphs/main.ts [first seed]`. Prints each
 * failure as a program to paste, and how often each primitive took part. With `DENIM_DEVICE=gpu` they run on the GPU and
 * are compared with the CPU.
 * @module
 */
import { allPrimitives } from "../../core/graph.ts";
import { verdict } from "./check.ts";
import { programOf } from "./generate.ts";
import { type Program, source } from "./program.ts";
import { pruned, shrunk } from "./shrink.ts";

/** What a run found. */
export interface Report {
  readonly failures: readonly { readonly seed: number; readonly how: string; readonly program: Program }[];
  readonly sensitive: number;
  /** In how many programs each primitive was. */
  readonly coverage: ReadonlyMap<string, number>;
}
/** Runs the programs of these seeds; at most `most` failures are shrunk and reported. */
export function runSeeds(first: number, n: number, most = 3): Report {
  const failures: { seed: number; how: string; program: Program }[] = [],
    coverage = new Map<string, number>(allPrimitives().map((p) => [p.name, 0]));
  let sensitive = 0;
  for (let seed = first; seed < first + n && failures.length < most; seed++) {
    const program = programOf(seed), v = verdict(program);
    for (const name of new Set(pruned(program).steps.map((s) => s.name))) coverage.set(name, coverage.get(name)! + 1);
    if (v.kind === "sensitive") sensitive++;
    if (v.kind !== "differs") continue;
    const small = shrunk(program, (p) => verdict(p).kind === "differs"), last = verdict(small);
    failures.push({ seed, how: last.kind === "differs" ? last.how : v.how, program: small });
  }
  return { failures, sensitive, coverage };
}
/** A failure as text. */
export function failureText(f: Report["failures"][number]): string {
  return `seed ${f.seed}: ${f.how}\n${source(f.program)}`;
}
/** Programs between two lines of progress. */
const BLOCK = 250;
function main(n: number, first: number): boolean {
  const start = performance.now(), coverage = new Map<string, number>();
  let failed = 0, sensitive = 0;
  for (let done = 0; done < n; done += BLOCK) {
    const report = runSeeds(first + done, Math.min(BLOCK, n - done), BLOCK);
    report.failures.forEach((f) => console.log(failureText(f)));
    failed += report.failures.length;
    sensitive += report.sensitive;
    for (const [name, k] of report.coverage) coverage.set(name, (coverage.get(name) ?? 0) + k);
    const seconds = ((performance.now() - start) / 1000).toFixed(0), so = Math.min(done + BLOCK, n);
    console.log(`${so} programs in ${seconds} s: ${failed} differ, ${sensitive} hang on last bits`);
  }
  const least = [...coverage].toSorted((a, b) => a[1] - b[1]).slice(0, 8);
  console.log(`seldom: ${least.map(([name, k]) => `${name} ${k}`).join(", ")}`);
  return failed === 0;
}
if (import.meta.main && !main(Number(Deno.env.get("SEEDS") ?? 1000), Number(Deno.args[0] ?? 0))) Deno.exit(1);
