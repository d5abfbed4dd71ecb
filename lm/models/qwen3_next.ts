/**
 * Qwen 3 Next: mixtures of experts behind gated delta rules, and gated attention in every `full_attention_interval`-th layer.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Linear } from "../../nn/mod.ts";
import { ArraysCache } from "../arrays_cache.ts";
import { GatedMLP, StackedModel } from "../blocks.ts";
import { type Cache, KVCache } from "../cache.ts";
import type { Config } from "../config.ts";
import { type DeltaInputs, DeltaLayer, GatedDelta, SharedMoeBlock, withWholeNorms } from "../delta_layers.ts";
import { type Projection, type Weights, withoutWeights, withOwnKernels } from "../model.ts";
import { stackedExperts } from "../moe.ts";

class GatedDeltaNet extends GatedDelta {
  in_proj_qkvz: Projection;
  in_proj_ba: Projection;
  constructor(c: Config) {
    super(c);
    const hidden = c.size("hidden_size"), { keys, values } = this.widths, bias = false;
    this.in_proj_qkvz = new Linear(hidden, 2 * (keys + values), { bias });
    this.in_proj_ba = new Linear(hidden, 2 * this.valueHeads, { bias });
  }
  protected override inputs(x: NDArray): DeltaInputs {
    const [B = 1, T = 1] = x.shape, { keyHeads, valueHeads, keyDim, valueDim } = this, repeats = valueHeads / keyHeads;
    // Both projections are ordered by key heads.
    const byKeyHeads = (y: NDArray, cuts: readonly number[]) =>
      mx.split(y.reshape([B, T, keyHeads, -1]), cuts, -1).map((part) => part.reshape([B, T, -1]));
    const cuts = [keyDim, 2 * keyDim, 2 * keyDim + repeats * valueDim];
    const [q, k, v, z] = byKeyHeads(this.in_proj_qkvz.forward(x), cuts);
    const [b, a] = byKeyHeads(this.in_proj_ba.forward(x), [repeats]);
    return { qkv: mx.concatenate([q!, k!, v!], -1), gate: z!, decay: a!, strength: b! };
  }
}
class DecoderLayer extends DeltaLayer {
  mlp: SharedMoeBlock | GatedMLP;
  constructor(c: Config, i: number) {
    super(c, i, () => new GatedDeltaNet(c));
    const isSparse = !c.numbers("mlp_only_layers").includes(i) && (i + 1) % c.size("decoder_sparse_step") === 0;
    this.mlp = isSparse ? new SharedMoeBlock(c) : new GatedMLP(c.size("hidden_size"), c.size("intermediate_size"));
  }
}

/** `qwen3_next` (`mlx_lm.models.qwen3_next`). */
export class Model extends StackedModel<DecoderLayer> {
  readonly modelType: string = "qwen3_next";
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super(config, (i) => new DecoderLayer(config, i), { tied: config.flag("tie_word_embeddings", false) });
  }
  override makeCache(): Cache[] {
    return this.layers.map((layer) => layer.isRecurrent ? new ArraysCache(2) : new KVCache());
  }
  /** Only original files have experts one by one; only their norms are distances from one. */
  override sanitize(weights: Weights): Weights {
    if (![...weights.keys()].some((name) => name.endsWith(".mlp.experts.0.up_proj.weight"))) return weights;
    const isUnused = (name: string) => name.includes("mtp.") || (!this.lm_head && name === "lm_head.weight");
    return withWholeNorms(withOwnKernels(stackedExperts(withoutWeights(weights, isUnused)), "conv1d.weight"));
  }
}
