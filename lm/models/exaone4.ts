/**
 * EXAONE 4: norms after each part and of queries and keys; where there is a pattern of windows, the layers without one have no
 * positions.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { Module, RMSNorm } from "../../nn/mod.ts";
import { GatedMLP, HeadAttention, headSizes, StackedModel } from "../blocks.ts";
import { type Cache, KVCache, RotatingKVCache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import { initializeRope, ropeConfig } from "../rope.ts";

class Attention extends HeadAttention {
  q_norm: RMSNorm;
  k_norm: RMSNorm;
  constructor(c: Config, hasPositions: boolean) {
    const sizes = headSizes(c), eps = c.number("rms_norm_eps"), maxPositions = c.size("max_position_embeddings");
    super(sizes, hasPositions ? initializeRope({ ...ropeConfig(c), dims: sizes.headDim, maxPositions }) : null);
    this.q_norm = new RMSNorm(sizes.headDim, { eps });
    this.k_norm = new RMSNorm(sizes.headDim, { eps });
  }
  override queries(x: NDArray): NDArray {
    return this.q_norm.forward(super.queries(x));
  }
  override keys(x: NDArray): NDArray {
    return this.k_norm.forward(super.keys(x));
  }
}
class TransformerBlock extends Module {
  self_attn: Attention;
  mlp: GatedMLP;
  post_attention_layernorm: RMSNorm;
  post_feedforward_layernorm: RMSNorm;
  readonly window: number | null;
  constructor(c: Config, i: number) {
    super();
    const hidden = c.size("hidden_size"),
      eps = c.number("rms_norm_eps"),
      pattern = c.text("sliding_window_pattern", null);
    this.window = pattern && pattern[i % pattern.length] === "L" ? c.size("sliding_window") : null;
    this.self_attn = new Attention(c, !pattern || this.window !== null);
    this.mlp = new GatedMLP(hidden, c.size("intermediate_size"));
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
    this.post_feedforward_layernorm = new RMSNorm(hidden, { eps });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const h = x.add(this.post_attention_layernorm.forward(this.self_attn.forward(x, mask, cache)));
    return h.add(this.post_feedforward_layernorm.forward(this.mlp.forward(h)));
  }
}

/** `exaone4` (`mlx_lm.models.exaone4`). */
export class Model extends StackedModel<TransformerBlock> {
  readonly modelType: string = "exaone4";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config, (i) => new TransformerBlock(config, i), { tied: config.flag("tie_word_embeddings") });
  }
  override makeCache(): Cache[] {
    return this.layers.map(({ window }) => window === null ? new KVCache() : new RotatingKVCache(window));
  }
}
