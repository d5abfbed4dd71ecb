/**
 * The case of the elementwise primitive of three inputs.
 * @module
 */
import { bool_, float32 } from "../../core/dtype.ts";
import type { ternaryPrimitives } from "../../core/primitives/ternary.ts";
import type { Shape } from "../../core/primitive.ts";
import { all, type Cases, elementwise, LARGE, SHAPES } from "./case.ts";
import * as c from "./complex.ts";
import { between, integers } from "./generate.ts";

/** Which of the inputs are 0-d: any but all, which is one of the usual shapes. */
const TRIPLES: readonly (readonly [Shape, Shape, Shape])[] = [
  ...SHAPES.map((s) => [s, s, s] as const),
  [[2, 3], [], [2, 3]],
  [[2, 3], [2, 3], []],
  [[2, 3], [], []],
  [[], [2, 3], [2, 3]],
  [[], [], [2, 3]],
];
const choice = { domain: integers(0, 1), dtype: bool_ }, values = { domain: between(-4, 4) };

/** The cases of the family `ternary`. */
export const ternaryCases: Cases<keyof typeof ternaryPrimitives> = {
  select: {
    dtypes: all,
    variants: TRIPLES.map(([s, x, y]) => ({
      params: {},
      inputs: [{ shape: s, ...choice }, { shape: x, ...values }, { shape: y, ...values }],
    })),
    reference: elementwise((s, x, y) => s ? x : y, (s, x, y) => c.size(s) ? x : y),
    perf: [{
      label: "1M",
      dtype: float32,
      params: {},
      inputs: [{ shape: LARGE, ...choice }, { shape: LARGE, ...values }, { shape: LARGE, ...values }],
      flops: 1,
    }],
  },
};
