/**
 * MiMo: Qwen 2 with another base of positions and a head of its own; layers that predict further tokens are not used.
 * @module
 */
import type { Config } from "../config.ts";
import { type Weights, withoutWeights } from "../model.ts";
import { Model as Qwen2 } from "./qwen2.ts";

/** `mimo` (`mlx_lm.models.mimo`). */
export class Model extends Qwen2 {
  override readonly modelType: string = "mimo";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config.withDefaults({ tie_word_embeddings: false, rope_theta: 10_000 }));
  }
  override sanitize(weights: Weights): Weights {
    return withoutWeights(super.sanitize(weights), (name) => name.startsWith("model.mtp_layers."));
  }
}
