/**
 * One run of a function that is to be compiled: on tracers, with its state in them; for one set of shapes, or recorded
 * so that other shapes need no further run.
 * @module
 */
import type { NDArray } from "../array.ts";
import { Recorder } from "../record.ts";
import { type Cell, cellsOf, own } from "./cells.ts";
import { capturedBy, type Flat, flatten, outputArrays, type Trace, trace, tracing } from "./trace.ts";

/** A call that is to be traced: the function, its arguments, its state, and all arrays of both. */
export interface Call<A extends readonly unknown[], R> {
  readonly f: (...args: A) => R;
  readonly flat: Flat<A>;
  readonly cells: readonly Cell[];
  readonly xs: readonly NDArray[];
  /** The containers that hold new state afterwards. */
  readonly outputs: unknown;
}
/** What a run made: the results, then the new state. */
export interface TracedCall<R> {
  readonly trace: Trace;
  readonly result: Flat<R>;
  /** For each array of the new state the input that was in its place, or -1. */
  readonly homes: readonly number[];
}
/** A run that can be had again for other shapes. */
export interface Recorded<R> extends TracedCall<R> {
  readonly recorder: Recorder;
}

/** Runs the function once. */
export function traceCall<A extends readonly unknown[], R>(call: Call<A, R>): TracedCall<R> {
  let made: Results<R> | undefined;
  const t = trace((inputs) => (made = run(call, inputs)).arrays, call.xs);
  return { trace: likeNow(t, call.xs), result: made!.result, homes: made!.homes };
}
/** Runs the function once and records it; null where that cannot be. */
export function recordCall<A extends readonly unknown[], R>(call: Call<A, R>): Recorded<R> | null {
  const recorder = new Recorder(), paths = () => cellsOf(call.outputs).map((c) => c.path).join();
  const before = paths(), made = recorder.run(call.xs, (inputs) => tracing(() => run(call, inputs)));
  const t = { inputs: recorder.inputs, outputs: made.arrays };
  if (!recorder.isValid || paths() !== before || capturedBy(t).length) return null;
  return { recorder, trace: t, result: made.result, homes: made.homes };
}
/** The recorded run for other arrays; null where the function has to be run. */
export function replayCall<R>(r: Recorded<R>, xs: readonly NDArray[]): TracedCall<R> | null {
  const t = r.recorder.replay(xs, r.trace.outputs);
  return t && { trace: likeNow(t, xs), result: r.result, homes: r.homes };
}

interface Results<R> {
  readonly arrays: readonly NDArray[];
  readonly result: Flat<R>;
  readonly homes: readonly number[];
}
/** The containers hold tracers while the function runs, and what they held before afterwards. */
function run<A extends readonly unknown[], R>(call: Call<A, R>, inputs: readonly NDArray[]): Results<R> {
  const { f, flat, cells, outputs } = call, before = cells.map((c) => c.get()), n = flat.arrays.length;
  try {
    cells.forEach((c, i) => c.set(inputs[n + i]!));
    const made = f(...flat.restore(inputs.slice(0, n))), state = cellsOf(outputs);
    // What returns nothing may have something to put into its containers, and who writes null knows what it returns.
    const result = made === undefined && !state.length ? outputArrays("compile", made) : flatten(made);
    const inputAt = new Map(cells.map((c, i) => [c.place, n + i]));
    return {
      result,
      arrays: [...result.arrays, ...state.map((c) => own(c.get()))],
      homes: state.map((c) => inputAt.get(c.place) ?? -1),
    };
  } finally {
    // What the function put into containers is in the trace; a new field of theirs keeps its traced array until the
    // write.
    cells.forEach((c, i) => c.set(before[i]!));
  }
}
/** The trace's inputs lie where the arrays of this call do. */
function likeNow(t: Trace, xs: readonly NDArray[]): Trace {
  t.inputs.forEach((x, i) => [x.layout, x.bufferBytes] = [xs[i]!.layout, xs[i]!.bufferBytes]);
  return t;
}

/** So many records are kept for arguments of the same structure, dtypes and ranks. */
const MOST_RECORDS = 8;
/** Records of one function, by what they depend on besides lengths. */
export class Records<R> {
  readonly #byKey = new Map<string, Recorded<R>[]>();
  /** The first record that holds for these arrays. */
  find(key: string, xs: readonly NDArray[]): TracedCall<R> | null {
    for (const r of this.#byKey.get(key) ?? []) {
      try {
        const made = replayCall(r, xs);
        if (made) return made;
      } catch {
        continue; // an operation refused these shapes: if the function asks for it, that will say so
      }
    }
    return null;
  }
  /** One more record, the newest first. */
  add(key: string, r: Recorded<R>): void {
    this.#byKey.set(key, [r, ...this.#byKey.get(key) ?? []].slice(0, MOST_RECORDS));
  }
}
