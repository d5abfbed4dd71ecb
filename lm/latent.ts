/**
 * Attention through a small shared vector (multi-head latent attention): its sizes and parts, and linear layers with one matrix
 * per head.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { Linear, Module, type QuantizeOptions, RMSNorm } from "../nn/mod.ts";
import { quantizationOf } from "../nn/quantized.ts";
import type { Config } from "./config.ts";
import type { Projection } from "./model.ts";
import { initializeRope, type Rope, ropeConfig } from "./rope.ts";

/** Sizes of the attention. */
export interface LatentSizes {
  readonly hidden: number;
  readonly heads: number;
  /** Features of the shared vector. */
  readonly rank: number;
  /** Features between hidden and queries; null: none. */
  readonly queryRank: number | null;
  /** Features of a head with positions. */
  readonly ropeDim: number;
  /** Features of a head without. */
  readonly nopeDim: number;
  /** Features of a head's values. */
  readonly valueDim: number;
}
/** What an absent field of the config means. */
export const DEEPSEEK_DEFAULTS = {
  vocab_size: 102400,
  hidden_size: 4096,
  intermediate_size: 11008,
  moe_intermediate_size: 1407,
  num_hidden_layers: 30,
  num_attention_heads: 32,
  rms_norm_eps: 1e-6,
  num_experts_per_tok: 1,
} as const;
/** The sizes in a config. A `q_lora_rank` of null means that there is none. */
export function latentSizes(c: Config): LatentSizes {
  return {
    hidden: c.size("hidden_size"),
    heads: c.size("num_attention_heads"),
    rank: c.size("kv_lora_rank", 512),
    queryRank: c.json.q_lora_rank === null ? null : c.size("q_lora_rank", 1536),
    ropeDim: c.size("qk_rope_head_dim", 64),
    nopeDim: c.size("qk_nope_head_dim", 128),
    valueDim: c.size("v_head_dim", 128),
  };
}
/** The layers that make queries: one, or two with a norm between. */
export function latentQueries({ hidden, heads, queryRank, nopeDim, ropeDim }: LatentSizes, bias: boolean): {
  q_proj?: Projection;
  q_a_proj?: Projection;
  q_a_layernorm?: RMSNorm;
  q_b_proj?: Projection;
} {
  const size = heads * (nopeDim + ropeDim);
  if (queryRank === null) return { q_proj: new Linear(hidden, size, { bias: false }) };
  return {
    q_a_proj: new Linear(hidden, queryRank, { bias }),
    q_a_layernorm: new RMSNorm(queryRank, { eps: 1e-6 }),
    q_b_proj: new Linear(queryRank, size, { bias: false }),
  };
}
/** Factor of the scores; YaRN makes it larger. */
export function latentScale(c: Config, { nopeDim, ropeDim }: LatentSizes): number {
  const scaling = c.object("rope_scaling", null), scale = (nopeDim + ropeDim) ** -0.5;
  const all = scaling?.number("mscale_all_dim", 0) ?? 0, factor = scaling && all ? scaling.number("factor") : 1;
  return factor > 1 ? scale * (0.1 * all * Math.log(factor) + 1) ** 2 : scale;
}
/** Positions of the features that have them. */
export function latentRope(c: Config, { ropeDim }: LatentSizes): Rope {
  const maxPositions = c.size("max_position_embeddings", 2048);
  return initializeRope({ ...ropeConfig(c, 10_000), dims: ropeDim, traditional: true, maxPositions });
}

/** A linear layer with one matrix per head, of any kind. */
export type HeadsProjection = Module & { forward(x: NDArray, options?: { readonly transpose?: boolean }): NDArray };
/** `x_h W_hᵀ`, or `x_h W_h`, for the heads h of x [B, heads, L, inputs] (`MultiLinear` of mlx-lm), W [heads, outputs, inputs]. */
export class MultiLinear extends Module {
  weight: NDArray;
  constructor(inputs: number, outputs: number, heads: number) {
    super();
    const scale = Math.sqrt(1 / inputs);
    this.weight = mx.random.uniform([heads, outputs, inputs], { low: -scale, high: scale });
  }
  forward(x: NDArray, { transpose = true }: { readonly transpose?: boolean } = {}): NDArray {
    return x.matmul(transpose ? this.weight.swapaxes(-1, -2) : this.weight);
  }
  /** The same layer with quantized weights. */
  toQuantized(options: QuantizeOptions = {}): QuantizedMultiLinear {
    return new QuantizedMultiLinear(this, options);
  }
}
/** {@linkcode MultiLinear} with quantized weights; frozen. */
export class QuantizedMultiLinear extends Module {
  weight: NDArray;
  scales: NDArray;
  biases?: NDArray;
  readonly groupSize: number;
  readonly bits: number;
  readonly mode: mx.QuantizationMode;
  constructor(layer: MultiLinear, options: QuantizeOptions) {
    super();
    const { groupSize, bits, mode } = quantizationOf(options);
    [this.groupSize, this.bits, this.mode] = [groupSize, bits, mode];
    const [weight, scales, biases] = mx.quantize(layer.weight, { groupSize, bits, mode });
    [this.weight, this.scales] = [weight!, scales!];
    if (biases) this.biases = biases;
    this.freeze();
  }
  forward(x: NDArray, { transpose = true }: { readonly transpose?: boolean } = {}): NDArray {
    const { groupSize, bits, mode, biases = null } = this;
    return mx.quantizedMatmul(x, this.weight, this.scales, { biases, transpose, groupSize, bits, mode });
  }
}
