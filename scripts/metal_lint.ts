/**
 * Checks the address spaces of every GPU kernel that ships: `deno task lint:metal [--quick] [--sources FOLDER]`. In
 * Metal an address space is part of a pointer's type; the simulator's compiler does not know that, Clang's C++ for
 * OpenCL does. Prints each kernel with the lint's result and the oldest version of Metal's language that takes it; then
 * shows on seeded mistakes that the lint can fail. `--quick` leaves the versions out. Kernels that are written at run
 * time are those of a program that ran with DENIM_METAL_SIM_SOURCES=FOLDER. Needs clang 19 or newer with OpenCL, and
 * says so and ends with 0 without it.
 * @module
 */
import { fileURLToPath } from "node:url";
import { Metal, MetalError } from "../tests/metal/device.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url)), KERNELS = `${ROOT}runtime/metal/kernels/`;
const FLAGS = "-x clcpp -cl-std=CLC++2021 -target x86_64-unknown-linux -fsyntax-only -Wno-everything -ferror-limit=4 " +
  "-cl-ext=-all,+cl_khr_fp16,-__opencl_c_generic_address_space -Xclang -fnative-half-type -fno-spell-checking";
/** Metal's language by its number in MTLLanguageVersion, oldest first. */
const VERSIONS = { "3.0": 0x30000, "3.1": 0x30001, "3.2": 0x30002 } as const;

/** A source as it is compiled: a file and the defines before it. */
interface Variant {
  readonly file: string;
  readonly defines: Readonly<Record<string, string>>;
}
const read = (name: string) => Deno.readTextFileSync(`${KERNELS}${name}.metal`);

/** The text with the files that it includes, each once. */
function expand(name: string, seen = new Set<string>()): string {
  if (seen.has(name)) return "";
  seen.add(name);
  const lines = read(name).split("\n").map((line, i) => {
    const other = /^#include "(\w+)\.metal"/.exec(line)?.[1];
    return other === undefined ? line : `${expand(other, seen)}#line ${i + 2} "${name}.metal"`;
  });
  return `#line 1 "${name}.metal"\n${lines.join("\n")}\n`;
}
function sourceOf({ file, defines }: Variant): string {
  const seen = new Set<string>(), head = Object.entries(defines).map(([k, v]) => `#define ${k} ${v}\n`).join("");
  const common = expand("common", seen);
  const library = common.lastIndexOf("using namespace metal;"), at = common.indexOf("\n", library) + 1;
  return common.slice(0, at) + head + common.slice(at) + expand(file, seen);
}
/** The ops of the interpreter, as its host defines them. */
function ops(): string {
  const header = Deno.readTextFileSync(`${ROOT}runtime/generated/ops.h`);
  const list = /#define DENIM_ELEMENTWISE_OPS\(X\)((?:.*\\\n)*.*)/.exec(header)?.[1] ?? "";
  return [...list.matchAll(/X\((\w+)/g)].map(([, op]) => `OP_${op}, `).join("") + "OP_count";
}
function variantsOf(file: string): Variant[] {
  const text = read(file);
  if (!/\bkernel void\b/.test(text)) return [];
  if (/\bOPS\b/.test(text)) return [{ file, defines: { OPS: ops() } }];
  const byType = /\b(device|thread|threadgroup|vec<)\s*(const\s+)?T\b|vec<T\b/.test(text) &&
    !/template <[^>]*\bT\b/.test(text);
  if (!byType) return [{ file, defines: {} }];
  const all: Variant[] = ["float", "half", "bfloat"].map((T) => ({ file, defines: { T } }));
  return /\bCOMPLEX\b/.test(text) ? [...all, { file, defines: { COMPLEX: "1" } }] : all;
}

async function findClang(): Promise<string | null> {
  for (const name of ["clang-22", "clang-21", "clang-20", "clang-19"]) {
    try {
      if ((await new Deno.Command(name, { args: ["--version"], stdout: "null" }).output()).success) return name;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return null;
}

/** What the lint says of a source; empty if nothing. */
async function lint(metal: Metal, clang: string, source: string): Promise<string> {
  let text;
  try {
    text = metal.lintText(source);
  } catch (error) {
    if (error instanceof MetalError) return error.message;
    throw error;
  }
  const path = await Deno.makeTempFile({ suffix: ".clcpp" });
  await Deno.writeTextFile(path, text);
  const args = [...FLAGS.split(" "), "-include", `${ROOT}runtime/metal/sim/lint/lint.h`, path];
  const { stderr } = await new Deno.Command(clang, { args, stderr: "piped" }).output();
  await Deno.remove(path);
  return new TextDecoder().decode(stderr);
}
/** The oldest version of the language that takes the source, or what the newest says against it; the kernels. */
function oldest(metal: Metal, source: string): { version: string; kernels: string[] } {
  let said = "";
  for (const [name, version] of Object.entries(VERSIONS)) {
    try {
      return { version: name, kernels: metal.functions(metal.compile(source, { version })) };
    } catch (error) {
      if (!(error instanceof MetalError)) throw error;
      said = error.message;
    }
  }
  return { version: said.split("\n").find((line) => line.includes("error")) ?? said, kernels: [] };
}

/** Mistakes that only address spaces show: the lint, or the translator before it, must refuse each. */
const MISTAKES: readonly string[] = [
  "kernel void k(device float* o [[buffer(0)]]) { thread float* p = o; *p = 1; }",
  "kernel void k(device float* o [[buffer(0)]]) { threadgroup float a[4]; device float* p = a; *p = 1; }",
  "inline void f(thread float* p) { *p = 1; }\nkernel void k(device float* o [[buffer(0)]]) { f(o); }",
  "inline void f(threadgroup float* p) { *p = 1; }\nkernel void k(device float* o [[buffer(0)]]) { float a[4]; f(a); o[0] = a[0]; }",
  "kernel void k(threadgroup float* o [[buffer(0)]]) { *o = 1; }",
  "kernel void k(constant float* c [[buffer(0)]]) { device const float* p = c; }",
  "kernel void k(threadgroup atomic_float* a [[threadgroup(0)]]) { atomic_fetch_add_explicit(a, 1.0f, memory_order_relaxed); }",
];

const clang = await findClang(), quick = Deno.args.includes("--quick");
if (clang === null) {
  console.log("no clang with C++ for OpenCL (19 or newer): address spaces are not checked");
  Deno.exit(0);
}
const metal = new Metal();
let refused = 0;
const files = [...Deno.readDirSync(KERNELS)].map(({ name }) => name.replace(/\.metal$/, "")).sort();
for (const variant of files.flatMap(variantsOf)) {
  const source = sourceOf(variant), said = await lint(metal, clang, source);
  const { file, defines } = variant;
  const options = Object.entries(defines).filter(([k]) => k !== "OPS").map(([k, v]) => `${k}=${v}`).join(" ");
  const { version, kernels } = quick ? { version: "?", kernels: [] } : oldest(metal, source);
  if (said) refused++;
  console.log(
    `${`${file} ${options}`.padEnd(20)} Metal ${version}  ${said ? "REFUSED" : "accepted"}  ${kernels.join(" ")}`,
  );
  if (said) console.log(said.split("\n").slice(0, 12).map((line) => `    ${line}`).join("\n"));
}
const at = Deno.args.indexOf("--sources"), folder = at < 0 ? undefined : Deno.args[at + 1];
const sources = folder === undefined ? [] : [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`);
let bad = 0;
for (const path of sources) {
  const said = await lint(metal, clang, Deno.readTextFileSync(path));
  if (said) bad++;
  if (said) console.log(`${path} REFUSED\n${said.split("\n").slice(0, 12).map((line) => `    ${line}`).join("\n")}`);
}
if (sources.length > 0) console.log(`${sources.length - bad} of ${sources.length} sources accepted`);
refused += bad;
const head = "#include <metal_stdlib>\nusing namespace metal;\n";
for (const mistake of MISTAKES) {
  const said = await lint(metal, clang, head + mistake);
  if (!said) refused++;
  console.log(`${said ? "refused as it should be" : "NOT REFUSED"}: ${mistake.split("\n")[0]?.slice(0, 90)}`);
}
Deno.exit(refused > 0 ? 1 : 0);
