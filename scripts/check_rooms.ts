/**
 * Refuses an import that points up: runtime <- ffi <- core <- nn, optimizers, data <- train, lm, and nothing imports tests, bench,
 * scripts or examples. `import type` may point up, as it is gone at run time. Packages from npm are for the edges:
 * `data`, `train` and `lm`.
 * @module
 */
import { declarations, sourceTexts } from "./sources.ts";

/** What each room may import, besides itself. Rooms that are not listed may import all. */
const MAY: Readonly<Record<string, readonly string[]>> = {
  ffi: ["runtime"],
  core: ["ffi"],
  nn: ["core"],
  optimizers: ["core"],
  data: ["core"],
  train: ["core", "nn", "optimizers", "data"],
  lm: ["core", "nn", "optimizers"],
};
/** Rooms at the edge, which may use packages. */
const EDGES: readonly string[] = ["data", "train", "lm"];
const LISTED = [...Object.keys(MAY), "runtime"];

/** An import that has effect at run time. */
export interface Import {
  readonly specifier: string;
  readonly line: number;
}
/** The imports of a text, without those of types only. */
export function imports(text: string): Import[] {
  const statement =
    /^(?:import|export)\b(?!\s+(?:type\b(?!\s*,)|default|const|function|class|async))([^;"]*?\bfrom\s*)?\s*"([^"]+)"/gm;
  const dynamic = /\bimport\(\s*"([^"]+)"/g;
  const found: Import[] = [];
  const add = (specifier: string | undefined, index: number) => {
    if (specifier !== undefined) found.push({ specifier, line: text.slice(0, index).split("\n").length });
  };
  for (const match of text.matchAll(statement)) {
    const names = /^\s*\{([^}]*)\}/.exec(match[1] ?? "")?.[1];
    const typesOnly = names !== undefined && names.split(",").every((name) => /^\s*(type\s|$)/.test(name));
    if (!typesOnly) add(match[2], match.index);
  }
  for (const match of text.matchAll(dynamic)) add(match[1], match.index);
  return found;
}

/** Why a file of a room may not import this, or null if it may. */
export function refusal(path: string, specifier: string): string | null {
  const room = path.split("/")[0] ?? "";
  const may = MAY[room];
  if (may === undefined || specifier.startsWith("node:")) return null;
  if (!specifier.startsWith(".")) {
    if (EDGES.includes(room)) return null;
    return `${room} depends on no package: write it here, or move what needs ${specifier} to ${EDGES.join(", ")}`;
  }
  const target = new URL(specifier, `file:///${path}`).pathname.slice(1);
  const other = target.split("/")[0] ?? "";
  if (other === room || may.includes(other)) return null;
  const allowed = `${room} may import ${may.join(", ")} and itself`;
  if (!LISTED.includes(other)) return `${allowed}, and nothing imports ${other}: move the code to ${room}`;
  return `${allowed}: move the code down to ${room}, hand it in as an argument, or use import type`;
}

if (import.meta.main) {
  let refused = 0;
  for (const { path, text } of sourceTexts(["ts"])) {
    for (const { specifier, line } of imports(declarations(text))) {
      const reason = refusal(path, specifier);
      if (reason === null) continue;
      refused++;
      console.error(`${path}:${line}: cannot import ${specifier}: ${reason}`);
    }
  }
  if (refused > 0) Deno.exit(1);
}
