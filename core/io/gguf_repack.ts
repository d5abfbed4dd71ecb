/**
 * ggml's blocks as MLX's affine groups of 32, with nothing lost: w = scale * q + bias with the file's own integers q,
 * in MLX's packing (element i of a row in bits `bits * i` and up of its little-endian words). Scales are float16 where
 * that is exact, else float32. Types without such groups are expanded to float32.
 *
 * | type | bits | scale | bias |
 * | --- | --- | --- | --- |
 * | Q4_0, Q5_0, Q8_0 | 4, 5, 8 | d | -8 d, -16 d, -128 d |
 * | Q4_1, Q5_1 | 4, 5 | d | m |
 * | Q4_K, Q5_K | 4, 5 | d s_g | -dmin m_g |
 * | Q6_K | float32 | | |
 * @module
 */
import type { NDArray } from "../array.ts";
import * as dt from "../dtype.ts";
import type { DType } from "../dtype.ts";
import { CheckpointError, fail } from "../errors.ts";
import type { HostData } from "../primitive.ts";
import { type GgufHeader, type GgufTensor, readGgufHeader } from "./gguf.ts";
import { type HostTensor, type OpenSource, readRange, type StoredTensor, withFile } from "./source.ts";

/** What one tensor becomes: itself, or the three arrays of a quantized one. */
export interface GgufArrays {
  /** The tensor, or its packed integers. */
  readonly weight: HostTensor | StoredTensor;
  /** Of a quantized tensor: its groups' scales and biases, and the bits of an element. */
  readonly quantized?: { readonly scales: HostTensor; readonly biases: HostTensor; readonly bits: number };
}
/** Elements of a group. */
export const GGUF_GROUP = 32;

/**
 * Memory in which one tensor after the other is read and repacked: a chat model has a hundred megabytes of them at every
 * start, and fresh pages cost more than the repacking. What lies in a part is gone when the part is asked for again.
 */
export class Scratch {
  readonly #parts = new Map<string, ArrayBuffer>();
  /** At least `bytes` bytes, not cleared. */
  part(name: "file" | "rows" | "words" | "scales" | "biases", bytes: number): ArrayBuffer {
    const old = this.#parts.get(name);
    if (old && old.byteLength >= bytes) return old;
    const fresh = new ArrayBuffer(bytes);
    this.#parts.set(name, fresh);
    return fresh;
  }
}

/** Where the groups of a tensor are written while it is unpacked. */
interface Groups {
  readonly words: Uint32Array;
  readonly scales: Float32Array;
  readonly biases: Float32Array;
}
/** Unpacks the block at byte `at` into the groups from number `group` on. */
type Unpack = (from: DataView, at: number, to: Groups, group: number) => void;
interface Format {
  readonly bits: number;
  readonly unpack: Unpack;
}

/** Four bytes below 16 -> 16 bits. */
function squeeze(word: number): number {
  const pairs = (word | word >>> 4) & 0x00ff00ff;
  return (pairs | pairs >>> 8) & 0xffff;
}
/** The nibbles at `shift` of 16 bytes, in order, as two words. */
function nibbles(from: DataView, at: number, shift: number, words: Uint32Array, to: number): void {
  for (let i = 0; i < 2; i++) {
    const low = from.getUint32(at + 8 * i, true) >>> shift & 0x0f0f0f0f;
    const high = from.getUint32(at + 8 * i + 4, true) >>> shift & 0x0f0f0f0f;
    words[to + i] = squeeze(low) | squeeze(high) << 16;
  }
}
/** 32 elements of 5 bits as one little-endian stream of bits. */
function packFive(q: Uint8Array, words: Uint32Array, to: number): void {
  for (let i = 0; i < 32; i++) {
    const bit = 5 * i, word = to + (bit >>> 5), value = q[i] ?? 0;
    words[word] = (words[word] ?? 0) | value << (bit & 31);
    if ((bit & 31) > 27) words[word + 1] = value >>> 32 - (bit & 31);
  }
}
const five = new Uint8Array(32);

/** Q5_0 and Q5_1: d, [m], the 32 fifth bits, 16 bytes of nibbles. */
const fiveBits = (hasMin: boolean): Unpack => (from, at, to, group) => {
  const d = from.getFloat16(at, true), high = at + (hasMin ? 4 : 2), bits = from.getUint32(high, true);
  to.scales[group] = d;
  to.biases[group] = hasMin ? from.getFloat16(at + 2, true) : -16 * d;
  for (let i = 0; i < 32; i++) {
    five[i] = from.getUint8(high + 4 + (i & 15)) >>> (i < 16 ? 0 : 4) & 15 | (bits >>> i & 1) << 4;
  }
  packFive(five, to.words, 5 * group);
};
/** Scales and minima of a K block's 8 groups: 6 bits each in 12 bytes; the upper two of the last four are set apart. */
function kScales(from: DataView, at: number, to: Groups, group: number): void {
  const d = from.getFloat16(at, true),
    dmin = from.getFloat16(at + 2, true),
    byte = (i: number): number => from.getUint8(at + 4 + i);
  for (let j = 0; j < 4; j++) {
    to.scales[group + j] = d * (byte(j) & 63);
    to.biases[group + j] = -dmin * (byte(j + 4) & 63);
    to.scales[group + 4 + j] = d * (byte(j + 8) & 15 | byte(j) >>> 2 & 48);
    to.biases[group + 4 + j] = -dmin * (byte(j + 8) >>> 4 | byte(j + 4) >>> 2 & 48);
  }
}
/** Q4_K: each 32 bytes hold one group in their low and the next in their high nibbles. */
const fourBitsK: Unpack = (from, at, to, group) => {
  kScales(from, at, to, group);
  for (let g = 0; g < 8; g++) {
    const data = at + 16 + 32 * (g >>> 1), shift = g & 1 ? 4 : 0;
    nibbles(from, data, shift, to.words, 4 * (group + g));
    nibbles(from, data + 16, shift, to.words, 4 * (group + g) + 2);
  }
};
/** Q5_K: as Q4_K; bit g of byte i of the 32 bytes before them is the fifth bit of element i of group g. */
const fiveBitsK: Unpack = (from, at, to, group) => {
  kScales(from, at, to, group);
  for (let g = 0; g < 8; g++) {
    const data = at + 48 + 32 * (g >>> 1), shift = g & 1 ? 4 : 0;
    for (let i = 0; i < 32; i++) {
      five[i] = from.getUint8(data + i) >>> shift & 15 | (from.getUint8(at + 16 + i) >>> g & 1) << 4;
    }
    packFive(five, to.words, 5 * (group + g));
  }
};
const FORMATS: ReadonlyMap<string, Format> = new Map([
  ["Q5_0", { bits: 5, unpack: fiveBits(false) }],
  ["Q5_1", { bits: 5, unpack: fiveBits(true) }],
  ["Q4_K", { bits: 4, unpack: fourBitsK }],
  ["Q5_K", { bits: 5, unpack: fiveBitsK }],
]);

/**
 * Expands a Q6_K block of 256: w = d s q, 16 elements per 8-bit scale s. In each half of 128, byte l of 64 holds the
 * low four bits of elements l and l + 64, and byte l of 32 the upper two of elements l, l + 32, l + 64 and l + 96.
 */
function expandQ6K(from: DataView, at: number, to: Float32Array, start: number): void {
  const d = from.getFloat16(at + 208, true);
  for (let i = 0; i < 256; i++) {
    const half = i >>> 7, l = i & 127;
    const low = from.getUint8(at + 64 * half + (l & 63)) >>> (l < 64 ? 0 : 4) & 15;
    const high = from.getUint8(at + 128 + 32 * half + (l & 31)) >>> 2 * (l >>> 5) & 3;
    to[start + i] = Math.fround(d * from.getInt8(at + 192 + (i >>> 4))) * ((low | high << 4) - 32);
  }
}

/** Types whose elements stand as they are. */
const PLAIN: ReadonlyMap<string, readonly [DType, (bytes: ArrayBuffer) => HostData]> = new Map<
  string,
  readonly [DType, (bytes: ArrayBuffer) => HostData]
>([
  ["F32", [dt.float32, (b) => new Float32Array(b)]],
  ["F16", [dt.float16, (b) => new Float16Array(b)]],
  ["BF16", [dt.bfloat16, (b) => new Uint16Array(b)]],
  ["F64", [dt.float64, (b) => new Float64Array(b)]],
  ["I8", [dt.int8, (b) => new Int8Array(b)]],
  ["I16", [dt.int16, (b) => new Int16Array(b)]],
  ["I32", [dt.int32, (b) => new Int32Array(b)]],
  ["I64", [dt.int64, (b) => new BigInt64Array(b)]],
]);

/**
 * The common types, whose scales are halves that can be taken over bit by bit. Words are read whole, because a chat
 * model has millions of blocks and waits for this at every start.
 */
type Fast = (
  raw: Uint8Array<ArrayBuffer>,
  blocks: number,
  words: Uint32Array,
  scales: Uint16Array,
  biases: Uint16Array,
) => void;
const NIBBLES = 0x0f0f0f0f;
/** Two words of nibbles, each byte holding two elements 16 apart, as the words of the lower and of the upper ones. */
function spread(a: number, b: number, words: Uint32Array, low: number): void {
  words[low] = squeeze(a & NIBBLES) | squeeze(b & NIBBLES) << 16;
  words[low + 2] = squeeze(a >>> 4 & NIBBLES) | squeeze(b >>> 4 & NIBBLES) << 16;
}
/** Q4_1: d, m, 16 bytes; low nibbles are elements 0-15, high nibbles 16-31. */
const fastQ41: Fast = (raw, blocks, words, scales, biases) => {
  const from = new Uint32Array(raw.buffer, raw.byteOffset, 5 * blocks);
  for (let b = 0; b < blocks; b++) {
    const at = 5 * b, dm = from[at]!;
    scales[b] = dm;
    biases[b] = dm >>> 16;
    spread(from[at + 1]!, from[at + 2]!, words, 4 * b);
    spread(from[at + 3]!, from[at + 4]!, words, 4 * b + 1);
  }
};
/** Q4_0: d, 16 bytes as Q4_1; the bias is -8 d. */
const fastQ40: Fast = (raw, blocks, words, scales, biases) => {
  const from = new Uint16Array(raw.buffer, raw.byteOffset, 9 * blocks);
  const word = (i: number): number => from[i]! | from[i + 1]! << 16;
  for (let b = 0; b < blocks; b++) {
    const at = 9 * b;
    scales[b] = from[at]!;
    spread(word(at + 1), word(at + 3), words, 4 * b);
    spread(word(at + 5), word(at + 7), words, 4 * b + 1);
  }
  multiples(scales, -8, biases);
};
/** Q8_0: d, 32 signed bytes; q + 128 is unsigned, the bias is -128 d. */
const fastQ80: Fast = (raw, blocks, words, scales, biases) => {
  const from = new Uint16Array(raw.buffer, raw.byteOffset, 17 * blocks);
  for (let b = 0; b < blocks; b++) {
    const at = 17 * b + 1;
    scales[b] = from[at - 1]!;
    for (let i = 0; i < 8; i++) words[8 * b + i] = (from[at + 2 * i]! | from[at + 2 * i + 1]! << 16) ^ 0x80808080;
  }
  multiples(scales, -128, biases);
};
/** Halves times a power of two: exact unless it overflows. */
function multiples(of: Uint16Array, factor: number, to: Uint16Array): void {
  const from = new Float16Array(of.buffer, of.byteOffset, of.length),
    result = new Float16Array(to.buffer, to.byteOffset, to.length);
  for (let i = 0; i < from.length; i++) result[i] = factor * from[i]!;
}
const FAST: ReadonlyMap<string, { readonly bits: number; readonly repack: Fast; readonly largest: number }> = new Map([
  ["Q4_1", { bits: 4, repack: fastQ41, largest: Infinity }],
  ["Q4_0", { bits: 4, repack: fastQ40, largest: 65504 / 8 }],
  ["Q8_0", { bits: 8, repack: fastQ80, largest: 65504 / 128 }],
]);
/** A tensor of one of these types; biases that halves cannot hold make both lists float32. */
function repackFast(
  t: GgufTensor,
  raw: Uint8Array<ArrayBuffer>,
  { bits, repack, largest }: { bits: number; repack: Fast; largest: number },
  scratch: Scratch,
): GgufArrays {
  const groups = raw.length / t.type.bytes;
  const words = new Uint32Array(scratch.part("words", 4 * groups * bits), 0, groups * bits);
  const scales = new Float16Array(scratch.part("scales", 2 * groups), 0, groups),
    biases = new Float16Array(scratch.part("biases", 2 * groups), 0, groups);
  repack(raw, groups, words, new Uint16Array(scales.buffer, 0, groups), new Uint16Array(biases.buffer, 0, groups));
  const lead = t.shape.slice(0, -1), perRow = (t.shape.at(-1) ?? 0) / GGUF_GROUP, shape = [...lead, perRow];
  const weight: HostTensor = { dtype: dt.uint32, shape: [...lead, perRow * bits], data: words };
  if (largest === Infinity || scales.every((d) => !(Math.abs(d) > largest))) {
    return {
      weight,
      quantized: {
        scales: { dtype: dt.float16, shape, data: scales },
        biases: { dtype: dt.float16, shape, data: biases },
        bits,
      },
    };
  }
  const wide = (data: Float32Array): HostTensor => ({ dtype: dt.float32, shape, data }),
    factor = bits === 8 ? -128 : -8;
  return {
    weight,
    quantized: {
      scales: wide(Float32Array.from(scales)),
      biases: wide(Float32Array.from(scales, (d) => factor * d)),
      bits,
    },
  };
}

/** Whole rows in a new order: row r of the result is row `order[r]`. */
function reorder(bytes: Uint8Array<ArrayBuffer>, order: Uint32Array, scratch: Scratch): Uint8Array<ArrayBuffer> {
  const to = new Uint8Array(scratch.part("rows", bytes.length), 0, bytes.length), stride = bytes.length / order.length;
  order.forEach((from, row) => to.set(bytes.subarray(from * stride, (from + 1) * stride), row * stride));
  return to;
}
/** float16 where every value is one, else float32. */
function narrow(shape: readonly number[], ...lists: readonly [Float32Array, Float32Array]): [HostTensor, HostTensor] {
  const halves = lists.map((x) => Float16Array.from(x));
  const exact = lists.every((x, i) => x.every((v, j) => Object.is(v, halves[i]?.[j])));
  const tensor = (x: Float32Array): HostTensor =>
    exact ? { dtype: dt.float16, shape, data: Float16Array.from(x) } : { dtype: dt.float32, shape, data: x };
  return [tensor(lists[0]), tensor(lists[1])];
}

/**
 * The arrays of one tensor from its bytes.
 * @param order Which row of the file each row of the result is, where rows move.
 * @param scratch Memory that the result may lie in.
 * @throws CheckpointError for a block type that has no exact form here.
 */
export function repackGguf(
  t: GgufTensor,
  bytes: Uint8Array<ArrayBuffer>,
  order?: Uint32Array,
  scratch: Scratch = new Scratch(),
): GgufArrays {
  const raw = order ? reorder(bytes, order, scratch) : bytes, { shape, type } = t;
  const plain = PLAIN.get(type.name), from = new DataView(raw.buffer, raw.byteOffset, raw.length);
  if (plain) {
    return {
      weight: { dtype: plain[0], shape, data: plain[1](raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length)) },
    };
  }
  const fast = FAST.get(type.name);
  if (fast) return repackFast(t, raw, fast, scratch);
  const blocks = raw.length / type.bytes, count = blocks * type.block;
  if (type.name === "Q6_K") {
    const data = new Float32Array(count);
    for (let b = 0; b < blocks; b++) expandQ6K(from, b * type.bytes, data, b * type.block);
    return { weight: { dtype: dt.float32, shape, data } };
  }
  const format = FORMATS.get(type.name) ?? fail(CheckpointError, "load", {
    cannot: `use ${t.name}`,
    expected: `one of ${[...PLAIN.keys(), ...FAST.keys(), ...FORMATS.keys(), "Q6_K"].join(", ")}`,
    got: type.name,
    fix: "take another quantization of this model, as Q4_0, Q4_K_M or Q8_0",
  });
  const groups = count / GGUF_GROUP, { bits, unpack } = format;
  const to = {
    words: new Uint32Array(groups * bits),
    scales: new Float32Array(groups),
    biases: new Float32Array(groups),
  };
  for (let b = 0; b < blocks; b++) unpack(from, b * type.bytes, to, b * type.block / GGUF_GROUP);
  const lead = shape.slice(0, -1), perRow = (shape.at(-1) ?? 0) / GGUF_GROUP;
  const [scales, biases] = narrow([...lead, perRow], to.scales, to.biases);
  return {
    weight: { dtype: dt.uint32, shape: [...lead, perRow * bits], data: to.words },
    quantized: { scales, biases, bits },
  };
}

/**
 * The arrays of a GGUF file, one tensor at a time, so that no more than one is held as host memory: the data of each
 * stands only until the next is asked for. Tensors that stand in the file as they are needed come as their place in it.
 * @param order For a tensor whose rows move: see {@linkcode repackGguf}.
 */
export function* readGgufArrays(
  path: string,
  { tensors }: GgufHeader,
  order: (t: GgufTensor) => Uint32Array | undefined = () => undefined,
): Generator<readonly [GgufTensor, GgufArrays]> {
  const scratch = new Scratch();
  for (const t of tensors) {
    const plain = PLAIN.get(t.type.name), rows = order(t), size = t.end - t.begin;
    if (plain && !rows) yield [t, { weight: { dtype: plain[0], shape: t.shape, byteOffset: t.begin } }];
    else {
      const bytes = withFile(path, (file) => readRange(file, t.begin, size, scratch.part("file", size)));
      yield [t, repackGguf(t, bytes, rows, scratch)];
    }
  }
}

/** What a GGUF file holds, as arrays under llama.cpp's names. */
export interface LoadedGguf {
  /** By name. */
  readonly arrays: Map<string, NDArray>;
  /** What the file says about them. */
  readonly metadata: GgufHeader["metadata"];
}
/**
 * The arrays of a GGUF file under llama.cpp's names. A quantized `x.weight` comes with `x.scales` and `x.biases`,
 * groups of 32. MLX: `mx.load("model.gguf")`.
 * @param upload Makes an array of host data.
 */
export function loadGguf(path: string, open: OpenSource, upload: (tensor: HostTensor) => NDArray): LoadedGguf {
  const header = readGgufHeader(path), source = open(path), arrays = new Map<string, NDArray>();
  for (const [{ name }, { weight, quantized }] of readGgufArrays(path, header)) {
    arrays.set(name, "data" in weight ? upload(weight) : source.tensor(weight.byteOffset, weight.dtype, weight.shape));
    if (!quantized) continue;
    const base = name.replace(/\.weight$/, "");
    arrays.set(`${base}.scales`, upload(quantized.scales)).set(`${base}.biases`, upload(quantized.biases));
  }
  return { arrays, metadata: header.metadata };
}
