/**
 * GLM 4: GLM with norms before and after each part, and positions in a part of each head.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { Module, RMSNorm, RoPE } from "../../nn/mod.ts";
import { FusedMLP, HeadAttention, headSizes, StackedModel } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import { ropeConfig } from "../rope.ts";

class Glm4DecoderLayer extends Module {
  self_attn: HeadAttention;
  mlp: FusedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  post_self_attn_layernorm: RMSNorm;
  post_mlp_layernorm: RMSNorm;
  constructor(c: Config) {
    super();
    const sizes = headSizes(c);
    const eps = c.number("rms_norm_eps"), norm = () => new RMSNorm(sizes.hidden, { eps });
    const rope = new RoPE(Math.trunc(sizes.headDim * c.number("partial_rotary_factor")), {
      traditional: c.flag("rope_traditional", true),
      base: ropeConfig(c).base,
    });
    this.self_attn = new HeadAttention(sizes, rope, { bias: c.flag("attention_bias"), outBias: false });
    this.mlp = new FusedMLP(sizes.hidden, c.size("intermediate_size"));
    this.input_layernorm = norm();
    this.post_attention_layernorm = norm();
    this.post_self_attn_layernorm = norm();
    this.post_mlp_layernorm = norm();
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const r = this.self_attn.forward(this.input_layernorm.forward(x), mask, cache);
    const h = x.add(this.post_self_attn_layernorm.forward(r));
    return h.add(this.post_mlp_layernorm.forward(this.mlp.forward(this.post_attention_layernorm.forward(h))));
  }
}

/** `glm4` (`mlx_lm.models.glm4`). */
export class Model extends StackedModel<Glm4DecoderLayer> {
  readonly modelType: string = "glm4";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config, () => new Glm4DecoderLayer(config), { tied: false });
  }
}
