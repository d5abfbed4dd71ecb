/**
 * `mx.linalg`: decompositions of matrices and what is made of them, for the last two axes of float32, float64 and
 * complex64 arrays; all other axes are a stack. Everything is computed in double precision and rounded once, and has
 * derivatives of any order. Norms and the cross product are in `linalg_basic.ts`, derivatives in `linalg_rules.ts`, the
 * kernels in `runtime/cpu/linalg.cc`.
 *
 * Vectors that are defined up to a factor (those of `eigh`, `eig`, `svd`) are turned so that their leading entry, the
 * first of at least half of the largest size, is real and positive.
 * @module
 */
import type { NDArray } from "../array.ts";
import { atLeastFloat, complex64, type DType, finfo, float32, float64, int32 } from "../dtype.ts";
import { DTypeError, fail, ShapeError, ValueError } from "../errors.ts";
import { commonShape, describe } from "../shape.ts";
import { add, greater, multiply } from "./binary.ts";
import { eye, tril, triu } from "./create.ts";
import {
  adjoint,
  choleskyOf,
  columns,
  detOf,
  eighOf,
  eigOf,
  expmOf,
  luOf,
  luParts,
  pinvOf,
  qrOf,
  rows,
  slogdetOf,
  solveOf,
  solveTriangularOf,
  svdOf,
  svdParts,
  withoutRows,
} from "./linalg_rules.ts";
import { matmul } from "./matmul.ts";
import { cast, numberArg, type Operand, promoted, toArray } from "./operand.ts";
import { max, sum } from "./reduce.ts";
import { argsort } from "./sort.ts";
import { real } from "./unary.ts";
import { broadcastTo, expandDims, squeeze } from "./view.ts";

export { cross, norm, type NormOptions, type NormOrder } from "./linalg_basic.ts";

const DTYPES: readonly DType[] = [float32, float64, complex64];
/** Refuses what is no stack of matrices of a dtype that decompositions take. */
function checked(op: string, x: NDArray, square: boolean): NDArray {
  if (x.shape.length < 2 || (square && x.shape.at(-1) !== x.shape.at(-2))) {
    fail(ShapeError, op, {
      cannot: `use ${describe(x)}`,
      expected: square ? "square matrices in the last two axes" : "matrices: at least two axes",
      got: describe(x),
      fix: "reshape or slice it",
    });
  }
  if (!DTYPES.includes(x.dtype)) {
    fail(DTypeError, op, {
      cannot: `decompose ${describe(x)}`,
      expected: "float32, float64 or complex64",
      got: x.dtype.name,
      fix: "cast with astype(mx.float32)",
    });
  }
  return x;
}
const matrixArg = (op: string, a: Operand): NDArray => checked(op, toArray(op, a), false);
const squareArg = (op: string, a: Operand): NDArray => checked(op, toArray(op, a), true);
/** The real part of values that are real, in the real dtype. */
const realValues = (x: NDArray): NDArray => x.dtype === complex64 ? real(x) : x;

/** Options of {@linkcode cholesky} and its like. */
export interface TriangleOptions {
  /** Whether the upper triangle is meant. Default false. */
  readonly upper?: boolean;
}
/**
 * The triangular factor of a positive definite matrix (`mlx.core.linalg.cholesky`): lower `L` with `a = L L^H`, or upper
 * `U` with `a = U^H U`. Only that triangle of `a` is read, so its gradient has that triangle only. NaN where `a` is not
 * positive definite.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.linalg.cholesky(mx.array([[4, 2], [2, 5]])).tolist(); // [[2, 0], [1, 2]]
 * ```
 */
export function cholesky(a: Operand, { upper = false }: TriangleOptions = {}): NDArray {
  return choleskyOf(squareArg("cholesky", a), upper);
}
/**
 * The inverse of `L L^H` (or `U^H U`) from the factor that {@linkcode cholesky} gives (`mlx.core.linalg.cholesky_inv`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const factor = mx.linalg.cholesky(mx.array([[4, 0], [0, 16]]));
 * mx.linalg.choleskyInv(factor).tolist(); // [[0.25, 0], [0, 0.0625]]
 * ```
 */
export function choleskyInv(a: Operand, { upper = false }: TriangleOptions = {}): NDArray {
  const inverse = triInv(squareArg("choleskyInv", a), { upper });
  return upper ? matmul(inverse, adjoint(inverse)) : matmul(adjoint(inverse), inverse);
}

/** The identity for each matrix of a stack. */
function identityLike(a: NDArray): NDArray {
  return broadcastTo(eye(a.shape.at(-1)!, { dtype: a.dtype }), a.shape);
}
/**
 * The inverse (`mlx.core.linalg.inv`). A singular matrix is a `KernelError` at evaluation.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.linalg.inv(mx.array([[2, 0], [0, 4]])).tolist(); // [[0.5, 0], [0, 0.25]]
 * ```
 */
export function inv(a: Operand): NDArray {
  const x = squareArg("inv", a);
  return solveOf(x, identityLike(x));
}
/**
 * The inverse of a triangular matrix (`mlx.core.linalg.tri_inv`); the other triangle is not read.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.linalg.triInv(mx.array([[2, 9], [1, 1]])).tolist(); // [[0.5, 0], [-0.5, 1]]
 * mx.linalg.triInv(mx.array([[2, 1], [9, 1]]), { upper: true }).tolist(); // [[0.5, -0.5], [0, 1]]
 * ```
 */
export function triInv(a: Operand, { upper = false }: TriangleOptions = {}): NDArray {
  const x = squareArg("triInv", a);
  return solveTriangularOf(x, identityLike(x), upper);
}
/** Both sides of an equation in one dtype with equal leading axes; b as columns, and whether it was a vector. */
function equation(op: string, a: Operand, b: Operand): [NDArray, NDArray, boolean] {
  const [x, given] = promoted([squareArg(op, a), toArray(op, b)]), vector = given.shape.length === 1;
  const y = vector ? expandDims(given, -1) : given;
  checked(op, y, false);
  if (x.shape.at(-1) !== y.shape.at(-2)) {
    fail(ShapeError, op, {
      cannot: `solve ${describe(x)} x = ${describe(given)}`,
      expected: `${x.shape.at(-1)} rows on the right`,
      got: String(y.shape.at(-2)),
      fix: "transpose or reshape the right side",
    });
  }
  const lead = commonShape(op, [x.shape.slice(0, -2), y.shape.slice(0, -2)]);
  return [broadcastTo(x, [...lead, ...x.shape.slice(-2)]), broadcastTo(y, [...lead, ...y.shape.slice(-2)]), vector];
}
/**
 * x with `a x = b` (`mlx.core.linalg.solve`). `b` is a stack of matrices, or one vector; leading axes broadcast. A
 * singular matrix is a `KernelError` at evaluation.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.linalg.solve(mx.array([[2, 0], [0, 4]]), mx.array([2, 2])).tolist(); // [1, 0.5]
 * ```
 */
export function solve(a: Operand, b: Operand): NDArray {
  const [x, y, vector] = equation("solve", a, b), z = solveOf(x, y);
  return vector ? squeeze(z, -1) : z;
}
/**
 * x with `T x = b` for a triangle T of `a` (`mlx.core.linalg.solve_triangular`); the other triangle is not read.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const lower = mx.array([[2, 0], [1, 4]]), b = mx.array([2, 9]);
 * mx.linalg.solveTriangular(lower, b).tolist(); // [1, 2]
 * mx.linalg.solveTriangular(lower.T, b, { upper: true }).tolist(); // [-0.125, 2.25]
 * ```
 */
export function solveTriangular(a: Operand, b: Operand, { upper = false }: TriangleOptions = {}): NDArray {
  const [x, y, vector] = equation("solveTriangular", a, b), z = solveTriangularOf(x, y, upper);
  return vector ? squeeze(z, -1) : z;
}

/**
 * `[p, L, U]` with `a = L[p] U` (`mlx.core.linalg.lu`): L has a unit diagonal, U is upper triangular, and row i of `a` is
 * row `p[i]` of their product. [..., m, n] gives [..., m], [..., m, k] and [..., k, n] with k = min(m, n).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const [p, , u] = mx.linalg.lu(mx.array([[1, 2], [4, 4]]));
 * p.tolist(); // [1, 0]
 * u.tolist(); // [[4, 4], [0, 1]]
 * ```
 */
export function lu(a: Operand): [NDArray, NDArray, NDArray] {
  const x = matrixArg("lu", a), [m, n] = [x.shape.at(-2)!, x.shape.at(-1)!], k = Math.min(m, n);
  const { factors, order } = luParts(luOf(x));
  const lower = add(tril(columns(factors, 0, k), -1), eye(m, k, { dtype: x.dtype }));
  return [argsort(order, -1), lower, triu(rows(factors, 0, k))];
}
/**
 * `[LU, pivots]` (`mlx.core.linalg.lu_factor`): both factors in one matrix, and for each row the one that it was
 * exchanged with in turn, from 0, uint32.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const [both, pivots] = mx.linalg.luFactor(mx.array([[1, 2], [4, 4]]));
 * both.tolist(); // [[4, 4], [0.25, 1]]
 * pivots.tolist(); // [1, 1]
 * ```
 */
export function luFactor(a: Operand): [NDArray, NDArray] {
  const { factors, pivots } = luParts(luOf(matrixArg("luFactor", a)));
  return [factors, pivots];
}
/**
 * `[Q, R]` with `a = Q R` (`mlx.core.linalg.qr`), Q [..., m, k] with orthonormal columns, R [..., k, n] upper triangular,
 * k = min(m, n). The derivative needs the first k columns to be independent.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const [q, r] = mx.linalg.qr(mx.array([[3, 1], [4, 2], [0, 2]]));
 * [q.shape, r.shape]; // [[3, 2], [2, 2]]
 * mx.allclose(q.T.matmul(q), mx.eye(2), { atol: 1e-6 }).item(); // true
 * ```
 */
export function qr(a: Operand): [NDArray, NDArray] {
  const x = matrixArg("qr", a), n = x.shape.at(-1)!, k = Math.min(x.shape.at(-2)!, n), y = qrOf(x);
  return [columns(y, 0, k), rows(columns(y, k, k + n), 0, k)];
}

/** Options of {@linkcode svd}. */
export interface SvdOptions {
  /** Whether the vectors are wanted. Default true. */
  readonly computeUv?: boolean;
}
/**
 * `[U, s, V^H]` with `a = U diag(s) V^H` (`mlx.core.linalg.svd`): U [..., m, m] and V^H [..., n, n] unitary, s falling,
 * [..., min(m, n)]; or s alone. The derivative of vectors needs values that differ.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.linalg.svd(mx.array([[0, 2], [1, 0]]), { computeUv: false }).tolist(); // [2, 1]
 * ```
 */
export function svd(a: Operand, options?: { readonly computeUv?: true }): [NDArray, NDArray, NDArray];
/** The singular values alone. */
export function svd(a: Operand, options: { readonly computeUv: false }): NDArray;
/** Either. */
export function svd(a: Operand, options: SvdOptions): NDArray | [NDArray, NDArray, NDArray];
export function svd(a: Operand, { computeUv = true }: SvdOptions = {}): NDArray | [NDArray, NDArray, NDArray] {
  const x = matrixArg("svd", a);
  if (!computeUv) return realValues(withoutRows(svdOf(x, false)));
  const { u, s, vt } = svdParts(svdOf(x, true), x.shape.at(-2)!, x.shape.at(-1)!);
  return [u, realValues(withoutRows(s)), vt];
}

/** Which triangle of a Hermitian matrix is read: bare, or under MLX's name. */
export type Triangle = "L" | "U" | { readonly UPLO?: "L" | "U" };
function readsLower(op: string, which: Triangle): boolean {
  const uplo = typeof which === "string" ? which : which.UPLO ?? "L";
  if (uplo === "L" || uplo === "U") return uplo === "L";
  return fail(ValueError, op, {
    cannot: `read the triangle ${String(uplo)}`,
    expected: `"L" or "U"`,
    got: String(uplo),
    fix: "use one of them",
  });
}
/**
 * `[w, V]` with `a V = V diag(w)` for a Hermitian matrix (`mlx.core.linalg.eigh`): eigenvalues rising, real, and
 * orthonormal eigenvectors in the columns of V. One triangle is read, so the gradient has that triangle only. The
 * derivative of V needs values that differ.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const [w] = mx.linalg.eigh(mx.array([[2, 1], [1, 2]]));
 * w.tolist(); // [1, 3]
 * ```
 */
export function eigh(a: Operand, triangle: Triangle = "L"): [NDArray, NDArray] {
  const x = squareArg("eigh", a), y = eighOf(x, readsLower("eigh", triangle), true);
  return [realValues(withoutRows(rows(y, 0, 1))), rows(y, 1, x.shape.at(-1)! + 1)];
}
/**
 * The eigenvalues of {@linkcode eigh} (`mlx.core.linalg.eigvalsh`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.linalg.eigvalsh(mx.array([[2, 1], [1, 2]])).tolist(); // [1, 3]
 * mx.linalg.eigvalsh(mx.array([[2, 1], [0, 2]]), "L").tolist(); // [2, 2]
 * ```
 */
export function eigvalsh(a: Operand, triangle: Triangle = "L"): NDArray {
  return realValues(withoutRows(eighOf(squareArg("eigvalsh", a), readsLower("eigvalsh", triangle), false)));
}
/**
 * `[w, V]` with `a V = V diag(w)` for any square matrix (`mlx.core.linalg.eig`), both complex64: eigenvalues by real,
 * then by imaginary part, eigenvectors of length 1 in the columns of V. The derivative needs values that differ.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const [w, v] = mx.linalg.eig(mx.array([[0, -1], [1, 0]])); // a quarter turn
 * w; // array([0-1j, 0+1j], dtype=complex64)
 * v.shape; // [2, 2]
 * ```
 */
export function eig(a: Operand): [NDArray, NDArray] {
  const x = squareArg("eig", a), y = eigOf(x, true);
  return [withoutRows(rows(y, 0, 1)), rows(y, 1, x.shape.at(-1)! + 1)];
}
/**
 * The eigenvalues of {@linkcode eig} (`mlx.core.linalg.eigvals`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.linalg.eigvals(mx.array([[1, 5], [0, 3]])); // array([1+0j, 3+0j], dtype=complex64)
 * ```
 */
export function eigvals(a: Operand): NDArray {
  return withoutRows(eigOf(squareArg("eigvals", a), false));
}

/** Options of {@linkcode pinv} and {@linkcode lstsq}. */
export interface RankOptions {
  /** Singular values up to this part of the largest count as 0. Default `10 max(m, n) ε`. */
  readonly rcond?: number | null;
}
function cutoff(x: NDArray, { rcond = null }: RankOptions): number {
  return rcond ?? 10 * Math.max(x.shape.at(-2)!, x.shape.at(-1)!) * finfo(x.dtype).eps;
}
/**
 * The pseudo-inverse (`mlx.core.linalg.pinv`), by singular values. Its derivative needs a rank that does not change.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.linalg.pinv(mx.array([[1], [1]])).tolist(); // [[0.5, 0.5]]
 * mx.linalg.pinv(mx.array([[2, 0], [0, 0]])).tolist(); // [[0.5, 0], [0, 0]]
 * ```
 */
export function pinv(a: Operand, options: RankOptions = {}): NDArray {
  const x = matrixArg("pinv", a);
  return pinvOf(x, cutoff(x, options));
}
/**
 * The shortest x of those that make `a x - b` shortest: `pinv(a) b`. `b` is a stack of matrices, or one vector. MLX has no
 * such function.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.linalg.lstsq(mx.array([[1], [1]]), mx.array([1, 3])).tolist(); // [2]
 * ```
 */
export function lstsq(a: Operand, b: Operand, options: RankOptions = {}): NDArray {
  const [x, y] = promoted([toArray("lstsq", a), toArray("lstsq", b)]);
  checked("lstsq", x, false);
  return matmul(pinvOf(x, cutoff(x, options)), y);
}
/** Options of {@linkcode matrixRank}. */
export interface MatrixRankOptions {
  /** Singular values up to this count as 0. Default `max(m, n) ε` times the largest. */
  readonly tol?: number | null;
}
/**
 * How many singular values are not 0, int32. MLX has no such function.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.linalg.matrixRank(mx.array([[1, 2], [2, 4]])).item(); // 1
 * mx.linalg.matrixRank(mx.array([[1, 0], [0, 0.01]]), { tol: 0.1 }).item(); // 1
 * ```
 */
export function matrixRank(a: Operand, options: number | MatrixRankOptions = {}): NDArray {
  const x = matrixArg("matrixRank", a), [bare, o] = numberArg(options, undefined), tol = bare ?? o?.tol ?? null;
  const s = realValues(withoutRows(svdOf(x, false)));
  const least = Math.max(x.shape.at(-2)!, x.shape.at(-1)!) * finfo(x.dtype).eps;
  const limit = tol === null ? multiply(max(s, { axis: -1, keepdims: true }), least) : tol;
  return sum(cast(greater(s, limit), int32), -1);
}

/** Numbers that are no floats count as float32, half types are computed in float32. */
function widened(op: string, a: Operand): [x: NDArray, dtype: DType] {
  const x = toArray(op, a), dtype = atLeastFloat(x.dtype);
  return [checked(op, cast(x, DTYPES.includes(dtype) ? dtype : float32), true), dtype];
}
/**
 * The determinant (`mlx.core.linalg.det`). Its gradient is the matrix of cofactors, also where it is 0.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.linalg.det(mx.array([[1, 2], [3, 4]])).item(); // -2
 * ```
 */
export function det(a: Operand): NDArray {
  const [x, dtype] = widened("det", a);
  return cast(detOf(x), dtype);
}
/**
 * `[sign, log |det a|]` (`mlx.core.linalg.slogdet`); 0 and -Infinity for a singular matrix. The sign of a complex
 * determinant is its phase.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const [sign, log] = mx.linalg.slogdet(mx.array([[0, 2], [3, 0]]));
 * sign.item(); // -1
 * log.exp().item(); // 6
 * ```
 */
export function slogdet(a: Operand): [NDArray, NDArray] {
  const [x, dtype] = widened("slogdet", a), y = slogdetOf(x);
  const part = (i: number) => squeeze(columns(y, i, i + 1), -1);
  return [cast(part(0), dtype), cast(realValues(part(1)), dtype === complex64 ? float32 : dtype)];
}
/**
 * `a` times itself, n times; of the inverse for a negative n. By repeated squaring. MLX has no such function.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const fibonacci = mx.array([[1, 1], [1, 0]]);
 * mx.linalg.matrixPower(fibonacci, 10).tolist(); // [[89, 55], [55, 34]]
 * mx.linalg.matrixPower(fibonacci, -1).tolist(); // [[0, 1], [1, -1]]
 * ```
 */
export function matrixPower(a: Operand, n: number): NDArray {
  const x = squareArg("matrixPower", a);
  if (!Number.isInteger(n)) {
    fail(ValueError, "matrixPower", {
      cannot: `take the power ${n} of ${describe(x)}`,
      expected: "an integer",
      got: String(n),
      fix: "use linalg.eigh for other powers",
    });
  }
  let result: NDArray | null = null;
  for (let left = Math.abs(n), power = n < 0 ? inv(x) : x; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = result ? matmul(result, power) : power;
    if (left > 1) power = matmul(power, power);
  }
  return result ?? identityLike(x);
}
/**
 * The exponential of a square matrix, `Σ a^k / k!`. MLX has no such function.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.linalg.expm(mx.array([[0, 1], [0, 0]])).tolist(); // [[1, 1], [0, 1]]
 * ```
 */
export function expm(a: Operand): NDArray {
  return expmOf(squareArg("expm", a));
}
