/**
 * GPT-NeoX and Pythia: one projection with queries, keys and values head by head, positions in a part of each head,
 * attention and MLP side by side.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Embedding, geluApprox, LayerNorm, Linear, Module, RoPE } from "../../nn/mod.ts";
import { fetched, scaledDotProductAttention } from "../attention.ts";
import { byHeads, joined, throughBlocks } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import { type ForwardOptions, LanguageModel, type Projection, type Weights } from "../model.ts";
import type { Rope } from "../rope.ts";

class Attention extends Module {
  readonly heads: number;
  query_key_value: Projection;
  dense: Projection;
  readonly rope: Rope;
  constructor(c: Config) {
    super();
    const dim = c.size("hidden_size"), size = Math.floor(dim / c.size("num_attention_heads"));
    this.heads = c.size("num_attention_heads");
    this.query_key_value = new Linear(dim, 3 * dim);
    this.dense = new Linear(dim, dim);
    this.rope = new RoPE(Math.trunc(size * c.number("rotary_pct")), { base: c.number("rotary_emb_base") });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const offset = cache?.position() ?? 0, all = byHeads(this.query_key_value.forward(x), this.heads);
    const [q, k, v] = mx.split(all, 3, -1), turned = (y: NDArray) => this.rope.forward(y, { offset });
    const seen = fetched(turned(k!), v!, cache), scale = q!.shape[3]! ** -0.5;
    return this.dense.forward(joined(scaledDotProductAttention(turned(q!), seen, { scale, mask })));
  }
}
class MLP extends Module {
  dense_h_to_4h: Projection;
  dense_4h_to_h: Projection;
  constructor(dim: number) {
    super();
    this.dense_h_to_4h = new Linear(dim, 4 * dim);
    this.dense_4h_to_h = new Linear(4 * dim, dim);
  }
  forward(x: NDArray): NDArray {
    return this.dense_4h_to_h.forward(geluApprox(this.dense_h_to_4h.forward(x)));
  }
}
class TransformerBlock extends Module {
  attention: Attention;
  mlp: MLP;
  input_layernorm: LayerNorm;
  post_attention_layernorm: LayerNorm;
  readonly isParallel: boolean;
  constructor(c: Config) {
    super();
    const dim = c.size("hidden_size"), eps = c.number("layer_norm_eps");
    this.attention = new Attention(c);
    this.mlp = new MLP(dim);
    this.input_layernorm = new LayerNorm(dim, { eps });
    this.post_attention_layernorm = new LayerNorm(dim, { eps });
    this.isParallel = c.flag("use_parallel_residual", true);
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const h = x.add(this.attention.forward(this.input_layernorm.forward(x), mask, cache));
    return h.add(this.mlp.forward(this.post_attention_layernorm.forward(this.isParallel ? x : h)));
  }
}
class GPTNeoXModel extends Module {
  embed_in: Projection;
  embed_out: Projection;
  h: TransformerBlock[];
  final_layer_norm: LayerNorm;
  constructor(c: Config) {
    super();
    const dim = c.size("hidden_size"), vocabulary = c.size("vocab_size");
    this.embed_in = new Embedding(vocabulary, dim);
    this.embed_out = new Linear(dim, vocabulary, { bias: false });
    this.h = Array.from({ length: c.size("num_hidden_layers") }, () => new TransformerBlock(c));
    this.final_layer_norm = new LayerNorm(dim, { eps: c.number("layer_norm_eps") });
  }
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    const h = throughBlocks(inputEmbeddings ?? this.embed_in.forward(tokens), this.h, cache);
    return this.embed_out.forward(this.final_layer_norm.forward(h));
  }
}

const BUFFERS = [".attention.bias", ".attention.masked_bias", ".attention.rotary_emb.inv_freq"];
/** `gpt_neox` (`mlx_lm.models.gpt_neox`). */
export class Model extends LanguageModel {
  readonly modelType: string = "gpt_neox";
  model: GPTNeoXModel;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    this.model = new GPTNeoXModel(config);
  }
  get layers(): readonly TransformerBlock[] {
    return this.model.h;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    return this.model.forward(tokens, options);
  }
  override sanitize(weights: Weights): Weights {
    const own: Weights = new Map();
    for (const [name, x] of weights) {
      if (BUFFERS.some((suffix) => name.endsWith(suffix))) continue;
      const full = name.startsWith("model.") ? name : `model.${name}`;
      own.set(full.replaceAll(".gpt_neox.layers.", ".h.").replaceAll(".gpt_neox.", "."), x);
    }
    return own;
  }
}
