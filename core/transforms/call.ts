/**
 * Calls with rules of their own inside a trace: what `customFunction` and `checkpoint` leave there. A call's results
 * are views of what its function computed, and know the call, so a transform can take all results of one call together.
 *
 * Such views are never encoded: the planner sees through them to their first input.
 * @module
 */
import type { NDArray } from "../array.ts";
import { bindRecord } from "../graph.ts";
import type { Primitive } from "../primitive.ts";
import { broadcastTo } from "../ops/view.ts";

/** One array or nothing for each of a list: cotangents and tangents. */
export type Slots = readonly (NDArray | null)[];
/** How transforms go through a call; where a rule is absent they go through what the function computed. */
export interface CallRules {
  /** Cotangents of the arguments from those of the results. */
  readonly vjp?: (args: readonly NDArray[], results: readonly NDArray[], cotangents: Slots) => Slots;
  /** Tangents of the results from those of the arguments. */
  readonly jvp?: (args: readonly NDArray[], results: readonly NDArray[], tangents: Slots) => Slots;
  /** The batched call: batches are on axis 0 of the mapped arguments and of the results that say so. */
  readonly vmap?: (args: readonly NDArray[], mapped: readonly boolean[], size: number) => Batched;
  /** The rules of the batched call, for the transforms around it. */
  readonly batched: (mapped: readonly boolean[], size: number) => CallRules;
}
/** Results, and which of them have a batch. */
export interface Batched {
  readonly outputs: readonly NDArray[];
  readonly mapped: readonly boolean[];
}
/** One call in a trace. */
export interface Call {
  readonly rules: CallRules;
  readonly args: readonly NDArray[];
  /** What the function computed. */
  readonly computed: readonly NDArray[];
  /** The same, as the rest of the trace sees it. */
  readonly results: readonly NDArray[];
}
const calls = new WeakMap<NDArray, Call>();
/** The call that the node is a result of. */
export function callOf(n: NDArray): Call | undefined {
  return calls.get(n);
}

/**
 * A view of the first input that needs the others: they are computed before whatever reads the view. Not in the op
 * table, because it never reaches the native side.
 */
const after: Primitive = {
  name: "depends",
  code: -1,
  family: "view",
  kind: "view",
  params: {},
  arity: Infinity,
  infer: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
  layout: (from) => from,
  vjp: (xs, _y, ct) => xs.map((_, i) => i === 0 ? ct : null),
  jvp: (_xs, _y, [t]) => t ?? null,
  vmap: ([x, ...others], mapped, _p, size) => afterAll(mapped[0] ? x! : broadcastTo(x!, [size, ...x!.shape]), others),
};
/** The same array, computed after the others. */
export function afterAll(x: NDArray, others: readonly NDArray[]): NDArray {
  return bindRecord(after, [x, ...others], {});
}

/**
 * The results of a call as its trace shall see them; outside of traces nothing asks for rules, and they stay as they
 * are.
 */
export function withRules(
  rules: CallRules,
  args: readonly NDArray[],
  computed: readonly NDArray[],
): readonly NDArray[] {
  if (!args.some((x) => x.traced)) return computed;
  const results = computed.map((y) => bindRecord(after, [y, ...args, ...computed], {}));
  const call: Call = { rules, args, computed, results };
  for (const y of results) calls.set(y, call);
  return results;
}
/** Puts the results of the call, made again of what `made` has for its parts, into `made`. */
export function rebuildCall({ rules, args, computed, results }: Call, made: Map<NDArray, NDArray>): void {
  const now = (x: NDArray): NDArray => made.get(x) ?? x;
  const again = withRules(rules, args.map(now), computed.map(now));
  results.forEach((y, i) => made.set(y, again[i]!));
}
/**
 * For each call among the nodes (inputs before consumers) its first result: there all others' consumers are still to
 * come.
 */
export function firstResults(nodes: readonly NDArray[]): ReadonlyMap<Call, NDArray> {
  const first = new Map<Call, NDArray>();
  for (const n of nodes) {
    const call = callOf(n);
    if (call && !first.has(call)) first.set(call, n);
  }
  return first;
}
