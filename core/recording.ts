/**
 * What a profile is made of: while a recording is at work, every program that is submitted is described (what each
 * instruction computes, reads and writes), and the runtime notes when it ran. While there is none, each submission asks
 * one variable. What users call, the table and the trace are in `profile.ts`.
 * @module
 */
import { type Profiling, runtime, type SimulatorCounts, type Span, type Stats } from "../ffi/runtime.ts";
import type { Instruction, Lowered, Ref } from "./lower.ts";
import { describe, sizeOf } from "./shape.ts";
import { lineOf } from "./sites.ts";

/** One instruction of a program. */
export interface KernelInfo {
  /** `matmul float32[64,32] float32[32,8]`, or for a fused one its operations and the shape of its loop. */
  readonly label: string;
  /** Names of the primitives. */
  readonly operations: readonly string[];
  /** Arithmetic operations; a multiply-add is two. */
  readonly flops: number;
  readonly read: number;
  readonly written: number;
  /** Of the factors of a product, for the roof. */
  readonly dtype: string;
  /** Its result lies where an input was. */
  readonly inPlace: boolean;
  /** When debugging: the lines that made its operations. */
  readonly madeAt: string;
}
/** Something that happened on the thread of JavaScript. */
export interface HostSpan {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
}
/** All that was recorded; times are milliseconds of `performance.now()`. */
export interface Recorded {
  readonly begin: number;
  readonly end: number;
  /** What the instructions of a program are, by `programKey`. */
  readonly programs: ReadonlyMap<string, readonly KernelInfo[]>;
  readonly spans: readonly Span[];
  readonly host: readonly HostSpan[];
  /** Counts of the runtime, over the time of the recording. */
  readonly counts: Stats;
  /** What the simulator of a GPU counted; null without one. */
  readonly simulated: SimulatorCounts | null;
  /** There was more than a recording holds. */
  readonly full: boolean;
}
export type { SimulatorCounts };

/** Most spans that a recording holds: about 100 MB. The runtime is asked for its spans after so many instructions. */
const MOST_SPANS = 400_000, ASK = 50_000;

/** Name of a program of a stream. */
export function programKey(stream: number, program: number): string {
  return `${stream}:${program}`;
}

/** The recording at work, if there is one. */
export let recording: Recording | null = null;
/** Sets it; the one before notes nothing meanwhile. Returns it. */
export function setRecording(r: Recording | null): Recording | null {
  const before = recording;
  before?.pause();
  recording = r;
  return before;
}

/** Collects what happens. */
export class Recording {
  readonly #begin = performance.now();
  readonly #programs = new Map<string, readonly KernelInfo[]>();
  readonly #described = new WeakMap<Lowered, readonly KernelInfo[]>();
  readonly #host: HostSpan[] = [];
  #spans: Span[] = [];
  #noted = 0;
  #running = false;
  #before: Stats | null = null;
  #simulatedBefore: SimulatorCounts | null = null;

  /** What is noted of each program. */
  constructor(readonly what: Exclude<Profiling, "off">) {}

  /** Something begins on this thread: when. Opens the library, so that the first program is noted, too. */
  begin(): number {
    if (!this.#running && !this.full) {
      this.#before ??= runtime().stats();
      this.#simulatedBefore ??= runtime().simulatorCounts();
      this.#take(runtime().profile(this.what));
      this.#running = true;
    }
    return performance.now();
  }
  /** It has ended. */
  span(name: string, begin: number): void {
    if (begin > 0 && !this.full) this.#host.push({ name, begin, end: performance.now() });
  }
  /** The plan was given to the stream as its last program so far. */
  submitted(stream: number, plan: Lowered): void {
    if (this.full) return;
    let kernels = this.#described.get(plan);
    if (!kernels) this.#described.set(plan, kernels = plan.instructions.map(kernelInfo));
    this.#programs.set(programKey(stream, runtime().submitted(stream)), kernels);
    this.#noted += kernels.length + 2;
    if (this.#noted > ASK) this.#take(runtime().profile(this.what));
    if (this.full) this.pause();
  }
  /** Are there as many spans as it holds? */
  get full(): boolean {
    return this.#spans.length >= MOST_SPANS;
  }
  /** Notes nothing until the next `begin`. */
  pause(): void {
    if (!this.#running) return;
    runtime().synchronize(-1);
    this.#take(runtime().profile("off"));
    this.#running = false;
  }
  /** Waits for all work, and gives what was recorded. */
  finish(): Recorded {
    const { full } = this;
    this.pause();
    const counts = this.#before && differences(runtime().stats(), this.#before);
    const simulated = this.#simulatedBefore && runtime().simulatorCounts();
    return {
      begin: this.#begin,
      end: performance.now(),
      programs: this.#programs,
      spans: this.#spans,
      host: this.#host,
      counts: counts ?? NOTHING,
      simulated: simulated && differences(simulated, this.#simulatedBefore!),
      full,
    };
  }
  #take(spans: Span[]): void {
    this.#spans = this.#spans.concat(spans);
    this.#noted = 0;
  }
}
const NOTHING: Stats = {
  active: 0,
  peak: 0,
  cached: 0,
  mapped: 0,
  buffers: 0,
  peakBuffers: 0,
  allocations: 0,
  programs: 0,
  kernels: 0,
  copies: 0,
  dispatches: 0,
  barriers: 0,
  commandBuffers: 0,
  pipelines: 0,
  gpuBytes: 0,
  fallbacks: 0,
};
function differences<T extends { [K in keyof T]: number }>(after: T, before: T): T {
  const out = { ...after };
  for (const k in out) Object.assign(out, { [k]: after[k] - before[k] });
  return out;
}

/** At most so many operations of a fused kernel are named. */
const NAMED = 6;
/** What the instruction is, from its nodes' records and the layouts that it reads. */
function kernelInfo(i: Instruction): KernelInfo {
  const tail = i.nodes.at(-1)!, { prim } = tail, alone = prim.kind === "kernel" && !i.copy;
  const operations = i.copy ? ["copy"] : i.nodes.map((n) => n.prim.name);
  const target = alone && prim.inPlace !== undefined ? i.reads[prim.inPlace] : i.reads.find((r) => lieTogether(r, i));
  const inPlace = target !== undefined && lieTogether(target, i);
  const written = i.writes.reduce((sum, w) => sum + w.nbytes, 0);
  const traffic = alone ? prim.traffic?.(tail.inputs, tail, tail.params, inPlace) : undefined;
  const reads = i.reads.map((r) => describe(r));
  const loop = prim.kind === "reduce" ? tail.inputs[0]! : tail;
  const shown = operations.length > NAMED
    ? [...operations.slice(0, NAMED - 1), `(${operations.length - NAMED} more)`, operations.at(-1)]
    : operations;
  return {
    label: `${shown.join(" ")} ${alone || i.copy ? reads.slice(0, 3).join(" ") : describe(loop)}`,
    operations,
    flops: i.copy ? 0 : i.nodes.reduce((sum, n) => sum + flopsOf(n), 0),
    read: traffic === undefined ? bytesRead(i.reads) : Math.max(0, traffic - written),
    written: traffic === undefined ? written : Math.min(written, traffic),
    dtype: alone && prim.flops ? i.reads[0]?.dtype.name ?? "" : "",
    inPlace,
    madeAt: [...new Set(i.nodes.map(lineOf))].filter((line) => line !== "").join(" and "),
  };
}
function lieTogether({ value }: Ref, { writes }: Instruction): boolean {
  return writes.some((w) => w.place === value.place && w.offset === value.offset && w.nbytes > 0);
}
function flopsOf(n: Instruction["nodes"][number]): number {
  if (n.prim.kind === "elementwise") return (n.prim.cost ?? 1) * sizeOf(n.shape);
  if (n.prim.kind === "reduce") return sizeOf(n.inputs[0]!.shape);
  return n.prim.flops?.(n.inputs, n, n.params) ?? 0;
}
/** Repeated elements count once, and so does what is read twice. */
function bytesRead(reads: readonly Ref[]): number {
  const seen = new Set<string>();
  let bytes = 0;
  for (const { value, layout, shape, dtype } of reads) {
    const key = `${value.id} ${layout.offset} ${layout.strides} ${shape}`;
    if (seen.has(key)) continue;
    seen.add(key);
    bytes += Math.min(value.nbytes, shape.reduce((n, length, k) => layout.strides[k] ? n * length : n, dtype.size));
  }
  return bytes;
}
