/**
 * A GGUF file as a Hugging Face checkpoint: the config.json that its metadata amount to, weights under their names
 * there, and rows put back in their order. Block types are `core/io/gguf_repack.ts`, the tokenizer is
 * `gguf_tokenizer.ts`.
 * @module
 */
import { CheckpointError, fail } from "../core/errors.ts";
import { type GgufHeader, type GgufTensor, readGgufHeader } from "../core/io/gguf.ts";
import { GGUF_GROUP, readGgufArrays } from "../core/io/gguf_repack.ts";
import type { JsonRecord } from "../core/io/json.ts";
import { type HostTensor, readRange, type StoredTensor, withFile } from "../core/io/source.ts";

/** A GGUF file as a checkpoint. */
export interface GgufModel {
  /** What config.json would say. */
  readonly config: JsonRecord;
  /** Metadata of the file; those of the tokenizer are for `ggufTokenizer`. */
  readonly metadata: GgufHeader["metadata"];
  /**
   * The weights under their names in the checkpoint, one tensor at a time; each call reads the file anew. A quantized
   * `x.weight` comes with `x.scales` and `x.biases` (affine, groups of 32).
   */
  tensors(): Generator<readonly [string, HostTensor | StoredTensor]>;
}

const broken = (expected: string, got: string): never =>
  fail(CheckpointError, "load", {
    cannot: "use the GGUF file as a language model",
    expected,
    got,
    fix: "take the model's safetensors files instead",
  });

/** What differs between the architectures that are read. */
interface Architecture {
  readonly architecture: string;
  /** llama.cpp turned q and k to its own order of rope pairs. */
  readonly permuted: boolean;
  readonly extra: JsonRecord;
}
const ARCHITECTURES: ReadonlyMap<string, Architecture> = new Map([
  ["llama", { architecture: "LlamaForCausalLM", permuted: true, extra: { attention_bias: false, mlp_bias: false } }],
  ["qwen2", { architecture: "Qwen2ForCausalLM", permuted: false, extra: {} }],
  ["qwen3", { architecture: "Qwen3ForCausalLM", permuted: false, extra: { attention_bias: false } }],
]);
const OUTSIDE: ReadonlyMap<string, string> = new Map([
  ["token_embd", "model.embed_tokens"],
  ["output_norm", "model.norm"],
  ["output", "lm_head"],
]);
const INSIDE: ReadonlyMap<string, string> = new Map([
  ["attn_q", "self_attn.q_proj"],
  ["attn_k", "self_attn.k_proj"],
  ["attn_v", "self_attn.v_proj"],
  ["attn_output", "self_attn.o_proj"],
  ["attn_q_norm", "self_attn.q_norm"],
  ["attn_k_norm", "self_attn.k_norm"],
  ["ffn_gate", "mlp.gate_proj"],
  ["ffn_up", "mlp.up_proj"],
  ["ffn_down", "mlp.down_proj"],
  ["attn_norm", "input_layernorm"],
  ["ffn_norm", "post_attention_layernorm"],
]);
const ROPE_FACTORS = "rope_freqs.weight";

/** The name in a Hugging Face checkpoint of llama.cpp's `name`. */
export function checkpointName(name: string): string {
  const [, layer, part = "", kind = ""] = /^(?:blk\.(\d+)\.)?([^.]+)\.(weight|bias)$/.exec(name) ?? [];
  const base = layer === undefined ? OUTSIDE.get(part) : INSIDE.get(part);
  if (base === undefined) return broken("tensors of a plain transformer", name);
  return `${layer === undefined ? "" : `model.layers.${layer}.`}${base}.${kind}`;
}

/**
 * Which row of the file is row r of the checkpoint, for q and k: llama.cpp pairs rows (2i, 2i + 1) of a head in rope,
 * Hugging Face (i, i + d/2), so row (head, j, i) comes from (head, i, j). Whole rows move; blocks move with them.
 */
export function ropeRows(rows: number, heads: number): Uint32Array {
  const size = rows / heads, half = size / 2;
  if (!Number.isInteger(half)) return broken(`${heads} heads of even size`, `${rows} rows`);
  return Uint32Array.from({ length: rows }, (_, r) => {
    const head = Math.floor(r / size), j = Math.floor(r % size / half), i = r % half;
    return head * size + 2 * i + j;
  });
}

/** The shortest decimal that is this float32: 0.000009999999747 is 1e-5. */
export function shortest(x: number): number {
  for (let digits = 1; digits < 17; digits++) {
    const short = Number(x.toPrecision(digits));
    if (Math.fround(short) === Math.fround(x)) return short;
  }
  return x;
}

/** Reads numbers `<architecture>.<key>` of the metadata. */
class Keys {
  constructor(readonly metadata: GgufHeader["metadata"], readonly architecture: string) {}
  number(key: string): number | undefined {
    const x = this.metadata.get(`${this.architecture}.${key}`);
    return typeof x === "number" ? x : undefined;
  }
  need(key: string): number {
    return this.number(key) ?? broken(`a number ${this.architecture}.${key}`, "none");
  }
  token(name: string): number | undefined {
    const x = this.metadata.get(`tokenizer.ggml.${name}_token_id`);
    return typeof x === "number" ? x : undefined;
  }
}

/** Llama 3.1's wavelengths: below `original / 4` kept, above `original` divided by `factor`, between them blended. */
const LLAMA3 = { low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };
/** What llama.cpp divides each rope frequency by for that scheme. */
function llama3Factors(factor: number, theta: number, dims: number): number[] {
  const { low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: original } = LLAMA3;
  return Array.from({ length: dims / 2 }, (_, i) => {
    const wave = 2 * Math.PI * theta ** (2 * i / dims);
    if (wave < original / high) return 1;
    if (wave > original / low) return factor;
    const smooth = (original / wave - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}
/** The rope scaling that explains the file's factors. */
function ropeScaling(
  path: string,
  tensor: GgufTensor | undefined,
  keys: Keys,
  theta: number,
  dims: number,
): JsonRecord | null {
  const kind = keys.metadata.get(`${keys.architecture}.rope.scaling.type`), scale = keys.number("rope.scaling.factor");
  if (kind === "linear" && scale !== undefined) return { rope_type: "linear", factor: scale };
  if (kind !== undefined && kind !== "none") {
    return broken("rope scaling of the kinds none, linear or llama3", String(kind));
  }
  if (!tensor) return null;
  if (tensor.type.name !== "F32") return broken(`${ROPE_FACTORS} in F32`, tensor.type.name);
  const bytes = withFile(path, (file) => readRange(file, tensor.begin, tensor.end - tensor.begin));
  const factors = new Float32Array(bytes.buffer, 0, bytes.length / 4),
    factor = factors.reduce((a, b) => Math.max(a, b), 1);
  const same = llama3Factors(factor, theta, dims).every((x, i) => Math.abs(x - (factors[i] ?? 0)) < 1e-3 * x);
  return same ? { rope_type: "llama3", factor, ...LLAMA3 } : broken("the rope factors of Llama 3", ROPE_FACTORS);
}

const BITS: ReadonlyMap<string, number> = new Map([
  ["Q4_0", 4],
  ["Q4_1", 4],
  ["Q4_K", 4],
  ["Q5_0", 5],
  ["Q5_1", 5],
  ["Q5_K", 5],
  ["Q8_0", 8],
]);
/** `quantization` of the config: the most frequent width, and the paths that have another. */
function quantization(tensors: readonly GgufTensor[]): JsonRecord | null {
  const widths = tensors.flatMap((t) => {
    const bits = BITS.get(t.type.name);
    return bits === undefined ? [] : [[checkpointName(t.name).replace(/\.weight$/, ""), bits] as const];
  });
  if (widths.length === 0) return null;
  const times = (bits: number): number => widths.filter(([, b]) => b === bits).length;
  const bits = [4, 5, 8].reduce((best, b) => times(b) > times(best) ? b : best),
    common = { group_size: GGUF_GROUP, mode: "affine" };
  const others = widths.filter(([, b]) => b !== bits).map(([path, b]) => [path, { ...common, bits: b }] as const);
  return { ...common, bits, ...Object.fromEntries(others) };
}

/** The config.json of the file. */
function configOf(
  path: string,
  { metadata, tensors }: GgufHeader,
  architecture: string,
  known: Architecture,
): JsonRecord {
  const keys = new Keys(metadata, architecture),
    named = (name: string): GgufTensor | undefined => tensors.find((t) => t.name === name);
  const hidden = keys.need("embedding_length"), heads = keys.need("attention.head_count");
  const dims = keys.number("attention.key_length") ?? keys.number("rope.dimension_count") ?? hidden / heads;
  const theta = shortest(keys.number("rope.freq_base") ?? 10_000), embedding = named("token_embd.weight");
  if (!embedding) return broken("a tensor token_embd.weight", "none");
  const weights = tensors.filter((t) => t.name !== ROPE_FACTORS), quantized = quantization(weights);
  const biased = known.permuted && weights.some((t) => t.name.endsWith("attn_q.bias"));
  return {
    architectures: [known.architecture],
    model_type: architecture,
    ...known.extra,
    ...biased ? { attention_bias: true } : {},
    hidden_act: "silu",
    hidden_size: hidden,
    head_dim: dims,
    intermediate_size: keys.need("feed_forward_length"),
    max_position_embeddings: keys.need("context_length"),
    num_attention_heads: heads,
    num_hidden_layers: keys.need("block_count"),
    num_key_value_heads: keys.number("attention.head_count_kv") ?? heads,
    rms_norm_eps: shortest(keys.need("attention.layer_norm_rms_epsilon")),
    rope_theta: theta,
    rope_scaling: ropeScaling(path, named(ROPE_FACTORS), keys, theta, dims),
    tie_word_embeddings: named("output.weight") === undefined,
    vocab_size: embedding.shape[0] ?? 0,
    bos_token_id: keys.token("bos"),
    eos_token_id: keys.token("eos"),
    pad_token_id: keys.token("padding"),
    ...quantized ? { quantization: quantized, quantization_config: quantized } : {},
  };
}

/**
 * Opens a GGUF file of a llama, qwen2 or qwen3 model as a Hugging Face checkpoint, with nothing lost.
 *
 * ```ts ignore
 * const model = openGgufModel("model.gguf");
 * for (const [name, tensor] of model.tensors()) console.log(name, tensor.dtype, tensor.shape);
 * ```
 * @throws CheckpointError for a broken file, another architecture, or block types without an exact form.
 */
export function openGgufModel(path: string): GgufModel {
  const header = readGgufHeader(path), name = header.metadata.get("general.architecture");
  const known = typeof name === "string" ? ARCHITECTURES.get(name) : undefined;
  if (typeof name !== "string" || !known) {
    return broken(`an architecture of ${[...ARCHITECTURES.keys()].join(", ")}`, String(name));
  }
  const config = configOf(path, header, name, known), heads = new Keys(header.metadata, name);
  const turned: ReadonlyMap<string, number> = new Map([
    ["q_proj", heads.need("attention.head_count")],
    ["k_proj", heads.number("attention.head_count_kv") ?? heads.need("attention.head_count")],
  ]);
  const order = (t: GgufTensor): Uint32Array | undefined => {
    const count = known.permuted ? turned.get(/\.([qk]_proj)\./.exec(checkpointName(t.name))?.[1] ?? "") : undefined;
    return count === undefined ? undefined : ropeRows(t.shape[0] ?? 0, count);
  };
  const weights = { ...header, tensors: header.tensors.filter((t) => t.name !== ROPE_FACTORS) };
  function* tensors(): Generator<readonly [string, HostTensor | StoredTensor]> {
    for (const [t, { weight, quantized }] of readGgufArrays(path, weights, order)) {
      const target = checkpointName(t.name), base = target.replace(/\.weight$/, "");
      yield [target, weight];
      if (quantized) yield* [[`${base}.scales`, quantized.scales], [`${base}.biases`, quantized.biases]] as const;
    }
  }
  return { config, metadata: header.metadata, tensors };
}
