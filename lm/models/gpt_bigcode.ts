/**
 * GPT BigCode (StarCoder, SantaCoder): GPT-2 in which all heads may share one head of keys and values.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Embedding, gelu, LayerNorm, Linear, Module } from "../../nn/mod.ts";
import { fetched, scaledDotProductAttention } from "../attention.ts";
import { byHeads, joined, throughBlocks } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import { type ForwardOptions, LanguageModel, type Projection, type TokenEmbedding } from "../model.ts";

class Attention extends Module {
  readonly heads: number;
  readonly kvHeads: number;
  readonly dim: number;
  c_attn: Projection;
  c_proj: Projection;
  constructor(c: Config) {
    super();
    const dim = this.dim = c.size("n_embd"), heads = this.heads = c.size("n_head");
    const bias = c.flag("attention_bias", true);
    this.kvHeads = c.flag("multi_query", true) ? 1 : heads;
    this.c_attn = new Linear(dim, dim + 2 * this.kvHeads * Math.floor(dim / heads), { bias });
    this.c_proj = new Linear(dim, dim, { bias });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const { dim, heads, kvHeads } = this, size = Math.floor(dim / heads);
    const [q, k, v] = mx.split(this.c_attn.forward(x), [dim, dim + kvHeads * size], -1);
    const seen = fetched(byHeads(k!, kvHeads), byHeads(v!, kvHeads), cache);
    return this.c_proj.forward(
      joined(scaledDotProductAttention(byHeads(q!, heads), seen, { scale: size ** -0.5, mask })),
    );
  }
}
class MLP extends Module {
  c_fc: Projection;
  c_proj: Projection;
  constructor(c: Config) {
    super();
    const dim = c.size("n_embd"), hidden = c.size("n_inner"), bias = c.flag("mlp_bias", true);
    this.c_fc = new Linear(dim, hidden, { bias });
    this.c_proj = new Linear(hidden, dim, { bias });
  }
  forward(x: NDArray): NDArray {
    return this.c_proj.forward(gelu(this.c_fc.forward(x)));
  }
}
class TransformerBlock extends Module {
  attn: Attention;
  mlp: MLP;
  ln_1: LayerNorm;
  ln_2: LayerNorm;
  constructor(c: Config) {
    super();
    const dim = c.size("n_embd"), eps = c.number("layer_norm_epsilon");
    this.attn = new Attention(c);
    this.mlp = new MLP(c);
    this.ln_1 = new LayerNorm(dim, { eps });
    this.ln_2 = new LayerNorm(dim, { eps });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const h = x.add(this.attn.forward(this.ln_1.forward(x), mask, cache));
    return h.add(this.mlp.forward(this.ln_2.forward(h)));
  }
}
class GPTBigCodeModel extends Module {
  wte: TokenEmbedding;
  wpe: Projection;
  h: TransformerBlock[];
  ln_f: LayerNorm;
  constructor(c: Config) {
    super();
    const dim = c.size("n_embd");
    this.wte = new Embedding(c.size("vocab_size"), dim);
    this.wpe = new Embedding(c.size("n_positions"), dim);
    this.h = Array.from({ length: c.size("n_layer") }, () => new TransformerBlock(c));
    this.ln_f = new LayerNorm(dim, { eps: c.number("layer_norm_epsilon") });
  }
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    const h = inputEmbeddings ?? this.wte.forward(tokens), start = cache?.[0]?.position() ?? 0;
    // Texts of a batch may stand at different places.
    const first = typeof start === "number" ? start : start.expandDims(-1);
    const places = mx.arange(h.shape[1]!).add(first);
    return this.ln_f.forward(throughBlocks(h.add(this.wpe.forward(places)), this.h, cache));
  }
}

/** `gpt_bigcode` (`mlx_lm.models.gpt_bigcode`). */
export class Model extends LanguageModel {
  readonly modelType: string = "gpt_bigcode";
  transformer: GPTBigCodeModel;
  lm_head?: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    this.transformer = new GPTBigCodeModel(config);
    if (config.flag("tie_word_embeddings", true)) return;
    this.lm_head = new Linear(config.size("n_embd"), config.size("vocab_size"), { bias: false });
  }
  get layers(): readonly TransformerBlock[] {
    return this.transformer.h;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    const h = this.transformer.forward(tokens, options);
    return this.lm_head ? this.lm_head.forward(h) : this.transformer.wte.asLinear(h);
  }
}
