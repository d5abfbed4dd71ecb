/**
 * Numbers of the host: which typed array holds which dtype, and how one number is written into it. bool lives in a
 * Uint8Array, bfloat16 as its bits in a Uint16Array, complex64 as pairs in a Float32Array.
 * @module
 */
import {
  bool_,
  Complex,
  type DType,
  float16,
  float32,
  int16,
  int32,
  int64,
  int8,
  type Scalar,
  uint16,
  uint32,
  uint64,
  uint8,
  WeakFloat,
} from "./dtype.ts";
import { DTypeError, fail } from "./errors.ts";
import type { HostData } from "./primitive.ts";

/** Zeros for `length` elements of a dtype. */
export function allocate(dtype: DType, length: number): HostData {
  switch (dtype.name) {
    case "bool":
    case "uint8":
      return new Uint8Array(length);
    case "uint16":
    case "bfloat16":
      return new Uint16Array(length);
    case "uint32":
      return new Uint32Array(length);
    case "uint64":
      return new BigUint64Array(length);
    case "int8":
      return new Int8Array(length);
    case "int16":
      return new Int16Array(length);
    case "int32":
      return new Int32Array(length);
    case "int64":
      return new BigInt64Array(length);
    case "float16":
      return new Float16Array(length);
    case "float32":
      return new Float32Array(length);
    case "float64":
      return new Float64Array(length);
    case "complex64":
      return new Float32Array(2 * length);
  }
}

const word = new Float32Array(1);
const bits = new Uint32Array(word.buffer);
/** The bits of the bfloat16 next to a number: rounded to float32, then half to even. */
export function bfloat16Bits(x: number): number {
  word[0] = x;
  const b = bits[0]!;
  if ((b & 0x7fffffff) > 0x7f800000) return (b >>> 16) | 0x40; // NaN stays NaN
  return ((b + 0x7fff + ((b >>> 16) & 1)) >>> 16) & 0xffff;
}
/** The number that bfloat16 bits stand for. */
export function bfloat16Value(b: number): number {
  bits[0] = (b & 0xffff) << 16;
  return word[0]!;
}

function integral(x: number | bigint | boolean): bigint {
  if (typeof x === "bigint") return x;
  const n = Math.trunc(Number(x));
  return Number.isFinite(n) ? BigInt(n) : 0n;
}
/** Writes a scalar as element `i` of host data of that dtype: floats truncate into integers, integers wrap. */
export function write(data: HostData, i: number, value: Scalar, dtype: DType): void {
  if (value instanceof Complex) {
    if (dtype.kind !== "complex" || !(data instanceof Float32Array)) {
      fail(DTypeError, "array", {
        cannot: `write ${value} as ${dtype}`,
        expected: "a real number",
        got: "a complex number",
        fix: "use complex64",
      });
    }
    data[2 * i] = value.re;
    data[2 * i + 1] = value.im;
    return;
  }
  const x = value instanceof WeakFloat ? value.value : value;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = integral(x);
  else if (dtype.kind === "bool") data[i] = Number(x) === 0 ? 0 : 1;
  else if (dtype.name === "bfloat16") data[i] = bfloat16Bits(Number(x));
  else if (dtype.kind === "complex") data[2 * i] = Number(x);
  else if (typeof x === "bigint" && dtype.kind !== "float") data[i] = Number(BigInt.asIntN(32, x));
  else data[i] = Number(x);
}

/** Typed arrays that `array` takes; Float64Array becomes float32 unless a dtype is given. */
export type TypedArray = HostData | Uint8ClampedArray;
/** Whether the value is a typed array of numbers. */
export function isTypedArray(x: unknown): x is TypedArray {
  return ArrayBuffer.isView(x) && !(x instanceof DataView);
}
/** The dtype of a typed array's elements; float32 for a Float64Array, as MLX takes NumPy's. */
export function typedArrayType(x: TypedArray): DType {
  if (x instanceof Float32Array || x instanceof Float64Array) return float32;
  if (x instanceof Float16Array) return float16;
  if (x instanceof Int32Array) return int32;
  if (x instanceof Uint8Array || x instanceof Uint8ClampedArray) return uint8;
  if (x instanceof Uint32Array) return uint32;
  if (x instanceof Uint16Array) return uint16;
  if (x instanceof Int8Array) return int8;
  if (x instanceof Int16Array) return int16;
  if (x instanceof BigInt64Array) return int64;
  return uint64;
}
/** A copy of a typed array as host data of a dtype: by its bytes where they agree, else number by number. */
export function hostCopy(x: TypedArray, dtype: DType): HostData {
  const same = dtype !== bool_ && dtype === typedArrayType(x) &&
    !(x instanceof Float64Array || x instanceof Uint8ClampedArray);
  if (same || (dtype.name === "float64" && x instanceof Float64Array)) return x.slice();
  const out = allocate(dtype, x.length);
  if (dtype === float32 && x instanceof Float64Array && out instanceof Float32Array) out.set(x);
  else for (let i = 0; i < x.length; i++) write(out, i, x[i]!, dtype);
  return out;
}
