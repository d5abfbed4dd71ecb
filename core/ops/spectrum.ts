/**
 * The primitives of Fourier transforms along one axis, one unchecked function each. The operations are in `fft.ts`; rules
 * of records use these.
 * @module
 */
import type { NDArray } from "../array.ts";
import { bind } from "../graph.ts";

/** `scale Σ_j x_j e^(∓2πi jk/n)` of a complex64 array. */
export function complexTransform(x: NDArray, axis: number, inverse: boolean, scale: number): NDArray {
  return bind("fft", [x], { axis, inverse, scale });
}
/** The half spectrum of a float32 array. */
export function toSpectrum(x: NDArray, axis: number, scale: number): NDArray {
  return bind("rfft", [x], { axis, scale });
}
/** The float32 signal of length n of a half spectrum. */
export function fromSpectrum(x: NDArray, axis: number, n: number, scale: number): NDArray {
  return bind("irfft", [x], { axis, n, scale });
}
