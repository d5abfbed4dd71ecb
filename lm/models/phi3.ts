/**
 * Phi 3: Llama with one projection for queries, keys and values, and one for the gate and what it gates.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Linear, Module, RMSNorm, RoPE } from "../../nn/mod.ts";
import { fetched, scaledDotProductAttention } from "../attention.ts";
import { byHeads, FusedMLP, headSizes, joined, PreNormBlock, StackedModel } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import type { Projection } from "../model.ts";
import { initializeRope, type Rope, ropeConfig } from "../rope.ts";

/** LongRoPE and linear scalings; others are ignored, as in mlx-lm. */
function phiRope(c: Config, headDim: number): Rope {
  const { base, scaling } = ropeConfig(c, 10_000), traditional = c.flag("rope_traditional", false);
  const dims = Math.trunc(headDim * c.number("partial_rotary_factor", 1));
  const type = scaling?.text("type", null) ?? scaling?.text("rope_type", null);
  if (scaling && (type === "longrope" || type === "su")) {
    const original = c.size("original_max_position_embeddings", 4096);
    const long = scaling.with({ type: "longrope", original_max_position_embeddings: original });
    return initializeRope({ dims, base, scaling: long, maxPositions: c.size("max_position_embeddings", 131072) });
  }
  const scale = scaling && type === "linear" ? 1 / scaling.number("factor") : 1;
  return new RoPE(dims, { traditional, base, scale });
}

class Attention extends Module {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  qkv_proj: Projection;
  o_proj: Projection;
  readonly rope: Rope;
  constructor(c: Config) {
    super();
    const { hidden, heads, kvHeads } = headSizes(c), size = Math.floor(hidden / heads), bias = false;
    [this.heads, this.kvHeads, this.headDim] = [heads, kvHeads, size];
    this.qkv_proj = new Linear(hidden, (heads + 2 * kvHeads) * size, { bias });
    this.o_proj = new Linear(heads * size, hidden, { bias });
    this.rope = phiRope(c, size);
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const { heads, kvHeads, headDim } = this, offset = cache?.position() ?? 0, all = this.qkv_proj.forward(x);
    const [q, k, v] = mx.split(all, [heads * headDim, (heads + kvHeads) * headDim], -1);
    const turned = (y: NDArray, n: number) => this.rope.forward(byHeads(y, n), { offset });
    const seen = fetched(turned(k!, kvHeads), byHeads(v!, kvHeads), cache);
    const y = scaledDotProductAttention(turned(q!, heads), seen, { scale: headDim ** -0.5, mask });
    return this.o_proj.forward(joined(y));
  }
}
class TransformerBlock extends PreNormBlock {
  self_attn: Attention;
  mlp: FusedMLP;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps");
    this.self_attn = new Attention(c);
    this.mlp = new FusedMLP(hidden, c.size("intermediate_size"));
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
  }
}

/** `phi3` (`mlx_lm.models.phi3`). */
export class Model extends StackedModel<TransformerBlock> {
  readonly modelType: string = "phi3";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config, () => new TransformerBlock(config), { tied: config.flag("tie_word_embeddings", false) });
  }
}
