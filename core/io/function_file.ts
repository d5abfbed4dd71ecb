/**
 * Files of exported functions: a graph in JSON, the bytes of its constants, and a SHA-256 of all of it.
 *
 * ```
 * "denimfun"   version: u32   bytes of JSON: u32   JSON   padding to 64   constants, each padded to 64   SHA-256
 * ```
 *
 * Version 2 has records beside the traces: graphs for any shape, whose operations are called again. A file of version 1
 * has none. `decodeFunction` trusts nothing: it checks the form of everything, and `core/transforms/export.ts`, which makes arrays
 * of it, checks each node by its record.
 * @module
 */
import { createHash } from "node:crypto";
import { type DType, dtypeOf } from "../dtype.ts";
import { CheckpointError, fail } from "../errors.ts";
import { isRecord, type Json, shown } from "./json.ts";
import { elementCount } from "./source.ts";

const MAGIC = "denimfun", VERSION = 2, HEADER = 16, ALIGN = 64, HASH = 32, MAX_AXES = 64;

/** An array of the file, or of its arguments and results. */
export interface FileArray {
  readonly dtype: DType;
  readonly shape: readonly number[];
}
/** A constant and its bytes. */
export interface FileConstant extends FileArray {
  readonly bytes: Uint8Array;
}
/** A primitive on numbered values. */
export interface FileOperation {
  readonly op: string;
  readonly inputs: readonly number[];
  readonly params: { readonly [name: string]: Json | undefined };
}
/** One node: values are numbered, inputs first, then the constants, then the nodes. */
export interface FileNode extends FileOperation, FileArray {}
/** What is known of a value whose shape is not: how many axes it has. */
export interface FileRank {
  readonly dtype: DType;
  readonly axes: number;
}
/** A function of the library, to be called with these arguments: `transforms/export_record.ts` says how they are written. */
export interface FileCall {
  readonly call: string;
  readonly args: readonly Json[];
}
/** One step of a record: its results get the next numbers. */
export type FileStep = (FileOperation | FileCall) & { readonly results: readonly FileRank[] };
/** A length that the function read, and which therefore has to stay. */
export interface FileGuard {
  readonly value: number;
  readonly axis: number;
  readonly length: number;
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
/** The graph for any shapes: the lengths of the inputs are those of an example. */
export interface FileRecord extends Omit<FileTrace, "nodes"> {
  readonly steps: readonly FileStep[];
  readonly guards: readonly FileGuard[];
}
/** All of a file. */
export interface FunctionFile {
  readonly constants: readonly FileConstant[];
  readonly traces: readonly FileTrace[];
  readonly records: readonly FileRecord[];
  /** Free text of whoever wrote it. */
  readonly metadata: string;
}

const padded = (n: number): number => Math.ceil(n / ALIGN) * ALIGN;
const digest = (bytes: Uint8Array): Uint8Array => createHash("sha256").update(bytes).digest();
const plain = ({ dtype, shape }: FileArray): Json => ({ dtype: dtype.name, shape });

/** The bytes of a file. */
export function encodeFunction({ constants, traces, records, metadata }: FunctionFile): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify({
    metadata,
    constants: constants.map(plain),
    traces: traces.map((t) => ({
      ...t,
      inputs: t.inputs.map(plain),
      nodes: t.nodes.map(({ op, inputs, params, ...array }) => ({ op, inputs, params, ...Object(plain(array)) })),
    })),
    records: records.map((r) => ({
      ...r,
      inputs: r.inputs.map(plain),
      steps: r.steps.map((s) => ({ ...s, results: s.results.map((x) => ({ dtype: x.dtype.name, axes: x.axes })) })),
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
  if (version < 1 || version > VERSION) failFile(`a version up to ${VERSION}`, `version ${version}`);
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
  return {
    constants,
    traces: listOf(file.traces).map((t) => traceOf(t, constants.length)),
    records: listOf(version === 1 ? [] : file.records).map((r) => recordOf(r, constants.length)),
    metadata,
  };
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
  return { dtype: dtypeNamed(dtype), shape: lengths };
}
function dtypeNamed(name: string): DType {
  try {
    return dtypeOf(name);
  } catch {
    return failFile("a dtype", shown(name));
  }
}
function traceOf(x: Json, nConstants: number): FileTrace {
  const t = fields(x), inputs = listOf(t.inputs).map(arrayOf), constants = numbersOf(t.constants, nConstants);
  let known = inputs.length + constants.length;
  const nodes = listOf(t.nodes).map((n): FileNode => {
    const { op, inputs, params } = fields(n);
    return { op: nameOf(op), inputs: numbersOf(inputs, known++), params: fields(params), ...arrayOf(n) };
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
function nameOf(x: Json | undefined): string {
  return typeof x === "string" ? x : failFile("the name of an operation", shown(x));
}
function recordOf(x: Json, nConstants: number): FileRecord {
  const r = fields(x), inputs = listOf(r.inputs).map(arrayOf), constants = numbersOf(r.constants, nConstants);
  let known = inputs.length + constants.length;
  const steps = listOf(r.steps).map((s): FileStep => {
    const step = fields(s), before = known, results = listOf(step.results).map(rankOf);
    known += results.length;
    if (step.call !== undefined) return { call: nameOf(step.call), args: listOf(step.args), results };
    if (results.length !== 1) failFile("one result of an operation", shown(step.results));
    return { op: nameOf(step.op), inputs: numbersOf(step.inputs, before), params: fields(step.params), results };
  });
  const guards = listOf(r.guards).map((g): FileGuard => {
    const guard = fields(g), [value = 0] = numbersOf([guard.value ?? null], known);
    const [axis = 0, length = 0] = numbersOf([guard.axis ?? null, guard.length ?? null], Number.MAX_SAFE_INTEGER);
    return { value, axis, length };
  });
  const outputs = numbersOf(r.outputs, known);
  const args = treeOf(r.args, inputs.length), result = treeOf(r.result, outputs.length);
  return { inputs, constants, steps, guards, outputs, args, result };
}
function rankOf(x: Json): FileRank {
  const { dtype, axes } = fields(x), [n = 0] = numbersOf([axes ?? null], MAX_AXES + 1);
  return { dtype: dtypeNamed(nameOf(dtype)), axes: n };
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
