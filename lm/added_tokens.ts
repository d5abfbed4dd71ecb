/**
 * Tokens that are found in the text as they stand, before the tokenizer's model sees it: special tokens and such.
 * @module
 */
import { isRecord, type Json } from "../core/io/json.ts";

/** An entry of `added_tokens` in a tokenizer.json. */
export interface AddedToken {
  /** Its id. */
  readonly id: number;
  /** Its text. */
  readonly content: string;
  /** Left out by `skipSpecialTokens`. */
  readonly special: boolean;
  /** Searched in the normalized text, not in the raw one. */
  readonly normalized: boolean;
  /** Only where no letter or digit touches it. */
  readonly singleWord: boolean;
  /** Takes white space before it with it. */
  readonly lstrip: boolean;
  /** Takes white space after it with it. */
  readonly rstrip: boolean;
}

/** Reads one entry; null where it is none. */
export function addedToken(entry: Json | undefined): AddedToken | null {
  if (!isRecord(entry) || typeof entry.id !== "number" || typeof entry.content !== "string" || entry.content === "") {
    return null;
  }
  const special = entry.special === true;
  return {
    id: entry.id,
    content: entry.content,
    special,
    normalized: typeof entry.normalized === "boolean" ? entry.normalized : !special,
    singleWord: entry.single_word === true,
    lstrip: entry.lstrip === true,
    rstrip: entry.rstrip === true,
  };
}

interface Branch {
  readonly next: Map<string, Branch>;
  token: AddedToken | null;
}
const branch = (): Branch => ({ next: new Map(), token: null });

/** Finds a set of tokens in texts: at the leftmost place, there the longest. */
export class TokenFinder {
  #root = branch();
  /** Takes what to search for: pairs of text and token. */
  constructor(tokens: Iterable<readonly [string, AddedToken]>) {
    for (const [text, token] of tokens) {
      let at = this.#root;
      for (const unit of text.split("")) {
        let next = at.next.get(unit);
        if (!next) at.next.set(unit, next = branch());
        at = next;
      }
      if (at !== this.#root) at.token = token;
    }
  }
  /** The longest token at `start`, and where it ends. */
  #match(text: string, start: number): { token: AddedToken; end: number } | null {
    let found: { token: AddedToken; end: number } | null = null;
    let at: Branch | undefined = this.#root;
    for (let i = start; i < text.length && (at = at.next.get(text.charAt(i))); i++) {
      if (at.token) found = { token: at.token, end: i + 1 };
    }
    const alone = (i: number): boolean => !/[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]/u.test(text.charAt(i));
    return found && found.token.singleWord && !(alone(start - 1) && alone(found.end)) ? null : found;
  }
  /** The text in pieces: tokens, and what lies between them. No piece is empty. */
  split(text: string): (string | AddedToken)[] {
    const pieces: (string | AddedToken)[] = [];
    let from = 0;
    for (let i = 0; i < text.length; i++) {
      const found = this.#match(text, i);
      if (!found) continue;
      const before = text.slice(from, i), kept = found.token.lstrip ? before.trimEnd() : before;
      if (kept !== "") pieces.push(kept);
      pieces.push(found.token);
      from = found.token.rstrip ? text.length - text.slice(found.end).trimStart().length : found.end;
      i = from - 1;
    }
    if (from < text.length) pieces.push(text.slice(from));
    return pieces;
  }
}
