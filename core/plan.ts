/**
 * From nodes in order to a program: kernels (fusion), their order, and places in memory (liveness, in place, arena).
 * What is kept and what may be overwritten comes from `eval.ts`; the words of the program from `lower.ts`.
 * @module
 */
import type { NDArray } from "./array.ts";
import type { Shape } from "./primitive.ts";
import { sameShape, sizeOf } from "./shape.ts";

/**
 * A kernel of at most STEPS steps and ARRAYS arrays (those of a GPU have 31 arguments); recomputing a shared value may
 * cost at most DUPLICATE units per kernel.
 */
const STEPS = 64, ARRAYS = 25, DUPLICATE = 4, SMALL_BYTES = 1024, SMALL_RESULTS = 16;

/** What is asked of the planner. */
export interface Request {
  /** Inputs before consumers, none of them evaluated. */
  readonly nodes: readonly NDArray[];
  /** Nodes that must come out. */
  readonly keep: ReadonlySet<NDArray>;
  /** Leaves whose buffer may be overwritten after their last reader. */
  readonly donatable: ReadonlySet<NDArray>;
  /** Nodes given away by a node of the program: never kept just because they are small. */
  readonly givenAway: ReadonlySet<NDArray>;
  /** Keep small results that exist anyway. */
  readonly keepSmall: boolean;
  /** For results that take the place of a leaf: which one, so that each stays where it was. */
  readonly homes: ReadonlyMap<NDArray, NDArray>;
}
/** One kernel: a native one, or elementwise members with perhaps a reduction at their end (the tail). */
export interface Group {
  readonly tail: NDArray;
  readonly members: NDArray[];
  readonly loop: Shape;
  dup: number;
  /** What it reads of other groups and of leaves, below all views. */
  reads: NDArray[];
  readonly after: Group[];
}
/** Kernels in order, what is kept, and where views lead. */
export interface Schedule {
  readonly order: readonly Group[];
  readonly keep: ReadonlySet<NDArray>;
  readonly kept: readonly NDArray[];
  readonly leaves: readonly NDArray[];
  readonly donatable: ReadonlySet<NDArray>;
  readonly homes: ReadonlyMap<NDArray, NDArray>;
  readonly baseOf: (n: NDArray) => NDArray;
}

/** Inputs before consumers; an explicit stack, so depth is no limit. `isLeaf` sees the path to each node it enters. */
export function collect(
  roots: readonly NDArray[],
  isLeaf: (n: NDArray, path: readonly NDArray[]) => boolean,
): NDArray[] {
  const order: NDArray[] = [], seen = new Set<NDArray>(), path: NDArray[] = [], next: number[] = [];
  const enter = (n: NDArray) => {
    if (seen.has(n)) return;
    seen.add(n);
    if (!isLeaf(n, path)) path.push(n), next.push(0);
  };
  for (const r of roots) {
    enter(r);
    while (path.length) {
      const n = path[path.length - 1]!, i = next[next.length - 1]!++;
      if (i < n.inputs.length) enter(n.inputs[i]!);
      else order.push(path.pop()!), next.pop();
    }
  }
  return order;
}
/** Consumers of each node, among `nodes`. */
export function usesOf(nodes: readonly NDArray[]): Map<NDArray, NDArray[]> {
  const uses = new Map<NDArray, NDArray[]>();
  for (const n of nodes) {
    for (const i of n.inputs) {
      const list = uses.get(i);
      if (list) list.push(n);
      else uses.set(i, [n]);
    }
  }
  return uses;
}
/** A constant of one element: an immediate of the kernels that read it, never uploaded for them. */
export function isScalarConstant(n: NDArray): boolean {
  return n.prim.kind === "constant" && !n.traced && n.state === "lazy" && sizeOf(n.shape) === 1;
}

/**
 * Consumers first: a value joins the kernel that alone reads it, is recomputed in each if that is cheap, or else ends a
 * kernel of its own.
 */
function fuse({ nodes, keep }: Request, uses: Map<NDArray, NDArray[]>): Group[] {
  const groups: Group[] = [], memberOf = new Map<NDArray, Group[]>();
  for (let k = nodes.length - 1; k >= 0; k--) {
    const n = nodes[k]!, kind = n.prim.kind;
    if (kind === "view" || kind === "constant") continue;
    const into = kind === "elementwise" ? joinable(n, uses.get(n), memberOf, keep) : null;
    if (into && (into.size === 1 || (!keep.has(n) && cheapToRepeat(n, into)))) {
      let first = true;
      for (const g of into) {
        g.members.push(n);
        if (!first) g.dup += n.prim.cost ?? 1;
        first = false;
      }
      memberOf.set(n, [...into]);
    } else {
      const g: Group = {
        tail: n,
        members: [n],
        dup: 0,
        loop: kind === "reduce" ? n.inputs[0]!.shape : n.shape,
        reads: [],
        after: [],
      };
      groups.push(g);
      memberOf.set(n, [g]);
    }
  }
  for (const g of groups) g.members.reverse();
  return groups.reverse();
}
/** The kernels that read `n`, if it can be computed inside each of them. */
function joinable(
  n: NDArray,
  consumers: readonly NDArray[] | undefined,
  memberOf: Map<NDArray, Group[]>,
  keep: ReadonlySet<NDArray>,
): Set<Group> | null {
  if (!consumers) return null;
  const into = new Set<Group>();
  for (const c of consumers) {
    if (c.prim.kind !== "elementwise" && c.prim.kind !== "reduce") return null;
    for (const g of memberOf.get(c)!) {
      if (g.members.length >= STEPS || !sameShape(g.loop, n.shape) || tooManyArrays(g, n, keep)) return null;
      into.add(g);
    }
  }
  return into;
}
/** Would the kernel name too many arrays with `n` in it? Each step adds at most two inputs and an output. */
function tooManyArrays(g: Group, n: NDArray, keep: ReadonlySet<NDArray>): boolean {
  if (3 * (g.members.length + 1) + 1 <= ARRAYS) return false;
  const own = new Set(g.members).add(n), arrays = new Set([g.tail]);
  for (const m of own) {
    if (keep.has(m)) arrays.add(m);
    for (const i of m.inputs) if (!own.has(i) && !isScalarConstant(i)) arrays.add(i);
  }
  return arrays.size > ARRAYS;
}
function cheapToRepeat(n: NDArray, into: ReadonlySet<Group>): boolean {
  let first = true;
  for (const g of into) {
    if (!first && g.dup + (n.prim.cost ?? 1) > DUPLICATE) return false;
    first = false;
  }
  return true;
}

/** Kernels, their order, and what is kept. */
export function schedule(q: Request): Schedule {
  const inProgram = new Set(q.nodes), uses = usesOf(q.nodes), keep = new Set(q.keep), groups = fuse(q, uses);
  if (q.keepSmall) {
    const small = groups.map((g) => g.tail).filter((t) =>
      sizeOf(t.shape) * t.dtype.size <= SMALL_BYTES && !q.givenAway.has(t)
    );
    for (const t of small.slice(-SMALL_RESULTS)) keep.add(t);
  }
  const base = new Map<NDArray, NDArray>();
  const baseOf = (n: NDArray) => base.get(n) ?? n;
  for (const n of q.nodes) if (n.prim.kind === "view") base.set(n, baseOf(n.inputs[0]!));
  const producer = new Map<NDArray, Group>();
  for (const g of groups) {
    const own = new Set(g.members);
    for (const m of g.members) {
      for (const i of m.inputs) if (!own.has(i)) g.reads.push(baseOf(i));
      if (m === g.tail || keep.has(m)) producer.set(m, g);
    }
  }
  const donatable = new Set(q.donatable);
  orderWriters(groups, donatable, baseOf, producer);
  const order = producersFirst(groups, producer, baseOf), kept = q.nodes.filter((n) => keep.has(n));
  const leaves = new Set<NDArray>();
  for (const n of q.nodes) for (const i of n.inputs) if (!inProgram.has(i)) leaves.add(i);
  for (const n of q.keep) if (!inProgram.has(n)) leaves.add(n);
  return { order, keep, kept, leaves: [...leaves], donatable, homes: q.homes, baseOf };
}

/**
 * Producers first, then `after` edges. Kernels of one primitive that says so and of one first input follow each other as
 * soon as all that they read is there.
 */
function producersFirst(
  groups: readonly Group[],
  producer: Map<NDArray, Group>,
  baseOf: (n: NDArray) => NDArray,
): Group[] {
  const order: Group[] = [], seen = new Set<Group>(), stack: (Group | null)[] = [], done: Group[] = [];
  const ready = new Set<Group>(), siblings = siblingsOf(groups, baseOf);
  const emit = (g: Group) => (order.push(g), ready.add(g));
  const emitWithSiblings = (g: Group) => {
    emit(g);
    for (const s of siblings.get(g) ?? []) {
      if (seen.has(s) || !predecessors(s, producer).every((p) => ready.has(p))) continue;
      seen.add(s);
      emit(s);
    }
  };
  for (const g of groups) {
    stack.push(g);
    while (stack.length) {
      const e = stack.pop()!;
      if (e === null) emitWithSiblings(done.pop()!);
      else if (!seen.has(e)) {
        seen.add(e);
        done.push(e);
        stack.push(null);
        const before = predecessors(e, producer);
        for (let i = before.length - 1; i >= 0; i--) if (!seen.has(before[i]!)) stack.push(before[i]!);
      }
    }
  }
  return order;
}
/** Kernels of a primitive that is `together`, by their first input. */
function siblingsOf(groups: readonly Group[], baseOf: (n: NDArray) => NDArray): Map<Group, readonly Group[]> {
  const byInput = new Map<NDArray, Group[]>(), of = new Map<Group, readonly Group[]>();
  for (const g of groups) {
    if (!g.tail.prim.together) continue;
    const input = baseOf(g.tail.inputs[0]!), others = byInput.get(input);
    if (others) others.push(g);
    else byInput.set(input, [g]);
    of.set(g, byInput.get(input)!);
  }
  return of;
}
function predecessors(g: Group, producer: Map<NDArray, Group>): Group[] {
  const list: Group[] = [];
  for (const r of g.reads) {
    const p = producer.get(r);
    if (p && p !== g) list.push(p);
  }
  return g.after.length ? list.concat(g.after) : list;
}
function dependsOn(a: Group, b: Group, producer: Map<NDArray, Group>): boolean {
  const todo = [a], seen = new Set(todo);
  for (let g = todo.pop(); g; g = todo.pop()) {
    if (g === b) return true;
    for (const p of predecessors(g, producer)) if (!seen.has(p)) seen.add(p), todo.push(p);
  }
  return false;
}
/** The array that a group's tail was given to write into, below all views. */
export function givenInput(g: Group, baseOf: (n: NDArray) => NDArray): NDArray | null {
  const at = g.tail.prim.inPlace;
  return at === undefined ? null : baseOf(g.tail.inputs[at]!);
}
/**
 * All readers of a donated leaf run before its writer: the last node that asked for it, else the last kernel able to
 * work in place. Where a reader needs the writer's result, an asked-for write copies; a compiled call may still use the
 * buffer later.
 */
function orderWriters(
  groups: readonly Group[],
  donatable: Set<NDArray>,
  baseOf: (n: NDArray) => NDArray,
  producer: Map<NDArray, Group>,
): void {
  for (const k of [...donatable]) {
    const readers = groups.filter((g) => g.reads.includes(k));
    const asking = readers.filter((g) => g.tail.donate && givenInput(g, baseOf) === k);
    const able = asking.length ? asking : readers.filter((g) => mayOverwrite(g, k, baseOf));
    const writer = able.findLast((w) => readers.every((r) => r === w || !dependsOn(r, w, producer)));
    if (writer) {
      for (const r of readers) if (r !== writer) writer.after.push(r);
    } else if (asking.length) donatable.delete(k);
  }
}
/** Might the kernel write over `r` while it reads it? The lowering decides by layouts; this only orders the readers. */
function mayOverwrite(g: Group, r: NDArray, baseOf: (n: NDArray) => NDArray): boolean {
  if (g.tail.prim.kind === "elementwise") {
    return sizeOf(g.loop) === sizeOf(r.shape) && g.tail.dtype.size === r.dtype.size;
  }
  return givenInput(g, baseOf) === r;
}
