/**
 * Cases of the views. A reference says for each element of the result the place that it is read from.
 * @module
 */
import {
  bool_,
  type DType,
  float16,
  float32,
  float64,
  int32,
  int8,
  uint16,
  uint32,
  uint64,
  uint8,
} from "../../core/dtype.ts";
import { allocate, write } from "../../core/host.ts";
import type { ParamsOf, PrimitiveName } from "../../core/primitives/mod.ts";
import type { viewPrimitives } from "../../core/primitives/view.ts";
import type { Aval, Shape } from "../../core/primitive.ts";
import { all, type Case, type Cases, LARGE, type Perf, type Variant } from "./case.ts";
import { between, integers } from "./generate.ts";
import { indicesOf, placeOf, taken, type Tensor, type Values, valuesOf } from "./tensor.ts";

const values = between(-9, 9);
function variant<P>(params: P, shape: Shape, label?: string): Variant<P> {
  return { params, inputs: [{ shape, domain: values }], ...label === undefined ? {} : { label } };
}
function perf<P>(params: P): readonly Perf<P>[] {
  return [{ label: "1M", dtype: float32, params, inputs: [{ shape: LARGE, domain: values }], flops: 0 }];
}
/** A view whose element at `index` is that of the input at `source(index)`. */
function view<N extends PrimitiveName>(
  variants: readonly Variant<ParamsOf<N>>[],
  large: ParamsOf<N>,
  source: (index: readonly number[], p: ParamsOf<N>, x: Aval, out: Aval) => number,
): Case<ParamsOf<N>> {
  return {
    dtypes: all,
    variants,
    reference: ([x], p, out) => {
      const places = [...indicesOf(out.shape)].map((index) => source(index, p, x!, out));
      return valuesOf(taken(x!, out.shape, places));
    },
    perf: perf(large),
  };
}

/** The bytes of a tensor read as another dtype. */
function reinterpreted(x: Tensor, to: DType): Values {
  const from = allocate(x.dtype, x.re.length);
  for (let i = 0; i < x.re.length; i++) write(from, i, x.re[i]!, x.dtype);
  const bytes = new Uint8Array(from.buffer, from.byteOffset, from.byteLength), n = bytes.length / to.size;
  const seen = new DataView(bytes.slice().buffer);
  const read: Readonly<Record<string, (at: number) => number | bigint>> = {
    uint8: (at) => seen.getUint8(at),
    int8: (at) => seen.getInt8(at),
    uint16: (at) => seen.getUint16(at, true),
    float16: (at) => seen.getFloat16(at, true),
    uint32: (at) => seen.getUint32(at, true),
    int32: (at) => seen.getInt32(at, true),
    float32: (at) => seen.getFloat32(at, true),
    uint64: (at) => seen.getBigUint64(at, true),
    float64: (at) => seen.getFloat64(at, true),
  };
  return Float64Array.from({ length: n }, (_, i) => Number(read[to.name]!(i * to.size)));
}
/** Whole numbers have few bits, so that what they are read as is exact. */
const whole = integers(0, 9);
function viewAs(from: DType, to: DType, shape: Shape): Variant<ParamsOf<"viewAs">> {
  return { params: { dtype: to }, inputs: [{ shape, domain: whole }], dtypes: [from], label: `${from} as ${to}` };
}

/** The cases of the family `view`. */
export const viewCases: Cases<keyof typeof viewPrimitives> = {
  reshape: view<"reshape">(
    [
      variant({ shape: [6, 4] }, [2, 3, 4]),
      variant({ shape: [2, 3, 1, 4] }, [6, 4]),
      variant({ shape: [4, 3, 2] }, [2, 3, 4]),
      variant({ shape: [1] }, []),
      variant({ shape: [] }, [1, 1]),
      variant({ shape: [5, 0] }, [0, 3]),
      variant({ shape: [2, 2, 3, 1, 2] }, [24]),
    ],
    { shape: [1024, 32, 32] },
    (index, _p, _x, out) => placeOf(out.shape, index),
  ),
  transpose: view<"transpose">(
    [
      variant({ axes: [1, 0] }, [3, 4]),
      variant({ axes: [2, 0, 1] }, [2, 3, 4]),
      variant({ axes: [] }, []),
      variant({ axes: [1, 0] }, [0, 3]),
      variant({ axes: [4, 1, 0, 3, 2] }, [2, 1, 3, 2, 2]),
    ],
    { axes: [1, 0] },
    (index, { axes }, x) => {
      const source = new Array<number>(axes.length);
      axes.forEach((axis, i) => source[axis] = index[i]!);
      return placeOf(x.shape, source);
    },
  ),
  broadcastTo: view<"broadcastTo">(
    [
      variant({ shape: [2, 3, 4] }, [3, 4]),
      variant({ shape: [3, 4] }, [3, 1]),
      variant({ shape: [2, 3] }, []),
      variant({ shape: [0, 3] }, [1, 3]),
      variant({ shape: [2, 3] }, [2, 3]),
      variant({ shape: [2, 3, 2, 2, 3] }, [3, 1, 2, 1]),
    ],
    { shape: [4, 1024, 1024] },
    (index, _p, x, out) => {
      const added = out.shape.length - x.shape.length;
      return placeOf(x.shape, x.shape.map((n, i) => n === 1 ? 0 : index[i + added]!));
    },
  ),
  slice: view<"slice">(
    [
      variant({ starts: [1, 0], stops: [3, 4], steps: [1, 1] }, [3, 4]),
      variant({ starts: [0, 1], stops: [3, 5], steps: [2, 3] }, [3, 5]),
      variant({ starts: [2, 4], stops: [-1, 0], steps: [-1, -2] }, [3, 5]),
      variant({ starts: [1, 2], stops: [1, 3], steps: [1, 1] }, [3, 4]),
      variant({ starts: [], stops: [], steps: [] }, []),
      variant({ starts: [0, 0, 2, 0, 1], stops: [2, 1, -1, 2, 2], steps: [1, 1, -2, 1, 1] }, [2, 1, 3, 2, 2]),
    ],
    { starts: [0, 1], stops: [1024, 1024], steps: [1, 2] },
    (index, { starts, steps }, x) => placeOf(x.shape, index.map((i, axis) => starts[axis]! + i * steps[axis]!)),
  ),
  asStrided: view<"asStrided">(
    [
      variant({ shape: [3, 2], strides: [2, 1], offset: 1 }, [8]),
      variant({ shape: [4, 3], strides: [1, 1], offset: 0 }, [2, 3]),
      variant({ shape: [3], strides: [-2], offset: 5 }, [2, 3]),
      variant({ shape: [2, 3], strides: [0, 1], offset: 0 }, [3]),
      variant({ shape: [], strides: [], offset: 2 }, [4]),
    ],
    { shape: [1000, 1024], strides: [1024, 1], offset: 512 },
    (index, { strides, offset }) => index.reduce((at, i, axis) => at + i * strides[axis]!, offset),
  ),
  viewAs: {
    dtypes: [float32],
    variants: [
      viewAs(float32, int32, [2, 3]),
      viewAs(float32, uint8, [2, 3]),
      viewAs(uint8, uint32, [3, 8]),
      viewAs(uint16, float16, [2, 4]),
      viewAs(float64, uint32, [2, 2]),
      viewAs(bool_, int8, [4]),
      viewAs(uint32, uint64, [0, 2]),
      viewAs(int32, float64, [2, 1, 4]),
    ],
    reference: ([x], { dtype }) => reinterpreted(x!, dtype),
    perf: perf({ dtype: int32 }),
  },
  stopGradient: view<"stopGradient">(
    [variant({}, [2, 3], "no derivative, by design"), variant({}, [], "0-d"), variant({}, [0, 2], "empty")],
    {},
    (index, _p, x) => placeOf(x.shape, index),
  ),
};
