/**
 * InternLM 3: Llama with biases for attention and for the MLP apart.
 * @module
 */
import { RMSNorm } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, PreNormBlock, StackedModel } from "../blocks.ts";
import type { Config } from "../config.ts";
import { type Weights, withoutWeights } from "../model.ts";
import { initializeRope, ropeConfig } from "../rope.ts";

class TransformerBlock extends PreNormBlock {
  self_attn: HeadAttention;
  mlp: GatedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config) {
    super();
    const given = headSizes(c), sizes = { ...given, headDim: Math.floor(given.hidden / given.heads) };
    const eps = c.number("rms_norm_eps"), maxPositions = c.size("max_position_embeddings", 32_768);
    const traditional = c.flag("rope_traditional", false);
    const rope = initializeRope({ ...ropeConfig(c, 10_000), dims: sizes.headDim, traditional, maxPositions });
    this.self_attn = new HeadAttention(sizes, rope, { bias: c.flag("qkv_bias", false) });
    this.mlp = new GatedMLP(sizes.hidden, c.size("intermediate_size"), { bias: c.flag("bias", false) });
    this.input_layernorm = new RMSNorm(sizes.hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(sizes.hidden, { eps });
  }
}

/** `internlm3` (`mlx_lm.models.internlm3`). */
export class Model extends StackedModel<TransformerBlock> {
  readonly modelType: string = "internlm3";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config, () => new TransformerBlock(config), { tied: config.flag("tie_word_embeddings", false) });
  }
  override sanitize(weights: Weights): Weights {
    return withoutWeights(super.sanitize(weights), (name) => name.includes("attention.rope.inv_freq"));
  }
}
