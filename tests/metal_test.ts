/**
 * The tests of `tests/metal/` on the simulated device: it is a library of its own, so they run in a process of their own.
 * Ignored where that library cannot be built: on other processors, or without what fetches metal-cpp.
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { readyLibrary } from "../ffi/build.ts";
import { hostPlatform } from "../ffi/platform.ts";

const SIMULATED = "x86_64-linux-sim";
const env = { DENIM_METAL: "sim", NO_COLOR: "1" };

async function run(
  args: readonly string[],
  more: Record<string, string> = {},
): Promise<{ code: number; said: string }> {
  const options: Deno.CommandOptions = { args: [...args], env: { ...env, ...more }, stdin: "null" };
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), options).output();
  const decoder = new TextDecoder();
  return { code, said: decoder.decode(stdout) + decoder.decode(stderr) };
}
/** Why the library with the simulated device cannot be had here; null if it can. */
async function whyNot(): Promise<string | null> {
  if (hostPlatform() !== "x86_64-linux") return "needs Linux on x86-64";
  if (readyLibrary(SIMULATED)) return null;
  const { code, said } = await run(["task", "build"]);
  return code === 0 ? null : /get the headers of metal-cpp/.test(said) ? "metal-cpp cannot be fetched" : null;
}
const reason = await whyNot();
const folder = new URL(".", import.meta.url).pathname;
/** A test that a process on the simulated device passes. */
function simulated(name: string, args: readonly string[], more: Record<string, string> = {}): void {
  Deno.test({
    name: `${name}, on the simulated device${reason ? ` (ignored: ${reason})` : ""}`,
    ignore: reason !== null,
    fn: async () => {
      const { code, said } = await run(args, more);
      assertEquals(code, 0, said);
    },
  });
}
const tests = (...files: readonly string[]) => ["test", "-A", "-q", "--no-check", ...files.map((f) => folder + f)];

simulated(
  "the Metal host works, joins instructions, counts and captures",
  tests(...["host", "join", "counted", "system"].map((name) => `metal/${name}_test.ts`)),
  { MTL_CAPTURE_ENABLED: "1" },
);
simulated("arrays and files longer than a Metal buffer, no captures, older systems", tests("metal/system_test.ts"), {
  DENIM_METAL_SIM_MAX_BUFFER: "262144",
  DENIM_METAL_SIM_OS: "14",
});
simulated("the device of a virtual machine, of an older family", tests("metal/system_test.ts"), {
  DENIM_METAL_SIM_FAMILY: "5",
});
Deno.test({
  name: `kernels are compiled once and kept on disk${reason ? ` (ignored: ${reason})` : ""}`,
  ignore: reason !== null,
  fn: async () => {
    const text = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
    const source = `import * as mx from ${text("../mod.ts")}; import { runtime } from ${text("../ffi/runtime.ts")};
      mx.eval(mx.stream(mx.gpu, () => mx.softmax(mx.ones([4]), 0)));
      const { libraries, compiled } = runtime().simulatorCounts(); console.log("=" + libraries + " " + compiled);`;
    await run(["eval", source]);
    const { said } = await run(["eval", source]);
    assertMatch(said, /^=[1-9]\d* 0$/m);
  },
});
// One kernel that takes all patterns: compiling one for each would take the time of all else.
simulated(
  "the kernel case table, recorded cases, derivatives and evaluation pass without races",
  tests(
    "ops/forward_test.ts",
    "ops/composed_test.ts",
    "reference/fixtures_test.ts",
    "transforms/holes_test.ts",
    ...["streams", "failure", "donation", "states"].map((name) => `eval/${name}_test.ts`),
  ),
  { DENIM_DEVICE: "gpu", DENIM_METAL_JIT: "never", DENIM_METAL_RACE: "1" },
);
simulated(
  "random programs by kernels of their own agree with the CPU",
  ["run", "-A", "--no-check", `${folder}random_graphs/main.ts`],
  { DENIM_DEVICE: "gpu", DENIM_METAL_JIT: "always", DENIM_METAL_RACE: "1", SEEDS: "3" },
);
simulated("the doctor finds all families of kernels well", ["run", "-A", `${folder}metal/doctor.ts`, "--quick"]);
/** Does a program of this name run here? */
function runs(name: string): boolean {
  try {
    return new Deno.Command(name, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}
const noLint = reason ?? (["clang-22", "clang-21", "clang-20", "clang-19"].some(runs) ? null : "needs clang 19");
Deno.test({
  name: `address spaces of all kernels, as Clang sees them${noLint ? ` (ignored: ${noLint})` : ""}`,
  ignore: noLint !== null,
  fn: async () => {
    const sources = await Deno.makeTempDir(), family = `${folder}metal/families.ts`;
    const wanted = { DENIM_METAL_SIM_SOURCES: sources, DENIM_METAL_JIT: "always" };
    await run(["run", "-A", "--no-check", family, "fused", "reduce"], wanted); // kernels that are written at run time
    const lint = ["run", "-A", `${folder}../scripts/metal_lint.ts`, "--quick", "--sources", sources];
    const { code, said } = await run(lint);
    await Deno.remove(sources, { recursive: true });
    assertEquals(code, 0, said);
    assertMatch(said, /^[1-9]\d* of [1-9]\d* sources accepted$/m);
  },
});
