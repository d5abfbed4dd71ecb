/**
 * Cases of the matrix products, by plain triple loops.
 * @module
 */
import { float32, int32, uint32 } from "../../core/dtype.ts";
import type { matmulPrimitives } from "../../core/primitives/matmul.ts";
import type { Shape } from "../../core/primitive.ts";
import { type Cases, complexFrom, elementOf, inexact, type Input } from "./case.ts";
import * as c from "./complex.ts";
import { between, integers } from "./generate.ts";
import type { Tensor } from "./tensor.ts";

const numbers = (shape: Shape): Input => ({ shape, domain: between(-2, 2) });
const indices = (shape: Shape, n: number, dtype = int32): Input => ({ shape, domain: integers(0, n - 1), dtype });

/** Row i of matrix p of a times column j of matrix q of b. */
function dot(a: Tensor, b: Tensor, p: number, q: number, i: number, j: number): c.C {
  const [m, k] = [a.shape.at(-2)!, a.shape.at(-1)!], n = b.shape.at(-1)!;
  let sum: c.C = [0, 0];
  for (let l = 0; l < k; l++) {
    sum = c.plus(sum, c.times(elementOf(a, (p * m + i) * k + l), elementOf(b, (q * k + l) * n + j)));
  }
  return sum;
}
/** The place in a stack of [m, n] matrices: matrix, row, column. */
function split(at: number, m: number, n: number): [number, number, number] {
  return [Math.floor(at / (m * n)), Math.floor(at / n) % m, at % n];
}
const SHAPES: readonly (readonly [Shape, Shape])[] = [
  [[3, 4], [4, 5]],
  [[1, 7], [7, 3]],
  [[2, 3, 4], [2, 4, 2]],
  [[3, 0], [0, 2]],
  [[0, 3], [3, 2]],
  [[2, 1, 2, 2, 3], [2, 1, 2, 3, 2]],
  [[17, 33], [33, 40]],
];
const tolerance = { ulps: 128, half: 2 };

/** The cases of the family `matmul`. */
export const matmulCases: Cases<keyof typeof matmulPrimitives> = {
  matmul: {
    dtypes: inexact,
    variants: SHAPES.map(([a, b]) => ({ params: {}, inputs: [numbers(a), numbers(b)] })),
    tolerance,
    reference: ([a, b], _p, out) =>
      complexFrom(out, (at) => {
        const [p, i, j] = split(at, out.shape.at(-2)!, out.shape.at(-1)!);
        return dot(a!, b!, p, p, i, j);
      }),
    perf: [
      {
        label: "1024³",
        dtype: float32,
        params: {},
        inputs: [numbers([1024, 1024]), numbers([1024, 1024])],
        flops: 2 * 1024 ** 3,
      },
      {
        label: "vector",
        dtype: float32,
        params: {},
        inputs: [numbers([1, 4096]), numbers([4096, 4096])],
        flops: 2 * 4096 ** 2,
      },
    ],
  },
  addmm: {
    dtypes: inexact,
    variants: SHAPES.flatMap(([a, b]) => {
      const shape = [...a.slice(0, -1), b.at(-1)!];
      return [{ alpha: 1, beta: 1 }, { alpha: 0.5, beta: -2 }].map((params) => ({
        params,
        inputs: [numbers(shape), numbers(a), numbers(b)],
      }));
    }),
    tolerance,
    reference: ([z, a, b], { alpha, beta }, out) =>
      complexFrom(out, (at) => {
        const [p, i, j] = split(at, out.shape.at(-2)!, out.shape.at(-1)!);
        return c.plus(c.scaled(alpha, dot(a!, b!, p, p, i, j)), c.scaled(beta, elementOf(z!, at)));
      }),
    perf: [{
      label: "1024³",
      dtype: float32,
      params: { alpha: 1, beta: 1 },
      inputs: [numbers([1024, 1024]), numbers([1024, 1024]), numbers([1024, 1024])],
      flops: 2 * 1024 ** 3,
    }],
  },
  gatherMm: {
    dtypes: inexact.slice(0, 4),
    variants: [
      { params: {}, inputs: [numbers([3, 2, 4]), numbers([2, 4, 3]), indices([5], 3), indices([5], 2)] },
      {
        params: {},
        inputs: [numbers([2, 2, 1, 4]), numbers([3, 4, 2]), indices([2, 3], 4, uint32), indices([2, 3], 3, uint32)],
      },
      { params: {}, inputs: [numbers([2, 3]), numbers([2, 3, 2]), indices([], 1), indices([], 2)] },
      { params: {}, inputs: [numbers([2, 2, 3]), numbers([2, 3, 2]), indices([0], 2), indices([0], 2)] },
    ],
    tolerance,
    reference: ([a, b, left, right], _p, out) =>
      complexFrom(out, (at) => {
        const [t, i, j] = split(at, out.shape.at(-2)!, out.shape.at(-1)!);
        return dot(a!, b!, left!.re[t]!, right!.re[t]!, i, j);
      }),
    perf: [{
      label: "8 of 16 experts",
      dtype: float32,
      params: {},
      inputs: [numbers([8, 1, 1024]), numbers([16, 1024, 1024]), indices([8], 8), indices([8], 16)],
      flops: 16 * 1024 ** 2,
    }],
  },
};
