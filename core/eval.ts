/**
 * eval: what to compute, what to keep, what may be overwritten; then one native call and the change of states. The
 * rules and their reasons are in `docs/evaluation.md`; fusion and places are in `plan.ts` and `lower.ts`.
 * @module
 */
import { runtime, type Submitted } from "../ffi/runtime.ts";
import type { NDArray } from "./array.ts";
import { describe, failDonated, held, hostData, settleConsumer, settleReaders, wantedOutside } from "./graph.ts";
import { DonatedError, fail, MemoryLimitError, SpentError } from "./errors.ts";
import { asked, type Entry, entryFor, survivors, used, watching } from "./learn.ts";
import { hostBytes, lower, type Lowered } from "./lower.ts";
import { adopt, collectGarbage, countSpent, disown, relieve } from "./memory.ts";
import { collect, schedule, usesOf } from "./plan.ts";
import { recording } from "./recording.ts";
import { sizeOf } from "./shape.ts";
import { lineOf, running } from "./sites.ts";
import { failure } from "./status.ts";
import { valueOf } from "./values.ts";

/**
 * Host constants above this size are uploaded by a call of their own, so that their bytes are not copied into a
 * program first.
 */
const INLINE_BYTES = 16384;
const NO_HOMES: ReadonlyMap<NDArray, NDArray> = new Map();
/** How a program is run: waited for, or queued. */
export type Mode = "wait" | "queue";

/** Evaluates and waits. The first error of a root is thrown; the other roots are computed all the same. */
export function evaluate(roots: readonly NDArray[]): void {
  firstError(launch(roots, "wait"));
}
/**
 * Submits now and waits never; returns what is computed (traced arrays stand for others). Errors of reservation, donation
 * and tracing are thrown here; the others stay in the poisoned outputs.
 */
export function submit(roots: readonly NDArray[]): readonly NDArray[] {
  return launch(roots, "queue");
}
/** Throws the error of the first root that was poisoned. */
export function firstError(roots: readonly NDArray[]): void {
  const begun = recording?.begin() ?? 0;
  for (const r of roots) {
    if (r.handle === 0) continue;
    const failed = runtime().wait(r.handle);
    if (failed) throw failure("eval", failed);
  }
  recording?.span("wait", begun);
}

/** Sees what is about to be computed, and may compute parts of it before. */
export type Inspector = (roots: readonly NDArray[]) => void;
let inspector: Inspector | null = null;
/** The one at work; compiled functions are traced anew and evaluated like all else meanwhile, so that it sees them. */
export function activeInspector(): Inspector | null {
  return inspector;
}
/** Sets it; returns the one before. */
export function setInspector(f: Inspector | null): Inspector | null {
  const before = inspector;
  inspector = f;
  return before;
}

function launch(roots: readonly NDArray[], mode: Mode): readonly NDArray[] {
  let todo = false;
  for (const r of roots) {
    if (r.traced) return launch(roots.map((x) => valueOf("eval", x)), mode);
    if (r.state === "donated") failDonated("eval", r);
    if (r.state !== "evaluated") todo = true;
    else used(r);
  }
  if (!todo) return roots;
  inspector?.(roots);
  relieve();
  withMemory((optional) => attempt(roots, optional, mode));
  return roots;
}

/**
 * Out of memory is an error only after: finish what is in flight, collect, settle survivors, drop what is kept by
 * choice.
 */
export function withMemory(run: (optional: boolean) => void): void {
  const rungs = [() => {}, () => runtime().synchronize(-1), collectGarbage, settle, () => runtime().clearCache()];
  for (const [i, rung] of rungs.entries()) {
    rung();
    try {
      return run(i < rungs.length - 1);
    } catch (e) {
      if (!(e instanceof MemoryLimitError) || i === rungs.length - 1) throw e;
    }
  }
}
/**
 * Spent nodes that survived a collection are referenced: learn them, and compute them so that they let go of their
 * inputs.
 */
function settle(): void {
  const heads = survivors();
  for (const n of heads) {
    asked(n, true);
    try {
      attempt([n], false, "wait");
      n.keptByChoice = true; // alive at the next collection, it confirms its position
    } catch (e) {
      if (!(e instanceof MemoryLimitError || e instanceof SpentError || e instanceof DonatedError)) throw e;
    }
  }
  if (heads.length) collectGarbage();
}

function attempt(roots: readonly NDArray[], optional: boolean, mode: Mode): void {
  const nodes = collect(roots, isLeaf);
  if (!nodes.length) return;
  const other = crossing(nodes, roots);
  if (other.length) {
    for (const n of other) if (n.state !== "evaluated") attempt([n], optional, "queue");
    return attempt(roots, optional, mode);
  }
  for (const n of nodes) if (n.prim.kind === "constant" && sizeOf(n.shape) * n.dtype.size > INLINE_BYTES) upload(n);
  run(nodes.filter((n) => n.state !== "evaluated"), roots, optional, mode);
}
/** Nodes whose consumer runs on another stream, and roots of several streams: each stream gets a program of its own. */
function crossing(nodes: readonly NDArray[], roots: readonly NDArray[]): NDArray[] {
  const stream = nodes.find((n) => n.prim.kind !== "constant")?.stream;
  if (nodes.every((n) => n.stream === stream || n.prim.kind === "constant")) return [];
  const cut = new Set<NDArray>();
  for (const n of nodes) {
    for (const i of n.inputs) {
      if (i.state !== "evaluated" && i.stream !== n.stream && i.prim.kind !== "constant") cut.add(i);
    }
  }
  if (cut.size === 0) { for (const r of roots) cut.add(r); }
  return nodes.filter((n) => cut.has(n));
}
function upload(n: NDArray): void {
  const done = runtime().upload(hostBytes(hostData(n)));
  if (done.failed) throw failure("eval", done.failed, lineOf(n));
  n.computed++;
  adopt(n, done, null, sizeOf(n.shape) * n.dtype.size);
  n.params = {}; // the host's copy is not needed any more
}

function run(nodes: readonly NDArray[], roots: readonly NDArray[], optional: boolean, mode: Mode): void {
  if (!nodes.length) return;
  const begun = recording?.begin() ?? 0;
  const uses = usesOf(nodes), program = new Set(nodes), rootSet = new Set(roots);
  settleReaders(program);
  const frontier = nodes.filter((n) =>
    n.state === "spent" && (rootSet.has(n) || uses.get(n)?.some((c) => c.state === "lazy"))
  );
  for (const n of frontier) asked(n); // before the look-up: this very program may have the structure that just learned something
  const { entry, position } = entryFor(nodes, roots), learned: NDArray[] = [];
  if (entry.keep.size) { for (const [n, p] of position) if (entry.keep.has(p)) learned.push(n); }
  const writers = nodes.filter((n) => n.donate), givenAway = new Set(writers.map((w) => w.inputs[w.prim.inPlace!]!));
  const must = new Set(
    nodes.filter((n) =>
      rootSet.has(n) || (n.holders && held(n)) || (n.prim.kind !== "constant" && wantedOutside(n, program, uses))
    ),
  );
  for (const w of writers) if (!givenAway.has(w)) must.add(w);
  const keep = new Set(must);
  if (optional) {
    for (const n of frontier) keep.add(n);
    for (const n of learned) keep.add(n);
    for (const n of nodes) if (n.computed >= 2 || (n.prim.kind === "constant" && sizeOf(n.shape) > 1)) keep.add(n);
    for (const n of givenAway) if (!must.has(n)) keep.delete(n);
  }
  const donatable = new Set<NDArray>();
  for (const k of givenAway) {
    if (k.state === "evaluated" && !rootSet.has(k) && mayDonate(k, program, uses)) donatable.add(k);
  }
  const order = schedule({ nodes, keep, donatable, givenAway, keepSmall: optional, homes: NO_HOMES });
  const plan = lower(order, runtime().tableHash);
  const stream = nodes.find((n) => n.prim.kind !== "constant")?.stream ?? nodes[0]!.stream;
  if (plan.sites) running(plan.sites);
  recording?.span("plan", begun);
  const planned = recording?.begin() ?? 0;
  const done = runtime().eval(
    stream,
    plan.words,
    plan.inputs.map((k) => k.handle),
    plan.written,
    plan.outputs.length,
    mode === "wait",
  );
  if (done.failed) throw failure("eval", done.failed, plan.sites?.largest);
  recording?.span(mode === "wait" ? "run" : "submit", planned);
  recording?.submitted(stream, plan);
  // The call is made: from here on only states change.
  entry.turns++;
  for (const n of learned) entry.spend(position.get(n)!);
  commit(plan, done.outputs, nodes);
  for (const n of plan.inputs) used(n);
  afterwards(nodes, must, entry, position);
}
function afterwards(
  nodes: readonly NDArray[],
  must: ReadonlySet<NDArray>,
  entry: Entry,
  position: ReadonlyMap<NDArray, number>,
): void {
  const watch = watching(entry);
  for (const n of nodes) {
    n.keptByChoice = n.state === "evaluated" && !must.has(n);
    const p = position.get(n);
    if (p !== undefined) n.origin = { entry, position: p };
    if (watch && n.state === "spent" && n.prim.kind !== "constant") entry.watch.push(n.ref);
  }
}
function isLeaf(n: NDArray, path: readonly NDArray[]): boolean {
  if (n.state !== "donated") return n.state === "evaluated";
  const touched = path.find((p) => p.state === "spent");
  if (!touched) failDonated("eval", n);
  asked(touched);
  return fail(SpentError, "eval", {
    cannot: `recompute ${describe(touched)}`,
    expected: `its input ${describe(n)}`,
    got: `a buffer given away to ${n.donatedTo}`,
    fix: `pass ${touched.label || "it"} to eval() before that, or let a holder keep it`,
  });
}
/**
 * In place only if nothing alive and uncomputed outside reads it, no holder has it, and no second handle shares the
 * buffer.
 */
export function mayDonate(
  k: NDArray,
  program: ReadonlySet<NDArray>,
  uses: ReadonlyMap<NDArray, readonly NDArray[]>,
): boolean {
  return k.state === "evaluated" && runtime().refs(k.handle) === 1 && !(k.holders && held(k)) &&
    !wantedOutside(k, program, uses);
}
function commit(p: Lowered, outputs: readonly Submitted[], nodes: readonly NDArray[]): void {
  const made = new Set<NDArray>();
  for (const o of p.outputs) made.add(o.node);
  for (const n of nodes) {
    if (n.prim.kind === "constant" && !made.has(n)) continue; // immediates and small uploads stay what they are
    n.computed++;
    if (n.state === "lazy") settleConsumer(n);
    n.state = "spent";
  }
  settleReaders(null);
  p.outputs.forEach((o, i) => {
    adopt(o.node, outputs[i]!, o.layout, o.nbytes);
    o.node.inputs = [];
    o.node.params = {};
  });
  for (const [k, taker] of p.takers) donated(k, describe(taker));
  countSpent(nodes.length - outputs.length);
}
/** The runtime has taken its buffer. */
export function donated(k: NDArray, to: string): void {
  disown(k);
  k.state = "donated";
  k.donatedTo = to;
}
