/**
 * Cases of the Fourier transforms, by the sums that define them. Lengths: all small ones, products of every radix,
 * primes that need a convolution, lines that are split because they are long and alone, half and whole tiles of lines.
 * @module
 */
import { complex64, float32 } from "../../core/dtype.ts";
import type { fftPrimitives } from "../../core/primitives/fft.ts";
import type { Aval, Shape } from "../../core/primitive.ts";
import { type Case, type Cases, complexFrom, elementOf, type Variant } from "./case.ts";
import * as c from "./complex.ts";
import { between } from "./generate.ts";
import { stepsOf, type Tensor, type Values } from "./tensor.ts";

/** Shape and axis: 13 x 11 x 7 x 2, 4 x 9 x 5, 17 and 31 are prime, 1025 = 5² 41. */
const SHAPES: readonly (readonly [Shape, number])[] = [
  ...Array.from({ length: 16 }, (_, i) => [[2, i + 1], 1] as const),
  [[17], 0],
  [[3, 31], 1],
  [[3, 4, 5], 1],
  [[40, 3], 0],
  [[3, 180], 1],

  [[0, 4], 1],
  [[2, 1, 3, 2, 2], 2],
  [[37, 20], 1],
  [[20, 36], 0],
  [[24, 17, 2], 1],
];
const LONG: readonly (readonly [Shape, number])[] = [
  [[1, 2002], 1],
  [[2048, 2], 0],
  [[1025, 1], 0],
  [[40, 64], 1],
];

/** Σ_k a_k e^(sign 2πi jk/n) over k < count, for line element j of a line of x that holds a. */
function sum(at: (k: number) => c.C, count: number, j: number, n: number, sign: number): c.C {
  let total: c.C = [0, 0];
  for (let k = 0; k < count; k++) {
    const angle = sign * 2 * Math.PI * ((j * k) % n) / n;
    total = c.plus(total, c.times(at(k), [Math.cos(angle), Math.sin(angle)]));
  }
  return total;
}
/** The result from a function of the place along the axis and the line's elements. */
function lines(x: Tensor, out: Aval, axis: number, value: (j: number, at: (k: number) => c.C) => c.C): Values {
  const step = stepsOf(x.shape)[axis]!, [m, n] = [out.shape[axis]!, x.shape[axis]!];
  return complexFrom(out, (i) => {
    const first = Math.floor(i / (step * m)) * step * n + i % step;
    return value(Math.floor(i / step) % m, (k) => elementOf(x, first + k * step));
  });
}
type Both = { readonly axis: number; readonly inverse: boolean; readonly scale: number };
type Real = { readonly axis: number; readonly scale: number };
type Back = { readonly axis: number; readonly n: number; readonly scale: number };

function cased<P>(
  params: (axis: number, n: number, i: number) => P,
  input: (n: number) => number,
  dtype: typeof float32,
  reference: Case<P>["reference"],
): Case<P> {
  const variants = (list: typeof SHAPES): Variant<P>[] =>
    list.map(([shape, axis], i) => ({
      params: params(axis, shape[axis]!, i),
      inputs: [{ shape: shape.with(axis, input(shape[axis]!)), domain: between(-2, 2) }],
    }));
  const perf = (label: string, shape: Shape) => ({
    label,
    dtype,
    params: params(shape.length - 1, shape.at(-1)!, 0),
    inputs: [{ shape: shape.with(-1, input(shape.at(-1)!)), domain: between(-2, 2) }],
    flops: 5 * shape.reduce((a, b) => a * b, 1) * Math.log2(shape.at(-1)!),
  });
  return {
    dtypes: [dtype],
    variants: [...variants(SHAPES), ...variants(LONG)],
    tolerance: { ulps: 16 },
    reference,
    perf: [
      perf("rows of 1024", [1024, 1024]),
      perf("one of 2^20", [2 ** 20]),
      perf("rows of 1000", [1000, 1000]),
      perf("rows of 1009", [1000, 1009]),
    ],
  };
}
const half = (n: number): number => Math.floor(n / 2) + 1;

/** The cases of the family `fft`. */
export const fftCases: Cases<keyof typeof fftPrimitives> = {
  fft: cased<Both>(
    (axis, _n, i) => ({ axis, inverse: i % 2 === 1, scale: i % 3 === 0 ? 1 : 0.25 }),
    (n) => n,
    complex64,
    ([x], { axis, inverse, scale }, out) => {
      const n = x!.shape[axis]!;
      return lines(x!, out, axis, (j, at) => c.scaled(scale, sum(at, n, j, n, inverse ? 1 : -1)));
    },
  ),
  rfft: cased<Real>(
    (axis, _n, i) => ({ axis, scale: i % 3 === 0 ? 1 : 0.25 }),
    (n) => n,
    float32,
    ([x], { axis, scale }, out) => {
      const n = x!.shape[axis]!;
      return lines(x!, out, axis, (j, at) => c.scaled(scale, sum(at, n, j, n, -1)));
    },
  ),
  irfft: cased<Back>(
    (axis, n, i) => ({ axis, n, scale: i % 3 === 0 ? 1 : 0.25 }),
    half,
    complex64,
    ([x], { axis, n, scale }, out) =>
      lines(x!, out, axis, (j, at) => {
        // entries that are their own mirror image are taken as real, the others count twice
        const weight = (k: number): c.C => k === 0 || 2 * k === n ? c.real(at(k)[0]) : c.scaled(2, at(k));
        return c.real(scale * sum(weight, half(n), j, n, 1)[0]);
      }),
  ),
};
