/**
 * The simulator's own tests: each check fires where it should and is silent where it should be, each report names the
 * place; Metal's functions give what the specification says.
 * @module
 */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type Argument, Metal, MetalError, type Run } from "./device.ts";

const metal = new Metal();
const HEAD = "#include <metal_stdlib>\nusing namespace metal;\n";

/** The report of a kernel's run; it must fail. */
async function reportOf(body: string, args: readonly Argument[], run: Run, constants = {}): Promise<string> {
  const library = metal.compile(HEAD + body), name = /kernel void (\w+)/.exec(body)?.[1] ?? "";
  const error = await assertRejects(() => metal.run(metal.pipeline(library, name, constants), args, run), MetalError);
  return error.message;
}
const floats = (n: number) => metal.buffer(4 * n, "floats");

Deno.test("an access past the end names kernel, thread, buffer, byte and line", async () => {
  const body = `kernel void past(device float* o [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  o[i + 1] = 1;
}`;
  const said = await reportOf(body, [floats(64)], { threads: [64], group: [64] });
  assertEquals(
    said,
    "kernel 'past', threadgroup (0,0,0), thread (63,0,0) = simdgroup 1 lane 31: out of bounds: byte 256 of buffer 0 " +
      "('o', floats), which has 256 bytes (write of 4 bytes) at program_source:4",
  );
});
