/**
 * Gemma: Llama with scaled embeddings, norms around `1 + w`, and GELU in the gate.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { gelu, RoPE } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, PreNormBlock, Stack } from "../blocks.ts";
import type { Config } from "../config.ts";
import { type ForwardOptions, LanguageModel } from "../model.ts";
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
export class Model extends LanguageModel {
  readonly modelType: string = "gemma";
  model: Stack<TransformerBlock>;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    const hidden = config.size("hidden_size"), norm = new OffsetRMSNorm(hidden, config.number("rms_norm_eps"));
    this.model = new Stack(config, () => new TransformerBlock(config), norm, Math.sqrt(hidden));
  }
  get layers(): readonly TransformerBlock[] {
    return this.model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    return this.model.embed_tokens.asLinear(this.model.forward(tokens, options));
  }
}
