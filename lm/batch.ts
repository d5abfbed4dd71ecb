/**
 * Generation for several prompts at once: prompts are read one by one, then all texts grow together; one that ends
 * makes room for the next prompt.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { type BatchCache, mergeCaches } from "./batch_cache.ts";
import { makePromptCache } from "./cache.ts";
import { breathe } from "./generate.ts";
import type { LanguageModel } from "./model.ts";
import { greedySampler, type Sampler } from "./sample.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Options of {@linkcode batchGenerate}. */
export interface BatchGenerateOptions {
  /** How many tokens, for all prompts or for each. Default 128. */
  readonly maxTokens?: number | readonly number[];
  /** Chooses tokens by the log-probabilities [texts, vocabulary]. Default: the most likely ones. */
  readonly sampler?: Sampler | null;
  /** Texts that grow together at most. Default 32. */
  readonly completionBatchSize?: number;
  /** Prompts that are read before the texts go on. Default 8. */
  readonly prefillBatchSize?: number;
  /** How many tokens of a prompt are read at a time. Default 2048. */
  readonly prefillStepSize?: number;
  /** Also return the ids. Default false. */
  readonly returnTokenIds?: boolean;
  /** Also return the log-probabilities of the ids. Default false. */
  readonly returnLogprobs?: boolean;
}
/** Counts and speeds of a batch (`BatchStats` of mlx-lm). */
export interface BatchStats {
  /** Tokens of all prompts. */
  readonly promptTokens: number;
  /** Tokens of prompts that were read in a second. */
  readonly promptTps: number;
  /** Tokens that were generated. */
  readonly generationTokens: number;
  /** Tokens that were generated in a second. */
  readonly generationTps: number;
  /** The most memory that was in use so far, in GB. */
  readonly peakMemory: number;
}
/** The texts of a batch, in the order of the prompts (`BatchResponse` of mlx-lm). */
export interface BatchResponse {
  /** Without the end tokens. */
  readonly texts: readonly string[];
  /** Counts and speeds. */
  readonly stats: BatchStats;
  /** Ids of each text, if they were asked for. */
  readonly tokenIds: readonly (readonly number[])[] | null;
  /** Their log-probabilities, if they were asked for. */
  readonly logprobs: readonly (readonly number[])[] | null;
}

/** A text that grows. */
interface Text {
  readonly index: number;
  readonly limit: number;
  readonly tokens: number[];
  readonly logprobs: number[];
}
/** The texts that grow together. */
class Batch {
  texts: Text[] = [];
  #caches: BatchCache[] = [];
  /** Log-probabilities [texts, vocabulary] of the next tokens. */
  #logprobs: NDArray | null = null;
  constructor(
    private readonly model: LanguageModel,
    private readonly sampler: Sampler,
    private readonly prefillStepSize: number,
  ) {}

  /** Reads prompts, whose texts grow with the others from now on. */
  add(prompts: readonly (readonly number[])[], texts: readonly Text[]): void {
    const rows = prompts.map(() => makePromptCache(this.model)), last: NDArray[] = [];
    prompts.forEach((prompt, i) => {
      let logits: NDArray | null = null;
      for (let done = 0; done < prompt.length; done += this.prefillStepSize) {
        const piece = Int32Array.from(prompt.slice(done, done + this.prefillStepSize));
        logits = this.model.forward(mx.array(piece).reshape([1, piece.length]), { cache: rows[i]! });
        mx.eval(rows[i]!.map((c) => c.state));
      }
      if (logits) last.push(normalized(logits));
    });
    const merged = mergeCaches(rows);
    if (this.texts.length > 0) this.#caches.forEach((c, i) => c.extend(merged[i]!));
    else this.#caches = merged;
    this.#logprobs = mx.concatenate(this.#logprobs ? [this.#logprobs, ...last] : last);
    mx.eval(this.#logprobs, this.#caches.map((c) => c.state));
    this.texts.push(...texts);
  }
  /** Adds a token to each text; returns how many. Texts that end leave. */
  step(ends: ReadonlySet<number>): number {
    const logprobs = this.#logprobs!, chosen = this.sampler(logprobs).flatten(), count = this.texts.length;
    const tokens = Array.from(chosen.dataSync(), Number), all = mx.takeAlongAxis(logprobs, chosen.expandDims(-1), -1);
    const values = Array.from(all.astype(mx.float32).dataSync(), Number), stay: number[] = [];
    this.texts.forEach((text, i) => {
      const token = tokens[i]!;
      if (ends.has(token)) return;
      text.tokens.push(token);
      text.logprobs.push(values[i]!);
      if (text.tokens.length < text.limit) stay.push(i);
    });
    if (stay.length < count) this.#keep(stay);
    if (stay.length > 0) {
      const inputs = mx.array(Int32Array.from(stay.map((i) => tokens[i]!))).reshape([stay.length, 1]);
      this.#logprobs = normalized(this.model.forward(inputs, { cache: this.#caches }));
      mx.asyncEval(this.#logprobs, this.#caches.map((c) => c.state));
    }
    return count;
  }
  #keep(rows: readonly number[]): void {
    this.texts = rows.map((i) => this.texts[i]!);
    if (rows.length > 0) { for (const c of this.#caches) c.filter(rows); }
    else [this.#caches, this.#logprobs] = [[], null];
  }
}
/** Log-probabilities [B, vocabulary] of the last of logits [B, L, vocabulary]. */
function normalized(logits: NDArray): NDArray {
  const last = logits.index(mx.slice(null), -1);
  return last.subtract(mx.logsumexp(last, -1, { keepdims: true }));
}
function checkPrompts(prompts: readonly (readonly number[])[], maxTokens: number | readonly number[]): void {
  const empty = prompts.findIndex((p) => p.length === 0);
  const wrong = empty >= 0 || (typeof maxTokens !== "number" && maxTokens.length !== prompts.length);
  if (!wrong) return;
  mx.fail(mx.ValueError, "batchGenerate", {
    cannot: "generate for these prompts",
    expected: empty >= 0 ? "at least one token in each" : `${prompts.length} limits in maxTokens`,
    got: empty >= 0 ? `none in prompt ${empty}` : `${typeof maxTokens === "number" ? 1 : maxTokens.length}`,
    fix: empty >= 0 ? "encode texts" : "give one number, or one for each prompt",
  });
}

/**
 * Generates a text for each prompt (`batch_generate` of mlx-lm), several at a time, until an end token of the tokenizer
 * or `maxTokens`.
 * @throws ValueError for an empty prompt, or where the model's caches cannot hold several texts.
 *
 * @example
 * ```ts
 * import { batchGenerate, load } from "@denim/ml/lm";
 * const { model, tokenizer } = await load("models/storyteller");
 * const prompts = ["Once upon a time", "The King said"].map((text) => tokenizer.encode(text));
 * const { texts, stats } = await batchGenerate(model, tokenizer, prompts, { maxTokens: [8, 4] });
 * texts; // [", and the little Nightingale was so much", " to the King."]
 * stats.generationTokens; // 12
 * ```
 */
export async function batchGenerate(
  model: LanguageModel,
  tokenizer: Tokenizer,
  prompts: readonly (readonly number[])[],
  options: BatchGenerateOptions = {},
): Promise<BatchResponse> {
  const { maxTokens = 128, completionBatchSize = 32, prefillBatchSize = 8, prefillStepSize = 2048 } = options;
  checkPrompts(prompts, maxTokens);
  const limit = (i: number): number => typeof maxTokens === "number" ? maxTokens : maxTokens[i]!;
  const texts = prompts.map((_, index): Text => ({ index, limit: limit(index), tokens: [], logprobs: [] }));
  const queue = texts.filter((text) => text.limit > 0),
    batch = new Batch(model, options.sampler ?? greedySampler, prefillStepSize);
  let promptTokens = 0, promptTime = 0, generationTokens = 0, generationTime = 0;
  while (queue.length > 0 || batch.texts.length > 0) {
    const start = performance.now(), room = completionBatchSize - batch.texts.length;
    if (queue.length > 0 && room > 0) {
      const next = queue.splice(0, Math.min(room, prefillBatchSize)), read = next.map((text) => prompts[text.index]!);
      batch.add(read, next);
      promptTokens += read.reduce((n, p) => n + p.length, 0);
      promptTime += performance.now() - start;
    }
    const begun = performance.now();
    generationTokens += batch.step(tokenizer.eosTokenIds);
    generationTime += performance.now() - begun;
    await breathe();
  }
  return {
    texts: texts.map((text) => tokenizer.decode(text.tokens)),
    stats: {
      promptTokens,
      promptTps: promptTokens / (promptTime / 1000),
      generationTokens,
      generationTps: generationTokens / (generationTime / 1000),
      peakMemory: mx.getPeakMemory() / 1e9,
    },
    tokenIds: options.returnTokenIds ? texts.map((text) => text.tokens) : null,
    logprobs: options.returnLogprobs ? texts.map((text) => text.logprobs) : null,
  };
}
