/**
 * The machine's own limits, measured by a small native program (`roofs.cc`) that is built for this very processor, and
 * the shortest time that they allow for a work.
 * @module
 */
import { machineFacts } from "../core/profile.ts";
import { knownRoofs, type Roofs, roofsPath } from "../core/roofs.ts";
import { cacheFolder, exists, install, locked, writeAtomic } from "../ffi/cache.ts";
import { sha256 } from "../ffi/source.ts";
import { findZig, run } from "../ffi/zig.ts";
import { processorName } from "./machine.ts";

export { leastSeconds, type MemoryRoof, memoryRoof, type Roofs } from "../core/roofs.ts";

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

/** Keeps the roofs of this machine for profiles: the highest that were ever measured, as a busy machine shows low ones. */
export async function keepRoofs(roofs: readonly Roofs[]): Promise<void> {
  const facts = machineFacts();
  const highest = roofs.map((r) => {
    const before = knownRoofs(facts, r.threads);
    return before ? higher(r, before) : r;
  });
  await writeAtomic(roofsPath(), JSON.stringify({ facts, roofs: highest }));
}
/** The higher one of two measurements, roof by roof. */
export function higher(a: Roofs, b: Roofs): Roofs {
  const memory = a.memory.map((m) => {
    const other = b.memory.find((o) => o.footprint === m.footprint) ?? m;
    return { footprint: m.footprint, read: Math.max(m.read, other.read), copy: Math.max(m.copy, other.copy) };
  });
  return { threads: a.threads, fma: Math.max(a.fma, b.fma), bfloat16: Math.max(a.bfloat16, b.bfloat16), memory };
}
