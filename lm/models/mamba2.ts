/**
 * Mamba 2: no attention; each layer is a short convolution and a state-space recurrence by heads.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Conv1d, Embedding, Linear, Module, RMSNorm, silu } from "../../nn/mod.ts";
import { swiglu } from "../activations.ts";
import { ArraysCache, arraysOf, withHistory } from "../arrays_cache.ts";
import { throughBlocks } from "../blocks.ts";
import type { Cache } from "../cache.ts";
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
import { stateSpace } from "../ssm.ts";

/** `rmsNorm(silu(gate) x)`. */
class MambaRMSNormGated extends Module {
  weight: NDArray;
  constructor(dims: number, readonly eps: number) {
    super();
    this.weight = mx.ones([dims]);
  }
  forward(x: NDArray, gate: NDArray): NDArray {
    return mx.fast.rmsNorm(swiglu(gate, x), this.weight, this.eps);
  }
}
/** `time_step_limit`; exporters write infinity as an object or as a text. */
function timeLimits(c: Config): readonly [number, number] {
  const given = c.json.time_step_limit, [least, greatest] = Array.isArray(given) ? given : [];
  const limit = typeof greatest === "number" ? greatest : Infinity;
  return typeof least === "number" ? [least, limit] : c.refuse("time_step_limit", "two numbers");
}
class Mamba2Block extends Module {
  readonly heads: number;
  readonly headDim: number;
  readonly groups: number;
  readonly states: number;
  readonly kernel: number;
  readonly limits: readonly [number, number];
  conv1d: Conv1d;
  in_proj: Projection;
  dt_bias: NDArray;
  A_log: NDArray;
  D: NDArray;
  norm: MambaRMSNormGated;
  out_proj: Projection;
  constructor(c: Config) {
    super();
    const bias = c.flag("use_bias"), hidden = c.size("hidden_size");
    [this.heads, this.headDim, this.groups] = [c.size("num_heads"), c.size("head_dim"), c.size("n_groups")];
    [this.states, this.kernel] = [c.size("ssm_state_size", null) ?? c.size<never>("state_size"), c.size("conv_kernel")];
    this.limits = timeLimits(c);
    const inner = this.heads * this.headDim, wide = inner + 2 * this.groups * this.states;
    this.conv1d = new Conv1d(wide, wide, this.kernel, { groups: wide, bias: c.flag("use_conv_bias") });
    this.in_proj = new Linear(hidden, inner + wide + this.heads, { bias });
    this.dt_bias = mx.ones([this.heads]);
    this.A_log = mx.arange(1, this.heads + 1).astype(mx.float32).log();
    this.D = mx.ones([this.heads]);
    this.norm = new MambaRMSNormGated(inner, c.number("layer_norm_epsilon"));
    this.out_proj = new Linear(inner, hidden, { bias });
  }
  forward(x: NDArray, cache: ArraysCache | null): NDArray {
    const [B = 1, T = 1] = x.shape, { heads, headDim, groups, states } = this, inner = heads * headDim;
    const wide = inner + 2 * groups * states;
    const [gate, given, dt] = mx.split(this.in_proj.forward(x), [inner, inner + wide], -1);
    const mixed = silu(this.conv1d.forward(withHistory(given!, this.kernel, cache)));
    const [inputs, b, c] = mx.split(mixed, [inner, inner + groups * states], -1);
    const grouped = (y: NDArray) => y.reshape([B, T, groups, states]);
    const [y, state] = stateSpace({
      x: inputs!.reshape([B, T, heads, headDim]),
      B: grouped(b!),
      C: grouped(c!),
      dt: dt!,
      state: cache?.get(1) ?? null,
    }, this);
    cache?.set(1, state);
    cache?.advance(T);
    return this.out_proj.forward(this.norm.forward(y.reshape([B, T, inner]), gate!));
  }
}
class ResidualBlock extends Module {
  mixer: Mamba2Block;
  norm: RMSNorm;
  readonly isRecurrent = true;
  constructor(c: Config) {
    super();
    this.mixer = new Mamba2Block(c);
    this.norm = new RMSNorm(c.size("hidden_size"));
  }
  forward(x: NDArray, _mask: Mask, cache: Cache | null): NDArray {
    return this.mixer.forward(this.norm.forward(x), arraysOf(cache)).add(x);
  }
}
class Mamba2 extends Module {
  embeddings: TokenEmbedding;
  layers: ResidualBlock[];
  norm_f: RMSNorm;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size");
    this.embeddings = new Embedding(c.size("vocab_size"), hidden);
    this.layers = Array.from({ length: c.size("num_hidden_layers") }, () => new ResidualBlock(c));
    this.norm_f = new RMSNorm(hidden, { eps: c.number("layer_norm_epsilon") });
  }
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    return this.norm_f.forward(throughBlocks(inputEmbeddings ?? this.embeddings.forward(tokens), this.layers, cache));
  }
}

/** `mamba2` (`mlx_lm.models.mamba2`). */
export class Model extends LanguageModel {
  readonly modelType: string = "mamba2";
  backbone: Mamba2;
  lm_head?: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    this.backbone = new Mamba2(config);
    if (!config.flag("tie_word_embeddings")) {
      this.lm_head = new Linear(config.size("hidden_size"), config.size("vocab_size"), { bias: false });
    }
  }
  get layers(): readonly ResidualBlock[] {
    return this.backbone.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    const h = this.backbone.forward(tokens, options);
    return this.lm_head ? this.lm_head.forward(h) : this.backbone.embeddings.asLinear(h);
  }
  override makeCache(): Cache[] {
    return this.layers.map(() => new ArraysCache(2));
  }
  override sanitize(weights: Weights): Weights {
    return withOwnKernels(weights, "conv1d.weight");
  }
}
