/**
 * Cases of the running reductions.
 * @module
 */
import { type DType, float32 } from "../../core/dtype.ts";
import type { scanPrimitives } from "../../core/primitives/scan.ts";
import type { Shape } from "../../core/primitive.ts";
import {
  type Case,
  type Cases,
  complexFrom,
  elementOf,
  floats,
  LARGE,
  numbers,
  type Tolerance,
  type Variant,
} from "./case.ts";
import * as c from "./complex.ts";
import { aboutOne, between, distinct, type Domain, withZeros } from "./generate.ts";
import { stepsOf, type Tensor } from "./tensor.ts";

const firstOrder = "at zeros the rules are exact in first order";
type Scan = { readonly axis: number; readonly reverse: boolean; readonly inclusive: boolean };
interface Running {
  /** From the elements so far, in running order, without the present one where the scan is exclusive. */
  readonly fold: (seen: readonly c.C[]) => c.C;
  readonly domain: Domain;
  readonly dtypes: readonly DType[];
  readonly tolerance?: Tolerance;
  /** Where the derivative has branches. */
  readonly zeros?: boolean;
}
const SHAPES: readonly (readonly [Shape, number])[] = [
  [[7], 0],
  [[3, 4], 0],
  [[3, 4], 1],
  [[2, 3, 4], 1],
  [[0, 3], 1],
  [[3, 0], 1],
  [[2, 1, 3, 2, 2], 2],
];

function scan(f: Running): Case<Scan> {
  const modes = [true, false].flatMap((reverse) => [true, false].map((inclusive) => ({ reverse, inclusive })));
  const usual: Variant<Scan>[] = SHAPES.flatMap(([shape, axis]) =>
    modes.map((mode) => ({ params: { axis, ...mode }, inputs: [{ shape, domain: f.domain }] }))
  );
  const long = {
    params: { axis: 1, reverse: false, inclusive: true },
    inputs: [{ shape: [3, 300], domain: f.domain }],
    label: "long rows",
  };
  const zeros = modes.map((mode) => ({
    params: { axis: 1, ...mode },
    inputs: [{ shape: [4, 6], domain: withZeros(f.domain) }],
    firstOrder,
  }));
  return {
    dtypes: f.dtypes,
    variants: [...usual, long, ...f.zeros ? zeros : []],
    tolerance: f.tolerance ?? {},
    reference: ([x], { axis, reverse, inclusive }, out) => {
      const step = stepsOf(x!.shape)[axis]!, n = x!.shape[axis]!;
      return complexFrom(out, (i) => f.fold(elementsSoFar(x!, i, step, n, reverse, inclusive)));
    },
    perf: [{
      label: "rows",
      dtype: float32,
      params: { axis: 1, reverse: false, inclusive: true },
      inputs: [{ shape: LARGE, domain: f.domain }],
      flops: 1,
    }],
  };
}
/** The elements of the row of place `i` up to there, in running order. */
function elementsSoFar(x: Tensor, i: number, step: number, n: number, reverse: boolean, inclusive: boolean): c.C[] {
  const at = Math.floor(i / step) % n, first = i - at * step;
  const places = reverse
    ? Array.from({ length: n - at }, (_, k) => n - 1 - k)
    : Array.from({ length: at + 1 }, (_, k) => k);
  return (inclusive ? places : places.slice(0, -1)).map((k) => elementOf(x, first + k * step));
}
const lowest = (seen: readonly c.C[], sign: number): c.C =>
  c.real(
    seen.reduce(
      (best, [x]) => Number.isNaN(best) || Number.isNaN(x) ? NaN : sign * x > sign * best ? x : best,
      sign * -Infinity,
    ),
  );
/** log Σ e^x; of nothing -∞. The greatest is taken out first. */
function logsum(seen: readonly c.C[]): c.C {
  const top = Math.max(...seen.map(([x]) => x));
  return c.real(seen.length === 0 ? top : top + Math.log(seen.reduce((sum, [x]) => sum + Math.exp(x - top), 0)));
}

/** The cases of the family `scan`. */
export const scanCases: Cases<keyof typeof scanPrimitives> = {
  cumsum: scan({
    fold: (seen) => seen.reduce(c.plus, c.real(0)),
    domain: between(-4, 4),
    dtypes: numbers,
    tolerance: { ulps: 64, half: 300 },
  }),
  cumprod: scan({
    fold: (seen) => seen.reduce(c.times, c.real(1)),
    domain: aboutOne,
    dtypes: numbers,
    tolerance: { ulps: 64, half: 300 },
    zeros: true,
  }),
  cummax: scan({ fold: (seen) => lowest(seen, 1), domain: distinct(-4, 4), dtypes: floats }),
  cummin: scan({ fold: (seen) => lowest(seen, -1), domain: distinct(-4, 4), dtypes: floats }),
  logcumsumexp: scan({ fold: logsum, domain: between(-2, 2), dtypes: floats, tolerance: { ulps: 128, half: 300 } }),
};
