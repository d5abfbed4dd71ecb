/**
 * The text part of Gemma 3: most layers attend to a sliding window, every `sliding_window_pattern`-th to all; norms
 * before and after each part, and of queries and keys.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { geluApprox, Module } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, type HeadSizes, StackedModel } from "../blocks.ts";
import { type Cache, KVCache, RotatingKVCache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import type { Weights } from "../model.ts";
import { OffsetRMSNorm } from "../norms.ts";
import { initializeRope, type Rope } from "../rope.ts";

class Attention extends HeadAttention {
  q_norm: OffsetRMSNorm;
  k_norm: OffsetRMSNorm;
  constructor(sizes: HeadSizes, rope: Rope, { scale, eps }: { readonly scale: number; readonly eps: number }) {
    super(sizes, rope, { scale });
    this.q_norm = new OffsetRMSNorm(sizes.headDim, eps);
    this.k_norm = new OffsetRMSNorm(sizes.headDim, eps);
  }
  override queries(x: NDArray): NDArray {
    return this.q_norm.forward(super.queries(x));
  }
  override keys(x: NDArray): NDArray {
    return this.k_norm.forward(super.keys(x));
  }
}
/** The sum, which in float16 stays finite. */
function clippedSum(x: NDArray, y: NDArray): NDArray {
  if (x.dtype !== mx.float16) return x.add(y);
  const bound = mx.finfo(mx.float16).max;
  return mx.clip(x.astype(mx.float32).add(y.astype(mx.float32)), -bound, bound).astype(mx.float16);
}

class TransformerBlock extends Module {
  self_attn: Attention;
  mlp: GatedMLP;
  input_layernorm: OffsetRMSNorm;
  post_attention_layernorm: OffsetRMSNorm;
  pre_feedforward_layernorm: OffsetRMSNorm;
  post_feedforward_layernorm: OffsetRMSNorm;
  readonly window: number | null;
  constructor(c: Config, i: number) {
    super();
    const hidden = c.size("hidden_size", 1152), headDim = c.size("head_dim", 256), eps = c.number("rms_norm_eps", 1e-6);
    const sizes = {
      hidden,
      headDim,
      heads: c.size("num_attention_heads", 4),
      kvHeads: c.size("num_key_value_heads", 1),
    };
    const isSliding = (i + 1) % c.size("sliding_window_pattern", 6) !== 0;
    this.window = isSliding ? c.size("sliding_window", 512) : null;
    const rope = isSliding
      ? initializeRope({ dims: headDim, base: c.number("rope_local_base_freq", 10_000) })
      : initializeRope({
        dims: headDim,
        base: c.number("rope_theta", 1_000_000),
        scaling: c.object("rope_scaling", null),
        maxPositions: c.size("max_position_embeddings", 32768),
      });
    this.self_attn = new Attention(sizes, rope, { scale: c.number("query_pre_attn_scalar", 256) ** -0.5, eps });
    this.mlp = new GatedMLP(hidden, c.size("intermediate_size", 6912), { activation: geluApprox });
    const norm = () => new OffsetRMSNorm(hidden, eps);
    this.input_layernorm = norm();
    this.post_attention_layernorm = norm();
    this.pre_feedforward_layernorm = norm();
    this.post_feedforward_layernorm = norm();
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const r = this.self_attn.forward(this.input_layernorm.forward(x), mask, cache);
    const h = clippedSum(x, this.post_attention_layernorm.forward(r));
    const y = this.mlp.forward(this.pre_feedforward_layernorm.forward(h));
    return clippedSum(h, this.post_feedforward_layernorm.forward(y));
  }
}

/** The number as bfloat16 has it: checkpoints of every dtype were trained with this factor. */
function inBfloat16(x: number): number {
  return Number(mx.array(x, mx.bfloat16).item());
}
/** `gemma3_text` (`mlx_lm.models.gemma3_text`). */
export class Model extends StackedModel<TransformerBlock> {
  readonly modelType: string = "gemma3_text";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const c = config.withDefaults({ vocab_size: 262144, hidden_size: 1152, num_hidden_layers: 26 });
    const hidden = c.size("hidden_size"), norm = new OffsetRMSNorm(hidden, c.number("rms_norm_eps", 1e-6));
    const embeddingScale = inBfloat16(Math.sqrt(hidden));
    super(c, (i) => new TransformerBlock(c, i), { norm, embeddingScale, tied: false });
  }
  override makeCache(): Cache[] {
    return this.layers.map(({ window }) => window === null ? new KVCache() : new RotatingKVCache(window));
  }
  /** Without a head among the weights the embeddings are the head. */
  override sanitize(weights: Weights): Weights {
    if (!weights.has("lm_head.weight")) delete this.lm_head;
    return weights;
  }
}
