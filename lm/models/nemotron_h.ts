/**
 * Nemotron H: each layer is one thing, a state-space layer, attention without positions, an MLP or a mixture of experts.
 * @module
 */
import type { NDArray } from "../../core/mod.ts";
import { Embedding, Linear, Module, relu2, RMSNorm } from "../../nn/mod.ts";
import { ArraysCache, arraysOf } from "../arrays_cache.ts";
import { HeadAttention, headSizes } from "../blocks.ts";
import { type Cache, KVCache } from "../cache.ts";
import type { Config } from "../config.ts";
import { Mamba2Mixer, timeLimits } from "../mamba2_mixer.ts";
import { attentionMask, type Mask } from "../mask.ts";
import {
  type ForwardOptions,
  LanguageModel,
  type Projection,
  type TokenEmbedding,
  type Weights,
  withoutWeights,
  withOwnKernels,
} from "../model.ts";
import { CorrectedGate, stackedExperts, SwitchMLP, weighted } from "../moe.ts";

function mixer(c: Config): Mamba2Mixer {
  return new Mamba2Mixer({
    hidden: c.size("hidden_size"),
    heads: c.size("mamba_num_heads"),
    headDim: c.size("mamba_head_dim"),
    groups: c.size("n_groups"),
    states: c.size("ssm_state_size"),
    kernel: c.size("conv_kernel"),
    limits: timeLimits(c, [0, Infinity]),
    bias: c.flag("mamba_proj_bias"),
    convBias: c.flag("use_conv_bias"),
    eps: c.number("layer_norm_epsilon"),
    groupedNorm: true,
  });
}
/** `down(relu(up(x))²)`. */
class NemotronHMLP extends Module {
  up_proj: Projection;
  down_proj: Projection;
  constructor(hidden: number, size: number, bias: boolean) {
    super();
    this.up_proj = new Linear(hidden, size, { bias });
    this.down_proj = new Linear(size, hidden, { bias });
  }
  forward(x: NDArray): NDArray {
    return this.down_proj.forward(relu2(this.up_proj.forward(x)));
  }
}
/** Experts that work on x, or on fewer features of it. */
class NemotronHMoE extends Module {
  switch_mlp: SwitchMLP;
  gate: CorrectedGate;
  shared_experts?: NemotronHMLP;
  fc1_latent_proj?: Projection;
  fc2_latent_proj?: Projection;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"), latent = c.size("moe_latent_size", null), bias = c.flag("mlp_bias");
    const experts = c.size("n_routed_experts");
    this.switch_mlp = new SwitchMLP(latent ?? hidden, c.size("moe_intermediate_size"), experts, relu2);
    this.gate = new CorrectedGate(c);
    if (c.size("n_shared_experts", null) !== null) {
      this.shared_experts = new NemotronHMLP(hidden, c.size("moe_shared_expert_intermediate_size"), bias);
    }
    if (latent === null) return;
    this.fc1_latent_proj = new Linear(hidden, latent, { bias });
    this.fc2_latent_proj = new Linear(latent, hidden, { bias });
  }
  forward(x: NDArray): NDArray {
    const [indices, scores] = this.gate.forward(x), inputs = this.fc1_latent_proj?.forward(x) ?? x;
    const chosen = weighted(this.switch_mlp.forward(inputs, indices), scores);
    const y = this.fc2_latent_proj?.forward(chosen) ?? chosen;
    return this.shared_experts ? y.add(this.shared_experts.forward(x)) : y;
  }
}
function attention(c: Config): HeadAttention {
  const sizes = headSizes(c);
  return new HeadAttention(sizes, null, { bias: c.flag("attention_bias") });
}

/** What a layer is: a letter of `hybrid_override_pattern`. */
type Kind = "M" | "*" | "-" | "E";
const isKind = (x: string): x is Kind => x === "M" || x === "*" || x === "-" || x === "E";
/** The letters of the names in `layers_block_type` or `layer_types`. */
const LETTERS: ReadonlyMap<string, Kind> = new Map([
  ["full_attention", "*"],
  ["attention", "*"],
  ["linear_attention", "M"],
  ["mamba", "M"],
  ["conv", "M"],
  ["moe", "E"],
  ["mlp", "-"],
]);
function kinds(c: Config): Kind[] {
  const pattern = c.json.hybrid_override_pattern ?? null;
  const given = typeof pattern === "string"
    ? [...pattern]
    : c.texts("hybrid_override_pattern", null) ?? c.texts("layers_block_type", null) ??
      c.texts<never>("layer_types");
  return given.map((name) => {
    const kind = isKind(name) ? name : LETTERS.get(name);
    return kind ?? c.refuse("hybrid_override_pattern", "M, *, - or E for each layer", name);
  });
}
class NemotronHBlock extends Module {
  norm: RMSNorm;
  mixer: Mamba2Mixer | HeadAttention | NemotronHMLP | NemotronHMoE;
  constructor(c: Config, readonly kind: Kind) {
    super();
    const hidden = c.size("hidden_size");
    this.norm = new RMSNorm(hidden, { eps: c.number("layer_norm_epsilon") });
    if (kind === "M") this.mixer = mixer(c);
    else if (kind === "*") this.mixer = attention(c);
    else if (kind === "E") this.mixer = new NemotronHMoE(c);
    else this.mixer = new NemotronHMLP(hidden, c.size("intermediate_size"), c.flag("mlp_bias"));
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const { mixer } = this, y = this.norm.forward(x);
    if (mixer instanceof Mamba2Mixer) return x.add(mixer.forward(y, arraysOf(cache)));
    return x.add(mixer instanceof HeadAttention ? mixer.forward(y, mask, cache) : mixer.forward(y));
  }
}
class NemotronHModel extends Module {
  embeddings: TokenEmbedding;
  layers: NemotronHBlock[];
  norm_f: RMSNorm;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size");
    this.embeddings = new Embedding(c.size("vocab_size"), hidden);
    this.layers = kinds(c).map((kind) => new NemotronHBlock(c, kind));
    this.norm_f = new RMSNorm(hidden, { eps: c.number("layer_norm_epsilon") });
  }
  /** Only layers that remember have a cache. */
  get remembering(): readonly NemotronHBlock[] {
    return this.layers.filter(({ kind }) => kind === "M" || kind === "*");
  }
  forward(tokens: NDArray, { cache = null, inputEmbeddings = null }: ForwardOptions): NDArray {
    let h = inputEmbeddings ?? this.embeddings.forward(tokens);
    const own = new Map(this.remembering.map((layer, i) => [layer, cache?.[i] ?? null]));
    const attends = this.layers.find(({ kind }) => kind === "*");
    const mask = attends ? attentionMask(h, own.get(attends) ?? null) : null;
    for (const layer of this.layers) h = layer.forward(h, mask, own.get(layer) ?? null);
    return this.norm_f.forward(h);
  }
}

/** `nemotron_h` (`mlx_lm.models.nemotron_h`). */
export class Model extends LanguageModel {
  readonly modelType: string = "nemotron_h";
  backbone: NemotronHModel;
  lm_head: Projection;
  /** Builds the model that a config describes, with random weights. */
  constructor(config: Config) {
    super();
    const c = config.withDefaults({ norm_topk_prob: false, topk_method: "noaux_tc" });
    this.backbone = new NemotronHModel(c);
    this.lm_head = new Linear(c.size("hidden_size"), c.size("vocab_size"), { bias: false });
  }
  get layers(): readonly NemotronHBlock[] {
    return this.backbone.layers;
  }
  forward(tokens: NDArray, options: ForwardOptions = {}): NDArray {
    return this.lm_head.forward(this.backbone.forward(tokens, options));
  }
  override makeCache(): Cache[] {
    return this.backbone.remembering.map(({ kind }) => kind === "M" ? new ArraysCache(2) : new KVCache());
  }
  override sanitize(weights: Weights): Weights {
    const used = withoutWeights(weights, (name) => name.startsWith("mtp."));
    return stackedExperts(withOwnKernels(used, "conv1d.weight"), { up_proj: "fc1", down_proj: "fc2" });
  }
}
