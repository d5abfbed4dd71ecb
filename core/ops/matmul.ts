/**
 * Products of matrices and vectors. All of them end in the primitives `matmul`, `addmm` and `gatherMm`
 * (`core/primitives/matmul.ts`); `einsum` is in `einsum.ts`, quantized products are in `quantized.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { bool_, complex64 } from "../dtype.ts";
import { DTypeError, fail, ShapeError, ValueError } from "../errors.ts";
import { bind, recorder } from "../graph.ts";
import { commonShape, describe, describeShape, normalizeAxis, sameShape, sizeOf } from "../shape.ts";
import { add, greaterEqual, less, logicalAnd, multiply } from "./binary.ts";
import { arange, zeros } from "./create.ts";
import { type Indices, matrixIndices, pairedIndices, toIndices } from "./moves.ts";
import { cast, commonType, oneAxisArg, type Operand, promoted, toArray } from "./operand.ts";
import { sum } from "./reduce.ts";
import { where } from "./ternary.ts";
import { conjugate } from "./unary.ts";
import { type AxisArgument, broadcastTo, expandDims, flatten, reshape, sliceAxis, squeeze, transpose } from "./view.ts";

/** Two operands as matrices: 1-d ones get an axis of length 1, which `finish` takes away from the product. */
interface Matrices {
  readonly a: NDArray;
  readonly b: NDArray;
  readonly finish: (y: NDArray) => NDArray;
}
/** Promotes and checks two factors of the operation `op`. */
function matrices(op: string, a: NDArray, b: NDArray, complex: boolean): Matrices {
  if (a.shape.length === 0 || b.shape.length === 0) {
    failProduct(op, a, b, "at least one axis each", "a 0-d array", "use multiply");
  }
  const dtype = commonType([a, b]);
  if (dtype.kind !== "float" && !(complex && dtype.kind === "complex")) {
    fail(DTypeError, op, {
      cannot: `multiply ${describe(a)} by ${describe(b)}`,
      expected: complex ? "float or complex arrays" : "float arrays",
      got: `${a.dtype} and ${b.dtype}`,
      fix: "cast with astype(mx.float32)",
    });
  }
  const [left, right] = [cast(a, dtype), cast(b, dtype)];
  const x = a.shape.length === 1 ? expandDims(left, 0) : left;
  const y = b.shape.length === 1 ? expandDims(right, 1) : right;
  const [inner, rows] = [x.shape.at(-1)!, y.shape.at(-2)!];
  if (inner !== rows) {
    failProduct(
      op,
      a,
      b,
      `a ${b.shape.length === 1 ? "last" : "second-to-last"} axis of ${inner} in b`,
      String(rows),
      "transpose or reshape b",
    );
  }
  const drop = [...a.shape.length === 1 ? [-2] : [], ...b.shape.length === 1 ? [-1] : []];
  return { a: x, b: y, finish: (z) => drop.length === 0 ? z : squeeze(z, drop) };
}
function failProduct(op: string, a: NDArray, b: NDArray, expected: string, got: string, fix: string): never {
  fail(ShapeError, op, { cannot: `multiply ${describe(a)} by ${describe(b)}`, expected, got, fix });
}
/** Matrices with their leading axes broadcast to each other. */
function batchedAlike(op: string, a: NDArray, b: NDArray): [NDArray, NDArray] {
  const leading = commonShape(op, [a.shape.slice(0, -2), b.shape.slice(0, -2)]);
  return [broadcastTo(a, [...leading, ...a.shape.slice(-2)]), broadcastTo(b, [...leading, ...b.shape.slice(-2)])];
}
/**
 * The matrix product `y[..., i, j] = sum_k a[..., i, k] b[..., k, j]` (`mlx.core.matmul`). Leading axes broadcast; a
 * 1-d operand is a row on the left and a column on the right, and the product lacks that axis. Float and complex
 * dtypes; half types accumulate in float32.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.matmul(mx.ones([2, 3]), mx.ones([3])).tolist(); // [3, 3]
 * ```
 */
export function matmul(a: Operand, b: Operand): NDArray {
  if (recorder) return recorder.call(matmul, [a, b]);
  const m = matrices("matmul", toArray("matmul", a), toArray("matmul", b), true);
  // One weight for all: the leading axes of a are rows.
  if (m.b.shape.length === 2 && m.a.shape.length > 2) {
    const rows = reshape(m.a, [sizeOf(m.a.shape.slice(0, -1)), m.a.shape.at(-1)!]);
    return m.finish(reshape(bind("matmul", [rows, m.b], {}), [...m.a.shape.slice(0, -1), m.b.shape[1]!]));
  }
  return m.finish(bind("matmul", batchedAlike("matmul", m.a, m.b), {}));
}
/** Factors of {@linkcode addmm}. */
export interface AddmmOptions {
  /** Factor of the product, 1 if absent. */
  readonly alpha?: number;
  /** Factor of c, 1 if absent. */
  readonly beta?: number;
}
/**
 * `alpha (a @ b) + beta c`, where c broadcasts to the product (`mlx.core.addmm`). Float dtypes (complex64 is composed).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.addmm(mx.ones([2]), mx.eye(2), mx.eye(2), { alpha: 2 }).tolist(); // [[3, 1], [1, 3]]
 * ```
 */
export function addmm(c: Operand, a: Operand, b: Operand, options: number | AddmmOptions = {}): NDArray {
  if (recorder) return recorder.call(addmm, [c, a, b, options]);
  const { alpha = 1, beta = 1 } = typeof options === "number" ? { alpha: options } : options;
  const [z, x, y] = promoted([toArray("addmm", c), toArray("addmm", a), toArray("addmm", b)]);
  if (z.dtype === complex64) return add(multiply(matmul(x, y), alpha), multiply(z, beta));
  const m = matrices("addmm", x, y, false);
  if (y.shape.length === 2 && x.shape.length > 2) {
    // One weight for all: the leading axes of a are rows, so that also the weight's cotangent is one product.
    const n = y.shape[1]!,
      lines = x.shape.slice(0, -1),
      rows = sizeOf(lines),
      whole = sameShape(z.shape, [...lines, n]);
    if (whole || z.shape.length === 0 || (z.shape.length === 1 && (z.shape[0] === n || z.shape[0] === 1))) {
      const c = whole ? reshape(z, [rows, n]) : broadcastTo(z, [rows, n]);
      const product = bind("addmm", [c, reshape(m.a, [rows, x.shape.at(-1)!]), m.b], { alpha, beta });
      return reshape(product, [...lines, n]);
    }
  }
  const [left, right] = batchedAlike("addmm", m.a, m.b);
  const shape = [...left.shape.slice(0, -1), right.shape.at(-1)!];
  const seen = shape.toSpliced(
    -2,
    2,
    ...x.shape.length === 1 ? [] : [shape.at(-2)!],
    ...y.shape.length === 1 ? [] : [shape.at(-1)!],
  );
  const bias = reshape(broadcastTo(z, seen), shape);
  return m.finish(bind("addmm", [bias, left, right], { alpha, beta }));
}
/**
 * Products over the last axes of both: `y[i..., j...] = sum_k a[i..., k] b[j..., k]`; of a 0-d array, the product
 * (`mlx.core.inner`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.inner(mx.array([1, 2]), mx.array([3, 4])).item(); // 11
 * ```
 */
export function inner(a: Operand, b: Operand): NDArray {
  if (recorder) return recorder.call(inner, [a, b]);
  const [x, y] = [toArray("inner", a), toArray("inner", b)];
  if (x.shape.length === 0 || y.shape.length === 0) return multiply(x, y);
  if (x.shape.at(-1) !== y.shape.at(-1)) {
    failProduct(
      "inner",
      x,
      y,
      `a last axis of ${x.shape.at(-1)} in b`,
      String(y.shape.at(-1)),
      "transpose or reshape b",
    );
  }
  return tensordot(x, y, { axes: [[-1], [-1]] });
}
/**
 * All products of the entries of two flattened arrays: `y[i, j] = a[i] b[j]` (`mlx.core.outer`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.outer(mx.array([1, 2]), mx.array([3, 4])).tolist(); // [[3, 4], [6, 8]]
 * ```
 */
export function outer(a: Operand, b: Operand): NDArray {
  if (recorder) return recorder.call(outer, [a, b]);
  return multiply(reshape(toArray("outer", a), [-1, 1]), flatten(b));
}
/** The axes to sum over: see {@linkcode tensordot}. */
export type TensordotAxes = number | readonly (number | readonly number[])[];
/**
 * The sum of products over given axes of both arrays: the last n of a with the first n of b, for a number n (2 if
 * absent), or the axes listed for each (`mlx.core.tensordot`). What remains of a comes before what remains of b.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.tensordot(mx.ones([2, 3, 4]), mx.ones([3, 4, 5]), 2).shape; // [2, 5]
 * ```
 */
export function tensordot(
  a: Operand,
  b: Operand,
  options: TensordotAxes | { readonly axes?: TensordotAxes } = {},
): NDArray {
  if (recorder) return recorder.call(tensordot, [a, b, options]);
  const [x, y] = promoted([toArray("tensordot", a), toArray("tensordot", b)]);
  const axes = (isAxesObject(options) ? options.axes : options) ?? 2;
  const bad = (expected: string, got: string) =>
    fail(ShapeError, "tensordot", {
      cannot: `contract ${describe(x)} with ${describe(y)}`,
      expected,
      got,
      fix: "correct the axes",
    });
  const [m, n] = [x.shape.length, y.shape.length];
  let [over, with_]: number[][] = [[], []];
  if (typeof axes === "number") {
    if (axes < 0 || axes > Math.min(m, n)) bad(`at most ${Math.min(m, n)} axes`, String(axes));
    over = Array.from({ length: axes }, (_, i) => m - axes + i);
    with_ = Array.from({ length: axes }, (_, i) => i);
  } else {
    const list = (k: number, ndim: number) =>
      [axes[k] ?? []].flat().map((axis) => normalizeAxis("tensordot", axis, ndim));
    [over, with_] = [list(0, m), list(1, n)];
  }
  if (over.length !== with_.length || over.some((axis, i) => x.shape[axis] !== y.shape[with_[i]!])) {
    bad("axes of equal lengths", `${over.map((i) => x.shape[i])} and ${with_.map((i) => y.shape[i])}`);
  }
  const freeA = x.shape.map((_, i) => i).filter((i) => !over.includes(i));
  const freeB = y.shape.map((_, i) => i).filter((i) => !with_.includes(i));
  const size = sizeOf(over.map((i) => x.shape[i]!));
  const left = reshape(transpose(x, [...freeA, ...over]), [sizeOf(freeA.map((i) => x.shape[i]!)), size]);
  const right = reshape(transpose(y, [...with_, ...freeB]), [size, sizeOf(freeB.map((i) => y.shape[i]!))]);
  return reshape(matmul(left, right), [...freeA.map((i) => x.shape[i]!), ...freeB.map((i) => y.shape[i]!)]);
}
function isAxesObject(x: TensordotAxes | { readonly axes?: TensordotAxes }): x is { readonly axes?: TensordotAxes } {
  return typeof x === "object" && !Array.isArray(x);
}
/**
 * `sum(conj(a) b)` over one axis (-1 if absent), which has the same place and length in both (`mlx.core.vecdot`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.vecdot(mx.array([[1, 2], [3, 4]]), mx.array([[5, 6], [7, 8]])).tolist(); // [17, 53]
 * mx.vecdot(mx.array([[1, 2], [3, 4]]), mx.ones([2, 2]), 0).tolist(); // [4, 6]
 * ```
 */
export function vecdot(a: Operand, b: Operand, axis: AxisArgument = -1): NDArray {
  if (recorder) return recorder.call(vecdot, [a, b, axis]);
  const [x, y] = [toArray("vecdot", a), toArray("vecdot", b)];
  const i = normalizeAxis("vecdot", oneAxisArg(axis, undefined)[0] ?? -1, x.shape.length);
  const j = normalizeAxis("vecdot", oneAxisArg(axis, undefined)[0] ?? -1, y.shape.length);
  if (x.shape[i] !== y.shape[j] || i !== j) {
    failProduct(
      "vecdot",
      x,
      y,
      `axis ${i} of length ${x.shape[i]} in b`,
      `axis ${j} of length ${y.shape[j]}`,
      "reshape one of them",
    );
  }
  const product = multiply(conjugate(x), y);
  return sum(product, { axis: i });
}

/** Which matrices to multiply: see {@linkcode gatherMm}. */
export interface GatherMmOptions {
  /** For each product the matrix of a, counted over its flattened leading axes; each once, in order, if absent. */
  readonly lhsIndices?: Indices | null;
  /** The same for b. */
  readonly rhsIndices?: Indices | null;
  /** The caller says that the indices ascend; the result is the same. */
  readonly sortedIndices?: boolean;
}
/**
 * Products of chosen matrices: `y[i...] = a[lhs[i...]] @ b[rhs[i...]]`, where the indices count over the flattened
 * leading axes and broadcast together (`mlx.core.gather_mm`). Without indices it is `matmul`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.gatherMm(mx.ones([1, 2, 3]), mx.ones([4, 3, 5]), { rhsIndices: mx.array([2, 0], mx.uint32) }).shape; // [2, 2, 5]
 * ```
 */
export function gatherMm(a: Operand, b: Operand, options: GatherMmOptions = {}): NDArray {
  if (recorder) return recorder.call(gatherMm, [a, b, options]);
  const { lhsIndices, rhsIndices } = options;
  const [x, y] = [toArray("gatherMm", a), toArray("gatherMm", b)];
  if ((lhsIndices ?? null) === null && (rhsIndices ?? null) === null) return matmul(x, y);
  const m = matrices("gatherMm", x, y, false);
  const [lhs, rhs] = pairedIndices(
    "gatherMm",
    matrixIndices("gatherMm", lhsIndices, m.a),
    matrixIndices("gatherMm", rhsIndices, m.b),
  );
  return m.finish(bind("gatherMm", [m.a, m.b, lhs, rhs], {}));
}

/** Masks of {@linkcode blockMaskedMm}: bool, or factors. */
export interface BlockMaskedOptions {
  /** Rows and columns of a block: 32 or 64 (if absent). */
  readonly blockSize?: number;
  /** One entry per block of the product. */
  readonly maskOut?: NDArray | null;
  /** One entry per block of a. */
  readonly maskLhs?: NDArray | null;
  /** One entry per block of b. */
  readonly maskRhs?: NDArray | null;
}
/** A matrix with each block multiplied by its entry of the mask; entries of a bool mask keep the block or make it 0. */
function blockMasked(x: NDArray, mask: NDArray, block: number): NDArray {
  const [rows, columns] = [x.shape.at(-2)!, x.shape.at(-1)!];
  const [m, n] = [Math.ceil(rows / block), Math.ceil(columns / block)];
  const leading = mask.shape.slice(0, -2);
  const blocks = broadcastTo(mask, [...leading, m, n]);
  const wide = broadcastTo(expandDims(blocks, [-3, -1]), [...leading, m, block, n, block]);
  const whole = reshape(wide, [...leading, m * block, n * block]);
  const cut = sliceAxis(sliceAxis(whole, leading.length, 0, rows), leading.length + 1, 0, columns);
  return mask.dtype === bool_ ? where(cut, x, zeros([], x.dtype)) : multiply(x, cast(cut, x.dtype));
}
/**
 * The matrix product with blocks masked: of the factors before, of the product after (`mlx.core.block_masked_mm`). A
 * bool mask keeps blocks, another one multiplies them.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const mask = mx.array([[true, false], [false, true]]); // of 64 x 64 entries, four blocks of 32 x 32
 * const y = mx.blockMaskedMm(mx.ones([64, 8]), mx.ones([8, 64]), { blockSize: 32, maskOut: mask });
 * [y.index(0, 0).item(), y.index(0, 32).item()]; // [8, 0]
 * ```
 */
export function blockMaskedMm(a: Operand, b: Operand, options: number | BlockMaskedOptions = {}): NDArray {
  const { blockSize = 64, maskOut = null, maskLhs = null, maskRhs = null } = typeof options === "number"
    ? { blockSize: options }
    : options;
  if (!maskOut && !maskLhs && !maskRhs) return matmul(a, b);
  if (blockSize !== 32 && blockSize !== 64) {
    fail(ValueError, "blockMaskedMm", {
      cannot: "mask blocks",
      expected: "a blockSize of 32 or 64",
      got: String(blockSize),
      fix: "use 64",
    });
  }
  const m = matrices("blockMaskedMm", toArray("blockMaskedMm", a), toArray("blockMaskedMm", b), false);
  const left = maskLhs ? blockMasked(m.a, maskLhs, blockSize) : m.a;
  const right = maskRhs ? blockMasked(m.b, maskRhs, blockSize) : m.b;
  const y = bind("matmul", batchedAlike("blockMaskedMm", left, right), {});
  return m.finish(maskOut ? blockMasked(y, maskOut, blockSize) : y);
}
/**
 * Products over segments of the inner axis: `y[i..., :, :] = a[:, s:e] @ b[s:e, :]` with `[s, e] = segments[i...]`
 * (`mlx.core.segmented_mm`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const a = mx.array([[1, 2, 3, 4]]), b = mx.ones([4, 1]);
 * mx.segmentedMm(a, b, [[0, 2], [2, 4], [1, 1]]).tolist(); // [[[3]], [[7]], [[0]]]
 * ```
 */
export function segmentedMm(a: Operand, b: Operand, segments: Indices): NDArray {
  const [x, y] = [toArray("segmentedMm", a), toArray("segmentedMm", b)];
  const m = matrices("segmentedMm", x, y, false);
  const ends = toIndices("segmentedMm", segments);
  if (x.shape.length !== 2 || y.shape.length !== 2 || ends.shape.at(-1) !== 2) {
    fail(ShapeError, "segmentedMm", {
      cannot: `multiply ${describe(x)} by ${describe(y)} in segments ${describe(ends)}`,
      expected: "two matrices, and segments [..., 2]",
      got: `${describeShape(x.shape)}, ${describeShape(y.shape)}, ${describeShape(ends.shape)}`,
      fix: "reshape them",
    });
  }
  const leading = ends.shape.slice(0, -1);
  const count = sizeOf(leading);
  const flat = reshape(ends, [count, 2]);
  // The lengths depend on data, so each product runs over the whole axis with the other columns of a set to 0.
  const k = reshape(arange(0, m.a.shape[1]!, { dtype: flat.dtype }), [1, -1]);
  const inside = logicalAnd(greaterEqual(k, sliceAxis(flat, 1, 0, 1)), less(k, sliceAxis(flat, 1, 1, 2)));
  const parts = where(expandDims(inside, 1), expandDims(m.a, 0), zeros([], m.a.dtype));
  return reshape(matmul(parts, m.b), [...leading, m.a.shape[0]!, m.b.shape[1]!]);
}
