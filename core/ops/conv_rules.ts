/**
 * The primitive `conv` without checks, and its sizes: what the operations in `conv.ts` and the record's rules share.
 * @module
 */
import type { NDArray } from "../array.ts";
import { defaultDevice } from "../device.ts";
import { bind } from "../graph.ts";
import { copy } from "./unary.ts";
import { sliceOf } from "./view.ts";
/** Parameters of the primitive `conv`, one entry per spatial axis. */
export interface Convolution {
  readonly stride: readonly number[];
  readonly paddingLow: readonly number[];
  readonly paddingHigh: readonly number[];
  readonly kernelDilation: readonly number[];
  readonly inputDilation: readonly number[];
  readonly groups: number;
  readonly flip: boolean;
}

/** Length of an axis after dilation. */
export const dilated = (n: number, dilation: number): number => n === 0 ? 0 : 1 + dilation * (n - 1);
/** Lengths of the output's spatial axes. */
export function convSizes(x: readonly number[], w: readonly number[], p: Convolution): number[] {
  return x.map((n, i) => {
    const room = dilated(n, p.inputDilation[i]!) + p.paddingLow[i]! + p.paddingHigh[i]!;
    return Math.floor((room - dilated(w[i]!, p.kernelDilation[i]!)) / p.stride[i]!) + 1;
  });
}
/** The CPU's kernel reads any layout, the GPU's dense operands only. */
function readable(x: NDArray): NDArray {
  return x.prim.kind === "view" && defaultDevice().type === "gpu" ? copy(x) : x;
}
/**
 * The primitive, where padding may be negative, which cuts the dilated input: the entries that fall off are sliced
 * away, and the zeros in between that stay are padding.
 */
export function convolved(x: NDArray, w: NDArray, p: Convolution): NDArray {
  const cut = (padding: number, dilation: number) => Math.max(0, Math.ceil(-padding / dilation));
  const spatial = x.shape.slice(1, -1);
  const before = spatial.map((_, i) => cut(p.paddingLow[i]!, p.inputDilation[i]!));
  const after = spatial.map((_, i) => cut(p.paddingHigh[i]!, p.inputDilation[i]!));
  const paddingLow = p.paddingLow.map((n, i) => n + before[i]! * p.inputDilation[i]!);
  const paddingHigh = p.paddingHigh.map((n, i) => n + after[i]! * p.inputDilation[i]!);
  const stops = spatial.map((n, i) => n - after[i]!);
  const kept = sliceOf(x, [0, ...before, 0], [x.shape[0]!, ...stops, x.shape.at(-1)!]);
  return bind("conv", [readable(kept), readable(w)], { ...p, paddingLow, paddingHigh });
}
