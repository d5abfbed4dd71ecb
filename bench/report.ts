/**
 * Reports: what is written as JSON, and the table for people.
 * @module
 */
import type { Machine } from "./machine.ts";
import { leastSeconds, type Roofs } from "./roofs.ts";
import type { Cost, Task, Times, Work } from "./work.ts";

/** One work's figures. Times are in seconds for one of what is counted. */
export interface Result extends Times {
  readonly name: string;
  readonly group: string;
  /** What the times are of. */
  readonly of: "call" | "op" | "product" | "token";
  /** Arithmetic operations and bytes of one call, where that says something. */
  readonly cost?: Cost;
  /** 10^9 arithmetic operations in a second, by the median. */
  readonly gflops?: number;
  /** 10^9 bytes read and written in a second, by the median. */
  readonly gbytes?: number;
  /** The least time that the machine's roofs allow, over the median. */
  readonly share?: number;
}
/** A run of the bench. */
export interface Report {
  readonly format: 1;
  readonly machine: Machine;
  /** How the bench was called. */
  readonly flags: readonly string[];
  /** With one thread, and with as many as the library uses. */
  readonly roofs: readonly Roofs[];
  readonly results: readonly Result[];
}
/** Reads a report. */
export async function readReport(path: string): Promise<Report> {
  const report: Report = JSON.parse(await Deno.readTextFile(path));
  if (report.format !== 1) throw new Error(`${path} is no report of this bench`);
  return report;
}

/** The figures of a work from its times. */
export function result({ name, group }: Work, { cost, count }: Task, times: Times, roofs: Roofs): Result {
  const base = { name, group, of: count?.of ?? "call", ...times };
  if (!cost) return base;
  return {
    ...base,
    cost,
    ...cost.flops > 0 && { gflops: cost.flops / times.median / 1e9 },
    gbytes: (cost.read + cost.written) / times.median / 1e9,
    share: leastSeconds(roofs, cost) / times.median,
  };
}

/** A time with three digits. */
export function duration(seconds: number): string {
  const [scaled, unit] = seconds < 1e-6
    ? [seconds * 1e9, "ns"]
    : seconds < 1e-3
    ? [seconds * 1e6, "µs"]
    : seconds < 1
    ? [seconds * 1e3, "ms"]
    : [seconds, "s"];
  return `${digits(scaled)} ${unit}`;
}
/** Three digits. */
export function digits(x: number): string {
  return x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2);
}
/** A share in percent. */
export function percent(x: number): string {
  return `${(100 * x).toFixed(0)}%`;
}
/** Cells in columns: the first is aligned to the left, the others to the right. */
export function columns(cells: readonly string[], widths: readonly number[]): string {
  return cells.map((cell, i) => i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)).join(" ")
    .trimEnd();
}

const WIDTHS = [32, 9, 9, 9, 6, 10, 10, 6];
/** The first line of the table. */
export const HEADING: string = columns(["", "median", "min", "p95", "spread", "GFLOP/s", "GB/s", "roof"], WIDTHS);
/** A work's line of the table. */
export function line(r: Result): string {
  const rate = r.of === "token" ? `${digits(1 / r.median)} tok/s` : r.gflops ? digits(r.gflops) : "";
  const times = [duration(r.median), duration(r.min), duration(r.p95), percent(r.spread)];
  const rates = [rate, r.gbytes === undefined ? "" : digits(r.gbytes), r.share === undefined ? "" : percent(r.share)];
  return columns([r.name, ...times, ...rates], WIDTHS);
}
/** Lines about the machine. */
export function describeMachine(m: Machine): string {
  return [
    `${m.processor}, ${m.cores} cores, ${m.threads} threads, ${m.isa}, ${Math.round(m.memoryBytes / 2 ** 30)} GiB`,
    `${m.os}, Deno ${m.deno}, commit ${m.commit || "unknown"}, load ${m.load.toFixed(2)}`,
    ...m.load > 0.5 * m.cores ? ["The machine is busy: these figures are no measurement."] : [],
  ].join("\n");
}
/** Lines about the roofs. */
export function describeRoofs(roofs: readonly Roofs[]): string {
  return roofs.map(({ threads, fma, bfloat16, memory }) => {
    const flops = [`${digits(fma / 1e9)} GFLOP/s`, ...bfloat16 ? [`bfloat16 ${digits(bfloat16 / 1e9)}`] : []].join(
      ", ",
    );
    const bytes = memory.map((m) => `${m.footprint / 2 ** 20} MiB ${digits(m.read / 1e9)}/${digits(m.copy / 1e9)}`);
    return `roof, threads ${threads}: ${flops}; read/copy GB/s: ${bytes.join(", ")}`;
  }).join("\n");
}
