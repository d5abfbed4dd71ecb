/**
 * OLMo 3: OLMo 2 with sliding windows in all layers but every fourth.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { Module, RMSNorm } from "../../nn/mod.ts";
import { byHeads, GatedMLP, HeadAttention, headSizes, StackedModel } from "../blocks.ts";
import { type Cache, KVCache, RotatingKVCache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import { initializeRope, ropeConfig } from "../rope.ts";

class Attention extends HeadAttention {
  q_norm: RMSNorm;
  k_norm: RMSNorm;
  /** Only layers that see all tokens scale their positions. */
  constructor(c: Config, isFull: boolean) {
    const sizes = headSizes(c), eps = c.number("rms_norm_eps"), { base, scaling } = ropeConfig(c);
    const maxPositions = c.size("max_position_embeddings");
    const rope = initializeRope({ dims: sizes.headDim, base, scaling: isFull ? scaling : null, maxPositions });
    super(sizes, rope, { bias: c.flag("attention_bias", false) });
    this.q_norm = new RMSNorm(sizes.heads * sizes.headDim, { eps });
    this.k_norm = new RMSNorm(sizes.kvHeads * sizes.headDim, { eps });
  }
  override queries(x: NDArray): NDArray {
    return byHeads(this.q_norm.forward(this.q_proj.forward(x)), this.heads);
  }
  override keys(x: NDArray): NDArray {
    return byHeads(this.k_norm.forward(this.k_proj.forward(x)), this.kvHeads);
  }
}
class DecoderLayer extends Module {
  self_attn: Attention;
  mlp: GatedMLP;
  post_attention_layernorm: RMSNorm;
  post_feedforward_layernorm: RMSNorm;
  constructor(c: Config, readonly window: number | null) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps");
    this.self_attn = new Attention(c, window === null);
    this.mlp = new GatedMLP(hidden, c.size("intermediate_size"));
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
    this.post_feedforward_layernorm = new RMSNorm(hidden, { eps });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const h = x.add(this.post_attention_layernorm.forward(this.self_attn.forward(x, mask, cache)));
    return h.add(this.post_feedforward_layernorm.forward(this.mlp.forward(h)));
  }
}

/** `olmo3` (`mlx_lm.models.olmo3`). */
export class Model extends StackedModel<DecoderLayer> {
  readonly modelType: string = "olmo3";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const types = config.texts("layer_types", null), window = config.size("sliding_window");
    const isFull = (i: number) => types ? types[i] === "full_attention" : (i + 1) % 4 === 0;
    const layer = (i: number) => new DecoderLayer(config, isFull(i) ? null : window);
    super(config, layer, { tied: config.flag("tie_word_embeddings", false) });
  }
  override makeCache(): Cache[] {
    return this.layers.map(({ window }) => window === null ? new KVCache() : new RotatingKVCache(window));
  }
}
