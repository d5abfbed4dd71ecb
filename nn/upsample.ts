/**
 * Upsampling of [N, spatial..., C]: nearest neighbours, linear or cubic interpolation, with an antialiasing filter for
 * smaller results. Every interpolation is separable: along each spatial axis a weighted sum of a few taps.
 * @module
 */
import {
  abs,
  arange,
  broadcastTo,
  ceil,
  clip,
  fail,
  float,
  float32,
  floor,
  logicalAnd,
  maximum,
  type NDArray,
  round,
  ShapeError,
  take,
  uint32,
  ValueError,
  where,
} from "../core/mod.ts";
import { Module } from "./module.ts";

/** How {@linkcode Upsample} interpolates. */
export type UpsampleMode = "nearest" | "linear" | "cubic";
/** Options of {@linkcode Upsample}. */
export interface UpsampleOptions {
  /** How to interpolate. Default nearest. */
  readonly mode?: UpsampleMode;
  /** The first and last entries of input and output match. Default false. */
  readonly alignCorners?: boolean;
  /** Filter where the result is smaller; cubic kernels then have a = -0.5 instead of -0.75. Default false. */
  readonly antialias?: boolean;
}
/** Where a tap reads (float32 positions, [M]) and its weights ([M]). */
interface Tap {
  readonly at: NDArray;
  readonly weight: NDArray;
}

/** Length of the result. */
function scaledLength(n: number, scale: number): number {
  return Math.trunc(scale * n);
}
/** For each entry of the result, the place in the input that it is read at. */
function places(n: number, scale: number, alignCorners: boolean): NDArray {
  const m = scaledLength(n, scale), i = arange(m, float32);
  if (alignCorners) return i.mul(float((n - 1) / Math.max(m - 1, 1)));
  const step = 1 / scale;
  return i.mul(float(step)).subtract(float(((m - 1) * step - n + 1) / 2));
}
function nearestPlaces(n: number, scale: number): NDArray {
  const m = scaledLength(n, scale), i = arange(m, float32);
  return (m > n ? round(i.add(0.5).mul(float(n / m)).subtract(0.5)) : i.mul(float(n / m))).astype(uint32);
}
/** Keys' cubic kernel: inside |x| <= 1, and outside up to 2. */
function cubicInner(x: NDArray, a: number): NDArray {
  return x.mul(float(a + 2)).subtract(float(a + 3)).mul(x).mul(x).add(1);
}
function cubicOuter(x: NDArray, a: number): NDArray {
  return x.subtract(5).mul(x).add(8).mul(x).subtract(4).mul(float(a));
}
const clamp = (at: NDArray, n: number): NDArray => clip(at, 0, n - 1);

function linearTaps(n: number, scale: number, alignCorners: boolean): Tap[] {
  const p = clamp(places(n, scale, alignCorners), n), left = floor(p), weight = p.subtract(left);
  return [{ at: left, weight: weight.neg().add(1) }, { at: ceil(p), weight }];
}
function cubicTaps(n: number, scale: number, alignCorners: boolean): Tap[] {
  const p = places(n, scale, alignCorners), left = floor(p), right = floor(p.add(1)), a = -0.75;
  const tap = (at: NDArray, kernel: (x: NDArray, a: number) => NDArray): Tap => ({
    at: clamp(at, n),
    weight: kernel(abs(p.subtract(at)), a),
  });
  return [
    tap(left, cubicInner),
    tap(right, cubicInner),
    tap(left.subtract(1), cubicOuter),
    tap(right.add(1), cubicOuter),
  ];
}
/** Filters of the antialiased modes: a kernel of a distance, and its radius. */
interface Filter {
  readonly radius: number;
  readonly kernel: (x: NDArray) => NDArray;
}
const FILTERS: Readonly<Record<"linear" | "cubic", Filter>> = {
  linear: { radius: 1, kernel: (x) => maximum(x.neg().add(1), 0) },
  cubic: {
    radius: 2,
    kernel: (x) => where(x.le(1), cubicInner(x, -0.5), where(x.le(2), cubicOuter(x, -0.5), float(0))),
  },
};
/**
 * The kernel, widened by 1 / scale for smaller results; taps outside the input count nothing, and the weights add up to
 * 1.
 */
function filteredTaps(n: number, scale: number, { radius, kernel }: Filter): Tap[] {
  const p = places(n, scale, false), widen = Math.max(1 / scale, 1), count = Math.ceil(radius * widen) + 1;
  const taps = Array.from({ length: 2 * count - 1 }, (_, k): Tap => {
    const at = floor(p).add(k - count + 1), weight = kernel(abs(p.subtract(at)).div(float(widen)));
    return { at, weight: where(logicalAnd(at.ge(0), at.lt(n)), weight, float(0)) };
  });
  const sum = taps.map((t) => t.weight).reduce((a, b) => a.add(b)), total = where(sum.gt(0), sum, float(1));
  return taps.map(({ at, weight }) => ({ at: clamp(at, n), weight: weight.div(total) }));
}
/** Axis by axis, the weighted sum of the taps. */
function interpolate(x: NDArray, scales: readonly number[], taps: (n: number, scale: number) => Tap[]): NDArray {
  return scales.reduce((y, scale, i) => {
    const axis = i + 1, column = y.shape.map((_, k) => k === axis ? -1 : 1);
    return taps(y.shape[axis]!, scale)
      .map(({ at, weight }) => take(y, at.astype(uint32), axis).mul(weight.reshape(column)))
      .reduce((a, b) => a.add(b));
  }, x);
}
function nearest(x: NDArray, scales: readonly number[]): NDArray {
  if (!scales.every(Number.isInteger)) {
    return scales.reduce((y, scale, i) => take(y, nearestPlaces(y.shape[i + 1]!, scale), i + 1), x);
  }
  // Whole factors repeat each entry: a broadcast along a new axis behind its own.
  const [batch, ...rest] = x.shape, channels = rest.pop()!;
  const wide = broadcastTo(x.reshape([batch!, ...rest.flatMap((n) => [n, 1]), channels]), [
    batch!,
    ...rest.flatMap((n, i) => [n, scales[i]!]),
    channels,
  ]);
  return wide.reshape([batch!, ...rest.map((n, i) => n * scales[i]!), channels]);
}

/**
 * Makes the spatial axes longer or shorter by `scaleFactor`, to `⌊scale · n⌋` entries (`mlx.nn.Upsample`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.Upsample(2).forward(mx.ones([1, 2, 2, 3])).shape; // [1, 4, 4, 3]
 * ```
 */
export class Upsample extends Module {
  /** One factor for all spatial axes, or one for each. */
  readonly scaleFactor: number | readonly number[];
  /** How to interpolate. */
  readonly mode: UpsampleMode;
  /** Do the first and last entries match? */
  readonly alignCorners: boolean;
  /** Is there a filter where the result is smaller? */
  readonly antialias: boolean;
  /** Checks the options. */
  constructor(scaleFactor: number | readonly number[], options: UpsampleOptions = {}) {
    super();
    const { mode = "nearest", alignCorners = false, antialias = false } = options;
    const refuse = (cannot: string, expected: string, got: string): never =>
      fail(ValueError, "nn.Upsample", { cannot, expected, got, fix: "change the options" });
    if (!["nearest", "linear", "cubic"].includes(mode)) {
      refuse(`use mode ${String(mode)}`, "nearest, linear or cubic", String(mode));
    }
    if (antialias && (mode === "nearest" || alignCorners)) {
      const got = mode === "nearest" ? "mode nearest" : "alignCorners";
      refuse("filter", "mode linear or cubic, and alignCorners: false", got);
    }
    this.scaleFactor = scaleFactor;
    this.mode = mode;
    this.alignCorners = alignCorners;
    this.antialias = antialias;
  }
  /** x [N, spatial..., C] -> the same with scaled spatial axes. */
  forward(x: NDArray): NDArray {
    const count = x.ndim - 2, { scaleFactor: s, mode, alignCorners, antialias } = this;
    const scales = typeof s === "number" ? new Array<number>(Math.max(count, 0)).fill(s) : s;
    if (count < 1 || scales.length !== count) {
      fail(ShapeError, "nn.Upsample", {
        cannot: `scale ${x.dtype}[${x.shape.join(",")}] by ${JSON.stringify(s)}`,
        expected: "at least one spatial axis, and one factor for each",
        got: `${Math.max(count, 0)} spatial axes and ${scales.length} factors`,
        fix: "reshape the input, or change scaleFactor",
      });
    }
    if (mode === "nearest") return nearest(x, scales);
    if (antialias) return interpolate(x, scales, (n, scale) => filteredTaps(n, scale, FILTERS[mode]));
    const taps = mode === "linear" ? linearTaps : cubicTaps;
    return interpolate(x, scales, (n, scale) => taps(n, scale, alignCorners));
  }
}
