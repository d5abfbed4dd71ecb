/**
 * Kernels that fail: which arrays carry the error, who meets it, and what still works.
 * @module
 */
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import type { NDArray } from "../../core/array.ts";
import { runtime } from "../../ffi/runtime.ts";
import * as mx from "../../mod.ts";
import { calm, cell, CELL_1_2, first, full, kernels, N, test, update } from "./util.ts";

/** The n-th kernel from now fails. */
const failKernel = (n: number) => runtime().set("failKernel", n);
const messageOf = (f: () => unknown): string => assertThrows(f, mx.KernelError).message;

test("failure: outputs are poisoned with the first error; dependants rethrow it; the rest is fine", () => {
  const x = full(N, 1), k = full(N, 2), bad = cell(x, k).named("bad"), after = bad.sum(), good = x.add(1);
  failKernel(0);
  const message = messageOf(() => mx.eval(after, bad, good));
  assertMatch(message, /\[rmsNorm\] cannot finish: .*Fix: /);
  assertEquals([bad.state, first(good), first(x)], ["evaluated", 2, 1]);
  assertEquals([messageOf(() => first(bad)), messageOf(() => bad.add(1).sum().item()), messageOf(() => after.item())], [
    message,
    message,
    message,
  ]);
  assertEquals(first(cell(x, k)), CELL_1_2);
});
test("failure: a spent node on a failed path is not poisoned: touching it computes it again", () => {
  const x = full(N, 1), k = full(N, 2), h = cell(x, k);
  failKernel(0);
  assertThrows(() => mx.eval(h.sum()), mx.KernelError);
  assertEquals([h.state, first(h)], ["spent", CELL_1_2]);
});
test("failure: of a write into a donated buffer: the result is poisoned, the old array is gone", () => {
  const k = full(N, 1, "k"), v = mx.array([7]);
  mx.eval(k, v);
  const k2 = update(k, v, 0, true);
  failKernel(0);
  assertThrows(() => mx.eval(k2), mx.KernelError);
  assertThrows(() => first(k2), mx.KernelError);
  assertThrows(() => first(k), mx.DonatedError, "given away to");
});
test("failure: a poisoned buffer that is reused carries no error", () => {
  const x = full(N, 1);
  mx.eval(x);
  for (let i = 0; i < 20; i++) {
    const y = cell(x, x);
    failKernel(0);
    assertThrows(() => mx.eval(y), mx.KernelError);
    y.dispose();
    assertEquals(first(x.add(i)), 1 + i);
  }
});
test("failure: a poisoned state of a compiled call poisons its results, and good state heals it", () => {
  const state = { s: full(N, 1) },
    step = mx.compile((x: NDArray) => {
      state.s = state.s.add(x);
      return state.s.sum();
    }, { inputs: state, outputs: state });
  const x = full(N, 1);
  mx.eval(x, state);
  step(x);
  mx.eval(state);
  failKernel(0);
  const bad = step(x);
  assertThrows(() => bad.item(), mx.KernelError);
  assertThrows(() => step(x).item(), mx.KernelError);
  state.s = full(N, 5);
  assertEquals([step(x).item(), first(state.s)], [6 * N, 6]);
});
test("failure: an index out of range is an error of the data, met where it is read", () => {
  const x = full(N, 1), i = mx.array([3, N + 5], mx.int32), y = mx.take(x, i, 0), z = y.add(1);
  const e = assertThrows(() => z.sum().item(), mx.IndexError);
  assertMatch(e.message, /index/);
  assertEquals(first(mx.take(x, mx.array([3], mx.int32), 0)), 1);
});
test("asyncEval: submits before it returns, an ignored failure kills nothing, an awaited one rejects", async () => {
  const x = full(N, 1), bad = cell(x, x);
  failKernel(0);
  const ignored = mx.asyncEval(bad), awaited = mx.asyncEval(cell(x, bad));
  assertEquals(bad.state, "evaluated"); // submitted; nobody has waited
  assert(!(ignored instanceof Promise));
  await new Promise((r) => setTimeout(r, 5)); // an unhandled rejection would end this process here
  await assertRejects(async () => await awaited, mx.KernelError);
  calm();
  const fine = x.add(1);
  await mx.asyncEval(fine);
  assertEquals(kernels(() => first(fine)), 0);
});
test("asyncEval: many waits at once are served, each with its own outcome", async () => {
  const x = full(N, 1);
  mx.eval(x);
  const outcomes = await Promise.all(Array.from({ length: 200 }, async (_, i) => {
    if (i === 100) mx.synchronize();
    if (i === 100) failKernel(0);
    const y = cell(x.add(i), x), waiting = mx.asyncEval(y);
    if (i === 100) mx.synchronize();
    try {
      await waiting;
      return true;
    } catch (e) {
      return !(e instanceof mx.KernelError);
    }
  }));
  assertEquals(outcomes.map((ok, i) => ok ? -1 : i).filter((i) => i >= 0), [100]);
});
test("asyncEval: reservation, donation and tracing fail where it is called", () => {
  const x = full(N, 1, "x");
  mx.eval(x);
  runtime().set("failAllocation", 0);
  assertThrows(() => mx.asyncEval(x.add(1)), mx.MemoryLimitError);
  calm();
  x.dispose();
  assertThrows(() => mx.asyncEval(x), mx.DonatedError);
  assertThrows(() => mx.compile((y: NDArray) => (mx.asyncEval(y), y.sum()))(full(N, 1)), mx.TraceError);
});
