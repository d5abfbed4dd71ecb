/**
 * StarCoder 2: Llama with layer norms, biases everywhere and a plain MLP with GELU. Its sliding window is ignored, as
 * in mlx-lm.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { gelu, LayerNorm, Linear, Module, RoPE } from "../../nn/mod.ts";
import { HeadAttention, headSizes, PreNormBlock, StackedModel } from "../blocks.ts";
import type { Config } from "../config.ts";
import type { Projection } from "../model.ts";
import { ropeConfig } from "../rope.ts";

class MLP extends Module {
  c_fc: Projection;
  c_proj: Projection;
  constructor(dim: number, hidden: number) {
    super();
    this.c_fc = new Linear(dim, hidden);
    this.c_proj = new Linear(hidden, dim);
  }
  forward(x: NDArray): NDArray {
    return this.c_proj.forward(gelu(this.c_fc.forward(x)));
  }
}
class TransformerBlock extends PreNormBlock {
  self_attn: HeadAttention;
  mlp: MLP;
  input_layernorm: LayerNorm;
  post_attention_layernorm: LayerNorm;
  constructor(c: Config) {
    super();
    const { hidden, heads, kvHeads } = headSizes(c), headDim = Math.floor(hidden / heads);
    const rope = new RoPE(headDim, { base: ropeConfig(c, 100_000).base }), eps = c.number("norm_epsilon", 1e-5);
    this.self_attn = new HeadAttention({ hidden, heads, kvHeads, headDim }, rope, { bias: true });
    this.mlp = new MLP(hidden, c.size("intermediate_size"));
    this.input_layernorm = new LayerNorm(hidden, { eps });
    this.post_attention_layernorm = new LayerNorm(hidden, { eps });
  }
}

/** `starcoder2` (`mlx_lm.models.starcoder2`). */
export class Model extends StackedModel<TransformerBlock> {
  readonly modelType: string = "starcoder2";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const c = config.withDefaults({ vocab_size: 49152, norm_epsilon: 1e-5 });
    const norm = new LayerNorm(c.size("hidden_size"), { eps: c.number("norm_epsilon") });
    super(c, () => new TransformerBlock(c), { norm, tied: c.flag("tie_word_embeddings", true) });
  }
}
