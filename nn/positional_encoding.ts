/**
 * Positions.
 * @module
 */
import { fast, type NDArray } from "../core/mod.ts";
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
/** Rotary positions on the first `dims` features (`mlx.nn.RoPE`; https://arxiv.org/abs/2104.09864). */
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
