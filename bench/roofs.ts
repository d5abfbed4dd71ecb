/**
 * The machine's own limits, measured by a small native program (`roofs.cc`) that is built for this very processor, and
 * the shortest time that they allow for a work.
 * @module
 */
import { cacheFolder, exists, install, locked } from "../ffi/cache.ts";
import { sha256 } from "../ffi/source.ts";
import { findZig, run } from "../ffi/zig.ts";
import { processorName } from "./machine.ts";
import type { Cost } from "./work.ts";

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

const SOURCE = new URL("roofs.cc", import.meta.url);
const FLAGS = [
  "-std=c++20",
  "-O3",
  "-mcpu=native",
  "-ffp-contract=fast",
  "-fno-exceptions",
  "-fno-rtti",
  "-nostdlib++",
];

/** Builds the program unless it is there: one for each text and processor. Returns its path. */
async function program(): Promise<string> {
  const key = `${await Deno.readTextFile(SOURCE)} ${FLAGS.join(" ")} ${await processorName()}`;
  const path = `${cacheFolder()}/bench/roofs-${(await sha256(new TextEncoder().encode(key))).slice(0, 16)}`;
  if (exists(path)) return path;
  const report = (line: string) => console.error(`bench: ${line}`);
  return await locked(async (temporary) => {
    const zig = await findZig(temporary, report), built = `${temporary}/roofs`;
    const args = ["c++", ...FLAGS, SOURCE.pathname, "-lpthread", "-o", built];
    const { code, stderr } = await run(zig, args);
    if (code !== 0) throw new Error(`the program of the roofs does not build:\n${stderr}`);
    await install(built, path);
    return path;
  }, () => report("waiting for another process that builds ..."));
}
/** Measures the roofs with one thread, and with that many, for so many milliseconds each. There are about twenty. */
export async function measureRoofs(threads: number, milliseconds: number = 100): Promise<readonly Roofs[]> {
  const { code, stdout, stderr } = await run({ command: await program() }, [threads, milliseconds].map(String));
  if (code !== 0) throw new Error(`the program of the roofs ended with ${code}: ${stderr}`);
  const roofs: readonly Roofs[] = JSON.parse(stdout);
  return roofs;
}

/** The memory roof for that many bytes: of the largest measured footprint that is no larger, so it is never too low. */
export function memoryRoof(roofs: Roofs, bytes: number): MemoryRoof {
  const [smallest] = roofs.memory;
  if (!smallest) throw new Error("roofs without memory");
  return roofs.memory.findLast((m) => m.footprint <= bytes) ?? smallest;
}
/** The least seconds that a work of this cost can take here: the longer one of arithmetic and memory traffic. */
export function leastSeconds(roofs: Roofs, { flops, read, written, footprint, dtype }: Cost): number {
  const bytes = read + written, { read: reading, copy } = memoryRoof(roofs, footprint ?? bytes);

  // What hardly writes is held against reading.
  const traffic = bytes / (written * 8 > read ? copy : reading);
  const arithmetic = flops / (dtype === "bfloat16" && roofs.bfloat16 > 0 ? roofs.bfloat16 : roofs.fma);
  return Math.max(traffic, arithmetic);
}
