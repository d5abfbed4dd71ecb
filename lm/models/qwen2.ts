/**
 * Qwen 2 and 2.5: Llama with biases in the projections of queries, keys and values.
 * @module
 */
import { PreNormBlock } from "../blocks.ts";
import type { NDArray } from "../../core/mod.ts";
import { Embedding, Linear, Module, RMSNorm } from "../../nn/mod.ts";
import { swiglu } from "../activations.ts";
import { fetched, scaledDotProductAttention } from "../attention.ts";
import type { Cache } from "../cache.ts";
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
  readonly rms_norm_eps: number;
  readonly vocab_size: number;
  readonly tie_word_embeddings: boolean;
}
function modelArgs(c: Config): ModelArgs {
  return {
    hidden_size: c.size("hidden_size"),
    num_hidden_layers: c.size("num_hidden_layers"),
    intermediate_size: c.size("intermediate_size"),
    num_attention_heads: c.size("num_attention_heads"),
    num_key_value_heads: c.size("num_key_value_heads"),
    rms_norm_eps: c.number("rms_norm_eps"),
    vocab_size: c.size("vocab_size"),
    tie_word_embeddings: c.flag("tie_word_embeddings", true),
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
  readonly rope: Rope;
  constructor(config: Config, a: ModelArgs) {
    super();
    [this.heads, this.kvHeads] = [a.num_attention_heads, a.num_key_value_heads];
    const dim = a.hidden_size, size = Math.floor(dim / this.heads);
    this.scale = size ** -0.5;
    this.q_proj = new Linear(dim, this.heads * size);
    this.k_proj = new Linear(dim, this.kvHeads * size);
    this.v_proj = new Linear(dim, this.kvHeads * size);
    this.o_proj = new Linear(this.heads * size, dim, { bias: false });
    this.rope = initializeRope({
      ...ropeConfig(config, 1_000_000),
      dims: size,
      traditional: config.flag("rope_traditional", false),
      maxPositions: config.size("max_position_embeddings", 32768),
    });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const [B = 1, L = 1] = x.shape, offset = cache?.position() ?? 0;
    const split = (y: NDArray, heads: number) => y.reshape([B, L, heads, -1]).transpose([0, 2, 1, 3]);
    const queries = this.rope.forward(split(this.q_proj.forward(x), this.heads), { offset });
    const keys = this.rope.forward(split(this.k_proj.forward(x), this.kvHeads), { offset });
    const seen = fetched(keys, split(this.v_proj.forward(x), this.kvHeads), cache);
    const y = scaledDotProductAttention(queries, seen, { scale: this.scale, mask });
    return this.o_proj.forward(y.transpose([0, 2, 1, 3]).reshape([B, L, -1]));
  }
}

class MLP extends Module {
  gate_proj: Projection;
  down_proj: Projection;
  up_proj: Projection;
  constructor({ hidden_size: dim, intermediate_size: hidden }: ModelArgs) {
    super();
    const bias = false;
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
  constructor(config: Config, a: ModelArgs) {
    super();
    this.self_attn = new Attention(config, a);
    this.mlp = new MLP(a);
    this.input_layernorm = new RMSNorm(a.hidden_size, { eps: a.rms_norm_eps });
    this.post_attention_layernorm = new RMSNorm(a.hidden_size, { eps: a.rms_norm_eps });
  }
}

class Qwen2Model extends Module {
  embed_tokens: TokenEmbedding;
  layers: TransformerBlock[];
  norm: RMSNorm;
  constructor(config: Config, a: ModelArgs) {
    super();
    this.embed_tokens = new Embedding(a.vocab_size, a.hidden_size);
    this.layers = Array.from({ length: a.num_hidden_layers }, () => new TransformerBlock(config, a));
    this.norm = new RMSNorm(a.hidden_size, { eps: a.rms_norm_eps });
  }
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    let h = inputEmbeddings ?? this.embed_tokens.forward(tokens);
    const mask = attentionMask(h, cache?.[0] ?? null);
    this.layers.forEach((layer, i) => h = layer.forward(h, mask, cache?.[i] ?? null));
    return this.norm.forward(h);
  }
}

/** `qwen2` (`mlx_lm.models.qwen2`). */
export class Model extends LanguageModel {
  readonly modelType: string = "qwen2";
  model: Qwen2Model;
  lm_head?: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    const a = modelArgs(config);
    this.model = new Qwen2Model(config, a);
    if (!a.tie_word_embeddings) this.lm_head = new Linear(a.hidden_size, a.vocab_size, { bias: false });
  }
  get layers(): readonly TransformerBlock[] {
    return this.model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    const h = this.model.forward(tokens, options);
    return this.lm_head ? this.lm_head.forward(h) : this.model.embed_tokens.asLinear(h);
  }
  override sanitize(weights: Weights): Weights {
    const isTied = !this.lm_head;
    return withoutWeights(weights, (k) => k.includes("rotary_emb.inv_freq") || (isTied && k === "lm_head.weight"));
  }
}
