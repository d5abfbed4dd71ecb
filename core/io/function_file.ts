/**
 * Files of exported functions: a graph in JSON, the bytes of its constants, and a SHA-256 of all of it.
 *
 * ```
 * "denimfun"   version: u32   bytes of JSON: u32   JSON   padding to 64   constants, each padded to 64   SHA-256
 * ```
 *
 * `decodeFunction` trusts nothing: it checks the form of everything, and `core/transforms/export.ts`, which makes arrays
 * of it, checks each node by its record.
 * @module
 */
import { createHash } from "node:crypto";
import { type DType, dtypeOf } from "../dtype.ts";
import { CheckpointError, fail } from "../errors.ts";
import { isRecord, type Json, shown } from "./json.ts";
import { elementCount } from "./source.ts";

const MAGIC = "denimfun", VERSION = 1, HEADER = 16, ALIGN = 64, HASH = 32, MAX_AXES = 64;

/** An array of the file, or of its arguments and results. */
export interface FileArray {
  readonly dtype: DType;
  readonly shape: readonly number[];
}
/** A constant and its bytes. */
export interface FileConstant extends FileArray {
  readonly bytes: Uint8Array;
}
/** One node: values are numbered, inputs first, then the constants, then the nodes. */
export interface FileNode extends FileArray {
  readonly op: string;
  readonly inputs: readonly number[];
  readonly params: { readonly [name: string]: Json | undefined };
}
/** Lists and objects of numbered arrays and of plain values. */
export type FileTree =
  | { readonly array: number }
  | { readonly list: readonly FileTree[] }
  | { readonly object: { readonly [key: string]: FileTree } }
  | { readonly value: string | number | boolean | null };
/** The graph for one set of shapes. */
export interface FileTrace {
  readonly inputs: readonly FileArray[];
  /** Indices of the constants that it reads. */
  readonly constants: readonly number[];
  readonly nodes: readonly FileNode[];
  /** Values that come out. */
  readonly outputs: readonly number[];
  /** The arguments; arrays are inputs. */
  readonly args: FileTree;
  /** The result; arrays are outputs. */
  readonly result: FileTree;
}
/** All of a file. */
export interface FunctionFile {
  readonly constants: readonly FileConstant[];
  readonly traces: readonly FileTrace[];
  /** Free text of whoever wrote it. */
  readonly metadata: string;
}

const padded = (n: number): number => Math.ceil(n / ALIGN) * ALIGN;
const digest = (bytes: Uint8Array): Uint8Array => createHash("sha256").update(bytes).digest();
const plain = ({ dtype, shape }: FileArray): Json => ({ dtype: dtype.name, shape });

/** The bytes of a file. */
export function encodeFunction({ constants, traces, metadata }: FunctionFile): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify({
    metadata,
    constants: constants.map(plain),
    traces: traces.map((t) => ({
      ...t,
      inputs: t.inputs.map(plain),
      nodes: t.nodes.map(({ op, inputs, params, ...array }) => ({ op, inputs, params, ...Object(plain(array)) })),
    })),
  }));
  const start = padded(HEADER + json.length), data = constants.reduce((n, c) => n + padded(c.bytes.length), 0);
  const bytes = new Uint8Array(start + data + HASH), view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC));
  view.setUint32(8, VERSION, true);
  view.setUint32(12, json.length, true);
  bytes.set(json, HEADER);
  let at = start;
  for (const c of constants) {
    bytes.set(c.bytes, at);
    at += padded(c.bytes.length);
  }
  bytes.set(digest(bytes.subarray(0, at)), at);
  return bytes;
}

/** Throws: the file is no exported function, or is damaged. */
export function failFile(expected: string, got: string): never {
  return fail(CheckpointError, "importFunction", {
    cannot: "read the file",
    expected,
    got,
    fix: "export the function again with mx.exportFunction",
  });
}
/** What a file says. */
export function decodeFunction(bytes: Uint8Array): FunctionFile {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER + HASH || new TextDecoder("latin1").decode(bytes.subarray(0, 8)) !== MAGIC) {
    failFile("an exported function", `${bytes.length} bytes of something else`);
  }
  const version = view.getUint32(8, true), length = view.getUint32(12, true), end = bytes.length - HASH;
  if (version !== VERSION) failFile(`version ${VERSION}`, `version ${version}`);
  if (digest(bytes.subarray(0, end)).some((b, i) => b !== bytes[end + i])) {
    failFile("the checksum of its contents", "another one: the file is damaged or was changed");
  }
  if (HEADER + length > end) failFile(`${length} bytes of description`, "a shorter file");
  let json: Json;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(HEADER, HEADER + length)));
  } catch (error) {
    return failFile("JSON in UTF-8", error instanceof Error ? error.message.slice(0, 120) : String(error));
  }
  const file = fields(json), start = padded(HEADER + length);
  let at = start;
  const constants = listOf(file.constants).map((c): FileConstant => {
    const array = arrayOf(c), n = (elementCount(array.shape) ?? 0) * array.dtype.size, begin = at;
    at += padded(n);
    if (at > end) failFile("the bytes of all constants", "a shorter file");
    return { ...array, bytes: bytes.subarray(begin, begin + n) };
  });
  if (at !== end) failFile("nothing after the constants", `${end - at} bytes`);
  const { metadata = "" } = file;
  if (typeof metadata !== "string") return failFile("text as metadata", shown(metadata));
  return { constants, traces: listOf(file.traces).map((t) => traceOf(t, constants.length)), metadata };
}

function fields(x: Json | undefined): { readonly [key: string]: Json | undefined } {
  return isRecord(x) ? x : failFile("an object", shown(x));
}
function listOf(x: Json | undefined): readonly Json[] {
  return Array.isArray(x) ? x : failFile("a list", shown(x));
}
function numbersOf(x: Json | undefined, below: number): number[] {
  return listOf(x).map((n) =>
    typeof n === "number" && Number.isInteger(n) && n >= 0 && n < below
      ? n
      : failFile(`indices below ${below}`, shown(n))
  );
}
function arrayOf(x: Json | undefined): FileArray {
  const { dtype, shape } = fields(x), lengths = numbersOf(shape, Number.MAX_SAFE_INTEGER);
  if (typeof dtype !== "string" || lengths.length > MAX_AXES || elementCount(lengths) === null) {
    return failFile("a dtype and a shape", shown(x));
  }
  try {
    return { dtype: dtypeOf(dtype), shape: lengths };
  } catch {
    return failFile("a dtype", shown(dtype));
  }
}
function traceOf(x: Json, nConstants: number): FileTrace {
  const t = fields(x), inputs = listOf(t.inputs).map(arrayOf), constants = numbersOf(t.constants, nConstants);
  let known = inputs.length + constants.length;
  const nodes = listOf(t.nodes).map((n): FileNode => {
    const { op, inputs, params } = fields(n);
    if (typeof op !== "string") return failFile("the name of an operation", shown(op));
    return { op, inputs: numbersOf(inputs, known++), params: fields(params), ...arrayOf(n) };
  });
  const outputs = numbersOf(t.outputs, known);
  return {
    inputs,
    constants,
    nodes,
    outputs,
    args: treeOf(t.args, inputs.length),
    result: treeOf(t.result, outputs.length),
  };
}
/** The tree, whose arrays have the numbers 0 to `n - 1` in order. */
function treeOf(x: Json | undefined, n: number): FileTree {
  let next = 0;
  const walk = (x: Json | undefined, depth: number): FileTree => {
    const node = fields(x), { array, list, object, value } = node;
    if (depth > MAX_AXES) failFile(`at most ${MAX_AXES} levels`, "more");
    if (array !== undefined) return array === next ? { array: next++ } : failFile(`array ${next}`, shown(array));
    if (list !== undefined) return { list: listOf(list).map((v) => walk(v, depth + 1)) };
    if (object !== undefined) {
      return { object: Object.fromEntries(Object.entries(fields(object)).map(([k, v]) => [k, walk(v, depth + 1)])) };
    }
    if (value !== undefined && (value === null || typeof value !== "object")) return { value };
    return failFile("a tree of arrays", shown(x));
  };
  const tree = walk(x, 0);
  return next === n ? tree : failFile(`${n} arrays in a tree`, String(next));
}
