/**
 * Running reductions along one axis, and differences. Without an axis the array is flattened. The derivatives are in
 * `core/primitives/scan.ts`, the kernels in `runtime/cpu/scan.cc`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { atLeastFloat, bool_, type DType, int32 } from "../dtype.ts";
import { fail, ValueError } from "../errors.ts";
import { bind, recorder } from "../graph.ts";
import { normalizeAxis, sizeOf } from "../shape.ts";
import { subtract } from "./binary.ts";
import { cast, numberArg, oneAxisArg, type Operand, toArray } from "./operand.ts";
import { reshape, sliceOf } from "./view.ts";

/** Options of the running reductions. */
export interface ScanOptions {
  /** The axis; the flattened array if null. Default null. */
  readonly axis?: number | null;
  /** Whether it runs from the end to the start. Default false. */
  readonly reverse?: boolean;
  /** Whether an element counts in its own result; else the first result is the neutral element. Default true. */
  readonly inclusive?: boolean;
}
/** Options of {@linkcode cumsum} and {@linkcode cumprod}. */
export interface SumScanOptions extends ScanOptions {
  /** The dtype to compute in. Default: that of the array, int32 for booleans. */
  readonly dtype?: DType | null;
}
type Name = "cumsum" | "cumprod" | "cummax" | "cummin" | "logcumsumexp";

function scan(name: Name, a: NDArray, axis: number | null | undefined, o: ScanOptions | undefined): NDArray {
  const x = axis === null || axis === undefined ? reshape(a, [sizeOf(a.shape)]) : a;
  const along = normalizeAxis(name, axis ?? 0, x.shape.length);
  return bind(name, [x], { axis: along, reverse: o?.reverse ?? false, inclusive: o?.inclusive ?? true });
}
/** The dtype to compute in; booleans are counted as int32. */
function counted(x: NDArray, dtype: DType | null | undefined): NDArray {
  const type = dtype ?? x.dtype;
  return cast(x, type === bool_ ? int32 : type);
}
/**
 * Running sum (`mlx.core.cumsum`). Integers keep their dtype and wrap.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.cumsum(mx.array([1, 2, 3])); // array([1, 3, 6], dtype=float32)
 * mx.cumsum(mx.array([1, 2, 3]), 0, { inclusive: false }); // array([0, 1, 3], dtype=float32)
 * ```
 */
export function cumsum(a: Operand, axis?: number | null | SumScanOptions, options?: SumScanOptions): NDArray {
  if (recorder) return recorder.call(cumsum, [a, axis, options]);
  const [which, o] = oneAxisArg(axis, options);
  return scan("cumsum", counted(toArray("cumsum", a), o?.dtype), which, o);
}
export { cumsum as cumulativeSum };
/**
 * Running product (`mlx.core.cumprod`). Integers keep their dtype and wrap; booleans stay booleans.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.cumprod(mx.array([1, 2, 3])).tolist(); // [1, 2, 6]
 * ```
 */
export function cumprod(a: Operand, axis?: number | null | SumScanOptions, options?: SumScanOptions): NDArray {
  if (recorder) return recorder.call(cumprod, [a, axis, options]);
  const [which, o] = oneAxisArg(axis, options);
  const x = toArray("cumprod", a);
  return cast(scan("cumprod", counted(x, o?.dtype), which, o), o?.dtype ?? x.dtype);
}
export { cumprod as cumulativeProd };
/**
 * Running maximum; NaN from the first NaN on (`mlx.core.cummax`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.cummax(mx.array([1, 3, 2])).tolist(); // [1, 3, 3]
 * ```
 */
export function cummax(a: Operand, axis?: number | null | ScanOptions, options?: ScanOptions): NDArray {
  if (recorder) return recorder.call(cummax, [a, axis, options]);
  const [which, o] = oneAxisArg(axis, options);
  return scan("cummax", toArray("cummax", a), which, o);
}
/**
 * Running minimum; NaN from the first NaN on (`mlx.core.cummin`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.cummin(mx.array([3, 1, 2])).tolist(); // [3, 1, 1]
 * mx.cummin(mx.array([3, 1, 2]), { reverse: true }).tolist(); // [1, 1, 2]
 * ```
 */
export function cummin(a: Operand, axis?: number | null | ScanOptions, options?: ScanOptions): NDArray {
  if (recorder) return recorder.call(cummin, [a, axis, options]);
  const [which, o] = oneAxisArg(axis, options);
  return scan("cummin", toArray("cummin", a), which, o);
}
/**
 * Running `log Σ e^a` without overflow (`mlx.core.logcumsumexp`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.logcumsumexp(mx.array([1000, 1000, -Infinity])).tolist(); // [1000, 1000.6931762695312, 1000.6931762695312]
 * mx.exp(mx.logcumsumexp(mx.log(mx.array([1, 2, 3])))); // array([1, 3, 6], dtype=float32)
 * ```
 */
export function logcumsumexp(a: Operand, axis?: number | null | ScanOptions, options?: ScanOptions): NDArray {
  if (recorder) return recorder.call(logcumsumexp, [a, axis, options]);
  const [which, o] = oneAxisArg(axis, options);
  const x = toArray("logcumsumexp", a);
  return scan("logcumsumexp", cast(x, atLeastFloat(x.dtype)), which, o);
}

/** Options of {@linkcode diff}. */
export interface DiffOptions {
  /** How often the difference is taken. Default 1. */
  readonly n?: number;
  /** The axis. Default -1. */
  readonly axis?: number;
}
/**
 * `a[i+1] - a[i]` along an axis, `n` times (`mlx.core.diff`). A bare number is the axis.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.diff(mx.array([1, 4, 9])).tolist(); // [3, 5]
 * ```
 */
export function diff(a: Operand, axis?: number | DiffOptions, options?: DiffOptions): NDArray {
  const [bare, o] = numberArg(axis, options);
  let x = toArray("diff", a);
  const along = normalizeAxis("diff", bare ?? o?.axis ?? -1, x.shape.length);
  const times = o?.n ?? 1;
  if (!Number.isInteger(times) || times < 0) {
    fail(ValueError, "diff", {
      cannot: `take ${times} differences`,
      expected: "an integer of at least 0",
      got: String(times),
      fix: "give another n",
    });
  }
  for (let i = 0; i < times; i++) {
    const n = x.shape[along]!, rest = Math.max(n - 1, 0);
    const zero = x.shape.map(() => 0), first = x.shape.with(along, rest);
    x = subtract(sliceOf(x, zero.with(along, n - rest), x.shape), sliceOf(x, zero, first));
  }
  return x;
}
