/**
 * Tracing: a function is run once on abstract arrays, and the graph that comes out is rebuilt on others, node by node,
 * as it is (compile inside a transform) or by the rules of a transform.
 * @module
 */
import type { NDArray } from "../array.ts";
import { fail, TransformError } from "../errors.ts";
import { bindAgain, isArray, isTracer, Node, recorder, settled, tracer } from "../graph.ts";
import { collect } from "../plan.ts";
import type { Aval } from "../primitive.ts";
import { keepingHistory, sameAgain, tracerOf } from "../values.ts";
import { callOf, rebuildCall } from "./call.ts";

/** A function's graph: abstract inputs, and what it made of them. */
export interface Trace {
  readonly inputs: readonly NDArray[];
  readonly outputs: readonly NDArray[];
}
let running = 0;
/** Runs `f`, in which traced arrays are what they seem to be. */
export function tracing<T>(f: () => T): T {
  running++;
  try {
    return f();
  } finally {
    running--;
  }
}
/** Is a function being traced? If not, traced arrays are left over. */
export function isTracing(): boolean {
  return running > 0;
}
/** Runs `f` on abstract arrays. */
export function trace(f: (xs: readonly NDArray[]) => readonly NDArray[], like: readonly Aval[]): Trace {
  recorder?.giveUp(); // rules of records may have taken lengths for granted
  const inputs = like.map((a) => tracer(a));
  return { inputs, outputs: tracing(() => f(inputs)) };
}
/** Runs `f` on abstract arrays that stand for `primals`, so that it may read values, and `use` on its graph. */
export function traceAt<R>(
  primals: readonly NDArray[],
  f: (xs: readonly NDArray[]) => readonly NDArray[],
  use: (t: Trace) => R,
): R {
  return keepingHistory(() => {
    recorder?.giveUp();
    const inputs = primals.map(tracerOf);
    try {
      return use({ inputs, outputs: tracing(() => f(inputs)) });
    } finally {
      inputs.forEach((x, i) => settled.set(x, primals[i]!)); // who finds one later gets what it stood for
    }
  });
}
/** The nodes that depend on the trace's inputs, producers first (the inputs are not among them). */
export function dependents({ inputs, outputs }: Trace): NDArray[] {
  const own = new Set<NDArray>(inputs), list: NDArray[] = [];
  for (const n of collect(outputs, (n) => !n.traced || isTracer(n))) {
    if (own.has(n) || !n.inputs.some((i) => own.has(i))) continue;
    own.add(n);
    list.push(n);
  }
  return list;
}
/** Builds the trace again on other inputs. */
export function rebuild(t: Trace, inputs: readonly NDArray[]): NDArray[] {
  const made = new Map<NDArray, NDArray>();
  t.inputs.forEach((x, i) => made.set(x, inputs[i]!));
  rebuildInto(dependents(t), made);
  return t.outputs.map((o) => made.get(o) ?? o);
}
/** Adds to `made` each of the nodes, built again on what `made` has for its inputs. */
export function rebuildInto(nodes: readonly NDArray[], made: Map<NDArray, NDArray>): void {
  for (const n of nodes) {
    const call = callOf(n);
    if (!call) {
      const inputs = n.inputs.map((i) => made.get(i) ?? i);
      made.set(n, sameAgain(n, inputs) ?? bindAgain(n, inputs));
    } else if (!made.has(n)) rebuildCall(call, made);
  }
}
/**
 * Arrays of transforms outside that the trace reads, made before its function ran: they are inputs too, but nobody
 * passed them.
 */
export function capturedBy({ inputs, outputs }: Trace): NDArray[] {
  const start = inputs[0]?.id ?? Infinity, isOlder = (n: NDArray): boolean => n.id < start;
  const nodes = collect(outputs, (n) => !n.traced || isOlder(n));
  const read = [...nodes.flatMap((n) => n.inputs), ...outputs];
  return [...new Set(read.filter((x) => x.traced && isOlder(x)))];
}
/** Nodes in the order in which they were made: a program in this order needs each value about when its author did. */
export function asWritten(nodes: readonly NDArray[]): NDArray[] {
  return nodes.toSorted((a, b) => a.id - b.id);
}
/** The trace without calls that have rules: nothing will transform it any more. */
export function withoutCalls(t: Trace): Trace {
  const nodes = asWritten(dependents(t));
  if (!nodes.some(callOf)) return t;
  const made = new Map<NDArray, NDArray>();
  for (const n of nodes) {
    const call = callOf(n), computed = call?.computed[call.results.indexOf(n)];
    if (computed) made.set(n, made.get(computed) ?? computed);
    else rebuildInto([n], made);
  }
  return { inputs: t.inputs, outputs: t.outputs.map((o) => made.get(o) ?? o) };
}

/** The arrays in a tree, in order, and the way back: the same tree with others in their place. */
export interface Flat<T = unknown> {
  readonly arrays: readonly NDArray[];
  readonly restore: (arrays: readonly NDArray[]) => T;
  /** The same tree with anything else in the places of the arrays. */
  readonly fill: (values: readonly unknown[]) => unknown;
}
/** Is the value a list or an object whose fields are part of a tree? */
export function isBranch(x: unknown): x is Record<string, unknown> | unknown[] {
  return typeof x === "object" && x !== null && !(x instanceof Node) && !ArrayBuffer.isView(x) &&
    (Array.isArray(x) || Object.getPrototypeOf(x) === Object.prototype || Object.getPrototypeOf(x) === null);
}
/** Flattens lists and plain objects; whatever else they hold stays as it is. */
export function flatten<T>(tree: T): Flat<T>;
export function flatten(tree: unknown): Flat {
  const arrays: NDArray[] = [];
  const fill = visit(tree, arrays);
  return { arrays, restore: fill, fill };
}
function visit(x: unknown, arrays: NDArray[]): (xs: readonly unknown[]) => unknown {
  if (isArray(x)) {
    const at = arrays.push(x) - 1;
    return (xs) => xs[at];
  }
  if (!isBranch(x)) return () => x;
  if (Array.isArray(x)) {
    const parts = x.map((v) => visit(v, arrays));
    return (xs) => parts.map((p) => p(xs));
  }
  const parts = Object.entries(x).map(([k, v]) => [k, visit(v, arrays)] as const);
  return (xs) => Object.fromEntries(parts.map(([k, p]) => [k, p(xs)]));
}
/** The arrays of a function's result; what is no array is an error of the transform. */
export function outputArrays<T>(op: string, result: T): Flat<T> {
  const flat = flatten(result);
  if (flat.arrays.length === 0) {
    fail(TransformError, op, {
      cannot: "transform this function",
      expected: "an array or a tree of arrays as its result",
      got: result === undefined ? "nothing" : String(result),
      fix: "return what is to be differentiated, mapped or compiled",
    });
  }
  return flat;
}
