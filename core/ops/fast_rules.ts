/**
 * The primitives of the family `fast` without checks, and composed forms of rotary positions and attention: they say
 * what the kernels compute, give the derivatives, and check both. The operations are in `fast.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { bool_, type DType, finfo, float32, float64, int32 } from "../dtype.ts";
import { bind } from "../graph.ts";
import { add, greaterEqual, less, logicalAnd, multiply, subtract } from "./binary.ts";
import { arange } from "./create.ts";
import { concatenate, stack } from "./index.ts";
import { matmul } from "./matmul.ts";
import { cast, scalar } from "./operand.ts";
import { logsumexp, softmax } from "./reduce.ts";
import { where } from "./ternary.ts";
import { cos, exp, reciprocal, sin } from "./unary.ts";
import { broadcastTo, expandDims, reshape, sliceAxis, swapaxes } from "./view.ts";
/** Parameters of the primitive `rope`. */
export interface Rotation {
  readonly dims: number;
  readonly traditional: boolean;
  readonly base: number;
  readonly scale: number;
  readonly hasFreqs: boolean;
}
/** `rope` without checks: x [B, ..., T, D], offset int32, 0-d or [B]. */
export function rotate(x: NDArray, offset: NDArray, freqs: NDArray | null, p: Rotation): NDArray {
  return bind("rope", freqs ? [x, offset, freqs] : [x, offset], p);
}
/** Parameters of the primitive `attention`. */
export interface Attention {
  readonly scale: number;
  readonly causal: boolean;
  readonly window: number;
  readonly hasMask: boolean;
  readonly hasSinks: boolean;
  readonly hasLength: boolean;
}
/** `scaledDotProductAttention` without checks: q, k, v, then mask, sinks and length as far as there are any. */
export function attend(inputs: readonly NDArray[], p: Attention): NDArray {
  return bind("attention", inputs, p);
}

/** `exp(x - logsumexp(x))` over the last axis. */
export function lastSoftmax(x: NDArray, precise: boolean): NDArray {
  return bind("softmax", [x], { precise });
}
/** `log(sum(exp(x)))` over the last axis, without it. */
export function lastLogsumexp(x: NDArray): NDArray {
  return bind("logsumexp", [x], {});
}

/** The dtype that kernels of this family compute in. */
const workingType = (dtype: DType): DType => dtype === float64 ? float64 : float32;
/** The array in the dtype that kernels of this family compute in. */
export function widened(x: NDArray): NDArray {
  return cast(x, workingType(x.dtype));
}
/** What {@linkcode rope} computes, composed of other operations. */
export function composedRope(x: NDArray, offset: NDArray, freqs: NDArray | null, p: Rotation): NDArray {
  const { dims, traditional, base, scale } = p;
  const half = dims / 2, dtype = workingType(x.dtype);
  const last = x.shape.length - 1;
  const rows = arange(0, x.shape.at(-2)!, { dtype });
  const start = cast(offset, dtype);
  // One angle per row and pair; with one offset per batch row also per batch row, over the axes in between.
  const between = new Array<number>(x.shape.length - 3).fill(1);
  const first = start.shape.length === 0 ? start : reshape(start, [-1, ...between, 1]);
  const positions = multiply(add(first, rows), scale);
  const exponents = multiply(arange(0, half, { dtype }), -Math.log(base) / half);
  const angles = multiply(expandDims(positions, -1), freqs ? reciprocal(cast(freqs, dtype)) : exp(exponents));
  const [c, s] = [cos(angles), sin(angles)];
  const turned = cast(sliceAxis(x, last, 0, dims), dtype);
  const pairs = reshape(turned, [...x.shape.slice(0, -1), ...traditional ? [half, 2] : [2, half]]);
  const axis = traditional ? last + 1 : last;
  const part = (i: number) => reshape(sliceAxis(pairs, axis, i, i + 1), [...x.shape.slice(0, -1), half]);
  const [a, b] = [part(0), part(1)];
  const y = stack([subtract(multiply(a, c), multiply(b, s)), add(multiply(a, s), multiply(b, c))], axis);
  const rotated = cast(reshape(y, turned.shape), x.dtype);
  return dims === x.shape.at(-1) ? rotated : concatenate([rotated, sliceAxis(x, last, dims, x.shape[last]!)], last);
}

/** The inputs of the primitive `attention` by name. */
export interface AttentionInputs {
  readonly q: NDArray;
  readonly k: NDArray;
  readonly v: NDArray;
  readonly mask: NDArray | null;
  readonly sinks: NDArray | null;
  readonly length: NDArray | null;
}
/** Names the inputs of the primitive `attention`. */
export function attentionInputs<T>(inputs: readonly T[], p: Attention): { [K in keyof AttentionInputs]: T | null } {
  let next = 0;
  const take = (present: boolean) => present ? inputs[next++] ?? null : null;
  return {
    q: take(true),
    k: take(true),
    v: take(true),
    mask: take(p.hasMask),
    sinks: take(p.hasSinks),
    length: take(p.hasLength),
  };
}
/** Heads [B, H, ...] as [B, G, H / G, ...], in the dtype of the arithmetic. */
export function grouped(x: NDArray, groups: number): NDArray {
  const [batch, heads, ...rest] = x.shape;
  return widened(reshape(x, [batch!, groups, heads! / groups, ...rest]));
}
/**
 * Which keys exist and which each query may see, by position and bool masks; null for all. Both broadcast to
 * [B, G, H / G, L, S].
 */
function visible(
  x: AttentionInputs,
  mask: NDArray | null,
  p: Attention,
): { exists: NDArray | null; seen: NDArray | null } {
  const [l, s] = [x.q.shape[2]!, x.k.shape[2]!];
  const key = arange(0, s);
  const end = x.length ? reshape(x.length, [-1, 1, 1, 1, 1]) : scalar("attention", s, int32);
  const query = add(reshape(arange(0, l), [l, 1]), subtract(end, l));
  const exists = x.length && less(key, end);
  const tests = [
    ...exists ? [exists] : [],
    ...p.causal ? [greaterEqual(query, key)] : [],
    ...p.window > 0 ? [less(subtract(query, key), p.window)] : [],
    ...mask?.dtype === bool_ ? [mask] : [],
  ];
  return { exists, seen: tests.length === 0 ? null : tests.reduce((a, b) => logicalAnd(a, b)) };
}
/** What the derivatives of attention are made of. */
export interface AttentionWeights {
  /** Probabilities [B, G, H / G, L, S] in the dtype of the arithmetic. */
  readonly weights: NDArray;
  /** Those of the sinks, [B, G, H / G, L, 1]. */
  readonly sink: NDArray | null;
  /** Where scores count; null for everywhere. */
  readonly seen: NDArray | null;
}
/**
 * The probabilities of attention. What a query may not see has the lowest finite score, as in MLX: a query that sees
 * nothing gives all keys that exist the same weight.
 */
export function attentionWeights(x: AttentionInputs, p: Attention): AttentionWeights {
  const groups = x.k.shape[1]!;
  const [q, k] = [grouped(x.q, groups), expandDims(widened(x.k), 2)];
  const [batch, heads, ...rest] = x.mask?.shape ?? [];
  const mask = x.mask && reshape(x.mask, [batch!, groups, heads! / groups, ...rest]);
  const { exists, seen } = visible(x, mask, p);
  let scores = multiply(matmul(q, swapaxes(k, -1, -2)), p.scale);
  if (mask && mask.dtype !== bool_) scores = add(scores, cast(mask, scores.dtype));
  if (seen) scores = where(seen, scores, scalar("attention", finfo(float32).min, scores.dtype));
  if (exists) scores = where(exists, scores, scalar("attention", -Infinity, scores.dtype));
  if (!x.sinks) return { weights: softmax(scores, { axis: -1, precise: true }), sink: null, seen };
  const sink = reshape(cast(x.sinks, scores.dtype), [1, groups, -1, 1, 1]);
  const total = concatenate([broadcastTo(sink, [...scores.shape.slice(0, -1), 1]), scores], -1);
  const normalizer = logsumexp(total, { axis: -1, keepdims: true });
  return { weights: exp(subtract(scores, normalizer)), sink: exp(subtract(sink, normalizer)), seen };
}
/** What {@linkcode scaledDotProductAttention} computes, composed of other operations. */
export function composedAttention(x: AttentionInputs, p: Attention): NDArray {
  const { weights } = attentionWeights(x, p);
  const y = matmul(weights, expandDims(widened(x.v), 2));
  return cast(reshape(y, [...x.q.shape.slice(0, 3), x.v.shape[3]!]), x.q.dtype);
}
