/**
 * Compares the names of this project with MLX's: `deno task api <folder>/api.json`.
 *
 * The file is an inventory of public names, `{ "mlx.core": [{ name, methods? }, ...], ... }`. Each name has to be here
 * in camelCase, or to stand in `docs/differences.md`, as code, alone or with its namespace (`inv`, `linalg.inv`); a star
 * stands for any letters (`cuda.*`). The last line counts; names that are neither end the program with 1. `--listed`
 * prints those that the page names, too.
 * @module
 */
import { camel } from "../tests/reference/library.ts";
import * as nn from "../nn/mod.ts";
import * as mx from "../mod.ts";
import * as optim from "../optimizers/mod.ts";

/** One name of the inventory; a class also lists its own methods. */
export interface Entry {
  readonly name: string;
  readonly methods?: readonly string[];
}
/** What the file holds, besides the version. */
export type Inventory = Readonly<Record<string, readonly Entry[] | string>>;

/** Where MLX's namespaces are here. A class is looked at through one of its objects. */
const SPACES: Readonly<Record<string, () => unknown>> = {
  "mlx.core": () => mx,
  "mlx.core.array": () => mx.zeros(1),
  "mlx.core.dtypes": () => mx,
  "mlx.core.ArrayAt": () => mx.zeros(1).at(0),
  "mlx.core.Dtype": () => mx.float32,
  "mlx.core.Device": () => mx.cpu,
  "mlx.core.Stream": () => mx.defaultStream(),
  "mlx.nn": () => nn,
  "mlx.optimizers": () => optim,
  "mlx.utils": () => mx,
};
const isObject = (x: unknown): x is object => x !== null && (typeof x === "object" || typeof x === "function");
const get = (x: unknown, name: string): unknown => isObject(x) ? Reflect.get(x, name) : undefined;
const has = (x: unknown, name: string): boolean => isObject(x) && Reflect.has(x, name);

/** What `mlx.core.fast` or `mlx.nn.losses` is here. */
function space(path: string): unknown {
  const known = SPACES[path];
  if (known) return known();
  const [, parent = "", name = ""] = /^(.+)\.(\w+)$/.exec(path) ?? [];
  return parent === "" ? undefined : get(space(parent), name);
}
/** Is it a method of the class, also a static one, or one that is abstract there and in its subclasses? */
function hasMethod(here: unknown, owner: unknown, method: string): boolean {
  const prototype = get(owner, "prototype");
  if (has(owner, method) || has(prototype, method)) return true;
  const others = isObject(here) ? Object.values(here) : [];
  return others.some((x) => Object.getPrototypeOf(Object(x)) === owner && has(get(x, "prototype"), method));
}
/** Names of the inventory by their full path, and whether each is here. */
export function* names(inventory: Inventory): Generator<[path: string, present: boolean]> {
  for (const [path, entries] of Object.entries(inventory)) {
    if (typeof entries === "string") continue;
    const here = space(path);
    for (const { name, methods = [] } of entries) {
      const own = camel(name);
      yield [`${path}.${name}`, has(here, own)];
      if (methods.length === 0 || !has(here, own)) continue;
      const owner = get(here, own);
      for (const method of methods) {
        yield [`${path}.${name}.${method}`, hasMethod(here, owner, camel(method))];
      }
    }
  }
}
/** A test for full paths: whether a page names them in code. */
export function listedIn(page: string): (path: string) => boolean {
  const text = page.replace(/```[^]*?```/g, ""), code = /(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)/gs;
  const spans = [...text.matchAll(code)].map((match) => match[2] ?? "");
  const patterns = spans.map((span) => span.replace(/^mx\.|\(.*$/g, "")).filter((span) => /^[\w.*]+$/.test(span));
  const tests = patterns.map((p) => new RegExp(`(^|\\.)${p.replaceAll(".", "\\.").replaceAll("*", ".*")}$`));
  return (path) => tests.some((test) => test.test(path));
}

if (import.meta.main) {
  const file = Deno.args[0];
  if (file === undefined) {
    console.error("usage: deno task api <folder>/api.json");
    Deno.exit(2);
  }
  const inventory: Inventory = JSON.parse(Deno.readTextFileSync(file));
  const listed = listedIn(Deno.readTextFileSync(new URL("../docs/differences.md", import.meta.url)));
  const count = { present: 0, listed: 0, missing: 0 };
  for (const [path, present] of names(inventory)) {
    const kind = present ? "present" : listed(path) ? "listed" : "missing";
    count[kind]++;
    if (kind === "missing" || (kind === "listed" && Deno.args.includes("--listed"))) console.log(`${kind}: ${path}`);
  }
  console.log(`${count.present} present, ${count.listed} listed as different, ${count.missing} missing`);
  if (count.missing > 0) Deno.exit(1);
}
