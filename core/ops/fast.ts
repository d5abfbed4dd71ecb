/**
 * Fused operations of neural networks (`mlx.core.fast`): norms, rotary positions, attention. Each is one primitive
 * (`core/primitives/fast.ts`); the composed forms at the end say what it computes and give its derivatives.
 * @module
 */
import type { NDArray } from "../array.ts";
import { bool_, type DType, float32, int32, promoteTypes } from "../dtype.ts";
import { DTypeError, fail, ShapeError, ValueError } from "../errors.ts";
import { bind, recorder } from "../graph.ts";
import { describe, describeShape, sizeOf } from "../shape.ts";
import { attend, rotate } from "./fast_rules.ts";
import { cast, isArray, type Operand, promoted, scalar, toArray } from "./operand.ts";
import { broadcastTo, reshape } from "./view.ts";

export { crossEntropy, type GatedDeltaOptions, gatedDeltaUpdate } from "./fast_composed.ts";
export { type MetalKernel, metalKernel, type MetalKernelCall, type MetalKernelOptions } from "./metal_kernel.ts";

/** Checks the last axis of x and the vectors that go with it. */
function checkNorm(op: string, x: NDArray, vectors: readonly (NDArray | null)[], dtype: DType): void {
  if (x.shape.length === 0 || dtype.kind !== "float") {
    fail(x.shape.length === 0 ? ShapeError : DTypeError, op, {
      cannot: `normalize ${describe(x)}`,
      expected: "a float array with at least one axis",
      got: describe(x),
      fix: "reshape it, or cast with astype(mx.float32)",
    });
  }
  const odd = vectors.find((v) => v && (v.shape.length !== 1 || v.shape[0] !== x.shape.at(-1)));
  if (odd) {
    fail(ShapeError, op, {
      cannot: `use ${describe(odd)} with ${describe(x)}`,
      expected: `a weight or bias of shape [${x.shape.at(-1)}]`,
      got: describeShape(odd.shape),
      fix: "give one number per entry of the last axis",
    });
  }
}
/**
 * `x / sqrt(mean(x^2) + eps) * weight` over the last axis; the weight, if not null, has its length
 * (`mlx.core.fast.rms_norm`). Half types are computed in float32.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.fast.rmsNorm(mx.array([[3, 4]]), null, 0).shape; // [1, 2]
 * ```
 */
export function rmsNorm(x: Operand, weight: NDArray | null, eps: number): NDArray {
  if (recorder) return recorder.call(rmsNorm, [x, weight, eps]);
  const a = toArray("rmsNorm", x);
  const dtype = weight ? promoteTypes(a.dtype, weight.dtype) : a.dtype;
  checkNorm("rmsNorm", a, [weight], dtype);
  return bind("rmsNorm", weight ? [cast(a, dtype), cast(weight, dtype)] : [a], { eps });
}
/**
 * `(x - mean(x)) / sqrt(var(x) + eps) * weight + bias` over the last axis; weight and bias may be null
 * (`mlx.core.fast.layer_norm`). Half types are computed in float32.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.array([[1, 3], [10, 30]]);
 * mx.fast.layerNorm(x, null, null, 0).tolist(); // [[-1, 1], [-1, 1]]
 * mx.fast.layerNorm(x, mx.array([2, 2]), mx.array([0, 1]), 0).tolist(); // [[-2, 3], [-2, 3]]
 * ```
 */
export function layerNorm(x: Operand, weight: NDArray | null, bias: NDArray | null, eps: number): NDArray {
  if (recorder) return recorder.call(layerNorm, [x, weight, bias, eps]);
  const a = toArray("layerNorm", x);
  const vectors = [weight, bias].filter((v) => v !== null);
  const dtype = vectors.reduce((d, v) => promoteTypes(d, v.dtype), a.dtype);
  checkNorm("layerNorm", a, vectors, dtype);
  return bind("layerNorm", [a, ...vectors].map((z) => cast(z, dtype)), {
    eps,
    hasWeight: weight !== null,
    hasBias: bias !== null,
  });
}

/** Options of {@linkcode rope}. */
export interface RopeOptions {
  /** Whether the pairs are (2i, 2i + 1) instead of (i, i + dims / 2). */
  readonly traditional?: boolean;
  /** Base of the frequencies; null if `freqs` are given. */
  readonly base?: number | null;
  /** Factor of the positions, 1 if absent. */
  readonly scale?: number;
  /** Position of the first row: an integer, or an integer array, 0-d or one entry per batch row. */
  readonly offset?: number | NDArray;
  /** Periods instead of `base^(2i / dims)`: dims / 2 numbers. */
  readonly freqs?: NDArray | null;
}
/**
 * Rotary positions (`mlx.core.fast.rope`): of x [B, ..., T, D] the first `dims` entries of the last axis are rotated in
 * pairs, pair i at row t by the angle `(offset + t) scale / base^(2i / dims)`, or `/ freqs[i]`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const q = mx.random.normal([1, 8, 5, 64]);
 * mx.fast.rope(q, 64, { traditional: false, base: 10000, scale: 1, offset: 0 }).shape; // [1, 8, 5, 64]
 * ```
 */
export function rope(x: Operand, dims: number, options: RopeOptions = {}): NDArray {
  if (recorder) return recorder.call(rope, [x, dims, options]);
  const a = toArray("rope", x);
  const { traditional = false, base = null, scale = 1, offset = 0, freqs = null } = options;
  const refuse = (expected: string, got: string) =>
    fail(ValueError, "rope", { cannot: `rotate ${describe(a)}`, expected, got, fix: "correct the arguments" });
  if (a.shape.length < 3 || a.dtype.kind !== "float") refuse("a float array with at least 3 axes", describe(a));
  if (!(dims > 0) || dims % 2 !== 0 || dims > a.shape.at(-1)!) {
    refuse(`even dims in [2, ${a.shape.at(-1)}]`, String(dims));
  }
  if ((base === null) === (freqs === null)) refuse("either base or freqs", base === null ? "neither" : "both");
  if (freqs && (freqs.shape.length !== 1 || freqs.shape[0] !== dims / 2)) {
    refuse(`freqs of shape [${dims / 2}]`, describe(freqs));
  }
  const start = isArray(offset) ? offset : scalar("rope", offset, int32);
  const size = sizeOf(start.shape);
  if (start.dtype.kind !== "int" && start.dtype.kind !== "uint") refuse("integer offsets", describe(start));
  if (start.shape.length > 1 || (size !== 1 && size !== a.shape[0])) {
    refuse(`one offset, or ${a.shape[0]}`, describe(start));
  }
  const first = cast(size === 1 ? reshape(start, []) : start, int32);
  return rotate(a, first, freqs && cast(freqs, float32), {
    dims,
    traditional,
    base: base ?? 1,
    scale,
    hasFreqs: freqs !== null,
  });
}

/** Options of {@linkcode scaledDotProductAttention}. */
export interface AttentionOptions {
  /** Factor of the scores, mostly `1 / sqrt(D)`. */
  readonly scale: number;
  /**
   * `"causal"`, or an array that broadcasts to [B, H, L, S]: bool (true: may be seen) or float (added to the scores).
   */
  readonly mask?: "causal" | NDArray | null;
  /** One score per head [H] that takes part in the softmax and has no value. */
  readonly sinks?: NDArray | null;
  /** No MLX option: a query sees only this many keys, itself included; 0 for all. Together with `mask: "causal"`. */
  readonly window?: number;
  /** No MLX option: only the first so many keys exist; int32, 0-d or [B]. */
  readonly length?: NDArray | null;
}
/** Checks queries [B, H, L, D], keys [B, G, S, D] and values [B, G, S, E]. */
function checkAttention(q: NDArray, k: NDArray, v: NDArray): void {
  const all = [q, k, v];
  const fits = all.every((x) => x.shape.length === 4) && k.shape[0] === q.shape[0] && v.shape[0] === q.shape[0] &&
    q.shape[3] === k.shape[3] && k.shape[1] === v.shape[1] && k.shape[2] === v.shape[2] &&
    q.shape[1]! % k.shape[1]! === 0;
  if (fits && all.every((x) => x.dtype.kind === "float")) return;
  fail(fits ? DTypeError : ShapeError, "scaledDotProductAttention", {
    cannot: `attend from ${describe(q)} to ${describe(k)} and ${describe(v)}`,
    expected: fits ? "float arrays" : "queries [B, H, L, D], keys [B, G, S, D] and values [B, G, S, E], G dividing H",
    got: all.map((x) => describe(x)).join(", "),
    fix: fits ? "cast with astype" : "reshape or transpose them",
  });
}
/** An option that must not widen the result's dtype. */
function narrowed(what: string, x: NDArray, dtype: DType): NDArray {
  if (promoteTypes(x.dtype, dtype) !== dtype) {
    fail(DTypeError, "scaledDotProductAttention", {
      cannot: `use ${what} ${describe(x)}`,
      expected: `a dtype that promotes to ${dtype}`,
      got: x.dtype.name,
      fix: `cast it to ${dtype}`,
    });
  }
  return x.dtype === bool_ ? x : cast(x, dtype);
}
/**
 * Attention: `softmax(scale q k^T + mask) v` (`mlx.core.fast.scaled_dot_product_attention`), for queries [B, H, L, D],
 * keys [B, G, S, D] and values [B, G, S, E], where H / G query heads share a key head. A causal mask is aligned at the
 * last key: query i sees keys up to S - L + i. The scores are never stored.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const q = mx.random.normal([1, 4, 5, 8]), k = mx.random.normal([1, 2, 5, 8]), v = mx.ones([1, 2, 5, 8]);
 * mx.fast.scaledDotProductAttention(q, k, v, { scale: 8 ** -0.5, mask: "causal" }).shape; // [1, 4, 5, 8]
 * ```
 */
export function scaledDotProductAttention(
  queries: Operand,
  keys: Operand,
  values: Operand,
  options: AttentionOptions,
): NDArray {
  if (recorder) return recorder.call(scaledDotProductAttention, [queries, keys, values, options]);
  const op = "scaledDotProductAttention";
  const [q, k, v] = promoted([toArray(op, queries), toArray(op, keys), toArray(op, values)]);
  const { scale, mask = null, sinks = null, window = 0, length = null } = options;
  checkAttention(q, k, v);
  if (typeof mask === "string" && mask !== "causal") {
    fail(ValueError, op, {
      cannot: `use mask "${String(mask)}"`,
      expected: `"causal" or an array`,
      got: String(mask),
      fix: "use one of them",
    });
  }
  if (sinks && (sinks.shape.length !== 1 || sinks.shape[0] !== q.shape[1])) {
    fail(ShapeError, op, {
      cannot: `use sinks ${describe(sinks)}`,
      expected: `shape [${q.shape[1]}]`,
      got: describe(sinks),
      fix: "give one per head",
    });
  }
  const scores = [...q.shape.slice(0, 3), k.shape[2]!];
  const inputs = [q, k, v];
  if (isArray(mask)) inputs.push(broadcastTo(narrowed("a mask", mask, q.dtype), scores));
  if (sinks) inputs.push(narrowed("sinks", sinks, q.dtype));
  if (length) inputs.push(cast(length, int32));
  return attend(inputs, {
    scale,
    causal: mask === "causal",
    window,
    hasMask: isArray(mask),
    hasSinks: sinks !== null,
    hasLength: length !== null,
  });
}
