/**
 * States of arrays, and what an evaluation keeps.
 * @module
 */
import { assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import * as mx from "../../mod.ts";
import { cell, CELL_1_2, first, full, kernels, N, states, test, update } from "./util.ts";

test("states: lazy, evaluated, spent, donated, and what each operation does", (world) => {
  const x = full(N, 1, "x"), h = x.add(1).named("h"), s = h.sum();
  assertEquals([...states(x, h, s), world.count.programs], ["lazy", "lazy", "lazy", 0]); // building touches nothing
  mx.eval(s);
  assertEquals([...states(x, h, s), world.count.programs], ["evaluated", "spent", "evaluated", 1]);
  assertEquals(s.inputs.length, 0); // evaluated: detached from its graph
  assertStrictEquals(h.inputs[0], x); // spent: keeps what it needs to be computed again
  assertEquals(kernels(() => mx.eval(s)), 0);
  assertEquals(first(h), 2); // spent and touched: computed again and kept
  assertEquals(h.state, "evaluated");
  const k2 = update(x, mx.array([9]), 0, true);
  mx.eval(k2);
  assertEquals(states(x, k2), ["donated", "evaluated"]);
  assertThrows(() => x.add(x), mx.DonatedError);
  const e = assertThrows(() => x.dataSync(), mx.DonatedError);
  assertMatch(e.message, /x#\d+ .* given away to .*\(dynamicSliceUpdate.*Fix: /);
  assertEquals(first(h), 2);
});
test("kept: roots, held nodes and nodes with an outside consumer; the rest is freed", (world) => {
  const x = full(N, 1), a = cell(x, x), b = cell(a, x), c = cell(b, x), d = cell(c, x), module = new mx.Holder();
  module.hold("running", b);
  const outside = c.add(1);
  mx.eval(d);
  assertEquals(states(a, b, c, d), ["spent", "evaluated", "evaluated", "evaluated"]);
  assertEquals(world.count.buffers, 4); // x b c d
  assertEquals(kernels(() => mx.eval(outside)), 1);
});
test("kept: small results that exist anyway, within a budget and without splitting a kernel", () => {
  const x = full(N, 1), total = x.sum({ keepdims: true }), mean = total.mul(1 / N), loss = cell(mean, mean);
  assertEquals(kernels(() => mx.eval(loss)), 3);
  assertEquals(mean.state, "evaluated");
  const steps = [full(4, 0)];
  for (let i = 0; i < 100; i++) steps.push(cell(steps[i]!, steps[i]!));
  mx.eval(steps[100]!);
  assertEquals(steps.filter((s) => s.state === "evaluated").length, 16 + 1); // the root among the 16, and the constant
  const y = full(4, 1), z = y.add(1), w = z.mul(2);
  assertEquals(kernels(() => mx.eval(w)), 1);
  assertEquals(z.state, "spent"); // inside a fused kernel: it does not exist
});
test("spent: a later eval recomputes it once and then it stays", () => {
  const x = full(N, 1), h = cell(x, x);
  mx.eval(h.sum());
  assertEquals(kernels(() => mx.eval(h.add(1))), 2);
  assertEquals(h.state, "evaluated");
  assertEquals(kernels(() => mx.eval(h.add(2))), 1);
});
test("kept: a value inside a fused chain is one more output of the kernel, not a split", () => {
  const x = full(N, 1), a = x.add(1), b = a.mul(3), s = b.sum(), holder = new mx.Holder();
  holder.hold("a", a);
  assertEquals(kernels(() => mx.eval(s)), 1);
  assertEquals([...states(a, b), s.item()], ["evaluated", "spent", 6 * N]);
});
test("views: a kept view of a freed node keeps the buffer it lies in", (world) => {
  const x = full(N, 1), k = full(N, 2), a = cell(x, k), v = a.reshape([5, 100]), d = cell(cell(cell(a, a), x), x);
  mx.eval(v, d);
  assertEquals([a.state, first(v), world.count.kernels], ["spent", CELL_1_2, 4]);
  assertEquals(first(a), CELL_1_2); // a itself has no handle: computed again
});
test("views: what has strides of its own is read in its own order", () => {
  const x = mx.arange(6).reshape([2, 3]), t = x.T, row = x.index(1), back = x.index(0, mx.slice(null, null, -1));
  mx.eval(t, row, back);
  assertEquals(t.tolist(), [[0, 3], [1, 4], [2, 5]]);
  assertEquals([row.tolist(), back.tolist()], [[3, 4, 5], [2, 1, 0]]);
});
test("streams of state: an array that was disposed of says so", () => {
  const x = full(N, 1, "x");
  mx.eval(x);
  x.dispose();
  assertMatch(assertThrows(() => x.sum(), mx.DonatedError).message, /x#\d+ .*given away to dispose\(\)/);
});
