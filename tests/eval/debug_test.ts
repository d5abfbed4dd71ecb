/**
 * Debugging: errors of evaluation name the line that made the operation, wherever a transform took it; what is alive by
 * line; and the first operation that makes a NaN. The lines asked for are found by a mark at their end.
 * @module
 */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { siteOf } from "../../core/sites.ts";
import { runtime } from "../../ffi/runtime.ts";
import * as mx from "../../mod.ts";
import * as nn from "../../nn/mod.ts";
import { assertNear, cell, full, N, ON_GPU, test, values } from "./util.ts";

type NDArray = mx.NDArray;
const source = (await Deno.readTextFile(new URL(import.meta.url))).split("\n");
/** `debug_test.ts:12` of the line that ends in this mark. */
function lineOf(mark: string): string {
  return `debug_test.ts:${source.findIndex((l) => l.endsWith(`// ${mark}`)) + 1}:`;
}
/** With debugging on. */
function debugged(name: string, f: () => void | Promise<void>): void {
  test(name, async () => {
    const before = mx.debug(true);
    try {
      await f();
    } finally {
      mx.debug(before);
    }
  });
}
function failure(f: () => unknown): mx.DenimError {
  return assertThrows(f, mx.DenimError);
}
/** The error of `f` was made at the marked line, and says so. */
function assertMadeAt(f: () => unknown, mark: string): mx.DenimError {
  const e = failure(f);
  assertStringIncludes(e.madeAt, lineOf(mark));
  assertStringIncludes(e.message, `Made at ${e.madeAt}`);
  return e;
}
const outside = (x: NDArray): NDArray => {
  const i = mx.array([N + 5], mx.int32);
  return mx.take(x, i, 0).add(1); // take
};
const failNext = (n = 0): unknown => runtime().set("failKernel", n);

debugged("debug: a kernel's error names the line of its operation, and the function", () => {
  assertMatch(assertMadeAt(() => mx.eval(outside(full(N, 1))), "take").madeAt, /^file:.* in outside$/);
  const x = full(N, 1), y = cell(x, x), z = outside(y).mul(2);
  assertMadeAt(() => mx.eval(z), "take");
  assertMadeAt(() => z.item(), "take"); // the poison keeps it
  assertMadeAt(() => z.add(1).sum().item(), "take"); // and what depends on it, in a program of its own
});
debugged("debug: fused operations, the lines of all of them", () => {
  const x = full(N, 1);
  const a = x.mul(2); // fused 1
  const b = a.add(x); // fused 2
  failNext();
  const e = assertMadeAt(() => mx.eval(b), "fused 1");
  assertStringIncludes(e.madeAt, lineOf("fused 2"));
});
debugged("debug: lines of compiled functions are those of the trace, also without a further run", () => {
  for (const shapeless of [false, true]) {
    const f = mx.compile((x: NDArray) => outside(x.mul(1)).sum(), { shapeless });
    for (const n of [4, 4, 6]) assertMadeAt(() => f(mx.ones([n])).item(), "take");
  }
});
debugged("debug: what was queued names its line where it is awaited", async () => {
  const y = outside(full(N, 1)), e = await assertRejects(async () => await mx.asyncEval(y), mx.IndexError);
  assertStringIncludes(e.message, lineOf("take"));
  const s = mx.newStream(), z = mx.stream(s, () => outside(full(N, 2)));
  mx.asyncEval(z);
  mx.synchronize(s);
  assertMadeAt(() => z.tolist(), "take");
});
debugged("debug: gradients, tangents and batches belong to the lines of what they are of", () => {
  const loss = (x: NDArray): NDArray => {
    const y = x.log(); // log
    return y.square().sum(); // square
  };
  const g = mx.grad(loss)(full(N, 2));
  const lines = new Set<string>(), seen = new Set<NDArray>(), todo = [g];
  for (let n = todo.pop(); n; n = todo.pop()) {
    if (seen.has(n)) continue;
    seen.add(n);
    const site = siteOf(n);
    if (site?.role) lines.add(`${/debug_test.ts:\d+:/.exec(site.line)} ${site.role}`);
    todo.push(...n.inputs);
  }
  assertEquals(lines.has(`${lineOf("log")} the gradient of log`), true, [...lines].join("\n"));
  assertEquals([...lines].some((l) => l.startsWith(lineOf("square"))), true);
  assertMadeAt(() => mx.vmap(outside)(mx.ones([2, N])).tolist(), "take");
  const [, t] = mx.jvp((x) => x.exp(), [mx.array(1)], [mx.array(1)]); // exp
  assertStringIncludes(siteOf(t![0]!)!.line, lineOf("exp"));
  const again = mx.checkpoint((x: NDArray) => mx.take(x, mx.array([1], mx.int32), 0).square()); // checkpoint
  const h = mx.grad((x: NDArray) => again(x).sum())(full(N, 2));
  failNext(1);
  assertMadeAt(() => mx.eval(h), "checkpoint");
});
debugged("debug: layers count as lines of their callers", () => {
  const layer = new nn.Sequential(new nn.Linear(4, 4), new nn.LayerNorm(4)), x = mx.ones([2, 4]);
  mx.eval(layer.parameters(), x);
  const y = layer.forward(x); // layers
  failNext(1);
  assertMadeAt(() => mx.eval(y), "layers");
});
debugged("debug: too little memory names the largest result; spent and donated arrays their lines", () => {
  const x = mx.ones([1000, 1000]).add(mx.ones([1000, 1])); // large
  runtime().set("memoryLimit", 2 ** 20);
  assertMadeAt(() => mx.eval(x), "large");
  runtime().set("memoryLimit", 0);
  const k = mx.array(new Float32Array(N)); // k
  mx.eval(k);
  mx.eval(mx.writeAt(k, mx.array([9]), [0], [0], { donate: true })); // taker
  const e = failure(() => k.add(1));
  assertStringIncludes(e.message, lineOf("k"));
  assertStringIncludes(e.message, lineOf("taker"));
});
test("debug: off, nothing is remembered; on, what was made before has no line", () => {
  const x = full(N, 1), y = outside(x);
  assertEquals([siteOf(y), mx.debug(true)], [null, false]);
  const e = failure(() => mx.eval(y));
  assertEquals([e.madeAt, e.message.includes("Made at"), mx.debug(false)], ["", false, true]);
  assertEquals(failure(() => outside(x).item()).madeAt, "");
});
test("debug: the environment turns it on", async () => {
  const code = `import * as mx from ${JSON.stringify(import.meta.resolve("../../mod.ts"))};
try { mx.eval(mx.take(mx.ones([3]), mx.array([7], mx.int32), 0)); } catch (e) { console.log(e.madeAt); }
try { mx.array([0]).log().item(); console.log("no guard"); } catch (e) { console.log(e.name, e.madeAt); }`;
  const shown = async (env: Record<string, string>): Promise<string> => {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--ext=ts", code],
      env: { ...env, DENIM_LIBRARY: runtime().path },
    }).output();
    return new TextDecoder().decode(stdout);
  };
  assertMatch(await shown({ DENIM_DEBUG: "1" }), /^\S+:2:\d+.*\nno guard\n$/);
  assertMatch(await shown({ DENIM_NAN_GUARD: "1" }), /^\S+:2:\d+.*\nNonFiniteError \S+:3:\d+.*\n$/);
});

debugged("leaks: live arrays by the line that made them, the most bytes first", () => {
  const kept: NDArray[] = [];
  for (let i = 0; i < 5; i++) kept.push(mx.ones([100, 100]).mul(i)); // five
  const f = mx.compile((x: NDArray) => x.add(1)); // compiled
  kept.push(f(mx.ones([50, 50])));
  const forget = () => mx.eval(mx.ones([200, 200]).mul(3)); // gone
  for (let i = 0; i < 5; i++) forget();
  mx.eval(kept);
  const lines = mx.leaks(), at = (mark: string) => lines.findIndex((l) => l.madeAt.includes(lineOf(mark)));
  const { count, bytes, largest } = lines[at("five")]!;
  assertEquals([count, bytes, largest], [5, 200_000, "float32[100,100]"]);
  assertEquals([lines[at("compiled")]!.bytes, at("gone")], [10_000, -1]);
  assert(at("five") < at("compiled"));
  assertEquals(lines.map((l) => l.bytes), lines.map((l) => l.bytes).toSorted((a, b) => b - a));
  kept.length = 0;
  assertEquals(mx.leaks().some((l) => l.madeAt.includes(lineOf("five"))), false);
});
test("leaks: off, the error says how to turn debugging on; older arrays have no line", () => {
  assertThrows(() => mx.leaks(), mx.ValueError, "DENIM_DEBUG=1");
  const x = full(N, 1);
  mx.eval(x);
  mx.debug(true);
  try {
    assertEquals(mx.leaks().some((l) => l.madeAt.includes("before mx.debug(true)")), true);
  } finally {
    mx.debug(false);
  }
  assertEquals(x.state, "evaluated");
});

/** The guard's error: the operation that it names, and the line. */
function assertGuarded(f: () => unknown, operation: string, mark: string): mx.DenimError {
  const e = assertThrows(() => mx.nanGuard(f), mx.NonFiniteError);
  assertStringIncludes(e.message, `[nanGuard] cannot go on after ${operation}:`);
  assertStringIncludes(e.madeAt, lineOf(mark));
  return e;
}
const entropy = (x: NDArray): NDArray => {
  const shifted = x.sub(1);
  const logs = shifted.log(); // logs
  return logs.mul(0).exp().sum();
};
test("nanGuard: the first operation, its inputs' ranges and its line; eager and compiled", () => {
  const x = mx.array([2, 1, 3]);
  const e = assertGuarded(() => entropy(x), "log", "logs");
  assertStringIncludes(e.message, "got float32[3] from 0 to 0.6931, 1 infinite, from float32[3] from 0 to 2.");
  const f = mx.compile(entropy);
  f(mx.array([2, 3, 4])); // a program of before the guard, without lines
  assertGuarded(() => f(x), "log", "logs");
  assertGuarded(() => mx.compile(entropy, { shapeless: true })(x), "log", "logs");
  assertEquals(Number.isNaN(f(x).item()), true); // without the guard it is what it is
  assertEquals(mx.nanGuard(() => f(mx.array([2, 3, 4]))).item(), 3);
});
test("nanGuard: gradients, tangents, second derivatives and steps of training", () => {
  const x = mx.array([4, 0]), loss = (x: NDArray): NDArray => x.sqrt().sum(); // root
  assertGuarded(() => mx.grad(loss)(x), "divide, for the gradient of sqrt", "root");
  assertGuarded(() => mx.compile(mx.grad(loss))(x), "divide, for the gradient of sqrt", "root");
  assertGuarded(() => mx.jvp(loss, [x], [mx.ones([2])]), "divide, for the tangent of sqrt", "root");
  const model = new nn.Linear(2, 1), state = [model];
  const step = mx.compile((x: NDArray) => {
    const [l, g] = nn.valueAndGrad(model, (x: NDArray) => mx.log(model.forward(x).mul(0)).sum())(x); // step
    model.update(g);
    return l;
  }, { inputs: state, outputs: state });
  const before = values(model.weight);
  assertGuarded(() => step(mx.ones([1, 2])), "log", "step");
  assertEquals(values(model.weight), before);
});
test("nanGuard: infinities that are passed on are no errors, a NaN that is given is", () => {
  const mask = mx.where(mx.array([true, false, true]), 0, -Infinity), scores = mx.array([1, 2, 3]);
  assertNear(mx.nanGuard(() => mx.softmax(scores.add(mask))), [1 / (1 + Math.E ** 2), 0, 1 / (1 + Math.E ** -2)]);
  const e = assertThrows(() => mx.nanGuard(() => mx.array([1, NaN]).named("data").add(1)), mx.NonFiniteError);
  assertMatch(e.message, /after add: expected inputs without NaN, .* where data#\d+ .* got its NaN/);
  const ratio = (): NDArray => mx.array([1, -2]).divide(mx.array([0, 0])); // ratio
  assertGuarded(ratio, "divide", "ratio");
  assertEquals(mx.nanGuard(ratio, { onlyNan: true }).tolist(), [Infinity, -Infinity]);
  assertThrows(() => mx.nanGuard(() => ratio().sum(), { onlyNan: true }), mx.NonFiniteError, "after sum");
});
test("nanGuard: other dtypes, integers, writes and streams", () => {
  for (const dtype of [mx.float16, mx.bfloat16, ON_GPU ? mx.float32 : mx.float64, mx.complex64]) {
    assertThrows(() => mx.nanGuard(() => mx.zeros([2]).astype(dtype).divide(0)), mx.NonFiniteError, "after divide");
  }
  assertEquals(mx.nanGuard(() => mx.array([1, 2], mx.int32).floorDivide(0)).tolist(), [0, 0]);
  const k = full(N, 1), s = mx.newStream();
  mx.eval(k);
  const written = mx.nanGuard(() => mx.writeAt(k, mx.array([9]), [0], [0], { donate: true }));
  assertEquals([written.dataSync()[0], k.state], [9, "donated"]);
  assertThrows(() => mx.nanGuard(() => mx.stream(s, () => full(N, -1).sqrt())), mx.NonFiniteError, "after sqrt");
});
test("nanGuard: for promises until they are settled, and for all that follows", async () => {
  const pending = mx.nanGuard(async () => {
    await Promise.resolve();
    return mx.array([0]).log(); // later
  });
  const e = await assertRejects(() => pending, mx.NonFiniteError);
  assertStringIncludes(e.message, lineOf("later"));
  assertEquals(mx.array([0]).log().item(), -Infinity);
  assertEquals(mx.nanGuard(true), false);
  try {
    assertThrows(() => mx.array([0]).log().item(), mx.NonFiniteError);
  } finally {
    assertEquals(mx.nanGuard(false), true);
  }
  assertEquals([mx.array([0]).log().item(), mx.debug(false)], [-Infinity, false]);
});
