/**
 * Language models (`mlx_lm`): loading checkpoints, generating text, tokenizers.
 *
 * ```ts
 * import { generate, load } from "@denim/ml/lm";
 * const { model, tokenizer } = await load("storyteller"); // or "HuggingFaceTB/SmolLM2-135M-Instruct"
 * console.log(await generate(model, tokenizer, "Once upon a time", { maxTokens: 50 }));
 * ```
 * @module
 */
export type { Json, JsonRecord } from "../core/io/json.ts";
export * from "./adapters.ts";
export { ArraysCache } from "./arrays_cache.ts";
export { type CachedAttentionOptions, scaledDotProductAttention } from "./attention.ts";
export * from "./batch.ts";
export * from "./batch_cache.ts";
export { type BpeOptions, trainBpe } from "./bpe.ts";
export {
  type Cache,
  type CacheMaker,
  type CacheState,
  canTrimPromptCache,
  Clock,
  type Fetched,
  KVCache,
  makePromptCache,
  type MaskOptions,
  type PromptCacheOptions,
  type QuantizedCacheOptions,
  type QuantizedFetched,
  QuantizedKVCache,
  RotatingKVCache,
  trimPromptCache,
} from "./cache.ts";
export { CacheList } from "./cache_list.ts";
export type { ChatMessage, ChatOptions } from "./chat_template.ts";
export { Config } from "./config.ts";
export * from "./datasets.ts";
export { decodeStatistics } from "./decode.ts";
export type { StreamingDetokenizer } from "./detokenizer.ts";
export * from "./dora.ts";
export {
  generate,
  type GenerateOptions,
  generateStep,
  type GenerateStepOptions,
  type GenerationResponse,
  streamGenerate,
} from "./generate.ts";
export { defaultModel, fetchModel, type FetchOptions } from "./hub.ts";
export { load, type LoadedModel, type LoadOptions } from "./load.ts";
export { type FuseOptions, LoRAEmbedding, LoRALinear, type LoraSettings, LoRASwitchLinear } from "./lora.ts";
export { attentionMask, causalMask, type Mask } from "./mask.ts";
export { type ForwardOptions, LanguageModel, type Projection, type TokenEmbedding, type Weights } from "./model.ts";
export { QuantizedSwitchLinear, SwitchLinear } from "./moe.ts";
export { makeModel, modelTypes } from "./models/mod.ts";
export * from "./prompt_cache.ts";
export { type OnProgress, type Progress, progressBar } from "./progress.ts";
export { initializeRope, type OffsetOptions, type Rope, type RopeSettings } from "./rope.ts";
export * from "./sample.ts";
export { speculativeGenerateStep, type SpeculativeOptions } from "./speculative.ts";
export { Tokenizer, type TokenizerOptions } from "./tokenizer.ts";
export * from "./trainer.ts";
