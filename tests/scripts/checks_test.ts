/**
 * The checks that guard the repository find what they are for: imports that point up, faults of style, symbols that a
 * Mac lacks. And the repository itself is clean.
 * @module
 */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { documented } from "../../scripts/check_examples.ts";
import { imports, refusal } from "../../scripts/check_rooms.ts";
import { readMachO, readStub, refused } from "../../scripts/macho_check.ts";
import { code, declarations, sourceTexts } from "../../scripts/sources.ts";
import { faultsOf } from "../../scripts/style.ts";

const specifiers = (text: string) => imports(declarations(text)).map((i) => `${i.line} ${i.specifier}`);

Deno.test("imports finds what has effect at run time, and where", () => {
  assertEquals(specifiers('import { a } from "./a.ts";\nimport type { B } from "./b.ts";\n'), ["1 ./a.ts"]);
  assertEquals(specifiers('export * from "./a.ts";\nexport type { B } from "./b.ts";\n'), ["1 ./a.ts"]);
  assertEquals(specifiers('import {\n  type A,\n  b,\n} from "./c.ts";\nimport { type D, type E } from "./d.ts";'), [
    "1 ./c.ts",
  ]);
  assertEquals(specifiers('import "./effect.ts";\nconst m = await import("./late.ts");'), [
    "1 ./effect.ts",
    "2 ./late.ts",
  ]);
  assertEquals(specifiers('// import { a } from "./a.ts";\nexport const x = "from";\nexport function f() {}\n'), []);
  assertEquals(specifiers('import x, { type Y } from "./default.ts";\n'), ["1 ./default.ts"]);
});

Deno.test("refusal lets imports point down only, and says where the code belongs", () => {
  assertEquals(refusal("core/ops/unary.ts", "../graph.ts"), null);
  assertEquals(refusal("core/eval.ts", "../ffi/runtime.ts"), null);
  assertEquals(refusal("ffi/source.ts", "../runtime/manifest.json"), null);
  assertEquals(refusal("lm/models/llama.ts", "../../nn/mod.ts"), null);
  assertEquals(refusal("lm/tokenizer.ts", "@huggingface/tokenizers"), null);
  assertEquals(refusal("core/memory.ts", "node:vm"), null);
  assertEquals(refusal("tests/a_test.ts", "../core/mod.ts"), null);
  assertEquals(
    refusal("optimizers/adam.ts", "../nn/mod.ts"),
    "optimizers may import core and itself: move the code down to optimizers, hand it in as an argument, or use import type",
  );
  assertMatch(
    refusal("ffi/build.ts", "../core/errors.ts") ?? "",
    /^ffi may import runtime and itself: move the code down/,
  );
  assertMatch(refusal("core/a.ts", "../scripts/gen_ops.ts") ?? "", /nothing imports scripts: move the code to core$/);
  assertMatch(refusal("core/a.ts", "npm:left-pad") ?? "", /^core depends on no package/);
});

Deno.test("code blanks comments, strings and patterns, and keeps lines", () => {
  assertEquals(code('a("x") // y\n/* z\n */ b(`c`, /d"/)'), "a(   )     \n    \n    b(   ,     )");
  assertEquals(declarations('a("// x") // y'), 'a("// x")     ');
});

const faults = (path: string, text: string) => faultsOf({ path, text }).map((f) => `${f.line} ${f.text.split(":")[0]}`);
const HEAD = "/** Says what lives here. */\n";

Deno.test("faultsOf finds faults of style", () => {
  assertEquals(faults("core/a.ts", HEAD + "export const a: number = 1 as const;\n"), []);
  assertEquals(faults("core/a.ts", "export const a = 1;\n"), ["1 no first comment"]);
  assertEquals(faults("core/a.ts", HEAD + "const a = b as number;\n"), ["2 a cast"]);
  assertEquals(faults("core/a.ts", HEAD + 'import * as b from "./b.ts";\nexport { c as d };\n'), []);
  assertEquals(faults("ffi/a.ts", HEAD + "const a = b as number;\n"), []);
  assertEquals(faults("core/a.ts", HEAD + "let a: any;\n"), ["2 the type any"]);
  assertEquals(faults("core/a.ts", HEAD + "mx.any(x); // any, as in NumPy\n"), []);
  assertEquals(faults("core/a.ts", HEAD + "// TO" + "DO: later\n"), ["2 an unfinished thought"]);
  assertEquals(faults("core/a.ts", HEAD + 'throw new Error("no");\n'), ["2 an error without its fields"]);
  assertEquals(faults("core/a.ts", HEAD + "Deno.dlopen(path, {});\n"), ["2 a pointer outside ffi"]);
  assertEquals(faults("core/a.ts", HEAD + "const a_b = 1;\n"), ["2 a snake_case name"]);
  assertEquals(faults("nn/a.ts", HEAD + "const a_b = 1;\n"), []);
  assertEquals(faults("runtime/a.cc", "// A.\n#include <vector>\n"), [
    "2 a header of the C++ standard library, which the runtime does without",
  ]);
});

Deno.test("faultsOf measures files, functions and lines", () => {
  const body = (lines: number) => "  f();\n".repeat(lines);
  for (
    const opening of ["function f() {", "export async function f(a: number): Promise<void> {", "const f = () => {"]
  ) {
    assertEquals(faults("core/a.ts", `${HEAD}${opening}\n${body(68)}}\n`), []);
    assertEquals(faults("core/a.ts", `${HEAD}${opening}\n${body(69)}}\n`), ["2 a function of 71 lines"]);
  }
  assertEquals(faults("core/a.ts", `${HEAD}class A {\n  f(): void {\n${body(69)}  }\n}\n`), [
    "3 a function of 71 lines",
  ]);
  assertEquals(faults("runtime/a.cc", `// A.\nint f(int a) {\n${body(69)}}\n`), ["2 a function of 71 lines"]);
  assertEquals(faults("runtime/a.cc", `// A.\nnamespace a {\n${body(69)}}\n`), []);
  assertMatch(faults("core/a.ts", HEAD + body(601)).join(), /^1 60\d lines$/);
  assertEquals(faults("core/a.ts", "/** Long because it is one table. */\n" + body(601)), []);
  assertEquals(faults("runtime/a.h", `// ${"a".repeat(118)}\n`), ["1 over 120 columns"]);
});

Deno.test("readMachO reads what a library needs; what has no stub is refused", () => {
  const bytes = new Uint8Array(32 + 24 + 40 + 24 + 32 + 16);
  const view = new DataView(bytes.buffer);
  const put = (at: number, ...words: number[]) => words.forEach((word, i) => view.setUint32(at + 4 * i, word, true));
  const text = (at: number, value: string) => bytes.set(new TextEncoder().encode(value), at);
  put(0, 0xfeedfacf, 0x0100000c, 0, 6, 3, 88, 0, 0);
  put(32, 0x2, 24, 120, 2, 152, 16); // LC_SYMTAB: two entries, then their names
  put(56, 0xc, 40, 24, 0, 0, 0); // LC_LOAD_DYLIB
  text(80, "/usr/lib/libX");
  put(96, 0x32, 24, 1, 13 << 16, 0, 0); // LC_BUILD_VERSION
  put(120, 1, 0x01000001, 0, 0); // undefined and external, of the first library: _fork
  put(136, 7, 0x0f, 0, 0); // defined
  text(153, "_fork");
  text(159, "_mine");
  const found = readMachO(bytes);
  const wanted = [{ name: "_fork", library: "/usr/lib/libX" }];
  assertEquals(found, { wanted, libraries: ["/usr/lib/libX"], system: "macos 13.0", signed: false });
  assertEquals(refused(found, new Map()).length, 3);
  const [path, symbols] = readStub("install-name: '/usr/lib/libX'\nexports:\n  - symbols: [ _fork,\n _spoon ]\n...\n");
  assertEquals([path, [...symbols]], ["/usr/lib/libX", ["_fork", "_spoon"]]);
  assertEquals(refused(found, new Map([[path, symbols]])), ["it is not signed"]);
  assertEquals(refused({ ...found, signed: true, system: "macos 14.0" }, new Map([[path, symbols]])), [
    "it is built for macos 14.0 and not macos 13.0",
  ]);
  assertThrows(() => readMachO(new Uint8Array(64)), Error, "Mach-O");
});

Deno.test("sourceTexts leaves generated files out", () => {
  const paths = sourceTexts(["ts", "h"]).map((source) => source.path);
  assertEquals(paths.filter((path) => path.includes("generated/") || path.includes("node_modules/")), []);
  assertEquals(paths.includes("runtime/kernel.h") && paths.includes("core/dtype.ts"), true);
});

Deno.test("documented finds functions and classes, also in namespaces, and whether they have an example", () => {
  const jsDoc = { tags: [{ kind: "example", doc: "f();" }] }, location = { filename: "file:///a.ts" };
  const one = (name: string, kind: string, more = {}) => ({ name, declarations: [{ kind, location, ...more }] });
  const inner = [one("f", "function", { jsDoc }), one("C", "class"), one("T", "interface")];
  const found = [...documented(one("ns", "namespace", { def: { elements: inner } }))];
  assertEquals(found.map(({ name, has }) => [name, has]), [["ns.f", true], ["ns.C", false]]);
  const overloads = {
    name: "g",
    declarations: [{ kind: "function", location }, { kind: "function", location, jsDoc }],
  };
  assertEquals([...documented(overloads)].map(({ has }) => has), [true]);
});
