/**
 * Chat templates: Jinja sources from checkpoints, rendered as the transformers library does it.
 * @module
 */
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { isRecord, type Json, type JsonRecord } from "../core/io/json.ts";
import { fail, ValueError } from "../core/errors.ts";

/** One turn of a conversation. Templates read other keys, too: `tool_calls`, `name`, `reasoning_content`, ... */
export interface ChatMessage {
  /** Who speaks: `system`, `user`, `assistant`, `tool`. */
  readonly role: string;
  /** What is said: a text, or blocks of content. */
  readonly content?: Json;
  /** Whatever else the model's template reads. */
  readonly [key: string]: Json | undefined;
}
/** How a conversation becomes a prompt. */
export interface ChatOptions {
  /** Append the start of the assistant's answer. Default false. */
  readonly addGenerationPrompt?: boolean;
  /** End inside the last message, so that the model goes on with it. Default false. */
  readonly continueFinalMessage?: boolean;
  /** Descriptions of tools (JSON schemas) that the model may call. */
  readonly tools?: readonly JsonRecord[];
  /** Documents that some templates quote. */
  readonly documents?: readonly JsonRecord[];
  /** Let the model think before it answers. Default: whether it has tokens for that. */
  readonly enableThinking?: boolean;
  /** More variables for the template, under their names in it. */
  readonly variables?: JsonRecord;
}

/** The names that one message's reasoning goes by; templates read the first. */
const REASONING = ["reasoning_content", "thinking", "reasoning"];
const TAG = "CONTINUE_FINAL_MESSAGE_TAG ";

const refuse = (expected: string, got: string, fix: string): never =>
  fail(ValueError, "applyChatTemplate", { cannot: "render the conversation", expected, got, fix });

/** Drops keys without a value, which templates would print, and gives reasoning its common name. */
function plain(message: ChatMessage): JsonRecord {
  const given: JsonRecord = Object.fromEntries(
    Object.entries(message).filter(([, x]) => x !== null && x !== undefined),
  );
  const reasoning = REASONING.map((key) => given[key]).find((x) => x !== undefined);
  return reasoning === undefined ? given : { thinking: reasoning, ...given, reasoning_content: reasoning };
}
/** The message with a tag at the end of its text, and that text. */
function tagged(message: JsonRecord): { message: JsonRecord; text: string } {
  const { content } = message;
  if (typeof content === "string") return { message: { ...message, content: content + TAG }, text: content };
  const blocks = Array.isArray(content) ? [...content] : [];
  const last = blocks.findLastIndex((block) => isRecord(block) && typeof block.text === "string"), block = blocks[last];
  if (!isRecord(block) || typeof block.text !== "string") {
    return refuse("a last message with text to continue", "none", "leave continueFinalMessage out");
  }
  blocks[last] = { ...block, text: block.text + TAG };
  return { message: { ...message, content: blocks }, text: block.text };
}
/** The rendered text up to the tag. */
function upToTag(rendered: string, text: string): string {
  const at = rendered.lastIndexOf(TAG.trim());
  if (at < 0 || !rendered.includes(text.trim())) {
    return refuse(
      "a template that shows the last message as it is",
      "one that does not",
      "leave continueFinalMessage out",
    );
  }
  // A template that trims its messages has eaten the tag's own space.
  return rendered.startsWith(TAG, at) ? rendered.slice(0, at) : rendered.slice(0, at).trimEnd();
}

/** The date by the C library's codes, in English as Python's default locale writes it. */
function strftimeNow(format: string): string {
  const now = new Date(), two = (n: number): string => String(n).padStart(2, "0");
  const name = (options: Intl.DateTimeFormatOptions): string => now.toLocaleDateString("en-US", options);
  const hour = now.getHours() % 12 || 12;
  const codes: Readonly<Record<string, () => string>> = {
    Y: () => String(now.getFullYear()),
    y: () => two(now.getFullYear() % 100),
    m: () => two(now.getMonth() + 1),
    d: () => two(now.getDate()),
    H: () => two(now.getHours()),
    I: () => two(hour),
    M: () => two(now.getMinutes()),
    S: () => two(now.getSeconds()),
    p: () => now.getHours() < 12 ? "AM" : "PM",
    B: () => name({ month: "long" }),
    b: () => name({ month: "short" }),
    A: () => name({ weekday: "long" }),
    a: () => name({ weekday: "short" }),
    "%": () => "%",
  };
  return format.replace(/%-?([a-zA-Z%])/g, (code, letter: string) => {
    const value = codes[letter]?.() ?? code;
    return code.startsWith("%-") ? value.replace(/^0(?=.)/, "") : value;
  });
}

/** Python's range, with the limit of Jinja's sandbox: templates come with models. */
function range(from: number, to?: number, step: number = 1): number[] {
  const [start, stop] = to === undefined ? [0, from] : [from, to],
    length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= 100_000)) {
    return refuse("ranges of at most 100000 numbers in a template", `${length}`, "change the messages");
  }
  return Array.from({ length }, (_, i) => start + i * step);
}
const GLOBALS: Readonly<Record<string, unknown>> = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  range,
  strftime_now: strftimeNow,
  raise_exception: (message: string): never =>
    refuse("messages that the model's template takes", message, "change the messages"),
};
const reason = (error: unknown): string => error instanceof Error ? error.message : String(error);

type Program = ReturnType<typeof parse>;
function compile(source: string): Program {
  try {
    return parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  } catch (error) {
    return refuse("a Jinja template", reason(error), "check the model's chat_template");
  }
}
function run(program: Program, variables: Readonly<Record<string, unknown>>): string {
  const environment = new Environment();
  for (const [name, value] of Object.entries({ ...GLOBALS, ...variables })) environment.set(name, value);
  try {
    return String(new Interpreter(environment).run(program).value);
  } catch (error) {
    if (error instanceof ValueError) throw error;
    return refuse("messages that the model's template takes", reason(error), "change the messages");
  }
}

/** One compiled template. */
export class ChatTemplate {
  #program: Program;
  /** Compiles a Jinja source. */
  constructor(/** The Jinja source. */ readonly source: string) {
    this.#program = compile(source);
  }
  /**
   * The conversation as text.
   * @param special The tokenizer's special tokens under their names in templates: `bos_token`, ...
   * @throws ValueError where the template refuses the conversation, with its reason.
   */
  render(messages: readonly ChatMessage[], options: ChatOptions, special: Readonly<Record<string, string>>): string {
    const { addGenerationPrompt = false, continueFinalMessage = false, tools = null, documents = null } = options;
    if (messages.length === 0) return refuse("at least one message", "none", "add a message");
    if (continueFinalMessage && addGenerationPrompt) {
      return refuse("addGenerationPrompt or continueFinalMessage", "both", "leave one out");
    }
    const chat = messages.map(plain), last = continueFinalMessage ? tagged(chat.pop() ?? {}) : null;
    if (last) chat.push(last.message);
    const text = run(this.#program, {
      ...special,
      ...options.variables,
      messages: chat,
      tools,
      documents,
      add_generation_prompt: addGenerationPrompt,
      enable_thinking: options.enableThinking ?? false,
    });
    return last ? upToTag(text, last.text) : text;
  }
}
