/**
 * Writes GGUF files of llama.cpp, version 3: typed metadata, then tensors whose elements are plain numbers. What is
 * read back is what was written; `gguf.ts` is the reader.
 * @module
 */
import { NDArray } from "../array.ts";
import * as dt from "../dtype.ts";
import type { DType } from "../dtype.ts";
import { CheckpointError, fail } from "../errors.ts";
import { writeAtomic } from "./atomic.ts";
import type { GgufValue } from "./gguf.ts";
import { bytesOf, type Saveable } from "./safetensors.ts";
import { elementCount } from "./source.ts";

/** What the reader assumes if the metadata do not say it. */
const ALIGNMENT = 32;
const STRING = 8, ARRAY = 9, MAX_AXES = 4;
/** Codes of ggml for the dtypes that it has. */
const TENSORS: ReadonlyMap<DType, number> = new Map([
  [dt.float32, 0],
  [dt.float16, 1],
  [dt.int8, 24],
  [dt.int16, 25],
  [dt.int32, 26],
  [dt.int64, 27],
  [dt.float64, 28],
  [dt.bfloat16, 30],
]);

/** A kind of number in the metadata. */
interface Kind {
  readonly code: number;
  readonly size: number;
  readonly put: (view: DataView, at: number, value: number | bigint | boolean) => void;
}
const KINDS = {
  uint8: { code: 0, size: 1, put: (v, at, x) => v.setUint8(at, Number(x)) },
  int8: { code: 1, size: 1, put: (v, at, x) => v.setInt8(at, Number(x)) },
  uint16: { code: 2, size: 2, put: (v, at, x) => v.setUint16(at, Number(x), true) },
  int16: { code: 3, size: 2, put: (v, at, x) => v.setInt16(at, Number(x), true) },
  uint32: { code: 4, size: 4, put: (v, at, x) => v.setUint32(at, Number(x), true) },
  int32: { code: 5, size: 4, put: (v, at, x) => v.setInt32(at, Number(x), true) },
  float32: { code: 6, size: 4, put: (v, at, x) => v.setFloat32(at, Number(x), true) },
  bool: { code: 7, size: 1, put: (v, at, x) => v.setUint8(at, Number(x)) },
  uint64: { code: 10, size: 8, put: (v, at, x) => v.setBigUint64(at, BigInt(x), true) },
  int64: { code: 11, size: 8, put: (v, at, x) => v.setBigInt64(at, BigInt(x), true) },
  float64: { code: 12, size: 8, put: (v, at, x) => v.setFloat64(at, Number(x), true) },
} as const satisfies Record<string, Kind>;

type Plain = number | bigint | boolean;
/** One value of the metadata, with the kind that it is written as. */
type Typed =
  | { readonly text: string }
  | { readonly texts: readonly string[] }
  | { readonly kind: Kind; readonly value: Plain }
  | { readonly kind: Kind; readonly values: readonly Plain[] };

function refuse(key: string, got: string): never {
  return fail(CheckpointError, "saveGguf", {
    cannot: `write the metadata ${key}`,
    expected: "a string, number, boolean, bigint, an array of one of these, or an array of at most one axis",
    got,
    fix: "turn it into one of these",
  });
}
/** The smallest kind of at least 32 bits that holds all the numbers; fractions are float32, as in llama.cpp's keys. */
function kindOf(key: string, values: readonly Plain[]): Kind {
  if (values.every((x) => typeof x === "boolean")) return KINDS.bool;
  if (values.some((x) => typeof x === "number" && !Number.isSafeInteger(x))) return KINDS.float32;
  const within = (low: bigint, high: bigint) => values.every((x) => low <= BigInt(x) && BigInt(x) <= high);
  if (within(0n, 2n ** 32n - 1n)) return KINDS.uint32;
  if (within(-(2n ** 31n), 2n ** 31n - 1n)) return KINDS.int32;
  if (within(0n, 2n ** 64n - 1n)) return KINDS.uint64;
  return within(-(2n ** 63n), 2n ** 63n - 1n) ? KINDS.int64 : refuse(key, "integers of more than 64 bits");
}
const isPlain = (value: unknown): value is Plain => /^(number|bigint|boolean)$/.test(typeof value);
const TYPED_ARRAYS: readonly (readonly [{ new (n: number): ArrayLike<number> }, Kind])[] = [
  [Uint8Array, KINDS.uint8],
  [Int8Array, KINDS.int8],
  [Uint16Array, KINDS.uint16],
  [Int16Array, KINDS.int16],
  [Uint32Array, KINDS.uint32],
  [Int32Array, KINDS.int32],
  [Float32Array, KINDS.float32],
  [Float64Array, KINDS.float64],
];
async function ofArray(key: string, x: NDArray): Promise<Typed> {
  const kind = Object.entries(KINDS).find(([name]) => name === x.dtype.name)?.[1];
  if (x.shape.length > 1) return refuse(key, `an array of shape [${x.shape}]`);
  const values = Array.from<Plain>(await x.astype(kind ? x.dtype : dt.float32).data());
  const chosen = kind ?? KINDS.float32;
  return x.shape.length === 0 ? { kind: chosen, value: values[0]! } : { kind: chosen, values };
}
async function typed(key: string, value: GgufValue | NDArray): Promise<Typed> {
  if (typeof value === "string") return { text: value };
  if (value instanceof NDArray) return await ofArray(key, value);
  if (isPlain(value)) return { kind: kindOf(key, [value]), value };
  const [, kind] = TYPED_ARRAYS.find(([type]) => value instanceof type) ?? [];
  const values: readonly GgufValue[] = Array.from<GgufValue>(value);
  if (kind) return { kind, values: values.filter(isPlain) };
  if (values.every((x) => typeof x === "string")) return { texts: values };
  return values.every(isPlain) ? { kind: kindOf(key, values), values } : refuse(key, "an array of several kinds");
}

/** Collects the bytes of the file's front part. */
class Header {
  readonly #parts: Uint8Array[] = [];
  length = 0;
  bytes(part: Uint8Array): void {
    this.#parts.push(part);
    this.length += part.length;
  }
  number(kind: Kind, value: Plain): void {
    const part = new Uint8Array(kind.size);
    kind.put(new DataView(part.buffer), 0, value);
    this.bytes(part);
  }
  u32(value: number): void {
    this.number(KINDS.uint32, value);
  }
  u64(value: number): void {
    this.number(KINDS.uint64, value);
  }
  text(value: string): void {
    const part = new TextEncoder().encode(value);
    this.u64(part.length);
    this.bytes(part);
  }
  value(value: Typed): void {
    const many = "texts" in value ? value.texts : "values" in value ? value.values : null;
    const code = "kind" in value ? value.kind.code : STRING;
    if (many) {
      this.u32(ARRAY);
      this.u32(code);
      this.u64(many.length);
    } else this.u32(code);
    if ("text" in value) this.text(value.text);
    else if ("texts" in value) value.texts.forEach((x) => this.text(x));
    else if ("value" in value) this.number(value.kind, value.value);
    else value.values.forEach((x) => this.number(value.kind, x));
  }
  /** All of it, filled up with zeros. */
  joined(length: number): Uint8Array {
    const all = new Uint8Array(length);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}
type Align = (bytes: number) => number;
function alignment(given: GgufValue | NDArray = ALIGNMENT): Align {
  if (typeof given === "number" && Number.isInteger(given) && given > 0) {
    return (bytes) => Math.ceil(bytes / given) * given;
  }
  return refuse("general.alignment", `${given}`);
}
const sizeOf = (x: Saveable): number => (elementCount(x.shape) ?? 0) * x.dtype.size;

function writeHeader(
  tensors: readonly [string, Saveable][],
  metadata: readonly [string, Typed][],
  aligned: Align,
): Uint8Array {
  const header = new Header();
  header.bytes(new TextEncoder().encode("GGUF"));
  header.u32(3);
  header.u64(tensors.length);
  header.u64(metadata.length);
  for (const [key, value] of metadata) {
    header.text(key);
    header.value(value);
  }
  let offset = 0;
  for (const [name, x] of tensors) {
    const code = TENSORS.get(x.dtype);
    if (code === undefined || x.shape.length > MAX_AXES) {
      return fail(CheckpointError, "saveGguf", {
        cannot: `write ${name}`,
        expected: `at most ${MAX_AXES} axes of ${[...TENSORS.keys()].join(", ")}`,
        got: `${x.dtype}[${x.shape}]`,
        fix: "astype or reshape it, or use saveSafetensors",
      });
    }
    header.text(name);
    header.u32(x.shape.length);
    for (const length of x.shape.toReversed()) header.u64(length);
    header.u32(code);
    header.u64(offset);
    offset += aligned(sizeOf(x));
  }
  return header.joined(aligned(header.length));
}

/**
 * Saves arrays by name with metadata, in llama.cpp's format (`mlx.core.save_gguf`), unquantized: float32, float16,
 * bfloat16, float64, int8, int16, int32 and int64, of up to four axes. Integral numbers of the metadata are written as
 * uint32 if they fit, others as float32; an array gives its own dtype. The file appears whole or not at all.
 *
 * Throws `CheckpointError` for what the format cannot hold.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const path = await Deno.makeTempFile({ suffix: ".gguf" });
 * await mx.saveGguf(path, { weight: mx.ones([2, 3]) }, { "general.architecture": "mine", "mine.layers": 1 });
 * const [arrays, metadata] = await mx.load(path, { returnMetadata: true });
 * console.log(arrays.weight?.shape, metadata["mine.layers"]); // [ 2, 3 ] 1
 * ```
 */
export async function saveGguf(
  path: string,
  arrays: ReadonlyMap<string, Saveable> | Readonly<Record<string, Saveable>>,
  metadata: Readonly<Record<string, GgufValue | NDArray>> = {},
): Promise<void> {
  const tensors: [string, Saveable][] = arrays instanceof Map ? [...arrays] : Object.entries(arrays);
  const values: [string, Typed][] = [];
  for (const [key, value] of Object.entries(metadata)) values.push([key, await typed(key, value)]);
  const aligned = alignment(metadata["general.alignment"]), header = writeHeader(tensors, values, aligned);
  await writeAtomic(path, async (sink) => {
    await sink.write(header);
    for (const [name, x] of tensors) {
      await sink.write(bytesOf(name, x, await x.data()));
      await sink.write(new Uint8Array(aligned(sizeOf(x)) - sizeOf(x)));
    }
  }, "saveGguf");
}
