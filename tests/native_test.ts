/**
 * The native tests (`runtime/tests/`) as tests among the others: once per instruction set of this machine, and those
 * for aarch64 under qemu where it is installed.
 * @module
 */
import { assertEquals } from "@std/assert";
import { buildNativeTests } from "../ffi/build.ts";
import { hostPlatform } from "../ffi/platform.ts";
import { findQemu } from "../scripts/build.ts";

async function pass(command: string, args: string[], env: Record<string, string> = {}): Promise<void> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args, env }).output();
  const decoder = new TextDecoder();
  assertEquals(code, 0, decoder.decode(stdout) + decoder.decode(stderr));
}
const quiet = () => {};

// A machine that lacks an instruction set runs the best one below it, so the names below are always allowed.
for (const isa of Deno.build.arch === "x86_64" ? ["baseline", "avx2", "avx512"] : ["neon"]) {
  Deno.test(`native tests pass with DENIM_ISA=${isa}`, async () => {
    await pass(await buildNativeTests(hostPlatform(), quiet), [], { DENIM_ISA: isa });
  });
}

const qemu = Deno.build.arch === "x86_64" ? await findQemu("aarch64") : null;
Deno.test({
  name: "native tests for aarch64 pass under qemu (ignored where it is not installed)",
  ignore: qemu === null,
  fn: async () => await pass(qemu ?? "", [await buildNativeTests("aarch64-linux", quiet)]),
});
