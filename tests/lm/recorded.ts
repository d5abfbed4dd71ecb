/**
 * The tokenizers of `tests/fixtures/tokenizers.json`: small ones with what the original library and mlx-lm made of
 * texts.
 * @module
 */
import type { JsonRecord } from "../../core/io/json.ts";
import type { ChatMessage } from "../../lm/chat_template.ts";

/** Ids and what they are. */
export interface RecordedIds {
  readonly ids: readonly number[];
  readonly decoded: string;
  /** Without special tokens. */
  readonly skipped: string;
  /** The new text after each token, then after the end. */
  readonly segments: readonly string[];
}
/** One tokenizer and its cases. */
export interface RecordedTokenizer {
  readonly tokenizer: JsonRecord;
  readonly config: JsonRecord;
  readonly detokenizer: string;
  readonly size: number;
  readonly texts: readonly (RecordedIds & { readonly text: string })[];
  readonly sequences: readonly RecordedIds[];
  readonly chats: readonly {
    readonly messages: readonly ChatMessage[];
    readonly options: {
      readonly add_generation_prompt?: boolean;
      readonly continue_final_message?: boolean;
      readonly enable_thinking?: boolean;
    };
    readonly text: string;
    readonly ids: readonly number[];
  }[];
}
/** All of them, by name. */
export function recordedTokenizers(): Readonly<Record<string, RecordedTokenizer>> {
  const file = new URL("../fixtures/tokenizers.json", import.meta.url);
  const { cases }: { cases: Readonly<Record<string, RecordedTokenizer>> } = JSON.parse(Deno.readTextFileSync(file));
  return cases;
}
