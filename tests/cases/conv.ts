/**
 * Cases of the convolution, by plain loops over any number of spatial axes.
 * @module
 */
import { bfloat16, float16, float32, float64 } from "../../core/dtype.ts";
import type { convPrimitives } from "../../core/primitives/conv.ts";
import type { ParamsOf } from "../../core/primitives/mod.ts";
import type { Aval, Shape } from "../../core/primitive.ts";
import { type Cases, type Input, valuesFrom, type Variant } from "./case.ts";
import { between } from "./generate.ts";
import { count, indicesOf, placeOf, stepsOf, type Tensor } from "./tensor.ts";

type Conv = ParamsOf<"conv">;
const numbers = (shape: Shape): Input => ({ shape, domain: between(-2, 2) });
function variant(x: Shape, w: Shape, p: Partial<Conv> = {}): Variant<Conv> {
  const each = (n: number) => new Array<number>(x.length - 2).fill(n);
  const none = {
    stride: each(1),
    paddingLow: each(0),
    paddingHigh: each(0),
    kernelDilation: each(1),
    inputDilation: each(1),
    groups: 1,
    flip: false,
  };
  return { params: { ...none, ...p }, inputs: [numbers(x), numbers(w)] };
}
/** Σ over the kernel and the group's channels; what lies outside of x or between its dilated entries is 0. */
function convolved(x: Tensor, w: Tensor, p: Conv, out: Aval): Float64Array {
  const kernel = w.shape.slice(1, -1),
    own = w.shape.at(-1)!,
    perGroup = w.shape[0]! / p.groups,
    steps = stepsOf(out.shape);
  return valuesFrom(count(out.shape), (at) => {
    const index = out.shape.map((n, axis) => Math.floor(at / steps[axis]!) % n),
      o = index.at(-1)!,
      first = Math.floor(o / perGroup) * own;
    let sum = 0;
    for (const tap of indicesOf(kernel)) {
      const from = tap.map((k, i) =>
        (index[i + 1]! * p.stride[i]! + k * p.kernelDilation[i]! - p.paddingLow[i]!) / p.inputDilation[i]!
      );
      if (!from.every((v, i) => Number.isInteger(v) && v >= 0 && v < x.shape[i + 1]!)) continue;
      const weight = p.flip ? tap.map((k, i) => kernel[i]! - 1 - k) : tap;
      for (let c = 0; c < own; c++) {
        sum += x.re[placeOf(x.shape, [index[0]!, ...from, first + c])]! * w.re[placeOf(w.shape, [o, ...weight, c])]!;
      }
    }
    return sum;
  });
}

/** The cases of the family `conv`. */
export const convCases: Cases<keyof typeof convPrimitives> = {
  conv: {
    dtypes: [float64, float32, float16, bfloat16],
    variants: [
      variant([2, 5, 2], [3, 2, 2]),
      variant([1, 6, 4], [4, 3, 2], { groups: 2, stride: [2], paddingLow: [1], paddingHigh: [2] }),
      variant([1, 5, 2], [2, 3, 2], { kernelDilation: [2], paddingLow: [2], paddingHigh: [1], flip: true }),
      variant([1, 3, 2], [2, 3, 2], { inputDilation: [2], paddingLow: [1], paddingHigh: [1] }),
      variant([2, 4, 3, 2], [3, 2, 2, 2], { stride: [1, 2], paddingLow: [1, 0], paddingHigh: [0, 1] }),
      variant([1, 4, 4, 3], [3, 3, 3, 1], { groups: 3, paddingLow: [1, 1], paddingHigh: [1, 1] }),
      variant([1, 3, 2, 3, 1], [2, 2, 2, 2, 1], { paddingLow: [1, 0, 0], paddingHigh: [0, 1, 0] }),
      variant([0, 5, 2], [3, 2, 2]),
      variant([1, 9, 9, 16], [24, 3, 3, 16], { paddingLow: [1, 1], paddingHigh: [1, 1] }),
    ],
    tolerance: { ulps: 64, half: 2 },
    reference: ([x, w], p, out) => convolved(x!, w!, p, out),
    perf: [{
      label: "3x3, 64 channels, 64x64",
      dtype: float32,
      ...variant([1, 64, 64, 64], [64, 3, 3, 64], { paddingLow: [1, 1], paddingHigh: [1, 1] }),
      flops: 2 * 64 * 64 * 64 * 64 * 9,
    }],
  },
};
