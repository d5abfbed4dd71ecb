/**
 * Habits from Python, NumPy and PyTorch, where types were not checked: each meets an error that says what to write, and
 * none a silent other meaning.
 */
import assert from "node:assert/strict";
import * as mx from "../../core/mod.ts";
import * as nn from "../../nn/mod.ts";

/** The function as it looks to a program whose types nobody checked. */
const loose = (f: unknown, ...args: unknown[]): unknown => Reflect.apply(Object(f), undefined, args);
const x = mx.ones([2, 3]);
const habits: readonly [what: string, act: () => unknown, says: RegExp][] = [
  ["x + 1", () => loose((a: number) => a + 1, x), /cannot use operators on arrays.*Fix: write x\.add\(y\)/],
  ["x < 1", () => loose((a: number) => a < 1, x), /cannot use operators on arrays/],
  ["-x", () => loose((a: number) => -a, x), /cannot use operators on arrays/],
  ["JSON", () => JSON.stringify({ x }), /as JSON: .*Fix: use x\.tolist\(\)/],
  ["a dtype's name", () => loose(mx.zeros, [2], "float32"), /"float32" as a dtype: .*write mx\.float32/],
  ["a dtype's name in options", () => loose(mx.arange, 3, { dtype: "int32" }), /"int32" as a dtype/],
  ["astype by name", () => loose(mx.astype, x, "int32"), /\[astype\] cannot use "int32" as a dtype/],
  ["lengths one by one", () => loose(mx.ones, 2, 3), /Fix: give a shape as one list: mx\.zeros\(\[2, 3\]\)/],
  ["a length for a shape", () => loose(mx.random.normal, 3), /Fix: write \[3\]/],
  ["a negative seed", () => mx.random.seed(-1), /key of -1: expected an integer from 0 to 2\^64 - 1.*another seed/],
  ["a seed of 65 bits", () => mx.random.key(2n ** 64n), /key of 18446744073709551616: expected an integer from 0/],
  ["a fraction as a seed", () => mx.random.seed(0.5), /key of 0\.5: .*Fix: use a whole number/],
  ["dim", () => loose(mx.softmax, x, { dim: 1 }), /cannot use the option dim: .*Fix: call it axis/],
  ["dim in argmax", () => loose(mx.argmax, x, { dim: 1 }), /call it axis/],
  ["keepdim", () => loose(mx.sum, x, 0, { keepdim: true }), /call it keepdims/],
  ["concatenate(a, b)", () => loose(mx.concatenate, x, x), /expected a list of arrays.*mx\.concatenate\(\[a, b\]\)/],
  ["stack(a, b)", () => loose(mx.stack, x, x), /mx\.stack\(\[a, b\]\)/],
  ["a list as an operand", () => loose(mx.add, x, [1, 2, 3]), /Fix: make an array of it with mx\.array/],
  ["float indices", () => mx.take(x, mx.array([0, 1])), /Fix: cast the indices with astype\(mx\.int32\)/],
];
for (const [what, act, says] of habits) {
  Deno.test(`habits: ${what}`, () => {
    assert.throws(act, (e) => e instanceof mx.DenimError && says.test(e.message) || assert.fail(String(e)));
  });
}
Deno.test("arrays and modules as text", () => {
  assert.equal(`${mx.array([1, 2])}`, "array([1, 2], dtype=float32)");
  const model = new nn.Sequential(new nn.Linear(2, 3), nn.relu, new nn.Dropout());
  assert.equal(
    `${model}`,
    "Sequential(\n  (layers.0): Linear(\n    weight: float32[3,2]\n    bias: float32[3]\n  )\n  (layers.2): Dropout()\n)",
  );
  assert.equal(Deno.inspect(model), String(model));
});
Deno.test("inspected arrays show small values that are there, through any layout", () => {
  const x = mx.arange(6).reshape([2, 3]).add(0.5), view = x.T.index(mx.slice(1, 3)), large = mx.ones([100, 2]).add(1);
  mx.eval(x, view, large);
  assert.equal(Deno.inspect(view), "array([[1.5, 4.5], [2.5, 5.5]], dtype=float32)");
  assert.equal(Deno.inspect(large), "array(shape=[100, 2], dtype=float32)");
  view.dispose();
  assert.equal(Deno.inspect(view), "array(shape=[2, 2], dtype=float32, given away)");
  const bad = mx.take(x, mx.array([9], mx.int32), 0);
  assert.throws(() => mx.eval(bad), mx.IndexError);
  assert.equal(Deno.inspect(bad), "array(shape=[1, 3], dtype=float32)");
});
Deno.test("notebooks get the values of lazy arrays, and of traced ones their shape", () => {
  const display = (x: mx.NDArray): mx.MediaBundle => Reflect.get(x, Symbol.for("Jupyter.display")).call(x);
  const media = display(mx.ones([2]).add(1));
  assert.equal(media["text/plain"], "array([2, 2], dtype=float32)");
  assert.match(media["text/html"]!, /float32\[2\].*>2</);
  assert.ok(display(mx.zeros([3, 3, 3], mx.uint8))["image/png"]);
  let inside: mx.MediaBundle = {};
  mx.vmap((x: mx.NDArray) => (inside = display(x), x))(mx.ones([2, 4]));
  assert.deepEqual(inside, { "text/plain": "array(traced, shape=[4], dtype=float32)" });
});
