/**
 * Where an array is not zero. The number of such places depends on data, so these functions evaluate what they are
 * given; what vmap and compile trace has no values.
 * @module
 */
import type { NDArray } from "../array.ts";
import { bool_, int32 } from "../dtype.ts";
import { fail, TraceError } from "../errors.ts";
import { describe } from "../shape.ts";
import { concrete } from "../values.ts";
import { cast, constant } from "./operand.ts";

/** Indices of all entries that are not zero, in row-major order: an int32 array for each axis. */
export function placesOf(op: string, x: NDArray): NDArray[] {
  const value = concrete(x);
  if (!value) {
    fail(TraceError, op, {
      cannot: `find where ${describe(x)} is true`,
      expected: "a concrete array: how many places there are depends on its values",
      got: "one that vmap or compile is tracing",
      fix: "use mx.where(mask, x, other), or compute the mask outside",
    });
  }
  const data = cast(value, bool_).dataSync(), axes = x.shape.length;
  let count = 0;
  for (let i = 0; i < data.length; i++) if (data[i]) count++;
  const places = x.shape.map(() => new Int32Array(count)), at = new Array<number>(axes).fill(0);
  for (let i = 0, k = 0; i < data.length; i++) {
    if (data[i]) {
      for (let axis = 0; axis < axes; axis++) places[axis]![k] = at[axis]!;
      k++;
    }
    for (let axis = axes - 1; axis >= 0 && ++at[axis]! === x.shape[axis]; axis--) at[axis] = 0;
  }
  return places.map((indices) => constant(indices, [count], int32));
}
/**
 * The indices of the entries that are not zero, in row-major order: one int32 array for each axis, as NumPy's `nonzero`
 * gives them (MLX has no such function). Evaluates x; a `TraceError` inside `vmap` and `compile`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.array([[0, 5], [7, 0]]);
 * const [rows, columns] = mx.nonzero(x);
 * x.index(rows!, columns!).tolist(); // [5, 7]
 * ```
 */
export function nonzero(x: NDArray): NDArray[] {
  return placesOf("nonzero", x);
}
