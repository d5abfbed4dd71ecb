/**
 * Compares what a call gave with what was recorded: dtype, shape, values within tolerances, patterns of NaN and
 * infinity, after a post-processing where the result is not unique. Works on host data alone.
 * @module
 */
import type { DTypeName } from "../../core/dtype.ts";
import type { HostArray, Numbers } from "./safetensors_reader.ts";

/** `"skip"`, `"abs"`, or a list of a name and its arguments; null for none. */
export type Post = null | string | readonly (string | number)[];
/** A recorded dtype. */
export interface DTypeValue {
  readonly dtypeName: string;
}
/** A result on the host: an array, a dtype, or plain data that may contain arrays. */
export type Value = null | boolean | number | bigint | string | HostArray | DTypeValue | readonly Value[] | {
  readonly [key: string]: Value;
};
/** Allowed distance: `atol + rtol * |want|`, and a part of the largest `|want|` where sums in another order cancel. */
export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
  readonly ofLargest?: number;
}

/** Whether a value is an array. */
export const isHostArray = (v: Value): v is HostArray =>
  v !== null && typeof v === "object" && "data" in v && ArrayBuffer.isView(v.data);
const isDType = (v: Value): v is DTypeValue =>
  v !== null && typeof v === "object" && "dtypeName" in v && typeof v.dtypeName === "string";
const isList = (v: Value): v is readonly Value[] => Array.isArray(v);
const isInteger = (d: DTypeName): boolean => d === "bool" || d.startsWith("int") || d.startsWith("uint");

/** Numbers as float64, which post-processing and tolerances work in. */
function float64(data: Numbers): Float64Array {
  if (data instanceof Float64Array) return data;
  const out = new Float64Array(data.length);
  for (let i = 0; i < out.length; i++) out[i] = Number(data[i]);
  return out;
}

/** A short rendering for messages: `float32[2,3] [1, 2, 3, ...]`. */
export function show(v: Value): string {
  if (isHostArray(v)) {
    const head = Array.from({ length: Math.min(6, v.data.length) }, (_, i) => {
      const n = v.data[i] ?? 0;
      return typeof n === "bigint" ? `${n}` : `${Number(n.toPrecision(6))}`;
    });
    return `${v.dtype}[${v.shape.join(",")}] [${head.join(", ")}${v.data.length > 6 ? ", ..." : ""}]`;
  }
  if (isDType(v)) return v.dtypeName;
  if (isList(v)) return `[${v.slice(0, 6).map(show).join(", ")}${v.length > 6 ? ", ..." : ""}]`;
  if (v !== null && typeof v === "object") {
    return `{${Object.entries(v).map(([k, x]) => `${k}: ${show(x)}`).join(", ")}}`;
  }
  return typeof v === "bigint" ? `${v}n` : JSON.stringify(v) ?? String(v);
}

/** Ascending with NaN last, as NumPy sorts. */
const ascending = (a: number, b: number): number =>
  Number.isNaN(a) ? (Number.isNaN(b) ? 0 : 1) : Number.isNaN(b) ? -1 : a - b;

/** Calls `change` on every line of `x` along `axis`. */
function alongAxis(
  x: Float64Array,
  shape: readonly number[],
  axis: number,
  change: (line: Float64Array) => Float64Array,
): Float64Array {
  const k = axis < 0 ? axis + shape.length : axis, n = shape[k] ?? 1;
  const inner = shape.slice(k + 1).reduce((a, b) => a * b, 1), out = x.slice();
  for (let start = 0; start < x.length; start++) {
    if (Math.floor(start / inner) % n !== 0) continue;
    const line = change(Float64Array.from({ length: n }, (_, i) => x[start + i * inner] ?? NaN));
    for (let i = 0; i < n; i++) out[start + i * inner] = line[i] ?? NaN;
  }
  return out;
}

/** Rounds to four decimals, half to even, and sorts by (re, im) along the last axis. */
function sortComplex(x: HostArray): Float64Array {
  const step = x.dtype === "complex64" ? 2 : 1, n = x.shape.at(-1) ?? 1, data = float64(x.data), out: number[] = [];
  const round = (v: number): number => {
    const r = Math.round(v * 1e4);
    return (Math.abs(v * 1e4 - Math.trunc(v * 1e4)) === 0.5 && r % 2 !== 0 ? r - 1 : r) / 1e4;
  };
  const pairs = Array.from(
    { length: data.length / step },
    (_, i): [number, number] => [round(data[i * step] ?? 0), step === 2 ? round(data[i * 2 + 1] ?? 0) : 0],
  );
  for (let i = 0; i < pairs.length; i += n) {
    out.push(...pairs.slice(i, i + n).sort((a, b) => a[0] - b[0] || a[1] - b[1]).flat());
  }
  return Float64Array.from(out);
}

/** Absolute values; of complex numbers their lengths. */
function magnitudes({ dtype, data }: HostArray): Float64Array {
  if (dtype !== "complex64") return float64(data).map(Math.abs);
  return Float64Array.from(
    { length: data.length / 2 },
    (_, i) => Math.hypot(Number(data[2 * i]), Number(data[2 * i + 1])),
  );
}

/** What is left to compare of an array: its numbers in float64, and whether they are pairs of a complex number. */
function processed(x: HostArray, post: Post): { values: Float64Array; complex: boolean } {
  const complex = x.dtype === "complex64";
  if (post === null) return { values: float64(x.data), complex };
  const [name, ...args] = typeof post === "string" ? [post] : post, [first = 0, second = 0] = args.map(Number);
  switch (name) {
    case "skip":
      return { values: new Float64Array(0), complex: false };
    case "abs":
      return { values: magnitudes(x), complex: false };
    case "sort":
      return { values: alongAxis(float64(x.data), x.shape, first, (l) => l.sort(ascending)), complex };
    case "sort_complex":
      return { values: sortComplex(x), complex: true };
    case "partition": {
      const n = x.shape.at(second) ?? 1, kth = first < 0 ? first + n : first;
      return {
        values: alongAxis(float64(x.data), x.shape, second, (l) => {
          l.subarray(0, kth).sort(ascending);
          l.subarray(kth + 1).sort(ascending);
          return l;
        }),
        complex,
      };
    }
  }
  throw new Error(`unknown post-processing ${name}`);
}

/** The largest finite absolute value. */
function largestOf(values: Float64Array): number {
  return values.reduce((m, v) => Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m, 0);
}
/** Why `got[from], got[from + step], ...` is not close to `want`, or null. */
function distant(got: Float64Array, want: Float64Array, t: Tolerance, from = 0, step = 1): string | null {
  const largest = t.ofLargest ? largestOf(want) : 0, { rtol } = t, atol = t.atol + (t.ofLargest ?? 0) * largest;
  let worst = 0, at = -1;
  for (let i = from; i < want.length; i += step) {
    const g = got[i] ?? NaN, w = want[i] ?? NaN;
    if (Number.isNaN(g) !== Number.isNaN(w)) return `NaN pattern differs at ${i}: ${g} instead of ${w}`;
    if (Number.isNaN(w) || g === w) continue;
    if (!Number.isFinite(g) || !Number.isFinite(w)) return `infinities differ at ${i}: ${g} instead of ${w}`;
    const error = Math.abs(g - w);
    if (error > atol + rtol * Math.abs(w) && error > worst) [worst, at] = [error, i];
  }
  return at < 0 ? null : `off by ${worst.toPrecision(3)} at ${at}: ${got[at]} instead of ${want[at]}`;
}

/** Why an array is not the recorded one, or null. Dtype and shape have to be equal. */
export function arrayMismatch(got: HostArray, want: HostArray, tolerance: Tolerance, post: Post = null): string | null {
  if (got.dtype !== want.dtype) return `dtype ${got.dtype} instead of ${want.dtype}`;
  if (got.shape.join() !== want.shape.join()) return `shape [${got.shape}] instead of [${want.shape}]`;
  if (got.data.length !== want.data.length) return `${got.data.length} numbers instead of ${want.data.length}`;
  if (isInteger(want.dtype) && post === null && tolerance.rtol === 0 && tolerance.atol === 0) {
    const i = want.data.findIndex((w, k) => w !== got.data[k]);
    return i < 0 ? null : `${got.data[i]} instead of ${want.data[i]} at ${i}`;
  }
  const g = processed(got, post), w = processed(want, post);
  if (!w.complex) return distant(g.values, w.values, tolerance);
  // Each part by itself, with rtol times the largest part as absolute slack.
  for (const part of [0, 1]) {
    const largest = w.values.reduce(
      (m, v, i) => i % 2 === part && Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m,
      0,
    );
    const slack = { rtol: tolerance.rtol, atol: tolerance.atol + tolerance.rtol * largest };
    const why = distant(g.values, w.values, slack, part, 2);
    if (why !== null) return `${part === 0 ? "real" : "imaginary"} part ${why}`;
  }
  return null;
}

/** Why plain data is not the recorded one, or null: floats within 1e-6, everything else equal. */
function plainMismatch(got: Value, want: Value): string | null {
  const differ = `${show(got)} instead of ${show(want)}`;
  if (isHostArray(want)) return isHostArray(got) ? arrayMismatch(got, want, { rtol: 0, atol: 0 }) : differ;
  if (isDType(want)) return isDType(got) && got.dtypeName === want.dtypeName ? null : differ;
  if (isList(want)) {
    if (!isList(got) || got.length !== want.length) return differ;
    return want.map((w, i) => plainMismatch(got[i] ?? null, w)).find((why) => why !== null) ?? null;
  }
  if (typeof want === "number") {
    const g = typeof got === "bigint" ? Number(got) : got;
    if (typeof g !== "number") return differ;
    const exact = Object.is(g, want) || g === want;
    const close = !Number.isInteger(want) && Math.abs(g - want) <= 1e-6 * Math.max(1, Math.abs(want));
    return exact || close ? null : differ;
  }
  if (want !== null && typeof want === "object") {
    if (got === null || typeof got !== "object" || isHostArray(got) || isList(got)) return differ;
    const g = new Map(Object.entries(got)), keys = Object.keys(want);
    if (g.size !== keys.length || !keys.every((k) => g.has(k))) return differ;
    return Object.entries(want).map(([k, w]) => plainMismatch(g.get(k) ?? null, w)).find((why) => why !== null) ?? null;
  }
  return got === want ? null : differ;
}

/** Why the outputs of a case are not the recorded ones, or null. */
export function mismatch(
  got: readonly Value[],
  want: readonly Value[],
  tolerance: Tolerance,
  posts: readonly Post[],
): string | null {
  if (got.length !== want.length) return `${got.length} outputs instead of ${want.length}`;
  for (const [i, w] of want.entries()) {
    const g = got[i] ?? null, where = want.length > 1 ? `output ${i}: ` : "";
    const why = isHostArray(w)
      ? isHostArray(g) ? arrayMismatch(g, w, tolerance, posts[i] ?? null) : `${show(g)} instead of ${show(w)}`
      : plainMismatch(g, w);
    if (why !== null) return where + why;
  }
  return null;
}

/** The array with an axis more. */
function otherShape(x: HostArray): HostArray {
  return { ...x, shape: [...x.shape, 1] };
}

/** The value changed so that no tolerance forgives it: one number of an array, or the first leaf of plain data. */
export function perturbed(value: Value, { rtol, atol }: Tolerance, post: Post): Value {
  if (isHostArray(value)) {
    const { data } = value, first = Number(data[0]);
    if (post !== null || data.length === 0) return otherShape(value);
    const moved = data.slice(), far = float64(data).slice();
    const largest = largestOf(far);
    const exact = isInteger(value.dtype) && rtol === 0 && atol === 0;
    if (exact && (moved instanceof BigInt64Array || moved instanceof BigUint64Array)) moved[0] = (moved[0] ?? 0n) ^ 1n;
    else if (exact) moved[0] = first ^ 1;
    else if (!Number.isFinite(first)) moved[0] = 0;
    else {
      far[0] = first + 1 + 4 * (atol + rtol * largest);
      return { ...value, data: far };
    }
    return { ...value, data: moved };
  }
  if (isDType(value)) return { dtypeName: `not ${value.dtypeName}` };
  if (isList(value)) return [...value, null];
  if (value !== null && typeof value === "object") return { ...value, "": null };
  if (typeof value === "number") return Number.isFinite(value) ? value + 1 + Math.abs(value) : 0;
  return typeof value === "boolean" ? !value : `not ${value}`;
}
