/**
 * Granite: Llama with factors for embeddings, scores, residuals and logits.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Linear, Module, RMSNorm } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, Stack } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import { type ForwardOptions, LanguageModel, type Projection, type Weights, withoutWeights } from "../model.ts";
import { initializeRope, ropeConfig } from "../rope.ts";

class TransformerBlock extends Module {
  self_attn: HeadAttention;
  mlp: GatedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  readonly residual: number;
  constructor(c: Config) {
    super();
    const { heads, kvHeads, hidden } = headSizes(c),
      headDim = Math.floor(hidden / heads),
      eps = c.number("rms_norm_eps");
    const maxPositions = c.size("max_position_embeddings");
    this.self_attn = new HeadAttention(
      { hidden, heads, kvHeads, headDim },
      initializeRope({ ...ropeConfig(c), dims: headDim, maxPositions }),
      { bias: c.flag("attention_bias"), scale: c.number("attention_multiplier") },
    );
    this.mlp = new GatedMLP(hidden, c.size("intermediate_size"), { bias: c.flag("mlp_bias") });
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
    this.residual = c.number("residual_multiplier");
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const scaled = (y: NDArray) => y.multiply(mx.float(this.residual));
    const h = x.add(scaled(this.self_attn.forward(this.input_layernorm.forward(x), mask, cache)));
    return h.add(scaled(this.mlp.forward(this.post_attention_layernorm.forward(h))));
  }
}

/** `granite` (`mlx_lm.models.granite`). */
export class Model extends LanguageModel {
  readonly modelType: string = "granite";
  readonly logitsScaling: number;
  model: Stack<TransformerBlock>;
  lm_head?: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    const hidden = config.size("hidden_size"), norm = new RMSNorm(hidden, { eps: config.number("rms_norm_eps") });
    const scale = config.number("embedding_multiplier");
    this.model = new Stack(config, () => new TransformerBlock(config), norm, scale);
    this.logitsScaling = config.number("logits_scaling");
    if (!config.flag("tie_word_embeddings", true)) {
      this.lm_head = new Linear(hidden, config.size("vocab_size"), { bias: false });
    }
  }
  get layers(): readonly TransformerBlock[] {
    return this.model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    const h = this.model.forward(tokens, options);
    const logits = this.lm_head ? this.lm_head.forward(h) : this.model.embed_tokens.asLinear(h);
    return logits.divide(mx.float(this.logitsScaling));
  }
  override sanitize(weights: Weights): Weights {
    return withoutWeights(weights, (name) => !this.lm_head && name === "lm_head.weight");
  }
}
