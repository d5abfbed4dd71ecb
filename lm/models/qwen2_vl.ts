/**
 * Qwen 2 VL and 2.5 VL without images: Qwen 2 under the name `language_model`.
 * @module
 */
import type { Config } from "../config.ts";
import { TextPart } from "../text_part.ts";
import { Model as Qwen2 } from "./qwen2.ts";

/** `qwen2_vl` (`mlx_lm.models.qwen2_vl`). */
export class Model extends TextPart<Qwen2> {
  readonly modelType: string = "qwen2_vl";
  /** Builds the model that a config describes, with random weights; older configs have the text's fields at the top. */
  constructor(config: Config) {
    super(new Qwen2(config.object("text_config", null) ?? config));
  }
}
