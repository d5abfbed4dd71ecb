/**
 * Qwen 3 Next: mixtures of experts behind gated delta rules, and gated attention in every `full_attention_interval`-th layer.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Conv1d, Linear, Module, RMSNorm, silu } from "../../nn/mod.ts";
import { ArraysCache, arraysOf, withHistory } from "../arrays_cache.ts";
import { fetched, scaledDotProductAttention } from "../attention.ts";
import { byHeads, GatedMLP, headSizes, joined, StackedModel } from "../blocks.ts";
import { type Cache, KVCache } from "../cache.ts";
import type { Config } from "../config.ts";
import { deltaDecay } from "../gated_delta.ts";
import type { Mask } from "../mask.ts";
import { type Projection, type Weights, withoutWeights, withOwnKernels } from "../model.ts";
import { stackedExperts, SwitchGLU, topIndices, weighted } from "../moe.ts";
import { initializeRope, type Rope, ropeConfig } from "../rope.ts";

/** `silu(gate) rmsNorm(x)`, in float32. */
class RMSNormGated extends Module {
  weight: NDArray;
  constructor(dims: number, readonly eps: number) {
    super();
    this.weight = mx.ones([dims]);
  }
  forward(x: NDArray, gate: NDArray): NDArray {
    const y = mx.fast.rmsNorm(x, this.weight, this.eps).astype(mx.float32);
    return silu(gate.astype(mx.float32)).multiply(y).astype(x.dtype);
  }
}
/** Attention whose result is multiplied by the sigmoid of a gate, which the query projection gives, too. */
class Attention extends Module {
  readonly heads: number;
  readonly kvHeads: number;
  q_proj: Projection;
  k_proj: Projection;
  v_proj: Projection;
  o_proj: Projection;
  q_norm: RMSNorm;
  k_norm: RMSNorm;
  readonly rope: Rope;
  constructor(c: Config) {
    super();
    const { hidden, heads, kvHeads } = headSizes(c), size = c.size("head_dim"), bias = c.flag("attention_bias", false);
    [this.heads, this.kvHeads] = [heads, kvHeads];
    this.q_proj = new Linear(hidden, 2 * heads * size, { bias });
    this.k_proj = new Linear(hidden, kvHeads * size, { bias });
    this.v_proj = new Linear(hidden, kvHeads * size, { bias });
    this.o_proj = new Linear(heads * size, hidden, { bias });
    this.q_norm = new RMSNorm(size, { eps: c.number("rms_norm_eps") });
    this.k_norm = new RMSNorm(size, { eps: c.number("rms_norm_eps") });
    this.rope = initializeRope({
      ...ropeConfig(c),
      dims: Math.trunc(size * c.number("partial_rotary_factor")),
      maxPositions: c.size("max_position_embeddings"),
    });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const offset = cache?.position() ?? 0, turned = (y: NDArray) => this.rope.forward(y, { offset });
    const [given, gate] = mx.split(byHeads(this.q_proj.forward(x), this.heads), 2, -1);
    const queries = turned(this.q_norm.forward(given!));
    const keys = turned(this.k_norm.forward(byHeads(this.k_proj.forward(x), this.kvHeads)));
    const seen = fetched(keys, byHeads(this.v_proj.forward(x), this.kvHeads), cache);
    const y = scaledDotProductAttention(queries, seen, { scale: queries.shape[3]! ** -0.5, mask });
    return this.o_proj.forward(joined(y.multiply(gate!.sigmoid())));
  }
}
class GatedDeltaNet extends Module {
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly kernel: number;
  conv1d: Conv1d;
  in_proj_qkvz: Projection;
  in_proj_ba: Projection;
  dt_bias: NDArray;
  A_log: NDArray;
  norm: RMSNormGated;
  out_proj: Projection;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"), bias = false;
    [this.keyHeads, this.valueHeads] = [c.size("linear_num_key_heads"), c.size("linear_num_value_heads")];
    [this.keyDim, this.valueDim] = [c.size("linear_key_head_dim"), c.size("linear_value_head_dim")];
    if (this.valueHeads % this.keyHeads !== 0) c.refuse("linear_num_value_heads", "a multiple of linear_num_key_heads");
    this.kernel = c.size("linear_conv_kernel_dim");
    const keys = this.keyHeads * this.keyDim, values = this.valueHeads * this.valueDim, wide = 2 * keys + values;
    this.conv1d = new Conv1d(wide, wide, this.kernel, { groups: wide, bias });
    this.in_proj_qkvz = new Linear(hidden, wide + values, { bias });
    this.in_proj_ba = new Linear(hidden, 2 * this.valueHeads, { bias });
    this.dt_bias = mx.ones([this.valueHeads]);
    this.A_log = mx.random.uniform([this.valueHeads], { low: 1, high: 16 }).log();
    this.norm = new RMSNormGated(this.valueDim, c.number("rms_norm_eps"));
    this.out_proj = new Linear(values, hidden, { bias });
  }
  forward(x: NDArray, cache: ArraysCache | null): NDArray {
    const [B = 1, T = 1] = x.shape, { keyHeads, valueHeads, keyDim, valueDim } = this, repeats = valueHeads / keyHeads;
    // Both projections are ordered by key heads.
    const byKeyHeads = (y: NDArray, cuts: readonly number[]) => mx.split(y.reshape([B, T, keyHeads, -1]), cuts, -1);
    const cuts = [keyDim, 2 * keyDim, 2 * keyDim + repeats * valueDim];
    const [q, k, v, z] = byKeyHeads(this.in_proj_qkvz.forward(x), cuts);
    const [b, a] = byKeyHeads(this.in_proj_ba.forward(x), [repeats]), flat = (y: NDArray) => y.reshape([B, T, -1]);
    const inputs = withHistory(mx.concatenate([flat(q!), flat(k!), flat(v!)], -1), this.kernel, cache);
    const keys = keyHeads * keyDim, mixed = mx.split(silu(this.conv1d.forward(inputs)), [keys, 2 * keys], -1);
    const heads = (y: NDArray, n: number) => y.reshape([B, T, n, -1]);
    // Queries and keys get the length one; queries then the usual factor of scores.
    const unit = (y: NDArray) =>
      mx.fast.rmsNorm(heads(y, keyHeads), null, 1e-6 / keyDim).multiply(mx.float(keyDim ** -0.5));
    const [y, state] = mx.fast.gatedDeltaUpdate(
      unit(mixed[0]!).multiply(mx.float(keyDim ** -0.5)),
      unit(mixed[1]!),
      heads(mixed[2]!, valueHeads),
      deltaDecay(this.A_log, flat(a!), this.dt_bias),
      flat(b!).sigmoid(),
      { initialState: cache?.get(1) ?? null },
    );
    cache?.set(1, state);
    cache?.advance(T);
    return this.out_proj.forward(flat(this.norm.forward(y, z!.reshape([B, T, valueHeads, valueDim]))));
  }
}
class SparseMoeBlock extends Module {
  readonly chosen: number;
  readonly normalizes: boolean;
  gate: Projection;
  switch_mlp: SwitchGLU;
  shared_expert: GatedMLP;
  shared_expert_gate: Projection;
  constructor(c: Config) {
    super();
    const dim = c.size("hidden_size"), experts = c.size("num_experts"), bias = false;
    this.chosen = c.size("num_experts_per_tok");
    this.normalizes = c.flag("norm_topk_prob", false);
    this.gate = new Linear(dim, experts, { bias });
    this.switch_mlp = new SwitchGLU(dim, c.size("moe_intermediate_size"), experts);
    this.shared_expert = new GatedMLP(dim, c.size("shared_expert_intermediate_size"));
    this.shared_expert_gate = new Linear(dim, 1, { bias });
  }
  forward(x: NDArray): NDArray {
    const gates = mx.softmax(this.gate.forward(x), -1, { precise: true }), indices = topIndices(gates, this.chosen);
    const scores = mx.takeAlongAxis(gates, indices, -1);
    const shares = this.normalizes ? scores.divide(scores.sum(-1, { keepdims: true })) : scores;
    const y = weighted(this.switch_mlp.forward(x, indices), shares);
    return y.add(this.shared_expert_gate.forward(x).sigmoid().multiply(this.shared_expert.forward(x)));
  }
}
class DecoderLayer extends Module {
  linear_attn?: GatedDeltaNet;
  self_attn?: Attention;
  mlp: SparseMoeBlock | GatedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  readonly isRecurrent: boolean;
  constructor(c: Config, i: number) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps");
    const isSparse = !c.numbers("mlp_only_layers").includes(i) && (i + 1) % c.size("decoder_sparse_step") === 0;
    this.isRecurrent = (i + 1) % c.size("full_attention_interval", 4) !== 0;
    if (this.isRecurrent) this.linear_attn = new GatedDeltaNet(c);
    else this.self_attn = new Attention(c);
    this.mlp = isSparse ? new SparseMoeBlock(c) : new GatedMLP(hidden, c.size("intermediate_size"));
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const normed = this.input_layernorm.forward(x);
    const r = this.self_attn?.forward(normed, mask, cache) ?? this.linear_attn!.forward(normed, arraysOf(cache));
    const h = x.add(r);
    return h.add(this.mlp.forward(this.post_attention_layernorm.forward(h)));
  }
}

/** Norms whose weights are stored as the distance from one. */
const OFFSET_NORMS = /(\.(input_layernorm|post_attention_layernorm|q_norm|k_norm)|^model\.norm)\.weight$/;
/** `qwen3_next` (`mlx_lm.models.qwen3_next`). */
export class Model extends StackedModel<DecoderLayer> {
  readonly modelType: string = "qwen3_next";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config, (i) => new DecoderLayer(config, i), { tied: config.flag("tie_word_embeddings", false) });
  }
  override makeCache(): Cache[] {
    return this.layers.map((layer) => layer.isRecurrent ? new ArraysCache(2) : new KVCache());
  }
  /** Only original files have experts one by one; only their norms are distances from one. */
  override sanitize(weights: Weights): Weights {
    if (![...weights.keys()].some((name) => name.endsWith(".mlp.experts.0.up_proj.weight"))) return weights;
    const isUnused = (name: string) => name.includes("mtp.") || (!this.lm_head && name === "lm_head.weight");
    const own = withOwnKernels(stackedExperts(withoutWeights(weights, isUnused)), "conv1d.weight");
    return new Map([...own].map(([name, x]) => [name, OFFSET_NORMS.test(name) ? x.add(1) : x]));
  }
}
