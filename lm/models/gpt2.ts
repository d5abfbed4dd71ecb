/**
 * GPT-2: learned positions, layer norms, and one projection for queries, keys and values.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Embedding, geluApprox, LayerNorm, Linear, Module } from "../../nn/mod.ts";
import { fetched, scaledDotProductAttention } from "../attention.ts";
import { byHeads, joined, throughBlocks } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import { type ForwardOptions, LanguageModel, type Projection, type TokenEmbedding, type Weights } from "../model.ts";

class Attention extends Module {
  readonly heads: number;
  c_attn: Projection;
  c_proj: Projection;
  constructor(dim: number, heads: number) {
    super();
    this.heads = heads;
    this.c_attn = new Linear(dim, 3 * dim);
    this.c_proj = new Linear(dim, dim);
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const [q, k, v] = mx.split(this.c_attn.forward(x), 3, -1).map((y) => byHeads(y, this.heads));
    const y = scaledDotProductAttention(q!, fetched(k!, v!, cache), { scale: q!.shape[3]! ** -0.5, mask });
    return this.c_proj.forward(joined(y));
  }
}
class MLP extends Module {
  c_fc: Projection;
  c_proj: Projection;
  constructor(dim: number) {
    super();
    this.c_fc = new Linear(dim, 4 * dim);
    this.c_proj = new Linear(4 * dim, dim);
  }
  forward(x: NDArray): NDArray {
    return this.c_proj.forward(geluApprox(this.c_fc.forward(x)));
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
    this.attn = new Attention(dim, c.size("n_head"));
    this.mlp = new MLP(dim);
    this.ln_1 = new LayerNorm(dim, { eps });
    this.ln_2 = new LayerNorm(dim, { eps });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const h = x.add(this.attn.forward(this.ln_1.forward(x), mask, cache));
    return h.add(this.mlp.forward(this.ln_2.forward(h)));
  }
}
class GPT2Model extends Module {
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

/** `gpt2` (`mlx_lm.models.gpt2`). */
export class Model extends LanguageModel {
  readonly modelType: string = "gpt2";
  model: GPT2Model;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    this.model = new GPT2Model(config);
  }
  get layers(): readonly TransformerBlock[] {
    return this.model.h;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    return this.model.wte.asLinear(this.model.forward(tokens, options));
  }
  /** The original files name no `model`, keep matrices as [inputs, outputs], and hold masks. */
  override sanitize(weights: Weights): Weights {
    const own: Weights = new Map();
    for (const [name, x] of weights) {
      if (/^h\.\d+\.attn\.bias$/.test(name)) continue;
      const isForeign = /^h\.\d+\.(attn\.c_attn|attn\.c_proj|mlp\.c_fc|mlp\.c_proj)\.weight$/.test(name);
      own.set(name.startsWith("model.") ? name : `model.${name}`, isForeign ? x.T : x);
    }
    return own;
  }
}
