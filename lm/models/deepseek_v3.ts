/**
 * DeepSeek V3: like V2, but the cache holds the shared vector itself, from which keys and values are made when they are needed;
 * and experts are chosen by sigmoids with a learned correction.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Embedding, Linear, Module, RMSNorm } from "../../nn/mod.ts";
import { fetchedPlain, scaledDotProductAttention } from "../attention.ts";
import { byHeads, GatedMLP, joined } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import {
  DEEPSEEK_DEFAULTS,
  type HeadsProjection,
  latentQueries,
  latentRope,
  latentScale,
  type LatentSizes,
  latentSizes,
  MultiLinear,
} from "../latent.ts";
import { causalMask } from "../mask.ts";
import { type ForwardOptions, LanguageModel, type Projection, type Weights, withoutWeights } from "../model.ts";
import { stackedExperts, SwitchGLU, topIndices, weighted, withoutWorstGroups } from "../moe.ts";
import type { Rope } from "../rope.ts";

class DeepseekV3Attention extends Module {
  readonly sizes: LatentSizes;
  readonly scale: number;
  q_proj?: Projection;
  q_a_proj?: Projection;
  q_a_layernorm?: RMSNorm;
  q_b_proj?: Projection;
  kv_a_proj_with_mqa: Projection;
  kv_a_layernorm: RMSNorm;
  /** Makes keys of the shared vector, or queries for it. */
  embed_q: HeadsProjection;
  /** Makes values of the shared vector. */
  unembed_out: HeadsProjection;
  o_proj: Projection;
  readonly rope: Rope;
  constructor(c: Config) {
    super();
    const s = this.sizes = latentSizes(c), bias = c.flag("attention_bias", false);
    Object.assign(this, latentQueries(s, bias));
    this.kv_a_proj_with_mqa = new Linear(s.hidden, s.rank + s.ropeDim, { bias });
    this.kv_a_layernorm = new RMSNorm(s.rank, { eps: 1e-6 });
    this.embed_q = new MultiLinear(s.nopeDim, s.rank, s.heads);
    this.unembed_out = new MultiLinear(s.rank, s.valueDim, s.heads);
    this.o_proj = new Linear(s.heads * s.valueDim, s.hidden, { bias });
    this.scale = latentScale(c, s);
    this.rope = latentRope(c, s);
  }
  #queries(x: NDArray): NDArray {
    const { q_a_proj: a, q_a_layernorm: norm, q_b_proj: b } = this;
    return a && norm && b ? b.forward(norm.forward(a.forward(x))) : this.q_proj!.forward(x);
  }
  forward(x: NDArray, mask: NDArray | null, cache: Cache | null): NDArray {
    const { heads, rank, nopeDim } = this.sizes, { scale } = this, offset = cache?.position() ?? 0, L = x.shape[1]!;
    const turned = (y: NDArray) => this.rope.forward(y, { offset });
    const [qNope, qRope] = mx.split(byHeads(this.#queries(x), heads), [nopeDim], -1);
    const [latent, kRope] = mx.split(this.kv_a_proj_with_mqa.forward(x), [rank], -1);
    const own = this.kv_a_layernorm.forward(latent!).expandDims(1);
    const { keys: shared, values: places, length } = fetchedPlain(own, turned(byHeads(kRope!, 1)), cache);
    const bias = turned(qRope!).multiply(mx.float(scale)).matmul(places.swapaxes(-1, -2));
    const seen = mask ? mx.where(mask, bias, mx.float(mx.finfo(bias.dtype).min)) : bias, how = { scale, mask: seen };
    // One query is cheaper to bring to the shared vectors than all of these to the queries.
    const y = L === 1
      ? this.unembed_out.forward(
        scaledDotProductAttention(this.embed_q.forward(qNope!), { keys: shared, values: shared, length }, how),
      )
      : scaledDotProductAttention(qNope!, {
        keys: this.embed_q.forward(shared, { transpose: false }),
        values: this.unembed_out.forward(shared),
        length,
      }, how);
    return this.o_proj.forward(joined(y));
  }
}
class MoEGate extends Module {
  weight: NDArray;
  e_score_correction_bias: NDArray;
  readonly chosen: number;
  readonly groups: { readonly count: number; readonly kept: number };
  readonly factor: number;
  readonly normalizes: boolean;
  constructor(c: Config) {
    super();
    if (c.text("topk_method", "noaux_tc") !== "noaux_tc") c.refuse("topk_method", "noaux_tc");
    const experts = c.size("n_routed_experts");
    this.weight = mx.zeros([experts, c.size("hidden_size")]);
    this.e_score_correction_bias = mx.zeros([experts]);
    this.chosen = c.size("num_experts_per_tok");
    this.groups = { count: c.size("n_group", 1), kept: c.size("topk_group", 1) };
    this.factor = c.number("routed_scaling_factor", 1);
    this.normalizes = this.chosen > 1 && c.flag("norm_topk_prob", true);
  }
  /** The experts of each token, and their scores; the correction counts for the choice only. */
  forward(x: NDArray): [indices: NDArray, scores: NDArray] {
    const plain = x.matmul(this.weight.T).astype(mx.float32).sigmoid();
    const corrected = plain.add(this.e_score_correction_bias);
    const kept = this.groups.count > 1
      ? withoutWorstGroups(corrected, { ...this.groups, score: (g) => mx.topk(g, 2, -1).sum(-1) })
      : corrected;
    const indices = topIndices(kept, this.chosen), scores = mx.takeAlongAxis(plain, indices, -1);
    const shares = this.normalizes ? scores.divide(scores.sum(-1, { keepdims: true })) : scores;
    return [indices, shares.multiply(mx.float(this.factor))];
  }
}
class DeepseekV3MoE extends Module {
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
class DeepseekV3DecoderLayer extends Module {
  self_attn: DeepseekV3Attention;
  mlp: DeepseekV3MoE | GatedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config, i: number) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps");
    const isSparse = c.size("n_routed_experts", null) !== null && i >= c.number("first_k_dense_replace", 0) &&
      i % c.size("moe_layer_freq", 1) === 0;
    this.self_attn = new DeepseekV3Attention(c);
    this.mlp = isSparse ? new DeepseekV3MoE(c) : new GatedMLP(hidden, c.size("intermediate_size"));
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
  }
  forward(x: NDArray, mask: NDArray | null, cache: Cache | null): NDArray {
    const h = x.add(this.self_attn.forward(this.input_layernorm.forward(x), mask, cache));
    return h.add(this.mlp.forward(this.post_attention_layernorm.forward(h)));
  }
}
class DeepseekV3Model extends Module {
  embed_tokens: Projection;
  layers: DeepseekV3DecoderLayer[];
  norm: RMSNorm;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size");
    this.embed_tokens = new Embedding(c.size("vocab_size"), hidden);
    this.layers = Array.from({ length: c.size("num_hidden_layers") }, (_, i) => new DeepseekV3DecoderLayer(c, i));
    this.norm = new RMSNorm(hidden, { eps: c.number("rms_norm_eps") });
  }
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    let h = inputEmbeddings ?? this.embed_tokens.forward(tokens);
    const n = h.shape[1]!, given = cache?.[0]?.makeMask(n, { returnArray: true }) ?? null;
    const mask = (!cache && n > 1) || given === "causal" ? causalMask(n, 0, null) : given;
    this.layers.forEach((layer, i) => h = layer.forward(h, mask, cache?.[i] ?? null));
    return this.norm.forward(h);
  }
}

/** `deepseek_v3` (`mlx_lm.models.deepseek_v3`). */
export class Model extends LanguageModel {
  readonly modelType: string = "deepseek_v3";
  readonly sizes: LatentSizes;
  model: DeepseekV3Model;
  lm_head: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    const c = config.withDefaults(DEEPSEEK_DEFAULTS);
    this.sizes = latentSizes(c);
    this.model = new DeepseekV3Model(c);
    this.lm_head = new Linear(c.size("hidden_size"), c.size("vocab_size"), { bias: false });
  }
  get layers(): readonly DeepseekV3DecoderLayer[] {
    return this.model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    return this.lm_head.forward(this.model.forward(tokens, options));
  }
  /** Layers after the last one predict further tokens, and are not used. */
  override sanitize(weights: Weights): Weights {
    const isUnused = (name: string) =>
      Number(/^model\.layers\.(\d+)\./.exec(name)?.[1] ?? -1) >= this.layers.length ||
      name.includes("rotary_emb.inv_freq");
    const own = stackedExperts(fromBlockFp8(fromPackedInt4(withoutWeights(weights, isUnused))));
    for (const [name, x] of [...own]) {
      const prefix = /^(.*\.self_attn\.)kv_b_proj\.weight$/.exec(name)?.[1];
      if (prefix !== undefined) splitHeads(own, prefix, x, this.sizes);
    }
    return own;
  }
}
/** `kv_b_proj` as the matrices of keys and of values; quantized ones are quantized again. */
function splitHeads(weights: Weights, prefix: string, x: NDArray, { heads, nopeDim, rank }: LatentSizes): void {
  const scales = weights.get(`${prefix}kv_b_proj.scales`), biases = weights.get(`${prefix}kv_b_proj.biases`) ?? null;
  const how = scales && { bits: x.shape.at(-1)! * 32 / rank, groupSize: rank / scales.shape.at(-1)! };
  const plain = how ? mx.dequantize(x, scales, { biases, ...how }) : x, all = plain.reshape([heads, -1, rank]);
  const rows = (from: number, to: number | null) => all.index(mx.slice(null), mx.slice(from, to));
  const put = (name: string, w: NDArray): void => {
    const parts = how ? mx.quantize(w, how) : [mx.contiguous(w)];
    ["weight", "scales", "biases"].forEach((part, i) => parts[i] && weights.set(`${prefix}${name}.${part}`, parts[i]));
  };
  put("embed_q", rows(0, nopeDim).swapaxes(-1, -2));
  put("unembed_out", rows(nopeDim, null));
  for (const part of ["weight", "scales", "biases"]) weights.delete(`${prefix}kv_b_proj.${part}`);
}
/** Weights as packed 4-bit integers q with `w = scale (q - 8)`. */
function fromPackedInt4(weights: Weights): Weights {
  const own: Weights = new Map();
  for (const [name, x] of weights) {
    const prefix = /^(.*)weight_(shape|scale|packed)$/.exec(name)?.[1];
    if (prefix === undefined) own.set(name, x);
    else if (name.endsWith("weight_packed")) own.set(`${prefix}weight`, x.view(mx.uint32));
    else if (name.endsWith("weight_scale")) own.set(`${prefix}scales`, x).set(`${prefix}biases`, x.multiply(-8));
  }
  return own;
}
const FP8_BLOCK = 128;
/** 8-bit floats with one scale per block of 128 x 128, as bfloat16. */
function fromBlockFp8(weights: Weights): Weights {
  const own: Weights = new Map();
  for (const [name, x] of weights) {
    const scale = weights.get(`${name}_scale_inv`);
    if (name.endsWith("_scale_inv")) continue;
    if (!scale) {
      own.set(name, x);
      continue;
    }
    const [m = 0, n = 0] = x.shape, wide = scale.repeat(FP8_BLOCK, 0).repeat(FP8_BLOCK, 1);
    const factor = wide.index(mx.slice(0, m), mx.slice(0, n));
    own.set(name, mx.fromFp8(x, mx.bfloat16).multiply(factor).astype(mx.bfloat16));
  }
  return own;
}
