/**
 * Runs Metal kernels of others on the simulator: `deno run -A scripts/metal_faithful.ts [--kernels <folder>] [names]`.
 * MLX's own kernels, which are known to work on Apple's GPUs, are compiled unchanged (from the wheel `mlx-metal`, which
 * pip fetches, or a checkout of MLX), dispatched as MLX's host does, and compared with plain computations. What a check
 * says about them is a false alarm of the simulator or a finding in MLX: it is printed, the check is switched off, and
 * the case runs again. Ends with 1 if a result is wrong.
 * @module
 */
import { Metal, type MetalBuffer, MetalError, type Run } from "../tests/metal/device.ts";
import { CASES, type Kernel, type Kit } from "./metal_faithful_cases.ts";

const PACKAGE = "mlx-metal==0.32.4";
const INNER = "mlx/backend/metal/kernels/";

/** A folder with `mlx/backend/metal/kernels`, fetched from PyPI. */
async function fetchKernels(): Promise<string> {
  const folder = await Deno.makeTempDir();
  const python = async (...args: string[]) => {
    const { success, stderr } = await new Deno.Command("python3", { args, stderr: "piped", stdout: "null" }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  };
  const options = ["--quiet", "--no-deps", "--only-binary=:all:", "--platform", "macosx_14_0_arm64"];
  await python("-m", "pip", "download", ...options, "--dest", folder, PACKAGE);
  const unpack = "import glob, sys, zipfile; z = zipfile.ZipFile(glob.glob(sys.argv[1] + '/*.whl')[0]); " +
    "z.extractall(sys.argv[1], [n for n in z.namelist() if 'metal/kernels' in n])";
  await python("-c", unpack, folder);
  return `${folder}/mlx/include`;
}

/** What the cases are given: kernels by their template, buffers, dispatches. */
class Bench implements Kit {
  #libraries = new Map<string, bigint>();
  compileSeconds = 0;
  constructor(readonly metal: Metal, readonly include: string) {}

  library(headers: string, kernels: readonly Kernel[]): bigint {
    const includes = ["utils.h", ...headers.split(" ")].map((h) => `#include "${INNER}${h}"\n`).join("");
    const instances = kernels.map((k) => `instantiate_kernel("${k.name}", ${k.function}, ${k.args.join(", ")})\n`);
    return this.source(includes + instances.join(""));
  }
  source(text: string): bigint {
    const begin = performance.now();
    let made = this.#libraries.get(text);
    made ??= this.metal.compile(`// foreign ${this.include}\n${text}`);
    this.#libraries.set(text, made);
    this.compileSeconds += (performance.now() - begin) / 1000;
    return made;
  }
  file(name: string): bigint | null {
    try {
      return this.source(Deno.readTextFileSync(`${this.include}/${INNER}${name}`));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    }
  }
  buffer(data: Parameters<Metal["buffer"]>[0], label?: string): MetalBuffer {
    return this.metal.buffer(data, label);
  }
  run(library: bigint, name: string, args: Parameters<Metal["run"]>[1], run: Run, constants = {}): Promise<void> {
    return this.metal.run(this.metal.pipeline(library, name, constants), args, run);
  }
}

/** The check that a report comes from, or null if it is none that can be switched off. */
function checkOf(report: string): string | null {
  const kinds: Readonly<Record<string, string>> = {
    "race:": "race",
    "uninitialised:": "uninitialised",
    "the others have returned": "exit",
    "not reached by all threads": "exit",
    "function constant switches off": "deadread",
  };
  const found = Object.keys(kinds).find((text) => report.includes(text));
  return found === undefined ? null : kinds[found] ?? null;
}

async function runCase(bench: Bench, name: string, run: (kit: Kit) => Promise<number | null>): Promise<boolean> {
  const { metal } = bench;
  metal.check("+race,+uninitialised,+exit,+deadread");
  metal.stats();
  bench.compileSeconds = 0;
  const findings: string[] = [];
  const begin = performance.now();
  for (;;) {
    try {
      const error = await run(bench);
      const { loads, stores } = metal.stats();
      const result = error === null ? "skipped: only in a checkout of MLX" : `ok, error ${error.toExponential(1)}`;
      const ms = performance.now() - begin - 1000 * bench.compileSeconds;
      const figures = [bench.compileSeconds.toFixed(2), ms.toFixed(0), String(loads + stores)];
      console.log(`${name.padEnd(64)} ${figures.map((f) => f.padStart(9)).join(" ")}  ${result}`);
      findings.forEach((f) => console.log(`    finding: ${f}`));
      return true;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const check = error instanceof MetalError ? checkOf(error.message) : null;
      if (check !== null && findings.length < 6) {
        findings.push(error.message);
        metal.check(`-${check}`);
        continue;
      }
      console.log(`${name.padEnd(64)} FAILED ${error.message}`);
      findings.forEach((f) => console.log(`    finding: ${f}`));
      return false;
    }
  }
}

const args = [...Deno.args], at = args.indexOf("--kernels");
const given = at >= 0 ? args.splice(at, 2)[1] : undefined;
const bench = new Bench(new Metal(), given ?? await fetchKernels());
console.log(`${"case".padEnd(64)} compile s    run ms    accesses  result`);
let wrong = 0, ran = 0;
for (const { name, run } of CASES) {
  if (args.length > 0 && !args.some((a) => name.includes(a))) continue;
  ran++;
  if (!await runCase(bench, name, run)) wrong++;
}
console.log(`${ran - wrong} of ${ran} cases are right`);
Deno.exit(wrong > 0 ? 1 : 0);
