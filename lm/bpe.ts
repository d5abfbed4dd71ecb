/**
 * Learning a vocabulary: byte-level byte-pair encoding (BPE), as GPT-2 has it. What comes out is the content of a
 * tokenizer.json that {@linkcode Tokenizer} and other libraries read.
 * @module
 */
import { fail, ValueError } from "../core/errors.ts";
import type { JsonRecord } from "../core/io/json.ts";
import { byteOfChar } from "./token_decoder.ts";

/** Options of {@linkcode trainBpe}. */
export interface BpeOptions {
  /** How many tokens there are at most: 256 bytes, the special tokens, and what is merged of them. */
  readonly vocabSize: number;
  /** Tokens that no text is split into, with the ids from 0 up. Default: `<|endoftext|>`. */
  readonly specialTokens?: readonly string[];
  /** How often two tokens must stand side by side to be merged. Default 2. */
  readonly minFrequency?: number;
}

/** Words as GPT-2 splits them: letters, digits or signs with the space before them, and spaces. */
const WORD = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;
/** The characters that stand for the bytes, in order, which is that of the ids. */
const CHARS: readonly string[] = [...byteOfChar.keys()].sort();
const BYTES = CHARS.length;

/** A word as a sequence of ids, and how often it occurs. */
interface Word {
  ids: number[];
  readonly count: number;
}
/** Each word of the texts once, as bytes. */
function wordsOf(texts: Iterable<string>): Word[] {
  const counts = new Map<string, number>(), utf8 = new TextEncoder();
  for (const text of texts) {
    for (const [word] of text.matchAll(WORD)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const idOfByte = new Map(CHARS.map((c, id) => [byteOfChar.get(c), id]));
  const ids = (word: string): number[] => Array.from(utf8.encode(word), (byte) => idOfByte.get(byte)!);
  return Array.from(counts, ([word, count]) => ({ ids: ids(word), count }));
}

/** Two neighbours as one number, `left * SHIFT + right`: below 2^53 for every vocabulary that fits into 26 bits. */
const SHIFT = 2 ** 26;
/** A pair, and how often it occurred when this was noted. */
interface Candidate {
  readonly pair: number;
  readonly count: number;
}
/** Is `a` merged before `b`? Of equals the one with the smallest ids is first, so that the result is one. */
const precedes = (a: Candidate, b: Candidate): boolean => a.count > b.count || a.count === b.count && a.pair < b.pair;
/** A binary heap: the parent of place i is at (i - 1) / 2, and precedes it. */
class Heap {
  readonly #items: Candidate[] = [];
  push(item: Candidate): void {
    const items = this.#items;
    let i = items.push(item) - 1;
    for (let up = (i - 1) >> 1; i > 0 && precedes(item, items[up]!); i = up, up = (i - 1) >> 1) items[i] = items[up]!;
    items[i] = item;
  }
  pop(): Candidate | undefined {
    const items = this.#items, top = items[0], last = items.pop();
    if (last === undefined || items.length === 0) return top;
    let i = 0;
    for (let down = 1; down < items.length; down = 2 * i + 1) {
      if (down + 1 < items.length && precedes(items[down + 1]!, items[down]!)) down++;
      if (!precedes(items[down]!, last)) break;
      items[i] = items[down]!;
      i = down;
    }
    items[i] = last;
    return top;
  }
}

/** How often each pair of neighbours occurs, and in which words. */
class Pairs {
  readonly #counts = new Map<number, number>();
  readonly #words = new Map<number, Set<Word>>();
  /** Has each pair with at least its count: what became rarer since is noted anew when it comes up. */
  readonly #candidates = new Heap();

  constructor(words: readonly Word[]) {
    for (const word of words) this.#add(word, 1);
    for (const [pair, count] of this.#counts) this.#candidates.push({ pair, count });
  }
  /** Counts the pairs of a word, or with -1 takes them back. */
  #add(word: Word, sign: 1 | -1): void {
    const { ids, count } = word;
    for (let i = 1; i < ids.length; i++) {
      const pair = ids[i - 1]! * SHIFT + ids[i]!;
      this.#counts.set(pair, (this.#counts.get(pair) ?? 0) + sign * count);
      if (sign < 0) continue;
      const words = this.#words.get(pair);
      if (words) words.add(word);
      else this.#words.set(pair, new Set([word]));
    }
  }
  /** The pair that occurs most often. */
  best(): Candidate | null {
    for (let top = this.#candidates.pop(); top; top = this.#candidates.pop()) {
      const count = this.#counts.get(top.pair) ?? 0;
      if (count === top.count) return top;
      if (count > 0) this.#candidates.push({ pair: top.pair, count });
    }
    return null;
  }
  /** Makes the pair one token in all words. */
  merge(pair: number, merged: number): void {
    const grown = new Set<number>();
    for (const word of this.#words.get(pair) ?? []) {
      this.#add(word, -1);
      word.ids = mergedIds(word.ids, pair, merged);
      this.#add(word, 1);
      word.ids.forEach((id, i) => {
        if (id !== merged) return;
        if (i > 0) grown.add(word.ids[i - 1]! * SHIFT + id);
        if (i + 1 < word.ids.length) grown.add(id * SHIFT + word.ids[i + 1]!);
      });
    }
    this.#words.delete(pair);
    this.#counts.delete(pair);
    for (const pair of grown) this.#candidates.push({ pair, count: this.#counts.get(pair) ?? 0 });
  }
}
/** The ids with each pair as one. */
function mergedIds(ids: readonly number[], pair: number, merged: number): number[] {
  const left = Math.floor(pair / SHIFT), right = pair % SHIFT, result: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    const isPair = ids[i] === left && ids[i + 1] === right;
    result.push(isPair ? merged : ids[i]!);
    if (isPair) i++;
  }
  return result;
}

/**
 * Learns the vocabulary of texts: it begins with the 256 bytes, and the two neighbours within words that stand side by
 * side most often become one token, again and again, until there are `vocabSize` tokens. Every text can be split into
 * such tokens, and the same texts give the same vocabulary. Tokenizers (Python): `ByteLevelBPETokenizer.train`.
 *
 * @example
 * ```ts
 * import { Tokenizer, trainBpe } from "@denim/ml/lm";
 * const json = trainBpe(["low lower lowest, so low and so slow"], { vocabSize: 264 });
 * const tokenizer = new Tokenizer(json, { eos_token: "<|endoftext|>" });
 * tokenizer.decode(tokenizer.encode("slowly")); // "slowly"
 * ```
 * @returns The content of tokenizer.json.
 * @throws ValueError where `vocabSize` leaves no room for the bytes.
 */
export function trainBpe(texts: Iterable<string>, options: BpeOptions): JsonRecord {
  const { vocabSize, specialTokens = ["<|endoftext|>"], minFrequency = 2 } = options, first = specialTokens.length;
  if (!Number.isSafeInteger(vocabSize) || vocabSize < first + BYTES || vocabSize > SHIFT) {
    fail(ValueError, "trainBpe", {
      cannot: `learn ${vocabSize} tokens`,
      expected: `an integer of at least ${first + BYTES}, for the bytes and the special tokens`,
      got: String(vocabSize),
      fix: "give a larger vocabSize",
    });
  }
  const pairs = new Pairs(wordsOf(texts)), tokens = [...CHARS], ids = new Map(tokens.map((token, id) => [token, id]));
  const merges: string[] = [];
  while (first + tokens.length < vocabSize) {
    const best = pairs.best();
    if (!best || best.count < Math.max(1, minFrequency)) break;
    const { pair } = best;
    const left = tokens[Math.floor(pair / SHIFT)]!, right = tokens[pair % SHIFT]!, token = `${left}${right}`;
    // Two ways may lead to the same characters: they are one token.
    const id = ids.get(token) ?? tokens.push(token) - 1;
    ids.set(token, id);
    pairs.merge(pair, id);
    merges.push(`${left} ${right}`);
  }
  return tokenizerJson(specialTokens, tokens, merges);
}

/** The content of tokenizer.json: special tokens first, then the bytes, then what was merged. */
function tokenizerJson(special: readonly string[], tokens: readonly string[], merges: string[]): JsonRecord {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  const added = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => ({ id, content, ...added })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries([...special, ...tokens].map((token, id) => [token, id])),
      merges,
    },
  };
}
