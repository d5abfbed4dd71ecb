/**
 * Records of the products with quantized matrices and of unpacking them. What the words mean is at the head of
 * `core/ops/quantized.ts`; what the kernels compute is in `docs/architecture.md`.
 *
 * An unpacked matrix is linear in scales and biases, `w = s q + b`, so both have derivatives: with dW, the cotangent of
 * the unpacked matrix, ds is the sum of dW q over the group and db that of dW. Words, and uint8 scales, have none.
 * @module
 */
import type { NDArray } from "../array.ts";
import { float32 } from "../dtype.ts";
import { type Aval, primitives, type Shape, spec } from "../primitive.ts";
import { sizeOf } from "../shape.ts";
import { multiply } from "../ops/binary.ts";
import { onesLike, zerosLike } from "../ops/create.ts";
import { gatherMm, matmul } from "../ops/matmul.ts";
import { cast } from "../ops/operand.ts";
import { gatheredProduct, type Quantization, quantizedProduct, unpack } from "../ops/quantized_rules.ts";
import { sum } from "../ops/reduce.ts";
import { broadcastTo, reshape, swapaxes } from "../ops/view.ts";
import { addTangents, batchedIndices, collect, inOrder } from "./matmul.ts";
import { bytesOf, namedMatrices, productFlops } from "./work.ts";

/** Parameters of a product. */
interface Product extends Quantization {
  readonly transpose: boolean;
}
/** Number of columns that a row of words holds. */
const columns = (w: Aval, { bits }: Quantization): number => w.shape.at(-1)! * 32 / bits;
/** Columns of the product. */
const width = (w: Aval, p: Product): number => p.transpose ? w.shape.at(-2)! : columns(w, p);

/** Cotangents of scales and biases from that of the unpacked matrix; none for the float modes. */
function groupSums(
  dense: NDArray,
  w: NDArray,
  scales: NDArray,
  biases: NDArray | undefined,
  q: Quantization,
): (NDArray | null)[] {
  if (!biases) return [null];
  const grouped = (x: NDArray) => reshape(x, [...scales.shape, q.groupSize]);
  const ones = cast(onesLike(scales), float32);
  const integers = unpack(w, ones, zerosLike(ones), q, float32);
  const ct = grouped(cast(dense, float32));
  return [
    cast(sum(multiply(ct, grouped(integers)), { axis: -1 }), scales.dtype),
    cast(sum(ct, { axis: -1 }), biases.dtype),
  ];
}
/** Cotangent of the unpacked matrix of a product: `ct^T x` for `y = x w^T`, `x^T ct` for `y = x w`. */
function denseCotangent(x: NDArray, ct: NDArray, w: NDArray, transpose: boolean): NDArray {
  const rows = (z: NDArray) => w.shape.length === 2 ? reshape(z, [-1, z.shape.at(-1)!]) : z;
  const [a, b] = [rows(x), rows(ct)];
  return transpose ? matmul(swapaxes(b, -1, -2), a) : matmul(swapaxes(a, -1, -2), b);
}
function productVjp([x, w, scales, biases]: readonly NDArray[], ct: NDArray, p: Product): (NDArray | null)[] {
  const back = quantizedProduct(ct, w!, scales!, biases ?? null, packing(p), !p.transpose);
  if (!biases) return [back, null, null];
  return [back, null, ...groupSums(denseCotangent(x!, ct, w!, p.transpose), w!, scales!, biases, packing(p))];
}
function productJvp(
  [x, w, scales, biases]: readonly NDArray[],
  [tx, , ts, tb]: readonly (NDArray | null)[],
  p: Product,
): NDArray | null {
  const fromX = tx ? quantizedProduct(tx, w!, scales!, biases ?? null, packing(p), p.transpose) : null;
  if (!biases || (!ts && !tb)) return fromX;
  const fromMatrix = quantizedProduct(
    x!,
    w!,
    ts ?? zerosLike(scales!),
    tb ?? zerosLike(biases),
    packing(p),
    p.transpose,
  );
  return addTangents(fromX, fromMatrix);
}
/** The part of a product's parameters that says how its matrix is packed. */
function packing({ groupSize, bits, mode }: Quantization): Quantization {
  return { groupSize, bits, mode };
}
/** With one matrix for the whole batch its rows are more rows; else x and the matrix get the same leading axes. */
function productVmap(
  [x, ...matrix]: readonly NDArray[],
  [mx, ...mapped]: readonly boolean[],
  p: Product,
  size: number,
): NDArray {
  const [w, scales, biases] = matrix;
  const again = (a: NDArray, m: readonly NDArray[]) =>
    quantizedProduct(a, m[0]!, m[1]!, m[2] ?? null, packing(p), p.transpose);
  if (!mapped.some(Boolean) && w!.shape.length === 2) return again(x!, [w!, scales!, ...biases ? [biases] : []]);
  const rows = mx ? x! : broadcastTo(x!, [size, ...x!.shape]);
  const leading = rows.shape.slice(0, -2);
  const wide = matrix.map((part, i) => {
    const own = mapped[i] ? part.shape.slice(1, -2) : part.shape.slice(0, -2);
    const ones = new Array<number>(leading.length - 1 - own.length).fill(1);
    return broadcastTo(reshape(part, [mapped[i] ? size : 1, ...ones, ...own, ...part.shape.slice(-2)]), [
      ...leading,
      ...part.shape.slice(-2),
    ]);
  });
  return again(rows, wide);
}

/** Inputs of `gatherQmm`, which end with the two index arrays. */
function gathered(
  inputs: readonly NDArray[],
): { x: NDArray; w: NDArray; scales: NDArray; biases: NDArray | null; lhs: NDArray; rhs: NDArray } {
  const n = inputs.length;
  return {
    x: inputs[0]!,
    w: inputs[1]!,
    scales: inputs[2]!,
    biases: n === 6 ? inputs[3]! : null,
    lhs: inputs[n - 2]!,
    rhs: inputs[n - 1]!,
  };
}
function gatheredVjp(inputs: readonly NDArray[], ct: NDArray, p: Product): (NDArray | null)[] {
  const { x, w, scales, biases, lhs, rhs } = gathered(inputs);
  const own = inOrder(lhs);
  const back = gatheredProduct(ct, w, scales, biases, own, rhs, packing(p), !p.transpose);
  const dx = collect(back, lhs, x.shape);
  if (!biases) return [dx, null, null, null, null];
  const dense = p.transpose
    ? gatherMm(swapaxes(ct, -1, -2), x, { lhsIndices: own, rhsIndices: lhs })
    : gatherMm(swapaxes(x, -1, -2), ct, { lhsIndices: lhs, rhsIndices: own });
  const whole = collect(dense, rhs, [...w.shape.slice(0, -1), columns(w, p)]);
  return [dx, null, ...groupSums(whole, w, scales, biases, packing(p)), null, null];
}
function gatheredJvp(
  inputs: readonly NDArray[],
  [tx, , ts, tb]: readonly (NDArray | null)[],
  p: Product,
): NDArray | null {
  const { x, w, scales, biases, lhs, rhs } = gathered(inputs);
  const fromX = tx ? gatheredProduct(tx, w, scales, biases, lhs, rhs, packing(p), p.transpose) : null;
  if (!biases || (!ts && !tb)) return fromX;
  const [ds, db] = [ts ?? zerosLike(scales), tb ?? zerosLike(biases)];
  return addTangents(fromX, gatheredProduct(x, w, ds, db, lhs, rhs, packing(p), p.transpose));
}
function gatheredVmap(inputs: readonly NDArray[], mapped: readonly boolean[], p: Product, size: number): NDArray {
  const { x, w, scales, biases, lhs, rhs } = gathered(inputs);
  const matrixMapped = mapped.slice(1, biases ? 4 : 3).some(Boolean);
  const whole = (part: NDArray, i: number) =>
    !matrixMapped || mapped[i] ? part : broadcastTo(part, [size, ...part.shape]);
  const matrix = whole(w, 1);
  const left = batchedIndices(lhs, mapped.at(-2) ?? false, x, mapped[0] ?? false, size);
  const right = batchedIndices(rhs, mapped.at(-1) ?? false, matrix, matrixMapped, size);
  return gatheredProduct(x, matrix, whole(scales, 2), biases && whole(biases, 3), left, right, packing(p), p.transpose);
}
/** Shape of an unpacked matrix. */
const unpackedShape = (w: Aval, q: Quantization): Shape => [...w.shape.slice(0, -1), columns(w, q)];

/** Records of the family `quantized`, in opcode order. */
export const quantizedPrimitives = primitives({
  quantizedMatmul: spec({
    family: "quantized",
    kind: "kernel",
    params: { transpose: "bool", groupSize: "int", bits: "int", mode: "int" },
    arity: Infinity,
    together: true,
    needs: ["contiguous"],
    flops: ([x], y) => productFlops(y, x!.shape.at(-1)!),
    infer: ([x, w], p) => ({ shape: [...x!.shape.slice(0, -1), width(w!, p)], dtype: x!.dtype }),
    vjp: (x, _y, ct, p) => productVjp(x, ct, p),
    jvp: (x, _y, t, p) => productJvp(x, t, p),
    vmap: (x, mapped, p, size) => productVmap(x, mapped, p, size),
  }),
  gatherQmm: spec({
    family: "quantized",
    kind: "kernel",
    params: { transpose: "bool", groupSize: "int", bits: "int", mode: "int" },
    arity: Infinity,
    needs: ["contiguous"],
    flops: ([x], y) => productFlops(y, x!.shape.at(-1)!),
    traffic: ([x, ...rest], y) => {
      const indices = rest.at(-1)!, packed = rest.slice(0, -2).reduce((sum, w) => sum + namedMatrices(w, indices), 0);
      return namedMatrices(x!, indices) + packed + 2 * bytesOf(indices) + bytesOf(y);
    },
    infer: (x, p) => {
      const indices = x.at(-1)!;
      return { shape: [...indices.shape, x[0]!.shape.at(-2)!, width(x[1]!, p)], dtype: x[0]!.dtype };
    },
    vjp: (x, _y, ct, p) => gatheredVjp(x, ct, p),
    jvp: (x, _y, t, p) => gatheredJvp(x, t, p),
    vmap: (x, mapped, p, size) => gatheredVmap(x, mapped, p, size),
  }),
  dequantize: spec({
    family: "quantized",
    kind: "kernel",
    params: { groupSize: "int", bits: "int", mode: "int", dtype: "dtype" },
    arity: Infinity,
    needs: ["contiguous"],
    flops: (_x, y) => 2 * sizeOf(y.shape),
    infer: ([w], p) => ({ shape: unpackedShape(w!, p), dtype: p.dtype }),
    vjp: ([w, scales, biases], _y, ct, p) => [null, ...groupSums(ct, w!, scales!, biases, packing(p))],
    jvp: ([w, scales, biases], _y, [, ts, tb], p) => {
      if (!biases || (!ts && !tb)) return null;
      return unpack(w!, ts ?? zerosLike(scales!), tb ?? zerosLike(biases), packing(p), p.dtype);
    },
    vmap: (x, mapped, p, size) => {
      const [w, scales, biases] = x.map((part, i) => mapped[i] ? part : broadcastTo(part, [size, ...part.shape]));
      return unpack(w!, scales!, biases ?? null, packing(p), p.dtype);
    },
  }),
});
