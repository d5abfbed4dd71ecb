/**
 * Helium: Llama with interleaved rotary pairs.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { Linear, RMSNorm, RoPE } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, PreNormBlock, Stack } from "../blocks.ts";
import type { Config } from "../config.ts";
import { type ForwardOptions, LanguageModel, type Projection, type Weights, withoutWeights } from "../model.ts";
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
export class Model extends LanguageModel {
  readonly modelType: string = "helium";
  model: Stack<HeliumDecoderLayer>;
  lm_head?: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    const hidden = config.size("hidden_size"), norm = new RMSNorm(hidden, { eps: config.number("rms_norm_eps") });
    this.model = new Stack(config, () => new HeliumDecoderLayer(config), norm);
    if (!config.flag("tie_word_embeddings")) {
      this.lm_head = new Linear(hidden, config.size("vocab_size"), { bias: false });
    }
  }
  get layers(): readonly HeliumDecoderLayer[] {
    return this.model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    const h = this.model.forward(tokens, options);
    return this.lm_head ? this.lm_head.forward(h) : this.model.embed_tokens.asLinear(h);
  }
  override sanitize(weights: Weights): Weights {
    return withoutWeights(weights, (name) => !this.lm_head && name === "lm_head.weight");
  }
}
