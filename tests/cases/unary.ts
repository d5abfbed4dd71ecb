/**
 * Cases of the elementwise primitives of one input. Special values (zeros, infinities, NaN) are a variant of their own.
 * @module
 */
import { complex64, type DType, dtypes, float16, float32, int32, uint8 } from "../../core/dtype.ts";
import type { ParamsOf } from "../../core/primitives/mod.ts";
import type { unaryPrimitives } from "../../core/primitives/unary.ts";
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
import { awayFromZero, between, type Domain, listed } from "./generate.ts";
import { type Tensor, valuesOf } from "./tensor.ts";

/** What one function is. */
interface Function1 {
  readonly plain: (x: number) => number;
  readonly general?: (z: c.C) => c.C;
  readonly domain: Domain;
  readonly dtypes?: readonly DType[];
  readonly tolerance?: Tolerance;
  /** Values whose result is certain; 0, ±1, ±∞ and NaN by default. */
  readonly special?: readonly number[];
  /** How much work per element the bench counts. */
  readonly flops?: number;
  /** Tests that it takes no part in. */
  readonly skips?: Skips;
}
type NoParams = Readonly<Record<never, never>>;
const SPECIAL = [0, -0, 1, -1, 0.5, -2.5, 3, Infinity, -Infinity, NaN];

function unary(f: Function1): Case<NoParams> {
  const taken = f.dtypes ?? (f.general ? inexact : floats);
  const usual: Variant<NoParams>[] = SHAPES.map((shape) => ({ params: {}, inputs: [{ shape, domain: f.domain }] }));
  const special = f.special ?? SPECIAL, real = taken.filter((d) => d.kind === "float");
  if (special.length && real.length) {
    const inputs = [{ shape: [3 * special.length], domain: listed(...special) }];
    usual.push({ params: {}, inputs, dtypes: real, label: "special values" });
  }
  return {
    dtypes: taken,
    variants: usual,
    tolerance: f.tolerance ?? {},
    ...(f.skips ? { skips: f.skips } : {}),
    reference: elementwise(f.plain, f.general),
    perf: [{
      label: "1M",
      dtype: taken.includes(float32) ? float32 : taken[0]!,
      params: {},
      inputs: [{ shape: LARGE, domain: f.domain }],
      flops: f.flops ?? 1,
    }],
  };
}
/** Rounds to even at .5. */
function roundEven(x: number): number {
  const low = Math.floor(x), rest = x - low;
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}
/** 2/√π e^(-x²) Σ 2^n x^(2n+1) / (1·3···(2n+1)) for small x, else 1 - e^(-x²) / √π over a continued fraction. */
function erf(x: number): number {
  if (!(Math.abs(x) < 6)) return Number.isNaN(x) ? NaN : Math.sign(x);
  const a = Math.abs(x);
  if (a < 2.5) {
    let term = a, sum = a;
    for (let n = 1; term > 1e-18 * sum; n++) {
      term *= 2 * a * a / (2 * n + 1);
      sum += term;
    }
    return Math.sign(x) * sum * 2 * Math.exp(-a * a) / Math.sqrt(Math.PI);
  }
  let fraction = 0;
  for (let k = 120; k > 0; k--) fraction = k / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / ((a + fraction) * Math.sqrt(Math.PI)));
}
/** The inverse of erf by bisection. */
function erfinv(y: number): number {
  if (!(Math.abs(y) < 1)) return Math.abs(y) === 1 ? y * Infinity : NaN;
  let [low, high] = [0, 6];
  for (let i = 0; i < 90; i++) {
    const mid = (low + high) / 2;
    if (erf(mid) < Math.abs(y)) low = mid;
    else high = mid;
  }
  return Math.sign(y) * (low + high) / 2;
}
const sigmoid = (x: number): number => x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x));
const parts = (f: (x: number) => number) => ([x, y]: c.C): c.C => [f(x), f(y)];
const ONE = c.real(1);
/** Elementary functions of complex numbers cancel in places that their real forms know. */
const transcendental: Tolerance = { ulps: 8, floor: 0.25 };

/** From one dtype into another: every pair is a variant. */
function castVariants(): Variant<ParamsOf<"astype">>[] {
  const small = [{ shape: [4, 6], domain: between(-9, 9) }], positive = [{ shape: [4, 6], domain: between(0, 9) }];
  const usual: Variant<ParamsOf<"astype">>[] = dtypes.map((dtype) => {
    const unsigned = dtype.kind === "uint";
    return { params: { dtype }, inputs: unsigned ? positive : small, dtypes: all };
  });
  const edges = listed(0, -0, 1.5, -1.5, 65504, 1e-7, 3.3895e38, Infinity, -Infinity, NaN);
  const wide = floats.map((dtype) => ({
    params: { dtype },
    inputs: [{ shape: [20], domain: edges }],
    dtypes: floats,
    label: "special values",
  }));
  return [...usual, ...wide, { params: { dtype: float16 }, inputs: [{ shape: [], domain: between(0, 9) }] }];
}
/** The same number; the tests store it as the dtype does. */
function castReference([x]: readonly Tensor[], { dtype }: ParamsOf<"astype">): ReturnType<typeof valuesOf> {
  if (dtype === complex64) return x!.im ? valuesOf(x!) : { re: x!.re, im: new Float64Array(x!.re.length) };
  return x!.re;
}

/** The cases of the family `unary`. */
export const unaryCases: Cases<keyof typeof unaryPrimitives> = {
  negative: unary({ plain: (x) => -x, general: (z) => c.scaled(-1, z), domain: between(-4, 4), dtypes: numbers }),
  abs: unary({ plain: Math.abs, general: (z) => c.real(c.size(z)), domain: awayFromZero(0.2, 4), dtypes: numbers }),
  sign: unary({
    plain: (x) => Number.isNaN(x) ? 0 : Math.sign(x) + 0,
    general: (z) => c.size(z) ? c.scaled(1 / c.size(z), z) : z,
    domain: awayFromZero(0.2, 4),
    dtypes: numbers,
    skips: { derivative: (dtype) => dtype === complex64 ? "as in MLX, nothing passes through z/|z|" : null },
  }),
  sqrt: unary({ plain: Math.sqrt, general: c.sqrt, domain: between(0.1, 4) }),
  rsqrt: unary({ plain: (x) => 1 / Math.sqrt(x), general: (z) => c.over(ONE, c.sqrt(z)), domain: between(0.1, 4) }),
  square: unary({
    plain: (x) => x * x,
    general: (z) => c.times(z, z),
    domain: between(-4, 4),
    dtypes: numbers,
    tolerance: { floor: 1e-30 },
  }),
  exp: unary({ plain: Math.exp, general: c.exp, domain: between(-4, 4), tolerance: { ulps: 6 } }),
  expm1: unary({
    plain: Math.expm1,
    general: (z) => c.minus(c.exp(z), ONE),
    domain: between(-2, 2),
    tolerance: transcendental,
  }),
  log: unary({ plain: Math.log, general: c.log, domain: between(0.1, 4), tolerance: transcendental }),
  log1p: unary({
    plain: Math.log1p,
    general: (z) => c.log(c.plus(ONE, z)),
    domain: between(-0.5, 4),
    tolerance: transcendental,
  }),
  log2: unary({
    plain: Math.log2,
    general: (z) => c.scaled(Math.LOG2E, c.log(z)),
    domain: between(0.1, 4),
    tolerance: transcendental,
  }),
  log10: unary({
    plain: Math.log10,
    general: (z) => c.scaled(Math.LOG10E, c.log(z)),
    domain: between(0.1, 4),
    tolerance: transcendental,
  }),
  sin: unary({ plain: Math.sin, general: c.sin, domain: between(-4, 4), tolerance: transcendental }),
  cos: unary({ plain: Math.cos, general: c.cos, domain: between(-4, 4), tolerance: transcendental }),
  tan: unary({
    plain: Math.tan,
    general: (z) => c.over(c.sin(z), c.cos(z)),
    domain: between(-1.2, 1.2),
    tolerance: transcendental,
  }),
  arcsin: unary({ plain: Math.asin, general: c.arcsin, domain: between(-0.9, 0.9), tolerance: transcendental }),
  arccos: unary({ plain: Math.acos, general: c.arccos, domain: between(-0.9, 0.9), tolerance: transcendental }),
  arctan: unary({ plain: Math.atan, general: c.arctan, domain: between(-0.9, 0.9), tolerance: transcendental }),
  sinh: unary({ plain: Math.sinh, general: c.sinh, domain: between(-3, 3), tolerance: transcendental }),
  cosh: unary({ plain: Math.cosh, general: c.cosh, domain: between(-3, 3), tolerance: transcendental }),
  tanh: unary({
    plain: Math.tanh,
    general: (z) => c.over(c.sinh(z), c.cosh(z)),
    domain: between(-1.4, 1.4),
    tolerance: transcendental,
  }),
  arcsinh: unary({ plain: Math.asinh, general: c.arcsinh, domain: between(-3, 3), tolerance: transcendental }),
  arccosh: unary({ plain: Math.acosh, general: c.arccosh, domain: between(1.2, 4), tolerance: transcendental }),
  arctanh: unary({ plain: Math.atanh, general: c.arctanh, domain: between(-0.9, 0.9), tolerance: transcendental }),
  erf: unary({ plain: erf, domain: between(-3, 3), tolerance: { ulps: 8 } }),
  erfinv: unary({ plain: erfinv, domain: between(-0.95, 0.95), tolerance: { ulps: 32 } }),
  sigmoid: unary({
    plain: sigmoid,
    general: (z) => c.over(ONE, c.plus(ONE, c.exp(c.scaled(-1, z)))),
    domain: between(-5, 5),
    tolerance: { ulps: 8 },
  }),
  floor: unary({ plain: Math.floor, general: parts(Math.floor), domain: between(-4, 4), dtypes: floats }),
  ceil: unary({ plain: Math.ceil, general: parts(Math.ceil), domain: between(-4, 4), dtypes: floats }),
  round: unary({ plain: roundEven, general: parts(roundEven), domain: between(-4, 4), dtypes: floats }),
  logicalNot: unary({
    plain: (x) => x === 0 ? 1 : 0,
    domain: between(-2, 2),
    dtypes: all,
    special: [0, -0, 1, NaN, Infinity],
  }),
  bitwiseInvert: unary({ plain: (x) => -x - 1, domain: between(0, 9), dtypes: integral }),
  real: unary({ plain: (x) => x, general: ([x]) => [x, 0], domain: between(-4, 4), dtypes: [complex64] }),
  imag: unary({ plain: () => 0, general: ([, y]) => [y, 0], domain: between(-4, 4), dtypes: [complex64] }),
  conjugate: unary({ plain: (x) => x, general: ([x, y]) => [x, -y], domain: between(-4, 4), dtypes: [complex64] }),
  copy: unary({ plain: (x) => x, general: (z) => z, domain: between(-9, 9), dtypes: all }),
  astype: {
    dtypes: [float32, int32, uint8],
    variants: castVariants(),
    reference: castReference,
    perf: [{
      label: "1M to half",
      dtype: float32,
      params: { dtype: float16 },
      inputs: [{ shape: LARGE, domain: between(-4, 4) }],
      flops: 0,
    }],
  },
};
