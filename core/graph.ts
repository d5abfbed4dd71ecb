/**
 * Lazy nodes: their states, who still reads them, who holds them, and `bind`, the one function that makes them.
 * Nothing native is touched here. How nodes become programs is `plan.ts`, when they are computed and kept is `eval.ts`.
 * @module
 */
import type { NDArray } from "./array.ts";
import type { DType } from "./dtype.ts";
import { DonatedError, fail, TraceError, ValueError } from "./errors.ts";
import type { Entry } from "./learn.ts";
import type { Aval, HostData, Layout, Params, ParamSchema, Primitive, Shape } from "./primitive.ts";
import type { ParamsOf, PrimitiveName } from "./primitives/mod.ts";
import { describe as describeAval } from "./shape.ts";
import { debugging, lineOf, note, noteLike } from "./sites.ts";

/**
 * - `lazy`: never computed;
 * - `evaluated`: has a handle and has let go of its inputs;
 * - `spent`: was computed inside a program and not kept; it keeps its inputs and can be computed again;
 * - `donated`: its buffer was given away.
 */
export type State = "lazy" | "evaluated" | "spent" | "donated";
/** The parameters of any primitive. */
export type AnyParams = Params<ParamSchema>;
/** Number of a stream: 0 is the default stream. */
export type StreamId = number;

let nextId = 0;
/**
 * What the graph knows of an array. {@linkcode NDArray} adds what users call.
 * @internal
 */
export class Node implements Aval {
  /** A number of its own, in order of creation. */
  readonly id: number = nextId++;
  /** Whether it has been computed, and what became of the result. */
  state: State = "lazy";
  /** Set inside grad, vmap, compile: abstract, never evaluated, and no consumer of what it reads. */
  readonly traced: boolean;
  /** Of an evaluated array: its buffer. */
  handle: number = 0;
  /** Of an evaluated array: where its elements are in the buffer; null means row-contiguous from the start. */
  layout: Layout | null = null;
  /** Of an evaluated array: bytes of its buffer, which may hold more than this array. */
  bufferBytes = 0;
  /** Memory of the buffer as V8 sees it, so that V8 counts the bytes. */
  bytes: ArrayBuffer | null = null;
  /** Consumers bound while this was lazy, not computed yet: a plain count, so garbage only costs a keep or a copy. */
  early = 0;
  /**
   * Consumers bound since this left "lazy", not computed yet, held weakly: garbage is discounted after a collection.
   */
  readers: Set<WeakRef<NDArray>> | null = null;
  /**
   * Bit k: input k was not lazy when this was bound, so this is or will be among its readers; else it counts as early.
   */
  late = 0;
  /** Modules, optimizers and caches that registered it. */
  holders: Set<WeakRef<Holder>> | null = null;
  /** How often a kernel computed it. */
  computed = 0;
  /** Program entry and position it was computed at. */
  origin: { readonly entry: Entry; readonly position: number } | null = null;
  /** Kept for a learned position, a frontier, a third computation or its small size: not because someone said so. */
  keptByChoice = false;
  /** Who took its buffer. */
  donatedTo: string | null = null;
  /** A name for error messages. */
  label = "";
  #ref: WeakRef<NDArray> | null = null;

  /** Made by {@linkcode bind} only. */
  constructor(
    /** The record of the primitive that makes it. */
    readonly prim: Primitive,
    /** What it is made from. */
    public inputs: readonly NDArray[],
    /** The primitive's parameters. */
    public params: AnyParams,
    /** Lengths of its axes. */
    readonly shape: Shape,
    /** Type of its elements. */
    readonly dtype: DType,
    /** The stream that computes it. */
    readonly stream: StreamId,
    /** Its first input is given away: the result may take that buffer. */
    readonly donate: boolean,
    traced: boolean,
  ) {
    this.traced = traced;
  }
  /** One WeakRef per node. */
  get ref(): WeakRef<NDArray> {
    return this.#ref ??= new WeakRef(self(this));
  }
}
function self(n: Node): NDArray {
  return n as NDArray; // every node is made by the installed constructor
}

/** Whether the value is an array. */
export function isArray(x: unknown): x is NDArray {
  return x instanceof Node;
}
/** The host's numbers of a constant, which is still lazy. */
export function hostData(n: Node): HostData {
  return n.params.data as HostData; // the record of constants says so, and nothing else is asked
}
/** A parameter that is a list of integers. */
export function intsOf(n: Node, key: string): readonly number[] {
  return n.params[key] as readonly number[]; // callers have read this in the record
}

/** How messages name a node: `h#12 (tanh, float32[2,3])`, and when debugging the line that made it. */
export function describe(n: Node): string {
  const line = debugging ? lineOf(n) : "";
  return `${n.label || "array"}#${n.id} (${n.prim.name}, ${describeAval(n)}${line && `, made at ${line}`})`;
}

type Constructor = new (...args: ConstructorParameters<typeof Node>) => NDArray;
let construct: Constructor;
/** The seam that lets the class with all methods live above the graph. */
export function installArray(c: Constructor): void {
  construct = c;
}
const registry = new Map<string, Primitive>();
/** Called once, by `primitives/mod.ts`, with every primitive in the order of its code. */
export function installPrimitives(all: Iterable<Primitive>): void {
  for (const p of all) {
    registry.set(p.name, p);
    // postMessage and structuredClone read a record's numbered properties first: so they meet an error that helps.
    Object.defineProperty(p, 0, { enumerable: true, get: failPosted });
  }
}
function failPosted(): never {
  fail(ValueError, "postMessage", {
    cannot: "post an array",
    expected: "numbers or bytes",
    got: "a handle of this isolate's runtime",
    fix: "post await x.data() with x.shape, and make the array there with mx.array(data).reshape(shape)",
  });
}
/** The record of that name. */
export function primitive(name: PrimitiveName): Primitive {
  return registry.get(name)!;
}
/** The record of any name, if there is one. */
export function findPrimitive(name: string): Primitive | undefined {
  return registry.get(name);
}
/** All records, in the order of their codes. */
export function allPrimitives(): readonly Primitive[] {
  return [...registry.values()];
}

/**
 * Names of accessors that hold arrays, for objects whose fields do not show them: transforms then find the arrays
 * there.
 */
export const stateKeys: unique symbol = Symbol("denim.stateKeys");

let currentStream: StreamId = 0;
/** The stream that new nodes run on. */
export function activeStream(): StreamId {
  return currentStream;
}
/** Sets it; returns the one before. */
export function setActiveStream(s: StreamId): StreamId {
  const before = currentStream;
  currentStream = s;
  return before;
}

/** What records a function for arrays of any shape: see `record.ts`. */
export interface ShapeRecorder {
  /** Shape and dtype of a new node. */
  infer(prim: Primitive, inputs: readonly NDArray[], params: AnyParams): Aval;
  /** The node has been made. */
  made(node: NDArray): NDArray;
  /** Calls an operation whose parameters follow from shapes, so that it can be called again. */
  call<A extends readonly unknown[], R>(f: (...args: A) => R, args: A): R;
  /** Something happens that cannot be recorded. */
  giveUp(): void;
}
/** The recorder at work, if there is one. */
export let recorder: ShapeRecorder | null = null;
/** Sets it; returns the one before. */
export function setRecorder(r: ShapeRecorder | null): ShapeRecorder | null {
  const before = recorder;
  recorder = r;
  return before;
}

/**
 * Builds one lazy node: the shape and dtype rules run now, the kernel later. `donate` gives the input that the record's
 * `inPlace` names away: where nothing else needs it, the result takes its buffer, and the input becomes unusable.
 */
export function bind<N extends PrimitiveName>(
  name: N,
  inputs: readonly NDArray[],
  params: ParamsOf<N>,
  options: { readonly donate?: boolean } = {},
): NDArray {
  return bindRecord(registry.get(name)!, inputs, params, options.donate ?? false);
}
/** `bind` for code that has the record at hand and rebuilds a graph. */
export function bindRecord(
  prim: Primitive,
  inputs: readonly NDArray[],
  params: AnyParams,
  donate = false,
  stream = currentStream,
): NDArray {
  let traced = false;
  for (const i of inputs) {
    if (i.state === "donated") failDonated(prim.name, i);
    traced ||= i.traced;
  }
  if (traced && inputs.some((i) => settled.has(i))) {
    return bindRecord(prim, inputs.map((i) => settled.get(i) ?? i), params, donate, stream);
  }
  const out = recorder ? recorder.infer(prim, inputs, params) : prim.infer(inputs, params);
  const y = new construct(prim, inputs, params, out.shape, out.dtype, stream, donate, traced);
  if (debugging) note(y);
  if (!traced) registerReads(y);
  else if (recorder) recorder.made(y);
  return y;
}
/** The same operation on other inputs. */
export function bindAgain(n: Node, inputs: readonly NDArray[], donate = n.donate): NDArray {
  const y = bindRecord(n.prim, inputs, n.params, donate, n.stream);
  if (debugging) noteLike(y, n);
  return y;
}
/** Traced arrays left over from transforms that are over, and the concrete ones that took their place: `values.ts`. */
export const settled: WeakMap<Node, NDArray> = new WeakMap();
/** An abstract array, for transforms. */
export function tracer(like: Aval): NDArray {
  return new construct(registry.get("constant")!, [], {}, like.shape, like.dtype, currentStream, false, true);
}
/** The same array as a traced node of its own, with a shape that is watched. */
export function aliasOf(x: NDArray, shape: Shape): NDArray {
  const y = new construct(registry.get("stopGradient")!, [x], {}, shape, x.dtype, x.stream, false, true);
  if (debugging) noteLike(y, x);
  return y;
}
/** Is it an input of a trace, and not something computed in one? */
export function isTracer(n: Node): boolean {
  return n.traced && n.inputs.length === 0;
}
/** A node that has no inputs and is already computed: results of compiled programs, uploads, mapped files. */
export function evaluatedNode(like: Aval): NDArray {
  const y = new construct(registry.get("constant")!, [], {}, like.shape, like.dtype, currentStream, false, false);
  if (debugging) {
    note(y);
    if (like instanceof Node) noteLike(y, like);
  }
  return y;
}

/** Throws: the array was given away. */
export function failDonated(op: string, k: Node): never {
  fail(DonatedError, op, {
    cannot: `use ${describe(k)}`,
    expected: "a live array",
    got: `one given away to ${k.donatedTo}`,
    fix: "use the result of that update, or copy it before",
  });
}
/** Throws: values do not exist while tracing. */
export function failTraced(op: string, x: Node): never {
  fail(TraceError, op, {
    cannot: `read ${describe(x)}`,
    expected: "a concrete array",
    got: "one that vmap or compile is tracing",
    fix: "return it from the function and read it outside, or use mx.where instead of an if on its value",
  });
}

/** A bit per input; consumers with more inputs are counted as early wherever they read beyond. */
const LATE_BITS = 31;
/**
 * Nodes that will be readers of an input. Most are computed by the next evaluation and need no WeakRef, which is dear;
 * so they wait here, held strongly, until an evaluation without them, a collection, or too many of them.
 */
let newReaders: NDArray[] = [];
const MOST_NEW_READERS = 512;
function registerReads(y: NDArray): void {
  const inputs = y.inputs;
  for (let k = 0; k < inputs.length; k++) {
    const i = inputs[k]!;
    if (k > 0 && inputs.indexOf(i) < k) continue;
    if (i.state === "lazy" || k >= LATE_BITS) i.early++;
    else y.late |= 1 << k;
  }
  if (y.late !== 0 && newReaders.push(y) >= MOST_NEW_READERS) settleReaders(null);
}
/** From now on the inputs know their new readers, but for those that `program` computes: they stay new until it has. */
export function settleReaders(program: ReadonlySet<NDArray> | null): void {
  const waiting = newReaders;
  newReaders = [];
  for (const y of waiting) {
    if (y.state !== "lazy") continue;
    if (program?.has(y)) newReaders.push(y);
    else for (let k = 0; k < y.inputs.length && k < LATE_BITS; k++) if (y.late >> k & 1) addReader(y.inputs[k]!, y);
  }
}
/**
 * `y` reads `x`. Where x is spent, x reads its own inputs again, down to what is evaluated: a donation walks this way
 * up.
 */
function addReader(x: NDArray, y: NDArray): void {
  const todo: [NDArray, NDArray][] = [[x, y]];
  for (let e = todo.pop(); e; e = todo.pop()) {
    const [input, reader] = e, set = input.readers ??= new Set();
    if (set.has(reader.ref)) continue;
    set.add(reader.ref);
    if (input.state === "spent") { for (const i of input.inputs) todo.push([i, input]); }
  }
}
/** First computation of `y`: it is no longer a pending consumer. */
export function settleConsumer(y: NDArray): void {
  const inputs = y.inputs;
  for (let k = 0; k < inputs.length; k++) {
    const i = inputs[k]!;
    if (k > 0 && inputs.indexOf(i) < k) continue;
    if (!isLate(y, k)) i.early--;
    else if (i.readers) i.readers.delete(y.ref);
  }
}
function isLate(y: NDArray, k: number): boolean {
  return k < LATE_BITS && (y.late >> k & 1) === 1;
}
/** Does anything alive, never computed and outside `program` still need `x`, directly or through spent nodes? */
export function wantedOutside(
  x: NDArray,
  program: ReadonlySet<NDArray>,
  uses: ReadonlyMap<NDArray, readonly NDArray[]>,
): boolean {
  if (x.early === 0 && !x.readers) return false;
  const todo = [x], seen = new Set(todo);
  for (let n = todo.pop(); n; n = todo.pop()) {
    if (n.early > earlyInside(n, uses.get(n))) return true;
    for (const ref of n.readers ?? []) {
      const r = ref.deref();
      if (!r || r.state === "evaluated") n.readers!.delete(ref);
      else if (program.has(r)) continue; // computed here, and kept if it is wanted outside itself
      else if (r.state === "lazy") return true;
      else if (r.state === "spent" && !seen.has(r)) {
        seen.add(r);
        todo.push(r);
      }
    }
  }
  return false;
}
function earlyInside(n: NDArray, uses: readonly NDArray[] | undefined): number {
  if (!uses) return 0;
  let inside = 0;
  for (let k = 0; k < uses.length; k++) {
    const c = uses[k]!;
    if (c.state === "lazy" && uses.indexOf(c) === k && !isLate(c, c.inputs.indexOf(n))) inside++;
  }
  return inside;
}

/**
 * What a module, an optimizer or a cache is to eval: named slots whose arrays are kept once computed, and whose
 * buffers are never given away under their feet.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const cache = new mx.Holder(), x = mx.array([1, 2]), twice = cache.hold("twice", x.mul(2));
 * twice.sum().item(); // 6
 * x.dispose();
 * twice.tolist(); // [2, 4], kept when the sum was computed
 * cache.release("twice");
 * ```
 */
export class Holder {
  #slots = new Map<string, NDArray>();
  readonly #ref: WeakRef<Holder> = new WeakRef(this);
  /** Puts `x` into the slot, in place of what was there. */
  hold(slot: string, x: NDArray): NDArray {
    if (this.#slots.get(slot) === x) return x;
    this.release(slot);
    this.#slots.set(slot, x);
    (x.holders ??= new Set()).add(this.#ref);
    return x;
  }
  /** Empties the slot. */
  release(slot: string): void {
    const x = this.#slots.get(slot);
    this.#slots.delete(slot);
    if (!x) return;
    for (const other of this.#slots.values()) if (other === x) return;
    x.holders!.delete(this.#ref);
  }
}
/** Is it in a slot of a holder that is still alive? */
export function held(x: NDArray): boolean {
  for (const h of x.holders ?? []) {
    if (h.deref()) return true;
    x.holders!.delete(h);
  }
  return false;
}
