/**
 * Instructions that one dispatch of a GPU computes: the bits of the single instructions, in fewer dispatches.
 * @module
 */
import { assertEquals } from "@std/assert";
import { runtime } from "../../ffi/runtime.ts";
import * as mx from "../../mod.ts";

const options = { groupSize: 32, bits: 4 } as const;
/** A computation; `each` sees every intermediate result. */
type Work = (x: readonly mx.NDArray[], each: (y: mx.NDArray) => mx.NDArray) => mx.NDArray[];

const numbers = (all: readonly mx.NDArray[]) => all.map((a) => a.astype(mx.float32).flatten().tolist());
/** Compiled, the work must take so many dispatches, and give what it gives when each step is evaluated by itself. */
function joins(dispatches: number, inputs: readonly mx.NDArray[], work: Work): void {
  const fresh = () => {
    const copies = inputs.map((x) => mx.contiguous(mx.add(x, 0)));
    mx.eval(...copies);
    mx.synchronize();
    return copies;
  };
  const alone = numbers(work(fresh(), (y) => (mx.eval(y), y)));
  const compiled = mx.compile((...x: mx.NDArray[]) => work(x, (y) => y));
  mx.eval(...compiled(...fresh()));
  const own = fresh(), before = runtime().stats().dispatches, y = compiled(...own);
  mx.eval(...y);
  mx.synchronize();
  assertEquals(runtime().stats().dispatches - before, dispatches);
  assertEquals(numbers(y), alone);
}
function test(name: string, body: () => void): void {
  Deno.test({ name, ignore: Deno.env.get("DENIM_METAL") !== "sim", fn: () => mx.stream(mx.gpu, body) });
}
const normal = (...shape: number[]) => mx.random.normal(shape).astype(mx.float16);
const matrix = (n: number, k: number) => {
  const w = mx.quantize(normal(n, k), options);
  mx.eval(...w);
  return w;
};
const product = (x: mx.NDArray, [w, scales, biases]: readonly mx.NDArray[]) =>
  mx.quantizedMatmul(x, w!, scales!, { biases: biases!, ...options });

test("products of the same rows are one dispatch, three at a time", () => {
  const w = [40, 64, 7, 33].map((n) => matrix(n, 96));
  for (const rows of [1, 3]) joins(2, [normal(rows, 96)], ([x], each) => w.map((m) => each(product(x!, m))));
});
test("a sum after a product belongs to its dispatch", () => {
  const w = matrix(64, 96);
  joins(1, [normal(2, 96), normal(2, 64)], ([x, r], each) => [mx.add(r!, each(product(x!, w)))]);
});
test("a gate after two products belongs to their dispatch", () => {
  const [a, b] = [matrix(64, 96), matrix(64, 96)];
  for (const [first, second] of [[a, b], [b, a]] as const) {
    joins(1, [normal(2, 96)], ([x], each) => {
      const [y, z] = [each(product(x!, first)), each(product(x!, second))];
      return [mx.multiply(each(mx.multiply(y, each(mx.sigmoid(y)))), z)];
    });
  }
});
test("the results may take the place of the products", () => {
  const [a, b, c] = [matrix(64, 64), matrix(64, 64), matrix(64, 64)];
  joins(2, [normal(1, 64)], ([x], each) => {
    const [y, z] = [each(product(x!, a)), each(product(x!, b))];
    return [mx.add(x!, each(product(each(mx.multiply(each(mx.multiply(y, each(mx.sigmoid(y)))), z)), c)))];
  });
});
test("a product that somebody else reads stays by itself", () => {
  const w = matrix(64, 96);
  joins(2, [normal(2, 96), normal(2, 64)], ([x, r], each) => {
    const y = each(product(x!, w));
    return [mx.add(r!, y), y];
  });
});
test("rotations and writes into caches are one dispatch", () => {
  // Larger than what eager evaluation keeps just because it is small.
  const [q, k, v, old] = [normal(1, 4, 8, 128), normal(1, 2, 8, 128), normal(1, 2, 8, 128), normal(1, 2, 16, 128)];
  const at = mx.array([5], mx.int32);
  const turn = (x: mx.NDArray) => mx.fast.rope(x, 128, { traditional: false, base: 100, scale: 1, offset: 5 });
  const write = (x: mx.NDArray, y: mx.NDArray) => mx.writeAt(x, y, at, [2], { donate: true });
  const caches = () => {
    const made = [mx.add(old, 1), mx.add(old, 2)] as const;
    mx.eval(q, k, v, at, ...made);
    mx.synchronize();
    return made;
  };
  const [keys, values] = caches(), before = runtime().stats().dispatches;
  const joined = [turn(q), write(keys, turn(k)), write(values, v)];
  mx.eval(...joined);
  mx.synchronize();
  const dispatches = runtime().stats().dispatches - before;
  const [otherKeys, otherValues] = caches(), turned = turn(k);
  mx.eval(turned);
  const alone = [turn(q), write(otherKeys, turned), write(otherValues, v)];
  for (const y of alone) mx.eval(y);
  assertEquals(numbers(joined), numbers(alone));
  assertEquals(dispatches, 1);
});
