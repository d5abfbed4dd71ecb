// Long because it has one short function for each function of one array, with an example each.
/**
 * Elementwise functions of one array. Integer and boolean inputs of the functions that need floats become float32;
 * floats keep their dtype. The derivatives are in `core/primitives/unary.ts`, the kernels in `runtime/cpu/fused.cc`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { atLeastFloat, bool_, complex64, type DType, finfo, float, issubdtype } from "../dtype.ts";
import { DTypeError, fail } from "../errors.ts";
import { bind } from "../graph.ts";
import { describe } from "../shape.ts";
import { divide, equal, less, logicalOr, multiply, notEqual } from "./binary.ts";
import { full, zerosLike } from "./create.ts";
import { cast, numberArg, type Operand, requireDType, scalar, toArray } from "./operand.ts";
import { where } from "./ternary.ts";

/** Primitives that take any input as it is. */
type Plain = "negative" | "abs" | "sign" | "square" | "floor" | "ceil" | "round" | "bitwiseInvert";
/** Primitives whose input is float or complex. */
type Inexact =
  | "sqrt"
  | "rsqrt"
  | "exp"
  | "expm1"
  | "log"
  | "log1p"
  | "log2"
  | "log10"
  | "sin"
  | "cos"
  | "tan"
  | "arcsin"
  | "arccos"
  | "arctan"
  | "sinh"
  | "cosh"
  | "tanh"
  | "arcsinh"
  | "arccosh"
  | "arctanh"
  | "erf"
  | "erfinv"
  | "sigmoid";

function plain(name: Plain, x: Operand): NDArray {
  return bind(name, [toArray(name, x)], {});
}
function inexact(name: Inexact, x: Operand): NDArray {
  const a = toArray(name, x);
  return bind(name, [cast(a, atLeastFloat(a.dtype))], {});
}
function refuseComplex(op: string, x: Operand): NDArray {
  const a = toArray(op, x);
  if (a.dtype === complex64) {
    fail(DTypeError, op, {
      cannot: `take ${describe(a)}`,
      expected: "a real dtype",
      got: "complex64",
      fix: "use mx.real, mx.imag or mx.abs first",
    });
  }
  return a;
}
/** Neither floats nor complex numbers: they have no NaN and no infinity. */
function isExact(x: NDArray): boolean {
  return !issubdtype(x.dtype, "inexact");
}

/**
 * `x` cast to a dtype (`mlx.core.astype`). Floats truncate towards zero into integers; anything but 0 is true.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.astype(mx.array([1.7, -1.7]), mx.int32).tolist(); // [1, -1]
 * ```
 */
export function astype(x: Operand, dtype: DType): NDArray {
  return cast(toArray("astype", x), requireDType("astype", dtype));
}
/**
 * A new array with the values of `x`: a copy of its elements (`copy.copy` of an `mlx.core.array`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const a = mx.array([1, 2]), b = mx.copy(a);
 * b === a; // false
 * b.tolist(); // [1, 2]
 * ```
 */
export function copy(x: Operand): NDArray {
  return bind("copy", [toArray("copy", x)], {});
}
/**
 * `x` itself (`mlx.core.positive`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const a = mx.array([-1, 2]);
 * mx.positive(a) === a; // true
 * mx.positive(-3).item(); // -3
 * ```
 */
export function positive(x: Operand): NDArray {
  return toArray("positive", x);
}
/**
 * `-x` (`mlx.core.negative`); booleans are refused.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.negative(mx.array([1, -2])).tolist(); // [-1, 2]
 * ```
 */
export function negative(x: Operand): NDArray {
  const a = toArray("negative", x);
  if (a.dtype === bool_) {
    fail(DTypeError, "negative", {
      cannot: `negate ${describe(a)}`,
      expected: "a number",
      got: "bool",
      fix: "use mx.logicalNot",
    });
  }
  return plain("negative", a);
}
/**
 * `|x|` (`mlx.core.abs`); of complex64, the magnitude in float32.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.abs(mx.array([1, -2])).tolist(); // [1, 2]
 * ```
 */
export function abs(x: Operand): NDArray {
  return plain("abs", x);
}
/**
 * -1, 0 or 1 by the sign of `x`; 0 for NaN; `z / |z|` for complex numbers (`mlx.core.sign`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.sign(mx.array([3, -2, 0])).tolist(); // [1, -1, 0]
 * ```
 */
export function sign(x: Operand): NDArray {
  return plain("sign", x);
}
/**
 * `x²` (`mlx.core.square`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.square(mx.array([3])).tolist(); // [9]
 * ```
 */
export function square(x: Operand): NDArray {
  return plain("square", x);
}
/**
 * Square root (`mlx.core.sqrt`); NaN below 0.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.sqrt(mx.array([4, 9])).tolist(); // [2, 3]
 * ```
 */
export function sqrt(x: Operand): NDArray {
  return inexact("sqrt", x);
}
/**
 * `1 / sqrt(x)` (`mlx.core.rsqrt`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.rsqrt(mx.array([4, 16, 0])).tolist(); // [0.5, 0.25, Infinity]
 * ```
 */
export function rsqrt(x: Operand): NDArray {
  return inexact("rsqrt", x);
}
/**
 * `1 / x` (`mlx.core.reciprocal`), always in a float or complex dtype.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.reciprocal(mx.array([2, 4, 8], mx.int32)); // array([0.5, 0.25, 0.125], dtype=float32)
 * mx.reciprocal(mx.array([0])).tolist(); // [Infinity]
 * ```
 */
export function reciprocal(x: Operand): NDArray {
  return divide(1, toArray("reciprocal", x));
}
/**
 * `e^x` (`mlx.core.exp`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.exp(mx.array([0, 1])); // array([1, 2.71828], dtype=float32)
 * ```
 */
export function exp(x: Operand): NDArray {
  return inexact("exp", x);
}
/**
 * `e^x - 1`, exact near 0 (`mlx.core.expm1`); complex numbers are refused.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.expm1(mx.array([1e-10])); // array([1e-10], dtype=float32)
 * mx.exp(mx.array([1e-10])).sub(1).tolist(); // [0]
 * ```
 */
export function expm1(x: Operand): NDArray {
  return inexact("expm1", refuseComplex("expm1", x));
}
/**
 * Natural logarithm (`mlx.core.log`); NaN below 0.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.log(mx.array([1])).item(); // 0
 * ```
 */
export function log(x: Operand): NDArray {
  return inexact("log", x);
}
/**
 * `log(1 + x)`, exact near 0 (`mlx.core.log1p`); NaN below -1.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.log1p(mx.array([1e-10])); // array([1e-10], dtype=float32)
 * mx.log1p(mx.array([0, -1])).tolist(); // [0, -Infinity]
 * ```
 */
export function log1p(x: Operand): NDArray {
  return inexact("log1p", x);
}
/**
 * Logarithm to base 2 (`mlx.core.log2`); NaN below 0.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.log2(mx.array([1, 2, 8])).tolist(); // [0, 1, 3]
 * ```
 */
export function log2(x: Operand): NDArray {
  return inexact("log2", x);
}
/**
 * Logarithm to base 10 (`mlx.core.log10`); NaN below 0.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.log10(mx.array([1, 10, 1000], mx.int32)); // array([0, 1, 3], dtype=float32)
 * ```
 */
export function log10(x: Operand): NDArray {
  return inexact("log10", x);
}
/**
 * Sine (`mlx.core.sin`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.sin(mx.array([0])).item(); // 0
 * ```
 */
export function sin(x: Operand): NDArray {
  return inexact("sin", x);
}
/**
 * Cosine (`mlx.core.cos`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.cos(mx.array([0])).item(); // 1
 * ```
 */
export function cos(x: Operand): NDArray {
  return inexact("cos", x);
}
/**
 * Tangent (`mlx.core.tan`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.tan(mx.array([0, Math.PI / 4])); // array([0, 1], dtype=float32)
 * ```
 */
export function tan(x: Operand): NDArray {
  return inexact("tan", x);
}
/**
 * Inverse sine, in [-π/2, π/2] (`mlx.core.arcsin`); NaN outside [-1, 1].
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.arcsin(mx.array([-1, 0, 1])); // array([-1.5708, 0, 1.5708], dtype=float32)
 * mx.arcsin(mx.array([2])).tolist(); // [NaN]
 * ```
 */
export function arcsin(x: Operand): NDArray {
  return inexact("arcsin", x);
}
/**
 * Inverse cosine, in [0, π] (`mlx.core.arccos`); NaN outside [-1, 1].
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.arccos(mx.array([-1, 0, 1])); // array([3.14159, 1.5708, 0], dtype=float32)
 * ```
 */
export function arccos(x: Operand): NDArray {
  return inexact("arccos", x);
}
/**
 * Inverse tangent, in (-π/2, π/2) (`mlx.core.arctan`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.arctan(mx.array([1, Infinity])); // array([0.785398, 1.5708], dtype=float32)
 * ```
 */
export function arctan(x: Operand): NDArray {
  return inexact("arctan", x);
}
/**
 * Hyperbolic sine (`mlx.core.sinh`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.sinh(mx.array([-1, 0, 1])); // array([-1.1752, 0, 1.1752], dtype=float32)
 * ```
 */
export function sinh(x: Operand): NDArray {
  return inexact("sinh", x);
}
/**
 * Hyperbolic cosine (`mlx.core.cosh`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.cosh(mx.array([-1, 0, 1])); // array([1.54308, 1, 1.54308], dtype=float32)
 * ```
 */
export function cosh(x: Operand): NDArray {
  return inexact("cosh", x);
}
/**
 * Hyperbolic tangent (`mlx.core.tanh`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.tanh(mx.array([0])).item(); // 0
 * ```
 */
export function tanh(x: Operand): NDArray {
  return inexact("tanh", x);
}
/**
 * Inverse hyperbolic sine (`mlx.core.arcsinh`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.arcsinh(mx.sinh(mx.array([-2, 0, 2]))); // array([-2, 0, 2], dtype=float32)
 * ```
 */
export function arcsinh(x: Operand): NDArray {
  return inexact("arcsinh", x);
}
/**
 * Inverse hyperbolic cosine (`mlx.core.arccosh`); NaN below 1.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.arccosh(mx.array([0, 1, 2])); // array([nan, 0, 1.31696], dtype=float32)
 * ```
 */
export function arccosh(x: Operand): NDArray {
  return inexact("arccosh", x);
}
/**
 * Inverse hyperbolic tangent (`mlx.core.arctanh`); NaN outside [-1, 1].
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.arctanh(mx.array([0, 0.5, 1])); // array([0, 0.549306, inf], dtype=float32)
 * ```
 */
export function arctanh(x: Operand): NDArray {
  return inexact("arctanh", x);
}
export { arccos as acos, arccosh as acosh, arcsin as asin, arcsinh as asinh, arctan as atan, arctanh as atanh };
/**
 * The error function `2/√π ∫₀ˣ e^(-t²) dt` (`mlx.core.erf`); complex numbers are refused.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.erf(mx.array([-1, 0, 1])); // array([-0.842701, 0, 0.842701], dtype=float32)
 * // The distribution of a normal variable: P(x < 1.96)
 * mx.erf(mx.array([1.96 / Math.SQRT2])).add(1).div(2); // array([0.975002], dtype=float32)
 * ```
 */
export function erf(x: Operand): NDArray {
  return inexact("erf", refuseComplex("erf", x));
}
/**
 * Inverse of {@linkcode erf} on (-1, 1) (`mlx.core.erfinv`): infinite at -1 and 1, NaN beyond.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.erfinv(mx.array([-0.5, 0, 0.5])); // array([-0.476936, 0, 0.476936], dtype=float32)
 * mx.erfinv(mx.array([1])).item(); // Infinity
 * ```
 */
export function erfinv(x: Operand): NDArray {
  return inexact("erfinv", refuseComplex("erfinv", x));
}
/**
 * `1 / (1 + e^-x)` (`mlx.core.sigmoid`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.sigmoid(mx.array([0])).item(); // 0.5
 * ```
 */
export function sigmoid(x: Operand): NDArray {
  return inexact("sigmoid", refuseComplex("sigmoid", x));
}
/**
 * The greatest integer not above `x`, in the dtype of `x` (`mlx.core.floor`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.floor(mx.array([1.5, -1.5])).tolist(); // [1, -2]
 * ```
 */
export function floor(x: Operand): NDArray {
  return plain("floor", refuseComplex("floor", x));
}
/**
 * The smallest integer not below `x`, in the dtype of `x` (`mlx.core.ceil`); complex numbers are refused.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.ceil(mx.array([1.2, -1.8])).tolist(); // [2, -1]
 * ```
 */
export function ceil(x: Operand): NDArray {
  return plain("ceil", refuseComplex("ceil", x));
}
/**
 * `x` without its fraction (`mlx.core.trunc`): rounded towards 0, in its dtype.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.trunc(mx.array([1.8, -1.8])).tolist(); // [1, -1]
 * mx.floor(mx.array([1.8, -1.8])).tolist(); // [1, -2]
 * ```
 */
export function trunc(x: Operand): NDArray {
  const a = refuseComplex("trunc", x);
  return isExact(a) ? a : where(less(a, 0), ceil(a), floor(a));
}
/** Options of {@linkcode round}. */
export interface RoundOptions {
  /** Places after the decimal point; may be negative. Default 0. */
  readonly decimals?: number;
}
/**
 * `x` rounded to `decimals` places, halves to the even neighbour, in the dtype of `x` (`mlx.core.round`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.round(mx.array([0.5, 1.5, 2.345])); // array([0, 2, 2], dtype=float32)
 * ```
 */
export function round(x: Operand, decimals?: number | RoundOptions): NDArray {
  const [bare, options] = numberArg(decimals, undefined);
  const places = bare ?? options?.decimals ?? 0;
  const a = toArray("round", x);
  if (places === 0) return plain("round", a);
  const scale = Math.fround(10 ** places);
  const rounded = plain("round", multiply(a, float(scale)));
  return cast(multiply(rounded, float(1 / scale)), a.dtype);
}
/**
 * Whether `x` is 0 (`mlx.core.logical_not`), as booleans.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.logicalNot(mx.array([0, 2, -1])).tolist(); // [true, false, false]
 * ```
 */
export function logicalNot(x: Operand): NDArray {
  return bind("logicalNot", [cast(toArray("logicalNot", x), bool_)], {});
}
/**
 * All bits inverted; of booleans, {@linkcode logicalNot} (`mlx.core.bitwise_invert`). Floats are refused.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.bitwiseInvert(mx.array([0, 5], mx.int32)).tolist(); // [-1, -6]
 * mx.bitwiseInvert(mx.array([0, 5], mx.uint8)).tolist(); // [255, 250]
 * mx.bitwiseInvert(mx.array([true, false])).tolist(); // [false, true]
 * ```
 */
export function bitwiseInvert(x: Operand): NDArray {
  const a = toArray("bitwiseInvert", x);
  if (!isExact(a)) {
    fail(DTypeError, "bitwiseInvert", {
      cannot: `invert the bits of ${describe(a)}`,
      expected: "integers or booleans",
      got: a.dtype.name,
      fix: "cast it first",
    });
  }
  return a.dtype === bool_ ? logicalNot(a) : plain("bitwiseInvert", a);
}
/**
 * Real part; `x` itself if it is real (`mlx.core.real`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.real(mx.array([mx.complex(1, 2), mx.complex(3, -4)])).tolist(); // [1, 3]
 * ```
 */
export function real(x: Operand): NDArray {
  const a = toArray("real", x);
  return a.dtype === complex64 ? bind("real", [a], {}) : a;
}
/**
 * Imaginary part; zeros if `x` is real (`mlx.core.imag`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.imag(mx.array([mx.complex(1, 2), mx.complex(3, -4)])).tolist(); // [2, -4]
 * mx.imag(mx.array([5])).tolist(); // [0]
 * ```
 */
export function imag(x: Operand): NDArray {
  const a = toArray("imag", x);
  return a.dtype === complex64 ? bind("imag", [a], {}) : zerosLike(a);
}
/**
 * Complex conjugate; `x` itself if it is real (`mlx.core.conjugate`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const z = mx.array([mx.complex(3, 4)]);
 * mx.conjugate(z); // array([3-4j], dtype=complex64)
 * mx.real(z.mul(mx.conj(z))).tolist(); // [25]
 * ```
 */
export function conjugate(x: Operand): NDArray {
  const a = toArray("conjugate", x);
  return a.dtype === complex64 ? bind("conjugate", [a], {}) : a;
}
export { conjugate as conj };
/**
 * `x * 180 / π` (`mlx.core.degrees`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.degrees(mx.array([0, Math.PI / 2, -Math.PI])); // array([0, 90, -180], dtype=float32)
 * ```
 */
export function degrees(x: Operand): NDArray {
  return multiply(toArray("degrees", x), float(180 / Math.PI));
}
/**
 * `x * π / 180` (`mlx.core.radians`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.radians(mx.array([0, 90, 180])); // array([0, 1.5708, 3.14159], dtype=float32)
 * ```
 */
export function radians(x: Operand): NDArray {
  return multiply(toArray("radians", x), float(Math.PI / 180));
}

function nowhere(x: NDArray): NDArray {
  return full(x.shape, false, bool_);
}
/**
 * Whether each element is NaN (`mlx.core.isnan`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.isnan(mx.array([1, NaN])).tolist(); // [false, true]
 * ```
 */
export function isnan(x: Operand): NDArray {
  const a = toArray("isnan", x);
  return isExact(a) ? nowhere(a) : notEqual(a, a);
}
/**
 * Whether each element is an infinity (`mlx.core.isinf`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.isinf(mx.array([1, Infinity, -Infinity, NaN])).tolist(); // [false, true, true, false]
 * ```
 */
export function isinf(x: Operand): NDArray {
  const a = toArray("isinf", x);
  if (a.dtype === complex64) return logicalOr(isinf(real(a)), isinf(imag(a)));
  return isExact(a) ? nowhere(a) : equal(abs(a), Infinity);
}
/**
 * Whether each element is neither NaN nor an infinity (`mlx.core.isfinite`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.isfinite(mx.array([1, Infinity, -Infinity, NaN])).tolist(); // [true, false, false, false]
 * mx.isfinite(mx.array([1, 2], mx.int32)).tolist(); // [true, true]
 * ```
 */
export function isfinite(x: Operand): NDArray {
  const a = toArray("isfinite", x);
  return isExact(a) ? full(a.shape, true, bool_) : logicalNot(logicalOr(isinf(a), isnan(a)));
}
/**
 * Whether each element is +∞ (`mlx.core.isposinf`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.isposinf(mx.array([Infinity, -Infinity])).tolist(); // [true, false]
 * ```
 */
export function isposinf(x: Operand): NDArray {
  const a = toArray("isposinf", x);
  return isExact(a) ? nowhere(a) : equal(a, Infinity);
}
/**
 * Whether each element is -∞ (`mlx.core.isneginf`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.isneginf(mx.array([Infinity, -Infinity])).tolist(); // [false, true]
 * ```
 */
export function isneginf(x: Operand): NDArray {
  const a = toArray("isneginf", x);
  return isExact(a) ? nowhere(a) : equal(a, -Infinity);
}
/** Options of {@linkcode nanToNum}. */
export interface NanToNumOptions {
  /** What replaces NaN. Default 0. */
  readonly nan?: number;
  /** What replaces +∞. Default: the highest value of the dtype. */
  readonly posinf?: number | null;
  /** What replaces -∞. Default: the lowest value of the dtype. */
  readonly neginf?: number | null;
}
/**
 * NaN and infinities replaced by numbers; other dtypes than floats are returned as they are (`mlx.core.nan_to_num`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.nanToNum(mx.array([1, NaN])).tolist(); // [1, 0]
 * ```
 */
export function nanToNum(x: Operand, nan?: number | NanToNumOptions, options?: NanToNumOptions): NDArray {
  const [bare, o] = numberArg(nan, options);
  const a = refuseComplex("nanToNum", x);
  if (isExact(a)) return a;
  const { max, min } = finfo(a.dtype);
  const value = (n: number): NDArray => scalar("nanToNum", float(n), a.dtype);
  const noNan = where(isnan(a), value(bare ?? o?.nan ?? 0), a);
  const noInf = where(isposinf(a), value(o?.posinf ?? max), noNan);
  return where(isneginf(a), value(o?.neginf ?? min), noInf);
}
