/**
 * Cases of the elementwise primitives of two inputs of one dtype.
 * @module
 */
import { bool_, complex64, type DType, float32 } from "../../core/dtype.ts";
import type { binaryPrimitives } from "../../core/primitives/binary.ts";
import type { Shape } from "../../core/primitive.ts";
import {
  all,
  type Case,
  type Cases,
  elementwise,
  floats,
  inexact,
  integral,
  LARGE,
  numbers,
  SHAPES,
  type Skips,
  type Tolerance,
  type Variant,
} from "./case.ts";
import * as c from "./complex.ts";
import { awayFromZero, between, distinct, type Domain, integers, listed } from "./generate.ts";

/** What one function is. */
interface Function2 {
  readonly plain: (x: number, y: number) => number;
  readonly general?: (x: c.C, y: c.C) => c.C;
  readonly a: Domain;
  readonly b?: Domain;
  readonly dtypes?: readonly DType[];
  readonly tolerance?: Tolerance;
  readonly skips?: Skips;
  /** Pairs of special values whose result is certain; none: []. */
  readonly special?: readonly number[];
}
type NoParams = Readonly<Record<never, never>>;
const SPECIAL = [0, -0, 1, -1, 2.5, -3, Infinity, -Infinity, NaN];
/** Equal shapes, and a 0-d input on either side. */
const PAIRS: readonly (readonly [Shape, Shape])[] = [...SHAPES.map((s) => [s, s] as const), [[2, 3], []], [[], [2, 3]]];

function binary(f: Function2): Case<NoParams> {
  const taken = f.dtypes ?? (f.general ? inexact : floats), b = f.b ?? f.a;
  const variants: Variant<NoParams>[] = PAIRS.map(([x, y]) => ({
    params: {},
    inputs: [{ shape: x, domain: f.a }, { shape: y, domain: b }],
  }));
  const special = f.special ?? SPECIAL, real = taken.filter((d) => d.kind === "float"), n = special.length;
  if (n && real.length) {
    const first = listed(...special.flatMap((x) => special.map(() => x))), second = listed(...special);
    const inputs = [{ shape: [n * n], domain: first }, { shape: [n * n], domain: second }];
    variants.push({ params: {}, inputs, dtypes: real, label: "special values" });
  }
  const dtype = taken.includes(float32) ? float32 : taken[0]!;
  return {
    dtypes: taken,
    variants,
    tolerance: f.tolerance ?? {},
    skips: f.skips ?? {},
    reference: elementwise(f.plain, f.general),
    perf: [{
      label: "1M",
      dtype,
      params: {},
      inputs: [{ shape: LARGE, domain: f.a }, { shape: LARGE, domain: b }],
      flops: 1,
    }],
  };
}
/** Comparisons of numbers that are equal now and then. */
function comparison(plain: (x: number, y: number) => boolean, general: (x: c.C, y: c.C) => boolean): Case<NoParams> {
  const truth = (x: number, y: number) => Number(plain(x, y));
  return binary({ plain: truth, general: (x, y) => c.real(Number(general(x, y))), a: integers(0, 2), dtypes: all });
}
/** Complex numbers are compared by their real parts, then by their imaginary ones. */
const before = (x: c.C, y: c.C): boolean => x[0] < y[0] || (x[0] === y[0] && x[1] < y[1]);
const same = (x: c.C, y: c.C): boolean => x[0] === y[0] && x[1] === y[1];
const isTrue = (z: c.C): boolean => z[0] !== 0 || z[1] !== 0;

const nanOr = (x: number, y: number, z: number): number => Number.isNaN(x) || Number.isNaN(y) ? NaN : z;
/** log(e^x + e^y). */
function logaddexp(x: number, y: number): number {
  const top = Math.max(x, y);
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;
  return Math.abs(top) === Infinity ? top : top + Math.log1p(Math.exp(-Math.abs(x - y)));
}
/** The remainder with the divisor's sign. */
function remainder(x: number, y: number): number {
  const r = x % y;
  return r !== 0 && (r < 0) !== (y < 0) ? r + y : r;
}
const divisible: Domain = (r, n, dtype) =>
  awayFromZero(1, 3)(r, n, dtype).map((x) => dtype.kind === "float" ? x + 0.01 * Math.sign(x) : x);
/** Exponents: small integers in integer dtypes. */
const exponent: Domain = (r, n, dtype) =>
  (dtype.kind === "int" || dtype.kind === "uint" ? integers(0, 4) : between(-2, 2))(r, n, dtype);
const base: Domain = (r, n, dtype) =>
  (dtype.kind === "int" || dtype.kind === "uint" ? between(-3, 3) : between(0.3, 2))(r, n, dtype);
const bits: readonly DType[] = [...integral, bool_];
const complexPower = "MLX's reverse rule of complex powers does not conjugate";

/** The cases of the family `binary`. */
export const binaryCases: Cases<keyof typeof binaryPrimitives> = {
  add: binary({ plain: (x, y) => x + y, general: c.plus, a: between(-4, 4), dtypes: numbers }),
  subtract: binary({ plain: (x, y) => x - y, general: c.minus, a: between(-4, 4), dtypes: numbers }),
  multiply: binary({
    plain: (x, y) => x * y,
    general: c.times,
    a: between(-4, 4),
    dtypes: numbers,
    tolerance: { floor: 1e-30 },
  }),
  divide: binary({ plain: (x, y) => x / y, general: c.over, a: between(-4, 4), b: awayFromZero(0.5, 3) }),
  power: binary({
    plain: Math.pow,
    general: c.power,
    a: base,
    b: exponent,
    dtypes: numbers,
    tolerance: { ulps: 16 },
    special: [],
    skips: {
      transpose: (d) => d === complex64 ? complexPower : null,
      second: (d) => d === complex64 ? complexPower : null,
    },
  }),
  maximum: binary({
    plain: (x, y) => nanOr(x, y, x > y ? x : y),
    general: (x, y) => before(y, x) ? x : y,
    a: distinct(-4, 4),
    dtypes: numbers,
    special: [1, -1, 2.5, Infinity, -Infinity, NaN],
  }),
  minimum: binary({
    plain: (x, y) => nanOr(x, y, x < y ? x : y),
    general: (x, y) => before(x, y) ? x : y,
    a: distinct(-4, 4),
    dtypes: numbers,
    special: [1, -1, 2.5, Infinity, -Infinity, NaN],
  }),
  remainder: binary({
    plain: remainder,
    a: between(-9, 9),
    b: divisible,
    dtypes: [...floats, ...integral],
    tolerance: { floor: 1 },
    special: [],
  }),
  floorDivide: binary({
    plain: (x, y) => Math.floor(x / y),
    a: between(-9, 9),
    b: divisible,
    dtypes: [...floats, ...integral],
    special: [],
  }),
  logaddexp: binary({ plain: logaddexp, a: between(-4, 4), tolerance: { ulps: 8, floor: 0.25 } }),
  arctan2: binary({
    plain: Math.atan2,
    a: awayFromZero(0.2, 4),
    tolerance: { ulps: 6 },
    special: [1, -1, 2.5, -3, NaN],
  }),
  equal: comparison((x, y) => x === y, same),
  notEqual: comparison((x, y) => x !== y, (x, y) => !same(x, y)),
  greater: comparison((x, y) => x > y, (x, y) => before(y, x)),
  greaterEqual: comparison((x, y) => x >= y, (x, y) => !before(x, y)),
  less: comparison((x, y) => x < y, before),
  lessEqual: comparison((x, y) => x <= y, (x, y) => !before(y, x)),
  logicalAnd: comparison((x, y) => x !== 0 && y !== 0, (x, y) => isTrue(x) && isTrue(y)),
  logicalOr: comparison((x, y) => x !== 0 || y !== 0, (x, y) => isTrue(x) || isTrue(y)),
  bitwiseAnd: binary({ plain: (x, y) => x & y, a: between(-99, 99), dtypes: bits }),
  bitwiseOr: binary({ plain: (x, y) => x | y, a: between(-99, 99), dtypes: bits }),
  bitwiseXor: binary({ plain: (x, y) => x ^ y, a: between(-99, 99), dtypes: bits }),
  leftShift: binary({ plain: (x, y) => x * 2 ** y, a: between(-9, 9), b: integers(0, 7), dtypes: integral }),
  rightShift: binary({
    plain: (x, y) => Math.floor(x / 2 ** y),
    a: between(-99, 99),
    b: integers(0, 7),
    dtypes: integral,
  }),
};
