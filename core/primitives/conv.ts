/**
 * The record of the convolution: `y[n, i, o] = sum_(k, c) X[n, i stride + k dilation, c] w[o, k, c]`, where X is the
 * input, dilated and padded, and c runs over the group of o. With `flip` the weight is turned around. The ops are in
 * `core/ops/conv.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { primitives, spec } from "../primitive.ts";
import { sizeOf } from "../shape.ts";
import { type Convolution, convolved, convSizes, dilated } from "../ops/conv_rules.ts";
import { flip, moveaxis, reshape, transpose } from "../ops/view.ts";
import { addTangents } from "./matmul.ts";
import { productFlops } from "./work.ts";

const spatial = (x: NDArray): readonly number[] => x.shape.slice(1, -1);
const sizesOf = (x: NDArray, dilation: readonly number[]): number[] =>
  spatial(x).map((n, i) => dilated(n, dilation[i]!));

/** The weight with inputs and outputs exchanged inside each group: [O, k, C / g] to [C, k, O / g]. */
function exchanged(w: NDArray, groups: number): NDArray {
  const [out, own] = [w.shape[0]! / groups, w.shape.at(-1)!];
  const kernel = spatial(w);
  const split = reshape(w, [groups, out, ...kernel, own]);
  const last = split.shape.length - 1;
  const swapped = transpose(split, [0, last, ...kernel.map((_, i) => 2 + i), 1]);
  return reshape(swapped, [groups * own, ...kernel, out]);
}
/**
 * dX[j, c] = sum_(i, k, o) ct[i, o] w[o, k, c] with i stride + k dilation - low = j: a convolution of ct, dilated by
 * the stride, with the turned weight, at the step of the input's dilation. Its padding makes the output as long as x.
 */
function inputCotangent(x: NDArray, w: NDArray, ct: NDArray, p: Convolution): NDArray {
  const [sizes, kernel, outputs] = [sizesOf(x, p.inputDilation), sizesOf(w, p.kernelDilation), sizesOf(ct, p.stride)];
  return convolved(ct, exchanged(w, p.groups), {
    stride: p.inputDilation,
    inputDilation: p.stride,
    kernelDilation: p.kernelDilation,
    groups: p.groups,
    flip: !p.flip,
    paddingLow: kernel.map((k, i) => k - 1 - p.paddingLow[i]!),
    paddingHigh: sizes.map((n, i) => n - outputs[i]! + p.paddingLow[i]!),
  });
}
/**
 * dw[o, k, c] = sum_(n, i) ct[n, i, o] X[n, i stride + k dilation, c]: a convolution over the batch as channels, with
 * ct as the weight, at the step of the weight's dilation. Groups stay groups.
 */
function weightCotangent(x: NDArray, w: NDArray, ct: NDArray, p: Convolution): NDArray {
  const [sizes, kernel, outputs] = [sizesOf(x, p.inputDilation), sizesOf(w, p.kernelDilation), sizesOf(ct, p.stride)];
  const [batch, own] = [x.shape[0]!, w.shape.at(-1)!];
  const split = reshape(x, [batch, ...spatial(x), p.groups, own]);
  const last = split.shape.length - 1;
  const rows = transpose(split, [last, ...spatial(x).map((_, i) => 1 + i), last - 1, 0]);
  const y = convolved(reshape(rows, [own, ...spatial(x), p.groups * batch]), swapEnds(ct), {
    stride: p.kernelDilation,
    inputDilation: p.inputDilation,
    kernelDilation: p.stride,
    groups: p.groups,
    flip: false,
    paddingLow: p.paddingLow,
    paddingHigh: kernel.map((k, i) => k + outputs[i]! - 1 - sizes[i]! - p.paddingLow[i]!),
  });
  const dw = swapEnds(y);
  return p.flip ? flip(dw, spatial(w).map((_, i) => 1 + i)) : dw;
}
/** First and last axis exchanged. */
function swapEnds(x: NDArray): NDArray {
  const last = x.shape.length - 1;
  return transpose(x, x.shape.map((_, i) => i === 0 ? last : i === last ? 0 : i));
}
/**
 * A batched input alone joins the batch; a batched weight alone gives more outputs, inside their groups; both batched
 * become groups of their own.
 */
function convVmap(x: NDArray, w: NDArray, mx: boolean, mw: boolean, p: Convolution, size: number): NDArray {
  if (!mw) {
    const [, n, ...rest] = x.shape;
    const y = convolved(reshape(x, [size * n!, ...rest]), w, p);
    return reshape(y, [size, n!, ...y.shape.slice(1)]);
  }
  const [, out, ...rest] = w.shape;
  if (!mx) {
    const each = out! / p.groups;
    const inGroups = moveaxis(reshape(w, [size, p.groups, each, ...rest]), 0, 1);
    const y = convolved(x, reshape(inGroups, [size * out!, ...rest]), p);
    const split = reshape(y, [...y.shape.slice(0, -1), p.groups, size, each]);
    const rows = moveaxis(split, -2, 0);
    return reshape(rows, [...rows.shape.slice(0, -2), out!]);
  }
  const channels = moveaxis(x, 0, -2);
  const y = convolved(
    reshape(channels, [...channels.shape.slice(0, -2), size * x.shape.at(-1)!]),
    reshape(w, [size * out!, ...rest]),
    { ...p, groups: size * p.groups },
  );
  return moveaxis(reshape(y, [...y.shape.slice(0, -1), size, out!]), -2, 0);
}

/** Records of the family `conv`. */
export const convPrimitives = primitives({
  conv: spec({
    family: "conv",
    kind: "kernel",
    params: {
      stride: "ints",
      paddingLow: "ints",
      paddingHigh: "ints",
      kernelDilation: "ints",
      inputDilation: "ints",
      groups: "int",
      flip: "bool",
    },
    arity: 2,
    needs: ["any"],
    flops: ([, w], y) => productFlops(y, sizeOf(w.shape.slice(1))),
    infer: ([x, w], p) => ({
      shape: [x.shape[0]!, ...convSizes(x.shape.slice(1, -1), w.shape.slice(1, -1), p), w.shape[0]!],
      dtype: x.dtype,
    }),
    vjp: ([x, w], _y, ct, p) => [inputCotangent(x, w, ct, p), weightCotangent(x, w, ct, p)],
    jvp: ([x, w], _y, [tx, tw], p) => addTangents(tx && convolved(tx, w, p), tw && convolved(x, tw, p)),
    vmap: ([x, w], [mx, mw], p, size) => convVmap(x, w, mx ?? false, mw ?? false, p, size),
  }),
});
