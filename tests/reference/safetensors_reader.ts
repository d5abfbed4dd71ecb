/**
 * Reads and writes the safetensors files of recorded cases, with no use of the library under test: typed arrays in,
 * typed arrays out. float16, bfloat16 and 64-bit integers come out exactly.
 * @module
 */
import type { DTypeName } from "../../core/dtype.ts";

/** Numbers of a tensor. bool is a Uint8Array, bfloat16 a Float32Array, complex64 interleaved in a Float32Array. */
export type Numbers =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float16Array
  | Float32Array
  | Float64Array;
/** A tensor on the host. */
export interface HostArray {
  readonly dtype: DTypeName;
  readonly shape: readonly number[];
  readonly data: Numbers;
}
/** A tensor as it lies in the file. */
export interface RawTensor {
  /** `BOOL`, `U8`, ..., `F16`, `BF16`, `F32`, `F64`. */
  readonly type: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

const NAMES: Readonly<Record<string, DTypeName>> = {
  BOOL: "bool",
  U8: "uint8",
  U16: "uint16",
  U32: "uint32",
  U64: "uint64",
  I8: "int8",
  I16: "int16",
  I32: "int32",
  I64: "int64",
  F16: "float16",
  BF16: "bfloat16",
  F32: "float32",
  F64: "float64",
};

/** The numbers in `bytes`, copied: a tensor may lie at any offset of its file. */
export function numbersOf(type: string, bytes: Uint8Array): Numbers {
  const { buffer } = bytes.slice();
  switch (type) {
    case "BOOL":
    case "U8":
      return new Uint8Array(buffer);
    case "U16":
      return new Uint16Array(buffer);
    case "U32":
      return new Uint32Array(buffer);
    case "U64":
      return new BigUint64Array(buffer);
    case "I8":
      return new Int8Array(buffer);
    case "I16":
      return new Int16Array(buffer);
    case "I32":
      return new Int32Array(buffer);
    case "I64":
      return new BigInt64Array(buffer);
    case "F16":
      return new Float16Array(buffer);
    case "BF16":
      return widen(new Uint16Array(buffer));
    case "F32":
      return new Float32Array(buffer);
    case "F64":
      return new Float64Array(buffer);
  }
  throw new Error(`unknown safetensors type ${type}`);
}

/** bfloat16 is the upper half of a float32. */
function widen(halves: Uint16Array): Float32Array {
  const words = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) words[i] = (halves[i] ?? 0) << 16;
  return new Float32Array(words.buffer);
}

/** A tensor as numbers; `complex` says that a trailing axis of 2 holds real and imaginary part. */
export function hostArray(raw: RawTensor, complex = false): HostArray {
  const dtype = NAMES[raw.type];
  if (dtype === undefined) throw new Error(`unknown safetensors type ${raw.type}`);
  const data = numbersOf(raw.type, raw.bytes);
  return complex ? { dtype: "complex64", shape: raw.shape.slice(0, -1), data } : { dtype, shape: raw.shape, data };
}

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** All tensors of a file, by name. */
export function parseTensors(file: Uint8Array): Map<string, RawTensor> {
  const size = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const head: Record<string, Entry | null> = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + size)));
  const tensors = new Map<string, RawTensor>();
  for (const [name, entry] of Object.entries(head)) {
    if (name === "__metadata__" || entry === null) continue;
    const { dtype: type, shape, data_offsets: [from, to] } = entry;
    tensors.set(name, { type, shape, bytes: file.subarray(8 + size + from, 8 + size + to) });
  }
  return tensors;
}

/** All tensors of a file, by name; none if there is no such file. */
export function readTensors(path: string): Map<string, RawTensor> {
  try {
    return parseTensors(Deno.readFileSync(path));
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return new Map();
    throw e;
  }
}

/** A file that holds `tensors`, in the order given. */
export function formatTensors(tensors: ReadonlyMap<string, RawTensor>): Uint8Array {
  const head: Record<string, Entry> = {};
  let end = 0;
  for (const [name, { type, shape, bytes }] of tensors) {
    head[name] = { dtype: type, shape, data_offsets: [end, end += bytes.length] };
  }
  const text = new TextEncoder().encode(JSON.stringify(head));
  const json = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(0x20);
  json.set(text);
  const file = new Uint8Array(8 + json.length + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  let at = 8 + json.length;
  for (const { bytes } of tensors.values()) {
    file.set(bytes, at);
    at += bytes.length;
  }
  return file;
}
