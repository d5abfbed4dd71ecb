/**
 * A language model at work: reading a prompt, and writing token after token. llama.cpp does the same in
 * `llama_cpp.mjs`.
 * @module
 */
import * as mx from "../../mod.ts";
import * as lm from "../../lm/mod.ts";
import type { Task, Work } from "../work.ts";
import { size } from "./inputs.ts";

/** Tokens of the prompt, and tokens written after a short one. */
export const PROMPT_TOKENS = 256, NEW_TOKENS = 64;
const SHORT_PROMPT = 32;
/** The prompt: numbers without meaning, the same for all libraries. */
export function promptTokens(n: number, vocabulary: number): number[] {
  return Array.from({ length: n }, (_, i) => (300 + (i * 7919) % 30000) % vocabulary);
}

interface Model {
  readonly model: lm.LanguageModel;
  readonly vocabulary: number;
}
/** A model of four small layers with random weights. */
function tinyModel(): Model {
  const vocabulary = 64,
    model = lm.makeModel(
      new lm.Config({
        model_type: "llama",
        hidden_size: 32,
        num_hidden_layers: 4,
        intermediate_size: 64,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        rms_norm_eps: 1e-5,
        vocab_size: vocabulary,
      }),
    );
  mx.eval(model.parameters());
  return { model, vocabulary };
}
async function modelOf(path: string, tiny: boolean): Promise<Model> {
  if (tiny) return tinyModel();
  const { model, config } = await lm.load(path, { lazy: false });
  return { model, vocabulary: Number(config.vocab_size) };
}

function prefill({ model, vocabulary }: Model, tiny: boolean): Task {
  const n = size(PROMPT_TOKENS, tiny), tokens = mx.array(Int32Array.from(promptTokens(n, vocabulary))).expandDims(0);
  mx.eval(tokens);
  const run = () => {
    const cache = lm.makePromptCache(model);
    // As in generation, only the last position's logits are wanted.
    mx.eval(model.forward(tokens, { cache }).index(null, -1), cache.map((c) => c.state));
  };
  return { run, count: { n, of: "token" } };
}
/** The first token carries the prompt, so the clock starts after it. */
function decode({ model, vocabulary }: Model, tiny: boolean): Task {
  const n = size(NEW_TOKENS, tiny), prompt = promptTokens(SHORT_PROMPT, vocabulary);
  let seconds = 0;
  const run = () => {
    let start = 0, seen = 0;
    for (const _ of lm.generateStep(prompt, model, { maxTokens: n + 1 })) {
      if (seen++ === 0) start = performance.now();
    }
    seconds = (performance.now() - start) / 1e3;
  };
  return { run, count: { n, of: "token" }, seconds: () => seconds };
}

/** The works with the model in that folder or .gguf file. */
export function languageWorks(path: string): readonly Work[] {
  const group = "language model";
  return [
    { name: `prefill_${PROMPT_TOKENS}`, group, prepare: async (tiny) => prefill(await modelOf(path, tiny), tiny) },
    { name: `decode_${NEW_TOKENS}`, group, prepare: async (tiny) => decode(await modelOf(path, tiny), tiny) },
  ];
}
