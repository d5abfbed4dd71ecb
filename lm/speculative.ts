/**
 * Speculative decoding: a small model proposes tokens, the model checks all of them in one run and keeps those that it
 * would have chosen itself, so that the text is the model's own.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { type Cache, canTrimPromptCache, makePromptCache, trimPromptCache } from "./cache.ts";
import { CacheQuantizer } from "./decode.ts";
import type { GenerateStepOptions } from "./generate.ts";
import type { LanguageModel } from "./model.ts";
import { promptArray } from "./prompt.ts";
import { greedySampler, type LogitsProcessor, type Sampler } from "./sample.ts";

/**
 * Options of {@linkcode speculativeGenerateStep}; a given prompt cache holds the model's caches, then those of the
 * draft.
 */
export interface SpeculativeOptions extends GenerateStepOptions {
  /** How many tokens are proposed at a time. Default 2. */
  readonly numDraftTokens?: number;
}
/** Tokens with the log-probabilities [n, vocabulary] that they were chosen by. */
interface Chosen {
  readonly tokens: readonly number[];
  readonly logprobs: NDArray;
}

const row = (tokens: readonly number[]): NDArray => mx.array(Uint32Array.from(tokens)).reshape([1, tokens.length]);

/** A model with its caches. */
class Runner {
  constructor(
    private readonly model: LanguageModel,
    readonly caches: Cache[],
    private readonly quantizer: CacheQuantizer | null,
  ) {}
  /** Reads all tokens but the last. */
  read(tokens: readonly number[], stepSize: number): void {
    for (let done = 0; tokens.length - done > 1;) {
      const end = Math.min(done + stepSize, tokens.length - 1);
      this.run(tokens.slice(done, end));
      mx.eval(this.caches.map((c) => c.state));
      done = end;
    }
  }
  /** Logits [n, vocabulary] of the tokens. */
  run(tokens: readonly number[]): NDArray {
    const logits = this.model.forward(row(tokens), { cache: this.caches }).squeeze(0);
    this.quantizer?.apply(this.caches);
    return logits;
  }
}
/** Chooses tokens; the processors see the tokens before each. */
class Chooser {
  constructor(private readonly sampler: Sampler, private readonly processors: readonly LogitsProcessor[]) {}
  /** The choice at each of the rows of logits; `seen` are all tokens up to that of the first row. */
  choose(logits: NDArray, seen: readonly number[]): Chosen {
    const count = logits.shape[0]!, known = [...seen], tokens: number[] = [], kept: NDArray[] = [];
    if (this.processors.length === 0) return this.#sampled(logits);
    for (let i = 0; i < count; i++) {
      const array = mx.array(Uint32Array.from(known)), one = logits.index(mx.slice(i, i + 1));
      const chosen = this.#sampled(this.processors.reduce((x, processor) => processor(array, x), one));
      tokens.push(...chosen.tokens);
      known.push(...chosen.tokens);
      kept.push(chosen.logprobs);
    }
    return { tokens, logprobs: mx.concatenate(kept) };
  }
  #sampled(logits: NDArray): Chosen {
    const logprobs = logits.subtract(mx.logsumexp(logits, -1, { keepdims: true })), tokens = this.sampler(logprobs);
    return { tokens: Array.from(tokens.flatten().dataSync(), Number), logprobs };
  }
}

function runners(
  model: LanguageModel,
  draft: LanguageModel,
  { promptCache = null, kvBits = null, kvGroupSize = 64, quantizedKvStart = 5000 }: SpeculativeOptions,
): [Runner, Runner] {
  const quantizer = kvBits === null
    ? null
    : new CacheQuantizer(quantizedKvStart, { bits: kvBits, groupSize: kvGroupSize });
  const count = model.layers.length;
  const own = promptCache?.slice(0, count) ?? makePromptCache(model);
  const drafts = promptCache?.slice(count) ?? makePromptCache(draft);
  const stiff = [...own, ...drafts].find((c) => !canTrimPromptCache([c]));
  if (stiff) {
    mx.fail(mx.ValueError, "speculativeGenerateStep", {
      cannot: "take proposals back",
      expected: "caches that can be trimmed",
      got: stiff.constructor.name,
      fix: "generate without a draft model",
    });
  }
  return [new Runner(model, own, quantizer), new Runner(draft, drafts, quantizer)];
}

/**
 * Generates tokens with the help of a smaller model with the same tokenizer (`speculative_generate_step` of mlx-lm):
 * yields each token, the log-probabilities [vocabulary] that the model chose it by, and whether the draft had proposed
 * it.
 * @throws ValueError for an empty prompt, or caches that cannot be trimmed.
 *
 * @example
 * ```ts
 * import { load, speculativeGenerateStep } from "@denim/ml/lm";
 * const { model, tokenizer } = await load("models/storyteller"), ids = tokenizer.encode("Once upon a time");
 * const draft = model; // in earnest a smaller one; this one is always right
 * const steps = [...speculativeGenerateStep(ids, model, draft, { numDraftTokens: 2, maxTokens: 6 })];
 * tokenizer.decode(steps.map(([token]) => token)); // ", and the little Nightingale was"
 * steps.map(([, , fromDraft]) => fromDraft); // [true, true, false, true, true, false]
 * ```
 */
export function* speculativeGenerateStep(
  prompt: NDArray | readonly number[],
  model: LanguageModel,
  draftModel: LanguageModel,
  options: SpeculativeOptions = {},
): Generator<[token: number, logprobs: NDArray, fromDraft: boolean], void, void> {
  const { maxTokens = 256, prefillStepSize = 2048, numDraftTokens = 2 } = options;
  const limit = maxTokens < 0 ? Infinity : maxTokens, seen = Array.from(promptArray(prompt).dataSync(), Number);
  const [main, draft] = runners(model, draftModel, options);
  const chooser = new Chooser(options.sampler ?? greedySampler, options.logitsProcessors ?? []);
  draft.read(seen, prefillStepSize);
  main.read(seen, prefillStepSize);
  // What each model has not read yet.
  let unread = seen.slice(-1), draftUnread = unread, proposed = 0, accepted = 0, made = 0;
  const rewind = (): void => {
    trimPromptCache(main.caches, proposed - accepted);
    trimPromptCache(draft.caches, Math.max(proposed - accepted - 1, 0));
  };
  try {
    while (made < limit) {
      proposed = Math.min(limit - made, numDraftTokens);
      accepted = 0;
      const proposals: number[] = [];
      for (let input = draftUnread; proposals.length < proposed; input = proposals.slice(-1)) {
        const last = draft.run(input).index(mx.slice(-1, null));
        proposals.push(...chooser.choose(last, [...seen, ...proposals]).tokens);
      }
      const logits = main.run([...unread, ...proposals]), { tokens, logprobs } = chooser.choose(logits, seen);
      while (accepted < proposed && tokens[accepted] === proposals[accepted]) {
        const n = accepted++;
        made++;
        yield [tokens[n]!, logprobs.index(n), true];
      }
      if (made < limit) {
        made++;
        yield [tokens[accepted]!, logprobs.index(accepted), false];
      }
      seen.push(...tokens.slice(0, accepted + 1));
      unread = tokens.slice(accepted, accepted + 1);
      // The draft has not read the last proposal yet.
      draftUnread = accepted === proposed ? [...proposals.slice(-1), ...unread] : unread;
      if (made < limit) {
        rewind();
        proposed = accepted = 0;
      }
    }
  } finally {
    rewind();
  }
}
