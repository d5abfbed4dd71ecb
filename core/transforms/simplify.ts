/**
 * What a trace becomes before it is planned: calls with rules are opened, what depends on constants only is computed
 * once (folding), equal nodes become one, and what no result needs is gone.
 * @module
 */
import type { NDArray } from "../array.ts";
import { DType } from "../dtype.ts";
import { fail, TraceError } from "../errors.ts";
import { evaluate } from "../eval.ts";
import { bindAgain, describe, type Holder, hostData } from "../graph.ts";
import { hostBytes } from "../lower.ts";
import { collect, isScalarConstant } from "../plan.ts";
import { sizeOf } from "../shape.ts";
import { asWritten, type Trace, withoutCalls } from "./trace.ts";

/** Larger results of elementwise work on constants are computed in every call, inside the kernels that read them. */
const FOLD_BYTES = 2 ** 20;
/** Constants up to this size are compared by their bytes. */
const SAME_BYTES = 64;

/** A program as it will be planned. */
export interface Simplified {
  readonly outputs: readonly NDArray[];
  /** Inputs before consumers, in the order in which they were written. */
  readonly nodes: readonly NDArray[];
  /** Evaluated arrays that the program reads besides its inputs. */
  readonly captured: readonly NDArray[];
  /** How many nodes were computed at once, and how many were equal to another. */
  readonly folded: number;
  readonly merged: number;
}

/** Opens calls, folds and merges. `state` are outputs that need a buffer each; `holder` keeps what is captured. */
export function simplify(traced: Trace, state: ReadonlySet<NDArray>, holder: Holder): Simplified {
  const t = withoutCalls(traced), apart = new Set(t.outputs.filter((_, i) => state.has(traced.outputs[i]!)));
  let { nodes, captured } = programNodes(t), folded = 0;
  // Computing what is captured may also compute a node that the program had as its own: then look again.
  while (captured.some((n) => n.state !== "evaluated")) {
    captured.forEach((n, i) => holder.hold(`captured ${i}`, n));
    folded += collect(captured, (n) => n.state === "evaluated" || n.prim.kind === "constant").length;
    evaluate(captured);
    ({ nodes, captured } = programNodes(t));
  }
  captured.forEach((n, i) => holder.hold(`captured ${i}`, n));
  const { nodes: distinct, now } = merged(nodes, apart);
  const gone = operations(nodes) - operations(distinct);
  return { outputs: t.outputs.map(now), nodes: distinct, captured, folded, merged: gone };
}
/** How many of the nodes are no constants. */
export function operations(nodes: readonly NDArray[]): number {
  return nodes.reduce((n, { prim }) => prim.kind === "constant" ? n : n + 1, 0);
}

/** The nodes of the program, and what it captures. */
function programNodes(t: Trace): { nodes: NDArray[]; captured: NDArray[] } {
  const inlined = inlinedNodes(t), isLeaf = (n: NDArray) => n.traced ? n.inputs.length === 0 : !inlined.has(n);
  const nodes = asWritten(collect(t.outputs, isLeaf)), inProgram = new Set(nodes);
  const known = new Set<NDArray>(t.inputs), captured = new Set<NDArray>();
  for (const n of [...nodes.flatMap((n) => n.inputs), ...t.outputs]) {
    if (inProgram.has(n) || known.has(n)) continue;
    if (n.traced) failLeft(n);
    captured.add(n);
  }
  return { nodes, captured: [...captured] };
}
function failLeft(n: NDArray): never {
  fail(TraceError, "compile", {
    cannot: `capture ${describe(n)}`,
    expected: "a concrete array",
    got: "one that a function left behind when it was traced",
    fix: "put arrays that a compiled function changes into an object, and name that in inputs and outputs",
  });
}
/**
 * What is part of the program although it depends on no input: scalars and views of them, and large results of
 * elementwise work that the function itself asked for.
 */
function inlinedNodes(t: Trace): ReadonlySet<NDArray> {
  const inlined = new Set<NDArray>(), cheap = new Set<NDArray>(), start = t.inputs[0]?.id ?? Infinity;
  for (const n of collect(t.outputs, (n) => n.state === "evaluated" || (n.traced && n.inputs.length === 0))) {
    if (n.traced) continue;
    const { kind } = n.prim, isView = kind === "view" && n.state === "lazy";
    if (isScalarConstant(n) || (isView && inlined.has(n.inputs[0]!) && sizeOf(baseOf(n).shape) === 1)) {
      inlined.add(n);
      cheap.add(n);
    } else if (n.id > start && n.state === "lazy" && !n.donate && (isView || kind === "elementwise")) {
      if (!n.inputs.every((i) => i.state === "evaluated" || cheap.has(i))) continue;
      cheap.add(n);
      if (sizeOf(n.shape) * n.dtype.size > FOLD_BYTES) inlined.add(n);
    }
  }
  return inlined;
}
function baseOf(n: NDArray): NDArray {
  let base = n;
  while (base.prim.kind === "view" && base.state === "lazy") base = base.inputs[0]!;
  return base;
}

/**
 * Equal nodes as one: the same primitive with the same parameters on the same inputs. Left alone is what gives a buffer
 * away or is given away, and what needs a buffer of its own.
 */
function merged(
  nodes: readonly NDArray[],
  apart: ReadonlySet<NDArray>,
): { nodes: NDArray[]; now: (n: NDArray) => NDArray } {
  const given = new Set(nodes.filter((n) => n.donate).map((n) => n.inputs[n.prim.inPlace!]!));
  const made = new Map<NDArray, NDArray>(), known = new Map<string, NDArray>(), distinct: NDArray[] = [];
  const now = (n: NDArray): NDArray => made.get(n) ?? n;
  for (const n of nodes) {
    const inputs = n.inputs.map(now), alone = n.donate || given.has(n) || apart.has(n);
    const key = alone ? null : keyOf(n, inputs), same = key === null ? undefined : known.get(key);
    if (same) {
      made.set(n, same);
      continue;
    }
    const again = inputs.every((x, i) => x === n.inputs[i]) ? n : bindAgain(n, inputs);
    made.set(n, again);
    distinct.push(again);
    if (key !== null) known.set(key, again);
  }
  return { nodes: distinct, now };
}
/** Equal texts, equal values. */
function keyOf(n: NDArray, inputs: readonly NDArray[]): string | null {
  if (n.prim.kind !== "constant") {
    const params = Object.keys(n.prim.params).map((k) => paramText(n.params[k]!));
    return [n.prim.name, n.stream, ...inputs.map((i) => i.id), ...params].join(" ");
  }
  const bytes = hostBytes(hostData(n));
  return bytes.length > SAME_BYTES ? null : `${n.dtype.name} [${n.shape}] ${bytes}`;
}
function paramText(value: NDArray["params"][string]): string {
  if (value instanceof DType) return value.name;
  return typeof value === "object" ? `[${value}]` : Object.is(value, -0) ? "-0" : String(value);
}
