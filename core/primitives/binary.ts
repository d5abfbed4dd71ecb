/**
 * Elementwise primitives of two inputs of one dtype: shapes, dtypes and derivatives. What users call is in
 * `core/ops/binary.ts`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { bool_, type DType } from "../dtype.ts";
import { add, divide, greater, greaterEqual, less, lessEqual, multiply, power, subtract } from "../ops/binary.ts";
import { where } from "../ops/ternary.ts";
import { floor, log, negative, sigmoid, square } from "../ops/unary.ts";
import { primitives, spec } from "../primitive.ts";
import { binary, flat, type Partials, unbroadcast } from "./builders.ts";

const toBool = (): DType => bool_;
const compare = flat("binary", 2, { dtype: toBool });
const bits = flat("binary", 2);
const same = (t: NDArray): NDArray => t;

/** y = a^b: b a^(b-1), and y log a, which is 0 where y = 0. */
const powerPartials: Partials = (a, b, y) => [
  (t) => multiply(t, multiply(power(a, subtract(b, 1)), b)),
  (t) => multiply(t, where(y, multiply(log(a), y), 0)),
];

/** The primitives of the binary family, in the order of their codes. */
export const binaryPrimitives = primitives({
  add: binary(() => [same, same]),
  subtract: binary(() => [same, negative]),
  multiply: binary((a, b) => [(t) => multiply(t, b), (t) => multiply(t, a)]),
  // y = a / b: t / b, and -t y / b
  divide: binary((_a, b, y) => [(t) => divide(t, b), (t) => negative(divide(multiply(t, y), b))], { cost: 4 }),
  power: spec({
    ...binary(powerPartials, { cost: 16 }),
    // Unlike its neighbours, MLX does not conjugate here.
    vjp: ([a, b], y, ct) => {
      const [da, db] = powerPartials(a, b, y);
      return [unbroadcast(da(ct), a), unbroadcast(db(ct), b)];
    },
  }),
  // Equal inputs: all of it goes to the second one.
  maximum: binary((a, b) => [(t) => multiply(t, greater(a, b)), (t) => multiply(t, lessEqual(a, b))]),
  minimum: binary((a, b) => [(t) => multiply(t, less(a, b)), (t) => multiply(t, greaterEqual(a, b))]),
  // y = a - b floor(a / b)
  remainder: binary((a, b) => [same, (t) => negative(multiply(t, floor(divide(a, b))))], { cost: 8 }),
  floorDivide: flat("binary", 2, { cost: 8 }),
  // e^a / (e^a + e^b) = sigmoid(a - b)
  logaddexp: binary(
    (a, b) => [(t) => multiply(t, sigmoid(subtract(a, b))), (t) => multiply(t, sigmoid(subtract(b, a)))],
    { cost: 16 },
  ),
  // y = atan(a / b): b t / (a² + b²), and -a t / (a² + b²)
  arctan2: binary((a, b) => {
    const over = (t: NDArray): NDArray => divide(t, add(square(a), square(b)));
    return [(t) => multiply(over(t), b), (t) => negative(multiply(over(t), a))];
  }, { cost: 16 }),
  equal: compare,
  notEqual: { ...compare },
  greater: { ...compare },
  greaterEqual: { ...compare },
  less: { ...compare },
  lessEqual: { ...compare },
  logicalAnd: { ...compare },
  logicalOr: { ...compare },
  bitwiseAnd: bits,
  bitwiseOr: { ...bits },
  bitwiseXor: { ...bits },
  leftShift: { ...bits },
  rightShift: { ...bits },
});
