/**
 * Reductions over axes (non-negative, ascending; the result lacks them) and their derivatives. What users call is in
 * `core/ops/reduce.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { bool_, type DType, uint32 } from "../dtype.ts";
import { bind } from "../graph.ts";
import { divide, equal, multiply } from "../ops/binary.ts";
import { takeAlongAxis } from "../ops/index.ts";
import { cast } from "../ops/operand.ts";
import { argmax, argmin, sum } from "../ops/reduce.ts";
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
    valid: ([x], { axes }) => axes.every((a, i) => a > (axes[i - 1] ?? -1) && a < x.shape.length),
    ...rules,
    vmap: ([x], _mapped, { axes }) => bind(name, [x], { axes: axes.map((axis) => axis + 1) }),
  });
}
const constant: Rules = { vjp: () => [null], jvp: () => null };
/** A reduced array with its axes back, of length 1. */
function kept(y: NDArray, x: NDArray, axes: readonly number[]): NDArray {
  return reshape(y, keptAxes(x.shape, axes));
}

/** The axes moved to the end, in order. */
function axesLast(x: NDArray, axes: readonly number[]): number[] {
  return [...x.shape.keys()].filter((axis) => !axes.includes(axis)).concat(axes);
}
/** The array with the axes moved to the end and made one. */
function flattened(x: NDArray, axes: readonly number[]): NDArray {
  const n = sizeOf(axes.map((axis) => x.shape[axis]!));
  return reshape(transpose(x, { axes: axesLast(x, axes) }), [...withoutAxes(x.shape, axes), n]);
}
/** The product of all other elements along the axes: exact where elements are 0. */
function othersProduct(x: NDArray, axes: readonly number[]): NDArray {
  const order = axesLast(x, axes), flat = flattened(x, axes);
  const before = cumprod(flat, -1, { inclusive: false });
  const after = cumprod(flat, -1, { reverse: true, inclusive: false });
  const apart = reshape(multiply(before, after), order.map((axis) => x.shape[axis]!));
  return transpose(apart, { axes: x.shape.map((_, axis) => order.indexOf(axis)) });
}
const product: Rules = {
  // dy = Σ_i t_i Π_{j≠i} x_j
  vjp: ([x], _y, ct, { axes }) => [multiply(conjugate(othersProduct(x, axes)), kept(ct, x, axes))],
  jvp: ([x], _y, [t], { axes }) => t && sum(multiply(othersProduct(x, axes), t), axes),
};
function extremum(argument: (x: NDArray, axis: number) => NDArray): Rules {
  return {
    // k equal extrema take 1/k each
    vjp: ([x], y, ct, { axes }) => {
      const mask = cast(equal(x, kept(y, x, axes)), x.dtype);
      return [multiply(kept(divide(ct, sum(mask, axes)), x, axes), mask)];
    },
    // forward, the first of them has it all, as in MLX
    jvp: ([x], y, [t], { axes }) => {
      if (!t) return null;
      const place = reshape(argument(flattened(x, axes), -1), [...y.shape, 1]);
      return reshape(takeAlongAxis(flattened(t, axes), place, { axis: -1 }), y.shape);
    },
  };
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
  max: reduction("max", extremum(argmax)),
  min: reduction("min", extremum(argmin)),
  all: reduction("all", constant, () => bool_),
  any: reduction("any", constant, () => bool_),
  argmax: position("argmax"),
  argmin: position("argmin"),
});
