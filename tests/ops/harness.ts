/**
 * What the generic suites share: inputs drawn for a case, the layouts they are tried in, comparison with a tolerance,
 * and skips, which need a reason and are counted. `DENIM_FULL=1` runs all combinations, else a part of them.
 * @module
 */
import type { NDArray } from "../../core/array.ts";
import { defaultDevice } from "../../core/device.ts";
import { DType, float64 } from "../../core/dtype.ts";
import { type AnyParams, bindRecord, primitive } from "../../core/graph.ts";
import type { PrimitiveName } from "../../core/primitives/mod.ts";
import { eval as evaluate, slice } from "../../mod.ts";
import type { Case, Tolerance, Variant } from "../cases/case.ts";
import { Random } from "../cases/generate.ts";
import { allCases } from "../cases/mod.ts";
import {
  count,
  fromArray,
  indicesOf,
  placeOf,
  stepsOf,
  taken,
  type Tensor,
  tensor,
  toArray,
  type Values,
} from "../cases/tensor.ts";

/** Whether everything is tried. */
export const FULL: boolean = Deno.env.get("DENIM_FULL") === "1";

/** The primitive on arrays, as the ops bind it. */
export function call(name: PrimitiveName, xs: readonly NDArray[], variant: Variant): NDArray {
  return bindRecord(primitive(name), xs, variant.params);
}
/** What the reference gives, in double precision or as the dtype of the result stores it. */
export function expected(
  name: PrimitiveName,
  c: Case,
  xs: readonly Tensor[],
  variant: Variant,
): { exact: Values; stored: Tensor } {
  const out = primitive(name).infer(xs, variant.params), exact = c.reference(xs, variant.params, out);
  return { exact, stored: tensor(out.shape, out.dtype, exact) };
}
/** Inputs of a variant; the same seed draws the same. */
export function inputsOf(variant: Variant, dtype: DType, seed: number): Tensor[] {
  const random = new Random(seed);
  return variant.inputs.map((input) => {
    const own = input.dtype ?? dtype, n = count(input.shape);
    const draw = () => Float64Array.from(input.domain(random, n, own));
    return tensor(input.shape, own, own.kind === "complex" ? { re: draw(), im: draw() } : draw());
  });
}

// ---- layouts ----

/** An array of the library that has the tensor's values; a layout may change them (a broadcast repeats). */
export interface Placed {
  readonly tensor: Tensor;
  readonly array: NDArray;
}
/** Lays a tensor out in memory, or null where it has too few axes for that. */
export type Layout = (x: Tensor) => Placed | null;

function computed(x: NDArray): NDArray {
  evaluate(x);
  return x;
}
/** A tensor whose element at `index` is that of `x` at `source(index)`; 0 where that is null. */
function moved(x: Tensor, shape: readonly number[], source: (index: number[]) => number[] | null): Tensor {
  const places = [...indicesOf(shape)].map((index) => {
    const from = source(index);
    return from ? placeOf(x.shape, from) : -1;
  });
  const pick = (v: Float64Array) => Float64Array.from(places, (at) => at < 0 ? 77 : v[at]!);
  return { shape, dtype: x.dtype, re: pick(x.re), im: x.im && pick(x.im) };
}
const whole = slice(null);
/** All layouts by name. */
export const LAYOUTS: Readonly<Record<string, Layout>> = {
  contiguous: (x) => ({ tensor: x, array: computed(toArray(x)) }),
  constant: (x) => ({ tensor: x, array: toArray(x) }),
  transposed: (x) => {
    if (x.shape.length < 2) return null;
    const back = moved(x, x.shape.toReversed(), (index) => index.toReversed());
    return { tensor: x, array: computed(toArray(back)).T };
  },
  sliced: (x) => {
    if (x.shape.length === 0) return null;
    const wide = moved(
      x,
      x.shape.map((n) => 2 * n + 1),
      (index) => index.every((i) => i % 2 === 1) ? index.map((i) => (i - 1) / 2) : null,
    );
    return { tensor: x, array: computed(toArray(wide)).index(...x.shape.map((n) => slice(1, 2 * n, 2))) };
  },
  reversed: (x) => {
    if (x.shape.length === 0) return null;
    const turned = moved(x, x.shape, (index) => index.map((i, axis) => x.shape[axis]! - 1 - i));
    return { tensor: x, array: computed(toArray(turned)).index(...x.shape.map(() => slice(null, null, -1))) };
  },
  offset: (x) => {
    if (x.shape.length === 0) return null;
    const longer = moved(
      x,
      [x.shape[0]! + 2, ...x.shape.slice(1)],
      ([i, ...rest]) => i! < 2 ? null : [i! - 2, ...rest],
    );
    return { tensor: x, array: computed(toArray(longer)).index(slice(2, null), ...x.shape.slice(1).map(() => whole)) };
  },
  broadcast: (x) => {
    if (x.shape.length === 0 || x.shape[0]! < 2) return null;
    const row = moved(x, [1, ...x.shape.slice(1)], (index) => index), steps = stepsOf(x.shape)[0]!;
    const repeated = taken(row, x.shape, Array.from({ length: count(x.shape) }, (_, i) => i % steps));
    return { tensor: repeated, array: computed(toArray(row)).broadcastTo(x.shape) };
  },
};

// ---- comparison ----

const EPSILON: Readonly<Record<string, number>> = {
  float16: 2 ** -10,
  bfloat16: 2 ** -7,
  float32: 2 ** -23,
  complex64: 2 ** -23,
  float64: 2 ** -52,
};
const SMALLEST: Readonly<Record<string, number>> = {
  float16: 2 ** -24,
  bfloat16: 1e-40,
  float32: 1e-44,
  complex64: 1e-44,
  float64: 5e-324,
};

/** The largest finite number of a tensor. */
function largest(x: Tensor): number {
  let top = 0;
  for (const v of x.re) if (Number.isFinite(v)) top = Math.max(top, Math.abs(v));
  return top;
}
/** A relative tolerance in units of the last place of the dtype. */
export function relative(ulps: number, half = ulps): Tolerance {
  return { ulps, half };
}
/** Where two tensors differ by more than allowed, as text; null where they agree. */
export function difference(actual: Tensor, wanted: Tensor, t: Tolerance, elementwise: boolean): string | null {
  if (actual.dtype !== wanted.dtype) return `dtype ${actual.dtype}, expected ${wanted.dtype}`;
  if (actual.shape.join() !== wanted.shape.join()) return `shape [${actual.shape}], expected [${wanted.shape}]`;
  const name = wanted.dtype.name, eps = EPSILON[name] ?? 0;
  const units = name === "float16" || name === "bfloat16" ? t.half ?? 1 : t.ulps ?? 4;
  const floor = t.floor ?? (elementwise ? 0 : largest(wanted));
  for (let i = 0; i < wanted.re.length; i++) {
    const [a, b] = [actual.re[i]!, wanted.re[i]!], [ai, bi] = [actual.im?.[i] ?? 0, wanted.im?.[i] ?? 0];
    if (Object.is(a, b) && Object.is(ai, bi)) continue;
    const size = Math.hypot(b, bi), error = Math.hypot(a - b, ai - bi);
    if (a === b && ai === bi) continue;
    if (Number.isFinite(error) && error <= Math.max(units * eps * Math.max(size, floor), eps ? SMALLEST[name]! : 0)) {
      continue;
    }
    return `element ${i} is ${show(a, ai, actual)}, expected ${show(b, bi, wanted)} (${
      (error / (eps * Math.max(size, floor))).toFixed(1)
    } units, ${units} allowed)`;
  }
  return null;
}
function show(re: number, im: number, x: Tensor): string {
  return x.im ? `${re}${im < 0 ? "" : "+"}${im}i` : String(re);
}
/** Bit for bit, but for the sign of NaN. */
export function exactDifference(actual: Tensor, wanted: Tensor): string | null {
  if (actual.dtype !== wanted.dtype || actual.shape.join() !== wanted.shape.join()) {
    return difference(actual, wanted, {}, true);
  }
  const at = actual.re.findIndex((v, i) => !Object.is(v, wanted.re[i]) || !Object.is(actual.im?.[i], wanted.im?.[i]));
  return at < 0
    ? null
    : `element ${at} is ${show(actual.re[at]!, actual.im?.[at] ?? 0, actual)}, expected ${
      show(wanted.re[at]!, wanted.im?.[at] ?? 0, wanted)
    }`;
}

// ---- running ----

/** Parameters as text; equal ones have equal texts. */
export function paramsText(params: AnyParams): string {
  return JSON.stringify(
    params,
    (_key, v) => ArrayBuffer.isView(v) ? `data of ${v.byteLength} bytes` : v instanceof DType ? v.name : v,
  );
}
/** How a failure names what was tried. */
export function nameOf(name: PrimitiveName, variant: Variant, dtype: DType, more = ""): string {
  const params = paramsText(variant.params);
  const shapes = variant.inputs.map((input) => `${input.dtype ?? dtype}[${input.shape}]`).join(" ");
  return `${name} ${params} ${shapes}${variant.label ? ` (${variant.label})` : ""}${more ? ` ${more}` : ""}`;
}
/** A test in progress: failures and skips, so that one run shows all of them. */
export class Trial {
  readonly failures: string[] = [];
  readonly skips = new Map<string, number>();
  checks = 0;
  /** Notes what a check says; null is agreement. An error that is thrown is a failure too. */
  check(what: string, run: () => string | null): void {
    this.checks++;
    let text: string | null;
    try {
      text = run();
    } catch (e) {
      text = `throws ${e instanceof Error ? e.message : e}`;
    }
    if (text !== null) this.failures.push(`${what}: ${text}`);
  }
  /** Not tried, and why. */
  skip(reason: string): void {
    this.skips.set(reason, (this.skips.get(reason) ?? 0) + 1);
  }
}
/** Counts of a whole suite. */
const totals = new Map<string, { checks: number; skips: Map<string, number> }>();

/** Do the suites run on a GPU (`DENIM_DEVICE=gpu`)? */
export const ON_GPU: boolean = defaultDevice().type === "gpu";
/** What of a case a GPU has: all but float64. */
export function withoutFloat64(c: Case): Case {
  const has = (d: DType) => d !== float64;
  const variants = c.variants.filter(({ inputs, params }) =>
    inputs.every(({ dtype }) => dtype !== float64) && !Object.values(params).includes(float64)
  );
  return {
    ...c,
    dtypes: c.dtypes.filter(has),
    variants: variants.map((v) => v.dtypes ? { ...v, dtypes: v.dtypes.filter(has) } : v)
      .filter(({ dtypes }) => dtypes?.length !== 0),
  };
}

/** One test per primitive. `run` tries the case and notes what it finds. */
export function suite(title: string, run: (name: PrimitiveName, c: Case, t: Trial) => void): void {
  const total = { checks: 0, skips: new Map<string, number>() };
  totals.set(title, total);
  for (const [name, c] of allCases) {
    Deno.test(`${title}: ${name}`, () => {
      const t = new Trial();
      run(name, ON_GPU ? withoutFloat64(c) : c, t);
      total.checks += t.checks;
      for (const [reason, n] of t.skips) total.skips.set(reason, (total.skips.get(reason) ?? 0) + n);
      if (t.failures.length) {
        throw new Error(`${t.failures.length} of ${t.checks} checks failed:\n${t.failures.slice(0, 12).join("\n")}`);
      }
    });
  }
}
globalThis.addEventListener("unload", () => {
  for (const [title, { checks, skips }] of totals) {
    console.log(`${title}: ${checks} checks${[...skips].map(([reason, n]) => `; ${n} skipped: ${reason}`).join("")}`);
  }
});
/** The result as a tensor, computed at once. */
export function valueOf(x: NDArray): Tensor {
  return fromArray(x);
}
