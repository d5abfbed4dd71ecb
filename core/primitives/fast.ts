/**
 * Records of the fused operations of neural networks. Their derivatives are formulas in float32 (for float64 in
 * float64), written above each; the composed forms of attention and rotary positions are in `core/ops/fast.ts`, beside
 * the ops.
 * @module
 */
import type { NDArray } from "../array.ts";
import { type Aval, primitives, spec } from "../primitive.ts";
import { add, multiply, subtract } from "../ops/binary.ts";
import { zerosLike } from "../ops/create.ts";
import { layerNorm, rmsNorm } from "../ops/fast.ts";
import {
  attend,
  type Attention,
  type AttentionInputs,
  attentionInputs,
  attentionWeights,
  grouped,
  lastLogsumexp,
  lastSoftmax,
  rotate,
  type Rotation,
  widened,
} from "../ops/fast_rules.ts";
import { stack } from "../ops/index.ts";
import { matmul } from "../ops/matmul.ts";
import { cast } from "../ops/operand.ts";
import { mean, sum } from "../ops/reduce.ts";
import { where } from "../ops/ternary.ts";
import { rsqrt, square } from "../ops/unary.ts";
import { broadcastTo, expandDims, reshape, sliceAxis, squeeze, swapaxes } from "../ops/view.ts";
import { addTangents } from "./matmul.ts";
import { perElement } from "./work.ts";

const last = { axis: -1, keepdims: true } as const;
/** Sum over all axes but the last: the cotangent of a vector that is used in every row. */
function overRows(x: NDArray): NDArray {
  return sum(reshape(x, [-1, x.shape.at(-1)!]), { axis: 0 });
}
/** A batch of vectors [size, D] against rows [size, ..., D]. */
function asRows(vector: NDArray, rows: NDArray): NDArray {
  return reshape(vector, [vector.shape[0]!, ...new Array<number>(rows.shape.length - 2).fill(1), vector.shape[1]!]);
}
/** One call per row of the batch: for parameters that a kernel takes only once. */
function each(
  inputs: readonly (NDArray | null)[],
  mapped: readonly boolean[],
  size: number,
  call: (inputs: NDArray[]) => NDArray,
): NDArray {
  const rows = Array.from(
    { length: size },
    (_, i) =>
      inputs.flatMap((x, k) =>
        x === null ? [] : [mapped[k] ? reshape(sliceAxis(x, 0, i, i + 1), x.shape.slice(1)) : x]
      ),
  );
  return stack(rows.map(call));
}
function batched(x: NDArray, mapped: boolean | undefined, size: number): NDArray {
  return mapped ? x : broadcastTo(x, [size, ...x.shape]);
}

/** The normalized rows n = (x - m) r, with r = 1 / sqrt(var + eps); m is 0 for the root mean square. */
function normalized(x: NDArray, eps: number, centred: boolean): { n: NDArray; r: NDArray } {
  const wide = widened(x);
  const c = centred ? subtract(wide, mean(wide, last)) : wide;
  const r = rsqrt(add(mean(square(c), last), eps));
  return { n: multiply(c, r), r };
}
/** The derivative of n applied to t, symmetric: r (t - mean(t) - n mean(n t)), without the first mean if m is 0. */
function throughNorm(t: NDArray, n: NDArray, r: NDArray, centred: boolean): NDArray {
  const free = centred ? subtract(t, mean(t, last)) : t;
  return multiply(r, subtract(free, multiply(n, mean(multiply(n, t), last))));
}
/** y = n w + b: dx is the above of ct w, dw the sum of ct n over the rows, db that of ct. */
function normVjp(
  x: NDArray,
  weight: NDArray | null,
  bias: NDArray | null,
  ct: NDArray,
  eps: number,
  centred: boolean,
): NDArray[] {
  const { n, r } = normalized(x, eps, centred);
  const wide = cast(ct, n.dtype);
  const dx = throughNorm(weight ? multiply(wide, cast(weight, n.dtype)) : wide, n, r, centred);
  return [
    cast(dx, x.dtype),
    ...weight ? [cast(overRows(multiply(wide, n)), weight.dtype)] : [],
    ...bias ? [cast(overRows(wide), bias.dtype)] : [],
  ];
}
function normJvp(
  x: NDArray,
  weight: NDArray | null,
  y: NDArray,
  tx: NDArray | null,
  tw: NDArray | null,
  tb: NDArray | null,
  eps: number,
  centred: boolean,
): NDArray | null {
  const { n, r } = normalized(x, eps, centred);
  const moved = tx && throughNorm(cast(tx, n.dtype), n, r, centred);
  const scaled = moved && weight ? multiply(moved, cast(weight, n.dtype)) : moved;
  const parts = addTangents(scaled, tw && multiply(n, cast(tw, n.dtype)));
  const total = addTangents(parts, tb && broadcastTo(cast(tb, n.dtype), y.shape));
  return total && cast(total, y.dtype);
}
/** The inputs of a layer norm by name. */
function affine<T>(rest: readonly T[], hasWeight: boolean, hasBias: boolean): [T | null, T | null] {
  return [hasWeight ? rest[0] ?? null : null, hasBias ? rest[hasWeight ? 1 : 0] ?? null : null];
}
/** A batched weight or bias is applied after the norm, row by row of the batch. */
function normVmap(
  x: NDArray,
  weight: NDArray | null,
  bias: NDArray | null,
  mapped: { x: boolean; weight: boolean; bias: boolean },
  size: number,
  norm: (x: NDArray, weight: NDArray | null, bias: NDArray | null) => NDArray,
): NDArray {
  const rows = batched(x, mapped.x, size);
  if (!mapped.weight && !mapped.bias) return norm(rows, weight, bias);
  const n = norm(rows, null, null);
  const scaled = weight ? multiply(n, mapped.weight ? asRows(weight, rows) : weight) : n;
  return bias ? add(scaled, mapped.bias ? asRows(bias, rows) : bias) : scaled;
}

function ropeVmap(
  [x, offset, freqs]: readonly NDArray[],
  [mx, mo, mf]: readonly boolean[],
  p: Rotation,
  size: number,
): NDArray {
  if (mf) {
    return each([x!, offset!, freqs!], [mx ?? false, mo ?? false, true], size, ([a, b, c]) => rotate(a!, b!, c!, p));
  }
  const rows = batched(x!, mx, size);
  const own = mo ? offset!.shape.length - 1 : offset!.shape.length;
  if (!mo && own === 0) return rotate(rows, offset!, freqs ?? null, p);
  // The batch and the rows of the batch become one axis, with an offset for each entry.
  const [, inner, ...rest] = rows.shape;
  const wide = own === 0 ? reshape(offset!, [size, 1]) : mo ? offset! : reshape(offset!, [1, inner!]);
  const offsets = reshape(broadcastTo(wide, [size, inner!]), [size * inner!]);
  return reshape(rotate(reshape(rows, [size * inner!, ...rest]), offsets, freqs ?? null, p), rows.shape);
}

/** The inputs of attention as arrays: q, k and v are always there. */
function named(inputs: readonly NDArray[], p: Attention): AttentionInputs {
  const x = attentionInputs(inputs, p);
  return { ...x, q: inputs[0]!, k: inputs[1]!, v: inputs[2]! };
}
/** Tangents or cotangents of the scores: those that are hidden do not count, even if a query sees nothing. */
function counted(x: NDArray, seen: NDArray | null): NDArray {
  return seen ? where(seen, x, 0) : x;
}
/** Adds up query heads that share a key head: [B, G, H / G, S, D] to [B, G, S, D]. */
const shared = (x: NDArray): NDArray => x.shape[2] === 1 ? squeeze(x, 2) : sum(x, { axis: 2 });
/**
 * With P = softmax(S), S = scale q k^T + mask, y = P v and the rows' D = sum(ct y): dv = P^T ct, dS = P (ct v^T - D),
 * dq = scale dS k, dk = scale dS^T q, dmask = dS. A sink has the probability p and no value, so its cotangent is -sum(p
 * D).
 */
function attentionVjp(inputs: readonly NDArray[], ct: NDArray, p: Attention): (NDArray | null)[] {
  const x = named(inputs, p);
  const groups = x.k.shape[1]!;
  const { weights, sink, seen } = attentionWeights(x, p);
  const [wide, q] = [grouped(ct, groups), grouped(x.q, groups)];
  const [k, v] = [expandDims(widened(x.k), 2), expandDims(widened(x.v), 2)];
  const pulled = matmul(wide, swapaxes(v, -1, -2));
  const rows = sum(multiply(pulled, weights), last);
  const ds = counted(multiply(weights, subtract(pulled, rows)), seen);
  const dsinks = sink && reshape(multiply(sum(multiply(sink, rows), { axis: [0, 3, 4] }), -1), [x.q.shape[1]!]);
  return [
    cast(reshape(matmul(ds, multiply(k, p.scale)), x.q.shape), x.q.dtype),
    cast(shared(matmul(swapaxes(ds, -1, -2), multiply(q, p.scale))), x.k.dtype),
    cast(shared(matmul(swapaxes(weights, -1, -2), wide)), x.v.dtype),
    ...x.mask ? [x.mask.dtype.kind === "float" ? cast(reshape(ds, x.mask.shape), x.mask.dtype) : null] : [],
    ...x.sinks ? [dsinks && cast(dsinks, x.sinks.dtype)] : [],
    ...x.length ? [null] : [],
  ];
}
/** dS = scale (dq k^T + q dk^T) + dmask, dP = P (dS - sum(P dS) - p dsink), dy = dP v + P dv. */
function attentionJvp(
  inputs: readonly NDArray[],
  tangents: readonly (NDArray | null)[],
  y: NDArray,
  p: Attention,
): NDArray | null {
  const x = named(inputs, p);
  const t = attentionInputs(tangents, p);
  const groups = x.k.shape[1]!;
  const { weights, sink, seen } = attentionWeights(x, p);
  const keys = (k: NDArray) => expandDims(widened(k), 2);
  const dq = t.q && matmul(grouped(t.q, groups), swapaxes(keys(x.k), -1, -2));
  const dk = t.k && matmul(grouped(x.q, groups), swapaxes(keys(t.k), -1, -2));
  const scores = addTangents(dq, dk);
  const floating = x.mask?.dtype.kind === "float" ? t.mask : null;
  const moved = addTangents(
    scores && multiply(scores, p.scale),
    floating && cast(grouped(floating, groups), weights.dtype),
  );
  const ds = moved && counted(moved, seen);
  const mid = ds && sum(multiply(weights, ds), last);
  const sinkShift = sink && t.sinks && multiply(sink, reshape(cast(t.sinks, sink.dtype), [1, groups, -1, 1, 1]));
  const shift = addTangents(mid, sinkShift);
  const dp = shift && multiply(weights, subtract(ds ?? zerosLike(weights), shift));
  const out = addTangents(dp && matmul(dp, keys(x.v)), t.v && matmul(weights, keys(t.v)));
  return out && cast(reshape(out, y.shape), y.dtype);
}
/** The batch goes into the batch axis of attention; batched sinks need a call each. */
function attentionVmap(inputs: readonly NDArray[], mapped: readonly boolean[], p: Attention, size: number): NDArray {
  const m = attentionInputs(mapped, p);
  if (m.sinks) return each(inputs, mapped, size, (row) => attend(row, p));
  const x = attentionInputs(inputs, p);
  const folded = (a: NDArray, isMapped: boolean | null) => {
    const wide = batched(a, isMapped ?? false, size);
    return reshape(wide, [size * wide.shape[1]!, ...wide.shape.slice(2)]);
  };
  const [q, k, v] = [folded(inputs[0]!, m.q), folded(inputs[1]!, m.k), folded(inputs[2]!, m.v)];
  const batch = q.shape[0]! / size;
  const lengths = () => {
    const own = x.length!.shape.length - (m.length ? 1 : 0);
    const column = own === 0
      ? reshape(x.length!, [m.length ? size : 1, 1])
      : reshape(x.length!, [m.length ? size : 1, batch]);
    return reshape(broadcastTo(column, [size, batch]), [size * batch]);
  };
  const all = [
    q,
    k,
    v,
    ...x.mask ? [folded(x.mask, m.mask)] : [],
    ...x.sinks ? [x.sinks] : [],
    ...x.length ? [lengths()] : [],
  ];
  const y = attend(all, p);
  return reshape(y, [size, batch, ...y.shape.slice(1)]);
}

/** The products with the keys and with the values, for the keys that each query sees. */
function attentionFlops(q: Aval, k: Aval, v: Aval, { causal, window }: Attention): number {
  const [batch, heads, queries, width] = q.shape, keys = k.shape[2]!;
  const seen = causal ? Math.max(keys - (queries! - 1) / 2, keys / 2) : keys;
  return 2 * batch! * heads! * queries! * (window > 0 ? Math.min(seen, window) : seen) * (width! + v.shape[3]!);
}

/** Records of the family `fast`, in opcode order. Of `flops`, an exponential counts as 8. */
export const fastPrimitives = primitives({
  softmax: spec({
    family: "fast",
    kind: "kernel",
    params: { precise: "bool" },
    arity: 1,
    needs: ["rows"],
    flops: perElement(11),
    infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
    // dy = y (dx - sum(y dx)), symmetric.
    vjp: (_x, y, ct) => [multiply(y, subtract(ct, sum(multiply(y, ct), last)))],
    jvp: (_x, y, [t]) => t && multiply(y, subtract(t, sum(multiply(y, t), last))),
    vmap: ([x], _m, { precise }) => lastSoftmax(x, precise),
  }),
  logsumexp: spec({
    family: "fast",
    kind: "kernel",
    params: {},
    arity: 1,
    needs: ["rows"],
    flops: perElement(10),
    infer: ([x]) => ({ shape: x.shape.slice(0, -1), dtype: x.dtype }),
    vjp: ([x], _y, ct) => [multiply(expandDims(ct, -1), lastSoftmax(x, true))],
    jvp: ([x], _y, [t]) => t && sum(multiply(t, lastSoftmax(x, true)), { axis: -1 }),
    vmap: ([x]) => lastLogsumexp(x),
  }),
  rmsNorm: spec({
    family: "fast",
    kind: "kernel",
    params: { eps: "float" },
    arity: Infinity,
    needs: ["rows", "contiguous"],
    flops: perElement(4),
    infer: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
    vjp: ([x, weight], _y, ct, { eps }) => normVjp(x!, weight ?? null, null, ct, eps, false),
    jvp: ([x, weight], y, [tx, tw], { eps }) =>
      normJvp(x!, weight ?? null, y, tx ?? null, tw ?? null, null, eps, false),
    vmap: ([x, weight], [mx, mw], { eps }, size) =>
      normVmap(
        x!,
        weight ?? null,
        null,
        { x: mx ?? false, weight: mw ?? false, bias: false },
        size,
        (a, w) => rmsNorm(a, w, eps),
      ),
  }),
  layerNorm: spec({
    family: "fast",
    kind: "kernel",
    params: { eps: "float", hasWeight: "bool", hasBias: "bool" },
    arity: Infinity,
    needs: ["rows", "contiguous"],
    flops: perElement(8),
    infer: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
    vjp: ([x, ...rest], _y, ct, { eps, hasWeight, hasBias }) =>
      normVjp(x!, ...affine(rest, hasWeight, hasBias), ct, eps, true),
    jvp: ([x, ...rest], y, [tx, ...tangents], { eps, hasWeight, hasBias }) => {
      const [weight] = affine(rest, hasWeight, hasBias);
      return normJvp(x!, weight, y, tx ?? null, ...affine(tangents, hasWeight, hasBias), eps, true);
    },
    vmap: ([x, ...rest], [mx, ...mapped], { eps, hasWeight, hasBias }, size) => {
      const [weight, bias] = affine(rest, hasWeight, hasBias);
      const [mw, mb] = affine(mapped, hasWeight, hasBias);
      const m = { x: mx ?? false, weight: mw ?? false, bias: mb ?? false };
      return normVmap(x!, weight, bias, m, size, (a, w, b) => layerNorm(a, w, b, eps));
    },
  }),
  rope: spec({
    family: "fast",
    kind: "kernel",
    params: { dims: "int", traditional: "bool", base: "float", scale: "float", hasFreqs: "bool" },
    arity: Infinity,
    needs: ["rows", "contiguous"],
    flops: perElement(3),
    infer: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
    // A rotation's transpose is the rotation back, by negative angles.
    vjp: ([, offset, freqs], _y, ct, p) => [
      rotate(ct, offset!, freqs ?? null, { ...p, scale: -p.scale }),
      null,
      ...freqs ? [null] : [],
    ],
    jvp: ([, offset, freqs], _y, [t], p) => t ? rotate(t, offset!, freqs ?? null, p) : null,
    vmap: (x, mapped, p, size) => ropeVmap(x, mapped, p, size),
  }),
  attention: spec({
    family: "fast",
    kind: "kernel",
    params: { scale: "float", causal: "bool", window: "int", hasMask: "bool", hasSinks: "bool", hasLength: "bool" },
    arity: Infinity,
    needs: ["rows", "rows", "rows", "any", "contiguous"],
    flops: ([q, k, v], _y, p) => attentionFlops(q!, k!, v!, p),
    infer: ([q, , v]) => ({ shape: [...q!.shape.slice(0, 3), v!.shape[3]!], dtype: q!.dtype }),
    vjp: (x, _y, ct, p) => attentionVjp(x, ct, p),
    jvp: (x, y, t, p) => attentionJvp(x, t, y, p),
    vmap: (x, mapped, p, size) => attentionVmap(x, mapped, p, size),
  }),
});
