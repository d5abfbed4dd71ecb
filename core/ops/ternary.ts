/**
 * Elementwise choice between arrays: `where` and `clip`. The derivative of the choice is in
 * `core/primitives/ternary.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { bool_ } from "../dtype.ts";
import { fail, ValueError } from "../errors.ts";
import { bind, recorder } from "../graph.ts";
import { maximum, minimum } from "./binary.ts";
import { broadcasted, cast, type Operand, operands, promoted, toArray } from "./operand.ts";

/**
 * `x` where the condition is not 0, else `y` (`mlx.core.where`). All three broadcast; `x` and `y` meet in one dtype.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.array([-1, 2]);
 * mx.where(x.greater(0), x, 0); // array([0, 2], dtype=float32)
 * ```
 */
export function where(condition: Operand, x: Operand, y: Operand): NDArray {
  if (recorder) return recorder.call(where, [condition, x, y]);
  const c = cast(toArray("where", condition), bool_);
  const [a, b] = promoted(operands("where", x, y));
  return bind("select", broadcasted("where", [c, a, b]), {});
}
/**
 * `min(max(a, aMin), aMax)`; either bound may be null, not both (`mlx.core.clip`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.clip(mx.array([-2, 0.5, 3]), 0, 1).tolist(); // [0, 0.5, 1]
 * ```
 */
export function clip(a: Operand, aMin: Operand | null, aMax: Operand | null): NDArray {
  if (recorder) return recorder.call(clip, [a, aMin, aMax]);
  let x = toArray("clip", a);
  const beside = x.dtype;
  if (aMin === null && aMax === null) {
    fail(ValueError, "clip", {
      cannot: "clip without bounds",
      expected: "a lower or an upper bound",
      got: "null for both",
      fix: "give one of them",
    });
  }
  if (aMin !== null) x = maximum(x, toArray("clip", aMin, beside));
  if (aMax !== null) x = minimum(x, toArray("clip", aMax, beside));
  return x;
}
