/**
 * Gemma 3 with its vision part left out: the text model under the name `language_model`.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import type { Module } from "../../nn/mod.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import { type ForwardOptions, LanguageModel, type Weights } from "../model.ts";
import { Model as TextModel } from "./gemma3_text.ts";

const PREFIX = "language_model.";
/** `gemma3` (`mlx_lm.models.gemma3`). */
export class Model extends LanguageModel {
  readonly modelType: string = "gemma3";
  language_model: TextModel;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    const text = config.object("text_config").withDefaults({ num_attention_heads: 8, num_key_value_heads: 4 });
    this.language_model = new TextModel(text.with({ vocab_size: config.size("vocab_size", 262208) }));
  }
  get layers(): readonly Module[] {
    return this.language_model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    return this.language_model.forward(tokens, options);
  }
  override makeCache(): Cache[] {
    return this.language_model.makeCache();
  }
  override sanitize(weights: Weights): Weights {
    const text = new Map<string, NDArray>(), rest = new Map<string, NDArray>();
    for (const [name, x] of weights) {
      if (name.startsWith(PREFIX)) text.set(name.slice(PREFIX.length), x);
      else if (!/^(vision_tower|multi_modal_projector)\./.test(name)) rest.set(name, x);
    }
    for (const [name, x] of this.language_model.sanitize(text)) rest.set(PREFIX + name, x);
    return rest;
  }
}
