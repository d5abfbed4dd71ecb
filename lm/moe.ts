/**
 * Mixtures of experts: linear layers with one matrix per expert, of which each token uses a few, and the gated MLP of
 * such.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { Module, type QuantizeOptions } from "../nn/mod.ts";
import { quantizationOf } from "../nn/quantized.ts";
import { swiglu } from "./activations.ts";
import type { Config } from "./config.ts";
import type { Weights } from "./model.ts";

/** A layer of experts of any kind: plain, quantized, adapted. */
export type ExpertProjection = Module & { forward(x: NDArray, indices: NDArray): NDArray };

/** Chooses the experts of each token of x [B, L, hidden], and their shares: both [B, L, k]. */
export type ExpertGate = Module & { forward(x: NDArray): [indices: NDArray, scores: NDArray] };

/**
 * `x Wᵀ + b` with the W and b of an expert (`SwitchLinear` of mlx-lm), W [experts, outputs, inputs].
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { SwitchLinear } from "@denim/ml/lm";
 * const layer = new SwitchLinear(2, 2, 3, { bias: false }), x = mx.array([[[[1, 1]]]]);
 * layer.weight = mx.array([0, 1, 2]).reshape([3, 1, 1]).multiply(mx.ones([3, 2, 2])); // the number of the expert
 * layer.forward(x, mx.array([[2, 1]], mx.int32)).tolist(); // [[[[4, 4]], [[2, 2]]]]
 * ```
 */
export class SwitchLinear extends Module {
  /** One matrix per expert. */
  weight: NDArray;
  /** [experts, outputs], if there is one. */
  bias?: NDArray;
  /** Draws the weights uniformly from ±1/√inputs; biases are zeros. */
  constructor(inputs: number, outputs: number, experts: number, { bias = true }: { readonly bias?: boolean } = {}) {
    super();
    const scale = Math.sqrt(1 / inputs);
    this.weight = mx.random.uniform([experts, outputs, inputs], { low: -scale, high: scale });
    if (bias) this.bias = mx.zeros([experts, outputs]);
  }
  /** x [..., 1 or k, 1, inputs] and the experts [..., k] -> [..., k, 1, outputs]. */
  forward(x: NDArray, indices: NDArray): NDArray {
    const y = mx.gatherMm(x, this.weight.swapaxes(-1, -2), { rhsIndices: indices });
    return this.bias ? y.add(this.bias.index(indices).expandDims(-2)) : y;
  }
  /** The same layer with quantized weights. */
  toQuantized(options: QuantizeOptions = {}): QuantizedSwitchLinear {
    return new QuantizedSwitchLinear(this, options);
  }
}
/**
 * {@linkcode SwitchLinear} with quantized weights (`QuantizedSwitchLinear` of mlx-lm); frozen.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { SwitchLinear } from "@denim/ml/lm";
 * const layer = new SwitchLinear(64, 8, 4), packed = layer.toQuantized({ groupSize: 32, bits: 4 });
 * [packed.weight.shape, packed.scales.shape]; // [[4, 8, 8], [4, 8, 2]]
 * packed.forward(mx.ones([5, 1, 1, 64]), mx.zeros([5, 2], mx.int32)).shape; // [5, 2, 1, 8]
 * ```
 */
export class QuantizedSwitchLinear extends Module {
  /** Packed words, [experts, outputs, inputs bits / 32]. */
  weight: NDArray;
  /** Scales of the groups. */
  scales: NDArray;
  /** Offsets of the groups, in mode affine. */
  biases?: NDArray;
  /** [experts, outputs], if there is one. */
  bias?: NDArray;
  /** Numbers that share a scale. */
  readonly groupSize: number;
  /** Bits of a number. */
  readonly bits: number;
  /** `affine`, `mxfp4`, `mxfp8` or `nvfp4`. */
  readonly mode: mx.QuantizationMode;
  /** Quantizes a layer. */
  constructor(layer: SwitchLinear, options: QuantizeOptions) {
    super();
    const { groupSize, bits, mode } = quantizationOf(options);
    [this.groupSize, this.bits, this.mode] = [groupSize, bits, mode];
    const [weight, scales, biases] = mx.quantize(layer.weight, { groupSize, bits, mode });
    [this.weight, this.scales] = [weight!, scales!];
    if (biases) this.biases = biases;
    if (layer.bias) this.bias = layer.bias;
    this.freeze();
  }
  /** As {@linkcode SwitchLinear}. */
  forward(x: NDArray, indices: NDArray): NDArray {
    const { groupSize, bits, mode, biases = null } = this;
    const y = mx.gatherQmm(x, this.weight, this.scales, { biases, rhsIndices: indices, groupSize, bits, mode });
    return this.bias ? y.add(this.bias.index(indices).expandDims(-2)) : y;
  }
}

/** Options of {@linkcode SwitchGLU}. */
export interface SwitchGLUOptions {
  /** Biases of all three. Default false. */
  readonly bias?: boolean;
  /** Of the gate and what it gates. Default `silu(gate) x`. */
  readonly activation?: (gate: NDArray, x: NDArray) => NDArray;
}
/** `down(activation(gate(x), up(x)))` of each chosen expert (`SwitchGLU` of mlx-lm). */
export class SwitchGLU extends Module {
  gate_proj: ExpertProjection;
  up_proj: ExpertProjection;
  down_proj: ExpertProjection;
  readonly #activation: (gate: NDArray, x: NDArray) => NDArray;
  constructor(dim: number, hidden: number, experts: number, o: SwitchGLUOptions = {}) {
    super();
    const { bias = false, activation = swiglu } = o;
    this.#activation = activation;
    this.gate_proj = new SwitchLinear(dim, hidden, experts, { bias });
    this.up_proj = new SwitchLinear(dim, hidden, experts, { bias });
    this.down_proj = new SwitchLinear(hidden, dim, experts, { bias });
  }
  /** x [..., dim] and experts [..., k] -> [..., k, dim]. */
  forward(x: NDArray, indices: NDArray): NDArray {
    const chosen = mx.stopGradient(indices), wide = x.expandDims([-2, -3]);
    const y = this.#activation(this.gate_proj.forward(wide, chosen), this.up_proj.forward(wide, chosen));
    return this.down_proj.forward(y, chosen).squeeze(-2);
  }
}
/** `fc2(activation(fc1(x)))` of each chosen expert (`SwitchMLP` of mlx-lm). */
export class SwitchMLP extends Module {
  fc1: ExpertProjection;
  fc2: ExpertProjection;
  readonly #activation: (x: NDArray) => NDArray;
  constructor(dim: number, hidden: number, experts: number, activation: (x: NDArray) => NDArray) {
    super();
    this.#activation = activation;
    this.fc1 = new SwitchLinear(dim, hidden, experts, { bias: false });
    this.fc2 = new SwitchLinear(hidden, dim, experts, { bias: false });
  }
  /** x [..., dim] and experts [..., k] -> [..., k, dim]. */
  forward(x: NDArray, indices: NDArray): NDArray {
    const chosen = mx.stopGradient(indices);
    return this.fc2.forward(this.#activation(this.fc1.forward(x.expandDims([-2, -3]), chosen)), chosen).squeeze(-2);
  }
}
/** The indices of the k largest of the last axis, in no particular order. */
export function topIndices(x: NDArray, k: number): NDArray {
  return mx.stopGradient(mx.argpartition(x.negative(), k - 1, -1).index("...", mx.slice(0, k)));
}
/** How experts are chosen by groups. */
export interface ExpertGroups {
  /** How many groups there are. */
  readonly count: number;
  /** How many of them may be chosen from. */
  readonly kept: number;
  /** The score of a group, [...], by those of its experts, [..., n]. */
  readonly score: (experts: NDArray) => NDArray;
}
/** Scores [..., experts] with zeros for the experts of all groups but the best. */
export function withoutWorstGroups(scores: NDArray, { count, kept, score }: ExpertGroups): NDArray {
  if (count === kept) return scores;
  const split = scores.reshape([...scores.shape.slice(0, -1), count, -1]), worst = count - kept;
  const indices = mx.stopGradient(mx.argpartition(score(split), worst - 1, -1).index("...", mx.slice(0, worst), null));
  return mx.putAlongAxis(split, indices, mx.zeros([], scores.dtype), -2).reshape(scores.shape);
}
/** Sum of the experts' results [..., k, dim] by their scores [..., k]. */
export function weighted(y: NDArray, scores: NDArray): NDArray {
  return y.multiply(scores.expandDims(-1)).sum(-2).astype(y.dtype);
}

/**
 * A gate with sigmoids (`MoEGate` of DeepSeek V3): a learned correction, and the best groups of experts, count for the
 * choice only.
 */
export class CorrectedGate extends Module {
  weight: NDArray;
  e_score_correction_bias: NDArray;
  readonly chosen: number;
  readonly groups: { readonly count: number; readonly kept: number };
  readonly factor: number;
  readonly normalizes: boolean;
  constructor(c: Config) {
    super();
    if (c.text("topk_method", "noaux_tc") !== "noaux_tc") c.refuse("topk_method", "noaux_tc");
    const experts = c.size("n_routed_experts");
    this.weight = mx.zeros([experts, c.size("hidden_size")]);
    this.e_score_correction_bias = mx.zeros([experts]);
    this.chosen = c.size("num_experts_per_tok");
    this.groups = { count: c.size("n_group", 1), kept: c.size("topk_group", 1) };
    this.factor = c.number("routed_scaling_factor", 1);
    this.normalizes = this.chosen > 1 && c.flag("norm_topk_prob", true);
  }
  /** The experts of each token, and their scores. */
  forward(x: NDArray): [indices: NDArray, scores: NDArray] {
    const plain = x.matmul(this.weight.T).astype(mx.float32).sigmoid();
    const corrected = plain.add(this.e_score_correction_bias);
    const kept = this.groups.count > 1
      ? withoutWorstGroups(corrected, { ...this.groups, score: (g) => mx.topk(g, 2, -1).sum(-1) })
      : corrected;
    const indices = topIndices(kept, this.chosen), scores = mx.takeAlongAxis(plain, indices, -1);
    const shares = this.normalizes ? scores.divide(scores.sum(-1, { keepdims: true })) : scores;
    return [indices, shares.multiply(mx.float(this.factor))];
  }
}
const lost = (name: string, expert: number): never =>
  mx.fail(mx.CheckpointError, "load", {
    cannot: `stack the experts of ${name}`,
    expected: "the weights of all of them",
    got: `none of expert ${expert}`,
    fix: "fetch the model again",
  });
const EXPERT = /^(.*)\.experts\.(\d+)\.(\w+)\.(weight|scales|biases)$/;
/**
 * The weights of experts one by one, `PREFIX.experts.3.NAME.weight`, as those of a `SwitchGLU`,
 * `PREFIX.switch_mlp.NAME.weight`. `names` translates names.
 */
export function stackedExperts(weights: Weights, names: Readonly<Record<string, string>> = {}): Weights {
  const own: Weights = new Map(), experts = new Map<string, NDArray[]>();
  for (const [name, x] of weights) {
    const [, prefix, index, layer = "", part] = EXPERT.exec(name) ?? [];
    if (index === undefined) own.set(name, x);
    else {
      const target = `${prefix}.switch_mlp.${names[layer] ?? layer}.${part}`, list = experts.get(target) ?? [];
      list[Number(index)] = x;
      experts.set(target, list);
    }
  }
  for (const [name, list] of experts) own.set(name, mx.stack(Array.from(list, (x, i) => x ?? lost(name, i))));
  return own;
}
