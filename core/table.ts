/**
 * The op table as text, and its hash: what both sides of the C ABI must agree on.
 * @module
 */
import type { ParamSchema } from "./primitive.ts";

/** What is said of a primitive across the ABI. */
export interface Row {
  readonly name: string;
  readonly kind: string;
  readonly family: string;
  readonly arity: number;
  readonly params: ParamSchema;
  readonly inPlace?: number;
}
/** Parameters that cross to the native side. */
export function crossing(schema: ParamSchema): [string, string][] {
  return Object.entries(schema).filter(([, kind]) => kind !== "host");
}
/** FNV-1a over the text of the table: 53 bits, so that it fits a number. */
export function tableHash(text: string): number {
  let h = 0xcbf29ce484222325n;
  for (const c of new TextEncoder().encode(text)) h = BigInt.asUintN(64, (h ^ BigInt(c)) * 0x100000001b3n);
  return Number(h >> 11n);
}
/** The text that is hashed. */
export function tableText(rows: readonly Row[]): string {
  return rows.map((r) =>
    `${r.name}:${r.kind}:${r.arity}:${r.inPlace ?? ""}:${crossing(r.params).map((p) => p.join("=")).join(",")}`
  ).join("\n");
}
