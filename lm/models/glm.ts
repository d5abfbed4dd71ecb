/**
 * GLM: Llama with interleaved rotary pairs, and one projection for the gate and what it gates.
 * @module
 */
import { RMSNorm, RoPE } from "../../nn/mod.ts";
import { FusedMLP, HeadAttention, headSizes, PreNormBlock, StackedModel } from "../blocks.ts";
import type { Config } from "../config.ts";
import { type Weights, withoutWeights } from "../model.ts";
import { ropeConfig } from "../rope.ts";

class GLMBlock extends PreNormBlock {
  self_attn: HeadAttention;
  mlp: FusedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config) {
    super();
    const sizes = headSizes(c);
    const eps = c.number("rms_norm_eps");
    const rope = new RoPE(sizes.headDim, { traditional: true, base: ropeConfig(c, 10_000).base });
    this.self_attn = new HeadAttention(sizes, rope, { bias: c.flag("attention_bias", false), outBias: false });
    this.mlp = new FusedMLP(sizes.hidden, c.size("intermediate_size"));
    this.input_layernorm = new RMSNorm(sizes.hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(sizes.hidden, { eps });
  }
}

/** `glm` (`mlx_lm.models.glm`). */
export class Model extends StackedModel<GLMBlock> {
  readonly modelType: string = "glm";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config, () => new GLMBlock(config), { tied: config.flag("tie_word_embeddings", true) });
  }
  override sanitize(weights: Weights): Weights {
    return super.sanitize(withoutWeights(weights, (name) => name.includes("self_attn.rotary_emb.inv_freq")));
  }
}
