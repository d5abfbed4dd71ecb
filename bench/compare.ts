/**
 * Compares two reports of the bench, work by work:
 *
 *     deno run -A bench/compare.ts BEFORE.json AFTER.json
 *
 * A ratio above 1 says that AFTER is faster. Ratios that the spread of the times explains are marked as noise.
 * @module
 */
import { columns, describeMachine, duration, readReport, type Report, type Result } from "./report.ts";

/** One work in both reports. */
export interface Comparison {
  readonly name: string;
  readonly before: number;
  readonly after: number;
  /** The time before over the time after. */
  readonly ratio: number;
  /** Do the times differ by no more than they vary? */
  readonly noise: boolean;
}
/** Repeated runs of one program differ by about this much, however small their spreads are. */
const LEAST_NOISE = 0.03;

/** Whether a ratio of two medians is inside the noise: their spreads together, and never less than three percent. */
export function isNoise(ratio: number, a: Pick<Result, "spread">, b: Pick<Result, "spread">): boolean {
  return Math.abs(Math.log(ratio)) <= Math.log1p(Math.max(LEAST_NOISE, a.spread + b.spread));
}
/** The works that both reports have. */
export function compare(before: Report, after: Report): readonly Comparison[] {
  const old = new Map(before.results.map((r) => [r.name, r]));
  return after.results.flatMap((b) => {
    const a = old.get(b.name);
    if (!a) return [];
    const ratio = a.median / b.median;
    return [{ name: b.name, before: a.median, after: b.median, ratio, noise: isNoise(ratio, a, b) }];
  });
}
/** Why the two reports should not be compared, if so. */
export function mismatch({ machine: a }: Report, { machine: b }: Report): string | null {
  const differing = (["processor", "cores", "threads", "isa", "os"] as const).filter((key) => a[key] !== b[key]);
  const pairs = differing.map((key) => `${key} (${a[key]}, ${b[key]})`);
  return pairs.length ? `The machines differ in ${pairs.join(", ")}: these ratios say little about the code.` : null;
}

const WIDTHS = [32, 10, 10, 7];
/** The geometric mean: of ratios, so that 2 and 1/2 make 1. */
export function geometricMean(ratios: readonly number[]): number {
  return Math.exp(ratios.reduce((sum, r) => sum + Math.log(r), 0) / ratios.length);
}
if (import.meta.main) {
  const [first, second] = Deno.args;
  if (first === undefined || second === undefined) {
    console.error("usage: deno run -A bench/compare.ts BEFORE.json AFTER.json");
    Deno.exit(2);
  }
  const before = await readReport(first), after = await readReport(second), rows = compare(before, after);
  console.log(`before: ${describeMachine(before.machine)}\nafter:  ${describeMachine(after.machine)}`);
  const warning = mismatch(before, after);
  if (warning) console.log(warning);
  console.log(columns(["", "before", "after", "ratio"], WIDTHS));
  for (const { name, before, after, ratio, noise } of rows) {
    const cells = [name, duration(before), duration(after), ratio.toFixed(2)];
    console.log(columns(cells, WIDTHS) + (noise ? "  noise" : ratio > 1 ? "  faster" : "  slower"));
  }
  if (rows.length > 0) {
    console.log(`geometric mean of ${rows.length}: ${geometricMean(rows.map((r) => r.ratio)).toFixed(3)}`);
  }
}
