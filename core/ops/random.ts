/**
 * Random numbers, bit for bit those of MLX: what `mx.random` holds. Every draw takes a key, or splits the global one.
 * The bits come from the primitive `randomBits` (Threefry 2x32); everything else is composed of it here.
 * @module
 */
import type { NDArray } from "../array.ts";
import {
  bfloat16,
  complex64,
  type DType,
  float,
  float16,
  float32,
  int32,
  issubdtype,
  promoteTypes,
  uint32,
  WeakFloat,
} from "../dtype.ts";
import { DTypeError, fail, ShapeError, ValueError } from "../errors.ts";
import { bind, stateKeys } from "../graph.ts";
import type { Shape } from "../primitive.ts";
import {
  checkedShape,
  commonShape,
  describe,
  describeShape,
  normalizeAxis,
  sameShape,
  sizeOf,
  withoutAxes,
} from "../shape.ts";
import { add, divide, equal, less, maximum, minimum, multiply, subtract } from "./binary.ts";
import { take } from "./index.ts";
import { svd } from "./linalg.ts";
import { matmul } from "./matmul.ts";
import { cast, constant, isArray, type Operand, toArray } from "./operand.ts";
import { argmax, max, sum } from "./reduce.ts";
import { cumsum } from "./scan.ts";
import { argsort, searchsorted } from "./sort.ts";
import { where } from "./ternary.ts";
import { abs, erf, erfinv, exp, floor, isinf, log, log1p, negative, sign, sqrt } from "./unary.ts";
import { expandDims, reshape, sliceOf, view } from "./view.ts";

/**
 * The global key. `compile` recognises it among inputs and outputs, so that compiled functions draw anew.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const saved = mx.random.state.key;
 * const first = mx.random.uniform([2]);
 * mx.random.state.key = saved; // draws the same again
 * mx.arrayEqual(mx.random.uniform([2]), first).item(); // true
 * ```
 */
export class RandomState {
  #key: NDArray | null = null;
  /** Transforms find the key under this name. */
  readonly [stateKeys]: readonly string[] = ["key"];
  /** The key of the next draw; seeded by the clock at first. */
  get key(): NDArray {
    return this.#key ??= key(Date.now());
  }
  set key(key: NDArray) {
    this.#key = key;
  }
}
/** The global random state (`mlx.core.random.state`). */
export const state: RandomState = new RandomState();

/**
 * A key made of a seed, an integer from 0 to 2^64 - 1: [seed >> 32, seed] (`mlx.core.random.key`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.random.key(7).tolist(); // [0, 7]
 * mx.random.key(2n ** 32n + 1n).tolist(); // [1, 1]
 * ```
 */
export function key(seed: number | bigint): NDArray {
  const exact = typeof seed === "bigint" || Number.isSafeInteger(seed), bits = exact ? BigInt(seed) : -1n;
  if (bits !== BigInt.asUintN(64, bits)) {
    fail(ValueError, "random.key", {
      cannot: `make a key of ${seed}`,
      expected: "an integer from 0 to 2^64 - 1",
      got: String(seed),
      fix: exact ? "use another seed" : "use a whole number, above 2^53 as a bigint",
    });
  }
  return constant(new Uint32Array([Number(bits >> 32n), Number(bits & 0xffffffffn)]), [2], uint32);
}
/**
 * Restarts the global random state from a seed, as {@linkcode key} takes it (`mlx.core.random.seed`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.random.seed(0);
 * const x = mx.random.normal([3]);
 * mx.random.seed(0);
 * mx.arrayEqual(mx.random.normal([3]), x).item(); // true
 * ```
 */
export function seed(value: number | bigint): void {
  state.key = key(value);
}
/** The given key, or a new one split from the global state: row 0 is the next state, row 1 is used. */
function keyOr(given: NDArray | null | undefined): NDArray {
  if (given) return given;
  const both = split(state.key);
  state.key = reshape(sliceOf(both, [0, 0], [1, 2]), [2]);
  return reshape(sliceOf(both, [1, 0], [2, 2]), [2]);
}
/** Options of {@linkcode split}. */
export interface SplitOptions {
  /** How many keys. Default 2. */
  readonly num?: number;
}
/**
 * `num` new keys of one key, as [num, 2] (`mlx.core.random.split`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const [k1, k2] = mx.unstack(mx.random.split(mx.random.key(0)));
 * mx.arrayEqual(mx.random.uniform([2], { key: k1 }), mx.random.uniform([2], { key: k2 })).item(); // false
 * mx.random.split(mx.random.key(0), 5).shape; // [5, 2]
 * ```
 */
export function split(key: NDArray, num: number | SplitOptions = {}): NDArray {
  return bits([typeof num === "number" ? num : num.num ?? 2, 2], { key });
}

/** Options that every distribution has. */
export interface KeyOptions {
  /** The key; the global state if null. Default null. */
  readonly key?: NDArray | null;
}
/** Options of distributions with a shape. */
export interface ShapeOptions extends KeyOptions {
  /** The shape of the result. Default: one number. */
  readonly shape?: Shape | null;
}
/** Options of distributions with a shape and a dtype. */
export interface DrawOptions extends ShapeOptions {
  /** The dtype of the result. Default float32. */
  readonly dtype?: DType | null;
}
/** A bare shape, a bare dtype, or the options. */
export type ShapeOr<O> = Shape | DType | O;
const isShape = (x: unknown): x is Shape => Array.isArray(x);
const isDType = (x: unknown): x is DType => typeof x === "object" && x !== null && "code" in x && "kind" in x;
/** Reads `(shape or dtype?, options?)`. */
function read<O extends DrawOptions>(
  op: string,
  bare: ShapeOr<O> | undefined,
  options: O | undefined,
): { o: O | undefined; shape: Shape | undefined; dtype: DType | undefined } {
  if (typeof bare === "number") {
    fail(ShapeError, op, {
      cannot: `draw with ${bare} as a shape`,
      expected: "a list of lengths, or options",
      got: String(bare),
      fix: `write [${bare}]; what is no shape is named in an options object`,
    });
  }
  const o = isShape(bare) || isDType(bare) ? options : bare ?? options;
  const shape = isShape(bare) ? bare : o?.shape ?? undefined;
  return { o, shape: shape && checkedShape(op, shape), dtype: isDType(bare) ? bare : o?.dtype ?? undefined };
}
function requireFloat(op: string, dtype: DType): DType {
  if (!issubdtype(dtype, "floating")) {
    fail(DTypeError, op, {
      cannot: `draw ${dtype}`,
      expected: "a real float dtype",
      got: dtype.name,
      fix: "draw float32 and cast it",
    });
  }
  return dtype;
}

/** Options of {@linkcode bits}. */
export interface BitsOptions extends KeyOptions {
  /** Bytes of each number: 1, 2 or 4. Default 4. */
  readonly width?: number;
}
/**
 * Random bits as uint8, uint16 or uint32, by `width` in bytes (`mlx.core.random.bits`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.random.bits([2], { key: mx.random.key(0) }); // array([928981903, 3453687069], dtype=uint32)
 * mx.random.bits([2], { key: mx.random.key(0), width: 1 }); // array([89, 1], dtype=uint8)
 * ```
 */
export function bits(shape: Shape, options: BitsOptions = {}): NDArray {
  const width = options.width ?? 4;
  if (width !== 1 && width !== 2 && width !== 4) {
    fail(ValueError, "random.bits", {
      cannot: `draw ${width} bytes`,
      expected: "1, 2 or 4",
      got: String(width),
      fix: "use one of these",
    });
  }
  const k = keyOr(options.key);
  if (k.dtype !== uint32 || !sameShape(k.shape, [2])) {
    fail(ShapeError, "random", {
      cannot: `use ${describe(k)} as a key`,
      expected: "uint32[2]",
      got: describe(k),
      fix: "make keys with mx.random.key or split",
    });
  }
  return bind("randomBits", [k], { shape: checkedShape("random.bits", shape), width });
}

/** The highest value below 1 of a dtype: float32 bits may round up to 1. */
function belowOne(dtype: DType): number {
  if (dtype === float16) return 1 - 2 ** -11;
  return dtype === bfloat16 ? 1 - 2 ** -8 : 1 - 2 ** -24;
}
/** Numbers in [low, high) from bits: `low + (high - low) min(bits / (2^32 - 1), 1 - ε)`. */
function spread(low: NDArray, high: NDArray, shape: Shape, dtype: DType, key: NDArray | null | undefined): NDArray {
  const lo = cast(low, dtype), range = subtract(cast(high, dtype), lo);
  if (!sameShape(commonShape("random.uniform", [shape, range.shape]), shape)) {
    fail(ShapeError, "random.uniform", {
      cannot: `draw ${describeShape(shape)} between bounds of shape ${describeShape(range.shape)}`,
      expected: "bounds that broadcast to the shape",
      got: describeShape(range.shape),
      fix: "give the broadcast shape",
    });
  }
  // The bits and 2^32 - 1 are rounded to float32 first, as MLX does.
  const unit = divide(cast(bits(shape, { key }), float32), float(4294967295));
  return add(multiply(range, cast(minimum(unit, belowOne(dtype)), dtype)), lo);
}
/** Options of {@linkcode uniform}. */
export interface UniformOptions extends DrawOptions {
  /** The lower bound, included. Default 0. */
  readonly low?: Operand;
  /** The upper bound, excluded. Default 1. */
  readonly high?: Operand;
}
/**
 * Evenly distributed numbers in [low, high) (`mlx.core.random.uniform`). The bounds broadcast to the shape.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.random.uniform([3], { key: mx.random.key(0) }); // array([0.965321, 0.314682, 0.63303], dtype=float32)
 * ```
 */
export function uniform(shape?: ShapeOr<UniformOptions>, options?: UniformOptions): NDArray {
  const { o, shape: size = [], dtype = float32 } = read("random.uniform", shape, options);
  const low = toArray("random.uniform", o?.low ?? 0), high = toArray("random.uniform", o?.high ?? 1);
  return spread(low, high, size, requireFloat("random.uniform", dtype), o?.key);
}
/** Even numbers in (-1, 1), as float32: what normal and Laplace distributions are made of. */
function symmetric(shape: Shape, key: NDArray | null | undefined): NDArray {
  return spread(toArray("random", float(-1 + 2 ** -24)), toArray("random", float(1)), shape, float32, key);
}
/** Options of {@linkcode normal}. */
export interface NormalOptions extends DrawOptions {
  /** The mean. Default 0. */
  readonly loc?: Operand | null;
  /** The standard deviation. Default 1. */
  readonly scale?: Operand | null;
}
/**
 * Normally distributed numbers `loc + scale √2 erfinv(u)` (`mlx.core.random.normal`); for complex64 both parts have
 * variance 1/2.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.random.normal([2, 3]).shape; // [2, 3]
 * ```
 */
export function normal(shape?: ShapeOr<NormalOptions>, options?: NormalOptions): NDArray {
  const { o, shape: size = [], dtype = float32 } = read("random.normal", shape, options);
  const loc = o?.loc ?? null, scale = o?.scale ?? null;
  const of = (x: Operand): NDArray => cast(toArray("random.normal", x, dtype), dtype);
  if (dtype === complex64) {
    const parts = erfinv(symmetric([...size, 2], o?.key));
    let z = reshape(view(parts, complex64), size);
    if (scale !== null) z = multiply(of(scale), z);
    return loc === null ? z : add(of(loc), z);
  }
  const root2 = toArray("random.normal", float(Math.SQRT2), requireFloat("random.normal", dtype));
  const samples = cast(erfinv(symmetric(size, o?.key)), dtype);
  const scaled = multiply(scale === null ? root2 : multiply(root2, of(scale)), samples);
  return loc === null ? scaled : add(of(loc), scaled);
}
/**
 * Integers in [low, high) (`mlx.core.random.randint`), int32 unless a dtype is given. They are drawn as float32, so not
 * every integer beyond 2^24 can come.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.random.randint(1, 7, [5], { key: mx.random.key(0) }); // array([4, 1, 3, 6, 4], dtype=int32)
 * mx.random.randint(mx.array([0, 100]), mx.array([10, 110]), [3, 2]).shape; // [3, 2]
 * ```
 */
export function randint(low: Operand, high: Operand, shape?: ShapeOr<DrawOptions>, options?: DrawOptions): NDArray {
  const { o, shape: size = [], dtype = int32 } = read("random.randint", shape, options);
  if (issubdtype(dtype, "inexact")) {
    fail(DTypeError, "random.randint", {
      cannot: `draw ${dtype}`,
      expected: "an integer dtype or bool",
      got: dtype.name,
      fix: "use uniform",
    });
  }
  const lo = toArray("random.randint", low), hi = toArray("random.randint", high);
  const drawn = cast(floor(spread(lo, hi, size, float32, o?.key)), dtype);
  return maximum(minimum(drawn, cast(subtract(hi, 1), dtype)), cast(lo, dtype));
}
/** Options of {@linkcode bernoulli}. */
export interface BernoulliOptions extends ShapeOptions {
  /** The probability of true. Default 0.5. */
  readonly p?: Operand;
}
const isProbability = (x: unknown): x is number | WeakFloat | NDArray =>
  typeof x === "number" || x instanceof WeakFloat || isArray(x);
/**
 * Booleans that are true with probability `p` (`mlx.core.random.bernoulli`). The shape is that of `p` if none is given.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.random.bernoulli(0.9, { shape: [4], key: mx.random.key(0) }).tolist(); // [false, true, true, true]
 * mx.random.bernoulli(mx.array([0, 1])).tolist(); // [false, true]
 * ```
 */
export function bernoulli(
  p?: number | WeakFloat | NDArray | Shape | BernoulliOptions,
  options?: BernoulliOptions,
): NDArray {
  const o = isProbability(p) || isShape(p) ? options : p ?? options;
  const given = isProbability(p) ? p : o?.p ?? 0.5;
  const chance = isArray(given) ? given : toArray("random.bernoulli", typeof given === "number" ? float(given) : given);
  requireFloat("random.bernoulli", chance.dtype);
  const shape = checkedShape("random.bernoulli", (isShape(p) ? p : o?.shape) ?? chance.shape);
  if (!sameShape(commonShape("random.bernoulli", [shape, chance.shape]), shape)) {
    fail(ShapeError, "random.bernoulli", {
      cannot: `draw ${describeShape(shape)} with probabilities of shape ${describeShape(chance.shape)}`,
      expected: "probabilities that broadcast to the shape",
      got: describeShape(chance.shape),
      fix: "give the broadcast shape",
    });
  }
  // The float32 above 2^32: p = 1 is always true, p = 0 never.
  const top = toArray("random.bernoulli", float(4294967808));
  return less(bits(shape, { key: o?.key }), multiply(chance, top));
}
/**
 * Normally distributed numbers within [lower, upper] (`mlx.core.random.truncated_normal`):
 * `√2 erfinv(u)` with u even between erf(lower/√2) and erf(upper/√2).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.random.truncatedNormal(-1, 2, [1000]);
 * mx.all(x.greaterEqual(-1).logicalAnd(x.lessEqual(2))).item(); // true
 * mx.random.truncatedNormal(mx.array([0, 5]), mx.array([1, 6])).shape; // [2]
 * ```
 */
export function truncatedNormal(
  lower: Operand,
  upper: Operand,
  shape?: ShapeOr<DrawOptions>,
  options?: DrawOptions,
): NDArray {
  const { o, shape: size, dtype = float32 } = read("random.truncatedNormal", shape, options);
  requireFloat("random.truncatedNormal", dtype);
  const lo = cast(toArray("random.truncatedNormal", lower), dtype),
    hi = cast(toArray("random.truncatedNormal", upper), dtype);
  const root2 = float(Math.SQRT2);
  const drawn = spread(
    erf(divide(lo, root2)),
    erf(divide(hi, root2)),
    size ?? commonShape("random.truncatedNormal", [lo.shape, hi.shape]),
    dtype,
    o?.key,
  );
  return maximum(minimum(hi, multiply(erfinv(drawn), root2)), lo);
}
/**
 * Numbers of the standard Gumbel distribution, `-log(-log u)` (`mlx.core.random.gumbel`). The place of the greatest sum
 * with logits is a class drawn by their softmax: so {@linkcode categorical} draws.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const logits = mx.array([0, 1, 2]);
 * const g = mx.random.gumbel([3], { key: mx.random.key(0) });
 * mx.argmax(logits.add(g)).item(); // 0, drawn with probabilities softmax(logits)
 * ```
 */
export function gumbel(shape?: ShapeOr<DrawOptions>, options?: DrawOptions): NDArray {
  const { o, shape: size = [], dtype = float32 } = read("random.gumbel", shape, options);
  return negative(log(negative(log(uniform({ shape: size, dtype, key: o?.key })))));
}
/** Options of {@linkcode laplace}. */
export interface LaplaceOptions extends DrawOptions {
  /** The mean. Default 0. */
  readonly loc?: number;
  /** The scale. Default 1. */
  readonly scale?: number;
}
/**
 * Numbers of the Laplace distribution, `loc + scale sign(u) log(1 - |u|)` (`mlx.core.random.laplace`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.random.laplace([2], { loc: 10, scale: 0.5, key: mx.random.key(0) }); // array([10.419, 9.53144], dtype=float32)
 * mx.random.laplace([2, 3], { dtype: mx.float16 }).dtype.name; // "float16"
 * ```
 */
export function laplace(shape?: ShapeOr<LaplaceOptions>, options?: LaplaceOptions): NDArray {
  const { o, shape: size = [], dtype = float32 } = read("random.laplace", shape, options);
  requireFloat("random.laplace", dtype);
  const u = symmetric(size, o?.key);
  let x = cast(multiply(sign(u), log1p(negative(abs(u)))), dtype);
  if (o?.scale !== undefined && o.scale !== 1) x = multiply(x, float(o.scale));
  return o?.loc ? add(x, float(o.loc)) : x;
}

/** Options of {@linkcode categorical}. */
export interface CategoricalOptions extends ShapeOptions {
  /** The axis of the classes. Default -1. */
  readonly axis?: number;
  /** How many draws of each distribution, on a new last axis; not together with a shape. */
  readonly numSamples?: number | null;
}
/**
 * Classes drawn with probabilities proportional to `e^logits` along an axis, as uint32 (`mlx.core.random.categorical`).
 * The result has the logits' shape without that axis, or a given shape that it broadcasts to.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const logits = mx.log(mx.array([[1, 0, 0], [0, 0, 1]])); // only one class is possible
 * mx.random.categorical(logits).tolist(); // [0, 2]
 * mx.random.categorical(logits, { numSamples: 4 }).tolist(); // [[0, 0, 0, 0], [2, 2, 2, 2]]
 * ```
 */
export function categorical(
  logits: NDArray,
  axis?: number | CategoricalOptions,
  options?: CategoricalOptions,
): NDArray {
  const o = typeof axis === "number" ? options : axis ?? options;
  const at = normalizeAxis(
    "random.categorical",
    (typeof axis === "number" ? axis : o?.axis) ?? -1,
    logits.shape.length,
  );
  const samples = o?.numSamples ?? null, shape = o?.shape ?? null;
  if (samples !== null && shape !== null) {
    fail(ValueError, "random.categorical", {
      cannot: "use both shape and numSamples",
      expected: "one of them",
      got: "both",
      fix: "drop one",
    });
  }
  const outer = withoutAxes(logits.shape, [at]);
  if (samples !== null) return draw(expandDims(logits, -1), at, [...outer, samples], o?.key);
  if (shape !== null && !sameShape(commonShape("random.categorical", [shape, outer]), shape)) {
    fail(ShapeError, "random.categorical", {
      cannot: `draw ${describeShape(shape)} from logits ${describe(logits)}`,
      expected: `a shape that ${describeShape(outer)} broadcasts to`,
      got: describeShape(shape),
      fix: "give another shape",
    });
  }
  return draw(logits, at, shape ?? outer, o?.key);
}
function draw(logits: NDArray, axis: number, shape: Shape, key: NDArray | null | undefined): NDArray {
  const n = logits.shape[axis]!;
  if (n > 0 && sizeOf(logits.shape) === n && shape.length > 0) return inverseCdf(reshape(logits, [n]), shape, key);
  // The Gumbel-max trick: argmax(logits + g) is distributed as softmax(logits).
  const at = axis + shape.length - logits.shape.length + 1;
  return argmax(add(gumbel({ shape: shape.toSpliced(at, 0, n), key: key ?? null }), logits), at);
}
/** Many draws from one distribution: a search in its running sum needs no [draws, classes] array. */
function inverseCdf(logits: NDArray, shape: Shape, key: NDArray | null | undefined): NDArray {
  const dtype = promoteTypes(logits.dtype, float32);
  const x = cast(logits, dtype), top = max(x);
  // Where the maximum is infinite, all maximal entries are equally likely.
  const weights = where(isinf(top), cast(equal(x, top), dtype), exp(subtract(x, top)));
  const cdf = cumsum(weights, 0, { inclusive: false });
  const u = multiply(uniform({ shape, key: key ?? null }), sum(weights));
  return subtract(searchsorted(cdf, u, { side: "right" }), 1);
}

/** Options of {@linkcode permutation}. */
export interface PermutationOptions extends KeyOptions {
  /** The axis that is shuffled. Default 0. */
  readonly axis?: number;
}
/**
 * The numbers below `x` in random order, as uint32, or an array shuffled along an axis (`mlx.core.random.permutation`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.random.permutation(5, { key: mx.random.key(0) }).tolist(); // [1, 2, 0, 4, 3]
 * const rows = mx.array([[1, 10], [2, 20], [3, 30]]);
 * mx.random.permutation(rows, 0, { key: mx.random.key(1) }).tolist(); // [[2, 20], [1, 10], [3, 30]]
 * ```
 */
export function permutation(
  x: number | NDArray,
  axis?: number | PermutationOptions,
  options?: PermutationOptions,
): NDArray {
  const o = typeof axis === "number" ? options : axis ?? options;
  if (typeof x === "number") return argsort(bits([x], { key: o?.key }));
  const at = normalizeAxis("random.permutation", (typeof axis === "number" ? axis : o?.axis) ?? 0, x.shape.length);
  return take(x, argsort(bits([x.shape[at]!], { key: o?.key })), { axis: at });
}

/** Options of {@linkcode multivariateNormal}. */
export interface MultivariateNormalOptions {
  /** Leading axes of the result; they broadcast with those of mean and covariance, which they default to. */
  readonly shape?: Shape;
  /** float32 only, as in MLX. */
  readonly dtype?: DType | null;
  /** The key; the global state if absent. */
  readonly key?: NDArray | null;
}
/**
 * Jointly normal vectors of a mean [..., n] and a covariance [..., n, n] (`mlx.core.random.multivariate_normal`):
 * `mean + U √s z` for `cov = U diag(s) U^H` and standard normal z, of shape [...shape, n].
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.random.multivariateNormal(mx.zeros([2]), mx.eye(2), { shape: [3] }).shape; // [3, 2]
 * ```
 */
export function multivariateNormal(
  mean: Operand,
  cov: Operand,
  options: Shape | MultivariateNormalOptions = {},
): NDArray {
  const o: MultivariateNormalOptions = isShape(options) ? { shape: options } : options;
  const op = "random.multivariateNormal", m = toArray(op, mean), c = toArray(op, cov), n = m.shape.at(-1);
  if (n === undefined || c.shape.length < 2 || c.shape.at(-1) !== n || c.shape.at(-2) !== n) {
    fail(ShapeError, op, {
      cannot: `draw with mean ${describe(m)} and covariance ${describe(c)}`,
      expected: "a mean [..., n] and a covariance [..., n, n]",
      got: `${describeShape(m.shape)} and ${describeShape(c.shape)}`,
      fix: "reshape them",
    });
  }
  if ((o.dtype ?? float32) !== float32) {
    fail(DTypeError, op, {
      cannot: `draw ${o.dtype}`,
      expected: "float32",
      got: String(o.dtype),
      fix: "cast the result with astype",
    });
  }
  const own = commonShape(op, [m.shape.slice(0, -1), c.shape.slice(0, -2)]);
  const lead = commonShape(op, [o.shape?.length ? checkedShape(op, o.shape) : own, own]);
  const [u, s] = svd(cast(c, float32)), root = multiply(u, expandDims(sqrt(s), -2));
  const z = normal([...lead, n], { key: o.key });
  const drawn = reshape(matmul(root, expandDims(z, -1)), [...lead, n]);
  return add(cast(m, float32), drawn);
}
