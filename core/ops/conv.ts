/**
 * Convolutions over 1 to 3 (and more) spatial axes, channels last: inputs [N, spatial..., C], weights [O, spatial...,
 * C / groups]. All of them end in the primitive `conv` (`core/primitives/conv.ts`).
 * @module
 */
import type { NDArray } from "../array.ts";
import { DTypeError, fail, ShapeError, ValueError } from "../errors.ts";
import { recorder } from "../graph.ts";
import { describe, describeShape, sizeOf } from "../shape.ts";
import { type Convolution, convolved, convSizes, dilated } from "./conv_rules.ts";
import { type Operand, promoted, toArray } from "./operand.ts";
import { flip, reshape } from "./view.ts";

/** One number for all spatial axes, or one for each. */
export type PerAxis = number | readonly number[];
/** Options of {@linkcode convGeneral}. */
export interface ConvGeneralOptions {
  /** Step between outputs. */
  readonly stride?: PerAxis;
  /** Zeros around the input: for all sides, per axis, or `[before, after]` with one number per axis each. */
  readonly padding?: PerAxis | readonly [readonly number[], readonly number[]];
  /** Step between the entries of the weight. */
  readonly kernelDilation?: PerAxis;
  /** Step between the entries of the input, with zeros in between. */
  readonly inputDilation?: PerAxis;
  /** Groups of channels that do not see each other. */
  readonly groups?: number;
  /** Whether the weight is turned around: a convolution in the sense of mathematics. */
  readonly flip?: boolean;
}
function failConv(op: string, x: NDArray, w: NDArray, expected: string, got: string, fix: string): never {
  fail(ShapeError, op, { cannot: `convolve ${describe(x)} with ${describe(w)}`, expected, got, fix });
}
/** Checks ranks, channels and dtypes; the arrays in one dtype. */
function checkedPair(
  op: string,
  input: Operand,
  weight: Operand,
  spatial: number | null,
  groups: number,
): [NDArray, NDArray] {
  const given = toArray(op, input), [x, w] = promoted([given, toArray(op, weight)]);
  const wrong = [given, x].find(({ dtype }) => dtype.kind !== "float");
  if (wrong) {
    fail(DTypeError, op, {
      cannot: `convolve ${describe(wrong)}`,
      expected: "float arrays",
      got: wrong.dtype.name,
      fix: "cast with astype",
    });
  }
  const ndim = spatial === null ? x.shape.length : spatial + 2;
  if (x.shape.length !== ndim || w.shape.length !== ndim || ndim < 3 || ndim > 5) {
    failConv(
      op,
      x,
      w,
      `inputs [N, ..., C] and weights [O, ..., C] with ${spatial ?? "1 to 3"} spatial axes`,
      `${x.shape.length} and ${w.shape.length} axes`,
      "reshape them",
    );
  }
  if (groups !== 1 && ndim === 5) {
    failConv(op, x, w, "one group for 3 spatial axes", `${groups} groups`, "convolve each group alone");
  }
  const [channels, own, out] = [x.shape.at(-1)!, w.shape.at(-1)!, w.shape[0]!];
  if (!Number.isInteger(groups) || groups < 1 || channels !== own * groups || out % groups !== 0) {
    failConv(
      op,
      x,
      w,
      `weights [a multiple of ${groups}, ..., ${channels / groups}] for ${groups} groups`,
      describeShape(w.shape),
      "check groups and channels",
    );
  }
  return [x, w];
}
/** One integer of at least `least` per spatial axis. */
function perAxis(op: string, name: string, value: PerAxis, count: number, least: number): number[] {
  const list = typeof value === "number" ? [value] : value;
  const full = list.length === 1 ? new Array<number>(count).fill(list[0]!) : [...list];
  if (full.length !== count || full.some((n) => !Number.isInteger(n) || n < least)) {
    fail(ValueError, op, {
      cannot: `use ${name} ${describeShape(list)}`,
      expected: `one integer of at least ${least}, or ${count} of them`,
      got: describeShape(list),
      fix: `correct ${name}`,
    });
  }
  return full;
}
function isPair(
  padding: PerAxis | readonly [readonly number[], readonly number[]],
): padding is readonly [readonly number[], readonly number[]] {
  return typeof padding === "object" && typeof padding[0] === "object";
}
/** Checks that the weight fits into the padded input, and binds. */
function checkedConv(op: string, x: NDArray, w: NDArray, p: Convolution): NDArray {
  const sizes = convSizes(x.shape.slice(1, -1), w.shape.slice(1, -1), p);
  if (sizes.some((n) => n < 1)) {
    failConv(
      op,
      x,
      w,
      "spatial axes that are, with padding, at least as long as the weight's",
      `an output of ${describeShape(sizes)}`,
      "pad the input",
    );
  }
  return convolved(x, w, p);
}
function general(
  op: string,
  input: Operand,
  weight: Operand,
  spatial: number | null,
  options: ConvGeneralOptions,
): NDArray {
  const { stride = 1, padding = 0, kernelDilation = 1, inputDilation = 1, groups = 1, flip = false } = options;
  const [x, w] = checkedPair(op, input, weight, spatial, groups);
  const count = x.shape.length - 2;
  const [low, high] = isPair(padding) ? padding : [padding, padding];
  return checkedConv(op, x, w, {
    stride: perAxis(op, "stride", stride, count, 1),
    paddingLow: perAxis(op, "padding", low, count, -Infinity),
    paddingHigh: perAxis(op, "padding", high, count, -Infinity),
    kernelDilation: perAxis(op, "kernelDilation", kernelDilation, count, 1),
    inputDilation: perAxis(op, "inputDilation", inputDilation, count, 1),
    groups,
    flip,
  });
}
/**
 * `y[n, i, o] = sum_(k, c) x[n, i stride + k dilation - padding, c] w[o, k, c]` over any number of spatial axes, with
 * dilated inputs, groups and turned weights (`mlx.core.conv_general`). Floats only.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.array([1, 2, 3, 4]).reshape([1, 4, 1]), w = mx.array([1, 10]).reshape([1, 2, 1]);
 * // Zeros before only: a causal convolution.
 * mx.convGeneral(x, w, { padding: [[1], [0]] }).flatten().tolist(); // [10, 21, 32, 43]
 * // Zeros between the entries, and the weight turned: a transposed convolution.
 * mx.convGeneral(x, w, { inputDilation: 2, flip: true }).flatten().tolist(); // [10, 2, 20, 3, 30, 4]
 * ```
 */
export function convGeneral(input: Operand, weight: Operand, options: number | ConvGeneralOptions = {}): NDArray {
  if (recorder) return recorder.call(convGeneral, [input, weight, options]);
  return general("convGeneral", input, weight, null, typeof options === "number" ? { stride: options } : options);
}

/** Options of {@linkcode conv1d}, {@linkcode conv2d} and {@linkcode conv3d}. */
export interface ConvOptions {
  /** Step between outputs, 1 if absent. */
  readonly stride?: PerAxis;
  /** Zeros before and after the input, 0 if absent. */
  readonly padding?: PerAxis;
  /** Step between the entries of the weight, 1 if absent. */
  readonly dilation?: PerAxis;
  /** Groups of channels that do not see each other, 1 if absent. */
  readonly groups?: number;
}
function plain(op: string, input: Operand, weight: Operand, spatial: number, options: number | ConvOptions): NDArray {
  const { stride = 1, padding = 0, dilation = 1, groups = 1 } = typeof options === "number"
    ? { stride: options }
    : options;
  return general(op, input, weight, spatial, { stride, padding, kernelDilation: dilation, groups });
}
/**
 * Convolution of [N, L, C] with [O, K, C / groups] to [N, L', O] (`mlx.core.conv1d`), with
 * L' = floor((L + 2 padding - dilation (K - 1) - 1) / stride) + 1.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.conv1d(mx.ones([1, 5, 2]), mx.ones([3, 3, 2]), { padding: 1 }).shape; // [1, 5, 3]
 * ```
 */
export function conv1d(input: Operand, weight: Operand, options: number | ConvOptions = {}): NDArray {
  if (recorder) return recorder.call(conv1d, [input, weight, options]);
  return plain("conv1d", input, weight, 1, options);
}
/**
 * Convolution of [N, H, W, C] with [O, KH, KW, C / groups] (`mlx.core.conv2d`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.conv2d(mx.ones([1, 5, 5, 3]), mx.ones([8, 3, 3, 3]), { padding: 1 }).shape; // [1, 5, 5, 8]
 * ```
 */
export function conv2d(input: Operand, weight: Operand, options: number | ConvOptions = {}): NDArray {
  if (recorder) return recorder.call(conv2d, [input, weight, options]);
  return plain("conv2d", input, weight, 2, options);
}
/**
 * Convolution of [N, D, H, W, C] with [O, KD, KH, KW, C / groups] (`mlx.core.conv3d`); one group only.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const video = mx.ones([1, 4, 8, 8, 3]); // frames, height, width, channels
 * mx.conv3d(video, mx.ones([2, 2, 3, 3, 3]), { stride: [2, 1, 1], padding: [0, 1, 1] }).shape; // [1, 2, 8, 8, 2]
 * ```
 */
export function conv3d(input: Operand, weight: Operand, options: number | ConvOptions = {}): NDArray {
  if (recorder) return recorder.call(conv3d, [input, weight, options]);
  return plain("conv3d", input, weight, 3, options);
}
/** Options of {@linkcode convTranspose1d}, {@linkcode convTranspose2d} and {@linkcode convTranspose3d}. */
export interface ConvTransposeOptions extends ConvOptions {
  /** More entries at the end of the output, 0 if absent. */
  readonly outputPadding?: PerAxis;
}
/** The convolution whose derivative with respect to its input is the plain one: the stride dilates the input. */
function transposed(
  op: string,
  input: Operand,
  weight: Operand,
  spatial: number,
  options: number | ConvTransposeOptions,
): NDArray {
  const { stride = 1, padding = 0, dilation = 1, outputPadding = 0, groups = 1 } = typeof options === "number"
    ? { stride: options }
    : options;
  const [x, w] = checkedPair(op, input, weight, spatial, groups);
  const list = (name: string, value: PerAxis, least: number) => perAxis(op, name, value, spatial, least);
  const [steps, sides] = [list("stride", stride, 1), list("padding", padding, -Infinity)];
  const [holes, more] = [list("dilation", dilation, 1), list("outputPadding", outputPadding, 0)];
  const room = holes.map((d, i) => dilated(w.shape[1 + i]!, d) - 1 - sides[i]!);
  return checkedConv(op, x, w, {
    stride: steps.map(() => 1),
    paddingLow: room,
    paddingHigh: room.map((n, i) => n + more[i]!),
    kernelDilation: holes,
    inputDilation: steps,
    groups,
    flip: true,
  });
}
/**
 * Transposed convolution of [N, L, C] with [O, K, C / groups] to [N, L', O] (`mlx.core.conv_transpose1d`), with
 * L' = (L - 1) stride - 2 padding + dilation (K - 1) + outputPadding + 1.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.array([1, 2, 3]).reshape([1, 3, 1]), w = mx.array([1, 1]).reshape([1, 2, 1]);
 * mx.convTranspose1d(x, w, { stride: 2 }).flatten().tolist(); // [1, 1, 2, 2, 3, 3]
 * mx.convTranspose1d(x, w, { stride: 2, outputPadding: 1 }).shape; // [1, 7, 1]
 * ```
 */
export function convTranspose1d(input: Operand, weight: Operand, options: number | ConvTransposeOptions = {}): NDArray {
  if (recorder) return recorder.call(convTranspose1d, [input, weight, options]);
  return transposed("convTranspose1d", input, weight, 1, options);
}
/**
 * Transposed convolution of [N, H, W, C] with [O, KH, KW, C / groups] (`mlx.core.conv_transpose2d`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.convTranspose2d(mx.ones([1, 4, 4, 3]), mx.ones([8, 2, 2, 3]), { stride: 2 }).shape; // [1, 8, 8, 8]
 * ```
 */
export function convTranspose2d(input: Operand, weight: Operand, options: number | ConvTransposeOptions = {}): NDArray {
  if (recorder) return recorder.call(convTranspose2d, [input, weight, options]);
  return transposed("convTranspose2d", input, weight, 2, options);
}
/**
 * Transposed convolution of [N, D, H, W, C] with [O, KD, KH, KW, C / groups] (`mlx.core.conv_transpose3d`);
 * one group only.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.convTranspose3d(mx.ones([1, 2, 4, 4, 3]), mx.ones([5, 2, 2, 2, 3]), { stride: 2 }).shape; // [1, 4, 8, 8, 5]
 * ```
 */
export function convTranspose3d(input: Operand, weight: Operand, options: number | ConvTransposeOptions = {}): NDArray {
  if (recorder) return recorder.call(convTranspose3d, [input, weight, options]);
  return transposed("convTranspose3d", input, weight, 3, options);
}
/** Options of {@linkcode convolve}. */
export interface ConvolveOptions {
  /**
   * All overlaps (`"full"`, the default), as many as the longer array has entries (`"same"`), or complete ones
   * (`"valid"`).
   */
  readonly mode?: "full" | "same" | "valid";
}
/**
 * The discrete convolution of two 1-d arrays, `y[n] = sum_k a[n - k] v[k]` (`mlx.core.convolve`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.convolve(mx.array([1, 2, 3]), mx.array([0, 1, 0.5])).tolist(); // [0, 1, 2.5, 4, 1.5]
 * ```
 */
export function convolve(a: Operand, v: Operand, options: ConvolveOptions = {}): NDArray {
  if (recorder) return recorder.call(convolve, [a, v, options]);
  const { mode = "full" } = options;
  const [x, y] = [toArray("convolve", a), toArray("convolve", v)];
  const [long, short] = sizeOf(x.shape) < sizeOf(y.shape) ? [y, x] : [x, y];
  const n = sizeOf(short.shape);
  if (x.shape.length !== 1 || y.shape.length !== 1 || n === 0) {
    failConv("convolve", x, y, "1-d arrays with entries", `${describe(x)} and ${describe(y)}`, "flatten them");
  }
  const half = Math.floor(n / 2);
  const sides: Readonly<Record<string, readonly [number, number]>> = {
    full: [n - 1, n - 1],
    valid: [0, 0],
    same: [half, n - 1 - half],
  };
  const [low, high] = sides[mode] ??
    fail(ValueError, "convolve", {
      cannot: `use mode ${mode}`,
      expected: "full, same or valid",
      got: mode,
      fix: "use one of them",
    });
  const z = convGeneral(reshape(long, [1, -1, 1]), reshape(flip(short), [1, -1, 1]), { padding: [[low], [high]] });
  return reshape(z, [-1]);
}
