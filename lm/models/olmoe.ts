/**
 * OLMoE: a mixture of experts behind norms of all queries and keys together.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Linear, Module, RMSNorm } from "../../nn/mod.ts";
import { byHeads, HeadAttention, headSizes, PreNormBlock, StackedModel } from "../blocks.ts";
import type { Config } from "../config.ts";
import type { Projection, Weights } from "../model.ts";
import { stackedExperts, SwitchGLU, topIndices, weighted } from "../moe.ts";
import { initializeRope, ropeConfig } from "../rope.ts";

class Attention extends HeadAttention {
  q_norm: RMSNorm;
  k_norm: RMSNorm;
  constructor(c: Config) {
    const sizes = headSizes(c), eps = c.number("rms_norm_eps");
    const rope = initializeRope({
      ...ropeConfig(c, 10_000),
      dims: sizes.headDim,
      traditional: c.flag("rope_traditional", false),
      maxPositions: c.size("max_position_embeddings", null),
    });
    super(sizes, rope, { bias: c.flag("attention_bias", false) });
    this.q_norm = new RMSNorm(sizes.heads * sizes.headDim, { eps });
    this.k_norm = new RMSNorm(sizes.kvHeads * sizes.headDim, { eps });
  }
  override queries(x: NDArray): NDArray {
    return byHeads(this.q_norm.forward(this.q_proj.forward(x)), this.heads);
  }
  override keys(x: NDArray): NDArray {
    return byHeads(this.k_norm.forward(this.k_proj.forward(x)), this.kvHeads);
  }
}
class OlmoeSparseMoeBlock extends Module {
  readonly chosen: number;
  readonly normalizes: boolean;
  gate: Projection;
  switch_mlp: SwitchGLU;
  constructor(c: Config) {
    super();
    const dim = c.size("hidden_size"), experts = c.size("num_experts"), bias = c.flag("mlp_bias", false);
    this.chosen = c.size("num_experts_per_tok");
    this.normalizes = c.flag("norm_topk_prob", false);
    this.gate = new Linear(dim, experts, { bias: false });
    this.switch_mlp = new SwitchGLU(dim, c.size("intermediate_size"), experts, { bias });
  }
  forward(x: NDArray): NDArray {
    const gates = mx.softmax(this.gate.forward(x), -1, { precise: true }), indices = topIndices(gates, this.chosen);
    const scores = mx.takeAlongAxis(gates, indices, -1), y = this.switch_mlp.forward(x, indices);
    return weighted(y, this.normalizes ? scores.divide(scores.sum(-1, { keepdims: true })) : scores);
  }
}
class TransformerBlock extends PreNormBlock {
  self_attn: Attention;
  mlp: OlmoeSparseMoeBlock;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps");
    this.self_attn = new Attention(c);
    this.mlp = new OlmoeSparseMoeBlock(c);
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
  }
}

/** `olmoe` (`mlx_lm.models.olmoe`). */
export class Model extends StackedModel<TransformerBlock> {
  readonly modelType: string = "olmoe";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config, () => new TransformerBlock(config), { tied: config.flag("tie_word_embeddings", true) });
  }
  override sanitize(weights: Weights): Weights {
    return stackedExperts(super.sanitize(weights));
  }
}
