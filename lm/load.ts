/**
 * Loading: a folder, a GGUF file or a model of the hub becomes a model with its weights, a tokenizer and the config.
 *
 * Weights are views of the mapped files: nothing is copied, and nothing is read before it is used.
 * @module
 */
import * as mx from "../core/mod.ts";
import { type JsonRecord, readJsonFile } from "../core/io/json.ts";
import { openMapped, uploadTensor } from "../core/io/mapped.ts";
import { loadSafetensorsFolder } from "../core/io/safetensors.ts";
import { loadAdapters } from "./adapters.ts";
import { Config } from "./config.ts";
import { openGgufModel } from "./gguf_model.ts";
import { ggufTokenizer } from "./gguf_tokenizer.ts";
import { defaultModel, fetchModel } from "./hub.ts";
import type { LanguageModel, Weights } from "./model.ts";
import { makeModel } from "./models/mod.ts";
import type { OnProgress } from "./progress.ts";
import { foreignQuantization, fromAwq, isAwq, quantizeLike } from "./quantization.ts";
import { Tokenizer } from "./tokenizer.ts";

/** Options of {@linkcode load}. */
export interface LoadOptions {
  /** A folder with adapters, which are put around the model's layers. */
  readonly adapterPath?: string | null;
  /** Leave the weights in their files until they are used. Default true. */
  readonly lazy?: boolean;
  /** A branch, tag or commit of the hub's model. Default `main`. */
  readonly revision?: string;
  /** Is told about downloads. */
  readonly onProgress?: OnProgress;
}
/** What {@linkcode load} returns. */
export interface LoadedModel {
  /** The model, in the mode for inference. */
  readonly model: LanguageModel;
  /** Its tokenizer. */
  readonly tokenizer: Tokenizer;
  /** The content of config.json, with what generation_config.json says about end tokens. */
  readonly config: JsonRecord;
}

/**
 * Loads a model and its tokenizer (`mlx_lm.load`): from a folder with config.json, tokenizer.json and
 * model*.safetensors, from a .gguf file, or by its name from the Hugging Face hub, which is fetched once; without a
 * path, a small chat model.
 * @throws CheckpointError where files are missing or broken, or weights do not fit the config.
 *
 * @example
 * ```ts
 * import { generate, load } from "@denim/ml/lm";
 * const { model, tokenizer, config } = await load("models/storyteller");
 * [model.modelType, model.layers.length, tokenizer.size, config.max_position_embeddings]; // ["llama", 6, 4096, 256]
 * await generate(model, tokenizer, "Alice looked at the", { maxTokens: 6 }); // "Mock Turtle, and she was"
 * ```
 */
export async function load(path?: string | null, options: LoadOptions = {}): Promise<LoadedModel> {
  const { adapterPath = null, lazy = true, onProgress, revision } = options;
  const fetch = { ...onProgress && { onProgress }, ...revision !== undefined && { revision } };
  const found = path ? await located(path, fetch) : await defaultModel(fetch);
  const loaded = found.endsWith(".gguf") ? loadGguf(found) : loadFolder(found);
  if (adapterPath !== null) {
    loadAdapters(loaded.model, adapterPath);
    loaded.model.eval();
  }
  if (!lazy) mx.eval(loaded.model.parameters());
  return loaded;
}
async function located(path: string, options: Parameters<typeof fetchModel>[1]): Promise<string> {
  return path.endsWith(".gguf") ? path : await fetchModel(path, options);
}

function loadFolder(folder: string): LoadedModel {
  const base = folder.replace(/[/\\]+$/, ""), json = readJsonFile(`${base}/config.json`);
  if (!json) {
    return mx.fail(mx.CheckpointError, "load", {
      cannot: `load a model from ${folder}`,
      expected: "a file config.json",
      got: "none",
      fix: "give the folder of a whole model",
    });
  }
  const ends = readGenerationConfig(`${base}/generation_config.json`)?.eos_token_id;
  // As in mlx-lm, the id 0 does not override.
  const config = ends ? { ...json, eos_token_id: ends } : json;
  const { arrays } = loadSafetensorsFolder(base, openMapped);
  const model = filled(new Config(config), arrays);
  return { model, tokenizer: Tokenizer.load(base, { eosTokenIds: endTokens(config) }), config };
}
/** The file may be broken: it is only a hint. */
function readGenerationConfig(path: string): JsonRecord | null {
  try {
    return readJsonFile(path);
  } catch (error) {
    if (error instanceof mx.CheckpointError) return null;
    throw error;
  }
}
/** `eos_token_id`, which may be one id or a list. */
function endTokens({ eos_token_id: ids }: JsonRecord): number[] {
  return (Array.isArray(ids) ? ids : [ids]).filter((id) => typeof id === "number");
}

function loadGguf(path: string): LoadedModel {
  const { config, metadata, tensors } = openGgufModel(path), source = openMapped(path), weights: Weights = new Map();
  for (const [name, t] of tensors()) {
    weights.set(name, "data" in t ? uploadTensor(t) : source.tensor(t.byteOffset, t.dtype, t.shape));
  }
  const model = filled(new Config(config, path), weights);
  return { model, tokenizer: ggufTokenizer(metadata, { eosTokenIds: endTokens(config) }), config };
}

/** The model of the config with these weights. */
function filled(config: Config, weights: Weights): LanguageModel {
  if (config.text("model_file", null) !== null) config.refuse("model_file", "an architecture that its type names");
  const model = makeModel(config);
  let own = model.sanitize(weights);
  const given = config.object("quantization", null), foreign = given ? null : foreignQuantization(config);
  if (foreign && isAwq(config)) own = fromAwq(own);
  const quantization = given ?? (foreign && new Config(foreign, "quantization_config"));
  if (quantization) quantizeLike(model, own, quantization);
  model.eval();
  model.loadWeights([...own]);
  return model;
}
