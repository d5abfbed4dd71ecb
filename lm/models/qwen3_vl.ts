/**
 * Qwen 3 VL without images: Qwen 3 under the name `language_model`.
 * @module
 */
import type { Config } from "../config.ts";
import { TextPart } from "../text_part.ts";
import { Model as Qwen3 } from "./qwen3.ts";

/** `qwen3_vl` (`mlx_lm.models.qwen3_vl`). */
export class Model extends TextPart<Qwen3> {
  readonly modelType: string = "qwen3_vl";
  /** Builds the model that a config describes, with random weights; older configs have the text's fields at the top. */
  constructor(config: Config) {
    super(new Qwen3(config.object("text_config", null) ?? config));
  }
}
