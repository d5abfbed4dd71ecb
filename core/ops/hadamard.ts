/**
 * The Walsh-Hadamard transform, as products with Hadamard matrices of orders 2^k, 12, 20 and 28.
 * @module
 */
import type { NDArray } from "../array.ts";
import { float32 } from "../dtype.ts";
import { fail, ShapeError } from "../errors.ts";
import { describe, sizeOf } from "../shape.ts";
import { multiply } from "./binary.ts";
import { array } from "./create.ts";
import { matmul } from "./matmul.ts";
import { cast, type Operand, toArray } from "./operand.ts";
import { reshape } from "./view.ts";

type Matrix = readonly (readonly number[])[];

/** Kronecker product of small matrices. */
function kronecker(a: Matrix, b: Matrix): number[][] {
  return a.flatMap((row) => b.map((other) => row.flatMap((x) => other.map((y) => x * y))));
}
function plus(a: Matrix, b: Matrix): number[][] {
  return a.map((row, i) => row.map((x, j) => x + b[i]![j]!));
}
/**
 * Order 12 by Paley's second construction over the field of 5 elements: with the conference matrix S (0 on the
 * diagonal, a border of ones, else 1 where i - j is a square and -1 where not), S x [[1, 1], [1, -1]] + I x [[1, -1],
 * [-1, -1]].
 */
function paley12(): Matrix {
  const entry = (i: number, j: number) => i === 0 || j === 0 ? 1 : [1, 4].includes((i - j + 5) % 5) ? 1 : -1;
  const rows = [0, 1, 2, 3, 4, 5];
  const conference = rows.map((i) => rows.map((j) => i === j ? 0 : entry(i, j)));
  const identity = rows.map((i) => rows.map((j) => i === j ? 1 : 0));
  return plus(kronecker(conference, [[1, 1], [1, -1]]), kronecker(identity, [[1, -1], [-1, -1]]));
}
/**
 * Williamson's construction: four circulant blocks, given by the signs of their first rows, in the pattern of
 * quaternions.
 */
function williamson(rows: readonly string[]): Matrix {
  const blocks = rows.map((row) => {
    const signs = [...row].map((c) => c === "+" ? 1 : -1);
    return signs.map((_, i) => signs.map((_, j) => signs[(j - i + signs.length) % signs.length]!));
  });
  // Which block, counted from 1, and its sign.
  const pattern = [[1, 2, 3, 4], [-2, 1, -4, 3], [-3, 4, 1, -2], [-4, -3, 2, 1]];
  return pattern.flatMap((line) =>
    blocks[0]!.map((_, i) => line.flatMap((k) => blocks[Math.abs(k) - 1]![i]!.map((x) => Math.sign(k) * x)))
  );
}
/** Sylvester's matrices, of order 2^k: the sign is the parity of the bits that i and j share. */
function sylvester(order: number): Matrix {
  const range = Array.from({ length: order }, (_, i) => i);
  const parity = (bits: number) => {
    let odd = 0;
    for (; bits; bits &= bits - 1) odd ^= 1;
    return odd;
  };
  return range.map((i) => range.map((j) => parity(i & j) ? -1 : 1));
}
const ODD_ORDERS: Readonly<Record<number, () => Matrix>> = {
  12: paley12,
  20: () => williamson(["+----", "+----", "++--+", "+-++-"]),
  28: () => williamson(["+------", "++----+", "+-+--+-", "+--++--"]),
};
const isPowerOfTwo = (n: number) => n > 0 && 2 ** Math.round(Math.log2(n)) === n;

/**
 * The matrices whose Kronecker product is the transform of length n: one of an odd order, then powers of two up to 2^7.
 */
function factors(x: NDArray): Matrix[] {
  const n = x.shape.at(-1) ?? 1;
  const odd = isPowerOfTwo(n) ? 1 : [12, 20, 28].find((m) => n % m === 0 && isPowerOfTwo(n / m));
  if (odd === undefined || n === 0) {
    return fail(ShapeError, "hadamardTransform", {
      cannot: `transform ${describe(x)}`,
      expected: "a last axis of m 2^k with m in 1, 12, 20, 28",
      got: String(n),
      fix: "pad it",
    });
  }
  const list = odd === 1 ? [] : [ODD_ORDERS[odd]!()];
  for (let rest = n / odd; rest > 1; rest /= Math.min(rest, 128)) list.push(sylvester(Math.min(rest, 128)));
  return list;
}
/** Factor of {@linkcode hadamardTransform}. */
export interface HadamardOptions {
  /** Factor of the result; `1 / sqrt(n)` if absent, which makes the transform orthonormal. */
  readonly scale?: number | null;
}
/**
 * `scale H x` along the last axis, of length n = m 2^k with m in 1, 12, 20, 28 (`mlx.core.hadamard_transform`).
 * Computed in float32 at least; integers become float32.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.hadamardTransform(mx.array([1, 0]), 1).tolist(); // [1, 1]
 * ```
 */
export function hadamardTransform(x: Operand, options: number | HadamardOptions = {}): NDArray {
  const a = toArray("hadamardTransform", x);
  const n = a.shape.at(-1) ?? 1;
  const given = typeof options === "number" ? options : options.scale;
  const dtype = a.dtype.kind === "float" ? a.dtype : float32;
  let y = cast(a, dtype.size < 4 ? float32 : dtype);
  let after = n;
  for (const matrix of factors(a)) {
    const order = matrix.length;
    after /= order;
    const rows = reshape(y, [sizeOf(a.shape) / (order * after), order, after]);
    y = matmul(cast(array(matrix), y.dtype), rows);
  }
  return cast(multiply(reshape(y, a.shape), given ?? 1 / Math.sqrt(n)), dtype);
}
