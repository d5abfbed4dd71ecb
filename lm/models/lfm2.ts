/**
 * LFM 2: most layers are gated short convolutions, some attend.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Conv1d, Embedding, Linear, Module, RMSNorm, RoPE } from "../../nn/mod.ts";
import { swiglu } from "../activations.ts";
import { ArraysCache, arraysOf, withHistory } from "../arrays_cache.ts";
import { fetched, scaledDotProductAttention } from "../attention.ts";
import { byHeads, headSizes, joined, throughBlocks } from "../blocks.ts";
import { type Cache, KVCache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import {
  type ForwardOptions,
  LanguageModel,
  type Projection,
  type TokenEmbedding,
  type Weights,
  withOwnKernels,
} from "../model.ts";
import type { Rope } from "../rope.ts";

class Attention extends Module {
  readonly heads: number;
  readonly kvHeads: number;
  q_layernorm: RMSNorm;
  k_layernorm: RMSNorm;
  q_proj: Projection;
  k_proj: Projection;
  v_proj: Projection;
  out_proj: Projection;
  readonly rope: Rope;
  constructor(c: Config) {
    super();
    const { hidden, heads, kvHeads } = headSizes(c), size = Math.floor(hidden / heads), bias = false;
    [this.heads, this.kvHeads] = [heads, kvHeads];
    this.q_layernorm = new RMSNorm(size, { eps: c.number("norm_eps") });
    this.k_layernorm = new RMSNorm(size, { eps: c.number("norm_eps") });
    this.q_proj = new Linear(hidden, heads * size, { bias });
    this.k_proj = new Linear(hidden, kvHeads * size, { bias });
    this.v_proj = new Linear(hidden, kvHeads * size, { bias });
    this.out_proj = new Linear(heads * size, hidden, { bias });
    // Here the nested field has precedence.
    const nested = c.object("rope_parameters", null)?.number("rope_theta", null) ?? null;
    this.rope = new RoPE(size, { base: nested ?? c.number("rope_theta", 1_000_000) });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const offset = cache?.position() ?? 0, turned = (y: NDArray) => this.rope.forward(y, { offset });
    const queries = turned(this.q_layernorm.forward(byHeads(this.q_proj.forward(x), this.heads)));
    const keys = turned(this.k_layernorm.forward(byHeads(this.k_proj.forward(x), this.kvHeads)));
    const seen = fetched(keys, byHeads(this.v_proj.forward(x), this.kvHeads), cache);
    return this.out_proj.forward(
      joined(scaledDotProductAttention(queries, seen, { scale: queries.shape[3]! ** -0.5, mask })),
    );
  }
}
/** `out(c * conv(b * x))` for b, c and x made of the input. */
class ShortConv extends Module {
  readonly kernel: number;
  conv: Conv1d;
  in_proj: Projection;
  out_proj: Projection;
  constructor(c: Config) {
    super();
    const dim = c.size("hidden_size"), bias = c.flag("conv_bias");
    this.kernel = c.size("conv_L_cache");
    this.conv = new Conv1d(dim, dim, this.kernel, { groups: dim, bias });
    this.in_proj = new Linear(dim, 3 * dim, { bias });
    this.out_proj = new Linear(dim, dim, { bias });
  }
  forward(x: NDArray, cache: ArraysCache | null): NDArray {
    const [b, c, y] = mx.split(this.in_proj.forward(x), 3, -1), all = withHistory(b!.multiply(y!), this.kernel, cache);
    cache?.advance(x.shape[1]!);
    return this.out_proj.forward(c!.multiply(this.conv.forward(all)));
  }
}
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
  self_attn?: Attention;
  conv?: ShortConv;
  feed_forward: MLP;
  operator_norm: RMSNorm;
  ffn_norm: RMSNorm;
  readonly isRecurrent: boolean;
  constructor(c: Config, attends: boolean) {
    super();
    const dim = c.size("hidden_size"), eps = c.number("norm_eps");
    this.isRecurrent = !attends;
    if (attends) this.self_attn = new Attention(c);
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
    const dim = c.size("hidden_size"),
      indices = c.numbers("full_attn_idxs", null),
      types = c.texts("layer_types", null);
    const attends = (i: number) => indices ? indices.includes(i) : types?.[i] === "full_attention";
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
