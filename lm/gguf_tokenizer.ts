/**
 * The tokenizer inside a GGUF file, rewritten as the two JSON files of a Hugging Face checkpoint, so that one class
 * reads both. Byte-level BPE by the name of its pre-tokenizer, and SentencePiece as Llama 2's.
 * @module
 */
import { CheckpointError, fail } from "../core/errors.ts";
import type { GgufHeader, GgufValue } from "../core/io/gguf.ts";
import type { Json, JsonRecord } from "../core/io/json.ts";
import { Tokenizer, type TokenizerOptions } from "./tokenizer.ts";

type Metadata = GgufHeader["metadata"];

const broken = (expected: string, got: string): never =>
  fail(CheckpointError, "tokenizer", {
    cannot: "read the tokenizer in the GGUF file",
    expected,
    got,
    fix: "take the model's tokenizer.json, or convert it again",
  });

/** The key's text, number or flag; undefined where it is absent or something else. */
function text(metadata: Metadata, key: string): string | undefined {
  const x = metadata.get(`tokenizer.${key}`);
  return typeof x === "string" ? x : undefined;
}
function id(metadata: Metadata, name: string): number | undefined {
  const x = metadata.get(`tokenizer.ggml.${name}_token_id`);
  return typeof x === "number" ? x : undefined;
}
const flag = (metadata: Metadata, key: string): boolean => metadata.get(`tokenizer.ggml.${key}`) === true;

const isTexts = (x: GgufValue | undefined): x is readonly string[] =>
  Array.isArray(x) && x.every((t) => typeof t === "string");
const isNumbers = (x: GgufValue | undefined): x is Int32Array | Float32Array =>
  x instanceof Int32Array || x instanceof Float32Array;

/** Kinds of tokens. */
const UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4;
/** The list of tokens and their kinds. */
function vocabulary(metadata: Metadata): { tokens: readonly string[]; kinds: ArrayLike<number> } {
  const tokens = metadata.get("tokenizer.ggml.tokens"),
    kinds = metadata.get("tokenizer.ggml.token_type") ?? new Int32Array(0);
  if (!isTexts(tokens) || tokens.length === 0) return broken("a list tokenizer.ggml.tokens", "none");
  return { tokens, kinds: isNumbers(kinds) ? kinds : broken("numbers in tokenizer.ggml.token_type", typeof kinds) };
}

const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
/** The pattern of Llama 3 and its kin; they differ in how many digits stay together. */
const words = (digits: string): string =>
  `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
interface BpeKind {
  /** Splits in turn, before bytes become characters. */
  readonly splits: readonly string[];
  /** Whole words in the vocabulary need no merges. */
  readonly ignoreMerges?: boolean;
  readonly nfc?: boolean;
  /** Texts begin with the begin token unless the file says otherwise. */
  readonly addsBos?: boolean;
}
const LLAMA3: BpeKind = { splits: [words("\\p{N}{1,3}")], ignoreMerges: true, addsBos: true };
const SMOLLM: BpeKind = { splits: ["\\p{N}", GPT2] };
const BPE_KINDS: ReadonlyMap<string, BpeKind> = new Map([
  ["gpt-2", { splits: [GPT2] }],
  ["smollm", SMOLLM],
  ["starcoder", SMOLLM],
  ["refact", SMOLLM],
  ["command-r", SMOLLM],
  ["codeshell", SMOLLM],
  ["llama-bpe", LLAMA3],
  ["llama3", LLAMA3],
  ["llama-v3", LLAMA3],
  ["falcon3", LLAMA3],
  ["qwen2", { splits: [words("\\p{N}")], nfc: true }],
  ["stablelm2", { splits: [words("\\p{N}")] }],
]);

const BYTE_LEVEL: JsonRecord = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };

/** `tokenizer.json` of a byte-level BPE. */
function bpeJson(metadata: Metadata, tokens: readonly string[], kind: BpeKind): JsonRecord {
  const merges = metadata.get("tokenizer.ggml.merges");
  if (!isTexts(merges)) return broken("a list tokenizer.ggml.merges", "none");
  const splits = kind.splits.map((Regex): Json => ({
    type: "Split",
    pattern: { Regex },
    behavior: "Isolated",
    invert: false,
  }));
  return {
    normalizer: kind.nfc ? { type: "NFC" } : null,
    pre_tokenizer: { type: "Sequence", pretokenizers: [...splits, BYTE_LEVEL] },
    decoder: { ...BYTE_LEVEL, add_prefix_space: true, use_regex: true },
    model: {
      ...bpeModel(tokens, merges),
      unk_token: null,
      byte_fallback: false,
      fuse_unk: false,
      ignore_merges: kind.ignoreMerges ?? false,
    },
  };
}
const bpeModel = (tokens: readonly string[], merges: readonly Json[]): JsonRecord => ({
  type: "BPE",
  dropout: null,
  continuing_subword_prefix: null,
  end_of_word_suffix: null,
  merges,
  vocab: Object.fromEntries(tokens.map((token, i) => [token, i])),
});

/**
 * The merges of a SentencePiece vocabulary: every way to put a token together from two others, best score of the whole
 * first. Applied in this order, they build what SentencePiece's greedy search builds.
 */
function spmMerges(tokens: readonly string[], scores: ArrayLike<number>): string[][] {
  const ids = new Map(tokens.map((token, i) => [token, i])),
    merges: { pair: string[]; order: readonly number[] }[] = [];
  tokens.forEach((token, i) => {
    const units = Array.from(token);
    for (let cut = 1; cut < units.length; cut++) {
      const pair = [units.slice(0, cut).join(""), units.slice(cut).join("")],
        [left, right] = pair.map((part) => ids.get(part));
      if (left !== undefined && right !== undefined) merges.push({ pair, order: [-(scores[i] ?? 0), i, left, right] });
    }
  });
  const compare = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((found, x, i) => found || x - (b[i] ?? 0), 0);
  return merges.sort((a, b) => compare(a.order, b.order)).map(({ pair }) => pair);
}
/** `tokenizer.json` of a SentencePiece BPE with byte tokens. */
function spmJson(metadata: Metadata, tokens: readonly string[], unknown: string | null): JsonRecord {
  const scores = metadata.get("tokenizer.ggml.scores"),
    prefix = metadata.get("tokenizer.ggml.add_space_prefix") !== false;
  if (!isNumbers(scores)) return broken("a list tokenizer.ggml.scores", "none");
  const replace: Json = { type: "Replace", pattern: { String: " " }, content: "\u2581" };
  const strip: Json[] = prefix ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : [];
  return {
    normalizer: { type: "Sequence", normalizers: [...prefix ? [{ type: "Prepend", prepend: "\u2581" }] : [], replace] },
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: [{ type: "Replace", pattern: { String: "\u2581" }, content: " " }, { type: "ByteFallback" }, {
        type: "Fuse",
      }, ...strip],
    },
    model: {
      ...bpeModel(tokens, spmMerges(tokens, scores)),
      unk_token: unknown,
      byte_fallback: true,
      fuse_unk: true,
      ignore_merges: false,
    },
  };
}

/** The begin and end tokens that texts get, as a post-processor. */
function template(metadata: Metadata, tokens: readonly string[], addsBos: boolean): Json {
  const wants = metadata.get("tokenizer.ggml.add_bos_token") ?? addsBos;
  const bos = wants === true ? id(metadata, "bos") : undefined,
    eos = flag(metadata, "add_eos_token") ? id(metadata, "eos") : undefined;
  const special = [bos, eos].filter((i) => i !== undefined).map((i) =>
    [tokens[i] ?? broken("special tokens in the vocabulary", `${i}`), i] as const
  );
  const item = (i: number | undefined): Json[] =>
    i === undefined ? [] : [{ SpecialToken: { id: tokens[i] ?? "", type_id: 0 } }];
  if (special.length === 0) return null;
  return {
    type: "TemplateProcessing",
    single: [...item(bos), { Sequence: { id: "A", type_id: 0 } }, ...item(eos)],
    pair: [],
    special_tokens: Object.fromEntries(special.map(([token, i]) => [token, { id: token, ids: [i], tokens: [token] }])),
  };
}

/**
 * `tokenizer.json` and `tokenizer_config.json` as the file's metadata describe them.
 * @throws CheckpointError for a kind of tokenizer that is not known.
 */
export function ggufTokenizerFiles(metadata: GgufHeader["metadata"]): { json: JsonRecord; config: JsonRecord } {
  const { tokens, kinds } = vocabulary(metadata),
    model = text(metadata, "ggml.model"),
    pre = text(metadata, "ggml.pre") ?? "none";
  const named = (name: string): string | null => tokens[id(metadata, name) ?? -1] ?? null;
  const isSpm = model === "llama", kind = BPE_KINDS.get(pre);
  if (!isSpm && model !== "gpt2") return broken("a tokenizer of the kind gpt2 or llama", model ?? "none");
  if (!isSpm && !kind) return broken(`a pre-tokenizer of the kinds ${[...BPE_KINDS.keys()].join(", ")}`, pre);
  const json = isSpm ? spmJson(metadata, tokens, named("unknown")) : bpeJson(metadata, tokens, kind ?? SMOLLM);
  const added = tokens.flatMap((content, i): Json[] => {
    const special = kinds[i] === CONTROL || kinds[i] === UNKNOWN;
    return special || kinds[i] === USER_DEFINED
      ? [{ id: i, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special }]
      : [];
  });
  const config = Object.fromEntries(
    [["bos", "bos"], ["eos", "eos"], ["unk", "unknown"], ["pad", "padding"]].map((
      [ours = "", theirs = ""],
    ) => [`${ours}_token`, named(theirs)]),
  );
  return {
    json: {
      ...json,
      added_tokens: added,
      post_processor: template(metadata, tokens, isSpm || (kind?.addsBos ?? false)),
    },
    config: { ...config, chat_template: text(metadata, "chat_template") ?? null },
  };
}

/**
 * The tokenizer in a GGUF file's metadata. An `eot` token (end of a turn) ends texts, too.
 *
 * ```ts ignore
 * const tokenizer = ggufTokenizer(readGgufHeader("model.gguf").metadata);
 * ```
 */
export function ggufTokenizer(metadata: GgufHeader["metadata"], options: TokenizerOptions = {}): Tokenizer {
  const { json, config } = ggufTokenizerFiles(metadata), eot = id(metadata, "eot");
  return new Tokenizer(json, config, {
    ...options,
    eosTokenIds: [...options.eosTokenIds ?? [], ...eot === undefined ? [] : [eot]],
  });
}
