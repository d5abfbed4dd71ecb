/**
 * Quantized caches, masks in compiled steps, and files of prompt caches.
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import * as mx from "../../core/mod.ts";
import {
  ArraysCache,
  type Cache,
  causalMask,
  Clock,
  generateStep,
  KVCache,
  loadPromptCache,
  makePromptCache,
  mergeCaches,
  QuantizedKVCache,
  RotatingKVCache,
  savePromptCache,
  scaledDotProductAttention,
} from "../../lm/mod.ts";
import { decodeStatistics } from "../../lm/decode.ts";
import { stateSpace } from "../../lm/ssm.ts";
import { inFolder, row, someIds, tinyConfig, tinyModel } from "./tiny.ts";

const numbers = (x: mx.NDArray): number[] => Array.from(x.astype(mx.float32).dataSync(), Number);
function assertClose(x: mx.NDArray, y: mx.NDArray, tolerance = 1e-4): void {
  assertEquals(x.shape, y.shape);
  const expected = numbers(y);
  numbers(x).forEach((v, i) => assert(Math.abs(v - (expected[i] ?? NaN)) <= tolerance, `${i}: ${v}, ${expected[i]}`));
}
/** A model whose heads are wide enough for groups of 32. */
const config = tinyConfig("llama", { head_dim: 32 });
const tokensOf = (options: Parameters<typeof generateStep>[2], ids = someIds(11), model = tinyModel(config)) =>
  [...generateStep(ids, model, options)].map(([token]) => token);

Deno.test("attention to a quantized cache is that to the dequantized numbers", () => {
  mx.random.seed(3);
  for (const [heads, L, mask] of [[4, 1, null], [4, 5, "causal"], [2, 5, causalMask(5, 8, 6)]] as const) {
    const cache = new QuantizedKVCache({ groupSize: 32, bits: 8 });
    const part = (n: number) => mx.random.normal([2, 2, n, 32]);
    cache.updateAndFetch(part(8), part(8));
    const seen = cache.updateAndFetch(part(L), part(L)), queries = mx.random.normal([2, heads, L, 32]);
    const plain = ([w, scales, biases]: readonly mx.NDArray[]): mx.NDArray =>
      mx.dequantize(w!, scales!, { biases: biases!, groupSize: 32, bits: 8 });
    const dequantized = { keys: plain(seen.keys), values: plain(seen.values), length: null };
    const how = { scale: 0.2, mask };
    assertClose(scaledDotProductAttention(queries, seen, how), scaledDotProductAttention(queries, dequantized, how));
    assertEquals(cache.offset, 8 + L);
    assertEquals(seen.keys.map((x) => x.shape), [[2, 2, 8 + L, 8], [2, 2, 8 + L, 1], [2, 2, 8 + L, 1]]);
  }
});
Deno.test("generation with a quantized cache: compiled steps give what single ones give", () => {
  const model = tinyModel(config), ids = someIds(250);
  const plain = model.layers.map(() => new KVCache());
  mx.eval(model.forward(row(ids.slice(0, -1)), { cache: plain }));
  const caches: Cache[] = plain.map((cache) => cache.toQuantized({ groupSize: 32, bits: 8 }));
  const options = { kvBits: 8, kvGroupSize: 32, maxTokens: 12 };
  let last = ids.at(-1)!;
  // Probabilities are compared, not tokens: two of the best are nearly equal, and a code may be rounded either way.
  for (const [token, logprobs] of generateStep(ids, model, { ...options, quantizedKvStart: 0 })) {
    const logits = model.forward(row([last]), { cache: caches }).index(0, -1);
    assertClose(mx.softmax(logits), logprobs.exp(), 1e-3);
    last = token;
  }
  assert(decodeStatistics(model).calls > 0);
  const given = makePromptCache(model);
  tokensOf({ ...options, quantizedKvStart: 253, promptCache: given }, ids, model);
  assert(given.every((c) => c instanceof QuantizedKVCache && c.offset >= 262));
  const untouched = makePromptCache(model);
  tokensOf({ ...options, promptCache: untouched }, ids, model);
  assert(untouched.every((c) => c instanceof KVCache));
});
Deno.test("a rotating cache cannot be quantized", () => {
  const error = assertThrows(() => tokensOf({ kvBits: 8, quantizedKvStart: 0, promptCache: [new RotatingKVCache(8)] }));
  assert(error instanceof mx.ValueError && error.message.startsWith("[toQuantized] cannot quantize a rotating cache"));
});

Deno.test("masks of compiled steps are those of single steps", () => {
  for (const start of [3, 6, 7, 11]) {
    for (const cache of [new KVCache(), new RotatingKVCache(8), new QuantizedKVCache({ groupSize: 32 })]) {
      const wide = cache instanceof QuantizedKVCache ? 32 : 4, size = (n: number) => mx.zeros([1, 1, n, wide]);
      cache.updateAndFetch(size(2), size(2));
      for (let i = 2; i < start; i++) cache.updateAndFetch(size(1), size(1));
      const single = cache.makeMask(1, { windowSize: 5 });
      assert(cache.follow(new Clock(start), 4));
      const compiled = cache.makeMask(1, { windowSize: 5 });
      assert(compiled instanceof mx.NDArray);
      const count = Math.min(start + 1, cache instanceof RotatingKVCache ? 8 : start + 1);
      const expected = single instanceof mx.NDArray ? numbers(single) : new Array<number>(count).fill(1);
      assertEquals(numbers(compiled).slice(0, count), expected, `${cache.kind} at ${start}`);
    }
  }
});

Deno.test("a saved cache goes on where the text ended, whatever its kind", async () => {
  await inFolder(async (folder) => {
    const model = tinyModel(config), ids = someIds(23), path = `${folder}/cache.safetensors`;
    const kinds: readonly (() => Cache)[] = [
      () => new KVCache(),
      () => new RotatingKVCache(16, { keep: 4 }),
      () => new QuantizedKVCache({ groupSize: 32, bits: 4 }),
    ];
    for (const make of kinds) {
      const cache = model.layers.map(make);
      model.forward(row(ids), { cache });
      await savePromptCache(path, cache, { model: "tiny", "tokenizer_config": "{}" });
      const [loaded, metadata] = loadPromptCache(path, { returnMetadata: true });
      assertEquals(metadata, { model: "tiny", "tokenizer_config": "{}" });
      assertEquals(loaded.map((c) => [c.kind, c.offset]), cache.map((c) => [c.kind, c.offset]));
      const rest = [9, 8, 7];
      assertEquals(
        tokensOf({ promptCache: loaded, maxTokens: 5 }, rest, model),
        tokensOf({ promptCache: cache, maxTokens: 5 }, rest, model),
      );
    }
  });
});
Deno.test("a saved recurrence goes on where the text ended", async () => {
  await inFolder(async (folder) => {
    const fields = { state_size: 8, conv_kernel: 4, use_bias: true, use_conv_bias: true, time_step_rank: 4 };
    const model = tinyModel(tinyConfig("mamba", fields)),
      cache = makePromptCache(model),
      path = `${folder}/c.safetensors`;
    model.forward(row(someIds(9)), { cache });
    assertEquals(cache.map((c) => [c.offset, c.isTrimmable()]), [[9, false], [9, false]]);
    await savePromptCache(path, cache);
    const rest = [9, 8, 7], run = (promptCache: Cache[]) => tokensOf({ promptCache, maxTokens: 5 }, rest, model);
    assertEquals(run(loadPromptCache(path)), run(cache));
    assertEquals(cache.map((c) => c.offset), [17, 17]);
    assertThrows(() => new ArraysCache(1).updateAndFetch(), mx.ValueError);
  });
});
Deno.test("lists of caches: saved, and in batches", async () => {
  await inFolder(async (folder) => {
    const sizes = { mamba_d_ssm: 64, mamba_n_heads: 4, mamba_d_head: 16, mamba_d_state: 8 };
    const model = tinyModel(tinyConfig("falcon_h1", sizes)), path = `${folder}/c.safetensors`;
    const read = (ids: readonly number[]): Cache[] => {
      const cache = makePromptCache(model);
      model.forward(row(ids), { cache });
      return cache;
    };
    const cache = read(someIds(9)), rest = [9, 8, 7];
    assertEquals(cache.map((c) => c.kind), new Array(2).fill("CacheList (ArraysCache 2, KVCache)"));
    await savePromptCache(path, cache);
    const run = (promptCache: Cache[]) => tokensOf({ promptCache, maxTokens: 5 }, rest, model);
    assertEquals(run(loadPromptCache(path)), run(cache));
    const both = mergeCaches([read(someIds(9)), read(someIds(4, 3))]), tokens = mx.array([[4], [5]], mx.int32);
    const alone = [[...someIds(9), 4], [...someIds(4, 3), 5]].map((ids) => model.forward(row(ids)).index(0, -1));
    assertClose(model.forward(tokens, { cache: both }).squeeze(1), mx.stack(alone));
    both.forEach((c) => c.filter([1]));
    const more = mergeCaches([read(someIds(3))]);
    both.forEach((c, i) => c.extend(more[i] ?? c));
    const next = model.forward(mx.array([[6], [7]], mx.int32), { cache: both }).squeeze(1);
    const expected = [[...someIds(4, 3), 5, 6], [...someIds(3), 7]].map((ids) => model.forward(row(ids)).index(0, -1));
    assertClose(next, mx.stack(expected));
    assertThrows(() => cache[0]?.updateAndFetch(mx.zeros([1, 1, 1, 1]), mx.zeros([1, 1, 1, 1])), mx.ValueError);
  });
});
Deno.test("chunks of a state-space layer are its recurrence, token by token", () => {
  mx.random.seed(2);
  const [T, heads, size, states] = [300, 4, 3, 5], draw = (...shape: number[]) => mx.random.normal([2, ...shape]);
  const parts = { x: draw(T, heads, size), B: draw(T, 2, states), C: draw(T, 2, states), dt: draw(T, heads) };
  const one = () => mx.random.normal([heads]),
    p = { A_log: one(), D: one(), dt_bias: one(), limits: [0.01, 2] as const };
  const start = draw(heads, size, states), [whole, last] = stateSpace({ ...parts, state: start }, p);
  const ys: mx.NDArray[] = [];
  let h = start;
  for (let t = 0; t < T; t++) {
    const at = (y: mx.NDArray) => y.index(mx.slice(null), t),
      wide = (y: mx.NDArray) => mx.repeat(at(y), 2, 1).expandDims(2);
    const dt = mx.clip(mx.logaddexp(at(parts.dt).add(p.dt_bias), 0), 0.01, 2), x = at(parts.x);
    const decay = dt.multiply(p.A_log.exp()).negative().exp().expandDims([-1, -2]);
    h = decay.multiply(h).add(dt.expandDims(-1).multiply(x).expandDims(-1).multiply(wide(parts.B)));
    ys.push(h.multiply(wide(parts.C)).sum(-1).add(p.D.expandDims(-1).multiply(x)));
    if (t % 50 === 0) mx.eval(h, ys);
  }
  assertClose(whole, mx.stack(ys, 1), 2e-3);
  assertClose(last, h, 2e-3);
});
Deno.test("a saved file has mlx-lm's metadata and whole steps of the buffers", async () => {
  await inFolder(async (folder) => {
    const model = tinyModel(config), cache = makePromptCache(model), path = `${folder}/cache.safetensors`;
    tokensOf({ promptCache: cache, maxTokens: 3 }, someIds(4), model);
    await savePromptCache(path, cache);
    const length = Number(new DataView((await Deno.readFile(path)).buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode((await Deno.readFile(path)).subarray(8, 8 + length)));
    assertEquals(header.__metadata__, {
      "1.0": "KVCache",
      "1.1": "KVCache",
      "2.0": "",
      "2.1.0": "0.2",
      "2.1.1": "scalar",
      "2.2.0": "1.2",
      "2.2.1": "scalar",
    });
    assertEquals(header["0.0"].shape, [1, 2, 256, 32]);
    assertEquals(header["1.2"], { dtype: "I32", shape: [], data_offsets: header["1.2"].data_offsets });
  });
});
Deno.test("what is no prompt cache is refused", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/x.safetensors`,
      refuses = (text: string) => {
        const error = assertThrows(() => loadPromptCache(path), mx.CheckpointError);
        assert(error.message.includes(text), error.message);
      };
    await mx.saveSafetensors(path, { a: mx.zeros([2]) });
    refuses("expected classes of caches in its metadata, got none");
    await mx.saveSafetensors(path, { "0.0": mx.zeros([2]) }, { "1.0": "MagicCache" });
    refuses("expected caches of the classes KVCache, RotatingKVCache, QuantizedKVCache, ArraysCache");
    await mx.saveSafetensors(path, { "0.0": mx.zeros([2]) }, { "1.0": "KVCache" });
    refuses("cannot restore a KVCache");
  });
});
Deno.test("metadata that are null are none", async () => {
  await inFolder(async (folder) => {
    const header = '{"__metadata__":null,"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
    const bytes = new Uint8Array(8 + header.length + 4);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
    bytes.set(new TextEncoder().encode(header), 8);
    await Deno.writeFile(`${folder}/x.safetensors`, bytes);
    assertEquals(Object.keys(mx.load(`${folder}/x.safetensors`)), ["x"]);
  });
});
