/**
 * EXAONE 3: Llama under other names.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { Embedding, Linear, Module, RMSNorm } from "../../nn/mod.ts";
import { swiglu } from "../activations.ts";
import { fetched, scaledDotProductAttention } from "../attention.ts";
import { byHeads, headSizes, joined, throughBlocks } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import { type ForwardOptions, LanguageModel, type Projection, type TokenEmbedding } from "../model.ts";
import { initializeRope, type Rope, ropeConfig } from "../rope.ts";

class AttentionModule extends Module {
  readonly heads: number;
  readonly kvHeads: number;
  readonly scale: number;
  q_proj: Projection;
  k_proj: Projection;
  v_proj: Projection;
  out_proj: Projection;
  readonly rope: Rope;
  constructor(c: Config) {
    super();
    const { hidden, heads, kvHeads, headDim } = headSizes(c), bias = c.flag("attention_bias", false);
    [this.heads, this.kvHeads, this.scale] = [heads, kvHeads, headDim ** -0.5];
    this.q_proj = new Linear(hidden, heads * headDim, { bias });
    this.k_proj = new Linear(hidden, kvHeads * headDim, { bias });
    this.v_proj = new Linear(hidden, kvHeads * headDim, { bias });
    this.out_proj = new Linear(heads * headDim, hidden, { bias });
    this.rope = initializeRope({
      ...ropeConfig(c),
      dims: headDim,
      traditional: c.flag("rope_traditional", false),
      maxPositions: c.size("max_position_embeddings", null),
    });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const offset = cache?.position() ?? 0, turned = (y: NDArray) => this.rope.forward(y, { offset });
    const queries = turned(byHeads(this.q_proj.forward(x), this.heads));
    const keys = turned(byHeads(this.k_proj.forward(x), this.kvHeads));
    const seen = fetched(keys, byHeads(this.v_proj.forward(x), this.kvHeads), cache);
    return this.out_proj.forward(joined(scaledDotProductAttention(queries, seen, { scale: this.scale, mask })));
  }
}
class Attention extends Module {
  attention: AttentionModule;
  constructor(c: Config) {
    super();
    this.attention = new AttentionModule(c);
  }
}
class MLP extends Module {
  c_fc_0: Projection;
  c_fc_1: Projection;
  c_proj: Projection;
  constructor(c: Config) {
    super();
    const dim = c.size("hidden_size"), hidden = c.size("intermediate_size"), bias = c.flag("mlp_bias", false);
    this.c_fc_0 = new Linear(dim, hidden, { bias });
    this.c_fc_1 = new Linear(dim, hidden, { bias });
    this.c_proj = new Linear(hidden, dim, { bias });
  }
  forward(x: NDArray): NDArray {
    return this.c_proj.forward(swiglu(this.c_fc_0.forward(x), this.c_fc_1.forward(x)));
  }
}
class TransformerBlock extends Module {
  ln_1: RMSNorm;
  attn: Attention;
  ln_2: RMSNorm;
  mlp: MLP;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("layer_norm_epsilon");
    this.ln_1 = new RMSNorm(hidden, { eps });
    this.attn = new Attention(c);
    this.ln_2 = new RMSNorm(hidden, { eps });
    this.mlp = new MLP(c);
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const h = x.add(this.attn.attention.forward(this.ln_1.forward(x), mask, cache));
    return h.add(this.mlp.forward(this.ln_2.forward(h)));
  }
}
class ExaoneModel extends Module {
  wte: TokenEmbedding;
  h: TransformerBlock[];
  ln_f: RMSNorm;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size");
    this.wte = new Embedding(c.size("vocab_size"), hidden);
    this.h = Array.from({ length: c.size("num_layers") }, () => new TransformerBlock(c));
    this.ln_f = new RMSNorm(hidden, { eps: c.number("layer_norm_epsilon") });
  }
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    return this.ln_f.forward(throughBlocks(inputEmbeddings ?? this.wte.forward(tokens), this.h, cache));
  }
}

/** `exaone` (`mlx_lm.models.exaone`). */
export class Model extends LanguageModel {
  readonly modelType: string = "exaone";
  transformer: ExaoneModel;
  lm_head?: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    this.transformer = new ExaoneModel(config);
    if (!config.flag("tie_word_embeddings", true)) {
      this.lm_head = new Linear(config.size("hidden_size"), config.size("vocab_size"), { bias: false });
    }
  }
  get layers(): readonly TransformerBlock[] {
    return this.transformer.h;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    const h = this.transformer.forward(tokens, options);
    return this.lm_head ? this.lm_head.forward(h) : this.transformer.wte.asLinear(h);
  }
}
