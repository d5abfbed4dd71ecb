/**
 * The primitives of the family `linalg` without checks, the parts of their results, and their derivatives: what the
 * functions in `linalg.ts` and the records share. Matrices are the last two axes. Tangents are written out; cotangents
 * are mostly the transposes of these maps, which the records take.
 * @module
 */
import type { NDArray } from "../array.ts";
import { float32, uint32 } from "../dtype.ts";
import { bind } from "../graph.ts";
import { add, divide, equal, greaterEqual, multiply, subtract } from "./binary.ts";
import { eye, tril, triu, zerosLike } from "./create.ts";
import { concatenate, pad, takeAlongAxis } from "./index.ts";
import { matmul } from "./matmul.ts";
import { cast } from "./operand.ts";
import { argmax, max, prod, sum } from "./reduce.ts";
import { where } from "./ternary.ts";
import { abs, conjugate, negative } from "./unary.ts";
import { broadcastTo, expandDims, reshape, sliceAxis, swapaxes } from "./view.ts";

// ---- parts of matrices ----

/** The conjugate transpose. */
export function adjoint(x: NDArray): NDArray {
  const t = swapaxes(x, -1, -2);
  return x.dtype.kind === "complex" ? conjugate(t) : t;
}
/** Rows `from` to `to` of each matrix. */
export function rows(x: NDArray, from: number, to: number): NDArray {
  return sliceAxis(x, x.shape.length - 2, from, to);
}
/** Columns `from` to `to` of each matrix. */
export function columns(x: NDArray, from: number, to: number): NDArray {
  return sliceAxis(x, x.shape.length - 1, from, to);
}
/** Rows without their axis. */
export function withoutRows(x: NDArray): NDArray {
  return reshape(x, [...x.shape.slice(0, -2), x.shape.at(-1)!]);
}
const [rowsOf, columnsOf] = [(x: NDArray) => x.shape.at(-2)!, (x: NDArray) => x.shape.at(-1)!];
/** The diagonal of square matrices as a row, [..., 1, n]. */
function diagonalRow(x: NDArray): NDArray {
  return sum(multiply(x, eye(rowsOf(x), { dtype: x.dtype })), { axis: -2, keepdims: true });
}
/** The real part, in the same dtype. */
function realPart(x: NDArray): NDArray {
  return x.dtype.kind === "complex" ? multiply(add(x, conjugate(x)), 0.5) : x;
}
/** i times the imaginary part. */
function imaginaryPart(x: NDArray): NDArray {
  return multiply(subtract(x, conjugate(x)), 0.5);
}
/** 1 / x, and 0 for 0. */
function inverseOrZero(x: NDArray): NDArray {
  const zero = equal(x, 0);
  return where(zero, 0, divide(1, where(zero, 1, x)));
}
/** 1 / (w_j - w_i) for a row w; 0 for equal ones, on whose vectors nothing smooth depends. */
function gaps(w: NDArray): NDArray {
  return inverseOrZero(subtract(w, swapaxes(w, -1, -2)));
}
/** The Hermitian matrix of which one triangle is read. */
function hermitian(x: NDArray, lower: boolean): NDArray {
  const off = lower ? tril(x, -1) : triu(x, 1);
  return add(add(off, adjoint(off)), realPart(multiply(x, eye(rowsOf(x), { dtype: x.dtype }))));
}
/**
 * What a change dv of complex vectors, the columns of v, turns them by, over their length: the first entry of at least
 * half of the largest size has to stay real. Null for real vectors.
 */
function turning(v: NDArray, dv: NDArray): NDArray | null {
  if (v.dtype.kind !== "complex") return null;
  const size = abs(v), large = greaterEqual(size, multiply(max(size, { axis: -2, keepdims: true }), 0.5));
  const at = argmax(cast(large, float32), { axis: -2, keepdims: true });
  return divide(imaginaryPart(takeAlongAxis(dv, at, -2)), takeAlongAxis(v, at, -2));
}
const turnedBack = (dv: NDArray, v: NDArray, by: NDArray | null): NDArray =>
  by === null ? dv : subtract(dv, multiply(v, by));

// ---- the primitives ----

/** L with L L^H = a, or U with U^H U = a. */
export function choleskyOf(a: NDArray, upper: boolean): NDArray {
  return bind("cholesky", [a], { upper });
}
/** Factors, pivots and order of rows in one array, [..., m, n + 2]. */
export function luOf(a: NDArray): NDArray {
  return bind("lu", [a], {});
}
/** Q and R side by side, [..., m, k + n]. */
export function qrOf(a: NDArray): NDArray {
  return bind("qr", [a], {});
}
/** Eigenvalues in the first row, eigenvectors below. */
export function eighOf(a: NDArray, lower: boolean, vectors: boolean): NDArray {
  return bind("eigh", [a], { lower, vectors });
}
/** U, a row of singular values, V^H, one above the other; or the singular values alone. */
export function svdOf(a: NDArray, vectors: boolean): NDArray {
  return bind("svd", [a], { vectors });
}
/** The pseudo-inverse; singular values up to `rcond` times the largest are taken as 0. */
export function pinvOf(a: NDArray, rcond: number): NDArray {
  return bind("pinv", [a], { rcond });
}
/** Eigenvalues in the first row, eigenvectors below; complex64. */
export function eigOf(a: NDArray, vectors: boolean): NDArray {
  return bind("eig", [a], { vectors });
}
/** a^-1 b for equal leading axes. */
export function solveOf(a: NDArray, b: NDArray): NDArray {
  return bind("solve", [a, b], {});
}
/** T^-1 b for a triangle T of a. */
export function solveTriangularOf(a: NDArray, b: NDArray, upper: boolean): NDArray {
  return bind("solveTriangular", [a, b], { upper });
}
/** Phase of the determinant and logarithm of its size, [..., 2]. */
export function slogdetOf(a: NDArray): NDArray {
  return bind("slogdet", [a], {});
}
/** The determinant. */
export function detOf(a: NDArray): NDArray {
  return bind("det", [a], {});
}
/** e^a. */
export function expmOf(a: NDArray): NDArray {
  return bind("expm", [a], {});
}

/** The parts of what {@linkcode luOf} gives: L and U in one matrix, pivots, and which row of a each row comes from. */
export function luParts(y: NDArray): { factors: NDArray; pivots: NDArray; order: NDArray } {
  const n = columnsOf(y) - 2, k = Math.min(rowsOf(y), n);
  const integers = (column: number) => {
    const x = columns(y, column, column + 1);
    return reshape(cast(realOf(x), uint32), x.shape.slice(0, -1));
  };
  const pivots = integers(n);
  return {
    factors: columns(y, 0, n),
    pivots: sliceAxis(pivots, pivots.shape.length - 1, 0, k),
    order: integers(n + 1),
  };
}
const realOf = (x: NDArray): NDArray => x.dtype.kind === "complex" ? cast(x, float32) : x;
/** The parts of a singular value decomposition of m x n matrices; s is a row, [..., 1, min(m, n)]. */
export function svdParts(y: NDArray, m: number, n: number): { u: NDArray; s: NDArray; vt: NDArray } {
  return {
    u: columns(rows(y, 0, m), 0, m),
    s: columns(rows(y, m, m + 1), 0, Math.min(m, n)),
    vt: columns(rows(y, m + 1, m + 1 + n), 0, n),
  };
}

// ---- derivatives ----

/** L Φ(L^-1 S L^-H) with Φ the lower triangle, half of the diagonal; S is the change of a. */
export function choleskyTangent(y: NDArray, t: NDArray, upper: boolean): NDArray {
  const l = upper ? adjoint(y) : y, s = hermitian(upper ? adjoint(t) : t, true);
  const left = solveTriangularOf(l, s, false), m = solveTriangularOf(l, adjoint(left), false);
  const half = subtract(tril(m), multiply(multiply(m, eye(rowsOf(m), { dtype: m.dtype })), 0.5));
  const dl = matmul(l, half);
  return upper ? adjoint(dl) : dl;
}
/**
 * With x = P da and M = L^-1 x U^-1: dL = L tril(M, -1), dU = triu(M) U; L and U are completed by ones on the diagonal
 * to square matrices.
 */
export function luTangent(y: NDArray, t: NDArray): NDArray {
  const { factors, order } = luParts(y), m = rowsOf(t), n = columnsOf(t), k = Math.min(m, n);
  const zeros = (before: number, after: number): number[][] => [
    ...t.shape.slice(0, -2).map(() => [0, 0]),
    [0, before],
    [0, after],
  ];
  const lower = columns(tril(factors, -1), 0, k), upper = rows(triu(factors), 0, k);
  const l = add(pad(lower, zeros(0, m - k)), eye(m, { dtype: t.dtype }));
  const u = add(pad(upper, zeros(n - k, 0)), pad(eye(n - k, { dtype: t.dtype }), [k, 0]));
  const x = takeAlongAxis(t, broadcastTo(expandDims(order, -1), t.shape), -2);
  const left = solveTriangularOf(l, x, false);
  const middle = swapaxes(solveTriangularOf(swapaxes(u, -1, -2), swapaxes(left, -1, -2), false), -1, -2);
  const change = add(matmul(l, tril(middle, -1)), matmul(triu(middle), u));
  return pad(change, zeros(0, 2));
}
/**
 * With W = dA R^-1 on the first k columns, M = Q^H W and Ω = tril(M, -1) - its adjoint, + i Im of M's diagonal:
 * dQ = Q Ω + W - Q M and dR = Q^H dA - Ω R.
 */
export function qrTangent(y: NDArray, t: NDArray): NDArray {
  const k = Math.min(rowsOf(t), columnsOf(t)), q = columns(y, 0, k), r = rows(columns(y, k, columnsOf(y)), 0, k);
  const square = columns(r, 0, k);
  const w = adjoint(solveTriangularOf(adjoint(square), adjoint(columns(t, 0, k)), false));
  const m = matmul(adjoint(q), w), low = tril(m, -1);
  const skew = subtract(low, adjoint(low));
  const omega = t.dtype.kind === "complex" ? add(skew, imaginaryPart(multiply(m, eye(k, { dtype: m.dtype })))) : skew;
  const dq = add(matmul(q, omega), subtract(w, matmul(q, m)));
  const dr = triu(subtract(matmul(adjoint(q), t), matmul(omega, r)));
  const below = pad(dr, [...t.shape.slice(0, -2).map(() => [0, 0]), [0, rowsOf(t) - k], [0, 0]]);
  return concatenate([dq, below], { axis: -1 });
}
/** With P = V^H S V: dw = diag(P), dV = V (P / (w_j - w_i)), turned back. */
export function eighTangent(a: NDArray, y: NDArray, t: NDArray, lower: boolean, vectors: boolean): NDArray {
  const n = columnsOf(a), all = vectors ? y : eighOf(a, lower, true), w = rows(all, 0, 1), v = rows(all, 1, n + 1);
  const p = matmul(adjoint(v), matmul(hermitian(t, lower), v)), dw = realPart(diagonalRow(p));
  if (!vectors) return dw;
  const dv = matmul(v, multiply(p, gaps(w)));
  return concatenate([dw, turnedBack(dv, v, turning(v, dv))], { axis: -2 });
}
/**
 * With P = U^H dA V, completed by zeros to a square, as s: ds = Re diag(P); dU = U Ω, dV = V Ψ with
 * Ω_ij = (P_ij s_j + s_i conj(P_ji)) / (s_j^2 - s_i^2), Ψ_ij = (s_i P_ij + conj(P_ji) s_j) / (s_j^2 - s_i^2) and
 * Ω_ii = i Im(P_ii) / s_i; turned back.
 */
export function svdTangent(a: NDArray, y: NDArray, t: NDArray, vectors: boolean): NDArray {
  const [m, n] = [rowsOf(a), columnsOf(a)], k = Math.min(m, n), size = Math.max(m, n);
  const { u, s, vt } = svdParts(vectors ? y : svdOf(a, true), m, n), v = adjoint(vt);
  const lead = a.shape.slice(0, -2).map(() => [0, 0]);
  const thin = matmul(adjoint(columns(u, 0, vectors ? m : k)), matmul(t, columns(v, 0, vectors ? n : k)));
  const ds = realPart(diagonalRow(columns(rows(thin, 0, k), 0, k)));
  if (!vectors) return ds;
  const p = pad(thin, [...lead, [0, size - m], [0, size - n]]), back = adjoint(p);
  const right = pad(s, [...lead, [0, 0], [0, size - k]]), down = swapaxes(right, -1, -2);
  const over = inverseOrZero(subtract(multiply(right, right), multiply(down, down)));
  let omega = multiply(add(multiply(p, right), multiply(back, down)), over);
  const psi = multiply(add(multiply(p, down), multiply(back, right)), over);
  if (a.dtype.kind === "complex") {
    const one = eye(size, { dtype: a.dtype });
    omega = add(omega, multiply(imaginaryPart(multiply(p, one)), inverseOrZero(right)));
  }
  const square = (x: NDArray, length: number) => columns(rows(x, 0, length), 0, length);
  const du = matmul(u, square(omega, m)), dv = matmul(v, square(psi, n)), byU = turning(u, du);
  const byV = n > m ? turning(v, dv) : byU;
  // values turn both of their vectors as that of U says; what has no value turns alone
  const both = byU && byV && (n > m ? concatenate([byU, columns(byV, m, n)], { axis: -1 }) : columns(byU, 0, n));
  const dvt = adjoint(turnedBack(dv, v, both)),
    wide = (x: NDArray) => pad(x, [...lead, [0, 0], [0, size - columnsOf(x)]]);
  return concatenate([wide(turnedBack(du, u, byU)), wide(ds), wide(dvt)], { axis: -2 });
}
/** -P dA P + P P^H dA^H (1 - A P) + (1 - P A) dA^H P^H P */
export function pinvTangent(a: NDArray, p: NDArray, t: NDArray): NDArray {
  const ph = adjoint(p), th = adjoint(t), direct = negative(matmul(p, matmul(t, p)));
  const without = (x: NDArray) => subtract(eye(rowsOf(x), { dtype: x.dtype }), x);
  const left = matmul(matmul(p, matmul(ph, th)), without(matmul(a, p)));
  const right = matmul(without(matmul(p, a)), matmul(matmul(th, ph), p));
  return add(direct, add(left, right));
}
/** With M = V^-1 dA V: dw = diag(M), dV = V (M / (w_j - w_i)), kept at length 1 and turned back. */
export function eigTangent(a: NDArray, y: NDArray, t: NDArray, vectors: boolean): NDArray {
  const n = columnsOf(a), all = vectors ? y : eigOf(a, true), w = rows(all, 0, 1), v = rows(all, 1, n + 1);
  const m = solveOf(v, matmul(cast(t, v.dtype), v)), dw = diagonalRow(m);
  if (!vectors) return dw;
  const raw = matmul(v, multiply(m, gaps(w)));
  const along = realPart(sum(multiply(conjugate(v), raw), { axis: -2, keepdims: true }));
  const dv = subtract(raw, multiply(v, along));
  return concatenate([dw, turnedBack(dv, v, turning(v, dv))], { axis: -2 });
}
/** tr(a^-1 t), [...]. */
export function logTangent(a: NDArray, t: NDArray): NDArray {
  return sum(diagonalRow(solveOf(a, t)), { axis: [-2, -1] });
}
/**
 * tr(adj(a) t), [...]: the determinant y times tr(a^-1 t), and where y is 0 by the singular values, of which the adjugate
 * needs no quotient: adj(U S V^H) = det(U) det(V^H) V adj(S) U^H, adj(S)_ii the product of the others.
 */
export function detTangent(a: NDArray, y: NDArray, t: NDArray): NDArray {
  const n = rowsOf(a), one = eye(n, { dtype: a.dtype }), singular = equal(y, 0);
  const regular = multiply(y, logTangent(where(expandDims(singular, [-1, -2]), one, a), t));
  const { u, s, vt } = svdParts(svdOf(a, true), n, n);
  const others = prod(where(equal(one, 1), 1, s), { axis: -1 });
  const change = withoutRows(diagonalRow(matmul(adjoint(u), matmul(t, adjoint(vt)))));
  return where(singular, multiply(multiply(detOf(u), detOf(vt)), sum(multiply(others, change), { axis: -1 })), regular);
}
/** The change of phase and logarithm. */
export function slogdetTangent(a: NDArray, y: NDArray, t: NDArray): NDArray {
  const d = expandDims(logTangent(a, t), -1), sign = columns(y, 0, 1);
  const turned = a.dtype.kind === "complex" ? multiply(sign, imaginaryPart(d)) : zerosLike(sign);
  return concatenate([turned, realPart(d)], { axis: -1 });
}
/** The upper right block of e^[[a, t], [0, a]]: the derivative of e^a along t. */
export function expmTangent(a: NDArray, t: NDArray): NDArray {
  const n = rowsOf(a), above = concatenate([a, t], { axis: -1 });
  const below = concatenate([zerosLike(a), a], { axis: -1 });
  return columns(rows(expmOf(concatenate([above, below], { axis: -2 })), 0, n), n, 2 * n);
}
