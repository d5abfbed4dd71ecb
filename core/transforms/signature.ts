/**
 * What a compiled program depends on: the tree of the arguments with each array as its dtype and shape, constants by
 * value, and the arrays of the state. As a text it is the key of the program; as a list it says why a call was traced.
 * @module
 */
import type { NDArray } from "../array.ts";
import { bind, Node } from "../graph.ts";
import { describe, sizeOf } from "../shape.ts";
import { isBranch } from "./trace.ts";

/** A place in a container that holds an array. */
export interface StateEntry {
  /** Keys from the container down, joined by dots. */
  readonly path: string;
  readonly array: NDArray;
}

const identities = new WeakMap<object, number>();
let nextIdentity = 0;
function identity(x: object): number {
  let id = identities.get(x);
  if (id === undefined) identities.set(x, id = nextIdentity++);
  return id;
}
/** What one node of the tree is, without what is below it. Different things have different texts. */
function textOf(x: unknown): string {
  switch (typeof x) {
    case "number":
      return Object.is(x, -0) ? "-0" : `${x}`;
    case "string":
      return JSON.stringify(x);
    case "bigint":
      return `${x}n`;
    case "function":
      return `function ${x.name || "without a name"} (${identity(x)})`;
    case "symbol":
    case "boolean":
      return String(x);
  }
  if (x === null || x === undefined) return String(x);
  if (x instanceof Node) return arrayText(x);
  if (Array.isArray(x)) return `a list of ${x.length}`;
  if (isBranch(x)) return `an object with ${JSON.stringify(Object.keys(x))}`;
  return `${x.constructor?.name ?? "object"} (${identity(x)})`;
}
/** dtype and shape, and where the elements are unless they are row-major in a buffer of their own. */
function arrayText(x: Node): string {
  if (isPlain(x)) return describe(x);
  const where = x.layout ? ` from ${x.layout.offset} by [${x.layout.strides}]` : "";
  return `${describe(x)}${where} in ${x.bufferBytes} bytes`;
}
/** Is the array row-major in a buffer of its own? */
export function isPlain(x: Node): boolean {
  return x.layout === null && (x.bufferBytes === 0 || x.bufferBytes === sizeOf(x.shape) * x.dtype.size);
}

/** The key of the program for these arguments and this state; a loose one has ranks in the place of shapes. */
export function signature(args: readonly unknown[], state: readonly StateEntry[], loose = false): string {
  const parts: string[] = [];
  const ofArray = (x: Node): string => loose ? `${x.dtype.name} of ${x.shape.length} axes` : arrayText(x);
  const walk = (x: unknown): void => {
    parts.push(x instanceof Node ? ofArray(x) : textOf(x));
    if (!isBranch(x)) return;
    if (Array.isArray(x)) x.forEach(walk);
    else for (const key in x) walk(x[key]);
  };
  walk(args);
  for (const { path, array } of state) parts.push(path, ofArray(array));
  return parts.join(";");
}
/**
 * Arguments that are parts of larger arrays, now here and now there: each place is a signature of its own, so after a
 * few of them the parts are copied, and all have one signature.
 */
export class Places {
  static readonly #most = 4;
  readonly #misses = new Map<string, number>();
  #copies = false;

  /** The arrays of a call as the program gets them. */
  settled(arrays: readonly NDArray[]): readonly NDArray[] {
    if (!this.#copies || arrays.every(isPlain)) return arrays;
    if ((this.#misses.get(shapesOf(arrays)) ?? 0) <= Places.#most) return arrays;
    return arrays.map((x) => isPlain(x) || x.traced ? x : bind("copy", [x], {}));
  }
  /** A call was traced for these. */
  missed(arrays: readonly NDArray[]): void {
    if (arrays.every(isPlain)) return;
    const key = shapesOf(arrays), n = (this.#misses.get(key) ?? 0) + 1;
    this.#misses.set(key, n);
    this.#copies ||= n > Places.#most;
  }
}
function shapesOf(arrays: readonly NDArray[]): string {
  return arrays.map(describe).join(";");
}
/** The same as texts by their paths: `args[0].weight`, `inputs[1].momentum`. */
export function entries(args: readonly unknown[], state: readonly StateEntry[]): Map<string, string> {
  const list = new Map<string, string>();
  const walk = (x: unknown, path: string): void => {
    list.set(path, textOf(x));
    if (!isBranch(x)) return;
    for (const [key, value] of Object.entries(x)) walk(value, below(path, key));
  };
  walk(args, "args");
  for (const { path, array } of state) list.set(path.split(".").reduce(below, "inputs"), arrayText(array));
  return list;
}
function below(path: string, key: string): string {
  return /^\d+$/.test(key) ? `${path}[${key}]` : `${path}.${key}`;
}

/** One part of a call's signature that differs from that of an earlier call. */
export interface SignatureChange {
  /** Where: `args[0].weight`; the state counts as `inputs`. */
  readonly path: string;
  /** What it was in the earlier call: `float32[2,3]`, `3`, `nothing`. */
  readonly from: string;
  /** What it is now. */
  readonly to: string;
}
/** What differs, in the order of the paths. Below a list or object that changed itself only what both have counts. */
export function changes(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): SignatureChange[] {
  const list: SignatureChange[] = [];
  for (const [path, to] of now) {
    const from = before.get(path) ?? "nothing";
    if (from !== to) list.push({ path, from, to });
  }
  for (const [path, from] of before) if (!now.has(path)) list.push({ path, from, to: "nothing" });
  return list;
}
