/**
 * The architectures by their `model_type`, one file each; other names of the same architecture are aliases.
 * @module
 */
import { CheckpointError, fail } from "../../core/mod.ts";
import type { Config } from "../config.ts";
import type { LanguageModel } from "../model.ts";
import { Model as Llama } from "./llama.ts";
import { Model as Qwen2 } from "./qwen2.ts";
import { Model as Qwen3 } from "./qwen3.ts";

const MODELS = new Map<string, new (config: Config) => LanguageModel>([
  ["llama", Llama],
  ["qwen2", Qwen2],
  ["qwen3", Qwen3],
]);
/** Types whose models are built as another type's. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["mistral", "llama"],
  ["iquestcoder", "llama"],
  ["xverse", "llama"],
]);

/** The values of `model_type` that can be loaded. */
export const modelTypes: readonly string[] = [...MODELS.keys(), ...ALIASES.keys()].sort();

/**
 * The model that a config describes, with random weights.
 * @throws CheckpointError for a type that is not known.
 */
export function makeModel(config: Config): LanguageModel {
  const type = config.text("model_type"), Model = MODELS.get(ALIASES.get(type) ?? type);
  if (Model) return new Model(config);
  return fail(CheckpointError, "load", {
    cannot: `build a model of the type ${type}`,
    expected: `one of ${modelTypes.join(", ")}`,
    got: type,
    fix: "take a model of one of these types",
  });
}
