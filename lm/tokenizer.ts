/**
 * Text to token ids and back, as mlx-lm's TokenizerWrapper: the model's own tokenizer, its end tokens, its chat
 * template, its marks for thinking and tool calls, and a streaming detokenizer.
 *
 * The algorithms of the vocabulary (BPE, Unigram, WordPiece), normalizers and pre-tokenizers are
 * `@huggingface/tokenizers`'; the way around them is here, so that ids and texts come out as from the original library.
 * @module
 */
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { CheckpointError, fail, ValueError } from "../core/errors.ts";
import { isRecord, type Json, type JsonRecord, readJsonFile, shown } from "../core/io/json.ts";
import { type AddedToken, addedToken, TokenFinder } from "./added_tokens.ts";
import { type ChatMessage, type ChatOptions, ChatTemplate } from "./chat_template.ts";
import { makeDetokenizer, type StreamingDetokenizer } from "./detokenizer.ts";
import { cleanSpaces, type TokenDecoder, tokenDecoder } from "./token_decoder.ts";

/** What a tokenizer is made from besides `tokenizer.json`. */
export interface TokenizerOptions {
  /** Ids that end a text, from the model's config; the tokenizer's own end token is added. */
  readonly eosTokenIds?: Iterable<number>;
  /** A chat template that wins over the one in the config. */
  readonly chatTemplate?: string;
}
/** Marks that enclose a part of an answer. */
interface Marks {
  readonly start: string;
  readonly end: string;
}

const NAMED = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
const THINKING: readonly Marks[] = [
  { start: "<think>", end: "</think>" },
  { start: "<longcat_think>", end: "</longcat_think>" },
  { start: "<|think:start|>", end: "<|think:end|>" },
];
const KIMI = ["<|open|>", "<|close|>", "<|sep|>", "<|end_of_msg|>"];
/** Marks of tool calls by what the chat template says, in mlx-lm's order: all words of a row must occur. */
const TOOL_CALLS: readonly (Marks & { readonly words: readonly string[] })[] = [
  { words: ["<minimax:tool_call>"], start: "<minimax:tool_call>", end: "</minimax:tool_call>" },
  { words: ["<|tool_call>", "<tool_call|>"], start: "<|tool_call>", end: "<tool_call|>" },
  { words: ["<start_function_call>"], start: "<start_function_call>", end: "<end_function_call>" },
  { words: ["<longcat_tool_call>"], start: "<longcat_tool_call>", end: "</longcat_tool_call>" },
  { words: ["<arg_key>"], start: "<tool_call>", end: "</tool_call>" },
  { words: ["<|tool_list_start|>"], start: "<|tool_call_start|>", end: "<|tool_call_end|>" },
  { words: ["<|tool_call_start|>"], start: "<|tool_call_start|>", end: "<|tool_call_end|>" },
  { words: ["<tool_call>\\n<function="], start: "<tool_call>", end: "</tool_call>" },
  { words: ["<tool_call>\n<function="], start: "<tool_call>", end: "</tool_call>" },
  { words: ["<|tool_calls_section_begin|>"], start: "<|tool_calls_section_begin|>", end: "<|tool_calls_section_end|>" },
  { words: ['<function name="', '<param name="'], start: "<function name=", end: "</function>" },
  { words: ["[TOOL_CALLS]"], start: "[TOOL_CALLS]", end: "" },
  { words: ["<atem:function_calls>"], start: "<atem:function_calls>", end: "</atem:function_calls>" },
  { words: ["<tool_call>", "tool_call.name"], start: "<tool_call>", end: "</tool_call>" },
];

const broken = (expected: string, got: string): never =>
  fail(CheckpointError, "tokenizer", {
    cannot: "read the tokenizer",
    expected,
    got,
    fix: "fetch the model's tokenizer files again",
  });

/** The pre-tokenizer that splits digits knows ASCII digits only; the original splits every Unicode number. */
function withUnicodeDigits(section: Json | undefined): Json {
  if (!isRecord(section)) return null;
  if (section.type === "Digits") {
    return {
      type: "Split",
      pattern: { Regex: section.individual_digits ? "\\p{N}" : "\\p{N}+" },
      behavior: "Isolated",
      invert: false,
    };
  }
  return Array.isArray(section.pretokenizers)
    ? { ...section, pretokenizers: section.pretokenizers.map(withUnicodeDigits) }
    : section;
}
/** The text of a special token, which may be given as an object. */
function tokenText(x: Json | undefined): string | null {
  if (typeof x === "string") return x;
  return isRecord(x) && typeof x.content === "string" ? x.content : null;
}
/**
 * All added tokens: those of tokenizer.json, then those that only the config knows, whose word on flags is the last.
 */
function allAddedTokens(json: JsonRecord, config: JsonRecord): AddedToken[] {
  const own = (Array.isArray(json.added_tokens) ? json.added_tokens : []).map(addedToken).filter((t) => t !== null);
  const stated = Object.entries(isRecord(config.added_tokens_decoder) ? config.added_tokens_decoder : {})
    .map(([id, t]) => isRecord(t) ? addedToken({ ...t, id: Number(id) }) : null).filter((t) => t !== null);
  const byContent = new Map(stated.map((t) => [t.content, t])), known = new Set(own.map((t) => t.content));
  const corrected = own.map((t) => {
    const other = byContent.get(t.content);
    return other ? { ...other, id: t.id, special: t.special || other.special } : t;
  });
  return [...corrected, ...stated.filter((t) => !known.has(t.content))];
}
/** The library's form of an added token. */
const libraryToken = (t: AddedToken): JsonRecord => ({
  id: t.id,
  content: t.content,
  special: t.special,
  normalized: t.normalized,
  single_word: t.singleWord,
  lstrip: t.lstrip,
  rstrip: t.rstrip,
});

/**
 * A model's tokenizer.
 *
 * @example
 * ```ts
 * import { Tokenizer } from "@denim/ml/lm";
 * const tokenizer = Tokenizer.load("models/storyteller"), ids = tokenizer.encode("Once upon a time");
 * // [3773, 628, 259, 563]
 * ids.map((id) => tokenizer.idToToken(id)); // ["Once", "Ġupon", "Ġa", "Ġtime"]
 * tokenizer.decode([...ids, 0]); // "Once upon a time<|endoftext|>"
 * tokenizer.decode([...ids, 0], { skipSpecialTokens: true }); // "Once upon a time"
 * ```
 */
export class Tokenizer {
  /** Ids that end a generated text; may be added to. */
  readonly eosTokenIds: Set<number>;
  /** Named special tokens of the config, as `bos_token`, under their names there. */
  readonly specialTokens: Readonly<Record<string, string>>;
  /** Mark of the thinking's start, or null where the model has none. */
  readonly thinkStart: string | null;
  /** Mark of the thinking's end, or null. */
  readonly thinkEnd: string | null;
  /** Mark of the start of a tool's call, or null where the model has none. */
  readonly toolCallStart: string | null;
  /** Mark of the call's end, or null; empty where the answer's end ends the call. */
  readonly toolCallEnd: string | null;
  #library: Library;
  #ids: ReadonlyMap<string, number>;
  #raw: TokenFinder;
  #normalized: TokenFinder;
  #skipped: Set<number>;
  #decode: TokenDecoder;
  #decoder: Json | undefined;
  #cleansSpaces: boolean;
  #templates = new Map<string, string>();
  #compiled = new Map<string, ChatTemplate>();

  /**
   * Builds the tokenizer that two JSON files describe.
   * @param json The content of tokenizer.json.
   * @param config The content of tokenizer_config.json.
   */
  constructor(json: JsonRecord, config: JsonRecord, options: TokenizerOptions = {}) {
    const added = allAddedTokens(json, config);
    const library = this.#library = makeLibrary(json, config, added);
    this.#ids = library.model?.tokens_to_ids ?? broken("a section model in tokenizer.json", "none");
    const normalize = (t: AddedToken): string =>
      t.normalized && library.normalizer ? library.normalizer(t.content) : t.content;
    this.#raw = new TokenFinder(added.filter((t) => !t.normalized).map((t) => [t.content, t]));
    this.#normalized = new TokenFinder(added.filter((t) => t.normalized).map((t) => [normalize(t), t]));
    const texts = NAMED.map((name) => [name, tokenText(config[name])] as const);
    this.specialTokens = Object.fromEntries(texts.filter((entry): entry is [string, string] => entry[1] !== null));
    this.#skipped = this.#specialIds(added, config);
    this.#decoder = json.decoder;
    // The original ignores this setting where it would eat spaces that the text had.
    this.#cleansSpaces = config.clean_up_tokenization_spaces === true && isRecord(json.model) &&
      json.model.type !== "BPE";
    this.#decode = tokenDecoder(json.decoder) ??
      ((tokens) => library.decoder ? [library.decoder([...tokens])] : [tokens.join(" ")]);
    const eos = this.eosTokenId;
    this.eosTokenIds = new Set([...options.eosTokenIds ?? [], ...eos === null ? [] : [eos]]);
    this.#readTemplates(options.chatTemplate ?? config.chat_template);
    [this.thinkStart, this.thinkEnd] = marks(this.#thinking());
    [this.toolCallStart, this.toolCallEnd] = marks(this.#toolCalls());
  }

  /**
   * The tokenizer in a model's folder: `tokenizer.json`, `tokenizer_config.json`, and `chat_template.jinja`, which wins
   * over the template in the config.
   */
  static load(folder: string, options: TokenizerOptions = {}): Tokenizer {
    const file = (name: string): string => `${folder.replace(/[/\\]+$/, "")}/${name}`;
    const json = readJsonFile(file("tokenizer.json")) ?? fail(CheckpointError, "tokenizer", {
      cannot: `load a tokenizer from ${folder}`,
      expected: "a file tokenizer.json",
      got: "none",
      fix: "give the folder of a whole model; tokenizer.model files must be converted first",
    });
    let chatTemplate = options.chatTemplate;
    try {
      chatTemplate ??= Deno.readTextFileSync(file("chat_template.jinja"));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    const config = readJsonFile(file("tokenizer_config.json")) ?? {};
    return new Tokenizer(json, config, chatTemplate === undefined ? options : { ...options, chatTemplate });
  }

  /** Number of tokens, added ones included. */
  get size(): number {
    return this.#ids.size;
  }
  /** All tokens and their ids. */
  get vocab(): ReadonlyMap<string, number> {
    return this.#ids;
  }
  /** The id of a token, by its string in the vocabulary. */
  tokenToId(token: string): number | undefined {
    return this.#ids.get(token);
  }
  /** The string of a token in the vocabulary. */
  idToToken(id: number): string | undefined {
    return this.#library.id_to_token(id);
  }
  /** The id of the token that begins a text, or null. */
  get bosTokenId(): number | null {
    return this.#named("bos_token");
  }
  /** The id of the tokenizer's own end token, or null. */
  get eosTokenId(): number | null {
    return this.#named("eos_token");
  }
  /** The id of the padding token, or null. */
  get padTokenId(): number | null {
    return this.#named("pad_token");
  }
  #named(name: string): number | null {
    return this.#ids.get(this.specialTokens[name] ?? "") ?? null;
  }

  /**
   * The ids of a text. Special tokens in the text become their ids.
   * @param options.addSpecialTokens Whether the model's begin and end tokens are added. Default true.
   */
  encode(text: string, { addSpecialTokens = true }: { readonly addSpecialTokens?: boolean } = {}): number[] {
    const tokens = this.#tokens(text), { post_processor: post, model } = this.#library;
    const all = post ? post(tokens, null, addSpecialTokens).tokens : tokens;
    return all.map((token) => this.#ids.get(token) ?? model?.unk_token_id ?? broken("a known token", shown(token)));
  }
  #tokens(text: string): string[] {
    const { normalizer, pre_tokenizer: split, model } = this.#library, tokens: string[] = [];
    let isFirst = true;
    const add = (piece: string | AddedToken): void => {
      if (typeof piece !== "string") tokens.push(piece.content);
      else {
        const words = split ? split(piece, { section_index: isFirst ? 0 : 1 }) : [piece];
        for (const token of model?.(words) ?? []) tokens.push(token);
      }
      isFirst = false;
    };
    for (const piece of this.#raw.split(text)) {
      if (typeof piece !== "string") add(piece);
      else this.#normalized.split(normalizer ? normalizer(piece) : piece).forEach(add);
    }
    return tokens;
  }

  /**
   * The text of ids.
   * @param options.skipSpecialTokens Whether special tokens are left out. Default false.
   */
  decode(ids: readonly number[], { skipSpecialTokens = false }: { readonly skipSpecialTokens?: boolean } = {}): string {
    const kept = skipSpecialTokens ? ids.filter((id) => !this.#skipped.has(id)) : ids;
    const text = this.#decode(kept.map((id) => this.idToToken(id)).filter((token) => token !== undefined)).join("");
    return this.#cleansSpaces ? cleanSpaces(text) : text;
  }
  /** A fresh streaming detokenizer, of the kind that mlx-lm would pick. */
  detokenizer(): StreamingDetokenizer {
    return makeDetokenizer(this, this.#decoder);
  }

  /** Whether the model thinks before it answers, between {@linkcode thinkStart} and {@linkcode thinkEnd}. */
  get hasThinking(): boolean {
    return this.thinkStart !== null;
  }
  /** Whether the model calls tools, between {@linkcode toolCallStart} and {@linkcode toolCallEnd}. */
  get hasToolCalling(): boolean {
    return this.toolCallStart !== null;
  }
  /** Whether the model has a chat template. */
  get hasChatTemplate(): boolean {
    return this.#templates.size > 0;
  }
  /**
   * A conversation as the text of a prompt, by the model's chat template. MLX: `apply_chat_template(...,
   * tokenize=False)`.
   * @throws ValueError where there is no template, or it refuses the conversation.
   */
  renderChat(messages: readonly ChatMessage[], options: ChatOptions = {}): string {
    const source = (options.tools ? this.#templates.get("tool_use") : undefined) ?? this.#templates.get("default") ??
      fail(ValueError, "applyChatTemplate", {
        cannot: "render the conversation",
        expected: "a model with a chat template",
        got: "none",
        fix: "use encode(text), or set a template",
      });
    let template = this.#compiled.get(source);
    if (!template) this.#compiled.set(source, template = new ChatTemplate(source));
    return template.render(messages, { enableThinking: this.hasThinking, ...options }, this.specialTokens);
  }
  /**
   * A conversation as the ids of a prompt, by the model's chat template. MLX: `apply_chat_template`.
   *
   * @example
   * ```ts
   * import { Tokenizer } from "@denim/ml/lm";
   * const chatTemplate = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
   * const tokenizer = Tokenizer.load("models/storyteller", { chatTemplate });
   * tokenizer.applyChatTemplate([{ role: "user", content: "Hi" }]).length; // 6
   * ```
   */
  applyChatTemplate(messages: readonly ChatMessage[], options: ChatOptions = {}): number[] {
    return this.encode(this.renderChat(messages, options), { addSpecialTokens: false });
  }

  #specialIds(added: readonly AddedToken[], config: JsonRecord): Set<number> {
    const extra = Array.isArray(config.additional_special_tokens)
      ? config.additional_special_tokens.map(tokenText)
      : [];
    const texts = new Set([...Object.values(this.specialTokens), ...extra]);
    return new Set(added.filter((t) => t.special || texts.has(t.content)).map((t) => t.id));
  }
  #readTemplates(given: Json | undefined): void {
    if (typeof given === "string") this.#templates.set("default", given);
    for (const entry of Array.isArray(given) ? given : []) {
      if (isRecord(entry) && typeof entry.name === "string" && typeof entry.template === "string") {
        this.#templates.set(entry.name, entry.template);
      }
    }
  }
  #has(...tokens: string[]): boolean {
    return tokens.every((token) => this.#ids.has(token));
  }
  #thinking(): Marks | undefined {
    const single = THINKING.find(({ start, end }) => this.#has(start, end));
    if (single) return single;
    if (this.#has("<|channel>", "<channel|>")) return { start: "<|channel>thought", end: "<channel|>" };
    return this.#has(...KIMI) ? { start: "<|open|>think<|sep|>", end: "<|close|>think<|sep|>" } : undefined;
  }
  #toolCalls(): Marks | undefined {
    const template = this.#templates.get("default") ?? "";
    const row = TOOL_CALLS.find(({ words }) => words.every((word) => template.includes(word)));
    if (row) return row;
    if (this.#has(...KIMI)) return { start: "<|open|>tools<|sep|>", end: "<|close|>tools<|sep|>" };
    return this.#has("<|tool_call_start|>", "<|tool_call_end|>")
      ? { start: "<|tool_call_start|>", end: "<|tool_call_end|>" }
      : undefined;
  }
}

const marks = (m: Marks | undefined): [string | null, string | null] => m ? [m.start, m.end] : [null, null];

/** Builds the library's tokenizer, whose own errors say nothing to a user. */
function makeLibrary(json: JsonRecord, config: JsonRecord, added: readonly AddedToken[]): Library {
  if (!isRecord(json.model)) return broken("a section model in tokenizer.json", shown(json.model));
  const parts = {
    normalizer: null,
    post_processor: null,
    decoder: null,
    ...json,
    pre_tokenizer: withUnicodeDigits(json.pre_tokenizer),
    added_tokens: added.map(libraryToken),
  };
  try {
    return new Library(parts, config);
  } catch (error) {
    return broken("a tokenizer.json of a known kind", error instanceof Error ? error.message : String(error));
  }
}
