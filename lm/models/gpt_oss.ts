/**
 * GPT-OSS: a mixture of experts with a clipped gate, attention with sinks, and sliding windows in every other layer.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Linear, Module, RMSNorm } from "../../nn/mod.ts";
import { HeadAttention, headSizes, PreNormBlock, StackedModel } from "../blocks.ts";
import { type Cache, KVCache, RotatingKVCache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Projection, Weights } from "../model.ts";
import { SwitchGLU, topIndices } from "../moe.ts";
import { initializeRope } from "../rope.ts";

/** `(clip(x, ±7) + 1) g sigmoid(1.702 g)`, g = min(gate, 7). */
function clippedGate(gate: NDArray, x: NDArray): NDArray {
  const limit = 7, g = mx.minimum(gate, limit);
  return mx.clip(x, -limit, limit).add(1).multiply(g.multiply(g.multiply(1.702).sigmoid()));
}
class AttentionBlock extends HeadAttention {
  override sinks: NDArray;
  constructor(c: Config) {
    const sizes = headSizes(c);
    const rope = initializeRope({
      dims: sizes.headDim,
      base: c.number("rope_theta", 150_000),
      scaling: c.object("rope_scaling", null),
    });
    super(sizes, rope, { bias: true });
    this.sinks = mx.zeros([sizes.heads]);
  }
}
class MLPBlock extends Module {
  readonly chosen: number;
  experts: SwitchGLU;
  router: Projection;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"), count = c.size("num_local_experts");
    this.chosen = c.size("num_experts_per_tok");
    this.experts = new SwitchGLU(hidden, c.size("intermediate_size"), count, { bias: true, activation: clippedGate });
    this.router = new Linear(hidden, count);
  }
  forward(x: NDArray): NDArray {
    const scores = this.router.forward(x), indices = topIndices(scores, this.chosen);
    const weights = mx.softmax(mx.takeAlongAxis(scores, indices, -1), -1, { precise: true });
    return this.experts.forward(x, indices).multiply(weights.expandDims(-1)).sum(-2);
  }
}
class TransformerBlock extends PreNormBlock {
  self_attn: AttentionBlock;
  mlp: MLPBlock;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  constructor(c: Config, readonly window: number | null) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps");
    this.self_attn = new AttentionBlock(c);
    this.mlp = new MLPBlock(c);
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
  }
}

const DEFAULTS = {
  num_hidden_layers: 36,
  num_local_experts: 128,
  num_experts_per_tok: 4,
  vocab_size: 201088,
  rms_norm_eps: 1e-5,
  hidden_size: 2880,
  intermediate_size: 2880,
  head_dim: 64,
  num_attention_heads: 64,
  num_key_value_heads: 8,
  sliding_window: 128,
};
/** `gpt_oss` (`mlx_lm.models.gpt_oss`). */
export class Model extends StackedModel<TransformerBlock> {
  readonly modelType: string = "gpt_oss";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const c = config.withDefaults(DEFAULTS), types = c.texts("layer_types", null);
    const isFull = (i: number) => types ? types[i] === "full_attention" : i % 2 === 1;
    super(c, (i) => new TransformerBlock(c, isFull(i) ? null : c.size("sliding_window")), { tied: false });
  }
  override makeCache(): Cache[] {
    return this.layers.map(({ window }) => window === null ? new KVCache() : new RotatingKVCache(window));
  }
  /** The original files have gate and up projection row by row in one array, and mxfp4 as bytes. */
  override sanitize(weights: Weights): Weights {
    if ([...weights.keys()].some((name) => name.includes("gate_proj.weight"))) return weights;
    const own: Weights = new Map();
    for (const [given, x] of weights) {
      const name = given.replace("proj_blocks", "proj.weight").replace("proj_scales", "proj.scales")
        .replace("proj_bias", "proj.bias");
      const y = given.endsWith("_blocks") ? x.view(mx.uint32).flatten(-2) : x;
      if (!name.includes("gate_up_proj")) own.set(name, y);
      else {
        const axes = name.endsWith(".bias") ? [] : [mx.slice(null)];
        const every = (start: number) => mx.contiguous(y.index("...", mx.slice(start, null, 2), ...axes));
        own.set(name.replace("gate_up_proj", "gate_proj"), every(0));
        own.set(name.replace("gate_up_proj", "up_proj"), every(1));
      }
    }
    return own;
  }
}
