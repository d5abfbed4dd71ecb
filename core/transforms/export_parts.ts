/**
 * Pieces of exported functions, there and back: constants, trees of arguments, and nodes with their parameters. Whole
 * graphs are in `export.ts`, records for any shape in `export_record.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { DType, dtypeOf } from "../dtype.ts";
import { CheckpointError, fail, TransformError } from "../errors.ts";
import { type AnyParams, bindRecord, findPrimitive, hostData, setRecorder } from "../graph.ts";
import { failFile, type FileConstant, type FileOperation, type FileTree } from "../io/function_file.ts";
import { type Json, shown } from "../io/json.ts";
import { bytesOf } from "../io/safetensors.ts";
import { hostBytes } from "../lower.ts";
import type { ParamTypes, Primitive } from "../primitive.ts";
import { describe, sameShape } from "../shape.ts";
import { isBranch } from "./trace.ts";

/** Constants of all traces, each once. */
export class Constants {
  readonly list: FileConstant[] = [];
  readonly #at = new Map<NDArray, number>();
  indexOf(x: NDArray): number {
    const known = this.#at.get(x);
    if (known !== undefined) return known;
    const isHost = x.prim.kind === "constant" && x.state === "lazy";
    const bytes = isHost ? hostBytes(hostData(x)) : bytesOf("a constant", asSaved(x), x.dataSync());
    this.#at.set(x, this.list.length);
    return this.list.push({ dtype: x.dtype, shape: x.shape, bytes }) - 1;
  }
}
function asSaved(x: NDArray) {
  return { dtype: x.dtype, shape: x.shape, data: () => x.dataSync() };
}
/** Arguments of any kind as those of the function. */
export function callArgs<A extends readonly unknown[]>(args: unknown): A;
export function callArgs(args: unknown): unknown {
  return args;
}
/** A tree with numbers in the places of its arrays. */
export function treeOut(tree: unknown): FileTree {
  let next = 0;
  const walk = (x: unknown): FileTree => {
    if (x !== null && typeof x === "object" && "prim" in x) return { array: next++ };
    if (Array.isArray(x)) return { list: x.map(walk) };
    if (isBranch(x)) return { object: Object.fromEntries(Object.entries(x).map(([k, v]) => [k, walk(v)])) };
    if (x === null || typeof x === "string" || typeof x === "boolean") return { value: x };
    if (typeof x === "number" && Number.isFinite(x)) return { value: x };
    return fail(TransformError, "exportFunction", {
      cannot: "describe the arguments or the result",
      expected: "trees of arrays, finite numbers, strings, booleans and null",
      got: typeof x === "object" ? x?.constructor?.name ?? "an object" : String(x),
      fix: "let the function capture it",
    });
  };
  return walk(tree);
}
/** The tree with arrays again. */
export function treeIn(tree: FileTree, arrays: readonly NDArray[]): unknown {
  if ("array" in tree) return arrays[tree.array];
  if ("list" in tree) return tree.list.map((x) => treeIn(x, arrays));
  if ("object" in tree) return Object.fromEntries(Object.entries(tree.object).map(([k, x]) => [k, treeIn(x, arrays)]));
  return tree.value;
}

/** Numbers that JSON has not are written as text. */
export const numberOut = (n: number): Json =>
  Number.isFinite(n) && !Object.is(n, -0) ? n : Object.is(n, -0) ? "-0" : String(n);
/** A node's parameters. */
export function paramsOut(n: NDArray): Record<string, Json> {
  return Object.fromEntries(
    Object.keys(n.prim.params).map((key): [string, Json] => {
      const value = n.params[key]!;
      if (value instanceof DType) return [key, value.name];
      return [
        key,
        typeof value === "number" ? numberOut(value) : typeof value === "boolean" ? value : Array.from(value, Number),
      ];
    }),
  );
}

/** How each kind of parameter is read; null where the value is none. */
const READ: { readonly [K in keyof ParamTypes]: (x: Json | undefined) => ParamTypes[K] | null } = {
  int: (x) => Number.isSafeInteger(x) ? Number(x) : null,
  float: (x) => typeof x === "number" ? x : typeof x === "string" && /^(-0|NaN|-?Infinity)$/.test(x) ? Number(x) : null,
  bool: (x) => typeof x === "boolean" ? x : null,
  ints: (x) => Array.isArray(x) && x.every((n) => Number.isSafeInteger(n)) ? x.map(Number) : null,
  dtype: (x) => typeof x === "string" ? dtypeOf(x) : null,
  host: () => null,
};
function paramsIn({ params: schema, name }: Primitive, given: FileOperation["params"]): AnyParams {
  const odd = Object.keys(given).find((key) => !(key in schema));
  if (odd !== undefined) failFile(`parameters of ${name}`, shown(odd));
  return Object.fromEntries(
    Object.entries(schema).map(([key, kind]): [string, AnyParams[string]] => {
      const value = READ[kind](given[key]);
      return value === null ? failFile(`${kind} for ${key} of ${name}`, shown(given[key])) : [key, value];
    }),
  );
}
/** May the primitive be applied to these inputs with these parameters? A recorder does not see the lengths read here. */
export function isPossible(prim: Primitive, inputs: readonly NDArray[], params: AnyParams): boolean {
  const before = setRecorder(null);
  try {
    return isAllowed(prim, inputs, params);
  } finally {
    setRecorder(before);
  }
}
function isAllowed(prim: Primitive, inputs: readonly NDArray[], params: AnyParams): boolean {
  if (Number.isFinite(prim.arity) && inputs.length !== prim.arity) return false;
  const [first, ...others] = prim.kind === "elementwise" ? inputs.filter((x) => x.ndim > 0) : [];
  if (first && others.some((x) => !sameShape(x.shape, first.shape))) return false;
  return prim.valid?.(inputs, params) !== false;
}
/** An operation of the file on arrays, if its record finds nothing wrong with it. */
export function operationIn(n: FileOperation, inputs: readonly NDArray[]): NDArray {
  const prim = findPrimitive(n.op);
  if (!prim || prim.kind === "constant") return failFile("operations of this version", shown(n.op));
  const params = paramsIn(prim, n.params);
  return guarded(n.op, () => {
    if (isPossible(prim, inputs, params)) return bindRecord(prim, inputs, params);
    return failFile(`inputs that ${n.op} takes`, `impossible inputs ${inputs.map(describe).join(", ")}`);
  });
}
/** Calls `f`; what it throws is the file's fault. */
export function guarded<T>(op: string, f: () => T): T {
  try {
    return f();
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    return failFile(`inputs and parameters that ${op} takes`, error instanceof Error ? error.message : String(error));
  }
}
