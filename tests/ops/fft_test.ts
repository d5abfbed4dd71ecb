/**
 * The functions of `mx.fft` around the primitives: lengths, axes, norms, shifts, frequencies, frames, and what they
 * refuse. The primitives themselves are in the generic suites.
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";
import * as mx from "../../mod.ts";

const { fft } = mx;
const near = (a: mx.NDArray, b: mx.NDArray, atol = 1e-5): boolean =>
  mx.allclose(a, b, { atol, rtol: 1e-5 }).item() === true;
function same(a: mx.NDArray, b: mx.NDArray, atol?: number): void {
  assertEquals([a.shape, a.dtype], [b.shape, b.dtype]);
  assertEquals(near(a, b, atol), true);
}
const draw = (...shape: number[]): mx.NDArray => mx.random.normal(shape, { key: mx.random.key(7) });

Deno.test("fft: every transform and its inverse, in every norm", () => {
  const x = draw(3, 4, 5), z = x.add(mx.multiply(draw(3, 4, 5), mx.complex(0, 1)));
  for (const norm of ["backward", "ortho", "forward"] as const) {
    same(fft.ifft(fft.fft(z, { axis: 1, norm }), { axis: 1, norm }), z);
    same(fft.ifft2(fft.fft2(z, { norm }), { norm }), z);
    same(fft.ifftn(fft.fftn(z, { norm }), { norm }), z);
    same(fft.irfft(fft.rfft(x, { norm }), { n: 5, norm }), x);
    same(fft.irfft2(fft.rfft2(x, { norm }), { s: [4, 5], axes: [-2, -1], norm }), x);
    same(fft.irfftn(fft.rfftn(x, { norm, axes: [2, 0] }), { s: [5, 3], axes: [2, 0], norm }), x);
  }
  same(fft.fft(z, { norm: "ortho" }), fft.fft(z).divide(Math.sqrt(5)));
  same(fft.fft(z, { norm: "forward" }), fft.fft(z).divide(5));
});
Deno.test("fft: lengths cut or add zeros; spectra are complex64 whatever comes in", () => {
  const x = draw(2, 6);
  same(fft.fft(x, { n: 4 }), fft.fft(x.index("...", ":4")));
  same(fft.rfft(x, { n: 9 }), fft.rfft(mx.pad(x, [[0, 0], [0, 3]])));
  same(fft.fftn(x, { s: [3, 4], axes: [0, 1] }), fft.fftn(mx.pad(x.index("...", ":4"), [[0, 1], [0, 0]])));
  assertEquals(fft.irfft(fft.rfft(x)).shape, [2, 6]);
  for (const dtype of [mx.float16, mx.int32, mx.bool_, mx.float64]) {
    assertEquals(fft.fft(x.astype(dtype)).dtype, mx.complex64);
    assertEquals(fft.rfft(x.astype(dtype)).dtype, mx.complex64);
  }
  assertEquals(fft.fftn(x, { axes: [] }).dtype, mx.complex64);
});
Deno.test("fft: what it refuses", () => {
  const x = draw(3, 4);
  assertThrows(() => fft.fft(x, { n: 0 }), mx.ValueError, "[fft] cannot transform float32[3,4]: expected a length of");
  assertThrows(() => fft.fft(mx.array(1)), mx.DenimError);
  assertThrows(() => fft.rfft(x, { axis: 2 }), mx.DenimError);
  assertThrows(() => fft.fftn(x, { s: [3] }), mx.ValueError, "as many axes as lengths");
  assertThrows(() => fft.fft2(x, { s: [3] }), mx.ValueError, "as many axes as lengths");
  assertThrows(() => fft.fftn(x, { axes: [0, -2] }), mx.ValueError, "different axes");
  // @ts-expect-error: no such norm
  assertThrows(() => fft.ifft(x, { norm: "none" }), mx.ValueError, "norm none");
  assertThrows(() => fft.fftfreq(0), mx.ValueError, "at least 1");
});
Deno.test("fft: shifts and frequencies", () => {
  assertEquals(fft.fftshift(mx.arange(6).reshape([2, 3])).tolist(), [[5, 3, 4], [2, 0, 1]]);
  assertEquals(fft.ifftshift(fft.fftshift(mx.arange(5))).tolist(), [0, 1, 2, 3, 4]);
  assertEquals(fft.fftshift(mx.arange(6).reshape([2, 3]), { axes: 1 }).tolist(), [[2, 0, 1], [5, 3, 4]]);
  same(fft.fftfreq(5, 0.5), mx.array([0, 0.4, 0.8, -0.8, -0.4]));
  same(fft.rfftfreq(5, { d: 2 }), mx.array([0, 0.1, 0.2]));
});
Deno.test("fft: convolution is multiplication", () => {
  const a = draw(20), b = draw(7), n = 26;
  same(fft.irfft(fft.rfft(a, { n }).multiply(fft.rfft(b, { n })), { n }), mx.convolve(a, b));
});
Deno.test("fft: frames there and back, with gradient", () => {
  const x = draw(2, 64), window = mx.hanning(16).add(0.1);
  for (const o of [{}, { window, hopLength: 8 }, { window, center: false }, { onesided: false }, { winLength: 12 }]) {
    const spectra = fft.stft(x, { nFft: 16, ...o });
    const back = fft.istft(spectra, { nFft: 16, ...o, length: 60 });
    assertEquals(back.shape, [2, 60]);
    const inner = "..., 16:48";
    same(back.index(inner), x.index(inner));
  }
  assertEquals(fft.stft(x, 16).shape, [2, 9, 17]);
  assertThrows(() => fft.stft(x, { nFft: 128, center: false }), mx.ShapeError, "at least 128 samples");
  assertThrows(() => fft.stft(x, { nFft: 16, window: mx.ones([20]) }), mx.ShapeError, "at most 16 entries");
  assertThrows(() => fft.stft(x, { nFft: 16, hopLength: 0 }), mx.ValueError, "a positive integer");
  assertThrows(() => fft.istft(mx.ones([3])), mx.ShapeError, "two axes");
  // with frames that do not overlap, in the norm that keeps lengths, the energy is that of the signal
  const energy = (v: mx.NDArray) => {
    const s = fft.stft(v, { nFft: 16, hopLength: 16, center: false, onesided: false, norm: "ortho" });
    return mx.square(mx.abs(s)).sum();
  };
  same(mx.grad(energy)(x), x.multiply(2));
});
