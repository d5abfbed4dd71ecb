/**
 * Tokens back to text: the `decoder` section of a tokenizer.json, exactly as the Hugging Face library does it, invalid
 * UTF-8 included. The streaming counterparts are in `detokenizer.ts`.
 * @module
 */
import { isRecord, type Json } from "../core/io/json.ts";

/** Token strings to pieces of text; the text is their concatenation. */
export type TokenDecoder = (tokens: readonly string[]) => readonly string[];

/**
 * GPT-2's map of bytes to printable characters: a byte that prints stands for itself, the others, in order, for U+0100
 * and up. This is its inverse.
 */
export const byteOfChar: ReadonlyMap<string, number> = (() => {
  const prints = (b: number): boolean => (b > 0x20 && b < 0x7f) || (b > 0xa0 && b !== 0xad);
  const map = new Map<string, number>();
  let next = 0x100;
  for (let b = 0; b < 256; b++) map.set(String.fromCharCode(prints(b) ? b : next++), b);
  return map;
})();

const utf8 = new TextEncoder();
const lossy = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });
/** Bytes to text; whatever is no UTF-8 becomes U+FFFD. */
export function decodeUtf8(bytes: Iterable<number>): string {
  return lossy.decode(Uint8Array.from(bytes));
}
/** The byte of a token like `<0x0A>`. */
export function byteOfToken(token: string): number | null {
  const hex = /^<0x([0-9a-f]{2})>$/i.exec(token)?.[1];
  return hex === undefined ? null : parseInt(hex, 16);
}

/** A token with a character outside the byte map stands for its own UTF-8. */
const byteLevel: TokenDecoder = (tokens) => {
  const bytes: number[] = [];
  for (const token of tokens) {
    const mapped = Array.from(token, (c) => byteOfChar.get(c) ?? -1);
    for (const b of mapped.includes(-1) ? utf8.encode(token) : mapped) bytes.push(b);
  }
  return [decodeUtf8(bytes)];
};
/** A run of byte tokens is text if all of it is UTF-8, else one U+FFFD per byte. */
const byteFallback: TokenDecoder = (tokens) => {
  const pieces: string[] = [];
  let run: number[] = [];
  const flush = (): void => {
    if (run.length === 0) return;
    try {
      pieces.push(strict.decode(Uint8Array.from(run)));
    } catch {
      pieces.push("\ufffd".repeat(run.length));
    }
    run = [];
  };
  for (const token of tokens) {
    const byte = byteOfToken(token);
    if (byte !== null) {
      run.push(byte);
      continue;
    }
    flush();
    pieces.push(token);
  }
  flush();
  return pieces;
};
/** Removes up to `start` and `stop` leading and trailing `content`. */
const strip = (content: string, start: number, stop: number): TokenDecoder => (tokens) =>
  tokens.map((token) => {
    let [from, to] = [0, token.length];
    while (from < start && token[from] === content) from++;
    while (token.length - to < stop && to > from && token[to - 1] === content) to--;
    return token.slice(from, to);
  });
/** The first token loses its word marks, the others get spaces. */
const metaspace = (mark: string, keepsFirst: boolean): TokenDecoder => (tokens) =>
  tokens.map((token, i) => token.replaceAll(mark, i === 0 && !keepsFirst ? "" : " "));

/** Undoes the spaces that word-wise tokenizers put before punctuation and around apostrophes. */
export function cleanSpaces(text: string): string {
  return text.replace(/ ([.?!,])/g, "$1").replaceAll(" ' ", "'").replace(/ (n't|'m|'s|'ve|'re)/g, "$1");
}
/** Words get a space before them, continued ones lose their mark. */
const wordPiece = (prefix: string, cleans: boolean): TokenDecoder => (tokens) =>
  tokens.map((token, i) => {
    const piece = i === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
    return cleans ? cleanSpaces(piece).replaceAll(" do not", " don't") : piece;
  });

const text = (x: Json | undefined, otherwise: string): string => typeof x === "string" ? x : otherwise;
const count = (x: Json | undefined): number => typeof x === "number" ? x : 0;

/** The decoder that a `decoder` section describes; null for a kind that is not handled here. */
export function tokenDecoder(section: Json | undefined): TokenDecoder | null {
  if (!isRecord(section)) return null;
  const { type, pattern, content } = section;
  switch (type) {
    case "ByteLevel":
      return byteLevel;
    case "ByteFallback":
      return byteFallback;
    case "Fuse":
      return (tokens) => [tokens.join("")];
    case "Strip":
      return strip(text(content, " "), count(section.start), count(section.stop));
    case "Metaspace":
      return metaspace(text(section.replacement, "\u2581"), section.prepend_scheme === "never");
    case "WordPiece":
      return wordPiece(text(section.prefix, "##"), section.cleanup !== false);
    case "Replace": {
      if (!isRecord(pattern) || typeof pattern.String !== "string") return null;
      const from = pattern.String, to = text(content, "");
      return (tokens) => tokens.map((token) => token.replaceAll(from, () => to));
    }
    case "Sequence": {
      const steps = Array.isArray(section.decoders) ? section.decoders.map(tokenDecoder) : [null];
      const known = steps.filter((step) => step !== null);
      return known.length < steps.length ? null : (tokens) => known.reduce((pieces, step) => step(pieces), tokens);
    }
    default:
      return null;
  }
}
