/**
 * GGUF files that are written here are read back, by the parser that reads llama.cpp's.
 * @module
 */
import { assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { CheckpointError } from "../../core/errors.ts";
import { readGgufHeader } from "../../core/io/gguf.ts";
import * as mx from "../../mod.ts";

const folder = await Deno.makeTempDir({ prefix: "denim-gguf-" });
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const path = `${folder}/x.gguf`;

Deno.test("saveGguf: tensors of every dtype that the format has come back", async () => {
  const dtypes = [mx.float32, mx.float16, mx.bfloat16, mx.float64, mx.int8, mx.int16, mx.int32, mx.int64];
  const arrays = Object.fromEntries(dtypes.map((d) => [d.name, mx.arange(-3, 4).astype(d)]));
  await mx.saveGguf(path, { ...arrays, wide: mx.arange(24).reshape([2, 3, 4]).transpose(), one: mx.array([2.5]) });
  const loaded = mx.load(path);
  for (const dtype of dtypes) {
    assertEquals([loaded[dtype.name]!.dtype, loaded[dtype.name]!.tolist()], [dtype, arrays[dtype.name]!.tolist()]);
  }
  assertEquals(loaded.wide!.tolist(), mx.arange(24).reshape([2, 3, 4]).transpose().tolist());
  assertEquals(readGgufHeader(path).tensors.every(({ begin }) => begin % 32 === 0), true);
});

Deno.test("saveGguf: metadata come back, with the kinds that llama.cpp expects", async () => {
  const metadata = {
    "general.architecture": "llama",
    "general.alignment": 64,
    words: ["a", "", "\u00e9\u{1f600}"],
    count: 32,
    below: -2,
    epsilon: 0.5,
    flag: true,
    big: 2n ** 63n,
    scores: Float32Array.of(0.5, -1),
    none: [],
  };
  await mx.saveGguf(path, { x: mx.ones([3]), y: mx.ones([2]) }, {
    ...metadata,
    scalar: mx.array(7, mx.uint16),
    axis: mx.array([1, 2], mx.int32),
    half: mx.array([0.5], mx.float16),
  });
  const [arrays, read] = mx.load(path, { returnMetadata: true });
  assertEquals(read, {
    ...metadata,
    scalar: 7,
    axis: Int32Array.of(1, 2),
    half: Float32Array.of(0.5),
  });
  assertEquals(arrays.y!.tolist(), [1, 1]);
  assertEquals(readGgufHeader(path).tensors.map(({ begin }) => begin % 64), [0, 0]);
});

Deno.test("saveGguf: any text and integer comes back", async () => {
  const value = fc.oneof(fc.string({ unit: "binary" }), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }));
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.string({ unit: "grapheme" }), value, { minKeys: 20, maxKeys: 60 }),
      async (metadata) => {
        const plain = Object.fromEntries(Object.entries(metadata));
        await mx.saveGguf(path, {}, plain);
        const [, read] = mx.load(path, { returnMetadata: true });
        const same = (x: unknown) => typeof x === "bigint" && Number.isSafeInteger(Number(x)) ? Number(x) : x;
        assertEquals(Object.entries(read), Object.entries(plain).map(([key, x]) => [key, same(x)]));
      },
    ),
    { numRuns: 6 },
  );
});

Deno.test("saveGguf refuses what the format cannot hold, and leaves the file that was there", async () => {
  await mx.saveGguf(path, { x: mx.ones([2]) });
  const wrong: [Record<string, mx.NDArray>, Record<string, mx.GgufValue | mx.NDArray>][] = [
    [{ x: mx.ones([1], mx.complex64) }, {}],
    [{ x: mx.ones([1, 1, 1, 1, 1]) }, {}],
    [{}, { key: mx.ones([2, 2]) }],
    [{}, { key: [1, "a"] }],
    [{}, { key: 2n ** 64n }],
    [{}, { "general.alignment": 0 }],
  ];
  for (const [arrays, metadata] of wrong) {
    await assertRejects(() => mx.saveGguf(path, arrays, metadata), CheckpointError, "[saveGguf] cannot write");
  }
  assertEquals(mx.load(path).x!.tolist(), [1, 1]);
});
