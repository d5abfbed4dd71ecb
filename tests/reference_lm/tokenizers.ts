/**
 * Cases of tokenizers: texts, sequences of ids, and conversations.
 * @module
 */
import { camel, type Library } from "../reference/library.ts";
import { jsonMismatch } from "./compare.ts";
import type { ChatCase, TextCase } from "./cases.ts";

const EXACT = { atol: 0, rtol: 0 };

/** Runs the cases of one tokenizer. */
export class Tokenizers {
  private constructor(private readonly lib: Library, private readonly tokenizer: unknown) {}
  /** Loads the tokenizer in a folder. */
  static async load(lib: Library, folder: string): Promise<Tokenizers> {
    return new Tokenizers(lib, await lib.method(lib.get("lm.Tokenizer"), "load", folder));
  }

  private segments(ids: readonly number[]): unknown[] {
    const stream = this.lib.method(this.tokenizer, "detokenizer"), out: unknown[] = [];
    for (const id of ids) {
      this.lib.method(stream, "addToken", id);
      out.push(this.lib.method(stream, "lastSegment"));
    }
    this.lib.method(stream, "finalize");
    return [...out, this.lib.method(stream, "lastSegment")];
  }
  /** Why a text, or a sequence of ids, is not as recorded, or null. */
  text(c: TextCase): string | null {
    const encode = (addSpecialTokens: boolean): unknown =>
      this.lib.method(this.tokenizer, "encode", c.text, { addSpecialTokens });
    const decode = (skipSpecialTokens: boolean): unknown =>
      this.lib.method(this.tokenizer, "decode", c.ids, { skipSpecialTokens });
    const got = {
      decoded: decode(false),
      decoded_skip_special: decode(true),
      segments: this.segments(c.ids_no_special ?? c.ids),
      ...c.text === undefined ? {} : { ids: encode(true), ids_no_special: encode(false) },
    };
    const { text: _, ...want } = c;
    return jsonMismatch({ ids: c.ids, ...got }, want, EXACT);
  }
  /** Why a conversation is not rendered as recorded, or null. A recorded error has to be thrown, too. */
  chat(c: ChatCase): string | null {
    const options = Object.fromEntries(Object.entries(c.kwargs).map(([k, v]) => [camel(k), v]));
    const run = (): { rendered: unknown; ids: unknown } => ({
      rendered: this.lib.method(this.tokenizer, "renderChat", c.messages, options),
      ids: this.lib.method(this.tokenizer, "applyChatTemplate", c.messages, options),
    });
    if (c.error === undefined) return jsonMismatch(run(), { rendered: c.rendered, ids: c.ids }, EXACT);
    try {
      run();
    } catch {
      return null;
    }
    return `${c.error} expected`;
  }
}
