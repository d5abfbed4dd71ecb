/**
 * Mamba and Falcon Mamba: no attention; each layer is a short convolution and a recurrence whose coefficients depend on the
 * token.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { NDArray } from "../../core/mod.ts";
import { Conv1d, Embedding, Linear, Module, RMSNorm, silu, softplus } from "../../nn/mod.ts";
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

/** Sizes and switches of a layer. */
interface MambaSizes {
  readonly hidden: number;
  readonly inner: number;
  readonly states: number;
  readonly kernel: number;
  readonly rank: number;
  readonly bias: boolean;
  readonly convBias: boolean;
  /** Times, inputs and outputs of the recurrence are normalised. */
  readonly isNormed: boolean;
  readonly eps: number;
}
/** The fields of config.json, under the names of all exporters. */
function mambaSizes(c: Config): MambaSizes {
  const either = (name: string, other: string) => c.size(name, null) ?? c.size<never>(other);
  const hidden = either("hidden_size", "d_model");
  return {
    hidden,
    inner: either("intermediate_size", "d_inner"),
    states: either("state_size", "d_state"),
    kernel: either("conv_kernel", "d_conv"),
    rank: c.json.time_step_rank === "auto" ? Math.ceil(hidden / 16) : c.size("time_step_rank"),
    bias: c.flag("use_bias", null) ?? c.flag<never>("bias"),
    convBias: c.flag("use_conv_bias", null) ?? c.flag<never>("conv_bias"),
    isNormed: c.flag("use_bcdt_rms", false) || c.text("model_type", "") === "falcon_mamba",
    eps: c.number("mixer_rms_eps", 1e-6),
  };
}
class MambaBlock extends Module {
  readonly sizes: MambaSizes;
  in_proj: Projection;
  conv1d: Conv1d;
  x_proj: Projection;
  dt_proj: Projection;
  A_log: NDArray;
  D: NDArray;
  out_proj: Projection;
  constructor(c: Config) {
    super();
    const { hidden, inner, states, kernel, rank, bias, convBias } = this.sizes = mambaSizes(c);
    this.in_proj = new Linear(hidden, 2 * inner, { bias });
    this.conv1d = new Conv1d(inner, inner, kernel, { groups: inner, bias: convBias });
    this.x_proj = new Linear(inner, rank + 2 * states, { bias: false });
    this.dt_proj = new Linear(rank, inner);
    this.A_log = mx.broadcastTo(mx.arange(1, states + 1).astype(mx.float32).log(), [inner, states]);
    this.D = mx.ones([inner]);
    this.out_proj = new Linear(inner, hidden, { bias });
  }
  /** `h = exp(dt A) h + dt x B`, `y = h C + D x` for one token x [B, inner]. */
  #step(x: NDArray, A: NDArray, state: NDArray | null): [y: NDArray, state: NDArray] {
    const { rank, states, isNormed, eps } = this.sizes;
    const parts = mx.split(this.x_proj.forward(x), [rank, rank + states], -1);
    const [time, B, C] = isNormed ? parts.map((y) => mx.fast.rmsNorm(y, null, eps)) : parts;
    const dt = softplus(this.dt_proj.forward(time!)), added = dt.multiply(x).expandDims(-1).multiply(B!.expandDims(1));
    const next = state ? added.add(state.multiply(dt.expandDims(-1).multiply(A).exp())) : added;
    return [next.matmul(C!.expandDims(-1)).squeeze(2).add(this.D.multiply(x)), next];
  }
  forward(x: NDArray, cache: ArraysCache | null): NDArray {
    const T = x.shape[1]!, [given, gate] = mx.split(this.in_proj.forward(x), 2, -1), A = this.A_log.exp().negative();
    const inputs = silu(this.conv1d.forward(withHistory(given!, this.sizes.kernel, cache))), ys: NDArray[] = [];
    let state = cache?.get(1) ?? null;
    for (let t = 0; t < T; t++) {
      const [y, next] = this.#step(inputs.index(mx.slice(null), t), A, state);
      ys.push(y);
      state = next;
    }
    if (state) cache?.set(1, state);
    cache?.advance(T);
    return this.out_proj.forward(swiglu(gate!, mx.stack(ys, 1)));
  }
}
class ResidualBlock extends Module {
  mixer: MambaBlock;
  norm: RMSNorm;
  readonly isRecurrent = true;
  constructor(c: Config) {
    super();
    this.mixer = new MambaBlock(c);
    this.norm = new RMSNorm(this.mixer.sizes.hidden);
  }
  forward(x: NDArray, _mask: Mask, cache: Cache | null): NDArray {
    return this.mixer.forward(this.norm.forward(x), arraysOf(cache)).add(x);
  }
}
class Mamba extends Module {
  embeddings: TokenEmbedding;
  layers: ResidualBlock[];
  norm_f: RMSNorm;
  constructor(c: Config) {
    super();
    const { hidden } = mambaSizes(c),
      count = c.size("num_hidden_layers", null) ?? c.size("n_layer", null) ?? c.size<never>("n_layers");
    this.embeddings = new Embedding(c.size("vocab_size"), hidden);
    this.layers = Array.from({ length: count }, () => new ResidualBlock(c));
    this.norm_f = new RMSNorm(hidden);
  }
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    return this.norm_f.forward(throughBlocks(inputEmbeddings ?? this.embeddings.forward(tokens), this.layers, cache));
  }
}

/** `mamba` (`mlx_lm.models.mamba`). */
export class Model extends LanguageModel {
  readonly modelType: string = "mamba";
  backbone: Mamba;
  lm_head?: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    this.backbone = new Mamba(config);
    if (!config.flag("tie_word_embeddings", true)) {
      this.lm_head = new Linear(mambaSizes(config).hidden, config.size("vocab_size"), { bias: false });
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
