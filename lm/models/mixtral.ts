/**
 * Mixtral: Llama whose MLP is a mixture of experts; the scores of the chosen ones are normalised among themselves.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Linear, Module, RMSNorm, RoPE } from "../../nn/mod.ts";
import { HeadAttention, headSizes, StackedModel } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import type { Projection, Weights } from "../model.ts";
import { stackedExperts, SwitchGLU, topIndices, weighted } from "../moe.ts";
import { ropeConfig } from "../rope.ts";

class MixtralSparseMoeBlock extends Module {
  readonly chosen: number;
  gate: Projection;
  switch_mlp: SwitchGLU;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"), experts = c.size("num_local_experts", 8);
    this.chosen = c.size("num_experts_per_tok", 2);
    this.gate = new Linear(hidden, experts, { bias: false });
    this.switch_mlp = new SwitchGLU(hidden, c.size("intermediate_size"), experts);
  }
  forward(x: NDArray): NDArray {
    const gates = this.gate.forward(x), indices = topIndices(gates, this.chosen);
    const scores = mx.softmax(mx.takeAlongAxis(gates, indices, -1), -1, { precise: true });
    return weighted(this.switch_mlp.forward(x, indices), scores);
  }
}
class MixtralDecoderLayer extends Module {
  self_attn: HeadAttention;
  block_sparse_moe: MixtralSparseMoeBlock;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config) {
    super();
    const { hidden, heads, kvHeads } = headSizes(c),
      headDim = Math.floor(hidden / heads),
      eps = c.number("rms_norm_eps");
    const traditional = c.flag("rope_traditional", false), { base } = ropeConfig(c, 1_000_000);
    this.self_attn = new HeadAttention({ hidden, heads, kvHeads, headDim }, new RoPE(headDim, { traditional, base }));
    this.block_sparse_moe = new MixtralSparseMoeBlock(c);
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const h = x.add(this.self_attn.forward(this.input_layernorm.forward(x), mask, cache));
    return h.add(this.block_sparse_moe.forward(this.post_attention_layernorm.forward(h)));
  }
}

const DEFAULTS = {
  vocab_size: 32000,
  hidden_size: 4096,
  intermediate_size: 14336,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
};
/** `mixtral` (`mlx_lm.models.mixtral`). */
export class Model extends StackedModel<MixtralDecoderLayer> {
  readonly modelType: string = "mixtral";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const c = config.withDefaults(DEFAULTS);
    super(c, () => new MixtralDecoderLayer(c), { tied: c.flag("tie_word_embeddings", false) });
  }
  override sanitize(weights: Weights): Weights {
    return stackedExperts(super.sanitize(weights), { w1: "gate_proj", w2: "down_proj", w3: "up_proj" });
  }
}
