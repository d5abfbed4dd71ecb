/**
 * Quantized matrices: packing and unpacking them, and products with them. `quantize` is composed of other operations
 * and gives MLX's bits; the products and `dequantize` are primitives (`core/primitives/quantized.ts`).
 *
 * A group of `groupSize` numbers of a row shares a scale. Mode `affine` stores integers q of `bits` bits with
 * `w = scale q + bias`; the float modes store 4-bit (e2m1) or 8-bit (e4m3) floats, with scales that are powers of two
 * (`mxfp4`, `mxfp8`) or 8-bit floats (`nvfp4`). Numbers lie in uint32 words, lowest bits first, across words if need
 * be.
 * @module
 */
import type { NDArray } from "../array.ts";
import { bfloat16, type DType, float16, float32, float64, promoteTypes, uint16, uint32, uint8 } from "../dtype.ts";
import { DTypeError, fail, ShapeError, ValueError } from "../errors.ts";
import { recorder } from "../graph.ts";
import { commonShape, describe, sizeOf } from "../shape.ts";
import {
  add,
  bitwiseAnd,
  bitwiseOr,
  divide,
  equal,
  greater,
  greaterEqual,
  leftShift,
  less,
  logicalAnd,
  maximum,
  multiply,
  notEqual,
  power,
  rightShift,
  subtract,
} from "./binary.ts";
import { array, ones, zeros } from "./create.ts";
import { stack } from "./index.ts";
import { gatherMm, matmul } from "./matmul.ts";
import { type Indices, matrixIndices, pairedIndices } from "./moves.ts";
import { cast, type Operand, scalar, toArray } from "./operand.ts";
import { gatheredProduct, type Quantization, quantizedProduct, unpack } from "./quantized_rules.ts";
import { max, min, sum } from "./reduce.ts";
import { clip, where } from "./ternary.ts";
import { abs, ceil, log2, negative, round } from "./unary.ts";
import { broadcastTo, expandDims, reshape, sliceAxis, squeeze, swapaxes, view } from "./view.ts";

/** Name of a mode; its place in the list is its code in programs. */
export const QUANTIZATION_MODES = ["affine", "mxfp4", "mxfp8", "nvfp4"] as const;
/** How numbers are stored: see the head of this file. */
export type QuantizationMode = typeof QUANTIZATION_MODES[number];
/** How a matrix is quantized. What is absent has the mode's default. */
export interface QuantizationOptions {
  /** Numbers that share a scale: 64 for affine, 16 for nvfp4, else 32. */
  readonly groupSize?: number | null;
  /** Bits of a number: 4, or 8 for mxfp8. */
  readonly bits?: number | null;
  /** `"affine"` if absent. */
  readonly mode?: QuantizationMode;
}
const DEFAULTS: Readonly<Record<QuantizationMode, readonly [number, number]>> = {
  affine: [64, 4],
  mxfp4: [32, 4],
  mxfp8: [32, 8],
  nvfp4: [16, 4],
};

function failValue(op: string, cannot: string, expected: string, got: string): never {
  fail(ValueError, op, { cannot, expected, got, fix: "correct the options" });
}
/** The options with the defaults of their mode. */
function quantization(op: string, { groupSize, bits, mode = "affine" }: QuantizationOptions): Quantization {
  const code = QUANTIZATION_MODES.indexOf(mode);
  if (code < 0) failValue(op, "quantize", QUANTIZATION_MODES.join(", "), `mode ${mode}`);
  const [group, width] = DEFAULTS[mode];
  const q = { groupSize: groupSize ?? group, bits: bits ?? width, mode: code };
  if (mode !== "affine" && (q.groupSize !== group || q.bits !== width)) {
    failValue(op, `use ${mode}`, `${width} bits in groups of ${group}`, `${q.bits} bits in groups of ${q.groupSize}`);
  }
  if (![1, 2, 3, 4, 5, 6, 8].includes(q.bits) || ![16, 32, 64, 128].includes(q.groupSize)) {
    failValue(
      op,
      "use this packing",
      "1, 2, 3, 4, 5, 6 or 8 bits in groups of 16, 32, 64 or 128",
      `${q.bits} bits in groups of ${q.groupSize}`,
    );
  }
  return q;
}

// ---- 8-bit floats ----

/**
 * Floats to e4m3, as uint8: 1 sign, 4 exponent (bias 7), 3 fraction bits; rounds to nearest even, 448 and more to 448
 * (`mlx.core.to_fp8`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.toFp8(mx.array([1, -1, 1000])).tolist(); // [56, 184, 126]
 * mx.fromFp8(mx.toFp8(mx.array([0.3, 17, 1000])), mx.float32).tolist(); // [0.3125, 16, 448]
 * ```
 */
export function toFp8(x: Operand): NDArray {
  const a = toArray("toFp8", x);
  if (a.dtype.kind !== "float") failFloat("toFp8", a);
  const bits = view(cast(a, float32), uint32);
  const sign = bitwiseAnd(rightShift(bits, 24), 0x80);
  const size = bitwiseAnd(bits, 0x7fffffff);
  // Below 2^-6 the result is subnormal: adding 2^14 leaves the bits that it keeps, rounded, at the end of the fraction.
  const small = subtract(view(add(view(size, float32), 16384), uint32), 141 << 23);
  const odd = bitwiseAnd(rightShift(size, 20), 1);
  // The exponent's bias changes from 127 to 7; half of the last kept bit rounds, ties to even.
  const normal = rightShift(add(subtract(add(size, 0x7ffff), 120 << 23), odd), 20);
  const kept = where(less(size, 121 << 23), small, normal);
  const code = where(greaterEqual(size, 543 << 21), 0x7e, kept);
  return cast(bitwiseOr(bitwiseAnd(code, 0x7f), sign), uint8);
}
/** Dtype of {@linkcode fromFp8}. */
export interface FromFp8Options {
  /** bfloat16 if absent. */
  readonly dtype?: DType;
}
/**
 * e4m3, the bytes that {@linkcode toFp8} makes, to another float dtype (`mlx.core.from_fp8`). A `DTypeError` where x is
 * not uint8.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const codes = mx.array([0x38, 0x7e, 1], mx.uint8); // 1, the greatest and the least number
 * mx.fromFp8(codes, mx.float32).tolist(); // [1, 448, 0.001953125]
 * mx.fromFp8(codes).dtype.name; // "bfloat16"
 * ```
 */
export function fromFp8(x: Operand, options: DType | FromFp8Options = {}): NDArray {
  const a = toArray("fromFp8", x);
  const dtype = ("dtype" in options ? options.dtype : "code" in options ? options : undefined) ?? bfloat16;
  if (a.dtype !== uint8) {
    fail(DTypeError, "fromFp8", {
      cannot: `read ${describe(a)}`,
      expected: "uint8",
      got: a.dtype.name,
      fix: "make it with toFp8",
    });
  }
  const code = bitwiseAnd(a, 0x7f);
  // The bits without sign, 7 places up, are a float16 whose exponent is 8 too small.
  const size = multiply(view(leftShift(cast(code, uint16), 7), float16), 256);
  const value = where(equal(code, 0x7f), NaN, where(greaterEqual(a, 0x80), negative(size), size));
  return cast(value, dtype);
}
function failFloat(op: string, x: NDArray): never {
  fail(DTypeError, op, {
    cannot: `take ${describe(x)}`,
    expected: "a float array",
    got: x.dtype.name,
    fix: "cast with astype(mx.float32)",
  });
}

// ---- packing ----

/**
 * Integers of `bits` bits along the last axis as uint32 words. Where 32 is no multiple of `bits`, 32 numbers fill
 * `bits` words, and a word begins and ends inside a number.
 */
function packed(q: NDArray, bits: number): NDArray {
  const count = 32 % bits === 0 ? 32 / bits : 32;
  const runs = reshape(q, [...q.shape.slice(0, -1), -1, count]);
  const axis = runs.shape.length - 1;
  const words = Array.from({ length: count * bits / 32 }, (_, word) => {
    const first = Math.ceil(32 * word / bits);
    const last = Math.ceil(32 * (word + 1) / bits);
    const shifts = Uint32Array.from({ length: last - first }, (_, i) => (first + i) * bits - 32 * word);
    const whole = sum(leftShift(sliceAxis(runs, axis, first, last), array(shifts)), { axis: -1 });
    const over = 32 * word - (first - 1) * bits;
    if (first * bits === 32 * word) return whole;
    const begun = squeeze(sliceAxis(runs, axis, first - 1, first), axis);
    return bitwiseOr(whole, rightShift(begun, over));
  });
  return reshape(stack(words, -1), [...q.shape.slice(0, -1), -1]);
}
/** Words of 1-bit numbers as words of 2-bit numbers: each half spreads its bits to the even places. */
function widened(w: NDArray): NDArray {
  const halves = [bitwiseAnd(w, 0xffff), rightShift(w, 16)].map((half) =>
    ([[8, 0x00ff00ff], [4, 0x0f0f0f0f], [2, 0x33333333], [1, 0x55555555]] as const)
      .reduce((x, [shift, mask]) => bitwiseAnd(bitwiseOr(x, leftShift(x, shift)), mask), half)
  );
  return reshape(stack(halves, -1), [...w.shape.slice(0, -1), -1]);
}
/** Words and packing as the kernels take them: they know no 1-bit numbers. */
function kernelWords(w: NDArray, q: Quantization): [NDArray, Quantization] {
  return q.bits === 1 ? [widened(w), { ...q, bits: 2 }] : [w, q];
}

// ---- quantize ----

/**
 * Scale and bias of affine groups: the edge with the larger absolute value is met exactly, and so is 0 if it is inside.
 * One bit has the two edges.
 */
function affineScales(high: NDArray, low: NDArray, bits: number): [NDArray, NDArray] {
  const width = maximum(divide(subtract(high, low), 2 ** bits - 1), 1e-7);
  if (bits === 1) return [width, low];
  const lowWins = greater(abs(low), abs(high));
  const step = where(lowWins, width, negative(width));
  const edge = where(lowWins, low, high);
  const zeroPoint = round(divide(edge, step));
  const inside = notEqual(zeroPoint, 0);
  return [where(inside, divide(edge, zeroPoint), step), where(inside, edge, zeros([], float32))];
}
function quantizeAffine(w: NDArray, { groupSize, bits }: Quantization): NDArray[] {
  const groups = cast(reshape(w, [...w.shape.slice(0, -1), -1, groupSize]), float32);
  const high = max(groups, { axis: -1, keepdims: true });
  const low = min(groups, { axis: -1, keepdims: true });
  const [scale, bias] = affineScales(high, low, bits);
  const q = cast(clip(round(divide(subtract(groups, bias), scale)), 0, 2 ** bits - 1), uint32);
  const shape = [...w.shape.slice(0, -1), w.shape.at(-1)! / groupSize];
  return [packed(reshape(q, w.shape), bits), cast(reshape(scale, shape), w.dtype), cast(reshape(bias, shape), w.dtype)];
}
/** Midpoints between the values 0, 0.5, 1, 1.5, 2, 3, 4, 6 of e2m1: each one below |x| counts one up. */
const FP4_MIDPOINTS = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5];
/** The nearest e2m1 number, the one closer to 0 in a tie, as its 4 bits. */
function toFp4(x: NDArray): NDArray {
  const size = abs(x);
  const code = FP4_MIDPOINTS.map((middle) => cast(greater(size, middle), uint32)).reduce((a, b) => add(a, b));
  return where(logicalAnd(less(x, 0), greater(code, 0)), add(code, 8), code);
}
/**
 * Float groups. The scale is the largest absolute value over that of the format (6 or 448), a quotient in w's own
 * dtype: rounded up to a power of two for the mx modes, to e4m3 for nvfp4.
 */
function quantizeFloat(w: NDArray, { groupSize, bits }: Quantization, globalScale: NDArray | null): NDArray[] {
  const groups = reshape(w, [...w.shape.slice(0, -1), -1, groupSize]);
  const largest = divide(max(abs(groups), { axis: -1, keepdims: true }), bits === 4 ? 6 : 448);
  let [scales, values]: [NDArray, NDArray] = [largest, groups];
  if (groupSize === 16) {
    const encode = globalScale ? divide(448 * 6, globalScale) : scalar("quantize", 1, float32);
    scales = toFp8(multiply(largest, encode));
    const scaled = multiply(divide(groups, fromFp8(scales, w.dtype)), encode);
    values = where(equal(scales, 0), zeros([], scaled.dtype), scaled);
  } else {
    const exponent = where(equal(largest, 0), zeros([], float32), ceil(log2(cast(largest, float32))));
    scales = cast(add(exponent, 127), uint8);
    values = divide(cast(groups, float32), power(2, exponent));
  }
  const flat = reshape(values, w.shape);
  const words = bits === 4 ? packed(toFp4(flat), 4) : view(toFp8(flat), uint32);
  return [words, reshape(scales, [...w.shape.slice(0, -1), w.shape.at(-1)! / groupSize])];
}
/** Options of {@linkcode quantize}. */
export interface QuantizeOptions extends QuantizationOptions {
  /** Only of nvfp4: the absolute maximum of the whole array, float32, which then fills the range of the scales. */
  readonly globalScale?: NDArray | null;
}
/** The global scale of nvfp4, if there is one. */
function checkedGlobalScale(op: string, q: Quantization, scale: NDArray | null | undefined): NDArray | null {
  if (!scale) return null;
  if (QUANTIZATION_MODES[q.mode] !== "nvfp4" || sizeOf(scale.shape) !== 1 || scale.dtype !== float32) {
    failValue(
      op,
      "use this global scale",
      "mode nvfp4 and one float32 number",
      `${QUANTIZATION_MODES[q.mode]} and ${describe(scale)}`,
    );
  }
  return reshape(scale, []);
}
/**
 * A matrix [..., K] in groups along its last axis: `[words, scales, biases]` for mode `affine` (1, 2, 3, 4, 5, 6 or 8
 * bits in groups of 32, 64 or 128), else `[words, scales]` (`mlx.core.quantize`). Words are uint32 [..., K bits / 32],
 * scales and biases [..., K / groupSize], of w's dtype or, for the float modes, uint8.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const [words, scales, biases] = mx.quantize(mx.random.normal([16, 64]), { bits: 4 });
 * words!.shape; // [16, 8]
 * ```
 */
export function quantize(w: Operand, options: number | QuantizeOptions = {}): NDArray[] {
  const a = toArray("quantize", w);
  const given = typeof options === "number" ? { groupSize: options } : options;
  const q = quantization("quantize", given);
  if (a.dtype.kind !== "float") failFloat("quantize", a);
  if (a.shape.length < 2 || a.shape.at(-1)! % q.groupSize !== 0) {
    fail(ShapeError, "quantize", {
      cannot: `quantize ${describe(a)}`,
      expected: `at least two axes, the last one a multiple of ${q.groupSize}`,
      got: describe(a),
      fix: "take another groupSize, or pad the array",
    });
  }
  if (q.mode === 0 && q.groupSize === 16) {
    failValue(
      "quantize",
      "quantize",
      "groups of 32, 64 or 128",
      `groups of ${q.groupSize}`,
    );
  }
  const globalScale = checkedGlobalScale("quantize", q, given.globalScale);
  return q.mode === 0 ? quantizeAffine(a, q) : quantizeFloat(a, q, globalScale);
}

// ---- using quantized matrices ----

/** Checks a quantized matrix: words, scales and biases that fit each other. */
function checkMatrix(op: string, w: NDArray, scales: NDArray, biases: NDArray | null, q: Quantization): void {
  const refuse = (kind: typeof ShapeError, expected: string, got: string) =>
    fail(kind, op, {
      cannot: `use ${describe(w)} as a quantized matrix`,
      expected,
      got,
      fix: "pass what quantize returned, with its options",
    });
  if (w.dtype !== uint32) refuse(DTypeError, "uint32 words", w.dtype.name);
  if ((q.mode === 0) !== (biases !== null)) {
    refuse(ValueError, q.mode === 0 ? "biases" : "no biases", biases ? "biases" : "none");
  }
  if (q.mode === 0 ? scales.dtype.kind !== "float" || biases?.dtype.kind !== "float" : scales.dtype !== uint8) {
    refuse(DTypeError, q.mode === 0 ? "float scales and biases" : "uint8 scales", `${scales.dtype} scales`);
  }
  const groups = w.shape.at(-1)! * 32 / q.bits / q.groupSize;
  const wanted = [...w.shape.slice(0, -1), groups];
  const same = (x: NDArray) => x.shape.length === wanted.length && x.shape.every((n, i) => n === wanted[i]);
  if (w.shape.length < 2 || !same(scales) || (biases && !same(biases))) {
    refuse(
      ShapeError,
      `scales${biases ? " and biases" : ""} [${wanted}], for ${q.bits} bits in groups of ${q.groupSize}`,
      describe(scales),
    );
  }
}
/** A quantized matrix as kernels take it. */
interface Packed {
  readonly words: NDArray;
  readonly scales: NDArray;
  readonly biases: NDArray | null;
  readonly q: Quantization;
}
function packedMatrix(
  op: string,
  w: Operand,
  scales: Operand,
  biases: NDArray | null | undefined,
  options: QuantizationOptions,
): Packed {
  const q = quantization(op, options);
  const [words, factors] = [toArray(op, w), toArray(op, scales)];
  checkMatrix(op, words, factors, biases ?? null, q);
  const [wide, known] = kernelWords(words, q);
  if (!biases) return { words: wide, scales: factors, biases: null, q: known };
  const dtype = promoteTypes(factors.dtype, biases.dtype);
  return { words: wide, scales: cast(factors, dtype), biases: cast(biases, dtype), q: known };
}
/**
 * `scale q + bias` in a half dtype, where MLX rounds the product and then the sum (the kernel would round once), or in
 * float64, which the kernels do not know.
 */
function unpackIn({ words, scales, q }: Packed, biases: NDArray, dtype: DType): NDArray {
  const integers = cast(unpack(words, ones(scales.shape), zeros(scales.shape), q, float32), dtype);
  const groups = reshape(integers, [...scales.shape, q.groupSize]);
  return reshape(add(multiply(groups, expandDims(scales, -1)), expandDims(biases, -1)), integers.shape);
}
/** Options of {@linkcode dequantize}. */
export interface DequantizeOptions extends QuantizeOptions {
  /** Of mode affine. */
  readonly biases?: NDArray | null;
  /** Dtype of the result: that of scales and biases if absent, bfloat16 for the float modes. */
  readonly dtype?: DType | null;
}
/**
 * The matrix that {@linkcode quantize} packed, up to its rounding: `scale q + bias` (`mlx.core.dequantize`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const [words, scales, biases] = mx.quantize(mx.ones([1, 64]));
 * mx.dequantize(words!, scales!, { biases }).shape; // [1, 64]
 * ```
 */
export function dequantize(w: Operand, scales: Operand, options: DequantizeOptions = {}): NDArray {
  const m = packedMatrix("dequantize", w, scales, options.biases, options);
  const own = m.biases ? promoteTypes(m.scales.dtype, m.biases.dtype) : bfloat16;
  const dtype = options.dtype ?? own;
  if (dtype.kind !== "float") failValue("dequantize", `make ${dtype}`, "a float dtype", dtype.name);
  const globalScale = checkedGlobalScale("dequantize", m.q, options.globalScale);
  if (m.biases && own !== float32) return cast(unpackIn(m, m.biases, own), dtype);
  if (!globalScale) return cast(unpack(m.words, m.scales, m.biases, m.q, dtype === float64 ? float32 : dtype), dtype);
  return cast(multiply(unpack(m.words, m.scales, null, m.q, float32), divide(globalScale, 448 * 6)), dtype);
}

/** Options of {@linkcode quantizedMatmul}. */
export interface QuantizedMatmulOptions extends QuantizationOptions {
  /** Of mode affine. */
  readonly biases?: NDArray | null;
  /** Whether the product is with the transposed matrix, `x w^T`: true if absent. */
  readonly transpose?: boolean;
}
/** x for a product: in the result's dtype, and with as many columns as the matrix has inner entries. */
function factorFor(op: string, x: NDArray, m: Packed, transpose: boolean): NDArray {
  const dtype = m.biases ? promoteTypes(x.dtype, promoteTypes(m.scales.dtype, m.biases.dtype)) : x.dtype;
  if (dtype.kind !== "float" || (dtype === float64 && !m.biases)) failFloat(op, x);
  const columns = m.words.shape.at(-1)! * 32 / m.q.bits;
  const inner = transpose ? columns : m.words.shape.at(-2)!;
  if (x.shape.length === 0 || x.shape.at(-1) !== inner) {
    fail(ShapeError, op, {
      cannot: `multiply ${describe(x)} by a quantized ${m.words.shape.at(-2)} x ${columns} matrix${
        transpose ? ", transposed" : ""
      }`,
      expected: `a last axis of ${inner} in x`,
      got: String(x.shape.at(-1)),
      fix: "check transpose, bits and groupSize",
    });
  }
  return cast(x, dtype);
}
/** The matrix in float64, as the right factor of a product: the kernels do not know this dtype. */
function wholeFactor(m: Packed, transpose: boolean): NDArray {
  const w = unpackIn(m, m.biases!, float64);
  return transpose ? swapaxes(w, -1, -2) : w;
}
/**
 * The product of x [..., M, K] with a quantized matrix, transposed (`x w^T`, w is N x K) unless `transpose` is false
 * (`x w`, w is K x N) (`mlx.core.quantized_matmul`). Leading axes of w, if it has more than two axes, broadcast with
 * x's.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const [w, scales, biases] = mx.quantize(mx.random.normal([16, 64]));
 * mx.quantizedMatmul(mx.ones([1, 64]), w!, scales!, { biases }).shape; // [1, 16]
 * ```
 */
export function quantizedMatmul(
  x: Operand,
  w: Operand,
  scales: Operand,
  options: QuantizedMatmulOptions = {},
): NDArray {
  if (recorder) return recorder.call(quantizedMatmul, [x, w, scales, options]);
  const { transpose = true } = options;
  const m = packedMatrix("quantizedMatmul", w, scales, options.biases, options);
  const a = toArray("quantizedMatmul", x);
  const rows = factorFor("quantizedMatmul", a.shape.length === 1 ? expandDims(a, 0) : a, m, transpose);
  const finish = (y: NDArray) => a.shape.length === 1 ? squeeze(y, -2) : y;
  if (rows.dtype === float64) return finish(matmul(rows, wholeFactor(m, transpose)));
  if (m.words.shape.length === 2) return finish(quantizedProduct(rows, m.words, m.scales, m.biases, m.q, transpose));
  const leading = commonShape("quantizedMatmul", [rows.shape.slice(0, -2), m.words.shape.slice(0, -2)]);
  const wide = (z: NDArray) => broadcastTo(z, [...leading, ...z.shape.slice(-2)]);
  return finish(
    quantizedProduct(wide(rows), wide(m.words), wide(m.scales), m.biases && wide(m.biases), m.q, transpose),
  );
}
/** Options of {@linkcode gatherQmm}. */
export interface GatherQmmOptions extends QuantizedMatmulOptions {
  /** For each product the matrix of x, counted over its flattened leading axes. */
  readonly lhsIndices?: Indices | null;
  /** The same for w. */
  readonly rhsIndices?: Indices | null;
  /** The caller says that the indices ascend; the result is the same. */
  readonly sortedIndices?: boolean;
  /** Only of nvfp4: see {@linkcode quantize}. */
  readonly globalScale?: NDArray | null;
}
/**
 * Products of chosen matrices: `y[i...] = x[lhs[i...]] w[rhs[i...]]^T` with quantized w (`mlx.core.gather_qmm`); the
 * heart of a mixture of experts. Without indices it is {@linkcode quantizedMatmul}.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const experts = mx.arange(4).reshape([4, 1, 1]).mul(mx.ones([4, 16, 64]));
 * const [w, scales, biases] = mx.quantize(experts);
 * const y = mx.gatherQmm(mx.ones([3, 1, 64]), w!, scales!, { biases, rhsIndices: [3, 0, 1] });
 * y.shape; // [3, 1, 16]
 * y.index("...", 0).flatten().tolist(); // [192, 0, 64]
 * ```
 */
export function gatherQmm(x: Operand, w: Operand, scales: Operand, options: GatherQmmOptions = {}): NDArray {
  if (recorder) return recorder.call(gatherQmm, [x, w, scales, options]);
  const { transpose = true, lhsIndices = null, rhsIndices = null } = options;
  const globalScale = checkedGlobalScale("gatherQmm", quantization("gatherQmm", options), options.globalScale);
  const scaled = (y: NDArray) => globalScale ? cast(multiply(y, divide(globalScale, 448 * 6)), y.dtype) : y;
  if (lhsIndices === null && rhsIndices === null) return scaled(quantizedMatmul(x, w, scales, options));
  const m = packedMatrix("gatherQmm", w, scales, options.biases, options);
  const a = factorFor("gatherQmm", toArray("gatherQmm", x), m, transpose);
  if (a.shape.length < 2) {
    fail(ShapeError, "gatherQmm", {
      cannot: `take matrices of ${describe(a)}`,
      expected: "at least two axes",
      got: describe(a),
      fix: "expandDims it",
    });
  }
  if (a.dtype === float64) return scaled(gatherMm(a, wholeFactor(m, transpose), { lhsIndices, rhsIndices }));
  const [lhs, rhs] = pairedIndices(
    "gatherQmm",
    matrixIndices("gatherQmm", lhsIndices, a),
    matrixIndices("gatherQmm", rhsIndices, m.words),
  );
  return scaled(gatheredProduct(a, m.words, m.scales, m.biases, lhs, rhs, m.q, transpose));
}
/** Options of {@linkcode qqmm}. */
export interface QqmmOptions {
  /** Scales of w where it is quantized. */
  readonly scales?: NDArray | null;
  /** See {@linkcode QuantizationOptions}. */
  readonly groupSize?: number | null;
  /** See {@linkcode QuantizationOptions}. */
  readonly bits?: number | null;
  /** `"nvfp4"` if absent. */
  readonly mode?: QuantizationMode;
  /** Global scale of x, only of nvfp4. */
  readonly globalScaleX?: NDArray | null;
  /** Global scale of w, only of nvfp4. */
  readonly globalScaleW?: NDArray | null;
}
/**
 * `x w^T` with both sides quantized: x is rounded to the mode's numbers, and so is w [N, K] unless it is quantized
 * already (uint32 words with `scales`) (`mlx.core.qqmm`). The result has x's dtype.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.qqmm(mx.ones([2, 64]), mx.random.normal([16, 64]), { mode: "mxfp8" }).shape; // [2, 16]
 * ```
 */
export function qqmm(x: Operand, w: Operand, options: QqmmOptions = {}): NDArray {
  return bothQuantized("qqmm", x, w, options);
}
/** Options of {@linkcode gatherQqmm}. */
export interface GatherQqmmOptions extends QqmmOptions {
  /** For each product the matrix of x, counted over its flattened leading axes. */
  readonly lhsIndices?: Indices | null;
  /** The same for w. */
  readonly rhsIndices?: Indices | null;
  /** The caller says that the indices ascend; the result is the same. */
  readonly sortedIndices?: boolean;
}
/**
 * {@linkcode qqmm} of chosen matrices: `y[i...] = x[lhs[i...]] w[rhs[i...]]^T`, both sides rounded to the mode's
 * numbers (`mlx.core.gather_qqmm`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const [x, experts] = [mx.ones([3, 1, 64]), mx.random.normal([4, 16, 64])];
 * mx.gatherQqmm(x, experts, { rhsIndices: mx.array([3, 0, 1], mx.int32) }).shape; // [3, 1, 16]
 * ```
 */
export function gatherQqmm(x: Operand, w: Operand, options: GatherQqmmOptions = {}): NDArray {
  return bothQuantized("gatherQqmm", x, w, options);
}
function bothQuantized(op: string, x: Operand, w: Operand, options: GatherQqmmOptions): NDArray {
  const { scales = null, groupSize, bits, mode = "nvfp4", globalScaleX = null, globalScaleW = null } = options;
  const packing = { groupSize, bits, mode };
  const [a, b] = [toArray(op, x), toArray(op, w)];
  if (a.dtype.kind !== "float" || a.dtype === float64) failFloat(op, a);
  if ((globalScaleX === null) !== (globalScaleW === null)) failValue(op, "use one global scale", "both or none", "one");
  if ((b.dtype === uint32) !== (scales !== null)) {
    failValue(op, "multiply", "scales if and only if w is quantized", `${describe(b)}`);
  }
  const rounded = (z: NDArray, globalScale: NDArray | null) => {
    const [words, factors, biases] = quantize(z, { ...packing, globalScale });
    return dequantize(words!, factors!, { ...packing, biases: biases ?? null, globalScale, dtype: z.dtype });
  };
  const rows = a.shape.length === 1 ? expandDims(a, 0) : a;
  const [words, factors, biases] = scales ? [b, scales] : quantize(b, { ...packing, globalScale: globalScaleW });
  const { lhsIndices, rhsIndices, sortedIndices } = options, indices = { lhsIndices, rhsIndices, sortedIndices };
  const y = gatherQmm(rounded(rows, globalScaleX), words!, factors!, {
    ...packing,
    ...indices,
    biases: biases ?? null,
    globalScale: globalScaleW,
  });
  return cast(a.shape.length === 1 ? squeeze(y, -2) : y, a.dtype);
}
