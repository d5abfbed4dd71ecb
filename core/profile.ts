/**
 * `mx.profile`: which kernels a function's time goes to, as a table and as a trace. `DENIM_PROFILE=trace.json` profiles a
 * whole process. What is recorded, and how, is in `recording.ts`.
 * @module
 */
import { runtime } from "../ffi/runtime.ts";
import { setting } from "./environment.ts";
import { fail, ValueError } from "./errors.ts";
import { evaluateTree } from "./evaluate.ts";
import {
  type KernelInfo,
  programKey,
  type Recorded,
  Recording,
  setRecording,
  type SimulatorCounts,
} from "./recording.ts";
import { knownRoofs, leastSeconds, type Roofs } from "./roofs.ts";
import { type Trace, traceOf } from "./trace_events.ts";

export type { SimulatorCounts, Trace };
export type { TraceEvent } from "./trace_events.ts";

/** Options of {@linkcode profile}. */
export interface ProfileOptions {
  /** The file that the trace is written to. */
  readonly out?: string;
  /** Whether the table is printed, to where errors go. Default true. */
  readonly print?: boolean;
  /**
   * Whether each kernel is timed. A GPU gets each in a command buffer of its own then, and is waited for; without it
   * works as always, and its counters are those of ordinary runs. Default true.
   */
  readonly kernels?: boolean;
}
/** The calls of one kernel: equal operations on equal shapes. */
export interface KernelProfile {
  /** `matmul float32[64,32] float32[32,8]`, or the operations of a fused kernel and the shape of its loop. */
  readonly label: string;
  /** Names of its primitives. */
  readonly operations: readonly string[];
  /** Where it runs: `cpu` or `gpu`. */
  readonly device: string;
  /** When debugging is on (`mx.debug`): the lines that made its operations. */
  readonly madeAt: string;
  /** How often it ran. */
  readonly calls: number;
  /** Time of all calls. */
  readonly seconds: number;
  /** Bytes that all calls read and write. */
  readonly bytes: number;
  /** Arithmetic operations of all calls; a multiply-add is two, an exponential counts as eight. */
  readonly flops: number;
  /**
   * The least time that the machine's memory and arithmetic allow, by the time that was taken; null where the roofs are
   * not known: `deno task bench` measures them, and keeps them in the cache folder.
   */
  readonly roofShare: number | null;
}
/** What the GPU was given. */
export interface GpuCounts {
  /** Kernels. */
  readonly dispatches: number;
  /** Waits between dispatches, because one needs what another writes. */
  readonly barriers: number;
  /** Command buffers. */
  readonly commandBuffers: number;
  /** Kernels that were compiled. */
  readonly pipelines: number;
  /** Bytes that the arguments of dispatches name. */
  readonly bytes: number;
  /** Instructions that the CPU ran. */
  readonly fallbacks: number;
  /** Of a simulated device: what its threads did. */
  readonly simulated: SimulatorCounts | null;
}

/**
 * What {@linkcode profile} found. `String(p)` is the table.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.ones([32, 32]);
 * const p = mx.profile(() => x.matmul(x), { print: false });
 * p.result.shape; // [32, 32]
 * p.kernels[0]!.flops; // 65536: 32³ multiply-adds
 * p.write(`${Deno.makeTempDirSync()}/trace.json`);
 * ```
 */
export class Profile<R = unknown> {
  readonly #recorded: Recorded;
  /** The costliest first. */
  readonly kernels: readonly KernelProfile[];
  /** From the call of the function until all of its work was done. */
  readonly seconds: number;
  /** Programs that ran. */
  readonly programs: number;
  /** The most bytes of buffers in use that were seen. */
  readonly peakBytes: number;
  /** Null where no GPU was used. */
  readonly gpu: GpuCounts | null;

  /** Made by {@linkcode profile}. */
  constructor(recorded: Recorded, /** What the function returned. */ readonly result: R) {
    this.#recorded = recorded;
    this.seconds = (recorded.end - recorded.begin) / 1e3;
    const roofs = knownRoofs(machineFacts(), Number(facts().threads ?? 0));
    this.kernels = kernelProfiles(recorded, roofs);
    this.programs = recorded.counts.programs;
    this.peakBytes = recorded.spans.reduce((most, s) => Math.max(most, s.active), 0);
    const { dispatches, barriers, commandBuffers, pipelines, gpuBytes: bytes, fallbacks } = recorded.counts;
    this.gpu = dispatches + fallbacks === 0
      ? null
      : { dispatches, barriers, commandBuffers, pipelines, bytes, fallbacks, simulated: recorded.simulated };
  }
  /**
   * The trace in Chrome's format, for ui.perfetto.dev or chrome://tracing; with facts about the machine, and what a GPU
   * was given.
   */
  trace(): Trace {
    const { simulated, ...counts } = this.gpu ?? { simulated: null };
    const named = [counts, simulated ?? {}].flatMap((group, i) =>
      Object.entries(group).map(([name, n]) => [`${i ? "simulated" : "gpu"} ${name}`, n])
    );
    return traceOf(this.#recorded, deviceOfStream, { ...facts(), ...Object.fromEntries(named) });
  }
  /** Writes the trace to a file. */
  write(path: string): void {
    try {
      Deno.writeTextFileSync(path, JSON.stringify(this.trace()));
    } catch (e) {
      fail(ValueError, "profile", {
        cannot: `write ${path}`,
        expected: "a path that may be written",
        got: e instanceof Error ? e.message : String(e),
        fix: "check the path and its permissions",
      });
    }
  }
  /** The costliest kernels as lines of text. */
  table(rows: number = 10): string {
    const total = this.kernels.reduce((sum, k) => sum + k.seconds, 0);
    const timed = total > 0 ? `, of which kernels ${milliseconds(total)} (${percent(total / this.seconds)})` : "";
    const lines = [
      `${milliseconds(this.seconds)}${timed}; ${count(this.programs, "program")}, ` +
      `${count(this.#recorded.counts.kernels, "kernel")}; at most ${megabytes(this.peakBytes)} in use`,
    ];
    if (this.#recorded.full) lines.push("there was more than a profile holds: this is its first part");
    if (this.gpu) lines.push(gpuLine(this.gpu));
    if (this.kernels.length) lines.push(HEADING);
    for (const k of this.kernels.slice(0, rows)) lines.push(row(k, total));
    const rest = this.kernels.slice(rows), seconds = rest.reduce((sum, k) => sum + k.seconds, 0);
    if (rest.length) {
      lines.push(`${milliseconds(seconds).padStart(11)}${percent(seconds / total).padStart(7)}  ${rest.length} more`);
    }
    return lines.join("\n");
  }
  /** {@linkcode table} of the ten costliest. */
  toString(): string {
    return this.table();
  }
  /** Deno prints profiles by this, in notebooks too. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.table();
  }
}

const HEADING = "       time  share  calls    GB/s GFLOP/s   roof  kernel";
/** A longer label loses its middle, so that it ends with its shapes. */
const LABEL = 72, END = 32;
function row(k: KernelProfile, total: number): string {
  const rate = (n: number) => (n === 0 ? "" : (n / k.seconds / 1e9).toFixed(n / k.seconds < 1e11 ? 1 : 0)).padStart(8);
  const roof = k.roofShare === null ? "" : percent(k.roofShare);
  const label = k.label.length > LABEL ? `${k.label.slice(0, LABEL - END - 1)}…${k.label.slice(-END)}` : k.label;
  return milliseconds(k.seconds).padStart(11) + percent(k.seconds / total).padStart(7) +
    String(k.calls).padStart(7) + rate(k.bytes) + rate(k.flops) + roof.padStart(7) +
    `  ${k.device === "cpu" ? "" : `${k.device}: `}${label}${k.madeAt && `\n${" ".repeat(50)}${k.madeAt}`}`;
}
function gpuLine({ dispatches, barriers, commandBuffers, pipelines, bytes, fallbacks, simulated }: GpuCounts): string {
  const line = `GPU: ${count(dispatches, "dispatch", "dispatches")}, ${count(barriers, "barrier")}, ` +
    `${count(commandBuffers, "command buffer")}, ${count(pipelines, "pipeline")} compiled, ${
      megabytes(bytes)
    } named, ` +
    `${fallbacks} on the CPU instead`;
  return simulated === null ? line : `${line}\nsimulated: ${megabytes(simulated.bytesRead)} read, ` +
    `${megabytes(simulated.bytesWritten)} written, ${count(simulated.threadgroups, "threadgroup")}, ` +
    `${count(simulated.threads, "thread")}, ${count(simulated.barriers, "barrier")} inside kernels`;
}
const milliseconds = (s: number): string => `${(s * 1e3).toFixed(s < 0.1 ? 3 : 1)} ms`;
const percent = (x: number): string => Number.isFinite(x) ? `${(100 * x).toFixed(x < 0.0995 ? 1 : 0)} %` : "";
const megabytes = (n: number): string => `${(n / 1e6).toFixed(n < 1e7 ? 2 : 0)} MB`;
const count = (n: number, one: string, many: string = `${one}s`): string => `${n} ${n === 1 ? one : many}`;

const deviceOfStream = (stream: number): string => runtime().isOfGpu(stream) ? "gpu" : "cpu";
/** Facts of the runtime, by name. */
function facts(): Record<string, string> {
  const lines = runtime().info().trim().split("\n").filter((line) => !line.startsWith("library "));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), line.slice(line.lastIndexOf(" ") + 1)]),
  );
}
/** What tells machines apart for which roofs were measured. */
export function machineFacts(): string {
  const { isa, memory, threads } = facts();
  return `${Deno.build.os} ${Deno.build.arch} ${isa} ${threads} ${memory}`;
}

function kernelProfiles(r: Recorded, roofs: Roofs | null): KernelProfile[] {
  interface Sum {
    readonly info: KernelInfo;
    readonly device: string;
    calls: number;
    seconds: number;
  }
  const sums = new Map<string, Sum>();
  for (const s of r.spans) {
    const info = r.programs.get(programKey(s.stream, s.program))?.[s.instruction];
    if (!info) continue;
    const device = deviceOfStream(s.stream), key = `${device} ${info.label} ${info.flops} ${info.read} ${info.madeAt}`;
    const sum = sums.get(key) ?? { info, device, calls: 0, seconds: 0 };
    sum.calls++;
    sum.seconds += (s.end - s.begin) / 1e3;
    sums.set(key, sum);
  }
  return [...sums.values()].sort((a, b) => b.seconds - a.seconds).map(({ info, device, calls, seconds }) => ({
    label: info.label,
    operations: info.operations,
    device,
    madeAt: info.madeAt,
    calls,
    seconds,
    bytes: calls * (info.read + info.written),
    flops: calls * info.flops,
    roofShare: roofs && device === "cpu" ? calls * leastSeconds(roofs, info) / seconds : null,
  }));
}

/**
 * Runs `fn` and says where its time went: for each kernel its calls, time, bytes, arithmetic, and share of what the
 * machine can do. Arrays that `fn` returns are evaluated. The table is printed; `out` names a file for the trace, which
 * ui.perfetto.dev and chrome://tracing open. Inside another profile only the inner one records. MLX has nothing like it
 * but captures for Xcode (`mx.metal.startCapture`).
 *
 * While it runs, each kernel costs two readings of the clock more; off, a submission asks one variable.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.random.normal([64, 64]);
 * mx.eval(x);
 * const p = mx.profile(() => x.matmul(x).sum(), { print: false });
 * p.kernels.map((k) => k.operations.join()); // ["matmul", "sum"] or the other way round
 * console.log(p.table(5));
 * ```
 */
export function profile<R>(fn: () => Promise<R>, options?: ProfileOptions): Promise<Profile<R>>;
/** Of a function that is not asynchronous. */
export function profile<R>(fn: () => R, options?: ProfileOptions): Profile<R>;
export function profile<R>(fn: () => R | Promise<R>, options: ProfileOptions = {}): Profile<R> | Promise<Profile<R>> {
  const recording = new Recording(options.kernels === false ? "programs" : "instructions");
  const before = setRecording(recording);
  const done = (result: R): Profile<R> => {
    evaluateTree(result);
    const profile = new Profile(recording.finish(), result);
    if (options.out !== undefined) profile.write(options.out);
    if (options.print ?? true) console.error(profile.table());
    return profile;
  };
  const over = () => void setRecording(before);
  let pending = false;
  try {
    const result = fn();
    if (!(result instanceof Promise)) return done(result);
    pending = true;
    return result.then(done).finally(over);
  } finally {
    if (!pending) over();
  }
}

/** `DENIM_PROFILE=file` profiles the process from here to its end. Workers have no file of their own. */
function profileProcess(path: string): void {
  const recording = new Recording("instructions");
  setRecording(recording);
  globalThis.addEventListener("unload", () => {
    setRecording(null);
    const profile = new Profile(recording.finish(), undefined);
    profile.write(path);
    console.error(`${profile.table()}\nthe trace is in ${path}`);
  });
}
const path = setting("DENIM_PROFILE");
if (path && !("WorkerGlobalScope" in globalThis)) profileProcess(path);
