/**
 * Files of prompt caches, in mlx-lm's format: a safetensors file whose arrays are named by their places in the list of
 * the caches' states (`0.1` is the second part of the first cache), and whose metadata hold the user's texts
 * (`0.name`), the classes (`1.0`, `1.1`, ...) and which arrays stand for numbers or nothing (`2.1.0` the place, `2.1.1`
 * `scalar` or `none`).
 * @module
 */
import * as mx from "../core/mod.ts";
import { openMapped } from "../core/io/mapped.ts";
import { loadSafetensors } from "../core/io/safetensors.ts";
import { ArraysCache } from "./arrays_cache.ts";
import { CacheList } from "./cache_list.ts";
import { type Cache, type CacheState, KVCache, QuantizedKVCache, RotatingKVCache } from "./cache.ts";

/** Free texts of a file, by name. */
export type PromptCacheMetadata = Readonly<Record<string, string>>;

const CLASSES = new Map<string, { fromState(state: CacheState): Cache }>([
  ["KVCache", KVCache],
  ["RotatingKVCache", RotatingKVCache],
  ["QuantizedKVCache", QuantizedKVCache],
  ["ArraysCache", ArraysCache],
]);

/**
 * Saves caches that hold a text, to go on with it later (`save_prompt_cache` of mlx-lm).
 *
 * @example
 * ```ts
 * import { generateStep, load, makePromptCache, savePromptCache } from "@denim/ml/lm";
 * const { model, tokenizer } = await load("models/storyteller"), cache = makePromptCache(model);
 * for (const _ of generateStep(tokenizer.encode("Once upon"), model, { promptCache: cache, maxTokens: 1 }));
 * const path = await Deno.makeTempFile({ suffix: ".safetensors" });
 * await savePromptCache(path, cache, { model: "storyteller" });
 * (await Deno.stat(path)).size > 1e6; // true
 * ```
 */
export async function savePromptCache(
  path: string,
  cache: readonly Cache[],
  metadata: PromptCacheMetadata = {},
): Promise<void> {
  const arrays: Record<string, mx.NDArray> = {}, texts: [string, string][] = [["2.0", ""]];
  let marks = 0;
  const mark = (place: string, kind: string): void => {
    marks++;
    texts.push([`2.${marks}.0`, place], [`2.${marks}.1`, kind]);
  };
  const put = (state: CacheState, place: string): void => {
    if (state instanceof mx.NDArray) arrays[place] = mx.contiguous(state);
    else if (typeof state === "number") {
      arrays[place] = mx.array(state, mx.int32);
      mark(place, "scalar");
    } else if (state === null) {
      arrays[place] = mx.zeros([0]);
      mark(place, "none");
    } else if (typeof state === "string") {
      arrays[place] = mx.array(Int32Array.from(state, (c) => c.charCodeAt(0)));
      mark(place, "string");
    } else state.forEach((part, i) => put(part, `${place}.${i}`));
  };
  cache.forEach((c, i) => put(c.snapshot(), `${i}`));
  cache.forEach((c, i) => texts.push([`1.${i}`, c.constructor.name]));
  for (const [name, text] of Object.entries(metadata)) texts.push([`0.${name}`, text]);
  mx.eval(Object.values(arrays));
  await mx.saveSafetensors(path, arrays, Object.fromEntries(texts));
}

function refuse(path: string, expected: string, got: string): never {
  return mx.fail(mx.CheckpointError, "loadPromptCache", {
    cannot: `load a prompt cache from ${path}`,
    expected,
    got,
    fix: "give a file of savePromptCache or of mlx_lm.cache_prompt",
  });
}
/** The state at a place: an array, a number, nothing, or the list of what is below. */
function stateAt(
  place: string,
  arrays: ReadonlyMap<string, mx.NDArray>,
  kinds: ReadonlyMap<string, string>,
): CacheState {
  const x = arrays.get(place);
  if (!x) {
    const parts: CacheState[] = [], prefix = `${place}.`, names = [...arrays.keys()];
    for (let i = 0; names.some((n) => n === `${prefix}${i}` || n.startsWith(`${prefix}${i}.`)); i++) {
      parts.push(stateAt(`${prefix}${i}`, arrays, kinds));
    }
    return parts;
  }
  const kind = kinds.get(place);
  if (kind === "none") return null;
  if (kind === "string") return String.fromCharCode(...Array.from(x.dataSync(), Number));
  return kind === "scalar" ? Number(x.item()) : x;
}

/** A cache of the class with that name and state. */
function restored(path: string, name: string, state: CacheState): Cache {
  if (name !== "CacheList") {
    const known = CLASSES.get(name) ?? refuse(path, `caches of the classes ${[...CLASSES.keys()].join(", ")}`, name);
    return known.fromState(state);
  }
  const parts = Array.isArray(state) ? state : [];
  return new CacheList(parts.map((part) => {
    const [own = null, kind = null] = Array.isArray(part) ? part : [];
    return typeof kind === "string" ? restored(path, kind, own) : refuse(path, "names in a CacheList", "none");
  }));
}

/** Options of {@linkcode loadPromptCache}. */
export interface LoadPromptCacheOptions {
  /** Also return the texts of the file. Default false. */
  readonly returnMetadata?: boolean;
}
/**
 * Loads caches (`load_prompt_cache` of mlx-lm), for `promptCache` of `generateStep`; the prompt is then what follows.
 * @throws CheckpointError where the file holds none, or caches of an unknown class.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { KVCache, loadPromptCache, savePromptCache } from "@denim/ml/lm";
 * const path = await Deno.makeTempFile({ suffix: ".safetensors" }), cache = new KVCache(), x = mx.ones([1, 2, 3, 8]);
 * cache.updateAndFetch(x, x);
 * await savePromptCache(path, [cache], { topic: "tea" });
 * const [loaded, texts] = loadPromptCache(path, { returnMetadata: true });
 * [loaded[0]?.offset, texts.topic]; // [3, "tea"]
 * ```
 */
export function loadPromptCache(
  path: string,
  options: { readonly returnMetadata: true },
): [Cache[], PromptCacheMetadata];
/** As above, without the texts. */
export function loadPromptCache(path: string, options?: { readonly returnMetadata?: false }): Cache[];
export function loadPromptCache(
  path: string,
  { returnMetadata = false }: LoadPromptCacheOptions = {},
): Cache[] | [Cache[], PromptCacheMetadata] {
  const { arrays, metadata } = loadSafetensors(path, openMapped), kinds = new Map<string, string>();
  for (const [name, place] of Object.entries(metadata)) {
    const mark = /^2\.(\d+)\.0$/.exec(name);
    if (mark) kinds.set(place, metadata[`2.${mark[1]}.1`] ?? "");
  }
  const cache: Cache[] = [];
  for (let name = metadata["1.0"]; name !== undefined; name = metadata[`1.${cache.length}`]) {
    cache.push(restored(path, name, stateAt(`${cache.length}`, arrays, kinds)));
  }
  if (cache.length === 0) refuse(path, "classes of caches in its metadata", "none");
  const own = Object.entries(metadata).filter(([name]) => name.startsWith("0."));
  return returnMetadata ? [cache, Object.fromEntries(own.map(([name, text]) => [name.slice(2), text]))] : cache;
}
