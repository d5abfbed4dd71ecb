/**
 * Writers of safetensors and GGUF files for tests, written apart from the readers, and a seeded source of broken files.
 * @module
 */

/** A number, text, flag or list of the metadata, with its type in the file. */
export type Meta =
  | { readonly kind: "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "f32" | "f64"; readonly value: number }
  | { readonly kind: "u64" | "i64"; readonly value: bigint }
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "array"; readonly of: Meta["kind"]; readonly value: readonly Meta[] };
/** A tensor to write; `shape` in row-major order. */
export interface RawTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: number;
  readonly bytes: Uint8Array;
}
const CODES: readonly Meta["kind"][] = [
  "u8",
  "i8",
  "u16",
  "i16",
  "u32",
  "i32",
  "f32",
  "bool",
  "string",
  "array",
  "u64",
  "i64",
  "f64",
];

/** Bytes that grow. */
class Writer {
  readonly bytes: number[] = [];
  #view = new DataView(new ArrayBuffer(8));
  /** Appends the first `size` bytes that `set` writes. */
  put(size: number, set: (view: DataView) => void): this {
    set(this.#view);
    for (let i = 0; i < size; i++) this.bytes.push(this.#view.getUint8(i));
    return this;
  }
  u32(x: number): this {
    return this.put(4, (v) => v.setUint32(0, x, true));
  }
  u64(x: number | bigint): this {
    return this.put(8, (v) => v.setBigUint64(0, BigInt(x), true));
  }
  string(x: string): this {
    const bytes = new TextEncoder().encode(x);
    this.u64(bytes.length).bytes.push(...bytes);
    return this;
  }
  meta(x: Meta): this {
    switch (x.kind) {
      case "u8":
        return this.put(1, (v) => v.setUint8(0, x.value));
      case "i8":
        return this.put(1, (v) => v.setInt8(0, x.value));
      case "u16":
        return this.put(2, (v) => v.setUint16(0, x.value, true));
      case "i16":
        return this.put(2, (v) => v.setInt16(0, x.value, true));
      case "u32":
        return this.u32(x.value);
      case "i32":
        return this.put(4, (v) => v.setInt32(0, x.value, true));
      case "f32":
        return this.put(4, (v) => v.setFloat32(0, x.value, true));
      case "f64":
        return this.put(8, (v) => v.setFloat64(0, x.value, true));
      case "u64":
        return this.u64(x.value);
      case "i64":
        return this.put(8, (v) => v.setBigInt64(0, x.value, true));
      case "bool":
        return this.put(1, (v) => v.setUint8(0, x.value ? 1 : 0));
      case "string":
        return this.string(x.value);
      case "array":
        this.u32(CODES.indexOf(x.of)).u64(x.value.length);
        for (const item of x.value) this.meta(item);
        return this;
    }
  }
  pad(alignment: number): this {
    while (this.bytes.length % alignment !== 0) this.bytes.push(0);
    return this;
  }
}

/** A GGUF file. */
export function ggufFile(
  metadata: Readonly<Record<string, Meta>>,
  tensors: readonly RawTensor[],
  { version = 3, alignment = 32 }: { readonly version?: number; readonly alignment?: number } = {},
): Uint8Array<ArrayBuffer> {
  const entries = Object.entries(metadata);
  const out = new Writer().u32(0x46554747).u32(version).u64(tensors.length).u64(entries.length);
  for (const [key, value] of entries) out.string(key).u32(CODES.indexOf(value.kind)).meta(value);
  let offset = 0;
  for (const { name, shape, type, bytes } of tensors) {
    out.string(name).u32(shape.length);
    for (const length of shape.toReversed()) out.u64(length);
    out.u32(type).u64(offset);
    offset = Math.ceil((offset + bytes.length) / alignment) * alignment;
  }
  out.pad(alignment);
  for (const { bytes } of tensors) {
    for (const byte of bytes) out.bytes.push(byte);
    out.pad(alignment);
  }
  return Uint8Array.from(out.bytes);
}
/** A safetensors file with this text as its header. */
export function safetensorsFile(header: string, data: Uint8Array = new Uint8Array(0)): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(header), file = new Uint8Array(8 + json.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  file.set(data, 8 + json.length);
  return file;
}

/** Numbers from a seed, in [0, 1). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = state + 0x6d2b79f5 >>> 0;
    let x = Math.imul(state ^ state >>> 15, state | 1);
    x ^= x + Math.imul(x ^ x >>> 7, x | 61);
    return ((x ^ x >>> 14) >>> 0) / 2 ** 32;
  };
}
/** Pieces that break parsers. */
const WORDS = [
  "-1",
  "1.5",
  "1e999",
  "null",
  "true",
  "[]",
  "{}",
  '"__proto__"',
  "9007199254740993",
  "[[[[[[[[[[",
  '{"a":{"a":',
  '"\\ud800"',
  ",",
  "}",
  '"',
  "\\",
  "\u0000",
].map((text) => new TextEncoder().encode(text));
const NUMBERS = [
  0n,
  1n,
  31n,
  0x7fn,
  0xffn,
  0xffffn,
  0x7fffffffn,
  0xffffffffn,
  1n << 53n,
  (1n << 63n) - 1n,
  (1n << 64n) - 1n,
];

/** One to four changes of a file: bytes, numbers, words, cuts, repeats. */
export function mutate(file: Uint8Array, random: () => number): Uint8Array<ArrayBuffer> {
  const below = (n: number): number => Math.floor(random() * n);
  let bytes = Uint8Array.from(file);
  for (let changes = 1 + below(4); changes > 0; changes--) {
    // Most of what matters stands at the front.
    const at = below(random() < 0.5 ? Math.min(64, bytes.length + 1) : bytes.length + 1);
    const rest = bytes.subarray(at), front = bytes.subarray(0, at);
    const word = WORDS[below(WORDS.length)] ?? new Uint8Array(0), view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, NUMBERS[below(NUMBERS.length)] ?? 0n, true);
    const number = new Uint8Array(view.buffer, 0, random() < 0.5 ? 4 : 8),
      length = below(1 + Math.min(64, rest.length));
    const parts = [
      () => [front, [below(256)], rest.subarray(1)],
      () => [front, number, rest.subarray(number.length)],
      () => [front, word, rest.subarray(word.length)],
      () => [front, word, rest],
      () => [front],
      () => [front, rest.subarray(length)],
      () => [front, rest.subarray(0, length), rest],
      () => [front, [(rest[0] ?? 0) ^ 1 << below(8)], rest.subarray(1)],
    ][below(8)]?.() ?? [];
    bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
  }
  return bytes;
}

const text = (value: string): Meta => ({ kind: "string", value });
/** Whole files that mutations start from. */
export function seedFiles(): { safetensors: Uint8Array[]; gguf: Uint8Array[] } {
  const header = {
    __metadata__: { format: "mlx", "\u00e9": "x" },
    a: { dtype: "F32", shape: [2, 3], data_offsets: [0, 24] },
    b: { dtype: "BF16", shape: [4], data_offsets: [24, 32] },
    empty: { dtype: "U8", shape: [0, 7], data_offsets: [32, 32] },
    scalar: { dtype: "I64", shape: [], data_offsets: [32, 40] },
  };
  const metadata: Record<string, Meta> = {
    "general.architecture": text("llama"),
    "general.alignment": { kind: "u32", value: 32 },
    "a.u64": { kind: "u64", value: 1n << 60n },
    "a.flag": { kind: "bool", value: true },
    "a.float": { kind: "f64", value: 0.5 },
    "a.words": { kind: "array", of: "string", value: [text("one"), text("two")] },
    "a.floats": { kind: "array", of: "f32", value: [{ kind: "f32", value: 1 }, { kind: "f32", value: 2 }] },
    "a.nested": { kind: "array", of: "array", value: [{ kind: "array", of: "u8", value: [{ kind: "u8", value: 3 }] }] },
  };
  const tensors: RawTensor[] = [
    { name: "x", shape: [2, 3], type: 0, bytes: new Uint8Array(24) },
    { name: "q", shape: [2, 32], type: 2, bytes: new Uint8Array(36).fill(7) },
    { name: "k", shape: [256], type: 14, bytes: new Uint8Array(210).fill(9) },
  ];
  return {
    safetensors: [safetensorsFile(JSON.stringify(header), new Uint8Array(40)), safetensorsFile("{}  ")],
    gguf: [ggufFile(metadata, tensors), ggufFile({}, [], { version: 2 })],
  };
}
