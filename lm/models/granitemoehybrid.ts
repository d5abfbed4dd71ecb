/**
 * Granite 4: state-space layers and some attention, followed by experts with a shared MLP, or by one MLP.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Linear, Module, RMSNorm, RoPE } from "../../nn/mod.ts";
import { swiglu } from "../activations.ts";
import { ArraysCache, arraysOf } from "../arrays_cache.ts";
import { GatedMLP, HeadAttention, headSizes, StackedModel } from "../blocks.ts";
import { type Cache, KVCache } from "../cache.ts";
import type { Config } from "../config.ts";
import { SparseMoe, withSplitExperts } from "../granite_experts.ts";
import { Mamba2Mixer, timeLimits } from "../mamba2_mixer.ts";
import type { Mask } from "../mask.ts";
import { type Projection, type Weights, withOwnKernels } from "../model.ts";

function mixer(c: Config): Mamba2Mixer {
  return new Mamba2Mixer({
    hidden: c.size("hidden_size"),
    heads: c.size("mamba_n_heads"),
    headDim: c.size("mamba_d_head"),
    groups: c.size("mamba_n_groups"),
    states: c.size("mamba_d_state"),
    kernel: c.size("mamba_d_conv"),
    limits: timeLimits(c, [0.001, 100]),
    bias: c.flag("mamba_proj_bias", false),
    convBias: c.flag("mamba_conv_bias", false),
    eps: c.number("rms_norm_eps"),
  });
}
function attention(c: Config): HeadAttention {
  const given = headSizes(c), sizes = { ...given, headDim: Math.floor(given.hidden / given.heads) };
  const nested = c.object("rope_parameters", null)?.number("rope_theta", null) ?? null;
  const base = nested ?? c.number("rope_theta", 10_000);
  const rope = c.text("position_embedding_type", "rope") === "nope" ? null : new RoPE(sizes.headDim, { base });
  return new HeadAttention(sizes, rope, { bias: c.flag("attention_bias"), scale: c.number("attention_multiplier") });
}
/** The MLP beside the experts. */
class SharedMLP extends Module {
  input_linear: Projection;
  output_linear: Projection;
  constructor(hidden: number, size: number) {
    super();
    this.input_linear = new Linear(hidden, 2 * size, { bias: false });
    this.output_linear = new Linear(size, hidden, { bias: false });
  }
  forward(x: NDArray): NDArray {
    const [gate, up] = mx.split(this.input_linear.forward(x), 2, -1);
    return this.output_linear.forward(swiglu(gate!, up!));
  }
}
class DecoderLayer extends Module {
  input_layernorm: RMSNorm;
  mamba?: Mamba2Mixer;
  self_attn?: HeadAttention;
  shared_mlp?: SharedMLP;
  block_sparse_moe?: SparseMoe;
  mlp?: GatedMLP;
  post_attention_layernorm: RMSNorm;
  readonly isRecurrent: boolean;
  readonly residual: number;
  constructor(c: Config, type: string | undefined) {
    super();
    const hidden = c.size("hidden_size"), eps = c.number("rms_norm_eps");
    this.isRecurrent = type === "mamba";
    if (this.isRecurrent) this.mamba = mixer(c);
    else if (type === "attention") this.self_attn = attention(c);
    else c.refuse("layer_types", "mamba or attention for each layer");
    if (c.number("num_local_experts", 0) > 0) {
      this.shared_mlp = new SharedMLP(hidden, c.size("shared_intermediate_size"));
      this.block_sparse_moe = new SparseMoe(c);
    } else this.mlp = new GatedMLP(hidden, c.size("intermediate_size"), { bias: c.flag("mlp_bias", false) });
    this.input_layernorm = new RMSNorm(hidden, { eps });
    this.post_attention_layernorm = new RMSNorm(hidden, { eps });
    this.residual = c.number("residual_multiplier");
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const scaled = (y: NDArray) => y.multiply(mx.float(this.residual)), normed = this.input_layernorm.forward(x);
    const r = this.self_attn?.forward(normed, mask, cache) ?? this.mamba!.forward(normed, arraysOf(cache));
    const h = x.add(scaled(r)), y = this.post_attention_layernorm.forward(h);
    return h.add(scaled(this.mlp?.forward(y) ?? this.block_sparse_moe!.forward(y).add(this.shared_mlp!.forward(y))));
  }
}

/** `granitemoehybrid` (`mlx_lm.models.granitemoehybrid`). */
export class Model extends StackedModel<DecoderLayer> {
  readonly modelType: string = "granitemoehybrid";
  readonly logitsScaling: number;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    const types = config.texts("layer_types"), tied = config.flag("tie_word_embeddings", true);
    super(config, (i) => new DecoderLayer(config, types[i]), {
      tied,
      embeddingScale: config.number("embedding_multiplier"),
    });
    this.logitsScaling = config.number("logits_scaling");
  }
  override logits(h: NDArray): NDArray {
    return super.logits(h).divide(mx.float(this.logitsScaling));
  }
  override makeCache(): Cache[] {
    return this.layers.map((layer) => layer.isRecurrent ? new ArraysCache(2) : new KVCache());
  }
  /** Without experts the shared MLP of the original files, gate and up projection in one, is the only one. */
  override sanitize(weights: Weights): Weights {
    const own: Weights = new Map();
    for (const [name, x] of withSplitExperts(withOwnKernels(super.sanitize(weights), "conv1d.weight"))) {
      const prefix = this.layers[0]?.mlp
        ? /^(.*\.)shared_mlp\.(?:in|out)put_linear\.weight$/.exec(name)?.[1]
        : undefined;
      if (prefix === undefined) own.set(name, x);
      else if (name.includes("output_linear")) own.set(`${prefix}mlp.down_proj.weight`, x);
      else {
        const [gate, up] = mx.split(x, 2, 0);
        own.set(`${prefix}mlp.gate_proj.weight`, gate!).set(`${prefix}mlp.up_proj.weight`, up!);
      }
    }
    return own;
  }
}
