/**
 * The case of the random bits (family `random`): Threefry 2x32 of 20 rounds, word for word.
 * @module
 */
import { uint32 } from "../../core/dtype.ts";
import type { randomPrimitives } from "../../core/primitives/random.ts";
import type { Shape } from "../../core/primitive.ts";
import { type Cases, valuesFrom } from "./case.ts";
import { integers } from "./generate.ts";
import { count } from "./tensor.ts";

const ROTATIONS = [[13, 15, 26, 6], [17, 29, 16, 24]] as const;
/** Two words from two counters and two key words. */
function threefry(k0: number, k1: number, c0: number, c1: number): [number, number] {
  const keys = [k0, k1, k0 ^ k1 ^ 0x1bd11bda] as const;
  let x = (c0 + k0) >>> 0, y = (c1 + k1) >>> 0;
  for (let group = 0; group < 5; group++) {
    for (const r of ROTATIONS[group % 2]!) {
      x = (x + y) >>> 0;
      y = (((y << r) | (y >>> (32 - r))) ^ x) >>> 0;
    }
    x = (x + keys[(group + 1) % 3]!) >>> 0;
    y = (y + keys[(group + 2) % 3]! + group + 1) >>> 0;
  }
  return [x, y];
}
/**
 * `bytes` bytes of one key: words i and i + ⌈n/2⌉ are the hash of both counters; an odd middle word has the counter 0
 * beside it.
 */
function bytesOf(k0: number, k1: number, bytes: number): Uint8Array {
  const n = Math.ceil(bytes / 4), half = Math.ceil(n / 2), words = new Uint32Array(n);
  for (let i = 0; i < half; i++) {
    const last = i + half >= n, [x, y] = threefry(k0, k1, i, last ? 0 : i + half);
    words[i] = x;
    if (!last) words[i + half] = y;
  }
  return new Uint8Array(words.buffer).slice(0, bytes);
}
const keys = (shape: Shape) => [{ shape, domain: integers(0, 2 ** 32 - 1), dtype: uint32 }];

/** The cases of the family `random`. */
export const randomCases: Cases<keyof typeof randomPrimitives> = {
  randomBits: {
    dtypes: [uint32],
    variants: [
      { params: { shape: [6], width: 4 }, inputs: keys([2]) },
      { params: { shape: [3, 3], width: 4 }, inputs: keys([2]) },
      { params: { shape: [5], width: 2 }, inputs: keys([3, 2]) },
      { params: { shape: [7], width: 1 }, inputs: keys([2, 2]) },
      { params: { shape: [], width: 4 }, inputs: keys([4, 2]) },
      { params: { shape: [0], width: 4 }, inputs: keys([2]) },
      { params: { shape: [1001], width: 4 }, inputs: keys([2]) },
    ],
    reference: ([key], { shape, width }) => {
      const n = count(shape), rows = count(key!.shape) / 2;
      const streams = Array.from(
        { length: rows },
        (_, row) => new DataView(bytesOf(key!.re[2 * row]!, key!.re[2 * row + 1]!, n * width).buffer),
      );
      const read = (view: DataView, at: number) =>
        width === 4 ? view.getUint32(at, true) : width === 2 ? view.getUint16(at, true) : view.getUint8(at);
      return valuesFrom(rows * n, (i) => read(streams[Math.floor(i / n)]!, (i % n) * width));
    },
    perf: [{ label: "4M words", dtype: uint32, params: { shape: [1 << 22], width: 4 }, inputs: keys([2]), flops: 0 }],
  },
};
