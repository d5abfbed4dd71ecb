/**
 * ERNIE 4.5 MoE: ERNIE 4.5 whose MLP is, in a range of layers, a mixture of experts and some that all tokens use.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Linear, Module, RMSNorm, RoPE } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, PreNormBlock, StackedModel } from "../blocks.ts";
import type { Config } from "../config.ts";
import { type Projection, type Weights, withoutWeights } from "../model.ts";
import { stackedExperts, SwitchGLU, topIndices, weighted } from "../moe.ts";
import { ropeConfig } from "../rope.ts";

class MoeMLP extends Module {
  readonly chosen: number;
  readonly activation: string;
  gate: Projection;
  switch_mlp: SwitchGLU;
  shared_experts?: GatedMLP;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"), experts = c.size("moe_num_experts"), bias = c.flag("use_bias");
    const size = c.number("moe_intermediate_size", 0) || c.size<never>("intermediate_size");
    const shared = c.number("moe_num_shared_experts", 0);
    this.activation = c.text("moe_gate_act", "softmax");
    if (!["softmax", "sigmoid"].includes(this.activation)) c.refuse("moe_gate_act", "softmax or sigmoid");
    this.chosen = c.size("moe_k", 1);
    this.gate = new Linear(hidden, experts, { bias: false });
    this.switch_mlp = new SwitchGLU(hidden, size, experts, { bias });
    if (shared > 0) this.shared_experts = new GatedMLP(hidden, size * shared, { bias });
  }
  forward(x: NDArray): NDArray {
    const gates = this.gate.forward(x).astype(mx.float32);
    const all = this.activation === "softmax" ? mx.softmax(gates, -1) : gates.sigmoid();
    const indices = topIndices(all, this.chosen), scores = mx.takeAlongAxis(all, indices, -1);
    const shares = scores.divide(mx.maximum(scores.sum(-1, { keepdims: true }), 1e-12));
    const y = weighted(this.switch_mlp.forward(x, indices), shares);
    return this.shared_experts ? y.add(this.shared_experts.forward(x)) : y;
  }
}
/** Layers are sparse from a first to a last one, every `moe_layer_interval`-th. A list is one entry per kind of input. */
function isSparse(c: Config, i: number): boolean {
  const bound = (name: string, otherwise: number, of: (...x: number[]) => number): number =>
    Array.isArray(c.json[name]) ? of(...c.numbers(name)) : c.number(name, otherwise);
  const first = bound("moe_layer_start_index", 0, Math.min);
  const last = bound("moe_layer_end_index", c.size("num_hidden_layers") - 1, Math.max);
  return (i + 1) % c.size("moe_layer_interval", 1) === 0 && i >= first && i <= last;
}
class DecoderLayer extends PreNormBlock {
  self_attn: HeadAttention;
  mlp: MoeMLP | GatedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config, i: number) {
    super();
    const sizes = headSizes(c), eps = c.number("rms_norm_eps"), bias = c.flag("use_bias");
    const rope = new RoPE(sizes.headDim, { traditional: true, base: ropeConfig(c).base });
    this.self_attn = new HeadAttention(sizes, rope, { bias });
    this.mlp = isSparse(c, i) ? new MoeMLP(c) : new GatedMLP(sizes.hidden, c.size("intermediate_size"), { bias });
    this.input_layernorm = new RMSNorm(sizes.hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(sizes.hidden, { eps });
  }
}

const UNUSED = ["mtp_block.", "mtp_linear_proj.", "mtp_hidden_norm.", "mtp_emb_norm.", "e_score_correction_bias"];
/** `ernie4_5_moe` (`mlx_lm.models.ernie4_5_moe`). */
export class Model extends StackedModel<DecoderLayer> {
  readonly modelType: string = "ernie4_5_moe";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config, (i) => new DecoderLayer(config, i), { tied: config.flag("tie_word_embeddings") });
  }
  /** What predicts further tokens, and corrections of the choice, are not used, as in mlx-lm. */
  override sanitize(weights: Weights): Weights {
    const isUnused = (name: string) => UNUSED.some((part) => name.includes(part));
    return stackedExperts(withoutWeights(super.sanitize(weights), isUnused));
  }
}
