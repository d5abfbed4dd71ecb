/**
 * The safetensors format: a header in JSON, then the elements of all tensors without gaps.
 *
 * `parseSafetensorsHeader` trusts nothing and needs no array; loading hands byte ranges to a `TensorSource`; saving is
 * atomic. GGUF is next door in `gguf.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import * as dt from "../dtype.ts";
import type { DType } from "../dtype.ts";
import { CheckpointError, fail } from "../errors.ts";
import type { HostData } from "../primitive.ts";
import { writeAtomic } from "./atomic.ts";
import { isRecord, type Json, type JsonRecord, shown } from "./json.ts";
import { elementCount, type OpenSource, readRange, withFile } from "./source.ts";

/** One tensor of a safetensors file. */
export interface SafetensorsEntry {
  /** Its name. */
  readonly name: string;
  /** Type of its elements. */
  readonly dtype: DType;
  /** Lengths of its axes. */
  readonly shape: readonly number[];
  /** First byte, counted from the start of the file. */
  readonly begin: number;
  /** The byte after the last. */
  readonly end: number;
}
/** What the header of a safetensors file says. */
export interface SafetensorsHeader {
  /** The free text of `__metadata__`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of their bytes. */
  readonly tensors: readonly SafetensorsEntry[];
}
/** What a file holds, as arrays. */
export interface LoadedArrays {
  /** By name. */
  readonly arrays: Map<string, NDArray>;
  /** The free text of the file. */
  readonly metadata: Readonly<Record<string, string>>;
}
/** What can be saved: an `NDArray`, or anything that gives its elements like one. */
export interface Saveable {
  /** Type of its elements. */
  readonly dtype: DType;
  /** Lengths of its axes. */
  readonly shape: readonly number[];
  /** Elements in row-major order; bfloat16 widened to float32, bool as bytes, complex64 interleaved. */
  data(): HostData | Promise<HostData>;
}

const PREFIX = 8;
/** The reference implementation's own limit. */
const MAX_HEADER = 100_000_000;
const MAX_DEPTH = 8;
/** Codes of the file, as MLX reads them: 8-bit floats come as their bits. */
const DTYPES: ReadonlyMap<string, DType> = new Map([
  ["BOOL", dt.bool_],
  ["U8", dt.uint8],
  ["U16", dt.uint16],
  ["U32", dt.uint32],
  ["U64", dt.uint64],
  ["I8", dt.int8],
  ["I16", dt.int16],
  ["I32", dt.int32],
  ["I64", dt.int64],
  ["F16", dt.float16],
  ["F32", dt.float32],
  ["F64", dt.float64],
  ["BF16", dt.bfloat16],
  ["C64", dt.complex64],
  ["F8_E4M3", dt.uint8],
  ["F8_E8M0", dt.uint8],
]);

const broken = (expected: string, got: string): never =>
  fail(CheckpointError, "load", {
    cannot: "read the safetensors header",
    expected,
    got,
    fix: "the file is damaged or not safetensors; fetch or export it again",
  });

/**
 * JSON.parse keeps the last of two equal keys, so two readers could see two files: refuse them. Refuses depths, too,
 * that no header has and recursive code would not survive. The text is valid JSON.
 */
function checkStructure(text: string): void {
  const open: Set<string>[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === "{" || c === "[") open.push(new Set());
    else if (c === "}" || c === "]") open.pop();
    if (open.length > MAX_DEPTH) broken(`at most ${MAX_DEPTH} levels of JSON`, "more");
    if (c !== '"') continue;
    const start = i++;
    while (text[i] !== '"') i += text[i] === "\\" ? 2 : 1;
    let next = i + 1;
    while (/\s/.test(text[next] ?? "")) next++;
    if (text[next] !== ":") continue;
    const name: string = JSON.parse(text.slice(start, i + 1)), seen = open.at(-1);
    if (seen?.has(name)) broken("each name once", `${shown(name)} twice`);
    seen?.add(name);
  }
}

function parseJson(bytes: Uint8Array): JsonRecord {
  let text: string, value: Json;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (error) {
    return broken("JSON in UTF-8", error instanceof Error ? error.message.slice(0, 120) : String(error));
  }
  checkStructure(text);
  return isRecord(value) ? value : broken("a JSON object", shown(value));
}

const isSize = (x: Json | undefined): x is number =>
  typeof x === "number" && Number.isSafeInteger(x) && x >= 0 && !Object.is(x, -0);

function parseEntry(name: string, value: Json | undefined, dataStart: number, dataLength: number): SafetensorsEntry {
  if (!isRecord(value)) return broken(`an object for ${shown(name)}`, shown(value));
  const { dtype: code, shape, data_offsets: offsets } = value;
  const dtype = typeof code === "string" ? DTYPES.get(code) : undefined;
  if (!dtype) return broken(`one of the dtypes ${[...DTYPES.keys()].join(", ")} for ${shown(name)}`, shown(code));
  if (!Array.isArray(shape) || shape.length > 32 || !shape.every(isSize)) {
    return broken(`a shape of non-negative integers for ${shown(name)}`, shown(shape));
  }
  const count = elementCount(shape);
  if (count === null || !Number.isSafeInteger(count * dtype.size)) {
    return broken("sizes that fit in memory", `shape ${shown(shape)} of ${shown(name)}`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2) {
    return broken(`two data_offsets for ${shown(name)}`, shown(offsets));
  }
  const [begin, end] = offsets;
  if (!isSize(begin) || !isSize(end) || begin > end) {
    return broken(`data_offsets in order for ${shown(name)}`, shown(offsets));
  }
  if (end > dataLength) {
    return broken(`data of ${shown(name)} within the ${dataLength} bytes of data`, `data_offsets ${shown(offsets)}`);
  }
  if (end - begin !== count * dtype.size) {
    return broken(`${count * dtype.size} bytes for ${dtype}[${shape.join()}] ${shown(name)}`, `${end - begin}`);
  }
  return { name, dtype, shape, begin: dataStart + begin, end: dataStart + end };
}

/** Bytes of the header and its length prefix, from the first 8 bytes of a file. */
function headerEnd(prefix: Uint8Array, fileSize: number): number {
  if (prefix.length < PREFIX) return broken(`at least ${PREFIX} bytes`, `${prefix.length}`);
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER) || length > BigInt(fileSize - PREFIX)) {
    return broken(
      `a header that ends within the file of ${fileSize} bytes (and has at most ${MAX_HEADER})`,
      `a length of ${length}`,
    );
  }
  return PREFIX + Number(length);
}

/**
 * Reads the header of a safetensors file and checks it against the file's size: every tensor lies inside the file, no
 * two overlap, nothing lies between or after them, and each has exactly the bytes that its shape says.
 * @param bytes The file's first bytes, its header included; more does no harm.
 * @param fileSize Bytes of the whole file.
 * @throws CheckpointError for everything else.
 */
export function parseSafetensorsHeader(bytes: Uint8Array, fileSize: number): SafetensorsHeader {
  const dataStart = headerEnd(bytes, fileSize);
  if (bytes.length < dataStart) return broken(`${dataStart} bytes of header`, `${bytes.length}`);
  const { __metadata__: given, ...entries } = parseJson(bytes.subarray(PREFIX, dataStart)), metadata = given ?? {};
  if (!isRecord(metadata)) return broken("an object as __metadata__", shown(metadata));
  const texts: [string, string][] = Object.entries(metadata).map(([key, text]) =>
    typeof text === "string" ? [key, text] : broken(`text for the metadata ${shown(key)}`, shown(text))
  );
  const tensors = Object.entries(entries).map(([name, value]) =>
    parseEntry(name, value, dataStart, fileSize - dataStart)
  );
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = dataStart;
  for (const { name, begin, end } of tensors) {
    if (begin !== at) {
      return broken(`the data of ${shown(name)} to start at byte ${at}, without overlap or gap`, `${begin}`);
    }
    at = end;
  }
  if (at !== fileSize) return broken(`data up to the file's end at byte ${fileSize}`, `data up to ${at}`);
  return { metadata: Object.fromEntries(texts), tensors };
}

/** Names the file in an error about it. */
function reading<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CheckpointError) {
      return fail(CheckpointError, "load", {
        cannot: `read ${path} as safetensors`,
        expected: error.expected,
        got: error.got,
        fix: error.fix,
      });
    }
    return fail(CheckpointError, "load", {
      cannot: `open ${path}`,
      expected: "a safetensors file",
      got: error instanceof Error ? error.message : String(error),
      fix: "check the path and its permissions",
    });
  }
}

/** The header of the safetensors file `path`; reads nothing else of it. */
export function readSafetensorsHeader(path: string): SafetensorsHeader {
  return reading(path, () =>
    withFile(path, (file, size) => {
      const end = headerEnd(readRange(file, 0, Math.min(PREFIX, size)), size);
      return parseSafetensorsHeader(readRange(file, 0, end), size);
    }));
}

/**
 * The arrays of one safetensors file, by name, as views of the file that `open` maps: nothing is read before it is
 * used. MLX: `mx.load(path)`.
 */
export function loadSafetensors(path: string, open: OpenSource): LoadedArrays {
  const { metadata, tensors } = readSafetensorsHeader(path);
  const source = open(path);
  return { metadata, arrays: new Map(tensors.map((t) => [t.name, source.tensor(t.begin, t.dtype, t.shape)])) };
}

/** Paths of all `model*.safetensors` of a folder, in order of their names. An index file is not asked, as in mlx-lm. */
export function shardPaths(folder: string): string[] {
  const names: string[] = [];
  try {
    for (const { name, isDirectory } of Deno.readDirSync(folder)) {
      if (!isDirectory && /^model.*\.safetensors$/.test(name)) names.push(name);
    }
  } catch (error) {
    return fail(CheckpointError, "load", {
      cannot: `list ${folder}`,
      expected: "a folder with model*.safetensors",
      got: error instanceof Error ? error.message : String(error),
      fix: "check the path and its permissions",
    });
  }
  if (names.length === 0) {
    return fail(CheckpointError, "load", {
      cannot: `load weights from ${folder}`,
      expected: "one or more model*.safetensors",
      got: "none",
      fix: "give the folder of a whole model",
    });
  }
  return names.sort().map((name) => `${folder.replace(/[/\\]+$/, "")}/${name}`);
}

/** The arrays of all `model*.safetensors` of a folder; the metadata is that of the first file. */
export function loadSafetensorsFolder(folder: string, open: OpenSource): LoadedArrays {
  const arrays = new Map<string, NDArray>();
  const files = shardPaths(folder).map((path) => ({ path, ...loadSafetensors(path, open) }));
  for (const file of files) {
    for (const [name, array] of file.arrays) {
      if (arrays.has(name)) {
        return fail(CheckpointError, "load", {
          cannot: `load weights from ${folder}`,
          expected: "each name in one file only",
          got: `${name} again in ${file.path}`,
          fix: "remove the files of an older export",
        });
      }
      arrays.set(name, array);
    }
  }
  return { arrays, metadata: files[0]?.metadata ?? {} };
}

const codeOf = (dtype: DType): string => [...DTYPES].find(([, d]) => d === dtype)?.[0] ?? dtype.name;

/** The bytes of an array as files have them. */
export function bytesOf(name: string, x: Saveable, data: HostData): Uint8Array {
  let raw = data;
  if (x.dtype === dt.bfloat16 && data instanceof Float32Array) {
    const bits = new Uint16Array(data.buffer, data.byteOffset, data.length * 2);
    raw = Uint16Array.from({ length: data.length }, (_, i) => bits[2 * i + 1] ?? 0);
  }
  const want = (elementCount(x.shape) ?? 0) * x.dtype.size;
  if (raw.byteLength !== want) {
    fail(CheckpointError, "save", {
      cannot: `save ${name}`,
      expected: `${want} bytes for ${x.dtype}[${x.shape.join()}]`,
      got: `${raw.byteLength}`,
      fix: "its data() must have the elements of its shape",
    });
  }
  return new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength);
}

/** Length prefix and header of a file with these arrays, padded so that the data start at a multiple of 64 bytes. */
function encodeHeader(entries: readonly [string, Saveable][], metadata: Readonly<Record<string, string>>): Uint8Array {
  const header: [string, Json][] = Object.keys(metadata).length > 0 ? [["__metadata__", metadata]] : [];
  let at = 0;
  for (const [name, x] of entries) {
    const end = at + (elementCount(x.shape) ?? 0) * x.dtype.size;
    header.push([name, { dtype: codeOf(x.dtype), shape: x.shape, data_offsets: [at, end] }]);
    at = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const bytes = new Uint8Array(Math.ceil((PREFIX + json.length) / 64) * 64).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(bytes.length - PREFIX), true);
  bytes.set(json, PREFIX);
  return bytes;
}

/**
 * Saves arrays by name. The file appears whole or not at all: a full disk, an error or a kill leaves what was there.
 * Tensors of wide dtypes come first, so each lies at a multiple of its element size. The promise
 * is kept once the file is there (`mlx.core.save_safetensors`).
 *
 * @example
 * ```ts ignore
 * import * as mx from "@denim/ml";
 * await mx.saveSafetensors("model.safetensors", { weight: mx.ones([2, 3]) }, { format: "mlx" });
 * ```
 */
export async function saveSafetensors(
  path: string,
  arrays: ReadonlyMap<string, Saveable> | Readonly<Record<string, Saveable>>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const all: [string, Saveable][] = arrays instanceof Map ? [...arrays] : Object.entries(arrays);
  if (all.some(([name]) => name === "__metadata__")) {
    fail(CheckpointError, "save", {
      cannot: `save ${path}`,
      expected: "names of arrays",
      got: "__metadata__",
      fix: "rename it; metadata are the third argument",
    });
  }
  for (const [name, value] of Object.entries(metadata)) {
    if (typeof value === "string") continue;
    fail(CheckpointError, "save", {
      cannot: `save ${path}`,
      expected: "metadata that are strings",
      got: `${name}: ${value}`,
      fix: "turn it into a string",
    });
  }
  const order = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0;
  const entries = all.sort(([a, x], [b, y]) => y.dtype.size - x.dtype.size || order(a, b));
  await writeAtomic(path, async (sink) => {
    await sink.write(encodeHeader(entries, metadata));
    for (const [name, x] of entries) await sink.write(bytesOf(name, x, await x.data()));
  });
}
