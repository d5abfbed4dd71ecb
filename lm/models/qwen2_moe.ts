/**
 * Qwen 2 MoE: Qwen 2 whose MLP is a mixture of experts and one that all tokens use. `norm_topk_prob` is ignored, as in
 * mlx-lm.
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

class Qwen2MoeSparseMoeBlock extends Module {
  readonly chosen: number;
  gate: Projection;
  switch_mlp: SwitchGLU;
  shared_expert: GatedMLP;
  shared_expert_gate: Projection;
  constructor(c: Config) {
    super();
    const dim = c.size("hidden_size"), experts = c.size("num_experts"), bias = false;
    this.chosen = c.size("num_experts_per_tok");
    this.gate = new Linear(dim, experts, { bias });
    this.switch_mlp = new SwitchGLU(dim, c.size("moe_intermediate_size"), experts);
    this.shared_expert = new GatedMLP(dim, c.size("shared_expert_intermediate_size"));
    this.shared_expert_gate = new Linear(dim, 1, { bias });
  }
  forward(x: NDArray): NDArray {
    const gates = mx.softmax(this.gate.forward(x), -1, { precise: true }), indices = topIndices(gates, this.chosen);
    const y = weighted(this.switch_mlp.forward(x, indices), mx.takeAlongAxis(gates, indices, -1));
    return y.add(this.shared_expert_gate.forward(x).sigmoid().multiply(this.shared_expert.forward(x)));
  }
}
class Qwen2MoeDecoderLayer extends PreNormBlock {
  self_attn: HeadAttention;
  mlp: Qwen2MoeSparseMoeBlock;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config) {
    super();
    const { hidden, heads, kvHeads } = headSizes(c),
      headDim = Math.floor(hidden / heads),
      eps = c.number("rms_norm_eps");
    const rope = new RoPE(headDim, {
      base: ropeConfig(c, 1_000_000).base,
      traditional: c.flag("rope_traditional", false),
    });
    this.self_attn = new HeadAttention({ hidden, heads, kvHeads, headDim }, rope, { bias: true, outBias: false });
    this.mlp = new Qwen2MoeSparseMoeBlock(c);
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
  }
}

/** `qwen2_moe` (`mlx_lm.models.qwen2_moe`). */
export class Model extends StackedModel<Qwen2MoeDecoderLayer> {
  readonly modelType: string = "qwen2_moe";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config, () => new Qwen2MoeDecoderLayer(config), { tied: false });
  }
  override sanitize(weights: Weights): Weights {
    return stackedExperts(weights);
  }
}
