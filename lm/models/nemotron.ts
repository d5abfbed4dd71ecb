/**
 * Nemotron: layer norms around `1 + w`, positions in a part of each head, and an MLP with squared ReLU.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { Linear, Module, relu2, RoPE } from "../../nn/mod.ts";
import { HeadAttention, headSizes, PreNormBlock, StackedModel } from "../blocks.ts";
import type { Config } from "../config.ts";
import type { Projection } from "../model.ts";
import { OffsetLayerNorm } from "../norms.ts";
import { type Rope, ropeConfig } from "../rope.ts";

function partialRope(c: Config, headDim: number): Rope {
  const { base, scaling } = ropeConfig(c, 10_000),
    type = scaling?.text("type", null) ?? scaling?.text("rope_type", "default");
  if (scaling && type !== "linear" && type !== "default") scaling.refuse("type", "linear");
  const scale = scaling && type === "linear" ? 1 / scaling.number("factor") : 1;
  return new RoPE(Math.trunc(headDim * c.number("partial_rotary_factor", 0.5)), { base, scale });
}
class MLP extends Module {
  down_proj: Projection;
  up_proj: Projection;
  constructor(dim: number, hidden: number, bias: boolean) {
    super();
    this.down_proj = new Linear(hidden, dim, { bias });
    this.up_proj = new Linear(dim, hidden, { bias });
  }
  forward(x: NDArray): NDArray {
    return this.down_proj.forward(relu2(this.up_proj.forward(x)));
  }
}
class TransformerBlock extends PreNormBlock {
  self_attn: HeadAttention;
  mlp: MLP;
  input_layernorm: OffsetLayerNorm;
  post_attention_layernorm: OffsetLayerNorm;
  constructor(c: Config) {
    super();
    const sizes = headSizes(c), eps = c.number("norm_eps"), bias = c.flag("attention_bias", false);
    this.self_attn = new HeadAttention(sizes, partialRope(c, sizes.headDim), { bias });
    this.mlp = new MLP(sizes.hidden, c.size("intermediate_size"), c.flag("mlp_bias", false));
    this.input_layernorm = new OffsetLayerNorm(sizes.hidden, { eps });
    this.post_attention_layernorm = new OffsetLayerNorm(sizes.hidden, { eps });
  }
}

/** `nemotron` (`mlx_lm.models.nemotron`). */
export class Model extends StackedModel<TransformerBlock> {
  readonly modelType: string = "nemotron";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const norm = new OffsetLayerNorm(config.size("hidden_size"), { eps: config.number("norm_eps") });
    super(config, () => new TransformerBlock(config), { norm, tied: config.flag("tie_word_embeddings", false) });
  }
}
