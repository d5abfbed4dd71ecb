/**
 * What compile makes of a trace: equal operations merged, constants folded, dead code left out, memory by lifetimes,
 * state in place, a bounded number of programs, and the reasons for each trace.
 * @module
 */
import { assert, assertEquals, assertLess, assertStringIncludes, assertThrows } from "@std/assert";
import { runtime } from "../../ffi/runtime.ts";
import * as mx from "../../mod.ts";
import * as nn from "../../nn/mod.ts";
import { assertNear, full, kernels, test, update, values } from "../eval/util.ts";
import { cnn, drawn, llama, mlp, transformer } from "./programs.ts";

type NDArray = mx.NDArray;
const square = (n: number, seed: number): NDArray => {
  const x = mx.random.normal([n, n], { key: mx.random.key(seed) });
  mx.eval(x);
  return x;
};
/** The last trace of a compiled function. */
const last = (f: (...args: never[]) => unknown) => mx.compile.explain(f).traces.at(-1)!;

test("equal operations are one: the same primitive with the same parameters on the same inputs", () => {
  const x = square(8, 1), f = mx.compile((x: NDArray) => mx.matmul(x, x.mul(2)).add(mx.matmul(x, x.mul(2))));
  const expected = values(mx.matmul(x, x.mul(2)).mul(2));
  assertNear(f(x), expected);
  assertEquals(last(f).merged, 2);
  const single = mx.compile((x: NDArray) => mx.matmul(x, x.mul(2)).mul(2));
  single(x);
  assertEquals(kernels(() => f(x)), kernels(() => single(x)));
});
test("operations that differ in anything stay apart", () => {
  const x = mx.array([1, 4, 9]);
  const f = mx.compile((x: NDArray) => [
    mx.divide(1, x.mul(0)),
    mx.divide(1, x.mul(-0.0)),
    mx.sum(x.reshape([1, 3]), 0),
    mx.sum(x.reshape([3, 1]), 0),
    x.astype(mx.int32).astype(mx.float32),
    x.astype(mx.uint8).astype(mx.float32),
  ]);
  assertEquals(f(x).map((y) => y.tolist()), [
    [Infinity, Infinity, Infinity],
    [-Infinity, -Infinity, -Infinity],
    [1, 4, 9],
    [14],
    [1, 4, 9],
    [1, 4, 9],
  ]);
  assertEquals(last(f).merged, 0);
});
test("one key gives the same bits once, and writes that give a buffer away are left alone", () => {
  const key = mx.random.key(3);
  const draws = mx.compile((key: NDArray) => [mx.random.normal([4], { key }), mx.random.normal([4], { key })]);
  const [a, b] = draws(key);
  assertEquals([values(a!), values(b!)], [values(mx.random.normal([4], { key })), values(a!)]);
  const f = mx.compile((x: NDArray, v: NDArray) => {
    const [p, q] = [x.mul(2), x.mul(2)];
    return [update(p, v, 0, true), update(q, v.add(1), 1, true)];
  });
  const [y, z] = f(full(4, 1), full(1, 7));
  assertEquals([values(y!), values(z!)], [[7, 2, 2, 2], [2, 8, 2, 2]]);
});
test("what depends on constants only is computed once, while tracing", () => {
  const f = mx.compile((x: NDArray) => mx.matmul(mx.eye(8), mx.full([8, 8], 3)).add(x)), x = square(8, 2);
  const expected = values(x.add(3));
  assertNear(f(x), expected);
  assert(last(f).folded > 0);
  assertEquals(kernels(() => f(x)), 1); // the addition
});
test("large results on constants are no constants of the program", (world) => {
  const n = 2048, x = mx.ones([n, 1]), f = mx.compile((x: NDArray) => mx.eye(n).add(mx.zeros([n, n])).mul(x).sum());
  mx.eval(x);
  const before = world.count.active;
  assertEquals(f(x).item(), n);
  assertLess(world.count.active - before, 2 ** 20); // one matrix would be 16 MiB
  assertEquals(kernels(() => f(x)), kernels(() => x.sum().item()));
});
test("what no result needs is not in the program", () => {
  const x = square(8, 3),
    f = mx.compile((x: NDArray) => {
      mx.matmul(x, x).exp();
      return x.sum();
    });
  f(x);
  assertEquals([last(f).operations, kernels(() => f(x))], [1, 1]);
});

/** Places in memory are multiples of this many bytes: graphs of a few hundred bytes cannot be closer. */
const GRANULE = 64;
test("temporaries take at most 1.15 times the memory that is needed at one time", () => {
  mx.random.seed(1);
  for (const { name, f, call } of [mlp(), cnn(), transformer(), ...llama(), ...drawn(24)]) {
    call();
    for (const { temporaryBytes, liveBytes } of mx.compile.explain(f).traces) {
      assert(
        liveBytes <= temporaryBytes && temporaryBytes <= Math.max(1.15 * liveBytes, liveBytes + GRANULE),
        `${name}: ${temporaryBytes} of ${liveBytes}`,
      );
    }
  }
});
test("state that is only read stays with its container, whoever else replaced it before", () => {
  const model = { w: full(3, 1), v: full(3, 2) }, other = { n: full(3, 0) };
  const step = mx.compile((x: NDArray) => {
    model.w = model.w.add(x);
    model.v = model.v.mul(x);
    other.n = other.n.add(1);
    return x;
  }, { inputs: [model, other], outputs: [other, model] });
  const read = mx.compile((x: NDArray) => model.w.add(x).mul(model.v).sqrt(), { inputs: model });
  for (let i = 0; i < 3; i++) {
    step(full(3, 2));
    const expected = values(mx.sqrt(model.w.add(1).mul(model.v)));
    assertNear(read(full(3, 1)), expected);
    assertNear(read(full(3, 1)), expected);
  }
  assertEquals([values(model.w), values(model.v), values(other.n)], [[7, 7, 7], [16, 16, 16], [3, 3, 3]]);
});
test("a step of training is one native call, and parameters and moments stay in their buffers", (world) => {
  mx.random.seed(2);
  const { model, optimizer, call, f } = mlp();
  for (let i = 0; i < 2; i++) call();
  const before = world.count.programs, places = addresses([model, optimizer]);
  for (let i = 0; i < 5; i++) call();
  assertEquals(world.count.programs - before, 5);
  const moved = addresses([model, optimizer]).filter((a, i) => a !== places[i]);
  assertEquals([places.length, moved.length], [6 * 3 + 2, 0]); // weights, two moments, the step and the rate
  assertEquals(mx.compileStatistics(f).traces, 1);
});
/** Where the arrays of modules and optimizers are. */
function addresses([model, optimizer]: [nn.Module, { state: mx.Tree<NDArray> }]): number[] {
  return [model.parameters(), optimizer.state].flatMap((tree) => mx.treeFlatten<NDArray>(tree)).map(([, x]) => {
    const { handle, pointer } = runtime().retain(x.handle);
    runtime().release([handle]);
    return pointer;
  });
}
test("random state, trees and modules are captured as state", () => {
  const layer = new nn.Linear(2, 2), state = { layer, list: [mx.zeros([2])], random: mx.random.state };
  const f = mx.compile((x: NDArray) => {
    state.list[0] = state.list[0]!.add(1);
    return layer.forward(x).add(mx.random.normal([2]));
  }, { inputs: state, outputs: state });
  mx.random.seed(4);
  const x = mx.ones([2]), draws = [values(f(x)), values(f(x))];
  mx.random.seed(4);
  const eager = [0, 1].map(() => values(layer.forward(x).add(mx.random.normal([2]))));
  draws.forEach((y, i) => assertNear(mx.array(y), eager[i]!));
  layer.weight = mx.zeros([2, 2]);
  layer.bias = mx.zeros([2]);
  mx.random.seed(4);
  assertNear(f(x), values(mx.random.normal([2], { key: keyAfter(4) })));
  assertEquals([values(state.list[0]!), mx.compileStatistics(f).traces], [[3, 3], 1]);
});
/** The key that the first draw after a seed uses. */
function keyAfter(seed: number): NDArray {
  return mx.random.split(mx.random.key(seed)).index(1);
}

test("the least recently used program goes first, and the counts say so", () => {
  const f = mx.compile((x: NDArray, n: number) => x.mul(n), { limit: 2 }), x = full(2, 1);
  for (const n of [1, 2, 1, 3, 1, 2]) assertEquals(values(f(x, n)), [n, n]);
  assertEquals(mx.compileStatistics(f), { calls: 6, traces: 4, replays: 0, programs: 2, evictions: 2 });
  const { traces } = mx.compile.explain(f);
  assertEquals(traces.map((t) => t.call), [1, 2, 4, 6]);
  assertEquals(traces[3]!.changes, []); // nothing changed: its program had been dropped
  assertStringIncludes(String(mx.compile.explain(f)), "call 6 was traced: its program had been dropped");
});
test("explain names what changed, by its path, from what to what", () => {
  const zeros = (...shape: number[]): NDArray =>
    mx.array(new Float32Array(shape.reduce((a, b) => a * b))).reshape(shape);
  const state = { scale: mx.array([2]) };
  type Options = { weight: NDArray; mode: string; more?: NDArray };
  const f = mx.compile((o: Options, n: number) => o.weight.mul(n).mul(state.scale), { inputs: state });
  f({ weight: zeros(2, 3), mode: "a" }, 3);
  f({ weight: zeros(4, 3), mode: "a" }, 3);
  f({ weight: zeros(4, 3).astype(mx.float16), mode: "a" }, 4);
  f({ weight: zeros(2, 3), mode: "a", more: zeros(1) }, 3);
  state.scale = mx.array([2, 3, 4]);
  f({ weight: zeros(2, 3), mode: "b" }, 3);
  const { traces } = mx.compile.explain(f);
  assertEquals(traces.map((t) => t.changes), [
    [],
    [{ path: "args[0].weight", from: "float32[2,3]", to: "float32[4,3]" }],
    [
      { path: "args[0].weight", from: "float32[4,3]", to: "float16[4,3]" },
      { path: "args[1]", from: "3", to: "4" },
    ],
    [
      { path: "args[0]", from: 'an object with ["weight","mode"]', to: 'an object with ["weight","mode","more"]' },
      { path: "args[0].more", from: "nothing", to: "float32[1]" },
    ],
    [
      { path: "args[0].mode", from: '"a"', to: '"b"' },
      { path: "inputs.scale", from: "float32[1]", to: "float32[3]" },
    ],
  ]);
  const text = String(mx.compile.explain(f)).split("\n");
  assertEquals(text.slice(0, 2), ["5 calls, 5 traces, 5 programs held, 0 dropped", "call 1 was traced: the first one"]);
  assertEquals(text.slice(3, 5), ["call 2 was traced:", "  args[0].weight: from float32[2,3] to float32[4,3]"]);
  assert(text.includes("  args[1]: from 3 to 4 (a constant; as mx.array(4) it is an input, and not traced again)"));
});
test("the cotangents of many slices of one array are written into one array", () => {
  const steps = 64, width = 1024, x = full(steps, 0.01);
  const f = mx.compile(mx.grad((x: NDArray) => {
    const wide = mx.broadcastTo(x.reshape([steps, 1]), [steps, width]).mul(mx.arange(width)).add(1);
    return mx.unstack(wide).reduce((h, row) => mx.tanh(h.add(row)), mx.zeros([width])).sum();
  }));
  f(x);
  assert(last(f).temporaryBytes < 4 * steps * width * 4, `${last(f).temporaryBytes}`);
});
test("different arguments never share a program", () => {
  const f = mx.compile((...words: unknown[]) => mx.array(words.length)), one = mx.array(1);
  assertEquals([f("a string b").item(), f("a", "b").item(), f('a";"b').item()], [1, 2, 1]);
  const g = mx.compile((x: NDArray, n: number) => mx.divide(1, x.mul(n)));
  assertEquals([g(one, 0).item(), g(one, -0).item()], [Infinity, -Infinity]);
  const bare = (x: NDArray): { x: NDArray } => Object.assign(Object.create(null), { x });
  const h = mx.compile((o: { x: NDArray }) => o.x.add(1)), o = bare(mx.ones([2]));
  h(o);
  o.x = mx.ones([3]);
  assertEquals(h(o).tolist(), [2, 2, 2]);
});

Deno.test("compile: a function may return null, and nothing if it has state to change", () => {
  const f = mx.compile((x: NDArray) => x.dtype === mx.int32 ? null : [x.add(1)]);
  assertEquals([f(mx.array([1]))![0]!.tolist(), f(mx.array([1], mx.int32)), f(mx.array([1], mx.int32))], [
    [2],
    null,
    null,
  ]);
  const state = { y: mx.zeros([2]) };
  const step = mx.compile((x: NDArray) => void (state.y = state.y.add(x)), { inputs: state, outputs: state });
  step(mx.ones([2]));
  step(mx.ones([2]));
  assertEquals(state.y.tolist(), [2, 2]);
  assertThrows(() => mx.compile((x: NDArray) => void x.add(1))(mx.ones([2])), mx.TransformError, "got nothing");
});
Deno.test("compile: arrays of a transform around are captured for one call", () => {
  for (const shapeless of [false, true]) {
    const outer = (x: NDArray) => {
      const y = x.abs();
      return mx.compile((z: NDArray) => y.mul(z).mul(y), { shapeless })(y);
    };
    assertEquals(mx.vmap(outer)(mx.array([1, -2])).tolist(), [1, 8]);
    assertEquals(mx.grad((x: NDArray) => outer(x).sum())(mx.array([1, -2])).tolist(), [3, -12]);
    assertEquals(mx.compile(outer)(mx.array([1, -2])).tolist(), [1, 8]);
    const reads = mx.compile((z: NDArray) => z.add(1), { shapeless });
    assertEquals(mx.grad((x: NDArray) => reads(x).mul(Number(reads(x).item())))(mx.array(2)).item(), 3);
  }
  const inner = mx.compile((f: () => NDArray) => f().mul(2));
  assertEquals(mx.vmap((x: NDArray) => inner(() => x))(mx.array([1, 2])).tolist(), [2, 4]);
});
Deno.test("compile: an array that a function changes behind compile's back is an error when it is met", () => {
  let y = mx.array([1]);
  const f = mx.compile((x: NDArray) => y = y.add(x));
  assertEquals(f(mx.array([1])).tolist(), [2]);
  assertThrows(() => y.tolist(), mx.TraceError, "one that vmap or compile is tracing");
  assertThrows(() => f(mx.array([1, 1])), mx.TraceError, "name that in inputs and outputs");
});
test("compile: parts of a larger array are copied after a few places, and traced no more", () => {
  const data = mx.arange(4000, { dtype: mx.float32 }).reshape([1000, 4]);
  mx.eval(data);
  const f = mx.compile((x: mx.NDArray) => x.mul(2).sum());
  for (let at = 0; at < 800; at += 8) {
    const part = data.index(mx.slice(at, at + 8)), values = Array.from({ length: 32 }, (_, i) => at * 4 + i);
    assertEquals(f(part).item(), 2 * values.reduce((sum, v) => sum + v, 0));
  }
  assertLess(mx.compileStatistics(f).traces, 7);
});
