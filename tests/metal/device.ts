/**
 * A simulated Metal device for tests of the simulator itself: compiles a source, runs kernels on buffers, gives the
 * error of the command buffer. It speaks to the simulator as the host does, by messages to objects.
 * @module
 */
import { libraryPath } from "../../ffi/build.ts";
import { readCounters, type Simulated } from "../../ffi/simulator.ts";

/** The simulated functions that a message needs, by the types of its arguments: object, selector, then these. */
const message = (...more: Deno.NativeType[]) => ["u64", "u64", ...more] as const;
const SIZE = { struct: ["u64", "u64", "u64"] } as const;
const symbols = {
  MTLCreateSystemDefaultDevice: { parameters: [], result: "u64" },
  sel_registerName: { parameters: ["buffer"], result: "u64" },
  objc_lookUpClass: { parameters: ["buffer"], result: "u64" },
  send: { name: "objc_msgSend", parameters: message(), result: "u64" },
  send1: { name: "objc_msgSend", parameters: message("u64"), result: "u64" },
  send2: { name: "objc_msgSend", parameters: message("u64", "u64"), result: "u64" },
  send3: { name: "objc_msgSend", parameters: message("u64", "u64", "u64"), result: "u64" },
  sendText: { name: "objc_msgSend", parameters: message("buffer", "u64"), result: "u64" },
  sendData: { name: "objc_msgSend", parameters: message("buffer", "u64", "u64"), result: "u64" },
  sendError: { name: "objc_msgSend", parameters: message("u64", "buffer"), result: "u64" },
  sendErrors: { name: "objc_msgSend", parameters: message("u64", "u64", "buffer"), result: "u64" },
  wait: { name: "objc_msgSend", parameters: message(), result: "u64", nonblocking: true },
  sendSizes: { name: "objc_msgSend", parameters: ["u64", "u64", SIZE, SIZE], result: "void" },
  dsim_check: { parameters: ["buffer"], result: "void" },
  dsim_seed: { parameters: ["u64"], result: "void" },
  dsim_lint_text: { parameters: ["buffer", "i32", "buffer", "u64"], result: "i64" },
  dsim_measure: { parameters: ["i32"], result: "void" },
  dsim_stats: { parameters: ["buffer", "i32"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The data of a buffer. */
export type Data = Float32Array | Uint32Array | Int32Array | Uint16Array | Uint8Array | Float16Array | BigInt64Array;
/** An argument: a buffer of its own, a buffer from somewhere on, bytes in the command, or nothing. */
export type Argument = MetalBuffer | { buffer: MetalBuffer; offset: number } | { bytes: Data } | null;
/** How a kernel is run. */
export interface Run {
  /** Threads in all. */
  readonly threads?: readonly number[];
  /** Whole threadgroups instead. */
  readonly groups?: readonly number[];
  /** Threads of a threadgroup. */
  readonly group: readonly number[];
  /** Bytes of threadgroup memory by slot. */
  readonly local?: readonly number[];
  /** What the host says of the arguments' use (`0:r-0+64 1:w-0+64`). */
  readonly marks?: string;
}

const text = (s: string) => new TextEncoder().encode(s + "\0");
const size = ([x = 1, y = 1, z = 1]: readonly number[]) => new BigUint64Array([x, y, z].map(BigInt));

/** An error of the simulated device: of the compiler, or of a command buffer. */
export class MetalError extends Error {}

/** A buffer of shared memory. */
export class MetalBuffer {
  constructor(readonly metal: Metal, readonly id: bigint, readonly at: bigint, readonly nbytes: number) {}
  /** Its bytes now. */
  bytes(): ArrayBuffer {
    const pointer = Deno.UnsafePointer.create(this.at);
    if (pointer === null) throw new Error("a buffer without memory");
    return Deno.UnsafePointerView.getArrayBuffer(pointer, this.nbytes).slice(0);
  }
  /** Its elements as floats. */
  floats(): Float32Array {
    return new Float32Array(this.bytes());
  }
  /** Its elements as integers. */
  ints(): Int32Array {
    return new Int32Array(this.bytes());
  }
  /** Gives it back. */
  release(): void {
    this.metal.send(this.id, "release");
  }
}

/** A command buffer with one open encoder. */
export class Commands {
  encoder: bigint;
  constructor(readonly metal: Metal, readonly id: bigint) {
    this.encoder = this.newEncoder();
  }
  newEncoder(): bigint {
    const id = this.metal.send1(this.id, "computeCommandEncoderWithDispatchType:", 1);
    return this.encoder = this.metal.send(id, "retain");
  }
  /** Encodes a dispatch. */
  run(pipeline: bigint, args: readonly Argument[], { threads, groups, group, local = [], marks }: Run): void {
    const { metal, encoder } = this;
    metal.send1(encoder, "setComputePipelineState:", pipeline);
    args.forEach((a, i) => {
      if (a === null) return;
      if ("bytes" in a && !(a instanceof MetalBuffer)) {
        metal.setBytes(encoder, a.bytes, i);
      } else {
        const { buffer, offset } = a instanceof MetalBuffer ? { buffer: a, offset: 0 } : a;
        metal.send3(encoder, "setBuffer:offset:atIndex:", buffer.id, offset, i);
      }
    });
    local.forEach((n, i) => metal.send2(encoder, "setThreadgroupMemoryLength:atIndex:", n, i));
    if (marks !== undefined) metal.send1(encoder, "insertDebugSignpost:", metal.string(marks));
    const what = threads ? "dispatchThreads:threadsPerThreadgroup:" : "dispatchThreadgroups:threadsPerThreadgroup:";
    metal.library.symbols.sendSizes(encoder, metal.selector(what), size(threads ?? groups ?? []), size(group));
  }
  barrier(): void {
    this.metal.send1(this.encoder, "memoryBarrierWithScope:", 1);
  }
  endEncoding(): void {
    this.metal.send(this.encoder, "endEncoding");
    this.metal.send(this.encoder, "release");
  }
  /** Commits without waiting. */
  commit(): void {
    this.endEncoding();
    this.metal.send(this.id, "commit");
  }
  /** Waits for its end; the error of the command buffer, or an empty text. */
  async wait(): Promise<string> {
    await this.metal.library.symbols.wait(this.id, this.metal.selector("waitUntilCompleted"));
    const error = this.metal.send(this.id, "error");
    return error ? this.metal.textOf(this.metal.send(error, "localizedDescription")) : "";
  }
  /** Commits and waits; throws the error of the command buffer. */
  async finish(): Promise<void> {
    this.commit();
    const error = await this.wait();
    this.metal.send(this.id, "release");
    if (error) throw new MetalError(error);
  }
}

/** The simulated device. */
export class Metal {
  readonly library: Deno.DynamicLibrary<typeof symbols>;
  readonly device: bigint;
  readonly queue: bigint;
  #selectors = new Map<string, bigint>();

  constructor() {
    // Other tests of this process are to open the library that they would open without this one.
    const before = Deno.env.get("DENIM_METAL");
    Deno.env.set("DENIM_METAL", "sim");
    const path = libraryPath();
    if (before === undefined) Deno.env.delete("DENIM_METAL");
    else Deno.env.set("DENIM_METAL", before);
    this.library = Deno.dlopen(path, symbols);
    this.send(this.send(this.classNamed("NSAutoreleasePool"), "alloc"), "init");
    this.device = this.library.symbols.MTLCreateSystemDefaultDevice();
    this.queue = this.send(this.device, "newCommandQueue");
  }
  selector(name: string): bigint {
    let s = this.#selectors.get(name);
    if (s === undefined) this.#selectors.set(name, s = this.library.symbols.sel_registerName(text(name)));
    return s;
  }
  classNamed(name: string): bigint {
    return this.library.symbols.objc_lookUpClass(text(name));
  }
  send(to: bigint, name: string): bigint {
    return this.library.symbols.send(to, this.selector(name));
  }
  send1(to: bigint, name: string, a: bigint | number): bigint {
    return this.library.symbols.send1(to, this.selector(name), BigInt(a));
  }
  send2(to: bigint, name: string, a: bigint | number, b: bigint | number): bigint {
    return this.library.symbols.send2(to, this.selector(name), BigInt(a), BigInt(b));
  }
  send3(to: bigint, name: string, a: bigint | number, b: bigint | number, c: bigint | number): bigint {
    return this.library.symbols.send3(to, this.selector(name), BigInt(a), BigInt(b), BigInt(c));
  }
  setBytes(encoder: bigint, data: Data, index: number): void {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
    const selector = this.selector("setBytes:length:atIndex:");
    this.library.symbols.sendData(encoder, selector, bytes, BigInt(bytes.length), BigInt(index));
  }
  string(s: string): bigint {
    const selector = this.selector("stringWithCString:encoding:");
    return this.library.symbols.sendText(this.classNamed("NSString"), selector, text(s), 4n);
  }
  textOf(string: bigint): string {
    const pointer = Deno.UnsafePointer.create(this.send(string, "UTF8String"));
    return pointer === null ? "" : Deno.UnsafePointerView.getCString(pointer);
  }
  /** What the lint checks of a source; throws what the preprocessor or the translator says. */
  lintText(source: string, version = 0x30002): string {
    const out = new Uint8Array(4 << 20);
    const n = Number(this.library.symbols.dsim_lint_text(text(source), version, out, BigInt(out.length)));
    const said = new TextDecoder().decode(out.subarray(0, Math.abs(n)));
    if (n < 0) throw new MetalError(said);
    return said;
  }
  /** The checks by name: "+race,-exit". */
  check(names: string): void {
    this.library.symbols.dsim_check(text(names));
  }
  seed(n: number): void {
    this.library.symbols.dsim_seed(BigInt(n));
  }
  measure(on: boolean): void {
    this.library.symbols.dsim_measure(Number(on));
  }
  /** The simulator's counters since they were last read. */
  stats(): Simulated {
    return readCounters(this.library.symbols.dsim_stats, true);
  }
  /** Compiles a source; its functions become pipelines with `pipeline`. */
  compile(source: string, { fastMath = false, version = 0x30002 } = {}): bigint {
    const options = this.send(this.send(this.classNamed("MTLCompileOptions"), "alloc"), "init");
    this.send1(options, "setFastMathEnabled:", Number(fastMath));
    this.send1(options, "setLanguageVersion:", version);
    const error = new BigUint64Array(1), out = new Uint8Array(error.buffer);
    const selector = this.selector("newLibraryWithSource:options:error:");
    const args = [this.device, selector, this.string(source), options, out] as const;
    const library = this.library.symbols.sendErrors(...args);
    this.send(options, "release");
    if (!library) throw new MetalError(this.textOf(this.send(error[0] ?? 0n, "localizedDescription")));
    return library;
  }
  /** Names of a library's kernels. */
  functions(library: bigint): string[] {
    const names = this.send(library, "functionNames"), n = Number(this.send(names, "count"));
    return Array.from({ length: n }, (_, i) => this.textOf(this.send1(names, "objectAtIndex:", i)));
  }
  /** The pipeline of a function with these function constants (booleans are bool, numbers int). */
  pipeline(library: bigint, name: string, constants: Readonly<Record<number, boolean | number>> = {}): bigint {
    const values = this.send(this.send(this.classNamed("MTLFunctionConstantValues"), "alloc"), "init");
    for (const [index, value] of Object.entries(constants)) {
      const bytes = typeof value === "boolean" ? new Uint8Array([Number(value)]) : new Int32Array([value]);
      const raw = new Uint8Array(bytes.buffer), type = typeof value === "boolean" ? 53n : 29n;
      const selector = this.selector("setConstantValue:type:atIndex:");
      this.library.symbols.sendData(values, selector, raw, type, BigInt(index));
    }
    const error = new BigUint64Array(1), out = new Uint8Array(error.buffer);
    const selector = this.selector("newFunctionWithName:constantValues:error:");
    const made = this.library.symbols.sendErrors(library, selector, this.string(name), values, out);
    this.send(values, "release");
    if (!made) throw new MetalError(this.textOf(this.send(error[0] ?? 0n, "localizedDescription")));
    const pipeline = this.library.symbols.sendError(
      this.device,
      this.selector("newComputePipelineStateWithFunction:error:"),
      made,
      out,
    );
    this.send(made, "release");
    return pipeline;
  }
  /** A buffer with these data, or with this many zero bytes. */
  buffer(data: Data | number, label?: string): MetalBuffer {
    const nbytes = typeof data === "number" ? data : data.byteLength;
    const id = this.send2(this.device, "newBufferWithLength:options:", nbytes, 0x100);
    const at = this.send(id, "contents"), pointer = Deno.UnsafePointer.create(at);
    if (typeof data !== "number" && pointer !== null) {
      const to = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, nbytes));
      to.set(new Uint8Array(data.buffer, data.byteOffset, nbytes));
    }
    if (label !== undefined) this.send1(id, "setLabel:", this.string(label));
    return new MetalBuffer(this, id, at, nbytes);
  }
  /** A command buffer that retains what it uses, on the device's first queue or another. */
  commands(queue: bigint = this.queue, { unretained = false } = {}): Commands {
    const name = unretained ? "commandBufferWithUnretainedReferences" : "commandBuffer";
    return new Commands(this, this.send(this.send(queue, name), "retain"));
  }
  /** Runs one kernel and waits. */
  run(pipeline: bigint, args: readonly Argument[], run: Run): Promise<void> {
    const commands = this.commands();
    commands.run(pipeline, args, run);
    return commands.finish();
  }
}
