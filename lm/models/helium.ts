/**
 * Helium: Llama with interleaved rotary pairs.
 * @module
 */
import { RMSNorm, RoPE } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, PreNormBlock, StackedModel } from "../blocks.ts";
import type { Config } from "../config.ts";
import { ropeConfig } from "../rope.ts";

class HeliumDecoderLayer extends PreNormBlock {
  self_attn: HeadAttention;
  mlp: GatedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config) {
    super();
    const given = headSizes(c), sizes = { ...given, headDim: Math.floor(given.hidden / given.heads) };
    const eps = c.number("rms_norm_eps");
    const rope = new RoPE(sizes.headDim, { traditional: true, base: ropeConfig(c).base });
    this.self_attn = new HeadAttention(sizes, rope, { bias: c.flag("attention_bias"), outBias: false });
    this.mlp = new GatedMLP(sizes.hidden, c.size("intermediate_size"), { bias: c.flag("mlp_bias") });
    this.input_layernorm = new RMSNorm(sizes.hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(sizes.hidden, { eps });
  }
}

/** `helium` (`mlx_lm.models.helium`). */
export class Model extends StackedModel<HeliumDecoderLayer> {
  readonly modelType: string = "helium";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config, () => new HeliumDecoderLayer(config), { tied: config.flag("tie_word_embeddings") });
  }
}
