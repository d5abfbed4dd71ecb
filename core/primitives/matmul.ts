/**
 * Records of the matrix products. The ops have promoted, broadcast and checked; what the kernels compute is in
 * `docs/architecture.md`, the ops are in `core/ops/matmul.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { primitives, type Shape, spec } from "../primitive.ts";
import { sizeOf } from "../shape.ts";
import { add, multiply } from "../ops/binary.ts";
import { arange, zeros } from "../ops/create.ts";
import { addmm, gatherMm, matmul } from "../ops/matmul.ts";
import { scatter } from "../ops/moves.ts";
import { conjugate } from "../ops/unary.ts";
import { broadcastTo, reshape, swapaxes } from "../ops/view.ts";
import { bytesOf, namedMatrices, productFlops } from "./work.ts";

/** The conjugate transpose of each matrix. */
function adjoint(x: NDArray): NDArray {
  const t = swapaxes(x, -1, -2);
  return x.dtype.kind === "complex" ? conjugate(t) : t;
}
/** The sum of two tangents of which one may be missing. */
export function addTangents(a: NDArray | null, b: NDArray | null): NDArray | null {
  return a && b ? add(a, b) : a ?? b;
}
/** 0, 1, 2, ... in the shape of the indices: each product taken once, in order. */
export function inOrder(indices: NDArray): NDArray {
  return reshape(arange(0, sizeOf(indices.shape), { dtype: indices.dtype }), indices.shape);
}
/**
 * Matrices [indices..., M, N] added up where the indices say, in an array shaped like x: the transpose of taking them.
 */
export function collect(parts: NDArray, indices: NDArray, shape: Shape): NDArray {
  const [leading, matrix] = [shape.slice(0, -2), shape.slice(-2)];
  const count = sizeOf(indices.shape);
  const updates = reshape(parts, [count, 1, ...matrix]);
  const flat = zeros([sizeOf(leading), ...matrix], parts.dtype);
  return reshape(scatter(flat, updates, [reshape(indices, [count])], [0], "add"), shape);
}
/**
 * Indices into the flattened leading axes of x, batched: where x is mapped, row b of the batch begins at b times the
 * number of its matrices.
 */
export function batchedIndices(indices: NDArray, mapped: boolean, x: NDArray, xMapped: boolean, size: number): NDArray {
  const all = mapped ? indices : broadcastTo(indices, [size, ...indices.shape]);
  if (!xMapped) return all;
  const rows = arange(0, size, { dtype: indices.dtype });
  const first = multiply(rows, sizeOf(x.shape.slice(1, -2)));
  return add(all, reshape(first, [size, ...all.shape.slice(1).map(() => 1)]));
}

/** Records of the family `matmul`, in opcode order. */
export const matmulPrimitives = primitives({
  matmul: spec({
    family: "matmul",
    kind: "kernel",
    params: {},
    arity: 2,
    needs: ["any"],
    flops: ([a], y) => productFlops(y, a.shape.at(-1)!),
    infer: ([a, b]) => ({ shape: [...a.shape.slice(0, -1), b.shape.at(-1)!], dtype: a.dtype }),
    // y = a b: da = ct b^H, db = a^H ct.
    vjp: ([a, b], _y, ct) => [matmul(ct, adjoint(b)), matmul(adjoint(a), ct)],
    jvp: ([a, b], _y, [ta, tb]) => addTangents(ta && matmul(ta, b), tb && matmul(a, tb)),
    vmap: ([a, b]) => matmul(a, b),
  }),
  addmm: spec({
    family: "matmul",
    kind: "kernel",
    params: { alpha: "float", beta: "float" },
    arity: 3,
    needs: ["any"],
    flops: ([, a], y) => productFlops(y, a.shape.at(-1)!),
    infer: ([c]) => ({ shape: c.shape, dtype: c.dtype }),
    vjp: ([, a, b], _y, ct, { alpha, beta }) => [
      multiply(ct, beta),
      multiply(matmul(ct, adjoint(b)), alpha),
      multiply(matmul(adjoint(a), ct), alpha),
    ],
    jvp: ([c, a, b], _y, [tc, ta, tb], { alpha, beta }) => {
      const product = addTangents(ta && multiply(matmul(ta, b), alpha), tb && multiply(matmul(a, tb), alpha));
      return addTangents(tc && broadcastTo(multiply(tc, beta), c.shape), product);
    },
    // c alone may have the batch, which the op would not give to the product.
    vmap: ([c, a, b], [, ma, mb], { alpha, beta }, size) =>
      addmm(c, ma || mb ? a : broadcastTo(a, [size, ...a.shape]), b, { alpha, beta }),
  }),
  gatherMm: spec({
    family: "matmul",
    kind: "kernel",
    params: {},
    arity: 4,
    needs: ["any"],
    flops: ([a], y) => productFlops(y, a.shape.at(-1)!),
    traffic: ([a, b, lhs, rhs], y) => namedMatrices(a, lhs) + namedMatrices(b, rhs) + 2 * bytesOf(lhs) + bytesOf(y),
    infer: ([a, b, lhs]) => ({ shape: [...lhs.shape, a.shape.at(-2)!, b.shape.at(-1)!], dtype: a.dtype }),
    // Each product gives its factors their cotangents; those of one matrix add up.
    vjp: ([a, b, lhs, rhs], _y, ct) => [
      collect(gatherMm(ct, adjoint(b), { lhsIndices: inOrder(lhs), rhsIndices: rhs }), lhs, a.shape),
      collect(gatherMm(adjoint(a), ct, { lhsIndices: lhs, rhsIndices: inOrder(rhs) }), rhs, b.shape),
      null,
      null,
    ],
    jvp: ([a, b, lhsIndices, rhsIndices], _y, [ta, tb]) =>
      addTangents(ta && gatherMm(ta, b, { lhsIndices, rhsIndices }), tb && gatherMm(a, tb, { lhsIndices, rhsIndices })),
    vmap: ([a, b, lhs, rhs], [ma, mb, ml, mr], _p, size) =>
      gatherMm(a, b, {
        lhsIndices: batchedIndices(lhs, ml ?? false, a, ma ?? false, size),
        rhsIndices: batchedIndices(rhs, mr ?? false, b, mb ?? false, size),
      }),
  }),
});
