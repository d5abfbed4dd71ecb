/**
 * Derivatives of every primitive. The forward rule against central differences of the reference in a random direction,
 * the reverse rule as the transpose of the forward rule, second derivatives against second differences of the
 * reference, through both rules. References are in double precision, so the differences are good to about 1e-9 whatever
 * the dtype: the first one of the case, which is float32 where there is a GPU instead of float64.
 * @module
 */
import type { NDArray } from "../../core/array.ts";
import { complex64, type DType, float64 } from "../../core/dtype.ts";
import { primitive } from "../../core/graph.ts";
import type { PrimitiveName } from "../../core/primitives/mod.ts";
import { jvp, vjp } from "../../mod.ts";
import type { Case, Variant } from "../cases/case.ts";
import { Random } from "../cases/generate.ts";
import { count, fromArray, type Tensor, tensor, toArray, type Values } from "../cases/tensor.ts";
import { call, FULL, inputsOf, nameOf, suite, type Trial } from "./harness.ts";

/** Elements beyond which differences meet the steps of a step function, or overflow; and time matters. */
const LARGE = FULL ? 2000 : 300;
const isSmooth = (dtype: DType): boolean => dtype.kind === "float" || dtype.kind === "complex";
/**
 * How far derivatives in a dtype may be off: of first order (against differences), of the transpose, of second order.
 */
function toleranceOf(dtype: DType): { readonly first: number; readonly transpose: number; readonly second: number } {
  if (dtype === float64) return { first: 1e-6, transpose: 1e-11, second: 1e-6 };
  return dtype.size === 2
    ? { first: 3e-2, transpose: 3e-2, second: 3e-2 }
    : { first: 1e-3, transpose: 2e-5, second: 1e-3 };
}

/** Numbers of [-1, 1] in the shape and dtype of `like`. */
function randomLike(like: { readonly shape: readonly number[]; readonly dtype: DType }, r: Random): Tensor {
  const draw = () => Float64Array.from({ length: count(like.shape) }, () => 2 * r.next() - 1);
  return tensor(like.shape, like.dtype, like.dtype.kind === "complex" ? { re: draw(), im: draw() } : draw());
}
/** x + h t, not rounded. */
function moved(x: Tensor, t: Tensor, h: number): Tensor {
  const along = (a: Float64Array, b: Float64Array) => a.map((v, i) => v + h * b[i]!);
  return { ...x, re: along(x.re, t.re), im: x.im && along(x.im, t.im!) };
}
/** The real inner product Re Σ conj(a) b. */
function inner(a: Tensor, b: Tensor): number {
  let sum = 0;
  for (let i = 0; i < a.re.length; i++) sum += a.re[i]! * b.re[i]! + (a.im?.[i] ?? 0) * (b.im?.[i] ?? 0);
  return sum;
}
const innerAll = (a: readonly Tensor[], b: readonly Tensor[]): number =>
  a.reduce((sum, x, i) => sum + inner(x, b[i]!), 0);
/** Values in parts; what is infinite where nothing was reduced does not move, and counts as 0. */
function partsOf(v: Values): { re: Float64Array; im: Float64Array | null } {
  const finite = (x: Float64Array) => x.map((a) => Number.isFinite(a) ? a : 0);
  return v instanceof Float64Array ? { re: finite(v), im: null } : { re: finite(v.re), im: finite(v.im) };
}

/** A primitive as a function of its smooth inputs. */
interface Smooth {
  readonly xs: readonly Tensor[];
  /** Which of the inputs have derivatives. */
  readonly at: readonly number[];
  readonly arrays: readonly NDArray[];
  readonly f: (...smooth: NDArray[]) => NDArray;
  readonly reference: (h: number, directions: readonly Tensor[]) => Values;
}
function smoothPart(name: PrimitiveName, c: Case, variant: Variant, xs: readonly Tensor[]): Smooth {
  const at = xs.flatMap((x, i) => isSmooth(x.dtype) && !variant.inputs[i]!.fixed ? [i] : []), arrays = xs.map(toArray);
  const out = primitive(name).infer(xs, variant.params);
  return {
    xs: at.map((i) => xs[i]!),
    at,
    arrays: at.map((i) => arrays[i]!),
    f: (...smooth) => call(name, arrays.map((x, i) => at.includes(i) ? smooth[at.indexOf(i)]! : x), variant),
    reference: (h, directions) =>
      c.reference(xs.map((x, i) => at.includes(i) ? moved(x, directions[at.indexOf(i)]!, h) : x), variant.params, out),
  };
}
/** The dtype with the fewest digits, of the inputs and the result. */
function coarser(s: Smooth, out: DType): DType {
  const digits = (d: DType): number => d === float64 ? 8 : d.size === 2 ? 2 : 4;
  return s.xs.map((x) => x.dtype).reduce((a, b) => digits(b) < digits(a) ? b : a, out);
}
/** Do two numbers agree, up to a part of `size`? */
function agree(what: string, got: number, wanted: number, size: number, tolerance: number): string | null {
  const error = Math.abs(got - wanted);
  return error <= tolerance * Math.max(Math.abs(wanted), size, 1e-3)
    ? null
    : `${what} ${got}, expected ${wanted} (${(error / size).toExponential(1)})`;
}
const norm = (xs: readonly Tensor[]): number => Math.sqrt(innerAll(xs, xs));

function forward(s: Smooth, t: readonly Tensor[], out: DType): string | null {
  const h = 1e-6, [plus, minus] = [partsOf(s.reference(h, t)), partsOf(s.reference(-h, t))];
  const slope = (a: Float64Array, b: Float64Array) => a.map((v, i) => (v - b[i]!) / (2 * h));
  const wanted = { re: slope(plus.re, minus.re), im: plus.im && slope(plus.im, minus.im!) };
  const [, [got]] = jvp(s.f, s.arrays, t.map(toArray)), y = fromArray(got!);
  const size = Math.sqrt(
    wanted.re.reduce((sum, v, i) => sum + v * v + (wanted.im?.[i] ?? 0) ** 2, 0) / Math.max(1, wanted.re.length),
  );
  const { first } = toleranceOf(coarser(s, out));
  for (let i = 0; i < y.re.length; i++) {
    const text = agree(`jvp[${i}]`, y.re[i]!, wanted.re[i]!, size, first) ??
      (y.im && agree(`imaginary jvp[${i}]`, y.im[i]!, wanted.im?.[i] ?? 0, size, first));
    if (text) return text;
  }
  return null;
}
/** <ct, J t> = <Jᵀ ct, t>. */
function transpose(s: Smooth, t: readonly Tensor[], ct: Tensor): string | null {
  const [, [y]] = jvp(s.f, s.arrays, t.map(toArray)), [, back] = vjp(s.f, s.arrays, [toArray(ct)]);
  const wrong = back.findIndex((g, i) => g.shape.join() !== s.xs[i]!.shape.join() || g.dtype !== s.xs[i]!.dtype);
  if (wrong >= 0) return `cotangent ${wrong} is ${back[wrong]!.dtype}[${back[wrong]!.shape}]`;
  const cotangents = back.map(fromArray), forwardValue = inner(ct, fromArray(y!)), backward = innerAll(cotangents, t);
  return agree(
    "<Jᵀ ct, t> is",
    backward,
    forwardValue,
    norm([ct]) * norm([fromArray(y!)]),
    toleranceOf(coarser(s, ct.dtype)).transpose,
  );
}
/**
 * With φ(x) = <ct, f(x)>: <t, H t> through forward over reverse and reverse over reverse, against φ's second
 * difference.
 */
function second(s: Smooth, t: readonly Tensor[], ct: Tensor): string | null {
  const gradient = (...xs: NDArray[]): NDArray[] => vjp(s.f, xs, [toArray(ct)])[1];
  const h = 1e-4,
    phi = (step: number): number => {
      const { re, im } = partsOf(s.reference(step, t));
      return inner(ct, { ...ct, re, im });
    };
  const middle = phi(0), wanted = (phi(h) - 2 * middle + phi(-h)) / (h * h);
  const tangents = t.map(toArray), size = norm(t) * norm(t) + Math.abs(middle);
  const over = jvp(gradient, s.arrays, tangents)[1].map(fromArray),
    twice = vjp(gradient, s.arrays, tangents)[1].map(fromArray);
  const tolerance = toleranceOf(coarser(s, ct.dtype)).second;
  return agree("<t, H t> by jvp of vjp is", innerAll(t, over), wanted, size, tolerance) ??
    agree("<t, H t> by vjp of vjp is", innerAll(t, twice), wanted, size, tolerance);
}

function tryVariant(name: PrimitiveName, c: Case, variant: Variant, dtype: DType, seed: number, t: Trial): void {
  const xs = inputsOf(variant, dtype, seed), r = new Random(seed + 1);
  const out = primitive(name).infer(xs, variant.params);
  if (!isSmooth(out.dtype) || !xs.some((x) => isSmooth(x.dtype))) {
    return t.skip("integers and booleans have no derivative");
  }
  const reason = c.skips?.derivative?.(dtype);
  if (reason) return t.skip(reason);
  const s = smoothPart(name, c, variant, xs), tangents = s.xs.map((x) => randomLike(x, r)), ct = randomLike(out, r);
  const what = nameOf(name, variant, dtype);
  t.check(what, () => forward(s, tangents, out.dtype));
  // One input at a time: the others have no tangent.
  if (s.xs.length > 1) {
    s.xs.forEach((_, only) => {
      const alone = tangents.map((d, i) =>
        i === only ? d : { ...d, re: d.re.map(() => 0), im: d.im && d.im.map(() => 0) }
      );
      t.check(`${what} along input ${s.at[only]}`, () => forwardAlone(s, alone, only, out.dtype));
    });
  }
  const noTranspose = c.skips?.transpose?.(dtype), noSecond = c.skips?.second?.(dtype) ?? variant.firstOrder;
  if (noTranspose) t.skip(noTranspose);
  else t.check(what, () => transpose(s, tangents, ct));
  if (noSecond) t.skip(noSecond);
  else t.check(what, () => second(s, tangents, ct));
}
/** The forward rule where only one input has a tangent: rules see null for the others. */
function forwardAlone(s: Smooth, directions: readonly Tensor[], only: number, out: DType): string | null {
  const f = (x: NDArray): NDArray => s.f(...s.arrays.map((a, i) => i === only ? x : a));
  const alone: Smooth = {
    xs: [s.xs[only]!],
    at: [s.at[only]!],
    arrays: [s.arrays[only]!],
    f,
    reference: (h) => s.reference(h, directions),
  };
  return forward(alone, [directions[only]!], out);
}

suite("derivative", (name, c, t) => {
  const family = [c.dtypes[0]!, ...c.dtypes.includes(complex64) && c.dtypes[0] !== complex64 ? [complex64] : []];
  c.variants.forEach((variant, v) => {
    const taken = variant.dtypes ? family.filter((d) => variant.dtypes!.includes(d)) : family;
    const n = variant.inputs.reduce((sum, { shape }) => sum + count(shape), 0);
    if (variant.label) return t.skip("variants for special values and layouts of bytes");
    if (n > LARGE) return t.skip("large inputs");
    for (const dtype of taken.length ? taken : (variant.dtypes ?? []).slice(0, 1)) {
      tryVariant(name, c, variant, dtype, 77 * v + 5, t);
    }
  });
});
