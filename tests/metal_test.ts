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
  return code === 0 ? null : /get metal-cpp/.test(said) ? "metal-cpp cannot be fetched" : null;
}
const reason = await whyNot();
const folder = new URL("metal/", import.meta.url).pathname;

Deno.test({
  name: `the Metal host works on the simulated device${reason ? ` (ignored: ${reason})` : ""}`,
  ignore: reason !== null,
  fn: async () => {
    const files = ["host", "join", "counted", "system"].map((name) => `${folder}${name}_test.ts`);
    const { code, said } = await run(["test", "-A", "-q", ...files], { MTL_CAPTURE_ENABLED: "1" });
    assertEquals(code, 0, said);
  },
});
Deno.test({
  name: `arrays and files longer than a Metal buffer, no captures, older systems${
    reason ? ` (ignored: ${reason})` : ""
  }`,
  ignore: reason !== null,
  fn: async () => {
    const more = { DENIM_METAL_SIM_MAX_BUFFER: "262144", DENIM_METAL_SIM_OS: "14" };
    const { code, said } = await run(["test", "-A", "-q", `${folder}system_test.ts`], more);
    assertEquals(code, 0, said);
  },
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
Deno.test({
  name: `every family of kernels agrees with the CPU on the simulated device${reason ? ` (ignored: ${reason})` : ""}`,
  ignore: reason !== null,
  fn: async () => {
    const { code, said } = await run(["run", "-A", `${folder}doctor.ts`, "--quick"]);
    assertEquals(code, 0, said);
  },
});
