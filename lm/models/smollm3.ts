/**
 * SmolLM 3: Llama in which every fourth layer (or those that `no_rope_layers` marks with 0) has no positions.
 * @module
 */
import { type Cache, plainCaches, type PromptCacheOptions } from "../cache.ts";
import type { Config } from "../config.ts";
import { Model as Llama } from "./llama.ts";

/** `smollm3` (`mlx_lm.models.smollm3`). */
export class Model extends Llama {
  override readonly modelType: string = "smollm3";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config);
    const interval = config.size("no_rope_layer_interval", 4), count = this.layers.length;
    const given = config.numbers("no_rope_layers", null) ?? this.layers.map((_, i) => (i + 1) % interval);
    if (given.length !== count) config.refuse("no_rope_layers", `${count} entries`, `${given.length}`);
    this.layers.forEach((layer, i) => {
      if (given[i] === 0) layer.self_attn.rope = null;
    });
  }
  /** Plain caches, also under a sliding window, so that `maxKvSize` holds. */
  override makeCache(options?: PromptCacheOptions): Cache[] {
    return plainCaches(this.layers.length, options);
  }
}
