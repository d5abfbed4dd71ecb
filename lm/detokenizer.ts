/**
 * Streaming detokenizers: token ids in, readable text out as soon as it is certain, with mlx-lm's segments. The kind is
 * picked by the `decoder` section of tokenizer.json; {@linkcode Tokenizer.detokenizer} gives a fresh one.
 * @module
 */
import { isRecord, type Json } from "../core/io/json.ts";
import { byteOfChar, byteOfToken, decodeUtf8 } from "./token_decoder.ts";

/** What a detokenizer asks its tokenizer. */
export interface TokenText {
  /** Number of tokens. */
  readonly size: number;
  /** The string of a token in the vocabulary. */
  idToToken(id: number): string | undefined;
  /** The ids of a text. */
  encode(text: string, options?: { readonly addSpecialTokens?: boolean }): number[];
  /** The text of ids. */
  decode(ids: readonly number[]): string;
}

/**
 * Turns tokens into text one by one.
 *
 * @example
 * ```ts
 * import { Tokenizer } from "@denim/ml/lm";
 * const tokenizer = Tokenizer.load("models/storyteller"), detokenizer = tokenizer.detokenizer();
 * const pieces = tokenizer.encode("Tea at five ☕!").map((id) => {
 *   detokenizer.addToken(id);
 *   return detokenizer.lastSegment();
 * });
 * detokenizer.finalize();
 * pieces; // ["T", "e", "a", " at", " five", "", "", "", " ☕", "!"]
 * detokenizer.text; // "Tea at five ☕!"
 * ```
 */
export abstract class StreamingDetokenizer {
  /** The tokens so far. */
  readonly tokens: number[] = [];
  /** Takes one token. */
  abstract addToken(id: number): void;
  /** Ends the text: what was held back comes out. */
  abstract finalize(): void;
  /** The text so far; its end may be held back. */
  abstract get text(): string;
  /** What the text got since the last call. MLX: `detokenizer.last_segment`. */
  abstract lastSegment(): string;
}

/**
 * Decodes the current line again for each token: right for every tokenizer, slow for long lines.
 */
export class NaiveStreamingDetokenizer extends StreamingDetokenizer {
  #done = "";
  #current: number[] = [];
  #offset = 0;
  #cleansSpaces: boolean;
  /** Starts an empty text. */
  constructor(private readonly tokenizer: TokenText) {
    super();
    this.#cleansSpaces = !tokenizer.decode(tokenizer.encode("a ,b", { addSpecialTokens: false })).includes(" ,");
  }
  /** Takes one token. */
  addToken(id: number): void {
    this.tokens.push(id);
    this.#current.push(id);
  }
  /** Ends the text: what was held back comes out. */
  finalize(): void {
    this.#done += this.tokenizer.decode(this.#current);
    this.#current = [];
  }
  /** What the text got since the last call. */
  lastSegment(): string {
    const text = this.text, segment = text.slice(this.#offset);
    this.#offset = text.length;
    return segment;
  }
  /** The text so far; its end may be held back. */
  get text(): string {
    let current = this.tokenizer.decode(this.#current);
    // An incomplete character can decode to several replacements.
    if (current.endsWith("\ufffd")) current = current.replace(/\ufffd+$/, "");
    else if (this.#cleansSpaces && current.endsWith(" ")) current = current.slice(0, -1);
    if (!current.endsWith("\n")) return this.#done + current;
    this.#current = [];
    return this.#done += current;
  }
}

/** A text that only grows: a segment costs its own length, however long the text is. */
export abstract class GrowingDetokenizer extends StreamingDetokenizer {
  #text = "";
  #fresh = "";
  /** The text so far, without what is held back. */
  get text(): string {
    return this.#text;
  }
  /** What the text got since the last call. */
  lastSegment(): string {
    const segment = this.#fresh;
    this.#fresh = "";
    return segment;
  }
  /** Adds to the text; the first piece may lose a leading space. */
  protected append(piece: string, trimsStart: boolean): void {
    const kept = trimsStart && this.#text === "" && piece.startsWith(" ") ? piece.slice(1) : piece;
    this.#text += kept;
    this.#fresh += kept;
  }
}

const utf8 = new TextEncoder();

/** For SentencePiece vocabularies, whose spaces are U+2581 and whose bytes are tokens like `<0x0A>`. */
export class SPMStreamingDetokenizer extends GrowingDetokenizer {
  #pending: number[] = [];
  /** Starts an empty text; `trimSpace`: it loses one leading space. */
  constructor(private readonly tokenizer: TokenText, private readonly trimSpace: boolean = true) {
    super();
  }
  #flush(force: boolean): void {
    const text = decodeUtf8(this.#pending);
    if (!force && text.endsWith("\ufffd")) return;
    this.append(text, this.trimSpace);
    this.#pending = [];
  }
  /** Takes one token. */
  addToken(id: number): void {
    this.tokens.push(id);
    const token = this.tokenizer.idToToken(id) ?? "", byte = byteOfToken(token);
    if (byte !== null) this.#pending.push(byte);
    else this.#pending.push(...utf8.encode(token.replaceAll("\u2581", " ")));
    this.#flush(false);
  }
  /** Ends the text: what was held back comes out. */
  finalize(): void {
    this.#flush(true);
  }
}

/** The bytes that a byte-level token stands for; a character outside the map stands for its own UTF-8. */
function byteLevelBytes(text: string, zeroIsText: boolean): number[] {
  const bytes: number[] = [];
  for (const c of text) {
    const b = byteOfChar.get(c);
    if (b === undefined || (b === 0 && zeroIsText)) bytes.push(...utf8.encode(c));
    else bytes.push(b);
  }
  return bytes;
}

/**
 * For byte-level vocabularies as GPT-2's. Holds back incomplete characters and single spaces; drops a leading space.
 */
export class BPEStreamingDetokenizer extends GrowingDetokenizer {
  #pending = "";
  /** Starts an empty text. */
  constructor(private readonly tokenizer: TokenText) {
    super();
  }
  /** Takes one token. */
  addToken(id: number): void {
    this.tokens.push(id);
    // Beyond the vocabulary lies the padding of a model's output.
    const token = this.tokenizer.idToToken(id) ?? (id < this.tokenizer.size ? "" : "!");
    this.#pending += token;
    // mlx-lm shows byte 0 as the character of its token, but not at the end of the text; segments follow it.
    const text = decodeUtf8(byteLevelBytes(this.#pending, true));
    if (text.endsWith("\ufffd") || token === "\u0120") return;
    this.append(text, true);
    this.#pending = "";
  }
  /** Ends the text: what was held back comes out. */
  finalize(): void {
    this.append(decodeUtf8(byteLevelBytes(this.#pending, false)), true);
    this.#pending = "";
  }
}

const SPM: readonly Json[] = [
  { type: "Replace", pattern: { String: "\u2581" }, content: " " },
  { type: "ByteFallback" },
  { type: "Fuse" },
];
const STRIP: Json = { type: "Strip", content: " ", start: 1, stop: 0 };
/** Equal values, whatever the order of keys. */
function same(a: Json | undefined, b: Json | undefined): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((x, i) => same(x, b[i]));
  if (!isRecord(a) || !isRecord(b)) return a === b;
  return Object.keys(a).length === Object.keys(b).length && Object.entries(a).every(([key, x]) => same(x, b[key]));
}

/** The detokenizer that mlx-lm picks for a `decoder` section. */
export function makeDetokenizer(tokenizer: TokenText, decoder: Json | undefined): StreamingDetokenizer {
  const sequence = (decoders: readonly Json[]): Json => ({ type: "Sequence", decoders });
  if (same(decoder, sequence([...SPM, STRIP]))) return new SPMStreamingDetokenizer(tokenizer, true);
  if (same(decoder, sequence(SPM))) return new SPMStreamingDetokenizer(tokenizer, false);
  if (isRecord(decoder) && decoder.type === "ByteLevel") return new BPEStreamingDetokenizer(tokenizer);
  return new NaiveStreamingDetokenizer(tokenizer);
}
