/**
 * Short-time Fourier transforms, part of `mx.fft`: a signal cut into frames, each with a window, and back by adding the
 * frames up.
 * @module
 */
import type { NDArray } from "../array.ts";
import { float32 } from "../dtype.ts";
import { fail, ShapeError, ValueError } from "../errors.ts";
import { describe } from "../shape.ts";
import { add, divide, maximum, multiply } from "./binary.ts";
import { arange, ones, zeros } from "./create.ts";
import { fft, type FftNorm, ifft, irfft, rfft } from "./fft.ts";
import { pad, take } from "./index.ts";
import { scatter } from "./moves.ts";
import { cast, numberArg, type Operand, toArray } from "./operand.ts";
import { real, square } from "./unary.ts";
import { broadcastTo, moveaxis, reshape, sliceAxis, swapaxes } from "./view.ts";

/** What {@linkcode stft} and {@linkcode istft} share. */
interface WindowOptions {
  /** Samples between frames. Default `floor(nFft / 4)`. */
  readonly hopLength?: number | null;
  /** Length of the window. Default: that of `window`, or `nFft`. */
  readonly winLength?: number | null;
  /** The window, centered in the frame between zeros. Default: ones. */
  readonly window?: NDArray | null;
  /** Whether frames are centered at their sample: half a frame is added at both ends. Default true. */
  readonly center?: boolean;
  /** Default `"backward"`. */
  readonly norm?: FftNorm;
  /** Whether the spectra have non-negative frequencies only. Default: for real signals. */
  readonly onesided?: boolean | null;
}
/** Options of {@linkcode stft}. */
export interface StftOptions extends WindowOptions {
  /** Length of the frames. Default 2048. */
  readonly nFft?: number;
  /** What is added at the ends of a centered signal. Default `"reflect"`. */
  readonly padMode?: "reflect" | "constant" | "edge";
}
/** Options of {@linkcode istft}. */
export interface IstftOptions extends WindowOptions {
  /** Length of the frames. Default: from the number of frequencies, taken as even where they are one-sided. */
  readonly nFft?: number | null;
  /** Length of the signal: it is cut, or padded with zeros. */
  readonly length?: number | null;
}

function positive(op: string, name: string, value: number): number {
  if (Number.isInteger(value) && value > 0) return value;
  return fail(ValueError, op, {
    cannot: `use ${name} ${value}`,
    expected: "a positive integer",
    got: String(value),
    fix: `give another ${name}`,
  });
}
/** The window between zeros, as long as a frame. */
function framed(op: string, nFft: number, { window = null, winLength = null }: WindowOptions): NDArray {
  const w = window ?? ones([winLength ?? nFft], float32), length = w.shape[0];
  if (w.shape.length !== 1 || length === undefined || length > nFft || (winLength ?? nFft) > nFft) {
    fail(ShapeError, op, {
      cannot: `use a window ${describe(w)}`,
      expected: `one axis of at most ${nFft} entries`,
      got: describe(w),
      fix: "give a shorter window or a longer nFft",
    });
  }
  const before = Math.floor((nFft - length) / 2);
  return pad(w, [before, nFft - length - before]);
}
/** The places of frame t's samples, [frames, nFft]. */
function places(frames: number, nFft: number, hop: number): NDArray {
  return add(multiply(reshape(arange(frames), [frames, 1]), hop), arange(nFft));
}
/**
 * Short-time Fourier transform along the last axis (`mlx.core.fft.stft`): frames of `nFft` samples, `hopLength` apart,
 * times the window, transformed. A signal [..., T] gives [..., frequencies, frames], complex64. Throws `ShapeError` for
 * a signal shorter than a frame or a window longer than it.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * mx.fft.stft(mx.ones([64]), { nFft: 16 }).shape; // [9, 17]
 * ```
 */
export function stft(x: Operand, options: number | StftOptions = {}): NDArray {
  const [bare, o = {}] = numberArg(options, undefined);
  const { center = true, padMode = "reflect", norm = "backward" } = o;
  const nFft = positive("stft", "nFft", bare ?? o.nFft ?? 2048);
  const hop = positive("stft", "hopLength", o.hopLength ?? Math.floor(nFft / 4)), window = framed("stft", nFft, o);
  const given = toArray("stft", x), half = Math.floor(nFft / 2), last = given.shape.length - 1;
  const widths = given.shape.map((_, i) => i === last ? [half, half] : [0, 0]);
  const signal = center && last >= 0 ? pad(given, widths, { mode: padMode }) : given;
  const length = signal.shape[last] ?? 0;
  if (length < nFft) {
    fail(ShapeError, "stft", {
      cannot: `cut ${describe(given)} into frames`,
      expected: `at least ${nFft} samples along the last axis`,
      got: String(length),
      fix: "give a longer signal or a shorter nFft",
    });
  }
  const frames = take(signal, places(1 + Math.floor((length - nFft) / hop), nFft, hop), last);
  const windowed = multiply(frames, window);
  const oneSided = o.onesided ?? given.dtype.kind !== "complex";
  return swapaxes(oneSided ? rfft(windowed, { norm }) : fft(windowed, { norm }), -1, -2);
}
/** Adds frames [..., frames, nFft] up where they belong; [..., total]. */
function overlapped(frames: NDArray, index: NDArray, total: number): NDArray {
  const lead = frames.shape.slice(0, -2), rows = lead.reduce((a, b) => a * b, 1);
  const updates = moveaxis(reshape(frames, [rows, ...index.shape]), 0, -1);
  const sum = scatter(
    zeros([rows, total], frames.dtype),
    reshape(updates, [...index.shape, rows, 1]),
    [index],
    [1],
    "add",
  );
  return reshape(sum, [...lead, total]);
}
/**
 * The signal of a short-time Fourier transform (`mlx.core.fft.istft`): inverse transforms times the window, added up
 * and divided by the sum of the squared windows (at least 1e-8). [..., frequencies, frames] gives [..., T], float32.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const x = mx.random.normal([64]);
 * mx.allclose(mx.fft.istft(mx.fft.stft(x, { nFft: 16 })), x, { atol: 1e-5 }).item(); // true
 * ```
 */
export function istft(stftMatrix: Operand, options: number | IstftOptions = {}): NDArray {
  const [bare, o = {}] = numberArg(options, undefined);
  const { center = true, norm = "backward", length = null } = o;
  const z = toArray("istft", stftMatrix), frequencies = z.shape.at(-2), count = z.shape.at(-1);
  if (frequencies === undefined || count === undefined) {
    fail(ShapeError, "istft", {
      cannot: `invert ${describe(z)}`,
      expected: "at least two axes, frequencies and frames",
      got: `${z.shape.length} axes`,
      fix: "reshape it",
    });
  }
  const oneSided = o.onesided ?? true;
  const nFft = positive("istft", "nFft", bare ?? o.nFft ?? (oneSided ? 2 * (frequencies - 1) : frequencies));
  const hop = positive("istft", "hopLength", o.hopLength ?? Math.floor(nFft / 4)), window = framed("istft", nFft, o);
  const spectra = swapaxes(z, -1, -2);
  const frames = oneSided ? irfft(spectra, { n: nFft, norm }) : real(ifft(spectra, { n: nFft, norm }));
  const index = places(count, nFft, hop), total = nFft + hop * Math.max(0, count - 1);
  const weights = overlapped(broadcastTo(square(cast(window, float32)), [count, nFft]), index, total);
  const y = divide(overlapped(multiply(frames, cast(window, float32)), index, total), maximum(weights, 1e-8));
  const first = center ? Math.floor(nFft / 2) : 0,
    end = length === null ? total - first : Math.min(total, first + length);
  const cut = sliceAxis(y, y.shape.length - 1, first, Math.max(first, end));
  const missing = length === null ? 0 : length - cut.shape.at(-1)!;
  return missing > 0 ? pad(cut, cut.shape.map((_, i) => [0, i === cut.shape.length - 1 ? missing : 0])) : cut;
}
