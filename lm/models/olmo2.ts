/**
 * OLMo 2: Llama with norms after each part instead of before it, and norms of all queries and keys together.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { Module, RMSNorm } from "../../nn/mod.ts";
import { byHeads, GatedMLP, HeadAttention, headSizes, StackedModel } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import { type Weights, withoutWeights } from "../model.ts";
import { initializeRope, ropeConfig } from "../rope.ts";

class Attention extends HeadAttention {
  q_norm: RMSNorm;
  k_norm: RMSNorm;
  constructor(c: Config) {
    const sizes = headSizes(c), eps = c.number("rms_norm_eps");
    const rope = initializeRope({
      ...ropeConfig(c, 10_000),
      dims: sizes.headDim,
      traditional: c.flag("rope_traditional", false),
      maxPositions: c.size("max_position_embeddings", null),
    });
    super(sizes, rope, { bias: c.flag("attention_bias", false) });
    this.q_norm = new RMSNorm(sizes.heads * sizes.headDim, { eps });
    this.k_norm = new RMSNorm(sizes.kvHeads * sizes.headDim, { eps });
  }
  override queries(x: NDArray): NDArray {
    return byHeads(this.q_norm.forward(this.q_proj.forward(x)), this.heads);
  }
  override keys(x: NDArray): NDArray {
    return byHeads(this.k_norm.forward(this.k_proj.forward(x)), this.kvHeads);
  }
}
class TransformerBlock extends Module {
  self_attn: Attention;
  mlp: GatedMLP;
  post_attention_layernorm: RMSNorm;
  post_feedforward_layernorm: RMSNorm;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps");
    this.self_attn = new Attention(c);
    this.mlp = new GatedMLP(hidden, c.size("intermediate_size"), { bias: c.flag("mlp_bias", false) });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
    this.post_feedforward_layernorm = new RMSNorm(hidden, { eps });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const h = x.add(this.post_attention_layernorm.forward(this.self_attn.forward(x, mask, cache)));
    return h.add(this.post_feedforward_layernorm.forward(this.mlp.forward(h)));
  }
}

/** `olmo2` (`mlx_lm.models.olmo2`). */
export class Model extends StackedModel<TransformerBlock> {
  readonly modelType: string = "olmo2";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config, () => new TransformerBlock(config), { tied: config.flag("tie_word_embeddings", true) });
  }
  override sanitize(weights: Weights): Weights {
    return super.sanitize(withoutWeights(weights, (name) => name.includes("self_attn.rotary_emb.inv_freq")));
  }
}
