/**
 * Donation: when a write may take the buffer of the array that it changes, and what becomes of everything that read it.
 * @module
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import type { NDArray } from "../../core/array.ts";
import { collectGarbage } from "../../core/memory.ts";
import * as mx from "../../mod.ts";
import { attend, cell, CELL_1_2, dot, first, full, N, states, test, update, values, type World } from "./util.ts";

interface Setup {
  readonly k: NDArray;
  readonly v: NDArray;
  readonly f: () => NDArray;
}
/** x, k and v are evaluated; `f()` reads x and k. */
function setup(): Setup {
  const x = full(N, 1, "x"), k = full(N, 2, "k"), v = mx.array(new Float32Array([7]));
  mx.eval(x, k, v);
  return { k, v, f: () => cell(x, k).named("h") };
}
const copies = (world: World): number => {
  mx.synchronize();
  return world.count.copies;
};

test("donation: a spent reader of what was given away throws, naming it, the donation and the fix", (world) => {
  const { k, v, f } = setup(), h = f();
  mx.eval(h.sum());
  assertEquals(h.state, "spent");
  const k2 = update(k, v, 0, true).named("k2");
  mx.eval(k2);
  assertEquals([k.state, copies(world), first(k2)], ["donated", 0, 7]);
  const e = assertThrows(() => first(h), mx.SpentError);
  assertMatch(e.message, /h#\d+ .*input k#\d+ .*given away to k2#\d+ \(dynamicSliceUpdate.*Fix: pass h to eval/);
  assertThrows(() => first(h.add(1).mul(2)), mx.SpentError);
});
test("donation: what was evaluated before stays readable", (world) => {
  const { k, v, f } = setup(), h = f();
  mx.eval(h.sum(), h);
  mx.eval(update(k, v, 0, true));
  assertEquals([copies(world), first(h)], [0, CELL_1_2]);
});
test("donation: what a holder has stays readable", (world) => {
  const { k, v, f } = setup(), h = f(), module = new mx.Holder();
  module.hold("h", h);
  mx.eval(h.sum());
  mx.eval(update(k, v, 0, true));
  assertEquals([copies(world), first(h)], [0, CELL_1_2]);
});
test("donation: a lazy consumer makes the write a copy", (world) => {
  const { k, v, f } = setup(), h = f(), k2 = update(k, v, 0, true);
  mx.eval(k2);
  assertEquals([k.state, copies(world), first(h), first(k2)], ["evaluated", 1, CELL_1_2, 7]);
});
test("donation: a lazy consumer of a spent reader makes the write a copy", (world) => {
  const { k, v, f } = setup(), h = f();
  mx.eval(h.sum());
  const g = h.add(1); // bound after h was spent: h reads k again
  mx.eval(update(k, v, 0, true));
  assertEquals([h.state, copies(world), first(g)], ["spent", 1, CELL_1_2 + 1]);
});
test("donation: a lazy consumer that became garbage is discounted after a collection", (world) => {
  const { k, v } = setup();
  for (let i = 0; i < 3; i++) attend(k, v);
  collectGarbage();
  mx.eval(update(k, v, 0, true));
  assertEquals(copies(world), 0);
});
test("donation: a garbage consumer bound while the array was lazy costs one copy, never a wrong value", (world) => {
  const k = full(N, 2), v = mx.array(new Float32Array([7]));
  attend(k, v);
  mx.eval(k);
  const k2 = update(k, v, 0, true), k3 = update(k2, v, 1, true);
  mx.eval(k2);
  mx.eval(k3);
  assertEquals([first(k), copies(world)], [2, 1]); // the copy has no such reader: the next write is in place
});
test("donation: two views of one buffer: the write copies", (world) => {
  const { k, v } = setup(), w = k.reshape([5, 100]);
  mx.eval(w);
  const k2 = update(k, v, 0, true);
  mx.eval(k2);
  assertEquals([copies(world), first(w), first(k2)], [1, 2, 7]);
  const { k: a, v: b } = setup(), lazyView = a.reshape([5, 100]);
  mx.eval(update(a, b, 0, true));
  assertEquals([copies(world), first(lazyView)], [2, 2]);
});
test("donation: a view is written into its own copy, the array below stays", (world) => {
  const { k, v } = setup(), half = k.index(mx.slice(N / 2, null)), w = update(half, v, 0, true);
  mx.eval(w);
  assertEquals([values(k)[N / 2], first(w), k.state, copies(world) <= 1], [2, 7, "evaluated", true]);
});
test("donation: an array that is also a root of the same eval is copied", (world) => {
  const { k, v } = setup(), k2 = update(k, v, 0, true);
  mx.eval(k, k2);
  assertEquals([copies(world), first(k), first(k2)], [1, 2, 7]);
});
test("donation: the same buffer given twice: the last writer takes it, the other copies", (world) => {
  const { k, v } = setup(), a = update(k, v, 0, true), b = update(k, v, 1, true);
  mx.eval(a, b);
  assertEquals([copies(world), values(a).slice(0, 3), values(b).slice(0, 3)], [1, [7, 2, 2], [2, 7, 2]]);
  const { k: c } = setup(), twice = update(c, c, 0, true);
  mx.eval(twice);
  assertEquals([copies(world), first(twice)], [2, 2]);
});
test("donation: another holder makes the write a copy; the owner's own slot does not", (world) => {
  const { k, v } = setup(), cache = new mx.Holder(), snapshot = new mx.Holder();
  cache.hold("k", k);
  snapshot.hold("k", k);
  const k2 = cache.hold("k", update(k, v, 0, true));
  mx.eval(k2);
  assertEquals([copies(world), first(k)], [1, 2]);
  snapshot.release("k");
  mx.eval(cache.hold("k", update(k2, v, 1, true)));
  assertEquals([copies(world), k2.state], [1, "donated"]);
});
test("donation: readers in the same program run before the write, whatever the order of the roots", (world) => {
  const { k, v, f } = setup(), h = f(), k2 = update(k, v, 0, true);
  mx.eval(k2, h);
  assertEquals([copies(world), first(h), first(k2)], [0, CELL_1_2, 7]);
});
test("donation: a reader that needs the written result makes the write a copy", (world) => {
  const { k, v } = setup(), k2 = update(k, v, 0, true), both = cell(k2, k);
  mx.eval(both);
  assertEquals([copies(world), k.state], [1, "evaluated"]);
});
test("donation: the written result is kept although it is interior: it could not be computed again", (world) => {
  const { k, v } = setup(), k2 = update(k, v, 0, true);
  mx.eval(attend(k2, v));
  assertEquals([k2.state, first(k2), copies(world)], ["evaluated", 7, 0]);
});
test("donation: a chain of writes in one program stays in one buffer", (world) => {
  const k = full(N, 2), v = mx.array(new Float32Array([7]));
  mx.eval(k, v);
  let z = k;
  for (let i = 0; i < 5; i++) z = update(z, v, i, true);
  const { buffers } = world.count;
  mx.eval(z);
  assertEquals([copies(world), world.count.buffers - buffers, values(z)[4], values(z)[5]], [0, 0, 7, 2]);
});
test("donation: while the array is still being computed (asyncEval), in order on one stream", (world) => {
  const { k, v } = setup();
  let z = k;
  for (let i = 0; i < 5; i++) {
    z = update(z, v, i, true);
    mx.asyncEval(attend(z, v));
  }
  assertEquals([values(z).slice(0, 6), copies(world)], [[7, 7, 7, 7, 7, 2], 0]);
});
test("donation: inside a compiled call, state in and out is donated; refused, it is copied at entry", (world) => {
  const state = { s: full(N, 1) }, g = full(N, 2);
  const step = mx.compile((g: NDArray) => {
    const total = state.s.sum();
    state.s = state.s.add(g.mul(-0.5));
    return total;
  }, { inputs: state, outputs: state });
  mx.eval(state.s, g);
  const start = state.s, { buffers } = world.count;
  for (let i = 0; i < 3; i++) step(g);
  assertEquals([start.state, first(state.s), copies(world)], ["donated", -2, 0]);
  collectGarbage();
  assert(world.count.buffers <= buffers + 3);
  const s = state.s, reader = s.add(1);
  step(g);
  assertEquals([s.state, first(reader), first(state.s), copies(world)], ["evaluated", -1, -3, 1]);
  state.s = g; // one buffer, given as state and as gradient
  step(g);
  assertEquals([first(state.s), first(g), copies(world)], [1, 2, 2]);
});
test("donation: what a compiled call captured is never overwritten", (world) => {
  const { k, v } = setup(), f = mx.compile((x: NDArray) => attend(k, x)), y = f(v);
  mx.eval(update(k, v, 0, true));
  assertEquals([copies(world), first(f(v))], [1, first(y)]);
});
test("donation: on another stream the write waits for the readers before it", (world) => {
  const other = mx.newStream(), { k, v } = setup(), reads: NDArray[] = [];
  let z = k;
  for (let i = 0; i < 20; i++) {
    const r = dot(z, z);
    mx.asyncEval(r);
    reads.push(r);
    z = mx.stream(other, () => update(z, v, i, true));
    mx.asyncEval(z);
  }
  mx.synchronize(other);
  assertEquals(reads.map((r) => r.item()), Array.from({ length: 20 }, (_, i) => 4 * (N - i) + 49 * i));
  assertEquals([copies(world), states(k)], [0, ["donated"]]);
});
