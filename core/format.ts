/**
 * How arrays print: as MLX does. Numbers have six significant digits, long axes show three values at each end, and the
 * dtype is named: `array([1, 2.5], dtype=float32)`.
 * @module
 */
import type { Complex, DType } from "./dtype.ts";
import type { Shape } from "./primitive.ts";
import { rowMajorStrides } from "./shape.ts";

/** One value to print. */
export type Printable = number | bigint | boolean | Complex;
/** Options of printing. */
export interface PrintOptions {
  /** Digits after the point; -1 prints six significant digits. Default -1. */
  readonly precision: number;
}
let options: PrintOptions = { precision: -1 };
/**
 * The options in force (`mlx.core.get_printoptions`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.getPrintoptions().precision; // -1: six significant digits
 * mx.printoptions({ precision: 2 }, () => mx.getPrintoptions().precision); // 2
 * ```
 */
export function getPrintoptions(): PrintOptions {
  return options;
}
/**
 * Sets the options of printing (`mlx.core.set_printoptions`); what is left out returns to its default.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.setPrintoptions({ precision: 3 });
 * String(mx.array([0.5, 2 / 3])); // "array([0.500, 0.667], dtype=float32)"
 * mx.setPrintoptions();
 * String(mx.array([0.5, 2 / 3])); // "array([0.5, 0.666667], dtype=float32)"
 * ```
 */
export function setPrintoptions({ precision = -1 }: Partial<PrintOptions> = {}): void {
  options = { precision };
}
/**
 * Runs a function with other options of printing (`mlx.core.printoptions`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.printoptions({ precision: 2 }, () => String(mx.array([1.23456]))); // "array([1.23], dtype=float32)"
 * ```
 */
export function printoptions<T>(during: Partial<PrintOptions>, fn: () => T): T {
  const before = options;
  setPrintoptions(during);
  try {
    return fn();
  } finally {
    options = before;
  }
}

/** Six significant digits without trailing zeros, the exponent of at least two digits: C's `%g`. */
function general(x: number): string {
  if (x === 0) return Object.is(x, -0) ? "-0" : "0";
  const [digits = "", exponent = "0"] = x.toExponential(5).split("e");
  const e = Number(exponent);
  if (e >= -4 && e < 6) {
    const fixed = x.toFixed(5 - e);
    return fixed.includes(".") ? fixed.replace(/\.?0+$/, "") : fixed;
  }
  return `${digits.replace(/\.?0+$/, "")}e${e < 0 ? "-" : "+"}${String(Math.abs(e)).padStart(2, "0")}`;
}
/** One real number. */
export function formatNumber(x: number): string {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  return options.precision < 0 ? general(x) : x.toFixed(options.precision);
}
/** One value of an array. */
export function formatValue(x: Printable): string {
  if (typeof x === "boolean") return x ? "True" : "False";
  if (typeof x === "bigint") return String(x);
  if (typeof x === "number") return formatNumber(x);
  const plus = x.im >= 0 || Number.isNaN(x.im);
  return `${formatNumber(x.re)}${plus ? "+" : "-"}${formatNumber(plus ? x.im : -x.im)}j`;
}

/** Values shown at each end of an axis that is too long. */
const EDGE = 3;
/**
 * An array as text. `at(i)` gives the value of the i-th element in row-major order; only those that are shown are asked
 * for.
 */
export function format(shape: Shape, dtype: DType, at: (i: number) => Printable): string {
  const strides = rowMajorStrides(shape);
  const value = dtype.kind === "int" || dtype.kind === "uint"
    ? (i: number) => String(at(i))
    : (i: number) => formatValue(at(i));
  const part = (axis: number, start: number): string => {
    if (axis === shape.length) return value(start);
    const n = shape[axis]!, step = strides[axis]!, long = n > 2 * EDGE;
    const shown = Array.from(
      { length: long ? 2 * EDGE : n },
      (_, i) => part(axis + 1, start + step * (long && i >= EDGE ? n - 2 * EDGE + i : i)),
    );
    if (long) shown.splice(EDGE, 0, "...");
    return `[${shown.join(axis === shape.length - 1 ? ", " : `,\n${" ".repeat(7 + axis)}`)}]`;
  };
  return `array(${part(0, 0)}, dtype=${dtype})`;
}
