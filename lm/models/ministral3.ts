/**
 * Ministral 3: Llama whose queries grow with the logarithm of the position, so that long texts are seen as sharply as short
 * ones.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { RMSNorm } from "../../nn/mod.ts";
import { fetched, scaledDotProductAttention } from "../attention.ts";
import { GatedMLP, HeadAttention, headSizes, joined, PreNormBlock, StackedModel } from "../blocks.ts";
import { type Cache, KVCache, RotatingKVCache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import { type Weights, withoutWeights } from "../model.ts";
import { initializeRope } from "../rope.ts";

class Attention extends HeadAttention {
  readonly growth: number;
  readonly original: number;
  constructor(c: Config) {
    const sizes = headSizes(c), scaling = c.object("rope_parameters"), dims = sizes.headDim;
    const maxPositions = c.size("max_position_embeddings", null), base = scaling.number("rope_theta");
    super(sizes, initializeRope({ dims, base, scaling, maxPositions }));
    this.growth = scaling.number("llama_4_scaling_beta");
    this.original = scaling.size("original_max_position_embeddings");
  }
  /** `1 + growth log(1 + floor(position / original))`, [L, 1], or [B, 1, L, 1] where texts stand at different places. */
  #sharpness(length: number, offset: number | NDArray): NDArray {
    const first = typeof offset === "number" || offset.ndim === 0 ? offset : offset.reshape([-1, 1, 1, 1]);
    const places = mx.arange(length).expandDims(-1).add(first).astype(mx.float32);
    return places.divide(this.original).floor().add(1).log().multiply(this.growth).add(1);
  }
  override forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const offset = cache?.position() ?? 0, turned = (y: NDArray) => this.rope?.forward(y, { offset }) ?? y;
    const sharp = this.#sharpness(x.shape[1]!, offset).astype(x.dtype),
      queries = turned(this.queries(x)).multiply(sharp);
    const seen = fetched(turned(this.keys(x)), this.values(x), cache);
    return this.o_proj.forward(joined(scaledDotProductAttention(queries, seen, { scale: this.scale, mask })));
  }
}
class TransformerBlock extends PreNormBlock {
  self_attn: Attention;
  mlp: GatedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config, readonly window: number | null) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps");
    this.self_attn = new Attention(c);
    this.mlp = new GatedMLP(hidden, c.size("intermediate_size"));
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
  }
}

/** `ministral3` (`mlx_lm.models.ministral3`). */
export class Model extends StackedModel<TransformerBlock> {
  readonly modelType: string = "ministral3";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const types = config.texts("layer_types", null);
    const window = (i: number) => types?.[i] === "sliding_attention" ? config.size("sliding_window") : null;
    const tied = config.flag("tie_word_embeddings", true);
    super(config, (i) => new TransformerBlock(config, window(i)), { tied });
  }
  override makeCache(): Cache[] {
    return this.layers.map(({ window }) => window === null ? new KVCache() : new RotatingKVCache(window));
  }
  override sanitize(weights: Weights): Weights {
    return withoutWeights(super.sanitize(weights), (name) => /rotary_emb.inv_freq|activation_scale/.test(name));
  }
}
