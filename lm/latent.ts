/**
 * What the models of DeepSeek share: attention through a small shared vector (multi-head latent attention), linear
 * layers with one matrix per head, and layers of which the first are dense and the others mixtures of experts.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { Linear, Module, type QuantizeOptions, RMSNorm } from "../nn/mod.ts";
import { quantizationOf } from "../nn/quantized.ts";
import { byHeads, GatedMLP, PreNormBlock } from "./blocks.ts";
import type { Cache } from "./cache.ts";
import type { Config } from "./config.ts";
import type { Mask } from "./mask.ts";
import type { Projection } from "./model.ts";
import { type ExpertGate, SwitchGLU, weighted } from "./moe.ts";
import { initializeRope, type Rope, ropeConfig } from "./rope.ts";

/** Sizes of the attention. */
export interface LatentSizes {
  readonly hidden: number;
  readonly heads: number;
  /** Features of the shared vector. */
  readonly rank: number;
  /** Features between hidden and queries; null: none. */
  readonly queryRank: number | null;
  /** Features of a head with positions. */
  readonly ropeDim: number;
  /** Features of a head without. */
  readonly nopeDim: number;
  /** Features of a head's values. */
  readonly valueDim: number;
}
/** What an absent field of the config means. */
export const DEEPSEEK_DEFAULTS = {
  vocab_size: 102400,
  hidden_size: 4096,
  intermediate_size: 11008,
  moe_intermediate_size: 1407,
  num_hidden_layers: 30,
  num_attention_heads: 32,
  rms_norm_eps: 1e-6,
  num_experts_per_tok: 1,
} as const;
/** The sizes in a config. A `q_lora_rank` of null means that there is none. */
function latentSizes(c: Config): LatentSizes {
  return {
    hidden: c.size("hidden_size"),
    heads: c.size("num_attention_heads"),
    rank: c.size("kv_lora_rank", 512),
    queryRank: c.json.q_lora_rank === null ? null : c.size("q_lora_rank", 1536),
    ropeDim: c.size("qk_rope_head_dim", 64),
    nopeDim: c.size("qk_nope_head_dim", 128),
    valueDim: c.size("v_head_dim", 128),
  };
}
/** Factor of the scores; YaRN makes it larger. */
function latentScale(c: Config, { nopeDim, ropeDim }: LatentSizes): number {
  const scaling = c.object("rope_scaling", null), scale = (nopeDim + ropeDim) ** -0.5;
  const all = scaling?.number("mscale_all_dim", 0) ?? 0, factor = scaling && all ? scaling.number("factor") : 1;
  return factor > 1 ? scale * (0.1 * all * Math.log(factor) + 1) ** 2 : scale;
}
/** Positions of the features that have them. */
function latentRope(c: Config, { ropeDim }: LatentSizes): Rope {
  const maxPositions = c.size("max_position_embeddings", 2048);
  return initializeRope({ ...ropeConfig(c, 10_000), dims: ropeDim, traditional: true, maxPositions });
}

/** Queries, the shared vector and positions; a subclass makes keys and values of the shared vector, and attends. */
export abstract class LatentAttention extends Module {
  readonly sizes: LatentSizes;
  readonly scale: number;
  /** Makes queries, where no layer stands between. */
  q_proj?: Projection;
  q_a_proj?: Projection;
  q_a_layernorm?: RMSNorm;
  q_b_proj?: Projection;
  kv_a_proj_with_mqa: Projection;
  kv_a_layernorm: RMSNorm;
  o_proj: Projection;
  readonly rope: Rope;
  constructor(c: Config) {
    super();
    const s = this.sizes = latentSizes(c), bias = c.flag("attention_bias", false);
    const size = s.heads * (s.nopeDim + s.ropeDim);
    if (s.queryRank === null) this.q_proj = new Linear(s.hidden, size, { bias: false });
    else {
      this.q_a_proj = new Linear(s.hidden, s.queryRank, { bias });
      this.q_a_layernorm = new RMSNorm(s.queryRank, { eps: 1e-6 });
      this.q_b_proj = new Linear(s.queryRank, size, { bias: false });
    }
    this.kv_a_proj_with_mqa = new Linear(s.hidden, s.rank + s.ropeDim, { bias });
    this.kv_a_layernorm = new RMSNorm(s.rank, { eps: 1e-6 });
    this.o_proj = new Linear(s.heads * s.valueDim, s.hidden, { bias });
    this.scale = latentScale(c, s);
    this.rope = latentRope(c, s);
  }
  /**
   * Of x [B, L, hidden]: queries without and with positions [B, heads, L, .], the shared vector [B, L, rank] after its
   * norm, and the keys with positions [B, 1, L, .].
   */
  project(x: NDArray, offset: number | NDArray): [qNope: NDArray, qRope: NDArray, latent: NDArray, kRope: NDArray] {
    const { q_a_proj: a, q_a_layernorm: norm, q_b_proj: b, sizes: { heads, nopeDim, rank } } = this;
    const queries = a && norm && b ? b.forward(norm.forward(a.forward(x))) : this.q_proj!.forward(x);
    const [qNope, qRope] = mx.split(byHeads(queries, heads), [nopeDim], -1);
    const [latent, kRope] = mx.split(this.kv_a_proj_with_mqa.forward(x), [rank], -1);
    const turned = (y: NDArray) => this.rope.forward(y, { offset });
    return [qNope!, turned(qRope!), this.kv_a_layernorm.forward(latent!), turned(byHeads(kRope!, 1))];
  }
}
/** The experts that a gate chooses, and those that every token uses. */
export class DeepseekMoE extends Module {
  switch_mlp: SwitchGLU;
  gate: ExpertGate;
  shared_experts?: GatedMLP;
  constructor(c: Config, gate: ExpertGate) {
    super();
    const hidden = c.size("hidden_size"),
      size = c.size("moe_intermediate_size"),
      shared = c.size("n_shared_experts", null);
    this.switch_mlp = new SwitchGLU(hidden, size, c.size("n_routed_experts"));
    this.gate = gate;
    if (shared !== null) this.shared_experts = new GatedMLP(hidden, size * shared);
  }
  forward(x: NDArray): NDArray {
    const [indices, scores] = this.gate.forward(x), y = weighted(this.switch_mlp.forward(x, indices), scores);
    return this.shared_experts ? y.add(this.shared_experts.forward(x)) : y;
  }
}
/** Whether layer number `i` has experts. */
export function isSparseLayer(c: Config, i: number): boolean {
  return c.size("n_routed_experts", null) !== null && i >= c.number("first_k_dense_replace", 0) &&
    i % c.size("moe_layer_freq", 1) === 0;
}
/** Layer number `i`: attention, and a mixture of experts or a dense MLP. */
export class DeepseekBlock extends PreNormBlock {
  self_attn: LatentAttention & { forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray };
  mlp: DeepseekMoE | GatedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config, i: number, attention: DeepseekBlock["self_attn"], gate: (c: Config) => ExpertGate) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps");
    this.self_attn = attention;
    this.mlp = isSparseLayer(c, i) ? new DeepseekMoE(c, gate(c)) : new GatedMLP(hidden, c.size("intermediate_size"));
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
  }
}

/** A linear layer with one matrix per head, of any kind. */
export type HeadsProjection = Module & { forward(x: NDArray, options?: { readonly transpose?: boolean }): NDArray };
/**
 * `x_h W_hᵀ`, or `x_h W_h`, for the heads h of x [B, heads, L, inputs] (`MultiLinear` of mlx-lm), W [heads, outputs,
 * inputs].
 */
export class MultiLinear extends Module {
  weight: NDArray;
  constructor(inputs: number, outputs: number, heads: number) {
    super();
    const scale = Math.sqrt(1 / inputs);
    this.weight = mx.random.uniform([heads, outputs, inputs], { low: -scale, high: scale });
  }
  forward(x: NDArray, { transpose = true }: { readonly transpose?: boolean } = {}): NDArray {
    return x.matmul(transpose ? this.weight.swapaxes(-1, -2) : this.weight);
  }
  /** The same layer with quantized weights. */
  toQuantized(options: QuantizeOptions = {}): QuantizedMultiLinear {
    return new QuantizedMultiLinear(this, options);
  }
}
/** {@linkcode MultiLinear} with quantized weights; frozen. */
export class QuantizedMultiLinear extends Module {
  weight: NDArray;
  scales: NDArray;
  biases?: NDArray;
  readonly groupSize: number;
  readonly bits: number;
  readonly mode: mx.QuantizationMode;
  constructor(layer: MultiLinear, options: QuantizeOptions) {
    super();
    const { groupSize, bits, mode } = quantizationOf(options);
    [this.groupSize, this.bits, this.mode] = [groupSize, bits, mode];
    const [weight, scales, biases] = mx.quantize(layer.weight, { groupSize, bits, mode });
    [this.weight, this.scales] = [weight!, scales!];
    if (biases) this.biases = biases;
    this.freeze();
  }
  forward(x: NDArray, { transpose = true }: { readonly transpose?: boolean } = {}): NDArray {
    const { groupSize, bits, mode, biases = null } = this;
    return mx.quantizedMatmul(x, this.weight, this.scales, { biases, transpose, groupSize, bits, mode });
  }
}
