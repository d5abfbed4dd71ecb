/**
 * Cohere's Command R7B: like Command R, but most layers attend to a sliding window with positions, and every
 * `sliding_window_pattern`-th to all without.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { LayerNorm, Module, RoPE } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, StackedModel } from "../blocks.ts";
import { type Cache, KVCache, RotatingKVCache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import { ropeConfig } from "../rope.ts";

class Attention extends HeadAttention {
  override precision(dtype: mx.DType): mx.DType {
    return dtype === mx.float16 ? mx.float32 : dtype;
  }
}
class TransformerBlock extends Module {
  self_attn: Attention;
  mlp: GatedMLP;
  input_layernorm: LayerNorm;
  readonly window: number | null;
  constructor(c: Config, i: number) {
    super();
    const sizes = headSizes(c), { base } = ropeConfig(c, 50_000);
    this.window = (i + 1) % c.size("sliding_window_pattern", 4) !== 0 ? c.size("sliding_window", 4096) : null;
    const rope = this.window === null ? null : new RoPE(sizes.headDim, { traditional: true, base });
    this.self_attn = new Attention(sizes, rope, { bias: c.flag("attention_bias", false) });
    this.mlp = new GatedMLP(sizes.hidden, c.size("intermediate_size"));
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
  hidden_size: 4096,
  head_dim: 128,
  num_hidden_layers: 32,
  intermediate_size: 14336,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  vocab_size: 256000,
  layer_norm_eps: 1e-5,
};

/** `cohere2` (`mlx_lm.models.cohere2`). */
export class Model extends StackedModel<TransformerBlock> {
  readonly modelType: string = "cohere2";
  readonly logitScale: number;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const c = config.withDefaults(DEFAULTS);
    super(c, (i) => new TransformerBlock(c, i), { norm: norm(c), tied: true });
    this.logitScale = c.number("logit_scale", 0.0625);
  }
  override logits(h: NDArray): NDArray {
    return super.logits(h).multiply(mx.float(this.logitScale));
  }
  override makeCache(): Cache[] {
    return this.layers.map(({ window }) => window === null ? new KVCache() : new RotatingKVCache(window));
  }
}
