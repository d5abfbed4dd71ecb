/**
 * Elementwise functions of two arrays. A number beside an array is weak; otherwise both meet in the promoted dtype and
 * in the common shape. The derivatives are in `core/primitives/binary.ts`, the kernels in `runtime/cpu/fused.cc`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { atLeastFloat, bool_, complex64, issubdtype, uint8 } from "../dtype.ts";
import { DTypeError, fail } from "../errors.ts";
import { describe, sameShape } from "../shape.ts";
import { full } from "./create.ts";
import { binary, meet } from "./meet.ts";
import { commonType, numberArg, type Operand, operands, toArray } from "./operand.ts";
import { all } from "./reduce.ts";
import { abs, floor, isinf, isnan, logicalNot } from "./unary.ts";

function refuse(op: string, a: NDArray, b: NDArray, expected: string, fix: string): never {
  fail(DTypeError, op, {
    cannot: `combine ${describe(a)} and ${describe(b)}`,
    expected,
    got: `${a.dtype} and ${b.dtype}`,
    fix,
  });
}
function refuseComplex(op: string, a: Operand, b: Operand): [NDArray, NDArray] {
  const [x, y] = operands(op, a, b);
  if (x.dtype === complex64 || y.dtype === complex64) refuse(op, x, y, "real dtypes", "use mx.real or mx.abs first");
  return [x, y];
}

/**
 * `a + b` (`mlx.core.add`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.add(mx.array([1, 2]), 3); // array([4, 5], dtype=float32)
 * ```
 */
export function add(a: Operand, b: Operand): NDArray {
  return binary("add", a, b);
}
/**
 * `a - b` (`mlx.core.subtract`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.subtract(mx.array([3, 5]), 1).tolist(); // [2, 4]
 * ```
 */
export function subtract(a: Operand, b: Operand): NDArray {
  return binary("subtract", a, b);
}
/**
 * `a · b` (`mlx.core.multiply`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.multiply(mx.array([[1], [2]]), mx.array([3, 4])).tolist(); // [[3, 4], [6, 8]]
 * ```
 */
export function multiply(a: Operand, b: Operand): NDArray {
  return binary("multiply", a, b);
}
/**
 * `a / b`, always in a float or complex dtype (`mlx.core.divide`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.divide(mx.array([1, 2], mx.int32), 2).tolist(); // [0.5, 1]
 * ```
 */
export function divide(a: Operand, b: Operand): NDArray {
  const [x, y] = operands("divide", a, b);
  return meet("divide", x, y, atLeastFloat(commonType([x, y])));
}
/**
 * `aᵇ`; integers stay integers and wrap (`mlx.core.power`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.power(mx.array([2, 3]), 2).tolist(); // [4, 9]
 * ```
 */
export function power(a: Operand, b: Operand): NDArray {
  return binary("power", a, b);
}
export { power as pow };
/**
 * The greater of both; NaN if one is NaN (`mlx.core.maximum`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.maximum(mx.array([1, 5]), 3).tolist(); // [3, 5]
 * ```
 */
export function maximum(a: Operand, b: Operand): NDArray {
  return binary("maximum", a, b);
}
/**
 * The lesser of both; NaN if one is NaN (`mlx.core.minimum`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.minimum(mx.array([1, 5]), 3).tolist(); // [1, 3]
 * ```
 */
export function minimum(a: Operand, b: Operand): NDArray {
  return binary("minimum", a, b);
}
/**
 * `a - b floor(a / b)`: what is left has the sign of `b` (`mlx.core.remainder`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.remainder(mx.array([-7, 7], mx.int32), 3).tolist(); // [2, 1]
 * ```
 */
export function remainder(a: Operand, b: Operand): NDArray {
  const [x, y] = refuseComplex("remainder", a, b);
  return binary("remainder", x, y);
}
/**
 * `floor(a / b)` (`mlx.core.floor_divide`); complex quotients, which have no floor, stay as they are.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.floorDivide(mx.array([-7, 7], mx.int32), 2).tolist(); // [-4, 3]
 * ```
 */
export function floorDivide(a: Operand, b: Operand): NDArray {
  const [x, y] = operands("floorDivide", a, b);
  const dtype = commonType([x, y]);
  if (dtype === complex64) return divide(x, y);
  return dtype.kind === "float" ? floor(divide(x, y)) : meet("floorDivide", x, y, dtype);
}
/**
 * `[floorDivide(a, b), remainder(a, b)]` (`mlx.core.divmod`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const [quotient, remainder] = mx.divmod(mx.array([-7, 7], mx.int32), 2);
 * [quotient!.tolist(), remainder!.tolist()]; // [[-4, 3], [1, 1]]
 * ```
 */
export function divmod(a: Operand, b: Operand): [NDArray, NDArray] {
  const [x, y] = refuseComplex("divmod", a, b);
  return [floorDivide(x, y), remainder(x, y)];
}
/**
 * `log(eᵃ + eᵇ)` without overflow (`mlx.core.logaddexp`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.logaddexp(mx.array([0]), mx.array([0])).item(); // 0.6931471824645996
 * ```
 */
export function logaddexp(a: Operand, b: Operand): NDArray {
  const [x, y] = operands("logaddexp", a, b);
  return meet("logaddexp", x, y, atLeastFloat(commonType([x, y])));
}
/**
 * The angle of the point (b, a), in [-π, π] (`mlx.core.arctan2`); complex numbers are refused.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.arctan2(mx.array([1, 1, -1]), mx.array([1, -1, -1])).mul(180 / Math.PI).round().tolist(); // [45, 135, -135]
 * ```
 */
export function arctan2(a: Operand, b: Operand): NDArray {
  const [x, y] = refuseComplex("arctan2", a, b);
  return meet("arctan2", x, y, atLeastFloat(commonType([x, y])));
}
export { arctan2 as atan2 };

/**
 * `a = b`, as booleans (`mlx.core.equal`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.equal(mx.array([1, 2]), mx.array([1, 3])).tolist(); // [true, false]
 * ```
 */
export function equal(a: Operand, b: Operand): NDArray {
  return binary("equal", a, b);
}
/**
 * `a ≠ b`, as booleans (`mlx.core.not_equal`); NaN differs from itself.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.notEqual(mx.array([1, 2, NaN]), mx.array([1, 3, NaN])).tolist(); // [false, true, true]
 * ```
 */
export function notEqual(a: Operand, b: Operand): NDArray {
  return binary("notEqual", a, b);
}
/**
 * `a > b`, as booleans (`mlx.core.greater`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.greater(mx.array([1, 2]), 1).tolist(); // [false, true]
 * ```
 */
export function greater(a: Operand, b: Operand): NDArray {
  return binary("greater", a, b);
}
/**
 * `a ≥ b`, as booleans (`mlx.core.greater_equal`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.greaterEqual(mx.array([1, 2, 3]), 2).tolist(); // [false, true, true]
 * ```
 */
export function greaterEqual(a: Operand, b: Operand): NDArray {
  return binary("greaterEqual", a, b);
}
/**
 * `a < b`, as booleans (`mlx.core.less`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.less(mx.array([[1], [2]]), mx.array([1, 2, 3])).tolist(); // [[false, true, true], [false, false, true]]
 * ```
 */
export function less(a: Operand, b: Operand): NDArray {
  return binary("less", a, b);
}
/**
 * `a ≤ b`, as booleans (`mlx.core.less_equal`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.lessEqual(mx.array([1, 2, NaN]), 2).tolist(); // [true, true, false]
 * ```
 */
export function lessEqual(a: Operand, b: Operand): NDArray {
  return binary("lessEqual", a, b);
}
/**
 * Whether neither is 0 (`mlx.core.logical_and`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.logicalAnd(mx.array([true, true]), mx.array([true, false])).tolist(); // [true, false]
 * ```
 */
export function logicalAnd(a: Operand, b: Operand): NDArray {
  return meet("logicalAnd", toArray("logicalAnd", a), toArray("logicalAnd", b), bool_);
}
/**
 * Whether one is not 0 (`mlx.core.logical_or`), as booleans.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.array([-2, 0.5, 3]);
 * mx.logicalOr(mx.less(x, 0), mx.greater(x, 1)).tolist(); // [true, false, true]
 * ```
 */
export function logicalOr(a: Operand, b: Operand): NDArray {
  return meet("logicalOr", toArray("logicalOr", a), toArray("logicalOr", b), bool_);
}
/**
 * Whether exactly one is not 0 (`mlx.core.logical_xor`), as booleans.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.logicalXor(mx.array([0, 0, 2]), mx.array([0, 3, 5])).tolist(); // [false, true, false]
 * ```
 */
export function logicalXor(a: Operand, b: Operand): NDArray {
  return meet("notEqual", toArray("logicalXor", a), toArray("logicalXor", b), bool_);
}

type Bitwise = "bitwiseAnd" | "bitwiseOr" | "bitwiseXor" | "leftShift" | "rightShift";
function bitwise(name: Bitwise, a: Operand, b: Operand): NDArray {
  const [x, y] = operands(name, a, b);
  const dtype = commonType([x, y]);
  if (issubdtype(dtype, "inexact")) {
    refuse(name, x, y, "integers or booleans that meet in an integer dtype", "cast them with astype first");
  }
  const shift = name === "leftShift" || name === "rightShift";
  return meet(name, x, y, shift && dtype === bool_ ? uint8 : dtype);
}
/**
 * Bits set in both; integers and booleans only (`mlx.core.bitwise_and`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.bitwiseAnd(mx.array([6, 3], mx.int32), 2).tolist(); // [2, 2]
 * ```
 */
export function bitwiseAnd(a: Operand, b: Operand): NDArray {
  return bitwise("bitwiseAnd", a, b);
}
/**
 * Bits set in one or both; integers and booleans only (`mlx.core.bitwise_or`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.bitwiseOr(mx.array([6, 3], mx.int32), 8).tolist(); // [14, 11]
 * ```
 */
export function bitwiseOr(a: Operand, b: Operand): NDArray {
  return bitwise("bitwiseOr", a, b);
}
/**
 * Bits set in exactly one; integers and booleans only (`mlx.core.bitwise_xor`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.bitwiseXor(mx.array([6, 3], mx.int32), 2).tolist(); // [4, 1]
 * mx.bitwiseXor(mx.array([true, true]), mx.array([true, false])).tolist(); // [false, true]
 * ```
 */
export function bitwiseXor(a: Operand, b: Operand): NDArray {
  return bitwise("bitwiseXor", a, b);
}
/**
 * Bits moved up by `b` places; 0 where `b` is the width or more (`mlx.core.left_shift`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.leftShift(1, mx.array([0, 3, 31, 32], mx.uint32)).tolist(); // [1, 8, 2147483648, 0]
 * ```
 */
export function leftShift(a: Operand, b: Operand): NDArray {
  return bitwise("leftShift", a, b);
}
/**
 * Bits moved down by `b` places, signed integers keeping their sign (`mlx.core.right_shift`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.rightShift(mx.array([16, -16], mx.int32), 2).tolist(); // [4, -4]
 * ```
 */
export function rightShift(a: Operand, b: Operand): NDArray {
  return bitwise("rightShift", a, b);
}
export { leftShift as bitwiseLeftShift, rightShift as bitwiseRightShift };

/** Options of {@linkcode isclose} and {@linkcode allclose}. */
export interface CloseOptions {
  /** Difference allowed in proportion to `|b|`. Default 1e-5. */
  readonly rtol?: number;
  /** Difference always allowed. Default 1e-8. */
  readonly atol?: number;
  /** Whether NaN equals NaN. Default false. */
  readonly equalNan?: boolean;
}
/**
 * `|a - b| ≤ atol + rtol |b|`; infinities are close to themselves only (`mlx.core.isclose`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.isclose(mx.array([1, 2]), mx.array([1 + 1e-7, 3])).tolist(); // [true, false]
 * ```
 */
export function isclose(a: Operand, b: Operand, rtol?: number | CloseOptions, options?: CloseOptions): NDArray {
  const [bare, o] = numberArg(rtol, options);
  const [x, y] = operands("isclose", a, b);
  const allowed = add(multiply(abs(y), bare ?? o?.rtol ?? 1e-5), o?.atol ?? 1e-8);
  const near = lessEqual(abs(subtract(x, y)), allowed);
  // The difference of two infinities says nothing: they are compared by themselves.
  const finite = logicalNot(logicalOr(isinf(x), isinf(y)));
  const same = logicalAnd(isinf(x), equal(x, y));
  const close = logicalOr(logicalAnd(near, finite), same);
  return o?.equalNan ? logicalOr(close, logicalAnd(isnan(x), isnan(y))) : close;
}
/**
 * Whether all elements are close: see {@linkcode isclose} (`mlx.core.allclose`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.allclose(mx.array([1, 2]), mx.array([1, 2.1]), { atol: 0.2 }).item(); // true
 * ```
 */
export function allclose(a: Operand, b: Operand, rtol?: number | CloseOptions, options?: CloseOptions): NDArray {
  return all(isclose(a, b, rtol, options));
}
/** Options of {@linkcode arrayEqual}. */
export interface ArrayEqualOptions {
  /** Whether NaN equals NaN. Default false. */
  readonly equalNan?: boolean;
}
/**
 * Whether both have the same shape and equal elements (`mlx.core.array_equal`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.arrayEqual(mx.array([1, 2]), mx.array([1, 2])).item(); // true
 * ```
 */
export function arrayEqual(a: Operand, b: Operand, options: ArrayEqualOptions = {}): NDArray {
  const [x, y] = operands("arrayEqual", a, b);
  if (!sameShape(x.shape, y.shape)) return full([], false, bool_);
  const same = equal(x, y);
  return all(options.equalNan ? logicalOr(same, logicalAnd(isnan(x), isnan(y))) : same);
}
