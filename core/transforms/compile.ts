/**
 * compile: a function is traced once per signature (shapes, dtypes, structure and constants of its arguments), planned
 * once, and kept inside the runtime; a call is one native call. State that goes in and comes out is updated in place.
 * @module
 */
import { runtime } from "../../ffi/runtime.ts";
import { KEPT } from "../arena.ts";
import type { NDArray } from "../array.ts";
import { fail, TransformError } from "../errors.ts";
import { activeInspector, donated, mayDonate, submit, withMemory } from "../eval.ts";
import { activeStream, evaluatedNode, failDonated, Holder, settleReaders } from "../graph.ts";
import { lower, type Lowered } from "../lower.ts";
import { adopt, relieve } from "../memory.ts";
import { schedule } from "../plan.ts";
import { recording } from "../recording.ts";
import { running } from "../sites.ts";
import { failure } from "../status.ts";
import { cellsOf, dense } from "./cells.ts";
import { type CompileStatistics, type Explanation, History, type Outcome } from "./explain.ts";
import { entries, Places, signature } from "./signature.ts";
import { operations, simplify } from "./simplify.ts";
import { capturedBy, type Flat, flatten, isTracing, rebuild, type Trace } from "./trace.ts";
import { type Call, recordCall, Records, replayCall, traceCall, type TracedCall } from "./traced_call.ts";

/** Options of {@linkcode compile}. */
export interface CompileOptions {
  /**
   * State that the function reads besides its arguments: lists, objects, modules, optimizers, caches. Their arrays
   * become inputs of the program; without this an array that the function captures is a constant.
   */
  readonly inputs?: unknown;
  /** State that the function changes: after a call the containers hold the new arrays. */
  readonly outputs?: unknown;
  /**
   * Other lengths of axes need no further run of the function, only another plan: operations are called again with the
   * new shapes. A length that the function itself reads (`x.shape[0]`, `x.size`) has to stay; if it changes, the
   * function is traced again. Handed on as a whole (`y.reshape(x.shape)`) or left open (`-1`) lengths may change.
   * Where gradients or `vmap` are taken inside, every new shape is a trace. Default false.
   */
  readonly shapeless?: boolean;
  /** How many programs are kept; the least recently used goes first. Default 32. */
  readonly limit?: number;
}
interface Compiled<R = unknown> {
  readonly trace: Trace;
  readonly plan: Lowered;
  readonly program: number;
  readonly captured: readonly NDArray[];
  readonly holder: Holder;
  readonly result: Flat<R>;
  /** For each output of the trace: the index of its array among the program's outputs, or the input it is. */
  readonly sources: readonly Source[];
  readonly outcome: Omit<Outcome, "guards">;
}
type Source = { readonly output: number } | { readonly input: number } | { readonly captured: NDArray };

const histories = new WeakMap<object, History>();
const programs = new FinalizationRegistry<number>((p) => runtime().drop(p));

/** {@linkcode compile}, and what it tells about compiled functions. */
export interface Compile {
  /** The function `f`, compiled. */
  <A extends readonly unknown[], R>(f: (...args: A) => R, options?: CompileOptions): (...args: A) => R;
  /**
   * Why a compiled function was traced, for each of its last traces: which argument changed, from what to what, and
   * what became of the program. Print it, or read its fields.
   *
   * @example
   * ```ts
   * import * as mx from "@denim/ml";
   * const f = mx.compile((x: mx.NDArray, n: number) => x.mul(n));
   * f(mx.ones([2]), 3);
   * f(mx.ones([2]), 4);
   * mx.compile.explain(f).traces[1]!.changes; // [{ path: "args[1]", from: "3", to: "4" }]
   * ```
   */
  explain(f: (...args: never[]) => unknown): Explanation;
}
/**
 * Returns a function that computes what `f` does, traced once per signature and run as one program
 * (`mlx.core.compile`). Numbers, strings and booleans among the arguments are constants of a trace; arrays are its
 * inputs. So a number that is another one in each call, such as a learning rate, costs a trace in each: hand it over as
 * `mx.array(rate)`; {@linkcode Compile.explain} names such arguments. Equal operations are computed once, what depends on constants only is computed while tracing, and what no
 * result needs is left out.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const f = mx.compile((x: mx.NDArray) => x.exp().add(1).sum());
 * f(mx.zeros([3])).item(); // 6
 * ```
 */
export const compile: Compile = Object.assign(compiledFunction, { explain });

function compiledFunction<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  options: CompileOptions = {},
): (...args: A) => R {
  const cache = new Map<string, Compiled<R>>(), records = new Records<R>();
  const { limit = 32 } = options, history = new History(), { statistics } = history, places = new Places();
  const compiled = (...given: A): R => {
    if (disabled) return f(...given);
    statistics.calls++;
    let args = given, flat = flatten(args);
    const cells = cellsOf(options.inputs);
    submit(cells.map((c) => c.get()).filter((x) => !x.traced));
    const state = cells.map((c) => ({ path: c.path, array: dense(c.get()) }));
    let xs = [...flat.arrays, ...state.map((s) => s.array)];
    for (const x of xs) if (x.state === "donated") failDonated("compile", x);
    const inlined = xs.some((x) => x.traced);
    if (!inlined) submit(xs); // all as roots: a lazy argument may hold an update that asks for another argument's buffer
    const settled = places.settled(flat.arrays);
    if (settled !== flat.arrays) {
      submit(settled.filter((x) => !x.traced));
      args = flat.restore(settled);
      flat = flatten(args);
      xs = [...flat.arrays, ...state.map((s) => s.array)];
    }
    if (activeInspector()) return stepwise(options, { f, flat, cells, xs, outputs: options.outputs });
    const key = signature(args, state);
    let c = cache.get(key);
    if (c) cache.delete(key);
    else {
      const begun = recording?.begin() ?? 0;
      places.missed(flat.arrays);
      const loose = options.shapeless ? signature(args, state, true) : null;
      const { made, ran, guards } = tracedCall({ f, flat, cells, xs, outputs: options.outputs }, loose, records);
      if (isTracing() && capturedBy(made.trace).length) {
        // An array of a transform around belongs to this call alone, and so does what was traced with it.
        return finish(options, made, rebuild(made.trace, xs));
      }
      c = prepare(made, flat.arrays.length);
      recording?.span("compile", begun);
      if (ran) history.add(entries(args, state), { ...c.outcome, guards });
      else statistics.replays++;
    }
    cache.set(key, c);
    evict(cache, limit, statistics);
    const outs = inlined ? rebuild(c.trace, xs) : call(c, xs, flat.arrays.length);
    return finish(options, c, outs);
  };
  histories.set(compiled, history);
  return compiled;
}
/** As it is written, operation by operation; the containers change only if all of it could be computed. */
function stepwise<A extends readonly unknown[], R>(options: CompileOptions, call: Call<A, R>): R {
  const made = traceCall(call), outs = rebuild(made.trace, call.xs);
  submit(outs.filter((x) => !x.traced));
  return finish(options, made, outs);
}
/** Puts the new state into its containers; returns the results in their tree. */
function finish<R>(options: CompileOptions, { result }: { readonly result: Flat<R> }, outs: readonly NDArray[]): R {
  const nResults = result.arrays.length;
  write(options, outs.slice(nResults));
  return result.restore(outs.slice(0, nResults));
}
/** Drops the programs that were not used for the longest time, but never the one in use. */
function evict(cache: Map<string, Compiled>, limit: number, statistics: CompileStatistics): void {
  for (const [oldest, { program }] of cache) {
    if (cache.size <= limit || cache.size === 1) break;
    cache.delete(oldest);
    statistics.evictions++;
    runtime().drop(program); // finalizers do not run inside a synchronous job; a handle that is dropped twice is nothing
  }
  statistics.programs = cache.size;
}
function historyOf(f: (...args: never[]) => unknown): History {
  return histories.get(f) ?? new History();
}
function explain(f: (...args: never[]) => unknown): Explanation {
  return historyOf(f).explanation();
}
/**
 * Calls, traces, programs and evictions of a compiled function.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const f = mx.compile((x: mx.NDArray) => x.add(1));
 * mx.eval(f(mx.ones([2])), f(mx.zeros([2])));
 * mx.compileStatistics(f); // { calls: 2, traces: 1, replays: 0, programs: 1, evictions: 0 }
 * ```
 */
export function compileStatistics(f: (...args: never[]) => unknown): CompileStatistics {
  return { ...historyOf(f).statistics };
}
let disabled = false;
/**
 * From now on compiled functions run as they are written (`mlx.core.disable_compile`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * let runs = 0;
 * const f = mx.compile((x: mx.NDArray) => (runs++, x.mul(2)));
 * mx.disableCompile();
 * mx.eval(f(mx.ones([2])), f(mx.ones([2])));
 * runs; // 2: the function itself ran each time
 * mx.enableCompile();
 * ```
 */
export function disableCompile(): void {
  disabled = true;
}
/**
 * Undoes {@linkcode disableCompile}.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * let runs = 0;
 * const f = mx.compile((x: mx.NDArray) => (runs++, x.mul(2)));
 * mx.disableCompile();
 * mx.enableCompile();
 * mx.eval(f(mx.ones([2])), f(mx.ones([2])));
 * runs; // 1: traced once
 * ```
 */
export function enableCompile(): void {
  disabled = false;
}

/** The call for the shapes of its arrays: from a record, or by running the function. */
function tracedCall<A extends readonly unknown[], R>(
  call: Call<A, R>,
  key: string | null,
  records: Records<R>,
): { made: TracedCall<R>; ran: boolean; guards: readonly string[] } {
  const known = key === null ? null : records.find(key, call.xs);
  if (known) return { made: known, ran: false, guards: [] };
  const record = key === null ? null : recordCall(call), made = record && replayCall(record, call.xs);
  if (!made) return { made: traceCall(call), ran: true, guards: [] };
  records.add(key!, record);
  const nArgs = call.flat.arrays.length;
  const name = (i: number) => i < nArgs ? `array ${i} of the arguments` : call.cells[i - nArgs]!.path;
  return { made, ran: true, guards: record.recorder.describeGuards(name) };
}
/** From a trace to a program. */
function prepare<R>({ trace: traced, result, homes }: TracedCall<R>, nArgs: number): Compiled<R> {
  const nResults = result.arrays.length, holder = new Holder(), state = new Set(traced.outputs.slice(nResults));
  const simple = simplify(traced, state, holder), { nodes, captured, outputs } = simple;
  const inProgram = new Set(nodes), keep = new Set(outputs.filter((o) => inProgram.has(o)));
  // State that is read only stays with its container; what is replaced may be overwritten.
  const replaced = homes.flatMap((at) => at < nArgs ? [] : [traced.inputs[at]!]);
  const returned = new Set(outputs), donatable = new Set(replaced.filter((x) => !returned.has(x)));
  const order = schedule({
    nodes,
    keep,
    donatable,
    givenAway: new Set(),
    keepSmall: false,
    homes: new Map(homes.flatMap((at, i) => at < 0 ? [] : [[outputs[nResults + i]!, traced.inputs[at]!]])),
  });
  const plan = lower(order, runtime().tableHash, KEPT);
  const made = runtime().prepare(plan.words);
  if (made.failed) throw failure("compile", made.failed);
  const position = new Map(plan.outputs.map((o, i) => [o.node, i]));
  const sources = outputs.map((o): Source => {
    const output = position.get(o);
    if (output !== undefined) return { output };
    const input = traced.inputs.indexOf(o);
    return input >= 0 ? { input } : { captured: o };
  });
  const c: Compiled<R> = {
    trace: traced,
    plan,
    program: made.program,
    captured,
    holder,
    result,
    sources,
    outcome: {
      operations: operations(nodes),
      merged: simple.merged,
      folded: simple.folded,
      temporaryBytes: plan.memory.arena,
      liveBytes: plan.memory.live,
    },
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
  if (c.plan.sites) running(c.plan.sites);
  relieve();
  withMemory(() => {
    const begun = recording?.begin() ?? 0;
    const done = runtime().run(stream, c.program, leaves.map((x) => x.handle), give, c.plan.outputs.length, false);
    if (done.failed) throw failure("compile", done.failed, c.plan.sites?.largest);
    recording?.span("submit", begun);
    recording?.submitted(stream, c.plan);
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
