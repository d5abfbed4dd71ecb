/**
 * HunYuan 1 dense: Llama with norms of queries and keys after their rotation, and a base of the periods that `alpha` makes
 * larger.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { Linear, Module, RMSNorm, RoPE } from "../../nn/mod.ts";
import { fetched, scaledDotProductAttention } from "../attention.ts";
import { byHeads, GatedMLP, headSizes, joined, PreNormBlock, StackedModel } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import type { Projection } from "../model.ts";
import { type Rope, ropeConfig } from "../rope.ts";

class Attention extends Module {
  readonly heads: number;
  readonly kvHeads: number;
  q_proj: Projection;
  k_proj: Projection;
  v_proj: Projection;
  o_proj: Projection;
  query_layernorm?: RMSNorm;
  key_layernorm?: RMSNorm;
  readonly rope: Rope;
  constructor(c: Config) {
    super();
    const { hidden, heads, kvHeads, headDim } = headSizes(c), bias = c.flag("attention_bias", false);
    [this.heads, this.kvHeads] = [heads, kvHeads];
    this.q_proj = new Linear(hidden, heads * headDim, { bias });
    this.k_proj = new Linear(hidden, kvHeads * headDim, { bias });
    this.v_proj = new Linear(hidden, kvHeads * headDim, { bias });
    this.o_proj = new Linear(heads * headDim, hidden, { bias });
    if (c.flag("use_qk_norm", true)) {
      this.query_layernorm = new RMSNorm(headDim, { eps: c.number("rms_norm_eps") });
      this.key_layernorm = new RMSNorm(headDim, { eps: c.number("rms_norm_eps") });
    }
    const { base, scaling } = ropeConfig(c, 10_000), alpha = scaling?.number("alpha", 1) ?? 1;
    this.rope = new RoPE(headDim, { base: base * alpha ** (headDim / (headDim - 2)) });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const offset = cache?.position() ?? 0;
    const turned = (y: NDArray, n: number, norm?: RMSNorm): NDArray => {
      const z = this.rope.forward(byHeads(y, n), { offset });
      return norm ? norm.forward(z) : z;
    };
    const queries = turned(this.q_proj.forward(x), this.heads, this.query_layernorm);
    const keys = turned(this.k_proj.forward(x), this.kvHeads, this.key_layernorm);
    const seen = fetched(keys, byHeads(this.v_proj.forward(x), this.kvHeads), cache), scale = queries.shape[3]! ** -0.5;
    return this.o_proj.forward(joined(scaledDotProductAttention(queries, seen, { scale, mask })));
  }
}
class TransformerBlock extends PreNormBlock {
  self_attn: Attention;
  mlp: GatedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps");
    this.self_attn = new Attention(c);
    this.mlp = new GatedMLP(hidden, c.size("intermediate_size"));
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
  }
}

/** `hunyuan_v1_dense` (`mlx_lm.models.hunyuan_v1_dense`). */
export class Model extends StackedModel<TransformerBlock> {
  readonly modelType: string = "hunyuan_v1_dense";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config, () => new TransformerBlock(config), { tied: config.flag("tie_word_embeddings", false) });
  }
}
