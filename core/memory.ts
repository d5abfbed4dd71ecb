/**
 * Buffers of evaluated arrays: released when their array is collected, also inside one synchronous job that never
 * awaits.
 *
 * V8 does not see native bytes, and finalizers never run inside one job. So the bytes are shown to V8 as ArrayBuffers
 * (its own collections then start in code that awaits), and under pressure a collection is run from here: a
 * checkpoint in an own context clears the list of WeakRefs that were made or read in this job, `gc()` collects, and a
 * sweep over weak references finds the dead arrays at once.
 * @module
 */
import { setFlagsFromString } from "node:v8";
import { createContext, runInContext, runInNewContext } from "node:vm";
import { runtime, type Submitted } from "../ffi/runtime.ts";
import type { NDArray } from "./array.ts";
import { settleReaders } from "./graph.ts";
import { confirm } from "./learn.ts";
import type { Layout } from "./primitive.ts";

const MB = 2 ** 20;
/** A collection is due after this many new bytes, or as many as are live; the first one later, as weights come first. */
const PRESSURE_BYTES = 32 * MB, FIRST_BYTES = 160 * MB;
/** Collections take at most this share of the time, unless pressure is HARD times what makes one due. */
const TIME_SHARE = 0.1, HARD = 2;
/** What an array costs beside its bytes, here and in V8's heap: many small ones are pressure, too. */
const ARRAY_BYTES = 4096;
/** Smaller buffers are not shown to V8: an ArrayBuffer costs more than they do. */
const SHOWN_BYTES = 4096;

/** A buffer's handle, its array, and the bytes that count. */
interface Owned {
  readonly handle: number;
  readonly ref: WeakRef<NDArray>;
  readonly nbytes: number;
}
const owners = new Map<number, Owned>();
const registry = new FinalizationRegistry<Owned>(releaseIfDead);
let liveBytes = 0, newBytes = 0, liveAfter = FIRST_BYTES, lastEnd = 0, lastCost = 0;

let collector: { gc: () => void; checkpoint: ReturnType<typeof createContext> } | null | undefined;
/**
 * V8's `gc()`, asked for at run time; null where that is not possible. Where the process was started with
 * `--v8-flags=--expose-gc` it is V8's own, which collects once; the one that Deno gives later on always does so twice.
 */
function collectorOf(): typeof collector {
  if (collector !== undefined) return collector;
  try {
    const given = Object.getOwnPropertyDescriptor(globalThis, "gc")?.value;
    if (typeof given !== "function") setFlagsFromString("--expose-gc");
    const gc: unknown = given ?? runInNewContext("gc");
    collector = typeof gc === "function"
      ? { gc: () => void gc(), checkpoint: createContext({}, { microtaskMode: "afterEvaluate" }) }
      : null;
  } catch {
    collector = null;
  }
  return collector;
}
/** Can memory be reclaimed inside a synchronous job here? */
export function collectsSynchronously(): boolean {
  return collectorOf() !== null;
}

/** The array owns a handle from now on. `counted` is false for mapped files, whose pages the system can take back. */
export function adopt(n: NDArray, made: Submitted, layout: Layout | null, nbytes: number, counted = true): void {
  n.state = "evaluated";
  n.handle = made.handle;
  n.layout = layout;
  n.bufferBytes = nbytes;
  n.bytes = counted && nbytes >= SHOWN_BYTES ? runtime().bufferAt(made.pointer, nbytes) : null;
  const owned: Owned = { handle: made.handle, ref: n.ref, nbytes: counted ? nbytes : 0 };
  owners.set(made.handle, owned);
  registry.register(n, owned, owned);
  liveBytes += owned.nbytes;
  newBytes += owned.nbytes + ARRAY_BYTES;
}
/** Nodes that were computed and not kept: V8's heap holds them, and they hold their inputs. */
export function countSpent(nodes: number): void {
  newBytes += nodes * ARRAY_BYTES;
}
/** The runtime has taken the handle. The bytes are in another array's place now, or gone: no new ones. */
export function disown(n: NDArray): void {
  newBytes -= owners.get(n.handle)?.nbytes ?? 0;
  forget(n.handle);
  n.handle = 0;
  n.bytes = null;
}
/** Also takes it out of the registry, whose entries would pile up in a job that never lets finalizers run. */
function forget(h: number): void {
  const owned = owners.get(h);
  if (!owned) return;
  liveBytes -= owned.nbytes;
  registry.unregister(owned);
  owners.delete(h);
}
/** The arrays that have buffers and are still reachable, with the bytes that count, after a collection. */
export function liveArrays(): { readonly array: NDArray; readonly nbytes: number }[] {
  collectGarbage();
  return [...owners.values()].flatMap(({ ref, nbytes }) => {
    const array = ref.deref();
    return array ? [{ array, nbytes }] : [];
  });
}
/** Gives the buffer back at once; the array becomes unusable. */
export function dispose(n: NDArray): void {
  const h = n.handle;
  disown(n);
  runtime().release([h]);
}
/** Collects, and releases the buffers of arrays that nobody can reach any more. */
export function collectGarbage(): void {
  const start = performance.now(), c = collectorOf();
  settleReaders(null);
  if (c) {
    runInContext("0", c.checkpoint); // clears the kept-alive list of WeakRefs
    c.gc();
  }
  const dead: number[] = [], alive: NDArray[] = [];
  for (const [h, { ref }] of owners) {
    const n = ref.deref();
    if (n) alive.push(n);
    else dead.push(h);
  }
  for (const h of dead) forget(h);
  if (dead.length) runtime().release(dead);
  confirm(alive);
  newBytes = 0;
  liveAfter = liveBytes;
  lastEnd = performance.now();
  lastCost = lastEnd - start;
}
/** Called before each evaluation: collects when enough was allocated since the last time. */
export function relieve(): void {
  const due = Math.max(PRESSURE_BYTES, liveAfter);
  if (newBytes < due) return;
  if (newBytes < HARD * due && performance.now() - lastEnd < lastCost / TIME_SHARE) return;
  collectGarbage();
}
function releaseIfDead({ handle }: Owned): void {
  if (!owners.has(handle)) return; // a collection of ours was quicker
  forget(handle);
  runtime().release([handle]);
}
