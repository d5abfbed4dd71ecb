/**
 * The command line: `deno task generate --prompt "Hi"`, with the flags of `mlx_lm.generate`.
 *
 * Standard output gets the text as it comes and nothing else; progress, numbers and errors go to standard error.
 * @module
 */
import { parseArgs } from "node:util";
import * as mx from "../core/mod.ts";
import { isRecord, type Json, type JsonRecord } from "../core/io/json.ts";
import { type Cache, QuantizedKVCache } from "./cache.ts";
import type { ChatMessage } from "./chat_template.ts";
import { decodeStatistics } from "./decode.ts";
import { type GenerateOptions, type GenerationResponse, streamGenerate } from "./generate.ts";
import { load, type LoadedModel } from "./load.ts";
import type { LanguageModel } from "./model.ts";
import { progressBar } from "./progress.ts";
import { loadPromptCache } from "./prompt_cache.ts";
import { makeSampler, type SamplerOptions } from "./sample.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** What a flag takes and says in the help. */
interface Flag {
  readonly takes?: string;
  readonly short?: string;
  readonly help: string;
}
const FLAGS: Readonly<Record<string, Flag>> = {
  "model": { takes: "PATH", help: "folder, .gguf file or name on the hub; default: a small chat model" },
  "adapter-path": { takes: "PATH", help: "folder of an adapter" },
  "extra-eos-token": { takes: "TOKEN ...", help: "tokens that end the text, too" },
  "system-prompt": { takes: "TEXT", help: "system message of the chat" },
  "prompt": { takes: "TEXT", short: "p", help: "the message, or - for standard input; default: hello" },
  "prefill-response": { takes: "TEXT", help: "how the answer begins" },
  "max-tokens": { takes: "N", short: "m", help: "tokens at most, -1 for no limit; default: 100" },
  "temp": { takes: "T", help: "sampling temperature; default: 0, the most likely token" },
  "top-p": { takes: "P", help: "keep the most likely tokens of this probability; default: 1" },
  "min-p": { takes: "P", help: "keep tokens this probable relative to the best; default: 0" },
  "top-k": { takes: "K", help: "keep the most likely K tokens; default: 0, all" },
  "xtc-probability": { takes: "P", help: "how often top choices are excluded; default: 0" },
  "xtc-threshold": { takes: "P", help: "from which probability they are; default: 0.1" },
  "min-tokens-to-keep": { takes: "N", help: "tokens that --min-p keeps at least; default: 1" },
  "seed": { takes: "N", help: "seed of the random numbers" },
  "ignore-chat-template": { help: "use the prompt as it is" },
  "use-default-chat-template": { help: "accepted for compatibility: templates always come with the model" },
  "chat-template-config": { takes: "JSON", help: "more variables of the chat template" },
  "verbose": { takes: "BOOL", help: "True: also what was compiled; False: only the text" },
  "max-kv-size": { takes: "N", help: "tokens that the cache keeps" },
  "prompt-cache-file": { takes: "PATH", help: "cache of a text that the prompt goes on with" },
  "kv-bits": { takes: "N", help: "bits of the cache's numbers; default: as they are" },
  "kv-group-size": { takes: "N", help: "numbers of a quantized cache that share a scale; default: 64" },
  "quantized-kv-start": { takes: "N", help: "tokens from which on --kv-bits takes effect; default: 5000" },
  "draft-model": { takes: "PATH", help: "smaller model with the same tokenizer that proposes tokens" },
  "num-draft-tokens": { takes: "N", help: "how many it proposes at a time; default: 3" },
  "prefill-step-size": { takes: "N", help: "tokens of the prompt read at a time; default: 2048" },
  "device": { takes: "cpu|gpu", help: "where it computes; default: what DENIM_DEVICE says, else cpu" },
  "help": { short: "h", help: "this text" },
  "version": { help: "the version" },
};
/** A wrong command line: its text is all that is shown. */
class UsageError extends Error {}

function usage(): string {
  const lines = Object.entries(FLAGS).map(([name, { takes, short, help }]) => {
    const left = `${short ? `-${short}, ` : ""}--${name}${takes ? ` ${takes}` : ""}`;
    return `  ${left.padEnd(28)} ${help}`;
  });
  return ["usage: generate [flags]", "", "Generates text with a language model.", "", ...lines, ""].join("\n");
}

/** The arguments with each value behind its flag, `--name=value`, so that a value may begin with a dash. */
function joined(args: readonly string[]): string[] {
  const all: string[] = [], rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const short = Object.keys(FLAGS).find((name) => arg === `-${FLAGS[name]?.short}`);
    const name = short ?? /^--([\w-]+)$/.exec(arg)?.[1] ?? "", takes = FLAGS[name]?.takes;
    if (!takes) all.push(arg);
    else if (name === "verbose") {
      all.push(`--verbose=${/^(t|f|true|false)$/i.test(rest[0] ?? "") ? rest.shift() : "True"}`);
    } else if (name === "extra-eos-token") {
      while (rest.length && !rest[0]?.startsWith("-")) all.push(`--${name}=${rest.shift()}`);
    } else all.push(rest.length ? `--${name}=${rest.shift()}` : arg);
  }
  return all;
}
/** The flags of a command line. */
class Flags {
  readonly #values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
  constructor(args: readonly string[]) {
    const options = Object.fromEntries(
      Object.entries(FLAGS).map(([name, { takes, short }]) => {
        const type = takes ? "string" as const : "boolean" as const;
        return [name, { type, multiple: name === "extra-eos-token", ...short !== undefined && { short } }];
      }),
    );
    try {
      this.#values = parseArgs({ args: joined(args), options }).values;
    } catch (error) {
      throw new UsageError(error instanceof Error ? error.message.split(". ")[0] : String(error));
    }
  }
  has(name: string): boolean {
    return this.#values[name] === true;
  }
  text(name: string): string | null {
    const x = this.#values[name];
    return typeof x === "string" ? x : null;
  }
  texts(name: string): string[] {
    const x = this.#values[name];
    return Array.isArray(x) ? x.map(String) : [];
  }
  number<D>(name: string, otherwise: D, isInteger = false): number | D {
    const given = this.text(name), x = Number(given);
    if (given === null) return otherwise;
    if (given.trim() !== "" && Number.isFinite(x) && (!isInteger || Number.isInteger(x))) return x;
    throw new UsageError(`--${name} takes ${isInteger ? "an integer" : "a number"}, got "${given}"`);
  }
  /** A JSON object. */
  record(name: string): JsonRecord {
    const given = this.text(name);
    if (given === null) return {};
    try {
      const x: Json = JSON.parse(given);
      if (isRecord(x)) return x;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    throw new UsageError(`--${name} takes a JSON object, got "${given}"`);
  }
}

/** Writes all of a text at once. */
function write(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  for (let bytes = new TextEncoder().encode(text); bytes.length;) bytes = bytes.subarray(to.writeSync(bytes));
}
const note = (text: string): void => write(Deno.stderr, text);

/** The ids of the prompt, in the form that the model was trained for; of one that follows a cache only what is new. */
async function promptIds(flags: Flags, tokenizer: Tokenizer, follows: boolean): Promise<number[]> {
  const given = (flags.text("prompt") ?? "hello").replaceAll("\\n", "\n").replaceAll("\\t", "\t");
  const prompt = given === "-" ? await new Response(Deno.stdin.readable).text() : given;
  if (flags.has("ignore-chat-template") || !tokenizer.hasChatTemplate) return tokenizer.encode(prompt);
  const system = flags.text("system-prompt"), begun = flags.text("prefill-response");
  const messages: ChatMessage[] = [{ role: "user", content: prompt }];
  if (system !== null) messages.unshift({ role: "system", content: system });
  if (begun !== null) messages.push({ role: "assistant", content: begun });
  const { enable_thinking: thinking, ...variables } = flags.record("chat-template-config");
  const options = {
    addGenerationPrompt: begun === null,
    continueFinalMessage: begun !== null,
    variables,
    ...typeof thinking === "boolean" && { enableThinking: thinking },
  };
  if (!follows) return tokenizer.applyChatTemplate(messages, options);
  // What the template puts before the message is in the cache.
  const marked = messages.map((m, i) => i === messages.length - 1 ? { ...m, content: QUERY } : m);
  const start = tokenizer.renderChat(marked, options).indexOf(QUERY), text = tokenizer.renderChat(messages, options);
  return tokenizer.encode(text.slice(start), { addSpecialTokens: false });
}
const QUERY = "<query>";

/** The cache of --prompt-cache-file, and the model that it was made with. */
function promptCache(
  flags: Flags,
  { kvBits = null, kvGroupSize = 64 }: GenerateOptions,
): [Cache[], string | null] | null {
  const path = flags.text("prompt-cache-file");
  if (path === null) return null;
  const [cache, { model: made = null }] = loadPromptCache(path, { returnMetadata: true }), [first] = cache;
  const model = flags.text("model");
  if (model !== null && made !== null && model !== made) {
    throw new UsageError(`--model ${model} is not the model of the prompt cache, ${made}`);
  }
  if (first instanceof QuantizedKVCache) {
    const { bits, groupSize } = first;
    if ((kvBits ?? bits) !== bits) throw new UsageError(`--kv-bits has to be that of the prompt cache, ${bits}`);
    if (kvGroupSize !== groupSize) {
      throw new UsageError(`--kv-group-size has to be that of the prompt cache, ${groupSize}`);
    }
  }
  return [cache, made];
}
/** Adds the ids of --extra-eos-token, given as ids or as tokens. */
function addEndTokens(flags: Flags, tokenizer: Tokenizer): void {
  for (const token of flags.texts("extra-eos-token")) {
    const id = /^\d+$/.test(token) ? Number(token) : tokenizer.tokenToId(token);
    if (id === undefined) throw new UsageError(`--extra-eos-token takes tokens of the model, got "${token}"`);
    tokenizer.eosTokenIds.add(id);
  }
}
/** Shows how far a long prompt was read, in place on a terminal. */
function readingProgress(): (processed: number, total: number) => void {
  const isTerminal = Deno.stderr.isTerminal();
  return (processed, total) => {
    if (isTerminal && total >= LONG_PROMPT) {
      note(processed < total ? `\r\x1b[Kreading the prompt: ${processed}/${total} tokens` : "\r\x1b[K");
    }
  };
}
const LONG_PROMPT = 256;

function report(last: GenerationResponse, model: LanguageModel, isDetailed: boolean): void {
  const rate = (tokens: number, tps: number): string => `${tokens} tokens, ${tps.toFixed(3)} tokens-per-sec\n`;
  note(
    `Prompt: ${rate(last.promptTokens, last.promptTps)}Generation: ${rate(last.generationTokens, last.generationTps)}`,
  );
  note(`Peak memory: ${last.peakMemory.toFixed(3)} GB\n`);
  if (!isDetailed) return;
  const { calls, traces, programs } = decodeStatistics(model);
  note(`Compiled steps: ${calls} calls, ${traces} traces, ${programs} programs\n`);
}

/** Numbers of the flags; wrong ones are met before a model is loaded. */
interface Settings {
  readonly sampling: SamplerOptions;
  readonly steps: GenerateOptions;
  readonly seed: number | null;
}
function settings(flags: Flags): Settings {
  return {
    sampling: {
      temp: flags.number("temp", 0),
      topP: flags.number("top-p", 1),
      minP: flags.number("min-p", 0),
      minTokensToKeep: flags.number("min-tokens-to-keep", 1, true),
      topK: flags.number("top-k", 0, true),
      xtcProbability: flags.number("xtc-probability", 0),
      xtcThreshold: flags.number("xtc-threshold", 0.1),
    },
    steps: {
      maxTokens: flags.number("max-tokens", 100, true),
      maxKvSize: flags.number("max-kv-size", null, true),
      kvBits: flags.number("kv-bits", null, true),
      kvGroupSize: flags.number("kv-group-size", 64, true),
      quantizedKvStart: flags.number("quantized-kv-start", 5000, true),
      numDraftTokens: flags.number("num-draft-tokens", 3, true),
      prefillStepSize: flags.number("prefill-step-size", 2048, true),
      promptProgressCallback: readingProgress(),
    },
    seed: flags.number("seed", null, true),
  };
}

/** Generates to standard output; true if Ctrl-C ended it. */
async function generateText(
  flags: Flags,
  { sampling, steps }: Settings,
  { model, tokenizer }: LoadedModel,
): Promise<boolean> {
  const ids = await promptIds(flags, tokenizer, steps.promptCache !== undefined), verbose = flags.text("verbose");
  const xtcSpecialTokens = [...tokenizer.encode("\n"), ...tokenizer.eosTokenIds];
  const sampler = makeSampler({ ...sampling, xtcSpecialTokens });
  const stream = streamGenerate(model, tokenizer, ids, { ...steps, sampler });
  let last: GenerationResponse | null = null, interrupted = false;
  const interrupt = (): void => void (interrupted = true);
  try {
    for await (const piece of stream) {
      // Before the first token Ctrl-C ends the process by itself: there is no text that could be cut.
      if (!last) Deno.addSignalListener("SIGINT", interrupt);
      write(Deno.stdout, piece.text);
      last = piece;
      if (interrupted) break;
    }
  } finally {
    if (last) Deno.removeSignalListener("SIGINT", interrupt);
    mx.synchronize(); // the token that was queued last, or the process would end under its feet
  }
  if (Deno.stdout.isTerminal()) write(Deno.stdout, "\n");
  else if (interrupted || Deno.stderr.isTerminal()) note("\n");
  if (last && !/^f/i.test(verbose ?? "")) report(last, model, verbose !== null);
  return interrupted;
}

/** The model of --draft-model. */
async function loadDraft(flags: Flags, { tokenizer }: LoadedModel): Promise<LanguageModel | null> {
  const path = flags.text("draft-model");
  if (path === null) return null;
  const draft = await load(path, { onProgress: progressBar() });
  if (draft.tokenizer.size === tokenizer.size) return draft.model;
  throw new UsageError("--draft-model takes a model with the tokenizer of --model, got another");
}
/** The version of the package, from the file that says it, wherever the package is. */
async function version(): Promise<string> {
  const { version }: { version: string } = await (await fetch(new URL("../deno.json", import.meta.url))).json();
  return version;
}
/** Makes the device that is asked for the default one. */
function setDevice(name: string | null): void {
  const devices = [mx.cpu, mx.gpu], device = name === null ? mx.defaultDevice() : devices.find((d) => d.type === name);
  if (!device) throw new UsageError(`--device takes cpu or gpu, got "${name}"`);
  if (!mx.isAvailable(device)) {
    throw new UsageError(`--device ${device.type}: this machine has none that Denim can use`);
  }
  mx.setDefaultDevice(device);
}
/** Runs a command line; returns the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const flags = new Flags(args[0] === "generate" ? args.slice(1) : args);
  if (flags.has("help") || flags.has("version")) {
    write(Deno.stdout, flags.has("help") ? usage() : `${await version()}\n`);
    return 0;
  }
  const given = settings(flags);
  setDevice(flags.text("device"));
  if (given.seed !== null) mx.random.seed(given.seed);
  const [cache, made] = promptCache(flags, given.steps) ?? [];
  const loaded = await load(flags.text("model") ?? made, {
    adapterPath: flags.text("adapter-path"),
    onProgress: progressBar(),
  });
  addEndTokens(flags, loaded.tokenizer);
  const draftModel = await loadDraft(flags, loaded);
  const steps = { ...given.steps, draftModel, ...cache && { promptCache: cache } };
  return await generateText(flags, { ...given, steps }, loaded) ? 130 : 0;
}
/** One line for what the user can mend; a fault of the program keeps its trace. */
function explain(error: unknown): number {
  if (error instanceof Deno.errors.BrokenPipe) return 0;
  if (error instanceof UsageError) note(`error: ${error.message}; --help lists the flags\n`);
  else if (error instanceof mx.DenimError) note(`error: ${error.message}\n`);
  else throw error;
  return error instanceof UsageError ? 2 : 1;
}
if (import.meta.main) Deno.exit(await main(Deno.args).catch(explain));
