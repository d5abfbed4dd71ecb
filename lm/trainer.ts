/**
 * Losses over data sets: batches of rows, the loss that fine-tuning minimises, its mean, and the perplexity.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { losses } from "../nn/mod.ts";
import type { CacheDataset } from "./datasets.ts";
import type { LanguageModel } from "./model.ts";

/** A batch of rows [B, L], and for each the first and the last target that counts, [B, 2]. */
export type Batch = readonly [tokens: NDArray, lengths: NDArray];
/** Options of {@linkcode iterateBatches}. */
export interface BatchOptions {
  /** Rows of a batch. */
  readonly batchSize: number;
  /** Longer rows are cut. Default 2048. */
  readonly maxSeqLength?: number;
}
/** Rows are filled with zeros to one more than a multiple of this. */
const PAD_TO = 32;

/**
 * Whole batches of a data set (`iterate_batches` of mlx-lm), in order of the rows' lengths as the data set has them;
 * rows that fill no batch are left out.
 * @throws ValueError where the data set is smaller than a batch.
 *
 * @example
 * ```ts
 * import { CacheDataset, createDataset, iterateBatches, Tokenizer } from "@denim/ml/lm";
 * const data = ["Once upon a time", "The end.", "Alice"].map((text) => ({ text }));
 * const dataset = new CacheDataset(createDataset(data, Tokenizer.load("models/storyteller")));
 * const batches = [...iterateBatches(dataset, { batchSize: 2 })]; // the third row fills no batch
 * batches.map(([tokens, lengths]) => [tokens.shape, lengths.tolist()]); // [[[2, 33], [[0, 5], [0, 4]]]]
 * ```
 */
export function* iterateBatches(
  dataset: CacheDataset,
  { batchSize, maxSeqLength = 2048 }: BatchOptions,
): Generator<Batch, void, void> {
  if (dataset.length < batchSize) {
    mx.fail(mx.ValueError, "iterateBatches", {
      cannot: "make a batch",
      expected: `at least ${batchSize} rows`,
      got: `${dataset.length}`,
      fix: "give more data or a smaller batchSize",
    });
  }
  const order = Array.from({ length: dataset.length }, (_, i) => i);
  order.sort((a, b) => dataset.itemLength(a) - dataset.itemLength(b));
  for (let start = 0; start + batchSize <= order.length; start += batchSize) {
    const rows = order.slice(start, start + batchSize).map((i) => dataset.get(i));
    const longest = Math.max(...rows.map(([tokens]) => tokens.length));
    const width = Math.min(1 + PAD_TO * Math.ceil(longest / PAD_TO), maxSeqLength);
    const padded = new Int32Array(batchSize * width), lengths = new Int32Array(batchSize * 2);
    rows.forEach(([tokens, promptTokens], i) => {
      const kept = tokens.slice(0, maxSeqLength);
      padded.set(kept, i * width);
      lengths.set([promptTokens, kept.length], i * 2);
    });
    yield [mx.array(padded).reshape([batchSize, width]), mx.array(lengths).reshape([batchSize, 2])];
  }
}
/**
 * The mean loss of the next tokens from `lengths[:, 0]` to `lengths[:, 1]`, and how many these are (`default_loss` of
 * mlx-lm). As there, the target after the last token counts, too.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { defaultLoss, load } from "@denim/ml/lm";
 * const { model, tokenizer } = await load("models/storyteller"), ids = tokenizer.encode("Once upon a time there was");
 * const batch = mx.array([[...ids, 0, 0]], mx.int32); // padded with zeros
 * const [loss, tokens] = defaultLoss(model, batch, mx.array([[1, ids.length - 1]], mx.int32));
 * [Number(loss.item()).toFixed(2), tokens.item()]; // ["3.19", 5]
 * ```
 */
export function defaultLoss(model: LanguageModel, batch: NDArray, lengths: NDArray): [loss: NDArray, tokens: NDArray] {
  const inputs = batch.index("...", mx.slice(0, -1)), targets = batch.index("...", mx.slice(1, null));
  const steps = mx.arange(1, targets.shape[1]! + 1), column = (i: number) => lengths.index("...", mx.slice(i, i + 1));
  const mask = steps.greaterEqual(column(0)).logicalAnd(steps.lessEqual(column(1)));
  const each = losses.crossEntropy(model.forward(inputs), targets).multiply(mask), count = mask.sum();
  return [each.astype(mx.float32).sum().divide(count), count];
}

/** Options of {@linkcode evaluate}. */
export interface EvaluateOptions extends BatchOptions {
  /** How many batches; -1: all. */
  readonly numBatches?: number;
  /** Default: {@linkcode defaultLoss}. */
  readonly loss?: (model: LanguageModel, batch: NDArray, lengths: NDArray) => readonly [NDArray, NDArray];
}
/**
 * The mean loss per token over a data set (`evaluate` of mlx-lm's trainer); the model is in inference mode afterwards.
 *
 * @example
 * ```ts
 * import { CacheDataset, createDataset, evaluate, load } from "@denim/ml/lm";
 * const { model, tokenizer } = await load("models/storyteller");
 * const data = ["Once upon a time there was a little", "Theorem 3.1"].map((text) => ({ text }));
 * const rows = data.map((row) => new CacheDataset(createDataset([row], tokenizer)));
 * rows.map((row) => evaluate(model, row, { batchSize: 1 }).toFixed(2)); // ["6.19", "10.67"]
 * ```
 */
export function evaluate(model: LanguageModel, dataset: CacheDataset, options: EvaluateOptions): number {
  const { numBatches = -1, loss = defaultLoss } = options;
  model.eval();
  let total = 0, count = 0, batches = 0;
  for (const [batch, lengths] of iterateBatches(dataset, options)) {
    if (batches++ === numBatches) break;
    const [mean, tokens] = loss(model, batch, lengths);
    mx.eval(mean, tokens);
    total += Number(mean.item()) * Number(tokens.item());
    count += Number(tokens.item());
  }
  return total / count;
}

/** Options of {@linkcode evalPpl}. */
export interface PerplexityOptions {
  /** Rows at a time. Default 8. */
  readonly batchSize?: number;
}
/**
 * The perplexity `e^(mean loss)` of rows of tokens [N, L], and its standard error (`eval_ppl` of mlx-lm): the error of
 * the mean loss times the perplexity.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { evalPpl, load } from "@denim/ml/lm";
 * const { model, tokenizer } = await load("models/storyteller");
 * const rows = ["He said that he had seen", "She said that she had been"].map((text) => tokenizer.encode(text));
 * const [perplexity, error] = evalPpl(model, mx.array(rows, mx.int32));
 * [perplexity.toFixed(1), error.toFixed(1)]; // ["17.9", "8.5"]
 * ```
 */
export function evalPpl(
  model: LanguageModel,
  data: NDArray,
  { batchSize = 8 }: PerplexityOptions = {},
): [perplexity: number, standardError: number] {
  const all: NDArray[] = [];
  for (let start = 0; start < data.shape[0]!; start += batchSize) {
    const batch = data.index(mx.slice(start, start + batchSize));
    const logits = model.forward(batch.index("...", mx.slice(0, -1))).astype(mx.float32);
    const each = losses.crossEntropy(logits, batch.index("...", mx.slice(1, null))).flatten();
    mx.eval(each);
    all.push(each);
  }
  const each = mx.concatenate(all), perplexity = Math.exp(Number(each.mean().item()));
  const deviation = Math.sqrt(Number(mx.var(each, { ddof: 1 }).item()));
  return [perplexity, perplexity * deviation / Math.sqrt(each.size)];
}
