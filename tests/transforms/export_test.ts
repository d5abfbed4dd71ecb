/**
 * Exported functions: what comes back computes the same bits and is open to transforms; files that are damaged, or that
 * were made to do harm, are refused. Graphs as text for Graphviz.
 * @module
 */
import { assert, assertEquals, assertLess, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import * as mx from "../../mod.ts";
import * as nn from "../../nn/mod.ts";
import { Random } from "../cases/generate.ts";
import { ON_GPU, values } from "../eval/util.ts";
import { drawn, free } from "./shapeless.ts";

type NDArray = mx.NDArray;
const draw = (shape: readonly number[], seed: number): NDArray => mx.random.normal(shape, { key: mx.random.key(seed) });
/** A path in a folder that is gone afterwards. */
async function withPath<T>(run: (path: string) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir();
  try {
    return await run(`${folder}/f.denim`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
/** The function after a trip through a file. */
const trip = <A extends readonly unknown[]>(f: (...args: A) => unknown, ...examples: readonly (readonly [...A])[]) =>
  withPath(async (path) => {
    await mx.exportFunction(path, f, ...examples);
    return mx.importFunction(path);
  });

const layer = new nn.Linear(4, 3), norm = new nn.LayerNorm(3), words = mx.quantize(draw([8, 64], 5));
const functions: Readonly<Record<string, [(...xs: NDArray[]) => NDArray, NDArray[]]>> = {
  "layers that it captures": [(x) => nn.gelu(norm.forward(layer.forward(x))), [draw([2, 4], 1)]],
  "views, slices and joins": [
    (x) => mx.concatenate([x.index(":, ::-1").T, x.T.reshape([4, 2])], 1).flip(0).expandDims(0),
    [draw([2, 4], 2)],
  ],
  "attention and rope": [
    (q) => mx.fast.scaledDotProductAttention(mx.fast.rope(q, 8, { base: 100 }), q, q, { scale: 0.3, mask: "causal" }),
    [draw([1, 2, 5, 8], 3)],
  ],
  "quantized products": [(x) => mx.quantizedMatmul(x, words[0]!, words[1]!, { biases: words[2]! }), [draw([3, 64], 4)]],
  "random bits of a key": [(k) => mx.random.normal([5], { key: k }), [mx.random.key(3)]],
  "constants that JSON has not": [
    (x) => mx.where(x.gt(0), x.divide(mx.array(-0.0)), NaN).maximum(-Infinity).add(mx.float(0.1)),
    [mx.array([1, -1, 2])],
  ],
  "half types and integers": [
    (x, i) =>
      x.astype(mx.bfloat16).mul(1.5).add(mx.array([1, 2, 3], mx.bfloat16)).astype(mx.float32).add(i.remainder(7)),
    [draw([3], 6), mx.array([10n, 20n, 30n])],
  ],
  "complex numbers, scans and sorting": [
    (x) => mx.sort(mx.cumsum(x.mul(mx.complex(0, 2)).abs(), 0), 0).argmax().astype(mx.float32),
    [draw([7], 7)],
  ],
};
/** Dtype, shape and bits. Transposed constants come back as contiguous ones, whose products a GPU sums otherwise. */
function assertSame(got: NDArray, expected: NDArray): void {
  assertEquals([got.dtype, got.shape], [expected.dtype, expected.shape]);
  const own = values(expected), near = (v: number, k: number) => Math.abs(v - own[k]!) <= 1e-5;
  assertEquals(values(got).map((v, k) => ON_GPU && near(v, k) ? own[k] : v), own);
}
for (const [name, [f, xs]] of Object.entries(functions)) {
  Deno.test(`export: ${name} come back bit for bit`, async () => {
    const back = await trip(f, xs), y = back(...xs);
    assert(y instanceof mx.NDArray);
    assertSame(y, f(...xs));
  });
}
Deno.test("export: trees, plain arguments, and several lists of arguments", async () => {
  const f = (o: { a: NDArray; b: [NDArray, number] }, mode: string) => ({
    sum: o.a.add(o.b[0]).mul(o.b[1]),
    mode,
    rest: [o.a],
  });
  const args = (n: number, k = 2): Parameters<typeof f> => [{ a: mx.ones([n]), b: [mx.ones([n]), k] }, "m"];
  const back = await trip(f, args(2), args(3));
  const shown = (y: unknown): unknown =>
    y instanceof mx.NDArray
      ? values(y)
      : typeof y === "object" && y !== null
      ? Object.entries(y).map(([k, v]) => [k, shown(v)])
      : y;
  for (const n of [2, 3]) assertEquals(shown(back(...args(n))), shown(f(...args(n))));
  assertThrows(() => back(...args(4)), mx.TransformError, "float32[2], float32[2] or float32[3], float32[3]");
  assertThrows(() => back(...args(2, 5)), mx.TransformError, "export it with these arguments");
  await withPath((path) => assertRejects(() => mx.exportFunction(path, f), mx.TransformError, "at least one"));
});
Deno.test("export: an imported function is differentiated, mapped and compiled", async () => {
  const back = await trip((x: NDArray) => x.square().mul(3).sum(), [mx.zeros([3])]), x = mx.array([1, 2, 3]);
  const f = (x: NDArray): NDArray => {
    const y = back(x);
    return y instanceof mx.NDArray ? y : mx.array(0);
  };
  assertEquals(mx.grad(f)(x).tolist(), [6, 12, 18]);
  assertEquals(mx.vmap(f)(mx.stack([x, x])).tolist(), [42, 42]);
  assertEquals(mx.compile(f)(x).item(), 42);
});

for (const [name, [f, shapes]] of Object.entries(free)) {
  Deno.test(`export for any shape: ${name}`, async () => {
    const [first, ...others] = drawn(12, shapes).map((list) => list.map((shape, i) => draw(shape, i)));
    await withPath(async (path) => {
      await mx.exportFunction(path, f, first!, { shapeless: true });
      const back = mx.importFunction(path), compiled = mx.compile(back, { shapeless: true });
      for (const xs of [first!, ...others]) {
        const expected = f(...xs), [y, z] = [back(...xs), compiled(...xs)];
        assert(y instanceof mx.NDArray && z instanceof mx.NDArray);
        assertSame(y, expected);
        assertEquals(z.shape, expected.shape);
      }
      assertEquals(mx.compileStatistics(compiled).traces, 1);
    });
  });
}
const anyShape = <A extends readonly unknown[]>(f: (...args: A) => unknown, ...args: A) =>
  withPath(async (path) => {
    await mx.exportFunction(path, f, args, { shapeless: true });
    return mx.importFunction(path);
  });
Deno.test("export for any shape: lengths that the function reads have to stay, and several examples count", async () => {
  const f = (x: NDArray, k: number) => x.shape[0]! > 2 ? { wide: x.mul(k).sum(0) } : { narrow: x.divide(x.shape[0]!) };
  const back = await withPath(async (path) => {
    await mx.exportFunction(path, f, [mx.ones([2, 3]), 5], [mx.ones([4, 3]), 5], { shapeless: true });
    return mx.importFunction(path);
  });
  const shown = (y: unknown): string => JSON.stringify(y, (_, v) => v instanceof mx.NDArray ? values(v) : v);
  const text = (y: unknown): string =>
    typeof y === "object" && y !== null ? Object.entries(y).map(([k, v]) => `${k} ${shown(values(v))}`).join() : "";
  for (const n of [1, 8]) {
    for (const m of [2, 4]) assertEquals(text(back(mx.ones([m, n]), 5)), text(f(mx.ones([m, n]), 5)));
  }
  assertThrows(() => back(mx.ones([3, 3]), 5), mx.TransformError, "float32[2,?] or float32[4,?]");
  assertThrows(() => back(mx.ones([2, 3]), 6), mx.TransformError);
  assertThrows(() => back(mx.ones([2]), 5), mx.TransformError);
  assertThrows(() => back(mx.ones([2, 3], mx.int32), 5), mx.TransformError);
});
Deno.test("export for any shape: every kind of argument, constants, and results of ranks that must stay", async () => {
  const w = draw([3], 8),
    f = (x: NDArray): NDArray[] => [
      x.mul(mx.float(2)).add(mx.complex(0, -0)).abs().mul(-0.5).add(NaN).divide(Infinity),
      mx.stack(mx.split(x, 3, -1), 0).add(w.reshape([3, 1, 1])),
      x.astype(mx.int64).mul(3n).index(mx.slice(null, null, -1), "...", null),
      mx.zeros(x.shape, mx.float16).add(mx.full([1], 2, mx.bfloat16)),
      mx.pad(x, [[1, 0], [0, 2]], { constantValues: 7 }),
      mx.any(x.gt(0), 1, { keepdims: true }),
    ];
  const back = await anyShape(f, draw([2, 3], 1));
  for (const shape of [[2, 3], [5, 6], [1, 9]]) {
    const x = draw(shape, 2), got = back(x), expected = f(x);
    assert(Array.isArray(got));
    got.forEach((y, i) =>
      assertEquals([y.dtype, y.shape, y.toString()], [
        expected[i]!.dtype,
        expected[i]!.shape,
        expected[i]!.toString(),
      ])
    );
  }
  const squeezed = await anyShape((x: NDArray) => x.squeeze().add(1), mx.ones([2, 3]));
  assertThrows(() => squeezed(mx.ones([1, 3])), mx.TransformError);
  const sums = (x: NDArray): NDArray => {
    const y = squeezed(x);
    return y instanceof mx.NDArray ? y.sum() : mx.array(0);
  };
  assertEquals(mx.grad(sums)(mx.ones([4, 2])).sum().item(), 8);
  await assertRejects(() => anyShape(mx.grad((x: NDArray) => x.sum()), mx.ones([2])), mx.TransformError, "gradients");
});

/** A file with its JSON changed and its checksum made right again. */
function forged(bytes: Uint8Array, change: (json: Record<string, unknown>) => void): Uint8Array {
  const length = new DataView(bytes.buffer).getUint32(12, true), start = Math.ceil((16 + length) / 64) * 64;
  const json = JSON.parse(new TextDecoder().decode(bytes.subarray(16, 16 + length)));
  change(json);
  const text = new TextEncoder().encode(JSON.stringify(json)), head = Math.ceil((16 + text.length) / 64) * 64;
  const out = new Uint8Array(head + bytes.length - start);
  out.set(bytes.subarray(0, 16));
  new DataView(out.buffer).setUint32(12, text.length, true);
  out.set(text, 16);
  out.set(bytes.subarray(start), head);
  out.set(createHash("sha256").update(out.subarray(0, -32)).digest(), out.length - 32);
  return out;
}
/** Every place in a JSON value: how to change it. */
function places(x: unknown): ((to: unknown) => void)[] {
  if (typeof x !== "object" || x === null) return [];
  return Object.keys(x).flatMap((key) => [
    (to: unknown) => void Reflect.set(x, key, to),
    ...places(Reflect.get(x, key)),
  ]);
}
/** Reads the file and, where that works, runs it: anything but a result or an error of the library fails. */
function survives(path: string, bytes: Uint8Array, x: NDArray): boolean {
  Deno.writeFileSync(path, bytes);
  try {
    mx.eval(mx.importFunction(path)(x));
    return true;
  } catch (error) {
    assert(error instanceof mx.DenimError, String(error));
    return false;
  }
}
const victim = (x: NDArray): NDArray =>
  mx.take(x.reshape([3, 2]).T.index("::-1, :2").sum(0).broadcastTo([4, 2]), mx.array([0, 1], mx.int32), 1).mul(
    mx.array([2, 3]),
  );
Deno.test("exporter: graphs call by call, arrays that several capture once, and text", () =>
  withPath(async (path) => {
    const w = mx.ones([16, 64]);
    mx.eval(w);
    const file = mx.exporter(path, (...xs: NDArray[]) => xs.reduce((a, b) => a.add(b), w), { metadata: "sums" });
    for (let n = 1; n <= 4; n++) file.add(...Array.from({ length: n }, () => mx.ones([64])));
    assertThrows(() => Deno.statSync(path), Deno.errors.NotFound);
    await file.close();
    assertThrows(() => file.add(mx.ones([64])), mx.TransformError, "add everything before close()");
    const [f, text] = mx.importFunction(path, { returnMetadata: true });
    const sum = f(mx.ones([64]), mx.ones([64]));
    assert(sum instanceof mx.NDArray);
    assertEquals([text, mx.mean(sum).item()], ["sums", 3]);
    assertLess(Deno.statSync(path).size, 2 * w.nbytes);
    await mx.exportFunction(path, victim, [mx.ones([6])]);
    assertEquals(mx.importFunction(path, { returnMetadata: true })[1], "");
  }));
Deno.test("import: damaged files are refused", () =>
  withPath(async (path) => {
    const x = mx.ones([6]);
    await mx.exportFunction(path, victim, [x]);
    const good = Deno.readFileSync(path), r = new Random(3);
    assert(survives(path, good, x));
    for (let k = 0; k < 60; k++) {
      const bytes = good.slice(), at = r.below(bytes.length);
      bytes[at]! ^= 1 << r.below(8);
      assertEquals([at, survives(path, bytes, x)], [at, false]);
      assertEquals(survives(path, good.slice(0, at), x), false);
    }
    const newer = good.slice();
    newer[8] = 3;
    Deno.writeFileSync(path, newer);
    assertThrows(() => mx.importFunction(path), mx.CheckpointError, "version 3");
    assertThrows(() => mx.importFunction(`${path}.absent`));
  }));
Deno.test("import: files with a right checksum and a wrong graph are refused, or harmless", () =>
  withPath(async (path) => {
    const x = mx.ones([6]), bad = [-1, 0, 1, 7, 1e9, 2 ** 52, 0.5, null, "reshape", [], [1e6, 1e6], {}, true];
    await mx.exportFunction(path, victim, [x]);
    const good = Deno.readFileSync(path), count = countPlaces(good), r = new Random(4);
    for (let k = 0; k < 400; k++) {
      const at = r.below(count), to = r.pick(bad);
      survives(path, forged(good, (json) => places(json)[at]!(to)), x);
    }
  }));
const anyVictim = (x: NDArray): NDArray =>
  mx.concatenate(mx.split(x.reshape([-1, 2]).T, 2, 0), 1).index(mx.slice(0, 4)).sum(0).mul(mx.array([2])).add(1)
    .exp();
Deno.test("import: records with a right checksum and wrong steps are refused, or harmless", () =>
  withPath(async (path) => {
    const x = mx.ones([2, 2]), r = new Random(6);
    const bad = [
      -1,
      0,
      1,
      7,
      1e9,
      2 ** 52,
      0.5,
      null,
      "matmul",
      "arange",
      [],
      [1e6, 1e6],
      {},
      { value: 0 },
      {
        shapeOf: 1,
      },
      { options: { __proto__: 1 } },
      true,
    ];
    await mx.exportFunction(path, anyVictim, [x], { shapeless: true });
    const good = Deno.readFileSync(path), count = countPlaces(good);
    assert(survives(path, good, x));
    for (let k = 0; k < 500; k++) {
      const at = r.below(count), to = r.pick(bad);
      survives(path, forged(good, (json) => places(json)[at]!(to)), mx.ones([r.below(5), r.below(4)]));
    }
  }));
Deno.test("import: a record calls only what takes part in records, with arguments that it takes", () =>
  withPath(async (path) => {
    const x = mx.ones([4, 2]);
    await mx.exportFunction(path, (x: NDArray) => x.reshape([-1]), [x], { shapeless: true });
    const good = Deno.readFileSync(path);
    const refused = (change: Record<string, unknown>, text: string) => {
      Deno.writeFileSync(
        path,
        forged(good, (json) => Object.assign(Reflect.get(Object(json.records), 0).steps[0], change)),
      );
      assertThrows(() => mx.importFunction(path), mx.CheckpointError, text);
    };
    const value = { value: 0 }, results = [{ dtype: "float32", axes: 2 }];
    refused({ call: "arange", args: [3] }, "take part in records");
    refused({ call: "fromBuffer" }, "operations of this version");
    refused({ call: "constructor" }, "operations of this version");
    refused({ args: [value, [3, 3]] }, "reshape");
    refused({ args: [{ value: 9 }, [-1]] }, "the number of a value");
    refused({ args: [{ eval: "1" }, [-1]] }, "an argument of an operation");
    refused({ call: "binary", args: ["exp", value, value], results }, "inputs and parameters that exp takes");
    refused({ call: "binary", args: ["astype", value, value], results }, "importFunction");
    refused({ call: "sliceAxis", args: [value, 0, 2, 9], results }, "inputs and parameters that slice takes");
    refused({ call: "split", args: [value, 2 ** 40, 0] }, "a moderate number");
    refused({ results }, "a record that holds for its own example");
  }));
function countPlaces(bytes: Uint8Array): number {
  let n = 0;
  forged(bytes, (json) => n = places(json).length);
  return n;
}
Deno.test("import: what a view may not do is refused by its record", () =>
  withPath(async (path) => {
    const x = mx.arange(6).astype(mx.float32);
    const refused = async (f: (x: NDArray) => NDArray, change: (params: Record<string, unknown>) => void) => {
      await mx.exportFunction(path, f, [x]);
      const bytes = forged(Deno.readFileSync(path), (json) => {
        const { params }: { params: Record<string, unknown> } = Reflect.get(Object(json.traces), 0).nodes[0];
        change(params);
      });
      Deno.writeFileSync(path, bytes);
      assertThrows(() => mx.importFunction(path), mx.CheckpointError, "impossible inputs");
    };
    await refused((x) => x.index("1:3"), (p) => [p.starts, p.stops] = [[5], [7]]);
    await refused((x) => x.index("::-1"), (p) => p.starts = [6]);
    await refused((x) => mx.asStrided(x, { shape: [2], strides: [1] }), (p) => p.offset = 5);
    await refused((x) => x.reshape([2, 3]), (p) => p.shape = [3, 3]);
    await refused((x) => x.broadcastTo([2, 6]), (p) => p.shape = [2, 7]);
    await refused((x) => x.sum(0), (p) => p.axes = [1]);
  }));

Deno.test("exportToDot: operations, what they read, and the names of outputs", async () => {
  const x = mx.array([1, 2]).named("x");
  let text = "";
  await mx.exportToDot((t) => text = t, { y: x.add(1).exp(), z: x });
  for (const part of ["digraph {", "exp\\nfloat32[2]", "x\\nfloat32[2]", 'label="y"', 'label="z"', "->"]) {
    assertStringIncludes(text, part);
  }
  await withPath(async (path) => {
    await mx.exportToDot(path, x.add(1));
    assertStringIncludes(await Deno.readTextFile(path), "add");
  });
});
