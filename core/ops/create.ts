/**
 * New arrays: from host data, constant, counting, triangular, windows. A constant array is a broadcast view of one
 * number, so `zeros` of any size costs nothing until something writes into it.
 * @module
 */
import type { NDArray } from "../array.ts";
import {
  bool_,
  Complex,
  complex64,
  type DType,
  float,
  float32,
  float64,
  int32,
  int64,
  isScalar,
  promoteTypes,
  type Scalar,
  WeakFloat,
} from "../dtype.ts";
import { DTypeError, fail, ShapeError, ValueError } from "../errors.ts";
import { bind, recorder } from "../graph.ts";
import { allocate, hostCopy, isTypedArray, type TypedArray, typedArrayType, write } from "../host.ts";
import type { HostData, Shape } from "../primitive.ts";
import { checkedShape, describe, describeShape } from "../shape.ts";
import { add, divide, equal, greaterEqual, multiply, subtract } from "./binary.ts";
import { stack } from "./index.ts";
import { cast, constant, dtypeArg, isArray, numberArg, type Operand, scalar, toArray } from "./operand.ts";
import { where } from "./ternary.ts";
import { abs, copy, cos, sin, square } from "./unary.ts";
import { broadcastTo, expandDims } from "./view.ts";

export type { HostData, Shape, TypedArray };
/** What {@linkcode array} takes: scalars, arrays, typed arrays, and lists of all of them. */
export type ArrayLike = Operand | TypedArray | readonly ArrayLike[];
/** Options of functions that only have a dtype. */
export interface DTypeOptions {
  /** Type of the elements. */
  readonly dtype?: DType | null;
}
/** A length or lengths of axes. */
export type ShapeLike = number | Shape;

/** Dtype of a list's scalars: numbers make float32, whatever their values; bigints int64; booleans bool. */
function typeOfScalar(x: Scalar): DType {
  if (x instanceof Complex) return complex64;
  if (typeof x === "bigint") return int64;
  return typeof x === "boolean" ? bool_ : float32;
}
/** What a walk over nested lists finds. */
interface Found {
  readonly scalars: Scalar[];
  dtype: DType;
}
function ragged(expected: Shape, got: string): never {
  fail(ShapeError, "array", {
    cannot: "make an array of nested lists of different lengths",
    expected: `${describeShape(expected)} everywhere`,
    got,
    fix: "pad the lists to one length",
  });
}
/** Collects the scalars of nested lists whose shape is that of their first elements. */
function collect(x: ArrayLike, shape: Shape, depth: number, found: Found): void {
  if (Array.isArray(x) || isTypedArray(x)) {
    if (x.length !== shape[depth]) ragged(shape, `a list of ${x.length} at depth ${depth}`);
    for (let i = 0; i < x.length; i++) collect(x[i]!, shape, depth + 1, found);
    return;
  }
  if (!isScalar(x)) {
    fail(DTypeError, "array", {
      cannot: "read an element of the list",
      expected: "numbers, booleans, bigints or lists of them",
      got: typeof x,
      fix: "remove it, or stack arrays with mx.stack",
    });
  }
  if (depth !== shape.length) ragged(shape, `a number at depth ${depth}`);
  found.scalars.push(x);
  found.dtype = promoteTypes(found.dtype, typeOfScalar(x));
}
function shapeOfList(x: ArrayLike): number[] {
  const shape: number[] = [];
  for (let at: ArrayLike | undefined = x; Array.isArray(at) || isTypedArray(at); at = at[0]) shape.push(at.length);
  return shape;
}
const holdsArrays = (x: ArrayLike): boolean => isArray(x) || (Array.isArray(x) && x.some(holdsArrays));

/**
 * An array with these values (`mlx.core.array`), copied when called. Numbers, alone or in nested lists, make float32,
 * booleans bool, bigints int64, complex numbers complex64; a typed array keeps its type (Float64Array becomes float32);
 * lists of arrays are stacked. A dtype converts the values.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.array([[1, 2], [3, 4]]).shape; // [2, 2]
 * mx.array([1, 2], mx.int32); // array([1, 2], dtype=int32)
 * ```
 */
export function array(data: ArrayLike, dtype?: DType | DTypeOptions | null): NDArray {
  const wanted = dtypeArg(dtype);
  if (isArray(data)) return wanted && wanted !== data.dtype ? cast(data, wanted) : copy(data);
  if (isTypedArray(data)) {
    const type = wanted ?? typedArrayType(data);
    return constant(hostCopy(data, type), [data.length], type);
  }
  if (holdsArrays(data) && Array.isArray(data)) {
    const made = stack(data.map((x: ArrayLike) => array(x)));
    return wanted ? cast(made, wanted) : made;
  }
  const shape = shapeOfList(data);
  const found: Found = { scalars: [], dtype: bool_ };
  collect(data, shape, 0, found);
  const type = wanted ?? (found.scalars.length ? found.dtype : float32);
  const host = allocate(type, found.scalars.length);
  for (let i = 0; i < found.scalars.length; i++) write(host, i, found.scalars[i]!, type);
  return constant(host, shape, type);
}
/** Options of {@linkcode asarray}. */
export interface AsArrayOptions extends DTypeOptions {
  /** Whether to copy an array that already fits. Default false. */
  readonly copy?: boolean | null;
}
/**
 * Like {@linkcode array}, but an array of that dtype is returned as it is (`mlx.core.asarray`);
 * `copy: true` copies it.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const a = mx.array([1, 2]);
 * mx.asarray(a) === a; // true
 * mx.asarray(a, mx.int32); // array([1, 2], dtype=int32)
 * mx.asarray(a, { copy: true }) === a; // false
 * ```
 */
export function asarray(data: ArrayLike, dtype?: DType | AsArrayOptions | null): NDArray {
  const wanted = dtypeArg(dtype);
  const copies = dtype && "copy" in dtype ? dtype.copy : null;
  if (copies === false) {
    fail(ValueError, "asarray", {
      cannot: "take these values without a copy",
      expected: "copy to be left out, or true",
      got: "copy: false",
      fix: "leave it out: an array of the right dtype is returned as it is then",
    });
  }
  return isArray(data) && !copies && (!wanted || wanted === data.dtype) ? data : array(data, wanted);
}

/**
 * An array of that shape filled with a value, which may be an array that broadcasts to it (`mlx.core.full`). A scalar
 * takes the dtype if one is given; an array keeps its own.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.full([2, 2], 7, mx.int32); // array([[7, 7], [7, 7]], dtype=int32)
 * ```
 */
export function full(shape: ShapeLike, value: Operand, dtype?: DType | DTypeOptions | null): NDArray {
  if (recorder) return recorder.call(full, [shape, value, dtype]);
  return broadcastTo(toArray("full", value, dtypeArg(dtype)), checkedShape("full", shape));
}
/**
 * An array of zeros, float32 unless a dtype is given (`mlx.core.zeros`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.zeros([2, 3], mx.int32).tolist(); // [[0, 0, 0], [0, 0, 0]]
 * ```
 */
export function zeros(shape: ShapeLike, dtype?: DType | DTypeOptions | null): NDArray {
  if (recorder) return recorder.call(zeros, [shape, dtype]);
  return broadcastTo(scalar("zeros", false, dtypeArg(dtype) ?? float32), checkedShape("zeros", shape));
}
/**
 * An array of ones, float32 unless a dtype is given (`mlx.core.ones`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.ones([2]).tolist(); // [1, 1]
 * ```
 */
export function ones(shape: ShapeLike, dtype?: DType | DTypeOptions | null): NDArray {
  if (recorder) return recorder.call(ones, [shape, dtype]);
  return broadcastTo(scalar("ones", true, dtypeArg(dtype) ?? float32), checkedShape("ones", shape));
}
export { zeros as empty };
/**
 * Zeros of the shape and dtype of `a`, or of another dtype (`mlx.core.zeros_like`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.zerosLike(mx.array([1, 2])).tolist(); // [0, 0]
 * ```
 */
export function zerosLike(a: NDArray, dtype?: DType | DTypeOptions | null): NDArray {
  if (recorder) return recorder.call(zerosLike, [a, dtype]);
  return zeros(a.shape, dtypeArg(dtype) ?? a.dtype);
}
export { zerosLike as emptyLike };
/**
 * Ones of the shape and dtype of `a`, or of another dtype (`mlx.core.ones_like`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const a = mx.array([[1, 2]], mx.int32);
 * mx.onesLike(a); // array([[1, 1]], dtype=int32)
 * mx.onesLike(a, mx.bool_).tolist(); // [[true, true]]
 * ```
 */
export function onesLike(a: NDArray, dtype?: DType | DTypeOptions | null): NDArray {
  if (recorder) return recorder.call(onesLike, [a, dtype]);
  return ones(a.shape, dtypeArg(dtype) ?? a.dtype);
}
/**
 * The value in the shape and dtype of `a`, or in another dtype (`mlx.core.full_like`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.fullLike(mx.zeros([2]), 7).tolist(); // [7, 7]
 * ```
 */
export function fullLike(a: NDArray, value: Operand, dtype?: DType | DTypeOptions | null): NDArray {
  if (recorder) return recorder.call(fullLike, [a, value, dtype]);
  const type = dtypeArg(dtype) ?? a.dtype;
  return broadcastTo(cast(toArray("fullLike", value, type), type), a.shape);
}

/** A bound of {@linkcode arange}: integral numbers count as integers, `mx.float(2)` as a float. */
export type Bound = number | WeakFloat;
/** Options of {@linkcode arange}. */
export interface ArangeOptions extends DTypeOptions {
  /** The first value. Default 0. */
  readonly start?: Bound | null;
  /** The values stay below it (above it where the step is negative). */
  readonly stop?: Bound | null;
  /** Distance of two values. Default 1. */
  readonly step?: Bound | null;
}
const isBound = (x: unknown): x is Bound => typeof x === "number" || x instanceof WeakFloat;
const valueOf = (x: Bound): number => x instanceof WeakFloat ? x.value : x;
const isIntegral = (x: Bound): boolean => typeof x === "number" && Number.isInteger(x);

/**
 * The values `start, start + step, ...` before `stop` (`mlx.core.arange`): int32 where all bounds are integral, else
 * float32, unless a dtype is given.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.arange(3); // array([0, 1, 2], dtype=int32)
 * mx.arange(0, 1, 0.25); // array([0, 0.25, 0.5, 0.75], dtype=float32)
 * ```
 */
export function arange(stop: Bound, options?: DType | ArangeOptions | null): NDArray;
/** From `start` up to `stop`. */
export function arange(start: Bound, stop: Bound, options?: DType | ArangeOptions | null): NDArray;
/** From `start` up to `stop` by `step`. */
export function arange(start: Bound, stop: Bound, step: Bound, options?: DType | ArangeOptions | null): NDArray;
/** With all bounds in the options. */
export function arange(options: ArangeOptions): NDArray;
export function arange(...args: readonly (Bound | DType | ArangeOptions | null | undefined)[]): NDArray {
  const bounds = args.filter(isBound);
  const last = args.findLast((x): x is DType | ArangeOptions => !isBound(x) && x !== null && x !== undefined);
  const o: ArangeOptions = last && !("code" in last) ? last : {};
  const [first, second, third] = bounds;
  const start = (bounds.length > 1 ? first : o.start) ?? 0;
  const stop = (bounds.length > 1 ? second : first) ?? o.stop ?? NaN;
  const step = third ?? o.step ?? 1;
  const [from, to, by] = [valueOf(start), valueOf(stop), valueOf(step)];
  const fits = (x: number): boolean => x < 2 ** 31 && x >= -(2 ** 31);
  const integral = fits(from) && to <= 2 ** 31 && to >= -(2 ** 31) - 1 && fits(by) ? int32 : int64;
  return countUp(from, to, by, dtypeArg(last) ?? ([start, stop, step].every(isIntegral) ? integral : float32));
}
function countUp(start: number, stop: number, step: number, dtype: DType): NDArray {
  const refuse = (expected: string, got: string, fix: string): never =>
    fail(ValueError, "arange", { cannot: `count from ${start} to ${stop} by ${step}`, expected, got, fix });
  if (dtype === bool_) refuse("a dtype of numbers", "bool", "use mx.int32");
  if (!Number.isFinite(start) || !Number.isFinite(stop)) {
    refuse("finite bounds", "a bound without end", "give finite bounds");
  }
  if (step === 0 || Number.isNaN(step)) {
    refuse("a step other than 0", String(step), "use a step in the direction of stop");
  }
  const size = Math.max(0, Math.ceil((stop - start) / step));
  if (size > 2147483647) refuse("at most 2147483647 values", String(size), "use a greater step");
  if (!Number.isFinite(step)) {
    return size > 0 || (step > 0 ? start < stop : start > stop) ? array([start], dtype) : zeros([0], dtype);
  }
  if (dtype === complex64) return cast(countUp(start, stop, step, float32), dtype);
  return bind("arange", [], { start, step, size, dtype });
}

/** Options of {@linkcode linspace}. */
export interface LinspaceOptions extends DTypeOptions {
  /** How many values. Default 50. */
  readonly num?: number;
  /** Whether `stop` is the last value. Default true. */
  readonly endpoint?: boolean;
}
/**
 * `num` values from `start` to `stop`, evenly spaced (`mlx.core.linspace`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.linspace(0, 1, 5).tolist(); // [0, 0.25, 0.5, 0.75, 1]
 * ```
 */
export function linspace(
  start: Bound,
  stop: Bound,
  num?: number | DType | LinspaceOptions,
  options?: DType | LinspaceOptions,
): NDArray {
  const [bare, rest] = numberArg(num, options);
  const o: LinspaceOptions = rest && !("code" in rest) ? rest : {};
  const dtype = dtypeArg(rest) ?? float32;
  const n = bare ?? o.num ?? 50;
  if (!Number.isSafeInteger(n) || n < 0) {
    fail(ValueError, "linspace", {
      cannot: `make ${n} values`,
      expected: "an integer of at least 0",
      got: String(n),
      fix: "give another num",
    });
  }
  if (n === 1) return array([valueOf(start)], dtype);
  const inner = dtype === float64 ? float64 : float32;
  const t = divide(arange(0, n, inner), o.endpoint === false ? n : n - 1);
  return cast(add(multiply(subtract(1, t), valueOf(start)), multiply(t, valueOf(stop))), dtype);
}

/** Options of {@linkcode eye} and {@linkcode tri}. */
export interface EyeOptions extends DTypeOptions {
  /** Number of columns. Default: that of rows. */
  readonly m?: number | null;
  /** Which diagonal: positive ones are above the main one. Default 0. */
  readonly k?: number;
}
/** Row numbers down, and the column numbers less `k` across. */
function rowsAndColumns(n: number, m: number, k: number): [NDArray, NDArray] {
  return [expandDims(arange(n), 1), expandDims(arange(-k, m - k), 0)];
}
function readEye(
  op: string,
  n: number,
  m: number | DType | EyeOptions | undefined,
  options: EyeOptions | undefined,
): [number, number, DType] {
  const [bare, rest] = numberArg(m, options);
  const o: EyeOptions = rest && !("code" in rest) ? rest : {};
  const columns = bare ?? o.m ?? n;
  checkedShape(op, [n, columns]);
  return [columns, o.k ?? 0, dtypeArg(rest) ?? float32];
}
/**
 * Ones on the k-th diagonal of an [n, m] matrix, zeros elsewhere (`mlx.core.eye`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.eye(2).tolist(); // [[1, 0], [0, 1]]
 * ```
 */
export function eye(n: number, m?: number | DType | EyeOptions, options?: EyeOptions): NDArray {
  const [columns, k, dtype] = readEye("eye", n, m, options);
  return cast(equal(...rowsAndColumns(n, columns, k)), dtype);
}
/**
 * The [n, n] matrix with ones on its diagonal (`mlx.core.identity`), float32 unless a dtype is given.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.identity(3, mx.int32).tolist(); // [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
 * ```
 */
export function identity(n: number, dtype?: DType | DTypeOptions | null): NDArray {
  return eye(n, n, { dtype: dtypeArg(dtype) });
}
/**
 * Ones on and below the k-th diagonal of an [n, m] matrix, zeros above (`mlx.core.tri`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.tri(3).tolist(); // [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
 * ```
 */
export function tri(n: number, m?: number | DType | EyeOptions, options?: EyeOptions): NDArray {
  const [columns, k, dtype] = readEye("tri", n, m, options);
  return cast(greaterEqual(...rowsAndColumns(n, columns, k)), dtype);
}
/** Options of {@linkcode tril} and {@linkcode triu}. */
export interface DiagonalOptions {
  /** Which diagonal: positive ones are above the main one. Default 0. */
  readonly k?: number;
}
function triangle(op: string, x: NDArray, k: number): NDArray {
  const [columns, rows] = [x.shape.at(-1), x.shape.at(-2)];
  if (columns === undefined || rows === undefined) {
    fail(ShapeError, op, {
      cannot: `take a triangle of ${describe(x)}`,
      expected: "at least two axes",
      got: `${x.shape.length}`,
      fix: "reshape it",
    });
  }
  return tri(rows, columns, { k, dtype: bool_ });
}
/**
 * `x` with zeros above the k-th diagonal of its last two axes (`mlx.core.tril`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.tril(mx.ones([2, 2])).tolist(); // [[1, 0], [1, 1]]
 * ```
 */
export function tril(x: NDArray, k?: number | DiagonalOptions): NDArray {
  if (recorder) return recorder.call(tril, [x, k]);
  const [bare, o] = numberArg(k, undefined);
  return where(triangle("tril", x, bare ?? o?.k ?? 0), x, scalar("tril", false, x.dtype));
}
/**
 * `x` with zeros below the k-th diagonal of its last two axes (`mlx.core.triu`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.triu(mx.ones([2, 2])).tolist(); // [[1, 1], [0, 1]]
 * ```
 */
export function triu(x: NDArray, k?: number | DiagonalOptions): NDArray {
  if (recorder) return recorder.call(triu, [x, k]);
  const [bare, o] = numberArg(k, undefined);
  return where(triangle("triu", x, (bare ?? o?.k ?? 0) - 1), scalar("triu", false, x.dtype), x);
}

/** A window of `m` points made of the numbers 0 to m-1, for m above 1. */
function window(m: number, shape: (n: NDArray) => NDArray): NDArray {
  if (m < 1) return zeros([0]);
  return m === 1 ? ones([1]) : shape(arange(0, m, float32));
}
/**
 * The Bartlett window `1 - |2n/(M-1) - 1|` of M points (`mlx.core.bartlett`), [M] in float32.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.bartlett(5).tolist(); // [0, 0.5, 1, 0.5, 0]
 * ```
 */
export function bartlett(m: number): NDArray {
  return window(m, (n) => subtract(1, abs(subtract(multiply(n, float(2 / (m - 1))), 1))));
}
/**
 * The Hann window `sin²(πn/(M-1))` of M points (`mlx.core.hanning`), [M] in float32.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.hanning(5).round(3).tolist(); // [0, 0.5, 1, 0.5, 0]
 * ```
 */
export function hanning(m: number): NDArray {
  return window(m, (n) => square(sin(multiply(n, float(Math.PI / (m - 1))))));
}
/**
 * The Hamming window `0.54 - 0.46 cos(2πn/(M-1))` of M points (`mlx.core.hamming`), [M] in float32.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.hamming(5); // array([0.08, 0.54, 1, 0.54, 0.08], dtype=float32)
 * ```
 */
export function hamming(m: number): NDArray {
  return window(m, (n) => subtract(0.54, multiply(cos(multiply(n, float(2 * Math.PI / (m - 1)))), 0.46)));
}
/**
 * The Blackman window `0.42 - 0.5 cos x + 0.08 cos 2x` at `x = 2πn/(M-1)` of M points (`mlx.core.blackman`),
 * [M] in float32.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.blackman(5); // array([0, 0.34, 1, 0.34, 0], dtype=float32)
 * ```
 */
export function blackman(m: number): NDArray {
  return window(m, (n) => {
    const c = cos(multiply(n, float(2 * Math.PI / (m - 1))));
    // cos 2x = 2 cos² x - 1
    return add(subtract(0.34, multiply(c, 0.5)), multiply(square(c), 0.16));
  });
}
