/**
 * Solar Open: GLM 4.5 with other defaults.
 * @module
 */
import type { Config } from "../config.ts";
import { Model as GLM4Moe } from "./glm4_moe.ts";

/** `solar_open` (`mlx_lm.models.solar_open`). */
export class Model extends GLM4Moe {
  override readonly modelType: string = "solar_open";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config.withDefaults({ attention_bias: false, use_qk_norm: false }));
  }
}
