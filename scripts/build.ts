/**
 * Builds the native library: `deno task build [--target <platform> | --all] [--native-test] [--print]`.
 * `--native-test` builds the native tests as well and runs them, those of another processor with qemu. `--print` prints
 * the path of each library and nothing else.
 * @module
 */
import { buildLibrary, buildNativeTests, progress, readyLibrary } from "../ffi/build.ts";
import { DenimError } from "../ffi/errors.ts";
import { hostPlatform, type Platform, platformOf, PLATFORMS } from "../ffi/platform.ts";
import { run } from "../ffi/zig.ts";

/** Platforms that the arguments name; this machine's if they name none. */
function wanted(args: readonly string[]): readonly Platform[] {
  if (args.includes("--all")) return PLATFORMS;
  const named = args.flatMap((arg, i) => arg === "--target" ? [platformOf(args[i + 1] ?? "")] : []);
  return named.length > 0 ? named : [hostPlatform()];
}

/** The program that runs Linux programs of another processor, if this machine has it. */
export async function findQemu(arch: string): Promise<string | null> {
  for (const command of [`qemu-${arch}`, `qemu-${arch}-static`]) {
    if ((await run({ command }, ["--version"])).code === 0) return command;
  }
  return null;
}
/** Runs the native tests, where this machine can. Returns whether they passed. */
async function runNativeTests(platform: Platform, program: string): Promise<boolean> {
  if (platform === hostPlatform()) return (await new Deno.Command(program).spawn().status).success;
  const qemu = platform.endsWith("linux") ? await findQemu(platform.split("-")[0] ?? "") : null;
  if (qemu !== null) return (await new Deno.Command(qemu, { args: [program] }).spawn().status).success;
  console.error(`denim: the native tests for ${platform} were built but cannot be run here`);
  return true;
}

async function main(args: readonly string[]): Promise<boolean> {
  const report = progress();
  const print = args.includes("--print");
  for (const platform of wanted(args)) {
    const ready = readyLibrary(platform);
    if (ready && !print) report(`the library for ${platform} is up to date: ${ready}`);
    const path = ready ?? await buildLibrary(platform, report);
    if (print) console.log(path);
    if (!args.includes("--native-test")) continue;
    if (!await runNativeTests(platform, await buildNativeTests(platform, report))) return false;
  }
  return true;
}
if (import.meta.main) {
  try {
    if (!await main(Deno.args)) Deno.exit(1);
  } catch (error) {
    if (!(error instanceof DenimError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
