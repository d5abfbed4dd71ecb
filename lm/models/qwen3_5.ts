/**
 * Qwen 3.5 without images: gated delta rules with separate projections, gated attention in every
 * `full_attention_interval`-th layer, and one MLP or a mixture of experts.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { Linear } from "../../nn/mod.ts";
import { ArraysCache } from "../arrays_cache.ts";
import { GatedMLP, StackedModel } from "../blocks.ts";
import { type Cache, KVCache } from "../cache.ts";
import type { Config } from "../config.ts";
import { type DeltaInputs, DeltaLayer, GatedDelta, SharedMoeBlock, withWholeNorms } from "../delta_layers.ts";
import { type Projection, type Weights, withoutWeights, withOwnKernels } from "../model.ts";
import { TextPart } from "../text_part.ts";

class GatedDeltaNet extends GatedDelta {
  in_proj_qkv: Projection;
  in_proj_z: Projection;
  in_proj_b: Projection;
  in_proj_a: Projection;
  constructor(c: Config) {
    super(c);
    const hidden = c.size("hidden_size"), { keys, values } = this.widths, bias = false;
    this.in_proj_qkv = new Linear(hidden, 2 * keys + values, { bias });
    this.in_proj_z = new Linear(hidden, values, { bias });
    this.in_proj_b = new Linear(hidden, this.valueHeads, { bias });
    this.in_proj_a = new Linear(hidden, this.valueHeads, { bias });
  }
  protected override inputs(x: NDArray): DeltaInputs {
    return {
      qkv: this.in_proj_qkv.forward(x),
      gate: this.in_proj_z.forward(x),
      decay: this.in_proj_a.forward(x),
      strength: this.in_proj_b.forward(x),
    };
  }
}
class DecoderLayer extends DeltaLayer {
  mlp: SharedMoeBlock | GatedMLP;
  constructor(c: Config, i: number) {
    super(c, i, () => new GatedDeltaNet(c));
    const hidden = c.size("hidden_size"), isSparse = c.number("num_experts", 0) > 0;
    this.mlp = isSparse ? new SharedMoeBlock(c) : new GatedMLP(hidden, c.size("intermediate_size"));
  }
}
/** Positions stand in `rope_parameters`, and so does the part of a head that has them. */
function withPositions(c: Config): Config {
  const given = c.object("rope_parameters", null);
  return c.with({
    rope_theta: given?.number("rope_theta", 100_000) ?? 100_000,
    partial_rotary_factor: given?.number("partial_rotary_factor", 0.25) ?? 0.25,
    rope_scaling: given?.json ?? null,
    rope_parameters: null,
  });
}

const DEFAULTS = {
  hidden_size: 4096,
  intermediate_size: 14336,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  rms_norm_eps: 1e-6,
  vocab_size: 151936,
  num_key_value_heads: 8,
  max_position_embeddings: 131072,
  linear_num_value_heads: 64,
  linear_num_key_heads: 16,
  linear_key_head_dim: 192,
  linear_value_head_dim: 128,
  linear_conv_kernel_dim: 4,
  norm_topk_prob: true,
};
/** The part that reads text. */
export class TextModel extends StackedModel<DecoderLayer> {
  readonly modelType: string = "qwen3_5";
  /** Builds the model that a `text_config` describes, with random weights. */
  constructor(config: Config) {
    const given = withPositions(config.withDefaults(DEFAULTS)), heads = given.size("num_attention_heads");
    const c = given.withDefaults({ head_dim: Math.floor(given.size("hidden_size") / heads) });
    super(c, (i) => new DecoderLayer(c, i), { tied: c.flag("tie_word_embeddings", false) });
  }
  override makeCache(): Cache[] {
    return this.layers.map((layer) => layer.isRecurrent ? new ArraysCache(2) : new KVCache());
  }
  /** Only original files have kernels in the other order; only their norms are distances from one. */
  override sanitize(weights: Weights): Weights {
    const used = withoutWeights(super.sanitize(weights), (name) => name.includes("mtp."));
    const isOriginal = [...used].some(([name, x]) => name.includes("conv1d.weight") && x.shape.at(-1) !== 1);
    return isOriginal ? withWholeNorms(withOwnKernels(used, "conv1d.weight")) : used;
  }
}
/** `qwen3_5` (`mlx_lm.models.qwen3_5`). */
export class Model extends TextPart<TextModel> {
  readonly modelType: string = "qwen3_5";
  /** Builds the model that a config describes, with random weights; the text's fields may stand at the top. */
  constructor(config: Config) {
    super(new TextModel(config.object("text_config", null) ?? config));
  }
  override makeCache(): Cache[] {
    return this.language_model.makeCache();
  }
}
