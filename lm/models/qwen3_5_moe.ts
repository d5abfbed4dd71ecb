/**
 * Qwen 3.5 MoE: Qwen 3.5 with experts, all of which stand in one array in the original files.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { Weights } from "../model.ts";
import { Model as Qwen35 } from "./qwen3_5.ts";

/** `qwen3_5_moe` (`mlx_lm.models.qwen3_5_moe`). */
export class Model extends Qwen35 {
  override readonly modelType: string = "qwen3_5_moe";
  override sanitize(weights: Weights): Weights {
    const own: Weights = new Map();
    for (const [name, x] of super.sanitize(weights)) {
      const put = (part: string, y: mx.NDArray) =>
        own.set(name.replace(/experts\.\w+$/, `switch_mlp.${part}.weight`), y);
      if (name.endsWith(".mlp.experts.gate_up_proj")) {
        const [gate, up] = mx.split(x, 2, -2);
        put("gate_proj", gate!);
        put("up_proj", up!);
      } else if (name.endsWith(".mlp.experts.down_proj")) put("down_proj", x);
      else own.set(name, x);
    }
    return own;
  }
}
