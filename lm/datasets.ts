/**
 * Data to train and evaluate on: lines of JSON with a text, a prompt and its completion, or a conversation.
 * @module
 */
import * as mx from "../core/mod.ts";
import { isRecord, type Json, type JsonRecord, shown } from "../core/io/json.ts";
import type { ChatMessage } from "./chat_template.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Token ids, and how many of them are a prompt that is not learned. */
export type Row = readonly [tokens: readonly number[], promptTokens: number];
/** Entries and how they become tokens. */
export interface Dataset {
  /** How many entries there are. */
  readonly length: number;
  /** An entry as it is in the file. */
  entry(i: number): JsonRecord;
  /** An entry as tokens. */
  process(entry: JsonRecord): Row;
}
/** Options of {@linkcode createDataset} and {@linkcode loadLocalDataset}. */
export interface DatasetOptions {
  /** Learn answers only, not prompts. Default false. */
  readonly maskPrompt?: boolean;
  /** Field of the prompt. Default `prompt`. */
  readonly promptFeature?: string;
  /** Field of the completion. Default `completion`. */
  readonly completionFeature?: string;
  /** Field of the conversation. Default `messages`. */
  readonly chatFeature?: string;
  /** Field of the text. Default `text`. */
  readonly textFeature?: string;
}

function refuse(cannot: string, expected: string, got: string, fix: string): never {
  return mx.fail(mx.ValueError, "createDataset", { cannot, expected, got, fix });
}
function textOf(entry: JsonRecord, field: string): string {
  const x = entry[field];
  if (typeof x === "string") return x;
  return refuse("use an entry", `a text as ${field}`, shown(x), "correct the data");
}
const isMessage = (x: Json): x is JsonRecord & ChatMessage => isRecord(x) && typeof x.role === "string";
function messagesOf(entry: JsonRecord, field: string): readonly ChatMessage[] {
  const x = entry[field];
  if (Array.isArray(x) && x.length > 0 && x.every(isMessage)) return x;
  return refuse("use an entry", `messages with roles as ${field}`, shown(x), "correct the data");
}

/** A way of making rows of entries. */
type Processor = (entry: JsonRecord) => Row;
function textRows(tokenizer: Tokenizer, field: string): Processor {
  return (entry) => {
    const tokens = tokenizer.encode(textOf(entry, field)), end = tokenizer.eosTokenId;
    return [end === null || tokens.at(-1) === end ? tokens : [...tokens, end], 0];
  };
}
function chatRows(
  tokenizer: Tokenizer,
  messages: (entry: JsonRecord) => readonly ChatMessage[],
  maskPrompt: boolean,
): Processor {
  return (entry) => {
    const all = messages(entry), tools = Array.isArray(entry.tools) ? { tools: entry.tools } : {};
    const tokens = tokenizer.applyChatTemplate(all, tools);
    if (!maskPrompt) return [tokens, 0];
    const addGenerationPrompt = all.at(-1)?.role === "assistant";
    return [tokens, tokenizer.applyChatTemplate(all.slice(0, -1), { ...tools, addGenerationPrompt }).length];
  };
}
/**
 * A data set of entries (`create_dataset` of mlx-lm); the fields of the first entry say of which kind they all are:
 * with a prompt and a completion, with messages, or with a text.
 * @throws ValueError where the fields are missing, or prompts of texts are to be masked.
 *
 * @example
 * ```ts
 * import { createDataset, Tokenizer } from "@denim/ml/lm";
 * const chatTemplate = "{% for m in messages %}{{ m.content }}{% endfor %}";
 * const tokenizer = Tokenizer.load("models/storyteller", { chatTemplate });
 * const data = createDataset([{ prompt: "Who is", completion: " Alice?" }], tokenizer, { maskPrompt: true });
 * data.process(data.entry(0)); // [[2368, 364, 768, 31], 2]
 * ```
 */
export function createDataset(
  data: readonly JsonRecord[],
  tokenizer: Tokenizer,
  options: DatasetOptions = {},
): Dataset {
  const { maskPrompt = false, promptFeature = "prompt", completionFeature = "completion" } = options;
  const { chatFeature = "messages", textFeature = "text" } = options, sample = data[0] ?? {};
  const made = (process: Processor): Dataset => ({ length: data.length, entry: (i) => data[i] ?? {}, process });
  if (promptFeature in sample && completionFeature in sample) {
    const messages = (entry: JsonRecord) => [
      { role: "user", content: textOf(entry, promptFeature) },
      { role: "assistant", content: textOf(entry, completionFeature) },
    ];
    return made(chatRows(tokenizer, messages, maskPrompt));
  }
  if (chatFeature in sample) return made(chatRows(tokenizer, (entry) => messagesOf(entry, chatFeature), maskPrompt));
  if (!(textFeature in sample)) {
    const expected = `the fields ${promptFeature} and ${completionFeature}, ${chatFeature} or ${textFeature}`;
    return refuse(
      "use the data",
      expected,
      Object.keys(sample).join(", ") || "no fields",
      "name the fields in the options",
    );
  }
  if (maskPrompt) refuse("mask prompts of texts", "prompts and completions", "texts", "leave out maskPrompt");
  return made(textRows(tokenizer, textFeature));
}
/**
 * The data sets train.jsonl, valid.jsonl and test.jsonl of a folder (`load_local_dataset` of mlx-lm); one that is
 * missing is empty.
 * @throws CheckpointError for a line that is no JSON object.
 *
 * @example
 * ```ts
 * import { loadLocalDataset, Tokenizer } from "@denim/ml/lm";
 * const folder = await Deno.makeTempDir();
 * await Deno.writeTextFile(`${folder}/train.jsonl`, '{"text": "Once upon a time"}\n{"text": "The end."}\n');
 * const [train, valid] = loadLocalDataset(folder, Tokenizer.load("models/storyteller"));
 * [train.length, valid.length]; // [2, 0]
 * train.entry(1); // { text: "The end." }
 * ```
 */
export function loadLocalDataset(
  folder: string,
  tokenizer: Tokenizer,
  options: DatasetOptions = {},
): [train: Dataset, valid: Dataset, test: Dataset] {
  const subset = (name: string): Dataset => {
    const data = readLines(`${folder.replace(/[/\\]+$/, "")}/${name}.jsonl`);
    return data.length > 0
      ? createDataset(data, tokenizer, options)
      : { length: 0, entry: () => ({}), process: () => [[], 0] };
  };
  return [subset("train"), subset("valid"), subset("test")];
}
function readLines(path: string): JsonRecord[] {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  const broken = (line: number, got: string): never =>
    mx.fail(mx.CheckpointError, "loadLocalDataset", {
      cannot: `read line ${line} of ${path}`,
      expected: "a JSON object",
      got,
      fix: "correct the line",
    });
  return text.split("\n").filter((line) => line.trim() !== "").map((line, i) => {
    try {
      const x: Json = JSON.parse(line);
      return isRecord(x) ? x : broken(i + 1, shown(x));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      return broken(i + 1, error.message);
    }
  });
}

/**
 * A data set whose rows are made once (`CacheDataset` of mlx-lm).
 *
 * @example
 * ```ts
 * import { CacheDataset, createDataset, Tokenizer } from "@denim/ml/lm";
 * const tokenizer = Tokenizer.load("models/storyteller");
 * const data = new CacheDataset(createDataset([{ text: "The end." }], tokenizer));
 * data.get(0); // [[515, 879, 14, 0], 0]
 * data.get(0) === data.get(0); // true
 * ```
 */
export class CacheDataset {
  readonly #data: Dataset;
  readonly #rows: (Row | undefined)[] = [];
  /** Nothing is made before it is asked for. */
  constructor(data: Dataset) {
    this.#data = data;
  }
  /** How many rows there are. */
  get length(): number {
    return this.#data.length;
  }
  /** What batches are sorted by: as in mlx-lm the number of an entry's fields, so that rows keep their order. */
  itemLength(i: number): number {
    return Object.keys(this.#data.entry(i)).length;
  }
  /** A row. */
  get(i: number): Row {
    return this.#rows[i] ??= this.#data.process(this.#data.entry(i));
  }
}
