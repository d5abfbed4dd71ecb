/**
 * Covariance and correlation, as in NumPy; MLX has neither.
 * @module
 */
import type { NDArray } from "../array.ts";
import { float32, issubdtype } from "../dtype.ts";
import { fail, ShapeError } from "../errors.ts";
import { describe } from "../shape.ts";
import { divide, multiply, subtract } from "./binary.ts";
import { diag } from "./index.ts";
import { matmul } from "./matmul.ts";
import { cast } from "./operand.ts";
import { mean } from "./reduce.ts";
import { conjugate, real, sqrt } from "./unary.ts";
import { expandDims, reshape, transpose } from "./view.ts";

/** Options of {@linkcode corrcoef}. */
export interface CorrcoefOptions {
  /** Whether rows are variables and columns are observations. Default true. */
  readonly rowvar?: boolean;
}
/** Options of {@linkcode cov}. */
export interface CovOptions extends CorrcoefOptions {
  /** The sum of products is divided by N - ddof for N observations. Default 1. */
  readonly ddof?: number;
}
/**
 * The covariance matrix of variables: `C_ij = sum_n (x_in - mean(x_i)) conj(x_jn - mean(x_j)) / (N - ddof)`, as NumPy's
 * `cov`. x is [variables, observations], or one variable [observations], which gives a 0-d result.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.cov(mx.array([[1, 2, 3], [6, 4, 2]])).tolist(); // [[1, -2], [-2, 4]]
 * ```
 */
export function cov(x: NDArray, options: CovOptions = {}): NDArray {
  const { rowvar = true, ddof = 1 } = options;
  if (x.shape.length === 0 || x.shape.length > 2) {
    fail(ShapeError, "cov", {
      cannot: `take the covariance of ${describe(x)}`,
      expected: "one or two axes",
      got: `${x.shape.length} axes`,
      fix: "reshape it to [variables, observations]",
    });
  }
  const floats = issubdtype(x.dtype, "inexact") ? x : cast(x, float32);
  const rows = x.shape.length === 1 ? reshape(floats, [1, -1]) : rowvar ? floats : transpose(floats);
  const centred = subtract(rows, mean(rows, 1, { keepdims: true }));
  const other = transpose(x.dtype.kind === "complex" ? conjugate(centred) : centred);
  const result = divide(matmul(centred, other), rows.shape[1]! - ddof);
  return x.shape.length === 1 ? reshape(result, []) : result;
}
/**
 * The correlation coefficients of variables: `C_ij / sqrt(C_ii C_jj)` with C from {@linkcode cov}, as NumPy's
 * `corrcoef`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.corrcoef(mx.array([[1, 2, 3], [6, 4, 2]])).tolist(); // [[1, -1], [-1, 1]], but for rounding
 * ```
 */
export function corrcoef(x: NDArray, options: CorrcoefOptions = {}): NDArray {
  const c = cov(x, options);
  if (c.shape.length === 0) return divide(c, c);
  const deviation = sqrt(x.dtype.kind === "complex" ? real(diag(c)) : diag(c));
  return divide(c, multiply(expandDims(deviation, 1), expandDims(deviation, 0)));
}
