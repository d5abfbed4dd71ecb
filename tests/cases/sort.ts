/**
 * Cases of sorting along an axis: NaN last, complex numbers by real, then imaginary part; equal elements keep their
 * order.
 * @module
 */
import { bool_, float32 } from "../../core/dtype.ts";
import type { sortPrimitives } from "../../core/primitives/sort.ts";
import type { Shape } from "../../core/primitive.ts";
import { type Case, type Cases, floats, LARGE, numbers, valuesFrom, type Variant } from "./case.ts";
import { distinct, integers, listed } from "./generate.ts";
import { count, stepsOf, taken, type Tensor, type Values, valuesOf } from "./tensor.ts";

type Axis = { readonly axis: number };
const SHAPES: readonly (readonly [Shape, number])[] = [
  [[9], 0],
  [[3, 4], 0],
  [[3, 4], 1],
  [[2, 3, 4], 1],
  [[0, 3], 1],
  [[3, 0], 1],
  [[2, 1, 3, 2, 2], 2],
  [[3, 300], 1],
];

/** For each place of the result the place of the input that comes there. */
function order(x: Tensor, axis: number): number[] {
  const step = stepsOf(x.shape)[axis]!, n = x.shape[axis]!, places = new Array<number>(count(x.shape));
  const compare = (a: number, b: number): number => {
    if (Number.isNaN(x.re[a]) || Number.isNaN(x.re[b])) {
      return Number(Number.isNaN(x.re[a])) - Number(Number.isNaN(x.re[b]));
    }
    return x.re[a] !== x.re[b] ? (x.re[a]! < x.re[b]! ? -1 : 1) : (x.im?.[a] ?? 0) - (x.im?.[b] ?? 0);
  };
  for (let i = 0; i < places.length; i++) {
    if (Math.floor(i / step) % n !== 0) continue;
    const row = Array.from({ length: n }, (_, k) => i + k * step);
    row.toSorted(compare).forEach((at, k) => places[row[k]!] = at);
  }
  return places;
}
function sorting(reference: (x: Tensor, axis: number, places: number[]) => Values): Case<Axis> {
  const variants: Variant<Axis>[] = SHAPES.map(([shape, axis]) => ({
    params: { axis },
    inputs: [{ shape, domain: distinct(-4, 4) }],
  }));
  return {
    dtypes: [...numbers, bool_],
    variants: [
      ...variants,
      { params: { axis: 1 }, inputs: [{ shape: [3, 40], domain: integers(0, 4) }], label: "ties" },
      {
        params: { axis: 0 },
        inputs: [{ shape: [14], domain: listed(1, NaN, -1, Infinity, 2, -Infinity, NaN) }],
        dtypes: floats,
        label: "NaN last",
      },
    ],
    reference: ([x], { axis }) => reference(x!, axis, order(x!, axis)),
    perf: [{
      label: "rows",
      dtype: float32,
      params: { axis: 1 },
      inputs: [{ shape: LARGE, domain: distinct(-4, 4) }],
      flops: 0,
    }],
  };
}

/** The cases of the family `sort`. */
export const sortCases: Cases<keyof typeof sortPrimitives> = {
  sort: sorting((x, _axis, places) => valuesOf(taken(x, x.shape, places))),
  argsort: sorting((x, axis, places) =>
    valuesFrom(places.length, (i) => Math.floor(places[i]! / stepsOf(x.shape)[axis]!) % x.shape[axis]!)
  ),
};
