/**
 * Gemma 2: Gemma with norms before and after each part, and scores and logits that are bent into a range, `c tanh(x /
 * c)`. Its sliding windows are ignored, as in mlx-lm.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Embedding, geluApprox, Linear, Module, RoPE } from "../../nn/mod.ts";
import { fetchedPlain } from "../attention.ts";
import { byHeads, GatedMLP, headSizes, joined } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import { causalMask, type Mask } from "../mask.ts";
import { type ForwardOptions, LanguageModel, type Projection, type TokenEmbedding } from "../model.ts";
import { OffsetRMSNorm } from "../norms.ts";
import { type Rope, ropeConfig } from "../rope.ts";

/** `cap tanh(x / cap)`. */
function softcapped(x: NDArray, cap: number): NDArray {
  return x.divide(mx.float(cap)).tanh().multiply(mx.float(cap));
}

class Attention extends Module {
  readonly heads: number;
  readonly kvHeads: number;
  readonly scale: number;
  readonly cap: number;
  q_proj: Projection;
  k_proj: Projection;
  v_proj: Projection;
  o_proj: Projection;
  readonly rope: Rope;
  constructor(c: Config) {
    super();
    const { hidden, heads, kvHeads } = headSizes(c), size = c.size("head_dim"), bias = false;
    [this.heads, this.kvHeads] = [heads, kvHeads];
    this.scale = c.number("query_pre_attn_scalar", 144) ** -0.5;
    this.cap = c.number("attn_logit_softcapping", 50);
    this.q_proj = new Linear(hidden, heads * size, { bias });
    this.k_proj = new Linear(hidden, kvHeads * size, { bias });
    this.v_proj = new Linear(hidden, kvHeads * size, { bias });
    this.o_proj = new Linear(heads * size, hidden, { bias });
    this.rope = new RoPE(size, {
      base: ropeConfig(c, 10_000).base,
      traditional: c.flag("rope_traditional", false),
    });
  }
  forward(x: NDArray, mask: NDArray | null, cache: Cache | null): NDArray {
    const offset = cache?.position() ?? 0, turned = (y: NDArray) => this.rope.forward(y, { offset });
    const queries = turned(byHeads(this.q_proj.forward(x), this.heads)).multiply(mx.float(this.scale));
    const own = byHeads(this.v_proj.forward(x), this.kvHeads);
    const { keys, values, length } = fetchedPlain(turned(byHeads(this.k_proj.forward(x), this.kvHeads)), own, cache);
    const [B = 1, , L = 1, D = 1] = queries.shape, S = keys.shape[2]!, G = this.kvHeads;
    // Heads that share a key head are rows of one product.
    const rows = queries.reshape([B, G, -1, D]),
      scores = softcapped(rows.matmul(keys.transpose([0, 1, 3, 2])), this.cap);
    const exists = length && mx.arange(S).less(length);
    // A mask [B, 1, L, S] of several texts holds for all groups of heads.
    const wide = mask && mask.ndim > 3 ? mask.expandDims(-3) : mask;
    const shown = exists && wide ? wide.logicalAnd(exists) : wide ?? exists;
    const split = scores.reshape([B, G, -1, L, S]), lowest = mx.float(mx.finfo(scores.dtype).min);
    const weights = mx.softmax(shown ? mx.where(shown, split, lowest) : split, -1, { precise: true });
    const y = weights.reshape([B, G, -1, S]).matmul(values);
    return this.o_proj.forward(joined(y.reshape([B, this.heads, L, -1])));
  }
}

class TransformerBlock extends Module {
  self_attn: Attention;
  mlp: GatedMLP;
  input_layernorm: OffsetRMSNorm;
  pre_feedforward_layernorm: OffsetRMSNorm;
  post_feedforward_layernorm: OffsetRMSNorm;
  post_attention_layernorm: OffsetRMSNorm;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps"), norm = () => new OffsetRMSNorm(hidden, eps);
    this.self_attn = new Attention(c);
    this.mlp = new GatedMLP(hidden, c.size("intermediate_size"), { activation: geluApprox });
    this.input_layernorm = norm();
    this.pre_feedforward_layernorm = norm();
    this.post_feedforward_layernorm = norm();
    this.post_attention_layernorm = norm();
  }
  forward(x: NDArray, mask: NDArray | null, cache: Cache | null): NDArray {
    const r = this.self_attn.forward(this.input_layernorm.forward(x), mask, cache);
    const h = x.add(this.post_attention_layernorm.forward(r));
    return h.add(this.post_feedforward_layernorm.forward(this.mlp.forward(this.pre_feedforward_layernorm.forward(h))));
  }
}

class GemmaModel extends Module {
  embed_tokens: TokenEmbedding;
  layers: TransformerBlock[];
  norm: OffsetRMSNorm;
  readonly scale: number;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size");
    this.embed_tokens = new Embedding(c.size("vocab_size"), hidden);
    this.layers = Array.from({ length: c.size("num_hidden_layers") }, () => new TransformerBlock(c));
    this.norm = new OffsetRMSNorm(hidden, c.number("rms_norm_eps"));
    this.scale = Math.sqrt(hidden);
  }
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    let h = (inputEmbeddings ?? this.embed_tokens.forward(tokens)).multiply(mx.float(this.scale));
    const n = h.shape[1]!, first = cache?.[0];
    const given: Mask = first ? first.makeMask(n, { returnArray: true }) : n === 1 ? null : causalMask(n, 0, null);
    const mask = given === "causal" ? causalMask(n, 0, null) : given;
    this.layers.forEach((layer, i) => h = layer.forward(h, mask, cache?.[i] ?? null));
    return this.norm.forward(h);
  }
}

/** `gemma2` (`mlx_lm.models.gemma2`). */
export class Model extends LanguageModel {
  readonly modelType: string = "gemma2";
  readonly cap: number;
  model: GemmaModel;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    this.model = new GemmaModel(config);
    this.cap = config.number("final_logit_softcapping", 30);
  }
  get layers(): readonly TransformerBlock[] {
    return this.model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    return softcapped(this.model.embed_tokens.asLinear(this.model.forward(tokens, options)), this.cap);
  }
}
