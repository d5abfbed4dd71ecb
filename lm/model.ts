/**
 * What all language models have in common, whatever their architecture.
 * @module
 */
import type { NDArray } from "../core/mod.ts";
import { Module } from "../nn/mod.ts";
import type { Cache, PromptCacheOptions } from "./cache.ts";

/** Options of a model's `forward`. */
export interface ForwardOptions {
  /** One cache per layer; without it the tokens are a whole text. */
  readonly cache?: readonly Cache[] | null;
  /** Vectors [B, L, hidden] instead of the tokens' own. */
  readonly inputEmbeddings?: NDArray | null;
}
/** Weights by their names in the checkpoint. */
export type Weights = Map<string, NDArray>;
/** A linear layer of any kind: plain, quantized, adapted. */
export type Projection = Module & { forward(x: NDArray): NDArray };
/** An embedding of any kind, which may also be the head. */
export type TokenEmbedding = Projection & { asLinear(x: NDArray): NDArray };

/**
 * A language model: tokens [B, L] to logits [B, L, vocabulary].
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { generateStep, LanguageModel } from "@denim/ml/lm";
 * class Counting extends LanguageModel {
 *   readonly modelType = "counting";
 *   readonly layers = [];
 *   forward(tokens: mx.NDArray): mx.NDArray {
 *     return mx.eye(10).index(tokens.add(1)); // the next number is the most likely one
 *   }
 * }
 * Array.from(generateStep([3], new Counting(), { maxTokens: 4 }), ([token]) => token); // [4, 5, 6, 7]
 * ```
 */
export abstract class LanguageModel extends Module {
  /** The `model_type` it was made for. */
  abstract readonly modelType: string;
  /** The blocks; a cache belongs to each. */
  abstract get layers(): readonly Module[];
  /** Logits [B, L, vocabulary] of tokens [B, L]. */
  abstract forward(tokens: NDArray, options?: ForwardOptions): NDArray;
  /** Caches of the kinds that the layers need, where plain ones do not serve. */
  makeCache?(options?: PromptCacheOptions): Cache[];
  /** The checkpoint's weights under the model's names, without what the model does not use. */
  sanitize(weights: Weights): Weights {
    return weights;
  }
}

/** A copy without the weights that `drop` accepts. */
export function withoutWeights(weights: Weights, drop: (name: string) => boolean): Weights {
  return new Map([...weights].filter(([name]) => !drop(name)));
}
/** Kernels [C, 1, K] of other tools, whose names contain `part`, as [C, K, 1]. */
export function withOwnKernels(weights: Weights, part: string): Weights {
  const own = (name: string, x: NDArray) => name.includes(part) && x.shape.at(-1) !== 1 ? x.swapaxes(1, 2) : x;
  return new Map([...weights].map(([name, x]) => [name, own(name, x)]));
}
