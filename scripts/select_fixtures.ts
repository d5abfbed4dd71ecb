/**
 * Copies a representative part of recorded cases into `tests/fixtures/reference`: a few of every function and
 * transform.
 *
 *     deno run -RW scripts/select_fixtures.ts DIR [PER_FUNCTION]
 *
 * DIR holds `cases.json` and `arrays.safetensors`, as `deno task reference` takes them.
 * @module
 */
import type { Case } from "../tests/reference/cases.ts";
import { readCases } from "../tests/reference/run.ts";
import { formatTensors, type RawTensor, readTensors } from "../tests/reference/safetensors_reader.ts";

const TARGET = new URL("../tests/fixtures/reference/", import.meta.url);
/** A single function may not fill the fixtures: larger cases are left out, unless it has no other. */
const LARGEST_CASE = 16384;

/** Names of the tensors that a value mentions. */
export function tensorsIn(value: unknown): string[] {
  if (value === null || typeof value !== "object") return [];
  const nested = Object.values(value).flatMap(tensorsIn);
  return "array" in value && typeof value.array === "string" ? [value.array, ...nested] : nested;
}

/** `count` of the items, the first and the last among them, evenly spread. */
export function evenly<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  const step = count > 1 ? (items.length - 1) / (count - 1) : 0;
  return items.filter((_, i) => Array.from({ length: count }, (_, k) => Math.round(k * step)).includes(i));
}

/** A few cases of every function and transform, small ones first choice. */
export function select(cases: readonly Case[], sizeOf: (c: Case) => number, perFunction: number): Case[] {
  const groups = Map.groupBy(cases, (c) => `${c.fn} ${c.transform}`), chosen = new Set<Case>();
  for (const group of groups.values()) {
    const small = group.filter((c) => sizeOf(c) <= LARGEST_CASE);
    const smallest = group.toSorted((a, b) => sizeOf(a) - sizeOf(b)).slice(0, 1);
    for (const c of evenly(small.length > 0 ? small : smallest, perFunction)) chosen.add(c);
  }
  return cases.filter((c) => chosen.has(c));
}

function main(folder: string, perFunction: number): void {
  const tensors = readTensors(`${folder}/arrays.safetensors`), cases = readCases(folder);
  const sizeOf = (c: Case): number => tensorsIn(c).reduce((n, name) => n + (tensors.get(name)?.bytes.length ?? 0), 0);
  const chosen = select(cases, sizeOf, perFunction);
  const names = new Set(chosen.flatMap(tensorsIn)), kept = new Map<string, RawTensor>();
  for (const [name, raw] of tensors) if (names.has(name)) kept.set(name, raw);
  Deno.mkdirSync(TARGET, { recursive: true });
  Deno.writeTextFileSync(new URL("cases.json", TARGET), `[\n${chosen.map((c) => JSON.stringify(c)).join(",\n")}\n]\n`);
  Deno.writeFileSync(new URL("arrays.safetensors", TARGET), formatTensors(kept));
  const functions = new Set(chosen.map((c) => c.fn)).size;
  console.log(`${chosen.length} of ${cases.length} cases, ${functions} functions, ${kept.size} arrays`);
}

if (import.meta.main) main(Deno.args[0] ?? ".", Number(Deno.args[1] ?? 4));
