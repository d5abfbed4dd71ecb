/**
 * The memory limit: an error that changes nothing, met at every allocation of an evaluation, a training step and a
 * load; loops that never await and never dispose.
 * @module
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import type { NDArray } from "../../core/array.ts";
import { collectGarbage, collectsSynchronously } from "../../core/memory.ts";
import { runtime } from "../../ffi/runtime.ts";
import * as mx from "../../mod.ts";
import { ggufFile } from "../io/files.ts";
import { attend, calm, cell, first, fresh, full, N, ON_GPU, states, test, update, values } from "./util.ts";

/** One try: what is attempted, what a failure must not have changed, and what must hold after a success. */
interface Try {
  readonly attempt: () => void;
  readonly unchanged: () => void;
  readonly right: () => void;
}
/** Lets allocation `n` and all after it fail. Returns whether the attempt failed; it then works the second time. */
function failAt(n: number, { attempt, unchanged, right }: Try): boolean {
  collectGarbage();
  const { active, buffers } = runtime().stats();
  runtime().set("failAllocation", n);
  let failed = false;
  try {
    attempt();
  } catch (e) {
    assert(e instanceof mx.MemoryLimitError, String(e));
    failed = true;
  }
  runtime().set("failAllocation", -1);
  if (failed) {
    collectGarbage();
    const now = runtime().stats();
    // At most: what V8 let go of late, from before the attempt, is no leak.
    assert(now.active <= active && now.buffers <= buffers, `leaked at allocation ${n}: ${now.active - active} bytes`);
    unchanged();
    attempt();
  }
  right();
  return failed;
}
/** Fails at the 1st, 2nd, ... allocation, until the attempt succeeds. Returns how often it failed. */
function failEverywhere(prepare: () => Try): number {
  let n = 0;
  while (failAt(n, prepare())) n++;
  return n;
}

test("out of memory: an eval that fails at each allocation in turn leaves every array as it was", () => {
  const failures = failEverywhere(() => {
    const k = full(N, 2), v = full(10, 7), x = full(N, 1);
    mx.eval(k, v, x);
    const y = cell(x, k), z = cell(y, x), k2 = update(k, v, 3, true), out = attend(cell(k2, z), x);
    return {
      attempt: () => mx.eval(out, k2, y),
      unchanged: () => {
        assertEquals(states(k, y, k2), ["evaluated", "lazy", "lazy"]);
        assertEquals(values(k).slice(0, 4), [2, 2, 2, 2]);
      },
      right: () => assertEquals([k.state, values(k2).slice(2, 5), first(y)], ["donated", [2, 7, 7], 1]),
    };
  });
  assert(failures >= 4, `${failures}`);
});
test("out of memory: fifty points of one eval", () => {
  const x = full(N, 1), ys = Array.from({ length: 50 }, (_, i) => x.add(i));
  mx.eval(x);
  collectGarbage();
  const { active, buffers, kernels } = runtime().stats();
  for (let n = 0; n < 50; n++) {
    runtime().set("failAllocation", n);
    assertThrows(() => mx.eval(ys), mx.MemoryLimitError);
    const now = runtime().stats();
    assertEquals(now.kernels, kernels);
    assert(now.active <= active && now.buffers <= buffers, `leaked at allocation ${n}: ${now.active - active} bytes`);
    assert(ys.every((y) => y.state === "lazy"));
  }
  runtime().set("failAllocation", -1);
  mx.eval(ys);
  assert(ys.every((y, i) => first(y) === 1 + i));
});
/** A two-layer network, its data and one step of gradient descent. */
function training(compiled: boolean) {
  const model = { a: full(N, 0.5).reshape([10, 50]), b: full(N, 0.25).reshape([50, 10]) },
    x = full(N, 0.1).reshape([50, 10]);
  mx.eval(model, x);
  const loss = (a: NDArray, b: NDArray) => x.matmul(a).tanh().matmul(b).square().mean();
  const step = () => {
    const [value, grads] = mx.valueAndGrad(loss, [0, 1])(model.a, model.b);
    [model.a, model.b] = [model.a.sub(grads[0]!.mul(0.1)), model.b.sub(grads[1]!.mul(0.1))];
    return value;
  };
  return { model, step: compiled ? mx.compile(step, { inputs: model, outputs: model }) : step };
}
for (const compiled of [false, true]) {
  test(`out of memory: a ${compiled ? "compiled " : ""}training step that fails at each allocation in turn`, () => {
    const plain = training(false), expected: number[] = [];
    for (let i = 0; i < 2; i++) {
      const value = plain.step();
      mx.eval(value, plain.model);
      expected.push(Number(value.item()));
    }
    const failures = failEverywhere(() => {
      const { model, step } = training(compiled), before = { ...model };
      let value: NDArray | undefined;
      step();
      Object.assign(model, compiled ? training(false).model : before); // traced, and back at the start
      const start = { ...model };
      return {
        attempt: () => {
          value = step();
          mx.eval(value, model);
        },
        unchanged: () => {
          assert(Object.values(start).every((x) => x.state === "evaluated"));
          Object.assign(model, start);
        },
        right: () => {
          const second = step();
          mx.eval(second, model);
          const got = [Number(value!.item()), Number(second.item())];
          assert(got.every((v, i) => Math.abs(v - expected[i]!) < 1e-6), `${got} instead of ${expected}`);
        },
      };
    });
    assert(failures >= (compiled ? 2 : 4), `${failures}`);
  });
}
/** Sixty parameters and one step that returns their gradients, so that it has more than fifty results. */
function wide(compiled: boolean) {
  const model = { weights: Array.from({ length: 60 }, (_, i) => full(N, i / 60)) }, x = full(N, 0.5);
  mx.eval(model, x);
  const loss = (...weights: NDArray[]) => weights.reduce((sum, w) => sum.add(w.mul(x).square().mean()), mx.array(0));
  const gradients = mx.grad(loss, model.weights.map((_, i) => i));
  const step = () => {
    const all = gradients(...model.weights);
    model.weights = model.weights.map((w, i) => w.sub(all[i]!.mul(0.1)));
    return all;
  };
  return { model, step: compiled ? mx.compile(step, { inputs: model, outputs: model }) : step };
}
for (const compiled of [false, true]) {
  test(`out of memory: fifty points of a ${compiled ? "compiled " : ""}training step, and the next one is right`, () => {
    const { model, step } = wide(compiled);
    mx.eval(step(), model); // the compiled step is traced here
    const before = [...model.weights], expected = before.map((w) => first(w));
    collectGarbage();
    const { active, buffers } = runtime().stats();
    for (let n = 0; n < 50; n++) {
      runtime().set("failAllocation", n);
      assertThrows(() => mx.eval(step(), model), mx.MemoryLimitError);
      runtime().set("failAllocation", -1);
      model.weights = [...before];
      assertEquals(states(...before).filter((state) => state !== "evaluated"), []);
    }
    collectGarbage();
    const now = runtime().stats();
    assert(now.active <= active && now.buffers <= buffers, `leaked ${now.active - active} bytes`);
    assertEquals(before.map((w) => first(w)), expected);
    mx.eval(step(), model);
    // w - 0.1 d/dw mean((w x)²) with x = 0.5
    const right = expected.map((w) => w - 0.1 * 2 * w * 0.25 / N);
    assert(model.weights.every((w, i) => Math.abs(first(w) - right[i]!) < 1e-6));
  });
}
test("out of memory: fifty points of loading, safetensors and GGUF", async () => {
  const folder = await Deno.makeTempDir(), names = Array.from({ length: 60 }, (_, i) => `t${i}`);
  const raw = names.map((name) => ({ name, shape: [1, 32], type: 2, bytes: new Uint8Array(18).fill(1) })); // Q4_0
  try {
    await Deno.writeFile(`${folder}/a.gguf`, ggufFile({}, raw));
    await mx.saveSafetensors(`${folder}/a.safetensors`, Object.fromEntries(names.map((name) => [name, full(N, 1)])));
    for (const file of ["a.gguf", "a.safetensors"]) {
      const load = () => {
        const arrays = Object.values(mx.load(`${folder}/${file}`)).map((x) => x.add(0));
        mx.eval(arrays);
        return arrays.length;
      };
      const count = load();
      assert(count >= 60);
      collectGarbage();
      const { active } = runtime().stats();
      for (let n = 0; n < 50; n += 2) {
        runtime().set("failAllocation", n);
        assertThrows(load, mx.MemoryLimitError);
        runtime().set("failAllocation", -1);
      }
      collectGarbage();
      assert(runtime().stats().active <= active, `leaked ${runtime().stats().active - active} bytes`);
      assertEquals(load(), count);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
test("out of memory: the error names the bytes asked for, allowed and live", () => {
  const x = full(N, 1);
  mx.eval(x);
  mx.setMemoryLimit(mx.getActiveMemory() + 1000);
  const e = assertThrows(() => mx.eval(cell(x, x)), mx.MemoryLimitError);
  assertMatch(
    e.message,
    /\[memory\] cannot reserve \d+ bytes: expected at most \d+ bytes in all, got \d+ bytes live.*Fix: free/,
  );
  calm();
  assertEquals(x.sum().item(), N);
});
test("out of memory: an upload and a load fail as a whole, leave nothing behind, and work afterwards", async () => {
  const path = await Deno.makeTempFile({ suffix: ".safetensors" });
  const load = () => {
    const arrays = [full(9000, 3).add(0), ...Object.values(mx.load(path)).map((x) => x.add(1))];
    mx.eval(arrays);
    return arrays.map(first).sort();
  };
  const failing = (n: number) => {
    runtime().set("failAllocation", n);
    assertThrows(load, mx.MemoryLimitError);
    calm();
  };
  try {
    await mx.saveSafetensors(path, { a: full(9000, 3), b: full(N, 4) });
    const world = fresh();
    for (let i = 0; i < 20; i++) failing(i % 4);
    collectGarbage();
    assert(world.count.active <= 4 * 9000, `${world.count.active}`); // not twenty of them
    assertEquals(load(), [3, 4, 5]);
  } finally {
    await Deno.remove(path);
  }
});
test("memory: a synchronous loop without dispose runs under a limit of twenty buffers", (world) => {
  assert(collectsSynchronously());
  let w = full(50 * N, 1);
  mx.eval(w);
  const limit = mx.getActiveMemory() + 20 * 50 * N * 4;
  mx.setMemoryLimit(limit);
  runtime().set("peak", 0);
  for (let i = 0; i < 300; i++) mx.eval(w = w.mul(1.001).add(0.1));
  assert(mx.getPeakMemory() <= limit && world.count.allocations >= 300);
});
test("memory: many small results in one job are collected before they fill the heap", (world) => {
  let x = full(4, 1), most = 0;
  mx.eval(x);
  for (let i = 0; i < 30_000; i++) {
    mx.eval(x = x.add(1));
    if (i % 1000 === 0) most = Math.max(most, world.count.buffers);
  }
  assertEquals(first(x), 30_001);
  assert(most < 20_000, `${most} buffers at once`);
});
test("memory: what is kept by choice is dropped before giving up", () => {
  const x = full(N, 1);
  mx.eval(x);
  const loop = () => {
    const h = cell(x, x), g = cell(h, x), s = cell(g, g).sum();
    mx.eval(s);
    return [h, g];
  };
  const ask = () => loop().forEach((h) => first(h));
  ask();
  const kept = loop(); // h and g are kept now
  assertEquals(states(...kept), ["evaluated", "evaluated"]);
  collectGarbage();
  const scratch = ON_GPU ? 0 : 8192, kib2 = 2048; // room for two temporaries beside the sum, not for three
  mx.setMemoryLimit(mx.getActiveMemory() + scratch + 64 + 2 * kib2 + 1024);
  assertEquals(states(...loop()), ["spent", "spent"]);
});
test("memory: a large host constant is held once, by the runtime", () => {
  const x = full(100_000, 1), y = x.add(1);
  mx.eval(y);
  assertEquals([x.state, Object.keys(x.params)], ["evaluated", []]);
});
test("memory: dispose gives the buffer back at once, and a second time does nothing", (world) => {
  const x = full(N, 1);
  mx.eval(x);
  const { buffers } = world.count;
  x.dispose();
  x.dispose();
  assertEquals(world.count.buffers, buffers - 1);
});
test("memory: a session has nothing of its own left after a collection", () => {
  const world = fresh();
  const work = () => {
    for (let i = 0; i < 50; i++) mx.eval(cell(full(N, i), full(N, 1)).sum());
  };
  work();
  collectGarbage();
  assertEquals([world.count.buffers, world.count.active], [0, 0]);
});
test("memory: MLX's older names are the same functions, limits return what was before, and one that is passed throws", () => {
  const { metal } = mx;
  assertEquals(
    [metal.clearCache, metal.deviceInfo, metal.getActiveMemory, metal.getCacheMemory, metal.getPeakMemory],
    [mx.clearCache, mx.deviceInfo, mx.getActiveMemory, mx.getCacheMemory, mx.getPeakMemory],
  );
  assertEquals(
    [metal.resetPeakMemory, metal.setCacheLimit, metal.setMemoryLimit, metal.setWiredLimit],
    [mx.resetPeakMemory, mx.setCacheLimit, mx.setMemoryLimit, mx.setWiredLimit],
  );
  mx.clearCache();
  const live = mx.getActiveMemory(), limit = live + 2 ** 20, before = mx.setMemoryLimit(limit);
  try {
    assertEquals([mx.getMemoryLimit(), mx.setMemoryLimit(limit)], [limit, limit]);
    const big = mx.ones([2 ** 20]).add(mx.arange(2 ** 20));
    assertThrows(() => mx.eval(big), mx.MemoryLimitError);
    assertEquals([mx.ones([4]).add(1).sum().item(), big.state], [8, "lazy"]);
  } finally {
    mx.setMemoryLimit(before);
  }
  const cached = mx.setCacheLimit(0);
  try {
    mx.resetPeakMemory();
    const x = mx.ones([2 ** 18]).add(mx.arange(2 ** 18));
    mx.eval(x);
    assert(mx.getPeakMemory() >= mx.getActiveMemory() && mx.getActiveMemory() >= live + x.nbytes);
    x.dispose();
    assertEquals([mx.getCacheMemory(), mx.setCacheLimit(0)], [0, 0]);
  } finally {
    mx.setCacheLimit(cached);
  }
  const wired = mx.setWiredLimit(0);
  assertEquals(mx.setWiredLimit(wired), 0);
});
