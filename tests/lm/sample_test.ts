/**
 * Filters, samplers and processors against the same written with plain numbers.
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import * as mx from "../../core/mod.ts";
import * as lm from "../../lm/mod.ts";

const PROBS = [0.4, 0.05, 0.3, 0.15, 0.1];
const logprobs = mx.array([PROBS.map(Math.log)]);
/** Which tokens a filter leaves. */
function left(x: mx.NDArray): number[] {
  return Array.from(x.dataSync(), Number).flatMap((v, i) => v === -Infinity ? [] : [i]);
}

Deno.test("filters leave the likely tokens and their log-probabilities", () => {
  assertEquals(left(lm.applyTopK(logprobs, 2)), [0, 2]);
  assertEquals(left(lm.applyTopP(logprobs, 0.6)), [0, 2]);
  assertEquals(left(lm.applyTopP(logprobs, 0.8)), [0, 2, 3]);
  assertEquals(left(lm.applyMinP(logprobs, 0.3)), [0, 2, 3]);
  assertEquals(left(lm.applyMinP(logprobs, 0.9)), [0]);
  assertEquals(left(lm.applyMinP(logprobs, 0.9, { minTokensToKeep: 3 })), [0, 2, 3]);
  assertEquals(left(lm.applyXtc(logprobs, 1, 0.12)), [1, 3, 4]);
  assertEquals(left(lm.applyXtc(logprobs, 1, 0.12, [0])), [0, 1, 3, 4]);
  assertEquals(left(lm.applyXtc(logprobs, 0, 0.12)), [0, 1, 2, 3, 4]);
  assertEquals(lm.applyTopK(logprobs, 2).index(0, 2).item(), logprobs.index(0, 2).item());
});
Deno.test("top-p keeps what is as likely as the last token", () => {
  assertEquals(left(lm.applyTopP(mx.log(mx.array([[0.25, 0.25, 0.25, 0.25]])), 0.3)), [0, 1, 2, 3]);
});
Deno.test("filters refuse what makes no sense", () => {
  const cases: readonly (readonly [() => unknown, string])[] = [
    [
      () => lm.applyTopK(logprobs, 5),
      "[sample] cannot filter by topK: expected an integer in (0, 5), got 5. Fix: give another value",
    ],
    [
      () => lm.applyTopK(logprobs, 1.5),
      "[sample] cannot filter by topK: expected an integer in (0, 5), got 1.5. Fix: give another value",
    ],
    [
      () => lm.applyMinP(logprobs, 2),
      "[sample] cannot filter by minP: expected a number in [0, 1], got 2. Fix: give another value",
    ],
    [
      () => lm.applyXtc(logprobs, 0.5, 0.6),
      "[sample] cannot filter by xtcThreshold: expected a number in [0, 0.5], got 0.6. Fix: give another value",
    ],
  ];
  for (const [run, message] of cases) assertEquals(assertThrows(run, mx.ValueError).message, message);
  assertThrows(() => lm.makeLogitsProcessors({ repetitionPenalty: -1 }), mx.ValueError);
});

Deno.test("temperature 0 takes the most likely token", () => {
  assertEquals(lm.makeSampler(), lm.greedySampler);
  assertEquals(lm.makeSampler({ topP: 0.9 })(logprobs).tolist(), [0]);
});
Deno.test("a seed repeats the draws, and frequencies follow the temperature", () => {
  const draws = (temp: number, seed: number): number[] => {
    mx.random.seed(seed);
    const many = mx.broadcastTo(logprobs, [4000, 5]), sampler = lm.makeSampler(temp);
    return Array.from(sampler(many).dataSync(), Number);
  };
  assertEquals(draws(1, 3), draws(1, 3));
  for (const temp of [1, 0.5]) {
    const weights = PROBS.map((p) => p ** (1 / temp)), total = weights.reduce((a, b) => a + b), drawn = draws(temp, 5);
    weights.forEach((w, i) => {
      const share = drawn.filter((t) => t === i).length / drawn.length;
      assert(Math.abs(share - w / total) < 0.03, `token ${i} at ${temp}: ${share} instead of ${w / total}`);
    });
  }
});
Deno.test("samplers draw only what their filters leave", () => {
  mx.random.seed(1);
  const many = mx.broadcastTo(logprobs, [500, 5]),
    seen = (o: lm.SamplerOptions) => new Set(Array.from(lm.makeSampler(o)(many).dataSync(), Number));
  assertEquals([...seen({ temp: 5, topK: 2 })].sort(), [0, 2]);
  assertEquals([...seen({ temp: 5, topP: 0.6 })].sort(), [0, 2]);
  assertEquals([...seen({ temp: 5, minP: 0.3 })].sort(), [0, 2, 3]);
});

Deno.test("processors count the last tokens only", () => {
  const logits = mx.array([[1, -2, 3, 4, 0]]), tokens = mx.array([4, 1, 2, 2], mx.int32);
  const run = (o: lm.LogitsProcessorOptions) =>
    lm.makeLogitsProcessors(o).reduce((x, f) => f(tokens, x), logits).tolist();
  assertEquals(run({ repetitionPenalty: 2 }), [[1, -4, 1.5, 4, 0]]);
  assertEquals(run({ repetitionPenalty: 2, repetitionContextSize: 2 }), [[1, -2, 1.5, 4, 0]]);
  assertEquals(run({ presencePenalty: 1 }), [[1, -3, 2, 4, -1]]);
  assertEquals(run({ frequencyPenalty: 1 }), [[1, -3, 1, 4, -1]]);
  assertEquals(run({ logitBias: { 0: 5, 3: -4 } }), [[6, -2, 3, 0, 0]]);
  assertEquals(run({}), [[1, -2, 3, 4, 0]]);
  const [repeat] = lm.makeLogitsProcessors({ repetitionPenalty: 2 });
  assertEquals(repeat?.(mx.array([], mx.int32), logits).tolist(), logits.tolist());
});
