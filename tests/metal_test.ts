/**
 * The tests of `tests/metal/` on the simulated device: it is a library of its own, so they run in a process of their own.
 * Ignored where that library cannot be built: on other processors, or without what fetches metal-cpp.
 * @module
 */
import { assertEquals } from "@std/assert";
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
    const files = ["host_test.ts", "join_test.ts", "counted_test.ts"].map((name) => folder + name);
    const { code, said } = await run(["test", "-A", "-q", ...files]);
    assertEquals(code, 0, said);
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
