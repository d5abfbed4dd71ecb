/**
 * Mistral 3 without images: Llama or Ministral 3 under the name `language_model`.
 * @module
 */
import type { Config } from "../config.ts";
import type { LanguageModel } from "../model.ts";
import { TextPart } from "../text_part.ts";
import { Model as Llama } from "./llama.ts";
import { Model as Ministral3 } from "./ministral3.ts";

/** `mistral3` (`mlx_lm.models.mistral3`). */
export class Model extends TextPart<LanguageModel> {
  readonly modelType: string = "mistral3";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const text = config.object("text_config").withDefaults({ tie_word_embeddings: false });
    super(text.text("model_type", "mistral") === "ministral3" ? new Ministral3(text) : new Llama(text));
  }
}
