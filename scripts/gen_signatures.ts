/**
 * Prints `tests/reference/signatures.ts`: the parameters of MLX's functions as the reference runner needs them.
 *
 *     deno run -R scripts/gen_signatures.ts api.json > tests/reference/signatures.ts
 *
 * `api.json` is an inventory of MLX's public names: `{ "mlx.core": [{ name, signature }, ...], ... }`, each signature
 * as Python's documentation prints it.
 * @module
 */

/** Where the table's groups, named as in the `fn` of a case, come from. */
const GROUPS: readonly (readonly [group: string, module: string])[] = [
  ["core", "mlx.core"],
  ["array", "mlx.core.array"],
  ["fast", "mlx.core.fast"],
  ["linalg", "mlx.core.linalg"],
  ["fft", "mlx.core.fft"],
  ["random", "mlx.core.random"],
  ["nn", "mlx.nn"],
  ["losses", "mlx.nn.losses"],
  ["init", "mlx.nn.init"],
  ["optim", "mlx.optimizers"],
  ["utils", "mlx.utils"],
];
const LEFT_OUT = new Set(["self", "stream", "/"]);

interface Entry {
  readonly name: string;
  readonly signature?: string;
}

/** The parameter list between the outermost parentheses, split at its top-level commas. */
export function parametersOf(signature: string): string[] {
  const parts: string[] = [];
  let depth = 0, quote = "", part = "";
  for (const c of signature.slice(signature.indexOf("(") + 1)) {
    if (quote !== "") quote = c === quote ? "" : quote;
    else if (c === "'" || c === '"') quote = c;
    else if ("([{<".includes(c)) depth++;
    else if (")]}>".includes(c) && --depth < 0) break;
    if (c === "," && depth === 0 && quote === "") {
      parts.push(part.trim());
      part = "";
    } else part += c;
  }
  return [...parts, part.trim()].filter((p) => p !== "");
}

/** One parameter in the table's notation, which the header of the printed file explains. */
function short(parameter: string): string {
  if (parameter === "*") return "*";
  const [, name, annotation, value] = /^(\**\w+)\s*(?::\s*([^=]*))?(?:=\s*(.*))?$/s.exec(parameter) ?? [];
  if (name === undefined) throw new Error(`not a parameter: ${parameter}`);
  const mark = value === undefined ? "" : value === "None" ? "?" : "=";
  const array = /array/i.test(annotation ?? "") && !annotation?.includes("Callable");
  return `${name}${array ? ":a" : ""}${mark}`;
}

/** A whole signature in the table's notation. */
export function shorten(signature: string): string {
  return parametersOf(signature).filter((p) => !LEFT_OUT.has(/^[\w/]+/.exec(p)?.[0] ?? "")).map(short).join(" ")
    .replace(/ ?\*$/, "");
}

const WIDTH = 120;
/** One line of the table, or two where it would be too long. */
function row(name: string, text: string): string {
  const line = `    ${name}: "${text}",`;
  if (line.length <= WIDTH) return line;
  const cut = text.lastIndexOf(" ", WIDTH - name.length - 12) + 1;
  return `    ${name}: "${text.slice(0, cut)}" +\n      "${text.slice(cut)}",`;
}

function main(path: string): void {
  const api: Record<string, readonly Entry[]> = JSON.parse(Deno.readTextFileSync(path));
  console.log(`/**
 * Parameters of MLX's functions, by group and name. Printed by \`scripts/gen_signatures.ts\`; not to be edited.
 *
 * One word per parameter, in MLX's order: \`name\` is required, \`name?\` defaults to None, \`name=\` to something
 * else; \`:a\` marks parameters that take arrays; \`*name\` takes the rest; after a lone \`*\` come keywords.
 * @module
 */

/** \`signatures[group][name]\`, groups named as in the \`fn\` of a case. */
export const signatures: Readonly<Record<string, Readonly<Record<string, string>>>> = {`);
  for (const [group, module] of GROUPS) {
    console.log(`  ${group}: {`);
    for (const { name, signature } of api[module] ?? []) {
      if (signature === undefined || name.startsWith("_")) continue;
      console.log(row(name, shorten(signature)));
    }
    console.log("  },");
  }
  console.log("};");
}

if (import.meta.main) main(Deno.args[0] ?? "api.json");
