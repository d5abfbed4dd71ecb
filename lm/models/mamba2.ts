/**
 * Mamba 2: no attention; each layer is a short convolution and a state-space recurrence by heads.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { Embedding, Linear, Module, RMSNorm } from "../../nn/mod.ts";
import { ArraysCache, arraysOf } from "../arrays_cache.ts";
import { throughBlocks } from "../blocks.ts";
import type { Cache } from "../cache.ts";
import type { Config } from "../config.ts";
import { Mamba2Mixer, timeLimits } from "../mamba2_mixer.ts";
import type { Mask } from "../mask.ts";
import {
  type ForwardOptions,
  LanguageModel,
  type Projection,
  type TokenEmbedding,
  type Weights,
  withOwnKernels,
} from "../model.ts";

/** The sizes in a config. */
function mixer(c: Config): Mamba2Mixer {
  return new Mamba2Mixer({
    hidden: c.size("hidden_size"),
    heads: c.size("num_heads"),
    headDim: c.size("head_dim"),
    groups: c.size("n_groups"),
    states: c.size("ssm_state_size", null) ?? c.size<never>("state_size"),
    kernel: c.size("conv_kernel"),
    limits: timeLimits(c),
    bias: c.flag("use_bias"),
    convBias: c.flag("use_conv_bias"),
    eps: c.number("layer_norm_epsilon"),
  });
}
class ResidualBlock extends Module {
  mixer: Mamba2Mixer;
  norm: RMSNorm;
  readonly isRecurrent = true;
  constructor(c: Config) {
    super();
    this.mixer = mixer(c);
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
