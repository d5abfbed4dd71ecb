/**
 * Cohere's Command R: attention and MLP side by side behind one norm, interleaved rotary pairs, scaled logits.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { LayerNorm, Module, RoPE } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, StackedModel } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import { PerHeadNorm } from "../norms.ts";
import { ropeConfig } from "../rope.ts";

class Attention extends HeadAttention {
  q_norm?: PerHeadNorm;
  k_norm?: PerHeadNorm;
  constructor(c: Config) {
    const sizes = { ...headSizes(c), headDim: Math.floor(c.size("hidden_size") / c.size("num_attention_heads")) };
    const { heads, kvHeads, headDim } = sizes, eps = c.number("layer_norm_eps");
    super(sizes, new RoPE(headDim, { traditional: true, base: ropeConfig(c, 8_000_000).base }), {
      bias: c.flag("attention_bias", false),
    });
    if (c.flag("use_qk_norm", false)) {
      this.q_norm = new PerHeadNorm(heads, headDim, eps);
      this.k_norm = new PerHeadNorm(kvHeads, headDim, eps);
    }
  }
  override queries(x: NDArray): NDArray {
    const y = super.queries(x);
    return this.q_norm ? this.q_norm.forward(y) : y;
  }
  override keys(x: NDArray): NDArray {
    const y = super.keys(x);
    return this.k_norm ? this.k_norm.forward(y) : y;
  }
}
class TransformerBlock extends Module {
  self_attn: Attention;
  mlp: GatedMLP;
  input_layernorm: LayerNorm;
  constructor(c: Config) {
    super();
    this.self_attn = new Attention(c);
    this.mlp = new GatedMLP(c.size("hidden_size"), c.size("intermediate_size"));
    this.input_layernorm = norm(c);
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const h = this.input_layernorm.forward(x);
    return this.self_attn.forward(h, mask, cache).add(this.mlp.forward(h)).add(x);
  }
}
function norm(c: Config): LayerNorm {
  return new LayerNorm(c.size("hidden_size"), {
    eps: c.number("layer_norm_eps"),
    bias: c.flag("layer_norm_bias", false),
  });
}
const DEFAULTS = {
  hidden_size: 8192,
  num_hidden_layers: 40,
  intermediate_size: 22528,
  num_attention_heads: 64,
  num_key_value_heads: 64,
  vocab_size: 256000,
  layer_norm_eps: 1e-5,
};

/** `cohere` (`mlx_lm.models.cohere`). */
export class Model extends StackedModel<TransformerBlock> {
  readonly modelType: string = "cohere";
  readonly logitScale: number;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const c = config.withDefaults(DEFAULTS);
    super(c, () => new TransformerBlock(c), { norm: norm(c), tied: true });
    this.logitScale = c.number("logit_scale", 0.0625);
  }
  override logits(h: NDArray): NDArray {
    return super.logits(h).multiply(mx.float(this.logitScale));
  }
}
