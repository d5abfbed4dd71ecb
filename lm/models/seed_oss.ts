/**
 * Seed-OSS: Llama with a bias of its own for the last projection of attention.
 * @module
 */
import { RMSNorm } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, PreNormBlock, StackedModel } from "../blocks.ts";
import type { Config } from "../config.ts";
import { initializeRope, ropeConfig } from "../rope.ts";

class TransformerBlock extends PreNormBlock {
  self_attn: HeadAttention;
  mlp: GatedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config) {
    super();
    const sizes = headSizes(c);
    const eps = c.number("rms_norm_eps");
    const rope = initializeRope({
      ...ropeConfig(c, 10_000),
      dims: sizes.headDim,
      traditional: c.flag("rope_traditional", false),
      maxPositions: c.size("max_position_embeddings", null),
    });
    const bias = c.flag("attention_bias", false), outBias = c.flag("attention_out_bias", false);
    this.self_attn = new HeadAttention(sizes, rope, { bias, outBias });
    this.mlp = new GatedMLP(sizes.hidden, c.size("intermediate_size"), { bias: c.flag("mlp_bias", false) });
    this.input_layernorm = new RMSNorm(sizes.hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(sizes.hidden, { eps });
  }
}

/** `seed_oss` (`mlx_lm.models.seed_oss`). */
export class Model extends StackedModel<TransformerBlock> {
  readonly modelType: string = "seed_oss";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config, () => new TransformerBlock(config), { tied: config.flag("tie_word_embeddings", true) });
  }
}
