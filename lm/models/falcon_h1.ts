/**
 * Falcon H1: attention and a state-space layer side by side in every block. Factors of the config are multiplied into the
 * original files' weights.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Conv1d, Embedding, Linear, Module, RMSNorm, silu } from "../../nn/mod.ts";
import { swiglu } from "../activations.ts";
import { ArraysCache, arraysOf, withHistory } from "../arrays_cache.ts";
import { GatedMLP, HeadAttention, headSizes, throughBlocks } from "../blocks.ts";
import { type Cache, KVCache } from "../cache.ts";
import { CacheList, cachesOf } from "../cache_list.ts";
import type { Config } from "../config.ts";
import type { Mask } from "../mask.ts";
import {
  type ForwardOptions,
  LanguageModel,
  type Projection,
  type TokenEmbedding,
  type Weights,
  withOwnKernels,
} from "../model.ts";
import { initializeRope, ropeConfig } from "../rope.ts";
import { stateSpace } from "../ssm.ts";

/** A norm with a gate after or before it. */
class RMSNormGated extends Module {
  weight: NDArray;
  constructor(dims: number, readonly eps: number, readonly isFirst: boolean) {
    super();
    this.weight = mx.ones([dims]);
  }
  forward(x: NDArray, gate: NDArray): NDArray {
    const normed = (y: NDArray) => mx.fast.rmsNorm(y, this.weight, this.eps);
    return this.isFirst ? swiglu(gate, normed(x)) : normed(swiglu(gate, x));
  }
}
class Mixer extends Module {
  readonly heads: number;
  readonly groups: number;
  readonly states: number;
  readonly inner: number;
  readonly kernel: number;
  readonly limits = [0, Infinity] as const;
  conv1d: Conv1d;
  in_proj: Projection;
  dt_bias: NDArray;
  A_log: NDArray;
  D: NDArray;
  norm?: RMSNormGated;
  out_proj: Projection;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size");
    [this.heads, this.groups, this.states] = [
      c.size("mamba_n_heads"),
      c.size("mamba_n_groups"),
      c.size("mamba_d_state"),
    ];
    [this.inner, this.kernel] = [c.size("mamba_d_ssm"), c.size("mamba_d_conv")];
    const wide = this.inner + 2 * this.groups * this.states;
    this.conv1d = new Conv1d(wide, wide, this.kernel, { groups: wide, bias: c.flag("mamba_conv_bias", true) });
    this.in_proj = new Linear(hidden, this.inner + wide + this.heads, { bias: c.flag("mamba_proj_bias", false) });
    this.dt_bias = mx.ones([this.heads]);
    this.A_log = mx.arange(1, this.heads + 1).astype(mx.float32).log();
    this.D = mx.ones([this.heads]);
    if (c.flag("mamba_rms_norm", false)) {
      this.norm = new RMSNormGated(this.inner, c.number("rms_norm_eps"), c.flag("mamba_norm_before_gate", false));
    }
    this.out_proj = new Linear(this.inner, hidden, { bias: c.flag("projectors_bias", false) });
  }
  forward(x: NDArray, cache: ArraysCache | null): NDArray {
    const [B = 1, T = 1] = x.shape, { heads, inner, groups, states } = this, wide = inner + 2 * groups * states;
    const [gate, given, dt] = mx.split(this.in_proj.forward(x), [inner, inner + wide], -1);
    const mixed = silu(this.conv1d.forward(withHistory(given!, this.kernel, cache)));
    const [inputs, b, c] = mx.split(mixed, [inner, inner + groups * states], -1);
    const split = (y: NDArray, n: number) => y.reshape([B, T, n, -1]);
    const own = { x: split(inputs!, heads), B: split(b!, groups), C: split(c!, groups), dt: dt! };
    const [y, state] = stateSpace({ ...own, state: cache?.get(1) ?? null }, this);
    cache?.set(1, state);
    cache?.advance(T);
    const flat = y.reshape([B, T, inner]);
    return this.out_proj.forward(this.norm ? this.norm.forward(flat, gate!) : swiglu(gate!, flat));
  }
}
class DecoderLayer extends Module {
  feed_forward: GatedMLP;
  mamba: Mixer;
  self_attn: HeadAttention;
  input_layernorm: RMSNorm;
  pre_ff_layernorm: RMSNorm;
  constructor(c: Config) {
    super();
    const sizes = headSizes(c), eps = c.number("rms_norm_eps");
    const rope = initializeRope({
      ...ropeConfig(c, 1e11),
      dims: sizes.headDim,
      traditional: c.flag("rope_traditional", false),
      maxPositions: c.size("max_position_embeddings", 131072),
    });
    this.feed_forward = new GatedMLP(sizes.hidden, c.size("intermediate_size"), { bias: c.flag("mlp_bias", false) });
    this.mamba = new Mixer(c);
    this.self_attn = new HeadAttention(sizes, rope, { bias: c.flag("attention_bias", false) });
    this.input_layernorm = new RMSNorm(sizes.hidden, { eps });
    this.pre_ff_layernorm = new RMSNorm(sizes.hidden, { eps });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const [arrays = null, attention = null] = cachesOf(cache), normed = this.input_layernorm.forward(x);
    const h = x.add(this.mamba.forward(normed, arraysOf(arrays))).add(this.self_attn.forward(normed, mask, attention));
    return h.add(this.feed_forward.forward(this.pre_ff_layernorm.forward(h)));
  }
}
class FalconH1Model extends Module {
  embed_tokens: TokenEmbedding;
  layers: DecoderLayer[];
  final_layernorm: RMSNorm;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size");
    this.embed_tokens = new Embedding(c.size("vocab_size"), hidden);
    this.layers = Array.from({ length: c.size("num_hidden_layers") }, () => new DecoderLayer(c));
    this.final_layernorm = new RMSNorm(hidden, { eps: c.number("rms_norm_eps") });
  }
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    return this.final_layernorm.forward(
      throughBlocks(inputEmbeddings ?? this.embed_tokens.forward(tokens), this.layers, cache),
    );
  }
}

const DEFAULTS = {
  head_dim: 64,
  hidden_size: 1024,
  intermediate_size: 2048,
  num_attention_heads: 8,
  num_key_value_heads: 2,
  num_hidden_layers: 36,
  rms_norm_eps: 1e-5,
  vocab_size: 32784,
  mamba_d_ssm: 1536,
  mamba_n_heads: 24,
  mamba_n_groups: 1,
  mamba_d_state: 128,
  mamba_d_conv: 4,
};
/** The factors of weights by the ends of their names; the first that fits holds. */
function multipliers(c: Config): readonly (readonly [suffix: string, factor: number | NDArray])[] {
  const attention = c.number("attention_in_multiplier", 1), key = c.number("key_multiplier", 0.390625);
  const [gate = 1, down = 1] = c.numbers("mlp_multipliers", null) ?? [0.8838834764831844, 0.5859375];
  const states = c.size("mamba_n_groups") * c.size("mamba_d_state"), inner = c.size("mamba_d_ssm");
  const parts = [inner, inner, states, states, c.size("mamba_n_heads")], half = Math.SQRT1_2 / 2;
  const factors = c.numbers("ssm_multipliers", null) ?? [half, 0.25, half, 0.5, half];
  const rows = parts.flatMap((n, i) =>
    new Array<number>(n).fill((factors[i] ?? 1) * c.number("ssm_in_multiplier", 1.25))
  );
  return [
    ["embed_tokens.weight", c.number("embedding_multiplier", Math.sqrt(32))],
    ["lm_head.weight", c.number("lm_head_multiplier", 0.0390625)],
    ["q_proj.weight", attention],
    ["k_proj.weight", attention],
    ["key_proj.weight", attention * key],
    ["o_proj.weight", c.number("attention_out_multiplier", 0.9375)],
    ["out_proj.weight", c.number("ssm_out_multiplier", 0.23570226039551587)],
    ["gate_proj.weight", gate],
    ["down_proj.weight", down],
    ["in_proj.weight", mx.array(Float32Array.from(rows)).expandDims(-1)],
  ];
}
/** `falcon_h1` (`mlx_lm.models.falcon_h1`). */
export class Model extends LanguageModel {
  readonly modelType: string = "falcon_h1";
  readonly #config: Config;
  model: FalconH1Model;
  lm_head?: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    const c = this.#config = config.withDefaults(DEFAULTS);
    this.model = new FalconH1Model(c);
    if (!c.flag("tie_word_embeddings", true)) {
      this.lm_head = new Linear(c.size("hidden_size"), c.size("vocab_size"), { bias: false });
    }
  }
  get layers(): readonly DecoderLayer[] {
    return this.model.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    const h = this.model.forward(tokens, options), c = this.#config;
    if (this.lm_head) return this.lm_head.forward(h);
    const factor = c.number("lm_head_multiplier", 0.0390625) / c.number("embedding_multiplier", Math.sqrt(32));
    return this.model.embed_tokens.asLinear(h).multiply(mx.float(factor));
  }
  override makeCache(): Cache[] {
    return this.layers.map(() => new CacheList([new ArraysCache(2), new KVCache()]));
  }
  /** Original files are known by their kernels [C, 1, K]. */
  override sanitize(weights: Weights): Weights {
    const kernel = weights.get("model.layers.0.mamba.conv1d.weight");
    if (!kernel || kernel.shape.at(-1)! <= kernel.shape[1]!) return weights;
    const factors = multipliers(this.#config);
    const scaled = (name: string, x: NDArray): NDArray => {
      const factor = factors.find(([suffix]) => name.endsWith(suffix))?.[1];
      if (factor === undefined) return x;
      return x.multiply(typeof factor === "number" ? mx.float(factor) : factor.astype(x.dtype));
    };
    return withOwnKernels(new Map([...weights].map(([name, x]) => [name, scaled(name, x)])), "conv1d.weight");
  }
}
