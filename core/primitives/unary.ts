/**
 * Elementwise primitives of one input: shapes, dtypes and derivatives. What users call is in `core/ops/unary.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { bool_, complex, complex64, type DType, float32, issubdtype } from "../dtype.ts";
import { cast } from "../ops/operand.ts";
import { add, divide, multiply, subtract } from "../ops/binary.ts";
import { where } from "../ops/ternary.ts";
import {
  conjugate,
  cos,
  cosh,
  exp,
  imag,
  negative,
  real,
  reciprocal,
  rsqrt,
  sign,
  sin,
  sinh,
  square,
} from "../ops/unary.ts";
import { primitives, spec } from "../primitive.ts";
import { flat, linear, unary } from "./builders.ts";

const partOf = (d: DType): DType => d === complex64 ? float32 : d;
const toBool = (): DType => bool_;
/** Work of a polynomial approximation. */
const cost = 8;
const TWO_OVER_ROOT_PI = 2 / Math.sqrt(Math.PI);

/** z/|z|, which unlike `sign` has a derivative of its own for complex numbers. */
function direction(z: NDArray, size: NDArray): NDArray {
  return z.dtype === complex64 ? where(size, divide(z, size), 0) : sign(z);
}

/** The primitives of the unary family, in the order of their codes. */
export const unaryPrimitives = primitives({
  negative: linear(negative, negative),
  abs: spec({
    ...unary(sign, { dtype: partOf }),
    // |z| is real: its tangent is Re(conj(z/|z|) t), the cotangent of z is ct z/|z|; at 0 both are 0
    vjp: ([x], y, ct) => [multiply(ct, direction(x, y))],
    jvp: ([x], y, [t]) => t && real(multiply(t, conjugate(direction(x, y)))),
  }),
  // Of a complex number too: MLX lets nothing through z/|z|.
  sign: flat("unary", 1),
  sqrt: unary((_x, y) => divide(0.5, y), { cost: 4 }),
  rsqrt: unary((x, y) => multiply(divide(y, x), -0.5), { cost: 4 }),
  square: unary((x) => multiply(x, 2)),
  exp: unary((_x, y) => y, { cost }),
  expm1: unary((_x, y) => add(y, 1), { cost }),
  log: unary((x) => reciprocal(x), { cost }),
  log1p: unary((x) => reciprocal(add(x, 1)), { cost }),
  log2: unary((x) => divide(Math.LOG2E, x), { cost }),
  log10: unary((x) => divide(Math.LOG10E, x), { cost }),
  sin: unary((x) => cos(x), { cost }),
  cos: unary((x) => negative(sin(x)), { cost }),
  tan: unary((_x, y) => add(square(y), 1), { cost }),
  arcsin: unary((x) => rsqrt(subtract(1, square(x))), { cost }),
  arccos: unary((x) => negative(rsqrt(subtract(1, square(x)))), { cost }),
  arctan: unary((x) => reciprocal(add(square(x), 1)), { cost }),
  sinh: unary((x) => cosh(x), { cost }),
  cosh: unary((x) => sinh(x), { cost }),
  tanh: unary((_x, y) => subtract(1, square(y)), { cost }),
  arcsinh: unary((x) => rsqrt(add(square(x), 1)), { cost }),
  /** 1 / (sqrt(x - 1) sqrt(x + 1)): left of the imaginary axis the root of the product is the other one. */
  arccosh: unary(
    (x) =>
      x.dtype.kind === "complex" ? multiply(rsqrt(subtract(x, 1)), rsqrt(add(x, 1))) : rsqrt(subtract(square(x), 1)),
    { cost },
  ),
  arctanh: unary((x) => reciprocal(subtract(1, square(x))), { cost }),
  erf: unary((x) => multiply(exp(negative(square(x))), TWO_OVER_ROOT_PI), { cost }),
  erfinv: unary((_x, y) => divide(exp(square(y)), TWO_OVER_ROOT_PI), { cost }),
  sigmoid: unary((_x, y) => multiply(y, subtract(1, y)), { cost }),
  floor: flat("unary", 1),
  ceil: flat("unary", 1),
  round: flat("unary", 1),
  logicalNot: flat("unary", 1, { dtype: toBool }),
  bitwiseInvert: flat("unary", 1),
  real: linear(real, (ct) => cast(ct, complex64), { dtype: partOf }),
  // Im z takes ct to i ct: the inner product of z and i ct is Re(conj(z) i ct) = ct Im z
  imag: linear(imag, (ct) => multiply(ct, complex(0, 1)), { dtype: partOf }),
  conjugate: linear(conjugate, conjugate),
  copy: linear((t) => t, (ct) => ct),
  astype: spec({
    family: "unary",
    kind: "elementwise",
    params: { dtype: "dtype" },
    arity: 1,
    cost: 1,
    infer: ([x], { dtype }) => ({ shape: x.shape, dtype }),
    vjp: ([x], y, ct) => [isSmooth(x.dtype) && isSmooth(y.dtype) ? cast(ct, x.dtype) : null],
    jvp: (_x, _y, [t], { dtype }) => t && isSmooth(dtype) ? cast(t, dtype) : null,
    vmap: "elementwise",
  }),
});
/** Integers and booleans have no derivative. */
function isSmooth(d: DType): boolean {
  return issubdtype(d, "inexact");
}
