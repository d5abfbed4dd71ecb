/** Promotion, categories, limits and weak scalars, against MLX's tables. */
import assert from "node:assert/strict";
import {
  bfloat16,
  bool_,
  canCast,
  complex,
  complex64,
  dtypes,
  finfo,
  float,
  float16,
  float32,
  float64,
  iinfo,
  int16,
  int32,
  int64,
  int8,
  isdtype,
  issubdtype,
  promoteTypes,
  resultType,
  scalarType,
  uint16,
  uint32,
  uint64,
  uint8,
} from "../../core/dtype.ts";
import { DTypeError, ValueError } from "../../core/errors.ts";

Deno.test("promotion is symmetric and idempotent, and bool gives way to all", () => {
  for (const a of dtypes) {
    assert.equal(promoteTypes(a, a), a);
    assert.equal(promoteTypes(bool_, a), a);
    assert.equal(promoteTypes(a, complex64), complex64);
    for (const b of dtypes) assert.equal(promoteTypes(a, b), promoteTypes(b, a));
  }
});
Deno.test("promotion of unlike kinds", () => {
  assert.equal(promoteTypes(uint8, int8), int16);
  assert.equal(promoteTypes(uint16, int8), int32);
  assert.equal(promoteTypes(uint16, int16), int32);
  assert.equal(promoteTypes(uint32, int8), int64);
  assert.equal(promoteTypes(uint8, int32), int32);
  for (const d of [int8, int16, int32, int64]) assert.equal(promoteTypes(uint64, d), float32);
  assert.equal(promoteTypes(uint64, uint8), uint64);
  assert.equal(promoteTypes(int64, float16), float16);
  assert.equal(promoteTypes(float16, bfloat16), float32);
  assert.equal(promoteTypes(bfloat16, float64), float64);
});
Deno.test("weak scalars take the dtype beside them where they can", () => {
  assert.equal(scalarType(true, float16), float16);
  assert.equal(scalarType(2, bool_), int32);
  assert.equal(scalarType(2, bfloat16), bfloat16);
  assert.equal(scalarType(2.5, bfloat16), bfloat16);
  assert.equal(scalarType(2.5, int8), float32);
  assert.equal(scalarType(float(2), int8), float32);
  assert.equal(scalarType(1e30, int8), float32);
  assert.equal(scalarType(NaN, float16), float16);
  assert.equal(scalarType(complex(1), float16), complex64);
  assert.deepEqual([2, 2147483648, 5n, 0.5, true].map((x) => scalarType(x)), [int32, int64, int32, float32, bool_]);
});
Deno.test("resultType folds arrays first, then scalars", () => {
  assert.equal(resultType(int32, float16), float16);
  assert.equal(resultType(2, int8), int8);
  assert.equal(resultType(2.5, int8), float32);
  assert.equal(resultType({ dtype: uint8 }, int8, true), int16);
  assert.equal(resultType(2, 2.5), float32);
  assert.throws(() => resultType(), /\[resultType\] cannot promote/);
});
Deno.test("categories nest", () => {
  assert.ok(issubdtype(float16, "floating") && issubdtype(float16, "inexact") && issubdtype("floating", "generic"));
  assert.ok(issubdtype(complex64, "inexact") && !issubdtype(complex64, "floating"));
  assert.ok(issubdtype(bool_, "generic") && !issubdtype(bool_, "number"));
  assert.ok(issubdtype(uint8, "unsignedinteger") && !issubdtype("integer", uint8) && issubdtype(int8, int8));
});
Deno.test("kinds of the array API", () => {
  assert.deepEqual([bool_, uint8, int8, bfloat16, complex64].map((d) => isdtype(d, "numeric")), [
    false,
    true,
    true,
    true,
    true,
  ]);
  assert.ok(isdtype(uint8, ["bool", "integral"]) && isdtype(float32, float32) && !isdtype(float32, "integral"));
  assert.throws(() => isdtype(float32, "float"), ValueError);
});
Deno.test("canCast follows promotion", () => {
  assert.ok(canCast(uint64, float16) && canCast(bool_, uint8) && canCast({ dtype: uint16 }, int32));
  assert.ok(!canCast(bfloat16, float16) && !canCast(float32, int64) && !canCast(uint32, int32));
});
Deno.test("limits", () => {
  assert.deepEqual(finfo(float16), {
    dtype: float16,
    bits: 16,
    min: -65504,
    max: 65504,
    eps: 2 ** -10,
    smallestNormal: 2 ** -14,
  });
  assert.equal(finfo(bfloat16).max, 3.3895313892515355e38);
  assert.equal(finfo(float32).max, 3.4028234663852886e38);
  assert.equal(finfo(float64).max, Number.MAX_VALUE);
  assert.equal(finfo(float64).eps, Number.EPSILON);
  assert.equal(finfo(complex64).dtype, float32);
  assert.deepEqual(iinfo(int8), { dtype: int8, bits: 8, min: -128, max: 127 });
  assert.deepEqual(iinfo(uint64), { dtype: uint64, bits: 64, min: 0n, max: 2n ** 64n - 1n });
  assert.throws(() => finfo(int32), DTypeError);
  assert.throws(() => iinfo(float32), {
    name: "DTypeError",
    message:
      "[iinfo] cannot give integer limits of float32: expected an integer dtype, got float32. Fix: use mx.finfo for floats",
  });
});
Deno.test("complex scalars print as MLX's", () => {
  assert.equal(String(complex(1, -2)), "1-2j");
  assert.equal(String(complex(0, 2)), "0+2j");
});
