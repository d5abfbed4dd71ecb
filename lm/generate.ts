/**
 * Generation: token by token with {@linkcode generateStep}, as pieces of text with {@linkcode streamGenerate}, or as a
 * whole with {@linkcode generate}. The next token is queued before the current one is read, so that the device never
 * waits.
 * @module
 */
import { setImmediate } from "node:timers";
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { type Cache, makePromptCache } from "./cache.ts";
import { CacheQuantizer, Decoder, type Head } from "./decode.ts";
import type { LanguageModel } from "./model.ts";
import { promptArray } from "./prompt.ts";
import { greedySampler, type LogitsProcessor, type Sampler } from "./sample.ts";
import { speculativeGenerateStep } from "./speculative.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Options of {@linkcode generateStep}. */
export interface GenerateStepOptions {
  /** How many tokens; -1 for no end. Default 256. */
  readonly maxTokens?: number;
  /** Chooses a token by the log-probabilities. Default: the most likely one. */
  readonly sampler?: Sampler | null;
  /** Change the logits by the tokens so far, in this order. */
  readonly logitsProcessors?: readonly LogitsProcessor[] | null;
  /**
   * Tokens that the cache keeps; older ones but the first 4 are overwritten. Models with caches of their own ignore it.
   */
  readonly maxKvSize?: number | null;
  /** The cache of a text that the prompt goes on with; it is changed. Default: an empty one. */
  readonly promptCache?: Cache[] | null;
  /** How many tokens of the prompt are read at a time. Default 2048. */
  readonly prefillStepSize?: number;
  /** Is told how many tokens of the prompt were read, and how many there are. */
  readonly promptProgressCallback?: (processed: number, total: number) => void;
  /** Bits that the cache keeps its numbers in; null, the default: it keeps them as they are. */
  readonly kvBits?: number | null;
  /** Numbers of a quantized cache that share a scale. Default 64. */
  readonly kvGroupSize?: number;
  /** From how many tokens on the cache is quantized. Default 5000. */
  readonly quantizedKvStart?: number;
}
/** Options of {@linkcode streamGenerate} and {@linkcode generate}. */
export interface GenerateOptions extends GenerateStepOptions {
  /** A smaller model with the same tokenizer that proposes tokens. */
  readonly draftModel?: LanguageModel | null;
  /** How many tokens it proposes at a time. Default 2. */
  readonly numDraftTokens?: number;
}
/** A piece of generated text (`GenerationResponse` of mlx-lm). */
export interface GenerationResponse {
  /** The next piece of text, which may be empty. */
  readonly text: string;
  /** The token that was generated last. */
  readonly token: number;
  /** The log-probabilities that it was chosen by, [vocabulary]. */
  readonly logprobs: NDArray;
  /** Had a draft model proposed it? */
  readonly fromDraft: boolean;
  /** Tokens of the prompt. */
  readonly promptTokens: number;
  /** Tokens of the prompt that were read in a second. */
  readonly promptTps: number;
  /** Tokens that were generated. */
  readonly generationTokens: number;
  /** Tokens that were generated in a second. */
  readonly generationTps: number;
  /** The most memory that was in use so far, in GB. Mapped files do not count. */
  readonly peakMemory: number;
  /** Why the text ends: `stop` at an end token, `length` at the limit; null before the end. */
  readonly finishReason: "stop" | "length" | null;
}

/** Log-probabilities [1, vocabulary] of logits. */
const normalized = (logits: NDArray): NDArray => logits.subtract(mx.logsumexp(logits, { keepdims: true }));
/** How much of choosing a token is the same in every step, so that it is compiled with it. */
const logitsOnly: Head = (logits) => [logits];
const logprobsOnly: Head = (logits) => [normalized(logits)];
const greedyToken: Head = (logits) => {
  const logprobs = normalized(logits);
  return [logprobs, greedySampler(logprobs)];
};

/**
 * Generates tokens (`generate_step` of mlx-lm): reads all tokens of the prompt but the last in pieces, then yields
 * token after token with the log-probabilities [vocabulary] that it was chosen by. End tokens do not end it. A prompt
 * cache that was given holds the prompt and all tokens that were yielded afterwards.
 * @throws ValueError for an empty prompt.
 *
 * @example
 * ```ts
 * import { generateStep, load } from "@denim/ml/lm";
 * const { model, tokenizer } = await load("models/storyteller");
 * const ids = Array.from(generateStep(tokenizer.encode("Once upon a"), model, { maxTokens: 5 }), ([id]) => id);
 * tokenizer.decode(ids); // " few minutes, and the"
 * for (const [id, logprobs] of generateStep(ids, model, { maxTokens: 1 })) console.log(id, logprobs.shape);
 * // 439 [4096]
 * ```
 */
export function* generateStep(
  prompt: NDArray | readonly number[],
  model: LanguageModel,
  options: GenerateStepOptions = {},
): Generator<[token: number, logprobs: NDArray], void, void> {
  const { maxTokens = 256, maxKvSize = null, prefillStepSize = 2048 } = options;
  const tokens = promptArray(prompt), total = tokens.size, progress = options.promptProgressCallback ?? (() => {});
  const caches = options.promptCache ?? makePromptCache(model, { maxKvSize }), quantizer = cacheQuantizer(options);
  readPrompt(tokens, { model, caches, quantizer, stepSize: prefillStepSize, progress });
  const sampler = options.sampler ?? greedySampler, processors = options.logitsProcessors ?? [];
  const head = processors.length ? logitsOnly : sampler === greedySampler ? greedyToken : logprobsOnly;
  const decoder = new Decoder(model, caches, head, { steps: maxTokens < 0 ? -1 : maxTokens + 1, quantizer });
  let seen = tokens;
  const next = (input: NDArray, isFirst: boolean): [token: NDArray, logprobs: NDArray] => {
    let [x = input, token] = decoder.step(input);
    if (processors.length) {
      if (!isFirst) seen = mx.concatenate([seen, input]);
      x = normalized(processors.reduce((logits, processor) => processor(seen, logits), x));
    }
    if (!token) mx.asyncEval(token = sampler(x), x);
    return [token, x.squeeze(0)];
  };
  try {
    let current = next(tokens.index(mx.slice(-1, null)), true);
    for (let n = 0; n !== maxTokens; n++) {
      const following = next(current[0], false), token = Number(current[0].item());
      if (n === 0) progress(total, total);
      yield [token, current[1]];
      current = following;
    }
  } finally {
    decoder.finish();
    // Nobody else has seen these caches, and they are large: not for the garbage collection.
    if (!options.promptCache) { for (const cache of caches) for (const x of cache.state) x.dispose(); }
  }
}
function cacheQuantizer(options: GenerateStepOptions): CacheQuantizer | null {
  const { kvBits = null, kvGroupSize = 64, quantizedKvStart = 5000 } = options;
  return kvBits === null ? null : new CacheQuantizer(quantizedKvStart, { bits: kvBits, groupSize: kvGroupSize });
}
/** What reading a prompt needs. */
interface Reading {
  readonly model: LanguageModel;
  readonly caches: Cache[];
  readonly quantizer: CacheQuantizer | null;
  readonly stepSize: number;
  readonly progress: (processed: number, total: number) => void;
}
/** Puts all tokens but the last into the caches. */
function readPrompt(tokens: NDArray, { model, caches, quantizer, stepSize, progress }: Reading): void {
  const total = tokens.size;
  progress(0, total);
  for (let done = 0; total - done > 1;) {
    const end = Math.min(done + stepSize, total - 1);
    model.forward(tokens.index(null, mx.slice(done, end)), { cache: caches });
    quantizer?.apply(caches);
    mx.eval(caches.map((c) => c.state));
    done = end;
    progress(done, total);
  }
}

/** The ids of a prompt; a text that begins with the begin token gets no second one. */
function encodePrompt(tokenizer: Tokenizer, prompt: string | readonly number[] | NDArray): NDArray | readonly number[] {
  if (typeof prompt !== "string") return prompt;
  const bos = tokenizer.specialTokens.bos_token;
  return tokenizer.encode(prompt, { addSpecialTokens: bos === undefined || !prompt.startsWith(bos) });
}
/** Lets signals, timers and other work have their turn. */
export const breathe = (): Promise<void> => new Promise((done) => void setImmediate(done));

/**
 * Generates text piece by piece (`stream_generate` of mlx-lm), until an end token of the tokenizer or `maxTokens`.
 * @throws ValueError for an empty prompt, or `maxTokens` of 0.
 *
 * @example
 * ```ts
 * import { load, streamGenerate } from "@denim/ml/lm";
 * const { model, tokenizer } = await load("models/storyteller");
 * for await (const { text, finishReason } of streamGenerate(model, tokenizer, "Once upon a", { maxTokens: 3 })) {
 *   console.log([text, finishReason]); // ["few", null], [" minutes", null], [",", "length"]
 * }
 * ```
 */
export async function* streamGenerate(
  model: LanguageModel,
  tokenizer: Tokenizer,
  prompt: string | readonly number[] | NDArray,
  options: GenerateOptions = {},
): AsyncGenerator<GenerationResponse, void, void> {
  const { maxTokens = 256, draftModel = null, ...more } = options;
  if (maxTokens === 0) {
    mx.fail(mx.ValueError, "generate", {
      cannot: "generate no tokens",
      expected: "maxTokens other than 0",
      got: "0",
      fix: "use -1 for no limit",
    });
  }
  const tokens = promptArray(encodePrompt(tokenizer, prompt)), detokenizer = tokenizer.detokenizer();
  let start = performance.now(), promptTps = 0, n = 0;
  type Made = Pick<GenerationResponse, "token" | "logprobs" | "fromDraft">;
  const response = (made: Made, finishReason: "stop" | "length" | null): GenerationResponse => ({
    ...made,
    text: detokenizer.lastSegment(),
    promptTokens: tokens.size,
    promptTps,
    generationTokens: n,
    generationTps: n / ((performance.now() - start) / 1000),
    peakMemory: mx.getPeakMemory() / 1e9,
    finishReason,
  });
  const steps = draftModel
    ? speculativeGenerateStep(tokens, model, draftModel, { ...more, maxTokens })
    : generateStep(tokens, model, { ...more, maxTokens });
  for (const [token, logprobs, fromDraft = false] of steps) {
    const made = { token, logprobs, fromDraft };
    if (n++ === 0) {
      promptTps = tokens.size / ((performance.now() - start) / 1000);
      start = performance.now();
    }
    const ends = tokenizer.eosTokenIds.has(token);
    if (!ends) detokenizer.addToken(token);
    if (ends || n === maxTokens) {
      detokenizer.finalize();
      yield response(made, ends ? "stop" : "length");
      return;
    }
    yield response(made, null);
    await breathe();
  }
}

/**
 * Generates a whole text (`generate` of mlx-lm).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { generate, load, makeSampler } from "@denim/ml/lm";
 * const { model, tokenizer } = await load("models/storyteller");
 * await generate(model, tokenizer, "Once upon a time", { maxTokens: 12 });
 * // ", and the little Nightingale was so much frightened that it was"
 * mx.random.seed(1);
 * const sampler = makeSampler({ temp: 0.6, topP: 0.95 });
 * await generate(model, tokenizer, "Once upon a time", { maxTokens: 12, sampler });
 * // ", and was quite a word of diff, which they"
 * ```
 */
export async function generate(
  model: LanguageModel,
  tokenizer: Tokenizer,
  prompt: string | readonly number[] | NDArray,
  options: GenerateOptions = {},
): Promise<string> {
  let text = "";
  for await (const piece of streamGenerate(model, tokenizer, prompt, options)) text += piece.text;
  return text;
}
