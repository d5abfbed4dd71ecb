/**
 * Apertus: norms of queries and keys, and an MLP without a gate whose activation (xIELU) has learned slopes.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Linear, Module, RMSNorm, softplus } from "../../nn/mod.ts";
import { HeadAttention, headSizes, StackedModel } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import type { Projection, Weights } from "../model.ts";
import { initializeRope, ropeConfig } from "../rope.ts";

/** xIELU (https://arxiv.org/abs/2411.13010): a parabola above zero, an exponential below; `alpha`s are before softplus. */
class XieLU extends Module {
  alpha_p: NDArray = mx.array(Math.log(Math.exp(0.8) - 1));
  alpha_n: NDArray = mx.array(Math.log(Math.exp(0.3) - 1));
  beta: NDArray = mx.array(0.5);
  eps: NDArray = mx.array(-1e-6);
  forward(x: NDArray): NDArray {
    const { beta, eps } = this, up = softplus(this.alpha_p), down = beta.add(softplus(this.alpha_n));
    const below = mx.expm1(mx.minimum(x, eps)).subtract(x).multiply(down).add(beta.multiply(x));
    return mx.where(x.greater(0), up.multiply(x.square()).add(beta.multiply(x)), below);
  }
}
class ApertusMLP extends Module {
  up_proj: Projection;
  down_proj: Projection;
  act_fn: XieLU;
  constructor(hidden: number, size: number, bias: boolean) {
    super();
    this.up_proj = new Linear(hidden, size, { bias });
    this.down_proj = new Linear(size, hidden, { bias });
    this.act_fn = new XieLU();
  }
  forward(x: NDArray): NDArray {
    return this.down_proj.forward(this.act_fn.forward(this.up_proj.forward(x)));
  }
}
class Attention extends HeadAttention {
  q_norm: RMSNorm;
  k_norm: RMSNorm;
  constructor(c: Config) {
    const given = headSizes(c), sizes = { ...given, headDim: Math.floor(given.hidden / given.heads) };
    const eps = c.number("rms_norm_eps"), traditional = c.flag("rope_traditional", false);
    const maxPositions = c.size("max_position_embeddings");
    super(sizes, initializeRope({ ...ropeConfig(c), dims: sizes.headDim, traditional, maxPositions }));
    this.q_norm = new RMSNorm(sizes.headDim, { eps });
    this.k_norm = new RMSNorm(sizes.headDim, { eps });
  }
  override queries(x: NDArray): NDArray {
    return this.q_norm.forward(super.queries(x));
  }
  override keys(x: NDArray): NDArray {
    return this.k_norm.forward(super.keys(x));
  }
}
class ApertusDecoderLayer extends Module {
  self_attn: Attention;
  mlp: ApertusMLP;
  attention_layernorm: RMSNorm;
  feedforward_layernorm: RMSNorm;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps");
    this.self_attn = new Attention(c);
    this.mlp = new ApertusMLP(hidden, c.size("intermediate_size"), c.flag("mlp_bias"));
    this.attention_layernorm = new RMSNorm(hidden, { eps });
    this.feedforward_layernorm = new RMSNorm(hidden, { eps });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const h = x.add(this.self_attn.forward(this.attention_layernorm.forward(x), mask, cache));
    return h.add(this.mlp.forward(this.feedforward_layernorm.forward(h)));
  }
}

/** `apertus` (`mlx_lm.models.apertus`). */
export class Model extends StackedModel<ApertusDecoderLayer> {
  readonly modelType: string = "apertus";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config, () => new ApertusDecoderLayer(config), { tied: config.flag("tie_word_embeddings") });
  }
  /** The original files have slopes of one entry. */
  override sanitize(weights: Weights): Weights {
    const flat = (name: string, x: NDArray) => /alpha_[pn]$/.test(name) ? x.squeeze() : x;
    return new Map([...super.sanitize(weights)].map(([name, x]) => [name, flat(name, x)]));
  }
}
