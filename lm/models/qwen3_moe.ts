/**
 * Qwen 3 MoE: Qwen 3 whose MLP is, in some or all layers, a mixture of experts.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Linear, Module, RMSNorm, RoPE } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, PreNormBlock, StackedModel } from "../blocks.ts";
import type { Config } from "../config.ts";
import type { Projection, Weights } from "../model.ts";
import { stackedExperts, SwitchGLU, topIndices, weighted } from "../moe.ts";
import { ropeConfig } from "../rope.ts";

class Attention extends HeadAttention {
  q_norm: RMSNorm;
  k_norm: RMSNorm;
  constructor(c: Config) {
    const sizes = headSizes(c), eps = c.number("rms_norm_eps");
    super(sizes, new RoPE(sizes.headDim, { base: ropeConfig(c).base }));
    this.q_norm = new RMSNorm(sizes.headDim, { eps });
    this.k_norm = new RMSNorm(sizes.headDim, { eps });
  }
  override queries(x: NDArray): NDArray {
    return this.q_norm.forward(super.queries(x));
  }
  override keys(x: NDArray): NDArray {
    return this.k_norm.forward(super.keys(x));
  }
}
class Qwen3MoeSparseMoeBlock extends Module {
  readonly chosen: number;
  readonly normalizes: boolean;
  gate: Projection;
  switch_mlp: SwitchGLU;
  constructor(c: Config) {
    super();
    const dim = c.size("hidden_size"), experts = c.size("num_experts");
    this.chosen = c.size("num_experts_per_tok");
    this.normalizes = c.flag("norm_topk_prob");
    this.gate = new Linear(dim, experts, { bias: false });
    this.switch_mlp = new SwitchGLU(dim, c.size("moe_intermediate_size"), experts);
  }
  forward(x: NDArray): NDArray {
    const gates = mx.softmax(this.gate.forward(x), -1, { precise: true }), indices = topIndices(gates, this.chosen);
    const scores = mx.takeAlongAxis(gates, indices, -1), y = this.switch_mlp.forward(x, indices);
    return weighted(y, this.normalizes ? scores.divide(scores.sum(-1, { keepdims: true })) : scores);
  }
}
class Qwen3MoeDecoderLayer extends PreNormBlock {
  self_attn: Attention;
  mlp: Qwen3MoeSparseMoeBlock | GatedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config, i: number) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps");
    const isSparse = !c.numbers("mlp_only_layers").includes(i) && (i + 1) % c.size("decoder_sparse_step") === 0;
    this.self_attn = new Attention(c);
    this.mlp = isSparse ? new Qwen3MoeSparseMoeBlock(c) : new GatedMLP(hidden, c.size("intermediate_size"));
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
  }
}

/** `qwen3_moe` (`mlx_lm.models.qwen3_moe`). */
export class Model extends StackedModel<Qwen3MoeDecoderLayer> {
  readonly modelType: string = "qwen3_moe";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config, (i) => new Qwen3MoeDecoderLayer(config, i), { tied: config.flag("tie_word_embeddings") });
  }
  override sanitize(weights: Weights): Weights {
    return stackedExperts(super.sanitize(weights));
  }
}
