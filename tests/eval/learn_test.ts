/**
 * What evaluation learns: which intermediate results of a repeated program are asked for later.
 * @module
 */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import type { NDArray } from "../../core/array.ts";
import { forgetLearned, learnedSize } from "../../core/learn.ts";
import { collectGarbage } from "../../core/memory.ts";
import * as mx from "../../mod.ts";
import { attend, cell, dot, first, full, kernels, N, test, update } from "./util.ts";

/** Kernels of each of six turns. */
const turns = (step: (turn: number) => void, count = 6): number[] =>
  Array.from({ length: count }, (_, t) => kernels(() => step(t)));

test("learning: RNN loop `h = cell(x, h); eval(loss)`: turn 2 pays 2x, later turns 1.0x", () => {
  const x = full(N, 0.1);
  let h = full(N, 1);
  const counts = turns(() => {
    h = cell(x, h);
    mx.eval(attend(h, x).sum());
  });
  assertEquals(counts, [3, 4, 3, 3, 3, 3]);
});
test("learning: a deep RNN whose interior is not asked for keeps the state only", (world) => {
  const x = full(N, 0.1), state = { h: full(N, 1) };
  const step = () => {
    for (let i = 0; i < 5; i++) state.h = cell(x, state.h);
    mx.eval(attend(state.h, x).sum());
  };
  assertEquals(turns(step), [7, 12, 7, 7, 7, 7]); // turn 2 runs the five cells twice
  collectGarbage();
  assertEquals(world.count.buffers, 2); // x and the last h; dropped losses and old states are gone
});
test("learning: a decoding loop, asyncEval(y, logprobs) with keys in a plain object, written without donation", () => {
  const cache = { k: full(N, 0) };
  let y = mx.array([1]);
  const counts = turns((t) => {
    cache.k = update(cache.k, y, t); // the offset changes every turn: it is not part of the hash
    const logprobs = attend(cache.k, full(N, 1)).tanh();
    y = dot(logprobs, full(N, 1));
    mx.asyncEval(y, logprobs);
    y.item();
  });
  assertEquals(counts, [4, 5, 4, 4, 4, 4]);
});
test("learning: the decoding loop with a donating cache needs no second turn: 1.0x, in place", (world) => {
  const cache = { k: full(N, 0) };
  let y = mx.array([1]);
  mx.eval(cache.k);
  const counts = turns((t) => {
    cache.k = update(cache.k, y, t, true);
    const logprobs = attend(cache.k, full(N, 1)).tanh();
    y = dot(logprobs, full(N, 1));
    mx.asyncEval(y, logprobs);
  });
  assertEquals([counts, world.count.copies], [[4, 4, 4, 4, 4, 4], 0]);
});
test("learning: loss first and gradients after, both from valueAndGrad: 1.0x in every turn", () => {
  const x = full(N, 0.1); // the gradients are consumers outside the loss's program, so that keeps what they read
  const counts = turns((t) => {
    const [loss, g] = mx.valueAndGrad((w: NDArray) => w.mul(x).tanh().mul(x).exp().sum())(full(N, t));
    mx.eval(loss);
    mx.eval(g);
  });
  assert(counts.every((c) => c === counts[0]) && counts[0]! <= 4, `${counts}`);
});
test("learning: loss first, a backward by hand after it: turn 1 recomputes what it reads, later turns do not", () => {
  const x = full(N, 0.1);
  const cells = () => {
    const a = cell(x, full(N, 0.5)), b = cell(a, x), loss = b.sum();
    mx.eval(loss);
    mx.eval(cell(b, a));
  };
  assertEquals(turns(cells, 4), [6, 4, 4, 4]);
});
function recurrence(keep: NDArray[]): NDArray {
  const x = full(N, 0.01);
  let h = full(N, 1);
  for (let i = 0; i < 200; i++) keep.push(h = cell(x, h));
  return h.sum();
}
const readAll = (order: (s: NDArray[]) => NDArray[]) => () => {
  const passed: NDArray[] = [];
  mx.eval(recurrence(passed));
  for (const s of order(passed)) first(s);
};
test("learning: a 200-step recurrence whose states are read forwards: at most 2x, then 1.0x", () => {
  const pass = readAll((s) => s);
  assertEquals([kernels(pass), kernels(pass)], [401, 201]);
});
test("learning: read backwards, no node is computed more than three times, then 1.0x", () => {
  const pass = readAll((s) => s.toReversed());
  assertEquals([kernels(pass), kernels(pass)], [201 + 200 + 199, 201]);
});
test("learning: a 200-step recurrence whose states are dropped peaks at 4 buffers beside its inputs", (world) => {
  mx.eval(recurrence([]));
  assert(world.count.peakBuffers <= 2 + 4, `${world.count.peakBuffers}`); // x and h; the arena, the sum, scratch
});
test("learning: a bit that is useless decays after 4 turns; coming back it costs one recomputation", (world) => {
  const x = full(N, 0.1);
  const turn = (ask: boolean) =>
    kernels(() => {
      const h = cell(x, x);
      mx.eval(h.sum());
      if (ask) first(h);
    });
  assertEquals([true, true, false, false, false, false].map(turn), [3, 2, 2, 2, 2, 2]);
  collectGarbage();
  const { buffers } = world.count;
  turn(false);
  assertEquals(world.count.buffers, buffers + 1); // the loss only: h is not kept any more
  assertEquals([turn(true), turn(true)], [3, 2]);
});
test("learning: the table is bounded", () => {
  const x = full(N, 1);
  for (let i = 1; i < 300; i++) {
    let h = x;
    for (let j = 0; j < i % 150; j++) h = h.add(1);
    mx.eval(h.mul(i).sum());
  }
  assert(learnedSize() <= 128);
});
test("learning: survivors of a collection are settled, so a list of spent nodes does not pin its inputs", (world) => {
  const log: NDArray[] = [], x = full(50 * N, 1);
  mx.eval(x);
  const train = () => {
    let w = full(50 * N, 1);
    for (let i = 0; i < 40; i++) {
      const h = dot(w, x).add(full(50 * N, 0));
      w = w.mul(0.9);
      mx.eval(h.sum(), w); // an eager optimizer: a new parameter buffer each turn
      log.push(dot(h, x), h); // never asked for, but referenced: spent, it would pin this turn's w
    }
  };
  mx.setMemoryLimit(mx.getActiveMemory() + 60 * 50 * N * 4);
  train();
  assertAlmostEquals(first(log[7]!) / (50 * N), 0.9 ** 3, 1e-4);
  assert(world.count.active < 60 * 50 * N * 4);
});
test("learning never changes results: random programs, learned against forgotten", () => {
  const run = (learn: boolean): number[] => {
    let seed = 7;
    const random = (n: number) => ((seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) >>> 8) % n;
    const seen: number[] = [], x = full(N, 0.01);
    for (let t = 0; t < 30; t++) {
      const nodes = [x], pick = () => nodes[random(nodes.length)]!;
      for (let i = 0; i < 12; i++) {
        const a = pick(), b = pick(), kind = (i + random(2)) % 5;
        nodes.push(
          kind === 0 ? a.add(b) : kind === 1 ? a.mul(b) : kind === 2 ? a.tanh() : kind === 3 ? cell(a, b) : a.mul(0.5),
        );
      }
      for (let i = 0; i < 3; i++) seen.push(Number(pick().sum().item()));
      if (!learn) forgetLearned();
    }
    return seen;
  };
  assertEquals(run(true), run(false));
});
