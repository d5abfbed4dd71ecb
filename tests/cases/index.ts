/**
 * Cases of gathering, scattering, slice updates and concatenation. Indices are inputs of their own: negative ones count
 * from the end, and some places are met more than once where the order of updates is defined.
 * @module
 */
import { float32, int32, int64, uint32 } from "../../core/dtype.ts";
import type { indexPrimitives } from "../../core/primitives/index.ts";
import type { Aval, Shape } from "../../core/primitive.ts";
import { all, type Cases, type Input, LARGE, numbers, type Tolerance } from "./case.ts";
import * as c from "./complex.ts";
import { awayFromZero, between, distinct, type Domain, integers, permutation } from "./generate.ts";
import { indicesOf, placeOf, taken, type Tensor, type Values, valuesOf } from "./tensor.ts";

const values = between(-9, 9);
const numbersOf = (shape: Shape, domain: Domain = values): Input => ({ shape, domain });
const indices = (shape: Shape, low: number, high: number, dtype = int32): Input => ({
  shape,
  domain: integers(low, high),
  dtype,
});
const distinctIndices = (shape: Shape): Input => ({ shape, domain: permutation, dtype: int32 });

/** An index counted from the front. */
const wrapped = (at: number, n: number): number => at < 0 ? at + n : at;
/** Where the slice of index position `i` begins, from one index array per axis. */
function starts(x: Aval, indexArrays: readonly Tensor[], axes: readonly number[], i: number): number[] {
  const at = new Array<number>(x.shape.length).fill(0);
  axes.forEach((axis, k) => at[axis] = wrapped(indexArrays[k]!.re[i]!, x.shape[axis]!));
  return at;
}
const shifted = (index: readonly number[], by: readonly number[]): number[] => index.map((v, axis) => v + by[axis]!);

/** set, add, multiply, maximum, minimum: what an update makes of an element. */
const MODES: readonly ((old: c.C, update: c.C) => c.C)[] = [
  (_old, u) => u,
  c.plus,
  c.times,
  ([x], [u]) => c.real(Math.max(x, u)),
  ([x], [u]) => c.real(Math.min(x, u)),
];
/** x after these updates, one after the other: place in x, place in the updates. */
function updated(x: Tensor, updates: Tensor, moves: Iterable<readonly [number, number]>, mode: number): Values {
  const re = x.re.slice(), im = x.im?.slice() ?? null;
  for (const [to, from] of moves) {
    const [a, b] = MODES[mode]!([re[to]!, im?.[to] ?? 0], [updates.re[from]!, updates.im?.[from] ?? 0]);
    re[to] = a;
    if (im) im[to] = b;
  }
  return im ? { re, im } : re;
}
/** Moves of a scatter: the slices of the updates begin where the indices say. */
function* scatterMoves(
  x: Aval,
  updates: Aval,
  indexArrays: readonly Tensor[],
  axes: readonly number[],
): Generator<[number, number]> {
  const own = updates.shape.length - x.shape.length;
  let from = 0;
  for (const index of indicesOf(updates.shape)) {
    const i = placeOf(updates.shape.slice(0, own), index.slice(0, own));
    yield [placeOf(x.shape, shifted(index.slice(own), starts(x, indexArrays, axes, i))), from++];
  }
}
/** Moves into a region with a start and a step per axis. */
function* regionMoves(
  x: Aval,
  region: Shape,
  first: readonly number[],
  steps: readonly number[],
): Generator<[number, number]> {
  let from = 0;
  for (const index of indicesOf(region)) {
    yield [placeOf(x.shape, index.map((v, axis) => first[axis]! + v * steps[axis]!)), from++];
  }
}
/** Start of a dynamic slice. */
function dynamicStart(x: Aval, start: Tensor, axes: readonly number[]): number[] {
  const at = new Array<number>(x.shape.length).fill(0);
  axes.forEach((axis, k) => at[axis] = wrapped(start.re[k]!, x.shape[axis]!));
  return at;
}
/** Element-wise rounding of products and sums of a few updates. */
const few: Tolerance = { ulps: 8, half: 4 };
const all5 = [0, 1, 2, 3, 4];
const realOnly = numbers.filter((d) => d.kind !== "complex");
const updatesDomain = (mode: number): Domain => mode < 2 ? values : mode === 2 ? awayFromZero(0.5, 2) : distinct(-9, 9);
const perfInputs = (rows: number): Input[] => [numbersOf(LARGE), indices([rows], 0, 1023)];

/** The cases of the family `index`. */
export const indexCases: Cases<keyof typeof indexPrimitives> = {
  gather: {
    dtypes: all,
    variants: [
      { params: { axes: [0], sliceSizes: [1, 4] }, inputs: [numbersOf([5, 4]), indices([3], -5, 4)] },
      {
        params: { axes: [0, 1], sliceSizes: [1, 1, 2] },
        inputs: [numbersOf([3, 4, 2]), indices([2, 2], 0, 2), indices([2, 2], -4, 3)],
      },
      { params: { axes: [1], sliceSizes: [2, 3] }, inputs: [numbersOf([2, 6]), indices([4], 0, 3, uint32)] },
      { params: { axes: [1], sliceSizes: [3, 1] }, inputs: [numbersOf([3, 4]), indices([], 0, 3, int64)] },
      { params: { axes: [0], sliceSizes: [1, 2] }, inputs: [numbersOf([3, 2]), indices([0], 0, 2)] },
      { params: { axes: [2], sliceSizes: [2, 1, 1, 2, 2] }, inputs: [numbersOf([2, 1, 3, 2, 2]), indices([2], 0, 2)] },
      { params: { axes: [0], sliceSizes: [1, 300] }, inputs: [numbersOf([9, 300]), indices([40], -9, 8)] },
    ],
    reference: ([x, ...index], { axes }, out) => {
      const own = out.shape.length - x!.shape.length;
      const places = [...indicesOf(out.shape)].map((at) => {
        const i = placeOf(out.shape.slice(0, own), at.slice(0, own));
        return placeOf(x!.shape, shifted(at.slice(own), starts(x!, index, axes, i)));
      });
      return valuesOf(taken(x!, out.shape, places));
    },
    perf: [{
      label: "4096 rows",
      dtype: float32,
      params: { axes: [0], sliceSizes: [1, 1024] },
      inputs: perfInputs(4096),
      flops: 0,
    }],
  },
  scatter: {
    dtypes: numbers,
    variants: all5.flatMap((mode) => {
      const u = (shape: Shape) => numbersOf(shape, updatesDomain(mode)),
        x = (shape: Shape) => numbersOf(shape, updatesDomain(mode));
      const dtypes = mode > 2 ? realOnly : numbers;
      return [
        {
          params: { axes: [0], mode },
          inputs: [x([5, 3]), u([4, 1, 3]), mode === 0 ? distinctIndices([4]) : indices([4], -5, 4)],
          dtypes,
        },
        {
          params: { axes: [0, 1], mode },
          inputs: [x([4, 4]), u([4, 1, 1]), distinctIndices([4]), indices([4], 0, 3)],
          dtypes,
        },
        { params: { axes: [1], mode }, inputs: [x([2, 6]), u([2, 3]), indices([], 0, 3)], dtypes },
        { params: { axes: [0], mode }, inputs: [x([3, 2]), u([0, 1, 2]), indices([0], 0, 2)], dtypes },
      ];
    }),
    tolerance: few,
    reference: ([x, updates, ...index], { axes, mode }) =>
      updated(x!, updates!, scatterMoves(x!, updates!, index, axes), mode),
    perf: [{
      label: "add 4096 rows",
      dtype: float32,
      params: { axes: [0], mode: 1 },
      inputs: [numbersOf(LARGE), numbersOf([4096, 1, 1024]), indices([4096], 0, 1023)],
      flops: 1,
    }],
  },
  gatherAxis: {
    dtypes: all,
    variants: [
      { params: { axis: 1 }, inputs: [numbersOf([3, 5]), indices([3, 2], -5, 4)] },
      { params: { axis: 0 }, inputs: [numbersOf([3, 5]), indices([7, 5], 0, 2, uint32)] },
      { params: { axis: 1 }, inputs: [numbersOf([2, 3, 4]), indices([2, 2, 4], 0, 2, int64)] },
      { params: { axis: 0 }, inputs: [numbersOf([3, 5]), indices([0, 5], 0, 2)] },
      { params: { axis: 2 }, inputs: [numbersOf([2, 1, 3, 2, 2]), indices([2, 1, 4, 2, 2], 0, 2)] },
    ],
    reference: ([x, index], { axis }, out) => {
      const places = [...indicesOf(out.shape)].map((at, i) =>
        placeOf(x!.shape, at.with(axis, wrapped(index!.re[i]!, x!.shape[axis]!)))
      );
      return valuesOf(taken(x!, out.shape, places));
    },
    perf: [{
      label: "1M",
      dtype: float32,
      params: { axis: 1 },
      inputs: [numbersOf(LARGE), indices(LARGE, 0, 1023)],
      flops: 0,
    }],
  },
  scatterAxis: {
    dtypes: numbers,
    variants: [0, 1].flatMap((mode) => [
      {
        params: { axis: 0, mode },
        inputs: [numbersOf([6]), mode === 0 ? distinctIndices([4]) : indices([4], -6, 5), numbersOf([4])],
      },
      {
        params: { axis: 1, mode },
        inputs: [
          numbersOf([3, 5]),
          mode === 0 ? indices([3, 1], -5, 4) : indices([3, 4], 0, 4),
          numbersOf([3, mode === 0 ? 1 : 4]),
        ],
      },
      { params: { axis: 0, mode }, inputs: [numbersOf([3, 5]), indices([0, 5], 0, 2), numbersOf([0, 5])] },
      {
        params: { axis: 2, mode },
        inputs: [numbersOf([2, 1, 3, 2, 2]), indices([2, 1, 1, 2, 2], 0, 2), numbersOf([2, 1, 1, 2, 2])],
      },
    ]),
    tolerance: few,
    reference: ([x, index, updates], { axis, mode }) => {
      const moves = [...indicesOf(updates!.shape)].map((at, i) =>
        [placeOf(x!.shape, at.with(axis, wrapped(index!.re[i]!, x!.shape[axis]!))), i] as const
      );
      return updated(x!, updates!, moves, mode);
    },
    perf: [{
      label: "1M",
      dtype: float32,
      params: { axis: 1, mode: 1 },
      inputs: [numbersOf(LARGE), indices(LARGE, 0, 1023), numbersOf(LARGE)],
      flops: 1,
    }],
  },
  sliceUpdate: {
    dtypes: numbers,
    variants: all5.flatMap((mode) => {
      const n = (shape: Shape) => numbersOf(shape, updatesDomain(mode)), dtypes = mode > 2 ? realOnly : numbers;
      return [
        { params: { starts: [1, 0], steps: [1, 2], mode }, inputs: [n([4, 5]), n([2, 3])], dtypes },
        { params: { starts: [3, 4], steps: [-1, -2], mode }, inputs: [n([4, 5]), n([3, 2])], dtypes },
        { params: { starts: [], steps: [], mode }, inputs: [n([]), n([])], dtypes },
        { params: { starts: [1, 1], steps: [1, 1], mode }, inputs: [n([4, 5]), n([0, 3])], dtypes },
        {
          params: { starts: [0, 0, 2, 0, 1], steps: [1, 1, -2, 1, 1], mode },
          inputs: [n([2, 1, 3, 2, 2]), n([2, 1, 2, 2, 1])],
          dtypes,
        },
      ];
    }),
    tolerance: few,
    reference: ([x, updates], p) => updated(x!, updates!, regionMoves(x!, updates!.shape, p.starts, p.steps), p.mode),
    perf: [{
      label: "half",
      dtype: float32,
      params: { starts: [0, 0], steps: [2, 1], mode: 0 },
      inputs: [numbersOf(LARGE), numbersOf([512, 1024])],
      flops: 0,
    }],
  },
  dynamicSlice: {
    dtypes: all,
    variants: [
      { params: { axes: [0], sizes: [2, 4] }, inputs: [numbersOf([5, 4]), indices([1], 0, 3)] },
      { params: { axes: [1, 0], sizes: [2, 2] }, inputs: [numbersOf([5, 4]), indices([2], 0, 2, int64)] },
      { params: { axes: [], sizes: [2, 3] }, inputs: [numbersOf([2, 3]), indices([0], 0, 0)] },
      { params: { axes: [2], sizes: [2, 1, 2, 2, 2] }, inputs: [numbersOf([2, 1, 3, 2, 2]), indices([1], 0, 1)] },
    ],
    reference: ([x, start], { axes, sizes }, out) => {
      const first = dynamicStart(x!, start!, axes);
      return valuesOf(taken(x!, out.shape, [...indicesOf(sizes)].map((at) => placeOf(x!.shape, shifted(at, first)))));
    },
    perf: [{
      label: "half",
      dtype: float32,
      params: { axes: [0], sizes: [512, 1024] },
      inputs: [numbersOf(LARGE), indices([1], 0, 99)],
      flops: 0,
    }],
  },
  dynamicSliceUpdate: {
    dtypes: all,
    variants: [
      { params: { axes: [0] }, inputs: [numbersOf([5, 4]), numbersOf([2, 4]), indices([1], 0, 3)] },
      { params: { axes: [1, 0] }, inputs: [numbersOf([5, 4]), numbersOf([2, 2]), indices([2], 0, 2, int64)] },
      { params: { axes: [2] }, inputs: [numbersOf([2, 1, 3, 2, 2]), numbersOf([2, 1, 2, 2, 2]), indices([1], 0, 1)] },
      { params: { axes: [] }, inputs: [numbersOf([2, 3]), numbersOf([2, 3]), indices([0], 0, 0)] },
    ],
    reference: ([x, updates, start], { axes }) => {
      const first = dynamicStart(x!, start!, axes);
      return updated(x!, updates!, regionMoves(x!, updates!.shape, first, first.map(() => 1)), 0);
    },
    perf: [{
      label: "one row",
      dtype: float32,
      params: { axes: [0] },
      inputs: [numbersOf(LARGE), numbersOf([1, 1024]), indices([1], 0, 1023)],
      flops: 0,
    }],
  },
  concatenate: {
    dtypes: all,
    variants: [
      { params: { axis: 0 }, inputs: [numbersOf([2, 3]), numbersOf([1, 3]), numbersOf([4, 3])] },
      { params: { axis: 1 }, inputs: [numbersOf([2, 3]), numbersOf([2, 1])] },
      { params: { axis: 1 }, inputs: [numbersOf([2, 0]), numbersOf([2, 2])] },
      { params: { axis: 0 }, inputs: [numbersOf([3])] },
      { params: { axis: 2 }, inputs: [numbersOf([2, 1, 3, 2, 2]), numbersOf([2, 1, 1, 2, 2])] },
    ],
    reference: (xs, { axis }, out) => {
      const moves = [...indicesOf(out.shape)].map((at) => {
        let k = 0, rest = at[axis]!;
        while (rest >= xs[k]!.shape[axis]!) rest -= xs[k++]!.shape[axis]!;
        return [k, placeOf(xs[k]!.shape, at.with(axis, rest))] as const;
      });
      const re = Float64Array.from(moves, ([k, at]) => xs[k]!.re[at]!);
      return xs[0]!.im ? { re, im: Float64Array.from(moves, ([k, at]) => xs[k]!.im![at]!) } : re;
    },
    perf: [{
      label: "two",
      dtype: float32,
      params: { axis: 1 },
      inputs: [numbersOf(LARGE), numbersOf(LARGE)],
      flops: 0,
    }],
  },
};
