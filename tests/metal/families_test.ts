/**
 * Every family of GPU kernels against the CPU: sizes that leave rests, more than one threadgroup, streams that wait for
 * one another. On a Mac on its GPU; on Linux on the simulator with its check for races, in a process of its own, which
 * the simulator's library serves from the start.
 * @module
 */
import { assertEquals } from "@std/assert";

const PROGRAM = new URL("./families.ts", import.meta.url).pathname;

const simulated = Deno.build.os === "linux" && Deno.build.arch === "x86_64";
const simulator = { DENIM_METAL: "sim", DENIM_METAL_RACE: "1", DENIM_METAL_SIM_TRACE: "1" };
const ignore = !simulated && Deno.build.os !== "darwin";
Deno.test("all families of kernels agree with the CPU, with no report of the simulator", { ignore }, async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", PROGRAM],
    env: { NO_COLOR: "1", ...simulated ? simulator : {} },
    stdout: "piped",
    stderr: "piped",
  }).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assertEquals(success, true, said);
});
