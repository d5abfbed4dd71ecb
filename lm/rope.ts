/**
 * Rotary positions as checkpoints configure them: scalings for texts longer than those of the training. What a scaling
 * changes are the periods of the pairs, `base^(2i / dims)` at first, and sometimes the size of the rotated features.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { Module, RoPE } from "../nn/mod.ts";
import type { Config } from "./config.ts";

/** Where the first row stands. */
export interface OffsetOptions {
  /** A number, or an integer array: 0-d, or one entry per batch row. Default 0. */
  readonly offset?: number | NDArray;
}
/** A layer that rotates x [B, heads, L, D] by its positions. */
export type Rope = Module & { forward(x: NDArray, options?: OffsetOptions): NDArray };

/** `base^(2i / dims)` for the pairs of `rotated` features. */
function basicPeriods(base: number, dims: number, rotated: number = dims): number[] {
  return Array.from({ length: Math.ceil(rotated / 2) }, (_, i) => base ** (2 * i / dims));
}

/** Rotation with given periods; the features may be scaled first. */
class PeriodRope extends Module {
  readonly #periods: NDArray;
  constructor(
    readonly dims: number,
    readonly traditional: boolean,
    periods: readonly number[],
    readonly scale: number = 1,
  ) {
    super();
    this.#periods = mx.array(Float32Array.from(periods));
  }
  forward(x: NDArray, { offset = 0 }: OffsetOptions = {}): NDArray {
    const { dims, traditional } = this;
    return mx.fast.rope(this.#scaled(x), dims, { traditional, offset, freqs: this.#periods });
  }
  /** The first `dims` features times the scale. */
  #scaled(x: NDArray): NDArray {
    if (this.scale === 1) return x;
    if (x.shape.at(-1) === this.dims) return x.multiply(mx.float(this.scale));
    return x.at("...", mx.slice(0, this.dims)).multiply(mx.float(this.scale));
  }
}

/** NTK scaling by the length that the text has reached: the base grows beyond `maxPositions` positions. */
class DynamicRope extends Module {
  constructor(
    readonly dims: number,
    readonly maxPositions: number,
    readonly traditional: boolean,
    readonly base: number,
    readonly factor: number,
  ) {
    super();
  }
  forward(x: NDArray, { offset = 0 }: OffsetOptions = {}): NDArray {
    const { dims, traditional, maxPositions, factor } = this, length = x.shape.at(-2) ?? 0;
    const exponent = dims / (dims - 2);
    if (typeof offset === "number") {
      const growth = factor * Math.max(length + offset, maxPositions) / maxPositions - (factor - 1);
      return mx.fast.rope(x, dims, { traditional, offset, base: this.base * growth ** exponent });
    }
    if (offset.size !== 1) {
      return mx.fail(mx.ValueError, "rope", {
        cannot: "scale the base by the length of the text",
        expected: "one offset",
        got: `${offset.size}`,
        fix: "run the texts one by one",
      });
    }
    const reached = mx.maximum(offset.reshape([]).add(length), maxPositions).astype(mx.float32);
    const base = reached.multiply(factor / maxPositions).subtract(factor - 1).power(exponent).multiply(this.base);
    const exponents = mx.array(Float32Array.from({ length: dims / 2 }, (_, i) => 2 * i / dims));
    return mx.fast.rope(x, dims, { traditional, offset, freqs: mx.power(base, exponents) });
  }
}

/** Llama 3.1: short periods stay, long ones grow by the factor, those between are blended. */
function llama3Periods(dims: number, base: number, scaling: Config): number[] {
  const factor = scaling.number("factor"), low = scaling.number("low_freq_factor", 1);
  const high = scaling.number("high_freq_factor", 4),
    original = scaling.number("original_max_position_embeddings", 8192);
  return basicPeriods(base, dims).map((period) => {
    const wavelength = 2 * Math.PI * period;
    if (wavelength > original / low) return period * factor;
    if (wavelength <= original / high) return period;
    const smooth = (original / wavelength - low) / (high - low);
    return period / ((1 - smooth) / factor + smooth);
  });
}

/** YaRN (https://arxiv.org/abs/2309.00071): pairs are ramped from kept to interpolated by how often they turn. */
function yarnRope(dims: number, base: number, traditional: boolean, scaling: Config): Rope {
  const factor = scaling.number("factor"), original = scaling.number("original_max_position_embeddings", 4096);
  const fast = scaling.number("beta_fast", 32), slow = scaling.number("beta_slow", 1);
  const pairOf = (turns: number): number => dims * Math.log(original / (turns * 2 * Math.PI)) / (2 * Math.log(base));
  const first = Math.max(Math.floor(pairOf(fast)), 0), end = Math.min(Math.ceil(pairOf(slow)), dims - 1);
  const last = end === first ? end + 0.001 : end;
  const periods = basicPeriods(base, dims).map((period, i) => {
    const kept = 1 - Math.min(Math.max((i - first) / (last - first), 0), 1), long = factor * period;
    return long * period / (long * kept + period * (1 - kept));
  });
  const size = (m: number): number => factor <= 1 ? 1 : 0.1 * m * Math.log(factor) + 1;
  const scale = size(scaling.number("mscale", 1)) / size(scaling.number("mscale_all_dim", 0));
  return new PeriodRope(dims, traditional, periods, scale);
}

/** LongRoPE (https://arxiv.org/abs/2402.13753), always with the factors for long texts, as in mlx-lm. */
function longRope(dims: number, base: number, maxPositions: number, scaling: Config): Rope {
  const original = scaling.number("original_max_position_embeddings"), ratio = maxPositions / original;
  const given = scaling.json.long_factor, plain = basicPeriods(base, dims);
  const factors = typeof given === "number" ? plain.map(() => given) : scaling.numbers("long_factor");
  if (factors.length !== plain.length) scaling.refuse("long_factor", `${plain.length} numbers`, `${factors.length}`);
  const usual = ratio <= 1 ? 1 : Math.sqrt(1 + Math.log(ratio) / Math.log(original));
  const scale = scaling.number("long_mscale", usual);
  return new PeriodRope(dims, false, plain.map((period, i) => period * (factors[i] ?? 1)), scale);
}

/** Only a part of the pairs turns; the rest have endless periods. */
function proportionalRope(dims: number, base: number, traditional: boolean, scaling: Config): Rope {
  const rotated = Math.trunc(dims * scaling.number("partial_rotary_factor", 1)), factor = scaling.number("factor", 1);
  if (rotated > dims) scaling.refuse("partial_rotary_factor", "at most 1");
  const periods = basicPeriods(base, dims, rotated).map((period) => factor * period);
  const still = new Array<number>(Math.floor((dims - rotated) / 2)).fill(Infinity);
  return new PeriodRope(dims, traditional, [...periods, ...still]);
}

/** What {@linkcode initializeRope} needs. */
export interface RopeSettings {
  /** Features that are rotated. */
  readonly dims: number;
  /** Base of the periods. */
  readonly base: number;
  /** Rotate pairs (2i, 2i+1) instead of (i, i + dims/2). Default false. */
  readonly traditional?: boolean;
  /** `rope_scaling` of the config. */
  readonly scaling?: Config | null;
  /** Positions that the model was made for; some scalings need it. */
  readonly maxPositions?: number | null;
}
/**
 * The layer for a `rope_scaling`, of the types default, linear, dynamic, llama3, yarn, longrope, proportional and mrope
 * (`initialize_rope` of mlx-lm).
 * @throws CheckpointError for another type, or for missing fields.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { Config, initializeRope } from "@denim/ml/lm";
 * const plain = initializeRope({ dims: 4, base: 10000 });
 * const scaling = new Config({ rope_type: "linear", factor: 2 }), x = mx.ones([1, 1, 1, 4]);
 * const halved = initializeRope({ dims: 4, base: 10000, scaling }); // position 6 becomes position 3
 * mx.allclose(halved.forward(x, { offset: 6 }), plain.forward(x, { offset: 3 })).item(); // true
 * ```
 */
export function initializeRope(settings: RopeSettings): Rope {
  const { dims, base, traditional = false, scaling = null, maxPositions = null } = settings;
  if (!scaling) return new RoPE(dims, { traditional, base });
  const type = scaling.text("type", null) ?? scaling.text("rope_type", "default");
  const positions = (): number => maxPositions ?? scaling.refuse("type", "max_position_embeddings beside it", "none");
  switch (type) {
    case "default":
      return new RoPE(dims, { traditional, base });
    case "linear":
      return new RoPE(dims, { traditional, base, scale: 1 / scaling.number("factor") });
    case "dynamic":
      return new DynamicRope(dims, positions(), traditional, base, scaling.number("factor"));
    case "llama3":
      return new PeriodRope(dims, traditional, llama3Periods(dims, base, scaling));
    case "yarn":
    case "deepseek_yarn":
    case "telechat3-yarn":
      return yarnRope(dims, base, traditional, scaling);
    case "longrope":
      return longRope(dims, base, positions(), scaling);
    case "proportional":
      return proportionalRope(dims, base, traditional, scaling);
    case "mrope":
      if (scaling.numbers("mrope_section").length !== 3) scaling.refuse("mrope_section", "3 sections");
      return new RoPE(dims, { traditional, base });
    default: {
      const known = "default, linear, dynamic, llama3, yarn, longrope, proportional or mrope";
      return scaling.refuse("rope_type", known, type);
    }
  }
}
/** `rope_theta` and `rope_scaling` of a config; newer exporters put both into `rope_parameters`. */
export function ropeConfig(config: Config, theta?: number): { readonly base: number; readonly scaling: Config | null } {
  const nested = config.object("rope_parameters", null);
  const given = config.number("rope_theta", null) ?? nested?.number("rope_theta", null) ?? null;
  return {
    base: given ?? theta ?? config.number("rope_theta"),
    scaling: config.object("rope_scaling", null) ?? nested,
  };
}
