/**
 * GLM: Llama with interleaved rotary pairs, and one projection for the gate and what it gates.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { Linear, RMSNorm, RoPE } from "../../nn/mod.ts";
import { FusedMLP, HeadAttention, headSizes, PreNormBlock, Stack } from "../blocks.ts";
import type { Config } from "../config.ts";
import { type ForwardOptions, LanguageModel, type Projection, type Weights, withoutWeights } from "../model.ts";
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
export class Model extends LanguageModel {
  readonly modelType: string = "glm";
  model: Stack<GLMBlock>;
  lm_head?: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    const hidden = config.size("hidden_size"), norm = new RMSNorm(hidden, { eps: config.number("rms_norm_eps") });
    this.model = new Stack(config, () => new GLMBlock(config), norm);
    if (!config.flag("tie_word_embeddings", true)) {
      this.lm_head = new Linear(hidden, config.size("vocab_size"), { bias: false });
    }
  }
  get layers(): readonly GLMBlock[] {
    return this.model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    const h = this.model.forward(tokens, options);
    return this.lm_head ? this.lm_head.forward(h) : this.model.embed_tokens.asLinear(h);
  }
  override sanitize(weights: Weights): Weights {
    return withoutWeights(
      weights,
      (name) => name.includes("self_attn.rotary_emb.inv_freq") || (!this.lm_head && name === "lm_head.weight"),
    );
  }
}
