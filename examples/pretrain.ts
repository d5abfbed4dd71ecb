/**
 * Pretraining a language model, as GPT is: a vocabulary (BPE) is learned from a text, the text becomes files of tokens that
 * are mapped, a transformer of the Llama kind learns which token comes next, and its folder is one that `deno task generate`
 * and MLX load. Started again after an interruption, it goes on; `runs/pretrain/report.html` shows the curves.
 *
 *     deno run -A examples/pretrain.ts [--steps 400] [--small]
 *     deno task generate --model runs/pretrain/model --prompt "The whale"
 *
 * Expected: on Moby Dick the held-out loss falls from 7.6 (as by guessing among 2048 tokens) to 4.53 within some minutes,
 * and the text at the end has words and sentences. With `--small` it learns a few sentences by heart.
 * @module
 */
import * as mx from "@denim/ml";
import { batches, fromTokens, type TokenBatch } from "@denim/ml/data";
import { Config, generate, type LanguageModel, load, makeModel, makeSampler, Tokenizer, trainBpe } from "@denim/ml/lm";
import * as nn from "@denim/ml/nn";
import * as optim from "@denim/ml/optimizers";
import { Trainer, type TrainerOptions } from "@denim/ml/train";
import { existsSync } from "node:fs";
import { type Settings, settings } from "./shared/loop.ts";
import { decode, mobyDick, opening } from "./shared/text.ts";

/** Sizes of the model and of its batches. */
export interface Sizes {
  readonly vocab: number;
  readonly dims: number;
  readonly layers: number;
  readonly heads: number;
  readonly hidden: number;
  readonly context: number;
  readonly batch: number;
}
const LARGE: Sizes = { vocab: 2048, dims: 128, layers: 4, heads: 4, hidden: 384, context: 128, batch: 16 };
const SMALL: Sizes = { vocab: 300, dims: 32, layers: 1, heads: 2, hidden: 64, context: 8, batch: 8 };
const END = "<|endoftext|>", HELD_OUT = 0.05;

/** Writes the files of the model but its weights, and those of the tokens; the last part of each text is held out. */
export function prepare(folder: string, texts: readonly string[], sizes: Sizes): void {
  if (existsSync(`${folder}/train.bin`)) return;
  const file = (name: string, value: unknown): void =>
    Deno.writeTextFileSync(`${folder}/model/${name}`, JSON.stringify(value, null, 1));
  Deno.mkdirSync(`${folder}/model`, { recursive: true });
  file("config.json", {
    model_type: "llama",
    architectures: ["LlamaForCausalLM"],
    hidden_size: sizes.dims,
    num_hidden_layers: sizes.layers,
    num_attention_heads: sizes.heads,
    intermediate_size: sizes.hidden,
    max_position_embeddings: sizes.context,
    vocab_size: sizes.vocab,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
    eos_token_id: 0,
  });
  file("tokenizer.json", trainBpe(texts, { vocabSize: sizes.vocab, specialTokens: [END] }));
  file("tokenizer_config.json", { tokenizer_class: "PreTrainedTokenizerFast", eos_token: END });
  const tokenizer = Tokenizer.load(`${folder}/model`);
  const parts = texts.map((text) => tokenizer.encode(text + END)).map((ids) => {
    const cut = Math.floor(ids.length * (1 - HELD_OUT));
    return [ids.slice(0, cut), ids.slice(cut)] as const;
  });
  const write = (name: string, ids: readonly number[]): void =>
    Deno.writeFileSync(`${folder}/${name}.bin`, new Uint8Array(Uint16Array.from(ids).buffer));
  write("held_out", parts.flatMap(([, end]) => end));
  write("train", parts.flatMap(([start]) => start));
}

/** Muon for the matrices of the layers, AdamW for the embedding and the norms; rates rise first, then fall to a tenth. */
export function optimizers(steps: number): optim.Optimizer {
  const warmup = Math.ceil(steps / 20),
    rate = (peak: number): optim.Schedule =>
      optim.joinSchedules(
        [optim.linearSchedule(peak / warmup, peak, warmup), optim.cosineDecay(peak, steps - warmup, peak / 10)],
        [warmup],
      );
  const muon = new optim.Muon(rate(0.02), { weightDecay: 0 });
  const adam = new optim.AdamW(rate(3e-3), { betas: [0.9, 0.95], weightDecay: 0.1 });
  return new optim.MultiOptimizer([muon, adam], [(path, g) => g.ndim === 2 && !path.includes("embed_tokens")]);
}
/** Trains the model that `prepare` describes, on its tokens. */
export async function pretrain(
  folder: string,
  { context, batch: batchSize }: Sizes,
  optimizer: optim.Optimizer,
  options: TrainerOptions<TokenBatch>,
): Promise<LanguageModel> {
  const model = makeModel(new Config(JSON.parse(Deno.readTextFileSync(`${folder}/model/config.json`))));
  const loss = ([x, y]: TokenBatch) => nn.losses.crossEntropy(model.forward(x), y, { reduction: "mean" });
  // Rows overlap by half, so that each token is once among the later ones, which see more of the text.
  const learned = fromTokens(`${folder}/train.bin`, { length: context, stride: context / 2 });
  const heldOut = fromTokens(`${folder}/held_out.bin`, { length: context });
  const data = batches(learned, { batchSize, shuffle: true, last: "drop" });
  const validation = { data: batches(heldOut, { batchSize }) };
  await new Trainer({ model, optimizer, loss }, data, { clipNorm: 1, validation, ...options }).run();
  await model.saveWeights(`${folder}/model/model.safetensors`);
  return model;
}

/** Learns the text. */
export async function train(run: Settings): Promise<void> {
  mx.random.seed(0);
  const sizes = run.small ? SMALL : LARGE, text = decode((run.small ? opening() : await mobyDick()).tokens);
  const folder = run.onStep ? Deno.makeTempDirSync() : run.small ? "runs/pretrain_small" : "runs/pretrain";
  prepare(folder, [text], sizes);
  await pretrain(folder, sizes, optimizers(run.steps), {
    steps: run.steps,
    every: 100,
    ...run.onStep ? { progress: null, onLog: (row) => run.onStep?.(row.step, row.loss!) } : { folder },
  });
  const { model, tokenizer } = await load(`${folder}/model`), sampler = makeSampler({ temp: run.small ? 0 : 0.7 });
  if (run.onStep) Deno.removeSync(folder, { recursive: true });
  else console.log(await generate(model, tokenizer, "Call me", { maxTokens: run.small ? 40 : 120, sampler }));
}

if (import.meta.main) await train(settings(400, 100));
