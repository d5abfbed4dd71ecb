/**
 * Maximum and mean over sliding windows of 1, 2 or 3 spatial axes. Channels are last; ties of a maximum share the
 * gradient.
 * @module
 */
import { asStrided, fail, max, mean, type NDArray, pad, ShapeError, ValueError } from "../core/mod.ts";
import { type Extent, extents } from "./extents.ts";
import { Module } from "./module.ts";

/** Options of the pooling layers. */
export interface PoolOptions {
  /** Step between windows. Default: the size of the window. */
  readonly stride?: Extent | null;
  /** Entries added before and after each spatial axis: -∞ for a maximum, 0 for a mean. Default 0. */
  readonly padding?: Extent;
}

/** An array that shows each window, and the axes inside of windows. */
export interface Windows {
  /** The view. */
  readonly array: NDArray;
  /** Its axes inside of windows. */
  readonly axes: readonly number[];
}
/**
 * All windows: [N, count, window, ..., C] where they lie beside each other, which is a reshape, else [N, count...,
 * window..., C].
 */
function windowsOf(x: NDArray, window: readonly number[], stride: readonly number[]): Windows {
  const spatial = x.shape.slice(1, -1), [batch, channels] = [x.shape[0]!, x.shape.at(-1)!];
  if (spatial.every((n, i) => window[i] === stride[i] && n % window[i]! === 0)) {
    const shape = [batch, ...window.flatMap((w, i) => [spatial[i]! / w, w]), channels];
    return { array: x.reshape(shape), axes: window.map((_, i) => 2 + 2 * i) };
  }
  const strides = x.shape.map((_, i) => x.shape.slice(i + 1).reduce((a, b) => a * b, 1)), inner = strides.slice(1, -1);
  const counts = spatial.map((n, i) => Math.floor((n - window[i]!) / stride[i]!) + 1);
  const array = asStrided(x, {
    shape: [batch, ...counts, ...window, channels],
    strides: [strides[0]!, ...inner.map((s, i) => s * stride[i]!), ...inner, 1],
  });
  return { array, axes: window.map((_, i) => 1 + counts.length + i) };
}

/**
 * What the pooling layers share. The fields are no parameters. An axis of n becomes ⌊(n + 2 padding - kernelSize) /
 * stride⌋ + 1. A `ShapeError` for a window that does not fit.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * class MinPool2d extends nn.PoolBase {
 *   forward(x: mx.NDArray): mx.NDArray {
 *     const { array, axes } = this.windows(x, Infinity); // what padding holds
 *     return mx.min(array, axes);
 *   }
 * }
 * new MinPool2d(2, 2, {}).forward(mx.arange(16).reshape([1, 4, 4, 1])).flatten().tolist(); // [0, 2, 8, 10]
 * ```
 */
export abstract class PoolBase extends Module {
  /** Size of the window. */
  readonly kernelSize: number[];
  /** Step between windows. */
  readonly stride: number[];
  /** Entries added before and after each spatial axis. */
  readonly padding: number[];
  readonly #spatial: number;
  /** Checks the sizes. */
  constructor(spatial: number, kernelSize: Extent, options: Extent | PoolOptions) {
    super();
    const o = typeof options === "number" || "length" in options ? { stride: options } : options;
    this.#spatial = spatial;
    this.kernelSize = extents(this.#name, "kernelSize", kernelSize, spatial);
    this.stride = extents(this.#name, "stride", o.stride ?? kernelSize, spatial);
    this.padding = extents(this.#name, "padding", o.padding ?? 0, spatial);
    this.#require("kernelSize", this.kernelSize, 1);
    this.#require("stride", this.stride, 1);
    this.#require("padding", this.padding, 0);
  }
  get #name(): string {
    return `nn.${this.constructor.name}`;
  }
  #require(name: string, values: readonly number[], least: number): void {
    if (values.every((v) => v >= least)) return;
    fail(ValueError, this.#name, {
      cannot: `use ${name} [${values.join(",")}]`,
      expected: `integers of at least ${least}`,
      got: `[${values.join(",")}]`,
      fix: `correct ${name}`,
    });
  }
  /** The windows of the padded input. */
  protected windows(x: NDArray, outside: number): Windows {
    if (x.ndim !== this.#spatial + 2) {
      fail(ShapeError, this.#name, {
        cannot: `slide over ${x.dtype}[${x.shape.join(",")}]`,
        expected: `[N, ${this.#spatial} spatial axes, C]`,
        got: `${x.ndim} axes`,
        fix: "reshape the input",
      });
    }
    const widths = [[0, 0], ...this.padding.map((p) => [p, p]), [0, 0]];
    const padded = this.padding.some((p) => p > 0) ? pad(x, widths, { constantValues: outside }) : x;
    if (padded.shape.slice(1, -1).some((n, i) => n < this.kernelSize[i]!)) {
      fail(ShapeError, this.#name, {
        cannot: `slide a window [${this.kernelSize.join(",")}] over ${x.dtype}[${x.shape.join(",")}]`,
        expected: "spatial axes that are, with padding, at least as long as the window",
        got: `[${padded.shape.slice(1, -1).join(",")}]`,
        fix: "use a smaller window or more padding",
      });
    }
    return windowsOf(padded, this.kernelSize, this.stride);
  }
}
/**
 * The maximum over windows.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const pool: nn.MaxPoolBase = new nn.MaxPool1d(2, { padding: 1 });
 * pool.forward(mx.array([[[-3], [-5]]])).tolist(); // [[[-3], [-5]]]
 * ```
 */
export abstract class MaxPoolBase extends PoolBase {
  /** x [N, spatial..., C] -> the same with shorter spatial axes. */
  forward(x: NDArray): NDArray {
    const w = this.windows(x, -Infinity);
    return max(w.array, w.axes);
  }
}
/**
 * The mean over windows, padding included.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const pool: nn.AvgPoolBase = new nn.AvgPool1d(2, { padding: 1 });
 * pool.forward(mx.array([[[-3], [-5]]])).tolist(); // [[[-1.5], [-2.5]]]
 * ```
 */
export abstract class AvgPoolBase extends PoolBase {
  /** x [N, spatial..., C] -> the same with shorter spatial axes. */
  forward(x: NDArray): NDArray {
    const w = this.windows(x, 0);
    return mean(w.array, w.axes);
  }
}
/**
 * The maximum over sliding windows of sequences [N, L, C] (`mlx.nn.MaxPool1d`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.MaxPool1d(2).forward(mx.array([[[1], [3], [2], [5]]])).tolist(); // [[[3], [5]]]
 * ```
 */
export class MaxPool1d extends MaxPoolBase {
  /** Takes the size of the window; a bare second argument is the stride. */
  constructor(kernelSize: Extent, options: Extent | PoolOptions = {}) {
    super(1, kernelSize, options);
  }
}
/**
 * The mean over sliding windows of sequences [N, L, C] (`mlx.nn.AvgPool1d`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const x = mx.array([[[1], [3], [5], [11]]]);
 * new nn.AvgPool1d(2).forward(x).tolist(); // [[[2], [8]]]
 * new nn.AvgPool1d(2, 1).forward(x).tolist(); // [[[2], [4], [8]]]
 * ```
 */
export class AvgPool1d extends AvgPoolBase {
  /** Takes the size of the window; a bare second argument is the stride. */
  constructor(kernelSize: Extent, options: Extent | PoolOptions = {}) {
    super(1, kernelSize, options);
  }
}
/**
 * The maximum over sliding windows of images [N, H, W, C] (`mlx.nn.MaxPool2d`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.MaxPool2d(2).forward(mx.ones([1, 4, 4, 3])).shape; // [1, 2, 2, 3]
 * ```
 */
export class MaxPool2d extends MaxPoolBase {
  /** Takes the size of the window; a bare second argument is the stride. */
  constructor(kernelSize: Extent, options: Extent | PoolOptions = {}) {
    super(2, kernelSize, options);
  }
}
/**
 * The mean over sliding windows of images [N, H, W, C] (`mlx.nn.AvgPool2d`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.AvgPool2d(2).forward(mx.ones([1, 4, 4, 3])).shape; // [1, 2, 2, 3]
 * ```
 */
export class AvgPool2d extends AvgPoolBase {
  /** Takes the size of the window; a bare second argument is the stride. */
  constructor(kernelSize: Extent, options: Extent | PoolOptions = {}) {
    super(2, kernelSize, options);
  }
}
/**
 * The maximum over sliding windows of volumes [N, D, H, W, C] (`mlx.nn.MaxPool3d`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const x = mx.arange(16).reshape([1, 4, 2, 2, 1]);
 * new nn.MaxPool3d([2, 1, 2]).forward(x).shape; // [1, 2, 2, 1, 1]
 * new nn.MaxPool3d(2).forward(x).flatten().tolist(); // [7, 15]
 * ```
 */
export class MaxPool3d extends MaxPoolBase {
  /** Takes the size of the window; a bare second argument is the stride. */
  constructor(kernelSize: Extent, options: Extent | PoolOptions = {}) {
    super(3, kernelSize, options);
  }
}
/**
 * The mean over sliding windows of volumes [N, D, H, W, C] (`mlx.nn.AvgPool3d`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const x = mx.arange(16).reshape([1, 2, 2, 4, 1]);
 * new nn.AvgPool3d([2, 2, 4]).forward(x).tolist(); // [[[[[7.5]]]]]
 * new nn.AvgPool3d(2, { stride: [1, 1, 2] }).forward(x).flatten().tolist(); // [6.5, 8.5]
 * ```
 */
export class AvgPool3d extends AvgPoolBase {
  /** Takes the size of the window; a bare second argument is the stride. */
  constructor(kernelSize: Extent, options: Extent | PoolOptions = {}) {
    super(3, kernelSize, options);
  }
}
