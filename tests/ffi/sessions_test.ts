/**
 * Isolates that follow each other in one process, as test files do: what one leaves goes when the next one begins.
 * @module
 */
import { assertEquals } from "@std/assert";

Deno.test("what a test file leaves is freed when the next one computes", async () => {
  const folder = await Deno.makeTempDir(), library = JSON.stringify(import.meta.resolve("../../mod.ts"));
  const file = (body: string) => `import * as mx from ${library};\nDeno.test("it", () => {\n${body}\n});\n`;
  const keeps = file("Object.assign(globalThis, { kept: mx.ones([1 << 20]).add(mx.arange(1 << 20)) }); mx.eval(kept);");
  try {
    for (const name of ["a", "b", "c"]) {
      await Deno.writeTextFile(`${folder}/${name}_test.ts`, `declare const kept: mx.NDArray;\n${keeps}`);
    }
    const counts = file(
      "mx.eval(mx.ones([8]).add(1));\nif (mx.getActiveMemory() > 1e5) throw new Error(`not freed: ${mx.getActiveMemory()}`);",
    );
    await Deno.writeTextFile(`${folder}/d_test.ts`, counts);
    const options: Deno.CommandOptions = { args: ["test", "-A", "--no-check", "--no-config", folder], stdin: "null" };
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), options).output();
    assertEquals(code, 0, new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
