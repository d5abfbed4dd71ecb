/**
 * Llama, and what is built like it: grouped queries, rotary positions, a gated MLP, norms before each part. Layers may
 * attend to a sliding window only.
 * @module
 */
import { PreNormBlock } from "../blocks.ts";
import type { NDArray } from "../../core/mod.ts";
import { Embedding, Linear, Module, RMSNorm } from "../../nn/mod.ts";
import { swiglu } from "../activations.ts";
import { fetched, scaledDotProductAttention } from "../attention.ts";
import { type Cache, KVCache, RotatingKVCache } from "../cache.ts";
import type { Config } from "../config.ts";
import { attentionMask, type Mask } from "../mask.ts";
import {
  type ForwardOptions,
  LanguageModel,
  type Projection,
  type TokenEmbedding,
  type Weights,
  withoutWeights,
} from "../model.ts";
import { initializeRope, type Rope, ropeConfig } from "../rope.ts";

/** The fields of config.json that are read. */
interface ModelArgs {
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly intermediate_size: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly rms_norm_eps: number;
  readonly vocab_size: number;
  readonly attention_bias: boolean;
  readonly mlp_bias: boolean;
  readonly tie_word_embeddings: boolean;
  readonly layer_types: readonly string[];
  readonly sliding_window: number | null;
}
function modelArgs(c: Config): ModelArgs {
  const hidden = c.size("hidden_size"), heads = c.size("num_attention_heads"), layers = c.size("num_hidden_layers");
  const types = c.texts("layer_types", null) ?? new Array<string>(layers).fill("full_attention");
  if (types.length !== layers) c.refuse("layer_types", `${layers} entries`, `${types.length}`);
  return {
    hidden_size: hidden,
    num_hidden_layers: layers,
    intermediate_size: c.size("intermediate_size"),
    num_attention_heads: heads,
    num_key_value_heads: c.size("num_key_value_heads", heads),
    head_dim: c.size("head_dim", Math.floor(hidden / heads)),
    rms_norm_eps: c.number("rms_norm_eps"),
    vocab_size: c.size("vocab_size"),
    attention_bias: c.flag("attention_bias", false),
    mlp_bias: c.flag("mlp_bias", false),
    tie_word_embeddings: c.flag("tie_word_embeddings", true),
    layer_types: types,
    sliding_window: types.includes("sliding_attention") ? c.size("sliding_window") : null,
  };
}

class Attention extends Module {
  readonly heads: number;
  readonly kvHeads: number;
  readonly scale: number;
  q_proj: Projection;
  k_proj: Projection;
  v_proj: Projection;
  o_proj: Projection;
  /** Null: positions are not seen. */
  rope: Rope | null;
  constructor(config: Config, a: ModelArgs) {
    super();
    [this.heads, this.kvHeads] = [a.num_attention_heads, a.num_key_value_heads];
    const dim = a.hidden_size, size = a.head_dim, bias = a.attention_bias;
    this.scale = size ** -0.5;
    this.q_proj = new Linear(dim, this.heads * size, { bias });
    this.k_proj = new Linear(dim, this.kvHeads * size, { bias });
    this.v_proj = new Linear(dim, this.kvHeads * size, { bias });
    this.o_proj = new Linear(this.heads * size, dim, { bias });
    this.rope = initializeRope({
      ...ropeConfig(config, 10_000),
      dims: size,
      traditional: config.flag("rope_traditional", false),
      maxPositions: config.size("max_position_embeddings", null),
    });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const [B = 1, L = 1] = x.shape, offset = cache?.position() ?? 0;
    const split = (y: NDArray, heads: number) => y.reshape([B, L, heads, -1]).transpose([0, 2, 1, 3]);
    const turned = (y: NDArray) => this.rope ? this.rope.forward(y, { offset }) : y;
    const queries = turned(split(this.q_proj.forward(x), this.heads));
    const keys = turned(split(this.k_proj.forward(x), this.kvHeads));
    const seen = fetched(keys, split(this.v_proj.forward(x), this.kvHeads), cache);
    const y = scaledDotProductAttention(queries, seen, { scale: this.scale, mask });
    return this.o_proj.forward(y.transpose([0, 2, 1, 3]).reshape([B, L, -1]));
  }
}

class MLP extends Module {
  gate_proj: Projection;
  down_proj: Projection;
  up_proj: Projection;
  constructor({ hidden_size: dim, intermediate_size: hidden, mlp_bias: bias }: ModelArgs) {
    super();
    this.gate_proj = new Linear(dim, hidden, { bias });
    this.down_proj = new Linear(hidden, dim, { bias });
    this.up_proj = new Linear(dim, hidden, { bias });
  }
  forward(x: NDArray): NDArray {
    return this.down_proj.forward(swiglu(this.gate_proj.forward(x), this.up_proj.forward(x)));
  }
}

class TransformerBlock extends PreNormBlock {
  self_attn: Attention;
  mlp: MLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(config: Config, a: ModelArgs, readonly useSliding: boolean) {
    super();
    this.self_attn = new Attention(config, a);
    this.mlp = new MLP(a);
    this.input_layernorm = new RMSNorm(a.hidden_size, { eps: a.rms_norm_eps });
    this.post_attention_layernorm = new RMSNorm(a.hidden_size, { eps: a.rms_norm_eps });
  }
}

class LlamaModel extends Module {
  embed_tokens: TokenEmbedding;
  layers: TransformerBlock[];
  norm: RMSNorm;
  readonly slidingWindow: number | null;
  constructor(config: Config, a: ModelArgs) {
    super();
    this.embed_tokens = new Embedding(a.vocab_size, a.hidden_size);
    this.layers = a.layer_types.map((type) => new TransformerBlock(config, a, type === "sliding_attention"));
    this.norm = new RMSNorm(a.hidden_size, { eps: a.rms_norm_eps });
    this.slidingWindow = a.sliding_window;
  }
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    let h = inputEmbeddings ?? this.embed_tokens.forward(tokens);
    // One mask for all layers of a kind: their caches are at the same position.
    const maskOf = (sliding: boolean): Mask => {
      const i = this.layers.findIndex((layer) => layer.useSliding === sliding);
      return i < 0 ? null : attentionMask(h, cache?.[i] ?? null, sliding ? this.slidingWindow : null);
    };
    const full = maskOf(false), sliding = maskOf(true);
    this.layers.forEach((layer, i) => h = layer.forward(h, layer.useSliding ? sliding : full, cache?.[i] ?? null));
    return this.norm.forward(h);
  }
}

/** `llama` (`mlx_lm.models.llama`). */
export class Model extends LanguageModel {
  readonly modelType: string = "llama";
  model: LlamaModel;
  lm_head?: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    const a = modelArgs(config);
    this.model = new LlamaModel(config, a);
    if (!a.tie_word_embeddings) this.lm_head = new Linear(a.hidden_size, a.vocab_size, { bias: false });
  }
  get layers(): readonly TransformerBlock[] {
    return this.model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    const h = this.model.forward(tokens, options);
    return this.lm_head ? this.lm_head.forward(h) : this.model.embed_tokens.asLinear(h);
  }
  override makeCache(): Cache[] {
    const window = this.model.slidingWindow;
    return this.layers.map((l) => l.useSliding && window !== null ? new RotatingKVCache(window) : new KVCache());
  }
  override sanitize(weights: Weights): Weights {
    const isTied = !this.lm_head;
    return withoutWeights(weights, (k) => k.includes("rotary_emb.inv_freq") || (isTied && k === "lm_head.weight"));
  }
}
