/**
 * Every family of GPU kernels against the CPU, on the simulator with its check for races: sizes that leave rests, more
 * than one threadgroup, streams that wait for one another. Runs in a process of its own, which the simulator's library
 * serves from the start.
 * @module
 */
import { assertEquals } from "@std/assert";

const PROGRAM = new URL("./families.ts", import.meta.url).pathname;

// The simulator runs on x86-64 Linux only.
const ignore = Deno.build.os !== "linux" || Deno.build.arch !== "x86_64";
Deno.test("all families of kernels agree with the CPU, with no report of the simulator", { ignore }, async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", PROGRAM],
    env: { DENIM_METAL: "sim", DENIM_METAL_RACE: "1", DENIM_METAL_SIM_TRACE: "1", NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assertEquals(success, true, said);
});
