/**
 * RecurrentGemma (Griffin): gated linear recurrences, and attention to a sliding window in between.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Embedding, geluApprox, Linear, Module, RoPE, softplus } from "../../nn/mod.ts";
import { ArraysCache, arraysOf, withHistory } from "../arrays_cache.ts";
import { GatedMLP, HeadAttention, throughBlocks } from "../blocks.ts";
import { type Cache, RotatingKVCache } from "../cache.ts";
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
import { OffsetRMSNorm } from "../norms.ts";

/** A causal convolution of each channel. */
class Conv1d extends Module {
  weight: NDArray;
  bias: NDArray;
  constructor(channels: number, kernel: number) {
    super();
    this.weight = mx.zeros([channels, kernel, 1]);
    this.bias = mx.zeros([channels]);
  }
  forward(x: NDArray, cache: ArraysCache | null): NDArray {
    const [channels = 1, kernel = 1] = this.weight.shape;
    return mx.conv1d(withHistory(x, kernel, cache), this.weight, { groups: channels }).add(this.bias);
  }
}
/** The recurrence `h = a h + √(1 - a²) (i x)`, `a = exp(-8 r softplus(p))`, with gates i and r of the input. */
class RGLRU extends Module {
  recurrent_param: NDArray;
  input_gate_weight: NDArray;
  input_gate_bias: NDArray;
  recurrent_gate_weight: NDArray;
  recurrent_gate_bias: NDArray;
  constructor(width: number, readonly heads: number) {
    super();
    const size = width / heads;
    this.recurrent_param = mx.zeros([width]);
    this.input_gate_weight = mx.zeros([heads, size, size]);
    this.input_gate_bias = mx.zeros([heads, size]);
    this.recurrent_gate_weight = mx.zeros([heads, size, size]);
    this.recurrent_gate_bias = mx.zeros([heads, size]);
  }
  /** A linear layer by heads, and a sigmoid. */
  #gate(x: NDArray, weight: NDArray, bias: NDArray): NDArray {
    const [B = 1, L = 1] = x.shape, heads = x.reshape([B, L, this.heads, -1]).swapaxes(1, 2);
    return heads.matmul(weight).swapaxes(1, 2).add(bias).sigmoid().reshape([B, L, -1]);
  }
  forward(x: NDArray, cache: ArraysCache | null): NDArray {
    const L = x.shape[1]!, input = this.#gate(x, this.input_gate_weight, this.input_gate_bias);
    const gate = this.#gate(x, this.recurrent_gate_weight, this.recurrent_gate_bias);
    const logA = gate.multiply(softplus(this.recurrent_param)).multiply(-8),
      a = logA.exp(),
      before = cache?.get(1) ?? null;
    const factor = mx.subtract(1, logA.multiply(2).exp()).sqrt();
    // Before the first token there is nothing to share with.
    const isFirst = mx.arange(L).equal(0).expandDims(-1), shares = before ? factor : mx.where(isFirst, 1, factor);
    const added = x.multiply(input).multiply(shares.astype(x.dtype)), ys: NDArray[] = [];
    let h = before;
    for (let t = 0; t < L; t++) {
      const own = added.index(mx.slice(null), t);
      h = h ? a.index(mx.slice(null), t).multiply(h).add(own) : own;
      ys.push(h);
    }
    if (h) cache?.set(1, h);
    return mx.stack(ys, 1);
  }
}
class RecurrentBlock extends Module {
  linear_y: Projection;
  linear_x: Projection;
  linear_out: Projection;
  conv_1d: Conv1d;
  rg_lru: RGLRU;
  constructor(c: Config) {
    super();
    const width = c.size("hidden_size");
    this.linear_y = new Linear(width, width);
    this.linear_x = new Linear(width, width);
    this.linear_out = new Linear(width, width);
    this.conv_1d = new Conv1d(width, 4);
    this.rg_lru = new RGLRU(width, c.size("num_attention_heads"));
  }
  forward(x: NDArray, _mask: Mask, cache: Cache | null): NDArray {
    const arrays = arraysOf(cache), y = geluApprox(this.linear_y.forward(x));
    const h = this.rg_lru.forward(this.conv_1d.forward(this.linear_x.forward(x), arrays), arrays);
    arrays?.advance(x.shape[1]!);
    return this.linear_out.forward(h.multiply(y));
  }
}
function localAttention(c: Config): HeadAttention {
  const hidden = c.size("hidden_size"), heads = c.size("num_attention_heads"), headDim = Math.floor(hidden / heads);
  const rope = new RoPE(Math.floor(headDim / 2));
  return new HeadAttention({ hidden, heads, kvHeads: 1, headDim }, rope, { outBias: true });
}
class ResidualBlock extends Module {
  temporal_pre_norm: OffsetRMSNorm;
  temporal_block: RecurrentBlock | HeadAttention;
  channel_pre_norm: OffsetRMSNorm;
  mlp_block: GatedMLP;
  readonly window: number | null;
  constructor(c: Config, readonly isRecurrent: boolean) {
    super();
    const width = c.size("hidden_size"), size = Math.floor(c.size("intermediate_size") / 2);
    this.window = isRecurrent ? null : c.size("attention_window_size");
    this.temporal_pre_norm = new OffsetRMSNorm(width, 1e-5);
    this.temporal_block = isRecurrent ? new RecurrentBlock(c) : localAttention(c);
    this.channel_pre_norm = new OffsetRMSNorm(width, 1e-5);
    this.mlp_block = new GatedMLP(width, size, { bias: true, activation: geluApprox });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const h = x.add(this.temporal_block.forward(this.temporal_pre_norm.forward(x), mask, cache));
    return h.add(this.mlp_block.forward(this.channel_pre_norm.forward(h)));
  }
}
class Griffin extends Module {
  embed_tokens: TokenEmbedding;
  layers: ResidualBlock[];
  final_norm: OffsetRMSNorm;
  readonly scale: number;
  constructor(c: Config) {
    super();
    const width = c.size("hidden_size"), types = c.texts("block_types", null) ?? c.texts<never>("_block_types");
    this.embed_tokens = new Embedding(c.size("vocab_size"), width);
    this.layers = Array.from(
      { length: c.size("num_hidden_layers") },
      (_, i) => new ResidualBlock(c, types[i % types.length] === "recurrent"),
    );
    this.final_norm = new OffsetRMSNorm(width, c.number("rms_norm_eps"));
    this.scale = c.flag("embeddings_scale_by_sqrt_dim", true) ? Math.sqrt(width) : 1;
  }
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    const x = (inputEmbeddings ?? this.embed_tokens.forward(tokens)).multiply(mx.float(this.scale));
    return this.final_norm.forward(throughBlocks(x, this.layers, cache));
  }
}

/** `recurrent_gemma` (`mlx_lm.models.recurrent_gemma`). */
export class Model extends LanguageModel {
  readonly modelType: string = "recurrent_gemma";
  /** Logits are bent into this range; 0: they are not. */
  readonly cap: number;
  readonly windowSize: number;
  model: Griffin;
  lm_head?: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    this.cap = config.number("logits_soft_cap", 0);
    this.windowSize = config.size("attention_window_size");
    this.model = new Griffin(config);
    this.lm_head = new Linear(config.size("hidden_size"), config.size("vocab_size"), { bias: false });
  }
  get layers(): readonly ResidualBlock[] {
    return this.model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    const h = this.model.forward(tokens, options);
    const logits = this.lm_head ? this.lm_head.forward(h) : this.model.embed_tokens.asLinear(h),
      cap = mx.float(this.cap);
    return this.cap ? logits.divide(cap).tanh().multiply(cap) : logits;
  }
  override makeCache(): Cache[] {
    return this.layers.map((layer) => layer.isRecurrent ? new ArraysCache(2) : new RotatingKVCache(this.windowSize));
  }
  /** Without a head among the weights the embeddings are the head. */
  override sanitize(weights: Weights): Weights {
    if (!weights.has("lm_head.weight")) delete this.lm_head;
    return withOwnKernels(weights, "conv_1d.weight");
  }
}
