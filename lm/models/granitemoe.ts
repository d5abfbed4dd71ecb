/**
 * Granite MoE: Granite whose MLP is a mixture of experts.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Linear, Module, RMSNorm } from "../../nn/mod.ts";
import { HeadAttention, headSizes, StackedModel } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import type { Projection, Weights } from "../model.ts";
import { SwitchGLU, topIndices, weighted } from "../moe.ts";
import { initializeRope, ropeConfig } from "../rope.ts";

class TopKGating extends Module {
  layer: Projection;
  constructor(hidden: number, experts: number, readonly chosen: number) {
    super();
    this.layer = new Linear(hidden, experts, { bias: false });
  }
  /** The experts of each token, and their scores, which add up to one. */
  forward(x: NDArray): [indices: NDArray, scores: NDArray] {
    const logits = this.layer.forward(x), indices = topIndices(logits, this.chosen);
    return [indices, mx.softmax(mx.takeAlongAxis(logits, indices, -1).astype(mx.float32), -1)];
  }
}
class SparseMoe extends Module {
  switch_mlp: SwitchGLU;
  router: TopKGating;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"), experts = c.size("num_local_experts");
    this.switch_mlp = new SwitchGLU(hidden, c.size("intermediate_size"), experts);
    this.router = new TopKGating(hidden, experts, c.size("num_experts_per_tok"));
  }
  forward(x: NDArray): NDArray {
    const [indices, scores] = this.router.forward(x);
    return weighted(this.switch_mlp.forward(x, indices), scores);
  }
}
class DecoderLayer extends Module {
  self_attn: HeadAttention;
  block_sparse_moe: SparseMoe;
  input_layernorm: RMSNorm;
  post_attention_layernorm: RMSNorm;
  readonly residual: number;
  constructor(c: Config) {
    super();
    const { heads, kvHeads, hidden } = headSizes(c),
      headDim = Math.floor(hidden / heads),
      eps = c.number("rms_norm_eps");
    const maxPositions = c.size("max_position_embeddings");
    this.self_attn = new HeadAttention(
      { hidden, heads, kvHeads, headDim },
      initializeRope({ ...ropeConfig(c), dims: headDim, maxPositions }),
      { bias: c.flag("attention_bias"), scale: c.number("attention_multiplier") },
    );
    this.block_sparse_moe = new SparseMoe(c);
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
    this.residual = c.number("residual_multiplier");
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const scaled = (y: NDArray) => y.multiply(mx.float(this.residual));
    const h = x.add(scaled(this.self_attn.forward(this.input_layernorm.forward(x), mask, cache)));
    return h.add(scaled(this.block_sparse_moe.forward(this.post_attention_layernorm.forward(h))));
  }
}

/** `granitemoe` (`mlx_lm.models.granitemoe`). */
export class Model extends StackedModel<DecoderLayer> {
  readonly modelType: string = "granitemoe";
  readonly logitsScaling: number;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const embeddingScale = config.number("embedding_multiplier"), tied = config.flag("tie_word_embeddings", true);
    super(config, () => new DecoderLayer(config), { embeddingScale, tied });
    this.logitsScaling = config.number("logits_scaling");
  }
  override logits(h: NDArray): NDArray {
    return super.logits(h).divide(mx.float(this.logitsScaling));
  }
  /** The original files have gate and up projection of all experts in one array. */
  override sanitize(weights: Weights): Weights {
    const own: Weights = new Map();
    for (const [name, x] of super.sanitize(weights)) {
      if (name.endsWith("block_sparse_moe.input_linear.weight")) {
        const [gate, up] = mx.split(x, 2, 1);
        own.set(name.replace("input_linear", "switch_mlp.gate_proj"), gate!);
        own.set(name.replace("input_linear", "switch_mlp.up_proj"), up!);
      } else own.set(name.replace("block_sparse_moe.output_linear", "block_sparse_moe.switch_mlp.down_proj"), x);
    }
    return own;
  }
}
