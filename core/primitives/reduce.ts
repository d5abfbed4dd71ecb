/**
 * Reductions over axes (non-negative, ascending; the result lacks them) and their derivatives. What users call is in
 * `core/ops/reduce.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { bool_, type DType, uint32 } from "../dtype.ts";
import { bind } from "../graph.ts";
import { divide, equal, multiply } from "../ops/binary.ts";
import { cast } from "../ops/operand.ts";
import { sum } from "../ops/reduce.ts";
import { cumprod } from "../ops/scan.ts";
import { conjugate } from "../ops/unary.ts";
import { broadcastTo, reshape, transpose } from "../ops/view.ts";
import { primitives, type Spec, spec } from "../primitive.ts";
import { keptAxes, sizeOf, withoutAxes } from "../shape.ts";

type Axes = { readonly axes: "ints" };
type Name = "sum" | "prod" | "max" | "min" | "all" | "any";
type Rules = Pick<Spec<Axes, 1>, "vjp" | "jvp">;
type Axis = { readonly axis: "int" };

function reduction(name: Name, rules: Rules, dtype: (d: DType) => DType = (d) => d): Spec<Axes, 1> {
  return spec({
    family: "reduce",
    kind: "reduce",
    params: { axes: "ints" },
    arity: 1,
    infer: ([x], { axes }) => ({ shape: withoutAxes(x.shape, axes), dtype: dtype(x.dtype) }),
    ...rules,
    vmap: ([x], _mapped, { axes }) => bind(name, [x], { axes: axes.map((axis) => axis + 1) }),
  });
}
const constant: Rules = { vjp: () => [null], jvp: () => null };
/** A reduced array with its axes back, of length 1. */
function kept(y: NDArray, x: NDArray, axes: readonly number[]): NDArray {
  return reshape(y, keptAxes(x.shape, axes));
}

/** The product of all other elements along the axes: exact where elements are 0. */
function othersProduct(x: NDArray, axes: readonly number[]): NDArray {
  const order = [...x.shape.keys()].filter((axis) => !axes.includes(axis)).concat(axes);
  const last = transpose(x, { axes: order });
  const flat = reshape(last, [...withoutAxes(x.shape, axes), sizeOf(axes.map((axis) => x.shape[axis]!))]);
  const before = cumprod(flat, -1, { inclusive: false }),
    after = cumprod(flat, -1, { reverse: true, inclusive: false });
  const back = x.shape.map((_, axis) => order.indexOf(axis));
  return transpose(reshape(multiply(before, after), last.shape), { axes: back });
}
const product: Rules = {
  // dy = Σ_i t_i Π_{j≠i} x_j
  vjp: ([x], _y, ct, { axes }) => [multiply(conjugate(othersProduct(x, axes)), kept(ct, x, axes))],
  jvp: ([x], _y, [t], { axes }) => t && sum(multiply(othersProduct(x, axes), t), axes),
};
const extremum: Rules = {
  // k equal extrema take 1/k each
  vjp: ([x], y, ct, { axes }) => {
    const [mask, count] = extrema(x, y, axes);
    return [multiply(kept(divide(ct, count), x, axes), mask)];
  },
  jvp: ([x], y, [t], { axes }) => {
    const [mask, count] = extrema(x, y, axes);
    return t && divide(sum(multiply(t, mask), axes), count);
  },
};
/** Where the extremum is, and how often, in the dtype of the array. */
function extrema(x: NDArray, y: NDArray, axes: readonly number[]): [NDArray, NDArray] {
  const mask = cast(equal(x, kept(y, x, axes)), x.dtype);
  return [mask, sum(mask, axes)];
}
function position(name: "argmax" | "argmin"): Spec<Axis, 1> {
  return spec({
    family: "reduce",
    kind: "kernel",
    params: { axis: "int" },
    arity: 1,
    needs: ["any"],
    infer: ([x], { axis }) => ({ shape: withoutAxes(x.shape, [axis]), dtype: uint32 }),
    vjp: () => [null],
    jvp: () => null,
    vmap: ([x], _mapped, { axis }) => bind(name, [x], { axis: axis + 1 }),
  });
}

/** The primitives of the reduce family, in the order of their codes. */
export const reducePrimitives = primitives({
  sum: reduction("sum", {
    vjp: ([x], _y, ct, { axes }) => [broadcastTo(kept(ct, x, axes), x.shape)],
    jvp: (_x, _y, [t], { axes }) => t && sum(t, axes),
  }),
  prod: reduction("prod", product),
  max: reduction("max", extremum),
  min: reduction("min", extremum),
  all: reduction("all", constant, () => bool_),
  any: reduction("any", constant, () => bool_),
  argmax: position("argmax"),
  argmin: position("argmin"),
});
