/**
 * InternLM 2: Llama with one projection that holds, for each key head, its queries, the key and the value.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Embedding, Linear, Module, RMSNorm } from "../../nn/mod.ts";
import { swiglu } from "../activations.ts";
import { fetched, scaledDotProductAttention } from "../attention.ts";
import { headSizes, joined, throughBlocks } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import {
  type ForwardOptions,
  LanguageModel,
  type Projection,
  type TokenEmbedding,
  type Weights,
  withoutWeights,
} from "../model.ts";
import { initializeRope, type Rope, ropeConfig } from "../rope.ts";

class Attention extends Module {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  wqkv: Projection;
  wo: Projection;
  readonly rope: Rope;
  constructor(c: Config) {
    super();
    const { hidden, heads, kvHeads } = headSizes(c), size = Math.floor(hidden / heads), bias = c.flag("bias", true);
    [this.heads, this.kvHeads, this.headDim] = [heads, kvHeads, size];
    this.wqkv = new Linear(hidden, (heads + 2 * kvHeads) * size, { bias });
    this.wo = new Linear(heads * size, hidden, { bias });
    this.rope = initializeRope({
      ...ropeConfig(c, 10_000),
      dims: size,
      traditional: c.flag("rope_traditional", false),
      maxPositions: c.size("max_position_embeddings", 32768),
    });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const [B = 1, L = 1] = x.shape, { heads, kvHeads, headDim } = this, offset = cache?.position() ?? 0;
    const grouped = this.wqkv.forward(x).reshape([B, L, kvHeads, -1, headDim]), queriesPerKey = heads / kvHeads;
    const [q, k, v] = mx.split(grouped, [queriesPerKey, queriesPerKey + 1], 3);
    const split = (y: NDArray, n: number) => y.reshape([B, L, n, headDim]).transpose([0, 2, 1, 3]);
    const turned = (y: NDArray) => this.rope.forward(y, { offset });
    const seen = fetched(turned(split(k!, kvHeads)), split(v!, kvHeads), cache);
    const y = scaledDotProductAttention(turned(split(q!, heads)), seen, { scale: headDim ** -0.5, mask });
    return this.wo.forward(joined(y));
  }
}
class MLP extends Module {
  w1: Projection;
  w2: Projection;
  w3: Projection;
  constructor(dim: number, hidden: number) {
    super();
    this.w1 = new Linear(dim, hidden, { bias: false });
    this.w2 = new Linear(hidden, dim, { bias: false });
    this.w3 = new Linear(dim, hidden, { bias: false });
  }
  forward(x: NDArray): NDArray {
    return this.w2.forward(swiglu(this.w1.forward(x), this.w3.forward(x)));
  }
}
class TransformerBlock extends Module {
  attention: Attention;
  feed_forward: MLP;
  attention_norm: RMSNorm;
  ffn_norm: RMSNorm;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps");
    this.attention = new Attention(c);
    this.feed_forward = new MLP(hidden, c.size("intermediate_size"));
    this.attention_norm = new RMSNorm(hidden, { eps });
    this.ffn_norm = new RMSNorm(hidden, { eps });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const h = x.add(this.attention.forward(this.attention_norm.forward(x), mask, cache));
    return h.add(this.feed_forward.forward(this.ffn_norm.forward(h)));
  }
}
class InternLM2Model extends Module {
  tok_embeddings: TokenEmbedding;
  layers: TransformerBlock[];
  norm: RMSNorm;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size");
    this.tok_embeddings = new Embedding(c.size("vocab_size"), hidden);
    this.layers = Array.from({ length: c.size("num_hidden_layers") }, () => new TransformerBlock(c));
    this.norm = new RMSNorm(hidden, { eps: c.number("rms_norm_eps") });
  }
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    return this.norm.forward(throughBlocks(inputEmbeddings ?? this.tok_embeddings.forward(tokens), this.layers, cache));
  }
}

/** `internlm2` (`mlx_lm.models.internlm2`). */
export class Model extends LanguageModel {
  readonly modelType: string = "internlm2";
  model: InternLM2Model;
  output?: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    this.model = new InternLM2Model(config);
    if (!config.flag("tie_word_embeddings", false)) {
      this.output = new Linear(config.size("hidden_size"), config.size("vocab_size"), { bias: false });
    }
  }
  get layers(): readonly TransformerBlock[] {
    return this.model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    const h = this.model.forward(tokens, options);
    return this.output ? this.output.forward(h) : this.model.tok_embeddings.asLinear(h);
  }
  override sanitize(weights: Weights): Weights {
    return withoutWeights(weights, (name) => name.includes("attention.rope.inv_freq"));
  }
}
