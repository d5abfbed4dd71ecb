/**
 * The record of language-model cases: what stands in a `reference.json`, and what a case gives.
 * @module
 */
import type { Tolerance } from "../reference/compare.ts";
import { isArray, isPlain, type Library } from "../reference/library.ts";
import type { HostArray } from "../reference/safetensors_reader.ts";

/** Plain options under MLX's names. */
export type Options = Readonly<Record<string, unknown>>;
/** A case; which fields it has depends on its kind. */
export interface LmCase {
  readonly id: string;
  readonly kind: string;
  readonly tol: Tolerance;
  readonly expect: Readonly<Record<string, unknown>>;
  readonly arrays?: Readonly<Record<string, string>>;
  readonly prompt?: readonly number[] | string;
  readonly prompts?: readonly (readonly number[])[];
  readonly positions?: "all" | "last";
  readonly chunk?: number;
  readonly adapter?: string;
  readonly fuse?: true | "dequantize";
  readonly max_tokens?: number | readonly number[];
  readonly kwargs?: Options;
  readonly cache?: "default" | { readonly rotating: { readonly max_size: number; readonly keep: number } };
  readonly processors?: Options;
  readonly sampler?: Options;
  readonly seed?: number;
  readonly prompt_cache_file?: string;
  readonly stop_token_ids?: readonly number[];
  readonly draft?: string;
  readonly num_draft_tokens?: number;
  readonly extra_eos?: readonly number[];
  readonly data?: string | readonly (readonly number[])[];
  readonly batch_size?: number;
  readonly split?: "train" | "valid" | "test";
  readonly max_seq_length?: number;
  readonly mode?: string;
  readonly optimizer?: string;
  readonly optimizer_args?: Options;
  readonly num_layers?: number;
  readonly lora_parameters?: Options;
  readonly init?: string;
  readonly batch?: readonly (readonly number[])[];
  readonly lengths?: readonly (readonly number[])[];
  readonly steps?: number;
  readonly keep?: readonly string[];
  readonly path?: string;
  readonly op?: string;
  readonly input?: string;
  readonly temp?: number;
  readonly chain?: readonly (readonly [string, readonly unknown[]])[];
  readonly args?: Options;
  readonly tokens?: readonly number[];
  readonly fn?: string;
  readonly num?: number;
  readonly n?: number;
  readonly logits?: unknown;
  readonly dtype?: string;
  readonly group_size?: number;
  readonly bits?: number;
}
/** A text and what its tokenizer makes of it. */
export interface TextCase {
  readonly text?: string;
  readonly ids: readonly number[];
  readonly ids_no_special?: readonly number[];
  readonly decoded: string;
  readonly decoded_skip_special: string;
  readonly segments: readonly string[];
}
/** A conversation and the prompt it becomes, or the error. */
export interface ChatCase {
  readonly messages: readonly unknown[];
  readonly kwargs: Options;
  readonly rendered?: string;
  readonly ids?: readonly number[];
  readonly error?: string;
}
/** One `reference.json`. */
export interface LmReference {
  readonly dtype?: string;
  readonly cases?: readonly LmCase[];
  readonly tokenizer?: string;
  readonly texts?: readonly TextCase[];
  readonly id_sequences?: readonly TextCase[];
  readonly chats?: readonly ChatCase[];
  readonly [property: string]: unknown;
}
/** What a case gives: plain outputs, and arrays by name. */
export interface LmResult {
  readonly json: Readonly<Record<string, unknown>>;
  readonly arrays: Readonly<Record<string, HostArray>>;
}

/** Whether plain data is a record. */
export const isReference = (x: unknown): x is LmReference =>
  isPlain(x) && (Array.isArray(x.cases) || typeof x.tokenizer === "string");

/** The numbers of an array, as float32. */
export async function read32(lib: Library, x: unknown): Promise<HostArray> {
  const y = lib.method(x, "astype", lib.dtype("float32"));
  if (!isArray(y)) throw new Error("an array was expected");
  return await lib.read(y);
}
