/**
 * DeepSeek V2: attention whose keys and values come from a small shared vector, with positions in features of their own; and
 * mixtures of experts that are chosen by groups.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Linear, Module, RMSNorm } from "../../nn/mod.ts";
import { fetched, scaledDotProductAttention } from "../attention.ts";
import { byHeads, GatedMLP, joined, PreNormBlock, Stack } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import { DEEPSEEK_DEFAULTS, latentQueries, latentRope, latentScale, type LatentSizes, latentSizes } from "../latent.ts";
import type { Mask } from "../mask.ts";
import { type ForwardOptions, LanguageModel, type Projection, type Weights } from "../model.ts";
import { stackedExperts, SwitchGLU, topIndices, weighted, withoutWorstGroups } from "../moe.ts";
import type { Rope } from "../rope.ts";

class DeepseekV2Attention extends Module {
  readonly sizes: LatentSizes;
  readonly scale: number;
  q_proj?: Projection;
  q_a_proj?: Projection;
  q_a_layernorm?: RMSNorm;
  q_b_proj?: Projection;
  kv_a_proj_with_mqa: Projection;
  kv_a_layernorm: RMSNorm;
  kv_b_proj: Projection;
  o_proj: Projection;
  readonly rope: Rope;
  constructor(c: Config) {
    super();
    const s = this.sizes = latentSizes(c), bias = c.flag("attention_bias", false);
    Object.assign(this, latentQueries(s, bias));
    this.kv_a_proj_with_mqa = new Linear(s.hidden, s.rank + s.ropeDim, { bias });
    this.kv_a_layernorm = new RMSNorm(s.rank, { eps: 1e-6 });
    this.kv_b_proj = new Linear(s.rank, s.heads * (s.nopeDim + s.valueDim), { bias: false });
    this.o_proj = new Linear(s.heads * s.valueDim, s.hidden, { bias });
    this.scale = latentScale(c, s);
    this.rope = latentRope(c, s);
  }
  #queries(x: NDArray): NDArray {
    const { q_a_proj: a, q_a_layernorm: norm, q_b_proj: b } = this;
    return a && norm && b ? b.forward(norm.forward(a.forward(x))) : this.q_proj!.forward(x);
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const { heads, rank, nopeDim } = this.sizes, offset = cache?.position() ?? 0;
    const turned = (y: NDArray) => this.rope.forward(y, { offset });
    const [qNope, qRope] = mx.split(byHeads(this.#queries(x), heads), [nopeDim], -1);
    const [latent, kRope] = mx.split(this.kv_a_proj_with_mqa.forward(x), [rank], -1);
    const own = byHeads(this.kv_b_proj.forward(this.kv_a_layernorm.forward(latent!)), heads);
    const [kNope, values] = mx.split(own, [nopeDim], -1);
    const shared = mx.repeat(turned(byHeads(kRope!, 1)), heads, 1);
    const seen = fetched(mx.concatenate([kNope!, shared], -1), values!, cache);
    const queries = mx.concatenate([qNope!, turned(qRope!)], -1);
    return this.o_proj.forward(joined(scaledDotProductAttention(queries, seen, { scale: this.scale, mask })));
  }
}
class MoEGate extends Module {
  weight: NDArray;
  readonly chosen: number;
  readonly groups: { readonly count: number; readonly kept: number } | null;
  readonly factor: number;
  constructor(c: Config) {
    super();
    const isGrouped = c.text("topk_method", "greedy") === "group_limited_greedy";
    this.weight = mx.zeros([c.size("n_routed_experts"), c.size("hidden_size")]);
    this.chosen = c.size("num_experts_per_tok");
    this.groups = isGrouped ? { count: c.size("n_group"), kept: c.size("topk_group") } : null;
    this.factor = c.number("routed_scaling_factor", 1);
  }
  /** The experts of each token, and their scores. */
  forward(x: NDArray): [indices: NDArray, scores: NDArray] {
    const all = mx.softmax(x.matmul(this.weight.T), -1, { precise: true });
    const scores = this.groups ? withoutWorstGroups(all, { ...this.groups, score: (g) => g.max(-1) }) : all;
    const indices = topIndices(scores, this.chosen);
    return [indices, mx.takeAlongAxis(scores, indices, -1).multiply(mx.float(this.factor))];
  }
}
class DeepseekV2MoE extends Module {
  switch_mlp: SwitchGLU;
  gate: MoEGate;
  shared_experts?: GatedMLP;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"),
      size = c.size("moe_intermediate_size"),
      shared = c.size("n_shared_experts", null);
    this.switch_mlp = new SwitchGLU(hidden, size, c.size("n_routed_experts"));
    this.gate = new MoEGate(c);
    if (shared !== null) this.shared_experts = new GatedMLP(hidden, size * shared);
  }
  forward(x: NDArray): NDArray {
    const [indices, scores] = this.gate.forward(x), y = weighted(this.switch_mlp.forward(x, indices), scores);
    return this.shared_experts ? y.add(this.shared_experts.forward(x)) : y;
  }
}
class DeepseekV2DecoderLayer extends PreNormBlock {
  self_attn: DeepseekV2Attention;
  mlp: DeepseekV2MoE | GatedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config, i: number) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps");
    const isSparse = c.size("n_routed_experts", null) !== null && i >= c.number("first_k_dense_replace", 0) &&
      i % c.size("moe_layer_freq", 1) === 0;
    this.self_attn = new DeepseekV2Attention(c);
    this.mlp = isSparse ? new DeepseekV2MoE(c) : new GatedMLP(hidden, c.size("intermediate_size"));
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
  }
}

/** `deepseek_v2` (`mlx_lm.models.deepseek_v2`). */
export class Model extends LanguageModel {
  readonly modelType: string = "deepseek_v2";
  model: Stack<DeepseekV2DecoderLayer>;
  lm_head: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    const c = config.withDefaults(DEEPSEEK_DEFAULTS), hidden = c.size("hidden_size");
    const norm = new RMSNorm(hidden, { eps: c.number("rms_norm_eps") });
    this.model = new Stack(c, (i) => new DeepseekV2DecoderLayer(c, i), norm);
    this.lm_head = new Linear(hidden, c.size("vocab_size"), { bias: false });
  }
  get layers(): readonly DeepseekV2DecoderLayer[] {
    return this.model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    return this.lm_head.forward(this.model.forward(tokens, options));
  }
  override sanitize(weights: Weights): Weights {
    return stackedExperts(weights);
  }
}
