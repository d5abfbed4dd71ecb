/**
 * Instructions that one dispatch of a GPU computes: the bits of the single instructions, in fewer dispatches.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { runtime } from "../../ffi/runtime.ts";
import * as mx from "../../mod.ts";

const options = { groupSize: 32, bits: 4 } as const;

/** Results of a compiled function as numbers, and the dispatches of its second call. */
function run(f: (...x: mx.NDArray[]) => mx.NDArray[], inputs: readonly mx.NDArray[]): [number[][], number] {
  const compiled = mx.compile(f);
  mx.eval(...compiled(...inputs));
  mx.synchronize();
  const before = runtime().stats().dispatches, y = compiled(...inputs);
  mx.eval(...y);
  mx.synchronize();
  const dispatches = runtime().stats().dispatches - before;
  return [y.map((a) => a.astype(mx.float32).flatten().tolist() as number[]), dispatches];
}
/** Joined against single instructions: `alone` and `joined` dispatches. */
function compare(f: (...x: mx.NDArray[]) => mx.NDArray[], inputs: readonly mx.NDArray[]): [number, number] {
  const [joined, few] = run(f, inputs);
  Deno.env.set("DENIM_METAL_JOIN", "never");
  try {
    const [alone, many] = run((...x) => f(...x), inputs);
    assertEquals(joined, alone);
    return [many, few];
  } finally {
    Deno.env.delete("DENIM_METAL_JOIN");
  }
}
function test(name: string, body: () => void): void {
  Deno.test({ name, ignore: Deno.env.get("DENIM_METAL") !== "sim", fn: () => mx.stream(mx.gpu, body) });
}
const normal = (...shape: number[]) => mx.random.normal(shape).astype(mx.float16);
const product = (x: mx.NDArray, [w, scales, biases]: readonly mx.NDArray[]) =>
  mx.quantizedMatmul(x, w!, scales!, { biases: biases!, ...options });

test("products of the same rows are one dispatch, three at a time", () => {
  const w = [40, 64, 7, 33].map((n) => mx.quantize(normal(n, 96), options));
  for (const rows of [1, 3]) {
    assertEquals(compare((x) => w.map((m) => product(x, m)), [normal(rows, 96)]), [4, 2]);
  }
});
test("a sum after a product, and a gate after two, belong to its dispatch", () => {
  const [a, b] = [mx.quantize(normal(64, 96), options), mx.quantize(normal(64, 96), options)];
  const x = normal(2, 96), residual = normal(2, 64);
  assertEquals(compare((x, r) => [mx.add(r, product(x, a))], [x, residual]), [2, 1]);
  const silu = (y: mx.NDArray) => mx.multiply(y, mx.sigmoid(y));
  assertEquals(compare((x) => [mx.multiply(silu(product(x, a)), product(x, b))], [x]), [3, 1]);
});
test("a product that somebody else reads is written", () => {
  const a = mx.quantize(normal(64, 96), options);
  const [alone, joined] = compare((x, r) => {
    const y = product(x, a);
    return [mx.add(r, y), y];
  }, [normal(2, 96), normal(2, 64)]);
  assert(alone === joined);
});
test("rotations and writes into caches are one dispatch", () => {
  const caches = [mx.zeros([1, 2, 16, 32], mx.float16), mx.zeros([1, 2, 16, 32], mx.float16)];
  const f = (q: mx.NDArray, k: mx.NDArray, v: mx.NDArray, at: mx.NDArray, keys: mx.NDArray, values: mx.NDArray) => {
    const turn = (x: mx.NDArray) => mx.fast.rope(x, 32, { traditional: false, base: 100, scale: 1, offset: at });
    const start = at.reshape([1]);
    return [turn(q), mx.writeAt(keys, turn(k), start, [2]), mx.writeAt(values, v, start, [2])];
  };
  const inputs = [normal(1, 4, 1, 32), normal(1, 2, 1, 32), normal(1, 2, 1, 32), mx.array(5, mx.int32), ...caches];
  const [alone, joined] = compare((...x) => f(x[0]!, x[1]!, x[2]!, x[3]!, x[4]!, x[5]!), inputs);
  assert(joined <= alone - 1, `${joined} dispatches instead of ${alone}`);
});
