/**
 * dots.llm1: norms of queries and keys, and mixtures of experts as in DeepSeek V3 after the first layers.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { Module, RMSNorm } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, PreNormBlock, StackedModel } from "../blocks.ts";
import type { Config } from "../config.ts";
import { type Weights, withoutWeights } from "../model.ts";
import { CorrectedGate, stackedExperts, SwitchGLU, weighted } from "../moe.ts";
import { initializeRope, ropeConfig } from "../rope.ts";

class Attention extends HeadAttention {
  q_norm: RMSNorm;
  k_norm: RMSNorm;
  constructor(c: Config) {
    const sizes = headSizes(c), eps = c.number("rms_norm_eps");
    const maxPositions = c.size("max_position_embeddings", null);
    super(sizes, initializeRope({ ...ropeConfig(c), dims: sizes.headDim, maxPositions }));
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
class Dots1MoE extends Module {
  experts: SwitchGLU;
  gate: CorrectedGate;
  shared_experts: GatedMLP;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"), size = c.size("moe_intermediate_size");
    this.experts = new SwitchGLU(hidden, size, c.size("n_routed_experts"));
    this.gate = new CorrectedGate(c);
    this.shared_experts = new GatedMLP(hidden, size * c.size("n_shared_experts"), { bias: c.flag("mlp_bias", false) });
  }
  forward(x: NDArray): NDArray {
    const [indices, scores] = this.gate.forward(x);
    return weighted(this.experts.forward(x, indices), scores).add(this.shared_experts.forward(x));
  }
}
class Dots1DecoderLayer extends PreNormBlock {
  self_attn: Attention;
  mlp: Dots1MoE | GatedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config, i: number) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps"), bias = c.flag("mlp_bias", false);
    this.self_attn = new Attention(c);
    this.mlp = i >= c.number("first_k_dense_replace")
      ? new Dots1MoE(c)
      : new GatedMLP(hidden, c.size("intermediate_size"), { bias });
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
  }
}

/** `dots1` (`mlx_lm.models.dots1`). */
export class Model extends StackedModel<Dots1DecoderLayer> {
  readonly modelType: string = "dots1";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const c = config.withDefaults({ topk_method: "noaux_tc" });
    super(c, (i) => new Dots1DecoderLayer(c, i), { tied: c.flag("tie_word_embeddings", false) });
  }
  override sanitize(weights: Weights): Weights {
    const used = withoutWeights(super.sanitize(weights), (name) => name.includes("rotary_emb.inv_freq"));
    return new Map([...stackedExperts(used)].map(([name, x]) => [name.replace(".switch_mlp.", ".experts."), x]));
  }
}
