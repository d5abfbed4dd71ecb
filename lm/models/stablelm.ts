/**
 * StableLM: layer norms, positions in a part of each head, and perhaps norms of each head or both parts side by side.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { LayerNorm, Module, RoPE } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, StackedModel } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import { ropeConfig } from "../rope.ts";

/** A norm for each head, [B, heads, L, D]. */
class LayerNormPerHead extends Module {
  norms: LayerNorm[];
  constructor(headDim: number, heads: number, readonly eps: number) {
    super();
    this.norms = Array.from({ length: heads }, () => new LayerNorm(headDim, { eps, bias: false }));
  }
  forward(x: NDArray): NDArray {
    const weights = mx.stack(this.norms.map((n) => n.weight!)).expandDims(1);
    return weights.multiply(mx.fast.layerNorm(x, null, null, this.eps));
  }
}
class Attention extends HeadAttention {
  q_layernorm?: LayerNormPerHead;
  k_layernorm?: LayerNormPerHead;
  constructor(c: Config) {
    const { hidden, heads, kvHeads } = headSizes(c), headDim = Math.floor(hidden / heads);
    const dims = Math.trunc(headDim * c.number("partial_rotary_factor")), eps = c.number("layer_norm_eps");
    super({ hidden, heads, kvHeads, headDim }, new RoPE(dims, { base: ropeConfig(c).base }), {
      bias: c.flag("use_qkv_bias"),
      outBias: false,
    });
    if (c.flag("qk_layernorm", false)) {
      this.q_layernorm = new LayerNormPerHead(headDim, heads, eps);
      this.k_layernorm = new LayerNormPerHead(headDim, kvHeads, eps);
    }
  }
  override queries(x: NDArray): NDArray {
    const y = super.queries(x);
    return this.q_layernorm ? this.q_layernorm.forward(y) : y;
  }
  override keys(x: NDArray): NDArray {
    const y = super.keys(x);
    return this.k_layernorm ? this.k_layernorm.forward(y) : y;
  }
  override precision(): mx.DType {
    return mx.float32;
  }
}
class DecoderLayer extends Module {
  self_attn: Attention;
  mlp: GatedMLP;
  input_layernorm: LayerNorm;
  /** Absent where attention and MLP are side by side. */
  post_attention_layernorm?: LayerNorm;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("layer_norm_eps");
    this.self_attn = new Attention(c);
    this.mlp = new GatedMLP(hidden, c.size("intermediate_size"));
    this.input_layernorm = new LayerNorm(hidden, { eps });
    if (!c.flag("use_parallel_residual", false)) this.post_attention_layernorm = new LayerNorm(hidden, { eps });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const normed = this.input_layernorm.forward(x), h = x.add(this.self_attn.forward(normed, mask, cache));
    return h.add(this.mlp.forward(this.post_attention_layernorm?.forward(h) ?? normed));
  }
}

/** `stablelm` (`mlx_lm.models.stablelm`). */
export class Model extends StackedModel<DecoderLayer> {
  readonly modelType: string = "stablelm";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const norm = new LayerNorm(config.size("hidden_size"), { eps: config.number("layer_norm_eps") });
    super(config, () => new DecoderLayer(config), { norm, tied: false });
  }
}
