/**
 * What Qwen 3 Next and Qwen 3.5 share: attention with a gate, gated delta rules, and mixtures with an expert that all
 * tokens use.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { Conv1d, Linear, Module, RMSNorm, silu } from "../nn/mod.ts";
import { type ArraysCache, arraysOf, withHistory } from "./arrays_cache.ts";
import { fetched, scaledDotProductAttention } from "./attention.ts";
import { byHeads, GatedMLP, headSizes, joined } from "./blocks.ts";
import type { Cache } from "./cache.ts";
import type { Config } from "./config.ts";
import { deltaDecay } from "./gated_delta.ts";
import type { Mask } from "./mask.ts";
import type { Projection } from "./model.ts";
import { SwitchGLU, topIndices, weighted } from "./moe.ts";
import { initializeRope, type Rope, ropeConfig } from "./rope.ts";

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
export class GatedAttention extends Module {
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
/** What a delta rule works on. */
export interface DeltaInputs {
  /** Queries, keys and values before the convolution, one after the other, [B, T, .]. */
  readonly qkv: NDArray;
  /** Gates of the results, [B, T, value heads value dim]. */
  readonly gate: NDArray;
  /** Decays before their activation, [B, T, value heads]. */
  readonly decay: NDArray;
  /** Strengths of the updates before their sigmoid, [B, T, value heads]. */
  readonly strength: NDArray;
}
/** A short convolution, a gated delta rule and a gated norm; a subclass makes the inputs. */
export abstract class GatedDelta extends Module {
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly kernel: number;
  conv1d: Conv1d;
  dt_bias: NDArray;
  A_log: NDArray;
  norm: RMSNormGated;
  out_proj: Projection;
  constructor(c: Config) {
    super();
    const bias = false;
    [this.keyHeads, this.valueHeads] = [c.size("linear_num_key_heads"), c.size("linear_num_value_heads")];
    [this.keyDim, this.valueDim] = [c.size("linear_key_head_dim"), c.size("linear_value_head_dim")];
    if (this.valueHeads % this.keyHeads !== 0) c.refuse("linear_num_value_heads", "a multiple of linear_num_key_heads");
    this.kernel = c.size("linear_conv_kernel_dim");
    const { keys, values } = this.widths, wide = 2 * keys + values;
    this.conv1d = new Conv1d(wide, wide, this.kernel, { groups: wide, bias });
    this.dt_bias = mx.ones([this.valueHeads]);
    this.A_log = mx.random.uniform([this.valueHeads], { low: 1, high: 16 }).log();
    this.norm = new RMSNormGated(this.valueDim, c.number("rms_norm_eps"));
    this.out_proj = new Linear(values, c.size("hidden_size"), { bias });
  }
  /** Features of all keys, and of all values. */
  get widths(): { readonly keys: number; readonly values: number } {
    return { keys: this.keyHeads * this.keyDim, values: this.valueHeads * this.valueDim };
  }
  protected abstract inputs(x: NDArray): DeltaInputs;
  forward(x: NDArray, cache: ArraysCache | null): NDArray {
    const [B = 1, T = 1] = x.shape, { keyHeads, valueHeads, keyDim } = this, { keys } = this.widths;
    const { qkv, gate, decay, strength } = this.inputs(x), convolved = withHistory(qkv, this.kernel, cache);
    const mixed = mx.split(silu(this.conv1d.forward(convolved)), [keys, 2 * keys], -1);
    const heads = (y: NDArray, n: number) => y.reshape([B, T, n, -1]);
    // Queries and keys get the length one; queries then the usual factor of scores.
    const unit = (y: NDArray) =>
      mx.fast.rmsNorm(heads(y, keyHeads), null, 1e-6 / keyDim).multiply(mx.float(keyDim ** -0.5));
    const [y, state] = mx.fast.gatedDeltaUpdate(
      unit(mixed[0]!).multiply(mx.float(keyDim ** -0.5)),
      unit(mixed[1]!),
      heads(mixed[2]!, valueHeads),
      deltaDecay(this.A_log, decay, this.dt_bias),
      strength.sigmoid(),
      { initialState: cache?.get(1) ?? null },
    );
    cache?.set(1, state);
    cache?.advance(T);
    return this.out_proj.forward(this.norm.forward(y, heads(gate, valueHeads)).reshape([B, T, -1]));
  }
}
/** Experts that are chosen, and one that all tokens use as far as its own gate lets them. */
export class SharedMoeBlock extends Module {
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
/** A delta rule or attention, and what follows it. */
export abstract class DeltaLayer extends Module {
  linear_attn?: GatedDelta;
  self_attn?: GatedAttention;
  abstract mlp: SharedMoeBlock | GatedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  readonly isRecurrent: boolean;
  constructor(c: Config, i: number, delta: () => GatedDelta) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps");
    this.isRecurrent = (i + 1) % c.size("full_attention_interval", 4) !== 0;
    if (this.isRecurrent) this.linear_attn = delta();
    else this.self_attn = new GatedAttention(c);
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
const OFFSET_NORMS = /((^|\.)(input_layernorm|post_attention_layernorm|q_norm|k_norm)|(^|\.)model\.norm)\.weight$/;
/** Weights of original files, whose norms are distances from one. */
export function withWholeNorms(weights: ReadonlyMap<string, NDArray>): Map<string, NDArray> {
  return new Map([...weights].map(([name, x]) => [name, OFFSET_NORMS.test(name) && x.ndim === 1 ? x.add(1) : x]));
}
