/**
 * Has every public function and class an example? `deno run -A scripts/check_examples.ts [MODULE...]` asks `deno doc`
 * about the modules that the package exports, or those that are given, and lists what has none, by file.
 * @module
 */
import { isRecord, type Json, type JsonRecord } from "../core/io/json.ts";
import config from "../deno.json" with { type: "json" };

const root = new URL("../", import.meta.url).pathname;
const list = (x: Json | undefined): readonly JsonRecord[] => Array.isArray(x) ? x.filter(isRecord) : [];
const record = (x: Json | undefined): JsonRecord => isRecord(x) ? x : {};

/** What needs an example, inside namespaces, too: its name, its file, and whether it has one. */
export function* documented(symbol: JsonRecord, prefix = ""): Generator<{ name: string; file: string; has: boolean }> {
  const declarations = list(symbol.declarations), name = `${prefix}${symbol.name}`;
  for (const { kind, def } of declarations) {
    if (kind !== "namespace") continue;
    for (const element of list(record(def).elements)) yield* documented(element, `${name}.`);
  }
  if (!declarations.some(({ kind }) => kind === "function" || kind === "class")) return;
  const tags = declarations.flatMap((d) => list(record(d.jsDoc).tags));
  const file = String(record(declarations[0]?.location).filename).replace(`file://${root}`, "");
  yield { name, file, has: tags.some(({ kind }) => kind === "example") };
}
async function symbolsOf(module: string): Promise<readonly JsonRecord[]> {
  const options: Deno.CommandOptions = { args: ["doc", "--json", module], cwd: root, stderr: "inherit" };
  const doc: Json = JSON.parse(
    new TextDecoder().decode((await new Deno.Command(Deno.execPath(), options).output()).stdout),
  );
  return Object.values(record(record(doc).nodes)).flatMap((file) => list(record(file).symbols));
}

if (import.meta.main) {
  const without = new Map<string, string[]>();
  let count = 0;
  for (const module of Deno.args.length > 0 ? Deno.args : Object.values(config.exports)) {
    for (const symbol of await symbolsOf(module)) {
      for (const { name, file, has } of documented(symbol)) {
        count++;
        if (!has) without.set(file, [...without.get(file) ?? [], name]);
      }
    }
  }
  for (const [file, names] of without) console.log(`${file}: ${names.join(" ")}`);
  const lacking = [...without.values()].flat().length;
  console.log(`${count} public functions and classes, ${lacking} without an example`);
  if (lacking > 0) Deno.exit(1);
}
