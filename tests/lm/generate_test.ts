/**
 * Generation: compiled steps give what plain ones give, caches stay usable, programs are kept, streams end as they
 * should.
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import * as mx from "../../core/mod.ts";
import * as lm from "../../lm/mod.ts";
import { row, someIds, tinyConfig, tinyModel, tokenizerFiles } from "./tiny.ts";

const PROMPT = someIds(9);
const tokenizer = new lm.Tokenizer(tokenizerFiles?.tokenizer ?? {}, tokenizerFiles?.config ?? {});

/** The most likely tokens, by whole texts without a cache. */
function greedy(model: lm.LanguageModel, prompt: readonly number[], n: number): number[] {
  const ids = [...prompt];
  while (ids.length < prompt.length + n) ids.push(Number(model.forward(row(ids)).index(0, -1).argmax().item()));
  return ids.slice(prompt.length);
}
function tokensOf(steps: Iterable<[number, mx.NDArray]>): number[] {
  return Array.from(steps, ([token]) => token);
}
/** `n` tokens, then the generator is left. */
function take(steps: Iterable<[number, mx.NDArray]>, n: number): number[] {
  const tokens: number[] = [];
  for (const [token] of steps) if (tokens.push(token) === n) break;
  return tokens;
}

Deno.test("generateStep gives the most likely tokens and their log-probabilities", () => {
  const model = tinyModel(), expected = greedy(model, PROMPT, 12), ids = [...PROMPT];
  for (const [token, logprobs] of lm.generateStep(PROMPT, model, { maxTokens: 12 })) {
    const logits = model.forward(row(ids)).index(0, -1), plain = logits.subtract(mx.logsumexp(logits));
    assertEquals(logprobs.shape, logits.shape);
    assert(mx.allclose(logprobs, plain, 1e-3, { atol: 1e-3 }).item() === true);
    ids.push(token);
  }
  assertEquals(ids.slice(PROMPT.length), expected);
});
Deno.test("pieces of the prompt, a prompt of one token and arrays give the same", () => {
  const model = tinyModel();
  const expected = greedy(model, PROMPT, 6), progress: number[][] = [];
  const promptProgressCallback = (...step: [number, number]) => void progress.push(step);
  const pieces = lm.generateStep(PROMPT, model, { maxTokens: 6, prefillStepSize: 3, promptProgressCallback });
  assertEquals(tokensOf(pieces), expected);
  assertEquals(progress, [[0, 9], [3, 9], [6, 9], [8, 9], [9, 9]]);
  assertEquals(tokensOf(lm.generateStep(mx.array(Uint32Array.from(PROMPT)), model, { maxTokens: 6 })), expected);
  assertEquals(
    tokensOf(lm.generateStep([PROMPT[0] ?? 0], model, { maxTokens: 6 })),
    greedy(model, PROMPT.slice(0, 1), 6),
  );
  assertEquals(tokensOf(lm.generateStep(PROMPT, model, { maxTokens: 0 })), []);
});
Deno.test("one program serves all positions, and later generations", () => {
  const model = tinyModel();
  assertEquals(lm.decodeStatistics(model), { calls: 0, traces: 0, replays: 0, programs: 0, evictions: 0 });
  const first = tokensOf(lm.generateStep(PROMPT, model, { maxTokens: 100 }));
  assertEquals(lm.decodeStatistics(model), { calls: 101, traces: 1, replays: 0, programs: 1, evictions: 0 });
  assertEquals(tokensOf(lm.generateStep(PROMPT, model, { maxTokens: 100 })), first);
  assertEquals(lm.decodeStatistics(model), { calls: 202, traces: 1, replays: 0, programs: 1, evictions: 0 });
});
Deno.test("rotating caches give the same compiled and plain", () => {
  const model = tinyModel();
  const caches = () => model.layers.map(() => new lm.RotatingKVCache(16, 4));
  const compiled = take(lm.generateStep(PROMPT, model, { maxTokens: 40, promptCache: caches() }), 40);
  const plain = caches(), ids: number[] = [];
  let next = model.forward(row(PROMPT.slice(0, -1)), { cache: plain });
  for (let token = PROMPT.at(-1) ?? 0; ids.length < 40; ids.push(token)) {
    next = model.forward(row([token]), { cache: plain });
    token = Number(next.index(0, -1).argmax().item());
  }
  assertEquals(compiled, ids);
});
Deno.test("layers with a window generate as without a cache", () => {
  const types = { layer_types: ["sliding_attention", "full_attention"], sliding_window: 4 };
  const model = tinyModel(tinyConfig("llama", types));
  assertEquals(tokensOf(lm.generateStep(PROMPT, model, { maxTokens: 20 })), greedy(model, PROMPT, 20));
});
Deno.test("a generator that is left leaves a prompt cache that can be used", () => {
  const model = tinyModel(), promptCache = lm.makePromptCache(model), expected = greedy(model, PROMPT, 10);
  const begun = take(lm.generateStep(PROMPT, model, { promptCache }), 4);
  assertEquals(begun, expected.slice(0, 4));
  // The cache holds the prompt and the tokens that were yielded.
  assertEquals(promptCache.map((c) => c.offset), [PROMPT.length + 4, PROMPT.length + 4]);
  assertEquals(lm.trimPromptCache(promptCache, 1), 1);
  const more = lm.generateStep(begun.slice(-1), model, { promptCache, maxTokens: 6 });
  assertEquals(tokensOf(more), expected.slice(4));
});
Deno.test("two generators of one model do not disturb one another", () => {
  const model = tinyModel(), other = someIds(9, 11);
  const a = lm.generateStep(PROMPT, model, { maxTokens: 8 }), b = lm.generateStep(other, model, { maxTokens: 8 });
  const tokens: [number[], number[]] = [[], []];
  for (let i = 0; i < 8; i++) {
    [a, b].forEach((steps, k) => {
      const { value } = steps.next();
      if (value) tokens[k]?.push(value[0]);
    });
  }
  assertEquals(tokens, [greedy(model, PROMPT, 8), greedy(model, other, 8)]);
});
Deno.test("without a limit the buffers grow on the way", () => {
  const model = tinyModel(tinyConfig("llama", { num_hidden_layers: 1 }));
  const tokens = take(lm.generateStep(PROMPT, model, { maxTokens: -1 }), 1030),
    { calls, traces } = lm.decodeStatistics(model);
  assertEquals(calls, 1031);
  assert(traces <= 2, `${traces} traces`);
  const ids = [...PROMPT, ...tokens], logits = model.forward(row(ids.slice(0, -1)));
  assertEquals(Number(logits.index(0, -1).argmax().item()), ids.at(-1));
});
Deno.test("replaced weights take effect", () => {
  const model = tinyModel(), before = tokensOf(lm.generateStep(PROMPT, model, { maxTokens: 8 }));
  mx.random.seed(11);
  model.apply((x) => x.ndim === 2 ? mx.random.normal(x.shape, { scale: 0.3 }) : x);
  const after = tokensOf(lm.generateStep(PROMPT, model, { maxTokens: 8 }));
  assertEquals(after, greedy(model, PROMPT, 8));
  assert(before.join() !== after.join());
});
Deno.test("processors see the prompt and all tokens so far", () => {
  const model = tinyModel(), seen: number[][] = [];
  const watch: lm.LogitsProcessor = (tokens, logits) => {
    seen.push(Array.from(tokens.dataSync(), Number));
    return logits;
  };
  const tokens = tokensOf(
    lm.generateStep(PROMPT, model, { maxTokens: 3, prefillStepSize: 4, logitsProcessors: [watch] }),
  );
  assertEquals(seen, [0, 1, 2, 3].map((n) => [...PROMPT, ...tokens.slice(0, n)]));
  const only = lm.makeLogitsProcessors({ logitBias: { 42: 1e6 } });
  assertEquals(tokensOf(lm.generateStep(PROMPT, model, { maxTokens: 3, logitsProcessors: only })), [42, 42, 42]);
});
Deno.test("a seed repeats what is sampled", () => {
  const model = tinyModel(), sampler = lm.makeSampler({ temp: 1, topP: 0.9 });
  const run = (): number[] => {
    mx.random.seed(5);
    return tokensOf(lm.generateStep(PROMPT, model, { maxTokens: 12, sampler }));
  };
  const first = run();
  assertEquals(run(), first);
  assert(first.join() !== greedy(model, PROMPT, 12).join());
});
Deno.test("a prompt or a limit of nothing is a clear error", async () => {
  const model = tinyModel(),
    steps = (o: lm.GenerateStepOptions, prompt = PROMPT) => () => tokensOf(lm.generateStep(prompt, model, o));
  assertEquals(
    assertThrows(steps({}, []), mx.ValueError).message,
    "[generate] cannot read the prompt: expected a list of at least one token, got int32[0]. Fix: encode a text",
  );
  await assertRejects(() => lm.generate(model, tokenizer, PROMPT, { maxTokens: 0 }), mx.ValueError);
});

Deno.test("streamGenerate ends at the limit or at an end token", async () => {
  const model = tinyModel(), expected = greedy(model, PROMPT, 12);
  const collect = async (ends: readonly number[]): Promise<lm.GenerationResponse[]> => {
    const own = new lm.Tokenizer(tokenizerFiles?.tokenizer ?? {}, {}, { eosTokenIds: ends });
    return await Array.fromAsync(lm.streamGenerate(model, own, PROMPT, { maxTokens: 12 }));
  };
  const all = await collect([]), [first] = all, last = all.at(-1);
  assertEquals(all.map((r) => r.token), expected);
  assertEquals(all.map((r) => r.finishReason), [...new Array<null>(11).fill(null), "length"]);
  assertEquals(all.map((r) => r.generationTokens), expected.map((_, i) => i + 1));
  assert(
    first && last && first.promptTokens === 9 && last.promptTps > 0 && last.generationTps > 0 && last.peakMemory > 0,
  );
  const end = expected[5] ?? 0, at = expected.indexOf(end), stopped = await collect([end]);
  assertEquals(stopped.map((r) => r.token), expected.slice(0, at + 1));
  assertEquals(stopped.at(-1)?.finishReason, "stop");
});
Deno.test("generate gives the text of the stream, and encodes the prompt once", async () => {
  const model = tinyModel(), prompt = "hello there", ids = tokenizer.encode(prompt);
  const text = await lm.generate(model, tokenizer, prompt, { maxTokens: 10 });
  assertEquals(await lm.generate(model, tokenizer, ids, { maxTokens: 10 }), text);
  assert(text.length > 0);
});
Deno.test("timers have their turn between two pieces", async () => {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 0), model = tinyModel();
  for await (const _ of lm.streamGenerate(model, tokenizer, PROMPT, { maxTokens: 60 }));
  clearInterval(timer);
  assert(ticks > 2, `${ticks} ticks`);
});
