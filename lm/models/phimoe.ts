/**
 * Phi 3.5 MoE: layer norms, biases in attention, and a mixture of experts that are chosen one after the other.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { LayerNorm, Linear, Module, RoPE } from "../../nn/mod.ts";
import { HeadAttention, headSizes, StackedModel } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import type { Projection, Weights } from "../model.ts";
import { stackedExperts, SwitchGLU, weighted } from "../moe.ts";
import { initializeRope, type Rope, ropeConfig } from "../rope.ts";

/**
 * The k best gates, one after the other; the score of each is its share among the gates that are still there and not much
 * below it (SparseMixer, https://arxiv.org/abs/2310.00811, without its noise).
 */
function sparseMixer(gates: NDArray, k: number, jitter: number): [indices: NDArray, scores: NDArray] {
  const none = mx.float(-Infinity), indices: NDArray[] = [], scores: NDArray[] = [];
  let left = gates;
  for (let i = 0; i < k; i++) {
    const top = left.max(-1, { keepdims: true }), best = mx.stopGradient(mx.argmax(left, -1, { keepdims: true }));
    const distance = top.subtract(gates).divide(mx.maximum(gates.abs(), top));
    const band = mx.softmax(mx.where(distance.greater(mx.float(2 * jitter)), none, left), -1, { precise: true });
    scores.push(mx.takeAlongAxis(band, best, -1));
    indices.push(best);
    left = mx.putAlongAxis(left, best, mx.full([], -Infinity, gates.dtype), -1);
  }
  return [mx.concatenate(indices, -1), mx.concatenate(scores, -1)];
}
class SparseMoeBlock extends Module {
  readonly chosen: number;
  readonly jitter: number;
  gate: Projection;
  switch_mlp: SwitchGLU;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"), experts = c.size("num_local_experts");
    this.chosen = c.size("num_experts_per_tok");
    if (this.chosen > experts) c.refuse("num_experts_per_tok", `at most ${experts}`);
    this.jitter = c.number("router_jitter_noise", 0.01);
    this.gate = new Linear(hidden, experts, { bias: false });
    this.switch_mlp = new SwitchGLU(hidden, c.size("intermediate_size"), experts);
  }
  forward(x: NDArray): NDArray {
    const [indices, scores] = sparseMixer(this.gate.forward(x), this.chosen, this.jitter);
    return weighted(this.switch_mlp.forward(x, indices), scores);
  }
}
/** LongRoPE where there is a scaling, whatever its type says. */
function phiRope(c: Config, dims: number): Rope {
  const { base, scaling } = ropeConfig(c, 10_000);
  if (!scaling) return new RoPE(dims, { base });
  const original = c.size("original_max_position_embeddings", 4096);
  const long = scaling.with({ type: "longrope", original_max_position_embeddings: original });
  return initializeRope({ dims, base, scaling: long, maxPositions: c.size("max_position_embeddings", 131_072) });
}
class DecoderLayer extends Module {
  self_attn: HeadAttention;
  block_sparse_moe: SparseMoeBlock;
  input_layernorm: LayerNorm;
  post_attention_layernorm: LayerNorm;
  constructor(c: Config) {
    super();
    const given = headSizes(c), sizes = { ...given, headDim: Math.floor(given.hidden / given.heads) };
    const eps = c.number("rms_norm_eps");
    this.self_attn = new HeadAttention(sizes, phiRope(c, sizes.headDim), { bias: true });
    this.block_sparse_moe = new SparseMoeBlock(c);
    this.input_layernorm = new LayerNorm(sizes.hidden, { eps });
    this.post_attention_layernorm = new LayerNorm(sizes.hidden, { eps });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const h = x.add(this.self_attn.forward(this.input_layernorm.forward(x), mask, cache));
    return h.add(this.block_sparse_moe.forward(this.post_attention_layernorm.forward(h)));
  }
}

const DEFAULTS = {
  vocab_size: 32064,
  hidden_size: 4096,
  intermediate_size: 6400,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-6,
  num_local_experts: 16,
  num_experts_per_tok: 2,
};
/** `phimoe` (`mlx_lm.models.phimoe`). */
export class Model extends StackedModel<DecoderLayer> {
  readonly modelType: string = "phimoe";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const c = config.withDefaults(DEFAULTS), hidden = c.size("hidden_size");
    const norm = new LayerNorm(hidden, { eps: c.number("rms_norm_eps") });
    super(c, () => new DecoderLayer(c), { tied: false, norm });
    this.lm_head = new Linear(hidden, c.size("vocab_size"));
  }
  override sanitize(weights: Weights): Weights {
    return stackedExperts(weights, { w1: "gate_proj", w2: "down_proj", w3: "up_proj" });
  }
}
