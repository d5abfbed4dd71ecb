/**
 * DeepSeek V3: like V2, but the cache holds the shared vector itself, from which keys and values are made when they are needed;
 * and experts are chosen by sigmoids with a learned correction.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Embedding, Linear, Module, RMSNorm } from "../../nn/mod.ts";
import { fetchedPlain, scaledDotProductAttention } from "../attention.ts";
import { joined } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import {
  DEEPSEEK_DEFAULTS,
  DeepseekBlock,
  type HeadsProjection,
  LatentAttention,
  type LatentSizes,
  MultiLinear,
} from "../latent.ts";
import { causalMask, type Mask } from "../mask.ts";
import { type ForwardOptions, LanguageModel, type Projection, type Weights, withoutWeights } from "../model.ts";
import { CorrectedGate, stackedExperts } from "../moe.ts";

class DeepseekV3Attention extends LatentAttention {
  /** Makes keys of the shared vector, or queries for it. */
  embed_q: HeadsProjection;
  /** Makes values of the shared vector. */
  unembed_out: HeadsProjection;
  constructor(c: Config) {
    super(c);
    const { rank, heads, nopeDim, valueDim } = this.sizes;
    this.embed_q = new MultiLinear(nopeDim, rank, heads);
    this.unembed_out = new MultiLinear(rank, valueDim, heads);
  }
  forward(x: NDArray, given: Mask, cache: Cache | null): NDArray {
    const { scale } = this, L = x.shape[1]!;
    const [qNope, qRope, latent, kRope] = this.project(x, cache?.position() ?? 0);
    const { keys: shared, values: places, length } = fetchedPlain(latent.expandDims(1), kRope, cache);
    const bias = qRope.multiply(mx.float(scale)).matmul(places.swapaxes(-1, -2));
    const mask = given === "causal" ? causalMask(L, 0, null) : given;
    const seen = mask ? mx.where(mask, bias, mx.float(mx.finfo(bias.dtype).min)) : bias, how = { scale, mask: seen };
    // One query is cheaper to bring to the shared vectors than all of these to the queries.
    const y = L === 1
      ? this.unembed_out.forward(
        scaledDotProductAttention(this.embed_q.forward(qNope), { keys: shared, values: shared, length }, how),
      )
      : scaledDotProductAttention(qNope, {
        keys: this.embed_q.forward(shared, { transpose: false }),
        values: this.unembed_out.forward(shared),
        length,
      }, how);
    return this.o_proj.forward(joined(y));
  }
}
class DeepseekV3Model extends Module {
  embed_tokens: Projection;
  layers: DeepseekBlock[];
  norm: RMSNorm;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size");
    this.embed_tokens = new Embedding(c.size("vocab_size"), hidden);
    const layer = (_: unknown, i: number) =>
      new DeepseekBlock(c, i, new DeepseekV3Attention(c), (c) => new CorrectedGate(c));
    this.layers = Array.from({ length: c.size("num_hidden_layers") }, layer);
    this.norm = new RMSNorm(hidden, { eps: c.number("rms_norm_eps") });
  }
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    let h = inputEmbeddings ?? this.embed_tokens.forward(tokens);
    const n = h.shape[1]!;
    const mask = cache ? cache[0]?.makeMask(n, { returnArray: true }) ?? null : n > 1 ? "causal" : null;
    this.layers.forEach((layer, i) => h = layer.forward(h, mask, cache?.[i] ?? null));
    return this.norm.forward(h);
  }
}

/** `deepseek_v3` (`mlx_lm.models.deepseek_v3`). */
export class Model extends LanguageModel {
  readonly modelType: string = "deepseek_v3";
  model: DeepseekV3Model;
  lm_head: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    const c = config.withDefaults(DEEPSEEK_DEFAULTS);
    this.model = new DeepseekV3Model(c);
    this.lm_head = new Linear(c.size("hidden_size"), c.size("vocab_size"), { bias: false });
  }
  get layers(): readonly DeepseekBlock[] {
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
      if (prefix !== undefined) splitHeads(own, prefix, x, this.layers[0]!.self_attn.sizes);
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
