/**
 * DeepSeek (the first): Llama whose MLP is, in most layers, a mixture of small experts and some that all tokens use.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Module, RMSNorm, RoPE } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, PreNormBlock, StackedModel } from "../blocks.ts";
import type { Config } from "../config.ts";
import { DEEPSEEK_DEFAULTS, DeepseekMoE, isSparseLayer } from "../latent.ts";
import type { Weights } from "../model.ts";
import { stackedExperts, topIndices } from "../moe.ts";
import { ropeConfig } from "../rope.ts";

class MoEGate extends Module {
  weight: NDArray;
  readonly chosen: number;
  constructor(c: Config) {
    super();
    this.weight = mx.zeros([c.size("n_routed_experts"), c.size("hidden_size")]);
    this.chosen = c.size("num_experts_per_tok");
  }
  /** The experts of each token, and their scores. */
  forward(x: NDArray): [indices: NDArray, scores: NDArray] {
    const scores = mx.softmax(x.matmul(this.weight.T), -1, { precise: true }),
      indices = topIndices(scores, this.chosen);
    return [indices, mx.takeAlongAxis(scores, indices, -1)];
  }
}
class DeepseekDecoderLayer extends PreNormBlock {
  self_attn: HeadAttention;
  mlp: DeepseekMoE | GatedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config, i: number) {
    super();
    const given = headSizes(c), sizes = { ...given, headDim: Math.floor(given.hidden / given.heads) };
    const { base, scaling } = ropeConfig(c, 10_000), eps = c.number("rms_norm_eps");
    // Scalings of other types are ignored, as in mlx-lm.
    const scale = scaling?.text("type", null) === "linear" ? 1 / scaling.number("factor") : 1;
    const bias = c.flag("attention_bias", false);
    this.self_attn = new HeadAttention(sizes, new RoPE(sizes.headDim, { base, scale }), { bias });
    this.mlp = isSparseLayer(c, i)
      ? new DeepseekMoE(c, new MoEGate(c))
      : new GatedMLP(sizes.hidden, c.size("intermediate_size"));
    this.input_layernorm = new RMSNorm(sizes.hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(sizes.hidden, { eps });
  }
}

/** `deepseek` (`mlx_lm.models.deepseek`). */
export class Model extends StackedModel<DeepseekDecoderLayer> {
  readonly modelType: string = "deepseek";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const c = config.withDefaults(DEEPSEEK_DEFAULTS);
    super(c, (i) => new DeepseekDecoderLayer(c, i), { tied: false });
  }
  override sanitize(weights: Weights): Weights {
    return stackedExperts(weights);
  }
}
