/**
 * Dtypes: names, codes, sizes, categories and promotion. The codes are those of `runtime/generated/ops.h`.
 * @module
 */
import { DTypeError, fail } from "./errors.ts";

/** Category of a dtype, as a set of nested names: see {@linkcode issubdtype}. */
export type Category =
  | "generic" | "number" | "integer" | "signedinteger" | "unsignedinteger" | "inexact" | "floating" | "complexfloating";
/** Name of a dtype. */
export type DTypeName =
  | "bool" | "uint8" | "uint16" | "uint32" | "uint64" | "int8" | "int16" | "int32" | "int64"
  | "float16" | "float32" | "float64" | "bfloat16" | "complex64";
/** What a number of the dtype is. */
export type DTypeKind = "bool" | "uint" | "int" | "float" | "complex";

/** The type of an array's elements: one object per dtype, so `===` compares them. */
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
  bool_, uint8, uint16, uint32, uint64, int8, int16, int32, int64, float16, float32, float64, bfloat16, complex64,
];
/** The dtype of that name. */
export function dtypeOf(name: string): DType {
  return dtypes.find((d) => d.name === name) ??
    fail(DTypeError, "dtype", {
      cannot: `find a dtype named ${name}`, expected: dtypes.map((d) => d.name).join(", "), got: name, fix: "use one of these names",
    });
}
