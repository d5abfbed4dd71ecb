/**
 * ERNIE 4.5: Llama with interleaved rotary pairs and one switch for all biases.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { Linear, RMSNorm } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, PreNormBlock, Stack } from "../blocks.ts";
import type { Config } from "../config.ts";
import { type ForwardOptions, LanguageModel, type Projection } from "../model.ts";
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
export class Model extends LanguageModel {
  readonly modelType: string = "ernie4_5";
  model: Stack<DecoderLayer>;
  lm_head?: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    const hidden = config.size("hidden_size"), norm = new RMSNorm(hidden, { eps: config.number("rms_norm_eps") });
    this.model = new Stack(config, () => new DecoderLayer(config), norm);
    if (!config.flag("tie_word_embeddings")) {
      this.lm_head = new Linear(hidden, config.size("vocab_size"), { bias: false });
    }
  }
  get layers(): readonly DecoderLayer[] {
    return this.model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    const h = this.model.forward(tokens, options);
    return this.lm_head ? this.lm_head.forward(h) : this.model.embed_tokens.asLinear(h);
  }
}
