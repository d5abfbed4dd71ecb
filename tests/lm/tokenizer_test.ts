/**
 * Tokenizers and chat templates against recorded results of the original library, and those of GGUF files.
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { CheckpointError, ValueError } from "../../core/errors.ts";
import type { JsonRecord } from "../../core/io/json.ts";
import { parseGguf } from "../../core/io/gguf.ts";
import type { ChatMessage } from "../../lm/chat_template.ts";
import { ggufTokenizer } from "../../lm/gguf_tokenizer.ts";
import { byteOfChar, tokenDecoder } from "../../lm/token_decoder.ts";
import { Tokenizer } from "../../lm/tokenizer.ts";
import { ggufFile, type Meta } from "../io/files.ts";
import { recordedTokenizers } from "./recorded.ts";

for (const [name, { tokenizer: json, config, size, texts, sequences, chats }] of Object.entries(recordedTokenizers())) {
  const tokenizer = new Tokenizer(json, config);
  Deno.test(`${name}: ids and texts are those of the original library`, () => {
    assertEquals(tokenizer.size, size);
    for (const { text, ids } of texts) assertEquals(tokenizer.encode(text), ids, JSON.stringify(text));
    for (const { ids, decoded, skipped } of [...texts, ...sequences]) {
      assertEquals(tokenizer.decode(ids), decoded);
      assertEquals(tokenizer.decode(ids, { skipSpecialTokens: true }), skipped);
    }
  });
  Deno.test(`${name}: chats are rendered as by the original library`, () => {
    for (const { messages, options, text, ids } of chats) {
      const given = {
        addGenerationPrompt: options.add_generation_prompt ?? false,
        continueFinalMessage: options.continue_final_message ?? false,
        ...options.enable_thinking === undefined ? {} : { enableThinking: options.enable_thinking },
      };
      assertEquals(tokenizer.renderChat(messages, given), text);
      assertEquals(tokenizer.applyChatTemplate(messages, given), ids);
    }
  });
}

/** A tokenizer of the 256 bytes and some special tokens. */
function byteTokenizer(config: JsonRecord, special: readonly string[] = [], chatTemplate?: string): Tokenizer {
  const bytes = [...byteOfChar.keys()], tokens = [...bytes, ...special];
  return new Tokenizer(
    {
      added_tokens: special.map((content, i) => ({ id: 256 + i, content, special: true, normalized: false })),
      pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
      decoder: { type: "ByteLevel" },
      model: { type: "BPE", vocab: Object.fromEntries(tokens.map((token, i) => [token, i])), merges: [] },
    },
    config,
    chatTemplate === undefined ? {} : { chatTemplate, eosTokenIds: [7] },
  );
}
const user: ChatMessage[] = [{ role: "user", content: "Hi" }];

Deno.test("special tokens, ends and marks come from config, vocabulary and template", () => {
  const template = "{{ bos_token }}{% if tools %}<tool_call>{{ tool_call.name }}{% endif %}";
  const special = ["<s>", "</s>", "<think>", "</think>"];
  const config = { bos_token: { content: "<s>" }, eos_token: "</s>", additional_special_tokens: ["<think>"] };
  const t = byteTokenizer(config, special, template);
  assertEquals([t.bosTokenId, t.eosTokenId, t.padTokenId, t.size], [256, 257, null, 260]);
  assertEquals([...t.eosTokenIds], [7, 257]);
  assertEquals([t.hasThinking, t.thinkStart, t.thinkEnd], [true, "<think>", "</think>"]);
  assertEquals([t.hasToolCalling, t.toolCallStart, t.toolCallEnd], [true, "<tool_call>", "</tool_call>"]);
  assertEquals(t.renderChat(user), "<s>");
  assertEquals(t.decode(t.encode("<s>a</s>"), { skipSpecialTokens: true }), "a");
  assertEquals(t.decode([]), "");
});

Deno.test("the config has the last word on the flags of added tokens; special in either file is special", () => {
  const stated = { 256: { content: "<s>", rstrip: true, normalized: false, special: false } };
  const t = byteTokenizer({ added_tokens_decoder: stated }, ["<s>", "</s>"]);
  assertEquals(t.encode("<s> a</s> "), [256, ...t.encode("a"), 257, ...t.encode(" ")]);
  assertEquals(t.decode([256, 257], { skipSpecialTokens: true }), "");
});

Deno.test("a long text is no trouble", () => {
  const t = byteTokenizer({}), text = "a b\n".repeat(200_000);
  assertEquals(t.decode(t.encode(text)), text);
});

Deno.test("templates get what the original gives them", () => {
  const render = (template: string, options = {}): string => byteTokenizer({}, [], template).renderChat(user, options);
  assertEquals(render("{{ enable_thinking }} {{ tools is none }} {{ add_generation_prompt }}"), "false true false");
  assertEquals(render("{{ {'a': [1, 1.5, 'é<']} | tojson }}"), '{"a": [1, 1.5, "é<"]}');
  assertEquals(render("{{ strftime_now('%Y %%') }}"), `${new Date().getFullYear()} %`);
  assertEquals(render("{% for i in range(3) %}{{ i }}{% endfor %}{{ x }}", { variables: { x: "y" } }), "012y");
  assertThrows(() => render("{{ raise_exception('no such role') }}"), ValueError, "got no such role");
  assertThrows(() => render("{% for i in range(1000000) %}{% endfor %}"), ValueError, "at most 100000");
  assertThrows(() => render("{% if %}"), ValueError, "a Jinja template");
  assertThrows(() => render("x", { addGenerationPrompt: true, continueFinalMessage: true }), ValueError, "both");
  assertThrows(() => render("x", { continueFinalMessage: true }), ValueError, "shows the last message");
  assertThrows(() => byteTokenizer({}).renderChat(user), ValueError, "a model with a chat template");
  assertThrows(() => byteTokenizer({}, [], "x").renderChat([]), ValueError, "at least one message");
});

Deno.test("a message without content and one with reasoning reach the template as the original sends them", () => {
  const messages: ChatMessage[] = [{ role: "assistant", content: null, reasoning: "hm" }];
  const template =
    "{{ messages[0].content is defined }} {{ messages[0].reasoning_content }} {{ messages[0].thinking }}";
  assertEquals(byteTokenizer({}, [], template).renderChat(messages), "false hm hm");
});

Deno.test("templates by name: tools take the one for tools", () => {
  const config = { chat_template: [{ name: "default", template: "d" }, { name: "tool_use", template: "t" }] };
  const t = byteTokenizer(config);
  assertEquals([t.renderChat(user), t.renderChat(user, { tools: [{ type: "function" }] })], ["d", "t"]);
});

Deno.test("a folder's chat_template.jinja wins over its config", async () => {
  const folder = await Deno.makeTempDir();
  assertThrows(() => Tokenizer.load(folder), CheckpointError, "a file tokenizer.json");
  const json = { added_tokens: [], decoder: null, model: { type: "BPE", vocab: { a: 0 }, merges: [] } };
  await Deno.writeTextFile(`${folder}/tokenizer.json`, JSON.stringify(json));
  await Deno.writeTextFile(`${folder}/tokenizer_config.json`, JSON.stringify({ chat_template: "config" }));
  assertEquals(Tokenizer.load(folder).renderChat(user), "config");
  await Deno.writeTextFile(`${folder}/chat_template.jinja`, "file");
  assertEquals(Tokenizer.load(`${folder}/`).renderChat(user), "file");
  for (const broken of ["{", "[]", "{}", '{"model":{"type":"Nope"}}']) {
    await Deno.writeTextFile(`${folder}/tokenizer.json`, broken);
    assertThrows(() => Tokenizer.load(folder), CheckpointError);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("decoders of the other kinds", () => {
  const meta = tokenDecoder({ type: "Metaspace", replacement: "\u2581", prepend_scheme: "always" });
  assertEquals(meta?.(["\u2581a", "\u2581b"]).join(""), "a b");
  assertEquals(tokenDecoder({ type: "Metaspace", prepend_scheme: "never" })?.(["\u2581a"]).join(""), " a");
  assertEquals(tokenDecoder({ type: "Strip", content: "_", start: 1, stop: 2 })?.(["__a___", "_"]), ["_a_", ""]);
  assertEquals(tokenDecoder({ type: "CTC" }), null);
  assertEquals(tokenDecoder({ type: "Sequence", decoders: [{ type: "Fuse" }, { type: "CTC" }] }), null);
});

const texts = (list: readonly string[]): Meta => ({
  kind: "array",
  of: "string",
  value: list.map((value) => ({ kind: "string", value })),
});
const numbers = (kind: "i32" | "f32", list: readonly number[]): Meta => ({
  kind: "array",
  of: kind,
  value: list.map((value) => ({ kind, value })),
});
const id = (value: number): Meta => ({ kind: "u32", value });
function fromGguf(metadata: Record<string, Meta>): Tokenizer {
  const file = ggufFile(Object.fromEntries(Object.entries(metadata).map(([key, x]) => [`tokenizer.${key}`, x])), []);
  return ggufTokenizer(parseGguf(file, file.length).metadata);
}

Deno.test("a GGUF file's byte-level tokenizer", () => {
  const tokens = [...byteOfChar.keys(), "th", "the", "<|im_end|>", "<user>"];
  const metadata: Record<string, Meta> = {
    "ggml.model": { kind: "string", value: "gpt2" },
    "ggml.pre": { kind: "string", value: "smollm" },
    "ggml.tokens": texts(tokens),
    "ggml.token_type": numbers("i32", tokens.map((_, i) => i === 258 ? 3 : i === 259 ? 4 : 1)),
    "ggml.merges": texts(["t h", "th e"]),
    "ggml.eos_token_id": id(258),
    "ggml.bos_token_id": id(258),
    "ggml.eot_token_id": id(259),
    "chat_template": { kind: "string", value: "{{ messages[0].content }}" },
  };
  const t = fromGguf(metadata), space = t.tokenToId("\u0120") ?? -1, two = t.tokenToId("2") ?? -1;
  assertEquals(t.encode("the 22<|im_end|><user>"), [257, space, two, two, 258, 259]);
  assertEquals(t.decode(t.encode("the ½"), { skipSpecialTokens: true }), "the ½");
  assertEquals([...t.eosTokenIds].sort(), [258, 259]);
  assertEquals(t.renderChat(user), "Hi");
  assertEquals(fromGguf({ ...metadata, "ggml.add_bos_token": { kind: "bool", value: true } }).encode("the"), [
    258,
    257,
  ]);
  assertThrows(
    () => fromGguf({ ...metadata, "ggml.pre": { kind: "string", value: "new" } }),
    CheckpointError,
    "got new",
  );
  assertThrows(
    () => fromGguf({ ...metadata, "ggml.model": { kind: "string", value: "t5" } }),
    CheckpointError,
    "got t5",
  );
});

Deno.test("a GGUF file's SentencePiece tokenizer merges by score", () => {
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`);
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, "\u2581", "a", "b", "ab", "\u2581a", "\u2581ab"];
  const scores = tokens.map((_, i) => i < 262 ? 0 : 262 - i);
  const t = fromGguf({
    "ggml.model": { kind: "string", value: "llama" },
    "ggml.tokens": texts(tokens),
    "ggml.scores": numbers("f32", scores),
    "ggml.token_type": numbers("i32", tokens.map((_, i) => i === 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1)),
    "ggml.bos_token_id": id(1),
    "ggml.eos_token_id": id(2),
    "ggml.unknown_token_id": id(0),
  });
  assertEquals(t.encode("ab a"), [1, 264, 263]);
  assertEquals(t.decode(t.encode("ab é"), { skipSpecialTokens: true }), "ab é");
  assert(t.encode("é").includes(3 + 0xc3));
});
