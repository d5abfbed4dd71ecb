/**
 * The counters of the simulated GPU, in the order of `DsimStats` in `runtime/metal/sim/sim.h`.
 * @module
 */

/** Functions of the simulator, in libraries that have one (`runtime/metal/sim/sim.h`). */
export const simulatorSymbols = {
  dsim_stats: { parameters: ["buffer", "i32"], result: "void", optional: true },
  dsim_measure: { parameters: ["i32"], result: "void", optional: true },
} as const satisfies Deno.ForeignLibraryInterface;

/** Names of the counters. */
export const SIMULATED = [
  "dispatches",
  "threadgroups",
  "threads",
  "barriers",
  "commandBuffers",
  "pipelines",
  "libraries",
  "compiled",
  "loads",
  "stores",
  "bytesRead",
  "bytesWritten",
  "uniqueRead",
  "uniqueWritten",
  "collectives",
  "switches",
  "localBytes",
  "objects",
  "errors",
  "resident",
] as const;
/**
 * What the simulated GPU did. Bytes of arguments count as often as a thread touches them (`bytesRead`, `bytesWritten`),
 * and where they are measured once per dispatch (`uniqueRead`, `uniqueWritten`). `objects` and `resident` are how many
 * objects there are and how many bytes residency sets hold, at this moment.
 */
export type Simulated = Readonly<Record<typeof SIMULATED[number], number>>;

/** Calls the simulator's function, which fills a table of counters and, if asked to, starts them anew. */
export function readCounters(fill: (out: Uint8Array<ArrayBuffer>, reset: number) => void, reset: boolean): Simulated {
  const out = new BigUint64Array(SIMULATED.length), counters: Partial<Record<keyof Simulated, number>> = {};
  fill(new Uint8Array(out.buffer), Number(reset));
  SIMULATED.forEach((name, i) => counters[name] = Number(out[i]));
  return counters as Simulated;
}
