/**
 * Data sets and losses over them.
 * @module
 */
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as mx from "../../core/mod.ts";
import type { JsonRecord } from "../../core/io/json.ts";
import {
  CacheDataset,
  createDataset,
  type DatasetOptions,
  defaultLoss,
  evalPpl,
  evaluate,
  iterateBatches,
  linearToLoraLayers,
  loadLocalDataset,
  Tokenizer,
} from "../../lm/mod.ts";
import { valueAndGrad } from "../../nn/mod.ts";
import { SGD } from "../../optimizers/mod.ts";
import { inFolder, row, someIds, tinyModel, tokenizerFiles } from "./tiny.ts";

const tokenizer = new Tokenizer(tokenizerFiles?.tokenizer ?? {}, tokenizerFiles?.config ?? {});
const rowsOf = (data: readonly JsonRecord[], options?: DatasetOptions) => {
  const set = new CacheDataset(createDataset(data, tokenizer, options));
  return data.map((_, i) => set.get(i));
};
/** -log softmax(logits)[target] of every next token, by plain loops. */
function plainLosses(model: ReturnType<typeof tinyModel>, ids: readonly number[]): number[] {
  const logits = model.forward(row(ids.slice(0, -1))).squeeze(0), width = logits.shape[1] ?? 1;
  const data = Array.from(logits.dataSync(), Number);
  return ids.slice(1).map((id, t) => {
    const at = data.slice(t * width, (t + 1) * width), top = Math.max(...at);
    return Math.log(at.reduce((sum, x) => sum + Math.exp(x - top), 0)) + top - (at[id] ?? NaN);
  });
}
const mean = (x: readonly number[]): number => x.reduce((a, b) => a + b, 0) / x.length;

Deno.test("texts, prompts with completions, and conversations become rows", () => {
  const text = "hello there", end = tokenizer.eosTokenId ?? -1;
  assertEquals(rowsOf([{ text }]), [[[...tokenizer.encode(text), end], 0]]);
  const messages = [{ role: "user", content: "hi" }, { role: "assistant", content: "you" }];
  const tokens = tokenizer.applyChatTemplate(messages);
  const start = tokenizer.applyChatTemplate(messages.slice(0, 1), { addGenerationPrompt: true }).length;
  assertEquals(rowsOf([{ messages }]), [[tokens, 0]]);
  assertEquals(rowsOf([{ messages }], { maskPrompt: true }), [[tokens, start]]);
  assertEquals(rowsOf([{ prompt: "hi", completion: "you" }], { maskPrompt: true }), [[tokens, start]]);
  const named = { promptFeature: "q", completionFeature: "a" };
  assertEquals(rowsOf([{ q: "hi", a: "you" }], named), [[tokens, 0]]);
});
Deno.test("wrong data are errors", () => {
  const refuses = (data: readonly JsonRecord[], text: string, options?: DatasetOptions) => {
    const error = assertThrows(() => rowsOf(data, options), mx.ValueError);
    assert(error.message.includes(text), error.message);
  };
  refuses([{ body: "x" }], "expected the fields prompt and completion, messages or text, got body");
  refuses([{ text: 5 }], "expected a text as text, got 5");
  refuses([{ messages: [{ content: "x" }] }], "expected messages with roles as messages");
  refuses([{ text: "x" }], "cannot mask prompts of texts", { maskPrompt: true });
});
Deno.test("files of a folder; one that is missing is empty", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/train.jsonl`, '{"text": "a"}\n{"text": "b"}\n');
    assertEquals(loadLocalDataset(folder, tokenizer).map((set) => set.length), [2, 0, 0]);
    await Deno.writeTextFile(`${folder}/test.jsonl`, '{"text": "a"}\n[1]\n');
    const error = assertThrows(() => loadLocalDataset(folder, tokenizer), mx.CheckpointError);
    assert(error.message.includes("cannot read line 2 of"), error.message);
  });
});
/** A data set of rows of given lengths. */
function rows(lengths: readonly number[], promptTokens = 0): CacheDataset {
  return new CacheDataset({
    length: lengths.length,
    entry: (i) => ({ i }),
    process: ({ i }) => [someIds(lengths[Number(i)] ?? 0, 3 + Number(i)), promptTokens],
  });
}
Deno.test("batches are padded, cut, and whole", () => {
  const batches = [...iterateBatches(rows([5, 40, 7]), { batchSize: 2, maxSeqLength: 64 })];
  assertEquals(batches.map(([tokens, lengths]) => [tokens.shape, lengths.tolist()]), [[[2, 64], [[0, 5], [0, 40]]]]);
  const [[first, lengths] = [mx.zeros([0]), mx.zeros([0])]] = iterateBatches(rows([5, 3]), {
    batchSize: 2,
    maxSeqLength: 4,
  });
  assertEquals(first.tolist(), [someIds(4, 3), [...someIds(3, 4), 0]]);
  assertEquals(lengths.tolist(), [[0, 4], [0, 3]]);
  assertThrows(() => [...iterateBatches(rows([5]), { batchSize: 2 })], mx.ValueError);
});
Deno.test("the loss is the mean over the targets that count", () => {
  const model = tinyModel(), ids = someIds(9);
  const [loss, count] = defaultLoss(model, row([...ids, 0, 0]), mx.array([[3, 9]], mx.int32));
  const each = plainLosses(model, [...ids, 0, 0]);
  assertEquals(Number(count.item()), 7);
  assertAlmostEquals(Number(loss.item()), mean(each.slice(2, 9)), 1e-3);
});
Deno.test("evaluate is the mean over all tokens, or over some batches", () => {
  const model = tinyModel(), data = rows([6, 9, 12, 4, 8]), options = { batchSize: 2, maxSeqLength: 20 };
  // The target after a row is padding, and counts.
  const each = (i: number) => plainLosses(model, [...data.get(i)[0], 0]);
  assertAlmostEquals(evaluate(model, data, options), mean([0, 1, 2, 3].flatMap(each)), 1e-3);
  assertAlmostEquals(evaluate(model, data, { ...options, numBatches: 1 }), mean([0, 1].flatMap(each)), 1e-3);
});
Deno.test("perplexity and its error", () => {
  const model = tinyModel(),
    ids = [someIds(8), someIds(8, 5), someIds(8, 7)],
    each = ids.flatMap((x) => plainLosses(model, x));
  const [perplexity, error] = evalPpl(model, mx.array(ids, mx.int32), { batchSize: 2 }),
    expected = Math.exp(mean(each));
  const variance = each.reduce((sum, x) => sum + (x - mean(each)) ** 2, 0) / (each.length - 1);
  assertAlmostEquals(perplexity / expected, 1, 1e-3);
  assertAlmostEquals(error / (expected * Math.sqrt(variance / each.length)), 1, 1e-3);
});
Deno.test("training adapters lowers the loss", () => {
  const model = tinyModel().freeze();
  linearToLoraLayers(model, 2, { rank: 4, scale: 4, dropout: 0 });
  const [batch, lengths] = [...iterateBatches(rows([12, 9]), { batchSize: 2, maxSeqLength: 16 })][0] ??
    [row([]), row([])];
  const step = valueAndGrad(model, () => defaultLoss(model, batch, lengths)), optimizer = new SGD(0.05);
  const losses = [0, 1, 2, 3].map(() => {
    const [[loss], gradients] = step();
    optimizer.update(model, gradients);
    mx.eval(model.parameters());
    return Number(loss.item());
  });
  assert(losses.every((x, i) => i === 0 || x < (losses[i - 1] ?? 0)), losses.join());
});
