/**
 * Writes a corpus for the native fuzzer and the native stress driver: the programs that a run of typical work hands to the
 * runtime, each as its number of words and the words, all float64.
 *
 *     deno run -A scripts/record_programs.ts OUT
 * @module
 */
import * as mx from "../mod.ts";
import { observePrograms } from "../ffi/runtime.ts";

/** Small work of every family. */
function work(): void {
  const x = mx.random.normal([6, 8]), y = mx.random.normal([8, 5]), i = mx.array([0, 2, 1], mx.int32);
  const all = [
    x.add(1).exp().sum(1), x.T.mul(2).astype(mx.float16), mx.matmul(x, y), mx.addmm(mx.ones([6, 5]), x, y), x.softmax(-1), x.logsumexp(-1),
    x.argmax(1), x.cumsum(0), x.cummax(1, { reverse: true }), x.sort(1), x.argsort(0), mx.take(x, i, 0), x.at(i).add(1), x.at(0).set(3),
    mx.takeAlongAxis(x, x.argsort(1), 1), mx.putAlongAxis(x, x.argsort(1).index(mx.slice(null), mx.slice(0, 2)), mx.zeros([6, 2]), 1),
    mx.concatenate([x, x.mul(2)], 1), mx.slice(x, mx.array([1], mx.int32), [0], [2, 8]),
    mx.sliceUpdate(x, mx.ones([2, 8]), mx.array([1], mx.int32), [0]), x.pad(1), mx.fast.rmsNorm(x, mx.ones([8]), 1e-5),
    mx.fast.layerNorm(x, mx.ones([8]), mx.zeros([8]), 1e-5), mx.fast.rope(x.reshape([1, 6, 8]), 8, { base: 10000 }),
    mx.random.bits([7]), x.index(mx.slice(5, null, -2)), x.any(0), x.max(1), x.prod(0), mx.arange(10).astype(mx.int64).mul(3),
    mx.where(x.greater(0), x, 0), mx.fast.scaledDotProductAttention(mx.ones([1, 4, 3, 8]), mx.ones([1, 2, 5, 8]), mx.ones([1, 2, 5, 8]), { scale: 0.5, mask: "causal" }),
    mx.conv2d(mx.ones([1, 5, 5, 2]), mx.ones([3, 3, 3, 2]), { padding: 1 }),
  ];
  const q = mx.random.normal([8, 64]), [w, scales, biases] = mx.quantize(q, { groupSize: 32, bits: 4 }) as [mx.NDArray, mx.NDArray, mx.NDArray];
  all.push(mx.quantizedMatmul(mx.ones([2, 64]), w, scales, { biases, groupSize: 32, bits: 4 }), mx.dequantize(w, scales, { biases, groupSize: 32, bits: 4 }));
  for (const a of all) mx.eval(a);
  mx.eval(...all.map((a) => a.sum().add(1)));
  mx.eval(mx.grad((a: mx.NDArray) => mx.matmul(a, y).tanh().square().mean())(x));
}

const [out] = Deno.args;
if (!out) {
  console.error("usage: record_programs.ts OUT");
  Deno.exit(2);
}
const parts: Float64Array[] = [];
observePrograms((words) => parts.push(Float64Array.of(words.length), words.slice()));
work();
const file = Deno.openSync(out, { write: true, create: true, truncate: true });
for (const p of parts) file.writeSync(new Uint8Array(p.buffer, p.byteOffset, p.byteLength));
file.close();
console.log(`${parts.length / 2} programs in ${out}`);
Deno.exit(0);
