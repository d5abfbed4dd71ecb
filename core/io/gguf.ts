/**
 * The GGUF format of llama.cpp, versions 2 and 3: typed metadata, then tensors in ggml's block types.
 *
 * `parseGguf` trusts nothing and needs no array. What the blocks become is in `gguf_repack.ts`; what the names mean to
 * a language model is `lm/gguf_model.ts`.
 * @module
 */
import { CheckpointError, fail } from "../errors.ts";
import { elementCount, readRange, withFile } from "./source.ts";

/**
 * A value of the metadata. 64-bit integers beyond 2^53 are bigints; arrays of numbers are typed arrays where one fits.
 */
export type GgufValue = number | bigint | boolean | string | GgufArray;
/** An array of the metadata. */
export type GgufArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | readonly GgufValue[];
/** A block type of ggml: `block` elements take `bytes` bytes. */
export interface GgmlType {
  /** Its name. */
  readonly name: string;
  /** Elements of a block. */
  readonly block: number;
  /** Bytes of a block. */
  readonly bytes: number;
}
/** One tensor of a GGUF file. */
export interface GgufTensor {
  /** Its name. */
  readonly name: string;
  /** Lengths in row-major order: the file's, reversed. */
  readonly shape: readonly number[];
  /** How its elements are stored. */
  readonly type: GgmlType;
  /** First byte, counted from the start of the file. */
  readonly begin: number;
  /** The byte after the last. */
  readonly end: number;
}
/** What the front part of a GGUF file says. */
export interface GgufHeader {
  /** 2 or 3. */
  readonly version: number;
  /** What is said about the tensors, by key. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** In the order of the file's list. */
  readonly tensors: readonly GgufTensor[];
}

const type = (name: string, block: number, bytes: number): GgmlType => ({ name, block, bytes });
const TYPES: ReadonlyMap<number, GgmlType> = new Map([
  [0, type("F32", 1, 4)],
  [1, type("F16", 1, 2)],
  [2, type("Q4_0", 32, 18)],
  [3, type("Q4_1", 32, 20)],
  [6, type("Q5_0", 32, 22)],
  [7, type("Q5_1", 32, 24)],
  [8, type("Q8_0", 32, 34)],
  [9, type("Q8_1", 32, 40)],
  [10, type("Q2_K", 256, 84)],
  [11, type("Q3_K", 256, 110)],
  [12, type("Q4_K", 256, 144)],
  [13, type("Q5_K", 256, 176)],
  [14, type("Q6_K", 256, 210)],
  [15, type("Q8_K", 256, 292)],
  [16, type("IQ2_XXS", 256, 66)],
  [17, type("IQ2_XS", 256, 74)],
  [18, type("IQ3_XXS", 256, 98)],
  [19, type("IQ1_S", 256, 50)],
  [20, type("IQ4_NL", 32, 18)],
  [21, type("IQ3_S", 256, 110)],
  [22, type("IQ2_S", 256, 82)],
  [23, type("IQ4_XS", 256, 136)],
  [24, type("I8", 1, 1)],
  [25, type("I16", 1, 2)],
  [26, type("I32", 1, 4)],
  [27, type("I64", 1, 8)],
  [28, type("F64", 1, 8)],
  [29, type("IQ1_M", 256, 56)],
  [30, type("BF16", 1, 2)],
  [34, type("TQ1_0", 256, 54)],
  [35, type("TQ2_0", 256, 66)],
  [39, type("MXFP4", 32, 17)],
]);
const MAGIC = 0x46554747;
/** Deeper arrays of arrays are no metadata. */
const MAX_DEPTH = 4;
const MAX_AXES = 8;

const broken = (expected: string, got: string): never =>
  fail(CheckpointError, "load", {
    cannot: "read the GGUF header",
    expected,
    got,
    fix: "the file is damaged or not GGUF; fetch or convert it again",
  });

/** Gives the file's first `length` bytes, or more. */
export type Grow = (length: number) => Uint8Array;

/** Most bytes of a short text. */
const SHORT = 32;
/**
 * UTF-8 of few characters below U+0800, as nearly all of a vocabulary's hundred thousand are: a TextDecoder costs more
 * than they do. Null for other bytes.
 */
function shortText(bytes: Uint8Array, start: number, length: number): string | null {
  if (length > SHORT) return null;
  const units: number[] = [], end = start + length;
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (byte < 0x80) units.push(byte);
    else {
      const next = i + 1 < end ? bytes[++i]! : 0;
      if (byte < 0xc2 || byte > 0xdf || next >>> 6 !== 2) return null;
      units.push((byte & 31) << 6 | next & 63);
    }
  }
  return String.fromCharCode(...units);
}

/** Reads little-endian values in order; asks for more of the file when what it has runs out. */
class Cursor {
  at = 0;
  #view: DataView;
  #text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  constructor(private bytes: Uint8Array, readonly fileSize: number, private readonly grow: Grow) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  /**
   * Moves over `count` things of `size` bytes, which must be in the file, and returns where they start. The view may be
   * another one afterwards.
   */
  take(count: number, size: number, what: string): number {
    const start = this.at, end = start + count * size;
    if (end > this.fileSize) {
      broken(`${what} of ${count * size} bytes at byte ${start}`, `the end of the file at byte ${this.fileSize}`);
    }
    if (end > this.bytes.length) {
      this.bytes = this.grow(end);
      this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
      if (end > this.bytes.length) broken(`${what} up to byte ${end}`, `${this.bytes.length} bytes`);
    }
    this.at = end;
    return start;
  }
  u32(what: string): number {
    const at = this.take(1, 4, what);
    return this.#view.getUint32(at, true);
  }
  u64(what: string): bigint {
    const at = this.take(1, 8, what);
    return this.#view.getBigUint64(at, true);
  }
  /** A count of things of at least `size` bytes each, which must fit into the rest of the file. */
  count(size: number, what: string, prefix = ""): number {
    const at = this.take(1, 8, what), n = this.#view.getUint32(at, true) + 2 ** 32 * this.#view.getUint32(at + 4, true);
    const most = Math.floor((this.fileSize - this.at) / size);
    return n <= most ? n : broken(`${prefix}${what} of at most ${most} in the rest of the file`, `${n}`);
  }
  string(what: string): string {
    const length = this.count(1, what, "length of "), start = this.take(length, 1, what);
    try {
      return shortText(this.bytes, start, length) ?? this.#text.decode(this.bytes.subarray(start, start + length));
    } catch {
      return broken(`${what} in UTF-8`, `other bytes at byte ${start}`);
    }
  }
  /** One number or boolean of the given kind. */
  scalar({ size, read }: Scalar, what: string): number | bigint | boolean {
    const at = this.take(1, size, what);
    return read(this.#view, at);
  }
  /** A copy of bytes. */
  copy(count: number, size: number, what: string): ArrayBuffer {
    const start = this.take(count, size, what), to = new Uint8Array(count * size);
    to.set(this.bytes.subarray(start, start + count * size));
    return to.buffer;
  }
}

interface Scalar {
  readonly size: number;
  readonly read: (view: DataView, at: number) => number | bigint | boolean;
  /** The array type of many, where JavaScript has one. */
  readonly many?: (buffer: ArrayBuffer) => GgufArray;
}
const exact = (n: bigint): number | bigint => Number.isSafeInteger(Number(n)) ? Number(n) : n;
const bit = (n: number): boolean => n < 2 ? n === 1 : broken("0 or 1 as a boolean", `${n}`);
const STRING = 8, ARRAY = 9;
const SCALARS: ReadonlyMap<number, Scalar> = new Map<number, Scalar>([
  [0, { size: 1, read: (v, i) => v.getUint8(i), many: (b) => new Uint8Array(b) }],
  [1, { size: 1, read: (v, i) => v.getInt8(i), many: (b) => new Int8Array(b) }],
  [2, { size: 2, read: (v, i) => v.getUint16(i, true), many: (b) => new Uint16Array(b) }],
  [3, { size: 2, read: (v, i) => v.getInt16(i, true), many: (b) => new Int16Array(b) }],
  [4, { size: 4, read: (v, i) => v.getUint32(i, true), many: (b) => new Uint32Array(b) }],
  [5, { size: 4, read: (v, i) => v.getInt32(i, true), many: (b) => new Int32Array(b) }],
  [6, { size: 4, read: (v, i) => v.getFloat32(i, true), many: (b) => new Float32Array(b) }],
  [7, { size: 1, read: (v, i) => bit(v.getUint8(i)) }],
  [10, { size: 8, read: (v, i) => exact(v.getBigUint64(i, true)) }],
  [11, { size: 8, read: (v, i) => exact(v.getBigInt64(i, true)) }],
  [12, { size: 8, read: (v, i) => v.getFloat64(i, true), many: (b) => new Float64Array(b) }],
]);

function readValue(from: Cursor, code: number, key: string, depth: number): GgufValue {
  const scalar = SCALARS.get(code), what = `value of ${key}`;
  if (scalar) return from.scalar(scalar, what);
  if (code === STRING) return from.string(what);
  if (code !== ARRAY) return broken(`a value type of 0 to 12 for ${key}`, `${code}`);
  if (depth === MAX_DEPTH) return broken(`at most ${MAX_DEPTH} arrays inside each other`, `more in ${key}`);
  const inner = from.u32(`element type of ${key}`), element = SCALARS.get(inner);
  const length = from.count(element?.size ?? (inner === ARRAY ? 12 : 8), `length of ${key}`);
  if (element?.many) return element.many(from.copy(length, element.size, what));
  const values: GgufValue[] = [];
  for (let i = 0; i < length; i++) values.push(readValue(from, inner, key, depth + 1));
  return values;
}

function readMetadata(from: Cursor, count: number): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < count; i++) {
    const key = from.string("key");
    if (metadata.has(key)) broken("each key once", `${key.slice(0, 80)} twice`);
    metadata.set(key, readValue(from, from.u32(`type of ${key}`), key, 0));
  }
  return metadata;
}

/** One row of the list of tensors; its place is still relative to the start of the data. */
function readTensor(from: Cursor): GgufTensor {
  const name = from.string("tensor name"), axes = from.u32(`number of axes of ${name}`), shape: number[] = [];
  if (axes > MAX_AXES) return broken(`at most ${MAX_AXES} axes for ${name}`, `${axes}`);
  for (let i = 0; i < axes; i++) shape.unshift(Number(from.u64(`shape of ${name}`)));
  const code = from.u32(`type of ${name}`), type = TYPES.get(code), begin = Number(from.u64(`offset of ${name}`));
  if (!type) return broken(`a ggml type for ${name}`, `type ${code}`);
  const count = elementCount(shape), row = shape.at(-1) ?? 1;
  if (count === null || !shape.every(Number.isSafeInteger)) {
    return broken(`sizes that fit in memory for ${name}`, `[${shape.join()}]`);
  }
  if (row % type.block !== 0) {
    return broken(`rows of ${name} in blocks of ${type.block} (${type.name})`, `rows of ${row}`);
  }
  const end = begin + count / type.block * type.bytes;
  if (!Number.isSafeInteger(end)) return broken(`data of ${name} inside the file`, `bytes ${begin} to ${end}`);
  return { name, shape, type, begin, end };
}

/** Places tensors in the file and refuses data outside it and data that two share. */
function placeTensors(
  tensors: readonly GgufTensor[],
  dataStart: number,
  alignment: number,
  fileSize: number,
): GgufTensor[] {
  const placed = tensors.map((t) => ({ ...t, begin: t.begin + dataStart, end: t.end + dataStart }));
  const names = new Set<string>();
  for (const t of placed) {
    if (names.has(t.name)) broken("each tensor once", `${t.name.slice(0, 80)} twice`);
    names.add(t.name);
    if ((t.begin - dataStart) % alignment !== 0) {
      broken(`${t.name} at a multiple of ${alignment} bytes`, `${t.begin - dataStart}`);
    }
    if (t.end > fileSize) broken(`data of ${t.name} to end within the file of ${fileSize} bytes`, `byte ${t.end}`);
  }
  let end = dataStart;
  for (const t of placed.filter((t) => t.end > t.begin).sort((a, b) => a.begin - b.begin)) {
    if (t.begin < end) broken(`${t.name} to start at byte ${end} or later, after the one before it`, `${t.begin}`);
    end = t.end;
  }
  return placed;
}

/**
 * Reads metadata and tensor list of a GGUF file (version 2 or 3, little endian) and checks them against the file's
 * size.
 * @param bytes The file's first bytes.
 * @param fileSize Bytes of the whole file.
 * @param grow Gives a longer start of the file where `bytes` ends too early.
 * @throws CheckpointError for everything else.
 */
export function parseGguf(bytes: Uint8Array, fileSize: number, grow: Grow = () => bytes): GgufHeader {
  const from = new Cursor(bytes, fileSize, grow);
  const magic = from.u32("magic number");
  if (magic !== MAGIC) return broken("the letters GGUF at the start", `0x${magic.toString(16)}`);
  const version = from.u32("version");
  if (version !== 2 && version !== 3) {
    return broken("version 2 or 3", (version & 0xffff) === 0 ? "a big-endian file" : `version ${version}`);
  }
  const tensorCount = from.count(24, "number of tensors"), valueCount = from.count(13, "number of metadata values");
  const metadata = readMetadata(from, valueCount), alignment = metadata.get("general.alignment") ?? 32;
  if (typeof alignment !== "number" || !Number.isInteger(alignment) || alignment < 1 || alignment > 1 << 20) {
    return broken("general.alignment from 1 to 1048576", String(alignment).slice(0, 80));
  }
  const tensors: GgufTensor[] = [];
  for (let i = 0; i < tensorCount; i++) tensors.push(readTensor(from));
  const dataStart = Math.ceil(from.at / alignment) * alignment;
  return { version, metadata, tensors: placeTensors(tensors, dataStart, alignment, fileSize) };
}

/** Metadata and tensor list of the GGUF file `path`; reads nothing else of it. */
export function readGgufHeader(path: string): GgufHeader {
  try {
    return withFile(path, (file, size) => {
      const grow: Grow = (length) => readRange(file, 0, Math.min(size, Math.max(1 << 20, 2 * length)));
      return parseGguf(grow(0), size, grow);
    });
  } catch (error) {
    const known = error instanceof CheckpointError;
    return fail(CheckpointError, "load", {
      cannot: `read ${path} as GGUF`,
      expected: known ? error.expected : "a GGUF file",
      got: known ? error.got : error instanceof Error ? error.message : String(error),
      fix: known ? error.fix : "check the path and its permissions",
    });
  }
}
