/**
 * compile: a function is traced once per signature (shapes, dtypes, structure and constants of its arguments), planned
 * once, and kept inside the runtime; a call is one native call. State that goes in and comes out is updated in place.
 * @module
 */
import { runtime } from "../../ffi/runtime.ts";
import type { NDArray } from "../array.ts";
import { fail, TransformError } from "../errors.ts";
import { donated, evaluate, mayDonate, submit, withMemory } from "../eval.ts";
import {
  activeStream,
  bind,
  evaluatedNode,
  failDonated,
  failTraced,
  Holder,
  isArray,
  Node,
  settleReaders,
  stateKeys,
} from "../graph.ts";
import { isContiguous, lower, type Lowered } from "../lower.ts";
import { adopt, relieve } from "../memory.ts";
import { collect, isScalarConstant, schedule } from "../plan.ts";
import { failure } from "../status.ts";
import { asWritten, type Flat, flatten, outputArrays, rebuild, type Trace, trace, withoutCalls } from "./trace.ts";
import { describe, sizeOf } from "../shape.ts";

/** Options of {@linkcode compile}. */
export interface CompileOptions {
  /**
   * State that the function reads besides its arguments: lists, objects, modules, optimizers, caches. Their arrays
   * become inputs of the program; without this an array that the function captures is a constant.
   */
  readonly inputs?: unknown;
  /** State that the function changes: after a call the containers hold the new arrays. */
  readonly outputs?: unknown;
  /** How many programs are kept; the least recently used goes first. Default 32. */
  readonly limit?: number;
}
/** What happened so far. */
export interface CompileStatistics {
  /** Calls of the compiled function. */
  calls: number;
  /** How often the function itself was run to make a program. */
  traces: number;
  /** Programs held now. */
  programs: number;
}
/** A place in a container that holds an array. */
interface Cell {
  readonly get: () => NDArray;
  readonly set: (x: NDArray) => void;
  readonly path: string;
}
interface Compiled<R = unknown> {
  readonly trace: Trace;
  readonly plan: Lowered;
  readonly program: number;
  readonly captured: readonly NDArray[];
  readonly holder: Holder;
  readonly result: Flat<R>;
  readonly nResults: number;
  /** For each output of the trace: the index of its array among the program's outputs, or the input it is. */
  readonly sources: readonly Source[];
}
type Source = { readonly output: number } | { readonly input: number } | { readonly captured: NDArray };

/** Options and statistics of compiled functions, for `compile.statistics`. */
const statistics = new WeakMap<object, CompileStatistics>();
const programs = new FinalizationRegistry<number>((p) => runtime().drop(p));

type Container = Record<PropertyKey, unknown>;
function isContainer(x: unknown): x is Container {
  return typeof x === "object" && x !== null && !ArrayBuffer.isView(x) && !(x instanceof Node);
}
function isKeys(x: unknown): x is readonly string[] {
  return Array.isArray(x);
}
function arrayAt(x: Container, key: string): NDArray {
  const value = x[key];
  if (isArray(value)) return value;
  return fail(TransformError, "compile", {
    cannot: `read the state at ${key}`,
    expected: "an array, as before the call",
    got: typeof value,
    fix: "change arrays only",
  });
}
/** Arrays in containers of any class: plain trees, modules, optimizers, caches. Private fields are not seen. */
export function cellsOf(container: unknown): Cell[] {
  const cells: Cell[] = [], seen = new Set<object>();
  const walk = (x: unknown, path: string): void => {
    if (!isContainer(x) || seen.has(x)) return;
    seen.add(x);
    const accessors = isKeys(x[stateKeys]) ? x[stateKeys] : [];
    for (const key of [...Object.keys(x), ...accessors]) {
      const value = x[key], at = path ? `${path}.${key}` : key;
      if (isArray(value)) cells.push({ get: () => arrayAt(x, key), set: (v) => x[key] = v, path: at });
      else walk(value, at);
    }
  };
  walk(container, "");
  return cells;
}

/**
 * Returns a function that computes what `f` does, traced once per signature and run as one program
 * (`mlx.core.compile`). Numbers, strings and booleans among the arguments are constants of a trace; arrays are its
 * inputs.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const f = mx.compile((x: mx.NDArray) => x.exp().add(1).sum());
 * f(mx.zeros([3])).item(); // 6
 * ```
 */
export function compile<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  options: CompileOptions = {},
): (...args: A) => R {
  const cache = new Map<string, Compiled<R>>(), limit = options.limit ?? 32;
  const stats: CompileStatistics = { calls: 0, traces: 0, programs: 0 };
  const compiled = (...args: A): R => {
    if (disabled) return f(...args);
    stats.calls++;
    const flat = flatten(args), cells = cellsOf(options.inputs);
    submit(cells.map((c) => c.get()).filter((x) => !x.traced));
    const state = cells.map((c) => dense(c.get()));
    const xs = [...flat.arrays, ...state];
    for (const x of xs) if (x.state === "donated") failDonated("compile", x);
    const inlined = xs.some((x) => x.traced);
    if (!inlined) submit(xs); // all as roots: a lazy argument may hold an update that asks for another argument's buffer
    const key = signature(flat, args, cells, state);
    let c = cache.get(key);
    if (c) cache.delete(key);
    else {
      stats.traces++;
      c = build(f, flat, cells, xs, options);
    }
    cache.set(key, c);
    for (const [oldest, { program }] of cache) {
      if (cache.size <= limit || cache.size === 1) break;
      cache.delete(oldest);
      runtime().drop(program); // finalizers do not run inside a synchronous job; a handle that is dropped twice is nothing
    }
    stats.programs = cache.size;
    const outs = inlined ? rebuild(c.trace, xs) : call(c, xs, flat.arrays.length);
    write(options, outs.slice(c.nResults));
    return c.result.restore(outs.slice(0, c.nResults));
  };
  statistics.set(compiled, stats);
  return compiled;
}
/**
 * Calls, traces and programs of a compiled function.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const f = mx.compile((x: mx.NDArray) => x.add(1));
 * mx.eval(f(mx.ones([2])), f(mx.zeros([2])));
 * mx.compileStatistics(f); // { calls: 2, traces: 1, programs: 1 }
 * ```
 */
export function compileStatistics(f: (...args: never[]) => unknown): CompileStatistics {
  return { ...statistics.get(f) ?? { calls: 0, traces: 0, programs: 0 } };
}
let disabled = false;
/** From now on compiled functions run as they are written (`mlx.core.disable_compile`). */
export function disableCompile(): void {
  disabled = true;
}
/** Undoes {@linkcode disableCompile}. */
export function enableCompile(): void {
  disabled = false;
}

/**
 * What a program depends on: the tree of the arguments with each array as its dtype and shape, and the state's arrays.
 */
function signature(flat: Flat, args: readonly unknown[], cells: readonly Cell[], state: readonly NDArray[]): string {
  const parts: string[] = [];
  const walk = (x: unknown): void => {
    if (x instanceof Node) parts.push(described(x));
    else if (Array.isArray(x)) {
      parts.push("[");
      x.forEach(walk);
      parts.push("]");
    } else if (typeof x === "object" && x !== null && Object.getPrototypeOf(x) === Object.prototype) {
      for (const [k, v] of Object.entries(x)) {
        parts.push(`${k}:`);
        walk(v);
      }
      parts.push("}");
    } else {parts.push(
        typeof x === "object" && x !== null || typeof x === "function" ? `#${identity(x)}` : `${typeof x} ${String(x)}`,
      );}
  };
  args.forEach(walk);
  parts.push(`|${flat.arrays.length}|`);
  cells.forEach((c, i) => parts.push(c.path, described(state[i]!)));
  return parts.join(" ");
}
/** Views of at most this many bytes get a buffer of their own before they are state. */
const SMALL_STATE = 4096;
/**
 * State is written in place, so it has to be dense: zeros, say, are one number seen as many. Small views are copied, so
 * that the next call, which finds what this one wrote, has the same signature.
 */
function dense(x: NDArray): NDArray {
  const sparse = x.layout !== null && !isContiguous(x.layout, x.shape);
  return sparse || (!isPlain(x) && x.bufferBytes <= SMALL_STATE) ? bind("copy", [x], {}) : x;
}
/** New state has a buffer of its own: as a view it could not be written in place the next time. */
function own(x: NDArray): NDArray {
  return x.traced && x.prim.kind === "view" ? bind("copy", [x], {}) : x;
}
/** dtype and shape, and where the elements are unless they are row-major in a buffer of their own. */
function described(x: Node): string {
  if (isPlain(x)) return describe(x);
  return `${describe(x)}@${x.bufferBytes}:${x.layout ? `${x.layout.offset}:${x.layout.strides.join()}` : ""}`;
}
function isPlain(x: Node): boolean {
  return x.layout === null && (x.bufferBytes === 0 || x.bufferBytes === sizeOf(x.shape) * x.dtype.size);
}
const identities = new WeakMap<object, number>();
let nextIdentity = 0;
function identity(x: object): number {
  let id = identities.get(x);
  if (id === undefined) identities.set(x, id = nextIdentity++);
  return id;
}

/** Traces `f`: the containers hold tracers while it runs, and what they held before afterwards. */
function build<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  flat: Flat<A>,
  cells: readonly Cell[],
  xs: readonly NDArray[],
  options: CompileOptions,
): Compiled<R> {
  let result: Flat<R> | undefined;
  const before = cells.map((c) => c.get()), n = flat.arrays.length;
  let t: Trace;
  try {
    t = trace((tracers) => {
      tracers.forEach((t, i) => [t.layout, t.bufferBytes] = [xs[i]!.layout, xs[i]!.bufferBytes]);
      cells.forEach((c, i) => c.set(tracers[n + i]!));
      result = outputArrays("compile", f(...flat.restore(tracers.slice(0, n))));
      return [...result.arrays, ...cellsOf(options.outputs).map((c) => own(c.get()))];
    }, xs);
  } finally {
    // What the function put into containers is in the trace; a new field of theirs keeps its traced array until the
    // write.
    cells.forEach((c, i) => c.set(before[i]!));
  }
  return prepare(t, result!, n);
}
/** Is it part of the program although it is not traced: a scalar, or views of one? */
function isInlined(x: NDArray): boolean {
  let n = x;
  while (n.prim.kind === "view" && n.state === "lazy") n = n.inputs[0]!;
  return isScalarConstant(n);
}
/** The nodes of the program, and what it captures. */
function programNodes(t: Trace): { nodes: NDArray[]; captured: NDArray[] } {
  const isLeaf = (n: NDArray) => n.traced ? n.inputs.length === 0 : !isInlined(n);
  const nodes = asWritten(collect(t.outputs, isLeaf)), inProgram = new Set(nodes);
  const known = new Set<NDArray>(t.inputs), captured = new Set<NDArray>();
  for (const n of [...nodes.flatMap((n) => n.inputs), ...t.outputs]) {
    if (inProgram.has(n) || known.has(n)) continue;
    if (n.traced) failTraced("compile", n);
    captured.add(n);
  }
  return { nodes, captured: [...captured] };
}
function prepare<R>(traced: Trace, result: Flat<R>, nArgs: number): Compiled<R> {
  const t = withoutCalls(traced), holder = new Holder();
  let { nodes, captured } = programNodes(t);
  // Computing what is captured may also compute a view of a scalar that the program had inlined: then look again.
  while (captured.some((n) => n.state !== "evaluated")) {
    captured.forEach((n, i) => holder.hold(`captured ${i}`, n));
    evaluate(captured);
    ({ nodes, captured } = programNodes(t));
  }
  captured.forEach((n, i) => holder.hold(`captured ${i}`, n));
  const inProgram = new Set(nodes);
  const keep = new Set(t.outputs.filter((o) => inProgram.has(o)));
  const returned = new Set(t.outputs), donatable = new Set(t.inputs.slice(nArgs).filter((x) => !returned.has(x)));
  const plan = lower(schedule({ nodes, keep, donatable, givenAway: new Set(), keepSmall: false }), runtime().tableHash);
  const made = runtime().prepare(plan.words);
  if (made.failed) throw failure("compile", made.failed);
  const position = new Map(plan.outputs.map((o, i) => [o.node, i]));
  const sources = t.outputs.map((o): Source => {
    const output = position.get(o);
    if (output !== undefined) return { output };
    const input = t.inputs.indexOf(o);
    return input >= 0 ? { input } : { captured: o };
  });
  const c: Compiled<R> = {
    trace: traced,
    plan,
    program: made.program,
    captured,
    holder,
    result,
    nResults: result.arrays.length,
    sources,
  };
  programs.register(c, made.program);
  return c;
}

/** One native call. The last inputs are state, whose buffers are given away where nothing else needs them. */
function call(c: Compiled, xs: readonly NDArray[], nArgs: number): NDArray[] {
  const made = new Map<NDArray, NDArray>(c.trace.inputs.map((t, i) => [t, xs[i]!]));
  const state = new Set(xs.slice(nArgs)), times = new Map<NDArray, number>();
  for (const x of xs) times.set(x, (times.get(x) ?? 0) + 1);
  const leaves = c.plan.inputs.map((l) => made.get(l) ?? l);
  settleReaders(null);
  const give = leaves.map((x, i) => c.plan.written[i]! && state.has(x) && times.get(x) === 1 && mayTake(x));
  const stream = activeStream(), outs: NDArray[] = [];
  relieve();
  withMemory(() => {
    const done = runtime().run(stream, c.program, leaves.map((x) => x.handle), give, c.plan.outputs.length, false);
    if (done.failed) throw failure("compile", done.failed);
    c.plan.outputs.forEach((o, i) => {
      const y = evaluatedNode(o.node);
      adopt(y, done.outputs[i]!, o.layout, o.nbytes);
      outs.push(y);
    });
  });
  leaves.forEach((x, i) => {
    if (give[i]) donated(x, "a compiled call");
  });
  return c.sources.map((s) => "output" in s ? outs[s.output]! : "input" in s ? xs[s.input]! : s.captured);
}
const NONE: ReadonlySet<NDArray> = new Set(), NOBODY: ReadonlyMap<NDArray, readonly NDArray[]> = new Map();
/** State belongs to one holder at most: the container itself. */
function mayTake(x: NDArray): boolean {
  const holders = x.holders;
  if (holders && holders.size === 1) {
    x.holders = null;
    const free = mayDonate(x, NONE, NOBODY);
    x.holders = holders;
    return free;
  }
  return mayDonate(x, NONE, NOBODY);
}
/** Puts the new state into the containers. */
function write(options: CompileOptions, arrays: readonly NDArray[]): void {
  const cells = cellsOf(options.outputs);
  if (cells.length !== arrays.length) {
    fail(TransformError, "compile", {
      cannot: "write the state back",
      expected: `${arrays.length} arrays in its containers, as when the function was traced`,
      got: String(cells.length),
      fix: "let the function change arrays only, not which fields hold arrays",
    });
  }
  cells.forEach((cell, i) => cell.set(arrays[i]!));
}
