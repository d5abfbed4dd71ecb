/**
 * Seed-OSS: Llama with a bias of its own for the last projection of attention.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { Linear, RMSNorm } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, PreNormBlock, Stack } from "../blocks.ts";
import type { Config } from "../config.ts";
import { type ForwardOptions, LanguageModel, type Projection, type Weights, withoutWeights } from "../model.ts";
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
export class Model extends LanguageModel {
  readonly modelType: string = "seed_oss";
  model: Stack<TransformerBlock>;
  lm_head?: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    const hidden = config.size("hidden_size"), norm = new RMSNorm(hidden, { eps: config.number("rms_norm_eps") });
    this.model = new Stack(config, () => new TransformerBlock(config), norm);
    if (!config.flag("tie_word_embeddings", true)) {
      this.lm_head = new Linear(hidden, config.size("vocab_size"), { bias: false });
    }
  }
  get layers(): readonly TransformerBlock[] {
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
