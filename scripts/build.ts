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

/** Runs the native tests, where this machine can. Returns whether they passed. */
async function runNativeTests(platform: Platform, program: string): Promise<boolean> {
  const [arch, os] = platform.split("-");
  if (os !== hostPlatform().split("-")[1]) return skipped(platform, "of another system");
  if (arch === Deno.build.arch) return (await new Deno.Command(program).spawn().status).success;
  for (const qemu of [`qemu-${arch}`, `qemu-${arch}-static`]) {
    if ((await run({ command: qemu }, ["--version"])).code !== 0) continue;
    return (await new Deno.Command(qemu, { args: [program] }).spawn().status).success;
  }
  return skipped(platform, "without qemu-user on this machine");
}
function skipped(platform: Platform, reason: string): boolean {
  console.error(`denim: native tests for ${platform} skipped: ${reason}`);
  return true;
}

const report = progress();
const print = Deno.args.includes("--print");
try {
  for (const platform of wanted(Deno.args)) {
    const ready = readyLibrary(platform);
    if (ready && !print) report(`the library for ${platform} is up to date: ${ready}`);
    const path = ready ?? await buildLibrary(platform, report);
    if (print) console.log(path);
    if (!Deno.args.includes("--native-test")) continue;
    if (!await runNativeTests(platform, await buildNativeTests(platform, report))) Deno.exit(1);
  }
} catch (error) {
  if (!(error instanceof DenimError)) throw error;
  console.error(error.message);
  Deno.exit(1);
}
