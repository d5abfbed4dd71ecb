/**
 * Several texts at once, and texts with proposals of a draft model: both are the texts that the model makes alone.
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import * as mx from "../../core/mod.ts";
import type { JsonRecord } from "../../core/io/json.ts";
import {
  batchGenerate,
  type Cache,
  generateStep,
  type LanguageModel,
  makePromptCache,
  mergeCaches,
  QuantizedKVCache,
  speculativeGenerateStep,
  type SpeculativeOptions,
  streamGenerate,
  Tokenizer,
  trimPromptCache,
} from "../../lm/mod.ts";
import { row, someIds, tinyConfig, tinyModel, tokenizerFiles } from "./tiny.ts";

const tokenizer = (ends: readonly number[] = []): Tokenizer => {
  const made = new Tokenizer(tokenizerFiles?.tokenizer ?? {}, {}, { eosTokenIds: ends });
  made.eosTokenIds.clear();
  for (const id of ends) made.eosTokenIds.add(id);
  return made;
};
const alone = (model: LanguageModel, prompt: readonly number[], maxTokens: number) =>
  [...generateStep(prompt, model, { maxTokens })].map(([token]) => token);
const PROMPTS = [someIds(3), someIds(11, 5), someIds(7, 11), someIds(1, 3)];

const CONFIGS: Readonly<Record<string, JsonRecord>> = {
  llama: tinyConfig(),
  "windows of other layers": tinyConfig("llama", {
    layer_types: ["sliding_attention", "full_attention"],
    sliding_window: 6,
  }),
  gemma2: tinyConfig("gemma2"),
  mamba: tinyConfig("mamba", { state_size: 8, conv_kernel: 4, use_bias: true, use_conv_bias: true, time_step_rank: 4 }),
  gpt2: tinyConfig("gpt2", { n_ctx: 64, n_embd: 64, n_head: 4, n_layer: 2, n_positions: 64, layer_norm_epsilon: 0.01 }),
};
for (const [name, config] of Object.entries(CONFIGS)) {
  Deno.test(`${name}: a batch gives what its prompts give alone`, async () => {
    const model = tinyModel(config), expected = PROMPTS.map((p) => alone(model, p, 9));
    for (const options of [{}, { completionBatchSize: 2, prefillBatchSize: 1, prefillStepSize: 4 }]) {
      const more = { maxTokens: 9, returnTokenIds: true, returnLogprobs: true, ...options };
      const { tokenIds, logprobs, texts, stats } = await batchGenerate(model, tokenizer(), PROMPTS, more);
      assertEquals(tokenIds, expected);
      assertEquals(logprobs?.map((x) => x.length), [9, 9, 9, 9]);
      assertEquals(texts, expected.map((ids) => tokenizer().decode(ids)));
      assertEquals([stats.promptTokens, stats.generationTokens], [22, 36]);
    }
  });
}
Deno.test("texts end at end tokens and at limits of their own", async () => {
  const model = tinyModel(), all = PROMPTS.map((p) => alone(model, p, 9)), end = all[1]?.[3] ?? 0;
  const limits = [9, 9, 2, 0],
    cut = all.map((ids, i) => {
      const at = ids.slice(0, limits[i]).indexOf(end);
      return ids.slice(0, at < 0 ? limits[i] : at);
    });
  const { tokenIds } = await batchGenerate(model, tokenizer([end]), PROMPTS, {
    maxTokens: limits,
    returnTokenIds: true,
  });
  assertEquals(tokenIds, cut);
  const { tokenIds: none, logprobs } = await batchGenerate(model, tokenizer(), [], {});
  assertEquals([none, logprobs], [null, null]);
});
Deno.test("wrong batches are errors", async () => {
  const model = tinyModel();
  await assertRejects(() => batchGenerate(model, tokenizer(), [[1], []]), mx.ValueError);
  await assertRejects(() => batchGenerate(model, tokenizer(), [[1], [2]], { maxTokens: [1] }), mx.ValueError);
  assertThrows(() => mergeCaches([[new QuantizedKVCache()]]), mx.ValueError);
});
Deno.test("caches of a batch: several tokens, fewer rows, more rows", () => {
  const model = tinyModel(), texts = [someIds(9), someIds(5, 3)], more = [someIds(3, 7), someIds(3, 13)];
  const read = (ids: readonly number[]): Cache[] => {
    const cache = makePromptCache(model);
    model.forward(row(ids), { cache });
    return cache;
  };
  const batch = mergeCaches(texts.map(read)), both = model.forward(mx.array(more, mx.int32), { cache: batch });
  const single = texts.map((ids, i) => model.forward(row(more[i] ?? []), { cache: read(ids) }));
  const differ = (x: mx.NDArray, y: mx.NDArray): number => Number(x.subtract(y).abs().max().item());
  assert(differ(both, mx.concatenate(single, 0)) < 1e-4);
  batch.forEach((c) => c.filter([1]));
  assertEquals(batch.map((c) => [c.offset, c.state[0]?.shape[0]]), [[8, 1], [8, 1]]);
  const late = mergeCaches([read(texts[0] ?? [])]);
  batch.forEach((c, i) => c.extend(late[i] ?? c));
  const next = model.forward(mx.array([[4], [5]], mx.int32), { cache: batch });
  const expected = [
    model.forward(row([...texts[1] ?? [], ...more[1] ?? [], 4])),
    model.forward(row([...texts[0] ?? [], 5])),
  ];
  expected.forEach((x, i) => assert(differ(next.index(i, -1), x.index(0, -1)) < 1e-4));
});

/** A model that agrees with another in part. */
function similar(model: LanguageModel): LanguageModel {
  const draft = tinyModel();
  mx.random.seed(1);
  return draft.apply((x) => x.add(mx.random.normal(x.shape, { scale: model.layers.length * 0.01 })));
}
Deno.test("proposals of a draft change nothing but who proposed", () => {
  const model = tinyModel(), draft = similar(model), prompt = someIds(9), expected = alone(model, prompt, 20);
  const run = (
    options: SpeculativeOptions,
    helper = draft,
  ) => [...speculativeGenerateStep(prompt, model, helper, options)];
  for (const numDraftTokens of [1, 2, 5]) {
    const made = run({ maxTokens: 20, numDraftTokens, prefillStepSize: 4 });
    assertEquals(made.map(([token]) => token), expected);
    assert(made.some(([, , fromDraft]) => fromDraft));
  }
  const own = run({ maxTokens: 7, numDraftTokens: 3 }, model).map(([, , fromDraft]) => fromDraft);
  assertEquals(own, [true, true, true, false, true, true, true]);
  const bias = [(_: mx.NDArray, logits: mx.NDArray) => logits.add(mx.arange(logits.shape.at(-1) ?? 0).multiply(0.01))];
  const changed = [...generateStep(prompt, model, { maxTokens: 12, logitsProcessors: bias })].map(([token]) => token);
  assertEquals(run({ maxTokens: 12, logitsProcessors: bias }).map(([token]) => token), changed);
});
Deno.test("a prompt cache goes on after proposals, wherever they were left", () => {
  const model = tinyModel(), draft = similar(model), prompt = someIds(9), expected = alone(model, prompt, 14);
  for (const taken of [1, 4, 6, 7]) {
    const promptCache = [...makePromptCache(model), ...makePromptCache(draft)], first: number[] = [];
    for (
      const [token] of speculativeGenerateStep(prompt, model, draft, { promptCache, numDraftTokens: 3, maxTokens: 14 })
    ) {
      if (first.push(token) === taken) break;
    }
    // A proposal that was taken has been read already; what is generated next needs one token that has not.
    const own = promptCache.slice(0, 2), known = [...prompt, ...first];
    if (own[0]?.offset === known.length) trimPromptCache(own, 1);
    const unread = known.slice(own[0]?.offset);
    const rest = [...generateStep(unread, model, { promptCache: own, maxTokens: 14 - taken })].map(([token]) => token);
    assertEquals([...first, ...rest], expected);
  }
});
Deno.test("streams say what a draft proposed; caches that cannot go back are refused", async () => {
  const model = tinyModel(),
    pieces = await Array.fromAsync(
      streamGenerate(model, tokenizer(), someIds(5), { draftModel: model, numDraftTokens: 2, maxTokens: 5 }),
    );
  assertEquals(pieces.map((p) => p.fromDraft), [true, true, false, true, true]);
  assertEquals(pieces.map((p) => p.token), alone(model, someIds(5), 5));
  const windows = tinyModel(CONFIGS["windows of other layers"]), promptCache = makePromptCache(windows);
  windows.forward(row(someIds(9)), { cache: promptCache });
  const all = [...promptCache, ...makePromptCache(windows)];
  const error = assertThrows(
    () => [...speculativeGenerateStep([1], windows, windows, { promptCache: all })],
    mx.ValueError,
  );
  assert(error.message.includes("got RotatingKVCache"), error.message);
});
