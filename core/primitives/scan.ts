/**
 * Running reductions along an axis and their derivatives, exact with zeros and ties. What users call is in
 * `core/ops/scan.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { bind } from "../graph.ts";
import { add, divide, equal, logicalAnd, maximum, minimum, multiply, notEqual, subtract } from "../ops/binary.ts";
import { arange, zerosLike } from "../ops/create.ts";
import { concatenate, takeAlongAxis } from "../ops/index.ts";
import { scatterAxis } from "../ops/moves.ts";
import { cummax, cummin, cumprod, cumsum, logcumsumexp } from "../ops/scan.ts";
import { where } from "../ops/ternary.ts";
import { conjugate, exp, isneginf, log, negative, real } from "../ops/unary.ts";
import { broadcastTo, reshape, sliceOf } from "../ops/view.ts";
import { type Params, primitives, type Spec, spec } from "../primitive.ts";
import { perElement } from "./work.ts";

type Schema = { readonly axis: "int"; readonly reverse: "bool"; readonly inclusive: "bool" };
type Scan = Params<Schema>;
type Rules = Pick<Spec<Schema, 1>, "vjp" | "jvp">;
type Name = "cumsum" | "cumprod" | "cummax" | "cummin" | "logcumsumexp";

function scan(name: Name, rules: Rules): Spec<Schema, 1> {
  return spec({
    family: "scan",
    kind: "kernel",
    params: { axis: "int", reverse: "bool", inclusive: "bool" },
    arity: 1,
    needs: ["any"],
    flops: perElement(1),
    infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
    ...rules,
    vmap: ([x], _mapped, p) => bind(name, [x], { ...p, axis: p.axis + 1 }),
  });
}
/** The transpose of a running sum runs the other way. */
const turned = (p: Scan): Scan => ({ ...p, reverse: !p.reverse });

/**
 * A running product y and its first zero p (in running order). Before p, dy_i = y_i Σ_j t_j / x_j; from p on only t_p
 * counts, as every other term has the factor x_p = 0: dy_i = t_p times the running product with x_p = 1.
 */
function productParts(
  x: NDArray,
  y: NDArray,
  p: Scan,
): { first: NDArray; zero: NDArray; safe: NDArray; without: NDArray } {
  const other = cumprod(x, { ...p, inclusive: !p.inclusive });
  const [inclusive, exclusive] = p.inclusive ? [y, other] : [other, y];
  const zero = equal(inclusive, 0);
  const first = logicalAnd(zero, notEqual(exclusive, 0));
  return { first, zero, safe: where(zero, 1, x), without: cumprod(where(first, 1, x), p) };
}
const product: Rules = {
  vjp: ([x], y, ct, p) => {
    const { first, zero, safe, without } = productParts(x, y, p), bar = conjugate(ct);
    const smooth = where(zero, 0, divide(cumsum(multiply(bar, y), turned(p)), safe));
    return [conjugate(where(first, cumsum(multiply(bar, without), turned(p)), smooth))];
  },
  jvp: ([x], y, [t], p) => {
    if (!t) return null;
    const { first, zero, safe, without } = productParts(x, y, p);
    const smooth = multiply(y, cumsum(where(zero, 0, divide(t, safe)), p));
    return add(smooth, multiply(without, cumsum(where(first, t, 0), p)));
  },
};

/** Where the running extremum stands: the latest position, in running order, that equals it. */
function owner(name: "cummax" | "cummin", x: NDArray, { axis, reverse }: Scan): NDArray {
  const n = x.shape[axis]!;
  const y = bind(name, [x], { axis, reverse, inclusive: true });
  const places = broadcastTo(reshape(arange(n), x.shape.map((_, i) => i === axis ? n : 1)), x.shape);
  const held = where(equal(x, y), places, reverse ? n : -1);
  const latest = reverse ? cummin(held, { axis, reverse }) : cummax(held, { axis });
  return minimum(maximum(latest, 0), n - 1); // before a first NaN nothing equals the extremum
}
/**
 * Values moved one place on in running order (`on`) or back, a zero at the free end: what an exclusive scan does to an
 * inclusive one.
 */
function shift(x: NDArray, { axis, reverse }: Scan, on: boolean): NDArray {
  const n = x.shape[axis]!, towardsEnd = on !== reverse;
  const starts = x.shape.map((_, i) => i === axis && !towardsEnd ? 1 : 0);
  const rest = sliceOf(x, starts, x.shape.with(axis, towardsEnd ? n - 1 : n));
  const free = zerosLike(sliceOf(x, x.shape.map(() => 0), x.shape.with(axis, 1)));
  return concatenate(towardsEnd ? [free, rest] : [rest, free], { axis });
}
function extremum(name: "cummax" | "cummin"): Rules {
  return {
    // each cotangent goes to the position that its result was taken from
    vjp: ([x], _y, ct, p) => {
      if (x.shape[p.axis] === 0) return [ct];
      return [scatterAxis(zerosLike(x), owner(name, x, p), p.inclusive ? ct : shift(ct, p, false), p.axis, "add")];
    },
    jvp: ([x], _y, [t], p) => {
      if (!t || x.shape[p.axis] === 0) return t;
      const taken = takeAlongAxis(t, owner(name, x, p), { axis: p.axis });
      return p.inclusive ? taken : shift(taken, p, true);
    },
  };
}

/** Σ over the run of e^(weights) v by its logarithm: of real v positive and negative ones apart. */
function weightedSum(v: NDArray, p: Scan, before: NDArray, after: NDArray): NDArray {
  const part = (logarithm: NDArray): NDArray => exp(add(logcumsumexp(add(logarithm, before), p), after));
  if (v.dtype.kind === "complex") return part(log(v));
  return subtract(part(log(maximum(v, 0))), part(log(maximum(negative(v), 0))));
}
const isNothing = (y: NDArray): NDArray => isneginf(y.dtype.kind === "complex" ? real(y) : y);
const conjugateOf = (x: NDArray): NDArray => x.dtype.kind === "complex" ? conjugate(x) : x;
const logsum: Rules = {
  // ∂y_i/∂x_j = e^(x_j - y_i); results of nothing (-∞) take no part
  vjp: ([x], y, ct, p) => {
    const nothing = isNothing(y), back = negative(conjugateOf(where(nothing, 0, y)));
    return [weightedSum(where(nothing, 0, ct), turned(p), back, conjugateOf(x))];
  },
  jvp: ([x], y, [t], p) => {
    const nothing = isNothing(y);
    return t && where(nothing, 0, weightedSum(t, p, x, negative(where(nothing, 0, y))));
  },
};

/** The primitives of the scan family, in the order of their codes. */
export const scanPrimitives = primitives({
  cumsum: scan("cumsum", {
    vjp: (_x, _y, ct, p) => [cumsum(ct, turned(p))],
    jvp: (_x, _y, [t], p) => t && cumsum(t, p),
  }),
  cumprod: scan("cumprod", product),
  cummax: scan("cummax", extremum("cummax")),
  cummin: scan("cummin", extremum("cummin")),
  logcumsumexp: scan("logcumsumexp", logsum),
});
