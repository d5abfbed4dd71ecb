/**
 * `mx.fft`: discrete Fourier transforms of any length, along one or several axes. Several axes are transformed one
 * after the other. Spectra are complex64, signals float32, whatever the dtype of the input. The derivatives are in
 * `core/primitives/fft.ts`, the kernels in `runtime/cpu/fft.cc`.
 * @module
 */
import type { NDArray } from "../array.ts";
import { complex64, float32 } from "../dtype.ts";
import { fail, ValueError } from "../errors.ts";
import type { Shape } from "../primitive.ts";
import { describe, normalizeAxis } from "../shape.ts";
import { arange } from "./create.ts";
import { concatenate, pad, roll } from "./index.ts";
import { multiply } from "./binary.ts";
import { cast, numberArg, type Operand, toArray } from "./operand.ts";
import { complexTransform, fromSpectrum, toSpectrum } from "./spectrum.ts";
import { sliceAxis } from "./view.ts";

/**
 * Where the factor 1/n goes: to the inverse transform (`"backward"`), to the forward one (`"forward"`), or its root to
 * both (`"ortho"`).
 */
export type FftNorm = "backward" | "ortho" | "forward";
/** Options of the transforms along one axis. */
export interface FftOptions {
  /** Length of the transformed axis: the input is cut, or padded with zeros. Default: that of the input. */
  readonly n?: number | null;
  /** The axis. Default -1. */
  readonly axis?: number;
  /** Default `"backward"`. */
  readonly norm?: FftNorm;
}
/** Options of the transforms along several axes. */
export interface FftnOptions {
  /** Lengths of the transformed axes; needs `axes` where these have no default. Default: those of the input. */
  readonly s?: Shape | null;
  /** The axes. Default: all, or the last two. */
  readonly axes?: readonly number[] | null;
  /** Default `"backward"`. */
  readonly norm?: FftNorm;
}

// ---- what the calls share ----

/** The factor of one axis. */
function scaleOf(op: string, norm: FftNorm, n: number, inverse: boolean): number {
  if (norm === "ortho") return 1 / Math.sqrt(n);
  if (norm === "backward" || norm === "forward") return (norm === "backward") === inverse ? 1 / n : 1;
  return fail(ValueError, op, {
    cannot: `transform with norm ${String(norm)}`,
    expected: `"backward", "ortho" or "forward"`,
    got: String(norm),
    fix: "use one of them",
  });
}
/** The axis with exactly `n` entries: cut, or zeros added at its end. */
function resized(x: NDArray, axis: number, n: number): NDArray {
  const length = x.shape[axis]!;
  if (n === length) return x;
  return n < length ? sliceAxis(x, axis, 0, n) : pad(x, x.shape.map((_, i) => [0, i === axis ? n - length : 0]));
}
function checkedLength(op: string, x: NDArray, n: number): number {
  if (Number.isInteger(n) && n >= 1) return n;
  return fail(ValueError, op, {
    cannot: `transform ${describe(x)}`,
    expected: "a length of at least 1",
    got: String(n),
    fix: "give another n or s",
  });
}
/** Axes and lengths of a transform along several axes; the length of an irfft's last axis is that of its signal. */
function extents(op: string, x: NDArray, o: FftnOptions, defaults: readonly number[] | null, half: boolean) {
  const given = o.axes === undefined ? defaults : o.axes, s = o.s ?? null;
  if (s !== null && (given === null ? true : given.length !== s.length)) {
    fail(ValueError, op, {
      cannot: `transform ${describe(x)}`,
      expected: "as many axes as lengths",
      got: given === null ? `s = [${s}] without axes` : `s = [${s}], axes = [${given}]`,
      fix: "name the axes that s is for",
    });
  }
  const axes = (given ?? x.shape.map((_, i) => i)).map((axis) => normalizeAxis(op, axis, x.shape.length));
  if (new Set(axes).size !== axes.length) {
    fail(ValueError, op, {
      cannot: `transform an axis of ${describe(x)} twice`,
      expected: "different axes",
      got: `[${given}]`,
      fix: "name each axis once",
    });
  }
  const own = (axis: number, i: number) => {
    const n = x.shape[axis]!;
    return half && i === axes.length - 1 ? 2 * (n - 1) : n;
  };
  return { axes, lengths: axes.map((axis, i) => checkedLength(op, x, s?.[i] ?? own(axis, i))) };
}
type Extents = { readonly axes: readonly number[]; readonly lengths: readonly number[] };
/** Transforms axis after axis; `count` of them. */
function complexAxes(op: string, x: NDArray, e: Extents, count: number, norm: FftNorm, inverse: boolean): NDArray {
  let y = cast(x, complex64);
  for (let i = 0; i < count; i++) {
    const axis = e.axes[i]!, n = e.lengths[i]!;
    y = complexTransform(resized(y, axis, n), axis, inverse, scaleOf(op, norm, n, inverse));
  }
  return y;
}
type Axes = readonly number[] | null;
function complexAlong(op: string, a: Operand, o: FftnOptions, defaults: Axes, inverse: boolean): NDArray {
  const x = toArray(op, a), e = extents(op, x, o, defaults, false);
  return complexAxes(op, x, e, e.axes.length, o.norm ?? "backward", inverse);
}
/** The last of the axes first: what is left of it is half of the spectrum. */
function realAlong(op: string, a: Operand, o: FftnOptions, defaults: Axes): NDArray {
  const x = toArray(op, a), e = extents(op, x, o, defaults, false), norm = o.norm ?? "backward";
  const last = e.axes.length - 1, axis = e.axes[last], n = e.lengths[last];
  if (axis === undefined || n === undefined) return cast(x, complex64);
  const y = toSpectrum(resized(cast(x, float32), axis, n), axis, scaleOf(op, norm, n, false));
  return complexAxes(op, y, e, last, norm, false);
}
function realBackAlong(op: string, a: Operand, o: FftnOptions, defaults: Axes): NDArray {
  const x = toArray(op, a), e = extents(op, x, o, defaults, true), norm = o.norm ?? "backward";
  const last = e.axes.length - 1, axis = e.axes[last], n = e.lengths[last];
  if (axis === undefined || n === undefined) {
    return fail(ValueError, op, {
      cannot: `transform ${describe(x)}`,
      expected: "at least one axis",
      got: "none",
      fix: "name the axes, or expand the array's",
    });
  }
  const y = complexAxes(op, x, e, last, norm, true);
  return fromSpectrum(resized(y, axis, Math.floor(n / 2) + 1), axis, n, scaleOf(op, norm, n, true));
}
/** The options of one axis as those of several. */
function oneAxis({ n = null, axis = -1, norm = "backward" }: FftOptions): FftnOptions {
  return { s: n === null ? null : [n], axes: [axis], norm };
}
const LAST_TWO: readonly number[] = [-2, -1];

// ---- transforms ----

/**
 * Discrete Fourier transform along one axis (`mlx.core.fft.fft`): `y_k = Σ_j a_j e^(-2πi jk/n)`, complex64. Throws
 * `ValueError` for a length below 1 or an unknown norm.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.fft.fft(mx.array([1, 2, 3, 4])).tolist(); // 10, -2+2i, -2, -2-2i
 * ```
 */
export function fft(a: Operand, options: FftOptions = {}): NDArray {
  return complexAlong("fft", a, oneAxis(options), null, false);
}
/**
 * Inverse of {@linkcode fft} (`mlx.core.fft.ifft`): `a_j = 1/n Σ_k y_k e^(2πi jk/n)`, complex64.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const spectrum = mx.fft.fft(mx.array([1, 2, 3, 4]));
 * mx.real(mx.fft.ifft(spectrum)).tolist(); // [1, 2, 3, 4]
 * mx.fft.ifft(mx.array([4, 0]), { norm: "forward" }); // array([4+0j, 4+0j], dtype=complex64)
 * ```
 */
export function ifft(a: Operand, options: FftOptions = {}): NDArray {
  return complexAlong("ifft", a, oneAxis(options), null, true);
}
/**
 * {@linkcode fft} along two axes, by default the last two (`mlx.core.fft.fft2`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.real(mx.fft.fft2(mx.array([[1, 2], [3, 4]]))).tolist(); // [[10, -2], [-4, 0]]
 * mx.fft.fft2(mx.ones([3, 8, 8]), { s: [4, 16] }).shape; // [3, 4, 16]
 * ```
 */
export function fft2(a: Operand, options: FftnOptions = {}): NDArray {
  return complexAlong("fft2", a, options, LAST_TWO, false);
}
/**
 * {@linkcode ifft} along two axes, by default the last two (`mlx.core.fft.ifft2`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.array([[1, 2], [3, 4]]);
 * mx.real(mx.fft.ifft2(mx.fft.fft2(x))).tolist(); // [[1, 2], [3, 4]]
 * ```
 */
export function ifft2(a: Operand, options: FftnOptions = {}): NDArray {
  return complexAlong("ifft2", a, options, LAST_TWO, true);
}
/**
 * {@linkcode fft} along several axes, by default all (`mlx.core.fft.fftn`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.fft.fftn(mx.ones([2, 2, 2])).index(0, 0, 0); // array(8+0j, dtype=complex64)
 * mx.fft.fftn(mx.ones([2, 3, 4]), { axes: [0, 2], norm: "ortho" }).shape; // [2, 3, 4]
 * ```
 */
export function fftn(a: Operand, options: FftnOptions = {}): NDArray {
  return complexAlong("fftn", a, options, null, false);
}
/**
 * {@linkcode ifft} along several axes, by default all (`mlx.core.fft.ifftn`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.random.normal([2, 3, 4]);
 * mx.allclose(mx.real(mx.fft.ifftn(mx.fft.fftn(x))), x, { atol: 1e-5 }).item(); // true
 * ```
 */
export function ifftn(a: Operand, options: FftnOptions = {}): NDArray {
  return complexAlong("ifftn", a, options, null, true);
}
/**
 * The entries 0 to n/2 of the transform of a real signal; the others are their conjugates (`mlx.core.fft.rfft`). The
 * result has `floor(n / 2) + 1` entries along the axis, complex64; of complex input the real part is taken.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.fft.rfft(mx.array([1, 2, 3, 4])).shape; // [3]
 * ```
 */
export function rfft(a: Operand, options: FftOptions = {}): NDArray {
  return realAlong("rfft", a, oneAxis(options), null);
}
/**
 * The real signal of a half spectrum: the inverse of {@linkcode rfft} (`mlx.core.fft.irfft`). `n` is the length of the
 * signal, `2 (m - 1)` for m entries if absent; give it where the signal was odd. float32.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const half = mx.fft.rfft(mx.array([1, 2, 3]));
 * half.shape; // [2]
 * mx.fft.irfft(half).shape; // [2]
 * mx.fft.irfft(half, { n: 3 }); // array([1, 2, 3], dtype=float32)
 * ```
 */
export function irfft(a: Operand, options: FftOptions = {}): NDArray {
  return realBackAlong("irfft", a, oneAxis(options), null);
}
/**
 * {@linkcode rfft} along the last of two axes, {@linkcode fft} along the other (`mlx.core.fft.rfft2`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.fft.rfft2(mx.ones([4, 6])).shape; // [4, 4]
 * mx.fft.rfft2(mx.ones([4, 6]), { axes: [1, 0] }).shape; // [3, 6]
 * ```
 */
export function rfft2(a: Operand, options: FftnOptions = {}): NDArray {
  return realAlong("rfft2", a, options, LAST_TWO);
}
/**
 * Inverse of {@linkcode rfft2} (`mlx.core.fft.irfft2`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const image = mx.random.normal([4, 5]);
 * const back = mx.fft.irfft2(mx.fft.rfft2(image), { s: [4, 5], axes: [0, 1] });
 * mx.allclose(back, image, { atol: 1e-5 }).item(); // true
 * ```
 */
export function irfft2(a: Operand, options: FftnOptions = {}): NDArray {
  return realBackAlong("irfft2", a, options, LAST_TWO);
}
/**
 * {@linkcode rfft} along the last of several axes, {@linkcode fft} along the others (`mlx.core.fft.rfftn`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.fft.rfftn(mx.ones([2, 3, 8])).shape; // [2, 3, 5]
 * mx.fft.rfftn(mx.ones([2, 3, 8]), { axes: [2, 0] }).shape; // [2, 3, 8]
 * ```
 */
export function rfftn(a: Operand, options: FftnOptions = {}): NDArray {
  return realAlong("rfftn", a, options, null);
}
/**
 * Inverse of {@linkcode rfftn} (`mlx.core.fft.irfftn`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.random.normal([2, 3, 4]);
 * const back = mx.fft.irfftn(mx.fft.rfftn(x));
 * back.shape; // [2, 3, 4]
 * mx.allclose(back, x, { atol: 1e-5 }).item(); // true
 * ```
 */
export function irfftn(a: Operand, options: FftnOptions = {}): NDArray {
  return realBackAlong("irfftn", a, options, null);
}

// ---- frequencies ----

/** Axes of a shift: bare or in an object; null for all. */
export type ShiftAxes = number | readonly number[] | null | { readonly axes?: number | readonly number[] | null };
function shifted(op: string, a: Operand, which: ShiftAxes, half: (n: number) => number): NDArray {
  const x = toArray(op, a);
  const bare = typeof which === "object" && which !== null && "axes" in which ? which.axes ?? null : which;
  const list = typeof bare === "number" ? [bare] : Array.isArray(bare) ? bare : x.shape.map((_, i) => i);
  const axes: number[] = list.map((axis) => normalizeAxis(op, axis, x.shape.length));
  return axes.reduce((y, axis) => roll(y, half(y.shape[axis]!), axis), x);
}
/**
 * The zero frequency moved to the middle of each axis (`mlx.core.fft.fftshift`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.fft.fftshift(mx.arange(5)).tolist(); // [3, 4, 0, 1, 2]
 * ```
 */
export function fftshift(a: Operand, axes: ShiftAxes = null): NDArray {
  return shifted("fftshift", a, axes, (n) => Math.floor(n / 2));
}
/**
 * Inverse of {@linkcode fftshift} (`mlx.core.fft.ifftshift`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const middle = mx.fft.fftshift(mx.arange(5));
 * mx.fft.ifftshift(middle).tolist(); // [0, 1, 2, 3, 4]
 * mx.fft.fftshift(middle).tolist(); // [1, 2, 3, 4, 0]
 * ```
 */
export function ifftshift(a: Operand, axes: ShiftAxes = null): NDArray {
  return shifted("ifftshift", a, axes, (n) => -Math.floor(n / 2));
}
/** Options of {@linkcode fftfreq}. */
export interface FrequencyOptions {
  /** Distance of the samples. Default 1. */
  readonly d?: number;
}
function checkedCount(op: string, n: number, d: number): number {
  if (d === 0) {
    fail(ValueError, op, {
      cannot: "list the frequencies",
      expected: "a spacing of the samples other than 0",
      got: "d = 0",
      fix: "give the time between two samples",
    });
  }
  if (Number.isInteger(n) && n >= 1) return n;
  return fail(ValueError, op, {
    cannot: `list ${n} frequencies`,
    expected: "an integer of at least 1",
    got: String(n),
    fix: "give the length of the transform",
  });
}
/**
 * The frequencies of the entries of {@linkcode fft}, `[0, 1, ..., -2, -1] / (d n)` (`mlx.core.fft.fftfreq`). float32.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.fft.fftfreq(4).tolist(); // [0, 0.25, -0.5, -0.25]
 * ```
 */
export function fftfreq(n: number, d?: number | FrequencyOptions): NDArray {
  const [bare, o] = numberArg(d, undefined), spacing = bare ?? o?.d ?? 1;
  const count = checkedCount("fftfreq", n, spacing), half = Math.ceil(count / 2);
  const places = concatenate([arange(0, half, { dtype: float32 }), arange(half - count, 0, { dtype: float32 })]);
  return multiply(places, 1 / (count * spacing));
}
/**
 * The frequencies of the entries of {@linkcode rfft}, `[0, 1, ..., n/2] / (d n)` (`mlx.core.fft.rfftfreq`). float32.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.fft.rfftfreq(4).tolist(); // [0, 0.25, 0.5]
 * mx.fft.rfftfreq(4, 0.5).tolist(); // [0, 0.5, 1]
 * ```
 */
export function rfftfreq(n: number, d?: number | FrequencyOptions): NDArray {
  const [bare, o] = numberArg(d, undefined), spacing = bare ?? o?.d ?? 1, count = checkedCount("rfftfreq", n, spacing);
  return multiply(arange(0, Math.floor(count / 2) + 1, { dtype: float32 }), 1 / (count * spacing));
}
export { istft, type IstftOptions, stft, type StftOptions } from "./stft.ts";
