/**
 * DeepSeek V2: attention whose keys and values come from a small shared vector, with positions in features of their own; and
 * mixtures of experts that are chosen by groups.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Linear, Module } from "../../nn/mod.ts";
import { fetched, scaledDotProductAttention } from "../attention.ts";
import { byHeads, joined, StackedModel } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import { DEEPSEEK_DEFAULTS, DeepseekBlock, LatentAttention } from "../latent.ts";
import type { Mask } from "../mask.ts";
import type { Projection, Weights } from "../model.ts";
import { stackedExperts, topIndices, withoutWorstGroups } from "../moe.ts";

class DeepseekV2Attention extends LatentAttention {
  kv_b_proj: Projection;
  constructor(c: Config) {
    super(c);
    const { rank, heads, nopeDim, valueDim } = this.sizes;
    this.kv_b_proj = new Linear(rank, heads * (nopeDim + valueDim), { bias: false });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const { heads, nopeDim } = this.sizes;
    const [qNope, qRope, latent, kRope] = this.project(x, cache?.position() ?? 0);
    const [kNope, values] = mx.split(byHeads(this.kv_b_proj.forward(latent), heads), [nopeDim], -1);
    const seen = fetched(mx.concatenate([kNope!, mx.repeat(kRope, heads, 1)], -1), values!, cache);
    const queries = mx.concatenate([qNope, qRope], -1);
    return this.o_proj.forward(joined(scaledDotProductAttention(queries, seen, { scale: this.scale, mask })));
  }
}
class MoEGate extends Module {
  weight: NDArray;
  readonly chosen: number;
  readonly groups: { readonly count: number; readonly kept: number } | null;
  readonly factor: number;
  constructor(c: Config) {
    super();
    const isGrouped = c.text("topk_method", "greedy") === "group_limited_greedy";
    this.weight = mx.zeros([c.size("n_routed_experts"), c.size("hidden_size")]);
    this.chosen = c.size("num_experts_per_tok");
    this.groups = isGrouped ? { count: c.size("n_group"), kept: c.size("topk_group") } : null;
    this.factor = c.number("routed_scaling_factor", 1);
  }
  /** The experts of each token, and their scores. */
  forward(x: NDArray): [indices: NDArray, scores: NDArray] {
    const all = mx.softmax(x.matmul(this.weight.T), -1, { precise: true });
    const scores = this.groups ? withoutWorstGroups(all, { ...this.groups, score: (g) => g.max(-1) }) : all;
    const indices = topIndices(scores, this.chosen);
    return [indices, mx.takeAlongAxis(scores, indices, -1).multiply(mx.float(this.factor))];
  }
}

/** `deepseek_v2` (`mlx_lm.models.deepseek_v2`). */
export class Model extends StackedModel<DeepseekBlock> {
  readonly modelType: string = "deepseek_v2";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const c = config.withDefaults(DEEPSEEK_DEFAULTS), gate = (c: Config) => new MoEGate(c);
    super(c, (i) => new DeepseekBlock(c, i, new DeepseekV2Attention(c), gate), { tied: false });
  }
  override sanitize(weights: Weights): Weights {
    return stackedExperts(weights);
  }
}
