/**
 * Runs each family of kernels on the GPU and on the CPU and compares: `deno run -A tests/metal/families.ts [names]`.
 * Prints what differs or fails, and ends with 1 then. The mutation proof and a test run it on the simulator.
 * @module
 */
import * as mx from "../../mod.ts";
import type { NDArray } from "../../mod.ts";

/** Computes arrays from fixed inputs, on the device that is the default. */
type Family = () => NDArray[];

function normal(shape: readonly number[], seed: number): NDArray {
  return mx.random.normal([...shape], { key: mx.random.key(seed) });
}
/** Inputs are made on the CPU, so that both devices see the same. */
function inputs<const T extends readonly NDArray[]>(make: () => T): T {
  const before = mx.defaultDevice();
  mx.setDefaultDevice(mx.cpu);
  const made = make();
  mx.eval(...made);
  mx.setDefaultDevice(before);
  return made;
}
const [X, Y, W, HALF, WIDE, LONG] = inputs(() => [
  normal([70, 37], 1),
  normal([70, 37], 2),
  normal([37, 50], 3),
  normal([70, 37], 1).astype(mx.float16),
  normal([5, 2500], 4),
  normal([3, 5000], 5),
]);
const [BIG_A, BIG_B, VECTOR, BATCH] = inputs(() => [
  normal([130, 200], 6),
  normal([200, 140], 7),
  normal([1, 200], 8),
  normal([3, 37, 50], 9),
]);
const [Q, K, V, DECODE] = inputs(() => [
  normal([1, 4, 45, 64], 10),
  normal([1, 2, 77, 64], 11),
  normal([1, 2, 77, 64], 12),
  normal([1, 4, 1, 64], 13),
]);
const [IMAGE, KERNEL, WEIGHTS, PLACES] = inputs(() => [
  normal([2, 10, 11, 16], 14),
  normal([24, 3, 3, 16], 15),
  normal([72, 256], 16),
  mx.array([3, 0, 69, 3, 17, 42], { dtype: mx.int32 }),
]);
const MANY_ROWS = inputs(() => [normal([45, 256], 19)])[0];
const SCALE_37 = inputs(() => [normal([37], 17)])[0], ROW_256 = inputs(() => [normal([9, 256], 18)])[0];

const FAMILIES: Readonly<Record<string, Family>> = {
  fused: () => [mx.exp(X).add(Y).mul(2).tanh(), mx.sqrt(mx.abs(X.transpose().add(Y.transpose()))), HALF.mul(3).add(1)],
  reduce: () => [X.sum(), X.sum(0), X.mul(Y).max(1), WIDE.mean(1), LONG.min(0), X.add(1).prod(1)],
  copy: () => [mx.concatenate([X, Y], 1), mx.contiguous(X.transpose()), X.index(mx.slice(null, null, -1))],
  scan: () => [mx.cumsum(WIDE, 1), mx.cummax(X, 0), mx.cumsum(X, { axis: 0, reverse: true, inclusive: false })],
  sort: () => [mx.sort(WIDE, 1), mx.argsort(X, 0), mx.sort(LONG, 1)],
  argreduce: () => [mx.argmax(WIDE, 1), mx.argmin(X, 0)],
  index: () => [mx.take(X, PLACES, 0), X.at(PLACES).add(1), mx.takeAlongAxis(X, mx.argsort(Y, 1), 1)],
  random: () => [
    mx.random.uniform({ shape: [333], key: mx.random.key(3) }),
    mx.random.bits([17], { key: mx.random.key(4) }),
  ],
  matmul: () => [
    mx.matmul(X, W),
    mx.matmul(BIG_A, BIG_B),
    mx.matmul(VECTOR, BIG_B),
    mx.matmul(X, BATCH),
    mx.matmul(HALF, W.astype(mx.float16)),
    mx.addmm(mx.array(1), X, W),
  ],
  quantized: () => {
    const [w, scales, biases] = mx.quantize(WEIGHTS, { groupSize: 64, bits: 4 });
    const options = { scales, biases, transpose: true, groupSize: 64, bits: 4 };
    const one = ROW_256.index(mx.slice(0, 1));
    return [one, ROW_256, MANY_ROWS].map((x) => mx.quantizedMatmul(x, w!, scales!, { ...options }));
  },
  rows: () => [
    mx.softmax(WIDE, -1),
    mx.softmax(HALF, -1),
    mx.logsumexp(X, -1),
    mx.fast.rmsNorm(X, SCALE_37, 1e-5),
    mx.fast.layerNorm(X, SCALE_37, SCALE_37, 1e-5),
  ],
  rope: () => [
    mx.fast.rope(Q, 64, { traditional: false, base: 10000, scale: 1, offset: 3 }),
    mx.fast.rope(Q, 32, { traditional: true, base: 10000, scale: 1, offset: 0 }),
  ],
  attention: () =>
    [Q, DECODE].flatMap((q) =>
      [null, "causal" as const].map((mask) =>
        mx.fast.scaledDotProductAttention(q, K, V, { scale: 0.125, mask: mask ?? undefined })
      )
    ),
  conv: () => [mx.conv2d(IMAGE, KERNEL, { stride: 1, padding: 1 }), mx.conv2d(IMAGE, KERNEL, { stride: 2 })],
  // More dispatches than a command buffer takes, each needs the one before.
  long: () => {
    let x = X;
    for (let i = 0; i < 70; i++) x = mx.cumsum(mx.softmax(x, -1), i % 2);
    return [x];
  },
  streams: () => {
    const other = mx.newStream(mx.defaultDevice()), steps: NDArray[] = [];
    let x = X;
    for (let i = 0; i < 6; i++) {
      x = i % 2 ? mx.add(x, Y) : mx.stream(other, () => mx.multiply(x, 0.5));
      mx.asyncEval(x);
      steps.push(x);
    }
    return steps;
  },
};

/** The largest error relative to the largest value. */
function difference(a: NDArray, b: NDArray): number {
  const [x, y] = [a, b].map((v) => Array.from(v.astype(mx.float32).flatten().tolist() as number[]));
  const largest = Math.max(1e-20, ...y!.map(Math.abs));
  return Math.max(
    0,
    ...x!.map((v, i) => Number.isNaN(v) === Number.isNaN(y![i]) ? Math.abs(v - y![i]!) / largest || 0 : Infinity),
  );
}
function compute(family: Family, device: typeof mx.gpu): NDArray[] {
  mx.setDefaultDevice(device);
  const made = family();
  mx.eval(...made);
  mx.setDefaultDevice(mx.cpu);
  return made;
}
let wrong = 0;
for (const [name, family] of Object.entries(FAMILIES)) {
  if (Deno.args.length > 0 && !Deno.args.includes(name)) continue;
  const begin = performance.now();
  try {
    const gpu = compute(family, mx.gpu), cpu = compute(family, mx.cpu);
    const worst = Math.max(...gpu.map((g, i) => difference(g, cpu[i]!) / (g.dtype === mx.float16 ? 100 : 1)));
    const right = worst < 3e-5;
    if (!right) wrong++;
    console.log(
      `${name.padEnd(10)} ${right ? "agrees" : "DIFFERS"} (${worst.toExponential(1)}), ${
        (performance.now() - begin).toFixed(0)
      } ms`,
    );
  } catch (error) {
    wrong++;
    console.log(`${name.padEnd(10)} FAILED: ${error instanceof Error ? error.message : error}`);
  }
}
Deno.exit(wrong > 0 ? 1 : 0);
