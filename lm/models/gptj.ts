/**
 * GPT-J: attention and MLP side by side after one layer norm, positions in a part of each head.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { Embedding, geluApprox, LayerNorm, Linear, Module, RoPE } from "../../nn/mod.ts";
import { fetched, scaledDotProductAttention } from "../attention.ts";
import { byHeads, joined, throughBlocks } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import {
  type ForwardOptions,
  LanguageModel,
  type Projection,
  type TokenEmbedding,
  type Weights,
  withoutWeights,
} from "../model.ts";

class GPTJAttention extends Module {
  readonly heads: number;
  q_proj: Projection;
  k_proj: Projection;
  v_proj: Projection;
  out_proj: Projection;
  readonly rope: RoPE;
  constructor(c: Config) {
    super();
    const dim = c.size("n_embd"), bias = false;
    this.heads = c.size("n_head");
    this.q_proj = new Linear(dim, dim, { bias });
    this.k_proj = new Linear(dim, dim, { bias });
    this.v_proj = new Linear(dim, dim, { bias });
    this.out_proj = new Linear(dim, dim, { bias });
    const rotated = c.number("rotary_dim", 0) || Math.floor(dim / this.heads);
    this.rope = new RoPE(rotated, { traditional: true });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const split = (y: NDArray) => byHeads(y, this.heads), offset = cache?.position() ?? 0;
    const turned = (y: NDArray) => this.rope.forward(split(y), { offset });
    const queries = turned(this.q_proj.forward(x));
    const seen = fetched(turned(this.k_proj.forward(x)), split(this.v_proj.forward(x)), cache);
    const y = scaledDotProductAttention(queries, seen, { scale: queries.shape[3]! ** -0.5, mask });
    return this.out_proj.forward(joined(y));
  }
}
class GPTJMLP extends Module {
  fc_in: Projection;
  fc_out: Projection;
  constructor(dim: number) {
    super();
    this.fc_in = new Linear(dim, 4 * dim);
    this.fc_out = new Linear(4 * dim, dim);
  }
  forward(x: NDArray): NDArray {
    return this.fc_out.forward(geluApprox(this.fc_in.forward(x)));
  }
}
class GPTJBlock extends Module {
  ln_1: LayerNorm;
  attn: GPTJAttention;
  mlp: GPTJMLP;
  constructor(c: Config) {
    super();
    const dim = c.size("n_embd");
    this.ln_1 = new LayerNorm(dim, { eps: c.number("layer_norm_epsilon") });
    this.attn = new GPTJAttention(c);
    this.mlp = new GPTJMLP(dim);
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const normed = this.ln_1.forward(x);
    return this.attn.forward(normed, mask, cache).add(this.mlp.forward(normed)).add(x);
  }
}
class GPTJModel extends Module {
  wte: TokenEmbedding;
  h: GPTJBlock[];
  ln_f: LayerNorm;
  constructor(c: Config) {
    super();
    const dim = c.size("n_embd");
    this.wte = new Embedding(c.size("vocab_size"), dim);
    this.h = Array.from({ length: c.size("n_layer") }, () => new GPTJBlock(c));
    this.ln_f = new LayerNorm(dim, { eps: c.number("layer_norm_epsilon") });
  }
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    return this.ln_f.forward(throughBlocks(inputEmbeddings ?? this.wte.forward(tokens), this.h, cache));
  }
}

const DEFAULTS = {
  n_embd: 4096,
  vocab_size: 50400,
  layer_norm_epsilon: 1e-5,
  n_head: 16,
  rotary_dim: 64,
  n_layer: 28,
};
/** `gptj` (`mlx_lm.models.gptj`). */
export class Model extends LanguageModel {
  readonly modelType: string = "gptj";
  model: GPTJModel;
  lm_head: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    const c = config.withDefaults(DEFAULTS);
    this.model = new GPTJModel(c);
    this.lm_head = new Linear(c.size("n_embd"), c.size("vocab_size"));
  }
  get layers(): readonly GPTJBlock[] {
    return this.model.h;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    return this.lm_head.forward(this.model.forward(tokens, options));
  }
  /** The original files hold masks. */
  override sanitize(weights: Weights): Weights {
    const used = withoutWeights(weights, (name) => /^transformer\.h\.\d+\.attn\.(masked_)?bias$/.test(name));
    return new Map([...used].map(([name, x]) => [name.replace("transformer.", "model."), x]));
  }
}
