/**
 * Cases of the reductions. A reference gathers the elements that meet in each place of the result.
 * @module
 */
import { bool_, type DType, float32 } from "../../core/dtype.ts";
import type { reducePrimitives } from "../../core/primitives/reduce.ts";
import type { Aval, Shape } from "../../core/primitive.ts";
import {
  all,
  type Case,
  type Cases,
  complexFrom,
  elementOf,
  floats,
  integral,
  LARGE,
  numbers,
  type Tolerance,
  valuesFrom,
  type Variant,
} from "./case.ts";
import * as c from "./complex.ts";
import { aboutOne, between, distinct, type Domain, integers, withZeros } from "./generate.ts";
import { count, indicesOf, placeOf, type Tensor } from "./tensor.ts";

/** Places of the elements that meet in each place of the result. */
function meeting(x: Aval, axes: readonly number[], out: Shape): number[][] {
  const met = Array.from({ length: count(out) }, (): number[] => []);
  let place = 0;
  for (const index of indicesOf(x.shape)) {
    met[placeOf(out, index.filter((_, axis) => !axes.includes(axis)))]!.push(place++);
  }
  return met;
}
type Axes = { readonly axes: readonly number[] };
const SHAPES: readonly (readonly [Shape, readonly number[]])[] = [
  [[3, 4], [0]],
  [[3, 4], [1]],
  [[3, 4], [0, 1]],
  [[2, 3, 4], [1]],
  [[2, 3, 4], [0, 2]],
  [[2, 3, 4], []],
  [[], []],
  [[2, 1, 3, 2, 2], [1, 2, 4]],
  [[7, 333], [1]],
  [[333, 7], [0]],
];
interface Reduction {
  readonly fold: (x: Tensor, places: readonly number[], i: number) => c.C;
  readonly domain: Domain;
  readonly dtypes: readonly DType[];
  readonly tolerance?: Tolerance;
  /** Whether nothing can be reduced: then empty axes are tried too. */
  readonly ofNothing: boolean;
  readonly special?: Domain;
  /** Whether derivatives have branches at zeros. */
  readonly zeros?: boolean;
}
function reduction(f: Reduction): Case<Axes> {
  const empty: readonly (readonly [Shape, readonly number[]])[] = f.ofNothing
    ? [[[0, 3], [0]], [[3, 0], [0]]]
    : [[[3, 0], [0]]];
  const variants: Variant<Axes>[] = [...SHAPES, ...empty].map(([shape, axes]) => ({
    params: { axes },
    inputs: [{ shape, domain: f.domain }],
  }));
  const dtypes = f.dtypes.filter((d) => d.kind === "float");
  if (f.zeros) variants.push({ params: { axes: [0, 2] }, inputs: [{ shape: [3, 4, 2], domain: withZeros(f.domain) }] });
  if (f.special) {
    variants.push({
      params: { axes: [1] },
      inputs: [{ shape: [5, 40], domain: f.special }],
      dtypes,
      label: "zeros, NaN, infinities",
    });
  }
  const inputs = [{ shape: LARGE, domain: f.domain }];
  return {
    dtypes: f.dtypes,
    variants,
    tolerance: f.tolerance ?? {},
    reference: ([x], { axes }, out) => {
      const met = meeting(x!, axes, out.shape);
      return complexFrom(out, (i) => f.fold(x!, met[i]!, i));
    },
    perf: [
      { label: "rows", dtype: f.dtypes.includes(float32) ? float32 : bool_, params: { axes: [1] }, inputs, flops: 1 },
      {
        label: "columns",
        dtype: f.dtypes.includes(float32) ? float32 : bool_,
        params: { axes: [0] },
        inputs,
        flops: 1,
      },
    ],
  };
}
const total = (x: Tensor, places: readonly number[]): c.C =>
  places.reduce((sum: c.C, at) => c.plus(sum, elementOf(x, at)), [0, 0]);
/** Real parts multiply as real numbers: infinity times a zero imaginary part would be NaN. */
function product(x: Tensor, places: readonly number[]): c.C {
  if (!x.im) return c.real(places.reduce((p, at) => p * x.re[at]!, 1));
  return places.reduce((p: c.C, at) => c.times(p, elementOf(x, at)), [1, 0]);
}
/** The greatest by `above`; NaN above all. */
function extreme(above: (x: number, y: number) => boolean): (x: Tensor, places: readonly number[]) => c.C {
  return ({ re }, places) => {
    let best = re[places[0]!]!;
    for (const at of places) if (!Number.isNaN(best) && (Number.isNaN(re[at]) || above(re[at]!, best))) best = re[at]!;
    return c.real(best);
  };
}
const truth = (x: Tensor, at: number): boolean => x.re[at] !== 0 || (x.im?.[at] ?? 0) !== 0;
const spoiled: Domain = (r, n, dtype) =>
  between(-3, 3)(r, n, dtype).map((x) => r.next() < 0.02 ? r.pick([NaN, Infinity, -Infinity]) : x);
const real: readonly DType[] = [...floats, ...integral];

type Axis = { readonly axis: number };
/** The first place of the extreme, NaN before all. */
function position(above: (x: number, y: number) => boolean): Case<Axis> {
  const shapes: readonly (readonly [Shape, number])[] = [
    [[3, 4], 0],
    [[3, 4], 1],
    [[2, 3, 4], 1],
    [[5], 0],
    [[3, 0], 0],
    [[2, 1, 3, 2, 2], 2],
    [[3, 333], 1],
    [[333, 3], 0],
  ];
  return {
    dtypes: [...real, bool_],
    variants: [
      ...shapes.map(([shape, axis]) => ({ params: { axis }, inputs: [{ shape, domain: between(-4, 4) }] })),
      { params: { axis: 1 }, inputs: [{ shape: [3, 40], domain: integers(0, 3) }], label: "ties" },
      { params: { axis: 1 }, inputs: [{ shape: [9, 40], domain: spoiled }], dtypes: floats, label: "NaN" },
    ],
    reference: ([x], { axis }, out) => {
      const met = meeting(x!, [axis], out.shape), { re } = x!;
      return valuesFrom(met.length, (i) => {
        const places = met[i]!, nan = places.findIndex((at) => Number.isNaN(re[at]!));
        if (nan >= 0) return nan;
        let best = 0;
        for (let k = 1; k < places.length; k++) if (above(re[places[k]!]!, re[places[best]!]!)) best = k;
        return best;
      });
    },
    perf: [{
      label: "rows",
      dtype: float32,
      params: { axis: 1 },
      inputs: [{ shape: LARGE, domain: between(-4, 4) }],
      flops: 1,
    }],
  };
}

/** The cases of the family `reduce`. */
export const reduceCases: Cases<keyof typeof reducePrimitives> = {
  sum: reduction({
    fold: total,
    domain: between(-4, 4),
    dtypes: numbers,
    ofNothing: true,
    tolerance: { ulps: 64, half: 2 },
    special: spoiled,
  }),
  prod: reduction({
    fold: product,
    domain: aboutOne,
    dtypes: numbers,
    ofNothing: true,
    tolerance: { ulps: 64, half: 2 },
    special: withZeros(between(-2, 2)),
    zeros: true,
  }),
  max: reduction({
    fold: extreme((x, y) => x > y),
    domain: distinct(-4, 4),
    dtypes: real,
    ofNothing: false,
    special: spoiled,
  }),
  min: reduction({
    fold: extreme((x, y) => x < y),
    domain: distinct(-4, 4),
    dtypes: real,
    ofNothing: false,
    special: spoiled,
  }),
  all: reduction({
    fold: (x, places) => c.real(Number(places.every((at) => truth(x, at)))),
    domain: integers(0, 9),
    dtypes: all,
    ofNothing: true,
    special: spoiled,
  }),
  any: reduction({
    fold: (x, places) => c.real(Number(places.some((at) => truth(x, at)))),
    domain: withZeros(integers(0, 1)),
    dtypes: all,
    ofNothing: true,
    special: spoiled,
  }),
  argmax: position((x, y) => x > y),
  argmin: position((x, y) => x < y),
};
