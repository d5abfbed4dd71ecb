/**
 * One decoding step of a llama layer, 4 bits: what a language model does per token and layer. Its bytes are those of the
 * weights and of the keys and values.
 * @module
 */
import * as mx from "../../mod.ts";
import * as nn from "../../nn/mod.ts";
import type { Work } from "../work.ts";
import { normal } from "./inputs.ts";

/** Widths and lengths of a layer. */
export interface Sizes {
  readonly dims: number;
  readonly hidden: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly positions: number;
}
/** The sizes of Llama 3's 8 billion, and some that a simulated device runs in seconds. */
export const FULL: Sizes = { dims: 4096, hidden: 14336, heads: 32, keyHeads: 8, positions: 1024 };
export const TINY: Sizes = { dims: 256, hidden: 512, heads: 8, keyHeads: 2, positions: 64 };
const GROUP = 64, BITS = 4;

interface Packed {
  readonly w: mx.NDArray;
  readonly scales: mx.NDArray;
  readonly biases: mx.NDArray;
}
/** Random weights of 4 bits, made as such: to round real ones would take longer than the work. */
function packed(outputs: number, inputs: number, seed: number): Packed {
  const shape = [outputs, inputs / GROUP],
    w = mx.random.bits([outputs, inputs * BITS / 32], { key: mx.random.key(seed) });
  const [scales, biases] = [normal(shape, seed, mx.float16).mul(0.01), normal(shape, seed + 1, mx.float16).mul(0.01)];
  const made = { w, scales: scales.astype(mx.float16), biases: biases.astype(mx.float16) };
  mx.eval(made.w, made.scales, made.biases);
  return made;
}
const product = (x: mx.NDArray, { w, scales, biases }: Packed) =>
  mx.quantizedMatmul(x, w, scales, { biases, groupSize: GROUP, bits: BITS });
const bytesOf = (p: Packed) => p.w.nbytes + p.scales.nbytes + p.biases.nbytes;

/** The step as a compiled function of what the layers before made of the token; its own state is the caches. */
function layer({ dims, hidden, heads, keyHeads, positions }: Sizes) {
  const width = dims / heads, keys = keyHeads * width;
  const [q, k, v, o] = [packed(dims, dims, 1), packed(keys, dims, 3), packed(keys, dims, 5), packed(dims, dims, 7)];
  const [gate, up, down] = [packed(hidden, dims, 9), packed(hidden, dims, 11), packed(dims, hidden, 13)];
  const [n1, n2] = [normal([dims], 15, mx.float16), normal([dims], 16, mx.float16)];
  const shape = [1, keyHeads, positions, width], offset = positions - 1;
  const cache = { keys: normal(shape, 17, mx.float16), values: normal(shape, 18, mx.float16) };
  const turn = (x: mx.NDArray) => mx.fast.rope(x, width, { traditional: false, base: 5e5, scale: 1, offset });
  const at = mx.array([offset], mx.int32);
  const write = (old: mx.NDArray, x: mx.NDArray) => mx.writeAt(old, x, at, [2], { donate: true });
  const split = (x: mx.NDArray, n: number) => x.reshape([1, 1, n, width]).transpose([0, 2, 1, 3]);
  const take = (x: mx.NDArray) => {
    const h = mx.fast.rmsNorm(x, n1, 1e-5);
    const query = turn(split(product(h, q), heads));
    cache.keys = write(cache.keys, turn(split(product(h, k), keyHeads)));
    cache.values = write(cache.values, split(product(h, v), keyHeads));
    const seen = mx.fast.scaledDotProductAttention(query, cache.keys, cache.values, { scale: width ** -0.5 });
    const y = x.add(product(seen.transpose([0, 2, 1, 3]).reshape([1, 1, dims]), o));
    const z = mx.fast.rmsNorm(y, n2, 1e-5);
    return y.add(product(nn.silu(product(z, gate)).mul(product(z, up)), down));
  };
  const step = mx.compile(take, { inputs: cache, outputs: cache });
  const weights = [q, k, v, o, gate, up, down].reduce((sum, p) => sum + bytesOf(p), 0);
  return { step, cache, bytes: weights + 2 * keys * positions * 2 };
}

/** A layer's work: each run takes the step at the same position. */
export interface LayerWork {
  readonly run: () => void;
  /** The last output, the keys and the values. */
  readonly results: () => readonly mx.NDArray[];
  /** Of the weights and of all keys and values. */
  readonly bytes: number;
}
/** The layer's work with sizes of one's own. */
export function decodeLayer(sizes: Sizes): LayerWork {
  const { step, cache, bytes } = layer(sizes);
  const x = normal([1, 1, sizes.dims], 19, mx.float16);
  let out = x;
  const run = () => mx.eval(out = step(x), cache);
  return { run, results: () => [out, cache.keys, cache.values], bytes };
}

/** The works of one layer. */
export const layerWorks: readonly Work[] = [{
  name: "llama_layer_decode_4bit",
  group: "language model layer",
  prepare(tiny) {
    const sizes = tiny ? TINY : FULL, { run, bytes } = decodeLayer(sizes);
    return { run, cost: { flops: 0, read: bytes, written: 2 * sizes.dims } };
  },
}];
