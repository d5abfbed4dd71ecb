/**
 * MiniCPM: Llama with factors for embeddings, residuals (by the depth) and logits (by the width).
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Module, RMSNorm } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, StackedModel } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import type { Weights } from "../model.ts";
import { initializeRope, ropeConfig } from "../rope.ts";

class DecoderLayer extends Module {
  self_attn: HeadAttention;
  mlp: GatedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  readonly residual: number;
  constructor(c: Config) {
    super();
    const { hidden, heads, kvHeads } = headSizes(c),
      headDim = Math.floor(hidden / heads),
      eps = c.number("rms_norm_eps");
    const rope = initializeRope({
      ...ropeConfig(c, 1_000_000),
      dims: headDim,
      traditional: c.flag("rope_traditional", false),
      maxPositions: c.size("max_position_embeddings", null),
    });
    this.self_attn = new HeadAttention({ hidden, heads, kvHeads, headDim }, rope);
    this.mlp = new GatedMLP(hidden, c.size("intermediate_size"));
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
    this.residual = c.number("scale_depth") / Math.sqrt(c.size("num_hidden_layers"));
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const scaled = (y: NDArray) => y.multiply(mx.float(this.residual));
    const h = x.add(scaled(this.self_attn.forward(this.input_layernorm.forward(x), mask, cache)));
    return h.add(scaled(this.mlp.forward(this.post_attention_layernorm.forward(h))));
  }
}

/** `minicpm` (`mlx_lm.models.minicpm`). */
export class Model extends StackedModel<DecoderLayer> {
  readonly modelType: string = "minicpm";
  /** How much wider than the base model it is. */
  readonly width: number;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const embeddingScale = config.number("scale_emb"), tied = config.flag("tie_word_embeddings", false);
    super(config, () => new DecoderLayer(config), { embeddingScale, tied });
    this.width = config.size("hidden_size") / config.number("dim_model_base");
  }
  override logits(h: NDArray): NDArray {
    return super.logits(this.lm_head ? h.divide(mx.float(this.width)) : h);
  }
  /** A head that is not there is the embeddings. */
  override sanitize(weights: Weights): Weights {
    const table = weights.get("model.embed_tokens.weight");
    if (!this.lm_head || !table || weights.has("lm_head.weight")) return weights;
    return new Map([...weights, ["lm_head.weight", table]]);
  }
}
