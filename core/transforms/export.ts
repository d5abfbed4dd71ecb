/**
 * Functions in files: their graphs for the arguments that were given, and back; and graphs as pictures.
 * @module
 */
import type { NDArray } from "../array.ts";
import { DenimError, fail, TransformError } from "../errors.ts";
import { Holder, tracer } from "../graph.ts";
import { allocate } from "../host.ts";
import { writeAtomic } from "../io/atomic.ts";
import {
  decodeFunction,
  encodeFunction,
  failFile,
  type FileConstant,
  type FileNode,
  type FileRecord,
  type FileTrace,
  type FileTree,
  type FunctionFile,
} from "../io/function_file.ts";
import { uploadTensor } from "../io/mapped.ts";
import { hostBytes } from "../lower.ts";
import { describe, sameShape } from "../shape.ts";
import { callArgs, Constants, guarded, operationIn, paramsOut, treeIn, treeOut } from "./export_parts.ts";
import { recordIn, recordOut } from "./export_record.ts";
import { simplify } from "./simplify.ts";
import { flatten, outputArrays, rebuild, type Trace, trace } from "./trace.ts";

/** A function from a file: on trees of arrays like those that it was exported with. */
export type ImportedFunction = (...args: readonly unknown[]) => unknown;

/** Options of {@linkcode exporter}. */
export interface ExporterOptions {
  /** Free text, which {@linkcode importFunction} gives back. Default "". */
  readonly metadata?: string;
  /**
   * Is each graph written for any lengths of its arguments' axes? As in a shapeless compile: lengths that the function
   * itself reads (`x.shape[0]`) have to stay, and gradients, batches and compiled functions inside are an error. Default
   * false.
   */
  readonly shapeless?: boolean;
}
/**
 * A file in the making: {@linkcode exporter} returns it (`mlx.core.FunctionExporter`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const path = `${Deno.makeTempDirSync()}/norm.denim`;
 * {
 *   await using file = mx.exporter(path, (x: mx.NDArray) => x.square().sum().sqrt());
 *   file.add(mx.zeros([2]));
 *   file.add(mx.zeros([3]));
 * } // written here
 * String(mx.importFunction(path)(mx.array([3, 4]))); // "array(5, dtype=float32)"
 * ```
 */
export class FunctionExporter<A extends readonly unknown[]> {
  readonly #constants = new Constants();
  readonly #traces: FileTrace[] = [];
  readonly #records: FileRecord[] = [];
  readonly #path: string;
  readonly #f: (...args: A) => unknown;
  readonly #options: Required<ExporterOptions>;
  #isClosed = false;
  /** What {@linkcode exporter} calls. */
  constructor(file: string, f: (...args: A) => unknown, { metadata = "", shapeless = false }: ExporterOptions = {}) {
    this.#path = file;
    this.#f = f;
    this.#options = { metadata, shapeless };
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
    if (this.#options.shapeless) this.#records.push(recordOut(this.#f, args, this.#constants));
    else this.#traces.push(exported(this.#f, args, this.#constants));
  }
  /** Writes the file, whole or not at all. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    if (this.#traces.length + this.#records.length === 0) {
      fail(TransformError, "exportFunction", {
        cannot: `write ${this.#path}`,
        expected: "at least one list of arguments",
        got: "none",
        fix: "pass arrays with the shapes that the function is to be called with",
      });
    }
    this.#isClosed = true;
    const bytes = encodeFunction({
      constants: this.#constants.list,
      traces: this.#traces,
      records: this.#records,
      metadata: this.#options.metadata,
    });
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
 * ```ts
 * import * as mx from "@denim/ml";
 * const path = `${Deno.makeTempDirSync()}/sum.denim`;
 * const e = mx.exporter(path, (...xs: mx.NDArray[]) => xs.reduce((a, b) => a.add(b)), { metadata: "sums" });
 * e.add(mx.ones([2]));
 * e.add(mx.ones([2]), mx.ones([2]));
 * await e.close();
 * const [sum, text] = mx.importFunction(path, { returnMetadata: true });
 * sum(mx.array([1, 2]), mx.array([3, 4])); // array([4, 6], dtype=float32)
 * text; // "sums"
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
 * the function captures. With `shapeless` a graph is good for other lengths of the axes, too. The file appears whole or
 * not at all.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const folder = Deno.makeTempDirSync(), f = (x: mx.NDArray) => x.mul(2).sum();
 * await mx.exportFunction(`${folder}/double.denim`, f, [mx.zeros([3])], [mx.zeros([4, 4])]);
 * mx.importFunction(`${folder}/double.denim`)(mx.ones([3])); // array(6, dtype=float32)
 * await mx.exportFunction(`${folder}/any.denim`, f, [mx.zeros([3])], { shapeless: true });
 * mx.importFunction(`${folder}/any.denim`)(mx.ones([7])); // array(14, dtype=float32)
 * ```
 */
export function exportFunction<A extends readonly unknown[]>(
  file: string,
  f: (...args: A) => unknown,
  ...examples: readonly (readonly [...A])[]
): Promise<void>;
/** As above, with options: `await mx.exportFunction("f.denim", f, [x], { shapeless: true })`. */
export function exportFunction<A extends readonly unknown[]>(
  file: string,
  f: (...args: A) => unknown,
  ...examplesAndOptions: readonly [...(readonly [...A])[], ExporterOptions]
): Promise<void>;
export async function exportFunction<A extends readonly unknown[]>(
  file: string,
  f: (...args: A) => unknown,
  ...given: readonly (readonly [...A] | ExporterOptions)[]
): Promise<void> {
  const isOptions = (x: readonly [...A] | ExporterOptions): x is ExporterOptions => !Array.isArray(x);
  const all = exporter(file, f, given.find(isOptions));
  for (const args of given) if (!isOptions(args)) all.add(...args);
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
function traceIn(t: FileTrace, constants: readonly NDArray[]): Trace {
  const inputs = t.inputs.map(tracer), values = [...inputs, ...t.constants.map((i) => constants[i]!)];
  for (const n of t.nodes) {
    const made = operationIn(n, n.inputs.map((i) => values[i]!));
    if (made.dtype !== n.dtype || !sameShape(made.shape, n.shape)) {
      failFile(`${describe(n)} from ${n.op}`, describe(made));
    }
    values.push(made);
  }
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
 * ```ts
 * import * as mx from "@denim/ml";
 * const path = `${Deno.makeTempDirSync()}/double.denim`;
 * await mx.exportFunction(path, (x: mx.NDArray) => x.mul(2).sum(), [mx.zeros([3])]);
 * const f = mx.compile(mx.importFunction(path));
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
  const { graphs, metadata } = readFunction(Deno.readFileSync(file)), f = imported(file, graphs);
  return returnMetadata ? [f, metadata] : f;
}
function imported(file: string, graphs: readonly Imported[]): ImportedFunction {
  return (...args) => {
    const key = JSON.stringify(treeOut(args)), { arrays } = flatten(args);
    let refused: unknown = null;
    for (const g of graphs) {
      if (g.key !== key || !g.inputs.every((x, i) => x.dtype === arrays[i]!.dtype)) continue;
      try {
        const outputs = g.run(arrays);
        if (outputs) return treeIn(g.result, outputs);
      } catch (error) {
        refused ??= error;
      }
    }
    if (refused instanceof DenimError) throw refused; // an operation that cannot be for these shapes
    return fail(TransformError, "importFunction", {
      cannot: `call the function of ${file} with ${arrays.map(describe).join(", ") || "no arrays"}`,
      expected: graphs.map((g) => g.shapes).join(" or "),
      got: key,
      fix: "export it with these arguments, too",
    });
  };
}
/** A graph of a file: for fixed shapes, or for any. */
interface Imported {
  readonly key: string;
  readonly inputs: FileTrace["inputs"];
  readonly result: FileTree;
  /** For messages. */
  readonly shapes: string;
  /** Null where it does not hold for these arrays. */
  readonly run: (xs: readonly NDArray[]) => readonly NDArray[] | null;
}
function readFunction(bytes: Uint8Array): { graphs: Imported[]; metadata: string } {
  const { constants, traces, records, metadata }: FunctionFile = decodeFunction(bytes);
  const arrays = constants.map(constantIn);
  const fixed = traces.map((t): Imported => {
    const { args, inputs, result } = t, made = traceIn(t, arrays), shapes = inputs.map(describe).join(", ");
    const fits = (xs: readonly NDArray[]) => inputs.every((x, i) => sameShape(x.shape, xs[i]!.shape));
    return { key: JSON.stringify(args), inputs, result, shapes, run: (xs) => fits(xs) ? rebuild(made, xs) : null };
  });
  const free = records.map((r): Imported => {
    const { args, inputs, result } = r, run = guarded("the function", () => recordIn(r, arrays));
    const fits = (xs: readonly NDArray[]) =>
      inputs.every((x, i) => x.shape.length === xs[i]!.ndim) &&
      r.guards.every((g) => g.value >= inputs.length || xs[g.value]!.shape[g.axis] === g.length);
    return { key: JSON.stringify(args), inputs, result, shapes: shapesOf(r), run: (xs) => fits(xs) ? run(xs) : null };
  });
  return { graphs: [...fixed, ...free], metadata };
}
/** `float32[?,4]`: the lengths that have to be. */
function shapesOf({ inputs, guards }: FileRecord): string {
  const lengthOf = (value: number, axis: number) =>
    guards.find((g) => g.value === value && g.axis === axis)?.length ?? "?";
  return inputs.map(({ dtype, shape }, i) => `${dtype.name}[${shape.map((_, axis) => lengthOf(i, axis))}]`).join(", ");
}
