/**
 * What compiled functions tell about themselves: counts, and for each trace why it was made and what became of it.
 * @module
 */
import { changes, type SignatureChange } from "./signature.ts";

/** Counts of a compiled function. */
export interface CompileStatistics {
  /** Calls of the compiled function. */
  calls: number;
  /** How often the function itself was run to make a program. */
  traces: number;
  /** Programs for other shapes that needed no run of the function (`shapeless`). */
  replays: number;
  /** Programs held now. */
  programs: number;
  /** Programs that were dropped because there were more than the limit. */
  evictions: number;
}
/** One run of the function itself. */
export interface CompileTrace {
  /** Which call it was, counted from 1. */
  readonly call: number;
  /**
   * What differs from the most similar trace before. Empty for the first one, and where nothing differs because that
   * program had been dropped.
   */
  readonly changes: readonly SignatureChange[];
  /** Of a shapeless function: lengths that it read, which therefore have to stay. */
  readonly guards: readonly string[];
  /** Operations in the program. */
  readonly operations: number;
  /** Operations that were equal to another one and became one with it. */
  readonly merged: number;
  /** Operations that depend on constants only: they were computed once. */
  readonly folded: number;
  /** Bytes that the program's temporaries take. */
  readonly temporaryBytes: number;
  /** The most bytes that temporaries need at one time: less than this cannot be taken. */
  readonly liveBytes: number;
}
/** What {@linkcode Compile.explain} tells; as a string it is a line per trace and one per change. */
export interface Explanation {
  /** Counts so far. */
  readonly statistics: CompileStatistics;
  /** The last traces, the oldest first. */
  readonly traces: readonly CompileTrace[];
  /** All of it, to be read. */
  toString(): string;
}
/** How a program came out. */
export type Outcome = Omit<CompileTrace, "call" | "changes">;

/** So many traces are remembered. */
const MOST_TRACES = 64;
/** Counts and traces of one compiled function. */
export class History {
  readonly statistics: CompileStatistics = { calls: 0, traces: 0, replays: 0, programs: 0, evictions: 0 };
  readonly #traces: { trace: CompileTrace; entries: ReadonlyMap<string, string> }[] = [];

  /** One more trace, for a call with these entries. */
  add(entries: ReadonlyMap<string, string>, outcome: Outcome): void {
    this.statistics.traces++;
    let nearest: SignatureChange[] | undefined;
    for (const { entries: before } of this.#traces) {
      const differing = changes(before, entries);
      if (!nearest || differing.length <= nearest.length) nearest = differing;
    }
    this.#traces.push({ trace: { call: this.statistics.calls, changes: nearest ?? [], ...outcome }, entries });
    if (this.#traces.length > MOST_TRACES) this.#traces.shift();
  }
  /** What happened so far. */
  explanation(): Explanation {
    const statistics = { ...this.statistics }, traces = this.#traces.map((t) => t.trace);
    return { statistics, traces, toString: () => text(statistics, traces) };
  }
}
function text(s: CompileStatistics, traces: readonly CompileTrace[]): string {
  const head = `${s.calls} calls, ${s.traces} traces, ${s.programs} programs held, ${s.evictions} dropped`;
  return [head, ...traces.flatMap((t, i) => lines(t, i === 0 && t.call === 1))].join("\n");
}
/** Numbers are constants of a program, so one that is another in each call costs a trace in each. */
function remedy({ from, to }: SignatureChange): string {
  const isNumber = (text: string): boolean => text !== "" && text !== "Infinity" && !Number.isNaN(Number(text));
  return isNumber(from) && isNumber(to) ? ` (a constant; as mx.array(${to}) it is an input, and not traced again)` : "";
}
function lines(t: CompileTrace, first: boolean): string[] {
  const why = first ? "the first one" : t.changes.length ? "" : "its program had been dropped";
  return [
    `call ${t.call} was traced: ${why}`.replace(/: $/, ":"),
    ...t.changes.map((c) => `  ${c.path}: from ${c.from} to ${c.to}${remedy(c)}`),
    ...t.guards.map((g) => `  it holds while ${g}`),
    `  ${t.operations} operations (${t.merged} merged, ${t.folded} folded), ` +
    `${t.temporaryBytes} bytes of temporaries (at least ${t.liveBytes})`,
  ];
}
