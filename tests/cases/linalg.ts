/**
 * Cases of the decompositions. References are plain algorithms on small complex matrices: eigenvalues by Jacobi
 * rotations (Hermitian) or as roots of the characteristic polynomial, everything else by elimination. Matrices have a
 * rising diagonal, so that values are apart, and at least one leading axis, so that a repeated row is a repeated matrix.
 * @module
 */
import { complex64, type DType, float32, float64 } from "../../core/dtype.ts";
import type { linalgPrimitives } from "../../core/primitives/linalg.ts";
import type { Aval, Shape } from "../../core/primitive.ts";
import { type Case, type Cases, complexFrom, elementOf, type Input, type Tolerance, type Variant } from "./case.ts";
import * as c from "./complex.ts";
import type { Domain } from "./generate.ts";
import {
  adjoint,
  determinant,
  eigenvalues,
  eigenvector,
  eliminated,
  exponential,
  factored,
  hermitianEigen,
  inverse,
  type Matrix,
  matrix,
  orthogonalized,
  product,
  singular,
  turned,
} from "./matrices.ts";
import { count, type Tensor, type Values } from "./tensor.ts";

const dtypes: readonly DType[] = [float64, float32, complex64];
/** Matrices of which entry (i, i) is about 1 + 2 i, the others up to 0.4. */
function raised(m: number, n: number): Domain {
  return (r, total) =>
    Array.from({ length: total }, (_, at) => {
      const i = Math.floor(at / n) % m, small = 0.8 * r.next() - 0.4;
      return i === at % n ? 1 + 2 * i + small : small;
    });
}
const stack = (...shape: number[]): Input => ({
  shape,
  domain: raised(shape.at(-2)!, shape.at(-1)!),
  joint: true,
});
const SQUARE: readonly Shape[] = [[2, 3, 3], [1, 1, 1], [1, 5, 5], [2, 2, 4, 4], [0, 2, 2]];
const BROAD: readonly Shape[] = [[2, 3, 2], [2, 2, 3], [1, 4, 1]];
const tolerance: Tolerance = { ulps: 64 };

function matrixOf(x: Tensor, index: number): Matrix {
  const [m, n] = [x.shape.at(-2)!, x.shape.at(-1)!];
  return matrix(m, n, (i, j) => elementOf(x, (index * m + i) * n + j));
}
/** The entries of results, one list per matrix of the stack. */
function stacked(x: Tensor, out: Aval, of: (index: number) => c.C[]): Values {
  const results = Array.from({ length: count(x.shape.slice(0, -2)) }, (_, i) => of(i)), entries = results.flat();
  return complexFrom(out, (i) => entries[i]!);
}
function single<P>(
  shapes: readonly Shape[],
  params: readonly P[],
  of: (a: Matrix, p: P) => Matrix,
  more: Partial<Case<P>> = {},
): Case<P> {
  const variants: Variant<P>[] = params.flatMap((p) =>
    shapes.map((shape) => ({ params: p, inputs: [stack(...shape)] }))
  );
  return {
    dtypes,
    variants,
    tolerance,
    reference: ([x], p, out) => stacked(x!, out, (i) => of(matrixOf(x!, i), p).flat()),
    perf: [
      { label: "one of 256", dtype: float32, params: params[0]!, inputs: [stack(1, 256, 256)], flops: 0 },
      { label: "1000 of 8", dtype: float32, params: params[0]!, inputs: [stack(1000, 8, 8)], flops: 0 },
    ],
    ...more,
  };
}
function pair<P>(params: readonly P[], of: (a: Matrix, b: Matrix, p: P) => Matrix): Case<P> {
  const sizes: readonly (readonly [Shape, Shape])[] = [
    [[2, 3, 3], [2, 3, 2]],
    [[1, 1, 1], [1, 1, 4]],
    [[1, 5, 5], [1, 5, 1]],
    [[2, 2, 2, 2], [2, 2, 2, 3]],
    [[0, 2, 2], [0, 2, 1]],
  ];
  return {
    dtypes,
    variants: params.flatMap((p) => sizes.map(([a, b]) => ({ params: p, inputs: [stack(...a), stack(...b)] }))),
    tolerance,
    reference: ([x, y], p, out) => stacked(x!, out, (i) => of(matrixOf(x!, i), matrixOf(y!, i), p).flat()),
    perf: [{
      label: "one of 256",
      dtype: float32,
      params: params[0]!,
      inputs: [stack(1, 256, 256), stack(1, 256, 256)],
      flops: 256 ** 3 * 8 / 3,
    }],
  };
}
/** The Hermitian matrix of which one triangle is given. */
const mirrored = (a: Matrix, lower: boolean): Matrix =>
  matrix(a.length, a.length, (i, j) => {
    if (i === j) return c.real(a[i]![i]![0]);
    const there = (i > j) === lower;
    return there ? a[i]![j]! : c.conjugate(a[j]![i]!);
  });
const triangle = (a: Matrix, upper: boolean): Matrix =>
  matrix(a.length, a.length, (i, j) => (upper ? i <= j : i >= j) ? a[i]![j]! : [0, 0]);

function choleskyOf(a: Matrix, upper: boolean): Matrix {
  const s = mirrored(a, !upper), n = a.length, l = matrix(n, n, () => [0, 0]);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let left = s[i]![j]!;
      for (let k = 0; k < j; k++) left = c.minus(left, c.times(l[i]![k]!, c.conjugate(l[j]![k]!)));
      l[i]![j] = i === j ? c.real(Math.sqrt(left[0])) : c.scaled(1 / l[j]![j]![0], left);
    }
  }
  return upper ? adjoint(l) : l;
}
function luOf(a: Matrix): Matrix {
  const { factors, pivots, order } = factored(a);
  return factors.map((row, i) => [...row, c.real(pivots[i] ?? 0), c.real(order[i]!)]);
}
function qrOf(a: Matrix): Matrix {
  const { q, r } = orthogonalized(a);
  return q.map((row, i) => [...row, ...(r[i] ?? a[0]!.map((): c.C => [0, 0]))]);
}
function eighOf(a: Matrix, { lower, vectors }: { lower: boolean; vectors: boolean }): Matrix {
  const { values, vectors: v } = hermitianEigen(mirrored(a, lower));
  return [values.map(c.real), ...vectors ? turned(v).vectors : []];
}
function svdOf(a: Matrix, { vectors }: { vectors: boolean }): Matrix {
  const { u, s, v } = singular(a), size = Math.max(a.length, a[0]!.length);
  const wide = (
    row: readonly c.C[],
  ): c.C[] => [...row, ...Array.from({ length: size - row.length }, (): c.C => [0, 0])];
  return vectors ? [...u.map(wide), wide(s.map(c.real)), ...adjoint(v).map(wide)] : [s.map(c.real)];
}
function eigOf(a: Matrix, { vectors }: { vectors: boolean }): Matrix {
  const values = eigenvalues(a), found = values.map((w) => eigenvector(a, w));
  return [values, ...vectors ? turned(matrix(a.length, a.length, (i, j) => found[j]![i]!)).vectors : []];
}
function pinvOf(a: Matrix): Matrix {
  const h = adjoint(a);
  return a.length >= a[0]!.length ? product(inverse(product(h, a)), h) : product(h, inverse(product(a, h)));
}
function slogdetOf(a: Matrix): Matrix {
  const d = determinant(a), size = c.size(d);
  return [[c.scaled(1 / size, d), c.real(Math.log(size))]];
}
const both = [{ vectors: true }, { vectors: false }];

/** The cases of the family `linalg`. */
export const linalgCases: Cases<keyof typeof linalgPrimitives> = {
  cholesky: single(SQUARE, [{ upper: false }, { upper: true }], (a, { upper }) => choleskyOf(a, upper)),
  lu: single([...SQUARE, ...BROAD], [{}], luOf),
  qr: single([...SQUARE, ...BROAD], [{}], qrOf),
  eigh: single(SQUARE, [true, false].flatMap((lower) => both.map((p) => ({ ...p, lower }))), eighOf),
  svd: single([...SQUARE, ...BROAD.slice(0, 2)], both, svdOf, { tolerance: { ulps: 256 } }),
  pinv: single([...SQUARE, ...BROAD], [{ rcond: 1e-5 }], pinvOf),
  eig: single(SQUARE, both, eigOf, { tolerance: { ulps: 64 } }),
  solve: pair([{}], (a, b) => eliminated(a, b)),
  solveTriangular: pair(
    [{ upper: false }, { upper: true }],
    (a, b, { upper }) => eliminated(triangle(a, upper), b),
  ),
  slogdet: single(SQUARE, [{}], slogdetOf),
  det: single(SQUARE, [{}], (a) => [[determinant(a)]]),
  expm: single(
    SQUARE,
    [{}],
    (a) => exponential(a),
    { variants: SQUARE.map((shape) => ({ params: {}, inputs: [{ shape, domain: small }] })) },
  ),
};
function small(r: { next(): number }, n: number): number[] {
  return Array.from({ length: n }, () => 2 * r.next() - 1);
}
