/**
 * Functions that read no length, and shapes for them: shapeless programs and files hold for all of them.
 * @module
 */
import * as mx from "../../mod.ts";
import * as nn from "../../nn/mod.ts";
import { Random } from "../cases/generate.ts";

type NDArray = mx.NDArray;
/** A shape for each argument. */
export type Shapes = readonly (readonly number[])[];
/** Normal numbers. */
export const draw = (shape: readonly number[], seed: number): NDArray =>
  mx.random.normal(shape, { key: mx.random.key(seed) });
/** Lists of shapes in which lengths (1 to `most`) are the letters' values, drawn for each list. */
export function drawn(count: number, of: (n: (letter: number) => number) => Shapes, most = 9, seed = 5): Shapes[] {
  const r = new Random(seed);
  return Array.from({ length: count }, () => {
    const lengths = Array.from({ length: 4 }, () => 1 + r.below(most));
    return of((letter) => lengths[letter]!);
  });
}
const weight = draw([4, 6], 99), scale = draw([6], 98), attention = new nn.MultiHeadAttention(8, 2);
const filter = draw([3, 3, 3, 2], 97), packed = mx.quantize(draw([8, 64], 96));
/** Functions that read no length. */
export const free: Readonly<
  Record<string, [(...xs: NDArray[]) => NDArray, (n: (letter: number) => number) => Shapes]>
> = {
  "elementwise work that broadcasts": [(x, y) => x.mul(2).add(y).exp().minimum(3), (n) => [[n(0), n(1)], [1, n(1)]]],
  "broadcasting that depends on lengths": [(x, y) => x.add(y), (n) => [[n(0) % 2 ? n(0) : 1, 3], [n(0), 1]]],
  "means and variances, whose divisor is a length": [
    (x) => x.sub(x.mean(0)).divide(x.var(-1, { keepdims: true }).add(1).sqrt()),
    (n) => [[n(0), n(1)]],
  ],
  "a linear layer and a norm": [
    (x) => mx.fast.rmsNorm(mx.matmul(x, weight), scale, 1e-5).reshape([-1]),
    (n) => [[n(0), n(1), 4]],
  ],
  "shapes handed on as a whole": [
    (x, y) => y.reshape(x.shape).add(mx.zeros(x.shape)).mul(mx.ones([]).broadcastTo(x.shape)),
    (n) => [[n(0), n(1)], [n(1), n(0)]],
  ],
  "a reshape that changes nothing for some shapes": [(x) => x.reshape([-1, 3]).mul(2), (n) => [[n(0), 3 * n(1)]]],
  "slices that end where the axis does": [
    (x) => x.index(mx.slice(0, 5), mx.slice(null, null, -1)).sum(1),
    (n) => [[n(0), n(1)]],
  ],
  "concatenation, stacking and splitting": [
    (x, y) => mx.stack(mx.split(mx.concatenate([x, y, x, y], 0), 2, 0), 0).transpose([2, 0, 1]),
    (n) => [[n(0), n(1)], [n(2), n(1)]],
  ],
  "softmax, sorting, and taking": [
    (x, y) => mx.take(mx.softmax(x, -1), mx.argmax(y, -1).minimum(0), 0).add(mx.sort(x, 0).max(0)),
    (n) => [[n(0), n(1)], [n(2), n(3)]],
  ],
  "a layer of attention": [(x) => attention.forward(x, x, x), (n) => [[n(0), n(1), 8]]],
  "convolutions and sums over labels": [
    (x) => mx.einsum("nhwc,nhwd->ncd", mx.conv2d(x, filter, { padding: 1 }), x),
    (n) => [[n(0), 2 + n(1), 2 + n(2), 2]],
  ],
  "writes, rolls and contractions": [
    (x, y) => mx.tensordot(mx.roll(x, 2, 0).at(0).set(y.index(0)).at(mx.slice(null, null, 2)).add(1), y, [[1], [1]]),
    (n) => [[n(0), n(1)], [n(2), n(1)]],
  ],
  "quantized products": [
    (x) => mx.quantizedMatmul(x, packed[0]!, packed[1]!, { biases: packed[2]! }),
    (n) => [[n(0), n(1), 64]],
  ],
  "flattening and axes of length 1": [
    (x) => x.expandDims(1).squeeze(1).flatten({ startAxis: 1 }).swapaxes(0, 1).flatten(),
    (n) => [[n(0), n(1), n(2)]],
  ],
};
