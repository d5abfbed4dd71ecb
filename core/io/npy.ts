/**
 * NumPy's files: `.npy` holds one array, `.npz` several in a zip file. What they say about objects is never run: the
 * header is read by a pattern, and arrays of Python objects are refused.
 * @module
 */
import type { NDArray } from "../array.ts";
import * as dt from "../dtype.ts";
import type { DType } from "../dtype.ts";
import { CheckpointError, fail } from "../errors.ts";
import { writeAtomic } from "./atomic.ts";
import { bytesOf, type Saveable } from "./safetensors.ts";
import { elementCount, type OpenSource, readRange, withFile } from "./source.ts";
import { type ByteSource, entryBytes, readZip, type ZipEntry, ZipWriter } from "./zip.ts";

/** What the header of a `.npy` file says. */
export interface NpyHeader {
  /** Type of the elements. */
  readonly dtype: DType;
  /** Lengths of the axes. */
  readonly shape: readonly number[];
  /** Do the first axes run fastest? */
  readonly fortran: boolean;
  /** Are the bytes of an element in the order of big-endian machines? */
  readonly swapped: boolean;
  /** Where the elements begin. */
  readonly begin: number;
}
/** Makes an array of bytes. */
export type Upload = (bytes: Uint8Array, dtype: DType, shape: readonly number[]) => NDArray;

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** Codes of the file; `V2` is what NumPy calls bytes that it has no type for, and MLX bfloat16. */
const DTYPES: ReadonlyMap<string, DType> = new Map([
  ["b1", dt.bool_],
  ["u1", dt.uint8],
  ["u2", dt.uint16],
  ["u4", dt.uint32],
  ["u8", dt.uint64],
  ["i1", dt.int8],
  ["i2", dt.int16],
  ["i4", dt.int32],
  ["i8", dt.int64],
  ["f2", dt.float16],
  ["f4", dt.float32],
  ["f8", dt.float64],
  ["c8", dt.complex64],
  ["V2", dt.bfloat16],
]);
const HEADER =
  /^\s*\{\s*'descr'\s*:\s*'([<>|=]?)(\w+)'\s*,\s*'fortran_order'\s*:\s*(True|False)\s*,\s*'shape'\s*:\s*\(([\d\s,]*)\)\s*,?\s*\}\s*$/;

const broken = (expected: string, got: string): never =>
  fail(CheckpointError, "load", {
    cannot: "read the array of NumPy",
    expected,
    got,
    fix: "the file is damaged or of another kind; save it again, with a dtype that MLX has",
  });

/**
 * Reads the header of a `.npy` file whose elements end it.
 * @param bytes The file's first bytes, its header included.
 * @param fileSize Bytes of the whole file.
 * @throws CheckpointError for everything else.
 */
export function parseNpyHeader(bytes: Uint8Array, fileSize: number): NpyHeader {
  const begin = headerEnd(bytes), version = bytes[6] ?? 0;
  if (bytes.length < begin) return broken(`${begin} bytes of header`, String(bytes.length));
  const text = new TextDecoder("latin1").decode(bytes.subarray(version === 1 ? 10 : 12, begin));
  const [, order = "", code = "", fortran, sizes] = HEADER.exec(text) ?? [], dtype = DTYPES.get(code);
  if (sizes === undefined) return broken("a dictionary of descr, fortran_order and shape", text.slice(0, 80));
  if (!dtype) return broken(`a dtype of ${[...DTYPES.keys()].join(", ")}`, `${order}${code}`);
  const shape = sizes.split(",").map((s) => s.trim()).filter((s) => s !== "").map(Number);
  const count = elementCount(shape);
  if (count === null || shape.length > 32 || !shape.every(Number.isSafeInteger)) {
    return broken("sizes that fit in memory", `[${shape.join()}]`);
  }
  if (fileSize - begin !== count * dtype.size) {
    return broken(`${count * dtype.size} bytes for ${dtype}[${shape.join()}]`, String(fileSize - begin));
  }
  return { dtype, shape, fortran: fortran === "True", swapped: order === ">" && dtype.size > 1, begin };
}
/** Bytes of magic, version and header, from the first 12 bytes. */
function headerEnd(prefix: Uint8Array): number {
  const version = prefix[6] ?? 0, v = new DataView(prefix.buffer, prefix.byteOffset, prefix.length);
  if (prefix.length < 12 || !MAGIC.every((byte, i) => prefix[i] === byte) || version < 1 || version > 3) {
    return broken("a file that begins with \\x93NUMPY and a version of 1 to 3", "other bytes");
  }
  return version === 1 ? 10 + v.getUint16(8, true) : 12 + v.getUint32(8, true);
}
const MAX_HEADER = 2 ** 20;
/** The header at `begin`, where a file of `size` bytes lies in `from`. */
function headerAt(from: ByteSource, begin: number, size: number): NpyHeader {
  const end = headerEnd(from.read(begin, Math.min(size, 12)));
  if (end > Math.min(size, MAX_HEADER)) return broken("a header inside the file", `${end} bytes`);
  return parseNpyHeader(from.read(begin, end), size);
}
/** Bytes of each element the other way round; both parts of a complex number for themselves. */
function swap(bytes: Uint8Array, dtype: DType): Uint8Array {
  const width = dtype.kind === "complex" ? dtype.size / 2 : dtype.size, out = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) out[i] = bytes[i - i % width + width - 1 - i % width]!;
  return out;
}
/** Makes the array of bytes, or of a range that can be mapped. */
function arrayOf(header: NpyHeader, make: (shape: readonly number[]) => NDArray): NDArray {
  const { shape, fortran } = header;
  return fortran ? make(shape.toReversed()).transpose() : make(shape);
}
function arrayOfBytes(bytes: Uint8Array, upload: Upload): NDArray {
  const header = parseNpyHeader(bytes, bytes.length), data = bytes.subarray(header.begin);
  const right = header.swapped ? swap(data, header.dtype) : data;
  return arrayOf(header, (shape) => upload(right, header.dtype, shape));
}

/** Runs `read` on the bytes of a file, and names the file in an error about it. */
export function readingFile<T>(path: string, kind: string, read: (from: ByteSource) => T): T {
  try {
    return withFile(path, (file, size) => read({ size, read: (offset, length) => readRange(file, offset, length) }));
  } catch (error) {
    const known = error instanceof CheckpointError;
    return fail(CheckpointError, "load", {
      cannot: `read ${path} as ${kind}`,
      expected: known ? error.expected : "a file that can be read",
      got: known ? error.got : error instanceof Error ? error.message : String(error),
      fix: known ? error.fix : "check the path and its permissions",
    });
  }
}
/** The array of a `.npy` file, mapped where its byte order allows. */
export function loadNpy(path: string, open: OpenSource, upload: Upload): NDArray {
  return readingFile(path, "npy", (from) => {
    const header = headerAt(from, 0, from.size);
    if (header.swapped) return arrayOfBytes(from.read(0, from.size), upload);
    const source = open(path);
    return arrayOf(header, (shape) => source.tensor(header.begin, header.dtype, shape));
  });
}
/** The arrays of a `.npz` file by name; those that are stored are mapped, compressed ones inflated. */
export function loadNpz(path: string, open: OpenSource, upload: Upload): Map<string, NDArray> {
  return readingFile(path, "npz", (from) => {
    const source = open(path);
    const array = (entry: ZipEntry): NDArray => {
      const header = entry.deflated ? null : headerAt(from, entry.begin, entry.size);
      if (!header || header.swapped) return arrayOfBytes(entryBytes(from, entry), upload);
      return arrayOf(header, (shape) => source.tensor(entry.begin + header.begin, header.dtype, shape));
    };
    return new Map([...readZip(from)].map(([name, entry]) => [name.replace(/\.npy$/, ""), array(entry)]));
  });
}

/** The header of a `.npy` file, padded so that elements begin at a multiple of 64 bytes. */
function encodeHeader(x: Saveable): Uint8Array<ArrayBuffer> {
  const code = [...DTYPES].find(([, d]) => d === x.dtype)?.[0] ?? "", order = x.dtype.size === 1 ? "|" : "<";
  const sizes = x.shape.length === 1 ? `${x.shape[0]},` : x.shape.join(", ");
  const text = `{'descr': '${order}${code}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const bytes = new Uint8Array(Math.ceil((10 + text.length + 1) / 64) * 64).fill(0x20);
  bytes.set([...MAGIC, 1, 0]);
  new DataView(bytes.buffer).setUint16(8, bytes.length - 10, true);
  bytes.set(new TextEncoder().encode(text), 10);
  bytes[bytes.length - 1] = 0x0a;
  return bytes;
}
const ending = (path: string, end: string): string => path.endsWith(end) ? path : path + end;

/**
 * Saves one array as `.npy`, which is added to the name where it lacks (`mlx.core.save`). The file appears whole or not
 * at all.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const folder = Deno.makeTempDirSync();
 * await mx.save(`${folder}/x`, mx.array([[1, 2], [3, 4]]));
 * mx.load(`${folder}/x.npy`).tolist(); // [[1, 2], [3, 4]]
 * ```
 */
export async function save(path: string, x: Saveable): Promise<void> {
  await writeAtomic(ending(path, ".npy"), async (sink) => {
    await sink.write(encodeHeader(x));
    await sink.write(bytesOf(path, x, await x.data()));
  });
}
/** Arrays by name, or a list, whose names are `arr_0`, `arr_1`, ... */
export type SaveableArrays = readonly Saveable[] | Readonly<Record<string, Saveable>>;
async function saveZip(path: string, arrays: SaveableArrays, deflate: boolean): Promise<void> {
  const named: [string, Saveable][] = Array.isArray(arrays)
    ? arrays.map((x: Saveable, i) => [`arr_${i}`, x])
    : Object.entries(arrays);
  await writeAtomic(ending(path, ".npz"), async (sink) => {
    const zip = new ZipWriter(sink, deflate);
    for (const [name, x] of named) {
      const header = encodeHeader(x), data = bytesOf(name, x, await x.data());
      const bytes = new Uint8Array(header.length + data.length);
      bytes.set(header);
      bytes.set(data, header.length);
      await zip.add(`${name}.npy`, bytes);
    }
    await zip.end();
  });
}
/**
 * Saves arrays as `.npz`, which is added to the name where it lacks (`mlx.core.savez`): by name, or as a list.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const path = `${Deno.makeTempDirSync()}/xs.npz`;
 * await mx.savez(path, { a: mx.ones([2]), b: mx.zeros([3]) });
 * const { a, b } = mx.load(path);
 * await mx.savez(path, [mx.ones([2])]);
 * Object.keys(mx.load(path)); // ["arr_0"]
 * ```
 */
export async function savez(path: string, arrays: SaveableArrays): Promise<void> {
  await saveZip(path, arrays, false);
}
/**
 * Saves arrays as {@linkcode savez} does, smaller and slower (`mlx.core.savez_compressed`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const path = `${Deno.makeTempDirSync()}/xs.npz`;
 * await mx.savezCompressed(path, { zeros: mx.zeros([1000]), eye: mx.eye(2) });
 * mx.load(path).eye!.tolist(); // [[1, 0], [0, 1]]
 * Deno.statSync(path).size < 1000; // true: savez takes more than 4000 bytes
 * ```
 */
export async function savezCompressed(path: string, arrays: SaveableArrays): Promise<void> {
  await saveZip(path, arrays, true);
}
