/**
 * GLM 4.5: positions in a part of each head, optional norms of queries and keys, and mixtures of experts as in DeepSeek V3.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { RMSNorm, RoPE } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, PreNormBlock, StackedModel } from "../blocks.ts";
import type { Config } from "../config.ts";
import { DeepseekMoE } from "../latent.ts";
import { type Weights, withoutWeights } from "../model.ts";
import { CorrectedGate, stackedExperts } from "../moe.ts";
import { ropeConfig } from "../rope.ts";

class Attention extends HeadAttention {
  q_norm?: RMSNorm;
  k_norm?: RMSNorm;
  constructor(c: Config) {
    const sizes = headSizes(c), eps = c.number("rms_norm_eps");
    const rope = new RoPE(Math.trunc(sizes.headDim * c.number("partial_rotary_factor")), { base: ropeConfig(c).base });
    super(sizes, rope, { bias: c.flag("attention_bias"), outBias: false });
    if (!c.flag("use_qk_norm")) return;
    this.q_norm = new RMSNorm(sizes.headDim, { eps });
    this.k_norm = new RMSNorm(sizes.headDim, { eps });
  }
  override queries(x: NDArray): NDArray {
    return this.q_norm?.forward(super.queries(x)) ?? super.queries(x);
  }
  override keys(x: NDArray): NDArray {
    return this.k_norm?.forward(super.keys(x)) ?? super.keys(x);
  }
}
class DecoderLayer extends PreNormBlock {
  self_attn: Attention;
  mlp: DeepseekMoE | GatedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config, i: number) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps");
    this.self_attn = new Attention(c);
    this.mlp = i >= c.number("first_k_dense_replace")
      ? new DeepseekMoE(c, new CorrectedGate(c))
      : new GatedMLP(hidden, c.size("intermediate_size"));
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
  }
}

/** `glm4_moe` (`mlx_lm.models.glm4_moe`). */
export class Model extends StackedModel<DecoderLayer> {
  readonly modelType: string = "glm4_moe";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config, (i) => new DecoderLayer(config, i), { tied: false });
  }
  /** The layer after the last one predicts further tokens, and is not used. */
  override sanitize(weights: Weights): Weights {
    const unused = `model.layers.${this.layers.length}`;
    return stackedExperts(withoutWeights(weights, (name) => name.startsWith(unused)));
  }
}
