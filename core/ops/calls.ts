/**
 * Operations by name, for functions in files: those that take part in records (`core/record.ts`), and no others.
 * @module
 */
import type { Callable } from "../record.ts";
import * as conv from "./conv.ts";
import * as create from "./create.ts";
import * as einsum from "./einsum.ts";
import * as fast from "./fast.ts";
import * as index from "./index.ts";
import * as indexing from "./indexing.ts";
import * as matmul from "./matmul.ts";
import * as meet from "./meet.ts";
import * as quantized from "./quantized.ts";
import * as reduce from "./reduce.ts";
import * as scan from "./scan.ts";
import * as sort from "./sort.ts";
import * as ternary from "./ternary.ts";
import * as view from "./view.ts";

const families = [
  conv,
  create,
  einsum,
  fast,
  index,
  indexing,
  matmul,
  meet,
  quantized,
  reduce,
  scan,
  sort,
  ternary,
  view,
];
const names = new Map<Callable, string>(), functions = new Map<string, Callable>();
for (const family of families) {
  for (const [name, value] of Object.entries(family)) {
    if (typeof value !== "function" || functions.has(name)) continue;
    functions.set(name, value);
    names.set(value, name);
  }
}
/** The function's name, if files can name it. */
export function nameOfCall(f: Callable): string | undefined {
  return names.get(f);
}
/** The function of that name. Whether it takes part in records is not known of it before it is called. */
export function callNamed(name: string): Callable | undefined {
  return functions.get(name);
}
