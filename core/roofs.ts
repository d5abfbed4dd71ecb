/**
 * The limits of a machine, and the shortest time that they allow for some work. `bench/` measures them; what it measured
 * last is kept in the cache folder, where a profile finds it.
 * @module
 */
import { cacheFolder } from "../ffi/cache.ts";
import { fail, ValueError } from "./errors.ts";

/** Bytes per second over a footprint. A copy counts what it reads and what it writes. */
export interface MemoryRoof {
  readonly footprint: number;
  readonly read: number;
  readonly copy: number;
}
/** What that many threads reach at most. */
export interface Roofs {
  readonly threads: number;
  /** Float32 operations per second; a multiply-add is two. */
  readonly fma: number;
  /** The same with bfloat16 factors; 0 where the processor has no instruction for it. */
  readonly bfloat16: number;
  /** By ascending footprint: caches, then memory. */
  readonly memory: readonly MemoryRoof[];
}
/** What a call moves and computes at least. */
export interface Cost {
  /** Arithmetic operations, a multiply-add being two; 0 where only bytes count. */
  readonly flops: number;
  /** Bytes that have to be read. */
  readonly read: number;
  /** Bytes that have to be written. */
  readonly written: number;
  /** Bytes that successive calls go through before they come back to the first, if not those of one call. */
  readonly footprint?: number;
  /** Of the factors. Roofs differ: some processors multiply bfloat16 faster. */
  readonly dtype?: string;
}

/** The memory roof for that many bytes: of the largest measured footprint that is no larger, so it is never too low. */
export function memoryRoof(roofs: Roofs, bytes: number): MemoryRoof {
  const [smallest] = roofs.memory;
  return roofs.memory.findLast((m) => m.footprint <= bytes) ?? smallest ?? fail(ValueError, "roofs", {
    cannot: "hold work against the machine's memory",
    expected: "roofs of memory",
    got: "roofs without memory",
    fix: "measure them again",
  });
}
/** The least seconds that a work of this cost can take here: the longer one of arithmetic and memory traffic. */
export function leastSeconds(roofs: Roofs, { flops, read, written, footprint, dtype }: Cost): number {
  const bytes = read + written, { read: reading, copy } = memoryRoof(roofs, footprint ?? bytes);

  // What hardly writes is held against reading.
  const traffic = bytes === 0 ? 0 : bytes / (written * 8 > read ? copy : reading);
  const arithmetic = flops / (dtype === "bfloat16" && roofs.bfloat16 > 0 ? roofs.bfloat16 : roofs.fma);
  return Math.max(traffic, arithmetic);
}

/** Where the roofs of this machine are kept. */
export function roofsPath(): string {
  return `${cacheFolder()}/bench/roofs.json`;
}
/** The roofs of so many threads, if they were measured on a machine with these facts and may be read; else null. */
export function knownRoofs(facts: string, threads: number): Roofs | null {
  const granted = Deno.permissions.querySync({ name: "env" }).state === "granted" &&
    Deno.permissions.querySync({ name: "read" }).state === "granted";
  if (!granted) return null;
  try {
    const kept: { readonly facts: string; readonly roofs: readonly Roofs[] } = JSON.parse(
      Deno.readTextFileSync(roofsPath()),
    );
    return kept.facts === facts ? kept.roofs.find((r) => r.threads === threads) ?? null : null;
  } catch {
    return null; // none were measured
  }
}
