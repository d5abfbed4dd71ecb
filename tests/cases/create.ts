/**
 * Cases of the primitives without inputs.
 * @module
 */
import { bool_, complex64, type DType, dtypes, float32, float64, int32, int64, uint8 } from "../../core/dtype.ts";
import { allocate, write } from "../../core/host.ts";
import type { createPrimitives } from "../../core/primitives/create.ts";
import type { ParamsOf } from "../../core/primitives/mod.ts";
import type { Shape } from "../../core/primitive.ts";
import { type Cases, valuesFrom } from "./case.ts";
import { count, stored } from "./tensor.ts";

/** 0, 1, ... of a dtype. */
function counted(shape: Shape, dtype: DType): ParamsOf<"constant"> {
  const data = allocate(dtype, count(shape));
  for (let i = 0; i < count(shape); i++) write(data, i, i, dtype);
  return { data, shape, dtype };
}
const SHAPES: readonly Shape[] = [[2, 3], [], [0, 4], [1], [5000]];

/** The cases of the family `create`. */
export const createCases: Cases<keyof typeof createPrimitives> = {
  constant: {
    dtypes: [float32],
    variants: dtypes.flatMap((dtype) =>
      SHAPES.map((shape) => ({ params: counted(shape, dtype), inputs: [], dtypes: [dtype] }))
    ),
    reference: (_xs, { shape, dtype }) => valuesFrom(count(shape), (i) => stored(dtype, i)),
    perf: [{ label: "4 MB", dtype: float32, params: counted([1024, 1024], float32), inputs: [], flops: 0 }],
  },
  arange: {
    dtypes: [float32],
    variants: dtypes.filter((dtype) => dtype !== bool_ && dtype !== complex64).flatMap((dtype) => [
      { params: { start: 3, step: 2, size: 9, dtype }, inputs: [], dtypes: [dtype] },
      { params: { start: 5, step: 0, size: 0, dtype }, inputs: [], dtypes: [dtype] },
      ...dtype === uint8 ? [] : [{ params: { start: 100, step: -1, size: 90, dtype }, inputs: [], dtypes: [dtype] }],
      ...dtype === float64 || dtype === float32
        ? [{ params: { start: -0.5, step: 0.25, size: 5000, dtype }, inputs: [], dtypes: [dtype] }]
        : [],
      ...dtype === int32 || dtype === int64
        ? [{ params: { start: -7, step: 3, size: 5000, dtype }, inputs: [], dtypes: [dtype] }]
        : [],
    ]),
    reference: (_xs, { start, step, size }) => valuesFrom(size, (i) => start + i * step),
    perf: [{
      label: "1M",
      dtype: float32,
      params: { start: 0, step: 1, size: 1 << 20, dtype: float32 },
      inputs: [],
      flops: 1,
    }],
  },
};
