/**
 * The state-space layer of Mamba 2, as several models have it: one projection, a short convolution, the recurrence, a
 * gated norm.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { Conv1d, Linear, Module, silu } from "../nn/mod.ts";
import { swiglu } from "./activations.ts";
import { type ArraysCache, withHistory } from "./arrays_cache.ts";
import type { Config } from "./config.ts";
import type { Projection } from "./model.ts";
import { stateSpace } from "./ssm.ts";

/** `rmsNorm(silu(gate) x)`, of all features or of groups of them. */
class MambaRMSNormGated extends Module {
  weight: NDArray;
  constructor(dims: number, readonly eps: number, readonly groups: number) {
    super();
    this.weight = mx.ones([dims]);
  }
  forward(x: NDArray, gate: NDArray): NDArray {
    const y = swiglu(gate, x), { eps, groups, weight } = this;
    if (groups === 1) return mx.fast.rmsNorm(y, weight, eps);
    const grouped = mx.fast.rmsNorm(y.reshape([...y.shape.slice(0, -1), groups, -1]), null, eps);
    return weight.multiply(grouped.reshape(y.shape));
  }
}
/** `time_step_limit`; exporters write infinity as an object or as a text. Absent it is `otherwise`. */
export function timeLimits(c: Config, otherwise?: readonly [number, number]): readonly [number, number] {
  const given = c.json.time_step_limit ?? null, [least, greatest] = Array.isArray(given) ? given : [];
  if (given === null && otherwise) return otherwise;
  const limit = typeof greatest === "number" ? greatest : Infinity;
  return typeof least === "number" ? [least, limit] : c.refuse("time_step_limit", "two numbers");
}
/** Sizes and switches of a layer. */
export interface Mamba2Sizes {
  /** Features of the model. */
  readonly hidden: number;
  /** Heads of the recurrence. */
  readonly heads: number;
  /** Features of a head. */
  readonly headDim: number;
  /** Groups of heads that share what goes in and out. */
  readonly groups: number;
  /** States of a feature. */
  readonly states: number;
  /** Tokens that the convolution sees. */
  readonly kernel: number;
  /** The least and the greatest time. */
  readonly limits: readonly [least: number, greatest: number];
  /** Biases of the projections. */
  readonly bias: boolean;
  /** Bias of the convolution. */
  readonly convBias: boolean;
  /** Of the norm. */
  readonly eps: number;
  /** Whether the norm is one per group of heads. Default false. */
  readonly groupedNorm?: boolean;
}
/** x [B, T, hidden] -> [B, T, hidden]. */
export class Mamba2Mixer extends Module {
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
  constructor({ hidden, heads, headDim, groups, states, kernel, limits, bias, convBias, eps, ...o }: Mamba2Sizes) {
    super();
    [this.heads, this.headDim, this.groups, this.states, this.kernel] = [heads, headDim, groups, states, kernel];
    this.limits = limits;
    const inner = heads * headDim, wide = inner + 2 * groups * states;
    this.conv1d = new Conv1d(wide, wide, kernel, { groups: wide, bias: convBias });
    this.in_proj = new Linear(hidden, inner + wide + heads, { bias });
    this.dt_bias = mx.ones([heads]);
    this.A_log = mx.arange(1, heads + 1).astype(mx.float32).log();
    this.D = mx.ones([heads]);
    this.norm = new MambaRMSNormGated(inner, eps, o.groupedNorm ? groups : 1);
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
