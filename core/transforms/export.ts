/**
 * Functions in files: their graphs for the arguments that were given, and back; and graphs as pictures.
 * @module
 */
import type { NDArray } from "../array.ts";
import { DType, dtypeOf } from "../dtype.ts";
import { fail, TransformError } from "../errors.ts";
import { type AnyParams, bindRecord, findPrimitive, Holder, hostData, tracer } from "../graph.ts";
import { allocate } from "../host.ts";
import { writeAtomic } from "../io/atomic.ts";
import {
  decodeFunction,
  encodeFunction,
  failFile,
  type FileConstant,
  type FileNode,
  type FileTrace,
  type FileTree,
  type FunctionFile,
} from "../io/function_file.ts";
import { type Json, shown } from "../io/json.ts";
import { uploadTensor } from "../io/mapped.ts";
import { bytesOf } from "../io/safetensors.ts";
import { hostBytes } from "../lower.ts";
import type { ParamTypes, Primitive } from "../primitive.ts";
import { describe, sameShape } from "../shape.ts";
import { simplify } from "./simplify.ts";
import { flatten, isBranch, outputArrays, rebuild, type Trace, trace } from "./trace.ts";

/** A function from a file: on trees of arrays like those that it was exported with. */
export type ImportedFunction = (...args: readonly unknown[]) => unknown;

/** Constants of all traces, each once. */
class Constants {
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
/** Options of {@linkcode exporter}. */
export interface ExporterOptions {
  /** Free text, which {@linkcode importFunction} gives back. Default "". */
  readonly metadata?: string;
}
/** A file in the making: {@linkcode exporter} returns it (`mlx.core.FunctionExporter`). */
export class FunctionExporter<A extends readonly unknown[]> {
  readonly #constants = new Constants();
  readonly #traces: FileTrace[] = [];
  readonly #path: string;
  readonly #f: (...args: A) => unknown;
  readonly #metadata: string;
  #isClosed = false;
  /** What {@linkcode exporter} calls. */
  constructor(file: string, f: (...args: A) => unknown, { metadata = "" }: ExporterOptions = {}) {
    this.#path = file;
    this.#f = f;
    this.#metadata = metadata;
  }
  /** Adds the graph that the function makes for these arguments. */
  add(...args: A): void {
    if (this.#isClosed) {
      fail(TransformError, "exporter", {
        cannot: `add to ${this.#path}`,
        expected: "a file that is still open",
        got: "one that has been written",
        fix: "add everything before close()",
      });
    }
    this.#traces.push(exported(this.#f, args, this.#constants));
  }
  /** Writes the file, whole or not at all. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    if (this.#traces.length === 0) {
      fail(TransformError, "exportFunction", {
        cannot: `write ${this.#path}`,
        expected: "at least one list of arguments",
        got: "none",
        fix: "pass arrays with the shapes that the function is to be called with",
      });
    }
    this.#isClosed = true;
    const bytes = encodeFunction({ constants: this.#constants.list, traces: this.#traces, metadata: this.#metadata });
    await writeAtomic(this.#path, (sink) => sink.write(bytes), "exportFunction");
  }
  /** For `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
/**
 * Writes a function to a file call by call (`mlx.core.exporter`): `add` takes the arguments of one graph, `close` writes.
 * Arrays that several graphs capture are written once. See {@linkcode exportFunction}.
 *
 * @example
 * ```ts ignore
 * import * as mx from "@denim/ml";
 * const e = mx.exporter("sum.denim", (...xs: mx.NDArray[]) => xs.reduce((a, b) => a.add(b)), { metadata: "sums" });
 * e.add(mx.ones([2]));
 * e.add(mx.ones([2]), mx.ones([2]));
 * await e.close();
 * const [sum, text] = mx.importFunction("sum.denim", { returnMetadata: true });
 * ```
 */
export function exporter<A extends readonly unknown[]>(
  file: string,
  f: (...args: A) => unknown,
  options: ExporterOptions = {},
): FunctionExporter<A> {
  return new FunctionExporter(file, f, options);
}
/**
 * Writes a function to a file, as the graphs that it makes for these lists of arguments (`mlx.core.export_function`).
 * Arguments and results are trees of arrays; numbers and strings among the arguments become constants, and so does what
 * the function captures. The file appears whole or not at all.
 *
 * @example
 * ```ts ignore
 * import * as mx from "@denim/ml";
 * const f = (x: mx.NDArray) => x.mul(2).sum();
 * await mx.exportFunction("double.denim", f, [mx.zeros([3])], [mx.zeros([4, 4])]);
 * mx.importFunction("double.denim")(mx.ones([3])); // array(6, dtype=float32)
 * ```
 */
export async function exportFunction<A extends readonly unknown[]>(
  file: string,
  f: (...args: A) => unknown,
  ...examples: readonly (readonly [...A])[]
): Promise<void> {
  const all = exporter(file, f);
  for (const args of examples) all.add(...args);
  await all.close();
}
function exported<A extends readonly unknown[]>(
  f: (...args: A) => unknown,
  args: readonly [...A],
  constants: Constants,
): FileTrace {
  const flat = flatten(args);
  let result: unknown;
  const t = trace(
    (xs) => outputArrays("exportFunction", result = f(...callArgs<A>(flat.fill(xs)))).arrays,
    flat.arrays,
  );
  const { nodes, outputs, captured } = simplify(t, new Set(), new Holder());
  const fixed = [...captured, ...nodes.filter((n) => n.prim.kind === "constant")];
  const number = new Map<NDArray, number>([...t.inputs, ...fixed].map((x, i) => [x, i]));
  const listed: FileNode[] = [];
  for (const n of nodes) {
    if (n.prim.kind === "constant") continue;
    const inputs = n.inputs.map((x) => number.get(x)!);
    if (n.prim.code < 0) number.set(n, inputs[0]!); // a view that only keeps an order
    else {
      number.set(n, t.inputs.length + fixed.length + listed.length);
      listed.push({ op: n.prim.name, inputs, params: paramsOut(n), dtype: n.dtype, shape: n.shape });
    }
  }
  return {
    inputs: t.inputs.map(({ dtype, shape }) => ({ dtype, shape })),
    constants: fixed.map((x) => constants.indexOf(x)),
    nodes: listed,
    outputs: outputs.map((o) => number.get(o)!),
    args: treeOut(args),
    result: treeOut(result),
  };
}
function callArgs<A extends readonly unknown[]>(args: unknown): A;
function callArgs(args: unknown): unknown {
  return args;
}
function treeOut(tree: unknown): FileTree {
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
/** Numbers that JSON has not are written as text. */
const numberOut = (n: number): Json =>
  Number.isFinite(n) && !Object.is(n, -0) ? n : Object.is(n, -0) ? "-0" : String(n);
function paramsOut(n: NDArray): Record<string, Json> {
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
function paramsIn({ params: schema, name }: Primitive, given: FileNode["params"]): AnyParams {
  const odd = Object.keys(given).find((key) => !(key in schema));
  if (odd !== undefined) failFile(`parameters of ${name}`, shown(odd));
  return Object.fromEntries(
    Object.entries(schema).map(([key, kind]): [string, AnyParams[string]] => {
      const value = READ[kind](given[key]);
      return value === null ? failFile(`${kind} for ${key} of ${name}`, shown(given[key])) : [key, value];
    }),
  );
}
/** A node of the file on arrays, if its record finds nothing wrong with it. */
function nodeIn(n: FileNode, inputs: readonly NDArray[]): NDArray {
  const prim = findPrimitive(n.op);
  if (!prim || prim.kind === "constant") return failFile("operations of this version", shown(n.op));
  if (Number.isFinite(prim.arity) && inputs.length !== prim.arity) {
    failFile(`${prim.arity} inputs of ${n.op}`, String(inputs.length));
  }
  const params = paramsIn(prim, n.params);
  let made: NDArray | null = null;
  try {
    const alike = prim.kind !== "elementwise" || inputs.every((x) => x.ndim === 0 || sameShape(x.shape, n.shape));
    if (alike && prim.valid?.(inputs, params) !== false) made = bindRecord(prim, inputs, params);
  } catch (error) {
    return failFile(`inputs and parameters that ${n.op} takes`, error instanceof Error ? error.message : String(error));
  }
  if (made && made.dtype === n.dtype && sameShape(made.shape, n.shape)) return made;
  return failFile(
    `${describe(n)} from ${n.op}`,
    made ? describe(made) : `impossible inputs ${inputs.map(describe).join(", ")}`,
  );
}
function traceIn(t: FileTrace, constants: readonly NDArray[]): Trace {
  const inputs = t.inputs.map(tracer), values = [...inputs, ...t.constants.map((i) => constants[i]!)];
  for (const n of t.nodes) values.push(nodeIn(n, n.inputs.map((i) => values[i]!)));
  return { inputs, outputs: t.outputs.map((i) => values[i]!) };
}
function constantIn({ dtype, shape, bytes }: FileConstant): NDArray {
  const data = allocate(dtype, bytes.length / dtype.size);
  hostBytes(data).set(bytes);
  return uploadTensor({ data, dtype, shape });
}

/**
 * Reads a function that {@linkcode exportFunction} wrote (`mlx.core.import_function`): lazy, and open to all transforms.
 * It takes arguments like those of the export: the same trees, shapes, dtypes and constants. A file that is damaged, of
 * another version, or asks for what cannot be, is a `CheckpointError`; nothing in it is run while it is read.
 *
 * @example
 * ```ts ignore
 * import * as mx from "@denim/ml";
 * const f = mx.compile(mx.importFunction("double.denim"));
 * f(mx.ones([3])); // array(6, dtype=float32)
 * ```
 */
export function importFunction(file: string): ImportedFunction;
/** As above, with the text that the file was written with. */
export function importFunction(file: string, options: { readonly returnMetadata: true }): [ImportedFunction, string];
export function importFunction(
  file: string,
  { returnMetadata = false }: { readonly returnMetadata?: boolean } = {},
): ImportedFunction | [ImportedFunction, string] {
  const { traces, metadata } = readFunction(Deno.readFileSync(file)), f = imported(file, traces);
  return returnMetadata ? [f, metadata] : f;
}
function imported(file: string, traces: readonly Imported[]): ImportedFunction {
  return (...args) => {
    const key = JSON.stringify(treeOut(args)), { arrays } = flatten(args);
    const fits = traces.find((t) =>
      t.key === key &&
      t.trace.inputs.every((x, i) => x.dtype === arrays[i]!.dtype && sameShape(x.shape, arrays[i]!.shape))
    );
    if (fits) return treeIn(fits.result, rebuild(fits.trace, arrays));
    return fail(TransformError, "importFunction", {
      cannot: `call the function of ${file} with ${arrays.map(describe).join(", ") || "no arrays"}`,
      expected: traces.map((t) => t.trace.inputs.map(describe).join(", ")).join(" or "),
      got: key,
      fix: "export it with these arguments, too",
    });
  };
}
interface Imported {
  readonly key: string;
  readonly trace: Trace;
  readonly result: FileTree;
}
function readFunction(bytes: Uint8Array): { traces: Imported[]; metadata: string } {
  const { constants, traces, metadata }: FunctionFile = decodeFunction(bytes), arrays = constants.map(constantIn);
  return {
    traces: traces.map((t) => ({ key: JSON.stringify(t.args), trace: traceIn(t, arrays), result: t.result })),
    metadata,
  };
}
function treeIn(tree: FileTree, arrays: readonly NDArray[]): unknown {
  if ("array" in tree) return arrays[tree.array];
  if ("list" in tree) return tree.list.map((x) => treeIn(x, arrays));
  if ("object" in tree) return Object.fromEntries(Object.entries(tree.object).map(([k, x]) => [k, treeIn(x, arrays)]));
  return tree.value;
}
