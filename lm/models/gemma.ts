/**
 * Gemma: Llama with scaled embeddings, norms around `1 + w`, and GELU in the gate.
 * @module
 */
import { gelu, RoPE } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, PreNormBlock, StackedModel } from "../blocks.ts";
import type { Config } from "../config.ts";
import { OffsetRMSNorm } from "../norms.ts";
import { ropeConfig } from "../rope.ts";

class TransformerBlock extends PreNormBlock {
  self_attn: HeadAttention;
  mlp: GatedMLP;
  input_layernorm: OffsetRMSNorm;
  post_attention_layernorm: OffsetRMSNorm;
  constructor(c: Config) {
    super();
    const sizes = { ...headSizes(c), headDim: c.size("head_dim") }, eps = c.number("rms_norm_eps");
    const { base } = ropeConfig(c, 10_000), traditional = c.flag("rope_traditional", false);
    this.self_attn = new HeadAttention(sizes, new RoPE(sizes.headDim, { base, traditional }));
    this.mlp = new GatedMLP(sizes.hidden, c.size("intermediate_size"), { activation: gelu });
    this.input_layernorm = new OffsetRMSNorm(sizes.hidden, eps);
    this.post_attention_layernorm = new OffsetRMSNorm(sizes.hidden, eps);
  }
}

/** `gemma` (`mlx_lm.models.gemma`). */
export class Model extends StackedModel<TransformerBlock> {
  readonly modelType: string = "gemma";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const hidden = config.size("hidden_size"), norm = new OffsetRMSNorm(hidden, config.number("rms_norm_eps"));
    super(config, () => new TransformerBlock(config), { norm, embeddingScale: Math.sqrt(hidden), tied: true });
  }
}
