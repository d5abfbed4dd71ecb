/**
 * LFM 2: most layers are gated short convolutions, some attend.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { Embedding, Linear, Module, RMSNorm } from "../../nn/mod.ts";
import { swiglu } from "../activations.ts";
import { ArraysCache, arraysOf } from "../arrays_cache.ts";
import { throughBlocks } from "../blocks.ts";
import { type Cache, KVCache } from "../cache.ts";
import type { Config } from "../config.ts";
import { attendsAt, LfmAttention, ShortConv } from "../lfm.ts";
import type { Mask } from "../mask.ts";
import {
  type ForwardOptions,
  LanguageModel,
  type Projection,
  type TokenEmbedding,
  type Weights,
  withOwnKernels,
} from "../model.ts";

class MLP extends Module {
  w1: Projection;
  w3: Projection;
  w2: Projection;
  constructor(c: Config) {
    super();
    const dim = c.size("block_dim"), given = c.size("block_ff_dim", null) ?? c.size<never>("intermediate_size");
    const multiple = c.size("block_multiple_of"), factor = c.number("block_ffn_dim_multiplier", 1);
    const adjusted = multiple * Math.ceil(Math.trunc(factor * Math.trunc(2 * given / 3)) / multiple);
    const size = c.flag("block_auto_adjust_ff_dim") ? adjusted : given;
    this.w1 = new Linear(dim, size, { bias: false });
    this.w3 = new Linear(dim, size, { bias: false });
    this.w2 = new Linear(size, dim, { bias: false });
  }
  forward(x: NDArray): NDArray {
    return this.w2.forward(swiglu(this.w1.forward(x), this.w3.forward(x)));
  }
}
class Lfm2DecoderLayer extends Module {
  self_attn?: LfmAttention;
  conv?: ShortConv;
  feed_forward: MLP;
  operator_norm: RMSNorm;
  ffn_norm: RMSNorm;
  readonly isRecurrent: boolean;
  constructor(c: Config, attends: boolean) {
    super();
    const dim = c.size("hidden_size"), eps = c.number("norm_eps");
    this.isRecurrent = !attends;
    if (attends) this.self_attn = new LfmAttention(c);
    else this.conv = new ShortConv(c);
    this.feed_forward = new MLP(c);
    this.operator_norm = new RMSNorm(dim, { eps });
    this.ffn_norm = new RMSNorm(dim, { eps });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const normed = this.operator_norm.forward(x);
    const r = this.self_attn?.forward(normed, mask, cache) ?? this.conv!.forward(normed, arraysOf(cache)), h = x.add(r);
    return h.add(this.feed_forward.forward(this.ffn_norm.forward(h)));
  }
}
class Lfm2Model extends Module {
  embed_tokens: TokenEmbedding;
  layers: Lfm2DecoderLayer[];
  embedding_norm: RMSNorm;
  constructor(c: Config) {
    super();
    const dim = c.size("hidden_size"), attends = attendsAt(c);
    this.embed_tokens = new Embedding(c.size("vocab_size"), dim);
    this.layers = Array.from({ length: c.size("num_hidden_layers") }, (_, i) => new Lfm2DecoderLayer(c, attends(i)));
    this.embedding_norm = new RMSNorm(dim, { eps: c.number("norm_eps") });
  }
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    return this.embedding_norm.forward(
      throughBlocks(inputEmbeddings ?? this.embed_tokens.forward(tokens), this.layers, cache),
    );
  }
}

/** `lfm2` (`mlx_lm.models.lfm2`). */
export class Model extends LanguageModel {
  readonly modelType: string = "lfm2";
  model: Lfm2Model;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    this.model = new Lfm2Model(config);
  }
  get layers(): readonly Lfm2DecoderLayer[] {
    return this.model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    return this.model.embed_tokens.asLinear(this.model.forward(tokens, options));
  }
  override makeCache(): Cache[] {
    return this.layers.map((layer) => layer.isRecurrent ? new ArraysCache(1) : new KVCache());
  }
  override sanitize(weights: Weights): Weights {
    return withOwnKernels(weights, "conv.weight");
  }
}
