/**
 * The primitives of the family `quantized` without checks: what the operations in `quantized.ts` and the records' rules
 * share.
 * @module
 */
import type { NDArray } from "../array.ts";
import type { DType } from "../dtype.ts";
import { bind } from "../graph.ts";
/** What kernels and rules need to know of a quantized matrix. */
export interface Quantization {
  /** Numbers that share a scale. */
  readonly groupSize: number;
  /** Bits of a number. */
  readonly bits: number;
  /** Place in {@linkcode QUANTIZATION_MODES}. */
  readonly mode: number;
}
/** `dequantize` without checks. */
export function unpack(w: NDArray, scales: NDArray, biases: NDArray | null, q: Quantization, dtype: DType): NDArray {
  return bind("dequantize", biases ? [w, scales, biases] : [w, scales], { ...q, dtype });
}
/** `quantizedMatmul` without checks. */
export function quantizedProduct(
  x: NDArray,
  w: NDArray,
  scales: NDArray,
  biases: NDArray | null,
  q: Quantization,
  transpose: boolean,
): NDArray {
  return bind("quantizedMatmul", biases ? [x, w, scales, biases] : [x, w, scales], { transpose, ...q });
}
/** `gatherQmm` without checks. */
export function gatheredProduct(
  x: NDArray,
  w: NDArray,
  scales: NDArray,
  biases: NDArray | null,
  lhs: NDArray,
  rhs: NDArray,
  q: Quantization,
  transpose: boolean,
): NDArray {
  return bind("gatherQmm", biases ? [x, w, scales, biases, lhs, rhs] : [x, w, scales, lhs, rhs], { transpose, ...q });
}
