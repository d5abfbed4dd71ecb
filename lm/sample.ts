/**
 * How the next token is chosen: samplers take log-probabilities [B, vocabulary] and return tokens [B]; filters set what
 * is out of the question to -∞; logits processors change logits by the tokens so far. Names, order and defaults are
 * mlx-lm's.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";

/** Log-probabilities [B, vocabulary] to tokens [B]. */
export type Sampler = (logprobs: NDArray) => NDArray;
/** All tokens so far [n] and logits [1, vocabulary] to logits. */
export type LogitsProcessor = (tokens: NDArray, logits: NDArray) => NDArray;

/** Options of {@linkcode makeSampler}. */
export interface SamplerOptions {
  /** Temperature: 0 takes the most likely token. Default 0. */
  readonly temp?: number;
  /** Keep the most likely tokens that have this probability together; 0 and 1 keep all. Default 0. */
  readonly topP?: number;
  /** Keep tokens at least this probable, relative to the most likely one. Default 0. */
  readonly minP?: number;
  /** How many tokens {@linkcode SamplerOptions.minP} keeps at least. Default 1. */
  readonly minTokensToKeep?: number;
  /** Keep this many of the most likely tokens; 0 keeps all. Default 0. */
  readonly topK?: number;
  /** How often the most likely tokens are excluded, but for the last of those above the threshold. Default 0. */
  readonly xtcProbability?: number;
  /** The probability above which tokens may be excluded. Default 0.1. */
  readonly xtcThreshold?: number;
  /** Tokens that are never excluded so. */
  readonly xtcSpecialTokens?: readonly number[];
}
/** Options of {@linkcode makeLogitsProcessors}. */
export interface LogitsProcessorOptions {
  /** What is added to the logits of single tokens, by their ids. */
  readonly logitBias?: Readonly<Record<number, number>> | null;
  /** Divides positive and multiplies negative logits of tokens that occurred (https://arxiv.org/abs/1909.05858). */
  readonly repetitionPenalty?: number | null;
  /** How many of the last tokens count for it. Default 20. */
  readonly repetitionContextSize?: number;
  /** Subtracted from logits of tokens that occurred. */
  readonly presencePenalty?: number | null;
  /** How many of the last tokens count for it. Default 20. */
  readonly presenceContextSize?: number;
  /** Subtracted from logits of tokens, for each time that they occurred. */
  readonly frequencyPenalty?: number | null;
  /** How many of the last tokens count for it. Default 20. */
  readonly frequencyContextSize?: number;
}
/** Options of {@linkcode applyMinP}. */
export interface MinPOptions {
  /** How many tokens stay at least. Default 1. */
  readonly minTokensToKeep?: number;
}

const refuse = (name: string, expected: string, got: number): never =>
  mx.fail(mx.ValueError, "sample", {
    cannot: `filter by ${name}`,
    expected,
    got: String(got),
    fix: "give another value",
  });

/**
 * The most likely token: logits or log-probabilities [..., vocabulary] -> [...].
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { greedySampler } from "@denim/ml/lm";
 * greedySampler(mx.array([[-1, -0.2, -3], [-0.1, -4, -4]])).tolist(); // [1, 0]
 * ```
 */
export function greedySampler(logprobs: NDArray): NDArray {
  return logprobs.argmax(-1);
}
/**
 * A sampler by options (`make_sampler` of mlx-lm): top-p, min-p, XTC and top-k filter in this order, then a token is
 * drawn at the temperature.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { makeSampler } from "@denim/ml/lm";
 * const sampler = makeSampler({ temp: 0.8, topP: 0.9 });
 * sampler(mx.log(mx.array([[0.1, 0.9, 0]]))).shape; // [1]
 * ```
 */
export function makeSampler(options: number | SamplerOptions = {}): Sampler {
  const o = typeof options === "number" ? { temp: options } : options;
  const { temp = 0, topP = 0, minP = 0, topK = 0, xtcProbability = 0, xtcThreshold = 0.1 } = o;
  if (temp === 0) return greedySampler;
  const filters: Sampler[] = [];
  if (topP > 0 && topP < 1) filters.push((x) => applyTopP(x, topP));
  if (minP !== 0) filters.push((x) => applyMinP(x, minP, { minTokensToKeep: o.minTokensToKeep ?? 1 }));
  if (xtcProbability > 0) filters.push((x) => applyXtc(x, xtcProbability, xtcThreshold, o.xtcSpecialTokens ?? []));
  if (topK > 0) filters.push((x) => applyTopK(x, topK));
  return (logprobs) => categoricalSampling(filters.reduce((x, filter) => filter(x), logprobs), temp);
}

/**
 * A token drawn from `softmax(logits / temp)` (`categorical_sampling` of mlx-lm).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { categoricalSampling } from "@denim/ml/lm";
 * mx.random.seed(1);
 * const logits = mx.broadcastTo(mx.array([2, 1, 0]), [1000, 3]), counts = [0, 0, 0];
 * for (const token of categoricalSampling(logits, 0.5).dataSync()) counts[Number(token)]!++;
 * counts; // [862, 122, 16]
 * ```
 */
export function categoricalSampling(logits: NDArray, temp: number): NDArray {
  return mx.random.categorical(logits.multiply(mx.float(1 / temp)));
}
/**
 * Only the `topK` most likely tokens stay (`apply_top_k` of mlx-lm).
 * @throws ValueError for a `topK` outside (0, vocabulary).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { applyTopK } from "@denim/ml/lm";
 * applyTopK(mx.array([[-3, -0.5, -2, -1]]), 2).tolist(); // [[-Infinity, -0.5, -Infinity, -1]]
 * ```
 */
export function applyTopK(logprobs: NDArray, topK: number): NDArray {
  const size = logprobs.shape.at(-1) ?? 0;
  if (!Number.isInteger(topK) || topK <= 0 || topK >= size) refuse("topK", `an integer in (0, ${size})`, topK);
  const rest = mx.argpartition(logprobs.negative(), topK - 1, -1).index("...", mx.slice(topK, null));
  return mx.putAlongAxis(logprobs, rest, -Infinity, -1);
}
/**
 * Only tokens at least `minP` times as likely as the most likely one stay (`apply_min_p` of mlx-lm).
 * @throws ValueError for a `minP` outside [0, 1], or a `minTokensToKeep` below 1.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { applyMinP } from "@denim/ml/lm";
 * const logprobs = mx.array([[-0.5, -1, -4, -9]]);
 * applyMinP(logprobs, 0.1).tolist(); // [[-0.5, -1, -Infinity, -Infinity]]
 * applyMinP(logprobs, 0.1, { minTokensToKeep: 3 }).tolist(); // [[-0.5, -1, -4, -Infinity]]
 * ```
 */
export function applyMinP(logprobs: NDArray, minP: number, options: MinPOptions = {}): NDArray {
  const { minTokensToKeep: keep = 1 } = options;
  if (!(minP >= 0 && minP <= 1)) refuse("minP", "a number in [0, 1]", minP);
  if (!Number.isInteger(keep) || keep < 1) refuse("minTokensToKeep", "a positive integer", keep);
  const least = logprobs.max(-1, { keepdims: true }).add(mx.float(Math.log(minP))), drop = logprobs.less(least);
  if (keep === 1) return mx.where(drop, -Infinity, logprobs);
  const best = mx.argpartition(logprobs, -keep, -1).index("...", mx.slice(-keep, null));
  return mx.where(mx.putAlongAxis(drop, best, false, -1), -Infinity, logprobs);
}
/**
 * Only the most likely tokens that reach the probability `topP` together stay, and those as likely as the last of them
 * (`apply_top_p` of mlx-lm).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { applyTopP } from "@denim/ml/lm";
 * const logprobs = mx.log(mx.array([[0.05, 0.5, 0.3, 0.15]]));
 * applyTopP(logprobs, 0.75).greater(-Infinity).tolist(); // [[false, true, true, false]]
 * ```
 */
export function applyTopP(logprobs: NDArray, topP: number): NDArray {
  const sorted = mx.sort(logprobs, -1), probs = sorted.astype(mx.float32).exp();
  const above = mx.cumsum(probs, -1, { reverse: true, inclusive: false });
  // The sum of all, which rounding keeps from being 1.
  const first = mx.slice(0, 1), total = above.index("...", first).add(probs.index("...", first));
  const dropped = above.greaterEqual(total.multiply(topP)).sum(-1, { keepdims: true });
  return mx.where(logprobs.less(mx.takeAlongAxis(sorted, dropped, -1)), -Infinity, logprobs);
}
/**
 * With a probability, excludes all tokens above a threshold but the least likely of them: "exclude top choices".
 * Special tokens are never excluded (`apply_xtc` of mlx-lm).
 * @throws ValueError for a threshold outside [0, 0.5], or a probability outside [0, 1].
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { applyXtc } from "@denim/ml/lm";
 * const logits = mx.log(mx.array([[0.5, 0.25, 0.2, 0.05]])); // three are above 0.1
 * applyXtc(logits, 1, 0.1).greater(-Infinity).tolist(); // [[false, false, true, true]]
 * applyXtc(logits, 1, 0.1, [0]).greater(-Infinity).tolist(); // [[true, false, true, true]]
 * ```
 */
export function applyXtc(
  logits: NDArray,
  probability: number,
  threshold: number,
  specialTokens: readonly number[] = [],
): NDArray {
  if (!(threshold >= 0 && threshold <= 0.5)) refuse("xtcThreshold", "a number in [0, 0.5]", threshold);
  if (!(probability >= 0 && probability <= 1)) refuse("xtcProbability", "a number in [0, 1]", probability);
  const probs = mx.softmax(logits, -1);
  const least = mx.where(probs.greater(threshold), probs, Infinity).min(-1, { keepdims: true });
  let excluded = probs.greater(least);
  if (specialTokens.length) excluded = excluded.at("...", mx.array(Int32Array.from(specialTokens))).set(false);
  return mx.where(mx.random.uniform().greater(probability), logits, mx.where(excluded, -Infinity, logits));
}

/**
 * Processors by options (`make_logits_processors` of mlx-lm), in the order of the options. The tokens of the prompt
 * count, too.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { makeLogitsProcessors } from "@denim/ml/lm";
 * const processors = makeLogitsProcessors({ logitBias: { 2: -10 }, repetitionPenalty: 2 });
 * const tokens = mx.array([0, 1], mx.int32), logits = mx.array([[4, -1, 3]]);
 * processors.reduce((x, processor) => processor(tokens, x), logits).tolist(); // [[2, -2, -7]]
 * ```
 */
export function makeLogitsProcessors(options: LogitsProcessorOptions = {}): LogitsProcessor[] {
  const processors: LogitsProcessor[] = [], bias = Object.entries(options.logitBias ?? {});
  if (bias.length) {
    const ids = mx.array(Int32Array.from(bias, ([id]) => Number(id)));
    const values = mx.array(Float32Array.from(bias, ([, value]) => value));
    processors.push((_tokens, logits) => logits.at(mx.slice(null), ids).add(values));
  }
  const { repetitionPenalty, presencePenalty, frequencyPenalty } = options;
  if (repetitionPenalty) processors.push(repetition(repetitionPenalty, options.repetitionContextSize ?? 20));
  if (presencePenalty) processors.push(presence(presencePenalty, options.presenceContextSize ?? 20));
  if (frequencyPenalty) processors.push(frequency(frequencyPenalty, options.frequencyContextSize ?? 20));
  return processors;
}
/** `change` sees the last `size` tokens; there is nothing to do without tokens. */
function overContext(size: number, change: (recent: NDArray, logits: NDArray) => NDArray): LogitsProcessor {
  return (tokens, logits) => tokens.size === 0 ? logits : change(tokens.index(mx.slice(-size, null)), logits);
}
function repetition(penalty: number, size: number): LogitsProcessor {
  if (!(penalty >= 0)) refuse("repetitionPenalty", "a number from 0", penalty);
  return overContext(size, (recent, logits) => {
    const seen = logits.index(mx.slice(null), recent);
    const changed = mx.where(seen.less(0), seen.multiply(penalty), seen.divide(penalty));
    return logits.at(mx.slice(null), recent).set(changed);
  });
}
function presence(penalty: number, size: number): LogitsProcessor {
  return overContext(size, (recent, logits) => {
    const seen = logits.index(mx.slice(null), recent);
    return logits.at(mx.slice(null), recent).set(seen.subtract(penalty));
  });
}
function frequency(penalty: number, size: number): LogitsProcessor {
  return overContext(size, (recent, logits) => logits.at(mx.slice(null), recent).subtract(penalty));
}
