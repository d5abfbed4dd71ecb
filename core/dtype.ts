/**
 * Dtypes: names, codes, sizes, categories and promotion, and the weak scalars that take part in promotion. The codes
 * are those of `runtime/generated/ops.h`.
 * @module
 */
import { DTypeError, fail, ValueError } from "./errors.ts";

/** Category of a dtype, as a set of nested names: see {@linkcode issubdtype}. */
export type Category =
  | "generic"
  | "number"
  | "integer"
  | "signedinteger"
  | "unsignedinteger"
  | "inexact"
  | "floating"
  | "complexfloating";
/** Name of a dtype. */
export type DTypeName =
  | "bool"
  | "uint8"
  | "uint16"
  | "uint32"
  | "uint64"
  | "int8"
  | "int16"
  | "int32"
  | "int64"
  | "float16"
  | "float32"
  | "float64"
  | "bfloat16"
  | "complex64";
/** What a number of the dtype is. */
export type DTypeKind = "bool" | "uint" | "int" | "float" | "complex";

/**
 * The type of an array's elements (`mlx.core.Dtype`): one object per dtype, so `===` compares them.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.bfloat16.size; // 2
 * mx.ones([2]).dtype === mx.float32; // true
 * `${mx.int8}`; // "int8"
 * ```
 */
export class DType {
  /** Made by this module only. */
  constructor(
    /** Its name, as in `float32[2,3]`. */
    readonly name: DTypeName,
    /** Its number in programs and in the native library. */
    readonly code: number,
    /** Bytes of one element. */
    readonly size: number,
    /** What kind of number it is. */
    readonly kind: DTypeKind,
  ) {}
  /** Its name. */
  toString(): string {
    return this.name;
  }
  /** Deno and Node print dtypes by this. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.name;
  }
}
const make = (name: DTypeName, code: number, size: number, kind: DTypeKind): DType => new DType(name, code, size, kind);
/** True or false, one byte. */
export const bool_: DType = make("bool", 0, 1, "bool");
/** Unsigned 8-bit integer. */
export const uint8: DType = make("uint8", 1, 1, "uint");
/** Unsigned 16-bit integer. */
export const uint16: DType = make("uint16", 2, 2, "uint");
/** Unsigned 32-bit integer. */
export const uint32: DType = make("uint32", 3, 4, "uint");
/** Unsigned 64-bit integer. */
export const uint64: DType = make("uint64", 4, 8, "uint");
/** Signed 8-bit integer. */
export const int8: DType = make("int8", 5, 1, "int");
/** Signed 16-bit integer. */
export const int16: DType = make("int16", 6, 2, "int");
/** Signed 32-bit integer. */
export const int32: DType = make("int32", 7, 4, "int");
/** Signed 64-bit integer. */
export const int64: DType = make("int64", 8, 8, "int");
/** IEEE half precision. */
export const float16: DType = make("float16", 9, 2, "float");
/** IEEE single precision: the default. */
export const float32: DType = make("float32", 10, 4, "float");
/** IEEE double precision, on the CPU only. */
export const float64: DType = make("float64", 11, 8, "float");
/** The upper half of a float32. */
export const bfloat16: DType = make("bfloat16", 12, 2, "float");
/** Two float32: real and imaginary part. */
export const complex64: DType = make("complex64", 13, 8, "complex");
/** All dtypes, by code. */
export const dtypes: readonly DType[] = [
  bool_,
  uint8,
  uint16,
  uint32,
  uint64,
  int8,
  int16,
  int32,
  int64,
  float16,
  float32,
  float64,
  bfloat16,
  complex64,
];
/**
 * The dtype of that name.
 * A name that there is not is a `DTypeError`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.dtypeOf("bfloat16") === mx.bfloat16; // true
 * mx.zeros([2], mx.dtypeOf("uint8")).nbytes; // 2
 * ```
 */
export function dtypeOf(name: string): DType {
  return dtypes.find((d) => d.name === name) ??
    fail(DTypeError, "dtype", {
      cannot: `find a dtype named ${name}`,
      expected: dtypes.map((d) => d.name).join(", "),
      got: name,
      fix: "use one of these names",
    });
}

/** The category of everything, booleans too. */
export const generic: Category = "generic";
/** The category of integers, floats and complex numbers. */
export const number: Category = "number";
/** The category of all integers. */
export const integer: Category = "integer";
/** The category of int8 to int64. */
export const signedinteger: Category = "signedinteger";
/** The category of uint8 to uint64. */
export const unsignedinteger: Category = "unsignedinteger";
/** The category of floats and complex numbers. */
export const inexact: Category = "inexact";
/** The category of real floats. */
export const floating: Category = "floating";
/** The category of complex64. */
export const complexfloating: Category = "complexfloating";

const CATEGORY: Readonly<Record<DTypeKind, Category>> = {
  bool: "generic",
  uint: "unsignedinteger",
  int: "signedinteger",
  float: "floating",
  complex: "complexfloating",
};
/** The next wider category of each; `generic` is the root. */
const PARENT: Readonly<Record<Category, Category | null>> = {
  generic: null,
  number: "generic",
  integer: "number",
  inexact: "number",
  signedinteger: "integer",
  unsignedinteger: "integer",
  floating: "inexact",
  complexfloating: "inexact",
};

/**
 * Whether a dtype or category lies inside another one (`mlx.core.issubdtype`). A dtype lies inside itself only.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.issubdtype(mx.float16, mx.inexact); // true
 * mx.issubdtype(mx.int32, mx.floating); // false
 * ```
 */
export function issubdtype(a: DType | Category, b: DType | Category): boolean {
  if (b instanceof DType) return a === b;
  let category: Category | null = a instanceof DType ? CATEGORY[a.kind] : a;
  while (category !== null && category !== b) category = PARENT[category];
  return category !== null;
}

const KINDS: Readonly<Record<string, readonly DTypeKind[]>> = {
  "bool": ["bool"],
  "signed integer": ["int"],
  "unsigned integer": ["uint"],
  "integral": ["int", "uint"],
  "real floating": ["float"],
  "complex floating": ["complex"],
  "numeric": ["int", "uint", "float", "complex"],
};
/**
 * Whether a dtype is of a kind named as in the array API standard: a dtype, `"bool"`, `"signed integer"`,
 * `"unsigned integer"`, `"integral"`, `"real floating"`, `"complex floating"`, `"numeric"`, or a list of these
 * (`mlx.core.isdtype`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.isdtype(mx.int8, "signed integer"); // true
 * mx.isdtype(mx.float16, ["bool", "integral"]); // false
 * mx.isdtype(mx.bool_, "numeric"); // false
 * ```
 */
export function isdtype(dtype: DType, kind: DType | string | readonly (DType | string)[]): boolean {
  if (kind instanceof DType) return dtype === kind;
  if (typeof kind !== "string") return kind.some((k) => isdtype(dtype, k));
  const kinds = KINDS[kind] ??
    fail(ValueError, "isdtype", {
      cannot: `find a kind named ${kind}`,
      expected: Object.keys(KINDS).join(", "),
      got: kind,
      fix: "use one of these names",
    });
  return kinds.includes(dtype.kind);
}

/** The promotion of two dtypes by rule; {@linkcode promoteTypes} looks it up. */
function promote(a: DType, b: DType): DType {
  if (a === b || b === bool_) return a;
  if (a === bool_) return b;
  if (a === complex64 || b === complex64) return complex64;
  if (a.kind === "float" && b.kind === "float") {
    if (a.size === b.size) return float32; // float16 with bfloat16
    return a.size > b.size ? a : b;
  }
  if (a.kind === "float") return a;
  if (b.kind === "float") return b;
  if (a.kind === b.kind) return a.size > b.size ? a : b;
  const [unsigned, signed] = a.kind === "uint" ? [a, b] : [b, a];
  const size = Math.max(2 * unsigned.size, signed.size);
  return [int16, int32, int64].find((d) => d.size === size) ?? float32; // uint64 with a signed integer has no integer
}
const PROMOTED: readonly (readonly DType[])[] = dtypes.map((a) => dtypes.map((b) => promote(a, b)));
/**
 * The dtype in which values of both dtypes meet (`mlx.core` promotion): `promoteTypes(int32, float16)` is float16.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.promoteTypes(mx.int32, mx.float16).name; // "float16"
 * ```
 */
export function promoteTypes(a: DType, b: DType): DType {
  return PROMOTED[a.code]![b.code]!;
}
/**
 * The dtype itself if it is float or complex, else float32: what `exp`, `mean` or `divide` compute in.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.atLeastFloat(mx.int32); // float32
 * mx.atLeastFloat(mx.float16); // float16
 * ```
 */
export function atLeastFloat(dtype: DType): DType {
  return issubdtype(dtype, "inexact") ? dtype : float32;
}

/**
 * A number that acts as a float in promotion even where it is integral: see {@linkcode float}.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.float(2) instanceof mx.WeakFloat; // true
 * mx.resultType(mx.int32, new mx.WeakFloat(2)); // float32, where a plain 2 would leave int32
 * mx.resultType(mx.float16, new mx.WeakFloat(2)); // float16
 * ```
 */
export class WeakFloat {
  /** See {@linkcode float}. */
  constructor(
    /** The number. */
    readonly value: number,
  ) {}
}
/**
 * A complex number: see {@linkcode complex}.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const z = mx.fft.fft(mx.array([0, 1, 0, 0])).index(1).item(); // Complex { re: 0, im: -1 }
 * z instanceof mx.Complex && z.im; // -1
 * String(new mx.Complex(1, 2)); // "1+2j"
 * ```
 */
export class Complex {
  /** See {@linkcode complex}. */
  constructor(
    /** Real part. */
    readonly re: number,
    /** Imaginary part. */
    readonly im: number,
  ) {}
  /** As MLX prints it: `1+2j`. */
  toString(): string {
    return `${this.re}${this.im >= 0 || Number.isNaN(this.im) ? "+" : "-"}${Math.abs(this.im)}j`;
  }
}
/**
 * A weak float. JavaScript has one number type, so `x.add(2)` adds an integer and keeps the dtype of an integer array;
 * `x.add(mx.float(2))` adds 2.0 and makes it float32.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.array([1, 2], mx.int32).add(mx.float(2)).dtype.name; // "float32"
 * ```
 */
export function float(value: number): WeakFloat {
  return new WeakFloat(value);
}
/**
 * A complex scalar: `x.mul(mx.complex(0, 1))`. Beside any array it makes complex64.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.array([1, 2]).mul(mx.complex(0, 1)).dtype.name; // "complex64"
 * ```
 */
export function complex(re: number, im: number = 0): Complex {
  return new Complex(re, im);
}
/** What may stand in place of an array and is weak: it takes the dtype of the array beside it where it can. */
export type Scalar = number | boolean | bigint | WeakFloat | Complex;
/**
 * Whether the value is a weak scalar.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.isScalar(2); // true
 * mx.isScalar(mx.complex(0, 1)); // true
 * mx.isScalar(mx.array(2)); // false: an array has a dtype of its own
 * ```
 */
export function isScalar(x: unknown): x is Scalar {
  const t = typeof x;
  return t === "number" || t === "boolean" || t === "bigint" || x instanceof WeakFloat || x instanceof Complex;
}

const TWO_63 = 2 ** 63;
/** Whether a scalar acts as an integer: bigints, and integral numbers that a 64-bit integer can hold. */
function actsAsInteger(x: Scalar): x is number | bigint {
  return typeof x === "bigint" || (typeof x === "number" && Number.isInteger(x) && Math.abs(x) < TWO_63);
}
/**
 * The dtype that a weak scalar takes beside an array of dtype `beside`, or alone: a boolean takes any dtype, an integer
 * any but bool (then int32), a float any float dtype (else float32), a complex number is complex64. Integers alone are
 * int32, or int64 where they need it.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.scalarType(2); // int32
 * mx.scalarType(2 ** 40); // int64
 * mx.scalarType(2, mx.float16); // float16
 * mx.scalarType(2.5, mx.int8); // float32
 * ```
 */
export function scalarType(x: Scalar, beside?: DType): DType {
  if (x instanceof Complex) return complex64;
  if (typeof x === "boolean") return beside ?? bool_;
  if (!actsAsInteger(x)) return beside?.kind === "float" ? beside : float32;
  if (beside && beside !== bool_) return beside;
  return x > 2147483647 || x < -2147483648 ? int64 : int32;
}

/**
 * The dtype of a computation with these arrays, dtypes and weak scalars (`mlx.core.result_type`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.resultType(mx.int32, mx.float16); // float16
 * mx.resultType(mx.int8, 2); // int8: integers are weak
 * mx.resultType(mx.int8, 2.5); // float32
 * ```
 */
export function resultType(...args: readonly (DType | { readonly dtype: DType } | Scalar)[]): DType {
  if (args.length === 0) {
    fail(ValueError, "resultType", {
      cannot: "promote",
      expected: "at least one dtype, array or scalar",
      got: "none",
      fix: "give them as arguments",
    });
  }
  let result: DType | undefined;
  for (const x of args) {
    if (isScalar(x)) continue;
    const dtype = x instanceof DType ? x : x.dtype;
    result = result ? promoteTypes(result, dtype) : dtype;
  }
  for (const x of args) {
    if (isScalar(x)) result = result ? promoteTypes(result, scalarType(x, result)) : scalarType(x);
  }
  return result ?? bool_;
}
/**
 * Whether every value of `from` (a dtype or an array) may become `to` by promotion (`mlx.core.can_cast`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.canCast(mx.int8, mx.int32); // true
 * mx.canCast(mx.int32, mx.float16); // true
 * mx.canCast(mx.float32, mx.int32); // false
 * ```
 */
export function canCast(from: DType | { readonly dtype: DType }, to: DType): boolean {
  return promoteTypes(from instanceof DType ? from : from.dtype, to) === to;
}

/** Limits of a float dtype: see {@linkcode finfo}. */
export interface FloatInfo {
  /** The dtype; float32 for complex64. */
  readonly dtype: DType;
  /** Bits of one (real) number. */
  readonly bits: number;
  /** The lowest finite value. */
  readonly min: number;
  /** The highest finite value. */
  readonly max: number;
  /** The step from 1 to the next value. */
  readonly eps: number;
  /** The smallest positive value with full precision. */
  readonly smallestNormal: number;
}
/** Limits of an integer dtype: see {@linkcode iinfo}. */
export interface IntInfo {
  /** The dtype. */
  readonly dtype: DType;
  /** Bits of one number. */
  readonly bits: number;
  /** The lowest value; a bigint for 64-bit dtypes. */
  readonly min: number | bigint;
  /** The highest value; a bigint for 64-bit dtypes. */
  readonly max: number | bigint;
}
/** Bits of the fraction and of the exponent. */
const FLOAT_BITS: Readonly<Record<string, readonly [number, number]>> = {
  float16: [10, 5],
  bfloat16: [7, 8],
  float32: [23, 8],
  float64: [52, 11],
};
/**
 * Limits of a float dtype (`mlx.core.finfo`); of complex64, those of its parts.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.finfo(mx.float16).max; // 65504
 * ```
 */
export function finfo(dtype: DType): FloatInfo {
  const real = dtype === complex64 ? float32 : dtype;
  const bits = FLOAT_BITS[real.name] ??
    fail(DTypeError, "finfo", {
      cannot: `give float limits of ${dtype}`,
      expected: "a float dtype",
      got: dtype.name,
      fix: "use mx.iinfo for integers",
    });
  const [fraction, exponent] = bits;
  const eps = 2 ** -fraction;
  const bias = 2 ** (exponent - 1) - 1;
  const max = (2 - eps) * 2 ** bias;
  return { dtype: real, bits: real.size * 8, min: -max, max, eps, smallestNormal: 2 ** (1 - bias) };
}
/**
 * Limits of an integer dtype (`mlx.core.iinfo`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.iinfo(mx.int8).min; // -128
 * ```
 */
export function iinfo(dtype: DType): IntInfo {
  if (!issubdtype(dtype, "integer")) {
    fail(DTypeError, "iinfo", {
      cannot: `give integer limits of ${dtype}`,
      expected: "an integer dtype",
      got: dtype.name,
      fix: "use mx.finfo for floats",
    });
  }
  const bits = dtype.size * 8;
  const signed = dtype.kind === "int";
  const min = signed ? -(1n << BigInt(bits - 1)) : 0n;
  const max = (1n << BigInt(signed ? bits - 1 : bits)) - 1n;
  return bits === 64 ? { dtype, bits, min, max } : { dtype, bits, min: Number(min), max: Number(max) };
}
