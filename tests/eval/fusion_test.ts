/**
 * What becomes one kernel, depth without recursion, and traces.
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { NDArray } from "../../core/array.ts";
import * as mx from "../../mod.ts";
import { cell, CELL_1_2, first, full, kernels, N, test, values } from "./util.ts";

test("fusion: an elementwise chain and a reduction at its end are one kernel without temporaries", (world) => {
  const x = full(N, 1), y = x.add(1).mul(2).tanh().mul(x).exp().sum();
  assertEquals(kernels(() => mx.eval(y)), 1);
  assertEquals(world.count.buffers, 2); // x and the sum
  assert(world.count.peakBuffers <= 3, `${world.count.peakBuffers}`); // and the kernel's scratch
});
test("fusion: two consumers in different kernels: cheap work is duplicated", () => {
  const x = full(N, 1), a = x.add(1).mul(2), s = a.sum(), t = cell(x, x).add(a);
  assertEquals(kernels(() => mx.eval(s, t)), 3); // sum, cell, add: no buffer for a
  assertEquals([s.item(), a.state], [4 * N, "spent"]);
});
test("fusion: two consumers in different kernels: dear work is computed once, in a kernel of its own", () => {
  const x = full(N, 1), a = x.exp(), s = a.sum(), t = cell(x, x).add(a);
  assertEquals(kernels(() => mx.eval(s, t)), 4);
});
test("fusion: duplication has a bound per kernel", () => {
  let a = full(N, 1);
  const x = a;
  for (let i = 0; i < 10; i++) a = a.add(1);
  const s = a.sum(), t = cell(x, x).add(a);
  assertEquals(kernels(() => mx.eval(s, t)), 4); // some steps twice, the others once in a kernel that both read
  assertEquals(s.item(), 11 * N);
});
test("fusion: a diamond inside one kernel stays one kernel", () => {
  const x = full(N, 1), a = x.exp(), y = a.mul(a).add(a.mul(2)).sum();
  assertEquals(kernels(() => mx.eval(y)), 1);
});
test("fusion: a 200-step chain whose intermediates are dropped peaks at 4 buffers or less", (world) => {
  let h = full(N, 0);
  const x = h;
  for (let i = 0; i < 200; i++) h = h.add(x).tanh();
  assertEquals(kernels(() => mx.eval(h)), Math.ceil(400 / 64));
  assert(world.count.peakBuffers <= 4, `${world.count.peakBuffers}`);
});
test("deep graphs: 100,000 nodes, fused, opaque, and differentiated, need no recursion", (world) => {
  let a = full(4, 0), b = full(4, 0);
  for (let i = 0; i < 100_000; i++) [a, b] = [a.add(1), cell(b, b)];
  mx.eval(a, b);
  assertEquals(first(a), 100_000);
  assert(world.count.peakBuffers < 30, `${world.count.peakBuffers}`);
  const g = mx.grad((x: NDArray) => {
    for (let i = 0; i < 20_000; i++) x = x.mul(1);
    return x.sum();
  })(full(4, 1));
  assertEquals(values(g), [1, 1, 1, 1]);
});
test("deep graphs: a chain that reads an evaluated array at each step, and a long chain of views", () => {
  const x = full(4, 1);
  mx.eval(x);
  let h = x, v = x;
  for (let i = 0; i < 50_000; i++) h = h.add(x);
  for (let i = 0; i < 5_000; i++) v = v.reshape(i % 2 ? [4] : [2, 2]).T;
  assertEquals([first(h), first(v)], [50_001, 1]);
});
test("trace: reading and evaluating a tracer throw and say what to do", () => {
  const fix = "Fix: return it";
  assertThrows(() => mx.vmap((x: NDArray) => (mx.eval(x), x))(full(N, 1)), mx.TraceError, fix);
  assertThrows(() => mx.compile((x: NDArray) => x.mul(Number(x.sum().item())))(full(N, 1)), mx.TraceError, fix);
});
test("trace: grad, grad of grad, vmap and compile agree with the mathematics and nest", () => {
  const x = full(4, 2), cube = (v: NDArray) => v.mul(v).mul(v).sum(), rows = mx.stack([x, x]);
  assertEquals(values(mx.grad(cube)(x)), [12, 12, 12, 12]);
  assertEquals(values(mx.grad((v: NDArray) => mx.grad(cube)(v).sum())(x)), [12, 12, 12, 12]);
  assertEquals(values(mx.vmap(cube)(rows)), [32, 32]);
  assertEquals(values(mx.vmap(mx.grad(cube))(rows)), Array(8).fill(12));
  assertEquals(values(mx.grad((v: NDArray) => mx.compile(cube)(v))(x)), [12, 12, 12, 12]);
  assertEquals(values(mx.compile((w: NDArray) => mx.grad(cube)(w))(x)), [12, 12, 12, 12]);
});
test("trace: tracing runs nothing and leaves no consumers on what it captures", (world) => {
  const w = full(N, 3), f = mx.compile((x: NDArray) => x.mul(w).sum());
  mx.eval(w);
  mx.valueAndGrad((x: NDArray) => x.mul(w).sum());
  const before = world.count.programs, y = f(full(N, 2));
  // Two programs: the argument's upload, the call.
  assertEquals([world.count.programs - before, w.early, w.readers?.size ?? 0], [2, 0, 0]);
  assertEquals(y.item(), 6 * N);
  const x = full(N, 1);
  mx.eval(x);
  const again = world.count.programs;
  assertEquals(f(x).item(), 3 * N);
  assertEquals(world.count.programs - again, 1); // one native call, no new trace
  assertEquals(mx.compileStatistics(f), { calls: 2, traces: 1, replays: 0, programs: 1, evictions: 0 });
});
test("trace: a compiled program has its captured inputs as they are at the call, and evaluates lazy ones once", () => {
  const w = cell(full(N, 1), full(N, 2)), f = mx.compile((x: NDArray) => x.add(w));
  const x = full(N, 0);
  mx.eval(x);
  assertEquals(kernels(() => f(x)), 2);
  assertEquals(kernels(() => f(x)), 1);
  assertEquals([w.state, first(f(x))], ["evaluated", CELL_1_2]);
});
