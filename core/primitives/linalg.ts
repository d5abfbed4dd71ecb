/**
 * Records of the decompositions and of what is made of them. A record has one result, so the parts of a decomposition
 * lie in one array, which `core/ops/linalg_rules.ts` takes apart. Tangents are written there; a cotangent is the
 * transpose of that linear map unless it is simpler to write down. What users call is in `core/ops/linalg.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { complex64 } from "../dtype.ts";
import { matmul } from "../ops/matmul.ts";
import { tril, triu, zerosLike } from "../ops/create.ts";
import {
  adjoint,
  choleskyOf,
  choleskyTangent,
  detOf,
  detTangent,
  eighOf,
  eighTangent,
  eigOf,
  eigTangent,
  expmOf,
  expmTangent,
  luOf,
  luTangent,
  pinvOf,
  pinvTangent,
  qrOf,
  qrTangent,
  slogdetOf,
  slogdetTangent,
  solveOf,
  solveTriangularOf,
  svdOf,
  svdTangent,
} from "../ops/linalg_rules.ts";
import { negative } from "../ops/unary.ts";
import { broadcastTo } from "../ops/view.ts";
import { type Aval, type Params, type ParamSchema, primitives, type Spec, spec } from "../primitive.ts";
import { vjp } from "../transforms/grad.ts";
import type { NoParams } from "./builders.ts";
import { addTangents } from "./matmul.ts";

/** The cotangent of x through the linear map `tangent`. */
function transposed(tangent: (t: NDArray) => NDArray, x: NDArray, ct: NDArray): NDArray {
  return vjp((t) => tangent(t), [zerosLike(x)], [ct])[1][0];
}
/** A record of one matrix: its derivative gives both rules, and a batch is one more leading axis. */
function decomposition<const S extends ParamSchema>(
  params: S,
  compute: (x: NDArray, p: Params<S>) => NDArray,
  shape: (m: number, n: number, p: Params<S>) => readonly number[],
  tangent: (x: NDArray, y: NDArray, t: NDArray, p: Params<S>) => NDArray,
  dtype?: typeof complex64,
): Spec<S, 1> {
  return {
    family: "linalg",
    kind: "kernel",
    params,
    arity: 1,
    needs: ["any"],
    infer: ([x], p) => ({
      shape: [...x.shape.slice(0, -2), ...shape(x.shape.at(-2)!, x.shape.at(-1)!, p)],
      dtype: dtype ?? x.dtype,
    }),
    vjp: ([x], y, ct, p) => [transposed((t) => tangent(x, y, t, p), x, ct)],
    jvp: ([x], y, [t], p) => t && tangent(x, y, t, p),
    vmap: ([x], _mapped, p) => compute(x, p),
  };
}
const like = ([, b]: readonly [Aval, Aval]): Aval => ({ shape: b.shape, dtype: b.dtype });
/** Both inputs with the batch. */
function batched([a, b]: readonly NDArray[], [ma, mb]: readonly boolean[], size: number): [NDArray, NDArray] {
  const repeated = (x: NDArray, mapped: boolean | undefined) => mapped ? x : broadcastTo(x, [size, ...x.shape]);
  return [repeated(a!, ma), repeated(b!, mb)];
}

/** The primitives of the family `linalg`, in the order of their codes. */
export const linalgPrimitives = primitives({
  cholesky: decomposition(
    { upper: "bool" },
    (x, p) => choleskyOf(x, p.upper),
    (m, n) => [m, n],
    (_x, y, t, p) => choleskyTangent(y, t, p.upper),
  ),
  lu: decomposition({}, luOf, (m, n) => [m, n + 2], (_x, y, t) => luTangent(y, t)),
  qr: decomposition({}, qrOf, (m, n) => [m, Math.min(m, n) + n], (_x, y, t) => qrTangent(y, t)),
  eigh: decomposition(
    { lower: "bool", vectors: "bool" },
    (x, p) => eighOf(x, p.lower, p.vectors),
    (_m, n, p) => [p.vectors ? n + 1 : 1, n],
    (x, y, t, p) => eighTangent(x, y, t, p.lower, p.vectors),
  ),
  svd: decomposition(
    { vectors: "bool" },
    (x, p) => svdOf(x, p.vectors),
    (m, n, p) => p.vectors ? [m + n + 1, Math.max(m, n)] : [1, Math.min(m, n)],
    (x, y, t, p) => svdTangent(x, y, t, p.vectors),
  ),
  pinv: decomposition(
    { rcond: "float" },
    (x, p) => pinvOf(x, p.rcond),
    (m, n) => [n, m],
    (x, y, t) => pinvTangent(x, y, t),
  ),
  eig: decomposition(
    { vectors: "bool" },
    (x, p) => eigOf(x, p.vectors),
    (_m, n, p) => [p.vectors ? n + 1 : 1, n],
    (x, y, t, p) => eigTangent(x, y, t, p.vectors),
    complex64,
  ),
  /** y = a^-1 b: dy = a^-1 (db - da y) */
  solve: spec({
    family: "linalg",
    kind: "kernel",
    params: {},
    arity: 2,
    needs: ["any"],
    infer: like,
    vjp: ([a], y, ct) => {
      const back = solveOf(adjoint(a), ct);
      return [negative(matmul(back, adjoint(y))), back];
    },
    jvp: ([a], y, [ta, tb]) => solveOf(a, addTangents(tb, ta && negative(matmul(ta, y)))!),
    vmap: (xs, mapped, _p, size) => solveOf(...batched(xs, mapped, size)),
  }),
  /** The same with the triangle of a. */
  solveTriangular: spec({
    family: "linalg",
    kind: "kernel",
    params: { upper: "bool" },
    arity: 2,
    needs: ["any"],
    infer: like,
    vjp: ([a], y, ct, { upper }) => {
      const back = solveTriangularOf(adjoint(a), ct, !upper), all = negative(matmul(back, adjoint(y)));
      return [upper ? triu(all) : tril(all), back];
    },
    jvp: ([a], y, [ta, tb], { upper }) => {
      const da = ta && (upper ? triu(ta) : tril(ta));
      return solveTriangularOf(a, addTangents(tb, da && negative(matmul(da, y)))!, upper);
    },
    vmap: (xs, mapped, { upper }, size) => solveTriangularOf(...batched(xs, mapped, size), upper),
  }),
  slogdet: decomposition({}, slogdetOf, () => [2], (x, y, t) => slogdetTangent(x, y, t)),
  det: decomposition({}, detOf, () => [], (x, y, t) => detTangent(x, y, t)),
  /** The adjoint of the derivative along t is the derivative at the adjoint of x. */
  expm: spec<NoParams, 1>({
    ...decomposition({}, expmOf, (m, n) => [m, n], (x, _y, t) => expmTangent(x, t)),
    vjp: ([x], _y, ct) => [expmTangent(adjoint(x), ct)],
  }),
});
