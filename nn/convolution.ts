/**
 * Convolutions over 1, 2 and 3 spatial axes. Channels are last: an input is [N, spatial..., C], a weight
 * [outChannels, kernel..., inChannels / groups]. The transposed ones are in `convolution_transpose.ts`.
 * @module
 */
import { conv1d, conv2d, conv3d, fail, type NDArray, ValueError, zeros } from "../core/mod.ts";
import { drawKernel, type Extent, extents } from "./extents.ts";
import { Module } from "./module.ts";

/** Options of {@linkcode Conv3d}. */
export interface Conv3dOptions {
  /** Step between outputs. Default 1. */
  readonly stride?: Extent;
  /** Zeros before and after each spatial axis. Default 0. */
  readonly padding?: Extent;
  /** Step between the entries of the kernel. Default 1. */
  readonly dilation?: Extent;
  /** Add a bias. Default true. */
  readonly bias?: boolean;
}
/** Options of {@linkcode Conv1d} and {@linkcode Conv2d}. */
export interface ConvOptions extends Conv3dOptions {
  /** Groups of channels that do not see each other. Default 1. */
  readonly groups?: number;
}

/** Channels that each group sees. */
function ownChannels(op: string, channels: number, groups: number): number {
  if (Number.isInteger(groups) && groups > 0 && channels % groups === 0) return channels / groups;
  return fail(ValueError, op, {
    cannot: `divide ${channels} input channels into ${groups} groups`,
    expected: "channels that are a multiple of the groups",
    got: `${channels} and ${groups}`,
    fix: "change inChannels or groups",
  });
}

/**
 * What the three convolutions share. A `ValueError` for channels that the groups do not divide.
 *
 * @example
 * ```ts
 * import * as nn from "@denim/ml/nn";
 * const model = new nn.Sequential(new nn.Conv2d(3, 8, 3), new nn.ReLU(), new nn.Conv2d(8, 4, 1, { groups: 2 }));
 * const convolutions = model.modules().filter((m) => m instanceof nn.ConvBase);
 * convolutions.map((m) => m.weight.shape); // [[8, 3, 3, 3], [4, 1, 1, 4]]
 * ```
 */
export abstract class ConvBase extends Module {
  /** The kernels, [outChannels, kernel..., inChannels / groups]. */
  weight: NDArray;
  /** Added to each output channel, [outChannels]. */
  bias?: NDArray;
  /** Step between outputs. */
  readonly stride: number[];
  /** Zeros before and after each spatial axis. */
  readonly padding: number[];
  /** Step between the entries of the kernel. */
  readonly dilation: number[];
  /** Groups of channels. */
  readonly groups: number;
  /** Draws the weights. */
  constructor(spatial: number, inChannels: number, outChannels: number, kernelSize: Extent, options: ConvOptions) {
    super();
    const op = `nn.Conv${spatial}d`, { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true } = options;
    this.weight = drawKernel(
      outChannels,
      extents(op, "kernelSize", kernelSize, spatial),
      ownChannels(op, inChannels, groups),
    );
    if (bias) this.bias = zeros([outChannels]);
    this.stride = extents(op, "stride", stride, spatial);
    this.padding = extents(op, "padding", padding, spatial);
    this.dilation = extents(op, "dilation", dilation, spatial);
    this.groups = groups;
  }
  /** With the bias, if there is one. */
  protected shifted(y: NDArray): NDArray {
    return this.bias ? y.add(this.bias) : y;
  }
}
/**
 * Convolution over sequences (`mlx.nn.Conv1d`): `y[n, i, o] = Σ x[n, i stride + k dilation - padding, c] w[o, k, c] +
 * b[o]`; the length is `⌊(L + 2 padding - dilation (kernelSize - 1) - 1) / stride⌋ + 1`. The weight is drawn uniformly
 * from ±1/√(inChannels / groups · kernelSize), the bias is zero.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.Conv1d(2, 4, 3, { padding: 1 }).forward(mx.ones([1, 5, 2])).shape; // [1, 5, 4]
 * ```
 */
export class Conv1d extends ConvBase {
  /** Draws the weights. */
  constructor(inChannels: number, outChannels: number, kernelSize: Extent, options: ConvOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options);
  }
  /** x [N, L, inChannels] -> [N, L', outChannels]. */
  forward(x: NDArray): NDArray {
    return this.shifted(conv1d(x, this.weight, this));
  }
}
/**
 * Convolution over images (`mlx.nn.Conv2d`): as {@linkcode Conv1d}, with two spatial axes.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.Conv2d(3, 8, 3, { padding: 1 }).forward(mx.ones([1, 5, 5, 3])).shape; // [1, 5, 5, 8]
 * ```
 */
export class Conv2d extends ConvBase {
  /** Draws the weights. */
  constructor(inChannels: number, outChannels: number, kernelSize: Extent, options: ConvOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options);
  }
  /** x [N, H, W, inChannels] -> [N, H', W', outChannels]. */
  forward(x: NDArray): NDArray {
    return this.shifted(conv2d(x, this.weight, this));
  }
}
/**
 * Convolution over volumes (`mlx.nn.Conv3d`): as {@linkcode Conv1d}, with three spatial axes and without groups.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.Conv3d(1, 2, 2).forward(mx.ones([1, 4, 4, 4, 1])).shape; // [1, 3, 3, 3, 2]
 * ```
 */
export class Conv3d extends ConvBase {
  /** Draws the weights. */
  constructor(inChannels: number, outChannels: number, kernelSize: Extent, options: Conv3dOptions = {}) {
    super(3, inChannels, outChannels, kernelSize, options);
  }
  /** x [N, D, H, W, inChannels] -> [N, D', H', W', outChannels]. */
  forward(x: NDArray): NDArray {
    return this.shifted(conv3d(x, this.weight, this));
  }
}
