/**
 * Complex numbers as pairs, with the elementary functions from their definitions by exp and log. References use these,
 * in double precision.
 * @module
 */
/** Real and imaginary part. */
export type C = readonly [number, number];

/** i. */
export const I: C = [0, 1];
/** A real number. */
export const real = (x: number): C => [x, 0];
/** a + b. */
export const plus = (a: C, b: C): C => [a[0] + b[0], a[1] + b[1]];
/** a - b. */
export const minus = (a: C, b: C): C => [a[0] - b[0], a[1] - b[1]];
/** a b. */
export const times = (a: C, b: C): C => [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]];
/** s a for a real s. */
export const scaled = (s: number, a: C): C => [s * a[0], s * a[1]];
/** The conjugate. */
export const conjugate = (a: C): C => [a[0], -a[1]];
/** a / b. */
export function over(a: C, b: C): C {
  const n = b[0] * b[0] + b[1] * b[1];
  return [(a[0] * b[0] + a[1] * b[1]) / n, (a[1] * b[0] - a[0] * b[1]) / n];
}
/** |a|. */
export const size = (a: C): number => Math.hypot(a[0], a[1]);
/** e^a. */
export const exp = (a: C): C => [Math.exp(a[0]) * Math.cos(a[1]), Math.exp(a[0]) * Math.sin(a[1])];
/** The principal logarithm. */
export const log = (a: C): C => [Math.log(size(a)), Math.atan2(a[1], a[0])];
/** The principal square root. */
export function sqrt(a: C): C {
  const r = size(a);
  return [Math.sqrt((r + a[0]) / 2), Math.sign(a[1] || 1) * Math.sqrt((r - a[0]) / 2)];
}
/** a^b = e^(b log a). */
export const power = (a: C, b: C): C => exp(times(b, log(a)));
const ONE: C = [1, 0];
const turned = (a: C): C => times(I, a);
/** (e^a + e^-a) / 2. */
export const cosh = (a: C): C => scaled(0.5, plus(exp(a), exp(scaled(-1, a))));
/** (e^a - e^-a) / 2. */
export const sinh = (a: C): C => scaled(0.5, minus(exp(a), exp(scaled(-1, a))));
/** cosh(i a). */
export const cos = (a: C): C => cosh(turned(a));
/** sinh(i a) / i. */
export const sin = (a: C): C => over(sinh(turned(a)), I);
/** -i log(i a + sqrt(1 - a²)). */
export const arcsin = (a: C): C => over(log(plus(turned(a), sqrt(minus(ONE, times(a, a))))), I);
/** π/2 - arcsin a. */
export const arccos = (a: C): C => minus(real(Math.PI / 2), arcsin(a));
/** i/2 (log(1 - i a) - log(1 + i a)). */
export const arctan = (a: C): C => times([0, 0.5], minus(log(minus(ONE, turned(a))), log(plus(ONE, turned(a)))));
/** log(a + sqrt(a² + 1)). */
export const arcsinh = (a: C): C => log(plus(a, sqrt(plus(times(a, a), ONE))));
/** log(a + sqrt(a + 1) sqrt(a - 1)). */
export const arccosh = (a: C): C => log(plus(a, times(sqrt(plus(a, ONE)), sqrt(minus(a, ONE)))));
/** (log(1 + a) - log(1 - a)) / 2. */
export const arctanh = (a: C): C => scaled(0.5, minus(log(plus(ONE, a)), log(minus(ONE, a))));
