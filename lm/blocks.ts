/**
 * What many architectures share: attention with separate projections, the gated MLP, the stack of blocks between tokens
 * and logits. An architecture that differs in more than these say writes its own class in its file.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { Embedding, Linear, Module, RMSNorm, silu } from "../nn/mod.ts";
import { swiglu } from "./activations.ts";
import { fetched, scaledDotProductAttention } from "./attention.ts";
import type { Cache } from "./cache.ts";
import type { Config } from "./config.ts";
import { attentionMask, type Mask } from "./mask.ts";
import {
  type ForwardOptions,
  LanguageModel,
  type Projection,
  type TokenEmbedding,
  type Weights,
  withoutWeights,
} from "./model.ts";
import type { Rope } from "./rope.ts";

/** [B, L, heads D] -> [B, heads, L, D]. */
export function byHeads(x: NDArray, heads: number): NDArray {
  return x.reshape([...x.shape.slice(0, 2), heads, -1]).transpose([0, 2, 1, 3]);
}
/** [B, heads, L, D] -> [B, L, heads D]. */
export function joined(x: NDArray): NDArray {
  return x.transpose([0, 2, 1, 3]).reshape([x.shape[0]!, x.shape[2]!, -1]);
}

/** Sizes of an attention layer. */
export interface HeadSizes {
  /** Features of the model. */
  readonly hidden: number;
  /** Heads of the queries. */
  readonly heads: number;
  /** Heads of the keys and values. */
  readonly kvHeads: number;
  /** Features of a head. */
  readonly headDim: number;
}
/** The sizes under their usual names in config.json. */
export function headSizes(c: Config): HeadSizes {
  const hidden = c.size("hidden_size"), heads = c.size("num_attention_heads");
  const kvHeads = c.size("num_key_value_heads", heads), headDim = c.size("head_dim", Math.floor(hidden / heads));
  return { hidden, heads, kvHeads, headDim };
}
/** Options of {@linkcode HeadAttention}. */
export interface HeadAttentionOptions {
  /** Biases of the projections. Default false. */
  readonly bias?: boolean;
  /** Bias of the last one. Default: as the others. */
  readonly outBias?: boolean;
  /** Factor of the scores. Default `1 / √headDim`. */
  readonly scale?: number;
}
/**
 * Attention whose projections are named q_proj, k_proj, v_proj and o_proj; a subclass may normalise or convert between.
 */
export class HeadAttention extends Module {
  readonly heads: number;
  readonly kvHeads: number;
  readonly scale: number;
  q_proj: Projection;
  k_proj: Projection;
  v_proj: Projection;
  o_proj: Projection;
  /** One score per head that takes part in the softmax and has no value. */
  sinks?: NDArray;
  /** Without rope positions are not seen. */
  constructor(
    { hidden, heads, kvHeads, headDim }: HeadSizes,
    readonly rope: Rope | null,
    o: HeadAttentionOptions = {},
  ) {
    super();
    const { bias = false, outBias = bias, scale = headDim ** -0.5 } = o;
    [this.heads, this.kvHeads, this.scale] = [heads, kvHeads, scale];
    this.q_proj = new Linear(hidden, heads * headDim, { bias });
    this.k_proj = new Linear(hidden, kvHeads * headDim, { bias });
    this.v_proj = new Linear(hidden, kvHeads * headDim, { bias });
    this.o_proj = new Linear(heads * headDim, hidden, { bias: outBias });
  }
  /** Queries [B, heads, L, D] before the rotation. */
  queries(x: NDArray): NDArray {
    return byHeads(this.q_proj.forward(x), this.heads);
  }
  /** Keys [B, kvHeads, L, D] before the rotation. */
  keys(x: NDArray): NDArray {
    return byHeads(this.k_proj.forward(x), this.kvHeads);
  }
  /** The dtype that scores are computed in. */
  precision(dtype: mx.DType): mx.DType {
    return dtype;
  }
  /** x [B, L, hidden] -> [B, L, hidden]. */
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const offset = cache?.position() ?? 0, turned = (y: NDArray) => this.rope ? this.rope.forward(y, { offset }) : y;
    const queries = turned(this.queries(x)), seen = fetched(turned(this.keys(x)), this.values(x), cache);
    const how = { scale: this.scale, mask, sinks: this.sinks ?? null };
    const y = scaledDotProductAttention(queries.astype(this.precision(queries.dtype)), seen, how);
    return this.o_proj.forward(joined(y.astype(x.dtype)));
  }
  /** Values [B, kvHeads, L, D]. */
  values(x: NDArray): NDArray {
    return byHeads(this.v_proj.forward(x), this.kvHeads);
  }
}

/** Options of {@linkcode GatedMLP}. */
export interface GatedMLPOptions {
  /** Biases of all three. Default false. */
  readonly bias?: boolean;
  /** Of the gate. Default silu. */
  readonly activation?: (x: NDArray) => NDArray;
}
/** `down(activation(gate(x)) up(x))`, with the names gate_proj, up_proj and down_proj. */
export class GatedMLP extends Module {
  gate_proj: Projection;
  down_proj: Projection;
  up_proj: Projection;
  readonly #activation: (x: NDArray) => NDArray;
  constructor(dim: number, hidden: number, { bias = false, activation = silu }: GatedMLPOptions = {}) {
    super();
    this.#activation = activation;
    this.gate_proj = new Linear(dim, hidden, { bias });
    this.down_proj = new Linear(hidden, dim, { bias });
    this.up_proj = new Linear(dim, hidden, { bias });
  }
  forward(x: NDArray): NDArray {
    return this.down_proj.forward(this.#activation(this.gate_proj.forward(x)).multiply(this.up_proj.forward(x)));
  }
}

/** {@linkcode GatedMLP} with one projection for the gate and what it gates, gate_up_proj. */
export class FusedMLP extends Module {
  gate_up_proj: Projection;
  down_proj: Projection;
  constructor(dim: number, hidden: number) {
    super();
    this.gate_up_proj = new Linear(dim, 2 * hidden, { bias: false });
    this.down_proj = new Linear(hidden, dim, { bias: false });
  }
  forward(x: NDArray): NDArray {
    const [gate, up] = mx.split(this.gate_up_proj.forward(x), 2, -1);
    return this.down_proj.forward(swiglu(gate!, up!));
  }
}

/** One layer of a model: attention and what follows it. */
export type Block = Module & {
  /** How many tokens its attention sees; absent or null: all. */
  readonly window?: number | null;
  /** It does not attend, and needs no mask. */
  readonly isRecurrent?: boolean;
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray;
};
/**
 * The block of most architectures: `h = x + self_attn(input_layernorm(x))`, then
 * `h + mlp(post_attention_layernorm(h))`. A subclass makes the four.
 */
export abstract class PreNormBlock extends Module {
  abstract self_attn: { forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray };
  abstract mlp: { forward(x: NDArray): NDArray };
  abstract input_layernorm: { forward(x: NDArray): NDArray };
  abstract post_attention_layernorm: { forward(x: NDArray): NDArray };
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const h = x.add(this.self_attn.forward(this.input_layernorm.forward(x), mask, cache));
    return h.add(this.mlp.forward(this.post_attention_layernorm.forward(h)));
  }
}
/** Runs x [B, L, hidden] through the blocks. Blocks of one window share a mask: their caches are at one position. */
export function throughBlocks(x: NDArray, blocks: readonly Block[], cache: readonly Cache[] | null): NDArray {
  const masks = new Map<number | null, Mask>();
  let h = x;
  blocks.forEach((block, i) => {
    const own = cache?.[i] ?? null, window = block.window ?? null;
    if (!block.isRecurrent && !masks.has(window)) masks.set(window, attentionMask(h, own, window));
    h = block.forward(h, block.isRecurrent ? null : masks.get(window) ?? null, own);
  });
  return h;
}
/** Embedding, blocks and the last norm, under the names embed_tokens, layers and norm. */
export class Stack<B extends Block> extends Module {
  embed_tokens: TokenEmbedding;
  layers: B[];
  norm: Projection;
  /** What embeddings are multiplied by. */
  readonly embeddingScale: number;
  constructor(config: Config, layer: (i: number) => B, norm: Projection, embeddingScale: number = 1) {
    super();
    this.embed_tokens = new Embedding(config.size("vocab_size"), config.size("hidden_size"));
    this.layers = Array.from({ length: config.size("num_hidden_layers") }, (_, i) => layer(i));
    this.norm = norm;
    this.embeddingScale = embeddingScale;
  }
  /** Tokens [B, L] to features [B, L, hidden]. */
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    const h = inputEmbeddings ?? this.embed_tokens.forward(tokens);
    const scaled = this.embeddingScale === 1 ? h : h.multiply(mx.float(this.embeddingScale));
    return this.norm.forward(throughBlocks(scaled, this.layers, cache));
  }
}
/** How a model differs from a plain stack with a head. */
export interface StackedOptions {
  /** Whether the embedding is the head, too. */
  readonly tied: boolean;
  /** The last norm. Default: an RMSNorm with the config's `rms_norm_eps`. */
  readonly norm?: Projection;
  /** What embeddings are multiplied by. Default 1. */
  readonly embeddingScale?: number;
}
/** A language model of a {@linkcode Stack} and a head, under the names model and lm_head. */
export abstract class StackedModel<B extends Block> extends LanguageModel {
  model: Stack<B>;
  /** Absent: the embedding's weights serve. */
  lm_head?: Projection;
  constructor(c: Config, layer: (i: number) => B, { tied, norm, embeddingScale = 1 }: StackedOptions) {
    super();
    const hidden = c.size("hidden_size"), last = norm ?? new RMSNorm(hidden, { eps: c.number("rms_norm_eps") });
    this.model = new Stack(c, layer, last, embeddingScale);
    if (!tied) this.lm_head = new Linear(hidden, c.size("vocab_size"), { bias: false });
  }
  get layers(): readonly B[] {
    return this.model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    return this.logits(this.model.forward(tokens, options));
  }
  /** Features [B, L, hidden] to logits [B, L, vocabulary]. */
  logits(h: NDArray): NDArray {
    return this.lm_head ? this.lm_head.forward(h) : this.model.embed_tokens.asLinear(h);
  }
  /** Drops a head that the model does not have, plain or quantized. */
  override sanitize(weights: Weights): Weights {
    return this.lm_head ? weights : withoutWeights(weights, (name) => name.startsWith("lm_head."));
  }
}
