/**
 * JSON as data from outside: its type, and the checks that files written by others need before they are used.
 * @module
 */
import { CheckpointError, fail } from "../errors.ts";

/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | JsonRecord;
/** A JSON object. */
export interface JsonRecord {
  /** A value by its key. */
  readonly [key: string]: Json | undefined;
}
/** Whether the value is a JSON object. */
export function isRecord(x: Json | undefined): x is JsonRecord {
  return typeof x === "object" && x !== null && !Array.isArray(x);
}
/** At most the start of a value, for an error about it. */
export function shown(x: Json | undefined): string {
  return (JSON.stringify(x) ?? "nothing").slice(0, 80);
}
/** The JSON object in the file `path`; null where there is no such file. */
export function readJsonFile(path: string): JsonRecord | null {
  let value: Json;
  try {
    value = JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    return fail(CheckpointError, "load", {
      cannot: `read ${path}`,
      expected: "a file with a JSON object",
      got: error instanceof Error ? error.message.slice(0, 200) : String(error),
      fix: "fetch or export it again",
    });
  }
  if (isRecord(value)) return value;
  return fail(CheckpointError, "load", {
    cannot: `read ${path}`,
    expected: "a JSON object",
    got: shown(value),
    fix: "fetch or export it again",
  });
}
