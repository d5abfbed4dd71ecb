/**
 * LFM 2 MoE: LFM 2 whose MLP is a mixture of experts after the first layers.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Embedding, Linear, Module, RMSNorm } from "../../nn/mod.ts";
import { ArraysCache, arraysOf } from "../arrays_cache.ts";
import { GatedMLP, throughBlocks } from "../blocks.ts";
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
import { stackedExperts, SwitchGLU, topIndices, weighted } from "../moe.ts";

class SparseMoeBlock extends Module {
  readonly chosen: number;
  readonly normalizes: boolean;
  readonly factor: number;
  gate: Projection;
  switch_mlp: SwitchGLU;
  /** Counts for the choice only. */
  expert_bias?: NDArray;
  constructor(c: Config) {
    super();
    const dim = c.size("hidden_size"), experts = c.size("num_experts");
    this.chosen = c.size("num_experts_per_tok");
    this.normalizes = c.flag("norm_topk_prob");
    this.factor = c.number("routed_scaling_factor", 1);
    this.gate = new Linear(dim, experts, { bias: false });
    this.switch_mlp = new SwitchGLU(dim, c.size("moe_intermediate_size"), experts);
    if (c.flag("use_expert_bias")) this.expert_bias = mx.zeros([experts]);
  }
  forward(x: NDArray): NDArray {
    const all = this.gate.forward(x).sigmoid(), bias = this.expert_bias;
    const indices = topIndices(bias ? all.astype(mx.float32).add(bias) : all, this.chosen);
    const scores = mx.takeAlongAxis(all, indices, -1), sum = scores.sum(-1, { keepdims: true }).add(mx.float(1e-6));
    const shares = (this.normalizes ? scores.divide(sum) : scores).multiply(mx.float(this.factor)).astype(x.dtype);
    return weighted(this.switch_mlp.forward(x, indices), shares);
  }
}
class DecoderLayer extends Module {
  self_attn?: LfmAttention;
  conv?: ShortConv;
  feed_forward: GatedMLP | SparseMoeBlock;
  operator_norm: RMSNorm;
  ffn_norm: RMSNorm;
  readonly isRecurrent: boolean;
  constructor(c: Config, i: number, attends: boolean) {
    super();
    const dim = c.size("hidden_size"), eps = c.number("norm_eps"), isDense = i < c.number("num_dense_layers");
    this.isRecurrent = !attends;
    if (attends) this.self_attn = new LfmAttention(c);
    else this.conv = new ShortConv(c);
    this.feed_forward = isDense ? new GatedMLP(dim, c.size("intermediate_size")) : new SparseMoeBlock(c);
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
  layers: DecoderLayer[];
  embedding_norm: RMSNorm;
  constructor(c: Config) {
    super();
    const dim = c.size("hidden_size"), attends = attendsAt(c);
    this.embed_tokens = new Embedding(c.size("vocab_size"), dim);
    this.layers = Array.from({ length: c.size("num_hidden_layers") }, (_, i) => new DecoderLayer(c, i, attends(i)));
    this.embedding_norm = new RMSNorm(dim, { eps: c.number("norm_eps") });
  }
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    const h = inputEmbeddings ?? this.embed_tokens.forward(tokens);
    return this.embedding_norm.forward(throughBlocks(h, this.layers, cache));
  }
}

const NAMES: Readonly<Record<string, string>> = { w1: "gate_proj", w2: "down_proj", w3: "up_proj" };
/** `lfm2_moe` (`mlx_lm.models.lfm2_moe`). */
export class Model extends LanguageModel {
  readonly modelType: string = "lfm2_moe";
  model: Lfm2Model;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    this.model = new Lfm2Model(config);
  }
  get layers(): readonly DecoderLayer[] {
    return this.model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    return this.model.embed_tokens.asLinear(this.model.forward(tokens, options));
  }
  override makeCache(): Cache[] {
    return this.layers.map((layer) => layer.isRecurrent ? new ArraysCache(1) : new KVCache());
  }
  override sanitize(weights: Weights): Weights {
    const own = [...withOwnKernels(weights, "conv.weight")].map(([name, x]) =>
      [name.replace(/\b(w[123])(?=\.weight$)/, (w) => NAMES[w] ?? w), x] as const
    );
    return stackedExperts(new Map(own));
  }
}
