/**
 * Transposed convolutions: the maps whose derivatives are plain convolutions. Layouts are those of `convolution.ts`.
 * @module
 */
import { convTranspose1d, convTranspose2d, convTranspose3d, type NDArray, zeros } from "../core/mod.ts";
import type { Conv3dOptions } from "./convolution.ts";
import { drawKernel, type Extent, extents } from "./extents.ts";
import { Module } from "./module.ts";

/** Options of the transposed convolutions. */
export interface ConvTransposeOptions extends Conv3dOptions {
  /** More entries at the end of each spatial axis of the output. Default 0. */
  readonly outputPadding?: Extent;
}

/**
 * What the three transposed convolutions share.
 *
 * @example
 * ```ts
 * import * as nn from "@denim/ml/nn";
 * const up: nn.ConvTransposeBase = new nn.ConvTranspose2d(3, 8, [4, 2], { stride: 2, padding: [1, 0] });
 * [up.weight.shape, up.stride, up.padding]; // [[8, 4, 2, 3], [2, 2], [1, 0]]
 * ```
 */
export abstract class ConvTransposeBase extends Module {
  /** The kernels, [outChannels, kernel..., inChannels]. */
  weight: NDArray;
  /** Added to each output channel, [outChannels]. */
  bias?: NDArray;
  /** Step between the places that consecutive inputs are added to. */
  readonly stride: number[];
  /** Entries cut from both ends of each spatial axis. */
  readonly padding: number[];
  /** Step between the entries of the kernel. */
  readonly dilation: number[];
  /** More entries at the end of each spatial axis. */
  readonly outputPadding: number[];
  /** Draws the weights. */
  constructor(
    spatial: number,
    inChannels: number,
    outChannels: number,
    kernelSize: Extent,
    options: ConvTransposeOptions,
  ) {
    super();
    const op = `nn.ConvTranspose${spatial}d`;
    const { stride = 1, padding = 0, dilation = 1, outputPadding = 0, bias = true } = options;
    this.weight = drawKernel(outChannels, extents(op, "kernelSize", kernelSize, spatial), inChannels);
    if (bias) this.bias = zeros([outChannels]);
    this.stride = extents(op, "stride", stride, spatial);
    this.padding = extents(op, "padding", padding, spatial);
    this.dilation = extents(op, "dilation", dilation, spatial);
    this.outputPadding = extents(op, "outputPadding", outputPadding, spatial);
  }
  /** With the bias, if there is one. */
  protected shifted(y: NDArray): NDArray {
    return this.bias ? y.add(this.bias) : y;
  }
}
/**
 * Transposed convolution over sequences (`mlx.nn.ConvTranspose1d`): `y[n, i stride + k dilation - padding, o]` sums
 * `x[n, i, c] w[o, k, c]`, plus `b[o]`; the length is `(L - 1) stride - 2 padding + dilation (kernelSize - 1) + 1 +
 * outputPadding`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.ConvTranspose1d(2, 4, 3, { stride: 2 }).forward(mx.ones([1, 5, 2])).shape; // [1, 11, 4]
 * ```
 */
export class ConvTranspose1d extends ConvTransposeBase {
  /** Draws the weights. */
  constructor(inChannels: number, outChannels: number, kernelSize: Extent, options: ConvTransposeOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options);
  }
  /** x [N, L, inChannels] -> [N, L', outChannels]. */
  forward(x: NDArray): NDArray {
    return this.shifted(convTranspose1d(x, this.weight, this));
  }
}
/**
 * Transposed convolution over images (`mlx.nn.ConvTranspose2d`): as {@linkcode ConvTranspose1d}, with two spatial axes.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.ConvTranspose2d(3, 8, 2, { stride: 2 }).forward(mx.ones([1, 4, 4, 3])).shape; // [1, 8, 8, 8]
 * ```
 */
export class ConvTranspose2d extends ConvTransposeBase {
  /** Draws the weights. */
  constructor(inChannels: number, outChannels: number, kernelSize: Extent, options: ConvTransposeOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options);
  }
  /** x [N, H, W, inChannels] -> [N, H', W', outChannels]. */
  forward(x: NDArray): NDArray {
    return this.shifted(convTranspose2d(x, this.weight, this));
  }
}
/**
 * Transposed convolution over volumes (`mlx.nn.ConvTranspose3d`): as {@linkcode ConvTranspose1d}, with three spatial
 * axes.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const up = new nn.ConvTranspose3d(2, 3, [1, 2, 2], { stride: [1, 2, 2] }); // larger images, as many of them
 * up.forward(mx.ones([1, 5, 4, 4, 2])).shape; // [1, 5, 8, 8, 3]
 * ```
 */
export class ConvTranspose3d extends ConvTransposeBase {
  /** Draws the weights. */
  constructor(inChannels: number, outChannels: number, kernelSize: Extent, options: ConvTransposeOptions = {}) {
    super(3, inChannels, outChannels, kernelSize, options);
  }
  /** x [N, D, H, W, inChannels] -> [N, D', H', W', outChannels]. */
  forward(x: NDArray): NDArray {
    return this.shifted(convTranspose3d(x, this.weight, this));
  }
}
