/**
 * The state of compiled functions: places in containers of any class that hold arrays, and what their arrays have to be
 * so that a program can write them in place.
 * @module
 */
import type { NDArray } from "../array.ts";
import { fail, TransformError } from "../errors.ts";
import { bind, isArray, Node, stateKeys } from "../graph.ts";
import { isContiguous } from "../lower.ts";
import { isPlain } from "./signature.ts";

/** A place in a container that holds an array. */
export interface Cell {
  readonly get: () => NDArray;
  readonly set: (x: NDArray) => void;
  /** Keys from the container down, joined by dots. */
  readonly path: string;
  /** The same for the same place of a container, whatever list it was found through. */
  readonly place: string;
}
type Container = Record<PropertyKey, unknown>;
function isContainer(x: unknown): x is Container {
  return typeof x === "object" && x !== null && !ArrayBuffer.isView(x) && !(x instanceof Node);
}
function isKeys(x: unknown): x is readonly string[] {
  return Array.isArray(x);
}
function arrayAt(x: Container, key: string): NDArray {
  const value = x[key];
  if (isArray(value)) return value;
  return fail(TransformError, "compile", {
    cannot: `read the state at ${key}`,
    expected: "an array, as before the call",
    got: typeof value,
    fix: "change arrays only",
  });
}
const numbers = new WeakMap<object, number>();
let next = 0;
function numberOf(x: object): number {
  const known = numbers.get(x) ?? next++;
  numbers.set(x, known);
  return known;
}
/** Arrays in containers of any class: plain trees, modules, optimizers, caches. Private fields are not seen. */
export function cellsOf(container: unknown): Cell[] {
  const cells: Cell[] = [], seen = new Set<object>();
  const walk = (x: unknown, path: string, place: string): void => {
    if (!isContainer(x) || seen.has(x)) return;
    seen.add(x);
    const accessors = isKeys(x[stateKeys]) ? x[stateKeys] : [];
    for (const key of [...Object.keys(x), ...accessors]) {
      const value = x[key], at = path ? `${path}.${key}` : key;
      // The entries of a list of containers are known by themselves, so that lists of other orders name the same places.
      const there = path === "" && Array.isArray(x) && isContainer(value) ? String(numberOf(value)) : `${place}.${key}`;
      if (isArray(value)) {
        cells.push({ get: () => arrayAt(x, key), set: (v) => x[key] = v, path: at, place: there });
      } else walk(value, at, there);
    }
  };
  walk(container, "", isContainer(container) ? String(numberOf(container)) : "");
  return cells;
}

/** Views of at most this many bytes get a buffer of their own before they are state. */
const SMALL_STATE = 4096;
/**
 * State is written in place, so it has to be dense: zeros, say, are one number seen as many. Small views are copied, so
 * that the next call, which finds what this one wrote, has the same signature.
 */
export function dense(x: NDArray): NDArray {
  const sparse = x.layout !== null && !isContiguous(x.layout, x.shape);
  return sparse || (!isPlain(x) && x.bufferBytes <= SMALL_STATE) ? bind("copy", [x], {}) : x;
}
/** New state has a buffer of its own: as a view it could not be written in place the next time. */
export function own(x: NDArray): NDArray {
  return x.traced && x.prim.kind === "view" ? bind("copy", [x], {}) : x;
}
