/**
 * What eval remembers per structure of program: the positions whose results were asked for later and are therefore
 * kept. Learning changes no value; it only saves work.
 * @module
 */
import type { NDArray } from "./array.ts";

/** A learned position lives CREDIT turns without being used; each use fills it up again. */
const CREDIT = 4, ENTRIES = 128, WATCHED_TURNS = 2;

/** One structure of program. */
export class Entry {
  /** How often it ran. */
  turns = 0;
  /** Learned positions and their credit. */
  readonly keep: Map<number, number> = new Map();
  /** Spent nodes of the first turns: whoever survives a collection is still referenced, so it counts as asked for. */
  readonly watch: WeakRef<NDArray>[] = [];
  /** One more turn that kept this position. */
  spend(position: number): void {
    const credit = this.keep.get(position)!;
    if (credit > 1) this.keep.set(position, credit - 1);
    else this.keep.delete(position);
  }
}
const entries = new Map<string, Entry>();

/**
 * The entry of a program, and the position of each of its never computed nodes. The hash covers those only: primitive,
 * which input is which node or leaf, dtype and rank, roots. Values, params and sizes stay out (a KV cache's offset and
 * length change every turn). A collision can keep too much or too little; it cannot change a value.
 */
export function entryFor(
  nodes: readonly NDArray[],
  roots: readonly NDArray[],
): { entry: Entry; position: Map<NDArray, number> } {
  const position = new Map<NDArray, number>(), leaf = new Map<NDArray, number>();
  let a = 2166136261, b = 5381;
  const mix = (v: number) => {
    a = Math.imul(a ^ v, 16777619);
    b = Math.imul(b, 33) ^ v;
  };
  for (const n of nodes) {
    if (n.state !== "lazy" || n.prim.kind === "constant") continue;
    mix(n.prim.code);
    mix((n.shape.length << 8) | n.dtype.code);
    for (const i of n.inputs) {
      const p = position.get(i);
      if (p === undefined && !leaf.has(i)) leaf.set(i, leaf.size);
      mix(p ?? -3 - leaf.get(i)!);
    }
    position.set(n, position.size);
  }
  for (const r of roots) mix(position.get(r) ?? -1);
  return { entry: lookUp(`${position.size}:${a >>> 0}:${b >>> 0}`), position };
}
/** Least recently used first. */
function lookUp(key: string): Entry {
  const entry = entries.get(key) ?? new Entry();
  entries.delete(key);
  entries.set(key, entry);
  for (const oldest of entries.keys()) {
    if (entries.size <= ENTRIES) break;
    entries.delete(oldest);
  }
  return entry;
}
/**
 * A spent node was asked for by an eval, or (`held`) outlived a collection: then it stays until a collection disproves
 * it.
 */
export function asked(n: NDArray, held = false): void {
  if (!n.origin) return;
  const { entry: { keep }, position } = n.origin;
  keep.set(position, held ? Infinity : Math.max(keep.get(position) ?? 0, CREDIT));
}
/** A node that was kept by choice was used. */
export function used(n: NDArray): void {
  if (n.keptByChoice) asked(n);
}
/** After a collection: positions of held nodes stay only where such a node is still alive. */
export function confirm(alive: Iterable<NDArray>): void {
  const still: NDArray[] = [];
  for (const n of alive) if (n.keptByChoice && n.origin?.entry.keep.get(n.origin.position) === Infinity) still.push(n);
  for (const e of entries.values()) for (const [p, credit] of e.keep) if (credit === Infinity) e.keep.set(p, CREDIT);
  for (const n of still) asked(n, true);
}
/** Is the entry young enough for its spent nodes to be watched? */
export function watching(e: Entry): boolean {
  return e.turns <= WATCHED_TURNS;
}
/** After a collection: heads of what is spent and alive (no other survivor reads them). */
export function survivors(): NDArray[] {
  const alive = new Set<NDArray>();
  for (const e of entries.values()) {
    for (const w of e.watch.splice(0)) {
      const n = w.deref();
      if (n?.state === "spent") alive.add(n);
    }
  }
  const inner = new Set([...alive].flatMap((n) => [...n.inputs]));
  return [...alive].filter((n) => !inner.has(n));
}
/** How many structures are remembered. */
export function learnedSize(): number {
  return entries.size;
}
/** Forgets all, for tests. */
export function forgetLearned(): void {
  entries.clear();
}
