/** Broadcasting, axes, strides and how arrays are named in messages. */
import assert from "node:assert/strict";
import { float32 } from "../../core/dtype.ts";
import { IndexError, ShapeError, ValueError } from "../../core/errors.ts";
import {
  broadcastShapes,
  checkedShape,
  describe,
  keptAxes,
  normalizeAxes,
  normalizeAxis,
  rowMajorStrides,
  sameShape,
  sizeOf,
  withoutAxes,
} from "../../core/shape.ts";

Deno.test("shapes broadcast from the last axis", () => {
  assert.deepEqual(broadcastShapes([2, 1], [3]), [2, 3]);
  assert.deepEqual(broadcastShapes([5, 1, 4], [3, 1], []), [5, 3, 4]);
  assert.deepEqual(broadcastShapes([1], [0]), [0]);
  assert.deepEqual(broadcastShapes([2, 0], [2, 1]), [2, 0]);
  assert.throws(() => broadcastShapes(), /\[broadcastShapes\] cannot broadcast: expected at least one shape/);
  assert.throws(() => broadcastShapes([3], [0]), ShapeError);
  assert.throws(() => broadcastShapes([2, 3], [4, 3]), {
    message:
      "[broadcastShapes] cannot broadcast [2,3] with [4,3]: expected axes, aligned at the last one, of equal length or of length 1, " +
      "got 2 and 4. Fix: reshape or expandDims one of the arrays",
  });
});
Deno.test("axes count from both ends", () => {
  assert.equal(normalizeAxis("sum", -1, 3), 2);
  assert.deepEqual(normalizeAxes("sum", null, 3), [0, 1, 2]);
  assert.deepEqual(normalizeAxes("sum", [-1, 0], 3), [0, 2]);
  assert.deepEqual(normalizeAxes("sum", [], 3), []);
  assert.throws(() => normalizeAxis("sum", 2, 2), {
    name: "IndexError",
    message: "[sum] cannot use axis 2: expected an axis in [-2, 1], got 2. Fix: give an axis that the array has",
  });
  assert.throws(() => normalizeAxis("sum", 0.5, 2), IndexError);
  assert.throws(() => normalizeAxis("sum", 0, 0), IndexError);
  assert.throws(() => normalizeAxes("sum", [0, -2], 2), ValueError);
});
Deno.test("sizes, strides and names", () => {
  assert.equal(sizeOf([]), 1);
  assert.equal(sizeOf([2, 0, 3]), 0);
  assert.deepEqual(rowMajorStrides([2, 3, 4]), [12, 4, 1]);
  assert.equal(describe({ shape: [2, 3], dtype: float32 }), "float32[2,3]");
  assert.equal(describe({ shape: [], dtype: float32 }), "float32[]");
  assert.ok(sameShape([1, 2], [1, 2]) && !sameShape([1], [1, 1]));
  assert.deepEqual(withoutAxes([2, 3, 4], [0, 2]), [3]);
  assert.deepEqual(keptAxes([2, 3, 4], [0, 2]), [1, 3, 1]);
  assert.deepEqual(checkedShape("zeros", 3), [3]);
  for (const bad of [[-1], [1.5], [NaN]]) assert.throws(() => checkedShape("zeros", bad), ShapeError);
});
