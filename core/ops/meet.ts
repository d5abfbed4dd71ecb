/**
 * How two arrays come together in an elementwise primitive. Not exported to users, but by these names calls are written
 * to files.
 * @module
 */
import type { NDArray } from "../array.ts";
import type { DType } from "../dtype.ts";
import { bind, recorder } from "../graph.ts";
import { sameShape } from "../shape.ts";
import { broadcasted, cast, commonType, isArray, type Operand, operands } from "./operand.ts";

/** Primitives of two arrays, element by element. */
export type BinaryName =
  | "add"
  | "subtract"
  | "multiply"
  | "divide"
  | "power"
  | "maximum"
  | "minimum"
  | "remainder"
  | "floorDivide"
  | "logaddexp"
  | "arctan2"
  | "equal"
  | "notEqual"
  | "greater"
  | "greaterEqual"
  | "less"
  | "lessEqual"
  | "logicalAnd"
  | "logicalOr"
  | "bitwiseAnd"
  | "bitwiseOr"
  | "bitwiseXor"
  | "leftShift"
  | "rightShift";

/** Binds after casting both to a dtype and broadcasting them. */
export function meet(name: BinaryName, a: NDArray, b: NDArray, dtype: DType): NDArray {
  if (recorder) return recorder.call(meet, [name, a, b, dtype]);
  return bind(name, broadcasted(name, [cast(a, dtype), cast(b, dtype)]), {});
}
/** Binds in the dtype in which both meet; a number beside an array is weak. */
export function binary(name: BinaryName, a: Operand, b: Operand): NDArray {
  if (recorder) return recorder.call(binary, [name, a, b]);
  if (isArray(a) && isArray(b) && a.dtype === b.dtype && sameShape(a.shape, b.shape)) return bind(name, [a, b], {});
  const [x, y] = operands(name, a, b);
  return meet(name, x, y, commonType([x, y]));
}
