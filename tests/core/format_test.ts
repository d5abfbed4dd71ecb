/** Printing, against texts that MLX printed. */
import assert from "node:assert/strict";
import { bool_, complex, complex64, type DType, float32, int32, int64 } from "../../core/dtype.ts";
import { format, getPrintoptions, type Printable, printoptions, setPrintoptions } from "../../core/format.ts";
import type { Shape } from "../../core/primitive.ts";

const print = (shape: Shape, dtype: DType, values: readonly Printable[]): string =>
  format(shape, dtype, (i) => values[i]!);
const floats = (...values: number[]): string => print([values.length], float32, values.map(Math.fround));

Deno.test("six significant digits", () => {
  assert.equal(floats(1, 0.1, 1e-7), "array([1, 0.1, 1e-07], dtype=float32)");
  assert.equal(floats(-0, 1e10, 3), "array([-0, 1e+10, 3], dtype=float32)");
  assert.equal(floats(3.4028235e38, 1e-45, 100000), "array([3.40282e+38, 1.4013e-45, 100000], dtype=float32)");
  assert.equal(floats(9999995, 0.0001, 0.00001), "array([1e+07, 0.0001, 1e-05], dtype=float32)");
  assert.equal(floats(999999.5, 123456, 0.99999999), "array([1e+06, 123456, 1], dtype=float32)");
  assert.equal(floats(NaN, Infinity, -Infinity), "array([nan, inf, -inf], dtype=float32)");
});
Deno.test("other dtypes", () => {
  assert.equal(print([], float32, [2.5]), "array(2.5, dtype=float32)");
  assert.equal(print([2], bool_, [true, false]), "array([True, False], dtype=bool)");
  assert.equal(print([2], int64, [123456789012345678n, -1n]), "array([123456789012345678, -1], dtype=int64)");
  assert.equal(print([1], int32, [123456789]), "array([123456789], dtype=int32)");
  assert.equal(
    print([3], complex64, [complex(1, 2), complex(NaN, 0), complex(1, -2)]),
    "array([1+2j, nan+0j, 1-2j], dtype=complex64)",
  );
});
Deno.test("axes nest, long ones are cut, and only shown values are read", () => {
  assert.equal(
    print([2, 3, 2], float32, new Array(12).fill(0)),
    "array([[[0, 0],\n        [0, 0],\n        [0, 0]],\n       [[0, 0],\n        [0, 0],\n        [0, 0]]], dtype=float32)",
  );
  let read = 0;
  assert.equal(format([2000], int32, (i) => (read++, i)), "array([0, 1, 2, ..., 1997, 1998, 1999], dtype=int32)");
  assert.equal(read, 6);
  const row = "[0, 0, 0, ..., 0, 0, 0]";
  assert.equal(
    format([8, 8], int32, () => 0),
    `array([${[row, row, row, "...", row, row, row].join(",\n       ")}], dtype=int32)`,
  );
  assert.equal(format([6], int32, (i) => i), "array([0, 1, 2, 3, 4, 5], dtype=int32)");
  assert.equal(format([0], float32, () => 0), "array([], dtype=float32)");
  assert.equal(format([2, 0], float32, () => 0), "array([[],\n       []], dtype=float32)");
});
Deno.test("a precision fixes the digits after the point", () => {
  printoptions({ precision: 2 }, () => {
    assert.equal(floats(1, 0.126), "array([1.00, 0.13], dtype=float32)");
    assert.equal(print([1], complex64, [complex(1, -2)]), "array([1.00-2.00j], dtype=complex64)");
    assert.equal(print([1], int32, [7]), "array([7], dtype=int32)");
  });
  assert.equal(getPrintoptions().precision, -1);
  setPrintoptions({ precision: 3 });
  assert.equal(floats(1), "array([1.000], dtype=float32)");
  setPrintoptions();
  assert.equal(floats(1), "array([1], dtype=float32)");
});
