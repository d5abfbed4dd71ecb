/**
 * Records of the discrete Fourier transforms along one axis. They are linear: a tangent goes through the same
 * transform, a cotangent through its adjoint. What users call is in `core/ops/fft.ts`.
 * @module
 */
import { complex64, float32 } from "../dtype.ts";
import type { NDArray } from "../array.ts";
import { equal, logicalOr, multiply } from "../ops/binary.ts";
import { arange } from "../ops/create.ts";
import { complexTransform, fromSpectrum, toSpectrum } from "../ops/spectrum.ts";
import { where } from "../ops/ternary.ts";
import { reshape } from "../ops/view.ts";
import { primitives, spec } from "../primitive.ts";
import { fourierFlops } from "./work.ts";

/**
 * The spectrum of a real signal of length n, times `edge` where a frequency is its own mirror image (0 and n/2), and
 * times `inner` elsewhere: real transforms keep one of each pair of frequencies.
 */
function weighted(spectrum: NDArray, axis: number, n: number, edge: number, inner: number): NDArray {
  const k = arange(spectrum.shape[axis]!), alone = logicalOr(equal(k, 0), equal(multiply(k, 2), n));
  const shape = spectrum.shape.map((length, i) => i === axis ? length : 1);
  return multiply(spectrum, reshape(where(alone, edge, inner), shape));
}

/** The primitives of the family `fft`, in the order of their codes. */
export const fftPrimitives = primitives({
  /** y_k = scale Σ_j x_j e^(∓2πi jk/n) */
  fft: spec({
    family: "fft",
    kind: "kernel",
    params: { axis: "int", inverse: "bool", scale: "float" },
    arity: 1,
    needs: ["any"],
    flops: ([x], _y, p) => fourierFlops(x, x.shape[p.axis]!, p.axis),
    infer: ([x]) => ({ shape: x.shape, dtype: complex64 }),
    vjp: (_x, _y, ct, p) => [complexTransform(ct, p.axis, !p.inverse, p.scale)],
    jvp: (_x, _y, [t], p) => t && complexTransform(t, p.axis, p.inverse, p.scale),
    vmap: ([x], _mapped, p) => complexTransform(x, p.axis + 1, p.inverse, p.scale),
  }),
  /** The entries 0 to n/2 of the transform of a real x. */
  rfft: spec({
    family: "fft",
    kind: "kernel",
    params: { axis: "int", scale: "float" },
    arity: 1,
    needs: ["any"],
    flops: ([x], _y, p) => fourierFlops(x, x.shape[p.axis]!, p.axis) / 2,
    infer: ([x], p) => ({
      shape: x.shape.with(p.axis, Math.floor(x.shape[p.axis]! / 2) + 1),
      dtype: complex64,
    }),
    // Re Σ_k ct_k e^(2πi jk/n) over the entries that there are, of which irfft takes the inner ones twice
    vjp: ([x], _y, ct, p) => {
      const n = x.shape[p.axis]!;
      return [fromSpectrum(weighted(ct, p.axis, n, 1, 0.5), p.axis, n, p.scale)];
    },
    jvp: (_x, _y, [t], p) => t && toSpectrum(t, p.axis, p.scale),
    vmap: ([x], _mapped, p) => toSpectrum(x, p.axis + 1, p.scale),
  }),
  /** The real signal of length n whose transform has the entries x, times n: the way back without 1/n. */
  irfft: spec({
    family: "fft",
    kind: "kernel",
    params: { axis: "int", n: "int", scale: "float" },
    arity: 1,
    needs: ["any"],
    flops: ([x], _y, p) => fourierFlops(x, p.n, p.axis) / 2,
    infer: ([x], p) => ({ shape: x.shape.with(p.axis, p.n), dtype: float32 }),
    vjp: (_x, _y, ct, p) => [weighted(toSpectrum(ct, p.axis, p.scale), p.axis, p.n, 1, 2)],
    jvp: (_x, _y, [t], p) => t && fromSpectrum(t, p.axis, p.n, p.scale),
    vmap: ([x], _mapped, p) => fromSpectrum(x, p.axis + 1, p.n, p.scale),
  }),
});
