/**
 * Shapeless compile: programs over many shapes equal the plain function, the function is run as seldom as its reading
 * of lengths allows, and what it decided by a length is decided again where that length changes.
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";
import * as mx from "../../mod.ts";
import { Random } from "../cases/generate.ts";
import { assertNear, values } from "../eval/util.ts";
import { draw, drawn, free, type Shapes } from "./shapeless.ts";

type NDArray = mx.NDArray;
/** Calls `f` on arrays of all these shapes, compiled and plain; how often it was run for the compiled calls. */
function runs(f: (...xs: NDArray[]) => NDArray, shapes: readonly Shapes[]): number {
  const compiled = mx.compile(f, { shapeless: true });
  shapes.forEach((list, turn) => {
    const xs = list.map((shape, i) => draw(shape, 10 * turn + i)), expected = f(...xs), got = compiled(...xs);
    assertEquals([...got.shape], [...expected.shape], `shapes ${JSON.stringify(list)}`);
    assertNear(got, values(expected), 1e-4);
  });
  return mx.compileStatistics(compiled).traces;
}
for (const [name, [f, shapes]] of Object.entries(free)) {
  Deno.test(`shapeless: ${name}`, () => assertEquals(runs(f, drawn(12, shapes)), 1));
}
/** DENIM_FULL=1 draws 1,000 lists of shapes for each program. */
const COUNT = Deno.env.get("DENIM_FULL") ? 1000 : 40;
Deno.test(`shapeless: ${COUNT} random shapes for each program give what programs for each shape give, bit for bit`, () => {
  const told: string[] = [];
  for (const [name, [f, shapes]] of Object.entries(free)) {
    const lists = drawn(COUNT, shapes, 40, 17), different = new Set(lists.map((l) => JSON.stringify(l))).size;
    const once = mx.compile(f, { shapeless: true, limit: 4 }), each = mx.compile(f, { limit: 4 });
    for (const [turn, list] of lists.entries()) {
      const xs = list.map((shape, i) => draw(shape, 10 * turn + i)), got = once(...xs), expected = each(...xs);
      assertEquals([got.shape, values(got)], [expected.shape, values(expected)], `${name} of ${JSON.stringify(list)}`);
    }
    const { traces, replays } = mx.compileStatistics(once);
    told.push(`${name}: ${different} different, ${traces} traces, ${replays} replays`);
    assertEquals(traces, 1, name);
  }
  console.log(told.join("\n"));
});
Deno.test("shapeless: a length that is computed with is a guard", () => {
  const f = (x: NDArray): NDArray => x.shape[0]! > 3 ? x.mul(x.shape[0]!) : x.sum(0);
  assertEquals(runs(f, [[[2, 5]], [[2, 7]], [[4, 7]], [[2, 9]], [[4, 2]], [[5, 2]]]), 3);
  const compiled = mx.compile((x: NDArray, y: NDArray) => mx.concatenate([x, y]).mul(1 / y.size), { shapeless: true });
  compiled(mx.ones([2, 3]), mx.ones([4, 3]));
  assertEquals(mx.compile.explain(compiled).traces[0]!.guards, [
    "axis 0 of array 1 of the arguments is 4",
    "axis 1 of array 1 of the arguments is 3",
  ]);
});
Deno.test("shapeless: lengths of what was computed are guards, too", () => {
  const f = (x: NDArray): NDArray => {
    const y = x.reshape([-1, 2]);
    return y.shape[0]! === 3 ? y.mul(10) : y.add(1);
  };
  assertEquals(runs(f, [[[3, 2]], [[2, 3]], [[1, 6]], [[4, 2]], [[2, 4]], [[6, 1]]]), 2);
  const spread = (x: NDArray): NDArray => x.mul([...x.shape].reduce((a, b) => a + b, 0));
  assertEquals(runs(spread, [[[2, 3]], [[3, 2]], [[2, 3]]]), 2);
});
Deno.test("shapeless: a number of axes that depends on lengths is a guard, too", () => {
  const f = (x: NDArray): NDArray => {
    const y = x.squeeze();
    return y.ndim === 2 ? y.add(1) : y.mul(10);
  };
  assertEquals(runs(f, [[[2, 3]], [[4, 5]], [[1, 3]], [[2, 1]], [[3, 2]], [[1, 7]]]), 2);
});
Deno.test("shapeless: gradients and vmap inside are traced for each shape, outside they go through", () => {
  const loss = (x: NDArray): NDArray => x.square().mean();
  assertEquals(runs(mx.grad(loss), [[[2]], [[3]], [[2]]]), 2);
  assertEquals(runs((x) => mx.vmap((r: NDArray) => r.sum())(x), [[[2, 3]], [[3, 3]]]), 2);
  const compiled = mx.compile(loss, { shapeless: true }), slope = mx.grad(compiled);
  for (const n of [2, 3, 4]) assertNear(slope(mx.ones([n])), new Array(n).fill(2 / n));
  assertEquals(mx.compileStatistics(compiled).traces, 1);
  assertNear(mx.vmap(compiled)(mx.ones([3, 5])), [1, 1, 1]);
});
Deno.test("shapeless: state, ranks, dtypes and constants", () => {
  const state = { total: mx.zeros([3]) };
  const f = mx.compile((x: NDArray, k: number) => {
    state.total = state.total.add(x.sum(0).mul(k));
    return x.sum();
  }, { inputs: state, outputs: state, shapeless: true });
  for (const n of [1, 2, 3, 4]) f(mx.ones([n, 3]), 2);
  assertEquals([values(state.total), mx.compileStatistics(f).traces], [[20, 20, 20], 1]);
  f(mx.ones([2, 3]), 3);
  f(mx.ones([5, 3], mx.float16), 3);
  f(mx.ones([5, 1, 3]), 3);
  assertEquals(mx.compileStatistics(f), { calls: 7, traces: 4, replays: 3, programs: 7, evictions: 0 });
});
Deno.test("shapeless: shapes that do not fit are the operation's error, and the next call works", () => {
  const f = mx.compile((x: NDArray, y: NDArray) => x.add(y), { shapeless: true });
  f(mx.ones([2, 3]), mx.ones([2, 3]));
  assertThrows(() => f(mx.ones([2, 3]), mx.ones([2, 4])), mx.ShapeError, "[add]");
  assertEquals(f(mx.ones([4, 3]), mx.ones([4, 3])).shape, [4, 3]);
});
Deno.test("shapeless: random keys, constants and writes inside", () => {
  const f = (x: NDArray, y: NDArray): NDArray =>
    x.at(0).add(y.index(0)).add(mx.array([1, 2, 3])).mul(mx.arange(3)).add(
      mx.random.uniform([3], { key: mx.random.key(1) }),
    );
  assertEquals(runs(f, [[[2, 3], [4, 3]], [[2, 3], [5, 3]], [[4, 3], [4, 3]]]) <= 3, true);
});

/** Operations on matrices of any size, several of which do something else for small ones, or take no part in records. */
const MATRIX: readonly ((x: NDArray) => NDArray)[] = [
  (x) => mx.roll(x, 5, { axis: 0 }),
  (x) => mx.pad(x, [[1, 2], [0, 1]]),
  (x) => mx.squeeze(x),
  (x) => x.index("1:4, :3"),
  (x) => x.index("-3:, ::2"),
  (x) => mx.tile(x, [2, 1]),
  (x) => mx.split(x, [2], 0)[0]!,
  (x) => x.mean(0, { keepdims: true }).add(x),
  (x) => mx.einsum("ij,kj->ik", x, x),
  (x) => mx.where(x.gt(0), x, x.sum(0)),
  (x) => mx.diag(x),
  (x) => x.at(0).add(1),
  (x) => x.mul(x.size),
  (x) => x.shape[1]! > 3 ? x.sum(1) : x,
  (x) => mx.diff(x, 0),
  (x) => x.add(mx.arange(x.shape[1]!)),
  (x) => mx.kron(x, x),
  (x) => mx.median(x, 0),
];
/** What a call gives: shape and numbers, or the message of its error. */
function outcome(f: (x: NDArray) => NDArray, x: NDArray): unknown {
  try {
    const y = f(x);
    return [[...y.shape], values(y).map((v) => Math.fround(v).toPrecision(4))];
  } catch (error) {
    return error instanceof mx.DenimError ? error.message : error;
  }
}
Deno.test("shapeless: pairs of operations on matrices of all sizes, errors included", () => {
  const r = new Random(11);
  MATRIX.forEach((first, i) => {
    const second = MATRIX[(i * 7 + 3) % MATRIX.length]!;
    const f = (x: NDArray): NDArray => {
      const y = first(x);
      return y.ndim === 2 ? second(y) : y.mul(2);
    };
    const compiled = mx.compile(f, { shapeless: true });
    for (let turn = 0; turn < 10; turn++) {
      const x = mx.arange(1 + r.below(6)).expandDims(1).sub(mx.arange(1 + r.below(6)).mul(0.5));
      assertEquals(outcome(compiled, x), outcome(f, x), `pair ${i} on [${x.shape}]`);
    }
  });
});
