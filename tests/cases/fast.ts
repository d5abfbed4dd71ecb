/**
 * Cases of the fused operations of neural networks, by plain loops. Attention: a key that a query may not see has the
 * lowest score of float32, one that does not exist has none.
 * @module
 */
import { bool_, type DType, float32, float64, int32 } from "../../core/dtype.ts";
import type { fastPrimitives } from "../../core/primitives/fast.ts";
import type { ParamsOf } from "../../core/primitives/mod.ts";
import type { Aval, Shape } from "../../core/primitive.ts";
import { type Cases, type Input, LARGE, networkFloats, type Tolerance, type Variant } from "./case.ts";
import { between, type Domain, integers } from "./generate.ts";
import { count, indicesOf, placeOf, type Tensor } from "./tensor.ts";

const dtypes: readonly DType[] = [...networkFloats, float64];
const numbers = (shape: Shape, domain: Domain = between(-2, 2), dtype?: DType): Input =>
  dtype ? { shape, domain, dtype } : { shape, domain };
const tolerance: Tolerance = { ulps: 32, half: 2 };
const ROWS: readonly Shape[] = [[3, 5], [7], [2, 3, 8], [0, 4], [2, 1, 2, 2, 3], [3, 1000]];

/** The rows of the last axis. */
function rowsOf(x: Tensor): Float64Array[] {
  const n = x.shape.at(-1)!;
  return Array.from({ length: count(x.shape.slice(0, -1)) }, (_, i) => x.re.subarray(i * n, (i + 1) * n));
}
const sum = (x: Iterable<number>): number => [...x].reduce((s, v) => s + v, 0);
const mean = (x: Float64Array): number => sum(x) / x.length;
/** Numbers of rows of equal length, one after the other. */
const joined = (rows: readonly Float64Array[]): Float64Array => Float64Array.from(rows.flatMap((row) => [...row]));
/** e^x over their sum. */
function softmax(row: Float64Array): Float64Array {
  const top = Math.max(...row), e = row.map((x) => Math.exp(x - top));
  return e.map((x) => x / sum(e));
}

type Rope = ParamsOf<"rope">;
function rotated(x: Tensor, offset: Tensor, freqs: Tensor | undefined, p: Rope): Float64Array {
  const half = p.dims / 2, time = x.shape.length - 2, out = x.re.slice();
  for (const index of indicesOf([...x.shape.slice(0, -1), half])) {
    const i = index.at(-1)!, start = offset.re[offset.shape.length === 0 ? 0 : index[0]!]!;
    const angle = (start + index[time]!) * p.scale / (freqs ? freqs.re[i]! : p.base ** (2 * i / p.dims));
    const [a, b] = p.traditional ? [2 * i, 2 * i + 1] : [i, i + half];
    const [pa, pb] = [a, b].map((k) => placeOf(x.shape, index.with(-1, k))) as [number, number];
    out[pa] = x.re[pa]! * Math.cos(angle) - x.re[pb]! * Math.sin(angle);
    out[pb] = x.re[pa]! * Math.sin(angle) + x.re[pb]! * Math.cos(angle);
  }
  return out;
}
function ropeVariant(shape: Shape, offset: Shape, p: Partial<Rope> & { readonly dims: number }): Variant<Rope> {
  const params = { traditional: false, base: 100, scale: 1, hasFreqs: false, ...p };
  // As in MLX, frequencies have no derivative.
  const freqs = params.hasFreqs ? [{ ...numbers([p.dims / 2], between(1, 20), float32), fixed: true }] : [];
  return { params, inputs: [numbers(shape), { shape: offset, domain: integers(0, 9), dtype: int32 }, ...freqs] };
}

type Attention = ParamsOf<"attention">;
/** Heads are [B, H, L, D], [B, G, S, D], [B, G, S, E]. */
function attend(xs: readonly Tensor[], p: Attention, out: Aval): Float64Array {
  const [q, k, v] = xs as [Tensor, Tensor, Tensor], rest = xs.slice(3);
  const mask = p.hasMask ? rest.shift() : undefined,
    sinks = p.hasSinks ? rest.shift() : undefined,
    length = rest.shift();
  const [heads, queries] = [q.shape[1]!, q.shape[2]!],
    [groups, keys] = [k.shape[1]!, k.shape[2]!],
    result = new Float64Array(count(out.shape));
  for (const [b, h, i] of indicesOf(q.shape.slice(0, 3)) as Iterable<[number, number, number]>) {
    const g = Math.floor(h / (heads / groups)),
      end = length ? length.re[length.shape.length === 0 ? 0 : b]! : keys,
      at = end - queries + i;
    const scores = new Float64Array(keys);
    for (let j = 0; j < keys; j++) {
      for (let d = 0; d < q.shape[3]!; d++) {
        scores[j]! += p.scale * q.re[placeOf(q.shape, [b, h, i, d])]! * k.re[placeOf(k.shape, [b, g, j, d])]!;
      }
      const m = mask?.re[placeOf(mask.shape, [b, h, i, j])];
      if (m !== undefined && mask!.dtype !== bool_) scores[j]! += m;
      if ((p.causal && j > at) || (p.window > 0 && at - j >= p.window) || (mask?.dtype === bool_ && m === 0)) {
        scores[j] = -3.4028234663852886e38;
      }
      if (j >= end) scores[j] = -Infinity;
    }
    const all = softmax(sinks ? Float64Array.of(...scores, sinks.re[h]!) : scores);
    for (let e = 0; e < v.shape[3]!; e++) {
      let y = 0;
      for (let j = 0; j < keys; j++) if (all[j]! > 0) y += all[j]! * v.re[placeOf(v.shape, [b, g, j, e])]!;
      result[placeOf(out.shape, [b, h, i, e])] = y;
    }
  }
  return result;
}
interface Heads {
  readonly batch?: number;
  readonly heads?: number;
  readonly groups?: number;
  readonly queries?: number;
  readonly keys?: number;
  readonly size?: number;
  readonly out?: number;
}
/** What an attention variant has besides its sizes: `mask` is the kind of mask, `length` the shape of the lengths. */
interface Extras extends Partial<Omit<Attention, "hasMask" | "hasLength">> {
  readonly mask?: "bool" | "float";
  readonly length?: Shape;
}
function attentionVariant(s: Heads, { mask, length, ...flags }: Extras = {}): Variant<Attention> {
  const { batch = 2, heads = 2, groups = 1, queries = 3, keys = 4, size = 4, out = 4 } = s,
    scores = [batch, heads, queries, keys];
  const params = {
    scale: 0.5,
    causal: false,
    window: 0,
    hasSinks: false,
    ...flags,
    hasMask: mask !== undefined,
    hasLength: length !== undefined,
  };
  return {
    params,
    inputs: [
      numbers([batch, heads, queries, size]),
      numbers([batch, groups, keys, size]),
      numbers([batch, groups, keys, out]),
      ...mask ? [mask === "bool" ? numbers(scores, integers(0, 1), bool_) : numbers(scores)] : [],
      ...params.hasSinks ? [numbers([heads])] : [],
      ...length ? [{ shape: length, domain: integers(queries, keys), dtype: int32 }] : [],
    ],
  };
}
const causal = true;
const half64: Heads = { heads: 8, groups: 2, size: 64, out: 64 };

/** The cases of the family `fast`. */
export const fastCases: Cases<keyof typeof fastPrimitives> = {
  softmax: {
    dtypes,
    variants: ROWS.flatMap((shape) =>
      [true, false].map((precise) => ({ params: { precise }, inputs: [numbers(shape, between(-5, 5))] }))
    ),
    tolerance: { ulps: 32, half: 2 },
    reference: ([x]) => joined(rowsOf(x!).map(softmax)),
    perf: [{ label: "rows", dtype: float32, params: { precise: true }, inputs: [numbers(LARGE)], flops: 0 }],
  },
  logsumexp: {
    dtypes,
    variants: ROWS.map((shape) => ({ params: {}, inputs: [numbers(shape, between(-5, 5))] })),
    tolerance,
    reference: ([x]) =>
      Float64Array.from(
        rowsOf(x!),
        (row) => Math.max(...row) + Math.log(sum(row.map((v) => Math.exp(v - Math.max(...row))))),
      ),
    perf: [{ label: "rows", dtype: float32, params: {}, inputs: [numbers(LARGE)], flops: 0 }],
  },
  rmsNorm: {
    dtypes,
    variants: ROWS.flatMap((shape) => [
      { params: { eps: 1e-5 }, inputs: [numbers(shape)] },
      { params: { eps: 0.1 }, inputs: [numbers(shape), numbers([shape.at(-1)!])] },
    ]),
    tolerance,
    reference: ([x, weight], { eps }) =>
      joined(
        rowsOf(x!).map((row) => {
          const r = 1 / Math.sqrt(mean(row.map((v) => v * v)) + eps);
          return row.map((v, i) => v * r * (weight?.re[i] ?? 1));
        }),
      ),
    perf: [{
      label: "rows",
      dtype: float32,
      params: { eps: 1e-5 },
      inputs: [numbers(LARGE), numbers([1024])],
      flops: 0,
    }],
  },
  layerNorm: {
    dtypes,
    variants: ROWS.flatMap((shape) =>
      [[false, false], [true, false], [false, true], [true, true]].map(([hasWeight, hasBias]) => ({
        params: { eps: 0.01, hasWeight: hasWeight!, hasBias: hasBias! },
        inputs: [
          numbers(shape),
          ...hasWeight ? [numbers([shape.at(-1)!])] : [],
          ...hasBias ? [numbers([shape.at(-1)!])] : [],
        ],
      }))
    ),
    tolerance: { ...tolerance, floor: 1 },
    reference: ([x, ...rest], { eps, hasWeight, hasBias }) => {
      const weight = hasWeight ? rest[0] : undefined, bias = hasBias ? rest.at(-1) : undefined;
      return joined(
        rowsOf(x!).map((row) => {
          const m = mean(row), r = 1 / Math.sqrt(mean(row.map((v) => (v - m) ** 2)) + eps);
          return row.map((v, i) => (v - m) * r * (weight?.re[i] ?? 1) + (bias?.re[i] ?? 0));
        }),
      );
    },
    perf: [{
      label: "rows",
      dtype: float32,
      params: { eps: 1e-5, hasWeight: true, hasBias: true },
      inputs: [numbers(LARGE), numbers([1024]), numbers([1024])],
      flops: 0,
    }],
  },
  rope: {
    dtypes,
    variants: [
      ropeVariant([2, 3, 4], [], { dims: 4 }),
      ropeVariant([2, 3, 4], [], { dims: 4, traditional: true }),
      ropeVariant([2, 2, 3, 6], [2], { dims: 4, scale: 0.5 }),
      ropeVariant([2, 3, 8], [], { dims: 6, traditional: true, hasFreqs: true }),
      ropeVariant([1, 2, 5, 64], [1], { dims: 64, hasFreqs: true }),
      ropeVariant([2, 2, 1, 1, 4], [], { dims: 4 }),
    ],
    tolerance: { ulps: 128, half: 2 },
    reference: ([x, offset, freqs], p) => rotated(x!, offset!, freqs, p),
    perf: [{
      label: "32 heads of 512 rows",
      dtype: float32,
      params: { dims: 128, traditional: false, base: 10000, scale: 1, hasFreqs: false },
      inputs: [numbers([1, 32, 512, 128]), { shape: [], domain: integers(0, 9), dtype: int32 }],
      flops: 0,
    }],
  },
  attention: {
    dtypes,
    variants: [
      attentionVariant({}),
      attentionVariant({ groups: 2, out: 3 }, { causal }),
      attentionVariant({ keys: 6 }, { causal, window: 2 }),
      attentionVariant({}, { mask: "float" }),
      attentionVariant({}, { mask: "bool" }),
      attentionVariant({ queries: 1, keys: 5 }, { hasSinks: true }),
      attentionVariant({ keys: 6 }, { length: [] }),
      attentionVariant({ keys: 6 }, { length: [2], causal, hasSinks: true, mask: "float" }),
      attentionVariant({ ...half64, queries: 1, keys: 33 }),
      attentionVariant({ ...half64, queries: 20, keys: 20 }, { causal }),
    ],
    tolerance: { ulps: 64, half: 4 },
    reference: attend,
    perf: [
      {
        label: "prefill 512",
        dtype: float32,
        ...attentionVariant({ batch: 1, heads: 16, groups: 8, queries: 512, keys: 512, size: 128, out: 128 }, {
          causal,
        }),
        flops: 4 * 16 * 512 * 512 * 128,
      },
      {
        label: "decode 4096",
        dtype: float32,
        ...attentionVariant({ batch: 1, heads: 16, groups: 8, queries: 1, keys: 4096, size: 128, out: 128 }),
        flops: 4 * 16 * 4096 * 128,
      },
    ],
  },
};
