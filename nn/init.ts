/**
 * Initialisers (`mlx.nn.init`): each function returns one that makes an array of the shape of its argument. The same
 * seed draws the same numbers as MLX.
 * @module
 */
import {
  arange,
  argsort,
  array,
  type DType,
  eye,
  fail,
  float32,
  full,
  type NDArray,
  random,
  ShapeError,
  ValueError,
} from "../core/mod.ts";

/** Makes an array of the argument's shape. */
export type Initializer = (a: NDArray) => NDArray;
/** What every initialiser takes. */
export interface InitOptions {
  /** Dtype of the arrays. Default float32. */
  readonly dtype?: DType;
}
/** A bare dtype, or options. */
export type DTypeOr<O> = DType | O;
/** Options of {@linkcode normal} and {@linkcode sparse}. */
export interface NormalInitOptions extends InitOptions {
  /** The mean. Default 0. */
  readonly mean?: number;
  /** The standard deviation. Default 1. */
  readonly std?: number;
}
/** Options of {@linkcode uniform}. */
export interface UniformInitOptions extends InitOptions {
  /** The lower bound. Default 0. */
  readonly low?: number;
  /** The upper bound. Default 1. */
  readonly high?: number;
}
/** Options of a Glorot initialiser's call. */
export interface GainOptions {
  /** A factor. Default 1. */
  readonly gain?: number;
}
/** Options of a He initialiser's call. */
export interface FanOptions extends GainOptions {
  /** Scale by the number of inputs, or of outputs. Default fan_in. */
  readonly mode?: "fan_in" | "fan_out";
}
/** Makes an array of the argument's shape, scaled by a gain. */
export type GlorotInitializer = (a: NDArray, options?: number | GainOptions) => NDArray;
/** Makes an array of the argument's shape, scaled by inputs or outputs and a gain. */
export type HeInitializer = (a: NDArray, options?: FanOptions["mode"] | FanOptions) => NDArray;

function dtypeOf(options: DTypeOr<InitOptions>): DType {
  return "code" in options ? options : options.dtype ?? float32;
}
function settings<O extends InitOptions>(options: DTypeOr<O>): Partial<O> {
  return "code" in options ? {} : options;
}
const shown = (a: NDArray): string => `${a.dtype}[${a.shape.join(",")}]`;
/** Inputs and outputs of a weight [outputs, receptive field..., inputs], each times the receptive field. */
function fans(op: string, a: NDArray): { fan_in: number; fan_out: number } {
  if (a.ndim < 2) {
    fail(ShapeError, `init.${op}`, {
      cannot: `initialize ${shown(a)}`,
      expected: "at least 2 axes",
      got: String(a.ndim),
      fix: "use uniform or normal for vectors",
    });
  }
  const field = a.shape.slice(1, -1).reduce((n, d) => n * d, 1);
  return { fan_in: a.shape.at(-1)! * field, fan_out: a.shape[0]! * field };
}
function gainOf(options: number | GainOptions): number {
  return (typeof options === "number" ? options : options.gain) ?? 1;
}
/** The gain over the root of the chosen fan. */
function heScale(op: string, a: NDArray, options: FanOptions["mode"] | FanOptions): number {
  const { mode = "fan_in", gain = 1 } = typeof options === "object" ? options : { mode: options };
  const fan = fans(op, a)[mode];
  if (fan !== undefined) return gain / Math.sqrt(fan);
  return fail(ValueError, `init.${op}`, {
    cannot: `scale by ${String(mode)}`,
    expected: "fan_in or fan_out",
    got: String(mode),
    fix: "use one of them",
  });
}
function symmetric(a: NDArray, limit: number, dtype: DType): NDArray {
  return random.uniform(a.shape, { low: -limit, high: limit, dtype });
}

/**
 * `value` everywhere (`mlx.nn.init.constant`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.init.constant(0.5)(mx.zeros([2, 2])).tolist(); // [[0.5, 0.5], [0.5, 0.5]]
 * nn.init.constant(1, mx.float16)(mx.zeros([3])).dtype; // float16
 * ```
 */
export function constant(value: number, options: DTypeOr<InitOptions> = {}): Initializer {
  return (a) => full(a.shape, value, dtypeOf(options));
}
/**
 * Draws from a normal distribution (`mlx.nn.init.normal`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const weight = nn.init.normal({ mean: 1, std: 0.02 })(mx.zeros([1000, 10]));
 * Math.abs(Number(weight.mean().item()) - 1) < 0.001; // true
 * ```
 */
export function normal(options: DTypeOr<NormalInitOptions> = {}): Initializer {
  const { mean = 0, std = 1 } = settings(options);
  return (a) => random.normal(a.shape, { loc: mean, scale: std, dtype: dtypeOf(options) });
}
/**
 * Draws evenly from [low, high) (`mlx.nn.init.uniform`).
 *
 * @example
 * ```ts
 * import * as nn from "@denim/ml/nn";
 * const layer = new nn.Linear(4, 2);
 * layer.apply(nn.init.uniform({ low: -0.1, high: 0.1 }));
 * layer.weight.abs().max().lt(0.1).item(); // true
 * ```
 */
export function uniform(options: DTypeOr<UniformInitOptions> = {}): Initializer {
  const { low = 0, high = 1 } = settings(options);
  return (a) => random.uniform(a.shape, { low, high, dtype: dtypeOf(options) });
}
/**
 * The identity matrix, for square matrices (`mlx.nn.init.identity`).
 * Anything but a square matrix is a `ShapeError`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.init.identity()(mx.zeros([2, 2])).tolist(); // [[1, 0], [0, 1]]
 * ```
 */
export function identity(options: DTypeOr<InitOptions> = {}): Initializer {
  return (a) => {
    const [n, m] = checkedMatrix("identity", a);
    if (n === m) return eye(n, { dtype: dtypeOf(options) });
    return fail(ShapeError, "init.identity", {
      cannot: `make ${shown(a)} the identity`,
      expected: "a square matrix",
      got: `${n} rows and ${m} columns`,
      fix: "use constant or orthogonal",
    });
  };
}
function checkedMatrix(op: string, a: NDArray): [number, number] {
  const [rows, columns] = a.shape;
  if (a.ndim === 2) return [rows!, columns!];
  return fail(ShapeError, `init.${op}`, {
    cannot: `initialize ${shown(a)}`,
    expected: "a matrix",
    got: `${a.ndim} axes`,
    fix: "reshape it",
  });
}
/**
 * Normal with standard deviation `gain √(2 / (fanIn + fanOut))` (`mlx.nn.init.glorot_normal`;
 * https://proceedings.mlr.press/v9/glorot10a.html).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const fill = nn.init.glorotNormal(), weight = mx.zeros([300, 100]);
 * Number(fill(weight).std().item()).toFixed(2); // "0.07": √(2 / 400)
 * Number(fill(weight, { gain: 2 }).std().item()).toFixed(2); // "0.14"
 * ```
 */
export function glorotNormal(options: DTypeOr<InitOptions> = {}): GlorotInitializer {
  return (a, call = {}) => {
    const { fan_in, fan_out } = fans("glorotNormal", a);
    return random.normal(a.shape, { scale: gainOf(call) * Math.sqrt(2 / (fan_in + fan_out)), dtype: dtypeOf(options) });
  };
}
/**
 * Uniform within `±gain √(6 / (fanIn + fanOut))` (`mlx.nn.init.glorot_uniform`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.init.glorotUniform()(mx.zeros([3, 2])).shape; // [3, 2]
 * ```
 */
export function glorotUniform(options: DTypeOr<InitOptions> = {}): GlorotInitializer {
  return (a, call = {}) => {
    const { fan_in, fan_out } = fans("glorotUniform", a);
    return symmetric(a, gainOf(call) * Math.sqrt(6 / (fan_in + fan_out)), dtypeOf(options));
  };
}
/**
 * Normal with standard deviation `gain / √fan` (`mlx.nn.init.he_normal`; https://arxiv.org/abs/1502.01852).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const fill = nn.init.heNormal(), weight = mx.zeros([400, 100]);
 * Number(fill(weight).std().item()).toFixed(2); // "0.10": 1 / √100 inputs
 * Number(fill(weight, { mode: "fan_out", gain: 2 }).std().item()).toFixed(2); // "0.10": 2 / √400 outputs
 * ```
 */
export function heNormal(options: DTypeOr<InitOptions> = {}): HeInitializer {
  return (a, call = {}) => random.normal(a.shape, { scale: heScale("heNormal", a, call), dtype: dtypeOf(options) });
}
/**
 * Uniform within `±gain √(3 / fan)` (`mlx.nn.init.he_uniform`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const weight = nn.init.heUniform()(mx.zeros([64, 3, 3, 12])); // of a convolution: 3 · 3 · 12 inputs
 * Number(weight.abs().max().item()) <= Math.sqrt(3 / 108); // true
 * ```
 */
export function heUniform(options: DTypeOr<InitOptions> = {}): HeInitializer {
  return (a, call = {}) => symmetric(a, heScale("heUniform", a, call) * Math.sqrt(3), dtypeOf(options));
}
/**
 * Normal, with the share `sparsity` of each row of a matrix set to zero (`mlx.nn.init.sparse`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const weight = nn.init.sparse(0.5, { std: 0.01 })(mx.zeros([2, 6]));
 * weight.eq(0).sum(1).tolist(); // [3, 3]: half of each row
 * ```
 */
export function sparse(sparsity: number, options: DTypeOr<NormalInitOptions> = {}): Initializer {
  const { mean = 0, std = 1 } = settings(options);
  return (a) => {
    const [rows, columns] = checkedMatrix("sparse", a), zeros = Math.ceil(sparsity * columns);
    const order = argsort(random.uniform(a.shape), 1);
    const drawn = random.normal(a.shape, { loc: mean, scale: std, dtype: dtypeOf(options) });
    return drawn.at(arange(rows).reshape([rows, 1]), order.index(`:, :${zeros}`)).set(0);
  };
}
/** Options of {@linkcode orthogonal}. */
export interface OrthogonalOptions extends InitOptions {
  /** A factor. Default 1. */
  readonly gain?: number;
}
/**
 * A random matrix with orthonormal rows or columns, times a gain (`mlx.nn.init.orthogonal`): the orthogonal factor of a
 * normal matrix, whose triangular factor has a positive diagonal. Computed at once, on the host.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const q = nn.init.orthogonal()(mx.zeros([2, 5])); // two orthonormal rows
 * mx.allclose(q.matmul(q.T), mx.eye(2), { atol: 1e-5 }).item(); // true
 * const wide = nn.init.orthogonal({ gain: 2, dtype: mx.float16 })(mx.zeros([3, 3]));
 * wide.dtype; // float16
 * ```
 */
export function orthogonal(options: number | DTypeOr<OrthogonalOptions> = {}): Initializer {
  const o = typeof options === "number" ? { gain: options } : settings(options);
  const dtype = typeof options === "number" ? float32 : dtypeOf(options);
  return (a) => {
    const [rows, columns] = checkedMatrix("orthogonal", a), n = Math.max(rows, columns);
    const basis = orthonormalColumns(Float64Array.from(random.normal([n, n]).dataSync(), Number), n, columns);
    const kept = Float32Array.from({ length: rows * columns }, (_, i) => {
      const row = Math.floor(i / columns);
      return basis[i - row * columns]![row]! * (o.gain ?? 1);
    });
    return array(kept).reshape([rows, columns]).astype(dtype);
  };
}
/** The first columns of the orthogonal factor, by Gram and Schmidt; the second pass removes what rounding left over. */
function orthonormalColumns(matrix: Float64Array, n: number, count: number): Float64Array[] {
  const basis: Float64Array[] = [];
  for (let j = 0; j < count; j++) {
    const v = Float64Array.from({ length: n }, (_, i) => matrix[i * n + j]!);
    for (let pass = 0; pass < 2; pass++) {
      for (const u of basis) {
        const along = u.reduce((sum, x, i) => sum + x * v[i]!, 0);
        u.forEach((x, i) => v[i]! -= along * x);
      }
    }
    const length = Math.hypot(...v);
    basis.push(v.map((x) => x / length));
  }
  return basis;
}
