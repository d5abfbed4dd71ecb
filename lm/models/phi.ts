/**
 * Phi 1 and 2: attention and MLP side by side behind one layer norm, positions in a part of each head.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Embedding, geluApprox, LayerNorm, Linear, Module, RoPE } from "../../nn/mod.ts";
import { fetched, scaledDotProductAttention } from "../attention.ts";
import { byHeads, headSizes, joined, throughBlocks } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import { type ForwardOptions, LanguageModel, type Projection } from "../model.ts";
import { type Rope, ropeConfig } from "../rope.ts";

class PhiAttention extends Module {
  readonly heads: number;
  readonly kvHeads: number;
  q_proj: Projection;
  k_proj: Projection;
  v_proj: Projection;
  dense: Projection;
  readonly rope: Rope;
  constructor(c: Config) {
    super();
    const { hidden, heads, kvHeads } = headSizes(c), size = Math.floor(hidden / heads);
    [this.heads, this.kvHeads] = [heads, kvHeads];
    this.q_proj = new Linear(hidden, heads * size);
    this.k_proj = new Linear(hidden, kvHeads * size);
    this.v_proj = new Linear(hidden, kvHeads * size);
    this.dense = new Linear(heads * size, hidden);
    const dims = Math.trunc(size * c.number("partial_rotary_factor", 0.4));
    this.rope = new RoPE(dims, { base: ropeConfig(c, 10_000).base });
  }
  /** Scores are computed in float32. */
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const offset = cache?.position() ?? 0, turned = (y: NDArray) => this.rope.forward(y, { offset });
    const queries = turned(byHeads(this.q_proj.forward(x), this.heads)).astype(mx.float32);
    const keys = turned(byHeads(this.k_proj.forward(x), this.kvHeads)),
      values = byHeads(this.v_proj.forward(x), this.kvHeads);
    const scale = queries.shape[3]! ** -0.5, seen = fetched(keys, values, cache);
    return this.dense.forward(joined(scaledDotProductAttention(queries, seen, { scale, mask }).astype(values.dtype)));
  }
}
class PhiMLP extends Module {
  fc1: Projection;
  fc2: Projection;
  constructor(dim: number, hidden: number) {
    super();
    this.fc1 = new Linear(dim, hidden);
    this.fc2 = new Linear(hidden, dim);
  }
  forward(x: NDArray): NDArray {
    return this.fc2.forward(geluApprox(this.fc1.forward(x)));
  }
}
class PhiDecoderLayer extends Module {
  self_attn: PhiAttention;
  input_layernorm: LayerNorm;
  mlp: PhiMLP;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size");
    this.self_attn = new PhiAttention(c);
    this.input_layernorm = new LayerNorm(hidden, { eps: c.number("layer_norm_eps") });
    this.mlp = new PhiMLP(hidden, c.size("intermediate_size"));
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const h = this.input_layernorm.forward(x);
    return this.self_attn.forward(h, mask, cache).add(this.mlp.forward(h)).add(x);
  }
}
class PhiModel extends Module {
  embed_tokens: Projection;
  layers: PhiDecoderLayer[];
  final_layernorm: LayerNorm;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size");
    this.embed_tokens = new Embedding(c.size("vocab_size"), hidden);
    this.layers = Array.from({ length: c.size("num_hidden_layers") }, () => new PhiDecoderLayer(c));
    this.final_layernorm = new LayerNorm(hidden, { eps: c.number("layer_norm_eps") });
  }
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    return this.final_layernorm.forward(
      throughBlocks(inputEmbeddings ?? this.embed_tokens.forward(tokens), this.layers, cache),
    );
  }
}

const DEFAULTS = {
  vocab_size: 51200,
  hidden_size: 2560,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  intermediate_size: 10240,
  layer_norm_eps: 1e-5,
};
/** `phi` (`mlx_lm.models.phi`). */
export class Model extends LanguageModel {
  readonly modelType: string = "phi";
  model: PhiModel;
  lm_head: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    const c = config.withDefaults(DEFAULTS);
    this.model = new PhiModel(c);
    this.lm_head = new Linear(c.size("hidden_size"), c.size("vocab_size"));
  }
  get layers(): readonly PhiDecoderLayer[] {
    return this.model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    return this.lm_head.forward(this.model.forward(tokens, options));
  }
}
