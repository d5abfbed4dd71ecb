/**
 * The runtime as the rooms above see it: one object per isolate, made on first use, which opens the library then.
 * Arrays are handles (numbers), programs are words; no pointer leaves this room.
 * @module
 */
import { libraryPath, withoutPermission } from "./build.ts";
import { libraryFailure } from "./errors.ts";
import { readCounters, type Simulated, simulatorSymbols } from "./simulator.ts";
import { symbols } from "./symbols.ts";

/** A handle, and where its buffer is. */
export interface Submitted {
  readonly handle: number;
  readonly pointer: number;
  readonly nbytes: number;
}
/** What went wrong on the native side: a status of `rt.h` and its text. */
export interface NativeFailure {
  readonly status: number;
  readonly text: string;
}
/** Outputs of a program, or why there are none. */
export interface Outcome {
  readonly outputs: readonly Submitted[];
  readonly failed: NativeFailure | null;
}
/** Figures of the runtime, in bytes or counts since its start. */
export interface Stats {
  active: number;
  peak: number;
  cached: number;
  mapped: number;
  buffers: number;
  peakBuffers: number;
  allocations: number;
  programs: number;
  kernels: number;
  copies: number;
  /** Kernels that a GPU was given. */
  dispatches: number;
  /** Waits between dispatches, because one needs what another writes. */
  barriers: number;
  /** Command buffers given to a GPU. */
  commandBuffers: number;
  /** Kernels compiled for a GPU. */
  pipelines: number;
  /** Bytes that the arguments of dispatches name. */
  gpuBytes: number;
  /** Instructions on a stream of a GPU that the CPU ran. */
  fallbacks: number;
}
const STATS = [
  "active",
  "peak",
  "cached",
  "mapped",
  "buffers",
  "peakBuffers",
  "allocations",
  "programs",
  "kernels",
  "copies",
  "dispatches",
  "barriers",
  "commandBuffers",
  "pipelines",
  "gpuBytes",
  "fallbacks",
] as const;
/** What `set` can change, by its number in `rt.h`. */
export const settings = {
  memoryLimit: 0,
  cacheLimit: 1,
  peak: 2,
  clearCache: 3,
  failAllocation: 4,
  failKernel: 5,
  wiredLimit: 6,
} as const;

/** When a program or one of its instructions ran, in milliseconds of `performance.now()`. */
export interface Span {
  readonly stream: number;
  /** The program's number among those that the stream was given. */
  readonly program: number;
  /** Of the program; or `wholeProgram`, or `submission`. */
  readonly instruction: number;
  readonly begin: number;
  readonly end: number;
  /** Bytes of buffers in use at that time. */
  readonly active: number;
  /** On the stream's thread, and not on the one that submitted it. */
  readonly worker: boolean;
}
/** Of a span: the whole program, and its submission. */
export const wholeProgram = -1, submission = -2;
/** What is noted of programs: nothing, when each ran, or also when each of its instructions did. */
export type Profiling = "off" | "programs" | "instructions";
const PROFILING: Record<Profiling, number> = { off: 0, programs: 1, instructions: 2 };
const SPAN_WORDS = 7, SPANS = 4096;

/** What the simulator of a GPU counts. */
export interface SimulatorCounts {
  /** Threadgroups that ran. */
  readonly threadgroups: number;
  /** Their threads. */
  readonly threads: number;
  /** Barriers inside kernels, once for each threadgroup. */
  readonly barriers: number;
  /** Bytes that kernels read, as often as they do. */
  readonly bytesRead: number;
  /** Bytes that they write. */
  readonly bytesWritten: number;
}

let observer: ((words: Float64Array) => void) | null = null;
/** Shows every program to `f` before it runs: for tools that record them. */
export function observePrograms(f: (words: Float64Array) => void): void {
  observer = f;
}

type Symbols = Deno.DynamicLibrary<typeof symbols>["symbols"];

/** A session with the native library. */
export class Runtime {
  readonly #c: Symbols;
  readonly #session: number;
  #inputs = new Float64Array(64);
  #outputs = new Float64Array(64);
  readonly #one = new Float64Array(3);
  readonly #encoder = new TextEncoder();
  readonly #submitted: number[] = [];
  readonly #ofGpu = new Set([1]);
  #clock: number | undefined;
  #simulatorSymbols: Deno.DynamicLibrary<typeof simulatorSymbols>["symbols"] | undefined;
  /** Hash of the op table that the library was built with. */
  readonly tableHash: number;

  /** Opens the library at `path`. */
  constructor(readonly path: string) {
    let library: Deno.DynamicLibrary<typeof symbols>;
    try {
      library = Deno.dlopen(path, symbols);
    } catch (e) {
      if (e instanceof Deno.errors.NotCapable) withoutPermission(e);
      libraryFailure({
        cannot: `open ${path}`,
        expected: "the runtime built for this machine",
        got: e instanceof Error ? e.message : String(e),
        fix: remedy(path),
      });
    }
    this.#c = library.symbols;
    this.tableHash = this.#c.rt_table_hash();
    this.#session = this.#c.rt_session_open();
    if (this.#session === 0) {
      libraryFailure({
        cannot: "open a session",
        expected: "at most 256 workers that compute at once",
        got: "one more",
        fix: "end some of them",
      });
    }
    // Test files run one after the other on threads that live on: what one leaves goes when the next one starts.
    globalThis.addEventListener("unload", () => this.#c.rt_session_leave(this.#session));
  }

  /** Runs a program once. `give[i]` hands input i over. */
  eval(
    stream: number,
    words: Float64Array<ArrayBuffer>,
    inputs: readonly number[],
    give: readonly boolean[],
    nOutputs: number,
    wait: boolean,
  ): Outcome {
    observer?.(words);
    this.#fill(inputs, give, nOutputs);
    const status = this.#c.rt_eval(
      this.#session,
      stream,
      words,
      words.length,
      this.#inputs,
      inputs.length,
      this.#outputs,
      nOutputs,
      wait ? 1 : 0,
    );
    return this.#outcome(status, nOutputs, stream);
  }
  /** Decodes a program for many runs. */
  prepare(words: Float64Array<ArrayBuffer>): { program: number; failed: NativeFailure | null } {
    observer?.(words);
    const status = this.#c.rt_prepare(this.#session, words, words.length, this.#one);
    return { program: status ? 0 : this.#one[0]!, failed: this.#failed(status, 0) };
  }
  /** Runs a prepared program. */
  run(
    stream: number,
    program: number,
    inputs: readonly number[],
    give: readonly boolean[],
    nOutputs: number,
    wait: boolean,
  ): Outcome {
    this.#fill(inputs, give, nOutputs);
    const status = this.#c.rt_run(
      this.#session,
      stream,
      program,
      this.#inputs,
      inputs.length,
      this.#outputs,
      nOutputs,
      wait ? 1 : 0,
    );
    return this.#outcome(status, nOutputs, stream);
  }
  /** How many programs the stream was given. */
  submitted(stream: number): number {
    return this.#submitted[stream] ?? 0;
  }
  /** Forgets a prepared program. */
  drop(program: number): void {
    this.#c.rt_drop(this.#session, program);
  }
  /** Copies bytes into a new buffer. */
  upload(bytes: Uint8Array): Submitted & { failed: NativeFailure | null } {
    return this.#single(this.#c.rt_upload(this.#session, shared(bytes), bytes.byteLength, this.#one));
  }
  /** Maps a file, read-only. */
  map(path: string): Submitted & { failed: NativeFailure | null } {
    const name = this.#encoder.encode(path);
    return this.#single(this.#c.rt_map(this.#session, name, name.length, this.#one));
  }
  /** A second handle of the same buffer. */
  retain(handle: number): Submitted & { failed: NativeFailure | null } {
    return this.#single(this.#c.rt_retain(this.#session, handle, this.#one));
  }
  /** Copies bytes out, after the programs that write them. */
  read(handle: number, offset: number, to: Uint8Array<ArrayBuffer>): NativeFailure | null {
    return this.#failed(this.#c.rt_read(this.#session, handle, offset, to, to.byteLength), handle);
  }
  /** Gives handles back. */
  release(handles: readonly number[]): void {
    this.#c.rt_release(this.#session, Float64Array.from(handles), handles.length);
  }
  /** How many handles the buffer has. */
  refs(handle: number): number {
    return this.#c.rt_refs(this.#session, handle);
  }
  /** Waits until the buffer is written. */
  wait(handle: number): NativeFailure | null {
    return this.#failed(this.#c.rt_wait(this.#session, handle), handle);
  }
  /** The same on a thread of its own. */
  async waitAsync(handle: number): Promise<NativeFailure | null> {
    return this.#failed(await this.#c.rt_wait_async(this.#session, handle), handle);
  }
  /** A new stream, of the CPU or the GPU. */
  openStream(onGpu: boolean): number {
    const stream = this.#c.rt_stream_open(this.#session, onGpu ? 1 : 0);
    if (onGpu) this.#ofGpu.add(stream);
    return stream;
  }
  /** Is it a stream of the GPU? */
  isOfGpu(stream: number): boolean {
    return this.#ofGpu.has(stream);
  }
  /** Records the GPU's work into a file, or (null) ends that. */
  capture(path: string | null): NativeFailure | null {
    const name = this.#encoder.encode(path ?? "");
    return this.#failed(this.#c.rt_capture(this.#session, name, name.length), 0);
  }
  /** Sets what is noted of the programs that are submitted from now on; returns what was noted since the last call. */
  profile(what: Profiling): Span[] {
    const words = new Float64Array(1 + SPANS * SPAN_WORDS), spans: Span[] = [];
    const offset = this.#clock ??= this.#clockOffset();
    let n: number;
    do {
      this.#c.rt_profile(this.#session, PROFILING[what], words, words.length);
      n = words[0]!;
      for (let i = 0; i < n; i++) {
        const [stream, program, instruction, begin, end, active, worker] = words.subarray(1 + i * SPAN_WORDS);
        spans.push({
          stream: stream!,
          program: program!,
          instruction: instruction!,
          begin: begin! / 1e6 + offset,
          end: end! / 1e6 + offset,
          active: active!,
          worker: worker === 1,
        });
      }
    } while (n === SPANS);
    return spans;
  }
  /** What to add to the runtime's milliseconds for those of `performance.now()`: by the quickest of a few calls. */
  #clockOffset(): number {
    let least = Infinity, offset = 0;
    for (let i = 0; i < 16; i++) {
      const before = performance.now(), now = this.#c.rt_profile(this.#session, 0, this.#one, 1) / 1e6;
      const after = performance.now();
      if (after - before < least) [least, offset] = [after - before, (before + after) / 2 - now];
    }
    return offset;
  }
  get #simulator() {
    return this.#simulatorSymbols ??= Deno.dlopen(this.path, simulatorSymbols).symbols;
  }
  /** What the simulator of a GPU has counted, where it is part of the library. */
  simulatorCounts(): Simulated | null {
    const fill = this.#simulator.dsim_stats;
    return fill && readCounters(fill, false);
  }
  /** Does the simulator count `uniqueRead` and `uniqueWritten` from here on? It takes time. */
  measureUnique(on: boolean): void {
    this.#simulator.dsim_measure?.(Number(on));
  }
  /** Waits for a stream, or (-1) for all. */
  synchronize(stream: number): void {
    this.#c.rt_synchronize(this.#session, stream);
  }
  /** Gives cached buffers back to the system. */
  clearCache(): void {
    this.set("clearCache", 0);
  }
  /** Sets a limit or counter; returns the value before. */
  set(what: keyof typeof settings, value: number): number {
    return this.#c.rt_set(settings[what], value);
  }
  /** Memory and counters. */
  stats(): Stats {
    const out = new Float64Array(STATS.length);
    this.#c.rt_stats(out, out.length);
    const stats: Partial<Stats> = {};
    STATS.forEach((name, i) => stats[name] = out[i]!);
    return stats as Stats;
  }
  /** Facts about the machine and the library, one per line. */
  info(): string {
    const text = new Uint8Array(4096), length = this.#c.rt_info(text, text.length);
    return `library ${this.path}\n${new TextDecoder().decode(text.subarray(0, length))}`;
  }
  /** The memory of a buffer, so that V8 counts it. Valid only as long as the buffer's handle. */
  bufferAt(pointer: number, nbytes: number): ArrayBuffer | null {
    const p = Deno.UnsafePointer.create(BigInt(pointer));
    return p && Deno.UnsafePointerView.getArrayBuffer(p, nbytes);
  }

  #fill(inputs: readonly number[], give: readonly boolean[], nOutputs: number): void {
    if (this.#inputs.length < 2 * inputs.length) this.#inputs = new Float64Array(4 * inputs.length);
    if (this.#outputs.length < 3 * nOutputs) this.#outputs = new Float64Array(6 * nOutputs);
    for (let i = 0; i < inputs.length; i++) {
      this.#inputs[2 * i] = inputs[i]!;
      this.#inputs[2 * i + 1] = give[i] ? 1 : 0;
    }
  }
  #outcome(status: number, n: number, stream: number): Outcome {
    const failed = this.#failed(status, 0), outputs: Submitted[] = [];
    if (!failed) {
      this.#submitted[stream] = this.submitted(stream) + 1;
      for (let i = 0; i < n; i++) {
        outputs.push({
          handle: this.#outputs[3 * i]!,
          pointer: this.#outputs[3 * i + 1]!,
          nbytes: this.#outputs[3 * i + 2]!,
        });
      }
    }
    return { outputs, failed };
  }
  #single(status: number): Submitted & { failed: NativeFailure | null } {
    return { handle: this.#one[0]!, pointer: this.#one[1]!, nbytes: this.#one[2]!, failed: this.#failed(status, 0) };
  }
  #failed(status: number, handle: number): NativeFailure | null {
    if (status === 0) return null;
    const text = new Uint8Array(1024), n = this.#c.rt_failure(this.#session, handle, text, text.length);
    return { status, text: new TextDecoder().decode(text.subarray(0, n)) };
  }
}
/** Deno's FFI takes views of unshared memory only. */
function shared(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? bytes as Uint8Array<ArrayBuffer> : new Uint8Array(bytes);
}

let current: Runtime | undefined, expectedHash: number | undefined;
/**
 * What the op table of the TypeScript side hashes to; a library of another table is refused. Called once, by `core`.
 */
export function expectTable(hash: number): void {
  expectedHash = hash;
}
/** The session of this isolate; opens (and, the first time, builds) the library. */
export function runtime(): Runtime {
  return current ??= open();
}
/** Has the library been opened? */
export function isOpen(): boolean {
  return current !== undefined;
}
function open(): Runtime {
  const path = libraryPath(), r = new Runtime(path);
  if (expectedHash !== undefined && r.tableHash !== expectedHash) {
    libraryFailure({
      cannot: `use ${path}`,
      expected: `a library with the op table ${expectedHash.toString(16)}, that of this version`,
      got: r.tableHash.toString(16),
      fix: remedy(path),
    });
  }
  return r;
}
/** How to get another library in place of the one at `path`. */
function remedy(path: string): string {
  return Deno.env.get("DENIM_LIBRARY") === path
    ? "unset DENIM_LIBRARY, or let it name a library of this version and machine"
    : `delete ${path}, and it is built anew at the next start; in a checkout run deno task gen before`;
}
