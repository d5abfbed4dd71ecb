/**
 * MLX's kernels against plain computations: which kernel, how MLX's host dispatches it, what it must give. The numbers
 * of arguments and threadgroups are MLX's; the references are written from the mathematics.
 * @module
 */
import type { Argument, Data, MetalBuffer, Run } from "../tests/metal/device.ts";

/** An instantiation of a template: the name it gets, the template, its arguments. */
export interface Kernel {
  readonly name: string;
  readonly function: string;
  readonly args: readonly (string | number)[];
}
/** What a case works with. */
export interface Kit {
  /** A library of instances, after these headers of MLX. */
  library(headers: string, kernels: readonly Kernel[]): bigint;
  /** A whole `.metal` file, or null where there are headers only. */
  file(name: string): bigint | null;
  buffer(data: Data | number, label?: string): MetalBuffer;
  run(
    library: bigint,
    name: string,
    args: readonly Argument[],
    run: Run,
    constants?: Readonly<Record<number, boolean | number>>,
  ): Promise<void>;
}
/** A case; `run` gives the largest relative error, and throws where it is too large. Null: it could not run. */
export interface Case {
  readonly name: string;
  run(kit: Kit): Promise<number | null>;
}

const kernel = (name: string, of: string, ...args: (string | number)[]): Kernel => ({ name, function: of, args });
const i32 = (...v: number[]): Argument => ({ bytes: new Int32Array(v) });
const u32 = (...v: number[]): Argument => ({ bytes: new Uint32Array(v) });
const i64 = (...v: number[]): Argument => ({ bytes: new BigInt64Array(v.map(BigInt)) });
const f32 = (...v: number[]): Argument => ({ bytes: new Float32Array(v) });

let state = 12345;
function random(): number {
  state = Math.imul(state, 1103515245) + 12345 & 0x7fffffff;
  return state / 0x7fffffff;
}
/** Normal numbers, by twelve uniform ones. */
const normal = (n: number) =>
  Float32Array.from({ length: n }, () => {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += random();
    return sum;
  });
const half = (x: ArrayLike<number>) => Float16Array.from(x);
function bfloat(x: ArrayLike<number>): Uint16Array {
  const bits = new Uint32Array(Float32Array.from(x).buffer);
  return Uint16Array.from(bits, (b) => b + 0x7fff + (b >>> 16 & 1) >>> 16);
}
const fromBfloat = (x: Uint16Array) => new Float32Array(Uint32Array.from(x, (b) => b << 16).buffer);
const halves = (b: MetalBuffer) => new Float16Array(b.bytes());

/** The largest error relative to the largest value; NaN must meet NaN. */
function close(got: ArrayLike<number>, want: ArrayLike<number>, tolerance: number): number {
  let error = 0, largest = 1e-30;
  if (got.length !== want.length) throw new Error(`wrong: ${got.length} elements for ${want.length}`);
  for (let i = 0; i < want.length; i++) {
    const g = got[i] ?? NaN, w = want[i] ?? NaN;
    if (Number.isNaN(g) !== Number.isNaN(w)) throw new Error(`wrong: element ${i} is ${g}, should be ${w}`);
    if (Number.isNaN(w)) continue;
    error = Math.max(error, Math.abs(g - w));
    largest = Math.max(largest, Math.abs(w));
  }
  if (!(error / largest <= tolerance)) throw new Error(`wrong: relative error ${error / largest} > ${tolerance}`);
  return error / largest;
}
/** A row of a matrix as numbers. */
const row = (x: ArrayLike<number>, i: number, n: number) => Array.from({ length: n }, (_, k) => x[i * n + k] ?? 0);
function softmax(x: readonly number[]): number[] {
  const top = Math.max(...x), e = x.map((v) => Math.exp(v - top)), sum = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / sum);
}
const rowwise = (x: ArrayLike<number>, n: number, f: (r: number[]) => number[]) =>
  Array.from({ length: x.length / n }, (_, i) => f(row(x, i, n))).flat();
/** a [m, k] times b [k, n] (or b [n, k] if `transposed`). */
function product(a: ArrayLike<number>, b: ArrayLike<number>, m: number, n: number, k: number, transposed = false) {
  return Array.from({ length: m * n }, (_, at) => {
    const i = Math.floor(at / n), j = at % n;
    let sum = 0;
    for (let l = 0; l < k; l++) sum += (a[i * k + l] ?? 0) * (b[transposed ? j * k + l : l * n + j] ?? 0);
    return sum;
  });
}

async function elementwise(kit: Kit): Promise<number> {
  const library = kit.library("unary_ops.h unary.h copy.h", [
    kernel("exp", "unary_v", "float", "float", "Exp"),
    kernel("tanh", "unary_v", "half", "half", "Tanh"),
    kernel("abs", "unary_v", "bfloat16_t", "bfloat16_t", "Abs"),
    kernel("copy", "copy_g_nd2", "float", "half", "int"),
  ]);
  const x = normal(1001), h = half(x), b = bfloat(x);
  const out = kit.buffer(4004, "out"), out16 = kit.buffer(2002, "out"), outB = kit.buffer(2002, "out");
  await kit.run(library, "exp", [kit.buffer(x, "in"), out, u32(1001)], { threads: [501], group: [128] });
  close(out.floats(), x.map(Math.exp), 1e-6);
  await kit.run(library, "tanh", [kit.buffer(h, "in"), out16, u32(1001)], { threads: [251], group: [64] });
  close(halves(out16), Array.from(h, Math.tanh), 1e-3);
  await kit.run(library, "abs", [kit.buffer(b, "in"), outB, u32(1001)], { threads: [251], group: [64] });
  close(fromBfloat(new Uint16Array(outB.bytes())), fromBfloat(b).map(Math.abs), 0);
  const m = normal(37 * 29), turned = kit.buffer(2 * 37 * 29, "out");
  const args = [kit.buffer(m, "in"), turned, null, i64(1, 29)];
  await kit.run(library, "copy", args, { threads: [37, 29], group: [16, 4] });
  return close(halves(turned), Array.from(m, (_, i) => m[i % 37 * 29 + Math.floor(i / 37)] ?? 0), 1e-3);
}

async function softmaxes(kit: Kit): Promise<number> {
  const library = kit.library("softmax.h logsumexp.h", [
    kernel("block", "softmax_single_row", "float"),
    kernel("looped", "softmax_looped", "half", "float"),
    kernel("lse", "logsumexp", "float"),
  ]);
  const x = normal(5000), out = kit.buffer(20000, "out"), input = kit.buffer(x, "in");
  await kit.run(library, "block", [input, out, i32(1000)], { groups: [5], group: [256] });
  const error = close(out.floats(), rowwise(x, 1000, softmax), 1e-5);
  const h = half(normal(10006)), out16 = kit.buffer(20012, "out");
  await kit.run(library, "looped", [kit.buffer(h, "in"), out16, i32(5003)], { groups: [2], group: [1024] });
  close(halves(out16), rowwise(h, 5003, softmax), 2e-3);
  const lse = kit.buffer(20, "out");
  await kit.run(library, "lse", [input, lse, i32(1000)], { groups: [5], group: [256] });
  close(lse.floats(), rowwise(x, 1000, (r) => [Math.log(r.reduce((a, v) => a + Math.exp(v), 0))]), 1e-5);
  return error;
}

async function reductions(kit: Kit): Promise<number> {
  const library = kit.library("atomic.h reduction/ops.h reduce.h", [
    kernel("row", "row_reduce_simple", "float", "float", "Sum<float>"),
    kernel("all", "all_reduce", "half", "half", "Max<half>"),
  ]);
  const x = normal(6300), out = kit.buffer(36, "out");
  await kit.run(library, "row", [kit.buffer(x, "in"), out, i64(700), i64(9)], { groups: [1, 3], group: [64] });
  const error = close(out.floats(), rowwise(x, 700, (r) => [r.reduce((a, b) => a + b, 0)]), 1e-5);
  const h = half(normal(3000)), top = kit.buffer(2, "out");
  await kit.run(library, "all", [kit.buffer(h, "in"), top, i64(3000), i64(3000)], { groups: [1], group: [256] });
  close(halves(top), [Math.max(...h)], 0);
  return error;
}

async function scan(kit: Kit): Promise<number> {
  const scan = kernel("scan", "contiguous_scan", "float", "float", "CumSum<float>", 4, "true", "false");
  const library = kit.library("binary_ops.h scan.h", [scan]);
  const x = normal(7500), out = kit.buffer(30000, "out");
  await kit.run(library, "scan", [kit.buffer(x, "in"), out, i64(2500)], { groups: [1, 3], group: [256, 1] });
  const sums = (r: number[]) => {
    let sum = 0;
    return r.map((v) => sum += v);
  };
  return close(out.floats(), rowwise(x, 2500, sums), 1e-5);
}

/** NaN last. */
const order = (a: number, b: number) => Number.isNaN(a) ? Number(!Number.isNaN(b)) : Number.isNaN(b) ? -1 : a - b;
async function sorts(kit: Kit): Promise<number> {
  const library = kit.library("sort.h", [
    kernel("sort", "block_sort", "float", "float", "false", 128, 8),
    kernel("argsort", "block_sort", "float", "uint32_t", "true", 128, 8),
  ]);
  const x = normal(3000);
  x[5] = NaN;
  const input = kit.buffer(x, "in"), out = kit.buffer(12000, "out"), places = kit.buffer(12000, "out");
  const sizes = [1000, 1, 1, 1000, 1000].map((n) => i32(n)), run = { groups: [1, 3], group: [128] };
  await kit.run(library, "sort", [input, out, ...sizes], run);
  const want = rowwise(x, 1000, (r) => r.sort(order));
  const error = close(out.floats(), want, 0);
  await kit.run(library, "argsort", [input, places, ...sizes], run);
  close(Array.from(places.ints(), (p, i) => x[Math.floor(i / 1000) * 1000 + p] ?? 0), want, 0);
  return error;
}

/** Little-endian numbers of several types, as a C struct: "i32", "i64", "f32", "u8" by their letters. */
function struct(...fields: readonly (readonly ["i" | "q" | "f" | "b", ...number[]])[]): Argument {
  const bytes = new Uint8Array(512), view = new DataView(bytes.buffer);
  let at = 0;
  for (const [type, ...values] of fields) {
    const width = type === "q" ? 8 : type === "b" ? 1 : 4;
    at = Math.ceil(at / width) * width;
    for (const v of values) {
      if (type === "q") view.setBigInt64(at, BigInt(v), true);
      else if (type === "f") view.setFloat32(at, v, true);
      else if (type === "b") view.setUint8(at, v);
      else view.setInt32(at, v, true);
      at += width;
    }
  }
  return { bytes: bytes.slice(0, Math.ceil(at / 8) * 8) };
}
const tiles = (n: number, of: number) => Math.ceil(n / of);

/** A type of elements: its name in MLX, to and from floats. */
interface Elements {
  readonly name: string;
  readonly tolerance: number;
  store(x: ArrayLike<number>): Data;
  load(b: MetalBuffer): ArrayLike<number>;
}
const FLOAT: Elements = { name: "float", tolerance: 1e-5, store: (x) => Float32Array.from(x), load: (b) => b.floats() };
const HALF: Elements = { name: "half", tolerance: 2e-3, store: half, load: halves };
const BFLOAT: Elements = {
  name: "bfloat16_t",
  tolerance: 1e-2,
  store: bfloat,
  load: (b) => fromBfloat(new Uint16Array(b.bytes())),
};
interface Gemm {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly of?: Elements;
  readonly tile?: readonly [number, number, number];
  readonly transposed?: boolean;
  readonly add?: boolean;
  readonly batch?: number;
}
function gemm({ m, n, k, of = FLOAT, tile = [64, 64, 16], transposed = false, add = false, batch = 1 }: Gemm) {
  return async (kit: Kit): Promise<number> => {
    const [bm, bn, bk] = tile, flags = ["false", String(transposed), "float"];
    const headers = "steel/gemm/gemm.h steel/gemm/kernels/steel_gemm_fused.h";
    const library = kit.library(headers, [kernel("gemm", "gemm", of.name, bm, bn, bk, 2, 2, ...flags)]);
    const round = (x: Float32Array) => Array.from(of.load(kit.buffer(of.store(x))));
    const a = round(normal(batch * m * k)), b = round(normal(batch * n * k)), c = round(normal(m * n));
    const out = kit.buffer(of.store(new Float32Array(batch * m * n)), "D");
    const params = struct(["i", m, n, k, k, transposed ? k : n, n, tiles(n, bn), tiles(m, bm)], [
      "q",
      m * k,
      k * n,
      m * n,
    ], ["i", 0, Math.floor(k / bk), 1]);
    const addmm = struct(["i", n, 1], ["q", 0], ["f", 0.5, 2]);
    const constants = { 10: false, 100: add, 110: add, 200: m % bm === 0, 201: n % bn === 0, 202: k % bk === 0 };
    const args = [
      kit.buffer(of.store(a), "A"),
      kit.buffer(of.store(b), "B"),
      add ? kit.buffer(of.store(c), "C") : null,
      out,
      params,
      add ? addmm : null,
    ];
    const run = { groups: [tiles(n, bn), tiles(m, bm), batch], group: [32, 2, 2] };
    await kit.run(library, "gemm", args, run, constants);
    const want = Array.from(
      { length: batch },
      (_, i) => product(a.slice(i * m * k, (i + 1) * m * k), b.slice(i * k * n, (i + 1) * k * n), m, n, k, transposed),
    ).flat();
    return close(of.load(out), add ? want.map((v, i) => 0.5 * v + 2 * (c[i] ?? 0)) : want, of.tolerance);
  };
}
/** MLX reads C past its end where its rows are no multiple of the tile: the simulator must say so. */
async function knownFinding(kit: Kit): Promise<number> {
  try {
    await gemm({ m: 70, n: 50, k: 37, tile: [32, 32, 16], transposed: true, add: true })(kit);
  } catch (error) {
    if (error instanceof Error && error.message.includes("out of bounds") && error.message.includes("'C'")) return 0;
    throw error;
  }
  throw new Error("wrong: the known read past the end was not found");
}

async function gemv(kit: Kit): Promise<number> {
  const library = kit.library("gemv.h", [kernel("gemv", "gemv", "float", 1, 8, 1, 32, 4, 4, "false", "false")]);
  const m = 100, k = 300, w = normal(m * k), x = normal(k), out = kit.buffer(4 * m, "out"), W = kit.buffer(w, "mat");
  const args = [W, kit.buffer(x, "vec"), W, out, i32(k), i32(m), i32(k), f32(1), f32(0), i32(1), i32(1)];
  await kit.run(library, "gemv", [...args, i64(0), i64(0), i64(0), i32(1)], { groups: [tiles(m, 4)], group: [32, 8] });
  return close(out.floats(), product(w, x, m, 1, k), 1e-5);
}

/** Affine quantization to 4 bits in groups of 64; `back` is what it stands for. */
function quantize(w: Float32Array) {
  const scales: number[] = [], biases: number[] = [], packed = new Uint32Array(w.length / 8);
  const back = new Float32Array(w.length);
  for (let g = 0; g < w.length; g += 64) {
    const group = w.slice(g, g + 64), low = Math.min(...group);
    const scale = Math.fround((Math.max(...group) - low) / 15);
    scales.push(scale);
    biases.push(low);
    group.forEach((v, i) => {
      const q = Math.min(15, Math.max(0, Math.round((v - low) / scale))), at = g + i;
      packed[at >> 3] = (packed[at >> 3] ?? 0) | q << 4 * (at & 7);
      back[at] = q * scale + low;
    });
  }
  return { packed, scales, biases, back };
}
const QUANTIZED = "steel/gemm/gemm.h quantized_utils.h quantized.h";
/** Batch shapes of a call without a batch. */
const UNBATCHED = [i32(0), i32(0), i64(0), i32(0), i32(0), i64(0), i64(0), i64(0)];
function quantized(name: string, of: Elements, m: number, n: number, k: number, last: readonly string[]) {
  return async (kit: Kit): Promise<number> => {
    const library = kit.library(QUANTIZED, [kernel("q", `affine_${name}`, of.name, 64, 4, ...last)]);
    const { packed, scales, biases, back } = quantize(normal(n * k)), matrix = name === "qmm_t";
    const x = kit.buffer(of.store(normal(m * k)), "x"), y = kit.buffer(of.store(new Float32Array(m * n)), "y");
    const args = [
      kit.buffer(packed, "w"),
      kit.buffer(of.store(scales), "scales"),
      kit.buffer(of.store(biases), "biases"),
    ];
    const sizes = matrix ? [i32(k), i32(n), i32(m)] : [i32(k), i32(n)];
    const run = matrix
      ? { groups: [tiles(n, 32), tiles(m, 32), 1], group: [32, 2, 2] }
      : { groups: [m, tiles(n, 8), 1], group: [32, 2, 1] };
    await kit.run(library, "q", [...args, x, y, ...sizes, ...UNBATCHED], run);
    return close(of.load(y), product(of.load(x), back, m, n, k, true), 2 * of.tolerance);
  };
}

interface Scene {
  readonly heads: number;
  readonly groups: number;
  readonly queries: number;
  readonly keys: number;
  readonly width: number;
  readonly causal: boolean;
}
/** Attention of q [heads, queries, width] to k and v [groups, keys, width]. */
function attention(q: ArrayLike<number>, k: ArrayLike<number>, v: ArrayLike<number>, s: Scene): number[] {
  const out: number[] = [], scale = s.width ** -0.5;
  for (let h = 0; h < s.heads; h++) {
    const g = Math.floor(h * s.groups / s.heads);
    for (let i = 0; i < s.queries; i++) {
      const query = row(q, h * s.queries + i, s.width);
      const scores = Array.from({ length: s.keys }, (_, j) => {
        if (s.causal && j > i + s.keys - s.queries) return -Infinity;
        return scale * row(k, g * s.keys + j, s.width).reduce((sum, x, d) => sum + x * (query[d] ?? 0), 0);
      });
      const weights = softmax(scores);
      for (let d = 0; d < s.width; d++) {
        out.push(weights.reduce((sum, w, j) => sum + w * (v[(g * s.keys + j) * s.width + d] ?? 0), 0));
      }
    }
  }
  return out;
}
async function decode(kit: Kit): Promise<number> {
  const library = kit.library("sdpa_vector.h", [kernel("sdpa", "sdpa_vector", "half", 64, 64)]);
  const s = { heads: 4, groups: 2, queries: 2, keys: 77, width: 64 };
  const q = half(normal(4 * 2 * 64)), k = half(normal(2 * 77 * 64)), v = half(normal(2 * 77 * 64));
  const out = kit.buffer(2 * q.length, "out");
  const args = [
    kit.buffer(q, "q"),
    kit.buffer(k, "k"),
    kit.buffer(v, "v"),
    out,
    i32(2),
    i32(77),
    i64(77 * 64),
    i64(64),
  ];
  let error = 0;
  for (const causal of [false, true]) {
    const constants = { 20: false, 21: false, 22: causal, 23: false, 24: false, 25: false, 26: 0 };
    const run = { groups: [4, 2, 1], group: [1024] };
    await kit.run(library, "sdpa", [...args, i64(77 * 64), i64(64), f32(0.125)], run, constants);
    error = close(halves(out), attention(q, k, v, { ...s, causal }), 3e-3);
  }
  return error;
}
function prefill(of: Elements, causal: boolean, queries: number, keys: number) {
  return async (kit: Kit): Promise<number> => {
    const d = 64, heads = 2, groups = 1, bq = 32, bk = 32;
    const library = kit.library("steel/attn/attn.h steel/attn/kernels/steel_attention.h", [
      kernel("attention", "attention", of.name, bq, bk, d, d, 4, 1, "bool", "float"),
    ]);
    const q = normal(heads * queries * d), k = normal(groups * keys * d), v = normal(groups * keys * d);
    const Q = kit.buffer(of.store(q), "Q"), K = kit.buffer(of.store(k), "K"), V = kit.buffer(of.store(v), "V");
    const O = kit.buffer(of.store(new Float32Array(q.length)), "O");
    const params = struct(
      ["i", 1, heads, d, queries, keys, heads / groups],
      ["f", d ** -0.5],
      ["i", tiles(queries, bq), tiles(keys, bk), Math.floor(queries / bq), Math.floor(keys / bk), queries % bq],
      ["i", keys % bk, keys - queries],
      ["q", heads * queries * d, queries * d, d, groups * keys * d, keys * d, d, groups * keys * d, keys * d, d],
      ["q", heads * queries * d, queries * d, d],
    );
    const constants = {
      200: queries % bq === 0,
      201: keys % bk === 0,
      300: false,
      301: causal,
      302: false,
      303: false,
    };
    const run = { groups: [tiles(queries, bq), heads, 1], group: [32, 4, 1] };
    await kit.run(library, "attention", [Q, K, V, O, params], run, constants);
    const want = attention(of.load(Q), of.load(K), of.load(V), { heads, groups, queries, keys, width: d, causal });
    return close(of.load(O), want, 2 * of.tolerance);
  };
}

async function convolution(kit: Kit): Promise<number> {
  const library = kit.library("steel/gemm/mma.h steel/conv/conv.h steel/conv/kernels/steel_conv.h", [
    kernel("conv", "implicit_gemm_conv_2d", "float", 32, 32, 16, 2, 2, 0, "true"),
  ]);
  const side = 10, c = 16, o = 32, f = 3, m = side * side, x = normal(m * c), w = normal(o * f * f * c);
  const out = kit.buffer(4 * m * o, "out");
  const params = struct(
    ["i", 1, c, o, side, side, f, f, side, side, 1, 1, 1, 1, 1, 1, 1, 1],
    ["q", m * c, side * c, c, 1, f * f * c, f * c, c, 1, m * o, side * o, o, 1],
    ["i", 1],
    ["b", 0],
  );
  const jump = side * c - (f - 1) * c;
  const sizes = i32(m, o, f * f * c, f * f, c, jump, 16 - (f - 1) * side * c - (f - 1) * c, 1, tiles(m, 32), 0);
  const args = [kit.buffer(x, "in"), kit.buffer(w, "wt"), out, params, sizes];
  await kit.run(library, "conv", args, { groups: [1, tiles(m, 32), 1], group: [32, 2, 2] });
  const at = (i: number, j: number, k: number) =>
    i < 0 || j < 0 || i >= side || j >= side ? 0 : x[(i * side + j) * c + k] ?? 0;
  const want = Array.from({ length: m * o }, (_, n) => {
    const p = Math.floor(n / o), i = Math.floor(p / side), j = p % side;
    let sum = 0;
    for (let t = 0; t < f * f * c; t++) {
      const k = t % c, v = Math.floor(t / c) % f, u = Math.floor(t / c / f);
      sum += at(i + u - 1, j + v - 1, k) * (w[n % o * f * f * c + t] ?? 0);
    }
    return sum;
  });
  return close(out.floats(), want, 1e-5);
}

async function rmsNorm(kit: Kit): Promise<number | null> {
  const library = kit.file("rms_norm.metal");
  if (library === null) return null;
  const x = normal(1500), w = normal(500), out = kit.buffer(6000, "out");
  const args = [kit.buffer(x, "x"), kit.buffer(w, "w"), out, f32(1e-5), u32(500), u32(1)];
  await kit.run(library, "rmsfloat32", args, { groups: [3], group: [128] }, { 20: true });
  return close(
    out.floats(),
    rowwise(x, 500, (r) => {
      const scale = (r.reduce((a, v) => a + v * v, 0) / 500 + 1e-5) ** -0.5;
      return r.map((v, i) => v * scale * (w[i] ?? 0));
    }),
    1e-5,
  );
}
async function layerNorm(kit: Kit): Promise<number | null> {
  const library = kit.file("layer_norm.metal");
  if (library === null) return null;
  const x = normal(1500), w = normal(500), b = normal(500), out = kit.buffer(6000, "out");
  const args = [kit.buffer(x, "x"), kit.buffer(w, "w"), kit.buffer(b, "b"), out, f32(1e-5), u32(500), u32(1), u32(1)];
  await kit.run(library, "layer_normfloat32", args, { groups: [3], group: [64] }, { 20: true });
  return close(
    out.floats(),
    rowwise(x, 500, (r) => {
      const mean = r.reduce((a, v) => a + v, 0) / 500;
      const scale = (r.reduce((a, v) => a + (v - mean) ** 2, 0) / 500 + 1e-5) ** -0.5;
      return r.map((v, i) => (v - mean) * scale * (w[i] ?? 0) + (b[i] ?? 0));
    }),
    1e-5,
  );
}
async function rope(kit: Kit): Promise<number | null> {
  const library = kit.file("rope.metal");
  if (library === null) return null;
  const heads = 4, d = 32, base = Math.log2(10000), x = normal(heads * d), out = kit.buffer(4 * heads * d, "out");
  const args = [kit.buffer(x, "in"), out, i32(7), f32(1), i64(d), null, null, null, null, null, f32(base)];
  const constants = { 1: true, 2: false, 3: false };
  await kit.run(library, "rope_single_float32", args, { threads: [d / 2, heads], group: [16, 4] }, constants);
  const want = rowwise(x, d, (r) =>
    r.map((v, i) => {
      const p = i % (d / 2), angle = 7 * 2 ** (-p / (d / 2) * base), other = r[(i + d / 2) % d] ?? 0;
      return v * Math.cos(angle) + (i < d / 2 ? -1 : 1) * other * Math.sin(angle);
    }));
  return close(out.floats(), want, 1e-5);
}

/** All cases. */
export const CASES: readonly Case[] = [
  { name: "unary_v exp f32, tanh f16, abs bf16; copy_g strided", run: elementwise },
  { name: "softmax block f32, looped f16; logsumexp", run: softmaxes },
  { name: "row_reduce_simple sum f32, all_reduce max f16", run: reductions },
  { name: "contiguous_scan cumsum f32", run: scan },
  { name: "block sort and argsort f32 with NaN", run: sorts },
  { name: "steel_gemm_fused f32 nn 128x128x64", run: gemm({ m: 128, n: 128, k: 64 }) },
  {
    name: "steel_gemm_fused f32 nt 70x50x37, ragged, batch of 2",
    run: gemm({ m: 70, n: 50, k: 37, tile: [32, 32, 16], transposed: true, batch: 2 }),
  },
  {
    name: "steel_gemm_fused f32 nt 64x50x37, addmm",
    run: gemm({ m: 64, n: 50, k: 37, tile: [32, 32, 16], transposed: true, add: true }),
  },
  { name: "the same with 70 rows: MLX reads C past its end (must be found)", run: knownFinding },
  { name: "steel_gemm_fused f16 nt 128x64x64", run: gemm({ m: 128, n: 64, k: 64, of: HALF, transposed: true }) },
  { name: "steel_gemm_fused bf16 nn 64x64x48", run: gemm({ m: 64, n: 64, k: 48, of: BFLOAT }) },
  { name: "gemv f32", run: gemv },
  { name: "affine_qmv_fast 4 bits f16, 64x512", run: quantized("qmv_fast", HALF, 1, 64, 512, ["false"]) },
  { name: "affine_qmv 4 bits f32, ragged 13x320", run: quantized("qmv", FLOAT, 1, 13, 320, ["false"]) },
  { name: "affine_qmm_t 4 bits f32, 40x64x128", run: quantized("qmm_t", FLOAT, 40, 64, 128, ["true", "false"]) },
  { name: "sdpa_vector f16, 4 heads of 64 on 2, 77 keys, causal and not", run: decode },
  { name: "steel_attention f32 causal, 64 queries, 64 keys", run: prefill(FLOAT, true, 64, 64) },
  { name: "steel_attention f16, ragged 45 queries, 77 keys", run: prefill(HALF, false, 45, 77) },
  { name: "steel implicit_gemm_conv_2d f32 3x3, 16 to 32 channels", run: convolution },
  { name: "rms_norm f32", run: rmsNorm },
  { name: "layer_norm f32", run: layerNorm },
  { name: "rope f32", run: rope },
];
