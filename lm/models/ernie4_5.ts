/**
 * ERNIE 4.5: Llama with interleaved rotary pairs and one switch for all biases.
 * @module
 */
import { RMSNorm } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, PreNormBlock, StackedModel } from "../blocks.ts";
import type { Config } from "../config.ts";
import { initializeRope, ropeConfig } from "../rope.ts";

class DecoderLayer extends PreNormBlock {
  self_attn: HeadAttention;
  mlp: GatedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config) {
    super();
    const sizes = headSizes(c);
    const eps = c.number("rms_norm_eps");
    const { base } = ropeConfig(c), bias = c.flag("use_bias");
    const rope = initializeRope({ dims: sizes.headDim, base, traditional: true });
    this.self_attn = new HeadAttention(sizes, rope, { bias });
    this.mlp = new GatedMLP(sizes.hidden, c.size("intermediate_size"), { bias });
    this.input_layernorm = new RMSNorm(sizes.hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(sizes.hidden, { eps });
  }
}

/** `ernie4_5` (`mlx_lm.models.ernie4_5`). */
export class Model extends StackedModel<DecoderLayer> {
  readonly modelType: string = "ernie4_5";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config, () => new DecoderLayer(config), { tied: config.flag("tie_word_embeddings") });
  }
}
