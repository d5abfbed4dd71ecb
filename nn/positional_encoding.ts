/**
 * Positions: rotated features (RoPE), sines and cosines (SinusoidalPositionalEncoding), biases of attention scores
 * (ALiBi).
 * @module
 */
import {
  abs,
  arange,
  array,
  concatenate,
  cos,
  type DType,
  exp,
  fail,
  fast,
  float,
  float32,
  type NDArray,
  sin,
  ValueError,
} from "../core/mod.ts";
import { Module } from "./module.ts";

/** Options of {@linkcode RoPE}. */
export interface RoPEOptions {
  /** Rotate pairs (2i, 2i+1) instead of (i, i + dims/2). Default false. */
  readonly traditional?: boolean;
  /** Base of the angles. Default 10000. */
  readonly base?: number;
  /** Factor of the positions. Default 1. */
  readonly scale?: number;
}
/**
 * Rotary positions on the first `dims` features (`mlx.nn.RoPE`; https://arxiv.org/abs/2104.09864).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.RoPE(4).forward(mx.ones([1, 2, 3, 4])).shape; // [1, 2, 3, 4]
 * ```
 */
export class RoPE extends Module {
  /** Features that are rotated. */
  readonly dims: number;
  /** Which features make pairs. */
  readonly traditional: boolean;
  /** Base of the angles. */
  readonly base: number;
  /** Factor of the positions. */
  readonly scale: number;
  /** Takes `dims` features. */
  constructor(dims: number, options: RoPEOptions = {}) {
    super();
    this.dims = dims;
    ({ traditional: this.traditional = false, base: this.base = 10000, scale: this.scale = 1 } = options);
  }
  /** x [B, ..., T, D], the first position being `offset` (a number, or an array, 0-d or [B]). */
  forward(x: NDArray, options: number | { readonly offset?: number | NDArray } = {}): NDArray {
    const offset = typeof options === "number" ? options : options.offset ?? 0;
    const { dims, traditional, base, scale } = this;
    return fast.rope(x, dims, { traditional, base, scale, offset });
  }
}

/** Options of {@linkcode SinusoidalPositionalEncoding}. */
export interface SinusoidalOptions {
  /** The lowest frequency. Default 0.0001. */
  readonly minFreq?: number;
  /** The highest frequency. Default 1. */
  readonly maxFreq?: number;
  /** Factor of the result. Default √(2 / dims). */
  readonly scale?: number | null;
  /** Cosines before sines. Default false. */
  readonly cosFirst?: boolean;
  /** Frequencies are turns, not radians. Default false. */
  readonly fullTurns?: boolean;
}
/**
 * `scale · [sin(x σ), cos(x σ)]` with dims/2 frequencies σ from maxFreq down to minFreq, evenly spaced in their
 * logarithms (`mlx.nn.SinusoidalPositionalEncoding`; https://arxiv.org/abs/1706.03762).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.SinusoidalPositionalEncoding(8).forward(mx.arange(5)).shape; // [5, 8]
 * ```
 */
export class SinusoidalPositionalEncoding extends Module {
  /** The frequencies, [dims / 2]: no parameter. */
  _sigmas: NDArray;
  /** Factor of the result. */
  readonly scale: number;
  /** Do cosines come before sines? */
  readonly cosFirst: boolean;
  /** Takes the length of the encoding, which is even. */
  constructor(dims: number, options: number | SinusoidalOptions = {}) {
    super();
    const o = typeof options === "number" ? { minFreq: options } : options;
    if (!(dims > 0 && dims % 2 === 0)) {
      fail(ValueError, "nn.SinusoidalPositionalEncoding", {
        cannot: `encode into ${dims} features`,
        expected: "a positive even number",
        got: String(dims),
        fix: "change dims",
      });
    }
    const [low, high] = [Math.log(o.minFreq ?? 0.0001), Math.log(o.maxFreq ?? 1)];
    const falling = dims === 2 ? array([1]) : arange(dims / 2, float32).div(float(dims / 2 - 1)).neg().add(1);
    const sigmas = exp(falling.mul(float(high - low)).add(float(low)));
    this._sigmas = o.fullTurns ? sigmas.mul(2 * Math.PI) : sigmas;
    this.scale = o.scale ?? Math.sqrt(2 / dims);
    this.cosFirst = o.cosFirst ?? false;
  }
  /** Positions of any shape -> that shape ++ [dims]. */
  forward(x: NDArray): NDArray {
    const angle = x.expandDims(-1).mul(this._sigmas), parts = [sin(angle), cos(angle)];
    const y = concatenate(this.cosFirst ? parts.reverse() : parts, { axis: -1 });
    return this.scale === 1 ? y : y.mul(float(this.scale));
  }
}

/** Options of {@linkcode ALiBi.createAlibiMatrix}. */
export interface AlibiMatrixOptions {
  /** Position of the first query. Default 0. */
  readonly offset?: number;
  /** Dtype of the result. Default float32. */
  readonly dtype?: DType;
}
/** What {@linkcode ALiBi} takes besides the scores. */
export interface AlibiOptions {
  /** Position of the first query. Default 0. */
  readonly offset?: number;
  /** Added to the scores too; broadcasts to them. */
  readonly mask?: NDArray | null;
}
/**
 * Slopes of n heads: 2^(-8 i / n) for a power of two, else those of the power below, then every other one of the power
 * above.
 */
function slopes(n: number): number[] {
  const exponent = Math.log2(n);
  if (Number.isInteger(exponent)) {
    const start = 2 ** -(2 ** -(exponent - 3));
    return Array.from({ length: n }, (_, i) => start * start ** i);
  }
  const below = 2 ** Math.floor(exponent);
  return [...slopes(below), ...slopes(2 * below).filter((_, i) => i % 2 === 0).slice(0, n - below)];
}
/**
 * Adds `-slope · |i - j|` to attention scores, one slope per head (`mlx.nn.ALiBi`; https://arxiv.org/abs/2108.12409).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.ALiBi().forward(mx.zeros([1, 2, 3, 3])).shape; // [1, 2, 3, 3]
 * ```
 */
export class ALiBi extends Module {
  /** `-slope_h · |i - j|` as [1, numHeads, qLength - offset, kLength]; queries are i = offset, ..., qLength - 1. */
  static createAlibiMatrix(
    qLength: number,
    kLength: number,
    numHeads: number,
    options: AlibiMatrixOptions = {},
  ): NDArray {
    const { offset = 0, dtype = float32 } = options;
    const distance = abs(arange(offset, qLength).expandDims(1).subtract(arange(0, kLength).expandDims(0)));
    return distance.neg().expandDims([0, 1]).mul(ALiBi.createAlibiSlope(numHeads, dtype)).astype(dtype);
  }
  /** The slopes as [numHeads, 1, 1]. */
  static createAlibiSlope(numHeads: number, options: DType | { readonly dtype?: DType } = {}): NDArray {
    const dtype = "code" in options ? options : options.dtype ?? float32;
    return array(slopes(numHeads), dtype).expandDims([-1, -2]);
  }
  /** scores [B, H, L, S] -> the same shape. */
  forward(scores: NDArray, options: number | AlibiOptions = {}): NDArray {
    const { offset = 0, mask = null } = typeof options === "number" ? { offset: options } : options;
    const [, heads, queries, keys] = scores.shape;
    const bias = ALiBi.createAlibiMatrix(queries! + offset, keys!, heads!, { offset, dtype: scores.dtype });
    return scores.add(mask ? bias.add(mask) : bias);
  }
}
