/** What ops say before anything runs: shapes, dtypes and errors. Needs no library. */
import assert from "node:assert/strict";
import * as mx from "../../core/mod.ts";

const f16 = mx.zeros([2, 3], mx.float16), i8 = mx.zeros([2, 3], mx.int8), u8 = mx.zeros([3], mx.uint8);
const seen = (x: mx.NDArray): string => `${x.dtype}[${x.shape}]`;

Deno.test("scalars are weak, arrays are not", () => {
  assert.equal(seen(mx.add(f16, 2)), "float16[2,3]");
  assert.equal(seen(mx.add(f16, mx.array(1))), "float32[2,3]");
  assert.equal(seen(mx.add(i8, 2)), "int8[2,3]");
  assert.equal(seen(mx.add(i8, mx.float(2))), "float32[2,3]");
  assert.equal(seen(mx.add(i8, true)), "int8[2,3]");
  assert.equal(seen(mx.multiply(f16, mx.complex(0, 1))), "complex64[2,3]");
  assert.equal(seen(mx.add(i8, u8)), "int16[2,3]");
  assert.equal(seen(mx.where(mx.greater(i8, 0), i8, 0.5)), "float32[2,3]");
  assert.throws(() => mx.add(u8, 300), {
    name: "ValueError",
    message:
      "[add] cannot use 300 as uint8: expected an integer in [0, 255], as it stands beside an array of uint8, got 300. " +
      "Fix: cast the array to a wider dtype first, or write mx.float(...)",
  });
});
Deno.test("dtypes of results", () => {
  assert.equal(seen(mx.divide(i8, i8)), "float32[2,3]");
  assert.equal(seen(mx.exp(i8)), "float32[2,3]");
  assert.equal(seen(mx.sum(i8, 0)), "int32[3]");
  assert.equal(seen(mx.sum(u8)), "uint32[]");
  assert.equal(seen(mx.mean(i8, -1, { keepdims: true })), "float32[2,1]");
  assert.equal(seen(mx.argmax(f16, { axis: 1, keepdims: true })), "uint32[2,1]");
  assert.equal(seen(mx.cumsum(mx.equal(f16, 0), 0)), "int32[2,3]");
  assert.equal(seen(mx.abs(mx.array([mx.complex(3, 4)]))), "float32[1]");
  assert.equal(seen(mx.leftShift(mx.array([true]), mx.array([true]))), "uint8[1]");
});
Deno.test("host values", () => {
  assert.equal(seen(mx.array([[1, 2], [3, 4]])), "float32[2,2]");
  assert.equal(seen(mx.array([true, false])), "bool[2]");
  assert.equal(seen(mx.array([1n])), "int64[1]");
  assert.equal(seen(mx.array(new Float64Array(3))), "float32[3]");
  assert.equal(seen(mx.array(new Int16Array(3), mx.bfloat16)), "bfloat16[3]");
  assert.equal(seen(mx.array([[], []])), "float32[2,0]");
  assert.equal(seen(mx.array([mx.zeros([2]), mx.ones([2])])), "float32[2,2]");
  assert.throws(() => mx.array([[1, 2], [3]]), mx.ShapeError);
  assert.equal(seen(mx.arange(0, 1, 0.25)), "float32[4]");
  assert.equal(seen(mx.arange(3)), "int32[3]");
  assert.equal(seen(mx.linspace(0, 1, 7)), "float32[7]");
});
Deno.test("what is refused", () => {
  assert.throws(() => mx.add(mx.zeros([2]), mx.zeros([3])), mx.ShapeError);
  assert.throws(() => mx.negative(mx.array([true])), mx.DTypeError);
  assert.throws(() => mx.bitwiseAnd(f16, f16), mx.DTypeError);
  assert.throws(() => mx.max(mx.zeros([0])), mx.ShapeError);
  assert.throws(() => mx.sum(f16, 2), mx.IndexError);
  assert.throws(() => mx.sum(f16, [0, -2]), mx.ValueError);
  assert.throws(() => mx.sort(mx.array(1)), mx.IndexError);
  assert.throws(() => mx.clip(f16, null, null), mx.ValueError);
  assert.throws(() => mx.random.uniform([2], { key: mx.zeros([2]) }), mx.ShapeError);
  assert.throws(() => mx.random.normal([2], { dtype: mx.int32 }), mx.DTypeError);
});
