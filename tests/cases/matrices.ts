/**
 * Linear algebra on lists of complex numbers, for references: short algorithms that have nothing in common with the
 * kernels'.
 * @module
 */
import * as c from "./complex.ts";

/** Rows of complex numbers. */
export type Matrix = c.C[][];

/** A matrix from a function of the place. */
export function matrix(m: number, n: number, at: (i: number, j: number) => c.C): Matrix {
  return Array.from({ length: m }, (_, i) => Array.from({ length: n }, (_, j) => at(i, j)));
}
const zero: c.C = [0, 0];
/** Ones on the diagonal. */
export const identity = (n: number): Matrix => matrix(n, n, (i, j) => c.real(i === j ? 1 : 0));
/** The conjugate transpose. */
export const adjoint = (a: Matrix): Matrix => matrix(a[0]?.length ?? 0, a.length, (i, j) => c.conjugate(a[j]![i]!));
/** Σ a_i b_i */
function dot(a: readonly c.C[], b: readonly c.C[]): c.C {
  return a.reduce((sum, x, i) => c.plus(sum, c.times(x, b[i]!)), zero);
}
/** Column j. */
const column = (a: Matrix, j: number): c.C[] => a.map((row) => row[j]!);
/** a b. */
export function product(a: Matrix, b: Matrix): Matrix {
  return matrix(a.length, b[0]!.length, (i, j) => dot(a[i]!, column(b, j)));
}
/** The factors of P a = L U in one matrix, with exchanges and the order of the rows. */
export function factored(a: Matrix): { factors: Matrix; pivots: number[]; order: number[]; sign: number } {
  const factors = a.map((row) => [...row]), order = a.map((_, i) => i), pivots: number[] = [];
  let sign = 1;
  for (let k = 0; k < Math.min(a.length, a[0]!.length); k++) {
    let best = k;
    for (let i = k + 1; i < a.length; i++) if (c.size(factors[i]![k]!) > c.size(factors[best]![k]!)) best = i;
    if (best !== k) sign = -sign;
    pivots.push(best);
    [factors[k], factors[best]] = [factors[best]!, factors[k]!];
    [order[k], order[best]] = [order[best]!, order[k]!];
    for (let i = k + 1; i < a.length; i++) {
      const row = factors[i]!, f = row[k] = c.over(row[k]!, factors[k]![k]!);
      for (let j = k + 1; j < row.length; j++) row[j] = c.minus(row[j]!, c.times(f, factors[k]![j]!));
    }
  }
  return { factors, pivots, order, sign };
}
/** a^-1 b */
export function eliminated(a: Matrix, b: Matrix): Matrix {
  const n = a.length, { factors, order } = factored(a), x = order.map((i) => [...b[i]!]);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) x[i] = x[i]!.map((v, j) => c.minus(v, c.times(factors[i]![k]!, x[k]![j]!)));
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i] = x[i]!.map((v, j) => c.minus(v, c.times(factors[i]![k]!, x[k]![j]!)));
    x[i] = x[i]!.map((v) => c.over(v, factors[i]![i]!));
  }
  return x;
}
/** a^-1 */
export const inverse = (a: Matrix): Matrix => eliminated(a, identity(a.length));
/** The product of the pivots. */
export function determinant(a: Matrix): c.C {
  const { factors, sign } = factored(a);
  return factors.reduce((d, row, i) => c.times(d, row[i]!), c.real(sign));
}
/**
 * a = Q R by Gram and Schmidt, twice over; R's diagonal is real, and of the other sign than the entry that Householder's
 * reflection meets, unless nothing is below that.
 */
export function orthogonalized(a: Matrix): { q: Matrix; r: Matrix } {
  const m = a.length, n = a[0]!.length, k = Math.min(m, n), basis: c.C[][] = [];
  for (let j = 0; j < k; j++) {
    let v = column(a, j);
    for (let pass = 0; pass < 2; pass++) {
      for (const q of basis) {
        const f = dot(q.map(c.conjugate), v);
        v = v.map((x, i) => c.minus(x, c.times(f, q[i]!)));
      }
    }
    const length = Math.hypot(...v.map(c.size));
    basis.push(v.map((x) => c.scaled(1 / length, x)));
  }
  // Householder's own signs: the reflections of the columns before, one by one
  const work = a.map((row) => [...row]);
  for (let j = 0; j < k; j++) {
    const x = column(work, j).slice(j), norm = Math.hypot(...x.map(c.size)), head = x[0]!;
    const alone = x.slice(1).every((v) => c.size(v) === 0), kept = alone && head[1] === 0;
    const sign = kept ? Math.sign(head[0]) : head[0] < 0 ? 1 : -1,
      wanted = dot(adjoint([basis[j]!]).flat(), column(a, j));
    const phase = c.scaled(sign / c.size(wanted), c.conjugate(wanted));
    basis[j] = basis[j]!.map((v) => c.times(v, c.conjugate(phase)));
    if (alone) continue;
    const unit: c.C = c.size(head) === 0 ? [1, 0] : c.scaled(1 / c.size(head), head);
    const v = x.map((z, i) => i === 0 ? c.plus(z, c.scaled(norm, unit)) : z),
      over = 2 / v.reduce((s, z) => s + c.size(z) ** 2, 0);
    for (let t = j; t < n; t++) {
      const f = c.scaled(over, dot(v.map(c.conjugate), column(work, t).slice(j)));
      v.forEach((z, i) => work[j + i]![t] = c.minus(work[j + i]![t]!, c.times(f, z)));
    }
  }
  const q = matrix(m, k, (i, j) => basis[j]![i]!), r = product(adjoint(q), a);
  return { q, r: r.map((row, i) => row.map((x, j) => j < i ? zero : x)) };
}
/** Eigenvalues, rising, and eigenvectors in columns of a Hermitian matrix, by Jacobi's rotations. */
export function hermitianEigen(a: Matrix): { values: number[]; vectors: Matrix } {
  const n = a.length;
  let d = a, v = identity(n);
  for (let sweep = 0; sweep < 30; sweep++) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const off = d[p]![q]!, size = c.size(off);
        if (size < 1e-300) continue;
        const theta = 0.5 * Math.atan2(2 * size, d[q]![q]![0] - d[p]![p]![0]),
          [co, si] = [Math.cos(theta), Math.sin(theta)];
        const phase = c.scaled(1 / size, off), turn = identity(n);
        turn[p]![p] = c.real(co);
        turn[q]![q] = c.real(co);
        turn[p]![q] = c.scaled(si, phase);
        turn[q]![p] = c.scaled(-si, c.conjugate(phase));
        d = product(adjoint(turn), product(d, turn));
        v = product(v, turn);
      }
    }
  }
  const order = Array.from({ length: n }, (_, i) => i).toSorted((i, j) => d[i]![i]![0] - d[j]![j]![0]);
  return { values: order.map((i) => d[i]![i]![0]), vectors: v.map((row) => order.map((i) => row[i]!)) };
}
/** Columns turned so that the first entry of at least half of the largest size is real and positive; the factors. */
export function turned(v: Matrix): { vectors: Matrix; by: c.C[] } {
  const by = (v[0] ?? []).map((_, j): c.C => {
    const x = column(v, j), most = Math.max(...x.map(c.size)), lead = x.find((z) => c.size(z) >= 0.5 * most)!;
    return c.scaled(1 / c.size(lead), c.conjugate(lead));
  });
  return { vectors: v.map((row) => row.map((x, j) => c.times(x, by[j]!))), by };
}
/** a = U diag(s) V^H, all of U and V; those of U turned, V's with them. */
export function singular(a: Matrix): { u: Matrix; s: number[]; v: Matrix } {
  const [m, n] = [a.length, a[0]!.length], k = Math.min(m, n);
  const falling = (x: Matrix) => x.map((row) => row.toReversed());
  const left = hermitianEigen(product(a, adjoint(a))), u = turned(falling(left.vectors)).vectors;
  const s = left.values.toReversed().slice(0, k).map((w) => Math.sqrt(w));
  const v = product(adjoint(a), u), rest = turned(falling(hermitianEigen(product(adjoint(a), a)).vectors)).vectors;
  return { u, s, v: matrix(n, n, (i, j) => j < k ? c.scaled(1 / s[j]!, v[i]![j]!) : rest[i]![j]!) };
}
/** The roots of the characteristic polynomial, by real, then imaginary part. */
export function eigenvalues(a: Matrix): c.C[] {
  const n = a.length,
    at = (z: c.C): c.C => determinant(a.map((row, i) => row.map((x, j) => i === j ? c.minus(x, z) : x)));
  let roots = a.map((row, i): c.C => c.plus(row[i]!, [0.01 * i, 0.02]));
  for (let step = 0; step < 60; step++) {
    roots = roots.map((z, i) => {
      const others = roots.reduce((p, w, j) => i === j ? p : c.times(p, c.minus(z, w)), c.real((-1) ** n));
      return c.minus(z, c.over(at(z), others));
    });
  }
  return roots.toSorted((x, y) => Math.abs(x[0] - y[0]) > 1e-6 ? x[0] - y[0] : x[1] - y[1]);
}
/** The eigenvector of length 1, by two steps of inverse iteration. */
export function eigenvector(a: Matrix, value: c.C): c.C[] {
  const shifted = a.map((row, i) => row.map((x, j) => i === j ? c.minus(x, c.plus(value, [1e-9, 0])) : x));
  let x: Matrix = a.map((_, i): c.C[] => [[1, 0.1 * i]]);
  for (let step = 0; step < 3; step++) {
    x = eliminated(shifted, x);
    const length = Math.hypot(...x.map(([z]) => c.size(z!)));
    x = x.map(([z]) => [c.scaled(1 / length, z!)]);
  }
  return x.map(([z]) => z!);
}
/** Σ (a / 8)^k / k!, squared three times. */
export function exponential(a: Matrix): Matrix {
  const n = a.length, small = a.map((row) => row.map((x) => c.scaled(1 / 8, x)));
  let term = identity(n), sum = identity(n);
  for (let k = 1; k < 30; k++) {
    term = product(term, small).map((row) => row.map((x) => c.scaled(1 / k, x)));
    sum = sum.map((row, i) => row.map((x, j) => c.plus(x, term[i]![j]!)));
  }
  for (let i = 0; i < 3; i++) sum = product(sum, sum);
  return sum;
}
