/**
 * Granite MoE: Granite whose MLP is a mixture of experts.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Module, RMSNorm } from "../../nn/mod.ts";
import { HeadAttention, headSizes, StackedModel } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import { SparseMoe, withSplitExperts } from "../granite_experts.ts";
import type { Mask } from "../mask.ts";
import type { Weights } from "../model.ts";
import { initializeRope, ropeConfig } from "../rope.ts";

class DecoderLayer extends Module {
  self_attn: HeadAttention;
  block_sparse_moe: SparseMoe;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  readonly residual: number;
  constructor(c: Config) {
    super();
    const { heads, kvHeads, hidden } = headSizes(c),
      headDim = Math.floor(hidden / heads),
      eps = c.number("rms_norm_eps");
    const maxPositions = c.size("max_position_embeddings");
    this.self_attn = new HeadAttention(
      { hidden, heads, kvHeads, headDim },
      initializeRope({ ...ropeConfig(c), dims: headDim, maxPositions }),
      { bias: c.flag("attention_bias"), scale: c.number("attention_multiplier") },
    );
    this.block_sparse_moe = new SparseMoe(c);
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
    this.residual = c.number("residual_multiplier");
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const scaled = (y: NDArray) => y.multiply(mx.float(this.residual));
    const h = x.add(scaled(this.self_attn.forward(this.input_layernorm.forward(x), mask, cache)));
    return h.add(scaled(this.block_sparse_moe.forward(this.post_attention_layernorm.forward(h))));
  }
}

/** `granitemoe` (`mlx_lm.models.granitemoe`). */
export class Model extends StackedModel<DecoderLayer> {
  readonly modelType: string = "granitemoe";
  readonly logitsScaling: number;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const embeddingScale = config.number("embedding_multiplier"), tied = config.flag("tie_word_embeddings", true);
    super(config, () => new DecoderLayer(config), { embeddingScale, tied });
    this.logitsScaling = config.number("logits_scaling");
  }
  override logits(h: NDArray): NDArray {
    return super.logits(h).divide(mx.float(this.logitsScaling));
  }
  override sanitize(weights: Weights): Weights {
    return withSplitExperts(super.sanitize(weights));
  }
}
