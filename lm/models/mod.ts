/**
 * The architectures by their `model_type`, one file each; other names of the same architecture are aliases.
 * @module
 */
import { CheckpointError, fail } from "../../core/mod.ts";
import type { Config } from "../config.ts";
import type { LanguageModel } from "../model.ts";
import { Model as Apertus } from "./apertus.ts";
import { Model as Cohere } from "./cohere.ts";
import { Model as Cohere2 } from "./cohere2.ts";
import { Model as Deepseek } from "./deepseek.ts";
import { Model as DeepseekV2 } from "./deepseek_v2.ts";
import { Model as DeepseekV3 } from "./deepseek_v3.ts";
import { Model as Dots1 } from "./dots1.ts";
import { Model as Ernie45 } from "./ernie4_5.ts";
import { Model as Ernie45Moe } from "./ernie4_5_moe.ts";
import { Model as Exaone } from "./exaone.ts";
import { Model as Exaone4 } from "./exaone4.ts";
import { Model as FalconH1 } from "./falcon_h1.ts";
import { Model as Gemma } from "./gemma.ts";
import { Model as Gemma2 } from "./gemma2.ts";
import { Model as Gemma3 } from "./gemma3.ts";
import { Model as Gemma3Text } from "./gemma3_text.ts";
import { Model as GLM } from "./glm.ts";
import { Model as GLM4 } from "./glm4.ts";
import { Model as GLM4Moe } from "./glm4_moe.ts";
import { Model as GPT2 } from "./gpt2.ts";
import { Model as GPTBigCode } from "./gpt_bigcode.ts";
import { Model as GPTNeoX } from "./gpt_neox.ts";
import { Model as GptOss } from "./gpt_oss.ts";
import { Model as GPTJ } from "./gptj.ts";
import { Model as Granite } from "./granite.ts";
import { Model as GraniteMoe } from "./granitemoe.ts";
import { Model as GraniteMoeHybrid } from "./granitemoehybrid.ts";
import { Model as Helium } from "./helium.ts";
import { Model as HunyuanV1Dense } from "./hunyuan_v1_dense.ts";
import { Model as InternLM2 } from "./internlm2.ts";
import { Model as InternLM3 } from "./internlm3.ts";
import { Model as LFM2 } from "./lfm2.ts";
import { Model as LFM2Moe } from "./lfm2_moe.ts";
import { Model as Llama } from "./llama.ts";
import { Model as Mamba } from "./mamba.ts";
import { Model as Mamba2 } from "./mamba2.ts";
import { Model as MiMo } from "./mimo.ts";
import { Model as MiniCPM } from "./minicpm.ts";
import { Model as Ministral3 } from "./ministral3.ts";
import { Model as Mistral3 } from "./mistral3.ts";
import { Model as Mixtral } from "./mixtral.ts";
import { Model as Nemotron } from "./nemotron.ts";
import { Model as NemotronH } from "./nemotron_h.ts";
import { Model as Olmo2 } from "./olmo2.ts";
import { Model as Olmo3 } from "./olmo3.ts";
import { Model as Olmoe } from "./olmoe.ts";
import { Model as Phi } from "./phi.ts";
import { Model as Phi3 } from "./phi3.ts";
import { Model as PhiMoE } from "./phimoe.ts";
import { Model as Qwen2 } from "./qwen2.ts";
import { Model as Qwen2Moe } from "./qwen2_moe.ts";
import { Model as Qwen2VL } from "./qwen2_vl.ts";
import { Model as Qwen3 } from "./qwen3.ts";
import { Model as Qwen35 } from "./qwen3_5.ts";
import { Model as Qwen35Moe } from "./qwen3_5_moe.ts";
import { Model as Qwen3Moe } from "./qwen3_moe.ts";
import { Model as Qwen3Next } from "./qwen3_next.ts";
import { Model as Qwen3VL } from "./qwen3_vl.ts";
import { Model as RecurrentGemma } from "./recurrent_gemma.ts";
import { Model as SeedOss } from "./seed_oss.ts";
import { Model as SmolLM3 } from "./smollm3.ts";
import { Model as SolarOpen } from "./solar_open.ts";
import { Model as StableLM } from "./stablelm.ts";
import { Model as StarCoder2 } from "./starcoder2.ts";

const MODELS = new Map<string, new (config: Config) => LanguageModel>([
  ["apertus", Apertus],
  ["cohere", Cohere],
  ["cohere2", Cohere2],
  ["deepseek", Deepseek],
  ["deepseek_v2", DeepseekV2],
  ["deepseek_v3", DeepseekV3],
  ["dots1", Dots1],
  ["ernie4_5", Ernie45],
  ["ernie4_5_moe", Ernie45Moe],
  ["exaone", Exaone],
  ["exaone4", Exaone4],
  ["falcon_h1", FalconH1],
  ["gemma", Gemma],
  ["gemma2", Gemma2],
  ["gemma3", Gemma3],
  ["gemma3_text", Gemma3Text],
  ["glm", GLM],
  ["glm4", GLM4],
  ["glm4_moe", GLM4Moe],
  ["gpt2", GPT2],
  ["gpt_bigcode", GPTBigCode],
  ["gpt_neox", GPTNeoX],
  ["gpt_oss", GptOss],
  ["gptj", GPTJ],
  ["granite", Granite],
  ["granitemoe", GraniteMoe],
  ["granitemoehybrid", GraniteMoeHybrid],
  ["helium", Helium],
  ["hunyuan_v1_dense", HunyuanV1Dense],
  ["internlm2", InternLM2],
  ["internlm3", InternLM3],
  ["lfm2", LFM2],
  ["lfm2_moe", LFM2Moe],
  ["llama", Llama],
  ["mamba", Mamba],
  ["mamba2", Mamba2],
  ["mimo", MiMo],
  ["minicpm", MiniCPM],
  ["ministral3", Ministral3],
  ["mistral3", Mistral3],
  ["mixtral", Mixtral],
  ["nemotron", Nemotron],
  ["nemotron_h", NemotronH],
  ["olmo2", Olmo2],
  ["olmo3", Olmo3],
  ["olmoe", Olmoe],
  ["phi", Phi],
  ["phi3", Phi3],
  ["phimoe", PhiMoE],
  ["qwen2", Qwen2],
  ["qwen2_moe", Qwen2Moe],
  ["qwen2_vl", Qwen2VL],
  ["qwen3", Qwen3],
  ["qwen3_5", Qwen35],
  ["qwen3_5_moe", Qwen35Moe],
  ["qwen3_moe", Qwen3Moe],
  ["qwen3_next", Qwen3Next],
  ["qwen3_vl", Qwen3VL],
  ["recurrent_gemma", RecurrentGemma],
  ["seed_oss", SeedOss],
  ["smollm3", SmolLM3],
  ["solar_open", SolarOpen],
  ["stablelm", StableLM],
  ["starcoder2", StarCoder2],
]);
/** Types whose models are built as another type's. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["falcon_mamba", "mamba"],
  ["joyai_llm_flash", "deepseek_v3"],
  ["kimi_k2", "deepseek_v3"],
  ["llava", "mistral3"],
  ["mistral", "llama"],
  ["qwen2_5_vl", "qwen2_vl"],
  ["iquestcoder", "llama"],
  ["xverse", "llama"],
]);

/** The values of `model_type` that can be loaded. */
export const modelTypes: readonly string[] = [...MODELS.keys(), ...ALIASES.keys()].sort();

/**
 * The model that a config describes, with random weights.
 * @throws CheckpointError for a type that is not known.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { Config, makeModel } from "@denim/ml/lm";
 * const sizes = { hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2, num_attention_heads: 4 };
 * const model = makeModel(new Config({ model_type: "llama", vocab_size: 100, rms_norm_eps: 1e-5, ...sizes }));
 * model.forward(mx.array([[1, 2, 3]], mx.int32)).shape; // [1, 3, 100]
 * ```
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
